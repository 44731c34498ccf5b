#include "node/base/rfc3339.h"

#include <string.h>
#include <time.h>

#include "crypto/error.h"

void gv_rfc3339(char out[GV_RFC3339_TEXT], uint64_t unix_ms)
{
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm tm;

    /* Years of four digits are all that the format has. */
    if (unix_ms / 1000 > 253402300799ULL || !gmtime_r(&seconds, &tm) ||
        strftime(out, GV_RFC3339_TEXT, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        memcpy(out, "9999-12-31T23:59:59Z", 21);
}

int gv_rfc3339_parse(uint64_t *unix_ms, const char *text)
{
    struct tm tm;
    char again[GV_RFC3339_TEXT];

    memset(&tm, 0, sizeof tm);
    if (strlen(text) != 20)
        return GV_ERR_MALFORMED;
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    if (!end || *end)
        return GV_ERR_MALFORMED;
    time_t seconds = timegm(&tm);
    if (seconds < 0)
        return GV_ERR_MALFORMED;
    /* strptime takes blanks and short numbers; only the form that we would write passes. */
    gv_rfc3339(again, (uint64_t)seconds * 1000);
    if (strcmp(again, text) != 0)
        return GV_ERR_MALFORMED;
    *unix_ms = (uint64_t)seconds * 1000;
    return GV_OK;
}
