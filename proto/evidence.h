/* Evidence: what a verdict was made of, taken out of a core so that anybody can make the verdict
 * again, elsewhere and without a mesh (SPEC 21). It shows that these words were signed and that
 * they lead to this verdict; that nothing was left out it cannot show. */
#ifndef GV_PROTO_EVIDENCE_H
#define GV_PROTO_EVIDENCE_H

#include "proto/buf.h"
#include "proto/core.h"

/* So many words of reporters at most, and all records: a word and, in the worst case, two
 * certificates (one renewed), a revocation or a proof of fault of each, and the descriptor. */
#define GV_EVIDENCE_WORDS   1000u
#define GV_EVIDENCE_RECORDS 4096u

struct gv_evidence {
    struct gv_subject subject;
    uint32_t minute; /* as of which the verdict is */
    const struct gv_record_bytes {
        const uint8_t *bytes; /* kind byte || wire; borrowed */
        size_t len;
    } * records; /* the descriptor first; borrowed */
    size_t count;
};

/* Appends to *out, for each record: its length (2 bytes, big-endian) and its bytes. The descriptor
 * in force; certificates of the subject's reporters, and of those of their owners' other instances
 * that are at fault; of each reporter the statements that have a part in the verdict now or later;
 * revocations and proofs of fault of these instances. *minute: the core's. *left_out: how many
 * words beyond GV_EVIDENCE_WORDS there are; the best of each network come first. Returns GV_OK,
 * GV_ERR_STATE (no descriptor yet) or GV_ERR_MEMORY. */
int gv_core_evidence(const struct gv_core *core, struct gv_buf *out, uint32_t *minute,
                     uint32_t *left_out, const struct gv_subject *subject);

/* Judges anew, by a core of its own that knows nothing else: every signature is checked. Fills in
 * *out and *descriptor. Returns GV_OK; GV_ERR_MALFORMED (no record, or the first is no descriptor),
 * GV_ERR_FULL (more than GV_EVIDENCE_RECORDS), GV_ERR_MEMORY, or why a record is not valid (its
 * place in *failed). */
int gv_evidence_judge(struct gv_verdict *out, struct gv_descriptor *descriptor, size_t *failed,
                      const struct gv_evidence *evidence);

/* Whether two verdicts are the same in every field. */
bool gv_verdict_equal(const struct gv_verdict *a, const struct gv_verdict *b);

#endif
