/* No stranger writes a line into our log, or into an admin's terminal. The real daemon at its most
 * talkative meets hostile text (newlines, escapes, UTF-8 that is none, 64 KiB) wherever somebody
 * else may put some: lines and names of logs, requests and names in them, bodies, what a registry
 * answers, what a peer sends before it is known. Every line that it prints is then one of its own.
 * And no file that runs in a daemon prints in any other way than by gv_log, which makes it so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <glob.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "helper_lives.h"
#include "helper_tcp.h"
#include "node/base/fetch.h"
#include "node/base/file.h"
#include "node/base/log.h"

#define LONG 65536

static struct lives lives;

/* ---- hostile text --------------------------------------------------------------------------- */

#define FORGED "grapevined: error: forged"

static const char *const texts[] = {
    "x\n" FORGED,
    "x\r\n" FORGED "\r\n",
    "x\v\f" FORGED,
    "\x1b[2J\x1b[1;1H" FORGED,
    "\x1b]0;title\a\x1b[31m",
    "\xc2\x85" FORGED, /* NEL, C1 */
    "\xe2\x80\xa8" FORGED "\xe2\x80\xae"
    "desrever", /* line separator, override */
    "\xff\xfe\xc0\x8a\xed\xa0\x80\xf5",
    "%s%n%n%n%1000000d",
    "\b\b\b\b\x7f\x7f",
};
#define TEXTS (sizeof texts / sizeof *texts)

static char *long_text(const char *text)
{
    size_t len = strlen(text);
    char *out = malloc(LONG + 1);

    assert_non_null(out);
    for (size_t i = 0; i < LONG; i++)
        out[i] = text[i % len];
    out[LONG] = 0;
    return out;
}

/* ---- what may be there ---------------------------------------------------------------------- */

static bool own_line(const char *line, size_t len)
{
    static const char *const levels[] = {"error", "warning", "notice", "info", "debug"};
    char head[32];
    bool known = false;

    for (size_t i = 0; i < 5; i++) {
        snprintf(head, sizeof head, "grapevined: %s: ", levels[i]);
        known = known || (len > strlen(head) && memcmp(line, head, strlen(head)) == 0);
    }
    return known;
}

/* Every line is one of ours, whole, bounded, and would not move a terminal; none is forged. */
static void check_log(const char *said)
{
    char safe[4 * GV_LOG_LINE];
    size_t lines = 0;

    for (const char *at = said; *at; lines++) {
        size_t len = strcspn(at, "\n");
        assert_int_equal(at[len], '\n');
        if (len > GV_LOG_LINE + 64 || !own_line(at, len) || strncmp(at, FORGED, 25) == 0 ||
            gv_log_safe(safe, sizeof safe, at, len) != len || memcmp(safe, at, len) != 0)
            fail_msg("a line that is not ours: %.200s", at);
        at += len + 1;
    }
    assert_true(lines > 10);
}

static void test_a_line_is_a_line(void **state)
{
    char path[] = "/tmp/gv-log-XXXXXX";
    int file = mkstemp(path), real = dup(2);
    struct gv_buf said;

    assert_true(file >= 0 && real >= 0);
    dup2(file, 2);
    gv_log_open("grapevined", GV_LOG_DEBUG);
    for (size_t i = 0; i < TEXTS; i++) {
        char *many = long_text(texts[i]);
        gv_log(GV_LOG_WARNING, "%s", texts[i]);
        gv_log(GV_LOG_DEBUG, "one: %s: two: %s.", texts[i], many);
        free(many);
    }
    dup2(real, 2);
    close(real);
    close(file);
    gv_buf_init(&said);
    assert_int_equal(gv_file_read(&said, path, 1 << 20, NULL), GV_OK);
    gv_buf_append(&said, "", 1);
    unlink(path);
    check_log((char *)said.data);
    gv_buf_free(&said);
}

/* ---- a registry that answers with such texts ------------------------------------------------ */

static int registry_socket = -1;
static uint16_t registry_port;
static pthread_t registry_thread;

