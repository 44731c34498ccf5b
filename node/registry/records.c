#include "node/registry/records.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/registry/records_internal.h"

#define NONCE  crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define PADDED 256 /* every address takes as much, so that its length tells nothing */
#define SEALED (NONCE + PADDED + crypto_aead_xchacha20poly1305_ietf_ABYTES)

int gv_records_open(struct gv_records **out, const char *database,
                    const uint8_t email_key[GV_SECRET_LEN], struct gv_text *error)
{
    struct gv_records *records = calloc(1, sizeof *records);

    *out = NULL;
    if (!records)
        return gv_fail(error, GV_ERR_MEMORY, "out of memory");
    memcpy(records->email_key, email_key, GV_SECRET_LEN);
    int rc = gv_sql_open(&records->sql, database, &gv_records_schema, error);
    if (rc == GV_OK)
        *out = records;
    else
        gv_records_close(records);
    return rc;
}

void gv_records_close(struct gv_records *records)
{
    if (!records)
        return;
    gv_sql_close(records->sql);
    gv_wipe(records->email_key, sizeof records->email_key);
    free(records);
}

int gv_records_begin(struct gv_records *records)
{
    return gv_sql_begin(records->sql);
}

int gv_records_finish(struct gv_records *records, int rc)
{
    return gv_sql_finish(records->sql, rc);
}

/* ---- emails at rest ------------------------------------------------------------------------- */

/* nonce || XChaCha20-Poly1305(padded address), with the owner tag as associated data: an address
 * moved to another owner's row does not open. */
static void seal(uint8_t out[SEALED], const struct gv_records *records, const char *email,
                 const uint8_t owner[GV_ID_LEN])
{
    uint8_t padded[PADDED] = {0};
    unsigned long long len = 0;

    memcpy(padded, email, strlen(email)); /* at most GV_EMAIL_MAX */
    randombytes_buf(out, NONCE);
    crypto_aead_xchacha20poly1305_ietf_encrypt(out + NONCE, &len, padded, sizeof padded, owner,
                                               GV_ID_LEN, NULL, out, records->email_key);
    gv_wipe(padded, sizeof padded);
}

static int unseal(char out[GV_EMAIL_MAX + 1], const struct gv_records *records, unsigned statement,
                  int column, const uint8_t owner[GV_ID_LEN])
{
    uint8_t sealed[SEALED], padded[PADDED];
    unsigned long long len = 0;

    out[0] = '\0';
    if (gv_sql_blob(records->sql, statement, column, sealed, sizeof sealed) != GV_OK)
        return GV_ERR_MALFORMED;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(padded, &len, NULL, sealed + NONCE,
                                                   sizeof sealed - NONCE, owner, GV_ID_LEN, sealed,
                                                   records->email_key) != 0)
        return GV_ERR_DECRYPT;
    memcpy(out, padded, GV_EMAIL_MAX);
    out[GV_EMAIL_MAX] = '\0';
    gv_wipe(padded, sizeof padded);
    return GV_OK;
}

/* ---- codes that are out --------------------------------------------------------------------- */

/* Once a minute, because counting looks at all of them; near the limit each time. */
static int count_pending(struct gv_records *records, const uint8_t key[GV_KEY_LEN],
                         uint32_t now_min)
{
    struct gv_sql *sql = records->sql;

    if (records->counted_min == now_min && records->pending < GV_CODES_MAX)
        return GV_OK;
    int rc = gv_sql_run(sql, PENDING_PURGE, "i", (int64_t)now_min);
    if (rc == GV_OK)
        rc = gv_sql_run(sql, DOMAIN_PURGE, "i", (int64_t)now_min);
    if (rc == GV_OK)
        rc = gv_sql_query(sql, PENDING_COUNT, "b", key, (size_t)GV_KEY_LEN);
    if (rc == GV_OK)
        rc = gv_sql_step(sql, PENDING_COUNT);
    if (rc == 1)
        records->pending = gv_sql_number(sql, PENDING_COUNT, 0);
    gv_sql_end(sql, PENDING_COUNT);
    if (rc == 1)
        records->counted_min = now_min;
    return rc == 1 ? GV_OK : rc < 0 ? rc : GV_ERR_IO;
}

