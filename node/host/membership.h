/* This node's place in its network: the descriptor and the certificate on disk, the registry that
 * renews them, and the core that is told of both. The registry may be down for as long as it
 * likes: what is on disk stays in force. */
#ifndef GV_NODE_HOST_MEMBERSHIP_H
#define GV_NODE_HOST_MEMBERSHIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "crypto/certificate.h"
#include "node/base/text.h"
#include "node/host/audit.h"
#include "node/host/driver.h"
#include "node/host/enroll.h"

struct gv_membership;

struct gv_membership_options {
    uv_loop_t *loop;
    const char *folder;                 /* holds the files `descriptor` and `certificate` */
    const char *descriptor_path;        /* another descriptor, of the admin's; or NULL */
    const char *registry_url;           /* or NULL: the descriptor's own */
    const char *bind_address;           /* or NULL */
    const char *registry_ca;            /* PEM file, or NULL: the system's */
    const uint8_t *network_id;          /* GV_KEY_LEN bytes to pin, or NULL: the first that comes */
    const struct gv_identity *identity; /* borrowed until gv_membership_free */
    /* The core has a descriptor: one that was held at gv_membership_start, or a newer one. NULL is
     * allowed. */
    void (*network_known)(void *context);
    void *context;
};

/* Reads the files. Of two descriptors the newer counts. Returns GV_OK also when there is none;
 * GV_ERR_NETWORK, GV_ERR_SIGNATURE, ... when one is not valid, GV_ERR_IO, GV_ERR_MEMORY. */
int gv_membership_new(struct gv_membership **out, const struct gv_membership_options *options,
                      struct gv_text *error);
void gv_membership_free(struct gv_membership *membership); /* NULL is allowed */

/* What gv_core_new wants; NULL when there is none. Borrowed until anything below is called. */
const uint8_t *gv_membership_descriptor(const struct gv_membership *membership, size_t *len);
const uint8_t *gv_membership_certificate(const struct gv_membership *membership);
/* True when it is known whom to ask: a registry is configured, or the descriptor names one. */
bool gv_membership_has_registry(const struct gv_membership *membership);

/* From now on the core hears of what the registry sends, and certificate, descriptor and
 * revocations are kept up to date. `driver` is borrowed until gv_membership_free. */
void gv_membership_start(struct gv_membership *membership, struct gv_driver *driver);

/* What the admin asks for. `done` comes once, from the loop; see node/host/enroll.h for the answer
 * and for what is returned without a callback. GV_ERR_STATE: no descriptor yet (confirm, request),
 * or a descriptor is held already (join). `network_id`: GV_KEY_LEN bytes, the only network to be
 * joined, or NULL; one that the configuration names differently is GV_ERR_NETWORK. */
int gv_membership_join(struct gv_membership *membership, const char *registry_url,
                       const uint8_t *network_id, gv_enroll_done done, void *context);
int gv_membership_terms(struct gv_membership *membership, gv_enroll_done done, void *context);
int gv_membership_request(struct gv_membership *membership, const char *email, const char *terms,
                          const char *invitation, gv_enroll_done done, void *context);
int gv_membership_confirm(struct gv_membership *membership, const char *code, gv_enroll_done done,
                          void *context);
/* Gives this instance up, at the registry and in the mesh. GV_ERR_NO_CERTIFICATE: it is not
 * enrolled. */
int gv_membership_leave(struct gv_membership *membership, gv_enroll_done done, void *context);

struct gv_membership_status {
    char trouble[512];   /* the last failure with the registry; "" when the last try went well */
    uint64_t trouble_ms; /* unix, the first since a try went well; 0: none */
    uint64_t retry_ms;   /* unix: when it is tried again; 0: not known */
    char refused[32];    /* the registry did answer: its error word; "": it did not */
};
/* What the look at the registry's log has shown (SPEC 14.7). */
void gv_membership_audit(const struct gv_membership *membership, struct gv_audit_status *out);
void gv_membership_status(const struct gv_membership *membership, struct gv_membership_status *out);

#endif
