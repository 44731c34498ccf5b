/* What `grapevine doctor` says of what it saw: a pure judgement. */
#include "node/cli/doctor.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "crypto/error.h"
#include "node/base/rfc3339.h"
#include "node/cli/command.h"

#define SETTLED_S        600          /* a node that is up for so long should have seen something */
#define LINES_SURE       1000         /* so many lines without a known one: it is another log */
#define CLOCK_WARNING_MS 5000         /* less is the way of a message */
#define CLOCK_FAILURE_MS 300000       /* at 10 minutes nothing is accepted any more */
#define CERTIFICATE_S    (15 * 86400) /* renewal starts at half life: 15 days left is late */
#define LOG_HEAD_S       (26 * 3600)  /* the registry signs a head of its log once a day at least */
#define KEY_END_S        (90 * 86400) /* the registry tells its own admin from then on */
#define DISK_WARNING     (256ll << 20)
#define DISK_FAILURE     (16ll << 20)

const char *const gv_finding_names[] = {"ok", "note", "warning", "failure"};

/* ---- findings ------------------------------------------------------------------------------- */

struct examination {
    json_t *findings;
    const struct gv_options *options;
    const struct gv_doctor_host *host;
    const json_t *status;
    int worst; /* -1: out of memory */
};

/* `advice` NULL: nothing is to be done. `format` is of what was found. */
__attribute__((format(printf, 5, 6))) static void find(struct examination *e, const char *check,
                                                       enum gv_finding_level level,
                                                       const char *advice, const char *format, ...)
{
    char found[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(found, sizeof found, format, arguments);
    va_end(arguments);
    json_t *finding = json_pack("{s:s, s:s, s:s, s:s?}", "check", check, "level",
                                gv_finding_names[level], "found", found, "advice", advice);
    if (!finding || json_array_append_new(e->findings, finding) != 0)
        e->worst = -1;
    else if (e->worst >= 0 && (int)level > e->worst)
        e->worst = (int)level;
}

static bool is_settled(const struct examination *e)
{
    return gv_cli_number(e->status, "uptime_s") >= SETTLED_S;
}

/* ---- the host ------------------------------------------------------------------------------- */

static void check_key(struct examination *e)
{
    const struct gv_doctor_host *host = e->host;
    const char *folder = e->options->data;

    if (host->key_mode != GV_DOCTOR_UNKNOWN && (host->key_mode & 077))
        find(e, "key", GV_FINDING_FAILURE,
             "chmod 600 it; if others could read it, enroll anew with a new key",
             "%s/key is open to others (mode %03o)", folder, (unsigned)host->key_mode);
    else if (host->key_foreign == 1)
        find(e, "key", GV_FINDING_FAILURE,
             "give it back: chown --reference=FOLDER FOLDER/key, or the daemon may not read it",
             "%s/key belongs to another user than the folder", folder);
    else if (host->folder_mode != GV_DOCTOR_UNKNOWN && (host->folder_mode & 077))
        find(e, "key", GV_FINDING_WARNING, "chmod 700 it", "%s is open to others (mode %03o)",
             folder, (unsigned)host->folder_mode);
    else if (host->folder_mode != GV_DOCTOR_UNKNOWN) /* else the disk's finding names it */
        find(e, "key", GV_FINDING_OK, NULL, "the data folder is closed to others");
}

static void check_disk(struct examination *e)
{
    int64_t mib = e->host->disk_free >> 20;
    const char *folder = e->options->data;

    if (e->host->disk_free == GV_DOCTOR_UNKNOWN)
        find(e, "disk", GV_FINDING_WARNING, "run this as root, or see [node] data",
             "the data folder %s cannot be looked at", folder);
    else if (e->host->disk_free < DISK_FAILURE)
        find(e, "disk", GV_FINDING_FAILURE, "make room; without it nothing new is kept",
             "%" PRId64 " MiB free at %s", mib, folder);
    else if (e->host->disk_free < DISK_WARNING)
        find(e, "disk", GV_FINDING_WARNING, "make room before it is full",
             "%" PRId64 " MiB free at %s", mib, folder);
    else
        find(e, "disk", GV_FINDING_OK, NULL, "%" PRId64 " MiB free at %s", mib, folder);
}

/* Without a daemon (`status` NULL) only the kernel speaks. */
static void check_clock(struct examination *e)
{
    int64_t ms = e->status ? gv_cli_number(e->status, "mesh.clock_offset_ms") : 0;
    int64_t off = ms < 0 ? -ms : ms;
    const char *advice = "let NTP set it, with systemd-timesyncd or chrony for instance";
    const char *side = ms < 0 ? "ahead of" : "behind";

    if (off >= CLOCK_FAILURE_MS)
        find(e, "clock", GV_FINDING_FAILURE, advice,
             "%" PRId64 " s %s those of the peers; at 600 s they accept nothing from here",
             off / 1000, side);
    else if (off >= CLOCK_WARNING_MS)
        find(e, "clock", GV_FINDING_WARNING, advice, "%" PRId64 " s %s those of the peers",
             off / 1000, side);
    else if (e->host->clock_synchronised == 0)
        find(e, "clock", GV_FINDING_WARNING, advice, "the kernel says that nothing keeps it right");
    else if (e->status && gv_cli_number(e->status, "mesh.peers") > 0)
        find(e, "clock", GV_FINDING_OK, NULL, "as those of the peers");
    else
        find(e, "clock", GV_FINDING_OK, NULL,
             e->host->clock_synchronised == 1 ? "kept right by NTP" : "nothing speaks against it");
}

/* ---- the daemon ----------------------------------------------------------------------------- */

static void check_store(struct examination *e)
{
    if (gv_cli_true(e->status, "store.ok"))
        find(e, "store", GV_FINDING_OK, NULL, "all is kept on disk");
    else
        find(e, "store", GV_FINDING_FAILURE,
             "the log says more; the node answers from memory until this is mended", "%s",
             gv_cli_text(e->status, "store.error"));
}

static void check_unnamed(struct examination *e, const json_t *log)
{
    int64_t unnamed = gv_cli_number(log, "unnamed");

    if (unnamed > 0)
        find(e, "log", GV_FINDING_WARNING,
             "Sendmail cuts long names off and says who connects from LogLevel 10 on: "
             "define(`confLOG_LEVEL', `10') in sendmail.mc",
             "%s: %" PRId64 " failed attempts of clients whom the log does not name",
             gv_cli_text(log, "path"), unnamed);
}

#define AUTH_VERBOSE "auth_verbose = yes in dovecot.conf"

/* What Dovecot's log leaves out, as its auth service does not say whom it turned away. */
static void check_untold(struct examination *e, const json_t *log)
{
    int64_t torn = gv_cli_number(log, "torn"), untold = gv_cli_number(log, "untold");

    if (torn > 0)
        find(e, "log", GV_FINDING_WARNING,
             untold > 0 ? "a client may hide a visit in a user name like that: " AUTH_VERBOSE
                          " tells of its attempts all the same; so does the journal as [log] file"
                        : "a full disk or a crash tears lines; a client may do so on purpose, but "
                          "not where [log] file is the journal",
             "%s: %" PRId64 " failures count nothing: their lines cannot be told from torn ones",
             gv_cli_text(log, "path"), torn);
    else if (untold > 0)
        find(e, "log", GV_FINDING_NOTE,
             AUTH_VERBOSE " tells of the guesses before a login, and of which accounts exist",
             "%s: Dovecot's auth service tells of no failure", gv_cli_text(log, "path"));
}

static void check_log(struct examination *e, const json_t *log)
{
    const char *path = gv_cli_text(log, "path"), *state = gv_cli_text(log, "state");
    int64_t lines = gv_cli_number(log, "lines"), matched = gv_cli_number(log, "matched");

    if (strcmp(state, "reading") != 0)
        find(e, "log", GV_FINDING_FAILURE,
             "name the log that Postfix and Dovecot write in [log] file; the daemon's user must be "
             "allowed to read it (group adm or systemd-journal)",
             "%s: %s", path, state);
    else if (lines == 0 && is_settled(e))
        find(e, "log", GV_FINDING_WARNING,
             "is it the log that Postfix and Dovecot write? `grapevine observe` shows what one "
             "holds",
             "%s: no line since the start", path);
    else if (matched == 0 && lines >= LINES_SURE)
        find(e, "log", GV_FINDING_WARNING,
             "is it the log that Postfix and Dovecot write? `grapevine observe` shows what one "
             "holds",
             "%s: none of %" PRId64 " lines is of a login", path, lines);
    else
        find(e, "log", GV_FINDING_OK, NULL, "%s: %" PRId64 " lines since the start, %s failures",
             path, lines, gv_cli_text(log, "failures"));
}

static void check_logs(struct examination *e)
{
    const json_t *logs = gv_cli_member(e->status, "logs");

    if (json_array_size(logs) == 0)
        find(e, "log", GV_FINDING_FAILURE, "name the mail log in [log] file",
             "no log is read: this node sees no failures of its own");
    for (size_t i = 0; i < json_array_size(logs); i++)
        check_log(e, json_array_get(logs, i));
    for (size_t i = 0; i < json_array_size(logs); i++)
        check_unnamed(e, json_array_get(logs, i));
    for (size_t i = 0; i < json_array_size(logs); i++)
        check_untold(e, json_array_get(logs, i));
}

/* Nothing renews it any more: past its grace, of a key that was dropped, or unknown to the
 * registry. */
static bool is_lost(const struct examination *e)
{
    const char *state = gv_cli_text(e->status, "certificate_state");
    const char *word = gv_cli_text(e->status, "registry.refused");

    return strcmp(state, "expired") == 0 || strcmp(state, "dropped") == 0 ||
           (strcmp(state, "overdue") == 0 &&
            (strcmp(word, "expired") == 0 || strcmp(word, "unknown") == 0));
}

static void check_certificate(struct examination *e)
{
    const char *expires = gv_cli_text(e->status, "certificate_expires");
    const char *trouble = gv_cli_text(e->status, "registry.trouble");
    uint64_t end_ms = 0;

    if (!json_is_object(gv_cli_member(e->status, "network"))) {
        find(e, "certificate", GV_FINDING_WARNING,
             "`grapevine setup` leads into one, `grapevine enroll --registry URL --email ADDRESS` "
             "joins one",
             "in no network: this node works for itself alone");
    } else if (gv_cli_true(e->status, "revoked")) {
        find(e, "certificate", GV_FINDING_FAILURE, "ask who runs the registry why",
             "revoked: nobody listens to this node");
    } else if (is_lost(e)) {
        find(e, "certificate", GV_FINDING_FAILURE,
             "run `grapevine enroll --email ADDRESS`, then `grapevine confirm CODE`",
             "ended %s, and is not accepted any more: nobody listens to this node", expires);
    } else if (!gv_cli_true(e->status, "enrolled")) {
        find(e, "certificate", GV_FINDING_WARNING,
             "run `grapevine enroll --email ADDRESS`, then `grapevine confirm CODE`",
             "not enrolled: nothing is received or sent");
    } else if (gv_rfc3339_parse(&end_ms, expires) == GV_OK &&
               (int64_t)(end_ms / 1000) - e->host->now_unix < CERTIFICATE_S) {
        find(e, "certificate", GV_FINDING_WARNING,
             "it is renewed by itself once the registry answers; see [network] registry",
             "ends %s, and was not renewed: %s", expires,
             *trouble == '-' ? "the registry has not said why" : trouble);
    } else {
        find(e, "certificate", GV_FINDING_OK, NULL, "until %s", expires);
    }
}

static bool is_past(const struct examination *e, uint64_t then_ms, int64_t seconds)
{
    return e->host->now_unix - (int64_t)(then_ms / 1000) > seconds;
}

/* Its log is compared every 15 minutes. Once a day it signs a new head: without one for longer, it
 * hides what it signs, or is down for good. */
static void check_registry_log(struct examination *e)
{
    const char *head = gv_cli_text(e->status, "registry.log.head");
    const char *since = gv_cli_text(e->status, "registry.log.trouble_since");
    uint64_t head_ms = 0, since_ms = 0;

    if (!json_is_string(gv_cli_member(e->status, "registry.log.trouble"))) {
        if (json_is_string(gv_cli_member(e->status, "registry.log.head")))
            find(e, "registry", GV_FINDING_OK, NULL,
                 "its log of %" PRId64 " certificates is the same everywhere",
                 gv_cli_number(e->status, "registry.log.size"));
        else
            find(e, "registry", GV_FINDING_NOTE, "this is done some seconds after the start",
                 "its log of certificates was not looked at yet");
        return;
    }
    /* The one key may show its log while another does not: how long that lasts counts as well. */
    bool old_head = gv_rfc3339_parse(&head_ms, head) == GV_OK && is_past(e, head_ms, LOG_HEAD_S);
    bool long_ago = old_head || (gv_rfc3339_parse(&since_ms, since) == GV_OK &&
                                 is_past(e, since_ms, LOG_HEAD_S));
    find(e, "registry", long_ago ? GV_FINDING_FAILURE : GV_FINDING_WARNING,
         long_ago
             ? "ask who runs it, and the other admins: while it shows no log, nobody sees what it "
               "signs"
             : "tried again every 15 minutes; should it stay so for a day, ask who runs it",
         "its log of certificates cannot be compared since %s: %s", since,
         gv_cli_text(e->status, "registry.log.trouble"));
}

/* Years after the last change nobody thinks of it, and without a key nothing is renewed. */
static void check_registry_key(struct examination *e)
{
    const char *until = gv_cli_text(e->status, "registry.key_until");
    uint64_t end_ms = 0;

    if (gv_rfc3339_parse(&end_ms, until) != GV_OK || !is_past(e, end_ms, -KEY_END_S))
        return;
    if (is_past(e, end_ms, 0))
        find(e, "registry", GV_FINDING_FAILURE,
             "ask who runs it to run `grapevine-registry keys --rotate --lead 0s`",
             "the last of its keys ended %s: nothing is issued or renewed any more", until);
    else
        find(e, "registry", GV_FINDING_WARNING,
             "ask who runs it to run `grapevine-registry keys --rotate` before that",
             "the last of its keys signs until %s, and none follows", until);
}

static void check_registry(struct examination *e)
{
    bool in_network = json_is_object(gv_cli_member(e->status, "network"));

    if (json_is_string(gv_cli_member(e->status, "registry.finding"))) {
        find(e, "registry", GV_FINDING_FAILURE,
             "tell the other admins, and ask who runs it: this is not an accident. Once it is "
             "explained, remove `registry-finding` from the folder [node] data",
             "not to be trusted since %s: %s", gv_cli_text(e->status, "registry.finding_since"),
             gv_cli_text(e->status, "registry.finding"));
        return;
    }
    if (json_is_string(gv_cli_member(e->status, "registry.refused")))
        find(e, "registry", GV_FINDING_WARNING,
             is_lost(e) ? "enrol again, see the certificate" : "it says what to do",
             "it answers, and refuses since %s: %s",
             gv_cli_text(e->status, "registry.trouble_since"),
             gv_cli_text(e->status, "registry.trouble"));
    else if (json_is_string(gv_cli_member(e->status, "registry.trouble")))
        find(e, "registry", GV_FINDING_WARNING,
             "the mesh works without it, and it is asked again by itself. Does another host reach "
             "it? "
             "then look at this one's DNS, firewall and [network] registry; else tell who runs it",
             "not in reach since %s: %s; asked again %s",
             gv_cli_text(e->status, "registry.trouble_since"),
             gv_cli_text(e->status, "registry.trouble"), gv_cli_text(e->status, "registry.retry"));
    if (in_network)
        check_registry_key(e);
    if (in_network)
        check_registry_log(e);
}

static void check_peers(struct examination *e)
{
    int64_t peers = gv_cli_number(e->status, "mesh.peers");
    int64_t dialled = gv_cli_number(e->status, "mesh.peers_outbound");
    int64_t instances = gv_cli_number(e->status, "mesh.instances");

    if (!gv_cli_true(e->status, "enrolled") || gv_cli_true(e->status, "revoked") || is_lost(e))
        return;
    if (peers == 0 && instances <= 1)
        find(e, "peers", GV_FINDING_WARNING,
             "if it is the first of its network, others come by `grapevine setup --registry URL`; "
             "if not: may this host open connections to port 4727/tcp of others?",
             "connected to nobody, and knows of no other node");
    else if (peers == 0)
        find(e, "peers", GV_FINDING_FAILURE,
             "may this host open connections to port 4727/tcp of others? see [network] seeds and "
             "the log",
             "connected to nobody, of %" PRId64 " instances known", instances);
    else if (peers == 1 && instances > 3)
        find(e, "peers", GV_FINDING_WARNING, "a second one comes by itself; otherwise see the log",
             "connected to one peer alone, of %" PRId64 " instances known", instances);
    else
        find(e, "peers", GV_FINDING_OK, NULL, "%" PRId64 ", of %" PRId64 " instances known", peers,
             instances);
    if (e->options->advertise.count == 0)
        find(e, "reachable", GV_FINDING_NOTE,
             "with a public address set [node] advertise; behind NAT nothing is wrong with that",
             "others are not told where this node is; it dials out");
    else if (peers > dialled || gv_cli_number(e->status, "counters.connections_accepted") > 0)
        find(e, "reachable", GV_FINDING_OK, NULL, "others reach this node");
    else if (is_settled(e))
        find(e, "reachable", GV_FINDING_WARNING,
             "does a firewall let port 4727/tcp in (with ufw: `ufw allow Grapevine`)? is [node] "
             "advertise the address that others "
             "see?",
             "nobody has connected to this node since its start");
}

static void check_share(struct examination *e)
{
    if (e->options->share == GV_SHARE_YES)
        find(e, "share", GV_FINDING_OK, NULL, "signals of this host are sent");
    else if (e->options->share == GV_SHARE_PREVIEW)
        find(e, "share", GV_FINDING_NOTE,
             "see what would be sent with `grapevine telemetry`; then set [share] mode = yes",
             "preview: nothing is sent yet");
    else
        find(e, "share", GV_FINDING_NOTE, "[share] mode = preview shows what would be sent",
             "nothing of this host is shared");
}

/* Only what speaks against it: most admins never look closer. */
static void check_transparency(struct examination *e)
{
    if (json_is_object(gv_cli_member(e->status, "transparency.lost")))
        find(e, "transparency", GV_FINDING_FAILURE,
             "find out who did it: each entry is in the system's log (authpriv), too; `grapevine "
             "transparency verify`",
             "entry %s of the log of closer looks was there, and on %s was not any more",
             gv_cli_text(e->status, "transparency.lost.entry"),
             gv_cli_text(e->status, "transparency.lost.noticed"));
}

/* A node that is switched on and never asked protects nobody. */
static void check_asked(struct examination *e, const char *who, int64_t asked, const char *advice)
{
    enum gv_finding_level level = is_settled(e) ? GV_FINDING_WARNING : GV_FINDING_NOTE;

    if (asked == 0)
        find(e, "enforcement", level, advice, "%s: not asked since the start", who);
    else
        find(e, "enforcement", GV_FINDING_OK, NULL, "%s: asked %" PRId64 " times", who, asked);
}

static void check_firewall(struct examination *e)
{
    const char *state = gv_cli_text(e->status, "enforcement.nftables.state");

    if (strcmp(state, "ok") == 0 || strcmp(state, "partly") == 0)
        find(e, "enforcement", GV_FINDING_OK, NULL, "nftables: %s entries in place",
             gv_cli_text(e->status, "enforcement.nftables.in_place"));
    else if (strcmp(state, "kernel") == 0)
        find(e, "enforcement", GV_FINDING_FAILURE, "journalctl -u grapevine-firewall says why",
             "nftables: the kernel does not take the entries");
    else
        find(e, "enforcement", GV_FINDING_FAILURE, "systemctl enable --now grapevine-firewall",
             "nftables: its helper grapevine-firewall does not run");
}

/* One that works is not worth a line. */
static void check_hook(struct examination *e, const char *name)
{
    char path[64];

    snprintf(path, sizeof path, "enforcement.hooks.%s", name);
    const json_t *hook = gv_cli_member(e->status, path);
    if (!json_is_string(gv_cli_member(hook, "error")))
        return;
    find(e, "hooks", GV_FINDING_WARNING,
         "it is tried again by itself; `grapevine reload` tries at once. See [hooks] in "
         "grapevine.conf(5)",
         "%s: %s; %" PRId64 " wait, %" PRId64 " were lost", name, gv_cli_text(hook, "error"),
         gv_cli_number(hook, "waiting"), gv_cli_number(hook, "lost"));
}

static void check_enforcement(struct examination *e)
{
    int64_t refused = gv_cli_number(e->status, "enforcement.refused");
    bool dovecot = e->options->enforced & GV_ENFORCE_DOVECOT;
    bool dnsbl = e->options->enforced & GV_ENFORCE_DNSBL;

    if (e->options->enforced == 0)
        find(e, "enforcement", GV_FINDING_NOTE,
             "when you trust what `grapevine list` shows, set [policy] enforce",
             "this node only watches; it would refuse %" PRId64 " addresses now", refused);
    if (dovecot)
        check_asked(e, "Dovecot", gv_cli_number(e->status, "enforcement.dovecot.asked"),
                    "`grapevine snippet dovecot` prints what Dovecot's configuration needs");
    if (dnsbl)
        check_asked(e, "by DNS", gv_cli_number(e->status, "enforcement.dnsbl.queries"),
                    "`grapevine snippet postfix` (or exim, rspamd, unbound) prints what they need");
    if (e->options->enforced & GV_ENFORCE_BOUNCERS)
        check_asked(e, "bouncers", gv_cli_number(e->status, "enforcement.bouncers.pulls"),
                    "`grapevine bouncers add NAME` makes the key that one asks with");
    if (e->options->enforced & GV_ENFORCE_NFTABLES)
        check_firewall(e);
    check_hook(e, "exec");
    check_hook(e, "webhook");
    check_hook(e, "alert_mail");
}

/* The first few by name: whom a verdict could hit that this host's own configuration trusts. */
static void check_own(struct examination *e)
{
    const struct gv_own_hosts *own = e->host->unlisted;
    char names[300] = "", one[GV_OWN_PREFIX_TEXT];
    size_t i = 0;

    for (; own && i < own->count && strlen(names) < sizeof names - 140; i++) {
        gv_own_host_text(one, &own->hosts[i]);
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s (%s)", i ? ", " : "",
                 one, own->hosts[i].source);
    }
    if (i > 0)
        find(e, "allow list", GV_FINDING_WARNING,
             "`grapevine setup` puts them on it; or do it yourself, in [policy] allow",
             "never to be held back, and not on it: %s%s", names, i < own->count ? ", ..." : "");
    else if (e->options->allow.count == 0)
        find(e, "allow list", GV_FINDING_NOTE,
             "is there a webmail, a proxy or a monitor elsewhere? it belongs into [policy] allow",
             "empty but for this host's own addresses");
    else
        find(e, "allow list", GV_FINDING_OK, NULL, "%zu entries, and this host's own addresses",
             e->options->allow.count);
}

