/* What a node makes of its registry's answers (SPEC 14): every kind of request, one after another,
 * each answered out of the input. Signatures would stop a plain fuzzer, so an answer may also be
 * made and signed here by the network's own keys, as a careless or compromised registry might, and
 * then be changed. Only the transfer is left out (the linker wraps it: see tests/CMakeLists.txt).
 *
 * Every request is answered exactly once. What is taken is what a signature of the pinned network
 * covers, of this instance, at this time; what is told to the admin has no byte that would move a
 * terminal but those of a server's own name. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "input.h"
#include "crypto/error.h"
#include "node/base/fetch.h"
#include "node/base/json.h"
#include "node/host/enroll.h"
#include "proto/registry.h"
#include "proto/wire/revocation.h"

#define NOW_MIN 29865600u

int __wrap_gv_fetch_start(struct gv_fetch **handle, uv_loop_t *loop,
                          const struct gv_fetch_request *request, gv_fetch_done done,
                          void *context);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct gv_identity root, signer, node, stranger;
static struct gv_descriptor network;
static uint8_t network_wire[GV_DESCRIPTOR_MAX];
static size_t network_wire_len;
static uint32_t now_min;
static uint64_t group;

/* ---- the transfer --------------------------------------------------------------------------- */

static struct {
    gv_fetch_done done;
    void *context;
    size_t most;
} flight;

int __wrap_gv_fetch_start(struct gv_fetch **handle, uv_loop_t *loop,
                          const struct gv_fetch_request *request, gv_fetch_done done, void *context)
{
    (void)loop;
    gv_assert(!flight.done && request->response_max > 0 && strncmp(request->url, "http", 4) == 0);
    flight.done = done;
    flight.context = context;
    flight.most = request->response_max;
    *handle = NULL;
    return GV_OK;
}

static uint64_t clock_ms(void)
{
    return now_min * 60000ull;
}

/* ---- answers -------------------------------------------------------------------------------- */

static uint32_t take_minute(struct input *in)
{
    uint8_t byte = take(in);

    return byte < 128 ? NOW_MIN + byte - 64 : NOW_MIN + (byte - 192u) * 1440u;
}

static void make_descriptor(struct input *in, struct gv_buf *out)
{
    struct gv_descriptor d = network;
    uint8_t what = take(in);

    d.version = what % 8 + 1u;
    if (what >= 128)
        d.activation_min = take_minute(in);
    if (what >= 192)
        d.key_count = 1 + what % 2;
    if (what >= 224) {
        memcpy(d.keys[1].key, stranger.sign_public, GV_KEY_LEN);
        d.keys[1].until_min = UINT32_MAX;
    }
    if (what == 255) /* another network */
        memcpy(d.root_key, stranger.sign_public, GV_KEY_LEN);
    (void)gv_descriptor_issue(out, &d, what == 255 ? stranger.sign_secret : root.sign_secret);
}

static json_t *make_certificate(struct input *in)
{
    uint8_t wire[GV_CERTIFICATE_LEN], what = take(in);
    struct gv_certificate facts = {.group = group,
                                   .issued_min = NOW_MIN - 10,
                                   .expires_min = NOW_MIN + 129600,
                                   .since_min = NOW_MIN - 5000};

    memcpy(facts.key, what % 8 ? node.sign_public : stranger.sign_public, GV_KEY_LEN);
    facts.owner[0] = what / 8 % 2;
    facts.placement = what / 16 % 2;
    if (what >= 64)
        facts.issued_min = take_minute(in);
    if (what >= 128)
        facts.expires_min = take_minute(in);
    if (facts.expires_min <= facts.issued_min)
        facts.expires_min = facts.issued_min + 1;
    if (facts.since_min > facts.issued_min)
        facts.since_min = facts.issued_min;
    gv_certificate_issue(wire, &facts, what == 255 ? stranger.sign_secret : signer.sign_secret,
                         network.network_id);
    return json_pack("{s:o}", "certificate", gv_json_new_base64(wire, sizeof wire));
}

static json_t *make_revocations(struct input *in)
{
    json_t *list = json_array();

    for (unsigned count = take(in) % 8; count > 0; count--) {
        struct gv_revocation r = {.revoked_min = take_minute(in), .reason = take(in) % 5};
        struct gv_buf wire;
        gv_buf_init(&wire);
        if (gv_revocation_issue(&wire, &r,
                                r.reason == 3 ? stranger.sign_secret : signer.sign_secret,
                                network.network_id) == GV_OK)
            json_array_append_new(list, gv_json_new_base64(wire.data, wire.len));
        gv_buf_free(&wire);
    }
    return list;
}

