#include "node/serve/bans.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "crypto/hash.h"
#include "crypto/wipe.h"
#include "proto/table.h"

TAILQ_HEAD(ban_list, gv_ban);

struct gv_bans {
    struct gv_table table; /* every ban, in force or lifted; owned */
    struct ban_list active, lifted;
    size_t active_count, lifted_count, lifted_max;
    size_t lengths[2][65]; /* bans in force by family and length of prefix */
    uint64_t change, forgotten, next_id;
    LIST_HEAD(, gv_bans_walk) walks;
    uint8_t key[16];
};

/* ---- targets -------------------------------------------------------------------------------- */

static unsigned width(uint8_t family)
{
    return family == GV_FAMILY_IPV4 ? 32 : 64;
}

struct gv_target gv_target_of_subject(const struct gv_subject *subject)
{
    struct gv_target out = {.family = subject->family, .bits = (uint8_t)width(subject->family)};

    memcpy(out.bytes, subject->bytes, sizeof out.bytes);
    return out;
}

struct gv_subject gv_target_subject(const struct gv_target *target)
{
    struct gv_subject out = {.family = target->family};

    memcpy(out.bytes, target->bytes, sizeof out.bytes);
    return out;
}

struct gv_target gv_target_of_prefix(const struct gv_prefix *prefix)
{
    struct gv_target out = {.family = prefix->family, .bits = prefix->bits};

    if (out.bits > width(out.family))
        out.bits = (uint8_t)width(out.family);
    memcpy(out.bytes, prefix->bytes, sizeof out.bytes);
    return out;
}

struct gv_target gv_target_wider(const struct gv_target *target, unsigned bits)
{
    struct gv_target out = *target;

    out.bits = (uint8_t)bits;
    for (unsigned i = 0; i < sizeof out.bytes; i++) {
        unsigned kept = bits > 8 * i ? bits - 8 * i : 0;
        if (kept < 8)
            out.bytes[i] &= (uint8_t)(0xff00u >> kept);
    }
    return out;
}

