/* DNS over TCP (RFC 7766): a length, a message, and the same back; any number on one connection,
 * one after the other. While an answer waits to be taken nothing is read, so a client that does not
 * listen costs one answer's memory, and its connection after GV_DNSBL_TCP_IDLE_MS. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/serve/dnsbl_internal.h"

struct gv_dnsbl_connection {
    struct gv_dnsbl_server *server;
    struct gv_dnsbl_connection *next, **at; /* at: what points here */
    uv_tcp_t tcp;
    uv_timer_t idle;
    uv_write_t write;
    unsigned handles;
    bool welcome, writing;
    uint64_t turn; /* of its last answer, or its coming */
    size_t have;
    uint8_t in[2 + GV_DNS_QUERY_MAX];
    uint8_t out[2 + GV_DNS_ANSWER_MAX];
};

static void on_closed(uv_handle_t *handle)
{
    struct gv_dnsbl_connection *c = handle->data;
    struct gv_dnsbl_server *server = c->server;

    if (--c->handles > 0)
        return;
    *c->at = c->next;
    if (c->next)
        c->next->at = c->at;
    free(c);
    gv_dnsbl_connection_gone(server);
}

static void drop(struct gv_dnsbl_connection *c)
{
    if (uv_is_closing((uv_handle_t *)&c->tcp))
        return;
    c->server->open--;
    uv_close((uv_handle_t *)&c->tcp, on_closed);
    uv_close((uv_handle_t *)&c->idle, on_closed);
}

static void drop_counted(struct gv_dnsbl_connection *c)
{
    c->server->counters.tcp_closed++;
    drop(c);
}

static void on_idle(uv_timer_t *timer)
{
    drop_counted(timer->data);
}

static void work(struct gv_dnsbl_connection *c);

static void on_written(uv_write_t *write, int status)
{
    struct gv_dnsbl_connection *c = write->data;

    c->writing = false;
    if (status < 0) {
        drop(c);
        return;
    }
    c->turn = ++c->server->tcp_turns;
    uv_timer_again(&c->idle);
    work(c);
}

/* Answers the first whole message of what was read. */
static bool answer(struct gv_dnsbl_connection *c)
{
    struct gv_dns_question question;

    if (c->have < 2)
        return false;
    size_t len = (size_t)(c->in[0] << 8 | c->in[1]);
    if (len > GV_DNS_QUERY_MAX) {
        drop_counted(c);
        return false;
    }
    if (c->have < 2 + len)
        return false;
    gv_dns_read(&question, c->in + 2, len);
    size_t n = gv_dnsbl_answer(c->server, c->out + 2, c->in + 2, &question, c->welcome);
    if (n == 0) {
        drop_counted(c);
        return false;
    }
    c->out[0] = (uint8_t)(n >> 8);
    c->out[1] = (uint8_t)n;
    c->have -= 2 + len;
    memmove(c->in, c->in + 2 + len, c->have);
    uv_buf_t buffer = uv_buf_init((char *)c->out, (unsigned)(n + 2));
    c->write.data = c;
    c->writing = true;
    if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &buffer, 1, on_written) != 0) {
        c->writing = false;
        drop_counted(c);
    }
    return true;
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct gv_dnsbl_connection *c = handle->data;

    (void)suggested;
    *buffer = uv_buf_init((char *)c->in + c->have, (unsigned)(sizeof c->in - c->have));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    struct gv_dnsbl_connection *c = stream->data;

    (void)buffer;
    if (n < 0) {
        drop(c);
        return;
    }
    c->have += (size_t)n;
    work(c);
}

static void work(struct gv_dnsbl_connection *c)
{
    if (uv_is_closing((uv_handle_t *)&c->tcp) || c->writing)
        return;
    c->server->source.serial = c->server->serial(c->server->source.context);
    if (answer(c))
        uv_read_stop((uv_stream_t *)&c->tcp);
    else if (!uv_is_closing((uv_handle_t *)&c->tcp))
        (void)uv_read_start((uv_stream_t *)&c->tcp, on_room, on_read);
}

/* The one goes whose question is the longest in coming, so that who opens many and says nothing
 * shuts nobody out. By turns, as hundreds come within a millisecond of the loop's clock. */
static void make_room(struct gv_dnsbl_server *server)
{
    struct gv_dnsbl_connection *slowest = NULL;

    for (struct gv_dnsbl_connection *c = server->connections; c; c = c->next)
        if (!uv_is_closing((uv_handle_t *)&c->tcp) && (!slowest || c->turn < slowest->turn))
            slowest = c;
    if (slowest)
        drop_counted(slowest);
}

void gv_dnsbl_accept(struct gv_dnsbl_server *server, int fd)
{
    struct gv_dnsbl_connection *c = calloc(1, sizeof *c);
    struct sockaddr_storage from;
    int len = sizeof from;

    server->counters.tcp_connections++;
    if (!c) {
        close(fd);
        server->counters.tcp_closed++;
        return;
    }
    if (server->open >= GV_DNSBL_TCP_MAX)
        make_room(server);
    c->server = server;
    c->turn = ++server->tcp_turns;
    c->next = server->connections;
    c->at = &server->connections;
    if (c->next)
        c->next->at = &c->next;
    server->connections = c;
    server->open++;
    c->handles = 2;
    uv_tcp_init(server->loop, &c->tcp);
    uv_timer_init(server->loop, &c->idle);
    c->tcp.data = c->idle.data = c;
    if (uv_tcp_open(&c->tcp, fd) != 0) {
        close(fd);
        drop_counted(c);
        return;
    }
    if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&from, &len) != 0) {
        drop_counted(c);
        return;
    }
    c->welcome = gv_dnsbl_welcome(server, (const struct sockaddr *)&from);
    uv_timer_start(&c->idle, on_idle, GV_DNSBL_TCP_IDLE_MS, GV_DNSBL_TCP_IDLE_MS);
    work(c);
}

void gv_dnsbl_close_connections(struct gv_dnsbl_server *server)
{
    for (struct gv_dnsbl_connection *c = server->connections; c; c = c->next)
        drop(c);
}
