#include "sim/rivals/board.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"

#define LIFE_MIN 1440u

void gv_board_open(struct gv_board *board, const struct gv_ground *ground)
{
    memset(board, 0, sizeof *board);
    board->ground = ground;
    board->rows = calloc(ground->address_count + 1, sizeof *board->rows);
    board->marks = calloc(ground->owner_count + ground->group_count + 1, sizeof *board->marks);
    board->sums = calloc(ground->group_count + 1, sizeof *board->sums);
    board->epoch = 1;
    gv_assert(board->rows && board->marks && board->sums);
}

void gv_board_close(struct gv_board *board)
{
    for (size_t i = 0; board->rows && i < board->ground->address_count; i++)
        free(board->rows[i].votes);
    free(board->rows);
    free(board->active);
    free(board->marks);
    free(board->sums);
    memset(board, 0, sizeof *board);
}

static void activate(struct gv_board *board, uint32_t subject)
{
    if (board->rows[subject].active)
        return;
    if (board->active_count == board->active_cap) {
        board->active_cap = board->active_cap ? 2 * board->active_cap : 1024;
        board->active = realloc(board->active, board->active_cap * sizeof *board->active);
        gv_assert(board->active);
    }
    board->active[board->active_count++] = subject;
    board->rows[subject].active = true;
}

void gv_board_prune(struct gv_board_row *row, uint32_t now_min)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < row->count; i++)
        if (row->votes[i].at_min + LIFE_MIN >= now_min)
            row->votes[kept++] = row->votes[i];
    row->count = kept;
}

struct gv_board_row *gv_board_enter(struct gv_board *board, const struct gv_word *said)
{
    struct gv_board_row *row = &board->rows[said->subject];
    uint32_t i = 0;

    row->epoch = 0;
    while (i < row->count && row->votes[i].member != said->member)
        i++;
    if (said->retract) {
        if (i < row->count)
            memmove(row->votes + i, row->votes + i + 1, (row->count - i - 1) * sizeof *row->votes);
        row->count -= i < row->count;
        return NULL;
    }
    if (i < row->count) {
        if (said->at_min > row->votes[i].at_min)
            row->votes[i].at_min = said->at_min;
        return row;
    }
    if (row->count == row->cap) {
        row->cap = row->cap ? 2 * row->cap : 2;
        row->votes = realloc(row->votes, row->cap * sizeof *row->votes);
        gv_assert(row->votes);
    }
    row->votes[row->count++] = (struct gv_board_vote){said->member, said->at_min};
    activate(board, said->subject);
    return row;
}

void gv_board_sweep(struct gv_board *board, uint32_t now_min)
{
    size_t kept = 0;

    for (size_t i = 0; i < board->active_count; i++) {
        struct gv_board_row *row = &board->rows[board->active[i]];
        gv_board_prune(row, now_min);
        if (row->count > 0) {
            board->active[kept++] = board->active[i];
            continue;
        }
        free(row->votes);
        memset(row, 0, sizeof *row);
    }
    board->active_count = kept;
}

void gv_board_tally(struct gv_board *board, struct gv_tally *out, const struct gv_board_row *row,
                    const uint32_t *weights)
{
    const struct gv_ground *ground = board->ground;
    uint32_t *of_owner = board->marks, *of_group = board->marks + ground->owner_count;

    memset(out, 0, sizeof *out);
    board->mark++;
    for (uint32_t i = 0; i < row->count; i++) {
        uint32_t owner = ground->owner_of[row->votes[i].member];
        uint32_t group = ground->group_of[row->votes[i].member];
        uint32_t weight = weights ? weights[owner] : 1000;
        if (weight == 0 || of_owner[owner] == board->mark)
            continue;
        of_owner[owner] = board->mark;
        out->owners++;
        out->sum += weight;
        if (of_group[group] != board->mark) {
            of_group[group] = board->mark;
            board->sums[group] = 0;
            out->groups++;
        }
        if (weight > board->sums[group]) {
            out->weight += weight - board->sums[group];
            board->sums[group] = weight;
        }
    }
}

void gv_board_ask(struct gv_board *board, struct gv_listing *out, const struct gv_asked *asked,
                  gv_board_judge judge, void *state)
{
    struct gv_board_row *row = &board->rows[asked->subject];

    memset(out, 0, sizeof *out);
    if (row->count == 0)
        return;
    if (row->epoch != board->epoch || asked->now_min >= row->until_min) {
        gv_board_prune(row, asked->now_min);
        memset(&row->listing, 0, sizeof row->listing);
        row->epoch = board->epoch;
        row->until_min = UINT32_MAX;
        for (uint32_t i = 0; i < row->count; i++)
            if (row->votes[i].at_min + LIFE_MIN + 1 < row->until_min)
                row->until_min = row->votes[i].at_min + LIFE_MIN + 1;
        if (row->count > 0)
            judge(state, &row->listing, row, asked->now_min);
    }
    *out = row->listing;
}
