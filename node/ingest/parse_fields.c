#include "node/ingest/parse.h"

#include <string.h>

#include "crypto/error.h"
#include "node/ingest/words.h"
#include "proto/ip.h"

/* A word is looked for in sixteen places at a time, then in eight, by two neighbours of its bytes:
 * the third and the fourth, as the blanks and commas that words begin with are everywhere. Where
 * fewer places are left than that, some are looked at again. */

struct pair {
    size_t at;
    const char *word;
    size_t n;
    uint64_t first, second; /* in each byte */
};

GV_INLINE struct pair pair_of(const char *word, size_t n)
{
    size_t at = n >= 4 ? 2 : 0;

    return (struct pair){at, word, n, GV_EACH((unsigned char)word[at]),
                         GV_EACH((unsigned char)word[at + 1])};
}

/* Whether the pair stands at any of sixteen places. */
GV_INLINE bool in_sixteen(const struct pair *pair, const char *at)
{
    gv_chunk found = (gv_chunk)(gv_load_chunk(at + pair->at) == (uint8_t)pair->first) &
                     (gv_chunk)(gv_load_chunk(at + pair->at + 1) == (uint8_t)pair->second);
    uint64_t halves[2];

    memcpy(halves, &found, sizeof halves);
    return (halves[0] | halves[1]) != 0;
}

/* 0x80 for each place of eight where the pair stands; a place behind one may be wrong. */
GV_INLINE uint64_t places_of(const struct pair *pair, const char *at)
{
    return gv_zeros((gv_load8(at + pair->at) ^ pair->first) |
                    (gv_load8(at + pair->at + 1) ^ pair->second));
}

GV_INLINE const char *first_of_eight(const struct pair *pair, const char *at)
{
    for (uint64_t found = places_of(pair, at); found; found &= found - 1) {
        const char *place = at + __builtin_ctzll(found) / 8;
        if (memcmp(place, pair->word, pair->n) == 0)
            return place;
    }
    return NULL;
}

GV_INLINE const char *last_of_eight(const struct pair *pair, const char *at)
{
    for (uint64_t found = places_of(pair, at); found;) {
        unsigned bit = 63 - (unsigned)__builtin_clzll(found);
        const char *place = at + bit / 8;
        if (memcmp(place, pair->word, pair->n) == 0)
            return place;
        found ^= UINT64_C(1) << bit;
    }
    return NULL;
}

const char *gv_find_bytes(const char *at, const char *limit, const char *word, size_t n)
{
    struct pair pair = pair_of(word, n);
    ptrdiff_t left = limit - at - (ptrdiff_t)n; /* places behind this one */
    const char *place;

    if (left < 7) {
        for (; left >= 0; at++, left--)
            if (*at == *word && memcmp(at, word, n) == 0)
                return at;
        return NULL;
    }
    for (; left >= 15; at += 16, left -= 16)
        if (in_sixteen(&pair, at) &&
            ((place = first_of_eight(&pair, at)) || (place = first_of_eight(&pair, at + 8))))
            return place;
    for (; left >= 0; at += 8, left -= 8) {
        const char *eight = left < 7 ? at + left - 7 : at;
        if ((place = first_of_eight(&pair, eight)))
            return place;
    }
    return NULL;
}

const char *gv_find_last_bytes(const char *at, const char *limit, const char *word, size_t n)
{
    struct pair pair = pair_of(word, n);
    ptrdiff_t left = limit - at - (ptrdiff_t)n; /* the last place, from `at` on */
    const char *place;

    if (left < 7) {
        for (; left >= 0; left--)
            if (at[left] == *word && memcmp(at + left, word, n) == 0)
                return at + left;
        return NULL;
    }
    for (; left >= 15; left -= 16)
        if (in_sixteen(&pair, at + left - 15) && ((place = last_of_eight(&pair, at + left - 7)) ||
                                                  (place = last_of_eight(&pair, at + left - 15))))
            return place;
    for (; left >= 0; left -= 8)
        if ((place = last_of_eight(&pair, left < 7 ? at : at + left - 7)))
            return place;
    return NULL;
}

/* The first colon of a "D HH:MM:SS" or "DTHH:MM:SS" that begins at `at` or later. */
GV_INLINE bool is_time(const char *at, const char *c)
{
    return c[0] == ':' && c[3] == ':' && gv_is_digit(c[1]) && gv_is_digit(c[2]) &&
           gv_is_digit(c[4]) && gv_is_digit(c[5]) && c - at >= 4 && gv_is_digit(c[-1]) &&
           gv_is_digit(c[-2]) && (c[-3] == ' ' || c[-3] == 'T') && gv_is_digit(c[-4]);
}

/* 0xff for each of sixteen places where a colon stands three behind another. */
GV_INLINE gv_chunk colons_in(const char *at)
{
    return (gv_chunk)(gv_load_chunk(at) == ':') & (gv_chunk)(gv_load_chunk(at + 3) == ':');
}

static const char *time_among(const char *at, const char *c, ptrdiff_t places)
{
    for (; places > 0; c++, places--)
        if (is_time(at, c))
            return c;
    return NULL;
}

/* The first such colon, or NULL. */
static const char *find_time(const char *at, const char *limit)
{
    ptrdiff_t left = limit - at - 5; /* places where one could be */
    const char *c = at, *found;
    uint64_t halves[2];

    for (; left >= 32; c += 32, left -= 32) {
        gv_chunk colons = colons_in(c) | colons_in(c + 16);
        memcpy(halves, &colons, sizeof halves);
        if ((halves[0] | halves[1]) != 0 && (found = time_among(at, c, 32)))
            return found;
    }
    if (c > at && left > 0) {
        c -= 32 - left;
        left = 32;
        gv_chunk colons = colons_in(c) | colons_in(c + 16);
        memcpy(halves, &colons, sizeof halves);
        if ((halves[0] | halves[1]) == 0)
            return NULL;
    }
    return time_among(at, c, left);
}

