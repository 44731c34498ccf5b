/* GET /api/v1/evidence?addr=: what a verdict was made of, for `grapevine ip ADDR --evidence`. */
#include "crypto/error.h"
#include "node/base/evidence.h"
#include "node/serve/api_internal.h"
#include "node/serve/api_request.h"

void gv_api_get_evidence(struct gv_http_request *request, void *context)
{
    struct gv_api *api = context;
    struct gv_subject subject;
    struct gv_text error;
    json_t *json;

    if (gv_api_subject(&subject, gv_http_query(request, "addr"), &error) != GV_OK) {
        gv_http_error(request, 400, "bad-request", "%s", error.text);
        return;
    }
    int rc = gv_evidence_write(&json, gv_driver_core(api->options.driver), &subject);
    if (rc == GV_ERR_STATE)
        gv_http_error(request, 409, "no-network", "This node is in no network yet.");
    else if (rc != GV_OK)
        gv_http_error(request, 500, "failed", "%s", gv_strerror(rc));
    else
        gv_http_respond_json(request, 200, json);
}
