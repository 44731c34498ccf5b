/* The file of the store: older schemas are brought up to date or left alone, newer ones refused;
 * what has left the set is kept for a while; a damaged file is mended and set aside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "crypto/error.h"
#include "node/base/file.h"
#include "node/base/store.h"
#include "node/host/persist.h"
#include "proto/trust/signal.h"

#define NOW 1795320000000ULL
#define DAY 86400000ULL

struct store {
    char folder[64], path[96];
    struct gv_identity identity;
    struct gv_persist *persist;
    struct gv_effects effects;
};

static int setup(void **state)
{
    struct store *s = calloc(1, sizeof *s);
    uint8_t secret[GV_SECRET_LEN];

    memset(secret, 7, sizeof secret);
    gv_identity_from_secret(&s->identity, secret);
    snprintf(s->folder, sizeof s->folder, "/tmp/gv-store-XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    snprintf(s->path, sizeof s->path, "%s/store.db", s->folder);
    gv_effects_init(&s->effects);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct store *s = *state;
    char command[128];

    gv_persist_close(s->persist);
    gv_effects_free(&s->effects);
    snprintf(command, sizeof command, "rm -rf %s", s->folder);
    assert_int_equal(system(command), 0);
    free(s);
    return 0;
}

static int try_open(struct store *s, struct gv_text *error)
{
    gv_persist_close(s->persist);
    s->persist = NULL;
    return gv_persist_open(&s->persist, s->path, s->identity.store_key, error);
}

static void open_again(struct store *s)
{
    struct gv_text error = {""};

    if (try_open(s, &error) != GV_OK)
        fail_msg("%s", error.text);
}

static void close_it(struct store *s)
{
    gv_persist_close(s->persist);
    s->persist = NULL;
}

static void sql(struct store *s, const char *text)
{
    sqlite3 *db = NULL;
    char *error = NULL;

    assert_int_equal(sqlite3_open(s->path, &db), SQLITE_OK);
    if (sqlite3_exec(db, text, NULL, NULL, &error) != SQLITE_OK)
        fail_msg("%.200s: %s", text, error);
    sqlite3_close(db);
}

static long long number(struct store *s, const char *text)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *row = NULL;

    assert_int_equal(sqlite3_open(s->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, text, -1, &row, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    long long value = sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    sqlite3_close(db);
    return value;
}

struct counts {
    size_t of[16];
};

static void on_row(void *context, enum gv_row row, const uint8_t *key, size_t key_len,
                   const uint8_t *value, size_t value_len)
{
    struct counts *counts = context;

    counts->of[row]++;
}

static struct counts load(struct store *s, size_t *bad)
{
    struct counts counts = {{0}};
    struct gv_text error = {""};

    if (gv_persist_load(s->persist, on_row, &counts, bad, &error) != GV_OK)
        fail_msg("%s", error.text);
    return counts;
}

static void on_sent(void *context, const struct gv_persist_sent *sent)
{
    ++*(size_t *)context;
}

/* ---- older and newer schemas ---------------------------------------------------------------- */

static void make_old(struct store *s)
{
    struct gv_buf text;

    gv_buf_init(&text);
    assert_int_equal(gv_file_read(&text, GV_SOURCE_DIR "/tests/vectors/store_1.sql", 1 << 20, NULL),
                     GV_OK);
    gv_buf_append(&text, "", 1);
    sql(s, (const char *)text.data);
    gv_buf_free(&text);
    assert_int_equal(number(s, "PRAGMA user_version"), 1);
}

static void check_old_rows(struct store *s)
{
    size_t bad, sent = 0;
    struct counts counts = load(s, &bad);
    uint8_t place[32];

    assert_int_equal(bad, 0);
    assert_int_equal(counts.of[GV_ROW_HISTORY], 3);
    assert_int_equal(counts.of[GV_ROW_LIST], 1);
    assert_int_equal(gv_persist_telemetry(s->persist, 0, 10, on_sent, &sent), GV_OK);
    assert_int_equal(sent, 2);
    assert_int_equal(gv_persist_kept(s->persist, "log /tmp/gv-v1.T44J/mail.log", place, 32), GV_OK);
}

