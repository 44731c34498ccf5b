/* What a backup of a registry is made of: the file SHA256SUMS in its folder, written last, so that
 * a copy that was cut short, or lost or changed a file, is no backup. The form is that of
 * sha256sum(1). */
#ifndef GV_NODE_REGISTRY_MANIFEST_H
#define GV_NODE_REGISTRY_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/base/text.h"
#include "proto/buf.h"

#define GV_FILE_MANIFEST     "SHA256SUMS"
#define GV_MANIFEST_MAX      24  /* fixed names, and the six files that registry.conf can name */
#define GV_MANIFEST_NAME_MAX 200 /* "name" or "folder/name" */

struct gv_manifest {
    size_t count;
    struct gv_manifest_item {
        char name[GV_MANIFEST_NAME_MAX + 1];
        uint8_t hash[32];
    } items[GV_MANIFEST_MAX];
};

/* Relative, in the folder or one folder below it, and nothing that leads elsewhere. */
bool gv_manifest_name_fits(const char *name);
const struct gv_manifest_item *gv_manifest_find(const struct gv_manifest *manifest,
                                                const char *name); /* NULL: not in it */
/* With the hash of what stands in the folder under that name. Twice the same is once. */
int gv_manifest_add(struct gv_manifest *manifest, const char *folder, const char *name,
                    struct gv_text *why);
/* Appended; and back: GV_OK or GV_ERR_MALFORMED, also for a name twice. */
void gv_manifest_text(const struct gv_manifest *manifest, struct gv_buf *out);
int gv_manifest_parse(struct gv_manifest *out, const char *text, size_t len);
int gv_manifest_write(const struct gv_manifest *manifest, const char *folder, struct gv_text *why);
/* GV_ERR_NOT_FOUND: none there; GV_ERR_MALFORMED. */
int gv_manifest_read(struct gv_manifest *out, const char *folder, struct gv_text *why);
/* Every file is there as it was; `optional` may be missing. GV_ERR_NOT_FOUND, GV_ERR_MALFORMED. */
int gv_manifest_check(const struct gv_manifest *manifest, const char *folder, const char *optional,
                      struct gv_text *why);

#endif
