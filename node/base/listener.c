#include "node/base/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

static void on_ready(uv_poll_t *handle, int status, int events);

static bool is_closing(const struct gv_listener *listener)
{
    return uv_is_closing((const uv_handle_t *)&listener->poll);
}

static void on_retry(uv_timer_t *retry)
{
    struct gv_listener *listener = retry->data;

    uv_poll_start(&listener->poll, UV_READABLE, on_ready);
}

/* Who waits there would wake the loop at once, for ever. */
static void rest(struct gv_listener *listener)
{
    uv_poll_stop(&listener->poll);
    uv_timer_start(&listener->retry, on_retry, GV_LISTENER_RETRY_MS, 0);
}

/* It was nothing, or the one who came is gone: the next, please. */
static bool is_passing(int error)
{
    return error == EINTR || error == ECONNABORTED || error == EPROTO || error == EPERM;
}

/* The kernel looks for a file before it looks for a stranger. */
static bool somebody_waits(const struct gv_listener *listener)
{
    struct pollfd door = {.fd = listener->fd, .events = POLLIN};

    return poll(&door, 1, 0) > 0;
}

static void on_ready(uv_poll_t *handle, int status, int events)
{
    struct gv_listener *listener = handle->data;

    (void)events;
    if (status < 0) { /* libuv has stopped it */
        rest(listener);
        return;
    }
    for (unsigned i = 0; i < GV_LISTENER_TURN && !is_closing(listener); i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), error = errno;
        if (fd >= 0) {
            listener->options.connection(listener->options.context, fd);
        } else if (error == EAGAIN || error == EWOULDBLOCK ||
                   (!is_passing(error) && !somebody_waits(listener))) {
            return;
        } else if (!is_passing(error)) {
            bool room =
                listener->options.trouble &&
                listener->options.trouble(listener->options.context, uv_translate_sys_error(error));
            if (!room && !is_closing(listener)) {
                rest(listener);
                return;
            }
        }
    }
}

int gv_listener_open(struct gv_listener *listener, const struct gv_listener_options *options)
{
    int on = 1, only = options->v6_only, family = options->at->sa_family;
    socklen_t len = family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);

    memset(listener, 0, sizeof *listener);
    listener->options = *options;
    listener->options.at = NULL; /* the caller's */
    listener->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener->fd < 0)
        return uv_translate_sys_error(errno);
    int rc = 0;
    if (setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        (family == AF_INET6 &&
         setsockopt(listener->fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) != 0) ||
        bind(listener->fd, options->at, len) != 0 || listen(listener->fd, options->backlog) != 0)
        rc = uv_translate_sys_error(errno);
    if (rc == 0)
        rc = uv_poll_init(options->loop, &listener->poll, listener->fd);
    if (rc != 0) {
        close(listener->fd);
        listener->fd = -1;
        return rc;
    }
    uv_timer_init(options->loop, &listener->retry);
    listener->poll.data = listener->retry.data = listener;
    listener->handles = 2;
    uv_poll_start(&listener->poll, UV_READABLE, on_ready);
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct gv_listener *listener = handle->data;

    if (--listener->handles == 0)
        listener->options.closed(listener->options.context);
}

void gv_listener_close(struct gv_listener *listener)
{
    if (is_closing(listener))
        return;
    uv_close((uv_handle_t *)&listener->poll, on_closed);
    uv_close((uv_handle_t *)&listener->retry, on_closed);
    close(listener->fd);
    listener->fd = -1;
}
