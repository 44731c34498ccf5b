/* How far the members of a world are from each other: one way, in ms, the same for both.
 * (SPEC 17.1) */
#ifndef GV_SIM_LATENCY_H
#define GV_SIM_LATENCY_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/drbg.h"

#define GV_LATENCY_NEAR_MS 3u   /* within a network: at most */
#define GV_LATENCY_FAR_MS  150u /* between two: at most */

/* Where the time between two of them is: each pair once, members * (members - 1) / 2 in all. */
size_t gv_latency_place(size_t members, size_t a, size_t b);

/* Each pair alike: from low to high. out: by gv_latency_place. */
void gv_latency_uniform(uint16_t *out, size_t members, uint32_t low_ms, uint32_t high_ms,
                        struct gv_drbg *drbg);

/* Networks have places on a map, members lie in networks. Within a network 1 to 3 ms; between two
 * what the distance takes, the whole diagonal 116 ms, and up to a quarter more for the way that a
 * pair's packets take, and 4 to 7 ms for the ends. network_of: of each member, from 0; filled. */
void gv_latency_networks(uint16_t *out, uint16_t *network_of, size_t members, size_t networks,
                         struct gv_drbg *drbg);

#endif
