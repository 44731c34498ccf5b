#include "node/base/http_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/base/log.h"

/* ---- answers -------------------------------------------------------------------------------- */

static void leave_spare(struct gv_http_request *request);

void gv_http_add_header(struct gv_http_request *request, const char *name, const char *value)
{
    size_t i = request->header_count;

    if (request->spare)
        leave_spare(request);
    gv_assert(i < sizeof request->header_names / sizeof *request->header_names);
    request->header_names[i] = strdup(name);
    request->header_values[i] = strdup(value);
    if (request->header_names[i] && request->header_values[i]) {
        request->header_count++;
        return;
    }
    free(request->header_names[i]);
    free(request->header_values[i]);
}

static bool has_header(const struct gv_http_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (strcasecmp(request->header_names[i], name) == 0)
            return true;
    return false;
}

static void add_headers(struct MHD_Response *response, const char *type, bool cache_control)
{
    if (type)
        MHD_add_response_header(response, "Content-Type", type);
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (cache_control)
        MHD_add_response_header(response, "Cache-Control", "no-store");
}

static void hand_over(struct gv_http_request *request, unsigned status,
                      struct MHD_Response *response)
{
    request->status = status;
    request->response = response;
    gv_http_wake(request);
}

void gv_http_answer(struct gv_http_request *request, unsigned status, const char *type,
                    struct MHD_Response *response, enum gv_http_state next)
{
    gv_assert(!request->response && request->state != GV_HTTP_ANSWERED &&
              request->state != GV_HTTP_STREAM);
    request->state = next;
    if (!response) { /* out of memory: the connection is closed without an answer */
        request->failed = request->cut = true;
        gv_http_wake(request);
        return;
    }
    add_headers(response, type, !has_header(request, "Cache-Control"));
    hand_over(request, status, response);
}

/* ---- spare answers --------------------------------------------------------------------------- */

static struct gv_http_spare *new_spare(struct gv_http_server *server, const char *type, size_t len)
{
    struct gv_http_spare *spare =
        server->spare_count < GV_HTTP_SPARES ? malloc(sizeof *spare) : NULL;

    if (!spare)
        return NULL;
    spare->response = MHD_create_response_from_buffer(len, spare->data, MHD_RESPMEM_PERSISTENT);
    spare->type = type;
    spare->len = len;
    if (!spare->response) {
        free(spare);
        return NULL;
    }
    add_headers(spare->response, type, true);
    server->spare_count++;
    return spare;
}

/* False: there is none for this. */
static bool respond_spare(struct gv_http_request *request, unsigned status, const char *type,
                          const void *data, size_t len)
{
    struct gv_http_server *server = request->server;

    if (status != 200 || len == 0 || len > GV_HTTP_SPARE_LEN || !type || request->header_count > 0)
        return false;
    struct gv_http_spare *spare = server->spares[len];
    if (spare && strcmp(spare->type, type) == 0)
        server->spares[len] = spare->next;
    else if (!(spare = new_spare(server, type, len)))
        return false;
    memcpy(spare->data, data, len);
    gv_assert(!request->response && !request->spare && request->state != GV_HTTP_ANSWERED &&
              request->state != GV_HTTP_STREAM);
    request->spare = spare;
    request->state = GV_HTTP_ANSWERED;
    hand_over(request, status, spare->response);
    return true;
}

void gv_http_spare_back(struct gv_http_request *request)
{
    struct gv_http_spare *spare = request->spare;

    if (!spare)
        return;
    request->spare = NULL;
    request->response = NULL;         /* where it was never queued */
    gv_wipe(spare->data, spare->len); /* tokens and keys, too */
    spare->next = request->server->spares[spare->len];
    request->server->spares[spare->len] = spare;
}

/* Its headers are the next one's, too. */
static void leave_spare(struct gv_http_request *request)
{
    struct gv_http_spare *spare = request->spare;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(spare->len, spare->data, MHD_RESPMEM_MUST_COPY);

    if (response)
        add_headers(response, spare->type, true);
    else
        request->failed = request->cut = true;
    gv_http_spare_back(request);
    request->response = response;
}

void gv_http_spares_free(struct gv_http_server *server)
{
    for (size_t len = 0; len <= GV_HTTP_SPARE_LEN; len++)
        while (server->spares[len]) {
            struct gv_http_spare *spare = server->spares[len];
            server->spares[len] = spare->next;
            MHD_destroy_response(spare->response);
            free(spare);
        }
}

