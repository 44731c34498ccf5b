/* `grapevine ip ADDR`: the answer to "why?". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/base/file.h"
#include "node/cli/command.h"

static void print_word_pair(const struct gv_cli *cli, const char *name, const char *word)
{
    printf("  %-14s ", name);
    gv_cli_print_word(cli, word);
}

static int print_answer(const struct gv_cli *cli, const json_t *json)
{
    static const struct gv_cli_column columns[] = {
        {"OWNER", "owner", false, false},
        {"GROUP", "group", false, false},
        {"STANDING", "standing", true, false},
        {"TIME", "time", false, false},
    };
    static const struct gv_cli_column earlier_columns[] = {
        {"KIND", "kind", false, false},
        {"LAST", "last", false, false},
        {"COUNT", "count", true, false},
        {"CERTIFICATE", "certificate", false, false},
    };
    const json_t *reporters = gv_cli_member(json, "reporters");
    const json_t *earlier = gv_cli_member(json, "earlier");

    gv_cli_print_heading(cli, gv_cli_text(json, "subject"));
    print_word_pair(cli, "verdict", gv_cli_text(json, "verdict"));
    printf(" (weight %s, %s needed)\n", gv_cli_text(json, "weight"), gv_cli_text(json, "needed"));
    print_word_pair(cli, "action", gv_cli_text(json, "action"));
    printf("\n");
    gv_cli_print_pair("since", "%s", gv_cli_text(json, "since"));
    gv_cli_print_pair("until", "%s", gv_cli_text(json, "until"));
    printf("\n%s\n\n", gv_cli_text(json, "why"));
    if (json_array_size(reporters) > 0) {
        gv_cli_print_heading(cli, "Reported by");
        int rc = gv_cli_table(cli, reporters, columns, sizeof columns / sizeof *columns);
        if (rc != 0)
            return rc;
        printf("\n");
    }
    if (json_array_size(earlier) > 0) {
        gv_cli_print_heading(cli, "Earlier signals, which count no more");
        int rc = gv_cli_table(cli, earlier, earlier_columns,
                              sizeof earlier_columns / sizeof *earlier_columns);
        if (rc != 0)
            return rc;
        printf("\n");
    }
    gv_cli_print_heading(cli, "Here");
    gv_cli_print_pair("failures", "%s in the last 24 h, %s visits in 7 days",
                      gv_cli_text(json, "local.failures"), gv_cli_text(json, "local.visits"));
    gv_cli_print_pair("points", "%s", gv_cli_text(json, "local.points"));
    gv_cli_print_pair("clean", "%s", gv_cli_text(json, "local.clean"));
    gv_cli_print_pair("last failure", "%s", gv_cli_text(json, "local.last_failure"));
    gv_cli_print_pair("last login", "%s", gv_cli_text(json, "local.last_success"));
    gv_cli_print_pair("locked until", "%s", gv_cli_text(json, "local.locked_until"));
    if (json_is_object(gv_cli_member(json, "own_lock")))
        gv_cli_print_pair("own server", "%s has locked it, for %s s more",
                          gv_cli_text(json, "own_lock.instance"),
                          gv_cli_text(json, "own_lock.seconds"));
    gv_cli_print_pair("signalled", "%s", gv_cli_text(json, "local.signalled"));
    return 0;
}

static bool is_stdout(const char *file)
{
    return file && strcmp(file, "-") == 0;
}

/* Writes what the verdict was made of. */
static int write_evidence(struct gv_cli *cli, const char *address, const char *file)
{
    char path[512] = "evidence";
    struct gv_text why;
    json_t *json;

    gv_cli_query(path, sizeof path, "addr", address);
    int rc = gv_cli_ask(cli, &json, path, NULL);
    if (rc != 0)
        return rc;
    char *text = json_dumps(json, JSON_INDENT(1) | JSON_ENSURE_ASCII);
    json_decref(json);
    if (!text)
        return gv_cli_no_memory();
    if (is_stdout(file)) {
        puts(text);
    } else if (gv_file_write(file, text, strlen(text), 0644, &why) != GV_OK) {
        fprintf(stderr, "grapevine: %s\n", why.text);
        rc = EX_CANTCREAT;
    } else if (!cli->json) {
        printf("\nThe evidence is in %s. Anybody can check it: grapevine verify %s\n", file, file);
    }
    free(text);
    return rc;
}

#define ANSWER_S 3 /* for a session with three keepers, and their answer */

struct wanted {
    const char *evidence; /* a file; NULL: none */
    bool ask;
};

static const struct argp_option options[] = {
    {"ask", 'a', NULL, 0, "Ask the keepers of the address first: they learn that you want to know",
     0},
    {"evidence", 'e', "FILE", 0,
     "Write the signed records behind the verdict to FILE; -: to standard output, and nothing else",
     0},
    {0},
};

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct wanted *wanted = state->input;

    if (key == 'a')
        wanted->ask = true;
    else if (key == 'e')
        wanted->evidence = value;
    else
        return ARGP_ERR_UNKNOWN;
    return 0;
}

static int ask_keepers(struct gv_cli *cli, const char *address)
{
    json_t *body = json_pack("{s:s}", "addr", address), *json = NULL;

    if (!body)
        return gv_cli_no_memory();
    fprintf(stderr, "grapevine: up to three nodes of the mesh are told that somebody here asks "
                    "about this address; never ask about your own users'\n");
    int rc = gv_cli_ask(cli, &json, "ask", body);
    json_decref(body);
    if (rc != 0)
        return rc;
    fprintf(stderr, "grapevine: %s\n", gv_cli_text(json, "message"));
    json_decref(json);
    sleep(ANSWER_S);
    return 0;
}

int gv_cli_ip(struct gv_cli *cli, int argc, char **argv)
{
    struct wanted wanted = {NULL, false};
    const char *address;
    char path[512] = "ip";
    json_t *json;

    gv_cli_parse(cli,
                 &(struct gv_cli_spec){
                     .options = options,
                     .parse = parse,
                     .input = &wanted,
                     .arguments = "ADDR",
                     .doc =
                         "Shows what this host knows of an address, of the mesh's signals too, "
                         "what it does about it, and why. Nothing is sent, unless you say --ask: "
                         "what a single owner has said is known to the address's keepers alone.",
                     .least = 1,
                     .most = 1},
                 argc, argv, &address);
    gv_cli_query(path, sizeof path, "addr", address);
    int rc = wanted.ask ? ask_keepers(cli, address) : 0;
    if (rc != 0)
        return rc;
    rc = gv_cli_ask(cli, &json, path, NULL);
    if (rc != 0)
        return rc;
    bool told = is_stdout(wanted.evidence); /* nothing else may stand there */
    if (!told && cli->json)
        gv_cli_print_json(json);
    else if (!told)
        rc = print_answer(cli, json);
    json_decref(json);
    return rc == 0 && wanted.evidence ? write_evidence(cli, address, wanted.evidence) : rc;
}
