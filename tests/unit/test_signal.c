/* Signals, retractions and fault proofs on the wire (SPEC 8). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "crypto/error.h"
#include "proto/observation.h"
#include "proto/trust/signal.h"
#include "proto/wire/codec.h"

/* The examples of SPEC 8.1 to 8.3: bodies, without the signature. */
#define SIGNAL_HEX                                                                                 \
    "9901c410000102030405060708090a0b0c0d0e0fcf0000019aa5b3c400c404cb007109"                       \
    "ce01c7b6a0ce01c7b6b805040a"
#define SIGNAL_IPV6_HEX                                                                            \
    "9901c410000102030405060708090a0b0c0d0e0fcf0000019aa5b3c401c40820010db800420007"               \
    "ce01c7b6a0ce01c7b6a0020806"
#define RETRACT_HEX                                                                                \
    "9502c410000102030405060708090a0b0c0d0e0fcf0000019aa5b3c402c404cb007109ce01c7b700"

/* The pieces of it that the cases below leave alone. */
#define ID      "c410000102030405060708090a0b0c0d0e0f"
#define SUBJECT "c404cb007109"
#define MINUTES "ce01c7b6a0ce01c7b6b8"

static uint8_t network_id[GV_KEY_LEN], public_key[GV_KEY_LEN], secret[64];

static int setup(void **state)
{
    uint8_t seed[32];

    if (sodium_init() < 0)
        return -1;
    memset(seed, 7, sizeof seed);
    memset(network_id, 9, sizeof network_id);
    return crypto_sign_seed_keypair(public_key, secret, seed);
}

static struct gv_statement example(void)
{
    struct gv_statement s = {.kind = GV_STATEMENT_SIGNAL,
                             .sequence = 0x19aa5b3c400,
                             .subject = {GV_FAMILY_IPV4, {203, 0, 113, 9}},
                             .first_min = 29865632,
                             .last_min = 29865656,
                             .count = 5,
                             .services = GV_SERVICE_SUBMISSION,
                             .kinds = GV_KIND_UNKNOWN_ACCOUNT | GV_KIND_BAD_MECHANISM};

    for (uint8_t i = 0; i < GV_ID_LEN; i++)
        s.certificate[i] = i;
    return s;
}

static struct gv_statement retraction(void)
{
    struct gv_statement s = example();

    s.kind = GV_STATEMENT_RETRACT;
    s.sequence += 2;
    s.first_min = s.last_min = 29865728;
    s.count = 0;
    s.services = s.kinds = 0;
    return s;
}

static size_t from_hex(uint8_t *out, size_t cap, const char *hex)
{
    size_t len = 0;

    assert_int_equal(sodium_hex2bin(out, cap, hex, strlen(hex), NULL, &len, NULL), 0);
    return len;
}

static void sign(struct gv_buf *out, const struct gv_statement *s)
{
    gv_buf_init(out);
    assert_int_equal(gv_statement_sign(out, s, secret, network_id), GV_OK);
}

/* A wire with a body given in hex and a signature of zeros. */
static int parse_hex(struct gv_statement *out, const char *hex)
{
    uint8_t wire[512] = {0};
    size_t len = from_hex(wire + GV_SIGNATURE_LEN, sizeof wire - GV_SIGNATURE_LEN, hex);

    return gv_statement_parse(out, wire, GV_SIGNATURE_LEN + len);
}

static void assert_body(const struct gv_buf *wire, const char *hex)
{
    uint8_t body[128];
    size_t len = from_hex(body, sizeof body, hex);

    assert_int_equal(wire->len, GV_SIGNATURE_LEN + len);
    assert_memory_equal(wire->data + GV_SIGNATURE_LEN, body, len);
}

/* ---- statements ----------------------------------------------------------------------------- */

