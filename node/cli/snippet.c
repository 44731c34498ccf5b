/* `grapevine snippet NAME`: what another program's configuration needs so that it asks this node.
 * Printed, never written: this host's programs are the admin's. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/base/keyfile.h"
#include "node/base/options.h"
#include "node/cli/command.h"

enum { OPTION_SERVER = 256 };

struct choice {
    const char *version; /* of Dovecot: "2.3" or "2.4" */
};

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct choice *choice = state->input;

    if (key != OPTION_SERVER)
        return ARGP_ERR_UNKNOWN;
    if (strcmp(value, "2.3") != 0 && strcmp(value, "2.4") != 0)
        argp_error(state, "--dovecot %s: write 2.3 or 2.4", value);
    choice->version = value;
    return 0;
}

/* "127.0.0.1:4729", "[::1]:4729" */
static void print_place(char out[300], const struct gv_config_host *host)
{
    bool six = strchr(host->host, ':') != NULL;

    snprintf(out, 300, "%s%s%s:%u", six ? "[" : "", host->host, six ? "]" : "", host->port);
}

static int dovecot(const struct gv_options *options, const struct choice *choice)
{
    char place[300], path[4096], key[2 * GV_SECRET_LEN + 1], nonce[33];
    uint8_t secret[GV_SECRET_LEN], random[16];
    struct gv_text error = {""};
    bool old = strcmp(choice->version, "2.3") == 0;

    if (options->http_listen.count == 0) {
        fprintf(stderr, "grapevine: nothing listens for Dovecot; set [http] listen = "
                        "127.0.0.1:4729 and restart grapevined\n");
        return EX_CONFIG;
    }
    snprintf(path, sizeof path, "%s/dovecot.key", options->data);
    int rc = gv_keyfile_read(secret, path, &error);
    if (rc != GV_OK) {
        fprintf(stderr, "grapevine: %s%s\n", error.text[0] ? error.text : gv_strerror(rc),
                rc == GV_ERR_NOT_FOUND ? "; grapevined makes it when it starts with [http] listen"
                                       : "");
        return rc == GV_ERR_NOT_FOUND ? EX_NOINPUT : EX_NOPERM;
    }
    gv_hex(key, secret, sizeof secret);
    gv_wipe(secret, sizeof secret);
    randombytes_buf(random, sizeof random);
    gv_hex(nonce, random, sizeof random);
    print_place(place, &options->http_listen.items[0]);
    printf("# /etc/dovecot/conf.d/99-grapevine.conf, mode 0600: it holds a key\n"
           "auth_policy_server_url = http://%s/dovecot\n"
           "auth_policy_server_api_header = X-Api-Key: %s\n"
           "auth_policy_hash_nonce = %s\n"
           "auth_policy_check_before_auth = yes\n"
           "auth_policy_check_after_auth = yes\n"
           "auth_policy_report_after_auth = yes\n"
           "# longer than grapevine lets parallel guesses wait for each other\n"
           "%s"
           "# a node that is down lets everybody in\n"
           "auth_policy_reject_on_fail = no\n",
           place, key, nonce,
           old ? "auth_policy_server_timeout_msecs = 8000\n"
               : "auth_policy {\n  http_client_request_absolute_timeout = 8s\n}\n");
    gv_wipe(key, sizeof key);
    if (old)
        printf("auth_policy_request_attributes = login=%%{requested_username} "
               "pwhash=%%{hashed_password} remote=%%{rip} protocol=%%s session_id=%%{session} "
               "mech=%%{mech}\n");
    else
        printf("auth_policy_request_attributes {\n  login = %%{requested_username}\n"
               "  pwhash = %%{hashed_password}\n  remote = %%{remote_ip}\n"
               "  protocol = %%{protocol}\n  session_id = %%{session}\n"
               "  mech = %%{mechanism}\n  fail_type = %%{fail_type}\n}\n");
    return 0;
}

static int need_dns(const struct gv_options *options, char place[300])
{
    if (options->dnsbl_listen.count == 0) {
        fprintf(stderr, "grapevine: nothing answers DNS; set [dnsbl] listen = 127.0.0.1:4753 and "
                        "restart grapevined\n");
        return EX_CONFIG;
    }
    print_place(place, &options->dnsbl_listen.items[0]);
    return 0;
}

/* No port can be named in Postfix or the system's resolver, so a resolver on this host passes the
 * two zones on. */
static int unbound(const struct gv_options *options, const struct choice *choice)
{
    char place[300];
    int rc = need_dns(options, place);

    (void)choice;
    if (rc != 0)
        return rc;
    char *colon = strrchr(place, ':');
    *colon = '@';
    printf("# /etc/unbound/unbound.conf.d/grapevine.conf\n"
           "server:\n"
           "    do-not-query-localhost: no\n"
           "    domain-insecure: \"grapevine\"\n"
           "    local-zone: \"grapevine.\" nodefault\n"
           "stub-zone:\n"
           "    name: \"grapevine\"\n"
           "    stub-addr: %s\n"
           "    stub-no-cache: yes\n",
           place);
    return 0;
}

