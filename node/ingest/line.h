/* The fixed prefix of a log line: stamp, host, program, pid. Everything that an attacker can choose
 * stands behind it, so it is read from the line's first byte on and never searched for. */
#ifndef GV_INGEST_LINE_H
#define GV_INGEST_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/ingest/timestamp.h"

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
    bool mail; /* of the prefix */
    enum gv_program program;
    enum gv_mail_program process;
    const char *tag; /* the program with its service name, without the pid */
    size_t tag_len;
    const char *sender; /* host, program and pid: who wrote this, for telling connections apart */
    size_t sender_len;
    bool has_pid;
    const char *text; /* what the program said */
    size_t text_len;
};

/* The stamp and host of the last line: neighbours mostly share them, but for digits. In words of
 * eight bytes: first the last eight, then all from the beginning on. */
#define GV_LINE_PREFIX_MAX 120
struct gv_line_prefix {
    bool mail;   /* the caller's: whether GV_PROGRAM_POSTFIX is of interest */
    uint8_t len; /* up to the program; 0: none */
    uint8_t sender;
    uint8_t words;
    uint64_t text[GV_LINE_PREFIX_MAX / 8];
    uint64_t digits[GV_LINE_PREFIX_MAX / 8]; /* 0x0f for each byte that may be any digit */
    struct gv_stamp stamp;
};

/* True when the line has a prefix of a known form and comes from a program that is of interest.
 * `last`: all zero at first, then kept. */
bool gv_line_split(struct gv_line *out, struct gv_line_prefix *last, const char *line, size_t len);

/* Cyrus, saslauthd or Courier by the tag without its pid; GV_PROGRAM_OTHER when it is none. */
enum gv_program gv_program_of_mailbox(const char *tag, size_t len);

#endif
