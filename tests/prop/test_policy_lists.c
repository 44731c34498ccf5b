/* The admin's lists against the same looked at one by one: whatever was put on and taken off, in
 * whatever order, a question has the same answer; and a list of 100,000 costs a question no more
 * than a few searches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "crypto/drbg.h"
#include "crypto/error.h"
#include "proto/trust/policy.h"

#define ROUNDS  300u
#define ENTRIES 60u
#define MANY    100000u

static struct gv_drbg random_source;

static uint32_t below(uint32_t n)
{
    return (uint32_t)gv_drbg_below(&random_source, n);
}

/* Few addresses and all lengths, so that many lie within each other. */
static struct gv_prefix any_prefix(void)
{
    struct gv_prefix p = {.family = below(3) ? GV_FAMILY_IPV4 : GV_FAMILY_IPV6};
    unsigned width = p.family == GV_FAMILY_IPV4 ? 32 : 128;

    p.bits = (uint8_t)below(width + 1);
    if (below(2))
        p.bits = (uint8_t)(width == 32 ? 24 + below(9) : 56 + below(20));
    for (unsigned i = 0; i < width / 8; i++)
        p.bytes[i] = (uint8_t)(i == 3 || i == 7 || i == 15 ? below(8) : 32 + below(2));
    for (unsigned bit = p.bits; bit < 128; bit++)
        p.bytes[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
    return p;
}

static struct gv_subject any_subject(void)
{
    struct gv_prefix p = any_prefix();
    struct gv_subject s = gv_prefix_subject(&p);

    for (unsigned i = 0; i < (s.family == GV_FAMILY_IPV4 ? 4u : 8u); i++)
        if (below(3) == 0)
            s.bytes[i] = (uint8_t)(i == 3 || i == 7 ? below(8) : 32 + below(2));
    return s;
}

/* ---- one by one ------------------------------------------------------------------------------ */

struct plain {
    struct gv_prefix of[ENTRIES];
    size_t count;
};

static bool same(const struct gv_prefix *a, const struct gv_prefix *b)
{
    return a->family == b->family && a->bits == b->bits && memcmp(a->bytes, b->bytes, 16) == 0;
}

static bool take(struct plain *list, const struct gv_prefix *prefix)
{
    for (size_t i = 0; i < list->count; i++)
        if (same(&list->of[i], prefix)) {
            list->of[i] = list->of[--list->count];
            return true;
        }
    return false;
}

static unsigned longest(const struct plain *list, const struct gv_subject *subject)
{
    unsigned best = 0;

    for (size_t i = 0; i < list->count; i++)
        if (gv_prefix_matches(&list->of[i], subject) && list->of[i].bits + 1u > best)
            best = list->of[i].bits + 1u;
    return best;
}

enum { FILE_ALLOW, FILE_DENY, ALLOW, DENY, LISTS };

/* 'a', 'd' or '-': SPEC 12.2. */
static char rule(const struct plain lists[LISTS], const struct gv_subject *subject)
{
    unsigned of[LISTS], best = 0;

    for (unsigned i = 0; i < LISTS; i++) {
        of[i] = longest(&lists[i], subject);
        best = of[i] > best ? of[i] : best;
    }
    if (best == 0)
        return '-';
    if (of[DENY] == best)
        return 'd';
    if (of[ALLOW] == best)
        return 'a';
    return of[FILE_DENY] == best ? 'd' : 'a';
}

static void check(const struct gv_policy_lists *lists, const struct plain plain[LISTS])
{
    for (unsigned i = 0; i < 40; i++) {
        struct gv_subject subject = any_subject();
        bool allowed, denied;
        gv_policy_look(lists, &subject, &allowed, &denied);
        assert_false(allowed && denied);
        assert_int_equal(allowed ? 'a' : denied ? 'd' : '-', rule(plain, &subject));
    }
}

static void configure(struct gv_policy_lists *lists, struct plain plain[LISTS])
{
    struct gv_settings settings = {.allow = plain[FILE_ALLOW].of, .deny = plain[FILE_DENY].of};

    for (unsigned i = FILE_ALLOW; i <= FILE_DENY; i++) {
        plain[i].count = below(ENTRIES);
        for (size_t j = 0; j < plain[i].count; j++) /* twice the same, too */
            plain[i].of[j] = j > 0 && below(9) == 0 ? plain[i].of[j - 1] : any_prefix();
    }
    settings.allow_count = plain[FILE_ALLOW].count;
    settings.deny_count = plain[FILE_DENY].count;
    assert_int_equal(gv_policy_configure(lists, &settings), GV_OK);
}

static void change(struct gv_policy_lists *lists, struct plain plain[LISTS])
{
    struct plain *to = &plain[below(2) ? DENY : ALLOW],
                 *other = &plain[to == &plain[DENY] ? ALLOW : DENY];
    struct gv_prefix prefix = any_prefix();

    if (to->count > 0 && below(2))
        prefix = to->of[below((uint32_t)to->count)];
    if (below(3) == 0 || to->count == ENTRIES) {
        bool from = take(to, &prefix), too = take(other, &prefix);
        assert_int_equal(gv_policy_remove(lists, &prefix), from || too ? GV_OK : GV_ERR_NOT_FOUND);
        return;
    }
    bool there = take(to, &prefix);
    to->of[to->count++] = prefix;
    assert_int_equal(gv_policy_add(lists, &prefix, to == &plain[DENY]),
                     there ? GV_ERR_DUPLICATE : GV_OK);
    if (!there)
        (void)take(other, &prefix);
}

static void it_answers_as_one_by_one(void **state)
{
    const uint8_t seed[GV_SEED_LEN] = {7};
    unsigned answers[128] = {0};

    (void)state;
    gv_drbg_init(&random_source, seed);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct gv_policy_lists lists;
        struct plain plain[LISTS] = {{.count = 0}};
        memset(&lists, 0, sizeof lists);
        if (below(4))
            configure(&lists, plain);
        for (unsigned i = below(200); i > 0; i--) {
            change(&lists, plain);
            if (i % 16 == 0)
                check(&lists, plain);
        }
        check(&lists, plain);
        assert_int_equal(lists.admin_allow.count, plain[ALLOW].count);
        assert_int_equal(lists.admin_deny.count, plain[DENY].count);
        struct gv_subject subject = any_subject();
        answers[(unsigned char)rule(plain, &subject)]++;
        gv_policy_free(&lists);
    }
    assert_true(answers['a'] > 10 && answers['d'] > 10 && answers['-'] > 10);
}

