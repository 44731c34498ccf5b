/* What audit.c (which asks the registry) and audit_compare.c (which judges) share. */
#ifndef GV_NODE_HOST_AUDIT_STATE_H
#define GV_NODE_HOST_AUDIT_STATE_H

#include <uv.h>

#include "node/base/fetch.h"
#include "node/host/audit.h"
#include "node/host/mirror.h"

/* A key that the descriptor names, and the copy of its log. */
struct gv_watched {
    bool used;
    struct gv_registry_key key; /* as the descriptor has it that is in force */
    uint32_t signer;            /* the first 4 bytes of it */
    uint32_t closing;           /* the hour of its last head */
    uint32_t asked_min;         /* for its head, last; 0: never */
    char withheld[256];         /* what it has signed and shows nowhere; "": nothing */
    struct gv_mirror mirror;
};

struct gv_audit {
    struct gv_audit_options options; /* its strings are copies */
    uv_timer_t timer;
    struct gv_fetch *fetch; /* under way, or NULL */
    bool adopted;           /* what an earlier version stored has been looked for */
    struct gv_watched watched[GV_DESCRIPTOR_KEYS];
    /* Of this look: */
    size_t at; /* the key whose log it is about */
    struct gv_log_head head;
    uint8_t wire[GV_LOG_HEAD_MAX];
    size_t wire_len;
    struct gv_certificate unlogged; /* of that key, which its log does not show */
    char trouble[256];              /* the first of it */

    struct gv_audit_status status;
    bool freed;
};

uint64_t gv_audit_now_ms(const struct gv_audit *audit);
uint32_t gv_audit_now_min(const struct gv_audit *audit);

/* The file of what was found, from an earlier life; removed by the admin once he knows why. */
void gv_audit_recall(struct gv_audit *audit);
/* Says what is wrong with the registry, and keeps it: the first of it, for what follows from that
 * says less. */
void gv_audit_found(struct gv_audit *audit, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void gv_audit_hour_text(char out[32], uint32_t minute);

/* What the mesh has - heads and certificates - against what was fetched here. */
void gv_audit_compare(struct gv_audit *audit);
/* A certificate in the roster that this key has signed, that should long have been covered by a
 * head, and that neither is nor stands in what was fetched. What stands behind it - a registry that
 * mints, or one that lost its last day - is not judged here. */
bool gv_audit_unlogged(struct gv_audit *audit, struct gv_watched *watched,
                       struct gv_certificate *out);

#endif
