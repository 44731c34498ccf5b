/* Postfix's queue ids and what its programs say of them (log_adhoc.c, smtpd.c, smtpd_check.c,
 * cleanup_message.c, cleanup_milter.c, postscreen*.c, pickup.c, qmgr_*.c, postsuper.c of 3.7). The
 * lexers see only words that Postfix chose; what others chose is stepped over by its bounds. */
#include "node/ingest/parse_mail_flow.h"

#include <string.h>

#include "node/ingest/words.h"

#define HAS(at, limit, literal)                                                                    \
    ((size_t)((limit) - (at)) >= sizeof(literal) - 1 &&                                            \
     memcmp((at), (literal), sizeof(literal) - 1) == 0)
#define ENDS(at, limit, literal)                                                                   \
    ((size_t)((limit) - (at)) >= sizeof(literal) - 1 &&                                            \
     memcmp((limit) - (sizeof(literal) - 1), (literal), sizeof(literal) - 1) == 0)

/* The end of the text reads as NUL, which no rule takes. */
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

/* By the name behind the last slash; the slash is looked for where it would stand. */
enum gv_mail_program gv_mail_program(const char *tag, size_t len)
{
    const char *end = tag + len;

    if (len < 12) /* "postfix/qmgr" */
        return GV_MAIL_PROGRAM_OTHER;
#define IS(literal) (memcmp(end - (sizeof(literal) - 1), (literal), sizeof(literal) - 1) == 0)
    if (end[-5] == '/')
        return IS("qmgr")                 ? GV_MAIL_PROGRAM_QMGR
               : IS("smtp") || IS("lmtp") ? GV_MAIL_PROGRAM_AGENT
               : IS("pipe")               ? GV_MAIL_PROGRAM_PIPE
                                          : GV_MAIL_PROGRAM_OTHER;
    if (end[-8] == '/')
        return IS("cleanup")                      ? GV_MAIL_PROGRAM_CLEANUP
               : IS("virtual") || IS("discard") ? GV_MAIL_PROGRAM_AGENT
                                                : GV_MAIL_PROGRAM_OTHER;
    if (end[-6] == '/')
        return IS("smtpd")                    ? GV_MAIL_PROGRAM_SMTPD
               : IS("local")                  ? GV_MAIL_PROGRAM_LOCAL
               : IS("error") || IS("retry") ? GV_MAIL_PROGRAM_AGENT
               : IS("nqmgr")                  ? GV_MAIL_PROGRAM_QMGR
                                              : GV_MAIL_PROGRAM_OTHER;
    if (end[-7] == '/')
        return IS("pickup") ? GV_MAIL_PROGRAM_PICKUP : GV_MAIL_PROGRAM_OTHER;
    if (end[-10] == '/')
        return IS("postsuper") ? GV_MAIL_PROGRAM_POSTSUPER : GV_MAIL_PROGRAM_OTHER;
    if (end[-11] == '/')
        return IS("postscreen") ? GV_MAIL_PROGRAM_POSTSCREEN : GV_MAIL_PROGRAM_OTHER;
    return GV_MAIL_PROGRAM_OTHER;
#undef IS
}

/* --- Queue ids, eight bytes at a time: every line has one ------------------------------------- */

#define EACH(byte) (0x0101010101010101u * (byte))

/* Where the first ':' of a word is, in bits from its first byte; 64 when it has none. */
static unsigned colon_in(uint64_t word)
{
    uint64_t other = word ^ EACH(':');
    uint64_t found = (other - EACH(1u)) & ~other & EACH(0x80u);

    return found ? (unsigned)__builtin_ctzll(found) - 7 : 64;
}

static uint64_t first_bits(uint64_t word, unsigned bits)
{
    return bits ? word & ~UINT64_C(0) >> (64 - bits) : 0;
}

/* Its length, 0 when no ':' ends it; what stands behind it becomes zero. */
static size_t cut_at_colon(struct gv_queue_id *id)
{
    unsigned bits = colon_in(id->words[0]);

    if (bits < 64) {
        id->words[0] = first_bits(id->words[0], bits);
        id->words[1] = id->words[2] = 0;
        return bits / 8;
    }
    if ((bits = colon_in(id->words[1])) < 64) {
        id->words[1] = first_bits(id->words[1], bits);
        id->words[2] = 0;
        return 8 + bits / 8;
    }
    bits = colon_in(id->words[2]);
    id->words[2] = first_bits(id->words[2], bits);
    return bits < 64 ? 16 + bits / 8 : 0;
}

