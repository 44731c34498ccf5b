/* The file of the store: older schemas are brought up to date or left alone, newer ones refused;
 * what has left the set is kept for a while; what is no file of ours is left alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "helper_store.h"
#include "node/base/file.h"
#include "proto/trust/signal.h"

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
    store_sql(s, (const char *)text.data);
    gv_buf_free(&text);
    assert_int_equal(store_number(s, "PRAGMA user_version"), 1);
}

static void check_old_rows(struct store *s)
{
    size_t bad, sent = 0;
    struct counts counts = store_load(s, &bad);
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
    store_open(s);
    check_old_rows(s);
    assert_int_equal(store_number(s, "PRAGMA user_version"), (long long)gv_store_version);
    store_open(s); /* and only once */
    check_old_rows(s);
}

/* A schema that is not that of its version would stop a migration half-way: it is damage. */
static void test_an_old_store_with_something_else_in_it_is_mended(void **state)
{
    struct store *s = *state;

    make_old(s);
    store_sql(s, "CREATE INDEX journal_left ON ack (acked_ms)");
    store_open(s);
    check_old_rows(s);
    assert_int_equal(store_count_aside(s, ".corrupt-"), 1);
    assert_int_equal(store_number(s, "PRAGMA user_version"), (long long)gv_store_version);
}

