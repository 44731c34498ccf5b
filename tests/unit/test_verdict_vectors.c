/* The verdict against a second implementation (tests/vectors/make_verdict_vectors.mjs), which also
 * explains the file. GV_VERDICT_VECTORS=FILE checks another file, for example one of 100,000 cases.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "proto/trust/verdict.h"

#define SIGNALS_MAX 64

static uint64_t number(const json_t *list, size_t at)
{
    const json_t *value = json_array_get(list, at);

    assert_true(json_is_integer(value));
    return (uint64_t)json_integer_value(value);
}

/* A minute given as a distance from another, or null for never. */
static uint32_t minute_from(const json_t *list, size_t at, uint32_t base)
{
    if (json_is_null(json_array_get(list, at)))
        return GV_NEVER;
    return base + (uint32_t)number(list, at);
}

static void id_of(uint8_t out[GV_ID_LEN], uint64_t number32)
{
    memset(out, 0, GV_ID_LEN);
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(number32 >> (24 - 8 * i));
}

static size_t read_votes(struct gv_vote votes[SIGNALS_MAX], const json_t *signals, uint32_t now)
{
    size_t count = json_array_size(signals);

    assert_true(count <= SIGNALS_MAX);
    for (size_t i = 0; i < count; i++) {
        const json_t *s = json_array_get(signals, i);
        struct gv_vote *v = &votes[i];
        memset(v, 0, sizeof *v);
        id_of(v->signal, number(s, 0));
        id_of(v->owner, number(s, 1));
        memcpy(v->instance, v->owner, sizeof v->instance);
        v->group = number(s, 2);
        v->time_min = now - (uint32_t)number(s, 3);
        v->since_min = v->time_min - (uint32_t)number(s, 4);
        v->revoked_min = minute_from(s, 5, v->time_min);
        v->fault_min = minute_from(s, 6, v->time_min);
    }
    return count;
}

static void compare(const struct gv_verdict *got, const json_t *expected)
{
    const json_t *list = json_array_get(expected, 7);

    assert_string_equal(gv_verdict_state_name(got->state),
                        json_string_value(json_array_get(expected, 0)));
    assert_int_equal(got->published, number(expected, 1));
    assert_int_equal(got->weight, number(expected, 2));
    assert_int_equal(got->owners, number(expected, 3));
    assert_int_equal(got->groups, number(expected, 4));
    assert_int_equal(got->since_min, number(expected, 5));
    assert_int_equal(got->until_min, minute_from(expected, 6, 0));
    assert_int_equal(got->vote_count, json_array_size(list));
    for (uint32_t i = 0; i < got->vote_count; i++) {
        uint8_t id[GV_ID_LEN];
        id_of(id, number(json_array_get(list, i), 0));
        assert_memory_equal(got->votes[i].signal, id, sizeof id);
        assert_int_equal(got->votes[i].standing, number(json_array_get(list, i), 1));
    }
}

static void check(const json_t *one)
{
    const json_t *p = json_array_get(one, 0);
    uint32_t genesis = (uint32_t)number(one, 1), now = (uint32_t)number(one, 2);
    struct gv_policy policy = {.tenure_min = (uint32_t)number(p, 0),
                               .full_min = (uint32_t)number(p, 1),
                               .alive_min = (uint32_t)number(p, 2),
                               .untrusted_weight = (uint32_t)number(p, 3),
                               .votes_max = (uint32_t)number(p, 4),
                               .fault_min = (uint32_t)number(p, 5)};
    struct gv_vote votes[SIGNALS_MAX];
    struct gv_verdict verdict;
    size_t count = read_votes(votes, json_array_get(one, 3), now);

    gv_verdict_judge(&verdict, &policy, genesis, now, votes, count);
    compare(&verdict, json_array_get(one, 4));
    /* Once more in the order that judging left behind. */
    gv_verdict_judge(&verdict, &policy, genesis, now, votes, count);
    compare(&verdict, json_array_get(one, 4));
}

static void the_two_implementations_agree(void **state)
{
    const char *path = getenv("GV_VERDICT_VECTORS");
    json_error_t error;
    json_t *root =
        json_load_file(path ? path : GV_SOURCE_DIR "/tests/vectors/verdict.json", 0, &error);
    if (!root)
        fail_msg("line %d: %s", error.line, error.text);
    const json_t *cases = json_object_get(root, "cases");
    size_t count = json_array_size(cases);

    assert_true(count >= 2000);
    for (size_t i = 0; i < count; i++)
        check(json_array_get(cases, i));
    print_message("%zu cases\n", count);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_two_implementations_agree)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
