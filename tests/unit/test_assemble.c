/* Several lines about one attempt make one observation, and N attempts weigh N (SPEC 10.3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "helper_reader.h"

#define T  "Nov 22 02:36:26 vm "
#define S1 T "postfix/smtpd[11]: "
#define S2 T "postfix/smtpd[12]: "
#define FAIL(address, user)                                                                        \
    "warning: unknown[" address "]: SASL LOGIN authentication failed: (reason unavailable), "      \
    "sasl_username=" user
#define A "198.51.100.7"
#define B "198.51.100.8"
#define LOGIN(reason, session)                                                                     \
    T "dovecot: imap-login: Disconnected: Connection closed (" reason "): user=<bob>, "            \
      "method=PLAIN, rip=" A ", lip=192.0.2.25, session=<" session ">"

static void failure_and_disconnect_are_one(void **state)
{
    STORY("2 " A " postfix smtp unspecified 1 visit", S1 "connect from unknown[" A "]",
          S1 FAIL(A, "alice"),
          S1 "disconnect from unknown[" A "] ehlo=1 auth=0/1 quit=1 commands=2/3");
}

static void several_failures_of_a_connection_are_one_visit(void **state)
{
    STORY("2 " A " postfix smtp unspecified 1 visit; 3 " A " postfix smtp unspecified 1; "
          "4 " A " postfix smtp unspecified 1",
          S1 "connect from unknown[" A "]", S1 FAIL(A, "a"), S1 FAIL(A, "b"), S1 FAIL(A, "c"),
          S1 "too many errors after AUTH from unknown[" A "]",
          S1 "disconnect from unknown[" A "] ehlo=1 auth=0/3 commands=1/4");
}

static void the_next_connection_of_a_process_is_another_visit(void **state)
{
    STORY("2 " A " postfix smtp unspecified 1 visit; 5 " A " postfix smtp unspecified 1 visit",
          S1 "connect from unknown[" A "]", S1 FAIL(A, "a"),
          S1 "disconnect from unknown[" A "] ehlo=1 auth=0/1 commands=1/2",
          S1 "connect from unknown[" A "]", S1 FAIL(A, "a"));
}

static void connections_of_several_processes_are_told_apart(void **state)
{
    STORY("3 " A " postfix smtp unspecified 1 visit; 4 " A " postfix smtp unspecified 1 visit; "
          "6 " A " postfix smtp aborted 1",
          S1 "connect from unknown[" A "]", S2 "connect from unknown[" A "]", S1 FAIL(A, "a"),
          S2 FAIL(A, "a"), S1 "disconnect from unknown[" A "] auth=0/1 commands=0/1",
          S2 "disconnect from unknown[" A "] auth=0/2 commands=0/2");
}

static void one_pid_on_two_hosts(void **state)
{
    STORY("3 " A " postfix smtp unspecified 1 visit; 4 " B " postfix smtp aborted 1 visit",
          "Nov 22 02:36:26 mx1 postfix/smtpd[11]: connect from unknown[" A "]",
          "Nov 22 02:36:26 mx2 postfix/smtpd[11]: connect from unknown[" B "]",
          "Nov 22 02:36:26 mx1 postfix/smtpd[11]: " FAIL(A, "a"),
          "Nov 22 02:36:26 mx2 postfix/smtpd[11]: disconnect from unknown[" B "] auth=0/1 "
          "commands=0/1",
          "Nov 22 02:36:26 mx1 postfix/smtpd[11]: disconnect from unknown[" A "] auth=0/1 "
          "commands=0/1");
}

static void without_a_pid_the_address_tells_them_apart(void **state)
{
    STORY("2 " A " postfix smtp unspecified 1 visit; 3 " B " postfix smtp unspecified 1 visit",
          T "postfix/smtpd: connect from unknown[" A "]", T "postfix/smtpd: " FAIL(A, "a"),
          T "postfix/smtpd: " FAIL(B, "a"),
          T "postfix/smtpd: disconnect from unknown[" A "] auth=0/1 commands=0/1",
          T "postfix/smtpd: disconnect from unknown[" B "] auth=0/1 commands=0/1");
}

static void connections_without_a_pid_that_are_open_at_once(void **state)
{
#define S0 T "postfix/smtpd: "
    /* Each counts once, whichever of them ends first. */
    STORY("1 " A " postfix smtp unspecified 1 visit; 2 " A " postfix smtp unspecified 1",
          S0 FAIL(A, "a"), S0 FAIL(A, "b"),
          S0 "disconnect from unknown[" A "] auth=0/1 commands=0/1",
          S0 "disconnect from unknown[" A "] auth=0/1 commands=0/1");
    STORY("1 " A " postfix smtp unspecified 1 visit; 2 " A " postfix smtp unspecified 1; "
          "5 " A " postfix smtp aborted 2",
          S0 FAIL(A, "a"), S0 FAIL(A, "b"), S0 "lost connection after AUTH from unknown[" A "]",
          S0 "disconnect from unknown[" A "] auth=0/1 commands=0/1",
          S0 "disconnect from unknown[" A "] auth=0/3 commands=0/3");
    STORY("1 " A " postfix smtp unspecified 1 visit; 2 " A " postfix smtp unspecified 1",
          S0 FAIL(A, "a"), S0 FAIL(A, "b"),
          S0 "disconnect from unknown[" A "] auth=1/2 commands=1/2",
          S0 "disconnect from unknown[" A "] auth=0/1 commands=0/1");
    /* What has waited for hours is not of the connection that now ends: its line was lost. */
    STORY("1 " A " postfix smtp unspecified 1 visit; 2 " A " postfix smtp unspecified 1; "
          "4 " A " postfix smtp aborted 1 visit",
          "Nov 22 00:36:26 vm postfix/smtpd: " FAIL(A, "a"),
          "Nov 22 00:36:26 vm postfix/smtpd: " FAIL(A, "b"),
          S0 "disconnect from unknown[" A "] auth=0/1 commands=0/1",
          S0 "disconnect from unknown[" A "] auth=0/1 commands=0/1");
}

