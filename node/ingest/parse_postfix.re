/* Postfix's smtpd, from the words that it logs (smtpd.c, smtpd_sasl_glue.c, xsasl_*_server.c of
 * Postfix 3.x). Its text about a client is always anchored: fixed words, then "name[address]", and
 * only then anything that the client chose. Control characters are '?' by then. */
#include "node/ingest/parse.h"

#include <string.h>
#include <strings.h>

#include "node/ingest/words.h"

#define QUEUE_ID_MAX 32

/* The end of the text reads as NUL, which no rule but "anything else" takes; so that not even that
 * one steps over the end, no lexer is started at it. */
/*!re2c
    re2c:api = custom;
    re2c:api:style = free-form;
    re2c:define:YYCTYPE = "unsigned char";
    re2c:define:YYPEEK = "(cur < limit ? (unsigned char)*cur : 0)";
    re2c:define:YYSKIP = "++cur;";
    re2c:define:YYBACKUP = "mark = cur;";
    re2c:define:YYRESTORE = "cur = mark;";
    re2c:yyfill:enable = 0;
    re2c:flags:tags = 0;

    mechanism = [A-Za-z0-9_-]{1,20};
    count = [0-9]{1,9};
*/

enum opening {
    OPENS_OTHER,
    OPENS_CONNECT,
    OPENS_DISCONNECT,
    OPENS_WARNING,
    OPENS_CLIENT,
    OPENS_DROP
};

static bool is_id(char c)
{
    return gv_is_digit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* Behind a queue id (which nothing but a colon ends), or where it was. */
static const char *skip_id(const char *at, const char *limit)
{
    const char *cur = at;

    for (; limit - cur >= 8 && cur - at < QUEUE_ID_MAX; cur += 8) {
        uint64_t others = gv_no_alnums(gv_load8(cur));
        if (others) {
            cur += __builtin_ctzll(others) / 8;
            return *cur == ':' ? cur : at;
        }
    }
    while (cur < limit && cur - at < QUEUE_ID_MAX && is_id(*cur))
        cur++;
    return cur < limit && *cur == ':' ? cur : at;
}

/* The fixed words in front of "name[address]". What half of all lines begin with is compared as a
 * whole, which is faster than any lexer. */
static enum opening lex_opening(const char **at, const char *limit)
{
    if (gv_skip(at, limit, "connect from "))
        return OPENS_CONNECT;
    if (gv_skip(at, limit, "disconnect from "))
        return OPENS_DISCONNECT;
    if (gv_skip(at, limit, "warning: "))
        return OPENS_WARNING;

    const char *cur = skip_id(*at, limit);
    const char *mark = cur;
    enum opening found;

    if (cur == limit || **at == ':')
        return OPENS_OTHER;
    /*!re2c
        ": client="                                    { found = OPENS_CLIENT; goto done; }
        (": ")? ("lost connection" | "timeout") " after AUTH from "
                                                       { found = OPENS_DROP; goto done; }
        *                                              { return OPENS_OTHER; }
    */
done:
    *at = cur;
    return found;
}

enum sasl { SASL_OTHER, SASL_FAILED, SASL_ODD_MECHANISM, SASL_ABORTED };

/* A mechanism of other characters is the client's own invention; what follows it may be, too, so
 * nothing more is read. */
static enum sasl lex_odd_mechanism(const char *cur, const char *limit)
{
    const char *mark = cur;

    if (cur == limit)
        return SASL_OTHER;
    /*!re2c
        " SASL " [^\x00]* " authentication failed: "   { return SASL_ODD_MECHANISM; }
        *                                              { return SASL_OTHER; }
    */
}

/* Behind "name[address]:". The user name at the end may hold these words again, so the odd case
 * must not compete for the longest match. */
static enum sasl lex_sasl(const char **at, const char *limit)
{
    const char *cur = *at;
    const char *mark = cur;
    enum sasl found;

    if (cur == limit)
        return SASL_OTHER;
    /*!re2c
        " SASL " mechanism " authentication failed: "  { found = SASL_FAILED; goto done; }
        " SASL " mechanism " authentication failed:"   { found = SASL_FAILED; goto bare; }
        " SASL " mechanism " authentication aborted"   { found = SASL_ABORTED; goto done; }
        *                                              { return lex_odd_mechanism(*at, limit); }
    */
bare: /* no reason given, and journald cuts the blank before it */
    if (cur != limit)
        return lex_odd_mechanism(*at, limit);
done:
    if (found == SASL_ABORTED && cur != limit)
        return lex_odd_mechanism(*at, limit);
    *at = cur;
    return found;
}

/* The reason of a SASL failure: words of Postfix, of Cyrus SASL's error table, or what a Dovecot
 * passdb says. The plain cases do not tell a wrong password from an unknown account. */
static void lex_reason(struct gv_parsed *out, const char *cur, const char *limit)
{
    const char *mark = cur;

    out->kind = GV_KIND_UNSPECIFIED;
    if (cur == limit)
        return;
    /*!re2c
        "Connection lost to authentication server" | "Can't connect to authentication server"
            | "Authentication backend error" | "Authentication request timed out"
            | 'temporary authentication failure' | 'temporary internal failure'
            | "generic failure" | "no memory available" | "remote authentication server unavailable"
            | "another step is needed in authentication" | "transient failure"
        {
            out->blame = GV_BLAME_BACKEND;
            return;
        }
        "account disabled" | "passphrase expired" | "passphrase locked" | 'password expired'
            | "user disabled" | "Login disabled for this user"
        {
            /* The password may well be right: the server's business, not a guess. */
            out->blame = GV_BLAME_BACKEND;
            return;
        }
        "Refused by grapevine" | "policy server refusal"
        {
            out->blame = GV_BLAME_POLICY;
            return;
        }
        "Invalid authentication mechanism" | "no mechanism available"
            | "mechanism too weak for this user" | "encryption needed to use mechanism"
            | "mechanism doesn't support requested feature"
        {
            out->kind = GV_KIND_BAD_MECHANISM;
            return;
        }
        "Invalid base64 data in " | "bad protocol / cancel"
        {
            out->kind = GV_KIND_PROTOCOL;
            return;
        }
        "user not found"
        {
            out->kind = GV_KIND_UNKNOWN_ACCOUNT;
            return;
        }
        *
        {
            return;
        }
    */
}

