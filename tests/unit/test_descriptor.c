/* The network descriptor and the revocation: what is signed, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/certificate.h"
#include "crypto/error.h"
#include "proto/wire/codec.h"
#include "proto/wire/descriptor.h"
#include "proto/wire/revocation.h"

static struct gv_identity root, registry, other;
static struct gv_descriptor example;

static int setup(void **state)
{
    uint8_t secret[GV_SECRET_LEN];

    (void)state;
    memset(secret, 1, sizeof secret);
    gv_identity_from_secret(&root, secret);
    memset(secret, 2, sizeof secret);
    gv_identity_from_secret(&registry, secret);
    memset(secret, 3, sizeof secret);
    gv_identity_from_secret(&other, secret);

    memset(&example, 0, sizeof example);
    example.version = 3;
    example.activation_min = 29900100;
    memcpy(example.root_key, root.sign_public, GV_KEY_LEN);
    strcpy(example.name, "test-net");
    example.genesis_min = 29900000;
    example.key_count = 1;
    memcpy(example.keys[0].key, registry.sign_public, GV_KEY_LEN);
    example.keys[0].from_min = 29900000;
    example.keys[0].until_min = 30900000;
    strcpy(example.registry_url, "https://registry.example.org");
    example.seed_count = 3;
    strcpy(example.seeds[0], "mx.example.org:4727");
    strcpy(example.seeds[1], "192.0.2.7:4727");
    strcpy(example.seeds[2], "[2001:db8::1]:4727");
    gv_policy_default(&example.policy, false);
    strcpy(example.terms, "2026-11");
    return 0;
}

static void test_what_is_issued_opens_and_says_the_same(void **state)
{
    struct gv_descriptor issued = example, opened;
    struct gv_buf wire;

    gv_buf_init(&wire);
    assert_int_equal(gv_descriptor_issue(&wire, &issued, root.sign_secret), GV_OK);
    assert_int_equal(gv_descriptor_open(&opened, NULL, wire.data, wire.len), GV_OK);
    assert_memory_equal(&opened, &issued, sizeof opened);
    uint8_t id[GV_KEY_LEN];
    gv_network_id(id, root.sign_public, "test-net", 29900000);
    assert_memory_equal(opened.network_id, id, GV_KEY_LEN);
    gv_buf_free(&wire);
}

static void test_the_network_id_is_key_name_and_genesis(void **state)
{
    uint8_t id[GV_KEY_LEN], changed[GV_KEY_LEN];

    gv_network_id(id, root.sign_public, "a", 1);
    gv_network_id(changed, root.sign_public, "b", 1);
    assert_memory_not_equal(id, changed, GV_KEY_LEN);
    gv_network_id(changed, root.sign_public, "a", 2);
    assert_memory_not_equal(id, changed, GV_KEY_LEN);
    gv_network_id(changed, other.sign_public, "a", 1);
    assert_memory_not_equal(id, changed, GV_KEY_LEN);
}

/* Every single byte is covered: by the signature, or by being part of it. */
static void test_no_byte_can_be_changed_or_missing(void **state)
{
    struct gv_descriptor issued = example, opened;
    struct gv_buf wire;

    gv_buf_init(&wire);
    assert_int_equal(gv_descriptor_issue(&wire, &issued, root.sign_secret), GV_OK);
    for (size_t i = 0; i < wire.len; i++) {
        wire.data[i] ^= 1;
        assert_int_not_equal(gv_descriptor_open(&opened, NULL, wire.data, wire.len), GV_OK);
        wire.data[i] ^= 1;
        uint8_t *cut = malloc(i ? i : 1); /* exact, so that ASan sees a read past it */
        memcpy(cut, wire.data, i);
        assert_int_not_equal(gv_descriptor_open(&opened, NULL, cut, i), GV_OK);
        free(cut);
    }
    gv_buf_append(&wire, "\0", 1);
    assert_int_equal(gv_descriptor_open(&opened, NULL, wire.data, wire.len), GV_ERR_MALFORMED);
    gv_buf_free(&wire);
}

static void test_another_root_key_does_not_sign_for_this_network(void **state)
{
    struct gv_descriptor issued = example, opened;
    struct gv_buf wire;

    gv_buf_init(&wire);
    assert_int_equal(gv_descriptor_issue(&wire, &issued, other.sign_secret), GV_OK);
    assert_int_equal(gv_descriptor_open(&opened, NULL, wire.data, wire.len), GV_ERR_SIGNATURE);
    gv_buf_free(&wire);
}

