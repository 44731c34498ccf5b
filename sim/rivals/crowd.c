/* After what CrowdSec publishes of its consensus: reporters have a trust rank that grows with age
 * and with reports that trusted others confirm, an address needs reporters of rank in several
 * autonomous systems, and the company's own sensors (here: the pretrusted) count most. The numbers
 * are not public; these are ours: rank 1 after 7 days and 3 confirmed reports, 2 after 14 and 8, 3
 * after 21 and 15, 4 after 30 and 25, sensors 5; listed, and refused, at a sum of 5 over 3
 * networks. */
#include <stdlib.h>

#include "crypto/error.h"
#include "sim/rivals/board.h"
#include "sim/rivals/learners.h"

#define SENSOR    5000u
#define THRESHOLD 5000u
#define NETWORKS  3u

static const struct {
    uint32_t days, confirmed, rank;
} ladder[] = {{7, 3, 1000}, {14, 8, 2000}, {21, 15, 3000}, {30, 25, 4000}};

struct crowd {
    struct gv_board board;
    uint32_t *confirmed, *ranks; /* owned; by owner */
};

static void rank(struct crowd *c, uint32_t now_min)
{
    const struct gv_ground *ground = c->board.ground;

    for (uint32_t i = 0; i < ground->member_count; i++) {
        uint32_t owner = ground->owner_of[i], since = ground->members[i].since_min;
        uint32_t days = now_min > since ? (now_min - since) / GV_DAY_MIN : 0;
        c->ranks[owner] = ground->members[i].pretrusted ? SENSOR : 0;
        for (size_t step = 0; step < sizeof ladder / sizeof *ladder; step++)
            if (c->ranks[owner] < SENSOR && days >= ladder[step].days &&
                c->confirmed[owner] >= ladder[step].confirmed)
                c->ranks[owner] = ladder[step].rank;
    }
    c->board.epoch++;
}

void *gv_crowd_open(const struct gv_rule *rule, const struct gv_ground *ground)
{
    struct crowd *c = calloc(1, sizeof *c);
    size_t n = ground->owner_count + 1;

    (void)rule;
    gv_assert(c);
    gv_board_open(&c->board, ground);
    c->confirmed = calloc(n, sizeof *c->confirmed);
    c->ranks = calloc(n, sizeof *c->ranks);
    gv_assert(c->confirmed && c->ranks);
    rank(c, ground->start_min);
    return c;
}

void gv_crowd_close(void *state)
{
    struct crowd *c = state;

    gv_board_close(&c->board);
    free(c->confirmed);
    free(c->ranks);
    free(c);
}

/* Confirmed: a sensor says so too, or reporters of rank 1 and more in another network. */
void gv_crowd_heard(void *state, const struct gv_word *said)
{
    struct crowd *c = state;
    const struct gv_ground *ground = c->board.ground;
    struct gv_board_row *row = &c->board.rows[said->subject];

    gv_board_prune(row, said->at_min);
    uint32_t before = row->count, owner = ground->owner_of[said->member];
    row = gv_board_enter(&c->board, said);
    if (!row || row->count == before)
        return;
    bool mine = false;
    for (uint32_t v = 0; v < before; v++) {
        uint32_t member = row->votes[v].member, other = ground->owner_of[member];
        if (ground->group_of[member] == ground->group_of[said->member])
            continue;
        mine |= c->ranks[other] > 0;
        if (c->ranks[owner] > 0)
            c->confirmed[other]++;
    }
    c->confirmed[owner] += mine;
}

static void judge(void *state, struct gv_listing *out, struct gv_board_row *row, uint32_t now_min)
{
    struct crowd *c = state;
    struct gv_tally t;

    (void)now_min;
    gv_board_tally(&c->board, &t, row, c->ranks);
    out->weight = t.sum;
    out->groups = t.groups;
    out->refuse = t.groups >= NETWORKS && t.sum >= THRESHOLD;
}

void gv_crowd_ask(void *state, struct gv_listing *out, const struct gv_asked *asked)
{
    struct crowd *c = state;

    gv_board_ask(&c->board, out, asked, judge, c);
}

void gv_crowd_day(void *state, uint32_t now_min)
{
    struct crowd *c = state;

    gv_board_sweep(&c->board, now_min);
    rank(c, now_min);
}
