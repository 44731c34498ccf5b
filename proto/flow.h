/* What a node tells its direct peers of its mail server, and hears from them: a size class and
 * whole per cents, of a day. For the admin to compare; no part of any verdict. (SPEC 9.11) */
#ifndef GV_PROTO_FLOW_H
#define GV_PROTO_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#define GV_FLOW_SIZE_MIN 2u /* 100 messages a day: with less, a per cent would be somebody's */
#define GV_FLOW_SIZE_MAX 12u
#define GV_FLOW_PERCENT  100u

struct gv_flow {
    uint8_t size; /* 10^size messages a day, up to ten times as many; 0: nothing is told */
    uint8_t bounced, deferred, rejected; /* per cent */
};

static inline bool gv_flow_valid(const struct gv_flow *flow)
{
    return flow->size >= GV_FLOW_SIZE_MIN && flow->size <= GV_FLOW_SIZE_MAX &&
           flow->bounced <= GV_FLOW_PERCENT && flow->deferred <= GV_FLOW_PERCENT &&
           flow->rejected <= GV_FLOW_PERCENT;
}

#endif
