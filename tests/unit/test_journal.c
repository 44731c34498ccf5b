/* The systemd journal as a source: what of an entry its writer can choose, and following real
 * journal files (written by systemd-journal-remote) over restarts. SPEC 10.5 */
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

#include "node/ingest/journal.h"

#define WRITER "/usr/lib/systemd/systemd-journal-remote"
#define NOON   1795348800000000u /* 2026-11-22T12:00:00Z */

/* ---- one entry ------------------------------------------------------------------------------ */

static struct gv_journal_field field(const char *text)
{
    return (struct gv_journal_field){text, text ? strlen(text) : 0};
}

static const char *line_of(const char *host, const char *name, const char *pid, const char *uid,
                           const char *text, size_t text_len)
{
    static char line[GV_JOURNAL_LINE + 1];
    struct gv_journal_entry entry = {.realtime_us = NOON + 123456,
                                     .host = field(host),
                                     .name = field(name),
                                     .pid = field(pid),
                                     .uid = field(uid),
                                     .text = {text, text_len}};

    size_t len = gv_journal_line(line, &entry);
    if (len == 0)
        return "none";
    if (len == SIZE_MAX)
        return "long";
    line[len] = '\0';
    assert_int_equal(strlen(line), len); /* no NUL inside */
    return line;
}

