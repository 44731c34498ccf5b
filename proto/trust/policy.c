#include "proto/trust/policy.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"

static bool same(const struct gv_prefix *a, const struct gv_prefix *b)
{
    return a->family == b->family && a->bits == b->bits && memcmp(a->bytes, b->bytes, 16) == 0;
}

static size_t find(const struct gv_prefix_list *list, const struct gv_prefix *prefix)
{
    size_t at = 0;

    while (at < list->count && !same(&list->entries[at], prefix))
        at++;
    return at;
}

static int add(struct gv_prefix_list *list, const struct gv_prefix *prefix)
{
    if (list->count == list->cap) {
        size_t cap = list->cap ? 2 * list->cap : 8;
        struct gv_prefix *grown = realloc(list->entries, cap * sizeof *grown);
        if (!grown)
            return GV_ERR_MEMORY;
        list->entries = grown;
        list->cap = cap;
    }
    list->entries[list->count++] = *prefix;
    return GV_OK;
}

static bool take_off(struct gv_prefix_list *list, const struct gv_prefix *prefix)
{
    size_t at = find(list, prefix);

    if (at == list->count)
        return false;
    list->entries[at] = list->entries[--list->count];
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

    if (find(list, prefix) < list->count)
        return GV_ERR_DUPLICATE;
    if (add(list, prefix) != GV_OK)
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

/* Length of the longest match plus one; 0 for none. */
static unsigned longest(const struct gv_prefix_list *list, const struct gv_subject *subject)
{
    unsigned best = 0;

    for (size_t i = 0; i < list->count; i++)
        if (gv_prefix_matches(&list->entries[i], subject) && list->entries[i].bits + 1u > best)
            best = list->entries[i].bits + 1u;
    return best;
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
