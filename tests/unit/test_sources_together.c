/* Several logs of one host: what one says of an attempt excuses or names it in another, whichever
 * of them is read first. SPEC 10.3, 10.5 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "helper_reader.h"
#include "helper_sources.h"
#include "node/ingest/hints.h"

/* "2026-11-20T..." of a second, a minute apart each. */
static const char *stamp(unsigned minute, unsigned second)
{
    static char text[32];

    snprintf(text, sizeof text, "2026-11-%02uT%02u:%02u:%02u+00:00", 10 + minute / 1440,
             minute / 60 % 24, minute % 60, second);
    return text;
}

#define POSTFIX_FAILURE                                                                            \
    "%s mx postfix/smtpd[7]: warning: unknown[198.51.100.%u]: SASL LOGIN authentication failed: "  \
    "(reason unavailable), sasl_username=u\n"
#define AUTH_FAULT                                                                                 \
    "%s mx dovecot: auth: Error: ldap(u,198.51.100.%u): ldap_bind() failed: Can't contact\n"
#define LOGIN_FAILURE                                                                              \
    "%s mx dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<u>, "      \
    "method=PLAIN, rip=198.51.100.%u, lip=127.0.0.1, session=<sess>\n"
#define LOGIN_FAULT "%s mx dovecot: auth: Error: ldap(u,198.51.100.%u,<sess>): ldap_bind() failed\n"
/* A Cyrus failure has the whole address too, a saslauthd line none. */
#define CYRUS_FAILURE                                                                              \
    "%s mx cyrus/imap[9]: badlogin: [198.51.100.%u] plaintext (u) [SASL(-13): authentication "     \
    "failure: checkpass failed]\n"
#define SASLAUTHD_FAULT                                                                            \
    "%s mx saslauthd[8]: : auth failure: [user=u] [service=imap] [realm=] [mech=pam] "             \
    "[reason=PAM start error]\n"

static void write_line(const struct stage *stage, const char *name, const char *format,
                       const char *at, unsigned n)
{
    char line[512];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    int len = snprintf(line, sizeof line, format, at, n);
#pragma GCC diagnostic pop
    stage_write(stage, name, "a", line, (size_t)len);
}

static const char *follow(struct stage *stage, const char *const *names, size_t count,
                          unsigned until)
{
    const char *paths[STAGE_SOURCES];

    for (size_t i = 0; i < count; i++)
        paths[i] = stage_path(stage, names[i]);
    stage_run(stage, paths, count, until, until ? 8000 : 700);
    return stage_take(stage);
}

/* ---- one line each -------------------------------------------------------------------------- */

/* What a fault looks like in each server's logs, and the failure that it excuses. */
static const struct pair {
    const char *failure, *fault;
} pairs[] = {
    {POSTFIX_FAILURE, AUTH_FAULT}, {LOGIN_FAILURE, LOGIN_FAULT}, {CYRUS_FAILURE, SASLAUTHD_FAULT}};

static void a_fault_that_the_other_log_tells_of_is_no_failure(void **state)
{
    struct stage *stage = *state;
    static const char *const orders[2][2] = {{"mail.log", "auth.log"}, {"auth.log", "mail.log"}};

    stage->from_start = true;
    for (size_t p = 0; p < sizeof pairs / sizeof *pairs; p++) {
        for (size_t o = 0; o < 2; o++) {
            stage_shell("rm -f '%s'/*", stage->folder);
            memset(stage->positions, 0, sizeof stage->positions);
            write_line(stage, "auth.log", pairs[p].fault, stamp(1, 1), 7);
            write_line(stage, "mail.log", pairs[p].failure, stamp(1, 3), 7);
            /* And one that nothing excuses. */
            write_line(stage, "mail.log", pairs[p].failure, stamp(20, 3), 8);
            assert_string_equal(follow(stage, orders[o], 2, 1), "198.51.100.8 1|");
            assert_int_equal(stage->status[o == 0 ? 0 : 1].counters.faults, 1);
        }
    }
}

