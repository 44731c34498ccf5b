/* The way from a datagram or a journal entry to the reader. The first byte chooses: a datagram as
 * it came; or an entry of the journal, its fields cut by newlines, whose text must never move the
 * prefix that the journal vouches for. Either is one line. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "node/ingest/journal.h"
#include "node/ingest/line.h"
#include "node/ingest/syslog.h"

#define NOW_MS 1795348800000u

static const struct gv_reader_config config = {.key = "fuzz key 123456"};

static void must(int condition)
{
    if (!condition)
        abort();
}

static void read_line(const char *line, size_t len)
{
    struct gv_reading out[GV_READINGS_MAX];
    struct gv_reader *reader = gv_reader_new(&config);

    if (!reader)
        return;
    for (size_t i = 0; i < len; i++)
        must((unsigned char)line[i] >= ' ' && line[i] != 0x7f);
    must(gv_reader_line(reader, out, line, len, NOW_MS) <= GV_READINGS_MAX);
    while (gv_reader_flush(reader, out) > 0)
        ;
    gv_reader_free(reader);
}

static void datagram(const uint8_t *data, size_t size)
{
    char *exact = malloc(size ? size : 1); /* so that an access past the end is seen */

    must(exact != NULL);
    memcpy(exact, data, size);
    size_t len = gv_syslog_line(exact, size);
    must(len <= size);
    must(len == 0 || exact[0] == '<');
    read_line(exact, len);
    free(exact);
}

static struct gv_journal_field cut(const uint8_t **data, size_t *size)
{
    const uint8_t *end = *size ? memchr(*data, '\n', *size) : NULL;
    struct gv_journal_field field = {(const char *)*data, end ? (size_t)(end - *data) : *size};

    *size -= field.len + (end != NULL);
    *data += field.len + (end != NULL);
    return field;
}

static void entry(const uint8_t *data, size_t size)
{
    static const char stamp[] = "2026-11-22T12:00:00.000001+00:00 ";
    char line[GV_JOURNAL_LINE];
    struct gv_journal_entry e = {.realtime_us = NOW_MS * 1000u + 1};
    struct gv_line_prefix last = {0};
    struct gv_line split;

    e.host = cut(&data, &size);
    e.name = cut(&data, &size);
    e.pid = cut(&data, &size);
    e.uid = cut(&data, &size);
    e.text = (struct gv_journal_field){(const char *)data, size};
    size_t len = gv_journal_line(line, &e);
    if (len == 0 || len == SIZE_MAX)
        return;
    must(len <= GV_LINE_MAX && memcmp(line, stamp, sizeof stamp - 1) == 0);
    must(len >= size &&
         (size == 0 || line[len - 1] == (char)data[size - 1] || line[len - 1] == '?'));
    if (gv_line_split(&split, &last, line, len)) {
        /* The program is the journal's word, and all of the text is text. */
        must(split.tag_len == e.name.len && memcmp(split.tag, e.name.at, e.name.len) == 0);
        must(split.text_len == size);
    }
    read_line(line, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 4 * GV_LINE_MAX)
        return 0;
    if (data[0] == 'j')
        entry(data + 1, size - 1);
    else
        datagram(data, size);
    return 0;
}
