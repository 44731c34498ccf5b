#include "node/base/options.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/base/file.h"
#include "node/base/log.h"
#include "node/base/options_enforce.h"
#include "node/base/text.h"
#include "node/base/timezone.h"
#include "node/base/users.h"
#include "proto/subject.h"

static const char *const share_names[] = {"no", "preview", "yes", NULL}; /* enum gv_share */
static const char *const refuse_on_names[] = {"own", "consensus", NULL};
static const char *const feed_names[] = {"refuse", "consensus", NULL};

#define TOLD_MAX 8 /* mistakes of one kind that get a line */

#define FIELD(name) offsetof(struct gv_options, name)

static const struct gv_config_key keys[] = {
    {"node", "data", GV_CONFIG_PATH, FIELD(data), "/var/lib/grapevine", 0, 0, NULL, false,
     "Folder of the key, the certificate and the store. Made with mode 0700 when absent."},
    {"node", "listen", GV_CONFIG_HOSTS, FIELD(listen), "[::]:4727", 0, 8, NULL, false,
     "Where this node listens for others: ADDRESS:PORT, several allowed. Empty: this node only "
     "dials out, and is a full member all the same."},
    {"node", "bind", GV_CONFIG_ADDRESSES, FIELD(bind), "", 0, 2, NULL, false,
     "Source address of outgoing connections, one of each family. Empty: the kernel chooses."},
    {"node", "advertise", GV_CONFIG_HOSTS, FIELD(advertise), "", 0, 1, NULL, false,
     "ADDRESS:PORT that the mesh is told to reach this node at. Empty: not told, others do not "
     "dial this node."},
    {"node", "control", GV_CONFIG_PATH, FIELD(control), "", 0, 0, NULL, false,
     "Unix socket for the grapevine command, mode 0660. Empty: control.sock in the data folder."},
    {"node", "control_group", GV_CONFIG_STRING, FIELD(control_group), "", 0, 64, NULL, false,
     "Group whose members may use the control socket. Empty: the group of the daemon. The data "
     "folder is closed to it, so set control to a path elsewhere then, such as "
     "/run/grapevine/control.sock."},
    {"node", "user", GV_CONFIG_STRING, FIELD(user), "", 0, 32, NULL, false,
     "User to run as when started as root; made once with `useradd --system`. Empty: _grapevine, "
     "or "
     "whoever starts it when that is not root. root: its id without its rights; not advised."},
    {"node", "groups", GV_CONFIG_STRINGS, FIELD(groups), "", 0, 16, NULL, false,
     "Groups to keep for reading logs, beside those that user is in: adm, systemd-journal."},
    {"network", "registry", GV_CONFIG_STRING, FIELD(registry), "", 0, 255, NULL, false,
     "Address of the registry, https://HOST. Empty: the one that the network descriptor names."},
    {"network", "registry_ca", GV_CONFIG_PATH, FIELD(registry_ca), "", 0, 0, NULL, false,
     "PEM file: who may have signed the registry's https:// certificate. Empty: this system's."},
    {"network", "descriptor", GV_CONFIG_PATH, FIELD(descriptor), "", 0, 0, NULL, false,
     "File with the signed network descriptor. Empty: fetched from the registry."},
    {"network", "id", GV_CONFIG_STRING, FIELD(id), "", 0, 64, NULL, false,
     "Network id, 64 hex digits: a descriptor of any other network is refused. Empty: the first "
     "descriptor that verifies settles it."},
    {"network", "seeds", GV_CONFIG_HOSTS, FIELD(seeds), "", 0, 32, NULL, true,
     "HOST:PORT of nodes to join through, beside those of the descriptor."},
    {"share", "mode", GV_CONFIG_ENUM, FIELD(share), "preview", 0, 0, share_names, false,
     "yes: this node's signals are sent. preview: they are only shown by `grapevine telemetry`. "
     "no: none are made. Signals of others are received in any case."},
    {"share", "share_statistics", GV_CONFIG_BOOL, FIELD(share_statistics), "yes", 0, 0, NULL, false,
     "With mode = yes: once an hour tells direct peers, and nobody else, a size class of this "
     "host's "
     "mail and how many per cent bounced, were deferred or rejected."},
    {"log", "file", GV_CONFIG_STRINGS, FIELD(logs), "", 0, 16, NULL, true,
     "Mail logs to follow, several allowed: the absolute path of a file; journal (journal:FOLDER "
     "for the journal files of another folder); syslog:udp:ADDRESS:PORT or syslog:unix:PATH, where "
     "syslog datagrams are taken; - is standard input. One that is not there yet is waited for. "
     "Name each line's way once: what comes in twice counts twice."},
    {"log", "syslog_from", GV_CONFIG_ADDRESSES, FIELD(syslog_from), "", 0, 256, NULL, true,
     "Other hosts whose datagrams are taken at syslog:udp. A sender's address can be forged: list "
     "only addresses that no stranger can send from. Empty: this host alone."},
    {"log", "syslog_mode", GV_CONFIG_STRING, FIELD(syslog_mode), "0660", 0, 4, NULL, false,
     "Permissions of the socket of syslog:unix, octal. Who may write to it can put words into this "
     "node's log."},
    {"log", "timezone", GV_CONFIG_STRING, FIELD(timezone), "", 0, 64, NULL, false,
     "Zone of time stamps that name none, such as Europe/Berlin. Empty: this host's."},
    {"log", "from_start", GV_CONFIG_BOOL, FIELD(from_start), "no", 0, 0, NULL, false,
     "Read a log that was never read before from its start instead of from its end."},
    {"log", "level", GV_CONFIG_ENUM, FIELD(level), "info", 0, 0, gv_log_level_names, false,
     "How much the daemon itself writes to standard error."},
    {"policy", "refuse_on", GV_CONFIG_ENUM, FIELD(refuse_on), "own", 0, 0, refuse_on_names, false,
     "own: an address is refused only after it has failed here too. consensus: also at first "
     "contact when a higher quorum of the mesh calls it untrusted."},
    {"policy", "allow", GV_CONFIG_ADDRESSES, FIELD(allow), "", 0, 10000, NULL, true,
     "Never refused and never shared. This host's own addresses are on the list by themselves; add "
     "mynetworks and what fail2ban ignores."},
    {"policy", "deny", GV_CONFIG_ADDRESSES, FIELD(deny), "", 0, 10000, NULL, true,
     "Always refused here. Local: the mesh does not hear of it."},
    {"policy", "enforce", GV_CONFIG_STRINGS, FIELD(enforce), "no", 1, 8, NULL, false,
     "Where this host really refuses: some of dovecot, dnsbl, bouncers, nftables. no: it only "
     "watches, and `grapevine status` says how much it would have refused."},
    {"policy", "feed", GV_CONFIG_ENUM, FIELD(feed), "refuse", 0, 0, feed_names, false,
     "What bouncers and nftables get: refuse, what is refused here; consensus, all that is "
     "untrusted "
     "as well."},
    {"dnsbl", "listen", GV_CONFIG_HOSTS, FIELD(dnsbl_listen), "", 0, 4, NULL, false,
     "ADDRESS:PORT where the DNS zones refuse.grapevine and untrusted.grapevine are answered, such "
     "as 127.0.0.1:4753. Empty: nowhere."},
    {"dnsbl", "clients", GV_CONFIG_ADDRESSES, FIELD(dnsbl_clients), "", 0, 64, NULL, true,
     "Hosts beside this one that may ask there."},
    {"http", "listen", GV_CONFIG_HOSTS, FIELD(http_listen), "", 0, 1, NULL, false,
     "ADDRESS:PORT of the dashboard, the HTTP API, block lists, metrics, bouncers and Dovecot's "
     "policy server, such as 127.0.0.1:4729. Empty: nowhere. `grapevine token` prints the token of "
     "dashboard and API, `grapevine snippet dovecot` what Dovecot needs."},
    {"http", "clients", GV_CONFIG_ADDRESSES, FIELD(http_clients), "", 0, 64, NULL, true,
     "Hosts beside this one that may ask there; always with the token."},
    {"http", "names", GV_CONFIG_STRINGS, FIELD(http_names), "", 0, 16, NULL, true,
     "Names that a request may call this host by, beside localhost and the address it listens on."},
    {"limits", "connections", GV_CONFIG_INT, FIELD(connections), "64", 16, 1024, NULL, false,
     "Connections with other nodes at most, incoming ones included."},
    {"limits", "statements", GV_CONFIG_INT, FIELD(statements), "200000", 1000, 5000000, NULL, false,
     "Signals held in memory at most; about 300 bytes each."},
    {"limits", "history", GV_CONFIG_INT, FIELD(history), "200000", 1000, 5000000, NULL, false,
     "Addresses with local history at most; about 250 bytes each."},
    {"limits", "traffic", GV_CONFIG_INT, FIELD(traffic_kb), "1000", 1000, 1000000, NULL, false,
     "kB an hour at most, in and out, with headers; more lets a node with a good line carry more."},
    {"limits", "telemetry", GV_CONFIG_DURATION, FIELD(telemetry_s), "30d", 86400, 31536000, NULL,
     false, "How long the record of what was sent is kept."},
    {"limits", "journal", GV_CONFIG_DURATION, FIELD(journal_s), "30d", 86400, 31536000, NULL, false,
     "How long signals that have ceased to count are kept for `grapevine ip`, 500000 at most."},
    {"limits", "statistics", GV_CONFIG_DURATION, FIELD(statistics_s), "90d", 172800, 31536000, NULL,
     false,
     "How long the hourly sums of this host's mail flow, and alerts, are kept. Those of each "
     "minute are kept for 48 h."},
};
/* These, and the sections that have a file of their own. */
const struct gv_config_table *gv_options_table(void)
{
    static struct gv_config_key all[GV_OPTIONS_KEYS_MAX];
    static struct gv_config_table table = {"grapevine.conf", all, 0};

    if (table.count == 0) {
        memcpy(all, keys, sizeof keys);
        table.count = gv_options_enforce_keys(all, sizeof keys / sizeof *keys);
    }
    return &table;
}

