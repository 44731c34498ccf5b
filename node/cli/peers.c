/* `grapevine peers` */
#include <stdio.h>

#include "node/cli/command.h"

static const struct argp_option options[] = {
    {"all", 'a', NULL, 0, "Every instance that is known, connected or not", 0},
    {0},
};

static error_t parse(int key, char *value, struct argp_state *state)
{
    bool *all = state->input;

    (void)value;
    if (key != 'a')
        return ARGP_ERR_UNKNOWN;
    *all = true;
    return 0;
}

int gv_cli_peers(struct gv_cli *cli, int argc, char **argv)
{
    static const struct gv_cli_column connected[] = {
        {"ADDRESS", "address", false, false},   {"WAY", "direction", false, false},
        {"INSTANCE", "instance", false, false}, {"OWNER", "owner", false, false},
        {"OWN", "own", false, false},           {"GROUP", "group", false, false},
        {"SINCE", "since", false, false},       {"IN", "bytes_in", true, false},
        {"OUT", "bytes_out", true, false},
    };
    static const struct gv_cli_column known[] = {
        {"INSTANCE", "instance", false, false}, {"OWNER", "owner", false, false},
        {"GROUP", "group", false, false},       {"SINCE", "since", false, false},
        {"EXPIRES", "expires", false, false},   {"REVOKED", "revoked", false, false},
        {"FAULT", "fault", false, false},       {"ADDRESS", "address", false, false},
    };
    bool all = false;
    json_t *json;

    gv_cli_parse(cli,
                 &(struct gv_cli_spec){.options = options,
                                       .doc = "Shows the nodes that this one is connected to.",
                                       .parse = parse,
                                       .input = &all},
                 argc, argv, NULL);
    int rc = gv_cli_ask(cli, &json, all ? "roster" : "peers", NULL);
    if (rc != 0)
        return rc;
    const json_t *list = json_object_get(json, all ? "instances" : "peers");
    if (cli->json)
        gv_cli_print_json(json);
    else if (json_array_size(list) == 0)
        puts(all ? "nobody is known yet" : "not connected to anybody");
    else
        rc = all ? gv_cli_table(cli, list, known, sizeof known / sizeof *known)
                 : gv_cli_table(cli, list, connected, sizeof connected / sizeof *connected);
    json_decref(json);
    return rc;
}
