/* Sendmail's server, from the words that it logs (srvrsmtp.c, daemon.c of Sendmail 8.17).
 * A client is "name [ADDRESS]", "ident@name [ADDRESS]" or "[ADDRESS]", perhaps with "(may be
 * forged)", and mostly comes last, behind what Cyrus SASL and the client had to say. */
#include "node/ingest/parse.h"

#include <string.h>
#include <strings.h>

#include "crypto/error.h"
#include "node/ingest/words.h"

/* The end of the text reads as NUL, and no lexer is started at it (see parse_postfix.re). */
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
    queue_id = [A-Za-z0-9]{1,32} ": ";
*/

/* The SASL library's words may hold a user name of any length. Sendmail cuts what it says at 1024
 * bytes and marks the parts ("ID[2]: "), which then fit nothing here; a syslogd that cuts at 1024
 * with its own header could take the address away unmarked. */
#define TEXT_MAX 900
/* "relay=%.100s" */
#define RELAY_MAX 100

enum opening {
    OPENS_OTHER,
    OPENS_FAILURE,
    OPENS_DECODE,
    OPENS_ENCODE,
    OPENS_SERVER,
    OPENS_LOST,
    OPENS_MET,
    OPENS_FROM
};

static enum opening lex_opening(const char **at, const char *limit)
{
    const char *cur = *at;
    const char *mark = cur;
    enum opening found;

    if (cur == limit)
        return OPENS_OTHER;
    /*!re2c
        queue_id? "AUTH failure (" mechanism "): "     { found = OPENS_FAILURE; goto done; }
        queue_id? "AUTH decode64 error ["              { found = OPENS_DECODE; goto done; }
        queue_id? "AUTH encode64 error ["              { found = OPENS_ENCODE; goto done; }
        "AUTH=server, relay="                          { found = OPENS_SERVER; goto done; }
        queue_id? "lost input channel from "           { found = OPENS_LOST; goto done; }
        queue_id "connect from "                       { found = OPENS_MET; goto done; }
        queue_id "from="                               { found = OPENS_FROM; goto done; }
        *                                              { return OPENS_OTHER; }
    */
done:
    *at = cur;
    return found;
}

/* Cyrus SASL's error table (lib/common.c), which no client can put words into. */
static void lex_reason(struct gv_parsed *out, const char *cur, const char *limit)
{
    const char *mark = cur;

    out->kind = GV_KIND_UNSPECIFIED;
    if (cur == limit)
        return;
    /*!re2c
        "generic failure (" | "no memory available (" | "transient failure ("
            | "overflowed buffer (" | "another step is needed in authentication ("
            | "remote authentication server unavailable (" | "SASL library is not initialized ("
            | "version mismatch with plug-in (" | "error when parsing configuration file ("
        {
            out->blame = GV_BLAME_BACKEND;
            return;
        }
        "account disabled (" | "passphrase expired, has to be reset (" | "passphrase locked ("
            | "authorization failure (" | "user exists, but no verifier for user ("
            | "One time use of a plaintext password will enable requested mechanism for user ("
        {
            /* The password may well be right: the server's business, not a guess. */
            out->blame = GV_BLAME_BACKEND;
            return;
        }
        "no mechanism available (" | "mechanism too weak for this user ("
            | "encryption needed to use mechanism ("
            | "mechanism doesn't support requested feature ("
        {
            out->kind = GV_KIND_BAD_MECHANISM;
            return;
        }
        "bad protocol / cancel ("
        {
            out->kind = GV_KIND_PROTOCOL;
            return;
        }
        "user not found ("
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

/* "name" or "ident@name". A name comes from the DNS, and ident's part through a filter of Sendmail's
 * that lets these characters through. */
static bool is_name(const char *at, const char *end)
{
    for (const char *c = at; c < end; c++)
        if (*c == '\0' || ((unsigned char)*c < 0x80 && !gv_is_digit(*c) &&
                           !(*c >= 'a' && *c <= 'z') && !(*c >= 'A' && *c <= 'Z') &&
                           !strchr("!#$%&'*+-./^_`{|}~@:\\", *c)))
            return false;
    return end > at && end[-1] != ':';
}

/* A client, and nothing else, in [at, limit). */
static bool read_client(struct gv_parsed *out, const char *at, const char *limit)
{
    static const char forged[] = " (may be forged)";
    const char *open = memchr(at, '[', (size_t)(limit - at));
    const char *close = open ? memchr(open, ']', (size_t)(limit - open)) : NULL;

    if (!close)
        return false;
    if (open > at && (open[-1] != ' ' || !is_name(at, open - 1)))
        return false;
    size_t rest = (size_t)(limit - close) - 1;
    bool whole = rest == 0 || rest == sizeof forged - 1 || limit - at == RELAY_MAX;
    if (!whole || rest > sizeof forged - 1 || memcmp(close + 1, forged, rest) != 0)
        return false;
    open++;
    if (close - open > 5 && memcmp(open, "IPv6:", 5) == 0)
        open += 5;
    if (gv_ip_address_parse(&out->address, open, (size_t)(close - open)) != GV_OK)
        return false;
    if (limit - at > RELAY_MAX)
        out->origin = (struct gv_span){at, RELAY_MAX};
    return true;
}

