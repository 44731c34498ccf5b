/* The registry as a service, over HTTP, with its own clock: every step of an enrolment, and every
 * way in which it is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "helper_registry.h"
#include "helper_tcp.h"
#include "node/base/file.h"
#include "node/base/json.h"
#include "node/registry/commands.h"
#include "proto/wire/revocation.h"

static struct registry r;
static struct gv_identity alice, bob;
static char text[4096], code[16], word[32];
static uint8_t wire[GV_CERTIFICATE_LEN];

static int setup(void **state)
{
    registry_make(&r);
    r.settings.enroll_per_client_hour = 100;
    r.settings.confirm_per_client_hour = 100;
    r.settings.enroll_per_email_hour = 100;
    registry_start(&r);
    registry_identity(&alice, 1);
    registry_identity(&bob, 2);
    return 0;
}

static int teardown(void **state)
{
    registry_remove(&r);
    return 0;
}

static unsigned enroll(const struct gv_identity *who, const char *email)
{
    struct gv_proof proof = {.kind = GV_PROOF_ENROLL, .email = email, .terms = "2026-11"};

    return registry_post(&r, "/v1/enroll", registry_signed(&r, who, &proof), word, wire);
}

static unsigned confirm(const struct gv_identity *who, const char *with)
{
    struct gv_proof proof = {.kind = GV_PROOF_CONFIRM, .code = with};

    return registry_post(&r, "/v1/confirm", registry_signed(&r, who, &proof), word, wire);
}

static unsigned renew(const struct gv_identity *who, const struct gv_certificate *held)
{
    struct gv_proof proof = {.kind = GV_PROOF_RENEW};

    memcpy(proof.certificate, held->id, GV_ID_LEN);
    return registry_post(&r, "/v1/renew", registry_signed(&r, who, &proof), word, wire);
}

static struct gv_certificate parsed(void)
{
    struct gv_certificate certificate;

    assert_int_equal(gv_certificate_parse(&certificate, wire, sizeof wire), GV_OK);
    return certificate;
}

static void turn_clock(uint32_t minutes)
{
    registry_clock_ms += 60000ULL * minutes;
}

static void refused(unsigned status, unsigned wanted_status, const char *wanted_word)
{
    if (status != wanted_status || strcmp(word, wanted_word) != 0)
        fail_msg("wanted %u %s, got %u %s", wanted_status, wanted_word, status, word);
}

static void test_from_email_to_certificate(void **state)
{
    assert_int_equal(enroll(&alice, "Alice+mx1@Example.org"), 202);
    assert_int_equal(registry_mails(&r, text, sizeof text, code), 1);
    assert_non_null(strstr(text, "\r\nTo: <alice@example.org>\r\n"));
    assert_non_null(strstr(text, "\r\nSubject: Your code for the mesh test\r\n"));
    assert_int_equal(confirm(&alice, code), 200);
    struct gv_certificate c = parsed();
    assert_memory_equal(c.key, alice.sign_public, GV_KEY_LEN);
    assert_int_equal(c.since_min, REGISTRY_NOW);
    assert_int_equal(c.issued_min, REGISTRY_NOW);
    assert_int_equal(c.expires_min, REGISTRY_NOW + 90 * 1440);
    assert_true(c.group == (4ULL << 56 | 0x7f00));  /* 127.0/16 */
    refused(confirm(&alice, code), 410, "expired"); /* spent */
}

