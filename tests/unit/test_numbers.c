/* Sequence numbers when the last one is not known any more: they go on a day ahead of the clock,
 * stay so, and jump over whatever the mesh still holds of this node's own (SPEC 8.6). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "helper_puppet.h"
#include "proto/limits.h"

static struct network network;
static struct host host;
static struct gv_buf last; /* the record said last */

static int setup(void **state)
{
    network_open(&network, 1, true);
    assert_int_equal(host_open(&host, &network, 1, NULL), GV_OK);
    gv_buf_init(&last);
    return 0;
}

static int teardown(void **state)
{
    host_close(&host);
    network_close(&network);
    gv_buf_free(&last);
    return 0;
}

static void forget_everything(void)
{
    host_close(&host);
    assert_int_equal(host_open(&host, &network, 1, NULL), GV_OK);
}

static int number_above(bool lost, uint64_t ceiling)
{
    struct gv_event event = {
        .kind = GV_EVENT_COMMAND,
        .command = {.command = GV_COMMAND_NUMBER_ANEW, .lost = lost, .ceiling = ceiling}};

    return host_step(&host, &event);
}

static int number_anew(bool lost)
{
    return number_above(lost, 0);
}

static int load_self(const void *value, size_t len)
{
    struct gv_event event = {.kind = GV_EVENT_LOADED,
                             .loaded = {.row = GV_ROW_SELF,
                                        .key = (const uint8_t *)"\1",
                                        .key_len = 1,
                                        .value = value,
                                        .value_len = len}};

    return host_step(&host, &event);
}

/* The SELF row that the last step stored: its number; *ahead. */
static uint64_t stored(uint64_t *ahead, uint8_t row[16])
{
    uint64_t number = 0;

    *ahead = 0;
    for (size_t i = 0; i < host.effects.count; i++) {
        const struct gv_effect *e = &host.effects.list[i];
        if (e->kind != GV_EFFECT_PERSIST || e->row != GV_ROW_SELF)
            continue;
        assert_int_equal(e->data_len, 16);
        memcpy(row, gv_effect_data(&host.effects, e), 16);
        for (size_t b = 0; b < 8; b++) {
            number = number << 8 | row[b];
            *ahead = *ahead << 8 | row[8 + b];
        }
    }
    return number;
}

/* Signals on a new subject; gives the number, which must be that of the row. */
static uint64_t signal_on(unsigned subject_number)
{
    struct gv_event event = {.kind = GV_EVENT_OBSERVATION,
                             .observation = {.subject = subject_of(subject_number),
                                             .unix_ms = host_unix_ms(&host),
                                             .account = 100,
                                             .attempts = 3, /* at once: one step */
                                             .service = GV_SERVICE_SUBMISSION,
                                             .kind = GV_KIND_UNKNOWN_ACCOUNT,
                                             .new_visit = true}};
    struct gv_statement statement;
    uint64_t ahead;
    uint8_t row[16];

    host_step(&host, &event);
    gv_buf_clear(&last);
    for (size_t i = 0; i < host.effects.count; i++)
        if (host.effects.list[i].kind == GV_EFFECT_PERSIST &&
            host.effects.list[i].row == GV_ROW_SENT)
            gv_buf_append(&last, gv_effect_data(&host.effects, &host.effects.list[i]),
                          host.effects.list[i].data_len);
    assert_true(last.len > 1);
    assert_int_equal(gv_statement_parse(&statement, last.data + 1, last.len - 1), GV_OK);
    assert_int_equal(statement.sequence, stored(&ahead, row));
    return statement.sequence;
}

static void test_a_new_key_numbers_by_the_clock(void **state)
{
    uint8_t row[16];
    uint64_t ahead;

    assert_int_equal(number_anew(false), GV_OK);
    assert_int_equal(stored(&ahead, row), host_unix_ms(&host));
    assert_int_equal(ahead, 0);
    uint64_t first = signal_on(1);
    assert_true(first > host_unix_ms(&host) - 1000 && first <= host_unix_ms(&host) + 1);
}

static void test_a_lost_number_leaps_a_day_and_stays_ahead(void **state)
{
    uint8_t row[16], after[16];
    uint64_t ahead, first, begun;

    signal_on(1);
    forget_everything();
    begun = host_unix_ms(&host);
    assert_int_equal(number_anew(true), GV_OK);
    assert_int_equal(stored(&ahead, row), begun + GV_SEQUENCE_LEAP_MS);
    assert_int_equal(ahead, GV_SEQUENCE_LEAP_MS);
    first = signal_on(2);
    assert_true(first > begun + GV_SEQUENCE_LEAP_MS);
    stored(&ahead, after);
    /* A start later: still ahead, so that a machine set back to an hour ago is safe as before. */
    forget_everything();
    assert_int_equal(load_self(after, sizeof after), GV_OK);
    host_run(&host, 3600000);
    assert_true(signal_on(3) >= begun + 3600000 + GV_SEQUENCE_LEAP_MS);
}

/* What is known of the numbers used holds whatever the clock says; nonsense is not taken. */
static void test_a_ceiling_is_passed(void **state)
{
    uint8_t row[16];
    uint64_t ahead, leap = host_unix_ms(&host) + GV_SEQUENCE_LEAP_MS, high = leap + 7200000;

    assert_int_equal(number_above(true, high), GV_OK);
    assert_int_equal(stored(&ahead, row), high);
    assert_int_equal(ahead, GV_SEQUENCE_LEAP_MS);
    assert_int_equal(signal_on(1), high + 1);
    forget_everything();
    assert_int_equal(number_above(true, 5), GV_OK); /* below the clock */
    assert_in_range(stored(&ahead, row), leap, leap + 60000);
    forget_everything();
    assert_int_equal(number_above(true, UINT64_MAX), GV_OK);
    assert_in_range(stored(&ahead, row), leap, leap + 60000);
}

static void test_rows_of_the_number(void **state)
{
    static const uint8_t old[8] = {0, 0, 2, 0, 0, 0, 0, 0}, much[8] = {0xff};
    static const uint8_t ahead_by_much[16] = {[7] = 1, [8] = 1};

    assert_int_equal(load_self(old, 8), GV_OK); /* as stores of schema 1 have it */
    assert_int_equal(signal_on(1), 0x20000000001ull);
    assert_int_equal(load_self(much, 8), GV_ERR_RANGE);
    assert_int_equal(load_self(ahead_by_much, 16), GV_ERR_RANGE);
    assert_int_equal(load_self(old, 7), GV_ERR_MALFORMED);
    assert_int_equal(signal_on(2), 0x20000000002ull);
}

/* Its own word comes back from the mesh, with a number that it does not remember. */
static void test_it_learns_its_numbers_from_the_mesh(void **state)
{
    static const uint8_t far[8] = {0, 0, 2, 0, 0, 0, 0, 0}; /* of a clock that was years ahead */
    struct puppet puppet;
    uint64_t said;

    load_self(far, 8);
    said = signal_on(1);
    forget_everything();
    puppet_make(&puppet, &network, 2);
    assert_true(puppet_join(&puppet, &host));
    puppet_give(&puppet, &last);
    assert_int_equal(signal_on(2), said + 1);
    puppet_free(&puppet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_new_key_numbers_by_the_clock, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_lost_number_leaps_a_day_and_stays_ahead, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_ceiling_is_passed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rows_of_the_number, setup, teardown),
        cmocka_unit_test_setup_teardown(test_it_learns_its_numbers_from_the_mesh, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
