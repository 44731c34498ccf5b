/* Noise_XX_25519_ChaChaPoly_SHA256 against other people's vectors, against a second implementation
 * of our own, and as a conversation. */
#include "crypto/noise.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "crypto/error.h"
#include "helper_vectors.h"

#define NAME "Noise_XX_25519_ChaChaPoly_SHA256"

static uint8_t buffer[GV_NOISE_MAX], opened[GV_NOISE_MAX], payload[GV_NOISE_MAX];

struct party {
    struct gv_noise_handshake handshake;
    struct gv_noise_cipher send, receive;
};

/* One conversation: `init` and `resp` as the vector files call them. */
struct pair {
    struct party init, resp;
};

static void start(struct party *party, bool initiator, const json_t *vector)
{
    const char *const *names =
        initiator ? (const char *const[]){"init_static", "init_ephemeral", "init_prologue"}
                  : (const char *const[]){"resp_static", "resp_ephemeral", "resp_prologue"};
    uint8_t secret[GV_KEY_LEN], public[GV_KEY_LEN], ephemeral[GV_KEY_LEN], prologue[256];

    vectors_exact(secret, sizeof secret, vector, names[0]);
    vectors_exact(ephemeral, sizeof ephemeral, vector, names[1]);
    size_t len = vectors_bytes(prologue, sizeof prologue, vector,
                               json_object_get(vector, "prologue") ? "prologue" : names[2]);
    crypto_scalarmult_base(public, secret);
    gv_noise_start(&party->handshake, initiator, secret, public, ephemeral, prologue, len);
}

/* One handshake message from one to the other, whose bytes must be the vector's. */
static void shake(struct party *from, struct party *to, const json_t *message)
{
    size_t len = vectors_bytes(payload, sizeof payload, message, "payload"), out_len, opened_len;

    assert_int_equal(
        gv_noise_write(&from->handshake, buffer, sizeof buffer, &out_len, payload, len), GV_OK);
    vectors_assert_member(buffer, out_len, message, "ciphertext");
    assert_int_equal(
        gv_noise_read(&to->handshake, opened, sizeof opened, &opened_len, buffer, out_len), GV_OK);
    vectors_assert_member(opened, opened_len, message, "payload");
}

static void finish(struct pair *pair, const json_t *vector)
{
    struct party *const both[] = {&pair->init, &pair->resp};

    for (size_t i = 0; i < 2; i++) {
        struct party *party = both[i], *other = both[1 - i];
        uint8_t expected[GV_KEY_LEN], secret[GV_KEY_LEN];

        vectors_exact(secret, sizeof secret, vector,
                      other == &pair->init ? "init_static" : "resp_static");
        crypto_scalarmult_base(expected, secret);
        assert_true(gv_noise_done(&party->handshake));
        assert_memory_equal(party->handshake.remote_static, expected, GV_KEY_LEN);
        if (json_object_get(vector, "handshake_hash"))
            vectors_assert_member(party->handshake.hash, GV_HASH_LEN, vector, "handshake_hash");
        gv_noise_split(&party->handshake, &party->send, &party->receive);
        assert_memory_equal(party->handshake.remote_static, expected, GV_KEY_LEN);
    }
}

static void transport(struct party *from, struct party *to, const json_t *message)
{
    size_t len = vectors_bytes(payload, sizeof payload, message, "payload"), out_len, opened_len;

    assert_int_equal(gv_noise_encrypt(&from->send, buffer, sizeof buffer, &out_len, payload, len),
                     GV_OK);
    vectors_assert_member(buffer, out_len, message, "ciphertext");
    assert_int_equal(
        gv_noise_decrypt(&to->receive, opened, sizeof opened, &opened_len, buffer, out_len), GV_OK);
    vectors_assert_member(opened, opened_len, message, "payload");
}

