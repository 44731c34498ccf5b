/* One run under way. Internal to play*.c. */
#ifndef GV_SIM_TABLE_PLAYER_H
#define GV_SIM_TABLE_PLAYER_H

#include "proto/trust/history.h"
#include "sim/table/play.h"

struct gv_pending {
    struct gv_word said;
    uint32_t due_s;
};

/* First in, first out; everything in one queue waits equally long. */
struct gv_pending_queue {
    struct gv_pending *at; /* owned */
    size_t head, count, cap;
};

/* A user of a node whose login is broken, where the node does not notice. */
struct gv_accused {
    uint32_t node, subject, failures;
};

struct gv_player {
    struct gv_score *score;
    const struct gv_scene *scene;
    const struct gv_plan *plan;
    const struct gv_rule *rule;
    struct gv_ground ground;
    void *state;                     /* the rule's */
    struct gv_history **histories;   /* owned; by honest node */
    struct gv_history_place *places; /* owned; by subject: all histories have the same keys */
    struct gv_pending_queue spreading, repeating;
    struct gv_word *honest; /* owned: what honest nodes said */
    size_t honest_count, honest_cap;
    struct gv_accused *accused; /* owned */
    size_t accused_count;
    struct gv_dice dice;
    uint64_t sequence;
    uint32_t start_s, now_s;
};

/* play_mesh.c: what is said, and when it is heard. */
void gv_player_say(struct gv_player *player, uint32_t node, uint32_t subject, uint32_t count);
void gv_player_hostile(struct gv_player *player, const struct gv_moment *moment);
void gv_player_deliver(struct gv_player *player); /* what is due */
uint32_t gv_player_minute(const struct gv_player *player);

#endif
