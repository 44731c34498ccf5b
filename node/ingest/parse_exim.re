/* Exim's main log and reject log, and the same by syslog, from the words that it logs (log.c,
 * host.c, smtp_in.c, receive.c of Exim 4). In front of the client's address stand its HELO name in
 * parentheses, which may be any text if the admin lets it (helo_accept_junk_hosts), or a whole
 * command; behind it what its ident server says, and the user name. Where two places in a line
 * could be the end of the HELO name, nobody knows which one is Exim's, and the line says nothing. */
#include "node/ingest/parse.h"

#include <string.h>

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

    d = [0-9];
    name = [A-Za-z0-9_.-]{1,64};
    stamp = d{4} "-" d{2} "-" d{2} " " d{2} ":" d{2} ":" d{2} ("." d{3})? (" " [+-] d{4})? " ";
    message_id = [A-Za-z0-9]{6} "-" [A-Za-z0-9]{6,11} "-" [A-Za-z0-9]{2,4} " ";
*/

/* syslogd may have cut a line of 8 KB, and with it the address; no true line is half as long. */
#define SYSLOG_TEXT_MAX 4096

/* By syslog Exim repeats its own stamp, unless told not to (syslog_timestamp). */
static const char *skip_stamp(const char *cur, const char *limit)
{
    const char *start = cur;
    const char *mark = cur;

    if (cur == limit)
        return start;
    /*!re2c
        stamp                                          { return cur; }
        *                                              { return start; }
    */
}

/* "[123] " of log_selector +pid. A part of a line that was too long for syslog has "[1/3] ", which
 * fits nothing below. */
static const char *skip_pid(struct gv_span *pid, const char *cur, const char *limit)
{
    const char *start = cur;
    const char *mark = cur;

    if (cur == limit)
        return start;
    /*!re2c
        "[" d{1,10} "] "  { pid->at = start; pid->len = (size_t)(cur - start); return cur; }
        *                                              { return start; }
    */
}

enum opening { OPENS_OTHER, OPENS_FAILED, OPENS_PROTOCOL, OPENS_SYNTAX, OPENS_MAIL, OPENS_NO_MAIL };

/* The fixed words in front of what the client chose. */
static enum opening lex_opening(const char **at, const char *limit)
{
    const char *cur = *at;
    const char *mark = cur;
    enum opening found;

    if (cur == limit)
        return OPENS_OTHER;
    /*!re2c
        message_id? name " authenticator failed for "  { found = OPENS_FAILED; goto done; }
        message_id? "SMTP protocol error in \"" 'auth' [ "]  { found = OPENS_PROTOCOL; goto done; }
        message_id? "SMTP syntax error in \"" 'auth' [ "]    { found = OPENS_SYNTAX; goto done; }
        message_id "<= "                               { found = OPENS_MAIL; goto done; }
        message_id? "no MAIL in " ("TFO" "*"? " ")? "SMTP connection from "
                                                       { found = OPENS_NO_MAIL; goto done; }
        *                                              { return OPENS_OTHER; }
    */
done:
    *at = cur;
    return found;
}

/* --- The client ------------------------------------------------------------------------------ */

static const char *skip_digits(const char *at, const char *limit)
{
    while (at < limit && gv_is_digit(*at))
        at++;
    return at;
}

/* "[ADDRESS]" or "[ADDRESS]:port" (log_selector +incoming_port). The port tells the client's
 * connections apart, so all of it is the session. */
static bool take_address(struct gv_parsed *out, const char **at, const char *limit)
{
    const char *open = *at;
    const char *close = memchr(open, ']', (size_t)(limit - open));

    if (!close || *open != '[' ||
        gv_ip_address_parse(&out->address, open + 1, (size_t)(close - open - 1)) != GV_OK)
        return false;
    *at = close + 1;
    const char *port = close + 1 < limit && close[1] == ':' ? close + 2 : limit;
    const char *end = skip_digits(port, limit);
    if (end > port) {
        out->session.at = open;
        out->session.len = (size_t)(end - open);
        *at = end;
    }
    return true;
}

