/* The action: what this host does about a subject. Local, never exported (SPEC 12). */
#ifndef GV_PROTO_TRUST_ACTION_H
#define GV_PROTO_TRUST_ACTION_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/trust/verdict.h"

/* How long a failed visit here is reason to refuse (SPEC 12.2). Shorter lets more guesses through,
 * longer refuses more people whose address somebody else guesses from: of 288,000 logins 187 at
 * 24 h under the heaviest framing that is tried, 103 at 12 h, 45 at 6 h (SPEC 20.5). */
#define GV_LATELY_S (6u * 3600u)

enum gv_action { GV_ACTION_ALLOW, GV_ACTION_ONE_STRIKE, GV_ACTION_REFUSE };

/* Which line of SPEC 12.2 decided: `grapevine ip` says it in one sentence. */
enum gv_reason {
    GV_REASON_NOTHING_KNOWN,
    GV_REASON_DENY_LISTED,
    GV_REASON_ALLOW_LISTED,
    GV_REASON_LOCKED_HERE,
    GV_REASON_CLEAN_HERE,
    GV_REASON_LOCKED_BY_OWN,
    GV_REASON_UNTRUSTED_AND_FAILED_HERE,
    GV_REASON_UNTRUSTED,
    GV_REASON_FAILED_HERE,
    GV_REASON_CONSENSUS,
    GV_REASON_FAILED_HERE_AGAIN
};

struct gv_action_facts {
    bool deny_listed, allow_listed;
    bool locked_here;
    bool locked_by_own; /* by another host of the same owner */
    bool clean, clean_network;
    bool known_here, network_known_here; /* any success on record */
    bool refuse_on_consensus;            /* the admin's choice */
    uint32_t points;                     /* p(X) */
    bool failed_lately;                  /* a visit failed here within GV_LATELY_S */
    bool many_accounts; /* its failures named more than one account, or none (12.4) */
};

struct gv_decision {
    enum gv_action action;
    enum gv_reason reason;
};

struct gv_decision gv_action_decide(const struct gv_action_facts *facts,
                                    const struct gv_verdict *verdict,
                                    const struct gv_policy *policy);

/* Evidence of this host's own that is enough to refuse, unless lists or clean history decide. */
bool gv_action_has_failed_again(const struct gv_action_facts *facts);

const char *gv_action_name(enum gv_action action); /* "allow", "one-strike", "refuse" */
/* One sentence for the admin, in plain words. */
const char *gv_reason_text(enum gv_reason reason);

#endif
