/* The driver: a row is safe before a byte goes out, a store that fails takes the node off the mesh
 * and not down, and the network's edges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <arpa/inet.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "helper_node.h"
#include "proto/limits.h"

static struct node node;

static int setup(void **state)
{
    memset(&node, 0, sizeof node);
    node.enrolled = true;
    node.share = GV_SHARE_YES;
    node_make(&node);
    return 0;
}

static int teardown(void **state)
{
    node_remove(&node);
    return 0;
}

static void start(void)
{
    if (node_start(&node) != GV_OK)
        fail_msg("%s", node.error.text);
}

static void get_status(void *context)
{
    gv_driver_status(node.driver, context);
}

static struct gv_driver_status status(void)
{
    struct gv_driver_status out;

    loop_thread_call(&node.thread, get_status, &out);
    return out;
}

static int deny(const char *prefix)
{
    struct gv_event event = {.kind = GV_EVENT_COMMAND, .command = {.command = GV_COMMAND_DENY}};
    int result;

    assert_int_equal(gv_prefix_parse(&event.command.prefix, prefix, strlen(prefix)), GV_OK);
    node_command(&node, &event, &result);
    return result;
}

/* A free port of the loopback, and a socket that holds it if `held`. */
static uint16_t some_port(int *held)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    if (held) {
        assert_int_equal(listen(fd, 1), 0);
        *held = fd;
    } else {
        close(fd);
    }
    return ntohs(at.sin_port);
}

static void test_a_port_in_use_says_what_to_do(void **state)
{
    int held;

    node.port = some_port(&held);
    assert_int_equal(node_start(&node), GV_ERR_BUSY);
    assert_non_null(strstr(node.error.text, "ss -ltnp"));
    assert_non_null(strstr(node.error.text, "[node] listen"));
    node_stop(&node);
    close(held);
}

/* A stranger who talks nonsense is cut off, and nothing else happens. */
static void test_a_stranger_is_cut_off(void **state)
{
    char answer[256];

    node.port = some_port(NULL);
    start();
    int fd = tcp_connect(node.port);
    char nonsense[600];
    memset(nonsense, 0x7f, sizeof nonsense);
    tcp_send(fd, nonsense, sizeof nonsense);
    tcp_read(fd, answer, sizeof answer, 2000);
    assert_true(recv(fd, answer, sizeof answer, MSG_DONTWAIT) <= 0);
    close(fd);
    struct gv_driver_status s = status();
    assert_int_equal(s.net.accepted, 1);
    assert_false(s.store_failing);
    node_stop(&node);
}

/* More than the table holds, and than the door lets try from one address: each gets his place, and
 * loses it to the next, or at once when he is turned away. */
static void test_silent_strangers_cannot_hold_the_door(void **state)
{
    int fds[40];

    node.port = some_port(NULL); /* incoming_max is 16 */
    start();
    for (int i = 0; i < 40; i++)
        fds[i] = tcp_connect(node.port);
    struct gv_driver_status s = status();
    for (int i = 0; i < 3000 && s.net.accepted < 40; i++) {
        usleep(10000);
        s = status();
    }
    assert_int_equal(s.net.accepted, 40);
    assert_int_equal(s.net.turned_away, 40 - GV_HANDSHAKES_PER_MINUTE); /* by the door */
    /* For the next; and one for those whom the door then turned away. */
    assert_int_equal(s.net.silent, GV_HANDSHAKES_PER_MINUTE - 16 + 1);
    for (int i = 0; i < 40; i++)
        close(fds[i]);
    node_stop(&node);
}

/* What the core was told is in the store at the end of the same call. */
static void test_a_command_is_stored_when_it_returns(void **state)
{
    start();
    assert_int_equal(deny("203.0.113.0/24"), GV_OK);
    struct gv_driver_status s = status();
    assert_true(s.rows >= 1);
    node_stop(&node);
    start();
    json_t *json;
    assert_int_equal(node_get(&node, "lists", &json), 200);
    assert_int_equal(json_array_size(json_object_get(json, "deny")), 1);
    json_decref(json);
    node_stop(&node);
}

