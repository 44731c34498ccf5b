/* The registry's tables and statements, for SQLite and PostgreSQL. */
#include "node/registry/records_internal.h"

static const char *const sqlite[] = {
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
    "CREATE TABLE log (signer INTEGER NOT NULL, place INTEGER NOT NULL,"
    "  certificate BLOB NOT NULL, entry BLOB NOT NULL, PRIMARY KEY (signer, place))"
    "  STRICT, WITHOUT ROWID;"
    "CREATE UNIQUE INDEX log_certificate ON log (certificate);"
    "CREATE TABLE log_head (signer INTEGER NOT NULL, minute INTEGER NOT NULL,"
    "  wire BLOB NOT NULL, PRIMARY KEY (signer, minute)) STRICT, WITHOUT ROWID;",
    /* Codes live half an hour: those that are out are asked for again. */
    "DROP TABLE pending;"
    "CREATE TABLE pending (key BLOB PRIMARY KEY, owner BLOB NOT NULL, email BLOB NOT NULL,"
    "  terms TEXT NOT NULL, accepted_min INTEGER NOT NULL, code BLOB NOT NULL,"
    "  expires_min INTEGER NOT NULL, tries INTEGER NOT NULL, link BLOB NOT NULL,"
    "  approved INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE INDEX pending_expires ON pending (expires_min);"
    "CREATE UNIQUE INDEX pending_link ON pending (link);",
    ("CREATE TABLE invitation (code BLOB PRIMARY KEY, owner BLOB, expires_min INTEGER NOT NULL,"
     "  key BLOB) STRICT, WITHOUT ROWID;"),
    /* who: an owner tag, a domain's name; what the admin allows him beside registry.conf. */
    "CREATE TABLE leaving (link BLOB PRIMARY KEY, owner BLOB NOT NULL,"
    "  expires_min INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE allowance (kind INTEGER NOT NULL, who BLOB NOT NULL, value INTEGER NOT NULL,"
    "  PRIMARY KEY (kind, who)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE domain_day (domain BLOB PRIMARY KEY, start_min INTEGER NOT NULL,"
    "  codes INTEGER NOT NULL) STRICT, WITHOUT ROWID;",
};

static const char *const postgres[] = {
    "CREATE TABLE owner (owner BYTEA PRIMARY KEY, email BYTEA NOT NULL);"
    "CREATE TABLE instance (instance BYTEA PRIMARY KEY, owner BYTEA NOT NULL,"
    "  certificate BYTEA NOT NULL, terms TEXT NOT NULL, accepted_min BIGINT NOT NULL,"
    "  revocation BYTEA, revoked_min BIGINT);"
    "CREATE INDEX instance_owner ON instance (owner);"
    "CREATE INDEX instance_revoked ON instance (revoked_min, instance)"
    "  WHERE revocation IS NOT NULL;"
    "CREATE TABLE pending (key BYTEA PRIMARY KEY, owner BYTEA NOT NULL, email BYTEA NOT NULL,"
    "  terms TEXT NOT NULL, accepted_min BIGINT NOT NULL, code BYTEA NOT NULL,"
    "  expires_min BIGINT NOT NULL, tries BIGINT NOT NULL);"
    "CREATE INDEX pending_expires ON pending (expires_min);",
    "CREATE TABLE log (signer BIGINT NOT NULL, place BIGINT NOT NULL,"
    "  certificate BYTEA NOT NULL, entry BYTEA NOT NULL, PRIMARY KEY (signer, place));"
    "CREATE UNIQUE INDEX log_certificate ON log (certificate);"
    "CREATE TABLE log_head (signer BIGINT NOT NULL, minute BIGINT NOT NULL,"
    "  wire BYTEA NOT NULL, PRIMARY KEY (signer, minute));",
    "DROP TABLE pending;"
    "CREATE TABLE pending (key BYTEA PRIMARY KEY, owner BYTEA NOT NULL, email BYTEA NOT NULL,"
    "  terms TEXT NOT NULL, accepted_min BIGINT NOT NULL, code BYTEA NOT NULL,"
    "  expires_min BIGINT NOT NULL, tries BIGINT NOT NULL, link BYTEA NOT NULL,"
    "  approved BIGINT NOT NULL);"
    "CREATE INDEX pending_expires ON pending (expires_min);"
    "CREATE UNIQUE INDEX pending_link ON pending (link);",
    ("CREATE TABLE invitation (code BYTEA PRIMARY KEY, owner BYTEA, expires_min BIGINT NOT NULL,"
     "  key BYTEA);"),
    /* who: an owner tag, a domain's name; what the admin allows him beside registry.conf. */
    "CREATE TABLE leaving (link BYTEA PRIMARY KEY, owner BYTEA NOT NULL,"
    "  expires_min BIGINT NOT NULL);"
    "CREATE TABLE allowance (kind BIGINT NOT NULL, who BYTEA NOT NULL, value BIGINT NOT NULL,"
    "  PRIMARY KEY (kind, who));"
    "CREATE TABLE domain_day (domain BYTEA PRIMARY KEY, start_min BIGINT NOT NULL,"
    "  codes BIGINT NOT NULL);",
};

