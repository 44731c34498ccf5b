/* What a run looked like minute by minute, for the page of its report. */
#ifndef GV_SIM_SAMPLES_H
#define GV_SIM_SAMPLES_H

#include "sim/check.h"

struct gv_sample {
    double minute;
    double cause[GV_CAUSE_COUNT];    /* bytes since the sample before, per node that is on line */
    double known;                    /* of whom two owners had reported, on all nodes: 0..1 */
    double memory_mean, memory_most; /* bytes that cores hold */
};

struct gv_samples {
    struct gv_sample *list; /* owned */
    size_t count, cap;
    struct gv_traffic_sum *before; /* by node; owned */
    /* At the end, ascending; owned. */
    double *node_bytes; /* an hour, under the cap */
    double *delays_s;
    size_t node_count, delay_count;
};

/* As a gv_sim_watch's look: context is a struct gv_samples, zeroed at first. */
void gv_samples_look(void *context, const struct gv_checks *checks, uint64_t end_ms);
void gv_samples_free(struct gv_samples *samples);

#endif
