/* The keys of bouncers: `grapevine bouncers`. */
#include <string.h>

#include "crypto/error.h"
#include "node/base/json.h"
#include "node/serve/api_internal.h"
#include "node/serve/api_request.h"

void gv_api_get_bouncers(struct gv_http_request *request, void *context)
{
    const struct gv_api *api = context;

    if (!api->bouncers)
        gv_http_error(request, 404, "not-found", "this daemon serves no bouncers");
    else
        gv_http_respond_json(request, 200, gv_bouncers_list(api->bouncers));
}

static int read_name(const char **name, json_t **json, struct gv_http_request *request,
                     struct gv_text *error)
{
    size_t len;
    const uint8_t *body = gv_http_body(request, &len);

    int rc = gv_json_parse(json, body, len, GV_API_BODY_MAX, error);
    return rc == GV_OK ? gv_json_string(name, *json, "name", GV_API_TEXT_MAX, error) : rc;
}

static void refuse(struct gv_http_request *request, int rc, const struct gv_text *error)
{
    switch (rc) {
    case GV_ERR_DUPLICATE:
        gv_http_error(request, 409, "duplicate", "%s", error->text);
        break;
    case GV_ERR_NOT_FOUND:
        gv_http_error(request, 404, "not-found", "%s", error->text);
        break;
    case GV_ERR_FULL:
    case GV_ERR_IO:
        gv_http_error(request, 507, "not-stored", "%s", error->text);
        break;
    case GV_ERR_MEMORY:
        gv_http_error(request, 503, "memory", "%s", error->text);
        break;
    default:
        gv_http_error(request, 400, "bad-request", "%s", error->text);
        break;
    }
}

static void edit(struct gv_http_request *request, struct gv_api *api, bool add)
{
    struct gv_text error = {""};
    json_t *body = NULL, *answer = NULL;
    const char *name = "";

    if (!api->bouncers) {
        gv_http_error(request, 404, "not-found", "this daemon serves no bouncers");
        return;
    }
    int rc = read_name(&name, &body, request, &error);
    if (rc != GV_OK)
        rc = GV_ERR_MALFORMED;
    else if (add)
        answer = gv_bouncers_add(api->bouncers, name, &rc, &error);
    else
        rc = gv_bouncers_delete(api->bouncers, name, &error);
    if (rc == GV_OK && !add)
        answer = json_pack("{s:b, s:s}", "ok", 1, "message", "its key is not valid any more");
    json_decref(body);
    if (rc == GV_OK)
        gv_http_respond_json(request, 200, answer);
    else
        refuse(request, rc, &error);
}

void gv_api_post_bouncer(struct gv_http_request *request, void *context)
{
    edit(request, context, true);
}

void gv_api_delete_bouncer(struct gv_http_request *request, void *context)
{
    edit(request, context, false);
}