/* Takes "QUEUEID: " or "NOQUEUE: " (none). An id begins with a digit or a capital (the long form
 * with a digit until 2090), and no sentence of Postfix goes on like that; the rest of it need not
 * be looked at, as nobody else has a word so early in the line. */
static bool take_id(struct gv_queue_id *id, const char **at, const char *limit)
{
    const char *text = *at;
    size_t have = (size_t)(limit - text);

    if (have < 7 || !(gv_is_digit(text[0]) || (text[0] >= 'A' && text[0] <= 'Z')))
        return false;
    if (have >= sizeof *id) {
        memcpy(id, text, sizeof *id);
    } else {
        memset(id, 0, sizeof *id);
        memcpy(id, text, have);
    }
    size_t len = cut_at_colon(id);
    if (len < 4 || have < len + 3 || text[len + 1] != ' ')
        return false;
    *at = text + len + 2;
    if (len == 7 && memcmp(text, "NOQUEUE", 7) == 0)
        id->words[0] = 0;
    return true;
}

/* An id that somebody reports, of `len` bytes. */
static void copy_id(struct gv_queue_id *id, const char *at, size_t len)
{
    memset(id, 0, sizeof *id);
    if (len < sizeof *id)
        memcpy(id, at, len);
}

/* Behind the last sign that is no digit. */
static const char *digits_before(const char *at, const char *end)
{
    while (end > at && gv_is_digit(end[-1]))
        end--;
    return end;
}

/* "from=<SENDER>, size=N, nrcpt=N (queue active)". The sender may hold all of that, so it is read
 * backwards. */
static bool parse_active(struct gv_mail_parsed *out, const char *at, const char *limit)
{
    const char *end = limit - (sizeof " (queue active)" - 1);
    const char *number = digits_before(at, end);

    if (number == end || !ENDS(at, number, ", nrcpt="))
        return false;
    end = number - (sizeof ", nrcpt=" - 1);
    number = digits_before(at, end);
    if (number == end || end - number > 18 || !ENDS(at, number, ">, size="))
        return false;
    for (out->size = 0; number < end; number++)
        out->size = 10 * out->size + (uint64_t)(*number - '0');
    out->said = GV_MAIL_SAID_ACTIVE;
    return true;
}

/* The same, or "from=<SENDER>, status=expired, returned to sender", or "removed". */
static bool parse_qmgr(struct gv_mail_parsed *out, const char *at, const char *limit)
{
    if (limit - at == 7 && memcmp(at, "removed", 7) == 0) {
        out->said = GV_MAIL_SAID_REMOVED;
        return true;
    }
    if (!HAS(at, limit, "from=<"))
        return false;
    at += sizeof "from=<" - 1;
    if (ENDS(at, limit, " (queue active)"))
        return parse_active(out, at, limit);
    out->said = GV_MAIL_SAID_EXPIRED;
    return ENDS(at, limit, ">, status=expired, returned to sender") ||
           ENDS(at, limit, ">, status=force-expired, returned to sender");
}

/* What stands behind "status=" in log_adhoc's lines. */
static enum gv_mail_said lex_status(const char **at, const char *limit)
{
    const char *cur = *at;
    const char *mark = cur;
    enum gv_mail_said found;

    if (cur == limit)
        return GV_MAIL_SAID_NOTHING;
    /*!re2c
        "sent ("                 { found = GV_MAIL_SAID_SENT; goto done; }
        "deferred (" | "SOFTBOUNCE (" { found = GV_MAIL_SAID_DEFERRED; goto done; }
        "bounced ("              { found = GV_MAIL_SAID_BOUNCED; goto done; }
        *                        { return GV_MAIL_SAID_NOTHING; }
    */
done:
    *at = cur;
    return found;
}

/* Behind "<" of an address: behind its ">". A local part with special characters is quoted
 * (info_log_addr_form = external, Postfix's default), so a ">" inside is not the end. */
static const char *skip_address(const char *at, const char *limit)
{
    if (at < limit && *at == '"') {
        for (at++; at < limit && *at != '"'; at++)
            if (*at == '\\')
                at++;
        if (at >= limit)
            return NULL;
    }
    at = memchr(at, '>', (size_t)(limit - at));
    return at ? at + 1 : NULL;
}

/* "name[127.0.0.1]:10024", "name[::1]:24", "name[private/scan]"; not "local" or "none". */
static bool local_relay(const char *at, const char *end)
{
    const char *open = memchr(at, '[', (size_t)(end - at));

    if (!open)
        return false;
    open++;
    if (HAS(open, end, "127.") || HAS(open, end, "::1]"))
        return true;
    return memchr(open, '/', (size_t)(end - open)) != NULL;
}

