#include "proto/trust/policy.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"

static int compare(const void *left, const void *right)
{
    const struct gv_prefix *a = left, *b = right;

    if (a->family != b->family)
        return (int)a->family - (int)b->family;
    if (a->bits != b->bits)
        return (int)a->bits - (int)b->bits;
    return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

/* Where it is, or would be. */
static size_t place_of(const struct gv_prefix_list *list, const struct gv_prefix *prefix)
{
    size_t low = 0, high = list->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(&list->entries[middle], prefix) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool holds(const struct gv_prefix_list *list, const struct gv_prefix *prefix, size_t *at)
{
    *at = place_of(list, prefix);
    return *at < list->count && compare(&list->entries[*at], prefix) == 0;
}

static void set_length(struct gv_prefix_list *list, const struct gv_prefix *prefix, bool there)
{
    uint64_t *word =
        prefix->family == GV_FAMILY_IPV4 ? &list->lengths4 : &list->lengths6[prefix->bits / 64];
    uint64_t bit = 1ULL << prefix->bits % 64;

    *word = there ? *word | bit : *word & ~bit;
}

static int add(struct gv_prefix_list *list, const struct gv_prefix *prefix, size_t at)
{
    if (list->count == list->cap) {
        size_t cap = list->cap ? 2 * list->cap : 8;
        struct gv_prefix *grown = realloc(list->entries, cap * sizeof *grown);
        if (!grown)
            return GV_ERR_MEMORY;
        list->entries = grown;
        list->cap = cap;
    }
    memmove(&list->entries[at + 1], &list->entries[at], (list->count - at) * sizeof *prefix);
    list->entries[at] = *prefix;
    list->count++;
    set_length(list, prefix, true);
    return GV_OK;
}

static bool same_length(const struct gv_prefix_list *list, size_t at,
                        const struct gv_prefix *prefix)
{
    return at < list->count && list->entries[at].family == prefix->family &&
           list->entries[at].bits == prefix->bits;
}

static bool take_off(struct gv_prefix_list *list, const struct gv_prefix *prefix)
{
    size_t at;

    if (!holds(list, prefix, &at))
        return false;
    list->count--;
    memmove(&list->entries[at], &list->entries[at + 1], (list->count - at) * sizeof *prefix);
    if (!same_length(list, at, prefix) && (at == 0 || !same_length(list, at - 1, prefix)))
        set_length(list, prefix, false);
    return true;
}

void gv_policy_free(struct gv_policy_lists *lists)
{
    free(lists->config_allow.entries);
    free(lists->config_deny.entries);
    free(lists->admin_allow.entries);
    free(lists->admin_deny.entries);
    memset(lists, 0, sizeof *lists);
}

static int copy(struct gv_prefix_list *out, const struct gv_prefix *entries, size_t count)
{
    memset(out, 0, sizeof *out);
    if (count == 0)
        return GV_OK;
    out->entries = malloc(count * sizeof *entries);
    if (!out->entries)
        return GV_ERR_MEMORY;
    memcpy(out->entries, entries, count * sizeof *entries);
    out->count = out->cap = count;
    qsort(out->entries, count, sizeof *entries, compare);
    for (size_t i = 0; i < count; i++)
        set_length(out, &entries[i], true);
    return GV_OK;
}

int gv_policy_configure(struct gv_policy_lists *lists, const struct gv_settings *settings)
{
    struct gv_prefix_list allow, deny;

    if (copy(&allow, settings->allow, settings->allow_count) != GV_OK)
        return GV_ERR_MEMORY;
    if (copy(&deny, settings->deny, settings->deny_count) != GV_OK) {
        free(allow.entries);
        return GV_ERR_MEMORY;
    }
    free(lists->config_allow.entries);
    free(lists->config_deny.entries);
    lists->config_allow = allow;
    lists->config_deny = deny;
    return GV_OK;
}

int gv_policy_add(struct gv_policy_lists *lists, const struct gv_prefix *prefix, bool deny)
{
    struct gv_prefix_list *list = deny ? &lists->admin_deny : &lists->admin_allow;
    size_t at;

    if (holds(list, prefix, &at))
        return GV_ERR_DUPLICATE;
    if (add(list, prefix, at) != GV_OK)
        return GV_ERR_MEMORY;
    take_off(deny ? &lists->admin_allow : &lists->admin_deny, prefix);
    return GV_OK;
}

int gv_policy_remove(struct gv_policy_lists *lists, const struct gv_prefix *prefix)
{
    bool from_allow = take_off(&lists->admin_allow, prefix);
    bool from_deny = take_off(&lists->admin_deny, prefix);

    return from_allow || from_deny ? GV_OK : GV_ERR_NOT_FOUND;
}

/* Whether an entry of this length matches: the first that is not below the subject's own prefix. */
static bool matches(const struct gv_prefix_list *list, const struct gv_subject *subject,
                    unsigned bits)
{
    struct gv_prefix key = gv_prefix_of_subject(subject);

    key.bits = (uint8_t)bits;
    if (bits < 64) {
        key.bytes[bits / 8] &= (uint8_t)(0xff00u >> bits % 8);
        memset(key.bytes + bits / 8 + 1, 0, 7 - bits / 8);
    }
    size_t at = place_of(list, &key);
    return same_length(list, at, &key) && gv_prefix_matches(&list->entries[at], subject);
}

/* Length of the longest match plus one; 0 for none. */
static unsigned longest(const struct gv_prefix_list *list, const struct gv_subject *subject)
{
    bool four = subject->family == GV_FAMILY_IPV4;
    const uint64_t *words = four ? &list->lengths4 : list->lengths6;

    for (unsigned word = four ? 1 : 3; word-- > 0;)
        for (uint64_t left = words[word]; left;) {
            unsigned bit = 63u - (unsigned)__builtin_clzll(left);
            if (matches(list, subject, 64 * word + bit))
                return 64 * word + bit + 1;
            left &= ~(1ULL << bit);
        }
    return 0;
}

void gv_policy_look(const struct gv_policy_lists *lists, const struct gv_subject *subject,
                    bool *allowed, bool *denied)
{
    unsigned admin_deny = longest(&lists->admin_deny, subject);
    unsigned admin_allow = longest(&lists->admin_allow, subject);
    unsigned config_deny = longest(&lists->config_deny, subject);
    unsigned config_allow = longest(&lists->config_allow, subject);
    unsigned deny = admin_deny > config_deny ? admin_deny : config_deny;
    unsigned allow = admin_allow > config_allow ? admin_allow : config_allow;

    *allowed = *denied = false;
    if (deny == 0 && allow == 0)
        return;
    if (deny != allow) {
        *denied = deny > allow;
    } else {
        *denied = admin_deny == deny || (admin_allow != allow && config_deny == deny);
    }
    *allowed = !*denied;
}