/* Some bytes changed, or cut: in the text, where that is what is sent. */
static void change(struct input *in, struct gv_buf *body)
{
    uint8_t how = take(in);

    for (int i = 0; how >= 160 && i <= how % 4 && body->len > 0; i++) {
        size_t at = (size_t)(take(in) << 8 | take(in));
        if (at < body->len)
            body->data[at] ^= take(in);
        else
            body->len = at % (body->len + 1);
    }
}

static void make_body(struct input *in, struct gv_buf *body, unsigned kind)
{
    json_t *json = NULL;

    switch (kind) {
    case 0:
        make_descriptor(in, body);
        break;
    case 3:
    case 4:
        json = make_certificate(in);
        break;
    case 5:
        json = make_revocations(in);
        break;
    default:
        json = json_pack("{s:i}", "expires_in", take(in));
    }
    if (json) {
        char *text = json_dumps(json, JSON_COMPACT);
        gv_buf_append(body, text, strlen(text));
        free(text);
        json_decref(json);
    }
    change(in, body);
}

static void refusal(struct input *in, struct gv_buf *body)
{
    static const char *const words[] = {"revoked", "early", "rate-email", "\x1b[2J", "no\nword"};
    char text[512];
    int n = snprintf(text, sizeof text, "{\"error\":\"%s\",\"message\":\"", words[take(in) % 5]);
    size_t len = take(in);

    len = len < in->left ? len : in->left;
    gv_buf_append(body, text, (size_t)n);
    gv_buf_append(body, in->data, len);
    gv_buf_append(body, "\"}", 2);
    in->data += len;
    in->left -= len;
}

static void raw(struct input *in, struct gv_buf *body)
{
    size_t len = (size_t)take(in) * 8;

    len = len < in->left ? len : in->left;
    gv_buf_append(body, in->data, len);
    in->data += len;
    in->left -= len;
}

static void answer(struct input *in, unsigned kind)
{
    static const int errors[] = {GV_ERR_IO, GV_ERR_EXPIRED, GV_ERR_SPACE, GV_ERR_RANGE};
    static const unsigned statuses[] = {200, 202, 204, 301, 403, 409, 429, 503, 999, 0};
    struct gv_fetch_result result = {.status = kind == 2 ? 202 : 200};
    struct gv_buf body;
    uint8_t how = take(in);

    gv_buf_init(&body);
    if (how < 160)
        make_body(in, &body, kind);
    else if (how < 192)
        refusal(in, &body);
    else
        raw(in, &body);
    if (how >= 160)
        result.status = how % 3 ? statuses[how % 10] : result.status;
    if (how == 255) {
        result.error = errors[take(in) % 4];
        result.status = 0;
        snprintf(result.text.text, sizeof result.text.text, "http://x: %s", "why");
    }
    if (body.len > flight.most)
        body.len = flight.most;
    result.len = body.len;
    result.body = malloc(body.len + 1);
    gv_assert(result.body);
    if (body.len > 0)
        memcpy(result.body, body.data, body.len);
    result.body[body.len] = 0;
    gv_buf_free(&body);
    gv_fetch_done done = flight.done;
    flight.done = NULL;
    done(flight.context, &result);
    gv_fetch_result_free(&result);
}

/* ---- what the node is told ------------------------------------------------------------------ */

static struct gv_enroll *enroll;
static unsigned answered, kind_now;

static void check_certificate(const struct gv_enroll_answer *a)
{
    struct gv_certificate c;
    const struct gv_descriptor *d = gv_enroll_descriptor(enroll);

    gv_assert(a->wire_len == GV_CERTIFICATE_LEN);
    gv_assert(gv_certificate_parse(&c, a->wire, a->wire_len) == GV_OK);
    gv_assert(memcmp(c.key, node.sign_public, GV_KEY_LEN) == 0 && c.expires_min > now_min);
    const uint8_t *key = gv_descriptor_key(d, c.signer, c.issued_min);
    gv_assert(key && gv_certificate_verify(NULL, a->wire, key, d->network_id) == GV_OK);
    gv_assert(kind_now != 4 || (c.owner[0] == 0 && c.placement == 0)); /* as the one renewed */
}

