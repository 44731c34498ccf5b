#include "proto/mesh/set.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/mesh/base.h"
#include "proto/mesh/shelf.h"

void gv_set_init(struct gv_set *set, const uint8_t hash_key[16])
{
    memset(set, 0, sizeof *set);
    memcpy(set->hash_key, hash_key, 16);
}

static void free_item(struct gv_set *set, struct gv_item *item)
{
    if (item->record != item->bytes)
        gv_shelf_give_back(set->shelf, item->key.id);
    free(item);
}

void gv_set_free(struct gv_set *set)
{
    for (int t = 0; t < GV_TREES_HELD; t++) {
        for (size_t i = 0; i < set->trees[t].count; i++)
            free_item(set, set->trees[t].items[i]);
        free(set->trees[t].base);
    }
    gv_table_free(&set->by_id);
    free(set->gone.bits);
    free(set->gone.before);
    gv_base_release(set->base);
    memset(set, 0, sizeof *set);
}

#define TREE_BITS 7u

void gv_set_mark(uint8_t out[GV_MARK_LEN], const uint8_t id[GV_ID_LEN], unsigned spreading)
{
    memcpy(out, id, GV_MARK_LEN);
    out[GV_MARK_LEN - 1] = (uint8_t)((id[GV_MARK_LEN - 1] & ~TREE_BITS) | (spreading & TREE_BITS));
}

unsigned gv_set_mark_tree(const uint8_t mark[GV_MARK_LEN])
{
    return mark[GV_MARK_LEN - 1] & TREE_BITS;
}

/* Of its beginning, so that it is found by that alone. */
uint64_t gv_set_hash(const uint8_t hash_key[16], const uint8_t *id)
{
    uint8_t beginning[GV_MARK_LEN];

    gv_set_mark(beginning, id, 0);
    return gv_siphash(hash_key, beginning, sizeof beginning);
}

static uint64_t hash_of(const struct gv_set *set, const uint8_t *id)
{
    return gv_set_hash(set->hash_key, id);
}

static bool has_id(const void *item, const void *id)
{
    return memcmp(((const struct gv_item *)item)->key.id, id, GV_ID_LEN) == 0;
}

/* ---- what a base has of it ------------------------------------------------------------------- */

