/* A restart between any two lines of a log changes nothing: genuine logs of every server, and lines
 * shuffled from them, are read once in one go and once by readers that begin where another was
 * left, with what that one stored. Both must see the same. (SPEC 10.5) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../unit/helper_differential.h"
#include "../unit/helper_reader.h"
#include "crypto/error.h"
#include "node/ingest/hints.h"
#include "node/ingest/ingest.h"

#define LINES_MAX  2000
#define EVENTS_MAX 4000

/* ---- rows, as a store keeps them ------------------------------------------------------------ */

#define ROWS_MAX 2048
struct kept_row {
    char name[48];
    uint8_t data[GV_MEMORY_ROW];
    size_t len;
};
static struct kept_row rows[ROWS_MAX];
static size_t row_count;

static struct kept_row *row_of(const char *name)
{
    for (size_t i = 0; i < row_count; i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

static void keep(void *context, const char *name, const void *data, size_t len)
{
    struct kept_row *row = row_of(name);

    (void)context;
    assert_true(len <= GV_MEMORY_ROW && strlen(name) < sizeof row->name);
    if (!row) {
        assert_true(row_count < ROWS_MAX);
        row = &rows[row_count++];
        snprintf(row->name, sizeof row->name, "%s", name);
    }
    memcpy(row->data, data, len);
    row->len = len;
}

static bool kept(void *context, const char *name, void *data, size_t len)
{
    const struct kept_row *row = row_of(name);

    (void)context;
    if (!row || row->len != len)
        return false;
    memcpy(data, row->data, len);
    return true;
}

/* ---- a reader that can be left -------------------------------------------------------------- */

static const uint8_t key[GV_ACCOUNT_KEY_LEN] = {1, 2, 3};

struct node {
    struct gv_reader *reader;
    struct gv_memory *memory;
};

static void begin(struct node *node)
{
    struct gv_reader_config config = {0};
    struct gv_memory_area areas[GV_READER_AREAS];

    memcpy(config.key, key, sizeof key);
    node->reader = gv_reader_new(&config);
    assert_non_null(node->reader);
    size_t n = gv_reader_memory(node->reader, areas);
    node->memory = gv_memory_new("visits log", GV_READER_FORM, areas, n);
    assert_non_null(node->memory);
    if (gv_memory_load(node->memory, kept, NULL))
        gv_reader_recall(node->reader, FED_NOW_MS);
}

static void end(struct node *node)
{
    gv_memory_free(node->memory);
    gv_reader_free(node->reader);
    *node = (struct node){0};
}

static void restart(struct node *node)
{
    gv_memory_save(node->memory, keep, NULL);
    end(node);
    begin(node);
}

/* ---- what comes out ------------------------------------------------------------------------- */

struct events {
    struct gv_reading list[EVENTS_MAX];
    size_t count;
    uint64_t faults;
    size_t after[LINES_MAX + 1]; /* how many there were behind so many lines */
};

static void add(struct events *events, const struct gv_reading *readings, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert_true(events->count < EVENTS_MAX);
        events->list[events->count++] = readings[i];
    }
}

static void feed(struct events *events, const struct node *node, const char *line)
{
    struct gv_reading out[GV_READINGS_MAX];
    uint64_t before = gv_reader_counters(node->reader)->faults;

    add(events, out, gv_reader_line(node->reader, out, line, strlen(line), FED_NOW_MS));
    events->faults += gv_reader_counters(node->reader)->faults - before;
}

static void finish(struct events *events, const struct node *node)
{
    struct gv_reading out[GV_READINGS_MAX];
    size_t n;

    while ((n = gv_reader_flush(node->reader, out)) > 0)
        add(events, out, n);
}

static bool same_reading(const struct gv_reading *a, const struct gv_reading *b)
{
    const struct gv_observation *x = &a->observation, *y = &b->observation;

    return a->mta == b->mta && gv_ip_address_equal(&a->address, &b->address) &&
           memcmp(&x->subject, &y->subject, sizeof x->subject) == 0 && x->unix_ms == y->unix_ms &&
           x->account == y->account && x->attempts == y->attempts && x->service == y->service &&
           x->kind == y->kind && x->success == y->success && x->new_visit == y->new_visit &&
           x->refused == y->refused;
}

static bool same_events(const struct events *a, size_t from, const struct events *b, size_t b_from,
                        size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!same_reading(&a->list[from + i], &b->list[b_from + i]))
            return false;
    return true;
}

