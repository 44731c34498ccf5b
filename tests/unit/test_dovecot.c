/* Dovecot's policy server over real sockets, before a real core (SPEC 18.3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "helper_host.h"
#include "helper_tcp.h"
#include "node/serve/dovecot.h"

static struct loop_thread thread;
static struct network network;
static struct host host;
static struct gv_http_server *server;
static struct gv_dovecot *dovecot;
static struct gv_observation last;
static unsigned observed;

static void observe(void *context, const struct gv_observation *observation)
{
    struct gv_event event = {.kind = GV_EVENT_OBSERVATION, .observation = *observation};

    event.observation.unix_ms = host_unix_ms(&host); /* the stage has a clock of its own */
    last = *observation;
    observed++;
    assert_int_equal(host_step(&host, &event), GV_OK);
}

static void handle(struct gv_http_request *request, void *context)
{
    gv_dovecot_handle(dovecot, request);
}

static const struct gv_http_route routes[] = {{"POST", "/dovecot", handle}};

static void open_server(void *context)
{
    const uint8_t key[16] = {7};
    struct gv_http_options http = {.host = "127.0.0.1",
                                   .routes = routes,
                                   .route_count = 1,
                                   .connections_max = 256,
                                   .connections_per_ip = 256};
    struct gv_dovecot_options options = {.loop = &thread.loop,
                                         .core = host.core,
                                         .account_key = key,
                                         .enforced = true,
                                         .observe = observe};

    assert_int_equal(gv_dovecot_start(&dovecot, &options), GV_OK);
    assert_int_equal(gv_http_start(&server, &thread.loop, &http, NULL), GV_OK);
}

static int set_up(void **state)
{
    network_open(&network, 1, true);
    assert_int_equal(host_open(&host, &network, 1, NULL), GV_OK);
    observed = 0;
    loop_thread_start(&thread);
    loop_thread_call(&thread, open_server, NULL);
    return 0;
}

static void close_server(void *context)
{
    gv_http_stop(server);
    gv_dovecot_stop(dovecot);
}

static int tear_down(void **state)
{
    loop_thread_call(&thread, close_server, NULL);
    loop_thread_stop(&thread);
    host_close(&host);
    network_close(&network);
    return 0;
}

#define CLIENT "198.51.100.77"

/* Sends a request and leaves the answer to be read. */
static int post(const char *command, const char *body)
{
    char text[2048];
    int fd = tcp_connect(gv_http_port(server));
    int len = snprintf(text, sizeof text,
                       "POST /dovecot?command=%s HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                       "Connection: close\r\nContent-Length: %zu\r\n\r\n%s",
                       command, strlen(body), body);

    tcp_send(fd, text, (size_t)len);
    return fd;
}

static int login(const char *command, const char *remote, const char *name, const char *password,
                 const char *session, const char *more)
{
    char body[1024];

    snprintf(body, sizeof body,
             "{\"device_id\":\"\",\"login\":\"%s\",\"protocol\":\"imap\",\"pwhash\":\"%s\","
             "\"remote\":\"%s\",\"session_id\":\"%s\",\"mech\":\"PLAIN\"%s,\"tls\":false}",
             name, password, remote, session, more);
    return post(command, body);
}

/* The status in the answer; 99 for none within the time. */
static int status(int fd, int quiet_ms)
{
    char answer[2048];
    size_t len = tcp_read(fd, answer, sizeof answer, quiet_ms);
    const char *found = len ? strstr(answer, "\"status\":") : NULL;

    return found ? atoi(found + strlen("\"status\":")) : 99;
}

static int ask(const char *remote, const char *name, const char *password, const char *session)
{
    int fd = login("allow", remote, name, password, session, "");
    int answer = status(fd, 2000);

    close(fd);
    return answer;
}

