/* `grapevine allow`, `deny`, `unlist`, `retract`, `reload`: the admin's word. */
#include <stdio.h>

#include "node/cli/command.h"

static void print_list(const char *title, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *one = json_pack("{s:O}", "prefix", json_array_get(list, i));
        printf("%-44s %s\n", gv_cli_text(one, "prefix"), title);
        json_decref(one);
    }
}

static int show_lists(struct gv_cli *cli, const char *which)
{
    json_t *json;
    int rc = gv_cli_ask(cli, &json, "lists", NULL);

    if (rc != 0)
        return rc;
    if (cli->json) {
        gv_cli_print_json(json);
    } else {
        print_list("by command", json_object_get(json, which));
        print_list("by configuration, or this host's own",
                   json_object_get(json_object_get(json, "configured"), which));
    }
    json_decref(json);
    return 0;
}

static int post(struct gv_cli *cli, const char *path, const char *address)
{
    json_t *json, *body = json_object();

    if (address)
        json_object_set_new(body, "addr", json_string(address));
    int rc = gv_cli_ask(cli, &json, path, body);
    json_decref(body);
    if (rc != 0)
        return rc;
    if (cli->json)
        gv_cli_print_json(json);
    else if (address)
        printf("%s: %s\n", address, gv_cli_text(json, "message"));
    else
        printf("%s\n", gv_cli_text(json, "message"));
    json_decref(json);
    return 0;
}

static int list_command(struct gv_cli *cli, int argc, char **argv, const char *which,
                        const char *doc)
{
    const char *address = NULL;

    gv_cli_parse(cli, &(struct gv_cli_spec){.arguments = "[ADDR]", .doc = doc, .most = 1}, argc,
                 argv, &address);
    return address ? post(cli, which, address) : show_lists(cli, which);
}

int gv_cli_allow(struct gv_cli *cli, int argc, char **argv)
{
    return list_command(cli, argc, argv, "allow",
                        "Never refuse and never share this address or range (192.0.2.0/24). "
                        "Without ADDR: shows the list.");
}

int gv_cli_deny(struct gv_cli *cli, int argc, char **argv)
{
    return list_command(cli, argc, argv, "deny",
                        "Always refuse this address or range (192.0.2.0/24) here; the mesh does "
                        "not hear of it. Without ADDR: shows the list.");
}

static int one_address(struct gv_cli *cli, int argc, char **argv, const char *path, const char *doc)
{
    const char *address;

    gv_cli_parse(cli, &(struct gv_cli_spec){.arguments = "ADDR", .doc = doc, .least = 1, .most = 1},
                 argc, argv, &address);
    return post(cli, path, address);
}

int gv_cli_unlist(struct gv_cli *cli, int argc, char **argv)
{
    return one_address(cli, argc, argv, "unlist",
                       "Take an address or range from the allow and the deny list.");
}

int gv_cli_retract(struct gv_cli *cli, int argc, char **argv)
{
    return one_address(cli, argc, argv, "retract",
                       "Take back what this node has said of an address. The retraction is "
                       "signed and goes wherever the signal went.");
}

int gv_cli_reload(struct gv_cli *cli, int argc, char **argv)
{
    gv_cli_parse(cli,
                 &(struct gv_cli_spec){
                     .doc = "Lets the daemon read its configuration again, as SIGHUP does; one "
                            "that is not valid is refused and the old one stays in force."},
                 argc, argv, NULL);
    return post(cli, "reload", NULL);
}