static void test_what_can_be_read(void **state)
{
    struct gv_fetch_result result;
    struct gv_descriptor opened;

    registry_fetch(&r, &result, "/v1/network", NULL);
    assert_int_equal(result.status, 200);
    assert_string_equal(result.type, "application/octet-stream");
    assert_int_equal(gv_descriptor_open(&opened, NULL, result.body, result.len), GV_OK);
    assert_memory_equal(opened.network_id, r.descriptor.network_id, GV_KEY_LEN);
    gv_fetch_result_free(&result);
    registry_fetch(&r, &result, "/v1/health", NULL);
    assert_non_null(strstr((char *)result.body, "\"status\":\"ok\""));
    gv_fetch_result_free(&result);
    registry_fetch(&r, &result, "/v1/revocations", NULL);
    assert_string_equal((char *)result.body, "[]");
    gv_fetch_result_free(&result);
    registry_fetch(&r, &result, "/v1/revocations?since=-1", NULL);
    assert_int_equal(result.status, 400);
    gv_fetch_result_free(&result);
    registry_fetch(&r, &result, "/v1/terms", NULL);
    assert_int_equal(result.status, 503); /* no terms.txt in this folder */
    gv_fetch_result_free(&result);
}

static void test_five_wrong_codes_end_it(void **state)
{
    assert_int_equal(enroll(&alice, "alice@example.org"), 202);
    registry_mails(&r, text, sizeof text, code);
    for (int i = 0; i < 5; i++)
        refused(confirm(&alice, "0000-000000"), 403, "code");
    refused(confirm(&alice, code), 429, "tries");
    registry_stop(&r); /* the count survives a restart */
    registry_start(&r);
    refused(confirm(&alice, code), 429, "tries");
    assert_int_equal(enroll(&alice, "alice@example.org"), 202);
    registry_mails(&r, text, sizeof text, code);
    assert_int_equal(confirm(&alice, code), 200);
}

static void test_a_code_expires_and_is_good_for_its_key_only(void **state)
{
    assert_int_equal(enroll(&alice, "alice@example.org"), 202);
    registry_mails(&r, text, sizeof text, code);
    refused(confirm(&bob, code), 410, "expired"); /* none is out for this key */
    assert_int_equal(enroll(&bob, "bob@example.org"), 202);
    refused(confirm(&bob, code), 403, "code");
    turn_clock(29);
    registry_stop(&r);
    registry_start(&r);
    turn_clock(1);
    refused(confirm(&alice, code), 410, "expired");
}

static void test_proofs(void **state)
{
    struct gv_proof proof = {.kind = GV_PROOF_ENROLL, .email = "a@example.org", .terms = "2026-11"};

    /* signed by another key */
    json_t *json = registry_signed(&r, &bob, &proof);
    json_object_set_new(json, "key", gv_json_new_hex(alice.sign_public, GV_KEY_LEN));
    refused(registry_post(&r, "/v1/enroll", json, word, wire), 403, "proof");
    /* changed afterwards */
    json = registry_signed(&r, &alice, &proof);
    json_object_set_new(json, "email", json_string("mallory@example.org"));
    refused(registry_post(&r, "/v1/enroll", json, word, wire), 403, "proof");
    /* made for another request */
    json = registry_signed(&r, &alice, &proof);
    json_object_set_new(json, "code", json_string("0123456789"));
    refused(registry_post(&r, "/v1/confirm", json, word, wire), 403, "proof");
    /* made for another network */
    struct registry elsewhere = r;
    elsewhere.descriptor.network_id[0] ^= 1;
    json = registry_signed(&elsewhere, &alice, &proof);
    refused(registry_post(&r, "/v1/enroll", json, word, wire), 403, "proof");
    /* replayed */
    json = registry_signed(&r, &alice, &proof);
    json_incref(json);
    assert_int_equal(registry_post(&r, "/v1/enroll", json, word, wire), 202);
    refused(registry_post(&r, "/v1/enroll", json, word, wire), 409, "replay");
    assert_int_equal(registry_mails(&r, text, sizeof text, code), 1);
    /* a clock 15 minutes off, either way */
    proof.minute = REGISTRY_NOW - 15;
    json = registry_signed(&r, &alice, &proof);
    refused(registry_post(&r, "/v1/enroll", json, word, wire), 400, "clock");
    proof.minute = REGISTRY_NOW + 15;
    json = registry_signed(&r, &alice, &proof);
    refused(registry_post(&r, "/v1/enroll", json, word, wire), 400, "clock");
}

