/* Nodes that watch a real registry over HTTP (SPEC 14.7): an honest one is accused of nothing, one
 * that shows two faces, takes back or mints is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "helper_watcher.h"
#include "node/base/json.h"
#include "node/base/file.h"
#include "node/host/mirror.h"

static struct registry r, twin; /* the twin: the same keys and descriptor, another database */

static struct watcher alice, bob;

static int set_up(void **state)
{
    registry_make(&r);
    watcher_loosen(&r);
    registry_start(&r);
    watcher_make(&alice, &r, 1);
    return 0;
}

/* A second registry with the first one's keys: what a two-faced one is to those who meet it. */
static void start_twin(void)
{
    char command[256];

    registry_make(&twin);
    snprintf(command, sizeof command, "cp %s/*.key %s/network.descriptor %s/", r.folder, r.folder,
             twin.folder);
    assert_int_equal(system(command), 0);
    twin.descriptor = r.descriptor;
    twin.signer = r.signer;
    watcher_loosen(&twin);
    registry_start(&twin);
    watcher_make(&bob, &twin, 2);
}

static int tear_down(void **state)
{
    watcher_free(&alice);
    watcher_free(&bob);
    registry_remove(&r);
    if (twin.folder[0])
        registry_remove(&twin);
    memset(&twin, 0, sizeof twin);
    return 0;
}

static void pass_hour(void)
{
    registry_clock_ms += 3600000;
}

/* ---- the registry's own side ---------------------------------------------------------------- */

static void fetch_json(const char *path, unsigned status, json_t **out)
{
    struct gv_fetch_result result;

    registry_fetch(&r, &result, path, NULL);
    assert_int_equal(result.status, status);
    assert_int_equal(gv_json_parse(out, result.body, result.len, 65536, NULL), GV_OK);
    gv_fetch_result_free(&result);
}

static struct gv_log_head fetch_head(struct registry *at, struct gv_buf *wire)
{
    struct gv_fetch_result result;
    struct gv_log_head head;

    registry_fetch(at, &result, "/v1/log/head", NULL);
    assert_int_equal(result.status, 200);
    assert_int_equal(
        gv_log_head_open(&head, NULL, &at->registrar->descriptor, result.body, result.len), GV_OK);
    if (wire) {
        gv_buf_clear(wire);
        gv_buf_append(wire, result.body, result.len);
    }
    gv_fetch_result_free(&result);
    return head;
}

static struct gv_merkle_proof proof_in(json_t *json)
{
    struct gv_merkle_proof proof = {0};
    json_t *path = json_object_get(json, "path");
    size_t len;

    assert_true(json_is_array(path));
    for (size_t i = 0; i < json_array_size(path); i++)
        assert_int_equal(gv_unbase64(proof.hashes[proof.count++], GV_HASH_LEN, &len,
                                     json_string_value(json_array_get(path, i))),
                         GV_OK);
    json_decref(json);
    return proof;
}

static void what_is_issued_can_be_proven(void **state)
{
    uint8_t wires[7][GV_CERTIFICATE_LEN], leaf[GV_HASH_LEN], entry[GV_LOG_ENTRY_LEN];
    struct gv_certificate certificate;
    struct gv_log_head first, second;
    char path[128], id[2 * GV_ID_LEN + 1];
    json_t *json;

    for (unsigned i = 0; i < 4; i++)
        watcher_join(&r, 10 + i, wires[i]);
    first = fetch_head(&r, NULL);
    assert_int_equal(first.size, 4);
    for (unsigned i = 4; i < 7; i++)
        watcher_join(&r, 10 + i, wires[i]);
    second = fetch_head(&r, NULL);
    assert_int_equal(second.size, 4); /* one an hour */
    pass_hour();
    second = fetch_head(&r, NULL);
    assert_int_equal(second.size, 7);
    assert_int_equal(second.minute, first.minute + 60);
    for (unsigned i = 0; i < 7; i++) {
        gv_certificate_parse(&certificate, wires[i], GV_CERTIFICATE_LEN);
        gv_hex(id, certificate.id, GV_ID_LEN);
        snprintf(path, sizeof path, "/v1/log/inclusion?certificate=%s&size=7", id);
        fetch_json(path, 200, &json);
        json_int_t index = json_integer_value(json_object_get(json, "index"));
        struct gv_merkle_proof proof = proof_in(json);
        gv_log_entry(entry, &certificate);
        gv_merkle_leaf(leaf, entry, sizeof entry);
        assert_int_equal(index, i);
        assert_true(gv_merkle_included(&proof, leaf, i, 7, second.root));
    }
    fetch_json("/v1/log/consistency?first=4&second=7", 200, &json);
    struct gv_merkle_proof proof = proof_in(json);
    assert_true(gv_merkle_consistent(&proof, 4, first.root, 7, second.root));
}

