#include "sim/samples.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"

static struct gv_sample *add(struct gv_samples *samples)
{
    if (samples->count == samples->cap) {
        samples->cap = samples->cap ? 2 * samples->cap : 128;
        samples->list = realloc(samples->list, samples->cap * sizeof *samples->list);
        gv_assert(samples->list);
    }
    struct gv_sample *sample = &samples->list[samples->count++];
    memset(sample, 0, sizeof *sample);
    return sample;
}

static void look_at_nodes(struct gv_samples *samples, struct gv_sample *sample,
                          const struct gv_world *world)
{
    double online = (double)gv_world_online(world);

    for (size_t i = 0; i < world->options.nodes; i++) {
        struct gv_traffic_sum sum, *before = &samples->before[i];
        double held = (double)world->nodes[i].bytes_held;
        uint64_t most;
        gv_world_traffic(world, i, &sum, &most);
        for (int cause = 0; cause < GV_CAUSE_COUNT; cause++)
            sample->cause[cause] +=
                (double)(sum.in[cause] - before->in[cause] + sum.out[cause] - before->out[cause]) /
                online;
        *before = sum;
        if (!world->nodes[i].core)
            continue;
        sample->memory_mean += held / online;
        sample->memory_most = held > sample->memory_most ? held : sample->memory_most;
    }
}

static double share_known(const struct gv_checks *checks)
{
    const struct gv_world *world = checks->world;
    size_t nodes = world->options.nodes, wanted = 0, known = 0;

    for (size_t attacker = 0; attacker < checks->attackers; attacker++) {
        if (checks->published_ms[attacker] == 0)
            continue;
        for (size_t node = 0; node < nodes; node++) {
            wanted += !world->nodes[node].away;
            known += checks->untrusted[attacker * nodes + node] != 0;
        }
    }
    return wanted ? (double)known / (double)wanted : 1;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double *new_row(size_t count)
{
    double *row = calloc(count + 1, sizeof *row);

    gv_assert(row);
    return row;
}

static void look_back(struct gv_samples *samples, const struct gv_checks *checks)
{
    const struct gv_world *world = checks->world;
    double hours = (double)world->now_ms / 3600000;

    samples->node_bytes = new_row(world->options.nodes);
    for (size_t i = 0; i < world->options.nodes; i++)
        if (!world->nodes[i].away)
            samples->node_bytes[samples->node_count++] =
                (double)gv_traffic_under_cap(&samples->before[i]) / hours;
    samples->delays_s = new_row(checks->delay_count);
    for (size_t i = 0; i < checks->delay_count; i++)
        samples->delays_s[samples->delay_count++] = (double)checks->delays_ms[i] / 1000;
    qsort(samples->node_bytes, samples->node_count, sizeof(double), ascending);
    qsort(samples->delays_s, samples->delay_count, sizeof(double), ascending);
}

void gv_samples_look(void *context, const struct gv_checks *checks, uint64_t end_ms)
{
    struct gv_samples *samples = context;
    const struct gv_world *world = checks->world;

    if (!samples->before) {
        samples->before = calloc(world->options.nodes, sizeof *samples->before);
        gv_assert(samples->before);
    }
    struct gv_sample *sample = add(samples);
    sample->minute = (double)world->now_ms / 60000;
    look_at_nodes(samples, sample, world);
    sample->known = share_known(checks);
    if (world->now_ms >= end_ms && !samples->node_bytes)
        look_back(samples, checks);
}

void gv_samples_free(struct gv_samples *samples)
{
    free(samples->list);
    free(samples->before);
    free(samples->node_bytes);
    free(samples->delays_s);
    memset(samples, 0, sizeof *samples);
}
