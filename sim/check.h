/* What must hold, judged from outside the cores: from their effects, their disks and what the world
 * itself knows. Records are read, signatures checked, standings and verdicts computed by code of
 * the checkers' own. Each violation is printed once to standard error, and counted. (SPEC 17) */
#ifndef GV_SIM_CHECK_H
#define GV_SIM_CHECK_H

#include "sim/record.h"
#include "sim/workload.h"
#include "sim/world.h"

/* Who holds a certificate. */
struct gv_known_author {
    struct gv_papers papers;
    size_t node;
    bool liar;
};

/* A statement that some core took: one row each. */
struct gv_known_record {
    struct gv_said said;
    uint8_t signature[GV_SIGNATURE_LEN]; /* the one that was checked */
    const struct gv_known_author *author;
    uint64_t public_ms; /* when it was public anywhere for the first time; 0: not yet */
    bool wanted;        /* held somewhere when all was healed: must be everywhere at the end */
    uint32_t standing;
};

/* What a subject should be by these records; check_verdict.c. */
struct gv_expected {
    struct gv_subject subject;
    enum gv_verdict_state state;
    uint32_t weight, vote_count;
    uint8_t votes[GV_VOTES_MAX][GV_ID_LEN];
};

/* What is safe on a node's disk by its own word, and has to be there after the next start. */
struct gv_promise {
    uint8_t id[GV_ID_LEN];
    const struct gv_known_record *record; /* NULL: a row of what it sent */
};
struct gv_promises {
    struct gv_promise *rows; /* owned */
    size_t count, cap;
};

/* What did not hold, each sentence once, as it is printed. */
#define GV_SENTENCES 64
struct gv_broken {
    const char *sentences[GV_SENTENCES]; /* static */
    size_t count;
};

struct gv_checks {
    struct gv_world *world;
    uint64_t violations;
    struct gv_broken broken;
    bool quiet;              /* count only */
    uint64_t bytes_per_hour; /* at most, in and out, of any node in any hour; 0: no cap */
    size_t attackers;
    uint32_t *first_reporter; /* by attacker: node + 1; 0: nobody yet */
    uint64_t
        *published_ms;   /* by attacker: when the second owner's signal was on disk; 0: not yet */
    uint8_t *untrusted;  /* by attacker and node: it said untrusted */
    uint8_t *told;       /* likewise: it took a word on him */
    uint64_t *delays_ms; /* one per node and published attacker */
    size_t delay_count, delay_cap;
    struct gv_table authors;      /* by certificate id */
    struct gv_table records;      /* by record id */
    struct gv_table numbers;      /* the same rows, by instance and sequence number */
    uint64_t *safe_sequence;      /* by node: the highest that was ever safe */
    uint64_t *disk_sequence;      /* by node: what its present disk has promised to keep */
    struct gv_promises *promises; /* by node */
    const struct gv_known_record **retractions; /* all that anybody took; owned */
    size_t retraction_count, retraction_cap;
    /* Statements that lie on a node's disk and not in its core: it started with a slow clock, and
     * they were not yet good then. */
    struct gv_left_out {
        size_t node;
        const struct gv_known_record *record;
    } * left_out;
    size_t left_out_count, left_out_cap;
    uint64_t signals;
    int64_t most_bytes_held;
    uint64_t agreed_ms,
        equal_ms;     /* when, after the healing, verdicts and sets were the same; 0: not */
    size_t disputed;  /* attacker on whom they differed last */
    size_t reference; /* the node whose set the others' are compared with */
    /* The last set whose verdicts were computed. */
    uint8_t expected_key[3 * GV_ID_LEN + 4];
    struct gv_expected *expected;
    size_t expected_count;
    bool has_expected;
    const struct gv_known_record **held; /* scratch: of one node */
    size_t held_count, held_cap;
};

void gv_checks_init(struct gv_checks *checks, struct gv_world *world, size_t attackers);
void gv_checks_free(struct gv_checks *checks);

