#include "sim/options.h"

#include <argp.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum { OPTION_JSON = 256 };

static uint64_t parse_whole(struct argp_state *state, const char *name, const char *text,
                            uint64_t low, uint64_t high)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);

    if (*text < '0' || *text > '9' || *end || value < low || value > high)
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
        options->seed = parse_whole(state, "seed", arg, 0, UINT64_MAX);
        return 0;
    case 'u':
        options->sightings = parse_number(state, "sightings", arg, 0.01, 30);
        return 0;
    case OPTION_JSON:
        options->json_path = arg;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0 || strcmp(arg, "run") != 0)
            argp_error(state, "'%s': the one command is 'run'", arg);
        return 0;
    case ARGP_KEY_END:
        if (state->arg_num == 0)
            argp_error(state, "say what to do: 'run'");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

void gv_sim_options_parse(struct gv_sim_options *out, int argc, char **argv)
{
    static const struct argp_option table[] = {
        {"nodes", 'n', "N", 0, "Nodes, each of its own owner and network (2 to 1000; default 5)", 0},
        {"hours", 'H', "H", 0, "Simulated hours (default 1)", 0},
        {"seed", 's', "S", 0, "Seed: the same seed is the same run (default 1)", 0},
        {"sightings", 'u', "U", 0, "Attackers that a node sees per hour (default 4)", 0},
        {"json", OPTION_JSON, "FILE", 0, "Write the report as JSON to FILE, or - for standard output", 0},
        {0}};
    static const struct argp argp = {
        table, take, "run",
        "Runs the protocol's own code among simulated nodes, without faults, and checks what must "
        "hold.\vThe exit status is 0 when nothing was violated, 1 when something was.",
        NULL, NULL, NULL};

    memset(out, 0, sizeof *out);
    out->nodes = 5;
    out->hours = 1;
    out->seed = 1;
    out->sightings = 4;
    argp_err_exit_status = EX_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, out);
}
