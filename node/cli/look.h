/* What `grapevine investigate` finds: lines of the mail log, or of `postqueue -j`, in; who stands
 * out, out. Pure: no file and no clock; memory is fixed; all of it is wiped at the end. (SPEC 15.2)
 */
#ifndef GV_NODE_CLI_LOOK_H
#define GV_NODE_CLI_LOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/cli/look_tally.h"

enum gv_look_view {
    GV_LOOK_TOP_SENDERS = 0,
    GV_LOOK_QUEUE,
    GV_LOOK_LOGINS,
    GV_LOOK_NAMES,
    GV_LOOK_VIEWS
};
extern const char *const gv_look_views[GV_LOOK_VIEWS];

/* What the views are made of. */
enum gv_look_table {
    GV_LOOK_ACCOUNTS = 0, /* who logged in to send; of the queue: senders; of logins: accounts */
    GV_LOOK_OTHERS,       /* senders without a login; of the queue: the domains it is for */
    GV_LOOK_REASONS,      /* of the queue: why it is there; of names: patterns */
    GV_LOOK_TABLES
};

struct gv_look_counters {
    uint64_t lines, matched; /* of the time that was asked for */
    uint64_t skipped;        /* too long, or no message of postqueue's */
    uint64_t first_ms, last_ms;
};

struct gv_look;

/* Lines before since_ms count nothing. NULL: out of memory. At most 12 MB. */
struct gv_look *gv_look_new(enum gv_look_view view, const uint8_t key[16], uint64_t since_ms);
void gv_look_free(struct gv_look *look);

/* A line of the log, without its newline. Another file begins: gv_look_file. */
void gv_look_line(struct gv_look *look, const char *line, size_t len, uint64_t now_ms);
void gv_look_file(struct gv_look *look);
/* A line of `postqueue -j`; of `exim -bp`, which says how old a message is. */
void gv_look_queued(struct gv_look *look, const char *line, size_t len);
void gv_look_exim_queued(struct gv_look *look, const char *line, size_t len, uint64_t now_ms);
void gv_look_skip(struct gv_look *look);

const struct gv_look_counters *gv_look_counters(const struct gv_look *look);
const struct gv_tally *gv_look_tally(const struct gv_look *look, enum gv_look_table table);

/* A name without what numbers it: "bob17@x.example" is "bob#@x.example". Returns its length; 0: no
 * digit is before the '@'. */
size_t gv_look_pattern(char out[GV_TALLY_NAME], const char *name, size_t len);

#endif
