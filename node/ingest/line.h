/* The fixed prefix of a log line: stamp, host, program, pid. Everything that an attacker can choose
 * stands behind it, so it is read from the line's first byte on and never searched for. */
#ifndef GV_INGEST_LINE_H
#define GV_INGEST_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/ingest/timestamp.h"
#include "node/ingest/words.h"

enum gv_program {
    GV_PROGRAM_OTHER = 0,
    GV_PROGRAM_SMTPD,         /* Postfix's, under every service name */
    GV_PROGRAM_DOVECOT,       /* "dovecot: imap-login: ..." */
    GV_PROGRAM_DOVECOT_PLAIN, /* Dovecot's own log file: "imap-login: Info: ..." */
    GV_PROGRAM_EXIM,          /* "exim[123]: ..." */
    GV_PROGRAM_EXIM_PLAIN,    /* Exim's own mainlog, which names neither host nor program */
    GV_PROGRAM_SENDMAIL,      /* "sm-mta[123]: ...", "sendmail[123]: ..." */
    GV_PROGRAM_CYRUS,         /* "cyrus/NAME", or a service's or program's name alone */
    GV_PROGRAM_SASLAUTHD,
    GV_PROGRAM_COURIER,
    GV_PROGRAM_MAILBOX, /* "imapd", "pop3d": Courier, Cyrus, or something else */
    GV_PROGRAM_POSTFIX  /* another of Postfix's that handles mail; of interest for counters alone */
};

/* Which of Postfix's programs a tag ("postfix/qmgr", "postfix-out/smtp") names. */
enum gv_mail_program {
    GV_MAIL_PROGRAM_OTHER = 0,
    GV_MAIL_PROGRAM_SMTPD,
    GV_MAIL_PROGRAM_POSTSCREEN,
    GV_MAIL_PROGRAM_PICKUP,
    GV_MAIL_PROGRAM_CLEANUP,
    GV_MAIL_PROGRAM_QMGR,
    GV_MAIL_PROGRAM_AGENT, /* smtp, lmtp, virtual, error, retry, discard, ... */
    GV_MAIL_PROGRAM_LOCAL,
    GV_MAIL_PROGRAM_PIPE,
    GV_MAIL_PROGRAM_POSTSUPER
};
/* In parse_mail_flow.re. */
enum gv_mail_program gv_mail_program(const char *tag, size_t len);

/* Borrows from the line. */
struct gv_line {
    struct gv_stamp stamp;
    bool mail;  /* of the prefix */
    bool whole; /* the caller's: never torn, as no file was in between (the journal) */
    enum gv_program program;
    enum gv_mail_program process;
    const char *tag; /* the program with its service name, without the pid */
    size_t tag_len;
    const char *sender; /* host, program and pid: who wrote this, for telling connections apart */
    size_t sender_len;
    const char *host; /* where a level stands between it and the program: then the sender is without
                       * it, because one process writes at several levels; len 0: not so */
    size_t host_len;
    bool has_pid;
    const char *text; /* what the program said */
    size_t text_len;
};

/* The stamp and host of the last line: neighbours mostly share them, but for digits. In chunks of
 * sixteen bytes: first the last sixteen, then all from the beginning on. */
#define GV_LINE_PREFIX_MAX 112
struct gv_line_prefix {
    gv_chunk text[GV_LINE_PREFIX_MAX / sizeof(gv_chunk)];
    gv_chunk
        digits[GV_LINE_PREFIX_MAX / sizeof(gv_chunk)]; /* 0x0f for each that may be any digit */
    bool mail;   /* the caller's: whether GV_PROGRAM_POSTFIX is of interest */
    bool exim;   /* this is Exim's own log: one of its lines was there */
    uint8_t len; /* up to the program; 0: none */
    uint8_t sender;
    uint8_t host, host_len; /* gv_line's */
    uint8_t chunks;
    struct gv_stamp stamp;
};

/* ---- what is asked of every line ---------------------------------------------------------------
 */

