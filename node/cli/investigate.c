/* `grapevine investigate`: a closer look at who does what, with a reason, on the record. The entry
 * in the transparency log is on the disk before anything is read; what is found goes to the
 * terminal and is kept nowhere. (SPEC 15.2) */
#include <errno.h>
#include <pwd.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/base/config_value.h"
#include "node/base/log.h"
#include "node/base/log_source.h"
#include "node/base/options.h"
#include "node/base/rfc3339.h"
#include "node/base/transparency.h"
#include "node/cli/command.h"
#include "node/cli/look.h"
#include "node/cli/look_read.h"

#define ROWS     15
#define FILES    16
#define SERIES   3 /* names that make one */
#define NETWORKS 3 /* of an account, from which it is shown */

struct arguments {
    const char *reason, *since;
    bool pipe;
    uint64_t since_ms, now_ms;
    enum gv_look_view view;
};

static const struct argp_option options[] = {
    {"reason", 'r', "TEXT", 0, "Why; kept in the transparency log. Names no mailbox", 0},
    {"since", 't', "TIME", 0,
     "How far back: 2026-11-22T04:37:00Z, or 15m, 24h, 7d ago (default: 24h; all of the queue)", 0},
    {"pipe", 'p', NULL, 0, "Print although standard output is no terminal; goes on record", 0},
    {0},
};

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct arguments *a = state->input;

    switch (key) {
    case 'r':
        a->reason = value;
        return 0;
    case 't':
        a->since = value;
        return 0;
    case 'p':
        a->pipe = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int check(struct arguments *a, const struct gv_cli *cli, const char *view, unsigned words)
{
    struct gv_text error;
    int64_t ago_s = 86400;
    size_t i = 0;

    while (i < GV_LOOK_VIEWS && strcmp(gv_look_views[i], view) != 0)
        i++;
    a->view = (enum gv_look_view)i;
    a->now_ms = (uint64_t)time(NULL) * 1000;
    if (i == GV_LOOK_VIEWS || (words > 1 && i == GV_LOOK_QUEUE)) {
        fputs("grapevine: say top-senders, queue, logins or names; logs to read behind it, but for "
              "the queue\n",
              stderr);
        return EX_USAGE;
    }
    if (!a->reason) {
        fputs("grapevine: a look at what single mailboxes do needs a reason: --reason TEXT\n",
              stderr);
        return EX_USAGE;
    }
    if (gv_transparency_reason(a->reason, &error) != GV_OK) {
        fprintf(stderr, "grapevine: --reason: %s\n", error.text);
        return EX_USAGE;
    }
    if (a->since && gv_rfc3339_parse(&a->since_ms, a->since) != GV_OK) {
        if (gv_config_duration_parse(&ago_s, a->since) != GV_OK || ago_s < 0) {
            fputs("grapevine: --since needs a time like 2026-11-22T04:37:00Z, or 15m, 24h, 7d\n",
                  stderr);
            return EX_USAGE;
        }
        a->since_ms = 0;
    }
    if (a->since_ms == 0 && (a->since || i != GV_LOOK_QUEUE))
        a->since_ms = (uint64_t)ago_s < a->now_ms / 1000 ? a->now_ms - (uint64_t)ago_s * 1000 : 0;
    if (!a->pipe && (!isatty(STDOUT_FILENO) || cli->json)) {
        fputs(
            "grapevine: this names mailboxes, and is for the terminal alone; --pipe prints it all "
            "the same, which goes on record, too\n",
            stderr);
        return EX_NOPERM;
    }
    return 0;
}

/* ---- the entry ------------------------------------------------------------------------------ */

static json_t *name_of(uid_t uid)
{
    const struct passwd *user = getpwuid(uid);
    json_t *name = user ? json_string(user->pw_name) : NULL;

    return name ? name : json_sprintf("%lu", (unsigned long)uid);
}

/* Who logged in, as the kernel keeps it over su and sudo; null where it does not know. */
static json_t *login_name(void)
{
    unsigned long uid = UINT32_MAX;
    char text[32] = "";
    FILE *in = fopen("/proc/self/loginuid", "re");

    if (in && fgets(text, sizeof text, in) && *text)
        uid = strtoul(text, NULL, 10);
    if (in)
        fclose(in);
    return uid == UINT32_MAX ? json_null() : name_of((uid_t)uid);
}

static json_t *make_entry(const struct arguments *a)
{
    char at[GV_RFC3339_TEXT], since[GV_RFC3339_TEXT], sudo[64];
    const char *sudo_user = getenv("SUDO_USER");

    gv_rfc3339(at, a->now_ms);
    gv_rfc3339(since, a->since_ms);
    if (sudo_user)
        gv_log_safe(sudo, sizeof sudo, sudo_user, strlen(sudo_user));
    return json_pack("{s:s, s:o, s:s?, s:o, s:s, s:s?, s:s, s:s}", "at", at, "user",
                     name_of(getuid()), "sudo_user", sudo_user ? sudo : NULL, "login", login_name(),
                     "view", gv_look_views[a->view], "since", a->since_ms ? since : NULL, "output",
                     isatty(STDOUT_FILENO) ? "terminal" : "pipe", "reason", a->reason);
}

/* In the log of the system, too: who writes the transparency log anew must write that one as well.
 */
static void tell_system(const struct gv_transparency_chain *chain, const json_t *entry)
{
    openlog("grapevine", LOG_PID, LOG_AUTHPRIV);
    syslog(LOG_NOTICE, "transparency: entry %llu, %s by %s (%s), %s",
           (unsigned long long)chain->entries, gv_cli_text(entry, "view"),
           gv_cli_text(entry, "user"), gv_cli_text(entry, "sudo_user"), chain->head);
    closelog();
}

/* The node looks at the log now, and keeps which entry is the last: who takes it out again is
 * noticed. It is told no more than that; one that does not run is no obstacle. */
static void tell_node(struct gv_cli *cli)
{
    json_t *json = NULL;
    bool quiet = cli->quiet;

    cli->quiet = true;
    (void)gv_cli_ask_expecting(cli, &json, "transparency", NULL, "not-found");
    cli->quiet = quiet;
    json_decref(json);
}

static int record(struct gv_cli *cli, const struct arguments *a, const char *folder)
{
    struct gv_transparency_chain chain;
    struct gv_text error = {""};
    char safe[1024];
    json_t *entry = make_entry(a);

    if (!entry)
        return gv_cli_no_memory();
    int rc = gv_transparency_append(folder, &chain, entry, &error);
    if (rc == GV_OK) {
        tell_system(&chain, entry);
        tell_node(cli);
        fprintf(stderr, "on record as entry %llu of the transparency log, %s\n",
                (unsigned long long)chain.entries, chain.head);
    } else {
        gv_log_safe(safe, sizeof safe, error.text, strlen(error.text));
        fprintf(stderr, "grapevine: nothing is shown, as it cannot be put on record: %s\n",
                *safe ? safe : gv_strerror(rc));
    }
    if (chain.broken > 0)
        fprintf(stderr,
                "grapevine: the transparency log was changed: `grapevine transparency verify`\n");
    json_decref(entry);
    return rc == GV_OK              ? 0
           : rc == GV_ERR_FORBIDDEN ? EX_NOPERM
           : rc == GV_ERR_BUSY      ? EX_TEMPFAIL
           : rc == GV_ERR_MEMORY    ? EX_OSERR
                                    : EX_IOERR;
}

/* ---- what is shown -------------------------------------------------------------------------- */

static void set_text(json_t *row, const char *member, const char *text, size_t len)
{
    char safe[4 * GV_TALLY_NAME + 1];

    gv_log_safe(safe, sizeof safe, text, len);
    json_object_set_new(row, member, json_string(safe));
}

static json_t *row_of(const struct gv_tally_entry *e)
{
    char last[GV_RFC3339_TEXT], first[GV_RFC3339_TEXT];

    gv_rfc3339(last, e->last_ms);
    gv_rfc3339(first, e->first_ms);
    json_t *row = json_pack("{s:I, s:I, s:I, s:I, s:I, s:s, s:s}", "count", (json_int_t)e->count,
                            "recipients", (json_int_t)e->recipients, "kilobytes",
                            (json_int_t)(e->bytes / 1000), "most", (json_int_t)e->most, "networks",
                            (json_int_t)e->network_count, "first", first, "last", last);
    set_text(row, "name", e->name, e->name_len);
    set_text(row, "example", e->example, e->example_len);
    return row;
}

/* What is being shown: as tables, or gathered for --json. */
struct shown {
    const struct gv_cli *cli;
    const struct gv_look *look;
    json_t *tables; /* NULL: as tables */
    bool partly;    /* not all could be read: nobody knows that there is none */
};

static int show(const struct shown *shown, enum gv_look_table table, const char *heading,
                const char *none, uint64_t least, const struct gv_cli_column *columns,
                size_t column_count)
{
    const struct gv_look *look = shown->look;
    const struct gv_tally *tally = gv_look_tally(look, table);
    const struct gv_tally_entry *top[ROWS];
    size_t n = gv_tally_top(tally, top, ROWS);
    json_t *list = json_array();
    int rc = 0;

    for (size_t i = 0; i < n && top[i]->weight >= least; i++)
        json_array_append_new(list, row_of(top[i]));
    if (shown->tables) {
        json_array_append_new(shown->tables,
                              json_pack("{s:s, s:O, s:I}", "what", heading, "rows", list,
                                        "forgotten", (json_int_t)gv_tally_forgotten(tally)));
        json_decref(list);
        return 0;
    }
    gv_cli_print_heading(shown->cli, heading);
    if (json_array_size(list) == 0)
        printf("  %s\n", shown->partly ? "none, in what could be read" : none);
    else
        rc = gv_cli_table(shown->cli, list, columns, column_count);
    if (gv_tally_forgotten(tally) > 0)
        printf(
            "  (%llu of the lightest names were forgotten; a name may stand for up to %llu more)\n",
            (unsigned long long)gv_tally_forgotten(tally),
            (unsigned long long)gv_tally_lost(tally));
    json_decref(list);
    return rc;
}

#define COLUMNS(list) (list), sizeof(list) / sizeof *(list)

static int print(const struct shown *shown, enum gv_look_view view)
{
    static const struct gv_cli_column sent[] = {{"RECIPIENTS", "recipients", true, false},
                                                {"MESSAGES", "count", true, false},
                                                {"MOST IN AN HOUR", "most", true, false},
                                                {"KB", "kilobytes", true, false},
                                                {"LAST", "last", false, false},
                                                {"WHO", "name", false, false}};
    static const struct gv_cli_column queued[] = {{"MESSAGES", "count", true, false},
                                                  {"RECIPIENTS", "recipients", true, false},
                                                  {"OLDEST", "first", false, false},
                                                  {"WHO", "name", false, false}};
    static const struct gv_cli_column why[] = {{"RECIPIENTS", "count", true, false},
                                               {"OLDEST", "first", false, false},
                                               {"WHAT", "name", false, false}};
    static const struct gv_cli_column logins[] = {{"NETWORKS", "networks", true, false},
                                                  {"LOGINS", "count", true, false},
                                                  {"FIRST", "first", false, false},
                                                  {"LAST", "last", false, false},
                                                  {"ACCOUNT", "name", false, false}};
    static const struct gv_cli_column names[] = {{"ACCOUNTS", "count", true, false},
                                                 {"FIRST LOGIN", "first", false, false},
                                                 {"PATTERN", "name", false, false},
                                                 {"FOR EXAMPLE", "example", false, false}};
    int rc;

    switch (view) {
    case GV_LOOK_TOP_SENDERS:
        rc = show(shown, GV_LOOK_ACCOUNTS, "accounts that logged in to send",
                  "none, in the lines of Postfix and Exim", 1, COLUMNS(sent));
        return rc ? rc
                  : show(shown, GV_LOOK_OTHERS,
                         "senders without a login: other hosts, and programs here",
                         "none, in the lines of Postfix and Exim", 1, COLUMNS(sent));
    case GV_LOOK_QUEUE:
        rc = show(shown, GV_LOOK_ACCOUNTS, "whose mail is in the queue", "the queue is empty", 1,
                  COLUMNS(queued));
        if (rc == 0)
            rc = show(shown, GV_LOOK_OTHERS, "where it is to go", "nowhere", 1, COLUMNS(why));
        return rc ? rc
                  : show(shown, GV_LOOK_REASONS, "why it waits", "nobody says", 1, COLUMNS(why));
    case GV_LOOK_LOGINS:
        return show(shown, GV_LOOK_ACCOUNTS,
                    "accounts that logged in from many networks (/24, /48)",
                    "none from three networks or more", NETWORKS, COLUMNS(logins));
    default:
        return show(shown, GV_LOOK_REASONS, "account names of one pattern (# is a number)",
                    "no three accounts that logged in are named by one pattern", SERIES,
                    COLUMNS(names));
    }
}

static void print_span(const struct gv_look *look)
{
    const struct gv_look_counters *c = gv_look_counters(look);
    char first[GV_RFC3339_TEXT], last[GV_RFC3339_TEXT];

    gv_rfc3339(first, c->first_ms);
    gv_rfc3339(last, c->last_ms);
    if (c->last_ms > 0)
        printf("\n%llu lines read, of mail from %s to %s", (unsigned long long)c->lines, first,
               last);
    else
        printf("\n%llu lines read", (unsigned long long)c->lines);
    if (c->skipped > 0)
        printf("; %llu left out (too long)", (unsigned long long)c->skipped);
    puts(". Nothing of this is kept. Tell who is concerned: `grapevine transparency notice "
         "ACCOUNT`");
}

/* Takes the tables. */
static void print_json(const struct gv_look *look, enum gv_look_view view, json_t *tables,
                       bool complete)
{
    const struct gv_look_counters *c = gv_look_counters(look);
    json_t *json = json_pack("{s:s, s:b, s:I, s:I, s:o}", "view", gv_look_views[view], "complete",
                             (int)complete, "lines", (json_int_t)c->lines, "skipped",
                             (json_int_t)c->skipped, "tables", tables);

    gv_cli_print_json(json);
    json_decref(json);
}

/* Each LOG as an absolute path: what is not there is no matter of the record. *owned: to be freed.
 */
static int find_logs(const char **words, size_t count, char *owned[FILES])
{
    for (size_t i = 0; i < count; i++) {
        struct gv_log_source parsed;
        struct gv_text error;
        bool source = gv_log_source_parse(&parsed, words[i], &error) == GV_OK;
        if (source && parsed.kind != GV_LOG_FILE)
            continue;
        owned[i] = realpath(words[i], NULL);
        if (!owned[i] || access(owned[i], R_OK) != 0) {
            fprintf(stderr, "grapevine: %s: %s\n", words[i], strerror(errno));
            return errno == EACCES ? EX_NOPERM : EX_NOINPUT;
        }
        words[i] = owned[i];
    }
    return 0;
}

static int look_closer(const struct gv_cli *cli, const struct arguments *a,
                       const char *const *sources, size_t count)
{
    uint8_t key[16];
    int rc = 0, worst = 0;

    randombytes_buf(key, sizeof key);
    struct gv_look *look = gv_look_new(a->view, key, a->since_ms);
    if (!look)
        return gv_cli_no_memory();
    if (a->view == GV_LOOK_QUEUE)
        worst = gv_look_read_queue(look, a->now_ms);
    for (size_t i = 0; a->view != GV_LOOK_QUEUE && i < count; i++) {
        rc = gv_look_read_log(look, sources[i], a->since_ms, a->now_ms);
        worst = rc ? rc : worst;
    }
    struct shown shown = {cli, look, cli->json ? json_array() : NULL, worst != 0};
    if (worst != 0 && gv_look_counters(look)->lines == 0) {
        json_decref(shown.tables);
        gv_look_free(look);
        return worst; /* which was said; an empty table would be read as an answer */
    }
    rc = print(&shown, a->view);
    if (shown.tables)
        print_json(look, a->view, shown.tables, worst == 0);
    else if (rc == 0)
        print_span(look);
    gv_look_free(look);
    return rc ? rc : worst;
}

int gv_cli_investigate(struct gv_cli *cli, int argc, char **argv)
{
    const char *path = cli->config_path ? cli->config_path : GV_OPTIONS_PATH;
    const char *words[1 + FILES];
    char *owned[FILES] = {NULL};
    struct arguments a = {.reason = NULL};
    struct gv_options o;
    struct gv_buf errors;

    unsigned n = gv_cli_parse(
        cli,
        &(struct gv_cli_spec){
            .options = options,
            .arguments = "top-senders|queue|logins|names [LOG...]",
            .doc =
                "A closer look, for a reason that goes on record first: who sends most; whose mail "
                "is stuck in Postfix's or Exim's queue; accounts that log in from many networks; "
                "series of "
                "account names such as name plus number. Reads the logs of the configuration, or "
                "LOG, on the spot, prints to the terminal and keeps nothing but the entry in the "
                "transparency log. To be run as root.",
            .parse = parse,
            .input = &a,
            .least = 1,
            .most = 1 + FILES},
        argc, argv, words);
    int rc = check(&a, cli, words[0], n);
    if (rc != 0)
        return rc;
    gv_buf_init(&errors);
    rc = gv_options_load(&o, path, &errors);
    int code = rc == GV_OK ? 0 : gv_options_refused(rc, &errors, "grapevine");
    gv_buf_free(&errors);
    if (code != 0)
        return code;
    if (o.timezone && *o.timezone)
        setenv("TZ", o.timezone, 1);
    if (n == 1 && o.logs.count == 0 && a.view != GV_LOOK_QUEUE) {
        fputs("grapevine: the configuration names no log ([log] file): name one here\n", stderr);
        code = EX_CONFIG;
    }
    if (code == 0)
        code = find_logs(words + 1, n - 1, owned);
    if (code == 0 && sodium_init() < 0)
        code = EX_SOFTWARE;
    if (code == 0)
        code = record(cli, &a, o.data);
    if (code == 0)
        code = n > 1 ? look_closer(cli, &a, words + 1, n - 1)
                     : look_closer(cli, &a, (const char *const *)o.logs.items, o.logs.count);
    for (size_t i = 0; i < FILES; i++)
        free(owned[i]);
    gv_options_free(&o);
    return code;
}
