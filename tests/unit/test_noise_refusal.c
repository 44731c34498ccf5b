/* What the handshake and the transport refuse: truncated, altered, replayed and forged messages,
 * calls out of turn, keys of low order, too little room, a used-up nonce. */
#include "crypto/noise.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "crypto/error.h"
#include "helper_vectors.h"

#define MESSAGES 3

/* Different for each message, so that mixing them up cannot go unseen. */
static const char *const payloads[MESSAGES] = {"hello", "the responder's certificate",
                                               "the initiator's"};
static const char prologue[] = "network id";

/* The two sides just before each message, and the genuine message itself. */
struct transcript {
    struct gv_noise_handshake writer[MESSAGES], reader[MESSAGES];
    struct gv_noise_handshake init, resp; /* after the last one */
    uint8_t message[MESSAGES][256];
    size_t len[MESSAGES];
};

static void begin(struct gv_noise_handshake *handshake, bool initiator, const char *prologue_text)
{
    uint8_t secret[GV_KEY_LEN], public[GV_KEY_LEN], ephemeral[GV_KEY_LEN];

    memset(secret, initiator ? 0x51 : 0x52, sizeof secret);
    memset(ephemeral, initiator ? 0x61 : 0x62, sizeof ephemeral);
    crypto_scalarmult_base(public, secret);
    gv_noise_start(handshake, initiator, secret, public, ephemeral, (const uint8_t *)prologue_text,
                   strlen(prologue_text));
}

static void record(struct transcript *t)
{
    uint8_t opened[256];
    size_t opened_len;

    begin(&t->init, true, prologue);
    begin(&t->resp, false, prologue);
    for (int step = 0; step < MESSAGES; step++) {
        struct gv_noise_handshake *from = step % 2 == 0 ? &t->init : &t->resp;
        struct gv_noise_handshake *to = step % 2 == 0 ? &t->resp : &t->init;

        t->writer[step] = *from;
        t->reader[step] = *to;
        assert_int_equal(gv_noise_write(from, t->message[step], sizeof t->message[step],
                                        &t->len[step], (const uint8_t *)payloads[step],
                                        strlen(payloads[step])),
                         GV_OK);
        assert_int_equal(
            gv_noise_read(to, opened, sizeof opened, &opened_len, t->message[step], t->len[step]),
            GV_OK);
        assert_int_equal(opened_len, strlen(payloads[step]));
        assert_memory_equal(opened, payloads[step], opened_len);
    }
}

/* After any error: nothing secret is left, and nothing works any more. */
static void assert_dead(struct gv_noise_handshake *handshake)
{
    struct gv_noise_handshake dead;
    uint8_t buffer[256];
    size_t len;

    memset(&dead, 0, sizeof dead);
    dead.failed = true;
    assert_memory_equal(handshake, &dead, sizeof dead);
    assert_false(gv_noise_done(handshake));
    assert_int_equal(gv_noise_write(handshake, buffer, sizeof buffer, &len, NULL, 0), GV_ERR_STATE);
    assert_int_equal(gv_noise_read(handshake, buffer, sizeof buffer, &len, buffer, 100),
                     GV_ERR_STATE);
}

static int read_at(const struct transcript *t, int step, const uint8_t *message, size_t message_len)
{
    struct gv_noise_handshake reader = t->reader[step];
    uint8_t opened[256];
    size_t opened_len = 99;

    int rc = gv_noise_read(&reader, opened, sizeof opened, &opened_len, message, message_len);
    if (rc != GV_OK) {
        assert_int_equal(opened_len, 0);
        assert_dead(&reader);
    }
    return rc;
}

static void a_truncated_message_is_refused(void **state)
{
    static const size_t shortest[MESSAGES] = {32, 96, 64};
    struct transcript t;

    record(&t);
    for (int step = 0; step < MESSAGES; step++) {
        for (size_t len = 0; len < t.len[step]; len++) {
            int rc = read_at(&t, step, t.message[step], len);

            if (len < shortest[step])
                assert_int_equal(rc, GV_ERR_MALFORMED);
            else if (step > 0) /* message 0 is in clear: see the next test */
                assert_int_equal(rc, GV_ERR_DECRYPT);
        }
        assert_int_equal(read_at(&t, step, t.message[step], t.len[step]), GV_OK);
    }
}

