/* A node as the watching of the registry's log sees it (node/host/audit.h): a core, a folder, and a
 * registry in the same loop. */
#ifndef GV_TESTS_HELPER_WATCHER_H
#define GV_TESTS_HELPER_WATCHER_H

#include "helper_registry.h"
#include "node/host/audit.h"
#include "proto/wire/record.h"

struct watcher { /* a node as the audit sees it */
    struct registry *at;
    struct gv_identity identity;
    struct gv_core *core;
    struct gv_effects effects;
    struct gv_audit *audit;
    char folder[64];
    unsigned two_faces;
    uint64_t copy_max; /* of the next life; 0: as it is */
};

void watcher_make(struct watcher *w, struct registry *at, unsigned number);
void watcher_free(struct watcher *w); /* one that was never made is allowed */
/* As if it had stopped and started again: only the folder stays. Before the registry is stopped,
 * whose loop it is. */
void watcher_restart(struct watcher *w);
/* Looks at the log now, to the end. */
struct gv_audit_status watcher_look(struct watcher *w);
/* A record comes to it from the mesh. */
int watcher_tell(struct watcher *w, enum gv_record_kind kind, const uint8_t *wire, size_t len);
/* A perfect certificate that is in no log, which a peer hands on. */
void watcher_mint(struct watcher *w, const struct gv_identity *by, unsigned number,
                  uint32_t issued_min);

/* No limits that a test would meet; before the registry is started. */
void watcher_loosen(struct registry *at);
/* Somebody enrols for good. */
void watcher_join(struct registry *at, unsigned number, uint8_t wire[GV_CERTIFICATE_LEN]);

#endif