static void tell(const char *remote, const char *name, const char *password, const char *session,
                 const char *more)
{
    int fd = login("report", remote, name, password, session, more);

    assert_int_equal(status(fd, 2000), 0);
    close(fd);
}
#define WRONG   ",\"success\":false,\"policy_reject\":false,\"fail_type\":\"credentials\""
#define UNKNOWN ",\"success\":false,\"policy_reject\":false,\"fail_type\":\"account\""
#define RIGHT   ",\"success\":true,\"policy_reject\":false,\"fail_type\":\"\""

static struct gv_dovecot_counters counters(void)
{
    struct gv_dovecot_counters c;

    gv_dovecot_counters(dovecot, &c);
    return c;
}

static struct gv_subject subject_of(const char *text)
{
    struct gv_subject subject;

    assert_int_equal(gv_subject_parse(&subject, text, strlen(text)), GV_OK);
    return subject;
}

static enum gv_action action_of(const char *text)
{
    struct gv_subject subject = subject_of(text);

    return gv_core_decide(host.core, NULL, NULL, &subject).action;
}

static void five_wrong_passwords_lock_an_address(void **state)
{
    char text[32];

    for (int i = 0; i < 5; i++) {
        snprintf(text, sizeof text, "%d", i);
        assert_int_equal(ask(CLIENT, "bob", text, "s"), 0);
        tell(CLIENT, "bob", text, "s", WRONG);
    }
    assert_int_equal(ask(CLIENT, "bob", "right", "s"), -1);
    assert_int_equal(ask("198.51.100.78", "bob", "right", "t"), 0); /* a neighbour */
    assert_int_equal(last.kind, GV_KIND_WRONG_PASSWORD);
    assert_int_equal(last.service, GV_SERVICE_IMAP);
    assert_int_not_equal(last.account, 0);
    assert_int_equal(counters().refused, 1);
}

static void an_old_password_that_is_repeated_is_one_mistake(void **state)
{
    for (int i = 0; i < 50; i++) {
        assert_int_equal(ask(CLIENT, "Bob", "old", "s"), 0);
        tell(CLIENT, i % 2 ? "bob" : "BOB", "old", "s", WRONG);
    }
    assert_int_equal(observed, 1);
    assert_int_equal(counters().repeated, 49);
    assert_int_equal(ask(CLIENT, "bob", "new", "s"), 0);
}

/* With a challenge the server never sees a password: the hash is of the name alone. */
static void a_hash_without_a_password_is_no_repetition(void **state)
{
    for (int i = 0; i < 5; i++) {
        int fd = post("report", "{\"login\":\"bob\",\"pwhash\":\"same\",\"remote\":\"" CLIENT
                                "\",\"mech\":\"CRAM-MD5\",\"session_id\":\"\""
                                ",\"success\":false,\"fail_type\":\"credentials\"}");
        assert_int_equal(status(fd, 2000), 0);
        close(fd);
    }
    assert_int_equal(observed, 5);
    assert_int_equal(action_of(CLIENT), GV_ACTION_REFUSE);
}

static void what_is_not_the_clients_fault_is_no_failure(void **state)
{
    static const char *const faults[] = {
        ",\"success\":false,\"fail_type\":\"internal\"",
        ",\"success\":false,\"fail_type\":\"expired\"",
        ",\"success\":false,\"fail_type\":\"disabled\"",
        ",\"success\":false,\"fail_type\":\"policy\"",
        ",\"success\":false,\"policy_reject\":true,\"fail_type\":\"credentials\"",
    };
    char text[32];

    for (int i = 0; i < 20; i++) {
        snprintf(text, sizeof text, "%d", i);
        tell(CLIENT, "bob", text, text, faults[i % 5]);
    }
    assert_int_equal(action_of(CLIENT), GV_ACTION_ALLOW);
    tell(CLIENT, "nobody", "x", "y", UNKNOWN);
    assert_int_equal(last.kind, GV_KIND_UNKNOWN_ACCOUNT);
    assert_int_equal(action_of(CLIENT), GV_ACTION_ONE_STRIKE);
}

