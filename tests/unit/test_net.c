/* The net by itself: what a peer can make it hold, read and wait for (SPEC 13). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crypto/error.h"
#include "helper_tcp.h"
#include "node/host/net.h"

static struct loop_thread thread;
static struct gv_net *net;
static struct gv_net_counters counters;
static uint32_t last_link;
static unsigned ups, downs;
static size_t heard, held;
static size_t links;
static uint16_t port;
static bool turns_away; /* everybody, at once */

static void on_connected(void *context, uint32_t link, const struct gv_address *remote)
{
    last_link = link;
    ups++;
    if (turns_away)
        gv_net_close(net, link);
}

static void on_disconnected(void *context, uint32_t link)
{
    downs++;
}

static void on_bytes(void *context, uint32_t link, const uint8_t *data, size_t len)
{
    heard += len;
}

static void start(void *context)
{
    static const struct gv_address at = {.family = GV_FAMILY_IPV4, .bytes = {127, 0, 0, 1}};
    struct gv_net_options options = {
        .loop = &thread.loop,
        .callbacks = {NULL, on_connected, on_disconnected, on_bytes},
        .listen = &at,
        .listen_count = 1,
        .incoming_max = *(unsigned *)context,
    };
    struct gv_text error = {""};

    if (gv_net_new(&net, &options, &error) != GV_OK)
        abort();
    port = gv_net_port(net);
}

static void open_net(unsigned incoming_max)
{
    ups = downs = 0;
    heard = held = 0;
    loop_thread_start(&thread);
    loop_thread_call(&thread, start, &incoming_max);
}

static void stop(void *context)
{
    gv_net_free(net);
}

static void close_net(void)
{
    loop_thread_call(&thread, stop, NULL);
    loop_thread_stop(&thread);
}

static void look(void *context)
{
    counters = gv_net_counters(net);
    links = gv_net_links(net);
}

static void look_at_net(void)
{
    loop_thread_call(&thread, look, NULL);
}

/* Up to 5 s until so many links are up, or down. */
static void wait_until(const unsigned *count, unsigned wanted)
{
    for (int i = 0; i < 500 && *(const volatile unsigned *)count < wanted; i++) {
        usleep(10000);
        look_at_net();
    }
    assert_true(*(const volatile unsigned *)count >= wanted);
}

/* ---- output that nobody takes --------------------------------------------------------------- */

static void send_until_cut(void *context)
{
    static uint8_t data[10000];

    while (held < (64u << 20)) {
        gv_net_send(net, last_link, data, sizeof data);
        gv_net_flush(net);
        if (gv_net_counters(net).slow > 0)
            return;
        held += sizeof data;
    }
}

/* What the kernels take, and a megabyte; never more. */
static void test_a_reader_that_does_not_read_is_cut_off(void **state)
{
    open_net(16);
    int fd = tcp_connect(port), small = 4096;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    tcp_send(fd, "x", 1);
    wait_until(&ups, 1);
    loop_thread_call(&thread, send_until_cut, NULL);
    look_at_net();
    assert_int_equal(counters.slow, 1);
    /* Our kernel: twice 128 KiB; the reader's: a window of 64 KiB as it began. */
    assert_in_range(held, GV_NET_QUEUE_MAX, GV_NET_QUEUE_MAX + 2 * GV_NET_KERNEL_MAX + 131072);
    wait_until(&downs, 1);
    struct pollfd over = {.fd = fd, .events = POLLRDHUP};
    assert_int_equal(poll(&over, 1, 1000), 1); /* and knows it, although he did not read */
    close(fd);
    close_net();
}

/* ---- input without end ----------------------------------------------------------------------- */

static void *pour(void *context)
{
    static char data[65536];
    int fd = *(int *)context;

    for (int i = 0; i < 64; i++) /* 4 MiB */
        if (send(fd, data, sizeof data, MSG_NOSIGNAL) <= 0)
            break;
    return NULL;
}

