/* The real programs when memory runs out: every allocation from main() on fails in turn, those of
 * the libraries under them too (libuv, SQLite, jansson, libcurl, libmicrohttpd), through the start
 * of the daemon with all that it can serve and tell, a signal, questions, a reload and the stop;
 * and through commands of the admin. Nothing crashes or leaks (under gcc's ASan the leak checker
 * watches), and a program that gives up says so and exits with a status of sysexits.h.
 *
 * GV_ALLOC_STEP=N fails every N-th only (default: all of our own code's, and every 37th of all, but
 * each of the first ones, which meet libraries that nobody else tries so). GV_ALLOC_SEED chooses
 * which of those it begins with; by default the day does, so that 37 days try them all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "helper_lives.h"
#include "helper_tcp.h"
#include "node/base/file.h"

#define SHIM "LD_PRELOAD=" GV_BUILD_DIR "/tests/libgv_shim_memory.so"
#define ASAN                                                                                       \
    "ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=1:allocator_may_return_null=1:handle_"     \
    "abort=1"

static struct lives lives;
static char counted[128];
static uint16_t http_port, dns_port;

static long read_count(void)
{
    long calls = 0;
    FILE *file = fopen(counted, "r");

    if (file && fscanf(file, "%ld", &calls) != 1)
        calls = 0;
    if (file)
        fclose(file);
    return calls;
}

struct plan {
    char fail[48], fails[48], count[160];
    char *environment[7];
};

static void make_plan(struct plan *plan, long n, long in_a_row, bool ours)
{
    size_t i = 0;

    snprintf(plan->fail, sizeof plan->fail, "GV_SHIM_FAIL=%ld", n);
    snprintf(plan->fails, sizeof plan->fails, "GV_SHIM_FAILS=%ld", in_a_row);
    snprintf(plan->count, sizeof plan->count, "GV_SHIM_COUNT=%s", counted);
    plan->environment[i++] = SHIM; /* the first: helper_lives.h */
    plan->environment[i++] = plan->fail;
    plan->environment[i++] = plan->fails;
    plan->environment[i++] = plan->count;
    plan->environment[i++] = ASAN;
    /* OpenSSL leaks when its own initialisation fails half-way. */
    plan->environment[i++] = ours ? "GV_SHIM_OURS=1" : "GV_SHIM_LEAVE=libcrypto";
    plan->environment[i] = NULL;
    unlink(counted);
}

static long step_of(long usual)
{
    const char *text = getenv("GV_ALLOC_STEP");

    return text ? strtol(text, NULL, 10) : usual;
}

/* ---- what must hold ------------------------------------------------------------------------- */

#define FIRST       120          /* of the configuration, of users and groups, of the loop */
#define ANY_LIBRARY "the daemon" /* where libraries' allocations fail too */

static unsigned ended_well, gave_up, wrong;

/* libuv ends the process where a call that it cannot do without has no memory (pthread_atfork in
 * uv_loop_init, ...), and does not say so. Any other abort is somebody's assertion. ASan's report
 * names the place: who called abort(). */
static bool known_abort(const char *said)
{
    static const char *const words[] = {"ssertion", "corrupt", "terminate", "invalid"};
    const char *report = strstr(said, "AddressSanitizer: ABRT");

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strstr(said, words[i]))
            return false;
    if (!report)
        return true;
    const char *called = strstr(report, "abort"), *caller = called ? strchr(called, '\n') : NULL;
    const char *end = caller ? strchr(caller + 1, '\n') : NULL;
    const char *place = caller ? strstr(caller, "libuv") : NULL;
    return place && end && place < end;
}

/* All of them are shown, not only the first. */
static void complain(const char *what, long n, const char *why, const char *said)
{
    const char *from = strstr(said, "==ERROR");

    wrong++;
    print_message("%s, allocation %ld: %s: %.1500s\n", what, n, why, from ? from : said);
}

