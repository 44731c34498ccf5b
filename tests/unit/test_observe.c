/* `grapevine observe` as a user runs it: exit status, JSON, summary (SPEC 10.6). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "node/cli/observe.h"

#define GENUINE GV_SOURCE_DIR "/tests/maillog/genuine.log"
#define NOW     "--now", "2026-11-22T12:00:00Z"

/* What a run printed, and its exit status. */
struct ran {
    int status;
    char *out;
    size_t len;
};

/* A child, because a wrong option ends the process. `input`: standard input, or NULL. */
static struct ran run(const char *input, const char *const *arguments)
{
    char *argv[16] = {(char[]){"observe"}};
    int argc = 1;
    FILE *out = tmpfile(), *in = tmpfile();
    struct ran ran = {0};

    assert_non_null(out);
    assert_non_null(in);
    if (input)
        fwrite(input, 1, strlen(input), in);
    rewind(in);
    while (*arguments)
        argv[argc++] = strdup(*arguments++);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        setenv("TZ", "UTC", 1);
        dup2(fileno(in), STDIN_FILENO);
        dup2(fileno(out), STDOUT_FILENO);
        if (!freopen("/dev/null", "w", stderr))
            _exit(99);
        _exit(gv_cli_observe(argc, argv));
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    ran.status = WEXITSTATUS(status);
    fseek(out, 0, SEEK_END);
    ran.len = (size_t)ftell(out);
    rewind(out);
    ran.out = calloc(1, ran.len + 1);
    assert_int_equal(fread(ran.out, 1, ran.len, out), ran.len);
    fclose(out);
    fclose(in);
    for (int i = 1; i < argc; i++)
        free(argv[i]);
    return ran;
}
#define RUN(input, ...) run((input), (const char *const[]){__VA_ARGS__, NULL})

