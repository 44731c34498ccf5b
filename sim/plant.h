/* Planted bugs: each breaks one promise, and a checker must see it. They are in the simulator and
 * nowhere else: some at its own borders (disk, wire, clock, verifier), some around functions of
 * proto/ by the linker's --wrap, so that the library itself stays as it ships. (SPEC 17) */
#ifndef GV_SIM_PLANT_H
#define GV_SIM_PLANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/effect.h"

/* name, what it is, and the checkers' sentences that must be said of it, other ones apart; a NUL
 * stands between two */
#define GV_PLANT_MAP(X)                                                                            \
    X(NONE, "none", "nothing is planted", "")                                                      \
    X(ACCEPT_FORGED, "accept-forged", "every signature is taken for good",                         \
      "took a forged statement")                                                                   \
    X(ACCEPT_PRIVATE, "accept-private", "any address may be shared, private ones too",             \
      "took a statement on a private address")                                                     \
    X(NO_QUOTA, "no-quota", "an instance may say as much as it likes in an hour",                  \
      "holds more of an instance than its hour's quota")                                           \
    X(NO_GUILT, "no-guilt", "nobody is cut off for what he sends", "no forger was ever cut off")   \
    X(REUSE_SEQUENCE, "reuse-sequence", "all statements of a node carry the same number",          \
      "blames an honest node\0an honest node contradicted itself")                                 \
    X(LOSE_ROWS, "lose-rows", "the disk takes every 20th record and keeps nothing of it",          \
      "holds other statements in memory than on disk\0"                                            \
      "speaks of another number of subjects than its records do")                                  \
    X(SKIP_SYNC, "skip-sync", "a node's own words are not synced, and a power cut takes them",     \
      "came back without a number that was safe on its disk")                                      \
    X(SEND_FIRST, "send-first", "messages go out before the rows they depend on are safe",         \
      "took what was not yet safe on its author's own disk")                                       \
    X(SLEEP_ON, "sleep-on", "a core's timer rings a day late, now and then",                       \
      "says another verdict than its records give")                                                \
    X(REPEAT_BYTES, "repeat-bytes", "now and then a segment is delivered twice",                   \
      "an honest node cut off an honest node")                                                     \
    X(FLIP_BITS, "flip-bits", "now and then a bit changes on the way",                             \
      "an honest node cut off an honest node")                                                     \
    X(VOTE_LOST, "vote-lost", "the verdict leaves out the vote that came last",                    \
      "says another verdict than its records give")                                                \
    X(JUDGE_LATE, "judge-late", "one node in four judges as of 15 minutes ago",                    \
      "says another verdict than its records give")                                                \
    X(NO_EXPIRY, "no-expiry", "what is too old is never let go", "holds an expired statement")     \
    X(NO_REPAIR, "no-repair", "nobody reconciles with anybody",                                    \
      "never got what another held when all was healed")                                           \
    X(NO_SPREAD, "no-spread", "what is new is not passed on, repair alone carries it",             \
      "has not heard, in a calm, what two owners said")                                            \
    X(CHATTER, "chatter", "records are sent forty times",                                          \
      "moved more bytes in an hour than the cap")                                                  \
    X(LEAK, "leak", "the verifier loses 4 KiB each time it is asked",                              \
      "holds more memory than its rows account for")                                               \
    X(NO_END, "no-end", "a certificate is good for ever, whatever it says of its end",             \
      "took what was said after its certificate's end and grace\0"                                 \
      "holds what was said after its certificate's end and grace")                                 \
    X(LET_IN, "let-in", "a session is given on a certificate past its end and grace",              \
      "let in one whose certificate is past its end and grace")                                    \
    X(DEAF, "deaf", "revocations are ignored", "never heard of a revocation")                      \
    X(REVOKED_STAY, "revoked-stay", "what a revoked instance had said after that minute stays",    \
      "holds what a revoked instance said")                                                        \
    X(FORGETFUL, "forgetful", "a third of all statements is forgotten when the disk is read",      \
      "came back without what was safe on its disk")                                               \
    X(NO_CANCEL, "no-cancel", "a retraction is held, and cancels nothing",                         \
      "says another verdict than its records give")                                                \
    X(NUMBER_TWICE, "number-twice", "a node numbers its statements from 1 with each start",        \
      "used a sequence number twice")                                                              \
    X(NUMBER_BACK, "number-back", "a node reads 0 where the disk has the number of its last word", \
      "went back behind a number that is on its disk")                                             \
    X(NO_CEILING, "no-ceiling", "beside the database nothing says where its numbers ended",        \
      "used a sequence number twice")                                                              \
    X(TAKE_EARLY, "take-early", "what is dated ahead of the clock is taken",                       \
      "took a statement from the future")                                                          \
    X(TAKE_EXPIRED, "take-expired", "what is too old is taken, if it comes",                       \
      "took an expired statement")                                                                 \
    X(ONE_IS_TWO, "one-is-two", "the verdict counts a lonely vote as those of two owners",         \
      "untrusted before two owners said so")                                                       \
    X(CUT_ROWS, "cut-rows", "one statement in five is written without its last byte",              \
      "took a statement that cannot be read")                                                      \
    X(OTHER_PAPERS, "other-papers", "one statement in five is written under another certificate",  \
      "took the word of somebody without a certificate")                                           \
    X(CUT_PROOFS, "cut-proofs", "proofs of a fault are written without their last byte",           \
      "took a proof that cannot be read")                                                          \
    X(FALSE_PROOFS, "false-proofs", "proofs of a fault are written with a bit changed",            \
      "took a false proof")                                                                        \
    X(SPOIL_REVOCATIONS, "spoil-revocations", "revocations are written with a bit changed",        \
      "took a revocation that is not the registry's")                                              \
    X(OTHER_MINUTE, "other-minute", "revocations go round with another minute than was meant",     \
      "took a revocation that the registry never made")                                            \
    X(SPOIL_PAPERS, "spoil-papers", "certificates are written with a bit changed",                 \
      "took a certificate that the registry never issued")                                         \
    X(OVER_AND_OVER, "over-and-over", "what is not public is written four times in one row",       \
      "keeps what nobody whispers")                                                                \
    X(ODD_ROWS, "odd-rows", "address records are written as a kind that does not exist",           \
      "took a record that nobody made")                                                            \
    X(MISFILE, "misfile", "the disk files every 20th record under another key",                    \
      "holds what nobody made")                                                                    \
    X(HERMIT, "hermit", "one node in four neither dials nor lets in", "has no peer")               \
    X(TALK_ON, "talk-on", "a session with one who is revoked goes on",                             \
      "talks with one that it knows to be revoked")                                                \
    X(HEEDLESS, "heedless", "what a revoked instance says is taken",                               \
      "took the word of one that it knows to be revoked")                                          \
    X(IGNORANT, "ignorant", "one node in four never learns of a third of the others",              \
      "does not know everybody")                                                                   \
    X(OLD_PAPERS, "old-papers", "one node in four takes no renewed certificate",                   \
      "holds another roster than the first node")                                                  \
    X(PICKY, "picky", "one node in four takes no statement whose id it does not like",             \
      "holds other statements than the first node")                                                \
    X(STALE, "stale", "one node in four does not judge anew when a record comes",                  \
      "remembers another number of untrusted subjects")                                            \
    X(UNSAID, "unsaid", "one node in four tells nobody of its verdicts",                           \
      "never called untrusted whom two owners reported")                                           \
    X(TELL_ALL, "tell-all", "what one owner says goes to everybody",                               \
      "too many were told of an address that one owner reported")                                  \
    X(MISCOUNT, "miscount", "a core counts a quarter of the bytes that it moves",                  \
      "counts other bytes than it moved")                                                          \
    X(GIVE_UP, "give-up", "nobody dials whom he lost more than ten minutes ago",                   \
      "judged otherwise a minute after all was healed")

