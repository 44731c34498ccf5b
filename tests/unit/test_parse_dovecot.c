/* What single lines of Dovecot's login processes say, 2.3 and 2.4 (SPEC 10.2). What its auth
 * service says is in test_assemble.c, as it counts nothing alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "helper_reader.h"

#define S "Nov 22 02:38:26 vm dovecot: "
#define E                                                                                          \
    "user=<alice@mx.test>, method=PLAIN, rip=198.51.100.7, lip=192.0.2.25, session=<luoMX9RgPabG>"

static void check(const char *line, const char *expected)
{
    if (strcmp(alone(line), expected) != 0)
        fail_msg("%s\n  gave '%s'\n  not  '%s'", line, alone(line), expected);
}

static const struct {
    const char *reason, *expected; /* kind and attempts, or NULL */
} reason_cases[] = {
    /* 2.3 */
    {"Disconnected: Aborted login by logging out (auth failed, 1 attempts in 2 secs)",
     "unspecified 1"},
    {"Disconnected: Connection closed (auth failed, 3 attempts in 33 secs)", "unspecified 3"},
    {"Disconnected (auth failed, 2 attempts in 5 secs)", "unspecified 2"},
    {"Disconnected: Inactivity (auth failed, 2 attempts in 180 secs)", "unspecified 2"},
    {"Disconnected: Too many invalid commands (auth failed, 9 attempts in 5 secs)",
     "unspecified 9"},
    {"Aborted login (auth failed, 1 attempts in 2 secs)", "unspecified 1"},
    {"Aborted login (auth failed, 1 attempts)", "unspecified 1"},
    {"Aborted login (proxy dest auth failed)", "unspecified 1"},
    {"Disconnected: Connection closed: read(size=630) failed: Connection reset by peer (auth "
     "failed, 4 attempts in 9 secs)",
     "unspecified 4"},
    {"Disconnected: Connection closed (client didn't finish SASL auth, waited 15 secs)",
     "aborted 1"},
    {"Disconnected: Connection closed (disconnected while authenticating, waited 3 secs)",
     "aborted 1"},
    {"Disconnected: Connection closed (aborted authentication)", "aborted 1"},
    {"Disconnected: Aborted login by logging out (tried to use unsupported auth mechanism)",
     "bad-mechanism 1"},
    {"Disconnected: Connection closed (sent invalid base64 in response)", "protocol 1"},
    {"Disconnected: Connection closed (tried to use disallowed plaintext auth)", "aborted 1"},
    /* 2.4 */
    {"Login aborted: Logged out (auth failed, 1 attempts in 2 secs) (auth_failed)",
     "unspecified 1"},
    {"Login aborted: Connection closed (auth failed, 3 attempts in 15 secs) (auth_failed)",
     "unspecified 3"},
    {"Login aborted: Connection closed (auth failed, 1/4 successful auths in 5 secs) "
     "(auth_failed)",
     "unspecified 3"},
    {"Login aborted: Logged out (tried to use unsupported auth mechanism, 2 attempts in 0 "
     "secs) "
     "(invalid_mech)",
     "bad-mechanism 2"},
    {"Login aborted: Connection closed (client didn't finish SASL auth, 1 attempts in 3 secs) "
     "(auth_waiting_client)",
     "aborted 1"},
    {"Login aborted: Connection closed (client didn't finish SASL auth, 5 attempts in 3 secs) "
     "(auth_waiting_client)",
     "unspecified 4"},
    {"Login aborted: Connection closed (auth aborted by client, 1 attempts in 3 secs) "
     "(auth_aborted_by_client)",
     "aborted 1"},
    {"Login aborted: Logged out (sent invalid base64 in response, 2 attempts in 1 secs) "
     "(invalid_base64)",
     "protocol 2"},
    {"Login aborted: Logged out (tried to use disallowed cleartext auth, 1 attempts in 0 secs) "
     "(cleartext_auth_disabled)",
     "aborted 1"},
    {"Login aborted: Connection closed (proxy dest authentication failure, 2 attempts in 1 "
     "secs)"
     " (proxy_dest_auth_failed)",
     "unspecified 2"},
    {"Login aborted: Connection closed (proxy dest authentication failure to mx2, 2 attempts "
     "in "
     "1 secs) (proxy_dest_auth_failed)",
     "unspecified 2"},
    /* nobody tried */
    {"Disconnected: Connection closed (no auth attempts in 0 secs)", NULL},
    {"Aborted login (no auth attempts)", NULL},
    {"Disconnected: Connection closed: SSL_accept() failed: error:0A00009C:SSL routines::http "
     "request (no auth attempts in 0 secs)",
     NULL},
    {"Login aborted: Connection closed (no auth attempts in 0 secs) (no_auth_attempts)", NULL},
    {"Login aborted: Connection closed (disconnected during TLS handshake) "
     "(tls_handshake_not_finished)",
     NULL},
    {"Disconnected (cert required, client didn't start TLS)", NULL},
    /* the server's own business */
    {"Disconnected: Connection closed (auth process communication failure)", NULL},
    {"Disconnected: Connection closed (auth service reported temporary failure)", NULL},
    {"Login aborted: Logged out (auth service reported temporary failure, 1 attempts in 2 "
     "secs) "
     "(temp_fail)",
     NULL},
    {"Disconnected: Connection closed (internal failure, 1 successful auths)", NULL},
    {"Disconnected: Connection closed (disconnected before auth was ready, waited 5 secs)", NULL},
    {"Disconnected: Connection closed (disconnected while finishing login, waited 5 secs)", NULL},
    {"Disconnected: Logged out (user disabled)", NULL},
    {"Disconnected: Logged out (password expired)", NULL},
    {"Disconnected: Logged out (authorization failed, 1 attempts in 2 secs)", NULL},
    {"Login aborted: Connection closed (proxy dest connection failed, 1 attempts in 1 secs) "
     "(proxy_dest_connect_failed)",
     NULL},
    {"Login aborted: Connection closed (connection limit reached, 1 attempts in 1 secs) "
     "(connection_limit)",
     NULL},
    {"Disconnected: Shutting down", NULL},
    {"Disconnected (auth failed, 0 attempts in 2 secs)", NULL},
    {"Disconnected (auth failed, attempts in 2 secs)", NULL},
    {"Disconnected (auth failed, 3 successful auths)", NULL},
    {"Disconnected (auth failed, 9999999999 attempts in 2 secs)", NULL},
    {"Disconnected (auth failed, 999999999 attempts in 2 secs)", "unspecified 999999999"},
    /* not the line that settles */
    {"Authenticate XYZ failed: Unsupported authentication mechanism.", NULL},
    {"Login failed: Plaintext authentication disabled", NULL},
    {"proxy(alice): Login failed to mx2 (auth failed, 1 attempts in 1 secs)", NULL},
    {"Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)", NULL},
};