static void the_examples_are_what_is_written(void **state)
{
    struct gv_statement s = example(), back;
    struct gv_buf wire;

    sign(&wire, &s);
    assert_body(&wire, SIGNAL_HEX);
    assert_int_equal(gv_statement_parse(&back, wire.data, wire.len), GV_OK);
    assert_memory_equal(&back, &s, sizeof s);
    gv_buf_free(&wire);

    s.subject = (struct gv_subject){GV_FAMILY_IPV6, {0x20, 0x01, 0x0d, 0xb8, 0, 0x42, 0, 7}};
    s.sequence++;
    s.last_min = s.first_min;
    s.count = 2;
    s.services = GV_SERVICE_IMAP;
    s.kinds = GV_KIND_UNKNOWN_ACCOUNT | GV_KIND_WRONG_PASSWORD;
    sign(&wire, &s);
    assert_body(&wire, SIGNAL_IPV6_HEX);
    assert_int_equal(gv_statement_parse(&back, wire.data, wire.len), GV_OK);
    assert_memory_equal(&back, &s, sizeof s);
    gv_buf_free(&wire);

    s = retraction();
    sign(&wire, &s);
    assert_body(&wire, RETRACT_HEX);
    assert_int_equal(gv_statement_parse(&back, wire.data, wire.len), GV_OK);
    assert_memory_equal(&back, &s, sizeof s);
    gv_buf_free(&wire);
}

static void a_signature_is_of_one_key_network_purpose_and_body(void **state)
{
    struct gv_statement s = example(), r = retraction();
    struct gv_buf wire;
    uint8_t other[GV_KEY_LEN];

    sign(&wire, &s);
    assert_int_equal(gv_statement_verify(NULL, &s, wire.data, wire.len, public_key, network_id),
                     GV_OK);
    memset(other, 1, sizeof other);
    assert_int_equal(gv_statement_verify(NULL, &s, wire.data, wire.len, public_key, other),
                     GV_ERR_SIGNATURE);
    assert_int_equal(gv_statement_verify(NULL, &s, wire.data, wire.len, other, network_id),
                     GV_ERR_SIGNATURE);
    /* As a retraction it would be signed in another domain. */
    assert_int_equal(gv_statement_verify(NULL, &r, wire.data, wire.len, public_key, network_id),
                     GV_ERR_SIGNATURE);
    for (size_t i = 0; i < wire.len; i++) {
        wire.data[i] ^= 1;
        assert_int_equal(gv_statement_verify(NULL, &s, wire.data, wire.len, public_key, network_id),
                         GV_ERR_SIGNATURE);
        wire.data[i] ^= 1;
    }
    gv_buf_free(&wire);
}

static void every_field_of_a_body_is_checked(void **state)
{
    static const struct {
        const char *what, *hex;
        int error;
    } cases[] = {
        {"sequence 0", "9901" ID "00" SUBJECT MINUTES "05040a", GV_ERR_RANGE},
        {"sequence 2^63", "9901" ID "cf8000000000000000" SUBJECT MINUTES "05040a", GV_ERR_RANGE},
        {"first after last", "9901" ID "01" SUBJECT "ce01c7b6b9ce01c7b6b805040a", GV_ERR_RANGE},
        {"span over 7 days", "9901" ID "01" SUBJECT "ce01c78f57ce01c7b6b805040a", GV_ERR_RANGE},
        {"count 0", "9901" ID "01" SUBJECT MINUTES "00040a", GV_ERR_RANGE},
        {"count not of the series", "9901" ID "01" SUBJECT MINUTES "03040a", GV_ERR_RANGE},
        {"count 200000", "9901" ID "01" SUBJECT MINUTES "ce00030d40040a", GV_ERR_RANGE},
        {"no service", "9901" ID "01" SUBJECT MINUTES "05000a", GV_ERR_RANGE},
        {"unknown service", "9901" ID "01" SUBJECT MINUTES "05400a", GV_ERR_RANGE},
        {"no kind", "9901" ID "01" SUBJECT MINUTES "050400", GV_ERR_RANGE},
        {"unknown kind", "9901" ID "01" SUBJECT MINUTES "050440", GV_ERR_RANGE},
        {"kind 3", "9903" ID "01" SUBJECT MINUTES "05040a", GV_ERR_MALFORMED},
        {"kind 0", "9900" ID "01" SUBJECT MINUTES "05040a", GV_ERR_MALFORMED},
        {"kind 257", "99cd0101" ID "01" SUBJECT MINUTES "05040a", GV_ERR_MALFORMED},
        {"a retraction with a signal's fields", "9902" ID "01" SUBJECT MINUTES "05040a",
         GV_ERR_MALFORMED},
        {"a signal with a retraction's", "9501" ID "01" SUBJECT "ce01c7b6a0", GV_ERR_MALFORMED},
        {"ten fields", "9a01" ID "01" SUBJECT MINUTES "05040a00", GV_ERR_MALFORMED},
        {"a byte after", "9901" ID "01" SUBJECT MINUTES "05040a00", GV_ERR_MALFORMED},
        {"certificate id of 15",
         "9901c40f000102030405060708090a0b0c0d0e01" SUBJECT MINUTES "05040a", GV_ERR_MALFORMED},
        {"subject of 5", "9901" ID "01c405cb00710900" MINUTES "05040a", GV_ERR_MALFORMED},
        {"subject of 16", "9901" ID "01c41020010db8004200070000000000000001" MINUTES "05040a",
         GV_ERR_MALFORMED},
        {"subject as text", "9901" ID "01a4cb007109" MINUTES "05040a", GV_ERR_MALFORMED},
        {"minute over 32 bits", "9901" ID "01" SUBJECT "cf0000000100000000ce01c7b6b805040a",
         GV_ERR_MALFORMED},
        {"a longer form of 5", "9901" ID "01" SUBJECT MINUTES "cc05040a", GV_ERR_MALFORMED},
        {"a negative count", "9901" ID "01" SUBJECT MINUTES "ff040a", GV_ERR_MALFORMED},
        {"an array of 16 bits", "dc000901" ID "01" SUBJECT MINUTES "05040a", GV_ERR_MALFORMED},
        {"nil", "c0", GV_ERR_MALFORMED},
        {"a count of 2^28 elements", "dd0fffffff00", GV_ERR_MALFORMED},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gv_statement s;
        int rc = parse_hex(&s, cases[i].hex);
        if (rc != cases[i].error)
            fail_msg("%s: %s", cases[i].what, gv_strerror(rc));
    }
}

