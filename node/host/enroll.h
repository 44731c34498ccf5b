/* The node's side of the registry (SPEC 14): descriptor, enrolment, renewal, revocations. All of it
 * runs on the loop without blocking, and treats whatever the registry answers as hostile: bounded,
 * parsed strictly, and believed only where a signature of the pinned network covers it.
 *
 * A registry that is down, slow or talks nonsense is an error in a callback and never more: what
 * the node holds stays in force. */
#ifndef GV_NODE_HOST_ENROLL_H
#define GV_NODE_HOST_ENROLL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "crypto/certificate.h"
#include "crypto/identity.h"
#include "node/base/text.h"
#include "proto/wire/descriptor.h"

struct gv_enroll;

struct gv_enroll_options {
    uv_loop_t *loop;
    const char *registry_url;           /* http:// or https://, without a path; copied. NULL: the
                                         * descriptor's own, once one is known */
    const char *bind_address;           /* source address or NULL; copied */
    const char *ca_file;                /* PEM, for https://; NULL: the system's; copied */
    const struct gv_identity *identity; /* borrowed until gv_enroll_free */
    const uint8_t *network_id;          /* GV_KEY_LEN bytes to pin, or NULL: the first descriptor
                                         * that verifies pins it; copied */
    uint32_t timeout_ms;                /* per request; 0: 20 s */
    uint64_t (*unix_ms)(void);          /* NULL: the system clock */
};

int gv_enroll_new(struct gv_enroll **out, const struct gv_enroll_options *options);
/* Cancels what is under way; no callback comes afterwards. NULL is allowed. */
void gv_enroll_free(struct gv_enroll *enroll);

/* A descriptor from the node's own disk. Verified; pins the network if none is pinned yet.
 * Returns as gv_descriptor_open, or GV_ERR_NETWORK. */
int gv_enroll_set_descriptor(struct gv_enroll *enroll, const uint8_t *wire, size_t len);
const struct gv_descriptor *gv_enroll_descriptor(const struct gv_enroll *enroll); /* or NULL */
/* Where requests go: what was configured, or what the descriptor says; NULL: not known. Borrowed.
 */
const char *gv_enroll_url(const struct gv_enroll *enroll);

/* Every call below starts one request and answers through `done` on the loop, exactly once, and
 * never from within the call; `done` may free the enroll. GV_ERR_BUSY when the same kind is already
 * under way, GV_ERR_STATE when it needs a descriptor and none is held, GV_ERR_RANGE for an argument
 * that cannot be right (no callback in these cases). */
struct gv_enroll_answer {
    int error;           /* GV_OK; GV_ERR_IO, GV_ERR_EXPIRED: not reached, slow; GV_ERR_PROTOCOL:
                          * answered nonsense; GV_ERR_SIGNATURE, GV_ERR_NETWORK, ...: does not
                          * verify; GV_ERR_FORBIDDEN: the registry said no, see word and text;
                          * GV_ERR_BUSY: it said to come back later */
    unsigned status;     /* HTTP status, 0: none */
    char word[32];       /* the registry's error word, "" without */
    struct gv_text text; /* one sentence for the admin when error != GV_OK */
    const uint8_t *wire; /* what was fetched and verified: descriptor, certificate, revocation */
    size_t wire_len;
    uint32_t expires_s; /* gv_enroll_request: how long the code stays good */
};
typedef void (*gv_enroll_done)(void *context, const struct gv_enroll_answer *answer);

/* Fetches and verifies the descriptor; an older version than the one held, or another of the same
 * version, is GV_ERR_SUPERSEDED, one whose activation lies ahead GV_ERR_EARLY.
 * On success it is the one held (gv_enroll_descriptor) and its bytes are in `wire`. */
int gv_enroll_fetch_descriptor(struct gv_enroll *enroll, gv_enroll_done done, void *context);

/* The text of the terms in force, in wire/wire_len (UTF-8, at most 64 KiB, as it came: print it
 * through gv_log_safe or the like). */