/* The format of cacophony and snow: one list of messages, written in turn. */
static void run_public_vector(const json_t *vector)
{
    const json_t *messages = vectors_get(vector, "messages"), *message;
    struct pair pair;
    size_t i;

    assert_string_equal(vectors_text(vector, "init_prologue"),
                        vectors_text(vector, "resp_prologue"));
    start(&pair.init, true, vector);
    start(&pair.resp, false, vector);
    json_array_foreach(messages, i, message)
    {
        struct party *from = i % 2 == 0 ? &pair.init : &pair.resp;
        struct party *to = i % 2 == 0 ? &pair.resp : &pair.init;

        if (i < 3)
            shake(from, to, message);
        else
            transport(from, to, message);
        if (i == 2)
            finish(&pair, vector);
    }
    assert_true(i > 3);
}

static void run_public_file(const char *path)
{
    json_t *root = vectors_load(path);
    const json_t *vector;
    size_t i, ran = 0;

    if (!root) {
        printf("*** SKIPPED: %s/%s is not there; the public vectors were NOT checked ***\n",
               GV_SOURCE_DIR, path);
        skip();
    }
    json_array_foreach(vectors_get(root, "vectors"), i, vector)
    {
        if (strcmp(vectors_text(vector, "protocol_name"), NAME) != 0)
            continue;
        run_public_vector(vector);
        ran++;
    }
    printf("%s: %zu vectors of %s\n", path, ran, NAME);
    assert_int_not_equal(ran, 0);
    json_decref(root);
}

static void agrees_with_cacophony(void **state)
{
    run_public_file("../shared/noise-vectors/cacophony.json");
}

static void agrees_with_snow(void **state)
{
    run_public_file("../shared/noise-vectors/snow.json");
}

static bool from_init(const json_t *step, const char *member)
{
    const char *who = vectors_text(step, member);

    assert_true(strcmp(who, "init") == 0 || strcmp(who, "resp") == 0);
    return strcmp(who, "init") == 0;
}

static void run_own_vector(const json_t *vector)
{
    const json_t *step;
    struct pair pair;
    size_t i;

    start(&pair.init, true, vector);
    start(&pair.resp, false, vector);
    json_array_foreach(vectors_get(vector, "handshake"), i, step)
    {
        bool init = from_init(step, "from");
        shake(init ? &pair.init : &pair.resp, init ? &pair.resp : &pair.init, step);
    }
    finish(&pair, vector);
    json_array_foreach(vectors_get(vector, "transport"), i, step)
    {
        bool rekey = json_object_get(step, "rekey") != NULL;
        bool init = from_init(step, rekey ? "rekey" : "from");
        struct party *from = init ? &pair.init : &pair.resp;
        struct party *to = init ? &pair.resp : &pair.init;

        if (rekey) {
            gv_noise_rekey(&from->send);
            gv_noise_rekey(&to->receive);
        } else {
            transport(from, to, step);
        }
    }
}

/* tests/vectors/make_noise_vectors.mjs: written from the specification, on other primitives. */
static void agrees_with_the_second_implementation(void **state)
{
    json_t *root = vectors_load("tests/vectors/noise_xx.json");
    const json_t *vector;
    size_t i;

    assert_non_null(root);
    assert_int_equal(json_array_size(vectors_get(root, "vectors")), 4);
    json_array_foreach(vectors_get(root, "vectors"), i, vector) run_own_vector(vector);
    json_decref(root);
}

/* A pair past its handshake, with fixed keys. */
static void connect_pair(struct pair *pair)
{
    uint8_t secret[2][GV_KEY_LEN], public[GV_KEY_LEN], ephemeral[GV_KEY_LEN];
    size_t len, none;

    for (int i = 0; i < 2; i++) {
        struct party *party = i == 0 ? &pair->init : &pair->resp;

        memset(secret[i], 0x31 + i, GV_KEY_LEN);
        memset(ephemeral, 0x41 + i, GV_KEY_LEN);
        crypto_scalarmult_base(public, secret[i]);
        gv_noise_start(&party->handshake, i == 0, secret[i], public, ephemeral, NULL, 0);
    }
    for (int i = 0; i < 3; i++) {
        struct party *from = i % 2 == 0 ? &pair->init : &pair->resp;
        struct party *to = i % 2 == 0 ? &pair->resp : &pair->init;

        assert_false(gv_noise_done(&from->handshake));
        assert_int_equal(gv_noise_write(&from->handshake, buffer, sizeof buffer, &len, NULL, 0),
                         GV_OK);
        assert_int_equal(gv_noise_read(&to->handshake, NULL, 0, &none, buffer, len), GV_OK);
        assert_int_equal(none, 0);
    }
    gv_noise_split(&pair->init.handshake, &pair->init.send, &pair->init.receive);
    gv_noise_split(&pair->resp.handshake, &pair->resp.send, &pair->resp.receive);
}

