/* The ranges that the admin's lists refuse, with their exceptions cut out, hold exactly what the
 * rules themselves refuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "node/serve/ranges.h"
#include "proto/trust/policy.h"

static struct gv_prefix prefix(const char *text)
{
    struct gv_prefix out;

    assert_int_equal(gv_prefix_parse(&out, text, strlen(text)), GV_OK);
    return out;
}

/* "+10.0.0.0/8 -10.1.0.0/16 !-..." : + denies, - allows, ! before it is a command. */
static void expect(const char *rules_text, const char *wanted)
{
    struct gv_range_rule rules[16];
    struct gv_prefix *out;
    size_t count = 0, n;
    char copy[512], got[2048] = "", text[GV_PREFIX_TEXT];

    strcpy(copy, rules_text);
    for (char *save, *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        bool command = *word == '!';
        word += command;
        rules[count++] = (struct gv_range_rule){
            .prefix = prefix(word + 1), .deny = *word == '+', .command = command};
    }
    assert_int_equal(gv_ranges_refused(&out, &n, rules, count), GV_OK);
    for (size_t i = 0; i < n; i++) {
        gv_prefix_text(text, &out[i]);
        strcat(strcat(got, *got ? " " : ""), text);
    }
    free(out);
    assert_string_equal(got, wanted);
}

static void test_rules(void **state)
{
    expect("", "");
    expect("-10.0.0.0/8", "");
    expect("+10.0.0.0/8 +192.0.2.0/24", "10.0.0.0/8 192.0.2.0/24");
    expect("+10.0.0.0/8 +10.1.0.0/16", "10.0.0.0/8");
    expect("+10.0.0.0/8 -10.128.0.0/9", "10.0.0.0/9");
    expect("+10.0.0.0/8 -10.128.0.0/9 +10.128.0.0/10", "10.0.0.0/9 10.128.0.0/10");
    expect("-10.0.0.0/8 +10.0.0.0/8", "10.0.0.0/8");
    expect("!-10.0.0.0/8 +10.0.0.0/8", "");
    expect("-10.0.0.0/8 !+10.0.0.0/8", "10.0.0.0/8");
    expect("+0.0.0.0/0 -0.0.0.0/1", "128.0.0.0/1");
    expect("+2001:db8::/32 -2001:db8:8000::/33", "2001:db8::/33");
    /* A subject is a whole /64; within one the longest rule decides. */
    expect("+2001:db8::7", "2001:db8::/64");
    expect("+2001:db8::/96 -2001:db8::7", "");
    expect("-2001:db8::/96 +2001:db8::7", "2001:db8::/64");
    expect("+192.0.2.0/30 -192.0.2.1", "192.0.2.0 192.0.2.2/31");
}

static uint64_t seed = 4729;

static uint32_t below(uint32_t bound)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % bound;
}

/* Few bits differ, so that rules meet: in one /60 of IPv6 and one /24 of IPv4. */
static struct gv_prefix any_prefix(bool six)
{
    struct gv_prefix p = {.family = six ? GV_FAMILY_IPV6 : GV_FAMILY_IPV4};
    unsigned most = six ? 128 : 32;

    p.bits = (uint8_t)(below(8) == 0 ? below(most + 1) : (six ? 60 : 24) + below(six ? 10 : 9));
    p.bytes[0] = 20;
    p.bytes[six ? 7 : 3] = (uint8_t)below(256);
    if (six && below(3) == 0)
        p.bytes[15] = (uint8_t)below(4);
    for (unsigned bit = p.bits; bit < most; bit++)
        p.bytes[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
    return p;
}

static void check_all(const struct gv_policy_lists *lists, const struct gv_prefix *ranges, size_t n)
{
    for (unsigned six = 0; six < 2; six++)
        for (unsigned last = 0; last < 256; last++) {
            struct gv_subject s = {.family = six ? GV_FAMILY_IPV6 : GV_FAMILY_IPV4, .bytes = {20}};
            bool allowed, denied;
            size_t within = 0;
            s.bytes[six ? 7 : 3] = (uint8_t)last;
            gv_policy_look(lists, &s, &allowed, &denied);
            for (size_t i = 0; i < n; i++)
                within += gv_prefix_matches(&ranges[i], &s);
            assert_int_equal(within, denied); /* and never twice */
        }
}

static void test_against_the_rules_themselves(void **state)
{
    for (unsigned round = 0; round < 2000; round++) {
        struct gv_policy_lists lists = {.config_allow = {.count = 0}};
        struct gv_prefix allow[8], deny[8], *out;
        struct gv_range_rule rules[24];
        struct gv_settings settings = {.allow = allow, .deny = deny};
        size_t count = 0, n;

        settings.allow_count = below(8);
        settings.deny_count = below(8);
        for (size_t i = 0; i < settings.allow_count; i++)
            rules[count++].prefix = allow[i] = any_prefix(below(2));
        for (size_t i = 0; i < settings.deny_count; i++)
            rules[count++].prefix = deny[i] = any_prefix(below(2));
        for (size_t i = 0; i < count; i++) {
            rules[i].deny = i >= settings.allow_count;
            rules[i].command = false;
        }
        assert_int_equal(gv_policy_configure(&lists, &settings), GV_OK);
        for (unsigned i = 0, more = below(8); i < more; i++) {
            struct gv_range_rule rule = {any_prefix(below(2)), below(2), true, 0};
            int rc = gv_policy_add(&lists, &rule.prefix, rule.deny);
            assert_true(rc == GV_OK || rc == GV_ERR_DUPLICATE);
        }
        for (size_t i = 0; i < lists.admin_allow.count; i++)
            rules[count++] = (struct gv_range_rule){lists.admin_allow.entries[i], false, true, 0};
        for (size_t i = 0; i < lists.admin_deny.count; i++)
            rules[count++] = (struct gv_range_rule){lists.admin_deny.entries[i], true, true, 0};
        assert_int_equal(gv_ranges_refused(&out, &n, rules, count), GV_OK);
        check_all(&lists, out, n);
        free(out);
        gv_policy_free(&lists);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_against_the_rules_themselves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
