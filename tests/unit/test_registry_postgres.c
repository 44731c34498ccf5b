/* The registry on a real PostgreSQL, which the test starts itself: the whole of an enrolment, two
 * registries on one database, appends that race, and a server that goes away. Skipped, loudly,
 * where PostgreSQL is not installed. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "helper_postgres.h"
#include "helper_registry.h"
#include "node/base/keyfile.h"
#include "node/registry/invitation.h"
#include "node/registry/sql.h"

static struct postgres server;
static bool there;
static struct registry one, two;
static char url[224];
static char text[4096], code[16], word[32];
static uint8_t wire[GV_CERTIFICATE_LEN];

static int make_server(void **state)
{
    there = postgres_make(&server);
    return 0;
}

static int remove_server(void **state)
{
    postgres_remove(&server);
    return 0;
}

static void use_database(struct registry *r)
{
    free(r->settings.database);
    r->settings.database = strdup(url);
    r->settings.enroll_per_client_hour = r->settings.confirm_per_client_hour = 10000;
    r->settings.enroll_per_domain_day = r->settings.requests_per_client_minute = 10000;
}

static int set_up(void **state)
{
    static unsigned number;
    char name[32];

    if (!there)
        return 0;
    snprintf(name, sizeof name, "registry%u", number++);
    postgres_database(&server, name, url);
    registry_make(&one);
    use_database(&one);
    registry_start(&one);
    return 0;
}

static int tear_down(void **state)
{
    if (!there)
        return 0;
    if (!server.pid)
        postgres_start(&server);
    registry_remove(&one);
    if (two.folder[0])
        registry_remove(&two);
    memset(&two, 0, sizeof two);
    return 0;
}

/* A second process as the balancer sees it: the same keys, the same database. */
static void start_second(void)
{
    char command[256];

    registry_make(&two);
    snprintf(command, sizeof command, "cp %s/*.key %s/network.descriptor %s/", one.folder,
             one.folder, two.folder);
    assert_int_equal(system(command), 0);
    two.descriptor = one.descriptor;
    two.signer = one.signer;
    use_database(&two);
    /* Codes may be asked for at one and handed in at the other: one mail folder. */
    strcpy(two.mail_folder, one.mail_folder);
    snprintf(two.settings.mail_url, 128, "file:%s", two.mail_folder);
    registry_start(&two);
}

static unsigned enroll(struct registry *at, const struct gv_identity *who, const char *email)
{
    struct gv_proof proof = {.kind = GV_PROOF_ENROLL, .email = email, .terms = "2026-11"};

    return registry_post(at, "/v1/enroll", registry_signed(at, who, &proof), word, wire);
}

static unsigned confirm(struct registry *at, const struct gv_identity *who)
{
    struct gv_proof proof = {.kind = GV_PROOF_CONFIRM, .code = code};

    registry_mails(&one, text, sizeof text, code);
    return registry_post(at, "/v1/confirm", registry_signed(at, who, &proof), word, wire);
}

#define NEEDS_SERVER                                                                               \
    if (!there)                                                                                    \
    skip()

static void an_enrolment_asked_for_at_one_is_confirmed_at_the_other(void **state)
{
    struct gv_identity alice;
    struct gv_certificate certificate;
    char count[128];

    NEEDS_SERVER;
    start_second();
    registry_identity(&alice, 1);
    assert_int_equal(enroll(&one, &alice, "alice@example.org"), 202);
    strcpy(code, "00000-00000");
    struct gv_proof wrong = {.kind = GV_PROOF_CONFIRM, .code = code};
    assert_int_equal(
        registry_post(&two, "/v1/confirm", registry_signed(&two, &alice, &wrong), word, wire), 403);
    assert_int_equal(confirm(&two, &alice), 200);
    assert_int_equal(confirm(&one, &alice), 410); /* spent, for both */
    postgres_query(url, "SELECT count(*) FROM log", count);
    assert_string_equal(count, "1");
    assert_int_equal(gv_certificate_parse(&certificate, wire, sizeof wire), GV_OK);
    registry_clock_ms += 46 * 86400000ULL; /* past half life */
    struct gv_proof renewal = {.kind = GV_PROOF_RENEW};
    memcpy(renewal.certificate, certificate.id, GV_ID_LEN);
    assert_int_equal(
        registry_post(&one, "/v1/renew", registry_signed(&one, &alice, &renewal), word, wire), 200);
    postgres_query(url, "SELECT count(*) FROM log", count);
    assert_string_equal(count, "2");
}

