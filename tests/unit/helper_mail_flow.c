#include "helper_mail_flow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NOW_MS 1795348800000u /* 2026-11-22T12:00:00Z */

static void on_count(void *context, enum gv_mail_count which, int64_t delta, uint64_t ms)
{
    struct flowing *f = context;

    f->told[which] += delta;
    f->last_ms[which] = ms;
    if (f->told[which] < 0)
        abort(); /* a count may be taken back, but never one that was not given */
}

static void open_both(struct flowing *f)
{
    struct gv_mail_flow_config flow = {.key = 7, .on_count = on_count, .context = f};
    struct gv_reader_config reader = {.key = "0123456789abcde"};

    f->flow = gv_mail_flow_new(&flow);
    reader.flow = f->flow;
    f->reader = gv_reader_new(&reader);
    if (!f->flow || !f->reader)
        abort();
}

void flowing_open(struct flowing *f)
{
    setenv("TZ", "UTC", 1);
    tzset();
    memset(f, 0, sizeof *f);
    open_both(f);
}

/* Rows, as a store keeps them. */
#define ROWS_MAX 1200
static struct {
    char name[32];
    uint8_t data[GV_MEMORY_ROW];
    size_t len;
} rows[ROWS_MAX];
static size_t row_count, kept_count;

static void keep(void *context, const char *name, const void *data, size_t len)
{
    size_t i = 0;

    (void)context;
    kept_count++;
    while (i < row_count && strcmp(rows[i].name, name) != 0)
        i++;
    if (i == ROWS_MAX || len > sizeof rows[i].data || strlen(name) >= sizeof rows[i].name)
        abort();
    row_count += i == row_count;
    strcpy(rows[i].name, name);
    memcpy(rows[i].data, data, len);
    rows[i].len = len;
}

static bool kept(void *context, const char *name, void *data, size_t len)
{
    (void)context;
    for (size_t i = 0; i < row_count; i++)
        if (strcmp(rows[i].name, name) == 0 && rows[i].len == len) {
            memcpy(data, rows[i].data, len);
            return true;
        }
    return false;
}

static struct gv_memory *memory_of(struct flowing *f)
{
    struct gv_memory_area areas[GV_MAIL_FLOW_AREAS];
    size_t n = gv_mail_flow_memory(f->flow, areas);
    struct gv_memory *memory = gv_memory_new("flow", GV_MAIL_FLOW_FORM, areas, n);

    if (!memory)
        abort();
    return memory;
}

size_t flowing_save(struct flowing *f)
{
    if (!f->memory) {
        row_count = 0;
        f->memory = memory_of(f);
    }
    kept_count = 0;
    gv_memory_save(f->memory, keep, NULL);
    return kept_count;
}

void flowing_restart(struct flowing *f)
{
    flowing_save(f);
    memcpy(f->before, f->told, sizeof f->before);
    flowing_close(f);
    open_both(f);
    f->memory = memory_of(f);
    if (gv_memory_load(f->memory, kept, NULL))
        gv_mail_flow_recall(f->flow, NOW_MS);
}

void flowing_close(struct flowing *f)
{
    gv_reader_free(f->reader);
    gv_mail_flow_free(f->flow);
    gv_memory_free(f->memory);
    f->memory = NULL;
}

void flowing_feed(struct flowing *f, const char *log, size_t len)
{
    struct gv_reading ignored[GV_READINGS_MAX];

    while (len > 0) {
        const char *newline = memchr(log, '\n', len);
        size_t n = newline ? (size_t)(newline - log) : len;
        char *exact = malloc(n ? n : 1); /* so that a read past the line is seen */
        if (!exact)
            abort();
        memcpy(exact, log, n);
        gv_reader_line(f->reader, ignored, exact, n, NOW_MS);
        free(exact);
        log += n + (newline != NULL);
        len -= n + (newline != NULL);
    }
}

const char *flowing_text(const struct flowing *f)
{
    static char text[1024];
    struct gv_mail_queue queue;
    size_t at = 0;

    text[0] = '\0';
    for (int i = 0; i < GV_MAIL_COUNT_MAX; i++) {
        enum gv_mail_count which = (enum gv_mail_count)i;
        int64_t here = f->told[i] - f->before[i], value = f->told[i];

        if ((int64_t)gv_mail_flow_count(f->flow, which) != (here < 0 ? 0 : here))
            abort();
        if (value > 0)
            at += (size_t)snprintf(text + at, sizeof text - at, "%s%s=%llu", at ? " " : "",
                                   gv_mail_count_name(which), (unsigned long long)value);
    }
    gv_mail_flow_queue(f->flow, &queue);
    if (queue.messages > 0)
        snprintf(text + at, sizeof text - at, "%squeue=%llu", at ? " " : "",
                 (unsigned long long)queue.messages);
    return text;
}

const char *flow_of(const char *lines)
{
    struct flowing f;
    char line[4096];
    unsigned second = 0;

    flowing_open(&f);
    for (; *lines; second++) {
        size_t len = strcspn(lines, "\n");
        const char *colon = strchr(lines, ':');
        int n = snprintf(line, sizeof line, "2026-11-22T10:%02u:%02uZ vm postfix/%.*s[1]%.*s",
                         second / 60, second % 60, (int)(colon - lines), lines,
                         (int)(len - (size_t)(colon - lines)), colon);
        flowing_feed(&f, line, (size_t)n);
        lines += len + (lines[len] == '\n');
    }
    const char *text = flowing_text(&f);
    flowing_close(&f);
    return text;
}