static void on_answer(void *context, const struct gv_enroll_answer *a)
{
    (void)context;
    answered++;
    gv_assert(memchr(a->text.text, 0, sizeof a->text.text));
    for (const char *at = a->text.text; *at; at++)
        gv_assert((unsigned char)*at >= 0x20 && *at != 0x7f);
    gv_assert((a->error == GV_OK) == (a->text.text[0] == 0));
    if (a->error != GV_OK)
        return;
    if (kind_now == 0)
        gv_assert(gv_enroll_descriptor(enroll) && a->wire_len <= GV_DESCRIPTOR_MAX);
    else if (kind_now == 3 || kind_now == 4)
        check_certificate(a);
}

static void on_revocation(void *context, const uint8_t *wire, size_t len)
{
    struct gv_revocation r;

    (void)context;
    gv_assert(gv_revocation_open(&r, NULL, gv_enroll_descriptor(enroll), wire, len) == GV_OK);
}

static int ask(unsigned kind)
{
    static uint8_t held[GV_CERTIFICATE_LEN];
    struct gv_certificate facts = {.group = group,
                                   .issued_min = NOW_MIN - 5000,
                                   .expires_min = NOW_MIN + 100,
                                   .since_min = NOW_MIN - 5000};

    switch (kind) {
    case 0:
        return gv_enroll_fetch_descriptor(enroll, on_answer, NULL);
    case 1:
        return gv_enroll_fetch_terms(enroll, on_answer, NULL);
    case 2:
        return gv_enroll_request(enroll, "a@example.org", "1", NULL, on_answer, NULL);
    case 3:
        return gv_enroll_confirm(enroll, "ABCDE-FGHJK", on_answer, NULL);
    case 4:
        memcpy(facts.key, node.sign_public, GV_KEY_LEN);
        gv_certificate_issue(held, &facts, signer.sign_secret, network.network_id);
        return gv_enroll_renew(enroll, held, on_answer, NULL);
    default:
        return gv_enroll_fetch_revocations(enroll, on_revocation, on_answer, NULL);
    }
}

static void identity(struct gv_identity *out, uint8_t number)
{
    uint8_t secret[GV_SECRET_LEN] = {99, number};

    gv_identity_from_secret(out, secret);
}

static void prepare(void)
{
    struct gv_buf wire;

    static const uint8_t place[16] = {[10] = 0xff, 0xff, 198, 51, 100, 7};

    group = gv_registry_group(place);
    identity(&root, 0);
    identity(&signer, 1);
    identity(&node, 2);
    identity(&stranger, 3);
    network.version = 1;
    network.activation_min = network.genesis_min = NOW_MIN - 100000;
    memcpy(network.root_key, root.sign_public, GV_KEY_LEN);
    strcpy(network.name, "test");
    network.key_count = 1;
    memcpy(network.keys[0].key, signer.sign_public, GV_KEY_LEN);
    network.keys[0].until_min = UINT32_MAX;
    strcpy(network.registry_url, "https://registry.example");
    gv_policy_default(&network.policy, true);
    strcpy(network.terms, "1");
    gv_buf_init(&wire);
    gv_assert(gv_descriptor_issue(&wire, &network, root.sign_secret) == GV_OK);
    memcpy(network_wire, wire.data, wire.len);
    network_wire_len = wire.len;
    gv_buf_free(&wire);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    unsigned rounds = 0;

    if (network_wire_len == 0)
        prepare();
    now_min = NOW_MIN;
    const struct gv_enroll_options options = {
        .registry_url = "http://r.example", .identity = &node, .unix_ms = clock_ms};
    gv_assert(gv_enroll_new(&enroll, &options) == GV_OK);
    if (take(&in) % 4)
        gv_assert(gv_enroll_set_descriptor(enroll, network_wire, network_wire_len) == GV_OK);
    while (in.left > 0 && rounds++ < 16) {
        uint8_t what = take(&in);
        kind_now = what % 6;
        if (what >= 240)
            now_min += take(&in) * 1440u;
        answered = 0;
        int rc = ask(kind_now);
        gv_assert(rc == GV_OK || rc == GV_ERR_STATE);
        if (rc == GV_OK)
            answer(&in, kind_now);
        gv_assert(answered == (rc == GV_OK));
    }
    gv_enroll_free(enroll);
    return 0;
}
