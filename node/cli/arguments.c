/* The options of one command, parsed with argp; --json belongs to all. */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "node/base/arguments.h"
#include "node/cli/command.h"

#define OPTIONS_MAX 24

struct parsing {
    struct gv_cli *cli;
    const struct gv_cli_spec *spec;
    const char **words;
    unsigned count;
};

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct parsing *parsing = state->input;
    const struct gv_cli_spec *spec = parsing->spec;

    switch (key) {
    case 'j':
        parsing->cli->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (parsing->count == spec->most)
            argp_error(state, "\"%s\" is one word too many", value);
        parsing->words[parsing->count++] = value;
        return 0;
    case ARGP_KEY_END:
        if (parsing->count < spec->least)
            argp_error(state, "%s is missing", spec->arguments);
        break;
    default:
        break;
    }
    if (!spec->parse)
        return ARGP_ERR_UNKNOWN;
    void *ours = state->input;
    state->input = spec->input;
    error_t error = spec->parse(key, value, state);
    state->input = ours;
    return error;
}

unsigned gv_cli_parse(struct gv_cli *cli, const struct gv_cli_spec *spec, int argc, char **argv,
                      const char **words)
{
    static const struct argp_option json = {"json", 'j', NULL, 0, "Print JSON", 0};
    struct argp_option options[OPTIONS_MAX];
    struct parsing parsing = {.cli = cli, .spec = spec, .words = words};
    size_t count = 0;
    char name[64];

    memset(options, 0, sizeof options);
    while (spec->options && spec->options[count].name && count < OPTIONS_MAX - 2) {
        options[count] = spec->options[count];
        count++;
    }
    options[count] = json;
    const struct argp argp = {options, parse, spec->arguments, spec->doc, NULL, NULL, NULL};
    snprintf(name, sizeof name, "grapevine %s", argv[0]);
    argv[0] = name;
    gv_arguments(&argp, argc, argv, 0, &parsing);
    return parsing.count;
}
