/* A log of the past, plain or gzip (by its first bytes, whatever its name): bytes in, bytes out,
 * through fixed buffers, so that 10 kB that unpack to 10 GB cost time and no memory. Several gzip
 * members in a row are one file. Works on pipes. (SPEC 10.5) */
#ifndef GV_INGEST_ARCHIVE_H
#define GV_INGEST_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct gv_archive;

/* Takes the descriptor, unless it fails. Returns 0, -ENOMEM, -EMEDIUMTYPE (compressed, but not by
 * gzip), or what reading said (-EISDIR). */
int gv_archive_open(struct gv_archive **out, int fd);
void gv_archive_free(struct gv_archive *archive); /* NULL is allowed */

bool gv_archive_compressed(const struct gv_archive *archive);

/* At most `cap` bytes; 0 at the end. -ENODATA: the compressed data ends too early; -EBADMSG: it is
 * damaged; or another negative errno. What came before an error was sound as far as is known. */
ssize_t gv_archive_read(struct gv_archive *archive, char *into, size_t cap);

#endif
