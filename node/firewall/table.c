#include "node/firewall/table.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "crypto/hash.h"
#include "crypto/wipe.h"

#define CAP_MIN 1024u

struct slot {
    uint64_t until_s;          /* 0: it should not be there */
    struct gv_subject subject; /* family GV_FAMILY_NONE: free */
    uint8_t of_list;           /* the last whole list that named it, modulo 256 */
    bool known;                /* the kernel has it */
    bool dirty;                /* it is in `changed` */
};

struct list {
    struct gv_plan_range *items; /* seconds: when it ends, in the clock's low 32 bits; 0: never */
    size_t count, cap;
    bool dirty;
};

struct gv_nft_table {
    struct slot *slots; /* owned; linear probing; slots are freed by a rebuild alone */
    size_t cap, taken, wanted, entries_max;
    struct gv_subject *changed; /* owned */
    size_t changed_count, changed_cap;
    struct list ranges, allowed;           /* what should be there */
    struct list next_ranges, next_allowed; /* between BEGIN and COMMIT */
    struct gv_prefix *protected;           /* owned; the helper's own */
    size_t protected_count;
    /* What may never be refused, ascending, none within another: `protected`, and with it
     * `allowed`. While a list comes only the first counts, because its own allow list comes with
     * it. */
    struct shield {
        struct gv_plan_range *items; /* owned */
        size_t count;
    } own, all;
    uint8_t list_number;
    bool in_list;    /* BEGIN has come, COMMIT not yet */
    bool lists_only; /* that does not name single entries */
    uint8_t key[16];
};

struct gv_nft_table *gv_nft_table_new(const uint8_t key[16], size_t entries_max)
{
    struct gv_nft_table *t = calloc(1, sizeof *t);

    if (!t)
        return NULL;
    memcpy(t->key, key, sizeof t->key);
    t->entries_max = entries_max;
    t->cap = CAP_MIN;
    t->slots = calloc(t->cap, sizeof *t->slots);
    t->ranges.dirty = t->allowed.dirty = true;
    if (!t->slots) {
        gv_nft_table_free(t);
        return NULL;
    }
    return t;
}

void gv_nft_table_free(struct gv_nft_table *table)
{
    if (!table)
        return;
    gv_wipe(table->key, sizeof table->key);
    free(table->slots);
    free(table->changed);
    free(table->ranges.items);
    free(table->allowed.items);
    free(table->next_ranges.items);
    free(table->next_allowed.items);
    free(table->protected);
    free(table->own.items);
    free(table->all.items);
    free(table);
}

/* ---- slots ---------------------------------------------------------------------------------- */

static size_t place(const struct gv_nft_table *t, const struct gv_subject *subject)
{
    size_t at = (size_t)gv_siphash(t->key, subject, sizeof *subject) & (t->cap - 1);

    while (t->slots[at].subject.family != GV_FAMILY_NONE &&
           !gv_subject_equal(&t->slots[at].subject, subject))
        at = (at + 1) & (t->cap - 1);
    return at;
}

/* Anew, without what is neither wanted nor known. */
static int rebuild(struct gv_nft_table *t)
{
    size_t live = 0, cap = CAP_MIN, old_cap = t->cap;
    struct slot *old = t->slots;

    for (size_t i = 0; i < old_cap; i++)
        live += old[i].until_s > 0 || old[i].known || old[i].dirty;
    while (cap / 2 <= live)
        cap *= 2;
    struct slot *slots = calloc(cap, sizeof *slots);
    if (!slots)
        return GV_ERR_MEMORY;
    t->slots = slots;
    t->cap = cap;
    t->taken = live;
    for (size_t i = 0; i < old_cap; i++)
        if (old[i].until_s > 0 || old[i].known || old[i].dirty)
            slots[place(t, &old[i].subject)] = old[i];
    free(old);
    return GV_OK;
}

