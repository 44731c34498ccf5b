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

#define AGAIN_US 1000000 /* one that was turned away is back after a second, more or less */
#define FRAME    (2 + GV_KEY_LEN)
#define AGAIN    (FRAME + GV_ADMISSION_LEN)

struct stranger {
    int fd; /* -1: none now */
    bool connected, answered;
    bool challenged; /* he has a cookie */
    uint8_t cookie[GV_COOKIE_LEN];
    unsigned said;    /* bytes */
    uint64_t next_us; /* when he connects again, or says his next byte */
};

static struct {
    uint64_t opened, refused, ended, answered, challenged, again;
    unsigned open, most, held, held_most; /* connections; and those that were answered */
} count;

static struct member lent; /* whose certificate those show who prove nothing */

static void close_one(struct stranger *stranger, enum siege kind)
{
    close(stranger->fd);
    stranger->fd = -1;
    count.held -= stranger->answered;
    stranger->answered = false;
    if (stranger->connected)
        count.open--;
    /* Not in waves, between which there would be room for anybody. */
    stranger->next_us =
        kind == SIEGE_KNOCK ? now_us() : now_us() + AGAIN_US / 2 + randombytes_uniform(AGAIN_US);
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

/* His cookie, and the certificate of a true member or of nobody, under a proof that is none. */
static void bring(struct stranger *stranger, unsigned number)
{
    uint8_t frame[AGAIN] = {0, (uint8_t)(AGAIN - 2)};
    uint8_t *certificate = frame + FRAME + GV_COOKIE_LEN;

    randombytes_buf(frame + 2, AGAIN - 2);
    memcpy(frame + FRAME, stranger->cookie, GV_COOKIE_LEN);
    memcpy(certificate, lent.puppet.certificate, GV_CERTIFICATE_LEN);
    if (number % 2) /* another's signature: the whole must be looked at */
        randombytes_buf(certificate + GV_CERTIFICATE_LEN - GV_SIGNATURE_LEN, GV_SIGNATURE_LEN);
    if (send(stranger->fd, frame, AGAIN, MSG_NOSIGNAL) <= 0)
        return;
    stranger->said = AGAIN;
    stranger->challenged = false;
    count.again++;
}

static void greet(struct stranger *stranger, unsigned number, enum siege kind)
{
    if (kind == SIEGE_PROOFS && stranger->challenged)
        bring(stranger, number);
    else if (kind != SIEGE_SILENT && kind != SIEGE_SLOW)
        speak(stranger, FRAME);
}

static void open_one(const struct lab *lab, struct stranger *stranger, unsigned number, int epoll,
                     enum siege kind)
{
    static unsigned latest;
    /* Those who knock are somebody else each time, and come again at once. */
    struct sockaddr_in source =
        source_of_number(66, kind == SIEGE_KNOCK ? latest++ % 60000 : number);
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
    stranger->said = 0;
    greet(stranger, number, kind); /* what he says first is there with the connection */
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP, .data.u32 = number};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, stranger->fd, &event) != 0)
        die("epoll");
    stranger->connected = stranger->answered = false;
    count.opened++;
}

static void come_up(struct stranger *stranger, unsigned number, int epoll, enum siege kind)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.u32 = number};

    stranger->connected = true;
    if (++count.open > count.most)
        count.most = count.open;
    epoll_ctl(epoll, EPOLL_CTL_MOD, stranger->fd, &event);
    if (stranger->said == 0)
        greet(stranger, number, kind);
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
        if (n == 2 + GV_CHALLENGE_LEN) {
            stranger->challenged = true;
            memcpy(stranger->cookie, bytes + 2, GV_COOKIE_LEN);
            count.challenged++;
        } else if (n > 0 && !stranger->answered) {
            stranger->answered = true;
            count.answered++;
            if (++count.held > count.held_most)
                count.held_most = count.held;
            if (kind == SIEGE_HANDSHAKE ||
                kind == SIEGE_KNOCK) { /* which frees his place for the next */
                count.ended++;
                close_one(stranger, kind);
            }
        }
        if (n > 0)
            return;
    }
    if (events & (EPOLLIN | EPOLLERR | EPOLLHUP | EPOLLRDHUP)) {
        count.refused += !stranger->connected;
        count.ended += stranger->connected;
        close_one(stranger, kind);
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
            open_one(lab, stranger, i, epoll, kind);
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
    if (kind == SIEGE_PROOFS) { /* one whom the node knows */
        struct sockaddr_in source = source_of_number(77, 3);
        member_make(&lent, lab);
        if (!member_join(&lent, lab, &source, 0))
            die("the member whose certificate is shown was not let in");
        member_leave(&lent);
    }
    signal(SIGTERM, on_enough);
    for (unsigned i = 0; i < strangers; i++) /* all at once */
        open_one(lab, &all[i], i, epoll, kind), all[i].next_us = UINT64_MAX;
    while (now_us() < end && !enough) {
        int n = epoll_wait(epoll, events, 512, kind == SIEGE_KNOCK ? 1 : 20);
        for (int i = 0; i < n; i++)
            happen(&all[events[i].data.u32], events[i].data.u32, epoll, kind, events[i].events);
        if (now_us() >= next_tick) {
            tick(lab, all, strangers, epoll, kind);
            next_tick = now_us() + (kind == SIEGE_KNOCK ? 1000 : 50000);
        }
    }
    double lasted = (double)(now_us() - start) / 1e6;
    /* What SPEC 5.4 lets begin, and a second's worth more. */
    uint64_t begun_max = GV_HANDSHAKES_BURST + (uint64_t)((lasted + 1) * GV_HANDSHAKES_PER_SECOND);
    printf("%llu %s of %u addresses in %.0f s, %llu cut off, %llu answered (%u half-open at most), "
           "%llu told to come again, %llu came, %u open at most\n",
           (unsigned long long)count.opened, kind == SIEGE_KNOCK ? "tries" : "connections",
           kind == SIEGE_KNOCK ? (unsigned)count.opened : strangers, lasted,
           (unsigned long long)(count.refused + count.ended), (unsigned long long)count.answered,
           count.held_most, (unsigned long long)count.challenged, (unsigned long long)count.again,
           count.most);
    for (unsigned i = 0; i < strangers; i++)
        if (all[i].fd >= 0)
            close(all[i].fd);
    close(epoll);
    free(all);
    if (count.held_most > GV_STRANGERS_MAX)
        fprintf(stderr, "%u were half-open at once, %u are the most\n", count.held_most,
                GV_STRANGERS_MAX);
    if (count.answered > begun_max)
        fprintf(stderr, "%llu handshakes were answered, %llu are the most\n",
                (unsigned long long)count.answered, (unsigned long long)begun_max);
    /* Those who never come up hold nothing; a siege whose strangers all get in is none. */
    return count.held_most > GV_STRANGERS_MAX || count.answered > begun_max ||
                   count.refused + count.ended == 0
               ? 1
               : 0;
}
