/* The sections [firewall] and [hooks] of the configuration. Private to options.c. */
#ifndef GV_NODE_BASE_OPTIONS_ENFORCE_H
#define GV_NODE_BASE_OPTIONS_ENFORCE_H

#include "node/base/options.h"
#include "node/base/text.h"

#define GV_OPTIONS_KEYS_MAX 80

/* Puts the keys of these sections in after the `count` first of `all`; returns how many there are
 * then. */
size_t gv_options_enforce_keys(struct gv_config_key all[GV_OPTIONS_KEYS_MAX], size_t count);

struct gv_options_mistake {
    const char *section, *key;
    struct gv_text what;
};
/* What the types cannot say. Fills in what is derived. Returns GV_OK, or GV_ERR_CONFIG and the
 * first mistake. */
int gv_options_check_enforce(struct gv_options *options, struct gv_options_mistake *mistake);

/* As gv_options_fixed_change. */
const char *gv_options_enforce_fixed_change(const struct gv_options *now,
                                            const struct gv_options *next);

#endif