static void hundred_parallel_guesses_get_one_answer(void **state)
{
    int guesses[100];
    unsigned answered = 0, refused = 0;
    char text[32];

    tell(CLIENT, "nobody", "x", "y", UNKNOWN); /* it is one-strike from now on */
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof text, "%d", i);
        guesses[i] = login("allow", CLIENT, "bob", text, text, "");
    }
    assert_int_equal(status(guesses[0], 2000), 0);
    for (int i = 1; i < 100; i += 11)
        assert_int_equal(status(guesses[i], 50), 99); /* silence */
    assert_int_equal(counters().waited, 99);
    tell(CLIENT, "bob", "0", "0", WRONG);
    for (int i = 1; i < 100; i++) {
        int answer = status(guesses[i], 2000);
        answered += answer == 0;
        refused += answer == -1;
    }
    assert_int_equal(answered, 0);
    assert_int_equal(refused, 99);
    for (int i = 0; i < 100; i++)
        close(guesses[i]);
}

#define ALIKE                                                                                      \
    "{\"login\":\"bob\",\"pwhash\":\"same\",\"remote\":\"" CLIENT                                  \
    "\",\"mech\":\"CRAM-MD5\",\"session_id\":\"\""

/* By way of Postfix and with a challenge every guess at a name looks the same, and like the second
 * question of the first. Its report says that it was none. */
static void guesses_that_look_alike_are_guesses_all_the_same(void **state)
{
    int guesses[100];
    unsigned answered = 0, refused = 0;

    tell(CLIENT, "nobody", "x", "y", UNKNOWN);
    for (int i = 0; i < 100; i++)
        guesses[i] = post("allow", ALIKE "}");
    for (int i = 0; i < 100; i++)
        answered += status(guesses[i], i == 0 ? 2000 : 0) == 0;
    assert_int_equal(answered, 1);
    close(post("report", ALIKE ",\"success\":false,\"fail_type\":\"credentials\"}"));
    for (int i = 1; i < 100; i++)
        refused += status(guesses[i], 2000) == -1;
    assert_int_equal(refused, 99);
    for (int i = 0; i < 100; i++)
        close(guesses[i]);
}

/* A right password: there is no report before the second question is answered, so it is, late. */
static void a_second_question_that_looks_like_a_guess_is_answered(void **state)
{
    tell(CLIENT, "nobody", "x", "y", UNKNOWN);
    int first = post("allow", ALIKE "}");
    assert_int_equal(status(first, 2000), 0);
    int second = post("allow", ALIKE "}"), third = post("allow", ALIKE "}");
    assert_int_equal(status(second, 5000), 0);
    assert_int_equal(status(third, 0), 99); /* there is one second question, and no third */
    close(post("report", ALIKE ",\"success\":true}"));
    assert_int_equal(status(third, 2000), 0); /* the next login, of an address that is good again */
    assert_true(last.success);
    close(first);
    close(second);
    close(third);
}

/* An address with nothing against it does not wait at all. */
static void who_is_not_suspected_is_answered_at_once(void **state)
{
    for (int i = 0; i < 4; i++) {
        int question = post("allow", ALIKE "}");
        assert_int_equal(status(question, 5000), 0);
        close(question);
    }
    assert_int_equal(counters().waited, 0);
}

/* A mail client opens ten connections at once, from an address never seen before. */
static void a_right_password_lets_all_in_who_wait(void **state)
{
    int logins[10];
    char text[32];

    for (int i = 0; i < 10; i++) {
        snprintf(text, sizeof text, "s%d", i);
        logins[i] = login("allow", CLIENT, "bob", "right", text, "");
        if (i < 5)
            assert_int_equal(status(logins[i], 2000), 0);
    }
    assert_int_equal(status(logins[9], 50), 99);
    assert_int_equal(ask(CLIENT, "bob", "right", "s0"), 0); /* Dovecot's second question */
    for (int i = 0; i < 10; i++) {
        snprintf(text, sizeof text, "s%d", i);
        tell(CLIENT, "bob", "right", text, RIGHT);
        if (i >= 5)
            assert_int_equal(status(logins[i], 2000), 0);
    }
    assert_true(last.success);
    assert_int_equal(counters().refused, 0);
    for (int i = 0; i < 10; i++)
        close(logins[i]);
}

