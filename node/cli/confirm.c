/* `grapevine confirm CODE` */
#include <stdio.h>
#include <sysexits.h>

#include "node/cli/command.h"

int gv_cli_confirm(struct gv_cli *cli, int argc, char **argv)
{
    const char *code;
    json_t *json;

    gv_cli_parse(cli,
                 &(struct gv_cli_spec){.arguments = "CODE",
                                       .doc = "Hands in the code that came by mail; this node is "
                                              "a member of the network then.",
                                       .least = 1,
                                       .most = 1},
                 argc, argv, &code);
    json_t *body = json_pack("{s:s}", "code", code);
    if (!body) {
        fprintf(stderr, "grapevine: that is not the code of the mail\n");
        return EX_DATAERR;
    }
    int rc = gv_cli_ask(cli, &json, "confirm", body);
    json_decref(body);
    if (rc != 0)
        return rc;
    if (cli->json) {
        gv_cli_print_json(json);
    } else {
        printf("This node is enrolled.\n");
        gv_cli_print_pair("owner", "%s", gv_cli_text(json, "owner"));
        gv_cli_print_pair("group", "%s", gv_cli_text(json, "group"));
        gv_cli_print_pair("certificate", "until %s; it is renewed by itself",
                          gv_cli_text(json, "expires"));
        printf(
            "With [share] mode = preview, `grapevine telemetry` shows what would be sent; with yes "
            "it is sent.\n");
    }
    json_decref(json);
    return 0;
}
