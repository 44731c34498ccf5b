/* Old logs for a node that is new: who logged in from where during the last 30 days, so that clean
 * history is known from the first day. Failures are not taken: they are no news. A bit is read in
 * each turn of the loop. (SPEC 10.5) */
#ifndef GV_INGEST_IMPORT_H
#define GV_INGEST_IMPORT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "node/base/text.h"
#include "node/ingest/ingest.h"

#define GV_IMPORT_FILES_MAX 64

struct gv_import;

struct gv_import_options {
    uv_loop_t *loop;
    const char *const
        *paths; /* copied; absolute, of regular files; or one journal of log_source.h */
    size_t path_count;
    uint8_t account_key[GV_ACCOUNT_KEY_LEN]; /* the same as the followed logs have; secret */
    void *context;
    void (*observation)(void *context, const struct gv_observation *observation);
};

/* Opens all files and begins. Returns GV_OK, GV_ERR_RANGE (none, too many), GV_ERR_NOT_FOUND or
 * GV_ERR_FORBIDDEN (a file that is not there or may not be read), GV_ERR_IO, GV_ERR_MEMORY. */
int gv_import_start(struct gv_import **out, const struct gv_import_options *options,
                    struct gv_text *error);
bool gv_import_done(const struct gv_import *import);
/* Also while it goes on. The memory goes with one of the loop's next turns. NULL is allowed. */
void gv_import_stop(struct gv_import *import);

/* {"state": "reading" or "done", "files", "lines", "logins", "damaged": [{"file", "error"}]}; a new
 * reference. */
json_t *gv_import_json(const struct gv_import *import);

#endif
