#include "node/ingest/syslog.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "node/ingest/line.h"

/* What arrives while this process is busy with something else. The kernel gives what it allows. */
#define RECEIVE_BUFFER (4 << 20)

void gv_syslog_init(struct gv_syslog *syslog, const struct gv_log_source *where,
                    const struct gv_syslog_access *who)
{
    memset(syslog, 0, sizeof *syslog);
    syslog->where = where;
    syslog->who = who;
    syslog->fd = -1;
}

size_t gv_syslog_line(char *datagram, size_t len)
{
    size_t at = 1;

    while (len > 0 &&
           (datagram[len - 1] == '\n' || datagram[len - 1] == '\0' || datagram[len - 1] == '\r'))
        len--;
    if (len < 4 || datagram[0] != '<')
        return 0;
    while (at < len && at < 4 && datagram[at] >= '0' && datagram[at] <= '9')
        at++;
    if (at == 1 || at == len || datagram[at] != '>')
        return 0;
    gv_line_tame(datagram, len);
    return len;
}

/* ---- sockets -------------------------------------------------------------------------------- */

static void fail(struct gv_syslog *s, int error)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
    s->error = error;
    s->state = error == EACCES || error == EPERM ? GV_SOURCE_DENIED
               : error == EADDRINUSE             ? GV_SOURCE_IN_USE
                                                 : GV_SOURCE_FAILED;
}

static int bind_udp(const struct gv_syslog *s)
{
    const struct gv_address *a = &s->where->address;
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(a->port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(a->port)};
    bool four = a->family == GV_FAMILY_IPV4;

    memcpy(&v4.sin_addr, a->bytes, 4);
    memcpy(&v6.sin6_addr, a->bytes, 16);
    return bind(s->fd, four ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6,
                four ? sizeof v4 : sizeof v6);
}

/* A socket that a killed process left behind refuses; anything else there is not ours to remove. */
static bool remove_stale(const struct sockaddr_un *where)
{
    struct stat st;

    if (lstat(where->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
        return false;
    int probe = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0)
        return false;
    int error = connect(probe, (const struct sockaddr *)where, sizeof *where) == 0 ? 0 : errno;
    close(probe);
    return error == ECONNREFUSED && unlink(where->sun_path) == 0;
}

static int bind_unix(struct gv_syslog *s)
{
    struct sockaddr_un where = {.sun_family = AF_UNIX};
    struct stat st;

    snprintf(where.sun_path, sizeof where.sun_path, "%s", s->where->path);
    int rc = bind(s->fd, (struct sockaddr *)&where, sizeof where);
    if (rc != 0 && errno == EADDRINUSE) {
        if (remove_stale(&where))
            rc = bind(s->fd, (struct sockaddr *)&where, sizeof where);
        else
            errno = EADDRINUSE;
    }
    if (rc != 0)
        return rc;
    if (chmod(where.sun_path, s->who->mode) != 0)
        return -1;
    if (stat(where.sun_path, &st) == 0) {
        s->device = (uint64_t)st.st_dev;
        s->inode = (uint64_t)st.st_ino;
    }
    return 0;
}

void gv_syslog_open(struct gv_syslog *syslog)
{
    bool udp = syslog->where->kind == GV_LOG_SYSLOG_UDP;
    int family = !udp                                              ? AF_UNIX
                 : syslog->where->address.family == GV_FAMILY_IPV4 ? AF_INET
                                                                   : AF_INET6;
    int wanted = RECEIVE_BUFFER;

    syslog->fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (syslog->fd < 0 || (udp ? bind_udp(syslog) : bind_unix(syslog)) != 0) {
        fail(syslog, errno);
        return;
    }
    (void)setsockopt(syslog->fd, SOL_SOCKET, SO_RCVBUF, &wanted, sizeof wanted);
    syslog->state = GV_SOURCE_READING;
    syslog->error = 0;
}

void gv_syslog_close(struct gv_syslog *syslog)
{
    struct stat st;

    if (syslog->fd < 0)
        return;
    close(syslog->fd);
    syslog->fd = -1;
    if (syslog->inode != 0 && stat(syslog->where->path, &st) == 0 &&
        (uint64_t)st.st_ino == syslog->inode && (uint64_t)st.st_dev == syslog->device)
        (void)unlink(syslog->where->path);
    syslog->inode = 0;
}

/* ---- senders -------------------------------------------------------------------------------- */

static bool sender_address(struct gv_address *out, const struct sockaddr_storage *from)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    const struct sockaddr_in *v4 = (const void *)from;
    const struct sockaddr_in6 *v6 = (const void *)from;

    memset(out, 0, sizeof *out);
    out->family = GV_FAMILY_IPV4;
    if (from->ss_family == AF_INET) {
        memcpy(out->bytes, &v4->sin_addr, 4);
    } else if (from->ss_family != AF_INET6) {
        return false;
    } else if (memcmp(&v6->sin6_addr, mapped, sizeof mapped) == 0) {
        memcpy(out->bytes, (const uint8_t *)&v6->sin6_addr + 12, 4);
    } else {
        out->family = GV_FAMILY_IPV6;
        memcpy(out->bytes, &v6->sin6_addr, 16);
    }
    return true;
}

/* This host may always; others when they are listed. */
static bool may_send(const struct gv_syslog *s, const struct sockaddr_storage *from)
{
    struct gv_address address;

    if (s->where->kind == GV_LOG_SYSLOG_UNIX)
        return true; /* the mode of the socket decides */
    if (!sender_address(&address, from))
        return false;
    if (gv_log_source_is_loopback(&address))
        return true;
    for (size_t i = 0; i < s->who->count; i++)
        if (gv_config_address_contains(&s->who->from[i], address.bytes,
                                       address.family == GV_FAMILY_IPV4 ? 4 : 16))
            return true;
    return false;
}

bool gv_syslog_read(struct gv_syslog *syslog, gv_line_taker *on_line, void *context)
{
    char datagram[GV_LINE_MAX + 1];
    struct sockaddr_storage from;

    for (int i = 0; i < GV_SYSLOG_BUDGET; i++) {
        socklen_t from_len = sizeof from;

        from.ss_family = AF_UNSPEC;
        ssize_t n = recvfrom(syslog->fd, datagram, sizeof datagram, MSG_TRUNC,
                             (struct sockaddr *)&from, &from_len);
        if (n < 0 && (errno == EINTR || errno == ECONNREFUSED))
            continue;
        if (n < 0) {
            if (errno != EAGAIN)
                fail(syslog, errno);
            return false;
        }
        bool whole = (size_t)n <= GV_LINE_MAX;
        size_t len = gv_syslog_line(datagram, whole ? (size_t)n : GV_LINE_MAX);
        if (len == 0 || !may_send(syslog, &from))
            syslog->refused++;
        else
            on_line(context, datagram, whole ? len : SIZE_MAX);
    }
    return true;
}
