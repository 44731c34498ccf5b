/* Rows of the store that hold addresses for as long as a connection is open: sealed, so that
 * neither the file nor a copy of it names who logged in (SPEC 15). Not authenticated: each row of
 * the store has a MAC. */
#ifndef GV_NODE_BASE_SEALED_H
#define GV_NODE_BASE_SEALED_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/identity.h"

#define GV_SEALED_MORE 24u /* bytes that a sealed row is longer */

/* `out` has room for len + GV_SEALED_MORE bytes; a nonce of its own stands first. */
void gv_seal(uint8_t *out, const uint8_t store_key[GV_KEY_LEN], const void *data, size_t len);
/* `out` has room for sealed_len - GV_SEALED_MORE bytes; sealed_len is not less. */
void gv_unseal(void *out, const uint8_t store_key[GV_KEY_LEN], const uint8_t *sealed,
               size_t sealed_len);

#endif
