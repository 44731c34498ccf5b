#include "node/base/log_source.h"

#include <stdio.h>
#include <string.h>

#include "crypto/error.h"

/* What fits into a socket address with its end. */
#define SOCKET_PATH_MAX 107

static const char *after(const char *text, const char *word)
{
    size_t len = strlen(word);

    return strncmp(text, word, len) == 0 ? text + len : NULL;
}

static int parse_udp(struct gv_log_source *out, const char *text, struct gv_text *error)
{
    char whole[GV_ADDRESS_TEXT];
    int n = snprintf(whole, sizeof whole, "%s%s", text[0] == ':' ? "127.0.0.1" : "", text);

    out->kind = GV_LOG_SYSLOG_UDP;
    if (n > 0 && (size_t)n < sizeof whole &&
        gv_address_parse(&out->address, whole, (size_t)n) == GV_OK)
        return GV_OK;
    return gv_fail(error, GV_ERR_CONFIG,
                   "\"syslog:udp:%s\" will not do, write syslog:udp:ADDRESS:PORT, e.g. "
                   "syslog:udp:127.0.0.1:5514",
                   text);
}

static int parse_unix(struct gv_log_source *out, const char *text, struct gv_text *error)
{
    out->kind = GV_LOG_SYSLOG_UNIX;
    out->path = text;
    if (text[0] != '/')
        return gv_fail(error, GV_ERR_CONFIG,
                       "\"syslog:unix:%s\" must name an absolute path, e.g. "
                       "syslog:unix:/run/grapevine/log",
                       text);
    if (strlen(text) > SOCKET_PATH_MAX)
        return gv_fail(error, GV_ERR_CONFIG, "a path of a socket has at most %d characters",
                       SOCKET_PATH_MAX);
    return GV_OK;
}

int gv_log_source_parse(struct gv_log_source *out, const char *text, struct gv_text *error)
{
    const char *rest;

    memset(out, 0, sizeof *out);
    if (strcmp(text, "-") == 0) {
        out->kind = GV_LOG_INPUT;
        return GV_OK;
    }
    if (text[0] == '/') {
        out->path = text;
        return GV_OK;
    }
    if (strcmp(text, "journal") == 0) {
        out->kind = GV_LOG_JOURNAL;
        return GV_OK;
    }
    if ((rest = after(text, "journal:")) && rest[0] == '/') {
        out->kind = GV_LOG_JOURNAL;
        out->path = rest;
        return GV_OK;
    }
    if ((rest = after(text, "syslog:udp:")))
        return parse_udp(out, rest, error);
    if ((rest = after(text, "syslog:unix:")))
        return parse_unix(out, rest, error);
    return gv_fail(error, GV_ERR_CONFIG,
                   "\"%s\" must be an absolute path, - for standard input, journal, "
                   "journal:FOLDER, syslog:udp:ADDRESS:PORT or syslog:unix:PATH",
                   text);
}

bool gv_log_source_is_loopback(const struct gv_address *address)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}, one[16] = {[15] = 1};

    if (address->family == GV_FAMILY_IPV4)
        return address->bytes[0] == 127;
    return memcmp(address->bytes, one, 16) == 0 ||
           (memcmp(address->bytes, mapped, 12) == 0 && address->bytes[12] == 127);
}
