/* The attack table holds one set for all honest nodes and calls the functions of proto/trust
 * itself. Whole cores must come to the very same figures: here each node has one of its own, which
 * takes every signed statement through its door and is asked for its verdict (SPEC 20). GV_CORES=60
 * plays it with sixty of them instead of sixteen. */
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
#include "helper_puppet.h"
#include "sim/rivals/shipped.h"
#include "sim/table/play.h"

#define NODES_MAX 60
#define DAYS      6

static uint32_t nodes = 16; /* GV_CORES */

static struct {
    const struct gv_ground *ground;
    struct network network;
    struct gv_core *cores[NODES_MAX];
    uint32_t minute[NODES_MAX]; /* as of which each has been moved */
    struct puppet *members;     /* owned: whose keys sign */
    struct gv_effects effects;
    size_t taken;
} w;

static bool believe(void *context, const uint8_t key[GV_KEY_LEN],
                    const uint8_t signature[GV_SIGNATURE_LEN], const uint8_t *message, size_t len)
{
    return true;
}

static void open_core(uint32_t node)
{
    struct gv_identity identity;
    struct gv_core_options options = {.identity = &identity,
                                      .descriptor = w.network.wire.data,
                                      .descriptor_len = w.network.wire.len,
                                      .verifier = {.verify = believe},
                                      .seed = {(uint8_t)node}};

    make_identity(&identity, 5000 + node);
    w.minute[node] = w.ground->start_min;
    assert_int_equal(gv_core_new(&w.cores[node], &options, 1, 60000ull * w.ground->start_min),
                     GV_OK);
}

static void *open_cores(const struct gv_rule *rule, const struct gv_ground *ground)
{
    memset(&w, 0, sizeof w);
    w.ground = ground;
    gv_effects_init(&w.effects);
    network_open(&w.network, 1, false);
    w.network.descriptor.genesis_min = ground->genesis_min;
    w.network.descriptor.activation_min = ground->genesis_min;
    w.network.descriptor.keys[0].from_min = ground->genesis_min;
    w.network.descriptor.policy = ground->policy;
    network_publish(&w.network);
    for (uint32_t i = 0; i < nodes; i++)
        open_core(i);
    w.members = calloc(ground->member_count, sizeof *w.members);
    for (uint32_t i = 0; i < ground->member_count; i++) {
        const struct gv_member *m = &ground->members[i];
        puppet_make(&w.members[i], &w.network, i);
        memset(w.members[i].facts.owner, 0, GV_ID_LEN);
        memcpy(w.members[i].facts.owner, &m->owner, sizeof m->owner);
        w.members[i].facts.group = (uint64_t)GV_GROUP_AS << 56 | m->group;
        w.members[i].facts.since_min = m->since_min;
        w.members[i].facts.issued_min =
            m->since_min > ground->start_min - 1440 ? m->since_min : ground->start_min - 1440;
        w.members[i].facts.expires_min = w.members[i].facts.issued_min + 89 * 1440;
        puppet_certify(&w.members[i]);
    }
    return &w;
}

static void close_cores(void *state)
{
    for (uint32_t i = 0; i < nodes; i++)
        gv_core_free(w.cores[i]);
    for (uint32_t i = 0; i < w.ground->member_count; i++)
        puppet_free(&w.members[i]);
    free(w.members);
    gv_effects_free(&w.effects);
    network_close(&w.network);
}

static int step(uint32_t node, uint32_t minute, const struct gv_event *event)
{
    uint64_t now_ms = 1 + 60000ull * (minute - w.ground->start_min);

    gv_effects_clear(&w.effects);
    return gv_core_step(w.cores[node], now_ms, event, &w.effects);
}

static void move_to(uint32_t node, uint32_t minute)
{
    const struct gv_event timer = {.kind = GV_EVENT_TIMER};

    for (; w.minute[node] < minute; w.minute[node]++)
        assert_int_equal(step(node, w.minute[node] + 1, &timer), GV_OK);
}

