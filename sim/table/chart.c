#include "sim/table/chart.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "crypto/error.h"
#include "crypto/hash.h"
#include "sim/table/adapt.h"
#include "sim/table/keep.h"

/* ---- one seed -------------------------------------------------------------------------------- */

static void play_cell(struct gv_score *out, const struct gv_scene *scene,
                      const struct gv_attack *attack, uint32_t share, const struct gv_rule *rule)
{
    struct gv_campaign campaign;
    struct gv_plan plan;

    gv_attack_campaign(&campaign, attack, scene, share);
    if (attack->searches) {
        gv_adapt(out, &campaign, scene, rule);
        return;
    }
    gv_plan_open(&plan, scene, &campaign);
    gv_play(out, scene, &plan, rule);
    gv_plan_close(&plan);
}

static bool hand_on(const struct gv_score *score, FILE *out, FILE *keep)
{
    return gv_keep_add(keep, score) == 0 && fwrite(score, sizeof *score, 1, out) == 1 &&
           fflush(out) == 0;
}

/* Writes the scores from the n-th on: the base, then each cell's. False: the reader is gone. */
static bool play_seed(const struct gv_chart *table, uint32_t seed, size_t from, FILE *out,
                      FILE *keep)
{
    const struct gv_chart_options *o = table->options;
    const struct gv_attack *none = gv_attack_find("none");
    const struct gv_rule *local = gv_rule_find("local-log");
    struct gv_scene scene;
    struct gv_score base = table->base[seed], score;
    bool ok = true;

    gv_scene_open(&scene, &o->numbers, o->nodes, o->days, o->seed + seed);
    if (from == 0) {
        play_cell(&base, &scene, none, 0, local);
        ok = hand_on(&base, out, keep);
        from++;
    }
    for (size_t i = from - 1; ok && i < table->cell_count; i++) {
        const struct gv_cell *cell = &table->cells[i];
        if (cell->attack == none && cell->rule == local)
            score = base;
        else
            play_cell(&score, &scene, cell->attack, cell->share_permille, cell->rule);
        ok = hand_on(&score, out, keep);
    }
    gv_scene_close(&scene);
    return ok;
}

/* ---- seeds side by side ---------------------------------------------------------------------- */

struct child {
    pid_t pid;
    FILE *pipe, *keep;
    uint32_t seed;
    size_t done; /* scores read */
};

/* A seed of which everything was kept has no process and no pipe. */
static int start(struct child *child, struct gv_chart *table, uint32_t seed)
{
    int ends[2];
    int rc = gv_keep_open(&child->keep, &child->done, table, seed);

    child->seed = seed;
    if (rc != 0 || child->done > table->cell_count)
        return rc;
    if (pipe(ends) != 0)
        goto failed;
    fflush(NULL);
    child->pid = fork();
    if (child->pid == 0) {
        FILE *out = fdopen(ends[1], "wb");
        close(ends[0]);
        bool ok = out && play_seed(table, seed, child->done, out, child->keep);
        ok = out && fclose(out) == 0 && ok;
        _exit(ok ? 0 : 1);
    }
    close(ends[1]);
    child->pipe = child->pid > 0 ? fdopen(ends[0], "rb") : NULL;
    if (child->pipe)
        return 0;
    close(ends[0]);
failed:
    fprintf(stderr, "grapevine-sim: no process for a seed: %s\n", strerror(errno));
    return EX_OSERR;
}

static void tell(const struct gv_chart *table, const struct child *child)
{
    size_t all = table->cell_count + 1;
    const char *end = isatty(STDERR_FILENO) ? "\r" : "\n";

    if (isatty(STDERR_FILENO) || child->done == all || child->done % 25 == 0)
        fprintf(stderr, "seed %" PRIu64 ": %zu of %zu runs%s", table->options->seed + child->seed,
                child->done, all, child->done == all ? "\n" : end);
}

/* Reads a child to its end. */
static int collect(struct gv_chart *table, struct child *child)
{
    int status = 0;
    bool ok = true;

    while (ok && child->pipe && child->done <= table->cell_count) {
        struct gv_score *score = gv_chart_score(table, child->seed, child->done);
        ok = fread(score, sizeof *score, 1, child->pipe) == 1;
        if (ok) {
            child->done++;
            tell(table, child);
        }
    }
    if (child->keep)
        fclose(child->keep); /* the child wrote into it, and said if it could not */
    if (!child->pipe)
        return 0;
    fclose(child->pipe);
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (ok && status == 0)
        return 0;
    fprintf(stderr, "grapevine-sim: the run of seed %" PRIu64 " died\n",
            table->options->seed + child->seed);
    return EX_SOFTWARE;
}

static int play(struct gv_chart *table)
{
    uint32_t jobs = table->options->jobs, next = 0, from = 0;
    struct child *children = calloc(table->seeds, sizeof *children);
    int rc = 0;

    gv_assert(children);
    while (from < table->seeds) {
        while (rc == 0 && next < table->seeds && next < from + jobs) {
            rc = start(&children[next], table, next);
            next += rc == 0;
        }
        if (from == next)
            break;
        int died = collect(table, &children[from++]);
        rc = rc ? rc : died;
    }
    free(children);
    return rc;
}

