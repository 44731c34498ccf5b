/* `grapevine privacy`: the admin's own privacy policy, what is held, and access and erasure. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "crypto/error.h"
#include "node/base/options.h"
#include "node/cli/command.h"

/* ---- notice --------------------------------------------------------------------------------- */

static void paragraph(FILE *out, const char *text)
{
    size_t column = 0;

    for (const char *at = text; *at;) {
        size_t word = strcspn(at, " ");
        if (column > 0 && column + 1 + word > 78) {
            fputc('\n', out);
            column = 0;
        }
        fprintf(out, "%s%.*s", column ? " " : "", (int)word, at);
        column += word + (column > 0);
        at += word;
        at += strspn(at, " ");
    }
    fputs("\n\n", out);
}

static const char *span(char out[32], int64_t seconds)
{
    if (seconds % 86400 == 0)
        snprintf(out, 32, "%lld days", (long long)(seconds / 86400));
    else
        snprintf(out, 32, "%lld hours", (long long)((seconds + 3599) / 3600));
    return out;
}

static void print_sharing(FILE *out, const struct gv_options *o)
{
    char telemetry[32], text[2000];

    if (o->share == GV_SHARE_YES)
        snprintf(
            text, sizeof text,
            "What is shared, and with whom. When an address has failed to log in three times "
            "within a day (twice, if an account that does not exist was tried; slower attacks "
            "are counted over a week), this server tells the other mail servers of the "
            "network: the address (of IPv6 its /64 network), the first and last time of the "
            "failed attempts, a rounded count, which services were attacked and how the logins "
            "failed. The same address is told at most every 12 hours, and at most 32 "
            "reports go out in an hour. Our own servers, and others that ask for it, are also told "
            "which of these addresses are locked out here at the moment.%s Recipients are all "
            "members of the network: whoever its registry admits, which may be anybody who runs a "
            "mail server, also outside the European Union. A record of each report about an "
            "address is kept here for %s. "
            "Never shared are mail, its contents and metadata, names of accounts, and "
            "addresses from which somebody has logged in here lately and regularly.",
            o->share_statistics
                ? " Directly connected servers are told, once an hour, how much mail this server "
                  "handles in a day, as a power of ten, and how many per cent of it bounced, were "
                  "deferred or rejected."
                : "",
            span(telemetry, o->telemetry_s));
    else
        snprintf(text, sizeof text,
                 "What is shared, and with whom. Nothing: this server receives such reports from "
                 "others, and tells them of no address itself.%s",
                 o->share == GV_SHARE_PREVIEW
                     ? " What it would tell is prepared for its administrator alone."
                     : "");
    paragraph(out, text);
}

/* A webhook's host: "https://hooks.example:8443/secret" is "hooks.example". */
static size_t host_of(const char **host, const char *url)
{
    const char *at = strstr(url, "://");

    at = at ? at + 3 : url;
    const char *user = memrchr(at, '@', strcspn(at, "/?#")); /* and password: not for publication */
    at = user ? user + 1 : at;
    size_t len = *at == '[' ? strcspn(at, "]") : strcspn(at, ":/?#");
    *host = at;
    return *at == '[' && at[len] ? len + 1 : len;
}

/* Those to whom this host itself tells what it refuses, the mesh aside. */
static void print_others(FILE *out, const struct gv_options *o)
{
    bool hook = o->webhook && *o->webhook, program = o->hook_exec && *o->hook_exec;
    bool hosts = o->http_clients.count || o->dnsbl_clients.count;
    const char *host = "";
    int len = hook ? (int)host_of(&host, o->webhook) : 0;
    char told[600] = "", text[1200];

    if (!hook && !program && !hosts)
        return;
    if (hook || program)
        snprintf(told, sizeof told,
                 " Each change in which addresses are untrusted or refused here is told to "
                 "%.*s%s%s, as it happens.",
                 len, host, hook && program ? " and to " : "",
                 program ? "a program on this server" : "");
    snprintf(text, sizeof text, "Besides.%s%s Say here %s.", told,
             hosts ? " Hosts that the configuration of this server names may ask it which "
                     "addresses are untrusted or refused here."
                   : "",
             hook || hosts ? "who runs them, and what they do with it"
                           : "what that program does with it");
    paragraph(out, text);
}

void gv_cli_print_notice(FILE *out, const struct gv_options *o)
{
    char telemetry[32], journal[32], statistics[32], text[1600];

    paragraph(out, "Protection against password guessing.");
    snprintf(
        text, sizeof text,
        "Purpose. To keep strangers out of mailboxes, this server notes from which network "
        "addresses (IP addresses) logins fail, and takes part in grapevine, a network of mail "
        "servers that warn each other of addresses that guess passwords. %s",
        o->enforced && o->refuse_on
            ? "Addresses that many members of the network hold untrusted are refused here, and "
              "so are, for a time, those that have attacked this server."
        : o->enforced ? "Addresses that the network holds untrusted get fewer attempts here, and "
                        "addresses that have attacked this server are refused for a time."
                      : "At present this server only watches: nobody is refused because of it.");
    paragraph(out, text);
    paragraph(out,
              "Legal basis. Our legitimate interest in the security of our users' mailboxes and of "
              "this server (Article 6(1)(f) of the General Data Protection Regulation, GDPR; "
              "recital 49).");
    print_sharing(out, o);
    print_others(out, o);
    snprintf(
        text, sizeof text,
        "How long. What is known here of an address is deleted 7 days after its last failed "
        "login, and 30 days after its last successful one; names of accounts are not stored "
        "with it, only keyed hashes. A report counts for 24 hours after its last attempt on "
        "all servers, or until it is taken back; after that this server keeps it for %s for "
        "its administrator alone, and its own reports for %s. Other servers set these times "
        "themselves. The log of this service, which names addresses that were locked out, reported "
        "or judged, goes when the server's other logs do. Totals of this server's mail flow, "
        "which name nobody, are kept for %s.",
        span(journal, o->journal_s), span(telemetry, o->telemetry_s),
        span(statistics, o->statistics_s));
    paragraph(out, text);
    paragraph(out,
              "The registry. To take part, the administrator's own email address is known to the "
              "registry of the network. No data of users goes there.");
    paragraph(out,
              "Your rights. You may ask us what is held of an address that you use, have it "
              "corrected or deleted and our reports of it taken back, restrict or object to its "
              "use (Articles 15 to 18 and 21 GDPR), and complain to a supervisory authority "
              "(Article 77). We cannot delete what other servers have seen for themselves. No "
              "decision with legal effect is made by these means alone: a refused login can be "
              "tried again from elsewhere, and we can allow an address at any time.");
    fputs("-- \nWritten by grapevine from this node's configuration; it describes this node alone, "
          "and\nis no legal advice. Add who you are and how you are reached, have it checked, and "
          "print\nit again when the configuration changes.\n",
          out);
}

