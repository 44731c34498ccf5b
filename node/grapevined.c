/* grapevined: the node. Puts together host (core, net, store, registry), ingest (mail logs) and
 * serve (control socket), and turns signals into stop and reload. */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/base/arguments.h"
#include "node/base/fetch.h"
#include "node/base/file.h"
#include "node/base/keyfile.h"
#include "node/base/log.h"
#include "node/base/options.h"
#include "node/base/privileges.h"
#include "node/host/driver.h"
#include "node/host/interfaces.h"
#include "node/host/membership.h"
#include "node/host/supervisor.h"
#include "node/logs.h"
#include "node/serve/api.h"
#include "node/serve/flow_share.h"
#include "node/serve/surfaces.h"

#define INTERFACES_EVERY_MS 3600000u
#define STOP_GRACE_S        8u
#define FILES_BESIDE        256u /* open files beside connections: logs, store, control socket */

const char *argp_program_version = "grapevined " GV_VERSION;

struct node {
    uv_loop_t loop;
    const char *config_path;
    struct gv_options options;
    struct gv_options started; /* what it started with, once another was read; or all zero */
    int data_fd;               /* the data folder, locked */
    struct gv_identity identity;
    bool fresh_key;
    struct gv_persist *persist;
    struct gv_membership *membership;
    struct gv_driver *driver;
    struct gv_api *api;
    struct gv_logs logs;
    struct gv_surfaces *surfaces;
    struct gv_flow_share *flow_share;
    uv_signal_t on_term, on_int, on_hup;
    uv_timer_t interfaces, watchdog;
    struct gv_prefix own[GV_INTERFACES_MAX];
    size_t own_count;
    bool stopping;
    bool in_vain; /* told: [node] advertise is an address that others cannot dial */
    int exit_code;
};

/* ---- enforcement ---------------------------------------------------------------------------- */

static void on_about(void *context, const struct gv_subject *subject)
{
    struct node *node = context;

    gv_surfaces_about(node->surfaces, subject);
}

static void on_storing(void *context)
{
    gv_logs_keep(&((struct node *)context)->logs);
}

static void on_lists_changed(void *context, const struct gv_prefix *prefix)
{
    struct node *node = context;

    gv_surfaces_lists(node->surfaces, prefix);
}

static json_t *enforcement_json(void *context)
{
    const struct node *node = context;

    return gv_surfaces_json(node->surfaces);
}

static int open_surfaces(struct node *node, struct gv_text *error)
{
    uint8_t key[GV_ACCOUNT_KEY_LEN];

    gv_logs_account_key(&node->logs, key);
    int rc = gv_surfaces_start(&node->surfaces,
                               &(struct gv_surfaces_options){.loop = &node->loop,
                                                             .core = gv_driver_core(node->driver),
                                                             .options = &node->options,
                                                             .account_key = key,
                                                             .api = node->api,
                                                             .driver = node->driver,
                                                             .logs = gv_logs_json,
                                                             .store_key = node->identity.store_key,
                                                             .context = &node->logs,
                                                             .observe = gv_logs_observe},
                               error);
    gv_wipe(key, sizeof key);
    node->logs.surfaces = node->surfaces;
    return rc;
}

/* ---- settings ------------------------------------------------------------------------------- */

/* Hands the settings of `options` to the core. */
static int configure(struct node *node, const struct gv_options *options)
{
    struct gv_settings settings;
    struct gv_prefix *allow = NULL;
    struct gv_event event = {.kind = GV_EVENT_COMMAND,
                             .command = {.command = GV_COMMAND_CONFIGURE, .settings = &settings}};

    int rc = gv_options_settings(&settings, &allow, options, node->own, node->own_count);
    if (rc == GV_OK)
        rc = gv_driver_event(node->driver, &event);
    free(allow);
    return rc;
}