static uint32_t now_min; /* of the last question: what is heard comes after it */

static void give(const struct gv_buf *record)
{
    struct gv_event event = {.kind = GV_EVENT_NEWS};

    event.news.record = record->data;
    event.news.len = record->len;
    for (uint32_t i = 0; i < nodes; i++)
        w.taken += step(i, w.minute[i], &event) == GV_OK;
}

static void heard_by_cores(void *state, const struct gv_word *word)
{
    struct puppet *author = &w.members[word->member];
    struct gv_statement s = {.kind = word->retract ? GV_STATEMENT_RETRACT : GV_STATEMENT_SIGNAL,
                             .sequence = word->sequence,
                             .subject = w.ground->addresses[word->subject].subject,
                             .first_min = word->at_min,
                             .last_min = word->at_min};

    if (!word->retract) {
        s.count = gv_signal_count_bucket(word->count);
        s.services = GV_SERVICE_IMAP;
        s.kinds = GV_KIND_WRONG_PASSWORD;
    }
    memcpy(s.certificate, author->certificate_id, GV_ID_LEN);
    for (uint32_t i = 0; i < nodes; i++)
        move_to(i, word->at_min > now_min ? word->at_min : now_min);
    struct gv_buf certificate = certificate_record(author), record = sign_statement(author, &s);
    give(&certificate);
    give(&record);
    gv_buf_free(&certificate);
    gv_buf_free(&record);
}

static void ask_core(void *state, struct gv_listing *out, const struct gv_asked *asked)
{
    struct gv_verdict verdict;

    now_min = asked->now_min;
    move_to(asked->node, asked->now_min);
    gv_core_verdict(w.cores[asked->node], &verdict, &w.ground->addresses[asked->subject].subject);
    *out = (struct gv_listing){verdict.state, verdict.weight, verdict.groups, false};
}

static struct gv_score play(const struct gv_scene *scene, const struct gv_rule *rule,
                            const char *attack, uint32_t share)
{
    struct gv_campaign campaign;
    struct gv_plan plan;
    struct gv_score score;

    gv_attack_campaign(&campaign, gv_attack_find(attack), scene, share);
    gv_plan_open(&plan, scene, &campaign);
    gv_play(&score, scene, &plan, rule);
    gv_plan_close(&plan);
    return score;
}

static void test_whole_cores_give_the_same_figures(void **state)
{
    const char *attacks[] = {"none", "framing+flood", "equivocate", "fill"};
    struct gv_rule cores = {.name = "cores",
                            .open = open_cores,
                            .close = close_cores,
                            .heard = heard_by_cores,
                            .ask = ask_core};
    struct gv_rule table = *gv_rule_find("grapevine");
    struct gv_scene_numbers numbers;
    struct gv_scene scene;

    gv_scene_standard(&numbers);
    numbers.providers = 10; /* few targets: every word goes through each node's door */
    numbers.clients = 20;
    numbers.young_percent = 0;
    gv_scene_open(&scene, &numbers, nodes, DAYS, 7);
    table.may_say = NULL;
    for (size_t i = 0; i < sizeof attacks / sizeof *attacks; i++) {
        uint32_t share = strcmp(attacks[i], "none") == 0 ? 0 : 300;
        struct gv_score one = play(&scene, &table, attacks[i], share);
        struct gv_score same = play(&scene, &cores, attacks[i], share);
        assert_true(one.attempts > 0);
#define GV_SCORE_SAME(name, text) assert_int_equal(one.name, same.name);
        GV_SCORE_MAP(GV_SCORE_SAME)
#undef GV_SCORE_SAME
        assert_true(w.taken > 100);
    }
    gv_scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_cores_give_the_same_figures),
    };
    const char *cores = getenv("GV_CORES");

    if (cores)
        nodes = (uint32_t)strtoul(cores, NULL, 10);
    if (nodes < 10 || nodes > NODES_MAX) {
        fprintf(stderr, "GV_CORES: 10 to %d\n", NODES_MAX);
        return 64;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
