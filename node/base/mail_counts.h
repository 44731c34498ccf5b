/* The counts of a host's mail flow: server-wide sums, and nothing about any mailbox. What each
 * counts: SPEC 10.7. */
#ifndef GV_BASE_MAIL_COUNTS_H
#define GV_BASE_MAIL_COUNTS_H

/* Name in C, in JSON, and for people. Messages, but for deliveries (one a recipient), deferrals
 * (one an attempt) and bytes. */
#define GV_MAIL_COUNTS(X)                                                                          \
    X(RECEIVED, "received", "received")                                                            \
    X(DELIVERED, "delivered", "delivered")                                                         \
    X(FORWARDED, "forwarded", "forwarded")                                                         \
    X(DEFERRED, "deferred", "deferred")                                                            \
    X(DEFERRALS, "deferrals", "deferrals")                                                         \
    X(BOUNCED, "bounced", "bounced")                                                               \
    X(EXPIRED, "expired", "expired")                                                               \
    X(REJECTED, "rejected", "rejected")                                                            \
    X(REJECT_WARNINGS, "reject_warnings", "reject warnings")                                       \
    X(HELD, "held", "held")                                                                        \
    X(DISCARDED, "discarded", "discarded")                                                         \
    X(BYTES_RECEIVED, "bytes_received", "bytes received")                                          \
    X(BYTES_DELIVERED, "bytes_delivered", "bytes delivered")                                       \
    /* A content filter's round trips: left out of received and delivered. */                      \
    X(REINJECTED, "reinjected", "taken back from a filter")                                        \
    X(FILTERED, "filtered", "handed to a filter")                                                  \
    X(LOGINS, "logins", "logins")                                                                  \
    X(LOGIN_FAILURES, "login_failures", "failed logins")

enum gv_mail_count {
#define X(name, json, text) GV_MAIL_##name,
    GV_MAIL_COUNTS(X)
#undef X
        GV_MAIL_COUNT_MAX
};

/* "received", ... as in JSON; and for people. */
const char *gv_mail_count_name(enum gv_mail_count which);
const char *gv_mail_count_text(enum gv_mail_count which);

#endif
