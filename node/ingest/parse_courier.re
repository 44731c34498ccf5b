/* Courier's imapd, pop3d and esmtpd, from the words that they log (imap/imaplogin.c, pop3login.c,
 * pop3dserver.c, imapd.c, module.esmtp/courieresmtpd.c; authlib's debug.c, liblog's logger.c).
 * imapd and pop3d put the client's words in front of the address, so the line is read from its end;
 * and since what is too long for a buffer on the way (512 bytes, or 1024) loses its end, only
 * lines that are far from it are read: otherwise a long name chooses where its line ends. */
#include "node/ingest/parse.h"

#include <string.h>

#include "crypto/error.h"

/* Leaves 120 bytes for a name; a syslogd's buffer of 256, the smallest there is, is not full. */
#define GV_COURIER_TEXT_MAX 200

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
*/

enum opening {
    OPENS_OTHER,
    OPENS_NAME,
    OPENS_METHOD,
    OPENS_SUCCESS,
    OPENS_TROUBLE_BEFORE,
    OPENS_TROUBLE_BEHIND,
    OPENS_RELAY,
    OPENS_QUOTE
};

static enum opening lex_opening(const char **at, const char *limit)
{
    const char *cur = *at;
    const char *mark = cur;
    enum opening found;

    if (cur == limit)
        return OPENS_OTHER;
    /*!re2c
        "LOGIN FAILED, user="                 { found = OPENS_NAME; goto done; }
        "LOGIN FAILED, method="               { found = OPENS_METHOD; goto done; }
        "LOGIN, user="                        { found = OPENS_SUCCESS; goto done; }
        "authdaemon: s_connect() failed: "    { found = OPENS_TROUBLE_BEFORE; goto done; }
        "authentication error: "              { found = OPENS_TROUBLE_BEHIND; goto done; }
        "error,relay="                        { found = OPENS_RELAY; goto done; }
        "ID, user="                           { found = OPENS_QUOTE; goto done; }
        *                                     { return OPENS_OTHER; }
    */
done:
    *at = cur;
    return found;
}

/* The number behind `words` at `at`; 0 when there is none. */
static uint16_t take_port(const char *at, const char *limit, const char *words)
{
    size_t n = strlen(words);
    uint32_t port = 0;

    if ((size_t)(limit - at) < n || memcmp(at, words, n) != 0)
        return 0;
    for (at += n; at < limit && *at >= '0' && *at <= '9' && port <= UINT16_MAX; at++)
        port = 10 * port + (uint32_t)(*at - '0');
    return port <= UINT16_MAX ? (uint16_t)port : 0;
}

/* --- imapd and pop3d --------------------------------------------------------------------------- */

/* What follows the address, up to the end: "]", then perhaps the port, and behind a login what it
 * was. Without a port it is Courier before 2017. */
static bool lex_tail(struct gv_parsed *out, const char *cur, const char *limit, bool success)
{
    const char *mark = cur;
    const char *start = cur;
    bool more;

    if (cur == limit)
        return false;
    /*!re2c
        port = "], port=[" ([0-9]{1,5} | "N/A") "]";
        "]" | port                                            { more = false; goto done; }
        ("]" | port) (", protocol=" [A-Z0-9]{1,16})? (", starttls=1" | ", stls=1")?
                                                              { more = true; goto done; }
        *                                                     { return false; }
    */
done:
    if (cur != limit || (more && !success))
        return false;
    out->port = take_port(start, limit, "], port=[");
    return true;
}

static bool read_login(struct gv_parsed *out, const char *at, const char *limit)
{
    static const char ip[] = ", ip=[";
    const char *found = gv_find_last(at, limit, ip);

    if (!found)
        return false;
    const char *address = found + sizeof ip - 1;
    const char *close = memchr(address, ']', (size_t)(limit - address));
    if (!close || gv_ip_address_parse(&out->address, address, (size_t)(close - address)) != GV_OK)
        return false;
    out->account.at = at;
    out->account.len = (size_t)(found - at);
    return lex_tail(out, close, limit, out->said == GV_SAID_SUCCESS);
}