static void test_an_old_store_is_brought_up_to_date(void **state)
{
    struct store *s = *state;

    make_old(s);
    open_again(s);
    check_old_rows(s);
    assert_int_equal(number(s, "PRAGMA user_version"), (long long)gv_store_version);
    open_again(s); /* and only once */
    check_old_rows(s);
}

static size_t count_aside(const struct store *s, const char *word);

/* A schema that is not that of its version would stop a migration half-way: it is damage. */
static void test_an_old_store_with_something_else_in_it_is_mended(void **state)
{
    struct store *s = *state;

    make_old(s);
    sql(s, "CREATE INDEX journal_left ON ack (acked_ms)");
    open_again(s);
    check_old_rows(s);
    assert_int_equal(count_aside(s, ".corrupt-"), 1);
    assert_int_equal(number(s, "PRAGMA user_version"), (long long)gv_store_version);
}

static void test_a_newer_store_is_refused(void **state)
{
    struct store *s = *state;
    struct gv_text error = {""};

    make_old(s);
    sql(s, "PRAGMA user_version = 99; PRAGMA application_id = 0x67760063");
    assert_int_equal(try_open(s, &error), GV_ERR_VERSION);
    assert_non_null(strstr(error.text, "made by a newer version"));
    assert_int_equal(number(s, "PRAGMA user_version"), 99);
    assert_int_equal(number(s, "SELECT count(*) FROM history"), 3);
}

/* ---- signals that have left the set --------------------------------------------------------- */

static void signal_of(struct store *s, uint8_t id, uint64_t sequence, const char *address,
                      bool forget)
{
    static const uint8_t network[GV_KEY_LEN];
    struct gv_statement statement = {.kind = GV_STATEMENT_SIGNAL,
                                     .sequence = sequence,
                                     .first_min = 29800000,
                                     .last_min = 29800000,
                                     .count = 5,
                                     .services = 4,
                                     .kinds = 2};
    const uint8_t kind = 1;
    uint8_t key[GV_ID_LEN] = {id};
    struct gv_buf record;

    gv_buf_init(&record);
    assert_int_equal(gv_subject_parse(&statement.subject, address, strlen(address)), GV_OK);
    gv_buf_append(&record, &kind, 1);
    assert_int_equal(gv_statement_sign(&record, &statement, s->identity.sign_secret, network),
                     GV_OK);
    if (forget)
        gv_effect_forget(&s->effects, GV_ROW_RECORD, key, sizeof key);
    else
        gv_effect_persist(&s->effects, GV_ROW_RECORD, key, sizeof key, record.data, record.len);
    gv_buf_free(&record);
}

static void commit_at(struct store *s, uint64_t unix_ms)
{
    struct gv_text error = {""};

    if (gv_persist_commit(s->persist, &s->effects, unix_ms, &error) != GV_OK)
        fail_msg("%s", error.text);
    gv_effects_clear(&s->effects);
}

struct left {
    size_t count;
    uint64_t first_ms;
};

static void on_left(void *context, const uint8_t *record, size_t len, uint64_t left_ms)
{
    struct left *left = context;
    struct gv_statement statement;

    assert_int_equal(gv_statement_parse(&statement, record + 1, len - 1), GV_OK);
    if (left->count++ == 0)
        left->first_ms = left_ms;
}

static struct left journal(struct store *s, const char *address)
{
    struct left left = {0, 0};
    struct gv_subject subject;

    assert_int_equal(gv_subject_parse(&subject, address, strlen(address)), GV_OK);
    assert_int_equal(gv_persist_journal(s->persist, &subject, 10, on_left, &left), GV_OK);
    return left;
}

