#include "node/serve/hook_queue.h"

#include <stdlib.h>
#include <string.h>

#include "node/base/json.h"
#include "node/base/rfc3339.h"
#include "node/serve/listing.h"

void gv_hook_queue_init(struct gv_hook_queue *queue, size_t max)
{
    memset(queue, 0, sizeof *queue);
    queue->max = max;
}

void gv_hook_queue_free(struct gv_hook_queue *queue)
{
    free(queue->items);
    memset(queue, 0, sizeof *queue);
}

static void drop_oldest(struct gv_hook_queue *queue)
{
    queue->head = (queue->head + 1) % queue->cap;
    queue->count--;
    queue->dropped++;
}

void gv_hook_queue_limit(struct gv_hook_queue *queue, size_t max)
{
    queue->max = max;
    while (queue->count > max)
        drop_oldest(queue);
}

static bool grow(struct gv_hook_queue *queue)
{
    size_t cap = queue->cap ? 2 * queue->cap : 128;
    struct gv_change *items = calloc(cap, sizeof *items);

    if (!items)
        return false;
    for (size_t i = 0; i < queue->count; i++)
        items[i] = queue->items[(queue->head + i) % queue->cap];
    free(queue->items);
    queue->items = items;
    queue->cap = cap;
    queue->head = 0;
    return true;
}

bool gv_hook_queue_push(struct gv_hook_queue *queue, const struct gv_change *change)
{
    bool all = true;

    queue->pushed++;
    if (queue->count >= queue->max && queue->count > 0) {
        drop_oldest(queue);
        all = false;
    }
    if (queue->count == queue->cap && !grow(queue)) {
        queue->dropped++;
        return false;
    }
    struct gv_change *item = &queue->items[(queue->head + queue->count++) % queue->cap];
    *item = *change;
    item->number = queue->pushed;
    return all;
}

static json_t *state_json(unsigned bits)
{
    return json_pack("{s:b, s:b}", "refused", (bits & GV_LISTED_REFUSED) != 0, "untrusted",
                     (bits & GV_LISTED_UNTRUSTED) != 0);
}

static json_t *change_json(const struct gv_change *change)
{
    char address[GV_SUBJECT_TEXT], time[GV_RFC3339_TEXT];

    gv_subject_text(address, &change->subject);
    gv_rfc3339(time, change->unix_ms);
    return json_pack("{s:I, s:s, s:s, s:o, s:o, s:s, s:s, s:s}", "number",
                     (json_int_t)change->number, "time", time, "address", address, "was",
                     state_json(change->was), "is", state_json(change->is), "verdict",
                     gv_verdict_state_name((enum gv_verdict_state)change->verdict), "action",
                     gv_action_name((enum gv_action)change->action), "why",
                     gv_reason_text((enum gv_reason)change->reason));
}

char *gv_hook_queue_body(const struct gv_hook_queue *queue, uint64_t *last, uint64_t *dropped,
                         size_t *count, const uint8_t instance[GV_ID_LEN], const char *run)
{
    json_t *changes = json_array();
    bool whole = changes != NULL;

    *count = queue->count < GV_HOOK_BATCH_MAX ? queue->count : GV_HOOK_BATCH_MAX;
    for (size_t i = 0; i < *count && whole; i++) {
        const struct gv_change *change = &queue->items[(queue->head + i) % queue->cap];
        whole = json_array_append_new(changes, change_json(change)) == 0;
        *last = change->number;
    }
    *dropped = queue->dropped;
    json_t *body = whole && *count > 0
                       ? json_pack("{s:i, s:o, s:s, s:I, s:O}", "version", 1, "instance",
                                   gv_json_new_hex(instance, GV_ID_LEN), "run", run, "dropped",
                                   (json_int_t)*dropped, "changes", changes)
                       : NULL;
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    json_decref(changes);
    return text;
}

void gv_hook_queue_done(struct gv_hook_queue *queue, uint64_t last, uint64_t dropped)
{
    while (queue->count > 0 && queue->items[queue->head].number <= last) {
        queue->head = (queue->head + 1) % queue->cap;
        queue->count--;
    }
    queue->dropped -= dropped < queue->dropped ? dropped : queue->dropped;
}
