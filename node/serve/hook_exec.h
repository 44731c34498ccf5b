/* One run of the exec hook: a program of the admin's, without a shell, as the daemon's user, with a
 * text on its standard input, and an end. (SPEC 18.9) */
#ifndef GV_NODE_SERVE_HOOK_EXEC_H
#define GV_NODE_SERVE_HOOK_EXEC_H

#include <stddef.h>
#include <uv.h>

#include "node/base/text.h"

struct gv_hook_exec;
/* rc: GV_OK (exit status 0), GV_ERR_EXPIRED (killed at its time limit), GV_ERR_IO (anything else).
 */
typedef void (*gv_hook_exec_done)(void *context, int rc, const struct gv_text *why);

/* Whether the path may be run: an absolute one of a regular file that can be executed; it and every
 * folder above it belong to root or to this process's user, and nobody else may write to them.
 * Returns GV_OK, or with a sentence GV_ERR_NOT_FOUND or GV_ERR_FORBIDDEN. */
int gv_hook_exec_check(const char *path, struct gv_text *error);

/* Checks and starts it. `input` is handed over (free'd) in any case. `count`: how many changes, for
 * its environment. *out is valid until `done`, which is called once, on the loop. Otherwise what
 * gv_hook_exec_check returns, GV_ERR_IO or GV_ERR_MEMORY, and `done` is not called. */
int gv_hook_exec_start(struct gv_hook_exec **out, uv_loop_t *loop, const char *path, char *input,
                       size_t count, uint64_t timeout_ms, gv_hook_exec_done done, void *context,
                       struct gv_text *error);
/* Kills it; `done` is not called. NULL is allowed. */
void gv_hook_exec_cancel(struct gv_hook_exec *run);

#endif
