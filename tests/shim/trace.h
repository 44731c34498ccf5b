/* What the disk shim writes to GV_SHIM_TRACE, one after the other. */
#ifndef GV_TESTS_SHIM_TRACE_H
#define GV_TESTS_SHIM_TRACE_H

#include <stdint.h>

enum shim_trace_kind {
    SHIM_WRITTEN = 1, /* to the write-ahead log; the bytes follow */
    SHIM_SYNCED,      /* the write-ahead log, with success */
    SHIM_SENT,        /* bytes are about to go out on a TCP socket */
    /* The file `number` or `key`: under another name, until it gets its own. */
    SHIM_FILE_WRITTEN, /* the bytes follow */
    SHIM_FILE_SYNCED,
    SHIM_FILE_NAMED,
    SHIM_FOLDER_SYNCED /* the folder that all of this lies in */
};

struct shim_trace {
    uint32_t kind, len; /* len: of what follows */
};

#endif
