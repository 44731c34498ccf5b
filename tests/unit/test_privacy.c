/* Access and erasure on a real node: what is exported is what was said, what is erased is in no row
 * of the store, before and after a restart (SPEC 15.1). */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "crypto/error.h"
#include "node/base/file.h"
#include "node/base/sealed.h"
#include "node/base/transparency.h"
#include "node/ingest/memory.h"
#include "proto/trust/history_row.h"
#include "helper_node.h"

#define ATTACKER "198.51.100.7"
#define OTHER    "198.51.100.8"

static struct node node;

static int start(bool http)
{
    memset(&node, 0, sizeof node);
    node.enrolled = true;
    node.share = GV_SHARE_YES;
    node.http = http;
    node_make(&node);
    if (node_start(&node) != GV_OK)
        fail_msg("%s", node.error.text);
    return 0;
}

static int setup(void **state)
{
    return start(false);
}

static int setup_with_port(void **state)
{
    return start(true);
}

static int teardown(void **state)
{
    node_stop(&node);
    node_remove(&node);
    return 0;
}

static json_t *export(const char *address)
{
    char path[128];
    json_t *json;

    snprintf(path, sizeof path, "privacy/export?addr=%s", address);
    assert_int_equal(node_get(&node, path, &json), 200);
    return json;
}

static size_t size_of(const json_t *json, const char *member)
{
    return json_array_size(json_object_get(json, member));
}

/* Rows that hold the subject's bytes anywhere: in a key, a value or beside it. */
static size_t rows_about(const char *table, const char *key, const char *address)
{
    char sql[512], path[128], hex[2 * sizeof(struct gv_subject) + 1];
    struct gv_subject subject;
    sqlite3_stmt *row;
    sqlite3 *db;

    assert_int_equal(gv_subject_parse(&subject, address, strlen(address)), GV_OK);
    gv_hex(hex, subject.bytes, 4);
    snprintf(path, sizeof path, "%s/store.db", node.folder);
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM %s WHERE instr(%s, x'%s') OR instr(value, x'%s')", table, key,
             hex, hex);
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &row, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    size_t count = (size_t)sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    sqlite3_close(db);
    return count;
}

static size_t history_rows(void)
{
    char path[128];
    sqlite3_stmt *row;
    sqlite3 *db;

    snprintf(path, sizeof path, "%s/store.db", node.folder);
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM history", -1, &row, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    size_t count = (size_t)sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    sqlite3_close(db);
    return count;
}

static void check_erased(void)
{
    json_t *json = export(ATTACKER);

    assert_int_equal(size_of(json, "sent"), 0);
    assert_int_equal(size_of(json, "earlier"), 0);
    const json_t *local = json_object_get(json_object_get(json, "now"), "local");
    assert_int_equal(json_integer_value(json_object_get(local, "failures")), 0);
    json_decref(json);
    assert_int_equal(rows_about("sent", "key", ATTACKER), 0);
    assert_int_equal(rows_about("journal", "subject", ATTACKER), 0);
    assert_int_equal(rows_about("history", "key", ATTACKER), 0);
    assert_int_equal(rows_about("statistic", "key", ATTACKER), 0);
    assert_int_equal(rows_about("kept", "name", ATTACKER), 0);
    /* The retraction alone, which must reach everybody. */
    assert_int_equal(rows_about("record", "key", ATTACKER), 1);
    /* Others' rows are where they were. */
    assert_int_equal(rows_about("sent", "key", OTHER), 1);
    assert_int_equal(rows_about("history", "key", OTHER), 1);
}

/* Whether a file of the store holds the first `len` bytes of the subject: all of it stands in rows
 * and in no statement; five are its family and its address. */
static bool file_names(const char *suffix, const struct gv_subject *subject, size_t len)
{
    char path[128];
    struct gv_buf file;

    gv_buf_init(&file);
    snprintf(path, sizeof path, "%s/store.db%s", node.folder, suffix);
    int rc = gv_file_read(&file, path, 1 << 24, NULL);
    assert_true(rc == GV_OK || rc == GV_ERR_NOT_FOUND);
    bool found = file.len > 0 && memmem(file.data, file.len, subject, len) != NULL;
    gv_buf_free(&file);
    return found;
}