static void a_drop_midway_is_one_aborted_attempt(void **state)
{
    STORY("3 " A " postfix smtp aborted 1 visit", S1 "connect from unknown[" A "]",
          S1 "lost connection after AUTH from unknown[" A "]",
          S1 "disconnect from unknown[" A "] ehlo=1 auth=0/1 commands=1/2");
    STORY("2 " A " postfix smtp aborted 1 visit", /* Postfix before 3.0 counts nothing */
          S1 "connect from unknown[" A "]", S1 "timeout after AUTH from unknown[" A "]",
          S1 "disconnect from unknown[" A "]");
    STORY("2 " A " postfix smtp aborted 1 visit", /* the log ends */
          S1 "connect from unknown[" A "]", S1 "lost connection after AUTH from unknown[" A "]");
    STORY("2 " A " postfix smtp aborted 1 visit", /* the disconnect line is missing */
          S1 "connect from unknown[" A "]", S1 "lost connection after AUTH from unknown[" A "]",
          S1 "connect from unknown[" B "]");
}

static void a_drop_after_an_answer_is_nothing_more(void **state)
{
    STORY("2 " A " postfix smtp unspecified 1 visit", S1 "connect from unknown[" A "]",
          S1 FAIL(A, "a"), S1 "lost connection after AUTH from unknown[" A "]",
          S1 "disconnect from unknown[" A "] ehlo=1 auth=0/1 commands=1/2");
    STORY("2 " A " postfix smtp unspecified 1 visit", S1 "connect from unknown[" A "]",
          S1 FAIL(A, "a"), S1 "lost connection after AUTH from unknown[" A "]");
}

