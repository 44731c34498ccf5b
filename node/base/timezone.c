#include "node/base/timezone.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "CET-1CEST", "<+03>-3": at least three letters and an offset, which need no file. */
static bool is_posix_zone(const char *zone)
{
    const char *at = zone;

    if (*at == '<') {
        at = strchr(at, '>');
        if (!at)
            return false;
        at++;
    } else {
        while (isalpha((unsigned char)*at))
            at++;
        if (at - zone < 3)
            return false;
    }
    at += *at == '+' || *at == '-';
    return isdigit((unsigned char)*at);
}

bool gv_timezone_exists(const char *zone)
{
    const char *folder = getenv("TZDIR");
    char path[1200], magic[4];
    bool found = false;

    if (strcmp(zone, "UTC") == 0 || is_posix_zone(zone))
        return true;
    if (strstr(zone, ".."))
        return false;
    if (*zone == '/')
        snprintf(path, sizeof path, "%s", zone);
    else
        snprintf(path, sizeof path, "%.1024s/%.128s", folder && *folder ? folder : GV_ZONES, zone);
    FILE *file = fopen(path, "re");
    if (file) {
        found = fread(magic, 1, sizeof magic, file) == sizeof magic &&
                memcmp(magic, "TZif", sizeof magic) == 0;
        fclose(file);
    }
    return found;
}
