/* The node's side of the registry: with a real one, with one that is down or slow, and with one
 * that lies. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "helper_registry.h"
#include "node/base/json.h"
#include "node/host/enroll_internal.h"
#include "node/registry/commands.h"
#include "proto/wire/revocation.h"

static struct registry r;
static struct gv_identity node;
static struct gv_enroll *enroll;
static struct gv_enroll_answer last;
static uint8_t wire[GV_DESCRIPTOR_MAX];
static int done;

static void on_answer(void *context, const struct gv_enroll_answer *answer)
{
    last = *answer;
    if (answer->wire_len <= sizeof wire && answer->wire)
        memcpy(wire, answer->wire, answer->wire_len);
    done = 1;
}

static int wait_for(int rc)
{
    assert_int_equal(rc, GV_OK);
    done = 0;
    registry_run(&r, &done);
    return last.error;
}

static void new_enroll(const char *url, const uint8_t *network_id)
{
    struct gv_enroll_options options = {.loop = &r.loop,
                                        .registry_url = url,
                                        .identity = &node,
                                        .bind_address = "127.0.0.1",
                                        .network_id = network_id,
                                        .timeout_ms = 500,
                                        .unix_ms = registry_clock};

    gv_enroll_free(enroll);
    assert_int_equal(gv_enroll_new(&enroll, &options), GV_OK);
}

static int setup(void **state)
{
    registry_make(&r);
    r.settings.enroll_per_client_hour = 100;
    registry_start(&r);
    registry_identity(&node, 1);
    enroll = NULL;
    new_enroll(r.url, NULL);
    return 0;
}

static struct gv_http_server *liar; /* runs in the tests that want one */

static int teardown(void **state)
{
    gv_http_stop(liar);
    liar = NULL;
    gv_enroll_free(enroll);
    registry_remove(&r);
    return 0;
}

/* ---- a registry that does its work ---------------------------------------------------------- */

static void join(uint8_t certificate[GV_CERTIFICATE_LEN])
{
    char text[4096], code[16];

    assert_int_equal(wait_for(gv_enroll_fetch_descriptor(enroll, on_answer, NULL)), GV_OK);
    assert_int_equal(
        wait_for(gv_enroll_request(enroll, "admin@example.org", "2026-11", NULL, on_answer, NULL)),
        GV_OK);
    assert_int_equal(last.expires_s, 1800);
    registry_mails(&r, text, sizeof text, code);
    assert_int_equal(wait_for(gv_enroll_confirm(enroll, code, on_answer, NULL)), GV_OK);
    assert_int_equal(last.wire_len, GV_CERTIFICATE_LEN);
    memcpy(certificate, wire, GV_CERTIFICATE_LEN);
}

static void test_the_whole_way(void **state)
{
    uint8_t first[GV_CERTIFICATE_LEN];
    struct gv_certificate held, renewed;

    join(first);
    assert_int_equal(gv_certificate_parse(&held, first, sizeof first), GV_OK);
    assert_memory_equal(held.key, node.sign_public, GV_KEY_LEN);
    assert_int_equal(wait_for(gv_enroll_renew(enroll, first, on_answer, NULL)), GV_ERR_FORBIDDEN);
    assert_string_equal(last.word, "early");
    registry_clock_ms += 46ULL * 86400000;
    assert_int_equal(wait_for(gv_enroll_renew(enroll, first, on_answer, NULL)), GV_OK);
    assert_int_equal(gv_certificate_parse(&renewed, wire, GV_CERTIFICATE_LEN), GV_OK);
    assert_int_equal(renewed.since_min, held.since_min);
    assert_true(renewed.expires_min > held.expires_min);
}

