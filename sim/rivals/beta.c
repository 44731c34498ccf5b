/* Beta reputation. A report is a good deed when another owner says the same within a day, and a
 * quarter of a bad one when nobody does: most attackers visit one node only, so an honest report is
 * often alone. E = (r + 1) / (r + s + 2); deeds fade by a fiftieth a day. Listed, and refused, when
 * what its reporters' reputations exceed the neutral one by, doubled, comes to 1.5. */
#include <stdlib.h>

#include "crypto/error.h"
#include "sim/rivals/board.h"
#include "sim/rivals/learners.h"

#define GOOD      1000u
#define BAD       250u
#define FADE      50u
#define THRESHOLD 1500u

struct beta {
    struct gv_board board;
    uint32_t *good, *bad; /* owned; by owner, thousandths of deeds */
    uint32_t *weights;    /* owned: max(0, 2 E - 1), thousandths */
};

static void weigh(struct beta *b)
{
    for (uint32_t i = 0; i < b->board.ground->owner_count; i++)
        b->weights[i] = b->good[i] <= b->bad[i]
                            ? 0
                            : (uint32_t)(UINT64_C(1000) * (b->good[i] - b->bad[i]) /
                                         (b->good[i] + b->bad[i] + 2000));
    b->board.epoch++;
}

void *gv_beta_open(const struct gv_rule *rule, const struct gv_ground *ground)
{
    struct beta *b = calloc(1, sizeof *b);
    size_t owners = ground->owner_count + 1;

    (void)rule;
    gv_assert(b);
    gv_board_open(&b->board, ground);
    b->good = calloc(owners, sizeof *b->good);
    b->bad = calloc(owners, sizeof *b->bad);
    b->weights = calloc(owners, sizeof *b->weights);
    gv_assert(b->good && b->bad && b->weights);
    return b;
}

void gv_beta_close(void *state)
{
    struct beta *b = state;

    gv_board_close(&b->board);
    free(b->good);
    free(b->bad);
    free(b->weights);
    free(b);
}

void gv_beta_heard(void *state, const struct gv_word *said)
{
    struct beta *b = state;
    struct gv_board_row *row = &b->board.rows[said->subject];
    const uint32_t *owner_of = b->board.ground->owner_of;

    gv_board_prune(row, said->at_min);
    uint32_t before = row->count;
    row = gv_board_enter(&b->board, said);
    if (!row || row->count == before)
        return;
    struct gv_tally t;
    gv_board_tally(&b->board, &t, row, NULL);
    if (t.owners < 2)
        return;
    b->good[owner_of[said->member]] += GOOD;
    if (!row->settled)
        b->good[owner_of[row->votes[0].member]] += GOOD;
    row->settled = true;
}

static void judge(void *state, struct gv_listing *out, struct gv_board_row *row, uint32_t now_min)
{
    struct beta *b = state;
    struct gv_tally t;

    (void)now_min;
    gv_board_tally(&b->board, &t, row, b->weights);
    out->weight = t.sum;
    out->groups = t.groups;
    out->refuse = t.owners >= 2 && t.sum >= THRESHOLD;
}

void gv_beta_ask(void *state, struct gv_listing *out, const struct gv_asked *asked)
{
    struct beta *b = state;

    gv_board_ask(&b->board, out, asked, judge, b);
}

void gv_beta_day(void *state, uint32_t now_min)
{
    struct beta *b = state;

    for (size_t i = 0; i < b->board.active_count; i++) {
        struct gv_board_row *row = &b->board.rows[b->board.active[i]];
        if (row->count == 1 && !row->settled && row->votes[0].at_min + GV_DAY_MIN < now_min)
            b->bad[b->board.ground->owner_of[row->votes[0].member]] += BAD;
    }
    gv_board_sweep(&b->board, now_min);
    for (uint32_t i = 0; i < b->board.ground->owner_count; i++) {
        b->good[i] -= b->good[i] / FADE;
        b->bad[i] -= b->bad[i] / FADE;
    }
    weigh(b);
}