enum gv_plant {
#define GV_PLANT_ENUM(id, name, text, sentence) GV_PLANT_##id,
    GV_PLANT_MAP(GV_PLANT_ENUM)
#undef GV_PLANT_ENUM
        GV_PLANT_COUNT
};

/* For this process, from the next step on. */
void gv_plant_set(enum gv_plant plant);
enum gv_plant gv_plant_now(void);
const char *gv_plant_name(enum gv_plant plant);
const char *gv_plant_what(enum gv_plant plant);
/* The sentences of gv_violation() without which it is not found, from 0; NULL: no more. */
const char *gv_plant_sentence(enum gv_plant plant, size_t index);
/* Only in calm weather, where all meet who must: 16 nodes that know each other, without faults. */
bool gv_plant_is_of_calm(enum gv_plant plant);
/* Only where the mesh lies in two halves for most of an hour, and is healed. */
bool gv_plant_is_of_halves(enum gv_plant plant);
/* And whether it shows where databases are lost again and again, under clocks that jump. */
bool gv_plant_is_of_losses(enum gv_plant plant);
/* GV_PLANT_COUNT: no such name. */
enum gv_plant gv_plant_find(const char *name);
/* False in a program that is linked without the --wrap options: plants around proto/ do nothing. */
bool gv_plant_wraps(void);
bool gv_plant_wraps_trust(void);  /* plant_trust.c's part of the answer */
bool gv_plant_wraps_roster(void); /* plant_roster.c's */
bool gv_plant_wraps_rows(void);   /* plant_rows.c's */
bool gv_plant_wraps_mesh(void);   /* plant_mesh.c's */

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
bool gv_plant_reads_no_number(void);
bool gv_plant_keeps_no_ceiling(void);
/* This row is filed under another key. */
bool gv_plant_misfiles(const struct gv_effect *effect);
bool gv_plant_revokes_another_minute(void);
bool gv_plant_tells_all(void);
/* A note of this node's does not come out. */
bool gv_plant_keeps_quiet(const struct gv_effect *effect, size_t node);
/* A node begins a life; all of them forget. */
void gv_plant_started(size_t node);
void gv_plant_forget_numbers(void);

#endif
