/* A damaged file of the store: whatever is wrong with it, it is mended and set aside, and every row
 * that is still there is saved (SPEC 9.7). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "helper_store.h"
#include "node/base/file.h"
#include "proto/wire/record.h"

static void test_a_page_in_the_middle_costs_what_was_on_it(void **state)
{
    struct store *s = *state;
    size_t bad;

    store_fill(s);
    store_close(s);
    store_overwrite(s, store_size(s) / 8192 * 4096, 4096);
    store_open(s);
    struct counts counts = store_load(s, &bad);
    assert_int_equal(bad, 0);
    assert_in_range(counts.of[GV_ROW_HISTORY], 1800, 1999);
    assert_int_equal(counts.of[GV_ROW_LIST], 1);
    /* The number is never believed after damage: SPEC 8.6. */
    assert_int_equal(counts.of[GV_ROW_SELF], 0);
    assert_int_equal(store_count_aside(s, ".corrupt-"), 1);
    assert_int_equal(store_count_aside(s, ".new"), 0);
    store_commit(s, NOW);
    store_open(s);
    assert_int_equal(store_load(s, &bad).of[GV_ROW_HISTORY], counts.of[GV_ROW_HISTORY]);
    assert_int_equal(store_count_aside(s, ".corrupt-"), 1);
}

/* A damaged file and the log beside it, as a machine that lost power leaves them: what is only in
 * the log is saved as well, and the new file does not meet the old log. */
static void test_the_log_of_a_damaged_file_is_read_and_left_behind(void **state)
{
    struct store *s = *state;
    size_t bad;

    store_fill(s);
    store_open(s); /* all in the file */
    gv_effect_persist(&s->effects, GV_ROW_PEER, "only in the log", 15, "x", 1);
    store_rows(s, 2000, 4000, false);
    store_commit(s, NOW);
    store_copy(s, "", ".copy");
    store_copy(s, "-wal", ".copy-wal");
    store_close(s);
    store_copy(s, ".copy", "");
    store_copy(s, ".copy-wal", "-wal");
    store_overwrite(s, store_size(s) / 8192 * 4096, 4096);
    store_open(s);
    struct counts counts = store_load(s, &bad);
    assert_in_range(counts.of[GV_ROW_HISTORY], 3800, 3999);
    assert_int_equal(counts.of[GV_ROW_PEER], 1);
    assert_int_equal(store_count_aside(s, ".corrupt-"), 1);
    store_open(s);
    assert_int_equal(store_load(s, &bad).of[GV_ROW_HISTORY], counts.of[GV_ROW_HISTORY]);
    assert_int_equal(store_count_aside(s, ".corrupt-"), 1);
}

static void test_half_a_file_and_no_file_at_all(void **state)
{
    struct store *s = *state;
    size_t bad;

    store_fill(s);
    store_close(s);
    assert_int_equal(truncate(s->path, store_size(s) / 8192 * 4096), 0);
    store_open(s);
    store_load(s, &bad);
    assert_int_equal(store_count_aside(s, ".corrupt-"), 1);
    store_close(s);
    assert_int_equal(truncate(s->path, 0), 0);
    store_open(s); /* an empty file is an empty store */
    assert_int_equal(store_load(s, &bad).of[GV_ROW_HISTORY], 0);
    store_close(s);
    store_overwrite(s, 0, 20000);
    store_open(s); /* nothing to be saved from it */
    assert_int_equal(store_load(s, &bad).of[GV_ROW_HISTORY], 0);
    assert_int_equal(store_count_aside(s, ".corrupt-"), 2);
}

/* Damage in the one table that is not read at a start is found all the same. */
static void test_damage_is_found_wherever_it_is(void **state)
{
    struct store *s = *state;
    off_t pages;

    store_fill(s);
    for (unsigned i = 0; i < 500; i++) {
        uint8_t id[GV_ID_LEN] = {(uint8_t)i, (uint8_t)(i >> 8)};
        gv_effect_persist(&s->effects, GV_ROW_SENT, id, sizeof id, id, sizeof id);
    }
    store_commit(s, NOW);
    store_close(s);
    pages = store_size(s) / 4096;
    struct gv_buf good;
    gv_buf_init(&good);
    assert_int_equal(gv_file_read(&good, s->path, 1 << 26, NULL), GV_OK);
    size_t mended = 0;
    for (off_t page = 1; page < pages; page += 3) {
        size_t bad;
        store_overwrite(s, page * 4096, 4096);
        store_open(s);
        store_load(s, &bad);
        mended += store_count_aside(s, ".corrupt-") > mended;
        store_close(s);
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
        {"PRAGMA user_version = 6", 2000, 1},
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
        store_fill(s);
        store_close(s);
        store_sql(s, cases[i].what);
        store_open(s);
        struct counts counts = store_load(s, &bad);
        if (counts.of[GV_ROW_HISTORY] != cases[i].history ||
            counts.of[GV_ROW_LIST] != cases[i].list || store_count_aside(s, ".corrupt-") != i + 1)
            fail_msg("%s: %zu, %zu", cases[i].what, counts.of[GV_ROW_HISTORY],
                     counts.of[GV_ROW_LIST]);
        assert_int_equal(gv_persist_kept(s->persist, "log /x", &place, sizeof place), GV_OK);
        store_close(s);
        unlink(s->path);
    }
}

