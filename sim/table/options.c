#include <argp.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "sim/table/chart.h"

enum {
    OPTION_QUICK = 256,
    OPTION_SEEDS,
    OPTION_JSON,
    OPTION_HTML,
    OPTION_KEEP,
    OPTION_RULES,
    OPTION_ATTACKS,
    OPTION_SET
};

#define NODES       600
#define DAYS        45
#define SEEDS       5
#define QUICK_DAYS  9
#define QUICK_SEEDS 5

static uint64_t whole(struct argp_state *state, const char *name, const char *text, uint64_t low,
                      uint64_t high)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);

    if (*text < '0' || *text > '9' || *end || value < low || value > high)
        argp_error(state, "--%s %s: must be a whole number from %llu to %llu", name, text,
                   (unsigned long long)low, (unsigned long long)high);
    return value;
}

static void parse_seeds(struct argp_state *state, struct gv_chart_options *o, const char *text)
{
    char *end;

    o->seed = strtoull(text, &end, 10);
    o->last_seed = o->seed;
    if (end != text && end[0] == '.' && end[1] == '.' && end[2] >= '0' && end[2] <= '9')
        o->last_seed = strtoull(end + 2, &end, 10);
    if (*text < '0' || *text > '9' || *end || o->last_seed < o->seed ||
        o->last_seed - o->seed >= 1000)
        argp_error(state, "--seeds %s: must be FROM..TO, two whole numbers, at most 1000 seeds",
                   text);
}

/* Each name in a list must be one that there is. */
static void check_names(struct argp_state *state, const char *option, const char *text)
{
    char name[64];
    const char *at = text;

    for (;;) {
        size_t len = strcspn(at, ",");
        snprintf(name, sizeof name, "%.*s", (int)(len < 60 ? len : 60), at);
        bool known = strcmp(option, "rules") == 0 ? gv_rule_find(name) != NULL
                                                  : gv_attack_find(name) != NULL;
        if (!known)
            argp_error(state, "--%s: '%s' is none ('--%s list' names them)", option, name, option);
        if (at[len] == '\0')
            return;
        at += len + 1;
    }
}

static void list(const char *option)
{
    char line[160];

    if (strcmp(option, "rules") == 0)
        for (size_t i = 0; i < gv_rule_count; i++)
            printf("%-20s %s\n", gv_rules[i].name, gv_rules[i].what);
    else if (strcmp(option, "attacks") == 0)
        for (size_t i = 0; i < gv_attack_count; i++)
            printf("%-20s %s\n", gv_attacks[i].name, gv_attacks[i].what);
    else
        for (size_t i = 0; gv_scene_help(i, line); i++)
            puts(line);
    exit(0);
}

static const char *names(struct argp_state *state, const char *option, const char *text)
{
    if (strcmp(text, "list") == 0)
        list(option);
    check_names(state, option, text);
    return text;
}

static void set(struct argp_state *state, struct gv_chart_options *o, const char *text)
{
    const char *equals = strchr(text, '=');
    char name[64], *end = NULL;
    size_t used = strlen(o->changed);

    if (strcmp(text, "list") == 0)
        list("set");
    snprintf(name, sizeof name, "%.*s", equals ? (int)(equals - text) : 0, text);
    uint64_t value = equals ? strtoull(equals + 1, &end, 10) : 0;
    if (!equals || equals[1] < '0' || equals[1] > '9' || *end ||
        !gv_scene_set(&o->numbers, name, value))
        argp_error(state,
                   "--set %s: must be NAME=NUMBER ('--set list' names them with their "
                   "limits)",
                   text);
    snprintf(o->changed + used, sizeof o->changed - used, " --set %s", text);
}

static error_t take(int key, char *arg, struct argp_state *state)
{
    struct gv_chart_options *o = state->input;

    switch (key) {
    case 'n':
        o->nodes = (uint32_t)whole(state, "nodes", arg, 10, 10000);
        return 0;
    case 'd':
        o->days = (uint32_t)whole(state, "days", arg, 3, 365);
        return 0;
    case 'j':
        o->jobs = (uint32_t)whole(state, "jobs", arg, 1, 64);
        return 0;
    case OPTION_QUICK:
        o->quick = true;
        return 0;
    case OPTION_SEEDS:
        parse_seeds(state, o, arg);
        return 0;
    case OPTION_JSON:
        o->json_path = arg;
        return 0;
    case OPTION_HTML:
        o->html_path = arg;
        return 0;
    case OPTION_KEEP:
        o->keep_path = arg;
        return 0;
    case OPTION_RULES:
        o->rules = names(state, "rules", arg);
        return 0;
    case OPTION_ATTACKS:
        o->attacks = names(state, "attacks", arg);
        return 0;
    case OPTION_SET:
        set(state, o, arg);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

void gv_chart_options_parse(struct gv_chart_options *out, int argc, char **argv)
{
    static const struct argp_option table[] = {
        {"quick", OPTION_QUICK, NULL, 0,
         "9 days of which 3 are scored, the attacks that matter most: under a minute", 0},
        {"nodes", 'n', "N", 0, "Honest nodes (10 to 10000; default 600)", 0},
        {"days", 'd', "D", 0, "Days, the last third of which is scored (3 to 365; default 45)", 0},
        {"seeds", OPTION_SEEDS, "A..B", 0, "Seeds (default 1..5)", 0},
        {"jobs", 'j', "N", 0, "Seeds at a time (default 1)", 0},
        {"rules", OPTION_RULES, "LIST", 0, "Only these rules, with commas between; list", 0},
        {"attacks", OPTION_ATTACKS, "LIST", 0, "Only these attacks; list", 0},
        {"set", OPTION_SET, "NAME=NUMBER", 0, "A number of the workload; list", 0},
        {"json", OPTION_JSON, "FILE", 0, "Write JSON to FILE, or - for standard output", 0},
        {"html", OPTION_HTML, "FILE", 0, "Write a page with plots to FILE", 0},
        {"keep", OPTION_KEEP, "DIR", 0,
         "Keep each run's outcome in DIR; the same command goes on from there", 0},
        {0}};
    static const struct argp argp = {
        table,
        take,
        NULL,
        "Compares the rule that ships with others under attack: what gets through, who is refused, "
        "and what it costs the attacker.\vThe same seeds print the same table on every machine.",
        NULL,
        NULL,
        NULL};
    bool seeded;

    memset(out, 0, sizeof *out);
    gv_scene_standard(&out->numbers);
    out->last_seed = UINT64_MAX;
    argp_err_exit_status = EX_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, out);
    seeded = out->last_seed != UINT64_MAX;
    if (!seeded) {
        out->seed = 1;
        out->last_seed = out->quick ? QUICK_SEEDS : SEEDS;
    }
    if (out->nodes == 0)
        out->nodes = NODES;
    if (out->days == 0)
        out->days = out->quick ? QUICK_DAYS : DAYS;
    if (out->jobs == 0)
        out->jobs = 1;
}