/* " I=[ADDRESS]:port" (log_selector +incoming_interface): the address and port of this host. */
static bool take_interface(struct gv_parsed *out, const char **at, const char *limit)
{
    const char *port = *at, *end;
    uint32_t number = 0;

    if (!gv_begins(*at, limit, " I=["))
        return true;
    port = memchr(*at, ']', (size_t)(limit - *at));
    if (!port || memchr(*at + 1, ' ', (size_t)(port - *at - 1)) || !gv_begins(port, limit, "]:"))
        return false;
    port += 2;
    end = skip_digits(port, limit);
    if (end == port || end - port > 5)
        return false;
    for (*at = end; port < end; port++)
        number = 10 * number + (uint32_t)(*port - '0');
    if (number == 465 || number == 587)
        out->service = GV_SERVICE_SUBMISSION;
    return true;
}

/* " Ci=123" (+connection_id, from 4.98 on): tells connections apart too. */
static void take_connection(struct gv_parsed *out, const char **at, const char *limit)
{
    static const char words[] = " Ci=";

    if (!gv_begins(*at, limit, words))
        return;
    const char *end = skip_digits(*at + sizeof words - 1, limit);
    if (out->session.len == 0)
        out->session = (struct gv_span){*at, (size_t)(end - *at)};
    *at = end;
}

/* "name (HELO) [ADDRESS]", either in front of the address missing. A verified name is one word, as
 * it comes from the DNS, and "(" opens the HELO name: with ") [" in what follows the address, that
 * could be where it closes. */
static bool take_host(struct gv_parsed *out, const char **at, const char *limit)
{
    const char *cur = *at;

    if (cur == limit)
        return false;
    if (*cur != '[' && *cur != '(') {
        cur = memchr(cur, ' ', (size_t)(limit - cur));
        if (!cur || cur == *at || memchr(*at, ')', (size_t)(cur - *at)) || ++cur == limit)
            return false;
    }
    if (*cur == '(') {
        cur = gv_find(cur, limit, ") [");
        if (!cur)
            return false;
        cur += 2;
    }
    if (!take_address(out, &cur, limit) || !take_interface(out, &cur, limit) ||
        gv_find(cur, limit, ") ["))
        return false;
    take_connection(out, &cur, limit);
    *at = cur;
    return true;
}

/* --- A failed authentication ----------------------------------------------------------------- */

enum reason { REASON_OTHER, REASON_WHOLE, REASON_SET_ID, REASON_OPEN };

static enum reason lex_reason(struct gv_parsed *out, const char **at, const char *limit)
{
    const char *cur = *at;
    const char *mark = cur;
    enum reason found;

    if (cur == limit)
        return REASON_OTHER;
    /*!re2c
        ": 535 Incorrect authentication data"
            { out->kind = GV_KIND_UNSPECIFIED; found = REASON_WHOLE; goto done; }
        ": 535 Incorrect authentication data (set_id="
            { out->kind = GV_KIND_UNSPECIFIED; found = REASON_SET_ID; goto done; }
        ": 501 Invalid base64 data" | ": 553 Initial data not expected"
            { out->kind = GV_KIND_PROTOCOL; found = REASON_WHOLE; goto done; }
        ": 501 Authentication cancelled"
            { out->kind = GV_KIND_ABORTED; found = REASON_WHOLE; goto done; }
        ": 435 Unable to authenticate at present" | ": 435 Internal error"
            { out->blame = GV_BLAME_BACKEND; found = REASON_OPEN; goto done; }
        *   { return REASON_OTHER; }
    */
done:
    *at = cur;
    return found;
}

static bool read_reason(struct gv_parsed *out, const char *at, const char *limit)
{
    out->blame = GV_BLAME_CLIENT;
    out->kind = GV_KIND_UNSPECIFIED;
    switch (lex_reason(out, &at, limit)) {
    case REASON_WHOLE:
        return at == limit;
    case REASON_SET_ID:
        if (at == limit || limit[-1] != ')')
            return false;
        out->account.at = at;
        out->account.len = (size_t)(limit - 1 - at);
        out->apart = out->account; /* it comes last: torn off in it, all before it is true */
        return true;
    case REASON_OPEN:
        return true;
    default:
        return false;
    }
}

