/* Sequences of requests to the registry's handlers (SPEC 14): limits, proofs of possession, codes,
 * records in a real database. A signature would stop a plain fuzzer at once, so a request is made
 * and signed here by one of four instances, out of the input's texts and with the code that was
 * mailed where the input says so, and then changed, or not. Only HTTP and the mail are left out
 * (the linker wraps them: see tests/CMakeLists.txt).
 *
 * Every request is answered once, now or when its mail is out, with a status and a word of SPEC
 * 14.1; a certificate is only given for a proof that holds, and is then of that key and verifies.
 */
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "input.h"
#include "crypto/error.h"
#include "node/base/db.h"
#include "node/base/http.h"
#include "node/base/json.h"
#include "node/base/log.h"
#include "node/registry/registrar.h"

#define CLIENTS   4
#define MAILS     4
#define BODY_MAX  4096
#define START_MIN 29865600u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct gv_registrar registrar;
static struct gv_registry_settings settings;
static struct gv_identity clients[CLIENTS], root;
static uint64_t now_ms;
static sqlite3 *cleaner;

/* ---- HTTP, from the handlers' side ---------------------------------------------------------- */

struct gv_http_request {
    const char *path, *since;
    uint8_t *body;
    size_t body_len;
    uint8_t address[16];
    bool forwarded;
    unsigned status; /* 0: not answered */
    char word[64];
    uint8_t key[GV_KEY_LEN]; /* whose proof it carries */
    bool honest;             /* it was made and signed, and not only bytes */
    void (*closed)(void *context);
    void *closed_context;
};

const uint8_t *__wrap_gv_http_body(const struct gv_http_request *request, size_t *len);
const char *__wrap_gv_http_path(const struct gv_http_request *request);
const char *__wrap_gv_http_query(const struct gv_http_request *request, const char *name);
const char *__wrap_gv_http_header(const struct gv_http_request *request, const char *name);
const struct sockaddr *__wrap_gv_http_peer(const struct gv_http_request *request);
bool __wrap_gv_http_client_bytes(const struct gv_http_request *request, uint8_t out[16]);
bool __wrap_gv_http_proxied(const struct gv_http_request *request);
void __wrap_gv_http_add_header(struct gv_http_request *request, const char *name,
                               const char *value);
void __wrap_gv_http_respond(struct gv_http_request *request, unsigned status, const char *type,
                            const void *data, size_t len);
void __wrap_gv_http_respond_json(struct gv_http_request *request, unsigned status, json_t *json);
void __wrap_gv_http_error(struct gv_http_request *request, unsigned status, const char *word,
                          const char *format, ...) __attribute__((format(printf, 4, 5)));
void __wrap_gv_http_on_closed(struct gv_http_request *request, void (*closed)(void *context),
                              void *context);
int __wrap_gv_mail_send(struct gv_mailer *mailer, const char *to, const char *subject,
                        const char *body, gv_mail_done done, void *context);

const uint8_t *__wrap_gv_http_body(const struct gv_http_request *request, size_t *len)
{
    *len = request->body_len;
    return request->body;
}

const char *__wrap_gv_http_path(const struct gv_http_request *request)
{
    return request->path;
}

const char *__wrap_gv_http_query(const struct gv_http_request *request, const char *name)
{
    return strcmp(name, "since") == 0 ? request->since : NULL;
}

const char *__wrap_gv_http_header(const struct gv_http_request *request, const char *name)
{
    return strcmp(name, "X-Forwarded-For") == 0 && request->forwarded ? "1.2.3.4\n\x1b[2J" : NULL;
}

const struct sockaddr *__wrap_gv_http_peer(const struct gv_http_request *request)
{
    (void)request;
    return NULL;
}

bool __wrap_gv_http_client_bytes(const struct gv_http_request *request, uint8_t out[16])
{
    memcpy(out, request->address, 16);
    return true;
}

bool __wrap_gv_http_proxied(const struct gv_http_request *request)
{
    (void)request;
    return false;
}

/* Of a header nothing may be taken over from the request: it would split the answer. */
void __wrap_gv_http_add_header(struct gv_http_request *request, const char *name, const char *value)
{
    gv_assert(request->status == 0);
    gv_assert(!strpbrk(name, "\r\n:") && !strpbrk(value, "\r\n"));
}