/* A full disk, played by a limit on the size of files; sockets do not mind it. */
static void test_a_full_disk_takes_it_off_the_mesh_and_not_down(void **state)
{
    struct rlimit before, tight;
    json_t *json;

    node.port = some_port(NULL);
    start();
    node_fails(&node, "198.51.100.7", 3);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    tight = before;
    tight.rlim_cur = 4096; /* less than the file has already */
    setrlimit(RLIMIT_FSIZE, &tight);
    assert_int_equal(deny("203.0.113.0/24"), GV_ERR_IO);
    struct gv_driver_status s = status();
    assert_true(s.store_failing);
    assert_true(s.backlog > 0);

    /* It answers from memory, says what is the matter, and lets nobody in. */
    assert_int_equal(node_get(&node, "ip?addr=203.0.113.5", &json), 200);
    assert_string_equal(json_string_value(json_object_get(json, "action")), "refuse");
    json_decref(json);
    assert_int_equal(node_get(&node, "status", &json), 200);
    assert_true(json_is_false(json_object_get(json_object_get(json, "store"), "ok")));
    json_decref(json);
    node_fails(&node, "198.51.100.8", 3);
    int fd = tcp_connect(node.port);
    char answer[8];
    assert_int_equal(tcp_read(fd, answer, sizeof answer, 2000), 0);
    close(fd);

    /* Room again: within seconds all is stored and it is back. */
    setrlimit(RLIMIT_FSIZE, &before);
    for (int i = 0; i < 100 && status().store_failing; i++)
        usleep(100000);
    s = status();
    assert_false(s.store_failing);
    assert_int_equal(s.backlog, 0);
    node_stop(&node);
    start();
    assert_int_equal(node_get(&node, "lists", &json), 200);
    assert_int_equal(json_array_size(json_object_get(json, "deny")), 1);
    json_decref(json);
    assert_int_equal(node_get(&node, "telemetry", &json), 200);
    assert_int_equal(json_array_size(json_object_get(json, "telemetry")), 2);
    json_decref(json);
    node_stop(&node);
}

#define DENIED 50

/* For hours, until no more rows can wait: what the admin says then is kept all the same, and stands
 * in the store when there is room again. Of the rest the mesh has copies, or it is worth little. */
static void test_no_own_word_is_dropped_for_a_full_backlog(void **state)
{
    struct rlimit before, tight;
    uint64_t backlog = 0;
    json_t *json;

    node.port = some_port(NULL);
    start();
    node_fails(&node, "198.51.100.7", 3);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    tight = before;
    tight.rlim_cur = 4096;
    setrlimit(RLIMIT_FSIZE, &tight);
    assert_int_equal(deny("203.0.113.0/24"), GV_ERR_IO);
    for (int i = 0; i < 1000; i++) {
        node_fails(&node, "198.51.100.8", 1000);
        if (status().backlog == backlog)
            break;
        backlog = status().backlog;
    }
    assert_in_range(backlog, 10000, GV_BACKLOG_MAX);
    /* The first of them may find the room that was too little for what is longer. */
    for (unsigned i = 0; i < DENIED; i++) {
        char prefix[32];
        snprintf(prefix, sizeof prefix, "203.0.%u.0/24", 114 + i);
        assert_int_equal(deny(prefix), GV_ERR_IO);
    }
    assert_true(status().backlog >= backlog + 19 * DENIED); /* list, prefix */
    setrlimit(RLIMIT_FSIZE, &before);
    for (int i = 0; i < 300 && status().store_failing; i++)
        usleep(100000);
    assert_false(status().store_failing);
    node_stop(&node);
    start();
    assert_int_equal(node_get(&node, "lists", &json), 200);
    assert_int_equal(json_array_size(json_object_get(json, "deny")), 1 + DENIED);
    json_decref(json);
    node_stop(&node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_port_in_use_says_what_to_do, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_stranger_is_cut_off, setup, teardown),
        cmocka_unit_test_setup_teardown(test_silent_strangers_cannot_hold_the_door, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_command_is_stored_when_it_returns, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_full_disk_takes_it_off_the_mesh_and_not_down, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_no_own_word_is_dropped_for_a_full_backlog, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
