/* The whole rule over random cases, one line each, in integers: the verdict (SPEC 11), stories of a
 * host's own log with what it locks, signals and does (SPEC 12), login backends that break (12.5),
 * and the action alone. make_rule_cases.mjs is the same program in another language, written from
 * SPEC.md; its lines must be these, bit for bit, and so must those of every compiler, optimisation
 * and machine (portable.sh). Nothing but proto/ and the C library is in it.
 *
 *   rule_cases COUNT SEED
 *
 * A line is what was drawn, ':' and what follows from it; a story has several of these. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/trust/history.h"

#define START_S     1800000000u
#define SIGNALS_MAX 24
#define CROWD_MAX   20

/* xorshift32: a few lines in any language. */
static uint32_t state = 1;

static uint32_t below(uint32_t bound)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state % bound;
}

static bool one_in(uint32_t n)
{
    return below(n) == 0;
}

/* ---- the verdict ---------------------------------------------------------------------------- */

static void id_of(uint8_t out[GV_ID_LEN], uint32_t number)
{
    memset(out, 0, GV_ID_LEN);
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(number >> (24 - 8 * i));
}

static uint32_t number_of(const uint8_t id[GV_ID_LEN])
{
    return (uint32_t)id[0] << 24 | (uint32_t)id[1] << 16 | (uint32_t)id[2] << 8 | id[3];
}

static void draw_policy(struct gv_policy *p)
{
    memset(p, 0, sizeof *p);
    p->tenure_min = 43200;
    p->full_min = 129600;
    p->alive_min = 1440;
    p->untrusted_weight = 2000;
    p->votes_max = 16;
    p->fault_min = 129600;
    if (one_in(2))
        return;
    p->tenure_min = below(60);
    p->full_min = p->tenure_min + below(120);
    p->alive_min = 1 + below(50);
    p->untrusted_weight = below(6) * 500;
    p->votes_max = below(18);
    p->fault_min = below(100);
}

/* Signals of up to eight owners in up to six networks; faults are their owners'. */
static size_t draw_votes(struct gv_vote votes[SIGNALS_MAX], const struct gv_policy *p, uint32_t now)
{
    uint32_t owners = 1 + below(8), groups = 1 + below(6), faults[9];
    size_t count = below(one_in(10) ? SIGNALS_MAX + 1 : 10);

    for (uint32_t owner = 1; owner <= owners; owner++)
        faults[owner] = one_in(8) ? now - p->fault_min + below(50) - 20 : GV_NEVER;
    for (size_t i = 0; i < count; i++) {
        struct gv_vote *v = &votes[i];
        uint32_t owner = 1 + below(owners);
        memset(v, 0, sizeof *v);
        id_of(v->signal, ((uint32_t)i + 1) << 16 | below(65536));
        if (one_in(2)) /* of two at one minute the id decides: not always in the order drawn */
            v->signal[0] ^= 0x55;
        id_of(v->owner, owner);
        memcpy(v->instance, v->owner, GV_ID_LEN);
        v->group = 1 + below(groups);
        v->time_min = now - below(p->alive_min + 6);
        if (one_in(8))
            v->time_min = now + below(20);
        v->since_min = v->time_min - below(p->full_min + 11);
        if (one_in(3))
            v->since_min = v->time_min - p->tenure_min + below(5) - 2;
        v->revoked_min = one_in(12) ? v->time_min + below(5) - 2 : GV_NEVER;
        v->fault_min = faults[owner];
        printf(" %" PRIu32 ",%" PRIu32 ",%" PRIu64 ",%" PRIu32 ",%" PRIu32 ",%" PRIu32 ",%" PRIu32,
               number_of(v->signal), owner, v->group, v->time_min, v->since_min, v->revoked_min,
               v->fault_min);
    }
    return count;
}

static void verdict_case(void)
{
    struct gv_vote votes[SIGNALS_MAX];
    struct gv_policy p;
    struct gv_verdict v;

    draw_policy(&p);
    uint32_t genesis = one_in(2) ? 1000000 : 29990000 + below(10000);
    uint32_t now = 30000000 + below(100);
    printf("v %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32
           " %" PRIu32,
           p.tenure_min, p.full_min, p.alive_min, p.untrusted_weight, p.votes_max, p.fault_min,
           genesis, now);
    size_t count = draw_votes(votes, &p, now);
    gv_verdict_judge(&v, &p, genesis, now, votes, count);
    printf(": %d %d %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32, (int)v.state,
           v.published, v.weight, v.owners, v.groups, v.since_min, v.until_min);
    for (uint32_t i = 0; i < v.vote_count; i++)
        printf(" %" PRIu32 "=%" PRIu32, number_of(v.votes[i].signal), v.votes[i].standing);
    putchar('\n');
}