static void test_what_is_refused_says_what_to_do(void **state)
{
    assert_int_equal(gv_enroll_confirm(enroll, "x", on_answer, NULL), GV_ERR_STATE);
    assert_int_equal(wait_for(gv_enroll_fetch_descriptor(enroll, on_answer, NULL)), GV_OK);
    static const char *const emails[] = {"nonsense", "", "a@b", "a b@example.org", "@example.org"};
    for (size_t i = 0; i < sizeof emails / sizeof *emails; i++) {
        assert_int_equal(
            wait_for(gv_enroll_request(enroll, emails[i], "2026-11", NULL, on_answer, NULL)),
            GV_ERR_FORBIDDEN);
        assert_string_equal(last.word, "email");
        assert_non_null(strstr(last.text.text, "that is not an email address: write it like"));
    }
    assert_int_equal(wait_for(gv_enroll_confirm(enroll, "00000-00000", on_answer, NULL)),
                     GV_ERR_FORBIDDEN);
    assert_string_equal(last.word, "expired");
    assert_non_null(strstr(last.text.text, "ask for a new one: grapevine enroll"));
    assert_int_equal(wait_for(gv_enroll_fetch_terms(enroll, on_answer, NULL)), GV_ERR_BUSY);
    assert_string_equal(last.word, "terms-missing");
    assert_int_equal(gv_enroll_fetch_descriptor(enroll, on_answer, NULL), GV_OK);
    assert_int_equal(gv_enroll_fetch_descriptor(enroll, on_answer, NULL), GV_ERR_BUSY);
    wait_for(GV_OK);
}

static void test_a_clock_that_is_off(void **state)
{
    assert_int_equal(wait_for(gv_enroll_fetch_descriptor(enroll, on_answer, NULL)), GV_OK);
    uint64_t right = registry_clock_ms;
    assert_int_equal(
        gv_enroll_request(enroll, "admin@example.org", "2026-11", NULL, on_answer, NULL), GV_OK);
    registry_clock_ms += 15 * 60000; /* signed before, answered after */
    wait_for(GV_OK);
    assert_string_equal(last.word, "clock");
    registry_clock_ms = right;
}

static void test_another_network_is_not_taken(void **state)
{
    uint8_t pinned[GV_KEY_LEN];

    memcpy(pinned, r.descriptor.network_id, GV_KEY_LEN);
    new_enroll(r.url, pinned);
    assert_int_equal(wait_for(gv_enroll_fetch_descriptor(enroll, on_answer, NULL)), GV_OK);
    pinned[0] ^= 1;
    new_enroll(r.url, pinned);
    assert_int_equal(wait_for(gv_enroll_fetch_descriptor(enroll, on_answer, NULL)), GV_ERR_NETWORK);
    assert_null(gv_enroll_descriptor(enroll));
}

static int revoked;
static void on_revocation(void *context, const uint8_t *bytes, size_t len)
{
    struct gv_revocation opened;

    assert_int_equal(gv_revocation_open(&opened, NULL, &r.descriptor, bytes, len), GV_OK);
    revoked++;
}

static void revoke_number(unsigned number, uint32_t minute)
{
    struct gv_identity other;
    uint8_t certificate[GV_CERTIFICATE_LEN];
    struct gv_revocation revocation = {.revoked_min = minute};
    struct gv_buf signed_wire;

    registry_identity(&other, number);
    registry_join(&r, &other, "other@example.org", certificate);
    gv_buf_init(&signed_wire);
    memcpy(revocation.instance, other.id, GV_ID_LEN);
    assert_int_equal(gv_revocation_issue(&signed_wire, &revocation, r.signer.sign_secret,
                                         r.descriptor.network_id),
                     GV_OK);
    assert_int_equal(
        gv_records_revoke(r.registrar->records, &revocation, signed_wire.data, signed_wire.len),
        GV_OK);
    gv_buf_free(&signed_wire);
}

static void revoked_for_good(int error)
{
    assert_int_equal(error, GV_ERR_FORBIDDEN);
    assert_string_equal(last.word, "revoked");
    assert_non_null(strstr(last.text.text,
                           "this instance is revoked for good: to enrol again, stop "
                           "the daemon, move its key file"));
}

