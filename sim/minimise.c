/* `minimise`: a run that fails, made smaller step by step as long as it fails in the same way. */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "sim/knobs.h"
#include "sim/trial.h"

struct search {
    struct gv_sim_options best;
    const char *sentence; /* that must be said; NULL: it must die of the same, */
    int signal;           /* this, or */
    int exit_status;
    size_t tries, most;
    bool terminal, broken; /* broken: no process could be made */
};

static bool fails_alike(const struct search *search, const struct gv_trial *trial)
{
    return search->sentence ? gv_broken_has(&trial->result.broken, search->sentence)
                            : !trial->ended && trial->signal == search->signal &&
                                  trial->exit_status == search->exit_status;
}

static void show(const struct search *search, const struct gv_sim_options *options, bool better)
{
    char line[GV_SIM_LINE];

    gv_sim_options_line(line, options);
    if (search->terminal)
        fprintf(stderr, "\r\033[K%zu of %zu: %.*s%s", search->tries, search->most,
                better ? (int)sizeof line : 60, line, better ? "\n" : "");
    else if (better)
        fprintf(stderr, "%zu of %zu: %s\n", search->tries, search->most, line);
}

/* Takes it if it fails in the same way. */
static bool take(struct search *search, const struct gv_sim_options *smaller)
{
    struct gv_trial trial;

    if (search->tries >= search->most || search->broken)
        return false;
    search->tries++;
    show(search, smaller, false);
    search->broken = gv_trial(&trial, smaller) != 0;
    if (search->broken || !fails_alike(search, &trial))
        return false;
    search->best = *smaller;
    show(search, smaller, true);
    return true;
}

/* ---- what can be smaller --------------------------------------------------------------------- */

/* From the least up to nearly what it is: the first that fails is taken. */
static const double shares[] = {0, 0.125, 0.25, 0.5, 0.75, 0.875};
#define SHARES (sizeof shares / sizeof *shares)

static bool shrink_hours(struct search *search)
{
    for (size_t i = 0; i < SHARES; i++) {
        struct gv_sim_options smaller = search->best;
        /* In whole minutes: what is found is to be read. */
        double minutes = (double)(long)(search->best.hours * 60 * shares[i]);
        smaller.hours = minutes < 2 ? 2.0 / 60 : minutes / 60;
        if (smaller.hours < search->best.hours && take(search, &smaller))
            return true;
    }
    return false;
}

static bool shrink_nodes(struct search *search)
{
    size_t now = search->best.nodes;

    for (size_t i = 0; i <= SHARES; i++) {
        struct gv_sim_options smaller = search->best;
        smaller.nodes = i == SHARES ? now - 1 : (size_t)((double)now * shares[i]);
        smaller.nodes = smaller.nodes < 2 ? 2 : smaller.nodes;
        if (smaller.nodes < now && take(search, &smaller))
            return true;
    }
    return false;
}

static bool shrink_sightings(struct search *search)
{
    for (size_t i = 0; i < SHARES; i++) {
        struct gv_sim_options smaller = search->best;
        double tenths = (double)(long)(search->best.sightings * 10 * shares[i]);
        smaller.sightings = tenths < 1 ? 0.1 : tenths / 10;
        if (smaller.sightings < search->best.sightings && take(search, &smaller))
            return true;
    }
    return false;
}

/* What is not needed, away with it; the plant is what is looked for. */
static bool drop_knobs(struct search *search)
{
    bool any = false;
    char text[GV_KNOB_TEXT];

    for (size_t i = 0; gv_knob(i); i++) {
        struct gv_sim_options smaller = search->best;
        if (gv_knob_is_basic(i) || strcmp(gv_knob(i)->name, "plant") == 0 ||
            !gv_knob_text(text, &smaller, i))
            continue;
        gv_knob_clear(&smaller, i);
        any = take(search, &smaller) || any;
    }
    return any;
}

static bool shrink_fault(struct search *search, size_t index)
{
    uint32_t now = *gv_faults_at(&search->best.faults, index);

    for (size_t i = 0; i < SHARES; i++) {
        struct gv_sim_options smaller = search->best;
        uint32_t value = (uint32_t)(now * shares[i]);
        /* 0 first, then 1: many faults are there or not. */
        if (i > 0 && value == 0)
            value = 1;
        *gv_faults_at(&smaller.faults, index) = value;
        if (value < now && take(search, &smaller))
            return true;
    }
    return false;
}

static bool shrink_faults(struct search *search)
{
    bool any = false;

    for (size_t i = 0; gv_faults_at(&search->best.faults, i); i++)
        any = shrink_fault(search, i) || any;
    return any;
}

/* ---- the search ------------------------------------------------------------------------------ */

/* Time and nodes first: what comes after them is tried the faster. */
static void shrink(struct search *search)
{
    bool any = true;

    while (any && search->tries < search->most && !search->broken) {
        any = shrink_hours(search);
        any = shrink_nodes(search) || any;
        any = drop_knobs(search) || any;
        any = shrink_faults(search) || any;
        any = shrink_sightings(search) || any;
    }
}

int gv_minimise(const struct gv_sim_options *options)
{
    struct search search = {
        .best = *options, .most = options->tries, .terminal = isatty(STDERR_FILENO)};
    char line[GV_SIM_LINE];
    struct gv_trial trial;
    char death[GV_TRIAL_DEATH];

    search.best.command = GV_SIM_RUN;
    gv_sim_options_line(line, options);
    fprintf(stderr, "%s\n", line);
    if (gv_trial(&trial, options) != 0) {
        perror("grapevine-sim");
        return EX_OSERR;
    }
    if (trial.ended && trial.result.violations == 0) {
        fprintf(stderr, "grapevine-sim: this run does not fail: there is nothing to minimise\n");
        return EX_DATAERR;
    }
    search.signal = trial.signal;
    search.exit_status = trial.exit_status;
    gv_trial_death(death, &trial);
    search.sentence = trial.ended ? trial.result.broken.sentences[0] : NULL;
    shrink(&search);
    if (search.broken) {
        perror("grapevine-sim");
        return EX_OSERR;
    }
    if (search.sentence)
        fprintf(stderr, "%safter %zu runs still: %s\n", search.terminal ? "\r\033[K" : "",
                search.tries, search.sentence);
    else
        fprintf(stderr, "%safter %zu runs it still ends with %s\n",
                search.terminal ? "\r\033[K" : "", search.tries, death);
    gv_sim_options_line(line, &search.best);
    puts(line);
    return 0;
}