/* ---- the action ----------------------------------------------------------------------------- */

static void decide(struct gv_action_facts *f)
{
    struct gv_policy policy = {.consensus_weight = 4000, .consensus_groups = 4};
    struct gv_verdict v = {.state = GV_VERDICT_UNKNOWN};

    v.state = (enum gv_verdict_state)below(3);
    v.weight = below(6) * 1000;
    v.groups = below(6);
    f->deny_listed = one_in(20);
    f->allow_listed = one_in(20);
    f->locked_by_own = one_in(10);
    f->refuse_on_consensus = one_in(2);
    struct gv_decision d = gv_action_decide(f, &v, &policy);
    printf(" %d,%" PRIu32 ",%" PRIu32 ",%d%d%d%d: %d %d", (int)v.state, v.weight, v.groups,
           f->deny_listed, f->allow_listed, f->locked_by_own, f->refuse_on_consensus, (int)d.action,
           (int)d.reason);
}

static void action_case(void)
{
    struct gv_action_facts f = {.locked_here = one_in(4)};

    f.clean = one_in(4);
    f.clean_network = one_in(2);
    f.known_here = one_in(2);
    f.network_known_here = one_in(2);
    f.failed_lately = one_in(2);
    f.many_accounts = one_in(2);
    f.points = below(6);
    printf("a %d%d%d%d%d%d%d %" PRIu32, f.locked_here, f.clean, f.clean_network, f.known_here,
           f.network_known_here, f.failed_lately, f.many_accounts, f.points);
    decide(&f);
    putchar('\n');
}

/* ---- stories of one host's log -------------------------------------------------------------- */

static const uint8_t kinds[] = {GV_KIND_WRONG_PASSWORD, GV_KIND_UNKNOWN_ACCOUNT,
                                GV_KIND_UNSPECIFIED, GV_KIND_PROTOCOL};

/* 0 and 1 are in one network, 2 in another; from 10 on each in its own. */
static struct gv_subject subject_of(uint32_t n)
{
    struct gv_subject s = {GV_FAMILY_IPV4, {11, 22, 33, (uint8_t)(1 + n)}};

    if (n >= 2)
        s.bytes[1] = (uint8_t)(50 + n);
    return s;
}

static void print_result(int rc, const struct gv_history_result *r)
{
    printf(": %d %d%d%d%d", rc, r->locked_now, r->broken_login, r->repeats, r->signal);
    if (r->signal)
        printf(" %" PRIu32 ",%" PRIu32 ",%" PRIu32 ",%d,%d", r->statement.first_min,
               r->statement.last_min, r->statement.count, r->statement.services,
               r->statement.kinds);
}

static void print_facts(const struct gv_history *h, struct gv_action_facts *f, uint32_t who,
                        uint64_t now_ms)
{
    struct gv_subject s = subject_of(who);

    memset(f, 0, sizeof *f);
    gv_history_facts(h, f, &s, now_ms);
    printf(" | %" PRIu32 " %d%d%d%d%d%d%d", f->points, f->failed_lately, f->many_accounts,
           f->locked_here, f->clean, f->clean_network, f->known_here, f->network_known_here);
}

/* How a story goes on: in seconds, hours or days, or like a client that polls. */
struct pace {
    bool polls;
    uint32_t style, period, password;
};

static uint32_t draw_gap(const struct pace *pace)
{
    uint32_t style = pace->style == 3 ? below(3) : pace->style;
    static const uint32_t most[] = {400, 8 * 3600, 5 * 86400};

    if (!pace->polls)
        return below(most[style]);
    uint32_t times = one_in(6) ? 1 + below(4) : 1;
    return one_in(9) ? below(40) : times * pace->period + below(pace->period / 6 + 1);
}

static void draw_observation(struct gv_observation *o, const struct pace *pace)
{
    uint32_t what = below(20);

    o->account = below(4);
    o->attempts = one_in(3) ? 1 + below(6) : 1;
    if (one_in(12)) /* enough for the limit of clean history */
        o->attempts = 15 + below(10);
    o->password = one_in(2) ? 0 : 1 + below(2);
    o->kind = kinds[below(4)];
    o->service = (uint8_t)(1u << below(6));
    o->new_visit = !one_in(4);
    if (pace->polls) {
        o->account = one_in(20) ? 2 : 1;
        o->password = pace->password == 2 ? below(2) : pace->password;
        o->kind = one_in(20) ? GV_KIND_PROTOCOL : GV_KIND_WRONG_PASSWORD;
        o->attempts = one_in(20) ? 5 : 1;
        what = one_in(20) ? 0 : 19;
    }
    if (what < 5) {
        o->success = true;
        o->attempts = 0;
        o->kind = GV_KIND_UNSPECIFIED;
    } else if (what == 5) {
        o->kind = GV_KIND_ABORTED;
    } else if (what == 6) {
        o->refused = true;
    }
}

