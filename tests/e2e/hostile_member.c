/* A member over a real socket. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "crypto/error.h"
#include "hostile.h"
#include "node/base/keyfile.h"
#include "node/registry/registrar.h"

void die(const char *what)
{
    fprintf(stderr, "hostile: %s: %s\n", what, strerror(errno));
    exit(1);
}

uint64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint32_t now_min(void)
{
    return (uint32_t)(time(NULL) / 60);
}

struct sockaddr_in source_of_number(unsigned net, unsigned number)
{
    struct sockaddr_in in = {.sin_family = AF_INET};

    in.sin_addr.s_addr = htonl(127u << 24 | net << 16 | (number + 1));
    return in;
}

void lab_open(struct lab *lab, const char *folder)
{
    struct network *network = &lab->network;
    uint8_t secret[GV_SECRET_LEN];
    struct gv_identity registry;
    struct gv_text error = {""};
    char path[4096];

    snprintf(path, sizeof path, "%s/%s", folder, GV_FILE_DESCRIPTOR);
    gv_buf_init(&network->wire);
    if (gv_descriptor_read(&network->descriptor, &network->wire, path, &error) != 0) {
        fprintf(stderr, "hostile: %s\n", error.text);
        exit(1);
    }
    snprintf(path, sizeof path, "%s/%s", folder, GV_FILE_REGISTRY_KEY);
    if (gv_keyfile_read(secret, path, &error) != 0) {
        fprintf(stderr, "hostile: %s\n", error.text);
        exit(1);
    }
    gv_identity_from_secret(&registry, secret);
    memcpy(network->registry_secret, registry.sign_secret, sizeof network->registry_secret);
}

void member_make(struct member *member, const struct lab *lab)
{
    struct puppet *puppet = &member->puppet;
    uint8_t secret[GV_SECRET_LEN], seed[GV_SEED_LEN];

    memset(member, 0, sizeof *member);
    member->fd = -1;
    member->goodbye = PUPPET_NOBODY;
    puppet->network = &lab->network;
    randombytes_buf(secret, sizeof secret);
    randombytes_buf(seed, sizeof seed);
    gv_identity_from_secret(&puppet->identity, secret);
    gv_drbg_init(&puppet->drbg, seed);
    memcpy(puppet->facts.key, puppet->identity.sign_public, GV_KEY_LEN);
    randombytes_buf(puppet->facts.owner, sizeof puppet->facts.owner);
    puppet->facts.group = (uint64_t)GV_GROUP_AS << 56 | randombytes_random();
    puppet->facts.placement = randombytes_random();
    puppet->facts.since_min = puppet->facts.issued_min = lab->network.descriptor.keys[0].from_min;
    puppet->facts.expires_min = now_min() + 90 * 1440;
    puppet_certify(puppet);
    puppet->sequence = (uint64_t)time(NULL) * 1000;
}

bool member_write(struct member *member, const void *data, size_t len)
{
    const char *at = data;

    while (len > 0 && member->fd >= 0) {
        ssize_t n = send(member->fd, at, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            member->cut = true;
            return false;
        }
        at += n;
        len -= (size_t)n;
    }
    return member->fd >= 0;
}

bool member_say(struct member *member, const struct gv_buf *plain)
{
    struct gv_buf wire;

    gv_buf_init(&wire);
    bool sealed = gv_session_seal(&member->puppet.session, &wire, plain->data, plain->len) == 0;
    bool sent = sealed && member_write(member, wire.data, wire.len);
    gv_buf_free(&wire);
    return sent;
}

bool member_hand(struct member *member, struct gv_buf record)
{
    struct gv_buf message;

    gv_buf_init(&message);
    gv_message_records_start(&message, 1);
    gv_message_record(&message, record.data, record.len);
    bool sent = member_say(member, &message);
    gv_buf_free(&message);
    gv_buf_free(&record);
    return sent;
}

static struct gv_session_self self_of(const struct member *member)
{
    return (struct gv_session_self){.identity = &member->puppet.identity,
                                    .certificate = member->puppet.certificate,
                                    .descriptor = &member->puppet.network->descriptor,
                                    .now_min = now_min()};
}

/* The messages of a frame. */
static bool work_plain(struct member *member, const struct gv_buf *plain,
                       bool (*each)(void *, const struct gv_message *), void *context)
{
    static struct gv_message message;
    bool found = false;

    for (size_t at = 0, used; at < plain->len; at += used) {
        if (gv_message_read(&message, &used, plain->data + at, plain->len - at) != 0) {
            fprintf(stderr, "hostile: the node speaks nonsense\n");
            exit(1);
        }
        member->heard[message.kind]++;
        if (message.kind == GV_MESSAGE_GOODBYE)
            member->goodbye = (uint32_t)message.number;
        found = (each && each(context, &message)) || found;
    }
    return found;
}

