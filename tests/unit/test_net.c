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
#include "node/host/net_link.h"

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

/* What waits on the last link, as the net has it. */
static struct {
    bool there;
    size_t queued;
    int64_t left_ms; /* until it is cut; negative: it is not waited for */
} waiting;

static void look_at_queue(void *context)
{
    struct gv_net_link *link = gv_net_link_find(net, last_link);

    memset(&waiting, 0, sizeof waiting);
    if (!link)
        return;
    waiting.there = true;
    waiting.queued = uv_stream_get_write_queue_size((uv_stream_t *)&link->tcp);
    uv_update_time(&thread.loop);
    waiting.left_ms = link->deadline ? (int64_t)(link->deadline - uv_now(&thread.loop)) : INT64_MIN;
}

static void send_some(void *context)
{
    static uint8_t data[100000];

    gv_net_send(net, last_link, data, *(size_t *)context);
    gv_net_flush(net);
    look_at_queue(NULL);
}

/* Until the kernels take no more and some of it waits here. */
static void send_until_it_waits(void)
{
    size_t len = 100000;

    do
        loop_thread_call(&thread, send_some, &len);
    while (waiting.there && waiting.queued == 0);
    usleep(200000); /* the last segments find their way */
    loop_thread_call(&thread, look_at_queue, NULL);
    assert_true(waiting.there && waiting.queued > 0);
}

/* So much of the half minute has gone by. */
static void let_pass(void *context)
{
    gv_net_link_find(net, last_link)->deadline -= *(uint64_t *)context;
}

static int connect_a_slow_reader(void)
{
    int fd = tcp_connect(port), small = 4096;

    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    tcp_send(fd, "x", 1);
    wait_until(&ups, 1);
    return fd;
}

static void test_output_that_nobody_takes_is_waited_for_half_a_minute(void **state)
{
    size_t more = 1000;
    uint64_t most = GV_NET_STALL_MS - 5000, rest = 10000;

    open_net(16);
    int fd = connect_a_slow_reader();
    send_until_it_waits();
    assert_in_range(waiting.left_ms, GV_NET_STALL_MS - 10000, GV_NET_STALL_MS);
    /* To say more, or to hear from him, is no reason to wait longer. */
    loop_thread_call(&thread, let_pass, &most);
    tcp_send(fd, "x", 1);
    loop_thread_call(&thread, send_some, &more);
    usleep(50000);
    loop_thread_call(&thread, look_at_queue, NULL);
    assert_in_range(waiting.left_ms, 1, 5000);
    look_at_net();
    assert_int_equal(counters.slow, 0);
    loop_thread_call(&thread, let_pass, &rest);
    wait_until(&downs, 1);
    look_at_net();
    assert_int_equal(counters.slow, 1);
    assert_int_equal(links, 0);
    close(fd);
    close_net();
}

static void test_output_that_moves_is_waited_for_anew(void **state)
{
    static char taken[65536];
    uint64_t most = GV_NET_STALL_MS - 5000;
    size_t len = 100000;

    open_net(16);
    int fd = connect_a_slow_reader();
    send_until_it_waits();
    loop_thread_call(&thread, send_some, &len); /* a second piece behind the first */
    loop_thread_call(&thread, let_pass, &most);
    while (waiting.queued > len) { /* he takes the first */
        assert_true(recv(fd, taken, sizeof taken, 0) > 0);
        loop_thread_call(&thread, look_at_queue, NULL);
    }
    assert_true(waiting.queued > 0);
    assert_in_range(waiting.left_ms, GV_NET_STALL_MS - 10000, GV_NET_STALL_MS);
    while (waiting.queued > 0) { /* and all */
        assert_true(recv(fd, taken, sizeof taken, 0) > 0);
        loop_thread_call(&thread, look_at_queue, NULL);
    }
    assert_true(waiting.there && waiting.left_ms == INT64_MIN);
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

static void cut_all(void *context)
{
    gv_net_set_online(net, false);
}

static bool dripping;
static size_t paused;

static void look_at_drip(void *context)
{
    dripping = uv_is_active((uv_handle_t *)&net->drip) != 0;
    paused = net->paused;
}

/* Nobody is looked at for ever who is not there any more: an idle node would wake ten times a
 * second. */
static void test_nobody_is_waited_for_who_has_gone(void **state)
{
    pthread_t pourer;

    open_net(16);
    int fd = tcp_connect(port);
    pthread_create(&pourer, NULL, pour, &fd);
    for (paused = 0; paused == 0; usleep(1000))
        loop_thread_call(&thread, look_at_drip, NULL);
    assert_true(dripping);
    loop_thread_call(&thread, cut_all, NULL);
    usleep(5 * GV_NET_DRIP_MS * 1000);
    loop_thread_call(&thread, look_at_drip, NULL);
    assert_int_equal(paused, 0);
    assert_false(dripping);
    close_net();
    pthread_join(pourer, NULL);
    close(fd);
}

/* ---- places ---------------------------------------------------------------------------------- */

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
    assert_int_equal(counters.turned_away, 64);
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
    assert_int_equal(tcp_read(fds[1], answer, sizeof answer, 500),
                     3); /* he heard it all the same */
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
        cmocka_unit_test(test_output_that_nobody_takes_is_waited_for_half_a_minute),
        cmocka_unit_test(test_output_that_moves_is_waited_for_anew),
        cmocka_unit_test(test_a_peer_is_read_at_a_bounded_rate),
        cmocka_unit_test(test_a_link_may_end_while_it_waits),
        cmocka_unit_test(test_nobody_is_waited_for_who_has_gone),
        cmocka_unit_test(test_who_is_turned_away_keeps_no_place),
        cmocka_unit_test(test_a_crowd_in_one_turn_takes_no_place),
        cmocka_unit_test(test_those_who_linger_give_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
