#include "sim/table/play.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "crypto/hash.h"
#include "sim/table/ground.h"
#include "sim/table/player.h"

#define BASE_GUESSES 5u /* a visit without any defence: mail servers hang up then */
#define GUESS_S      3u /* from one guess to the next */
#define HISTORY_MAX  20000u
#define WARM_DAYS    8u /* what the local log remembers of failures, and a day more */
#define ACCUSED_MAX  1000u
#define TABLES_AHEAD 16u /* moments: 600 histories do not fit a cache, and what comes is known */
#define ROWS_AHEAD   8u

static bool scored(const struct gv_player *p)
{
    return p->now_s >= p->scene->score_s;
}

static uint64_t now_ms(const struct gv_player *p)
{
    return ((uint64_t)p->scene->start_min * 60 + p->now_s) * 1000;
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    static const uint8_t key[16] = {'a', 'c', 'c'};
    uint64_t words[2] = {a, b};

    return gv_siphash(key, words, sizeof words) | 1;
}

/* ---- asking ---------------------------------------------------------------------------------- */

struct answer {
    struct gv_asked asked;
    struct gv_listing listing;
    struct gv_action_facts facts;
    struct gv_decision decision;
};

/* What the host would do with a visit now: proto/trust/action.c decides, whatever the rule. A rival
 * that refuses by itself takes the place of a lock by another host of one's own: after clean
 * history and before everything else. */
static void decide(struct gv_player *p, struct answer *out, uint32_t subject, uint32_t node,
                   bool attacker)
{
    static struct gv_verdict verdict; /* the votes in it are not looked at: no need to clear them */

    memset(&out->facts, 0, sizeof out->facts);
    out->asked = (struct gv_asked){subject, node, gv_player_minute(p), attacker};
    p->rule->ask(p->state, &out->listing, &out->asked);
    gv_history_facts(p->histories[node], &out->facts, &p->ground.addresses[subject].subject,
                     now_ms(p));
    out->facts.refuse_on_consensus = p->rule->consensus;
    out->facts.locked_by_own = out->listing.refuse;
    verdict.state = out->listing.state;
    verdict.weight = out->listing.weight;
    verdict.groups = out->listing.groups;
    out->decision = gv_action_decide(&out->facts, &verdict, &p->ground.policy);
}

static void followed(struct gv_player *p, const struct answer *answer, bool success)
{
    if (p->rule->followed)
        p->rule->followed(p->state, &answer->asked, success);
}

/* ---- what the local log takes down ----------------------------------------------------------- */

static struct gv_observation observation(const struct gv_player *p, uint32_t subject,
                                         uint64_t account)
{
    return (struct gv_observation){.subject = p->ground.addresses[subject].subject,
                                   .unix_ms = now_ms(p),
                                   .account = account,
                                   .service = GV_SERVICE_SUBMISSION,
                                   .kind = GV_KIND_UNSPECIFIED};
}

static void fail(struct gv_player *p, struct gv_history_result *result, const struct answer *answer,
                 struct gv_observation *o, uint32_t guess)
{
    const struct gv_scene *scene = p->scene;
    uint32_t node = answer->asked.node;
    bool untrusted = answer->listing.state == GV_VERDICT_UNTRUSTED;

    o->attempts = 1;
    o->new_visit = guess == 0;
    o->unix_ms = now_ms(p) + guess * GUESS_S * 1000;
    int rc = gv_history_observe(p->histories[node], result, o->unix_ms, o,
                                untrusted ? GV_STRICT_MESH : GV_STRICT_NOT, true);
    gv_assert(rc == GV_OK);
    if (result->signal && scene->members[node].since_min > gv_player_minute(p))
        result->signal = false; /* not a member yet */
}

static void succeed(struct gv_player *p, uint32_t subject, uint32_t node, uint64_t account,
                    uint32_t days_ago)
{
    struct gv_observation o = observation(p, subject, account);
    struct gv_history_result result;

    o.success = true;
    o.new_visit = true;
    o.past = days_ago > 0;
    o.unix_ms -= (uint64_t)days_ago * GV_SCENE_DAY_S * 1000;
    int rc = gv_history_observe(p->histories[node], &result, now_ms(p), &o, GV_STRICT_NOT, true);
    gv_assert(rc == GV_OK);
}

/* ---- moments --------------------------------------------------------------------------------- */

static void count_visit(struct gv_player *p, uint32_t subject, uint32_t guesses, uint32_t through,
                        bool refused)
{
    const struct gv_address_row *row = &p->ground.addresses[subject];
    uint32_t base = guesses < BASE_GUESSES ? guesses : BASE_GUESSES;

    if (!scored(p))
        return;
    if (row->kind == GV_ADDRESS_SPRAY) {
        p->score->spray_base += base;
        p->score->spray += through;
    }
    if (row->kind != GV_ADDRESS_BOT)
        return;
    p->score->visits++;
    p->score->visits_refused += refused;
    p->score->attempts_base += base;
    p->score->attempts += through;
    if (row->guarded) {
        p->score->guarded_base += base;
        p->score->guarded += through;
    }
}