int gv_records_room(struct gv_records *records, enum gv_records_statement purge,
                    enum gv_records_statement count, int64_t max, bool with_now, uint32_t now_min)
{
    struct gv_sql *sql = records->sql;
    int rc = gv_sql_run(sql, purge, "i", (int64_t)now_min);

    if (rc == GV_OK)
        rc = with_now ? gv_sql_query(sql, count, "i", (int64_t)now_min)
                      : gv_sql_query(sql, count, "");
    if (rc == GV_OK)
        rc = gv_sql_step(sql, count);
    int64_t out = rc == 1 ? gv_sql_number(sql, count, 0) : 0;
    gv_sql_end(sql, count);
    if (rc != 1)
        return rc < 0 ? rc : GV_ERR_IO;
    return out < max ? GV_OK : GV_ERR_FULL;
}

int gv_records_purge(struct gv_records *records, uint32_t now_min)
{
    static const enum gv_records_statement all[] = {PENDING_PURGE, LEAVING_PURGE, INVITATION_PURGE,
                                                    DOMAIN_PURGE};
    int rc = GV_OK;

    for (size_t i = 0; rc == GV_OK && i < sizeof all / sizeof *all; i++)
        rc = gv_sql_run(records->sql, all[i], "i", (int64_t)now_min);
    return rc;
}

int gv_records_put_pending(struct gv_records *records, const uint8_t key[GV_KEY_LEN],
                           const struct gv_pending *pending, uint32_t now_min)
{
    uint8_t email[SEALED];
    struct gv_sql *sql = records->sql;
    int rc = count_pending(records, key, now_min);

    if (rc != GV_OK)
        return rc;
    if (records->pending >= GV_CODES_MAX)
        return GV_ERR_FULL;
    records->pending++;
    seal(email, records, pending->email, pending->owner);
    return gv_sql_later(sql, PENDING_PUT, "bbbtibiib", key, (size_t)GV_KEY_LEN, pending->owner,
                        (size_t)GV_ID_LEN, email, sizeof email, pending->terms,
                        (int64_t)pending->accepted_min, pending->code.hash, (size_t)GV_HASH_LEN,
                        (int64_t)pending->code.expires_min, (int64_t)pending->code.tries,
                        pending->link, (size_t)GV_HASH_LEN);
}

/* By key or by link: the same columns. */
static int read_pending(struct gv_records *records, struct gv_pending *out, uint8_t key[GV_KEY_LEN],
                        unsigned get, const uint8_t *by, size_t by_len)
{
    struct gv_sql *sql = records->sql;
    int rc = gv_sql_query(sql, get, "b", by, by_len);

    memset(out, 0, sizeof *out);
    if (rc == GV_OK)
        rc = gv_sql_step(sql, get);
    if (rc != 1) {
        gv_sql_end(sql, get);
        return rc == 0 ? GV_ERR_NOT_FOUND : rc;
    }
    rc = gv_sql_blob(sql, get, 0, out->owner, GV_ID_LEN);
    if (rc == GV_OK)
        rc = unseal(out->email, records, get, 1, out->owner);
    if (rc == GV_OK)
        rc = gv_sql_blob(sql, get, 4, out->code.hash, GV_HASH_LEN);
    if (rc == GV_OK)
        rc = gv_sql_blob(sql, get, 8, key, GV_KEY_LEN);
    gv_sql_text(sql, get, 2, out->terms, sizeof out->terms);
    out->accepted_min = (uint32_t)gv_sql_number(sql, get, 3);
    out->code.expires_min = (uint32_t)gv_sql_number(sql, get, 5);
    out->code.tries = (uint32_t)gv_sql_number(sql, get, 6);
    out->approved = gv_sql_number(sql, get, 7) != 0;
    gv_sql_end(sql, get);
    return rc == GV_OK ? GV_OK : GV_ERR_IO;
}

