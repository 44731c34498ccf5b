/* IP addresses as text, strictly (RFC 4291 section 2.2, RFC 5952 for output). The one parser and
 * the one printer of the project; subject.c, address.c and settings.c build on it. */
#ifndef GV_PROTO_IP_H
#define GV_PROTO_IP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GV_IP_TEXT 40 /* longest text without its end: 39 */

/* Parses dotted IPv4 (no leading zeros, four parts) or IPv6 (optionally in brackets, optionally
 * with a zone id after %, which is dropped; dotted tail allowed). IPv4-mapped IPv6 gives the IPv4.
 * Nothing before or after. *family is enum gv_family; unused bytes are zero.
 * Returns GV_OK or GV_ERR_MALFORMED. */
int gv_ip_parse(uint8_t *family, uint8_t bytes[16], const char *text, size_t len);

/* Dotted IPv4 alone. False: it is none, and nothing is said of what is in `out`. */
bool gv_ip4_parse(uint8_t out[4], const char *text, size_t len);

/* The same of what [text, limit) begins with, text < limit. Returns what is behind it; NULL: it is
 * none. */
const char *gv_ip4_read(uint8_t out[4], const char *text, const char *limit);

/* Writes the text and a terminating zero, returns its length (0 for an unknown family). */
size_t gv_ip_text(char out[GV_IP_TEXT], uint8_t family, const uint8_t bytes[16]);

#endif
