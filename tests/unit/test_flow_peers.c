/* The flow of mail at peers (SPEC 9.11): who is told, how often, what is taken, and that nothing is
 * passed on or judged by it. Puppets against one host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "helper_puppet.h"
#include "proto/limits.h"

#define PUPPETS 4

static struct network network;
static struct host host;
static struct puppet puppets[PUPPETS];

static int stage_up(void **state)
{
    network_open(&network, 1, false);
    for (unsigned i = 0; i < PUPPETS; i++) {
        puppet_make(&puppets[i], &network, 2 + i);
        puppets[i].version = GV_PROTOCOL_VERSION;
    }
    return host_open(&host, &network, 1, NULL) == GV_OK ? 0 : -1;
}

static int stage_down(void **state)
{
    for (unsigned i = 0; i < PUPPETS; i++)
        puppet_free(&puppets[i]);
    host_close(&host);
    network_close(&network);
    return 0;
}

static int command(struct gv_flow flow)
{
    struct gv_event event = {.kind = GV_EVENT_COMMAND,
                             .command = {.command = GV_COMMAND_FLOW, .flow = flow}};

    return host_step(&host, &event);
}

static void say(struct puppet *puppet, struct gv_flow flow)
{
    struct gv_buf message;

    gv_buf_init(&message);
    gv_message_flow(&message, &flow);
    puppet_say_buf(puppet, &message);
}

/* Time goes by, and the puppets say now and then that they are there. */
static void pass(uint64_t ms)
{
    struct gv_buf ping;

    for (uint64_t step; ms > 0; ms -= step) {
        step = ms < 200000 ? ms : 200000;
        host_run(&host, step);
        for (unsigned i = 0; i < PUPPETS; i++) {
            if (!puppets[i].open || puppets[i].closed)
                continue;
            gv_buf_init(&ping);
            gv_message_ping(&ping, GV_MESSAGE_PING, 1);
            puppet_say_buf(&puppets[i], &ping);
            puppet_work(&puppets[i]);
        }
    }
}

static size_t heard(struct gv_flow *out)
{
    struct gv_flow mine, all[PUPPETS];
    size_t n = gv_core_flows(host.core, &mine, all, PUPPETS);

    if (out && n > 0)
        *out = all[0];
    return n;
}

static void told_once_an_hour(void **state)
{
    assert_true(puppet_join(&puppets[0], &host));
    pass(60000);
    assert_int_equal(puppets[0].count[GV_MESSAGE_FLOW], 0); /* there is nothing to tell */
    assert_int_equal(command((struct gv_flow){3, 9, 4, 5}), GV_OK);
    pass(10000);
    assert_int_equal(puppets[0].count[GV_MESSAGE_FLOW], 1);
    assert_int_equal(command((struct gv_flow){3, 10, 4, 5}), GV_OK);
    pass(GV_FLOW_TELL_MS / 2);
    assert_int_equal(puppets[0].count[GV_MESSAGE_FLOW], 1);
    pass(GV_FLOW_TELL_MS / 2 + 10000);
    assert_int_equal(puppets[0].count[GV_MESSAGE_FLOW], 2);
    assert_int_equal(command((struct gv_flow){0}), GV_OK); /* switched off */
    pass(2 * GV_FLOW_TELL_MS);
    assert_int_equal(puppets[0].count[GV_MESSAGE_FLOW], 2);
}

/* A peer of version 1 would end the session over a message that it does not know. */
static void an_old_peer_is_told_nothing(void **state)
{
    static const uint8_t hello[] = {0x94, 1, 1, 0xcf, 0, 0, 1, 0xa0, 0x4d, 0x1a, 0xd8, 0x7b, 0xa0};

    assert_int_equal(command((struct gv_flow){3, 9, 4, 5}), GV_OK);
    assert_true(puppet_connect(&puppets[0], &host));
    puppet_say(&puppets[0], hello, sizeof hello);
    assert_true(puppet_join(&puppets[1], &host));
    pass(2 * GV_FLOW_TELL_MS);
    assert_false(puppets[0].closed);
    assert_int_equal(puppets[0].count[GV_MESSAGE_FLOW], 0);
    assert_true(puppets[1].count[GV_MESSAGE_FLOW] >= 2);
}

