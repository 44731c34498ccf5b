#include "proto/wire/messages.h"

#include <string.h>

#include "crypto/error.h"
#include "proto/wire/record.h"

const char *gv_goodbye_text(unsigned reason)
{
    static const char *const texts[] = {"it stops",
                                        "it already has a session with this node",
                                        "it has no room",
                                        "it received something that is not valid",
                                        "it holds a revocation of this node's certificate",
                                        "the session is a day old"};

    return reason <= GV_GOODBYE_MAX ? texts[reason] : "for a reason unknown here";
}

/* ---- reading -------------------------------------------------------------------------------- */

static void read_hello(struct gv_message *out, struct gv_reader *reader)
{
    out->version = (uint32_t)gv_get_u64(reader, UINT32_MAX);
    out->number = gv_get_u64(reader, INT64_MAX);
    out->agent = gv_get_str(reader, &out->agent_len, GV_AGENT_MAX);
}

static void read_records(struct gv_message *out, struct gv_reader *reader)
{
    struct gv_array_mark mark;

    out->record_count = gv_enter_array(reader, &mark, GV_RECORDS_PER_MESSAGE);
    for (uint32_t i = 0; i < out->record_count; i++)
        out->records[i].data = gv_get_bin(reader, &out->records[i].len, 2, GV_RECORD_MAX);
    gv_leave_array(reader, &mark);
}

static void read_ids(struct gv_message *out, struct gv_reader *reader)
{
    size_t len;

    out->ids = gv_get_bin(reader, &len, GV_ID_LEN, GV_IDS_PER_MESSAGE * GV_ID_LEN);
    if (len % GV_ID_LEN != 0)
        reader->error = GV_ERR_MALFORMED;
    out->id_count = len / GV_ID_LEN;
}

static void read_trees(struct gv_message *out, struct gv_reader *reader)
{
    out->trees = (uint8_t)gv_get_u64(reader, UINT8_MAX);
}

static void read_marks(struct gv_message *out, struct gv_reader *reader, size_t least)
{
    size_t len;

    out->marks = gv_get_bin(reader, &len, least, GV_IDS_PER_MESSAGE * GV_MARK_LEN);
    if (len % GV_MARK_LEN != 0)
        reader->error = GV_ERR_MALFORMED;
    out->mark_count = len / GV_MARK_LEN;
}

static void read_subject(struct gv_message *out, struct gv_reader *reader)
{
    size_t len;
    const uint8_t *bytes = gv_get_bin(reader, &len, 4, 8);

    memset(&out->subject, 0, sizeof out->subject);
    if (!bytes || (len != 4 && len != 8)) {
        reader->error = reader->error == GV_OK ? GV_ERR_MALFORMED : reader->error;
        return;
    }
    out->subject.family = len == 4 ? GV_FAMILY_IPV4 : GV_FAMILY_IPV6;
    memcpy(out->subject.bytes, bytes, len);
}

static int compare_keys(const struct gv_key *a, const struct gv_key *b)
{
    if (a->minute != b->minute)
        return a->minute < b->minute ? -1 : 1;
    return memcmp(a->id, b->id, GV_ID_LEN);
}

static void read_range(struct gv_range *range, struct gv_reader *reader)
{
    struct gv_array_mark mark;
    const uint8_t *high;
    size_t high_len, len;

    memset(range, 0, sizeof *range);
    gv_enter_array(reader, &mark, 4);
    range->high.minute = (uint32_t)gv_get_u64(reader, UINT32_MAX);
    high = gv_get_bin(reader, &high_len, 0, GV_ID_LEN);
    if (high)
        memcpy(range->high.id, high, high_len);
    range->mode = (enum gv_range_mode)gv_get_u64(reader, GV_RANGE_IDS);
    range->data = gv_get_bin(reader, &len, 0, GV_MESSAGE_MAX);
    gv_leave_array(reader, &mark);
    range->count = len / GV_ID_LEN;
    if ((range->mode == GV_RANGE_SKIP && len != 0) ||
        (range->mode == GV_RANGE_FINGERPRINT && len != GV_ID_LEN) || len % GV_ID_LEN != 0)
        reader->error = GV_ERR_MALFORMED;
}

/* Ranges must go up: one that went back would make the answer as long as the sender likes. */
static void read_reconcile(struct gv_message *out, struct gv_reader *reader)
{
    struct gv_array_mark mark;
    struct gv_key low = {0};

    out->tree = (enum gv_tree)gv_get_u64(reader, GV_TREE_COUNT - 1);
    out->low_minute = (uint32_t)gv_get_u64(reader, UINT32_MAX);
    low.minute = out->low_minute;
    out->range_count = gv_enter_array(reader, &mark, GV_RANGES_MAX);
    for (uint32_t i = 0; i < out->range_count && reader->error == GV_OK; i++) {
        read_range(&out->ranges[i], reader);
        if (compare_keys(&out->ranges[i].high, &low) < 0)
            reader->error = GV_ERR_MALFORMED;
        low = out->ranges[i].high;
    }
    gv_leave_array(reader, &mark);
}

