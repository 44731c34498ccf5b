/* Evidence as a file: one JSON object (SPEC 21). Read from strangers, so bounded and checked. */
#ifndef GV_NODE_BASE_EVIDENCE_H
#define GV_NODE_BASE_EVIDENCE_H

#include <jansson.h>

#include "node/base/text.h"
#include "proto/evidence.h"

#define GV_EVIDENCE_FORMAT   "grapevine evidence 1"
#define GV_EVIDENCE_FILE_MAX (4u << 20)

/* What the core says of a subject now, with what it was made of. Returns GV_OK (json_decref *out),
 * GV_ERR_STATE (in no network yet), GV_ERR_FULL (more records than a file holds), GV_ERR_MEMORY, or
 * why a record is not valid any more. */
int gv_evidence_write(json_t **out, const struct gv_core *core, const struct gv_subject *subject);

struct gv_evidence_file {
    struct gv_evidence evidence;
    struct gv_verdict claimed;
    uint32_t left_out;               /* words that it says it is without */
    uint8_t network[GV_KEY_LEN];     /* that the file says it is of */
    struct gv_record_bytes *records; /* owned */
    uint8_t *bytes;                  /* owned */
};
/* Parses a whole file. On success gv_evidence_close it. Returns GV_OK, or GV_ERR_MALFORMED,
 * GV_ERR_RANGE, GV_ERR_VERSION, GV_ERR_MEMORY with a sentence in *error. */
int gv_evidence_open(struct gv_evidence_file *out, const void *data, size_t len,
                     struct gv_text *error);
void gv_evidence_close(struct gv_evidence_file *file);

/* Judges an opened file anew. Returns GV_OK when the verdict is the very one that the file claims,
 * and the network, too; *descriptor and *verdict are filled in. Otherwise an error with a sentence:
 * GV_ERR_PROTOCOL is another verdict, GV_ERR_NETWORK another network than its records are of, all
 * else why a record is not valid. */
int gv_evidence_verify(struct gv_verdict *verdict, struct gv_descriptor *descriptor,
                       const struct gv_evidence_file *file, struct gv_text *error);

#endif
