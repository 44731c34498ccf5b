/* An owner ends his registration himself, from the machine and without it (SPEC 14.4); and the
 * limits that the admin changes for one owner or domain (14.6). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "helper_registry.h"
#include "node/base/db.h"
#include "node/registry/enrolment.h"
#include "node/registry/records_internal.h"
#include "node/registry/template.h"

static struct registry r;
static struct gv_identity alice[2], bob;
static uint8_t wire[GV_CERTIFICATE_LEN];
static char word[32], text[4096], code[16];

static int setup(void **state)
{
    registry_make(&r);
    r.settings.enroll_per_client_hour = r.settings.confirm_per_client_hour = 1000;
    registry_start(&r);
    registry_identity(&alice[0], 1);
    registry_identity(&alice[1], 2);
    registry_identity(&bob, 3);
    return 0;
}

static int teardown(void **state)
{
    registry_remove(&r);
    return 0;
}

static struct gv_certificate join(const struct gv_identity *who, const char *email)
{
    struct gv_certificate certificate;

    registry_join(&r, who, email, wire);
    assert_int_equal(gv_certificate_parse(&certificate, wire, sizeof wire), GV_OK);
    return certificate;
}

static json_t *leaving(const struct gv_identity *who, const struct gv_certificate *held)
{
    struct gv_proof proof = {.kind = GV_PROOF_LEAVE};

    memcpy(proof.certificate, held->id, GV_ID_LEN);
    return registry_signed(&r, who, &proof);
}

static unsigned leave(const struct gv_identity *who, const struct gv_certificate *held)
{
    return registry_post(&r, "/v1/leave", leaving(who, held), word, wire);
}

struct tally {
    int instances, revoked, emails;
};

static int count_one(void *context, const struct gv_instance *instance, const char *email)
{
    struct tally *tally = context;

    tally->instances++;
    tally->revoked += instance->revoked;
    tally->emails += *email != '\0';
    return GV_OK;
}

static void holds(int instances, int revoked, int emails)
{
    struct tally tally = {0};

    assert_int_equal(gv_records_each(r.registrar->records, count_one, &tally), GV_OK);
    assert_int_equal(tally.instances, instances);
    assert_int_equal(tally.revoked, revoked);
    assert_int_equal(tally.emails, emails);
}

static void with_the_key(void **state)
{
    struct gv_certificate first = join(&alice[0], "alice@example.org");
    struct gv_certificate second = join(&alice[1], "Alice+mx2@example.org");
    struct gv_certificate other = join(&bob, "bob@example.org");

    assert_int_equal(leave(&alice[0], &first), 200);
    holds(3, 1, 3); /* her address is held for the other one */
    assert_int_equal(leave(&alice[0], &first), 403);
    assert_string_equal(word, "revoked");
    /* Nobody does it for another: key and signature must be one. */
    json_t *forged = leaving(&alice[1], &other);
    char key[2 * GV_KEY_LEN + 1];
    gv_hex(key, bob.sign_public, GV_KEY_LEN);
    json_object_set_new(forged, "key", json_string(key));
    assert_int_equal(registry_post(&r, "/v1/leave", forged, word, wire), 403);
    assert_string_equal(word, "proof");
    /* Nor with a signature that said something else. */
    struct gv_proof renewal = {.kind = GV_PROOF_RENEW};
    memcpy(renewal.certificate, other.id, GV_ID_LEN);
    assert_int_equal(
        registry_post(&r, "/v1/leave", registry_signed(&r, &bob, &renewal), word, wire), 403);
    assert_string_equal(word, "proof");
    holds(3, 1, 3);
    assert_int_equal(leave(&alice[1], &second), 200);
    holds(3, 2, 1); /* the last: her address is erased */
    struct gv_identity stranger;
    registry_identity(&stranger, 9);
    assert_int_equal(leave(&stranger, &first), 404);
}