static void subjects_that_are_nobody_s_business(void **state)
{
    static const struct gv_subject refused[] = {
        {GV_FAMILY_IPV4, {10, 1, 2, 3}},
        {GV_FAMILY_IPV4, {192, 168, 0, 1}},
        {GV_FAMILY_IPV4, {100, 64, 0, 1}},
        {GV_FAMILY_IPV4, {127, 0, 0, 1}},
        {GV_FAMILY_IPV4, {169, 254, 1, 1}},
        {GV_FAMILY_IPV4, {0, 0, 0, 0}},
        {GV_FAMILY_IPV4, {224, 0, 0, 1}},
        {GV_FAMILY_IPV4, {255, 255, 255, 255}},
        {GV_FAMILY_IPV6, {0}},
        {GV_FAMILY_IPV6, {0xfe, 0x80}},
        {GV_FAMILY_IPV6, {0xfd, 0x12}},
        {GV_FAMILY_IPV6, {0xff, 0x02}},
        {GV_FAMILY_IPV4, {203, 0, 113, 9, 1}}, /* bytes that the wire would not carry */
        {GV_FAMILY_NONE, {203, 0, 113, 9}},
    };
    struct gv_statement s = example(), back;
    struct gv_buf wire;

    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        s.subject = refused[i];
        gv_buf_init(&wire);
        assert_int_equal(gv_statement_sign(&wire, &s, secret, network_id), GV_ERR_RANGE);
        assert_int_equal(wire.len, 0);
        gv_buf_free(&wire);
    }
    assert_int_equal(parse_hex(&back, "9901" ID "01c4040a010203" MINUTES "05040a"), GV_ERR_SUBJECT);
    assert_int_equal(parse_hex(&back, "9502" ID "01c4047f000001ce01c7b6a0"), GV_ERR_SUBJECT);
    assert_int_equal(parse_hex(&back, "9502" ID "01c408fe80000000000000ce01c7b6a0"),
                     GV_ERR_SUBJECT);
}

static void what_is_not_valid_is_not_signed(void **state)
{
    struct gv_statement cases[10];
    struct gv_buf wire;

    for (size_t i = 0; i < 10; i++)
        cases[i] = i < 7 ? example() : retraction();
    cases[0].sequence = 0;
    cases[1].sequence = (uint64_t)INT64_MAX + 1;
    cases[2].count = 4;
    cases[3].services = GV_SERVICE_ALL + 1;
    cases[4].kinds = 0;
    cases[5].first_min = cases[5].last_min + 1;
    cases[6].first_min = cases[6].last_min - 7 * 24 * 60 - 1;
    cases[7].first_min--;
    cases[8].count = 1;
    cases[9].kind = (enum gv_statement_kind)3;
    for (size_t i = 0; i < 10; i++) {
        gv_buf_init(&wire);
        assert_int_equal(gv_statement_sign(&wire, &cases[i], secret, network_id), GV_ERR_RANGE);
        assert_int_equal(wire.len, 0);
        gv_buf_free(&wire);
    }
}

