/* `grapevine list` */
#include <inttypes.h>
#include <stdio.h>

#include "node/cli/command.h"

static const struct argp_option options[] = {
    {"verdict", 'v', "VERDICT", 0, "Only these: unknown, reported or untrusted", 0},
    {"action", 'a', "ACTION", 0, "Only these: allow, one-strike or refuse", 0},
    {"limit", 'n', "N", 0, "At most so many, the worst first (default 100)", 0},
    {0},
};

static error_t parse(int key, char *value, struct argp_state *state)
{
    char *path = state->input;

    switch (key) {
    case 'v':
        gv_cli_query(path, 512, "verdict", value);
        return 0;
    case 'a':
        gv_cli_query(path, 512, "action", value);
        return 0;
    case 'n':
        gv_cli_query(path, 512, "limit", value);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int gv_cli_list(struct gv_cli *cli, int argc, char **argv)
{
    static const struct gv_cli_column columns[] = {
        {"SUBJECT", "subject", false, false}, {"VERDICT", "verdict", false, true},
        {"WEIGHT", "weight", true, false},    {"ACTION", "action", false, true},
        {"OWNERS", "owners", true, false},    {"GROUPS", "groups", true, false},
        {"POINTS", "points", true, false},    {"SINCE", "since", false, false},
        {"UNTIL", "until", false, false},
    };
    char path[512] = "list";
    json_t *json;

    gv_cli_parse(cli,
                 &(struct gv_cli_spec){.options = options,
                                       .doc = "Lists the addresses that the mesh reports or that "
                                              "this host holds back, the worst first.",
                                       .parse = parse,
                                       .input = path},
                 argc, argv, NULL);
    int rc = gv_cli_ask(cli, &json, path, NULL);
    if (rc != 0)
        return rc;
    const json_t *list = json_object_get(json, "subjects");
    size_t shown = json_array_size(list);
    int64_t matches = gv_cli_number(json, "matches");
    if (cli->json)
        gv_cli_print_json(json);
    else if (shown == 0)
        puts("nothing to list");
    else
        rc = gv_cli_table(cli, list, columns, sizeof columns / sizeof *columns);
    if (!cli->json && rc == 0 && matches > (int64_t)shown)
        printf("and %" PRId64 " more; --limit shows them\n", matches - (int64_t)shown);
    json_decref(json);
    return rc;
}