static void hash_score(uint64_t *hash, const struct gv_score *score)
{
    static const uint8_t key[16] = {'t', 'a', 'b', 'l', 'e'};
    const uint64_t words[] = {*hash,
#define GV_SCORE_WORD(name, text) score->name,
                              GV_SCORE_MAP(GV_SCORE_WORD)
#undef GV_SCORE_WORD
                                  score->identities,
                              score->age_days,
                              score->addresses,
                              score->own_visits,
                              score->found};

    *hash = gv_siphash(key, words, sizeof words);
}

int gv_chart_open(struct gv_chart *out, const struct gv_chart_options *options)
{
    memset(out, 0, sizeof *out);
    out->options = options;
    out->seeds = (uint32_t)(options->last_seed - options->seed + 1);
    gv_chart_cells(out);
    if (out->cell_count == 0) {
        fprintf(stderr, "grapevine-sim: --rules and --attacks leave nothing to run\n");
        return EX_USAGE;
    }
    out->base = calloc(out->seeds, sizeof *out->base);
    out->scores = calloc(out->cell_count * out->seeds, sizeof *out->scores);
    gv_assert(out->base && out->scores);
    for (size_t i = 0; i < out->cell_count; i++)
        out->cells[i].scores = out->scores + i * out->seeds;
    int rc = play(out);
    for (size_t i = 0; i < out->cell_count * out->seeds; i++)
        hash_score(&out->hash, &out->scores[i]);
    return rc;
}

void gv_chart_close(struct gv_chart *table)
{
    free(table->cells);
    free(table->scores);
    free(table->base);
    memset(table, 0, sizeof *table);
}

/* ---- figures --------------------------------------------------------------------------------- */

static int64_t per_10000(uint64_t part, uint64_t whole)
{
    return whole > 0 ? (int64_t)((part * 10000 + whole / 2) / whole) : -1;
}

static int64_t figure_of(const struct gv_chart *table, const struct gv_score *s, uint32_t seed,
                         enum gv_figure figure)
{
    const struct gv_score *base = &table->base[seed];

    switch (figure) {
    case GV_FIGURE_THROUGH:
        return per_10000(s->attempts, s->attempts_base);
    case GV_FIGURE_SPRAY:
        return per_10000(s->spray, s->spray_base);
    case GV_FIGURE_GUARDED:
        return per_10000(s->guarded, s->guarded_base);
    case GV_FIGURE_REFUSED:
        return (int64_t)s->refused;
    case GV_FIGURE_SHARED:
        return (int64_t)s->refused_shared;
    case GV_FIGURE_CLEAN:
        return (int64_t)s->refused_clean;
    case GV_FIGURE_LOCKED:
        return (int64_t)(s->refused_locked + s->refused_locked_shared) -
               (int64_t)(base->refused_locked + base->refused_locked_shared);
    case GV_FIGURE_LOCKOUTS:
        return (int64_t)(s->lockouts + s->lockouts_shared) -
               (int64_t)(base->lockouts + base->lockouts_shared);
    }
    return 0;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

struct gv_spread gv_chart_spread(const struct gv_chart *table, const struct gv_cell *cell,
                                 enum gv_figure figure)
{
    int64_t *values = calloc(table->seeds, sizeof *values);
    struct gv_spread spread;

    gv_assert(values);
    for (uint32_t i = 0; i < table->seeds; i++)
        values[i] = figure_of(table, &cell->scores[i], i, figure);
    qsort(values, table->seeds, sizeof *values, compare);
    spread = (struct gv_spread){values[0], values[table->seeds / 2], values[table->seeds - 1]};
    free(values);
    return spread;
}

const struct gv_cell *gv_chart_worst(const struct gv_chart *table, const char *rule,
                                     enum gv_figure figure)
{
    const struct gv_cell *worst = NULL;
    int64_t most = 0;

    for (size_t i = 0; i < table->cell_count; i++) {
        const struct gv_cell *cell = &table->cells[i];
        int64_t median = gv_chart_spread(table, cell, figure).median;
        if (strcmp(cell->rule->name, rule) == 0 && median > most) {
            worst = cell;
            most = median;
        }
    }
    return worst;
}

const struct gv_cell *gv_chart_find(const struct gv_chart *table, const char *rule,
                                    const char *attack, uint32_t share_permille)
{
    for (size_t i = 0; i < table->cell_count; i++)
        if (strcmp(table->cells[i].rule->name, rule) == 0 &&
            strcmp(table->cells[i].attack->name, attack) == 0 &&
            table->cells[i].share_permille == share_permille)
            return &table->cells[i];
    return NULL;
}

/* The wall tells how busy the machine is, this what the table costs. */
static void say_cost(void)
{
    struct rusage children;

    if (getrusage(RUSAGE_CHILDREN, &children) == 0)
        fprintf(stderr, "%.1f s of processor time\n",
                (double)(children.ru_utime.tv_sec + children.ru_stime.tv_sec) +
                    (double)(children.ru_utime.tv_usec + children.ru_stime.tv_usec) / 1e6);
}

int gv_chart_main(int argc, char **argv)
{
    struct gv_chart_options options;
    struct gv_chart table;

    gv_chart_options_parse(&options, argc, argv);
    int rc = gv_chart_open(&table, &options);
    if (rc == 0 && !(options.json_path && strcmp(options.json_path, "-") == 0))
        gv_chart_text(stdout, &table);
    if (rc == 0 && options.json_path)
        rc = gv_chart_json(&table);
    if (rc == 0 && options.html_path)
        rc = gv_chart_html(&table);
    say_cost();
    gv_chart_close(&table);
    return rc;
}
