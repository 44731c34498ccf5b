/* JSON that others send to the node's own handlers: a mail server's questions and reports to the
 * policy server (SPEC 18.3), old logs to be read (`grapevine import`), names of bouncers. Each line
 * of the input is a request: its first byte says to whom, the rest is the body. Only HTTP is left
 * out, and what becomes of an import and of a bouncer (the linker wraps them: see
 * tests/CMakeLists.txt).
 *
 * Every request is answered once, now, when another is told of, or never because its client went;
 * what a body is taken for was in it. */
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "crypto/error.h"
#include "node/base/http.h"
#include "node/serve/api_internal.h"
#include "node/serve/bouncer_keys.h"
#include "node/serve/dovecot.h"

#define REQUESTS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct gv_http_request {
    const char *command;
    const uint8_t *body;
    size_t len;
    unsigned status; /* 0: not answered */
    void (*closed)(void *context);
    void *closed_context;
};

const uint8_t *__wrap_gv_http_body(const struct gv_http_request *request, size_t *len);
const char *__wrap_gv_http_query(const struct gv_http_request *request, const char *name);
void __wrap_gv_http_respond(struct gv_http_request *request, unsigned status, const char *type,
                            const void *data, size_t len);
void __wrap_gv_http_respond_json(struct gv_http_request *request, unsigned status, json_t *json);
void __wrap_gv_http_error(struct gv_http_request *request, unsigned status, const char *word,
                          const char *format, ...) __attribute__((format(printf, 4, 5)));
void __wrap_gv_http_on_closed(struct gv_http_request *request, void (*closed)(void *context),
                              void *context);
json_t *__wrap_gv_bouncers_add(struct gv_bouncers *bouncers, const char *name, int *rc,
                               struct gv_text *error);
int __wrap_gv_bouncers_delete(struct gv_bouncers *bouncers, const char *name,
                              struct gv_text *error);

const uint8_t *__wrap_gv_http_body(const struct gv_http_request *request, size_t *len)
{
    *len = request->len;
    return request->body;
}

const char *__wrap_gv_http_query(const struct gv_http_request *request, const char *name)
{
    return strcmp(name, "command") == 0 ? request->command : NULL;
}

static void answered(struct gv_http_request *request, unsigned status)
{
    gv_assert(request->status == 0 && status >= 200 && status < 600);
    request->status = status;
    request->closed = NULL;
}

void __wrap_gv_http_respond(struct gv_http_request *request, unsigned status, const char *type,
                            const void *data, size_t len)
{
    (void)type;
    json_t *json = json_loadb(data, len, 0, NULL);
    gv_assert(json_is_object(json));
    json_decref(json);
    answered(request, status);
}

void __wrap_gv_http_respond_json(struct gv_http_request *request, unsigned status, json_t *json)
{
    gv_assert(json_is_object(json));
    json_decref(json);
    answered(request, status);
}

void __wrap_gv_http_error(struct gv_http_request *request, unsigned status, const char *word,
                          const char *format, ...)
{
    char text[4096];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    gv_assert(word[0] && text[0]); /* never without a sentence */
    answered(request, status);
}

void __wrap_gv_http_on_closed(struct gv_http_request *request, void (*closed)(void *context),
                              void *context)
{
    request->closed = closed;
    request->closed_context = context;
}

json_t *__wrap_gv_bouncers_add(struct gv_bouncers *bouncers, const char *name, int *rc,
                               struct gv_text *error)
{
    (void)bouncers;
    gv_assert(strlen(name) <= GV_API_TEXT_MAX);
    *rc = gv_bouncer_name_check(name, error);
    gv_assert(*rc != GV_OK || (name[0] && strlen(name) <= GV_BOUNCER_NAME_MAX));
    return *rc == GV_OK ? json_pack("{s:s}", "name", name) : NULL;
}

int __wrap_gv_bouncers_delete(struct gv_bouncers *bouncers, const char *name, struct gv_text *error)
{
    (void)bouncers;
    gv_assert(strlen(name) <= GV_API_TEXT_MAX);
    return gv_fail(error, GV_ERR_NOT_FOUND, "there is none");
}

static int import(void *context, const char *const *paths, size_t count, struct gv_text *error)
{
    (void)context, (void)error;
    gv_assert(count >= 1 && count <= 64);
    for (size_t i = 0; i < count; i++)
        gv_assert(strlen(paths[i]) <= GV_API_BODY_MAX);
    return GV_OK;
}

static void observe(void *context, const struct gv_observation *observation)
{
    (void)context;
    gv_assert(observation->subject.family == GV_FAMILY_IPV4 ||
              observation->subject.family == GV_FAMILY_IPV6);
    gv_assert(observation->success ? observation->attempts == 0 : observation->attempts == 1);
}

static uv_loop_t loop;
static struct gv_core *core;
static struct gv_api api = {.options = {.import = import}, .bouncers = (struct gv_bouncers *)&api};

static void set_up(void)
{
    static struct gv_identity identity;
    static const uint8_t secret[GV_SECRET_LEN] = {1};
    struct gv_core_options options = {.identity = &identity};

    if (core)
        return;
    gv_assert(sodium_init() >= 0 && uv_loop_init(&loop) == 0);
    gv_identity_from_secret(&identity, secret);
    gv_assert(gv_core_new(&core, &options, 0, 1795348800000u) == GV_OK);
}

static void handle(struct gv_dovecot *dovecot, struct gv_http_request *request, uint8_t whom)
{
    switch (whom) {
    case 'i':
        gv_api_post_import(request, &api);
        break;
    case 'b':
        gv_api_post_bouncer(request, &api);
        break;
    case 'd':
        gv_api_delete_bouncer(request, &api);
        break;
    default:
        request->command = whom == 'a' ? "allow" : whom == 'r' ? "report" : NULL;
        gv_dovecot_handle(dovecot, request);
        return;
    }
    gv_assert(request->status != 0); /* these never wait */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t key[16] = {2};
    static struct gv_http_request requests[REQUESTS];
    struct gv_dovecot *dovecot;
    size_t count = 0;

    set_up();
    memset(requests, 0, sizeof requests);
    gv_assert(gv_dovecot_start(&dovecot, &(struct gv_dovecot_options){.loop = &loop,
                                                                      .core = core,
                                                                      .account_key = key,
                                                                      .enforced = true,
                                                                      .observe = observe}) ==
              GV_OK);
    while (size > 0 && count < REQUESTS) {
        const uint8_t *newline = memchr(data, '\n', size);
        size_t len = newline ? (size_t)(newline - data) : size;
        if (len > 0) {
            uint8_t *exact = malloc(len); /* so that a read past the body is seen */
            gv_assert(exact);
            memcpy(exact, data + 1, len - 1);
            requests[count].body = exact;
            requests[count].len = len - 1;
            handle(dovecot, &requests[count++], data[0]);
        }
        data += len + (newline != NULL);
        size -= len + (newline != NULL);
    }
    /* Clients that wait go away. */
    for (size_t i = 0; i < count; i++) {
        gv_assert((requests[i].status == 0) == (requests[i].closed != NULL));
        if (requests[i].closed)
            requests[i].closed(requests[i].closed_context);
        free((void *)(uintptr_t)requests[i].body);
    }
    gv_dovecot_stop(dovecot);
    uv_run(&loop, UV_RUN_NOWAIT);
    return 0;
}