int gv_records_pending(struct gv_records *records, struct gv_pending *out,
                       const uint8_t key[GV_KEY_LEN])
{
    uint8_t same[GV_KEY_LEN];

    return read_pending(records, out, same, PENDING_GET, key, GV_KEY_LEN);
}

int gv_records_by_link(struct gv_records *records, struct gv_pending *out, uint8_t key[GV_KEY_LEN],
                       const uint8_t link[GV_HASH_LEN])
{
    return read_pending(records, out, key, PENDING_BY_LINK, link, GV_HASH_LEN);
}

int gv_records_approve(struct gv_records *records, const uint8_t link[GV_HASH_LEN])
{
    int rc = gv_sql_run(records->sql, PENDING_APPROVE, "b", link, (size_t)GV_HASH_LEN);

    return rc == GV_OK && gv_sql_changes(records->sql) == 0 ? GV_ERR_NOT_FOUND : rc;
}

int gv_records_set_tries(struct gv_records *records, const uint8_t key[GV_KEY_LEN], uint32_t tries)
{
    return gv_sql_run(records->sql, PENDING_TRIES, "ib", (int64_t)tries, key, (size_t)GV_KEY_LEN);
}

/* ---- instances ------------------------------------------------------------------------------ */

static int read_instance(struct gv_instance *out, struct gv_sql *sql, unsigned statement)
{
    memset(out, 0, sizeof *out);
    if (gv_sql_blob(sql, statement, 0, out->wire, sizeof out->wire) != GV_OK ||
        gv_certificate_parse(&out->certificate, out->wire, sizeof out->wire) != GV_OK)
        return GV_ERR_IO;
    gv_sql_text(sql, statement, 1, out->terms, sizeof out->terms);
    out->accepted_min = (uint32_t)gv_sql_number(sql, statement, 2);
    out->revoked = gv_sql_number(sql, statement, 3) != 0;
    return GV_OK;
}

int gv_records_instance(struct gv_records *records, struct gv_instance *out,
                        const uint8_t instance[GV_ID_LEN])
{
    int rc = gv_sql_query(records->sql, INSTANCE_GET, "b", instance, (size_t)GV_ID_LEN);

    memset(out, 0, sizeof *out);
    if (rc == GV_OK)
        rc = gv_sql_step(records->sql, INSTANCE_GET);
    rc = rc == 1 ? read_instance(out, records->sql, INSTANCE_GET) : rc == 0 ? GV_ERR_NOT_FOUND : rc;
    gv_sql_end(records->sql, INSTANCE_GET);
    return rc;
}

int gv_records_admission(struct gv_records *records, struct gv_admission *out,
                         const uint8_t owner[GV_ID_LEN], const uint8_t instance[GV_ID_LEN])
{
    struct gv_sql *sql = records->sql;
    int rc = gv_sql_query(sql, INSTANCE_ADMISSION, "bb", owner, (size_t)GV_ID_LEN, instance,
                          (size_t)GV_ID_LEN);

    memset(out, 0, sizeof *out);
    if (rc == GV_OK)
        rc = gv_sql_step(sql, INSTANCE_ADMISSION);
    if (rc == 1) {
        out->known = !gv_sql_is_null(sql, INSTANCE_ADMISSION, 0);
        out->count = (uint32_t)gv_sql_number(sql, INSTANCE_ADMISSION, 4);
        out->allowed = gv_sql_is_null(sql, INSTANCE_ADMISSION, 5)
                           ? -1
                           : gv_sql_number(sql, INSTANCE_ADMISSION, 5);
        rc = out->known ? read_instance(&out->held, sql, INSTANCE_ADMISSION) : GV_OK;
    } else if (rc == 0) {
        rc = GV_ERR_IO;
    }
    gv_sql_end(sql, INSTANCE_ADMISSION);
    return rc;
}

