/* Fuzzes the certificate's parser. A signature would stop a plain fuzzer at once, so byte 0 picks:
 *   raw    the rest, whatever its length, is the certificate
 *   signed the rest is laid over a certificate that is then signed by the registry, as a
 * compromised or careless registry might; the last byte picks a bit that is flipped afterwards */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/certificate.h"
#include "crypto/error.h"

static struct gv_identity registry;
static uint8_t network[GV_KEY_LEN];

static void check(int condition)
{
    if (!condition)
        abort();
}

/* What parses is canonical: issuing the same fields again gives the same body, but for the signer,
 * which is the key's. */
static void check_canonical(const struct gv_certificate *parsed, const uint8_t *wire)
{
    struct gv_certificate again = *parsed;
    uint8_t body[GV_CERTIFICATE_LEN];

    gv_certificate_issue(body, &again, registry.sign_secret, network);
    memcpy(body + 2, wire + 2, 4);
    check(memcmp(body, wire, GV_CERTIFICATE_BODY) == 0);
    check(memcmp(again.instance, parsed->instance, GV_ID_LEN) == 0);
    check(parsed->since_min <= parsed->issued_min && parsed->issued_min < parsed->expires_min);
}

static void fuzz_raw(const uint8_t *data, size_t size)
{
    struct gv_certificate parsed;

    if (gv_certificate_parse(&parsed, data, size) != GV_OK)
        return;
    check(size == GV_CERTIFICATE_LEN);
    check_canonical(&parsed, data);
    check(gv_certificate_verify(NULL, data, registry.sign_public, network) != GV_OK);
}

static void fuzz_signed(const uint8_t *data, size_t size)
{
    uint8_t wire[GV_CERTIFICATE_LEN] = {1};
    struct gv_certificate parsed;
    const unsigned bit = size > 0 ? data[size - 1] : 0;

    if (size > 0)
        memcpy(wire, data, size < GV_CERTIFICATE_BODY ? size : GV_CERTIFICATE_BODY);
    memcpy(wire + 2, registry.sign_public, 4);
    gv_sign(wire + GV_CERTIFICATE_BODY, registry.sign_secret, GV_CERTIFICATE_DOMAIN, network, wire,
            GV_CERTIFICATE_BODY);
    check(gv_certificate_verify(NULL, wire, registry.sign_public, network) == GV_OK);
    if (gv_certificate_parse(&parsed, wire, sizeof wire) == GV_OK)
        check_canonical(&parsed, wire);

    /* 256 of the 1216 bits, spread over the whole. */
    wire[bit * 4 / 8 + bit % 25] ^= (uint8_t)(1U << bit % 8);
    check(gv_certificate_verify(NULL, wire, registry.sign_public, network) == GV_ERR_SIGNATURE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;

    if (!ready) {
        uint8_t secret[GV_SECRET_LEN] = {1};

        gv_identity_from_secret(&registry, secret);
        memset(network, 2, sizeof network);
        ready = true;
    }
    if (size == 0)
        return 0;
    if (data[0] % 2 == 0)
        fuzz_raw(data + 1, size - 1);
    else
        fuzz_signed(data + 1, size - 1);
    return 0;
}