/* ---- the logs ------------------------------------------------------------------------------- */

struct text {
    char *lines[LINES_MAX];
    size_t count;
};

static void add_line(struct text *text, const char *line)
{
    assert_true(text->count < LINES_MAX);
    text->lines[text->count] = strdup(line);
    assert_non_null(text->lines[text->count]);
    text->count++;
}

static void load_text(struct text *text, const char *name)
{
    char path[256], line[GV_LINE_MAX];

    snprintf(path, sizeof path, GV_SOURCE_DIR "/tests/maillog/%s", name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text->count = 0;
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        add_line(text, line);
    }
    fclose(file);
    assert_true(text->count > 0);
}

static void free_text(struct text *text)
{
    for (size_t i = 0; i < text->count; i++)
        free(text->lines[i]);
    text->count = 0;
}

/* ---- the law -------------------------------------------------------------------------------- */

static struct events whole, part;

static void read_whole(const struct text *text)
{
    struct node node;

    row_count = 0;
    whole.count = 0;
    whole.faults = 0;
    begin(&node);
    for (size_t i = 0; i < text->count; i++) {
        whole.after[i] = whole.count;
        feed(&whole, &node, text->lines[i]);
    }
    whole.after[text->count] = whole.count;
    finish(&whole, &node);
    end(&node);
}

/* A restart at every boundary of one reading. */
static void restart_everywhere(const struct text *text, const char *name)
{
    struct node node;

    row_count = 0;
    part.count = 0;
    part.faults = 0;
    begin(&node);
    for (size_t i = 0; i < text->count; i++) {
        restart(&node);
        feed(&part, &node, text->lines[i]);
        if (part.count != whole.after[i + 1] ||
            !same_events(&whole, whole.after[i], &part, whole.after[i],
                         part.count - whole.after[i]))
            fail_msg("%s: with restarts, line %zu leads to something else: %s", name, i + 1,
                     text->lines[i]);
    }
    restart(&node);
    finish(&part, &node);
    end(&node);
    assert_int_equal(part.count, whole.count);
    assert_true(same_events(&whole, 0, &part, 0, whole.count));
    assert_int_equal(part.faults, whole.faults);
}

/* One restart each, at every `step`th boundary, and what comes of the next lines. */
#define AHEAD 120
static size_t cut_once(const struct text *text, const char *name, size_t step)
{
    struct node going, node = {0};
    size_t cuts = 0;

    row_count = 0;
    begin(&going);
    for (size_t cut = 0; cut < text->count; cut++) {
        if (cut % step == 0) {
            size_t until = cut + AHEAD < text->count ? cut + AHEAD : text->count;

            gv_memory_save(going.memory, keep, NULL);
            begin(&node);
            part.count = 0;
            for (size_t i = cut; i < until; i++)
                feed(&part, &node, text->lines[i]);
            end(&node);
            if (part.count != whole.after[until] - whole.after[cut] ||
                !same_events(&whole, whole.after[cut], &part, 0, part.count))
                fail_msg("%s: a restart in front of line %zu leads to something else", name,
                         cut + 1);
            cuts++;
        }
        part.count = 0;
        feed(&part, &going, text->lines[cut]);
    }
    end(&going);
    return cuts;
}

static size_t check(const struct text *text, const char *name, size_t step)
{
    read_whole(text);
    restart_everywhere(text, name);
    return cut_once(text, name, step);
}

