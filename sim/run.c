#include "sim/run.h"

#include <string.h>

#include "crypto/error.h"
#include "sim/weather.h"

#define LOOK_MS 60000u

/* In a large world the looks at what each node holds would cost more than the run. */
static uint64_t check_every(const struct gv_world *world)
{
    size_t nodes = world->options.nodes;

    return (nodes <= 50 ? 1 : nodes <= 2000 ? 5 : 15) * GV_SIM_CHECK_MS;
}

struct play {
    struct gv_world *world;
    struct gv_checks *checks;
    const struct gv_sim_watch *watch; /* NULL: nobody looks on */
    uint64_t next_check, next_look, heal_ms, end_ms;
};

static bool is_over(const struct play *play)
{
    return play->watch && play->world->now_ms >= play->watch->stop_ms;
}

static void look(struct play *play)
{
    play->next_look += LOOK_MS;
    if (play->watch->look)
        play->watch->look(play->watch->context, play->checks, play->end_ms);
}

static void run_until(struct play *play, uint64_t until_ms)
{
    struct gv_world *world = play->world;

    if (play->watch && until_ms > play->watch->stop_ms)
        until_ms = play->watch->stop_ms;
    while (play->next_check <= until_ms || (play->watch && play->next_look <= until_ms)) {
        if (play->watch && play->next_look < play->next_check) {
            gv_world_run(world, play->next_look);
            look(play);
            continue;
        }
        gv_world_run(world, play->next_check);
        gv_check_safety(play->checks);
        play->next_check += check_every(world);
    }
    gv_world_run(world, until_ms);
}

static bool is_old(const struct gv_world *world, size_t node)
{
    if (gv_world_is_outcast(world, node))
        return false;
    uint32_t now_min = (uint32_t)((world->start_unix_ms + world->now_ms) / 60000);

    return gv_check_standing(&world->descriptor.policy, world->descriptor.genesis_min,
                             world->nodes[node].facts.since_min, now_min) >= 1000;
}

/* Two owners of full standing report one more address; nothing disturbs them. */
static bool probe(struct gv_world *world, uint32_t attacker)
{
    struct gv_subject subject = gv_world_subject(attacker);
    size_t reporters = 0;

    for (size_t i = 0; i < world->options.nodes && reporters < 2; i++)
        if (is_old(world, i)) {
            gv_world_fail(world, i, &subject, 5);
            reporters++;
        }
    return reporters == 2;
}

/* Until everything has settled; looks often in the first minutes, when it matters. */
static void settle(struct play *play, uint64_t until_ms)
{
    const struct gv_world *world = play->world;
    uint64_t step_ms = 5000;

    while (world->now_ms < until_ms && !is_over(play)) {
        uint64_t at_ms = world->now_ms + step_ms;
        run_until(play, at_ms < until_ms ? at_ms : until_ms);
        gv_check_healing(play->checks);
        step_ms = world->now_ms - play->heal_ms < 5 * 60000 ? 5000 : 60000;
    }
    if (!is_over(play))
        gv_check_agreed(play->checks, play->heal_ms);
}

static double after_s(uint64_t at_ms, uint64_t healed_ms)
{
    return at_ms ? (double)(at_ms - healed_ms) / 1000 : -1;
}

static void visit(struct play *play, const struct gv_visit *visit)
{
    struct gv_subject subject = gv_world_subject(visit->attacker);

    run_until(play, visit->at_ms);
    if (play->world->nodes[visit->node].core && !is_over(play))
        gv_world_fail(play->world, visit->node, &subject, 5);
}

static void play_all(struct play *play, const struct gv_workload *workload)
{
    uint32_t last = (uint32_t)workload->attackers;

    for (size_t i = 0; i < workload->count && !is_over(play); i++)
        visit(play, &workload->visits[i]);
    run_until(play, play->heal_ms);
    if (is_over(play))
        return;
    gv_weather_heal(play->world);
    gv_check_healed(play->checks);
    if (gv_faults_any(&play->world->options.faults))
        settle(play, play->end_ms - GV_SIM_PROBE_MS);
    run_until(play, play->end_ms - GV_SIM_PROBE_MS);
    if (is_over(play))
        return;
    bool probed = probe(play->world, last);
    run_until(play, play->end_ms);
    if (is_over(play))
        return;
    gv_check_safety(play->checks);
    gv_check_liveness(play->checks);
    if (probed)
        gv_check_probe(play->checks, last);
}

/* Of those that run at the end, since they started. */
static void count_records(struct gv_sim_result *out, const struct gv_core *core, double nodes)
{
    struct gv_core_status status;

    if (!core)
        return;
    gv_core_status(core, &status);
    out->records_mean += (double)status.signals_accepted / nodes;
    out->again_mean += (double)status.records_duplicate / nodes;
}

