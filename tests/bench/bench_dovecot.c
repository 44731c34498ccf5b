/* Dovecot's policy server under load: 5,000 questions a second, each followed by its report, from
 * 100,000 addresses with history, over keep-alive connections on loopback; at fixed times, so that
 * a slow answer does not slow the questions down (no coordinated omission). The server runs in a
 * process of its own, on a core of its own where there are several. Where that is allowed both run
 * before all else that the machine does (SCHED_FIFO), so that the figure is the server's and not
 * that of who else waits for the core. `bench_dovecot SECONDS PORT KEY` asks a daemon that runs
 * there instead, with its store and its surfaces: 5,000 requests a second, half of them reports.
 * Prints latency of the questions, from when they were due; the server's CPU time; and what one
 * turn of its loop takes of that, beyond which nothing keeps a question waiting that has the core
 * to itself. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "crypto/error.h"
#include "first.h"
#include "node/host/driver.h"
#include "node/serve/dovecot.h"

#define CONNECTIONS 64u
#define ADDRESSES   100000u
#define RATE        5000u /* questions a second, and as many reports; of a daemon half of that */
#define TURNS_MAX   (1u << 20)

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- the server ----------------------------------------------------------------------------- */

struct side {
    uv_loop_t loop;
    struct gv_core *core;
    struct gv_dovecot *dovecot;
    struct gv_http_server *http;
    struct gv_effects effects;
};

static void observe(void *context, const struct gv_observation *observation)
{
    struct side *s = context;
    struct gv_event event = {.kind = GV_EVENT_OBSERVATION, .observation = *observation};

    gv_effects_clear(&s->effects);
    (void)gv_core_step(s->core, uv_now(&s->loop), &event, &s->effects);
}

static void handle(struct gv_http_request *request, void *context)
{
    gv_dovecot_handle(((struct side *)context)->dovecot, request);
}

/* ---- what a turn of the loop takes ---------------------------------------------------------- */

static struct {
    uint64_t cpu_ns[TURNS_MAX], since_ns;
    size_t count;
} turns;

static void on_turn(uv_prepare_t *prepare)
{
    struct timespec t;

    (void)prepare;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    uint64_t now = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
    if (turns.since_ns && turns.count < TURNS_MAX)
        turns.cpu_ns[turns.count++] = now - turns.since_ns;
    turns.since_ns = now;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static void print_turns(void)
{
    size_t n = turns.count;

    qsort(turns.cpu_ns, n, sizeof *turns.cpu_ns, compare);
    if (n > 0)
        printf("a turn of its loop: %zu of them, CPU time p50 %.3f ms, p99 %.3f ms, p99.9 %.3f ms, "
               "longest %.3f ms\n",
               n, (double)turns.cpu_ns[n / 2] / 1e6, (double)turns.cpu_ns[n * 99 / 100] / 1e6,
               (double)turns.cpu_ns[n * 999 / 1000] / 1e6, (double)turns.cpu_ns[n - 1] / 1e6);
    fflush(stdout);
}

/* The server on the last core, everything else of this program on the others. */
static void take_core(bool server)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    cpu_set_t set;

    if (count < 2)
        return;
    CPU_ZERO(&set);
    for (long i = 0; i < count && i < CPU_SETSIZE; i++)
        if ((i == count - 1) == server)
            CPU_SET((size_t)i, &set);
    (void)sched_setaffinity(0, sizeof set, &set);
}

static void on_term(uv_signal_t *handle_, int number)
{
    (void)number;
    uv_stop(handle_->loop);
}

static int serve(int ready)
{
    static struct side s;
    struct gv_identity identity;
    const uint8_t secret[GV_SECRET_LEN] = {1};
    struct gv_core_options core = {.identity = &identity, .seed = {2}};
    struct gv_http_route route = {"POST", "/dovecot", handle};
    struct gv_http_options http = {.host = "127.0.0.1",
                                   .routes = &route,
                                   .route_count = 1,
                                   .context = &s,
                                   .connections_per_ip = 256};
    struct gv_dovecot_options options = {.loop = &s.loop,
                                         .account_key = secret,
                                         .enforced = true,
                                         .context = &s,
                                         .observe = observe};
    uv_signal_t term;
    uv_prepare_t turn;

    gv_identity_from_secret(&identity, secret);
    uv_loop_init(&s.loop);
    gv_effects_init(&s.effects);
    if (gv_core_new(&s.core, &core, uv_now(&s.loop), gv_unix_ms()) != GV_OK)
        return 1;
    options.core = s.core;
    for (uint32_t i = 0; i < ADDRESSES; i++) {
        struct gv_observation seen = {.unix_ms = gv_unix_ms(),
                                      .attempts = 1,
                                      .new_visit = true,
                                      .service = GV_SERVICE_IMAP,
                                      .kind = GV_KIND_WRONG_PASSWORD};
        const uint8_t bytes[4] = {20, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};
        (void)gv_subject_from_address(&seen.subject, bytes, sizeof bytes);
        observe(&s, &seen);
    }
    if (gv_dovecot_start(&s.dovecot, &options) != GV_OK ||
        gv_http_start(&s.http, &s.loop, &http, NULL) != GV_OK)
        return 1;
    uv_signal_init(&s.loop, &term);
    uv_signal_start(&term, on_term, SIGTERM);
    uv_prepare_init(&s.loop, &turn);
    uv_prepare_start(&turn, on_turn);
    uint16_t port = gv_http_port(s.http);
    if (write(ready, &port, sizeof port) != sizeof port)
        return 1;
    uv_run(&s.loop, UV_RUN_DEFAULT);
    print_turns();
    return 0;
}

/* ---- the client ----------------------------------------------------------------------------- */

