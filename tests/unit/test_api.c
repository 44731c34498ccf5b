/* The control socket of a real node: what is asked, what is answered, and that nonsense gets a
 * sentence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "helper_node.h"
#include "node/base/evidence.h"
#include "node/base/file.h"
#include "node/serve/why.h"

static struct node node;

static int setup_with(bool enrolled, enum gv_share share)
{
    memset(&node, 0, sizeof node);
    node.enrolled = enrolled;
    node.share = share;
    node_make(&node);
    if (node_start(&node) != GV_OK)
        fail_msg("%s", node.error.text);
    return 0;
}

static int setup_alone(void **state)
{
    return setup_with(false, GV_SHARE_PREVIEW);
}

static int setup_sharing(void **state)
{
    return setup_with(true, GV_SHARE_YES);
}

static int setup_preview(void **state)
{
    return setup_with(true, GV_SHARE_PREVIEW);
}

static int teardown(void **state)
{
    node_stop(&node);
    node_remove(&node);
    return 0;
}

static const char *text_of(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));

    return text ? text : "(none)";
}

static int number_of(const json_t *json, const char *key)
{
    return (int)json_integer_value(json_object_get(json, key));
}

/* ---- asking --------------------------------------------------------------------------------- */

static void test_a_node_in_no_network_says_so(void **state)
{
    json_t *json;

    assert_int_equal(node_get(&node, "status", &json), 200);
    assert_true(json_is_false(json_object_get(json, "enrolled")));
    assert_true(json_is_null(json_object_get(json, "network")));
    assert_string_equal(text_of(json, "share"), "preview");
    json_decref(json);
    assert_int_equal(node_get(&node, "network", &json), 404);
    assert_string_equal(text_of(json, "error"), "no-network");
    assert_non_null(strstr(text_of(json, "message"), "--registry"));
    json_decref(json);
    assert_int_equal(node_post(&node, "enroll", "{\"email\":\"a@b.test\",\"terms\":\"x\"}", &json),
                     409);
    assert_string_equal(text_of(json, "error"), "no-network");
    json_decref(json);
    assert_int_equal(node_get(&node, "ip?addr=198.51.100.7", &json), 200);
    assert_non_null(strstr(text_of(json, "why"), "Not a public address"));
    json_decref(json);
    assert_int_equal(node_get(&node, "ip?addr=8.8.8.8", &json), 200);
    assert_non_null(strstr(text_of(json, "why"), "in no network yet"));
    json_decref(json);
}

static void test_an_unknown_address(void **state)
{
    json_t *json;

    assert_int_equal(node_get(&node, "ip?addr=2001:db8::1", &json), 200);
    assert_string_equal(text_of(json, "subject"), "2001:db8::/64");
    assert_string_equal(text_of(json, "verdict"), "unknown");
    assert_string_equal(text_of(json, "action"), "allow");
    assert_true(json_is_null(json_object_get(json, "since")));
    assert_true(json_is_null(json_object_get(json, "until")));
    assert_int_equal(json_array_size(json_object_get(json, "reporters")), 0);
    assert_string_equal(text_of(json, "why"),
                        "Unknown: nobody in the mesh reports it; this host treats it like any "
                        "other because it has not failed here.");
    json_decref(json);
}

