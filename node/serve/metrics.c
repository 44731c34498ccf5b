#include "node/serve/metrics.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "node/base/options.h"
#include "proto/core.h"

/* ---- the text format ------------------------------------------------------------------------ */

static void text(struct gv_buf *out, const char *words)
{
    gv_buf_append(out, words, strlen(words));
}

/* The lines before a metric's values. Counters end in _total. */
static void about(struct gv_buf *out, const char *name, const char *help)
{
    size_t len = strlen(name);
    bool counter = len > 6 && strcmp(name + len - 6, "_total") == 0;
    char line[512];

    snprintf(line, sizeof line, "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
             counter ? "counter" : "gauge");
    text(out, line);
}

/* `label` NULL: none. The value of a label is quoted as the format wants it. */
static void value(struct gv_buf *out, const char *name, const char *label, const char *is,
                  double number)
{
    char buffer[64];

    text(out, name);
    if (label) {
        text(out, "{");
        text(out, label);
        text(out, "=\"");
        for (const char *at = is; *at; at++) {
            if (*at == '\n')
                text(out, "\\n");
            else if (*at == '"' || *at == '\\')
                gv_buf_append(out, (const char[]){'\\', *at}, 2);
            else
                gv_buf_append(out, at, 1);
        }
        text(out, "\"}");
    }
    snprintf(buffer, sizeof buffer, " %.17g\n", number);
    text(out, buffer);
}

static void one(struct gv_buf *out, const char *name, const char *help, double number)
{
    about(out, name, help);
    value(out, name, NULL, NULL, number);
}

static void two(struct gv_buf *out, const char *name, const char *help, const char *label,
                const char *a, double is_a, const char *b, double is_b)
{
    about(out, name, help);
    value(out, name, label, a, is_a);
    value(out, name, label, b, is_b);
}

/* ---- what there is -------------------------------------------------------------------------- */

static void write_mesh(struct gv_buf *out, const struct gv_core *core)
{
    struct gv_core_status s;

    gv_core_status(core, &s);
    two(out, "grapevine_peers", "Members of the network that are connected.", "direction", "in",
        (double)(s.peers - s.peers_outbound), "out", (double)s.peers_outbound);
    one(out, "grapevine_links", "Connections, those without a finished handshake included.",
        (double)s.links);
    one(out, "grapevine_instances", "Instances in the roster.", (double)s.instances);
    one(out, "grapevine_addresses_known", "Addresses of others that could be dialled.",
        (double)s.known_addresses);
    one(out, "grapevine_statements", "Signals and retractions held.", (double)s.statements);
    one(out, "grapevine_subjects", "Addresses on which a signal is held.", (double)s.subjects);
    two(out, "grapevine_verdicts", "Addresses by what the mesh says of them.", "verdict",
        "reported", (double)s.reported, "untrusted", (double)s.untrusted);
    one(out, "grapevine_history_subjects", "Addresses with local history.",
        (double)s.local_subjects);
    two(out, "grapevine_mesh_bytes_total", "Bytes exchanged with other nodes.", "direction", "in",
        (double)s.bytes_in, "out", (double)s.bytes_out);
    one(out, "grapevine_signals_made_total", "Signals that this node has made.",
        (double)s.signals_made);
    two(out, "grapevine_signals_received_total", "Signals of others, by what became of them.",
        "result", "accepted", (double)s.signals_accepted, "refused", (double)s.signals_refused);
    one(out, "grapevine_records_duplicate_total", "Records that were held already.",
        (double)s.records_duplicate);
    one(out, "grapevine_enrolled", "Whether this node has a certificate.", s.has_certificate);
    one(out, "grapevine_revoked", "Whether this node's certificate is revoked.", s.self_revoked);
    if (s.has_certificate)
        one(out, "grapevine_certificate_expiry_timestamp_seconds", "When the certificate ends.",
            (double)s.certificate_expires_min * 60);
    one(out, "grapevine_clock_offset_seconds", "Median of the peers' clocks minus this host's.",
        (double)s.clock_offset_ms / 1000);
}

static void write_host(struct gv_buf *out, const struct gv_driver *driver)
{
    struct gv_driver_status s;

    gv_driver_status(driver, &s);
    two(out, "grapevine_connections_total",
        "Incoming connections of the mesh, by what became of "
        "them.",
        "result", "accepted", (double)s.net.accepted, "turned_away", (double)s.net.turned_away);
    one(out, "grapevine_store_failing", "Whether the store cannot be written to.", s.store_failing);
    one(out, "grapevine_store_backlog_bytes", "Bytes of rows that wait to be stored.",
        (double)s.backlog);
    one(out, "grapevine_store_transactions_total", "Transactions of the store.", (double)s.turns);
    one(out, "grapevine_store_rows_total", "Rows stored.", (double)s.rows);
    about(out, "grapevine_notes_total", "What happened, as the log would say it.");
    for (int i = 0; i < GV_NOTE_COUNT; i++)
        value(out, "grapevine_notes_total", "note", gv_note_text((enum gv_note)i),
              (double)s.notes[i]);
}

