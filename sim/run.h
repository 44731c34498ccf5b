/* One run: a world, its work, its weather, and the checks of it (SPEC 17). */
#ifndef GV_SIM_RUN_H
#define GV_SIM_RUN_H

#include "sim/check.h"
#include "sim/options.h"

#define GV_SIM_WARMUP_MS 30000u /* time to find each other */
#define GV_SIM_CALM_MS   30000u /* without faults: everything must have arrived */
/* With faults, after all is healed: the longest back-off of a dialler is 12.5 minutes, a repair
 * comes every 5 at most, and one that did not fit goes on. */
#define GV_SIM_SETTLE_MS 1500000u
#define GV_SIM_PROBE_MS  20000u /* then two owners report one address, and everybody must know */
#define GV_SIM_CHECK_MS  60000u

struct gv_sim_result {
    char trace_hash[17];
    uint64_t violations;
    struct gv_broken broken;
    double bytes_mean, bytes_max;    /* of a node, in and out with headers, in an hour: all but
                                        joins; of the busiest, in its busiest hour */
    double records_mean, again_mean; /* signals that came to a node and were held; known already */
    double cause_mean[GV_CAUSE_COUNT], cause_max[GV_CAUSE_COUNT]; /* the same by cause, per hour */
    double delay_p50_s, delay_p99_s; /* second owner's signal to untrusted, over nodes */
    double agreed_s, equal_s;        /* after the healing, all say the same; hold the same public
                                        set. Negative: there was none, or they never did */
    size_t attackers, published;
    size_t online;    /* nodes */
    double told_mean; /* nodes told of an address that one owner alone reported */
    size_t told_max;
    uint64_t signals, events, verifications, verifications_computed;
    int64_t core_bytes_max; /* the most memory that one core held; 0: not counted */
    struct gv_weather_counts weather;
};

/* Somebody who looks on. What he does changes nothing of the run. */
struct gv_sim_watch {
    void *context;
    struct gv_story *story; /* who is told what happens; NULL: nobody */
    uint64_t stop_ms;       /* the run ends here, unjudged; UINT64_MAX: at its end */
    /* Each simulated minute, and at the end. May be NULL. */
    void (*look)(void *context, const struct gv_checks *checks, uint64_t end_ms);
};
void gv_sim_run_watched(struct gv_sim_result *out, const struct gv_sim_options *options, bool quiet,
                        const struct gv_sim_watch *watch);

/* Runs it to its end. Violations are printed to standard error unless quiet. */
void gv_sim_run(struct gv_sim_result *out, const struct gv_sim_options *options, bool quiet);

#endif