static void faults_of_the_backend_stay_out_of_the_count(void **state)
{
    STORY("2 " A " postfix smtp unspecified 1 visit", S1 "connect from unknown[" A "]",
          S1 FAIL(A, "a"),
          S1 "warning: unknown[" A "]: SASL PLAIN authentication failed: Connection lost to "
             "authentication server, sasl_username=a",
          S1 "disconnect from unknown[" A "] ehlo=1 auth=0/2 commands=1/3");
    STORY("2 " A " dovecot imap unspecified 2 visit", /* one of three was the passdb's fault */
          T "dovecot: auth: Error: sql(bob," A ",<Gas4>): Password query failed: Not connected",
          LOGIN("auth failed, 3 attempts in 6 secs", "Gas4"));
    STORY("", /* and here all */
          T "dovecot: auth: Error: sql(bob," A ",<Gas4>): Password query failed: Not connected",
          LOGIN("auth failed, 1 attempts in 6 secs", "Gas4"));
    STORY("", T "dovecot: auth(bob," A ",sasl:plain)<Gas4>: Error: sql: Password query failed: x",
          LOGIN("auth failed, 1 attempts in 6 secs", "Gas4"));
    STORY("", T "dovecot: auth-worker(77): Error: sql(a," A "): Password query failed: x",
          S1 FAIL(A, "a"), S1 "disconnect from unknown[" A "] auth=0/1 commands=0/1");
}

static void the_auth_service_says_why(void **state)
{
    STORY("2 " A " postfix smtp wrong-password 1 visit",
          T "dovecot: auth: passwd-file(alice," A "): Password mismatch", S1 FAIL(A, "alice"));
    STORY("2 " A " postfix smtp unknown-account 1 visit",
          T "dovecot: auth: passwd-file(nosuch," A "): unknown user", S1 FAIL(A, "NoSuch"));
    STORY("2 " A " postfix smtp unspecified 1 visit", /* another account is another attempt */
          T "dovecot: auth: passwd-file(alice," A "): unknown user", S1 FAIL(A, "bob"));
    STORY("2 " A " postfix smtp unspecified 1 visit", /* as is one two minutes ago */
          "Nov 22 02:34:25 vm dovecot: auth: passwd-file(alice," A "): unknown user",
          S1 FAIL(A, "alice"));
    STORY("2 " B " postfix smtp unspecified 1 visit",
          T "dovecot: auth: passwd-file(alice," A "): unknown user", S1 FAIL(B, "alice"));
    STORY(
        "2 " A " dovecot imap wrong-password 1 visit",
        T
        "dovecot: auth-worker(5): conn unix:auth-worker (pid=1,uid=97): auth-worker<3>: sql(bob," A
        ",<Gas4>): Password mismatch",
        LOGIN("auth failed, 1 attempts in 6 secs", "Gas4"));
    STORY("2 " A " dovecot imap unknown-account 1 visit",
          T "dovecot: auth-worker(bob," A ",sasl:plain)<55><Gas4>: request [9]: sql: unknown user",
          LOGIN("auth failed, 1 attempts in 6 secs", "Gas4"));
    STORY("2 " A " postfix smtp wrong-password 1 visit", /* a mechanism in its own name, 2.4 */
          T "dovecot: auth(alice," A ",sasl:cram-md5): Password mismatch", S1 FAIL(A, "alice"));
    STORY("2 " A " dovecot imap wrong-password 1 visit", /* 2.4 to its own file */
          "Nov 22 02:36:26 auth(bob," A ",sasl:plain)<Gas4>: Info: sql: Password mismatch",
          LOGIN("auth failed, 1 attempts in 6 secs", "Gas4"));
    STORY("2 " A " dovecot imap wrong-password 1 visit",
          T "dovecot: auth: pam(bob," A
            ",<Gas4>): pam_authenticate() failed: Authentication failure "
            "(Password mismatch?)",
          LOGIN("auth failed, 1 attempts in 6 secs", "Gas4"));
    STORY("2 " A " dovecot imap unknown-account 1 visit", /* 2.3 to its own file */
          "Nov 22 02:36:26 auth-worker(5): Info: conn unix:auth-worker (pid=1,uid=97): "
          "auth-worker<3>: sql(bob," A ",<Gas4>): unknown user",
          LOGIN("auth failed, 1 attempts in 6 secs", "Gas4"));
    STORY("",
          T "dovecot: auth-worker(5): Error: conn unix:auth-worker (pid=1,uid=97): "
            "auth-worker<3>: sql(bob," A ",<Gas4>): Password query failed: x",
          LOGIN("auth failed, 1 attempts in 6 secs", "Gas4"));
    STORY(
        "", /* PAM's, which Dovecot calls information */
        T
        "dovecot: auth-worker(78): conn unix:auth-worker (pid=1,uid=97): auth-worker<1>: pam(bob," A
        ",<Gas4>): pam_authenticate() failed: Authentication service cannot retrieve "
        "authentication info",
        LOGIN("auth failed, 1 attempts in 6 secs", "Gas4"));
    STORY("",
          T "dovecot: auth-worker(bob," A
            ")<76><Gas4>: request [1]: pam: pam_authenticate() failed: "
            "System error",
          LOGIN("auth failed, 1 attempts in 6 secs", "Gas4"));
    STORY("2 " A " dovecot imap unspecified 1 visit", /* another session */
          T "dovecot: auth: sql(bob," A ",<Gas5>): unknown user",
          LOGIN("auth failed, 1 attempts in 6 secs", "Gas4"));
}

