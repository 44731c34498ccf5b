/* Several lines, one observation, for Cyrus and Courier. Every failure has a line of its own there,
 * but no line says where a connection begins or ends that every log has; and what tells a broken
 * backend from a wrong password is another line, which has no address (SPEC 10.3). */
#ifndef GV_INGEST_MAILBOX_H
#define GV_INGEST_MAILBOX_H

#include "node/ingest/assemble.h"
#include "node/ingest/hints.h"

#define GV_MAILBOX_VISITS 1024 /* connections that are told apart */
#define GV_MAILBOX_HELD   4    /* failures of the same second that wait */

struct gv_mailbox_visit {
    uint64_t key; /* 0: free */
    uint64_t ms;  /* its last observation */
};

/* A failure of Courier's that the next lines may take back. */
struct gv_mailbox_held {
    struct gv_reading reading;
    uint64_t origin; /* which program on which host said it */
    uint64_t connection;
};

struct gv_mailbox {
    struct gv_mailbox_visit visits[GV_MAILBOX_VISITS];
    struct gv_mailbox_held held[GV_MAILBOX_HELD]; /* oldest first */
    uint32_t held_count;
    uint32_t troubles; /* Courier's esmtpd could not ask its backend so often, last at trouble_ms */
    uint64_t trouble_ms;
    bool quotes; /* Courier's imapd lets clients write lines here */
};

/* Writes at most GV_MAILBOX_HELD + 1 readings; returns how many. `faults` as gv_assemble; `hints`:
 * what saslauthd said. */
size_t gv_mailbox_take(struct gv_mailbox *mailbox, struct gv_reading *out, uint64_t *faults,
                       struct gv_hints *hints, const struct gv_parsed *parsed,
                       const struct gv_moment *moment);

/* What is held and older than `ms` by more than a second counts: no line took it back. At most
 * GV_MAILBOX_HELD readings. */
size_t gv_mailbox_release(struct gv_mailbox *mailbox, struct gv_reading *out, uint64_t ms);

/* See gv_reader_erase. */
void gv_mailbox_erase(struct gv_mailbox *mailbox, const struct gv_subject *subject);

#endif
