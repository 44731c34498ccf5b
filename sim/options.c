#include "sim/options.h"

#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum { OPTION_JSON = 256, OPTION_SEEDS, OPTION_FAULTS, OPTION_PLANT, OPTION_REAL, OPTION_CAP,
       OPTION_KNOWN, OPTION_PUBLIC };

static uint64_t parse_whole(struct argp_state *state, const char *name, const char *text,
                            uint64_t low, uint64_t high)
{
    char *end;
    errno = 0; /* a number that is too long comes out as the largest one */
    unsigned long long value = strtoull(text, &end, 10);

    if (errno || *text < '0' || *text > '9' || *end || value < low || value > high)
        argp_error(state, "--%s %s: must be a whole number from %llu to %llu", name, text,
                   (unsigned long long)low, (unsigned long long)high);
    return value;
}

static double parse_number(struct argp_state *state, const char *name, const char *text, double low,
                           double high)
{
    char *end;
    double value = strtod(text, &end);

    if (end == text || *end || !(value >= low && value <= high))
        argp_error(state, "--%s %s: must be a number from %g to %g", name, text, low, high);
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
    if (errno || *text < '0' || *text > '9' || *end ||
        options->last_seed < options->seed)
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

static void parse_plant(struct argp_state *state, struct gv_sim_options *options, const char *text)
{
    options->plant = gv_plant_find(text);
    if (strcmp(text, "list") == 0)
        options->command = GV_SIM_PLANTS;
    else if (options->plant == GV_PLANT_COUNT)
        argp_error(state, "--plant %s: there is none of this name ('--plant list')", text);
}

static void parse_command(struct argp_state *state, struct gv_sim_options *options,
                          const char *text)
{
    if (state->arg_num > 0 || (strcmp(text, "run") != 0 && strcmp(text, "swarm") != 0))
        argp_error(state, "'%s': the commands are 'run', 'swarm' and 'attack-table'", text);
    if (strcmp(text, "swarm") != 0 || options->command != GV_SIM_RUN)
        return;
    options->command = GV_SIM_SWARM;
}

static error_t take(int key, char *arg, struct argp_state *state)
{
    struct gv_sim_options *options = state->input;

    switch (key) {
    case 'n':
        options->nodes = (size_t)parse_whole(state, "nodes", arg, 2, 1000);
        return 0;
    case 'H':
        options->hours = parse_number(state, "hours", arg, 0.02, 24.0 * 60);
        return 0;
    case 's':
        options->seed = options->last_seed = parse_whole(state, "seed", arg, 0, UINT64_MAX);
        options->seeded = true;
        return 0;
    case 'u':
        options->sightings = parse_number(state, "sightings", arg, 0.01, 30);
        return 0;
    case 'j':
        options->jobs = (size_t)parse_whole(state, "jobs", arg, 1, 256);
        return 0;
    case OPTION_SEEDS:
        parse_seeds(state, options, arg);
        return 0;
    case OPTION_FAULTS:
        parse_faults(state, options, arg);
        return 0;
    case OPTION_PLANT:
        parse_plant(state, options, arg);
        return 0;
    case OPTION_REAL:
        options->real_crypto = true;
        return 0;
    case OPTION_PUBLIC:
        options->public_only = true;
        return 0;
    case OPTION_KNOWN:
        options->known = true;
        return 0;
    case OPTION_CAP:
        options->mb_per_hour = parse_number(state, "max-mb-per-hour", arg, 0.001, 100000);
        return 0;
    case OPTION_JSON:
        options->json_path = arg;
        return 0;
    case ARGP_KEY_ARG:
        parse_command(state, options, arg);
        return 0;
    case ARGP_KEY_END:
        if (state->arg_num == 0 && options->command == GV_SIM_RUN)
            argp_error(state, "say what to do: 'run', 'swarm' or 'attack-table'");
        if (options->command == GV_SIM_RUN && options->seed != options->last_seed)
            argp_error(state, "--seeds is for 'swarm'; 'run' takes --seed");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

void gv_sim_options_parse(struct gv_sim_options *out, int argc, char **argv)
{
    static const struct argp_option table[] = {
        {"nodes", 'n', "N", 0,
         "Nodes, each of its own owner and network (2 to 1000; default 5, swarm 7)", 0},
        {"hours", 'H', "H", 0, "Simulated hours (default 1, swarm 2)", 0},
        {"seed", 's', "S", 0, "Seed: the same seed is the same run (default 1)", 0},
        {"seeds", OPTION_SEEDS, "A..B", 0, "swarm: these seeds (default 1..100)", 0},
        {"sightings", 'u', "U", 0, "Attackers that a node sees per hour (default 4)", 0},
        {"faults", OPTION_FAULTS, "LIST", 0,
         "NAME=NUMBER,... or none (default of run), drawn (by the seed; default of swarm), help", 0},
        {"plant", OPTION_PLANT, "NAME", 0, "Run with a planted bug, which must be found; list", 0},
        {"real-crypto", OPTION_REAL, NULL, 0, "Check each signature at each node anew", 0},
        {"known", OPTION_KNOWN, NULL, 0,
         "Everybody knows everybody from the start: a mesh that has lived for days", 0},
        {"public", OPTION_PUBLIC, NULL, 0,
         "No keepers: every word goes to everybody, for comparing", 0},
        {"max-mb-per-hour", OPTION_CAP, "MB", 0,
         "It is a violation if a node moves more, in and out (default: run none, swarm 1)", 0},
        {"jobs", 'j', "N", 0, "swarm: runs at a time (default: one per processor)", 0},
        {"json", OPTION_JSON, "FILE", 0, "Write the report as JSON to FILE, or - for standard output", 0},
        {0}};
    static const struct argp argp = {
        table, take, "run|swarm\nattack-table [OPTION...]",
        "Runs the protocol's own code among simulated nodes, with faults if asked for, and checks "
        "from outside what must hold.\vThe exit status is 0 when nothing was violated, 1 when "
        "something was. A run that was violated is printed as a command line that repeats it.",
        NULL, NULL, NULL};

    memset(out, 0, sizeof *out);
    argp_err_exit_status = EX_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, out);
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
}

#define NUMBER_TEXT 32

/* As short as it can be and still be the same number when it is read. */
static void number_text(char out[NUMBER_TEXT], double value)
{
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(out, NUMBER_TEXT, "%.*g", digits, value);
        double again = strtod(out, NULL);
        if (!(again < value) && !(again > value))
            return;
    }
}

void gv_sim_options_line(char out[GV_SIM_LINE], const struct gv_sim_options *options)
{
    char faults[GV_FAULTS_TEXT], plant[64] = "", cap[64] = "";
    char hours[NUMBER_TEXT], sightings[NUMBER_TEXT], mb[NUMBER_TEXT];

    gv_faults_text(faults, &options->faults);
    number_text(hours, options->hours);
    number_text(sightings, options->sightings);
    number_text(mb, options->mb_per_hour);
    if (options->plant != GV_PLANT_NONE)
        snprintf(plant, sizeof plant, " --plant %s", gv_plant_name(options->plant));
    if (options->mb_per_hour > 0)
        snprintf(cap, sizeof cap, " --max-mb-per-hour %s", mb);
    snprintf(out, GV_SIM_LINE,
             "grapevine-sim run --nodes %zu --hours %s --seed %" PRIu64
             " --sightings %s --faults %s%s%s%s%s%s",
             options->nodes, hours, options->seed, sightings, faults, plant, cap,
             options->known ? " --known" : "",
             options->public_only ? " --public" : "", options->real_crypto ? " --real-crypto" : "");
}