static void an_attempt_is_counted_once_with_auth_verbose(void **state)
{
    STORY("5 " A " dovecot imap unknown-account 3 visit",
          T "dovecot: auth: passwd-file(alice," A ",<Gas4>): Password mismatch",
          T "dovecot: auth: passwd-file(alice," A ",<Gas4>): Password mismatch",
          T "dovecot: auth: passwd-file(bob," A ",<Gas4>): unknown user",
          T "dovecot: imap-login: Authenticate PLAIN failed: x: user=<bob>, method=PLAIN, rip=" A
            ", lip=192.0.2.25, session=<Gas4>",
          LOGIN("auth failed, 3 attempts in 6 secs", "Gas4"));
}

static void two_passdbs_answer_one_attempt(void **state)
{
    /* The account exists in the second, so it is a wrong password. */
    STORY("3 " A " postfix smtp wrong-password 1 visit; 4 " A " postfix smtp unspecified 1",
          T "dovecot: auth: pam(alice," A "): unknown user",
          T "dovecot: auth: sql(alice," A "): Password mismatch", S1 FAIL(A, "alice"),
          S1 FAIL(A, "alice"));
    /* The first is broken, so nobody knows whether the account exists. */
    STORY("", T "dovecot: auth: Error: sql(alice," A "): Password query failed: x",
          T "dovecot: auth: passwd-file(alice," A "): unknown user", S1 FAIL(A, "alice"));
    /* The second lets the client in: what the first said was no failure at all. */
    STORY("2 " A " postfix smtp success visit; 3 " A " postfix smtp unspecified 1 visit",
          T "dovecot: auth: pam(alice," A "): unknown user",
          S1 "4F2A: client=c[" A "], sasl_method=PLAIN, sasl_username=alice", S2 FAIL(A, "alice"));
}

