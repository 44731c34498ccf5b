/* What grapevine-firewall is told, and what it makes of it: the records, and the table of what
 * should be in the kernel, held against a plain model of both. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/drbg.h"
#include "crypto/error.h"
#include "node/firewall/table.h"

#define SUBJECTS 700u
#define NOW      1000u

static struct gv_prefix prefix(const char *text)
{
    struct gv_prefix out;

    assert_int_equal(gv_prefix_parse(&out, text, strlen(text)), GV_OK);
    if (out.family == GV_FAMILY_IPV6 && out.bits > 64)
        out.bits = 64;
    return out;
}

static struct gv_firewall_record record(enum gv_firewall_op op, const char *text, uint32_t number)
{
    struct gv_firewall_record r = {.op = op, .number = number};

    if (text)
        r.prefix = prefix(text);
    return r;
}

static int apply(struct gv_nft_table *table, enum gv_firewall_op op, const char *text,
                 uint32_t number)
{
    struct gv_firewall_record r = record(op, text, number);

    return gv_nft_table_apply(table, &r, NOW);
}

static struct gv_nft_table *new_table(size_t max)
{
    static const uint8_t key[16] = {9};
    struct gv_nft_table *table = gv_nft_table_new(key, max);

    assert_non_null(table);
    return table;
}

static uint32_t look(const struct gv_nft_table *table, const char *text)
{
    struct gv_subject subject;

    assert_int_equal(gv_subject_parse(&subject, text, strlen(text)), GV_OK);
    return gv_nft_table_look(table, &subject, NOW);
}

/* ---- records -------------------------------------------------------------------------------- */

static void a_record_survives_the_wire(void **state)
{
    const struct gv_firewall_record all[] = {
        record(GV_FIREWALL_HELLO, NULL, GV_FIREWALL_VERSION),
        record(GV_FIREWALL_BEGIN, NULL, 0),
        record(GV_FIREWALL_BEGIN, NULL, GV_FIREWALL_LISTS_ONLY),
        record(GV_FIREWALL_ADD, "192.0.2.7", 3600),
        record(GV_FIREWALL_ADD, "2001:db8:1:2::/64", 1),
        record(GV_FIREWALL_ADD, "198.51.0.0/17", 60),
        record(GV_FIREWALL_DROP, "192.0.2.7", 0),
        record(GV_FIREWALL_ALLOW, "0.0.0.0/0", 0),
        record(GV_FIREWALL_COMMIT, NULL, 0xfffffffe),
        {.op = GV_FIREWALL_DONE,
         .number = 8,
         .result = GV_FIREWALL_PARTLY,
         .in_place = 100000,
         .not_taken = 3},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        uint8_t wire[GV_FIREWALL_RECORD], again[GV_FIREWALL_RECORD];
        struct gv_firewall_record back;
        gv_firewall_record_write(wire, &all[i]);
        assert_int_equal(gv_firewall_record_read(&back, wire), GV_OK);
        assert_int_equal(back.op, all[i].op); /* one by one: what lies between them is nobody's */
        assert_int_equal(back.number, all[i].number);
        assert_memory_equal(&back.prefix, &all[i].prefix, sizeof back.prefix);
        assert_int_equal(back.result, all[i].result);
        assert_int_equal(back.in_place, all[i].in_place);
        assert_int_equal(back.not_taken, all[i].not_taken);
        gv_firewall_record_write(again, &back);
        assert_memory_equal(again, wire, sizeof wire);
    }
}

