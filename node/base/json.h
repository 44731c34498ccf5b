/* JSON from strangers and for them (jansson): parsed within bounds, read with typed getters. */
#ifndef GV_NODE_BASE_JSON_H
#define GV_NODE_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/base/text.h"

#define GV_JSON_DEPTH 16

/* Parses exactly one value of at most max bytes, nested at most GV_JSON_DEPTH deep, without
 * duplicate keys and without U+0000 in strings. Returns GV_OK, GV_ERR_RANGE (too long or too
 * deep), GV_ERR_MALFORMED. On GV_OK the caller json_decref's *out. */
int gv_json_parse(json_t **out, const void *data, size_t len, size_t max, struct gv_text *error);

/* Getters of an object's member. Returns GV_OK; GV_ERR_NOT_FOUND (absent or null);
 * GV_ERR_MALFORMED (another type, not this encoding); GV_ERR_RANGE (too long, too large). The
 * sentence names the member. Outputs are untouched on failure, except byte arrays. */
int gv_json_string(const char **out, const json_t *object, const char *key, size_t max,
                   struct gv_text *error); /* borrowed from the object */
int gv_json_u64(uint64_t *out, const json_t *object, const char *key, uint64_t max,
                struct gv_text *error);
int gv_json_bool(bool *out, const json_t *object, const char *key, struct gv_text *error);
int gv_json_hex(uint8_t *out, size_t len, const json_t *object, const char *key,
                struct gv_text *error); /* exactly len bytes */
int gv_json_base64(uint8_t *out, size_t cap, size_t *out_len, const json_t *object, const char *key,
                   struct gv_text *error);

/* New json strings. NULL when out of memory. */
json_t *gv_json_new_hex(const uint8_t *data, size_t len);
json_t *gv_json_new_base64(const uint8_t *data, size_t len);

#endif
