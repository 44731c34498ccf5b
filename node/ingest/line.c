#include "node/ingest/line.h"

#include <string.h>

#include "node/ingest/words.h"

size_t gv_line_priority(const char *line, size_t len)
{
    size_t at = 1;

    if (len < 3 || line[0] != '<')
        return 0;
    while (at < len && at < 5 && gv_is_digit(line[at]))
        at++;
    return at > 1 && at < len && line[at] == '>' ? at + 1 : 0;
}

/* The processes that Dovecot's own log file names without "dovecot:". */
static bool dovecot_process(const char *tag, size_t len)
{
    return (len > 6 && gv_ends(tag, tag + len, "-login")) || gv_begins(tag, tag + len, "auth");
}

/* Sendmail is called as its option -L says: Debian and FreeBSD have "sm-mta". */
static bool is_sendmail(const char *tag, size_t len)
{
    return (len == 8 && memcmp(tag, "sendmail", 8) == 0) || gv_begins(tag, tag + len, "sm-mta") ||
           gv_begins(tag, tag + len, "sm-msa");
}

GV_INLINE enum gv_program classify(const char *tag, size_t len)
{
    if (len == 7 && memcmp(tag, "dovecot", 7) == 0)
        return GV_PROGRAM_DOVECOT;
    if (len > 6 && gv_ends(tag, tag + len, "/smtpd"))
        return GV_PROGRAM_SMTPD;
    if (gv_begins(tag, tag + len, "postfix/"))
        return GV_PROGRAM_OTHER; /* most lines; none of those below begins so */
    if (len > 0 && tag[0] == 's' && is_sendmail(tag, len))
        return GV_PROGRAM_SENDMAIL;
    if (gv_begins(tag, tag + len, "exim") && (len == 4 || (len == 5 && tag[4] == '4')))
        return GV_PROGRAM_EXIM;
    return gv_program_of_mailbox(tag, len);
}

/* Who wrote the line, by its tag. */
GV_INLINE void name_program(struct gv_line *out)
{
    out->program = classify(out->tag, out->tag_len);
    if (out->program == GV_PROGRAM_SMTPD) {
        out->process = GV_MAIL_PROGRAM_SMTPD;
    } else if (out->mail && out->program == GV_PROGRAM_OTHER) {
        out->process = gv_mail_program(out->tag, out->tag_len);
        if (out->process != GV_MAIL_PROGRAM_OTHER)
            out->program = GV_PROGRAM_POSTFIX;
    }
}

/* How many digits stand in front of `end`. Before `start` there is a stamp, so eight bytes can be
 * read; few pids have more digits. */
GV_INLINE size_t digits_before(const char *start, const char *end)
{
    uint64_t others = gv_no_digits(gv_load8(end - 8));
    size_t n = others ? (size_t)__builtin_clzll(others) / 8 : 8;

    if (n < 8)
        return n;
    while (end - n > start && gv_is_digit(end[-1 - (ptrdiff_t)n]))
        n++;
    return n;
}

/* Cuts "[123]" off a tag; returns the length without it. */
GV_INLINE size_t without_pid(const char *tag, size_t len, bool *has_pid)
{
    *has_pid = false;
    if (len < 3 || tag[len - 1] != ']')
        return len;
    size_t digits = digits_before(tag, tag + len - 1);
    if (digits == 0 || digits + 2 > len || tag[len - 2 - digits] != '[')
        return len;
    *has_pid = true;
    return len - 2 - digits;
}

/* The first blank; nearly always one of the first 24 bytes. */
GV_INLINE const char *find_blank(const char *at, size_t len)
{
    if (len < 24)
        return memchr(at, ' ', len);
    uint64_t blanks = gv_zeros(gv_load8(at) ^ GV_EACH(' '));
    if (!blanks)
        blanks = gv_zeros(gv_load8(at += 8) ^ GV_EACH(' '));
    if (!blanks)
        blanks = gv_zeros(gv_load8(at += 8) ^ GV_EACH(' '));
    return blanks ? at + __builtin_ctzll(blanks) / 8 : memchr(at + 8, ' ', len - 24);
}

