/* The counters of the mail flow (SPEC 10.7): a table of cases for every rule, what cannot be
 * forged, and what is remembered of the queue. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "helper_mail_flow.h"
#include "node/ingest/parse_mail_flow.h"

struct flow_case {
    const char *lines, *counts;
};

static void check(const struct flow_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *got = flow_of(cases[i].lines);
        if (strcmp(got, cases[i].counts) != 0)
            fail_msg("case %zu:\n%s\nwanted: %s\ngot:    %s", i, cases[i].lines, cases[i].counts,
                     got);
    }
}
#define CHECK(cases) check((cases), sizeof(cases) / sizeof *(cases))

#define TAIL(status)                                                                               \
    ", relay=mx[203.0.113.9]:25, delay=1.2, delays=0.1/0/1/0.1, dsn=2.0.0, status=" status
#define SENT(id, agent)  agent ": " id ": to=<a@b.example>" TAIL("sent (250 2.0.0 Ok)") "\n"
#define CLIENT(id)       "smtpd: " id ": client=c.example[198.51.100.7]\n"
#define ACTIVE(id, size) "qmgr: " id ": from=<s@t.example>, size=" size ", nrcpt=1 (queue active)\n"
#define REMOVED(id)      "qmgr: " id ": removed\n"

static void a_message_comes_and_goes(void **state)
{
    static const struct flow_case cases[] = {
        {CLIENT("4F2A91"), "received=1"},
        {CLIENT("4dBWy62Gz9zQRz"), "received=1"}, /* a long queue id */
        {"submission/smtpd: 4F2A91: client=c[198.51.100.7]:4711, sasl_method=PLAIN, "
         "sasl_username=x\n",
         "received=1 logins=1"},
        {"smtpd: NOQUEUE: client=c[198.51.100.7]\n", ""}, /* a proxy filter: it comes again */
        {"pickup: 4F2A91: uid=1000 from=<a@b>\n", "received=1"},
        {"pickup: 4F2A91: sender=<a@b>\n", "received=1"},
        {"pickup: 4F2A91: uid=106 from=<a@b> orig_id=4F2A90\n", ""},
        {"cleanup: 4F2A91: message-id=<x@y>\n", ""},
        {CLIENT("4F2A91") ACTIVE("4F2A91", "700"), "received=1 bytes_received=700 queue=1"},
        {CLIENT("4F2A91") ACTIVE("4F2A91", "700") ACTIVE("4F2A91", "700"),
         "received=1 bytes_received=700 queue=1"}, /* taken up again */
        {ACTIVE("4F2A91", "700"), "queue=1"},      /* a notification, or from before the log */
        {CLIENT("4F2A91") ACTIVE("4F2A91", "700") SENT("4F2A91", "smtp") REMOVED("4F2A91"),
         "received=1 delivered=1 bytes_received=700 bytes_delivered=700"},
        {CLIENT("4F2A91") ACTIVE("4F2A91", "700") SENT("4F2A91", "smtp") SENT("4F2A91", "lmtp"),
         "received=1 delivered=2 bytes_received=700 bytes_delivered=1400 queue=1"},
        {SENT("4F2A91", "relay/smtp") SENT("4F2A91", "local") SENT("4F2A91", "virtual")
             SENT("4F2A91", "pipe") SENT("4F2A91", "discard") SENT("4F2A91", "lmtp"),
         "delivered=6"},
        {SENT("4F2A91", "trivial-rewrite") SENT("4F2A91", "smtpd") SENT("NOQUEUE", "smtp"), ""},
    };

    CHECK(cases);
}

static void what_becomes_of_it(void **state)
{
    static const struct flow_case cases[] = {
        {"smtp: 4F2A91: to=<a@b>" TAIL("deferred (450 x)") "\n", "deferred=1 deferrals=1 queue=1"},
        {"smtp: 4F2A91: to=<a@b>" TAIL("deferred (450 x)") "\n"
                                                           "error: 4F2A91: to=<c@b>" TAIL(
                                                               "deferred (450 x)") "\n",
         "deferred=1 deferrals=2 queue=1"},
        {"smtp: 4F2A91: to=<a@b>" TAIL("SOFTBOUNCE (550 x)") "\n",
         "deferred=1 deferrals=1 queue=1"},
        {"smtp: 4F2A91: to=<a@b>" TAIL("bounced (550 x)") "\n", "bounced=1"},
        {"cleanup: 4F2A91: to=<a@b>" TAIL("bounced (too many hops)") "\n", "bounced=1"},
        {"smtp: 4F2A91: to=<a@b>" TAIL("deliverable (250 x)") "\n", ""}, /* an address probe */
        {"smtp: 4F2A91: to=<a@b>" TAIL("undeliverable (550 x)") "\n", ""},
        {"qmgr: 4F2A91: from=<a@b>, status=expired, returned to sender\n", "expired=1"},
        {"qmgr: 4F2A91: from=<>, status=force-expired, returned to sender\n", "expired=1"},
        {"local: 4F2A91: to=<a@b>, orig_to=<c>" TAIL("sent (forwarded as 5B3C)") "\n",
         "forwarded=1"},
        {"smtp: 4F2A91: to=<a@b>" TAIL("sent (forwarded as 5B3C)") "\n", "delivered=1"},
        {"local: 4F2A91: to=<a@b>" TAIL("sent (delivered to mailbox)") "\n", "delivered=1"},
        {"smtp: 4F2A91: to=<a@b>, relay=mx[203.0.113.9]:25, conn_use=2, delay=1, delays=1/0/0/0, "
         "dsn=2.0.0, status=sent (x)\n",
         "delivered=1"},
    };

    CHECK(cases);
}