/* The row of local history, whose key is the subject as it is. */
static bool disk_names(const char *address)
{
    struct gv_subject subject;

    assert_int_equal(gv_subject_parse(&subject, address, strlen(address)), GV_OK);
    return file_names("", &subject, sizeof subject) || file_names("-wal", &subject, sizeof subject);
}

static bool soon_on_disk(const char *address)
{
    for (int i = 0; i < 100 && !disk_names(address); i++)
        usleep(100000);
    return disk_names(address);
}

/* Another program's transaction keeps deleted bytes on the disk: nobody is told that they are gone
 * before they are, and they go by themselves once it has ended. */
static void test_erase_beside_a_reader(void **state)
{
    char path[128];
    json_t *json;
    sqlite3 *db;

    node_fails(&node, ATTACKER, 4);
    node_fails(&node, OTHER, 4);
    assert_true(soon_on_disk(ATTACKER) && soon_on_disk(OTHER));
    snprintf(path, sizeof path, "%s/store.db", node.folder);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN; SELECT count(*) FROM history", NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(node_post(&node, "privacy/erase", "{\"addr\":\"" ATTACKER "\"}", &json), 507);
    assert_non_null(
        strstr(json_string_value(json_object_get(json, "message")), " yet: another program reads"));
    json_decref(json);
    assert_true(disk_names(ATTACKER));
    check_erased();
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    for (int i = 0; i < 200 && disk_names(ATTACKER); i++)
        usleep(100000);
    assert_false(disk_names(ATTACKER));

    /* Nobody in the way: gone when it is said to be. */
    node_fails(&node, "198.51.100.9", 4);
    assert_true(soon_on_disk("198.51.100.9"));
    assert_int_equal(node_post(&node, "privacy/erase", "{\"addr\":\"198.51.100.9\"}", NULL), 200);
    assert_false(disk_names("198.51.100.9"));
}

static void test_export_and_erase(void **state)
{
    json_t *json;

    node_fails(&node, ATTACKER, 4);
    node_fails(&node, OTHER, 4);
    json = export(ATTACKER);
    assert_int_equal(size_of(json, "sent"), 1);
    assert_string_equal(
        json_string_value(json_object_get(
            json_object_get(json_array_get(json_object_get(json, "sent"), 0), "statement"),
            "subject")),
        ATTACKER);
    json_decref(json);
    assert_int_equal(rows_about("sent", "key", ATTACKER), 1);
    assert_int_equal(rows_about("history", "key", ATTACKER), 1);

    assert_int_equal(node_post(&node, "privacy/erase", "{\"addr\":\"" ATTACKER "\"}", &json), 200);
    assert_string_equal(json_string_value(json_object_get(json, "signals")), "retracted");
    assert_true(json_is_true(json_object_get(json, "history")));
    assert_int_equal(json_integer_value(json_object_get(json, "telemetry")), 2);
    json_decref(json);
    check_erased();
    node_stop(&node);
    assert_int_equal(node_start(&node), GV_OK);
    check_erased();

    /* Again, and of an address that nobody knows: nothing, and no error. */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(
            node_post(&node, "privacy/erase",
                      i ? "{\"addr\":\"203.0.113.77\"}" : "{\"addr\":\"" ATTACKER "\"}", &json),
            200);
        assert_string_equal(json_string_value(json_object_get(json, "signals")),
                            "nothing to retract");
        assert_false(json_is_true(json_object_get(json, "history")));
        assert_int_equal(json_integer_value(json_object_get(json, "telemetry")), 0);
        json_decref(json);
    }
    assert_int_equal(node_post(&node, "privacy/erase", "{\"addr\":\"nobody\"}", NULL), 400);
    assert_int_equal(node_post(&node, "privacy/erase", "{}", NULL), 400);
}

