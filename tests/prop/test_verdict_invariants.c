/* The laws of SPEC 11.4 and 12.6 over random cases. Each law is asked of the shipped rule, which
 * must keep it in every case, and of a rule with a bug planted in it, which must break it in some:
 * a law that cannot fail proves nothing. GV_SEED=N replays a run, GV_CASES=N makes it longer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "proto/trust/history.h"

#define VOTES_MAX 48

static uint64_t first_seed, random_state;
static unsigned case_count;

static uint32_t below(uint32_t bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)((random_state >> 11) % bound);
}

static bool one_in(uint32_t n)
{
    return below(n) == 0;
}

/* ---- a second rule, in which a bug can be planted ------------------------------------------- */

enum bug {
    NO_BUG,
    FIRST_COME,        /* an owner's vote is the first that arrived, not its newest */
    PER_SIGNAL,        /* every signal votes */
    MEAN_OF_GROUP,     /* a group weighs as its mean, not as its best */
    SUM_OF_OWNERS,     /* groups are not looked at */
    NO_TENURE,         /* the young count one half */
    PER_INSTANCE,      /* every instance votes */
    UNTIL_LATE,        /* one minute too long */
    MESH_BEFORE_CLEAN, /* the mesh's word is looked at before clean history */
    MESH_REFUSES,      /* untrusted is refused at first contact */
    LOGIN_FORGOTTEN,   /* a login on record from it, or its network, protects nobody */
    FAILED_EVER,       /* a failed visit is reason to refuse for as long as it has points */
    ONE_ACCOUNT,       /* failures at one account are a guesser's, too */
    REFUSED_COUNTS,    /* refused attempts are entered as if they had failed */
};
static enum bug bug;

static uint32_t standing_of(const struct gv_policy *p, uint32_t genesis, uint32_t now,
                            const struct gv_vote *v)
{
    if (v->revoked_min <= v->time_min)
        return 0;
    if (v->fault_min != GV_NEVER && now < (uint64_t)v->fault_min + p->fault_min)
        return 0;
    uint32_t standing = gv_standing(p, genesis, v->since_min, v->time_min);
    return bug == NO_TENURE && standing == 0 && v->time_min >= v->since_min ? 500 : standing;
}

static bool same_voter(const struct gv_vote *a, const struct gv_vote *b)
{
    if (bug == PER_SIGNAL)
        return false;
    if (bug == PER_INSTANCE && memcmp(a->instance, b->instance, GV_ID_LEN) != 0)
        return false;
    return memcmp(a->owner, b->owner, GV_ID_LEN) == 0;
}

static bool beats(const struct gv_vote *a, const struct gv_vote *b)
{
    if (bug == FIRST_COME)
        return false;
    if (a->time_min != b->time_min)
        return a->time_min > b->time_min;
    return memcmp(a->signal, b->signal, GV_ID_LEN) > 0;
}

static size_t collect_votes(struct gv_vote *out, const struct gv_policy *p, uint32_t genesis,
                            uint32_t now, const struct gv_vote *signals, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        struct gv_vote v = signals[i];
        size_t at = 0;
        v.standing = standing_of(p, genesis, now, &v);
        if (v.time_min > now || v.time_min + p->alive_min < now || v.standing == 0)
            continue;
        while (at < kept && !same_voter(&out[at], &v))
            at++;
        if (at == kept)
            out[kept++] = v;
        else if (beats(&v, &out[at]))
            out[at] = v;
    }
    return kept;
}

