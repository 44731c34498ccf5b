/* Plain blocking sockets and a libuv loop in a thread, for tests of the HTTP server and of what
 * talks to one. */
#ifndef GV_TESTS_HELPER_TCP_H
#define GV_TESTS_HELPER_TCP_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

/* Connects to 127.0.0.1; 5 s for every later read. */
int tcp_connect(uint16_t port);
int unix_connect(const char *path);
void tcp_send(int fd, const char *text, size_t len);
/* Reads until the other side closes, it says nothing for `quiet_ms`, or the buffer is full;
 * terminates. */
size_t tcp_read(int fd, char *out, size_t cap, int quiet_ms);
/* Connects, sends a text, reads all, closes. */
size_t tcp_talk(uint16_t port, const char *text, char *out, size_t cap);

/* A loop that runs in a thread of its own until stopped. `call` runs a function within it and
 * waits for its end. */
struct loop_thread {
    uv_loop_t loop;
    uv_async_t async;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t done;
    void (*function)(void *context);
    void *context;
};
void loop_thread_start(struct loop_thread *t);
void loop_thread_call(struct loop_thread *t, void (*function)(void *context), void *context);
/* Everything else in the loop must be closed, or closing. */
void loop_thread_stop(struct loop_thread *t);

#endif