int gv_records_count(struct gv_records *records, uint32_t *out, const uint8_t owner[GV_ID_LEN],
                     const uint8_t except[GV_ID_LEN])
{
    int rc = gv_sql_query(records->sql, INSTANCE_COUNT, "bb", owner, (size_t)GV_ID_LEN, except,
                          (size_t)GV_ID_LEN);

    *out = UINT32_MAX; /* unread, it stands for a full house */
    if (rc == GV_OK)
        rc = gv_sql_step(records->sql, INSTANCE_COUNT);
    if (rc == 1)
        *out = (uint32_t)gv_sql_number(records->sql, INSTANCE_COUNT, 0);
    gv_sql_end(records->sql, INSTANCE_COUNT);
    return rc == 1 ? GV_OK : rc < 0 ? rc : GV_ERR_IO;
}

int gv_records_of_owner(struct gv_records *records, uint8_t (*ids)[GV_ID_LEN], size_t max,
                        size_t *count, const uint8_t owner[GV_ID_LEN])
{
    struct gv_sql *sql = records->sql;
    int rc = gv_sql_query(sql, INSTANCE_OF_OWNER, "b", owner, (size_t)GV_ID_LEN);

    *count = 0;
    while (rc == GV_OK && *count < max && (rc = gv_sql_step(sql, INSTANCE_OF_OWNER)) == 1)
        rc = gv_sql_blob(sql, INSTANCE_OF_OWNER, 0, ids[(*count)++], GV_ID_LEN);
    gv_sql_end(sql, INSTANCE_OF_OWNER);
    return rc;
}

int gv_records_admit(struct gv_records *records, const struct gv_instance *instance,
                     const struct gv_pending *pending)
{
    const struct gv_certificate *certificate = &instance->certificate;
    struct gv_sql *sql = records->sql;
    uint8_t email[SEALED];

    seal(email, records, pending->email, pending->owner);
    int rc =
        gv_sql_later(sql, OWNER_PUT, "bb", pending->owner, (size_t)GV_ID_LEN, email, sizeof email);
    if (rc == GV_OK)
        rc = gv_sql_later(sql, INSTANCE_PUT, "bbbti", certificate->instance, (size_t)GV_ID_LEN,
                          certificate->owner, (size_t)GV_ID_LEN, instance->wire,
                          sizeof instance->wire, pending->terms, (int64_t)pending->accepted_min);
    if (rc == GV_OK)
        rc = gv_sql_later(sql, PENDING_DROP, "b", certificate->key, (size_t)GV_KEY_LEN);
    return rc == GV_OK ? gv_records_log_append(records, certificate) : rc;
}

int gv_records_renew(struct gv_records *records, const struct gv_instance *instance)
{
    int rc = gv_sql_later(records->sql, INSTANCE_RENEW, "bb", instance->wire, sizeof instance->wire,
                          instance->certificate.instance, (size_t)GV_ID_LEN);

    return rc == GV_OK ? gv_records_log_append(records, &instance->certificate) : rc;
}

int gv_records_revoke(struct gv_records *records, const struct gv_revocation *revocation,
                      const uint8_t *wire, size_t len)
{
    int rc = gv_sql_begin(records->sql);

    if (rc != GV_OK)
        return rc;
    rc = gv_sql_run(records->sql, INSTANCE_REVOKE, "bib", wire, len,
                    (int64_t)revocation->revoked_min, revocation->instance, (size_t)GV_ID_LEN);
    if (rc == GV_OK && gv_sql_changes(records->sql) == 0)
        rc = GV_ERR_DUPLICATE;
    if (rc == GV_OK && revocation->reason == GV_REVOKED_BY_OWNER)
        rc = gv_sql_run(records->sql, OWNER_ERASE, "b", revocation->instance, (size_t)GV_ID_LEN);
    return gv_sql_finish(records->sql, rc);
}

int gv_records_knows_owner(struct gv_records *records, bool *out, const uint8_t owner[GV_ID_LEN])
{
    int rc = gv_sql_query(records->sql, OWNER_KNOWN, "b", owner, (size_t)GV_ID_LEN);

    if (rc == GV_OK)
        rc = gv_sql_step(records->sql, OWNER_KNOWN);
    *out = rc == 1;
    gv_sql_end(records->sql, OWNER_KNOWN);
    return rc < 0 ? rc : GV_OK;
}

