#include "node/base/fetch.h"

#include <curl/curl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/buf.h"

#define CONNECT_MS   10000
#define TOTAL_MS     30000
#define RESPONSE_MAX (1 << 20)
#define HEADERS_MAX  65536 /* all header lines of an answer together */

struct transfer {
    CURL *curl;
    const struct gv_fetch_request *request;
    size_t response_max, header_bytes;
    struct gv_buf body;
    atomic_bool *cancelled; /* NULL: cannot be */
    gv_fetch_line line;     /* NULL: gather a body */
    void *line_context;
    int stopped; /* why a callback ended the transfer */
};

void gv_fetch_init(void)
{
    static bool done;

    if (!done)
        curl_global_init(CURL_GLOBAL_DEFAULT);
    done = true;
}

void gv_fetch_result_free(struct gv_fetch_result *result)
{
    free(result->body);
    result->body = NULL;
    result->len = 0;
}

/* ---- libcurl's callbacks -------------------------------------------------------------------- */

/* Hands over every whole line at the front of the buffer. */
static int give_lines(struct transfer *transfer)
{
    uint8_t *newline;

    while (transfer->body.len &&
           (newline = memchr(transfer->body.data, '\n', transfer->body.len))) {
        size_t len = (size_t)(newline - transfer->body.data);
        if (len && transfer->line(transfer->line_context, (char *)transfer->body.data, len) != 0)
            return GV_ERR_STATE;
        gv_buf_consume(&transfer->body, len + 1);
    }
    return GV_OK;
}

static size_t on_data(char *data, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    size_t len = size * count;
    long status = 0;

    if (transfer->body.len + len > transfer->response_max) {
        transfer->stopped = GV_ERR_SPACE;
        return 0;
    }
    gv_buf_append(&transfer->body, data, len);
    if (transfer->body.failed)
        transfer->stopped = GV_ERR_MEMORY;
    curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status);
    if (!transfer->stopped && transfer->line && status / 100 == 2)
        transfer->stopped = give_lines(transfer);
    return transfer->stopped ? 0 : len;
}

static size_t on_header(char *data, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;

    (void)data;
    transfer->header_bytes += size * count;
    if (transfer->header_bytes <= HEADERS_MAX)
        return size * count;
    transfer->stopped = GV_ERR_SPACE;
    return 0;
}

static int on_progress(void *context, curl_off_t total, curl_off_t now, curl_off_t up_total,
                       curl_off_t up_now)
{
    const struct transfer *transfer = context;

    (void)total, (void)now, (void)up_total, (void)up_now;
    return transfer->cancelled && atomic_load(transfer->cancelled);
}

/* ---- one transfer --------------------------------------------------------------------------- */

static void set_target(CURL *curl, const struct gv_fetch_request *request, char *interface,
                       size_t interface_cap)
{
    curl_easy_setopt(curl, CURLOPT_URL, request->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "grapevine/" GV_VERSION);
    if (request->ca_file)
        curl_easy_setopt(curl, CURLOPT_CAINFO, request->ca_file);
    if (request->unix_path)
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, request->unix_path);
    if (request->bind_address) {
        snprintf(interface, interface_cap, "host!%s", request->bind_address);
        curl_easy_setopt(curl, CURLOPT_INTERFACE, interface);
    }
}

static void set_limits(CURL *curl, struct transfer *transfer)
{
    const struct gv_fetch_request *request = transfer->request;
    long total = request->total_ms ? (long)request->total_ms : transfer->line ? 0 : TOTAL_MS;

    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                     request->connect_ms ? (long)request->connect_ms : CONNECT_MS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, total);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, transfer);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
}

static struct curl_slist *set_body(CURL *curl, const struct gv_fetch_request *request)
{
    char type[128];
    struct curl_slist *headers = curl_slist_append(NULL, "Expect:"), *more;

    if (request->body) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
        snprintf(type, sizeof type, "Content-Type: %s",
                 request->type ? request->type : "application/json");
        more = curl_slist_append(headers, type);
        headers = more ? more : headers;
    }
    if (request->header) {
        more = curl_slist_append(headers, request->header);
        headers = more ? more : headers;
    }
    if (request->method)
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    return headers;
}

static int error_of(CURLcode code, const struct transfer *transfer)
{
    switch (code) {
    case CURLE_OK:
        return GV_OK;
    case CURLE_OPERATION_TIMEDOUT:
        return GV_ERR_EXPIRED;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
        return GV_ERR_RANGE;
    case CURLE_OUT_OF_MEMORY:
        return GV_ERR_MEMORY;
    case CURLE_ABORTED_BY_CALLBACK:
        return GV_ERR_STATE;
    case CURLE_WRITE_ERROR:
        return transfer->stopped ? transfer->stopped : GV_ERR_IO;
    default:
        return GV_ERR_IO;
    }
}

/* Why, behind the address where it may be named. */
__attribute__((format(printf, 3, 4))) static void
say(struct gv_fetch_result *result, const struct gv_fetch_request *request, const char *format, ...)
{
    struct gv_text why;
    va_list args;

    va_start(args, format);
    vsnprintf(why.text, sizeof why.text, format, args);
    va_end(args);
    if (request->secret_url)
        result->text = why;
    else
        gv_fail(&result->text, 0, "%s: %s", request->url, why.text);
}