static void what_is_refused(void **state)
{
#define SMTPD(id, what)                                                                            \
    "smtpd: " id ": " what ": RCPT from c[198.51.100.7]: 554 5.7.1 x; from=<a@b>\n"
    static const struct flow_case cases[] = {
        {SMTPD("NOQUEUE", "reject"), "rejected=1"},
        {SMTPD("4F2A91", "reject"), "rejected=1"},
        {SMTPD("NOQUEUE", "milter-reject"), "rejected=1"},
        {SMTPD("4F2A91", "proxy-reject"), "rejected=1"},
        {SMTPD("NOQUEUE", "reject_warning"), "reject_warnings=1"},
        {SMTPD("NOQUEUE", "hold"), "held=1"},
        {SMTPD("4F2A91", "hold"), "held=1"}, /* it may still not come: not in the queue */
        {SMTPD("4F2A91", "milter-hold"), "held=1"},
        {SMTPD("NOQUEUE", "discard"), "discarded=1"},
        {SMTPD("NOQUEUE", "milter-discard"), "discarded=1"},
        {SMTPD("NOQUEUE", "filter") SMTPD("4F2A91", "redirect") SMTPD("NOQUEUE", "warn")
             SMTPD("4F2A91", "warning") SMTPD("NOQUEUE", "info") SMTPD("NOQUEUE", "bcc"),
         ""},
        {"smtpd: warning: reject: ETRN x... from c[198.51.100.7]\n", ""},
        {"smtpd: reject: RCPT from c[198.51.100.7]: x\n", ""}, /* no such line */
        {"postscreen: NOQUEUE: reject: RCPT from [198.51.100.7]:80: 550 5.7.1 x\n", "rejected=1"},
        {"postscreen: NOQUEUE: reject: CONNECT from [::7]:80: too many connections\n",
         "rejected=1"},
        {"postscreen: reject: connect from [198.51.100.7]:80: all screening ports busy\n",
         "rejected=1"},
        {"cleanup: 4F2A91: reject: header Subject: x from c[198.51.100.7]; from=<a@b>\n",
         "rejected=1"},
        {"cleanup: 4F2A91: reject: body x from c[198.51.100.7]; from=<a@b>\n", "rejected=1"},
        {"cleanup: 4F2A91: reject: mime-error x: y from c[198.51.100.7]; from=<a@b>\n",
         "rejected=1"},
        {"cleanup: 4F2A91: milter-reject: END-OF-MESSAGE from c[198.51.100.7]: x\n", "rejected=1"},
        {"cleanup: 4F2A91: warning: header X: y from c[198.51.100.7];\n", "reject_warnings=1"},
        {"cleanup: 4F2A91: hold: header X: y from c[198.51.100.7];\n", "held=1 queue=1"},
        {"cleanup: 4F2A91: milter-hold: END-OF-MESSAGE from c[198.51.100.7]: x\n",
         "held=1 queue=1"},
        {"cleanup: 4F2A91: discard: body y from c[198.51.100.7];\n", "discarded=1"},
        {"cleanup: 4F2A91: milter-discard: END-OF-MESSAGE from c[198.51.100.7]: x\n",
         "discarded=1"},
        {"cleanup: 4F2A91: prepend: header X: y from c[198.51.100.7];\n", ""},
        {"cleanup: warning: 4F2A91: reject: header X\n", ""},
    };

    CHECK(cases);
#undef SMTPD
}