static void check_certificate(const struct gv_http_request *request, const json_t *json)
{
    uint8_t wire[GV_CERTIFICATE_LEN];
    struct gv_certificate certificate;
    size_t len;

    gv_assert(request->honest && request->status == 200);
    gv_assert(gv_json_base64(wire, sizeof wire, &len, json, "certificate", NULL) == GV_OK);
    gv_assert(gv_certificate_parse(&certificate, wire, len) == GV_OK);
    gv_assert(gv_certificate_verify(NULL, wire, registrar.signer->sign_public,
                                    registrar.descriptor.network_id) == GV_OK);
    gv_assert(memcmp(certificate.key, request->key, GV_KEY_LEN) == 0);
}

void __wrap_gv_http_respond(struct gv_http_request *request, unsigned status, const char *type,
                            const void *data, size_t len)
{
    gv_assert(request->status == 0 && status >= 200 && status < 600);
    gv_assert(type && (data || len == 0));
    request->status = status;
}

void __wrap_gv_http_respond_json(struct gv_http_request *request, unsigned status, json_t *json)
{
    gv_assert(request->status == 0 && json);
    request->status = status;
    if (json_object_get(json, "certificate"))
        check_certificate(request, json);
    gv_assert(!json_object_get(json, "revocation") || request->honest);
    json_decref(json);
}

