/* The API keys of bouncers: DATA/bouncers.json, mode 0600, which holds a keyed hash of each and no
 * key. Changes are on the disk before they are in force. (SPEC 18.7) */
#ifndef GV_NODE_SERVE_BOUNCER_KEYS_H
#define GV_NODE_SERVE_BOUNCER_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/hash.h"
#include "node/base/text.h"

#define GV_BOUNCERS_MAX         128
#define GV_BOUNCER_NAME_MAX     64
#define GV_BOUNCER_KEY_TEXT     65  /* 64 hex digits and the end */
#define GV_BOUNCER_KEY_SENT_MAX 256 /* a longer one is not looked at */

struct gv_bouncer {
    char name[GV_BOUNCER_NAME_MAX + 1];
    uint8_t hash[GV_HASH_LEN];
    uint64_t created_ms;
    /* Since the start, for `grapevine bouncers list`; the caller keeps these. */
    uint64_t number; /* another one each time a name is added */
    uint64_t pulls, last_pull_ms;
    uint8_t last_address[16];
};

struct gv_bouncer_keys;

/* store_key: GV_KEY_LEN bytes, the node's own secret, not kept. Returns GV_OK; GV_ERR_FORBIDDEN
 * (others can write the file), GV_ERR_MALFORMED, GV_ERR_IO, GV_ERR_MEMORY with a sentence. */
int gv_bouncer_keys_open(struct gv_bouncer_keys **out, const char *folder, const uint8_t *store_key,
                         struct gv_text *error);
void gv_bouncer_keys_close(struct gv_bouncer_keys *keys);

/* Letters, digits and . _ -, 1 to 64, beginning with a letter or a digit. GV_OK or
 * GV_ERR_MALFORMED. */
int gv_bouncer_name_check(const char *name, struct gv_text *error);
/* Draws a key; the caller wipes it. GV_ERR_MALFORMED, GV_ERR_DUPLICATE, GV_ERR_FULL, GV_ERR_IO. */
int gv_bouncer_keys_add(struct gv_bouncer_keys *keys, char key[GV_BOUNCER_KEY_TEXT],
                        const char *name, uint64_t unix_ms, struct gv_text *error);
/* GV_ERR_NOT_FOUND, GV_ERR_IO. */
int gv_bouncer_keys_delete(struct gv_bouncer_keys *keys, const char *name, struct gv_text *error);

/* Whose key this is, NULL: nobody's. The time it takes says nothing of the keys. Lent until one is
 * added or deleted. */
struct gv_bouncer *gv_bouncer_keys_find(struct gv_bouncer_keys *keys, const char *key);
/* By number; NULL: not there any more. */
struct gv_bouncer *gv_bouncer_keys_numbered(struct gv_bouncer_keys *keys, uint64_t number);
const struct gv_bouncer *gv_bouncer_keys_all(const struct gv_bouncer_keys *keys, size_t *count);

#endif
