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
    uint32_t *first_reporter; /* by attacker: node + 1; 0: nobody yet */
    uint64_t *published_ms;   /* by attacker: when the second owner signalled; 0: not yet */
    uint8_t *untrusted;       /* by attacker and node: it said untrusted */
    uint64_t *delays_ms;      /* one per node and published attacker */
    size_t delay_count, delay_cap;
    struct gv_table issued;   /* record ids that honest nodes signed */
};

void gv_checks_init(struct gv_checks *checks, struct gv_world *world, size_t attackers);
void gv_checks_free(struct gv_checks *checks);

/* check_safety.c: every vote held was signed by an honest node; no record is made twice; nobody is
 * untrusted before two owners said so; what is counted by state is what is judged; nodes with the
 * same sets say the same of every subject. */
void gv_check_safety(struct gv_checks *checks);
/* check_liveness.c: everybody has peers, the same set, and every published attacker is untrusted
 * everywhere. For the end of a run, after a calm. */
void gv_check_liveness(struct gv_checks *checks);

/* Counts and prints one. */
void gv_violation(struct gv_checks *checks, const char *what, size_t node, uint64_t number);
/* The delay below which this share (0..1) of all lies, in seconds; 0 when there is none. Sorts. */
double gv_checks_delay(struct gv_checks *checks, double share);

#endif
