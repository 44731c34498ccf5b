/* Nodes that watch a registry with more than one key (SPEC 4.2, 14.7): whatever is signed with any
 * of them is in a log that all see, and no honest change of keys looks like a lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "helper_watcher.h"
#include "node/base/file.h"
#include "node/base/http.h"
#include "node/base/keyfile.h"
#include "node/registry/commands.h"

static struct registry r;
static struct watcher alice;

static int set_up(void **state)
{
    registry_make(&r);
    watcher_loosen(&r);
    registry_start(&r);
    watcher_make(&alice, &r, 1);
    return 0;
}

static int tear_down(void **state)
{
    watcher_free(&alice);
    registry_remove(&r);
    return 0;
}

static void pass_hour(void)
{
    registry_clock_ms += 3600000;
}

static void join_and_tell(unsigned number)
{
    uint8_t wire[GV_CERTIFICATE_LEN];

    watcher_join(&r, number, wire);
    assert_int_equal(watcher_tell(&alice, GV_RECORD_CERTIFICATE, wire, sizeof wire), GV_OK);
}

/* Looks, and again every hour. */
static struct gv_audit_status look_on(unsigned hours)
{
    struct gv_audit_status status = watcher_look(&alice);

    for (unsigned i = 0; i < hours; i++) {
        registry_clock_ms += 3600000;
        status = watcher_look(&alice);
    }
    return status;
}

/* As the registry's own tools write it, or (unasked) as whoever has the root key can. */
static void write_next(bool unasked)
{
    struct gv_descriptor *d = &r.descriptor;

    d->version++;
    d->activation_min = REGISTRY_NOW;
    if (unasked) {
        struct gv_buf wire;
        char *path = gv_data_path(r.folder, GV_FILE_DESCRIPTOR);
        gv_buf_init(&wire);
        assert_int_equal(gv_descriptor_issue(&wire, d, r.root.sign_secret), GV_OK);
        assert_int_equal(gv_file_write(path, wire.data, wire.len, 0644, NULL), GV_OK);
        gv_buf_free(&wire);
        free(path);
    } else {
        assert_int_equal(gv_write_descriptor(d, r.folder, r.root.sign_secret, NULL), GV_OK);
    }
    gv_registrar_refresh(r.registrar);
}

static void publish(bool unasked)
{
    write_next(unasked);
    assert_int_equal(watcher_tell(&alice, GV_RECORD_DESCRIPTOR, r.registrar->descriptor_wire.data,
                                  r.registrar->descriptor_wire.len),
                     GV_OK);
}

static void name_key(const struct gv_identity *key, uint32_t from_min)
{
    struct gv_registry_key *named = &r.descriptor.keys[r.descriptor.key_count++];

    memcpy(named->key, key->sign_public, GV_KEY_LEN);
    named->from_min = from_min;
    named->until_min = from_min + 2000000;
}

/* `keys --rotate`: a key that this registry has, and an end to the one before. */
static struct gv_identity rotate(uint32_t lead_min, uint32_t overlap_min)
{
    uint8_t secret[GV_SECRET_LEN];
    struct gv_identity next;
    char *path = gv_data_path(r.folder, GV_FILE_NEXT_KEY);

    assert_int_equal(gv_keyfile_create(secret, path, NULL), GV_OK);
    gv_identity_from_secret(&next, secret);
    free(path);
    r.descriptor.keys[0].until_min = REGISTRY_NOW + lead_min + overlap_min;
    name_key(&next, REGISTRY_NOW + lead_min);
    publish(false);
    return next;
}

/* The key that follows is the registry's now, and the one before is on no disk. */
static void promote(void)
{
    char command[256];

    snprintf(command, sizeof command, "mv %s/registry-next.key %s/registry.key", r.folder,
             r.folder);
    assert_int_equal(system(command), 0);
    watcher_restart(&alice); /* they share the loop */
    registry_stop(&r);
    registry_start(&r);
}

