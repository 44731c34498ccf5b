/* The store: what is written comes back in the order that a starting core needs, what was changed
 * behind its back does not, and a transaction is whole or nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <signal.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "crypto/error.h"
#include "node/host/persist_schema.h"

#define NOW 1795320000000ULL
#define DAY 86400000ULL

struct store {
    char folder[64], path[96];
    uint8_t key[GV_KEY_LEN];
    struct gv_persist *persist;
    struct gv_effects effects;
};

static void open_again(struct store *s)
{
    struct gv_text error = {""};

    gv_persist_close(s->persist);
    s->persist = NULL;
    int rc = gv_persist_open(&s->persist, s->path, s->key, &error);
    if (rc != GV_OK)
        fail_msg("%s", error.text);
}

static int setup(void **state)
{
    struct store *s = calloc(1, sizeof *s);

    snprintf(s->folder, sizeof s->folder, "/tmp/gv-persist-XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    snprintf(s->path, sizeof s->path, "%s/store.db", s->folder);
    memset(s->key, 7, sizeof s->key);
    gv_effects_init(&s->effects);
    open_again(s);
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

static void put(struct store *s, enum gv_row row, const char *key, const char *value)
{
    gv_effect_persist(&s->effects, row, key, strlen(key), value, strlen(value));
}

static void commit_at(struct store *s, uint64_t unix_ms)
{
    struct gv_text error = {""};

    if (gv_persist_commit(s->persist, &s->effects, unix_ms, &error) != GV_OK)
        fail_msg("%s", error.text);
    gv_effects_clear(&s->effects);
}

static void sql(struct store *s, const char *text)
{
    sqlite3 *db = NULL;
    char *error = NULL;

    assert_int_equal(sqlite3_open(s->path, &db), SQLITE_OK);
    if (sqlite3_exec(db, text, NULL, NULL, &error) != SQLITE_OK)
        fail_msg("%s: %s", text, error);
    sqlite3_close(db);
}

/* All rows as "row:key=value", one after the other. */
struct loaded {
    char text[4096];
};

static void on_row(void *context, enum gv_row row, const uint8_t *key, size_t key_len,
                   const uint8_t *value, size_t value_len)
{
    struct loaded *loaded = context;
    size_t at = strlen(loaded->text);

    snprintf(loaded->text + at, sizeof loaded->text - at, "%d:%.*s=%.*s ", (int)row, (int)key_len,
             (const char *)key, (int)value_len, value ? (const char *)value : "");
}

static const char *load(struct store *s, size_t *bad)
{
    static struct loaded loaded;
    struct gv_text error = {""};

    loaded.text[0] = 0;
    assert_int_equal(gv_persist_load(s->persist, on_row, &loaded, bad, &error), GV_OK);
    return loaded.text;
}

/* Kinds of records as their first byte: 7 descriptor, 5 certificate, 4 revocation, 3 fault. */
static void test_rows_come_back_in_the_order_of_a_start(void **state)
{
    struct store *s = *state;
    size_t bad;

    put(s, GV_ROW_PEER, "p", "x");
    put(s, GV_ROW_LIST, "l", "x");
    put(s, GV_ROW_HISTORY, "h", "x");
    put(s, GV_ROW_RECORD, "r1", "\1signal");
    put(s, GV_ROW_RECORD, "r6", "\6address");
    put(s, GV_ROW_RECORD, "r3", "\3fault");
    put(s, GV_ROW_RECORD, "r4", "\4revocation");
    put(s, GV_ROW_RECORD, "r5", "\5certificate");
    put(s, GV_ROW_RECORD, "r7", "\7descriptor");
    put(s, GV_ROW_SELF, "s", "x");
    commit_at(s, NOW);
    open_again(s);
    assert_string_equal(load(s, &bad),
                        "4:s=x 1:r7=\7descriptor 1:r5=\5certificate 1:r4=\4revocation "
                        "1:r3=\3fault 1:r1=\1signal 1:r6=\6address 2:h=x 3:l=x 5:p=x ");
    assert_int_equal(bad, 0);
}

/* The column `kind` is not under the MAC, so it is not asked. */
static void test_the_kind_column_is_not_believed(void **state)
{
    static const char *const changes[] = {
        "UPDATE record SET kind = 7",
        "UPDATE record SET kind = 1",
        "UPDATE record SET kind = 8 - kind",
        "UPDATE record SET kind = 'x'",
    };
    struct store *s = *state;
    size_t bad;

    put(s, GV_ROW_RECORD, "r1", "\1signal");
    put(s, GV_ROW_RECORD, "r3", "\3fault");
    put(s, GV_ROW_RECORD, "r5", "\5certificate");
    put(s, GV_ROW_RECORD, "r7", "\7descriptor");
    commit_at(s, NOW);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        sql(s, changes[i]);
        open_again(s);
        assert_string_equal(load(s, &bad), "1:r7=\7descriptor 1:r5=\5certificate 1:r3=\3fault "
                                           "1:r1=\1signal ");
        assert_int_equal(bad, 0);
    }
}