/* At the start, when a descriptor comes, and when the settings change. */
static void on_network_known(void *context)
{
    struct node *node = context;
    const struct gv_descriptor *network = gv_core_descriptor(gv_driver_core(node->driver));
    char address[GV_ADDRESS_TEXT];

    bool in_vain = network && gv_options_advertise_in_vain(&node->options, network->lab);
    if (in_vain && !node->in_vain) {
        gv_address_text(address, &node->options.advertised);
        gv_log(GV_LOG_WARNING,
               "[node] advertise: %s is not a public address, and the network \"%s\" is no lab: "
               "others cannot dial it; write this host's public address, or leave it empty",
               address, network->name);
    }
    node->in_vain = in_vain;
}

static void on_interfaces(uv_timer_t *timer)
{
    struct node *node = timer->data;
    struct gv_prefix own[GV_INTERFACES_MAX];

    size_t count = gv_interfaces_read(own);
    if (count == node->own_count && memcmp(own, node->own, count * sizeof *own) == 0)
        return;
    memcpy(node->own, own, count * sizeof *own);
    node->own_count = count;
    gv_log(GV_LOG_INFO, "this host's addresses have changed");
    configure(node, &node->options);
}

static void log_lines(enum gv_log_level level, const struct gv_buf *lines)
{
    for (size_t at = 0; at < lines->len;) {
        const uint8_t *end = memchr(lines->data + at, '\n', lines->len - at);
        size_t len = end ? (size_t)(end - lines->data) - at : lines->len - at;
        gv_log(level, "%.*s", (int)len, (const char *)lines->data + at);
        at += len + 1;
    }
}

/* `become`: also gives up what the configuration's user may not, before anything of others' is
 * looked at. The host is looked at as that user. */
static int load_options(struct gv_options *options, const char *path, const char *user, bool become,
                        struct gv_buf *errors)
{
    struct gv_text why = {""};
    int rc = gv_options_load_own(options, path, errors);

    if (rc != GV_OK)
        return rc;
    if (become) {
        rc = gv_privileges_drop(
            &(struct gv_privileges){.user = user ? user : options->user,
                                    .groups = (const char *const *)options->groups.items,
                                    .group_count = options->groups.count,
                                    .control_group = options->control_group,
                                    .folder = options->data},
            &why);
        if (rc != GV_OK) {
            gv_buf_append(errors, why.text, strlen(why.text));
            gv_buf_append(errors, "\n", 1);
        }
    }
    if (rc == GV_OK)
        rc = gv_options_check_host(options, path, errors);
    if (rc != GV_OK)
        gv_options_free(options);
    return rc;
}

static bool shares_flow(const struct gv_options *options)
{
    return options->share == GV_SHARE_YES && options->share_statistics;
}

/* A new configuration is taken whole or not at all. */
static int reload(void *context, struct gv_text *error)
{
    struct node *node = context;
    struct gv_options next;
    struct gv_buf errors;
    struct gv_text why = {""};

    gv_buf_init(&errors);
    int rc = load_options(&next, node->config_path, NULL, false, &errors);
    if (rc == GV_OK) {
        rc = configure(node, &next);
        if (rc != GV_OK)
            gv_options_free(&next);
    }
    if (rc != GV_OK) {
        log_lines(GV_LOG_ERROR, &errors);
        gv_log(GV_LOG_ERROR, "the configuration is not valid; the old one stays in force");
        gv_fail(error, rc, "%.*s", errors.len ? (int)errors.len - 1 : 0,
                errors.len ? (const char *)errors.data : "");
        gv_buf_free(&errors);
        return rc;
    }
    gv_buf_free(&errors);
    bool logs_changed = !gv_logs_same(&node->options, &next);
    if (node->started.data)
        gv_options_free(&node->options);
    else
        node->started = node->options;
    node->options = next;
    const char *fixed = gv_options_fixed_change(&node->started, &next);
    if (fixed)
        gv_log(GV_LOG_WARNING, "%s has changed: that takes effect at the next start", fixed);
    gv_log_set_level(GV_LOG_LEVEL_OF_INDEX(next.level));
    gv_driver_set_incoming_max(node->driver, (unsigned)next.connections);
    gv_surfaces_configure(node->surfaces, &node->options);
    gv_flow_share_switch(node->flow_share, shares_flow(&node->options));
    gv_api_set_settings(node->api, gv_options_json(&next, &node->started, node->config_path));
    on_network_known(node);
    if (logs_changed && gv_logs_follow(&node->logs, &node->options, &why) != GV_OK)
        gv_log(GV_LOG_ERROR, "%s", why.text);
    gv_log(GV_LOG_NOTICE, "configuration reloaded from %s", node->config_path);
    return GV_OK;
}