static const char *const logs[] = {
    "genuine.log",          "genuine-exim.log",  "genuine-exim-syslog.log",
    "genuine-sendmail.log", "genuine-cyrus.log", "genuine-courier.log"};
#define LOGS (sizeof logs / sizeof *logs)

static void test_genuine_logs(void **state)
{
    static struct text text;

    (void)state;
    for (size_t i = 0; i < LOGS; i++) {
        load_text(&text, logs[i]);
        size_t cuts = check(&text, logs[i], 10);
        print_message("%s: %zu lines, %zu events, %zu restarts\n", logs[i], text.count, whole.count,
                      cuts + text.count + 1);
        assert_true(whole.count > 0);
        free_text(&text);
    }
}

/* Lines of all servers in one log, in any order within a stretch: visits that are open at once,
 * cut off, and never closed; and folded lines. */
static void test_shuffled_logs(void **state)
{
    static struct text from[LOGS], text;
    size_t events = 0;

    (void)state;
    draw_init();
    for (size_t i = 0; i < LOGS; i++)
        load_text(&from[i], logs[i]);
    for (unsigned round = 0; round < 2; round++) {
        for (size_t n = 0; n < 600; n++) {
            const struct text *log = &from[draw(LOGS)];
            size_t at = (n * log->count / 600 + draw(24)) % log->count;

            add_line(&text, log->lines[at]);
            if (draw(8) == 0) { /* of the same host as that one, if it has one */
                char folded[128] = "";
                const char *line = log->lines[at], *host = strchr(line, ' ');
                if (host && line[4] == '-')
                    snprintf(folded, sizeof folded, "%.*s last message repeated %u times",
                             (int)(host + 1 + strcspn(host + 1, " ") - line), line, 1 + draw(4));
                add_line(&text, folded);
            }
        }
        check(&text, "shuffled", 11);
        events += whole.count;
        free_text(&text);
    }
    print_message("%zu events\n", events);
    assert_true(events > 250);
    for (size_t i = 0; i < LOGS; i++)
        free_text(&from[i]);
}

/* ---- what was once lost or counted twice, line by line --------------------------------------- */

/* 92 bytes, and 100 with a part of the address */
#define LONG                                                                                       \
    "a-name-that-leaves-little-of-its-own-address.when-some-lines-have-only-a-hundred-bytes.ex.te"