static int notice(const struct gv_cli *cli)
{
    const char *path = cli->config_path ? cli->config_path : GV_OPTIONS_PATH;
    struct gv_options options;
    struct gv_buf errors;

    gv_buf_init(&errors);
    int rc = gv_options_load(&options, path, &errors);
    if (rc != GV_OK) {
        int code = gv_options_refused(rc, &errors, "grapevine");
        gv_buf_free(&errors);
        return code;
    }
    gv_buf_free(&errors);
    gv_cli_print_notice(stdout, &options);
    gv_options_free(&options);
    return 0;
}

/* ---- report, export, erase ------------------------------------------------------------------ */

static int report(struct gv_cli *cli)
{
    static const struct gv_cli_column columns[] = {{"COUNT", "count", true, false},
                                                   {"WHAT", "what", false, false},
                                                   {"UNTIL", "until", false, false},
                                                   {"WHERE", "where", false, false}};
    json_t *json;
    int rc = gv_cli_ask(cli, &json, "privacy", NULL);

    if (rc != 0)
        return rc;
    if (cli->json) {
        gv_cli_print_json(json);
    } else {
        rc = gv_cli_table(cli, json_object_get(json, "held"), columns,
                          sizeof columns / sizeof *columns);
        printf("\nstore.db: %s bytes; sharing: %s. No mail, no account name, nobody's mailbox.\n",
               gv_cli_text(json, "bytes"), gv_cli_text(json, "share"));
    }
    json_decref(json);
    return rc;
}

static int export_address(struct gv_cli *cli, const char *address)
{
    char path[256] = "privacy/export";
    json_t *json;

    gv_cli_query(path, sizeof path, "addr", address);
    int rc = gv_cli_ask(cli, &json, path, NULL);
    if (rc != 0)
        return rc;
    gv_cli_print_json(json); /* a copy for the person who asks: portable either way */
    json_decref(json);
    return 0;
}

static int erase_address(struct gv_cli *cli, const char *address)
{
    json_t *body = json_pack("{s:s}", "addr", address), *json;

    if (!body)
        return gv_cli_no_memory();
    int rc = gv_cli_ask(cli, &json, "privacy/erase", body);
    json_decref(body);
    if (rc != 0)
        return rc;
    if (cli->json) {
        gv_cli_print_json(json);
    } else {
        printf(
            "erased: local history %s, %s own statements, %s acknowledgements, %s signals of the "
            "journal\n",
            gv_cli_true(json, "history") ? "yes" : "none", gv_cli_text(json, "telemetry"),
            gv_cli_text(json, "acknowledgements"), gv_cli_text(json, "journal"));
        if (gv_cli_number(json, "aside") > 0)
            printf(
                "deleted as a whole: %s files with copies of the store that had been set aside\n",
                gv_cli_text(json, "aside"));
        printf("own signals in the mesh: %s\n", gv_cli_text(json, "signals"));
        printf("What other nodes have signalled is theirs: it counts for 24 hours after its last "
               "minute, and what\nis in the set now, the retraction too, goes into no journal here "
               "until %s. Not touched: your\nallow and deny lists, backups, lines of this node's "
               "own log "
               "(locked, signal, verdict), and\nthe mail server's logs.\n",
               gv_cli_text(json, "quiet_until"));
    }
    json_decref(json);
    return 0;
}

int gv_cli_privacy(struct gv_cli *cli, int argc, char **argv)
{
    const char *words[2];

    unsigned n = gv_cli_parse(
        cli,
        &(struct gv_cli_spec){
            .arguments = "notice | report | export ADDR | erase ADDR",
            .doc = "notice: a text for your own privacy policy, of what this configuration really "
                   "shares. report: what is held, where, until when, how much. export: all that is "
                   "held of an address. erase: deletes it here, and takes back in the mesh what "
                   "this node has said of it.",
            .least = 1,
            .most = 2},
        argc, argv, words);
    bool one = n == 2;
    if (!one && strcmp(words[0], "notice") == 0)
        return notice(cli);
    if (!one && strcmp(words[0], "report") == 0)
        return report(cli);
    if (one && strcmp(words[0], "export") == 0)
        return export_address(cli, words[1]);
    if (one && strcmp(words[0], "erase") == 0)
        return erase_address(cli, words[1]);
    fputs("grapevine: say privacy notice, privacy report, privacy export ADDR or privacy erase "
          "ADDR\n",
          stderr);
    return EX_USAGE;
}