static size_t count_lines(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static void exit_statuses(void **state)
{
    static const struct {
        const char *argument, *value;
        int status;
    } cases[] = {
        {GENUINE, NULL, EX_OK},
        {"/nonexistent/log", NULL, EX_NOINPUT},
        {"/tmp", NULL, EX_NOINPUT},
        {"--now", "yesterday", EX_USAGE},
        {"--now", "2026-11-22T12:00:00", EX_USAGE}, /* no zone */
        {"--now", "2026-11-31T12:00:00Z", EX_USAGE},
        {"--allow", "300.1.1.1", EX_USAGE},
        {"--allow", "192.0.2.0/33", EX_USAGE},
        {"--allow", "192.0.2.0/", EX_USAGE},
        {"--count", "many", EX_USAGE},
        {"--nonsense", NULL, EX_USAGE},
        {GENUINE, GENUINE, EX_OK},
        {GENUINE, "/nonexistent/log", EX_NOINPUT},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ran ran = RUN("", cases[i].argument, cases[i].value);
        if (ran.status != cases[i].status)
            fail_msg("%s %s: %d", cases[i].argument, cases[i].value ? cases[i].value : "",
                     ran.status);
        if (ran.status == EX_USAGE || ran.status == EX_NOINPUT)
            assert_string_equal(ran.out, "");
        free(ran.out);
    }
}

/* The genuine log in three pieces, two of them compressed, none in its place or called so. */
static void several_files_in_the_order_of_their_stamps(void **state)
{
    struct ran whole = RUN("", "--json", NOW, GENUINE);
    char folder[] = "/tmp/gv-observe.XXXXXX", command[600], a[64], b[64], c[64];
    size_t lines = 0, second = 0;

    assert_non_null(mkdtemp(folder));
    snprintf(a, sizeof a, "%s/a\"\\b", folder);
    snprintf(b, sizeof b, "%s/b", folder);
    snprintf(c, sizeof c, "%s/c", folder);
    snprintf(command, sizeof command,
             "cd %s && sed -n '1,150p' " GENUINE " | gzip > b && sed -n '151,300p' " GENUINE
             " > 'a\"\\b' && sed -n '301,$p' " GENUINE " | gzip > c",
             folder);
    assert_int_equal(system(command), 0);
    struct ran pieces = RUN("", "--json", NOW, c, a, b);
    assert_int_equal(pieces.status, EX_OK);
    /* The same observations in the same order; the line is counted in its own file. */
    for (const char *x = whole.out, *y = pieces.out; *x || *y; lines++) {
        const char *x_end = strchr(x, '}'), *y_end = strstr(y, ",\"file\":\"");
        unsigned long x_line = strtoul(x + 8, NULL, 10), y_line = strtoul(y + 8, NULL, 10);

        assert_non_null(x_end);
        assert_non_null(y_end);
        x = strchr(x, ',');
        y = strchr(y, ',');
        assert_int_equal(x_end - x, y_end - y);
        assert_memory_equal(x, y, (size_t)(x_end - x));
        assert_int_equal(x_line, y_line + (x_line > 300 ? 300 : x_line > 150 ? 150 : 0));
        if (x_line > 150 && x_line <= 300) {
            assert_non_null(strstr(y_end, "/a\\\"\\\\b\"}"));
            second++;
        }
        x = x_end + 2;
        y = strchr(y_end, '\n') + 1;
    }
    assert_true(lines > 50 && second > 10);
    free(whole.out);
    free(pieces.out);
    snprintf(command, sizeof command, "head -c 2000 %s > %s.cut && mv %s.cut %s", c, c, c, c);
    assert_int_equal(system(command), 0);
    pieces = RUN("", "--json", NOW, a, c, b);
    assert_int_equal(pieces.status, EX_IOERR); /* told; the rest is there all the same */
    assert_non_null(strstr(pieces.out, "/b\"}"));
    free(pieces.out);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    assert_int_equal(system(command), 0);
}

static void a_json_line(void **state)
{
    struct ran ran = RUN("2026-11-22T02:41:33.438768+01:00 vm postfix/smtps/smtpd[1]: warning: "
                         "unknown[2001:DB8:0::7]: SASL LOGIN authentication failed: user not "
                         "found, sasl_username=alice\n",
                         "--json", "-");

    assert_string_equal(ran.out,
                        "{\"line\":1,\"time\":\"2026-11-22T01:41:33Z\",\"ip\":\"2001:db8::7\","
                        "\"mta\":\"postfix\",\"service\":\"submission\",\"kind\":"
                        "\"unknown-account\",\"attempts\":1,\"shareable\":false}\n");
    assert_int_equal(ran.status, EX_OK);
    free(ran.out);
}

static void lines_of_cyrus_and_courier(void **state)
{
    struct ran ran = RUN("2026-11-22T02:41:33+00:00 vm cyrus/pop3[7]: badlogin: c.test [192.0.1.7] "
                         "PLAIN (alice) [authentication failure]\n"
                         "2026-11-22T02:41:34+00:00 vm imapd: LOGIN FAILED, user=alice, "
                         "ip=[::ffff:192.0.1.8], port=[4000]\n",
                         "--json", "-");

    assert_string_equal(
        ran.out, "{\"line\":1,\"time\":\"2026-11-22T02:41:33Z\",\"ip\":\"192.0.1.7\",\"mta\":"
                 "\"cyrus\",\"service\":\"pop3\",\"kind\":\"unspecified\",\"attempts\":1,"
                 "\"shareable\":true}\n"
                 "{\"line\":2,\"time\":\"2026-11-22T02:41:34Z\",\"ip\":\"192.0.1.8\",\"mta\":"
                 "\"courier\",\"service\":\"imap\",\"kind\":\"unspecified\",\"attempts\":1,"
                 "\"shareable\":true}\n");
    free(ran.out);
    ran = RUN("Nov 22 02:41:33 vm imapd: LOGIN FAILED, user=alice, ip=[192.0.1.8], port=[4000]\n",
              "-");
    assert_non_null(strstr(ran.out, "courier          1\n"));
    free(ran.out);
}

static void every_json_line_of_the_genuine_log(void **state)
{
    static const char *const members[] = {"line",    "time", "ip",       "mta",
                                          "service", "kind", "attempts", "shareable"};
    struct ran ran = RUN("", "--json", NOW, GENUINE);
    size_t lines = 0;

    for (char *line = strtok(ran.out, "\n"); line; line = strtok(NULL, "\n"), lines++) {
        json_t *object = json_loads(line, 0, NULL);
        assert_non_null(object);
        assert_int_equal(json_object_size(object), 8);
        for (size_t i = 0; i < 8; i++)
            assert_non_null(json_object_get(object, members[i]));
        assert_null(strstr(line, "alice"));
        assert_null(strstr(line, "203.0.113"));
        json_decref(object);
    }
    assert_int_equal(lines, 103); /* 106 of genuine.expected without its 3 successes */
    free(ran.out);
}

static void what_may_be_shared(void **state)
{
#define FAILED(ip)                                                                                 \
    "Nov 22 02:41:33 vm postfix/smtpd[1]: warning: unknown[" ip "]: SASL LOGIN authentication "    \
    "failed: x\n"
    static const char log[] = FAILED("8.8.8.8") FAILED("8.8.4.4") FAILED("10.0.0.1")
        FAILED("127.0.0.1") FAILED("198.51.100.7") FAILED("2a01:4f8::1");
    static const struct {
        const char *options[5];
        const char *shareable; /* of each line */
    } cases[] = {
        {{"--json"}, "yynnny"},
        {{"--json", "--lab"}, "yynnyy"},
        {{"--json", "--allow", "8.8.8.8"}, "nynnny"},
        {{"--json", "--allow", "8.8.8.8", "8.8.4.4"}, "nnnnny"},
        {{"--json", "--allow", "8.8.8.8,2a01:4f8::/32"}, "nynnnn"},
        {{"--json", "--allow=8.8.0.0/16", "--allow=2a01:4f8::1"}, "nnnnnn"},
        {{"--json", "--allow", "0.0.0.0/0"}, "nnnnny"},
        {{"--json", "--allow", "8.8.8.9/31"}, "nynnny"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ran ran = run(log, cases[i].options);
        size_t n = 0;
        for (char *line = strtok(ran.out, "\n"); line; line = strtok(NULL, "\n"), n++)
            if ((strstr(line, "\"shareable\":true") != NULL) != (cases[i].shareable[n] == 'y'))
                fail_msg("case %zu: %s", i, line);
        assert_int_equal(n, 6);
        free(ran.out);
    }
#undef FAILED
}

static void a_year_that_is_not_written(void **state)
{
    static const char log[] = "Dec 31 23:59:59 vm postfix/smtpd[1]: warning: u[8.8.8.8]: SASL X "
                              "authentication failed: x\n";
    struct ran ran = RUN(log, "--json", "--now", "2026-01-01T00:00:00Z");

    assert_non_null(strstr(ran.out, "\"time\":\"2025-12-31T23:59:59Z\""));
    free(ran.out);
    ran = RUN(log, "--json", "--now", "2026-01-01T01:00:00+01:00");
    assert_non_null(strstr(ran.out, "\"time\":\"2025-12-31T23:59:59Z\""));
    free(ran.out);
}

static void the_summary_for_people(void **state)
{
    struct ran ran = RUN("", "--lab", NOW, GENUINE);

    assert_int_equal(ran.status, EX_OK);
    assert_non_null(strstr(ran.out, "Top subjects"));
    assert_non_null(strstr(ran.out, "198.51.100.7"));
    assert_non_null(strstr(ran.out, "What would have been signalled"));
    assert_null(strstr(ran.out, "203.0.113"));
    assert_null(strstr(ran.out, "alice"));
    assert_null(strchr(ran.out, '\033')); /* colours only on a terminal */
    free(ran.out);
}

/* Control characters of a log never reach the terminal. */
/* Sendmail cuts a client off at 100 bytes: with a name that long its address is gone. */
static void failures_of_nobody(void **state)
{
#define CUT_OFF                                                                                    \
    "Nov 22 02:36:26 mx sm-mta[9]: 5AM2aQ5D000009: AUTH failure (LOGIN): user not found (-20) x, " \
    "relay=a-name-that-leaves-little-of-its-own-address.when-some-lines-have-only-a-hundred-"      \
    "bytes.ex.te [198.51\n"
    struct ran ran = RUN(CUT_OFF CUT_OFF, NOW, "-");

    assert_int_equal(ran.status, 0);
    assert_non_null(strstr(ran.out, "unnamed      2 failed attempts of clients whom the log does "
                                    "not name (Sendmail with LogLevel 10 does)\n"));
    assert_non_null(strstr(ran.out, "attempts     0 failed"));
    free(ran.out);
    ran = RUN(CUT_OFF, "--json", NOW, "-");
    assert_string_equal(ran.out, "");
    free(ran.out);
}

/* A line of Dovecot's that may be torn: a whole stamp stands in the name. Where the auth service
 * tells of the attempts they count; where it never does the admin learns how to mend that. */
static void failures_that_may_be_torn(void **state)
{
#define VISIT(name)                                                                                \
    "Nov 22 02:36:26 mx dovecot: imap-login: Disconnected: Connection closed (auth failed, 25 "    \
    "attempts in 70 secs): user=<" name ">, method=PLAIN, rip=198.51.100.7, lip=192.0.2.25, "      \
    "session=<TQRlYtRg0aDGM2QH>\n"
#define HIDES VISIT("x Nov 22 02:36:26 mx dovecot: imap-login: y")
#define TOLD                                                                                       \
    "Nov 22 02:36:26 mx dovecot: auth: sql(bob,198.51.100.7,<TQRlYtRg0aDGM2QH>): Password "        \
    "mismatch\n"
    struct ran ran = RUN(HIDES, NOW, "-");

    assert_non_null(strstr(ran.out, "torn         1 failures whose lines cannot be told from torn "
                                    "ones; they count nothing\n"));
    assert_non_null(strstr(ran.out, "advice       with auth_verbose = yes in dovecot.conf"));
    assert_non_null(strstr(ran.out, "attempts     0 failed"));
    free(ran.out);
    ran = RUN(TOLD TOLD TOLD HIDES, NOW, "-");
    assert_null(strstr(ran.out, "torn  "));
    assert_null(strstr(ran.out, "advice"));
    assert_non_null(strstr(ran.out, "attempts     3 failed, in 1 observations"));
    free(ran.out);
    ran = RUN(VISIT("bob"), NOW, "-");
    assert_null(strstr(ran.out, "torn  "));
    assert_non_null(strstr(ran.out, "advice       with auth_verbose = yes in dovecot.conf"));
    free(ran.out);
    ran = RUN(HIDES, "--json", NOW, "-");
    assert_string_equal(ran.out, "");
    free(ran.out);
}

static void no_escape_gets_through(void **state)
{
    static const char log[] =
        "Nov 22 02:41:33 v\033m postfix/smtpd[1]: warning: \033[2J[8.8.8.8]: SASL \033 "
        "authentication failed: \033]0;x\a, sasl_username=\033[31m\n"
        "Nov 22 02:41:33 vm dovecot: imap-login: Disconnected (auth failed, 1 attempts): "
        "user=<\033[2J>, method=\033, rip=8.8.8.8, lip=1.2.3.4, session=<\033>\n";

    for (int json = 0; json <= 1; json++) {
        struct ran ran = RUN(log, json ? "--json" : "-", NULL);
        assert_true(count_lines(ran.out) >= 2);
        for (size_t i = 0; i < ran.len; i++)
            assert_true(ran.out[i] == '\n' ||
                        ((unsigned char)ran.out[i] >= ' ' && ran.out[i] < 127));
        free(ran.out);
    }
}

static void slow_attackers_and_campaigns(void **state)
{
    char log[8192];
    size_t at = 0;

    for (int day = 10; day < 16; day++) /* one guess a day */
        at += (size_t)snprintf(log + at, sizeof log - at,
                               "Nov %d 02:41:33 vm postfix/smtpd[%d]: warning: u[8.8.8.8]: SASL X "
                               "authentication failed: x\n",
                               day, day);
    for (int host = 1; host < 5; host++) /* four neighbours */
        at += (size_t)snprintf(log + at, sizeof log - at,
                               "Nov 20 02:41:33 vm postfix/smtpd[%d]: warning: u[9.9.9.%d]: SASL X "
                               "authentication failed: x\n",
                               host, host);
    struct ran ran = RUN(log, NOW);
    char *slow = strstr(ran.out, "Slow attackers"), *campaigns = strstr(ran.out, "Campaigns");
    assert_non_null(slow);
    assert_non_null(strstr(slow, "8.8.8.8"));
    assert_non_null(campaigns);
    assert_non_null(strstr(campaigns, "9.9.9.0/24"));
    char *signalled = strstr(ran.out, "What would have been signalled");
    assert_non_null(strstr(signalled, "8.8.8.8 "));
    assert_non_null(strstr(signalled, " about 1 subjects"));
    free(ran.out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exit_statuses),
        cmocka_unit_test(several_files_in_the_order_of_their_stamps),
        cmocka_unit_test(a_json_line),
        cmocka_unit_test(lines_of_cyrus_and_courier),
        cmocka_unit_test(every_json_line_of_the_genuine_log),
        cmocka_unit_test(what_may_be_shared),
        cmocka_unit_test(a_year_that_is_not_written),
        cmocka_unit_test(the_summary_for_people),
        cmocka_unit_test(failures_of_nobody),
        cmocka_unit_test(failures_that_may_be_torn),
        cmocka_unit_test(no_escape_gets_through),
        cmocka_unit_test(slow_attackers_and_campaigns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