static void test_an_address_that_fails_here(void **state)
{
    json_t *json;

    node_fails(&node, "198.51.100.7", 2);
    assert_int_equal(node_get(&node, "ip?addr=198.51.100.7", &json), 200);
    assert_string_equal(text_of(json, "verdict"), "unknown");
    assert_string_equal(text_of(json, "action"), "one-strike");
    assert_string_equal(text_of(json, "why"),
                        "Unknown: nobody in the mesh reports it; this host gives it one wrong "
                        "guess instead of five because it failed here 2 times in the last 24 h (2 "
                        "points).");
    json_decref(json);

    node_fails(&node, "198.51.100.7", 1); /* the one strike; and worth a signal */
    assert_int_equal(node_get(&node, "ip?addr=198.51.100.7", &json), 200);
    assert_string_equal(text_of(json, "verdict"), "reported");
    assert_int_equal(number_of(json, "weight"), 1000);
    assert_string_equal(text_of(json, "action"), "refuse");
    const json_t *local = json_object_get(json, "local");
    assert_int_equal(number_of(local, "failures"), 3);
    assert_int_equal(number_of(local, "points"), 3);
    assert_true(json_is_false(json_object_get(local, "clean")));
    assert_int_equal(strlen(text_of(local, "locked_until")), 20);
    const json_t *reporters = json_object_get(json, "reporters");
    assert_int_equal(json_array_size(reporters), 1);
    const json_t *who = json_array_get(reporters, 0);
    assert_string_equal(text_of(who, "group"), "127.1.0.0/16");
    assert_string_equal(text_of(who, "owner"), "09090909090909090909090909090909");
    assert_int_equal(number_of(who, "standing"), 1000);
    assert_int_equal(strlen(text_of(who, "time")), 20);
    assert_int_equal(strlen(text_of(json, "since")), 20);
    assert_int_equal(strlen(text_of(json, "until")), 20);
    const char *why = text_of(json, "why");
    static const char start[] = "Reported: 1 owner in 1 network reported it within 24 h (weight "
                                "1000 of the 2000 needed); this host has locked it until 20";
    static const char end[] = "Z because it failed here 3 times in the last 24 h (3 points).";
    assert_memory_equal(why, start, sizeof start - 1);
    assert_string_equal(why + strlen(why) - (sizeof end - 1), end);
    json_decref(json);
}

/* What it hands out, anybody can judge again (SPEC 21). */
static void test_evidence(void **state)
{
    struct gv_evidence_file file;
    struct gv_verdict verdict;
    struct gv_descriptor *descriptor = malloc(sizeof *descriptor);
    struct gv_text error;
    json_t *json;

    node_fails(&node, "198.51.100.7", 3);
    assert_int_equal(node_get(&node, "evidence?addr=198.51.100.7", &json), 200);
    char *text = json_dumps(json, 0);
    json_decref(json);
    assert_int_equal(gv_evidence_open(&file, text, strlen(text), &error), GV_OK);
    assert_int_equal(gv_evidence_verify(&verdict, descriptor, &file, &error), GV_OK);
    assert_int_equal(verdict.state, GV_VERDICT_REPORTED);
    assert_int_equal(verdict.weight, 1000);
    assert_memory_equal(descriptor->network_id, node.descriptor.network_id, GV_KEY_LEN);
    gv_evidence_close(&file);
    free(text);
    free(descriptor);
    assert_int_equal(node_get(&node, "evidence?addr=nobody", NULL), 400);
}

static void test_owners(void **state)
{
    json_t *json;

    assert_int_equal(node_get(&node, "owners", &json), 200);
    const json_t *owners = json_object_get(json, "owners"), *own = json_array_get(owners, 0);
    assert_int_equal(json_array_size(owners), 1); /* itself */
    assert_string_equal(text_of(own, "owner"), "09090909090909090909090909090909");
    assert_int_equal(number_of(own, "standing"), 1000); /* a lab network */
    assert_int_equal(number_of(own, "instances"), 1);
    assert_int_equal(number_of(own, "revoked"), 0);
    assert_string_equal(json_string_value(json_array_get(json_object_get(own, "groups"), 0)),
                        "127.1.0.0/16");
    assert_string_equal(text_of(own, "since"), text_of(own, "tenured"));
    assert_true(json_is_null(json_object_get(own, "fault_until")));
    json_decref(json);
}

static void test_distrusting(void **state)
{
    const char *other = "{\"owner\":\"0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a\"}";
    const char *own = "{\"owner\":\"09090909090909090909090909090909\"}";

    json_t *json;

    assert_int_equal(node_post(&node, "distrust", other, &json), 200);
    assert_non_null(strstr(text_of(json, "message"), "nobody of this tag"));
    json_decref(json);
    assert_int_equal(node_post(&node, "distrust", other, NULL), 409);
    assert_int_equal(node_post(&node, "undistrust", other, NULL), 200);
    assert_int_equal(node_post(&node, "undistrust", other, NULL), 404);
    assert_int_equal(node_post(&node, "distrust", own, NULL), 409);
    assert_int_equal(node_post(&node, "distrust", "{\"owner\":\"0a\"}", NULL), 400);
}

static void test_no_owners_without_a_network(void **state)
{
    assert_int_equal(node_get(&node, "owners", NULL), 409);
    assert_int_equal(node_get(&node, "evidence?addr=198.51.100.7", NULL), 409);
}

