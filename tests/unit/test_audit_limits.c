/* The log of certificates where it is too long, or cannot be stored (SPEC 14.7): a node goes on
 * with what it can compare, and says what it cannot. */
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
#include "helper_watcher.h"

#define MOST 1200 /* entries that are copied here */

static struct registry r, twin;
static struct watcher alice;

static int set_up(void **state)
{
    registry_make(&r);
    watcher_loosen(&r);
    registry_start(&r);
    watcher_make(&alice, &r, 1);
    alice.copy_max = MOST;
    return 0;
}

static int tear_down(void **state)
{
    watcher_free(&alice);
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

/* Entries number FROM to FROM + COUNT - 1, of `face`: another face has others. */
static void grow(struct registry *at, uint8_t face, uint32_t from, uint32_t count)
{
    struct gv_certificate certificate = {.signer = gv_certificate_signer(at->signer.sign_public)};

    certificate.id[GV_ID_LEN - 1] = face;
    assert_int_equal(gv_records_begin(at->registrar->records), GV_OK);
    for (uint32_t i = from; i < from + count; i++) {
        memcpy(certificate.id, &i, sizeof i);
        assert_int_equal(gv_records_log_append(at->registrar->records, &certificate), GV_OK);
    }
    assert_int_equal(gv_records_finish(at->registrar->records, GV_OK), GV_OK);
}

static void sign_head(struct registry *at)
{
    struct gv_fetch_result result;

    registry_fetch(at, &result, "/v1/log/head", NULL);
    assert_int_equal(result.status, 200);
    gv_fetch_result_free(&result);
}

static void a_head_within_the_limit_is_reached_though_the_log_is_longer(void **state)
{
    grow(&r, 0, 0, MOST - 50);
    pass_hour();
    sign_head(&r);
    grow(&r, 0, MOST - 50, 100); /* within its hour: the last page goes beyond the limit */
    struct gv_audit_status status = watcher_look(&alice);
    assert_string_equal(status.trouble, "");
    assert_int_equal(status.size, MOST - 50);
}

static void a_log_that_is_too_long_is_named_and_not_fetched_over_and_over(void **state)
{
    struct gv_audit_status status;

    grow(&r, 0, 0, MOST + 1);
    for (int look = 0; look < 3; look++) {
        pass_hour();
        /* A question for the head is allowed, and none for its entries. */
        r.settings.requests_per_client_minute = 1;
        status = watcher_look(&alice);
        assert_non_null(strstr(status.trouble, "has 1201 certificates, of which 1200"));
        assert_non_null(strstr(status.trouble, "keys --rotate"));
        assert_true(status.trouble_ms > 0);
        assert_string_equal(status.finding, "");
    }
    assert_false(status.has_head);
}

/* What to do about it is said first, whatever the registry answers to the question for a proof. */
static void a_log_that_grew_too_long_is_named_without_a_proof(void **state)
{
    grow(&r, 0, 0, 1000);
    pass_hour();
    assert_int_equal(watcher_look(&alice).size, 1000);
    grow(&r, 0, 1000, 700);
    pass_hour();
    r.settings.requests_per_client_minute = 1; /* the head, and no proof */
    struct gv_audit_status status = watcher_look(&alice);
    assert_non_null(strstr(status.trouble, "has 1700 certificates, of which 1200"));
    assert_non_null(strstr(status.trouble, "keys --rotate"));
    assert_string_equal(status.finding, "");
}

/* What was copied before stays compared, and what comes after is proven to be the same log. */
static void a_log_that_grew_too_long_is_proven_to_have_grown(void **state)
{
    grow(&r, 0, 0, 1000);
    pass_hour();
    pass_hour();
    assert_int_equal(watcher_look(&alice).size, 1000);
    grow(&r, 0, 1000, 700);
    pass_hour();
    struct gv_audit_status status = watcher_look(&alice);
    assert_non_null(strstr(status.trouble, "has 1700 certificates"));
    assert_string_equal(status.finding, "");
    assert_int_equal(status.size, 1000);
    watcher_mint(&alice, &r.signer, 77, REGISTRY_NOW - 120); /* before the head that is held */
    assert_non_null(strstr(watcher_look(&alice).finding, "outside its log"));
}

static void one_that_is_too_long_and_another_is_caught(void **state)
{
    char command[256];

    grow(&r, 0, 0, 1000);
    pass_hour();
    assert_int_equal(watcher_look(&alice).size, 1000);
    watcher_restart(&alice);
    registry_make(&twin);
    snprintf(command, sizeof command, "cp %s/*.key %s/network.descriptor %s/", r.folder, r.folder,
             twin.folder);
    assert_int_equal(system(command), 0);
    twin.descriptor = r.descriptor;
    twin.signer = r.signer;
    watcher_loosen(&twin);
    registry_start(&twin);
    grow(&twin, 1, 0, MOST + 500);
    for (int hour = 0; hour < 5;
         hour++) /* a new registry starts where the clock of the first did */
        pass_hour();
    alice.at = &twin; /* the registry's address, and another log behind it */
    assert_non_null(strstr(watcher_look(&alice).finding, "is not the one whose head it signed"));
}

/* ---- where it cannot be stored -------------------------------------------------------------- */

static void in_folder(const char *folder, const char *command)
{
    char line[512];

    snprintf(line, sizeof line, "cd '%s' && key=%08x && %s", folder,
             gv_certificate_signer(r.signer.sign_public), command);
    assert_int_equal(system(line), 0);
}

/* A folder stands where its file should: what a full disk does, without one. */
static void a_copy_that_cannot_be_stored_is_said_and_compared_all_the_same(void **state)
{
    static const char *const files[] = {"registry-log-$key", "registry-log-$key.head"};
    struct gv_audit_status status;
    char command[128];

    for (unsigned i = 0; i < 2; i++) {
        grow(&r, 0, 10 * i, 10);
        pass_hour();
        snprintf(command, sizeof command, "rm -f %s && mkdir -p %s/in", files[i], files[i]);
        in_folder(alice.folder, command);
        status = watcher_look(&alice);
        assert_non_null(strstr(status.trouble, "the copy is not stored"));
        assert_string_equal(status.finding, "");
        snprintf(command, sizeof command, "rm -r %s", files[i]);
        in_folder(alice.folder, command);
        status = watcher_look(&alice);
        assert_string_equal(status.trouble, "");
        assert_int_equal(status.size, 10 * i + 10);
        watcher_restart(&alice); /* and it is there after a restart */
        r.settings.requests_per_client_minute = 10000;
        status = watcher_look(&alice);
        assert_string_equal(status.trouble, "");
        assert_int_equal(status.size, 10 * i + 10);
    }
}

/* The registry's own file beside its keys: a head that is signed is given all the same, and the
 * file is written with the next. */
static void a_registry_that_cannot_write_its_file_signs_all_the_same(void **state)
{
    grow(&r, 0, 0, 3);
    pass_hour();
    in_folder(r.folder, "rm -f log-$key.head && mkdir -p log-$key.head/in");
    assert_int_equal(watcher_look(&alice).size, 3);
    in_folder(r.folder, "rm -r log-$key.head");
    grow(&r, 0, 3, 3);
    pass_hour();
    assert_int_equal(watcher_look(&alice).size, 6);
    in_folder(r.folder, "test -s log-$key.head");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(a_head_within_the_limit_is_reached_though_the_log_is_longer),
        T(a_log_that_is_too_long_is_named_and_not_fetched_over_and_over),
        T(a_log_that_grew_too_long_is_named_without_a_proof),
        T(a_log_that_grew_too_long_is_proven_to_have_grown),
        T(one_that_is_too_long_and_another_is_caught),
        T(a_copy_that_cannot_be_stored_is_said_and_compared_all_the_same),
        T(a_registry_that_cannot_write_its_file_signs_all_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
