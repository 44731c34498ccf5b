#include "helper_lives.h"

#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "node/base/fetch.h"
#include "node/base/file.h"
#include "node/host/persist.h"
#include "proto/trust/signal.h"

extern char **environ;

static void sleep_ms(unsigned ms)
{
    usleep(ms * 1000);
}

static uint64_t clock_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- the network ---------------------------------------------------------------------------- */

static void secret_of(uint8_t secret[GV_SECRET_LEN], unsigned number, uint8_t role)
{
    memset(secret, role, GV_SECRET_LEN);
    secret[0] = (uint8_t)number;
}

static void identity_of(struct gv_identity *out, unsigned number, uint8_t role)
{
    uint8_t secret[GV_SECRET_LEN];

    secret_of(secret, number, role);
    gv_identity_from_secret(out, secret);
}

static void certify(const struct lives *lives, uint8_t wire[GV_CERTIFICATE_LEN],
                    const struct gv_identity *identity, uint8_t number)
{
    uint32_t now = (uint32_t)(time(NULL) / 60);
    struct gv_certificate c = {.placement = number,
                               .group = (uint64_t)GV_GROUP_IPV4 << 56 | 0x7f00u | number,
                               .since_min = now - 30 * 1440,
                               .issued_min = now - 60,
                               .expires_min = now + 1440 * 90};

    memcpy(c.key, identity->sign_public, GV_KEY_LEN);
    memset(c.owner, number, sizeof c.owner);
    gv_certificate_issue(wire, &c, lives->registry.sign_secret, lives->descriptor.network_id);
}

static void publish(struct lives *lives, struct gv_buf *wire)
{
    uint32_t now = (uint32_t)(time(NULL) / 60);
    struct gv_descriptor *d = &lives->descriptor;

    memset(d, 0, sizeof *d);
    d->version = 1;
    d->activation_min = d->genesis_min = now - 100 * 1440;
    memcpy(d->root_key, lives->root.sign_public, GV_KEY_LEN);
    snprintf(d->name, sizeof d->name, "lives");
    d->lab = true;
    d->key_count = 1;
    memcpy(d->keys[0].key, lives->registry.sign_public, GV_KEY_LEN);
    d->keys[0].from_min = now - 100 * 1440;
    d->keys[0].until_min = now + 1440 * 365;
    snprintf(d->registry_url, sizeof d->registry_url, "http://127.0.0.1:9"); /* nobody there */
    snprintf(d->terms, sizeof d->terms, "2026-11");
    gv_policy_default(&d->policy, true);
    assert_int_equal(gv_descriptor_issue(wire, d, lives->root.sign_secret), GV_OK);
}