static void test_the_list(void **state)
{
    json_t *json;

    node_fails(&node, "198.51.100.7", 3);
    node_fails(&node, "198.51.100.8", 2); /* points, and no signal */
    node_fails(&node, "198.51.100.9", 1); /* nothing */
    assert_int_equal(node_get(&node, "list", &json), 200);
    const json_t *list = json_object_get(json, "subjects");
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(text_of(json_array_get(list, 0), "subject"), "198.51.100.7");
    assert_string_equal(text_of(json_array_get(list, 1), "subject"), "198.51.100.8");
    assert_string_equal(text_of(json_array_get(list, 1), "verdict"), "unknown");
    assert_string_equal(text_of(json_array_get(list, 1), "action"), "one-strike");
    json_decref(json);
    assert_int_equal(node_get(&node, "list?limit=1", &json), 200);
    assert_int_equal(json_array_size(json_object_get(json, "subjects")), 1);
    assert_int_equal(number_of(json, "matches"), 2);
    json_decref(json);
    assert_int_equal(node_get(&node, "list?verdict=unknown&action=allow", &json), 200);
    list = json_object_get(json, "subjects");
    assert_int_equal(json_array_size(list), 1);
    assert_string_equal(text_of(json_array_get(list, 0), "subject"), "198.51.100.9");
    json_decref(json);
    assert_int_equal(node_get(&node, "list?verdict=untrusted", &json), 200);
    assert_int_equal(json_array_size(json_object_get(json, "subjects")), 0);
    json_decref(json);
}

static void test_the_other_questions(void **state)
{
    json_t *json;

    assert_int_equal(node_get(&node, "peers", &json), 200);
    assert_int_equal(json_array_size(json_object_get(json, "peers")), 0);
    json_decref(json);
    assert_int_equal(node_get(&node, "traffic", &json), 200);
    assert_int_equal(json_integer_value(json_object_get(json, "cap_per_hour")), 1000000);
    assert_int_equal(json_array_size(json_object_get(json, "causes")), GV_CAUSE_COUNT);
    json_decref(json);
    assert_int_equal(node_get(&node, "roster", &json), 200);
    assert_int_equal(json_array_size(json_object_get(json, "instances")), 1);
    json_decref(json);
    assert_int_equal(node_get(&node, "network", &json), 200);
    assert_string_equal(text_of(json, "name"), "test");
    assert_string_equal(text_of(json, "terms"), "2026-11");
    assert_int_equal(strlen(text_of(json, "id")), 64);
    json_decref(json);
    assert_int_equal(node_get(&node, "status", &json), 200);
    assert_true(json_is_true(json_object_get(json, "enrolled")));
    assert_true(json_is_true(json_object_get(json_object_get(json, "store"), "ok")));
    json_decref(json);
}

/* ---- commanding ----------------------------------------------------------------------------- */

static void expect_action(const char *address, const char *action)
{
    char path[128];
    json_t *json;

    snprintf(path, sizeof path, "ip?addr=%s", address);
    assert_int_equal(node_get(&node, path, &json), 200);
    assert_string_equal(text_of(json, "action"), action);
    json_decref(json);
}

static void test_the_lists_of_the_admin(void **state)
{
    json_t *json;

    assert_int_equal(node_post(&node, "deny", "{\"addr\":\"203.0.113.0/24\"}", NULL), 200);
    expect_action("203.0.113.77", "refuse");
    assert_int_equal(node_post(&node, "allow", "{\"addr\":\"203.0.113.77\"}", NULL), 200);
    assert_int_equal(node_get(&node, "lists", &json), 200);
    assert_string_equal(json_string_value(json_array_get(json_object_get(json, "deny"), 0)),
                        "203.0.113.0/24");
    json_decref(json);
    assert_int_equal(node_post(&node, "unlist", "{\"addr\":\"203.0.113.0/24\"}", NULL), 200);
    expect_action("203.0.113.1", "allow");
    /* An entry outlives a restart. */
    node_stop(&node);
    assert_int_equal(node_start(&node), GV_OK);
    assert_int_equal(node_get(&node, "lists", &json), 200);
    assert_int_equal(json_array_size(json_object_get(json, "allow")), 1);
    assert_int_equal(json_array_size(json_object_get(json, "deny")), 0);
    json_decref(json);
}

