/* `grapevine network`: the descriptor in force. */
#include <stdio.h>

#include "node/cli/command.h"

int gv_cli_network(struct gv_cli *cli, int argc, char **argv)
{
    json_t *json;

    gv_cli_parse(cli,
                 &(struct gv_cli_spec){
                     .doc = "Shows the descriptor of the network that this node is in: who signs "
                            "certificates, where it begins, and the parameters of the verdict."},
                 argc, argv, NULL);
    int rc = gv_cli_ask(cli, &json, "network", NULL);
    if (rc != 0)
        return rc;
    if (cli->json) {
        gv_cli_print_json(json);
        json_decref(json);
        return 0;
    }
    gv_cli_print_heading(cli, gv_cli_text(json, "name"));
    gv_cli_print_pair("id", "%s", gv_cli_text(json, "id"));
    gv_cli_print_pair("descriptor", "version %s, in force since %s", gv_cli_text(json, "version"),
                      gv_cli_text(json, "activation"));
    gv_cli_print_pair("genesis", "%s", gv_cli_text(json, "genesis"));
    gv_cli_print_pair("lab", "%s", gv_cli_text(json, "lab"));
    gv_cli_print_pair("registry", "%s", gv_cli_text(json, "registry"));
    gv_cli_print_pair("terms", "%s", gv_cli_text(json, "terms"));
    gv_cli_print_pair("seeds", "%s", gv_cli_text(json, "seeds"));
    gv_cli_print_pair("root key", "%s", gv_cli_text(json, "root_key"));
    const json_t *keys = gv_cli_member(json, "registry_keys");
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const json_t *key = json_array_get(keys, i);
        gv_cli_print_pair(i ? "" : "registry key", "%s, %s to %s", gv_cli_text(key, "key"),
                          gv_cli_text(key, "from"), gv_cli_text(key, "until"));
    }
    gv_cli_print_pair("untrusted", "from weight %s; a signal counts for %s min",
                      gv_cli_text(json, "policy.untrusted_weight"),
                      gv_cli_text(json, "policy.alive_min"));
    gv_cli_print_pair("standing", "after %s min of tenure, full after %s min",
                      gv_cli_text(json, "policy.tenure_min"), gv_cli_text(json, "policy.full_min"));
    json_decref(json);
    return 0;
}
