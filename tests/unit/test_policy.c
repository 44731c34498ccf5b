/* The admin's lists: the longest matching prefix decides; of equals, the command before the file,
 * then deny before allow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/trust/policy.h"

static struct gv_policy_lists lists;

static int stage_up(void **state)
{
    memset(&lists, 0, sizeof lists);
    return 0;
}

static int stage_down(void **state)
{
    gv_policy_free(&lists);
    return 0;
}

static struct gv_prefix prefix(const char *text)
{
    struct gv_prefix p;

    assert_int_equal(gv_prefix_parse(&p, text, strlen(text)), GV_OK);
    return p;
}

static char looked(const char *text)
{
    struct gv_subject s;
    bool allowed, denied;

    assert_int_equal(gv_subject_parse(&s, text, strlen(text)), GV_OK);
    gv_policy_look(&lists, &s, &allowed, &denied);
    assert_false(allowed && denied);
    return allowed ? 'a' : denied ? 'd' : '-';
}

static void configure(const char *allow, const char *deny)
{
    struct gv_prefix a, d;
    struct gv_settings settings = {.allow = &a, .deny = &d};

    if (allow)
        a = prefix(allow);
    if (deny)
        d = prefix(deny);
    settings.allow_count = allow != NULL;
    settings.deny_count = deny != NULL;
    assert_int_equal(gv_policy_configure(&lists, &settings), GV_OK);
}

static void command(const char *text, bool deny)
{
    struct gv_prefix p = prefix(text);

    assert_int_equal(gv_policy_add(&lists, &p, deny), GV_OK);
}

struct list_case {
    const char *config_allow, *config_deny, *admin_allow, *admin_deny;
    char answer; /* for 45.1.2.3 */
};

static const struct list_case cases[] = {
    {NULL, NULL, NULL, NULL, '-'},
    {"45.0.0.0/8", NULL, NULL, NULL, 'a'},
    {NULL, "45.0.0.0/8", NULL, NULL, 'd'},
    {"46.0.0.0/8", "44.0.0.0/8", NULL, NULL, '-'},
    {"45.0.0.0/8", "45.1.0.0/16", NULL, NULL, 'd'},
    {"45.1.0.0/16", "45.0.0.0/8", NULL, NULL, 'a'},
    {"45.1.0.0/16", "45.1.0.0/16", NULL, NULL, 'd'},
    {NULL, "45.1.0.0/16", "45.1.0.0/16", NULL, 'a'},
    {"45.1.0.0/16", NULL, NULL, "45.1.0.0/16", 'd'},
    {"45.1.2.0/24", NULL, NULL, "45.1.0.0/16", 'a'},
    {NULL, "45.1.2.3", "45.1.2.0/24", NULL, 'd'},
    {"45.1.2.3", "45.1.2.3", "45.1.2.3", NULL, 'a'},
    {"45.1.2.3", "45.1.2.3", NULL, "45.1.2.3", 'd'},
    {"0.0.0.0/0", NULL, NULL, NULL, 'a'},
    {"::/0", NULL, NULL, NULL, '-'},
    {"45.0.0.0/8", "45.1.2.3", "45.1.2.3", "45.1.2.0/24", 'a'},
};

static void the_longest_match_decides(void **state)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        stage_down(NULL);
        stage_up(NULL);
        configure(cases[i].config_allow, cases[i].config_deny);
        if (cases[i].admin_allow)
            command(cases[i].admin_allow, false);
        if (cases[i].admin_deny)
            command(cases[i].admin_deny, true);
        if (looked("45.1.2.3") != cases[i].answer)
            fail_msg("case %zu: %c", i, looked("45.1.2.3"));
        assert_int_equal(looked("2a01::1"), i == 14 ? 'a' : '-');
    }
}

static void a_command_replaces_its_opposite(void **state)
{
    struct gv_prefix p = prefix("45.1.2.3");

    command("45.1.2.3", false);
    assert_int_equal(gv_policy_add(&lists, &p, false), GV_ERR_DUPLICATE);
    assert_int_equal(looked("45.1.2.3"), 'a');
    command("45.1.2.3", true);
    assert_int_equal(looked("45.1.2.3"), 'd');
    assert_int_equal(lists.admin_allow.count, 0);
    assert_int_equal(gv_policy_remove(&lists, &p), GV_OK);
    assert_int_equal(looked("45.1.2.3"), '-');
    assert_int_equal(gv_policy_remove(&lists, &p), GV_ERR_NOT_FOUND);
}

static void a_reload_replaces_the_file_and_leaves_the_commands(void **state)
{
    configure("45.0.0.0/8", NULL);
    command("46.0.0.0/8", true);
    configure(NULL, "47.0.0.0/8");
    assert_int_equal(looked("45.1.2.3"), '-');
    assert_int_equal(looked("46.1.2.3"), 'd');
    assert_int_equal(looked("47.1.2.3"), 'd');
    configure(NULL, NULL);
    assert_int_equal(looked("47.1.2.3"), '-');
    assert_int_equal(looked("46.1.2.3"), 'd');
}

/* A subject is a whole /64: a longer prefix means the /64 that it is in. */
static void an_ipv6_prefix_longer_than_64_matches_its_64(void **state)
{
    configure("2a01:1:2:3::42", NULL);
    assert_int_equal(looked("2a01:1:2:3::9"), 'a');
    assert_int_equal(looked("2a01:1:2:4::42"), '-');
    command("2a01:1:2::/48", true);
    assert_int_equal(looked("2a01:1:2:3::9"), 'a');
    assert_int_equal(looked("2a01:1:2:4::9"), 'd');
}

static void many_entries(void **state)
{
    for (unsigned i = 0; i < 300; i++) {
        struct gv_prefix p = {
            .family = GV_FAMILY_IPV4, .bits = 32, .bytes = {45, 0, (uint8_t)(i >> 8), (uint8_t)i}};
        assert_int_equal(gv_policy_add(&lists, &p, i % 2), GV_OK);
    }
    assert_int_equal(looked("45.0.0.7"), 'd');
    assert_int_equal(looked("45.0.1.8"), 'a');
    for (unsigned i = 0; i < 300; i++) {
        struct gv_prefix p = {
            .family = GV_FAMILY_IPV4, .bits = 32, .bytes = {45, 0, (uint8_t)(i >> 8), (uint8_t)i}};
        assert_int_equal(gv_policy_remove(&lists, &p), GV_OK);
    }
    assert_int_equal(lists.admin_allow.count + lists.admin_deny.count, 0);
}

int main(void)
{
#define STORY(name) cmocka_unit_test_setup_teardown(name, stage_up, stage_down)
    const struct CMUnitTest tests[] = {
        STORY(the_longest_match_decides),
        STORY(a_command_replaces_its_opposite),
        STORY(a_reload_replaces_the_file_and_leaves_the_commands),
        STORY(an_ipv6_prefix_longer_than_64_matches_its_64),
        STORY(many_entries),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
