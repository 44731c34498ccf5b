/* The replicated set (SPEC 9.1, 9.5): order, places, and fingerprints against a slow computation
 * that shares nothing with the code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/drbg.h"
#include "proto/mesh/set.h"

static struct gv_drbg dice;
static struct gv_set set;
static const uint8_t hash_key[16] = {1, 2, 3};

static int stage_up(void **state)
{
    gv_set_init(&set, hash_key);
    return 0;
}

static int stage_down(void **state)
{
    gv_set_free(&set);
    return 0;
}

/* Ids with few different bytes, so that equal beginnings are common; some all ones or zeros. */
static void random_id(uint8_t id[GV_ID_LEN])
{
    uint64_t kind = gv_drbg_below(&dice, 4);

    gv_drbg_fill(&dice, id, GV_ID_LEN);
    if (kind == 0)
        memset(id, 0xff, GV_ID_LEN - 1);
    else if (kind == 1)
        memset(id, 0, GV_ID_LEN - 1);
}

static void fill(size_t count)
{
    while (count > 0) {
        uint8_t id[GV_ID_LEN], record[3] = {1, 2, 3};
        random_id(id);
        if (gv_set_find(&set, id))
            continue;
        enum gv_tree tree = (enum gv_tree)gv_drbg_below(&dice, GV_TREE_COUNT);
        uint32_t minute = (uint32_t)gv_drbg_below(&dice, 5);
        assert_non_null(gv_set_insert(&set, tree, minute, id, record, sizeof record));
        count--;
    }
}

/* 128-bit addition, byte by byte, as one learns it at school; libsodium's hash. */
static void slow_fingerprint(uint8_t out[GV_ID_LEN], enum gv_tree tree, size_t from, size_t to)
{
    static const char domain[] = "grapevine fingerprint 1"; /* with its zero */
    uint8_t message[sizeof domain + 16 + 8] = {0}, hash[32];
    uint8_t *sum = message + sizeof domain;

    memcpy(message, domain, sizeof domain);
    for (size_t i = from; i < to; i++) {
        unsigned carry = 0;
        for (size_t b = 0; b < 16; b++) {
            carry += (unsigned)sum[b] + set.trees[tree].items[i]->key.id[b];
            sum[b] = (uint8_t)carry;
            carry >>= 8;
        }
    }
    message[sizeof message - 1] = (uint8_t)(to - from);
    message[sizeof message - 2] = (uint8_t)((to - from) >> 8);
    crypto_hash_sha256(hash, message, sizeof message);
    memcpy(out, hash, GV_ID_LEN);
}

static void a_tree_is_ordered_by_minute_then_id(void **state)
{
    fill(800);
    for (int t = 0; t < GV_TREE_COUNT; t++) {
        const struct gv_tree_order *order = &set.trees[t];
        for (size_t i = 1; i < order->count; i++) {
            const struct gv_key *a = &order->items[i - 1]->key, *b = &order->items[i]->key;
            assert_true(a->minute < b->minute ||
                        (a->minute == b->minute && memcmp(a->id, b->id, GV_ID_LEN) < 0));
        }
    }
    assert_int_equal(set.trees[0].count + set.trees[1].count, 800);
}

static void lower_is_what_a_walk_finds(void **state)
{
    fill(300);
    for (unsigned i = 0; i < 2000; i++) {
        struct gv_key key = {.minute = (uint32_t)gv_drbg_below(&dice, 7)};
        const struct gv_tree_order *order = &set.trees[i % 2];
        size_t at = 0;
        random_id(key.id);
        if (i % 3 == 0 && order->count > 0)
            key = order->items[gv_drbg_below(&dice, order->count)]->key;
        while (at < order->count && gv_key_compare(&order->items[at]->key, &key) < 0)
            at++;
        assert_int_equal(gv_set_lower(&set, (enum gv_tree)(i % 2), &key), at);
    }
}

static void fingerprints_are_sums(void **state)
{
    uint8_t fast[GV_ID_LEN], slow[GV_ID_LEN];

    fill(500);
    for (unsigned i = 0; i < 300; i++) {
        enum gv_tree tree = (enum gv_tree)(i % GV_TREES_HELD);
        /* Things go, and move: what is remembered of the whole must follow. */
        if (i % 4 == 0 && set.trees[i % 2].count > 0) {
            struct gv_item *item =
                set.trees[i % 2].items[gv_drbg_below(&dice, set.trees[i % 2].count)];
            if (i % 8 == 0) {
                gv_set_remove(&set, item);
            } else {
                assert_true(gv_set_reserve(&set, GV_TREE_KEPT));
                gv_set_move(&set, item, GV_TREE_KEPT);
            }
        }
        size_t from = (size_t)gv_drbg_below(&dice, set.trees[tree].count + 1);
        size_t to = from + (size_t)gv_drbg_below(&dice, set.trees[tree].count - from + 1);
        gv_set_fingerprint(fast, &set, tree, from, to);
        slow_fingerprint(slow, tree, from, to);
        assert_memory_equal(fast, slow, GV_ID_LEN);
    }
}

static void what_was_taken_out_leaves_no_trace(void **state)
{
    uint8_t before[GV_ID_LEN], after[GV_ID_LEN], id[GV_ID_LEN], record[2] = {1, 9};

    fill(200);
    gv_set_fingerprint(before, &set, GV_TREE_ROSTER, 0, set.trees[0].count);
    for (unsigned i = 0; i < 500; i++) {
        random_id(id);
        if (gv_set_find(&set, id))
            continue;
        struct gv_item *item = gv_set_insert(&set, GV_TREE_ROSTER, i % 5, id, record, 2);
        assert_ptr_equal(gv_set_find(&set, id), item);
        assert_int_equal(item->len, 2);
        assert_memory_equal(item->record, record, 2);
        gv_set_fingerprint(after, &set, GV_TREE_ROSTER, 0, set.trees[0].count);
        assert_memory_not_equal(before, after, GV_ID_LEN);
        gv_set_remove(&set, item);
        assert_null(gv_set_find(&set, id));
    }
    gv_set_fingerprint(after, &set, GV_TREE_ROSTER, 0, set.trees[0].count);
    assert_memory_equal(before, after, GV_ID_LEN);
}

int main(void)
{
    const char *given = getenv("GV_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    uint8_t bytes[GV_SEED_LEN] = {0};
#define STORY(name) cmocka_unit_test_setup_teardown(name, stage_up, stage_down)
    const struct CMUnitTest tests[] = {
        STORY(a_tree_is_ordered_by_minute_then_id),
        STORY(lower_is_what_a_walk_finds),
        STORY(fingerprints_are_sums),
        STORY(what_was_taken_out_leaves_no_trace),
    };

    printf("GV_SEED=%llu\n", (unsigned long long)seed);
    memcpy(bytes, &seed, sizeof seed);
    gv_drbg_init(&dice, bytes);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
