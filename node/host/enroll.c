#include "node/host/enroll_internal.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/error.h"
#include "node/base/json.h"
#include "node/base/log.h"
#include "proto/registry.h"
#include "proto/wire/revocation.h"

#define TIMEOUT_MS   20000
#define ANSWER_MAX   (1 << 20) /* a full page of revocations is 570 kB */
#define TERMS_MAX    65536
#define AHEAD_MIN    (GV_PROOF_SKEW_MIN + 5) /* the registry's clock and ours may differ so much */
#define SMALL_ANSWER 8192

/* ---- life ----------------------------------------------------------------------------------- */

static uint64_t system_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint32_t gv_enroll_now_min(const struct gv_enroll *enroll)
{
    return (uint32_t)(enroll->options.unix_ms() / 60000);
}

static void release(struct gv_enroll *enroll)
{
    free(enroll->url);
    free(enroll->bind_address);
    free(enroll->ca_file);
    free(enroll->descriptor);
    free(enroll);
}

int gv_enroll_new(struct gv_enroll **out, const struct gv_enroll_options *options)
{
    int rc = GV_ERR_MEMORY;
    struct gv_enroll *enroll = calloc(1, sizeof *enroll);

    *out = NULL;
    if (!enroll)
        return rc;
    enroll->options = *options;
    if (!options->unix_ms)
        enroll->options.unix_ms = system_ms;
    if (!options->timeout_ms)
        enroll->options.timeout_ms = TIMEOUT_MS;
    if (options->network_id) {
        memcpy(enroll->network_id, options->network_id, GV_KEY_LEN);
        enroll->pinned = true;
    }
    if (options->registry_url) {
        enroll->url = strdup(options->registry_url);
        if (!enroll->url)
            goto out;
        size_t len = strlen(enroll->url);
        if (len > 0 && enroll->url[len - 1] == '/')
            enroll->url[len - 1] = '\0';
    }
    if (options->bind_address) {
        enroll->bind_address = strdup(options->bind_address);
        if (!enroll->bind_address)
            goto out;
    }
    if (options->ca_file) {
        enroll->ca_file = strdup(options->ca_file);
        if (!enroll->ca_file)
            goto out;
    }
    for (int kind = 0; kind < GV_ENROLL_KINDS; kind++)
        enroll->flights[kind] =
            (struct gv_enroll_flight){.enroll = enroll, .kind = (enum gv_enroll_kind)kind};
    *out = enroll;
    enroll = NULL; /* handed over */
    rc = GV_OK;
out:
    if (enroll)
        release(enroll);
    return rc;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct gv_enroll *enroll = ((struct gv_enroll_task *)handle->data)->enroll;

    if (--enroll->handles == 0)
        release(enroll);
}

void gv_enroll_free(struct gv_enroll *enroll)
{
    if (!enroll)
        return;
    for (size_t i = 0; i < GV_ENROLL_KINDS; i++)
        gv_fetch_cancel(enroll->flights[i].fetch);
    for (size_t i = 0; i < sizeof enroll->tasks / sizeof *enroll->tasks; i++) {
        if (!enroll->tasks[i].ready)
            continue;
        enroll->handles++;
        uv_close((uv_handle_t *)&enroll->tasks[i].timer, on_handle_closed);
    }
    if (enroll->handles == 0)
        release(enroll);
}

/* ---- the descriptor held -------------------------------------------------------------------- */

const struct gv_descriptor *gv_enroll_descriptor(const struct gv_enroll *enroll)
{
    return enroll->descriptor;
}