static void what_no_firewall_may_hold_is_refused(void **state)
{
    static const struct {
        const char *text;
        uint32_t seconds;
        int wanted;
    } cases[] = {
        {"127.0.0.1", 60, GV_ERR_RANGE},    {"127.0.0.0/8", 60, GV_ERR_RANGE},
        {"::/64", 60, GV_ERR_RANGE},        {"::/16", 60, GV_ERR_RANGE},
        {"169.254.7.7", 60, GV_ERR_RANGE},  {"fe80::/64", 60, GV_ERR_RANGE},
        {"224.0.0.9", 60, GV_ERR_RANGE},    {"255.255.255.255", 60, GV_ERR_RANGE},
        {"0.0.0.0", 60, GV_ERR_RANGE},      {"ff02::/64", 60, GV_ERR_RANGE},
        {"0.0.0.0/0", 60, GV_ERR_RANGE},    {"64.0.0.0/7", 60, GV_ERR_RANGE},
        {"2400::/15", 60, GV_ERR_RANGE},    {"64.0.0.0/8", 60, GV_OK},
        {"2400::/16", 60, GV_OK},           {"10.1.2.3", 60, GV_OK},
        {"192.0.2.1", 0, GV_ERR_MALFORMED}, {"192.0.2.1", 3601, GV_ERR_MALFORMED},
        {"168.0.0.0/8", 60, GV_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gv_firewall_record r = record(GV_FIREWALL_ADD, cases[i].text, cases[i].seconds),
                                  back;
        uint8_t wire[GV_FIREWALL_RECORD];
        gv_firewall_record_write(wire, &r);
        if (gv_firewall_record_read(&back, wire) != cases[i].wanted)
            fail_msg("%s for %u s: %d instead of %d", cases[i].text, cases[i].seconds,
                     gv_firewall_record_read(&back, wire), cases[i].wanted);
    }
}

/* Every record has one form: of the neighbours of a good one, a bit away, none is read as another
 * spelling of it. */
static void there_is_one_form_of_each_record(void **state)
{
    struct gv_firewall_record r = record(GV_FIREWALL_ADD, "198.51.100.0/24", 60), back;
    uint8_t wire[GV_FIREWALL_RECORD], again[GV_FIREWALL_RECORD];
    size_t malformed = 0;

    for (size_t bit = 0; bit < 8 * GV_FIREWALL_RECORD; bit++) {
        gv_firewall_record_write(wire, &r);
        wire[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (gv_firewall_record_read(&back, wire) != GV_OK) {
            malformed++;
            continue;
        }
        gv_firewall_record_write(again, &back);
        assert_memory_equal(again, wire, sizeof wire);
    }
    assert_in_range(malformed, 8 * 12 + 8, 8 * GV_FIREWALL_RECORD); /* the unused bytes at least */
}

/* ---- the table ------------------------------------------------------------------------------ */

/* The kernel, as the plans make it. */
struct kernel {
    uint64_t until_s[SUBJECTS];
};

static struct gv_subject numbered(uint32_t number)
{
    const uint8_t four[4] = {100, 64, (uint8_t)(number >> 8), (uint8_t)number};
    const uint8_t six[16] = {0x20, 1, 0xd, 0xb8, 0, 0, (uint8_t)(number >> 8), (uint8_t)number};
    struct gv_subject out;

    assert_int_equal(gv_subject_from_address(&out, number % 2 ? six : four, number % 2 ? 16 : 4),
                     GV_OK);
    return out;
}

static uint32_t number_of(const struct gv_subject *subject)
{
    size_t at = subject->family == GV_FAMILY_IPV4 ? 2 : 6;

    return (uint32_t)subject->bytes[at] << 8 | subject->bytes[at + 1];
}

/* A plan never deletes what the kernel cannot have, and always says what it may have: an `add` of
 * something that is there changes nothing in an old kernel. */
static void carry_out(struct kernel *kernel, struct gv_nft_table *table, uint64_t now_s)
{
    struct gv_plan plan;

    assert_int_equal(gv_nft_table_plan(table, &plan, now_s), GV_OK);
    for (size_t i = 0; i < plan.entry_count; i++) {
        uint32_t number = number_of(&plan.entries[i].subject);
        if (kernel->until_s[number] > now_s)
            assert_true(plan.entries[i].known);
        if (plan.entries[i].seconds == 0)
            assert_true(plan.entries[i].known);
        kernel->until_s[number] = plan.entries[i].seconds ? now_s + plan.entries[i].seconds : 0;
    }
    gv_plan_free(&plan);
    gv_nft_table_done(table);
}

static int set_one(struct gv_nft_table *table, enum gv_firewall_op op, uint32_t number,
                   uint32_t seconds, uint64_t now_s)
{
    struct gv_subject subject = numbered(number);
    struct gv_firewall_record r = {.op = op, .number = seconds};

    r.prefix.family = subject.family;
    r.prefix.bits = subject.family == GV_FAMILY_IPV4 ? 32 : 64;
    memcpy(r.prefix.bytes, subject.bytes, sizeof subject.bytes);
    return gv_nft_table_apply(table, &r, now_s);
}

static void compare(const struct gv_nft_table *table, const struct kernel *kernel,
                    const uint64_t *model, uint64_t now_s)
{
    size_t wanted = 0;

    for (uint32_t i = 0; i < SUBJECTS; i++) {
        struct gv_subject subject = numbered(i);
        uint64_t until = model[i] > now_s ? model[i] : 0;
        assert_int_equal(gv_nft_table_look(table, &subject, now_s), until ? until - now_s : 0);
        assert_int_equal(kernel->until_s[i] > now_s ? kernel->until_s[i] : 0, until);
        wanted += until > 0;
    }
    assert_int_equal(gv_nft_table_count(table), wanted);
}

/* A third party empties the kernel's table in part, and puts things of its own there. */
static void meddle(struct gv_nft_table *table, struct kernel *kernel, struct gv_drbg *drbg,
                   uint64_t now_s)
{
    gv_nft_table_lost(table);
    for (uint32_t i = 0; i < SUBJECTS; i++) {
        if (gv_drbg_below(drbg, 4) == 0)
            kernel->until_s[i] = gv_drbg_below(drbg, 2) ? 0 : now_s + 9999;
        struct gv_subject subject = numbered(i);
        if (kernel->until_s[i] > now_s) {
            assert_int_equal(gv_nft_table_found(table, &subject), GV_OK);
            if (gv_nft_table_look(table, &subject, now_s) > 0) /* its time is not looked at */
                kernel->until_s[i] = now_s + gv_nft_table_look(table, &subject, now_s);
        }
    }
}

/* Records at random, lists, the clock, and others who meddle: after each plan the kernel holds what
 * the model says. */
static void the_kernel_gets_what_was_said(void **state)
{
    const uint8_t seed[GV_SEED_LEN] = {5};
    uint64_t model[SUBJECTS] = {0}, now_s = NOW;
    struct gv_nft_table *table = new_table(SUBJECTS);
    struct kernel kernel = {{0}};
    struct gv_drbg drbg;

    gv_drbg_init(&drbg, seed);
    for (int round = 0; round < 400; round++) {
        uint32_t kind = (uint32_t)gv_drbg_below(&drbg, 10);
        if (kind == 0) {
            struct gv_firewall_record begin = {.op = GV_FIREWALL_BEGIN};
            assert_int_equal(gv_nft_table_apply(table, &begin, now_s), GV_OK);
            memset(model, 0, sizeof model);
        }
        for (int i = 0; i < 60; i++) {
            uint32_t number = (uint32_t)gv_drbg_below(&drbg, SUBJECTS);
            bool drop = kind != 0 && gv_drbg_below(&drbg, 3) == 0;
            uint32_t seconds = drop ? 0 : 1 + (uint32_t)gv_drbg_below(&drbg, 40);
            assert_int_equal(
                set_one(table, drop ? GV_FIREWALL_DROP : GV_FIREWALL_ADD, number, seconds, now_s),
                GV_OK);
            model[number] = drop ? 0 : now_s + seconds;
        }
        struct gv_firewall_record commit = {.op = GV_FIREWALL_COMMIT};
        assert_int_equal(gv_nft_table_apply(table, &commit, now_s), GV_OK);
        if (kind == 1)
            meddle(table, &kernel, &drbg, now_s);
        carry_out(&kernel, table, now_s);
        compare(table, &kernel, model, now_s);
        now_s += gv_drbg_below(&drbg, 5);
    }
    gv_nft_table_free(table);
}

static void what_is_protected_is_never_in_a_plan(void **state)
{
    const struct gv_prefix own[] = {prefix("192.0.2.1"), prefix("2001:db8:7:7::/64"),
                                    prefix("10.0.0.0/8"), prefix("10.1.0.0/16")};
    struct gv_nft_table *table = new_table(100);
    struct gv_plan plan;

    assert_int_equal(apply(table, GV_FIREWALL_ADD, "10.1.2.3", 60), GV_OK);
    assert_int_equal(gv_nft_table_protect(table, own, 4), GV_OK);
    assert_int_equal(look(table, "10.1.2.3"), 0); /* it was there before */
    assert_int_equal(apply(table, GV_FIREWALL_ADD, "192.0.2.1", 60), GV_ERR_FORBIDDEN);
    assert_int_equal(apply(table, GV_FIREWALL_ADD, "10.1.2.3", 60), GV_ERR_FORBIDDEN);
    assert_int_equal(apply(table, GV_FIREWALL_ADD, "10.255.0.1", 60), GV_ERR_FORBIDDEN);
    assert_int_equal(apply(table, GV_FIREWALL_ADD, "2001:db8:7:7::/64", 60), GV_ERR_FORBIDDEN);
    assert_int_equal(apply(table, GV_FIREWALL_ADD, "192.0.2.2", 60), GV_OK);
    assert_int_equal(apply(table, GV_FIREWALL_ADD, "11.0.0.0", 60), GV_OK);
    assert_int_equal(apply(table, GV_FIREWALL_ADD, "9.255.255.255", 60), GV_OK);
    /* Nor within a list, whose own allow list is in force with its end and not before. */
    assert_int_equal(apply(table, GV_FIREWALL_ALLOW, "192.0.2.2", 0), GV_ERR_STATE);
    assert_int_equal(apply(table, GV_FIREWALL_BEGIN, NULL, 0), GV_OK);
    assert_int_equal(apply(table, GV_FIREWALL_ADD, "192.0.2.1", 60), GV_ERR_FORBIDDEN);
    assert_int_equal(apply(table, GV_FIREWALL_ADD, "192.0.2.2", 60), GV_OK);
    assert_int_equal(apply(table, GV_FIREWALL_ADD, "192.0.2.3", 60), GV_OK);
    assert_int_equal(apply(table, GV_FIREWALL_ALLOW, "192.0.2.2", 0), GV_OK);
    assert_int_equal(apply(table, GV_FIREWALL_COMMIT, NULL, 1), GV_OK);
    assert_int_equal(look(table, "192.0.2.2"), 0);
    assert_int_equal(look(table, "192.0.2.3"), 60);
    assert_int_equal(look(table, "11.0.0.0"), 0); /* not in the list */
    /* The next list does not allow it any more. */
    assert_int_equal(apply(table, GV_FIREWALL_BEGIN, NULL, 0), GV_OK);
    assert_int_equal(apply(table, GV_FIREWALL_ADD, "192.0.2.2", 60), GV_OK);
    assert_int_equal(apply(table, GV_FIREWALL_COMMIT, NULL, 2), GV_OK);
    assert_int_equal(look(table, "192.0.2.2"), 60);
    assert_int_equal(gv_nft_table_plan(table, &plan, NOW), GV_OK);
    assert_true(plan.with_allowed);
    assert_int_equal(plan.allowed_count, 3); /* 10.1.0.0/16 lies within 10.0.0.0/8 */
    for (size_t i = 0; i < plan.entry_count; i++)
        assert_int_not_equal(plan.entries[i].subject.bytes[0], 10);
    gv_plan_free(&plan);
    gv_nft_table_free(table);
}

/* The admin's lists alone: single entries stay, but for what is allowed now. */
static void lists_alone_leave_the_entries(void **state)
{
    struct gv_nft_table *table = new_table(100);
    struct gv_plan plan;

    assert_int_equal(apply(table, GV_FIREWALL_BEGIN, NULL, 0), GV_OK);
    assert_int_equal(apply(table, GV_FIREWALL_ALLOW, "192.0.2.1", 0), GV_OK);
    assert_int_equal(apply(table, GV_FIREWALL_ADD, "192.0.2.2", 60), GV_OK);
    assert_int_equal(apply(table, GV_FIREWALL_ADD, "192.0.2.3", 60), GV_OK);
    assert_int_equal(apply(table, GV_FIREWALL_ADD, "198.51.100.0/24", 60), GV_OK);
    assert_int_equal(apply(table, GV_FIREWALL_COMMIT, NULL, 1), GV_OK);
    assert_int_equal(apply(table, GV_FIREWALL_BEGIN, NULL, GV_FIREWALL_LISTS_ONLY), GV_OK);
    assert_int_equal(apply(table, GV_FIREWALL_ALLOW, "192.0.2.3", 0), GV_OK);
    assert_int_equal(apply(table, GV_FIREWALL_ADD, "203.0.113.0/25", 60), GV_OK);
    assert_int_equal(apply(table, GV_FIREWALL_ADD, "203.0.113.0/24", 60), GV_OK);
    assert_int_equal(apply(table, GV_FIREWALL_COMMIT, NULL, 2), GV_OK);
    assert_int_equal(look(table, "192.0.2.2"), 60);
    assert_int_equal(look(table, "192.0.2.3"), 0);
    assert_int_equal(apply(table, GV_FIREWALL_ADD, "192.0.2.1", 60), GV_OK);
    assert_int_equal(gv_nft_table_plan(table, &plan, NOW), GV_OK);
    assert_int_equal(plan.range_count, 1);
    assert_int_equal(plan.ranges[0].prefix.bytes[0], 203);
    assert_int_equal(plan.allowed_count, 1);
    gv_plan_free(&plan);
    /* And a whole list after it takes what it does not name. */
    assert_int_equal(apply(table, GV_FIREWALL_BEGIN, NULL, 0), GV_OK);
    assert_int_equal(apply(table, GV_FIREWALL_COMMIT, NULL, 3), GV_OK);
    assert_int_equal(gv_nft_table_count(table), 0);
    gv_nft_table_free(table);
}

static void ranges_are_told_whole_and_do_not_overlap(void **state)
{
    struct gv_nft_table *table = new_table(100);
    struct gv_plan plan;

    assert_int_equal(apply(table, GV_FIREWALL_ADD, "198.51.100.0/24", 60), GV_OK);
    assert_int_equal(apply(table, GV_FIREWALL_ADD, "198.51.100.64/26", 60), GV_OK);
    assert_int_equal(apply(table, GV_FIREWALL_ADD, "2001:db8::/40", 60), GV_OK);
    assert_int_equal(apply(table, GV_FIREWALL_ADD, "198.51.101.0/24", 60), GV_OK);
    assert_int_equal(gv_nft_table_plan(table, &plan, NOW), GV_OK);
    assert_true(plan.with_ranges);
    assert_int_equal(plan.range_count, 3);
    assert_int_equal(plan.ranges[0].prefix.bits, 24);
    assert_int_equal(plan.ranges[2].prefix.family, GV_FAMILY_IPV6);
    gv_plan_free(&plan);
    gv_nft_table_done(table);
    assert_int_equal(gv_nft_table_plan(table, &plan, NOW + 1), GV_OK);
    assert_true(gv_plan_is_empty(&plan));
    gv_plan_free(&plan);
    /* The wider one goes, and what lay within it comes to light. */
    assert_int_equal(apply(table, GV_FIREWALL_DROP, "198.51.100.0/24", 0), GV_OK);
    assert_int_equal(gv_nft_table_plan(table, &plan, NOW + 2), GV_OK);
    assert_int_equal(plan.range_count, 3);
    assert_int_equal(plan.ranges[0].prefix.bits, 26);
    assert_int_equal(plan.ranges[0].seconds, 58);
    gv_plan_free(&plan);
    gv_nft_table_done(table);
    assert_int_equal(gv_nft_table_plan(table, &plan, NOW + 60), GV_OK);
    assert_true(plan.with_ranges);
    assert_int_equal(plan.range_count, 0);
    gv_plan_free(&plan);
    gv_nft_table_free(table);
}

static void it_is_bounded(void **state)
{
    struct gv_nft_table *table = new_table(50);
    struct gv_firewall_record range = record(GV_FIREWALL_ADD, "100.0.0.0/30", 60);
    int rc = GV_OK;

    for (uint32_t i = 0; i < 50; i++)
        assert_int_equal(set_one(table, GV_FIREWALL_ADD, i, 60, NOW), GV_OK);
    assert_int_equal(set_one(table, GV_FIREWALL_ADD, 50, 60, NOW), GV_ERR_FULL);
    assert_int_equal(set_one(table, GV_FIREWALL_ADD, 7, 90, NOW),
                     GV_OK); /* a known one is no more */
    assert_int_equal(set_one(table, GV_FIREWALL_DROP, 7, 0, NOW), GV_OK);
    assert_int_equal(set_one(table, GV_FIREWALL_ADD, 50, 60, NOW), GV_OK);
    assert_int_equal(gv_nft_table_count(table), 50);
    assert_int_equal(apply(table, GV_FIREWALL_BEGIN, NULL, 0), GV_OK);
    for (uint32_t i = 0; i <= GV_FIREWALL_RANGES && rc == GV_OK; i++) {
        range.prefix.bytes[1] = (uint8_t)(i >> 14);
        range.prefix.bytes[2] = (uint8_t)(i >> 6);
        range.prefix.bytes[3] = (uint8_t)(i << 2);
        rc = gv_nft_table_apply(table, &range, NOW);
    }
    assert_int_equal(rc, GV_ERR_FULL);
    gv_nft_table_abandon(table);
    assert_int_equal(gv_nft_table_count(table), 50); /* half a list takes nothing away */
    gv_nft_table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_survives_the_wire),
        cmocka_unit_test(what_no_firewall_may_hold_is_refused),
        cmocka_unit_test(there_is_one_form_of_each_record),
        cmocka_unit_test(the_kernel_gets_what_was_said),
        cmocka_unit_test(what_is_protected_is_never_in_a_plan),
        cmocka_unit_test(lists_alone_leave_the_entries),
        cmocka_unit_test(ranges_are_told_whole_and_do_not_overlap),
        cmocka_unit_test(it_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
