/* What one line of Postfix says of the flow of mail. Senders, recipients, HELO names, message texts
 * and the replies of other servers stand in these lines, so every word is taken from the end of the
 * line that Postfix writes itself. Borrows from the line. (SPEC 10.7) */
#ifndef GV_INGEST_PARSE_MAIL_FLOW_H
#define GV_INGEST_PARSE_MAIL_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "node/ingest/line.h"
#include "node/ingest/parse.h"

enum gv_mail_said {
    GV_MAIL_SAID_NOTHING = 0,
    GV_MAIL_SAID_CLIENT,    /* smtpd: a message begins; perhaps with `other`, its id before */
    GV_MAIL_SAID_PICKUP,    /* pickup: the same, from this host's own users */
    GV_MAIL_SAID_REQUEUED,  /* pickup: one that was here already, under a new id */
    GV_MAIL_SAID_ACTIVE,    /* qmgr: taken up, of `size` bytes */
    GV_MAIL_SAID_EXPIRED,   /* qmgr */
    GV_MAIL_SAID_REMOVED,   /* qmgr, postsuper */
    GV_MAIL_SAID_SENT,      /* a delivery; `reply` may tell the id that it has there */
    GV_MAIL_SAID_PIPED,     /* a delivery to a program by pipe(8) */
    GV_MAIL_SAID_FORWARDED, /* local: through an alias or a .forward file, as a new message */
    GV_MAIL_SAID_DEFERRED,  /* `delay_s` after it came */
    GV_MAIL_SAID_BOUNCED,
    GV_MAIL_SAID_REJECT, /* smtpd, cleanup, postscreen, each with an id or not */
    GV_MAIL_SAID_WARNING,
    GV_MAIL_SAID_HOLD,
    GV_MAIL_SAID_DISCARD,
    GV_MAIL_SAID_SHELVED /* postsuper or cleanup: it lies in the hold queue */
};

/* The bytes of a queue id, the rest zero. None: the first is zero. */
#define GV_QUEUE_ID_MAX 24
struct gv_queue_id {
    uint64_t words[GV_QUEUE_ID_MAX / 8];
};

struct gv_mail_parsed {
    uint8_t said;  /* enum gv_mail_said */
    bool local;    /* the client or the relay is this host: loopback, or a unix socket */
    bool outgoing; /* of a delivery: sent to another host by smtp(8), or given up by it */
    bool content;  /* of a hold: by cleanup, which has the message */
    struct gv_queue_id id;
    struct gv_queue_id other; /* another id; see enum gv_mail_said */
    struct gv_span reply;     /* of GV_MAIL_SAID_SENT, borrowed from the line */
    uint64_t size;            /* of GV_MAIL_SAID_ACTIVE */
    uint64_t delay_s;         /* of GV_MAIL_SAID_DEFERRED */
};

static inline bool gv_queue_id_given(const struct gv_queue_id *id)
{
    return id->words[0] != 0;
}

/* "QUEUEID: message-id=...", as nearly all of cleanup's lines. */
static inline bool gv_is_message_id(const struct gv_line *line)
{
    const char *colon = line->text_len > 40 ? memchr(line->text, ':', GV_QUEUE_ID_MAX) : NULL;

    return colon && memcmp(colon, ": message-id=", 13) == 0;
}

/* Whether gv_parse_mail_flow is worth its call: of smtpd's lines most begin with a word. */
static inline bool gv_may_tell_of_mail(const struct gv_line *line)
{
    if (line->process == GV_MAIL_PROGRAM_CLEANUP)
        return !gv_is_message_id(line);
    return line->process != GV_MAIL_PROGRAM_OTHER &&
           (line->process != GV_MAIL_PROGRAM_SMTPD ||
            (line->text_len > 0 && (unsigned char)line->text[0] < 'a'));
}

/* False when the line says nothing of mail; then *out is undefined. */
bool gv_parse_mail_flow(struct gv_mail_parsed *out, const struct gv_line *line);
/* The id that a reply ends with: "queued as ID)". Apart, as few deliveries need it. None: zero. */
struct gv_queue_id gv_mail_queued_as(const struct gv_span *reply);

#endif
