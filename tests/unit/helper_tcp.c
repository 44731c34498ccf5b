#include "helper_tcp.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int tcp_connect(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        perror("connect");
        abort();
    }
    return fd;
}

int unix_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        perror(path);
        abort();
    }
    return fd;
}

void tcp_send(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* closed by the other side, which the test then sees */
        text += n;
        len -= (size_t)n;
    }
}

size_t tcp_read(int fd, char *out, size_t cap, int quiet_ms)
{
    size_t len = 0;

    while (len + 1 < cap) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        if (poll(&ready, 1, quiet_ms) <= 0)
            break;
        ssize_t n = recv(fd, out + len, cap - 1 - len, 0);
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    out[len] = '\0';
    return len;
}

size_t tcp_talk(uint16_t port, const char *text, char *out, size_t cap)
{
    int fd = tcp_connect(port);

    tcp_send(fd, text, strlen(text));
    size_t len = tcp_read(fd, out, cap, 400);
    close(fd);
    return len;
}

static void on_async(uv_async_t *async)
{
    struct loop_thread *t = async->data;

    pthread_mutex_lock(&t->lock);
    if (t->function)
        t->function(t->context);
    t->function = NULL;
    pthread_cond_signal(&t->done);
    pthread_mutex_unlock(&t->lock);
}

static void *run(void *context)
{
    struct loop_thread *t = context;

    uv_run(&t->loop, UV_RUN_DEFAULT);
    return NULL;
}

void loop_thread_start(struct loop_thread *t)
{
    memset(t, 0, sizeof *t);
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->done, NULL);
    uv_loop_init(&t->loop);
    uv_async_init(&t->loop, &t->async, on_async);
    t->async.data = t;
    pthread_create(&t->thread, NULL, run, t);
}

void loop_thread_call(struct loop_thread *t, void (*function)(void *context), void *context)
{
    pthread_mutex_lock(&t->lock);
    t->function = function;
    t->context = context;
    uv_async_send(&t->async);
    while (t->function)
        pthread_cond_wait(&t->done, &t->lock);
    pthread_mutex_unlock(&t->lock);
}

static void close_async(void *context)
{
    struct loop_thread *t = context;

    uv_close((uv_handle_t *)&t->async, NULL);
}

void loop_thread_stop(struct loop_thread *t)
{
    loop_thread_call(t, close_async, t);
    pthread_join(t->thread, NULL);
    if (uv_loop_close(&t->loop) != 0) {
        fprintf(stderr, "the loop still has open handles\n");
        abort();
    }
    pthread_cond_destroy(&t->done);
    pthread_mutex_destroy(&t->lock);
}
