/* Error sentences. Functions of node/ that can fail for a reason the admin must understand take a
 * `struct gv_text *` (may be NULL) and leave one sentence in it that says what to do. */
#ifndef GV_NODE_BASE_TEXT_H
#define GV_NODE_BASE_TEXT_H

#include <stddef.h>
#include <stdint.h>

struct gv_text {
    char text[512]; /* terminated; cut where it would not fit */
};

/* Formats into *out (NULL: does nothing) and returns `error`, so that a failing branch is one
 * line: return gv_fail(error, GV_ERR_IO, "%s: %s", path, strerror(errno)); */
int gv_fail(struct gv_text *out, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Hex, lower case. `out` holds 2 * len + 1 characters and is terminated. */
void gv_hex(char *out, const uint8_t *data, size_t len);
/* Exactly len bytes from 2 * len hex digits of either case, nothing around them. Returns GV_OK or
 * GV_ERR_MALFORMED. */
int gv_unhex(uint8_t *out, size_t len, const char *text);
/* Base64 with padding (RFC 4648, section 4). The result is malloc'd and terminated; NULL when out
 * of memory. */
char *gv_base64(const uint8_t *data, size_t len);
/* Strict. At most cap bytes into out. Returns GV_OK, GV_ERR_MALFORMED or GV_ERR_SPACE. */
int gv_unbase64(uint8_t *out, size_t cap, size_t *out_len, const char *text);

#endif