static void test_a_row_is_replaced_and_forgotten(void **state)
{
    struct store *s = *state;
    size_t bad;

    put(s, GV_ROW_HISTORY, "a", "1");
    put(s, GV_ROW_HISTORY, "b", "1");
    put(s, GV_ROW_HISTORY, "a", "2");
    gv_effect_forget(&s->effects, GV_ROW_HISTORY, "b", 1);
    gv_effect_forget(&s->effects, GV_ROW_HISTORY, "never there", 11);
    put(s, GV_ROW_SELF, "empty", "");
    commit_at(s, NOW);
    assert_string_equal(load(s, &bad), "4:empty= 2:a=2 ");
    assert_int_equal(bad, 0);
}

static void test_a_changed_row_is_left_out(void **state)
{
    static const char *const changes[] = {
        "UPDATE history SET value = x'32'",                            /* another value */
        "UPDATE history SET key = x'62'",                              /* under another key */
        "UPDATE history SET mac = zeroblob(16)",                       /* no MAC */
        "UPDATE history SET mac = x''",                                /* a short one */
        "INSERT INTO list SELECT * FROM history; DELETE FROM history", /* in another table */
    };
    struct store *s = *state;
    size_t bad;

    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        put(s, GV_ROW_HISTORY, "a", "1");
        put(s, GV_ROW_PEER, "p", "1");
        gv_effect_forget(&s->effects, GV_ROW_HISTORY, "b", 1);
        commit_at(s, NOW);
        sql(s, changes[i]);
        assert_string_equal(load(s, &bad), "5:p=1 ");
        assert_int_equal(bad, 1);
    }
}

/* Key and value are told apart: "ab" = "c" is not "a" = "bc". */
static void test_bytes_cannot_move_from_key_to_value(void **state)
{
    struct store *s = *state;
    size_t bad;

    put(s, GV_ROW_HISTORY, "ab", "c");
    commit_at(s, NOW);
    sql(s, "UPDATE history SET key = x'61', value = x'6263'");
    assert_string_equal(load(s, &bad), "");
    assert_int_equal(bad, 1);
}

static void test_rows_of_another_key_are_left_out(void **state)
{
    struct store *s = *state;
    size_t bad;

    put(s, GV_ROW_HISTORY, "a", "1");
    commit_at(s, NOW);
    s->key[0] ^= 1;
    open_again(s);
    assert_string_equal(load(s, &bad), "");
    assert_int_equal(bad, 1);
}

static void test_a_position_goes_with_its_rows(void **state)
{
    struct store *s = *state;
    uint64_t position = 4711, found = 0;

    assert_int_equal(gv_persist_kept(s->persist, "log /x", &found, sizeof found), GV_ERR_NOT_FOUND);
    assert_int_equal(gv_persist_keep(s->persist, "log /x", &position, sizeof position), GV_OK);
    assert_true(gv_persist_dirty(s->persist));
    /* Nothing is stored before the commit. */
    assert_int_equal(gv_persist_kept(s->persist, "log /x", &found, sizeof found), GV_ERR_NOT_FOUND);
    assert_int_equal(gv_persist_latest(s->persist, "log /x", &found, sizeof found), GV_OK);
    assert_int_equal(found, 4711);
    /* Whatever the length, the latest is what is stored. */
    assert_int_equal(gv_persist_keep(s->persist, "log /x", "", 1), GV_OK);
    assert_int_equal(gv_persist_latest(s->persist, "log /x", &found, sizeof found),
                     GV_ERR_NOT_FOUND);
    position = 4712;
    assert_int_equal(gv_persist_keep(s->persist, "log /x", &position, sizeof position), GV_OK);
    commit_at(s, NOW);
    assert_false(gv_persist_dirty(s->persist));
    open_again(s);
    assert_int_equal(gv_persist_kept(s->persist, "log /x", &found, sizeof found), GV_OK);
    assert_int_equal(found, 4712);
    assert_int_equal(gv_persist_latest(s->persist, "log /x", &found, sizeof found), GV_OK);
    assert_int_equal(gv_persist_kept(s->persist, "log /x", &found, 4), GV_ERR_NOT_FOUND);
    sql(s, "UPDATE kept SET value = x'0000000000000000'");
    assert_int_equal(gv_persist_kept(s->persist, "log /x", &found, sizeof found), GV_ERR_NOT_FOUND);
    assert_int_equal(found, 0);
}

