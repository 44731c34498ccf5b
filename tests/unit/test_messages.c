/* Messages and records as bytes (SPEC 7, 8): round trips, every field at its limits and beyond, cut
 * at every byte. (What a core does about those that are not valid: test_hostile_messages.c.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/wire/messages.h"
#include "proto/wire/record.h"

static struct gv_message message;
static struct gv_buf out;

static int stage_up(void **state)
{
    gv_buf_init(&out);
    memset(&message, 0, sizeof message);
    return 0;
}

static int stage_down(void **state)
{
    gv_buf_free(&out);
    return 0;
}

static void assert_read(enum gv_message_kind kind)
{
    size_t used = 0;

    assert_false(out.failed);
    assert_int_equal(gv_message_read(&message, &used, out.data, out.len), GV_OK);
    assert_int_equal(used, out.len);
    assert_int_equal(message.kind, kind);
}

/* Nothing that is cut reads as a message, and no byte after the cut is looked at. */
static void assert_not_cut(void)
{
    for (size_t cut = 0; cut < out.len; cut++) {
        size_t used;
        uint8_t *exact = malloc(cut ? cut : 1);
        assert_non_null(exact);
        if (cut)
            memcpy(exact, out.data, cut);
        assert_int_equal(gv_message_read(&message, &used, exact, cut), GV_ERR_MALFORMED);
        free(exact);
    }
}

static void hello_goes_round(void **state)
{
    char agent[GV_AGENT_MAX + 2];
    size_t used;

    for (size_t len = 0; len <= GV_AGENT_MAX + 1; len++) {
        memset(agent, 'a', len);
        agent[len] = '\0';
        gv_buf_clear(&out);
        gv_message_hello(&out, GV_PROTOCOL_VERSION, INT64_MAX, agent);
        if (len > GV_AGENT_MAX) {
            assert_int_equal(gv_message_read(&message, &used, out.data, out.len), GV_ERR_MALFORMED);
            break;
        }
        assert_read(GV_MESSAGE_HELLO);
        assert_true(message.number == INT64_MAX);
        assert_int_equal(message.version, GV_PROTOCOL_VERSION);
        assert_int_equal(message.agent_len, len);
        if (len)
            assert_memory_equal(message.agent, agent, len);
        assert_not_cut();
    }
}

static void numbers_go_round(void **state)
{
    static const uint64_t numbers[] = {0, 127, 128, UINT32_MAX, 1ull << 32, UINT64_MAX};

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        for (int kind = GV_MESSAGE_PING; kind <= GV_MESSAGE_PONG; kind++) {
            gv_buf_clear(&out);
            gv_message_ping(&out, (enum gv_message_kind)kind, numbers[i]);
            assert_read((enum gv_message_kind)kind);
            assert_true(message.number == numbers[i]);
            assert_not_cut();
        }
}

static void goodbyes_go_round(void **state)
{
    for (unsigned reason = 0; reason <= GV_GOODBYE_MAX; reason++) {
        gv_buf_clear(&out);
        gv_message_goodbye(&out, (enum gv_goodbye)reason);
        assert_read(GV_MESSAGE_GOODBYE);
        assert_int_equal(message.number, reason);
        assert_string_not_equal(gv_goodbye_text(reason), gv_goodbye_text(GV_GOODBYE_MAX + 1));
    }
}

static void locks_go_round(void **state)
{
    static struct gv_told_lock locks[GV_LOCKS_PER_MESSAGE];

    for (uint32_t i = 0; i < GV_LOCKS_PER_MESSAGE; i++)
        locks[i] = (struct gv_told_lock){
            {i % 2 ? GV_FAMILY_IPV6 : GV_FAMILY_IPV4, {1, 2, (uint8_t)(i >> 8), (uint8_t)i}},
            i * 14};
    for (uint32_t count = 0; count <= GV_LOCKS_PER_MESSAGE; count += count < 3 ? 1 : 23) {
        gv_buf_clear(&out);
        gv_message_locks(&out, locks, count);
        assert_read(GV_MESSAGE_LOCKS);
        assert_int_equal(message.lock_count, count);
        if (count)
            assert_memory_equal(message.locks, locks, count * sizeof *locks);
        if (count < 3)
            assert_not_cut();
    }
    for (int on = 0; on < 2; on++) {
        gv_buf_clear(&out);
        gv_message_follow(&out, on);
        assert_read(GV_MESSAGE_FOLLOW);
        assert_int_equal(message.number, on);
        assert_not_cut();
    }
}

