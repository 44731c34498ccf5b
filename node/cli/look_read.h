/* Where `grapevine investigate` reads: the logs that the configuration or the admin names, back to
 * a moment, and the mail queue. (SPEC 15.2) */
#ifndef GV_NODE_CLI_LOOK_READ_H
#define GV_NODE_CLI_LOOK_READ_H

#include "node/cli/look.h"

/* A log as [log] file names it: a file with the older generations beside it, or a journal. Returns
 * 0 or an exit status, and then has said why on standard error. */
int gv_look_read_log(struct gv_look *look, const char *source, uint64_t since_ms, uint64_t now_ms);

/* Runs `postqueue -j`, or where there is none `exim -bp`. */
int gv_look_read_queue(struct gv_look *look, uint64_t now_ms);

#endif
