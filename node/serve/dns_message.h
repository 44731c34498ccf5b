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

/* Answers one message. `welcome` false: whoever asks may not, and is told REFUSED. Returns the
 * length of the answer, or 0 when there is none to give: not a query, or too short for a header. */
size_t gv_dns_answer(uint8_t out[GV_DNS_ANSWER_MAX], const uint8_t *query, size_t len,
                     const struct gv_dns_source *source, bool welcome);
/* The address that a question is about, for who has the next ones already and wants what an answer
 * reads on its way. False: it is about none. */
bool gv_dns_subject(struct gv_subject *out, const uint8_t *query, size_t len);

#endif