static void ids_go_round(void **state)
{
    static uint8_t ids[(GV_IDS_PER_MESSAGE + 1) * GV_ID_LEN];
    size_t used;

    for (size_t i = 0; i < sizeof ids; i++)
        ids[i] = (uint8_t)(i * 7);
    for (size_t count = 0; count <= GV_IDS_PER_MESSAGE + 1; count += count < 3 ? 1 : 23) {
        bool good = count >= 1 && count <= GV_IDS_PER_MESSAGE;
        gv_buf_clear(&out);
        gv_message_ids(&out, GV_MESSAGE_WANT, ids, count);
        if (!good) {
            assert_int_equal(gv_message_read(&message, &used, out.data, out.len), GV_ERR_MALFORMED);
            continue;
        }
        assert_read(GV_MESSAGE_WANT);
        assert_int_equal(message.id_count, count);
        assert_memory_equal(message.ids, ids, count * GV_ID_LEN);
    }
    assert_not_cut();
}

static void records_go_round(void **state)
{
    static uint8_t record[GV_RECORD_MAX + 1];
    static const size_t lengths[] = {2, 3, 130, 255, 256, GV_RECORD_MAX};
    size_t used;

    gv_message_records_start(&out, sizeof lengths / sizeof *lengths);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        record[0] = (uint8_t)i;
        gv_message_record(&out, record, lengths[i]);
    }
    assert_read(GV_MESSAGE_RECORDS);
    assert_int_equal(message.record_count, sizeof lengths / sizeof *lengths);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        assert_int_equal(message.records[i].len, lengths[i]);
        assert_int_equal(message.records[i].data[0], i);
    }
    for (int i = 0; i < 3; i++) {
        static const size_t bad[] = {0, 1, GV_RECORD_MAX + 1};
        gv_buf_clear(&out);
        gv_message_records_start(&out, 1);
        gv_message_record(&out, record, bad[i]);
        assert_int_equal(gv_message_read(&message, &used, out.data, out.len), GV_ERR_MALFORMED);
    }
}

static void add_ranges(uint32_t count)
{
    static struct gv_range ranges[GV_RANGES_MAX + 1];
    static uint8_t data[4 * GV_ID_LEN] = {1, 2, 3};

    memset(ranges, 0, sizeof ranges);
    for (uint32_t i = 0; i < count; i++) {
        ranges[i].high.minute = i / 2;
        ranges[i].high.id[i % 2 ? 3 : 0] = (uint8_t)(i % 2);
        ranges[i].mode = (enum gv_range_mode)(i % 3);
        ranges[i].data = data;
        ranges[i].count = ranges[i].mode == GV_RANGE_IDS ? i % 5 : 0;
        ranges[i].count = ranges[i].count > 4 ? 4 : ranges[i].count;
    }
    gv_buf_clear(&out);
    gv_message_reconcile(&out, GV_TREE_STATEMENTS, 0, ranges, count);
}

static void reconcile_goes_round(void **state)
{
    size_t used;

    for (uint32_t count = 0; count <= GV_RANGES_MAX; count += count < 10 ? 1 : 251) {
        add_ranges(count);
        assert_read(GV_MESSAGE_RECONCILE);
        assert_int_equal(message.tree, GV_TREE_STATEMENTS);
        assert_int_equal(message.range_count, count);
        for (uint32_t i = 0; i < count; i++) {
            const struct gv_range *range = &message.ranges[i];
            assert_int_equal(range->high.minute, i / 2);
            assert_int_equal(range->high.id[3], i % 2);
            assert_int_equal(range->mode, i % 3);
            if (range->mode == GV_RANGE_IDS)
                assert_int_equal(range->count, i % 5 > 4 ? 4 : i % 5);
        }
    }
    add_ranges(GV_RANGES_MAX + 1);
    assert_int_equal(gv_message_read(&message, &used, out.data, out.len), GV_ERR_MALFORMED);
    add_ranges(9);
    assert_not_cut();
}

