#include "lexer.h"

#include "node/ingest/hints.h"

#define LONGEST 2000

static const uint8_t client[4] = {198, 51, 100, 7};

void fuzz_must(bool condition)
{
    if (!condition)
        abort();
}

void fuzz_lines(const char *text, size_t size,
                void (*each)(void *context, const char *line, size_t len), void *context)
{
    while (size > 0) {
        const char *newline = memchr(text, '\n', size);
        size_t len = newline ? (size_t)(newline - text) : size;
        char *exact = malloc(len ? len : 1);
        fuzz_must(exact != NULL);
        memcpy(exact, text, len);
        each(context, exact, len);
        free(exact);
        text += len + (newline != NULL);
        size -= len + (newline != NULL);
    }
}

/* ---- what is read --------------------------------------------------------------------------- */

/* `frame`: NULL in a log, where nothing is known of the client. */
static void check(const struct fuzz_lexer *lexer, const struct fuzz_frame *frame,
                  const struct gv_reading *r)
{
    const struct gv_observation *o = &r->observation;
    struct gv_ip_address back;
    char text[GV_IP_ADDRESS_TEXT];

    fuzz_must(o->subject.family == GV_FAMILY_IPV4 || o->subject.family == GV_FAMILY_IPV6);
    fuzz_must(gv_ip_address_parse(&back, text, gv_ip_address_text(text, &r->address)) == 0);
    fuzz_must(gv_ip_address_equal(&back, &r->address));
    fuzz_must(o->success ? o->attempts == 0 : o->attempts > 0);
    fuzz_must(lexer->other_services || strcmp(gv_service_name(o->service), "unknown") != 0);
    fuzz_must(strcmp(gv_mta_name(r->mta), "unknown") != 0);
    if (!frame)
        return;
    fuzz_must(r->address.family == GV_FAMILY_IPV4 && memcmp(r->address.bytes, client, 4) == 0);
    fuzz_must(lexer->mta == GV_MTA_NONE || r->mta == lexer->mta);
    fuzz_must(!o->success || !frame->failure);
}

struct reading {
    const struct fuzz_lexer *lexer;
    const struct fuzz_frame *frame;
    struct gv_reader *reader;
    size_t count;
};

static void take(struct reading *reading, const struct gv_reading *out, size_t count)
{
    fuzz_must(count <= GV_READINGS_MAX);
    for (size_t i = 0; i < count; i++)
        check(reading->lexer, reading->frame, &out[i]);
    reading->count += count;
}

static void take_line(void *context, const char *line, size_t len)
{
    struct gv_reading out[GV_READINGS_MAX];
    struct reading *reading = context;

    take(reading, out, gv_reader_line(reading->reader, out, line, len, NOW_MS));
}

static void take_rest(struct reading *reading)
{
    struct gv_reading out[GV_READINGS_MAX];
    size_t n;

    while ((n = gv_reader_flush(reading->reader, out)) > 0)
        take(reading, out, n);
}

/* One that has read nothing, as far as anything can come of it. Of a hundred inputs a new one for
 * each would cost more than all that is read; so one lives on, and what a reader keeps over a
 * restart is put back. Its counts and what it remembers of a prefix stay: they change no reading.
 */
static struct gv_reader *fresh_reader(void)
{
    static struct gv_reader *reader;
    static struct gv_hints hints;
    static struct gv_memory_area areas[GV_READER_AREAS], kept[GV_READER_AREAS];
    static size_t count;

    gv_hints_init(&hints);
    if (reader) {
        for (size_t i = 0; i < count; i++)
            memcpy(areas[i].at, kept[i].at, kept[i].len);
        return reader;
    }
    struct gv_reader_config config = {.key = "fuzz key 123456", .hints = &hints};
    reader = gv_reader_new(&config);
    fuzz_must(reader != NULL);
    count = gv_reader_memory(reader, areas);
    for (size_t i = 0; i < count; i++) {
        kept[i] = (struct gv_memory_area){malloc(areas[i].len), areas[i].len, NULL};
        fuzz_must(kept[i].at != NULL);
        memcpy(kept[i].at, areas[i].at, areas[i].len);
    }
    return reader;
}

/* ---- what a client may choose --------------------------------------------------------------- */

static bool passes(const struct fuzz_lexer *lexer, const struct fuzz_frame *frame, char c)
{
    if (c == '\n' || c == '\0' || (!lexer->controls && ((unsigned char)c < ' ' || c == 0x7f)))
        return false;
    return !frame->refused || !strchr(frame->refused, c);
}

static size_t cut(const struct fuzz_lexer *lexer, const struct fuzz_frame *frame, size_t len)
{
    if (!frame->cut)
        return len;
    const char *words = strstr(frame->before + lexer->stamp, ": ");
    size_t most = (size_t)(words + 2 - frame->before) + frame->cut;
    return len < most ? len : most;
}

static void take_chosen(struct reading *reading, const char *text, size_t size)
{
    const struct fuzz_lexer *lexer = reading->lexer;
    const struct fuzz_frame *frame = reading->frame;
    size_t before = strlen(frame->before), after = strlen(frame->after);

    if (!frame->most && !frame->cut && size > LONGEST)
        return;
    if (frame->most && size > frame->most)
        size = frame->most;
    size_t len = cut(lexer, frame, before + size + after);
    char *line = malloc(before + size + after), *exact = malloc(len);
    fuzz_must(line && exact);
    memcpy(line, frame->before, before);
    for (size_t i = 0; i < size; i++)
        line[before + i] = passes(lexer, frame, text[i]) ? text[i] : lexer->instead;
    memcpy(line + before + size, frame->after, after);
    memcpy(exact, line, len);
    free(line);
    take_line(reading, exact, len);
    free(exact);
    take_rest(reading);
    fuzz_must(frame->tells == ANYTHING || reading->count <= (frame->tells == ONE_AT_MOST));
    if (lexer->behind)
        lexer->behind(reading->reader);
}

int fuzz_lexer(const struct fuzz_lexer *lexer, const uint8_t *data, size_t size)
{
    struct reading reading = {.lexer = lexer};
    char which = size ? (char)data[0] : '\0';

    if (size == 0)
        return 0;
    reading.reader = fresh_reader();
    if (which >= lexer->first && which <= lexer->last) {
        reading.frame = &lexer->frames[(size_t)(which - lexer->first) % lexer->frame_count];
        take_chosen(&reading, (const char *)data + 1, size - 1);
    } else {
        fuzz_lines((const char *)data, size, take_line, &reading);
        take_rest(&reading);
    }
    return 0;
}