static void strange_questions_are_refused(void **state)
{
    static const char *const bad[] = {
        "/v1/log/inclusion",       "/v1/log/inclusion?certificate=00",
        "/v1/log/entries?from=-1", "/v1/log/entries?from=99999999999999999999",
        "/v1/log/entries?log=xyz", "/v1/log/consistency?first=a"};
    static const char *const unknown[] = {
        "/v1/log/inclusion?certificate=00000000000000000000000000000000",
        "/v1/log/consistency?first=0&second=0", "/v1/log/consistency?first=2&second=1",
        "/v1/log/consistency?first=1&second=9", "/v1/log/entries?log=00000000"};
    uint8_t wire[GV_CERTIFICATE_LEN];
    json_t *json;

    watcher_join(&r, 10, wire);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fetch_json(bad[i], 400, &json);
        json_decref(json);
    }
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        fetch_json(unknown[i], 404, &json);
        json_decref(json);
    }
}

/* ---- watching ------------------------------------------------------------------------------- */

static void an_honest_registry_is_accused_of_nothing(void **state)
{
    uint8_t wire[GV_CERTIFICATE_LEN];
    struct gv_audit_status status;

    assert_int_equal(watcher_look(&alice).size, 0);
    for (unsigned hour = 0; hour < 5; hour++) {
        for (unsigned i = 0; i < 3; i++) {
            watcher_join(&r, 100 + 10 * hour + i, wire);
            assert_int_equal(watcher_tell(&alice, GV_RECORD_CERTIFICATE, wire, sizeof wire), GV_OK);
        }
        pass_hour();
        if (hour == 2)
            watcher_restart(&alice);
        status = watcher_look(&alice);
        assert_string_equal(status.trouble, "");
        assert_string_equal(status.finding, "");
        assert_int_equal(status.size, 3 * hour + 3);
    }
    for (unsigned day = 0; day < 3;
         day++) { /* nothing happens, and a head is signed all the same */
        registry_clock_ms += 86400000;
        status = watcher_look(&alice);
        assert_string_equal(status.trouble, "");
        assert_string_equal(status.finding, "");
    }
    assert_int_equal(alice.two_faces, 0);
}

/* A page of entries is 1,024. */
static void a_long_log_is_copied_in_pages_and_read_back(void **state)
{
    struct gv_certificate certificate = {.signer = gv_certificate_signer(r.signer.sign_public)};
    struct gv_audit_status status;

    assert_int_equal(gv_records_begin(r.registrar->records), GV_OK);
    for (uint32_t i = 0; i < 2500; i++) {
        memcpy(certificate.id, &i, sizeof i);
        assert_int_equal(gv_records_log_append(r.registrar->records, &certificate), GV_OK);
    }
    assert_int_equal(gv_records_finish(r.registrar->records, GV_OK), GV_OK);
    pass_hour();
    status = watcher_look(&alice);
    assert_int_equal(status.size, 2500);
    watcher_restart(&alice);
    struct gv_mirror mirror;
    char name[GV_MIRROR_NAME];
    snprintf(name, sizeof name, GV_MIRROR_FILE, certificate.signer);
    assert_int_equal(gv_mirror_open(&mirror, alice.folder, name, &r.registrar->descriptor, NULL),
                     GV_OK);
    assert_true(mirror.has_head);
    assert_int_equal(mirror.tree.size, 2500);
    assert_true(gv_mirror_has(&mirror, certificate.id));
    certificate.id[15] = 1;
    assert_false(gv_mirror_has(&mirror, certificate.id));
    gv_mirror_close(&mirror);
}