static void both_come(struct stage *stage)
{
    write_line(stage, "auth.log", AUTH_FAULT, stamp(1, 1), 7);
    write_line(stage, "mail.log", POSTFIX_FAILURE, stamp(1, 3), 7);
    write_line(stage, "mail.log", POSTFIX_FAILURE, stamp(20, 3), 8);
}

static void nor_is_it_while_both_are_written(void **state)
{
    struct stage *stage = *state;
    static const char *const names[] = {"mail.log", "auth.log"};

    stage_write(stage, "mail.log", "a", "", 0);
    stage_write(stage, "auth.log", "a", "", 0);
    stage->act = both_come;
    assert_string_equal(follow(stage, names, 2, 1), "198.51.100.8 1|");
    /* Both positions are behind what was read, so that a restart reads neither again. */
    assert_int_not_equal(stage->positions[1].offset, 0);
    assert_string_equal(follow(stage, names, 2, 0), "");
}

/* Postfix asks for what Dovecot's log says; Dovecot's failures in there ask for its error log. */
static void three_logs_that_explain_each_other(void **state)
{
    struct stage *stage = *state;
    static const char *const names[] = {"mail.log", "info.log", "error.log"};

    stage->from_start = true;
    write_line(stage, "error.log", AUTH_FAULT, stamp(1, 1), 7);
    write_line(stage, "error.log", LOGIN_FAULT, stamp(1, 1), 9);
    write_line(stage, "info.log", LOGIN_FAILURE, stamp(1, 2), 9);
    write_line(stage, "mail.log", POSTFIX_FAILURE, stamp(1, 3), 7);
    write_line(stage, "mail.log", POSTFIX_FAILURE, stamp(20, 3), 8);
    assert_string_equal(follow(stage, names, 3, 1), "198.51.100.8 1|");
    assert_int_equal(stage->status[1].counters.faults, 1);
}

static void fault_by_socket(struct stage *stage)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    char text[256];
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int len = snprintf(text, sizeof text,
                       "<22>Nov 10 00:01:01 mx dovecot: auth: Error: ldap(u,198.51.100.7): down");

    assert_true(fd >= 0);
    strncpy(to.sun_path, stage_path(stage, "log.sock"), sizeof to.sun_path - 1);
    assert_int_equal(sendto(fd, text, (size_t)len, 0, (struct sockaddr *)&to, sizeof to), len);
    close(fd);
    write_line(stage, "mail.log", POSTFIX_FAILURE, stamp(1, 3), 7);
    write_line(stage, "mail.log", POSTFIX_FAILURE, stamp(20, 3), 8);
}

static void a_fault_that_came_by_socket(void **state)
{
    struct stage *stage = *state;
    char socket_name[200];
    const char *paths[] = {stage_path(stage, "mail.log"), socket_name};

    snprintf(socket_name, sizeof socket_name, "syslog:unix:%s", stage_path(stage, "log.sock"));
    stage_write(stage, "mail.log", "a", "", 0);
    stage->act = fault_by_socket;
    stage_run(stage, paths, 2, 1, 8000);
    assert_string_equal(stage_take(stage), "198.51.100.8 1|");
}

/* ---- many ----------------------------------------------------------------------------------- */

#define MANY 6000

/* `padding` lines without meaning behind each line of one log, so that it is the longer one. */
static void write_backlog(const struct stage *stage, const char *name, const char *format,
                          unsigned second, unsigned padding)
{
    FILE *f = fopen(stage_path(stage, name), "w");

    assert_non_null(f);
    for (unsigned i = 0; i < MANY; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        fprintf(f, format, stamp(i, second), i % 200);
#pragma GCC diagnostic pop
        for (unsigned p = 0; p < padding; p++)
            fprintf(f, "%s mx postfix/cleanup[9]: 4Abcdefghij: message-id=<%0100u@x>\n",
                    stamp(i, second), p);
    }
    fclose(f);
}