struct gv_queue_id gv_mail_queued_as(const struct gv_span *reply)
{
    struct gv_queue_id out = {{0}};

    if (reply->len < 2)
        return out;
    const char *at = reply->at, *end = at + reply->len - 1, *from = at;
    if (*end != ')')
        return out;
    if (end - at > GV_QUEUE_ID_MAX)
        from = end - GV_QUEUE_ID_MAX - 1;
    const char *space = memrchr(from, ' ', (size_t)(end - from));
    if (!space || !ENDS(at, space + 1, "queued as "))
        return out;
    for (const char *id = space + 1; id < end; id++)
        if (!gv_is_digit(*id) && !(*id >= 'A' && *id <= 'Z') && !(*id >= 'a' && *id <= 'z'))
            return out;
    copy_id(&out, space + 1, (size_t)(end - space - 1));
    return out;
}

/* "to=<ADDR>, [orig_to=<ADDR>, ]relay=WHO, [conn_use=N, ]delay=S, delays=..., dsn=..., status=WORD
 * (REPLY)". The addresses come first and are stepped over by their bounds; from relay= to status=
 * all words are Postfix's; the reply comes last, and only a filter's on this host is looked at. */
static bool parse_delivery(struct gv_mail_parsed *out, const char *at, const char *limit,
                           enum gv_mail_program program, bool smtp)
{
    if (!HAS(at, limit, "to=<") || !(at = skip_address(at + 4, limit)))
        return false;
    if (HAS(at, limit, ", orig_to=<") && !(at = skip_address(at + 11, limit)))
        return false;
    if (!HAS(at, limit, ", relay="))
        return false;
    const char *relay = at + 8;
    const char *comma = memchr(relay, ',', (size_t)(limit - relay));
    /* ", delay=S, delays=...": the first 't' is that of ", status=". */
    at = comma ? memchr(comma, 't', (size_t)(limit - comma)) : NULL;
    if (!at || at - comma < 3 || !HAS(at - 3, limit, ", status="))
        return false;
    at += 6;
    out->said = (uint8_t)lex_status(&at, limit);
    out->reply = (struct gv_span){NULL, 0};
    switch (out->said) {
    case GV_MAIL_SAID_SENT:
        if (program == GV_MAIL_PROGRAM_LOCAL && HAS(at, limit, "forwarded as "))
            out->said = GV_MAIL_SAID_FORWARDED;
        else if (program == GV_MAIL_PROGRAM_PIPE && HAS(at, limit, "delivered via "))
            out->said = GV_MAIL_SAID_PIPED;
        else if (program == GV_MAIL_PROGRAM_AGENT) {
            out->local = local_relay(relay, comma);
            out->outgoing = smtp && !out->local;
            out->reply = (struct gv_span){at, (size_t)(limit - at)};
        }
        return true;
    case GV_MAIL_SAID_BOUNCED:
        out->outgoing = smtp && !local_relay(relay, comma);
        return true;
    case GV_MAIL_SAID_DEFERRED: {
        const char *delay = gv_find(comma, at, ", delay=");
        for (delay = delay ? delay + 8 : at; gv_is_digit(*delay) && out->delay_s < 100000000;
             delay++)
            out->delay_s = 10 * out->delay_s + (uint64_t)(*delay - '0');
        return true;
    }
    default:
        return out->said != GV_MAIL_SAID_NOTHING;
    }
}

/* The word in front of ": PLACE from ", of smtpd, postscreen and cleanup. */
static enum gv_mail_said lex_action(const char *cur, const char *limit, bool cleanup)
{
    const char *mark = cur;

    if (cur == limit)
        return GV_MAIL_SAID_NOTHING;
    /*!re2c
        ("milter-" | "proxy-")? "reject: "     { return GV_MAIL_SAID_REJECT; }
        "reject_warning: "                     { return GV_MAIL_SAID_WARNING; }
        "warning: "            { return cleanup ? GV_MAIL_SAID_WARNING : GV_MAIL_SAID_NOTHING; }
        "milter-"? "hold: "                    { return GV_MAIL_SAID_HOLD; }
        "milter-"? "discard: "                 { return GV_MAIL_SAID_DISCARD; }
        *                                      { return GV_MAIL_SAID_NOTHING; }
    */
}