/* ---- telemetry ------------------------------------------------------------------------------ */

static void on_sent(void *context, const struct gv_persist_sent *sent)
{
    struct loaded *loaded = context;
    size_t at = strlen(loaded->text);

    snprintf(loaded->text + at, sizeof loaded->text - at,
             "%.4s=%.*s made %lld sent %lld%s acks %zu%s", (const char *)sent->id,
             (int)sent->value_len, (const char *)sent->value, (long long)(sent->created_ms - NOW),
             sent->sent_ms ? (long long)(sent->sent_ms - NOW) : -1LL,
             sent->preview ? " preview" : "", sent->ack_count, "; ");
}

static const char *telemetry(struct store *s, uint64_t since_ms, size_t limit)
{
    static struct loaded loaded;

    loaded.text[0] = 0;
    assert_int_equal(gv_persist_telemetry(s->persist, since_ms, limit, on_sent, &loaded), GV_OK);
    return loaded.text;
}

static void acknowledge(struct store *s, const char *id, char who)
{
    char key[33];

    snprintf(key, sizeof key, "%.16s%016d", id, who);
    put(s, GV_ROW_ACK, key, "");
}

static void test_sent_is_what_was_acknowledged(void **state)
{
    struct store *s = *state;
    static const char a[] = "AAAAaaaaaaaaaaaa", b[] = "BBBBbbbbbbbbbbbb";

    put(s, GV_ROW_SENT, a, "one");
    commit_at(s, NOW);
    put(s, GV_ROW_SENT, b, "two");
    commit_at(s, NOW + 5);
    assert_string_equal(telemetry(s, 0, 10),
                        "AAAA=one made 0 sent -1 acks 0; BBBB=two made 5 sent -1 acks 0; ");
    acknowledge(s, a, 1);
    commit_at(s, NOW + 7);
    acknowledge(s, a, 2);
    acknowledge(s, a, 2); /* said twice, counted once */
    commit_at(s, NOW + 9);
    assert_string_equal(telemetry(s, 0, 10),
                        "AAAA=one made 0 sent 7 acks 2; BBBB=two made 5 sent -1 acks 0; ");
    assert_string_equal(telemetry(s, NOW + 1, 10), "BBBB=two made 5 sent -1 acks 0; ");
    assert_string_equal(telemetry(s, 0, 1), "BBBB=two made 5 sent -1 acks 0; ");
    struct loaded one = {""};
    assert_int_equal(gv_persist_one_sent(s->persist, (const uint8_t *)a, on_sent, &one), GV_OK);
    assert_string_equal(one.text, "AAAA=one made 0 sent 7 acks 2; ");
    assert_int_equal(
        gv_persist_one_sent(s->persist, (const uint8_t *)"CCCCcccccccccccc", on_sent, &one),
        GV_ERR_NOT_FOUND);
    /* Of what is not there any more, erased for instance, nothing comes back. */
    acknowledge(s, "CCCCcccccccccccc", 1);
    commit_at(s, NOW + 11);
    struct gv_persist_held held;
    assert_int_equal(gv_persist_held(s->persist, &held), GV_OK);
    assert_int_equal(held.acks, 2);
}

static void test_a_preview_is_marked(void **state)
{
    struct store *s = *state;
    static const char a[] = "AAAAaaaaaaaaaaaa";

    /* The note may stand before its row. */
    memcpy(gv_effect_note(&s->effects, GV_NOTE_PREVIEWED)->id, a, GV_ID_LEN);
    put(s, GV_ROW_SENT, a, "one");
    commit_at(s, NOW);
    assert_string_equal(telemetry(s, 0, 10), "AAAA=one made 0 sent -1 preview acks 0; ");
}

static void test_telemetry_changed_on_disk_is_not_shown(void **state)
{
    struct store *s = *state;

    put(s, GV_ROW_SENT, "AAAAaaaaaaaaaaaa", "one");
    commit_at(s, NOW);
    sql(s, "UPDATE sent SET value = x'00'");
    assert_string_equal(telemetry(s, 0, 10), "");
}

static void test_old_telemetry_is_purged(void **state)
{
    struct store *s = *state;
    struct gv_text error;
    static const char a[] = "AAAAaaaaaaaaaaaa", b[] = "BBBBbbbbbbbbbbbb";

    put(s, GV_ROW_SENT, a, "one");
    acknowledge(s, a, 1);
    commit_at(s, NOW - 31 * DAY);
    put(s, GV_ROW_SENT, b, "two");
    acknowledge(s, b, 1);
    commit_at(s, NOW - 29 * DAY);
    assert_int_equal(gv_persist_expire(s->persist, NOW - 30 * DAY, 0, &error), GV_OK);
    char kept[128];
    snprintf(kept, sizeof kept, "BBBB=two made %lld sent %lld acks 1; ", -29 * (long long)DAY,
             -29 * (long long)DAY);
    assert_string_equal(telemetry(s, 0, 10), kept);
    /* Its acknowledgements went with it. */
    put(s, GV_ROW_SENT, a, "one");
    commit_at(s, NOW);
    assert_non_null(strstr(telemetry(s, NOW, 10), "AAAA=one made 0 sent -1 acks 0; "));
}

