#include "helper_recorder.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "crypto/error.h"
#include "proto/mesh/session.h"
#include "proto/trust/signal.h"
#include "proto/wire/messages.h"
#include "proto/wire/record.h"

struct talk {
    struct recorder *recorder;
    int fd;
    struct gv_session session;
    struct gv_drbg drbg;
    bool greeted, asked, ended;
    struct gv_buf answer;
};

static struct gv_session_self self_of(const struct recorder *r)
{
    return (struct gv_session_self){.identity = &r->identity,
                                    .certificate = r->certificate,
                                    .descriptor = r->descriptor,
                                    .now_min = (uint32_t)(time(NULL) / 60)};
}

static void keep(struct recorder *r, const uint8_t id[GV_ID_LEN],
                 const struct gv_statement *statement)
{
    pthread_mutex_lock(&r->lock);
    bool known = false;
    for (size_t i = 0; i < r->count && !known; i++)
        known = memcmp(r->list[i].id, id, GV_ID_LEN) == 0;
    if (!known && r->count == r->cap) {
        r->cap = r->cap ? 2 * r->cap : 256;
        r->list = realloc(r->list, r->cap * sizeof *r->list);
        gv_assert(r->list);
    }
    if (!known) {
        struct recorded *new = &r->list[r->count++];
        memcpy(new->id, id, GV_ID_LEN);
        new->sequence = statement->sequence;
        new->subject = statement->subject;
    }
    pthread_mutex_unlock(&r->lock);
}

/* Remembered first, acknowledged then. */
static void take_records(struct talk *talk, const struct gv_message *message)
{
    uint8_t ids[GV_RECORDS_PER_MESSAGE * GV_ID_LEN];
    size_t count = 0;

    for (uint32_t i = 0; i < message->record_count; i++) {
        const uint8_t *record = message->records[i].data;
        size_t len = message->records[i].len;
        struct gv_statement statement;
        uint8_t *id = ids + count * GV_ID_LEN;
        if ((record[0] != GV_RECORD_SIGNAL && record[0] != GV_RECORD_RETRACT) ||
            gv_statement_parse(&statement, record + 1, len - 1) != GV_OK ||
            gv_record_id(id, record, len) != GV_OK)
            continue;
        keep(talk->recorder, id, &statement);
        count++;
    }
    if (count > 0)
        gv_message_ids(&talk->answer, GV_MESSAGE_ACK, ids, count);
}

/* Of the statements, "I have none of those": the node sends all that it holds. */
static void take_reconcile(struct talk *talk, const struct gv_message *message)
{
    struct gv_range all = {.high = {.minute = UINT32_MAX}, .mode = GV_RANGE_IDS};

    bool ask = message->tree == GV_TREE_STATEMENTS && !talk->asked;

    if (message->range_count == 0)
        return;
    talk->asked |= ask;
    gv_message_reconcile(&talk->answer, message->tree, message->low_minute, &all, ask);
}

static void hear(struct talk *talk, const struct gv_buf *plain)
{
    static _Thread_local struct gv_message message;
    size_t at = 0, used;

    while (at < plain->len && !talk->ended) {
        if (gv_message_read(&message, &used, plain->data + at, plain->len - at) != GV_OK) {
            talk->ended = true;
            return;
        }
        at += used;
        if (message.kind == GV_MESSAGE_RECORDS)
            take_records(talk, &message);
        else if (message.kind == GV_MESSAGE_RECONCILE)
            take_reconcile(talk, &message);
        else if (message.kind == GV_MESSAGE_PING)
            gv_message_ping(&talk->answer, GV_MESSAGE_PONG, message.number);
        else if (message.kind == GV_MESSAGE_GOODBYE)
            talk->ended = true;
    }
}

static void send_all(struct talk *talk, const struct gv_buf *wire)
{
    for (size_t at = 0; at < wire->len;) {
        ssize_t n = send(talk->fd, wire->data + at, wire->len - at, MSG_NOSIGNAL);
        if (n <= 0) {
            talk->ended = true;
            return;
        }
        at += (size_t)n;
    }
}

static void set_open(struct recorder *r, bool open)
{
    pthread_mutex_lock(&r->lock);
    if (open && !r->open)
        r->sessions++;
    r->open = open;
    pthread_mutex_unlock(&r->lock);
}