static void set_name(struct gv_descriptor *d, const char *text)
{
    strcpy(d->name, text);
}
static void set_url(struct gv_descriptor *d, const char *text)
{
    strcpy(d->registry_url, text);
}
static void set_seed(struct gv_descriptor *d, const char *text)
{
    strcpy(d->seeds[1], text);
}
static void set_terms(struct gv_descriptor *d, const char *text)
{
    strcpy(d->terms, text);
}

static void test_texts(void **state)
{
    static const struct {
        void (*set)(struct gv_descriptor *d, const char *text);
        const char *text;
        int rc;
    } cases[] = {
        {set_name, "a", GV_OK},
        {set_name, "", GV_ERR_RANGE},
        {set_name, "Upper", GV_ERR_RANGE},
        {set_name, "with blank", GV_ERR_RANGE},
        {set_name, "012345678901234567890123456789012345678901234567890123456789-bc", GV_OK},
        {set_url, "http://127.0.0.1:4728", GV_OK},
        {set_url, "http://[::1]:4728", GV_OK},
        {set_url, "https://r.example", GV_OK},
        {set_url, "", GV_ERR_RANGE},
        {set_url, "ftp://r.example", GV_ERR_RANGE},
        {set_url, "file:///etc/passwd", GV_ERR_RANGE},
        {set_url, "http://", GV_ERR_RANGE},
        {set_url, "http://r.example/path", GV_ERR_RANGE},
        {set_url, "http://u@r.example", GV_ERR_RANGE},
        {set_url, "http://r.example:0", GV_ERR_RANGE},
        {set_url, "http://r.example:65536", GV_ERR_RANGE},
        {set_url, "http://r.example\r\nX: y", GV_ERR_RANGE},
        {set_seed, "host.example:1", GV_OK},
        {set_seed, "host.example", GV_ERR_RANGE},
        {set_seed, "host.example:", GV_ERR_RANGE},
        {set_seed, "host.example:04727", GV_ERR_RANGE},
        {set_seed, "[::1:4727", GV_ERR_RANGE},
        {set_seed, "[]:4727", GV_ERR_RANGE},
        {set_seed, ":4727", GV_ERR_RANGE},
        {set_seed, "", GV_ERR_RANGE},
        {set_terms, "2026-11.b", GV_OK},
        {set_terms, "", GV_ERR_RANGE},
        {set_terms, "2026/11", GV_ERR_RANGE},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gv_descriptor issued = example;
        struct gv_buf wire;
        gv_buf_init(&wire);
        cases[i].set(&issued, cases[i].text);
        int rc = gv_descriptor_issue(&wire, &issued, root.sign_secret);
        if (rc != cases[i].rc)
            fail_msg("'%s': %d", cases[i].text, rc);
        gv_buf_free(&wire);
    }
}

static void test_numbers(void **state)
{
    struct gv_buf wire;
    struct gv_descriptor d;

#define REFUSED(change)                                                                            \
    do {                                                                                           \
        d = example;                                                                               \
        change;                                                                                    \
        gv_buf_init(&wire);                                                                        \
        assert_int_equal(gv_descriptor_issue(&wire, &d, root.sign_secret), GV_ERR_RANGE);          \
        gv_buf_free(&wire);                                                                        \
    } while (0)
    REFUSED(d.version = 0);
    REFUSED(d.key_count = 0);
    REFUSED(d.keys[0].until_min = d.keys[0].from_min);
    REFUSED((d.key_count = 2, d.keys[1] = d.keys[0])); /* one signer must be one key */
    REFUSED(d.policy.full_min = d.policy.tenure_min - 1);
    REFUSED(d.policy.untrusted_weight = 0);
    REFUSED(d.policy.consensus_weight = d.policy.untrusted_weight - 1);
    REFUSED(d.policy.consensus_groups = 0);
    REFUSED(d.policy.signals_per_hour = 0);
    REFUSED(d.policy.votes_max = 65);
    REFUSED(d.policy.alive_min = 0);
    REFUSED(d.policy.grace_min = UINT32_MAX);
#undef REFUSED
}

/* 8 keys and 32 seeds of full length do not fit into GV_DESCRIPTOR_MAX, and that is an error. */
static void test_the_whole_is_bounded(void **state)
{
    struct gv_descriptor d = example, opened;
    struct gv_buf wire;

    gv_buf_init(&wire);
    d.seed_count = GV_DESCRIPTOR_SEEDS;
    for (size_t i = 0; i < GV_DESCRIPTOR_SEEDS; i++) {
        memset(d.seeds[i], 'a', 200);
        strcpy(d.seeds[i] + 200, ":4727");
    }
    assert_int_equal(gv_descriptor_issue(&wire, &d, root.sign_secret), GV_OK);
    assert_int_equal(gv_descriptor_open(&opened, NULL, wire.data, wire.len), GV_OK);
    assert_int_equal(opened.seed_count, GV_DESCRIPTOR_SEEDS);
    gv_buf_clear(&wire);
    for (size_t i = 0; i < GV_DESCRIPTOR_SEEDS; i++) {
        memset(d.seeds[i], 'a', 250);
        strcpy(d.seeds[i] + 250, ":4727");
    }
    assert_int_equal(gv_descriptor_issue(&wire, &d, root.sign_secret), GV_ERR_RANGE);
    gv_buf_free(&wire);
}

