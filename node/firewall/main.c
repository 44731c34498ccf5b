/* grapevine-firewall: writes what grapevined refuses into nftables. It is a program of its own so
 * that the daemon, which talks to strangers, needs no capability; this one talks to the daemon
 * alone, and believes it as little as it can. (SPEC 18.8) */
#include <argp.h>
#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/base/arguments.h"
#include "node/base/log.h"
#include "node/base/options.h"
#include "node/base/privileges.h"
#include "node/base/users.h"
#include "node/firewall/server.h"

const char *argp_program_version = "grapevine-firewall " GV_VERSION;

enum { OPTION_REMOVE = 256 };

struct arguments {
    const char *config;
    bool remove;
};

static const struct argp_option argp_options[] = {
    {"config", 'c', "FILE", 0, "Configuration (default " GV_OPTIONS_PATH ")", 0},
    {"remove", OPTION_REMOVE, NULL, 0, "Delete the table inet grapevine, and exit", 0},
    {0},
};

static error_t parse_argument(int key, char *value, struct argp_state *state)
{
    struct arguments *arguments = state->input;

    switch (key) {
    case 'c':
        arguments->config = value;
        return 0;
    case OPTION_REMOVE:
        arguments->remove = true;
        return 0;
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
    "Writes the addresses that grapevined refuses into nftables: the table inet grapevine, at the "
    "ports of [firewall] alone.\vSIGHUP reads the configuration again. SIGTERM stops, and leaves "
    "the "
    "table: its entries end within an hour, or at once with --remove.",
    NULL,
    NULL,
    NULL,
};

static int failed(int rc, const struct gv_text *why)
{
    gv_log(GV_LOG_ERROR, "%s", why->text[0] ? why->text : gv_strerror(rc));
    return rc == GV_ERR_FORBIDDEN                          ? EX_NOPERM
           : rc == GV_ERR_NOT_FOUND || rc == GV_ERR_CONFIG ? EX_CONFIG
           : rc == GV_ERR_BUSY                             ? EX_UNAVAILABLE
           : rc == GV_ERR_IO                               ? EX_IOERR
                                                           : EX_OSERR;
}

static int remove_table(void)
{
    struct gv_text why = {""};
    struct gv_nft *nft = NULL;

    int rc = gv_nft_open(&nft, &why);
    if (rc == GV_OK)
        rc = gv_nft_remove(nft, &why);
    gv_nft_close(nft);
    return rc == GV_OK ? 0 : failed(rc, &why);
}

/* ---- the socket ----------------------------------------------------------------------------- */

/* Made when absent, for everybody to reach: who may connect is asked of the kernel. */
static int make_folder(const char *path, struct gv_text *error)
{
    char folder[128];

    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (!slash || slash == folder)
        return GV_OK;
    *slash = '\0';
    if (mkdir(folder, 0755) != 0 && errno != EEXIST)
        return gv_fail(error, GV_ERR_IO, "%s: %s; see [firewall] socket", folder, strerror(errno));
    return GV_OK;
}

static int in_use(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool used = fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) == 0;

    if (fd >= 0)
        close(fd);
    return used;
}

