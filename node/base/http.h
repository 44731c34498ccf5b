/* An HTTP/1.1 server (libmicrohttpd) inside a libuv loop: no thread of its own. Listens on one
 * TCP address or on a unix socket (0660). Requests are bounded: head GV_HTTP_HEAD_MAX, body
 * `body_max`, connections in all and per address, and `timeout_s` of silence. A request with two
 * Content-Length, with Content-Length and Transfer-Encoding, without a Host or with another than
 * the listed ones never reaches a handler.
 *
 * Every refusal is the JSON object of gv_http_error, but for what libmicrohttpd 0.9.75 refuses by
 * itself, before it asks us and with a page of its own: a Content-Length that is no number or too
 * large, a header line without a colon, a head over the limit, a method or target that is none.
 *
 * A handler answers at once, with gv_http_respond* or gv_http_error; or it returns without an
 * answer and answers later, from the same loop (the connection is suspended meanwhile); or it
 * starts a stream and pushes to it. */
#ifndef GV_NODE_BASE_HTTP_H
#define GV_NODE_BASE_HTTP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

#include "node/base/config.h"
#include "node/base/text.h"

#define GV_HTTP_HEAD_MAX 16384 /* request line and headers */
/* Bytes waiting in a stream; a reader this slow is cut off. */
#define GV_HTTP_STREAM_MAX (1 << 20)

struct gv_http_server;
struct gv_http_request;

typedef void (*gv_http_handler)(struct gv_http_request *request, void *context);

struct gv_http_route {
    const char *method; /* "GET" also answers HEAD */
    const char *path;   /* exact, or a prefix when it ends in '*' */
    gv_http_handler handler;
};
/* One whose handler gets a context of its own. */
struct gv_http_bound_route {
    struct gv_http_route route;
    void *context;
};

struct gv_http_options {
    /* Where: unix_path, or host (an address) and port (0: any free one). */
    const char *unix_path; /* a stale socket file is replaced, one in use is not */
    const char *host;
    uint16_t port;
    const struct gv_http_route *routes; /* borrowed until gv_http_stop; the first match wins */
    size_t route_count;
    void *context;                           /* handed to every handler of these */
    const struct gv_http_bound_route *bound; /* looked at after them; borrowed too */
    size_t bound_count;
    /* Accepted Host names, compared without case and port; NULL: any. IP addresses of the
     * listening socket itself are always accepted, and on a unix socket any name. Borrowed. */
    const char *const *hosts;
    size_t host_count;
    /* Proxies that are believed about who their client is (gv_http_client_bytes), and whose own
     * address is not held against connections_per_ip. None by default. Borrowed. */
    const struct gv_config_address *trusted;
    size_t trusted_count;
    /* Only this host may ask (gv_http_local), and who is in `clients`; borrowed. */
    bool guarded;
    const struct gv_config_address *clients;
    size_t client_count;
    bool tls;                    /* with the pair of node/base/http_tls.h */
    size_t head_max;             /* 0: GV_HTTP_HEAD_MAX; cleared anew for each request */
    size_t body_max;             /* 0: 64 KiB */
    unsigned connections_max;    /* 0: 256 */
    unsigned connections_per_ip; /* 0: 32; not applied on a unix socket */
    unsigned timeout_s;          /* 0: 15 */
};

/* Returns GV_OK; GV_ERR_BUSY (port or socket path in use), GV_ERR_IO, GV_ERR_MEMORY. */
int gv_http_start(struct gv_http_server **out, uv_loop_t *loop,
                  const struct gv_http_options *options, struct gv_text *error);
/* The bound port, 0 on a unix socket. */
uint16_t gv_http_port(const struct gv_http_server *server);

struct gv_http_counters {
    uint64_t connections, requests; /* since the start */
    uint64_t refused;               /* before any handler: malformed, strangers, no such path */
    uint64_t too_slow;              /* connections ended for a request that did not come */
    size_t open, pending;           /* connections now; requests that are not answered yet */
};
void gv_http_counters(const struct gv_http_server *server, struct gv_http_counters *out);

/* Ends every connection (pending requests get 503, and their closed callback is called), closes
 * the socket and removes its path. Memory goes with the loop's next turn, so the loop must run on
 * until its handles are closed. NULL is allowed. */
void gv_http_stop(struct gv_http_server *server);