/* Each range ends where the one before did, or later. */
static void ranges_go_up(void **state)
{
    static const struct {
        struct gv_key first, second;
        uint32_t low;
        bool good;
    } cases[] = {
        {{5, {0}}, {6, {0}}, 0, true},
        {{5, {0}}, {5, {0}}, 0, true},
        {{5, {1}}, {5, {0, 9}}, 0, false},
        {{6, {0}}, {5, {9}}, 0, false},
        {{5, {0}}, {5, {0, 0, 1}}, 5, true},
        {{4, {255}}, {6, {0}}, 5, false},
        {{5, {0}}, {UINT32_MAX, {0}}, 0, true},
        {{UINT32_MAX, {0}}, {UINT32_MAX, {1}}, UINT32_MAX, true},
        {{UINT32_MAX, {0}}, {0, {0}}, 0, false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gv_range ranges[2] = {{.high = cases[i].first}, {.high = cases[i].second}};
        size_t used;
        gv_buf_clear(&out);
        gv_message_reconcile(&out, GV_TREE_ROSTER, cases[i].low, ranges, 2);
        assert_int_equal(gv_message_read(&message, &used, out.data, out.len),
                         cases[i].good ? GV_OK : GV_ERR_MALFORMED);
    }
}

/* ---- records -------------------------------------------------------------------------------- */

/* The id covers the kind and what is signed; a second signature makes no second record. */
static void a_record_id_leaves_the_signature_out(void **state)
{
    static const struct {
        uint8_t kind;
        size_t len, signature_at, signature_len;
    } kinds[] = {{GV_RECORD_SIGNAL, 120, 1, 64},       {GV_RECORD_RETRACT, 100, 1, 64},
                 {GV_RECORD_FAULT, 200, 0, 0},         {GV_RECORD_REVOCATION, 93, 1, 64},
                 {GV_RECORD_CERTIFICATE, 153, 89, 64}, {GV_RECORD_ADDRESS, 100, 1, 64},
                 {GV_RECORD_DESCRIPTOR, 500, 1, 64},   {GV_RECORD_LOG_HEAD, 118, 1, 64}};

    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        uint8_t record[600] = {kinds[k].kind}, id[GV_ID_LEN], other[GV_ID_LEN];
        assert_int_equal(gv_record_id(id, record, kinds[k].len), GV_OK);
        for (size_t at = 1; at < kinds[k].len; at++) {
            bool signature =
                at >= kinds[k].signature_at && at < kinds[k].signature_at + kinds[k].signature_len;
            record[at] ^= 1;
            assert_int_equal(gv_record_id(other, record, kinds[k].len), GV_OK);
            assert_int_equal(memcmp(id, other, GV_ID_LEN) == 0, signature);
            record[at] ^= 1;
        }
    }
}

static void what_is_no_record_has_no_id(void **state)
{
    static uint8_t record[GV_RECORD_MAX + 1];
    uint8_t id[GV_ID_LEN];

    for (unsigned kind = 0; kind < 256; kind++) {
        record[0] = (uint8_t)kind;
        assert_int_equal(gv_record_id(id, record, 0), GV_ERR_MALFORMED);
        assert_int_equal(gv_record_id(id, record, 1), GV_ERR_MALFORMED);
        assert_int_equal(gv_record_id(id, record, GV_RECORD_MAX + 1), GV_ERR_MALFORMED);
        bool known = kind >= GV_RECORD_SIGNAL && kind <= GV_RECORD_LOG_HEAD;
        if (!known)
            assert_int_equal(gv_record_id(id, record, 153), GV_ERR_MALFORMED);
        else if (kind != GV_RECORD_FAULT && kind != GV_RECORD_CERTIFICATE) {
            assert_int_equal(gv_record_id(id, record, 65), GV_ERR_MALFORMED);
            assert_int_equal(gv_record_id(id, record, 66), GV_OK);
        }
    }
    record[0] = GV_RECORD_CERTIFICATE;
    assert_int_equal(gv_record_id(id, record, 152), GV_ERR_MALFORMED);
    assert_int_equal(gv_record_id(id, record, 153), GV_OK);
    assert_int_equal(gv_record_id(id, record, 154), GV_ERR_MALFORMED);
}

int main(void)
{
#define STORY(name) cmocka_unit_test_setup_teardown(name, stage_up, stage_down)
    const struct CMUnitTest tests[] = {
        STORY(hello_goes_round),
        STORY(numbers_go_round),
        STORY(goodbyes_go_round),
        STORY(locks_go_round),
        STORY(ids_go_round),
        STORY(records_go_round),
        STORY(reconcile_goes_round),
        STORY(ranges_go_up),
        STORY(a_record_id_leaves_the_signature_out),
        STORY(what_is_no_record_has_no_id),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