static void test_a_revoked_instance_is_told_the_way_back(void **state)
{
    uint8_t certificate[GV_CERTIFICATE_LEN];
    struct gv_revocation revocation = {.revoked_min = REGISTRY_NOW};
    struct gv_buf signed_wire;

    join(certificate);
    gv_buf_init(&signed_wire);
    memcpy(revocation.instance, node.id, GV_ID_LEN);
    assert_int_equal(gv_revocation_issue(&signed_wire, &revocation, r.signer.sign_secret,
                                         r.descriptor.network_id),
                     GV_OK);
    assert_int_equal(
        gv_records_revoke(r.registrar->records, &revocation, signed_wire.data, signed_wire.len),
        GV_OK);
    gv_buf_free(&signed_wire);
    revoked_for_good(wait_for(gv_enroll_renew(enroll, certificate, on_answer, NULL)));
}

static void test_revocations(void **state)
{
    assert_int_equal(gv_enroll_fetch_revocations(enroll, on_revocation, on_answer, NULL),
                     GV_ERR_STATE);
    wait_for(gv_enroll_fetch_descriptor(enroll, on_answer, NULL));
    revoke_number(10, REGISTRY_NOW - 5);
    revoke_number(11, REGISTRY_NOW - 4);
    revoked = 0;
    assert_int_equal(wait_for(gv_enroll_fetch_revocations(enroll, on_revocation, on_answer, NULL)),
                     GV_OK);
    assert_int_equal(revoked, 2);
    /* from the newest minute on only */
    assert_int_equal(wait_for(gv_enroll_fetch_revocations(enroll, on_revocation, on_answer, NULL)),
                     GV_OK);
    assert_int_equal(revoked, 3);
}

/* ---- down, slow ----------------------------------------------------------------------------- */

static void test_a_registry_that_is_down(void **state)
{
    new_enroll("http://127.0.0.1:1", NULL);
    assert_int_equal(wait_for(gv_enroll_fetch_descriptor(enroll, on_answer, NULL)), GV_ERR_IO);
    assert_non_null(strstr(last.text.text, "127.0.0.1"));
    assert_non_null(strstr(last.text.text, "the registry could not be reached ("));
    assert_non_null(strstr(last.text.text, "): is the address right, is it up? Try again later, "
                                           "the mesh does not need it"));
    new_enroll("http://no-such-host.invalid", NULL);
    wait_for(gv_enroll_fetch_descriptor(enroll, on_answer, NULL));
    assert_true(last.error == GV_ERR_IO || last.error == GV_ERR_EXPIRED);
    new_enroll("file:///etc/passwd", NULL);
    assert_int_equal(wait_for(gv_enroll_fetch_descriptor(enroll, on_answer, NULL)), GV_ERR_RANGE);
}

static unsigned canned_status;
static const void *canned;
static size_t canned_len;

static void give_canned(struct gv_http_request *request, void *context)
{
    if (canned)
        gv_http_respond(request, canned_status, "application/json", canned, canned_len);
    /* otherwise never */
}

static const struct gv_http_route liar_routes[] = {{"GET", "/*", give_canned},
                                                   {"POST", "/*", give_canned}};

static void start_liar(void)
{
    struct gv_http_options options = {.host = "127.0.0.1", .routes = liar_routes, .route_count = 2};
    char url[64];

    assert_int_equal(gv_http_start(&liar, &r.loop, &options, NULL), GV_OK);
    snprintf(url, sizeof url, "http://127.0.0.1:%u", gv_http_port(liar));
    new_enroll(url, NULL);
    canned = NULL;
}

static void say(unsigned status, const void *data, size_t len)
{
    canned_status = status;
    canned = data;
    canned_len = len;
}