static void the_queue(void **state)
{
    static const struct flow_case cases[] = {
        {ACTIVE("4F2A91", "1") ACTIVE("4F2A92", "1") REMOVED("4F2A91"), "queue=1"},
        {REMOVED("4F2A91") REMOVED("4F2A91"), ""},
        {ACTIVE("4F2A91", "1") "postsuper: 4F2A91: removed\n", ""},
        {ACTIVE("4F2A91", "1") "postsuper: 4F2A91: requeued\n"
                               "pickup: 4F2A92: uid=106 from=<a@b> orig_id=4F2A91\n",
         ""},
        {ACTIVE("4F2A91", "1") "postsuper: 4F2A91: requeued\n"
                               "pickup: 4F2A92: uid=106 from=<a@b> orig_id=4F2A91\n" //
         ACTIVE("4F2A92", "1"),
         "queue=1"},
        {"postsuper: 4F2A91: placed on hold\n", "queue=1"}, /* an admin's doing: not "held" */
        {"postsuper: 4F2A91: placed on hold\npostsuper: 4F2A91: released from hold\n", "queue=1"},
        {"postsuper: Deleted: 1 message\npostsuper: Placed on hold: 3 messages\n", ""},
        /* A short id comes again: another message, with another size and its own deferral. */
        {CLIENT("4F2A91") ACTIVE("4F2A91", "700") "smtp: 4F2A91: to=<a@b>" TAIL(
             "deferred (x)") "\n" SENT("4F2A91", "smtp") REMOVED("4F2A91") CLIENT("4F2A91")
             ACTIVE("4F2A91", "5") "smtp: 4F2A91: to=<a@b>" TAIL("deferred (x)") "\n" //
         SENT("4F2A91", "smtp") REMOVED("4F2A91"),
         "received=2 delivered=2 deferred=2 deferrals=2 bytes_received=705 bytes_delivered=705"},
        /* ... and even when the removal of the first is not in the log. */
        {CLIENT("4F2A91") ACTIVE("4F2A91", "700") CLIENT("4F2A91") ACTIVE("4F2A91", "5"),
         "received=2 bytes_received=705 queue=1"},
        {CLIENT("4F2A91") ACTIVE("4F2A91", "700") REMOVED("4F2A91") ACTIVE("4F2A91", "5"),
         "received=1 bytes_received=700 queue=1"},
    };

    CHECK(cases);
}

#define BACK(id, host) "smtpd: " id ": client=localhost[" host "]\n"
#define QUEUED(id, agent, relay, reply)                                                            \
    agent ": " id ": to=<a@b>, relay=" relay                                                       \
          ", delay=1, delays=1/0/0/0, dsn=2.0.0, status=sent (" reply ")\n"