static void test_a_signal_that_leaves_is_kept_for_a_while(void **state)
{
    struct store *s = *state;
    struct gv_text error;
    size_t bad;

    open_again(s);
    signal_of(s, 1, 1, "192.0.2.1", false);
    signal_of(s, 2, 2, "192.0.2.1", false);
    signal_of(s, 3, 3, "2001:db8::1", false);
    commit_at(s, NOW - 40 * DAY);
    assert_int_equal(journal(s, "192.0.2.1").count, 0);
    signal_of(s, 1, 0 + 1, "192.0.2.1", true);
    commit_at(s, NOW - 31 * DAY);
    signal_of(s, 2, 2, "192.0.2.1", true);
    signal_of(s, 3, 3, "2001:db8::1", true);
    commit_at(s, NOW - 29 * DAY);
    assert_int_equal(load(s, &bad).of[GV_ROW_RECORD], 0);
    assert_int_equal(journal(s, "192.0.2.1").count, 2);
    assert_int_equal(journal(s, "192.0.2.1").first_ms, NOW - 29 * DAY);
    assert_int_equal(journal(s, "2001:db8::1").count, 1);
    assert_int_equal(gv_persist_expire(s->persist, 0, NOW - 30 * DAY, &error), GV_OK);
    assert_int_equal(journal(s, "192.0.2.1").count, 1);
    assert_int_equal(journal(s, "2001:db8::1").count, 1);
    /* What was changed on disk is not shown. */
    close_it(s);
    sql(s, "UPDATE journal SET value = zeroblob(100)");
    open_again(s);
    assert_int_equal(journal(s, "192.0.2.1").count, 0);
}

/* ---- damage --------------------------------------------------------------------------------- */

static size_t count_aside(const struct store *s, const char *word)
{
    DIR *folder = opendir(s->folder);
    struct dirent *entry;
    size_t count = 0;

    while ((entry = readdir(folder)))
        count += strstr(entry->d_name, word) && !strstr(entry->d_name, "-wal");
    closedir(folder);
    return count;
}

static void rows_from(struct store *s, unsigned first, unsigned count, bool forget)
{
    uint8_t key[9] = {4}, value[120] = {1};

    for (unsigned i = first; i < count; i++) {
        key[1] = (uint8_t)(i >> 8);
        key[2] = (uint8_t)i;
        if (forget)
            gv_effect_forget(&s->effects, GV_ROW_HISTORY, key, sizeof key);
        else
            gv_effect_persist(&s->effects, GV_ROW_HISTORY, key, sizeof key, value, sizeof value);
    }
}

static void some_rows(struct store *s, unsigned count, bool forget)
{
    rows_from(s, 0, count, forget);
}

/* So many rows, a list entry, a sequence number, a place in a log. */
static void fill_with(struct store *s, unsigned rows)
{
    uint64_t place = 4711;

    open_again(s);
    some_rows(s, rows, false);
    gv_effect_persist(&s->effects, GV_ROW_LIST, "entry", 5, NULL, 0);
    gv_effect_persist(&s->effects, GV_ROW_SELF, "\1", 1, "12345678", 8);
    assert_int_equal(gv_persist_keep(s->persist, "log /x", &place, sizeof place), GV_OK);
    commit_at(s, NOW);
}

static void fill(struct store *s)
{
    fill_with(s, 2000);
}

static void overwrite(const struct store *s, off_t at, size_t len)
{
    uint8_t *rubbish = malloc(len);
    int fd = open(s->path, O_WRONLY);

    memset(rubbish, 0xa5, len);
    assert_int_equal(pwrite(fd, rubbish, len, at), (ssize_t)len);
    close(fd);
    free(rubbish);
}

static off_t size_of(const struct store *s)
{
    struct stat info;

    assert_int_equal(stat(s->path, &info), 0);
    return info.st_size;
}

static void test_a_page_in_the_middle_costs_what_was_on_it(void **state)
{
    struct store *s = *state;
    size_t bad;

    fill(s);
    close_it(s);
    overwrite(s, size_of(s) / 8192 * 4096, 4096);
    open_again(s);
    struct counts counts = load(s, &bad);
    assert_int_equal(bad, 0);
    assert_in_range(counts.of[GV_ROW_HISTORY], 1800, 1999);
    assert_int_equal(counts.of[GV_ROW_LIST], 1);
    /* The number is never believed after damage: SPEC 8.6. */
    assert_int_equal(counts.of[GV_ROW_SELF], 0);
    assert_int_equal(count_aside(s, ".corrupt-"), 1);
    assert_int_equal(count_aside(s, ".new"), 0);
    commit_at(s, NOW);
    open_again(s);
    assert_int_equal(load(s, &bad).of[GV_ROW_HISTORY], counts.of[GV_ROW_HISTORY]);
    assert_int_equal(count_aside(s, ".corrupt-"), 1);
}

