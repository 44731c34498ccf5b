/* grapevine-registry init: a new network in a new folder. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <errno.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/base/arguments.h"
#include "node/base/config.h"
#include "node/base/file.h"
#include "node/base/keyfile.h"
#include "node/registry/commands.h"
#include "node/registry/registrar.h"

#define SERVICE_FOLDER "/var/lib/grapevine-registry" /* of the package's unit */
#define MESH_PORT      "4727"

struct init {
    const char *folder, *listen, *mail;
    bool invited;
    struct gv_descriptor descriptor;
};

enum { OPTION_LAB = 256, OPTION_URL, OPTION_SEED, OPTION_LISTEN, OPTION_MAIL, OPTION_INVITED };

static const struct argp_option options[] = {
    {"data", 'd', "DIR", 0,
     "Folder for keys, descriptor, terms, config (default: " SERVICE_FOLDER
     " where that is, or ./NAME)",
     0},
    {"name", 'n', "NAME", 0, "Another way to give NAME", 0},
    {"lab", OPTION_LAB, NULL, 0, "A network for tests: verdicts at once, documentation ranges", 0},
    {"invited", OPTION_INVITED, NULL, 0, "Admit the invited only (grapevine-registry invite)", 0},
    {"url", OPTION_URL, "URL", 0, "Where nodes reach the registry (default: http://LISTEN)", 0},
    {"seed", OPTION_SEED, "HOST:PORT", 0,
     "A node to join through; may be given several times (default: port 4727 at the URL's host, "
     "unless that is this host alone)",
     0},
    {"listen", OPTION_LISTEN, "ADDR:PORT", 0, "Address to answer on (127.0.0.1:4728)", 0},
    {"mail", OPTION_MAIL, "URL", 0, "smtp://HOST, smtps://HOST or file:/FOLDER", 0},
    {0}};

