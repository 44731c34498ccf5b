/* Fides on our traces: each node has its own trust in each peer. A living signal is the word "bad,
 * surely"; what follows at the node itself is the base line where it has one (a failure: bad, a
 * login: good), as with its comparison to local intelligence. Pretrusted peers have 0.95 for good,
 * others begin at 0.5. Listed, and refused, when the aggregate says bad with a confidence of 0.6:
 * strangers alone never reach it. */
#include <stdlib.h>

#include "crypto/error.h"
#include "sim/rivals/board.h"
#include "sim/rivals/fides_model.h"
#include "sim/rivals/learners.h"

#define WORDS_MAX  64u
#define REPUTATION (GV_FIDES_ONE / 2)
#define PRETRUSTED (GV_FIDES_ONE * 95 / 100)
#define CONFIDENT  (GV_FIDES_ONE * 6 / 10)

struct fides {
    struct gv_board board;
    struct gv_fides_peer *peers; /* owned: node * members + member */
};

void *gv_fides_open(const struct gv_rule *rule, const struct gv_ground *ground)
{
    struct fides *f = calloc(1, sizeof *f);

    (void)rule;
    gv_assert(f);
    gv_board_open(&f->board, ground);
    f->peers = calloc((size_t)ground->honest * ground->member_count, sizeof *f->peers);
    gv_assert(f->peers);
    return f;
}

void gv_fides_close(void *state)
{
    struct fides *f = state;

    gv_board_close(&f->board);
    free(f->peers);
    free(f);
}

void gv_fides_heard(void *state, const struct gv_word *said)
{
    struct fides *f = state;

    (void)gv_board_enter(&f->board, said);
}

static struct gv_fides_peer *peer_of(struct fides *f, uint32_t node, uint32_t member)
{
    return &f->peers[(size_t)node * f->board.ground->member_count + member];
}

void gv_fides_ask(void *state, struct gv_listing *out, const struct gv_asked *asked)
{
    struct fides *f = state;
    struct gv_board_row *row = &f->board.rows[asked->subject];
    struct gv_fides_word words[WORDS_MAX], all;
    size_t count = 0;

    *out = (struct gv_listing){0};
    gv_board_prune(row, asked->now_min);
    for (uint32_t i = 0; i < row->count && count < WORDS_MAX; i++) {
        uint32_t member = row->votes[i].member;
        if (member == asked->node)
            continue;
        bool fixed = f->board.ground->members[member].pretrusted;
        words[count++] = (struct gv_fides_word){
            -GV_FIDES_ONE, GV_FIDES_ONE,
            fixed ? PRETRUSTED : gv_fides_trust(peer_of(f, asked->node, member), REPUTATION)};
    }
    if (count == 0)
        return;
    gv_fides_aggregate(&all, words, count);
    out->weight = all.confidence;
    out->refuse = all.score < -GV_FIDES_ONE / 2 && all.confidence >= CONFIDENT;
}

void gv_fides_followed(void *state, const struct gv_asked *asked, bool success)
{
    struct fides *f = state;
    const struct gv_board_row *row = &f->board.rows[asked->subject];
    struct gv_fides_word base = {success ? GV_FIDES_ONE : -GV_FIDES_ONE, GV_FIDES_ONE, 0};
    struct gv_fides_word word = {-GV_FIDES_ONE, GV_FIDES_ONE, 0};

    for (uint32_t i = 0; i < row->count; i++)
        if (row->votes[i].member != asked->node &&
            row->votes[i].at_min + GV_DAY_MIN >= asked->now_min)
            gv_fides_add(peer_of(f, asked->node, row->votes[i].member),
                         gv_fides_distance(&word, &base));
}

void gv_fides_day(void *state, uint32_t now_min)
{
    struct fides *f = state;

    gv_board_sweep(&f->board, now_min);
}
