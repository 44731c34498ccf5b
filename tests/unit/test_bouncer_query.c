/* What a bouncer may ask for, and how long is said (SPEC 18.7). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "node/serve/bouncer_query.h"

/* Arguments as "name=value" strings, NULL at the end. */
static const char *get(const void *context, const char *name)
{
    size_t len = strlen(name);

    for (const char *const *at = context; *at; at++)
        if (strncmp(*at, name, len) == 0 && (*at)[len] == '=')
            return *at + len + 1;
    return NULL;
}

#define ASK(stream, ...)                                                                           \
    gv_bouncer_query(&q, stream, get, (const char *const[]){__VA_ARGS__, NULL}, &error)

static struct gv_bouncer_query q;
static struct gv_text error;

static struct gv_target target(const char *text)
{
    struct gv_prefix prefix;

    assert_int_equal(gv_prefix_parse(&prefix, text, strlen(text)), GV_OK);
    return gv_target_of_prefix(&prefix);
}

static bool takes(const char *text, enum gv_bouncer_scenario scenario)
{
    struct gv_target t = target(text);

    return gv_bouncer_query_takes(&q, &t, scenario);
}

static void durations_are_gos(void **state)
{
    static const struct {
        int64_t seconds;
        const char *text;
    } cases[] = {
        {0, "0s"},
        {1, "1s"},
        {59, "59s"},
        {60, "1m0s"},
        {3599, "59m59s"},
        {3600, "1h0m0s"},
        {14390, "3h59m50s"},
        {86400, "24h0m0s"},
        {604800, "168h0m0s"},
        {-1, "-1s"},
        {-75, "-1m15s"},
        {-7261, "-2h1m1s"},
        {INT64_MAX, "2562047788015215h30m7s"},
        {INT64_MIN, "-2562047788015215h30m8s"},
    };
    char text[GV_BOUNCER_DURATION];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gv_bouncer_duration(text, cases[i].seconds);
        assert_string_equal(text, cases[i].text);
    }
}

static void startup(void **state)
{
    assert_int_equal(ASK(true, "startup=true"), GV_OK);
    assert_true(q.startup);
    assert_int_equal(ASK(true, "startup=TRUE"), GV_OK);
    assert_true(q.startup);
    assert_int_equal(ASK(true, "startup=false"), GV_OK);
    assert_false(q.startup);
    assert_int_equal(ASK(true, "startup="), GV_OK);
    assert_false(q.startup);
    assert_int_equal(ASK(true, "x=y"), GV_OK);
    assert_false(q.startup);
    assert_int_equal(q.limit, UINT64_MAX);
}

static void scopes(void **state)
{
    static const struct {
        const char *list;
        bool addresses, ranges;
    } cases[] = {
        {"scopes=", true, true},          {"scopes=ip", true, false},
        {"scopes=Range", false, true},    {"scopes=IP,RANGE", true, true},
        {"scopes=country", false, false}, {"scopes=country,as,range", false, true},
        {"scopes=,", false, false},       {"scopes=ipx", false, false},
        {"scope=range", false, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(ASK(true, cases[i].list), GV_OK);
        assert_int_equal(takes("192.0.2.1", 0), cases[i].addresses);
        assert_int_equal(takes("192.0.2.0/31", 0), cases[i].ranges);
        assert_int_equal(takes("2001:db8::/64", 0), cases[i].ranges);
    }
}

static void scenarios(void **state)
{
    assert_int_equal(ASK(true, "scenarios_containing=locked-h,DENY"), GV_OK);
    assert_true(takes("192.0.2.1", GV_SCENARIO_LOCKED));
    assert_true(takes("192.0.2.1", GV_SCENARIO_DENY_LIST));
    assert_false(takes("192.0.2.1", GV_SCENARIO_LOCKED_OWN));
    assert_int_equal(ASK(true, "scenarios_not_containing=untrusted"), GV_OK);
    assert_false(takes("192.0.2.1", GV_SCENARIO_UNTRUSTED));
    assert_false(takes("192.0.2.1", GV_SCENARIO_UNTRUSTED_FAILED));
    assert_true(takes("192.0.2.1", GV_SCENARIO_LOCKED));
    /* An empty word is part of nothing. */
    assert_int_equal(ASK(true, "scenarios_not_containing=,"), GV_OK);
    assert_true(takes("192.0.2.1", GV_SCENARIO_UNTRUSTED));
    assert_int_equal(ASK(true, "scenarios_containing=,"), GV_OK);
    assert_false(takes("192.0.2.1", GV_SCENARIO_UNTRUSTED));
    assert_false(takes("192.0.2.1", GV_SCENARIO_COUNT));
}

static void places(void **state)
{
    assert_int_equal(ASK(false, "ip=192.0.2.77"), GV_OK);
    assert_true(takes("192.0.2.77", 0));
    assert_true(takes("192.0.2.64/27", 0));
    assert_false(takes("192.0.2.78", 0));
    assert_int_equal(ASK(false, "ip=::ffff:192.0.2.77"), GV_OK);
    assert_true(takes("192.0.2.77", 0));
    assert_int_equal(ASK(false, "range=192.0.2.0/24"), GV_OK);
    assert_false(takes("192.0.2.77", 0));
    assert_true(takes("192.0.0.0/16", 0));
    assert_int_equal(ASK(false, "range=192.0.2.0/24", "contains=false"), GV_OK);
    assert_true(takes("192.0.2.77", 0));
    assert_false(takes("192.0.0.0/16", 0));
    assert_int_equal(ASK(false, "range=192.0.2.0/24", "contains=true"), GV_OK);
    assert_true(takes("192.0.0.0/16", 0));
    assert_int_equal(ASK(false, "value=2001:DB8::/64"), GV_OK);
    assert_true(takes("2001:db8::/64", 0));
    assert_int_equal(ASK(false, "value=2001:db8::7"), GV_OK); /* no ban has this value */
    assert_false(takes("2001:db8::/64", 0));
    assert_int_equal(ASK(false, "value=bob"), GV_OK);
    assert_false(takes("192.0.2.77", 0));
    assert_int_equal(ASK(true, "ip=nonsense", "value=a", "limit=x"), GV_OK); /* not the stream's */
    assert_true(takes("192.0.2.77", 0));
    assert_int_equal(ASK(false, "ip=192.0.2.1", "range=192.0.2.0/24"), GV_ERR_MALFORMED);
    assert_non_null(strstr(error.text, "one of"));
    assert_int_equal(ASK(false, "ip=192.0.2.256"), GV_ERR_MALFORMED);
    assert_non_null(strstr(error.text, "ip:"));
}

static void numbers(void **state)
{
    assert_int_equal(ASK(false, "limit=10", "offset=999999999999999999"), GV_OK);
    assert_int_equal(q.limit, 10);
    assert_int_equal(q.offset, 999999999999999999);
    assert_int_equal(ASK(false, "limit=0"), GV_OK);
    assert_int_equal(q.limit, 0);
    assert_int_equal(ASK(false, "limit=-1"), GV_ERR_MALFORMED);
    assert_int_equal(ASK(false, "limit=1 "), GV_ERR_MALFORMED);
    assert_int_equal(ASK(false, "offset=1000000000000000000"), GV_ERR_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_gos), cmocka_unit_test(startup), cmocka_unit_test(scopes),
        cmocka_unit_test(scenarios),         cmocka_unit_test(places),  cmocka_unit_test(numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
