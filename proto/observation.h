/* What one line of the mail log settled about one client. Never leaves the host. (SPEC 10) */
#ifndef GV_PROTO_OBSERVATION_H
#define GV_PROTO_OBSERVATION_H

#include "proto/subject.h"

/* Bits, because a signal names several. The order is part of the wire format (SPEC 8.1). */
enum gv_service {
    GV_SERVICE_UNKNOWN = 1 << 0,
    GV_SERVICE_SMTP = 1 << 1,
    GV_SERVICE_SUBMISSION = 1 << 2,
    GV_SERVICE_IMAP = 1 << 3,
    GV_SERVICE_POP3 = 1 << 4,
    GV_SERVICE_SIEVE = 1 << 5,
    GV_SERVICE_ALL = (1 << 6) - 1
};

enum gv_kind {
    GV_KIND_UNSPECIFIED = 1 << 0,
    GV_KIND_UNKNOWN_ACCOUNT = 1 << 1,
    GV_KIND_WRONG_PASSWORD = 1 << 2,
    GV_KIND_BAD_MECHANISM = 1 << 3,
    GV_KIND_ABORTED = 1 << 4,
    GV_KIND_PROTOCOL = 1 << 5,
    GV_KIND_ALL = (1 << 6) - 1
};

struct gv_observation {
    struct gv_subject subject;
    uint64_t unix_ms;  /* when, by the line's own time stamp */
    uint64_t account;  /* keyed hash of the account name, 0 = not known; never the name itself */
    uint64_t password; /* keyed hash of Dovecot's pwhash, 0 = not known */
    uint32_t attempts; /* failed attempts settled by this line; 0 when `success` */
    uint8_t service;   /* one bit of enum gv_service */
    uint8_t kind;      /* one bit of enum gv_kind; GV_KIND_UNSPECIFIED when `success` */
    bool success;      /* a login that succeeded (local clean history only) */
    bool new_visit;    /* the first observation of its connection: a `visit` of SPEC 12 */
    bool past;         /* of an imported log: counts only as a login, and may be 30 days old */
    bool refused;      /* the attempt was refused by this host's own policy: no points, no signal */
};

/* "submission", "imap", ...; "unknown" for anything that is not exactly one known bit. */
const char *gv_service_name(unsigned service);
/* "wrong-password", ...; "unspecified" likewise. */
const char *gv_kind_name(unsigned kind);

#endif