static void gather_bytes(struct gv_sim_result *out, const struct gv_world *world, double hours)
{
    double nodes = (double)gv_world_online(world);

    for (size_t i = 0; i < world->options.nodes; i++) {
        struct gv_traffic_sum sum;
        uint64_t most;
        gv_world_traffic(world, i, &sum, &most);
        count_records(out, world->nodes[i].core, nodes);
        /* Here nobody floods but the attackers of a plant, so what honest nodes call excess is
         * their own load, and is judged. */
        double excess = (double)(sum.in[GV_CAUSE_EXCESS] + sum.out[GV_CAUSE_EXCESS]) / hours;
        /* A run of less than an hour is judged as if it went on. */
        double busiest = (double)most / (hours < 1 ? hours : 1) + excess;
        out->bytes_max = busiest > out->bytes_max ? busiest : out->bytes_max;
        out->bytes_mean += ((double)gv_traffic_under_cap(&sum) / hours + excess) / nodes;
        for (int cause = 0; cause < GV_CAUSE_COUNT; cause++) {
            double bytes = (double)(sum.in[cause] + sum.out[cause]) / hours;
            out->cause_mean[cause] += bytes / nodes;
            out->cause_max[cause] = bytes > out->cause_max[cause] ? bytes : out->cause_max[cause];
        }
    }
}

static void gather(struct gv_sim_result *out, struct gv_checks *checks, uint64_t healed_ms)
{
    const struct gv_world *world = checks->world;
    double hours = (double)world->now_ms / 3600000;

    memset(out, 0, sizeof *out);
    gv_trace_text(out->trace_hash, &world->trace);
    out->violations = checks->violations;
    out->broken = checks->broken;
    gather_bytes(out, world, hours);
    out->delay_p50_s = gv_checks_delay(checks, 0.5);
    out->delay_p99_s = gv_checks_delay(checks, 0.99);
    out->agreed_s = after_s(checks->agreed_ms, healed_ms);
    out->equal_s = after_s(checks->equal_ms, healed_ms);
    out->online = gv_world_online(world);
    out->attackers = checks->attackers;
    for (size_t i = 0; i < checks->attackers; i++)
        out->published += checks->published_ms[i] != 0;
    gv_checks_told(checks, &out->told_mean, &out->told_max);
    out->signals = checks->signals;
    out->events = world->events;
    out->verifications = world->memo.asked;
    out->verifications_computed = world->memo.computed;
    out->core_bytes_max = checks->most_bytes_held;
    out->weather = world->counts;
}

static struct gv_world_options world_options(const struct gv_sim_options *options,
                                             const struct gv_sim_watch *watch)
{
    return (struct gv_world_options){.nodes = options->nodes,
                                     .seed = options->seed,
                                     .latency_min_ms = 5,
                                     .latency_max_ms = 120,
                                     .networks = options->networks,
                                     .age_min = 200 * 1440,
                                     .skew_max_ms = 2000,
                                     .faults = options->faults,
                                     .run_min = (uint32_t)(options->hours * 60),
                                     .known = options->known,
                                     .public_only = options->public_only,
                                     .behind_nat = (uint32_t)options->behind_nat,
                                     .offline = (uint32_t)options->offline,
                                     .apart = options->apart,
                                     .real_crypto = options->real_crypto,
                                     .story = watch ? watch->story : NULL};
}

void gv_sim_run_watched(struct gv_sim_result *out, const struct gv_sim_options *options, bool quiet,
                        const struct gv_sim_watch *watch)
{
    struct gv_world_options of_world = world_options(options, watch);
    bool faulty = gv_faults_any(&options->faults);
    uint64_t calm_ms = (faulty ? GV_SIM_SETTLE_MS : GV_SIM_CALM_MS) + GV_SIM_PROBE_MS;
    uint64_t end_ms = (uint64_t)(options->hours * 3600000);
    uint64_t shortest = GV_SIM_WARMUP_MS + calm_ms + 10000;
    struct gv_workload workload;
    struct gv_checks checks;

    end_ms = end_ms < shortest ? shortest : end_ms;
    gv_plant_set(options->plant);
    struct gv_world *world = gv_world_new(&of_world);
    gv_workload_draw(&workload, world, options, end_ms, GV_SIM_WARMUP_MS, calm_ms);
    gv_checks_init(&checks, world, workload.attackers + 1);
    checks.quiet = quiet;
    checks.bytes_per_hour = (uint64_t)(options->mb_per_hour * 1e6);
    gv_weather_draw(world, end_ms - calm_ms);
    struct play play = {.world = world,
                        .checks = &checks,
                        .watch = watch,
                        .next_check = check_every(world),
                        .heal_ms = end_ms - calm_ms,
                        .end_ms = end_ms};
    play_all(&play, &workload);
    if (watch && play.next_look < world->now_ms + LOOK_MS) /* not looked at yet */
        look(&play);
    gather(out, &checks, end_ms - calm_ms);
    gv_checks_free(&checks);
    gv_workload_free(&workload);
    gv_world_free(world);
    gv_plant_set(GV_PLANT_NONE);
}

void gv_sim_run(struct gv_sim_result *out, const struct gv_sim_options *options, bool quiet)
{
    gv_sim_run_watched(out, options, quiet, NULL);
}
