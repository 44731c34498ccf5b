#include "sim/options.h"

#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "crypto/error.h"
#include "sim/knobs.h"
#include "sim/scenario.h"

enum {
    OPTION_KNOB = 256,
    OPTION_JSON = 512,
    OPTION_HTML,
    OPTION_SEEDS,
    OPTION_FAULTS,
    OPTION_SCENARIO,
    OPTION_TRIES,
    OPTION_NODE,
    OPTION_FROM,
    OPTION_TO,
    OPTION_ALL
};
#define KNOBS_MAX 32
#define OTHERS    12
#define TRIES     300

static const struct {
    const char *name;
    enum gv_sim_command command;
    unsigned words; /* behind it */
} commands[] = {
    {"run", GV_SIM_RUN, 0},           {"swarm", GV_SIM_SWARM, 0}, {"replay", GV_SIM_REPLAY, 1},
    {"minimise", GV_SIM_MINIMISE, 0}, {"trace", GV_SIM_TRACE, 0}, {"explain", GV_SIM_EXPLAIN, 2},
};

static uint64_t parse_whole(struct argp_state *state, const char *name, const char *text,
                            uint64_t low, uint64_t high)
{
    char *end;
    errno = 0; /* a number that is too long comes out as the largest one */
    unsigned long long value = strtoull(text, &end, 10);

    if (errno || *text < '0' || *text > '9' || *end || value < low || value > high)
        argp_error(state, "%s %s: must be a whole number from %llu to %llu", name, text,
                   (unsigned long long)low, (unsigned long long)high);
    return value;
}

static double parse_seconds(struct argp_state *state, const char *name, const char *text)
{
    char *end;
    double value = strtod(text, &end);

    if (!gv_is_decimal(text) || *end || !(value >= 0 && value <= 24.0 * 60 * 3600))
        argp_error(state, "%s %s: must be seconds since the start, 0 to %d", name, text,
                   24 * 60 * 3600);
    return value;
}

static void parse_seeds(struct argp_state *state, struct gv_sim_options *options, const char *text)
{
    char *end;

    errno = 0;
    options->seeded = true;
    options->seed = strtoull(text, &end, 10);
    options->last_seed = options->seed;
    if (end != text && end[0] == '.' && end[1] == '.' && end[2] >= '0' && end[2] <= '9')
        options->last_seed = strtoull(end + 2, &end, 10);
    if (errno || *text < '0' || *text > '9' || *end || options->last_seed < options->seed)
        argp_error(state, "--seeds %s: must be FROM..TO, two whole numbers, the smaller first",
                   text);
}

static void parse_faults(struct argp_state *state, struct gv_sim_options *options, const char *text)
{
    const char *where = text, *wrong;

    options->drawn = strcmp(text, "drawn") == 0;
    options->faults_given = true;
    memset(&options->faults, 0, sizeof options->faults);
    if (strcmp(text, "help") == 0)
        options->command = GV_SIM_FAULTS;
    if (options->drawn || strcmp(text, "none") == 0 || strcmp(text, "help") == 0)
        return;
    wrong = gv_faults_parse(&options->faults, text, &where);
    if (wrong)
        argp_error(state, "--faults: at '%s': %s", where, wrong);
}

static void parse_scenario(struct gv_sim_options *options, const char *path)
{
    if (strcmp(path, "help") == 0) {
        options->command = GV_SIM_SCENARIO;
        return;
    }
    int rc = gv_scenario_read(options, path);
    if (rc != 0)
        exit(rc);
    if (options->seeded)
        options->last_seed = options->seed;
}

static void parse_knob(struct argp_state *state, struct gv_sim_options *options, size_t index,
                       const char *text)
{
    const struct gv_knob *knob = gv_knob(index);
    char why[GV_KNOB_WHY];

    if (strcmp(knob->name, "plant") == 0 && text && strcmp(text, "list") == 0) {
        options->command = GV_SIM_PLANTS;
        return;
    }
    if (!gv_knob_set(options, index, text ? text : "yes", why))
        argp_error(state, "--%s %s: %s", knob->name, text ? text : "", why);
    if (strcmp(knob->name, "seed") == 0) {
        options->last_seed = options->seed;
        options->seeded = true;
    }
}

