/* `grapevine stats`: the flow of mail; `grapevine alerts`: what was odd in it. */
#include <stdio.h>
#include <string.h>

#include "node/base/rfc3339.h"
#include "node/cli/command.h"

#define WIDTH 60u /* of a sparkline, in columns */

/* ---- stats ---------------------------------------------------------------------------------- */

static const struct argp_option options[] = {
    {"since", 't', "TIME", 0,
     "From then on: 2026-11-22T04:37:00Z, or 15m, 24h, 7d ago (default: 2h by the minute, 48h by "
     "the hour, 90d by the day)",
     0},
    {"by", 'b', "SPAN", 0, "minute (kept for 48 h), hour or day; default hour", 0},
    {"peers", 'p', NULL, 0, "Where this host stands among its direct peers, of the last 24 hours",
     0},
    {0},
};

struct asked {
    char path[256];
    bool peers;
};

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct asked *asked = state->input;

    if (key == 'p')
        asked->peers = true;
    else if (key == 't' || key == 'b')
        gv_cli_query(asked->path, sizeof asked->path, key == 't' ? "since" : "by", value);
    else
        return ARGP_ERR_UNKNOWN;
    return 0;
}

/* What a column of the line stands for: the greatest of its rows, or -1 where nobody looked. */
struct line {
    int64_t columns[WIDTH];
    size_t count;
    int64_t most; /* -1: nobody looked */
};

static uint64_t minutes_of(const json_t *object, const char *member)
{
    uint64_t ms = 0;

    (void)gv_rfc3339_parse(&ms, gv_cli_text(object, member));
    return ms / 60000;
}

static void draw(struct line *out, const json_t *json, const char *name)
{
    const char *by = gv_cli_text(json, "by");
    uint64_t step = strcmp(by, "minute") == 0 ? 1 : strcmp(by, "hour") == 0 ? 60 : 1440;
    uint64_t since = minutes_of(json, "since"), until = minutes_of(json, "until");
    uint64_t spans = until >= since ? (until - since) / step + 1 : 1;
    uint64_t each = (spans + WIDTH - 1) / WIDTH;
    const json_t *rows = json_object_get(json, "rows"), *row;
    size_t i;

    out->count = (size_t)((spans + each - 1) / each);
    out->most = -1;
    for (i = 0; i < WIDTH; i++)
        out->columns[i] = -1;
    json_array_foreach(rows, i, row)
    {
        uint64_t at = minutes_of(row, "at");
        int64_t value = json_is_null(json_object_get(row, name)) ? -1 : gv_cli_number(row, name);
        size_t column = at >= since ? (size_t)((at - since) / step / each) : WIDTH;
        if (column >= out->count)
            continue;
        if (value > out->columns[column])
            out->columns[column] = value;
        if (value > out->most)
            out->most = value;
    }
}

static void print_line(const struct line *line)
{
    static const char *const bars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};

    for (size_t i = 0; i < line->count; i++) {
        int64_t value = line->columns[i];
        fputs(value < 0 ? " "
              : value == 0
                  ? "."
                  : bars[(value * 8 - 1) / line->most < 8 ? (value * 8 - 1) / line->most : 7],
              stdout);
    }
}

static void print_stats(const struct gv_cli *cli, const json_t *json)
{
    static const struct {
        const char *name, *text;
        bool level; /* not a sum: its latest value */
    } shown[] = {
        {"received", "received", false},       {"delivered", "delivered", false},
        {"outgoing", "to other hosts", false}, {"forwarded", "forwarded", false},
        {"deferred", "deferred", false},       {"deferrals", "deferrals", false},
        {"bounced", "bounced", false},         {"expired", "expired", false},
        {"rejected", "rejected", false},       {"held", "held", false},
        {"discarded", "discarded", false},     {"queue_max", "in the queue", true},
        {"logins", "logins", false},           {"login_failures", "failed logins", false},
    };
    struct line line;
    char heading[160];

    snprintf(heading, sizeof heading, "mail flow by the %s, %s to %s", gv_cli_text(json, "by"),
             gv_cli_text(json, "since"), gv_cli_text(json, "until"));
    gv_cli_print_heading(cli, heading);
    if (json_array_size(json_object_get(json, "rows")) == 0)
        puts("  nothing is stored of that time; is a mail log followed? (grapevine status)");
    const json_t *all = json_object_get(json, "sum");
    if (gv_cli_number(all, "received") + gv_cli_number(all, "delivered") == 0 &&
        gv_cli_number(all, "logins") + gv_cli_number(all, "login_failures") > 0)
        puts("  mail is counted in Postfix's log alone; logins in that of every server");
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        draw(&line, json, shown[i].name);
        const json_t *sum = json_object_get(json, "sum");
        printf("  %-15s %10s  ", shown[i].text, gv_cli_text(sum, shown[i].name));
        print_line(&line);
        printf("  %s ", shown[i].level ? "most" : "at most");
        if (line.most < 0)
            puts("-");
        else
            printf("%lld\n", (long long)line.most);
    }
    const json_t *queue = json_object_get(json, "queue");
    if (gv_cli_number(queue, "messages") > 0)
        printf("  in the queue now: %s, the oldest since %s\n", gv_cli_text(queue, "messages"),
               gv_cli_text(queue, "oldest"));
}