static void what_is_heard_is_kept_for_hours_and_not_passed_on(void **state)
{
    struct gv_flow flow = {0};

    for (unsigned i = 0; i < 3; i++)
        assert_true(puppet_join(&puppets[i], &host));
    assert_int_equal(heard(NULL), 0);
    say(&puppets[0], (struct gv_flow){2, 1, 1, 1});
    say(&puppets[0], (struct gv_flow){4, 100, 0, 7});
    assert_int_equal(heard(&flow), 1);
    assert_int_equal(flow.size, 4);
    assert_int_equal(flow.bounced, 100);
    assert_int_equal(flow.rejected, 7);
    memcpy(puppets[1].facts.owner, puppets[0].facts.owner, GV_ID_LEN);
    pass(GV_FLOW_KEPT_MS / 2);
    for (unsigned i = 1; i < 3; i++)
        assert_int_equal(puppets[i].count[GV_MESSAGE_FLOW], 0);
    assert_int_equal(heard(NULL), 1);
    pass(GV_FLOW_KEPT_MS / 2 + 1000);
    assert_int_equal(heard(NULL), 0);
    say(&puppets[0], (struct gv_flow){4, 1, 0, 7});
    say(&puppets[2], (struct gv_flow){5, 1, 0, 7});
    assert_int_equal(heard(NULL), 2);
    puppet_leave(&puppets[0]);
    assert_int_equal(heard(NULL), 1);
}

static void hostile_values_end_the_session(void **state)
{
    static const struct {
        uint8_t bytes[12];
        size_t len;
        bool good;
    } cases[] = {
        {{0x95, 18, 2, 0, 0, 0}, 6, true},     {{0x95, 18, 12, 100, 100, 100}, 6, true},
        {{0x95, 18, 1, 0, 0, 0}, 6, false},    {{0x95, 18, 0, 0, 0, 0}, 6, false},
        {{0x95, 18, 13, 0, 0, 0}, 6, false},   {{0x95, 18, 3, 101, 0, 0}, 6, false},
        {{0x95, 18, 3, 0, 101, 0}, 6, false},  {{0x95, 18, 3, 0, 0, 101}, 6, false},
        {{0x95, 18, 3, 0xff, 0, 0}, 6, false}, {{0x94, 18, 3, 0, 0}, 5, false},
        {{0x96, 18, 3, 0, 0, 0, 0}, 7, false}, {{0x95, 18, 3, 0xcd, 1, 3, 0, 0}, 8, false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gv_message message;
        size_t used;
        int rc = gv_message_read(&message, &used, cases[i].bytes, cases[i].len);
        assert_int_equal(rc == GV_OK, cases[i].good);
    }
    assert_true(puppet_join(&puppets[0], &host));
    puppet_say(&puppets[0], cases[5].bytes, cases[5].len);
    assert_true(puppets[0].closed);
    assert_int_equal(heard(NULL), 0);
    assert_int_equal(command((struct gv_flow){3, 101, 0, 0}), GV_ERR_RANGE);
    assert_int_equal(command((struct gv_flow){1, 0, 0, 0}), GV_ERR_RANGE);
}

/* What peers say of their mail moves no verdict: two hosts that differ in it alone judge alike. */
static void it_is_no_evidence(void **state)
{
    struct gv_subject subject = subject_of(1);
    struct gv_verdict before, after;

    assert_true(puppet_join(&puppets[0], &host));
    gv_core_decide(host.core, &before, NULL, &subject);
    struct gv_core_status was = host_status(&host);
    say(&puppets[0], (struct gv_flow){12, 100, 100, 100});
    gv_core_decide(host.core, &after, NULL, &subject);
    struct gv_core_status is = host_status(&host);
    assert_int_equal(before.state, after.state);
    assert_int_equal(before.weight, after.weight);
    assert_int_equal(was.statements, is.statements);
    assert_int_equal(was.instances, is.instances);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(told_once_an_hour, stage_up, stage_down),
        cmocka_unit_test_setup_teardown(an_old_peer_is_told_nothing, stage_up, stage_down),
        cmocka_unit_test_setup_teardown(what_is_heard_is_kept_for_hours_and_not_passed_on, stage_up,
                                        stage_down),
        cmocka_unit_test_setup_teardown(hostile_values_end_the_session, stage_up, stage_down),
        cmocka_unit_test_setup_teardown(it_is_no_evidence, stage_up, stage_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
