/* The commands of grapevine-registry. Each takes its own argv (argv[0] is a name for usage lines),
 * prints errors on stderr, and returns an exit code of sysexits.h. */
#ifndef GV_NODE_REGISTRY_COMMANDS_H
#define GV_NODE_REGISTRY_COMMANDS_H

#include <stdint.h>

#include "node/base/text.h"
#include "proto/wire/descriptor.h"
#include "proto/wire/revocation.h"

int gv_command_init(int argc, char **argv);
int gv_command_descriptor(int argc, char **argv);
int gv_command_show(int argc, char **argv);
int gv_command_list(int argc, char **argv);
int gv_command_revoke(int argc, char **argv);
int gv_command_backup(int argc, char **argv);
int gv_command_export(int argc, char **argv);
int gv_command_forget(int argc, char **argv);
int gv_command_invite(int argc, char **argv);
int gv_command_limits(int argc, char **argv);
int gv_command_restore(int argc, char **argv);
int gv_command_keys(int argc, char **argv);
int gv_command_serve(int argc, char **argv);

/* Signs with the key of the folder; appends the wire form. */
int gv_sign_revocation(struct gv_buf *wire, const struct gv_revocation *revocation,
                       const char *folder, struct gv_text *why);

/* `source` as TO/NAME, 0600; a folder in NAME is made. GV_ERR_NOT_FOUND: it is not there. */
int gv_copy_file(const char *source, const char *to, const char *name, struct gv_text *why);
/* SQLite's own copy into that folder: of one moment, whatever is written meanwhile. */
int gv_copy_database(const char *from, const char *to, struct gv_text *why);

/* Run by root for a service with a user of its own, what is made in the folder must be that user's:
 * becomes the folder's owner. */
int gv_become_owner(const char *folder, struct gv_text *why);

/* The sysexits code for one of ours. */
int gv_exit_code(int error);
/* Prints "grapevine-registry: " and the sentence; returns gv_exit_code(error). */
int gv_complain(int error, const struct gv_text *why);

/* Minutes since 1970 by the system clock. */
uint32_t gv_now_min(void);

/* Options that init and descriptor share. Copies into the descriptor; prints and returns false for
 * a value that cannot be right. */
bool gv_set_seed(struct gv_descriptor *descriptor, const char *text);
bool gv_set_url(struct gv_descriptor *descriptor, const char *text);

/* For so long two registry keys are in force beside each other; no longer is signed. Minutes. */
#define GV_OVERLAP_MIN     1440u
#define GV_OVERLAP_MAX_MIN 2880u

/* Makes sure that the registry's key is named and has at least a year to go (it gets three). One
 * that was not named takes over at once: the others have GV_OVERLAP_MIN left. */
int gv_set_registry_key(struct gv_descriptor *descriptor, const uint8_t key[GV_KEY_LEN],
                        uint32_t now_min);
/* Keys whose last certificate ended long ago make room; and one by its place. */
void gv_drop_old_keys(struct gv_descriptor *descriptor, uint32_t now_min);
void gv_drop_key(struct gv_descriptor *descriptor, size_t at);
/* The root key, of that file or (NULL) of the folder, which must be the descriptor's. Wiped by the
 * caller either way. */
int gv_read_root(struct gv_identity *out, const struct gv_descriptor *descriptor,
                 const char *folder, const char *path, struct gv_text *why);
/* GV_ERR_FORBIDDEN: two keys would be in force beside each other for more than GV_OVERLAP_MAX_MIN,
 * counted from the minute at which the descriptor is activated. */
int gv_check_overlap(const struct gv_descriptor *descriptor, struct gv_text *why);
/* Signs the descriptor and writes DIR/network.descriptor, if gv_check_overlap allows it. */
int gv_write_descriptor(struct gv_descriptor *descriptor, const char *folder,
                        const uint8_t root_secret[64], struct gv_text *why);

extern const char gv_default_terms[];
#define GV_DEFAULT_TERMS_VERSION "2026-11"

#endif
