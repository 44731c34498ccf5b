/* What is said, by honest nodes and by others, and when everybody has heard it. */
#include <stdlib.h>

#include "crypto/error.h"
#include "proto/limits.h"
#include "sim/table/player.h"

#define KEEPERS       7u
#define MAJORITY      4u
#define REPEAT_S      60u /* an echo comes a minute after */
#define REPLAYED_DAYS 2u

uint32_t gv_player_minute(const struct gv_player *player)
{
    return player->scene->start_min + player->now_s / 60;
}

static void push(struct gv_pending_queue *queue, const struct gv_word *said, uint32_t due_s)
{
    if (queue->head > 0 && queue->head == queue->count)
        queue->head = queue->count = 0;
    if (queue->count == queue->cap) {
        queue->cap = queue->cap ? 2 * queue->cap : 1024;
        queue->at = realloc(queue->at, queue->cap * sizeof *queue->at);
        gv_assert(queue->at);
    }
    queue->at[queue->count++] = (struct gv_pending){*said, due_s};
}

/* Every node refuses what is over, or lies too far ahead (SPEC 8.1); for rivals too, since nobody
 * would build one that does not. */
static void hear(struct gv_player *p, const struct gv_word *said)
{
    uint32_t now_min = gv_player_minute(p);

    if (said->at_min + p->ground.policy.alive_min < now_min ||
        said->at_min > now_min + GV_AHEAD_MIN)
        return;
    p->rule->heard(p->state, said);
}

static void deliver(struct gv_player *p, struct gv_pending_queue *queue)
{
    while (queue->head < queue->count && queue->at[queue->head].due_s <= p->now_s)
        hear(p, &queue->at[queue->head++].said);
}

void gv_player_deliver(struct gv_player *player)
{
    deliver(player, &player->spreading);
    deliver(player, &player->repeating);
}

/* ---- keepers (SPEC 9.10) --------------------------------------------------------------------- */

/* How many of a subject's seven keepers, who are the same on every day, are hostile. */
static uint32_t hostile_keepers(const struct gv_player *p, uint32_t subject)
{
    uint32_t hostile = p->plan->campaign.owners, all = p->scene->nodes + hostile, count = 0;
    struct gv_dice dice;

    gv_dice_seed(&dice, p->scene->seed, UINT64_C(1) << 32 | subject);
    for (uint32_t i = 0; i < KEEPERS; i++)
        count += gv_dice_below(&dice, all) < hostile;
    return count;
}

/* ---- echoes ---------------------------------------------------------------------------------- */

static bool wants_echo(struct gv_player *p, const struct gv_word *said)
{
    const struct gv_campaign *c = &p->plan->campaign;
    bool guarded = p->ground.addresses[said->subject].guarded;

    if (c->leaks && hostile_keepers(p, said->subject) >= MAJORITY)
        return true;
    if (!c->echoes || guarded || (c->lies && p->now_s >= p->scene->score_s))
        return false;
    return gv_dice_percent(&p->dice, 50);
}

static void echo(struct gv_player *p, const struct gv_word *said)
{
    if (p->plan->member_count == 0 || !wants_echo(p, said))
        return;
    struct gv_word again = *said;
    again.member = p->scene->nodes + gv_dice_below(&p->dice, p->plan->member_count);
    if (p->ground.members[again.member].since_min > again.at_min)
        return;
    again.at_min = gv_player_minute(p) + REPEAT_S / 60;
    again.sequence = ++p->sequence;
    push(&p->repeating, &again, p->now_s + REPEAT_S);
    p->score->messages++;
    p->score->echoes++;
}

/* ---- saying ---------------------------------------------------------------------------------- */

static void remember(struct gv_player *p, const struct gv_word *said)
{
    if (!p->plan->campaign.replays)
        return;
    if (p->honest_count == p->honest_cap) {
        p->honest_cap = p->honest_cap ? 2 * p->honest_cap : 4096;
        p->honest = realloc(p->honest, p->honest_cap * sizeof *p->honest);
        gv_assert(p->honest);
    }
    p->honest[p->honest_count++] = *said;
}

void gv_player_say(struct gv_player *player, uint32_t node, uint32_t subject, uint32_t count)
{
    const struct gv_campaign *c = &player->plan->campaign;
    struct gv_word said = {.subject = subject,
                           .member = node,
                           .at_min = gv_player_minute(player),
                           .count = count,
                           .sequence = ++player->sequence};

    if (player->rule->may_say && !player->rule->may_say(player->state, node, said.at_min)) {
        gv_history_unsignal(player->histories[node], &player->ground.addresses[subject].subject);
        return;
    }
    player->score->signals += player->now_s >= player->scene->score_s;
    if (c->suppresses && player->ground.addresses[subject].guarded &&
        hostile_keepers(player, subject) == KEEPERS)
        return;
    remember(player, &said);
    push(&player->spreading, &said, player->now_s + player->scene->numbers.delay_s);
    echo(player, &said);
}

static void replay(struct gv_player *p, const struct gv_moment *moment)
{
    uint32_t oldest = gv_player_minute(p) - REPLAYED_DAYS * GV_DAY_MIN;
    size_t from = p->honest_count;

    while (from > 0 && p->honest[from - 1].at_min >= oldest)
        from--;
    if (from == p->honest_count)
        return;
    push(&p->spreading, &p->honest[from + moment->account % (p->honest_count - from)],
         p->now_s + p->scene->numbers.delay_s);
}

void gv_player_hostile(struct gv_player *player, const struct gv_moment *moment)
{
    uint32_t due_s = player->now_s + player->scene->numbers.delay_s;
    struct gv_word said = {.subject = moment->subject,
                           .member = moment->node,
                           .at_min = gv_player_minute(player) - moment->account,
                           .count = 20,
                           .sequence = ++player->sequence,
                           .retract = moment->kind == GV_MOMENT_RETRACT};

    player->score->messages++;
    if (moment->kind == GV_MOMENT_REPEAT) {
        replay(player, moment);
        return;
    }
    push(&player->spreading, &said, due_s);
    if (!(moment->flags & GV_MOMENT_TWICE))
        return;
    player->score->messages++;
    said.subject = said.subject > 0 ? said.subject - 1 : 1;
    push(&player->spreading, &said, due_s);
}