/* What is left of a client whose name is so long that the address, or its end, is gone. */
static bool is_cut(const char *at, const char *limit)
{
    const char *open = memchr(at, '[', (size_t)(limit - at));
    const char *blank = open ? open - 1 : limit - 1;

    if (limit - at != RELAY_MAX || open == at || (open && *blank != ' ') ||
        memchr(open ? open : limit, ']', open ? (size_t)(limit - open) : 0))
        return false;
    return is_name(at, open || *blank == ' ' ? blank : limit);
}

/* The last ", relay=" is Sendmail's: a user name or a word of a challenge may hold others. */
static const char *find_relay(const char *at, const char *limit)
{
    return gv_find_last(at, limit, ", relay=");
}

static const char *behind_relay(const char *relay)
{
    return relay + sizeof ", relay=" - 1;
}

/* Of a failure. */
static const char *read_relay(struct gv_parsed *out, const char *at, const char *limit)
{
    const char *relay = find_relay(at, limit);

    if (!relay || read_client(out, behind_relay(relay), limit))
        return relay;
    if (!is_cut(behind_relay(relay), limit))
        return NULL;
    memset(&out->address, 0, sizeof out->address);
    out->said = GV_SAID_UNNAMED;
    out->open_end = false; /* whose beginning it is another line must say */
    out->origin = (struct gv_span){behind_relay(relay), RELAY_MAX};
    return relay;
}

/* "..., user=NAME, relay=CLIENT" (8.16 on) or "..., relay=CLIENT". */
static bool parse_failure(struct gv_parsed *out, const char *at, const char *limit)
{
    static const char words[] = ", user=";
    const char *relay = read_relay(out, at, limit);
    const char *user = relay ? gv_find_last(at, relay, words) : NULL;

    if (!relay)
        return false;
    lex_reason(out, at, relay);
    if (user) {
        out->account.at = user + sizeof words - 1;
        out->account.len = (size_t)(relay - out->account.at);
    }
    return true;
}

/* "AUTH=server, relay=CLIENT, authid=NAME, mech=M, bits=N": the client comes first. */
static bool parse_server(struct gv_parsed *out, const char *at, const char *limit)
{
    static const char words[] = ", authid=";
    const char *name = gv_find(at, limit, words);
    const char *end = name ? gv_find_last(name + 1, limit, ", mech=") : NULL;

    if (!end || !read_client(out, at, name))
        return false;
    out->said = GV_SAID_SUCCESS;
    end += sizeof ", mech=" - 1;
    out->anybody = limit - end >= 10 && strncasecmp(end, "ANONYMOUS,", 10) == 0;
    end -= sizeof ", mech=" - 1;
    out->account.at = name + sizeof words - 1;
    out->account.len = (size_t)(end - out->account.at);
    return true;
}

/* The name of a daemon, from sendmail.cf: MTA, MSA, MSP, or what an admin thought of. */
static bool is_submission(const char *at, const char *limit)
{
    static const char *const words[] = {"MSA", "MSP", "587", "465", "submission"};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (gv_find(at, limit, words[i]))
            return true;
    return false;
}

/* "lost input channel from CLIENT to DAEMON after auth" */
static bool parse_lost(struct gv_parsed *out, const char *at, const char *limit)
{
    const char *to = gv_find(at, limit, " to ");
    const char *after = to ? gv_find(to, limit, " after auth") : NULL;

    if (!after || limit - after != sizeof " after auth" - 1 ||
        !read_client(out, at, to))
        return false;
    out->said = GV_SAID_DROP;
    out->kind = GV_KIND_ABORTED;
    if (is_submission(to, after))
        out->service = GV_SERVICE_SUBMISSION;
    return true;
}

static const char *skip_queue_id(const char *cur, const char *limit)
{
    const char *start = cur;
    const char *mark = cur;

    if (cur == limit)
        return start;
    /*!re2c
        queue_id                                       { return cur; }
        *                                              { return start; }
    */
}

/* "ID: CLIENT: possible SMTP attack: command=AUTH, count=N", the N-th not yet looked at. */
static bool parse_attack(struct gv_parsed *out, const char *at, const char *limit)
{
    static const char words[] = ": possible SMTP attack: command=AUTH, count=";
    const char *number = limit;
    uint32_t count = 0;

    while (number > at && gv_is_digit(number[-1]))
        number--;
    if (number == limit || limit - number > 9 || (size_t)(number - at) < sizeof words)
        return false;
    const char *end = number - (sizeof words - 1);
    if (memcmp(end, words, sizeof words - 1) != 0)
        return false;
    for (const char *c = number; c < limit; c++)
        count = 10 * count + (uint32_t)(*c - '0');
    out->said = GV_SAID_COUNTS;
    out->kind = GV_KIND_ABORTED;
    out->auth_all = count > 0 ? count - 1 : 0;
    return read_client(out, skip_queue_id(at, end), end);
}