/* The subject's slot, made when it is not there. NULL when out of memory. */
static struct slot *slot_of(struct gv_nft_table *t, const struct gv_subject *subject)
{
    size_t at = place(t, subject);

    if (t->slots[at].subject.family != GV_FAMILY_NONE)
        return &t->slots[at];
    if (t->taken + 1 > t->cap / 4 * 3) {
        if (rebuild(t) != GV_OK)
            return NULL;
        at = place(t, subject);
    }
    t->taken++;
    t->slots[at].subject = *subject;
    return &t->slots[at];
}

static int mark(struct gv_nft_table *t, struct slot *slot)
{
    if (slot->dirty)
        return GV_OK;
    if (t->changed_count == t->changed_cap) {
        size_t cap = t->changed_cap ? 2 * t->changed_cap : 256;
        struct gv_subject *grown = realloc(t->changed, cap * sizeof *grown);
        if (!grown)
            return GV_ERR_MEMORY;
        t->changed = grown;
        t->changed_cap = cap;
    }
    t->changed[t->changed_count++] = slot->subject;
    slot->dirty = true;
    return GV_OK;
}

/* `until_s` 0: it goes. */
static int set(struct gv_nft_table *t, struct slot *slot, uint64_t until_s)
{
    int rc = mark(t, slot);

    if (rc != GV_OK)
        return rc;
    t->wanted = t->wanted + (until_s > 0) - (slot->until_s > 0);
    slot->until_s = until_s;
    return GV_OK;
}

/* ---- lists of ranges ------------------------------------------------------------------------ */

/* Whether `outer` holds all of `inner`. */
static bool covers(const struct gv_prefix *outer, const struct gv_prefix *inner)
{
    unsigned whole = outer->bits / 8u, rest = outer->bits % 8u;

    if (outer->family != inner->family || outer->bits > inner->bits ||
        memcmp(outer->bytes, inner->bytes, whole) != 0)
        return false;
    return rest == 0 || (outer->bytes[whole] ^ inner->bytes[whole]) >> (8 - rest) == 0;
}

static struct gv_plan_range *find(const struct list *list, const struct gv_prefix *prefix)
{
    for (size_t i = 0; i < list->count; i++)
        if (memcmp(&list->items[i].prefix, prefix, sizeof *prefix) == 0)
            return &list->items[i];
    return NULL;
}

static int add_range(struct list *list, const struct gv_prefix *prefix, uint32_t until)
{
    if (list->count >= GV_FIREWALL_RANGES)
        return GV_ERR_FULL;
    if (list->count == list->cap) {
        size_t cap = list->cap ? 2 * list->cap : 64;
        struct gv_plan_range *grown = realloc(list->items, cap * sizeof *grown);
        if (!grown)
            return GV_ERR_MEMORY;
        list->items = grown;
        list->cap = cap;
    }
    list->items[list->count++] = (struct gv_plan_range){.prefix = *prefix, .seconds = until};
    list->dirty = true;
    return GV_OK;
}

static int compare_ranges(const void *a, const void *b)
{
    const struct gv_prefix *x = &((const struct gv_plan_range *)a)->prefix;
    const struct gv_prefix *y = &((const struct gv_plan_range *)b)->prefix;

    if (x->family != y->family)
        return x->family < y->family ? -1 : 1;
    int order = memcmp(x->bytes, y->bytes, sizeof x->bytes);
    return order ? order : (int)x->bits - (int)y->bits;
}

/* Sorted, and without those that lie within another: prefixes nest, they never overlap in part. */
static size_t tidy(struct gv_plan_range *ranges, size_t count)
{
    size_t kept = 0;

    if (count)
        qsort(ranges, count, sizeof *ranges, compare_ranges);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || !covers(&ranges[kept - 1].prefix, &ranges[i].prefix))
            ranges[kept++] = ranges[i];
    return kept;
}