/* More hints than are kept at a time, and logs of very different lengths: they are read side by
 * side. */
static void backlogs_are_read_side_by_side(void **state)
{
    struct stage *stage = *state;
    static const char *const names[] = {"mail.log", "auth.log"};

    stage->from_start = true;
    for (unsigned longer = 0; longer < 2; longer++) {
        memset(stage->positions, 0, sizeof stage->positions);
        write_backlog(stage, "auth.log", AUTH_FAULT, 1, longer ? 0 : 10);
        write_backlog(stage, "mail.log", POSTFIX_FAILURE, 3, longer ? 10 : 0);
        write_line(stage, "mail.log", POSTFIX_FAILURE, stamp(MANY + 20, 3), 250);
        assert_string_equal(follow(stage, names, 2, 1), "198.51.100.250 1|");
        assert_int_equal(stage->status[0].counters.faults, MANY);
        assert_int_equal(stage->status[1].counters.matched, MANY);
    }
}

/* ---- two readers ---------------------------------------------------------------------------- */

static void what_one_reader_was_told_names_the_failure_of_another(void **state)
{
    (void)state;
    struct gv_hints *hints = malloc(sizeof *hints);
    struct gv_reader_config config = {.key = "0123456789abcde", .hints = hints};
    struct gv_reading out[GV_READINGS_MAX];
    static const char hint[] =
        "2026-11-22T02:00:01Z mx dovecot: auth: passwd-file(u,198.51.100.7): "
        "Password mismatch";
    static const char later[] =
        "2026-11-22T03:00:01Z mx dovecot: auth: passwd-file(u,198.51.100.7): "
        "Password mismatch";
    char text[DESCRIBED_MAX], failure[256];
    int len = snprintf(failure, sizeof failure, POSTFIX_FAILURE, "2026-11-22T02:00:03Z", 7u);

    assert_non_null(hints);
    gv_hints_init(hints);
    struct gv_reader *one = gv_reader_new(&config), *other = gv_reader_new(&config);
    assert_non_null(one);
    assert_non_null(other);
    assert_int_equal(gv_reader_line(one, out, hint, sizeof hint - 1, FED_NOW_MS), 0);
    assert_int_equal(gv_reader_line(other, out, failure, (size_t)len - 1, FED_NOW_MS), 1);
    describe(text, &out[0]);
    assert_string_equal(text, "1 198.51.100.7 postfix smtp wrong-password 1 visit");
    /* Read ahead: what was said at three is not about what failed at half past two. */
    assert_int_equal(gv_reader_line(one, out, later, sizeof later - 1, FED_NOW_MS), 0);
    static const char *const stamps[] = {"2026-11-22T02:30:00Z", "2026-11-22T03:00:03Z"};
    static const char *const expected[] = {"2 198.51.100.7 postfix smtp unspecified 1",
                                           "3 198.51.100.7 postfix smtp wrong-password 1"};
    for (size_t i = 0; i < 2; i++) {
        len = snprintf(failure, sizeof failure, POSTFIX_FAILURE, stamps[i], 7u);
        assert_int_equal(gv_reader_line(other, out, failure, (size_t)len - 1, FED_NOW_MS), 1);
        describe(text, &out[0]);
        assert_string_equal(text, expected[i]);
    }
    gv_reader_free(one);
    gv_reader_free(other);
    free(hints);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_fault_that_the_other_log_tells_of_is_no_failure,
                                        stage_open, stage_close),
        cmocka_unit_test_setup_teardown(nor_is_it_while_both_are_written, stage_open, stage_close),
        cmocka_unit_test_setup_teardown(three_logs_that_explain_each_other, stage_open,
                                        stage_close),
        cmocka_unit_test_setup_teardown(a_fault_that_came_by_socket, stage_open, stage_close),
        cmocka_unit_test_setup_teardown(backlogs_are_read_side_by_side, stage_open, stage_close),
        cmocka_unit_test(what_one_reader_was_told_names_the_failure_of_another),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
