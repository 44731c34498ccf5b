/* The file of a node's store: its schema, the MAC of its rows, and how rows are carried from one
 * file to another: out of a damaged one, into a backup's place, under another key. What the rows
 * mean is the matter of node/host/persist.h. */
#ifndef GV_NODE_BASE_STORE_H
#define GV_NODE_BASE_STORE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/hash.h"
#include "crypto/identity.h"
#include "node/base/text.h"

#define GV_STORE_MAC 16
/* Numbers of the tables `kept` and `statistic`; the others have those of enum gv_row. */
#define GV_STORE_KEPT      0xff
#define GV_STORE_STATISTIC 0xfe
#define GV_STORE_CEILING   0xfd /* no table: the file `number` (node/host/persist.h) */

/* Opens or creates it and brings its schema up to date: gv_db_open with ours. While the node runs:
 * gv_db_open_again. What can be read on a full disk: gv_db_open_reading. */
int gv_store_open(sqlite3 **out, const char *path, struct gv_text *error);
int gv_store_open_again(sqlite3 **out, const char *path, struct gv_text *error);
int gv_store_open_reading(sqlite3 **out, const char *path, struct gv_text *error);
/* As many migrations as there are: the schema's version. */
extern const size_t gv_store_version;
/* The whole file is looked through: GV_OK, GV_ERR_MALFORMED (damaged) or GV_ERR_IO. */
int gv_store_check(sqlite3 *db, struct gv_text *error);
/* Of that, only whether the numbers of own statements lie in 1 .. GV_STORE_NUMBER_MAX: no node
 * ever says so much, and JSON holds it exactly. */
#define GV_STORE_NUMBER_MAX (1LL << 53)
int gv_store_check_numbers(sqlite3 *db, struct gv_text *error);

/* out = HMAC(store key, "grapevine row 1", table || key length, 2 bytes || key || value), cut to
 * 16 bytes, in two steps, so that the key is worked in once. The state is secret. */
void gv_store_mac_key(struct gv_hmac_state *out, const uint8_t store_key[GV_KEY_LEN]);
void gv_store_mac(uint8_t out[GV_STORE_MAC], const struct gv_hmac_state *mac_key, uint8_t table,
                  const void *key, size_t key_len, const void *value, size_t value_len);

/* Does the write-ahead log beside `path` hold what SQLite will not read, and say nothing about?
 * GV_OK, or GV_ERR_MALFORMED. Nobody may have it open. */
int gv_store_check_log(const char *path, struct gv_text *error);

/* The bytes of a damaged file and of its log. */
struct gv_store_pages {
    const uint8_t *file, *log;
    size_t file_len, log_len;
};

struct gv_store_carry {
    sqlite3 *from, *to; /* both of our schema; `to` is empty, and no transaction is open in
                           it; NULL: the rows are only verified */
    const struct gv_store_pages *pages; /* NULL, or (damaged, with `to`): also each row that stands
                                           on one of these pages and whose MAC verifies; `from`
                                           may be NULL then */
    const uint8_t *from_key, *to_key;
    bool damaged;   /* what cannot be read is left behind, instead of failing */
    bool positions; /* also where the logs were left, which means nothing on another machine */
    /* Out: */
    size_t carried, bad; /* rows; those whose MAC does not verify are left behind */
    bool complete;       /* every table could be read to its end */
};
/* Carries all rows in one transaction, MACed anew under to_key: but for SELF, because a copy of the
 * last sequence number is worth nothing once signals may have been made after it (SPEC 8.6).
 * GV_OK, GV_ERR_MALFORMED (damaged, and not allowed to be), GV_ERR_IO, GV_ERR_MEMORY. */
int gv_store_carry(struct gv_store_carry *carry, struct gv_text *error);

/* Puts the finished file `fresh` (closed, no -wal) in the place of `path`. What was there keeps on
 * existing, with its -wal, as "PATH.WORD-STAMP", whose name is given in `aside` ("" when there was
 * nothing). A crash in between leaves the old file or the new one. GV_OK or GV_ERR_IO. */
int gv_store_replace(const char *path, const char *fresh, const char *word, char *aside,
                     size_t aside_len, struct gv_text *error);

/* A store that cannot be read as it is: what can still be read of it goes into a new file in its
 * place, and the damaged one is set aside as "PATH.corrupt-STAMP". Nobody may have it open. Tells
 * the admin in the log. GV_OK, GV_ERR_IO (nothing was changed: disk full), GV_ERR_MEMORY. */
int gv_store_salvage(const char *path, const uint8_t store_key[GV_KEY_LEN], struct gv_text *error);

#endif
