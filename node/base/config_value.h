/* One value of a config table: from its text into the program's struct, and its release. Private
 * to config.c. */
#ifndef GV_NODE_BASE_CONFIG_VALUE_H
#define GV_NODE_BASE_CONFIG_VALUE_H

#include "node/base/config.h"
#include "node/base/text.h"

bool gv_config_is_list(enum gv_config_type type);

/* Sets the key's field in `out`. Relative paths are taken from `folder` (may be ""). On failure
 * the sentence says what is wrong and what would be right, and the field is empty.
 * Returns GV_OK, GV_ERR_CONFIG or GV_ERR_MEMORY. */
int gv_config_set(const struct gv_config_key *key, void *out, const char *text, const char *folder,
                  struct gv_text *error);

/* Frees what the field owns and zeroes it. */
void gv_config_clear(const struct gv_config_key *key, void *out);

/* "a whole number from 1 to 65535": what may stand there. */
void gv_config_describe(struct gv_text *out, const struct gv_config_key *key);

/* Seconds as one would write them: "90s", "15m", "24h", "30d". */
void gv_config_duration_text(char out[32], int64_t seconds);

#endif
