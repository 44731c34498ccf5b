/* Members that break the rules, and members that keep to their letter and flood. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "helper_forge.h"
#include "crypto/error.h"
#include "hostile.h"
#include "proto/limits.h"

/* ---- forged --------------------------------------------------------------------------------- */

#define EACH  200 /* messages of a session; the last cuts it off */
#define RETRY 25  /* of so many sessions one tries again at once */

static struct {
    unsigned sessions, cut, told, again, again_refused, messages, waits;
} forged;

/* Strangers' handshakes are limited, and every forger comes from an address that nobody knows: he
 * waits for his turn, and 20 s for all. */
static bool join_in_turn(struct member *member, const struct lab *lab, unsigned number)
{
    struct sockaddr_in source = source_of_number(88, number);

    for (unsigned i = 0; i < 400; i++) {
        if (member_join(member, lab, &source, 0))
            return true;
        forged.waits++;
        usleep(50000);
    }
    return false;
}

static void forge_session(const struct lab *lab, struct forger *forger, unsigned number)
{
    struct gv_buf message;
    struct member member;

    member_make(&member, lab);
    forger->self = &member.puppet;
    forger->minute = now_min();
    if (!join_in_turn(&member, lab, number))
        die("a forger was never let in");
    gv_buf_init(&message);
    for (unsigned i = 0; i + 1 < EACH; i++) {
        gv_buf_clear(&message);
        forge_dropped(forger, &message, FORGED_DROPPED_KINDS);
        member_say(&member, &message);
        member_hear(&member, 0, NULL, NULL);
    }
    if (member.cut || member.goodbye != PUPPET_NOBODY)
        die("cut off for what an honest peer could have sent");
    gv_buf_clear(&message);
    if (number % 4 == 0) {
        struct gv_buf wire;
        gv_buf_init(&wire);
        forge_dropped(forger, &message, FORGED_DROPPED_KINDS);
        gv_assert(gv_session_seal(&member.puppet.session, &wire, message.data, message.len) == 0);
        forge_frame(forger, &wire);
        member_write(&member, wire.data, wire.len);
        gv_buf_free(&wire);
    } else {
        forge_guilty(forger, &message, FORGED_GUILTY_KINDS);
        member_say(&member, &message);
    }
    gv_buf_free(&message);
    /* A frame that says it is longer than what came waits for the rest: more of it. */
    member_hear(&member, now_us() + PATIENCE_US, NULL, NULL);
    forged.sessions++;
    forged.messages += EACH;
    forged.cut += member.cut;
    forged.told += member.goodbye == GV_GOODBYE_INVALID;
    member_leave(&member);
    if (number % RETRY != 0)
        return;
    struct sockaddr_in source = source_of_number(88, number);
    forged.again++;
    if (member_join(&member, lab, &source,
                    0)) { /* the node says no after the last handshake frame */
        member_hear(&member, now_us() + PATIENCE_US, NULL, NULL);
        forged.again_refused += member.cut && member.heard[GV_MESSAGE_HELLO] <= 1;
    } else {
        forged.again_refused++;
    }
    member_leave(&member);
}

static bool is_ack(void *context, const struct gv_message *message)
{
    (void)context;
    return message->kind == GV_MESSAGE_ACK;
}

int run_forged(const struct lab *lab, unsigned messages)
{
    struct sockaddr_in source = source_of_number(77, 2);
    struct forger forger = {.network = &lab->network};
    uint8_t seed[GV_SEED_LEN] = {"sockets"};
    struct member victim;

    member_make(&victim, lab);
    if (!member_join(&victim, lab, &source, 0))
        die("the victim was not let in");
    gv_drbg_init(&forger.drbg, seed);
    forger.victim = &victim.puppet;
    forger.known = puppet_signal_on(&victim.puppet, 0x500000, now_min());
    struct gv_buf copy;
    gv_buf_init(&copy);
    gv_buf_append(&copy, forger.known.data, forger.known.len);
    member_hand(&victim, copy);
    if (!member_hear(&victim, now_us() + PATIENCE_US, is_ack, NULL))
        die("the victim's signal was not taken");
    member_leave(&victim);
    for (unsigned number = 0; forged.messages < messages; number++)
        forge_session(lab, &forger, number);
    printf("%u messages in %u sessions, %u cut off (%u were told why), of %u that came again at "
           "once %u were refused\n",
           forged.messages, forged.sessions, forged.cut, forged.told, forged.again,
           forged.again_refused);
    gv_buf_free(&forger.known);
    return forged.cut == forged.sessions && forged.again == forged.again_refused ? 0 : 1;
}