static void test_a_registry_that_is_slow(void **state)
{
    start_liar();
    uint64_t start = uv_hrtime();
    assert_int_equal(wait_for(gv_enroll_fetch_descriptor(enroll, on_answer, NULL)), GV_ERR_EXPIRED);
    assert_true(uv_hrtime() - start < 3000000000ULL);
    assert_non_null(strstr(last.text.text, "the registry is too slow, no answer within 1 s ("));
    assert_non_null(strstr(last.text.text, "Try again later, the mesh does not need it"));
    /* freed while it waits: no callback, nothing left behind */
    assert_int_equal(gv_enroll_fetch_descriptor(enroll, on_answer, NULL), GV_OK);
    gv_enroll_free(enroll);
    enroll = NULL;
}

/* ---- lies ----------------------------------------------------------------------------------- */

static void test_nonsense(void **state)
{
    static char huge[100000];
    static const struct {
        unsigned status;
        const char *text;
        int error;
    } cases[] = {
        {200, "", GV_ERR_PROTOCOL},
        {200, "hello", GV_ERR_PROTOCOL},
        {204, "", GV_ERR_PROTOCOL},
        {301, "", GV_ERR_PROTOCOL},
        {404, "<html>not found</html>", GV_ERR_PROTOCOL},
        {500, "", GV_ERR_PROTOCOL},
        {403, "{\"error\":\"x\"}", GV_ERR_PROTOCOL},
        {403, "{\"error\":\"UPPER\",\"message\":\"m\"}", GV_ERR_PROTOCOL},
        {403, "{\"error\":\"x\",\"message\":\"m\"}", GV_ERR_FORBIDDEN},
        {429, "{\"error\":\"x\",\"message\":\"m\"}", GV_ERR_BUSY},
        {503, "{\"error\":\"x\",\"message\":\"m\"}", GV_ERR_BUSY},
        {200, huge, GV_ERR_PROTOCOL},
    };

    memset(huge, '[', sizeof huge - 1);
    start_liar();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        say(cases[i].status, cases[i].text, strlen(cases[i].text));
        int error = wait_for(gv_enroll_fetch_descriptor(enroll, on_answer, NULL));
        if (error != cases[i].error)
            fail_msg("%zu: %d %s", i, error, last.text.text);
        assert_null(gv_enroll_descriptor(enroll));
    }
    say(403, "{\"error\":\"x\",\"message\":\"a\\u001b[2Jb\\nc\"}", 40);
    wait_for(gv_enroll_fetch_descriptor(enroll, on_answer, NULL));
    assert_string_equal(last.text.text, "a\\x1b[2Jb\\x0ac"); /* fit for a terminal */
}

static int babbler;

static void *babble(void *bytes)
{
    char request[1024];
    int fd = accept(babbler, NULL, NULL);

    assert_true(read(fd, request, sizeof request) > 0);
    assert_true(write(fd, bytes, strlen(bytes)) > 0);
    close(fd);
    return NULL;
}

/* Something else listens there: SSH, a mail server, noise. */
static void test_random_bytes(void **state)
{
    static const char *const sayings[] = {"SSH-2.0-OpenSSH_9.2\r\n",
                                          "\x16\x03\x01\xff\xfe\x80 noise\n\n",
                                          "220 mail.example.org ESMTP\r\n", "HTTP/7.3 oh\r\n\r\n"};
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    char url[64];
    pthread_t thread;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    babbler = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(babbler, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(babbler, 8), 0);
    assert_int_equal(getsockname(babbler, (struct sockaddr *)&address, &len), 0);
    snprintf(url, sizeof url, "http://127.0.0.1:%u", ntohs(address.sin_port));
    new_enroll(url, NULL);
    for (size_t i = 0; i < sizeof sayings / sizeof *sayings; i++) {
        pthread_create(&thread, NULL, babble, (void *)(uintptr_t)sayings[i]);
        int error = wait_for(gv_enroll_fetch_descriptor(enroll, on_answer, NULL));
        pthread_join(thread, NULL);
        if (error != GV_ERR_PROTOCOL ||
            !strstr(last.text.text, "does not answer like a grapevine registry"))
            fail_msg("%zu: %d %s", i, error, last.text.text);
    }
    close(babbler);
}