static void write_text(const char *path, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void write_text(const char *path, const char *format, ...)
{
    va_list args;
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    va_start(args, format);
    vfprintf(file, format, args);
    va_end(args);
    fclose(file);
}

static void write_files(struct lives *lives, unsigned number)
{
    uint8_t secret[GV_SECRET_LEN], certificate[GV_CERTIFICATE_LEN];
    char path[160], hex[2 * GV_SECRET_LEN + 2];
    struct gv_buf wire;

    gv_buf_init(&wire);
    publish(lives, &wire);
    snprintf(path, sizeof path, "%s/descriptor", lives->folder);
    assert_int_equal(gv_file_write(path, wire.data, wire.len, 0600, NULL), GV_OK);
    gv_buf_free(&wire);
    assert_int_equal(mkdir(lives->data, 0700), 0);
    secret_of(secret, number, 4);
    gv_hex(hex, secret, GV_SECRET_LEN);
    strcat(hex, "\n");
    snprintf(path, sizeof path, "%s/key", lives->data);
    assert_int_equal(gv_file_write(path, hex, strlen(hex), 0600, NULL), GV_OK);
    certify(lives, certificate, &lives->node, 1);
    snprintf(path, sizeof path, "%s/certificate", lives->data);
    assert_int_equal(gv_file_write(path, certificate, sizeof certificate, 0600, NULL), GV_OK);
    write_text(lives->log, "%s", "");
    certify(lives, lives->recorder.certificate, &lives->recorder.identity, 2);
}

void lives_make(struct lives *lives, unsigned number)
{
    memset(lives, 0, sizeof *lives);
    gv_fetch_init();
    snprintf(lives->folder, sizeof lives->folder, "/tmp/gv-lives-XXXXXX");
    assert_non_null(mkdtemp(lives->folder));
    snprintf(lives->data, sizeof lives->data, "%s/data", lives->folder);
    snprintf(lives->conf, sizeof lives->conf, "%s/node.conf", lives->folder);
    snprintf(lives->log, sizeof lives->log, "%s/mail.log", lives->folder);
    snprintf(lives->said, sizeof lives->said, "%s/said", lives->folder);
    snprintf(lives->socket, sizeof lives->socket, "%s/control.sock", lives->folder);
    identity_of(&lives->root, number, 1);
    identity_of(&lives->registry, number, 2);
    identity_of(&lives->recorder.identity, number, 3);
    identity_of(&lives->node, number, 4);
    write_files(lives, number);
    lives->recorder.descriptor = &lives->descriptor;
    recorder_start(&lives->recorder);
    write_text(lives->conf,
               "[node]\ndata = %s\nlisten =\ncontrol = %s\n%s"
               "[network]\ndescriptor = %s/descriptor\nseeds = 127.0.0.1:%u\n"
               "[share]\nmode = yes\n"
               "[log]\nfile = %s\nfrom_start = yes\ntimezone = UTC\n",
               lives->data, lives->socket, geteuid() == 0 ? "user = root\n" : "", lives->folder,
               lives->recorder.port, lives->log);
}

void lives_remove(struct lives *lives)
{
    char command[128];

    if (lives->pid)
        lives_kill(lives, SIGKILL);
    recorder_stop(&lives->recorder);
    snprintf(command, sizeof command, "rm -rf %s", lives->folder);
    assert_int_equal(system(command), 0);
}

/* ---- the process ---------------------------------------------------------------------------- */

/* ASan wants to be the first library; ours only calls the kernel. */
static char *const shimmed[] = {"LD_PRELOAD=" GV_BUILD_DIR "/tests/libgv_shim_disk.so",
                                "ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=1", NULL};

static void run_daemon(const struct lives *lives, char *const *environment)
{
    char *all[512];
    size_t count = 0;

    for (char **e = environ; *e && count < 400; e++)
        if (!environment || strncmp(*e, "ASAN_OPTIONS=", 13) != 0)
            all[count++] = *e;
    bool another = environment && *environment && strncmp(*environment, "LD_PRELOAD=", 11) == 0;
    for (char *const *e = shimmed + another; environment && *e; e++)
        all[count++] = *e;
    for (char *const *e = environment; e && *e && count < 500; e++)
        all[count++] = *e;
    all[count] = NULL;
    int out = open(lives->said, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    int in = open("/dev/null", O_RDONLY);
    dup2(in, 0);
    dup2(out, 1);
    dup2(out, 2);
    char *argv[] = {"grapevined", "--config", (char *)lives->conf, NULL};
    execve(GV_BIN_DIR "/grapevined", argv, all);
    _exit(127);
}

void lives_start(struct lives *lives, char *const *environment)
{
    fflush(NULL);
    unlink(lives->said); /* or the words of the life before are taken for this one's */
    write_text(lives->said, "%s", "");
    lives->pid = fork();
    assert_true(lives->pid >= 0);
    if (lives->pid == 0)
        run_daemon(lives, environment);
}

bool lives_ended(struct lives *lives, int *status)
{
    if (waitpid(lives->pid, status, WNOHANG) != lives->pid)
        return false;
    lives->pid = 0;
    return true;
}

int lives_wait(struct lives *lives)
{
    int status = -1;

    for (uint64_t end = clock_ms() + 60000; clock_ms() < end; sleep_ms(1))
        if (lives_ended(lives, &status))
            return status;
    lives_kill(lives, SIGKILL);
    fail_msg("the daemon does not end; it said: %s", lives_said(lives));
    return status;
}

void lives_kill(struct lives *lives, int signal)
{
    int status;

    kill(lives->pid, signal);
    if (signal == SIGKILL) {
        waitpid(lives->pid, &status, 0);
        lives->pid = 0;
    }
}

bool lives_await_session(struct lives *lives, unsigned before)
{
    bool open = false;
    siginfo_t info = {0};

    for (uint64_t end = clock_ms() + 60000; clock_ms() < end; sleep_ms(1)) {
        if (recorder_sessions(&lives->recorder, &open) > before && open)
            return true;
        if (waitid(P_PID, (id_t)lives->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
            info.si_pid == lives->pid)
            return false;
    }
    return false;
}

/* ---- the log -------------------------------------------------------------------------------- */

/* The oldest hour first, so that the stamps rise and no hour's quota overflows. */
struct gv_subject lives_feed(struct lives *lives)
{
    struct gv_subject subject;
    unsigned n = lives->fed++, hours = 22 - n / LIVES_PER_NODE % 22;
    time_t at = time(NULL) - (time_t)hours * 3600;
    char stamp[32], address[32], lines[1024];
    struct tm utc;
    int len = 0;

    gmtime_r(&at, &utc);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(address, sizeof address, "45.%u.%u.7", 1 + (n >> 8), n & 255);
    for (int i = 0; i < 3; i++)
        len += snprintf(lines + len, sizeof lines - (size_t)len,
                        "%s.%06d+00:00 vm dovecot: imap-login: Disconnected (auth failed, 1 "
                        "attempts in 2 secs): user=<u%d>, method=PLAIN, rip=%s, lip=127.0.0.1, "
                        "session=<s%u%d>\n",
                        stamp, i, i, address, n, i);
    int fd = open(lives->log, O_WRONLY | O_APPEND);
    assert_int_equal(write(fd, lines, (size_t)len), len);
    close(fd);
    assert_int_equal(gv_subject_parse(&subject, address, strlen(address)), GV_OK);
    return subject;
}

bool lives_await(struct lives *lives, const struct gv_subject *subject, unsigned ms)
{
    for (uint64_t end = clock_ms() + ms; clock_ms() < end; sleep_ms(1))
        if (recorder_has(&lives->recorder, subject))
            return true;
    return recorder_has(&lives->recorder, subject);
}

bool lives_ask(struct lives *lives, const char *path, unsigned status, struct gv_buf *out)
{
    char url[512];
    struct gv_fetch_result result;
    struct gv_fetch_request request = {.url = url, .unix_path = lives->socket, .total_ms = 30000};

    snprintf(url, sizeof url, "http://localhost/api/v1/%s", path);
    bool ok = gv_fetch_blocking(&result, &request) == GV_OK && result.status == status;
    if (ok && out) {
        gv_buf_append(out, result.body, result.len);
        gv_buf_append(out, "", 1);
    }
    gv_fetch_result_free(&result);
    return ok;
}

/* ---- afterwards ----------------------------------------------------------------------------- */

char *lives_said(const struct lives *lives)
{
    struct gv_buf text;

    gv_buf_init(&text);
    assert_int_equal(gv_file_read(&text, lives->said, 1 << 24, NULL), GV_OK);
    gv_buf_append(&text, "", 1);
    return (char *)text.data;
}

void lives_check_said(const struct lives *lives)
{
    static const char *const wrong[] = {"error:",        "damaged",      "were changed",
                                        "not valid and", "Sanitizer",    "runtime error",
                                        "assert",        "contradicted", "another machine"};
    char *said = lives_said(lives);

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (strstr(said, wrong[i]))
            fail_msg("the daemon said \"%s\":\n%s", wrong[i], said);
    free(said);
}

struct tally {
    struct recorder *recorder;
    struct recorded *all;
    size_t count, in_store;
};

static void on_sent(void *context, const struct gv_persist_sent *sent)
{
    struct tally *tally = context;
    struct gv_statement statement;

    if (sent->preview)
        return;
    assert_int_equal(gv_statement_parse(&statement, sent->value + 1, sent->value_len - 1), GV_OK);
    tally->all = realloc(tally->all, (tally->count + 1) * sizeof *tally->all);
    assert_non_null(tally->all);
    memcpy(tally->all[tally->count].id, sent->id, GV_ID_LEN);
    tally->all[tally->count].sequence = statement.sequence;
    tally->all[tally->count++].subject = statement.subject;
    tally->in_store++;
}

static void check_unique(const struct tally *tally)
{
    for (size_t i = 0; i < tally->count; i++)
        for (size_t j = 0; j < i; j++)
            if (tally->all[i].sequence == tally->all[j].sequence &&
                memcmp(tally->all[i].id, tally->all[j].id, GV_ID_LEN) != 0)
                fail_msg("number %llu was used twice", (unsigned long long)tally->all[i].sequence);
}

static void no_row(void *context, enum gv_row row, const uint8_t *key, size_t key_len,
                   const uint8_t *value, size_t value_len)
{
}

size_t lives_check_store(struct lives *lives)
{
    struct tally tally = {.recorder = &lives->recorder};
    struct gv_persist *persist = NULL;
    struct gv_text error = {""};
    char path[128];
    size_t bad;

    snprintf(path, sizeof path, "%s/store.db", lives->data);
    if (gv_persist_open(&persist, path, lives->node.store_key, &error) != GV_OK)
        fail_msg("%s", error.text);
    assert_int_equal(gv_persist_load(persist, no_row, NULL, &bad, &error), GV_OK);
    assert_int_equal(bad, 0);
    assert_int_equal(gv_persist_telemetry(persist, 0, 100000, on_sent, &tally), GV_OK);
    gv_persist_close(persist);
    pthread_mutex_lock(&lives->recorder.lock);
    for (size_t i = 0; i < lives->recorder.count; i++) {
        bool found = false;
        for (size_t j = 0; j < tally.in_store && !found; j++)
            found = memcmp(lives->recorder.list[i].id, tally.all[j].id, GV_ID_LEN) == 0;
        if (!found)
            fail_msg("signal %zu was acknowledged and is lost", i);
    }
    pthread_mutex_unlock(&lives->recorder.lock);
    check_unique(&tally);
    free(tally.all);
    return tally.in_store;
}

/* ---- what it must do, or the test fails --------------------------------------------------------
 */

void lives_said_lacks(const struct lives *lives, const char *const *wrong)
{
    char *said = lives_said(lives);

    for (; *wrong; wrong++)
        if (strstr(said, *wrong))
            fail_msg("the daemon said \"%s\":\n%s", *wrong, said);
    free(said);
}

void lives_said_has(const struct lives *lives, const char *text)
{
    char *said = lives_said(lives);

    if (!strstr(said, text))
        fail_msg("the daemon did not say \"%s\":\n%s", text, said);
    free(said);
}

void lives_start_up(struct lives *lives, char *const *environment)
{
    unsigned before = recorder_sessions(&lives->recorder, NULL);

    lives_start(lives, environment);
    if (!lives_await_session(lives, before))
        fail_msg("it does not start: %s", lives_said(lives));
}

void lives_stop(struct lives *lives)
{
    lives_kill(lives, SIGTERM);
    int status = lives_wait(lives);
    if (status != 0)
        fail_msg("status %d: %s", status, lives_said(lives));
}

bool lives_await_ready(struct lives *lives)
{
    siginfo_t info = {0};
    bool ready = false;

    for (int i = 0; i < 6000 && !ready && info.si_pid == 0; i++) {
        usleep(10000);
        char *said = lives_said(lives);
        ready = strstr(said, "ready;") != NULL;
        free(said);
        waitid(P_PID, (id_t)lives->pid, &info, WEXITED | WNOHANG | WNOWAIT);
    }
    return ready && info.si_pid == 0;
}
