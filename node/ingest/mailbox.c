#include "node/ingest/mailbox.h"

#include <string.h>

/* No log says where a connection ends. A client that goes on within two minutes in the same process
 * (Cyrus) or from the same port (Courier) is in the same one; both servers pause for seconds after
 * a failure, and Courier hangs up on who is not in after one minute. */
#define GV_VISIT_GAP_MS 120000
/* Courier says both in one breath, but stamps may be whole seconds. */
#define GV_TROUBLE_MS 1000

/* True for the first observation of a connection. */
static bool new_visit(struct gv_mailbox *mailbox, uint64_t key, uint64_t ms)
{
    struct gv_mailbox_visit *v = &mailbox->visits[key % GV_MAILBOX_VISITS];
    bool fresh = v->key != key || gv_ms_apart(v->ms, ms) > GV_VISIT_GAP_MS;

    v->key = key;
    v->ms = ms;
    return fresh;
}

static struct gv_reading reading_of(struct gv_mailbox *mailbox, const struct gv_parsed *p,
                                    const struct gv_moment *m)
{
    struct gv_reading r;

    memset(&r, 0, sizeof r);
    r.address = p->address;
    r.line = m->line;
    r.mta = p->mta;
    r.observation.subject = gv_ip_address_subject(&p->address);
    r.observation.unix_ms = m->ms;
    r.observation.service = p->service;
    r.observation.kind = GV_KIND_UNSPECIFIED;
    r.observation.account = m->account;
    r.observation.new_visit = new_visit(mailbox, m->connection, m->ms);
    return r;
}

/* ---- Cyrus ----------------------------------------------------------------------------------- */

static size_t cyrus_failure(struct gv_mailbox *mailbox, struct gv_reading *out, uint64_t *faults,
                            struct gv_hints *hints, const struct gv_parsed *p,
                            const struct gv_moment *m)
{
    uint8_t kind = p->kind, blame = p->blame;
    const struct gv_sasl_hint *hint = gv_hints_take_sasl(hints, m->account, p->service, m->ms);

    if (hint && blame == GV_BLAME_CLIENT && kind == GV_KIND_UNSPECIFIED) {
        kind = hint->kind;
        blame = hint->blame;
    }
    if (blame == GV_BLAME_BACKEND) {
        *faults += p->attempts;
        return 0;
    }
    *out = reading_of(mailbox, p, m);
    out->observation.kind = kind;
    out->observation.attempts = p->attempts;
    return 1;
}

/* ---- Courier --------------------------------------------------------------------------------- */

static void remove_held(struct gv_mailbox *mailbox, uint32_t at)
{
    mailbox->held_count--;
    memmove(&mailbox->held[at], &mailbox->held[at + 1],
            (mailbox->held_count - at) * sizeof mailbox->held[0]);
}

size_t gv_mailbox_release(struct gv_mailbox *mailbox, struct gv_reading *out, uint64_t ms)
{
    size_t n = 0;

    while (mailbox->held_count > 0 &&
           gv_ms_apart(mailbox->held[0].reading.observation.unix_ms, ms) > GV_TROUBLE_MS) {
        out[n++] = mailbox->held[0].reading;
        remove_held(mailbox, 0);
    }
    return n;
}

/* A client that is in may send ID with line breaks in it, and imapd logs it as it came: such a
 * client can write any line of imapd's. So where imapd logs ID, it says nothing. */
static bool quoted(const struct gv_mailbox *mailbox, const struct gv_parsed *p)
{
    return mailbox->quotes && p->service == GV_SERVICE_IMAP;
}

static bool is_esmtpd(uint8_t service)
{
    return service == GV_SERVICE_SMTP || service == GV_SERVICE_SUBMISSION;
}

/* That a failure was the backend's stands in a line of its own: imapd and pop3d log it right behind
 * the failure, esmtpd before, but by another way that is often the slower. So a failure waits a
 * second. */
