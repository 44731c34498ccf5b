/* The attack table has no links and no bytes. Here the same trace is played through whole nodes
 * that talk over sessions: each reads its own visits, signs, whispers to keepers, publishes and
 * decides, and liars are members that feed their own node with attempts that never were. What comes
 * of it must agree with the table (SPEC 20.5). GV_MESH=60 plays it with sixty nodes, not twelve. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "crypto/hash.h"
#include "sim/table/play.h"
#include "sim/world.h"

#define NODES_MAX 60
#define DAYS      3u
#define AGE_DAYS  120u
#define WARM_S    (6 * 3600u) /* attacks before the scored day; logins are those of all days */
#define MEET_MS   120000u     /* the nodes find each other */
#define GUESSES   5u

static uint32_t nodes = 12;

/* ---- the trace ------------------------------------------------------------------------------- */

/* Failures of the last hours only; older logins become imported ones. All members are of one age,
 * each in a network of its own, as those of the simulated world are. */
static void shorten(struct gv_scene *scene, uint32_t from_s)
{
    size_t kept = 0;

    for (size_t i = 0; i < scene->moments.count; i++) {
        struct gv_moment m = scene->moments.at[i];
        if (m.at_s < from_s && m.kind != GV_MOMENT_QUIET)
            continue;
        if (m.at_s < from_s) {
            m.n = (uint8_t)(m.n + (from_s - m.at_s) / GV_SCENE_DAY_S);
            m.at_s = from_s;
        }
        scene->moments.at[kept++] = m;
    }
    scene->moments.count = kept;
    scene->genesis_min = scene->start_min + from_s / 60 - AGE_DAYS * GV_DAY_MIN;
    for (uint32_t i = 0; i < scene->nodes; i++) {
        scene->members[i].since_min = scene->genesis_min;
        scene->members[i].group = i;
    }
}

/* ---- the same through whole nodes ------------------------------------------------------------ */

struct stage {
    struct gv_world *world;
    const struct gv_scene *scene;
    const struct gv_plan *plan;
    struct gv_score score;
    uint32_t from_s, now_s;
};

static const struct gv_address_row *address(const struct stage *s, uint32_t subject)
{
    return subject < s->scene->address_count
               ? &s->scene->addresses[subject]
               : &s->plan->addresses[subject - s->scene->address_count];
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    static const uint8_t key[16] = {'a', 'c', 'c'};
    uint64_t words[2] = {a, b};

    return gv_siphash(key, words, sizeof words) | 1;
}

struct answer {
    struct gv_verdict verdict;
    struct gv_action_facts facts;
    struct gv_decision decision;
};

static bool decide(const struct stage *s, struct answer *out, const struct gv_moment *m)
{
    out->decision = gv_core_decide(s->world->nodes[m->node].core, &out->verdict, &out->facts,
                                   &address(s, m->subject)->subject);
    return out->decision.action == GV_ACTION_REFUSE;
}

static struct gv_event observation(const struct stage *s, const struct gv_moment *m)
{
    struct gv_event event = {.kind = GV_EVENT_OBSERVATION};

    event.observation.subject = address(s, m->subject)->subject;
    event.observation.unix_ms = gv_world_unix_ms(s->world, m->node);
    event.observation.service = GV_SERVICE_SUBMISSION;
    event.observation.new_visit = true;
    return event;
}

/* Returns whether it locked the address. */
static bool fails(struct stage *s, const struct gv_moment *m, uint64_t account, bool unknown,
                  bool new_visit)
{
    struct gv_event event = observation(s, m);
    struct answer after;

    event.observation.account = account;
    event.observation.kind = unknown ? GV_KIND_UNKNOWN_ACCOUNT : GV_KIND_WRONG_PASSWORD;
    event.observation.attempts = 1;
    event.observation.new_visit = new_visit;
    assert_int_equal(gv_world_step(s->world, m->node, &event), GV_OK);
    decide(s, &after, m);
    return after.facts.locked_here;
}

