#include "sim/rivals/quorum.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "sim/rivals/board.h"

enum needs { LOCAL_ONLY, COUNTED, ORACLE };

/* What each rule of this file is made of, by its name. */
struct kind {
    const char *name;
    enum needs needs;
    uint32_t owners, groups, tenure_days;
};
static const struct kind kinds[] = {
    {"local-log", LOCAL_ONLY, 0, 0, 0},
    {"quorum-2", COUNTED, 2, 1, 0},
    {"quorum-3", COUNTED, 3, 1, 0},
    {"quorum-2-networks", COUNTED, 2, 2, 0},
    {"quorum-3-networks", COUNTED, 3, 3, 0},
    {"tenured-quorum", COUNTED, 3, 3, 30},
    {"oracle", ORACLE, 1, 1, 0},
};

struct quorum {
    struct gv_board board;
    struct kind kind;
    uint32_t *weights; /* owned; by owner: 1000 once old enough */
};

static void weigh(struct quorum *q, uint32_t now_min)
{
    const struct gv_ground *ground = q->board.ground;

    for (uint32_t i = 0; i < ground->member_count; i++) {
        uint32_t since = ground->members[i].since_min;
        bool old = now_min >= since && now_min - since >= q->kind.tenure_days * GV_DAY_MIN;
        q->weights[ground->owner_of[i]] = old ? 1000 : 0;
    }
    q->board.epoch++;
}

void *gv_quorum_open(const struct gv_rule *rule, const struct gv_ground *ground)
{
    struct quorum *q = calloc(1, sizeof *q);
    size_t i = 0;

    gv_assert(q);
    while (strcmp(kinds[i].name, rule->name) != 0)
        gv_assert(++i < sizeof kinds / sizeof *kinds);
    q->kind = kinds[i];
    gv_board_open(&q->board, ground);
    q->weights = calloc(ground->owner_count + 1, sizeof *q->weights);
    gv_assert(q->weights);
    weigh(q, ground->start_min);
    return q;
}

void gv_quorum_close(void *state)
{
    struct quorum *q = state;

    gv_board_close(&q->board);
    free(q->weights);
    free(q);
}

void gv_quorum_heard(void *state, const struct gv_word *said)
{
    struct quorum *q = state;

    if (q->kind.needs != LOCAL_ONLY)
        (void)gv_board_enter(&q->board, said);
}

static void judge(void *state, struct gv_listing *out, struct gv_board_row *row, uint32_t now_min)
{
    struct quorum *q = state;
    struct gv_tally t;

    (void)now_min;
    gv_board_tally(&q->board, &t, row, q->kind.tenure_days > 0 ? q->weights : NULL);
    out->refuse = t.owners >= q->kind.owners && t.groups >= q->kind.groups;
    out->groups = t.groups;
    out->weight = t.weight;
}

/* The oracle knows who is who: it refuses an attacker once any honest host has spoken of him, which
 * is all that sharing could ever do, and nobody else. */
static void know(struct quorum *q, struct gv_listing *out, const struct gv_asked *asked)
{
    const struct gv_board_row *row = &q->board.rows[asked->subject];

    memset(out, 0, sizeof *out);
    for (uint32_t i = 0; i < row->count; i++)
        out->refuse |= asked->attacker && row->votes[i].member < q->board.ground->honest;
}

void gv_quorum_ask(void *state, struct gv_listing *out, const struct gv_asked *asked)
{
    struct quorum *q = state;

    memset(out, 0, sizeof *out);
    if (q->kind.needs == ORACLE)
        know(q, out, asked);
    else if (q->kind.needs == COUNTED)
        gv_board_ask(&q->board, out, asked, judge, q);
}

void gv_quorum_day(void *state, uint32_t now_min)
{
    struct quorum *q = state;

    if (q->kind.needs == LOCAL_ONLY)
        return;
    if (q->kind.needs == COUNTED)
        gv_board_sweep(&q->board, now_min);
    weigh(q, now_min);
}
