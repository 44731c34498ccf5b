/* Counts per key and window, in memory of a fixed size: who asks how often. Keys are 16 bytes (a
 * client address, an owner tag, a hash). When crowded, the oldest neighbour makes room, so a flood
 * of keys can make the table forget, never grow. */
#ifndef GV_NODE_REGISTRY_RATE_H
#define GV_NODE_REGISTRY_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gv_rate_entry {
    uint8_t key[16];
    uint32_t start_min; /* of its window */
    uint32_t count;     /* 0: free */
};

struct gv_rate {
    struct gv_rate_entry *entries; /* owned */
    size_t capacity;               /* a power of two */
    uint32_t window_min;
    uint8_t hash_key[16]; /* random, so that nobody can aim at a neighbour */
};

/* Returns GV_OK or GV_ERR_MEMORY. */
int gv_rate_init(struct gv_rate *rate, size_t capacity, uint32_t window_min);
void gv_rate_free(struct gv_rate *rate);

/* Counts one. False when the key has `limit` in its window already; *wait_min (may be NULL) is
 * then how long until it may again. */
bool gv_rate_take(struct gv_rate *rate, const uint8_t key[16], uint32_t limit, uint32_t now_min,
                  uint32_t *wait_min);
/* Takes one back: what was counted did not happen. */
void gv_rate_give_back(struct gv_rate *rate, const uint8_t key[16]);

#endif
