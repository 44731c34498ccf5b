#include "node/registry/signed_request.h"

#include <string.h>

#include "crypto/error.h"
#include "node/base/json.h"
#include "node/registry/enrolment.h"

#define BODY_MAX 4096

static int read_proof(struct gv_signed_request *out, struct gv_text *why)
{
    const json_t *json = out->json;
    uint64_t minute = 0;
    int rc = gv_json_hex(out->proof.key, GV_KEY_LEN, json, "key", why);

    if (rc == GV_OK)
        rc = gv_json_u64(&minute, json, "minute", UINT32_MAX, why);
    if (rc == GV_OK)
        rc = gv_json_hex(out->proof.nonce, GV_PROOF_NONCE, json, "nonce", why);
    if (rc == GV_OK)
        rc = gv_json_hex(out->signature, GV_SIGNATURE_LEN, json, "signature", why);
    out->proof.minute = (uint32_t)minute;
    if (rc != GV_OK)
        return rc;
    switch (out->proof.kind) {
    case GV_PROOF_ENROLL:
        rc = gv_json_string(&out->proof.email, json, "email", GV_EMAIL_MAX, why);
        return rc == GV_OK ? gv_json_string(&out->proof.terms, json, "terms", GV_TERMS_MAX, why)
                           : rc;
    case GV_PROOF_CONFIRM:
        return gv_json_string(&out->proof.code, json, "code", GV_CODE_TEXT_MAX, why);
    case GV_PROOF_RENEW:
    case GV_PROOF_LEAVE:
        return gv_json_hex(out->proof.certificate, GV_ID_LEN, json, "certificate", why);
    }
    return GV_ERR_STATE;
}

static void refuse_proof(struct gv_http_request *request, int error)
{
    if (error == GV_ERR_EXPIRED || error == GV_ERR_EARLY)
        gv_http_error(request, 400, "clock",
                      "the request's minute is more than %d minutes off: set the clock of this "
                      "host (time synchronisation) and try again",
                      GV_PROOF_SKEW_MIN);
    else if (error == GV_ERR_SIGNATURE)
        gv_http_error(request, 403, "proof",
                      "the signature does not prove possession of the key in this network");
    else
        gv_refuse_internal(request, error);
}

bool gv_signed_request_open(struct gv_signed_request *out, struct gv_registrar *registrar,
                            struct gv_http_request *request, enum gv_proof_kind kind)
{
    struct gv_text why = {""};
    uint32_t now = gv_registrar_now_min(registrar);
    size_t len;
    const uint8_t *body = gv_http_body(request, &len);

    memset(out, 0, sizeof *out);
    out->proof.kind = kind;
    int rc = gv_json_parse(&out->json, body, len, BODY_MAX, &why);
    if (rc == GV_OK)
        rc = read_proof(out, &why);
    if (rc != GV_OK) {
        gv_http_error(request, 400, "request", "%s", why.text);
        return false;
    }
    rc = gv_proof_verify(NULL, &out->proof, out->signature, registrar->descriptor.network_id, now);
    if (rc != GV_OK) {
        refuse_proof(request, rc);
        return false;
    }
    /* The signature's first half is a point that its maker does not choose freely: as good a name
     * for this proof as a hash. Only valid ones get here, so strangers cannot fill the table. */
    if (!gv_rate_take(&registrar->proofs, out->signature, 1, now, NULL)) {
        gv_http_error(request, 409, "replay",
                      "this very request was made before; make a new one, with a new nonce");
        return false;
    }
    gv_instance_id(out->instance, out->proof.key);
    return true;
}

void gv_signed_request_close(struct gv_signed_request *request)
{
    json_decref(request->json);
}
