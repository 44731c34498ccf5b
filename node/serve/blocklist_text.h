/* A block list as bytes. Pure, and run in a thread. */
#ifndef GV_NODE_SERVE_BLOCKLIST_TEXT_H
#define GV_NODE_SERVE_BLOCKLIST_TEXT_H

#include "node/serve/ranges.h"
#include "proto/buf.h"
#include "proto/subject.h"

enum gv_blocklist_format {
    GV_BLOCKLIST_TEXT, /* an address or range a line */
    GV_BLOCKLIST_JSON,
    GV_BLOCKLIST_CIDR, /* Postfix cidr_table(5) */
    GV_BLOCKLIST_MAP,  /* rspamd: as text, with a comment that says what it is */
    GV_BLOCKLIST_FORMATS
};

struct gv_blocklist_entries {
    bool untrusted; /* the list for scoring, not the one for refusing */
    struct gv_subject *subjects;
    size_t subject_count;
    struct gv_range_rule *rules; /* of the admin's lists */
    size_t rule_count;
};

/* Sorts both, then appends: what the rules refuse, and the subjects that no such range has, in one
 * order. out->failed when out of memory. */
void gv_blocklist_write(struct gv_buf *out, enum gv_blocklist_format format,
                        struct gv_blocklist_entries *entries);

const char *gv_blocklist_type(enum gv_blocklist_format format); /* the media type */

#endif
