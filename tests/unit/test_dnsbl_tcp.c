/* DNS over TCP (SPEC 18.2): who says nothing, or nonsense, is in nobody's way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "helper_tcp.h"
#include "node/serve/dnsbl.h"

#define CROWD 500

static const char question[] = "\0\x2c" /* A of 2.0.0.127.refuse.grapevine */
                               "\0\x07\x01\0\0\1\0\0\0\0\0\0"
                               "\1"
                               "2\1"
                               "0\1"
                               "0\3"
                               "127\6refuse\11grapevine\0\0\1\0\1";
#define QUESTION (sizeof question - 1)
#define ANSWER   62u /* the length, the question, an address under a pointer to its name */

static struct loop_thread thread;
static struct gv_dnsbl *dnsbl;
static struct gv_dnsbl_counters counters;

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

static void start_it(void *context)
{
    static const struct gv_address address = {.family = GV_FAMILY_IPV4, .bytes = {127, 0, 0, 1}};
    const struct gv_dnsbl_options options = {.loop = &thread.loop,
                                             .listen = &address,
                                             .listen_count = 1,
                                             .source = {.listed = listed, .reason = reason},
                                             .serial = serial};

    *(int *)context = gv_dnsbl_start(&dnsbl, &options, NULL);
}

static void stop_it(void *context)
{
    gv_dnsbl_stop(dnsbl);
}

static void look(void *context)
{
    gv_dnsbl_counters(dnsbl, &counters);
}

static int setup(void **state)
{
    int rc = GV_ERR_IO;

    loop_thread_start(&thread);
    loop_thread_call(&thread, start_it, &rc);
    assert_int_equal(rc, GV_OK);
    return 0;
}

static int teardown(void **state)
{
    loop_thread_call(&thread, stop_it, NULL);
    loop_thread_stop(&thread);
    return 0;
}

static void expect_an_answer(int fd)
{
    char answer[256];

    tcp_send(fd, question, QUESTION);
    /* Until its last byte: 127.0.0.3. */
    for (size_t len = 0; len < ANSWER;) {
        size_t n = tcp_read(fd, answer + len, ANSWER + 1 - len, 5000);
        assert_true(n > 0);
        len += n;
    }
    assert_memory_equal(answer + ANSWER - 4, "\x7f\0\0\3", 4);
}

static void is_answered(void)
{
    int fd = tcp_connect(gv_dnsbl_port(dnsbl));

    for (int i = 0; i < 3; i++)
        expect_an_answer(fd);
    close(fd);
}

/* They hold every place; the one who asks gets one all the same, and keeps it while he asks. */
static void those_who_say_nothing_shut_nobody_out(void **state)
{
    static int crowd[CROWD];
    int busy = tcp_connect(gv_dnsbl_port(dnsbl));

    for (int i = 0; i < CROWD; i++) {
        crowd[i] = tcp_connect(gv_dnsbl_port(dnsbl));
        if (i % 3 == 0)
            tcp_send(crowd[i], question, (size_t)i % QUESTION); /* and never goes on */
        if (i % 16 == 0)
            expect_an_answer(busy);
    }
    is_answered();
    expect_an_answer(busy);
    loop_thread_call(&thread, look, NULL);
    assert_true(counters.tcp_connections >= CROWD + 2);
    assert_true(counters.tcp_closed >= CROWD - GV_DNSBL_TCP_MAX);
    close(busy);
    for (int i = 0; i < CROWD; i++)
        close(crowd[i]);
}

static void nonsense_ends_its_own_connection(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {{"\0\0", 2},
                 {"\0\5abcde", 7},
                 {"\xff\xff", 2},
                 {"\0\x0c\0\7\x81\0\0\0\0\0\0\0\0\0", 14}}; /* an answer is not answered */
    char answer[64];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int fd = tcp_connect(gv_dnsbl_port(dnsbl));
        tcp_send(fd, cases[i].bytes, cases[i].len);
        assert_int_equal(read(fd, answer, sizeof answer), 0);
        close(fd);
    }
    is_answered();
}

/* Questions in one go are answered in their order, also while nobody reads. */
static void many_questions_in_one_go(void **state)
{
    int fd = tcp_connect(gv_dnsbl_port(dnsbl));
    static char answers[200 * ANSWER + 2];
    size_t have = 0;

    for (int i = 0; i < 200; i++)
        tcp_send(fd, question, QUESTION);
    while (have < 200 * ANSWER) {
        size_t n = tcp_read(fd, answers + have, 200 * ANSWER + 1 - have, 5000);
        assert_true(n > 0);
        have += n;
    }
    for (size_t i = 1; i <= 200; i++)
        assert_memory_equal(answers + i * ANSWER - 4, "\x7f\0\0\3", 4);
    close(fd);
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH(those_who_say_nothing_shut_nobody_out),
        WITH(nonsense_ends_its_own_connection),
        WITH(many_questions_in_one_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
