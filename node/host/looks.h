/* Watches the transparency log (node/base/transparency.h), which the admin's command writes and the
 * daemon only reads: the number and hash of its last entry are kept in the store, so that an end
 * that is cut off, a log that is removed and one that is written anew are noticed. What was lost
 * once stays noted. (SPEC 15.2) */
#ifndef GV_NODE_HOST_LOOKS_H
#define GV_NODE_HOST_LOOKS_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "node/base/transparency.h"
#include "node/host/persist.h"

#define GV_LOOKS_MS    30000u       /* between two looks at its size */
#define GV_LOOKS_SLICE (256u << 10) /* bytes in one turn of the loop: about 700 entries, 1 ms */

struct gv_looks;

/* The log is beside the store, which is borrowed. Begins to read at once. GV_OK or GV_ERR_MEMORY.
 */
int gv_looks_new(struct gv_looks **out, uv_loop_t *loop, struct gv_persist *persist);
/* The loop must run on until its handle is closed. NULL is allowed. */
void gv_looks_free(struct gv_looks *looks);

/* Reads on, at most a slice; true when it has come to the end of the file. */
bool gv_looks_read(struct gv_looks *looks);

struct gv_looks_mark {
    uint64_t entry; /* 0: none */
    char hash[GV_TRANSPARENCY_HASH + 1];
};
struct gv_looks_status {
    uint64_t entries;          /* read so far */
    bool read;                 /* to its end */
    struct gv_looks_mark head; /* the last entry that was there */
    struct gv_looks_mark lost; /* the last of those that were there once and then were not */
    uint64_t lost_ms;          /* unix, when that was noticed; 0: nothing was lost */
};
void gv_looks_status(const struct gv_looks *looks, struct gv_looks_status *out);

#endif
