#include "proto/mesh/session.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "proto/limits.h"
#include "proto/mesh/roster.h"
#include "proto/wire/codec.h"

#define PROLOGUE         "grapevine 1"
#define BINDING_DOMAIN   "grapevine session 1"
#define ADMISSION_DOMAIN "grapevine admission 1"

static void put_u16(struct gv_buf *out, size_t value)
{
    uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};

    gv_buf_append(out, bytes, sizeof bytes);
}

/* Handshake payload: [certificate bin152, signature bin64 of the session key by the instance key]
 * (SPEC 5.2). It ties the X25519 key that Noise proves to the Ed25519 key that is certified. */
static int put_payload(struct gv_buf *out, const struct gv_session_self *self)
{
    uint8_t signature[GV_SIGNATURE_LEN];

    gv_sign(signature, self->identity->sign_secret, BINDING_DOMAIN, self->descriptor->network_id,
            self->identity->session_public, GV_KEY_LEN);
    gv_put_array(out, 2);
    gv_put_bin(out, self->certificate, GV_CERTIFICATE_LEN);
    gv_put_bin(out, signature, sizeof signature);
    return out->failed ? GV_ERR_MEMORY : GV_OK;
}

static int check_payload(struct gv_session *session, const struct gv_session_self *self,
                         const uint8_t *payload, size_t len)
{
    struct gv_reader reader;
    uint8_t signature[GV_SIGNATURE_LEN];
    int rc = gv_reader_open(&reader, NULL, payload, len);

    if (rc == GV_OK) {
        gv_get_bin_exact(&reader, session->remote_wire, GV_CERTIFICATE_LEN);
        gv_get_bin_exact(&reader, signature, sizeof signature);
        rc = gv_reader_done(&reader);
    }
    gv_reader_close(&reader);
    if (rc == GV_OK)
        rc = gv_certificate_accept(&session->remote, self->descriptor, self->verifier,
                                   self->now_min, session->remote_wire, GV_CERTIFICATE_LEN);
    if (rc == GV_OK)
        rc = gv_verify(self->verifier, session->remote.key, BINDING_DOMAIN,
                       self->descriptor->network_id, session->handshake->remote_static, GV_KEY_LEN,
                       signature);
    return rc;
}

static int write_handshake(struct gv_session *session, struct gv_buf *wire, const uint8_t *payload,
                           size_t payload_len)
{
    uint8_t frame[GV_FRAME_HANDSHAKE_MAX];
    size_t len = 0;
    int rc = gv_noise_write(session->handshake, frame, sizeof frame, &len, payload, payload_len);

    if (rc != GV_OK)
        return rc;
    put_u16(wire, len);
    gv_buf_append(wire, frame, len);
    return wire->failed ? GV_ERR_MEMORY : GV_OK;
}

/* The second and the third message. */
static int write_certificate(struct gv_session *session, struct gv_buf *wire,
                             const struct gv_session_self *self)
{
    struct gv_buf payload;
    int rc;

    gv_buf_init(&payload);
    rc = put_payload(&payload, self);
    if (rc == GV_OK)
        rc = write_handshake(session, wire, payload.data, payload.len);
    gv_buf_free(&payload);
    return rc;
}

void gv_session_proof(uint8_t out[GV_PROOF_LEN], const uint8_t pair_key[GV_HASH_LEN],
                      const uint8_t network_id[GV_KEY_LEN], const uint8_t cookie[GV_COOKIE_LEN],
                      const uint8_t ephemeral[GV_KEY_LEN],
                      const uint8_t certificate[GV_CERTIFICATE_LEN])
{
    struct gv_hmac_state state;
    uint8_t mac[GV_HASH_LEN];

    gv_hmac_begin(&state, pair_key, GV_HASH_LEN, ADMISSION_DOMAIN);
    gv_hmac_add(&state, network_id, GV_KEY_LEN);
    gv_hmac_add(&state, cookie, GV_COOKIE_LEN);
    gv_hmac_add(&state, ephemeral, GV_KEY_LEN);
    gv_hmac_add(&state, certificate, GV_CERTIFICATE_LEN);
    gv_hmac_end(mac, &state);
    memcpy(out, mac, GV_PROOF_LEN);
}

