/* What bouncers are told, and since when: every ban in force and those that were lifted, both in
 * the order of their last change. Who knows everything up to a change asks for what came after it.
 * No clock and no socket. (SPEC 18.7) */
#ifndef GV_NODE_SERVE_BANS_H
#define GV_NODE_SERVE_BANS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "proto/settings.h"
#include "proto/subject.h"

/* Lifted bans that are remembered, at about 100 bytes each. */
#define GV_BANS_LIFTED_MAX 65536u
#define GV_BANS_AGAIN_S    600u
/* How long one is remembered although nobody can hold it any more: who asks less often than this
 * has only the duration to go by. */
#define GV_BANS_LIFTED_S 3600u

/* An address or a range; an IPv6 one is a /64 or wider. Compared as its ten bytes. */
struct gv_target {
    uint8_t family; /* enum gv_family */
    uint8_t bits;   /* 0..32, 0..64 */
    uint8_t bytes[8];
};
struct gv_target gv_target_of_subject(const struct gv_subject *subject);
/* That it began as, or of a range the first. */
struct gv_subject gv_target_subject(const struct gv_target *target);
/* An IPv6 prefix longer than /64 becomes the /64 that it is in, as everywhere. */
struct gv_target gv_target_of_prefix(const struct gv_prefix *prefix);
/* Its first `bits` bits; bits <= target->bits. */
struct gv_target gv_target_wider(const struct gv_target *target, unsigned bits);
bool gv_target_holds(const struct gv_target *wide, const struct gv_target *narrow);
bool gv_target_equal(const struct gv_target *a, const struct gv_target *b);
bool gv_target_is_address(const struct gv_target *target); /* a single IPv4 address */
/* An IPv4 range of so few addresses that they can be told one by one. */
#define GV_TARGET_SMALL_BITS 24
bool gv_target_is_small(const struct gv_target *target);
/* The address number `number` of a small range, from 0; number < gv_target_size. */
struct gv_target gv_target_address(const struct gv_target *range, unsigned number);
unsigned gv_target_size(const struct gv_target *range); /* of a small range */
void gv_target_text(char out[GV_PREFIX_TEXT], const struct gv_target *target);

/* Why there is a ban. It is in force while there is at least one reason. */
enum gv_ban_source {
    GV_BAN_SUBJECT = 1, /* what the listing has */
    GV_BAN_RANGE = 2    /* an entry of the deny list that is no single subject */
};

struct gv_ban {
    TAILQ_ENTRY(gv_ban) list; /* by `change`, the oldest first */
    struct gv_target target;
    uint8_t sources;  /* bits of enum gv_ban_source; 0: lifted */
    uint8_t scenario; /* the caller's; of its first reason */
    uint8_t mark;     /* the caller's */
    uint64_t id;      /* never given twice; a new one when it comes back after it was lifted */
    uint64_t change;  /* number of its last change */
    uint32_t until_s; /* unix seconds: until when it was said to last, or when it was lifted */
    uint32_t again_s; /* to be said again then (gv_bans_renew); 0: not */
    uint32_t last_s;  /* and from then on every GV_BANS_AGAIN_S until here; 0: that was the last */
    uint32_t held_s;  /* nobody who was told holds it longer than until then */
};

struct gv_bans;

/* key: 16 secret bytes for the hash, copied. first_id: where ids begin. lifted_max: 0 means
 * GV_BANS_LIFTED_MAX. NULL when out of memory. */
struct gv_bans *gv_bans_new(const uint8_t key[16], uint64_t first_id, size_t lifted_max);
void gv_bans_free(struct gv_bans *bans);

/* A reason more. until_s and scenario count where the ban is new; another reason may make it last
 * longer, and then it is a change. Returns GV_OK, or GV_ERR_MEMORY: then all is as before. */
int gv_bans_set(struct gv_bans *bans, const struct gv_target *target, enum gv_ban_source source,
                unsigned scenario, uint32_t until_s, uint32_t now_s);
/* A reason less; with the last the ban is lifted. What some bouncers make of a range (its first
 * address alone; or all its addresses, gv_target_is_small) must not take another ban with it: one
 * that begins with the same address, or lies in a small range that is lifted, is a change then; and
 * one that holds what is lifted is said again when its time is over. */
void gv_bans_clear(struct gv_bans *bans, const struct gv_target *target, enum gv_ban_source source,
                   uint32_t now_s);
/* It lasts longer than was said. Said at once, and again when the old time is over: some bouncers
 * do not take a new time for what they hold. until_s > ban->until_s. */
void gv_bans_renew(struct gv_bans *bans, struct gv_ban *ban, uint32_t until_s, uint32_t now_s);
/* again_s has come. */
void gv_bans_repeat(struct gv_bans *bans, struct gv_ban *ban, uint32_t now_s);
/* Forgets lifted bans that nobody can hold any more. */
void gv_bans_prune(struct gv_bans *bans, uint32_t now_s);

/* In force or lifted; NULL: neither. */
struct gv_ban *gv_bans_find(const struct gv_bans *bans, const struct gv_target *target);
/* The narrowest small range in force that holds the address, NULL: none. */
const struct gv_ban *gv_bans_small_around(const struct gv_bans *bans,
                                          const struct gv_target *address);
/* All of them, in table order; *cursor starts at 0. Not while bans are set. */
struct gv_ban *gv_bans_next(const struct gv_bans *bans, size_t *cursor);
/* How many bans in force have this length of prefix. */
size_t gv_bans_of_length(const struct gv_bans *bans, uint8_t family, unsigned bits);

size_t gv_bans_count(const struct gv_bans *bans);        /* in force */
size_t gv_bans_lifted_count(const struct gv_bans *bans); /* remembered */
/* The number of the last change. */
uint64_t gv_bans_change(const struct gv_bans *bans);
/* Who knows everything only up to an earlier change has missed that some ban was lifted. */
uint64_t gv_bans_forgotten(const struct gv_bans *bans);

/* ---- changes, one at a time; the bans may change between two of them ------------------------ */

struct gv_bans_walk {
    LIST_ENTRY(gv_bans_walk) list;
    struct gv_bans *bans;
    struct gv_ban *at;
    bool lifted;
    uint64_t to;
};
/* What changed after `from` and not after `to`: bans in force, or lifted. What changes meanwhile is
 * left out: it is for who asks next. */
void gv_bans_walk_begin(struct gv_bans_walk *walk, struct gv_bans *bans, bool lifted, uint64_t from,
                        uint64_t to);
/* NULL at the end. The ban is only lent until anything else is called. */
const struct gv_ban *gv_bans_walk_next(struct gv_bans_walk *walk);
/* After a begin always; may be called twice. */
void gv_bans_walk_end(struct gv_bans_walk *walk);

#endif