/* ---- members that flood within their certificate --------------------------------------------- */

#define FLOODERS 4

static struct flooder {
    struct member member;
    struct gv_buf out; /* sealed, waiting for the socket */
    struct gv_buf signals[64];
    uint64_t sent, before; /* in the second half; in the first */
} flooders[FLOODERS];

/* Signals at the quota, and far over it, and all of them again. */
static void flood_signals(struct flooder *f, struct gv_buf *message)
{
    unsigned at = (unsigned)gv_drbg_below(&f->member.puppet.drbg, 64);

    gv_buf_free(&f->signals[at]);
    f->signals[at] = puppet_signal_on(&f->member.puppet, 0x600000 + at, now_min());
    gv_message_records_start(message, 64);
    for (unsigned i = 0; i < 64; i++)
        gv_message_record(message, f->signals[i].data, f->signals[i].len);
}

/* Repair, from the start, that always differs. */
static void flood_repair(struct flooder *f, struct gv_buf *message)
{
    static const uint8_t nothing[GV_ID_LEN] = {0};
    bool list = gv_drbg_below(&f->member.puppet.drbg, 2) == 0;
    struct gv_range all = {.high = {.minute = UINT32_MAX},
                           .mode = list ? GV_RANGE_IDS : GV_RANGE_FINGERPRINT,
                           .data = nothing,
                           .count = list ? 1 : 0};

    gv_message_reconcile(
        message, gv_drbg_below(&f->member.puppet.drbg, 2) ? GV_TREE_STATEMENTS : GV_TREE_ROSTER, 0,
        &all, 1);
}

/* Useless requests and acknowledgements of the same id, 256 a message. */
static void flood_ids(struct flooder *f, struct gv_buf *message)
{
    static uint8_t ids[GV_IDS_PER_MESSAGE * GV_ID_LEN];

    for (unsigned i = 0; i < GV_IDS_PER_MESSAGE; i++)
        record_id(ids + i * GV_ID_LEN, &f->signals[i % 64]);
    gv_message_ids(message,
                   gv_drbg_below(&f->member.puppet.drbg, 2) ? GV_MESSAGE_WANT : GV_MESSAGE_ACK, ids,
                   GV_IDS_PER_MESSAGE);
}

/* A frame as full as it may be. */
static void flood_pings(struct gv_buf *message)
{
    while (message->len + 16 < GV_FRAME_PLAIN_MAX)
        gv_message_ping(message, GV_MESSAGE_PING, 1);
}

static void fill(struct flooder *f, unsigned kind)
{
    struct gv_buf message;

    gv_buf_init(&message);
    switch (kind) {
    case 0:
        flood_signals(f, &message);
        break;
    case 1:
        flood_repair(f, &message);
        break;
    case 2:
        flood_ids(f, &message);
        break;
    default:
        flood_pings(&message);
        break;
    }
    gv_assert(gv_session_seal(&f->member.puppet.session, &f->out, message.data, message.len) == 0);
    gv_buf_free(&message);
}

/* What may go to a node that reads 64 KiB a second (SPEC 13), in so many seconds with the bursts
 * over: twice that, and a MiB for what kernels take on their way and lay aside. Without that limit
 * it is tens of MB a second. */
static uint64_t flood_max(unsigned seconds)
{
    return seconds * 2 * 65536ull + (1u << 20);
}

/* Whether a flooder was held to the rate, or cut off; and has flooded at all. */
static bool is_held(const struct flooder *f, const char *name, unsigned seconds)
{
    bool held = f->sent <= flood_max(seconds) && (f->before + f->sent > 0 || f->member.cut);

    if (!held)
        fprintf(stderr, "%s: %llu bytes in %u s were taken, %llu are the most\n", name,
                (unsigned long long)f->sent, seconds, (unsigned long long)flood_max(seconds));
    return held;
}

/* As much as the socket takes now. */
static void push(struct flooder *f, unsigned kind)
{
    while (f->out.len < 65536)
        fill(f, kind);
    ssize_t n = send(f->member.fd, f->out.data, f->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0) {
        f->sent += (uint64_t)n;
        gv_buf_consume(&f->out, (size_t)n);
    } else if (n < 0 && errno != EAGAIN) {
        f->member.cut = true;
    }
}

