/* One secret, all keys; and what a signature is worth where. */
#include "crypto/identity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "crypto/error.h"
#include "helper_vectors.h"

static void identities_agree_with_the_second_implementation(void **state)
{
    json_t *root = vectors_load("tests/vectors/identity_certificate.json");
    const json_t *vector;
    size_t i;

    assert_non_null(root);
    const json_t *identities = vectors_get(root, "identities");
    assert_int_equal(json_array_size(identities), 3);
    json_array_foreach(identities, i, vector)
    {
        uint8_t secret[GV_SECRET_LEN], id[GV_ID_LEN];
        struct gv_identity identity;

        vectors_exact(secret, sizeof secret, vector, "secret");
        gv_identity_from_secret(&identity, secret);
        vectors_assert_member(identity.id, sizeof identity.id, vector, "id");
        vectors_assert_member(identity.sign_public, 32, vector, "sign_public");
        vectors_assert_member(identity.sign_secret, 64, vector, "sign_secret");
        vectors_assert_member(identity.session_secret, 32, vector, "session_secret");
        vectors_assert_member(identity.session_public, 32, vector, "session_public");
        vectors_assert_member(identity.store_key, 32, vector, "store_key");
        gv_instance_id(id, identity.sign_public);
        assert_memory_equal(id, identity.id, sizeof id);
    }
    json_decref(root);
}

static void signatures_agree_with_the_second_implementation(void **state)
{
    json_t *root = vectors_load("tests/vectors/identity_certificate.json");
    const json_t *vector;
    size_t i;

    assert_non_null(root);
    const json_t *signatures = vectors_get(root, "signatures");
    assert_int_equal(json_array_size(signatures), 3);
    json_array_foreach(signatures, i, vector)
    {
        uint8_t secret[GV_SECRET_LEN], network[GV_KEY_LEN], body[4096], message[4096];
        uint8_t signature[GV_SIGNATURE_LEN];
        size_t len = vectors_bytes(body, sizeof body, vector, "body");
        size_t message_len = vectors_bytes(message, sizeof message, vector, "message");
        const char *domain = vectors_text(vector, "domain");
        struct gv_identity identity;

        vectors_exact(secret, sizeof secret, vector, "secret");
        vectors_exact(network, sizeof network, vector, "network_id");
        gv_identity_from_secret(&identity, secret);
        gv_sign(signature, identity.sign_secret, domain, network, body, len);
        vectors_assert_member(signature, sizeof signature, vector, "signature");
        assert_int_equal(
            gv_verify(NULL, identity.sign_public, domain, network, body, len, signature), GV_OK);
        /* Plain Ed25519 over exactly that message. */
        assert_int_equal(
            crypto_sign_verify_detached(signature, message, message_len, identity.sign_public), 0);
    }
    json_decref(root);
}

struct signed_body {
    struct gv_identity identity;
    uint8_t network[GV_KEY_LEN], body[50], signature[GV_SIGNATURE_LEN];
};

static const char domain[] = "grapevine test 1";

static void sign_something(struct signed_body *s)
{
    uint8_t secret[GV_SECRET_LEN];

    memset(secret, 3, sizeof secret);
    memset(s->network, 4, sizeof s->network);
    memset(s->body, 5, sizeof s->body);
    gv_identity_from_secret(&s->identity, secret);
    gv_sign(s->signature, s->identity.sign_secret, domain, s->network, s->body, sizeof s->body);
}

static int check(const struct signed_body *s)
{
    return gv_verify(NULL, s->identity.sign_public, domain, s->network, s->body, sizeof s->body,
                     s->signature);
}

static void flip_each(struct signed_body *s, uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bytes[i] ^= 0x10;
        assert_int_equal(check(s), GV_ERR_SIGNATURE);
        bytes[i] ^= 0x10;
    }
}

static void a_flipped_byte_anywhere_is_refused(void **state)
{
    struct signed_body s;

    sign_something(&s);
    assert_int_equal(check(&s), GV_OK);
    flip_each(&s, s.body, sizeof s.body);
    flip_each(&s, s.network, sizeof s.network);
    flip_each(&s, s.signature, sizeof s.signature);
    flip_each(&s, s.identity.sign_public, sizeof s.identity.sign_public);
    assert_int_equal(check(&s), GV_OK);
}