static void test_a_replay_at_the_edge_of_the_window(void **state)
{
    struct gv_proof proof = {.kind = GV_PROOF_ENROLL,
                             .minute = REGISTRY_NOW + 10,
                             .email = "a@example.org",
                             .terms = "2026-11"};
    json_t *json = registry_signed(&r, &alice, &proof);

    json_incref(json);
    assert_int_equal(registry_post(&r, "/v1/enroll", json, word, wire), 202);
    json_incref(json);
    turn_clock(20); /* the last minute in which it would be accepted */
    refused(registry_post(&r, "/v1/enroll", json, word, wire), 409, "replay");
    turn_clock(1);
    refused(registry_post(&r, "/v1/enroll", json, word, wire), 400, "clock");
}

static void test_malformed_requests(void **state)
{
    static const char *const bodies[] = {
        "",
        "{",
        "[]",
        "null",
        "42",
        "{}",
        "{\"key\":1}",
        "{\"key\":\"zz\"}",
        "{\"key\":\"00\",\"key\":\"00\"}",
        "[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]",
        "{\"key\":\"0000000000000000000000000000000000000000000000000000000000000000\","
        "\"minute\":-1,\"nonce\":\"0000000000000000\"}",
        "{\"key\":\"0000000000000000000000000000000000000000000000000000000000000000\","
        "\"minute\":1e99,\"nonce\":\"0000000000000000\"}",
        "{\"email\":\"\\u0000\"}",
        "\xff\xfe",
    };
    static const char *const paths[] = {"/v1/enroll", "/v1/confirm", "/v1/renew"};

    for (size_t p = 0; p < 3; p++) {
        for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
            struct gv_fetch_result result;
            registry_fetch(&r, &result, paths[p], bodies[i]);
            if (result.status != 400 || !strstr((char *)result.body, "\"error\":\"request\""))
                fail_msg("%s %s: %u %s", paths[p], bodies[i], result.status, result.body);
            gv_fetch_result_free(&result);
            turn_clock(1); /* the limit per minute is not what is tested here */
        }
    }
}

static void test_emails_and_terms(void **state)
{
    struct gv_proof proof = {.kind = GV_PROOF_ENROLL, .email = "a@example.org", .terms = "2025-01"};

    refused(registry_post(&r, "/v1/enroll", registry_signed(&r, &alice, &proof), word, wire), 409,
            "terms");
    refused(enroll(&alice, "not an address"), 400, "email");
    refused(enroll(&alice, "a@example.org\r\nBcc: b@example.org"), 400, "email");
    assert_int_equal(registry_mails(&r, text, sizeof text, code), 0);
}

static void test_five_instances_an_owner(void **state)
{
    struct gv_identity node;
    uint8_t first[GV_CERTIFICATE_LEN];

    for (unsigned i = 0; i < 5; i++) {
        registry_identity(&node, 10 + i);
        registry_join(&r, &node, i % 2 ? "alice@example.org" : "Alice+x@EXAMPLE.org", wire);
        if (i == 0)
            memcpy(first, wire, sizeof first);
    }
    struct gv_certificate a = parsed(), b;
    assert_int_equal(gv_certificate_parse(&b, first, sizeof first), GV_OK);
    assert_memory_equal(a.owner, b.owner, GV_ID_LEN);
    assert_true(a.placement != b.placement);

    /* To a stranger a sixth looks like any other; only who has the code learns of the limit. */
    registry_identity(&node, 20);
    assert_int_equal(enroll(&node, "alice@example.org"), 202);
    registry_mails(&r, text, sizeof text, code);
    refused(confirm(&node, code), 403, "limit");

    /* The same key again takes no new place, and keeps placement and since. */
    turn_clock(60);
    registry_identity(&node, 10);
    registry_join(&r, &node, "alice@example.org", wire);
    a = parsed();
    assert_true(a.placement == b.placement && a.since_min == b.since_min);
    assert_int_equal(a.issued_min, REGISTRY_NOW);
    /* but it is not another owner's */
    assert_int_equal(enroll(&node, "bob@example.org"), 202);
    registry_mails(&r, text, sizeof text, code);
    refused(confirm(&node, code), 409, "key-taken");
}

