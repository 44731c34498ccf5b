#include <string.h>

#include "sim/rivals/learners.h"
#include "sim/rivals/quorum.h"
#include "sim/rivals/shipped.h"

#define SHIPPED                                                                                    \
    .ships = true, .open = gv_shipped_open, .close = gv_shipped_close, .heard = gv_shipped_heard,  \
    .ask = gv_shipped_ask, .day = gv_shipped_day, .may_say = gv_shipped_may_say
#define QUORUM                                                                                     \
    .open = gv_quorum_open, .close = gv_quorum_close, .heard = gv_quorum_heard,                    \
    .ask = gv_quorum_ask, .day = gv_quorum_day
#define LEARNER(rival)                                                                             \
    .learns = true, .open = gv_##rival##_open, .close = gv_##rival##_close,                        \
    .heard = gv_##rival##_heard, .ask = gv_##rival##_ask, .day = gv_##rival##_day

const struct gv_rule gv_rules[] = {
    {.name = "grapevine", .what = "the rule that ships", .searched = true, SHIPPED},
    {.name = "grapevine-consensus",
     .what = "the same with refuse_on = consensus",
     .consensus = true,
     SHIPPED},
    {.name = "grapevine-flat",
     .what = "the same with standing 0 or 1000",
     .standing_flat = true,
     SHIPPED},
    {.name = "local-log", .what = "the local log alone, no mesh", QUORUM},
    {.name = "quorum-2", .what = "refused when 2 owners say so", QUORUM},
    {.name = "quorum-3", .what = "refused when 3 owners say so", QUORUM},
    {.name = "quorum-2-networks", .what = "2 owners in 2 networks", QUORUM},
    {.name = "quorum-3-networks", .what = "3 owners in 3 networks", QUORUM},
    {.name = "tenured-quorum", .what = "3 owners of 30 days in 3 networks", QUORUM},
    {.name = "beta", .what = "Beta reputation", LEARNER(beta)},
    {.name = "eigentrust", .what = "EigenTrust", LEARNER(eigen)},
    {.name = "fides", .what = "Fides", .followed = gv_fides_followed, LEARNER(fides)},
    {.name = "crowdsec-like", .what = "trust ranks and sensors", LEARNER(crowd)},
    {.name = "first-witness", .what = "credit for the first true witness", LEARNER(credit)},
    {.name = "local-record",
     .what = "who was right in one's own log",
     .followed = gv_record_followed,
     LEARNER(record)},
    {.name = "oracle", .what = "knows who is who; refuses attackers others have met", QUORUM},
};
const size_t gv_rule_count = sizeof gv_rules / sizeof *gv_rules;

const struct gv_rule *gv_rule_find(const char *name)
{
    for (size_t i = 0; i < gv_rule_count; i++)
        if (strcmp(gv_rules[i].name, name) == 0)
            return &gv_rules[i];
    return NULL;
}
