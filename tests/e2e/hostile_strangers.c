/* Strangers: thousands of connections at once, and again every second, that say nothing, say it
 * slowly, or begin a handshake that they do not finish. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sodium.h>

#include "hostile.h"
#include "proto/limits.h"

#define AGAIN_US 1000000 /* one that was turned away is back after a second */
#define FRAME    (2 + GV_KEY_LEN)

struct stranger {
    int fd; /* -1: none now */
    bool connected, answered;
    unsigned said; /* bytes */
    uint64_t next_us; /* when he connects again, or says his next byte */
};

static struct {
    uint64_t opened, refused, ended, answered;
    unsigned open, most;
} count;

static void open_one(const struct lab *lab, struct stranger *stranger, unsigned number, int epoll)
{
    struct sockaddr_in source = source_of_number(66, number);
    struct linger linger = {.l_onoff = 1}; /* ends with RST: no port is left waiting */
    int on = 1;

    stranger->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (stranger->fd < 0)
        die("socket");
    setsockopt(stranger->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    setsockopt(stranger->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    if (bind(stranger->fd, (struct sockaddr *)&source, sizeof source) != 0)
        die("bind");
    if (connect(stranger->fd, (const struct sockaddr *)&lab->target, sizeof lab->target) != 0 &&
        errno != EINPROGRESS)
        die("connect");
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP, .data.u32 = number};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, stranger->fd, &event) != 0)
        die("epoll");
    stranger->connected = stranger->answered = false;
    stranger->said = 0;
    count.opened++;
}

static void close_one(struct stranger *stranger)
{
    close(stranger->fd);
    stranger->fd = -1;
    if (stranger->connected)
        count.open--;
    stranger->next_us = now_us() + AGAIN_US;
}

/* As many bytes of a first frame as are due. */
static void speak(struct stranger *stranger, unsigned bytes)
{
    uint8_t frame[FRAME] = {0, GV_KEY_LEN};

    randombytes_buf(frame + 2, GV_KEY_LEN);
    if (stranger->said + bytes > FRAME)
        bytes = FRAME - stranger->said;
    ssize_t n = send(stranger->fd, frame + stranger->said, bytes, MSG_NOSIGNAL);
    stranger->said += n > 0 ? (unsigned)n : 0;
}

static void come_up(struct stranger *stranger, unsigned number, int epoll, enum siege kind)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.u32 = number};

    stranger->connected = true;
    if (++count.open > count.most)
        count.most = count.open;
    epoll_ctl(epoll, EPOLL_CTL_MOD, stranger->fd, &event);
    if (kind == SIEGE_HANDSHAKE)
        speak(stranger, FRAME);
    stranger->next_us = now_us() + 1000000;
}

static void happen(struct stranger *stranger, unsigned number, int epoll, enum siege kind,
                   uint32_t events)
{
    uint8_t bytes[1024];

    if (stranger->fd < 0)
        return;
    if (!stranger->connected && (events & EPOLLOUT) && !(events & (EPOLLERR | EPOLLHUP)))
        come_up(stranger, number, epoll, kind);
    if (events & EPOLLIN) {
        ssize_t n = recv(stranger->fd, bytes, sizeof bytes, 0);
        if (n > 0 && !stranger->answered) {
            stranger->answered = true;
            count.answered++;
        }
        if (n > 0)
            return;
    }
    if (events & (EPOLLIN | EPOLLERR | EPOLLHUP | EPOLLRDHUP)) {
        count.refused += !stranger->connected;
        count.ended += stranger->connected;
        close_one(stranger);
    }
}

/* Those whose time has come. */
static void tick(const struct lab *lab, struct stranger *strangers, unsigned total, int epoll,
                 enum siege kind)
{
    uint64_t now = now_us();

    for (unsigned i = 0; i < total; i++) {
        struct stranger *stranger = &strangers[i];
        if (stranger->next_us > now)
            continue;
        if (stranger->fd < 0) {
            open_one(lab, stranger, i, epoll);
            stranger->next_us = UINT64_MAX;
        } else if (stranger->connected) {
            if (kind == SIEGE_SLOW)
                speak(stranger, 1);
            stranger->next_us = now + 1000000;
        }
    }
}

static volatile sig_atomic_t enough; /* SIGTERM: the siege has lasted long enough */

static void on_enough(int signal)
{
    (void)signal;
    enough = 1;
}

int run_siege(const struct lab *lab, enum siege kind, unsigned strangers, unsigned seconds)
{
    struct stranger *all = calloc(strangers, sizeof *all);
    struct epoll_event events[512];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    uint64_t start = now_us(), end = start + seconds * 1000000ull, next_tick = 0;

    if (!all || epoll < 0)
        die("siege");
    signal(SIGTERM, on_enough);
    for (unsigned i = 0; i < strangers; i++) /* all at once */
        open_one(lab, &all[i], i, epoll), all[i].next_us = UINT64_MAX;
    while (now_us() < end && !enough) {
        int n = epoll_wait(epoll, events, 512, 20);
        for (int i = 0; i < n; i++)
            happen(&all[events[i].data.u32], events[i].data.u32, epoll, kind, events[i].events);
        if (now_us() >= next_tick) {
            tick(lab, all, strangers, epoll, kind);
            next_tick = now_us() + 50000;
        }
    }
    double lasted = (double)(now_us() - start) / 1e6;
    /* What SPEC 5.4 lets begin, and a second's worth more. */
    uint64_t begun_max = GV_HANDSHAKES_BURST + (uint64_t)((lasted + 1) * GV_HANDSHAKES_PER_SECOND);
    printf("%llu connections of %u addresses in %.0f s, %llu cut off, %llu answered, %u open at most\n",
           (unsigned long long)count.opened, strangers, lasted,
           (unsigned long long)(count.refused + count.ended), (unsigned long long)count.answered,
           count.most);
    for (unsigned i = 0; i < strangers; i++)
        if (all[i].fd >= 0)
            close(all[i].fd);
    close(epoll);
    free(all);
    if (count.answered > begun_max)
        fprintf(stderr, "%llu handshakes were answered, %llu are the most\n",
                (unsigned long long)count.answered, (unsigned long long)begun_max);
    /* Those who never come up hold nothing; a siege whose strangers all get in is none. */
    return count.answered > begun_max || count.refused + count.ended == 0 ? 1 : 0;
}