/* A second key beside the one that everybody watches, of which the registry has no log to show. */
static void one_that_mints_with_a_second_key_is_caught(void **state)
{
    struct gv_identity second;
    struct gv_audit_status status;

    join_and_tell(10);
    assert_string_equal(watcher_look(&alice).finding, "");
    registry_identity(&second, 500);
    name_key(&second, REGISTRY_NOW);
    publish(true);
    status = watcher_look(&alice); /* nothing is signed with it yet, and it is strange already */
    assert_string_equal(status.finding, "");
    assert_non_null(strstr(status.trouble, "shows no log of its key"));
    watcher_mint(&alice, &second, 77, REGISTRY_NOW);
    status = look_on(25); /* what was signed may come into a log for a day and ten minutes */
    assert_string_equal(status.finding, "");
    watcher_restart(&alice); /* a node that is started every day sees it as well */
    status = look_on(2);
    assert_non_null(strstr(status.finding, "of which it shows no log"));
    assert_true(status.has_head); /* the log of the key that all know is as it was */
    assert_int_equal(status.size, 1);
}

/* The second key has a log, which the minted is not in. */
static void one_that_mints_with_a_second_key_of_its_own_is_caught(void **state)
{
    struct gv_identity next = rotate(0, 60);

    r.signer = next;
    join_and_tell(10);
    watcher_mint(&alice, &next, 77, REGISTRY_NOW);
    assert_string_equal(look_on(0).finding, "");
    assert_non_null(strstr(look_on(25).finding, "outside its log"));
}

/* Its key is changed, and the old one mints on in secret, back in the time when it was watched. */
static void one_that_mints_with_its_former_key_is_caught(void **state)
{
    struct gv_identity old = r.signer;
    struct gv_audit_status status;

    join_and_tell(10);
    pass_hour();
    assert_string_equal(watcher_look(&alice).finding, "");
    r.signer = rotate(0, 60);
    join_and_tell(11);
    pass_hour();
    status = watcher_look(&alice);
    assert_string_equal(status.finding, ""); /* an honest change accuses nobody */
    assert_string_equal(status.trouble, "");
    assert_int_equal(status.size, 1);
    watcher_restart(&alice);
    assert_string_equal(watcher_look(&alice).finding, "");
    watcher_mint(&alice, &old, 77, REGISTRY_NOW - 80); /* the head of the next hour has it not */
    assert_non_null(strstr(watcher_look(&alice).finding, "outside its log"));
}

/* It mints in the very overlap, after the last head that it would have had to sign: it signs one
 * more, when the key has ended. */
static void one_that_mints_with_its_former_key_until_its_end_is_caught(void **state)
{
    struct gv_identity old = r.signer;

    join_and_tell(10);
    assert_string_equal(watcher_look(&alice).finding, "");
    r.signer = rotate(0, 60);
    registry_clock_ms += 59 * 60000;
    watcher_mint(&alice, &old, 77, REGISTRY_NOW);
    assert_string_equal(look_on(0).finding, "");
    assert_non_null(strstr(look_on(3).finding, "outside its log"));
}

/* A key that is announced, one that takes over, one that ends, one that is gone: with somebody who
 * enrols in each of these times, and nobody who is accused. */
static void an_honest_change_of_keys_accuses_nobody(void **state)
{
    struct gv_audit_status status;
    unsigned number = 10;

    for (unsigned change = 0; change < 2; change++) {
        join_and_tell(number++);
        assert_string_equal(look_on(2).trouble, "");
        if (change) {
            promote();
            r.descriptor.keys[0].until_min = REGISTRY_NOW + 1;
            memmove(r.descriptor.keys, r.descriptor.keys + 1, 7 * sizeof *r.descriptor.keys);
            r.descriptor.key_count--;
        }
        struct gv_identity next = rotate(180, 120);
        for (unsigned hour = 0; hour < 8; hour++) {
            if (hour == 3)
                r.signer = next;
            join_and_tell(number++);
            status = look_on(1);
            assert_string_equal(status.finding, "");
            assert_string_equal(status.trouble, "");
            if (hour % 3 == 2)
                watcher_restart(&alice);
        }
        status = look_on(28); /* long after, and nobody comes */
        assert_string_equal(status.finding, "");
        assert_string_equal(status.trouble, "");
    }
    assert_int_equal(alice.two_faces, 0);
}

