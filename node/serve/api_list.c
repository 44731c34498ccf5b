/* The list of addresses that the mesh or this host has something to say of: worst first. A decision
 * costs a microsecond, so all of 400,000 are gone through a few at a time, and logins are answered
 * in between. */
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "node/serve/answer.h"
#include "node/serve/api_internal.h"
#include "node/serve/api_json.h"

#define SLICE 512u /* subjects in one turn of the loop: half a millisecond */

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

static int by_subject(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    return memcmp(&x->subject, &y->subject, sizeof x->subject);
}

/* What changed while it was gone through may have come twice. */
static void drop_repeated(struct best *best)
{
    size_t kept = 0;

    qsort(best->list, best->count, sizeof *best->list, by_subject);
    for (size_t i = 0; i < best->count; i++)
        if (kept == 0 || by_subject(&best->list[i], &best->list[kept - 1]) != 0)
            best->list[kept++] = best->list[i];
    best->matches -= best->count - kept;
    best->count = kept;
}

static json_t *list_json(struct best *best, size_t offset)
{
    json_t *list = json_array();

    drop_repeated(best);
    cut(best);
    for (size_t i = offset; i < best->count; i++)
        json_array_append_new(list, entry_json(&best->list[i]));
    return json_pack("{s:o, s:I}", "subjects", list, "matches", (json_int_t)best->matches);
}

/* ---- a few at a time ------------------------------------------------------------------------ */

struct walk {
    uv_timer_t timer;
    const struct gv_core *core;
    struct gv_http_request *request;
    struct gv_api_list_query query;
    struct best best;
    unsigned stage; /* of go_on: how many of its ways are done */
    size_t cursor;
};

/* What only an own host has locked, and neither the mesh nor local history knows. */
static bool next_own_lock(const struct gv_core *core, size_t *cursor, struct gv_subject *out)
{
    struct gv_history_summary history;

    while (gv_core_next_own_lock(core, cursor, out))
        if (gv_core_history(core, &history, out) != GV_OK)
            return true;
    return false;
}

/* False: that was all. */
static bool go_on(struct walk *walk)
{
    static bool (*const ways[])(const struct gv_core *, size_t *, struct gv_subject *) = {
        gv_core_next_subject, gv_core_next_local, next_own_lock};
    struct gv_subject subject;

    for (unsigned i = 0; i < SLICE; i++) {
        if (ways[walk->stage](walk->core, &walk->cursor, &subject)) {
            offer(&walk->best, walk->core, &walk->query, &subject, walk->stage > 0);
        } else if (++walk->stage < sizeof ways / sizeof *ways) {
            walk->cursor = 0;
        } else {
            return false;
        }
    }
    return true;
}

static void on_closed(uv_handle_t *handle)
{
    struct walk *walk = handle->data;

    free(walk->best.list);
    free(walk);
}

/* The server stops: neither request nor core may be touched any more. */
static void gone(void *context)
{
    struct walk *walk = context;

    uv_close((uv_handle_t *)&walk->timer, on_closed);
}

static void on_timer(uv_timer_t *timer)
{
    struct walk *walk = timer->data;

    if (go_on(walk)) {
        uv_timer_start(timer, on_timer, 1, 0); /* 0 would be at once, before anybody else */
        return;
    }
    gv_http_on_closed(walk->request, NULL, NULL);
    gv_answer_json(walk->request, list_json(&walk->best, walk->query.offset));
    uv_close((uv_handle_t *)timer, on_closed);
}

void gv_api_answer_list(struct gv_http_request *request, uv_loop_t *loop,
                        const struct gv_core *core, const struct gv_api_list_query *query)
{
    struct walk *walk = calloc(1, sizeof *walk);
    size_t limit = query->offset + query->limit;

    if (walk)
        walk->best.list = calloc(2 * limit, sizeof *walk->best.list);
    if (!walk || !walk->best.list) {
        free(walk);
        gv_http_respond_json(request, 500, NULL);
        return;
    }
    walk->core = core;
    walk->request = request;
    walk->query = *query;
    walk->best.limit = limit;
    uv_timer_init(loop, &walk->timer);
    walk->timer.data = walk;
    gv_http_on_closed(request, gone, walk);
    on_timer(&walk->timer);
}