static void second_judge(struct gv_verdict *out, const struct gv_policy *p, uint32_t genesis,
                         uint32_t now, struct gv_vote *signals, size_t count)
{
    struct gv_vote votes[VOTES_MAX];
    size_t n = collect_votes(votes, p, genesis, now, signals, count);

    memset(out, 0, sizeof *out);
    out->owners = (uint32_t)n;
    for (size_t i = 0; i < n; i++) {
        uint32_t best = 0, sum = 0, members = 0;
        bool first = true;
        for (size_t j = 0; j < n; j++) {
            if (votes[j].group != votes[i].group)
                continue;
            first = first && j >= i;
            members++;
            sum += votes[j].standing;
            best = votes[j].standing > best ? votes[j].standing : best;
        }
        if (bug == SUM_OF_OWNERS) {
            out->groups++;
            out->weight += votes[i].standing;
        } else if (first) {
            out->groups++;
            out->weight += bug == MEAN_OF_GROUP ? sum / members : best;
        }
    }
    out->published = out->owners >= 2 && out->groups >= 2;
    out->state = n == 0                                                 ? GV_VERDICT_UNKNOWN
                 : out->published && out->weight >= p->untrusted_weight ? GV_VERDICT_UNTRUSTED
                                                                        : GV_VERDICT_REPORTED;
}

/* ---- the rule that the laws are asked of ---------------------------------------------------- */

static void judge(struct gv_verdict *out, const struct gv_policy *p, uint32_t genesis, uint32_t now,
                  const struct gv_vote *signals, size_t count)
{
    struct gv_vote copy[VOTES_MAX];

    gv_assert(count <= VOTES_MAX);
    if (count)
        memcpy(copy, signals, count * sizeof *copy);
    if (bug == NO_BUG || bug >= UNTIL_LATE)
        gv_verdict_judge(out, p, genesis, now, copy, count);
    else
        second_judge(out, p, genesis, now, copy, count);
    if (bug == UNTIL_LATE && out->until_min != GV_NEVER)
        out->until_min++;
}

static struct gv_decision decide(const struct gv_action_facts *f, const struct gv_verdict *v,
                                 const struct gv_policy *p)
{
    struct gv_action_facts facts = *f;

    if (bug == MESH_BEFORE_CLEAN && v->state == GV_VERDICT_UNTRUSTED)
        facts.clean = false;
    if (bug == MESH_REFUSES && v->state == GV_VERDICT_UNTRUSTED)
        facts.points = 2, facts.failed_lately = true;
    if (bug == LOGIN_FORGOTTEN)
        facts.known_here = facts.network_known_here = false;
    if (bug == FAILED_EVER)
        facts.failed_lately = true;
    if (bug == ONE_ACCOUNT)
        facts.many_accounts = true;
    return gv_action_decide(&facts, v, p);
}

static int observe(struct gv_history *h, struct gv_history_result *out, uint64_t now,
                   struct gv_observation o, bool untrusted)
{
    if (bug == REFUSED_COUNTS)
        o.refused = false;
    return gv_history_observe(h, out, now, &o, untrusted, true);
}

/* ---- random cases --------------------------------------------------------------------------- */

struct scene {
    struct gv_policy policy;
    uint32_t genesis, now;
    struct gv_vote votes[VOTES_MAX];
    size_t count;
};

static struct gv_vote random_vote(const struct scene *s, uint32_t owners, uint32_t groups)
{
    struct gv_vote v = {.group = below(groups),
                        .sequence = below(1000),
                        .time_min = s->now - below(s->policy.alive_min + 10) + (one_in(9) ? 12 : 0),
                        .revoked_min = GV_NEVER,
                        .fault_min = GV_NEVER};

    v.since_min = v.time_min - below(s->policy.full_min + s->policy.full_min / 4 + 10);
    v.owner[0] = (uint8_t)below(owners);
    v.instance[0] = v.owner[0];
    v.instance[1] = (uint8_t)below(2);
    v.signal[0] = (uint8_t)below(256);
    v.signal[1] = (uint8_t)below(256);
    v.signal[2] = (uint8_t)below(256);
    if (one_in(15))
        v.revoked_min = v.time_min - 2 + below(5);
    return v;
}

