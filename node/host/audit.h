/* Watches the registry (SPEC 14.7): copies its log of certificates, one
 * for each key that the descriptor names, and says loudly when the log is
 * not the one that was signed, or that others were shown, or when the registry has signed a
 * certificate that the log does not have. What was found is kept in the file `registry-finding`
 * until the admin removes it: it does not pass by itself. */
#ifndef GV_NODE_HOST_AUDIT_H
#define GV_NODE_HOST_AUDIT_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "proto/core.h"

#define GV_AUDIT_S      900   /* between two looks, and up to a tenth more */
#define GV_AUDIT_STALE  1560u /* minutes: a head is signed once a day at least, and fetched */
#define GV_FILE_FINDING "registry-finding"

struct gv_audit;

struct gv_audit_options {
    uv_loop_t *loop;
    const char *folder;       /* copied */
    const char *bind_address; /* copied; or NULL */
    const char *ca_file;      /* likewise */
    void *context;
    const char *(*url)(void *context);            /* the registry's address, or NULL */
    const struct gv_core *(*core)(void *context); /* or NULL: not yet */
    void (*head)(void *context, const uint8_t *wire, size_t len); /* a head for the core */
    uint64_t (*unix_ms)(void);                                    /* NULL: the system clock */
    uint64_t copy_max; /* entries of a log that are copied; 0: GV_LOG_COPY_MAX, the most */
};

/* Looks for the first time some seconds from now. GV_OK or GV_ERR_MEMORY. */
int gv_audit_new(struct gv_audit **out, const struct gv_audit_options *options);
/* The loop must run on until its handle is closed. NULL is allowed. */
void gv_audit_free(struct gv_audit *audit);
/* Looks now, unless it is looking. */
void gv_audit_look(struct gv_audit *audit);

struct gv_audit_status {
    bool looking;
    bool has_head;       /* the present key's log is here, and its head fits */
    uint64_t size;       /* entries */
    uint32_t head_min;   /* of that head */
    uint64_t looked_ms;  /* unix, of the last look that came to an end; 0: none */
    char finding[512];   /* what is wrong with the registry; "": nothing was found */
    uint64_t finding_ms; /* unix; 0: none */
    char trouble[256];   /* why the last look came to no end; "": it did */
    uint64_t trouble_ms; /* unix, the first since one did; 0: none */
};
void gv_audit_status(const struct gv_audit *audit, struct gv_audit_status *out);

#endif