struct line {
    int fd;
    uint64_t due_ns; /* of the question that is under way; 0: none */
    uint32_t number;
    bool reporting;
    char in[512];
    size_t have;
};

static const char *key = ""; /* a header line, where the server wants one */
static unsigned rate = RATE;

static int dial(uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return connect(fd, (struct sockaddr *)&to, sizeof to) == 0 ? fd : -1;
}

static void post(struct line *line, const char *command, const char *more)
{
    char body[512], text[1024];
    uint32_t n = line->number;

    int len = snprintf(body, sizeof body,
                       "{\"device_id\":\"\",\"login\":\"user%u@example.org\",\"protocol\":\"imap\","
                       "\"pwhash\":\"%04x\",\"remote\":\"20.%u.%u.%u\",\"session_id\":\"s%u\","
                       "\"mech\":\"PLAIN\"%s,\"tls\":true}",
                       n % 977, n & 0xffff, n / 65536 % 2, n / 256 % 256, n % 256, n, more);
    len = snprintf(text, sizeof text,
                   "POST /dovecot?command=%s HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                   "Content-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s",
                   command, key, len, body);
    if (write(line->fd, text, (size_t)len) != len)
        perror("bench_dovecot: write");
}

/* Whether a whole answer is there; it is taken. */
static bool take_answer(struct line *line)
{
    ssize_t n = read(line->fd, line->in + line->have, sizeof line->in - 1 - line->have);

    if (n <= 0) {
        fprintf(stderr, "bench_dovecot: the server closed a connection\n");
        exit(1);
    }
    line->have += (size_t)n;
    line->in[line->have] = 0;
    if (!strstr(line->in, "\"msg\":\"") || line->in[line->have - 1] != '}')
        return false;
    line->have = 0;
    return true;
}

static size_t load(uint16_t port, unsigned seconds, uint64_t *latency)
{
    static struct line lines[CONNECTIONS];
    struct pollfd polls[CONNECTIONS];
    uint64_t start = now_ns(), total = (uint64_t)seconds * rate, sent = 0, done = 0;
    size_t spare = 0;

    for (size_t i = 0; i < CONNECTIONS; i++) {
        lines[i].fd = dial(port);
        polls[i] = (struct pollfd){.fd = lines[i].fd, .events = POLLIN};
    }
    while (done < total) {
        uint64_t now = now_ns();
        for (; sent < total && start + sent * 1000000000u / rate <= now; sent++) {
            size_t tried = 0;
            while (tried < CONNECTIONS && lines[spare].due_ns != 0) {
                spare = (spare + 1) % CONNECTIONS;
                tried++;
            }
            if (tried == CONNECTIONS)
                break; /* all busy: it is late from now on, and that is measured */
            lines[spare].due_ns = start + sent * 1000000000u / rate;
            lines[spare].number = (uint32_t)(sent * 7919 % ADDRESSES);
            lines[spare].reporting = false;
            post(&lines[spare], "allow", "");
        }
        struct timespec wait = {.tv_nsec = 50000};
        if (ppoll(polls, CONNECTIONS, &wait, NULL) <= 0)
            continue;
        for (size_t i = 0; i < CONNECTIONS; i++) {
            if (!(polls[i].revents & POLLIN) || !take_answer(&lines[i]))
                continue;
            if (lines[i].reporting) {
                lines[i].due_ns = 0;
                continue;
            }
            latency[done++] = now_ns() - lines[i].due_ns;
            lines[i].reporting = true;
            post(&lines[i], "report",
                 ",\"success\":true,\"policy_reject\":false,\"fail_type\":\"\"");
        }
    }
    return done;
}

static void print_latency(uint64_t *latency, size_t n, bool first)
{
    qsort(latency, n, sizeof *latency, compare);
    printf(
        "%zu questions at %u a second, each with its report, %s: p50 %.3f ms, p99 %.3f ms, p99.9 "
        "%.3f ms, longest %.3f ms\n",
        n, rate, first ? "before all else" : "beside all else", (double)latency[n / 2] / 1e6,
        (double)latency[n * 99 / 100] / 1e6, (double)latency[n * 999 / 1000] / 1e6,
        (double)latency[n - 1] / 1e6);
}

int main(int argc, char **argv)
{
    unsigned seconds = argc > 1 ? (unsigned)atoi(argv[1]) : 10;
    uint64_t *latency = calloc((size_t)seconds * RATE, sizeof *latency);
    char line[128];
    int ready[2], status;
    uint16_t port;
    struct rusage used;

    if (!latency || pipe(ready) != 0)
        return 71;
    if (argc > 3) {
        rate = RATE / 2;
        snprintf(line, sizeof line, "X-Api-Key: %s\r\n", argv[3]);
        key = line;
        bool before = go_first(true);
        print_latency(latency, load((uint16_t)atoi(argv[2]), seconds, latency), before);
        free(latency);
        return 0;
    }
    bool first = go_first(true);
    pid_t server = fork();
    take_core(server == 0);
    if (server == 0)
        _exit(serve(ready[1]));
    if (read(ready[0], &port, sizeof port) != sizeof port)
        return 71;
    size_t n = load(port, seconds, latency);
    kill(server, SIGTERM);
    wait4(server, &status, 0, &used);
    double cpu = (double)used.ru_utime.tv_sec + (double)used.ru_utime.tv_usec / 1e6 +
                 (double)used.ru_stime.tv_sec + (double)used.ru_stime.tv_usec / 1e6;
    print_latency(latency, n, first);
    printf("server: %.2f CPU s for %zu requests (%.0f requests per CPU second), peak memory %.1f "
           "MB\n",
           cpu, 2 * n, 2 * (double)n / cpu, (double)used.ru_maxrss / 1024);
    free(latency);
    return 0;
}