static void work(struct talk *talk)
{
    struct gv_session_self self = self_of(talk->recorder);
    struct gv_buf wire, plain;
    int rc = GV_OK;

    gv_buf_init(&wire);
    gv_buf_init(&plain);
    while (rc == GV_OK && !talk->ended) {
        gv_buf_clear(&plain);
        rc = gv_session_work(&talk->session, &wire, &plain, &self);
        if (rc == GV_OK && talk->session.open && !talk->greeted) {
            talk->greeted = true;
            gv_message_hello(&talk->answer, 1, (uint64_t)time(NULL) * 1000, "recorder");
            set_open(talk->recorder, true);
        }
        if (rc == GV_OK)
            hear(talk, &plain);
        if (talk->session.open && talk->answer.len > 0) {
            gv_session_seal(&talk->session, &wire, talk->answer.data, talk->answer.len);
            gv_buf_clear(&talk->answer);
        }
        if (wire.len > 0)
            send_all(talk, &wire);
        gv_buf_clear(&wire);
    }
    if (rc != GV_ERR_NOT_FOUND)
        talk->ended = true;
    gv_buf_free(&wire);
    gv_buf_free(&plain);
}

static void converse(struct recorder *r, int fd, unsigned number)
{
    struct talk talk = {.recorder = r, .fd = fd};
    struct gv_session_self self = self_of(r);
    uint8_t seed[GV_SEED_LEN] = {'r', (uint8_t)number, (uint8_t)(number >> 8)}, data[16384];
    struct gv_buf none;

    gv_buf_init(&none);
    gv_buf_init(&talk.answer);
    gv_drbg_init(&talk.drbg, seed);
    gv_assert(gv_session_start(&talk.session, false, &none, &self, &talk.drbg) == GV_OK);
    while (!talk.ended) {
        struct pollfd fds[2] = {{fd, POLLIN, 0}, {r->wake[0], POLLIN, 0}};
        poll(fds, 2, -1);
        if (fds[1].revents)
            break;
        ssize_t n = recv(fd, data, sizeof data, 0);
        if (n <= 0)
            break;
        gv_session_take(&talk.session, data, (size_t)n);
        work(&talk);
    }
    set_open(r, false);
    gv_session_end(&talk.session);
    gv_buf_free(&talk.answer);
    gv_buf_free(&none);
    close(fd);
}

static void *run(void *context)
{
    struct recorder *r = context;

    for (unsigned number = 0;; number++) {
        struct pollfd fds[2] = {{r->listener, POLLIN, 0}, {r->wake[0], POLLIN, 0}};
        poll(fds, 2, -1);
        if (fds[1].revents)
            return NULL;
        int fd = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            converse(r, fd, number);
    }
}

void recorder_start(struct recorder *r)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof at;

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    r->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    gv_assert(bind(r->listener, (struct sockaddr *)&at, sizeof at) == 0 &&
              listen(r->listener, 8) == 0 &&
              getsockname(r->listener, (struct sockaddr *)&at, &len) == 0 && pipe(r->wake) == 0);
    r->port = ntohs(at.sin_port);
    pthread_mutex_init(&r->lock, NULL);
    gv_assert(pthread_create(&r->thread, NULL, run, r) == 0);
}

void recorder_stop(struct recorder *r)
{
    gv_assert(write(r->wake[1], "", 1) == 1);
    pthread_join(r->thread, NULL);
    close(r->listener);
    close(r->wake[0]);
    close(r->wake[1]);
    pthread_mutex_destroy(&r->lock);
    free(r->list);
    r->list = NULL;
    r->count = r->cap = 0;
}

size_t recorder_count(struct recorder *r)
{
    pthread_mutex_lock(&r->lock);
    size_t count = r->count;
    pthread_mutex_unlock(&r->lock);
    return count;
}

unsigned recorder_sessions(struct recorder *r, bool *open)
{
    pthread_mutex_lock(&r->lock);
    unsigned sessions = r->sessions;
    if (open)
        *open = r->open;
    pthread_mutex_unlock(&r->lock);
    return sessions;
}

bool recorder_has(struct recorder *r, const struct gv_subject *subject)
{
    bool found = false;

    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->count && !found; i++)
        found = gv_subject_equal(&r->list[i].subject, subject);
    pthread_mutex_unlock(&r->lock);
    return found;
}

void recorder_check_numbers(struct recorder *r)
{
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->count; i++)
        for (size_t j = 0; j < i; j++)
            gv_assert(r->list[i].sequence != r->list[j].sequence);
    pthread_mutex_unlock(&r->lock);
}