static void an_entry_becomes_a_line(void **state)
{
    static const struct {
        const char *host, *name, *pid, *uid, *text, *line;
    } cases[] = {
        {"vm", "postfix/smtpd", "12", "100", "hello",
         "2026-11-22T12:00:00.123456+00:00 vm postfix/smtpd[12]: hello"},
        {"mx.example.org", "dovecot", NULL, NULL, "imap-login: x",
         "2026-11-22T12:00:00.123456+00:00 mx.example.org dovecot: imap-login: x"},
        /* A host or pid that is not what it should be could move the rest of the prefix. */
        {NULL, "dovecot", "12", "0", "x",
         "2026-11-22T12:00:00.123456+00:00 localhost dovecot[12]: x"},
        {"a b", "dovecot", "1]: y", "0", "x",
         "2026-11-22T12:00:00.123456+00:00 localhost dovecot: x"},
        {"vm", "dovecot", "12", "61184", "x", "2026-11-22T12:00:00.123456+00:00 vm dovecot[12]: x"},
        {"vm", "dovecot", "12", "65534", "x", "none"},  /* nobody */
        {"vm", "dovecot", "12", "60001", "x", "none"},  /* systemd-homed */
        {"vm", "dovecot", "12", "100000", "x", "none"}, /* of a directory */
        {"vm", "dovecot", "12", "999", "x", "2026-11-22T12:00:00.123456+00:00 vm dovecot[12]: x"},
        /* Ordinary users write no mail log, whatever they call themselves. */
        {"vm", "postfix/smtpd", "12", "1000", "x", "none"},
        {"vm", "postfix/smtpd", "12", "59999", "x", "none"},
        /* A name is a word without anything that ends one. */
        {"vm", "postfix/smtpd[1]: y", "12", "0", "x", "none"},
        {"vm", "postfix/smtpd:", "12", "0", "x", "none"},
        {"vm", "a\nb", "12", "0", "x", "none"},
        {"vm", "", "12", "0", "x", "none"},
        {"vm", NULL, "12", "0", "x", "none"},
        {"vm", "dovecot", "12", "0", NULL, "none"},
        {"vm", "dovecot", "12", "0", "", "none"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(line_of(cases[i].host, cases[i].name, cases[i].pid, cases[i].uid,
                                    cases[i].text, cases[i].text ? strlen(cases[i].text) : 0),
                            cases[i].line);
}

static void a_message_of_several_lines_stays_one_line(void **state)
{
    static const char text[] = "a\n2026-11-22T12:00:01+00:00 vm dovecot: x\0y\r\x1b[31m\x7f";

    (void)state;
    assert_string_equal(line_of("vm", "dovecot", "1", "0", text, sizeof text - 1),
                        "2026-11-22T12:00:00.123456+00:00 vm dovecot[1]: "
                        "a?2026-11-22T12:00:01+00:00 vm dovecot: x?y??[31m?");
}

static void a_message_that_is_too_long(void **state)
{
    static char text[GV_LINE_MAX];
    static const char prefix[] = "2026-11-22T12:00:00.123456+00:00 vm dovecot[1]: ";
    size_t most = GV_LINE_MAX - (sizeof prefix - 1);

    (void)state;
    memset(text, 'x', sizeof text);
    assert_int_equal(strlen(line_of("vm", "dovecot", "1", "0", text, most)), GV_LINE_MAX);
    assert_string_equal(line_of("vm", "dovecot", "1", "0", text, most + 1), "long");
}

/* ---- real journals -------------------------------------------------------------------------- */

struct desk {
    char folder[64];
    struct gv_journal journal;
    uint64_t now_ms, written;
    char got[8192]; /* lines from the program on, joined with '|' */
};

static void on_line(void *context, const char *line, size_t len)
{
    struct desk *desk = context;
    size_t at = strlen(desk->got);

    if (len == SIZE_MAX) {
        strcat(desk->got, "<long>|");
        return;
    }
    assert_true(len > 33 && len + at + 2 < sizeof desk->got);
    snprintf(desk->got + at, sizeof desk->got - at, "%.*s|", (int)(len - 33), line + 33);
}

/* One entry, in the export format: a value with a length may hold anything. */
static void put(FILE *out, const char *name, const char *value, size_t len)
{
    uint64_t little = len;

    fprintf(out, "%s\n", name);
    fwrite(&little, 8, 1, out);
    fwrite(value, 1, len, out);
    fputc('\n', out);
}

static void journal_entry(struct desk *desk, const char *name, const char *facility,
                          const char *uid, const char *text, size_t len)
{
    char command[300];

    snprintf(command, sizeof command, WRITER " -o %s/test.journal - >/dev/null 2>&1", desk->folder);
    FILE *out = popen(command, "w");
    assert_non_null(out);
    desk->written++;
    fprintf(out,
            "__REALTIME_TIMESTAMP=%llu\n__MONOTONIC_TIMESTAMP=%llu\n"
            "_BOOT_ID=0123456789abcdef0123456789abcdef\n_PID=7\n_HOSTNAME=vm\n",
            (unsigned long long)(NOON + desk->written), (unsigned long long)desk->written);
    put(out, "SYSLOG_IDENTIFIER", name, strlen(name));
    put(out, "SYSLOG_FACILITY", facility, strlen(facility));
    put(out, "_UID", uid, strlen(uid));
    put(out, "MESSAGE", text, len);
    fputc('\n', out);
    assert_int_equal(pclose(out), 0);
}

static void entry(struct desk *desk, const char *text)
{
    journal_entry(desk, "dovecot", "2", "0", text, strlen(text));
}

static void expect(struct desk *desk, const char *lines)
{
    for (int i = 0; i < 12; i++) {
        desk->now_ms += 250;
        while (gv_journal_poll(&desk->journal, desk->now_ms, on_line, desk))
            ;
    }
    assert_string_equal(desk->got, lines);
    desk->got[0] = '\0';
}

static void restart(struct desk *desk)
{
    char cursor[GV_CURSOR_MAX];

    memcpy(cursor, desk->journal.cursor, sizeof cursor);
    gv_journal_close(&desk->journal);
    gv_journal_init(&desk->journal, desk->folder, cursor, false);
}

static int open_desk(void **state)
{
    struct desk *desk = calloc(1, sizeof *desk);

    assert_non_null(desk);
    strcpy(desk->folder, "/tmp/gv-journal.XXXXXX");
    assert_non_null(mkdtemp(desk->folder));
    gv_journal_init(&desk->journal, desk->folder, "", false);
    *state = desk;
    return 0;
}

static int close_desk(void **state)
{
    struct desk *desk = *state;
    char command[128];

    gv_journal_close(&desk->journal);
    snprintf(command, sizeof command, "rm -rf '%s'", desk->folder);
    (void)!system(command);
    free(desk);
    return 0;
}

static void need_writer(void)
{
    if (access(WRITER, X_OK) == 0)
        return;
    print_message("systemd-journal-remote is not installed: SKIPPED\n");
    skip();
}

static void a_new_follower_begins_at_the_end_of_the_journal(void **state)
{
    struct desk *desk = *state;

    need_writer();
    entry(desk, "old");
    expect(desk, "");
    assert_int_equal(desk->journal.state, GV_SOURCE_READING);
    entry(desk, "one");
    entry(desk, "two");
    expect(desk, "vm dovecot[7]: one|vm dovecot[7]: two|");
    expect(desk, "");
}

static void a_restart_neither_loses_nor_repeats_an_entry(void **state)
{
    struct desk *desk = *state;

    need_writer();
    entry(desk, "old");
    expect(desk, "");
    restart(desk); /* nothing was given out yet, but the place is known */
    entry(desk, "one");
    restart(desk);
    entry(desk, "two");
    expect(desk, "vm dovecot[7]: one|vm dovecot[7]: two|");
    restart(desk);
    expect(desk, "");
    restart(desk);
    entry(desk, "three");
    expect(desk, "vm dovecot[7]: three|");
}

static void a_journal_that_is_awaited_is_all_new(void **state)
{
    struct desk *desk = *state;

    need_writer();
    expect(desk, "");
    assert_int_equal(desk->journal.state, GV_SOURCE_WAITING);
    restart(desk); /* it comes while nobody looks */
    entry(desk, "first");
    expect(desk, "vm dovecot[7]: first|");
}

static void the_entry_of_the_cursor_was_deleted(void **state)
{
    struct desk *desk = *state;
    char command[200];

    need_writer();
    entry(desk, "old");
    expect(desk, "");
    gv_journal_close(&desk->journal);
    snprintf(command, sizeof command, "rm -f %s/*", desk->folder);
    assert_int_equal(system(command), 0);
    entry(desk, "one");
    entry(desk, "two");
    restart(desk);
    expect(desk, "vm dovecot[7]: one|vm dovecot[7]: two|");
}

static void mail_programs_alone_and_no_forged_prefix(void **state)
{
    static const char binary[] = "a\nNov 22 12:00:00 vm dovecot: forged\0\xff\xfe";
    struct desk *desk = *state;

    need_writer();
    entry(desk, "old");
    expect(desk, "");
    journal_entry(desk, "sshd", "10", "0", "another program", 15);
    journal_entry(desk, "postfix/smtpd", "2", "1001", "an ordinary user", 16);
    journal_entry(desk, "postfix/smtpd[1]: x", "2", "0", "a forged name", 13);
    journal_entry(desk, "postfix/smtpd", "2", "0", binary, sizeof binary - 1);
    journal_entry(desk, "dovecot", "3", "0", "by name", 7);
    expect(desk, "vm postfix/smtpd[7]: a?Nov 22 12:00:00 vm dovecot: forged?\xff\xfe|"
                 "vm dovecot[7]: by name|");
    assert_int_equal(desk->journal.foreign, 2);
}

static void an_entry_of_a_megabyte_is_passed_over(void **state)
{
    struct desk *desk = *state;
    char *text = malloc(1 << 20);

    need_writer();
    assert_non_null(text);
    memset(text, 'x', 1 << 20);
    entry(desk, "old");
    expect(desk, "");
    /* The library refuses to read more than it is asked for, or unpacks it: either way it is one
     * line that is left out. */
    journal_entry(desk, "dovecot", "2", "0", text, 100000);
    entry(desk, "after");
    expect(desk, "<long>|vm dovecot[7]: after|");
    free(text);
}

static void no_journal_no_permission_no_folder(void **state)
{
    struct desk *desk = *state;
    char path[128];

    snprintf(path, sizeof path, "%s/none", desk->folder);
    gv_journal_close(&desk->journal);
    gv_journal_init(&desk->journal, path, "", false);
    expect(desk, "");
    assert_int_equal(desk->journal.state, GV_SOURCE_WAITING);
    FILE *f = fopen(path, "w"); /* no folder at all */
    assert_non_null(f);
    fclose(f);
    gv_journal_close(&desk->journal);
    gv_journal_init(&desk->journal, path, "", false);
    expect(desk, "");
    assert_true(desk->journal.state != GV_SOURCE_READING);
    /* Rubbish that is called a journal. */
    snprintf(path, sizeof path, "%s/x.journal", desk->folder);
    f = fopen(path, "w");
    assert_non_null(f);
    for (int i = 0; i < 10000; i++)
        fputc(i * 7, f);
    fclose(f);
    gv_journal_init(&desk->journal, desk->folder, "", false);
    expect(desk, "");
    gv_journal_close(&desk->journal);
    gv_journal_init(&desk->journal, desk->folder, "s=rubbish;i=zz", false);
    expect(desk, "");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_desk, close_desk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_becomes_a_line),
        cmocka_unit_test(a_message_of_several_lines_stays_one_line),
        cmocka_unit_test(a_message_that_is_too_long),
        TEST(a_new_follower_begins_at_the_end_of_the_journal),
        TEST(a_restart_neither_loses_nor_repeats_an_entry),
        TEST(a_journal_that_is_awaited_is_all_new),
        TEST(the_entry_of_the_cursor_was_deleted),
        TEST(mail_programs_alone_and_no_forged_prefix),
        TEST(an_entry_of_a_megabyte_is_passed_over),
        TEST(no_journal_no_permission_no_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
