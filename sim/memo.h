/* Signatures that were checked before: every node checks every signature, and the answer is the
 * same each time. Keyed by (key, signature, message); real cryptography behind it. */
#ifndef GV_SIM_MEMO_H
#define GV_SIM_MEMO_H

#include "crypto/identity.h"
#include "proto/table.h"

struct gv_memo {
    struct gv_table known;
    uint64_t asked, computed;
    bool off; /* compute each time */
};

void gv_memo_free(struct gv_memo *memo);
/* For gv_core_options.verifier: context is the memo. */
struct gv_verifier gv_memo_verifier(struct gv_memo *memo);

#endif
