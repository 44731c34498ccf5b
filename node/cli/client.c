/* Asking the daemon: HTTP on its control socket. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/base/fetch.h"
#include "node/base/json.h"
#include "node/base/log.h"
#include "node/base/options.h"
#include "node/cli/command.h"

#define ANSWER_MAX     (64u << 20) /* 10,000 statements with all that belongs to them */
#define DEFAULT_SOCKET "/var/lib/grapevine/control.sock"

int gv_cli_no_memory(void)
{
    fputs("grapevine: out of memory\n", stderr);
    return EX_OSERR;
}

/* ---- where the daemon is -------------------------------------------------------------------- */

static int find_socket(struct gv_cli *cli)
{
    const char *path = cli->config_path ? cli->config_path : GV_OPTIONS_PATH;
    struct gv_options options;
    struct gv_buf errors;

    if (cli->socket)
        return 0;
    if (!cli->config_path && access(path, R_OK) != 0) {
        cli->socket = DEFAULT_SOCKET; /* not installed, or not for this user to read */
        return 0;
    }
    gv_buf_init(&errors);
    int rc = gv_options_load(&options, path, &errors);
    int code = rc == GV_OK ? 0 : gv_options_refused(rc, &errors, "grapevine");
    gv_buf_free(&errors);
    if (code != 0)
        return code;
    cli->socket_owned = strdup(options.control_path);
    gv_options_free(&options);
    cli->socket = cli->socket_owned;
    return cli->socket ? 0 : gv_cli_no_memory();
}

/* Started by hand beside its unit, it would lack the groups that read the log, and a supervisor. */
static bool has_unit(const struct gv_cli *cli)
{
    return !cli->config_path && access("/run/systemd/system", F_OK) == 0 &&
           (access("/lib/systemd/system/grapevine.service", F_OK) == 0 ||
            access("/etc/systemd/system/grapevine.service", F_OK) == 0);
}

static int not_reached(const struct gv_cli *cli, const char *why)
{
    const char *path = cli->config_path ? cli->config_path : GV_OPTIONS_PATH;
    char safe[1024], config[1024];

    gv_log_safe(config, sizeof config, path, strlen(path));
    gv_log_safe(safe, sizeof safe, cli->socket, strlen(cli->socket));
    if (access(cli->socket, W_OK) != 0 && errno == EACCES) {
        fprintf(stderr,
                "grapevine: you may not use %s; run this as root, or join the group of [node] "
                "control_group\n",
                safe);
        return EX_NOPERM;
    }
    if (!cli->quiet && has_unit(cli))
        fprintf(stderr,
                "grapevine: the daemon does not answer at %s (%s); start it with `systemctl start "
                "grapevine` (`grapevine doctor` looks what is wrong), or say where it is with "
                "--socket or --config\n",
                safe, why);
    else if (!cli->quiet)
        fprintf(
            stderr,
            "grapevine: the daemon does not answer at %s (%s); start it with `grapevined --config "
            "%s`, or say where it is with --socket or --config\n",
            safe, why, config);
    return EX_UNAVAILABLE;
}

static int status_to_exit(unsigned status)
{
    switch (status) {
    case 400:
        return EX_DATAERR;
    case 403:
        return EX_NOPERM;
    case 422:
        return EX_CONFIG;
    case 429:
    case 503:
        return EX_TEMPFAIL;
    case 507:
        return EX_IOERR;
    default:
        return status >= 500 && status != 502 ? EX_SOFTWARE : EX_UNAVAILABLE;
    }
}

/* The answer says no. */
static int refused(const struct gv_fetch_result *result, const char *expect)
{
    json_t *json = NULL;
    const char *word = "", *message = "";
    char safe[1024];

    if (gv_json_parse(&json, result->body, result->len, 1 << 16, NULL) == GV_OK) {
        (void)gv_json_string(&word, json, "error", 64, NULL);
        (void)gv_json_string(&message, json, "message", 4096, NULL);
    }
    bool expected = expect && strcmp(word, expect) == 0;
    if (!expected) {
        gv_log_safe(safe, sizeof safe, message, strlen(message));
        fprintf(stderr, "grapevine: %s\n", *safe ? safe : "the daemon's answer makes no sense");
    }
    json_decref(json);
    return expected ? -1 : status_to_exit(result->status);
}

