/* The older generations of a log: its neighbours whose names begin with its own ("mail.log.1",
 * "mail.log-20261122", "mail.log.2.gz") or have a number or a date in front of its extension
 * ("mail.1.log", "mail-20261122.log.gz"), plain or gzip. (SPEC 10.5) */
#ifndef GV_INGEST_ROTATED_H
#define GV_INGEST_ROTATED_H

#include <sys/stat.h>
#include <time.h>

#include "node/ingest/archive.h"
#include "node/ingest/ingest.h"

struct gv_rotated {
    int fd;                     /* of a plain file; -1: it is compressed */
    struct gv_archive *archive; /* of a compressed one, at its start; NULL: it is plain */
    struct stat st;
    uint64_t checksum;
    uint64_t first_ms; /* time stamp of its first line; 0: none that can be read */
    uint64_t behind;   /* gv_rotated_find: where in it the position is */
    int fits;          /* the more the better */
};

void gv_rotated_close(struct gv_rotated *rotated);

/* Of the first line, or of its first 512 bytes: it begins with a time stamp, so it is unlike every
 * other. 0 as long as there is neither. Leaves the file's own offset alone. */
uint64_t gv_rotated_checksum(int fd);
/* Fills checksum and first_ms of an open plain file. */
void gv_rotated_look(struct gv_rotated *file);

/* Names may move while the folder is read, and a generation be missed: then it is asked again a
 * little later. */
enum gv_rotated_answer { GV_ROTATED_NONE, GV_ROTATED_FOUND, GV_ROTATED_UNSETTLED };

/* The neighbour that the position is a place in, by device and inode and checksum, or, when it was
 * copied or compressed since, by checksum alone. The log itself is none of them. `changed`: a plain
 * one that somebody changed, and that holds the last line that was read. `patient`: may answer
 * GV_ROTATED_UNSETTLED. */
enum gv_rotated_answer gv_rotated_find(struct gv_rotated *out, const char *path,
                                       const struct gv_position *position, bool changed,
                                       bool patient);

/* What was read of a log in this run. */
#define GV_ROTATED_DONE 16
struct gv_rotated_done {
    uint64_t checksums[GV_ROTATED_DONE]; /* of its generations, the oldest overwritten */
    unsigned count;
    struct timespec written; /* the last of them: when it was last written to */
    uint64_t first_ms;       /* its first line's time stamp; 0: not known */
    uint64_t replaced; /* its checksum, where it was deleted: another file has its beginning if
                        * somebody changed it; 0: it was not */
};

/* The oldest neighbour that was written to after the last that was read, and does not begin before
 * it did; neither a copy of one that was read nor of the log as it is now. */
enum gv_rotated_answer gv_rotated_next(struct gv_rotated *out, const char *path,
                                       const struct gv_rotated_done *done, bool patient);

#endif