/* Of interest only where the client is longer than other lines show it. */
static bool names_client(struct gv_parsed *out, const char *at, const char *limit)
{
    out->said = GV_SAID_CLIENT;
    return limit - at > RELAY_MAX && read_client(out, at, limit);
}

/* "ID: from=..., relay=CLIENT" */
static bool parse_from(struct gv_parsed *out, const char *at, const char *limit)
{
    const char *relay = find_relay(at, limit);

    return relay && names_client(out, behind_relay(relay), limit);
}

/* "ID: CLIENT did not issue MAIL/EXPN/VRFY/ETRN during connection to DAEMON", the last one word, as
 * nothing is that Sendmail says behind an address of the client's. */
static bool parse_idle(struct gv_parsed *out, const char *at, const char *limit)
{
    static const char words[] = " did not issue MAIL/EXPN/VRFY/ETRN during connection to ";
    const char *end = limit - at > RELAY_MAX ? gv_find_last(at, limit, words) : NULL;

    if (!end)
        return false;
    const char *daemon = end + sizeof words - 1;
    if (daemon == limit || memchr(daemon, ' ', (size_t)(limit - daemon)))
        return false;
    return names_client(out, skip_queue_id(at, end), end);
}

/* "ID: CLIENT: VRFY WORDS", or EXPN, or ETRN, as they came. CLIENT is read from where the line begins, so
 * nothing in WORDS is taken for it; but an error may begin with an address that the client gave, and has
 * "... " behind it. */
static bool parse_command(struct gv_parsed *out, const char *at, const char *limit)
{
    static const char *const words[] = {"VRFY ", "EXPN ", "ETRN "};
    const char *client = skip_queue_id(at, limit);
    const char *close =
        limit - client > RELAY_MAX ? memchr(client, ']', (size_t)(limit - client)) : NULL;
    const char *end = close && client > at ? gv_find(close, limit, ": ") : NULL;
    const char *said = end ? end + 2 : limit;
    bool known = false;

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        known |= limit - said > 5 && strncasecmp(said, words[i], 5) == 0;
    return known && !gv_find(said, limit, "... ") && names_client(out, client, end);
}

/* "NOQUEUE: connect from CLIENT", at LogLevel 10. */
static bool parse_met(struct gv_parsed *out, const char *at, const char *limit)
{
    bool named = names_client(out, at, limit);

    out->said = GV_SAID_MET;
    return named;
}

/* Which of an envelope's lines belong together. */
static void take_queue_id(struct gv_parsed *out, const char *at, const char *limit)
{
    const char *behind = skip_queue_id(at, limit);

    if (behind > at)
        out->session = (struct gv_span){at, (size_t)(behind - at) - 2};
}

bool gv_parse_sendmail(struct gv_parsed *out, const struct gv_line *line, bool half)
{
    const char *at = line->text;
    const char *limit = at + line->text_len;

    if (half || line->text_len > TEXT_MAX || line->text_len == 0)
        return false;
    enum opening opening = lex_opening(&at, limit);
    if (opening == OPENS_OTHER && !gv_is_digit(limit[-1]) && line->text_len <= RELAY_MAX)
        return false; /* most lines */
    memset(out, 0, sizeof *out);
    take_queue_id(out, line->text, limit);
    out->kind = GV_KIND_UNSPECIFIED;
    out->service = memmem(line->tag, line->tag_len, "msa", 3) ? GV_SERVICE_SUBMISSION
                                                              : GV_SERVICE_SMTP;
    out->said = GV_SAID_FAILURE;
    out->attempts = 1;
    out->open_end = opening == OPENS_FAILURE || opening == OPENS_DECODE ||
                    opening == OPENS_ENCODE || opening == OPENS_FROM;
    switch (opening) {
    case OPENS_FAILURE:
        return parse_failure(out, at, limit);
    case OPENS_DECODE:
        out->kind = GV_KIND_PROTOCOL;
        return read_relay(out, at, limit) != NULL;
    case OPENS_ENCODE:
        out->blame = GV_BLAME_BACKEND;
        return read_relay(out, at, limit) != NULL;
    case OPENS_SERVER:
        return parse_server(out, at, limit);
    case OPENS_LOST:
        return parse_lost(out, at, limit);
    case OPENS_FROM:
        return parse_from(out, at, limit);
    case OPENS_MET:
        return parse_met(out, at, limit);
    default:
        return parse_attack(out, at, limit) || parse_idle(out, at, limit) ||
               parse_command(out, at, limit);
    }
}
