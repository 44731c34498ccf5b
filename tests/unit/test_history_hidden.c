/* Who logged in is stored as a keyed hash, and is known again by it (SPEC 12.1, 15). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "proto/trust/history_row.h"
#include "tests/unit/helper_history.h"
#include "tests/unit/helper_host.h"

/* Whether the address stands in these bytes, in network order. */
static bool names(const void *bytes, size_t len, const struct gv_subject *subject)
{
    return memmem(bytes, len, subject->bytes, subject->family == GV_FAMILY_IPV4 ? 4 : 8) != NULL;
}

static void carry(struct gv_history *to, const struct gv_subject *subject)
{
    struct gv_buf row;

    gv_buf_init(&row);
    assert_int_equal(gv_history_pack(history, &row, subject), GV_OK);
    assert_int_equal(gv_history_load(to, row.data, row.len), GV_OK);
    gv_buf_free(&row);
}

/* SPEC 12.1: before the first login and behind it; a wrong guess afterwards changes nothing. */
static void who_logged_in_is_stored_as_a_keyed_hash(void **state)
{
    struct gv_subject key, hidden;
    struct gv_buf row;

    (void)state;
    gv_buf_init(&row);
    fails(&neighbour);
    gv_history_key(history, &key, &neighbour);
    assert_true(gv_subject_equal(&key, &neighbour));
    assert_int_equal(gv_history_pack(history, &row, &neighbour), GV_OK);
    assert_true(names(row.data, row.len, &neighbour));
    assert_false(last.has_moved);

    logs_in(&neighbour, ALICE);
    assert_true(last.counted && last.has_moved);
    assert_true(gv_subject_equal(&last.moved, &neighbour));
    gv_history_key(history, &hidden, &neighbour);
    gv_history_hidden_key(history, &key, &neighbour);
    assert_true(gv_subject_equal(&key, &hidden));
    assert_false(names(&hidden, sizeof hidden, &neighbour));
    for (int i = 0; i < 3; i++) {
        gv_buf_clear(&row);
        assert_int_equal(gv_history_pack(history, &row, &neighbour), GV_OK);
        assert_false(names(row.data, row.len, &neighbour));
        assert_null(memmem(row.data, row.len, neighbour.bytes, 3)); /* nor its network */
        after(HOUR);
        fails_unknown(&neighbour);
        assert_false(last.has_moved);
    }
    gv_history_key(history, &key, &neighbour);
    assert_true(gv_subject_equal(&key, &hidden));
    gv_buf_free(&row);
}

/* A login that the clock dates years ahead is forgotten at the next failure: the row goes back from
 * its hash to its name. */
static void a_row_from_the_future_moves_back(void **state)
{
    struct gv_subject hidden;

    (void)state;
    after(300 * DAY);
    logs_in(&neighbour, ALICE);
    gv_history_key(history, &hidden, &neighbour);
    assert_false(gv_subject_equal(&hidden, &neighbour));
    now -= 300 * DAY;
    fails(&neighbour);
    assert_true(last.has_moved);
    assert_true(gv_subject_equal(&last.moved, &hidden));
    gv_history_key(history, &hidden, &neighbour);
    assert_true(gv_subject_equal(&hidden, &neighbour));
}

/* Nor does one login after that make its network clean: as the second of two that are weeks apart,
 * or as that of a second account. */
static void a_network_from_the_future_begins_anew(void **state)
{
    (void)state;
    after(40 * DAY);
    logs_in(&neighbour, ALICE);
    now -= 40 * DAY;
    logs_in(&attacker, BOB);
    assert_false(facts_of(&attacker).clean_network);
    assert_true(facts_of(&attacker).network_known_here);
    after(7 * DAY);
    logs_in(&attacker, BOB);
    assert_true(facts_of(&neighbour).clean_network);
}

static void the_hash_depends_on_the_key(void **state)
{
    struct gv_history *other = gv_history_new(10, stage_key);
    struct gv_subject a, b;

    (void)state;
    gv_history_hide_under(other, stage_key);
    gv_history_hidden_key(history, &a, &attacker);
    gv_history_hidden_key(other, &b, &attacker);
    assert_false(gv_subject_equal(&a, &b));
    gv_history_free(other);
}

