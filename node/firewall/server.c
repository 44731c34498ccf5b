#include "node/firewall/server.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/base/log.h"
#include "node/host/interfaces.h"

#define TICK_MS        1000
#define INTERFACES_S   60u
#define READ_MAX       65536u
#define READS_IN_A_ROW 64 /* then the clock and the signals have a turn */
#define LOOPBACKS      2

static uint64_t now_s(void)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    return (uint64_t)at.tv_sec + 1;
}

/* ---- the kernel ----------------------------------------------------------------------------- */

/* Everything that differs goes to the kernel. */
static int bring_up(struct gv_firewall_server *s, struct gv_text *error)
{
    struct gv_plan plan;
    int rc = gv_nft_table_plan(s->table, &plan, now_s());

    if (rc != GV_OK)
        return gv_fail(error, rc, "out of memory");
    if (!gv_plan_is_empty(&plan)) {
        rc = gv_nft_apply(s->nft, &plan, error);
        if (rc == GV_OK)
            gv_nft_table_done(s->table);
    }
    gv_plan_free(&plan);
    return rc;
}

static int build(struct gv_firewall_server *s, struct gv_text *error)
{
    s->unbuilt = true;
    int rc = gv_nft_build(s->nft, &s->rules, error);
    if (rc != GV_OK)
        return rc;
    gv_nft_table_lost(s->table);
    rc = bring_up(s, error);
    s->unbuilt = rc != GV_OK;
    return rc;
}

/* As bring_up; what fails is made anew from the ground, now or at the next tick. */
static int settle(struct gv_firewall_server *s)
{
    struct gv_text why = {""}, first = {""};

    if (!s->unbuilt && bring_up(s, &first) == GV_OK)
        return GV_OK;
    bool news = !s->unbuilt;
    if (build(s, &why) == GV_OK) {
        gv_log(GV_LOG_NOTICE, "table inet grapevine was made anew%s%s", first.text[0] ? ": " : "",
               first.text);
        return GV_OK;
    }
    if (news)
        gv_log(GV_LOG_ERROR, "%s; tried again every second", why.text);
    return GV_ERR_IO;
}

static int on_found(void *context, const struct gv_subject *subject, uint32_t seconds)
{
    (void)seconds;
    return gv_nft_table_found(context, subject);
}

/* Somebody has changed some ruleset, as fail2ban or Docker do all day: ours should be as it was. */
static void look_after(struct gv_firewall_server *s)
{
    struct gv_plan plan;

    if (s->unbuilt || !gv_nft_stirred(s->nft))
        return;
    if (!gv_nft_is_whole(s->nft) || !gv_nft_has_ranges(s->nft)) {
        gv_log(GV_LOG_WARNING, "somebody else has changed table inet grapevine; it is made anew");
        s->unbuilt = true;
        return;
    }
    gv_nft_table_lost(s->table);
    int rc = gv_nft_each(s->nft, on_found, s->table);
    if (rc == GV_OK && gv_nft_table_plan(s->table, &plan, now_s()) == GV_OK) {
        if (plan.entry_count > 0)
            gv_log(GV_LOG_WARNING,
                   "somebody else has changed %zu entries of table inet grapevine; "
                   "they are put right",
                   plan.entry_count);
        gv_plan_free(&plan);
    }
    s->unbuilt = rc != GV_OK;
}

/* ---- what may never be refused -------------------------------------------------------------- */

static int protect(struct gv_firewall_server *s)
{
    static const struct gv_prefix loopback[LOOPBACKS] = {
        {.family = GV_FAMILY_IPV4, .bits = 8, .bytes = {127}},
        {.family = GV_FAMILY_IPV6, .bits = 64}};
    struct gv_prefix *all = calloc(s->allow_count + LOOPBACKS + GV_INTERFACES_MAX, sizeof *all);

    if (!all)
        return GV_ERR_MEMORY;
    memcpy(all, loopback, sizeof loopback);
    if (s->allow_count)
        memcpy(all + LOOPBACKS, s->allow, s->allow_count * sizeof *all);
    size_t own = gv_interfaces_read(all + LOOPBACKS + s->allow_count);
    int rc = gv_nft_table_protect(s->table, all, LOOPBACKS + s->allow_count + own);
    free(all);
    s->interfaces_s = now_s();
    return rc;
}

