/* One whole client address, read strictly from text. A subject (proto/subject.h) is what the mesh
 * speaks of and forgets half of an IPv6 address; this does not. (SPEC 2.1) */
#ifndef GV_PROTO_IP_ADDRESS_H
#define GV_PROTO_IP_ADDRESS_H

#include "proto/subject.h"

struct gv_ip_address {
    uint8_t family;    /* enum gv_family */
    uint8_t bytes[16]; /* network order; the 12 unused bytes of an IPv4 address are zero */
};

/* Longest text: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" and its end. */
#define GV_IP_ADDRESS_TEXT 40

/* Parses dotted IPv4 or IPv6 text of exactly `len` bytes. Strict: no octal, no short forms, no
 * brackets, nothing before or after. A zone id (%eth0) is allowed and forgotten. IPv4-mapped IPv6
 * becomes the IPv4. Returns GV_OK or GV_ERR_MALFORMED. */
int gv_ip_address_parse(struct gv_ip_address *out, const char *text, size_t len);

/* Writes the canonical text (RFC 5952 for IPv6) and a terminating zero; returns its length. An
 * address of no family becomes "". */
size_t gv_ip_address_text(char out[GV_IP_ADDRESS_TEXT], const struct gv_ip_address *address);

/* The subject that the address belongs to. */
struct gv_subject gv_ip_address_subject(const struct gv_ip_address *address);

/* Whether the address belongs to the subject. */
bool gv_ip_address_of(const struct gv_ip_address *address, const struct gv_subject *subject);

bool gv_ip_address_equal(const struct gv_ip_address *a, const struct gv_ip_address *b);

#endif