/* " U=IDENT" may hold a reason of its own. It must not turn a failure into a fault of the backend,
 * so a failure anywhere is one, of nobody knows which account. */
static bool read_reason_behind_ident(struct gv_parsed *out, const char *at, const char *limit)
{
    struct gv_parsed best = *out;
    bool found = false;

    for (; (at = gv_find(at, limit, ": ")); at++) {
        if (!read_reason(out, at, limit))
            continue;
        if (!found || best.blame != GV_BLAME_CLIENT)
            best = *out;
        found = true;
    }
    *out = best;
    out->account.len = 0;
    out->apart = (struct gv_span){NULL, 0};
    return found;
}

static bool parse_failed(struct gv_parsed *out, const char *at, const char *limit)
{
    if (!take_host(out, &at, limit))
        return false;
    out->said = GV_SAID_FAILURE;
    out->attempts = 1;
    out->twice = true; /* LOG_MAIN|LOG_REJECT */
    if (gv_begins(at, limit, " U="))
        return read_reason_behind_ident(out, at + 3, limit);
    return read_reason(out, at, limit);
}

/* --- AUTH that came to no authentication ----------------------------------------------------- */

static const char *last_word(const char *start, const char *end)
{
    while (end > start && end[-1] != ' ')
        end--;
    return end;
}

/* What Exim says of the command, at the end of the line. */
static bool cut_complaint(struct gv_parsed *out, enum opening opening, const char *start,
                          const char **end)
{
    const char *word;

    out->kind = GV_KIND_BAD_MECHANISM;
    if (opening == OPENS_SYNTAX)
        return gv_cut(start, end, " invalid character in authentication mechanism name");
    if (gv_cut(start, end, " AUTH command used when not advertised")) {
        out->kind = GV_KIND_ABORTED; /* no password was tried */
        return true;
    }
    if (!gv_cut(start, end, " authentication mechanism not supported"))
        return false;
    for (word = *end; word > start && gv_is_word_char(word[-1]); word--)
        ;
    if (word == start || word[-1] != ' ')
        return false;
    *end = word - 1;
    return true;
}

/* `SMTP protocol error in "COMMAND" H=name (HELO) [ADDRESS] COMPLAINT`: the command comes first and
 * may hold a whole line, so this is read from the end. What an ident server says would stand behind
 * the address; then nothing is read. */
static bool parse_complaint(struct gv_parsed *out, enum opening opening, const char *start,
                            const char *limit)
{
    const char *end = limit, *word, *at;

    if (!cut_complaint(out, opening, start, &end) || gv_find(start, limit, " U="))
        return false;
    word = last_word(start, end);
    if (gv_begins(word, end, "Ci=") && word > start)
        word = last_word(start, word - 1);
    if (gv_begins(word, end, "I=[") && word > start)
        word = last_word(start, word - 1);
    at = word;
    if (gv_cut(start, &at, "\" ")) {
        if (!gv_begins(word, end, "H=["))
            return false;
        word += 2;
    } else if (gv_cut(start, &at, ") ")) {
        if (!gv_find(start, at, "\" H="))
            return false;
    } else {
        if (word == start)
            return false;
        at = last_word(start, word - 1);
        if (!gv_begins(at, word, "H=") || !gv_cut(start, &at, "\" "))
            return false;
    }
    out->said = GV_SAID_FAILURE;
    out->attempts = 1;
    if (!take_address(out, &word, end) || !take_interface(out, &word, end))
        return false;
    take_connection(out, &word, end);
    return word == end;
}

/* --- Who is in ------------------------------------------------------------------------------- */

/* " P=esmtpsa": Exim's own word for a mail that came in authenticated. */
static bool lex_protocol(const char **at, const char *limit)
{
    const char *cur = *at;
    const char *mark = cur;

    if (cur == limit)
        return false;
    /*!re2c
        (" TFO" "*"?)? " P=" "utf8"? ("esmtpa" | "esmtpsa" | "asmtp") " "
                                                       { *at = cur - 1; return true; }
        *                                              { return false; }
    */
}

