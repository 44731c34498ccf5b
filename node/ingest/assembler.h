/* What an assembler consists of; of interest to the files assemble*.c alone. */
#ifndef GV_INGEST_ASSEMBLER_H
#define GV_INGEST_ASSEMBLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/ingest/assemble.h"
#include "node/ingest/hints.h"
#include "node/ingest/mailbox.h"

/* One connection that is open (or an Exim or Sendmail visit): 4096 of them in 1024 sets, the least
 * recently seen of a set forgotten first. Real servers have some hundreds of smtpd processes, one
 * connection each. */
#define GV_CONNECTION_SETS 1024
#define GV_CONNECTION_WAYS 4

struct connection {
    _Alignas(64) uint32_t told; /* AUTH commands that lines have told of; of a twin, its lines */
    union {
        uint64_t start_ms; /* 0: its beginning was not seen */
        uint64_t account;  /* of clients that were cut off: whose, if of one; of one that was met:
                            * what other lines leave of it */
    };
    union {
        uint64_t drop_line;
        uint64_t unnamed; /* of clients that were cut off: attempts that failed */
    };
    union {
        uint64_t drop_ms;
        uint64_t visit_ms; /* of a visit: its first line; 0: none yet. Of Postfix's: its latest
                            * failure, until it breaks off */
    };
    struct gv_ip_address address;
    uint8_t service;
    uint8_t kind; /* of clients that were cut off */
    bool visited; /* an observation came out */
    bool success; /* a successful login came out */
    bool dropped; /* broke off after AUTH; no line has settled that yet */
};

/* What the connections of a set are found by, and forgotten by: a connection that begins need not
 * wait for memory that nobody has looked at for long. */
struct connection_set {
    _Alignas(64) uint64_t key[GV_CONNECTION_WAYS]; /* 0: free */
    uint32_t seen[GV_CONNECTION_WAYS];
    bool may_be_dropped[GV_CONNECTION_WAYS]; /* false: it is not */
};
_Static_assert(sizeof(struct connection) == 64 && sizeof(struct connection_set) == 64,
               "each is one cache line");

struct gv_assembler {
    struct connection_set sets[GV_CONNECTION_SETS];
    struct connection table[GV_CONNECTION_SETS][GV_CONNECTION_WAYS];
    struct gv_hints *hints;
    struct gv_hints *own; /* the same, if nobody shares them; else NULL */
    struct gv_reader_counters *counters;
    struct gv_mailbox mailbox;
    uint32_t clock; /* counts uses, for the oldest of a set; that it wraps costs one wrong choice */
    uint32_t flushed;
    /* When the drop of each entry was read, in seconds. */
    uint32_t drop_read[GV_CONNECTION_SETS * GV_CONNECTION_WAYS];
    uint32_t settled;  /* where gv_assemble_settle goes on */
    bool may_be_drops; /* false: there is none in the table */
    bool drops_left;   /* gv_assemble_settle has passed one that is too young */
};

/* A reading of this client, with nothing of what was tried yet. */
void gv_reading_put(struct gv_reading *out, const struct gv_ip_address *address, uint8_t service,
                    uint8_t mta, uint64_t line, uint64_t ms);
/* What was tried, as the first or another observation of its connection. */
void gv_reading_finish(struct gv_reading *r, struct connection *c, uint8_t kind, uint32_t attempts);

/* NULL: none has this key. */
struct connection *gv_connection_find(struct gv_assembler *a, uint64_t key);
/* The entry of a key, made if need be at the cost of the set's oldest; then *fresh is true and
 * nothing is in it. What that one left open goes to out[*n]. */
struct connection *gv_connection_claim(struct gv_assembler *a, struct gv_reading *out, size_t *n,
                                       uint64_t key, bool *fresh);
void gv_connection_restart(struct connection *c, const struct gv_ip_address *address,
                           uint8_t service);
void gv_connection_release(struct gv_assembler *a, struct connection *c);

/* One failed attempt of a connection, by the line that tells of it; a login. At most one reading.
 */
size_t gv_assemble_failure(struct gv_assembler *a, struct gv_reading *out, uint64_t *faults,
                           struct connection *c, const struct gv_parsed *p,
                           const struct gv_moment *m);
size_t gv_assemble_success(struct gv_assembler *a, struct gv_reading *out, struct connection *c,
                           const struct gv_parsed *p, const struct gv_moment *m);

/* A line of a login process of Dovecot's. */
size_t gv_assemble_login(struct gv_assembler *a, struct gv_reading *out, uint64_t *faults,
                         const struct gv_parsed *p, const struct gv_moment *m);

/* A line of Exim's or Sendmail's. */
size_t gv_assemble_visit(struct gv_assembler *a, struct gv_reading *out, uint64_t *faults,
                         const struct gv_parsed *p, const struct gv_moment *m);

#endif
