#include "node/ingest/repeated.h"

#include <string.h>

#include "node/ingest/words.h"

#define DIGITS_MAX 6

static bool take_number(const char **at, const char *end, uint32_t *out)
{
    const char *start = *at;

    *out = 0;
    while (*at < end && **at >= '0' && **at <= '9' && *at - start < DIGITS_MAX)
        *out = 10 * *out + (uint32_t)(*(*at)++ - '0');
    return *at > start && *out > 0;
}

bool gv_repeated_message(struct gv_line *line, uint32_t *times)
{
    const char *at = line->text, *end = at + line->text_len;

    if (!gv_skip(&at, end, "message repeated ") || !take_number(&at, end, times) ||
        !gv_skip(&at, end, " times: [") || end == at || end[-1] != ']')
        return false;
    end--;
    if (at < end && *at == ' ')
        at++;
    line->text = at;
    line->text_len = (size_t)(end - at);
    return true;
}

bool gv_repeated_last(uint32_t *times, const char *line, size_t len, const char *before,
                      size_t before_len)
{
    const char *end = line + len;
    struct gv_stamp stamp, first;

    if (!gv_stamp_find(&stamp, line, len) || !gv_stamp_find(&first, before, before_len))
        return false;
    const char *at = line + stamp.len + 1, *host = before + first.len + 1;
    const char *space = memchr(at, ' ', (size_t)(end - at));
    if (!space)
        return false;
    size_t host_len = (size_t)(space - at) + 1;
    if ((size_t)(before + before_len - host) < host_len || memcmp(at, host, host_len) != 0)
        return false;
    at += host_len;
    return gv_skip(&at, end, "last message repeated ") && take_number(&at, end, times) &&
           (gv_skip(&at, end, " times") || gv_skip(&at, end, " time")) && at == end;
}