static void parse_word(struct argp_state *state, struct gv_sim_options *options, const char *text)
{
    static const size_t count = sizeof commands / sizeof *commands;
    size_t i = 0;

    if (options->command > GV_SIM_EXPLAIN) /* help was asked for */
        return;
    if (state->arg_num == 0) {
        while (i < count && strcmp(commands[i].name, text) != 0)
            i++;
        if (i == count)
            argp_error(state,
                       "'%s': the commands are run, swarm, replay, minimise, trace, explain "
                       "and attack-table",
                       text);
        options->command = commands[i].command;
    } else if (options->command == GV_SIM_REPLAY && state->arg_num == 1) {
        options->report = text;
    } else if (options->command == GV_SIM_EXPLAIN && state->arg_num == 1) {
        options->node = (size_t)parse_whole(state, "NODE", text, 0, 9999);
    } else if (options->command == GV_SIM_EXPLAIN && state->arg_num == 2) {
        options->to_s = parse_seconds(state, "TIME", text);
    } else {
        argp_error(state, "'%s': too many words", text);
    }
}

static void check_words(struct argp_state *state, const struct gv_sim_options *options)
{
    if (options->command > GV_SIM_EXPLAIN)
        return;
    if (state->arg_num == 0)
        argp_error(state, "say what to do: run, swarm, replay, minimise, trace, explain or "
                          "attack-table");
    if (state->arg_num < 1 + commands[options->command].words)
        argp_error(state, options->command == GV_SIM_REPLAY
                              ? "replay: name the report that is to be repeated"
                              : "explain: say which NODE, and at which TIME (seconds)");
    if (options->command != GV_SIM_SWARM && options->seed != options->last_seed)
        argp_error(state, "--seeds is for 'swarm'; a single run takes --seed");
}