int gv_cli_ask_expecting(struct gv_cli *cli, json_t **out, const char *path, const json_t *body,
                         const char *expect)
{
    struct gv_fetch_result result;
    struct gv_text error = {""};
    char url[2048], *text = NULL;
    int rc = find_socket(cli);

    *out = NULL;
    if (rc != 0)
        return rc;
    snprintf(url, sizeof url, "http://localhost/api/v1/%s", path);
    if (body && !(text = json_dumps(body, JSON_COMPACT)))
        return gv_cli_no_memory();
    struct gv_fetch_request request = {
        .url = url,
        .unix_path = cli->socket,
        .body = text,
        .body_len = text ? strlen(text) : 0,
        .total_ms = 60000, /* enrolment waits for the registry */
        .response_max = ANSWER_MAX,
    };
    if (gv_fetch_blocking(&result, &request) != GV_OK) {
        rc = not_reached(cli,
                         result.error == GV_ERR_EXPIRED ? "no answer in time" : "no connection");
    } else if (result.status < 200 || result.status > 299) {
        rc = refused(&result, expect);
    } else if (gv_json_parse(out, result.body, result.len, ANSWER_MAX, &error) != GV_OK) {
        fprintf(stderr, "grapevine: the daemon's answer makes no sense: %s\n", error.text);
        rc = EX_PROTOCOL;
    }
    gv_fetch_result_free(&result);
    free(text);
    return rc;
}

int gv_cli_ask(struct gv_cli *cli, json_t **out, const char *path, const json_t *body)
{
    return gv_cli_ask_expecting(cli, out, path, body, NULL);
}

/* ---- streams -------------------------------------------------------------------------------- */

struct following {
    int (*line)(void *context, const json_t *json);
    void *context;
    bool stopped;
};

static int on_line(void *context, const char *line, size_t len)
{
    struct following *following = context;
    json_t *json = NULL;

    if (gv_json_parse(&json, line, len, 1 << 20, NULL) != GV_OK)
        return 0; /* a line that makes no sense is passed over */
    following->stopped = following->line(following->context, json) != 0;
    json_decref(json);
    return following->stopped;
}

int gv_cli_follow(struct gv_cli *cli, const char *path,
                  int (*line)(void *context, const json_t *json), void *context)
{
    struct following following = {line, context, false};
    struct gv_fetch_result result;
    char url[2048];
    int rc = find_socket(cli);

    if (rc != 0)
        return rc;
    snprintf(url, sizeof url, "http://localhost/api/v1/%s", path);
    struct gv_fetch_request request = {
        .url = url, .unix_path = cli->socket, .response_max = 1 << 20};
    int error = gv_fetch_lines(&result, &request, on_line, &following);
    if (following.stopped)
        rc = 0;
    else if (result.status == 0)
        rc = not_reached(cli, "no connection");
    else if (result.status > 299)
        rc = refused(&result, NULL);
    else {
        fprintf(stderr, "grapevine: the daemon has ended the stream%s\n",
                error == GV_ERR_SPACE ? ": a line was too long" : "");
        rc = EX_UNAVAILABLE;
    }
    gv_fetch_result_free(&result);
    return rc;
}

void gv_cli_query(char *path, size_t cap, const char *name, const char *value)
{
    size_t len = strlen(path);
    const char *mark = strchr(path, '?') ? "&" : "?";

    len += (size_t)snprintf(path + len, cap - len, "%s%s=", mark, name);
    for (; *value && len + 4 < cap; value++) {
        unsigned char c = (unsigned char)*value;
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     c == '-' || c == '.' || c == '_';
        len += (size_t)snprintf(path + len, cap - len, plain ? "%c" : "%%%02X", c);
    }
}

error_t gv_cli_parse_stream(int key, char *value, struct argp_state *state)
{
    struct gv_cli_stream *stream = state->input;

    switch (key) {
    case 'f':
        stream->follow = true;
        gv_cli_query(stream->path, sizeof stream->path, "follow", "1");
        return 0;
    case 't':
        gv_cli_query(stream->path, sizeof stream->path, "since", value);
        return 0;
    case 'n':
        gv_cli_query(stream->path, sizeof stream->path, "limit", value);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}
