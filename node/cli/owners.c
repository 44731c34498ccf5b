/* `grapevine owners`: whose word weighs what, and why. */
#include <stdio.h>
#include <string.h>

#include "node/cli/command.h"

/* Members that are lists or null, as words. */
static void prepare(json_t *owners)
{
    size_t i;
    json_t *owner;

    json_array_foreach(owners, i, owner)
    {
        const json_t *groups = json_object_get(owner, "groups");
        char text[200] = "";
        for (size_t g = 0; g < json_array_size(groups); g++) {
            const char *group = json_string_value(json_array_get(groups, g));
            size_t used = strlen(text);
            if (group && used + strlen(group) + 3 < sizeof text)
                snprintf(text + used, sizeof text - used, "%s%s", used ? ", " : "", group);
        }
        json_object_set_new(owner, "groups_text", json_string(text));
    }
}

int gv_cli_owners(struct gv_cli *cli, int argc, char **argv)
{
    static const struct gv_cli_column columns[] = {
        {"OWNER", "owner", false, false},
        {"STANDING", "standing", true, false},
        {"INSTANCES", "instances", true, false},
        {"REVOKED", "revoked", true, false},
        {"GROUPS", "groups_text", false, false},
        {"SINCE", "since", false, false},
        {"DISTRUSTED", "distrusted", false, false},
        {"TENURED", "tenured", false, false},
        {"FAULT UNTIL", "fault_until", false, false},
    };
    json_t *json;

    gv_cli_parse(cli,
                 &(struct gv_cli_spec){
                     .doc = "Shows what each owner's word weighs now, of 1000, and what that is "
                            "made of: how long an instance of his has been certified, when the "
                            "tenure is over, the networks they stand in (of each network the "
                            "highest standing counts once), and until when a contradiction makes "
                            "him weigh nothing."},
                 argc, argv, NULL);
    int rc = gv_cli_ask(cli, &json, "owners", NULL);
    if (rc != 0)
        return rc;
    json_t *list = json_object_get(json, "owners");
    if (cli->json) {
        gv_cli_print_json(json);
    } else if (json_array_size(list) == 0) {
        puts("nobody is known yet");
    } else {
        prepare(list);
        rc = gv_cli_table(cli, list, columns, sizeof columns / sizeof *columns);
    }
    json_decref(json);
    return rc;
}

static error_t take(int key, char *arg, struct argp_state *state)
{
    bool *undo = state->input;

    (void)arg;
    if (key != 'u')
        return ARGP_ERR_UNKNOWN;
    *undo = true;
    return 0;
}

int gv_cli_distrust(struct gv_cli *cli, int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"undo", 'u', NULL, 0, "He has his vote here again", 0}, {0}};
    const char *owner;
    bool undo = false;

    gv_cli_parse(cli,
                 &(struct gv_cli_spec){
                     .options = options,
                     .parse = take,
                     .input = &undo,
                     .arguments = "TAG",
                     .doc = "What this owner's instances say has no weight on this node from now "
                            "on; other nodes hear of it nothing. TAG: 32 hex digits, as "
                            "`grapevine owners` shows them.",
                     .least = 1,
                     .most = 1},
                 argc, argv, &owner);
    return gv_cli_post_owner(cli, undo ? "undistrust" : "distrust", owner);
}
