/* Where a registry keeps its things, for commands that work beside a running one. */
#ifndef GV_NODE_REGISTRY_PLACE_H
#define GV_NODE_REGISTRY_PLACE_H

#include "node/base/text.h"
#include "node/registry/records.h"
#include "node/registry/settings.h"

struct gv_place {
    char *folder;   /* keys, descriptor; owned */
    char *database; /* a file or a URL (node/registry/sql.h); owned */
};

/* From the folder (whose registry.conf, if there is one, may name a database), or from a config
 * file; one of the two is NULL. What is wrong with a config file is printed. Returns GV_OK,
 * GV_ERR_CONFIG, GV_ERR_MEMORY. */
int gv_place_find(struct gv_place *out, const char *folder, const char *config);
void gv_place_free(struct gv_place *place);
int gv_place_open(struct gv_records **out, const struct gv_place *place, struct gv_text *why);

/* The file or URL that the settings name; malloc'd. */
char *gv_registry_database(const struct gv_registry_settings *settings);

#endif