static void read_locks(struct gv_message *out, struct gv_reader *reader)
{
    struct gv_array_mark all, one;

    out->lock_count = gv_enter_array(reader, &all, GV_LOCKS_PER_MESSAGE);
    for (uint32_t i = 0; i < out->lock_count && reader->error == GV_OK; i++) {
        struct gv_told_lock *lock = &out->locks[i];
        size_t len;
        gv_enter_array(reader, &one, 2);
        const uint8_t *bytes = gv_get_bin(reader, &len, 4, sizeof lock->subject.bytes);
        memset(lock, 0, sizeof *lock);
        if (bytes && (len == 4 || len == sizeof lock->subject.bytes)) {
            lock->subject.family = len == 4 ? GV_FAMILY_IPV4 : GV_FAMILY_IPV6;
            memcpy(lock->subject.bytes, bytes, len);
        } else {
            reader->error = GV_ERR_MALFORMED;
        }
        lock->seconds = (uint32_t)gv_get_u64(reader, GV_LOCK_TOLD_MAX_S);
        gv_leave_array(reader, &one);
    }
    gv_leave_array(reader, &all);
}

static void read_flow(struct gv_message *out, struct gv_reader *reader)
{
    out->flow.size = (uint8_t)gv_get_u64(reader, GV_FLOW_SIZE_MAX);
    out->flow.bounced = (uint8_t)gv_get_u64(reader, GV_FLOW_PERCENT);
    out->flow.deferred = (uint8_t)gv_get_u64(reader, GV_FLOW_PERCENT);
    out->flow.rejected = (uint8_t)gv_get_u64(reader, GV_FLOW_PERCENT);
    if (reader->error == GV_OK && out->flow.size < GV_FLOW_SIZE_MIN)
        reader->error = GV_ERR_MALFORMED;
}

int gv_message_read(struct gv_message *out, size_t *used, const uint8_t *data, size_t len)
{
    struct gv_reader reader;
    int rc = gv_reader_open(&reader, used, data, len);

    if (rc != GV_OK)
        goto out;
    out->kind = (enum gv_message_kind)gv_get_u64(&reader, INT32_MAX);
    switch (out->kind) {
    case GV_MESSAGE_HELLO:
        read_hello(out, &reader);
        break;
    case GV_MESSAGE_PING:
    case GV_MESSAGE_PONG:
        out->number = gv_get_u64(&reader, UINT64_MAX);
        break;
    case GV_MESSAGE_ERRAND:
        break;
    case GV_MESSAGE_ASK:
        read_subject(out, &reader);
        break;
    case GV_MESSAGE_RECORDS:
    case GV_MESSAGE_WHISPER:
        read_records(out, &reader);
        break;
    case GV_MESSAGE_ACK:
    case GV_MESSAGE_WANT:
        read_ids(out, &reader);
        break;
    case GV_MESSAGE_RECONCILE:
        read_reconcile(out, &reader);
        break;
    case GV_MESSAGE_PRUNE:
        read_trees(out, &reader);
        break;
    case GV_MESSAGE_OFFER:
        read_marks(out, &reader, GV_MARK_LEN);
        break;
    case GV_MESSAGE_GRAFT:
        read_trees(out, &reader);
        read_marks(out, &reader, 0);
        break;
    case GV_MESSAGE_GOODBYE:
        out->number = gv_get_u64(&reader, UINT8_MAX);
        break;
    case GV_MESSAGE_FOLLOW:
        out->number = gv_get_u64(&reader, 1);
        break;
    case GV_MESSAGE_LOCKS:
        read_locks(out, &reader);
        break;
    case GV_MESSAGE_FLOW:
        read_flow(out, &reader);
        break;
    default:
        rc = reader.error == GV_OK ? GV_ERR_PROTOCOL : reader.error;
        goto out;
    }
    rc = gv_reader_done(&reader);
out:
    gv_reader_close(&reader);
    return rc;
}

/* ---- writing -------------------------------------------------------------------------------- */

void gv_message_hello(struct gv_buf *out, uint32_t version, uint64_t unix_ms, const char *agent)
{
    gv_put_array(out, 4);
    gv_put_u64(out, GV_MESSAGE_HELLO);
    gv_put_u64(out, version);
    gv_put_u64(out, unix_ms);
    gv_put_str(out, agent, strlen(agent));
}

void gv_message_ping(struct gv_buf *out, enum gv_message_kind kind, uint64_t number)
{
    gv_put_array(out, 2);
    gv_put_u64(out, kind);
    gv_put_u64(out, number);
}

