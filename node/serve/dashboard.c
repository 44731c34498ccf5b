#include "node/serve/dashboard.h"

#include <string.h>
#include <strings.h>

#include "node/serve/answer.h"

#define FOLDER "/dashboard/"

/* The page runs its own files and talks to this server, and nothing else: no inline script or
 * style, no other host, no frame around it, no form that is sent anywhere, and no text that becomes
 * markup (trusted types: a slip in the code is an error then, not a hole). */
#define POLICY                                                                                     \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src "        \
    "'self'; "                                                                                     \
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "                                \
    "require-trusted-types-for 'script'; trusted-types 'none'"

static const struct gv_dashboard_file *find(const char *name)
{
    if (!*name)
        name = "index.html";
    for (size_t i = 0; i < gv_dashboard_file_count; i++)
        if (strcmp(gv_dashboard_files[i].name, name) == 0)
            return &gv_dashboard_files[i];
    return NULL;
}

/* "gzip" in a list, unless with q=0. */
static bool takes_gzip(const char *accepted)
{
    for (const char *at = accepted; at && *at;) {
        at += strspn(at, " \t,");
        size_t len = strcspn(at, ",");
        if (len >= 4 && strncasecmp(at, "gzip", 4) == 0 && (len == 4 || strchr(" \t;", at[4]))) {
            const char *weight = memchr(at, '=', len);
            return !weight || strspn(weight + 1, "0.") < len - (size_t)(weight + 1 - at);
        }
        at += len;
    }
    return false;
}

void gv_dashboard_get(struct gv_http_request *request, void *context)
{
    const struct gv_dashboard_file *file = find(gv_http_path(request) + strlen(FOLDER));
    char etag[GV_ETAG_TEXT];

    (void)context;
    if (!file) {
        gv_http_error(request, 404, "not-found", "the dashboard is at " FOLDER);
        return;
    }
    bool packed = takes_gzip(gv_http_header(request, "Accept-Encoding"));
    const unsigned char *data = packed ? file->packed : file->plain;
    size_t len = packed ? file->packed_len : file->plain_len;

    gv_answer_etag(etag, data, len);
    gv_http_add_header(request, "Content-Security-Policy", POLICY);
    gv_http_add_header(request, "Referrer-Policy", "no-referrer");
    gv_http_add_header(request, "Cross-Origin-Opener-Policy", "same-origin");
    gv_http_add_header(request, "Cross-Origin-Resource-Policy", "same-origin");
    gv_http_add_header(request, "Vary", "Accept-Encoding");
    if (gv_answer_unchanged(request, etag))
        return;
    if (packed)
        gv_http_add_header(request, "Content-Encoding", "gzip");
    gv_http_respond(request, 200, file->type, data, len);
}

void gv_dashboard_find(struct gv_http_request *request, void *context)
{
    (void)context;
    gv_http_add_header(request, "Location", FOLDER);
    gv_http_respond(request, 303, NULL, NULL, 0);
}