static void test_renewal(void **state)
{
    struct gv_certificate first, second;

    registry_join(&r, &alice, "alice@example.org", wire);
    first = parsed();
    refused(renew(&bob, &first), 404, "unknown");
    turn_clock(45 * 1440 - 1);
    refused(renew(&alice, &first), 409, "early");
    turn_clock(1);
    assert_int_equal(renew(&alice, &first), 200);
    second = parsed();
    assert_int_equal(second.since_min, first.since_min);
    assert_true(second.placement == first.placement);
    assert_memory_equal(second.owner, first.owner, GV_ID_LEN);
    assert_int_equal(second.issued_min, REGISTRY_NOW);
    assert_int_equal(second.expires_min, REGISTRY_NOW + 90 * 1440);
    /* the answer was lost: it is given again */
    turn_clock(3);
    assert_int_equal(renew(&alice, &first), 200);
    struct gv_certificate again = parsed();
    assert_memory_equal(again.id, second.id, GV_ID_LEN);
    refused(renew(&alice, &second), 409, "early");
    /* 30 days past its end it can be renewed still, then no more */
    turn_clock(120 * 1440 - 3);
    assert_int_equal(renew(&alice, &second), 200);
    again = parsed();
    turn_clock(120 * 1440 + 1);
    refused(renew(&alice, &again), 410, "expired");
    registry_join(&r, &alice, "alice@example.org", wire);
    assert_int_equal(parsed().since_min, first.since_min);
}

static void give_up(const struct gv_certificate *c, enum gv_revocation_reason reason, int wanted)
{
    struct gv_revocation revocation = {.revoked_min = REGISTRY_NOW, .reason = (uint8_t)reason};
    struct gv_buf signed_wire;

    gv_buf_init(&signed_wire);
    memcpy(revocation.instance, c->instance, GV_ID_LEN);
    assert_int_equal(gv_revocation_issue(&signed_wire, &revocation, r.signer.sign_secret,
                                         r.descriptor.network_id),
                     GV_OK);
    assert_int_equal(
        gv_records_revoke(r.registrar->records, &revocation, signed_wire.data, signed_wire.len),
        wanted);
    gv_buf_free(&signed_wire);
}

static int emails;
static int count_email(void *context, const struct gv_instance *instance, const char *email)
{
    emails += *email != '\0';
    return GV_OK;
}

static void test_revocation(void **state)
{
    struct gv_fetch_result result;
    json_t *list;
    uint8_t got[GV_REVOCATION_MAX];
    size_t len;
    struct gv_revocation opened;
    char path[64];

    registry_join(&r, &alice, "alice@example.org", wire);
    struct gv_certificate a = parsed();
    registry_join(&r, &bob, "bob@example.org", wire);
    turn_clock(46 * 1440);
    give_up(&a, GV_REVOKED_BY_OWNER, GV_OK);
    give_up(&a, GV_REVOKED_BY_OWNER, GV_ERR_DUPLICATE);
    refused(renew(&alice, &a), 403, "revoked");
    assert_int_equal(enroll(&alice, "alice@example.org"), 202);
    registry_mails(&r, text, sizeof text, code);
    refused(confirm(&alice, code), 403, "revoked");

    registry_fetch(&r, &result, "/v1/revocations", NULL);
    assert_int_equal(gv_json_parse(&list, result.body, result.len, 8192, NULL), GV_OK);
    assert_int_equal(json_array_size(list), 1);
    assert_int_equal(gv_unbase64(got, sizeof got, &len, json_string_value(json_array_get(list, 0))),
                     GV_OK);
    assert_int_equal(gv_revocation_open(&opened, NULL, &r.descriptor, got, len), GV_OK);
    assert_memory_equal(opened.instance, alice.id, GV_ID_LEN);
    json_decref(list);
    gv_fetch_result_free(&result);
    snprintf(path, sizeof path, "/v1/revocations?since=%u", REGISTRY_NOW + 1);
    registry_fetch(&r, &result, path, NULL);
    assert_string_equal((char *)result.body, "[]");
    gv_fetch_result_free(&result);
    /* her last instance is gone by her own wish: so is her address */
    emails = 0;
    assert_int_equal(gv_records_each(r.registrar->records, count_email, NULL), GV_OK);
    assert_int_equal(emails, 1);
}

