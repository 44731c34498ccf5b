#include "node/registry/records.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/base/db.h"

#define NONCE  crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define PADDED 256 /* every address takes as much, so that its length tells nothing */
#define SEALED (NONCE + PADDED + crypto_aead_xchacha20poly1305_ietf_ABYTES)

static const char *const migrations[] = {
    "CREATE TABLE owner (owner BLOB PRIMARY KEY, email BLOB NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE instance (instance BLOB PRIMARY KEY, owner BLOB NOT NULL,"
    "  certificate BLOB NOT NULL, terms TEXT NOT NULL, accepted_min INTEGER NOT NULL,"
    "  revocation BLOB, revoked_min INTEGER) STRICT, WITHOUT ROWID;"
    "CREATE INDEX instance_owner ON instance (owner);"
    "CREATE INDEX instance_revoked ON instance (revoked_min, instance)"
    "  WHERE revocation IS NOT NULL;"
    "CREATE TABLE pending (key BLOB PRIMARY KEY, owner BLOB NOT NULL, email BLOB NOT NULL,"
    "  terms TEXT NOT NULL, accepted_min INTEGER NOT NULL, code BLOB NOT NULL,"
    "  expires_min INTEGER NOT NULL, tries INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE INDEX pending_expires ON pending (expires_min);",
};

enum statement {
    PENDING_PURGE,
    PENDING_COUNT,
    PENDING_PUT,
    PENDING_GET,
    PENDING_TRIES,
    PENDING_DROP,
    OWNER_PUT,
    OWNER_ERASE,
    INSTANCE_GET,
    INSTANCE_COUNT,
    INSTANCE_PUT,
    INSTANCE_RENEW,
    INSTANCE_REVOKE,
    INSTANCE_REVOCATIONS,
    INSTANCE_ALL,
    STATEMENTS
};

static const char *const sql[STATEMENTS] = {
    [PENDING_PURGE] = "DELETE FROM pending WHERE expires_min <= ?",
    [PENDING_COUNT] = "SELECT count(*) FROM pending WHERE key <> ?",
    [PENDING_PUT] = "REPLACE INTO pending VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    [PENDING_GET] = "SELECT owner, email, terms, accepted_min, code, expires_min, tries"
                    " FROM pending WHERE key = ?",
    [PENDING_TRIES] = "UPDATE pending SET tries = ? WHERE key = ?",
    [PENDING_DROP] = "DELETE FROM pending WHERE key = ?",
    [OWNER_PUT] = "INSERT INTO owner VALUES (?, ?) ON CONFLICT DO NOTHING",
    [OWNER_ERASE] = "DELETE FROM owner WHERE owner = (SELECT owner FROM instance WHERE"
                    "  instance = ?1) AND NOT EXISTS (SELECT 1 FROM instance AS other WHERE"
                    "  other.owner = owner.owner AND other.revocation IS NULL)",
    [INSTANCE_GET] = "SELECT certificate, terms, accepted_min, revocation IS NOT NULL"
                     " FROM instance WHERE instance = ?",
    [INSTANCE_COUNT] = "SELECT count(*) FROM instance WHERE owner = ? AND instance <> ?"
                       " AND revocation IS NULL",
    [INSTANCE_PUT] = "INSERT INTO instance VALUES (?1, ?2, ?3, ?4, ?5, NULL, NULL)"
                     " ON CONFLICT (instance) DO UPDATE SET certificate = ?3, terms = ?4,"
                     " accepted_min = ?5",
    [INSTANCE_RENEW] = "UPDATE instance SET certificate = ? WHERE instance = ?",
    [INSTANCE_REVOKE] = "UPDATE instance SET revocation = ?, revoked_min = ? WHERE instance = ?"
                        " AND revocation IS NULL",
    [INSTANCE_REVOCATIONS] = "SELECT revocation FROM instance WHERE revocation IS NOT NULL"
                             " AND revoked_min >= ? ORDER BY revoked_min, instance LIMIT ?",
    [INSTANCE_ALL] = "SELECT certificate, terms, accepted_min, revocation IS NOT NULL, email"
                     " FROM instance LEFT JOIN owner USING (owner) ORDER BY owner, instance",
};

struct gv_records {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
    uint8_t email_key[GV_SECRET_LEN]; /* secret */
};

int gv_records_open(struct gv_records **out, const char *path,
                    const uint8_t email_key[GV_SECRET_LEN], struct gv_text *error)
{
    int rc = GV_ERR_MEMORY;
    struct gv_records *records = calloc(1, sizeof *records);

    *out = NULL;
    if (!records)
        goto out;
    memcpy(records->email_key, email_key, GV_SECRET_LEN);
    rc = gv_db_open(&records->db, path, migrations, sizeof migrations / sizeof *migrations, error);
    if (rc == GV_OK) /* an erased email is overwritten, not only unlinked */
        rc = gv_db_exec(records->db, "PRAGMA secure_delete = ON", error);
    for (size_t i = 0; rc == GV_OK && i < STATEMENTS; i++)
        rc = gv_db_prepare(records->db, &records->statements[i], sql[i], error);
    if (rc == GV_OK) {
        *out = records;
        records = NULL; /* handed over */
    }
out:
    gv_records_close(records);
    return rc;
}

