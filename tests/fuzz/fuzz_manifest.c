/* SHA256SUMS of a registry's backup: whatever stands in it, no name leads out of the folder or
 * comes twice, and what was read is written as it was (but for the case of digits). */
#include <string.h>
#include <strings.h>

#include "crypto/error.h"
#include "node/registry/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct gv_manifest manifest;
    struct gv_buf text;

    if (gv_manifest_parse(&manifest, (const char *)data, size) != GV_OK)
        return 0;
    for (size_t i = 0; i < manifest.count; i++) {
        const char *name = manifest.items[i].name, *slash = strchr(name, '/');
        gv_assert(*name && *name != '/' && !strstr(name, "..") && !strchr(name, '\n'));
        gv_assert(!slash || (slash[1] && !strchr(slash + 1, '/')));
        gv_assert(gv_manifest_find(&manifest, name) == &manifest.items[i]);
    }
    gv_buf_init(&text);
    gv_manifest_text(&manifest, &text);
    gv_assert(text.len == size);
    gv_assert(size == 0 || strncasecmp((const char *)text.data, (const char *)data, size) == 0);
    gv_buf_free(&text);
    return 0;
}