/* Index in the base of its first item that is not below the key. */
static size_t base_lower(const struct gv_base *base, const struct gv_key *key)
{
    size_t low = 0, high = base->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (gv_key_compare(&base->items[middle]->key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_gone(const struct gv_set *set, size_t place)
{
    return set->gone.count > 0 && (set->gone.bits[place / 64] >> place % 64 & 1) != 0;
}

/* How many of the base's first `place` items are still here. */
static size_t base_kept(const struct gv_set *set, size_t place)
{
    if (set->gone.count == 0)
        return place;
    uint64_t below = ((uint64_t)1 << place % 64) - 1;
    return place - set->gone.before[place / 64] -
           (size_t)__builtin_popcountll(set->gone.bits[place / 64] & below);
}

/* The place in the base of the index-th that is still here, or its end. */
static size_t base_place(const struct gv_set *set, size_t index)
{
    size_t low = index, high = index + set->gone.count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (base_kept(set, middle + 1) <= index)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct sought {
    const struct gv_set *set;
    gv_table_equal equal;
    const uint8_t *key;
};

/* Of two with one mark, the one that is still here. */
static bool is_here(const void *item, const void *key)
{
    const struct sought *sought = key;
    const struct gv_item *one = item;

    return sought->equal(item, sought->key) &&
           (sought->set->gone.count == 0 ||
            !is_gone(sought->set, base_lower(sought->set->base, &one->key)));
}

static struct gv_item *base_find(const struct gv_set *set, gv_table_equal equal, const uint8_t *key)
{
    const struct gv_base *base = set->base;
    struct sought sought = {set, equal, key};

    return base ? gv_table_find(&base->by_id, gv_set_hash(base->hash_key, key), is_here, &sought)
                : NULL;
}

static bool is_of_base(const struct gv_set *set, const struct gv_item *item)
{
    return item->tree == GV_TREE_ROSTER && set->base &&
           base_find(set, has_id, item->key.id) == item;
}

static void leave_base(struct gv_set *set, const struct gv_item *item)
{
    size_t words = set->base->count / 64 + 1, place = base_lower(set->base, &item->key);

    set->gone.bits[place / 64] |= (uint64_t)1 << place % 64;
    for (size_t word = place / 64 + 1; word < words; word++)
        set->gone.before[word]++;
    set->gone.count++;
}

bool gv_set_stand_on(struct gv_set *set, struct gv_base *base)
{
    size_t words = base->count / 64 + 1;

    set->gone.bits = calloc(words, sizeof *set->gone.bits);
    set->gone.before = calloc(words, sizeof *set->gone.before);
    if (!set->gone.bits || !set->gone.before) {
        free(set->gone.bits);
        free(set->gone.before);
        set->gone = (struct gv_gone){0};
        return false;
    }
    set->base = base;
    return true;
}

struct gv_item *gv_set_find(const struct gv_set *set, const uint8_t id[GV_ID_LEN])
{
    struct gv_item *item = gv_table_find(&set->by_id, hash_of(set, id), has_id, id);

    return item ? item : base_find(set, has_id, id);
}

static bool has_mark(const void *item, const void *mark)
{
    uint8_t beginning[GV_MARK_LEN];

    gv_set_mark(beginning, ((const struct gv_item *)item)->key.id, gv_set_mark_tree(mark));
    return memcmp(beginning, mark, GV_MARK_LEN) == 0;
}

struct gv_item *gv_set_find_mark(const struct gv_set *set, const uint8_t *mark)
{
    struct gv_item *item = gv_table_find(&set->by_id, hash_of(set, mark), has_mark, mark);

    return item ? item : base_find(set, has_mark, mark);
}

int gv_key_compare(const struct gv_key *a, const struct gv_key *b)
{
    if (a->minute != b->minute)
        return a->minute < b->minute ? -1 : 1;
    return memcmp(a->id, b->id, GV_ID_LEN);
}

/* Among this core's own. From the end in growing steps, and then by halves: what comes is young,
 * and what lies long ago is far away in memory. */
static size_t own_lower(const struct gv_set *set, enum gv_tree tree, const struct gv_key *key)
{
    const struct gv_tree_order *order = &set->trees[tree];
    size_t high = order->count, step = 1;

    while (step <= order->count &&
           gv_key_compare(&order->items[order->count - step]->key, key) >= 0) {
        high = order->count - step;
        step *= 2;
    }
    size_t low = step <= order->count ? order->count - step + 1 : 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (gv_key_compare(&order->items[middle]->key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool has_base(const struct gv_set *set, enum gv_tree tree)
{
    return tree == GV_TREE_ROSTER && set->base;
}

size_t gv_set_lower(const struct gv_set *set, enum gv_tree tree, const struct gv_key *key)
{
    size_t own = own_lower(set, tree, key);

    return has_base(set, tree) ? own + base_kept(set, base_lower(set->base, key)) : own;
}

size_t gv_set_count(const struct gv_set *set, enum gv_tree tree)
{
    size_t own = set->trees[tree].count;

    return has_base(set, tree) ? own + set->base->count - set->gone.count : own;
}

/* How many of the first `index` items are this core's own: each of those stands behind as many of
 * its kind, and of the base's, as are below it. */
static size_t own_before(const struct gv_set *set, enum gv_tree tree, size_t index)
{
    const struct gv_tree_order *order = &set->trees[tree];
    size_t low = 0, high = order->count;

    if (!has_base(set, tree))
        return index;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        size_t place = base_lower(set->base, &order->items[middle]->key);
        if (middle + base_kept(set, place) < index)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct gv_item *gv_set_at(const struct gv_set *set, enum gv_tree tree, size_t index)
{
    const struct gv_tree_order *order = &set->trees[tree];
    size_t own = own_before(set, tree, index);

    if (own < order->count &&
        (!has_base(set, tree) ||
         own + base_kept(set, base_lower(set->base, &order->items[own]->key)) == index))
        return order->items[own];
    return set->base->items[base_place(set, index - own)];
}

/* Expiry takes from the front: the beginning moves up, and the room before it is used again when
 * the end is reached. */
static bool make_room(struct gv_tree_order *order)
{
    size_t before = (size_t)(order->items - order->base);

    if (before + order->count < order->cap)
        return true;
    if (before > order->cap / 2) {
        memmove(order->base, order->items, order->count * sizeof *order->items);
        order->items = order->base;
        return true;
    }
    size_t cap = order->cap ? 2 * order->cap : 64;
    struct gv_item **grown = realloc(order->base, cap * sizeof *grown);
    if (!grown)
        return false;
    order->base = grown;
    order->items = grown + before;
    order->cap = cap;
    return true;
}

static int compare_items(const void *a, const void *b)
{
    return gv_key_compare(&(*(struct gv_item *const *)a)->key, &(*(struct gv_item *const *)b)->key);
}

static void settle(struct gv_tree_order *order)
{
    if (order->unordered)
        qsort(order->items, order->count, sizeof *order->items, compare_items);
    order->unordered = false;
}

void gv_set_loading(struct gv_set *set, bool loading)
{
    set->loading = loading;
    for (int t = 0; !loading && t < GV_TREES_HELD; t++)
        settle(&set->trees[t]);
}

/* Modulo 2^128; the id is little-endian (SPEC 9.5). */
void gv_set_add_id(uint32_t sum[GV_ID_LEN / 4], const uint8_t id[GV_ID_LEN], bool off)
{
    uint64_t carry = off; /* minus x is its complement and one */

    for (size_t limb = 0; limb < GV_ID_LEN / 4; limb++) {
        uint32_t value = (uint32_t)id[4 * limb] | (uint32_t)id[4 * limb + 1] << 8 |
                         (uint32_t)id[4 * limb + 2] << 16 | (uint32_t)id[4 * limb + 3] << 24;
        carry += (uint64_t)sum[limb] + (off ? ~value : value);
        sum[limb] = (uint32_t)carry;
        carry >>= 32;
    }
}

/* There is room for it. */
static void enter_order(struct gv_set *set, struct gv_item *item)
{
    struct gv_tree_order *order = &set->trees[item->tree];
    size_t at = order->count;

    if (set->loading)
        order->unordered = true;
    else
        at = own_lower(set, item->tree, &item->key);
    memmove(order->items + at + 1, order->items + at, (order->count - at) * sizeof *order->items);
    order->items[at] = item;
    order->count++;
    gv_set_add_id(order->sum, item->key.id, false);
}

static void leave_order(struct gv_set *set, struct gv_item *item)
{
    struct gv_tree_order *order = &set->trees[item->tree];
    settle(order);
    size_t at = own_lower(set, item->tree, &item->key);

    gv_assert(at < order->count && order->items[at] == item);
    order->count--;
    gv_set_add_id(order->sum, item->key.id, true);
    if (at == 0)
        order->items++;
    else
        memmove(order->items + at, order->items + at + 1,
                (order->count - at) * sizeof *order->items);
}

struct gv_item *gv_set_insert(struct gv_set *set, enum gv_tree tree, uint32_t minute,
                              const uint8_t id[GV_ID_LEN], const uint8_t *record, size_t len)
{
    const uint8_t *shelved = set->shelf ? gv_shelf_take(set->shelf, id, record, len) : NULL;
    struct gv_item *item = malloc(sizeof *item + (shelved ? 0 : len));

    if (!item || !make_room(&set->trees[tree]))
        goto failed;
    item->key.minute = minute;
    memcpy(item->key.id, id, GV_ID_LEN);
    item->tree = tree;
    item->row = NULL;
    item->len = len;
    item->record = shelved ? shelved : item->bytes;
    if (!shelved)
        memcpy(item->bytes, record, len);
    if (gv_table_insert(&set->by_id, hash_of(set, id), item) != GV_OK)
        goto failed;
    enter_order(set, item);
    return item;
failed:
    if (shelved)
        gv_shelf_give_back(set->shelf, id);
    free(item);
    return NULL;
}

bool gv_set_reserve(struct gv_set *set, enum gv_tree tree)
{
    return make_room(&set->trees[tree]);
}

void gv_set_move(struct gv_set *set, struct gv_item *item, enum gv_tree tree)
{
    leave_order(set, item);
    item->tree = tree;
    enter_order(set, item);
}

void gv_set_remove(struct gv_set *set, struct gv_item *item)
{
    if (is_of_base(set, item)) {
        leave_base(set, item);
        return;
    }
    leave_order(set, item);
    gv_table_remove(&set->by_id, hash_of(set, item->key.id), item);
    free_item(set, item);
}

/* Of this core's own with index in [from, to). Most are of all, or nearly: then what is left out is
 * taken off. */
static void sum_own(uint32_t sum[GV_ID_LEN / 4], const struct gv_tree_order *order, size_t from,
                    size_t to)
{
    if (to - from <= order->count / 2) {
        for (size_t i = from; i < to; i++)
            gv_set_add_id(sum, order->items[i]->key.id, false);
        return;
    }
    memcpy(sum, order->sum, sizeof order->sum);
    for (size_t i = 0; i < from; i++)
        gv_set_add_id(sum, order->items[i]->key.id, true);
    for (size_t i = to; i < order->count; i++)
        gv_set_add_id(sum, order->items[i]->key.id, true);
}

static void add_sum(uint32_t sum[GV_ID_LEN / 4], const uint32_t other[GV_ID_LEN / 4], bool off)
{
    uint8_t bytes[GV_ID_LEN];

    for (size_t i = 0; i < GV_ID_LEN; i++)
        bytes[i] = (uint8_t)(other[i / 4] >> 8 * (i % 4));
    gv_set_add_id(sum, bytes, off);
}

/* Of the base's places in [from, to) what is still here. */
static void sum_base(uint32_t sum[GV_ID_LEN / 4], const struct gv_set *set, size_t from, size_t to)
{
    const struct gv_base *base = set->base;

    add_sum(sum, base->sums[to], false);
    add_sum(sum, base->sums[from], true);
    for (size_t word = from / 64; set->gone.count > 0 && 64 * word < to; word++)
        for (uint64_t left = set->gone.bits[word]; left != 0; left &= left - 1) {
            size_t place = 64 * word + (size_t)__builtin_ctzll(left);
            if (place >= from && place < to)
                gv_set_add_id(sum, base->items[place]->key.id, true);
        }
}

void gv_set_fingerprint(uint8_t out[GV_ID_LEN], const struct gv_set *set, enum gv_tree tree,
                        size_t from, size_t to)
{
    uint8_t message[GV_ID_LEN + 8];
    uint32_t sum[GV_ID_LEN / 4] = {0};
    uint64_t count = to - from;
    size_t own_from = own_before(set, tree, from), own_to = own_before(set, tree, to);

    sum_own(sum, &set->trees[tree], own_from, own_to);
    if (has_base(set, tree) && to > from)
        sum_base(sum, set, base_place(set, from - own_from), base_place(set, to - own_to));
    for (size_t i = 0; i < GV_ID_LEN; i++)
        message[i] = (uint8_t)(sum[i / 4] >> 8 * (i % 4));
    for (size_t i = 0; i < 8; i++)
        message[GV_ID_LEN + i] = (uint8_t)(count >> (56 - 8 * i));
    gv_hash_id(out, "grapevine fingerprint 1", message, sizeof message);
}