static void random_scene(struct scene *s)
{
    uint32_t owners = 1 + below(10), groups = 1 + below(8);
    uint32_t tenure = one_in(3) ? 0 : below(2000);

    memset(s, 0, sizeof *s);
    s->now = 10000000 + below(1000);
    s->genesis = one_in(3) ? s->now - 50 - below(5000) : 1000;
    s->policy = (struct gv_policy){.tenure_min = tenure,
                                   .full_min = tenure + below(4000),
                                   .alive_min = 1 + below(1440),
                                   .untrusted_weight = 500 * (1 + below(6)),
                                   .consensus_weight = 5000,
                                   .consensus_groups = 5,
                                   .votes_max = 16,
                                   .fault_min = 100 + below(1000)};
    s->count = below(VOTES_MAX - 8);
    for (size_t i = 0; i < s->count; i++)
        s->votes[i] = random_vote(s, owners, groups);
    /* A fault is its owner's. */
    for (uint8_t owner = 0; owner < 10; owner++) {
        if (!one_in(12))
            continue;
        uint32_t fault = s->now - s->policy.fault_min + below(40) - 20;
        for (size_t i = 0; i < s->count; i++)
            if (s->votes[i].owner[0] == owner)
                s->votes[i].fault_min = fault;
    }
}

static void judge_scene(struct gv_verdict *out, const struct scene *s)
{
    judge(out, &s->policy, s->genesis, s->now, s->votes, s->count);
}

static void shuffle(struct scene *s)
{
    for (size_t i = s->count; i > 1; i--) {
        size_t j = below((uint32_t)i);
        struct gv_vote kept = s->votes[i - 1];
        s->votes[i - 1] = s->votes[j];
        s->votes[j] = kept;
    }
}

static bool same_outcome(const struct gv_verdict *a, const struct gv_verdict *b)
{
    return a->state == b->state && a->published == b->published && a->weight == b->weight &&
           a->owners == b->owners && a->groups == b->groups;
}

static bool same_verdict(const struct gv_verdict *a, const struct gv_verdict *b)
{
    if (!same_outcome(a, b) || a->since_min != b->since_min || a->until_min != b->until_min ||
        a->vote_count != b->vote_count)
        return false;
    for (uint32_t i = 0; i < a->vote_count; i++)
        if (memcmp(a->votes[i].signal, b->votes[i].signal, GV_ID_LEN) != 0 ||
            a->votes[i].standing != b->votes[i].standing)
            return false;
    return true;
}

static struct gv_action_facts random_facts(void)
{
    struct gv_action_facts f = {.deny_listed = one_in(4),
                                .allow_listed = one_in(4),
                                .locked_here = one_in(4),
                                .locked_by_own = one_in(4),
                                .clean = one_in(2),
                                .clean_network = one_in(2),
                                .known_here = one_in(2),
                                .network_known_here = one_in(2),
                                .refuse_on_consensus = one_in(2),
                                .points = below(6),
                                .failed_lately = one_in(2),
                                .many_accounts = one_in(2)};
    return f;
}

/* ---- the laws: each makes one case and tells whether it was kept ---------------------------- */

static bool order_and_repetition_never_matter(void)
{
    struct scene s;
    struct gv_verdict a, b;

    random_scene(&s);
    judge_scene(&a, &s);
    for (uint32_t again = below(8); s.count > 0 && again > 0; again--) {
        struct gv_vote repeated = s.votes[below((uint32_t)s.count)];
        s.votes[s.count++] = repeated;
    }
    shuffle(&s);
    judge_scene(&b, &s);
    return same_verdict(&a, &b);
}

static bool a_new_owner_s_vote_never_lowers_a_weight(void)
{
    struct scene s;
    struct gv_verdict a, b;

    random_scene(&s);
    judge_scene(&a, &s);
    s.votes[s.count] = random_vote(&s, 1, 8);
    s.votes[s.count++].owner[0] = 0xff;
    judge_scene(&b, &s);
    return b.weight >= a.weight && b.state >= a.state && b.published >= a.published;
}