/* The head's page size is wrong and still a size: SQLite reads nothing, the pages are all there. */
static void test_a_wrong_page_size_costs_nothing(void **state)
{
    static const unsigned sizes[] = {512, 1024, 2048, 4096, 8192, 16384, 32768, 65536};
    static const unsigned real[] = {4096, 512, 65536};
    struct store *s = *state;

    for (size_t i = 0; i < 8 * 3; i++) {
        unsigned size = sizes[i % 8], true_size = real[i / 8];
        uint8_t head[2] = {(uint8_t)(size >> 8), size == 65536};
        char sql[128];
        size_t bad;
        store_fill(s);
        store_close(s);
        snprintf(sql, sizeof sql, "PRAGMA journal_mode = DELETE; PRAGMA page_size = %u; VACUUM",
                 true_size);
        store_sql(s, sql);
        int fd = open(s->path, O_WRONLY);
        assert_int_equal(pwrite(fd, head, sizeof head, 16), sizeof head);
        close(fd);
        size_t before = store_count_aside(s, ".corrupt-");
        store_open(s);
        struct counts counts = store_load(s, &bad);
        if (counts.of[GV_ROW_HISTORY] != 2000 || counts.of[GV_ROW_LIST] != 1)
            fail_msg("%u for %u: %zu, %zu", size, true_size, counts.of[GV_ROW_HISTORY],
                     counts.of[GV_ROW_LIST]);
        assert_int_equal(store_count_aside(s, ".corrupt-"), before + (size != true_size));
        store_close(s);
        assert_int_equal(unlink(s->path), 0);
    }
}

static void add_sent(struct store *s, uint8_t first)
{
    const uint8_t id[GV_ID_LEN] = {first}, value[] = {GV_RECORD_SIGNAL, first};

    gv_effect_persist(&s->effects, GV_ROW_SENT, id, sizeof id, value, sizeof value);
}

struct seen {
    uint64_t last;
    unsigned count;
};

/* Numbered anew, in their order; a gap is nothing. */
static void see_sent(void *context, const struct gv_persist_sent *sent)
{
    struct seen *seen = context;

    assert_in_range(sent->number, seen->last + 1, 10);
    assert_int_equal(sent->id[0], ++seen->count);
    seen->last = sent->number;
}

/* SQLite gives no number after the highest and calls that a full disk. It is damage: at a start,
 * and while the store is in use. The statements are numbered anew, and the next one is taken. */
static void test_a_number_that_cannot_be_is_damage(void **state)
{
    static const char *const cases[] = {
        "UPDATE sqlite_sequence SET seq = 9223372036854775807",
        "UPDATE sqlite_sequence SET seq = 9007199254740993",
        "UPDATE sqlite_sequence SET seq = 'many'",
        "UPDATE sqlite_sequence SET seq = -1",
        "UPDATE sent SET number = 9223372036854775807 WHERE number = 2",
        "UPDATE sent SET number = -7 WHERE number = 1",
    };
    struct store *s = *state;
    size_t bad;

    for (size_t i = 0; i < 2 * (sizeof cases / sizeof *cases); i++) {
        bool in_use = i % 2;
        struct gv_text error = {""};
        struct seen seen = {0, 0};
        if (in_use && i / 2 != 0 && i / 2 != 4)
            continue; /* only at the very end does SQLite refuse */
        size_t aside = store_count_aside(s, ".corrupt-");
        store_fill_with(s, 300);
        store_open(s);
        add_sent(s, 1);
        store_commit(s, NOW);
        add_sent(s, 2);
        store_commit(s, NOW);
        if (!in_use)
            store_close(s);
        store_sql(s, cases[i / 2]);
        add_sent(s, 3);
        if (in_use) {
            assert_int_equal(gv_persist_commit(s->persist, &s->effects, NOW, &error),
                             GV_ERR_MALFORMED);
            assert_null(strstr(error.text, "full"));
            assert_non_null(
                strstr(error.text, "cannot have reached the number 9223372036854775807"));
            assert_int_equal(gv_persist_mend(s->persist, &error), GV_OK);
        } else {
            store_open(s);
        }
        store_commit(s, NOW);
        assert_int_equal(store_count_aside(s, ".corrupt-"), aside + 1);
        assert_int_equal(gv_persist_telemetry(s->persist, 0, 10, see_sent, &seen), GV_OK);
        assert_int_equal(seen.count, 3);
        assert_int_equal(store_load(s, &bad).of[GV_ROW_HISTORY], 300);
        store_open(s); /* and it stays well */
        assert_int_equal(store_count_aside(s, ".corrupt-"), aside + 1);
        store_close(s);
        assert_int_equal(unlink(s->path), 0);
    }
}