static void take_result(struct gv_fetch_result *result, struct transfer *transfer, CURLcode code,
                        const char *detail)
{
    long status = 0;
    const char *type = NULL;

    curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(transfer->curl, CURLINFO_CONTENT_TYPE, &type);
    snprintf(result->type, sizeof result->type, "%s", type ? type : "");
    result->status = status > 0 && status < 1000 ? (unsigned)status : 0;
    result->error = error_of(code, transfer);
    if (result->error == GV_OK) {
        gv_buf_append(&transfer->body, "", 1); /* the zero that len does not count */
        if (transfer->body.failed) {
            result->error = GV_ERR_MEMORY;
        } else {
            result->body = transfer->body.data;
            result->len = transfer->body.len - 1;
            gv_buf_init(&transfer->body); /* handed over */
        }
    }
    if (result->error == GV_ERR_SPACE)
        say(result, transfer->request, "the answer is longer than the %zu bytes allowed",
            transfer->response_max);
    else if (result->error != GV_OK)
        say(result, transfer->request, "%s", *detail ? detail : curl_easy_strerror(code));
}

static int perform(struct gv_fetch_result *result, const struct gv_fetch_request *request,
                   atomic_bool *cancelled, gv_fetch_line line, void *line_context)
{
    char detail[CURL_ERROR_SIZE] = "", interface[80];
    struct transfer transfer = {
        .request = request, .cancelled = cancelled, .line = line, .line_context = line_context};

    memset(result, 0, sizeof *result);
    gv_fetch_init();
    gv_buf_init(&transfer.body);
    transfer.response_max = request->response_max ? request->response_max : RESPONSE_MAX;
    CURL *curl = transfer.curl = curl_easy_init();
    if (!curl) {
        result->error = GV_ERR_MEMORY;
        say(result, request, "out of memory");
        return GV_ERR_MEMORY;
    }
    set_target(curl, request, interface, sizeof interface);
    set_limits(curl, &transfer);
    struct curl_slist *headers = set_body(curl, request);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
    CURLcode code = curl_easy_perform(curl);
    take_result(result, &transfer, code, detail);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    gv_buf_free(&transfer.body);
    return result->error;
}

int gv_fetch_blocking(struct gv_fetch_result *result, const struct gv_fetch_request *request)
{
    return perform(result, request, NULL, NULL, NULL);
}

int gv_fetch_lines(struct gv_fetch_result *result, const struct gv_fetch_request *request,
                   gv_fetch_line line, void *context)
{
    return perform(result, request, NULL, line, context);
}

/* ---- on the loop ---------------------------------------------------------------------------- */

struct gv_fetch {
    uv_work_t work;
    struct gv_fetch_request request;
    char *url, *method, *type, *header, *bind_address, *ca_file,
        *unix_path; /* owned, as is request.body */
    atomic_bool cancelled;
    gv_fetch_done done;
    void *context;
    struct gv_fetch_result result;
};

static void fetch_free(struct gv_fetch *fetch)
{
    if (!fetch)
        return;
    free(fetch->url);
    free(fetch->method);
    free(fetch->type);
    free(fetch->header);
    free(fetch->bind_address);
    free(fetch->ca_file);
    free(fetch->unix_path);
    free((void *)(uintptr_t)fetch->request.body);
    gv_fetch_result_free(&fetch->result);
    free(fetch);
}

/* false when out of memory; a NULL source stays NULL. */
static bool copy_text(char **out, const char **use, const char *source)
{
    *out = source ? strdup(source) : NULL;
    *use = *out;
    return !source || *out;
}

static bool copy_request(struct gv_fetch *fetch, const struct gv_fetch_request *request)
{
    fetch->request = *request;
    fetch->request.body = NULL;
    if (request->body) {
        void *body = malloc(request->body_len ? request->body_len : 1);
        if (!body)
            return false;
        memcpy(body, request->body, request->body_len);
        fetch->request.body = body;
    }
    return copy_text(&fetch->url, &fetch->request.url, request->url) &&
           copy_text(&fetch->method, &fetch->request.method, request->method) &&
           copy_text(&fetch->type, &fetch->request.type, request->type) &&
           copy_text(&fetch->header, &fetch->request.header, request->header) &&
           copy_text(&fetch->bind_address, &fetch->request.bind_address, request->bind_address) &&
           copy_text(&fetch->ca_file, &fetch->request.ca_file, request->ca_file) &&
           copy_text(&fetch->unix_path, &fetch->request.unix_path, request->unix_path);
}

static void in_thread(uv_work_t *work)
{
    struct gv_fetch *fetch = work->data;

    perform(&fetch->result, &fetch->request, &fetch->cancelled, NULL, NULL);
}

static void in_loop(uv_work_t *work, int status)
{
    struct gv_fetch *fetch = work->data;

    if (status != 0) { /* taken back before it began */
        fetch->result.error = GV_ERR_STATE;
        say(&fetch->result, &fetch->request, "cancelled");
    }
    if (!atomic_load(&fetch->cancelled))
        fetch->done(fetch->context, &fetch->result);
    fetch_free(fetch);
}

int gv_fetch_start(struct gv_fetch **handle, uv_loop_t *loop,
                   const struct gv_fetch_request *request, gv_fetch_done done, void *context)
{
    struct gv_fetch *fetch = calloc(1, sizeof *fetch);
    int rc = GV_ERR_MEMORY;

    if (handle)
        *handle = NULL;
    gv_fetch_init(); /* here, because libcurl's own initialisation is not for several threads */
    if (!fetch || !copy_request(fetch, request))
        goto out;
    fetch->work.data = fetch;
    fetch->done = done;
    fetch->context = context;
    if (uv_queue_work(loop, &fetch->work, in_thread, in_loop) != 0)
        goto out;
    if (handle)
        *handle = fetch;
    fetch = NULL; /* handed over */
    rc = GV_OK;
out:
    fetch_free(fetch);
    return rc;
}

void gv_fetch_cancel(struct gv_fetch *handle)
{
    if (!handle)
        return;
    atomic_store(&handle->cancelled, true);
    uv_cancel((uv_req_t *)&handle->work);
}
