/* A forger: makes messages that no honest peer sends, from genuine ones, knowing their structure,
 * so that they get as far into the checks as a forgery can. Of every one it says what must become
 * of its sender. */
#ifndef GV_TESTS_HELPER_FORGE_H
#define GV_TESTS_HELPER_FORGE_H

#include "helper_puppet.h"

struct forger {
    const struct network *network;
    struct gv_drbg drbg;
    uint32_t minute;       /* now, as the core counts it */
    struct puppet *victim; /* somebody whose certificate the core knows; says nothing himself */
    struct puppet *self;   /* whose session it is */
    struct gv_buf known;   /* a genuine record that the core holds, to be replayed; owned */
};

/* What must become of the sender. */
enum forged {
    FORGED_DROPPED, /* an honest peer could have sent it: dropped, and he stays */
    FORGED_GUILTY   /* GOODBYE 3, and out for ten minutes */
};
#define FORGED_DROPPED_KINDS 13
#define FORGED_GUILTY_KINDS  15

/* Appends one message of the kind (0 and on; beyond: any). Returns what it is, for a failure's
 * message. */
const char *forge_dropped(struct forger *forger, struct gv_buf *out, unsigned kind);
const char *forge_guilty(struct forger *forger, struct gv_buf *out, unsigned kind);

/* A signal of the victim's that is right but for its signature: what costs the core most. */
struct gv_buf forged_signal(struct forger *forger);

/* What a frame can suffer on its way. `wire` is one sealed frame; at least its length or a byte of
 * it changes. */
const char *forge_frame(struct forger *forger, struct gv_buf *wire);

#endif