static void nobody_waits_for_a_report_that_never_comes(void **state)
{
    tell(CLIENT, "nobody", "x", "y", UNKNOWN);
    assert_int_equal(ask(CLIENT, "bob", "1", "1"), 0);
    int fd = login("allow", CLIENT, "bob", "2", "2", "");
    assert_int_equal(status(fd, 3000), 99);
    assert_int_equal(status(fd, 4000), 0);
    close(fd);
}

/* A login backend that is slow must not let the others through: of a hundred one goes every 5 s. */
static void a_slow_backend_does_not_let_guesses_through(void **state)
{
    int guesses[100];
    unsigned answered = 0, refused = 0;
    char text[32];

    tell(CLIENT, "nobody", "x", "y", UNKNOWN);
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof text, "%d", i);
        guesses[i] = login("allow", CLIENT, "bob", text, text, "");
    }
    for (int i = 0; i < 100; i++) {
        int answer = status(guesses[i], 7000);
        answered += answer == 0;
        refused += answer == -1;
        close(guesses[i]);
    }
    assert_int_equal(answered, 2);
    assert_int_equal(refused, 98);
    assert_int_equal(counters().crowded, 98);
    assert_int_equal(ask("198.51.100.78", "bob", "right", "t"), 0); /* a neighbour */
}

static void not_enforced_it_counts_and_refuses_nobody(void **state)
{
    char text[32];

    gv_dovecot_enforce(dovecot, false);
    for (int i = 0; i < 8; i++) {
        snprintf(text, sizeof text, "%d", i);
        tell(CLIENT, "bob", text, text, WRONG);
    }
    assert_int_equal(action_of(CLIENT), GV_ACTION_REFUSE);
    assert_int_equal(ask(CLIENT, "bob", "x", "x"), 0);
    assert_int_equal(counters().refused, 0);
    assert_int_equal(counters().would_refuse, 1);
}

static void what_the_log_tells_again_is_absorbed(void **state)
{
    struct gv_observation line = {.subject = subject_of(CLIENT), .attempts = 3};

    tell(CLIENT, "bob", "1", "s", WRONG);
    tell(CLIENT, "bob", "2", "s", WRONG);
    uint64_t now = uv_now(&thread.loop);
    assert_true(gv_dovecot_absorb(dovecot, &line, now)); /* one of three is new */
    assert_int_equal(line.attempts, 1);
    line.attempts = 2;
    assert_true(gv_dovecot_absorb(dovecot, &line, now));
    assert_int_equal(line.attempts, 2);

    tell(CLIENT, "bob", "3", "s", WRONG);
    line.attempts = 1;
    assert_false(gv_dovecot_absorb(dovecot, &line, uv_now(&thread.loop)));
    tell(CLIENT, "bob", "4", "s", WRONG);
    line.attempts = 1;
    now = uv_now(&thread.loop);
    assert_true(gv_dovecot_absorb(dovecot, &line, now + 2 * GV_DOVECOT_ABSORB_MS));

    tell(CLIENT, "bob", "5", "s", RIGHT);
    struct gv_observation success = {.subject = line.subject, .success = true};
    assert_false(gv_dovecot_absorb(dovecot, &success, uv_now(&thread.loop)));
    assert_true(gv_dovecot_absorb(dovecot, &success, uv_now(&thread.loop)));
}

