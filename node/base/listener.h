/* A TCP socket that listens in a libuv loop, and is deaf to nothing. libuv's own listener stops
 * reading as soon as one connection is not taken at once (no memory for it), for good; and where
 * the one file that it keeps back against EMFILE has gone to another thread, it never leaves its
 * loop. Here whoever cannot be taken is closed or waits in the kernel, and the next one is asked
 * for. SPEC 13. */
#ifndef GV_NODE_BASE_LISTENER_H
#define GV_NODE_BASE_LISTENER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

#define GV_LISTENER_TURN     512u /* connections taken in one turn of the loop, at most */
#define GV_LISTENER_RETRY_MS 100u /* between two tries where the kernel has none to give */

struct gv_listener_options {
    uv_loop_t *loop;
    const struct sockaddr *at; /* AF_INET or AF_INET6 */
    bool v6_only;              /* else [::] takes IPv4, too */
    int backlog;
    void *context; /* of the three calls */
    /* `fd` is the callee's from now on: non-blocking, closed at exec. It may close the listener. */
    void (*connection)(void *context, int fd);
    /* The kernel has none to give (UV_EMFILE, UV_ENOMEM, ...): who waits at the door goes on
     * waiting, unless the callee has closed a file and says so with true. May be NULL. */
    bool (*trouble)(void *context, int error);
    void (*closed)(void *context); /* the memory of the listener is free again */
};

struct gv_listener { /* in its owner's memory */
    struct gv_listener_options options;
    uv_poll_t poll;
    uv_timer_t retry;
    int fd; /* for getsockname */
    unsigned handles;
};

/* Binds and listens. Returns 0, or one of libuv's errors: there is nothing to close then. */
int gv_listener_open(struct gv_listener *listener, const struct gv_listener_options *options);
/* No call follows but `closed`, from the loop. */
void gv_listener_close(struct gv_listener *listener);

#endif
