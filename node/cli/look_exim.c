#include "node/cli/look_exim.h"

#include <string.h>

#include "node/ingest/timestamp.h"
#include "node/ingest/words.h"

static bool is_word(char c)
{
    return gv_is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* "1xV26K-000039-0k", and from 4.97 on "1t5C6f-0000000012h-0abc". Its length, or 0. */
static size_t id_length(const char *at, const char *limit)
{
    static const uint8_t forms[][3] = {{6, 6, 2}, {6, 11, 4}};

    for (size_t form = 0; form < 2; form++) {
        const char *p = at;
        bool good = true;
        for (size_t part = 0; part < 3 && good; part++) {
            size_t n = forms[form][part];
            good = (size_t)(limit - p) >= n;
            for (size_t i = 0; good && i < n; i++)
                good = is_word(p[i]);
            p += n;
            if (good && part < 2)
                good = p < limit && *p++ == '-';
        }
        if (good && (p == limit || *p == ' '))
            return (size_t)(p - at);
    }
    return 0;
}

static const char *skip_pid(const char *at, const char *limit)
{
    const char *p = at;

    if (p == limit || *p != '[')
        return at;
    for (p++; p < limit && gv_is_digit(*p);)
        p++;
    return limit - p >= 2 && p[0] == ']' && p[1] == ' ' && p > at + 1 ? p + 2 : at;
}

static uint64_t number(const char *at, const char *limit)
{
    uint64_t value = 0;

    for (; at < limit && gv_is_digit(*at) && value < 1000000000000; at++)
        value = 10 * value + (uint64_t)(*at - '0');
    return value;
}

/* Up to the blank; a quoted local part may hold one. */
static struct gv_span take_address(const char *at, const char *limit)
{
    const char *p = at;

    if (p < limit && *p == '"')
        for (p++; p < limit && *p != '"'; p++)
            p += *p == '\\' && p + 1 < limit;
    while (p < limit && *p != ' ')
        p++;
    return (struct gv_span){at, (size_t)(p - at)};
}

/* " H=name (helo) [ip] U=ident P=protocol X=cipher DN="subject" A=login S=size id=... T="subject"",
 * behind the sender. A HELO name stands in parentheses, where one that pretends to close them
 * shows; what an ident server or a certificate says may hold a size of its own, so with them there
 * must be one alone. 0 where it is not clear. */
static uint64_t size_in(const char *at, const char *limit)
{
    bool far = gv_begins(at, limit, " H="); /* of a local message U= is a user of this host */
    if (far) {
        at += 3;
        if (at < limit && *at != '[' && *at != '(') {
            at = memchr(at, ' ', (size_t)(limit - at));
            at = at ? at + 1 : limit;
        }
        if (at < limit && *at == '(' &&
            (!(at = gv_find(at, limit, ") [")) || gv_find(at + 1, limit, ") [")))
            return 0;
    }
    const char *protocol = gv_find(at, limit, " P=");
    const char *size = protocol ? gv_find(protocol, limit, " S=") : NULL;
    if (!size)
        return 0;
    const char *ident = far ? gv_find(at, protocol, " U=") : NULL;
    const char *name = gv_find(protocol, size, " DN=");
    return (ident || name) && gv_find(size + 1, limit, " S=") ? 0 : number(size + 3, limit);
}

bool gv_exim_fact(struct gv_exim_fact *out, const char *text, size_t len)
{
    const char *at = text, *limit = text + len;
    struct gv_stamp stamp;

    if (gv_stamp_find(&stamp, at, len) && stamp.form == GV_STAMP_ISO)
        at += stamp.len + 1u;
    at = skip_pid(at, limit);
    size_t id = id_length(at, limit);
    *out = (struct gv_exim_fact){.id = {at, id}};
    if (id == 0 || (size_t)(limit - at) < id + 4)
        return false;
    at += id + 1;
    if (limit - at >= 9 && memcmp(at, "Completed", 9) == 0) {
        out->said = GV_EXIM_DONE;
        return true;
    }
    if (at[2] != ' ')
        return false;
    const char mark[3] = {at[0], at[1], 0};
    out->address = take_address(at + 3, limit);
    if (strcmp(mark, "=>") == 0 || strcmp(mark, "->") == 0 || strcmp(mark, ">>") == 0 ||
        strcmp(mark, "**") == 0) {
        out->said = GV_EXIM_SETTLED;
        return true;
    }
    out->said = GV_EXIM_CAME;
    out->bytes = size_in(out->address.at + out->address.len, limit);
    return strcmp(mark, "<=") == 0;
}

/* ---- exim -bp ------------------------------------------------------------------------------- */

/* "2.9K", "512", "1.2M": as rough as Exim says it. */
static uint64_t size_of(const char *at, const char *limit)
{
    uint64_t whole = number(at, limit), tenths = 0, unit = 1;
    const char *p = at;

    while (p < limit && gv_is_digit(*p))
        p++;
    if (limit - p >= 2 && *p == '.' && gv_is_digit(p[1])) {
        tenths = (uint64_t)(p[1] - '0');
        p += 2;
    }
    if (p < limit)
        unit = *p == 'K' ? 1024 : *p == 'M' ? 1048576 : *p == 'G' ? 1073741824 : 1;
    return whole * unit + tenths * unit / 10;
}

/* " 4m  2.9K 1xV26K-000039-0k <SENDER> (login) *** frozen ***". The sender ends at the last '>'
 * that can be its end: what stands behind has none. */
static bool take_message(struct gv_exim_queued *out, const char *at, const char *limit)
{
    while (at < limit && *at == ' ')
        at++;
    const char *age = at;
    while (at < limit && gv_is_digit(*at))
        at++;
    if (at == age || limit - at < 2 || at[1] != ' ' || !strchr("mhd", *at) || *at == 0)
        return false;
    uint64_t unit = *at == 'm' ? 60 : *at == 'h' ? 3600 : 86400, n = number(age, at);
    out->age_s = (n < 100000 ? n : 100000) * unit;
    for (at++; at < limit && *at == ' ';)
        at++;
    out->bytes = size_of(at, limit);
    while (at < limit && *at != ' ')
        at++;
    while (at < limit && *at == ' ')
        at++;
    size_t id = id_length(at, limit);
    at += id;
    if (id == 0 || limit - at < 3 || at[0] != ' ' || at[1] != '<')
        return false;
    const char *end = memrchr(at, '>', (size_t)(limit - at));
    if (!end)
        return false;
    out->address = (struct gv_span){at + 2, (size_t)(end - at) - 2};
    out->frozen = limit - end >= 15 && gv_ends(end, limit, " *** frozen ***");
    return true;
}

enum gv_exim_queue gv_exim_queued(struct gv_exim_queued *out, const char *line, size_t len)
{
    const char *limit = line + len;

    memset(out, 0, sizeof *out);
    if (len > 10 && memcmp(line, "          ", 10) == 0 && line[10] != ' ') {
        out->address = (struct gv_span){line + 10, len - 10};
        return GV_EXIM_QUEUE_RECIPIENT;
    }
    return take_message(out, line, limit) ? GV_EXIM_QUEUE_MESSAGE : GV_EXIM_QUEUE_OTHER;
}
