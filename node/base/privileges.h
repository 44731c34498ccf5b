/* What a daemon may do, before it meets the world: nothing but what its user may. */
#ifndef GV_NODE_BASE_PRIVILEGES_H
#define GV_NODE_BASE_PRIVILEGES_H

#include <stddef.h>
#include <stdint.h>

#include "node/base/text.h"

struct gv_privileges {
    const char *user; /* to become, when started as root; NULL or "": _grapevine then */
    /* Groups to keep beside those that the user is in; a number may stand for a name. Not root's.
     */
    const char *const *groups;
    size_t group_count;
    const char *control_group; /* one more; may be NULL or "" */
    const char *folder;        /* made for that user, 0700, when it is not there yet */
    uint32_t keep;             /* capabilities to keep, 1 << CAP_...; 0: none */
};

/* To be called once, before threads, sockets and files of others. Whoever started it: umask 077, no
 * core dumps, not traceable, no new privileges by exec, and no capability but those to keep;
 * started as root: the user, its groups, and no way back, which is tried out. "root" has to be
 * written out, and keeps the id and nothing else: no capability, so that files of others stay
 * closed to it. Returns GV_OK; GV_ERR_NOT_FOUND (no such user or group; root, and no user),
 * GV_ERR_FORBIDDEN (this is somebody else who is not root; root's group), GV_ERR_IO. */
int gv_privileges_drop(const struct gv_privileges *options, struct gv_text *error);

#endif