static void reasons(void **state)
{
    for (size_t i = 0; i < sizeof reason_cases / sizeof *reason_cases; i++) {
        char line[600], expected[120] = "";
        snprintf(line, sizeof line, S "imap-login: %s: " E, reason_cases[i].reason);
        if (reason_cases[i].expected)
            snprintf(expected, sizeof expected, "1 198.51.100.7 dovecot imap %s visit",
                     reason_cases[i].expected);
        check(line, expected);
    }
}

static void processes(void **state)
{
#define R "Disconnected (auth failed, 1 attempts in 2 secs): " E
    static const struct {
        const char *line, *service;
    } cases[] = {
        {S "imap-login: " R, "imap"},
        {S "pop3-login: " R, "pop3"},
        {S "managesieve-login: " R, "sieve"},
        {S "submission-login: " R, "submission"},
        {S "imap-urlauth-login: " R, "imap"},
        {"Nov 22 02:38:26 vm dovecot[12]: imap-login: " R, "imap"},
        {"Nov 22 02:38:26 dovecot: imap-login: " R, "imap"},
        {"2026-11-22T02:38:26.1+00:00 vm dovecot[12]: imap-login: " R, "imap"},
        {"<22>1 2026-11-22T02:38:26.1Z vm dovecot 12 - - imap-login: " R, "imap"},
        /* Dovecot's own log_path */
        {"Nov 22 02:38:26 imap-login: Info: " R, "imap"},
        {"2026-11-22 02:38:26 pop3-login: Info: " R, "pop3"},
        {"Nov 22 02:38:26 vm dovecot: lmtp-login: " R, NULL},
        {"Nov 22 02:38:26 vm dovecot: imap(alice)<1><x>: " R, NULL},
        {"Nov 22 02:38:26 vm dovecot-imap: imap-login: " R, NULL},
        {"Nov 22 02:38:26 vm xdovecot: imap-login: " R, NULL},
        {"Nov 22 02:38:26 vm dovecot imap-login: " R, NULL},
        {S "imap-login: Error: " R, NULL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char expected[100] = "";
        if (cases[i].service)
            snprintf(expected, sizeof expected, "1 198.51.100.7 dovecot %s unspecified 1 visit",
                     cases[i].service);
        check(cases[i].line, expected);
    }
#undef R
}

static void elements(void **state)
{
    static const struct {
        const char *elements, *address;
    } cases[] = {
        {"user=<a>, method=PLAIN, rip=198.51.100.7, lip=192.0.2.25, session=<x>", "198.51.100.7"},
        {"user=<a>, method=PLAIN, rip=198.51.100.7, lip=192.0.2.25, TLS, session=<x>",
         "198.51.100.7"},
        {"user=<a>, rip=198.51.100.7, lip=192.0.2.25, session=<x>", "198.51.100.7"},
        {"user=<>, rip=198.51.100.7, lip=192.0.2.25, mpid=3, TLS, TLSv1.2 with cipher X (256/256 "
         "bits), session=<x>",
         "198.51.100.7"},
        /* Without its session it may have been cut off, and the address be the name's. */
        {"user=<a>, rip=198.51.100.7, lip=192.0.2.25", NULL},
        {"user=<a>, method=PLAIN, rip=198.51.100.7, lip=192.0.2.25, TLS", NULL},
        {"user=<a>, method=PLAIN, rip=198.51.100.7, lip=192.0.2.25, session=<>", NULL},
        {"user=<a>, method=PLAIN, rip=198.51.100.7, lip=192.0.2.25, x=<x>", NULL},
        {"user=<>, method=PLAIN, rip=198.51.100.8, lip=192.0.2.25, TLS: Connection closed, "
         "session=<EqH>",
         "198.51.100.8"},
        {"user=<a>, method=PLAIN, rip=2001:db8::7, lip=2001:db8::25, session=<x>", "2001:db8::7"},
        {"user=<a>, method=PLAIN, rip=::ffff:198.51.100.7, lip=::ffff:192.0.2.25, session=<x>",
         "198.51.100.7"},
        {"user=<a>, method=PLAIN, rip=fe80::1%2, lip=fe80::2%2, session=<x>", "fe80::1"},
        {"user=<a>, method=PLAIN, rip=198.51.100.7, session=<x>", NULL}, /* no lip */
        {"user=<a>, method=PLAIN, rip=198.51.100.7 lip=192.0.2.25, session=<x>", NULL},
        {"user=<a>, method=PLAIN, rip=, lip=192.0.2.25, session=<x>", NULL},
        {"user=<a>, method=PLAIN, rip=198.51.100.7x, lip=192.0.2.25, session=<x>", NULL},
        {"user=<a>, method=PLAIN, rip=198.51.100.7, lip=nonsense, session=<x>", NULL},
        {"user=<a, method=PLAIN, rip=198.51.100.7, lip=192.0.2.25, session=<x>", NULL},
        {"user=<a>, other=1, rip=198.51.100.7, lip=192.0.2.25, session=<x>", NULL},
        {"user=a, method=PLAIN, rip=198.51.100.7, lip=192.0.2.25, session=<x>", NULL},
        {"rip=198.51.100.7, lip=192.0.2.25, user=<a>", NULL},
        {"method=PLAIN, rip=198.51.100.7, lip=192.0.2.25, session=<x>", NULL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[400], expected[100] = "";
        snprintf(line, sizeof line,
                 S "imap-login: Disconnected (auth failed, 1 attempts in 2 secs): %s",
                 cases[i].elements);
        if (cases[i].address)
            snprintf(expected, sizeof expected, "1 %s dovecot imap unspecified 1 visit",
                     cases[i].address);
        check(line, expected);
    }
}

static void logins(void **state)
{
    check(S "imap-login: Login: " E, "1 198.51.100.7 dovecot imap success visit");
    check(S "pop3-login: Logged in: " E, "1 198.51.100.7 dovecot pop3 success visit"); /* 2.4 */
    check("Nov 22 02:38:26 imap-login: Info: Logged in: " E,
          "1 198.51.100.7 dovecot imap success visit");
    check(S "imap-login: Login: user=<>, method=PLAIN, rip=198.51.100.7, lip=192.0.2.25", "");
    check(S "imap-login: Logins: " E, "");
    check(S "imap(alice@mx.test)<26422><f77AYtRgZdrG>: Disconnected: Logged out in=8 out=468", "");
}

/* A proxy says so when the host behind it has let somebody in; genuine lines of 2.3.19 and 2.4.1,
 * and what 2.2 made of it. */
static void logins_through_a_proxy(void **state)
{
#define AT    "method=PLAIN, rip=198.51.100.7, lip=127.0.0.1, session=<s0w4vepggaHGM2QH>"
#define GOOD  "1 198.51.100.7 dovecot imap success visit"
#define PROXY S "imap-login: proxy(alice,127.0.0.1:1143): "
    static const struct line_case cases[] = {
        {PROXY "Started proxying to <127.0.0.1> (0.034 secs): user=<alice>, " AT, GOOD},
        {PROXY "Started proxying to remote host (8.026 secs): user=<alice>, " AT, GOOD},
        {"Nov 23 05:19:33 imap-login: Info: proxy(alice,127.0.0.1:1143): Started proxying to "
         "remote "
         "host (0.033 secs): user=<alice>, " AT,
         GOOD},
        {S "imap-login: proxy(alice): started proxying to 10.0.0.5:143: user=<alice>, " AT, GOOD},
        {PROXY "Disconnected by server (0s idle, in=214, out=580): user=<alice>, " AT, ""},
        {PROXY "Login failed: [AUTHENTICATIONFAILED] Authentication failed.: user=<alice>, " AT,
         ""},
        {PROXY "Started proxying to remote host (0.1 secs): user=<bob>, " AT, ""},
        {PROXY "Started proxying to remote host (0.1 secs): user=<>, " AT, ""},
        {S "imap-login: proxy(,127.0.0.1:1143): Started proxying to x: user=<>, " AT, ""},
        {PROXY "Started proxying to remote host (0.1 secs): user=<alice>, method=ANONYMOUS, "
               "rip=198.51.100.7, lip=127.0.0.1, session=<s0w4vepggaHGM2QH>",
         ""},
        /* Names that claim it, of a login that the other host refused. */
        {S "imap-login: proxy(a,b): Started proxying to c: user=<a,127.0.0.1:1143): Login failed: "
           "x.: "
           "user=<a,b): Started proxying to c: user=<a>, " AT,
         ""},
        {S "imap-login: proxy(a): Started proxying to c,127.0.0.1:1143): Login failed: x.: "
           "user=<a): Started proxying to c>, " AT,
         ""},
    };
    CHECK(cases);
#undef PROXY
#undef GOOD
#undef AT
}

static void auth_lines_count_nothing_alone(void **state)
{
    check(S "auth: passwd-file(alice@mx.test,198.51.100.7): Password mismatch", "");
    check(S "auth: passwd-file(alice@mx.test,198.51.100.7,<svzFbNRgrdbGM2QH>): unknown user", "");
    check(S "auth(alice,198.51.100.7,sasl:plain)<svz>: passwd-file: Password mismatch", "");
    check(S "auth: Error: auth client 0 disconnected with 3 pending requests: EOF", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reasons),
        cmocka_unit_test(processes),
        cmocka_unit_test(elements),
        cmocka_unit_test(logins),
        cmocka_unit_test(logins_through_a_proxy),
        cmocka_unit_test(auth_lines_count_nothing_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