/* "client=NAME[ADDR][:PORT][, orig_queue_id=ID, ...]". XFORWARD, which makes the latter, is taken
 * only from hosts that the admin named; behind a SASL user name it would be anybody's word. */
static bool parse_client(struct gv_mail_parsed *out, const char *at, const char *limit)
{
    const char *end = memchr(at, ',', (size_t)(limit - at));
    const char *stop = end ? end : limit;
    const char *open = memrchr(at, '[', (size_t)(stop - at));

    /* Behind a proxy filter the message comes a second time, with an id; that is the one. */
    if (!gv_queue_id_given(&out->id) || !open)
        return false;
    out->said = GV_MAIL_SAID_CLIENT;
    out->local = HAS(open, stop, "[127.") || HAS(open, stop, "[::1]");
    if (end && HAS(end, limit, ", orig_queue_id=")) {
        end += sizeof ", orig_queue_id=" - 1;
        const char *comma = memchr(end, ',', (size_t)(limit - end));
        copy_id(&out->other, end, (size_t)((comma ? comma : limit) - end));
    }
    return true;
}

static bool parse_smtpd(struct gv_mail_parsed *out, const char *at, const char *limit)
{
    if (HAS(at, limit, "client="))
        return parse_client(out, at + 7, limit);
    out->said = (uint8_t)lex_action(at, limit, false);
    return out->said != GV_MAIL_SAID_NOTHING;
}

static bool parse_cleanup(struct gv_mail_parsed *out, const char *at, const char *limit)
{
    if (HAS(at, limit, "message-id=")) /* as nearly always */
        return false;
    out->said = (uint8_t)lex_action(at, limit, true);
    out->content = true;
    return out->said != GV_MAIL_SAID_NOTHING;
}

static bool parse_postsuper(struct gv_mail_parsed *out, const char *at, const char *limit)
{
    const char *cur = at;
    const char *mark = cur;

    if (cur == limit || !gv_queue_id_given(&out->id))
        return false;
    /*!re2c
        "removed" | "requeued"   { out->said = GV_MAIL_SAID_REMOVED; return cur == limit; }
        "placed on hold"         { out->said = GV_MAIL_SAID_SHELVED; return cur == limit; }
        *                        { return false; }
    */
}

static bool parse_pickup(struct gv_mail_parsed *out, const char *at, const char *limit)
{
    if (!gv_queue_id_given(&out->id) || !(HAS(at, limit, "uid=") || HAS(at, limit, "sender=")))
        return false;
    /* "from=<SENDER>" ends the line, or " orig_id=QUEUEID" behind it. */
    out->said = limit[-1] == '>' ? GV_MAIL_SAID_PICKUP : GV_MAIL_SAID_REQUEUED;
    return true;
}

bool gv_parse_mail_flow(struct gv_mail_parsed *out, const struct gv_line *line)
{
    const char *at = line->text, *limit = at + line->text_len;

    if (!take_id(&out->id, &at, limit)) {
        /* postscreen, out of processes: the one refusal without "NOQUEUE". */
        if (line->process != GV_MAIL_PROGRAM_POSTSCREEN || !HAS(at, limit, "reject: connect from "))
            return false;
        memset(out, 0, sizeof *out);
        out->said = GV_MAIL_SAID_REJECT;
        return true;
    }
    out->said = GV_MAIL_SAID_NOTHING;
    out->local = out->content = out->outgoing = false;
    out->delay_s = 0;
    out->other.words[0] = 0;
    switch (line->process) {
    case GV_MAIL_PROGRAM_SMTPD:
        return parse_smtpd(out, at, limit);
    case GV_MAIL_PROGRAM_POSTSCREEN:
        out->said = (uint8_t)lex_action(at, limit, false);
        return out->said == GV_MAIL_SAID_REJECT;
    case GV_MAIL_PROGRAM_PICKUP:
        return parse_pickup(out, at, limit);
    case GV_MAIL_PROGRAM_POSTSUPER:
        return parse_postsuper(out, at, limit);
    default:
        break;
    }
    if (!gv_queue_id_given(&out->id))
        return false;
    if (*at == 't') /* any of them may settle a recipient */
        return parse_delivery(out, at, limit, line->process,
                              line->process == GV_MAIL_PROGRAM_AGENT &&
                                  memcmp(line->tag + line->tag_len - 5, "/smtp", 5) == 0);
    if (line->process == GV_MAIL_PROGRAM_QMGR)
        return parse_qmgr(out, at, limit);
    return line->process == GV_MAIL_PROGRAM_CLEANUP && parse_cleanup(out, at, limit);
}
