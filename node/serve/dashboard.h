/* The dashboard: the files of node/dashboard, embedded at build time, served under /dashboard/.
 * They hold nothing of this host, so they need no token; what they show they ask the API for, with
 * the token that the admin gives them. (SPEC 18.10) */
#ifndef GV_NODE_SERVE_DASHBOARD_H
#define GV_NODE_SERVE_DASHBOARD_H

#include <stddef.h>

#include "node/base/http.h"

struct gv_dashboard_file {
    const char *name, *type;
    const unsigned char *plain;
    size_t plain_len;
    const unsigned char *packed; /* the same, gzipped */
    size_t packed_len;
};

/* Written by node/dashboard/embed.cmake. */
extern const struct gv_dashboard_file gv_dashboard_files[];
extern const size_t gv_dashboard_file_count;

/* GET /dashboard/NAME, and /dashboard/ for its page. */
void gv_dashboard_get(struct gv_http_request *request, void *context);
/* GET / and /dashboard: there it is. */
void gv_dashboard_find(struct gv_http_request *request, void *context);

#endif