/* The changes since `serial`, or since now: how many are told, and the serial behind them. */
static size_t changes_since(char serial[40], bool *reset)
{
    char path[96];
    json_t *json;

    snprintf(path, sizeof path, *serial ? "changes?since=%s" : "changes", serial);
    assert_int_equal(node_get(&node, path, &json), 200);
    size_t told = size_of(json, "changes");
    *reset = json_is_true(json_object_get(json, "reset"));
    snprintf(serial, 40, "%s", json_string_value(json_object_get(json, "serial")));
    json_decref(json);
    return told;
}

/* That it was refused here, and is no more, is told to nobody afterwards: who has not heard of it
 * reads the list anew. What came later is told as ever. */
static void test_erased_from_the_changes(void **state)
{
    char first[40] = "", before[40] = "", now[40] = "", since[40];
    bool reset;

    changes_since(first, &reset);
    node_fails(&node, ATTACKER, 6);
    node_fails(&node, OTHER, 6);
    for (int i = 0; i < 1000; i++) { /* each is told in a turn of its own */
        memcpy(since, first, sizeof since);
        if (changes_since(since, &reset) == 2)
            break;
        usleep(10000);
    }
    assert_false(reset);
    changes_since(before, &reset);
    assert_string_equal(before, since);
    assert_int_equal(node_post(&node, "privacy/erase", "{\"addr\":\"" ATTACKER "\"}", NULL), 200);
    changes_since(now, &reset);
    assert_string_not_equal(now, before);
    assert_int_equal(changes_since(first, &reset), 0);
    assert_true(reset);
    assert_int_equal(changes_since(before, &reset), 0);
    assert_true(reset);
    node_fails(&node, "198.51.100.9", 6);
    for (int i = 0; i < 1000; i++) {
        memcpy(since, now, sizeof since);
        if (changes_since(since, &reset) == 1)
            break;
        usleep(10000);
    }
    assert_int_equal(changes_since(now, &reset), 1);
    assert_false(reset);
    /* Of whom no change tells: nobody reads anew. */
    assert_int_equal(node_post(&node, "privacy/erase", "{\"addr\":\"203.0.113.78\"}", NULL), 200);
    assert_int_equal(changes_since(now, &reset), 0);
    assert_false(reset);
}

/* Who logged in is stored under a keyed hash alone (SPEC 12.1), and erased by it. */
static void test_erase_of_a_user(void **state)
{
    struct gv_event event = {.kind = GV_EVENT_OBSERVATION,
                             .observation = {.service = GV_SERVICE_IMAP,
                                             .kind = GV_KIND_UNSPECIFIED,
                                             .account = 7,
                                             .success = true}};
    int result;
    json_t *json;

    assert_int_equal(gv_subject_parse(&event.observation.subject, ATTACKER, strlen(ATTACKER)),
                     GV_OK);
    event.observation.unix_ms = (uint64_t)time(NULL) * 1000;
    node_fails(&node, ATTACKER, 1);
    node_command(&node, &event, &result);
    node_stop(&node);
    assert_int_equal(node_start(&node), GV_OK);
    assert_int_equal(rows_about("history", "key", ATTACKER), 0);
    json = export(ATTACKER);
    assert_true(json_is_string(
        json_object_get(json_object_get(json_object_get(json, "now"), "local"), "last_success")));
    json_decref(json);
    assert_int_equal(history_rows(), 1);
    assert_int_equal(node_post(&node, "privacy/erase", "{\"addr\":\"" ATTACKER "\"}", &json), 200);
    assert_true(json_is_true(json_object_get(json, "history")));
    json_decref(json);
    node_stop(&node);
    assert_int_equal(history_rows(), 0);
    assert_int_equal(node_start(&node), GV_OK);
}

/* Who mistypes his password before his first login stands under his address until then, and as soon
 * as he has logged in no longer: not in the log of writes either (SPEC 12.1). */
