/* The certificate's 152 bytes: what is written is read back, and nothing else is accepted. */
#include "crypto/certificate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "helper_vectors.h"

struct issued {
    struct gv_identity registry;
    uint8_t network[GV_KEY_LEN];
    struct gv_certificate certificate;
    uint8_t wire[GV_CERTIFICATE_LEN];
};

static void issue(struct issued *s)
{
    uint8_t secret[GV_SECRET_LEN];
    struct gv_identity instance;

    memset(s, 0, sizeof *s);
    memset(secret, 0x21, sizeof secret);
    gv_identity_from_secret(&s->registry, secret);
    memset(secret, 0x22, sizeof secret);
    gv_identity_from_secret(&instance, secret);
    memset(s->network, 0x23, sizeof s->network);

    memcpy(s->certificate.key, instance.sign_public, GV_KEY_LEN);
    memset(s->certificate.owner, 0x24, GV_ID_LEN);
    s->certificate.placement = UINT64_C(0x1122334455667788);
    s->certificate.group = (uint64_t)GV_GROUP_AS << 56 | 64496;
    s->certificate.since_min = 29000000;
    s->certificate.issued_min = 29926080;
    s->certificate.expires_min = 29926080 + 90 * 24 * 60;
    gv_certificate_issue(s->wire, &s->certificate, s->registry.sign_secret, s->network);
}

static int verify(const struct issued *s)
{
    return gv_certificate_verify(NULL, s->wire, s->registry.sign_public, s->network);
}

static void assert_same(const struct gv_certificate *a, const struct gv_certificate *b)
{
    assert_memory_equal(a->id, b->id, GV_ID_LEN);
    assert_memory_equal(a->instance, b->instance, GV_ID_LEN);
    assert_memory_equal(a->key, b->key, GV_KEY_LEN);
    assert_memory_equal(a->owner, b->owner, GV_ID_LEN);
    assert_true(a->placement == b->placement);
    assert_true(a->group == b->group);
    assert_int_equal(a->signer, b->signer);
    assert_int_equal(a->since_min, b->since_min);
    assert_int_equal(a->issued_min, b->issued_min);
    assert_int_equal(a->expires_min, b->expires_min);
}

static void what_is_issued_is_read_back(void **state)
{
    struct gv_certificate read;
    struct issued s;
    uint8_t id[GV_ID_LEN];

    issue(&s);
    assert_int_equal(gv_certificate_parse(&read, s.wire, sizeof s.wire), GV_OK);
    assert_same(&read, &s.certificate);
    assert_int_equal(verify(&s), GV_OK);
    gv_instance_id(id, read.key);
    assert_memory_equal(read.instance, id, sizeof id);
    gv_hash_id(id, "grapevine certificate id 1", s.wire, GV_CERTIFICATE_BODY);
    assert_memory_equal(read.id, id, sizeof id);
    assert_int_equal(read.signer, gv_certificate_signer(s.registry.sign_public));
}

static void bytes_agree_with_the_second_implementation(void **state)
{
    json_t *root = vectors_load("tests/vectors/identity_certificate.json");
    const json_t *vector;
    size_t i;

    assert_non_null(root);
    const json_t *certificates = vectors_get(root, "certificates");
    assert_int_equal(json_array_size(certificates), 3);
    json_array_foreach(certificates, i, vector)
    {
        uint8_t secret[GV_SECRET_LEN], number[8];
        struct gv_certificate read;
        struct issued s;

        memset(&s, 0, sizeof s);
        vectors_exact(secret, sizeof secret, vector, "registry_secret");
        gv_identity_from_secret(&s.registry, secret);
        vectors_assert_member(s.registry.sign_public, 32, vector, "registry_key");
        vectors_exact(s.network, sizeof s.network, vector, "network_id");
        vectors_exact(s.certificate.key, GV_KEY_LEN, vector, "key");
        vectors_exact(s.certificate.owner, GV_ID_LEN, vector, "owner");
        vectors_exact(number, sizeof number, vector, "placement");
        for (int b = 0; b < 8; b++)
            s.certificate.placement = s.certificate.placement << 8 | number[b];
        vectors_exact(number, sizeof number, vector, "group");
        for (int b = 0; b < 8; b++)
            s.certificate.group = s.certificate.group << 8 | number[b];
        s.certificate.since_min = (uint32_t)json_integer_value(vectors_get(vector, "since"));
        s.certificate.issued_min = (uint32_t)json_integer_value(vectors_get(vector, "issued"));
        s.certificate.expires_min = (uint32_t)json_integer_value(vectors_get(vector, "expires"));

        gv_certificate_issue(s.wire, &s.certificate, s.registry.sign_secret, s.network);
        vectors_assert_member(s.wire, sizeof s.wire, vector, "wire");
        vectors_assert_member(s.certificate.id, GV_ID_LEN, vector, "id");
        vectors_assert_member(s.certificate.instance, GV_ID_LEN, vector, "instance");
        assert_int_equal(gv_certificate_parse(&read, s.wire, sizeof s.wire), GV_OK);
        assert_same(&read, &s.certificate);
        assert_int_equal(verify(&s), GV_OK);
    }
    json_decref(root);
}

