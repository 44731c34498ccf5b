/* Who says what of whom: the part that rivals share. Keeps each subject's living votes, and asks a
 * rival's judge only when they or its weights have changed. */
#ifndef GV_SIM_RIVALS_BOARD_H
#define GV_SIM_RIVALS_BOARD_H

#include "sim/rivals/rule.h"

struct gv_board_vote {
    uint32_t member, at_min;
};

struct gv_board_row {
    struct gv_board_vote *votes; /* owned; one a member, in the order of their first */
    uint32_t count, cap;
    uint32_t until_min; /* the listing below holds until then, */
    uint32_t epoch;     /* and while this is the board's */
    struct gv_listing listing;
    bool active, settled;
    uint32_t granted;
};

struct gv_board {
    const struct gv_ground *ground;
    struct gv_board_row *rows; /* owned; by subject */
    uint32_t *active;          /* owned: subjects with votes */
    size_t active_count, active_cap;
    uint32_t epoch;        /* raised when weights change */
    uint32_t *marks, mark; /* owned: of tallies, by owner and by group */
    uint32_t *sums;        /* owned: by group */
};

void gv_board_open(struct gv_board *board, const struct gv_ground *ground);
void gv_board_close(struct gv_board *board);
/* Enters a signal or takes one back. Returns the row, or NULL when it was out of its time. */
struct gv_board_row *gv_board_enter(struct gv_board *board, const struct gv_word *said);
/* Drops what expired from one row. */
void gv_board_prune(struct gv_board_row *row, uint32_t now_min);
/* Once a day: forgets rows without votes. */
void gv_board_sweep(struct gv_board *board, uint32_t now_min);

struct gv_tally {
    uint32_t owners, groups, weight; /* weight: of each group the largest, summed */
    uint32_t sum;                    /* of each owner the first, summed */
};
/* weights: by owner; NULL: 1000 each. Weight 0 does not count at all. */
void gv_board_tally(struct gv_board *board, struct gv_tally *out, const struct gv_board_row *row,
                    const uint32_t *weights);

typedef void (*gv_board_judge)(void *state, struct gv_listing *out, struct gv_board_row *row,
                               uint32_t now_min);
/* The listing of a subject, judged anew when it may have changed. */
void gv_board_ask(struct gv_board *board, struct gv_listing *out, const struct gv_asked *asked,
                  gv_board_judge judge, void *state);

#endif