/* Posts; gives the status, and the page in `text`. */
static unsigned post(const char *path, const char *body)
{
    struct gv_fetch_result result;

    registry_fetch(&r, &result, path, body);
    snprintf(text, sizeof text, "%.*s", (int)result.len, (const char *)result.body);
    unsigned status = result.status;
    gv_fetch_result_free(&result);
    while (r.registrar->mails > 0) /* nobody waited for it */
        uv_run(&r.loop, UV_RUN_ONCE);
    return status;
}

/* The path in the newest mail's link. */
static void link_of(char out[128], const char *mail)
{
    const char *at = strstr(mail, "http://127.0.0.1:4728/leave/");

    assert_non_null(at);
    snprintf(out, 128, "%.*s", (int)strcspn(at + 21, "\r\n"), at + 21);
}

static void without_the_machine(void **state)
{
    char known[4096], path[128], mail[4096], id[2 * GV_ID_LEN + 1];

    join(&alice[0], "alice@example.org");
    join(&alice[1], "alice@example.org");
    join(&bob, "bob@example.org");
    assert_int_equal(post("/leave", NULL), 200);
    assert_non_null(strstr(text, "name=\"email\""));
    int before = registry_mails(&r, mail, sizeof mail, code);
    assert_int_equal(post("/leave", "email=Alice%2Bx%40EXAMPLE.org&x=1"), 200);
    strcpy(known, text);
    assert_int_equal(post("/leave", "email=nobody%40example.org"), 200);
    assert_string_equal(text, known); /* a stranger learns nothing */
    assert_int_equal(registry_mails(&r, mail, sizeof mail, code), before + 1);
    assert_non_null(strstr(mail, "To: <alice@example.org>"));
    link_of(path, mail);

    /* To look at it ends nothing. */
    assert_int_equal(post(path, NULL), 200);
    gv_hex(id, alice[0].id, GV_ID_LEN);
    assert_non_null(strstr(text, id));
    gv_hex(id, bob.id, GV_ID_LEN);
    assert_null(strstr(text, id));
    holds(3, 0, 3);
    assert_int_equal(post(path, ""), 200);
    assert_non_null(strstr(text, "2 instances"));
    holds(3, 2, 1);
    assert_int_equal(post(path, ""), 404); /* once */
    assert_int_equal(post("/leave/00000000000000000000000000000000", ""), 404);
    assert_int_equal(post("/leave/zz", ""), 404);
}

