/* What the registry keeps (SPEC 14.5), in SQLite or PostgreSQL: for each owner his tag and his
 * email address, encrypted; for each instance its last certificate, the terms its owner accepted,
 * and a revocation if there is one; for each code that is out a hash of it; and the log of issued
 * certificates with its heads. Nothing else, and no client address. The key of the emails is a file
 * of its own beside the database. */
#ifndef GV_NODE_REGISTRY_RECORDS_H
#define GV_NODE_REGISTRY_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/certificate.h"
#include "node/base/text.h"
#include "proto/registry.h"
#include "proto/wire/log_head.h"
#include "proto/wire/revocation.h"

#define GV_CODES_MAX 10000 /* codes that are out at a time */

struct gv_records;

/* `database` is a file, or postgresql://... (node/registry/sql.h). */
int gv_records_open(struct gv_records **out, const char *database,
                    const uint8_t email_key[GV_SECRET_LEN], struct gv_text *error);
void gv_records_close(struct gv_records *records); /* NULL is allowed */

/* A transaction: no other registry process writes beside it. Finish commits when rc is GV_OK and
 * rolls back otherwise; returns rc, or why it could not commit. What is committed is on disk. */
int gv_records_begin(struct gv_records *records);
int gv_records_finish(struct gv_records *records, int rc);

/* What has expired goes: codes with the addresses they were asked for with, links, invitations,
 * days. */
int gv_records_purge(struct gv_records *records, uint32_t now_min);

/* ---- codes that are out ----------------------------------------------------------------------
 * One a key; a new one replaces the old. All return GV_OK, GV_ERR_IO, GV_ERR_BUSY, and what is
 * named. */
struct gv_pending {
    uint8_t owner[GV_ID_LEN];
    char email[GV_EMAIL_MAX + 1]; /* normalised */
    char terms[GV_TERMS_MAX + 1];
    uint32_t accepted_min;
    struct gv_code code;
    uint8_t link[GV_HASH_LEN]; /* HMAC of the token in the mail's link; put only */
    bool approved;             /* behind that link; got only */
};
/* GV_ERR_FULL: GV_CODES_MAX are out. Expired ones are removed first. */
int gv_records_put_pending(struct gv_records *records, const uint8_t key[GV_KEY_LEN],
                           const struct gv_pending *pending, uint32_t now_min);
/* GV_ERR_NOT_FOUND. */
int gv_records_pending(struct gv_records *records, struct gv_pending *out,
                       const uint8_t key[GV_KEY_LEN]);
/* The code whose link this is, and the key that it was asked for. GV_ERR_NOT_FOUND. */
int gv_records_by_link(struct gv_records *records, struct gv_pending *out, uint8_t key[GV_KEY_LEN],
                       const uint8_t link[GV_HASH_LEN]);
int gv_records_approve(struct gv_records *records, const uint8_t link[GV_HASH_LEN]);
int gv_records_set_tries(struct gv_records *records, const uint8_t key[GV_KEY_LEN], uint32_t tries);

/* ---- invitations (records_invitations.c) ------------------------------------------------------
 * `code`: its hash (invitation.h). */
#define GV_INVITATIONS_MAX 10000 /* not used yet */
/* `owner`: for him alone, or NULL. GV_ERR_FULL. Expired ones are removed first. */
int gv_records_invite(struct gv_records *records, const uint8_t code[GV_HASH_LEN],
                      const uint8_t *owner, uint32_t expires_min, uint32_t now_min);
/* For this key, from now on for no other. GV_ERR_FORBIDDEN: none such, expired, another owner's or
 * used by another key; which of these is not told. */
int gv_records_claim(struct gv_records *records, const uint8_t code[GV_HASH_LEN],
                     const uint8_t owner[GV_ID_LEN], const uint8_t key[GV_KEY_LEN],
                     uint32_t now_min);
/* Its key was admitted: whoever it was for, it is this owner's. */
int gv_records_bind_invitation(struct gv_records *records, const uint8_t key[GV_KEY_LEN],
                               const uint8_t owner[GV_ID_LEN]);

/* ---- leaving by mail (records_leaving.c) -------------------------------------------------------
 * `link`: HMAC of the token in the mail. */
#define GV_LEAVING_MAX 10000
/* GV_ERR_FULL. Expired ones are removed first. */
int gv_records_leaving_put(struct gv_records *records, const uint8_t link[GV_HASH_LEN],
                           const uint8_t owner[GV_ID_LEN], uint32_t expires_min, uint32_t now_min);
int gv_records_leaving_drop(struct gv_records *records, const uint8_t link[GV_HASH_LEN]);
/* GV_ERR_NOT_FOUND, also when it has expired. */
int gv_records_leaving(struct gv_records *records, uint8_t owner[GV_ID_LEN],
                       const uint8_t link[GV_HASH_LEN], uint32_t now_min);

/* ---- limits that the admin has changed, and the day of a domain (records_limits.c) ----------- */
enum gv_allowance {
    GV_ALLOWANCE_INSTANCES = 1 /* who: an owner tag */,
    GV_ALLOWANCE_CODES /* a domain */
};
/* value < 0: as in registry.conf again. */
int gv_records_allow(struct gv_records *records, enum gv_allowance kind, const void *who,
                     size_t len, int64_t value);
int gv_records_each_allowance(struct gv_records *records,
                              int (*each)(void *context, enum gv_allowance kind, const void *who,
                                          size_t len, int64_t value),
                              void *context);