static bool one_group_alone_makes_nobody_untrusted(void)
{
    struct scene s;
    struct gv_verdict v;

    random_scene(&s);
    for (size_t i = 0; i < s.count; i++)
        s.votes[i].group = 7;
    judge_scene(&v, &s);
    return v.state != GV_VERDICT_UNTRUSTED && !v.published && v.weight <= GV_STANDING_FULL;
}

static bool certificates_younger_than_the_tenure_have_no_effect(void)
{
    struct scene s;
    struct gv_verdict a, b;

    random_scene(&s);
    judge_scene(&a, &s);
    for (uint32_t more = below(8); more > 0; more--) {
        struct gv_vote v = random_vote(&s, 12, 8);
        uint32_t tenure = (v.time_min - s.genesis) / 2;
        if (tenure > s.policy.tenure_min)
            tenure = s.policy.tenure_min;
        if (tenure == 0)
            continue;
        v.since_min = v.time_min - below(tenure);
        s.votes[s.count++] = v;
    }
    judge_scene(&b, &s);
    return same_verdict(&a, &b);
}

static bool two_instances_of_one_owner_weigh_as_one(void)
{
    struct scene s;
    struct gv_verdict a, b;

    random_scene(&s);
    /* One vote that counts, of an owner with nothing newer; then an older word of its second
     * instance, in another network. */
    struct gv_vote v = random_vote(&s, 1, 8);
    v.owner[0] = v.instance[0] = 0xfe;
    v.time_min = s.now;
    v.since_min = s.genesis;
    v.revoked_min = GV_NEVER;
    s.votes[s.count++] = v;
    judge_scene(&a, &s);
    v.instance[1] ^= 1;
    v.group = below(9);
    v.time_min -= 1 + below(s.policy.alive_min);
    v.signal[3] = 1;
    s.votes[s.count++] = v;
    shuffle(&s);
    judge_scene(&b, &s);
    return same_outcome(&a, &b);
}

static bool the_state_lasts_from_since_to_until_and_no_longer(void)
{
    struct scene s;
    struct gv_verdict v, then;

    random_scene(&s);
    judge_scene(&v, &s);
    if (v.state == GV_VERDICT_UNKNOWN)
        return v.until_min == GV_NEVER && v.vote_count == 0;
    if (v.since_min > s.now || v.until_min <= s.now)
        return false;
    uint32_t now = s.now;
    s.now = v.until_min;
    judge_scene(&then, &s);
    if (then.state == v.state)
        return false;
    for (int i = 0; i < 4; i++) {
        s.now = now + below(v.until_min - now);
        judge_scene(&then, &s);
        if (then.state != v.state)
            return false;
    }
    return true;
}

static void random_verdict(struct gv_verdict *v, struct scene *s)
{
    random_scene(s);
    judge_scene(v, s);
    if (one_in(4)) { /* a crowd */
        v->state = GV_VERDICT_UNTRUSTED;
        v->weight = 16000;
        v->groups = 16;
    }
}

static bool clean_history_means_that_no_signals_change_the_action(void)
{
    struct scene s, t;
    struct gv_verdict a, b;
    struct gv_action_facts f = random_facts();

    f.clean = true;
    random_verdict(&a, &s);
    random_verdict(&b, &t);
    struct gv_decision x = decide(&f, &a, &s.policy), y = decide(&f, &b, &s.policy);
    return x.action == y.action && x.reason == y.reason;
}

static bool without_an_own_failure_nobody_is_refused(void)
{
    struct scene s;
    struct gv_verdict v;
    struct gv_action_facts f = random_facts();

    f.points = 0;
    f.locked_here = f.locked_by_own = f.deny_listed = f.refuse_on_consensus = false;
    random_verdict(&v, &s);
    return decide(&f, &v, &s.policy).action != GV_ACTION_REFUSE;
}

