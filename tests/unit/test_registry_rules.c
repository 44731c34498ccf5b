/* The registry's rules, one table or story each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "node/base/text.h"
#include "node/registry/rate.h"
#include "proto/registry.h"

#define NOW 29922000u

static struct gv_identity alice, mallory;
static uint8_t network[GV_KEY_LEN], secret[GV_SECRET_LEN];

static int setup(void **state)
{
    uint8_t seed[GV_SECRET_LEN];

    (void)state;
    memset(seed, 1, sizeof seed);
    gv_identity_from_secret(&alice, seed);
    memset(seed, 2, sizeof seed);
    gv_identity_from_secret(&mallory, seed);
    memset(network, 7, sizeof network);
    memset(secret, 9, sizeof secret);
    return 0;
}

static void test_emails(void **state)
{
    static const char long_local[] =
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@example.org";
    static const struct {
        const char *text, *normal; /* NULL: refused */
    } cases[] = {
        {"admin@example.org", "admin@example.org"},
        {"Admin@EXAMPLE.Org", "admin@example.org"},
        {"admin+one@example.org", "admin@example.org"},
        {"admin+one+two@example.org", "admin@example.org"},
        {"a.b@x.example", "a.b@x.example"},
        {"o'brien!#$%&*-/=?^_`{|}~@x.example", "o'brien!#$%&*-/=?^_`{|}~@x.example"},
        {"a@xn--bcher-kva.example", "a@xn--bcher-kva.example"},
        {"", NULL},
        {"@", NULL},
        {"admin", NULL},
        {"@example.org", NULL},
        {"+tag@example.org", NULL},
        {"a.+tag@example.org", NULL},
        {"admin@", NULL},
        {"admin@localhost", NULL},
        {"admin@192.0.2.1", NULL},
        {"admin@[192.0.2.1]", NULL},
        {"admin@example..org", NULL},
        {"admin@.example.org", NULL},
        {"admin@example.org.", NULL},
        {"admin@-example.org", NULL},
        {"admin@example-.org", NULL},
        {"admin@exa_mple.org", NULL},
        {".admin@example.org", NULL},
        {"admin.@example.org", NULL},
        {"ad..min@example.org", NULL},
        {"ad min@example.org", NULL},
        {"a@b@example.org", NULL},
        {"\"a\"@example.org", NULL},
        {"<a@example.org>", NULL},
        {"a@example.org\r\nRCPT TO:<b@example.org>", NULL},
        {"a@example.org\n", NULL},
        {" a@example.org", NULL},
        {"b\303\274cher@example.org", NULL},
        {"a@b\303\274cher.example", NULL},
        {long_local, NULL},
    };
    char out[GV_EMAIL_MAX + 1];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int rc = gv_email_normalise(out, cases[i].text, strlen(cases[i].text));
        if (rc != (cases[i].normal ? GV_OK : GV_ERR_MALFORMED))
            fail_msg("'%s': %d", cases[i].text, rc);
        if (cases[i].normal)
            assert_string_equal(out, cases[i].normal);
    }
    assert_int_equal(gv_email_normalise(out, "a\0@example.org", 14), GV_ERR_MALFORMED);
    char long_domain[300];
    memset(long_domain, 'a', sizeof long_domain);
    memcpy(long_domain, "a@", 2);
    for (size_t i = 40; i < 254; i += 40)
        long_domain[i] = '.';
    assert_int_equal(gv_email_normalise(out, long_domain, 254), GV_OK);
    assert_int_equal(gv_email_normalise(out, long_domain, 255), GV_ERR_MALFORMED);
    assert_string_equal(gv_email_domain("a@example.org"), "example.org");
}

static void test_one_mailbox_is_one_owner(void **state)
{
    uint8_t a[GV_ID_LEN], b[GV_ID_LEN];

    gv_owner_tag(a, secret, "admin@example.org");
    gv_owner_tag(b, secret, "admin@example.org");
    assert_memory_equal(a, b, GV_ID_LEN);
    gv_owner_tag(b, secret, "admin@example.net");
    assert_memory_not_equal(a, b, GV_ID_LEN);
    uint8_t another[GV_SECRET_LEN] = {0};
    gv_owner_tag(b, another, "admin@example.org");
    assert_memory_not_equal(a, b, GV_ID_LEN);
}