static void write_listing(struct gv_buf *out, const struct gv_metrics *m)
{
    struct gv_changes_counters c;

    two(out, "grapevine_enforced", "Whether a surface really refuses.", "surface", "dnsbl",
        (m->enforced & GV_ENFORCE_DNSBL) != 0, "dovecot", (m->enforced & GV_ENFORCE_DOVECOT) != 0);
    value(out, "grapevine_enforced", "surface", "bouncers",
          (m->enforced & GV_ENFORCE_BOUNCERS) != 0);
    value(out, "grapevine_enforced", "surface", "nftables",
          (m->enforced & GV_ENFORCE_NFTABLES) != 0);
    if (!m->changes)
        return;
    gv_changes_counters(m->changes, &c);
    two(out, "grapevine_listed", "Addresses listed for enforcement.", "list", "refuse",
        (double)c.refused, "untrusted", (double)c.untrusted);
    one(out, "grapevine_listing_changes_total", "Changes of what is listed.", (double)c.changes);
    one(out, "grapevine_long_polls", "Requests that wait for a change.", (double)c.waiting);
}

static void write_dovecot(struct gv_buf *out, const struct gv_dovecot *dovecot)
{
    struct gv_dovecot_counters c;

    if (!dovecot)
        return;
    gv_dovecot_counters(dovecot, &c);
    one(out, "grapevine_dovecot_questions_total", "Logins that Dovecot asked about.",
        (double)c.asked);
    one(out, "grapevine_dovecot_refused_total", "Logins refused.", (double)c.refused);
    one(out, "grapevine_dovecot_would_refuse_total", "Logins that enforcement would have refused.",
        (double)c.would_refuse);
    one(out, "grapevine_dovecot_waited_total", "Questions that waited for another login.",
        (double)c.waited);
    one(out, "grapevine_dovecot_reports_total", "Logins reported.", (double)c.reported);
    one(out, "grapevine_dovecot_repeated_total", "Failures with a password that had failed before.",
        (double)c.repeated);
    one(out, "grapevine_dovecot_malformed_total", "Requests that made no sense.",
        (double)c.malformed);
}

static void write_dns(struct gv_buf *out, const struct gv_metrics *m)
{
    struct gv_dnsbl_counters c;

    if (!m->dnsbl)
        return;
    gv_dnsbl_counters(m->dnsbl, &c);
    one(out, "grapevine_dnsbl_queries_total", "DNS questions.", (double)c.queries);
    one(out, "grapevine_dnsbl_listed_total", "Answered with: listed.", (double)c.listed);
    one(out, "grapevine_dnsbl_would_list_total", "Those that enforcement would have answered so.",
        (double)m->dns_would);
    one(out, "grapevine_dnsbl_refused_total", "Questions from elsewhere or about other zones.",
        (double)c.refused);
    one(out, "grapevine_dnsbl_malformed_total", "Questions that made no sense.",
        (double)c.malformed);
}

static double figure(const json_t *from, const char *member)
{
    const json_t *number = json_object_get(from, member);

    return json_is_boolean(number) ? json_is_true(number) : (double)json_integer_value(number);
}

static void write_bouncers(struct gv_buf *out, const struct gv_bouncers *bouncers)
{
    json_t *from = bouncers ? gv_bouncers_json(bouncers) : NULL;

    if (!from)
        return;
    one(out, "grapevine_bouncer_keys", "Bouncers that may ask.", figure(from, "keys"));
    one(out, "grapevine_bouncer_bans", "Decisions that they are told.", figure(from, "fed"));
    one(out, "grapevine_bouncer_pulls_total", "Answers to bouncers.", figure(from, "pulls"));
    one(out, "grapevine_bouncer_cut_short_total", "Answers that nobody took in whole.",
        figure(from, "cut_short"));
    two(out, "grapevine_bouncer_decisions_total", "Decisions told, and taken back.", "what", "told",
        figure(from, "told"), "lifted", figure(from, "lifted"));
    one(out, "grapevine_bouncer_forbidden_total", "Requests without a valid key.",
        figure(from, "forbidden"));
    json_decref(from);
}

/* Without [policy] enforce = nftables there is nothing of it: zeros, so that a graph has a line. */
static void write_firewall(struct gv_buf *out, const struct gv_firewall *firewall)
{
    json_t *from = firewall ? gv_firewall_json(firewall) : NULL;

    one(out, "grapevine_firewall_connected", "Whether grapevine-firewall is there.",
        figure(from, "connected"));
    one(out, "grapevine_firewall_entries", "Entries in its sets.", figure(from, "in_place"));
    one(out, "grapevine_firewall_not_taken", "Entries that it would not take.",
        figure(from, "not_taken"));
    json_decref(from);
}