bool gv_target_equal(const struct gv_target *a, const struct gv_target *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

bool gv_target_holds(const struct gv_target *wide, const struct gv_target *narrow)
{
    if (wide->family != narrow->family || wide->bits > narrow->bits)
        return false;
    struct gv_target same = gv_target_wider(narrow, wide->bits);
    return gv_target_equal(&same, wide);
}

bool gv_target_is_address(const struct gv_target *target)
{
    return target->family == GV_FAMILY_IPV4 && target->bits == 32;
}

bool gv_target_is_small(const struct gv_target *target)
{
    return target->family == GV_FAMILY_IPV4 && target->bits >= GV_TARGET_SMALL_BITS &&
           target->bits < 32;
}

unsigned gv_target_size(const struct gv_target *range)
{
    return 1u << (32 - range->bits);
}

struct gv_target gv_target_address(const struct gv_target *range, unsigned number)
{
    struct gv_target out = *range;

    out.bits = 32;
    out.bytes[3] = (uint8_t)(out.bytes[3] + number);
    return out;
}

void gv_target_text(char out[GV_PREFIX_TEXT], const struct gv_target *target)
{
    struct gv_prefix prefix = {.family = target->family, .bits = target->bits};

    memcpy(prefix.bytes, target->bytes, sizeof target->bytes);
    gv_prefix_text(out, &prefix);
}

/* ---- life ----------------------------------------------------------------------------------- */

struct gv_bans *gv_bans_new(const uint8_t key[16], uint64_t first_id, size_t lifted_max)
{
    struct gv_bans *bans = calloc(1, sizeof *bans);

    if (!bans)
        return NULL;
    memcpy(bans->key, key, sizeof bans->key);
    bans->next_id = first_id;
    bans->lifted_max = lifted_max ? lifted_max : GV_BANS_LIFTED_MAX;
    TAILQ_INIT(&bans->active);
    TAILQ_INIT(&bans->lifted);
    LIST_INIT(&bans->walks);
    return bans;
}

void gv_bans_free(struct gv_bans *bans)
{
    struct gv_bans_walk *walk;
    size_t cursor = 0;

    if (!bans)
        return;
    while ((walk = LIST_FIRST(&bans->walks)) != NULL)
        gv_bans_walk_end(walk);
    for (struct gv_ban *ban; (ban = gv_table_next(&bans->table, &cursor)) != NULL;)
        free(ban);
    gv_table_free(&bans->table);
    gv_wipe(bans->key, sizeof bans->key);
    free(bans);
}

static uint64_t hash_of(const struct gv_bans *bans, const struct gv_target *target)
{
    return gv_siphash(bans->key, target, sizeof *target);
}

static bool is_about(const void *item, const void *key)
{
    return gv_target_equal(&((const struct gv_ban *)item)->target, key);
}

struct gv_ban *gv_bans_find(const struct gv_bans *bans, const struct gv_target *target)
{
    return gv_table_find(&bans->table, hash_of(bans, target), is_about, target);
}

struct gv_ban *gv_bans_next(const struct gv_bans *bans, size_t *cursor)
{
    return gv_table_next(&bans->table, cursor);
}

/* ---- the two lists -------------------------------------------------------------------------- */

static void take_out(struct gv_bans *bans, struct gv_ban *ban)
{
    struct gv_bans_walk *walk;

    LIST_FOREACH(walk, &bans->walks, list)
    if (walk->at == ban)
        walk->at = TAILQ_NEXT(ban, list);
    if (ban->sources) {
        TAILQ_REMOVE(&bans->active, ban, list);
        bans->active_count--;
        bans->lengths[ban->target.family == GV_FAMILY_IPV6][ban->target.bits]--;
    } else {
        TAILQ_REMOVE(&bans->lifted, ban, list);
        bans->lifted_count--;
    }
}

/* As the latest change. */
static void put_in(struct gv_bans *bans, struct gv_ban *ban)
{
    ban->change = ++bans->change;
    if (ban->sources) {
        TAILQ_INSERT_TAIL(&bans->active, ban, list);
        bans->active_count++;
        bans->lengths[ban->target.family == GV_FAMILY_IPV6][ban->target.bits]++;
    } else {
        TAILQ_INSERT_TAIL(&bans->lifted, ban, list);
        bans->lifted_count++;
    }
}

static void touch(struct gv_bans *bans, struct gv_ban *ban)
{
    take_out(bans, ban);
    put_in(bans, ban);
}

static void forget(struct gv_bans *bans, struct gv_ban *ban)
{
    take_out(bans, ban);
    gv_table_remove(&bans->table, hash_of(bans, &ban->target), ban);
    free(ban);
}

/* Of what was lifted, the oldest. Somebody may hold it still: who has not asked since then must be
 * told in another way. */
static void shrink(struct gv_bans *bans, uint32_t now_s)
{
    while (bans->lifted_count > bans->lifted_max) {
        struct gv_ban *oldest = TAILQ_FIRST(&bans->lifted);
        if (oldest->held_s > now_s)
            bans->forgotten = oldest->change;
        forget(bans, oldest);
    }
}

void gv_bans_prune(struct gv_bans *bans, uint32_t now_s)
{
    struct gv_ban *oldest;

    while ((oldest = TAILQ_FIRST(&bans->lifted)) != NULL && oldest->held_s <= now_s &&
           now_s - oldest->until_s >= GV_BANS_LIFTED_S)
        forget(bans, oldest);
}

/* ---- changes -------------------------------------------------------------------------------- */

/* Of more than two times only the first and the last are kept, hence the repetitions between. */
static void say_again(struct gv_ban *ban, uint32_t when_s)
{
    uint32_t first = ban->again_s;

    if (first == 0 || first > when_s)
        ban->again_s = when_s;
    if (first && ban->last_s < (first > when_s ? first : when_s))
        ban->last_s = first > when_s ? first : when_s;
}

static struct gv_ban *find_active(const struct gv_bans *bans, const struct gv_target *target)
{
    if (bans->lengths[target->family == GV_FAMILY_IPV6][target->bits] == 0)
        return NULL;
    struct gv_ban *ban = gv_bans_find(bans, target);
    return ban && ban->sources ? ban : NULL;
}

/* Whoever was told of `other` holds it until one of these times, and takes no other for what it
 * holds: `ban`, which is about the same addresses, is said again then. */
static void take_over(struct gv_ban *ban, const struct gv_ban *other)
{
    say_again(ban, other->until_s);
    if (other->again_s)
        say_again(ban, other->again_s);
    if (other->last_s)
        say_again(ban, other->last_s);
}

/* A small range tells the addresses in it from now on. */
static void take_over_addresses(struct gv_bans *bans, struct gv_ban *range)
{
    const struct gv_ban *other;

    for (unsigned i = 0; i < gv_target_size(&range->target); i++) {
        struct gv_target within = gv_target_address(&range->target, i);
        if ((other = find_active(bans, &within)) != NULL)
            take_over(range, other);
    }
    for (unsigned bits = GV_TARGET_SMALL_BITS; bits < range->target.bits; bits++) {
        struct gv_target wider = gv_target_wider(&range->target, bits);
        if ((other = find_active(bans, &wider)) != NULL)
            take_over(range, other);
    }
}

static struct gv_ban *add(struct gv_bans *bans, const struct gv_target *target)
{
    struct gv_ban *ban = calloc(1, sizeof *ban);

    if (!ban)
        return NULL;
    ban->target = *target;
    if (gv_table_insert(&bans->table, hash_of(bans, target), ban) != GV_OK) {
        free(ban);
        return NULL;
    }
    return ban;
}

int gv_bans_set(struct gv_bans *bans, const struct gv_target *target, enum gv_ban_source source,
                unsigned scenario, uint32_t until_s, uint32_t now_s)
{
    struct gv_ban *ban = gv_bans_find(bans, target);

    if (ban && ban->sources) {
        if (!(ban->sources & source) && until_s > ban->until_s)
            gv_bans_renew(bans, ban, until_s, now_s);
        ban->sources |= (uint8_t)source;
        return GV_OK;
    }
    if (ban) {
        take_out(bans, ban);
    } else {
        ban = add(bans, target);
        if (!ban)
            return GV_ERR_MEMORY;
    }
    ban->sources = (uint8_t)source;
    ban->scenario = (uint8_t)scenario;
    ban->id = bans->next_id++;
    ban->until_s = until_s;
    ban->again_s = ban->last_s = 0;
    if (ban->held_s < until_s)
        ban->held_s = until_s;
    put_in(bans, ban);
    if (gv_target_is_small(target))
        take_over_addresses(bans, ban);
    return GV_OK;
}

/* Of what some bouncers know by an address of it, or by all: others must not go with it. */
static void spare_others(struct gv_bans *bans, const struct gv_ban *lifted)
{
    const struct gv_target *target = &lifted->target;
    struct gv_ban *ban;

    for (unsigned bits = 0; bits <= width(target->family); bits++) {
        struct gv_target same = *target; /* begins with the same address */
        same.bits = (uint8_t)bits;
        if (bits != target->bits && (ban = find_active(bans, &same)) != NULL) {
            touch(bans, ban);
            take_over(ban, lifted);
        }
        if (bits < target->bits) {
            struct gv_target wider = gv_target_wider(target, bits);
            if ((ban = find_active(bans, &wider)) != NULL)
                take_over(ban, lifted);
        }
    }
    for (unsigned i = 1; gv_target_is_small(target) && i < gv_target_size(target); i++) {
        struct gv_target within = gv_target_address(target, i);
        if ((ban = find_active(bans, &within)) != NULL) {
            touch(bans, ban);
            take_over(ban, lifted);
        }
    }
}

const struct gv_ban *gv_bans_small_around(const struct gv_bans *bans,
                                          const struct gv_target *address)
{
    const struct gv_ban *ban = NULL;

    if (address->family != GV_FAMILY_IPV4)
        return NULL;
    for (unsigned bits = 31; !ban && bits >= GV_TARGET_SMALL_BITS; bits--) {
        struct gv_target wide = gv_target_wider(address, bits);
        ban = find_active(bans, &wide);
    }
    return ban;
}

void gv_bans_clear(struct gv_bans *bans, const struct gv_target *target, enum gv_ban_source source,
                   uint32_t now_s)
{
    struct gv_ban *ban = gv_bans_find(bans, target);

    if (!ban || !(ban->sources & source))
        return;
    if (ban->sources != source) {
        ban->sources &= (uint8_t)~source;
        return;
    }
    struct gv_ban was = *ban;
    take_out(bans, ban);
    ban->sources = 0;
    ban->until_s = now_s;
    put_in(bans, ban);
    shrink(bans, now_s);
    spare_others(bans, &was);
}

void gv_bans_renew(struct gv_bans *bans, struct gv_ban *ban, uint32_t until_s, uint32_t now_s)
{
    gv_assert(ban->sources && until_s > ban->until_s);
    if (ban->until_s > now_s)
        say_again(ban, ban->until_s);
    ban->until_s = until_s;
    if (ban->held_s < until_s)
        ban->held_s = until_s;
    touch(bans, ban);
}

void gv_bans_repeat(struct gv_bans *bans, struct gv_ban *ban, uint32_t now_s)
{
    gv_assert(ban->sources);
    if (ban->last_s > now_s + GV_BANS_AGAIN_S) {
        ban->again_s = now_s + GV_BANS_AGAIN_S;
    } else {
        ban->again_s = ban->last_s;
        ban->last_s = 0;
    }
    touch(bans, ban);
}

/* ---- questions ------------------------------------------------------------------------------ */

size_t gv_bans_of_length(const struct gv_bans *bans, uint8_t family, unsigned bits)
{
    return bans->lengths[family == GV_FAMILY_IPV6][bits];
}

size_t gv_bans_count(const struct gv_bans *bans)
{
    return bans->active_count;
}

size_t gv_bans_lifted_count(const struct gv_bans *bans)
{
    return bans->lifted_count;
}

uint64_t gv_bans_change(const struct gv_bans *bans)
{
    return bans->change;
}

uint64_t gv_bans_forgotten(const struct gv_bans *bans)
{
    return bans->forgotten;
}

/* ---- walks ---------------------------------------------------------------------------------- */

void gv_bans_walk_begin(struct gv_bans_walk *walk, struct gv_bans *bans, bool lifted, uint64_t from,
                        uint64_t to)
{
    struct ban_list *list = lifted ? &bans->lifted : &bans->active;
    struct gv_ban *at;

    *walk = (struct gv_bans_walk){.bans = bans, .lifted = lifted, .to = to};
    LIST_INSERT_HEAD(&bans->walks, walk, list);
    if (from == 0) {
        walk->at = TAILQ_FIRST(list);
        return;
    }
    TAILQ_FOREACH_REVERSE(at, list, ban_list, list)
    {
        if (at->change <= from)
            break;
        walk->at = at;
    }
}

const struct gv_ban *gv_bans_walk_next(struct gv_bans_walk *walk)
{
    struct gv_ban *ban = walk->at;

    if (!walk->bans || !ban || ban->change > walk->to) {
        walk->at = NULL;
        return NULL;
    }
    walk->at = TAILQ_NEXT(ban, list);
    return ban;
}

void gv_bans_walk_end(struct gv_bans_walk *walk)
{
    if (!walk->bans)
        return;
    LIST_REMOVE(walk, list);
    walk->bans = NULL;
    walk->at = NULL;
}