static void visit(struct gv_player *p, const struct gv_moment *moment)
{
    struct answer answer;
    struct gv_history_result result;
    struct gv_observation o = observation(p, moment->subject, 0);
    uint32_t through = 0, most = moment->n < BASE_GUESSES ? moment->n : BASE_GUESSES;
    bool locked = false;

    decide(p, &answer, moment->subject, moment->node, true);
    bool refused = answer.decision.action == GV_ACTION_REFUSE;
    while (!refused && !locked && through < most) {
        bool unknown = through == 0 && moment->flags & GV_MOMENT_UNKNOWN;
        o.account = mix(moment->account, through);
        o.password = 0;
        o.kind = unknown ? GV_KIND_UNKNOWN_ACCOUNT : GV_KIND_WRONG_PASSWORD;
        fail(p, &result, &answer, &o, through++);
        locked = result.locked_now;
        if (result.signal)
            gv_player_say(p, moment->node, moment->subject, result.statement.count);
    }
    count_visit(p, moment->subject, moment->n, through, refused);
    if (!refused)
        followed(p, &answer, false);
}

static void count_refused(struct gv_player *p, const struct answer *answer, bool shared)
{
    struct gv_score *s = p->score;

    if (answer->decision.reason == GV_REASON_LOCKED_HERE) {
        s->refused_locked += !shared;
        s->refused_locked_shared += shared;
        return;
    }
    s->refused += !shared;
    s->refused_shared += shared;
    s->refused_clean += answer->facts.clean;
}

/* Returns whether the typo locked its user out. */
static bool mistype(struct gv_player *p, const struct gv_moment *moment,
                    const struct answer *answer)
{
    struct gv_history_result result;
    struct gv_observation o = observation(p, moment->subject, mix(moment->account, moment->node));

    o.kind = moment->flags & GV_MOMENT_UNKNOWN ? GV_KIND_UNKNOWN_ACCOUNT : GV_KIND_WRONG_PASSWORD;
    fail(p, &result, answer, &o, 0);
    if (result.signal)
        gv_player_say(p, moment->node, moment->subject, result.statement.count);
    return result.locked_now;
}

static void login(struct gv_player *p, const struct gv_moment *moment)
{
    bool shared = moment->flags & GV_MOMENT_SHARED;
    struct answer answer;

    decide(p, &answer, moment->subject, moment->node, false);
    p->score->logins += !shared;
    p->score->logins_shared += shared;
    p->score->logins_clean += !shared && answer.facts.clean;
    if (answer.decision.action == GV_ACTION_REFUSE) {
        count_refused(p, &answer, shared);
        return;
    }
    if (moment->flags & GV_MOMENT_MISTYPED && mistype(p, moment, &answer)) {
        p->score->lockouts += !shared;
        p->score->lockouts_shared += shared;
        return;
    }
    succeed(p, moment->subject, moment->node, mix(moment->account, moment->node), 0);
    followed(p, &answer, true);
}

/* A node that does not notice signals whoever fails three times. */
static bool accuse(struct gv_player *p, const struct gv_moment *moment)
{
    size_t i = 0;

    while (i < p->accused_count &&
           (p->accused[i].node != moment->node || p->accused[i].subject != moment->subject))
        i++;
    if (i == p->accused_count) {
        gv_assert(p->accused_count < ACCUSED_MAX);
        p->accused[p->accused_count++] = (struct gv_accused){moment->node, moment->subject, 0};
    }
    return ++p->accused[i].failures == 3;
}

static void break_login(struct gv_player *p, const struct gv_moment *moment)
{
    struct answer answer;
    struct gv_history_result result;
    struct gv_observation o = observation(p, moment->subject, mix(moment->account, moment->node));

    decide(p, &answer, moment->subject, moment->node, false);
    if (answer.decision.action == GV_ACTION_REFUSE)
        return;
    o.kind = GV_KIND_WRONG_PASSWORD;
    fail(p, &result, &answer, &o, 0);
    p->score->broken_alarms += result.broken_login;
    bool says = p->plan->campaign.unchecked ? accuse(p, moment) : result.signal;
    p->score->broken_signals += says;
    if (says)
        gv_player_say(p, moment->node, moment->subject, 5);
}

static void give_up(struct gv_player *p, const struct gv_moment *moment)
{
    struct answer answer;

    decide(p, &answer, moment->subject, moment->node, false);
    if (answer.decision.action != GV_ACTION_REFUSE)
        (void)mistype(p, moment, &answer);
}