/* authlib's list (authsaslclient.h). Any other is the client's own invention. */
static bool lex_method(const char **at, const char *limit)
{
    const char *cur = *at;
    const char *mark = cur;

    if (cur == limit)
        return false;
    /*!re2c
        'PLAIN' | 'LOGIN' | 'CRAM-MD5' | 'CRAM-SHA1' | 'CRAM-SHA256' | 'EXTERNAL'
             { *at = cur; return true; }
        *    { return false; }
    */
}

static bool read_method(struct gv_parsed *out, const char *at, const char *limit)
{
    if (!read_login(out, at, limit))
        return false;
    const char *end = at + out->account.len;
    if (!lex_method(&at, end) || at != end)
        out->kind = GV_KIND_BAD_MECHANISM;
    out->account.len = 0;
    return true;
}

/* --- esmtpd ------------------------------------------------------------------------------------ */

enum relay { RELAY_OTHER, RELAY_FAILED, RELAY_REJECTED };

/* Behind the address. The client's own identd, where somebody asks it, must not hold a quote. */
static enum relay lex_relay(const char **at, const char *limit)
{
    const char *cur = *at;
    const char *mark = cur;

    if (cur == limit)
        return RELAY_OTHER;
    /*!re2c
        about = (",port=" [0-9]{1,5})? (",ident=\"" [^"\x00]* "\"")? ",msg=\"535 Authentication ";
        about "failed.\",cmd: AUTH "      { *at = cur; return RELAY_FAILED; }
        about "rejected\",cmd: AUTH "     { *at = cur; return RELAY_REJECTED; }
        *                                 { return RELAY_OTHER; }
    */
}

/* "ADDRESS,port=P,msg="535 Authentication failed.",cmd: AUTH METHOD[ INITIAL][ NAME]". */
static bool read_relay(struct gv_parsed *out, const char *at, const char *limit)
{
    const char *comma = memchr(at, ',', (size_t)(limit - at));

    if (!comma || gv_ip_address_parse(&out->address, at, (size_t)(comma - at)) != GV_OK)
        return false;
    out->port = take_port(comma, limit, ",port=");
    enum relay relay = lex_relay(&comma, limit);
    if (relay == RELAY_OTHER)
        return false;
    const char *method = comma;
    bool known = lex_method(&comma, limit) && (comma == limit || *comma == ' ');
    if (relay == RELAY_REJECTED || !known)
        out->kind = GV_KIND_BAD_MECHANISM;
    const char *name = memrchr(method, ' ', (size_t)(limit - method));
    if (known && name && limit - method < 75) { /* the rest is cut off at 80 with "AUTH " */
        out->account.at = name + 1;
        out->account.len = (size_t)(limit - name - 1);
    }
    return true;
}

bool gv_parse_courier(struct gv_parsed *out, const struct gv_line *line, bool half)
{
    const char *at = line->text;
    const char *limit = at + line->text_len;
    enum opening opening = lex_opening(&at, limit);

    if (opening == OPENS_OTHER || half)
        return false;
    memset(out, 0, sizeof *out);
    out->kind = GV_KIND_UNSPECIFIED;
    switch (opening) {
    case OPENS_TROUBLE_BEFORE:
        out->said = GV_SAID_TROUBLE;
        return true;
    case OPENS_TROUBLE_BEHIND:
        out->said = GV_SAID_TROUBLE;
        out->attempts = 1;
        return true;
    case OPENS_QUOTE:
        out->said = GV_SAID_QUOTE;
        return true;
    default:
        break;
    }
    out->said = opening == OPENS_SUCCESS ? GV_SAID_SUCCESS : GV_SAID_FAILURE;
    out->attempts = opening != OPENS_SUCCESS;
    if (opening == OPENS_RELAY)
        return read_relay(out, at, limit);
    if (line->text_len > GV_COURIER_TEXT_MAX)
        return false;
    if (opening == OPENS_METHOD)
        return read_method(out, at, limit);
    return read_login(out, at, limit) && (opening != OPENS_SUCCESS || out->account.len > 0);
}