static void test_network_groups(void **state)
{
    static const uint8_t v4[16] = {[10] = 0xff, 0xff, 192, 0, 2, 7};
    static const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, 1, 2, 3, 4};

    assert_true(gv_registry_group(v4) == (4ULL << 56 | 0xc000));
    assert_true(gv_registry_group(v6) == (6ULL << 56 | 0x20010db8));
}

/* ---- proofs --------------------------------------------------------------------------------- */

static struct gv_proof enroll_proof(void)
{
    struct gv_proof proof = {.kind = GV_PROOF_ENROLL,
                             .minute = NOW,
                             .nonce = {1},
                             .email = "a@example.org",
                             .terms = "2026-11"};
    memcpy(proof.key, alice.sign_public, GV_KEY_LEN);
    return proof;
}

static void test_a_proof_covers_all_it_says(void **state)
{
    struct gv_proof proof = enroll_proof(), changed;
    uint8_t signature[GV_SIGNATURE_LEN], elsewhere[GV_KEY_LEN] = {0};

    assert_int_equal(gv_proof_sign(signature, &proof, alice.sign_secret, network), GV_OK);
    assert_int_equal(gv_proof_verify(NULL, &proof, signature, network, NOW), GV_OK);
#define FORGED(change)                                                                             \
    do {                                                                                           \
        changed = proof;                                                                           \
        change;                                                                                    \
        assert_int_equal(gv_proof_verify(NULL, &changed, signature, network, NOW),                 \
                         GV_ERR_SIGNATURE);                                                        \
    } while (0)
    FORGED(changed.minute++);
    FORGED(changed.nonce[0]++);
    FORGED(changed.email = "b@example.org");
    FORGED(changed.terms = "2026-12");
    FORGED(memcpy(changed.key, mallory.sign_public, GV_KEY_LEN));
    FORGED((changed.kind = GV_PROOF_CONFIRM, changed.code = "x"));
    FORGED(changed.kind = GV_PROOF_RENEW);
#undef FORGED
    assert_int_equal(gv_proof_verify(NULL, &proof, signature, elsewhere, NOW), GV_ERR_SIGNATURE);
    assert_int_equal(gv_proof_sign(signature, &proof, mallory.sign_secret, network), GV_OK);
    assert_int_equal(gv_proof_verify(NULL, &proof, signature, network, NOW), GV_ERR_SIGNATURE);
}

/* The example of SPEC 14.3: secret 32 times 01, network id 32 times 07. */
static void test_the_example_of_the_specification(void **state)
{
    static const char example[] =
        "4a8f230be6619753b63014b8e81560e97feddb70165bdfa32e59f1cdfbf7f25f"
        "279ca3a482c9221509495efaa642cfc2918a7268a04198ae0d8513ad12821100";
    struct gv_proof proof = {.kind = GV_PROOF_ENROLL,
                             .minute = NOW,
                             .nonce = {0, 1, 2, 3, 4, 5, 6, 7},
                             .email = "Admin+mx1@example.org",
                             .terms = "2026-11"};
    uint8_t signature[GV_SIGNATURE_LEN];
    char hex[2 * GV_SIGNATURE_LEN + 1];

    memcpy(proof.key, alice.sign_public, GV_KEY_LEN);
    assert_int_equal(gv_proof_sign(signature, &proof, alice.sign_secret, network), GV_OK);
    gv_hex(hex, signature, sizeof signature);
    assert_string_equal(hex, example);
}

static void test_a_proof_is_good_for_ten_minutes_either_way(void **state)
{
    struct gv_proof proof = enroll_proof();
    uint8_t signature[GV_SIGNATURE_LEN];

    assert_int_equal(gv_proof_sign(signature, &proof, alice.sign_secret, network), GV_OK);
    assert_int_equal(gv_proof_verify(NULL, &proof, signature, network, NOW + 10), GV_OK);
    assert_int_equal(gv_proof_verify(NULL, &proof, signature, network, NOW + 11), GV_ERR_EXPIRED);
    assert_int_equal(gv_proof_verify(NULL, &proof, signature, network, NOW - 10), GV_OK);
    assert_int_equal(gv_proof_verify(NULL, &proof, signature, network, NOW - 11), GV_ERR_EARLY);
    proof.minute = UINT32_MAX; /* must not wrap round into the window */
    assert_int_equal(gv_proof_verify(NULL, &proof, signature, network, 5), GV_ERR_EARLY);
    proof.minute = 0;
    assert_int_equal(gv_proof_verify(NULL, &proof, signature, network, UINT32_MAX), GV_ERR_EXPIRED);
}

