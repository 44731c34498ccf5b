/* What enroll.c (one request) and enroll_keep.c (keeping up by itself) share. */
#ifndef GV_NODE_HOST_ENROLL_INTERNAL_H
#define GV_NODE_HOST_ENROLL_INTERNAL_H

#include "node/base/fetch.h"
#include "node/host/enroll.h"

enum gv_enroll_kind {
    GV_ENROLL_DESCRIPTOR,
    GV_ENROLL_TERMS,
    GV_ENROLL_REQUEST,
    GV_ENROLL_CONFIRM,
    GV_ENROLL_RENEW,
    GV_ENROLL_LEAVE,
    GV_ENROLL_REVOCATIONS,
    GV_ENROLL_KINDS
};

struct gv_enroll_flight { /* one request of its kind under way, or none */
    struct gv_enroll *enroll;
    enum gv_enroll_kind kind;
    struct gv_fetch *fetch; /* NULL: none */
    gv_enroll_done done;
    void *context;
    gv_enroll_revocation each;
};

struct gv_enroll_task { /* what is kept up: renewal, revocations, descriptor */
    struct gv_enroll *enroll;
    uv_timer_t timer;
    void (*run)(struct gv_enroll_task *task);
    const char *what;
    unsigned failures;
    bool ready; /* the timer is initialised */
};

struct gv_enroll {
    struct gv_enroll_options options; /* its pointers are copies, or borrowed as documented */
    char *url, *bind_address, *ca_file;
    uint8_t network_id[GV_KEY_LEN];
    bool pinned;
    struct gv_descriptor *descriptor; /* the one held, NULL: none */
    uint8_t descriptor_wire[GV_DESCRIPTOR_MAX];
    size_t descriptor_len;
    struct gv_enroll_flight flights[GV_ENROLL_KINDS];
    struct gv_certificate renewing; /* what a renewal must keep */
    uint32_t revocations_since;
    size_t revocations_got; /* by the last fetch */

    struct gv_enroll_keep keep;
    struct gv_enroll_task tasks[3];
    uint32_t told_version; /* of the descriptor that keep's owner knows */
    bool has_certificate;
    uint8_t certificate[GV_CERTIFICATE_LEN];
    unsigned handles; /* timers still to be closed after gv_enroll_free */
};

uint32_t gv_enroll_now_min(const struct gv_enroll *enroll);

#endif