static void answer_badly(int fd, unsigned round)
{
    const char *text = texts[round % TEXTS];
    char *many = long_text(text), request[4096];

    (void)!read(fd, request, sizeof request);
    switch (round / TEXTS % 4) {
    case 0: /* the message of a refusal, as JSON would carry it, and raw */
        dprintf(fd,
                "HTTP/1.1 403 No\r\nConnection: close\r\n\r\n{\"error\":\"no\",\"message\":"
                "\"\\u001b[2J\\n" FORGED "%s\"}",
                round % 2 ? "" : text);
        break;
    case 1:
        dprintf(fd, "HTTP/1.1 200 %s\r\nX: %s\r\n\r\n%s", text, text, text);
        break;
    case 2:
        dprintf(fd, "%s\r\n\r\n", text);
        break;
    default:
        dprintf(fd, "HTTP/1.1 500 x\r\nConnection: close\r\n\r\n%s", many);
    }
    free(many);
    shutdown(fd, SHUT_RDWR);
    close(fd);
}

static void *serve_badly(void *context)
{
    int fd;

    for (unsigned round = 0; (fd = accept(registry_socket, NULL, NULL)) >= 0; round++)
        answer_badly(fd, round);
    return NULL;
}

static void registry_up(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;

    signal(SIGPIPE, SIG_IGN);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    registry_socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(registry_socket, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(registry_socket, 16), 0);
    assert_int_equal(getsockname(registry_socket, (struct sockaddr *)&address, &len), 0);
    registry_port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&registry_thread, NULL, serve_badly, NULL), 0);
}

static void registry_down(void)
{
    shutdown(registry_socket, SHUT_RDWR);
    pthread_join(registry_thread, NULL);
    close(registry_socket);
}

/* ---- the daemon meets them ------------------------------------------------------------------ */

static uint16_t mesh_port;

static void configure(void)
{
    char name[160];
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    mesh_port = ntohs(address.sin_port);
    close(fd);
    snprintf(name, sizeof name, "%s/%%n\xff\xc2\x85\xe2\x80\xae.log", lives.folder);
    FILE *log = fopen(name, "w");
    fclose(log);
    FILE *file = fopen(lives.conf, "w");
    fprintf(file,
            "[node]\ndata = %s\nlisten = 127.0.0.1:%u\ncontrol = %s\n%s"
            "[network]\ndescriptor = %s/descriptor\nregistry = http://127.0.0.1:%u\nseeds = "
            "127.0.0.1:%u\n"
            "[log]\nfile = %s, %s, %s/gone\xff\nlevel = debug\nfrom_start = yes\n",
            lives.data, mesh_port, lives.socket, geteuid() == 0 ? "user = root\n" : "",
            lives.folder, registry_port, registry_port, lives.log, name, lives.folder);
    fclose(file);
}

static void into_the_log(const char *text)
{
    int fd = open(lives.log, O_WRONLY | O_APPEND);

    dprintf(fd,
            "Nov 22 12:00:00 vm dovecot: imap-login: Disconnected (auth failed): user=<%s>, "
            "rip=45.1.2.3, lip=127.0.0.1\n",
            text);
    dprintf(fd,
            "%s\nNov 22 12:00:00 %s postfix/smtpd[1]: warning: %s[45.1.2.3]: SASL %s "
            "authentication failed: %s, sasl_username=%s\n",
            text, text, text, text, text, text);
    close(fd);
}

static void to_the_socket(const char *text)
{
    char *answer = malloc(1 << 17), *request = malloc(1 << 18);
    static const char *const shapes[] = {
        "GET /%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "%s / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: %s\r\nHost: x\r\n\r\n",
        "GET /api/v1/ip?addr=%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "GET /api/v1/status HTTP/%s\r\n\r\n",
    };

    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        int fd = unix_connect(lives.socket);
        snprintf(request, 1 << 18, shapes[i], text);
        (void)!send(fd, request, strlen(request), MSG_NOSIGNAL);
        shutdown(fd, SHUT_WR);
        (void)tcp_read(fd, answer, 1 << 17, 300);
        close(fd);
    }
    free(request);
    free(answer);
}

static void post(const char *path, const char *key, const char *text, bool list)
{
    char url[128];
    struct gv_fetch_result result;
    json_t *value = json_stringn_nocheck(text, strlen(text));
    json_t *body = list ? json_pack("{s:[o]}", key, value) : json_pack("{s:o}", key, value);
    char *json = json_dumps(body, JSON_ENSURE_ASCII);

    snprintf(url, sizeof url, "http://localhost/api/v1/%s", path);
    json_decref(body);
    if (!json)
        return; /* not UTF-8: no JSON of it */
    struct gv_fetch_request request = {
        .url = url, .unix_path = lives.socket, .body = json, .body_len = strlen(json)};
    gv_fetch_blocking(&result, &request);
    gv_fetch_result_free(&result);
    free(json);
}

