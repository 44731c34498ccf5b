/* Old logs that the admin hands over: `grapevine import`. */
#include "crypto/error.h"
#include "node/base/json.h"
#include "node/serve/api_internal.h"
#include "node/serve/api_request.h"

#define FILES_MAX 64

static int read_paths(const char **paths, size_t *count, json_t **json, const void *body,
                      size_t len, struct gv_text *error)
{
    struct gv_text why = {""};

    if (gv_json_parse(json, body, len, GV_API_BODY_MAX, &why) != GV_OK) {
        *json = NULL;
        return gv_fail(error, GV_ERR_MALFORMED, "the body is not JSON: %s", why.text);
    }
    const json_t *list = json_object_get(*json, "files");
    if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > FILES_MAX)
        return gv_fail(error, GV_ERR_MALFORMED, "\"files\" must be a list of 1 to %d paths",
                       FILES_MAX);
    for (*count = 0; *count < json_array_size(list); ++*count) {
        const json_t *one = json_array_get(list, *count);
        if (!json_is_string(one))
            return gv_fail(error, GV_ERR_MALFORMED, "\"files\" must hold nothing but paths");
        paths[*count] = json_string_value(one);
    }
    return GV_OK;
}

void gv_api_post_import(struct gv_http_request *request, void *context)
{
    const struct gv_api *api = context;
    const char *paths[FILES_MAX];
    struct gv_text error = {""};
    size_t len, count = 0;
    const uint8_t *body = gv_http_body(request, &len);
    json_t *json = NULL;

    int rc = read_paths(paths, &count, &json, body, len, &error);
    if (rc == GV_OK)
        rc = api->options.import
                 ? api->options.import(api->options.logs_context, paths, count, &error)
                 : gv_fail(&error, GV_ERR_NOT_FOUND, "nothing can be imported here");
    json_decref(json);
    if (rc == GV_OK)
        gv_http_respond_json(request, 202, json_pack("{s:b, s:s}", "ok", 1, "message", "reading"));
    else
        gv_http_error(request,
                      rc == GV_ERR_BUSY        ? 409
                      : rc == GV_ERR_FORBIDDEN ? 403
                      : rc == GV_ERR_NOT_FOUND ? 404
                                               : 400,
                      rc == GV_ERR_BUSY ? "busy" : "bad-request", "%s", error.text);
}
