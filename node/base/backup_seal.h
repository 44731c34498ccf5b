/* The end of a backup's file: a checksum over all bytes before it, those that no row uses included,
 * so that whatever went wrong with the medium is seen, wherever it is (SPEC 9.7). No key is in it:
 * it shows accidents, not intent. */
#ifndef GV_NODE_BASE_BACKUP_SEAL_H
#define GV_NODE_BASE_BACKUP_SEAL_H

#include "node/base/text.h"

#define GV_BACKUP_MAGIC    "grapevine backup" /* 16 bytes, and 32 of the sum */
#define GV_BACKUP_SEAL_LEN 48

/* Appends it to a file that is whole, and syncs. GV_OK, GV_ERR_IO. */
int gv_backup_seal(const char *path, struct gv_text *error);
/* Copies the file without its seal to `to`, which must not be there yet. A file of whole pages, as
 * older versions wrote it, has no seal. GV_OK, GV_ERR_MALFORMED (these are not the bytes that were
 * written), GV_ERR_IO. */
int gv_backup_unseal(const char *to, const char *path, struct gv_text *error);

#endif