/* Logins ten days and one day before. */
static void make_clean(struct gv_history *h, uint32_t who, uint64_t now_s)
{
    struct gv_observation o = {
        .subject = subject_of(who), .account = 9, .success = true, .kind = GV_KIND_UNSPECIFIED};
    struct gv_history_result r;

    for (int turn = 0; turn < 2; turn++) {
        o.unix_ms = (now_s - (turn == 0 ? 10u : 1u) * 86400) * 1000;
        gv_assert(gv_history_observe(h, &r, o.unix_ms, &o, GV_STRICT_NOT, true) == GV_OK);
    }
}

static void story_case(void)
{
    static const uint8_t key[16] = {7};
    struct gv_history *h = gv_history_new(64, key);
    struct pace pace = {.polls = one_in(3)};
    uint64_t now_s = START_S + below(86400);

    gv_assert(h);
    pace.style = below(4);
    pace.period = 45 + below(3000);
    pace.password = below(3);
    bool clean = one_in(3);
    printf("h%d", clean);
    if (clean)
        make_clean(h, 0, now_s);
    for (uint32_t steps = 2 + below(16); steps > 0; steps--) {
        static const uint8_t subjects[] = {0, 0, 0, 0, 1, 2};
        struct gv_observation o = {.account = 0};
        struct gv_history_result r;
        struct gv_action_facts f;
        now_s += draw_gap(&pace);
        uint32_t who = pace.polls ? 0 : subjects[below(6)];
        draw_observation(&o, &pace);
        uint32_t strict = below(3);
        bool share = !one_in(8);
        o.subject = subject_of(who);
        o.unix_ms = now_s * 1000;
        printf(" / %" PRIu64 " %" PRIu32 " %" PRIu64 ",%" PRIu64 ",%" PRIu32
               ",%d,%d,%d%d%d,%" PRIu32 "%d",
               now_s, who, o.account, o.password, o.attempts, o.service, o.kind, o.success,
               o.new_visit, o.refused, strict, share);
        int rc = gv_history_observe(h, &r, o.unix_ms, &o, (enum gv_strictness)strict, share);
        print_result(rc, &r);
        uint32_t asked = below(3);
        now_s += one_in(4) ? below(100000) : 0;
        print_facts(h, &f, asked, now_s * 1000);
        decide(&f);
    }
    putchar('\n');
    gv_history_free(h);
}

/* Many users, some with clean history, fail within two hours. */
static void crowd_case(void)
{
    static const uint8_t key[16] = {7};
    struct gv_history *h = gv_history_new(64, key);
    uint32_t users = 6 + below(CROWD_MAX - 5), share_clean = below(101);
    uint64_t now_s = START_S + 10 * 86400 + below(86400);
    struct gv_history_result r;

    gv_assert(h);
    printf("b %" PRIu32, users);
    for (uint32_t user = 0; user < users; user++) {
        bool clean = below(100) < share_clean;
        printf(" %d", clean);
        if (clean)
            make_clean(h, 10 + user, now_s);
    }
    for (uint32_t steps = 4 * users; steps > 0; steps--) {
        now_s += below(200);
        uint32_t user = below(users);
        struct gv_observation o = {.subject = subject_of(10 + user),
                                   .unix_ms = now_s * 1000,
                                   .account = 1 + below(3),
                                   .attempts = 1,
                                   .service = GV_SERVICE_IMAP,
                                   .kind = GV_KIND_WRONG_PASSWORD,
                                   .new_visit = true};
        int rc = gv_history_observe(h, &r, o.unix_ms, &o, GV_STRICT_NOT, true);
        printf(" / %" PRIu64 " %" PRIu32 ",%" PRIu64, now_s, user, o.account);
        print_result(rc, &r);
    }
    putchar('\n');
    gv_history_free(h);
}

int main(int argc, char **argv)
{
    unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 10) : 2000;

    if (argc > 2)
        state = (uint32_t)strtoul(argv[2], NULL, 10);
    if (state == 0 || count == 0) {
        fprintf(stderr, "usage: rule_cases COUNT SEED\n");
        return 64;
    }
    for (unsigned long i = 0; i < count; i++) {
        verdict_case();
        action_case();
        story_case();
        if (i % 16 == 0)
            crowd_case();
    }
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 74;
}
