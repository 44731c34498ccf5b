/* The messages of a session: each a msgpack array that begins with its number (SPEC 7). Decoded
 * messages borrow from the bytes they were read from. */
#ifndef GV_PROTO_WIRE_MESSAGES_H
#define GV_PROTO_WIRE_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/buf.h"
#include "proto/flow.h"
#include "proto/limits.h"
#include "proto/subject.h"
#include "crypto/hash.h"
#include "proto/subject.h"
#include "proto/wire/codec.h"

enum gv_message_kind {
    GV_MESSAGE_HELLO = 1,   /* [1, version, unix ms, agent str] */
    GV_MESSAGE_PING = 2,    /* [2, number] */
    GV_MESSAGE_PONG = 3,    /* [3, number] */
    GV_MESSAGE_RECORDS = 4, /* [4, [record bin, ...]] */
    GV_MESSAGE_ACK = 5,     /* [5, ids bin]: records of the receiver's own, now held here */
    GV_MESSAGE_WANT = 6,    /* [6, ids bin]: please send these */
    GV_MESSAGE_RECONCILE =
        7, /* [7, tree, low minute, [[high minute, high id bin, mode, bin], ...]] */
    GV_MESSAGE_GOODBYE = 8,  /* [8, reason] */
    GV_MESSAGE_PRUNE = 9,    /* [9, trees]: push nothing of these trees to me */
    GV_MESSAGE_OFFER = 10,   /* [10, marks bin]: these I passed on to others */
    GV_MESSAGE_GRAFT = 11,   /* [11, trees, marks bin]: push these trees, and send me these */
    GV_MESSAGE_ERRAND = 12,  /* [12]: this session neither spreads nor repairs */
    GV_MESSAGE_WHISPER = 13, /* [13, [record bin, ...]]: statements that are not public */
    GV_MESSAGE_ASK = 14,     /* [14, subject bin4|8]: what do you hold of it? */
    GV_MESSAGE_FOLLOW = 16,  /* [16, 0|1]: please tell me your locks (SPEC 9.8) */
    GV_MESSAGE_LOCKS = 17,   /* [17, [[subject bin 4|8, seconds], ...]] */
    GV_MESSAGE_FLOW = 18     /* [18, size, bounced, deferred, rejected] (SPEC 9.11) */
};
#define GV_MESSAGE_LAST GV_MESSAGE_FLOW

enum gv_goodbye {
    GV_GOODBYE_STOPPING = 0,
    GV_GOODBYE_DUPLICATE = 1, /* another session of the same two */
    GV_GOODBYE_BUSY = 2,
    GV_GOODBYE_INVALID = 3, /* something sent here was not valid */
    GV_GOODBYE_REVOKED = 4,
    GV_GOODBYE_RENEW = 5, /* the session is a day old: again, please */
    GV_GOODBYE_MAX = 5
};
const char *gv_goodbye_text(unsigned reason);

/* The two that everybody shares; what keepers keep is held in a third, and never compared. */
enum gv_tree {
    GV_TREE_ROSTER = 0,
    GV_TREE_STATEMENTS = 1,
    GV_TREE_COUNT = 2,
    GV_TREE_KEPT = 2,
    GV_TREES_HELD = 3
};

enum gv_range_mode { GV_RANGE_SKIP = 0, GV_RANGE_FINGERPRINT = 1, GV_RANGE_IDS = 2 };

/* A place in a tree's order: minute, then id. */
struct gv_key {
    uint32_t minute;
    uint8_t id[GV_ID_LEN];
};

/* A range goes from the end of the one before (the first from low) up to, not including, high. An
 * empty high id means all zeros; minute UINT32_MAX with it, the end of everything. */
struct gv_range {
    struct gv_key high;
    enum gv_range_mode mode;
    const uint8_t *data; /* FINGERPRINT: 16 bytes. IDS: count * 16. */
    size_t count;        /* IDS */
};

/* What the sender has locked. */
struct gv_told_lock {
    struct gv_subject subject;
    uint32_t seconds; /* for so long from now; 0: not any more */
};

#define GV_RANGES_MAX 512u /* of a message of GV_MESSAGE_MAX: at least 24 bytes each */

struct gv_message {
    enum gv_message_kind kind;
    uint64_t number;   /* PING, PONG; HELLO: unix ms; GOODBYE: reason; FOLLOW: 0, 1 */
    uint32_t version;  /* HELLO */
    const char *agent; /* HELLO, not terminated */
    size_t agent_len;
    const uint8_t *ids; /* ACK, WANT */
    size_t id_count;
    uint8_t trees;        /* PRUNE, GRAFT: bits */
    const uint8_t *marks; /* OFFER, GRAFT: beginnings of ids, GV_MARK_LEN each */
    size_t mark_count;
    struct gv_subject subject; /* ASK */
    uint32_t record_count;     /* RECORDS, WHISPER */
    struct {
        const uint8_t *data;
        size_t len;
    } records[GV_RECORDS_PER_MESSAGE];
    enum gv_tree tree; /* RECONCILE */
    uint32_t low_minute;
    uint32_t range_count;
    struct gv_range ranges[GV_RANGES_MAX];
    struct gv_flow flow; /* FLOW */
    uint32_t lock_count; /* LOCKS */
    struct gv_told_lock locks[GV_LOCKS_PER_MESSAGE];
};

/* Reads the first message of data; *used is its length. The message borrows from data. Returns
 * GV_OK, GV_ERR_MALFORMED, GV_ERR_PROTOCOL (unknown number) or GV_ERR_MEMORY. */
int gv_message_read(struct gv_message *out, size_t *used, const uint8_t *data, size_t len);

void gv_message_hello(struct gv_buf *out, uint32_t version, uint64_t unix_ms, const char *agent);
void gv_message_ping(struct gv_buf *out, enum gv_message_kind kind, uint64_t number);
/* items: record_count times data and length. */
void gv_message_records_start(struct gv_buf *out, uint32_t record_count);
void gv_message_whisper_start(struct gv_buf *out, uint32_t record_count);
void gv_message_record(struct gv_buf *out, const uint8_t *record, size_t len);
void gv_message_ids(struct gv_buf *out, enum gv_message_kind kind, const uint8_t *ids,
                    size_t id_count);
void gv_message_reconcile(struct gv_buf *out, enum gv_tree tree, uint32_t low_minute,
                          const struct gv_range *ranges, uint32_t range_count);
void gv_message_prune(struct gv_buf *out, uint8_t trees);
void gv_message_offer(struct gv_buf *out, const uint8_t *marks, size_t mark_count);
void gv_message_graft(struct gv_buf *out, uint8_t trees, const uint8_t *marks, size_t mark_count);
void gv_message_errand(struct gv_buf *out);
void gv_message_ask(struct gv_buf *out, const struct gv_subject *subject);
void gv_message_goodbye(struct gv_buf *out, enum gv_goodbye reason);
void gv_message_follow(struct gv_buf *out, bool follow);
void gv_message_flow(struct gv_buf *out, const struct gv_flow *flow);
void gv_message_locks(struct gv_buf *out, const struct gv_told_lock *locks, uint32_t lock_count);

#endif
