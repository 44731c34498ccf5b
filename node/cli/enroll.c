/* `grapevine enroll`: joining a network, with what one accepts by it in plain sight. */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "node/cli/command.h"

enum { OPTION_ACCEPT = 256, OPTION_REGISTRY, OPTION_TERMS, OPTION_INVITATION };

static const struct argp_option options[] = {
    {"email", 'e', "ADDRESS", 0, "Where the code goes; only the registry learns of it", 0},
    {"registry", OPTION_REGISTRY, "URL", 0, "Registry of the network, when none is configured", 0},
    {"invitation", OPTION_INVITATION, "CODE", 0, "Of a network that admits the invited only", 0},
    {"accept-terms", OPTION_ACCEPT, NULL, 0, "You have read the terms and accept them", 0},
    {"show-terms", OPTION_TERMS, NULL, 0, "Print the terms and exit", 0},
    {0},
};

struct arguments {
    const char *email, *registry, *invitation;
    bool accept, show_terms;
};

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct arguments *arguments = state->input;

    switch (key) {
    case 'e':
        arguments->email = value;
        return 0;
    case OPTION_REGISTRY:
        arguments->registry = value;
        return 0;
    case OPTION_INVITATION:
        arguments->invitation = value;
        return 0;
    case OPTION_ACCEPT:
        arguments->accept = true;
        return 0;
    case OPTION_TERMS:
        arguments->show_terms = true;
        return 0;
    case ARGP_KEY_END:
        if (!arguments->email && !arguments->show_terms)
            argp_error(state, "--email ADDRESS is missing");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* The network that is joined: known already, or fetched from the registry now. */
static int find_network(struct gv_cli *cli, json_t **network, const char *registry)
{
    json_t *body = json_object();

    if (registry)
        json_object_set_new(body, "registry", json_string(registry));
    int rc = gv_cli_ask(cli, network, "network", body);
    json_decref(body);
    return rc;
}

static int print_terms(struct gv_cli *cli)
{
    json_t *json;
    int rc = gv_cli_ask(cli, &json, "terms", NULL);

    if (rc != 0)
        return rc;
    if (cli->json) {
        gv_cli_print_json(json);
        json_decref(json);
        return 0;
    }
    gv_cli_print_foreign(stdout, json_string_value(json_object_get(json, "text")));
    json_decref(json);
    return 0;
}

void gv_cli_print_consequences(FILE *out, const json_t *network)
{
    fprintf(out,
            "You are about to join the network \"%s\"%s of the registry %s.\n\n"
            "What leaves this host once [share] mode is yes: an instance id, the addresses that "
            "failed to log in\n"
            "with coarse times and counts. `grapevine telemetry` shows every byte of it, and in "
            "preview mode\n"
            "before anything is sent.\n"
            "What goes to the registry and to nobody else: your email address.\n"
            "What never leaves: mail and its metadata, account names, passwords, and the addresses "
            "of users who log in.\n\n"
            "Terms: version %s, %s/v1/terms (`grapevine enroll --show-terms` prints them)\n\n",
            gv_cli_text(network, "name"), gv_cli_true(network, "lab") ? " (a lab, for tests)" : "",
            gv_cli_text(network, "registry"), gv_cli_text(network, "terms"),
            gv_cli_text(network, "registry"));
}

static bool ask_consent(void)
{
    char answer[16] = "";

    if (!isatty(STDIN_FILENO)) {
        fprintf(stderr, "grapevine: nothing was sent; run it again with --accept-terms\n");
        return false;
    }
    fprintf(stderr, "Do you accept the terms? [y/N] ");
    if (fgets(answer, sizeof answer, stdin) && (*answer == 'y' || *answer == 'Y'))
        return true;
    fprintf(stderr, "grapevine: nothing was sent\n");
    return false;
}

static int request_code(struct gv_cli *cli, const struct arguments *arguments,
                        const json_t *network)
{
    const char *terms = json_string_value(json_object_get(network, "terms"));
    json_t *answer, *body = json_pack("{s:s, s:s, s:s*}", "email", arguments->email, "terms",
                                      terms ? terms : "", "invitation", arguments->invitation);

    if (!body) {
        fprintf(stderr, "grapevine: that email address is not valid UTF-8\n");
        return EX_DATAERR;
    }
    int rc = gv_cli_ask(cli, &answer, "enroll", body);
    json_decref(body);
    if (rc != 0)
        return rc;
    if (cli->json)
        gv_cli_print_json(answer);
    else
        printf("A mail is on its way to %s. Within %d minutes press the button behind its link, or "
               "hand its code in: grapevine confirm CODE\n",
               arguments->email, (int)(gv_cli_number(answer, "expires_s") / 60));
    json_decref(answer);
    return 0;
}

int gv_cli_enroll(struct gv_cli *cli, int argc, char **argv)
{
    struct arguments arguments = {0};
    json_t *network;

    gv_cli_parse(cli,
                 &(struct gv_cli_spec){
                     .options = options,
                     .doc = "Joins the network: the registry mails a code to you, which `grapevine "
                            "confirm` hands in. Before that it says what you agree to.",
                     .parse = parse,
                     .input = &arguments},
                 argc, argv, NULL);
    int rc = find_network(cli, &network, arguments.registry);
    if (rc != 0)
        return rc;
    if (arguments.show_terms) {
        rc = print_terms(cli);
    } else {
        gv_cli_print_consequences(stderr, network); /* where it is seen with --json too */
        rc = arguments.accept || ask_consent() ? request_code(cli, &arguments, network) : EX_USAGE;
    }
    json_decref(network);
    return rc;
}