static void flooder_start(struct flooder *f, const struct lab *lab, unsigned number)
{
    struct sockaddr_in source = source_of_number(99, number);

    member_make(&f->member, lab);
    for (unsigned i = 0; i < 64; i++)
        f->signals[i] = puppet_signal_on(&f->member.puppet, 0x600000 + i, now_min());
    if (!member_join(&f->member, lab, &source, 0))
        die("a flooder was not let in");
}

int run_flood(const struct lab *lab, unsigned seconds)
{
    static const char *const names[FLOODERS] = {"signals", "repair", "ids", "pings"};
    uint64_t end, half;
    bool held = true;

    for (unsigned i = 0; i < FLOODERS; i++)
        flooder_start(&flooders[i], lab, i);
    end = now_us() + seconds * 1000000ull;
    half = now_us() + seconds * 500000ull;
    while (now_us() < end) {
        if (half && now_us() >= half) { /* the bursts are over, and the kernels' buffers full */
            for (unsigned i = 0; i < FLOODERS; i++)
                flooders[i].before = flooders[i].sent, flooders[i].sent = 0;
            half = 0;
        }
        struct pollfd ready[FLOODERS];
        for (unsigned i = 0; i < FLOODERS; i++)
            ready[i] = (struct pollfd){.fd = flooders[i].member.cut ? -1 : flooders[i].member.fd,
                                       .events = POLLIN | POLLOUT};
        poll(ready, FLOODERS, 100);
        for (unsigned i = 0; i < FLOODERS; i++) {
            if (ready[i].revents & POLLOUT)
                push(&flooders[i], i);
            if (ready[i].revents & (POLLIN | POLLHUP | POLLERR))
                member_hear(&flooders[i].member, 0, NULL, NULL);
        }
        usleep(1000);
    }
    for (unsigned i = 0; i < FLOODERS; i++) {
        struct flooder *f = &flooders[i];
        printf("%s%s %llu kB/s%s", i ? ", " : "held to: ", names[i],
               (unsigned long long)(f->sent * 2 / seconds / 1024),
               f->member.cut ? " (cut off)" : "");
        held = is_held(f, names[i], seconds - seconds / 2) && held;
        member_leave(&f->member);
    }
    printf("\n");
    return held ? 0 : 1;
}

/* ---- members that do not read ---------------------------------------------------------------- */

/* Says something, asks for it over and over, and lets the answers lie. He goes when what waits for
 * him has not moved for half a minute, or at the end of his minute as one who floods. */
int run_greedy(const struct lab *lab)
{
    unsigned turn = 0;
    struct sockaddr_in source = source_of_number(111, 1);
    struct flooder *f = &flooders[0];
    uint64_t start;

    member_make(&f->member, lab);
    for (unsigned i = 0; i < 64; i++)
        f->signals[i] = puppet_signal_on(&f->member.puppet, 0x700000 + i, now_min());
    if (!member_join(&f->member, lab, &source, 4096))
        die("the deaf one was not let in");
    start = now_us();
    while (!f->member.cut && now_us() - start < 130000000) {
        /* A hang-up shows as an event although nothing is read. */
        struct pollfd ready = {.fd = f->member.fd, .events = POLLRDHUP};
        if (poll(&ready, 1, 50) > 0 && (ready.revents & (POLLRDHUP | POLLHUP | POLLERR)))
            break;
        push(f, turn++ % 8 == 0 ? 0 : 2);
    }
    double lasted = (double)(now_us() - start) / 1e6;
    printf("cut off after %.0f s and %llu kB of questions\n", lasted,
           (unsigned long long)(f->sent / 1024));
    member_leave(&f->member);
    return lasted < 125 ? 0 : 1;
}

/* ---- a member that comes and goes ------------------------------------------------------------ */

int run_churn(const struct lab *lab, unsigned seconds)
{
    struct sockaddr_in source = source_of_number(122, 0);
    uint64_t end = now_us() + seconds * 1000000ull;
    unsigned tries = 0, joined = 0;
    struct member member;

    member_make(&member, lab);
    while (now_us() < end) {
        tries++;
        joined += member_join(&member, lab, &source, 0);
        member_leave(&member);
    }
    printf("%u tries in %u s, %u let in\n", tries, seconds, joined);
    /* The first session is free, and then 30 tries a minute (SPEC 5.4); a minute may turn
     * meanwhile. */
    return joined >= 1 && joined <= 1 + 2 * GV_HANDSHAKES_PER_MINUTE && tries > joined ? 0 : 1;
}
