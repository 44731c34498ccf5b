/* `grapevine setup`: from an installed package to the first peers, by questions; or without any, by
 * options. All questions come first, then one look at what will change, then the changes. It
 * changes nothing but the node's own configuration and the node itself, and can be run again.
 * (SPEC 19.1) */
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/cli/setup.h"

#define WAIT_S 60

enum {
    OPTION_QUIET = 256,
    OPTION_REGISTRY,
    OPTION_DESCRIPTOR,
    OPTION_CODE,
    OPTION_ACCEPT,
    OPTION_LOG,
    OPTION_NO_IMPORT,
    OPTION_ALLOW,
    OPTION_SHARE,
    OPTION_ADVERTISE,
    OPTION_HOOKS,
    OPTION_DRY,
    OPTION_WAIT,
    OPTION_INVITATION
};

static const struct argp_option options[] = {
    {"non-interactive", OPTION_QUIET, NULL, 0, "Ask nothing: every answer is an option", 0},
    {"registry", OPTION_REGISTRY, "URL", 0, "Join the network of this registry", 0},
    {"descriptor", OPTION_DESCRIPTOR, "FILE", 0, "Join the network of this descriptor", 0},
    {"email", 'e', "ADDRESS", 0, "Where the code goes; only the registry learns of it", 0},
    {"invitation", OPTION_INVITATION, "CODE", 0, "Of a network that admits the invited only", 0},
    {"code", OPTION_CODE, "CODE", 0, "The code that came by mail: a second run ends it", 0},
    {"accept-terms", OPTION_ACCEPT, NULL, 0, "You have read the terms and accept them", 0},
    {"log", OPTION_LOG, "SOURCE", 0, "Mail log, a file or journal; repeatable (default: found)", 0},
    {"no-import", OPTION_NO_IMPORT, NULL, 0, "Do not read who logged in from older logs", 0},
    {"allow", OPTION_ALLOW, "LIST", 0,
     "Never held back nor told: addresses, found (default), or no", 0},
    {"share", OPTION_SHARE, "yes|preview|no", 0, "Send this host's signals (default: as it is)", 0},
    {"advertise", OPTION_ADVERTISE, "ADDR:PORT", 0, "Where others reach this node", 0},
    {"hooks", OPTION_HOOKS, "LIST", 0,
     "Who could ask: dovecot, dns, nftables, found (default), or no", 0},
    {"dry-run", OPTION_DRY, NULL, 0, "Show what would change, and change nothing", 0},
    {"wait", OPTION_WAIT, "SECONDS", 0, "For the daemon, and for peers (default 60)", 0},
    {0},
};

static int parse_share(const char *value)
{
    static const char *const words[] = {"no", "preview", "yes"};

    for (int i = 0; i < 3; i++)
        if (strcmp(words[i], value) == 0)
            return i;
    return -1;
}

static error_t parse_more(struct gv_setup_answers *a, int key, char *value,
                          struct argp_state *state)
{
    struct gv_config_host host;

