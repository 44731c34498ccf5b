#include "node/serve/ranges.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"

struct result {
    struct gv_prefix *list;
    size_t count, cap;
    bool failed;
};

static void append(struct result *out, const struct gv_prefix *prefix)
{
    if (out->count == out->cap && !out->failed) {
        size_t cap = out->cap ? 2 * out->cap : 64;
        struct gv_prefix *grown = realloc(out->list, cap * sizeof *grown);
        out->failed = !grown;
        if (!grown)
            return;
        out->list = grown;
        out->cap = cap;
    }
    if (!out->failed)
        out->list[out->count++] = *prefix;
}

/* Family, address, the wider before the narrower, and the one that wins first. */
static int compare(const void *a, const void *b)
{
    const struct gv_range_rule *x = a, *y = b;
    int by = memcmp(x->prefix.bytes, y->prefix.bytes, sizeof x->prefix.bytes);

    if (x->prefix.family != y->prefix.family)
        return x->prefix.family < y->prefix.family ? -1 : 1;
    if (by != 0)
        return by;
    if (x->prefix.bits != y->prefix.bits)
        return x->prefix.bits < y->prefix.bits ? -1 : 1;
    if (x->length != y->length)
        return x->length > y->length ? -1 : 1;
    if (x->command != y->command)
        return x->command ? -1 : 1;
    return (int)y->deny - (int)x->deny;
}

static bool same(const struct gv_prefix *a, const struct gv_prefix *b)
{
    return a->family == b->family && a->bits == b->bits &&
           memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

/* What of `whole` is refused, when `deny` holds where none of the rules, all within it, does. Goes
 * down at most 64 levels, and only where two rules differ. */
static void cut(struct result *out, const struct gv_prefix *whole, bool deny,
                const struct gv_range_rule *rules, size_t count)
{
    bool differ = false;
    size_t left = 0;

    if (count > 0 && same(&rules[0].prefix, whole)) {
        deny = rules[0].deny;
        rules++;
        count--;
    }
    for (size_t i = 0; i < count && !differ; i++)
        differ = rules[i].deny != deny;
    if (!differ) {
        if (deny)
            append(out, whole);
        return;
    }
    uint8_t byte = whole->bits / 8, mask = (uint8_t)(0x80 >> whole->bits % 8);
    struct gv_prefix half = *whole;
    while (left < count && !(rules[left].prefix.bytes[byte] & mask))
        left++;
    half.bits++;
    cut(out, &half, deny, rules, left);
    half.bytes[byte] |= mask;
    cut(out, &half, deny, rules + left, count - left);
}

int gv_ranges_refused(struct gv_prefix **out, size_t *out_count, struct gv_range_rule *rules,
                      size_t count)
{
    struct result result = {.list = NULL};
    size_t kept = 0, four = 0;

    *out = NULL;
    *out_count = 0;
    /* A subject is a whole /64. */
    for (size_t i = 0; i < count; i++) {
        rules[i].length = rules[i].prefix.bits;
        if (rules[i].prefix.family == GV_FAMILY_IPV6 && rules[i].prefix.bits > 64) {
            rules[i].prefix.bits = 64;
            memset(rules[i].prefix.bytes + 8, 0, 8);
        }
    }
    if (count == 0)
        return GV_OK;
    qsort(rules, count, sizeof *rules, compare);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || !same(&rules[i].prefix, &rules[kept - 1].prefix))
            rules[kept++] = rules[i];
    while (four < kept && rules[four].prefix.family == GV_FAMILY_IPV4)
        four++;
    cut(&result, &(struct gv_prefix){.family = GV_FAMILY_IPV4}, false, rules, four);
    cut(&result, &(struct gv_prefix){.family = GV_FAMILY_IPV6}, false, rules + four, kept - four);
    if (result.failed) {
        free(result.list);
        return GV_ERR_MEMORY;
    }
    *out = result.list;
    *out_count = result.count;
    return GV_OK;
}