/* Two changes one after the other: the first key is gone before its last head was due. What it has
 * signed stands in its log, and is shown. What does not is named, as one that was restored from a
 * backup has it, too, and which of these it is no node can know. */
static void a_former_key_that_nobody_has_is_no_lie_and_no_way_out(void **state)
{
    struct gv_identity old = r.signer;
    struct gv_audit_status status;

    join_and_tell(10);
    assert_string_equal(watcher_look(&alice).trouble, "");
    registry_clock_ms += 30 * 60000;
    join_and_tell(11); /* after the head of this hour */
    r.signer = rotate(0, 1);
    promote();
    status = look_on(30);
    assert_string_equal(status.finding, "");
    assert_string_equal(status.trouble, "");
    watcher_mint(&alice, &old, 77, r.descriptor.keys[0].until_min - 1);
    status = look_on(30); /* asked for once a day now */
    assert_string_equal(status.finding, "");
    assert_non_null(strstr(status.trouble, "what no log shows"));
    uint64_t since = status.trouble_ms;
    status = look_on(5);
    assert_int_equal(status.trouble_ms, since);
}

/* ---- a registry whose last entries cannot be taken ------------------------------------------- */

static struct {
    uint32_t signers[2];
    struct gv_buf heads[2];
    unsigned asked; /* for entries */
} torn;

static void on_torn_head(struct gv_http_request *request, void *context)
{
    const char *log = gv_http_query(request, "log");

    for (size_t i = 0; i < 2; i++)
        if (log && strtoul(log, NULL, 16) == torn.signers[i]) {
            gv_http_respond(request, 200, "application/octet-stream", torn.heads[i].data,
                            torn.heads[i].len);
            return;
        }
    gv_http_error(request, 404, "unknown", "no such key");
}

static void on_torn_entries(struct gv_http_request *request, void *context)
{
    torn.asked++;
    gv_http_respond(request, 200, "application/octet-stream", "no whole entry", 14);
}

static void keep_head(size_t at, const struct gv_identity *key)
{
    struct gv_fetch_result result;
    char path[64];

    torn.signers[at] = gv_certificate_signer(key->sign_public);
    snprintf(path, sizeof path, "/v1/log/head?log=%08x", torn.signers[at]);
    registry_fetch(&r, &result, path, NULL);
    assert_int_equal(result.status, 200);
    gv_buf_init(&torn.heads[at]);
    gv_buf_append(&torn.heads[at], result.body, result.len);
    gv_fetch_result_free(&result);
}

/* One look at it, by a server that gives its heads as they are and no entry of its log. */
static struct gv_audit_status look_at_torn(const struct gv_identity *old,
                                           const struct gv_identity *present)
{
    static const struct gv_http_route routes[] = {{"GET", "/v1/log/head", on_torn_head},
                                                  {"GET", "/v1/log/entries", on_torn_entries}};
    struct gv_http_options options = {.host = "127.0.0.1", .routes = routes, .route_count = 2};
    struct gv_http_server *server;
    struct gv_audit_status status;
    char url[sizeof r.url];

    memset(&torn, 0, sizeof torn);
    keep_head(0, old);
    keep_head(1, present);
    assert_int_equal(gv_http_start(&server, &r.loop, &options, NULL), GV_OK);
    strcpy(url, r.url);
    snprintf(r.url, sizeof r.url, "http://127.0.0.1:%u", gv_http_port(server));
    status = watcher_look(&alice);
    strcpy(r.url, url);
    gv_http_stop(server);
    for (size_t i = 0; i < 2; i++)
        gv_buf_free(&torn.heads[i]);
    return status;
}

/* What a node cannot take of a former key's log it has not seen, and it accuses nobody of what may
 * stand there. */