/* Takes what the socket has. False at its end. */
static bool take(struct member *member)
{
    uint8_t bytes[65536];
    ssize_t n = recv(member->fd, bytes, sizeof bytes, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (n <= 0) {
        member->cut = true;
        return false;
    }
    return gv_session_take(&member->puppet.session, bytes, (size_t)n) == 0;
}

bool member_hear(struct member *member, uint64_t until_us,
                 bool (*each)(void *context, const struct gv_message *message), void *context)
{
    struct gv_session_self self = self_of(member);
    struct gv_session *session = &member->puppet.session;
    struct gv_buf wire, plain;
    bool found = false, open = session->open;

    gv_buf_init(&wire);
    gv_buf_init(&plain);
    while (!found && member->fd >= 0 && (session->handshake || session->open)) {
        gv_buf_clear(&wire);
        int rc = gv_session_work(session, &wire, &plain, &self);
        member->challenged = rc == GV_ERR_BUSY;
        if (member->challenged)
            break;
        if (rc == GV_OK) {
            member_write(member, wire.data, wire.len);
            found = work_plain(member, &plain, each, context) || (!open && session->open);
            continue;
        }
        struct pollfd ready = {.fd = member->fd, .events = POLLIN};
        uint64_t now = now_us();
        int patience = now < until_us ? (int)((until_us - now) / 1000 + 1) : 0;
        if (member->cut || (poll(&ready, 1, patience) == 0 && patience == 0) || !take(member))
            break;
    }
    gv_buf_free(&wire);
    gv_buf_free(&plain);
    return found;
}

static void dial(struct member *member, const struct lab *lab, const struct sockaddr_in *source,
                 int receive_buffer)
{
    struct timeval patience = {.tv_sec = 20};
    int on = 1, send_buffer = 65536; /* what is sent is then soon what the node has taken */

    member->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (member->fd < 0)
        die("socket");
    setsockopt(member->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    setsockopt(member->fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof on);
    setsockopt(member->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    setsockopt(member->fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer);
    if (receive_buffer)
        setsockopt(member->fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    if (bind(member->fd, (const struct sockaddr *)source, sizeof *source) != 0)
        die("bind");
    if (connect(member->fd, (const struct sockaddr *)&lab->target, sizeof lab->target) != 0)
        member_leave(member);
    member->cut = false;
    member->goodbye = PUPPET_NOBODY;
}

/* One try; with what a besieged node gave him at the one before (SPEC 5.6). */
static bool shake_hands(struct member *member, const uint8_t *challenge)
{
    struct gv_session_self self = self_of(member);
    struct gv_session *session = &member->puppet.session;
    struct gv_buf wire;
    int rc;

    if (member->fd < 0)
        return false;
    gv_buf_init(&wire);
    rc = challenge ? gv_session_start_again(session, &wire, &self, &member->puppet.drbg, challenge)
                   : gv_session_start(session, true, &wire, &self, &member->puppet.drbg);
    gv_assert(rc == 0);
    member_write(member, wire.data, wire.len);
    gv_buf_free(&wire);
    member->challenged = false;
    return member_hear(member, now_us() + 12000000, NULL, NULL);
}

bool member_join(struct member *member, const struct lab *lab, const struct sockaddr_in *source,
                 int receive_buffer)
{
    uint8_t challenge[GV_CHALLENGE_LEN];
    struct gv_buf wire;

    dial(member, lab, source, receive_buffer);
    bool open = shake_hands(member, NULL);
    if (!open && member->challenged) {
        memcpy(challenge, member->puppet.session.challenge, sizeof challenge);
        member_leave(member);
        dial(member, lab, source, receive_buffer);
        open = shake_hands(member, challenge);
        member->proved = open;
    }
    gv_buf_init(&wire);
    gv_message_hello(&wire, member->puppet.version ? member->puppet.version : 1,
                     (uint64_t)time(NULL) * 1000, "hostile");
    open = open && member_say(member, &wire);
    gv_buf_free(&wire);
    if (!open)
        member_leave(member);
    return open;
}

void member_leave(struct member *member)
{
    if (member->fd >= 0)
        close(member->fd);
    member->fd = -1;
    gv_session_end(&member->puppet.session);
}
