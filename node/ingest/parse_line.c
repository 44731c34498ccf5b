#include "node/ingest/parse.h"

#include "node/ingest/ingest.h"

const char *gv_mta_name(unsigned mta)
{
    static const char *const names[] = {
        [GV_MTA_POSTFIX] = "postfix",   [GV_MTA_DOVECOT] = "dovecot", [GV_MTA_EXIM] = "exim",
        [GV_MTA_SENDMAIL] = "sendmail", [GV_MTA_CYRUS] = "cyrus",     [GV_MTA_COURIER] = "courier"};

    return mta < sizeof names / sizeof *names && names[mta] ? names[mta] : "unknown";
}

/* "postfix/submission/smtpd", "postfix/smtps/smtpd": master.cf's syslog_name of the services that
 * are for logging in; anything else is the public port. */
static uint8_t smtpd_service(const struct gv_line *line)
{
    static const char *const names[] = {"submission", "smtps", "/587/", "/465/"};

    if (line->tag_len == 13 && memcmp(line->tag, "postfix/smtpd", 13) == 0)
        return GV_SERVICE_SMTP;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (gv_find(line->tag, line->tag + line->tag_len, names[i]))
            return GV_SERVICE_SUBMISSION;
    return GV_SERVICE_SMTP;
}

/* Cyrus' services and Courier's programs are named after the protocol, more or less. */
static uint8_t mailbox_service(const struct gv_line *line)
{
    static const struct {
        const char *part;
        uint8_t service;
    } parts[] = {{"imap", GV_SERVICE_IMAP},
                 {"pop", GV_SERVICE_POP3},
                 {"sieve", GV_SERVICE_SIEVE},
                 {"esmtpd-", GV_SERVICE_SUBMISSION},
                 {"esmtpd", GV_SERVICE_SMTP}};

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (gv_find(line->tag, line->tag + line->tag_len, parts[i].part))
            return parts[i].service;
    return GV_SERVICE_UNKNOWN;
}

static bool parse(struct gv_parsed *p, const struct gv_line *line, bool half)
{
    uint8_t mta = GV_MTA_DOVECOT;

    switch (line->program) {
    case GV_PROGRAM_SMTPD:
        if (!gv_parse_postfix(p, line, half))
            return false;
        p->mta = GV_MTA_POSTFIX;
        p->service = smtpd_service(line);
        return true;
    case GV_PROGRAM_EXIM:
    case GV_PROGRAM_EXIM_PLAIN:
        if (!gv_parse_exim(p, line, half))
            return false;
        p->mta = GV_MTA_EXIM;
        return true;
    case GV_PROGRAM_SENDMAIL:
        if (!gv_parse_sendmail(p, line, half))
            return false;
        p->mta = GV_MTA_SENDMAIL;
        return true;
    case GV_PROGRAM_SASLAUTHD:
        if (!gv_parse_saslauthd(p, line, half))
            return false;
        p->mta = GV_MTA_CYRUS;
        return true;
    case GV_PROGRAM_CYRUS:
    case GV_PROGRAM_COURIER:
    case GV_PROGRAM_MAILBOX:
        if (line->program != GV_PROGRAM_CYRUS && gv_parse_courier(p, line, half))
            mta = GV_MTA_COURIER;
        else if (line->program != GV_PROGRAM_COURIER && gv_parse_cyrus(p, line, half))
            mta = GV_MTA_CYRUS;
        else
            return false;
        p->mta = mta;
        p->service = mailbox_service(line);
        return true;
    default:
        if (!gv_parse_dovecot(p, line, half))
            return false;
        p->mta = mta;
        return true;
    }
}

/* Exim repeats its own stamp by syslog. */
static const char *behind_own_stamp(const struct gv_line *line)
{
    struct gv_stamp own;

    return line->program == GV_PROGRAM_EXIM && gv_stamp_find(&own, line->text, line->text_len)
               ? line->text + own.len
               : line->text;
}

/* A syslogd that writes "-" in place of a stamp (RFC 5424) writes it in front of the next line,
 * too. */
static bool holds_stamp(const struct gv_line *line, const char *at, const char *limit)
{
    return gv_holds_stamp(at, limit, line->program == GV_PROGRAM_EXIM_PLAIN) ||
           (line->stamp.form == GV_STAMP_NONE && gv_find(at, limit, ">1 - "));
}

bool gv_line_is_torn(const struct gv_line *line)
{
    return holds_stamp(line, behind_own_stamp(line), line->text + line->text_len);
}

/* What the parser has looked at itself is left out. */
static bool is_torn(const struct gv_parsed *p, const struct gv_line *line)
{
    const char *limit = line->text + line->text_len;

    if (!p->apart.at)
        return gv_line_is_torn(line);
    const char *behind = p->apart.at + p->apart.len;
    return holds_stamp(line, behind_own_stamp(line), p->apart.at) ||
           (behind < limit && holds_stamp(line, behind, limit));
}

bool gv_parse_line(struct gv_parsed *p, const struct gv_line *line, bool half)
{
    if (!parse(p, line, half))
        return false;
    if (!gv_parsed_tells(p) || line->whole || !is_torn(p, line))
        return true;
    p->torn = p->said == GV_SAID_FAILURE || p->said == GV_SAID_UNNAMED;
    return false;
}