static void test_descriptors_that_lie(void **state)
{
    struct gv_buf good, other;
    struct gv_descriptor d = r.descriptor;
    struct gv_identity stranger;

    gv_buf_init(&good);
    gv_buf_init(&other);
    start_liar();
    d.version = 5;
    assert_int_equal(gv_descriptor_issue(&good, &d, r.root.sign_secret), GV_OK);
    good.data[70] ^= 1;
    say(200, good.data, good.len);
    assert_int_not_equal(wait_for(gv_enroll_fetch_descriptor(enroll, on_answer, NULL)), GV_OK);
    good.data[70] ^= 1;
    assert_int_equal(wait_for(gv_enroll_fetch_descriptor(enroll, on_answer, NULL)), GV_OK);
    assert_int_equal(last.wire_len, good.len);

    d.version = 4; /* older */
    assert_int_equal(gv_descriptor_issue(&other, &d, r.root.sign_secret), GV_OK);
    say(200, other.data, other.len);
    assert_int_equal(wait_for(gv_enroll_fetch_descriptor(enroll, on_answer, NULL)),
                     GV_ERR_SUPERSEDED);
    d.version = 5; /* two faces under one version */
    strcpy(d.terms, "other");
    gv_buf_clear(&other);
    assert_int_equal(gv_descriptor_issue(&other, &d, r.root.sign_secret), GV_OK);
    say(200, other.data, other.len);
    assert_int_equal(wait_for(gv_enroll_fetch_descriptor(enroll, on_answer, NULL)),
                     GV_ERR_SUPERSEDED);
    d.version = 6; /* not in force yet */
    d.activation_min = REGISTRY_NOW + 1000;
    gv_buf_clear(&other);
    assert_int_equal(gv_descriptor_issue(&other, &d, r.root.sign_secret), GV_OK);
    say(200, other.data, other.len);
    assert_int_equal(wait_for(gv_enroll_fetch_descriptor(enroll, on_answer, NULL)), GV_ERR_EARLY);
    registry_identity(&stranger, 66); /* a whole other network, in itself correct */
    memcpy(d.root_key, stranger.sign_public, GV_KEY_LEN);
    gv_buf_clear(&other);
    assert_int_equal(gv_descriptor_issue(&other, &d, stranger.sign_secret), GV_OK);
    say(200, other.data, other.len);
    assert_int_equal(wait_for(gv_enroll_fetch_descriptor(enroll, on_answer, NULL)), GV_ERR_NETWORK);
    assert_int_equal(gv_enroll_descriptor(enroll)->version, 5);
    gv_buf_free(&good);
    gv_buf_free(&other);
}

static char canned_json[512];

static void say_certificate(struct gv_certificate *c, const struct gv_identity *signer,
                            const uint8_t *network_id)
{
    uint8_t bytes[GV_CERTIFICATE_LEN];

    gv_certificate_issue(bytes, c, signer->sign_secret, network_id);
    char *text = gv_base64(bytes, sizeof bytes);
    snprintf(canned_json, sizeof canned_json, "{\"certificate\":\"%s\"}", text);
    free(text);
    say(200, canned_json, strlen(canned_json));
}