static void a_hidden_subject_is_met_again(void **state)
{
    struct gv_history *other = gv_history_new(1000, stage_key);
    struct gv_action_facts facts = {0};
    struct gv_subject s, third = {GV_FAMILY_IPV4, {203, 0, 113, 77}};
    size_t cursor = 0;

    (void)state;
    becomes_clean(&neighbour);
    fails(&attacker);
    carry(other, &neighbour);
    carry(other, &attacker);
    assert_int_equal(gv_history_count(other), 2);
    assert_true(gv_history_next(other, &cursor, &s)); /* the one that has a name */
    assert_true(gv_subject_equal(&s, &attacker));
    assert_false(gv_history_next(other, &cursor, &s));
    gv_history_facts(other, &facts, &neighbour, now);
    assert_true(facts.clean && facts.known_here);
    gv_history_facts(other, &facts, &third, now);
    assert_true(facts.clean_network && !facts.clean && !facts.known_here);

    gv_history_free(history);
    history = other;
    fails(&neighbour);
    assert_false(last.has_moved); /* it is stored as before */
    assert_int_equal(gv_history_count(history), 2);
    cursor = 0;
    assert_true(gv_history_next(history, &cursor, &s) && gv_history_next(history, &cursor, &s));
    assert_true(gv_subject_equal(&s, &neighbour));
    assert_true(facts_of(&neighbour).clean);
    assert_true(gv_history_forget(history, &neighbour));
    assert_int_equal(gv_history_count(history), 1);
}

static void a_hidden_row_goes_by_its_key(void **state)
{
    struct gv_history *other = gv_history_new(1, stage_key);
    struct gv_subject key, gone;

    (void)state;
    logs_in(&neighbour, ALICE);
    gv_history_key(history, &key, &neighbour);
    carry(other, &neighbour);
    gv_history_free(history);
    history = other;
    fails(&attacker); /* there is room for one */
    assert_true(last.has_evicted && !last.has_moved);
    assert_true(gv_subject_equal(&last.evicted, &key));

    gv_history_forget(history, &attacker);
    logs_in(&neighbour, ALICE);
    after(31 * DAY);
    assert_true(gv_history_expire(history, &gone, now, 10));
    assert_true(gv_subject_equal(&gone, &key));
}

static void a_spoilt_hidden_row_is_refused(void **state)
{
    struct gv_history *other = gv_history_new(1, stage_key);
    struct gv_buf row;

    (void)state;
    logs_in(&neighbour, ALICE);
    gv_buf_init(&row);
    assert_int_equal(gv_history_pack(history, &row, &neighbour), GV_OK);
    for (size_t len = 0; len < row.len; len++)
        assert_int_equal(gv_history_load(other, row.data, len), GV_ERR_MALFORMED);
    row.data[1] = GV_FAMILY_IPV6; /* an address in a row that must have none */
    assert_int_equal(gv_history_load(other, row.data, row.len), GV_ERR_MALFORMED);
    row.data[1] = GV_FAMILY_HIDDEN;
    assert_int_equal(gv_history_load(other, row.data, row.len), GV_OK);
    gv_buf_free(&row);
    gv_history_free(other);
}

/* ---- a store of before schema 4 ------------------------------------------------------------- */

static struct network net;
static struct host stage;

static int open_core(void **state)
{
    network_open(&net, 1, false);
    return history_up(state) == 0 && host_open(&stage, &net, 1, NULL) == GV_OK ? 0 : -1;
}

static int close_core(void **state)
{
    host_close(&stage);
    network_close(&net);
    return history_down(state);
}

static void load(const struct gv_subject *key, const struct gv_buf *value)
{
    struct gv_event event = {.kind = GV_EVENT_LOADED,
                             .loaded = {.row = GV_ROW_HISTORY,
                                        .key = (const uint8_t *)key,
                                        .key_len = sizeof *key,
                                        .value = value->data,
                                        .value_len = value->len}};

    assert_int_equal(host_step(&stage, &event), GV_OK);
}

/* The one effect of this kind of the last step, on a row of history. */
static const struct gv_effect *effect(enum gv_effect_kind kind)
{
    const struct gv_effect *found = NULL;

    for (size_t i = 0; i < stage.effects.count; i++) {
        const struct gv_effect *e = &stage.effects.list[i];
        if (e->kind != kind || e->row != GV_ROW_HISTORY)
            continue;
        assert_null(found);
        found = e;
    }
    return found;
}

static struct gv_history_row old_row(void)
{
    uint32_t then = (uint32_t)(host_unix_ms(&stage) / 1000 - 3600);

    return (struct gv_history_row){.subject = neighbour,
                                   .first_success = then - 10,
                                   .last_success = then,
                                   .login_account = {1},
                                   .login_time = {then}};
}