static void a_damaged_copy_is_fetched_anew_and_accuses_nobody(void **state)
{
    uint8_t wire[GV_CERTIFICATE_LEN];
    char path[128];

    for (unsigned i = 0; i < 3; i++)
        watcher_join(&r, 10 + i, wire);
    assert_int_equal(watcher_look(&alice).size, 3);
    watcher_restart(&alice);
    snprintf(path, sizeof path, "%s/" GV_MIRROR_FILE, alice.folder,
             gv_certificate_signer(r.signer.sign_public));
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    fseek(f, 70, SEEK_SET);
    fputc(0x55, f);
    fclose(f);
    struct gv_audit_status status = watcher_look(&alice);
    assert_string_equal(status.finding, "");
    assert_int_equal(status.size, 3);
}

/* What it has seen of the log stays seen: a registry with two faces is not believed anew. */
static void too_few_files_make_nothing_forgotten(void **state)
{
    uint8_t wire[GV_CERTIFICATE_LEN];
    struct rlimit before, none;
    struct gv_mirror mirror;
    struct gv_text why = {""};
    char name[GV_MIRROR_NAME];

    for (unsigned i = 0; i < 3; i++)
        watcher_join(&r, 10 + i, wire);
    assert_int_equal(watcher_look(&alice).size, 3);
    watcher_restart(&alice);
    snprintf(name, sizeof name, GV_MIRROR_FILE, gv_certificate_signer(r.signer.sign_public));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    struct gv_audit_status status = watcher_look(&alice);
    int rc = gv_mirror_open(&mirror, alice.folder, name, &r.registrar->descriptor, &why);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    gv_mirror_close(&mirror);
    assert_int_equal(rc, GV_ERR_IO);
    assert_non_null(strstr(why.text, name));
    assert_non_null(strstr(status.trouble, "Too many open files"));
    assert_string_equal(status.finding, "");
    watcher_restart(&alice);
    assert_int_equal(gv_mirror_open(&mirror, alice.folder, name, &r.registrar->descriptor, NULL),
                     GV_OK);
    assert_true(mirror.has_head);
    assert_int_equal(mirror.tree.size, 3);
    gv_mirror_close(&mirror);
    assert_string_equal(watcher_look(&alice).trouble, "");
}

static void join_and_tell(unsigned number)
{
    uint8_t wire[GV_CERTIFICATE_LEN];

    watcher_join(&r, number, wire);
    assert_int_equal(watcher_tell(&alice, GV_RECORD_CERTIFICATE, wire, sizeof wire), GV_OK);
}

static void one_that_mints_outside_its_log_is_caught(void **state)
{
    struct gv_audit_status status;

    join_and_tell(10);
    watcher_mint(&alice, &r.signer, 77, REGISTRY_NOW);
    assert_string_equal(watcher_look(&alice).finding, ""); /* it may come into the next head, */
    registry_clock_ms += 86400000; /* which is signed after a day though nothing was added */
    status = watcher_look(&alice);
    assert_non_null(strstr(status.finding, "outside its log"));
    watcher_restart(&alice); /* it does not pass */
    status = watcher_look(&alice);
    assert_non_null(strstr(status.finding, "outside its log"));
}

static void one_with_two_faces_is_caught_when_heads_meet(void **state)
{
    uint8_t wire[GV_CERTIFICATE_LEN];
    struct gv_buf head;

    start_twin();
    watcher_join(&r, 10, wire);
    watcher_join(&twin, 11, wire);
    assert_string_equal(watcher_look(&alice).finding, "");
    assert_string_equal(watcher_look(&bob).finding, "");
    gv_buf_init(&head);
    fetch_head(&r, &head);
    assert_int_equal(watcher_tell(&bob, GV_RECORD_LOG_HEAD, head.data, head.len), GV_OK);
    fetch_head(&twin, &head);
    assert_int_equal(watcher_tell(&alice, GV_RECORD_LOG_HEAD, head.data, head.len), GV_OK);
    gv_buf_free(&head);
    assert_int_equal(alice.two_faces, 1);
    assert_int_equal(bob.two_faces, 1);
    assert_non_null(strstr(watcher_look(&alice).finding, "two faces"));
    assert_non_null(strstr(watcher_look(&bob).finding, "two faces"));
}

/* It takes care that no two heads are of one hour, or of one size: no pair of heads shows anything.
 */