static void a_content_filter_counts_once(void **state)
{
    static const struct flow_case cases[] = {
        /* SMTP to loopback, back through loopback, and the reply names the new id. */
        {CLIENT("AAAA01") ACTIVE("AAAA01", "9") BACK("BBBB01", "127.0.0.1") ACTIVE("BBBB01", "12")
             QUEUED("AAAA01", "smtp", "127.0.0.1[127.0.0.1]:10024",
                    "250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as BBBB01")
                 REMOVED("AAAA01") SENT("BBBB01", "smtp") REMOVED("BBBB01"),
         "received=1 delivered=1 bytes_received=9 bytes_delivered=12 reinjected=1 filtered=1"},
        /* The reply is logged before the queue manager takes the new one up. */
        {CLIENT("AAAA01") ACTIVE("AAAA01", "9") BACK("BBBB01", "::1")
             QUEUED("AAAA01", "lmtp", "mx[/run/amavis.sock]", "250 2.0.0 Ok: queued as BBBB01")
                 ACTIVE("BBBB01", "12") SENT("BBBB01", "smtp"),
         "received=1 delivered=1 bytes_received=9 bytes_delivered=12 reinjected=1 filtered=1 "
         "queue=2"},
        /* The new one is delivered and gone before the reply is logged. */
        {CLIENT("AAAA01") ACTIVE("AAAA01", "9") BACK("BBBB01", "127.0.0.1") ACTIVE("BBBB01", "12")
             SENT("BBBB01", "local") REMOVED("BBBB01")
                 QUEUED("AAAA01", "smtp", "127.0.0.1[127.0.0.1]:10024", "250 queued as BBBB01"),
         "received=1 delivered=1 bytes_received=9 bytes_delivered=12 reinjected=1 filtered=1 "
         "queue=1"},
        /* Two recipients, in one copy to the filter, and in two. */
        {CLIENT("AAAA01") BACK("BBBB01", "127.0.0.1")
             QUEUED("AAAA01", "smtp", "f[127.0.0.1]:10024", "250 queued as BBBB01")
                 QUEUED("AAAA01", "smtp", "f[127.0.0.1]:10024", "250 queued as BBBB01")
                     SENT("BBBB01", "smtp") SENT("BBBB01", "smtp"),
         "received=1 delivered=2 reinjected=1 filtered=2"},
        {CLIENT("AAAA01") BACK("BBBB01", "127.0.0.1")
             QUEUED("AAAA01", "smtp", "f[127.0.0.1]:10024", "250 queued as BBBB01")
                 BACK("BBBB02", "127.0.0.1")
                     QUEUED("AAAA01", "smtp", "f[127.0.0.1]:10024", "250 queued as BBBB02")
                         SENT("BBBB01", "smtp") SENT("BBBB02", "smtp"),
         "received=1 delivered=2 reinjected=2 filtered=2"},
        /* XFORWARD says it, wherever the filter is and whatever it replies. */
        {CLIENT("AAAA01") "smtpd: BBBB01: client=f[192.0.2.9], orig_queue_id=AAAA01, "
                          "orig_client=x\n" //
         QUEUED("AAAA01", "smtp", "f[192.0.2.9]:10024", "250 queued as BBBB01")
             SENT("BBBB01", "smtp"),
         "received=1 delivered=1 reinjected=1 filtered=1"},
        /* And that one is gone before the reply is logged. */
        {CLIENT("AAAA01") "smtpd: BBBB01: client=f[192.0.2.9], orig_queue_id=AAAA01\n" //
         SENT("BBBB01", "smtp") REMOVED("BBBB01")
             QUEUED("AAAA01", "smtp", "f[192.0.2.9]:10024", "250 queued as BBBB01"),
         "received=1 delivered=1 reinjected=1 filtered=1"},
        /* A filter with a queue of its own: it was delivered there, and comes anew. */
        {CLIENT("AAAA01") QUEUED("AAAA01", "smtp", "f[192.0.2.9]:10024", "250 queued as XXXX01")
             REMOVED("AAAA01") "smtpd: BBBB01: client=f[192.0.2.9], orig_queue_id=AAAA01\n" //
         SENT("BBBB01", "smtp"),
         "received=2 delivered=2"},
        {BACK("AAAA01", "127.0.0.1")
             QUEUED("AAAA01", "smtp", "f[192.0.2.9]:10024", "250 queued as XXXX01")
                 REMOVED("AAAA01") "smtpd: BBBB01: client=f[192.0.2.9], orig_queue_id=AAAA01\n" //
         SENT("BBBB01", "smtp"),
         "received=2 delivered=2"},
        {CLIENT("AAAA01") "smtpd: BBBB01: client=f[127.0.0.1], orig_queue_id=AAAA01\n" //
         QUEUED("AAAA01", "smtp", "f[127.0.0.1]:10024", "250 fine") SENT("BBBB01", "smtp"),
         "received=1 delivered=1 reinjected=1 filtered=1"},
        /* An origin that is not here, and one behind a user name, say nothing. */
        {"smtpd: BBBB01: client=f[127.0.0.1], orig_queue_id=AAAA01\n", "received=1"},
        {CLIENT("AAAA01") "smtpd: BBBB01: client=f[127.0.0.1], sasl_method=PLAIN, "
                          "sasl_username=x, orig_queue_id=AAAA01\n",
         "received=2 logins=1"},
        /* Mail of this host's own users by SMTP on loopback, and a local delivery: both count. */
        {BACK("BBBB01", "127.0.0.1")
             QUEUED("BBBB01", "lmtp", "mx[private/dovecot-lmtp]", "250 2.0.0 <a@b> xyz Saved"),
         "received=1 delivered=1"},
        /* A filter that ate the message: it was delivered there. */
        {CLIENT("AAAA01") QUEUED("AAAA01", "smtp", "f[127.0.0.1]:10024", "250 discarded"),
         "received=1 delivered=1"},
    };

    CHECK(cases);
}

