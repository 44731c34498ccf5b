/* `grapevine leave`: the end of this node's registration, by its owner. */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "node/cli/command.h"

enum { OPTION_YES = 256 };

static const struct argp_option options[] = {
    {"yes", OPTION_YES, NULL, 0, "Do not ask", 0},
    {0},
};

static error_t parse(int key, char *value, struct argp_state *state)
{
    (void)value;
    if (key != OPTION_YES)
        return ARGP_ERR_UNKNOWN;
    *(bool *)state->input = true;
    return 0;
}

static bool ask_consent(const char *instance)
{
    char answer[16] = "";

    fprintf(
        stderr,
        "Instance %s leaves the network for good: its certificate is revoked, at the registry and\n"
        "in the mesh, and what it said counts no more. With your last instance the registry "
        "erases\n"
        "your email address. What this node has stored stays here, and can be read.\n",
        instance);
    if (!isatty(STDIN_FILENO)) {
        fprintf(stderr, "grapevine: nothing was done; run it again with --yes\n");
        return false;
    }
    fprintf(stderr, "Leave? [y/N] ");
    if (fgets(answer, sizeof answer, stdin) && (*answer == 'y' || *answer == 'Y'))
        return true;
    fprintf(stderr, "grapevine: nothing was done\n");
    return false;
}

int gv_cli_leave(struct gv_cli *cli, int argc, char **argv)
{
    bool yes = false;
    json_t *status, *answer;

    gv_cli_parse(cli,
                 &(struct gv_cli_spec){
                     .options = options,
                     .doc =
                         "Ends the registration of this node: the registry revokes its certificate "
                         "and, with the last one of its owner, erases his email address. Without "
                         "the machine it is done at the registry's page /leave, by mail.",
                     .parse = parse,
                     .input = &yes},
                 argc, argv, NULL);
    int rc = gv_cli_ask(cli, &status, "status", NULL);
    if (rc != 0)
        return rc;
    const char *instance = gv_cli_text(status, "instance");
    if (!yes && !ask_consent(instance)) {
        json_decref(status);
        return EX_USAGE;
    }
    json_t *body = json_pack("{s:s}", "instance", instance);
    rc = gv_cli_ask(cli, &answer, "leave", body);
    json_decref(body);
    json_decref(status);
    if (rc != 0)
        return rc;
    if (cli->json)
        gv_cli_print_json(answer);
    else
        printf("%s\n", gv_cli_text(answer, "message"));
    json_decref(answer);
    return 0;
}
