/* What http.c (sockets, loop, life of a server) and http_request.c (one request) share. */
#ifndef GV_NODE_BASE_HTTP_INTERNAL_H
#define GV_NODE_BASE_HTTP_INTERNAL_H

#include <microhttpd.h>
#include <sys/queue.h>

#include "node/base/http.h"
#include "proto/buf.h"

#define GV_HTTP_BEAT_MS 15000
/* For an answer to be taken: 1 million addresses at 130 KB a second. */
#define GV_HTTP_TAKE_MS 120000

struct gv_http_connection {
    LIST_ENTRY(gv_http_connection) list;
    struct MHD_Connection *mhd;
    int fd;
    uint8_t key[16];  /* client address, IPv6 by its /64: what the limit counts */
    bool counted;     /* false on a unix socket */
    bool refused;     /* over the limit: on its way out */
    bool local_known; /* `local` holds the address it came in on, IPv4 as ::ffff:a.b.c.d */
    uint8_t local[16];
    bool in_head;         /* its first line has come, not yet all of its headers */
    size_t scheme;        /* bytes of "http://" before the target's host; 0: the target is a path */
    const char *version;  /* where that line's version must be, in libmicrohttpd's buffer */
    bool awaited;         /* a request of it is still to come, in whole or in part */
    uint64_t deadline_ms; /* the request must have come, the answer be taken by then; 0: none */
    uint64_t answered;    /* the server's `runs` at its last answer */
    LIST_ENTRY(gv_http_connection) corked_list; /* while `corked` */
    bool corked;                                /* answers wait for those to the requests behind */
    unsigned gathered;                          /* answers since it was corked */
    unsigned pause,
        spare; /* answers that go out at once, after a cork that gathered one; how many are left */
};

enum gv_http_state {
    GV_HTTP_READING,  /* head or body still to come */
    GV_HTTP_HANDLING, /* the handler runs */
    GV_HTTP_DEFERRED, /* suspended, the owner answers later */
    GV_HTTP_STREAM,   /* head sent, the owner pushes */
    GV_HTTP_ANSWERED  /* the owner is done with it */
};

/* An answer of libmicrohttpd's with its headers, of one length and type, whose bytes are written
 * anew each time that it is used: making one costs thirty calls of malloc and free. */
#define GV_HTTP_SPARE_LEN 192u /* longer ones are made each time */
#define GV_HTTP_SPARES    128u
struct gv_http_spare {
    struct gv_http_spare *next; /* of those not in use */
    struct MHD_Response *response;
    const char *type; /* a constant; compared by its text */
    size_t len;
    char data[GV_HTTP_SPARE_LEN];
};

struct gv_http_request {
    LIST_ENTRY(gv_http_request) list;
    struct gv_http_server *server;
    struct MHD_Connection *mhd;
    const struct gv_http_route *route;
    void *route_context;
    const char *method, *path;
    const char *host;    /* whom it is for: the Host header, or the target's own word; or NULL */
    char authority[256]; /* of a target that names its host */
    enum gv_http_state state;
    struct gv_buf body;
    bool proxied;       /* the peer is a trusted proxy */
    uint8_t client[16]; /* its client, when proxied */

    struct MHD_Response *response; /* made, not yet queued */
    struct gv_http_spare *spare;   /* whose it is, until it is sent; NULL: its own */
    unsigned status;
    char *header_names[12], *header_values[12];
    size_t header_count;

    void (*closed)(void *context);
    void *closed_context;
    struct gv_http_source source; /* of a long answer; done NULL: none */

    bool suspended; /* the connection sleeps in libmicrohttpd */
    bool watched;   /* ... which does not see its client leave then: the sweep looks */
    bool failed;    /* there was no memory for the answer */
    bool ended, cut;
    struct gv_buf pending; /* of a stream */
    const char *beat;
    uint64_t pushed_ms;
};