/* Another server's reply names a message of ours: only a filter on this host is believed. */
static void a_remote_server_cannot_take_a_count_back(void **state)
{
    static const struct flow_case cases[] = {
        {CLIENT("AAAA01") CLIENT("BBBB01")
             QUEUED("AAAA01", "smtp", "evil[203.0.113.9]:25", "250 queued as BBBB01"),
         "received=2 delivered=1"},
        {CLIENT("AAAA01") BACK("BBBB01", "127.0.0.1")
             QUEUED("AAAA01", "smtp", "evil[203.0.113.9]:25", "250 queued as BBBB01"),
         "received=2 delivered=1"},
        /* A name that looks like loopback. */
        {CLIENT("AAAA01") BACK("BBBB01", "127.0.0.1")
             QUEUED("AAAA01", "smtp", "127.0.0.1[203.0.113.9]:25", "250 queued as BBBB01"),
         "received=2 delivered=1"},
        {CLIENT("AAAA01") "smtpd: BBBB01: client=127.0.0.1[203.0.113.9]\n" //
         QUEUED("AAAA01", "smtp", "f[127.0.0.1]:10024", "250 queued as BBBB01"),
         "received=2 delivered=1"},
        /* Itself, and one that is taken already. */
        {BACK("AAAA01", "127.0.0.1")
             QUEUED("AAAA01", "smtp", "f[127.0.0.1]:10024", "250 queued as AAAA01"),
         "received=1 delivered=1"},
        {CLIENT("AAAA01") CLIENT("AAAA02") BACK("BBBB01", "127.0.0.1")
             QUEUED("AAAA01", "smtp", "f[127.0.0.1]:10024", "250 queued as BBBB01")
                 QUEUED("AAAA02", "smtp", "f[127.0.0.1]:10024", "250 queued as BBBB01"),
         "received=2 delivered=1 reinjected=1 filtered=1"},
    };

    CHECK(cases);
}

/* Texts that others choose: senders, recipients, HELO names, headers, replies. */
static void nothing_can_be_forged(void **state)
{
#define FORGED ">, relay=none, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (x"
    static const struct flow_case cases[] = {
        {"smtp: 4F2A91: to=<a@b>" TAIL("sent (250 status=bounced (x), status=deferred (y)") "\n",
         "delivered=1"},
        {"smtp: 4F2A91: to=<a@b>" TAIL("bounced (550 to=<a@b>" TAIL("sent (250") ")") "\n",
         "bounced=1"},
        {"smtp: 4F2A91: to=<\"a" FORGED "\"@b>" TAIL("bounced (550 x)") "\n", "bounced=1"},
        {"smtp: 4F2A91: to=<\"a\\\"" FORGED "\"@b>" TAIL("bounced (550 x)") "\n", "bounced=1"},
        {"local: 4F2A91: to=<a@b>, orig_to=<\"a" FORGED "\"@b>" TAIL("bounced (550 x)") "\n",
         "bounced=1"},
        {"smtp: 4F2A91: to=<\"a" FORGED "\n", ""}, /* no end of the quotes: nobody knows */
        {"qmgr: 4F2A91: from=<\"a>, size=9, nrcpt=1 (queue active)\"@b>, size=5, nrcpt=1 (queue "
         "active)\n" SENT("4F2A91", "smtp"),
         "delivered=1 bytes_delivered=5 queue=1"},
        {"qmgr: 4F2A91: from=<\"a>, size=9, nrcpt=1 (queue active)\"@b>, status=expired, returned "
         "to sender\n",
         "expired=1"},
        {"qmgr: 4F2A91: from=<\"a>, status=expired, returned to sender\"@b>, size=5, nrcpt=1 "
         "(queue active)\n",
         "queue=1"},
        {"qmgr: 4F2A91: from=<a@b>, size=5x, nrcpt=1 (queue active)\n", ""},
        {"qmgr: 4F2A91: from=<a@b>, size=9999999999999999999999, nrcpt=1 (queue active)\n", ""},
        {"qmgr: 4F2A91: removed!\n", ""},
        {"cleanup: 4F2A91: message-id=<reject: header x, status=sent (removed>\n", ""},
        {"cleanup: 4F2A91: warning: header Subject: reject: header x\n", "reject_warnings=1"},
        {"smtpd: NOQUEUE: reject: RCPT from c[198.51.100.7]: 554 x; helo=<discard: hold: >\n",
         "rejected=1"},
        {"smtpd: disconnect from 4F2A91: client=x[198.51.100.7]\n", ""},
        {"smtpd: warning: 4F2A91: client=x[198.51.100.7]\n", ""},
        {"smtp: host x said: 4F2A91: to=<a@b>" TAIL("sent (x)") "\n", ""},
        {"smtp: 4F2A91: host x said: to=<a@b>" TAIL("sent (x)") "\n", ""},
        {"postscreen: PREGREET 9 after 0 from [198.51.100.7]:80: NOQUEUE: reject: RCPT\n", ""},
        {"pickup: 4F2A91: uid=1000 from=<\"a> orig_id=4F2A90\"@b>\n", "received=1"},
    };

    CHECK(cases);
#undef FORGED
}

