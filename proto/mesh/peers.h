/* The address book: where peers may be reached, who was reached before, and whom to dial next
 * (SPEC 9.4). Seeds and cached peers are re-contacted for ever, with back-off and jitter. */
#ifndef GV_PROTO_MESH_PEERS_H
#define GV_PROTO_MESH_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/hash.h"
#include "proto/address.h"
#include "proto/limits.h"
#include "proto/wire/descriptor.h"

struct gv_book_entry {
    struct gv_address address;   /* GV_FAMILY_NONE: `host` must be resolved by the shell */
    char *host;                  /* owned "host:port", or NULL */
    uint8_t instance[GV_ID_LEN]; /* zero: not known */
    bool seed, reached, self;    /* reached: cached in the store */
    bool busy;                   /* it had no room for us when we were there last */
    uint32_t failures;           /* since it was last reached */
    uint64_t next_ms;            /* not dialled before */
    uint64_t lost_ms; /* when a session of some length ended without a word; 0: it did not */
    uint32_t link;    /* being dialled, or connected by us; 0: not */
    uint64_t rank;    /* secret order, so that nobody can place himself in it */
};

/* Of an entry's address and instance, and its link, so that looking for one of them is a walk
 * through 12 kB and not 100. Nothing is decided by the first two: what has the same is looked at.
 */
struct gv_book_mark {
    uint32_t address, instance, link;
};

struct gv_book {
    struct gv_book_entry *entries; /* owned */
    struct gv_book_mark *marks;    /* owned: one for each */
    size_t count, cap;
    uint64_t pause_ms; /* nobody is dialled before: there was no room */
    bool own_dirty;    /* which own hosts there are to dial may have changed */
    uint64_t own_seen; /* changes of the roster, and one, when it was looked for own hosts, */
    bool own_any;      /* and whether there was any */
    uint64_t own_ms;   /* when to dial one next; UINT64_MAX: none is left */
    uint64_t seek_ms;  /* when to look for one that was lost; 0: none is */
};

struct gv_core;
struct gv_link;

void gv_book_free(struct gv_book *book);
/* There will be so many: their room at once, and not by doubling. */
void gv_book_expect(struct gv_book *book, size_t count);
/* "host:port" of the descriptor or the configuration. */
void gv_book_seed(struct gv_core *core, const char *text);
/* An address told by its instance, or (instance NULL) of a stored row. */
void gv_book_learn(struct gv_core *core, const struct gv_address *address,
                   const uint8_t instance[GV_ID_LEN], bool reached);
/* The same of one whose instance and address nobody in the book has. */
void gv_book_learn_new(struct gv_core *core, const struct gv_address *address,
                       const uint8_t instance[GV_ID_LEN]);
/* What became of a link that we opened. */
void gv_book_reached(struct gv_core *core, uint32_t link, const uint8_t instance[GV_ID_LEN]);
/* Its connection goes on under another number. */
void gv_book_moved(struct gv_core *core, uint32_t from, uint32_t to);
void gv_book_ended(struct gv_core *core, const struct gv_link *link);
/* A link is gone. Whoever has no peer any more may come back to those who had no room. */
void gv_book_lonely(struct gv_core *core);
/* Has a member been reached there, or said that it is there? Whatever the port. */
bool gv_book_knows(const struct gv_book *book, const struct gv_address *address);
/* Dials while too few peers are connected. */
void gv_book_tick(struct gv_core *core);
/* Looks beyond the peers now and then; the first repair on such a link is over. */
void gv_book_feel(struct gv_core *core);
/* Looks for peers that were lost without a goodbye. */
void gv_book_seek(struct gv_core *core);
void gv_book_felt(struct gv_core *core, struct gv_link *link);
uint64_t gv_book_deadline(const struct gv_core *core);

#endif