static void check_end(const char *what, long n, int status, const char *said)
{
    static const char *const bad[] = {"Sanitizer", "runtime error", "assertion failed", NULL};
    char why[64];

    bool aborted = strstr(said, "AddressSanitizer: ABRT") ||
                   (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    if (strcmp(what, ANY_LIBRARY) == 0 && aborted && known_abort(said)) {
        gave_up++;
        return;
    }
    for (const char *const *w = bad; *w; w++)
        if (strstr(said, *w)) {
            complain(what, n, *w, said);
            return;
        }
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    gave_up += code != 0;
    ended_well += status == 0;
    snprintf(why, sizeof why, "signal %d, exit status %d",
             WIFSIGNALED(status) ? WTERMSIG(status) : 0, code);
    /* What is short is memory: no status may blame the configuration, the user or the data. */
    if (WIFSIGNALED(status) ||
        (code != 0 && (!*said || code < EX__BASE || code > EX__MAX || code == EX_USAGE ||
                       code == EX_CONFIG || code == EX_SOFTWARE || code == EX_DATAERR)))
        complain(what, n, why, said);
}

/* ---- the daemon ----------------------------------------------------------------------------- */

/* Waits for a word in what it says. */
static bool await_said(const char *word, unsigned ms)
{
    siginfo_t info = {0};

    for (unsigned i = 0; i < ms / 2 && info.si_pid == 0; i++) {
        char *said = lives_said(&lives);
        bool found = strstr(said, word) != NULL;
        free(said);
        if (found)
            return true;
        usleep(2000);
        waitid(P_PID, (id_t)lives.pid, &info, WEXITED | WNOHANG | WNOWAIT);
    }
    return false;
}

static struct sockaddr_in local(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static uint16_t free_port(void)
{
    struct sockaddr_in address = local(0);
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    close(fd);
    return ntohs(address.sin_port);
}

/* -1: nobody is there. */
static int tcp_try(uint16_t port)
{
    struct sockaddr_in address = local(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

/* All that a node can serve and tell: what is opened at the start and closed at the stop. */
static void configure_all(void)
{
    char path[160], secret[2 * GV_SECRET_LEN + 2];
    struct gv_buf conf;

    memset(secret, 'a', sizeof secret);
    secret[sizeof secret - 2] = '\n';
    snprintf(path, sizeof path, "%s/webhook.key", lives.folder);
    assert_int_equal(gv_file_write(path, secret, sizeof secret - 1, 0600, NULL), GV_OK);
    http_port = free_port();
    dns_port = free_port();
    gv_buf_init(&conf);
    assert_int_equal(gv_file_read(&conf, lives.conf, 1 << 16, NULL), GV_OK);
    uint8_t *more = gv_buf_reserve(&conf, 2048);
    assert_non_null(more);
    conf.len += (size_t)snprintf(
        (char *)more, 2048,
        "file = %s/more.log\nfile = syslog:unix:%s/syslog\n"
        "[policy]\nenforce = dovecot dnsbl bouncers nftables\nallow = 192.0.2.0/24\n"
        "[http]\nlisten = 127.0.0.1:%u\n[dnsbl]\nlisten = 127.0.0.1:%u\n"
        "[firewall]\nsocket = %s/firewall\n"
        "[hooks]\nexec = /bin/true\nwebhook = http://127.0.0.1:%u/nobody\nwebhook_key = %s\n"
        "alert_mail = a@example.org\nalert_smtp = file:%s\n",
        lives.folder, lives.folder, http_port, dns_port, lives.folder, dns_port, path,
        lives.folder);
    assert_int_equal(gv_file_write(lives.conf, conf.data, conf.len, 0600, NULL), GV_OK);
    gv_buf_free(&conf);
}

/* Whether it is answered at all. */
static bool ask_one(uint16_t port, const char *question, size_t len, int ms)
{
    int fd = tcp_try(port);
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    char byte;

    if (fd < 0)
        return false;
    (void)!send(fd, question, len, MSG_NOSIGNAL);
    bool answered = poll(&ready, 1, ms) == 1 && recv(fd, &byte, 1, 0) == 1;
    close(fd);
    return answered;
}

/* It may be about to give up. */
static bool lives_on(void)
{
    siginfo_t info = {0};

    for (int i = 0; i < 200 && info.si_pid == 0; i++) {
        usleep(5000);
        waitid(P_PID, (id_t)lives.pid, &info, WEXITED | WNOHANG | WNOWAIT);
    }
    return info.si_pid == 0;
}

/* Questions over HTTP and over DNS on TCP. One of each may get no answer, as an allocation failed
 * over it; not the next. */
static void ask_surfaces(long n, bool once)
{
    static const char http[] = "GET /api/v1/attackers HTTP/1.1\r\nHost: localhost\r\n"
                               "Connection: close\r\n\r\n";
    static const char dns[] = "\0\x2a\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01\x37\x01\x30\x01"
                              "\x31\x02\x34\x35\x09grapevine\x05local\0\0\x01\0\x01";
    bool web = ask_one(http_port, http, sizeof http - 1, 300);
    bool names = ask_one(dns_port, dns, sizeof dns - 1, 300);

    if (once && !web)
        web = ask_one(http_port, http, sizeof http - 1, 30000);
    if (once && !names)
        names = ask_one(dns_port, dns, sizeof dns - 1, 30000);
    if (once && (!web || !names) && lives_on()) {
        char *said = lives_said(&lives);
        complain("a door", n, web ? "DNS answers nobody" : "HTTP answers nobody", said);
        free(said);
    }
}

static long live(long n, long in_a_row, bool ours)
{
    struct plan plan;

    make_plan(&plan, n, in_a_row, ours);
    lives_start(&lives, plan.environment);
    if (await_said("ready;", 10000)) {
        struct gv_subject subject = lives_feed(&lives);
        lives_ask(&lives, "status", 200, NULL);
        lives_ask(&lives, "ip?addr=45.1.0.7", 200, NULL);
        lives_ask(&lives, "nothing", 200, NULL);
        ask_surfaces(n, in_a_row == 1);
        if (lives.pid) {
            lives_kill(&lives, SIGHUP);
            (void)await_said("configuration", 300);
            (void)lives_await(&lives, &subject, n == 0 ? 3000 : 0);
            lives_kill(&lives, SIGTERM);
        }
    }
    int status = lives_wait(&lives);
    char *said = lives_said(&lives);
    check_end(ours ? "the daemon's own" : ANY_LIBRARY, n, status, said);
    free(said);
    return read_count();
}

static long first_of(long step)
{
    const char *seed = getenv("GV_ALLOC_SEED");

    return 1 + (seed ? strtol(seed, NULL, 10) : (long)(time(NULL) / 86400)) % step;
}

/* `each`: of so many at the beginning none is left out. */
static void each_allocation_fails(bool ours, long in_a_row, long step, bool fresh, long each)
{
    char command[300];
    long total = live(0, 0, ours), first = first_of(step);

    if (total == 0) {
        print_message("not run: this build's allocator cannot be shimmed (clang's ASan)\n");
        skip();
    }
    ended_well = gave_up = wrong = 0;
    for (long n = 1; n <= total; n++) {
        if (n > each && n % step != first % step)
            continue;
        if (fresh) {
            snprintf(command, sizeof command, "rm -f %s/store.db*", lives.data);
            assert_int_equal(system(command), 0);
        }
        live(n, in_a_row, ours);
    }
    print_message(
        "%ld allocations%s, %ld in a row failed, the first %ld and every %ld from the %ld. on: "
        "%u times it goes on, %u times it gives up\n",
        total, ours ? " of our own code" : "", in_a_row, each, step, first, ended_well, gave_up);
    assert_int_equal(wrong, 0);
    assert_true(total > 100 && ended_well > 0 && gave_up > 0);
    live(0, 0, ours); /* and lives on as if nothing had been */
}

static void test_our_own(void **state)
{
    each_allocation_fails(true, 1, step_of(1), false, 0);
}

static void test_the_libraries_too(void **state)
{
    each_allocation_fails(false, 1, step_of(37), true, FIRST);
}

static void test_memory_gone_for_a_while(void **state)
{
    each_allocation_fails(false, 50, 97, true, 0);
}

/* ---- the admin's commands ------------------------------------------------------------------- */

static int command(long n, bool ours, char *const *words)
{
    char *all[512];
    size_t count = 0;
    struct plan plan;
    int status;

    make_plan(&plan, n, 1, ours);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        for (char **e = environ; *e && count < 400; e++)
            if (strncmp(*e, "ASAN_OPTIONS=", 13) != 0)
                all[count++] = *e;
        for (char *const *e = plan.environment; *e; e++)
            all[count++] = *e;
        all[count] = NULL;
        int out = open(lives.said, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2(open("/dev/null", O_RDONLY), 0);
        dup2(open("/dev/null", O_WRONLY), 1);
        dup2(out, 2);
        execve(words[0], words, all);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void each_fails(char *const *words, const char *gone)
{
    ended_well = gave_up = wrong = 0;
    int status = command(0, true, words);
    long total = read_count();

    if (total == 0) {
        print_message("not run: this build's allocator cannot be shimmed (clang's ASan)\n");
        skip();
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("%s %s: status %d: %s", words[0], words[1], status, lives_said(&lives));
    for (long n = 1; n <= total; n += step_of(1)) {
        if (gone)
            unlink(gone);
        status = command(n, true, words);
        char *said = lives_said(&lives);
        check_end(words[3] ? words[3] : words[1], n, status, said);
        free(said);
    }
    print_message("%s %s: %ld allocations of our own code, %u times it goes on, %u times it gives "
                  "up\n",
                  strrchr(words[0], '/') + 1, words[3] ? words[3] : words[1], total, ended_well,
                  gave_up);
    assert_int_equal(wrong, 0);
}

static void test_commands_that_ask(void **state)
{
    static const char *const asking[] = {"status",    "peers",   "traffic", "list",
                                         "telemetry", "network", "deny",    "reload"};

    lives_start(&lives, NULL);
    assert_true(await_said("ready;", 10000));
    for (size_t i = 0; i < sizeof asking / sizeof *asking; i++) {
        char *words[] = {GV_BIN_DIR "/grapevine", "--config", lives.conf, (char *)asking[i], NULL};
        each_fails(words, NULL);
    }
    lives_kill(&lives, SIGTERM);
    assert_int_equal(lives_wait(&lives), 0);
}

static void test_commands_on_files(void **state)
{
    char file[160];
    char *backup[] = {GV_BIN_DIR "/grapevine", "--config", lives.conf, "backup", file, NULL};
    char *restore[] = {GV_BIN_DIR "/grapevine", "--config", lives.conf, "restore", file, NULL};
    char *observe[] = {GV_BIN_DIR "/grapevine", "observe", "--since=all", lives.log, NULL};
    char *check[] = {GV_BIN_DIR "/grapevined", "--config", lives.conf, "--check-config", NULL};

    lives_start(&lives, NULL); /* a store */
    assert_true(await_said("ready;", 10000));
    lives_kill(&lives, SIGTERM);
    assert_int_equal(lives_wait(&lives), 0);
    snprintf(file, sizeof file, "%s/backup", lives.folder);
    each_fails(backup, file);
    unlink(file);
    command(0, true, backup);
    each_fails(restore, NULL);
    each_fails(check, NULL);
    observe[2] = lives.log;
    observe[3] = NULL;
    each_fails(observe, NULL);
}

static int setup(void **state)
{
    lives_make(&lives, 40);
    snprintf(counted, sizeof counted, "%s/count", lives.folder);
    configure_all();
    return 0;
}

static int teardown(void **state)
{
    lives_remove(&lives);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_our_own, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_libraries_too, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory_gone_for_a_while, setup, teardown),
        cmocka_unit_test_setup_teardown(test_commands_that_ask, setup, teardown),
        cmocka_unit_test_setup_teardown(test_commands_on_files, setup, teardown),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
