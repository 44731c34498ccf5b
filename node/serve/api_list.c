/* The list of addresses that the mesh or this host has something to say of: worst first. */
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "node/serve/api_json.h"

struct entry {
    struct gv_subject subject;
    enum gv_verdict_state verdict;
    enum gv_action action;
    uint32_t weight, owners, groups, since_min, until_min, points;
};

/* The best `limit` of any number of entries: gathered up to twice as many, then sorted and cut, so
 * that a set of any size takes little memory. */
struct best {
    struct entry *list;
    size_t count, limit;
    uint64_t matches;
};

static int compare(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    if (x->verdict != y->verdict)
        return x->verdict > y->verdict ? -1 : 1;
    if (x->action != y->action)
        return x->action > y->action ? -1 : 1;
    if (x->weight != y->weight)
        return x->weight > y->weight ? -1 : 1;
    if (x->points != y->points)
        return x->points > y->points ? -1 : 1;
    return memcmp(&x->subject, &y->subject, sizeof x->subject);
}

static void cut(struct best *best)
{
    qsort(best->list, best->count, sizeof *best->list, compare);
    if (best->count > best->limit)
        best->count = best->limit;
}

static void offer(struct best *best, const struct gv_core *core,
                  const struct gv_api_list_query *query, const struct gv_subject *subject,
                  bool local)
{
    struct gv_verdict verdict;
    struct gv_action_facts facts;

    struct gv_decision decision = gv_core_decide(core, &verdict, &facts, subject);
    /* What the mesh has a verdict on came with the first pass already. A subject of which nothing
     * is held and that is treated like any other is only listed when it is asked for. */
    if (local == (verdict.state != GV_VERDICT_UNKNOWN))
        return;
    if (local && !query->by_verdict && !query->by_action && decision.action == GV_ACTION_ALLOW)
        return;
    if ((query->by_verdict && verdict.state != query->verdict) ||
        (query->by_action && decision.action != query->action))
        return;
    best->matches++;
    if (best->count == 2 * best->limit)
        cut(best);
    struct entry *entry = &best->list[best->count++];
    memset(entry, 0, sizeof *entry);
    entry->subject = *subject;
    entry->verdict = verdict.state;
    entry->action = decision.action;
    entry->weight = verdict.weight;
    entry->owners = verdict.owners;
    entry->groups = verdict.groups;
    entry->since_min = verdict.state == GV_VERDICT_UNKNOWN ? GV_NEVER : verdict.since_min;
    entry->until_min = verdict.state == GV_VERDICT_UNKNOWN ? GV_NEVER : verdict.until_min;
    entry->points = facts.points;
}

static json_t *entry_json(const struct entry *entry)
{
    char text[GV_SUBJECT_TEXT];

    gv_subject_text(text, &entry->subject);
    return json_pack("{s:s, s:s, s:i, s:s, s:o, s:o, s:i, s:i, s:i}", "subject", text, "verdict",
                     gv_verdict_state_name(entry->verdict), "weight", (int)entry->weight, "action",
                     gv_action_name(entry->action), "since", gv_api_minute(entry->since_min),
                     "until", gv_api_minute(entry->until_min), "owners", (int)entry->owners,
                     "groups", (int)entry->groups, "points", (int)entry->points);
}

json_t *gv_api_list_json(const struct gv_core *core, const struct gv_api_list_query *query)
{
    struct best best = {.limit = query->offset + query->limit};
    struct gv_history_summary history;
    struct gv_subject subject;
    size_t cursor = 0;

    best.list = calloc(2 * best.limit, sizeof *best.list);
    if (!best.list)
        return NULL;
    while (gv_core_next_subject(core, &cursor, &subject))
        offer(&best, core, query, &subject, false);
    cursor = 0;
    while (gv_core_next_local(core, &cursor, &subject))
        offer(&best, core, query, &subject, true);
    for (cursor = 0; gv_core_next_own_lock(core, &cursor, &subject);)
        if (gv_core_history(core, &history, &subject) != GV_OK)
            offer(&best, core, query, &subject, true);
    cut(&best);
    json_t *list = json_array();
    for (size_t i = query->offset; i < best.count; i++)
        json_array_append_new(list, entry_json(&best.list[i]));
    free(best.list);
    return json_pack("{s:o, s:I}", "subjects", list, "matches", (json_int_t)best.matches);
}