static int raise_shield(struct shield *out, const struct gv_nft_table *t, size_t allowed)
{
    size_t count = allowed + t->protected_count;
    struct gv_plan_range *items = calloc(count + 1, sizeof *items);

    if (!items)
        return GV_ERR_MEMORY;
    for (size_t i = 0; i < count; i++) {
        struct gv_prefix *prefix = &items[i].prefix;
        *prefix = i < allowed ? t->allowed.items[i].prefix : t->protected[i - allowed];
        if (prefix->family == GV_FAMILY_IPV6 &&
            prefix->bits > 64) { /* a subject is the whole /64 */
            prefix->bits = 64;
            memset(prefix->bytes + 8, 0, 8);
        }
    }
    free(out->items);
    *out = (struct shield){.items = items, .count = tidy(items, count)};
    return GV_OK;
}

/* A range that holds something protected is taken: what is protected comes first in the kernel. */
static bool is_protected(const struct gv_nft_table *t, const struct gv_prefix *prefix)
{
    const struct gv_plan_range key = {.prefix = *prefix};
    const struct shield *shield = t->in_list ? &t->own : &t->all;
    size_t low = 0, high = shield->count;

    while (low < high) { /* the last that does not come after it */
        size_t middle = low + (high - low) / 2;
        if (compare_ranges(&shield->items[middle], &key) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 && covers(&shield->items[low - 1].prefix, prefix);
}

/* Drops the entries that have become protected. */
static int enforce_protection(struct gv_nft_table *t)
{
    if (raise_shield(&t->own, t, 0) != GV_OK || raise_shield(&t->all, t, t->allowed.count) != GV_OK)
        return GV_ERR_MEMORY;
    t->allowed.dirty = true;
    for (size_t i = 0; i < t->cap; i++) {
        struct slot *slot = &t->slots[i];
        struct gv_prefix prefix = {.family = slot->subject.family,
                                   .bits = slot->subject.family == GV_FAMILY_IPV4 ? 32 : 64};
        if (slot->until_s == 0)
            continue;
        memcpy(prefix.bytes, slot->subject.bytes, sizeof slot->subject.bytes);
        if (is_protected(t, &prefix) && set(t, slot, 0) != GV_OK)
            return GV_ERR_MEMORY;
    }
    return GV_OK;
}

int gv_nft_table_protect(struct gv_nft_table *table, const struct gv_prefix *prefixes, size_t count)
{
    struct gv_prefix *copy = calloc(count + 1, sizeof *copy);

    if (!copy)
        return GV_ERR_MEMORY;
    if (count)
        memcpy(copy, prefixes, count * sizeof *copy);
    free(table->protected);
    table->protected = copy;
    table->protected_count = count;
    return enforce_protection(table);
}

/* ---- records -------------------------------------------------------------------------------- */

static int add_single(struct gv_nft_table *t, const struct gv_prefix *prefix, uint64_t until_s)
{
    struct gv_subject subject = gv_prefix_subject(prefix);
    size_t at = place(t, &subject);

    if (t->slots[at].until_s == 0 && t->wanted >= t->entries_max)
        return GV_ERR_FULL;
    struct slot *slot = slot_of(t, &subject);
    if (!slot)
        return GV_ERR_MEMORY;
    slot->of_list = t->list_number;
    /* A list that repeats what is known costs the kernel nothing. */
    if (slot->known && slot->until_s == until_s)
        return GV_OK;
    return set(t, slot, until_s);
}

static int add(struct gv_nft_table *t, const struct gv_prefix *prefix, uint64_t until_s)
{
    if (is_protected(t, prefix))
        return GV_ERR_FORBIDDEN;
    if (gv_prefix_is_single(prefix))
        return add_single(t, prefix, until_s);
    struct list *list = t->in_list ? &t->next_ranges : &t->ranges;
    struct gv_plan_range *known = t->in_list ? NULL : find(list, prefix);
    if (!known)
        return add_range(list, prefix, (uint32_t)until_s);
    known->seconds = (uint32_t)until_s;
    list->dirty = true;
    return GV_OK;
}

static int drop(struct gv_nft_table *t, const struct gv_prefix *prefix)
{
    if (gv_prefix_is_single(prefix)) {
        struct gv_subject subject = gv_prefix_subject(prefix);
        struct slot *slot = &t->slots[place(t, &subject)];
        return slot->until_s > 0 ? set(t, slot, 0) : GV_OK;
    }
    struct list *list = t->in_list ? &t->next_ranges : &t->ranges;
    struct gv_plan_range *known = find(list, prefix);
    if (known) {
        *known = list->items[--list->count];
        list->dirty = true;
    }
    return GV_OK;
}

static void begin(struct gv_nft_table *t, bool lists_only)
{
    t->in_list = true;
    t->lists_only = lists_only;
    t->list_number += !lists_only;
    t->next_ranges.count = t->next_allowed.count = 0;
}

void gv_nft_table_abandon(struct gv_nft_table *table)
{
    table->in_list = false;
}

static void take_over(struct list *list, struct list *next)
{
    struct list old = *list;

    *list = *next;
    list->dirty = true;
    *next = (struct list){.items = old.items, .cap = old.cap};
}

/* The whole list has come: what it did not name goes. */
static int commit(struct gv_nft_table *t)
{
    if (!t->in_list)
        return GV_OK;
    t->in_list = false;
    for (size_t i = 0; i < t->cap && !t->lists_only; i++) {
        struct slot *slot = &t->slots[i];
        if (slot->until_s > 0 && slot->of_list != t->list_number && set(t, slot, 0) != GV_OK)
            return GV_ERR_MEMORY;
    }
    take_over(&t->ranges, &t->next_ranges);
    take_over(&t->allowed, &t->next_allowed);
    return enforce_protection(t);
}

int gv_nft_table_apply(struct gv_nft_table *table, const struct gv_firewall_record *record,
                       uint64_t now_s)
{
    switch (record->op) {
    case GV_FIREWALL_BEGIN:
        begin(table, record->number == GV_FIREWALL_LISTS_ONLY);
        return GV_OK;
    case GV_FIREWALL_ADD:
        return add(table, &record->prefix, now_s + record->number);
    case GV_FIREWALL_DROP:
        return drop(table, &record->prefix);
    case GV_FIREWALL_ALLOW: /* only in a list: each costs a look at everything */
        return table->in_list ? add_range(&table->next_allowed, &record->prefix, 0) : GV_ERR_STATE;
    case GV_FIREWALL_COMMIT:
        return commit(table);
    default:
        return GV_OK;
    }
}

/* ---- the kernel ----------------------------------------------------------------------------- */

void gv_nft_table_lost(struct gv_nft_table *table)
{
    table->changed_count = 0;
    table->ranges.dirty = table->allowed.dirty = true;
    for (size_t i = 0; i < table->cap; i++) {
        struct slot *slot = &table->slots[i];
        slot->known = slot->dirty = false;
    }
}

int gv_nft_table_found(struct gv_nft_table *table, const struct gv_subject *subject)
{
    struct slot *slot = slot_of(table, subject);

    if (!slot)
        return GV_ERR_MEMORY;
    slot->known = true;
    return slot->until_s == 0 ? mark(table, slot) : GV_OK;
}

static uint32_t left(uint64_t until_s, uint64_t now_s)
{
    uint64_t seconds = until_s > now_s ? until_s - now_s : 0;

    return seconds > GV_FIREWALL_LEASE_S ? GV_FIREWALL_LEASE_S : (uint32_t)seconds;
}

static int plan_ranges(struct gv_nft_table *t, struct gv_plan *out, uint64_t now_s)
{
    struct list *list = &t->ranges;
    size_t kept = 0;

    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].seconds <= (uint32_t)now_s) {
            list->dirty = true;
            continue;
        }
        list->items[kept++] = list->items[i];
    }
    list->count = kept;
    out->with_ranges = list->dirty;
    if (!list->dirty)
        return GV_OK;
    out->ranges = calloc(kept + 1, sizeof *out->ranges);
    if (!out->ranges)
        return GV_ERR_MEMORY;
    for (size_t i = 0; i < kept; i++) {
        out->ranges[i] = list->items[i];
        out->ranges[i].seconds = left(list->items[i].seconds, (uint32_t)now_s);
    }
    out->range_count = tidy(out->ranges, kept);
    return GV_OK;
}