static const char *const cases[][6] = {
    {/* a failure that was told of is not counted again by the disconnect line */
     "2026-11-22T02:00:00+00:00 vm postfix/smtpd[7]: connect from unknown[198.51.100.7]",
     "2026-11-22T02:00:01+00:00 vm postfix/smtpd[7]: warning: unknown[198.51.100.7]: SASL LOGIN "
     "authentication failed: (reason unavailable)",
     "2026-11-22T02:00:02+00:00 vm postfix/smtpd[7]: disconnect from unknown[198.51.100.7] ehlo=1 "
     "auth=0/1 commands=1/2"},
    {/* a drop whose disconnect line never comes is not lost */
     "2026-11-22T02:00:00+00:00 vm postfix/smtpd[7]: connect from unknown[198.51.100.7]",
     "2026-11-22T02:00:01+00:00 vm postfix/smtpd[7]: lost connection after AUTH from "
     "unknown[198.51.100.7]"},
    {/* a fault of the backend stays one */
     "2026-11-22T02:00:00+00:00 vm postfix/smtpd[7]: connect from unknown[198.51.100.7]",
     "2026-11-22T02:00:01+00:00 vm dovecot: auth: Error: "
     "passwd-file(u@example.org,198.51.100.7): stat(/etc/dovecot/users) failed: Permission denied",
     "2026-11-22T02:00:02+00:00 vm postfix/smtpd[7]: warning: unknown[198.51.100.7]: SASL PLAIN "
     "authentication failed: (reason unavailable), sasl_username=u@example.org"},
    {/* the auth service's why reaches the failure */
     "2026-11-22T02:00:01+00:00 vm dovecot: auth: passwd-file(bob,198.51.100.7,<s1>): unknown user",
     "2026-11-22T02:00:02+00:00 vm dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 "
     "secs): user=<bob>, method=PLAIN, rip=198.51.100.7, lip=127.0.0.1, session=<s1>"},
    {/* a folded line counts as the one before it */
     "Nov 22 02:00:01 vm courieresmtpd: error,relay=198.51.100.7,msg=\"535 Authentication "
     "failed.\",cmd: AUTH LOGIN",
     "Nov 22 02:00:31 vm last message repeated 3 times"},
    {/* Courier's backend takes a failure back */
     "Nov 22 02:00:01 vm imapd: LOGIN FAILED, user=u, ip=[198.51.100.7], port=[40000]",
     "Nov 22 02:00:01 vm imapd: authentication error: Input/output error",
     "Nov 22 02:00:09 vm imapd: LOGIN FAILED, user=u, ip=[198.51.100.7], port=[40000]"},
    {/* Sendmail names the client of its failures later */
     "Nov 22 02:36:26 mx sm-mta[9]: 5AM2aQ5D000009: AUTH failure (LOGIN): user not found (-20) x, "
     "relay=" LONG " [198.51",
     "Nov 22 02:36:27 mx last message repeated 2 times",
     "Nov 22 02:36:28 mx sm-mta[9]: 5AM2aQ5E000009: AUTH failure (LOGIN): user not found (-20) x, "
     "relay=" LONG " [198.51",
     "Nov 22 02:36:29 mx sm-mta[9]: 5AM2aQ5F000009: " LONG " [198.51.100.7] did not issue "
     "MAIL/EXPN/VRFY/ETRN during connection to MTA"},
    {/* or before */
     "Nov 22 02:36:25 mx sm-mta[9]: NOQUEUE: connect from " LONG " [198.51.100.7]",
     "Nov 22 02:36:26 mx sm-mta[9]: 5AM2aQ5D000009: AUTH failure (LOGIN): user not found (-20) x, "
     "relay=" LONG " [198.51",
     "Nov 22 02:36:27 mx last message repeated 2 times"},
};

static void test_named_cases(void **state)
{
    static struct text text;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[32];

        for (size_t line = 0; line < 6 && cases[i][line]; line++)
            add_line(&text, cases[i][line]);
        snprintf(name, sizeof name, "case %zu", i);
        check(&text, name, 1);
        assert_true(whole.count + whole.faults > 0);
        free_text(&text);
    }
}

/* ---- two logs whose lines explain each other's ----------------------------------------------- */

struct pair {
    struct gv_hints *hints;
    struct gv_reader *readers[2];
    struct gv_memory *memories[3]; /* the last: of the hints */
};

static void begin_pair(struct pair *pair)
{
    static const char *const names[] = {"visits 0", "visits 1", "hints"};
    struct gv_memory_area areas[GV_READER_AREAS];

    pair->hints = malloc(sizeof *pair->hints);
    assert_non_null(pair->hints);
    gv_hints_init(pair->hints);
    for (size_t i = 0; i < 3; i++) {
        struct gv_reader_config config = {.hints = pair->hints};

        memcpy(config.key, key, sizeof key);
        if (i < 2)
            assert_non_null(pair->readers[i] = gv_reader_new(&config));
        size_t n =
            i < 2 ? gv_reader_memory(pair->readers[i], areas) : gv_hints_memory(pair->hints, areas);
        pair->memories[i] = gv_memory_new(names[i], GV_READER_FORM, areas, n);
        assert_non_null(pair->memories[i]);
        if (!gv_memory_load(pair->memories[i], kept, NULL))
            continue;
        if (i < 2)
            gv_reader_recall(pair->readers[i], FED_NOW_MS);
        else
            gv_hints_recall(pair->hints);
    }
}