_Static_assert(sizeof sqlite == sizeof postgres, "each has the same migrations");

static const char *const statements[STATEMENTS] = {
    [PENDING_PURGE] = "DELETE FROM pending WHERE expires_min <= ?1",
    [PENDING_COUNT] = "SELECT count(*) FROM pending WHERE key <> ?1",
    [PENDING_PUT] = "INSERT INTO pending VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 0)"
                    " ON CONFLICT (key) DO UPDATE SET owner = ?2, email = ?3, terms = ?4,"
                    " accepted_min = ?5, code = ?6, expires_min = ?7, tries = ?8, link = ?9,"
                    " approved = 0",
    [PENDING_GET] = "SELECT owner, email, terms, accepted_min, code, expires_min, tries,"
                    " approved, key FROM pending WHERE key = ?1",
    [PENDING_BY_LINK] = "SELECT owner, email, terms, accepted_min, code, expires_min, tries,"
                        " approved, key FROM pending WHERE link = ?1",
    [PENDING_APPROVE] = "UPDATE pending SET approved = 1 WHERE link = ?1",
    [PENDING_TRIES] = "UPDATE pending SET tries = ?1 WHERE key = ?2",
    [PENDING_DROP] = "DELETE FROM pending WHERE key = ?1",
    [OWNER_PUT] = "INSERT INTO owner VALUES (?1, ?2) ON CONFLICT DO NOTHING",
    [OWNER_ERASE] = "DELETE FROM owner WHERE owner = (SELECT owner FROM instance WHERE"
                    "  instance = ?1) AND NOT EXISTS (SELECT 1 FROM instance AS other WHERE"
                    "  other.owner = owner.owner AND other.revocation IS NULL)",
    [OWNER_KNOWN] = "SELECT 1 FROM owner WHERE owner = ?1 UNION ALL SELECT 1 FROM pending"
                    " WHERE owner = ?1",
    [OWNER_FORGET] = "DELETE FROM owner WHERE owner = ?1",
    [PENDING_FORGET] = "DELETE FROM pending WHERE owner = ?1",
    [INSTANCE_GET] = "SELECT certificate, terms, accepted_min, revocation IS NOT NULL"
                     " FROM instance WHERE instance = ?1",
    [INSTANCE_COUNT] = "SELECT count(*) FROM instance WHERE owner = ?1 AND instance <> ?2"
                       " AND revocation IS NULL",
    /* One row always: the instance, if it is there, and what its owner has and may have. */
    [INSTANCE_ADMISSION] =
        "SELECT held.certificate, held.terms, held.accepted_min, held.revocation IS NOT NULL,"
        " (SELECT count(*) FROM instance WHERE owner = ?1 AND instance <> ?2 AND revocation IS "
        "NULL),"
        " (SELECT value FROM allowance WHERE kind = 1 AND who = ?1)"
        " FROM (SELECT 1 AS one) AS one LEFT JOIN instance AS held ON held.instance = ?2",
    [INSTANCE_OF_OWNER] = "SELECT instance FROM instance WHERE owner = ?1 AND revocation IS NULL"
                          " ORDER BY instance",
    [INSTANCE_PUT] = "INSERT INTO instance VALUES (?1, ?2, ?3, ?4, ?5, NULL, NULL)"
                     " ON CONFLICT (instance) DO UPDATE SET certificate = ?3, terms = ?4,"
                     " accepted_min = ?5",
    [INSTANCE_RENEW] = "UPDATE instance SET certificate = ?1 WHERE instance = ?2",
    [INSTANCE_REVOKE] = "UPDATE instance SET revocation = ?1, revoked_min = ?2 WHERE instance = ?3"
                        " AND revocation IS NULL",
    [INSTANCE_REVOCATIONS] = "SELECT revocation FROM instance WHERE revocation IS NOT NULL"
                             " AND revoked_min >= ?1 ORDER BY revoked_min, instance LIMIT ?2",
    [INSTANCE_ALL] = "SELECT certificate, terms, accepted_min, revocation IS NOT NULL, email"
                     " FROM instance LEFT JOIN owner USING (owner) ORDER BY owner, instance",
    [INVITATION_PURGE] = "DELETE FROM invitation WHERE expires_min <= ?1",
    /* Run again after a lost connection, it may stand there already (sql_postgres.c). */
    [INVITATION_PUT] = "INSERT INTO invitation VALUES (?1, ?2, ?3, NULL) ON CONFLICT DO NOTHING",
    /* The first key that hands it in has it; the same key may do so again. */
    [INVITATION_CLAIM] = "UPDATE invitation SET key = ?1 WHERE code = ?2 AND expires_min > ?3"
                         " AND (owner IS NULL OR owner = ?4) AND (key IS NULL OR key = ?1)",
    [INVITATION_BIND] = "UPDATE invitation SET owner = ?1 WHERE key = ?2",
    [INVITATION_FORGET] = "DELETE FROM invitation WHERE owner = ?1",
    [INVITATION_COUNT] = "SELECT count(*) FROM invitation WHERE key IS NULL AND expires_min > ?1",
    [LEAVING_PURGE] = "DELETE FROM leaving WHERE expires_min <= ?1",
    [LEAVING_COUNT] = "SELECT count(*) FROM leaving",
    [LEAVING_PUT] = "INSERT INTO leaving VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
    [LEAVING_DROP] = "DELETE FROM leaving WHERE link = ?1",
    [LEAVING_GET] = "SELECT owner, expires_min FROM leaving WHERE link = ?1",
    [LEAVING_FORGET] = "DELETE FROM leaving WHERE owner = ?1",
    [ALLOWANCE_PUT] = "INSERT INTO allowance VALUES (?1, ?2, ?3)"
                      " ON CONFLICT (kind, who) DO UPDATE SET value = ?3",
    [ALLOWANCE_DROP] = "DELETE FROM allowance WHERE kind = ?1 AND who = ?2",
    [ALLOWANCE_ALL] = "SELECT kind, who, value FROM allowance ORDER BY kind, who",
    /* The kinds are those of enum gv_held_kind. */
    [HELD_ALL] = "SELECT 1, expires_min, key FROM pending WHERE owner = ?1 UNION ALL"
                 " SELECT 2, expires_min, NULL FROM leaving WHERE owner = ?1 UNION ALL"
                 " SELECT 3, expires_min, key FROM invitation WHERE owner = ?1 UNION ALL"
                 " SELECT 4, value, NULL FROM allowance WHERE kind = 1 AND who = ?1 ORDER BY 1, 2",
    [DOMAIN_PURGE] = "DELETE FROM domain_day WHERE start_min <= ?1 - 1440",
    /* A clock that was set back ends a day too: it must not last for ever. */
    [DOMAIN_TAKE] = "INSERT INTO domain_day VALUES (?1, ?2, 1) ON CONFLICT (domain) DO UPDATE SET"
                    " codes = CASE WHEN domain_day.start_min BETWEEN ?2 - 1439 AND ?2"
                    "  THEN domain_day.codes + 1 ELSE 1 END,"
                    " start_min = CASE WHEN domain_day.start_min BETWEEN ?2 - 1439 AND ?2"
                    "  THEN domain_day.start_min ELSE ?2 END RETURNING codes, start_min,"
                    " (SELECT value FROM allowance WHERE kind = 2 AND who = ?3)",
    [DOMAIN_GET] = "SELECT codes, start_min FROM domain_day WHERE domain = ?1"
                   " AND start_min BETWEEN ?2 - 1439 AND ?2",
    [LOG_ANY] = "SELECT 1 FROM log LIMIT 1",
    [LOG_SIZE] = "SELECT coalesce(max(place) + 1, 0) FROM log WHERE signer = ?1",
    /* Confirmed twice within a minute, it is the very same certificate. */
    [LOG_APPEND] = "INSERT INTO log SELECT ?1, coalesce(max(place) + 1, 0), ?2, ?3 FROM log"
                   " WHERE signer = ?1 ON CONFLICT (certificate) DO NOTHING",
    [LOG_RANGE] = "SELECT entry FROM log WHERE signer = ?1 AND place >= ?2 ORDER BY place LIMIT ?3",
    [LOG_FIND] = "SELECT signer, place FROM log WHERE certificate = ?1",
    [LOG_HEAD_LAST] = "SELECT wire FROM log_head WHERE signer = ?1 ORDER BY minute DESC LIMIT 1",
    [LOG_HEAD_PUT] = "INSERT INTO log_head VALUES (?1, ?2, ?3)",
};

const struct gv_sql_schema gv_records_schema = {
    .statements = statements,
    .statement_count = STATEMENTS,
    .sqlite = sqlite,
    .postgres = postgres,
    .migration_count = sizeof sqlite / sizeof *sqlite,
};
