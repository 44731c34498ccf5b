#include "node/ingest/parse.h"

#include <string.h>

#include "crypto/error.h"
#include "node/ingest/words.h"

/* A word is looked for in eight places at a time, by two neighbours of its bytes: the third and the
 * fourth, as the blanks and commas that words begin with are everywhere. */
struct pair {
    size_t at;
    uint64_t first, second;
};

static struct pair pair_of(const char *word, size_t n)
{
    size_t at = n >= 4 ? 2 : 0;

    return (struct pair){at, GV_EACH((unsigned char)word[at]),
                         GV_EACH((unsigned char)word[at + 1])};
}

/* 0x80 for each place of eight where the pair stands; a place behind one may be wrong. */
static uint64_t places_of(const struct pair *pair, const char *at)
{
    return gv_zeros((gv_load8(at + pair->at) ^ pair->first) |
                    (gv_load8(at + pair->at + 1) ^ pair->second));
}

const char *gv_find_bytes(const char *at, const char *limit, const char *word, size_t n)
{
    struct pair pair = pair_of(word, n);

    for (; (size_t)(limit - at) >= n + 7; at += 8)
        for (uint64_t found = places_of(&pair, at); found; found &= found - 1) {
            const char *place = at + __builtin_ctzll(found) / 8;
            if (memcmp(place, word, n) == 0)
                return place;
        }
    for (; (size_t)(limit - at) >= n; at++)
        if (*at == *word && memcmp(at, word, n) == 0)
            return at;
    return NULL;
}

const char *gv_find_last_bytes(const char *at, const char *limit, const char *word, size_t n)
{
    struct pair pair = pair_of(word, n);

    for (; (size_t)(limit - at) >= n + 7; limit -= 8)
        for (uint64_t found = places_of(&pair, limit - n - 7); found;) {
            unsigned bit = 63 - (unsigned)__builtin_clzll(found);
            const char *place = limit - n - 7 + bit / 8;
            if (memcmp(place, word, n) == 0)
                return place;
            found ^= UINT64_C(1) << bit;
        }
    for (; (size_t)(limit - at) >= n; limit--)
        if (limit[-(ptrdiff_t)n] == *word && memcmp(limit - n, word, n) == 0)
            return limit - n;
    return NULL;
}

/* Where the client word ends: at `end`, at the limit when `end` is 0, or NULL. */
static const char *word_end(const char *at, const char *limit, char end)
{
    const char *space = memchr(at, ' ', (size_t)(limit - at));
    const char *stop = space ? space : limit;

    if (end == 0)
        return space ? NULL : limit;
    if (end == ' ')
        return space;
    return stop > at && stop[-1] == end ? stop - 1 : NULL;
}

bool gv_take_client(struct gv_ip_address *out, const char **at, const char *limit, char end)
{
    const char *start = *at;
    const char *stop = word_end(start, limit, end);
    const char *close;

    if (!stop)
        return false;
    /* smtpd_client_port_logging = yes puts ":port" behind the brackets. */
    for (close = stop; close > start && gv_is_digit(close[-1]); close--)
        ;
    if (close < stop && close > start && close[-1] == ':')
        close--;
    else
        close = stop;
    if (close == start || *--close != ']')
        return false;
    const char *open = memrchr(start, '[', (size_t)(close - start));
    if (!open || open == start || memchr(start, ':', (size_t)(open - start)))
        return false;
    if (gv_ip_address_parse(out, open + 1, (size_t)(close - open - 1)) != GV_OK)
        return false;
    *at = stop + (end != 0);
    return true;
}

/* Reads an address that ends at ',' or at the limit. */
static bool take_address(struct gv_ip_address *out, const char **at, const char *limit)
{
    const char *comma = memchr(*at, ',', (size_t)(limit - *at));
    const char *end = comma ? comma : limit;

    if (gv_ip_address_parse(out, *at, (size_t)(end - *at)) != GV_OK)
        return false;
    *at = end;
    return true;
}

static bool ends_session(char c)
{
    const uint64_t ends =
        UINT64_C(1) << '<' | UINT64_C(1) << '>' | UINT64_C(1) << ' ' | UINT64_C(1) << ',';

    return (unsigned char)c < 64 && (ends >> (unsigned char)c & 1);
}

/* A session id is base64 of what the login process knows, so it has no bracket of its own. */
static struct gv_span session_before(const char *start, const char *close)
{
    struct gv_span session = {NULL, 0};
    const char *at = close;

    while (at > start && !ends_session(at[-1]))
        at--;
    if (at > start && at[-1] == '<' && at < close) {
        session.at = at;
        session.len = (size_t)(close - at);
    }
    return session;
}

/* The name ends in front of ">, method=M" or ">" that stand before the address. False when what
 * stands there is not Dovecot's. */
static bool take_name(struct gv_parsed *out, const char *name, const char *before)
{
    const char *method = gv_find_last(name, before, ">, method=");
    const char *close = NULL;

    /* A mechanism name is upper case and short, whatever the client sent. */
    if (method && before - method <= 10 + 64 &&
        !memchr(method + 10, '>', (size_t)(before - method - 10)))
        close = method;
    else if (before > name && before[-1] == '>')
        close = before - 1;
    if (!close)
        return false;
    out->account.at = name;
    out->account.len = (size_t)(close - name);
    return true;
}