static void a_guess_answered_after_the_drop_is_no_mere_drop(void **state)
{
    STORY("4 " A " postfix smtp wrong-password 1 visit", S1 "connect from unknown[" A "]",
          T "dovecot: auth: passwd-file(alice," A "): Password mismatch",
          S1 "lost connection after AUTH from unknown[" A "]",
          S1 "disconnect from unknown[" A "] ehlo=1 auth=0/1 commands=1/2");
    /* One line that came three times answered three, and no more than there were. */
    STORY("2 " A " postfix smtp wrong-password 1 visit; 3 " A " postfix smtp wrong-password 1; "
          "4 " A " postfix smtp wrong-password 1; 5 " A " postfix smtp unspecified 1",
          T "dovecot: message repeated 3 times: [ auth: passwd-file(alice," A
            "): Password mismatch]",
          S1 FAIL(A, "alice"), S1 FAIL(A, "alice"), S1 FAIL(A, "alice"), S1 FAIL(A, "alice"));
    STORY("3 " A " postfix smtp wrong-password 1 visit", S1 "connect from unknown[" A "]",
          T "dovecot: message repeated 3 times: [ auth: passwd-file(alice," A
            "): Password mismatch]",
          S1 "disconnect from unknown[" A "] ehlo=1 auth=0/1 commands=1/2");
    /* What was said before this connection began is about another one. */
    STORY("3 " A " postfix smtp aborted 1 visit",
          "Nov 22 02:36:25 vm dovecot: auth: passwd-file(alice," A "): Password mismatch",
          S1 "connect from unknown[" A "]",
          S1 "disconnect from unknown[" A "] ehlo=1 auth=0/1 commands=1/2");
}

/* Who gets in under one name is not excused of what he tries under others at the same time. */
static void a_login_beside_a_guess_does_not_hide_it(void **state)
{
    STORY("4 " A " postfix smtp success visit; 6 " A " postfix smtp wrong-password 1 visit",
          S1 "connect from unknown[" A "]",
          T "dovecot: auth: passwd-file(alice," A "): Password mismatch",
          S2 "connect from unknown[" A "]",
          S2 "4F2A: client=unknown[" A "], sasl_method=PLAIN, sasl_username=mallory",
          S1 "lost connection after AUTH from unknown[" A "]",
          S1 "disconnect from unknown[" A "] ehlo=1 auth=0/1 commands=1/2");
}

/* Busybox's syslogd puts the level beside the host: a process is one at all of them. */
static void levels_of_one_process(void **state)
{
#define BUSY(level) "Nov 22 02:36:26 mx mail." level " postfix/smtpd[11]: "
    STORY("2 198.51.100.7 postfix smtp unspecified 1 visit; "
          "3 198.51.100.7 postfix smtp unspecified 2; 4 198.51.100.7 postfix smtp aborted 1",
          BUSY("info") "connect from unknown[" A "]",
          BUSY("warn") "warning: unknown[" A "]: SASL LOGIN authentication failed: x",
          "Nov 22 02:36:26 mx mail.warn last message repeated 2 times",
          BUSY("info") "disconnect from unknown[" A "] ehlo=1 auth=0/4 quit=1 commands=2/6");
    STORY("1 198.51.100.7 postfix smtp unspecified 1 visit; 2 198.51.100.7 postfix smtp "
          "unspecified 2",
          "Nov 22 02:36:26 <mail.warn> mx postfix/smtpd[11]: warning: unknown[" A
          "]: SASL LOGIN authentication failed: x",
          "Nov 22 02:36:26 <mail.warn> mx last message repeated 2 times");
#undef BUSY
#define OF(host, level) "Nov 22 02:36:26 " host " mail." level " postfix/smtpd[11]: "
    /* A server that gathers the logs of many writes the same, of more than one host. */
    STORY("3 " A " postfix smtp unspecified 1 visit; 4 " B " postfix smtp aborted 1 visit",
          OF("mx1", "info") "connect from unknown[" A "]",
          OF("mx2", "info") "connect from unknown[" B "]", OF("mx1", "warn") FAIL(A, "a"),
          OF("mx2", "info") "disconnect from unknown[" B "] auth=0/1 commands=0/1",
          OF("mx1", "info") "disconnect from unknown[" A "] auth=0/1 commands=0/1");
#undef OF
}

/* Anybody gets in as nobody: that proves nothing, at whichever line. Without a mail no line tells
 * how he got in. */