static void check_stale(struct examination *e)
{
    if (e->host->stale[0])
        find(e, "daemon", GV_FINDING_WARNING, "systemctl reload grapevine",
             "it runs with another value of %s than its configuration file has", e->host->stale);
    if (e->host->restart[0])
        find(e, "daemon", GV_FINDING_WARNING, "systemctl restart grapevine",
             "it has read a new value of %s, which takes effect at its next start only",
             e->host->restart);
}

int gv_doctor_judge(json_t *findings, const struct gv_options *options,
                    const struct gv_doctor_host *host, const json_t *status)
{
    struct examination e = {findings, options, host, status, GV_FINDING_OK};

    check_disk(&e);
    check_key(&e);
    if (!status) {
        check_clock(&e);
        find(&e, "daemon", GV_FINDING_FAILURE,
             "start it: systemctl start grapevine; if it does not stay up, `journalctl -u "
             "grapevine -n 20` says why",
             "does not answer at %s", options->control_path);
        return e.worst;
    }
    find(&e, "daemon", GV_FINDING_OK, NULL, "version %s, up for %s s",
         gv_cli_text(status, "version"), gv_cli_text(status, "uptime_s"));
    check_stale(&e);
    check_clock(&e);
    check_store(&e);
    check_logs(&e);
    check_certificate(&e);
    check_registry(&e);
    check_peers(&e);
    check_share(&e);
    check_enforcement(&e);
    check_own(&e);
    check_transparency(&e);
    return e.worst;
}
