/* The transparency log: each look at what single mailboxes did, as one line of a file in the data
 * folder, written before the look. Lines are chained by hashes, so that none can be changed, taken
 * out or put in without `verify` telling; nothing in it names a mailbox. (SPEC 15.2) */
#ifndef GV_NODE_BASE_TRANSPARENCY_H
#define GV_NODE_BASE_TRANSPARENCY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "node/base/text.h"

#define GV_TRANSPARENCY_FILE   "transparency.log"
#define GV_TRANSPARENCY_LINE   2048 /* the longest, its newline included */
#define GV_TRANSPARENCY_REASON 300  /* bytes */
#define GV_TRANSPARENCY_HASH   64   /* hex digits */

/* ---- the chain: pure ------------------------------------------------------------------------ */

enum gv_transparency_said {
    GV_TRANSPARENCY_SOUND = 0, /* an entry that follows from the one before */
    GV_TRANSPARENCY_BROKEN,    /* an entry that does not: it, or what was before it, was changed */
    GV_TRANSPARENCY_CUT        /* no entry: writing was cut off */
};

struct gv_transparency_chain {
    char head[GV_TRANSPARENCY_HASH + 1]; /* of the last entry; zeros before the first */
    uint64_t lines, entries, broken, cut;
    uint64_t first_broken, first_cut; /* the line; 0: none */
};

void gv_transparency_begin(struct gv_transparency_chain *chain);
/* Takes a line without its newline; *json, which borrows from it, is what an entry says. */
enum gv_transparency_said gv_transparency_take(struct gv_transparency_chain *chain,
                                               const char **json, size_t *json_len,
                                               const char *line, size_t len);
/* The line of an entry that follows, with its newline. Returns its length. */
size_t gv_transparency_line(char out[GV_TRANSPARENCY_LINE],
                            const struct gv_transparency_chain *chain, const char *json,
                            size_t json_len);

/* A reason says why, in one line of text, and names nobody's mailbox: no '@'. GV_OK or GV_ERR_RANGE
 * and what would be right. */
int gv_transparency_reason(const char *reason, struct gv_text *error);

/* ---- the file ------------------------------------------------------------------------------- */

/* Each line in turn; `json` is NULL where it is cut. Non-zero ends the reading. */
typedef int gv_transparency_taker(void *context, const struct gv_transparency_chain *chain,
                                  enum gv_transparency_said said, const char *json, size_t len);

/* Reads FOLDER/transparency.log; one that is not there is empty. `take` may be NULL. Returns GV_OK,
 * GV_ERR_FORBIDDEN, GV_ERR_IO, or what `take` said. */
int gv_transparency_read(const char *folder, struct gv_transparency_chain *chain,
                         gv_transparency_taker *take, void *context, struct gv_text *error);

/* Adds an entry: members of `entry` behind "entry", its number. On GV_OK it is on the disk, and
 * *chain ends with it; otherwise it may be there in part, which reads as cut. One writer at a time.
 * The file is made with mode 0640 and the folder's group. GV_ERR_FORBIDDEN, GV_ERR_IO, GV_ERR_BUSY,
 * GV_ERR_RANGE (too long), GV_ERR_MEMORY. */
int gv_transparency_append(const char *folder, struct gv_transparency_chain *chain,
                           const json_t *entry, struct gv_text *error);

#endif