void __wrap_gv_http_error(struct gv_http_request *request, unsigned status, const char *word,
                          const char *format, ...)
{
    char message[512];
    va_list args;

    gv_assert(request->status == 0 && status >= 400 && status < 600);
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    json_t *text = json_string(message); /* NULL: not UTF-8, and the answer would be a 500 */
    gv_assert(text && *message && strcspn(message, "\r\n\x1b") == strlen(message));
    json_decref(text);
    gv_assert(word[strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789-")] == 0);
    request->status = status;
    snprintf(request->word, sizeof request->word, "%s", word);
}

void __wrap_gv_http_on_closed(struct gv_http_request *request, void (*closed)(void *context),
                              void *context)
{
    request->closed = closed;
    request->closed_context = context;
}

/* ---- the mail ------------------------------------------------------------------------------- */

static struct {
    char code[16];
    gv_mail_done done;
    void *context;
} mails[MAILS]; /* under way */
static size_t mail_count;
static char last_code[16];

int __wrap_gv_mail_send(struct gv_mailer *mailer, const char *to, const char *subject,
                        const char *body, gv_mail_done done, void *context)
{
    const char *code = strstr(body, "The code is:\n\n    ");

    (void)mailer;
    /* Nothing that would end the address or the header, and start another one. */
    gv_assert(strcspn(to, " \t\r\n<>,;") == strlen(to) && strchr(to, '@'));
    gv_assert(!strpbrk(subject, "\r\n") && (code || strstr(body, "/leave/")));
    if (mail_count == MAILS)
        return GV_ERR_BUSY;
    if (code)
        memcpy(last_code, code + 18, GV_CODE_LEN + 1);
    mails[mail_count].done = done;
    mails[mail_count++].context = context;
    return GV_OK;
}

static void mail_goes(int error)
{
    if (mail_count > 0) {
        mail_count--;
        mails[mail_count].done(mails[mail_count].context, error, "550 \r\nforged: \x1b[2J");
    }
}

/* ---- the registry --------------------------------------------------------------------------- */

static uint64_t clock_ms(void)
{
    return now_ms;
}

static void make_descriptor(void)
{
    struct gv_descriptor *d = &registrar.descriptor;

    d->version = 1;
    d->activation_min = d->genesis_min = START_MIN - 100;
    memcpy(d->root_key, root.sign_public, GV_KEY_LEN);
    strcpy(d->name, "test");
    d->key_count = 1;
    memcpy(d->keys[0].key, registrar.signer->sign_public, GV_KEY_LEN);
    d->keys[0].from_min = START_MIN - 100;
    d->keys[0].until_min = START_MIN + 2000000;
    strcpy(d->registry_url, "http://127.0.0.1:4728");
    gv_policy_default(&d->policy, true);
    strcpy(d->terms, "2026-11");
    gv_buf_init(&registrar.descriptor_wire);
    gv_assert(gv_descriptor_issue(&registrar.descriptor_wire, d, root.sign_secret) == GV_OK);
}

static void identity(struct gv_identity *out, uint8_t number)
{
    uint8_t secret[GV_SECRET_LEN] = {77, number};

    gv_identity_from_secret(out, secret);
}

static char folder[] = "/dev/shm/gv-fuzz-XXXXXX";

static void remove_folder(void)
{
    char command[64];

    snprintf(command, sizeof command, "rm -rf %s", folder);
    if (system(command) != 0)
        fprintf(stderr, "%s stays behind\n", folder);
}

static void open_registry(void)
{
    static const uint8_t email_key[GV_SECRET_LEN] = {3};
    char path[64];

    gv_assert(sodium_init() >= 0 && mkdtemp(folder));
    snprintf(path, sizeof path, "%s/registry.db", folder);
    gv_assert(gv_config_defaults(&gv_registry_table, &settings) == GV_OK);
    settings.data = folder;
    identity(&root, 0);
    identity(&registrar.signers.items[0], 1);
    registrar.signers.count = 1;
    registrar.signer = &registrar.signers.items[0];
    for (uint8_t i = 0; i < CLIENTS; i++)
        identity(&clients[i], 2 + i);
    memset(registrar.owner_secret, 5, GV_SECRET_LEN);
    registrar.settings = &settings;
    registrar.unix_ms = clock_ms;
    gv_registry_rules_default(&registrar.rules);
    make_descriptor();
    gv_assert(gv_records_open(&registrar.records, path, email_key, NULL) == GV_OK);
    gv_assert(sqlite3_open(path, &cleaner) == SQLITE_OK);
    static uv_loop_t loop; /* it never runs */
    gv_assert(uv_loop_init(&loop) == 0);
    registrar.loop = &loop;
    gv_batch_init(&registrar);
    atexit(remove_folder);
    gv_log_open("fuzz", 0);
}

static void reset_registry(void)
{
    struct gv_rate *rates[] = {&registrar.by_client, &registrar.enroll_by_client,
                               &registrar.confirm_by_client, &registrar.by_email,
                               &registrar.proofs};

    gv_assert(gv_db_exec(cleaner,
                         "DELETE FROM pending; DELETE FROM instance; DELETE FROM owner;"
                         "DELETE FROM leaving; DELETE FROM allowance; DELETE FROM domain_day",
                         NULL) == GV_OK);
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        if (!rates[i]->entries)
            gv_assert(gv_rate_init(rates[i], 64, i == 0 ? 1 : 60) == GV_OK);
        memset(rates[i]->entries, 0, rates[i]->capacity * sizeof *rates[i]->entries);
    }
    now_ms = START_MIN * 60000ull;
    registrar.proxy_hint_min = 0;
    registrar.mails = 0;
    mail_count = 0;
    last_code[0] = 0;
}

/* ---- requests ------------------------------------------------------------------------------- */

/* A text of the input, or one that fits. */
static const char *text_of(struct input *in, char out[300], const char *fitting)
{
    size_t len = take(in);

    if (len < 128)
        return fitting;
    len = (len - 128) * 2 < in->left ? (len - 128) * 2 : in->left;
    memcpy(out, in->data, len);
    out[len] = 0;
    in->data += len;
    in->left -= len;
    return out;
}

static json_t *make_signed(struct input *in, struct gv_http_request *request,
                           enum gv_proof_kind kind)
{
    static const char *const emails[] = {"a@example.org", "A+x@Example.Org", "b@example.org",
                                         "c@example.net"};
    char email[300], terms[300], code[300];
    uint8_t signature[GV_SIGNATURE_LEN], who = take(in);
    const struct gv_identity *by = &clients[who % CLIENTS];
    struct gv_proof proof = {.kind = kind, .minute = (uint32_t)(now_ms / 60000)};
    struct gv_instance held;

    if (who >= 200)
        proof.minute += take(in) - 128u;
    proof.email = text_of(in, email, emails[who / 4 % 4]);
    proof.terms = text_of(in, terms, "2026-11");
    proof.code = text_of(in, code, last_code);
    memset(proof.nonce, take(in), sizeof proof.nonce);
    memcpy(proof.key, by->sign_public, GV_KEY_LEN);
    if (gv_records_instance(registrar.records, &held, by->id) == GV_OK)
        memcpy(proof.certificate, held.certificate.id, GV_ID_LEN);
    memcpy(request->key, proof.key, GV_KEY_LEN);
    if (gv_proof_sign(signature, &proof, by->sign_secret, registrar.descriptor.network_id) != GV_OK)
        memset(signature, 0, sizeof signature);
    json_t *json = json_pack("{s:o,s:I,s:o,s:o}", "key", gv_json_new_hex(proof.key, GV_KEY_LEN),
                             "minute", (json_int_t)proof.minute, "nonce",
                             gv_json_new_hex(proof.nonce, sizeof proof.nonce), "signature",
                             gv_json_new_hex(signature, sizeof signature));
    json_object_set_new(json, "email", json_string(proof.email));
    json_object_set_new(json, "terms", json_string(proof.terms));
    json_object_set_new(json, "code", json_string(proof.code));
    json_object_set_new(json, "certificate", gv_json_new_hex(proof.certificate, GV_ID_LEN));
    return json;
}

/* As it is, with some bytes changed, or cut. */
static void set_body(struct input *in, struct gv_http_request *request, json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);
    uint8_t change = take(in);

    json_decref(json);
    gv_assert(text);
    request->body_len = strlen(text);
    request->body = malloc(request->body_len + 1);
    memcpy(request->body, text, request->body_len);
    free(text);
    request->honest = true; /* what was changed must not hold, but for what means the same */
    if (change % 4 != 1)
        return;
    for (int i = 0; i <= change / 64; i++) {
        size_t at = (size_t)(take(in) << 8 | take(in));
        if (at < request->body_len)
            request->body[at] ^= take(in);
        else
            request->body_len = at % (request->body_len + 1);
    }
}