/* ---- the client ----------------------------------------------------------------------------- */

static void hang_up(struct gv_firewall_server *s)
{
    if (s->client >= 0)
        close(s->client);
    s->client = -1;
    s->in_len = 0;
    s->not_taken = 0;
    gv_nft_table_abandon(s->table);
}

static void answer(struct gv_firewall_server *s, uint32_t number, int rc)
{
    uint8_t wire[GV_FIREWALL_RECORD];
    struct gv_firewall_record done = {.op = GV_FIREWALL_DONE,
                                      .number = number,
                                      .result = rc != GV_OK    ? GV_FIREWALL_KERNEL
                                                : s->not_taken ? GV_FIREWALL_PARTLY
                                                               : GV_FIREWALL_OK,
                                      .in_place = (uint32_t)gv_nft_table_count(s->table),
                                      .not_taken = s->not_taken};

    gv_firewall_record_write(wire, &done);
    s->not_taken = 0;
    if (send(s->client, wire, sizeof wire, MSG_DONTWAIT | MSG_NOSIGNAL) != sizeof wire)
        hang_up(s); /* whoever does not read its answers is no daemon of ours */
}

static void refused(struct gv_firewall_server *s, const struct gv_prefix *prefix, int rc)
{
    char text[GV_PREFIX_TEXT];

    s->not_taken++;
    gv_prefix_text(text, prefix);
    gv_log_limited(GV_LOG_WARNING, "%s is not taken: %s", text,
                   rc == GV_ERR_FULL     ? "the table is full"
                   : rc == GV_ERR_MEMORY ? "out of memory"
                   : rc == GV_ERR_RANGE  ? "no firewall of ours holds such an address"
                                         : "it is on the allow list, or this host's own");
}

/* False: the client is gone. */
static bool on_record(struct gv_firewall_server *s, const uint8_t *wire)
{
    struct gv_firewall_record record;
    int rc = gv_firewall_record_read(&record, wire);

    if (rc == GV_ERR_MALFORMED || record.op == GV_FIREWALL_DONE ||
        (record.op == GV_FIREWALL_HELLO) == s->greeted ||
        (record.op == GV_FIREWALL_HELLO && record.number != GV_FIREWALL_VERSION)) {
        gv_log_limited(GV_LOG_WARNING, "the client speaks another language; are grapevined and "
                                       "grapevine-firewall of one version?");
        hang_up(s);
        return false;
    }
    s->greeted = true;
    if (rc == GV_OK)
        rc = gv_nft_table_apply(s->table, &record, now_s());
    if (record.op == GV_FIREWALL_COMMIT)
        answer(s, record.number, rc == GV_OK ? settle(s) : rc);
    else if (rc != GV_OK)
        refused(s, &record.prefix, rc);
    return s->client >= 0;
}

/* False: nothing more to read now. */
static bool read_client(struct gv_firewall_server *s)
{
    ssize_t got = recv(s->client, s->in + s->in_len, READ_MAX - s->in_len, MSG_DONTWAIT);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (got <= 0) {
        gv_log(GV_LOG_INFO, "grapevined has gone; what is in place ends by itself");
        hang_up(s);
        return false;
    }
    s->in_len += (size_t)got;
    size_t at = 0;
    for (; s->in_len - at >= GV_FIREWALL_RECORD; at += GV_FIREWALL_RECORD)
        if (!on_record(s, s->in + at))
            return false;
    memmove(s->in, s->in + at, s->in_len - at);
    s->in_len -= at;
    return true;
}

/* The daemon keeps its key in a folder that must be its own. */
static bool is_known(const struct gv_firewall_server *s, uid_t user)
{
    struct stat info;

    for (size_t i = 0; i < s->user_count; i++)
        if (user == s->users[i])
            return true;
    return lstat(s->folder, &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == user;
}

/* The newest wins: a daemon that was started again need not wait for the end of the old one. */
static void welcome(struct gv_firewall_server *s)
{
    struct ucred peer = {0};
    socklen_t len = sizeof peer;
    int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0) {
        if (errno != EAGAIN) /* no file for him: he would wake us at once, for ever */
            (void)poll(NULL, 0, 100);
        return;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0 || !is_known(s, peer.uid)) {
        gv_log_limited(GV_LOG_WARNING, "a process of the user with id %u was turned away",
                       (unsigned)peer.uid);
        close(fd);
        return;
    }
    hang_up(s);
    s->client = fd;
    s->greeted = false;
    gv_log(GV_LOG_INFO, "grapevined is here");
}

