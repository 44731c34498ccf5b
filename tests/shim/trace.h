/* What the disk shim writes to GV_SHIM_TRACE, one after the other. */
#ifndef GV_TESTS_SHIM_TRACE_H
#define GV_TESTS_SHIM_TRACE_H

#include <stdint.h>

enum shim_trace_kind {
    SHIM_WRITTEN = 1, /* to the write-ahead log; the bytes follow */
    SHIM_SYNCED,      /* the write-ahead log, with success */
    SHIM_SENT         /* bytes are about to go out on a TCP socket */
};

struct shim_trace {
    uint32_t kind, len; /* len: of what follows */
};

#endif
