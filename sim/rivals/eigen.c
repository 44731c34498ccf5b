/* EigenTrust. Owner i trusts owner j by how often j had said of a subject within the last day what
 * i found out himself; rows are normalised, hostile owners trust each other only, and with a = 0.15
 * the walk returns to the pretrusted. Listed, and refused, when its reporters together have the
 * trust of two average members, and are two. */
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "sim/rivals/board.h"
#include "sim/rivals/learners.h"

#define ONE       (UINT64_C(1) << 32)
#define ROUNDS    8
#define AVERAGE   1000u /* trust of an average member */
#define THRESHOLD 2000u
#define EVERY     3u /* days from one computation to the next */

struct eigen {
    struct gv_board board;
    uint16_t *local; /* owned: owners * owners, i trusts j */
    uint64_t *trust, *next;
    uint32_t *weights; /* owned */
    uint32_t owners, honest_owners, days;
    uint32_t *pretrusted;
    uint32_t pretrusted_count;
};

static void compute(struct eigen *e)
{
    uint32_t n = e->owners;

    for (uint32_t i = 0; i < n; i++)
        e->trust[i] = ONE / n;
    for (int round = 0; round < ROUNDS; round++) {
        memset(e->next, 0, n * sizeof *e->next);
        uint64_t spread = 0; /* of those who trust nobody yet: to the pretrusted */
        for (uint32_t i = 0; i < n; i++) {
            const uint16_t *row = e->local + (size_t)i * n;
            uint64_t sum = 0;
            for (uint32_t j = 0; j < n; j++)
                sum += row[j];
            if (sum == 0) {
                spread += e->trust[i];
                continue;
            }
            uint64_t share = (e->trust[i] << 16) / sum;
            for (uint32_t j = 0; j < n; j++)
                e->next[j] += share * row[j] >> 16;
        }
        for (uint32_t i = 0; i < n; i++)
            e->trust[i] = e->next[i] * 85 / 100;
        uint64_t back = (spread * 85 / 100 + ONE * 15 / 100) / e->pretrusted_count;
        for (uint32_t i = 0; i < e->pretrusted_count; i++)
            e->trust[e->pretrusted[i]] += back;
    }
    for (uint32_t i = 0; i < n; i++)
        e->weights[i] = (uint32_t)(e->trust[i] * n * AVERAGE >> 32);
    e->board.epoch++;
}

void *gv_eigen_open(const struct gv_rule *rule, const struct gv_ground *ground)
{
    struct eigen *e = calloc(1, sizeof *e);
    size_t n = ground->owner_count;

    (void)rule;
    gv_assert(e);
    gv_board_open(&e->board, ground);
    e->owners = ground->owner_count;
    e->local = calloc(n * n + 1, sizeof *e->local);
    e->trust = calloc(n + 1, sizeof *e->trust);
    e->next = calloc(n + 1, sizeof *e->next);
    e->weights = calloc(n + 1, sizeof *e->weights);
    e->pretrusted = calloc(n + 1, sizeof *e->pretrusted);
    gv_assert(e->local && e->trust && e->next && e->weights && e->pretrusted);
    for (uint32_t i = 0; i < ground->honest; i++)
        if (ground->members[i].pretrusted)
            e->pretrusted[e->pretrusted_count++] = ground->owner_of[i];
    for (uint32_t i = ground->honest; i < ground->member_count; i++)
        for (uint32_t j = ground->honest; j < ground->member_count; j++)
            if (ground->owner_of[i] != ground->owner_of[j])
                e->local[ground->owner_of[i] * n + ground->owner_of[j]] = 1;
    compute(e);
    return e;
}

void gv_eigen_close(void *state)
{
    struct eigen *e = state;

    gv_board_close(&e->board);
    free(e->local);
    free(e->trust);
    free(e->next);
    free(e->weights);
    free(e->pretrusted);
    free(e);
}

void gv_eigen_heard(void *state, const struct gv_word *said)
{
    struct eigen *e = state;
    const struct gv_ground *ground = e->board.ground;
    struct gv_board_row *row = &e->board.rows[said->subject];
    uint32_t i = ground->owner_of[said->member];

    gv_board_prune(row, said->at_min);
    uint32_t before = row->count;
    row = gv_board_enter(&e->board, said);
    if (!row || row->count == before || said->member >= ground->honest)
        return;
    for (uint32_t v = 0; v < before; v++) {
        uint16_t *local = &e->local[(size_t)i * e->owners + ground->owner_of[row->votes[v].member]];
        if (ground->owner_of[row->votes[v].member] != i && *local < UINT16_MAX)
            ++*local;
    }
}

static void judge(void *state, struct gv_listing *out, struct gv_board_row *row, uint32_t now_min)
{
    struct eigen *e = state;
    struct gv_tally t;

    (void)now_min;
    gv_board_tally(&e->board, &t, row, e->weights);
    out->weight = t.sum;
    out->groups = t.groups;
    out->refuse = t.owners >= 2 && t.sum >= THRESHOLD;
}

void gv_eigen_ask(void *state, struct gv_listing *out, const struct gv_asked *asked)
{
    struct eigen *e = state;

    gv_board_ask(&e->board, out, asked, judge, e);
}

void gv_eigen_day(void *state, uint32_t now_min)
{
    struct eigen *e = state;

    gv_board_sweep(&e->board, now_min);
    if (e->days++ % EVERY == 0)
        compute(e);
}