/* "tag: text" or "tag[pid]: text" at `at`. */
GV_INLINE bool take_tag(struct gv_line *out, const char *line, size_t len, size_t at, size_t sender)
{
    const char *tag = line + at;
    const char *space = find_blank(tag, len - at);

    if (!space || space == tag || space[-1] != ':')
        return false;
    size_t tag_len = (size_t)(space - tag) - 1;
    out->sender = line + sender;
    out->sender_len = at + tag_len - sender;
    out->tag = tag;
    out->tag_len = without_pid(tag, tag_len, &out->has_pid);
    name_program(out);
    out->text = space + 1;
    out->text_len = len - (size_t)(out->text - line);
    return true;
}

/* Dovecot's own file has neither host nor "dovecot:", and its auth prefix holds the user name, so
 * the tag is not cut there: the whole rest is the text. */
static bool take_plain(struct gv_line *out, const char *line, size_t len, size_t at)
{
    const char *text = line + at;
    size_t rest = len - at;
    size_t n = 0;

    while (n < rest &&
           ((text[n] >= 'a' && text[n] <= 'z') || text[n] == '-' || gv_is_digit(text[n])))
        n++;
    if (n == rest || (text[n] != ':' && text[n] != '(') || !dovecot_process(text, n))
        return false;
    out->program = GV_PROGRAM_DOVECOT_PLAIN;
    out->tag = text;
    out->tag_len = n;
    out->sender = text;
    out->sender_len = n;
    out->has_pid = false;
    out->text = text;
    out->text_len = rest;
    return true;
}

/* The next word and the space behind it; false at the end of the line. */
static bool next_word(const char *line, size_t len, size_t *at, const char **word, size_t *word_len)
{
    const char *start = line + *at;
    const char *space = *at < len ? memchr(start, ' ', len - *at) : NULL;

    if (!space || space == start)
        return false;
    *word = start;
    *word_len = (size_t)(space - start);
    *at += *word_len + 1;
    return true;
}

/* RFC 5424 6.3: "-" or "[id name="value"]...", where a value escapes ']' with a backslash. */
static bool skip_structured_data(const char *line, size_t len, size_t *at)
{
    size_t i = *at;

    if (i < len && line[i] == '-') {
        i++;
    } else {
        while (i < len && line[i] == '[') {
            bool quoted = false;
            for (i++; i < len && (quoted || line[i] != ']'); i++) {
                if (line[i] == '"')
                    quoted = !quoted;
                else if (quoted && line[i] == '\\')
                    i++;
            }
            if (i >= len)
                return false;
            i++;
        }
        if (i == *at)
            return false;
    }
    if (i < len && line[i] == ' ')
        i++;
    else if (i != len)
        return false;
    if (len - i >= 3 && memcmp(line + i, "\xef\xbb\xbf", 3) == 0)
        i += 3; /* the byte order mark that says UTF-8 */
    *at = i;
    return true;
}

static bool split_rfc5424(struct gv_line *out, const char *line, size_t len, size_t at)
{
    const char *word;
    size_t word_len;

    if (len - at > 2 && line[at] == '-' && line[at + 1] == ' ')
        out->stamp = (struct gv_stamp){.text = line + at, .len = 1, .form = GV_STAMP_NONE};
    else if (!gv_stamp_find(&out->stamp, line + at, len - at) || out->stamp.form != GV_STAMP_ISO)
        return false;
    at += out->stamp.len + 1u;
    size_t sender = at;
    if (!next_word(line, len, &at, &word, &word_len) ||
        !next_word(line, len, &at, &out->tag, &out->tag_len) ||
        !next_word(line, len, &at, &word, &word_len))
        return false;
    out->has_pid = !(word_len == 1 && word[0] == '-');
    out->sender = line + sender;
    out->sender_len = at - 1 - sender;
    if (!next_word(line, len, &at, &word, &word_len) || !skip_structured_data(line, len, &at))
        return false;
    name_program(out);
    out->text = line + at;
    out->text_len = len - at;
    return true;
}