int gv_enroll_set_descriptor(struct gv_enroll *enroll, const uint8_t *wire, size_t len)
{
    struct gv_descriptor *fresh = malloc(sizeof *fresh);
    const struct gv_descriptor *held = enroll->descriptor;
    int rc = GV_ERR_MEMORY;

    if (!fresh)
        goto out;
    rc = gv_descriptor_open(fresh, NULL, wire, len);
    if (rc != GV_OK)
        goto out;
    rc = GV_ERR_NETWORK;
    if (enroll->pinned && memcmp(fresh->network_id, enroll->network_id, GV_KEY_LEN) != 0)
        goto out;
    rc = GV_ERR_SUPERSEDED;
    if (held &&
        (fresh->version < held->version ||
         (fresh->version == held->version &&
          (len != enroll->descriptor_len || memcmp(wire, enroll->descriptor_wire, len) != 0))))
        goto out;
    /* Without one in force there is nothing to wait with. */
    rc = GV_ERR_EARLY;
    if (held && fresh->activation_min > gv_enroll_now_min(enroll) + AHEAD_MIN)
        goto out;
    memcpy(enroll->network_id, fresh->network_id, GV_KEY_LEN);
    enroll->pinned = true;
    memcpy(enroll->descriptor_wire, wire, len);
    enroll->descriptor_len = len;
    free(enroll->descriptor);
    enroll->descriptor = fresh;
    fresh = NULL; /* handed over */
    rc = GV_OK;
out:
    free(fresh);
    return rc;
}

const char *gv_enroll_url(const struct gv_enroll *enroll)
{
    return enroll->url ? enroll->url : enroll->descriptor ? enroll->descriptor->registry_url : NULL;
}

/* ---- answers, all of them hostile ----------------------------------------------------------- */

static int nonsense(struct gv_enroll_answer *answer, const char *what)
{
    answer->error = GV_ERR_PROTOCOL;
    return gv_fail(&answer->text, GV_ERR_PROTOCOL,
                   "what is at the registry's address does not answer like a grapevine registry "
                   "(%.300s): is the address right?",
                   what);
}

/* No answer, or none that is HTTP. `why` is libcurl's word, which names the URL. */
static int read_failure(const struct gv_enroll *enroll, struct gv_enroll_answer *answer,
                        const struct gv_fetch_result *result)
{
    const char *base = gv_enroll_url(enroll), *why = result->text.text;
    bool http = base && (strncmp(base, "http://", 7) == 0 || strncmp(base, "https://", 8) == 0);

    if (result->error == GV_ERR_SPACE)
        return nonsense(answer, "far too long");
    /* libcurl calls an answer in another protocol "unsupported", as it does such a URL. */
    if (result->error == GV_ERR_RANGE && http)
        return nonsense(answer, why);
    answer->error = result->error;
    answer->text = result->text;
    if (result->error == GV_ERR_IO)
        gv_fail(&answer->text, 0,
                "the registry could not be reached (%.300s): is the address right, is it up? Try "
                "again later, the mesh does not need it",
                why);
    else if (result->error == GV_ERR_EXPIRED)
        gv_fail(&answer->text, 0,
                "the registry is too slow, no answer within %u s (%.300s): is the address right? "
                "Try again later, the mesh does not need it",
                (enroll->options.timeout_ms + 999) / 1000, why);
    return answer->error;
}

/* A refusal: {"error": word, "message": sentence}. Both are shown to the admin, so both are cut
 * and made safe. */
