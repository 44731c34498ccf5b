/* What Exim's log and its queue say, for `grapevine investigate` (log.c, receive.c, deliver.c and
 * queue.c of 4.96). Pure; borrows from the line. */
#ifndef GV_NODE_CLI_LOOK_EXIM_H
#define GV_NODE_CLI_LOOK_EXIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/ingest/parse.h"

enum gv_exim_said {
    GV_EXIM_CAME,    /* "<=": with `address`, its sender, and its size */
    GV_EXIM_SETTLED, /* "=>", "->", ">>", "**": a recipient was served or given up */
    GV_EXIM_DONE     /* "Completed" */
};

struct gv_exim_fact {
    enum gv_exim_said said;
    struct gv_span id, address;
    uint64_t bytes;
};
/* The text of a line, with Exim's own stamp and pid or without. False: it says nothing of that. */
bool gv_exim_fact(struct gv_exim_fact *out, const char *text, size_t len);

enum gv_exim_queue { GV_EXIM_QUEUE_MESSAGE, GV_EXIM_QUEUE_RECIPIENT, GV_EXIM_QUEUE_OTHER };
struct gv_exim_queued {
    struct gv_span address; /* of the sender ("" is a bounce), or of one that waits */
    uint64_t age_s, bytes;
    bool frozen;
};
/* A line of `exim -bp`. Recipients that were served already are GV_EXIM_QUEUE_OTHER. */
enum gv_exim_queue gv_exim_queued(struct gv_exim_queued *out, const char *line, size_t len);

#endif