static void succeed(struct stage *s, const struct gv_moment *m, uint32_t days_ago)
{
    struct gv_event event = observation(s, m);

    event.observation.account = mix(m->account, m->node);
    event.observation.kind = GV_KIND_UNSPECIFIED;
    event.observation.success = true;
    event.observation.past = days_ago > 0;
    event.observation.unix_ms -= (uint64_t)days_ago * GV_SCENE_DAY_S * 1000;
    assert_int_equal(gv_world_step(s->world, m->node, &event), GV_OK);
}

static void visit(struct stage *s, const struct gv_moment *m)
{
    uint32_t through = 0, most = m->n < GUESSES ? m->n : GUESSES;
    struct answer answer;
    bool refused = decide(s, &answer, m), over = refused;

    while (!over && through < most) {
        bool unknown = through == 0 && m->flags & GV_MOMENT_UNKNOWN;
        over = fails(s, m, mix(m->account, through), unknown, through == 0);
        through++;
    }
    if (s->now_s < s->scene->score_s || address(s, m->subject)->kind != GV_ADDRESS_BOT)
        return;
    s->score.visits++;
    s->score.visits_refused += refused;
    s->score.attempts_base += most;
    s->score.attempts += through;
}

static void login(struct stage *s, const struct gv_moment *m)
{
    bool unknown = m->flags & GV_MOMENT_UNKNOWN;
    struct answer answer;

    s->score.logins++;
    if (decide(s, &answer, m)) {
        bool locked = answer.decision.reason == GV_REASON_LOCKED_HERE;
        s->score.refused_locked += locked;
        s->score.refused += !locked;
        s->score.refused_clean += !locked && answer.facts.clean;
        return;
    }
    if (m->flags & GV_MOMENT_MISTYPED && fails(s, m, mix(m->account, m->node), unknown, true)) {
        s->score.lockouts++;
        return;
    }
    succeed(s, m, 0);
}

static void give_up(struct stage *s, const struct gv_moment *m)
{
    struct answer answer;

    if (!decide(s, &answer, m))
        (void)fails(s, m, mix(m->account, m->node), m->flags & GV_MOMENT_UNKNOWN, true);
}

/* A liar's log tells of 20 guesses that nobody made. */
static void lie(struct stage *s, const struct gv_moment *m)
{
    struct gv_event event = observation(s, m);

    event.observation.account = mix(m->subject, s->now_s);
    event.observation.kind = GV_KIND_UNKNOWN_ACCOUNT;
    event.observation.attempts = 20;
    assert_int_equal(gv_world_step(s->world, m->node, &event), GV_OK);
    s->score.messages++;
}

static void play_moment(struct stage *s, const struct gv_moment *m)
{
    uint64_t at_ms = MEET_MS + 1000ull * (m->at_s - s->from_s);

    s->now_s = m->at_s;
    if (at_ms > s->world->now_ms)
        gv_world_run(s->world, at_ms);
    if (m->kind == GV_MOMENT_VISIT)
        visit(s, m);
    else if (m->kind == GV_MOMENT_LOGIN)
        login(s, m);
    else if (m->kind == GV_MOMENT_QUIET)
        succeed(s, m, m->n);
    else if (m->kind == GV_MOMENT_TYPO)
        give_up(s, m);
    else
        lie(s, m);
}

static void play_mesh(struct gv_score *out, const struct gv_scene *scene,
                      const struct gv_plan *plan, uint32_t from_s)
{
    struct gv_world_options options = {.nodes = scene->nodes + plan->member_count,
                                       .seed = 3,
                                       .latency_min_ms = 5,
                                       .latency_max_ms = 80,
                                       .known = true,
                                       .age_min = AGE_DAYS * GV_DAY_MIN};
    struct stage s = {.scene = scene, .plan = plan, .from_s = from_s};
    const struct gv_moments *a = &scene->moments, *b = &plan->moments;

    s.world = gv_world_new(&options);
    gv_world_run(s.world, MEET_MS);
    for (size_t i = 0, j = 0; i < a->count || j < b->count;) {
        bool first = j == b->count || (i < a->count && a->at[i].at_s <= b->at[j].at_s);
        play_moment(&s, first ? &a->at[i++] : &b->at[j++]);
    }
    gv_world_free(s.world);
    *out = s.score;
}

