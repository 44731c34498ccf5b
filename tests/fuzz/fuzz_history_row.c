/* A stored row of local history, then observations on top of it (SPEC 12). What loads must pack to
 * the same bytes, and whatever is observed, what is packed must load again: a row that its own node
 * refuses after a restart would be lost history. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/trust/history.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROW      184u
#define HIDDEN   8u /* more in a row without an address, as its first byte says */
#define START_MS 1790000000000ull

static void reload(const struct gv_history *history, const struct gv_subject *subject)
{
    static const uint8_t key[16];
    struct gv_history *fresh = gv_history_new(1, key);
    struct gv_buf a, b;

    gv_assert(fresh);
    gv_buf_init(&a);
    gv_buf_init(&b);
    if (gv_history_pack(history, &a, subject) == GV_OK) {
        gv_assert(gv_history_load(fresh, a.data, a.len) == GV_OK);
        gv_assert(gv_history_pack(fresh, &b, subject) == GV_OK);
        gv_assert(a.len == b.len && memcmp(a.data, b.data, a.len) == 0);
    }
    gv_buf_free(&a);
    gv_buf_free(&b);
    gv_history_free(fresh);
}

/* Five bytes an observation. Times go forward and sometimes back; the wall clock only forward. */
static void observe(struct gv_history *history, const struct gv_subject *subject, uint64_t *now,
                    const uint8_t *b)
{
    static const uint32_t steps[] = {0, 1, 7, 30, 60, 600, 900, 3600, 43200, 86400, 604800};
    struct gv_history_result result;
    struct gv_observation o = {.subject = *subject,
                               .account = b[0] & 3,
                               .password = b[0] >> 2 & 3,
                               .attempts = b[1] & 0x80 ? b[1] & 0x7f : b[1] & 3,
                               .service = (uint8_t)(1u << b[2] % 8),
                               .kind = (uint8_t)(1u << (b[2] >> 3) % 8),
                               .success = (b[0] >> 4) % 4 == 0,
                               .new_visit = b[0] & 0x40,
                               .refused = b[0] == 0xff};

    *now += 1000ull * steps[b[3] % 11] * (1 + b[3] / 11);
    o.unix_ms = *now - (b[4] & 1 ? 1000ull * steps[(b[4] >> 1) % 11] : 0);
    if (o.unix_ms > *now)
        o.unix_ms = *now;
    int rc = gv_history_observe(history, &result, *now, &o, b[4] & 0x40, b[4] & 0x80);
    gv_assert(rc == GV_OK || rc == GV_ERR_RANGE);
    if (result.signal) {
        const struct gv_statement *s = &result.statement;
        gv_assert(s->first_min <= s->last_min && s->last_min - s->first_min <= 7 * 24 * 60);
        gv_assert(s->last_min <= *now / 60000 && s->services && s->kinds);
        gv_assert(s->count == gv_signal_count_bucket(s->count));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t key[16];
    struct gv_subject subject = {GV_FAMILY_IPV4, {203, 0, 113, 9}};
    struct gv_history *history = gv_history_new(4, key);
    struct gv_action_facts facts = {0};
    struct gv_history_summary summary;
    uint64_t now = START_MS;
    size_t want = size > 0 && data[0] == 2 ? ROW + HIDDEN : ROW;
    size_t row = size < want ? size : want, cursor = 0;

    gv_assert(history);
    if (gv_history_load(history, data, row) == GV_OK) {
        struct gv_buf again;
        gv_buf_init(&again);
        /* One with a login is stored another way than it was, and has no address to ask for. */
        if (gv_history_next(history, &cursor, &subject)) {
            gv_assert(gv_history_pack(history, &again, &subject) == GV_OK);
            gv_assert(again.data[0] == 2 ||
                      (again.len == row && memcmp(again.data, data, row) == 0));
        } else {
            gv_assert(data[0] == 2 && gv_history_count(history) == 1);
        }
        gv_buf_free(&again);
    }
    for (size_t at = row; at + 5 <= size; at += 5) {
        observe(history, &subject, &now, data + at);
        reload(history, &subject);
        gv_history_facts(history, &facts, &subject, now);
        (void)gv_history_summarise(history, &summary, &subject, now);
    }
    struct gv_subject gone;
    while (gv_history_expire(history, &gone, now, 4))
        ;
    gv_history_free(history);
    return 0;
}