void gv_options_help(FILE *out)
{
    gv_config_print(gv_options_table(), out);
}

/* ---- what the types of the table cannot say ------------------------------------------------- */

struct check {
    struct gv_options *options; /* check_host: not written to */
    const char *path;
    struct gv_buf *errors;
    bool failed, memory;
};

static const char *skip_blanks(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    return at;
}

static bool is_word(const char *at, const char *end, const char *word, char after)
{
    size_t len = strlen(word);

    if ((size_t)(end - at) < len || memcmp(at, word, len) != 0)
        return false;
    at = skip_blanks(at + len, end);
    return at < end && *at == after;
}

/* Whether one entry of a list, in the line or in part of it, is `word`. */
static bool holds_entry(const char *at, const char *end, const char *word)
{
    size_t len = strlen(word);

    for (; (size_t)(end - at) >= len; at++) {
        const char *after = at + len;
        if (memcmp(at, word, len) == 0 && strchr(" \t,=", at[-1]) &&
            (after == end || strchr(" \t,;\r", *after)))
            return true;
    }
    return false;
}

/* The line that sets the key to `word`, or else (or if NULL) the last that sets it; 0 when none
 * does. */
static unsigned line_of(const char *path, const char *section, const char *key, const char *word)
{
    struct gv_buf text;
    unsigned line = 0, found = 0;
    bool inside = false, ours = false;

    gv_buf_init(&text);
    if (gv_file_read(&text, path, GV_CONFIG_FILE_MAX, NULL) != GV_OK)
        text.len = 0;
    const char *end = (const char *)text.data + text.len;
    for (const char *at = (const char *)text.data; at && at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        const char *first = skip_blanks(at, stop ? stop : end);
        line++;
        if (first < end && *first == '[') {
            inside = is_word(first + 1, stop ? stop : end, section, ']');
            ours = false;
        } else if (first == at) { /* an indented line continues the one before */
            ours = inside && is_word(first, stop ? stop : end, key, '=');
            found = ours ? line : found;
        }
        if (ours && word && at < end && holds_entry(at + 1, stop ? stop : end, word)) {
            found = line;
            break;
        }
        at = stop ? stop + 1 : end;
    }
    gv_buf_free(&text);
    return found;
}

