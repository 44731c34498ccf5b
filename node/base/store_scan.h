/* Rows of an SQLite file whose structure cannot be trusted: every page, and every page of its
 * write-ahead log, is looked at for itself. What is found is no more than bytes of the right shape:
 * the caller believes a row when its MAC verifies (node/base/store.h). Pure: no SQLite, no disk. */
#ifndef GV_NODE_BASE_STORE_SCAN_H
#define GV_NODE_BASE_STORE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GV_STORE_FIELDS_MAX 8

struct gv_store_field {
    enum gv_store_field_kind {
        GV_STORE_NULL,
        GV_STORE_NUMBER,
        GV_STORE_BLOB,
        GV_STORE_TEXT,
        GV_STORE_OTHER /* a real: we store none */
    } kind;
    int64_t number;
    const uint8_t *data; /* borrows until the callback returns */
    size_t len;
};
/* False ends the scan. */
typedef bool (*gv_store_found)(void *context, const struct gv_store_field *fields, size_t count);

/* Hands out every record of 1 to GV_STORE_FIELDS_MAX columns and at most 128 KiB that stands in a
 * cell of a b-tree page, in the order of the pages. A page that the log (NULL, 0: none) holds is
 * taken from there, as last committed, whether its checksum is right or not. The size of a page is
 * the one that most cells agree with, whatever the head says. At most four times the
 * bytes of both are looked at, whatever the cells point to. GV_OK, or GV_ERR_MEMORY. */
int gv_store_scan(const uint8_t *file, size_t file_len, const uint8_t *log, size_t log_len,
                  gv_store_found found, void *context);

/* Did the log hold more than SQLite will read of it? SQLite ends at the first frame that does not
 * verify and says nothing. That is right for the torn end that a killed process leaves; it is
 * damage when the head does not verify, or a commit of the same log follows. */
bool gv_store_log_damaged(const uint8_t *log, size_t log_len);

#endif