struct gv_domain_day {
    uint32_t codes;    /* that were asked for by its addresses */
    uint32_t wait_min; /* until the day ends */
    int64_t allowed;   /* by the admin; < 0: as in registry.conf */
};
/* Counts one code more. Within a transaction. `domain`: an HMAC of its name, which alone is stored.
 */
int gv_records_domain_take(struct gv_records *records, struct gv_domain_day *out, const char *name,
                           const uint8_t domain[GV_ID_LEN], uint32_t now_min);
/* The codes of its day so far. */
int gv_records_domain_codes(struct gv_records *records, uint32_t *codes,
                            const uint8_t domain[GV_ID_LEN], uint32_t now_min);

/* ---- instances ------------------------------------------------------------------------------ */
struct gv_instance {
    uint8_t wire[GV_CERTIFICATE_LEN]; /* the last certificate issued */
    struct gv_certificate certificate;
    char terms[GV_TERMS_MAX + 1];
    uint32_t accepted_min;
    bool revoked;
};
/* By instance id. GV_ERR_NOT_FOUND. */
int gv_records_instance(struct gv_records *records, struct gv_instance *out,
                        const uint8_t instance[GV_ID_LEN]);
/* The owner's instances that are not revoked, without `except`. */
int gv_records_count(struct gv_records *records, uint32_t *out, const uint8_t owner[GV_ID_LEN],
                     const uint8_t except[GV_ID_LEN]);
/* What an admission needs to know, in one question. */
struct gv_admission {
    bool known; /* the instance, which is `held` then */
    struct gv_instance held;
    uint32_t count;  /* the owner's other instances that are not revoked */
    int64_t allowed; /* to him, by the admin; < 0: as in registry.conf */
};
int gv_records_admission(struct gv_records *records, struct gv_admission *out,
                         const uint8_t owner[GV_ID_LEN], const uint8_t instance[GV_ID_LEN]);
/* The ids of those, one after the other, at most max. */
int gv_records_of_owner(struct gv_records *records, uint8_t (*ids)[GV_ID_LEN], size_t max,
                        size_t *count, const uint8_t owner[GV_ID_LEN]);
/* Both only within a transaction, and both append to the log. Admission: owner with email, instance
 * with certificate and terms; the code is spent. */
int gv_records_admit(struct gv_records *records, const struct gv_instance *instance,
                     const struct gv_pending *pending);
int gv_records_renew(struct gv_records *records, const struct gv_instance *instance);

/* Stores the signed revocation. When the owner himself gave up his last instance his email is
 * erased with it. GV_ERR_DUPLICATE: revoked already. */
int gv_records_revoke(struct gv_records *records, const struct gv_revocation *revocation,
                      const uint8_t *wire, size_t len);
/* Is an email address of this owner's held? */
int gv_records_knows_owner(struct gv_records *records, bool *out, const uint8_t owner[GV_ID_LEN]);
/* What is held of him beside address and instances. */
enum gv_held_kind { GV_HELD_CODE = 1, GV_HELD_LINK, GV_HELD_INVITATION, GV_HELD_LIMIT };
struct gv_held {
    enum gv_held_kind kind;
    int64_t number; /* the minute of its end; a limit's instances */
    bool has_key;   /* a code's; an invitation's that was handed in */
    uint8_t key[GV_KEY_LEN];
};
int gv_records_each_held(struct gv_records *records, const uint8_t owner[GV_ID_LEN],
                         int (*each)(void *context, const struct gv_held *held), void *context);
/* Erases his address, codes and links that are out, his invitations, and what the admin allowed
 * him. Instances stay, as revocations must. */
int gv_records_forget(struct gv_records *records, const uint8_t owner[GV_ID_LEN]);
/* Calls `each` for the revocations from since_min on, oldest first, at most GV_REVOCATIONS_PAGE
 * (proto/wire/revocation.h). */
int gv_records_each_revocation(struct gv_records *records, uint32_t since_min,
                               int (*each)(void *context, const uint8_t *wire, size_t len),
                               void *context);
/* Every instance with its owner's email ("" when erased). */
int gv_records_each(struct gv_records *records,
                    int (*each)(void *context, const struct gv_instance *instance,
                                const char *email),
                    void *context);

/* ---- the log of issued certificates (SPEC 14.7), one for each registry key ------------------- */
int gv_records_log_empty(struct gv_records *records, bool *empty); /* of every key */
int gv_records_log_size(struct gv_records *records, uint32_t signer, uint64_t *size);
/* Within a transaction. */
int gv_records_log_append(struct gv_records *records, const struct gv_certificate *certificate);
int gv_records_log_each(struct gv_records *records, uint32_t signer, uint64_t from, uint64_t limit,
                        int (*each)(void *context, const uint8_t entry[GV_LOG_ENTRY_LEN]),
                        void *context);
/* Where a certificate stands. GV_ERR_NOT_FOUND. */
int gv_records_log_find(struct gv_records *records, const uint8_t certificate[GV_ID_LEN],
                        uint32_t *signer, uint64_t *place);
/* The newest head, into *wire (cleared first). GV_ERR_NOT_FOUND. */
int gv_records_log_head(struct gv_records *records, uint32_t signer, struct gv_buf *wire);
/* Within a transaction. GV_ERR_DUPLICATE: the hour has one. */
int gv_records_log_put_head(struct gv_records *records, const struct gv_log_head *head,
                            const uint8_t *wire, size_t len);

#endif
