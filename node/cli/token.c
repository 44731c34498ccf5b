/* `grapevine token`: what opens the HTTP API. */
#include <stdio.h>
#include <string.h>

#include "node/cli/command.h"

enum { OPTION_NEW = 256 };

static error_t parse(int key, char *value, struct argp_state *state)
{
    (void)value;
    if (key != OPTION_NEW)
        return ARGP_ERR_UNKNOWN;
    *(bool *)state->input = true;
    return 0;
}

static const struct argp_option options[] = {
    {"new", OPTION_NEW, NULL, 0, "Make a new one; the old one is worth nothing any more", 0},
    {0},
};

int gv_cli_token(struct gv_cli *cli, int argc, char **argv)
{
    bool fresh = false;
    json_t *body = NULL, *json = NULL;

    gv_cli_parse(cli,
                 &(struct gv_cli_spec){
                     .options = options,
                     .doc =
                         "Prints the token of the HTTP API, for the header \"Authorization: "
                         "Bearer TOKEN\" and for the dashboard. Who has it can read all that this "
                         "command shows, and allow, deny and retract addresses.",
                     .parse = parse,
                     .input = &fresh},
                 argc, argv, NULL);
    if (fresh && !(body = json_object()))
        return gv_cli_no_memory();
    int rc = gv_cli_ask(cli, &json, "token", body);
    json_decref(body);
    if (rc != 0)
        return rc;
    if (cli->json)
        gv_cli_print_json(json);
    else
        printf("%s\n", gv_cli_text(json, "token"));
    json_decref(json);
    return 0;
}