static void print_peers(const struct gv_cli *cli, const json_t *json)
{
    const json_t *figures = json_object_get(json, "figures"), *figure;
    bool told = json_is_object(json_object_get(json, "told"));
    size_t i;

    gv_cli_print_heading(cli, "mail of the last 24 hours, among direct peers");
    if (!json_is_object(json_object_get(json, "mine")))
        puts("  there was too little mail here: fewer than 100 messages");
    json_array_foreach((json_t *)figures, i, figure)
    {
        if (json_is_string(json_object_get(figure, "text")))
            printf("  %s\n", gv_cli_text(figure, "text"));
        else if (json_is_integer(json_object_get(figure, "percent")))
            printf("  %s %s%%\n", gv_cli_text(figure, "name"), gv_cli_text(figure, "percent"));
    }
    printf("  peers that tell theirs: %s%s\n", gv_cli_text(json, "peers"),
           gv_cli_number(json, "peers") < 3 ? " (a place among fewer than three says nothing)"
                                            : "");
    printf("  this host tells them: %s\n",
           told ? "its size class and these per cents, once an hour" : "nothing");
}

int gv_cli_stats(struct gv_cli *cli, int argc, char **argv)
{
    struct asked asked = {.path = "stats"};
    json_t *json;

    gv_cli_parse(cli,
                 &(struct gv_cli_spec){
                     .options = options,
                     .doc = "Shows this host's mail flow: server-wide sums, as pflogsumm counts "
                            "them. A dot is zero, a blank is a time when this node did not look. "
                            "Nothing is kept of any mailbox.",
                     .parse = parse,
                     .input = &asked},
                 argc, argv, NULL);
    int rc = gv_cli_ask(cli, &json, asked.peers ? "stats/peers" : asked.path, NULL);
    if (rc != 0)
        return rc;
    if (cli->json)
        gv_cli_print_json(json);
    else if (asked.peers)
        print_peers(cli, json);
    else
        print_stats(cli, json);
    json_decref(json);
    return 0;
}

/* ---- alerts --------------------------------------------------------------------------------- */

static const struct argp_option alert_options[] = {
    {"follow", 'f', NULL, 0, "Go on, and show each alert as it begins and as it ends", 0},
    {"limit", 'n', "N", 0, "The newest N (default 100)", 0},
    {0},
};

static void print_alert(const json_t *alert)
{
    const char *ended = gv_cli_text(alert, "ended");

    printf("#%s  %s", gv_cli_text(alert, "number"), gv_cli_text(alert, "began"));
    printf("%s%s", strcmp(ended, "-") == 0 ? " until " : " to ",
           strcmp(ended, "-") == 0 ? "now" : ended);
    printf("  %s\n", gv_cli_text(alert, "text"));
}

static int on_alert(void *context, const json_t *alert)
{
    const struct gv_cli *cli = context;

    if (cli->json) {
        json_dumpf(alert, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
        putchar('\n');
    } else {
        print_alert(alert);
    }
    return fflush(stdout);
}

static void print_alerts(const json_t *json)
{
    const json_t *list = json_object_get(json, "alerts");
    const char *baseline = gv_cli_text(json, "baseline");

    if (strcmp(baseline, "learning") == 0)
        puts("this node is still learning what is usual: it says nothing for the first week");
    else if (strcmp(baseline, "warming") == 0)
        puts(
            "this node knows hours of the day, not yet of the week (from the fourth week on): only "
            "surges are noticed");
    if (json_array_size(list) == 0)
        puts("nothing odd was noticed");
    for (size_t i = 0; i < json_array_size(list); i++)
        print_alert(json_array_get(list, i));
}

int gv_cli_alerts(struct gv_cli *cli, int argc, char **argv)
{
    struct gv_cli_stream arguments = {.path = "alerts"};
    json_t *json;

    gv_cli_parse(cli,
                 &(struct gv_cli_spec){
                     .options = alert_options,
                     .doc = "Shows what was odd in this host's mail flow: surges of outgoing mail, "
                            "bounces, rejections and failed logins, a queue that grew, silence. "
                            "Less than 15 outgoing messages in five minutes are never a surge: "
                            "on a host that sends a few dozen a day ten times as many are none.",
                     .parse = gv_cli_parse_stream,
                     .input = &arguments},
                 argc, argv, NULL);
    if (arguments.follow)
        return gv_cli_follow(cli, arguments.path, on_alert, cli);
    int rc = gv_cli_ask(cli, &json, arguments.path, NULL);
    if (rc != 0)
        return rc;
    if (cli->json)
        gv_cli_print_json(json);
    else
        print_alerts(json);
    json_decref(json);
    return 0;
}