int gv_records_each_held(struct gv_records *records, const uint8_t owner[GV_ID_LEN],
                         int (*each)(void *context, const struct gv_held *held), void *context)
{
    struct gv_sql *sql = records->sql;
    int rc = gv_sql_query(sql, HELD_ALL, "b", owner, (size_t)GV_ID_LEN);

    while (rc == GV_OK && (rc = gv_sql_step(sql, HELD_ALL)) == 1) {
        struct gv_held held = {.kind = (enum gv_held_kind)gv_sql_number(sql, HELD_ALL, 0),
                               .number = gv_sql_number(sql, HELD_ALL, 1),
                               .has_key = !gv_sql_is_null(sql, HELD_ALL, 2)};
        rc = held.has_key ? gv_sql_blob(sql, HELD_ALL, 2, held.key, GV_KEY_LEN) : GV_OK;
        if (rc == GV_OK)
            rc = each(context, &held);
    }
    gv_sql_end(sql, HELD_ALL);
    return rc;
}

int gv_records_forget(struct gv_records *records, const uint8_t owner[GV_ID_LEN])
{
    int rc = gv_sql_begin(records->sql);

    if (rc != GV_OK)
        return rc;
    rc = gv_sql_run(records->sql, OWNER_FORGET, "b", owner, (size_t)GV_ID_LEN);
    if (rc == GV_OK)
        rc = gv_sql_run(records->sql, PENDING_FORGET, "b", owner, (size_t)GV_ID_LEN);
    if (rc == GV_OK)
        rc = gv_sql_run(records->sql, LEAVING_FORGET, "b", owner, (size_t)GV_ID_LEN);
    if (rc == GV_OK)
        rc = gv_sql_run(records->sql, INVITATION_FORGET, "b", owner, (size_t)GV_ID_LEN);
    if (rc == GV_OK)
        rc = gv_sql_run(records->sql, ALLOWANCE_DROP, "ib", (int64_t)GV_ALLOWANCE_INSTANCES, owner,
                        (size_t)GV_ID_LEN);
    return gv_sql_finish(records->sql, rc);
}

int gv_records_each_revocation(struct gv_records *records, uint32_t since_min,
                               int (*each)(void *context, const uint8_t *wire, size_t len),
                               void *context)
{
    size_t len = 0;
    int rc = gv_sql_query(records->sql, INSTANCE_REVOCATIONS, "ii", (int64_t)since_min,
                          (int64_t)GV_REVOCATIONS_PAGE);

    while (rc == GV_OK && (rc = gv_sql_step(records->sql, INSTANCE_REVOCATIONS)) == 1) {
        const uint8_t *wire = gv_sql_bytes(records->sql, INSTANCE_REVOCATIONS, 0, &len);
        rc = each(context, wire, len);
    }
    gv_sql_end(records->sql, INSTANCE_REVOCATIONS);
    return rc;
}

int gv_records_each(struct gv_records *records,
                    int (*each)(void *context, const struct gv_instance *instance,
                                const char *email),
                    void *context)
{
    struct gv_sql *sql = records->sql;
    struct gv_instance instance;
    char email[GV_EMAIL_MAX + 1] = "";
    int rc = gv_sql_query(sql, INSTANCE_ALL, "");

    while (rc == GV_OK && (rc = gv_sql_step(sql, INSTANCE_ALL)) == 1) {
        email[0] = '\0';
        rc = read_instance(&instance, sql, INSTANCE_ALL);
        if (rc == GV_OK && !gv_sql_is_null(sql, INSTANCE_ALL, 4))
            rc = unseal(email, records, INSTANCE_ALL, 4, instance.certificate.owner);
        if (rc == GV_OK)
            rc = each(context, &instance, email);
    }
    gv_sql_end(sql, INSTANCE_ALL);
    gv_wipe(email, sizeof email);
    return rc;
}
