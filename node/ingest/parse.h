/* What one line says, before it is put together with other lines. Everything here borrows from the
 * line. The lexers accept a line only where an attacker's text cannot have made it up. (SPEC 10) */
#ifndef GV_INGEST_PARSE_H
#define GV_INGEST_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "node/ingest/line.h"
#include "proto/ip_address.h"
#include "proto/observation.h"

enum gv_said {
    GV_SAID_NOTHING = 0,
    GV_SAID_CONNECT,    /* Postfix: a connection begins */
    GV_SAID_DISCONNECT, /* Postfix: it ends, perhaps with counts */
    GV_SAID_FAILURE,    /* `attempts` failed */
    GV_SAID_UNNAMED,    /* Sendmail: the same, of a client whose address the line cuts off */
    GV_SAID_CLIENT,     /* Sendmail: who such a client is, and nothing else */
    GV_SAID_MET,        /* Sendmail: the same, before anything else of that client */
    GV_SAID_DROP,       /* Postfix, Sendmail: the connection broke off after AUTH */
    GV_SAID_COUNTS,     /* Sendmail: so many AUTH commands (auth_all) until now, before this one */
    GV_SAID_SUCCESS,
    GV_SAID_HINT, /* Dovecot's auth, saslauthd: why an attempt failed that another line settles */
    GV_SAID_TROUBLE, /* Courier: the backend's fault; of the last failure (attempts 1) or the next
                      */
    GV_SAID_QUOTE    /* Courier: what a client said, line breaks and all */
};

/* What became of the attempt, beside its kind. */
enum gv_blame {
    GV_BLAME_CLIENT = 0,
    GV_BLAME_BACKEND, /* the login backend's fault: no failure */
    GV_BLAME_POLICY   /* refused by this host's own policy: no points, no signal */
};

/* How a visit of Dovecot's ended: what that says of the attempts before the last. */
enum gv_end {
    GV_END_FAILED = 0, /* `attempts` failed, the last among them */
    GV_END_LAST,       /* the last failed, and whatever the auth service told of before it */
    GV_END_RIGHT,      /* the last was right: auth_good of auth_all were, where the line says so */
    GV_END_STATE,      /* the last may have been right, and those before it the same one again */
    GV_END_FAULT,      /* the backend failed the last, and perhaps others */
    GV_END_OTHER       /* says nothing of attempts */
};

struct gv_span {
    const char *at;
    size_t len;
};

struct gv_parsed {
    uint8_t said;    /* enum gv_said */
    uint8_t blame;   /* enum gv_blame */
    uint8_t kind;    /* one bit of enum gv_kind */
    uint8_t service; /* one bit of enum gv_service */
    uint8_t mta;     /* enum gv_mta; the caller's, of what the program is */
    uint8_t end;     /* enum gv_end, of Dovecot's GV_SAID_FAILURE */
    bool has_counts; /* of GV_SAID_DISCONNECT */
    bool again;      /* the caller's: the line says that another one came again */
    bool open_end;   /* the client's words stand in front of the address: where a line is cut off,
                      * they could pass for its end */
    bool anybody;    /* of GV_SAID_SUCCESS: an anonymous one, which proves nothing */
    bool twice;      /* Exim gives syslog this line once for each of its two logs */
    bool torn;       /* of GV_SAID_FAILURE: another line may begin in it, so that its numbers are
                      * left out; and of a line that says nothing for this reason alone */
    uint16_t port;   /* Courier: the client's; 0: not known */
    uint32_t attempts;
    /* Of GV_SAID_DISCONNECT: "auth=good/all"; of the end of a visit of Dovecot's, all 0: not said.
     */
    uint32_t auth_good, auth_all;
    struct gv_ip_address address;
    struct gv_span account; /* the name; hashed and forgotten by the caller; len 0: not known */
    struct gv_span session; /* Dovecot's session id, Exim's pid or client port, Sendmail's queue id;
                             * len 0: none */
    struct gv_span apart; /* what the parser has looked at for the beginning of another line, or has
                           * not read: gv_line_is_torn's rule is not for it */
    struct gv_span origin; /* of GV_SAID_HINT: which passdb or mechanism said so; of saslauthd's
                            * the realm: the account is then account@realm; of Sendmail's what other
                            * lines leave of a client that is longer */
};

/* Before it is kept for longer than its line. */
static inline void gv_parsed_leave_line(struct gv_parsed *p)
{
    p->account = p->session = p->apart = p->origin = (struct gv_span){NULL, 0};
}