/* Emails are unreadable in the dump, as they are in the file. */
static void no_email_is_in_the_database(void **state)
{
    struct gv_identity alice;
    char count[128];

    NEEDS_SERVER;
    registry_identity(&alice, 1);
    registry_join(&one, &alice, "alice@example.org", wire);
    postgres_query(url, "SELECT count(*) FROM owner WHERE position('example'::bytea IN email) > 0",
                   count);
    assert_string_equal(count, "0");
    postgres_query(url, "SELECT octet_length(email) FROM owner", count);
    assert_string_equal(count, "296");
}

static void two_processes_sign_one_head_an_hour(void **state)
{
    struct gv_identity alice, bob;
    struct gv_fetch_result first, second;
    char count[128];

    NEEDS_SERVER;
    start_second();
    registry_identity(&alice, 1);
    registry_identity(&bob, 2);
    registry_join(&one, &alice, "alice@example.org", wire);
    registry_fetch(&one, &first, "/v1/log/head", NULL);
    assert_int_equal(first.status, 200);
    assert_int_equal(enroll(&two, &bob, "bob@example.org"), 202);
    assert_int_equal(confirm(&two, &bob), 200);
    registry_fetch(&two, &second, "/v1/log/head", NULL);
    assert_int_equal(second.status, 200);
    assert_int_equal(first.len, second.len);
    assert_memory_equal(first.body, second.body, first.len); /* though two has issued one more */
    gv_fetch_result_free(&first);
    gv_fetch_result_free(&second);
    registry_clock_ms += 3600000;
    registry_fetch(&two, &second, "/v1/log/head", NULL);
    registry_fetch(&one, &first, "/v1/log/head", NULL);
    assert_memory_equal(first.body, second.body, first.len);
    gv_fetch_result_free(&first);
    gv_fetch_result_free(&second);
    postgres_query(url, "SELECT count(*) FROM log_head", count);
    assert_string_equal(count, "2");
}

#define WRITERS 4
#define EACH    60

/* In a process of its own, as a registry would. */
static int append_many(unsigned writer)
{
    static const uint8_t key[GV_SECRET_LEN] = {1};
    struct gv_certificate certificate = {.signer = 7};
    struct gv_records *records;
    int rc = gv_records_open(&records, url, key, NULL);

    for (unsigned i = 0; rc == GV_OK && i < EACH; i++) {
        certificate.id[0] = (uint8_t)writer;
        certificate.id[1] = (uint8_t)i;
        rc = gv_records_begin(records);
        if (rc == GV_OK)
            rc = gv_records_finish(records, gv_records_log_append(records, &certificate));
    }
    gv_records_close(records);
    return rc;
}