static void expect_trust(unsigned status, const char *path, const char *tag)
{
    char body[128];

    snprintf(body, sizeof body, "{\"owner\":\"%s\"}", tag);
    assert_int_equal(node_post(&node, path, body, NULL), status);
}

static void test_owners_are_trusted(void **state)
{
    static const char tag[] = "00112233445566778899aabbccddeeff";
    char own[64];
    json_t *json;

    assert_int_equal(node_get(&node, "trust", &json), 200);
    assert_int_equal(json_array_size(json_object_get(json, "trusted")), 0);
    snprintf(own, sizeof own, "%s", text_of(json_object_get(json, "own"), "owner"));
    assert_int_equal(strlen(own), 32);
    json_decref(json);
    expect_trust(404, "untrust", tag);
    expect_trust(409, "trust", own);
    expect_trust(200, "trust", tag);
    expect_trust(409, "trust", tag);
    expect_trust(400, "trust", "0011");
    expect_trust(400, "trust", "00112233445566778899aabbccddeefg");
    node_stop(&node);
    assert_int_equal(node_start(&node), GV_OK);
    assert_int_equal(node_get(&node, "trust", &json), 200);
    const json_t *list = json_object_get(json, "trusted");
    assert_int_equal(json_array_size(list), 1);
    assert_string_equal(text_of(json_array_get(list, 0), "owner"), tag);
    assert_int_equal(number_of(json_array_get(list, 0), "instances"), 0);
    json_decref(json);
    expect_trust(200, "untrust", tag);
    assert_int_equal(node_get(&node, "trust", &json), 200);
    assert_int_equal(json_array_size(json_object_get(json, "trusted")), 0);
    json_decref(json);
}

static void test_retracting(void **state)
{
    json_t *json;

    node_fails(&node, "198.51.100.7", 3);
    assert_int_equal(node_post(&node, "retract", "{\"addr\":\"198.51.100.7\"}", &json), 200);
    json_decref(json);
    assert_int_equal(node_get(&node, "ip?addr=198.51.100.7", &json), 200);
    assert_string_equal(text_of(json, "verdict"), "unknown");
    json_decref(json);
    assert_int_equal(node_get(&node, "telemetry", &json), 200);
    const json_t *list = json_object_get(json, "telemetry");
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(text_of(json_object_get(json_array_get(list, 1), "statement"), "kind"),
                        "retract");
    json_decref(json);
}

/* ---- telemetry ------------------------------------------------------------------------------ */

static void expect_one_statement(const char *wanted_state)
{
    json_t *json;

    node_fails(&node, "198.51.100.7", 3);
    assert_int_equal(node_get(&node, "telemetry?limit=5&since=1h", &json), 200);
    const json_t *list = json_object_get(json, "telemetry");
    assert_int_equal(json_array_size(list), 1);
    const json_t *sent = json_array_get(list, 0), *statement = json_object_get(sent, "statement");
    assert_string_equal(text_of(sent, "state"), wanted_state);
    assert_true(json_is_null(json_object_get(sent, "sent")));
    assert_string_equal(text_of(statement, "kind"), "signal");
    assert_string_equal(text_of(statement, "subject"), "198.51.100.7");
    assert_int_equal(number_of(statement, "count"), 2); /* 3 attempts, in the 1-2-5 series */
    assert_string_equal(
        json_string_value(json_array_get(json_object_get(statement, "services"), 0)), "submission");
    assert_string_equal(json_string_value(json_array_get(json_object_get(statement, "kinds"), 0)),
                        "wrong-password");
    assert_true(strlen(text_of(sent, "raw")) > 128);
    assert_int_equal(json_array_size(json_object_get(sent, "acknowledged")), 0);
    json_decref(json);
}

static void test_what_waits_for_a_peer_is_queued(void **state)
{
    expect_one_statement("queued");
}

static void test_what_preview_would_have_sent_is_shown(void **state)
{
    expect_one_statement("preview");
}

