/* A session: one TCP stream of frames, a Noise_XX handshake with certificates in its encrypted
 * payloads, then messages. Knows bytes; what a message means is decided above. (SPEC 5, 6) */
#ifndef GV_PROTO_MESH_SESSION_H
#define GV_PROTO_MESH_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/certificate.h"
#include "crypto/drbg.h"
#include "crypto/noise.h"
#include "proto/buf.h"
#include "proto/wire/descriptor.h"

/* What a node that is besieged answers to a stranger's first message, and what he brings when he
 * comes again: cookie, certificate and proof, as the payload of his first message (SPEC 5.6). */
#define GV_COOKIE_LEN    16
#define GV_PROOF_LEN     16
#define GV_CHALLENGE_LEN (GV_COOKIE_LEN + GV_KEY_LEN) /* cookie || session public key */
#define GV_ADMISSION_LEN (GV_COOKIE_LEN + GV_CERTIFICATE_LEN + GV_PROOF_LEN)

/* Who we are and what we know while shaking hands. Borrowed for each call. */
struct gv_session_self {
    const struct gv_identity *identity;
    const uint8_t *certificate; /* GV_CERTIFICATE_LEN bytes */
    const struct gv_descriptor *descriptor;
    const struct gv_verifier *verifier;
    uint32_t now_min;
};

struct gv_session {
    bool initiator;
    bool open;                            /* both sides are authenticated; messages may flow */
    struct gv_noise_handshake *handshake; /* owned; NULL once open */
    struct gv_noise_cipher send, receive;
    uint32_t sent, received;      /* messages since the last rekey */
    struct gv_certificate remote; /* valid once open */
    uint8_t remote_wire[GV_CERTIFICATE_LEN];
    uint8_t challenge[GV_CHALLENGE_LEN]; /* after GV_ERR_BUSY */
    struct gv_buf in;                    /* bytes of frames that are not complete yet */
};

/* Begins one; the initiator's first frame is appended to *wire. Returns GV_OK or GV_ERR_MEMORY. */
int gv_session_start(struct gv_session *session, bool initiator, struct gv_buf *wire,
                     const struct gv_session_self *self, struct gv_drbg *drbg);
/* The initiator's, once more, at one who answered with this challenge. Or GV_ERR_PROTOCOL: there is
 * no key in it. */
int gv_session_start_again(struct gv_session *session, struct gv_buf *wire,
                           const struct gv_session_self *self, struct gv_drbg *drbg,
                           const uint8_t challenge[GV_CHALLENGE_LEN]);
/* The proof of an admission, under the key of the pair. */
void gv_session_proof(uint8_t out[GV_PROOF_LEN], const uint8_t pair_key[GV_HASH_LEN],
                      const uint8_t network_id[GV_KEY_LEN], const uint8_t cookie[GV_COOKIE_LEN],
                      const uint8_t ephemeral[GV_KEY_LEN],
                      const uint8_t certificate[GV_CERTIFICATE_LEN]);
/* Wipes and frees what it holds. */
void gv_session_end(struct gv_session *session);

/* Takes bytes from the stream. Returns GV_OK or GV_ERR_MEMORY. */
int gv_session_take(struct gv_session *session, const uint8_t *data, size_t len);

/* Works on the next whole frame: a handshake frame may append an answer to *wire; a transport
 * frame's plaintext replaces *plain. Returns GV_OK when a frame was worked on, GV_ERR_NOT_FOUND
 * when no whole frame is there, and otherwise why the session must end: GV_ERR_PROTOCOL (frame
 * length), GV_ERR_DECRYPT (another network, another protocol, tampering), GV_ERR_MALFORMED,
 * GV_ERR_SIGNATURE (the session key is not the certificate's), what gv_certificate_accept says of
 * the remote certificate, or to an initiator GV_ERR_BUSY: come again with session->challenge. */
int gv_session_work(struct gv_session *session, struct gv_buf *wire, struct gv_buf *plain,
                    const struct gv_session_self *self);

/* Encrypts one frame of whole messages, at most GV_FRAME_PLAIN_MAX bytes. Returns GV_OK,
 * GV_ERR_MEMORY or GV_ERR_STATE. */
int gv_session_seal(struct gv_session *session, struct gv_buf *wire, const uint8_t *plain,
                    size_t len);

#endif