static void take_name(struct init *init, const char *name, struct argp_state *state)
{
    if (*init->descriptor.name)
        argp_error(state, "%s: one name only", name);
    if (strlen(name) > GV_NETWORK_NAME_MAX || !*name ||
        name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-")])
        argp_error(state, "%s: write 1 to %d of a-z, 0-9 and - as the name", name,
                   GV_NETWORK_NAME_MAX);
    snprintf(init->descriptor.name, sizeof init->descriptor.name, "%s", name);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct init *init = state->input;
    struct gv_config_host host;

    switch (key) {
    case 'd':
        init->folder = arg;
        return 0;
    case 'n':
    case ARGP_KEY_ARG:
        take_name(init, arg, state);
        return 0;
    case OPTION_LAB:
        init->descriptor.lab = true;
        return 0;
    case OPTION_INVITED:
        init->invited = true;
        return 0;
    case OPTION_URL:
        if (!gv_set_url(&init->descriptor, arg))
            argp_error(state, "--url %s: write http://HOST[:PORT] or https://HOST[:PORT]", arg);
        return 0;
    case OPTION_SEED:
        if (!gv_set_seed(&init->descriptor, arg))
            argp_error(state, "--seed %s: write HOST:PORT, at most %d of them", arg,
                       GV_DESCRIPTOR_SEEDS);
        return 0;
    case OPTION_LISTEN:
        if (gv_config_host_parse(&host, arg, false) != GV_OK)
            argp_error(state, "--listen %s: write ADDRESS:PORT", arg);
        init->listen = arg;
        return 0;
    case OPTION_MAIL:
        if (!gv_mail_url_fits(arg))
            argp_error(state, "--mail %s: write smtp://HOST, smtps://HOST or file:/FOLDER", arg);
        init->mail = arg;
        return 0;
    case ARGP_KEY_END:
        if (!*init->descriptor.name)
            argp_error(state, "which NAME shall the network have?");
        if (!init->folder)
            init->folder =
                access(SERVICE_FOLDER, F_OK) == 0 ? SERVICE_FOLDER : init->descriptor.name;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    options,
    parse,
    "NAME",
    "Makes a new network: root key, registry key, descriptor, terms and config in a new folder.",
    NULL,
    NULL,
    NULL};

/* ---- what is not said ----------------------------------------------------------------------- */

static const char *listen_at(const struct init *init)
{
    return init->listen ? init->listen : "127.0.0.1:4728";
}

/* "https://host:1", "http://[::1]" */
static void host_of(char out[GV_HOST_MAX + 1], const char *url)
{
    const char *host = strstr(url, "://");

    host = host ? host + 3 : url;
    size_t len = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/");
    snprintf(out, GV_HOST_MAX + 1, "%.*s", (int)(len > strlen(host) ? strlen(host) : len), host);
}

static bool is_this_host(const char *host)
{
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "localhost") == 0 ||
           strcmp(host, "[::1]") == 0;
}

/* A private mesh mostly has a node where its registry is, so newcomers begin there. */
static void fill_in(struct init *init)
{
    struct gv_descriptor *descriptor = &init->descriptor;
    char host[GV_HOST_MAX + 1], seed[GV_HOST_MAX + 8];

    if (!*descriptor->registry_url)
        snprintf(descriptor->registry_url, sizeof descriptor->registry_url, "http://%.240s",
                 listen_at(init));
    host_of(host, descriptor->registry_url);
    snprintf(seed, sizeof seed, "%s:" MESH_PORT, host);
    if (descriptor->seed_count == 0 && !is_this_host(host))
        (void)gv_set_seed(descriptor, seed);
}

int gv_become_owner(const char *folder, struct gv_text *why)
{
    struct stat st;

    if (geteuid() != 0 || stat(folder, &st) != 0 || st.st_uid == 0)
        return GV_OK;
    if (setgroups(0, NULL) != 0 || setresgid(st.st_gid, st.st_gid, st.st_gid) != 0 ||
        setresuid(st.st_uid, st.st_uid, st.st_uid) != 0)
        return gv_fail(why, GV_ERR_IO, "%s: cannot become its owner: %s", folder, strerror(errno));
    return GV_OK;
}

static int make_key(uint8_t secret[GV_SECRET_LEN], const char *folder, const char *name,
                    struct gv_text *why)
{
    char *path = gv_data_path(folder, name);
    int rc = path ? gv_keyfile_create(secret, path, why) : GV_ERR_MEMORY;

    free(path);
    return rc;
}

static int make_keys(struct gv_identity *root, struct gv_identity *registry, const char *folder,
                     struct gv_text *why)
{
    uint8_t secret[GV_SECRET_LEN];
    int rc = make_key(secret, folder, GV_FILE_ROOT_KEY, why);

    if (rc == GV_OK) {
        gv_identity_from_secret(root, secret);
        rc = make_key(secret, folder, GV_FILE_REGISTRY_KEY, why);
    }
    if (rc == GV_OK) {
        gv_identity_from_secret(registry, secret);
        rc = make_key(secret, folder, GV_FILE_OWNER_KEY, why);
    }
    if (rc == GV_OK)
        rc = make_key(secret, folder, GV_FILE_EMAIL_KEY, why);
    gv_wipe(secret, sizeof secret);
    return rc;
}

static int write_text(const char *folder, const char *name, const char *text, mode_t mode,
                      struct gv_text *why)
{
    char *path = gv_data_path(folder, name);
    int rc = path ? gv_file_write(path, text, strlen(text), mode, why) : GV_ERR_MEMORY;

    free(path);
    return rc;
}

static bool behind_proxy(const struct init *init)
{
    return strncmp(init->descriptor.registry_url, "https:", 6) == 0;
}

static const char *mail_url(const struct init *init)
{
    return init->mail ? init->mail : "smtp://localhost";
}

/* An address of the registry's own domain, where its URL has one: mails from nowhere are refused by
 * most. "": it has none. */
static void sender_of(char out[GV_EMAIL_MAX + 1], const struct init *init)
{
    char host[GV_HOST_MAX + 1];

    host_of(host, init->descriptor.registry_url);
    size_t len = strlen(host);
    bool name = len > 0 && len < GV_EMAIL_MAX - strlen("grapevine@") && strchr(host, '.') &&
                host[0] != '[' && strchr("0123456789", host[len - 1]) == NULL;
    snprintf(out, GV_EMAIL_MAX + 1, "%s%.240s", name ? "grapevine@" : "", name ? host : "");
}

static int write_config(const struct init *init, struct gv_text *why)
{
    static const char proxy_hint[] =
        "; https:// by this registry itself, with copies that its user may read (certbot's own\n"
        "; are root's alone; its --deploy-hook makes them):\n"
        ";tls_certificate = tls/fullchain.pem\n"
        ";tls_key = tls/privkey.pem\n"
        "; Or the address of the TLS proxy before it, as the registry sees it. Needed then, or\n"
        "; all nodes share the proxy's limits and network group; the proxy must set the header\n"
        "; X-Forwarded-For to its client's address. For one on this host:\n"
        ";trusted_proxy = 127.0.0.1\n";
    char text[2048], sender[GV_EMAIL_MAX + 1];

    sender_of(sender, init);
    int len = snprintf(
        text, sizeof text,
        "; Registry of the network %s. All keys: grapevine-registry --help-config\n"
        "[registry]\ndata = .\nlisten = %s\n%s%s\n[mail]\nurl = %s\n"
        "; The sender: an address that this mail server lets this host send from.\n%sfrom = %s\n",
        init->descriptor.name, listen_at(init), init->invited ? "enrolment = invited\n" : "",
        behind_proxy(init) ? proxy_hint : "", mail_url(init), *sender ? "" : ";",
        *sender ? sender : "grapevine@example.org");
    if (len < 0 || (size_t)len >= sizeof text)
        return gv_fail(why, GV_ERR_RANGE, "--mail is too long");
    return write_text(init->folder, GV_FILE_CONFIG, text, 0600, why);
}

static int make_network(struct init *init, struct gv_text *why)
{
    struct gv_descriptor *descriptor = &init->descriptor;
    struct gv_identity root, registry;
    char *existing = gv_data_path(init->folder, GV_FILE_DESCRIPTOR);
    int rc = GV_ERR_MEMORY;

    if (!existing)
        goto out;
    rc = gv_file_folder(init->folder, 0700, why);
    if (rc == GV_OK && access(existing, F_OK) == 0)
        rc = gv_fail(why, GV_ERR_DUPLICATE,
                     "%s: there is a network in this folder already; choose "
                     "another --data",
                     existing);
    if (rc == GV_OK)
        rc = make_keys(&root, &registry, init->folder, why);
    if (rc != GV_OK)
        goto out;
    descriptor->genesis_min = descriptor->activation_min = gv_now_min();
    descriptor->version = 1;
    memcpy(descriptor->root_key, root.sign_public, GV_KEY_LEN);
    gv_policy_default(&descriptor->policy, descriptor->lab);
    snprintf(descriptor->terms, sizeof descriptor->terms, "%s", GV_DEFAULT_TERMS_VERSION);
    rc = gv_set_registry_key(descriptor, registry.sign_public, descriptor->genesis_min);
    if (rc == GV_OK)
        rc = write_text(init->folder, GV_FILE_TERMS, gv_default_terms, 0644, why);
    if (rc == GV_OK)
        rc = write_config(init, why);
    if (rc == GV_OK) /* last: its being there means that all is */
        rc = gv_write_descriptor(descriptor, init->folder, root.sign_secret, why);
    gv_identity_wipe(&root);
    gv_identity_wipe(&registry);
out:
    free(existing);
    return rc;
}

static void say_what_next(const struct init *init)
{
    const struct gv_descriptor *d = &init->descriptor;
    char id[2 * GV_KEY_LEN + 1], host[GV_HOST_MAX + 1], sender[GV_EMAIL_MAX + 1];
    bool service = strcmp(init->folder, SERVICE_FOLDER) == 0;

    gv_hex(id, d->network_id, GV_KEY_LEN);
    host_of(host, d->registry_url);
    printf("network %s %s\ndescriptor %s/" GV_FILE_DESCRIPTOR "\n", d->name, id, init->folder);
    for (size_t i = 0; i < d->seed_count; i++)
        printf("seed %s\n", d->seeds[i]);
    printf("Keep %s/" GV_FILE_ROOT_KEY " safe, best on another machine: it is the network.\n",
           init->folder);
    if (service)
        printf("Start with: systemctl start grapevine-registry\n");
    else
        printf("Start with: grapevine-registry serve --config %s/" GV_FILE_CONFIG "\n",
               init->folder);
    sender_of(sender, init);
    if (strncmp(mail_url(init), "file:", 5) != 0)
        printf("Codes go out by %s from %s: [mail] url and from in that file.\n", mail_url(init),
               *sender ? sender : "an address that has yet to be set");
    if (init->invited)
        printf("An invitation for each: grapevine-registry invite --data %s\n", init->folder);
    printf("On each mail server then: grapevine setup --registry %s\n", d->registry_url);
    if (is_this_host(host))
        printf("That address is this host's alone; --listen and --url name another.\n");
    if (d->seed_count == 0)
        printf("Once a node runs, name it: grapevine-registry descriptor --data %s --seed "
               "HOST:" MESH_PORT "\n",
               init->folder);
    if (behind_proxy(init))
        printf("Its https:// is done by this registry with [registry] tls_certificate and tls_key, "
               "or by a proxy before it: then set trusted_proxy to the proxy's address.\n");
}

int gv_command_init(int argc, char **argv)
{
    struct init *init = calloc(1, sizeof *init);
    struct gv_text why = {"out of memory"};

    if (!init)
        return gv_complain(GV_ERR_MEMORY, &why);
    gv_arguments(&argp, argc, argv, 0, init);
    fill_in(init);
    int rc = gv_become_owner(init->folder, &why);
    if (rc == GV_OK)
        rc = make_network(init, &why);
    if (rc == GV_OK)
        say_what_next(init);
    free(init);
    return rc == GV_OK ? EX_OK : gv_complain(rc, &why);
}
