#include "sim/swarm_report.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "sim/report.h"

struct gv_swarm_run *gv_swarm_runs_add(struct gv_swarm_runs *runs)
{
    if (runs->count == runs->room) {
        size_t room = runs->room ? 2 * runs->room : 64;
        struct gv_swarm_run *more = realloc(runs->items, room * sizeof *more);
        if (!more)
            return NULL;
        runs->items = more;
        runs->room = room;
    }
    struct gv_swarm_run *run = &runs->items[runs->count++];
    memset(run, 0, sizeof *run);
    return run;
}

void gv_swarm_runs_free(struct gv_swarm_runs *runs)
{
    free(runs->items);
    memset(runs, 0, sizeof *runs);
}

static int compare(const void *a, const void *b)
{
    const struct gv_swarm_run *x = a, *y = b;

    return (x->seed > y->seed) - (x->seed < y->seed);
}

/* A string: 64 bits without a sign are more than a number in JSON holds. */
static json_t *seed_text(uint64_t seed)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRIu64, seed);
    return json_string(text);
}

static json_t *pack_run(const struct gv_swarm_run *run)
{
    json_t *broken = json_array();

    for (size_t i = 0; i < run->result.broken.count; i++)
        json_array_append_new(broken, json_string(run->result.broken.sentences[i]));
    return json_pack("{s:o, s:s?, s:I, s:o, s:I, s:f, s:i, s:s?}", "seed", seed_text(run->seed),
                     "trace_hash", run->ended ? run->result.trace_hash : NULL, "violations",
                     (json_int_t)run->result.violations, "broken", broken, "signals",
                     (json_int_t)run->result.signals, "bytes_per_hour_max", run->result.bytes_max,
                     "signal", run->signal, "command", run->line[0] ? run->line : NULL);
}

int gv_swarm_report(const struct gv_sim_options *options, struct gv_swarm_runs *runs,
                    uint64_t ranks, double wall_s)
{
    json_t *list = json_array();
    uint64_t violations = 0;
    size_t failed = 0;

    if (runs->count > 0)
        qsort(runs->items, runs->count, sizeof *runs->items, compare);
    for (size_t i = 0; i < runs->count; i++) {
        const struct gv_swarm_run *run = &runs->items[i];
        violations += run->result.violations;
        failed += run->line[0] != 0;
        json_array_append_new(list, pack_run(run));
    }
    json_t *object = json_pack(
        "{s:o, s:o, s:I, s:f, s:s, s:I, s:I, s:I, s:I, s:f, s:o}", "seed_first",
        seed_text(options->seed), "seed_last", seed_text(options->last_seed), "nodes",
        (json_int_t)options->nodes, "hours", options->hours, "plant", gv_plant_name(options->plant),
        "done", (json_int_t)runs->count, "failed", (json_int_t)failed, "violations",
        (json_int_t)violations, "ranks", (json_int_t)ranks, "wall_s", wall_s, "runs", list);
    gv_assert(object);
    int rc = gv_report_json(options->json_path, object);
    json_decref(object);
    return rc;
}
