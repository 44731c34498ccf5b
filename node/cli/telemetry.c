/* `grapevine telemetry`: the complete contents of what was sent. */
#include <stdio.h>
#include <string.h>

#include "node/cli/command.h"

static const struct argp_option options[] = {
    {"follow", 'f', NULL, 0, "Go on, and show what comes as it comes", 0},
    {"since", 't', "TIME", 0, "From then on: 2026-11-22T04:37:00Z, or 15m, 24h, 7d ago", 0},
    {"limit", 'n', "N", 0, "The newest N (default 100)", 0},
    {0},
};

struct arguments {
    bool follow;
    char path[512];
};

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct arguments *arguments = state->input;

    switch (key) {
    case 'f':
        arguments->follow = true;
        gv_cli_query(arguments->path, sizeof arguments->path, "follow", "1");
        return 0;
    case 't':
        gv_cli_query(arguments->path, sizeof arguments->path, "since", value);
        return 0;
    case 'n':
        gv_cli_query(arguments->path, sizeof arguments->path, "limit", value);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void print_statement(const struct gv_cli *cli, const json_t *json)
{
    const json_t *acks = gv_cli_member(json, "acknowledged");
    bool signal = strcmp(gv_cli_text(json, "statement.kind"), "signal") == 0;

    printf("#%s  ", gv_cli_text(json, "number"));
    gv_cli_print_word(cli, gv_cli_text(json, "state"));
    printf("  %s on %s\n", gv_cli_text(json, "statement.kind"),
           gv_cli_text(json, "statement.subject"));
    gv_cli_print_pair("made", "%s", gv_cli_text(json, "created"));
    if (signal) {
        gv_cli_print_pair("first, last", "%s, %s", gv_cli_text(json, "statement.first"),
                          gv_cli_text(json, "statement.last"));
        gv_cli_print_pair("count", "%s", gv_cli_text(json, "statement.count"));
        gv_cli_print_pair("services", "%s", gv_cli_text(json, "statement.services"));
        gv_cli_print_pair("kinds", "%s", gv_cli_text(json, "statement.kinds"));
    } else {
        gv_cli_print_pair("time", "%s", gv_cli_text(json, "statement.time"));
    }
    gv_cli_print_pair("sequence", "%s", gv_cli_text(json, "statement.sequence"));
    gv_cli_print_pair("certificate", "%s", gv_cli_text(json, "statement.certificate"));
    gv_cli_print_pair("record", "%s", gv_cli_text(json, "id"));
    gv_cli_print_pair("acknowledged", "%s, the first %s", gv_cli_text(json, "acknowledged_count"),
                      gv_cli_text(json, "sent"));
    for (size_t i = 0; i < json_array_size(acks); i++)
        gv_cli_print_pair("", "%s %s", gv_cli_text(json_array_get(acks, i), "instance"),
                          gv_cli_text(json_array_get(acks, i), "time"));
    gv_cli_print_pair("raw", "%s", gv_cli_text(json, "raw"));
    printf("\n");
}

static int on_line(void *context, const json_t *json)
{
    const struct gv_cli *cli = context;

    if (cli->json) {
        json_dumpf(json, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
        putchar('\n');
    } else {
        print_statement(cli, json);
    }
    return fflush(stdout); /* whoever reads from the pipe has gone: stop */
}

int gv_cli_telemetry(struct gv_cli *cli, int argc, char **argv)
{
    struct arguments arguments = {.path = "telemetry"};
    json_t *json;

    gv_cli_parse(cli,
                 &(struct gv_cli_spec){
                     .options = options,
                     .doc = "Shows the complete contents of what this node has sent, decoded and "
                            "raw. preview: would have been sent, [share] mode is preview. queued: "
                            "no peer has it yet. sent: a peer has acknowledged it.",
                     .parse = parse,
                     .input = &arguments},
                 argc, argv, NULL);
    if (arguments.follow)
        return gv_cli_follow(cli, arguments.path, on_line, cli);
    int rc = gv_cli_ask(cli, &json, arguments.path, NULL);
    if (rc != 0)
        return rc;
    const json_t *list = json_object_get(json, "telemetry");
    if (cli->json)
        gv_cli_print_json(json);
    else if (json_array_size(list) == 0)
        puts("nothing has been sent");
    for (size_t i = 0; !cli->json && i < json_array_size(list); i++)
        print_statement(cli, json_array_get(list, i));
    json_decref(json);
    return 0;
}
