/* A config file, of the registry's table, which has every type of key. It is either valid, or has
 * at least one error line; and no line holds a byte that a terminal would obey. */
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "node/registry/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gv_registry_settings settings;
    struct gv_buf errors;

    gv_buf_init(&errors);
    int rc =
        gv_config_parse(&gv_registry_table, &settings, "x.conf", (const char *)data, size, &errors);
    gv_assert((rc == GV_OK) == (errors.len == 0));
    gv_assert(rc == GV_OK || errors.data[errors.len - 1] == '\n');
    for (size_t i = 0; i < errors.len; i++)
        gv_assert(errors.data[i] >= 0x20 || errors.data[i] == '\n');
    if (rc == GV_OK)
        gv_config_free(&gv_registry_table, &settings);
    gv_buf_free(&errors);
    return 0;
}
