/* SHA-256, HMAC and HKDF: published vectors, and our framing checked against the definition. */
#include "crypto/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "helper_vectors.h"

/* HMAC from its definition (RFC 2104), with SHA-256 as the only primitive. */
static void hmac_by_hand(uint8_t out[32], const uint8_t *key, size_t key_len, const uint8_t *data,
                         size_t len)
{
    uint8_t block[64] = {0}, buffer[64 + 2048];

    assert_in_range(len, 0, 2048);
    if (key_len > sizeof block)
        crypto_hash_sha256(block, key, key_len);
    else
        memcpy(block, key, key_len);
    for (size_t i = 0; i < sizeof block; i++)
        buffer[i] = block[i] ^ 0x36;
    memcpy(buffer + 64, data, len);
    crypto_hash_sha256(out, buffer, 64 + len);
    for (size_t i = 0; i < sizeof block; i++)
        buffer[i] = block[i] ^ 0x5c;
    memcpy(buffer + 64, out, 32);
    crypto_hash_sha256(out, buffer, 96);
}

/* domain || 0x00 || data, joined by hand. */
static size_t frame(uint8_t *out, const char *domain, const uint8_t *data, size_t len)
{
    size_t domain_len = strlen(domain);

    memcpy(out, domain, domain_len);
    out[domain_len] = 0;
    memcpy(out + domain_len + 1, data, len);
    return domain_len + 1 + len;
}

/* FIPS 180-4 examples: what "SHA-256" means below. */
static void sha256_is_sha256(void **state)
{
    static const struct {
        const char *text, *hash;
    } cases[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    uint8_t out[32];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        crypto_hash_sha256(out, (const uint8_t *)cases[i].text, strlen(cases[i].text));
        vectors_assert_hex(out, sizeof out, cases[i].hash);
    }
}