static void raw_body(struct input *in, struct gv_http_request *request)
{
    size_t len = (size_t)(take(in) << 4);

    len = len < in->left ? len : in->left;
    request->body = malloc(len ? len : 1);
    memcpy(request->body, in->data, len);
    request->body_len = len;
    in->data += len;
    in->left -= len;
}

static void call(struct gv_http_request *request)
{
    for (size_t i = 0; i < gv_registry_route_count; i++)
        if (strcmp(gv_registry_routes[i].path, request->path) == 0 &&
            (strcmp(request->path, "/leave") != 0 ||
             strcmp(gv_registry_routes[i].method, "POST") == 0))
            gv_registry_routes[i].handler(request, &registrar);
    gv_batch_flush(&registrar); /* the turn of the loop ends */
}

/* "email=..." of one that may be held, or any bytes. */
static void form_body(struct input *in, struct gv_http_request *request)
{
    static const char fitting[] = "email=A%2Bx%40Example.Org&more=1";

    if (take(in) % 2) {
        raw_body(in, request);
        return;
    }
    request->body_len = sizeof fitting - 1;
    request->body = malloc(request->body_len);
    memcpy(request->body, fitting, request->body_len);
}

static void leave(struct input *in, struct gv_http_request *request, uint8_t how)
{
    request->path = how < 248 ? "/v1/leave" : "/leave";
    if (how < 248)
        set_body(in, request, make_signed(in, request, GV_PROOF_LEAVE));
    else
        form_body(in, request);
}

static void one_request(struct input *in, struct gv_http_request *request)
{
    static const char *const paths[] = {"/v1/enroll",      "/v1/confirm", "/v1/renew",
                                        "/v1/revocations", "/v1/network", "/v1/terms",
                                        "/v1/health"};
    static char since[300];
    uint8_t how = take(in);

    memset(request, 0, sizeof *request);
    request->path = paths[how % 7];
    request->address[15] = how / 7 % 4;
    request->forwarded = how >= 224;
    request->since = how % 7 == 3 ? text_of(in, since, "12") : NULL;
    if (how >= 240)
        leave(in, request, how);
    else if (how % 7 < 3 && take(in) % 8)
        set_body(in, request, make_signed(in, request, (enum gv_proof_kind)(how % 7)));
    else
        raw_body(in, request);
    call(request);
    gv_assert(request->status != 0 || request->closed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct gv_http_request requests[24];
    struct input in = {data, size};
    size_t count = 0;

    if (!registrar.settings)
        open_registry();
    reset_registry();
    while (in.left > 0 && count < sizeof requests / sizeof *requests) {
        switch (take(&in) % 8) {
        case 0:
            now_ms += take(&in) * 60000ull;
            break;
        case 1:
            now_ms += take(&in) * 86400000ull;
            break;
        case 2:
            mail_goes(take(&in) % 4 ? GV_OK : GV_ERR_FORBIDDEN);
            break;
        default:
            one_request(&in, &requests[count++]);
        }
    }
    while (mail_count > 0)
        mail_goes(GV_OK);
    for (size_t i = 0; i < count; i++) {
        gv_assert(requests[i].status != 0);
        free(requests[i].body);
    }
    return 0;
}
