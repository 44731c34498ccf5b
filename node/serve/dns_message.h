/* DNS messages, as far as a list of addresses needs them (RFC 1035, 6891, 5782, 8482): one
 * question in, the whole answer out. Pure: bytes in, bytes out. Two zones:
 *
 *   refuse.grapevine      what this host refuses               127.0.0.3
 *   untrusted.grapevine   what the mesh calls untrusted        127.0.0.2
 *
 * under which an IPv4 address is its four numbers backwards and an IPv6 address its 32 hex digits
 * backwards, each a label. A, TXT, SOA and NS have answers. (SPEC 18.2) */
#ifndef GV_NODE_SERVE_DNS_MESSAGE_H
#define GV_NODE_SERVE_DNS_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/subject.h"

#define GV_DNS_QUERY_MAX  512 /* of a query, by UDP and by TCP; ours are of 120 bytes at most */
#define GV_DNS_ANSWER_MAX 512 /* every answer fits: none is ever truncated */
#define GV_DNS_TTL_S      60  /* of what is listed */
#define GV_DNS_NOT_TTL_S  10  /* of "not listed": this long a resolver may miss a new verdict */
#define GV_DNS_TEXT_MAX   160 /* of a reason; one string of TXT */

enum gv_dns_zone { GV_DNS_REFUSE, GV_DNS_UNTRUSTED };

struct gv_dns_source {
    void *context;
    /* Whether the zone lists the subject. */
    bool (*listed)(void *context, enum gv_dns_zone zone, const struct gv_subject *subject);
    /* Why, as terminated text of at most GV_DNS_TEXT_MAX bytes. Asked for TXT only. */
    void (*reason)(void *context, char out[GV_DNS_TEXT_MAX + 1], enum gv_dns_zone zone,
                   const struct gv_subject *subject);
    uint32_t serial; /* of both SOA records */
};

enum gv_dns_state { GV_DNS_QUESTION, GV_DNS_NO_QUESTION, GV_DNS_OTHER_OPERATION, GV_DNS_MALFORMED };

/* What a message asks. */
struct gv_dns_question {
    enum gv_dns_state state;
    bool about_address; /* of one of the zones: `subject` */
    struct gv_subject subject;
    enum gv_dns_zone zone;
    /* For who answers. */
    uint8_t place;
    uint16_t type, class;
    size_t end;       /* behind it, in the message */
    size_t zone_at;   /* where the zone's name begins, in the message */
    bool opt, dnssec; /* dnssec: the DO bit, which the answer repeats (RFC 3225, section 3) */
    uint8_t opt_version;
};

/* Whatever the bytes are. In two steps for who has many questions at once, and wants what the next
 * answers read on its way from the memory meanwhile. */
void gv_dns_read(struct gv_dns_question *out, const uint8_t *query, size_t len);
/* Answers what was read of the query. `welcome` false: whoever asks may not, and is told REFUSED.
 * Returns the length of the answer, or 0 when there is none to give: not a query, or too short for
 * a header. */
size_t gv_dns_write(uint8_t out[GV_DNS_ANSWER_MAX], const uint8_t *query,
                    const struct gv_dns_question *question, const struct gv_dns_source *source,
                    bool welcome);
/* Both. */
size_t gv_dns_answer(uint8_t out[GV_DNS_ANSWER_MAX], const uint8_t *query, size_t len,
                     const struct gv_dns_source *source, bool welcome);

#endif
