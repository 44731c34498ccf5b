/* Many answers, one commit. What is issued is on disk before it is answered, and that takes a disk
 * milliseconds: so all requests of one turn of the loop share a transaction, and are answered once
 * it is committed. When it fails, all of them are refused. */
#ifndef GV_NODE_REGISTRY_BATCH_H
#define GV_NODE_REGISTRY_BATCH_H

#include <sys/queue.h>
#include <uv.h>

#include "node/base/http.h"
#include "node/registry/records.h"

struct gv_registrar;

/* What one request waits with. `done` answers (request is not NULL) and need not free. */
struct gv_batch_item {
    STAILQ_ENTRY(gv_batch_item) next;
    struct gv_http_request *request; /* NULL: its client is gone */
    void (*done)(struct gv_registrar *registrar, struct gv_batch_item *item, int rc);
    struct gv_instance instance; /* confirm, renew: issued */
    struct gv_pending pending;   /* enroll: stored, and what is to be mailed */
    uint8_t id[GV_ID_LEN];
    char code[GV_CODE_LEN + 2];
    uint8_t token[16];
};

struct gv_batch {
    uv_check_t check;
    uv_idle_t idle; /* while something waits, the loop does not sleep */
    bool open;      /* a transaction is */
    int rc;         /* of a statement that failed: all of it is rolled back */
    STAILQ_HEAD(, gv_batch_item) items;
};

void gv_batch_init(struct gv_registrar *registrar);
/* Commits what waits and closes its handles; the loop must run on until they are. */
void gv_batch_close(struct gv_registrar *registrar);

/* Before the statements of a request: a transaction is open then. */
int gv_batch_enter(struct gv_registrar *registrar);
/* A statement failed half-way. */
void gv_batch_spoil(struct gv_registrar *registrar, int rc);
/* A new item for the request, which it answers after the commit. NULL without memory. */
struct gv_batch_item *gv_batch_wait(struct gv_registrar *registrar, struct gv_http_request *request,
                                    void (*done)(struct gv_registrar *registrar,
                                                 struct gv_batch_item *item, int rc));
/* Commits and answers now. What reads, or writes by itself, begins with it. */
void gv_batch_flush(struct gv_registrar *registrar);

#endif