/* ---- both ------------------------------------------------------------------------------------ */

static void agree(const char *what, uint64_t table, uint64_t mesh, uint64_t of, uint64_t permille)
{
    uint64_t apart = table > mesh ? table - mesh : mesh - table;

    printf("  %-22s table %6llu, mesh %6llu of %llu\n", what, (unsigned long long)table,
           (unsigned long long)mesh, (unsigned long long)of);
    assert_true(1000 * apart <= permille * of);
}

static void play(const struct gv_scene *scene, const char *attack, uint32_t share, uint32_t from_s)
{
    struct gv_score table, mesh, alone;
    struct gv_campaign campaign;
    struct gv_plan plan;

    gv_attack_campaign(&campaign, gv_attack_find(attack), scene, share);
    campaign.age_days = AGE_DAYS - 1;
    campaign.groups = campaign.owners; /* each in a network of his own, too */
    gv_plan_open(&plan, scene, &campaign);
    gv_play(&table, scene, &plan, gv_rule_find("grapevine"));
    gv_play(&alone, scene, &plan, gv_rule_find("local-log"));
    play_mesh(&mesh, scene, &plan, from_s);
    printf("%s, %u liars among %u\n", attack, plan.member_count, scene->nodes + plan.member_count);
    assert_int_equal(table.visits, mesh.visits); /* the very same trace */
    assert_int_equal(table.attempts_base, mesh.attempts_base);
    assert_int_equal(table.logins + table.logins_shared, mesh.logins);
    assert_true(share == 0 || mesh.messages > 100);
    agree("guesses through", table.attempts, mesh.attempts, table.attempts_base, 10);
    agree("visits refused", table.visits_refused, mesh.visits_refused, table.visits, 10);
    agree("logins refused", table.refused + table.refused_shared, mesh.refused, mesh.logins, 1);
    agree("logins at a lock", table.refused_locked + table.refused_locked_shared,
          mesh.refused_locked, mesh.logins, 1);
    agree("lock-outs", table.lockouts + table.lockouts_shared, mesh.lockouts, mesh.logins, 1);
    assert_int_equal(mesh.refused_clean, 0);
    /* Nodes that did not hear each other would be seen. */
    assert_true(alone.attempts > table.attempts + table.attempts_base / 50);
    gv_plan_close(&plan);
}

static void test_the_full_mesh_agrees_with_the_table(void **state)
{
    struct gv_scene_numbers numbers;
    struct gv_scene scene;

    (void)state;
    gv_scene_standard(&numbers);
    numbers.providers = nodes < 60 ? 5 : 20;
    numbers.clients = nodes < 60 ? 20 : 100;
    numbers.mistype_permille = nodes < 60 ? 300 : 30;
    numbers.attackers_milli = nodes < 60 ? 1000 : 200; /* as many who meet two of few nodes */
    gv_scene_open(&scene, &numbers, nodes, DAYS, 7);
    uint32_t from_s = scene.score_s - WARM_S;
    shorten(&scene, from_s);
    play(&scene, "none", 0, from_s);
    play(&scene, "framing+flood", 300, from_s);
    gv_scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_full_mesh_agrees_with_the_table),
    };
    const char *mesh = getenv("GV_MESH");

    if (mesh)
        nodes = (uint32_t)strtoul(mesh, NULL, 10);
    if (nodes < 10 || nodes > NODES_MAX) {
        fprintf(stderr, "GV_MESH: 10 to %d\n", NODES_MAX);
        return 64;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
