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
    GV_PROGRAM_CYRUS,         /* "cyrus/NAME", or a service's or program's name alone */
    GV_PROGRAM_SASLAUTHD,
    GV_PROGRAM_COURIER,
    GV_PROGRAM_MAILBOX /* "imapd", "pop3d": Courier, Cyrus, or something else */
};

/* Borrows from the line. */
struct gv_line {
    struct gv_stamp stamp;
    enum gv_program program;
    const char *tag; /* the program with its service name, without the pid */
    size_t tag_len;
    const char *sender; /* host, program and pid: who wrote this, for telling connections apart */
    size_t sender_len;
    bool has_pid;
    const char *text; /* what the program said */
    size_t text_len;
};

/* The stamp and host of the last line: neighbours mostly share them to the byte. */
#define GV_PREFIX_MAX 120
struct gv_prefix {
    char text[GV_PREFIX_MAX];
    uint8_t len; /* up to the program; 0: none */
    uint8_t sender;
    struct gv_stamp stamp;
};

/* True when the line has a prefix of a known form and comes from a program that is of interest.
 * `last`: all zero at first, then kept. */
bool gv_line_split(struct gv_line *out, struct gv_prefix *last, const char *line, size_t len);

/* Cyrus, saslauthd or Courier by the tag without its pid; GV_PROGRAM_OTHER when it is none. */
enum gv_program gv_program_of_mailbox(const char *tag, size_t len);

#endif