static int read_refusal(struct gv_enroll_answer *answer, const struct gv_fetch_result *result)
{
    json_t *json = NULL;
    const char *word = NULL, *message = NULL;

    if (result->status < 400 || result->status > 599 || result->len > SMALL_ANSWER ||
        gv_json_parse(&json, result->body, result->len, SMALL_ANSWER, NULL) != GV_OK ||
        gv_json_string(&word, json, "error", sizeof answer->word - 1, NULL) != GV_OK ||
        gv_json_string(&message, json, "message", 400, NULL) != GV_OK || !*word || !*message ||
        word[strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789-")] != '\0') {
        json_decref(json);
        char what[32];
        snprintf(what, sizeof what, "HTTP status %u", result->status);
        return nonsense(answer, what);
    }
    answer->error = result->status == 429 || result->status >= 500 ? GV_ERR_BUSY : GV_ERR_FORBIDDEN;
    snprintf(answer->word, sizeof answer->word, "%s", word);
    if (strcmp(word, "revoked") == 0) /* what to do is known best here */
        gv_fail(&answer->text, 0,
                "this instance is revoked for good: to enrol again, stop the daemon, move its key "
                "file (\"key\" in the folder [node] data) away, start it, enrol anew");
    else
        gv_log_safe(answer->text.text, sizeof answer->text.text, message, strlen(message));
    json_decref(json);
    return answer->error;
}

/* GV_OK: a 2xx answer of `status`. */
static int check_result(const struct gv_enroll *enroll, struct gv_enroll_answer *answer,
                        const struct gv_fetch_result *result, unsigned status)
{
    answer->status = result->status;
    if (result->error != GV_OK)
        return read_failure(enroll, answer, result);
    return result->status == status ? GV_OK : read_refusal(answer, result);
}

static int read_descriptor(struct gv_enroll *enroll, struct gv_enroll_answer *answer,
                           const struct gv_fetch_result *result)
{
    int rc = gv_enroll_set_descriptor(enroll, result->body, result->len);

    if (rc == GV_ERR_MALFORMED || rc == GV_ERR_RANGE || rc == GV_ERR_VERSION)
        return nonsense(answer, "not a network descriptor");
    answer->error = rc;
    if (rc != GV_OK)
        return gv_fail(&answer->text, rc, "the registry's network descriptor: %s%s",
                       gv_strerror(rc),
                       rc == GV_ERR_NETWORK ? "; this node belongs to the other one" : "");
    answer->wire = enroll->descriptor_wire;
    answer->wire_len = enroll->descriptor_len;
    return GV_OK;
}

/* What a certificate must be to be ours: our key, a registry key in force when it was issued, its
 * signature, and good at this moment. */
static int check_certificate(const struct gv_enroll *enroll, const struct gv_certificate *fresh,
                             const uint8_t *wire)
{
    const uint8_t *key = gv_descriptor_key(enroll->descriptor, fresh->signer, fresh->issued_min);
    uint32_t now = gv_enroll_now_min(enroll);

    if (!key)
        return GV_ERR_SIGNER;
    if (memcmp(fresh->key, enroll->options.identity->sign_public, GV_KEY_LEN) != 0)
        return GV_ERR_PROTOCOL;
    int rc = gv_certificate_verify(NULL, wire, key, enroll->descriptor->network_id);
    if (rc != GV_OK)
        return rc;
    if (fresh->issued_min > now + AHEAD_MIN)
        return GV_ERR_EARLY;
    return fresh->expires_min > now ? GV_OK : GV_ERR_EXPIRED;
}

static bool keeps_its_word(const struct gv_certificate *fresh, const struct gv_certificate *held)
{
    return memcmp(fresh->owner, held->owner, GV_ID_LEN) == 0 &&
           fresh->placement == held->placement && fresh->since_min == held->since_min &&
           fresh->issued_min >= held->issued_min;
}

static int read_certificate(struct gv_enroll *enroll, struct gv_enroll_answer *answer,
                            const struct gv_fetch_result *result, bool renewal,
                            uint8_t wire[GV_CERTIFICATE_LEN])
{
    struct gv_certificate fresh;
    json_t *json = NULL;
    size_t len = 0;
    int rc = gv_json_parse(&json, result->body, result->len, SMALL_ANSWER, NULL);

    if (rc == GV_OK)
        rc = gv_json_base64(wire, GV_CERTIFICATE_LEN, &len, json, "certificate", NULL);
    json_decref(json);
    if (rc != GV_OK || gv_certificate_parse(&fresh, wire, len) != GV_OK)
        return nonsense(answer, "not a certificate");
    rc = check_certificate(enroll, &fresh, wire);
    if (rc == GV_OK && renewal && !keeps_its_word(&fresh, &enroll->renewing))
        rc = GV_ERR_PROTOCOL;
    answer->error = rc;
    if (rc == GV_ERR_EARLY || rc == GV_ERR_EXPIRED)
        return gv_fail(&answer->text, rc,
                       "the certificate is not good at this host's time; check the clock");
    if (rc != GV_OK)
        return gv_fail(&answer->text, rc, "the registry gave a certificate that does not hold: %s",
                       gv_strerror(rc));
    answer->wire = wire;
    answer->wire_len = GV_CERTIFICATE_LEN;
    return GV_OK;
}

static int read_left(struct gv_enroll *enroll, struct gv_enroll_answer *answer,
                     const struct gv_fetch_result *result, uint8_t wire[GV_REVOCATION_MAX])
{
    struct gv_revocation revocation;
    json_t *json = NULL;
    size_t len = 0;
    int rc = gv_json_parse(&json, result->body, result->len, SMALL_ANSWER, NULL);

    if (rc == GV_OK)
        rc = gv_json_base64(wire, GV_REVOCATION_MAX, &len, json, "revocation", NULL);
    json_decref(json);
    if (rc == GV_OK)
        rc = gv_revocation_open(&revocation, NULL, enroll->descriptor, wire, len);
    if (rc != GV_OK || memcmp(revocation.instance, enroll->options.identity->id, GV_ID_LEN) != 0)
        return nonsense(answer, "not a revocation of this instance");
    answer->wire = wire;
    answer->wire_len = len;
    return GV_OK;
}

static int read_one_revocation(struct gv_enroll *enroll, const json_t *item,
                               const struct gv_enroll_flight *flight)
{
    uint8_t wire[GV_REVOCATION_MAX];
    struct gv_revocation revocation;
    size_t len = 0;

    if (!json_is_string(item) ||
        gv_unbase64(wire, sizeof wire, &len, json_string_value(item)) != GV_OK)
        return GV_ERR_PROTOCOL;
    int rc = gv_revocation_open(&revocation, NULL, enroll->descriptor, wire, len);
    /* Signed by a key that is not named any more: so were the certificates that it is about. */
    if (rc == GV_ERR_SIGNER)
        return GV_OK;
    if (rc != GV_OK)
        return rc;
    if (revocation.revoked_min > enroll->revocations_since &&
        revocation.revoked_min <= gv_enroll_now_min(enroll) + AHEAD_MIN)
        enroll->revocations_since = revocation.revoked_min;
    if (flight->each)
        flight->each(flight->context, wire, len);
    return GV_OK;
}

static int read_revocations(struct gv_enroll *enroll, struct gv_enroll_answer *answer,
                            const struct gv_fetch_result *result,
                            const struct gv_enroll_flight *flight)
{
    json_t *json = NULL;
    int rc = gv_json_parse(&json, result->body, result->len, ANSWER_MAX, NULL);

    enroll->revocations_got = 0;
    if (rc != GV_OK || !json_is_array(json) || json_array_size(json) > GV_REVOCATIONS_PAGE) {
        json_decref(json);
        return nonsense(answer, "not a list of revocations");
    }
    for (size_t i = 0; rc == GV_OK && i < json_array_size(json); i++) {
        rc = read_one_revocation(enroll, json_array_get(json, i), flight);
        enroll->revocations_got += rc == GV_OK;
    }
    json_decref(json);
    return rc == GV_OK ? GV_OK : nonsense(answer, "a revocation that does not verify");
}

static void read_sent(struct gv_enroll_answer *answer, const struct gv_fetch_result *result)
{
    json_t *json = NULL;
    uint64_t seconds = 0;

    if (gv_json_parse(&json, result->body, result->len, SMALL_ANSWER, NULL) != GV_OK ||
        gv_json_u64(&seconds, json, "expires_in", 604800, NULL) != GV_OK)
        nonsense(answer, "no word on the code");
    answer->expires_s = (uint32_t)seconds;
    json_decref(json);
}

static void on_result(void *context, struct gv_fetch_result *result)
{
    struct gv_enroll_flight *flight = context;
    struct gv_enroll *enroll = flight->enroll;
    struct gv_enroll_answer answer = {0};
    uint8_t wire[GV_CERTIFICATE_LEN];
    gv_enroll_done done = flight->done;
    void *done_context = flight->context;
    unsigned wanted = flight->kind == GV_ENROLL_REQUEST ? 202 : 200;

    flight->fetch = NULL;
    if (check_result(enroll, &answer, result, wanted) == GV_OK) {
        switch (flight->kind) {
        case GV_ENROLL_DESCRIPTOR:
            read_descriptor(enroll, &answer, result);
            break;
        case GV_ENROLL_TERMS:
            answer.wire = result->body;
            answer.wire_len = result->len;
            break;
        case GV_ENROLL_REQUEST:
            read_sent(&answer, result);
            break;
        case GV_ENROLL_CONFIRM:
        case GV_ENROLL_RENEW:
            read_certificate(enroll, &answer, result, flight->kind == GV_ENROLL_RENEW, wire);
            break;
        case GV_ENROLL_LEAVE:
            read_left(enroll, &answer, result, wire);
            break;
        case GV_ENROLL_REVOCATIONS:
        default:
            read_revocations(enroll, &answer, result, flight);
        }
    }
    done(done_context, &answer); /* may free the enroll: nothing of it is touched below */
}

/* ---- requests ------------------------------------------------------------------------------- */

/* Takes over the reference to `json` (NULL without a body). */
static int start(struct gv_enroll *enroll, enum gv_enroll_kind kind, const char *path, json_t *json,
                 bool has_body, gv_enroll_done done, void *context)
{
    struct gv_enroll_flight *flight = &enroll->flights[kind];
    const char *base = gv_enroll_url(enroll);
    char url[GV_HOST_MAX + 64];
    char *body = json ? json_dumps(json, JSON_COMPACT) : NULL;
    int rc = GV_ERR_BUSY;

    if (flight->fetch)
        goto out;
    rc = GV_ERR_STATE;
    if (!base)
        goto out;
    rc = GV_ERR_MEMORY;
    if (has_body && !body)
        goto out;
    rc = GV_ERR_RANGE;
    if ((size_t)snprintf(url, sizeof url, "%s%s", base, path) >= sizeof url)
        goto out;
    struct gv_fetch_request request = {
        .url = url,
        .body = body,
        .body_len = body ? strlen(body) : 0,
        .bind_address = enroll->bind_address,
        .ca_file = enroll->ca_file,
        .connect_ms = enroll->options.timeout_ms,
        .total_ms = enroll->options.timeout_ms,
        .response_max = kind == GV_ENROLL_REVOCATIONS  ? ANSWER_MAX
                        : kind == GV_ENROLL_TERMS      ? TERMS_MAX
                        : kind == GV_ENROLL_DESCRIPTOR ? GV_DESCRIPTOR_MAX
                                                       : SMALL_ANSWER,
    };
    flight->done = done;
    flight->context = context;
    rc = gv_fetch_start(&flight->fetch, enroll->options.loop, &request, on_result, flight);
out:
    free(body);
    json_decref(json);
    return rc;
}

/* Completes a proof with minute, nonce and key, signs it, and gives the members that every signed
 * request has. NULL with *rc set on failure. */
static json_t *signed_json(const struct gv_enroll *enroll, struct gv_proof *proof, int *rc)
{
    uint8_t signature[GV_SIGNATURE_LEN];

    *rc = GV_ERR_STATE;
    if (!enroll->descriptor)
        return NULL;
    proof->minute = gv_enroll_now_min(enroll);
    randombytes_buf(proof->nonce, sizeof proof->nonce);
    memcpy(proof->key, enroll->options.identity->sign_public, GV_KEY_LEN);
    *rc = gv_proof_sign(signature, proof, enroll->options.identity->sign_secret,
                        enroll->descriptor->network_id);
    if (*rc != GV_OK)
        return NULL;
    json_t *json = json_pack("{s:o,s:I,s:o,s:o}", "key", gv_json_new_hex(proof->key, GV_KEY_LEN),
                             "minute", (json_int_t)proof->minute, "nonce",
                             gv_json_new_hex(proof->nonce, sizeof proof->nonce), "signature",
                             gv_json_new_hex(signature, sizeof signature));
    *rc = json ? GV_OK : GV_ERR_MEMORY;
    return json;
}

int gv_enroll_fetch_descriptor(struct gv_enroll *enroll, gv_enroll_done done, void *context)
{
    return start(enroll, GV_ENROLL_DESCRIPTOR, "/v1/network", NULL, false, done, context);
}

int gv_enroll_fetch_terms(struct gv_enroll *enroll, gv_enroll_done done, void *context)
{
    return start(enroll, GV_ENROLL_TERMS, "/v1/terms", NULL, false, done, context);
}

int gv_enroll_request(struct gv_enroll *enroll, const char *email, const char *terms,
                      const char *invitation, gv_enroll_done done, void *context)
{
    struct gv_proof proof = {.kind = GV_PROOF_ENROLL, .email = email, .terms = terms};
    int rc;

    /* Whether it is an email address is for the registry to say: it says it in a sentence. */
    json_t *json = signed_json(enroll, &proof, &rc);
    if (!json)
        return rc;
    json_object_set_new(json, "email", json_string(email));
    json_object_set_new(json, "terms", json_string(terms));
    if (invitation && *invitation)
        json_object_set_new(json, "invitation", json_string(invitation));
    return start(enroll, GV_ENROLL_REQUEST, "/v1/enroll", json, true, done, context);
}

int gv_enroll_confirm(struct gv_enroll *enroll, const char *code, gv_enroll_done done,
                      void *context)
{
    struct gv_proof proof = {.kind = GV_PROOF_CONFIRM, .code = code};
    int rc;
    json_t *json = signed_json(enroll, &proof, &rc);

    if (!json)
        return rc;
    if (json_object_set_new(json, "code", json_string(code)) != 0) { /* not UTF-8 */
        json_decref(json);
        return GV_ERR_RANGE;
    }
    return start(enroll, GV_ENROLL_CONFIRM, "/v1/confirm", json, true, done, context);
}

/* What is signed with the id of the certificate held. */
static int ask_about(struct gv_enroll *enroll, enum gv_enroll_kind kind, struct gv_proof *proof,
                     const char *path, const struct gv_certificate *held, gv_enroll_done done,
                     void *context)
{
    int rc;

    memcpy(proof->certificate, held->id, GV_ID_LEN);
    json_t *json = signed_json(enroll, proof, &rc);
    if (!json)
        return rc;
    json_object_set_new(json, "certificate", gv_json_new_hex(held->id, GV_ID_LEN));
    return start(enroll, kind, path, json, true, done, context);
}

int gv_enroll_renew(struct gv_enroll *enroll, const uint8_t certificate[GV_CERTIFICATE_LEN],
                    gv_enroll_done done, void *context)
{
    struct gv_proof proof = {.kind = GV_PROOF_RENEW};
    struct gv_certificate held;

    if (enroll->flights[GV_ENROLL_RENEW].fetch)
        return GV_ERR_BUSY;
    if (gv_certificate_parse(&held, certificate, GV_CERTIFICATE_LEN) != GV_OK)
        return GV_ERR_RANGE;
    enroll->renewing = held;
    return ask_about(enroll, GV_ENROLL_RENEW, &proof, "/v1/renew", &held, done, context);
}

int gv_enroll_leave(struct gv_enroll *enroll, const uint8_t certificate[GV_CERTIFICATE_LEN],
                    gv_enroll_done done, void *context)
{
    struct gv_proof proof = {.kind = GV_PROOF_LEAVE};
    struct gv_certificate held;

    if (gv_certificate_parse(&held, certificate, GV_CERTIFICATE_LEN) != GV_OK)
        return GV_ERR_RANGE;
    return ask_about(enroll, GV_ENROLL_LEAVE, &proof, "/v1/leave", &held, done, context);
}

int gv_enroll_fetch_revocations(struct gv_enroll *enroll, gv_enroll_revocation each,
                                gv_enroll_done done, void *context)
{
    char path[64];

    if (!enroll->descriptor)
        return GV_ERR_STATE;
    if (enroll->flights[GV_ENROLL_REVOCATIONS].fetch)
        return GV_ERR_BUSY;
    enroll->flights[GV_ENROLL_REVOCATIONS].each = each;
    snprintf(path, sizeof path, "/v1/revocations?since=%u", enroll->revocations_since);
    return start(enroll, GV_ENROLL_REVOCATIONS, path, NULL, false, done, context);
}