/* A byte too many, and a message over the limit of the specification (section 3). */
static void a_longer_message_is_refused(void **state)
{
    static uint8_t huge[GV_NOISE_MAX + 1];
    struct transcript t;

    record(&t);
    for (int step = 0; step < MESSAGES; step++) {
        memcpy(huge, t.message[step], t.len[step]);
        assert_int_equal(read_at(&t, step, huge, GV_NOISE_MAX + 1), GV_ERR_MALFORMED);
        if (step > 0)
            assert_int_equal(read_at(&t, step, huge, t.len[step] + 1), GV_ERR_DECRYPT);
    }
}

static void a_flipped_bit_in_messages_1_and_2_is_refused_at_once(void **state)
{
    struct transcript t;

    record(&t);
    for (int step = 1; step < MESSAGES; step++)
        for (size_t bit = 0; bit < 8 * t.len[step]; bit++) {
            /* X25519 ignores the top bit of a point (RFC 7748), but the hash does not. */
            t.message[step][bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_equal(read_at(&t, step, t.message[step], t.len[step]), GV_ERR_DECRYPT);
            t.message[step][bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
}

/* Message 0 is in clear, key and payload: what was done to it shows in the answer. */
static void a_flipped_bit_in_message_0_is_refused_by_the_initiator(void **state)
{
    struct transcript t;

    record(&t);
    for (size_t bit = 0; bit < 8 * t.len[0]; bit++) {
        struct gv_noise_handshake resp = t.reader[0], init = t.reader[1];
        uint8_t opened[256], answer[256];
        size_t opened_len, answer_len;

        t.message[0][bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(
            gv_noise_read(&resp, opened, sizeof opened, &opened_len, t.message[0], t.len[0]),
            GV_OK);
        t.message[0][bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(gv_noise_write(&resp, answer, sizeof answer, &answer_len, NULL, 0), GV_OK);
        assert_int_equal(
            gv_noise_read(&init, opened, sizeof opened, &opened_len, answer, answer_len),
            GV_ERR_DECRYPT);
        assert_dead(&init);
    }
}

static void another_prologue_is_refused(void **state)
{
    static const char *const others[] = {"", "network i", "network id ", "network ie"};
    struct transcript t;
    uint8_t opened[256], answer[256];
    size_t opened_len, answer_len;

    record(&t);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct gv_noise_handshake resp, init = t.reader[1];

        begin(&resp, false, others[i]);
        assert_int_equal(
            gv_noise_read(&resp, opened, sizeof opened, &opened_len, t.message[0], t.len[0]),
            GV_OK);
        assert_int_equal(gv_noise_write(&resp, answer, sizeof answer, &answer_len, NULL, 0), GV_OK);
        assert_int_equal(
            gv_noise_read(&init, opened, sizeof opened, &opened_len, answer, answer_len),
            GV_ERR_DECRYPT);
    }
}

/* A whole recorded conversation says nothing to a responder with a fresh ephemeral key. */
static void a_replayed_handshake_is_refused(void **state)
{
    struct gv_noise_handshake resp;
    struct transcript t;
    uint8_t opened[256], ephemeral[GV_KEY_LEN];
    size_t len;

    record(&t);
    memset(ephemeral, 0x99, sizeof ephemeral);
    gv_noise_start(&resp, false, t.reader[0].static_secret, t.reader[0].static_public, ephemeral,
                   (const uint8_t *)prologue, strlen(prologue));
    assert_int_equal(gv_noise_read(&resp, opened, sizeof opened, &len, t.message[0], t.len[0]),
                     GV_OK);
    assert_int_equal(gv_noise_write(&resp, opened, sizeof opened, &len, NULL, 0), GV_OK);
    assert_int_equal(gv_noise_read(&resp, opened, sizeof opened, &len, t.message[2], t.len[2]),
                     GV_ERR_DECRYPT);
    assert_dead(&resp);
}

static void a_message_of_another_step_is_refused(void **state)
{
    struct transcript t;

    record(&t);
    for (int step = 1; step < MESSAGES; step++)
        for (int other = 0; other < MESSAGES; other++)
            if (other != step)
                assert_int_not_equal(read_at(&t, step, t.message[other], t.len[other]), GV_OK);
}

static void a_call_out_of_turn_is_refused(void **state)
{
    uint8_t buffer[256];
    struct transcript t;
    size_t len;

    record(&t);
    for (int step = 0; step < MESSAGES; step++) {
        struct gv_noise_handshake reader = t.reader[step], writer = t.writer[step];

        assert_int_equal(gv_noise_write(&reader, buffer, sizeof buffer, &len, NULL, 0),
                         GV_ERR_STATE);
        assert_dead(&reader);
        assert_int_equal(
            gv_noise_read(&writer, buffer, sizeof buffer, &len, t.message[step], t.len[step]),
            GV_ERR_STATE);
        assert_dead(&writer);
    }
    /* Past the last message neither is anybody's turn. */
    struct gv_noise_handshake init = t.init, resp = t.resp;
    assert_int_equal(gv_noise_write(&resp, buffer, sizeof buffer, &len, NULL, 0), GV_ERR_STATE);
    assert_int_equal(gv_noise_read(&init, buffer, sizeof buffer, &len, t.message[1], t.len[1]),
                     GV_ERR_STATE);
    assert_int_equal(gv_noise_write(&t.init, buffer, sizeof buffer, &len, NULL, 0), GV_ERR_STATE);
}

/* Every point of small order on the curve and its twist, and encodings of them above the prime
 * (https://cr.yp.to/ecdh.html#validate): with any of them the shared secret would be all zero. */
static const char *const low_order[] = {
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};
#define LOW_ORDER (sizeof low_order / sizeof *low_order)

/* With and without the top bit, which X25519 ignores. */
static void low_order_point(uint8_t out[GV_KEY_LEN], size_t i)
{
    assert_int_equal(vectors_from_hex(out, GV_KEY_LEN, low_order[i % LOW_ORDER]), GV_KEY_LEN);
    if (i >= LOW_ORDER)
        out[31] |= 0x80;
}

static void a_low_order_ephemeral_key_is_refused(void **state)
{
    uint8_t opened[256], answer[256];
    struct transcript t;
    size_t len;

    record(&t);
    for (size_t i = 0; i < 2 * LOW_ORDER; i++) {
        /* From the initiator: the responder notices when it answers. */
        struct gv_noise_handshake resp = t.reader[0];
        low_order_point(t.message[0], i);
        assert_int_equal(gv_noise_read(&resp, opened, sizeof opened, &len, t.message[0], t.len[0]),
                         GV_OK);
        assert_int_equal(gv_noise_write(&resp, answer, sizeof answer, &len, NULL, 0),
                         GV_ERR_PROTOCOL);
        assert_int_equal(len, 0);
        assert_dead(&resp);

        /* From the responder: the initiator notices when it reads. */
        low_order_point(t.message[1], i);
        assert_int_equal(read_at(&t, 1, t.message[1], t.len[1]), GV_ERR_PROTOCOL);
    }
}

/* A peer that holds a good ephemeral key and claims a low-order static one: the message decrypts,
 * the exchange with the static key then gives zero. */
static void a_low_order_static_key_is_refused(void **state)
{
    uint8_t message[256];
    struct transcript t;
    size_t len;

    record(&t);
    for (size_t i = 0; i < 2 * LOW_ORDER; i++) {
        struct gv_noise_handshake resp = t.writer[1], init = t.writer[2];

        low_order_point(resp.static_public, i);
        assert_int_equal(gv_noise_write(&resp, message, sizeof message, &len, NULL, 0), GV_OK);
        assert_int_equal(read_at(&t, 1, message, len), GV_ERR_PROTOCOL);

        low_order_point(init.static_public, i);
        assert_int_equal(gv_noise_write(&init, message, sizeof message, &len, NULL, 0), GV_OK);
        assert_int_equal(read_at(&t, 2, message, len), GV_ERR_PROTOCOL);
    }
}

/* A static key that its owner has no secret for. */
static void a_borrowed_static_key_is_refused(void **state)
{
    uint8_t message[256], stranger[GV_KEY_LEN] = {77}, public[GV_KEY_LEN];
    struct transcript t;
    size_t len;

    record(&t);
    crypto_scalarmult_base(public, stranger);
    memcpy(t.writer[1].static_public, public, GV_KEY_LEN);
    gv_noise_write(&t.writer[1], message, sizeof message, &len, NULL, 0);
    assert_int_equal(read_at(&t, 1, message, len), GV_ERR_DECRYPT);
    memcpy(t.writer[2].static_public, public, GV_KEY_LEN);
    gv_noise_write(&t.writer[2], message, sizeof message, &len, NULL, 0);
    assert_int_equal(read_at(&t, 2, message, len), GV_ERR_DECRYPT);
}

static void too_little_room_is_refused(void **state)
{
    static uint8_t big[GV_NOISE_MAX + 1];
    uint8_t opened[256];
    struct transcript t;
    size_t len;

    record(&t);
    for (int step = 0; step < MESSAGES; step++) {
        const size_t payload_len = strlen(payloads[step]);
        const size_t extra = t.len[step] - payload_len;
        struct gv_noise_handshake writer = t.writer[step], reader = t.reader[step];

        assert_int_equal(gv_noise_write(&writer, big, t.len[step] - 1, &len,
                                        (const uint8_t *)payloads[step], payload_len),
                         GV_ERR_SPACE);
        assert_dead(&writer);
        assert_int_equal(
            gv_noise_read(&reader, opened, payload_len - 1, &len, t.message[step], t.len[step]),
            GV_ERR_SPACE);
        assert_dead(&reader);

        /* Over 65535 bytes it is no Noise message, whatever room there is. */
        static uint8_t payload[GV_NOISE_MAX];
        writer = t.writer[step];
        assert_int_equal(
            gv_noise_write(&writer, big, sizeof big, &len, payload, GV_NOISE_MAX - extra + 1),
            GV_ERR_SPACE);
        writer = t.writer[step];
        assert_int_equal(
            gv_noise_write(&writer, big, sizeof big, &len, payload, GV_NOISE_MAX - extra), GV_OK);
        assert_int_equal(len, GV_NOISE_MAX);
        writer = t.writer[step];
        assert_int_equal(gv_noise_write(&writer, big, sizeof big, &len, payload, SIZE_MAX),
                         GV_ERR_SPACE);
    }
}

static void transport_refuses_what_was_altered(void **state)
{
    struct gv_noise_cipher send, receive, unused;
    uint8_t message[64], opened[64];
    struct transcript t;
    size_t len, opened_len;

    record(&t);
    gv_noise_split(&t.init, &send, &unused);
    gv_noise_split(&t.resp, &unused, &receive);
    gv_noise_encrypt(&send, message, sizeof message, &len, (const uint8_t *)"statement", 9);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(
            gv_noise_decrypt(&receive, opened, sizeof opened, &opened_len, message, cut),
            cut < GV_NOISE_TAG ? GV_ERR_MALFORMED : GV_ERR_DECRYPT);
    for (size_t bit = 0; bit < 8 * len; bit++) {
        message[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(
            gv_noise_decrypt(&receive, opened, sizeof opened, &opened_len, message, len),
            GV_ERR_DECRYPT);
        assert_int_equal(opened_len, 0);
        message[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    /* A failure does not move the nonce, so the genuine one still opens; but only once. */
    assert_true(receive.nonce == 0);
    assert_int_equal(gv_noise_decrypt(&receive, opened, sizeof opened, &opened_len, message, len),
                     GV_OK);
    assert_int_equal(gv_noise_decrypt(&receive, opened, sizeof opened, &opened_len, message, len),
                     GV_ERR_DECRYPT);
}

static void transport_keeps_order_and_direction(void **state)
{
    struct gv_noise_cipher send, receive, back_send, back_receive;
    uint8_t first[32], second[32], opened[32];
    struct transcript t;
    size_t len, opened_len;

    record(&t);
    gv_noise_split(&t.init, &send, &back_receive);
    gv_noise_split(&t.resp, &back_send, &receive);
    gv_noise_encrypt(&send, first, sizeof first, &len, (const uint8_t *)"first", 5);
    gv_noise_encrypt(&send, second, sizeof second, &len, (const uint8_t *)"other", 5);
    assert_int_equal(gv_noise_decrypt(&receive, opened, sizeof opened, &opened_len, second, len),
                     GV_ERR_DECRYPT);
    /* Sent back to its author. */
    assert_int_equal(
        gv_noise_decrypt(&back_receive, opened, sizeof opened, &opened_len, first, len),
        GV_ERR_DECRYPT);
    assert_int_equal(gv_noise_decrypt(&receive, opened, sizeof opened, &opened_len, first, len),
                     GV_OK);
    assert_int_equal(gv_noise_decrypt(&receive, opened, sizeof opened, &opened_len, second, len),
                     GV_OK);
}

/* Section 5.1: 2^64 - 1 is reserved; the message before it is the last. */
static void a_used_up_nonce_is_refused(void **state)
{
    struct gv_noise_cipher send = {.nonce = UINT64_MAX - 1, .keyed = true}, receive = send;
    uint8_t message[32], opened[32];
    size_t len, opened_len;

    assert_int_equal(gv_noise_encrypt(&send, message, sizeof message, &len, NULL, 0), GV_OK);
    assert_int_equal(gv_noise_decrypt(&receive, opened, sizeof opened, &opened_len, message, len),
                     GV_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(gv_noise_encrypt(&send, message, sizeof message, &len, NULL, 0),
                         GV_ERR_STATE);
        assert_int_equal(len, 0);
        assert_int_equal(
            gv_noise_decrypt(&receive, opened, sizeof opened, &opened_len, message, 16),
            GV_ERR_STATE);
    }
    /* A new key does not bring the nonce back. */
    gv_noise_rekey(&send);
    assert_int_equal(gv_noise_encrypt(&send, message, sizeof message, &len, NULL, 0), GV_ERR_STATE);
}

static void transport_refuses_too_little_room(void **state)
{
    static uint8_t big[GV_NOISE_MAX + 1];
    struct gv_noise_cipher send = {.keyed = true}, receive = {.keyed = true};
    uint8_t message[32], opened[32];
    size_t len, opened_len;

    assert_int_equal(gv_noise_encrypt(&send, message, 20, &len, (const uint8_t *)"hello", 5),
                     GV_ERR_SPACE);
    assert_int_equal(
        gv_noise_encrypt(&send, big, sizeof big, &len, big, GV_NOISE_MAX - GV_NOISE_TAG + 1),
        GV_ERR_SPACE);
    assert_int_equal(gv_noise_encrypt(&send, big, sizeof big, &len, big, SIZE_MAX), GV_ERR_SPACE);
    assert_true(send.nonce == 0);
    assert_int_equal(gv_noise_encrypt(&send, message, 21, &len, (const uint8_t *)"hello", 5),
                     GV_OK);
    assert_int_equal(gv_noise_decrypt(&receive, opened, 4, &opened_len, message, len),
                     GV_ERR_SPACE);
    assert_int_equal(
        gv_noise_decrypt(&receive, opened, sizeof opened, &opened_len, big, sizeof big),
        GV_ERR_MALFORMED);
    assert_int_equal(gv_noise_decrypt(&receive, opened, 5, &opened_len, message, len), GV_OK);
}

static void a_cipher_without_a_key_is_refused(void **state)
{
    struct gv_noise_cipher cipher = {.keyed = false};
    uint8_t message[32] = {0}, opened[32];
    size_t len;

    assert_int_equal(gv_noise_encrypt(&cipher, message, sizeof message, &len, NULL, 0),
                     GV_ERR_STATE);
    assert_int_equal(gv_noise_decrypt(&cipher, opened, sizeof opened, &len, message, 16),
                     GV_ERR_STATE);
}

static void wiped_is_dead(void **state)
{
    struct transcript t;

    record(&t);
    gv_noise_wipe(&t.reader[2]);
    assert_dead(&t.reader[2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_truncated_message_is_refused),
        cmocka_unit_test(a_longer_message_is_refused),
        cmocka_unit_test(a_flipped_bit_in_messages_1_and_2_is_refused_at_once),
        cmocka_unit_test(a_flipped_bit_in_message_0_is_refused_by_the_initiator),
        cmocka_unit_test(another_prologue_is_refused),
        cmocka_unit_test(a_replayed_handshake_is_refused),
        cmocka_unit_test(a_message_of_another_step_is_refused),
        cmocka_unit_test(a_call_out_of_turn_is_refused),
        cmocka_unit_test(a_low_order_ephemeral_key_is_refused),
        cmocka_unit_test(a_low_order_static_key_is_refused),
        cmocka_unit_test(a_borrowed_static_key_is_refused),
        cmocka_unit_test(too_little_room_is_refused),
        cmocka_unit_test(transport_refuses_what_was_altered),
        cmocka_unit_test(transport_keeps_order_and_direction),
        cmocka_unit_test(a_used_up_nonce_is_refused),
        cmocka_unit_test(transport_refuses_too_little_room),
        cmocka_unit_test(a_cipher_without_a_key_is_refused),
        cmocka_unit_test(wiped_is_dead),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
