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

bool gv_repeated_host(struct gv_span *host, const struct gv_stamp *stamp, const char *end)
{
    host->at = stamp->text + stamp->len + 1;
    if (host->at < end && *host->at == '<')
        host->at += gv_line_level(host->at, end);
    const char *space = host->at < end ? memchr(host->at, ' ', (size_t)(end - host->at)) : NULL;
    if (!space)
        return false;
    host->len = (size_t)(space - host->at);
    return true;
}

bool gv_repeated_last(uint32_t *times, struct gv_span *host, const char *line, size_t len)
{
    const char *end = line + len;
    size_t priority = gv_line_priority(line, len); /* a syslog socket's */
    struct gv_stamp stamp;

    /* Most lines that are asked about are none, which shows soonest at their end. */
    if ((!gv_ends(line, end, " times") && !gv_ends(line, end, " time")) ||
        !gv_stamp_find(&stamp, line + priority, len - priority) ||
        !gv_repeated_host(host, &stamp, end))
        return false;
    const char *at = host->at + host->len + 1;
    at += gv_line_level(at, end);
    return gv_skip(&at, end, "last message repeated ") && take_number(&at, end, times) &&
           (gv_skip(&at, end, " times") || gv_skip(&at, end, " time")) && at == end;
}
