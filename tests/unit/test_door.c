/* The doors that strangers knock at, the mesh's and that of DNS over TCP (SPEC 13): whatever fails
 * at one connection, no memory for it or no file, the next one is served.
 *
 * The linker wraps calloc and accept4 of this program (tests/CMakeLists.txt). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "crypto/error.h"
#include "helper_tcp.h"
#include "node/host/net.h"
#include "node/serve/dnsbl.h"

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
int __real_accept4(int fd, struct sockaddr *from, socklen_t *len, int flags);
int __wrap_accept4(int fd, struct sockaddr *from, socklen_t *len, int flags);

static atomic_int allocations_fail, accepts_fail, accept_errno;

static bool one_of(atomic_int *left)
{
    int n = atomic_load(left);

    while (n > 0 && !atomic_compare_exchange_weak(left, &n, n - 1))
        ;
    return n > 0;
}

void *__wrap_calloc(size_t count, size_t size)
{
    return one_of(&allocations_fail) ? NULL : __real_calloc(count, size);
}

int __wrap_accept4(int fd, struct sockaddr *from, socklen_t *len, int flags)
{
    if (one_of(&accepts_fail)) {
        errno = atomic_load(&accept_errno);
        return -1;
    }
    return __real_accept4(fd, from, len, flags);
}

/* ---- both servers in one loop --------------------------------------------------------------- */

static struct loop_thread thread;
static struct gv_net *net;
static struct gv_dnsbl *dnsbl;
static atomic_uint ups;

static void on_connected(void *context, uint32_t link, const struct gv_address *remote)
{
    ups++;
}

static void on_disconnected(void *context, uint32_t link)
{
}

static void on_bytes(void *context, uint32_t link, const uint8_t *data, size_t len)
{
    gv_net_send(net, link, data, len); /* an echo */
    gv_net_flush(net);
}

static bool listed(void *context, enum gv_dns_zone zone, const struct gv_subject *subject)
{
    return false;
}

static void reason(void *context, char out[GV_DNS_TEXT_MAX + 1], enum gv_dns_zone zone,
                   const struct gv_subject *subject)
{
    *out = '\0';
}

static uint32_t serial(void *context)
{
    return 7;
}

static void start(void *context)
{
    static const struct gv_address at = {.family = GV_FAMILY_IPV4, .bytes = {127, 0, 0, 1}};
    const struct gv_net_options mesh = {
        .loop = &thread.loop,
        .callbacks = {NULL, on_connected, on_disconnected, on_bytes},
        .listen = &at,
        .listen_count = 1,
        .incoming_max = 8,
    };
    const struct gv_dnsbl_options dns = {.loop = &thread.loop,
                                         .listen = &at,
                                         .listen_count = 1,
                                         .source = {.listed = listed, .reason = reason},
                                         .serial = serial};

    if (gv_net_new(&net, &mesh, NULL) != GV_OK || gv_dnsbl_start(&dnsbl, &dns, NULL) != GV_OK)
        abort();
}

static void stop(void *context)
{
    gv_net_free(net);
    gv_dnsbl_stop(dnsbl);
}

static int setup(void **state)
{
    ups = 0;
    loop_thread_start(&thread);
    loop_thread_call(&thread, start, NULL);
    return 0;
}

static int teardown(void **state)
{
    loop_thread_call(&thread, stop, NULL);
    loop_thread_stop(&thread);
    return 0;
}

static uint16_t mesh_port(void)
{
    return gv_net_port(net);
}

static uint16_t dns_port(void)
{
    return gv_dnsbl_port(dnsbl);
}

static const struct door {
    const char *name, *question;
    size_t len;
    uint16_t (*port)(void);
} doors[] = {
    {"mesh", "hello", 5, mesh_port},
    {"DNS",
     "\0\x2c\0\x07\x01\0\0\1\0\0\0\0\0\0\1"
     "2\1"
     "0\1"
     "0\3"
     "127\6refuse\11grapevine\0\0\1\0\1",
     46, dns_port},
};

static void ask(const struct door *door, int fd)
{
    tcp_send(fd, door->question, door->len);
}