/* ---- many ------------------------------------------------------------------------------------ */

static uint64_t spent_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* 20,000 questions of a list of 100,000: looked at one by one that is 20 s under the sanitizers. */
static void many_entries_cost_a_question_little(void **state)
{
    const uint8_t seed[GV_SEED_LEN] = {8};
    struct gv_prefix *entries = malloc(MANY * sizeof *entries);
    struct gv_settings settings = {.deny = entries, .deny_count = MANY};
    struct gv_policy_lists lists;
    unsigned found = 0;

    (void)state;
    memset(&lists, 0, sizeof lists);
    gv_drbg_init(&random_source, seed);
    for (unsigned i = 0; i < MANY; i++)
        entries[i] = (struct gv_prefix){
            .family = GV_FAMILY_IPV4,
            .bits = 32,
            .bytes = {11, (uint8_t)(i >> 15), (uint8_t)(i >> 7), (uint8_t)(2 * i)}};
    assert_int_equal(gv_policy_configure(&lists, &settings), GV_OK);
    uint64_t start = spent_ns();
    for (unsigned i = 0; i < 20000; i++) {
        uint32_t n = below(2 * MANY);
        struct gv_subject subject = {
            .family = GV_FAMILY_IPV4,
            .bytes = {11, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n}};
        bool allowed, denied;
        gv_policy_look(&lists, &subject, &allowed, &denied);
        assert_int_equal(denied, n % 2 == 0);
        found += denied;
    }
    assert_true(spent_ns() - start < 2000000000u);
    assert_in_range(found, 9000, 11000);
    gv_policy_free(&lists);
    free(entries);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_answers_as_one_by_one),
        cmocka_unit_test(many_entries_cost_a_question_little),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