void gv_records_close(struct gv_records *records)
{
    if (!records)
        return;
    for (size_t i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(records->statements[i]);
    gv_db_close(records->db);
    gv_wipe(records->email_key, sizeof records->email_key);
    free(records);
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

static int unseal(char out[GV_EMAIL_MAX + 1], const struct gv_records *records,
                  sqlite3_stmt *statement, int column, const uint8_t owner[GV_ID_LEN])
{
    uint8_t sealed[SEALED], padded[PADDED];
    unsigned long long len = 0;

    out[0] = '\0';
    if (gv_db_blob(statement, column, sealed, sizeof sealed) != GV_OK)
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

static void column_text(char *out, size_t cap, sqlite3_stmt *statement, int column)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    size_t len = text ? strlen(text) : 0;

    if (len >= cap)
        len = cap - 1;
    if (len)
        memcpy(out, text, len);
    out[len] = '\0';
}

/* ---- codes that are out --------------------------------------------------------------------- */

int gv_records_put_pending(struct gv_records *records, const uint8_t key[GV_KEY_LEN],
                           const struct gv_pending *pending, uint32_t now_min)
{
    uint8_t email[SEALED];
    sqlite3_stmt *count = records->statements[PENDING_COUNT];
    int rc = gv_db_run(records->statements[PENDING_PURGE], "i", (int64_t)now_min);

    if (rc == GV_OK)
        rc = gv_db_bind(count, "b", key, (size_t)GV_KEY_LEN);
    if (rc != GV_OK)
        return rc;
    rc = gv_db_step(count);
    int64_t others = rc == 1 ? sqlite3_column_int64(count, 0) : 0;
    sqlite3_reset(count);
    if (rc < 0)
        return rc;
    if (others >= GV_CODES_MAX)
        return GV_ERR_FULL;
    seal(email, records, pending->email, pending->owner);
    return gv_db_run(records->statements[PENDING_PUT], "bbbtibii", key, (size_t)GV_KEY_LEN,
                     pending->owner, (size_t)GV_ID_LEN, email, sizeof email, pending->terms,
                     (int64_t)pending->accepted_min, pending->code.hash, (size_t)GV_HASH_LEN,
                     (int64_t)pending->code.expires_min, (int64_t)pending->code.tries);
}

int gv_records_pending(struct gv_records *records, struct gv_pending *out,
                       const uint8_t key[GV_KEY_LEN])
{
    sqlite3_stmt *get = records->statements[PENDING_GET];
    int rc = gv_db_bind(get, "b", key, (size_t)GV_KEY_LEN);

    memset(out, 0, sizeof *out);
    if (rc != GV_OK)
        return rc;
    rc = gv_db_step(get);
    if (rc != 1)
        return rc == 0 ? GV_ERR_NOT_FOUND : rc;
    rc = gv_db_blob(get, 0, out->owner, GV_ID_LEN);
    if (rc == GV_OK)
        rc = unseal(out->email, records, get, 1, out->owner);
    if (rc == GV_OK)
        rc = gv_db_blob(get, 4, out->code.hash, GV_HASH_LEN);
    column_text(out->terms, sizeof out->terms, get, 2);
    out->accepted_min = (uint32_t)sqlite3_column_int64(get, 3);
    out->code.expires_min = (uint32_t)sqlite3_column_int64(get, 5);
    out->code.tries = (uint32_t)sqlite3_column_int64(get, 6);
    sqlite3_reset(get);
    return rc == GV_OK ? GV_OK : GV_ERR_IO;
}

int gv_records_set_tries(struct gv_records *records, const uint8_t key[GV_KEY_LEN], uint32_t tries)
{
    return gv_db_run(records->statements[PENDING_TRIES], "ib", (int64_t)tries, key,
                     (size_t)GV_KEY_LEN);
}

/* ---- instances ------------------------------------------------------------------------------ */

static int read_instance(struct gv_instance *out, sqlite3_stmt *row)
{
    memset(out, 0, sizeof *out);
    if (gv_db_blob(row, 0, out->wire, sizeof out->wire) != GV_OK ||
        gv_certificate_parse(&out->certificate, out->wire, sizeof out->wire) != GV_OK)
        return GV_ERR_IO;
    column_text(out->terms, sizeof out->terms, row, 1);
    out->accepted_min = (uint32_t)sqlite3_column_int64(row, 2);
    out->revoked = sqlite3_column_int(row, 3) != 0;
    return GV_OK;
}

int gv_records_instance(struct gv_records *records, struct gv_instance *out,
                        const uint8_t instance[GV_ID_LEN])
{
    sqlite3_stmt *get = records->statements[INSTANCE_GET];
    int rc = gv_db_bind(get, "b", instance, (size_t)GV_ID_LEN);

    memset(out, 0, sizeof *out);
    if (rc != GV_OK)
        return rc;
    rc = gv_db_step(get);
    if (rc != 1)
        return rc == 0 ? GV_ERR_NOT_FOUND : rc;
    rc = read_instance(out, get);
    sqlite3_reset(get);
    return rc;
}

int gv_records_count(struct gv_records *records, uint32_t *out, const uint8_t owner[GV_ID_LEN],
                     const uint8_t except[GV_ID_LEN])
{
    sqlite3_stmt *count = records->statements[INSTANCE_COUNT];
    int rc = gv_db_bind(count, "bb", owner, (size_t)GV_ID_LEN, except, (size_t)GV_ID_LEN);

    *out = UINT32_MAX; /* unread, it stands for a full house */
    if (rc != GV_OK)
        return rc;
    rc = gv_db_step(count);
    if (rc == 1)
        *out = (uint32_t)sqlite3_column_int64(count, 0);
    sqlite3_reset(count);
    return rc == 1 ? GV_OK : GV_ERR_IO;
}

static int finish(struct gv_records *records, int rc)
{
    if (rc == GV_OK)
        rc = gv_db_exec(records->db, "COMMIT", NULL);
    if (rc != GV_OK)
        gv_db_exec(records->db, "ROLLBACK", NULL);
    return rc;
}

int gv_records_admit(struct gv_records *records, const struct gv_instance *instance,
                     const struct gv_pending *pending)
{
    const struct gv_certificate *certificate = &instance->certificate;
    uint8_t email[SEALED];
    int rc = gv_db_exec(records->db, "BEGIN IMMEDIATE", NULL);

    if (rc != GV_OK)
        return rc;
    seal(email, records, pending->email, pending->owner);
    rc = gv_db_run(records->statements[OWNER_PUT], "bb", pending->owner, (size_t)GV_ID_LEN, email,
                   sizeof email);
    if (rc == GV_OK)
        rc = gv_db_run(records->statements[INSTANCE_PUT], "bbbti", certificate->instance,
                       (size_t)GV_ID_LEN, certificate->owner, (size_t)GV_ID_LEN, instance->wire,
                       sizeof instance->wire, pending->terms, (int64_t)pending->accepted_min);
    if (rc == GV_OK)
        rc =
            gv_db_run(records->statements[PENDING_DROP], "b", certificate->key, (size_t)GV_KEY_LEN);
    return finish(records, rc);
}

int gv_records_renew(struct gv_records *records, const struct gv_instance *instance)
{
    return gv_db_run(records->statements[INSTANCE_RENEW], "bb", instance->wire,
                     sizeof instance->wire, instance->certificate.instance, (size_t)GV_ID_LEN);
}

int gv_records_revoke(struct gv_records *records, const struct gv_revocation *revocation,
                      const uint8_t *wire, size_t len)
{
    int rc = gv_db_exec(records->db, "BEGIN IMMEDIATE", NULL);

    if (rc != GV_OK)
        return rc;
    rc = gv_db_run(records->statements[INSTANCE_REVOKE], "bib", wire, len,
                   (int64_t)revocation->revoked_min, revocation->instance, (size_t)GV_ID_LEN);
    if (rc == GV_OK && sqlite3_changes(records->db) == 0)
        rc = GV_ERR_DUPLICATE;
    if (rc == GV_OK && revocation->reason == GV_REVOKED_BY_OWNER)
        rc = gv_db_run(records->statements[OWNER_ERASE], "b", revocation->instance,
                       (size_t)GV_ID_LEN);
    return finish(records, rc);
}

int gv_records_each_revocation(struct gv_records *records, uint32_t since_min,
                               int (*each)(void *context, const uint8_t *wire, size_t len),
                               void *context)
{
    sqlite3_stmt *all = records->statements[INSTANCE_REVOCATIONS];
    int rc = gv_db_bind(all, "ii", (int64_t)since_min, (int64_t)GV_REVOCATIONS_PAGE);

    while (rc == GV_OK && (rc = gv_db_step(all)) == 1)
        rc = each(context, sqlite3_column_blob(all, 0), (size_t)sqlite3_column_bytes(all, 0));
    sqlite3_reset(all);
    return rc;
}

int gv_records_each(struct gv_records *records,
                    int (*each)(void *context, const struct gv_instance *instance,
                                const char *email),
                    void *context)
{
    sqlite3_stmt *all = records->statements[INSTANCE_ALL];
    struct gv_instance instance;
    char email[GV_EMAIL_MAX + 1] = "";
    int rc = gv_db_bind(all, "");

    while (rc == GV_OK && (rc = gv_db_step(all)) == 1) {
        rc = read_instance(&instance, all);
        if (rc == GV_OK && sqlite3_column_type(all, 4) != SQLITE_NULL)
            rc = unseal(email, records, all, 4, instance.certificate.owner);
        else
            email[0] = '\0';
        if (rc == GV_OK)
            rc = each(context, &instance, email);
    }
    sqlite3_reset(all);
    gv_wipe(email, sizeof email);
    return rc;
}