static error_t take(int key, char *arg, struct argp_state *state)
{
    struct gv_sim_options *options = state->input;

    for (size_t i = 0; gv_knob(i); i++)
        if (key == (int)(OPTION_KNOB + i) || (key == gv_knob(i)->letter && key != 0)) {
            parse_knob(state, options, i, arg);
            return 0;
        }
    switch (key) {
    case 'j':
        options->jobs = (size_t)parse_whole(state, "--jobs", arg, 1, 256);
        return 0;
    case OPTION_SEEDS:
        parse_seeds(state, options, arg);
        return 0;
    case OPTION_FAULTS:
        parse_faults(state, options, arg);
        return 0;
    case OPTION_SCENARIO:
        parse_scenario(options, arg);
        return 0;
    case OPTION_TRIES:
        options->tries = (size_t)parse_whole(state, "--tries", arg, 1, 100000);
        return 0;
    case OPTION_NODE:
        options->node = (size_t)parse_whole(state, "--node", arg, 0, 9999);
        return 0;
    case OPTION_FROM:
        options->from_s = parse_seconds(state, "--from", arg);
        return 0;
    case OPTION_TO:
        options->to_s = parse_seconds(state, "--to", arg);
        return 0;
    case OPTION_ALL:
        options->all = true;
        return 0;
    case OPTION_JSON:
        options->json_path = arg;
        return 0;
    case OPTION_HTML:
        options->html_path = arg;
        return 0;
    case ARGP_KEY_ARG:
        parse_word(state, options, arg);
        return 0;
    case ARGP_KEY_END:
        check_words(state, options);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option others[OTHERS] = {
    {"scenario", OPTION_SCENARIO, "FILE", 0,
     "Take all of this from an INI file; help prints one with every key", 0},
    {"seeds", OPTION_SEEDS, "A..B", 0, "swarm: these seeds (default 1..100)", 0},
    {"jobs", 'j', "N", 0, "swarm: runs at a time (default: one per processor)", 0},
    {"faults", OPTION_FAULTS, "LIST", 0,
     "NAME=NUMBER,... or none (default), drawn (by the seed; default of swarm), help", 0},
    {"tries", OPTION_TRIES, "N", 0, "minimise: runs at most (default 300)", 0},
    {"node", OPTION_NODE, "N", 0, "trace: what happens at this node alone", 0},
    {"from", OPTION_FROM, "S", 0, "trace: from this second on", 0},
    {"to", OPTION_TO, "S", 0, "trace: up to this second", 0},
    {"all", OPTION_ALL, NULL, 0, "trace: connections, bytes and rows, too", 0},
    {"json", OPTION_JSON, "FILE", 0, "Write the report as JSON to FILE, or - for standard output",
     0},
    {"html", OPTION_HTML, "FILE", 0, "run: write the report as a page with plots to FILE", 0},
    {0}};

/* Knobs first; both in the order in which they are told. */
static void make_table(struct argp_option table[KNOBS_MAX + OTHERS])
{
    size_t count = 0;

    for (; gv_knob(count); count++) {
        const struct gv_knob *knob = gv_knob(count);
        gv_assert(count < KNOBS_MAX);
        table[count] = (struct argp_option){
            knob->name, knob->letter ? knob->letter : (int)(OPTION_KNOB + count),
            knob->unit, 0,
            knob->text, 0};
    }
    memcpy(table + count, others, sizeof others);
}

static void fill_in(struct gv_sim_options *out)
{
    bool swarm = out->command == GV_SIM_SWARM;

    if (out->nodes == 0)
        out->nodes = swarm ? 7 : 5;
    if (!(out->hours > 0))
        out->hours = swarm ? 2 : 1;
    if (!(out->sightings > 0))
        out->sightings = 4;
    if (!out->seeded) {
        out->seed = 1;
        out->last_seed = swarm ? 100 : 1;
    }
    if (swarm && !(out->mb_per_hour > 0))
        out->mb_per_hour = 1;
    if (swarm && !out->faults_given)
        out->drawn = true;
    if (out->drawn && !swarm)
        gv_faults_draw(&out->faults, out->seed);
    if (out->tries == 0)
        out->tries = TRIES;
}

void gv_sim_options_parse(struct gv_sim_options *out, int argc, char **argv)
{
    struct argp_option table[KNOBS_MAX + OTHERS];
    const struct argp argp = {
        table,
        take,
        "run\nswarm\nreplay REPORT\nminimise\ntrace\nexplain NODE TIME\nattack-table [OPTION...]",
        "Runs the protocol's own code among simulated nodes, with faults if asked for, and checks "
        "from outside what must hold.\v"
        "run: one seed. swarm: many, each with faults of its own, up to the first that fails. "
        "replay: repeats what a report (--json) of either tells of, and compares. minimise: makes "
        "a "
        "run that fails as small as it can be. trace: tells what happens in a run, line by line. "
        "explain: tells all of one node at one second.\n\n"
        "The exit status is 0 when nothing was violated, 1 when something was. A run that was "
        "violated is printed as a command line that repeats it.",
        NULL,
        NULL,
        NULL};

    memset(out, 0, sizeof *out);
    out->node = SIZE_MAX;
    make_table(table);
    argp_err_exit_status = EX_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, out);
    fill_in(out);
}

/* ---- the line -------------------------------------------------------------------------------- */

static void add_knob(char out[GV_SIM_LINE], const struct gv_sim_options *options, size_t index)
{
    const struct gv_knob *knob = gv_knob(index);
    size_t at = strlen(out);
    char text[GV_KNOB_TEXT];

    if (!gv_knob_text(text, options, index) && !gv_knob_is_basic(index))
        return;
    snprintf(out + at, GV_SIM_LINE - at, " --%s%s%s", knob->name, knob->unit ? " " : "",
             knob->unit ? text : "");
}

void gv_sim_options_line(char out[GV_SIM_LINE], const struct gv_sim_options *options)
{
    char faults[GV_FAULTS_TEXT];

    gv_faults_text(faults, &options->faults);
    strcpy(out, "grapevine-sim run");
    for (size_t i = 0; gv_knob(i); i++)
        if (gv_knob_is_basic(i))
            add_knob(out, options, i);
    size_t at = strlen(out);
    snprintf(out + at, GV_SIM_LINE - at, " --faults %s", faults);
    for (size_t i = 0; gv_knob(i); i++)
        if (!gv_knob_is_basic(i))
            add_knob(out, options, i);
}

/* A report is a file like any other: what is not exactly such a line is refused. */
bool gv_sim_options_read(struct gv_sim_options *out, const char *line)
{
    char copy[GV_SIM_LINE], again[GV_SIM_LINE], why[GV_KNOB_WHY], *rest = copy, *word;
    const char *where;

    memset(out, 0, sizeof *out);
    out->node = SIZE_MAX;
    if (strlen(line) >= sizeof copy)
        return false;
    strcpy(copy, line);
    strtok_r(rest, " ", &rest);
    strtok_r(rest, " ", &rest);
    while ((word = strtok_r(rest, " ", &rest))) {
        size_t index = strncmp(word, "--", 2) == 0 ? gv_knob_find(word + 2) : GV_KNOB_NONE;
        bool faults = strcmp(word, "--faults") == 0;
        const char *value = faults || (index != GV_KNOB_NONE && gv_knob(index)->unit)
                                ? strtok_r(rest, " ", &rest)
                                : "yes";
        if (!value || (!faults && index == GV_KNOB_NONE))
            return false;
        if (faults && strcmp(value, "none") != 0 && gv_faults_parse(&out->faults, value, &where))
            return false;
        if (!faults && !gv_knob_set(out, index, value, why))
            return false;
    }
    out->last_seed = out->seed;
    out->seeded = out->faults_given = true;
    gv_sim_options_line(again, out);
    return out->nodes > 0 && out->hours > 0 && out->sightings > 0 && strcmp(again, line) == 0;
}