static void test_the_texts_of_a_proof_are_bounded(void **state)
{
    char text[GV_EMAIL_MAX + 2];
    struct gv_proof proof = enroll_proof();
    uint8_t signature[GV_SIGNATURE_LEN] = {0};

    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    proof.email = text;
    assert_int_equal(gv_proof_sign(signature, &proof, alice.sign_secret, network), GV_ERR_RANGE);
    proof = enroll_proof();
    proof.terms = NULL;
    assert_int_equal(gv_proof_verify(NULL, &proof, signature, network, NOW), GV_ERR_RANGE);
}

/* ---- codes ---------------------------------------------------------------------------------- */

static void test_a_code_as_it_is_typed(void **state)
{
    static const uint8_t random[GV_CODE_RANDOM] = {0, 0, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc};
    char text[GV_CODE_LEN + 2], typed[32];
    struct gv_code code;

    gv_code_text(text, random);
    assert_int_equal(strlen(text), GV_CODE_LEN + 1);
    assert_int_equal(text[5], '-');
    assert_int_equal(gv_code_make(&code, secret, text, alice.sign_public, NOW + 30), GV_OK);
    assert_int_equal(gv_code_check(&code, secret, text, alice.sign_public, NOW), GV_OK);
    for (size_t i = 0; text[i]; i++) /* lower case, without the dash, O and L for 0 and 1 */
        typed[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + 32)
                   : text[i] == '0'                 ? 'O'
                   : text[i] == '1'                 ? 'l'
                   : text[i] == '-'                 ? ' '
                                                    : text[i];
    typed[strlen(text)] = '\0';
    assert_int_equal(gv_code_check(&code, secret, typed, alice.sign_public, NOW), GV_OK);
    assert_int_equal(code.tries, 0);
}

static void test_a_code_is_good_for_its_key_its_time_and_five_tries(void **state)
{
    struct gv_code code;

    assert_int_equal(gv_code_make(&code, secret, "0123456789", alice.sign_public, NOW + 30), GV_OK);
    assert_int_equal(gv_code_check(&code, secret, "0123456789", alice.sign_public, NOW + 29),
                     GV_OK);
    assert_int_equal(gv_code_check(&code, secret, "0123456789", alice.sign_public, NOW + 30),
                     GV_ERR_EXPIRED);
    assert_int_equal(gv_code_check(&code, secret, "0123456789", mallory.sign_public, NOW),
                     GV_ERR_FORBIDDEN);
    static const char *const wrong[] = {"0123456788", "", "not a code", "01234567890"};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(gv_code_check(&code, secret, wrong[i], alice.sign_public, NOW),
                         GV_ERR_FORBIDDEN);
    assert_int_equal(code.tries, 5);
    assert_int_equal(gv_code_check(&code, secret, "0123456789", alice.sign_public, NOW),
                     GV_ERR_RATE);
    assert_int_equal(gv_code_make(&code, secret, "UUUUUUUUUU", alice.sign_public, NOW),
                     GV_ERR_MALFORMED);
}

/* ---- certificates --------------------------------------------------------------------------- */

