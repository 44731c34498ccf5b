/* The registry on a real PostgreSQL, which the test starts itself: the whole of an enrolment, two
 * registries on one database, appends that race, and a server that goes away. Skipped, loudly, where
 * PostgreSQL is not installed. */
#include <setjmp.h>
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
    postgres_query(url,
                   "SELECT count(*) FROM owner WHERE position('example'::bytea IN email) > 0",
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

static void a_wrong_place_is_told_without_the_password(void **state)
{
    static const uint8_t key[GV_SECRET_LEN] = {1};
    struct gv_records *records;
    struct gv_text why = {""};

    NEEDS_SERVER;
    assert_int_equal(gv_records_open(&records,
                                     "postgresql://somebody:secret@/nothing?host=/nowhere", key,
                                     &why),
                     GV_ERR_IO);
    assert_null(records);
    assert_non_null(strstr(why.text, "[registry] database: "));
    assert_null(strstr(why.text, "secret"));
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
        T(a_wrong_place_is_told_without_the_password),
        T(a_schema_of_a_newer_program_is_left_alone),
    };

    return cmocka_run_group_tests(tests, make_server, remove_server);
}
