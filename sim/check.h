/* What must hold, judged from outside the cores: safety at every check, liveness at the end. Each
 * violation is printed once to standard error, and counted. */
#ifndef GV_SIM_CHECK_H
#define GV_SIM_CHECK_H

#include "sim/workload.h"
#include "sim/world.h"

struct gv_checks {
    struct gv_world *world;
    uint64_t violations;
    size_t attackers;
    uint32_t *reports;        /* by attacker: nodes that signalled him so far */
    uint64_t *published_ms;   /* by attacker: when the second owner signalled; 0: not yet */
    uint32_t *untrusted_at;   /* by attacker: nodes that said untrusted after that */
    uint64_t *delays_ms;      /* one per node and published attacker */
    size_t delay_count, delay_cap;
    uint64_t *last_sequence;  /* by node, of its own statements */
    struct gv_table issued;   /* record ids that honest nodes signed */
};

void gv_checks_init(struct gv_checks *checks, struct gv_world *world, size_t attackers);
void gv_checks_free(struct gv_checks *checks);

/* check_safety.c: every statement held was signed by the node it names; no sequence number was used
 * twice; nodes with the same set say the same of every subject. */
void gv_check_safety(struct gv_checks *checks);
/* check_liveness.c: everybody has peers, the same set, and every published attacker is untrusted
 * everywhere. For the end of a run, after a calm. */
void gv_check_liveness(struct gv_checks *checks);

/* Counts and prints one. */
void gv_violation(struct gv_checks *checks, const char *what, size_t node, uint64_t number);
/* The delay below which this share (0..1) of all lies, in seconds; 0 when there is none. Sorts. */
double gv_checks_delay(struct gv_checks *checks, double share);

#endif