/* Whether something is answered to what was asked; false: it was closed, or 5 s have passed. */
static bool is_answered(int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    char byte;

    return poll(&ready, 1, 5000) == 1 && recv(fd, &byte, 1, 0) == 1;
}

/* Nobody is left waiting for an end that does not come. */
static bool is_closed(int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    char byte;

    return poll(&ready, 1, 5000) == 1 && recv(fd, &byte, 1, 0) <= 0;
}

static void next_is_served(const struct door *door)
{
    int fd = tcp_connect(door->port());

    ask(door, fd);
    if (!is_answered(fd))
        fail_msg("%s: the next one is not served", door->name);
    close(fd);
}

/* ---- what fails ----------------------------------------------------------------------------- */

static void no_memory_for_one(void **state)
{
    for (size_t i = 0; i < sizeof doors / sizeof *doors; i++) {
        const struct door *door = &doors[i];
        next_is_served(door);
        for (int in_a_row = 1; in_a_row <= 3; in_a_row++) {
            int crowd[3];
            atomic_store(&allocations_fail, in_a_row);
            for (int n = 0; n < in_a_row; n++)
                crowd[n] = tcp_connect(door->port());
            for (int n = 0; n < in_a_row; n++) {
                assert_true(is_closed(crowd[n]));
                close(crowd[n]);
            }
            assert_int_equal(atomic_load(&allocations_fail), 0);
            next_is_served(door);
        }
    }
}

static double processor_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The lowest that is free: with the limit there, one more can be opened, and then none. */
static int last_file(void)
{
    int fd = dup(0);

    assert_true(fd > 0);
    close(fd);
    return fd;
}

/* No file may be opened any more. Who knocks then waits, at hardly any cost, and is served as soon
 * as there is a file again. */
static void no_file_for_one(void **state)
{
    for (size_t i = 0; i < sizeof doors / sizeof *doors; i++) {
        const struct door *door = &doors[i];
        struct rlimit was, few;
        next_is_served(door);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
        usleep(50000); /* the one before is closed, mostly */
        few = was;
        few.rlim_cur = (rlim_t)last_file() + 1;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        int fd = tcp_connect(door->port());
        ask(door, fd);
        double before = processor_s();
        usleep(500000);
        double spent = processor_s() - before;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
        assert_true(is_answered(fd));
        close(fd);
        if (spent > 0.25)
            fail_msg("%s: %.3f s of the processor in half a second of waiting", door->name, spent);
        next_is_served(door);
    }
}

/* Who never said a word gives way to who comes; and he, who is silent too at first, to nobody: the
 * kernel says that there is no file before it looks whether anybody waits. */
static void the_silent_give_way(void **state)
{
    struct rlimit was, few;
    unsigned before;
    int silent = tcp_connect(mesh_port());

    for (int i = 0; i < 500 && ups < 1; i++)
        usleep(10000);
    before = ups;
    assert_int_equal(before, 1);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    few = was;
    few.rlim_cur = (rlim_t)last_file() + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    int fd = tcp_connect(mesh_port());
    usleep(200000); /* he is in, has not spoken yet, and nobody else has come */
    ask(&doors[0], fd);
    bool answered = is_answered(fd), closed = is_closed(silent);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    assert_true(answered);
    assert_true(closed);
    close(fd);
    close(silent);
}

/* All that accept4(2) may say, a few times in a row. */
static void accept_fails(void **state)
{
    static const int errors[] = {ENFILE, EMFILE, ENOBUFS,  ENOMEM, ECONNABORTED,
                                 EPROTO, EPERM,  ENETDOWN, EINTR,  EAGAIN};

    for (size_t i = 0; i < sizeof doors / sizeof *doors; i++)
        for (size_t e = 0; e < sizeof errors / sizeof *errors; e++) {
            atomic_store(&accept_errno, errors[e]);
            atomic_store(&accepts_fail, 3);
            next_is_served(&doors[i]);
            assert_int_equal(atomic_load(&accepts_fail), 0);
        }
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH(no_memory_for_one),
        WITH(no_file_for_one),
        WITH(the_silent_give_way),
        WITH(accept_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
