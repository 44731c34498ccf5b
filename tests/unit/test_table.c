/* The hash table against a naive list, with hashes that collide as badly as they can. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/drbg.h"
#include "crypto/error.h"
#include "proto/table.h"

#define ITEMS 600

struct item {
    uint32_t key;
    bool in;
};

static struct gv_drbg dice;

static bool equal(const void *item, const void *key)
{
    return ((const struct item *)item)->key == *(const uint32_t *)key;
}

/* Of the key's hash only so many bits are used: 0 puts everything into one chain; the high bit set
 * makes chains that wrap round the end of the table. */
static uint64_t hash_of(uint32_t key, unsigned bits)
{
    uint64_t hash = key * 0x9e3779b97f4a7c15ull;

    return bits == 0 ? UINT64_MAX : bits >= 64 ? hash : hash >> (64 - bits) | ~0ull << bits;
}

static void compare(const struct gv_table *table, const struct item *items, unsigned bits)
{
    size_t expected = 0, found = 0, cursor = 0;

    for (uint32_t i = 0; i < ITEMS; i++) {
        const void *hit = gv_table_find(table, hash_of(i, bits), equal, &i);
        assert_ptr_equal(hit, items[i].in ? &items[i] : NULL);
        expected += items[i].in;
    }
    assert_int_equal(table->count, expected);
    while (gv_table_next(table, &cursor))
        found++;
    assert_int_equal(found, expected);
}

static void it_holds_what_a_list_would_hold(void **state)
{
    static const unsigned widths[] = {64, 8, 4, 2, 1, 0};

    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
        static struct item items[ITEMS];
        struct gv_table table = {0};
        uint32_t reach = widths[w] < 8 ? 120 : ITEMS;
        for (uint32_t i = 0; i < ITEMS; i++)
            items[i] = (struct item){.key = i};
        for (unsigned step = 0; step < 6000; step++) {
            uint32_t key = (uint32_t)gv_drbg_below(&dice, reach);
            uint64_t hash = hash_of(key, widths[w]);
            if (items[key].in)
                gv_table_remove(&table, hash, &items[key]);
            else
                assert_int_equal(gv_table_insert(&table, hash, &items[key]), GV_OK);
            items[key].in = !items[key].in;
            if (step % 200 == 0)
                compare(&table, items, widths[w]);
        }
        compare(&table, items, widths[w]);
        for (uint32_t i = 0; i < ITEMS; i++)
            if (items[i].in) {
                gv_table_remove(&table, hash_of(i, widths[w]), &items[i]);
                items[i].in = false;
            }
        compare(&table, items, widths[w]);
        gv_table_free(&table);
        assert_int_equal(table.cap, 0);
    }
}

static void an_empty_table_finds_nothing(void **state)
{
    struct gv_table table = {0};
    uint32_t key = 1;
    size_t cursor = 0;

    assert_null(gv_table_find(&table, 1, equal, &key));
    assert_null(gv_table_next(&table, &cursor));
    gv_table_free(&table);
}

int main(void)
{
    const char *given = getenv("GV_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    uint8_t bytes[GV_SEED_LEN] = {0};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_holds_what_a_list_would_hold),
        cmocka_unit_test(an_empty_table_finds_nothing),
    };

    printf("GV_SEED=%llu\n", (unsigned long long)seed);
    memcpy(bytes, &seed, sizeof seed);
    gv_drbg_init(&dice, bytes);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