/* " ehlo=1 auth=0/1 quit=1 commands=2/3" up to the end. */
static bool lex_counts(struct gv_parsed *out, const char *cur, const char *limit)
{
    const char *mark = cur;

    while (cur < limit) {
        const char *start = cur;
        bool auth;

        /*!re2c
            " auth=" count ("/" count)?                { auth = true; goto item; }
            " " [a-z0-9_]+ "=" count ("/" count)?      { auth = false; goto item; }
            *                                          { return false; }
        */
    item:
        if (!auth)
            continue;
        uint32_t good = 0, all = 0;
        for (start += sizeof " auth=" - 1; start < cur && *start != '/'; start++)
            good = 10 * good + (uint32_t)(*start - '0');
        for (start++; start < cur; start++)
            all = 10 * all + (uint32_t)(*start - '0');
        out->auth_good = good;
        out->auth_all = all > good ? all : good;
    }
    return true;
}

static enum opening lex_success(const char *cur, const char *limit)
{
    const char *mark = cur;

    if (cur == limit)
        return OPENS_OTHER;
    /*!re2c
        "sasl_method=" [^ ,\x00]* ", sasl_username=" [^\x00]   { return OPENS_CLIENT; }
        *                                                      { return OPENS_OTHER; }
    */
}

/* The text behind the first `name` at or behind `at`, up to the first ", " if `to_comma`. */
static struct gv_span value_of(const char *at, const char *limit, const char *name, bool to_comma)
{
    struct gv_span value = {NULL, 0};
    const char *found = gv_find(at, limit, name);

    if (!found)
        return value;
    value.at = found + strlen(name);
    value.len = (size_t)(limit - value.at);
    const char *comma = to_comma ? gv_find(value.at, limit, ", ") : NULL;
    if (comma)
        value.len = (size_t)(comma - value.at);
    if (value.len == 13 && memcmp(value.at, "(unavailable)", 13) == 0)
        value.len = 0;
    return value;
}

static bool parse_warning(struct gv_parsed *out, const char *at, const char *limit, bool half)
{
    /* Most warnings are about something else; only a SASL one goes on behind the colon. */
    if (!gv_take_client(&out->address, &at, limit, ':'))
        return false;
    switch (lex_sasl(&at, limit)) {
    case SASL_FAILED:
        lex_reason(out, at, limit);
        if (!half) /* else the name may be cut: better none than the hash of another one */
            out->account = value_of(at, limit, ", sasl_username=", false);
        out->apart = out->account; /* it comes last: torn off in it, all before it is true */
        break;
    case SASL_ODD_MECHANISM:
        out->kind = GV_KIND_BAD_MECHANISM;
        break;
    case SASL_ABORTED:
        out->kind = GV_KIND_ABORTED;
        break;
    default:
        return false;
    }
    out->said = GV_SAID_FAILURE;
    out->attempts = 1;
    return true;
}

static bool parse_disconnect(struct gv_parsed *out, const char *at, const char *limit, bool half)
{
    out->said = GV_SAID_DISCONNECT;
    if (!gv_take_client(&out->address, &at, limit, ' '))
        /* Before Postfix 3.0 nothing follows. */
        return gv_take_client(&out->address, &at, limit, 0) && !half;
    out->has_counts = true;
    /* Most clients never say AUTH. */
    if (!gv_find(at - 1, limit, " auth="))
        return !half;
    /* A half line may have lost digits: "commands=" is the last word and holds none of ours. */
    if (half && !gv_find(at, limit, " commands="))
        return false;
    return lex_counts(out, at - 1, limit);
}

bool gv_parse_postfix(struct gv_parsed *out, const struct gv_line *line, bool half)
{
    const char *at = line->text;
    const char *limit = at + line->text_len;
    enum opening opening = lex_opening(&at, limit);

    if (opening == OPENS_OTHER)
        return false;
    *out = (struct gv_parsed){.kind = GV_KIND_UNSPECIFIED};
    switch (opening) {
    case OPENS_CONNECT:
        out->said = GV_SAID_CONNECT;
        return gv_take_client(&out->address, &at, limit, 0);
    case OPENS_DISCONNECT:
        return parse_disconnect(out, at, limit, half);
    case OPENS_DROP:
        out->said = GV_SAID_DROP;
        out->kind = GV_KIND_ABORTED;
        return gv_take_client(&out->address, &at, limit, 0);
    case OPENS_CLIENT:
        out->said = GV_SAID_SUCCESS;
        if (!gv_take_client(&out->address, &at, limit, ',') || at == limit || *at++ != ' ' ||
            lex_success(at, limit) == OPENS_OTHER)
            return false;
        out->anybody = limit - at > 22 && strncasecmp(at, "sasl_method=ANONYMOUS,", 22) == 0;
        out->account = value_of(at, limit, ", sasl_username=", true);
        return !half;
    default:
        return parse_warning(out, at, limit, half);
    }
}
