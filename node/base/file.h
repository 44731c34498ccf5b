/* Whole small files. */
#ifndef GV_NODE_BASE_FILE_H
#define GV_NODE_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "node/base/text.h"
#include "proto/buf.h"

/* Appends the file's bytes to *out. A file longer than max is GV_ERR_RANGE, an absent one
 * GV_ERR_NOT_FOUND, anything else GV_ERR_IO: also what is no regular file (it never waits). */
int gv_file_read(struct gv_buf *out, const char *path, size_t max, struct gv_text *error);

/* Replaces or creates `path` so that a reader, and a crash, sees the old or the new bytes and
 * never a part: temporary file beside it, fsync, rename, fsync of the folder. */
int gv_file_write(const char *path, const void *data, size_t len, mode_t mode,
                  struct gv_text *error);

/* fsync of the folder that `path` lies in: a rename is only durable then. 0, or -1 and errno. */
int gv_file_sync_folder(const char *path);

/* PATH.WORD-STAMP, where there is nothing yet: for what cannot be used and is kept. */
void gv_file_aside_name(char *out, size_t out_len, const char *path, const char *word);

/* Whether only those who may say what this process does can write to the file: not everybody; for
 * root, nobody but root (its group included). GV_OK, GV_ERR_FORBIDDEN or GV_ERR_IO. */
int gv_file_check_writers(const char *path, struct gv_text *error);

/* Whether an errno says that there is no room: a full disk, a user's quota, or a limit on the size
 * of files (a program has to ignore SIGXFSZ to hear of that one). */
bool gv_file_is_full(int number);
/* strerror, but that it tells the admin what to do about that. */
const char *gv_file_error(int number);
/* Why nothing more can be written beside `path`, if it is for that reason, as an errno; 0: it can.
 * Tried with a file that goes. */
int gv_file_no_room(const char *path);

/* mkdir -p for the last component only; an existing folder is fine. */
int gv_file_folder(const char *path, mode_t mode, struct gv_text *error);

#endif