static void write_hooks(struct gv_buf *out, const struct gv_hooks *hooks)
{
    json_t *from = hooks ? gv_hooks_json(hooks) : NULL;
    const json_t *exec = json_object_get(from, "exec"), *web = json_object_get(from, "webhook");

    two(out, "grapevine_hook_waiting", "Changes that wait for a hook.", "hook", "exec",
        figure(exec, "waiting"), "webhook", figure(web, "waiting"));
    two(out, "grapevine_hook_delivered_total", "Changes that a hook has taken.", "hook", "exec",
        figure(exec, "delivered"), "webhook", figure(web, "delivered"));
    two(out, "grapevine_hook_failed_total", "Deliveries that failed.", "hook", "exec",
        figure(exec, "failed_deliveries"), "webhook", figure(web, "failed_deliveries"));
    two(out, "grapevine_hook_lost_total", "Changes given up.", "hook", "exec", figure(exec, "lost"),
        "webhook", figure(web, "lost"));
    json_decref(from);
}

static void write_http(struct gv_buf *out, const struct gv_http_server *http)
{
    struct gv_http_counters c;

    if (!http)
        return;
    gv_http_counters(http, &c);
    one(out, "grapevine_http_connections", "Connections of the HTTP port.", (double)c.open);
    one(out, "grapevine_http_requests_total", "Requests.", (double)c.requests);
    one(out, "grapevine_http_refused_total", "Requests refused before anybody looked at them.",
        (double)c.refused);
    one(out, "grapevine_http_too_slow_total", "Connections closed for a request that did not come.",
        (double)c.too_slow);
}

static void write_logs(struct gv_buf *out, const struct gv_metrics *m)
{
    static const struct {
        const char *name, *member, *help;
    } families[] = {
        {"grapevine_log_lines_total", "lines", "Lines read."},
        {"grapevine_log_failures_total", "failures", "Observations of failed logins."},
        {"grapevine_log_attempts_total", "attempts", "Failed attempts that these speak of."},
        {"grapevine_log_successes_total", "successes", "Observations of successful logins."},
        {"grapevine_log_skipped_total", "skipped", "Lines too long or not text."},
    };
    json_t *logs = m->logs ? m->logs(m->logs_context) : NULL, *log;
    size_t at;

    for (size_t i = 0; json_array_size(logs) && i < sizeof families / sizeof *families; i++) {
        about(out, families[i].name, families[i].help);
        json_array_foreach(logs, at, log)
        {
            const char *path = json_string_value(json_object_get(log, "path"));
            value(out, families[i].name, "log", path ? path : "",
                  (double)json_integer_value(json_object_get(log, families[i].member)));
        }
    }
    json_decref(logs);
}

/* The names are those that every Prometheus client library uses. */
static void write_process(struct gv_buf *out)
{
    struct rusage used;
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    if (file) {
        if (fscanf(file, "%*u %lu", &pages) != 1)
            pages = 0;
        fclose(file);
    }
    if (getrusage(RUSAGE_SELF, &used) == 0)
        one(out, "process_cpu_seconds_total", "Processor time of the daemon.",
            (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
    if (pages)
        one(out, "process_resident_memory_bytes", "Memory of the daemon.",
            (double)pages * (double)sysconf(_SC_PAGESIZE));
}

void gv_metrics_write(struct gv_buf *out, const struct gv_metrics *m)
{
    struct gv_driver_status host;

    gv_driver_status(m->driver, &host);
    about(out, "grapevine_build_info", "The version that runs; always 1.");
    value(out, "grapevine_build_info", "version", GV_VERSION, 1);
    one(out, "grapevine_uptime_seconds", "Since the start.",
        (double)((gv_driver_now(m->driver) - host.started_ms) / 1000));
    write_mesh(out, gv_driver_core(m->driver));
    write_host(out, m->driver);
    write_listing(out, m);
    write_dovecot(out, m->dovecot);
    write_dns(out, m);
    write_bouncers(out, m->bouncers);
    write_firewall(out, m->firewall);
    write_hooks(out, m->hooks);
    write_http(out, m->http);
    write_logs(out, m);
    write_process(out);
}

void gv_metrics_get(struct gv_http_request *request, void *context)
{
    struct gv_buf out;

    gv_buf_init(&out);
    gv_metrics_write(&out, context);
    if (out.failed)
        gv_http_respond_json(request, 500, NULL);
    else
        gv_http_respond(request, 200, "text/plain; version=0.0.4; charset=utf-8", out.data,
                        out.len);
    gv_buf_free(&out);
}