static void remember(struct gv_line_prefix *last, const struct gv_line *out, const char *line,
                     size_t sender, size_t at)
{
    last->len = 0;
    if (at > GV_LINE_PREFIX_MAX || out->stamp.text != line)
        return;
    last->len = (uint8_t)at;
    last->chunks = (uint8_t)((at + sizeof(gv_chunk) - 1) / sizeof(gv_chunk));
    for (size_t i = 0; i < last->chunks; i++) {
        const char *chunk = line + (i == 0 ? at - sizeof(gv_chunk) : sizeof(gv_chunk) * (i - 1));
        last->text[i] = gv_load_chunk(chunk);
        for (size_t j = 0; j < sizeof(gv_chunk); j++)
            last->digits[i][j] = gv_is_digit(chunk[j]) ? 0x0f : 0;
    }
    last->sender = (uint8_t)sender;
    last->host = out->host_len > 0 ? (uint8_t)(out->host - line) : 0;
    last->host_len = (uint8_t)out->host_len;
    last->stamp = out->stamp;
}

/* A host's or a program's name. */
static bool is_name(const char *word, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = word[i];
        if (!gv_is_digit(c) && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
            (c == '\0' || !strchr(".:-_/", c)))
            return false;
    }
    return true;
}

/* "ETRN" is no host: "ETRN %s received from %s" is the one line of Exim in which the second word is
 * the client's and the first looks like a host. */
static bool is_host(const char *word, size_t len)
{
    return is_name(word, len) && !(len == 4 && memcmp(word, "ETRN", 4) == 0);
}

/* "mail.info " of busybox's syslogd behind the host, "<mail.info> " of FreeBSD's (-v) in front of
 * it; its length, or 0. */
size_t gv_line_level(const char *at, const char *limit)
{
    static const char *const levels[] = {"emerg", "panic", "alert", "crit",   "err",    "error",
                                         "warn",  "info",  "debug", "notice", "warning"};
    const char *end = at, *open = at < limit && *at == '<' ? at + 1 : at;

    while (end < limit && end - at < 24 && *end != ' ')
        end++;
    if (end == limit || *end != ' ')
        return 0;
    size_t n = (size_t)(end - at) + 1;
    if (open > at && *--end != '>')
        return 0;
    const char *dot = memchr(open, '.', (size_t)(end - open));
    if (!dot || dot == open)
        return 0;
    for (const char *c = open; c < dot; c++)
        if (!gv_is_digit(*c) && !(*c >= 'a' && *c <= 'z'))
            return 0;
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if ((size_t)(end - dot - 1) == strlen(levels[i]) &&
            memcmp(dot + 1, levels[i], strlen(levels[i])) == 0)
            return n;
    return 0;
}

static bool take_known_tag(struct gv_line *out, const char *line, size_t len, size_t at,
                           size_t sender)
{
    return at < len && take_tag(out, line, len, at, sender) && out->program != GV_PROGRAM_OTHER &&
           is_name(out->tag, out->tag_len);
}

/* "1xV26K-000039-0k " in front of what Exim says of a message, or what its daemon says of itself:
 * no other program's line begins so, and none of a client's words. */
static bool is_exims(const char *at, const char *limit)
{
    static const char *const behind[] = {" <= ", " => ", " -> ", " ** ", " == ", " Completed"};

    if (at < limit && *at == '[') { /* log_selector +pid */
        const char *close = memchr(at, ' ', (size_t)(limit - at));
        at = close && close[-1] == ']' ? close + 1 : at;
    }
    const char *space = memchr(at, ' ', (size_t)(limit - at));
    size_t len = space ? (size_t)(space - at) : 0;
    if (gv_begins(at, limit, "Start queue run: pid=") ||
        gv_begins(at, limit, "End queue run: pid=") ||
        (space && gv_begins(space, limit, " authenticator failed for ")))
        return true;
    if ((len != 16 && len != 23) || at[6] != '-' || at[len - (len == 16 ? 3 : 5)] != '-')
        return false;
    for (size_t i = 0; i < len; i++)
        if (at[i] == '_' || !(gv_is_word_char(at[i])))
            return false;
    for (size_t i = 0; i < sizeof behind / sizeof *behind; i++)
        if ((size_t)(limit - space) >= strlen(behind[i]) &&
            memcmp(space, behind[i], strlen(behind[i])) == 0)
            return true;
    return false;
}

/* Behind "2026-11-22 02:36:17 ", the stamp of Exim's own log. Exim's lines go on with a word of its
 * own and, a little later, with words that a client chose ("H=(a postfix/smtpd: ..."), so here host
 * and program must look like that, and Exim is what is left. No prefix to remember: it has no host.
 */