static void what_makes_no_sense_is_refused_with_a_sentence(void **state)
{
    static const struct {
        const char *command, *body;
    } bad[] = {
        {"allow", ""},
        {"allow", "[]"},
        {"allow", "{"},
        {"allow", "{\"login\":\"bob\"}"},
        {"allow", "{\"remote\":\"1.2.3\"}"},
        {"allow", "{\"remote\":\"1.2.3.4 \"}"},
        {"allow", "{\"remote\":7}"},
        {"allow", "{\"remote\":\"1.2.3.4\",\"remote\":\"5.6.7.8\"}"},
        {"allow", "{\"remote\":\"1.2.3.4\"} and more"},
        {"report", "null"},
        {"deny", "{\"remote\":\"1.2.3.4\"}"},
        {"", "{\"remote\":\"1.2.3.4\"}"},
    };
    char answer[1024];

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int fd = post(bad[i].command, bad[i].body);
        assert_true(tcp_read(fd, answer, sizeof answer, 2000) > 0);
        if (!strstr(answer, " 400 ") || !strstr(answer, "\"message\""))
            fail_msg("%s %s: %s", bad[i].command, bad[i].body, answer);
        close(fd);
    }
    assert_int_equal(counters().malformed, sizeof bad / sizeof *bad);
    assert_int_equal(observed, 0);
}

/* doveadm auth test, a program on this host: an error would be three lines in Dovecot's log. */
static void a_login_from_no_address_is_allowed_and_says_nothing(void **state)
{
    assert_int_equal(ask("", "bob", "1", "1"), 0);
    tell("", "bob", "1", "1", WRONG);
    tell("", "bob", "2", "2", RIGHT);
    assert_int_equal(counters().malformed, 0);
    assert_int_equal(observed, 0);
}

/* Who is clean has any number of logins under way, where others have five. */
static void whom_this_host_knows_never_waits(void **state)
{
    char session[16];

    tell(CLIENT, "bob", "1", "a", RIGHT);
    tell(CLIENT, "eve", "1", "b", RIGHT);
    for (int i = 0; i < 20; i++) {
        snprintf(session, sizeof session, "s%d", i);
        assert_int_equal(ask(CLIENT, "bob", session, session), 0);
    }
    assert_int_equal(counters().waited, 0);
}

/* Requests that wait when the server stops, or whose client has gone, leave nothing behind: the
 * sanitizer would tell. */
static void it_can_stop_while_questions_wait(void **state)
{
    tell(CLIENT, "nobody", "x", "y", UNKNOWN);
    assert_int_equal(ask(CLIENT, "bob", "1", "1"), 0);
    for (int i = 0; i < 20; i++) {
        char text[32];
        snprintf(text, sizeof text, "w%d", i);
        int fd = login("allow", CLIENT, "bob", text, text, "");
        if (i == 19)
            assert_int_equal(status(fd, 100), 99);
        close(fd);
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(five_wrong_passwords_lock_an_address),
        TEST(an_old_password_that_is_repeated_is_one_mistake),
        TEST(a_hash_without_a_password_is_no_repetition),
        TEST(what_is_not_the_clients_fault_is_no_failure),
        TEST(hundred_parallel_guesses_get_one_answer),
        TEST(guesses_that_look_alike_are_guesses_all_the_same),
        TEST(a_second_question_that_looks_like_a_guess_is_answered),
        TEST(who_is_not_suspected_is_answered_at_once),
        TEST(a_right_password_lets_all_in_who_wait),
        TEST(nobody_waits_for_a_report_that_never_comes),
        TEST(a_slow_backend_does_not_let_guesses_through),
        TEST(not_enforced_it_counts_and_refuses_nobody),
        TEST(what_the_log_tells_again_is_absorbed),
        TEST(what_makes_no_sense_is_refused_with_a_sentence),
        TEST(a_login_from_no_address_is_allowed_and_says_nothing),
        TEST(whom_this_host_knows_never_waits),
        TEST(it_can_stop_while_questions_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