/* ---- stopping ------------------------------------------------------------------------------- */

static void close_handle(uv_handle_t *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

/* The goodbyes are out. Everything closes, and the loop runs dry. Signals are caught to the end all
 * the same, without holding the loop: an impatient second one must not kill a daemon that stops. */
static void on_stopped(void *context)
{
    struct node *node = context;

    gv_membership_free(node->membership);
    node->membership = NULL;
    gv_flow_share_stop(node->flow_share);
    node->flow_share = NULL;
    gv_surfaces_stop(node->surfaces); /* serves the API too */
    node->surfaces = node->logs.surfaces = NULL;
    gv_api_stop(node->api);
    node->api = NULL;
    gv_driver_free(node->driver);
    node->driver = NULL;
    uv_unref((uv_handle_t *)&node->on_term);
    uv_unref((uv_handle_t *)&node->on_int);
    uv_unref((uv_handle_t *)&node->on_hup);
    close_handle((uv_handle_t *)&node->interfaces);
}

static void count_handle(uv_handle_t *handle, void *context)
{
    size_t *others = context;

    *others += handle->type != UV_SIGNAL;
}

/* A resolver that hangs in a thread must not hold up a shutdown: all is stored by then. */
static void on_alarm(int signal)
{
    (void)signal;
    _exit(0);
}

static void begin_stop(struct node *node)
{
    if (node->stopping)
        return;
    node->stopping = true;
    gv_supervisor_stopping(&node->watchdog);
    signal(SIGALRM, on_alarm);
    alarm(STOP_GRACE_S);
    gv_logs_stop(&node->logs);
    gv_driver_stop(node->driver, on_stopped);
}

static void on_stop_signal(uv_signal_t *handle, int signal)
{
    struct node *node = handle->data;

    if (!node->stopping)
        gv_log(GV_LOG_NOTICE, "%s: stopping", signal == SIGTERM ? "SIGTERM" : "SIGINT");
    begin_stop(node);
}

static void on_reload_signal(uv_signal_t *handle, int signal)
{
    struct node *node = handle->data;

    (void)signal;
    if (node->stopping)
        return;
    gv_supervisor_reloading();
    (void)reload(node, NULL);
    gv_supervisor_reloaded();
}

static void on_broken(void *context, const char *why)
{
    struct node *node = context;

    (void)why; /* logged */
    node->exit_code = EX_OSERR;
    if (node->driver)
        begin_stop(node);
}

static void on_recorded(void *context, const uint8_t id[GV_ID_LEN])
{
    struct node *node = context;

    if (node->api)
        gv_api_recorded(node->api, id);
}

/* ---- starting ------------------------------------------------------------------------------- */

/* Prints the sentence and gives the exit code that belongs to the error. */
static int failed(int error, const struct gv_text *why)
{
    gv_log(GV_LOG_ERROR, "%s", why->text[0] ? why->text : gv_strerror(error));
    switch (error) {
    case GV_ERR_CONFIG:
    case GV_ERR_NETWORK:
    case GV_ERR_NOT_FOUND:
        return EX_CONFIG;
    case GV_ERR_BUSY:
        return EX_UNAVAILABLE;
    case GV_ERR_FORBIDDEN:
        return EX_NOPERM;
    case GV_ERR_IO:
        return EX_IOERR;
    case GV_ERR_MEMORY:
        return EX_OSERR;
    default:
        return EX_DATAERR;
    }
}

/* One daemon to a data folder: two with one key would contradict each other before the mesh. */
static int take_data_folder(struct node *node, struct gv_text *error)
{
    const char *path = node->options.data;

    int rc = gv_file_folder(path, 0700, error);
    if (rc == GV_OK)
        rc = gv_keyfile_own_folder(path, error);
    if (rc != GV_OK)
        return rc;
    node->data_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (node->data_fd < 0 && errno == EACCES)
        return gv_fail(error, GV_ERR_FORBIDDEN,
                       "%s: not for the user with id %u, as whom this daemon runs; run: chown -R "
                       "%u %s",
                       path, (unsigned)geteuid(), (unsigned)geteuid(), path);
    if (node->data_fd < 0)
        return gv_fail(error, GV_ERR_IO, "%s: %s; see [node] data", path, strerror(errno));
    if (flock(node->data_fd, LOCK_EX | LOCK_NB) != 0)
        return gv_fail(error, GV_ERR_BUSY,
                       "%s is in use by another grapevined; stop that one, or set another [node] "
                       "data",
                       path);
    return GV_OK;
}

static int open_store(struct node *node, struct gv_text *error)
{
    uint8_t secret[GV_SECRET_LEN];
    char path[4096];

    snprintf(path, sizeof path, "%s/key", node->options.data);
    int rc = gv_keyfile_ensure(secret, &node->fresh_key, path, error);
    if (rc != GV_OK)
        return rc;
    gv_identity_from_secret(&node->identity, secret);
    gv_wipe(secret, sizeof secret);
    snprintf(path, sizeof path, "%s/store.db", node->options.data);
    return gv_persist_open(&node->persist, path, node->identity.store_key, error);
}

static int join_network(struct node *node, struct gv_text *error)
{
    const struct gv_options *options = &node->options;

    return gv_membership_new(&node->membership,
                             &(struct gv_membership_options){
                                 .loop = &node->loop,
                                 .folder = options->data,
                                 .descriptor_path = options->descriptor,
                                 .registry_url = options->registry,
                                 .registry_ca = options->registry_ca,
                                 .bind_address = options->bind_text[0] ? options->bind_text : NULL,
                                 .network_id = options->has_id ? options->network_id : NULL,
                                 .identity = &node->identity,
                                 .network_known = on_network_known,
                                 .context = node,
                             },
                             error);
}

static int start_driver(struct node *node, struct gv_text *error)
{
    const struct gv_options *options = &node->options;
    struct gv_prefix *allow = NULL;
    struct gv_driver_options driver = {
        .loop = &node->loop,
        .core = {.identity = &node->identity,
                 .certificate = gv_membership_certificate(node->membership),
                 .statements_max = (size_t)options->statements,
                 .bytes_per_hour = (uint64_t)options->traffic_kb * 1000,
                 .history_max = (size_t)options->history},
        .net = {.listen = options->listen_at,
                .listen_count = options->listen.count,
                .bind = options->bind_to,
                .bind_count = options->bind.count,
                .incoming_max = (unsigned)options->connections},
        .persist = node->persist,
        .fresh_key = node->fresh_key,
        .telemetry_ms = (uint64_t)options->telemetry_s * 1000,
        .journal_ms = (uint64_t)options->journal_s * 1000,
        .statistics_ms = (uint64_t)options->statistics_s * 1000,
        .context = node,
        .broken = on_broken,
        .recorded = on_recorded,
        .about = on_about,
        .storing = on_storing,
    };

    driver.core.descriptor =
        gv_membership_descriptor(node->membership, &driver.core.descriptor_len);
    node->own_count = gv_interfaces_read(node->own);
    int rc =
        gv_options_settings(&driver.core.settings, &allow, options, node->own, node->own_count);
    if (rc == GV_OK)
        rc = gv_driver_new(&node->driver, &driver, error);
    free(allow);
    return rc;
}

static int start(struct node *node, struct gv_text *error)
{
    int rc = take_data_folder(node, error);

    if (rc == GV_OK)
        rc = open_store(node, error);
    if (rc == GV_OK)
        rc = join_network(node, error);
    if (rc == GV_OK)
        rc = start_driver(node, error);
    if (rc != GV_OK)
        return rc;
    node->logs = (struct gv_logs){.loop = &node->loop,
                                  .driver = node->driver,
                                  .persist = node->persist,
                                  .store_key = node->identity.store_key};
    rc = gv_api_start(&node->api,
                      &(struct gv_api_options){.loop = &node->loop,
                                               .driver = node->driver,
                                               .membership = node->membership,
                                               .socket_path = node->options.control_path,
                                               .group = node->options.control_group,
                                               .token_folder = node->options.http_listen.count
                                                                   ? node->options.data
                                                                   : NULL,
                                               .logs_context = &node->logs,
                                               .logs = gv_logs_json,
                                               .import = gv_logs_import,
                                               .import_json = gv_logs_import_json,
                                               .mail = gv_logs_mail_json,
                                               .erase = gv_logs_erase,
                                               .context = node,
                                               .enforcement = enforcement_json,
                                               .lists_changed = on_lists_changed,
                                               .reload = reload},
                      error);
    node->logs.api = node->api;
    if (rc == GV_OK) {
        gv_api_set_settings(node->api, gv_options_json(&node->options, NULL, node->config_path));
        rc = open_surfaces(node, error);
    }
    if (rc == GV_OK)
        rc = gv_logs_follow(&node->logs, &node->options, error);
    if (rc == GV_OK)
        rc = gv_flow_share_start(&node->flow_share, &node->loop, node->driver,
                                 shares_flow(&node->options));
    if (rc == GV_OK)
        gv_membership_start(node->membership, node->driver);
    return rc;
}

static void add_handles(struct node *node)
{
    uv_signal_init(&node->loop, &node->on_term);
    uv_signal_init(&node->loop, &node->on_int);
    uv_signal_init(&node->loop, &node->on_hup);
    uv_timer_init(&node->loop, &node->interfaces);
    node->on_term.data = node->on_int.data = node->on_hup.data = node;
    node->interfaces.data = node;
    uv_signal_start(&node->on_term, on_stop_signal, SIGTERM);
    uv_signal_start(&node->on_int, on_stop_signal, SIGINT);
    uv_signal_start(&node->on_hup, on_reload_signal, SIGHUP);
    uv_timer_start(&node->interfaces, on_interfaces, INTERFACES_EVERY_MS, INTERFACES_EVERY_MS);
}

static void say_ready(const struct node *node)
{
    char id[2 * GV_ID_LEN + 1];

    gv_hex(id, node->identity.id, GV_ID_LEN);
    gv_log(GV_LOG_NOTICE, "grapevined %s, instance %s, ready; control socket %s", GV_VERSION, id,
           node->options.control_path);
    if (!gv_membership_has_registry(node->membership))
        gv_log(GV_LOG_NOTICE, "in no network yet: this node works for itself alone; name a "
                              "registry with `grapevine enroll --registry URL`");
    else if (!gv_membership_certificate(node->membership))
        gv_log(GV_LOG_NOTICE, "not enrolled yet: run `grapevine enroll --email ADDRESS`");
}

/* The soft limit of open files (1024 as a rule) up to what the configuration may need. */
static void raise_files(const struct gv_options *options)
{
    struct rlimit limit;
    rlim_t needed = (rlim_t)options->connections + FILES_BESIDE +
                    (options->http_listen.count ? GV_SURFACES_FILES : 0);

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed)
        return;
    /* Where there are too few, callers find nobody, and in the end the store cannot be written. */
    if (limit.rlim_max < needed)
        gv_log(GV_LOG_WARNING,
               "only %llu files may be open, and %llu may be needed: raise the limit (ulimit -Hn, "
               "LimitNOFILE= of the unit), or lower [limits] connections",
               (unsigned long long)limit.rlim_max, (unsigned long long)needed);
    limit.rlim_cur = needed < limit.rlim_max ? needed : limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int run(struct node *node)
{
    struct gv_text error = {""};

    raise_files(&node->options);
    if (uv_loop_init(&node->loop) != 0)
        return failed(GV_ERR_MEMORY, &error);
    add_handles(node);
    int rc = start(node, &error);
    if (rc != GV_OK) {
        node->exit_code = failed(rc, &error);
        node->stopping = true;
        gv_logs_stop(&node->logs);
        on_stopped(node);
    } else {
        say_ready(node);
        gv_supervisor_ready(&node->loop, &node->watchdog);
    }
    uv_run(&node->loop, UV_RUN_DEFAULT);
    alarm(0);
    gv_persist_close(node->persist);
    gv_identity_wipe(&node->identity);
    /* The loop is not closed: with its last signal handle libuv would give the signal back to the
     * kernel's default. */
    size_t others = 0;
    uv_walk(&node->loop, count_handle, &others);
    if (others > 0)
        gv_log(GV_LOG_DEBUG, "the loop still has handles");
    if (node->data_fd >= 0)
        close(node->data_fd);
    if (rc == GV_OK && node->exit_code == 0)
        gv_log(GV_LOG_NOTICE, "stopped");
    return node->exit_code;
}

/* ---- the command line ----------------------------------------------------------------------- */

enum { OPTION_CHECK = 256, OPTION_HELP_CONFIG, OPTION_USER };

static const struct argp_option argp_options[] = {
    {"config", 'c', "FILE", 0, "Configuration (default " GV_OPTIONS_PATH ")", 0},
    {"user", OPTION_USER, "NAME", 0, "User to run as, instead of [node] user", 0},
    {"check-config", OPTION_CHECK, NULL, 0, "Check the configuration and exit", 0},
    {"help-config", OPTION_HELP_CONFIG, NULL, 0, "Describe every setting and exit", 0},
    {0},
};

struct arguments {
    const char *config, *user;
    bool check;
};

static error_t parse_argument(int key, char *value, struct argp_state *state)
{
    struct arguments *arguments = state->input;

    switch (key) {
    case 'c':
        arguments->config = value;
        return 0;
    case OPTION_USER:
        arguments->user = value;
        return 0;
    case OPTION_CHECK:
        arguments->check = true;
        return 0;
    case OPTION_HELP_CONFIG:
        gv_options_help(stdout);
        exit(0);
    case ARGP_KEY_ARG:
        argp_error(state, "\"%s\" is one word too many", value);
        return EINVAL;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    argp_options,
    parse_argument,
    NULL,
    "The node of grapevine: reads this host's mail log, exchanges signed threat signals with other "
    "mail servers, and knows which addresses count as untrusted.\v"
    "SIGHUP reloads the configuration, SIGTERM stops.",
    NULL,
    NULL,
    NULL,
};

int main(int argc, char **argv)
{
    static struct node node = {.data_fd = -1};
    struct arguments arguments = {.config = GV_OPTIONS_PATH};
    struct gv_buf errors;

    gv_arguments(&argp, argc, argv, 0, &arguments);
    gv_buf_init(&errors);
    node.config_path = arguments.config;
    int rc =
        load_options(&node.options, arguments.config, arguments.user, !arguments.check, &errors);
    int code = rc == GV_OK ? 0 : gv_options_refused(rc, &errors, "grapevined");
    gv_buf_free(&errors);
    if (code != 0)
        return code;
    if (arguments.check) {
        printf("%s: valid\n", arguments.config);
        gv_options_free(&node.options);
        return 0;
    }
    /* Little memory for threads that resolve names and talk to the registry now and then; a slow
     * receiver of the webhook holds one of them. */
    mallopt(M_ARENA_MAX, 2);
    setenv("UV_THREADPOOL_SIZE", "3", 0);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a limit on the size of files is one more full disk */
    if (node.options.timezone && *node.options.timezone)
        setenv("TZ", node.options.timezone, 1);
    tzset();
    gv_log_open("grapevined", GV_LOG_LEVEL_OF_INDEX(node.options.level));
    if (geteuid() == 0)
        gv_log(GV_LOG_WARNING,
               "running as root, without its rights, because [node] user says so; a "
               "user of its own is safer");
    gv_fetch_init();
    rc = run(&node);
    gv_options_free(&node.options);
    gv_options_free(&node.started);
    return rc;
}
