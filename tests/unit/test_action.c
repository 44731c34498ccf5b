/* The action (SPEC 12.2): every combination of facts against the table, written a second time as
 * one line a rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/trust/action.h"

static const struct gv_policy policy = {
    .untrusted_weight = 2000, .consensus_weight = 5000, .consensus_groups = 5};

/* Columns: 1 must hold, 0 must not, - does not matter. The first line that fits decides.
 *   D deny-listed, A allow-listed, L locked here, C clean, O locked by own, U untrusted,
 *   P two points or more, L failed here lately, Q refuse_on = consensus, quorum and unknown here,
 *   K a login on record from it or its network, F four points or more, M at more than one account
 */
static const struct {
    const char columns[13];
    enum gv_action action;
    enum gv_reason reason;
} table[] = {
    /* DALCOUPLQKFM */
    {"1-----------", GV_ACTION_REFUSE, GV_REASON_DENY_LISTED},
    {"01----------", GV_ACTION_ALLOW, GV_REASON_ALLOW_LISTED},
    {"001---------", GV_ACTION_REFUSE, GV_REASON_LOCKED_HERE},
    {"0001--------", GV_ACTION_ALLOW, GV_REASON_CLEAN_HERE},
    {"00001-------", GV_ACTION_REFUSE, GV_REASON_LOCKED_BY_OWN},
    {"00000111-0--", GV_ACTION_REFUSE, GV_REASON_UNTRUSTED_AND_FAILED_HERE},
    {"00000-11-011", GV_ACTION_REFUSE, GV_REASON_FAILED_HERE_AGAIN},
    {"000001--1---", GV_ACTION_REFUSE, GV_REASON_CONSENSUS},
    {"000001------", GV_ACTION_ONE_STRIKE, GV_REASON_UNTRUSTED},
    {"0000001-----", GV_ACTION_ONE_STRIKE, GV_REASON_FAILED_HERE},
    {"------------", GV_ACTION_ALLOW, GV_REASON_NOTHING_KNOWN},
};

static bool fits(const char *columns, const bool held[12])
{
    for (int i = 0; i < 12; i++)
        if (columns[i] != '-' && (columns[i] == '1') != held[i])
            return false;
    return true;
}

static void check(const struct gv_action_facts *f, const struct gv_verdict *v)
{
    bool quorum = v->weight >= 5000 && v->groups >= 5;
    bool held[12] = {f->deny_listed,
                     f->allow_listed,
                     f->locked_here,
                     f->clean,
                     f->locked_by_own,
                     v->state == GV_VERDICT_UNTRUSTED,
                     f->points >= 2,
                     f->failed_lately,
                     f->refuse_on_consensus && quorum && !f->known_here && !f->network_known_here,
                     f->known_here || f->network_known_here,
                     f->points >= 4,
                     f->many_accounts};
    struct gv_decision got = gv_action_decide(f, v, &policy);

    for (size_t i = 0;; i++) {
        if (!fits(table[i].columns, held))
            continue;
        assert_int_equal(got.action, table[i].action);
        assert_int_equal(got.reason, table[i].reason);
        return;
    }
}

static void all_combinations_follow_the_table(void **state)
{
    static const struct {
        enum gv_verdict_state state;
        uint32_t weight, groups;
    } verdicts[] = {
        {GV_VERDICT_UNKNOWN, 0, 0},        {GV_VERDICT_REPORTED, 1999, 2},
        {GV_VERDICT_UNTRUSTED, 2000, 2},   {GV_VERDICT_UNTRUSTED, 4999, 9},
        {GV_VERDICT_UNTRUSTED, 5000, 4},   {GV_VERDICT_UNTRUSTED, 5000, 5},
        {GV_VERDICT_UNTRUSTED, 16000, 16},
    };
    size_t seen = 0;

    for (unsigned bits = 0; bits < 1u << 12; bits++)
        for (uint32_t points = 0; points < 6; points++)
            for (size_t i = 0; i < sizeof verdicts / sizeof *verdicts; i++) {
                struct gv_action_facts f = {
                    .deny_listed = bits & 1,
                    .allow_listed = bits & 2,
                    .locked_here = bits & 4,
                    .locked_by_own = bits & 8,
                    .clean = bits & 16,
                    .failed_lately = bits & 32,
                    .clean_network = bits & 1024,
                    .many_accounts = bits & 2048,
                    .known_here = bits & 64,
                    .network_known_here = bits & 128,
                    .refuse_on_consensus = bits & 256,
                    .points = bits & 512 ? UINT32_MAX - points : points,
                };
                struct gv_verdict v = {.state = verdicts[i].state,
                                       .weight = verdicts[i].weight,
                                       .groups = verdicts[i].groups};
                check(&f, &v);
                seen++;
            }
    assert_int_equal(seen, 4096 * 6 * 7);
}

static void names_are_the_spec_s(void **state)
{
    assert_string_equal(gv_action_name(GV_ACTION_ALLOW), "allow");
    assert_string_equal(gv_action_name(GV_ACTION_ONE_STRIKE), "one-strike");
    assert_string_equal(gv_action_name(GV_ACTION_REFUSE), "refuse");
}

static void each_reason_is_one_sentence_of_its_own(void **state)
{
    for (int a = GV_REASON_NOTHING_KNOWN; a <= GV_REASON_FAILED_HERE_AGAIN; a++) {
        const char *text = gv_reason_text((enum gv_reason)a);
        size_t len = strlen(text);
        assert_true(len > 20 && len < 120);
        assert_int_equal(text[len - 1], '.');
        assert_ptr_equal(strchr(text, '.'), text + len - 1);
        for (int b = GV_REASON_NOTHING_KNOWN; b < a; b++)
            assert_string_not_equal(text, gv_reason_text((enum gv_reason)b));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_combinations_follow_the_table),
        cmocka_unit_test(names_are_the_spec_s),
        cmocka_unit_test(each_reason_is_one_sentence_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