static void test_following(void **state)
{
    static const char request[] = "GET /api/v1/telemetry?follow=1 HTTP/1.1\r\nHost: x\r\n\r\n";
    char answer[8192];
    int fd = unix_connect(node.socket);

    tcp_send(fd, request, sizeof request - 1);
    assert_true(tcp_read(fd, answer, sizeof answer, 300) > 0);
    assert_non_null(strstr(answer, "application/x-ndjson"));
    assert_null(strstr(answer, "198.51.100.7"));
    node_fails(&node, "198.51.100.7", 3);
    assert_true(tcp_read(fd, answer, sizeof answer, 500) > 0);
    assert_non_null(strstr(answer, "\"subject\":\"198.51.100.7\""));
    close(fd);
}

/* ---- why ------------------------------------------------------------------------------------ */

/* What stands behind the mesh's half of the sentence. */
static const struct {
    enum gv_reason reason;
    struct gv_action_facts facts;
    struct gv_history_summary history;
    const char *host;
} reasons[] = {
    {GV_REASON_NOTHING_KNOWN,
     {0},
     {0},
     "this host treats it like any other because it has not failed here."},
    {GV_REASON_NOTHING_KNOWN,
     {0},
     {.failures_day = 1, .last_failure_ms = 1000, .last_success_ms = 2000},
     "this host treats it like any other because it has logged in since it last failed here."},
    {GV_REASON_NOTHING_KNOWN,
     {0},
     {.last_failure_ms = 1000},
     "this host treats it like any other because its failures here are too few or too old to "
     "count."},
    {GV_REASON_NOTHING_KNOWN,
     {.points = 1},
     {.points = 1, .failures_day = 1, .last_failure_ms = 1000},
     "this host treats it like any other although it failed here 1 time in the last 24 h (1 "
     "point): two points would change that."},
    {GV_REASON_UNTRUSTED,
     {0},
     {0},
     "this host therefore gives it one wrong guess instead of five; it has not failed here."},
    {GV_REASON_UNTRUSTED,
     {.points = 1},
     {.points = 1, .failures_day = 1, .last_failure_ms = 1000},
     "this host therefore gives it one wrong guess instead of five; it failed here 1 time in "
     "the last 24 h (1 point)."},
    {GV_REASON_UNTRUSTED,
     {0},
     {.failures_day = 1, .last_failure_ms = 1000, .last_success_ms = 2000},
     "this host therefore gives it one wrong guess instead of five; it has logged in since it "
     "last failed here."},
    {GV_REASON_UNTRUSTED,
     {.points = 2, .failed_lately = true, .network_known_here = true},
     {.points = 2, .failures_day = 2, .last_failure_ms = 1000},
     "this host therefore gives it one wrong guess instead of five, and does not refuse it, "
     "because somebody has logged in here from the same network."},
    {GV_REASON_UNTRUSTED,
     {.points = 2, .failed_lately = true, .known_here = true, .network_known_here = true},
     {.points = 2, .failures_day = 2, .last_failure_ms = 1000},
     "this host therefore gives it one wrong guess instead of five, and does not refuse it, "
     "because somebody has logged in here from it."},
    {GV_REASON_UNTRUSTED,
     {.points = 2},
     {.points = 2, .last_failure_ms = 1000},
     "this host therefore gives it one wrong guess instead of five, and does not refuse it, "
     "because it has not failed here for 6 hours."},
    {GV_REASON_UNTRUSTED_AND_FAILED_HERE,
     {.points = 2},
     {.points = 2, .failures_day = 2, .last_failure_ms = 1000},
     "this host refuses it because it failed here 2 times in the last 24 h (2 points) too."},
    {GV_REASON_UNTRUSTED_AND_FAILED_HERE,
     {.points = 2},
     {0},
     "this host refuses it because another server of yours, or of an owner you trust, reports it "
     "too."},
    {GV_REASON_FAILED_HERE_AGAIN,
     {.points = 4, .failed_lately = true, .many_accounts = true},
     {.points = 4, .failures_day = 3, .last_failure_ms = 1000},
     "this host refuses it because it failed here 3 times in the last 24 h (4 points), at several "
     "accounts, and nobody has logged in here from its network."},
    {GV_REASON_LOCKED_BY_OWN,
     {.locked_by_own = true},
     {0},
     "this host refuses it because another server of yours, or of an owner you trust, has locked "
     "it."},
};

