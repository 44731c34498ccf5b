/* What the admin chose for this node; part of nobody's verdict but his own actions. */
#ifndef GV_PROTO_SETTINGS_H
#define GV_PROTO_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/address.h"

/* An address range of the allow or deny list. */
struct gv_prefix {
    uint8_t family;    /* enum gv_family */
    uint8_t bits;      /* 0..32, 0..128 */
    uint8_t bytes[16]; /* masked: bits beyond the prefix are zero */
};
#define GV_PREFIX_TEXT 64

/* Parses "192.0.2.0/24", "2001:db8::/32" or a plain address; IPv4-mapped IPv6 (from /96) becomes
 * IPv4. Host bits set beyond the prefix are an error. Returns GV_OK or GV_ERR_MALFORMED. */
int gv_prefix_parse(struct gv_prefix *out, const char *text, size_t len);
void gv_prefix_text(char out[GV_PREFIX_TEXT], const struct gv_prefix *prefix);
/* 192.0.2.7/32, 2001:db8:0:1::/64. */
struct gv_prefix gv_prefix_of_subject(const struct gv_subject *subject);
/* No range: it names one subject, an address or (part of) a /64. */
bool gv_prefix_is_single(const struct gv_prefix *prefix);
/* The subject that its first address is in. */
struct gv_subject gv_prefix_subject(const struct gv_prefix *prefix);
/* True if the subject lies in the prefix; an IPv6 prefix longer than /64 matches the /64 it is in,
 * because a subject is the whole /64. */
bool gv_prefix_matches(const struct gv_prefix *prefix, const struct gv_subject *subject);

enum gv_share { GV_SHARE_NO, GV_SHARE_PREVIEW, GV_SHARE_YES };

struct gv_settings {
    enum gv_share share;
    bool refuse_on_consensus;
    struct gv_address advertise; /* told to the mesh; GV_FAMILY_NONE: a node that only dials out */
    uint16_t max_links;          /* connections at most, incoming included: 16..1024 */
    size_t allow_count, deny_count;
    const struct gv_prefix *allow, *deny; /* from the configuration file; copied by the core */
    size_t seed_count;
    const char *const *seeds; /* "host:port" beside those of the descriptor; copied by the core */
};

#endif
