/* One sentence of plain English that says what the mesh holds of a subject and what this host does
 * about it: verdict and action together. */
#ifndef GV_NODE_SERVE_WHY_H
#define GV_NODE_SERVE_WHY_H

#include "node/base/text.h"
#include "proto/trust/action.h"
#include "proto/trust/history.h"

struct gv_why {
    const struct gv_subject *subject;
    bool lab; /* documentation ranges are shared */
    const struct gv_verdict *verdict;
    uint32_t unheard; /* owners that report it, and have no vote here */
    const struct gv_action_facts *facts;
    struct gv_decision decision;
    const struct gv_history_summary *history;
    const struct gv_policy *policy; /* NULL: no network yet */
};

void gv_why_text(struct gv_text *out, const struct gv_why *why);

#endif