/* Every prefix of a line, and every byte of it replaced, is read without harm. */
static void cut_and_broken_lines(void **state)
{
    static const char *const lines[] = {
        "2026-11-22T10:00:00Z vm postfix/smtpd[1]: 4F2A91: client=c[127.0.0.1], orig_queue_id=A1B2",
        "2026-11-22T10:00:00Z vm postfix/qmgr[1]: 4F2A91: from=<a>, size=5, nrcpt=1 (queue active)",
        "Nov 22 10:00:00 vm postfix/smtp[1]: 4F2A91: to=<\"a\"@b>, orig_to=<b>" TAIL(
            "sent (queued as 4F2A92)"),
        "Nov 22 10:00:00 vm postfix/pickup[1]: 4F2A91: uid=1 from=<a> orig_id=4F2A90",
    };
    struct flowing f;
    char line[512];

    flowing_open(&f);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        size_t len = strlen(lines[i]);
        for (size_t n = 0; n <= len; n++)
            flowing_feed(&f, lines[i], n);
        for (size_t n = 0; n < len; n++) {
            memcpy(line, lines[i], len);
            line[n] = (char)(n % 3 == 0 ? 0 : n % 3 == 1 ? ':' : 0xff);
            flowing_feed(&f, line, len);
        }
    }
    assert_non_null(flowing_text(&f));
    flowing_close(&f);
}

/* Of a delivery by local, virtual or pipe nothing is looked at. */
static void no_reply_queues_nothing(void **state)
{
    static const struct gv_span none = {NULL, 0}, one = {")", 1}, given = {"queued as AAAA01)", 17};
    struct gv_queue_id id = gv_mail_queued_as(&none);

    assert_false(gv_queue_id_given(&id));
    id = gv_mail_queued_as(&one);
    assert_false(gv_queue_id_given(&id));
    id = gv_mail_queued_as(&given);
    assert_true(gv_queue_id_given(&id));
}

static void feed(struct flowing *f, const char *line)
{
    flowing_feed(f, line, strlen(line));
}

static void when_it_happened(void **state)
{
    static const struct {
        const char *tz, *stamp;
        uint64_t ms;
    } cases[] = {
        {"UTC", "Nov 22 10:11:12", 1795342272000},
        {"UTC", "Nov 22 10:11:59", 1795342319000}, /* the same minute, by its text */
        {"UTC", "Nov 22 10:12:00", 1795342320000},
        {"UTC", "Nov 22 11:12:00", 1795345920000},
        {"UTC", "Nov 21 11:12:00", 1795259520000},
        {"UTC", "2026-11-22T10:11:12.500000+00:00", 1795342272000},
        {"UTC", "2026-11-22T10:11:13.500000+00:00", 1795342273000},
        {"UTC", "2026-11-22T10:11:13.500000+01:00", 1795338673000},
        {"UTC", "2026-11-22T10:11:14.500000+01:30", 1795336874000},
        {"UTC", "2026-11-22T10:11:14.500000-01:30", 1795347674000},
        {"UTC", "2026-11-22T10:11:15Z", 1795342275000},
        {"UTC", "2026-11-22T10:11:16Z", 1795342276000},
        {"UTC", "2026-11-22 10:11:17", 1795342277000},
        {"UTC", "2025-11-22T10:11:17Z", 1763806277000},
    };
    struct flowing f;
    char line[256];

    flowing_open(&f);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(line, sizeof line, "%s vm postfix/smtp[1]: 4F2A91: to=<a@b>%s", cases[i].stamp,
                 TAIL("bounced (x)"));
        feed(&f, line);
        if (f.last_ms[GV_MAIL_BOUNCED] != cases[i].ms)
            fail_msg("%s: %llu", cases[i].stamp, (unsigned long long)f.last_ms[GV_MAIL_BOUNCED]);
    }
    assert_int_equal(f.told[GV_MAIL_BOUNCED], sizeof cases / sizeof *cases);
    feed(&f, "Nov 31 10:11:12 vm postfix/smtp[1]: 4F2A91: to=<a@b>" TAIL("bounced (x)"));
    assert_int_equal(f.told[GV_MAIL_BOUNCED], sizeof cases / sizeof *cases);
    flowing_close(&f);
}

/* What a filter's round trip takes back is taken from the minute that it was given to. */
static void taken_back_at_its_own_time(void **state)
{
    struct flowing f;

    flowing_open(&f);
    feed(&f, "2026-11-22T10:00:00Z vm postfix/smtpd[1]: AAAA01: client=c[198.51.100.7]");
    feed(&f, "2026-11-22T10:00:30Z vm postfix/smtpd[1]: BBBB01: client=localhost[127.0.0.1]");
    feed(&f, "2026-11-22T10:05:00Z vm postfix/smtp[1]: AAAA01: to=<a@b>, relay=f[127.0.0.1]:1, "
             "delay=1, delays=0/0/0/0, dsn=2.0.0, status=sent (250 queued as BBBB01)");
    assert_string_equal(flowing_text(&f), "received=1 reinjected=1 filtered=1");
    assert_int_equal(f.last_ms[GV_MAIL_RECEIVED], 1795341630000);
    flowing_close(&f);
}