static void every_cut_is_refused(void **state)
{
    struct gv_statement s = example(), back;
    struct gv_buf wire;
    uint8_t padded[GV_SIGNAL_WIRE_MAX + 1] = {0};

    sign(&wire, &s);
    for (size_t len = 0; len < wire.len; len++)
        assert_int_equal(gv_statement_parse(&back, wire.data, len), GV_ERR_MALFORMED);
    memcpy(padded, wire.data, wire.len);
    for (size_t len = wire.len + 1; len <= sizeof padded; len++)
        assert_int_equal(gv_statement_parse(&back, padded, len), GV_ERR_MALFORMED);
    gv_buf_free(&wire);
}

static void the_largest_fits_its_limit(void **state)
{
    struct gv_statement s = example();
    struct gv_buf a, b, proof;

    s.sequence = INT64_MAX;
    s.subject = (struct gv_subject){GV_FAMILY_IPV6, {0x20, 0x01, 0x0d, 0xb8, 1, 2, 3, 4}};
    s.last_min = UINT32_MAX;
    s.first_min = UINT32_MAX - 1;
    s.count = GV_SIGNAL_COUNT_MAX;
    s.services = GV_SERVICE_ALL;
    s.kinds = GV_KIND_ALL;
    sign(&a, &s);
    assert_int_equal(a.len, 120);
    s.first_min--;
    sign(&b, &s);
    gv_buf_init(&proof);
    assert_int_equal(gv_fault_build(&proof, a.data, a.len, b.data, b.len), GV_OK);
    assert_true(proof.len <= GV_FAULT_WIRE_MAX);
    gv_buf_free(&a);
    gv_buf_free(&b);
    gv_buf_free(&proof);
}