/* Of those that the line counts. Dovecot 2.3 tells of the good ones alone: then none is known. */
static inline uint32_t gv_parsed_failed(const struct gv_parsed *p)
{
    return p->auth_all > p->auth_good ? p->auth_all - p->auth_good : 0;
}

/* Whether it says anything of a login. Most lines only say that a connection began, or that it
 * ended without any: then it does not matter whether a hole or another line is in it. */
static inline bool gv_parsed_tells(const struct gv_parsed *p)
{
    return p->said != GV_SAID_CONNECT &&
           !(p->said == GV_SAID_DISCONNECT && p->has_counts && p->auth_all == 0);
}

/* No line tells of more: what Dovecot's number may have in digits. */
#define GV_ATTEMPTS_MAX 999999999u

/* Our policy answers with this when it refuses, and Dovecot passes it on to Postfix's log. */
#define GV_REFUSAL_TEXT "Refused by grapevine"

/* `half`: no newline ended the line. False when it says nothing of interest; then *out is
 * undefined. */
bool gv_parse_postfix(struct gv_parsed *out, const struct gv_line *line, bool half);
bool gv_parse_dovecot(struct gv_parsed *out, const struct gv_line *line, bool half);
bool gv_parse_exim(struct gv_parsed *out, const struct gv_line *line, bool half);
bool gv_parse_sendmail(struct gv_parsed *out, const struct gv_line *line, bool half);

/* imapd, pop3d, timsieved, nntpd, httpd; and saslauthd, which has no address. */
bool gv_parse_cyrus(struct gv_parsed *out, const struct gv_line *line, bool half);
bool gv_parse_saslauthd(struct gv_parsed *out, const struct gv_line *line, bool half);
/* imapd, pop3d and esmtpd with their variants. */
bool gv_parse_courier(struct gv_parsed *out, const struct gv_line *line, bool half);

/* The one of them that the line's program asks for; sets `mta` and `service` too. False too where
 * another line begins inside what was read of this one (gv_holds_stamp): then out->torn is set if
 * it would have told of a failure, and whatever it was before otherwise. */
bool gv_parse_line(struct gv_parsed *out, const struct gv_line *line, bool half);

/* Whether another line begins inside the text of this one. */
bool gv_line_is_torn(const struct gv_line *line);

/* Helpers of the lexers, in parse_fields.c. */

/* The first and the last `word` (of n bytes, two or more) in [at, limit), or NULL. */
const char *gv_find_bytes(const char *at, const char *limit, const char *word, size_t n);
const char *gv_find_last_bytes(const char *at, const char *limit, const char *word, size_t n);

/* The words are mostly constant. */
static inline const char *gv_find(const char *at, const char *limit, const char *word)
{
    return gv_find_bytes(at, limit, word, strlen(word));
}

static inline const char *gv_find_last(const char *at, const char *limit, const char *word)
{
    return gv_find_last_bytes(at, limit, word, strlen(word));
}

/* Whether a line begins in [at, limit): "[0-9] 02:36:17" or "[0-9]T02:36:17", perhaps a fraction
 * and a zone, a blank, and what a line goes on with. A line that was torn off (a crash, a full
 * disk) has the next one behind it, and what is read of the two is nobody's word. No server writes
 * such a time into its text; a client who does is not counted, and opens no mailbox with that name.
 * `exim`: in Exim's own log, where a line may go on with any "[". */
bool gv_holds_stamp(const char *at, const char *limit, bool exim);

/* Whether a whole stamp begins in [at, limit), as a line has it, or RFC 5424's "1 - " for none. */
bool gv_holds_line(const char *at, const char *limit);

/* Takes "name[address]" or "name[address]:port" and `end` behind it at *at (end 0: the end of the
 * text), and moves *at behind both. The address is in the last brackets of the word, because the
 * mail server appends it to a name that somebody else's DNS chose; a name with a colon could forge
 * the end of the word, so it is refused. */
bool gv_take_client(struct gv_ip_address *out, const char **at, const char *limit, char end);

/* Dovecot's "elements": `user=<NAME>, method=M, rip=ADDR, lip=ADDR, ...` from behind "user=<". The
 * name may hold all of that too, so the address is the last; and the line must end as Dovecot ends
 * it, with ", session=<...>", or what was cut could be it. */
bool gv_take_elements(struct gv_parsed *out, const char *at, const char *limit);

/* The identity in front of `end` in an auth line: "NAME(USER,ADDR[,master][,<SESSION>])" of 2.3, or
 * "auth(USER,ADDR,sasl:MECH)[<PID>][<SESSION>][: request [N]]: NAME" of 2.4. The user may hold
 * anything, so it is read backwards. */
bool gv_take_identity(struct gv_parsed *out, const char *start, const char *end);

#endif
