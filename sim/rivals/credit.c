/* Credit for the first true witness. Who is the first to speak of a subject earns when an owner of
 * credit in another network confirms it within a week; a confirmer can mint little a day, a subject
 * grants 0.15 at most, and credit fades by a 45th a day. Those below 0.2 together weigh 0.3 at
 * most. Listed, and refused, at a sum of 2 over two networks. */
#include <stdlib.h>

#include "crypto/error.h"
#include "sim/rivals/board.h"
#include "sim/rivals/learners.h"

#define LEAST     20u
#define HEARD     200u
#define FULL      1000u
#define GRANT     150u
#define STRANGERS 300u
#define THRESHOLD 2000u

struct first {
    uint32_t member, at_min, last_min;
    bool known;
};

struct credit {
    struct gv_board board;
    struct first *first;       /* owned; by subject */
    uint32_t *credit, *minted; /* owned; by owner */
    uint32_t *known;           /* owned: credit of those that are heard, others 0 */
    bool *pretrusted;
};

static void weigh(struct credit *c)
{
    for (uint32_t i = 0; i < c->board.ground->owner_count; i++)
        c->known[i] = c->credit[i] >= HEARD ? c->credit[i] : 0;
    c->board.epoch++;
}

void *gv_credit_open(const struct gv_rule *rule, const struct gv_ground *ground)
{
    struct credit *c = calloc(1, sizeof *c);
    size_t n = ground->owner_count + 1;

    (void)rule;
    gv_assert(c);
    gv_board_open(&c->board, ground);
    c->first = calloc(ground->address_count + 1, sizeof *c->first);
    c->credit = calloc(n, sizeof *c->credit);
    c->minted = calloc(n, sizeof *c->minted);
    c->known = calloc(n, sizeof *c->known);
    c->pretrusted = calloc(n, sizeof *c->pretrusted);
    gv_assert(c->first && c->credit && c->minted && c->known && c->pretrusted);
    for (uint32_t i = 0; i < ground->member_count; i++) {
        c->pretrusted[ground->owner_of[i]] = ground->members[i].pretrusted;
        c->credit[ground->owner_of[i]] = ground->members[i].pretrusted ? FULL : LEAST;
    }
    weigh(c);
    return c;
}

void gv_credit_close(void *state)
{
    struct credit *c = state;

    gv_board_close(&c->board);
    free(c->first);
    free(c->credit);
    free(c->minted);
    free(c->known);
    free(c->pretrusted);
    free(c);
}

static void grant(struct credit *c, struct gv_board_row *row, uint32_t witness, uint32_t confirmer)
{
    uint32_t cap = c->pretrusted[confirmer] ? 2000 : c->credit[confirmer] / 90;
    uint32_t amount = GRANT * c->credit[confirmer] / 1000;

    if (c->credit[confirmer] < HEARD || row->granted >= GRANT || c->minted[confirmer] >= cap)
        return;
    if (amount > cap - c->minted[confirmer])
        amount = cap - c->minted[confirmer];
    c->minted[confirmer] += amount;
    row->granted += amount;
    if (!c->pretrusted[witness])
        c->credit[witness] =
            c->credit[witness] + amount < FULL ? c->credit[witness] + amount : FULL;
}

void gv_credit_heard(void *state, const struct gv_word *said)
{
    struct credit *c = state;
    const struct gv_ground *ground = c->board.ground;
    struct first *first = &c->first[said->subject];
    struct gv_board_row *row = gv_board_enter(&c->board, said);

    if (!row)
        return;
    if (!first->known || said->at_min > first->last_min + 7 * GV_DAY_MIN) {
        *first = (struct first){said->member, said->at_min, said->at_min, true};
        row->granted = 0;
    }
    first->last_min = said->at_min;
    if (ground->group_of[first->member] != ground->group_of[said->member] &&
        said->at_min <= first->at_min + 7 * GV_DAY_MIN)
        grant(c, row, ground->owner_of[first->member], ground->owner_of[said->member]);
}

static void judge(void *state, struct gv_listing *out, struct gv_board_row *row, uint32_t now_min)
{
    struct credit *c = state;
    struct gv_tally known, all;

    (void)now_min;
    gv_board_tally(&c->board, &known, row, c->known);
    gv_board_tally(&c->board, &all, row, c->credit);
    uint32_t strangers = all.sum - known.sum < STRANGERS ? all.sum - known.sum : STRANGERS;
    out->weight = known.weight + strangers;
    out->groups = known.groups;
    out->refuse = known.groups >= 2 && out->weight >= THRESHOLD;
}

void gv_credit_ask(void *state, struct gv_listing *out, const struct gv_asked *asked)
{
    struct credit *c = state;

    gv_board_ask(&c->board, out, asked, judge, c);
}

void gv_credit_day(void *state, uint32_t now_min)
{
    struct credit *c = state;

    gv_board_sweep(&c->board, now_min);
    for (uint32_t i = 0; i < c->board.ground->owner_count; i++) {
        c->minted[i] = 0;
        if (c->pretrusted[i])
            continue;
        c->credit[i] -= c->credit[i] / 45;
        if (c->credit[i] < LEAST)
            c->credit[i] = LEAST;
    }
    weigh(c);
}