static void test_a_key_counts_in_its_time_only(void **state)
{
    uint32_t signer = gv_certificate_signer(registry.sign_public);

    assert_non_null(gv_descriptor_key(&example, signer, 29900000));
    assert_non_null(gv_descriptor_key(&example, signer, 30899999));
    assert_null(gv_descriptor_key(&example, signer, 29899999));
    assert_null(gv_descriptor_key(&example, signer, 30900000));
    assert_null(gv_descriptor_key(&example, signer ^ 1, 29900001));
}

static void test_an_unknown_format_is_told_apart(void **state)
{
    struct gv_descriptor issued = example, opened;
    struct gv_buf wire;

    gv_buf_init(&wire);
    assert_int_equal(gv_descriptor_issue(&wire, &issued, root.sign_secret), GV_OK);
    assert_int_equal(wire.data[65], 1); /* after the array head */
    wire.data[65] = 2;
    assert_int_equal(gv_descriptor_open(&opened, NULL, wire.data, wire.len), GV_ERR_VERSION);
    gv_buf_free(&wire);
}

static void test_the_defaults_are_those_of_the_specification(void **state)
{
    struct gv_policy policy;

    gv_policy_default(&policy, false);
    assert_int_equal(policy.tenure_min, 43200);
    assert_int_equal(policy.full_min, 129600);
    assert_int_equal(policy.untrusted_weight, 2000);
    assert_int_equal(policy.grace_min, 43200);
    gv_policy_default(&policy, true);
    assert_int_equal(policy.tenure_min, 0);
    assert_int_equal(policy.full_min, 0);
    assert_int_equal(policy.votes_max, 16);
}

/* ---- revocations ---------------------------------------------------------------------------- */

static void test_revocation(void **state)
{
    struct gv_descriptor d = example;
    struct gv_revocation made = {.revoked_min = 29950000, .reason = GV_REVOKED_ABUSE}, opened;
    struct gv_buf wire;

    gv_network_id(d.network_id, d.root_key, d.name, d.genesis_min);
    memset(made.instance, 0xab, sizeof made.instance);
    gv_buf_init(&wire);
    assert_int_equal(gv_revocation_issue(&wire, &made, registry.sign_secret, d.network_id), GV_OK);
    assert_true(wire.len <= GV_REVOCATION_MAX);
    assert_int_equal(gv_revocation_open(&opened, NULL, &d, wire.data, wire.len), GV_OK);
    assert_memory_equal(opened.instance, made.instance, GV_ID_LEN);
    assert_int_equal(opened.revoked_min, made.revoked_min);
    assert_int_equal(opened.reason, made.reason);

    for (size_t i = 0; i < wire.len; i++) {
        wire.data[i] ^= 1;
        assert_int_not_equal(gv_revocation_open(&opened, NULL, &d, wire.data, wire.len), GV_OK);
        wire.data[i] ^= 1;
        assert_int_not_equal(gv_revocation_open(&opened, NULL, &d, wire.data, i), GV_OK);
    }
    d.keys[0].until_min = made.revoked_min; /* our key has run out before */
    assert_int_equal(gv_revocation_open(&opened, NULL, &d, wire.data, wire.len), GV_ERR_SIGNER);
    d.keys[0].until_min = 30900000;
    d.network_id[0] ^= 1;
    assert_int_equal(gv_revocation_open(&opened, NULL, &d, wire.data, wire.len), GV_ERR_SIGNATURE);
    gv_buf_free(&wire);
    made.reason = GV_REVOKED_REASONS;
    assert_int_equal(gv_revocation_issue(&wire, &made, registry.sign_secret, d.network_id),
                     GV_ERR_RANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_issued_opens_and_says_the_same),
        cmocka_unit_test(test_the_network_id_is_key_name_and_genesis),
        cmocka_unit_test(test_no_byte_can_be_changed_or_missing),
        cmocka_unit_test(test_another_root_key_does_not_sign_for_this_network),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_the_whole_is_bounded),
        cmocka_unit_test(test_a_key_counts_in_its_time_only),
        cmocka_unit_test(test_an_unknown_format_is_told_apart),
        cmocka_unit_test(test_the_defaults_are_those_of_the_specification),
        cmocka_unit_test(test_revocation),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