/* ---- the loop ------------------------------------------------------------------------------- */

static int on_leftover(void *context, const struct gv_subject *subject, uint32_t seconds)
{
    struct gv_firewall_record record = {.op = GV_FIREWALL_ADD};
    uint8_t wire[GV_FIREWALL_RECORD];

    record.prefix.family = subject->family;
    record.prefix.bits = subject->family == GV_FAMILY_IPV4 ? 32 : 64;
    memcpy(record.prefix.bytes, subject->bytes, sizeof subject->bytes);
    record.number = seconds == 0 || seconds > GV_FIREWALL_LEASE_S ? GV_FIREWALL_LEASE_S : seconds;
    gv_firewall_record_write(wire, &record); /* judged as if the daemon had said it */
    if (gv_firewall_record_read(&record, wire) != GV_OK)
        return GV_OK;
    int rc = gv_nft_table_apply(context, &record, now_s());
    return rc == GV_ERR_MEMORY ? rc : GV_OK;
}

static void tick(struct gv_firewall_server *s)
{
    if (now_s() - s->interfaces_s >= INTERFACES_S && protect(s) != GV_OK)
        gv_log_limited(GV_LOG_ERROR, "out of memory");
    look_after(s);
    (void)settle(s);
}

/* False: time to go. */
static bool on_signal(struct gv_firewall_server *s)
{
    struct signalfd_siginfo signal;
    struct gv_text why = {""};

    if (read(s->signals, &signal, sizeof signal) != sizeof signal)
        return true;
    if (signal.ssi_signo != SIGHUP)
        return false;
    s->reload(s, s->context);
    if (protect(s) != GV_OK || build(s, &why) != GV_OK)
        gv_log(GV_LOG_ERROR, "%s", why.text[0] ? why.text : "out of memory");
    return true;
}

static bool turn(struct gv_firewall_server *s, uint64_t *next_ms)
{
    struct timespec at;
    struct pollfd fds[3] = {{.fd = s->signals, .events = POLLIN},
                            {.fd = s->listener, .events = POLLIN},
                            {.fd = s->client, .events = POLLIN}}; /* -1 is passed over */

    clock_gettime(CLOCK_MONOTONIC, &at);
    uint64_t now_ms = (uint64_t)at.tv_sec * 1000 + (uint64_t)at.tv_nsec / 1000000;
    if (now_ms >= *next_ms) {
        tick(s);
        *next_ms = now_ms + TICK_MS;
    }
    if (poll(fds, 3, (int)(*next_ms > now_ms ? *next_ms - now_ms : 0)) <= 0)
        return true;
    if (fds[0].revents && !on_signal(s))
        return false;
    if (fds[2].revents)
        for (int i = 0; i < READS_IN_A_ROW && s->client >= 0 && read_client(s); i++)
            ;
    if (fds[1].revents)
        welcome(s);
    return true;
}

int gv_firewall_serve(struct gv_firewall_server *server, struct gv_text *error)
{
    struct gv_firewall_server *s = server;
    uint64_t next_ms = 0;

    s->client = -1;
    s->in = malloc(READ_MAX);
    int rc = s->in ? protect(s) : GV_ERR_MEMORY;
    if (rc == GV_OK)
        rc = gv_nft_each(s->nft, on_leftover, s->table);
    if (rc != GV_ERR_MEMORY)
        rc = build(s, error);
    else
        gv_fail(error, rc, "out of memory");
    if (rc == GV_OK) {
        gv_log(GV_LOG_NOTICE, "grapevine-firewall " GV_VERSION " ready; %zu entries in place",
               gv_nft_table_count(s->table));
        while (turn(s, &next_ms))
            ;
        gv_log(GV_LOG_NOTICE, "stopped; table inet grapevine stays, see --remove");
    }
    hang_up(s);
    free(s->in);
    return rc;
}
