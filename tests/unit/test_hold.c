/* What a followed log led to may wait for its commit, since the same transaction says where the log
 * was left; nothing else may, and nothing waits for long (SPEC 9.6). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "helper_node.h"
#include "node/host/hold.h"

/* ---- the rule ------------------------------------------------------------------------------- */

static struct gv_effects effects;
static struct gv_hold hold;

static int setup(void **state)
{
    (void)state;
    gv_effects_init(&effects);
    gv_hold_clear(&hold);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gv_effects_free(&effects);
    return 0;
}

static const uint8_t key[9], preview[] = {0x81, 0, 0}, word[] = {0x01, 0, 0};

static void a_failure(void)
{
    gv_effect_note(&effects, GV_NOTE_OBSERVED);
    gv_effect_persist(&effects, GV_ROW_HISTORY, key, sizeof key, word, sizeof word);
    gv_effect_forget(&effects, GV_ROW_HISTORY, key, sizeof key);
}

static void nothing_is_not_stored(void **state)
{
    (void)state;
    assert_false(gv_hold_over(&hold, &effects, false, 1));
    assert_true(gv_hold_deadline(&hold) == UINT64_MAX);
}

static void what_a_log_led_to_waits_but_not_for_long(void **state)
{
    (void)state;
    assert_false(gv_hold_over(&hold, &effects, true, 5000)); /* a position alone */
    assert_int_equal(gv_hold_deadline(&hold), 5000 + GV_HOLD_MS);
    a_failure();
    gv_effect_persist(&effects, GV_ROW_SENT, key, sizeof key, preview, sizeof preview);
    gv_effect_note(&effects, GV_NOTE_PREVIEWED);
    assert_false(gv_hold_over(&hold, &effects, true, 5000 + GV_HOLD_MS - 1));
    assert_int_equal(gv_hold_deadline(&hold), 5000 + GV_HOLD_MS); /* since the first of it */
    assert_true(gv_hold_over(&hold, &effects, true, 5000 + GV_HOLD_MS));
    gv_hold_clear(&hold);
    gv_effects_clear(&effects);
    assert_false(gv_hold_over(&hold, &effects, false, 5000 + GV_HOLD_MS));
}

static void nothing_else_waits(void **state)
{
    struct gv_address address = {0};

    (void)state;
    for (int which = 0; which < 10; which++) {
        a_failure();
        assert_false(gv_hold_over(&hold, &effects, true, 5000));
        switch (which) {
        case 0:
            gv_effect_send(&effects, 1, "x", 1);
            break;
        case 1:
            gv_effect_close(&effects, 1);
            break;
        case 2:
            gv_effect_connect(&effects, 1, &address, NULL, 0);
            break;
        case 3:
            gv_effect_persist(&effects, GV_ROW_SENT, key, sizeof key, word, sizeof word);
            break;
        case 4:
            gv_effect_persist(&effects, GV_ROW_SELF, key, sizeof key, word, sizeof word);
            break;
        case 5:
            gv_effect_persist(&effects, GV_ROW_RECORD, key, sizeof key, word, sizeof word);
            break;
        case 6:
            gv_effect_forget(&effects, GV_ROW_LIST, key, sizeof key);
            break;
        case 7:
            gv_effect_note(&effects, GV_NOTE_LOCKED);
            break;
        case 8:
            gv_effect_note(&effects, GV_NOTE_SIGNALLED);
            break;
        default:
            hold.now = true;
            break;
        }
        a_failure();
        if (!gv_hold_over(&hold, &effects, true, 5000))
            fail_msg("number %d waits", which);
        gv_hold_clear(&hold);
        gv_effects_clear(&effects);
    }
}

/* A log that is caught up with: what waits stays small. */
static void not_much_waits(void **state)
{
    size_t turns = 0;

    (void)state;
    do {
        a_failure();
        turns++;
    } while (!gv_hold_over(&hold, &effects, true, 5000));
    assert_true(turns > 50);
    assert_true(effects.count <= GV_HOLD_COUNT + 3);
}

/* What is only shown to the admin is nobody's word: no disk is synced for it, and a full backlog
 * does not take it. */
static void a_preview_is_no_word(void **state)
{
    (void)state;
    gv_effect_persist(&effects, GV_ROW_SENT, key, sizeof key, preview, sizeof preview);
    gv_effect_persist(&effects, GV_ROW_SENT, key, sizeof key, word, sizeof word);
    assert_false(gv_effect_is_own_word(&effects, &effects.list[0]));
    assert_true(gv_effect_is_own_word(&effects, &effects.list[1]));
}

/* ---- the driver ----------------------------------------------------------------------------- */

static struct node node;

struct told {
    bool hurry;
    uint64_t turns, now_ms;
};

static void observe(void *context)
{
    const struct told *told = context;
    struct gv_event event = {.kind = GV_EVENT_OBSERVATION,
                             .observation = {.unix_ms = gv_unix_ms(),
                                             .service = GV_SERVICE_IMAP,
                                             .kind = GV_KIND_WRONG_PASSWORD,
                                             .attempts = 1,
                                             .new_visit = true}};

    assert_int_equal(gv_subject_parse(&event.observation.subject, "198.51.100.9", 12), GV_OK);
    if (told->hurry)
        assert_int_equal(gv_driver_event(node.driver, &event), GV_OK);
    else
        assert_int_equal(gv_driver_read(node.driver, &event), GV_OK);
}

static void look(void *context)
{
    struct told *told = context;
    struct gv_driver_status status;

    gv_driver_status(node.driver, &status);
    told->turns = status.turns;
    told->now_ms = gv_driver_now(node.driver);
}

static void the_driver_waits_and_stores(void **state)
{
    struct told begin = {0}, then = {0};

    (void)state;
    memset(&node, 0, sizeof node);
    node_make(&node);
    assert_int_equal(node_start(&node), GV_OK);
    loop_thread_call(&node.thread, look, &begin);
    loop_thread_call(&node.thread, observe, &then);
    loop_thread_call(&node.thread, look, &then); /* a turn later */
    if (then.now_ms - begin.now_ms < GV_HOLD_MS)
        assert_int_equal(then.turns, begin.turns);
    for (int i = 0; i < 1000 && then.turns == begin.turns; i++) {
        usleep(20000);
        loop_thread_call(&node.thread, look, &then);
    }
    assert_int_equal(then.turns, begin.turns + 1);
    assert_true(then.now_ms - begin.now_ms >= GV_HOLD_MS);

    /* What could not be read again is stored in its turn, and what waited with it. */
    begin = then;
    then.hurry = false;
    loop_thread_call(&node.thread, observe, &then);
    then.hurry = true;
    loop_thread_call(&node.thread, observe, &then);
    loop_thread_call(&node.thread, look, &then);
    assert_true(then.turns > begin.turns);
    node_stop(&node);
    node_remove(&node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_not_stored, setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_log_led_to_waits_but_not_for_long, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_else_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(not_much_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(a_preview_is_no_word, setup, teardown),
        cmocka_unit_test(the_driver_waits_and_stores),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
