#include "node/ingest/line.h"

#include <string.h>

#include "node/ingest/words.h"

/* Skips "<22>" (a syslog socket's, or RFC 5424's with its version behind it). Returns its length,
 * 0 when there is none. */
static size_t priority_length(const char *line, size_t len)
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

/* 0x0f for each digit. */
static uint64_t digits_of(uint64_t word)
{
    uint64_t others = gv_no_digits(word) >> 4; /* a digit: 0; at most 15 */

    return (~(others + GV_EACH(0x0fu)) >> 4 & GV_EACH(1u)) * 0x0f;
}

static void remember(struct gv_line_prefix *last, const struct gv_line *out, const char *line,
                     size_t sender, size_t at)
{
    last->len = 0;
    if (at > GV_LINE_PREFIX_MAX || out->stamp.text != line)
        return;
    last->len = (uint8_t)at;
    last->words = (uint8_t)((at + 7) / 8);
    for (size_t i = 0; i < last->words; i++) {
        last->text[i] = gv_load8(line + (i == 0 ? at - 8 : 8 * (i - 1)));
        last->digits[i] = digits_of(last->text[i]);
    }
    last->sender = (uint8_t)sender;
    last->stamp = out->stamp;
}

/* Not zero where eight bytes are not those of a word but for its digits. */
static uint64_t differs(const struct gv_line_prefix *last, size_t i, const char *at)
{
    uint64_t word = gv_load8(at), digits = last->digits[i];

    return ((word ^ last->text[i]) & ~digits) | (((word & digits) + GV_EACH(6u)) & GV_EACH(0x10u));
}

/* Whether the line has the prefix of the last one, or one that differs in digits: what is a stamp
 * or a host, and where it ends, hangs on which of its bytes are digits, not on what they are. */
static bool remembered(const struct gv_line_prefix *last, const char *line, size_t len)
{
    if (last->len == 0 || len <= last->len)
        return false;
    uint64_t wrong = differs(last, 0, line + last->len - 8);
    for (size_t i = 1; i < last->words; i++)
        wrong |= differs(last, i, line + 8 * (i - 1));
    return wrong == 0;
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

static bool take_known_tag(struct gv_line *out, const char *line, size_t len, size_t at,
                           size_t sender)
{
    return at < len && take_tag(out, line, len, at, sender) && out->program != GV_PROGRAM_OTHER &&
           is_name(out->tag, out->tag_len);
}

/* Behind "2026-11-22 02:36:17 ", the stamp of Exim's own log. Exim's lines go on with a word of its
 * own and, a little later, with words that a client chose ("H=(a postfix/smtpd: ..."), so here host
 * and program must look like that, and Exim is what is left. No prefix to remember: it has no host.
 */
static bool split_blank(struct gv_line *out, const char *line, size_t len, size_t at)
{
    size_t next = at, word_len;
    const char *word;

    if (!next_word(line, len, &next, &word, &word_len))
        return false;
    if (take_known_tag(out, line, len, at, at) ||
        (is_host(word, word_len) && take_known_tag(out, line, len, next, at)) ||
        take_plain(out, line, len, at))
        return true;
    out->program = GV_PROGRAM_EXIM_PLAIN;
    out->tag = out->sender = out->text = line + at;
    out->tag_len = out->sender_len = 0;
    out->has_pid = false;
    out->text_len = len - at;
    return true;
}

__attribute__((noinline)) static bool split_anew(struct gv_line *out, struct gv_line_prefix *last,
                                                 const char *line, size_t len)
{
    size_t at = priority_length(line, len);

    if (at > 0 && len - at > 2 && line[at] == '1' && line[at + 1] == ' ')
        return split_rfc5424(out, line, len, at + 2) && out->program != GV_PROGRAM_OTHER;
    if (!gv_stamp_find(&out->stamp, line + at, len - at))
        return false;
    at += out->stamp.len + 1u;
    size_t sender = at;
    if (out->stamp.form == GV_STAMP_ISO && out->stamp.text[10] == ' ')
        return split_blank(out, line, len, at);
    const char *space = memchr(line + at, ' ', len - at);
    if (!space || space == line + at)
        return false;
    if (space[-1] != ':') {
        /* No colon behind the first word: a host, or "auth(a user with spaces". */
        if (take_plain(out, line, len, at))
            return true;
        at = (size_t)(space - line) + 1;
        remember(last, out, line, sender, at);
        return at < len && take_tag(out, line, len, at, sender) && out->program != GV_PROGRAM_OTHER;
    }
    if (take_tag(out, line, len, at, sender) && out->program != GV_PROGRAM_OTHER)
        return true;
    return take_plain(out, line, len, at);
}

bool gv_line_split(struct gv_line *out, struct gv_line_prefix *last, const char *line, size_t len)
{
    out->process = GV_MAIL_PROGRAM_OTHER;
    out->mail = last->mail;
    if (!remembered(last, line, len))
        return split_anew(out, last, line, len);
    out->stamp = last->stamp;
    out->stamp.text = line;
    return take_tag(out, line, len, last->len, last->sender) && out->program != GV_PROGRAM_OTHER;
}
