/* A 32-byte secret in a file of its own: 64 hex digits and a newline, mode 0600. */
#ifndef GV_NODE_BASE_KEYFILE_H
#define GV_NODE_BASE_KEYFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "crypto/identity.h"
#include "node/base/text.h"

/* Draws a secret from the kernel, writes it to a new file (O_EXCL, 0600, fsync of file and folder)
 * and gives it. An existing file is never touched: GV_ERR_DUPLICATE. Otherwise GV_ERR_IO. */
int gv_keyfile_create(uint8_t secret[GV_SECRET_LEN], const char *path, struct gv_text *error);

/* For a daemon that runs as root: the folder of its key must not be another user's, while a command
 * of root's may look after the key of a node's own user there. GV_OK or GV_ERR_FORBIDDEN. */
int gv_keyfile_own_folder(const char *folder, struct gv_text *error);

/* GV_ERR_NOT_FOUND; GV_ERR_FORBIDDEN when anybody else can use or replace it: group or others have
 * a right on it, or may write to its folder or to one above that has no sticky bit; it, or one of
 * these folders, belongs to another user than this one and root; it is no regular file, or a
 * symbolic link; GV_ERR_MALFORMED; GV_ERR_IO. The caller wipes `secret` (gv_wipe). */
int gv_keyfile_read(uint8_t secret[GV_SECRET_LEN], const char *path, struct gv_text *error);

/* Reads it, or creates it when absent: *fresh. */
int gv_keyfile_ensure(uint8_t secret[GV_SECRET_LEN], bool *fresh, const char *path,
                      struct gv_text *error);

#endif