int gv_enroll_fetch_terms(struct gv_enroll *enroll, gv_enroll_done done, void *context);

/* Asks for a code by mail. `terms` is the version that the admin has accepted; it must be the
 * descriptor's. `invitation`: what whoever runs the registry gave out, or NULL. */
int gv_enroll_request(struct gv_enroll *enroll, const char *email, const char *terms,
                      const char *invitation, gv_enroll_done done, void *context);

/* Hands in the code; on success `wire` is the certificate (GV_CERTIFICATE_LEN), verified: our key,
 * this network, a registry key in force, valid now. */
int gv_enroll_confirm(struct gv_enroll *enroll, const char *code, gv_enroll_done done,
                      void *context);

/* Exchanges a certificate past half of its life for a fresh one with the same owner, placement
 * and since. */
int gv_enroll_renew(struct gv_enroll *enroll, const uint8_t certificate[GV_CERTIFICATE_LEN],
                    gv_enroll_done done, void *context);

/* Gives the instance up for good; on success `wire` is the revocation (proto/wire/revocation.h),
 * verified: of this instance, by its owner. */
int gv_enroll_leave(struct gv_enroll *enroll, const uint8_t certificate[GV_CERTIFICATE_LEN],
                    gv_enroll_done done, void *context);

/* Fetches revocations, oldest first, from the newest minute that was handed out before: all of
 * them at first, at most GV_REVOCATIONS_PAGE a time. Every record that verifies is handed to
 * `each` (wire bytes as in proto/wire/revocation.h; some come again), then done is called. One
 * that does not verify ends it: GV_ERR_PROTOCOL. `each` must not free the enroll. */
typedef void (*gv_enroll_revocation)(void *context, const uint8_t *wire, size_t len);
int gv_enroll_fetch_revocations(struct gv_enroll *enroll, gv_enroll_revocation each,
                                gv_enroll_done done, void *context);

/* ---- keeping up by itself --------------------------------------------------------------------
 * From now on: renews the certificate from half life on; fetches the revocations every 15 minutes
 * and the descriptor every 6 hours, each with jitter; on failure backs off from 1 minute to 6
 * hours, doubling, with jitter. Any callback may be NULL. */
struct gv_enroll_keep {
    void *context;
    /* A renewed certificate, verified. To be stored, then used. */
    void (*certificate)(void *context, const uint8_t wire[GV_CERTIFICATE_LEN]);
    void (*descriptor)(void *context, const uint8_t *wire, size_t len); /* a newer one only */
    gv_enroll_revocation revocation;                                    /* may come again */
    /* For the log and for status: what failed, and in how many seconds it is tried again. */
    void (*trouble)(void *context, const char *what, const struct gv_enroll_answer *answer,
                    uint32_t retry_s);
};
/* `certificate` may be NULL (not enrolled yet); call again when there is one. */
int gv_enroll_keep(struct gv_enroll *enroll, const struct gv_enroll_keep *keep,
                   const uint8_t *certificate);
/* There is another descriptor: when the certificate is renewed may have changed. */
void gv_enroll_look(struct gv_enroll *enroll);

/* The back-off rule, exposed for its test: seconds to wait after `failures` >= 1 failures in a
 * row, given 32 random bits: 60 s doubling up to 6 h, times 0.75 .. 1.25. */
uint32_t gv_enroll_backoff(unsigned failures, uint32_t random);
/* Likewise: when (unix seconds) this certificate is renewed: at half life, or once the descriptor
 * (may be NULL) has a later key than its own in force, and up to a twentieth of the life (a day at
 * most) later, decided by the certificate itself so that a restart does not draw anew and a mesh
 * that enrolled in one hour does not renew in one. At once when its key is not named any more. */
uint64_t gv_enroll_renewal_s(const struct gv_certificate *certificate,
                             const struct gv_descriptor *descriptor);

#endif