static void test_certificates_that_lie(void **state)
{
    struct gv_buf good;
    struct gv_identity stranger;
    struct gv_certificate right = {.group = 4ULL << 56, .placement = 7}, c;
    uint8_t elsewhere[GV_KEY_LEN] = {1}, held[GV_CERTIFICATE_LEN];

    registry_identity(&stranger, 66);
    gv_buf_init(&good);
    start_liar();
    assert_int_equal(gv_descriptor_issue(&good, &r.descriptor, r.root.sign_secret), GV_OK);
    assert_int_equal(gv_enroll_set_descriptor(enroll, good.data, good.len), GV_OK);
    gv_buf_free(&good);
    memcpy(right.key, node.sign_public, GV_KEY_LEN);
    right.since_min = right.issued_min = REGISTRY_NOW;
    right.expires_min = REGISTRY_NOW + 1000;

#define GIVEN(error, signer, network, change)                                                      \
    do {                                                                                           \
        c = right;                                                                                 \
        change;                                                                                    \
        say_certificate(&c, signer, network);                                                      \
        assert_int_equal(wait_for(gv_enroll_confirm(enroll, "x", on_answer, NULL)), error);        \
    } while (0)
    GIVEN(GV_OK, &r.signer, r.descriptor.network_id, (void)0);
    memcpy(held, wire, sizeof held);
    GIVEN(GV_ERR_SIGNER, &stranger, r.descriptor.network_id, (void)0);
    GIVEN(GV_ERR_SIGNATURE, &r.signer, elsewhere, (void)0);
    GIVEN(GV_ERR_PROTOCOL, &r.signer, r.descriptor.network_id,
          memcpy(c.key, stranger.sign_public, GV_KEY_LEN));
    GIVEN(GV_ERR_EXPIRED, &r.signer, r.descriptor.network_id,
          (c.since_min = c.issued_min = REGISTRY_NOW - 50, c.expires_min = REGISTRY_NOW));
    GIVEN(GV_ERR_EARLY, &r.signer, r.descriptor.network_id,
          (c.issued_min = REGISTRY_NOW + 60, c.expires_min = REGISTRY_NOW + 100));
#undef GIVEN
#define RENEWED(error, change)                                                                     \
    do {                                                                                           \
        c = right;                                                                                 \
        change;                                                                                    \
        say_certificate(&c, &r.signer, r.descriptor.network_id);                                   \
        assert_int_equal(wait_for(gv_enroll_renew(enroll, held, on_answer, NULL)), error);         \
    } while (0)
    RENEWED(GV_OK, c.issued_min++);
    RENEWED(GV_ERR_PROTOCOL, c.placement++);
    RENEWED(GV_ERR_PROTOCOL, c.owner[0]++);
    RENEWED(GV_ERR_PROTOCOL, c.since_min--);
#undef RENEWED
    say(200, "{\"certificate\":\"AAAA\"}", 22);
    assert_int_equal(wait_for(gv_enroll_confirm(enroll, "x", on_answer, NULL)), GV_ERR_PROTOCOL);
    say(200, "[\"AAAA\"]", 8);
    assert_int_equal(wait_for(gv_enroll_fetch_revocations(enroll, on_revocation, on_answer, NULL)),
                     GV_ERR_PROTOCOL);
}

/* ---- keeping up ----------------------------------------------------------------------------- */

static int got_certificate, got_descriptor, got_trouble;
static uint32_t retry;

static void keep_certificate(void *context, const uint8_t bytes[GV_CERTIFICATE_LEN])
{
    memcpy(wire, bytes, GV_CERTIFICATE_LEN);
    got_certificate = 1;
}
static void keep_descriptor(void *context, const uint8_t *bytes, size_t len)
{
    got_descriptor = 1;
}
static void keep_trouble(void *context, const char *what, const struct gv_enroll_answer *answer,
                         uint32_t retry_s)
{
    got_trouble++;
    retry = retry_s;
}
static const struct gv_enroll_keep keep = {.certificate = keep_certificate,
                                           .descriptor = keep_descriptor,
                                           .revocation = on_revocation,
                                           .trouble = keep_trouble};

