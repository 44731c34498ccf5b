/* An HTTP server (node/base/http.h) on a loop in a thread of its own. A test runs in another. */
#ifndef GV_TESTS_HELPER_HTTP_H
#define GV_TESTS_HELPER_HTTP_H

#include "helper_tcp.h"
#include "node/base/http.h"

struct http_stage {
    struct loop_thread thread;
    struct gv_http_server *server; /* of that thread */
};

/* `options` must stay until the end. Fails the test if it does not start. */
void http_stage_start(struct http_stage *stage, const struct gv_http_options *options);
void http_stage_stop(struct http_stage *stage);

#endif
