/* Statements and fault proofs (SPEC 8). The first byte chooses: a wire as it comes, a body under a
 * signature of zeros, a proof, or a statement made of the input's bytes and signed for real. What
 * parses must encode to the same bytes again: one statement has one encoding. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "crypto/identity.h"
#include "proto/trust/signal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct gv_identity identity;
static uint8_t network_id[GV_KEY_LEN];

static void check_statement(const uint8_t *wire, size_t len)
{
    struct gv_statement s, again;
    struct gv_buf out;

    if (gv_statement_parse(&s, wire, len) != GV_OK)
        return;
    gv_buf_init(&out);
    gv_assert(gv_statement_sign(&out, &s, identity.sign_secret, network_id) == GV_OK);
    gv_assert(out.len == len);
    gv_assert(
        memcmp(out.data + GV_SIGNATURE_LEN, wire + GV_SIGNATURE_LEN, len - GV_SIGNATURE_LEN) == 0);
    gv_assert(gv_statement_parse(&again, out.data, out.len) == GV_OK);
    gv_assert(gv_statement_verify(NULL, &again, out.data, out.len, identity.sign_public,
                                  network_id) == GV_OK);
    gv_buf_free(&out);
}

static void check_fault(const uint8_t *wire, size_t len)
{
    struct gv_fault fault;
    struct gv_buf out;

    if (gv_fault_parse(&fault, wire, len) != GV_OK)
        return;
    check_statement(fault.a_wire, fault.a_len);
    check_statement(fault.b_wire, fault.b_len);
    gv_buf_init(&out);
    gv_assert(gv_fault_build(&out, fault.b_wire, fault.b_len, fault.a_wire, fault.a_len) == GV_OK);
    gv_assert(out.len == len && memcmp(out.data, wire, len) == 0);
    gv_buf_free(&out);
}

/* A statement of the input's first bytes; the rest says which byte of its wire is changed. */
static void check_made(const uint8_t *data, size_t size)
{
    struct gv_statement s, back;
    struct gv_buf out;

    if (size < sizeof s)
        return;
    memset(&s, 0, sizeof s);
    s.kind = data[0] & 1 ? GV_STATEMENT_SIGNAL : GV_STATEMENT_RETRACT;
    memcpy(s.certificate, data + 1, sizeof s.certificate);
    memcpy(&s.sequence, data + 17, sizeof s.sequence);
    s.sequence >>= 1;
    s.subject.family = data[0] & 2 ? GV_FAMILY_IPV4 : GV_FAMILY_IPV6;
    memcpy(s.subject.bytes, data + 25, data[0] & 2 ? 4 : 8);
    memcpy(&s.first_min, data + 33, sizeof s.first_min);
    s.last_min = s.first_min;
    if (s.kind == GV_STATEMENT_SIGNAL) {
        s.last_min += data[37];
        s.count = gv_signal_count_bucket((uint64_t)data[38] << data[39] % 10);
        s.services = data[40];
        s.kinds = data[41];
    }
    gv_buf_init(&out);
    if (gv_statement_sign(&out, &s, identity.sign_secret, network_id) == GV_OK) {
        gv_assert(gv_statement_parse(&back, out.data, out.len) == GV_OK);
        gv_assert(memcmp(&back, &s, sizeof s) == 0);
        size_t at = size > 43 ? ((size_t)data[42] << 8 | data[43]) % out.len : 0;
        out.data[at] ^= data[size - 1];
        check_statement(out.data, out.len);
        if (data[size - 1] != 0 && gv_statement_parse(&back, out.data, out.len) == GV_OK)
            gv_assert(gv_statement_verify(NULL, &back, out.data, out.len, identity.sign_public,
                                          network_id) == GV_ERR_SIGNATURE);
    }
    gv_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    uint8_t wire[GV_SIGNATURE_LEN + 512] = {0};

    if (!ready) {
        static const uint8_t secret[GV_SECRET_LEN] = {1};
        gv_identity_from_secret(&identity, secret);
        ready = true;
    }
    if (size == 0)
        return 0;
    switch (data[0] % 4) {
    case 0:
        check_statement(data + 1, size - 1);
        break;
    case 1:
        if (size - 1 <= sizeof wire - GV_SIGNATURE_LEN) {
            memcpy(wire + GV_SIGNATURE_LEN, data + 1, size - 1);
            check_statement(wire, GV_SIGNATURE_LEN + size - 1);
        }
        break;
    case 2:
        check_fault(data + 1, size - 1);
        break;
    default:
        check_made(data + 1, size - 1);
    }
    return 0;
}
