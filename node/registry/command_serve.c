/* grapevine-registry serve: runs until a signal ends it. */
#include <argp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/base/arguments.h"
#include "node/base/log.h"
#include "node/base/options.h"
#include "node/registry/commands.h"
#include "node/registry/registrar.h"

int gv_exit_code(int error)
{
    switch (error) {
    case GV_OK:
        return EX_OK;
    case GV_ERR_CONFIG:
        return EX_CONFIG;
    case GV_ERR_NOT_FOUND:
        return EX_NOINPUT;
    case GV_ERR_FORBIDDEN:
        return EX_NOPERM;
    case GV_ERR_BUSY:
        return EX_UNAVAILABLE;
    case GV_ERR_DUPLICATE:
        return EX_CANTCREAT;
    case GV_ERR_IO:
        return EX_IOERR;
    case GV_ERR_MEMORY:
        return EX_OSERR;
    case GV_ERR_RANGE:
        return EX_USAGE;
    default:
        return EX_DATAERR;
    }
}

int gv_complain(int error, const struct gv_text *why)
{
    char safe[2 * sizeof why->text];

    gv_log_safe(safe, sizeof safe, why->text, strlen(why->text));
    fprintf(stderr, "grapevine-registry: %s\n", *safe ? safe : gv_strerror(error));
    return gv_exit_code(error);
}

/* ---- serve ---------------------------------------------------------------------------------- */

struct serve {
    uv_loop_t loop;
    uv_signal_t signals[3];
    struct gv_registrar *registrar;
    bool stopping;
};

/* Signals are caught to the end, without holding the loop: an impatient second one must not kill a
 * registry that stops. */
static void begin_stop(struct serve *serve)
{
    serve->stopping = true;
    gv_log(GV_LOG_NOTICE, "stopping");
    gv_registrar_stop(&serve->registrar);
    for (size_t i = 0; i < 3; i++)
        uv_unref((uv_handle_t *)&serve->signals[i]);
    if (serve->registrar && serve->registrar->mails > 0)
        gv_log(GV_LOG_NOTICE, "%u mail%s still under way; a second signal leaves %s",
               serve->registrar->mails, serve->registrar->mails == 1 ? " is" : "s are",
               serve->registrar->mails == 1 ? "it" : "them");
}

/* No thread that mails is waited for. Who has asked for a code asks again. */
static void end_at_once(struct gv_registrar *registrar)
{
    gv_log(GV_LOG_NOTICE, "stopped at once; %u mail%s left", registrar->mails,
           registrar->mails == 1 ? " is" : "s are");
    gv_records_close(registrar->records);
    _exit(EX_OK);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct serve *serve = handle->data;

    if (!serve->registrar) /* all is done */
        return;
    if (number == SIGHUP) {
        if (!serve->stopping)
            gv_registrar_refresh(serve->registrar);
        return;
    }
    if (!serve->stopping)
        begin_stop(serve);
    else
        end_at_once(serve->registrar);
}

static int run(const struct gv_registry_settings *settings)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    static struct serve serve; /* libuv has it until the process ends */
    struct gv_text why = {""};

    if (uv_loop_init(&serve.loop) != 0)
        return gv_complain(GV_ERR_MEMORY, &why);
    int rc = gv_registrar_start(&serve.registrar, &serve.loop, settings, NULL, &why);
    if (rc != GV_OK) {
        gv_log(GV_LOG_ERROR, "%s", *why.text ? why.text : gv_strerror(rc));
    } else {
        for (size_t i = 0; i < 3; i++) {
            uv_signal_init(&serve.loop, &serve.signals[i]);
            serve.signals[i].data = &serve;
            uv_signal_start(&serve.signals[i], on_signal, numbers[i]);
        }
        for (size_t i = 0; i < serve.registrar->server_count; i++)
            gv_log(GV_LOG_NOTICE, "network %s: listening on %s port %u",
                   serve.registrar->descriptor.name, settings->listen.items[i].host,
                   gv_registrar_port(serve.registrar, i));
    }
    uv_run(&serve.loop, UV_RUN_DEFAULT);
    /* The loop is not closed: with its last signal handle libuv would give the signal back to the
     * kernel's default. */
    return gv_exit_code(rc);
}

static const struct argp_option options[] = {
    {"config", 'c', "FILE", 0, "The config file (needed)", 0},
    {"check", 'k', NULL, 0, "Only check the config file", 0},
    {"help-config", 'H', NULL, 0, "Print every key of the config file", 0},
    {0}};

struct serve_options {
    const char *config;
    bool check, help;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct serve_options *out = state->input;

    switch (key) {
    case 'c':
        out->config = arg;
        return 0;
    case 'k':
        out->check = true;
        return 0;
    case 'H':
        out->help = true;
        return 0;
    case ARGP_KEY_END:
        if (!out->config && !out->help)
            argp_error(state, "--config FILE is needed");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {options,
                                 parse,
                                 NULL,
                                 "The registry of a grapevine network.\v"
                                 "Other commands, each with --help: init, serve, descriptor, "
                                 "show-descriptor, keys, list, revoke, "
                                 "export, forget, limits, invite, backup, restore.",
                                 NULL,
                                 NULL,
                                 NULL};

int gv_command_serve(int argc, char **argv)
{
    struct serve_options given = {0};
    struct gv_registry_settings settings;
    struct gv_buf errors;

    gv_arguments(&argp, argc, argv, 0, &given);
    if (given.help) {
        gv_config_print(&gv_registry_table, stdout);
        return EX_OK;
    }
    gv_buf_init(&errors);
    int rc = gv_registry_settings_load(&settings, given.config, &errors);
    int code = rc == GV_OK ? EX_OK : gv_options_refused(rc, &errors, "grapevine-registry");
    gv_buf_free(&errors);
    if (code != EX_OK)
        return code;
    if (!given.check) {
        gv_log_set_level(GV_LOG_LEVEL_OF_INDEX(settings.log_level));
        code = run(&settings);
    }
    gv_config_free(&gv_registry_table, &settings);
    return code;
}
