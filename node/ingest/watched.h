/* A log that has been quiet for a while is watched: the kernel tells when something is written, and
 * until then nobody looks four times a second. Where the kernel would not be told, on a file system
 * of another machine, it is not watched. (SPEC 10.5) */
#ifndef GV_INGEST_WATCHED_H
#define GV_INGEST_WATCHED_H

#include <stdbool.h>
#include <sys/stat.h>
#include <uv.h>

/* How often it is looked at all the same: at full multiples of it, by the loop's clock. */
#define GV_WATCHED_MS 2000

struct gv_watched {
    uv_fs_event_t event;
    bool open, on;
    dev_t device; /* of the file that is watched */
    ino_t inode;
    void (*stirred)(void *context); /* once; it is not watched any more then */
    void *context;
};

/* is: what is to be watched, as it was found under its name. False where it cannot be. What was
 * written before is not told of: look once more. */
bool gv_watched_begin(struct gv_watched *watched, uv_loop_t *loop, const char *path,
                      const struct stat *is, void (*stirred)(void *context), void *context);
/* Whether it is this file that is watched now. */
bool gv_watched_is(const struct gv_watched *watched, const struct stat *is);
void gv_watched_end(struct gv_watched *watched);
void gv_watched_close(struct gv_watched *watched); /* its memory is the loop's until that has run */

#endif