/* Nothing of an address can be found in the files of the database. */
static void test_emails_are_encrypted_at_rest(void **state)
{
    struct gv_buf file;
    char *path;
    static const char *const names[] = {GV_FILE_DATABASE, GV_FILE_DATABASE "-wal"};
    struct stat info;

    registry_join(&r, &alice, "findme@secret.example", wire);
    assert_int_equal(enroll(&bob, "findme2@secret.example"), 202);
    for (size_t i = 0; i < 2; i++) {
        path = gv_data_path(r.folder, names[i]);
        gv_buf_init(&file);
        assert_int_equal(gv_file_read(&file, path, 1 << 24, NULL), GV_OK);
        assert_null(memmem(file.data, file.len, "findme", 6));
        assert_null(memmem(file.data, file.len, "secret.example", 14));
        assert_int_equal(stat(path, &info), 0);
        assert_int_equal(info.st_mode & 0777, 0600);
        gv_buf_free(&file);
        free(path);
    }
}

static void test_limits(void **state)
{
    char email[64];
    struct gv_fetch_result result;

    r.settings.enroll_per_email_hour = 3;
    r.settings.enroll_per_domain_day = 5;
    for (int i = 0; i < 3; i++)
        assert_int_equal(enroll(&alice, "alice@example.org"), 202);
    refused(enroll(&alice, "alice@example.org"), 429, "rate-email");
    assert_int_equal(enroll(&alice, "b@example.org"), 202);
    assert_int_equal(enroll(&alice, "c@example.org"), 202);
    refused(enroll(&alice, "d@example.org"), 429, "rate-domain");
    turn_clock(61);
    refused(enroll(&alice, "alice@example.org"), 429, "rate-domain");
    turn_clock(1440);
    assert_int_equal(enroll(&alice, "alice@example.org"), 202);

    r.settings.enroll_per_client_hour = 10;
    turn_clock(61);
    for (int i = 0; i < 10; i++) {
        snprintf(email, sizeof email, "a@%d.example", i);
        assert_int_equal(enroll(&alice, email), 202);
    }
    refused(enroll(&alice, "a@x.example"), 429, "rate-client");

    r.settings.requests_per_client_minute = 20;
    turn_clock(1);
    for (int i = 0; i < 20; i++) {
        registry_fetch(&r, &result, "/v1/health", NULL);
        assert_int_equal(result.status, 200);
        gv_fetch_result_free(&result);
    }
    registry_fetch(&r, &result, "/v1/health", NULL);
    assert_int_equal(result.status, 429);
    gv_fetch_result_free(&result);
}

/* What an unknown and a known address are answered is the same, byte for byte. */
static void test_a_stranger_learns_nothing_of_an_address(void **state)
{
    struct gv_fetch_result known, unknown;
    struct gv_identity stranger;
    struct gv_proof proof = {.kind = GV_PROOF_ENROLL, .terms = "2026-11"};

    registry_join(&r, &alice, "alice@example.org", wire);
    registry_identity(&stranger, 99);
    proof.email = "alice@example.org";
    json_t *json = registry_signed(&r, &stranger, &proof);
    char *body = json_dumps(json, 0);
    registry_fetch(&r, &known, "/v1/enroll", body);
    free(body);
    json_decref(json);
    proof.email = "nobody@example.org";
    json = registry_signed(&r, &stranger, &proof);
    body = json_dumps(json, 0);
    registry_fetch(&r, &unknown, "/v1/enroll", body);
    free(body);
    json_decref(json);
    assert_int_equal(known.status, unknown.status);
    assert_int_equal(known.len, unknown.len);
    assert_memory_equal(known.body, unknown.body, known.len);
    gv_fetch_result_free(&known);
    gv_fetch_result_free(&unknown);
}

