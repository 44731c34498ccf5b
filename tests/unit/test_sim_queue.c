/* The simulator's queue gives events by time, and of one time in the order in which they came in:
 * over all distances, and with more coming in while it is emptied. The hash that it puts in place
 * of libsodium's is the same hash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "sim/world.h"

/* ---- the queue ------------------------------------------------------------------------------ */

static struct gv_world *world;

static int setup(void **state)
{
    (void)state;
    world = calloc(1, sizeof *world);
    return world ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    gv_queue_free(world);
    free(world);
    return 0;
}

static uint64_t seed = 1;

static uint64_t dice(uint64_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (seed >> 33) % below;
}

/* node: the number in which it came in. */
static void put(uint64_t at_ms, size_t number)
{
    gv_world_queue(world,
                   (struct gv_sim_event){.at_ms = at_ms, .kind = GV_SIM_WEATHER, .node = number});
}

static uint64_t distance(void)
{
    static const uint64_t ranges[] = {1, 3, 100, 5000, 70000, 400000};

    return dice(ranges[dice(sizeof ranges / sizeof *ranges)]);
}

static void the_order_is_by_time_and_then_as_they_came(void **state)
{
    size_t in = 0, out = 0, last = 0;
    uint64_t now_ms = 0;

    (void)state;
    while (in < 1000)
        put(distance(), in++);
    while (world->queue.count > 0) {
        uint64_t next_ms = gv_world_next_ms(world);
        struct gv_sim_event event = gv_world_unqueue(world);
        assert_int_equal(event.at_ms, next_ms);
        assert_true(event.at_ms >= now_ms);
        if (out > 0 && event.at_ms == now_ms)
            assert_true(event.node > last);
        now_ms = event.at_ms;
        last = event.node;
        out++;
        for (uint64_t more = dice(3); more > 0 && in < 60000; more--)
            put(now_ms + distance(), in++);
    }
    assert_int_equal(in, 60000);
    assert_int_equal(out, in);
    assert_true(gv_world_next_ms(world) == UINT64_MAX);
}

/* Neither just within the lists nor just behind them is anything taken for what comes now. */
static void the_end_of_the_lists_is_their_end(void **state)
{
    (void)state;
    for (uint64_t at_ms = GV_SIM_QUEUE_SPAN + 1; at_ms + 1 >= GV_SIM_QUEUE_SPAN; at_ms--)
        put(at_ms, (size_t)at_ms);
    put(0, 0);
    assert_int_equal(gv_world_unqueue(world).node, 0);
    for (uint64_t at_ms = GV_SIM_QUEUE_SPAN - 1; at_ms <= GV_SIM_QUEUE_SPAN + 1; at_ms++) {
        assert_int_equal(gv_world_next_ms(world), at_ms);
        assert_int_equal(gv_world_unqueue(world).node, at_ms);
    }
}

static void all_that_waits_is_found(void **state)
{
    size_t cursor = 0, found = 0, sum = 0;
    struct gv_sim_event *event;

    (void)state;
    for (size_t i = 0; i < 100; i++)
        put(i * 1500, i);
    for (size_t i = 0; i < 10; i++)
        (void)gv_world_unqueue(world);
    while ((event = gv_world_queued(world, &cursor))) {
        found++;
        sum += event->node;
    }
    assert_int_equal(found, 90);
    assert_int_equal(sum, 99 * 100 / 2 - 9 * 10 / 2);
}

/* ---- the hash ------------------------------------------------------------------------------- */

/* At once, where nothing is put in its place; and in pieces, where it is. */
static void sha256_is_libsodiums(void **state)
{
    uint8_t data[400], once[32], pieces[32];
    crypto_hash_sha256_state hash;

    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)dice(256);
    for (size_t len = 0; len <= sizeof data; len++) {
        crypto_hash_sha256(once, data, len);
        crypto_hash_sha256_init(&hash);
        for (size_t at = 0, take; at < len; at += take) {
            take = 1 + (size_t)dice(len - at);
            crypto_hash_sha256_update(&hash, data + at, take);
            crypto_hash_sha256_update(&hash, NULL, 0);
        }
        crypto_hash_sha256_final(&hash, pieces);
        assert_memory_equal(once, pieces, 32);
    }
}

static void hmac_is_libsodiums(void **state)
{
    uint8_t data[300], key[100], once[32], pieces[32];
    crypto_auth_hmacsha256_state mac;

    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)dice(256);
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)dice(256);
    for (size_t len = 0; len <= sizeof data; len += 7) {
        crypto_auth_hmacsha256(once, data, len, key); /* with a key of 32 bytes */
        crypto_auth_hmacsha256_init(&mac, key, crypto_auth_hmacsha256_KEYBYTES);
        crypto_auth_hmacsha256_update(&mac, data, len / 3);
        crypto_auth_hmacsha256_update(&mac, data + len / 3, len - len / 3);
        crypto_auth_hmacsha256_final(&mac, pieces);
        assert_memory_equal(once, pieces, 32);
    }
    /* RFC 4231, test case 6: a key longer than a block. */
    static const char text[] = "Test Using Larger Than Block-Size Key - Hash Key First";
    static const uint8_t wanted[8] = {0x60, 0xe4, 0x31, 0x59, 0x1e, 0xe0, 0xb6, 0x7f};
    uint8_t long_key[131];
    memset(long_key, 0xaa, sizeof long_key);
    crypto_auth_hmacsha256_init(&mac, long_key, sizeof long_key);
    crypto_auth_hmacsha256_update(&mac, (const uint8_t *)text, sizeof text - 1);
    crypto_auth_hmacsha256_final(&mac, pieces);
    assert_memory_equal(wanted, pieces, sizeof wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_order_is_by_time_and_then_as_they_came, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_end_of_the_lists_is_their_end, setup, teardown),
        cmocka_unit_test_setup_teardown(all_that_waits_is_found, setup, teardown),
        cmocka_unit_test(sha256_is_libsodiums),
        cmocka_unit_test(hmac_is_libsodiums),
    };

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