static void counts_are_bucketed_downwards(void **state)
{
    static const struct {
        uint64_t attempts;
        uint32_t bucket;
    } cases[] = {{0, 1},
                 {1, 1},
                 {2, 2},
                 {4, 2},
                 {5, 5},
                 {9, 5},
                 {10, 10},
                 {19, 10},
                 {20, 20},
                 {49, 20},
                 {50, 50},
                 {999, 500},
                 {1000, 1000},
                 {99999, 50000},
                 {100000, 100000},
                 {100001, 100000},
                 {UINT64_MAX, 100000}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(gv_signal_count_bucket(cases[i].attempts), cases[i].bucket);
}

/* ---- fault proofs --------------------------------------------------------------------------- */

struct pair {
    struct gv_buf a, b;
};

/* A signal and a retraction under one sequence number. */
static struct pair contradiction(void)
{
    struct gv_statement s = example(), r = retraction();
    struct pair pair;

    r.sequence = s.sequence;
    sign(&pair.a, &s);
    sign(&pair.b, &r);
    return pair;
}

static void free_pair(struct pair *pair)
{
    gv_buf_free(&pair->a);
    gv_buf_free(&pair->b);
}

static void a_contradiction_is_a_proof_in_either_order(void **state)
{
    struct pair pair = contradiction();
    struct gv_buf one, two;
    struct gv_fault fault;

    gv_buf_init(&one);
    gv_buf_init(&two);
    assert_int_equal(gv_fault_build(&one, pair.a.data, pair.a.len, pair.b.data, pair.b.len), GV_OK);
    assert_int_equal(gv_fault_build(&two, pair.b.data, pair.b.len, pair.a.data, pair.a.len), GV_OK);
    assert_int_equal(one.len, two.len);
    assert_memory_equal(one.data, two.data, one.len);
    assert_int_equal(gv_fault_parse(&fault, one.data, one.len), GV_OK);
    /* The retraction's body begins with 0x95, the signal's with 0x99. */
    assert_int_equal(fault.a.kind, GV_STATEMENT_RETRACT);
    assert_int_equal(fault.b.kind, GV_STATEMENT_SIGNAL);
    assert_int_equal(fault.later_min, 29865728);
    assert_int_equal(fault.a_len, pair.b.len);
    assert_memory_equal(fault.a_wire, pair.b.data, pair.b.len);
    assert_true(fault.a_wire > one.data && fault.b_wire + fault.b_len == one.data + one.len);
    assert_int_equal(
        gv_statement_verify(NULL, &fault.b, fault.b_wire, fault.b_len, public_key, network_id),
        GV_OK);
    gv_buf_free(&one);
    gv_buf_free(&two);
    free_pair(&pair);
}

static void what_is_no_contradiction(void **state)
{
    struct pair pair = contradiction();
    struct gv_statement s = example();
    struct gv_buf again, next, out;

    gv_buf_init(&out);
    /* The same statement with another signature. */
    sign(&again, &s);
    again.data[3] ^= 1;
    assert_int_equal(gv_fault_build(&out, pair.a.data, pair.a.len, again.data, again.len),
                     GV_ERR_MALFORMED);
    /* Another sequence number. */
    s.sequence++;
    sign(&next, &s);
    assert_int_equal(gv_fault_build(&out, pair.a.data, pair.a.len, next.data, next.len),
                     GV_ERR_MALFORMED);
    /* Not a statement. */
    assert_int_equal(gv_fault_build(&out, pair.a.data, pair.a.len, pair.b.data, pair.b.len - 1),
                     GV_ERR_MALFORMED);
    assert_int_equal(out.len, 0);
    gv_buf_free(&again);
    gv_buf_free(&next);
    free_pair(&pair);
}

static void put_proof(struct gv_buf *out, uint64_t kind, const struct gv_buf *a,
                      const struct gv_buf *b)
{
    gv_buf_init(out);
    gv_put_array(out, 3);
    gv_put_u64(out, kind);
    gv_put_bin(out, a->data, a->len);
    gv_put_bin(out, b->data, b->len);
}

static void proofs_are_parsed_strictly(void **state)
{
    struct pair pair = contradiction();
    struct gv_statement s = example();
    struct gv_buf proof, next;
    struct gv_fault fault;

    put_proof(&proof, 3, &pair.b, &pair.a);
    assert_int_equal(gv_fault_parse(&fault, proof.data, proof.len), GV_OK);
    for (size_t len = 0; len < proof.len; len++)
        assert_int_equal(gv_fault_parse(&fault, proof.data, len), GV_ERR_MALFORMED);
    gv_buf_append(&proof, "", 1);
    assert_int_equal(gv_fault_parse(&fault, proof.data, proof.len), GV_ERR_MALFORMED);
    gv_buf_free(&proof);

    put_proof(&proof, 3, &pair.a, &pair.b); /* in the wrong order */
    assert_int_equal(gv_fault_parse(&fault, proof.data, proof.len), GV_ERR_MALFORMED);
    gv_buf_free(&proof);
    put_proof(&proof, 3, &pair.a, &pair.a);
    assert_int_equal(gv_fault_parse(&fault, proof.data, proof.len), GV_ERR_MALFORMED);
    gv_buf_free(&proof);
    put_proof(&proof, 1, &pair.b, &pair.a);
    assert_int_equal(gv_fault_parse(&fault, proof.data, proof.len), GV_ERR_MALFORMED);
    gv_buf_free(&proof);
    s.sequence++;
    sign(&next, &s);
    put_proof(&proof, 3, &pair.b, &next);
    assert_int_equal(gv_fault_parse(&fault, proof.data, proof.len), GV_ERR_MALFORMED);
    gv_buf_free(&proof);
    gv_buf_free(&next);
    free_pair(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_are_what_is_written),
        cmocka_unit_test(a_signature_is_of_one_key_network_purpose_and_body),
        cmocka_unit_test(every_field_of_a_body_is_checked),
        cmocka_unit_test(subjects_that_are_nobody_s_business),
        cmocka_unit_test(what_is_not_valid_is_not_signed),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(the_largest_fits_its_limit),
        cmocka_unit_test(counts_are_bucketed_downwards),
        cmocka_unit_test(a_contradiction_is_a_proof_in_either_order),
        cmocka_unit_test(what_is_no_contradiction),
        cmocka_unit_test(proofs_are_parsed_strictly),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