static void one_with_two_faces_is_caught_though_no_two_heads_contradict_each_other(void **state)
{
    uint8_t wire[GV_CERTIFICATE_LEN];
    struct gv_buf head;

    start_twin();
    watcher_join(&r, 10, wire);
    watcher_join(&r, 11, wire);
    watcher_join(&twin, 11, wire);
    gv_buf_init(&head);
    fetch_head(&twin, &head); /* size 1, this hour */
    assert_int_equal(watcher_tell(&alice, GV_RECORD_LOG_HEAD, head.data, head.len), GV_OK);
    pass_hour();
    struct gv_audit_status status = watcher_look(&alice); /* size 2, the next */
    gv_buf_free(&head);
    assert_int_equal(alice.two_faces, 0);
    assert_non_null(strstr(status.finding, "two faces"));
}

static void one_that_changes_what_it_signed_is_caught(void **state)
{
    uint8_t wire[GV_CERTIFICATE_LEN];

    start_twin();
    watcher_join(&r, 10, wire);
    assert_string_equal(watcher_look(&alice).finding, "");
    pass_hour();
    registry_clock_ms += 4 * 86400000ULL; /* the core has forgotten the head; the copy has not */
    watcher_join(&twin, 11, wire);
    watcher_join(&twin, 12, wire);
    strcpy(r.url, twin.url); /* the registry's address, and another log behind it */
    watcher_restart(&alice);
    alice.at = &twin;
    assert_non_null(strstr(watcher_look(&alice).finding, "is not the one whose head it signed"));
    /* That its file cannot be read for a while does not take it back. */
    struct rlimit before, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    struct gv_audit_status status = watcher_look(&alice);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_non_null(strstr(status.finding, "is not the one whose head it signed"));
}

static void a_registry_whose_log_was_set_back_signs_nothing(void **state)
{
    uint8_t wire[GV_CERTIFICATE_LEN];
    struct gv_fetch_result result;
    struct gv_audit_status status;
    char command[512];

    watcher_join(&r, 10, wire);
    assert_int_equal(watcher_look(&alice).trouble_ms, 0);
    watcher_restart(&alice);
    snprintf(command, sizeof command,
             "sqlite3 %s/registry.db 'DELETE FROM log; DELETE FROM instance'", r.folder);
    registry_stop(&r);
    assert_int_equal(system(command), 0);
    registry_start(&r);
    pass_hour();
    watcher_join(&r, 11, wire);
    registry_fetch(&r, &result, "/v1/log/head", NULL);
    assert_int_equal(result.status, 503);
    gv_fetch_result_free(&result);
    /* And a node that gets none says so, since when, for as long as it lasts. */
    status = watcher_look(&alice);
    uint64_t since = registry_clock_ms;
    assert_string_equal(status.trouble, "the registry answers with HTTP status 503");
    assert_int_equal(status.trouble_ms, since);
    assert_true(status.has_head);
    assert_string_equal(status.finding, "");
    pass_hour();
    assert_int_equal(watcher_look(&alice).trouble_ms, since);
    watcher_restart(&alice);
    registry_stop(&r);
    snprintf(command, sizeof command,
             "rm -f %s/log-*.head %s/registry-log*; sqlite3 %s/registry.db 'DELETE FROM log_head'",
             r.folder, alice.folder, r.folder);
    assert_int_equal(system(command), 0);
    registry_start(&r);
    status = watcher_look(&alice);
    assert_string_equal(status.trouble, "");
    assert_int_equal(status.trouble_ms, 0);
}

static int count_of(const char *folder, const char *pattern)
{
    char command[256];

    snprintf(command, sizeof command, "exit $(find %s -name '%s' | wc -l)", folder, pattern);
    return WEXITSTATUS(system(command));
}

/* The files of an earlier version are gone on with: what was seen then is not seen for the first
 * time now. */
