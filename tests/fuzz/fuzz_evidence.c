/* A file of evidence from a stranger: JSON, then records, then a core that is made for them. What
 * is confirmed must be confirmed again. */
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "node/base/evidence.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gv_descriptor *descriptor = malloc(sizeof *descriptor);
    struct gv_evidence_file file;
    struct gv_verdict verdict, again;
    struct gv_text why;

    gv_assert(descriptor);
    if (gv_evidence_open(&file, data, size, &why) == GV_OK) {
        gv_assert(file.evidence.count > 0 && file.evidence.count <= GV_EVIDENCE_RECORDS);
        if (gv_evidence_verify(&verdict, descriptor, &file, &why) == GV_OK) {
            gv_assert(gv_evidence_verify(&again, descriptor, &file, &why) == GV_OK);
            gv_assert(gv_verdict_equal(&verdict, &again));
        }
        gv_evidence_close(&file);
    }
    free(descriptor);
    return 0;
}