static void test_each_reason_is_told_as_it_is(void **state)
{
    struct gv_subject subject;
    struct gv_verdict verdict;
    struct gv_policy policy;
    struct gv_text why;

    memset(&verdict, 0, sizeof verdict);
    memset(&policy, 0, sizeof policy);
    assert_int_equal(gv_subject_parse(&subject, "8.8.8.8", 7), GV_OK);
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        verdict.state =
            strstr(reasons[i].host, "therefore") ? GV_VERDICT_UNTRUSTED : GV_VERDICT_UNKNOWN;
        gv_why_text(&why, &(struct gv_why){.subject = &subject,
                                           .verdict = &verdict,
                                           .facts = &reasons[i].facts,
                                           .decision = {.reason = reasons[i].reason},
                                           .history = &reasons[i].history,
                                           .policy = &policy});
        const char *host = strstr(why.text, "; this host");
        assert_non_null(host);
        assert_string_equal(host + 2, reasons[i].host);
        assert_null(strstr(why.text, "distrust"));
    }
    gv_why_text(&why, &(struct gv_why){.subject = &subject,
                                       .verdict = &verdict,
                                       .unheard = 3,
                                       .facts = &reasons[0].facts,
                                       .history = &reasons[0].history,
                                       .policy = &policy});
    assert_non_null(strstr(why.text, "besides 3 owners that you distrust; this host"));
}

/* ---- the certificate ------------------------------------------------------------------------ */

static void expect_certificate(const char *wanted, const char *advice)
{
    json_t *json;

    assert_int_equal(node_get(&node, "status", &json), 200);
    assert_string_equal(text_of(json, "certificate_state"), wanted);
    if (advice)
        assert_non_null(strstr(text_of(json, "advice"), advice));
    else
        assert_true(json_is_null(json_object_get(json, "advice")));
    json_decref(json);
}

/* Starts the node anew with this certificate in its folder, and with none of before in its store.
 */
static void restart_with(struct gv_certificate *certificate, const struct gv_identity *signer)
{
    uint8_t wire[GV_CERTIFICATE_LEN];
    char path[128];

    node_stop(&node);
    snprintf(path, sizeof path, "%s/store.db", node.folder);
    assert_int_equal(unlink(path), 0);
    gv_certificate_issue(wire, certificate, signer->sign_secret, node.descriptor.network_id);
    snprintf(path, sizeof path, "%s/certificate", node.folder);
    assert_int_equal(gv_file_write(path, wire, sizeof wire, 0600, NULL), GV_OK);
    if (node_start(&node) != GV_OK)
        fail_msg("%s", node.error.text);
}

static void test_when_to_enrol_again(void **state)
{
    uint32_t now = (uint32_t)(gv_unix_ms() / 60000);
    struct gv_certificate c = {.placement = 1,
                               .group = (uint64_t)GV_GROUP_IPV4 << 56 | 0x7f01,
                               .since_min = now - 600,
                               .issued_min = now - 600,
                               .expires_min = now - 60};

    expect_certificate("valid", NULL);
    memcpy(c.key, node.identity.sign_public, GV_KEY_LEN);
    memset(c.owner, 9, sizeof c.owner);
    restart_with(&c, &node.registry);
    expect_certificate("overdue", NULL); /* it is accepted for the grace, and renewed in it */
    c.since_min = c.issued_min = now - node.descriptor.policy.grace_min - 600;
    c.expires_min = now - node.descriptor.policy.grace_min;
    restart_with(&c, &node.registry);
    expect_certificate("expired", "enrol again");
    c.since_min = c.issued_min = now - 600;
    c.expires_min = now + 1440;
    restart_with(&c, &node.root); /* a key that the descriptor does not name */
    expect_certificate("dropped", "enrol again");
}

static void test_a_node_without_a_certificate(void **state)
{
    expect_certificate("none", NULL);
}

/* ---- nonsense ------------------------------------------------------------------------------- */

