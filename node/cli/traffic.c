/* `grapevine traffic` */
#include <inttypes.h>
#include <stdio.h>

#include "node/cli/command.h"

static void print_sums(const json_t *json)
{
    int64_t cap = gv_cli_number(json, "cap_per_hour"), hour = gv_cli_number(json, "hour");

    gv_cli_print_pair("last hour", "%" PRId64 " bytes in and out, %.0f%% of the cap", hour,
                      cap > 0 ? 100.0 * (double)hour / (double)cap : 0.0);
    gv_cli_print_pair("cap", "%" PRId64 " bytes an hour, without joins", cap);
    gv_cli_print_pair("busiest hour", "%" PRId64 " bytes", gv_cli_number(json, "busiest_hour"));
    int64_t news = gv_cli_number(json, "waited.news");
    int64_t repair = gv_cli_number(json, "waited.repair");
    int64_t roster = gv_cli_number(json, "waited.roster");
    if (news != 0 || repair != 0 || roster != 0)
        gv_cli_print_pair("waited",
                          "%" PRId64 " signals of others, %" PRId64 " repairs, %" PRId64
                          " changes of the roster, to stay under the cap",
                          news, repair, roster);
}

int gv_cli_traffic(struct gv_cli *cli, int argc, char **argv)
{
    static const struct gv_cli_column columns[] = {
        {"CAUSE", "cause", false, false},      {"HOUR IN", "hour_in", true, false},
        {"HOUR OUT", "hour_out", true, false}, {"DAY IN", "day_in", true, false},
        {"DAY OUT", "day_out", true, false},   {"WHAT", "what", false, false},
    };
    json_t *json;

    gv_cli_parse(cli,
                 &(struct gv_cli_spec){.doc = "Shows what this node moved, with the headers of TCP "
                                              "and IP: in the last hour (50 to 60 minutes) and "
                                              "day, by cause, against the cap."},
                 argc, argv, NULL);
    int rc = gv_cli_ask(cli, &json, "traffic", NULL);
    if (rc != 0)
        return rc;
    const json_t *list = json_object_get(json, "causes");
    if (cli->json) {
        gv_cli_print_json(json);
    } else if (json_array_size(list) == 0) {
        puts("the daemon counts nothing");
    } else {
        rc = gv_cli_table(cli, list, columns, sizeof columns / sizeof *columns);
        print_sums(json);
    }
    json_decref(json);
    return rc;
}
