/* Changes of verdict and action that a hook has not taken yet: bounded, the oldest go first, and
 * what went is told. (SPEC 18.9) */
#ifndef GV_NODE_SERVE_HOOK_QUEUE_H
#define GV_NODE_SERVE_HOOK_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/identity.h"
#include "proto/subject.h"
#include "proto/trust/action.h"

#define GV_HOOK_BATCH_MAX 100u /* changes in one delivery */

struct gv_change {
    uint64_t number; /* set by gv_hook_queue_push: 1, 2, ... */
    uint64_t unix_ms;
    struct gv_subject subject;
    uint8_t was, is; /* bits of enum gv_listed */
    uint8_t verdict, action, reason;
};

struct gv_hook_queue {
    struct gv_change *items; /* owned; a ring */
    size_t cap, max, head, count;
    uint64_t pushed, dropped; /* since the start; dropped: since the last delivery that said so */
};

void gv_hook_queue_init(struct gv_hook_queue *queue, size_t max);
void gv_hook_queue_free(struct gv_hook_queue *queue);
/* A smaller maximum drops the oldest. */
void gv_hook_queue_limit(struct gv_hook_queue *queue, size_t max);
/* False: something was dropped for it, the oldest, or, when out of memory, the change itself. */
bool gv_hook_queue_push(struct gv_hook_queue *queue, const struct gv_change *change);

/* The oldest changes as JSON, at most GV_HOOK_BATCH_MAX: malloc'd, terminated; NULL when out of
 * memory or empty. *last: the number of the last one in it; *dropped: how many it says are missing.
 */
char *gv_hook_queue_body(const struct gv_hook_queue *queue, uint64_t *last, uint64_t *dropped,
                         size_t *count, const uint8_t instance[GV_ID_LEN], const char *run);
/* Taken, or given up: everything up to `last` goes. */
void gv_hook_queue_done(struct gv_hook_queue *queue, uint64_t last, uint64_t dropped);

#endif