static void test_nonsense_gets_a_sentence(void **state)
{
    static const struct {
        const char *path, *body;
        unsigned status;
        const char *part;
    } cases[] = {
        {"ip", NULL, 400, "address is missing"},
        {"ip?addr=", NULL, 400, "address is missing"},
        {"ip?addr=010.1.1.1", NULL, 400, "is not an address"},
        {"ip?addr=%1b%5b31m", NULL, 400, "x1b[31m"},
        {"list?limit=0", NULL, 400, "from 1 to"},
        {"list?limit=99999", NULL, 400, "from 1 to"},
        {"list?limit=1x", NULL, 400, "from 1 to"},
        {"list?verdict=bad", NULL, 400, "not a verdict"},
        {"list?action=maybe", NULL, 400, "not an action"},
        {"telemetry?since=yesterday", NULL, 400, "not a time"},
        {"telemetry?since=2026-02-30T00:00:00Z", NULL, 400, "not a time"},
        {"telemetry?follow=yes", NULL, 400, "follow"},
        {"nothing", NULL, 404, "no such path"},
        {"deny", "", 400, "not JSON"},
        {"deny", "[]", 400, "object"},
        {"deny", "{}", 400, "addr"},
        {"deny", "{\"addr\":4}", 400, "addr"},
        {"deny", "{\"addr\":\"203.0.113.1/24\"}", 400, "is not an address or range"},
        {"deny", "{\"addr\":\"x\",\"addr\":\"y\"}", 400, "not JSON"},
        {"retract", "{\"addr\":\"203.0.113.0/24\"}", 400, "is not an address"},
        {"retract", "{\"addr\":\"9.9.9.9\"}", 404,
         "this node has said nothing of 9.9.9.9 that still counts: nothing to take back"},
        {"unlist", "{\"addr\":\"192.0.2.1\"}", 404,
         "192.0.2.1 is on neither list; `grapevine allow` shows them"},
        {"network", "{\"registry\":\"http://x/path\"}", 400, "without a path"},
        {"enroll", "{\"email\":\"a@b.test\"}", 400, "terms"},
        {"enroll", "{\"email\":\"a@b.test\",\"terms\":\"old\"}", 409, "version 2026-11"},
        {"confirm", "{\"code\":\"\"}", 400, "empty"},
        {"leave", "{}", 400, "instance"},
        {"leave", "{\"instance\":\"00000000000000000000000000000000\"}", 409, "not the instance"},
        {"network", "{\"registry\":\"gopher://x\"}", 400, "https://"},
        {"reload", "{}", 404, "nothing to reload"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *json;
        unsigned status = cases[i].body ? node_post(&node, cases[i].path, cases[i].body, &json)
                                        : node_get(&node, cases[i].path, &json);
        if (status != cases[i].status || !strstr(text_of(json, "message"), cases[i].part))
            fail_msg("%s %s: %u %s", cases[i].path, cases[i].body ? cases[i].body : "", status,
                     text_of(json, "message"));
        json_decref(json);
    }
}

/* The registry of these tests is an address where nobody answers. */
static void test_a_registry_that_is_down_is_an_answer(void **state)
{
    json_t *json;

    assert_int_equal(
        node_post(&node, "enroll", "{\"email\":\"a@b.test\",\"terms\":\"2026-11\"}", &json), 502);
    assert_true(strlen(text_of(json, "message")) > 10);
    json_decref(json);
}

static void test_the_socket_is_for_owner_and_group(void **state)
{
    struct stat info;

    assert_int_equal(stat(node.socket, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0660);
}

#define TEST(name, setup) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_node_in_no_network_says_so, setup_alone),
        TEST(test_an_unknown_address, setup_sharing),
        TEST(test_an_address_that_fails_here, setup_sharing),
        TEST(test_evidence, setup_sharing),
        TEST(test_owners, setup_sharing),
        TEST(test_distrusting, setup_sharing),
        TEST(test_no_owners_without_a_network, setup_alone),
        TEST(test_the_list, setup_sharing),
        TEST(test_the_other_questions, setup_sharing),
        TEST(test_the_lists_of_the_admin, setup_sharing),
        TEST(test_owners_are_trusted, setup_sharing),
        TEST(test_retracting, setup_sharing),
        TEST(test_what_waits_for_a_peer_is_queued, setup_sharing),
        TEST(test_what_preview_would_have_sent_is_shown, setup_preview),
        TEST(test_following, setup_sharing),
        cmocka_unit_test(test_each_reason_is_told_as_it_is),
        TEST(test_when_to_enrol_again, setup_sharing),
        TEST(test_a_node_without_a_certificate, setup_alone),
        TEST(test_nonsense_gets_a_sentence, setup_sharing),
        TEST(test_a_registry_that_is_down_is_an_answer, setup_sharing),
        TEST(test_the_socket_is_for_owner_and_group, setup_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
