/* An HTTP(S) client (libcurl): one request, bounded in time and size, http and https only, no
 * redirects, no proxies from the environment, no cookies. Call curl_global_init via
 * gv_fetch_init once, before threads. */
#ifndef GV_NODE_BASE_FETCH_H
#define GV_NODE_BASE_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "node/base/text.h"

struct gv_fetch_request {
    const char *method; /* NULL: GET, or POST when there is a body */
    const char *url;
    const void *body; /* may be NULL */
    size_t body_len;
    const char *type;         /* of the body; NULL: application/json */
    const char *header;       /* one more line, "Name: value"; may be NULL */
    const char *bind_address; /* source address, numeric; NULL: any */
    const char *ca_file; /* PEM: who may have signed the server's certificate; NULL: the system's */
    const char *unix_path; /* connect to this socket instead; the URL's host is then a name only */
    uint32_t connect_ms;   /* 0: 10 s */
    uint32_t total_ms;     /* 0: 30 s; in gv_fetch_lines 0: no limit */
    size_t response_max;   /* 0: 1 MiB */
    bool secret_url;       /* result.text does not name it */
};

struct gv_fetch_result {
    int error;       /* GV_OK: an answer came, whatever its status; GV_ERR_IO: could not be reached,
                      * GV_ERR_EXPIRED: took too long, GV_ERR_SPACE: answer too long,
                      * GV_ERR_RANGE: not a URL we take, GV_ERR_MEMORY, GV_ERR_STATE: cancelled */
    unsigned status; /* HTTP status, 0 without an answer */
    uint8_t *body;   /* owned by the result; terminated by a zero that len does not count */
    size_t len;
    char type[64];       /* Content-Type, cut */
    struct gv_text text; /* why, when error != GV_OK: "URL: REASON" */
};

void gv_fetch_init(void);
void gv_fetch_result_free(struct gv_fetch_result *result);

struct gv_fetch;
/* Called on the loop, once. The result is freed after the callback; take `body` by setting it to
 * NULL. */
typedef void (*gv_fetch_done)(void *context, struct gv_fetch_result *result);

/* Starts it on libuv's thread pool; everything in `request` is copied. *handle (may be NULL) is
 * valid until the callback. Returns GV_OK or GV_ERR_MEMORY (no callback then). */
int gv_fetch_start(struct gv_fetch **handle, uv_loop_t *loop,
                   const struct gv_fetch_request *request, gv_fetch_done done, void *context);
/* The callback will not be called; the transfer ends by itself soon. NULL is allowed. */
void gv_fetch_cancel(struct gv_fetch *handle);

/* In this thread; for commands. Returns result->error. Always pair with gv_fetch_result_free. */
int gv_fetch_blocking(struct gv_fetch_result *result, const struct gv_fetch_request *request);

/* In this thread; every line of a 2xx answer, without its newline, as it comes (empty lines, the
 * server's heartbeat, are left out). Any other answer is gathered as a body. `line` returns 0 to
 * go on, anything else to stop (error is GV_ERR_STATE then). A line longer than response_max is
 * GV_ERR_SPACE. */
typedef int (*gv_fetch_line)(void *context, const char *line, size_t len);
int gv_fetch_lines(struct gv_fetch_result *result, const struct gv_fetch_request *request,
                   gv_fetch_line line, void *context);

#endif