static void test_keeping_up(void **state)
{
    uint8_t certificate[GV_CERTIFICATE_LEN];
    struct gv_certificate held, renewed;

    join(certificate);
    revoke_number(10, REGISTRY_NOW);
    got_certificate = got_descriptor = got_trouble = revoked = 0;
    gv_certificate_parse(&held, certificate, sizeof certificate);
    registry_clock_ms += 50ULL * 86400000; /* past half life and its jitter */
    r.descriptor.version = 2;
    assert_int_equal(gv_write_descriptor(&r.descriptor, r.folder, r.root.sign_secret, NULL), GV_OK);
    assert_int_equal(gv_enroll_keep(enroll, &keep, certificate), GV_OK);
    registry_run(&r, &got_certificate);
    registry_run(&r, &got_descriptor);
    registry_run(&r, &revoked);
    assert_int_equal(gv_certificate_parse(&renewed, wire, GV_CERTIFICATE_LEN), GV_OK);
    assert_int_equal(renewed.issued_min, REGISTRY_NOW);
    assert_int_equal(renewed.since_min, held.since_min);
    assert_int_equal(gv_enroll_descriptor(enroll)->version, 2);
    assert_int_equal(got_trouble, 0);
    uv_timer_t *timer = &enroll->tasks[1].timer; /* revocations: every 15 minutes and a bit */
    for (int i = 0; i < 100 && uv_timer_get_due_in(timer) < 60000; i++) {
        uv_run(&r.loop, UV_RUN_NOWAIT);
        usleep(10000);
    }
    assert_string_equal(enroll->tasks[1].what, "revocations");
    assert_true(uv_timer_get_due_in(timer) > 890000 && uv_timer_get_due_in(timer) <= 990000);
}

static void test_keeping_up_with_nobody(void **state)
{
    struct gv_buf good;

    gv_buf_init(&good);
    new_enroll("http://127.0.0.1:1", NULL);
    assert_int_equal(gv_descriptor_issue(&good, &r.descriptor, r.root.sign_secret), GV_OK);
    assert_int_equal(gv_enroll_set_descriptor(enroll, good.data, good.len), GV_OK);
    gv_buf_free(&good);
    got_trouble = 0;
    assert_int_equal(gv_enroll_keep(enroll, &keep, NULL), GV_OK);
    registry_run(&r, &got_trouble);
    assert_true(retry >= 45 && retry <= 75);
    assert_non_null(gv_enroll_descriptor(enroll)); /* what is held stays in force */
}

static void test_backoff(void **state)
{
    assert_int_equal(gv_enroll_backoff(1, 0), 45);
    assert_int_equal(gv_enroll_backoff(1, UINT32_MAX), 75);
    assert_int_equal(gv_enroll_backoff(2, 0), 90);
    assert_int_equal(gv_enroll_backoff(9, UINT32_MAX), 60 * 256 * 5 / 4);
    assert_int_equal(gv_enroll_backoff(10, 0), 21600 * 3 / 4);
    assert_int_equal(gv_enroll_backoff(1000000, UINT32_MAX), 27000);
}

/* Half life, and then spread over a twentieth of the life, a day at most, by the certificate. */
static void test_renewals_are_spread(void **state)
{
    struct gv_certificate c = {.issued_min = 29000000, .expires_min = 29000000 + 90 * 1440};
    uint64_t half_s = 60ull * (29000000 + 45 * 1440);

    assert_int_equal(gv_enroll_renewal_s(&c, NULL), half_s);
    memset(c.id, 0xff, sizeof c.id);
    assert_in_range(gv_enroll_renewal_s(&c, NULL), half_s + 86398, half_s + 86400);
    c.id[0] = 0x80;
    c.id[1] = 0;
    assert_int_equal(gv_enroll_renewal_s(&c, NULL), half_s + 43200);
    c.expires_min = c.issued_min + 200; /* a lab's: 10 minutes are a twentieth */
    assert_int_equal(gv_enroll_renewal_s(&c, NULL), 60ull * (29000000 + 100) + 300);
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH(test_the_whole_way),
        WITH(test_what_is_refused_says_what_to_do),
        WITH(test_a_clock_that_is_off),
        WITH(test_another_network_is_not_taken),
        WITH(test_a_revoked_instance_is_told_the_way_back),
        WITH(test_revocations),
        WITH(test_a_registry_that_is_down),
        WITH(test_a_registry_that_is_slow),
        WITH(test_nonsense),
        WITH(test_random_bytes),
        WITH(test_descriptors_that_lie),
        WITH(test_certificates_that_lie),
        WITH(test_keeping_up),
        WITH(test_keeping_up_with_nobody),
        cmocka_unit_test(test_backoff),
        cmocka_unit_test(test_renewals_are_spread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