void gv_http_respond(struct gv_http_request *request, unsigned status, const char *type,
                     const void *data, size_t len)
{
    if (respond_spare(request, status, type, data, len))
        return;
    struct MHD_Response *response = MHD_create_response_from_buffer(
        len, (void *)(uintptr_t)(len ? data : ""), MHD_RESPMEM_MUST_COPY);

    gv_http_answer(request, status, type, response, GV_HTTP_ANSWERED);
}

struct gv_http_shared {
    void *data; /* owned */
    size_t len, references;
};

struct gv_http_shared *gv_http_shared_new(void *data, size_t len)
{
    struct gv_http_shared *shared = calloc(1, sizeof *shared);

    if (!shared) {
        free(data);
        return NULL;
    }
    shared->data = data;
    shared->len = len;
    shared->references = 1;
    return shared;
}

static void drop_reference(void *context)
{
    struct gv_http_shared *shared = context;

    if (--shared->references > 0)
        return;
    free(shared->data);
    free(shared);
}

void gv_http_shared_release(struct gv_http_shared *shared)
{
    if (shared)
        drop_reference(shared);
}

size_t gv_http_shared_len(const struct gv_http_shared *shared)
{
    return shared->len;
}

void gv_http_respond_shared(struct gv_http_request *request, unsigned status, const char *type,
                            struct gv_http_shared *shared)
{
    struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback_cls(
        shared->len, shared->data, drop_reference, shared);

    shared->references += response != NULL;
    gv_http_answer(request, status, type, response, GV_HTTP_ANSWERED);
}

void gv_http_respond_json(struct gv_http_request *request, unsigned status, json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

    if (text)
        gv_http_respond(request, status, "application/json", text, strlen(text));
    else
        gv_http_respond(request, 500, "application/json", "{\"error\":\"memory\"}", 18);
    free(text);
    json_decref(json);
}

void gv_http_error(struct gv_http_request *request, unsigned status, const char *word,
                   const char *format, ...)
{
    char message[512], safe[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    /* It may quote a stranger, and be cut within a character: JSON would not take that. */
    gv_log_safe(safe, sizeof safe, message, strlen(message));
    gv_http_respond_json(request, status, json_pack("{s:s,s:s}", "error", word, "message", safe));
}

void gv_http_on_closed(struct gv_http_request *request, void (*closed)(void *context),
                       void *context)
{
    request->closed = closed;
    request->closed_context = context;
}

void gv_http_watch(struct gv_http_request *request)
{
    request->watched = true;
}

/* ---- streams -------------------------------------------------------------------------------- */

static ssize_t read_stream(void *context, uint64_t position, char *out, size_t room)
{
    struct gv_http_request *request = context;
    size_t n = request->pending.len < room ? request->pending.len : room;

    (void)position;
    if (request->cut)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (n > 0) {
        memcpy(out, request->pending.data, n);
        gv_buf_consume(&request->pending, n);
        return (ssize_t)n;
    }
    if (request->ended)
        return MHD_CONTENT_READER_END_OF_STREAM;
    request->suspended = true;
    MHD_suspend_connection(request->mhd);
    return 0;
}

void gv_http_stream_begin(struct gv_http_request *request, unsigned status, const char *type,
                          const char *beat)
{
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16384, read_stream, request, NULL);

    request->beat = beat;
    request->pushed_ms = uv_now(request->server->loop);
    gv_http_answer(request, status, type, response, GV_HTTP_STREAM);
}

bool gv_http_stream_push(struct gv_http_request *request, const void *data, size_t len)
{
    gv_assert(request->state == GV_HTTP_STREAM);
    request->pushed_ms = uv_now(request->server->loop);
    if (request->pending.len + len > GV_HTTP_STREAM_MAX)
        request->cut = true;
    else
        gv_buf_append(&request->pending, data, len);
    request->cut = request->cut || request->pending.failed;
    gv_http_wake(request);
    return !request->cut;
}

void gv_http_stream_end(struct gv_http_request *request)
{
    gv_assert(request->state == GV_HTTP_STREAM);
    request->state = GV_HTTP_ANSWERED;
    request->ended = true;
    gv_http_wake(request);
}
