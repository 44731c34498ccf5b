/* One file, followed by its name: through rename rotation, copytruncate, and its not being there.
 * It is polled, for inotify is blind to a network file system; when to poll is the caller's affair
 * (sources.c, watched.h). No loop, no clock of its own. (SPEC 10.5) */
#ifndef GV_INGEST_TAIL_H
#define GV_INGEST_TAIL_H

#include "node/ingest/archive.h"
#include "node/ingest/ingest.h"
#include "node/ingest/rotated.h"
#include "node/ingest/splitter.h"
#include "node/ingest/timestamp.h"

struct gv_tail {
    const char *path;            /* borrowed */
    int fd;                      /* -1: none, or `archive` */
    struct gv_archive *archive;  /* an older generation that was compressed; NULL: none */
    uint64_t skip;               /* bytes of the archive in front of the position */
    struct gv_position position; /* of the open file, or where to resume */
    struct gv_splitter splitter;
    struct gv_clock clock;       /* of stamps without a year or a zone */
    struct gv_rotated_done done; /* which generations were read */
    unsigned unsettled;          /* polls in a row that found the folder moving */
    uint64_t base;               /* file offset where the splitter began */
    uint64_t quiet_ms; /* since when a rotated file has given nothing; 0: it is not rotated */
    uint64_t rotations;
    bool from_start;  /* what a file without a known position is read from */
    bool resumed;     /* a file was opened, or none was there: later ones are read from the start */
    bool elsewhere;   /* the open file has another name by now: it is followed to its end */
    bool catching_up; /* older generations are read, the oldest first */
    uint64_t damages; /* compressed generations that were cut short or broken */
    int damaged;      /* errno of the open one, if it is; else 0 */
    enum gv_source_state state; /* GV_SOURCE_WAITING with a known inode: it was there and is gone */
    int error;
};

/* `position` may be NULL. Returns GV_OK or GV_ERR_MEMORY. Opens nothing yet. */
int gv_tail_init(struct gv_tail *tail, const char *path, const struct gv_position *position,
                 bool from_start);
void gv_tail_close(struct gv_tail *tail);

/* Reads at most GV_TAIL_BUDGET bytes. `now_ms`: any steady clock, from 1 on. Returns true when more
 * is waiting already. */
#define GV_TAIL_BUDGET (2 * GV_SPLITTER_BUFFER)
bool gv_tail_poll(struct gv_tail *tail, uint64_t now_ms, gv_line_taker *on_line, void *context);

/* The same between two polls, and only of the file that is open: that a name leads to another file
 * by now is for the poll to find out, which counts on its own pace. */
bool gv_tail_ahead(struct gv_tail *tail, uint64_t now_ms, gv_line_taker *on_line, void *context);

#endif