static void play_moment(struct gv_player *p, const struct gv_moment *moment)
{
    switch ((enum gv_moment_kind)moment->kind) {
    case GV_MOMENT_VISIT:
        visit(p, moment);
        break;
    case GV_MOMENT_LOGIN:
        login(p, moment);
        break;
    case GV_MOMENT_QUIET:
        succeed(p, moment->subject, moment->node, mix(moment->account, moment->node), moment->n);
        break;
    case GV_MOMENT_TYPO:
        give_up(p, moment);
        break;
    case GV_MOMENT_BROKEN:
        break_login(p, moment);
        break;
    case GV_MOMENT_SAY:
    case GV_MOMENT_RETRACT:
    case GV_MOMENT_REPEAT:
        gv_player_hostile(p, moment);
        break;
    }
}

/* ---- a run ----------------------------------------------------------------------------------- */

static void new_day(struct gv_player *p)
{
    struct gv_subject gone;

    if (p->rule->day)
        p->rule->day(p->state, gv_player_minute(p));
    for (uint32_t i = 0; i < p->scene->nodes; i++)
        while (gv_history_expire(p->histories[i], &gone, now_ms(p), HISTORY_MAX))
            ;
}

/* Advances the clock to an moment's second; what is due and each midnight come first. */
static void advance(struct gv_player *p, uint32_t at_s)
{
    while (p->now_s / GV_SCENE_DAY_S < at_s / GV_SCENE_DAY_S) {
        p->now_s = (p->now_s / GV_SCENE_DAY_S + 1) * GV_SCENE_DAY_S;
        gv_player_deliver(p);
        new_day(p);
    }
    p->now_s = at_s;
    gv_player_deliver(p);
}

/* Asks for what soon comes of a list reads; lies read no history. */
static void look_ahead(const struct gv_player *p, const struct gv_moments *moments, size_t at)
{
    size_t far = at + TABLES_AHEAD, near = at + ROWS_AHEAD;

    if (far < moments->count && moments->at[far].node < p->scene->nodes)
        gv_history_fetch(p->histories[moments->at[far].node], &p->places[moments->at[far].subject]);
    if (near < moments->count && moments->at[near].node < p->scene->nodes)
        gv_history_fetch_rows(p->histories[moments->at[near].node],
                              &p->places[moments->at[near].subject]);
}

/* Both lists are in order; of one second the scene's comes first. Rules that do not learn are shown
 * only the logins of the days before the last week's: nothing else of them could matter. */
static void play_all(struct gv_player *p)
{
    const struct gv_moments *a = &p->scene->moments, *b = &p->plan->moments;
    size_t i = 0, j = 0;

    while (i < a->count || j < b->count) {
        bool first = j == b->count || (i < a->count && a->at[i].at_s <= b->at[j].at_s);
        size_t at = first ? i++ : j++;
        const struct gv_moment *moment = &(first ? a : b)->at[at];
        if (moment->at_s < p->start_s && moment->kind != GV_MOMENT_QUIET)
            continue;
        look_ahead(p, first ? a : b, at);
        if (moment->at_s > p->now_s)
            advance(p, moment->at_s);
        play_moment(p, moment);
    }
}

static void open_player(struct gv_player *p)
{
    uint8_t key[16] = {'h', 'i', 's', 't'};
    uint32_t warm_s = WARM_DAYS * GV_SCENE_DAY_S;

    p->start_s = p->rule->learns || p->scene->score_s < warm_s ? 0 : p->scene->score_s - warm_s;
    p->now_s = p->start_s;
    gv_ground_open(&p->ground, p->scene, p->plan);
    p->state = p->rule->open(p->rule, &p->ground);
    p->histories = calloc(p->scene->nodes, sizeof *p->histories);
    p->accused = calloc(ACCUSED_MAX, sizeof *p->accused);
    p->places = calloc(p->ground.address_count + 1, sizeof *p->places);
    gv_assert(p->histories && p->accused && p->places);
    for (uint32_t i = 0; i < p->scene->nodes; i++) {
        p->histories[i] = gv_history_new(HISTORY_MAX, key);
        gv_assert(p->histories[i]);
    }
    for (size_t i = 0; i < p->ground.address_count; i++)
        gv_history_place(p->histories[0], &p->places[i], &p->ground.addresses[i].subject);
    gv_dice_seed(&p->dice, p->scene->seed, 11);
}

static void close_player(struct gv_player *p)
{
    for (uint32_t i = 0; i < p->scene->nodes; i++)
        gv_history_free(p->histories[i]);
    p->rule->close(p->state);
    gv_ground_close(&p->ground);
    free(p->histories);
    free(p->places);
    free(p->accused);
    free(p->honest);
    free(p->spreading.at);
    free(p->repeating.at);
}

void gv_play(struct gv_score *out, const struct gv_scene *scene, const struct gv_plan *plan,
             const struct gv_rule *rule)
{
    struct gv_player player = {.score = out, .scene = scene, .plan = plan, .rule = rule};

    memset(out, 0, sizeof *out);
    out->identities = plan->owners;
    out->age_days = plan->age_days;
    out->addresses = plan->addresses_used;
    out->own_visits = plan->visits;
    open_player(&player);
    play_all(&player);
    close_player(&player);
}