static void an_anonymous_login_is_no_success(void **state)
{
    assert_int_equal(STORY("", S1 "connect from c[" A "]",
                           S1 "disconnect from c[" A "] ehlo=1 auth=1 quit=1 commands=3")
                         .successes,
                     0);
    STORY("2 " A " postfix smtp unspecified 1 visit", S1 "connect from c[" A "]",
          S1 FAIL(A, "alice"), S1 "disconnect from c[" A "] ehlo=1 auth=1/2 commands=2/3");
    /* But one passdb's no before another one's yes is not the why of what he mistypes later. */
    STORY("3 " A " postfix smtp unspecified 1 visit",
          T "dovecot: auth: sql(alice," A "): unknown user",
          S1 "disconnect from c[" A "] ehlo=1 auth=1 quit=1 commands=3", S1 FAIL(A, "alice"));
    STORY("", S1 "connect from c[" A "]",
          S1 "4F2A: client=c[" A "], sasl_method=anonymous, sasl_username=anonymous",
          S1 "disconnect from c[" A "] ehlo=1 auth=1 mail=1 rcpt=1 data=1 quit=1 commands=6");
    STORY("", "Nov 22 02:36:26 mx sm-mta[7]: AUTH=server, relay=c [" A
              "], authid=anonymous, mech=ANONYMOUS, bits=0");
}

static void refused_attempts_come_back_as_refused(void **state)
{
    STORY("2 " A " postfix smtp unspecified 1 visit refused",
          T "dovecot: auth: policy(alice," A "): Authentication failure due to policy server "
            "refusal: Refused by grapevine",
          S1 FAIL(A, "alice"));
    STORY("2 " A " dovecot imap unspecified 1 visit refused",
          T "dovecot: auth(bob," A
            ",sasl:plain)<Gas4>: policy: Authentication failure due to policy "
            "server refusal",
          LOGIN("auth failed, 1 attempts in 6 secs", "Gas4"));
    STORY("3 " A " dovecot imap wrong-password 2 visit", /* one refused, two not */
          T "dovecot: auth: policy(bob," A ",<Gas4>): Authentication failure due to policy server "
            "refusal",
          T "dovecot: auth: sql(bob," A ",<Gas4>): Password mismatch",
          LOGIN("auth failed, 3 attempts in 6 secs", "Gas4"));
}

static void a_login_is_one_success_however_many_mails(void **state)
{
    STORY("2 " B " postfix smtp success visit; 6 " B " postfix smtp success visit",
          S1 "connect from c[" B "]",
          S1 "4F2A: client=c[" B "], sasl_method=PLAIN, sasl_username=alice",
          S1 "4F2B: client=c[" B "], sasl_method=PLAIN, sasl_username=alice",
          S1 "disconnect from c[" B "] ehlo=1 auth=1 mail=2 rcpt=2 data=2 quit=1 commands=8",
          S1 "connect from c[" B "]",
          S1 "4F2C: client=c[" B "], sasl_method=PLAIN, sasl_username=alice",
          S1 "disconnect from c[" B "] ehlo=1 auth=1 mail=1 rcpt=1 data=1 quit=1 commands=6");
}

static void a_mistyped_password_before_the_right_one(void **state)
{
    STORY("2 " B " postfix smtp unspecified 1 visit; 3 " B " postfix smtp success",
          S1 "connect from c[" B "]", S1 FAIL(B, "alice"),
          S1 "4F2A: client=c[" B "], sasl_method=PLAIN, sasl_username=alice",
          S1 "disconnect from c[" B "] ehlo=1 auth=1/2 mail=1 commands=4/5");
}

static void a_proxy_names_the_true_client(void **state)
{
    /* XCLIENT: the connection begins as the proxy's. */
    STORY("2 " A " postfix smtp unspecified 1 visit", S1 "connect from proxy[10.0.0.1]",
          S1 FAIL(A, "alice"), S1 "disconnect from unknown[" A "] ehlo=1 auth=0/1 commands=1/2");
}

