#include "node/base/options_enforce.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "node/base/mail.h"
#include "proto/registry.h"

static const char *const action_names[] = {"drop", "reject", NULL};

#define FIELD(name) offsetof(struct gv_options, name)

static const struct gv_config_key keys[] = {
    {"firewall", "socket", GV_CONFIG_PATH, FIELD(firewall_socket), "/run/grapevine-firewall/socket",
     1, 107, NULL, false, "Unix socket where grapevine-firewall waits for the daemon."},
    {"firewall", "ports", GV_CONFIG_STRINGS, FIELD(firewall_ports), "465, 587, 143, 993, 110, 995",
     1, GV_FIREWALL_PORTS_MAX, NULL, false,
     "TCP ports at which nftables holds back what this host refuses. Port 25, where other servers "
     "deliver mail, is not among them; whoever writes it here means it."},
    {"firewall", "action", GV_CONFIG_ENUM, FIELD(firewall_action), "drop", 0, 0, action_names,
     false, "drop: no answer. reject: a TCP reset."},
    {"firewall", "user", GV_CONFIG_STRING, FIELD(firewall_user), "", 0, 32, NULL, false,
     "User that grapevine-firewall becomes when started as root; it keeps CAP_NET_ADMIN alone. "
     "Empty: as [node] user."},
    {"hooks", "exec", GV_CONFIG_STRING, FIELD(hook_exec), "", 0, 1000, NULL, false,
     "Program to run when a verdict or an action changes: an absolute path, not writable by "
     "others. "
     "It gets the changes as JSON on its standard input. Empty: none."},
    {"hooks", "webhook", GV_CONFIG_STRING, FIELD(webhook), "", 0, 1000, NULL, false,
     "URL to POST the same JSON to: https, or http on this host. Empty: none."},
    {"hooks", "webhook_key", GV_CONFIG_PATH, FIELD(webhook_key), "", 0, 0, NULL, false,
     "File with a secret of 64 hex digits (`openssl rand -hex 32`), for the header "
     "X-Grapevine-Signature. Empty: not signed."},
    {"hooks", "alert_mail", GV_CONFIG_STRING, FIELD(alert_mail), "", 0, 254, NULL, false,
     "Email address that gets a letter when an alert begins, and when it is over (`grapevine "
     "alerts`). Empty: none."},
    {"hooks", "alert_smtp", GV_CONFIG_STRING, FIELD(alert_smtp), "smtp://127.0.0.1", 1, 1000, NULL,
     false,
     "Mail server that takes these letters: smtp://HOST[:PORT] (with STARTTLS, but on this host), "
     "smtps://HOST[:PORT], or file:/FOLDER."},
    {"hooks", "timeout", GV_CONFIG_DURATION, FIELD(hook_timeout_s), "10s", 1, 300, NULL, false,
     "How long a program or a receiver may take."},
    {"hooks", "queue", GV_CONFIG_INT, FIELD(hook_queue), "10000", 100, 1000000, NULL, false,
     "Changes kept for a hook that does not take them; then the oldest are dropped."},
};
#define KEYS (sizeof keys / sizeof *keys)

size_t gv_options_enforce_keys(struct gv_config_key all[GV_OPTIONS_KEYS_MAX], size_t count)
{
    gv_assert(count + KEYS <= GV_OPTIONS_KEYS_MAX);
    memcpy(all + count, keys, sizeof keys);
    return count + KEYS;
}

static int wrong(struct gv_options_mistake *mistake, const char *section, const char *key)
{
    mistake->section = section;
    mistake->key = key;
    return GV_ERR_CONFIG;
}

static int check_ports(struct gv_options *o, struct gv_options_mistake *mistake)
{
    for (size_t i = 0; i < o->firewall_ports.count; i++) {
        const char *text = o->firewall_ports.items[i];
        char *end;
        unsigned long port = strtoul(text, &end, 10);
        if (*text < '1' || *text > '9' || *end || port > UINT16_MAX) {
            gv_fail(&mistake->what, 0, "\"%s\" will not do, write port numbers, e.g. 587, 993",
                    text);
            return wrong(mistake, "firewall", "ports");
        }
        o->firewall_port[i] = (uint16_t)port;
        for (size_t j = 0; j < i; j++)
            if (o->firewall_port[j] == port) {
                gv_fail(&mistake->what, 0, "%lu is named twice; remove one", port);
                return wrong(mistake, "firewall", "ports");
            }
    }
    return GV_OK;
}

static bool has_scheme(const char *url, const char *scheme)
{
    size_t len = strlen(scheme);

    return strncmp(url, scheme, len) == 0 && url[len] && url[len] != '/';
}

/* What goes over the wire in the clear must not leave the host. */
static bool is_local(const char *url)
{
    static const char *const hosts[] = {"http://127.0.0.1", "http://localhost", "http://[::1]"};

    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        size_t len = strlen(hosts[i]);
        if (strncmp(url, hosts[i], len) == 0 && (!url[len] || strchr(":/?", url[len])))
            return strchr(url, '@') == NULL;
    }
    return false;
}

static int check_hooks(const struct gv_options *o, struct gv_options_mistake *mistake)
{
    if (o->hook_exec && *o->hook_exec && *o->hook_exec != '/') {
        gv_fail(&mistake->what, 0,
                "\"%s\" is not an absolute path; write one, e.g. /usr/local/sbin/on-change",
                o->hook_exec);
        return wrong(mistake, "hooks", "exec");
    }
    if (o->webhook && *o->webhook && !has_scheme(o->webhook, "https://") && !is_local(o->webhook)) {
        gv_fail(&mistake->what, 0,
                "that will not do, write https://HOST/PATH; http only to 127.0.0.1, [::1] or "
                "localhost"); /* without the address, which may hold a secret: it may be logged */
        return wrong(mistake, "hooks", "webhook");
    }
    char email[GV_EMAIL_MAX + 1];
    if (o->alert_mail && *o->alert_mail &&
        gv_email_normalise(email, o->alert_mail, strlen(o->alert_mail)) != GV_OK) {
        gv_fail(&mistake->what, 0,
                "\"%s\" is not an email address; write one, e.g. "
                "postmaster@example.org",
                o->alert_mail);
        return wrong(mistake, "hooks", "alert_mail");
    }
    if (!gv_mail_url_fits(o->alert_smtp)) {
        gv_fail(&mistake->what, 0,
                "\"%s\" will not do, write smtp://HOST[:PORT], smtps://HOST[:PORT] or file:/FOLDER",
                o->alert_smtp);
        return wrong(mistake, "hooks", "alert_smtp");
    }
    return GV_OK;
}

int gv_options_check_enforce(struct gv_options *options, struct gv_options_mistake *mistake)
{
    int rc = check_ports(options, mistake);

    if (options->firewall_socket && strlen(options->firewall_socket) > 107) {
        gv_fail(&mistake->what, 0, "a path of a socket has at most 107 characters");
        return wrong(mistake, "firewall", "socket");
    }
    return rc == GV_OK ? check_hooks(options, mistake) : rc;
}

const char *gv_options_enforce_fixed_change(const struct gv_options *now,
                                            const struct gv_options *next)
{
    return strcmp(now->firewall_socket, next->firewall_socket) != 0 ? "[firewall] socket" : NULL;
}