static void copy_file(const struct store *s, const char *from, const char *to)
{
    char command[400];

    snprintf(command, sizeof command, "cp %s%s %s%s", s->path, from, s->path, to);
    assert_int_equal(system(command), 0);
}

/* A damaged file and the log beside it, as a machine that lost power leaves them: what is only in
 * the log is saved as well, and the new file does not meet the old log. */
static void test_the_log_of_a_damaged_file_is_read_and_left_behind(void **state)
{
    struct store *s = *state;
    size_t bad;

    fill(s);
    open_again(s); /* all in the file */
    gv_effect_persist(&s->effects, GV_ROW_PEER, "only in the log", 15, "x", 1);
    rows_from(s, 2000, 4000, false);
    commit_at(s, NOW);
    copy_file(s, "", ".copy");
    copy_file(s, "-wal", ".copy-wal");
    close_it(s);
    copy_file(s, ".copy", "");
    copy_file(s, ".copy-wal", "-wal");
    overwrite(s, size_of(s) / 8192 * 4096, 4096);
    open_again(s);
    struct counts counts = load(s, &bad);
    assert_in_range(counts.of[GV_ROW_HISTORY], 3800, 3999);
    assert_int_equal(counts.of[GV_ROW_PEER], 1);
    assert_int_equal(count_aside(s, ".corrupt-"), 1);
    open_again(s);
    assert_int_equal(load(s, &bad).of[GV_ROW_HISTORY], counts.of[GV_ROW_HISTORY]);
    assert_int_equal(count_aside(s, ".corrupt-"), 1);
}

static void test_half_a_file_and_no_file_at_all(void **state)
{
    struct store *s = *state;
    size_t bad;

    fill(s);
    close_it(s);
    assert_int_equal(truncate(s->path, size_of(s) / 8192 * 4096), 0);
    open_again(s);
    load(s, &bad);
    assert_int_equal(count_aside(s, ".corrupt-"), 1);
    close_it(s);
    assert_int_equal(truncate(s->path, 0), 0);
    open_again(s); /* an empty file is an empty store */
    assert_int_equal(load(s, &bad).of[GV_ROW_HISTORY], 0);
    close_it(s);
    overwrite(s, 0, 20000);
    open_again(s); /* nothing to be saved from it */
    assert_int_equal(load(s, &bad).of[GV_ROW_HISTORY], 0);
    assert_int_equal(count_aside(s, ".corrupt-"), 2);
}

/* Damage in the one table that is not read at a start is found all the same. */
static void test_damage_is_found_wherever_it_is(void **state)
{
    struct store *s = *state;
    off_t pages;

    fill(s);
    for (unsigned i = 0; i < 500; i++) {
        uint8_t id[GV_ID_LEN] = {(uint8_t)i, (uint8_t)(i >> 8)};
        gv_effect_persist(&s->effects, GV_ROW_SENT, id, sizeof id, id, sizeof id);
    }
    commit_at(s, NOW);
    close_it(s);
    pages = size_of(s) / 4096;
    struct gv_buf good;
    gv_buf_init(&good);
    assert_int_equal(gv_file_read(&good, s->path, 1 << 26, NULL), GV_OK);
    size_t mended = 0;
    for (off_t page = 1; page < pages; page += 3) {
        size_t bad;
        overwrite(s, page * 4096, 4096);
        open_again(s);
        load(s, &bad);
        mended += count_aside(s, ".corrupt-") > mended;
        close_it(s);
        assert_int_equal(gv_file_write(s->path, good.data, good.len, 0600, NULL), GV_OK);
    }
    gv_buf_free(&good);
    assert_int_equal(mended, (pages + 1) / 3);
}

