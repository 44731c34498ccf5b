/* `grapevine bouncers` */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "node/cli/command.h"

static int ask(struct gv_cli *cli, json_t **json, const char *path, const char *name)
{
    json_t *body = json_pack("{s:s}", "name", name);

    if (!body) { /* not UTF-8, or no memory */
        fputs("grapevine: a bouncer's name has letters, digits and . _ -\n", stderr);
        return EX_DATAERR;
    }
    int rc = gv_cli_ask(cli, json, path, body);
    json_decref(body);
    return rc;
}

static void print_key(const json_t *json)
{
    printf("The key of %s, which is not shown again:\n\n    %s\n\n", gv_cli_text(json, "name"),
           gv_cli_text(json, "key"));
    if (json_is_string(gv_cli_member(json, "api_url")))
        printf("Put it into the bouncer's configuration as api_key, with api_url %s\n",
               gv_cli_text(json, "api_url"));
    else
        puts(
            "This node has no place for it to ask: set [http] listen = 127.0.0.1:4729, and restart "
            "it.");
    if (!gv_cli_true(json, "enforced"))
        puts("It is told of nothing until [policy] enforce lists bouncers.");
}

static int add(struct gv_cli *cli, const char *name)
{
    json_t *json;
    int rc = ask(cli, &json, "bouncers", name);

    if (rc != 0)
        return rc;
    if (cli->json)
        gv_cli_print_json(json);
    else
        print_key(json);
    json_decref(json);
    return 0;
}

static int delete (struct gv_cli *cli, const char *name)
{
    json_t *json;
    int rc = ask(cli, &json, "bouncers/delete", name);

    if (rc != 0)
        return rc;
    if (cli->json)
        gv_cli_print_json(json);
    else
        printf("%s: %s\n", name, gv_cli_text(json, "message"));
    json_decref(json);
    return 0;
}

static int list(struct gv_cli *cli)
{
    static const struct gv_cli_column columns[] = {
        {"NAME", "name", false, false},           {"SINCE", "created", false, false},
        {"LAST PULL", "last_pull", false, false}, {"FROM", "address", false, false},
        {"PULLS", "pulls", true, false},
    };
    json_t *json;
    int rc = gv_cli_ask(cli, &json, "bouncers", NULL);

    if (rc != 0)
        return rc;
    const json_t *all = json_object_get(json, "bouncers");
    if (cli->json)
        gv_cli_print_json(json);
    else if (json_array_size(all) == 0)
        puts("none; `grapevine bouncers add NAME` makes a key for one");
    else
        rc = gv_cli_table(cli, all, columns, sizeof columns / sizeof *columns);
    json_decref(json);
    return rc;
}

int gv_cli_bouncers(struct gv_cli *cli, int argc, char **argv)
{
    const char *words[2] = {"list", NULL};
    unsigned count = gv_cli_parse(
        cli,
        &(struct gv_cli_spec){.arguments = "[list | add NAME | delete NAME]",
                              .doc = "The keys of bouncers that speak CrowdSec's local API: "
                                     "crowdsec-firewall-bouncer, those of nginx, HAProxy, Traefik "
                                     "and others. A key is shown once, when it is made.",
                              .most = 2},
        argc, argv, words);

    if (count < 2 && strcmp(words[0], "list") == 0)
        return list(cli);
    if (count == 2 && strcmp(words[0], "add") == 0)
        return add(cli, words[1]);
    if (count == 2 && strcmp(words[0], "delete") == 0)
        return delete (cli, words[1]);
    fputs(
        "grapevine: say `grapevine bouncers list`, `bouncers add NAME` or `bouncers delete NAME`\n",
        stderr);
    return EX_USAGE;
}
