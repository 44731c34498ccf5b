/* The page behind the link in the mail (SPEC 14.4). GET only shows it, so that whatever looks at
 * links in mails confirms nothing; its button POSTs. No script, nothing from elsewhere. */
#include <stdio.h>
#include <string.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/registry/enrolment.h"
#include "node/registry/registrar.h"

const char gv_page_head[] = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
                            "<meta name=\"viewport\" content=\"width=device-width\">\n"
                            "<meta name=\"color-scheme\" content=\"light dark\">\n";

void gv_page_answer(struct gv_http_request *request, unsigned status, const char *body)
{
    gv_http_add_header(request, "Content-Security-Policy",
                       "default-src 'none'; form-action 'self'; frame-ancestors 'none'; "
                       "base-uri 'none'");
    gv_http_add_header(request, "Referrer-Policy", "no-referrer");
    gv_http_add_header(request, "X-Content-Type-Options", "nosniff");
    gv_http_add_header(request, "X-Robots-Tag", "noindex");
    gv_http_add_header(request, "Cache-Control", "no-store");
    gv_http_respond(request, status, "text/html; charset=utf-8", body, strlen(body));
}

static void show_gone(struct gv_http_request *request)
{
    char page[1024];

    snprintf(page, sizeof page,
             "%s<title>This link is not good any more</title>\n"
             "<h1>This link is not good any more</h1>\n"
             "<p>It was used, or is too old, or a newer mail has another one. On the mail server, "
             "<code>grapevine enroll</code> asks for a new one.</p>\n",
             gv_page_head);
    gv_page_answer(request, 404, page);
}

static void show_done(struct gv_http_request *request, const char *network)
{
    char page[1024];

    snprintf(page, sizeof page,
             "%s<title>Confirmed</title>\n<h1>Confirmed</h1>\n"
             "<p>The mail server joins the mesh \"%s\" by itself, within a minute. You can close "
             "this page.</p>\n",
             gv_page_head, network);
    gv_page_answer(request, 200, page);
}

static void show_question(struct gv_http_request *request, const char *network,
                          const char *instance)
{
    char page[2048];

    snprintf(
        page, sizeof page,
        "%s<title>Join the mesh %s?</title>\n<h1>Join the mesh \"%s\"?</h1>\n"
        "<p>A mail server asks to be enrolled with your email address. Its instance is</p>\n"
        "<p><code>%s</code></p>\n"
        "<p>Confirm only if it was you who asked, and if <code>grapevine status</code> shows "
        "this instance on your server: whoever runs it speaks in your name.</p>\n"
        "<form method=\"post\"><button type=\"submit\">Yes, this is my server</button></form>\n"
        "<p>If you did not ask for this, close this page. Then nothing happens.</p>\n",
        gv_page_head, network, network, instance);
    gv_page_answer(request, 200, page);
}

/* The token is 16 random bytes; only its HMAC is in the database. */
static int find(struct gv_registrar *registrar, const struct gv_http_request *request,
                uint8_t link[GV_HASH_LEN], uint8_t key[GV_KEY_LEN], struct gv_pending *pending)
{
    const char *path = gv_http_path(request);
    uint8_t token[GV_LINK_LEN];
    size_t prefix = strlen(GV_LINK_PATH);

    memset(pending, 0, sizeof *pending);
    if (strncmp(path, GV_LINK_PATH, prefix) != 0 || strlen(path) != prefix + 2 * GV_LINK_LEN ||
        gv_unhex(token, sizeof token, path + prefix) != GV_OK)
        return GV_ERR_NOT_FOUND;
    gv_link_hash(link, registrar, token);
    int rc = gv_records_by_link(registrar->records, pending, key, link);
    if (rc == GV_OK && pending->code.expires_min <= gv_registrar_now_min(registrar))
        rc = GV_ERR_NOT_FOUND;
    return rc;
}

void gv_page_show(struct gv_registrar *registrar, struct gv_http_request *request)
{
    uint8_t link[GV_HASH_LEN], key[GV_KEY_LEN], instance[GV_ID_LEN];
    char id[2 * GV_ID_LEN + 1];
    struct gv_pending pending;
    int rc = find(registrar, request, link, key, &pending);

    if (rc == GV_ERR_NOT_FOUND) {
        show_gone(request);
    } else if (rc != GV_OK) {
        gv_refuse_internal(request, rc);
    } else if (pending.approved) {
        show_done(request, registrar->descriptor.name);
    } else {
        gv_instance_id(instance, key);
        gv_hex(id, instance, GV_ID_LEN);
        show_question(request, registrar->descriptor.name, id);
    }
    gv_wipe(&pending, sizeof pending);
}

void gv_page_confirm(struct gv_registrar *registrar, struct gv_http_request *request)
{
    uint8_t link[GV_HASH_LEN], key[GV_KEY_LEN];
    struct gv_pending pending;
    int rc = find(registrar, request, link, key, &pending);

    if (rc == GV_OK)
        rc = gv_records_approve(registrar->records, link);
    if (rc == GV_OK)
        show_done(request, registrar->descriptor.name);
    else if (rc == GV_ERR_NOT_FOUND)
        show_gone(request);
    else
        gv_refuse_internal(request, rc);
    gv_wipe(&pending, sizeof pending);
}
