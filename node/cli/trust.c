/* `grapevine trust`, `untrust`: owners whose servers count as this admin's own. */
#include <stdio.h>

#include "node/cli/command.h"

static int show(struct gv_cli *cli)
{
    static const struct gv_cli_column columns[] = {
        {"OWNER", "owner", false, false},
        {"INSTANCES", "instances", true, false},
        {"CONNECTED", "connected", true, false},
    };
    json_t *json;
    int rc = gv_cli_ask(cli, &json, "trust", NULL);

    if (rc != 0)
        return rc;
    const json_t *list = json_object_get(json, "trusted");
    if (cli->json) {
        gv_cli_print_json(json);
    } else {
        gv_cli_print_pair("own", "%s, %s instances known, %s connected",
                          gv_cli_text(json, "own.owner"), gv_cli_text(json, "own.instances"),
                          gv_cli_text(json, "own.connected"));
        if (json_array_size(list) == 0)
            puts("  no other owner is trusted");
        else
            rc = gv_cli_table(cli, list, columns, sizeof columns / sizeof *columns);
    }
    json_decref(json);
    return rc;
}

int gv_cli_post_owner(struct gv_cli *cli, const char *path, const char *owner)
{
    json_t *json, *body = json_pack("{s:s}", "owner", owner);
    int rc = body ? gv_cli_ask(cli, &json, path, body) : gv_cli_no_memory();

    json_decref(body);
    if (rc != 0)
        return rc;
    if (cli->json)
        gv_cli_print_json(json);
    else
        printf("%s: %s\n", owner, gv_cli_text(json, "message"));
    json_decref(json);
    return 0;
}

int gv_cli_trust(struct gv_cli *cli, int argc, char **argv)
{
    const char *owner = NULL;

    gv_cli_parse(cli,
                 &(struct gv_cli_spec){
                     .arguments = "[TAG]",
                     .doc = "What the servers of this owner lock is refused here too, within "
                            "seconds, and their signals count as own evidence, as those of one's "
                            "own servers do anyway. TAG: the owner's 32 hex digits, as `grapevine "
                            "peers` shows them. Without TAG: shows whom this node trusts.",
                     .most = 1},
                 argc, argv, &owner);
    return owner ? gv_cli_post_owner(cli, "trust", owner) : show(cli);
}

int gv_cli_untrust(struct gv_cli *cli, int argc, char **argv)
{
    const char *owner = NULL;

    gv_cli_parse(cli,
                 &(struct gv_cli_spec){.arguments = "TAG",
                                       .doc = "Trust this owner no more than anybody else.",
                                       .least = 1,
                                       .most = 1},
                 argc, argv, &owner);
    return gv_cli_post_owner(cli, "untrust", owner);
}