static void to_the_mesh(const char *text)
{
    int fd = tcp_connect(mesh_port);

    (void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
    close(fd);
}

static void meet(const char *text)
{
    char name[GV_LOG_LINE];

    into_the_log(text);
    to_the_socket(text);
    to_the_mesh(text);
    post("allow", "addr", text, false);
    post("network", "registry", text, false);
    snprintf(name, sizeof name, "%s/%.500s", lives.folder, text);
    post("import", "files", name, true);
    snprintf(name, sizeof name, "http://127.0.0.1:%u", registry_port);
    for (int i = 0; i < 4; i++)
        post("network", "registry", name, false);
    lives_kill(&lives, SIGHUP);
}

static void test_the_daemon(void **state)
{
    registry_up();
    lives_make(&lives, 41);
    configure();
    lives_start(&lives, NULL);
    int status = 0;
    for (int i = 0; i < 1000 && !lives_ask(&lives, "status", 200, NULL); i++)
        if (usleep(10000) == 0 && lives_ended(&lives, &status))
            fail_msg("status %d: %s", status, lives_said(&lives));
    for (size_t i = 0; i < TEXTS; i++) {
        char *many = long_text(texts[i]);
        meet(texts[i]);
        into_the_log(many);
        to_the_socket(many);
        to_the_mesh(many);
        free(many);
    }
    assert_true(lives_ask(&lives, "status", 200, NULL));
    lives_kill(&lives, SIGTERM);
    status = lives_wait(&lives);
    char *said = lives_said(&lives);
    if (status != 0)
        fail_msg("status %d: %s", status, said);
    check_log(said);
    assert_true(strlen(said) < 200000); /* nor was it flooded */
    free(said);
    lives_remove(&lives);
    registry_down();
}

/* ---- no other way to print ------------------------------------------------------------------ */

static const char *const folders[] = {"node/host/*.c", "node/serve/*.c", "node/ingest/*.c",
                                      "node/base/*.c", "node/grapevined.c"};
static const char *const ways[] = {"printf(stderr", "printf(\"",     "puts(",
                                   "perror(",       "putchar(",      "dprintf(",
                                   "syslog(",       "STDERR_FILENO", "fwrite("};
/* Where it is right: the log itself; a configuration that is not valid, whose lines are safe
 * already; the command line; help. */
static const char *const allowed[] = {"node/base/log.c", "node/base/options.c",
                                      "node/base/arguments.c", "node/base/config.c",
                                      "node/grapevined.c: printf(\"%s: valid",
                                      /* what the admin's own program says */
                                      "node/serve/hook_exec.c: UV_INHERIT_FD"};

static bool is_allowed(const char *path, const char *line)
{
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++) {
        const char *colon = strchr(allowed[i], ':');
        size_t len = colon ? (size_t)(colon - allowed[i]) : strlen(allowed[i]);
        const char *from = strstr(path, "node/");
        if (from && strlen(from) == len && strncmp(from, allowed[i], len) == 0 &&
            (!colon || strstr(line, colon + 2)))
            return true;
    }
    return false;
}

static void check_source(const char *path)
{
    char line[512];
    FILE *file = fopen(path, "r");

    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
            const char *at = strstr(line, ways[i]);
            /* snprintf, vsnprintf, asprintf, fputs to memory are other words */
            if (at &&
                (at == line || strchr(" \t(;!", at[-1]) || ways[i][0] == 'S' ||
                 strncmp(at - 1, "fprintf", 7) == 0) &&
                !is_allowed(path, line))
                fail_msg("%s prints past gv_log: %s", path, line);
        }
    fclose(file);
}

static void test_no_other_way(void **state)
{
    size_t files = 0;

    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char pattern[512];
        glob_t found;
        snprintf(pattern, sizeof pattern, GV_SOURCE_DIR "/%s", folders[i]);
        assert_int_equal(glob(pattern, 0, NULL, &found), 0);
        for (size_t j = 0; j < found.gl_pathc; j++, files++)
            check_source(found.gl_pathv[j]);
        globfree(&found);
    }
    assert_true(files > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line_is_a_line),
        cmocka_unit_test(test_the_daemon),
        cmocka_unit_test(test_no_other_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