static void an_old_row_with_a_login_is_written_anew(void **state)
{
    struct gv_history_row row = old_row();
    struct gv_buf value, again;
    struct gv_history_summary summary;

    (void)state;
    gv_buf_init(&value);
    gv_buf_init(&again);
    gv_row_pack(&row, NULL, &value);
    assert_true(names(value.data, value.len, &neighbour));
    load(&neighbour, &value);
    const struct gv_effect *put = effect(GV_EFFECT_PERSIST), *gone = effect(GV_EFFECT_FORGET);
    assert_non_null(put);
    assert_non_null(gone);
    assert_memory_equal(gv_effect_key(&stage.effects, gone), &neighbour, sizeof neighbour);
    assert_false(names(gv_effect_key(&stage.effects, put), put->key_len, &neighbour));
    assert_false(names(gv_effect_data(&stage.effects, put), put->data_len, &neighbour));

    /* What was put is good, and is not put again at the next start. */
    struct gv_subject key;
    memcpy(&key, gv_effect_key(&stage.effects, put), sizeof key);
    gv_buf_append(&again, gv_effect_data(&stage.effects, put), put->data_len);
    host_close(&stage);
    assert_int_equal(host_open(&stage, &net, 1, NULL), GV_OK);
    load(&key, &again);
    assert_null(effect(GV_EFFECT_PERSIST));
    assert_null(effect(GV_EFFECT_FORGET));
    assert_int_equal(gv_core_history(stage.core, &summary, &neighbour), GV_OK);
    assert_int_equal(summary.last_success_ms, 1000ull * row.last_success);

    /* The old one comes up again, from a damaged file: the new one stands. */
    load(&neighbour, &value);
    assert_non_null(effect(GV_EFFECT_FORGET));
    assert_int_equal(host_status(&stage).local_subjects, 1);
    gv_buf_free(&value);
    gv_buf_free(&again);
}

static void an_old_row_without_a_login_stays(void **state)
{
    struct gv_buf value;

    (void)state;
    fails(&attacker);
    gv_buf_init(&value);
    assert_int_equal(gv_history_pack(history, &value, &attacker), GV_OK);
    load(&attacker, &value);
    assert_null(effect(GV_EFFECT_PERSIST));
    assert_null(effect(GV_EFFECT_FORGET));
    gv_buf_free(&value);
}

static void a_core_never_puts_an_address_that_logged_in(void **state)
{
    struct gv_event event = {.kind = GV_EVENT_OBSERVATION};
    struct gv_observation o = {.subject = neighbour,
                               .unix_ms = host_unix_ms(&stage),
                               .account = ALICE,
                               .service = GV_SERVICE_IMAP,
                               .kind = GV_KIND_WRONG_PASSWORD,
                               .new_visit = true,
                               .attempts = 1};

    (void)state;
    event.observation = o; /* a slip of the finger */
    host_step(&stage, &event);
    assert_true(names(gv_effect_key(&stage.effects, effect(GV_EFFECT_PERSIST)), 9, &neighbour));
    event.observation.success = true;
    event.observation.attempts = 0;
    host_step(&stage, &event);
    const struct gv_effect *put = effect(GV_EFFECT_PERSIST), *gone = effect(GV_EFFECT_FORGET);
    assert_true(put && gone);
    assert_memory_equal(gv_effect_key(&stage.effects, gone), &neighbour, sizeof neighbour);
    assert_false(names(gv_effect_key(&stage.effects, put), put->key_len, &neighbour));
    assert_false(names(gv_effect_data(&stage.effects, put), put->data_len, &neighbour));
    event.observation = o;
    host_step(&stage, &event);
    put = effect(GV_EFFECT_PERSIST);
    assert_non_null(put);
    assert_null(effect(GV_EFFECT_FORGET));
    assert_false(names(gv_effect_data(&stage.effects, put), put->data_len, &neighbour));
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, history_up, history_down)
#define CORE(name)  cmocka_unit_test_setup_teardown(name, open_core, close_core)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(who_logged_in_is_stored_as_a_keyed_hash),
        STORY(a_row_from_the_future_moves_back),
        STORY(a_network_from_the_future_begins_anew),
        STORY(the_hash_depends_on_the_key),
        STORY(a_hidden_subject_is_met_again),
        STORY(a_hidden_row_goes_by_its_key),
        STORY(a_spoilt_hidden_row_is_refused),
        CORE(an_old_row_with_a_login_is_written_anew),
        CORE(an_old_row_without_a_login_stays),
        CORE(a_core_never_puts_an_address_that_logged_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
