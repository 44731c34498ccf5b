/* What a day's sums become before they are told to peers (SPEC 9.11), and that it stays coarse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "node/serve/flow_share.h"

static struct gv_statistics day(int64_t received, int64_t delivered, int64_t bounced,
                                int64_t deferred, int64_t rejected)
{
    struct gv_statistics row = {.watched = 1440};

    row.counts[GV_MAIL_RECEIVED] = received;
    row.counts[GV_MAIL_DELIVERED] = delivered;
    row.counts[GV_MAIL_BOUNCED] = bounced;
    row.counts[GV_MAIL_DEFERRED] = deferred;
    row.counts[GV_MAIL_REJECTED] = rejected;
    return row;
}

static void test_cases(void **state)
{
    static const struct {
        int64_t received, delivered, bounced, deferred, rejected;
        struct gv_flow flow;
    } cases[] = {
        {0, 0, 0, 0, 0, {0, 0, 0, 0}},
        {40, 40, 40, 40, 19, {0, 0, 0, 0}}, /* 99: a per cent would be somebody's */
        {40, 40, 10, 4, 20, {2, 20, 10, 33}},
        {500, 910, 90, 25, 500, {3, 9, 5, 50}},
        {1000000, 0, 0, 2000000, 0, {6, 0, 100, 0}},
        {0, 0, 5, 0, 1000, {3, 100, 0, 100}},
        {(int64_t)1 << 62, 0, 0, 0, 0, {12, 0, 0, 0}},
        {200, 200, -3, -1, 0, {2, 0, 0, 0}}, /* more was taken back than was there */
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gv_statistics row = day(cases[i].received, cases[i].delivered, cases[i].bounced,
                                       cases[i].deferred, cases[i].rejected);
        struct gv_flow flow = gv_flow_of(&row);
        assert_memory_equal(&flow, &cases[i].flow, sizeof flow);
    }
}

/* Whatever the sums, what is told is within its bounds or is nothing. */
static void test_always_within_bounds(void **state)
{
    uint64_t seed = 7;

    for (unsigned i = 0; i < 200000; i++) {
        struct gv_statistics row = {.watched = 1};
        for (unsigned c = 0; c < GV_STATISTICS_COUNT; c++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            row.counts[c] = (int64_t)(seed >> 3 >> (seed >> 57 & 63)) - (int64_t)(seed & 15);
            if (row.counts[c] > (int64_t)1 << 60) /* rows end at 2^62, three of them are added */
                row.counts[c] = (int64_t)1 << 60;
        }
        struct gv_flow flow = gv_flow_of(&row);
        assert_true(gv_flow_valid(&flow) ||
                    (flow.size == 0 && !flow.bounced && !flow.deferred && !flow.rejected));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_always_within_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