/* Each bit of the first page's start, and one in 37 of the rest: it starts, and the rows of all
 * other pages are there. */
static void test_one_bit_of_the_first_page_costs_nothing(void **state)
{
    struct store *s = *state;
    struct gv_buf good;
    size_t mended = 0;

    store_fill_with(s, 300); /* on a dozen pages: it is opened 250 times */
    store_close(s);
    gv_buf_init(&good);
    assert_int_equal(gv_file_read(&good, s->path, 1 << 26, NULL), GV_OK);
    for (size_t bit = 0; bit < 4096 * 8; bit += bit < 108 * 8 ? 5 : 37 * 7) {
        size_t bad, aside = store_count_aside(s, ".corrupt-");
        good.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(gv_file_write(s->path, good.data, good.len, 0600, NULL), GV_OK);
        good.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        store_open(s);
        struct counts counts = store_load(s, &bad);
        if (counts.of[GV_ROW_HISTORY] != 300 || counts.of[GV_ROW_LIST] != 1)
            fail_msg("byte %zu bit %zu: %zu, %zu", bit / 8, bit % 8, counts.of[GV_ROW_HISTORY],
                     counts.of[GV_ROW_LIST]);
        mended += store_count_aside(s, ".corrupt-") > aside;
        store_close(s);
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
        {"a page of the third commit", 0, 1},
        {"the head", 17, 1},
        {"the magic number", 1, 1},
        {"a torn end", -3000, 0},
    };
    struct store *s = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stat info;
        char log[128];
        size_t bad, before = store_count_aside(s, ".corrupt-");
        store_fill(s);
        store_open(s); /* all in the file */
        store_rows(s, 2000, 2100, false);
        store_commit(s, NOW);
        snprintf(log, sizeof log, "%s-wal", s->path);
        assert_int_equal(stat(log, &info), 0);
        store_rows(s, 2100, 2101, false);
        store_commit(s, NOW);
        store_rows(s, 2101, 2500, false);
        store_commit(s, NOW);
        store_copy(s, "", ".copy");
        store_copy(s, "-wal", ".copy-wal");
        store_close(s);
        store_copy(s, ".copy", "");
        store_copy(s, ".copy-wal", "-wal");
        int fd = open(log, O_RDWR);
        uint8_t byte;
        off_t at = cases[i].at > 0    ? cases[i].at
                   : cases[i].at == 0 ? info.st_size - 1000
                                      : lseek(fd, 0, SEEK_END) + cases[i].at;
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 4;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        close(fd);
        store_open(s);
        struct counts counts = store_load(s, &bad);
        if (store_count_aside(s, ".corrupt-") - before != cases[i].aside)
            fail_msg("%s: set aside or not", cases[i].what);
        if (cases[i].aside) {
            assert_in_range(counts.of[GV_ROW_HISTORY], 2450, 2500);
            assert_int_equal(counts.of[GV_ROW_SELF], 0);
        } else {
            assert_int_equal(counts.of[GV_ROW_HISTORY], 2101);
            assert_int_equal(counts.of[GV_ROW_SELF], 1);
        }
        store_close(s);
        assert_int_equal(unlink(s->path), 0);
    }
}

/* While it runs: rows that are written meet the damaged page. */
static void test_damage_while_it_is_open(void **state)
{
    struct store *s = *state;
    struct gv_text error = {""};
    size_t bad;

    store_fill(s);
    store_some_rows(s, 20000, false); /* more than its cache holds */
    store_commit(s, NOW);
    store_open(s); /* the log is in the file now */
    store_overwrite(s, store_size(s) / 8192 * 4096, (size_t)store_size(s) / 4);
    store_some_rows(s, 20000, true);
    int rc = gv_persist_commit(s->persist, &s->effects, NOW, &error);
    assert_int_equal(rc, GV_ERR_MALFORMED);
    assert_non_null(strstr(error.text, "damaged"));
    if (gv_persist_mend(s->persist, &error) != GV_OK)
        fail_msg("%s", error.text);
    store_commit(s, NOW);
    struct counts counts = store_load(s, &bad);
    assert_int_equal(counts.of[GV_ROW_HISTORY], 0);
    assert_int_equal(counts.of[GV_ROW_LIST], 1);
    assert_int_equal(bad, 0);
    assert_int_equal(store_count_aside(s, ".corrupt-"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_a_page_in_the_middle_costs_what_was_on_it),
        STORE_TEST(test_the_log_of_a_damaged_file_is_read_and_left_behind),
        STORE_TEST(test_half_a_file_and_no_file_at_all),
        STORE_TEST(test_damage_is_found_wherever_it_is),
        STORE_TEST(test_a_schema_that_is_not_ours_is_damage),
        STORE_TEST(test_a_wrong_page_size_costs_nothing),
        STORE_TEST(test_a_number_that_cannot_be_is_damage),
        STORE_TEST(test_one_bit_of_the_first_page_costs_nothing),
        STORE_TEST(test_what_follows_a_damaged_frame_is_not_lost),
        STORE_TEST(test_damage_while_it_is_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