static void appends_of_several_processes_leave_no_gap(void **state)
{
    pid_t children[WRITERS];
    char value[128];
    int status;

    NEEDS_SERVER;
    for (unsigned i = 0; i < WRITERS; i++) {
        children[i] = fork();
        if (children[i] == 0)
            _exit(append_many(i) == GV_OK ? 0 : 1);
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    postgres_query(url, "SELECT max(place) + 1 - count(*) FROM log WHERE signer = 7", value);
    assert_string_equal(value, "0");
    postgres_query(url, "SELECT count(DISTINCT certificate) FROM log WHERE signer = 7", value);
    assert_int_equal(atoi(value), WRITERS * EACH);
}

static unsigned health(void)
{
    struct gv_fetch_result result;

    registry_fetch(&one, &result, "/v1/health", NULL);
    unsigned status = result.status;
    gv_fetch_result_free(&result);
    return status;
}

static void a_connection_that_is_cut_is_made_anew_unnoticed(void **state)
{
    struct gv_identity alice;
    char unused[128];

    NEEDS_SERVER;
    registry_identity(&alice, 1);
    assert_int_equal(enroll(&one, &alice, "alice@example.org"), 202);
    sleep(1); /* once a second at most */
    postgres_query(url,
                   "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name "
                   "= 'grapevine-registry'",
                   unused);
    assert_string_equal(unused, "t");
    assert_int_equal(confirm(&one, &alice), 200);
}

static void a_server_that_is_down_is_503_and_nothing_is_lost(void **state)
{
    struct gv_identity alice;
    char count[128];

    NEEDS_SERVER;
    registry_identity(&alice, 1);
    assert_int_equal(enroll(&one, &alice, "alice@example.org"), 202);
    assert_int_equal(health(), 200);
    postgres_stop(&server);
    assert_int_equal(health(), 503);
    assert_int_equal(confirm(&one, &alice), 503);
    assert_string_equal(word, "unavailable");
    postgres_start(&server);
    for (int i = 0; i < 50 && health() != 200; i++)
        usleep(100000);
    assert_int_equal(health(), 200);
    assert_int_equal(confirm(&one, &alice), 200);
    postgres_query(url, "SELECT count(*) FROM log", count);
    assert_string_equal(count, "1");
}

/* All went well up to the commit, which did not: nobody gets a certificate that is on no disk. */
static void a_commit_that_fails_refuses_what_it_held(void **state)
{
    struct gv_identity alice;
    char value[128];

    NEEDS_SERVER;
    registry_identity(&alice, 1);
    assert_int_equal(enroll(&one, &alice, "alice@example.org"), 202);
    postgres_query(
        url,
        "CREATE FUNCTION refuse() RETURNS trigger AS 'BEGIN RAISE EXCEPTION ''no''; END' "
        "LANGUAGE plpgsql",
        value);
    postgres_query(url,
                   "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON log DEFERRABLE INITIALLY "
                   "DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()",
                   value);
    assert_int_equal(confirm(&one, &alice), 503);
    assert_string_equal(word, "unavailable");
    postgres_query(url, "DROP TRIGGER late ON log", value);
    assert_int_equal(confirm(&one, &alice), 200); /* the code was not spent */
}

/* Nothing that was answered is lost, whenever the server dies: it is shot while nodes enrol. */
static void what_was_promised_survives_the_server(void **state)
{
    static struct gv_certificate promised[400];
    struct gv_identity who;
    char email[64], sql[160], count[128], hex[2 * GV_ID_LEN + 1];
    unsigned given = 0, number = 100;

    NEEDS_SERVER;
    one.settings.enroll_per_email_hour = 10000;
    for (int round = 0; round < 3; round++) {
        pid_t killer = fork();
        if (killer == 0) {
            usleep(100000 + 70000u * (unsigned)round);
            kill(server.pid, SIGQUIT); /* at once, as in a crash: the log of writes is replayed */
            _exit(0);
        }
        unsigned status = 200;
        while (status == 200 && given < sizeof promised / sizeof *promised) {
            registry_identity(&who, number);
            snprintf(email, sizeof email, "n%u@example.org", number++);
            status = enroll(&one, &who, email);
            if (status != 202)
                break;
            status = confirm(&one, &who);
            if (status == 200)
                assert_int_equal(gv_certificate_parse(&promised[given++], wire, sizeof wire),
                                 GV_OK);
        }
        assert_int_equal(waitpid(killer, NULL, 0), killer);
        postgres_stop(&server);
        postgres_start(&server);
        for (int i = 0; i < 50 && health() != 200; i++)
            usleep(100000);
    }
    assert_true(given > 3);
    for (unsigned i = 0; i < given; i++) {
        gv_hex(hex, promised[i].id, GV_ID_LEN);
        snprintf(sql, sizeof sql, "SELECT count(*) FROM log WHERE certificate = '\\x%s'", hex);
        postgres_query(url, sql, count);
        assert_string_equal(count, "1");
    }
    postgres_query(url, "SELECT max(place) + 1 - count(*) FROM log", count);
    assert_string_equal(count, "0");
}

/* More writes than wait at a time, each of which needs those before it. */
static void many_writes_of_one_transaction_arrive_in_order(void **state)
{
    struct gv_certificate certificate = {.signer = 9};
    char value[128];

    NEEDS_SERVER;
    assert_int_equal(gv_records_begin(one.registrar->records), GV_OK);
    for (unsigned i = 0; i < 150; i++) {
        certificate.id[0] = (uint8_t)i;
        assert_int_equal(gv_records_log_append(one.registrar->records, &certificate), GV_OK);
    }
    assert_int_equal(gv_records_finish(one.registrar->records, GV_OK), GV_OK);
    postgres_query(url,
                   "SELECT count(*) FROM log WHERE signer = 9 AND place = get_byte(certificate, 0)",
                   value);
    assert_string_equal(value, "150");
    assert_int_equal(gv_records_begin(one.registrar->records), GV_OK);
    certificate.id[0] = 200;
    assert_int_equal(gv_records_log_append(one.registrar->records, &certificate), GV_OK);
    assert_int_equal(gv_records_finish(one.registrar->records, GV_ERR_FULL), GV_ERR_FULL);
    postgres_query(url, "SELECT count(*) FROM log WHERE signer = 9", value);
    assert_string_equal(value, "150"); /* what was rolled back did not wait for the next */
    assert_int_equal(gv_records_begin(one.registrar->records), GV_OK);
    assert_int_equal(gv_records_finish(one.registrar->records, GV_OK), GV_OK);
    postgres_query(url, "SELECT count(*) FROM log WHERE signer = 9", value);
    assert_string_equal(value, "150");
}

/* A write that waited and then failed takes its whole transaction with it, also what was asked in
 * between; and the next one is a new one. */
static void a_write_that_fails_later_refuses_all(void **state)
{
    struct gv_certificate certificate = {.signer = 9};
    struct gv_instance unused;
    char value[128];

    NEEDS_SERVER;
    postgres_query(url, "ALTER TABLE log ADD CONSTRAINT small CHECK (place < 1)", value);
    assert_int_equal(gv_records_begin(one.registrar->records), GV_OK);
    assert_int_equal(gv_records_log_append(one.registrar->records, &certificate), GV_OK);
    certificate.id[0] = 1;
    assert_int_equal(gv_records_log_append(one.registrar->records, &certificate), GV_OK);
    assert_int_equal(gv_records_instance(one.registrar->records, &unused, certificate.id),
                     GV_ERR_IO);
    certificate.id[0] = 2; /* nothing more is taken for good */
    (void)gv_records_log_append(one.registrar->records, &certificate);
    assert_int_not_equal(gv_records_finish(one.registrar->records, GV_OK), GV_OK);
    postgres_query(url, "SELECT count(*) FROM log", value);
    assert_string_equal(value, "0");
    postgres_query(url, "ALTER TABLE log DROP CONSTRAINT small", value);
    assert_int_equal(gv_records_begin(one.registrar->records), GV_OK);
    assert_int_equal(gv_records_log_append(one.registrar->records, &certificate), GV_OK);
    assert_int_equal(gv_records_finish(one.registrar->records, GV_OK), GV_OK);
    postgres_query(url, "SELECT count(*) FROM log", value);
    assert_string_equal(value, "1");
}

/* ---- invitations, limits, leaving ------------------------------------------------------------ */

static unsigned enroll_invited(struct registry *at, const struct gv_identity *who,
                               const char *email, const char *invitation)
{
    struct gv_proof proof = {.kind = GV_PROOF_ENROLL, .email = email, .terms = "2026-11"};
    json_t *json = registry_signed(at, who, &proof);

    if (invitation)
        json_object_set_new(json, "invitation", json_string(invitation));
    return registry_post(at, "/v1/enroll", json, word, wire);
}

static int count_held(void *context, const struct gv_held *held)
{
    ((int *)context)[held->kind]++;
    return GV_OK;
}

/* Stored at the one, claimed at the other, good for the first key alone; and for its owner alone.
 */
static void invitations_are_shared(void **state)
{
    struct gv_identity alice, bob;
    uint8_t hash[GV_HASH_LEN], owner[GV_ID_LEN];
    int held[GV_HELD_LIMIT + 1];
    uint32_t now;

    NEEDS_SERVER;
    start_second();
    now = gv_registrar_now_min(one.registrar);
    one.settings.enrolment = two.settings.enrolment = GV_ENROLMENT_INVITED;
    registry_identity(&alice, 1);
    registry_identity(&bob, 2);
    assert_int_equal(gv_invitation_hash(hash, one.registrar->owner_secret, "ABCDE-FGHJK"), GV_OK);
    assert_int_equal(gv_records_invite(one.registrar->records, hash, NULL, now + 60, now), GV_OK);
    assert_int_equal(enroll_invited(&two, &alice, "alice@example.org", NULL), 403);
    assert_int_equal(enroll_invited(&two, &alice, "alice@example.org", "ABCDE-FGHJX"), 403);
    assert_int_equal(enroll_invited(&two, &alice, "alice@example.org", "abcde fghjk"), 202);
    assert_int_equal(enroll_invited(&one, &bob, "bob@example.org", "ABCDE-FGHJK"), 403);
    assert_string_equal(word, "invitation");
    assert_int_equal(enroll_invited(&one, &alice, "alice@example.org", "ABCDE-FGHJK"), 202);
    assert_int_equal(confirm(&two, &alice), 200);
    /* It was for anybody, and is hers from now on: it is shown to her who asks what is held. */
    gv_owner_tag(owner, one.registrar->owner_secret, "alice@example.org");
    memset(held, 0, sizeof held);
    assert_int_equal(gv_records_each_held(one.registrar->records, owner, count_held, held), GV_OK);
    assert_int_equal(held[GV_HELD_INVITATION], 1);
    assert_int_equal(held[GV_HELD_CODE], 0);
    /* For one owner */
    assert_int_equal(gv_invitation_hash(hash, one.registrar->owner_secret, "BBBBB-BBBBB"), GV_OK);
    gv_owner_tag(owner, one.registrar->owner_secret, "bob@example.org");
    assert_int_equal(gv_records_invite(two.registrar->records, hash, owner, now + 60, now), GV_OK);
    registry_identity(&alice, 3);
    assert_int_equal(enroll_invited(&one, &alice, "alice@example.org", "BBBBB-BBBBB"), 403);
    assert_int_equal(enroll_invited(&one, &bob, "bob@example.org", "BBBBB-BBBBB"), 202);
    /* and over */
    assert_int_equal(gv_invitation_hash(hash, one.registrar->owner_secret, "CCCCC-CCCCC"), GV_OK);
    assert_int_equal(gv_records_invite(one.registrar->records, hash, NULL, now + 1, now), GV_OK);
    registry_clock_ms += 60000;
    assert_int_equal(enroll_invited(&two, &alice, "alice@example.org", "CCCCC-CCCCC"), 403);
}

static void a_domains_day_is_one_for_all_processes(void **state)
{
    struct gv_identity alice;

    NEEDS_SERVER;
    start_second();
    one.settings.enroll_per_domain_day = two.settings.enroll_per_domain_day = 3;
    registry_identity(&alice, 1);
    assert_int_equal(enroll(&one, &alice, "a@example.org"), 202);
    assert_int_equal(enroll(&two, &alice, "b@example.org"), 202);
    assert_int_equal(enroll(&one, &alice, "c@example.org"), 202);
    assert_int_equal(enroll(&two, &alice, "d@example.org"), 429);
    assert_string_equal(word, "rate-domain");
    assert_int_equal(
        gv_records_allow(one.registrar->records, GV_ALLOWANCE_CODES, "example.org", 11, 10), GV_OK);
    assert_int_equal(enroll(&two, &alice, "e@example.org"), 202);
}

static void an_owner_who_left_is_erased(void **state)
{
    struct gv_identity alice;
    struct gv_proof proof = {.kind = GV_PROOF_LEAVE};
    char count[128];

    NEEDS_SERVER;
    start_second();
    registry_identity(&alice, 1);
    registry_join(&one, &alice, "alice@example.org", wire);
    assert_int_equal(
        registry_post(&two, "/v1/leave", registry_signed(&two, &alice, &proof), word, wire), 200);
    postgres_query(url, "SELECT count(*) FROM owner", count);
    assert_string_equal(count, "0");
    postgres_query(url, "SELECT count(*) FROM instance WHERE revocation IS NOT NULL", count);
    assert_string_equal(count, "1");
}

static void a_wrong_place_is_told_without_the_password(void **state)
{
    static const uint8_t key[GV_SECRET_LEN] = {1};
    struct gv_records *records;
    struct gv_text why = {""};

    NEEDS_SERVER;
    assert_int_equal(
        gv_records_open(&records, "postgresql://somebody:secret@/nothing?host=/nowhere", key, &why),
        GV_ERR_IO);
    assert_null(records);
    assert_non_null(strstr(why.text, "[registry] database: "));
    assert_null(strstr(why.text, "secret"));
}

/* As a program of the schema before would have left it; the processes behind a balancer are
 * upgraded one after the other. */
static void an_older_schema_is_brought_up_to_date(void **state)
{
    static const char *const back[] = {"DROP TABLE leaving", "DROP TABLE allowance",
                                       "DROP TABLE domain_day",
                                       "UPDATE grapevine_schema SET version = 4"};
    struct gv_identity alice;
    char count[128], now[128];

    NEEDS_SERVER;
    postgres_query(url, "SELECT version FROM grapevine_schema", now);
    registry_identity(&alice, 1);
    registry_join(&one, &alice, "alice@example.org", wire);
    registry_stop(&one);
    for (size_t i = 0; i < sizeof back / sizeof *back; i++)
        postgres_query(url, back[i], count);
    registry_start(&one);
    start_second();
    postgres_query(url, "SELECT version FROM grapevine_schema", count);
    assert_string_equal(count, now);
    postgres_query(url, "SELECT count(*) FROM log", count);
    assert_string_equal(count, "1");
    /* The new tables are in use, and what was there before is known. */
    struct gv_proof proof = {.kind = GV_PROOF_LEAVE};
    struct gv_certificate held;
    assert_int_equal(gv_certificate_parse(&held, wire, sizeof wire), GV_OK);
    memcpy(proof.certificate, held.id, GV_ID_LEN);
    assert_int_equal(
        registry_post(&two, "/v1/leave", registry_signed(&two, &alice, &proof), word, wire), 200);
    postgres_query(url, "SELECT count(*) FROM domain_day", count);
    assert_string_equal(count, "0");
}

static void a_schema_of_a_newer_program_is_left_alone(void **state)
{
    static const uint8_t key[GV_SECRET_LEN] = {1};
    struct gv_records *records;
    struct gv_text why = {""};
    char unused[128];

    NEEDS_SERVER;
    postgres_query(url, "UPDATE grapevine_schema SET version = 999", unused);
    assert_int_equal(gv_records_open(&records, url, key, &why), GV_ERR_VERSION);
    postgres_query(url, "SELECT version FROM grapevine_schema", unused);
    assert_string_equal(unused, "999");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(an_enrolment_asked_for_at_one_is_confirmed_at_the_other),
        T(no_email_is_in_the_database),
        T(two_processes_sign_one_head_an_hour),
        T(appends_of_several_processes_leave_no_gap),
        T(a_connection_that_is_cut_is_made_anew_unnoticed),
        T(a_server_that_is_down_is_503_and_nothing_is_lost),
        T(a_commit_that_fails_refuses_what_it_held),
        T(what_was_promised_survives_the_server),
        T(many_writes_of_one_transaction_arrive_in_order),
        T(a_write_that_fails_later_refuses_all),
        T(invitations_are_shared),
        T(a_domains_day_is_one_for_all_processes),
        T(an_owner_who_left_is_erased),
        T(a_wrong_place_is_told_without_the_password),
        T(an_older_schema_is_brought_up_to_date),
        T(a_schema_of_a_newer_program_is_left_alone),
    };

    return cmocka_run_group_tests(tests, make_server, remove_server);
}
