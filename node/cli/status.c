/* `grapevine status` */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "node/cli/command.h"

#define CLOCK_SHOWN_MS 5000
#define CLOCK_HINT_MS  300000

static void print_node(const struct gv_cli *cli, const json_t *json)
{
    gv_cli_print_heading(cli, "This node");
    gv_cli_print_pair("instance", "%s", gv_cli_text(json, "instance"));
    gv_cli_print_pair("version", "%s, up for %" PRId64 " s", gv_cli_text(json, "version"),
                      gv_cli_number(json, "uptime_s"));
    if (gv_cli_true(json, "revoked"))
        gv_cli_print_pair("enrolled", "REVOKED: %s", gv_cli_text(json, "advice"));
    else if (json_is_string(gv_cli_member(json, "advice")))
        gv_cli_print_pair("enrolled", "no: %s", gv_cli_text(json, "advice"));
    else if (!gv_cli_true(json, "enrolled"))
        gv_cli_print_pair("enrolled", "no: it receives nothing and sends nothing; run `grapevine "
                                      "enroll --email ADDRESS`");
    else
        gv_cli_print_pair("enrolled", "yes, certificate until %s",
                          gv_cli_text(json, "certificate_expires"));
    gv_cli_print_pair("share", "%s%s", gv_cli_text(json, "share"),
                      strcmp(gv_cli_text(json, "share"), "preview") == 0
                          ? " (nothing is sent; see `grapevine telemetry`)"
                          : "");
    gv_cli_print_pair("refuse_on", "%s", gv_cli_text(json, "refuse_on"));
    if (!gv_cli_true(json, "store.ok"))
        gv_cli_print_pair("STORE", "%s", gv_cli_text(json, "store.error"));
}

/* The peers' clocks minus this host's. What is under five seconds is the way of a message. */
static void print_clock(const json_t *json)
{
    int64_t ms = gv_cli_number(json, "mesh.clock_offset_ms");
    int64_t off = ms < 0 ? -ms : ms;

    if (off < CLOCK_SHOWN_MS)
        return;
    gv_cli_print_pair("clock", "this host's is %" PRId64 " s %s those of its peers%s", off / 1000,
                      ms < 0 ? "ahead of" : "behind",
                      off < CLOCK_HINT_MS ? ""
                                          : ": set it, with NTP for instance; signals that are 10 "
                                            "minutes off are not accepted");
}

static void print_mesh(const struct gv_cli *cli, const json_t *json)
{
    gv_cli_print_heading(cli, "Mesh");
    if (json_is_object(gv_cli_member(json, "network")))
        gv_cli_print_pair("network", "%s%s, descriptor %s", gv_cli_text(json, "network.name"),
                          gv_cli_true(json, "network.lab") ? " (lab)" : "",
                          gv_cli_text(json, "network.version"));
    else
        gv_cli_print_pair("network", "none yet");
    gv_cli_print_pair("peers", "%s (%s dialled), %s instances known",
                      gv_cli_text(json, "mesh.peers"), gv_cli_text(json, "mesh.peers_outbound"),
                      gv_cli_text(json, "mesh.instances"));
    if (gv_cli_number(json, "mesh.own_hosts") > 0 || gv_cli_number(json, "mesh.own_locks") > 0)
        gv_cli_print_pair("own servers", "%s connected; %s addresses that they have locked",
                          gv_cli_text(json, "mesh.own_hosts"), gv_cli_text(json, "mesh.own_locks"));
    gv_cli_print_pair("signals", "%s held on %s subjects: %s reported, %s untrusted",
                      gv_cli_text(json, "mesh.statements"), gv_cli_text(json, "mesh.subjects"),
                      gv_cli_text(json, "mesh.reported"), gv_cli_text(json, "mesh.untrusted"));
    gv_cli_print_pair("sent", "%s signals made since the start",
                      gv_cli_text(json, "counters.signals_made"));
    gv_cli_print_pair("received", "%s accepted, %s refused",
                      gv_cli_text(json, "counters.signals_accepted"),
                      gv_cli_text(json, "counters.signals_refused"));
    gv_cli_print_pair("bytes", "%s in, %s out", gv_cli_text(json, "counters.bytes_in"),
                      gv_cli_text(json, "counters.bytes_out"));
    print_clock(json);
    gv_cli_print_pair("last repair", "%s", gv_cli_text(json, "mesh.last_repair"));
    gv_cli_print_pair("set", "%s", gv_cli_text(json, "mesh.set_fingerprint"));
    if (json_is_string(gv_cli_member(json, "registry.log.head")))
        gv_cli_print_pair("registry's log", "%s certificates, head of %s",
                          gv_cli_text(json, "registry.log.size"),
                          gv_cli_text(json, "registry.log.head"));
    if (json_is_string(gv_cli_member(json, "network.name")) &&
        json_is_string(gv_cli_member(json, "registry.log.trouble")))
        gv_cli_print_pair("registry's log", "not compared since %s: %s",
                          gv_cli_text(json, "registry.log.trouble_since"),
                          gv_cli_text(json, "registry.log.trouble"));
    if (json_is_string(gv_cli_member(json, "registry.finding")))
        gv_cli_print_pair("REGISTRY", "NOT TO BE TRUSTED since %s: %s",
                          gv_cli_text(json, "registry.finding_since"),
                          gv_cli_text(json, "registry.finding"));
    if (json_is_string(gv_cli_member(json, "registry.trouble")))
        gv_cli_print_pair("registry", "%s (tried again %s)", gv_cli_text(json, "registry.trouble"),
                          gv_cli_text(json, "registry.retry"));
}