static void report(struct check *check, const char *section, const char *key, const char *word,
                   const char *format, va_list args) __attribute__((format(printf, 5, 0)));
static void report(struct check *check, const char *section, const char *key, const char *word,
                   const char *format, va_list args)
{
    char what[512], safe[600], line[1400];

    vsnprintf(what, sizeof what, format, args);
    gv_log_safe(safe, sizeof safe, what, strlen(what));
    int n = snprintf(line, sizeof line, "%.600s:%u: [%s] %s: %s\n", check->path,
                     line_of(check->path, section, key, word), section, key, safe);
    gv_buf_append(check->errors, line, n > 0 ? (size_t)n : 0);
    check->failed = true;
}

static void wrong(struct check *check, const char *section, const char *key, const char *format,
                  ...) __attribute__((format(printf, 4, 5)));
static void wrong(struct check *check, const char *section, const char *key, const char *format,
                  ...)
{
    va_list args;

    va_start(args, format);
    report(check, section, key, NULL, format, args);
    va_end(args);
}

/* The same of one entry of a list, at the line where it stands. */
static void wrong_entry(struct check *check, const char *section, const char *key, const char *word,
                        const char *format, ...) __attribute__((format(printf, 5, 6)));
static void wrong_entry(struct check *check, const char *section, const char *key, const char *word,
                        const char *format, ...)
{
    va_list args;

    va_start(args, format);
    report(check, section, key, word, format, args);
    va_end(args);
}