/* ---- trouble -------------------------------------------------------------------------------- */

/* A full disk, played by a limit on the size of files. */
static void test_a_failed_commit_leaves_nothing_and_can_be_tried_again(void **state)
{
    struct store *s = *state;
    struct gv_text error = {""};
    struct rlimit before, tight;
    char *big = calloc(1, 3000001);
    uint64_t position = 1;
    size_t bad;

    memset(big, 'x', 3000000);
    put(s, GV_ROW_HISTORY, "a", "1");
    commit_at(s, NOW);
    put(s, GV_ROW_HISTORY, "b", "1");
    put(s, GV_ROW_HISTORY, "c", big);
    assert_int_equal(gv_persist_keep(s->persist, "log", &position, sizeof position), GV_OK);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    tight = before;
    tight.rlim_cur = 1000000;
    setrlimit(RLIMIT_FSIZE, &tight);
    int rc = gv_persist_commit(s->persist, &s->effects, NOW, &error);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(rc, GV_ERR_IO);
    assert_non_null(strstr(error.text, "store.db"));
    assert_string_equal(load(s, &bad), "2:a=1 ");
    assert_true(gv_persist_dirty(s->persist));

    gv_effects_clear(&s->effects);
    put(s, GV_ROW_HISTORY, "b", "1");
    commit_at(s, NOW);
    assert_string_equal(load(s, &bad), "2:a=1 2:b=1 ");
    assert_int_equal(gv_persist_kept(s->persist, "log", &position, sizeof position), GV_OK);
    free(big);
}

/* A start under a limit on the size of files: df would show room enough. */
static void test_a_start_under_a_limit_names_the_limit(void **state)
{
    static const char *const migrations[] = {"CREATE TABLE number (n INTEGER)"};
    struct store *s = *state;
    struct gv_text error = {""};
    struct rlimit before, tight;
    sqlite3 *db = NULL;
    char path[128];

    snprintf(path, sizeof path, "%s/limited.db", s->folder);
    assert_int_equal(gv_db_open(&db, path, migrations, 1, &error), GV_OK);
    gv_db_close(db);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    for (rlim_t most = 0; most <= 16384; most += 16384) {
        tight = before;
        tight.rlim_cur = most;
        setrlimit(RLIMIT_FSIZE, &tight);
        int rc = gv_db_open(&db, path, migrations, 1, &error);
        setrlimit(RLIMIT_FSIZE, &before);
        assert_int_equal(rc, GV_ERR_SPACE);
        assert_non_null(strstr(error.text, "limited.db: no file may become so large here"));
    }
    assert_int_equal(gv_db_open(&db, path, migrations, 1, &error), GV_OK);
    gv_db_close(db);
    unlink(path);
}

/* An entry taken from a list is as much the admin's word as one that was put there. */
static void test_own_words_are_synced_and_others_not(void **state)
{
    static const struct {
        enum gv_row row;
        bool removed, synced;
    } cases[] = {
        {GV_ROW_RECORD, false, false}, {GV_ROW_SELF, false, true},  {GV_ROW_HISTORY, false, false},
        {GV_ROW_SENT, false, true},    {GV_ROW_PEER, false, false}, {GV_ROW_LIST, false, true},
        {GV_ROW_RECORD, true, false},  {GV_ROW_LIST, true, true},   {GV_ROW_PEER, true, false},
    };
    struct store *s = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (cases[i].removed)
            gv_effect_forget(&s->effects, cases[i].row, "k", 1);
        else
            put(s, cases[i].row, "k", "v");
        commit_at(s, 1);
        assert_int_equal(s->persist->full_sync, cases[i].synced);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rows_come_back_in_the_order_of_a_start, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_the_kind_column_is_not_believed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_row_is_replaced_and_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_changed_row_is_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bytes_cannot_move_from_key_to_value, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rows_of_another_key_are_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_position_goes_with_its_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sent_is_what_was_acknowledged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_preview_is_marked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_telemetry_changed_on_disk_is_not_shown, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_old_telemetry_is_purged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_failed_commit_leaves_nothing_and_can_be_tried_again,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_start_under_a_limit_names_the_limit, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_own_words_are_synced_and_others_not, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