static void another_purpose_is_refused(void **state)
{
    static const char *const others[] = {"", "grapevine test", "grapevine test 11",
                                         "grapevine test 2"};
    struct signed_body s;

    sign_something(&s);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_int_equal(gv_verify(NULL, s.identity.sign_public, others[i], s.network, s.body,
                                   sizeof s.body, s.signature),
                         GV_ERR_SIGNATURE);
    assert_int_equal(gv_verify(NULL, s.identity.sign_public, domain, s.network, s.body,
                               sizeof s.body - 1, s.signature),
                     GV_ERR_SIGNATURE);
}

/* A key of small order verifies a fixed signature for many messages: libsodium refuses it. */
static void a_low_order_key_signs_nothing(void **state)
{
    struct signed_body s;

    sign_something(&s);
    memset(s.identity.sign_public, 0, GV_KEY_LEN);
    s.identity.sign_public[0] = 1; /* the neutral element */
    memset(s.signature, 0, sizeof s.signature);
    s.signature[0] = 1;
    assert_int_equal(check(&s), GV_ERR_SIGNATURE);
}

static void the_longest_body_is_a_limit(void **state)
{
    static uint8_t body[GV_SIGN_MAX + 1];
    struct signed_body s;

    sign_something(&s);
    gv_sign(s.signature, s.identity.sign_secret, domain, s.network, body, GV_SIGN_MAX);
    assert_int_equal(
        gv_verify(NULL, s.identity.sign_public, domain, s.network, body, GV_SIGN_MAX, s.signature),
        GV_OK);
    assert_int_equal(gv_verify(NULL, s.identity.sign_public, domain, s.network, body,
                               GV_SIGN_MAX + 1, s.signature),
                     GV_ERR_RANGE);
}

struct seen {
    uint8_t key[GV_KEY_LEN], signature[GV_SIGNATURE_LEN], message[200];
    size_t len;
    bool answer;
};

static bool remember(void *context, const uint8_t key[GV_KEY_LEN],
                     const uint8_t signature[GV_SIGNATURE_LEN], const uint8_t *message,
                     size_t message_len)
{
    struct seen *seen = context;

    assert_in_range(message_len, 0, sizeof seen->message);
    memcpy(seen->key, key, GV_KEY_LEN);
    memcpy(seen->signature, signature, GV_SIGNATURE_LEN);
    memcpy(seen->message, message, message_len);
    seen->len = message_len;
    return seen->answer;
}

/* The simulator's door: it is handed the whole signed message, and its answer counts. */
static void the_primitive_can_be_replaced(void **state)
{
    struct seen seen = {.answer = true};
    struct gv_verifier verifier = {remember, &seen};
    struct signed_body s;

    sign_something(&s);
    for (int i = 0; i < 2; i++) {
        seen.answer = i == 0;
        assert_int_equal(gv_verify(&verifier, s.identity.sign_public, domain, s.network, s.body,
                                   sizeof s.body, s.signature),
                         i == 0 ? GV_OK : GV_ERR_SIGNATURE);
        assert_int_equal(seen.len, sizeof domain + sizeof s.network + sizeof s.body);
        assert_memory_equal(seen.message, domain, sizeof domain);
        assert_memory_equal(seen.message + sizeof domain, s.network, sizeof s.network);
        assert_memory_equal(seen.message + sizeof domain + 32, s.body, sizeof s.body);
        assert_memory_equal(seen.key, s.identity.sign_public, GV_KEY_LEN);
        assert_memory_equal(seen.signature, s.signature, GV_SIGNATURE_LEN);
    }
    verifier.verify = NULL;
    assert_int_equal(gv_verify(&verifier, s.identity.sign_public, domain, s.network, s.body,
                               sizeof s.body, s.signature),
                     GV_OK);
}

static void wiped_is_zero(void **state)
{
    struct signed_body s;
    struct gv_identity zero;

    sign_something(&s);
    memset(&zero, 0, sizeof zero);
    gv_identity_wipe(&s.identity);
    assert_memory_equal(&s.identity, &zero, sizeof zero);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identities_agree_with_the_second_implementation),
        cmocka_unit_test(signatures_agree_with_the_second_implementation),
        cmocka_unit_test(a_flipped_byte_anywhere_is_refused),
        cmocka_unit_test(another_purpose_is_refused),
        cmocka_unit_test(a_low_order_key_signs_nothing),
        cmocka_unit_test(the_longest_body_is_a_limit),
        cmocka_unit_test(the_primitive_can_be_replaced),
        cmocka_unit_test(wiped_is_zero),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