static void test_mail_that_fails_can_be_tried_again(void **state)
{
    char gone[128];

    assert_int_equal(enroll(&alice, "alice@example.org"), 202);
    snprintf(gone, sizeof gone, "%s.gone", r.mail_folder);
    assert_int_equal(rename(r.mail_folder, gone), 0);
    r.settings.enroll_per_email_hour = 2;
    for (int i = 0; i < 4; i++) /* failures do not use up the address's limit */
        refused(enroll(&alice, "alice@example.org"), 503, "mail");
    assert_int_equal(rename(gone, r.mail_folder), 0);
    assert_int_equal(enroll(&alice, "alice@example.org"), 202);
    registry_mails(&r, text, sizeof text, code);
    assert_int_equal(confirm(&alice, code), 200);
}

static void test_a_new_descriptor_is_picked_up(void **state)
{
    struct gv_fetch_result result;
    struct gv_descriptor opened;

    r.descriptor.version = 2;
    strcpy(r.descriptor.terms, "2027-01");
    assert_int_equal(gv_write_descriptor(&r.descriptor, r.folder, r.root.sign_secret, NULL), GV_OK);
    registry_fetch(&r, &result, "/v1/network", NULL);
    assert_int_equal(gv_descriptor_open(&opened, NULL, result.body, result.len), GV_OK);
    assert_int_equal(opened.version, 2);
    gv_fetch_result_free(&result);
    refused(enroll(&alice, "alice@example.org"), 409, "terms");
    r.descriptor.version = 1; /* an older one is not */
    assert_int_equal(gv_write_descriptor(&r.descriptor, r.folder, r.root.sign_secret, NULL), GV_OK);
    registry_fetch(&r, &result, "/v1/network", NULL);
    assert_int_equal(gv_descriptor_open(&opened, NULL, result.body, result.len), GV_OK);
    assert_int_equal(opened.version, 2);
    gv_fetch_result_free(&result);
}

/* ---- behind a proxy ------------------------------------------------------------------------- */

/* Posts what `who` signs as a TLS proxy on 127.0.0.1 would pass it on for `client` (NULL: without
 * a word of it). Returns the status; the answer is in `text`. */
static unsigned proxied(const char *client, const char *path, const struct gv_identity *who,
                        struct gv_proof *proof)
{
    char request[4096], forwarded[128] = "";
    json_t *json = registry_signed(&r, who, proof);
    char *body = json_dumps(json, 0);
    int fd = tcp_connect(gv_registrar_port(r.registrar, 0));
    struct pollfd ready = {.fd = fd, .events = POLLIN};

    if (client)
        snprintf(forwarded, sizeof forwarded, "X-Forwarded-For: 203.0.113.66, %s\r\n", client);
    int len = snprintf(request, sizeof request,
                       "POST %s HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: %zu\r\n\r\n%s",
                       path, forwarded, strlen(body), body);
    tcp_send(fd, request, (size_t)len);
    for (int i = 0; i < 1000 && poll(&ready, 1, 5) == 0; i++)
        uv_run(&r.loop, UV_RUN_NOWAIT);
    tcp_read(fd, text, sizeof text, 50);
    close(fd);
    uv_run(&r.loop, UV_RUN_NOWAIT);
    free(body);
    json_decref(json);
    return strlen(text) > 12 ? (unsigned)atoi(text + 9) : 0;
}

static unsigned enroll_from(const char *client, const struct gv_identity *who, const char *email)
{
    struct gv_proof proof = {.kind = GV_PROOF_ENROLL, .email = email, .terms = "2026-11"};

    return proxied(client, "/v1/enroll", who, &proof);
}