static void test_a_peer_is_read_at_a_bounded_rate(void **state)
{
    pthread_t pourer;

    open_net(16);
    int fd = tcp_connect(port), other = tcp_connect(port);
    pthread_create(&pourer, NULL, pour, &fd);
    usleep(1000000);
    look_at_net();
    assert_true(counters.throttled >= 1);
    assert_in_range(heard, GV_NET_READ_BURST, GV_NET_READ_BURST + 2 * GV_NET_READ_RATE + 65536);
    /* Nobody else waits for it. */
    size_t before = heard;
    tcp_send(other, "hello", 5);
    usleep(50000);
    look_at_net();
    assert_in_range(heard, before + 5, before + 5 + GV_NET_READ_RATE);
    usleep(1000000);
    look_at_net();
    assert_in_range(heard, before + GV_NET_READ_RATE / 2, before + 3 * GV_NET_READ_RATE);
    shutdown(fd, SHUT_RDWR);
    pthread_join(pourer, NULL);
    close(fd);
    close(other);
    close_net();
}

/* A link that is cut while it waits for its credit is forgotten with it. */
static void test_a_link_may_end_while_it_waits(void **state)
{
    pthread_t pourer;

    open_net(16);
    int fd = tcp_connect(port);
    pthread_create(&pourer, NULL, pour, &fd);
    usleep(300000);
    look_at_net();
    assert_true(counters.throttled >= 1);
    close_net(); /* ASan would tell */
    pthread_join(pourer, NULL);
    close(fd);
}

/* ---- places ----------------------------------------------------------------------------------- */

static void turn_away(void *context)
{
    gv_net_close(net, last_link);
}

/* Whoever is turned away before a word was said to him is gone at once: he would keep his place for
 * two seconds otherwise, by not closing. */
static void test_who_is_turned_away_keeps_no_place(void **state)
{
    open_net(16);
    int fd = tcp_connect(port);
    tcp_send(fd, "x", 1);
    wait_until(&ups, 1);
    loop_thread_call(&thread, turn_away, NULL);
    usleep(100000);
    look_at_net();
    assert_int_equal(links, 0);
    close(fd);
    close_net();
}

/* In one turn, as a siege brings them: each is turned away as it comes, and frees its place for the
 * next, so none is dropped to make room. */
static void test_a_crowd_in_one_turn_takes_no_place(void **state)
{
    int fds[64];

    open_net(2);
    turns_away = true;
    pthread_mutex_lock(&thread.lock); /* the loop stands still at its next call */
    uv_async_send(&thread.async);
    for (int i = 0; i < 64; i++)
        fds[i] = tcp_connect(port);
    pthread_mutex_unlock(&thread.lock);
    wait_until(&ups, 64);
    look_at_net();
    assert_int_equal(counters.accepted, 64);
    assert_int_equal(counters.silent, 0);
    assert_int_equal(counters.turned_away, 0);
    for (int i = 0; i < 64; i++)
        close(fds[i]);
    close_net();
    turns_away = false;
}

static void say_and_close(void *context)
{
    gv_net_send(net, last_link, (const uint8_t *)"bye", 3);
    gv_net_flush(net);
    gv_net_close(net, last_link);
}

/* Those that linger over a last word give way first, and then those that never said one. */
static void test_those_who_linger_give_way(void **state)
{
    char answer[8];
    int fds[4];

    open_net(2);
    fds[0] = tcp_connect(port); /* silent */
    wait_until(&ups, 1);
    fds[1] = tcp_connect(port);
    tcp_send(fds[1], "x", 1);
    wait_until(&ups, 2);
    loop_thread_call(&thread, say_and_close, NULL); /* the second */
    fds[2] = tcp_connect(port);
    wait_until(&ups, 3);
    look_at_net();
    assert_int_equal(counters.turned_away, 0);
    assert_int_equal(counters.silent, 0);
    assert_int_equal(tcp_read(fds[1], answer, sizeof answer, 500), 3); /* he heard it all the same */
    fds[3] = tcp_connect(port);
    wait_until(&ups, 4);
    look_at_net();
    assert_int_equal(counters.silent, 1); /* a silent one made way */
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    close_net();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_reader_that_does_not_read_is_cut_off),
        cmocka_unit_test(test_a_peer_is_read_at_a_bounded_rate),
        cmocka_unit_test(test_a_link_may_end_while_it_waits),
        cmocka_unit_test(test_who_is_turned_away_keeps_no_place),
        cmocka_unit_test(test_a_crowd_in_one_turn_takes_no_place),
        cmocka_unit_test(test_those_who_linger_give_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
