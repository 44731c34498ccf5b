/* What the grapevine command makes of the daemon's answer, when who answers on the socket is not
 * the daemon. Byte 0 picks the command, byte 1 the HTTP status and whether --json; the rest is the
 * answer, or, of a stream, its lines. The exchange itself is left out (the linker wraps it: see
 * tests/CMakeLists.txt); all that reads and prints is the real thing.
 *
 * Whatever the answer: the command ends with an exit status, and nothing that it prints holds a
 * byte that could move a terminal. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/base/fetch.h"
#include "node/cli/command.h"

int __wrap_gv_fetch_blocking(struct gv_fetch_result *result,
                             const struct gv_fetch_request *request);
int __wrap_gv_fetch_lines(struct gv_fetch_result *result, const struct gv_fetch_request *request,
                          gv_fetch_line line, void *context);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *answer;
static size_t answer_len;
static unsigned status, asked;

/* ---- the daemon ----------------------------------------------------------------------------- */

int __wrap_gv_fetch_blocking(struct gv_fetch_result *result, const struct gv_fetch_request *request)
{
    static const char ready[] = "{\"import\":{\"state\":\"done\"}}";
    const uint8_t *body = answer;
    size_t len = answer_len;

    gv_assert(request->url && request->unix_path && request->response_max > 0);
    memset(result, 0, sizeof *result);
    if (++asked > 3) { /* a command that asks until something changes comes to an end */
        body = (const uint8_t *)ready;
        len = sizeof ready - 1;
    }
    result->body = malloc(len + 1);
    gv_assert(result->body);
    memcpy(result->body, body, len);
    result->body[len] = 0;
    result->len = len;
    result->status = status;
    return GV_OK;
}

int __wrap_gv_fetch_lines(struct gv_fetch_result *result, const struct gv_fetch_request *request,
                          gv_fetch_line line, void *context)
{
    const char *at = (const char *)answer;
    size_t left = answer_len;

    if (status > 299)
        return __wrap_gv_fetch_blocking(result, request);
    memset(result, 0, sizeof *result);
    result->status = status;
    while (left > 0) {
        const char *end = memchr(at, '\n', left);
        size_t len = end ? (size_t)(end - at) : left;
        if (len > 0 && line(context, at, len) != 0)
            return result->error = GV_ERR_STATE;
        at += len + (end != NULL);
        left -= len + (end != NULL);
    }
    return GV_OK;
}

/* ---- the terminal --------------------------------------------------------------------------- */

struct screen {
    FILE *file;
    char *text;
    size_t len;
};

static void open_screen(struct screen *screen)
{
    screen->file = open_memstream(&screen->text, &screen->len);
    gv_assert(screen->file);
}

/* Printable ASCII, newlines, and UTF-8 without control characters. */
static void check_screen(struct screen *screen)
{
    fclose(screen->file);
    for (size_t i = 0; i < screen->len; i++) {
        unsigned char c = (unsigned char)screen->text[i];
        gv_assert(c >= 0x20 || c == '\n');
        gv_assert(c != 0x7f);
        if (c == 0xc2) /* U+0080 to U+009F: C1 */
            gv_assert((unsigned char)screen->text[i + 1] >= 0xa0);
    }
    free(screen->text);
}

/* ---- the commands --------------------------------------------------------------------------- */

static int run(unsigned which, struct gv_cli *cli)
{
    static char email[] = "--email=admin@example.org", accept[] = "--accept-terms";
    static char show[] = "--show-terms", follow[] = "--follow", all[] = "--all",
                file[] = "/dev/null";
    static char address[] = "198.51.100.7", code[] = "ABCDE-FGHIJ";
    static char add[] = "add", remove[] = "delete";
    static const struct {
        int (*run)(struct gv_cli *cli, int argc, char **argv);
        char *words[2];
    } commands[] = {
        {gv_cli_status, {NULL}},
        {gv_cli_peers, {NULL}},
        {gv_cli_peers, {all}},
        {gv_cli_ip, {address}},
        {gv_cli_list, {NULL}},
        {gv_cli_telemetry, {NULL}},
        {gv_cli_telemetry, {follow}},
        {gv_cli_enroll, {email, accept}},
        {gv_cli_enroll, {show}},
        {gv_cli_confirm, {code}},
        {gv_cli_allow, {NULL}},
        {gv_cli_deny, {address}},
        {gv_cli_retract, {address}},
        {gv_cli_network, {NULL}},
        {gv_cli_reload, {NULL}},
        {gv_cli_import, {file}},
        {gv_cli_bouncers, {NULL}},
        {gv_cli_bouncers, {add, code}},
        {gv_cli_bouncers, {remove, code}},
        {gv_cli_traffic, {NULL}},
    };
    char name[] = "command", *argv[4] = {name, NULL, NULL, NULL};
    int argc = 1;

    which %= sizeof commands / sizeof *commands;
    for (int i = 0; i < 2 && commands[which].words[i]; i++)
        argv[argc++] = commands[which].words[i];
    return commands[which].run(cli, argc, argv);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned statuses[] = {200, 200, 200, 400, 403, 422, 429, 500, 502, 507};
    struct gv_cli cli = {.socket = "/nowhere"};
    struct screen out, err;
    FILE *real_out = stdout, *real_err = stderr;

    if (size < 2)
        return 0;
    status = statuses[data[1] % 10];
    cli.json = data[1] >= 0x80;
    answer = data + 2;
    answer_len = size - 2;
    asked = 0;
    open_screen(&out);
    open_screen(&err);
    stdout = out.file;
    stderr = err.file;
    int code = run(data[0], &cli);
    stdout = real_out;
    stderr = real_err;
    check_screen(&out);
    check_screen(&err);
    gv_assert(code == 0 || (code >= 64 && code <= 78));
    gv_assert(status == 200 || code != 0);
    return 0;
}