/* ---- the request; strings live until it is answered ---------------------------------------- */
const char *gv_http_method(const struct gv_http_request *request);
const char *gv_http_path(const struct gv_http_request *request);
/* A query argument, decoded; NULL when absent, "" when without a value. */
const char *gv_http_query(const struct gv_http_request *request, const char *name);
const char *gv_http_header(const struct gv_http_request *request, const char *name);
/* Whom it is for: the target's own word for its host, else the Host header; NULL: neither. */
const char *gv_http_host(const struct gv_http_request *request);
const uint8_t *gv_http_body(const struct gv_http_request *request, size_t *len);
/* The client's socket address; NULL on a unix socket. */
const struct sockaddr *gv_http_peer(const struct gv_http_request *request);
/* The same as 16 bytes, IPv4 as ::ffff:a.b.c.d; false (and zeros) on a unix socket. */
bool gv_http_peer_bytes(const struct gv_http_request *request, uint8_t out[16]);
/* Is the client on this host: a loopback address, the very address that it came in on, or a unix
 * socket? False for what a proxy on this host passes on, if it says so (Forwarded,
 * X-Forwarded-For). */
bool gv_http_local(const struct gv_http_request *request);
/* Whom limits and groups are about, in the same form: the peer, or, behind a trusted proxy, the
 * last address of its X-Forwarded-For. A trusted proxy that does not send exactly one such header,
 * with an address at its end, is refused before any handler. */
bool gv_http_client_bytes(const struct gv_http_request *request, uint8_t out[16]);
/* Did the request come through a trusted proxy? */
bool gv_http_proxied(const struct gv_http_request *request);

/* ---- the answer, exactly one per request ---------------------------------------------------- */
/* An extra header, before the answer. */
void gv_http_add_header(struct gv_http_request *request, const char *name, const char *value);
/* Copies data. `type` is a media type; NULL for an answer without a body. The request is gone for
 * the caller afterwards. */
void gv_http_respond(struct gv_http_request *request, unsigned status, const char *type,
                     const void *data, size_t len);

/* Bytes that many answers share, so that 500 slow readers of a long list hold one copy of it. */
struct gv_http_shared;
/* Takes `data` (malloc'd; NULL only for len 0), and frees it when out of memory: NULL then. */
struct gv_http_shared *gv_http_shared_new(void *data, size_t len);
/* The owner's share; answers that are on their way keep theirs. NULL is allowed. */
void gv_http_shared_release(struct gv_http_shared *shared);
size_t gv_http_shared_len(const struct gv_http_shared *shared);
void gv_http_respond_shared(struct gv_http_request *request, unsigned status, const char *type,
                            struct gv_http_shared *shared);

/* Takes over the reference to `json` (NULL: 500). */
void gv_http_respond_json(struct gv_http_request *request, unsigned status, json_t *json);
/* A long answer, read from its owner as fast as the client takes it, so that it never lies in
 * memory as a whole. One that fits into GV_HTTP_PIECE bytes goes out with a Content-Length, another
 * chunked. After this call the owner has `read` and `done` called from the same loop, in no
 * handler. */
#define GV_HTTP_PIECE 16384
struct gv_http_source {
    void *context;
    /* At most `room` bytes (1 or more) into out; 0: this was all. */
    size_t (*read)(void *context, char *out, size_t room);
    /* Once, in the end. complete: the last byte was handed to the kernel; otherwise the client
     * left, or the server stopped. */
    void (*done)(void *context, bool complete);
};
void gv_http_respond_source(struct gv_http_request *request, unsigned status, const char *type,
                            const struct gv_http_source *source);
/* {"error": word, "message": sentence}: `word` is for machines, the sentence says what to do. */
void gv_http_error(struct gv_http_request *request, unsigned status, const char *word,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));

/* For requests answered later and for streams: called once if the request ends without the
 * handler's doing (server stopped, or the stream's reader went away or was too slow). After it
 * the request must not be touched. A deferred request whose client left is not noticed before the
 * answer, unless it is watched. */
void gv_http_on_closed(struct gv_http_request *request, void (*closed)(void *context),
                       void *context);
/* For a deferred request that may wait for long, after gv_http_on_closed: a client that closes its
 * side of the connection is noticed within a second or two. It gets no answer then, even if it
 * still listened; so not for what is answered soon. */
void gv_http_watch(struct gv_http_request *request);

/* A chunked answer that grows. `beat` (may be NULL) is sent after 15 s without a push, so that a
 * reader that left is noticed. */
void gv_http_stream_begin(struct gv_http_request *request, unsigned status, const char *type,
                          const char *beat);
/* Copies data. False when the stream is over its limit: it is closed then (closed is called from
 * the loop, not from within). */
bool gv_http_stream_push(struct gv_http_request *request, const void *data, size_t len);
/* The request is gone for the caller afterwards. */
void gv_http_stream_end(struct gv_http_request *request);

#endif
