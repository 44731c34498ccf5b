#include "node/serve/blocklist_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"

static int compare_subjects(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct gv_subject));
}

static void text(struct gv_buf *out, const char *words)
{
    gv_buf_append(out, words, strlen(words));
}

static void head(struct gv_buf *out, enum gv_blocklist_format format, bool untrusted, size_t count)
{
    char number[32];

    if (format == GV_BLOCKLIST_MAP)
        text(out, untrusted ? "# grapevine: untrusted by the mesh, for scoring\n"
                            : "# grapevine: refused by this host\n");
    if (format != GV_BLOCKLIST_JSON)
        return;
    snprintf(number, sizeof number, "%zu", count);
    text(out, untrusted ? "{\"list\":\"untrusted\",\"count\":" : "{\"list\":\"refuse\",\"count\":");
    text(out, number);
    text(out, ",\"entries\":[");
}

/* `address` is one or a range. */
static void entry(struct gv_buf *out, enum gv_blocklist_format format, bool untrusted, bool first,
                  const char *address)
{
    switch (format) {
    case GV_BLOCKLIST_TEXT:
    case GV_BLOCKLIST_MAP:
    case GV_BLOCKLIST_FORMATS:
        text(out, address);
        text(out, "\n");
        break;
    case GV_BLOCKLIST_JSON:
        text(out, first ? "\"" : ",\"");
        text(out, address);
        text(out, "\"");
        break;
    case GV_BLOCKLIST_CIDR:
        text(out, address);
        text(out, untrusted ? " WARN grapevine: untrusted by the mesh\n"
                            : " REJECT Refused by grapevine\n");
        break;
    }
}

/* Which comes first; a range and a subject that it has are 0. */
static int order(const struct gv_prefix *range, const struct gv_subject *subject)
{
    if (gv_prefix_matches(range, subject))
        return 0;
    if (range->family != subject->family)
        return range->family < subject->family ? -1 : 1;
    return memcmp(range->bytes, subject->bytes, sizeof subject->bytes);
}

/* Takes off the subjects that a range has; both are sorted, and ranges disjoint. */
static size_t drop_covered(struct gv_blocklist_entries *entries, const struct gv_prefix *ranges,
                           size_t count)
{
    size_t kept = 0, at = 0;

    for (size_t i = 0; i < entries->subject_count; i++) {
        while (at < count && order(&ranges[at], &entries->subjects[i]) < 0)
            at++;
        if (at == count || order(&ranges[at], &entries->subjects[i]) != 0)
            entries->subjects[kept++] = entries->subjects[i];
    }
    return kept;
}

void gv_blocklist_write(struct gv_buf *out, enum gv_blocklist_format format,
                        struct gv_blocklist_entries *entries)
{
    char line[GV_PREFIX_TEXT];
    struct gv_prefix *ranges;
    size_t count, i = 0, j = 0;

    if (gv_ranges_refused(&ranges, &count, entries->rules, entries->rule_count) != GV_OK) {
        out->failed = true;
        return;
    }
    if (entries->subject_count)
        qsort(entries->subjects, entries->subject_count, sizeof *entries->subjects,
              compare_subjects);
    entries->subject_count = drop_covered(entries, ranges, count);
    head(out, format, entries->untrusted, count + entries->subject_count);
    while (i < count || j < entries->subject_count) {
        bool first = i + j == 0;
        if (j == entries->subject_count ||
            (i < count && order(&ranges[i], &entries->subjects[j]) < 0))
            gv_prefix_text(line, &ranges[i++]);
        else
            gv_subject_text(line, &entries->subjects[j++]);
        entry(out, format, entries->untrusted, first, line);
    }
    if (format == GV_BLOCKLIST_JSON)
        text(out, "]}");
    free(ranges);
}

const char *gv_blocklist_type(enum gv_blocklist_format format)
{
    return format == GV_BLOCKLIST_JSON ? "application/json" : "text/plain; charset=utf-8";
}