/* Signals then lead to one guess at most, whatever else failed here. */
static bool a_login_on_record_means_that_no_signals_refuse(void)
{
    struct scene s;
    struct gv_verdict v;
    struct gv_action_facts f = random_facts();

    f.locked_here = f.locked_by_own = f.deny_listed = false;
    f.known_here = one_in(2);
    f.network_known_here = f.network_known_here || !f.known_here;
    random_verdict(&v, &s);
    return decide(&f, &v, &s.policy).action != GV_ACTION_REFUSE;
}

static bool a_failure_of_long_ago_refuses_nobody(void)
{
    struct scene s;
    struct gv_verdict v;
    struct gv_action_facts f = random_facts();

    f.failed_lately = false;
    f.locked_here = f.locked_by_own = f.deny_listed = f.refuse_on_consensus = false;
    random_verdict(&v, &s);
    return decide(&f, &v, &s.policy).action != GV_ACTION_REFUSE;
}

/* A client with an old password, or whose user misspelt his name, is refused on nobody's word but
 * the mesh's. */
static bool failures_at_one_account_alone_refuse_nobody(void)
{
    struct scene s;
    struct gv_verdict v;
    struct gv_action_facts f = random_facts();

    f.many_accounts = false;
    f.locked_here = f.locked_by_own = f.deny_listed = false;
    random_verdict(&v, &s);
    return decide(&f, &v, &s.policy).action != GV_ACTION_REFUSE || v.state == GV_VERDICT_UNTRUSTED;
}

static struct gv_observation random_observation(uint64_t now)
{
    static const uint8_t kinds[] = {GV_KIND_UNKNOWN_ACCOUNT, GV_KIND_WRONG_PASSWORD,
                                    GV_KIND_ABORTED, GV_KIND_UNSPECIFIED};
    struct gv_observation o = {.subject = {GV_FAMILY_IPV4, {203, 0, 113, (uint8_t)below(3)}},
                               .unix_ms = now,
                               .account = below(4),
                               .attempts = 1 + below(4),
                               .service = GV_SERVICE_IMAP,
                               .kind = kinds[below(4)],
                               .new_visit = one_in(2)};
    if (one_in(5)) {
        o.success = true;
        o.attempts = 0;
    }
    return o;
}

static bool a_refused_attempt_emits_nothing(void)
{
    static const uint8_t key[16] = {4};
    static const struct gv_history_result nothing;
    struct gv_history *h = gv_history_new(10, key);
    struct gv_history_result r;
    struct gv_buf before, after;
    uint64_t now = 1790000000000ull;

    gv_buf_init(&before);
    gv_buf_init(&after);
    for (uint32_t i = below(12); i > 0; i--, now += below(3600000))
        assert_int_equal(observe(h, &r, now, random_observation(now), one_in(2)), GV_OK);
    struct gv_observation o = random_observation(now);
    size_t count = gv_history_count(h);
    (void)gv_history_pack(h, &before, &o.subject);
    o.refused = true;
    assert_int_equal(observe(h, &r, now, o, one_in(2)), GV_OK);
    (void)gv_history_pack(h, &after, &o.subject);
    bool kept = r.counted == nothing.counted && !r.signal && !r.locked_now && !r.has_evicted &&
                !r.broken_login && gv_history_count(h) == count && before.len == after.len &&
                (before.len == 0 || memcmp(before.data, after.data, before.len) == 0);
    gv_buf_free(&before);
    gv_buf_free(&after);
    gv_history_free(h);
    return kept;
}

static bool the_two_rules_agree(void)
{
    struct scene s;
    struct gv_verdict a, b;
    enum bug planted = bug;

    random_scene(&s);
    bug = NO_BUG;
    judge_scene(&a, &s);
    bug = planted;
    struct gv_vote copy[VOTES_MAX];
    memcpy(copy, s.votes, sizeof copy);
    second_judge(&b, &s.policy, s.genesis, s.now, copy, s.count);
    return same_outcome(&a, &b);
}