static size_t courier_failure(struct gv_mailbox *mailbox, struct gv_reading *out, uint64_t *faults,
                              const struct gv_parsed *p, const struct gv_moment *m)
{
    size_t n = 0;

    if (quoted(mailbox, p))
        return 0;
    if (is_esmtpd(p->service) && mailbox->troubles > 0 &&
        gv_ms_apart(mailbox->trouble_ms, m->ms) <= GV_TROUBLE_MS) {
        mailbox->troubles--;
        *faults += p->attempts;
        return 0;
    }
    if (mailbox->held_count == GV_MAILBOX_HELD) {
        out[n++] = mailbox->held[0].reading;
        remove_held(mailbox, 0);
    }
    struct gv_mailbox_held *held = &mailbox->held[mailbox->held_count++];
    held->reading = reading_of(mailbox, p, m);
    held->reading.observation.kind = p->kind;
    held->reading.observation.attempts = p->attempts;
    held->origin = m->origin;
    held->connection = m->connection;
    return n;
}

static void add_trouble(struct gv_mailbox *mailbox, uint64_t ms)
{
    if (gv_ms_apart(mailbox->trouble_ms, ms) > GV_TROUBLE_MS)
        mailbox->troubles = 0;
    mailbox->troubles++;
    mailbox->trouble_ms = ms;
}

/* "authentication error" of imapd and pop3d is about the latest failure of that program;
 * "authdaemon: s_connect() failed" of esmtpd about the latest of it, or else the next. (The other
 * two say that, too, but always both.) */
static void courier_trouble(struct gv_mailbox *mailbox, uint64_t *faults, const struct gv_parsed *p,
                            const struct gv_moment *m)
{
    bool connect = p->attempts == 0;

    if (connect != is_esmtpd(p->service))
        return;
    for (uint32_t i = mailbox->held_count; i-- > 0;) {
        const struct gv_mailbox_held *held = &mailbox->held[i];
        bool same =
            connect ? is_esmtpd(held->reading.observation.service) : held->origin == m->origin;

        if (!same || gv_ms_apart(held->reading.observation.unix_ms, m->ms) > GV_TROUBLE_MS)
            continue;
        *faults += held->reading.observation.attempts;
        if (held->reading.observation.new_visit) /* the visit has not begun */
            mailbox->visits[held->connection % GV_MAILBOX_VISITS].key = 0;
        remove_held(mailbox, i);
        return;
    }
    if (connect)
        add_trouble(mailbox, m->ms);
}

static size_t login(struct gv_mailbox *mailbox, struct gv_reading *out, const struct gv_parsed *p,
                    const struct gv_moment *m)
{
    if (quoted(mailbox, p))
        return 0;
    size_t n = gv_mailbox_release(mailbox, out, UINT64_MAX); /* in the log's order */
    out[n] = reading_of(mailbox, p, m);
    out[n].observation.success = true;
    return n + 1;
}

size_t gv_mailbox_take(struct gv_mailbox *mailbox, struct gv_reading *out, uint64_t *faults,
                       struct gv_hints *hints, const struct gv_parsed *parsed,
                       const struct gv_moment *moment)
{
    bool courier = parsed->mta == GV_MTA_COURIER;

    switch (parsed->said) {
    case GV_SAID_FAILURE:
        return courier ? courier_failure(mailbox, out, faults, parsed, moment)
                       : cyrus_failure(mailbox, out, faults, hints, parsed, moment);
    case GV_SAID_SUCCESS:
        return login(mailbox, out, parsed, moment);
    case GV_SAID_TROUBLE:
        courier_trouble(mailbox, faults, parsed, moment);
        return 0;
    case GV_SAID_QUOTE:
        mailbox->quotes = true;
        return 0;
    default:
        return 0;
    }
}

void gv_mailbox_erase(struct gv_mailbox *mailbox, const struct gv_subject *subject)
{
    for (uint32_t i = mailbox->held_count; i-- > 0;)
        if (gv_ip_address_of(&mailbox->held[i].reading.address, subject))
            remove_held(mailbox, i);
    /* What was moved or released left its bytes behind. */
    memset(&mailbox->held[mailbox->held_count], 0,
           (GV_MAILBOX_HELD - mailbox->held_count) * sizeof mailbox->held[0]);
}