static void end_pair(struct pair *pair)
{
    for (size_t i = 0; i < 3; i++)
        gv_memory_free(pair->memories[i]);
    for (size_t i = 0; i < 2; i++)
        gv_reader_free(pair->readers[i]);
    free(pair->hints);
}

static void read_pair(struct events *events, const struct text *text, bool restarts)
{
    struct pair pair;

    row_count = 0;
    events->count = 0;
    events->faults = 0;
    begin_pair(&pair);
    for (size_t i = 0; i < text->count; i++) {
        struct node node = {0};

        if (restarts) {
            for (size_t m = 0; m < 3; m++)
                gv_memory_save(pair.memories[m], keep, NULL);
            end_pair(&pair);
            begin_pair(&pair);
        }
        node.reader = pair.readers[strstr(text->lines[i], "dovecot: auth") != NULL];
        feed(events, &node, text->lines[i]);
    }
    end_pair(&pair);
}

static void test_two_logs(void **state)
{
    static struct text text;
    size_t named = 0;

    (void)state;
    load_text(&text, logs[0]);
    read_pair(&whole, &text, false);
    read_pair(&part, &text, true);
    assert_int_equal(part.count, whole.count);
    assert_true(same_events(&whole, 0, &part, 0, whole.count));
    assert_int_equal(part.faults, whole.faults);
    for (size_t i = 0; i < whole.count; i++)
        named += whole.list[i].observation.kind == GV_KIND_WRONG_PASSWORD ||
                 whole.list[i].observation.kind == GV_KIND_UNKNOWN_ACCOUNT;
    print_message("%zu events, %zu of them explained by the other log\n", whole.count, named);
    assert_true(named > 10);
    free_text(&text);
}

/* ---- what is stored ------------------------------------------------------------------------- */

static bool stored(const char *word)
{
    for (size_t i = 0; i < row_count; i++)
        if (memmem(rows[i].data, rows[i].len, word, strlen(word)))
            return true;
    return false;
}

/* No name of an account, in whatever line it stood, is in a row. */
static void test_no_names(void **state)
{
    static const char *const names[] = {"alice", "bob", "Bob", "nobody", "example", "postmaster"};
    static struct text text;
    struct node node;

    (void)state;
    for (size_t i = 0; i < LOGS; i++) {
        load_text(&text, logs[i]);
        row_count = 0;
        begin(&node);
        for (size_t line = 0; line < text.count; line++) {
            part.count = 0;
            feed(&part, &node, text.lines[line]);
            gv_memory_save(node.memory, keep, NULL);
            for (size_t n = 0; n < sizeof names / sizeof *names; n++)
                if (stored(names[n]))
                    fail_msg("%s, line %zu: \"%s\" is stored", logs[i], line + 1, names[n]);
        }
        end(&node);
        free_text(&text);
    }
}

/* An address of which everything is to be forgotten is in no row afterwards (SPEC 15.1). */
static void test_erased(void **state)
{
    static const char *const lines[] = {
        "2026-11-22T02:00:00+00:00 vm postfix/smtpd[7]: connect from unknown[198.51.100.7]",
        "2026-11-22T02:00:00+00:00 vm postfix/smtpd[8]: connect from unknown[198.51.100.8]",
        "2026-11-22T02:00:01+00:00 vm dovecot: auth: sql(bob,198.51.100.7,<s1>): unknown user",
        "Nov 22 02:36:25 mx sm-mta[9]: NOQUEUE: connect from " LONG " [198.51.100.7]",
        "Nov 22 02:00:01 vm imapd: LOGIN FAILED, user=u, ip=[198.51.100.7], port=[40000]"};
    static const char seven[] = {(char)198, 51, 100, 7, 0}, eight[] = {(char)198, 51, 100, 8, 0};
    struct gv_subject subject;
    struct node node;

    (void)state;
    row_count = 0;
    part.count = 0;
    begin(&node);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        feed(&part, &node, lines[i]);
        gv_memory_save(node.memory, keep, NULL);
    }
    assert_true(stored(seven) && stored(eight));
    assert_int_equal(gv_subject_parse(&subject, "198.51.100.7", 12), GV_OK);
    gv_reader_erase(node.reader, &subject);
    gv_memory_save_anew(node.memory, keep, NULL);
    assert_false(stored(seven));
    assert_true(stored(eight));
    restart(&node);
    feed(&part, &node,
         "2026-11-22T02:00:02+00:00 vm postfix/smtpd[7]: disconnect from unknown[198.51.100.7]");
    end(&node);
}

