/* The short form in which a statement travels between peers that both know it (SPEC 8.7). It names
 * its certificate by four bytes and leaves out what the network and the other fields tell; the
 * signature is over the whole body, which the receiver builds again. */
#ifndef GV_PROTO_TRUST_SHORT_H
#define GV_PROTO_TRUST_SHORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/buf.h"
#include "proto/limits.h"
#include "proto/trust/signal.h"

/* 1 + 4 + 8 + 5 + 9 + 2 + 2 + 64: the longest there is. */
#define GV_SHORT_MAX 95

struct gv_short {
    struct gv_statement statement; /* but for its certificate: all zeros */
    uint8_t prefix[GV_PREFIX_LEN]; /* of the certificate's id */
    uint8_t signature[GV_SIGNATURE_LEN];
};

/* Whether it is meant to be one, by its first byte. */
bool gv_short_is(uint8_t first);
/* Writes it into out (GV_SHORT_MAX bytes) and returns its length; 0: it has none (dated before the
 * network's genesis, or numbered before its own minute), and travels whole. The statement is
 * valid. */
size_t gv_short_write(uint8_t *out, const struct gv_statement *statement,
                      const uint8_t signature[GV_SIGNATURE_LEN], uint32_t genesis_min);
/* Returns GV_OK or GV_ERR_MALFORMED. Whether the statement is valid is for gv_statement_parse, on
 * the whole. */
int gv_short_read(struct gv_short *out, const uint8_t *data, size_t len, uint32_t genesis_min);
/* Appends the record (kind byte || wire) as the author signed it, if this is his certificate.
 * Returns GV_OK or GV_ERR_MEMORY. */
int gv_short_record(struct gv_buf *out, const struct gv_short *brief,
                    const uint8_t certificate[GV_ID_LEN]);

#endif