static bool split_blank(struct gv_line *out, struct gv_line_prefix *last, const char *line,
                        size_t len, size_t at)
{
    size_t next = at, word_len;
    const char *word;

    if (!next_word(line, len, &next, &word, &word_len))
        return false;
    last->exim |= is_exims(line + at, line + len);
    if (!last->exim && ((is_host(word, word_len) && take_known_tag(out, line, len, next, at)) ||
                        take_plain(out, line, len, at)))
        return true;
    out->program = GV_PROGRAM_EXIM_PLAIN;
    out->tag = out->sender = out->text = line + at;
    out->tag_len = out->sender_len = 0;
    out->has_pid = false;
    out->text_len = len - at;
    return true;
}

bool gv_line_split_anew(struct gv_line *out, struct gv_line_prefix *last, const char *line,
                        size_t len)
{
    size_t at = gv_line_priority(line, len);

    out->host_len = 0;
    out->process = GV_MAIL_PROGRAM_OTHER;
    out->mail = last->mail;
    if (at > 0 && len - at > 2 && line[at] == '1' && line[at + 1] == ' ')
        return split_rfc5424(out, line, len, at + 2) && out->program != GV_PROGRAM_OTHER;
    if (!gv_stamp_find(&out->stamp, line + at, len - at))
        return false;
    at += out->stamp.len + 1u;
    if (out->stamp.form == GV_STAMP_ISO && out->stamp.text[10] == ' ')
        return split_blank(out, last, line, len, at);
    if (at < len && line[at] == '<')
        at += gv_line_level(line + at, line + len);
    size_t sender = at;
    const char *space = memchr(line + at, ' ', len - at);
    if (!space || space == line + at)
        return false;
    if (space[-1] != ':') {
        /* No colon behind the first word: a host, or "auth(a user with spaces". */
        if (take_plain(out, line, len, at))
            return true;
        at = (size_t)(space - line) + 1;
        size_t level = gv_line_level(line + at, line + len);
        if (level > 0 && line[at] != '<') {
            out->host = line + sender;
            out->host_len = at - 1 - sender;
            at += level;
            sender = at;
        }
        remember(last, out, line, sender, at);
        return at < len && take_tag(out, line, len, at, sender) && out->program != GV_PROGRAM_OTHER;
    }
    if (take_tag(out, line, len, at, sender) && out->program != GV_PROGRAM_OTHER)
        return true;
    return take_plain(out, line, len, at);
}

bool gv_line_split_postfix(struct gv_line *out, const struct gv_line_prefix *last, const char *line,
                           size_t len, const char *text, size_t name, bool smtpd)
{
    const char *tag = line + last->len;

    out->stamp = last->stamp;
    out->stamp.text = line;
    out->mail = last->mail;
    out->tag = tag;
    out->tag_len = sizeof "postfix/" - 1 + name;
    out->process = smtpd ? GV_MAIL_PROGRAM_SMTPD : gv_mail_program(tag, out->tag_len);
    out->program = smtpd ? GV_PROGRAM_SMTPD : GV_PROGRAM_POSTFIX;
    out->sender = line + last->sender;
    out->sender_len = (size_t)(text - 2 - out->sender);
    out->host = line + last->host;
    out->host_len = last->host_len;
    out->has_pid = true;
    out->text = text;
    out->text_len = len - (size_t)(text - line);
    return out->process != GV_MAIL_PROGRAM_OTHER;
}

bool gv_line_split_known(struct gv_line *out, struct gv_line_prefix *last, const char *line,
                         size_t len)
{
    out->process = GV_MAIL_PROGRAM_OTHER;
    out->host = line + last->host;
    out->host_len = last->host_len;
    out->mail = last->mail;
    out->stamp = last->stamp;
    out->stamp.text = line;
    if (take_tag(out, line, len, last->len, last->sender))
        return out->program != GV_PROGRAM_OTHER;
    /* Another syslogd may write now, with a level behind the same host. */
    return gv_line_level(line + last->len, line + len) > 0 &&
           gv_line_split_anew(out, last, line, len);
}

void gv_line_tame(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
            text[i] = '?';
}