static int open_socket(int *out, const char *path, struct gv_text *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat info;

    int rc = make_folder(path, error);
    if (rc != GV_OK)
        return rc;
    memcpy(address.sun_path, path, strlen(path) + 1); /* 107 at most: options_enforce.c */
    if (in_use(&address))
        return gv_fail(error, GV_ERR_BUSY, "%s: another grapevine-firewall is there", path);
    if (lstat(path, &info) == 0 && S_ISSOCK(info.st_mode))
        (void)unlink(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        chmod(path, 0666) != 0 || listen(fd, 8) != 0) {
        gv_fail(error, GV_ERR_IO, "%s: %s; see [firewall] socket", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return GV_ERR_IO;
    }
    *out = fd;
    return GV_OK;
}

/* Root, whoever this runs as, and the daemon's user. */
static int find_users(struct gv_firewall_server *server, const struct gv_options *options,
                      struct gv_text *error)
{
    const char *name = options->user && *options->user ? options->user : NULL;
    struct gv_user user;
    int rc = name ? gv_user_find(&user, name, error) : GV_OK;

    server->users[server->user_count++] = 0;
    server->users[server->user_count++] = geteuid();
    if (rc == GV_ERR_NOT_FOUND)
        return gv_fail(error, rc, "[node] user: there is no user \"%s\"", name);
    if (rc == GV_OK && name)
        server->users[server->user_count++] = user.uid;
    return rc;
}

/* ---- settings ------------------------------------------------------------------------------- */

struct program {
    const char *config;
    struct gv_options options;
};

static void take_settings(struct gv_firewall_server *server, const struct gv_options *options)
{
    server->rules = (struct gv_nft_options){.ports = options->firewall_port,
                                            .port_count = options->firewall_ports.count,
                                            .reject = options->firewall_action == 1};
    server->folder = options->data;
    server->allow = options->allowed;
    server->allow_count = options->allow.count;
    for (size_t i = 0; i < options->firewall_ports.count; i++)
        if (options->firewall_port[i] == 25)
            gv_log(GV_LOG_WARNING, "[firewall] ports names port 25: refused addresses cannot "
                                   "deliver mail to this host either");
}

static void reload(struct gv_firewall_server *server, void *context)
{
    struct program *program = context;
    struct gv_options next;
    struct gv_buf errors;

    gv_buf_init(&errors);
    if (gv_options_load_own(&next, program->config, &errors) == GV_OK) {
        take_settings(server, &next);
        gv_options_free(&program->options);
        program->options = next;
        take_settings(server, &program->options);
        gv_log(GV_LOG_NOTICE, "configuration reloaded from %s", program->config);
    } else {
        gv_log(GV_LOG_ERROR, "the old configuration stays in force: %.*s",
               errors.len ? (int)errors.len - 1 : 0, errors.len ? (const char *)errors.data : "");
    }
    gv_buf_free(&errors);
}

static int open_signals(void)
{
    sigset_t set;

    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int give_up_privileges(const struct gv_options *options, struct gv_text *error)
{
    const char *user =
        options->firewall_user && *options->firewall_user ? options->firewall_user : options->user;

    return gv_privileges_drop(
        &(struct gv_privileges){.user = geteuid() == 0 ? user : NULL, .keep = 1u << CAP_NET_ADMIN},
        error);
}

static int run(struct program *program)
{
    struct gv_firewall_server server = {.listener = -1, .reload = reload, .context = program};
    struct gv_text why = {""};
    uint8_t key[16];

    server.signals = open_signals();
    int rc = find_users(&server, &program->options, &why);
    if (rc == GV_OK)
        rc = open_socket(&server.listener, program->options.firewall_socket, &why);
    if (rc == GV_OK)
        rc = give_up_privileges(&program->options, &why);
    if (rc == GV_OK)
        rc = gv_nft_open(&server.nft, &why);
    if (rc == GV_OK) {
        randombytes_buf(key, sizeof key);
        server.table = gv_nft_table_new(key, GV_FIREWALL_ENTRIES);
        rc = server.table ? GV_OK : GV_ERR_MEMORY;
    }
    if (rc == GV_OK) {
        take_settings(&server, &program->options);
        rc = gv_firewall_serve(&server, &why);
    }
    gv_nft_table_free(server.table);
    gv_nft_close(server.nft);
    if (server.listener >= 0)
        close(server.listener);
    if (server.signals >= 0)
        close(server.signals);
    return rc == GV_OK ? 0 : failed(rc, &why);
}

int main(int argc, char **argv)
{
    struct program program = {.config = GV_OPTIONS_PATH};
    struct arguments arguments = {.config = GV_OPTIONS_PATH};
    struct gv_buf errors;

    gv_arguments(&argp, argc, argv, 0, &arguments);
    gv_log_open("grapevine-firewall", GV_LOG_INFO);
    if (arguments.remove)
        return remove_table();
    program.config = arguments.config;
    gv_buf_init(&errors);
    int rc = gv_options_load_own(&program.options, program.config, &errors);
    int code = rc == GV_OK ? 0 : gv_options_refused(rc, &errors, "grapevine-firewall");
    gv_buf_free(&errors);
    if (code != 0)
        return code;
    gv_log_set_level(GV_LOG_LEVEL_OF_INDEX(program.options.level));
    code = run(&program);
    gv_options_free(&program.options);
    return code;
}