static void test_a_first_login_leaves_no_name(void **state)
{
    struct gv_event event = {.kind = GV_EVENT_OBSERVATION,
                             .observation = {.service = GV_SERVICE_IMAP,
                                             .kind = GV_KIND_UNSPECIFIED,
                                             .account = 7,
                                             .success = true}};
    int result;

    assert_int_equal(gv_subject_parse(&event.observation.subject, ATTACKER, strlen(ATTACKER)),
                     GV_OK);
    event.observation.unix_ms = (uint64_t)time(NULL) * 1000;
    node_fails(&node, ATTACKER, 1);
    node_fails(&node, OTHER, 1);
    assert_true(soon_on_disk(ATTACKER) && soon_on_disk(OTHER));
    node_command(&node, &event, &result);
    for (int i = 0; i < 150 && disk_names(ATTACKER); i++)
        usleep(100000);
    assert_false(disk_names(ATTACKER));
    assert_true(disk_names(OTHER));
    assert_int_equal(history_rows(), 2);
}

/* What the daemon's log said while `what` ran, and until it has said `end` (NULL: what it says at
 * once); free it. */
static char *logged(void (*what)(void), const char *end)
{
    char path[128], *text = NULL;
    struct gv_buf file;

    snprintf(path, sizeof path, "%s/log", node.folder);
    int before = dup(STDERR_FILENO), fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(before >= 0 && fd >= 0);
    fflush(stderr);
    dup2(fd, STDERR_FILENO);
    what();
    assert_int_equal(node_get(&node, "status", NULL), 200); /* the turn is over */
    for (int i = 0; i < 100 && (!text || (end && !strstr(text, end))); i++) {
        usleep(text ? 100000 : 0);
        free(text);
        gv_buf_init(&file);
        assert_int_equal(gv_file_read(&file, path, 1 << 20, NULL), GV_OK);
        gv_buf_append(&file, "", 1);
        text = strdup((const char *)file.data);
        gv_buf_free(&file);
    }
    dup2(before, STDERR_FILENO);
    close(before);
    close(fd);
    return text;
}

static void attack(void)
{
    node_fails(&node, ATTACKER, 6);
}

static void log_in(void)
{
    struct gv_event event = {.kind = GV_EVENT_OBSERVATION,
                             .observation = {.service = GV_SERVICE_IMAP,
                                             .kind = GV_KIND_UNSPECIFIED,
                                             .account = 7,
                                             .success = true}};
    int result;

    assert_int_equal(gv_subject_parse(&event.observation.subject, OTHER, strlen(OTHER)), GV_OK);
    event.observation.unix_ms = gv_unix_ms();
    node_command(&node, &event, &result);
}

static void mistype(void)
{
    node_fails(&node, OTHER, 12);
}

static void erase(void)
{
    assert_int_equal(node_post(&node, "privacy/erase", "{\"addr\":\"" ATTACKER "\"}", NULL), 200);
}

/* The log names who attacks; not who logs in here and mistypes, nor, once more, who is erased. */
static void test_whom_the_log_names(void **state)
{
    static const struct {
        void (*what)(void);
        const char *said, *not_said;
    } cases[] = {
        {attack, "locked here: " ATTACKER, OTHER},
        {log_in, NULL, OTHER},
        {mistype, "locked here: an address from which somebody has logged in here", OTHER},
        {erase, "retraction made: an address that is erased", ATTACKER},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = logged(cases[i].what, cases[i].said);
        if (cases[i].said && !strstr(text, cases[i].said))
            fail_msg("case %zu lacks \"%s\": %s", i, cases[i].said, text);
        if (strstr(text, cases[i].not_said))
            fail_msg("case %zu names %s: %s", i, cases[i].not_said, text);
        free(text);
    }
}

static void touch(const char *name)
{
    char path[160];

    snprintf(path, sizeof path, "%s/%s", node.folder, name);
    assert_int_equal(gv_file_write(path, ATTACKER, strlen(ATTACKER), 0600, NULL), GV_OK);
}

static bool there(const char *name)
{
    char path[160];

    snprintf(path, sizeof path, "%s/%s", node.folder, name);
    return access(path, F_OK) == 0;
}

/* Copies of the store that were set aside hold addresses, too: counted, deleted in time, and by an
 * erasure at once. */