    switch (key) {
    case OPTION_LOG:
        if (a->log_count == GV_FOUND_LOGS_MAX)
            argp_error(state, "--log: at most %d", GV_FOUND_LOGS_MAX);
        a->logs[a->log_count++] = value;
        return 0;
    case OPTION_SHARE:
        if ((a->share = parse_share(value)) < 0)
            argp_error(state, "--share %s: write yes, preview or no", value);
        return 0;
    case OPTION_ADVERTISE:
        if (gv_config_host_parse(&host, value, false) != GV_OK)
            argp_error(state, "--advertise %s: write ADDRESS:PORT", value);
        a->advertise = value;
        return 0;
    case OPTION_WAIT:
        if (!*value || strlen(value) > 4 || value[strspn(value, "0123456789")])
            argp_error(state, "--wait %s: write seconds, at most 9999", value);
        a->wait_s = (unsigned)atoi(value);
        return 0;
    case ARGP_KEY_END:
        if (a->registry && a->descriptor)
            argp_error(state, "give --registry or --descriptor, not both");
        return ARGP_ERR_UNKNOWN;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct gv_setup_answers *a = state->input;

    switch (key) {
    case OPTION_QUIET:
        a->non_interactive = true;
        return 0;
    case OPTION_REGISTRY:
        a->registry = value;
        return 0;
    case OPTION_DESCRIPTOR:
        a->descriptor = value;
        return 0;
    case 'e':
        a->email = value;
        return 0;
    case OPTION_CODE:
        a->code = value;
        return 0;
    case OPTION_ACCEPT:
        a->accept = true;
        return 0;
    case OPTION_NO_IMPORT:
        a->no_import = true;
        return 0;
    case OPTION_ALLOW:
        a->allow = value;
        return 0;
    case OPTION_INVITATION:
        a->invitation = value;
        return 0;
    case OPTION_HOOKS:
        a->hooks = value;
        return 0;
    case OPTION_DRY:
        a->dry_run = true;
        return 0;
    default:
        return parse_more(a, key, value, state);
    }
}

/* ---- the way -------------------------------------------------------------------------------- */

static int ask_all(struct gv_setup *setup)
{
    static int (*const questions[])(struct gv_setup * setup) = {
        gv_setup_read_config, gv_setup_choose_network, gv_setup_choose_logs, gv_setup_choose_own,
        gv_setup_look,        gv_setup_choose_hooks,   gv_setup_consent,     gv_setup_plan_config};
    int rc = 0;

    setup->status = gv_setup_status(setup);
    for (size_t i = 0; i < sizeof questions / sizeof *questions && rc == 0; i++)
        rc = questions[i](setup);
    return rc == 0 ? gv_setup_show_changes(setup) : rc;
}

static int do_all(struct gv_setup *setup)
{
    static int (*const steps[])(struct gv_setup * setup) = {gv_setup_apply, gv_setup_import,
                                                            gv_setup_enroll, gv_setup_first_peers,
                                                            gv_setup_show_hooks};
    int rc = 0;

    for (size_t i = 0; i < sizeof steps / sizeof *steps && rc == 0; i++)
        rc = steps[i](setup);
    return rc;
}

static void print_end(struct gv_setup *setup)
{
    char command[] = "doctor", *argv[] = {command, NULL};

    if (setup->cli->json) {
        json_object_set_new(setup->result, "network", json_string(setup->descriptor.name));
        json_object_set_new(setup->result, "enrolled", json_boolean(setup->enrolled));
        gv_cli_print_json(setup->result);
        return;
    }
    gv_setup_heading(setup, "How it is now (`grapevine doctor` looks again)");
    fflush(setup->out);
    (void)gv_cli_doctor(setup->cli, 1, argv); /* it says what is to be done */
}

static int run(struct gv_setup *setup)
{
    setup->out = setup->cli->json ? stderr : stdout;
    setup->result = json_object();
    if (!setup->result)
        return gv_cli_no_memory();
    if (!setup->answers.non_interactive && setup->cli->json) {
        fprintf(stderr, "grapevine setup: --json takes --non-interactive\n");
        return EX_USAGE;
    }
    if (!setup->answers.non_interactive && !isatty(STDIN_FILENO)) {
        fprintf(stderr, "grapevine setup: it asks questions: run it in a terminal, or answer them "
                        "with options and --non-interactive\n");
        return EX_USAGE;
    }
    int rc = ask_all(setup);
    if (rc != GV_SETUP_CHANGED)
        return rc;
    rc = do_all(setup);
    if (rc == 0)
        print_end(setup);
    return rc;
}

int gv_cli_setup(struct gv_cli *cli, int argc, char **argv)
{
    struct gv_setup *setup = calloc(1, sizeof *setup);

    if (!setup)
        return gv_cli_no_memory();
    setup->cli = cli;
    setup->answers.share = -1;
    setup->answers.wait_s = WAIT_S;
    gv_buf_init(&setup->text);
    gv_buf_init(&setup->next);
    gv_cli_parse(cli,
                 &(struct gv_cli_spec){
                     .options = options,
                     .doc = "From an installed node to its first peers: asks which network to "
                            "join, finds the mail log and this host's own addresses, shows what "
                            "would have been learnt, the terms and what changes, and only then "
                            "changes something: the node's own configuration and nothing else's. "
                            "It can be run again, and Ctrl-C at a question leaves nothing half "
                            "done.",
                     .parse = parse,
                     .input = &setup->answers},
                 argc, argv, NULL);
    int rc = run(setup);
    if (setup->loaded)
        gv_options_free(&setup->options);
    gv_buf_free(&setup->text);
    gv_buf_free(&setup->next);
    json_decref(setup->status);
    json_decref(setup->result);
    free(setup);
    return rc;
}
