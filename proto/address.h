/* A transport address: IPv4 or IPv6, and a TCP port. (For an IP address alone: ip_address.h.) */
#ifndef GV_PROTO_ADDRESS_H
#define GV_PROTO_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/subject.h"

struct gv_address {
    uint8_t family;    /* enum gv_family; GV_FAMILY_NONE: no address */
    uint8_t bytes[16]; /* network order: 4 or 16 are used, the rest is zero */
    uint16_t port;     /* host order */
};

#define GV_ADDRESS_TEXT 64 /* "[ffff:...]:65535" and its end */

/* Parses "192.0.2.1:4727" or "[2001:db8::1]:4727". Returns GV_OK or GV_ERR_MALFORMED. */
int gv_address_parse(struct gv_address *out, const char *text, size_t len);
void gv_address_text(char out[GV_ADDRESS_TEXT], const struct gv_address *address);
bool gv_address_equal(const struct gv_address *a, const struct gv_address *b);

/* Wire form: 6 or 18 bytes (address, port big-endian); empty for none. Returns its length. */
size_t gv_address_pack(uint8_t out[18], const struct gv_address *address);
/* Returns GV_OK or GV_ERR_MALFORMED (another length, port 0). */
int gv_address_unpack(struct gv_address *out, const uint8_t *wire, size_t len);

/* The key under which strangers are counted: the IPv4 address or the IPv6 /64. */
struct gv_subject gv_address_subject(const struct gv_address *address);

/* The network group (SPEC 3.2) of an address, for spreading connections: /16 or IPv6 /32. */
uint64_t gv_address_group(const struct gv_address *address);

#endif