static void test_what_was_set_aside(void **state)
{
    static const char *const aside[] = {
        "store.db.corrupt-20260101T000000Z", "store.db.corrupt-20260101T000000Z-wal",
        "store.db.replaced-20260101T000000Z", "store.db.before-restore-20260101T000000Z"};
    static const char *const other[] = {"store.db.copy", "xstore.db.corrupt-2",
                                        "certificate.corrupt-2"};
    const uint64_t now = gv_unix_ms();
    size_t count, i;
    json_t *json, *item;

    for (int round = 0; round < 2; round++) {
        for (i = 0; i < 3; i++) {
            touch(aside[i]);
            touch(other[i]);
        }
        assert_int_equal(node_get(&node, "privacy", &json), 200);
        count = 0;
        json_array_foreach(json_object_get(json, "held"), i, item)
        {
            if (strstr(json_string_value(json_object_get(item, "where")), "before-restore"))
                count = (size_t)json_integer_value(json_object_get(item, "count"));
        }
        json_decref(json);
        assert_int_equal(count, 3);
        if (round == 0) {
            assert_int_equal(gv_persist_aside(node.persist, now - 3600000, &count, NULL), GV_OK);
            assert_int_equal(count, 0);
            assert_true(there(aside[0]));
            assert_int_equal(gv_persist_aside(node.persist, now + 3600000, &count, NULL), GV_OK);
        } else {
            assert_int_equal(
                node_post(&node, "privacy/erase", "{\"addr\":\"" ATTACKER "\"}", &json), 200);
            count = (size_t)json_integer_value(json_object_get(json, "aside"));
            json_decref(json);
        }
        assert_int_equal(count, 3);
        for (i = 0; i < 3; i++)
            assert_true(!there(aside[i]) && there(other[i]));
    }
    for (i = 0; i < 3; i++) {
        char path[160];
        snprintf(path, sizeof path, "%s/%s", node.folder, other[i]);
        unlink(path);
    }
}

/* Somebody has put a copy in the store's place: an erasure finds that first, and what is set aside
 * because of it goes with the rest. */
static void test_erase_after_a_replacement(void **state)
{
    struct gv_subject subject;
    char command[300];
    size_t count;

    assert_int_equal(gv_subject_parse(&subject, ATTACKER, strlen(ATTACKER)), GV_OK);
    node_fails(&node, ATTACKER, 4);
    assert_true(soon_on_disk(ATTACKER));
    snprintf(command, sizeof command,
             "cd %s && sqlite3 store.db \"VACUUM INTO 'x'\" && mv x store.db && "
             "touch store.db.new",
             node.folder);
    assert_int_equal(system(command), 0);
    assert_true(file_names("", &subject, sizeof subject));
    assert_int_equal(node_post(&node, "privacy/erase", "{\"addr\":\"" ATTACKER "\"}", NULL), 200);
    assert_false(disk_names(ATTACKER));
    assert_false(there("store.db.new"));
    assert_int_equal(gv_persist_aside(node.persist, 0, &count, NULL), GV_OK);
    assert_int_equal(count, 0);
}

/* Rows of before schema 4 name who logged in; after one start no byte of the file does. */
static void test_an_older_store_forgets_who_logged_in(void **state)
{
    uint32_t then = (uint32_t)time(NULL) - 3600;
    struct gv_history_row row = {
        .first_success = then, .last_success = then, .login_account = {1}, .login_time = {then}};
    struct gv_persist *persist;
    struct gv_effects effects;
    struct gv_text error;
    struct gv_buf value;
    char path[128];

    node_stop(&node);
    snprintf(path, sizeof path, "%s/store.db", node.folder);
    assert_int_equal(gv_persist_open(&persist, path, node.identity.store_key, &error), GV_OK);
    gv_effects_init(&effects);
    gv_buf_init(&value);
    for (uint8_t i = 1; i <= 100; i++) {
        row.subject = (struct gv_subject){GV_FAMILY_IPV4, {91, 203, i, 77}};
        gv_buf_clear(&value);
        gv_row_pack(&row, NULL, &value);
        gv_effect_persist(&effects, GV_ROW_HISTORY, &row.subject, sizeof row.subject, value.data,
                          value.len);
    }
    assert_int_equal(gv_persist_commit(persist, &effects, gv_unix_ms(), &error), GV_OK);
    gv_persist_close(persist);
    gv_effects_free(&effects);
    gv_buf_free(&value);
    assert_true(file_names("", &row.subject, 5));
    for (int start = 0; start < 2; start++) {
        assert_int_equal(node_start(&node), GV_OK);
        json_t *json = export("91.203.100.77");
        assert_true(json_is_string(json_object_get(
            json_object_get(json_object_get(json, "now"), "local"), "last_success")));
        json_decref(json);
        node_stop(&node);
        assert_int_equal(history_rows(), 100);
        for (uint8_t i = 1; i <= 100; i++) {
            row.subject.bytes[2] = i;
            assert_false(file_names("", &row.subject, 5));
        }
    }
    assert_int_equal(node_start(&node), GV_OK);
}