static void the_age_of_the_queue(void **state)
{
    struct gv_mail_queue queue;
    struct flowing f;

    flowing_open(&f);
    gv_mail_flow_queue(f.flow, &queue);
    assert_int_equal(queue.messages + queue.oldest_ms, 0);
    feed(&f, "2026-11-22T10:00:00Z vm postfix/smtpd[1]: AAAA01: client=c[198.51.100.7]");
    feed(
        &f,
        "2026-11-22T10:01:00Z vm postfix/qmgr[1]: AAAA01: from=<>, size=1, nrcpt=1 (queue active)");
    gv_mail_flow_queue(f.flow, &queue);
    assert_int_equal(queue.messages, 1);
    assert_int_equal(queue.oldest_ms, 1795341600000); /* since it came, not since it was taken up */
    /* One from before the log: its deferral says how long it has been there. */
    feed(&f, "2026-11-22T10:02:00Z vm postfix/smtp[1]: BBBB01: to=<a@b>, relay=none, delay=3600.5, "
             "delays=0/0/0/0, dsn=4.0.0, status=deferred (x)");
    gv_mail_flow_queue(f.flow, &queue);
    assert_int_equal(queue.messages, 2);
    assert_int_equal(queue.oldest_ms, 1795341720000 - 3600000);
    feed(&f, "2026-11-22T10:03:00Z vm postfix/qmgr[1]: BBBB01: removed");
    gv_mail_flow_queue(f.flow, &queue);
    assert_int_equal(queue.messages, 1);
    assert_int_equal(queue.oldest_ms, 1795341600000);
    flowing_close(&f);
}

/* Two hosts log to one place: the same short id is two messages. */
static void two_hosts(void **state)
{
    struct gv_mail_queue queue;
    struct flowing f;

    flowing_open(&f);
    feed(&f,
         "Nov 22 10:01:00 mx1 postfix/qmgr[1]: AAAA01: from=<>, size=1, nrcpt=1 (queue active)");
    feed(&f,
         "Nov 22 10:01:00 mx2 postfix/qmgr[1]: AAAA01: from=<>, size=1, nrcpt=1 (queue active)");
    feed(&f, "<22>Nov 22 10:01:00 mx1 postfix/qmgr[1]: AAAA01: removed");
    gv_mail_flow_queue(f.flow, &queue);
    assert_int_equal(queue.messages, 1);
    feed(&f, "Nov 22 10:01:00 mx2 postfix/qmgr[1]: AAAA01: removed");
    gv_mail_flow_queue(f.flow, &queue);
    assert_int_equal(queue.messages, 0);
    /* another syslogd, which writes the level behind the host */
    feed(&f, "Nov 22 10:01:00 mx1 mail.info postfix/qmgr[1]: AAAA02: from=<>, size=1, nrcpt=1 "
             "(queue active)");
    feed(&f, "Nov 22 10:01:00 mx2 mail.info postfix/qmgr[1]: AAAA02: removed");
    gv_mail_flow_queue(f.flow, &queue);
    assert_int_equal(queue.messages, 1);
    feed(&f, "Nov 22 10:01:00 mx1 mail.notice postfix/qmgr[1]: AAAA02: removed");
    gv_mail_flow_queue(f.flow, &queue);
    assert_int_equal(queue.messages, 0);
    flowing_close(&f);
}

/* Other forms of the prefix, other service names, no pid. */
static void every_prefix(void **state)
{
    static const char *const prefixes[] = {
        "Nov 22 10:00:00 vm postfix/qmgr[1]: ",
        "Nov 22 10:00:00 vm postfix/qmgr: ",
        "Nov 22 10:00:00 vm postfix-out/qmgr[1]: ",
        "Nov 22 10:00:00 vm postfix/a/b/qmgr[1]: ",
        "<22>Nov 22 10:00:00 vm postfix/nqmgr[1]: ",
        "<22>1 2026-11-22T10:00:00Z vm postfix/qmgr 1 - - ",
        "2026-11-22T10:00:00.123456+00:00 vm postfix/qmgr[1]: ",
    };
    static const char *const others[] = {
        "Nov 22 10:00:00 vm qmgr[1]: ",
        "Nov 22 10:00:00 vm postfix/qmgrx[1]: ",
        "Nov 22 10:00:00 vm postfix/smtp-qmgr[1]: ",
        "Nov 22 10:00:00 vm postfix/smtpd[1]: ",
    };
    char line[256];

    for (size_t i = 0; i < 11; i++) {
        const char *prefix = i < 7 ? prefixes[i] : others[i - 7];
        struct flowing f;
        flowing_open(&f);
        snprintf(line, sizeof line, "%s4F2A91: from=<a>, size=5, nrcpt=1 (queue active)", prefix);
        feed(&f, line);
        if (strcmp(flowing_text(&f), i < 7 ? "queue=1" : "") != 0)
            fail_msg("%s: %s", prefix, flowing_text(&f));
        flowing_close(&f);
    }
}

