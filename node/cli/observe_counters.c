#include "node/cli/observe_counters.h"

#include <inttypes.h>
#include <stdlib.h>

#include "node/base/rfc3339.h"
#include "node/ingest/mail_flow_json.h"

/* "12.3 MB" behind the exact number, as bytes are hard to read. */
static void print_bytes(FILE *out, uint64_t bytes)
{
    static const char *const units[] = {"kB", "MB", "GB", "TB", "PB"};
    double value = (double)bytes / 1000;
    size_t unit = 0;

    for (; value >= 999.95 && unit < 4; unit++)
        value /= 1000;
    if (bytes >= 1000)
        fprintf(out, " (%.1f %s)", value, units[unit]);
}

static void print_count(const struct gv_mail_flow *flow, FILE *out, enum gv_mail_count which)
{
    uint64_t value = gv_mail_flow_count(flow, which);

    fprintf(out, "  %-24s %" PRIu64, gv_mail_count_text(which), value);
    if (which == GV_MAIL_DEFERRED)
        fprintf(out, " (%" PRIu64 " deferrals)", gv_mail_flow_count(flow, GV_MAIL_DEFERRALS));
    if (which == GV_MAIL_BYTES_RECEIVED || which == GV_MAIL_BYTES_DELIVERED)
        print_bytes(out, value);
    fputc('\n', out);
}

void gv_counters_print(const struct gv_mail_flow *flow, FILE *out, bool colour)
{
    struct gv_mail_queue queue;
    char oldest[GV_RFC3339_TEXT];

    fprintf(out, colour ? "\n\033[1m%s\033[0m\n" : "\n%s\n", "Mail flow");
    for (int i = 0; i < GV_MAIL_COUNT_MAX; i++) {
        enum gv_mail_count which = (enum gv_mail_count)i;
        bool filter = which == GV_MAIL_REINJECTED || which == GV_MAIL_FILTERED;

        if (which != GV_MAIL_DEFERRALS && (!filter || gv_mail_flow_count(flow, which) > 0))
            print_count(flow, out, which);
    }
    gv_mail_flow_queue(flow, &queue);
    gv_rfc3339(oldest, queue.oldest_ms);
    fprintf(out, "  %-24s %" PRIu64 "%s%s\n", "in the queue at the end", queue.messages,
            queue.messages ? ", the oldest since " : "", queue.messages ? oldest : "");
    if (queue.forgotten > 0)
        fprintf(out, "  %" PRIu64 " queued messages were forgotten to save memory\n",
                queue.forgotten);
}

bool gv_counters_json(const struct gv_mail_flow *flow, FILE *out)
{
    json_t *object = gv_mail_flow_json(flow);
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;

    if (text)
        fprintf(out, "%s\n", text);
    free(text);
    json_decref(object);
    return text != NULL;
}
