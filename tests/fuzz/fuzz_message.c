/* Messages (SPEC 7) out of arbitrary bytes, and the codec below them (SPEC 2.4). What is read is
 * written again and must give the same bytes: one message has one encoding. The reader is driven by
 * the second half of the input, in any order of calls. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/wire/codec.h"
#include "proto/wire/messages.h"
#include "proto/wire/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_again(struct gv_buf *out, const struct gv_message *m)
{
    char agent[GV_AGENT_MAX + 1] = {0};

    switch (m->kind) {
    case GV_MESSAGE_HELLO:
        if (m->agent_len > 0)
            memcpy(agent, m->agent, m->agent_len);
        gv_message_hello(out, m->version, m->number, agent);
        break;
    case GV_MESSAGE_PING:
    case GV_MESSAGE_PONG:
        gv_message_ping(out, m->kind, m->number);
        break;
    case GV_MESSAGE_RECORDS:
        gv_message_records_start(out, m->record_count);
        for (uint32_t i = 0; i < m->record_count; i++)
            gv_message_record(out, m->records[i].data, m->records[i].len);
        break;
    case GV_MESSAGE_ACK:
    case GV_MESSAGE_WANT:
        gv_message_ids(out, m->kind, m->ids, m->id_count);
        break;
    case GV_MESSAGE_RECONCILE:
        gv_message_reconcile(out, m->tree, m->low_minute, m->ranges, m->range_count);
        break;
    case GV_MESSAGE_ERRAND:
        gv_message_errand(out);
        break;
    case GV_MESSAGE_ASK:
        gv_message_ask(out, &m->subject);
        break;
    case GV_MESSAGE_WHISPER:
        gv_message_whisper_start(out, m->record_count);
        for (uint32_t i = 0; i < m->record_count; i++)
            gv_message_record(out, m->records[i].data, m->records[i].len);
        break;
    case GV_MESSAGE_PRUNE:
        gv_message_prune(out, m->trees);
        break;
    case GV_MESSAGE_OFFER:
        gv_message_offer(out, m->marks, m->mark_count);
        break;
    case GV_MESSAGE_GRAFT:
        gv_message_graft(out, m->trees, m->marks, m->mark_count);
        break;
    case GV_MESSAGE_GOODBYE:
        gv_message_goodbye(out, (enum gv_goodbye)m->number);
        break;
    case GV_MESSAGE_FOLLOW:
        gv_message_follow(out, m->number == 1);
        break;
    case GV_MESSAGE_FLOW:
        gv_message_flow(out, &m->flow);
        break;
    case GV_MESSAGE_LOCKS:
        gv_message_locks(out, m->locks, m->lock_count);
        break;
    }
}

/* A high id may come with zeros at its end; we write it without. A HELLO with a zero byte in the
 * agent is not written again. */
static bool has_one_form(const struct gv_message *m)
{
    if (m->kind == GV_MESSAGE_HELLO)
        return m->agent_len == 0 || !memchr(m->agent, 0, m->agent_len);
    return m->kind != GV_MESSAGE_RECONCILE;
}

static void check_message(const uint8_t *data, size_t size)
{
    static struct gv_message m, again;
    struct gv_buf out;
    size_t used = 0, used_again = 0;

    if (gv_message_read(&m, &used, data, size) != GV_OK)
        return;
    gv_assert(used > 0 && used <= size);
    gv_assert(m.kind >= GV_MESSAGE_HELLO && m.kind <= GV_MESSAGE_LAST);
    gv_assert(m.lock_count <= GV_LOCKS_PER_MESSAGE || m.kind != GV_MESSAGE_LOCKS);
    gv_assert(m.record_count <= GV_RECORDS_PER_MESSAGE ||
              (m.kind != GV_MESSAGE_RECORDS && m.kind != GV_MESSAGE_WHISPER));
    gv_buf_init(&out);
    write_again(&out, &m);
    gv_assert(gv_message_read(&again, &used_again, out.data, out.len) == GV_OK);
    gv_assert(used_again == out.len && again.kind == m.kind);
    if (has_one_form(&m))
        gv_assert(out.len == used && memcmp(out.data, data, used) == 0);
    gv_buf_free(&out);
    if (m.kind == GV_MESSAGE_RECORDS || m.kind == GV_MESSAGE_WHISPER)
        for (uint32_t i = 0; i < m.record_count; i++) {
            uint8_t id[GV_ID_LEN];
            (void)gv_record_id(id, m.records[i].data, m.records[i].len);
        }
}

static void drive_reader(const uint8_t *orders, size_t count, const uint8_t *data, size_t size)
{
    struct gv_reader reader;
    struct gv_array_mark marks[8];
    size_t depth = 0, len = 0;
    uint8_t exact[16];

    int rc = gv_reader_open(&reader, NULL, data, size);
    for (size_t i = 0; i < count; i++) {
        int before = reader.error;
        switch (orders[i] % 6) {
        case 0:
            gv_assert(gv_get_u64(&reader, orders[i]) <= orders[i]);
            break;
        case 1: {
            const uint8_t *bin = gv_get_bin(&reader, &len, orders[i] % 4, 64);
            gv_assert(bin ? len <= 64 : len == 0);
            gv_assert(!bin || len == 0 || (bin >= data && bin + len <= data + size));
            break;
        }
        case 2:
            gv_get_bin_exact(&reader, exact, sizeof exact);
            break;
        case 3: {
            const char *text = gv_get_str(&reader, &len, 32);
            gv_assert(text ? len <= 32 : len == 0);
            break;
        }
        case 4:
            if (depth < 8)
                gv_assert(gv_enter_array(&reader, &marks[depth++], orders[i]) <= orders[i]);
            break;
        default:
            if (depth > 0)
                gv_leave_array(&reader, &marks[--depth]);
        }
        gv_assert(before == GV_OK || reader.error == before); /* sticky */
    }
    if (rc != GV_OK)
        gv_assert(gv_reader_done(&reader) == rc);
    gv_reader_close(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t object = 0;

    if (size == 0)
        return 0;
    check_message(data + 1, size - 1);
    if (gv_codec_measure(&object, data + 1, size - 1) == GV_OK)
        gv_assert(object > 0 && object <= size - 1);
    size_t orders = data[0] < size - 1 ? data[0] : size - 1;
    drive_reader(data + 1, orders, data + 1 + orders, size - 1 - orders);
    drive_reader(data + 1, orders, data + 1, size - 1);
    return 0;
}