/* check_safety.c: at every check. What is held was accepted rightly, is not expired, not over a
 * quota, not of somebody at fault; memory and disk hold the same; each verdict is what the records
 * give; nodes with the same sets say the same; memory is under the cap. */
void gv_check_safety(struct gv_checks *checks);
/* check_liveness.c. When all is healed: what must not be lost. */
void gv_check_healed(struct gv_checks *checks);
/* At the end, after a calm: everybody has peers, the same roster and set, nothing of what was held
 * is missing; liars were cut off; nobody was over the cap of bytes. */
void gv_check_liveness(struct gv_checks *checks);
/* check_healing.c. A look at whether all say and hold the same since the healing. */
void gv_check_healing(struct gv_checks *checks);
/* Behind the last look: it was so within a minute, where nothing else was wrong. */
void gv_check_agreed(struct gv_checks *checks, uint64_t healed_ms);
/* Of those whom one owner alone reported: how many other nodes were told, on average and at most.
 */
void gv_checks_told(const struct gv_checks *checks, double *mean, size_t *most);
/* traffic.c: the core's counts are the world's, and no hour was over the cap. */
void gv_check_traffic(struct gv_checks *checks, size_t node);
/* After two owners reported this attacker in a calm: everybody calls him untrusted. */
void gv_check_probe(struct gv_checks *checks, uint32_t attacker);

/* check_records.c: what cores take, say, and bring to safety. */
void gv_check_effect(struct gv_checks *checks, size_t node, const struct gv_effects *effects,
                     const struct gv_effect *effect, bool done);
void gv_check_start(struct gv_checks *checks, size_t node);
bool gv_checks_left_out(const struct gv_checks *checks, size_t node,
                        const struct gv_known_record *record);
/* Remembers a certificate of the world's registry; NULL if it is none. */
const struct gv_known_author *gv_checks_author(struct gv_checks *checks, const uint8_t *wire,
                                               size_t len);
struct gv_known_record *gv_checks_record(const struct gv_checks *checks,
                                         const uint8_t id[GV_ID_LEN]);

/* check_outcast.c: nobody who is out is believed. A statement was taken; a revocation was; somebody
 * came in; what is held, and with whom a node talks, now; what everybody has heard at the end. */
void gv_check_author(struct gv_checks *checks, size_t node, const struct gv_known_record *known);
void gv_check_revocation(struct gv_checks *checks, size_t node, const uint8_t *record, size_t len);
void gv_check_guest(struct gv_checks *checks, size_t node, const uint8_t instance[GV_ID_LEN]);
void gv_check_outcasts(struct gv_checks *checks, size_t node);
void gv_check_heard(struct gv_checks *checks, size_t node);
/* Whether what it says must not be held any more, once everybody has heard everything. */
bool gv_checks_is_void(const struct gv_checks *checks, const struct gv_known_record *known);

/* check_promise.c: a commit was synced; a row was forgotten; a disk has been read. */
void gv_check_promise(struct gv_checks *checks, size_t node);
void gv_check_forgotten(struct gv_checks *checks, size_t node, const uint8_t id[GV_ID_LEN]);
void gv_check_kept(struct gv_checks *checks, size_t node);

/* check_verdict.c. SPEC 11.1. */
uint32_t gv_check_standing(const struct gv_policy *policy, uint32_t genesis_min, uint32_t since_min,
                           uint32_t t);
/* Fills checks->expected from checks->held, as of this minute. */
void gv_check_expect(struct gv_checks *checks, uint32_t now_min);
/* Compares them with what this node's core says. */
void gv_check_verdicts(struct gv_checks *checks, size_t node);

/* Counts and prints one. what is static: it is kept. */
void gv_violation(struct gv_checks *checks, const char *what, size_t node, uint64_t number);
/* Whether it is among them. */
bool gv_broken_has(const struct gv_broken *broken, const char *sentence);
/* The delay below which this share (0..1) of all lies, in seconds; 0 when there is none. Sorts. */
double gv_checks_delay(struct gv_checks *checks, double share);

#endif