/* The first message of one who was told to come again. */
static int write_admission(struct gv_session *session, struct gv_buf *wire,
                           const struct gv_session_self *self,
                           const uint8_t challenge[GV_CHALLENGE_LEN])
{
    uint8_t payload[GV_ADMISSION_LEN], key[GV_HASH_LEN];
    uint8_t *certificate = payload + GV_COOKIE_LEN, *proof = certificate + GV_CERTIFICATE_LEN;
    int rc = gv_pair_key_prove(key, self->identity, challenge + GV_COOKIE_LEN);

    if (rc != GV_OK)
        return rc;
    memcpy(payload, challenge, GV_COOKIE_LEN);
    memcpy(certificate, self->certificate, GV_CERTIFICATE_LEN);
    gv_session_proof(proof, key, self->descriptor->network_id, challenge,
                     session->handshake->ephemeral_public, certificate);
    gv_wipe(key, sizeof key);
    return write_handshake(session, wire, payload, sizeof payload);
}

static int begin(struct gv_session *session, bool initiator, const struct gv_session_self *self,
                 struct gv_drbg *drbg)
{
    uint8_t prologue[sizeof PROLOGUE + GV_KEY_LEN], ephemeral[GV_KEY_LEN];

    memset(session, 0, sizeof *session);
    session->initiator = initiator;
    session->handshake = malloc(sizeof *session->handshake);
    if (!session->handshake)
        return GV_ERR_MEMORY;
    memcpy(prologue, PROLOGUE, sizeof PROLOGUE); /* with its terminating zero */
    memcpy(prologue + sizeof PROLOGUE, self->descriptor->network_id, GV_KEY_LEN);
    gv_drbg_fill(drbg, ephemeral, sizeof ephemeral);
    gv_noise_start(session->handshake, initiator, self->identity->session_secret,
                   self->identity->session_public, ephemeral, prologue, sizeof prologue);
    gv_wipe(ephemeral, sizeof ephemeral);
    return GV_OK;
}

int gv_session_start(struct gv_session *session, bool initiator, struct gv_buf *wire,
                     const struct gv_session_self *self, struct gv_drbg *drbg)
{
    int rc = begin(session, initiator, self, drbg);

    if (rc == GV_OK && initiator)
        rc = write_handshake(session, wire, NULL, 0);
    if (rc != GV_OK)
        gv_session_end(session);
    return rc;
}

int gv_session_start_again(struct gv_session *session, struct gv_buf *wire,
                           const struct gv_session_self *self, struct gv_drbg *drbg,
                           const uint8_t challenge[GV_CHALLENGE_LEN])
{
    int rc = begin(session, true, self, drbg);

    if (rc == GV_OK)
        rc = write_admission(session, wire, self, challenge);
    if (rc != GV_OK)
        gv_session_end(session);
    return rc;
}

void gv_session_end(struct gv_session *session)
{
    if (session->handshake) {
        gv_noise_wipe(session->handshake);
        free(session->handshake);
    }
    gv_buf_free(&session->in);
    gv_wipe(session, sizeof *session);
}

int gv_session_take(struct gv_session *session, const uint8_t *data, size_t len)
{
    gv_buf_append(&session->in, data, len);
    return session->in.failed ? GV_ERR_MEMORY : GV_OK;
}

static void become_open(struct gv_session *session)
{
    gv_noise_split(session->handshake, &session->send, &session->receive);
    gv_noise_wipe(session->handshake);
    free(session->handshake);
    session->handshake = NULL;
    session->open = true;
}

