/* A request to the registry, or an answer of one: the bounded JSON parser, its getters, and the
 * rules that the strings in it meet. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "node/base/json.h"
#include "proto/registry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void normalise(const char *email)
{
    char once[GV_EMAIL_MAX + 1], twice[GV_EMAIL_MAX + 1];

    if (gv_email_normalise(once, email, strlen(email)) != GV_OK)
        return;
    gv_assert(gv_email_normalise(twice, once, strlen(once)) == GV_OK);
    gv_assert(strcmp(once, twice) == 0);
    gv_assert(strpbrk(once, " \t\r\n<>\",;:\\") == NULL && *gv_email_domain(once));
}

static void use(const json_t *json)
{
    struct gv_text why = {""};
    struct gv_proof proof = {.kind = GV_PROOF_ENROLL};
    uint8_t signature[GV_SIGNATURE_LEN], network[GV_KEY_LEN] = {0}, secret[GV_SECRET_LEN] = {0};
    uint8_t certificate[GV_CERTIFICATE_LEN];
    struct gv_certificate parsed;
    struct gv_code code;
    uint64_t minute = 0;
    size_t len = 0;

    gv_json_hex(proof.key, GV_KEY_LEN, json, "key", &why);
    gv_json_hex(proof.nonce, GV_PROOF_NONCE, json, "nonce", &why);
    gv_json_u64(&minute, json, "minute", UINT32_MAX, &why);
    proof.minute = (uint32_t)minute;
    if (gv_json_string(&proof.email, json, "email", GV_EMAIL_MAX, &why) == GV_OK)
        normalise(proof.email);
    gv_json_string(&proof.terms, json, "terms", GV_TERMS_MAX, &why);
    if (gv_json_hex(signature, sizeof signature, json, "signature", &why) == GV_OK)
        gv_proof_verify(NULL, &proof, signature, network, proof.minute);
    if (gv_json_string(&proof.code, json, "code", GV_CODE_TEXT_MAX, &why) == GV_OK &&
        gv_code_make(&code, secret, proof.code, proof.key, 10) == GV_OK)
        gv_assert(gv_code_check(&code, secret, proof.code, proof.key, 9) == GV_OK);
    if (gv_json_base64(certificate, sizeof certificate, &len, json, "certificate", &why) == GV_OK)
        gv_certificate_parse(&parsed, certificate, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *json = NULL;
    struct gv_text why;

    if (gv_json_parse(&json, data, size, 4096, &why) == GV_OK)
        use(json);
    json_decref(json);
    return 0;
}