/* printf 'abc\0def' | sha256sum, and the empty domain with no data: one zero byte. */
static void a_hash_is_framed_by_its_domain(void **state)
{
    uint8_t out[GV_HASH_LEN], id[GV_ID_LEN];

    gv_hash(out, "abc", (const uint8_t *)"def", 3);
    vectors_assert_hex(out, sizeof out,
                       "516a5e926ce20c5f4d80f00e1a01abdf14986def6588d6abeed9fce090bc660c");
    gv_hash_id(id, "abc", (const uint8_t *)"def", 3);
    assert_memory_equal(id, out, GV_ID_LEN);
    gv_hash(out, "", NULL, 0);
    vectors_assert_hex(out, sizeof out,
                       "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
}

/* "ab" || "c" and "a" || "bc" join to the same text; the zero between keeps them apart. */
static void no_domain_runs_into_its_data(void **state)
{
    uint8_t one[GV_HASH_LEN], other[GV_HASH_LEN];

    gv_hash(one, "ab", (const uint8_t *)"c", 1);
    gv_hash(other, "a", (const uint8_t *)"bc", 2);
    assert_memory_not_equal(one, other, sizeof one);
    gv_hmac(one, (const uint8_t *)"k", 1, "ab", (const uint8_t *)"c", 1);
    gv_hmac(other, (const uint8_t *)"k", 1, "a", (const uint8_t *)"bc", 2);
    assert_memory_not_equal(one, other, sizeof one);
}

/* RFC 4231, cases 1 to 4, 6 and 7 (5 truncates). The vectors have no domain, so they check the
 * construction by hand first, and that construction then checks gv_hmac over the framed data. */
static void hmac_is_rfc_4231_over_framed_data(void **state)
{
    static const struct {
        const char *key, *data, *mac;
    } cases[] = {
        {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265",
         "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {"4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
         "dddddddddddddd",
         "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
        {"0102030405060708090a0b0c0d0e0f10111213141516171819",
         "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
         "cdcdcdcdcdcdcd",
         "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
        {NULL, /* 131 bytes of aa */
         "54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d20486173"
         "68204b6579204669727374",
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
        {NULL,
         "5468697320697320612074657374207573696e672061206c6172676572207468616e20626c6f636b2d7369"
         "7a65206b657920616e642061206c6172676572207468616e20626c6f636b2d73697a6520646174612e2054"
         "6865206b6579206e6565647320746f20626520686173686564206265666f7265206265696e672075736564"
         "2062792074686520484d414320616c676f726974686d2e",
         "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
    };
    static const char domain[] = "grapevine test 1";

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t key[131], data[256], framed[300], expected[32], mac[32];
        size_t key_len = sizeof key, len = vectors_from_hex(data, sizeof data, cases[i].data);

        memset(key, 0xaa, sizeof key);
        if (cases[i].key)
            key_len = vectors_from_hex(key, sizeof key, cases[i].key);
        hmac_by_hand(expected, key, key_len, data, len);
        vectors_assert_hex(expected, sizeof expected, cases[i].mac);

        size_t framed_len = frame(framed, domain, data, len);
        hmac_by_hand(expected, key, key_len, framed, framed_len);
        gv_hmac(mac, key, key_len, domain, data, len);
        assert_memory_equal(mac, expected, sizeof mac);
    }
}

/* The same by the second implementation (tests/vectors/make_identity_vectors.mjs). */
static void framing_agrees_with_the_second_implementation(void **state)
{
    json_t *root = vectors_load("tests/vectors/identity_certificate.json");
    const json_t *vector;
    size_t i;

    assert_non_null(root);
    const json_t *hashes = vectors_get(root, "hashes");
    assert_int_equal(json_array_size(hashes), 4);
    json_array_foreach(hashes, i, vector)
    {
        uint8_t key[256], data[2048], out[GV_HASH_LEN];
        size_t key_len = vectors_bytes(key, sizeof key, vector, "key");
        size_t len = vectors_bytes(data, sizeof data, vector, "data");
        const char *domain = vectors_text(vector, "domain");

        gv_hash(out, domain, data, len);
        vectors_assert_member(out, sizeof out, vector, "hash");
        gv_hmac(out, key, key_len, domain, data, len);
        vectors_assert_member(out, sizeof out, vector, "hmac");
    }
    json_decref(root);
}

/* RFC 5869, appendix A.1 to A.3. */
static void hkdf_is_rfc_5869(void **state)
{
    static const struct {
        const char *input, *salt, *info, *okm;
    } cases[] = {
        {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c",
         "f0f1f2f3f4f5f6f7f8f9",
         "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"},
        {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223242526272829"
         "2a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f",
         "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f80818283848586878889"
         "8a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
         "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9"
         "dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
         "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb"
         "41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"},
        {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
         "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t input[80], salt[80], info[80], okm[82];
        size_t len = strlen(cases[i].okm) / 2;
        size_t input_len = vectors_from_hex(input, sizeof input, cases[i].input);
        size_t salt_len = vectors_from_hex(salt, sizeof salt, cases[i].salt);
        size_t info_len = vectors_from_hex(info, sizeof info, cases[i].info);

        assert_int_equal(gv_hkdf_rfc5869(okm, len, salt_len ? salt : NULL, salt_len, input,
                                         input_len, info_len ? info : NULL, info_len),
                         GV_OK);
        vectors_assert_hex(okm, len, cases[i].okm);
    }
}

static void hkdf_gives_at_most_255_blocks(void **state)
{
    static uint8_t longest[255 * GV_HASH_LEN + 1];
    uint8_t shorter[GV_HASH_LEN];
    const uint8_t input[] = {1, 2, 3};

    assert_int_equal(gv_hkdf_rfc5869(longest, sizeof longest, NULL, 0, input, 3, NULL, 0),
                     GV_ERR_RANGE);
    assert_int_equal(gv_hkdf_rfc5869(longest, sizeof longest - 1, NULL, 0, input, 3, NULL, 0),
                     GV_OK);
    assert_int_equal(gv_hkdf_rfc5869(shorter, sizeof shorter, NULL, 0, input, 3, NULL, 0), GV_OK);
    assert_memory_equal(longest, shorter, sizeof shorter);
    assert_int_equal(gv_hkdf_rfc5869(shorter, 0, NULL, 0, input, 3, NULL, 0), GV_OK);
}

/* Noise's HKDF is RFC 5869 with the chaining key as salt and no info (section 4.3). */
static void noise_hkdf_is_hkdf_without_info(void **state)
{
    uint8_t chaining_key[GV_HASH_LEN], input[GV_HASH_LEN], okm[3 * GV_HASH_LEN];
    uint8_t out1[GV_HASH_LEN], out2[GV_HASH_LEN], out3[GV_HASH_LEN];

    memset(chaining_key, 7, sizeof chaining_key);
    memset(input, 9, sizeof input);
    gv_hkdf_rfc5869(okm, sizeof okm, chaining_key, sizeof chaining_key, input, sizeof input, NULL,
                    0);
    gv_hkdf(out1, out2, out3, chaining_key, input, sizeof input);
    assert_memory_equal(out1, okm, 32);
    assert_memory_equal(out2, okm + 32, 32);
    assert_memory_equal(out3, okm + 64, 32);

    /* In place, as the handshake uses it. */
    gv_hkdf(chaining_key, input, NULL, chaining_key, input, sizeof input);
    assert_memory_equal(chaining_key, okm, 32);
    assert_memory_equal(input, okm + 32, 32);
}

/* The one that machines without libsodium get (tests/portable.sh). */
#define gv_siphash portable_siphash
uint64_t portable_siphash(const uint8_t key[16], const void *data, size_t len);
#include "tests/vectors/siphash.c"
#undef gv_siphash

static void the_portable_siphash_is_the_same(void **state)
{
    uint8_t key[16], message[40];

    for (uint8_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)(7 * i);
    for (uint8_t i = 0; i < sizeof message; i++)
        message[i] = (uint8_t)(201 * i);
    for (size_t len = 0; len <= sizeof message; len++)
        assert_true(gv_siphash(key, message, len) == portable_siphash(key, message, len));
}

/* The example of the SipHash paper (appendix A): key 00..0f, message 00..0e; and the first vector
 * of its reference code, the empty message. */
static void siphash_is_siphash_2_4(void **state)
{
    uint8_t key[16], message[15];

    for (uint8_t i = 0; i < sizeof key; i++)
        key[i] = i;
    for (uint8_t i = 0; i < sizeof message; i++)
        message[i] = i;
    assert_true(gv_siphash(key, message, sizeof message) == UINT64_C(0xa129ca6149be45e5));
    assert_true(gv_siphash(key, NULL, 0) == UINT64_C(0x726fdb47dd0e0e31));
}

static void secrets_compare_and_vanish(void **state)
{
    uint8_t a[40], b[40], zero[40] = {0};

    memset(a, 0x5a, sizeof a);
    memcpy(b, a, sizeof b);
    assert_true(gv_equal_secret(a, b, sizeof a));
    for (size_t bit = 0; bit < 8 * sizeof a; bit++) {
        b[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(gv_equal_secret(a, b, sizeof a));
        b[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_true(gv_equal_secret(NULL, NULL, 0));
    gv_wipe(a, sizeof a - 1);
    assert_memory_equal(a, zero, sizeof a - 1);
    assert_int_equal(a[sizeof a - 1], 0x5a);
    gv_wipe(NULL, 0);
}

/* One begun state serves for many MACs, and none of them changes it. */
static void hmac_goes_in_pieces(void **state)
{
    static const uint8_t key[32] = {7}, data[150] = {1, 2, 3};
    struct gv_hmac_state begun, copy;
    uint8_t whole[GV_HASH_LEN], pieces[GV_HASH_LEN];

    gv_hmac_begin(&begun, key, sizeof key, "pieces");
    for (size_t cut = 0; cut <= sizeof data; cut += 30) {
        copy = begun;
        gv_hmac_add(&copy, data, cut);
        gv_hmac_add(&copy, data + cut, sizeof data - cut);
        gv_hmac_end(pieces, &copy);
        gv_hmac(whole, key, sizeof key, "pieces", data, sizeof data);
        assert_memory_equal(pieces, whole, sizeof whole);
    }
    assert_memory_equal(&copy, (struct gv_hmac_state){{0}}.opaque, sizeof copy); /* wiped */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_is_sha256),
        cmocka_unit_test(a_hash_is_framed_by_its_domain),
        cmocka_unit_test(no_domain_runs_into_its_data),
        cmocka_unit_test(hmac_is_rfc_4231_over_framed_data),
        cmocka_unit_test(framing_agrees_with_the_second_implementation),
        cmocka_unit_test(hkdf_is_rfc_5869),
        cmocka_unit_test(hkdf_gives_at_most_255_blocks),
        cmocka_unit_test(noise_hkdf_is_hkdf_without_info),
        cmocka_unit_test(siphash_is_siphash_2_4),
        cmocka_unit_test(the_portable_siphash_is_the_same),
        cmocka_unit_test(secrets_compare_and_vanish),
        cmocka_unit_test(hmac_goes_in_pieces),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