/* The table is full: the oldest is forgotten first, and said so. */
static void the_oldest_is_forgotten(void **state)
{
    struct gv_mail_queue queue;
    struct flowing f;
    char line[256];

    flowing_open(&f);
    for (unsigned i = 0; i < GV_MAIL_MESSAGES + 1000; i++) {
        snprintf(line, sizeof line,
                 "2026-11-%02uT%02u:%02u:%02uZ vm postfix/qmgr[1]: %08X: from=<>, size=%u, nrcpt=1 "
                 "(queue active)",
                 1 + i / 3600, i / 3600 % 24, i / 60 % 60, i % 60, 0xA0000000 + i, i + 1);
        feed(&f, line);
    }
    gv_mail_flow_queue(f.flow, &queue);
    assert_int_equal(queue.messages, GV_MAIL_MESSAGES);
    assert_int_equal(queue.forgotten, 1000);
    /* The 1000th is gone, the next is the oldest. */
    feed(&f, "2026-11-22T10:00:00Z vm postfix/smtp[1]: A00003E7: to=<a@b>" TAIL("sent (x)"));
    assert_string_equal(flowing_text(&f), "delivered=1 queue=16384");
    feed(&f, "2026-11-22T10:00:00Z vm postfix/smtp[1]: A00003E8: to=<a@b>" TAIL("sent (x)"));
    assert_string_equal(flowing_text(&f), "delivered=2 bytes_delivered=1001 queue=16384");
    /* Those that are removed make room. */
    for (unsigned i = 1000; i < 2000; i++) {
        snprintf(line, sizeof line, "2026-11-22T10:00:00Z vm postfix/qmgr[1]: %08X: removed",
                 0xA0000000 + i);
        feed(&f, line);
    }
    for (unsigned i = 0; i < 900; i++) {
        snprintf(line, sizeof line,
                 "2026-11-22T10:00:00Z vm postfix/qmgr[1]: %08X: from=<>, size=1, nrcpt=1 (queue "
                 "active)",
                 0xB0000000 + i);
        feed(&f, line);
    }
    gv_mail_flow_queue(f.flow, &queue);
    assert_int_equal(queue.messages, GV_MAIL_MESSAGES - 100);
    assert_int_equal(queue.forgotten, 1000);
    flowing_close(&f);
}

/* Logins come from the observations, and our own refusals are none. */
static void logins(void **state)
{
    struct flowing f;

    flowing_open(&f);
    feed(&f, "Nov 22 10:00:00 vm dovecot: imap-login: Disconnected (auth failed, 3 attempts): "
             "user=<a>, method=PLAIN, rip=198.51.100.7, lip=192.0.2.1, session=<x>");
    feed(&f, "Nov 22 10:00:00 vm dovecot: imap-login: Login: user=<a>, method=PLAIN, "
             "rip=198.51.100.7, lip=192.0.2.1, session=<y>");
    feed(&f, "Nov 22 10:00:00 vm postfix/smtpd[9]: warning: c[198.51.100.7]: SASL LOGIN "
             "authentication failed: policy server refusal");
    assert_string_equal(flowing_text(&f), "logins=1 login_failures=3");
    flowing_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_comes_and_goes),
        cmocka_unit_test(what_becomes_of_it),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(the_queue),
        cmocka_unit_test(a_content_filter_counts_once),
        cmocka_unit_test(a_remote_server_cannot_take_a_count_back),
        cmocka_unit_test(nothing_can_be_forged),
        cmocka_unit_test(cut_and_broken_lines),
        cmocka_unit_test(no_reply_queues_nothing),
        cmocka_unit_test(when_it_happened),
        cmocka_unit_test(taken_back_at_its_own_time),
        cmocka_unit_test(the_age_of_the_queue),
        cmocka_unit_test(two_hosts),
        cmocka_unit_test(every_prefix),
        cmocka_unit_test(the_oldest_is_forgotten),
        cmocka_unit_test(logins),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
