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

bool gv_repeated_host(struct gv_span *host, const char *line, size_t len)
{
    struct gv_stamp stamp;

    if (!gv_stamp_find(&stamp, line, len))
        return false;
    host->at = line + stamp.len + 1;
    const char *space = memchr(host->at, ' ', (size_t)(line + len - host->at));
    if (!space)
        return false;
    host->len = (size_t)(space - host->at);
    return true;
}

bool gv_repeated_last(uint32_t *times, struct gv_span *host, const char *line, size_t len)
{
    const char *end = line + len;

    if (!gv_repeated_host(host, line, len))
        return false;
    const char *at = host->at + host->len + 1;
    return gv_skip(&at, end, "last message repeated ") && take_number(&at, end, times) &&
           (gv_skip(&at, end, " times") || gv_skip(&at, end, " time")) && at == end;
}