/* A host of the configuration that must be a plain address. */
static bool plain_address(struct gv_address *out, const struct gv_config_host *host)
{
    struct gv_config_address address;

    if (gv_config_address_parse(&address, host->host) != GV_OK ||
        address.prefix != (address.family == GV_FAMILY_IPV4 ? 32 : 128))
        return false;
    memset(out, 0, sizeof *out);
    out->family = address.family;
    memcpy(out->bytes, address.bytes, address.family == GV_FAMILY_IPV4 ? 4 : 16);
    out->port = host->port;
    return true;
}

static void check_addresses(struct check *check)
{
    struct gv_options *o = check->options;

    o->listen_at = calloc(o->listen.count + 1, sizeof *o->listen_at);
    if (!o->listen_at) {
        check->memory = true;
        return;
    }
    for (size_t i = 0; i < o->listen.count; i++)
        if (!plain_address(&o->listen_at[i], &o->listen.items[i]))
            wrong(check, "node", "listen",
                  "\"%s\" is not an address; write it as 192.0.2.1:4727 "
                  "or [2001:db8::1]:4727",
                  o->listen.items[i].host);
    if (o->advertise.count && !plain_address(&o->advertised, &o->advertise.items[0]))
        wrong(check, "node", "advertise",
              "\"%s\" is not an address; names are not told to the mesh",
              o->advertise.items[0].host);
    for (size_t i = 0; i < o->bind.count; i++) {
        const struct gv_config_address *from = &o->bind.items[i];
        if (from->prefix != (from->family == GV_FAMILY_IPV4 ? 32 : 128))
            wrong(check, "node", "bind", "a single address is needed, not a range");
        o->bind_to[i].family = from->family;
        memcpy(o->bind_to[i].bytes, from->bytes, from->family == GV_FAMILY_IPV4 ? 4 : 16);
    }
    if (o->bind.count > 0) {
        struct gv_prefix from = {.family = o->bind_to[0].family, .bits = o->bind.items[0].prefix};
        memcpy(from.bytes, o->bind_to[0].bytes, sizeof from.bytes);
        gv_prefix_text(o->bind_text, &from);
        o->bind_text[strcspn(o->bind_text, "/")] = 0;
    }
    if (o->bind.count == 2 && o->bind.items[0].family == o->bind.items[1].family)
        wrong(check, "node", "bind", "two addresses of one family; give one of each at most");
}

static struct gv_prefix *to_prefixes(const struct gv_config_addresses *from)
{
    struct gv_prefix *out = calloc(from->count + 1, sizeof *out);

    for (size_t i = 0; out && i < from->count; i++) {
        out[i].family = from->items[i].family;
        out[i].bits = from->items[i].prefix;
        memcpy(out[i].bytes, from->items[i].bytes, out[i].family == GV_FAMILY_IPV4 ? 4 : 16);
    }
    return out;
}

