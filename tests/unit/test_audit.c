/* Nodes that watch a real registry over HTTP (SPEC 14.7): an honest one is accused of nothing, one
 * that shows two faces, takes back or mints is. */
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

#include "crypto/error.h"
#include "helper_registry.h"
#include "node/base/json.h"
#include "node/base/file.h"
#include "node/host/audit.h"
#include "node/base/keyfile.h"
#include "node/host/mirror.h"
#include "node/registry/commands.h"
#include "proto/wire/record.h"

static struct registry r, twin; /* the twin: the same keys and descriptor, another database */

struct watcher { /* a node as the audit sees it */
    struct registry *at;
    struct gv_identity identity;
    struct gv_core *core;
    struct gv_effects effects;
    struct gv_audit *audit;
    char folder[64];
    unsigned two_faces;
};
static struct watcher alice, bob;

static void make_watcher(struct watcher *w, struct registry *at, unsigned number)
{
    struct gv_core_options options = {.identity = &w->identity};

    memset(w, 0, sizeof *w);
    w->at = at;
    registry_identity(&w->identity, number);
    snprintf(w->folder, sizeof w->folder, "/tmp/gv-audit-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    options.descriptor = at->registrar->descriptor_wire.data;
    options.descriptor_len = at->registrar->descriptor_wire.len;
    options.settings.max_links = 16;
    assert_int_equal(gv_core_new(&w->core, &options, 0, registry_clock_ms), GV_OK);
    gv_effects_init(&w->effects);
}

static const char *url_of(void *context)
{
    return ((struct watcher *)context)->at->url;
}

static const struct gv_core *core_of(void *context)
{
    return ((struct watcher *)context)->core;
}

static int tell(struct watcher *w, enum gv_record_kind kind, const uint8_t *wire, size_t len)
{
    uint8_t record[GV_RECORD_MAX] = {(uint8_t)kind};
    struct gv_event clock = {.kind = GV_EVENT_CLOCK, .clock = {registry_clock_ms}};
    struct gv_event event = {.kind = GV_EVENT_NEWS, .news = {record, 1 + len}};

    memcpy(record + 1, wire, len);
    gv_effects_clear(&w->effects);
    gv_core_step(w->core, registry_clock_ms - 1700000000000ULL, &clock, &w->effects);
    int rc = gv_core_step(w->core, registry_clock_ms - 1700000000000ULL, &event, &w->effects);
    for (size_t i = 0; i < w->effects.count; i++)
        w->two_faces += w->effects.list[i].kind == GV_EFFECT_NOTE &&
                        w->effects.list[i].note == GV_NOTE_TWO_FACES;
    return rc;
}

static void on_head(void *context, const uint8_t *wire, size_t len)
{
    (void)tell(context, GV_RECORD_LOG_HEAD, wire, len);
}

static struct gv_audit_status look(struct watcher *w)
{
    struct gv_audit_options options = {.loop = &w->at->loop,
                                       .folder = w->folder,
                                       .context = w,
                                       .url = url_of,
                                       .core = core_of,
                                       .head = on_head,
                                       .unix_ms = registry_clock};
    struct gv_audit_status status;

    if (!w->audit)
        assert_int_equal(gv_audit_new(&w->audit, &options), GV_OK);
    gv_audit_look(w->audit);
    for (gv_audit_status(w->audit, &status); status.looking; gv_audit_status(w->audit, &status))
        uv_run(&w->at->loop, UV_RUN_ONCE);
    return status;
}

/* As if it had stopped and started again: only the folder stays. */
static void restart(struct watcher *w)
{
    gv_audit_free(w->audit);
    w->audit = NULL;
    uv_run(&w->at->loop, UV_RUN_NOWAIT);
}

static void free_watcher(struct watcher *w)
{
    char command[128];

    if (!w->core)
        return;
    restart(w);
    gv_core_free(w->core);
    gv_effects_free(&w->effects);
    snprintf(command, sizeof command, "rm -rf '%s'", w->folder);
    assert_int_equal(system(command), 0);
    memset(w, 0, sizeof *w);
}

static void loosen(struct registry *at)
{
    at->settings.enroll_per_client_hour = at->settings.confirm_per_client_hour = 10000;
    at->settings.enroll_per_domain_day = at->settings.requests_per_client_minute = 10000;
}

static int set_up(void **state)
{
    registry_make(&r);
    loosen(&r);
    registry_start(&r);
    make_watcher(&alice, &r, 1);
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
    loosen(&twin);
    registry_start(&twin);
    make_watcher(&bob, &twin, 2);
}

static int tear_down(void **state)
{
    free_watcher(&alice);
    free_watcher(&bob);
    registry_remove(&r);
    if (twin.folder[0])
        registry_remove(&twin);
    memset(&twin, 0, sizeof twin);
    return 0;
}

static void join(struct registry *at, unsigned number, uint8_t wire[GV_CERTIFICATE_LEN])
{
    struct gv_identity identity;
    char email[64];

    registry_identity(&identity, number);
    snprintf(email, sizeof email, "admin%u@example.org", number);
    registry_join(at, &identity, email, wire);
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
        join(&r, 10 + i, wires[i]);
    first = fetch_head(&r, NULL);
    assert_int_equal(first.size, 4);
    for (unsigned i = 4; i < 7; i++)
        join(&r, 10 + i, wires[i]);
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

    join(&r, 10, wire);
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

    assert_int_equal(look(&alice).size, 0);
    for (unsigned hour = 0; hour < 5; hour++) {
        for (unsigned i = 0; i < 3; i++) {
            join(&r, 100 + 10 * hour + i, wire);
            assert_int_equal(tell(&alice, GV_RECORD_CERTIFICATE, wire, sizeof wire), GV_OK);
        }
        pass_hour();
        if (hour == 2)
            restart(&alice);
        status = look(&alice);
        assert_string_equal(status.trouble, "");
        assert_string_equal(status.finding, "");
        assert_int_equal(status.size, 3 * hour + 3);
    }
    for (unsigned day = 0; day < 3;
         day++) { /* nothing happens, and a head is signed all the same */
        registry_clock_ms += 86400000;
        status = look(&alice);
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
    status = look(&alice);
    assert_int_equal(status.size, 2500);
    restart(&alice);
    struct gv_mirror mirror;
    assert_int_equal(
        gv_mirror_open(&mirror, alice.folder, GV_MIRROR_PRESENT, &r.registrar->descriptor), GV_OK);
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
        join(&r, 10 + i, wire);
    assert_int_equal(look(&alice).size, 3);
    restart(&alice);
    snprintf(path, sizeof path, "%s/registry-log", alice.folder);
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    fseek(f, 70, SEEK_SET);
    fputc(0x55, f);
    fclose(f);
    struct gv_audit_status status = look(&alice);
    assert_string_equal(status.finding, "");
    assert_int_equal(status.size, 3);
}

static void one_that_mints_outside_its_log_is_caught(void **state)
{
    uint8_t wire[GV_CERTIFICATE_LEN];
    struct gv_identity minted;
    struct gv_certificate certificate = {.since_min = REGISTRY_NOW - 1,
                                         .issued_min = REGISTRY_NOW,
                                         .expires_min = REGISTRY_NOW + 129600,
                                         .group = 4ULL << 56 | 0x7f00};
    struct gv_audit_status status;

    join(&r, 10, wire);
    assert_int_equal(tell(&alice, GV_RECORD_CERTIFICATE, wire, sizeof wire), GV_OK);
    /* A perfect certificate, which a peer hands on. */
    registry_identity(&minted, 77);
    memcpy(certificate.key, minted.sign_public, GV_KEY_LEN);
    gv_certificate_issue(wire, &certificate, r.signer.sign_secret, r.descriptor.network_id);
    assert_int_equal(tell(&alice, GV_RECORD_CERTIFICATE, wire, sizeof wire), GV_OK);
    assert_string_equal(look(&alice).finding, ""); /* it may come into the next head, */
    registry_clock_ms += 86400000; /* which is signed after a day though nothing was added */
    status = look(&alice);
    assert_non_null(strstr(status.finding, "outside its log"));
    restart(&alice); /* it does not pass */
    status = look(&alice);
    assert_non_null(strstr(status.finding, "outside its log"));
}

/* Its key is changed, and the old one mints on in secret, back in the time when it was watched. */
static void one_that_mints_with_its_former_key_is_caught(void **state)
{
    uint8_t wire[GV_CERTIFICATE_LEN], secret[GV_SECRET_LEN];
    struct gv_identity minted, old = r.signer, next;
    struct gv_certificate certificate = {.since_min = REGISTRY_NOW - 1,
                                         .issued_min = REGISTRY_NOW,
                                         .expires_min = REGISTRY_NOW + 129600,
                                         .group = 4ULL << 56 | 0x7f00};
    struct gv_descriptor *d = &r.descriptor;

    join(&r, 10, wire);
    assert_int_equal(tell(&alice, GV_RECORD_CERTIFICATE, wire, sizeof wire), GV_OK);
    pass_hour();
    assert_string_equal(look(&alice).finding, "");
    char *path = gv_data_path(r.folder, GV_FILE_NEXT_KEY);
    assert_int_equal(gv_keyfile_create(secret, path, NULL), GV_OK);
    gv_identity_from_secret(&next, secret);
    free(path);
    d->version++;
    d->activation_min = REGISTRY_NOW;
    memcpy(d->keys[1].key, next.sign_public, GV_KEY_LEN);
    d->keys[1].from_min = REGISTRY_NOW;
    d->keys[1].until_min = REGISTRY_NOW + 2000000;
    d->key_count = 2;
    assert_int_equal(gv_write_descriptor(d, r.folder, r.root.sign_secret, NULL), GV_OK);
    r.signer = next;
    join(&r, 11, wire);
    assert_int_equal(tell(&alice, GV_RECORD_DESCRIPTOR, r.registrar->descriptor_wire.data,
                          r.registrar->descriptor_wire.len),
                     GV_OK);
    assert_int_equal(tell(&alice, GV_RECORD_CERTIFICATE, wire, sizeof wire), GV_OK);
    pass_hour();
    struct gv_audit_status status = look(&alice);
    assert_string_equal(status.finding, ""); /* an honest change accuses nobody */
    assert_string_equal(status.trouble, "");
    assert_int_equal(status.size, 1);
    restart(&alice);
    assert_string_equal(look(&alice).finding, "");
    registry_identity(&minted, 77);
    memcpy(certificate.key, minted.sign_public, GV_KEY_LEN);
    certificate.since_min = certificate.issued_min -= 5; /* the head of the next hour has it not */
    gv_certificate_issue(wire, &certificate, old.sign_secret, d->network_id);
    assert_int_equal(tell(&alice, GV_RECORD_CERTIFICATE, wire, sizeof wire), GV_OK);
    status = look(&alice);
    assert_non_null(strstr(status.finding, "outside its log"));
}

static void one_with_two_faces_is_caught_when_heads_meet(void **state)
{
    uint8_t wire[GV_CERTIFICATE_LEN];
    struct gv_buf head;

    start_twin();
    join(&r, 10, wire);
    join(&twin, 11, wire);
    assert_string_equal(look(&alice).finding, "");
    assert_string_equal(look(&bob).finding, "");
    gv_buf_init(&head);
    fetch_head(&r, &head);
    assert_int_equal(tell(&bob, GV_RECORD_LOG_HEAD, head.data, head.len), GV_OK);
    fetch_head(&twin, &head);
    assert_int_equal(tell(&alice, GV_RECORD_LOG_HEAD, head.data, head.len), GV_OK);
    gv_buf_free(&head);
    assert_int_equal(alice.two_faces, 1);
    assert_int_equal(bob.two_faces, 1);
    assert_non_null(strstr(look(&alice).finding, "two faces"));
    assert_non_null(strstr(look(&bob).finding, "two faces"));
}

/* It takes care that no two heads are of one hour, or of one size: no pair of heads shows anything.
 */
static void one_with_two_faces_is_caught_though_no_two_heads_contradict_each_other(void **state)
{
    uint8_t wire[GV_CERTIFICATE_LEN];
    struct gv_buf head;

    start_twin();
    join(&r, 10, wire);
    join(&r, 11, wire);
    join(&twin, 11, wire);
    gv_buf_init(&head);
    fetch_head(&twin, &head); /* size 1, this hour */
    assert_int_equal(tell(&alice, GV_RECORD_LOG_HEAD, head.data, head.len), GV_OK);
    pass_hour();
    struct gv_audit_status status = look(&alice); /* size 2, the next */
    gv_buf_free(&head);
    assert_int_equal(alice.two_faces, 0);
    assert_non_null(strstr(status.finding, "two faces"));
}

static void one_that_changes_what_it_signed_is_caught(void **state)
{
    uint8_t wire[GV_CERTIFICATE_LEN];

    start_twin();
    join(&r, 10, wire);
    assert_string_equal(look(&alice).finding, "");
    pass_hour();
    registry_clock_ms += 4 * 86400000ULL; /* the core has forgotten the head; the copy has not */
    join(&twin, 11, wire);
    join(&twin, 12, wire);
    strcpy(r.url, twin.url); /* the registry's address, and another log behind it */
    struct gv_audit_options options = {.loop = &twin.loop,
                                       .folder = alice.folder,
                                       .context = &alice,
                                       .url = url_of,
                                       .core = core_of,
                                       .head = on_head,
                                       .unix_ms = registry_clock};
    restart(&alice);
    alice.at = &twin;
    assert_int_equal(gv_audit_new(&alice.audit, &options), GV_OK);
    assert_non_null(strstr(look(&alice).finding, "is not the one whose head it signed"));
}

static void a_registry_whose_log_was_set_back_signs_nothing(void **state)
{
    uint8_t wire[GV_CERTIFICATE_LEN];
    struct gv_fetch_result result;
    struct gv_audit_status status;
    char command[512];

    join(&r, 10, wire);
    assert_int_equal(look(&alice).trouble_ms, 0);
    restart(&alice);
    snprintf(command, sizeof command,
             "sqlite3 %s/registry.db 'DELETE FROM log; DELETE FROM instance'", r.folder);
    registry_stop(&r);
    assert_int_equal(system(command), 0);
    registry_start(&r);
    pass_hour();
    join(&r, 11, wire);
    registry_fetch(&r, &result, "/v1/log/head", NULL);
    assert_int_equal(result.status, 503);
    gv_fetch_result_free(&result);
    /* And a node that gets none says so, since when, for as long as it lasts. */
    status = look(&alice);
    uint64_t since = registry_clock_ms;
    assert_string_equal(status.trouble, "the registry answers with HTTP status 503");
    assert_int_equal(status.trouble_ms, since);
    assert_true(status.has_head);
    assert_string_equal(status.finding, "");
    pass_hour();
    assert_int_equal(look(&alice).trouble_ms, since);
    restart(&alice);
    registry_stop(&r);
    snprintf(command, sizeof command,
             "rm -f %s/log.head %s/registry-log*; sqlite3 %s/registry.db 'DELETE FROM log_head'",
             r.folder, alice.folder, r.folder);
    assert_int_equal(system(command), 0);
    registry_start(&r);
    status = look(&alice);
    assert_string_equal(status.trouble, "");
    assert_int_equal(status.trouble_ms, 0);
}

/* The whole database of an hour ago, heads and all: only the file beside the keys remembers. */
static void an_old_backup_is_noticed(void **state)
{
    uint8_t wire[GV_CERTIFICATE_LEN];
    struct gv_fetch_result result;
    char command[256];

    join(&r, 10, wire);
    fetch_head(&r, NULL);
    registry_stop(&r);
    snprintf(command, sizeof command, "cp %s/registry.db %s/old", r.folder, r.folder);
    assert_int_equal(system(command), 0);
    registry_start(&r);
    join(&r, 11, wire);
    pass_hour();
    assert_int_equal(fetch_head(&r, NULL).size, 2);
    registry_stop(&r);
    snprintf(command, sizeof command, "rm -f %s/registry.db-*; cp %s/old %s/registry.db", r.folder,
             r.folder, r.folder);
    assert_int_equal(system(command), 0);
    registry_start(&r);
    pass_hour();
    join(&r, 12, wire);
    registry_fetch(&r, &result, "/v1/log/head", NULL);
    assert_int_equal(result.status, 503);
    gv_fetch_result_free(&result);
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
        T(one_that_mints_outside_its_log_is_caught),
        T(one_that_mints_with_its_former_key_is_caught),
        T(one_with_two_faces_is_caught_when_heads_meet),
        T(one_with_two_faces_is_caught_though_no_two_heads_contradict_each_other),
        T(one_that_changes_what_it_signed_is_caught),
        T(a_registry_whose_log_was_set_back_signs_nothing),
        T(an_old_backup_is_noticed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