static int plan_allowed(struct gv_nft_table *t, struct gv_plan *out)
{
    out->with_allowed = t->allowed.dirty;
    if (!t->allowed.dirty)
        return GV_OK;
    out->allowed = calloc(t->all.count + 1, sizeof *out->allowed);
    if (!out->allowed)
        return GV_ERR_MEMORY;
    if (t->all.count)
        memcpy(out->allowed, t->all.items, t->all.count * sizeof *out->allowed);
    out->allowed_count = t->all.count;
    return GV_OK;
}

static int plan_entries(struct gv_nft_table *t, struct gv_plan *out, uint64_t now_s)
{
    out->entries = calloc(t->changed_count + 1, sizeof *out->entries);
    if (!out->entries)
        return GV_ERR_MEMORY;
    for (size_t i = 0; i < t->changed_count; i++) {
        const struct slot *slot = &t->slots[place(t, &t->changed[i])];
        uint32_t seconds = left(slot->until_s, now_s);
        if (seconds > 0 || slot->known)
            out->entries[out->entry_count++] = (struct gv_plan_entry){
                .subject = slot->subject, .seconds = seconds, .known = slot->known};
    }
    return GV_OK;
}

/* What is wanted and not in the kernel is a change, after a loss; what has run out goes. */
static int sweep(struct gv_nft_table *t, uint64_t now_s)
{
    for (size_t i = 0; i < t->cap; i++) {
        struct slot *slot = &t->slots[i];
        /* The kernel forgets it at about the same time; told twice is told for certain. */
        if (slot->until_s > 0 && slot->until_s <= now_s && set(t, slot, 0) != GV_OK)
            return GV_ERR_MEMORY;
        if (slot->until_s > 0 && !slot->known && mark(t, slot) != GV_OK)
            return GV_ERR_MEMORY;
    }
    return GV_OK;
}