static void what_cannot_be_copied_is_not_called_withheld(void **state)
{
    struct gv_identity old = r.signer;
    struct gv_audit_status status;

    join_and_tell(10);
    assert_string_equal(watcher_look(&alice).trouble, "");
    registry_clock_ms += 30 * 60000;
    join_and_tell(11); /* behind the last head of its key */
    struct gv_identity next = r.signer = rotate(0, 1);
    promote();
    registry_clock_ms += 30 * 3600000ULL;
    status = look_at_torn(&old, &next);
    assert_true(torn.asked > 0);
    assert_string_equal(status.finding, "");
    assert_null(strstr(status.trouble, "what no log shows"));
    assert_string_equal(status.trouble, gv_strerror(GV_ERR_MALFORMED));
    status = watcher_look(&alice); /* it is there, as an empty page at the end of it shows */
    assert_string_equal(status.finding, "");
    assert_string_equal(status.trouble, "");
}

/* A key that has ended wants no new one, and the size of its last head is not what is too long. */
static void what_stands_beyond_the_copy_is_named_as_that(void **state)
{
    alice.copy_max = 1;
    join_and_tell(10);
    assert_string_equal(watcher_look(&alice).trouble, "");
    registry_clock_ms += 30 * 60000;
    join_and_tell(11); /* behind the last head of its key */
    r.signer = rotate(0, 1);
    promote();
    registry_clock_ms += 30 * 3600000ULL;
    struct gv_audit_status status = watcher_look(&alice);
    assert_string_equal(status.finding, "");
    assert_non_null(strstr(status.trouble, "goes on beyond the 1 certificates that are copied"));
    assert_null(strstr(status.trouble, "--rotate"));
}

/* Restored from a backup that knows nothing of its last key, it says so and names that as one that
 * has ended; a node that has not heard that yet accuses nobody. */
static void one_that_lost_a_key_is_not_called_a_liar(void **state)
{
    struct gv_identity lost;
    struct gv_audit_status status;

    join_and_tell(10);
    registry_identity(&lost, 500);
    name_key(&lost, REGISTRY_NOW);
    publish(true);
    watcher_mint(&alice, &lost, 77, REGISTRY_NOW);
    registry_clock_ms += 30 * 3600000ULL;
    r.descriptor.keys[1].until_min = REGISTRY_NOW;
    write_next(true); /* alice does not hear of this */
    status = look_on(2);
    assert_string_equal(status.finding, "");
    assert_non_null(strstr(status.trouble, "what no log shows"));
}

static void one_that_is_down_is_accused_of_nothing(void **state)
{
    struct gv_identity second;
    struct gv_audit_status status;
    char url[sizeof r.url];

    join_and_tell(10);
    registry_identity(&second, 500);
    name_key(&second, REGISTRY_NOW);
    publish(true);
    watcher_mint(&alice, &second, 77, REGISTRY_NOW);
    watcher_mint(&alice, &r.signer, 78, REGISTRY_NOW);
    watcher_restart(&alice);
    strcpy(url, r.url);
    strcpy(r.url, "http://127.0.0.1:1");
    status = look_on(30);
    assert_string_equal(status.finding, "");
    assert_string_not_equal(status.trouble, "");
    strcpy(r.url, url);
    assert_string_not_equal(watcher_look(&alice).finding, "");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(one_that_mints_with_a_second_key_is_caught),
        T(one_that_mints_with_a_second_key_of_its_own_is_caught),
        T(one_that_mints_with_its_former_key_is_caught),
        T(one_that_mints_with_its_former_key_until_its_end_is_caught),
        T(an_honest_change_of_keys_accuses_nobody),
        T(a_former_key_that_nobody_has_is_no_lie_and_no_way_out),
        T(what_cannot_be_copied_is_not_called_withheld),
        T(what_stands_beyond_the_copy_is_named_as_that),
        T(one_that_lost_a_key_is_not_called_a_liar),
        T(one_that_is_down_is_accused_of_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