/* ---- running them --------------------------------------------------------------------------- */

static void keep(bool (*law)(void), const enum bug *bugs)
{
    bug = NO_BUG;
    random_state = first_seed; /* every law begins with it, so that one seed replays one case */
    for (unsigned i = 0; i < case_count; i++) {
        uint64_t seed = random_state;
        if (!law())
            fail_msg("broken in case %u, which is the first with GV_SEED=%llu", i,
                     (unsigned long long)seed);
    }
    for (; *bugs != NO_BUG; bugs++) {
        unsigned broken = 0;
        bug = *bugs;
        for (unsigned i = 0; i < case_count; i++)
            broken += !law();
        bug = NO_BUG;
        if (broken == 0)
            fail_msg("bug %d was planted and not seen", *bugs);
    }
}

#define LAW(law, ...)                                                                              \
    static void test_##law(void **state)                                                           \
    {                                                                                              \
        static const enum bug bugs[] = {__VA_ARGS__, NO_BUG};                                      \
        keep(law, bugs);                                                                           \
    }
LAW(the_two_rules_agree, FIRST_COME, PER_SIGNAL, MEAN_OF_GROUP, SUM_OF_OWNERS, NO_TENURE,
    PER_INSTANCE)
LAW(order_and_repetition_never_matter, FIRST_COME, PER_SIGNAL)
LAW(a_new_owner_s_vote_never_lowers_a_weight, MEAN_OF_GROUP)
LAW(one_group_alone_makes_nobody_untrusted, SUM_OF_OWNERS)
LAW(certificates_younger_than_the_tenure_have_no_effect, NO_TENURE)
LAW(two_instances_of_one_owner_weigh_as_one, PER_INSTANCE, PER_SIGNAL)
LAW(the_state_lasts_from_since_to_until_and_no_longer, UNTIL_LATE)
LAW(clean_history_means_that_no_signals_change_the_action, MESH_BEFORE_CLEAN)
LAW(without_an_own_failure_nobody_is_refused, MESH_REFUSES)
LAW(a_login_on_record_means_that_no_signals_refuse, LOGIN_FORGOTTEN)
LAW(a_failure_of_long_ago_refuses_nobody, FAILED_EVER)
LAW(failures_at_one_account_alone_refuse_nobody, ONE_ACCOUNT)
LAW(a_refused_attempt_emits_nothing, REFUSED_COUNTS)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_two_rules_agree),
        cmocka_unit_test(test_order_and_repetition_never_matter),
        cmocka_unit_test(test_a_new_owner_s_vote_never_lowers_a_weight),
        cmocka_unit_test(test_one_group_alone_makes_nobody_untrusted),
        cmocka_unit_test(test_certificates_younger_than_the_tenure_have_no_effect),
        cmocka_unit_test(test_two_instances_of_one_owner_weigh_as_one),
        cmocka_unit_test(test_the_state_lasts_from_since_to_until_and_no_longer),
        cmocka_unit_test(test_clean_history_means_that_no_signals_change_the_action),
        cmocka_unit_test(test_without_an_own_failure_nobody_is_refused),
        cmocka_unit_test(test_a_login_on_record_means_that_no_signals_refuse),
        cmocka_unit_test(test_a_failure_of_long_ago_refuses_nobody),
        cmocka_unit_test(test_failures_at_one_account_alone_refuse_nobody),
        cmocka_unit_test(test_a_refused_attempt_emits_nothing),
    };
    const char *seed = getenv("GV_SEED"), *cases = getenv("GV_CASES");

    first_seed = seed ? strtoull(seed, NULL, 10) : 20261122;
    first_seed = first_seed ? first_seed : 1;
    case_count = cases ? (unsigned)strtoul(cases, NULL, 10) : 4000;
    printf("GV_SEED=%llu GV_CASES=%u\n", (unsigned long long)first_seed, case_count);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