static void check_enforce(struct check *check)
{
    static const char *const names[] = {"dovecot", "dnsbl", "bouncers",
                                        "nftables"}; /* bit by bit */
    struct gv_options *o = check->options;

    for (size_t i = 0; i < o->enforce.count; i++) {
        const char *word = o->enforce.items[i];
        unsigned bit = 0;
        for (size_t j = 0; j < sizeof names / sizeof *names; j++)
            bit |= strcmp(word, names[j]) == 0 ? 1u << j : 0;
        o->enforced |= bit;
        if (bit == 0 && !(strcmp(word, "no") == 0 && o->enforce.count == 1))
            wrong(
                check, "policy", "enforce",
                "\"%s\" will not do here, write no, or some of dovecot, dnsbl, bouncers, nftables",
                word);
    }
    if (o->enforced & (GV_ENFORCE_DOVECOT | GV_ENFORCE_BOUNCERS) && o->http_listen.count == 0)
        wrong(check, "policy", "enforce", "%s a place to ask; set [http] listen = 127.0.0.1:4729",
              o->enforced & GV_ENFORCE_DOVECOT ? "dovecot needs" : "bouncers need");
    if (o->enforced & GV_ENFORCE_DNSBL && o->dnsbl_listen.count == 0)
        wrong(check, "policy", "enforce",
              "dnsbl needs a place to ask; set [dnsbl] listen = 127.0.0.1:4753");
}

static bool is_wildcard(const struct gv_address *address)
{
    static const uint8_t zero[16];

    return memcmp(address->bytes, zero, sizeof zero) == 0;
}

static void check_surfaces(struct check *check)
{
    struct gv_options *o = check->options;
    struct gv_options_mistake mistake;
    struct gv_address http;

    check_enforce(check);
    if (gv_options_check_enforce(o, &mistake) != GV_OK)
        wrong(check, mistake.section, mistake.key, "%s", mistake.what.text);
    o->dnsbl_at = calloc(o->dnsbl_listen.count + 1, sizeof *o->dnsbl_at);
    o->dnsbl_client_ranges = to_prefixes(&o->dnsbl_clients);
    if (!o->dnsbl_at || !o->dnsbl_client_ranges) {
        check->memory = true;
        return;
    }
    /* An answer must come from the address that was asked, which a wildcard socket cannot see to.
     */
    for (size_t i = 0; i < o->dnsbl_listen.count; i++)
        if (!plain_address(&o->dnsbl_at[i], &o->dnsbl_listen.items[i]) ||
            is_wildcard(&o->dnsbl_at[i]))
            wrong(check, "dnsbl", "listen",
                  "\"%s\" is not an address of this host; write it as 127.0.0.1:4753 or "
                  "[::1]:4753",
                  o->dnsbl_listen.items[i].host);
    if (o->http_listen.count && !plain_address(&http, &o->http_listen.items[0]))
        wrong(check, "http", "listen",
              "\"%s\" is not an address; write it as 127.0.0.1:4729 or [::1]:4729",
              o->http_listen.items[0].host);
    else if (o->http_listen.count && !gv_log_source_is_loopback(&http) &&
             o->http_clients.count == 0)
        wrong(check, "http", "listen",
              "\"%s\" is open to other hosts, but [http] clients lists none; list them, or listen "
              "on 127.0.0.1",
              o->http_listen.items[0].host);
}

static void check_texts(struct check *check)
{
    struct gv_options *o = check->options;

    if (o->id && *o->id) {
        o->has_id = gv_unhex(o->network_id, GV_KEY_LEN, o->id) == GV_OK;
        if (!o->has_id)
            wrong(check, "network", "id", "64 hex digits are needed");
    }
    if (o->registry && *o->registry && !gv_config_url_valid(o->registry))
        wrong(check, "network", "registry",
              "\"%s\" will not do, write https://HOST or https://HOST:PORT (or http://), without "
              "a path, e.g. https://registry.example.org",
              o->registry);
}

