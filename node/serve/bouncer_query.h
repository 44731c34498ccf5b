/* What a bouncer asks for: the arguments of GET /v1/decisions and /v1/decisions/stream. Pure: text
 * in, a struct or one sentence out. Any bytes are allowed. (SPEC 18.7) */
#ifndef GV_NODE_SERVE_BOUNCER_QUERY_H
#define GV_NODE_SERVE_BOUNCER_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/base/text.h"
#include "node/serve/bans.h"

#define GV_BOUNCER_ORIGIN   "grapevine"
#define GV_BOUNCER_TYPE     "ban"
#define GV_BOUNCER_DURATION 32 /* "-2562047788015215h30m8s" and its end fit */

/* Why an address is banned, as bouncers are told it. Indexes of the names below. */
enum gv_bouncer_scenario {
    GV_SCENARIO_DENY_LIST,
    GV_SCENARIO_LOCKED,     /* it failed here */
    GV_SCENARIO_LOCKED_OWN, /* it failed at another host of the same owner */
    GV_SCENARIO_FAILED_AGAIN,
    GV_SCENARIO_UNTRUSTED_FAILED,
    GV_SCENARIO_UNTRUSTED,
    GV_SCENARIO_COUNT
};
extern const char *const gv_bouncer_scenarios[GV_SCENARIO_COUNT]; /* "grapevine/deny-list", ... */

struct gv_bouncer_query {
    bool startup;           /* everything is wanted, not what has changed */
    bool nothing;           /* what is asked for is never here */
    bool singles;           /* small ranges are told as their addresses; the caller sets it */
    bool addresses, ranges; /* scopes */
    bool scenarios[GV_SCENARIO_COUNT];
    bool by_value; /* value=: exactly this */
    bool around;   /* ip=, range=: what holds it */
    bool within;   /* range= with contains=false: what it holds */
    struct gv_target target;
    uint64_t limit, offset; /* limit: UINT64_MAX without one */
};

/* `get` gives an argument's value, NULL when absent. Arguments that are not known are ignored, as
 * are empty ones. Returns GV_OK or GV_ERR_MALFORMED. */
int gv_bouncer_query(struct gv_bouncer_query *out, bool stream,
                     const char *(*get)(const void *context, const char *name), const void *context,
                     struct gv_text *error);
/* By scope, scenario and target; not by limit and offset. */
bool gv_bouncer_query_takes(const struct gv_bouncer_query *query, const struct gv_target *target,
                            unsigned scenario);

/* In Go's form, whole seconds: "3h59m50s", "-1m0s", "0s". */
void gv_bouncer_duration(char out[GV_BOUNCER_DURATION], int64_t seconds);

#endif
