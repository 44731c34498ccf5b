/* The trace hash: two runs that did the same things in the same order have the same. */
#ifndef GV_SIM_TRACE_H
#define GV_SIM_TRACE_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/hash.h"

struct gv_trace {
    uint8_t hash[GV_HASH_LEN];
    uint64_t events;
};

void gv_trace_init(struct gv_trace *trace, uint64_t seed);
/* hash = H(hash, time, node, kind, data). */
void gv_trace_add(struct gv_trace *trace, uint64_t at_ms, size_t node, unsigned kind,
                  const void *data, size_t len);
/* Sixteen hex digits and a terminating zero. */
void gv_trace_text(char out[17], const struct gv_trace *trace);

#endif