static void test_admission_and_renewal(void **state)
{
    struct gv_registry_rules rules;
    struct gv_certificate first, next;
    static const uint8_t owner[GV_ID_LEN] = {1}, stranger[GV_ID_LEN] = {2};
    const uint8_t *key = alice.sign_public;

    gv_registry_rules_default(&rules);
    assert_int_equal(
        gv_registry_admit(&first, &rules, key, owner, 77, 4ULL << 56, NOW, NULL, false, 4), GV_OK);
    assert_int_equal(first.since_min, NOW);
    assert_int_equal(first.expires_min, NOW + 90 * 1440);
    assert_int_equal(
        gv_registry_admit(&next, &rules, key, owner, 77, 4ULL << 56, NOW, NULL, false, 5),
        GV_ERR_FULL);

    /* The same key again: placement and since stay, the group follows the address, and the fifth
     * place is not needed. */
    assert_int_equal(gv_registry_admit(&next, &rules, key, owner, 78, 4ULL << 56 | 5, NOW + 100,
                                       &first, false, 5),
                     GV_OK);
    assert_true(next.placement == 77 && next.since_min == NOW && next.issued_min == NOW + 100);
    assert_true(next.group == (4ULL << 56 | 5));
    assert_int_equal(
        gv_registry_admit(&next, &rules, key, stranger, 78, 4ULL << 56, NOW, &first, false, 0),
        GV_ERR_DUPLICATE);
    assert_int_equal(
        gv_registry_admit(&next, &rules, key, owner, 78, 4ULL << 56, NOW, &first, true, 0),
        GV_ERR_REVOKED);

    uint32_t half = NOW + 45 * 1440, end = NOW + 90 * 1440;
    assert_int_equal(gv_certificate_half_life(&first), half);
    assert_int_equal(gv_registry_renew(&next, &rules, 4ULL << 56, half - 1, &first, false),
                     GV_ERR_EARLY);
    assert_int_equal(gv_registry_renew(&next, &rules, 4ULL << 56, half, &first, false), GV_OK);
    assert_true(next.since_min == NOW && next.issued_min == half &&
                next.expires_min == half + 90 * 1440 && next.placement == 77);
    assert_memory_equal(next.key, key, GV_KEY_LEN);
    assert_memory_equal(next.owner, owner, GV_ID_LEN);
    assert_int_equal(gv_registry_renew(&next, &rules, 0, end + 30 * 1440, &first, false), GV_OK);
    assert_int_equal(gv_registry_renew(&next, &rules, 0, end + 30 * 1440 + 1, &first, false),
                     GV_ERR_EXPIRED);
    assert_int_equal(gv_registry_renew(&next, &rules, 0, half, &first, true), GV_ERR_REVOKED);
}

static void test_a_clock_set_back_makes_no_older_certificate(void **state)
{
    struct gv_registry_rules rules;
    struct gv_certificate first, next;
    static const uint8_t owner[GV_ID_LEN] = {1};

    gv_registry_rules_default(&rules);
    gv_registry_admit(&first, &rules, alice.sign_public, owner, 1, 4ULL << 56, NOW, NULL, false, 0);
    assert_int_equal(gv_registry_admit(&next, &rules, alice.sign_public, owner, 1, 4ULL << 56,
                                       NOW - 500, &first, false, 0),
                     GV_OK);
    assert_true(next.since_min <= next.issued_min && next.issued_min >= first.issued_min);
}

/* ---- limits --------------------------------------------------------------------------------- */

static void test_rates(void **state)
{
    struct gv_rate rate;
    uint8_t key[16] = {1}, another[16] = {2};
    uint32_t wait = 0;

    assert_int_equal(gv_rate_init(&rate, 64, 60), GV_OK);
    for (int i = 0; i < 3; i++)
        assert_true(gv_rate_take(&rate, key, 3, NOW + 10, &wait));
    assert_false(gv_rate_take(&rate, key, 3, NOW + 20, &wait));
    assert_int_equal(wait, 50);
    assert_true(gv_rate_take(&rate, another, 3, NOW + 20, &wait));
    assert_true(gv_rate_take(&rate, key, 3, NOW + 70, &wait)); /* a new window */
    assert_true(gv_rate_take(&rate, key, 1, NOW, &wait));      /* the clock was set back */
    assert_false(gv_rate_take(&rate, key, 1, NOW, &wait));
    gv_rate_give_back(&rate, key);
    assert_true(gv_rate_take(&rate, key, 1, NOW, &wait));
    for (uint32_t i = 1000; i < 11000; i++) { /* a flood makes it forget, not grow or fail */
        memcpy(key, &i, sizeof i);
        assert_true(gv_rate_take(&rate, key, 1, NOW + i / 100, &wait));
    }
    gv_rate_free(&rate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_emails),
        cmocka_unit_test(test_one_mailbox_is_one_owner),
        cmocka_unit_test(test_network_groups),
        cmocka_unit_test(test_a_proof_covers_all_it_says),
        cmocka_unit_test(test_the_example_of_the_specification),
        cmocka_unit_test(test_a_proof_is_good_for_ten_minutes_either_way),
        cmocka_unit_test(test_the_texts_of_a_proof_are_bounded),
        cmocka_unit_test(test_a_code_as_it_is_typed),
        cmocka_unit_test(test_a_code_is_good_for_its_key_its_time_and_five_tries),
        cmocka_unit_test(test_admission_and_renewal),
        cmocka_unit_test(test_a_clock_set_back_makes_no_older_certificate),
        cmocka_unit_test(test_rates),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