static uint64_t group_from(const char *client, const struct gv_identity *who)
{
    struct gv_proof proof = {.kind = GV_PROOF_CONFIRM, .code = code};
    char *end, *at;
    size_t len;

    registry_mails(&r, text, sizeof text, code);
    assert_int_equal(proxied(client, "/v1/confirm", who, &proof), 200);
    at = strstr(text, "\"certificate\":\"");
    assert_non_null(at);
    at += 15;
    end = strchr(at, '"');
    *end = '\0';
    assert_int_equal(gv_unbase64(wire, sizeof wire, &len, at), GV_OK);
    assert_int_equal(len, sizeof wire);
    return parsed().group;
}

static void trust(const char *network)
{
    struct gv_config_addresses *trusted = &r.settings.trusted_proxies;

    registry_stop(&r);
    trusted->items = calloc(1, sizeof *trusted->items);
    trusted->count = 1;
    assert_int_equal(gv_config_address_parse(trusted->items, network), GV_OK);
    registry_start(&r);
}

/* Groups and limits are the client's, not the proxy's. */
static void test_behind_a_trusted_proxy(void **state)
{
    trust("127.0.0.1");
    assert_int_equal(enroll_from("198.51.100.7", &alice, "alice@example.org"), 202);
    assert_true(group_from("198.51.100.7", &alice) == (4ULL << 56 | 0xc633));
    assert_int_equal(enroll_from("[2001:db8::5]:4711", &bob, "bob@example.org"), 202);
    assert_true(group_from("[2001:db8::5]:4711", &bob) == (6ULL << 56 | 0x20010db8));
    assert_int_equal(enroll_from(NULL, &alice, "alice@example.org"), 400);
    assert_non_null(strstr(text, "{\"error\":\"forwarded\",\"message\":\"the proxy before"));

    r.settings.enroll_per_client_hour = 2; /* one is used up */
    assert_int_equal(enroll_from("198.51.100.7", &alice, "alice@example.org"), 202);
    assert_int_equal(enroll_from("198.51.100.7", &alice, "alice@example.org"), 429);
    assert_non_null(strstr(text, "\"rate-client\""));
    assert_int_equal(enroll_from("198.51.100.8", &alice, "alice@example.org"), 202);
    assert_int_equal(enroll_from("2001:db8::6", &bob, "bob@example.org"), 202);
    assert_int_equal(enroll_from("2001:db8::7", &bob, "bob@example.org"), 429); /* the same /64 */
}

/* By default nobody is, not even this host. */
static void test_an_untrusted_peer_cannot_name_another(void **state)
{
    assert_int_equal(enroll_from("198.51.100.7", &alice, "alice@example.org"), 202);
    assert_true(group_from("198.51.100.7", &alice) == (4ULL << 56 | 0x7f00));
    r.settings.enroll_per_client_hour = 2;
    assert_int_equal(enroll_from("198.51.100.8", &alice, "alice@example.org"), 202);
    assert_int_equal(enroll_from("198.51.100.9", &alice, "alice@example.org"), 429);
    trust("192.0.2.0/24");
    r.settings.enroll_per_client_hour = 100;
    assert_int_equal(enroll_from("198.51.100.7", &alice, "alice@example.org"), 202);
    assert_true(group_from("198.51.100.7", &alice) == (4ULL << 56 | 0x7f00));
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH(test_from_email_to_certificate),
        WITH(test_what_can_be_read),
        WITH(test_five_wrong_codes_end_it),
        WITH(test_a_code_expires_and_is_good_for_its_key_only),
        WITH(test_proofs),
        WITH(test_a_replay_at_the_edge_of_the_window),
        WITH(test_malformed_requests),
        WITH(test_emails_and_terms),
        WITH(test_five_instances_an_owner),
        WITH(test_renewal),
        WITH(test_revocation),
        WITH(test_emails_are_encrypted_at_rest),
        WITH(test_limits),
        WITH(test_a_stranger_learns_nothing_of_an_address),
        WITH(test_mail_that_fails_can_be_tried_again),
        WITH(test_a_new_descriptor_is_picked_up),
        WITH(test_behind_a_trusted_proxy),
        WITH(test_an_untrusted_peer_cannot_name_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
