/* A POST with a proof of possession (SPEC 14.3). */
#ifndef GV_NODE_REGISTRY_SIGNED_REQUEST_H
#define GV_NODE_REGISTRY_SIGNED_REQUEST_H

#include <jansson.h>

#include "node/registry/registrar.h"

struct gv_signed_request {
    json_t *json; /* owned; the texts of `proof` borrow from it */
    struct gv_proof proof;
    uint8_t instance[GV_ID_LEN];
    uint8_t signature[GV_SIGNATURE_LEN];
};

/* Parses and checks the proof; false: answered. Pair with gv_signed_request_close either way. */
bool gv_signed_request_open(struct gv_signed_request *out, struct gv_registrar *registrar,
                            struct gv_http_request *request, enum gv_proof_kind kind);
void gv_signed_request_close(struct gv_signed_request *request);

#endif