static int postfix(const struct gv_options *options, const struct choice *choice)
{
    char place[300];
    int rc = need_dns(options, place);

    (void)choice;
    if (rc != 0)
        return rc;
    printf(
        "# /etc/postfix/master.cf: in the submission service only, never on port 25. Postfix asks "
        "the\n# system's resolver: see `grapevine snippet unbound`.\n"
        "submission inet n - y - - smtpd\n"
        "  -o smtpd_client_restrictions=reject_rbl_client,refuse.grapevine=127.0.0.3\n"
        "# For scoring on port 25, in main.cf:\n"
        "#postscreen_dnsbl_sites = untrusted.grapevine=127.0.0.2*1\n");
    return 0;
}

static int exim(const struct gv_options *options, const struct choice *choice)
{
    char place[300];
    int rc = need_dns(options, place);

    (void)choice;
    if (rc != 0)
        return rc;
    printf("# /etc/exim4/exim4.conf, before \"begin acl\". Exim asks the system's resolver: see\n"
           "# `grapevine snippet unbound`. Where it leaves passwords to Dovecot, see\n"
           "# `grapevine snippet dovecot` instead.\n"
           "acl_smtp_auth = grapevine_auth\n"
           "# behind \"begin acl\":\n"
           "grapevine_auth:\n"
           "  deny message = 535 5.7.8 Refused by grapevine: $dnslist_text\n"
           "       dnslists = refuse.grapevine=127.0.0.3\n"
           "  accept\n");
    return 0;
}

static int rspamd(const struct gv_options *options, const struct choice *choice)
{
    char place[300];
    int rc = need_dns(options, place);

    (void)choice;
    if (rc != 0)
        return rc;
    printf(
        "# /etc/rspamd/local.d/rbl.conf\n"
        "rbls {\n  grapevine {\n    rbl = \"untrusted.grapevine\";\n    ipv6 = true;\n"
        "    from = true;\n    symbol = \"GRAPEVINE_UNTRUSTED\";\n"
        "    returncodes { GRAPEVINE_UNTRUSTED = \"127.0.0.2\"; }\n  }\n}\n"
        "# rspamd asks the system's resolver: see `grapevine snippet unbound`. Where it needs no "
        "other name,\n# in /etc/rspamd/local.d/options.inc:\n"
        "#dns { nameserver = [\"%s\"]; }\n",
        place);
    return 0;
}

/* No program's configuration but this node's own, and the service that holds the right. */
static int nftables(const struct gv_options *options, const struct choice *choice)
{
    (void)choice;
    printf("# /etc/grapevine/grapevine.conf: add nftables to what [policy] enforce lists\n"
           "[policy]\nenforce = nftables\n"
           "[firewall]\nports = ");
    for (size_t i = 0; i < options->firewall_ports.count; i++)
        printf("%s%u", i ? ", " : "", options->firewall_port[i]);
    printf("\n\n# then, as root:\n"
           "#   systemctl enable --now grapevine-firewall\n"
           "#   systemctl reload grapevine\n"
           "#   nft list table inet grapevine     shows what is held back\n"
           "#   grapevine-firewall --remove       takes it all out again\n");
    return 0;
}

int gv_cli_snippet(struct gv_cli *cli, int argc, char **argv)
{
    static const struct argp_option options_list[] = {
        {"dovecot", OPTION_SERVER, "2.3|2.4", 0, "Dovecot's version (default 2.3)", 0}, {0}};
    static const struct {
        const char *name;
        int (*print)(const struct gv_options *options, const struct choice *choice);
    } snippets[] = {{"dovecot", dovecot}, {"postfix", postfix}, {"exim", exim},
                    {"rspamd", rspamd},   {"unbound", unbound}, {"nftables", nftables}};
    const char *path = cli->config_path ? cli->config_path : GV_OPTIONS_PATH;
    struct choice choice = {"2.3"};
    struct gv_options options;
    struct gv_buf errors;
    const char *name;

    gv_cli_parse(cli,
                 &(struct gv_cli_spec){
                     .options = options_list,
                     .arguments = "dovecot|postfix|exim|rspamd|unbound|nftables",
                     .doc = "Prints what another program's configuration needs to ask this node, "
                            "or this node to write nftables. Nothing is written.",
                     .parse = parse,
                     .input = &choice,
                     .least = 1,
                     .most = 1},
                 argc, argv, &name);
    gv_buf_init(&errors);
    int rc = gv_options_load(&options, path, &errors);
    if (errors.len > 0)
        fwrite(errors.data, 1, errors.len, stderr);
    gv_buf_free(&errors);
    if (rc != GV_OK)
        return EX_CONFIG;
    rc = EX_USAGE;
    for (size_t i = 0; i < sizeof snippets / sizeof *snippets; i++)
        if (strcmp(snippets[i].name, name) == 0) {
            rc = snippets[i].print(&options, &choice);
            gv_options_free(&options);
            return rc;
        }
    gv_options_free(&options);
    fprintf(stderr, "grapevine snippet: there is none for this name; write dovecot, postfix, exim, "
                    "rspamd, unbound or nftables\n");
    return rc;
}