static int print_logs(const struct gv_cli *cli, const json_t *json)
{
    static const struct gv_cli_column columns[] = {
        {"LOG", "path", false, false},        {"STATE", "state", false, false},
        {"LINES", "lines", true, false},      {"FAILURES", "failures", true, false},
        {"LOGINS", "successes", true, false}, {"SKIPPED", "skipped", true, false},
    };
    const json_t *logs = gv_cli_member(json, "logs");

    gv_cli_print_heading(cli, "Logs");
    if (json_array_size(logs) == 0) {
        puts("  none: name the mail log in [log] file");
        return 0;
    }
    int rc = gv_cli_table(cli, logs, columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; i < json_array_size(logs); i++) {
        const json_t *log = json_array_get(logs, i);
        if (gv_cli_number(log, "torn") > 0)
            gv_cli_print_pair("torn", "%s failures in %s cannot be told from torn lines",
                              gv_cli_text(log, "torn"), gv_cli_text(log, "path"));
    }
    return rc;
}

static void print_mail(const struct gv_cli *cli, const json_t *json)
{
    if (!json_is_object(gv_cli_member(json, "mail")))
        return;
    gv_cli_print_heading(cli, "Mail since the start");
    gv_cli_print_pair("received", "%s, and %s rejected", gv_cli_text(json, "mail.received"),
                      gv_cli_text(json, "mail.rejected"));
    gv_cli_print_pair("delivered", "%s, bounced %s, deferred %s",
                      gv_cli_text(json, "mail.delivered"), gv_cli_text(json, "mail.bounced"),
                      gv_cli_text(json, "mail.deferred"));
    gv_cli_print_pair("in the queue", "%s, as far as the log tells",
                      gv_cli_text(json, "mail.queue.messages"));
}

static void print_hooks(const struct gv_cli *cli, const json_t *json)
{
    const char *name;
    json_t *hook;

    (void)cli;
    json_object_foreach((json_t *)(uintptr_t)gv_cli_member(json, "enforcement.hooks"), name, hook)
    {
        if (json_is_object(hook))
            gv_cli_print_pair(
                name, "%s changes delivered, %s waiting, %s lost%s%s",
                gv_cli_text(hook, "delivered"), gv_cli_text(hook, "waiting"),
                gv_cli_text(hook, "lost"), json_is_string(gv_cli_member(hook, "error")) ? ": " : "",
                json_is_string(gv_cli_member(hook, "error")) ? gv_cli_text(hook, "error") : "");
    }
}

static void print_enforcement(const struct gv_cli *cli, const json_t *json)
{
    const json_t *enforced = gv_cli_member(json, "enforcement.enforced");
    bool on = json_array_size(enforced) > 0;

    if (!json_is_object(gv_cli_member(json, "enforcement")))
        return;
    gv_cli_print_heading(cli, "Enforcement");
    gv_cli_print_pair("enforced by", "%s",
                      on ? gv_cli_text(json, "enforcement.enforced")
                         : "nobody: this node only watches, see [policy] enforce");
    gv_cli_print_pair("listed", "%s to refuse, %s untrusted",
                      gv_cli_text(json, "enforcement.refused"),
                      gv_cli_text(json, "enforcement.untrusted"));
    gv_cli_print_pair("came through",
                      "%s failed attempts and %s logins from %s addresses to refuse",
                      gv_cli_text(json, "enforcement.would_have_refused.failures"),
                      gv_cli_text(json, "enforcement.would_have_refused.logins"),
                      gv_cli_text(json, "enforcement.would_have_refused.addresses"));
    if (json_is_object(gv_cli_member(json, "enforcement.dovecot")))
        gv_cli_print_pair("Dovecot", "asked %s times: %s refused, %s would have been",
                          gv_cli_text(json, "enforcement.dovecot.asked"),
                          gv_cli_text(json, "enforcement.dovecot.refused"),
                          gv_cli_text(json, "enforcement.dovecot.would_have_refused"));
    if (gv_cli_number(json, "enforcement.bouncers.keys") > 0)
        gv_cli_print_pair("bouncers", "%s, asked %s times: %s addresses banned, %s would be",
                          gv_cli_text(json, "enforcement.bouncers.keys"),
                          gv_cli_text(json, "enforcement.bouncers.pulls"),
                          gv_cli_text(json, "enforcement.bouncers.fed"),
                          gv_cli_text(json, "enforcement.bouncers.would_have_fed"));
    if (json_is_object(gv_cli_member(json, "enforcement.dnsbl")))
        gv_cli_print_pair("DNS", "asked %s times: %s listed, %s would have been",
                          gv_cli_text(json, "enforcement.dnsbl.queries"),
                          gv_cli_text(json, "enforcement.dnsbl.listed"),
                          gv_cli_text(json, "enforcement.dnsbl.would_have_listed"));
    if (json_is_object(gv_cli_member(json, "enforcement.nftables")))
        gv_cli_print_pair("nftables", "%s: %s in place",
                          gv_cli_true(json, "enforcement.nftables.connected")
                              ? gv_cli_text(json, "enforcement.nftables.state")
                              : "grapevine-firewall IS NOT RUNNING",
                          gv_cli_text(json, "enforcement.nftables.in_place"));
    print_hooks(cli, json);
}

int gv_cli_status(struct gv_cli *cli, int argc, char **argv)
{
    json_t *json;

    gv_cli_parse(cli, &(struct gv_cli_spec){.doc = "Shows how this node is doing."}, argc, argv,
                 NULL);
    int rc = gv_cli_ask(cli, &json, "status", NULL);
    if (rc != 0)
        return rc;
    if (cli->json) {
        gv_cli_print_json(json);
    } else {
        print_node(cli, json);
        print_mesh(cli, json);
        rc = print_logs(cli, json);
        print_mail(cli, json);
        print_enforcement(cli, json);
    }
    json_decref(json);
    return rc;
}
