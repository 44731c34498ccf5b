/* What other hosts of the same admin have told that they have locked (SPEC 9.8). In memory alone:
 * sessions bring it again. Times are of the step clock, so no wall clock matters. */
#ifndef GV_PROTO_TRUST_OWN_LOCKS_H
#define GV_PROTO_TRUST_OWN_LOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/hash.h"
#include "proto/subject.h"
#include "proto/table.h"

struct gv_own_lock {
    struct gv_subject subject;
    uint8_t author[GV_ID_LEN]; /* instance */
    uint64_t until_ms;
};

struct gv_own_locks {
    uint8_t hash_key[16];
    struct gv_table table; /* of struct gv_own_lock, owned: one a subject and author */
    size_t max;
};

void gv_own_locks_init(struct gv_own_locks *locks, const uint8_t hash_key[16], size_t max);
void gv_own_locks_free(struct gv_own_locks *locks);

/* Enters or changes what the author says of the subject; until_ms 0: takes it back. *changed tells
 * whether that begins or ends its lock. Returns GV_OK, GV_ERR_FULL or GV_ERR_MEMORY. */
int gv_own_locks_set(struct gv_own_locks *locks, bool *changed, const struct gv_own_lock *lock,
                     uint64_t now_ms);
/* A lock on the subject that holds now, of any author; NULL: none. */
const struct gv_own_lock *gv_own_locks_find(const struct gv_own_locks *locks,
                                            const struct gv_subject *subject, uint64_t now_ms);
/* Takes out the next that is over, or (author not NULL) is this author's, and copies it to *gone;
 * false: that was all. *cursor starts at 0. */
bool gv_own_locks_take(struct gv_own_locks *locks, size_t *cursor, struct gv_own_lock *gone,
                       uint64_t now_ms, const uint8_t *author);

#endif
