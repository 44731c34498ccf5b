/* What a signal is about: an IPv4 address or an IPv6 /64 (SPEC 2.1). A plain value, compared and
 * hashed as its nine bytes; all unused bytes are zero. */
#ifndef GV_PROTO_SUBJECT_H
#define GV_PROTO_SUBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gv_family { GV_FAMILY_NONE = 0, GV_FAMILY_IPV4 = 4, GV_FAMILY_IPV6 = 6 };

struct gv_subject {
    uint8_t family;   /* enum gv_family */
    uint8_t bytes[8]; /* network order: 4 bytes of IPv4, or the first 8 of IPv6 */
};

/* Longest text: "ffff:ffff:ffff:ffff::/64" and its end. */
#define GV_SUBJECT_TEXT 32

/* Builds a subject from the 4 bytes of an IPv4 or the 16 of an IPv6 address. IPv4-mapped IPv6
 * (::ffff:0:0/96) becomes the IPv4. Returns GV_OK or GV_ERR_MALFORMED (another length). */
int gv_subject_from_address(struct gv_subject *out, const uint8_t *address, size_t len);

/* Parses text: dotted IPv4; IPv6, optionally in brackets, with a zone id (%eth0, ignored) or /64;
 * IPv4-mapped IPv6. Strict: no octal, no short forms, nothing before or after. Not terminated.
 * Returns GV_OK or GV_ERR_MALFORMED. */
int gv_subject_parse(struct gv_subject *out, const char *text, size_t len);

/* Writes "192.0.2.7" or "2001:db8:0:1::/64" (RFC 5952) and a terminating zero. */
void gv_subject_text(char out[GV_SUBJECT_TEXT], const struct gv_subject *subject);

/* Why a subject may not be shared, or GV_SCOPE_PUBLIC. Follows the IANA special-purpose address
 * registries (RFC 6890 and its updates). */
enum gv_scope {
    GV_SCOPE_PUBLIC = 0,
    GV_SCOPE_PRIVATE,       /* RFC 1918, fc00::/7, 100.64.0.0/10 is shared space, counted here */
    GV_SCOPE_LOOPBACK,      /* 127.0.0.0/8, ::1 */
    GV_SCOPE_LINK_LOCAL,    /* 169.254.0.0/16, fe80::/10 */
    GV_SCOPE_DOCUMENTATION, /* 192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24, 2001:db8::/32,
                               3fff::/20 */
    GV_SCOPE_SPECIAL        /* multicast, unspecified, reserved, benchmarking, translation, ... */
};
enum gv_scope gv_subject_scope(const struct gv_subject *subject);

/* True where the mesh may speak of it: public, or documentation in a lab network. */
bool gv_subject_shareable(const struct gv_subject *subject, bool lab);

bool gv_subject_equal(const struct gv_subject *a, const struct gv_subject *b);

/* The subject's wider network, for `cleannet` and for campaigns: IPv4 /24, IPv6 /48. */
struct gv_subject gv_subject_network(const struct gv_subject *subject);

#endif
