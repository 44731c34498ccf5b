/* Secrets: erased when done with, compared in constant time. */
#ifndef GV_CRYPTO_WIPE_H
#define GV_CRYPTO_WIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void gv_wipe(void *data, size_t len);                           /* never optimised away */
bool gv_equal_secret(const void *a, const void *b, size_t len); /* constant time in len */

#endif