static void check_logs(struct check *check)
{
    struct gv_options *o = check->options;
    const char *mode = o->syslog_mode ? o->syslog_mode : "";
    struct gv_log_source source;
    struct gv_text why;
    char *end;

    for (size_t i = 0; i < o->logs.count; i++) {
        const char *path = o->logs.items[i];
        if (gv_log_source_parse(&source, path, &why) != GV_OK)
            wrong(check, "log", "file", "%s", why.text);
        else if (source.kind == GV_LOG_SYSLOG_UDP && o->syslog_from.count == 0 &&
                 !gv_log_source_is_loopback(&source.address))
            wrong(check, "log", "file",
                  "\"%s\" is open to other hosts, but [log] syslog_from lists none; list them, or "
                  "listen on 127.0.0.1",
                  path);
        for (size_t j = 0; j < i; j++)
            if (strcmp(path, o->logs.items[j]) == 0)
                wrong(check, "log", "file", "\"%s\" is named twice", path);
    }
    unsigned long bits = strtoul(mode, &end, 8);
    if (!isdigit((unsigned char)*mode) || *end || bits > 0777 || (bits & 0200) == 0)
        wrong(check, "log", "syslog_mode",
              "\"%s\" will not do, write an octal mode that lets the owner write, e.g. 0660", mode);
    o->syslog = (struct gv_syslog_access){
        .from = o->syslog_from.items, .count = o->syslog_from.count, .mode = (mode_t)bits};
}

static int compare_prefixes(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct gv_prefix));
}

/* An entry of both lists: deny would win, and one of the two is a mistake. */
static void check_lists(struct check *check)
{
    const struct gv_options *o = check->options;
    struct gv_prefix *sorted = to_prefixes(&o->allow);
    char text[GV_PREFIX_TEXT];

    if (!sorted || !o->denied) {
        free(sorted);
        return; /* said already */
    }
    qsort(sorted, o->allow.count, sizeof *sorted, compare_prefixes);
    for (size_t i = 0, told = 0; i < o->deny.count && told < TOLD_MAX; i++) {
        if (!bsearch(&o->denied[i], sorted, o->allow.count, sizeof *sorted, compare_prefixes))
            continue;
        gv_prefix_text(text, &o->denied[i]);
        wrong_entry(check, "policy", "deny", text,
                    "%s is in [policy] allow too; remove it from one of the two", text);
        told++;
    }
    free(sorted);
}

static void derive(struct check *check)
{
    struct gv_options *o = check->options;

    o->allowed = to_prefixes(&o->allow);
    o->denied = to_prefixes(&o->deny);
    o->seed_texts = calloc(o->seeds.count + 1, sizeof *o->seed_texts);
    if (o->control && *o->control)
        o->control_path = strdup(o->control);
    else if (asprintf(&o->control_path, "%s/control.sock", o->data) < 0)
        o->control_path = NULL;
    check->memory |= !o->allowed || !o->denied || !o->seed_texts || !o->control_path;
    for (size_t i = 0; o->seed_texts && i < o->seeds.count; i++) {
        const struct gv_config_host *seed = &o->seeds.items[i];
        if (asprintf(&o->seed_texts[i], strchr(seed->host, ':') ? "[%s]:%u" : "%s:%u", seed->host,
                     seed->port) < 0) {
            o->seed_texts[i] = NULL;
            check->memory = true;
        }
    }
    /* The longest path that fits into a socket address. */
    if (o->control_path && strlen(o->control_path) > 107)
        wrong(check, "node", "control", "a path of a socket has at most 107 characters");
}

int gv_options_load(struct gv_options *out, const char *path, struct gv_buf *errors)
{
    struct check check = {.options = out, .path = path, .errors = errors};

    memset(out, 0, sizeof *out);
    int rc = gv_config_load_said(gv_options_table(), out, &out->said, path, errors);
    if (rc != GV_OK)
        return rc;
    check_addresses(&check);
    check_texts(&check);
    check_surfaces(&check);
    check_logs(&check);
    derive(&check);
    check_lists(&check);
    if (!check.failed && !check.memory)
        return GV_OK;
    gv_options_free(out);
    return check.failed ? GV_ERR_CONFIG : GV_ERR_MEMORY;
}

int gv_options_refused(int error, const struct gv_buf *errors, const char *program)
{
    if (errors->len > 0)
        fwrite(errors->data, 1, errors->len, stderr);
    if (errors->len == 0 || errors->failed)
        fprintf(stderr, "%s: %s\n", program,
                errors->failed ? gv_strerror(GV_ERR_MEMORY) : gv_strerror(error));
    if (error == GV_ERR_MEMORY || errors->failed)
        return EX_OSERR;
    return error == GV_ERR_FORBIDDEN ? EX_NOPERM : EX_CONFIG;
}

/* ---- what only shows on the daemon's host --------------------------------------------------- */

