/* grapevine: the admin's command. */
#include <argp.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "node/base/arguments.h"
#include "node/cli/command.h"
#include "node/cli/observe.h"

const char *argp_program_version = "grapevine " GV_VERSION;

static int observe(struct gv_cli *cli, int argc, char **argv)
{
    char json[] = "--json", *with[64];

    /* `grapevine --json observe` means the same as `grapevine observe --json`. */
    if (!cli->json || argc + 2 > 64)
        return gv_cli_observe(argc, argv);
    with[0] = argv[0];
    with[1] = json;
    for (int i = 1; i <= argc; i++)
        with[i + 1] = argv[i];
    return gv_cli_observe(argc + 1, with);
}

const struct gv_cli_command gv_cli_commands[] = {
    {"status", "", "how this node is doing", gv_cli_status},
    {"peers", "", "who it is connected to; --all: everybody it knows", gv_cli_peers},
    {"traffic", "", "bytes by cause, in this hour and day, against the cap", gv_cli_traffic},
    {"ip", "ADDR", "what the mesh and this host hold of an address, and why", gv_cli_ip},
    {"owners", "", "whose word weighs what, and what that is made of", gv_cli_owners},
    {"distrust", "TAG", "give an owner no vote here; --undo: give it back", gv_cli_distrust},
    {"verify", "FILE", "makes a verdict again from its evidence; asks nobody", gv_cli_verify},
    {"list", "", "the addresses that are reported, untrusted or held back here", gv_cli_list},
    {"telemetry", "", "what this node has sent, decoded, and to whom", gv_cli_telemetry},
    {"stats", "", "this host's mail flow: received, delivered, bounced, queue, logins",
     gv_cli_stats},
    {"alerts", "", "what was odd in it", gv_cli_alerts},
    {"privacy", "WHAT", "a text for your policy; what is held; export and erase an address",
     gv_cli_privacy},
    {"investigate", "VIEW", "a closer look at who sends, waits or logs in; goes on record first",
     gv_cli_investigate},
    {"transparency", "WHAT", "who looked closer, and whether that log is whole; letters about it",
     gv_cli_transparency},
    {"observe", "[FILE...]", "what would be learnt from mail logs; sends nothing", observe},
    {"import", "FILE...", "who logged in, from old logs: clean history from the first day",
     gv_cli_import},
    {"setup", "", "from an installed node to its first peers, step by step", gv_cli_setup},
    {"enroll", "", "join the network: asks for a code by mail", gv_cli_enroll},
    {"confirm", "CODE", "hand in the code", gv_cli_confirm},
    {"leave", "", "end this node's registration: its certificate and your address", gv_cli_leave},
    {"allow", "[ADDR]", "never refuse and never share an address or range", gv_cli_allow},
    {"deny", "[ADDR]", "always refuse it here", gv_cli_deny},
    {"unlist", "ADDR", "take it from both lists", gv_cli_unlist},
    {"retract", "ADDR", "take back what this node has said of an address", gv_cli_retract},
    {"trust", "[TAG]", "count an owner's servers as one's own", gv_cli_trust},
    {"untrust", "TAG", "trust an owner no more than anybody else", gv_cli_untrust},
    {"network", "", "which network this node is in", gv_cli_network},
    {"reload", "", "let the daemon read its configuration again", gv_cli_reload},
    {"token", "", "what opens the HTTP API; --new: another one", gv_cli_token},
    {"bouncers", "[add|delete NAME]", "keys for firewall and web server bouncers", gv_cli_bouncers},
    {"snippet", "NAME", "what Dovecot, Postfix, Exim, rspamd, unbound or nftables need", gv_cli_snippet},
    {"doctor", "", "what is wrong here, and what to do about it", gv_cli_doctor},
    {"backup", "FILE", "write what this node has stored to a file", gv_cli_backup},
    {"restore", "FILE", "put a backup in its place; the daemon must be stopped", gv_cli_restore},
};
const size_t gv_cli_command_count = sizeof gv_cli_commands / sizeof *gv_cli_commands;

/* ---- the command line ----------------------------------------------------------------------- */

static const struct argp_option options[] = {
    {"socket", 's', "PATH", 0, "Control socket of the daemon", 0},
    {"config", 'c', "FILE", 0, "The daemon's configuration, which names the socket", 0},
    {"json", 'j', NULL, 0, "Print JSON", 0},
    {0},
};

struct arguments {
    struct gv_cli *cli;
    const struct gv_cli_command *command;
    int at; /* index of the command's word */
};

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct arguments *arguments = state->input;

    switch (key) {
    case 's':
        arguments->cli->socket = value;
        return 0;
    case 'c':
        arguments->cli->config_path = value;
        return 0;
    case 'j':
        arguments->cli->json = true;
        return 0;
    case ARGP_KEY_ARG:
        for (size_t i = 0; i < gv_cli_command_count; i++)
            if (strcmp(gv_cli_commands[i].name, value) == 0)
                arguments->command = &gv_cli_commands[i];
        if (!arguments->command)
            argp_error(state, "there is no command \"%s\"", value);
        arguments->at = state->next - 1;
        state->next = state->argc; /* the rest is the command's */
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "a command is missing");
        return EINVAL;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static char *list_commands(int key, const char *text, void *input)
{
    size_t len;
    char *out = NULL;
    FILE *memory;

    (void)input;
    if (key != ARGP_KEY_HELP_POST_DOC || !(memory = open_memstream(&out, &len)))
        return (char *)text;
    fputs("Commands:\n", memory);
    for (size_t i = 0; i < gv_cli_command_count; i++)
        fprintf(memory, "  %-12s %-9s  %s\n", gv_cli_commands[i].name, gv_cli_commands[i].arguments,
                gv_cli_commands[i].doc);
    fputs("\n`grapevine COMMAND --help` tells more of each.", memory);
    fclose(memory);
    return out;
}

static const struct argp argp = {
    options,
    parse,
    "COMMAND [ARGUMENT...]",
    "Asks and commands the grapevine node of this host.\v ",
    NULL,
    list_commands,
    NULL,
};

static bool wants_colour(void)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

    return isatty(STDOUT_FILENO) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

int main(int argc, char **argv)
{
    struct gv_cli cli = {.colour = wants_colour()};
    struct arguments arguments = {.cli = &cli};

    setlocale(LC_CTYPE, "");
    signal(SIGXFSZ, SIG_IGN); /* a limit on the size of files is one more full disk */
    gv_arguments(&argp, argc, argv, ARGP_IN_ORDER, &arguments);
    int rc = arguments.command->run(&cli, argc - arguments.at, argv + arguments.at);
    free(cli.socket_owned);
    if (fflush(stdout) != 0 && rc == 0) {
        perror("grapevine: standard output");
        rc = EX_IOERR;
    }
    return rc;
}