/* " A=authenticator:id", behind words that hold no blank. */
static void lex_account(struct gv_parsed *out, const char *cur, const char *limit)
{
    const char *mark = cur;

    if (cur == limit)
        return;
    /*!re2c
        ((" L" [*.-]{0,2}) | (" X=" [^ \x00]+) | (" CV=" [a-z]+) | (" SNI=" [^ \x00]+))*
            " A=" name ":"                             { goto found; }
        *                                              { return; }
    */
found:
    out->account.at = cur;
    while (cur < limit && *cur != ' ')
        cur++;
    out->account.len = (size_t)(cur - out->account.at);
}

/* What stands behind the last word that was read: of a mail its subject too (log_selector +subject),
 * which may name a time. Of a line that was torn off within that word or right behind it the next one's
 * stamp begins there, or three letters before ("aliceNov 22 02:36:17"). */
static void leave_rest(struct gv_parsed *out, const char *at, const char *limit)
{
    ptrdiff_t stamp = sizeof " 2026-11-22T02:36:17" - 1;

    if (out->account.len > 0) {
        at = out->account.at + out->account.len;
        stamp = sizeof " 22 02:36:17" - 1;
    }
    if (limit - at > stamp)
        out->apart = (struct gv_span){at + stamp, (size_t)(limit - at - stamp)};
}

static bool parse_mail(struct gv_parsed *out, const char *at, const char *limit)
{
    const char *space = memchr(at, ' ', (size_t)(limit - at));

    /* A quoted local part may hold blanks, and with them all that follows. */
    if (!space || memchr(at, '"', (size_t)(space - at)) || memchr(at, '\\', (size_t)(space - at)))
        return false;
    at = gv_begins(space, limit, " DS H=") ? space + 3 : space;
    if (!gv_begins(at, limit, " H="))
        return false;
    at += 3;
    if (!take_host(out, &at, limit) || !lex_protocol(&at, limit))
        return false;
    out->said = GV_SAID_SUCCESS;
    lex_account(out, at, limit);
    leave_rest(out, at, limit);
    return true;
}

static bool lex_duration(const char **at, const char *limit)
{
    const char *cur = *at;
    const char *mark = cur;

    if (cur == limit)
        return false;
    /*!re2c
        " D=" [0-9a-z.]{1,32} " A=" name [: ]          { *at = cur; return true; }
        *                                              { return false; }
    */
}

static bool parse_no_mail(struct gv_parsed *out, const char *at, const char *limit)
{
    if (!take_host(out, &at, limit) || !lex_duration(&at, limit))
        return false;
    out->said = GV_SAID_SUCCESS;
    out->account.at = at;
    while (at[-1] == ':' && out->account.len < (size_t)(limit - at) &&
           at[out->account.len] != ' ')
        out->account.len++;
    return true;
}

bool gv_parse_exim(struct gv_parsed *out, const struct gv_line *line, bool half)
{
    const char *at = line->text;
    const char *limit = at + line->text_len;
    struct gv_span pid = {NULL, 0};

    if (line->program == GV_PROGRAM_EXIM) {
        if (line->text_len > SYSLOG_TEXT_MAX)
            return false;
        at = skip_stamp(at, limit);
    }
    at = skip_pid(&pid, at, limit);
    enum opening opening = lex_opening(&at, limit);
    /* The address could be in the half that is missing. */
    if (opening == OPENS_OTHER || half)
        return false;
    memset(out, 0, sizeof *out);
    out->kind = GV_KIND_UNSPECIFIED;
    out->service = GV_SERVICE_SMTP;
    out->open_end = line->program == GV_PROGRAM_EXIM; /* its own log is cut by nobody */
    out->session = pid;
    switch (opening) {
    case OPENS_FAILED:
        return parse_failed(out, at, limit);
    case OPENS_PROTOCOL:
    case OPENS_SYNTAX:
        /* From the command on: its quotation mark is part of the frame. */
        return parse_complaint(out, opening, at - 1, limit);
    case OPENS_MAIL:
        return parse_mail(out, at, limit);
    default:
        return parse_no_mail(out, at, limit);
    }
}