/* As rows of the flow of mail are: one that is sealed, one that was emptied. */
static void keep_messages(void *context)
{
    const uint8_t row[GV_MEMORY_ROW + GV_SEALED_MORE] = {0};

    (void)context;
    gv_driver_keep(node.driver, "mail flow 0000", row, sizeof row);
    gv_driver_keep(node.driver, "mail flow 0001", row, 1);
}

static void test_report(void **state)
{
    size_t sent = 0, looks = 0, under_way = 0, changes = 0, i;
    json_t *json, *item;
    struct gv_transparency_chain chain;
    struct gv_text error;
    json_t *entry = json_pack("{s:s}", "reason", "a surge");

    for (i = 0; i < 2; i++)
        assert_int_equal(gv_transparency_append(node.folder, &chain, entry, &error), GV_OK);
    json_decref(entry);

    loop_thread_call(&node.thread, keep_messages, NULL);
    node_fails(&node, ATTACKER, 4);
    char serial[40] = "";
    bool reset;
    changes_since(serial, &reset);
    for (i = 0; i < 1000 && strchr(serial, '-')[1] != '1'; i++) { /* in a turn of the loop */
        usleep(10000);
        changes_since(serial, &reset);
    }
    assert_int_equal(node_get(&node, "privacy", &json), 200);
    assert_string_equal(json_string_value(json_object_get(json, "share")), "yes");
    assert_true(size_of(json, "held") >= 13);
    json_array_foreach(json_object_get(json, "held"), i, item)
    {
        assert_true(json_string_length(json_object_get(item, "until")) > 0);
        if (strcmp(json_string_value(json_object_get(item, "where")), "transparency.log") == 0)
            looks = (size_t)json_integer_value(json_object_get(item, "count"));
        if (strcmp(json_string_value(json_object_get(item, "where")), "store.db: sent") == 0)
            sent = (size_t)json_integer_value(json_object_get(item, "count"));
        if (strstr(json_string_value(json_object_get(item, "what")), "messages under way"))
            under_way = (size_t)json_integer_value(json_object_get(item, "count"));
        if (strcmp(json_string_value(json_object_get(item, "where")), "memory") == 0)
            changes = (size_t)json_integer_value(json_object_get(item, "count"));
    }
    assert_int_equal(changes, 1);
    assert_int_equal(under_way, 1);
    assert_int_equal(sent, 1);
    assert_int_equal(looks, 2);
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_export_and_erase, setup, teardown),
        cmocka_unit_test_setup_teardown(test_erased_from_the_changes, setup_with_port, teardown),
        cmocka_unit_test_setup_teardown(test_erase_beside_a_reader, setup, teardown),
        cmocka_unit_test_setup_teardown(test_erase_of_a_user, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_first_login_leaves_no_name, setup, teardown),
        cmocka_unit_test_setup_teardown(test_whom_the_log_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_was_set_aside, setup, teardown),
        cmocka_unit_test_setup_teardown(test_erase_after_a_replacement, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_older_store_forgets_who_logged_in, setup, teardown),
        cmocka_unit_test_setup_teardown(test_report, setup_with_port, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
