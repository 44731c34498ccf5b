/* Both ends of a session work out the same X25519 secrets; in one process the second may be told
 * what the first found. Around libsodium's functions by the linker (--wrap), in grapevine-sim and
 * its tests; what comes out is what libsodium gives. */
#ifndef GV_SIM_AGREE_H
#define GV_SIM_AGREE_H

#include <stdbool.h>

void gv_agree_begin(bool remember); /* a world begins; false: each end computes (--real-crypto) */
void gv_agree_end(void);            /* forgets all secrets */

#endif