/* Behind the fraction and the zone of a time whose first colon is at `c`. */
static const char *behind_time(const char *c, const char *limit)
{
    c += sizeof ":MM:SS" - 1;
    if (limit - c > 1 && (*c == '.' || *c == ',') && gv_is_digit(c[1]))
        for (c++; c < limit && gv_is_digit(*c); c++)
            ;
    if (c < limit && (*c == '+' || *c == '-'))
        for (c++; c < limit && (gv_is_digit(*c) || *c == ':'); c++)
            ;
    else if (c < limit && (*c == 'Z' || *c == 'z'))
        c++;
    return c;
}

/* A blank follows the stamp of a line, and then its host, its program, or Exim's words; nothing of
 * these begins with a bracket but Exim's "[123] " and, in its own log, "[ADDRESS] SSL verify error:
 * ... cert=" with a client's words (`exim`). What is one word of a client's (a host name, an answer
 * of ident) may be a time, but then "[ADDRESS]" comes, or the word goes on; in front of Exim's "["
 * no word can be one: names have no colon there, and a HELO name is in parentheses. */
static bool goes_on(const char *c, const char *limit, bool exim)
{
    const char *at = behind_time(c, limit);

    if (limit - at < 2) /* no more of it is looked at */
        return at == limit || *at == ' ';
    if (*at++ != ' ')
        return false;
    if (*at != '[' || exim)
        return true;
    const char *digits = ++at;
    while (at < limit && gv_is_digit(*at))
        at++;
    return at > digits && at < limit && *at == ']';
}

bool gv_holds_stamp(const char *at, const char *limit, bool exim)
{
    for (const char *c = at; (c = find_time(c, limit)); c++)
        if (goes_on(c, limit, exim))
            return true;
    return false;
}

bool gv_holds_line(const char *at, const char *limit)
{
    /* "Nov 22 02:" and "2026-11-22T02:" */
    static const uint8_t before[] = {9, 13};
    struct gv_stamp stamp;

    for (const char *c = at; (c = find_time(c, limit)); c++)
        for (size_t i = 0; i < sizeof before; i++)
            if (c - at >= before[i] && goes_on(c, limit, false) &&
                gv_stamp_find(&stamp, c - before[i], (size_t)(limit - c) + before[i]))
                return true;
    return gv_find(at, limit, ">1 - ") != NULL;
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

/* What nearly all clients look like, read from the front: a name without brackets, colons and
 * blanks, an IPv4 address in brackets, and `end`. False for anything else, which may be a client
 * all the same. */
static bool take_plain_client(struct gv_ip_address *out, const char **at, const char *limit,
                              char end)
{
    const char *open = *at;
    uint64_t found = 0;

    for (; limit - open >= 8; open += 8) {
        uint64_t word = gv_load8(open);
        found = gv_zeros(word ^ GV_EACH('[')) | gv_zeros(word ^ GV_EACH(' ')) |
                gv_zeros(word ^ GV_EACH(':'));
        if (found)
            break;
    }
    if (!found)
        return false;
    open += __builtin_ctzll(found) / 8;
    if (*open != '[' || open == *at)
        return false;
    if (++open == limit)
        return false;
    *out = (struct gv_ip_address){.family = GV_FAMILY_IPV4};
    const char *stop = gv_ip4_read(out->bytes, open, limit);
    if (!stop || stop == limit || *stop++ != ']')
        return false;
    if (end == 0 ? stop != limit : stop == limit || *stop != end)
        return false;
    if (end != 0 && end != ' ' && stop + 1 < limit && stop[1] != ' ')
        return false;
    *at = stop + (end != 0);
    return true;
}

bool gv_take_client(struct gv_ip_address *out, const char **at, const char *limit, char end)
{
    const char *start = *at;
    const char *close;

    if (take_plain_client(out, at, limit, end))
        return true;
    *at = start;
    const char *stop = word_end(start, limit, end);
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

    while (at - start >= 8) {
        uint64_t word = gv_load8(at - 8);
        if (gv_zeros(word ^ GV_EACH('<')) | gv_zeros(word ^ GV_EACH('>')) |
            gv_zeros(word ^ GV_EACH(' ')) | gv_zeros(word ^ GV_EACH(',')))
            break;
        at -= 8;
    }
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
    struct gv_ip_address local;

    /* Torn off, the name's own words may stand last, with what follows in the log behind them. So a
     * line that counts ends with its session. */
    if (limit == at || limit[-1] != '>')
        return false;
    out->session = session_before(at, limit - 1);
    if (out->session.len == 0 || !gv_ends(at, out->session.at, SESSION))
        return false;
    limit = out->session.at - SESSION_LEN;
    const char *found = gv_find_last(at, limit, rip);
    const char *rest;
    if (!found)
        return false;
    rest = found + sizeof rip - 1;
    if (!take_address(&out->address, &rest, limit) || !gv_begins(rest, limit, ", lip="))
        return false;
    rest += sizeof ", lip=" - 1;
    if (!take_address(&local, &rest, limit) || !take_name(out, at, found))
        return false;
    return !memchr(rest, '>', (size_t)(limit - rest));
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
