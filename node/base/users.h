/* Users and groups of this host by name. The C library's name service is asked in a child process:
 * it reads its configuration and loads whatever module that names, and glibc's reader ends the
 * process when memory runs out in it (a null pointer, or an assertion of its own). Here that is an
 * error like any other, and a module's memory and threads stay out of a daemon. */
#ifndef GV_NODE_BASE_USERS_H
#define GV_NODE_BASE_USERS_H

#include <stddef.h>
#include <sys/types.h>

#include "node/base/text.h"

#define GV_USER_GROUPS_MAX 64

struct gv_user {
    uid_t uid;
    gid_t gid;
    gid_t groups[GV_USER_GROUPS_MAX]; /* all that it is in, its own included */
    size_t group_count;
};

/* GV_OK; GV_ERR_NOT_FOUND (nobody of that name; the caller says what to do: no sentence),
 * GV_ERR_SPACE (in more groups than that), GV_ERR_MEMORY, GV_ERR_IO. */
int gv_user_find(struct gv_user *out, const char *name, struct gv_text *error);
/* Likewise; GV_ERR_NOT_FOUND: no such group. */
int gv_group_find(gid_t *out, const char *name, struct gv_text *error);

#endif
