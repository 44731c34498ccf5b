#include "sim/trace.h"

#include <stdio.h>
#include <string.h>

static void put_u64(uint8_t out[8], uint64_t value)
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(value >> (56 - 8 * i));
}

void gv_trace_init(struct gv_trace *trace, uint64_t seed)
{
    uint8_t bytes[8];

    put_u64(bytes, seed);
    trace->events = 0;
    gv_hash(trace->hash, "grapevine trace 1", bytes, sizeof bytes);
}

void gv_trace_add(struct gv_trace *trace, uint64_t at_ms, size_t node, unsigned kind,
                  const void *data, size_t len)
{
    uint8_t message[GV_HASH_LEN + 24 + GV_HASH_LEN];

    memcpy(message, trace->hash, GV_HASH_LEN);
    put_u64(message + GV_HASH_LEN, at_ms);
    put_u64(message + GV_HASH_LEN + 8, node);
    put_u64(message + GV_HASH_LEN + 16, kind);
    gv_hash(message + GV_HASH_LEN + 24, "grapevine trace data 1", data, len);
    gv_hash(trace->hash, "grapevine trace 1", message, sizeof message);
    trace->events++;
}

void gv_trace_text(char out[17], const struct gv_trace *trace)
{
    for (int i = 0; i < 8; i++)
        snprintf(out + 2 * i, 3, "%02x", trace->hash[i]);
}