/* A row that is not there, or is none: nothing is taken up, and the next save mends it. */
static void test_lost_rows(void **state)
{
    static struct text text;
    struct node node;

    (void)state;
    load_text(&text, logs[0]);
    row_count = 0;
    begin(&node);
    part.count = 0;
    for (size_t i = 0; i < 200; i++)
        feed(&part, &node, text.lines[i]);
    gv_memory_save(node.memory, keep, NULL);
    end(&node);
    assert_true(row_count > 2);
    for (size_t i = 0; i < row_count; i++) {
        size_t len = rows[i].len;
        uint64_t drawn;

        rows[i].len = 0;
        begin(&node);
        drawn = gv_reader_time(node.reader);
        assert_int_equal(drawn, 0);
        end(&node);
        rows[i].len = len;
    }
    begin(&node);
    assert_true(gv_reader_time(node.reader) > 0);
    end(&node);
    /* One of another time: it is there, but not of these. */
    rows[2].data[2] ^= 1;
    begin(&node);
    assert_int_equal(gv_reader_time(node.reader), 0);
    end(&node);
    rows[2].data[2] ^= 1;
    rows[1].data[0] = 0xff; /* more cells than fit */
    begin(&node);
    assert_int_equal(gv_reader_time(node.reader), 0);
    feed(&part, &node, text.lines[200]);
    restart(&node);
    assert_true(gv_reader_time(node.reader) > 0);
    end(&node);
    free_text(&text);
}

/* What is kept of a line points nowhere into it: the line is gone by then. */
static void test_no_pointers(void **state)
{
    static const char *const lines[] = {
        "Nov 22 02:36:26 vm postfix/smtpd[1]: warning: unknown[198.51.100.7]: SASL LOGIN "
        "authentication failed: x, sasl_username=alice@example.org",
        "Nov 22 02:36:26 vm dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): "
        "user=<alice>, method=PLAIN, rip=198.51.100.7, lip=192.0.2.1, session=<abc>",
        "Nov 22 02:36:26 vm exim[7]: plain authenticator failed for (x) [198.51.100.7]: 535 "
        "Incorrect authentication data (set_id=alice)",
    };

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct gv_memory_area areas[GV_READER_AREAS];
        struct gv_reading out[GV_READINGS_MAX];
        struct node node;

        row_count = 0;
        begin(&node);
        gv_reader_line(node.reader, out, lines[i], strlen(lines[i]), FED_NOW_MS);
        assert_int_equal(gv_reader_counters(node.reader)->matched, 1);
        size_t n = gv_reader_memory(node.reader, areas);
        for (size_t a = 0; a < n; a++)
            for (size_t at = 0; at + sizeof(uintptr_t) <= areas[a].len; at += sizeof(uintptr_t)) {
                uintptr_t word;
                memcpy(&word, (const char *)areas[a].at + at, sizeof word);
                assert_false(word - (uintptr_t)lines[i] < strlen(lines[i]) + 1);
            }
        end(&node);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_genuine_logs), cmocka_unit_test(test_shuffled_logs),
        cmocka_unit_test(test_named_cases),  cmocka_unit_test(test_no_names),
        cmocka_unit_test(test_lost_rows),    cmocka_unit_test(test_erased),
        cmocka_unit_test(test_two_logs),     cmocka_unit_test(test_no_pointers),
    };

    setenv("TZ", "UTC", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