/* Every bit of it is covered: by the signature, or by being one. */
static void a_flipped_bit_anywhere_is_refused(void **state)
{
    struct issued s;

    issue(&s);
    for (size_t bit = 0; bit < 8 * sizeof s.wire; bit++) {
        s.wire[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(verify(&s), GV_ERR_SIGNATURE);
        s.wire[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(verify(&s), GV_OK);
}

static void another_registry_or_network_is_refused(void **state)
{
    uint8_t secret[GV_SECRET_LEN] = {1};
    struct gv_identity other;
    struct issued s;

    issue(&s);
    gv_identity_from_secret(&other, secret);
    assert_int_equal(gv_certificate_verify(NULL, s.wire, other.sign_public, s.network),
                     GV_ERR_SIGNATURE);
    s.network[31] ^= 1;
    assert_int_equal(verify(&s), GV_ERR_SIGNATURE);
}

/* The signer's bytes are signed too, but a registry could sign any: they must name its own key. */
static void the_signer_names_the_key_that_signed(void **state)
{
    struct issued s;

    issue(&s);
    s.wire[2] ^= 1;
    gv_sign(s.wire + GV_CERTIFICATE_BODY, s.registry.sign_secret, GV_CERTIFICATE_DOMAIN, s.network,
            s.wire, GV_CERTIFICATE_BODY);
    assert_int_equal(verify(&s), GV_ERR_SIGNATURE);
}

static void only_152_bytes_parse(void **state)
{
    uint8_t longer[GV_CERTIFICATE_LEN + 1] = {0};
    struct gv_certificate read;
    struct issued s;

    issue(&s);
    memcpy(longer, s.wire, sizeof s.wire);
    for (size_t len = 0; len < GV_CERTIFICATE_LEN; len++)
        assert_int_equal(gv_certificate_parse(&read, s.wire, len), GV_ERR_MALFORMED);
    assert_int_equal(gv_certificate_parse(&read, longer, sizeof longer), GV_ERR_MALFORMED);
}

static void the_layout_is_strict(void **state)
{
    static const struct {
        const char *what;
        size_t at;
        uint8_t value;
        int expected;
    } cases[] = {
        {"version 0", 0, 0, GV_ERR_VERSION},
        {"version 2", 0, 2, GV_ERR_VERSION},
        {"a flag", 1, 0x80, GV_ERR_MALFORMED},
        {"first reserved byte", 82, 1, GV_ERR_MALFORMED},
        {"last reserved byte", 87, 1, GV_ERR_MALFORMED},
        {"no group kind", 62, 0, GV_ERR_MALFORMED},
        {"unknown group kind", 62, 2, GV_ERR_MALFORMED},
        {"IPv4 group", 62, GV_GROUP_IPV4, GV_OK},
        {"IPv6 group", 62, GV_GROUP_IPV6, GV_OK},
        {"since after issued", 70, 0x7f, GV_ERR_MALFORMED},
        {"issued after expiry", 74, 0x7f, GV_ERR_MALFORMED},
        {"expired before it began", 78, 0, GV_ERR_MALFORMED},
    };
    struct gv_certificate read;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct issued s;

        issue(&s);
        s.wire[cases[i].at] = cases[i].value;
        int rc = gv_certificate_parse(&read, s.wire, sizeof s.wire);
        if (rc != cases[i].expected)
            fail_msg("%s: %s", cases[i].what, gv_strerror(rc));
    }
}

/* since = issued is a new instance; issued = expires would never be valid. */
static void the_times_may_touch_in_one_place_only(void **state)
{
    struct gv_certificate read;
    struct issued s;

    issue(&s);
    s.certificate.since_min = s.certificate.issued_min;
    gv_certificate_issue(s.wire, &s.certificate, s.registry.sign_secret, s.network);
    assert_int_equal(gv_certificate_parse(&read, s.wire, sizeof s.wire), GV_OK);
    s.certificate.expires_min = s.certificate.issued_min;
    gv_certificate_issue(s.wire, &s.certificate, s.registry.sign_secret, s.network);
    assert_int_equal(gv_certificate_parse(&read, s.wire, sizeof s.wire), GV_ERR_MALFORMED);
}

/* A refused certificate leaves no half-read fields behind. */
static void a_failed_parse_leaves_the_output_alone(void **state)
{
    struct gv_certificate read, before;
    struct issued s;

    issue(&s);
    memset(&read, 0x77, sizeof read);
    before = read;
    s.wire[82] = 1;
    assert_int_equal(gv_certificate_parse(&read, s.wire, sizeof s.wire), GV_ERR_MALFORMED);
    assert_memory_equal(&read, &before, sizeof read);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_issued_is_read_back),
        cmocka_unit_test(bytes_agree_with_the_second_implementation),
        cmocka_unit_test(a_flipped_bit_anywhere_is_refused),
        cmocka_unit_test(another_registry_or_network_is_refused),
        cmocka_unit_test(the_signer_names_the_key_that_signed),
        cmocka_unit_test(only_152_bytes_parse),
        cmocka_unit_test(the_layout_is_strict),
        cmocka_unit_test(the_times_may_touch_in_one_place_only),
        cmocka_unit_test(a_failed_parse_leaves_the_output_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