struct gv_http_server {
    uv_loop_t *loop;
    struct MHD_Daemon *daemon;
    uv_poll_t poll;
    uv_timer_t timer; /* libmicrohttpd's own timeout */
    uv_timer_t sweep; /* deadlines and heartbeats; runs while there are connections */
    unsigned handles; /* open libuv handles; the memory goes with the last */
    bool running;     /* inside MHD_run */
    uint64_t runs;    /* of MHD_run */
    bool woken;       /* a connection was resumed: libmicrohttpd must run once more */
    bool starved;     /* no file descriptor is left for who waits at the door */
    bool shut;        /* the same, and others are connected: libmicrohttpd waits for their end */
    bool opening;     /* one of them is about to end */
    bool stop_wanted, stopped;
    struct gv_http_options options;
    char *unix_path;
    uint16_t port;
    struct gv_http_counters counters;
    LIST_HEAD(, gv_http_connection) connections, corked;
    LIST_HEAD(, gv_http_request) requests;
    struct gv_http_spare *spares[GV_HTTP_SPARE_LEN + 1]; /* not in use, by length */
    unsigned spare_count;                                /* all */
};

/* libmicrohttpd's callbacks for one request. */
enum MHD_Result gv_http_access(void *context, struct MHD_Connection *connection, const char *url,
                               const char *method, const char *version, const char *upload,
                               size_t *upload_len, void **request);
void *gv_http_check_uri(void *context, const char *uri, struct MHD_Connection *connection);
extern char gv_http_bad_uri; /* its address marks a request whose target was refused */
void gv_http_completed(void *context, struct MHD_Connection *connection, void **request,
                       enum MHD_RequestTerminationCode why);

/* http_head.c: what a request's headers say, of what matters here. */
struct gv_http_head {
    unsigned lengths, encodings, hosts;
    bool malformed;
    uint64_t length;
    unsigned forwards; /* X-Forwarded-For headers, and the value of the last */
    const char *forward;
    size_t forward_len;
    bool marked;    /* by the library, where a line ends */
    const char *at; /* where the next line must begin, if so */
};
int gv_http_strictness(void); /* MHD_OPTION_STRICT_FOR_CLIENT */
void gv_http_read_head(struct gv_http_head *out, struct MHD_Connection *mhd, const char *url,
                       const char *method, const char *version);
/* libmicrohttpd is about to refuse a Content-Length. */
void gv_http_refuse_lengths(struct gv_http_server *server);
struct gv_http_connection *gv_http_connection_of(struct MHD_Connection *mhd);

/* As 16 bytes, IPv4 as ::ffff:a.b.c.d; false (and zeros) for what is neither family, and NULL. */
bool gv_http_address_bytes(uint8_t out[16], const struct sockaddr *address);

/* Ends the watched requests whose clients have left. */
void gv_http_sweep_left(struct gv_http_server *server);

/* Hands the response to libmicrohttpd: at once when its own call is on the stack, otherwise by
 * waking the connection, which makes it ask again. NULL: out of memory, the connection ends. */
void gv_http_answer(struct gv_http_request *request, unsigned status, const char *type,
                    struct MHD_Response *response, enum gv_http_state next);
/* What was answered with is sent, or never will be. */
void gv_http_spare_back(struct gv_http_request *request);
void gv_http_spares_free(struct gv_http_server *server);
/* Tells the owner of a long answer how it ended, once. */
void gv_http_source_done(struct gv_http_request *request, bool complete);

/* Is the peer one of the trusted proxies? NULL is not. */
bool gv_http_trusts(const struct gv_http_server *server, const struct sockaddr *peer);

/* What a suspended connection waited for is there. */
void gv_http_wake(struct gv_http_request *request);

/* Before a short answer: if the one before went out in the run before this, more requests came in
 * one go, and their answers go out together. */
void gv_http_gather(struct gv_http_server *server, struct gv_http_connection *connection);

/* After MHD_resume_connection, which by itself makes nothing run in this mode. */
void gv_http_kick(struct gv_http_server *server);

/* Every request that its owner still holds is taken from him: 503, or the end of the stream. */
void gv_http_abandon_all(struct gv_http_server *server);

#endif