static void files_of_an_earlier_version_get_the_name_of_their_key(void **state)
{
    uint8_t wire[GV_CERTIFICATE_LEN];
    char command[512];

    watcher_join(&r, 10, wire);
    assert_int_equal(watcher_look(&alice).size, 1);
    watcher_restart(&alice);
    registry_stop(&r);
    snprintf(command, sizeof command,
             "cd %s && mv registry-log-????????.head registry-log.head && "
             "mv registry-log-???????? registry-log && touch registry-log-former && "
             "echo nothing >registry-log-former.head && cd %s && mv log-????????.head log.head",
             alice.folder, r.folder);
    assert_int_equal(system(command), 0);
    /* All that was signed is gone from the database. */
    snprintf(command, sizeof command,
             "sqlite3 %s/registry.db 'DELETE FROM log; DELETE FROM log_head; DELETE FROM instance'",
             r.folder);
    assert_int_equal(system(command), 0);
    registry_start(&r);
    struct gv_audit_status status = watcher_look(&alice);
    assert_string_equal(status.trouble, "the registry answers with HTTP status 503");
    assert_true(status.has_head);
    assert_int_equal(status.size, 1);
    assert_int_equal(count_of(alice.folder, "registry-log*"), 2);
    assert_int_equal(count_of(alice.folder, "registry-log-????????*"), 2);
    assert_int_equal(count_of(r.folder, "log*.head"), 1);
    /* Beside files that tell their key they are nothing any more. */
    watcher_restart(&alice);
    registry_stop(&r);
    snprintf(command, sizeof command,
             "cd %s && cp registry-log-????????.head registry-log.head && "
             "echo older >registry-log && cd %s && cp log-*.head log.head && touch -d @0 log.head",
             alice.folder, r.folder);
    assert_int_equal(system(command), 0);
    registry_start(&r);
    status = watcher_look(&alice);
    assert_int_equal(status.size, 1);
    assert_int_equal(count_of(alice.folder, "registry-log*"), 2);
    assert_int_equal(count_of(r.folder, "log*.head"), 1);
    snprintf(command, sizeof command, "find %s -name 'log*.head' -newermt 2001-01-01 | grep -q .",
             r.folder);
    assert_int_equal(system(command), 0); /* the newer one */
}

/* The whole database of an hour ago, heads and all: only the file beside the keys remembers. */
static void an_old_backup_is_noticed(void **state)
{
    uint8_t wire[GV_CERTIFICATE_LEN];
    struct gv_fetch_result result;
    char command[256];

    watcher_join(&r, 10, wire);
    fetch_head(&r, NULL);
    registry_stop(&r);
    snprintf(command, sizeof command, "cp %s/registry.db %s/old", r.folder, r.folder);
    assert_int_equal(system(command), 0);
    registry_start(&r);
    watcher_join(&r, 11, wire);
    pass_hour();
    assert_int_equal(fetch_head(&r, NULL).size, 2);
    registry_stop(&r);
    snprintf(command, sizeof command, "rm -f %s/registry.db-*; cp %s/old %s/registry.db", r.folder,
             r.folder, r.folder);
    assert_int_equal(system(command), 0);
    registry_start(&r);
    pass_hour();
    watcher_join(&r, 12, wire);
    registry_fetch(&r, &result, "/v1/log/head", NULL);
    assert_int_equal(result.status, 503);
    gv_fetch_result_free(&result);
}

static const char *no_url(void *context)
{
    (void)context;
    return NULL;
}

static const struct gv_core *no_core(void *context)
{
    (void)context;
    return NULL;
}

/* A package that was just installed: there is no registry to distrust. */
static void a_node_in_no_network_misses_no_log(void **state)
{
    struct gv_audit_options options = {.loop = &r.loop,
                                       .folder = alice.folder,
                                       .url = no_url,
                                       .core = no_core,
                                       .unix_ms = registry_clock};
    struct gv_audit_status status;
    struct gv_audit *audit;

    (void)state;
    assert_int_equal(gv_audit_new(&audit, &options), GV_OK);
    gv_audit_look(audit);
    gv_audit_status(audit, &status);
    assert_false(status.looking);
    assert_string_equal(status.trouble, "");
    assert_int_equal(status.looked_ms, 0);
    gv_audit_free(audit);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(what_is_issued_can_be_proven),
        T(strange_questions_are_refused),
        T(an_honest_registry_is_accused_of_nothing),
        T(a_long_log_is_copied_in_pages_and_read_back),
        T(a_damaged_copy_is_fetched_anew_and_accuses_nobody),
        T(too_few_files_make_nothing_forgotten),
        T(one_that_mints_outside_its_log_is_caught),
        T(one_with_two_faces_is_caught_when_heads_meet),
        T(one_with_two_faces_is_caught_though_no_two_heads_contradict_each_other),
        T(one_that_changes_what_it_signed_is_caught),
        T(a_registry_whose_log_was_set_back_signs_nothing),
        T(files_of_an_earlier_version_get_the_name_of_their_key),
        T(an_old_backup_is_noticed),
        T(a_node_in_no_network_misses_no_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