/* What a check of the pages lets pass. Every row is saved, but those of a table that is gone. */
static void test_a_schema_that_is_not_ours_is_damage(void **state)
{
    static const struct {
        const char *what;
        size_t history, list;
    } cases[] = {
        {"DROP TABLE list", 2000, 0},
        {"DROP TABLE list; CREATE VIEW list AS SELECT 1 key, 2 value, 3 mac", 2000, 0},
        {"CREATE TRIGGER t AFTER INSERT ON record BEGIN DELETE FROM history; END", 2000, 1},
        {"PRAGMA user_version = 0", 2000, 1},
        {"PRAGMA user_version = 1", 2000, 1},
        {"PRAGMA user_version = 3", 2000, 1},
        {"PRAGMA user_version = -5", 2000, 1},
        {"PRAGMA application_id = 7", 2000, 1},
        {"PRAGMA writable_schema = ON; DELETE FROM sqlite_schema", 2000, 1},
        {"PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = 1", 2000, 1},
        {"PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'x'", 2000, 1},
    };
    struct store *s = *state;
    size_t bad;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t place;
        fill(s);
        close_it(s);
        sql(s, cases[i].what);
        open_again(s);
        struct counts counts = load(s, &bad);
        if (counts.of[GV_ROW_HISTORY] != cases[i].history ||
            counts.of[GV_ROW_LIST] != cases[i].list || count_aside(s, ".corrupt-") != i + 1)
            fail_msg("%s: %zu, %zu", cases[i].what, counts.of[GV_ROW_HISTORY],
                     counts.of[GV_ROW_LIST]);
        assert_int_equal(gv_persist_kept(s->persist, "log /x", &place, sizeof place), GV_OK);
        close_it(s);
        unlink(s->path);
    }
}

/* Each bit of the first page's start, and one in 37 of the rest: it starts, and the rows of all
 * other pages are there. */
static void test_one_bit_of_the_first_page_costs_nothing(void **state)
{
    struct store *s = *state;
    struct gv_buf good;
    size_t mended = 0;

    fill_with(s, 300); /* on a dozen pages: it is opened 250 times */
    close_it(s);
    gv_buf_init(&good);
    assert_int_equal(gv_file_read(&good, s->path, 1 << 26, NULL), GV_OK);
    for (size_t bit = 0; bit < 4096 * 8; bit += bit < 108 * 8 ? 5 : 37 * 7) {
        size_t bad, aside = count_aside(s, ".corrupt-");
        good.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(gv_file_write(s->path, good.data, good.len, 0600, NULL), GV_OK);
        good.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        open_again(s);
        struct counts counts = load(s, &bad);
        if (counts.of[GV_ROW_HISTORY] != 300 || counts.of[GV_ROW_LIST] != 1)
            fail_msg("byte %zu bit %zu: %zu, %zu", bit / 8, bit % 8, counts.of[GV_ROW_HISTORY],
                     counts.of[GV_ROW_LIST]);
        mended += count_aside(s, ".corrupt-") > aside;
        close_it(s);
    }
    assert_in_range(mended, 50, 300);
    gv_buf_free(&good);
}

/* SQLite ends at the first frame that does not verify, and says nothing: what came after is found
 * all the same, and the number is not believed. */
