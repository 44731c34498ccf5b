/* The local record: each node remembers who was right in its own log. Of a subject that fails here,
 * its living reporters were right; of one that logs in here, wrong. Who was wrong as often as right
 * is not heard by this node. Untrusted at a sum of 2 over two networks of tenured owners; then the
 * same action as with our rule. */
#include <stdlib.h>

#include "crypto/error.h"
#include "sim/rivals/board.h"
#include "sim/rivals/learners.h"

#define TENURE_MIN (30 * GV_DAY_MIN)
#define THRESHOLD  2000u

struct tick {
    uint16_t right, wrong;
};

struct record {
    struct gv_board board;
    struct tick *ticks; /* owned: node * owners + owner */
    uint32_t *weights;  /* owned: by owner; of the node that asks */
    uint32_t *since;    /* owned: by owner */
};

void *gv_record_open(const struct gv_rule *rule, const struct gv_ground *ground)
{
    struct record *r = calloc(1, sizeof *r);
    size_t n = ground->owner_count + 1;

    (void)rule;
    gv_assert(r);
    gv_board_open(&r->board, ground);
    r->ticks = calloc(n * ground->honest, sizeof *r->ticks);
    r->weights = calloc(n, sizeof *r->weights);
    r->since = calloc(n, sizeof *r->since);
    gv_assert(r->ticks && r->weights && r->since);
    for (uint32_t i = 0; i < ground->member_count; i++)
        r->since[ground->owner_of[i]] = ground->members[i].since_min;
    return r;
}

void gv_record_close(void *state)
{
    struct record *r = state;

    gv_board_close(&r->board);
    free(r->ticks);
    free(r->weights);
    free(r->since);
    free(r);
}

void gv_record_heard(void *state, const struct gv_word *said)
{
    struct record *r = state;

    (void)gv_board_enter(&r->board, said);
}

static struct tick *tick_of(struct record *r, uint32_t node, uint32_t owner)
{
    return &r->ticks[(size_t)node * r->board.ground->owner_count + owner];
}

void gv_record_ask(void *state, struct gv_listing *out, const struct gv_asked *asked)
{
    struct record *r = state;
    const struct gv_ground *ground = r->board.ground;
    struct gv_board_row *row = &r->board.rows[asked->subject];
    struct gv_tally t;

    *out = (struct gv_listing){0};
    gv_board_prune(row, asked->now_min);
    for (uint32_t i = 0; i < row->count; i++) {
        uint32_t owner = ground->owner_of[row->votes[i].member];
        const struct tick *tick = tick_of(r, asked->node, owner);
        bool heard = tick->wrong == 0 || tick->right > tick->wrong;
        r->weights[owner] =
            heard && row->votes[i].at_min >= r->since[owner] + TENURE_MIN ? 1000 : 0;
    }
    if (row->count == 0)
        return;
    gv_board_tally(&r->board, &t, row, r->weights);
    out->weight = t.weight;
    out->groups = t.groups;
    if (t.owners >= 2 && t.groups >= 2 && t.weight >= THRESHOLD)
        out->state = GV_VERDICT_UNTRUSTED;
}

void gv_record_followed(void *state, const struct gv_asked *asked, bool success)
{
    struct record *r = state;
    const struct gv_board_row *row = &r->board.rows[asked->subject];

    for (uint32_t i = 0; i < row->count; i++) {
        uint32_t member = row->votes[i].member;
        if (member == asked->node || row->votes[i].at_min + GV_DAY_MIN < asked->now_min)
            continue;
        struct tick *tick = tick_of(r, asked->node, r->board.ground->owner_of[member]);
        uint16_t *count = success ? &tick->wrong : &tick->right;
        if (*count < UINT16_MAX)
            ++*count;
    }
}

void gv_record_day(void *state, uint32_t now_min)
{
    struct record *r = state;

    gv_board_sweep(&r->board, now_min);
}
