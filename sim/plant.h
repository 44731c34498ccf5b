/* Planted bugs: each breaks one promise, and a checker must see it. They are in the simulator and
 * nowhere else: some at its own borders (disk, wire, clock, verifier), some around functions of
 * proto/ by the linker's --wrap, so that the library itself stays as it ships. (SPEC 17) */
#ifndef GV_SIM_PLANT_H
#define GV_SIM_PLANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/effect.h"

#define GV_PLANT_MAP(X)                                                                            \
    X(NONE, "none", "nothing is planted")                                                          \
    X(ACCEPT_FORGED, "accept-forged", "every signature is taken for good")                         \
    X(ACCEPT_PRIVATE, "accept-private", "any address may be shared, private ones too")             \
    X(NO_QUOTA, "no-quota", "an instance may say as much as it likes in an hour")                  \
    X(NO_GUILT, "no-guilt", "nobody is cut off for what he sends")                                 \
    X(REUSE_SEQUENCE, "reuse-sequence", "all statements of a node carry the same number")          \
    X(LOSE_ROWS, "lose-rows", "the disk takes every 20th record and keeps nothing of it")          \
    X(SKIP_SYNC, "skip-sync", "a node's own words are not synced, and a power cut takes them")     \
    X(SEND_FIRST, "send-first", "messages go out before the rows they depend on are safe")         \
    X(SLEEP_ON, "sleep-on", "a core's timer rings a day late, now and then")                       \
    X(REPEAT_BYTES, "repeat-bytes", "now and then a segment is delivered twice")                   \
    X(FLIP_BITS, "flip-bits", "now and then a bit changes on the way")                             \
    X(VOTE_LOST, "vote-lost", "the verdict leaves out the vote that came last")                    \
    X(JUDGE_LATE, "judge-late", "one node in four judges as of 15 minutes ago")                    \
    X(NO_EXPIRY, "no-expiry", "what is too old is never let go")                                   \
    X(NO_REPAIR, "no-repair", "nobody reconciles with anybody")                                    \
    X(NO_SPREAD, "no-spread", "what is new is not passed on, repair alone carries it")             \
    X(CHATTER, "chatter", "records are sent forty times")                                          \
    X(LEAK, "leak", "the verifier loses 4 KiB each time it is asked")                              \
    X(NO_END, "no-end", "a certificate is good for ever, whatever it says of its end")             \
    X(LET_IN, "let-in", "a session is given on a certificate past its end and grace")              \
    X(DEAF, "deaf", "revocations are ignored")                                                     \
    X(REVOKED_STAY, "revoked-stay", "what a revoked instance had said after that minute stays")    \
    X(FORGETFUL, "forgetful", "a third of all statements is forgotten when the disk is read")      \
    X(NO_CANCEL, "no-cancel", "a retraction is held, and cancels nothing")

enum gv_plant {
#define GV_PLANT_ENUM(id, name, text) GV_PLANT_##id,
    GV_PLANT_MAP(GV_PLANT_ENUM)
#undef GV_PLANT_ENUM
    GV_PLANT_COUNT
};

/* For this process, from the next step on. */
void gv_plant_set(enum gv_plant plant);
enum gv_plant gv_plant_now(void);
const char *gv_plant_name(enum gv_plant plant);
const char *gv_plant_what(enum gv_plant plant);
/* GV_PLANT_COUNT: no such name. */
enum gv_plant gv_plant_find(const char *name);
/* False in a program that is linked without the --wrap options: plants around proto/ do nothing. */
bool gv_plant_wraps(void);
bool gv_plant_wraps_trust(void); /* plant_trust.c's part of the answer */
bool gv_plant_wraps_roster(void); /* plant_roster.c's */

/* Around each step of a core: the others (liars, checkers) are not planted. */
void gv_plant_enter(size_t node);
void gv_plant_leave(void);
/* Within a core's step, or while a checker asks a core (enter first): whether this is planted. */
bool gv_plant_is(enum gv_plant plant);
size_t gv_plant_node(void);

/* The simulator's own borders ask these. */
bool gv_plant_accepts_forged(void);
bool gv_plant_loses_row(const struct gv_effect *effect);
bool gv_plant_skips_sync(void);
bool gv_plant_sends_first(void);
bool gv_plant_sleeps_on(void);
bool gv_plant_repeats(void);
void gv_plant_touches(uint8_t *data, size_t len);

#endif
