/* What the admin's commands beside a running registry have in common: where the registry is (--data
 * or
 * --config), one word, its records and its owner secret. */
#ifndef GV_NODE_REGISTRY_DESK_H
#define GV_NODE_REGISTRY_DESK_H

#include <argp.h>

#include "node/registry/place.h"

struct gv_desk_options {
    const char *folder, *config; /* one of the two */
    const char *word;            /* the one argument, or NULL */
    bool takes_word;
    const char *needs; /* what is said when it is missing; NULL: it need not be there */
};

#define GV_DESK_OPTIONS                                                                            \
    {"data", 'd', "DIR", 0, "The registry's folder", 0},                                           \
    {                                                                                              \
        "config", 'c', "FILE", 0, "Or its config file", 0                                          \
    }

/* Of commands that work on the folder itself, with the root key where it is kept elsewhere. */
struct gv_root_options {
    const char *folder, *root_key;
};
#define GV_OPTION_ROOT_KEY 512
#define GV_ROOT_KEY_OPTION                                                                         \
    {                                                                                              \
        "root-key", GV_OPTION_ROOT_KEY, "FILE", 0, "The root key, when it is kept elsewhere", 0    \
    }
#define GV_ROOT_OPTIONS(folder) {"data", 'd', "DIR", 0, folder, 0}, GV_ROOT_KEY_OPTION

/* For the `default:` of a command's own parser. */
error_t gv_desk_parse(struct gv_desk_options *out, int key, char *arg, struct argp_state *state);
error_t gv_root_parse(struct gv_root_options *out, int key, char *arg);
/* The command line of a command that has no options of its own. */
void gv_desk_arguments(struct gv_desk_options *out, int argc, char **argv, const char *word,
                       const char *doc);

struct gv_desk {
    struct gv_place place;
    struct gv_records *records;
    uint8_t owner_secret[GV_SECRET_LEN]; /* secret */
};

/* Finds it all and opens the database. GV_ERR_CONFIG: what is wrong is said already. Pair with
 * gv_desk_end either way. */
int gv_desk_open(struct gv_desk *desk, const struct gv_desk_options *given, struct gv_text *why);
void gv_desk_close(struct gv_desk *desk);
/* Before root's command is the first to open the database: it is the service's all the same. */
void gv_desk_make_database(const struct gv_place *place);
/* Closes it, says why it failed if it did, and gives the exit code. */
int gv_desk_end(struct gv_desk *desk, int rc, const struct gv_text *why);

/* rc; when it is an error, its sentence about the database. */
int gv_desk_database(int rc, struct gv_text *why);

/* A new registry key that signs from now on, as `keys --rotate --lead 0s --overlap 0s` makes it:
 * for a registry from a backup. One of a rotation under way is dropped; and the descriptor's
 * version is higher than any that may have been signed since the backup. */
int gv_rotate_now(const struct gv_desk_options *at, const char *root_key, struct gv_text *why);

#endif