static void test_what_follows_a_damaged_frame_is_not_lost(void **state)
{
    static const struct {
        const char *what;
        off_t at; /* in the log; negative: from its end */
        size_t aside;
    } cases[] = {
        {"a page of the third commit", 0, 1}, {"the head", 17, 1}, {"the magic number", 1, 1},
        {"a torn end", -3000, 0},
    };
    struct store *s = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stat info;
        char log[128];
        size_t bad, before = count_aside(s, ".corrupt-");
        fill(s);
        open_again(s); /* all in the file */
        rows_from(s, 2000, 2100, false);
        commit_at(s, NOW);
        snprintf(log, sizeof log, "%s-wal", s->path);
        assert_int_equal(stat(log, &info), 0);
        rows_from(s, 2100, 2101, false);
        commit_at(s, NOW);
        rows_from(s, 2101, 2500, false);
        commit_at(s, NOW);
        copy_file(s, "", ".copy");
        copy_file(s, "-wal", ".copy-wal");
        close_it(s);
        copy_file(s, ".copy", "");
        copy_file(s, ".copy-wal", "-wal");
        int fd = open(log, O_RDWR);
        uint8_t byte;
        off_t at = cases[i].at > 0   ? cases[i].at
                   : cases[i].at == 0 ? info.st_size - 1000
                                      : lseek(fd, 0, SEEK_END) + cases[i].at;
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 4;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        close(fd);
        open_again(s);
        struct counts counts = load(s, &bad);
        if (count_aside(s, ".corrupt-") - before != cases[i].aside)
            fail_msg("%s: set aside or not", cases[i].what);
        if (cases[i].aside) {
            assert_in_range(counts.of[GV_ROW_HISTORY], 2450, 2500);
            assert_int_equal(counts.of[GV_ROW_SELF], 0);
        } else {
            assert_int_equal(counts.of[GV_ROW_HISTORY], 2101);
            assert_int_equal(counts.of[GV_ROW_SELF], 1);
        }
        close_it(s);
        assert_int_equal(unlink(s->path), 0);
    }
}

/* While it runs: rows that are written meet the damaged page. */
static void test_damage_while_it_is_open(void **state)
{
    struct store *s = *state;
    struct gv_text error = {""};
    size_t bad;

    fill(s);
    some_rows(s, 20000, false); /* more than its cache holds */
    commit_at(s, NOW);
    open_again(s); /* the log is in the file now */
    overwrite(s, size_of(s) / 8192 * 4096, (size_t)size_of(s) / 4);
    some_rows(s, 20000, true);
    int rc = gv_persist_commit(s->persist, &s->effects, NOW, &error);
    assert_int_equal(rc, GV_ERR_MALFORMED);
    assert_non_null(strstr(error.text, "damaged"));
    if (gv_persist_mend(s->persist, &error) != GV_OK)
        fail_msg("%s", error.text);
    commit_at(s, NOW);
    struct counts counts = load(s, &bad);
    assert_int_equal(counts.of[GV_ROW_HISTORY], 0);
    assert_int_equal(counts.of[GV_ROW_LIST], 1);
    assert_int_equal(bad, 0);
    assert_int_equal(count_aside(s, ".corrupt-"), 1);
}

/* Where a file is put in the store's place, its rights and what it is are looked at first. */
static void test_what_is_no_file_of_ours(void **state)
{
    struct store *s = *state;
    struct gv_text error = {""};
    struct stat info;
    char other[128];

    snprintf(other, sizeof other, "%s/other.db", s->folder);
    assert_int_equal(symlink(other, s->path), 0);
    assert_int_equal(try_open(s, &error), GV_ERR_FORBIDDEN);
    assert_non_null(strstr(error.text, "symbolic link"));
    assert_int_equal(unlink(s->path), 0);
    assert_int_equal(mkfifo(s->path, 0600), 0);
    assert_int_equal(try_open(s, &error), GV_ERR_FORBIDDEN);
    assert_int_equal(unlink(s->path), 0);
    open_again(s);
    close_it(s);
    assert_int_equal(chmod(s->path, 0666), 0);
    open_again(s);
    assert_int_equal(stat(s->path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_an_old_store_is_brought_up_to_date, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_old_store_with_something_else_in_it_is_mended,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_newer_store_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_signal_that_leaves_is_kept_for_a_while, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_page_in_the_middle_costs_what_was_on_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_the_log_of_a_damaged_file_is_read_and_left_behind,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_half_a_file_and_no_file_at_all, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damage_is_found_wherever_it_is, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_schema_that_is_not_ours_is_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_bit_of_the_first_page_costs_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_what_follows_a_damaged_frame_is_not_lost, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_damage_while_it_is_open, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_no_file_of_ours, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
