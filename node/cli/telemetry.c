/* `grapevine telemetry`: the complete contents of what was sent. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "node/cli/command.h"

static const struct argp_option options[] = {
    {"follow", 'f', NULL, 0,
     "Go on, and show what comes as it comes: an entry once, then its changes", 0},
    {"since", 't', "TIME", 0, "From then on: 2026-11-22T04:37:00Z, or 15m, 24h, 7d ago", 0},
    {"limit", 'n', "N", 0, "The newest N (default 100)", 0},
    {0},
};

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

/* ---- following ------------------------------------------------------------------------------ */

/* The daemon sends the whole entry whenever it changes. Here it is shown once, and then what is
 * new of it. */
struct following {
    const struct gv_cli *cli;
    json_t *seen; /* number -> {"state", "count", "by": {instance: true}}, oldest first */
};
#define SEEN_MAX 20000 /* entries; of one that is forgotten the whole is shown again */

static void print_change(const struct gv_cli *cli, json_t *change)
{
    const char *by = gv_cli_text(change, "acknowledged_by");

    if (cli->json) {
        json_dumpf(change, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
        putchar('\n');
    } else {
        printf("#%s ", gv_cli_text(change, "number"));
        gv_cli_print_word(cli, gv_cli_text(change, "state"));
        if (json_object_get(change, "acknowledged_by"))
            printf(", acknowledged by %s", by);
        else if (json_object_get(change, "acknowledged_count"))
            printf(", acknowledged by %s", gv_cli_text(change, "acknowledged_count"));
        putchar('\n');
    }
    json_decref(change);
}

static json_t *change_of(const json_t *entry)
{
    return json_pack("{s:O, s:O}", "number", json_object_get(entry, "number"), "state",
                     json_object_get(entry, "state"));
}

/* Notes what is known of the entry now. Shows what was not known before, unless it is new. */
static void note_changes(const struct following *following, json_t *known, const json_t *entry,
                         bool is_new)
{
    json_t *by = json_object_get(known, "by"), *ack, *change;
    json_int_t count = gv_cli_number(entry, "acknowledged_count");
    bool told = json_equal(json_object_get(known, "state"), json_object_get(entry, "state"));
    bool more = count > gv_cli_number(known, "count");
    size_t i;

    json_object_set(known, "state", json_object_get(entry, "state"));
    json_object_set_new(known, "count", json_integer(count));
    json_array_foreach(json_object_get(entry, "acknowledged"), i, ack)
    {
        const char *instance = json_string_value(json_object_get(ack, "instance"));
        if (!instance || json_object_get(by, instance))
            continue;
        json_object_set_new(by, instance, json_true());
        more = false; /* named */
        told = true;
        if (is_new || !(change = change_of(entry)))
            continue;
        json_object_set(change, "acknowledged_by", json_object_get(ack, "instance"));
        json_object_set(change, "time", json_object_get(ack, "time"));
        print_change(following->cli, change);
    }
    if (is_new || (told && !more) || !(change = change_of(entry)))
        return;
    if (more) /* beyond those that are named */
        json_object_set_new(change, "acknowledged_count", json_integer(count));
    print_change(following->cli, change);
}

static int on_line(void *context, const json_t *json)
{
    struct following *following = context;
    const struct gv_cli *cli = following->cli;
    char number[32];

    snprintf(number, sizeof number, "%" PRId64, gv_cli_number(json, "number"));
    json_t *known = json_object_get(following->seen, number);
    if (known) {
        note_changes(following, known, json, false);
        return fflush(stdout);
    }
    if (json_object_size(following->seen) >= SEEN_MAX)
        json_object_del(following->seen, json_object_iter_key(json_object_iter(following->seen)));
    known = json_pack("{s:s, s:i, s:{}}", "state", "", "count", 0, "by");
    if (!known || json_object_set_new(following->seen, number, known) != 0)
        return 1;
    note_changes(following, known, json, true);
    if (cli->json) {
        json_dumpf(json, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
        putchar('\n');
    } else {
        print_statement(cli, json);
    }
    return fflush(stdout); /* whoever reads from the pipe has gone: stop */
}

static int follow(struct gv_cli *cli, const char *path)
{
    struct following following = {cli, json_object()};

    if (!following.seen)
        return gv_cli_no_memory();
    int rc = gv_cli_follow(cli, path, on_line, &following);
    json_decref(following.seen);
    return rc;
}

/* One answer after the other, until there are as many as were asked for: the daemon has other
 * things to do between two of them. */
static int ask_pages(struct gv_cli *cli, const char *path, json_t **out)
{
    char page[600];
    const char *text = strstr(path, "limit=");
    size_t limit = text ? strtoul(text + strlen("limit="), NULL, 10) : SIZE_MAX;
    int rc = gv_cli_ask(cli, out, path, NULL);

    while (rc == 0 && json_object_get(*out, "next")) {
        json_t *older, *list = json_object_get(*out, "telemetry");
        snprintf(page, sizeof page, "%s&before=%" PRId64, path, gv_cli_number(*out, "next"));
        rc = gv_cli_ask(cli, &older, page, NULL);
        if (rc != 0) {
            json_decref(*out);
            break;
        }
        /* The oldest stand first. */
        json_t *whole = json_object_get(older, "telemetry");
        while (json_array_size(whole) + json_array_size(list) > limit)
            json_array_remove(whole, 0);
        json_array_extend(whole, list);
        if (json_array_size(whole) >= limit)
            json_object_del(older, "next");
        json_decref(*out);
        *out = older;
    }
    return rc;
}

int gv_cli_telemetry(struct gv_cli *cli, int argc, char **argv)
{
    struct gv_cli_stream arguments = {.path = "telemetry"};
    json_t *json;

    gv_cli_parse(cli,
                 &(struct gv_cli_spec){
                     .options = options,
                     .doc = "Shows the complete contents of what this node has sent, decoded and "
                            "raw. preview: would have been sent, [share] mode is preview. queued: "
                            "no peer has it yet. sent: a peer has acknowledged it.",
                     .parse = gv_cli_parse_stream,
                     .input = &arguments},
                 argc, argv, NULL);
    if (arguments.follow)
        return follow(cli, arguments.path);
    int rc = ask_pages(cli, arguments.path, &json);
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