void gv_message_records_start(struct gv_buf *out, uint32_t record_count)
{
    gv_put_array(out, 2);
    gv_put_u64(out, GV_MESSAGE_RECORDS);
    gv_put_array(out, record_count);
}

void gv_message_whisper_start(struct gv_buf *out, uint32_t record_count)
{
    gv_put_array(out, 2);
    gv_put_u64(out, GV_MESSAGE_WHISPER);
    gv_put_array(out, record_count);
}

void gv_message_errand(struct gv_buf *out)
{
    gv_put_array(out, 1);
    gv_put_u64(out, GV_MESSAGE_ERRAND);
}

void gv_message_ask(struct gv_buf *out, const struct gv_subject *subject)
{
    gv_put_array(out, 2);
    gv_put_u64(out, GV_MESSAGE_ASK);
    gv_put_bin(out, subject->bytes, subject->family == GV_FAMILY_IPV4 ? 4 : 8);
}

void gv_message_record(struct gv_buf *out, const uint8_t *record, size_t len)
{
    gv_put_bin(out, record, len);
}

void gv_message_ids(struct gv_buf *out, enum gv_message_kind kind, const uint8_t *ids,
                    size_t id_count)
{
    gv_put_array(out, 2);
    gv_put_u64(out, kind);
    gv_put_bin(out, ids, id_count * GV_ID_LEN);
}

static size_t significant(const uint8_t id[GV_ID_LEN])
{
    size_t len = GV_ID_LEN;

    while (len > 0 && id[len - 1] == 0)
        len--;
    return len;
}

void gv_message_reconcile(struct gv_buf *out, enum gv_tree tree, uint32_t low_minute,
                          const struct gv_range *ranges, uint32_t range_count)
{
    gv_put_array(out, 4);
    gv_put_u64(out, GV_MESSAGE_RECONCILE);
    gv_put_u64(out, tree);
    gv_put_u64(out, low_minute);
    gv_put_array(out, range_count);
    for (uint32_t i = 0; i < range_count; i++) {
        const struct gv_range *range = &ranges[i];
        size_t len = range->mode == GV_RANGE_SKIP          ? 0
                     : range->mode == GV_RANGE_FINGERPRINT ? GV_ID_LEN
                                                           : range->count * GV_ID_LEN;
        gv_put_array(out, 4);
        gv_put_u64(out, range->high.minute);
        gv_put_bin(out, range->high.id, significant(range->high.id));
        gv_put_u64(out, range->mode);
        gv_put_bin(out, range->data, len);
    }
}

void gv_message_prune(struct gv_buf *out, uint8_t trees)
{
    gv_put_array(out, 2);
    gv_put_u64(out, GV_MESSAGE_PRUNE);
    gv_put_u64(out, trees);
}

void gv_message_offer(struct gv_buf *out, const uint8_t *marks, size_t mark_count)
{
    gv_put_array(out, 2);
    gv_put_u64(out, GV_MESSAGE_OFFER);
    gv_put_bin(out, marks, mark_count * GV_MARK_LEN);
}

void gv_message_graft(struct gv_buf *out, uint8_t trees, const uint8_t *marks, size_t mark_count)
{
    gv_put_array(out, 3);
    gv_put_u64(out, GV_MESSAGE_GRAFT);
    gv_put_u64(out, trees);
    gv_put_bin(out, marks, mark_count * GV_MARK_LEN);
}

void gv_message_goodbye(struct gv_buf *out, enum gv_goodbye reason)
{
    gv_put_array(out, 2);
    gv_put_u64(out, GV_MESSAGE_GOODBYE);
    gv_put_u64(out, reason);
}

void gv_message_follow(struct gv_buf *out, bool follow)
{
    gv_put_array(out, 2);
    gv_put_u64(out, GV_MESSAGE_FOLLOW);
    gv_put_u64(out, follow);
}

void gv_message_flow(struct gv_buf *out, const struct gv_flow *flow)
{
    gv_put_array(out, 5);
    gv_put_u64(out, GV_MESSAGE_FLOW);
    gv_put_u64(out, flow->size);
    gv_put_u64(out, flow->bounced);
    gv_put_u64(out, flow->deferred);
    gv_put_u64(out, flow->rejected);
}

void gv_message_locks(struct gv_buf *out, const struct gv_told_lock *locks, uint32_t lock_count)
{
    gv_put_array(out, 2);
    gv_put_u64(out, GV_MESSAGE_LOCKS);
    gv_put_array(out, lock_count);
    for (uint32_t i = 0; i < lock_count; i++) {
        gv_put_array(out, 2);
        gv_put_bin(out, locks[i].subject.bytes,
                   locks[i].subject.family == GV_FAMILY_IPV4 ? 4 : sizeof locks[i].subject.bytes);
        gv_put_u64(out, locks[i].seconds);
    }
}