int gv_nft_table_plan(struct gv_nft_table *table, struct gv_plan *out, uint64_t now_s)
{
    memset(out, 0, sizeof *out);
    int rc = sweep(table, now_s);
    if (rc == GV_OK)
        rc = plan_entries(table, out, now_s);
    if (rc == GV_OK)
        rc = plan_ranges(table, out, now_s);
    if (rc == GV_OK)
        rc = plan_allowed(table, out);
    if (rc != GV_OK)
        gv_plan_free(out);
    return rc;
}

bool gv_plan_is_empty(const struct gv_plan *plan)
{
    return plan->entry_count == 0 && !plan->with_ranges && !plan->with_allowed;
}

void gv_plan_free(struct gv_plan *plan)
{
    free(plan->entries);
    free(plan->ranges);
    free(plan->allowed);
    memset(plan, 0, sizeof *plan);
}

void gv_nft_table_done(struct gv_nft_table *table)
{
    for (size_t i = 0; i < table->changed_count; i++) {
        struct slot *slot = &table->slots[place(table, &table->changed[i])];
        slot->dirty = false;
        slot->known = slot->until_s > 0;
    }
    table->changed_count = 0;
    table->ranges.dirty = table->allowed.dirty = false;
}

size_t gv_nft_table_count(const struct gv_nft_table *table)
{
    return table->wanted;
}

uint32_t gv_nft_table_look(const struct gv_nft_table *table, const struct gv_subject *subject,
                           uint64_t now_s)
{
    const struct slot *slot = &table->slots[place(table, subject)];

    return slot->until_s > 0 ? left(slot->until_s, now_s) : 0;
}