static void both_end_with_the_same_hash_and_crossed_ciphers(void **state)
{
    struct pair pair;

    connect_pair(&pair);
    assert_memory_equal(pair.init.handshake.hash, pair.resp.handshake.hash, GV_HASH_LEN);
    assert_memory_equal(pair.init.send.key, pair.resp.receive.key, GV_KEY_LEN);
    assert_memory_equal(pair.init.receive.key, pair.resp.send.key, GV_KEY_LEN);
    assert_memory_not_equal(pair.init.send.key, pair.init.receive.key, GV_KEY_LEN);
}

/* Only what a session still needs stays: no key from which it could be decrypted. */
static void split_wipes_the_handshake(void **state)
{
    struct gv_noise_handshake expected;
    struct pair pair;

    connect_pair(&pair);
    memset(&expected, 0, sizeof expected);
    expected.initiator = true;
    expected.step = 3;
    memcpy(expected.hash, pair.init.handshake.hash, sizeof expected.hash);
    memcpy(expected.remote_static, pair.init.handshake.remote_static,
           sizeof expected.remote_static);
    assert_memory_equal(&pair.init.handshake, &expected, sizeof expected);
    assert_true(gv_noise_done(&pair.init.handshake));
}

/* Each length to two blocks, then the ends of what a Noise message can hold, in place. */
static void every_length_goes_through_in_place(void **state)
{
    struct pair pair;
    size_t len = 0, out_len;

    connect_pair(&pair);
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)(i * 7);
    do {
        memcpy(buffer, payload, len);
        assert_int_equal(
            gv_noise_encrypt(&pair.init.send, buffer, sizeof buffer, &out_len, buffer, len), GV_OK);
        assert_int_equal(out_len, len + GV_NOISE_TAG);
        assert_int_equal(
            gv_noise_decrypt(&pair.resp.receive, buffer, len, &out_len, buffer, out_len), GV_OK);
        assert_int_equal(out_len, len);
        assert_memory_equal(buffer, payload, len);
        len = len == 130 ? GV_NOISE_MAX - GV_NOISE_TAG - 1 : len + 1;
    } while (len <= GV_NOISE_MAX - GV_NOISE_TAG);
}

static void rekey_changes_the_key_and_keeps_the_nonce(void **state)
{
    struct gv_noise_cipher before;
    struct pair pair;
    size_t len, out_len;

    connect_pair(&pair);
    gv_noise_encrypt(&pair.init.send, buffer, sizeof buffer, &len, NULL, 0);
    gv_noise_decrypt(&pair.resp.receive, opened, sizeof opened, &out_len, buffer, len);
    before = pair.init.send;
    gv_noise_rekey(&pair.init.send);
    assert_memory_not_equal(pair.init.send.key, before.key, GV_KEY_LEN);
    assert_true(pair.init.send.nonce == before.nonce);

    /* A peer that has not followed cannot read on; once it has, it can. */
    gv_noise_encrypt(&pair.init.send, buffer, sizeof buffer, &len, NULL, 0);
    assert_int_equal(
        gv_noise_decrypt(&pair.resp.receive, opened, sizeof opened, &out_len, buffer, len),
        GV_ERR_DECRYPT);
    gv_noise_rekey(&pair.resp.receive);
    assert_int_equal(
        gv_noise_decrypt(&pair.resp.receive, opened, sizeof opened, &out_len, buffer, len), GV_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_cacophony),
        cmocka_unit_test(agrees_with_snow),
        cmocka_unit_test(agrees_with_the_second_implementation),
        cmocka_unit_test(both_end_with_the_same_hash_and_crossed_ciphers),
        cmocka_unit_test(split_wipes_the_handshake),
        cmocka_unit_test(every_length_goes_through_in_place),
        cmocka_unit_test(rekey_changes_the_key_and_keeps_the_nonce),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