static void test_a_newer_store_is_refused(void **state)
{
    struct store *s = *state;
    struct gv_text error = {""};

    make_old(s);
    store_sql(s, "PRAGMA user_version = 99; PRAGMA application_id = 0x67760063");
    assert_int_equal(store_try(s, &error), GV_ERR_VERSION);
    assert_non_null(strstr(error.text, "made by a newer version"));
    assert_int_equal(store_number(s, "PRAGMA user_version"), 99);
    assert_int_equal(store_number(s, "SELECT count(*) FROM history"), 3);
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

/* What is said of it while it is erased leaves no trace when it leaves the set; of others it does.
 */
static void test_what_was_erased_goes_into_no_journal(void **state)
{
    struct store *s = *state;
    struct gv_persist_erased erased;
    struct gv_subject subject;
    struct gv_text error;

    store_open(s);
    for (uint8_t i = 1; i <= 4; i++)
        signal_of(s, i, i, i == 4 ? "192.0.2.2" : "192.0.2.1", false);
    store_commit(s, NOW);
    signal_of(s, 1, 1, "192.0.2.1", true);
    store_commit(s, NOW);
    assert_int_equal(journal(s, "192.0.2.1").count, 1);
    assert_int_equal(gv_subject_parse(&subject, "192.0.2.1", 9), GV_OK);
    assert_int_equal(gv_persist_erase(s->persist, &subject, NOW + 2 * DAY, &erased, &error), GV_OK);
    assert_int_equal(erased.journal, 1);
    assert_int_equal(journal(s, "192.0.2.1").count, 0);
    store_close(s); /* a restart does not forget it */
    store_open(s);
    signal_of(s, 2, 2, "192.0.2.1", true);
    signal_of(s, 4, 4, "192.0.2.2", true);
    store_commit(s, NOW + DAY);
    assert_int_equal(journal(s, "192.0.2.1").count, 0);
    assert_int_equal(journal(s, "192.0.2.2").count, 1);
    assert_int_equal(store_number(s, "SELECT count(*) FROM kept WHERE name GLOB 'erased *'"), 1);
    assert_int_equal(gv_persist_expire_marks(s->persist, NOW + DAY), GV_OK);
    assert_int_equal(store_number(s, "SELECT count(*) FROM kept WHERE name GLOB 'erased *'"), 1);
    assert_int_equal(gv_persist_expire_marks(s->persist, NOW + 3 * DAY), GV_OK);
    assert_int_equal(store_number(s, "SELECT count(*) FROM kept WHERE name GLOB 'erased *'"), 0);
    signal_of(s, 3, 3, "192.0.2.1", true);
    store_commit(s, NOW + 3 * DAY);
    assert_int_equal(journal(s, "192.0.2.1").count, 1);
}

static void test_a_signal_that_leaves_is_kept_for_a_while(void **state)
{
    struct store *s = *state;
    struct gv_text error;
    size_t bad;

    store_open(s);
    signal_of(s, 1, 1, "192.0.2.1", false);
    signal_of(s, 2, 2, "192.0.2.1", false);
    signal_of(s, 3, 3, "2001:db8::1", false);
    store_commit(s, NOW - 40 * DAY);
    assert_int_equal(journal(s, "192.0.2.1").count, 0);
    signal_of(s, 1, 0 + 1, "192.0.2.1", true);
    store_commit(s, NOW - 31 * DAY);
    signal_of(s, 2, 2, "192.0.2.1", true);
    signal_of(s, 3, 3, "2001:db8::1", true);
    store_commit(s, NOW - 29 * DAY);
    assert_int_equal(store_load(s, &bad).of[GV_ROW_RECORD], 0);
    assert_int_equal(journal(s, "192.0.2.1").count, 2);
    assert_int_equal(journal(s, "192.0.2.1").first_ms, NOW - 29 * DAY);
    assert_int_equal(journal(s, "2001:db8::1").count, 1);
    assert_int_equal(gv_persist_expire(s->persist, 0, NOW - 30 * DAY, &error), GV_OK);
    assert_int_equal(journal(s, "192.0.2.1").count, 1);
    assert_int_equal(journal(s, "2001:db8::1").count, 1);
    /* What was changed on disk is not shown. */
    store_close(s);
    store_sql(s, "UPDATE journal SET value = zeroblob(100)");
    store_open(s);
    assert_int_equal(journal(s, "192.0.2.1").count, 0);
}

/* ---- other things in its place -------------------------------------------------------------- */

/* Where a file is put in the store's place, its rights and what it is are looked at first. */
static void test_what_is_no_file_of_ours(void **state)
{
    struct store *s = *state;
    struct gv_text error = {""};
    struct stat info;
    char other[128];

    snprintf(other, sizeof other, "%s/other.db", s->folder);
    assert_int_equal(symlink(other, s->path), 0);
    assert_int_equal(store_try(s, &error), GV_ERR_FORBIDDEN);
    assert_non_null(strstr(error.text, "symbolic link"));
    assert_int_equal(unlink(s->path), 0);
    assert_int_equal(mkfifo(s->path, 0600), 0);
    assert_int_equal(store_try(s, &error), GV_ERR_FORBIDDEN);
    assert_int_equal(unlink(s->path), 0);
    store_open(s);
    store_close(s);
    assert_int_equal(chmod(s->path, 0666), 0);
    store_open(s);
    assert_int_equal(stat(s->path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
}

/* The admin is told which file it is; the store is as it was. */
static void test_something_else_beside_it(void **state)
{
    static const char *const suffixes[] = {"-wal", "-shm", "-journal"};
    struct store *s = *state;
    struct stat info;
    size_t bad;

    store_fill_with(s, 10);
    store_close(s);
    for (unsigned i = 0; i < 9; i++) {
        char other[128], wanted[200];
        struct gv_text error = {""};
        snprintf(other, sizeof other, "%s%s", s->path, suffixes[i / 3]);
        snprintf(wanted, sizeof wanted, "%s: not a regular file; move it away", other);
        assert_int_equal(i % 3 == 0   ? mkdir(other, 0700)
                         : i % 3 == 1 ? mkfifo(other, 0600)
                                      : symlink("/dev/null", other),
                         0);
        assert_int_equal(store_try(s, &error), GV_ERR_FORBIDDEN);
        assert_string_equal(error.text, wanted);
        assert_int_equal(remove(other), 0);
        store_open(s);
        assert_int_equal(store_load(s, &bad).of[GV_ROW_HISTORY], 10);
        store_close(s);
    }
    assert_int_equal(store_count_aside(s, ".corrupt-"), 0);
    /* Others may not read what a careless copy left open. */
    store_open(s);
    store_copy(s, "", ".copy");
    store_copy(s, "-wal", ".copy-wal");
    store_close(s);
    store_copy(s, ".copy", "");
    store_copy(s, ".copy-wal", "-wal");
    char log[128];
    snprintf(log, sizeof log, "%s-wal", s->path);
    assert_int_equal(chmod(log, 0644), 0);
    store_open(s);
    assert_int_equal(stat(log, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_an_old_store_is_brought_up_to_date),
        STORE_TEST(test_an_old_store_with_something_else_in_it_is_mended),
        STORE_TEST(test_a_newer_store_is_refused),
        STORE_TEST(test_what_was_erased_goes_into_no_journal),
        STORE_TEST(test_a_signal_that_leaves_is_kept_for_a_while),
        STORE_TEST(test_what_is_no_file_of_ours),
        STORE_TEST(test_something_else_beside_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