static void check_data(struct check *check)
{
    const char *data = check->options->data;
    char parent[4096];
    struct stat info;

    if (stat(data, &info) == 0) {
        if (!S_ISDIR(info.st_mode))
            wrong(check, "node", "data", "%s is not a folder; write one, e.g. /var/lib/grapevine",
                  data);
        return;
    }
    snprintf(parent, sizeof parent, "%s", data);
    size_t len = strlen(parent);
    while (len > 1 && parent[len - 1] == '/')
        parent[--len] = '\0';
    char *slash = strrchr(parent, '/');
    if (!slash)
        return;
    slash[slash == parent] = '\0';
    if (stat(parent, &info) != 0)
        wrong(check, "node", "data", "%s: %s; make that folder first, or write another path",
              parent, strerror(errno));
    else if (!S_ISDIR(info.st_mode))
        wrong(check, "node", "data",
              "%s is not a folder, so nothing can be made in it; write e.g. /var/lib/grapevine",
              parent);
}

int gv_options_check_host(const struct gv_options *options, const char *path, struct gv_buf *errors)
{
    struct gv_options copy = *options; /* shallow: only read */
    struct check check = {.options = &copy, .path = path, .errors = errors};
    const char *group = options->control_group, *descriptor = options->descriptor;
    struct gv_text why = {""};
    gid_t number;

    check_data(&check);
    int found = group && *group ? gv_group_find(&number, group, &why) : GV_OK;
    if (found != GV_OK && found != GV_ERR_NOT_FOUND) {
        gv_buf_append(errors, why.text, strlen(why.text));
        gv_buf_append(errors, "\n", 1);
        return found;
    }
    if (found != GV_OK)
        wrong(&check, "node", "control_group",
              "there is no group \"%s\"; make it with `groupadd --system %s`, or write another",
              group, group);
    if (descriptor && *descriptor && access(descriptor, R_OK) != 0)
        wrong(&check, "network", "descriptor",
              "%s: %s; write the path of a file that the daemon's user can read, or leave it empty",
              descriptor, strerror(errno));
    if (options->timezone && *options->timezone && !gv_timezone_exists(options->timezone))
        wrong(&check, "log", "timezone",
              "there is no zone \"%s\" in " GV_ZONES "; write one such as Europe/Berlin or UTC",
              options->timezone);
    return check.failed ? GV_ERR_CONFIG : GV_OK;
}

void gv_options_free(struct gv_options *options)
{
    for (size_t i = 0; options->seed_texts && i < options->seeds.count; i++)
        free(options->seed_texts[i]);
    free(options->seed_texts);
    free(options->allowed);
    free(options->denied);
    free(options->listen_at);
    free(options->dnsbl_at);
    free(options->dnsbl_client_ranges);
    free(options->control_path);
    gv_config_said_free(gv_options_table(), options->said);
    gv_config_free(gv_options_table(), options);
    memset(options, 0, sizeof *options);
}

int gv_options_settings(struct gv_settings *out, struct gv_prefix **allow,
                        const struct gv_options *options, const struct gv_prefix *own,
                        size_t own_count)
{
    struct gv_prefix *joined = calloc(options->allow.count + own_count + 1, sizeof *joined);

    *allow = joined;
    if (!joined)
        return GV_ERR_MEMORY;
    memcpy(joined, options->allowed, options->allow.count * sizeof *joined);
    if (own_count)
        memcpy(joined + options->allow.count, own, own_count * sizeof *joined);
    memset(out, 0, sizeof *out);
    out->share = (enum gv_share)options->share;
    out->refuse_on_consensus = options->refuse_on == 1;
    out->advertise = options->advertised;
    out->max_links = (uint16_t)options->connections;
    out->allow_count = options->allow.count + own_count;
    out->allow = joined;
    out->deny_count = options->deny.count;
    out->deny = options->denied;
    out->seed_count = options->seeds.count;
    out->seeds = (const char *const *)options->seed_texts;
    return GV_OK;
}

bool gv_options_advertise_in_vain(const struct gv_options *options, bool lab)
{
    const struct gv_address *a = &options->advertised;
    struct gv_subject subject;

    if (lab || a->family == GV_FAMILY_NONE)
        return false;
    return gv_subject_from_address(&subject, a->bytes, a->family == GV_FAMILY_IPV4 ? 4 : 16) !=
               GV_OK ||
           !gv_subject_shareable(&subject, false);
}
