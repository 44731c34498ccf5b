/* Fuzzes every place where bytes of a peer meet Noise: the three handshake reads and the transport.
 *
 * A plain fuzzer never gets past a tag, so the input also edits genuine messages, and speaks as a
 * peer that holds the keys. Byte 0 picks the place (0..2 a handshake message, 3 transport), byte 1
 * the way:
 *   raw    the rest is the message
 *   edit   the rest is triplets (offset, offset, xor) applied to the genuine message; the offset's
 *          end may also cut it
 *   honest the rest is the payload of a genuine message */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "crypto/error.h"
#include "crypto/noise.h"

enum { MESSAGES = 3, TRANSPORT = 3, PLACES = 4 };
enum { RAW, EDIT, HONEST, WAYS };

#define PAYLOAD_MAX 4096

/* Recorded once: the two sides before each message, the messages, and the transport behind them. */
static struct gv_noise_handshake writers[MESSAGES], readers[MESSAGES];
static struct gv_noise_cipher sender, receiver;
static uint8_t genuine[PLACES][256];
static size_t genuine_len[PLACES];
static const uint8_t genuine_payload[] = "a payload of a certificate's kind";

static void check(int condition)
{
    if (!condition)
        abort();
}

static void begin(struct gv_noise_handshake *handshake, bool initiator)
{
    uint8_t secret[GV_KEY_LEN], public[GV_KEY_LEN], ephemeral[GV_KEY_LEN];

    memset(secret, initiator ? 1 : 2, sizeof secret);
    memset(ephemeral, initiator ? 3 : 4, sizeof ephemeral);
    crypto_scalarmult_base(public, secret);
    gv_noise_start(handshake, initiator, secret, public, ephemeral, (const uint8_t *)"network", 7);
}

static void record(void)
{
    struct gv_noise_handshake init, resp;
    struct gv_noise_cipher unused;
    uint8_t opened[256];
    size_t len;

    begin(&init, true);
    begin(&resp, false);
    for (int step = 0; step < MESSAGES; step++) {
        struct gv_noise_handshake *from = step % 2 == 0 ? &init : &resp;
        struct gv_noise_handshake *to = step % 2 == 0 ? &resp : &init;

        writers[step] = *from;
        readers[step] = *to;
        check(gv_noise_write(from, genuine[step], sizeof genuine[step], &genuine_len[step],
                             genuine_payload, sizeof genuine_payload) == GV_OK);
        check(gv_noise_read(to, opened, sizeof opened, &len, genuine[step], genuine_len[step]) ==
              GV_OK);
    }
    gv_noise_split(&init, &sender, &unused);
    gv_noise_split(&resp, &unused, &receiver);
    struct gv_noise_cipher copy = sender;
    check(gv_noise_encrypt(&copy, genuine[TRANSPORT], sizeof genuine[TRANSPORT],
                           &genuine_len[TRANSPORT], genuine_payload,
                           sizeof genuine_payload) == GV_OK);
}

/* Reads at one place. The output has exactly the room that was promised, so that ASan sees a byte
 * too many; it is freed by the caller. */
static int read_at(int place, size_t cap, uint8_t **out, size_t *out_len, const uint8_t *message,
                   size_t len)
{
    *out = malloc(cap ? cap : 1);
    check(*out != NULL);
    if (place == TRANSPORT) {
        struct gv_noise_cipher cipher = receiver;
        int rc = gv_noise_decrypt(&cipher, *out, cap, out_len, message, len);
        check(cipher.nonce == (rc == GV_OK ? 1U : 0U));
        return rc;
    }
    struct gv_noise_handshake reader = readers[place];
    int rc = gv_noise_read(&reader, *out, cap, out_len, message, len);
    check(reader.failed == (rc != GV_OK));
    check(rc == GV_OK || sodium_is_zero(reader.chaining_key, sizeof reader.chaining_key));
    check(gv_noise_done(&reader) == (rc == GV_OK && place == MESSAGES - 1));
    return rc;
}

static size_t overhead(int place)
{
    return genuine_len[place] - sizeof genuine_payload;
}

/* Only message 0, which is in clear, may be accepted from somebody who holds no key. */
static void fuzz_raw(int place, const uint8_t *data, size_t size)
{
    uint8_t *out;
    size_t out_len, cap = size > overhead(place) ? size - overhead(place) : 0;
    int rc = read_at(place, cap, &out, &out_len, data, size);

    if (rc == GV_OK) {
        check(place == 0 || (size == genuine_len[place] &&
                             memcmp(data, genuine[place], genuine_len[place]) == 0));
        check(out_len == size - overhead(place));
    } else {
        check(out_len == 0);
    }
    free(out);
}

static void fuzz_edit(int place, const uint8_t *data, size_t size)
{
    uint8_t edited[sizeof genuine[0]], *out;
    size_t len = genuine_len[place], out_len;

    memcpy(edited, genuine[place], len);
    for (; size >= 3; data += 3, size -= 3) {
        size_t at = (size_t)(data[0] << 8 | data[1]);

        if (at < len)
            edited[at] ^= data[2];
        else if (at == 0xffff)
            len = data[2] < len ? data[2] : len;
    }
    bool same = len == genuine_len[place] && memcmp(edited, genuine[place], len) == 0;
    int rc = read_at(place, sizeof edited, &out, &out_len, edited, len);
    check(place == 0 || (rc == GV_OK) == same);
    free(out);
}

/* With the keys, any payload goes through, and a buffer that is one byte short is refused. */
static void fuzz_honest(int place, const uint8_t *data, size_t size)
{
    static uint8_t message[PAYLOAD_MAX + 256];
    uint8_t *out;
    size_t len, out_len;
    int rc;

    if (size > PAYLOAD_MAX)
        size = PAYLOAD_MAX;
    if (place == TRANSPORT) {
        struct gv_noise_cipher cipher = sender;
        rc = gv_noise_encrypt(&cipher, message, sizeof message, &len, data, size);
    } else {
        struct gv_noise_handshake writer = writers[place];
        rc = gv_noise_write(&writer, message, sizeof message, &len, data, size);
    }
    check(rc == GV_OK && len == size + overhead(place));
    check(read_at(place, size, &out, &out_len, message, len) == GV_OK);
    check(out_len == size && (size == 0 || memcmp(out, data, size) == 0));
    free(out);
    if (size > 0) {
        check(read_at(place, size - 1, &out, &out_len, message, len) == GV_ERR_SPACE);
        free(out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const ways[WAYS])(int, const uint8_t *, size_t) = {fuzz_raw, fuzz_edit,
                                                                     fuzz_honest};

    if (genuine_len[0] == 0)
        record();
    if (size >= 2)
        ways[data[1] % WAYS](data[0] % PLACES, data + 2, size - 2);
    return 0;
}