static void a_link_ends_in_time_and_is_not_asked_for_without_end(void **state)
{
    char path[128], mail[4096];

    join(&alice[0], "alice@example.org"); /* one of five an hour */
    assert_int_equal(post("/leave", "email=alice%40example.org"), 200);
    registry_mails(&r, mail, sizeof mail, code);
    link_of(path, mail);
    for (int i = 0; i < 3; i++)
        assert_int_equal(post("/leave", "email=alice%40example.org"), 200);
    assert_int_equal(post("/leave", "email=alice%40example.org"), 429);
    registry_clock_ms += 30 * 60000;
    assert_int_equal(post(path, ""), 404);
    holds(1, 0, 1);
    static const char *const wrong[] = {"email=",
                                        "mail=alice%40example.org",
                                        "email=%4",
                                        "email=alice%00%40example.org",
                                        "email=%zz",
                                        "email=alice",
                                        "email=a%0d%0ab@example.org"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(post("/leave", wrong[i]), 400);
}

/* How many rows of a table are there, read beside the registry. */
static int rows(const char *table)
{
    char path[128], sql[128];
    sqlite3 *db;
    sqlite3_stmt *count;

    snprintf(path, sizeof path, "%s/registry.db", r.folder);
    snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", table);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &count, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(count), SQLITE_ROW);
    int found = sqlite3_column_int(count, 0);
    sqlite3_finalize(count);
    sqlite3_close(db);
    return found;
}

/* What the next commits wrote, in bytes of the log beside the database. */
static long long written(void)
{
    char path[128];
    struct stat wal;

    snprintf(path, sizeof path, "%s/registry.db-wal", r.folder);
    assert_int_equal(stat(path, &wal), 0);
    return (long long)wal.st_size;
}

/* So that its time tells nothing: nothing was looked up or stored before the answer was there. */
static void the_form_is_answered_before_anything_is_done(void **state)
{
    static const char *const addresses[] = {"email=alice%40example.org",
                                            "email=nobody%40example.org"};
    struct gv_fetch_result result;
    long long wrote[2];

    join(&alice[0], "alice@example.org");
    while (r.registrar->mails > 0)
        uv_run(&r.loop, UV_RUN_ONCE);
    for (size_t i = 0; i < 2; i++) {
        registry_fetch(&r, &result, "/leave", addresses[i]);
        assert_int_equal(result.status, 200);
        assert_int_equal(rows("leaving"), 0);
        assert_int_equal(r.registrar->mails, 1);
        gv_fetch_result_free(&result);
        wrote[i] = written();
        while (r.registrar->mails > 0)
            uv_run(&r.loop, UV_RUN_ONCE);
        wrote[i] = written() - wrote[i];
        assert_int_equal(rows("leaving"), 1 - (int)i);
        assert_int_equal(gv_records_purge(r.registrar->records, UINT32_MAX), GV_OK);
    }
    /* Nor does what a bystander waits for. */
    assert_true(wrote[0] > 0);
    assert_int_equal(wrote[0], wrote[1]);
}

/* ---- what is held --------------------------------------------------------------------------- */

static unsigned enroll(const struct gv_identity *who, const char *email)
{
    struct gv_proof proof = {.kind = GV_PROOF_ENROLL, .email = email, .terms = "2026-11"};

    return registry_post(&r, "/v1/enroll", registry_signed(&r, who, &proof), word, wire);
}

/* Nobody else need come for it, as the registry looks by itself. */
static void an_address_that_is_never_confirmed_goes(void **state)
{
    assert_int_equal(enroll(&alice[0], "alice@example.org"), 202);
    assert_int_equal(rows("pending"), 1);
    registry_stop(&r);
    registry_clock_ms += 29 * 60000ULL;
    registry_start(&r);
    uv_run(&r.loop, UV_RUN_NOWAIT);
    assert_int_equal(rows("pending"), 1);
    registry_clock_ms += 60000ULL;
    assert_true(uv_is_active((uv_handle_t *)&r.registrar->purge));
    assert_true(uv_timer_get_repeat(&r.registrar->purge) <= 60000);
    registry_stop(&r);
    registry_start(&r);
    uv_run(&r.loop, UV_RUN_NOWAIT);
    assert_int_equal(rows("pending"), 0);
}

struct found {
    int count[5];
    int64_t limit;
};

static int find_held(void *context, const struct gv_held *held)
{
    struct found *found = context;

    found->count[held->kind]++;
    if (held->kind == GV_HELD_LIMIT)
        found->limit = held->number;
    assert_int_equal(held->has_key, held->kind == GV_HELD_CODE ||
                                        (held->kind == GV_HELD_INVITATION && found->count[3] == 2));
    return GV_OK;
}

/* All of one owner is shown and erased, and nothing of another; an insert that a lost connection
 * made run twice is one. */
static void all_of_an_owner_is_known_and_erased(void **state)
{
    struct gv_records *records = r.registrar->records;
    uint8_t hash[GV_HASH_LEN] = {1}, mine[GV_ID_LEN], other[GV_ID_LEN];
    struct found found = {.limit = 0};
    uint32_t now = REGISTRY_NOW;

    gv_owner_tag(mine, r.registrar->owner_secret, "alice@example.org");
    gv_owner_tag(other, r.registrar->owner_secret, "bob@example.org");
    for (int twice = 0; twice < 2; twice++) {
        assert_int_equal(gv_records_invite(records, hash, mine, now + 60, now), GV_OK);
        assert_int_equal(gv_records_leaving_put(records, hash, mine, now + 30, now), GV_OK);
    }
    assert_int_equal(rows("invitation"), 1);
    assert_int_equal(rows("leaving"), 1);
    /* For anybody, and handed in by a key of hers: hers from her admission on. */
    hash[0] = 2;
    assert_int_equal(gv_records_invite(records, hash, NULL, now + 90, now), GV_OK);
    assert_int_equal(gv_records_claim(records, hash, mine, alice[0].sign_public, now), GV_OK);
    assert_int_equal(gv_records_bind_invitation(records, alice[0].sign_public, mine), GV_OK);
    hash[0] = 3;
    assert_int_equal(gv_records_invite(records, hash, other, now + 90, now), GV_OK);
    assert_int_equal(gv_records_allow(records, GV_ALLOWANCE_INSTANCES, mine, sizeof mine, 7),
                     GV_OK);
    assert_int_equal(enroll(&alice[1], "alice@example.org"), 202);
    assert_int_equal(gv_records_each_held(records, mine, find_held, &found), GV_OK);
    for (int kind = GV_HELD_CODE; kind <= GV_HELD_LIMIT; kind++)
        assert_int_equal(found.count[kind], kind == GV_HELD_INVITATION ? 2 : 1);
    assert_int_equal(found.limit, 7);
    assert_int_equal(gv_records_forget(records, mine), GV_OK);
    memset(&found, 0, sizeof found);
    assert_int_equal(gv_records_each_held(records, mine, find_held, &found), GV_OK);
    for (int kind = GV_HELD_CODE; kind <= GV_HELD_LIMIT; kind++)
        assert_int_equal(found.count[kind], 0);
    assert_int_equal(rows("invitation"), 1); /* Bob's */
}

/* ---- limits --------------------------------------------------------------------------------- */

static void a_domain_has_its_own_day(void **state)
{
    const char *name = "example.org";
    uint8_t tag[GV_ID_LEN];
    uint32_t codes = 0;

    r.settings.enroll_per_domain_day = 2;
    assert_int_equal(enroll(&alice[0], "a@example.org"), 202);
    registry_stop(&r);
    registry_start(&r); /* a restart does not begin it anew */
    assert_int_equal(enroll(&alice[0], "b@EXAMPLE.org"), 202);
    assert_int_equal(enroll(&alice[0], "c@example.org"), 429);
    assert_string_equal(word, "rate-domain");
    assert_int_equal(enroll(&alice[0], "c@sub.example.org"), 202);
    assert_int_equal(
        gv_records_allow(r.registrar->records, GV_ALLOWANCE_CODES, name, strlen(name), 4), GV_OK);
    assert_int_equal(enroll(&alice[0], "d@example.org"), 202); /* the refused one counted */
    assert_int_equal(enroll(&alice[0], "e@example.org"), 429);
    gv_domain_tag(tag, r.registrar->owner_secret, name);
    assert_int_equal(gv_records_domain_codes(r.registrar->records, &codes, tag, REGISTRY_NOW),
                     GV_OK);
    assert_int_equal(codes, 5);
    assert_int_equal(
        gv_records_allow(r.registrar->records, GV_ALLOWANCE_CODES, name, strlen(name), -1), GV_OK);
    registry_clock_ms += 1440 * 60000ULL; /* another day */
    assert_int_equal(enroll(&alice[0], "f@example.org"), 202);
    assert_int_equal(enroll(&alice[0], "g@example.org"), 202);
    assert_int_equal(enroll(&alice[0], "h@example.org"), 429);
    registry_clock_ms -= 10 * 60000ULL; /* a clock set back ends it */
    assert_int_equal(enroll(&alice[0], "i@example.org"), 202);
}

static void an_owner_may_have_more_or_none(void **state)
{
    struct gv_proof confirm = {.kind = GV_PROOF_CONFIRM, .code = code};
    uint8_t tag[GV_ID_LEN];

    r.registrar->rules.instances_per_owner = 1;
    join(&alice[0], "alice@example.org");
    assert_int_equal(enroll(&alice[1], "alice@example.org"), 202);
    registry_mails(&r, text, sizeof text, code);
    assert_int_equal(
        registry_post(&r, "/v1/confirm", registry_signed(&r, &alice[1], &confirm), word, wire),
        403);
    assert_string_equal(word, "limit");
    gv_owner_tag(tag, r.registrar->owner_secret, "alice@example.org");
    assert_int_equal(
        gv_records_allow(r.registrar->records, GV_ALLOWANCE_INSTANCES, tag, sizeof tag, 2), GV_OK);
    assert_int_equal(
        registry_post(&r, "/v1/confirm", registry_signed(&r, &alice[1], &confirm), word, wire),
        200);
    gv_owner_tag(tag, r.registrar->owner_secret, "bob@example.org");
    assert_int_equal(
        gv_records_allow(r.registrar->records, GV_ALLOWANCE_INSTANCES, tag, sizeof tag, 0), GV_OK);
    assert_int_equal(enroll(&bob, "bob@example.org"), 202);
    registry_mails(&r, text, sizeof text, code);
    assert_int_equal(
        registry_post(&r, "/v1/confirm", registry_signed(&r, &bob, &confirm), word, wire), 403);
    assert_string_equal(word, "limit");
}

/* ---- an older database ---------------------------------------------------------------------- */

static void an_older_database_is_brought_up_to_date(void **state)
{
    static const uint8_t key[GV_SECRET_LEN] = {1};
    char path[128], sql[600];
    struct gv_records *records;
    struct gv_domain_day day;
    struct gv_text why = {""};
    uint8_t owner[GV_ID_LEN] = {7}, domain[GV_ID_LEN] = {8};
    uint32_t count = 0;
    sqlite3 *db;

    for (size_t version = 1; version < gv_records_schema.migration_count; version++) {
        snprintf(path, sizeof path, "%s/older%zu.db", r.folder, version);
        assert_int_equal(gv_db_open(&db, path, gv_records_schema.sqlite, version, NULL), GV_OK);
        snprintf(sql, sizeof sql,
                 "INSERT INTO instance VALUES (x'01', x'07%030d', x'00', '2026-11', 5, NULL, NULL)",
                 0);
        assert_int_equal(gv_db_exec(db, sql, NULL), GV_OK);
        gv_db_close(db);
        assert_int_equal(gv_records_open(&records, path, key, &why), GV_OK);
        assert_int_equal(gv_records_count(records, &count, owner, owner), GV_OK);
        assert_int_equal(count, 1); /* nothing was lost */
        assert_int_equal(gv_records_domain_take(records, &day, "x.test", domain, 100), GV_OK);
        assert_int_equal(day.codes, 1);
        assert_int_equal(gv_records_leaving_put(records, r.registrar->owner_secret, owner, 9, 1),
                         GV_OK);
        gv_records_close(records);
    }
}

/* ---- the mail's text ------------------------------------------------------------------------ */

static void the_words_of_the_mail_are_the_admins(void **state)
{
    static const struct gv_mail_words words = {
        .network = "net", .minutes = "30", .link = "https://r.test/leave/00"};
    static const struct {
        const char *text;
        int rc;
        const char *part;
    } cases[] = {
        {"Subject: Bye {network}\n\n{link} {minutes}\n", GV_OK, "https://r.test/leave/00 30\n"},
        {"Subject: Bye\n\nno way\n", GV_ERR_MALFORMED, "{link} must be in it"},
        {"Subject: Bye\n\n{link} {code}\n", GV_ERR_MALFORMED, "network}, minutes}, link}"},
        {"Subject: Bye\n\n{link} {instance}\n", GV_ERR_MALFORMED, ":3:"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gv_buf mail;
        struct gv_text why = {""};
        size_t body_at = 0;
        gv_buf_init(&mail);
        assert_int_equal(gv_template_fill_text(&mail, &body_at, "f", cases[i].text,
                                               strlen(cases[i].text), &words, &why),
                         cases[i].rc);
        const char *said = cases[i].rc == GV_OK ? (const char *)mail.data + body_at : why.text;
        assert_non_null(strstr(said, cases[i].part));
        gv_buf_free(&mail);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(with_the_key),
        T(without_the_machine),
        T(a_link_ends_in_time_and_is_not_asked_for_without_end),
        T(the_form_is_answered_before_anything_is_done),
        T(an_address_that_is_never_confirmed_goes),
        T(all_of_an_owner_is_known_and_erased),
        T(a_domain_has_its_own_day),
        T(an_owner_may_have_more_or_none),
        T(an_older_database_is_brought_up_to_date),
        T(the_words_of_the_mail_are_the_admins),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