#define SESSION     ", session=<"
#define SESSION_LEN (sizeof SESSION - 1)

bool gv_take_elements(struct gv_parsed *out, const char *at, const char *limit)
{
    static const char rip[] = ", rip=";
    const char *found = gv_find_last(at, limit, rip);
    const char *rest;
    struct gv_ip_address local;

    if (!found)
        return false;
    rest = found + sizeof rip - 1;
    if (!take_address(&out->address, &rest, limit) || !gv_begins(rest, limit, ", lip="))
        return false;
    rest += sizeof ", lip=" - 1;
    if (!take_address(&local, &rest, limit) || !take_name(out, at, found))
        return false;
    /* Torn off, the name's own words may stand last, with what follows in the log behind them. So a
     * line that counts ends with its session, and holds no beginning of another. */
    const char *other = gv_find(out->account.at, found, "-login: ");
    if (limit[-1] != '>' || (other && gv_find(other, found, ": user=<")))
        return false;
    out->session = session_before(rest, limit - 1);
    return out->session.len > 0 && memchr(rest, '>', (size_t)(limit - rest)) == limit - 1 &&
           gv_begins(out->session.at - SESSION_LEN, limit, SESSION);
}

/* --- The identity of an auth line, backwards ------------------------------------------------- */

/* Cuts "<...>" off the end; false when there is none. */
static bool cut_angle(struct gv_span *inside, const char *start, const char **end)
{
    if (*end == start || (*end)[-1] != '>')
        return false;
    *inside = session_before(start, *end - 1);
    if (inside->len == 0)
        return false;
    *end = inside->at - 1;
    return true;
}

/* ",ADDR" at the end of the identity, and the user in front of it from `user` on. */
static bool cut_address(struct gv_parsed *out, const char *user, const char *end)
{
    const char *comma = memrchr(user, ',', (size_t)(end - user));

    if (!comma || gv_ip_address_parse(&out->address, comma + 1, (size_t)(end - comma - 1)) != GV_OK)
        return false;
    out->account.at = user;
    out->account.len = (size_t)(comma - user);
    if (out->account.len == 1 && user[0] == '?')
        out->account.len = 0;
    return true;
}

/* ",sasl:plain" of 2.4. */
static void cut_mechanism(const char *start, const char **end)
{
    const char *at = *end;

    while (at > start && gv_is_word_char(at[-1]))
        at--;
    if (at < *end && gv_cut(start, &at, ",sasl:"))
        *end = at;
}

/* "auth(" or "auth-worker(" of 2.4 begins the text, so the user is what follows it. */
static bool identity_24(struct gv_parsed *out, const char *start, const char *end)
{
    struct gv_span angle;
    const char *user = start;

    if (gv_begins(start, end, "auth-worker("))
        user += sizeof "auth-worker(" - 1;
    else if (gv_begins(start, end, "auth("))
        user += sizeof "auth(" - 1;
    else
        return false;
    if (end > user && end[-1] == ']') {
        const char *at = end - 1;
        while (at > user && gv_is_digit(at[-1]))
            at--;
        if (!gv_cut(user, &at, ": request ["))
            return false;
        end = at;
    }
    while (cut_angle(&angle, user, &end))
        if (out->session.len == 0)
            out->session = angle;
    if (!gv_cut(user, &end, ")"))
        return false;
    (void)gv_cut(user, &end, ",master");
    cut_mechanism(user, &end);
    return cut_address(out, user, end);
}

/* "NAME(USER,ADDR...)" of 2.3; NAME is a word that the text begins with, or that follows ": ". */
static bool identity_23(struct gv_parsed *out, const char *start, const char *end)
{
    const char *open = memchr(start, '(', (size_t)(end - start));
    const char *name;

    if (!open || !gv_cut(open, &end, ")"))
        return false;
    for (name = open; name > start && gv_is_word_char(name[-1]); name--)
        ;
    if (name == open || name != start)
        return false;
    out->origin.at = name;
    out->origin.len = (size_t)(open - name);
    const char *before = end;
    if (cut_angle(&out->session, open + 1, &end) && !gv_cut(open + 1, &end, ",")) {
        /* "<...>" without a comma is part of the user. */
        out->session.len = 0;
        end = before;
    }
    (void)gv_cut(open + 1, &end, ",master");
    return cut_address(out, open + 1, end);
}

bool gv_take_identity(struct gv_parsed *out, const char *start, const char *end)
{
    const char *name = end;

    out->session.len = 0;
    out->origin.len = 0;
    if (identity_23(out, start, end))
        return true;
    out->session.len = 0;
    /* A mechanism says it in its own name, and a log file has the level in between. */
    while (name > start && gv_is_word_char(name[-1]))
        name--;
    out->origin.at = name;
    out->origin.len = (size_t)(end - name);
    if (name < end && !gv_cut(start, &name, ": Info: ") && !gv_cut(start, &name, ": "))
        return false;
    return identity_24(out, start, name);
}