/* XX: -> e; <- e, ee, s, es + payload; -> s, se + payload. */
static int work_handshake(struct gv_session *session, struct gv_buf *wire,
                          const struct gv_session_self *self, const uint8_t *message, size_t len)
{
    uint8_t payload[GV_FRAME_HANDSHAKE_MAX];
    size_t payload_len = 0;
    bool first = !session->initiator && session->handshake->step == 0;
    int rc;

    if (session->initiator && len == GV_CHALLENGE_LEN) { /* shorter than any second message */
        memcpy(session->challenge, message, len);
        return GV_ERR_BUSY;
    }
    rc = gv_noise_read(session->handshake, payload, sizeof payload, &payload_len, message, len);
    if (rc != GV_OK)
        return rc;
    if (first) /* an admission was looked at by the door, if it was asked for */
        return payload_len == 0 || payload_len == GV_ADMISSION_LEN
                   ? write_certificate(session, wire, self)
                   : GV_ERR_PROTOCOL;
    rc = check_payload(session, self, payload, payload_len);
    if (rc == GV_OK && session->initiator)
        rc = write_certificate(session, wire, self);
    if (rc == GV_OK)
        become_open(session);
    return rc;
}

/* Both sides count; the sender rekeys after its 224th message and the receiver after reading it. */
static void count_message(struct gv_noise_cipher *cipher, uint32_t *count)
{
    if (++*count == GV_REKEY_MESSAGES) {
        gv_noise_rekey(cipher);
        *count = 0;
    }
}

static int work_transport(struct gv_session *session, struct gv_buf *plain, const uint8_t *message,
                          size_t len)
{
    size_t plain_len = 0;
    uint8_t *at;
    int rc;

    gv_buf_clear(plain);
    at = gv_buf_reserve(plain, len);
    if (!at)
        return GV_ERR_MEMORY;
    rc = gv_noise_decrypt(&session->receive, at, len, &plain_len, message, len);
    if (rc != GV_OK)
        return rc;
    plain->len += plain_len;
    count_message(&session->receive, &session->received);
    return GV_OK;
}

int gv_session_work(struct gv_session *session, struct gv_buf *wire, struct gv_buf *plain,
                    const struct gv_session_self *self)
{
    const uint8_t *in = session->in.data;
    size_t limit = session->open ? GV_FRAME_MAX : GV_FRAME_HANDSHAKE_MAX, len;
    int rc;

    gv_buf_clear(plain);
    if (session->in.len < 2)
        return GV_ERR_NOT_FOUND;
    len = (size_t)in[0] << 8 | in[1];
    /* A frame that says nothing, under a tag or not, is none. */
    if (len > limit || len <= (session->open ? GV_NOISE_TAG : 0))
        return GV_ERR_PROTOCOL;
    if (session->in.len < 2 + len)
        return GV_ERR_NOT_FOUND;
    if (session->open)
        rc = work_transport(session, plain, in + 2, len);
    else
        rc = work_handshake(session, wire, self, in + 2, len);
    gv_buf_consume(&session->in, 2 + len);
    /* An idle link keeps no buffer: 64 of them would cost a megabyte. */
    if (session->in.len == 0)
        gv_buf_free(&session->in);
    return rc;
}

int gv_session_seal(struct gv_session *session, struct gv_buf *wire, const uint8_t *plain,
                    size_t len)
{
    size_t sealed = 0;
    uint8_t *at;
    int rc;

    if (!session->open || len > GV_FRAME_PLAIN_MAX)
        return GV_ERR_STATE;
    put_u16(wire, len + GV_NOISE_TAG);
    at = gv_buf_reserve(wire, len + GV_NOISE_TAG);
    if (!at)
        return GV_ERR_MEMORY;
    rc = gv_noise_encrypt(&session->send, at, len + GV_NOISE_TAG, &sealed, plain, len);
    if (rc != GV_OK)
        return rc;
    wire->len += sealed;
    count_message(&session->send, &session->sent);
    return GV_OK;
}