/* Not zero where a chunk is not the remembered one but for its digits. */
GV_INLINE gv_chunk gv_line_differs(const struct gv_line_prefix *last, size_t i, const char *at)
{
    gv_chunk chunk = gv_load_chunk(at), digits = last->digits[i];

    return ((chunk ^ last->text[i]) & ~digits) | (((chunk & digits) + 6) & 0x10);
}

/* Whether the line has the prefix of the last one, or one that differs in digits: what is a stamp
 * or a host, and where it ends, hangs on which of its bytes are digits, not on what they are. It is
 * longer than a chunk, as a stamp is. */
GV_INLINE bool gv_line_remembered(const struct gv_line_prefix *last, const char *line, size_t len)
{
    uint64_t halves[2];

    if (last->len == 0 || len <= last->len)
        return false;
    gv_chunk wrong =
        gv_line_differs(last, 0, line + last->len - sizeof wrong) | gv_line_differs(last, 1, line);
    for (size_t i = 2; i < last->chunks; i++)
        wrong |= gv_line_differs(last, i, line + sizeof wrong * (i - 1));
    memcpy(halves, &wrong, sizeof halves);
    return (halves[0] | halves[1]) == 0;
}

/* What most lines of a log go on with: "postfix/NAME[PID]: ", where NAME is one short word. Returns
 * its length and where the text begins; 0: it is something else. */
GV_INLINE size_t gv_tag_of_postfix(const char **text, const char *tag, size_t len)
{
    if (len < 32 || memcmp(tag, "postfix/", 8) != 0)
        return 0;
    uint64_t name = gv_load8(tag + 8);
    uint64_t open = gv_zeros(name ^ GV_EACH('['));
    uint64_t ends = gv_zeros(name ^ GV_EACH('/')) | gv_zeros(name ^ GV_EACH(' '));
    if (!open || ends & ~open & (open - 1))
        return 0;
    const char *pid = tag + 8 + __builtin_ctzll(open) / 8 + 1;
    uint64_t others = gv_no_digits(gv_load8(pid));
    if (!others || others & 0xff)
        return 0;
    const char *end = pid + __builtin_ctzll(others) / 8;
    *text = end + 3;
    return memcmp(end, "]: ", 3) == 0 ? (size_t)(pid - 1 - (tag + 8)) : 0;
}

/* gv_line_split of a line whose tag is of Postfix as above, of another whose prefix is remembered,
 * and of one whose is not. */
bool gv_line_split_postfix(struct gv_line *out, const struct gv_line_prefix *last, const char *line,
                           size_t len, const char *text, size_t name, bool smtpd);
bool gv_line_split_known(struct gv_line *out, struct gv_line_prefix *last, const char *line,
                         size_t len);
bool gv_line_split_anew(struct gv_line *out, struct gv_line_prefix *last, const char *line,
                        size_t len);

/* True when the line has a prefix of a known form and comes from a program that is of interest.
 * `last`: all zero at first, then kept. */
GV_INLINE bool gv_line_split(struct gv_line *out, struct gv_line_prefix *last, const char *line,
                             size_t len)
{
    const char *tag = line + last->len, *text;

    if (!gv_line_remembered(last, line, len))
        return gv_line_split_anew(out, last, line, len);
    size_t name = gv_tag_of_postfix(&text, tag, len - last->len);
    if (name == 0)
        return gv_line_split_known(out, last, line, len);
    bool smtpd = name == 5 && memcmp(tag + 8, "smtpd", 5) == 0;
    return (smtpd || last->mail) && gv_line_split_postfix(out, last, line, len, text, name, smtpd);
}

/* The length of the "<22>" that a syslog socket's lines begin with; 0: none. */
size_t gv_line_priority(const char *line, size_t len);

/* The length of the level with its blank, "mail.info " or "<mail.info> ", that some syslog daemons
 * put beside the host; 0: there is none. */
size_t gv_line_level(const char *at, const char *limit);

/* Cyrus, saslauthd or Courier by the tag without its pid; GV_PROGRAM_OTHER when it is none. */
enum gv_program gv_program_of_mailbox(const char *tag, size_t len);

/* '?' for every control character, as Postfix writes them: what stands in one line stays one. */
void gv_line_tame(char *text, size_t len);

#endif