static void accounts_are_hashes_and_fold_case(void **state)
{
    struct fed fed;

    fed_open(&fed);
    fed_line(&fed, S1 FAIL(A, "Alice@Mx.Test"));
    fed_line(&fed, S1 FAIL(A, "alice@mx.test"));
    fed_line(&fed, S1 FAIL(A, "bob"));
    fed_line(&fed, S1 FAIL(A, "(unavailable)"));
    fed_line(&fed, LOGIN("auth failed, 1 attempts in 6 secs", "Gas4"));
    assert_int_equal(fed.count, 5);
    uint64_t alice = fed.list[0].observation.account;
    assert_true(alice != 0);
    assert_true(alice == fed.list[1].observation.account);
    assert_true(alice != fed.list[2].observation.account);
    assert_true(fed.list[3].observation.account == 0);
    assert_true(fed.list[4].observation.account == fed.list[2].observation.account);
    fed_close(&fed);

    /* another key, another hash */
    static const struct gv_reader_config config = {.key = "another key....."};
    struct gv_reading out[GV_READINGS_MAX];
    struct gv_reader *reader = gv_reader_new(&config);
    assert_int_equal(gv_reader_line(reader, out, S1 FAIL(A, "alice@mx.test"),
                                    strlen(S1 FAIL(A, "alice@mx.test")), FED_NOW_MS),
                     1);
    assert_true(out[0].observation.account != alice);
    gv_reader_free(reader);
}

/* Tables are bounded: ten thousand connections and hints at once neither crash nor invent. */
static void more_than_the_tables_hold(void **state)
{
    struct fed fed;
    char line[256];
    size_t drops = 0;

    fed_open(&fed);
    for (unsigned i = 0; i < 10000; i++) {
        snprintf(line, sizeof line,
                 T "postfix/smtpd[%u]: lost connection after AUTH from "
                   "unknown[198.51.%u.%u]",
                 i, i / 250, i % 250);
        fed_line(&fed, line);
        snprintf(line, sizeof line, T "dovecot: auth: sql(u%u,198.51.%u.%u): unknown user", i,
                 i / 250, i % 250);
        fed_line(&fed, line);
        drops += fed.count;
        fed.count = 0;
    }
    for (size_t before = 1; before != 0; drops += before) {
        struct gv_reading out[GV_READINGS_MAX];
        before = gv_reader_flush(fed.reader, out);
    }
    assert_int_equal(drops, 10000); /* each settled when its place was taken, or at the end */
    fed_close(&fed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failure_and_disconnect_are_one),
        cmocka_unit_test(several_failures_of_a_connection_are_one_visit),
        cmocka_unit_test(the_next_connection_of_a_process_is_another_visit),
        cmocka_unit_test(connections_of_several_processes_are_told_apart),
        cmocka_unit_test(one_pid_on_two_hosts),
        cmocka_unit_test(without_a_pid_the_address_tells_them_apart),
        cmocka_unit_test(connections_without_a_pid_that_are_open_at_once),
        cmocka_unit_test(a_drop_midway_is_one_aborted_attempt),
        cmocka_unit_test(a_drop_after_an_answer_is_nothing_more),
        cmocka_unit_test(faults_of_the_backend_stay_out_of_the_count),
        cmocka_unit_test(the_auth_service_says_why),
        cmocka_unit_test(an_attempt_is_counted_once_with_auth_verbose),
        cmocka_unit_test(two_passdbs_answer_one_attempt),
        cmocka_unit_test(a_guess_answered_after_the_drop_is_no_mere_drop),
        cmocka_unit_test(a_login_beside_a_guess_does_not_hide_it),
        cmocka_unit_test(refused_attempts_come_back_as_refused),
        cmocka_unit_test(a_login_is_one_success_however_many_mails),
        cmocka_unit_test(levels_of_one_process),
        cmocka_unit_test(an_anonymous_login_is_no_success),
        cmocka_unit_test(a_mistyped_password_before_the_right_one),
        cmocka_unit_test(a_proxy_names_the_true_client),
        cmocka_unit_test(accounts_are_hashes_and_fold_case),
        cmocka_unit_test(more_than_the_tables_hold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
