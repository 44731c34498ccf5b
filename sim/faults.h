/* Which faults a run has, and how strong each is: named numbers, zero when it does not exist. Drawn
 * from the seed or given by hand; printed so that a run can be run again. (SPEC 17) */
#ifndef GV_SIM_FAULTS_H
#define GV_SIM_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* name, largest value, what it is */
#define GV_FAULT_MAP(X)                                                                            \
    X(jitter, 2000, "each segment is late by up to so many ms")                                    \
    X(loss, 30, "percent of segments that are lost: the stream waits for the second try")          \
    X(split, 100, "percent of arrivals that come in pieces")                                       \
    X(breaks, 60, "connections that break in the middle of a segment, per node and hour")          \
    X(partitions, 60, "partitions of the network an hour, each of one of the kinds below")         \
    X(partition_s, 14400, "seconds that one lasts at most")                                        \
    X(partition_kinds, 15, "sum of: 1 in two halves, 2 single pairs, 4 one way only, 8 silent")    \
    X(crashes, 60, "crashes per node and hour")                                                    \
    X(down_s, 14400, "seconds that a crashed node is down at most")                                \
    X(power, 100, "percent of crashes that are power cuts: rows that were not synced are lost")    \
    X(disks, 100, "percent of crashes that cost the database")                                     \
    X(keys, 100, "percent of lost databases that cost the key too: the host enrols anew")          \
    X(slow_ms, 30000, "a commit takes up to so many ms, in which the node does nothing else")      \
    X(skew, 3600, "seconds that each clock may be off until all is healed")                        \
    X(jumps, 60, "clock jumps per node and hour")                                                  \
    X(jump_s, 14400, "seconds that a clock jumps at most, either way")                             \
    X(life, 129600, "minutes that a certificate lives (0: 90 days): renewals happen")              \
    X(registry, 100, "percent of the time, from the start, in which the registry is dead")         \
    X(alive, 1440, "minutes that a signal lives (0: 24 hours)")                                    \
    X(liars, 5, "members that lie: forged, stale, early, private, contradicting, too many")        \
    X(revoke, 5, "instances that the registry revokes, honest ones and liars; one node is told")   \
    X(grace, 1440,                                                                                 \
      "minutes of grace (0: 30 days); a member's certificate ends and is not renewed")             \
    X(retract, 60, "own signals that a node takes back, per node and hour")                        \
    X(kill, 90, "percent of the nodes that die at one moment, and are back when all is healed")    \
    X(kill_min, 1440, "minutes between their death and the healing (0: 10)")                       \
    X(halves, 1440, "minutes before the healing in which the mesh lies in two halves")             \
    X(kbit, 1000000, "kilobits a second that a node's line carries off (0: any)")

struct gv_faults {
#define GV_FAULT_FIELD(name, most, text) uint32_t name;
    GV_FAULT_MAP(GV_FAULT_FIELD)
#undef GV_FAULT_FIELD
};

enum {
    GV_PARTITION_HALVES = 1,
    GV_PARTITION_PAIRS = 2,
    GV_PARTITION_ONE_WAY = 4,
    GV_PARTITION_SILENT = 8
};

/* Draws which exist, and how strong: about half of them in each run. */
void gv_faults_draw(struct gv_faults *out, uint64_t seed);
/* "jitter=50,loss=3": sets these and leaves the others. Returns NULL, or a static text that says
 * what is wrong at *where. */
const char *gv_faults_parse(struct gv_faults *faults, const char *text, const char **where);
/* The same form, of those that are not zero ("none" without any). out holds GV_FAULTS_TEXT. */
#define GV_FAULTS_TEXT 1024
void gv_faults_text(char out[GV_FAULTS_TEXT], const struct gv_faults *faults);
/* One by one, in the order of the table; NULL behind the last. */
uint32_t *gv_faults_at(struct gv_faults *faults, size_t index);
bool gv_faults_any(const struct gv_faults *faults);
/* A table of all for --help; line by line, NULL at the end. */
const char *gv_faults_help(size_t line, char out[160]);

#endif
