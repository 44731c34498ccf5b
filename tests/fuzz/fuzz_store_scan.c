/* Rows looked for on the pages of a damaged store (SPEC 9.7). The first two bytes say how much of
 * the rest is the file; what follows is its log. Whatever is handed out lies in memory that can be
 * read, has a length that fits, and is not more than the bytes that were there allow. */
#include <stdint.h>
#include <string.h>

#include "crypto/error.h"
#include "node/base/store_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    size_t bytes, rows;
    uint32_t sum;
};

static bool on_found(void *context, const struct gv_store_field *fields, size_t count)
{
    struct seen *seen = context;

    gv_assert(count > 0 && count <= GV_STORE_FIELDS_MAX);
    for (size_t i = 0; i < count; i++) {
        gv_assert(fields[i].kind <= GV_STORE_OTHER);
        gv_assert(fields[i].kind != GV_STORE_NULL || fields[i].len == 0);
        for (size_t b = 0; b < fields[i].len; b++)
            seen->sum += fields[i].data[b];
        seen->bytes += fields[i].len;
    }
    seen->rows++;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen one = {0, 0, 0}, other = {0, 0, 0};

    if (size < 2)
        return 0;
    size_t file = (size_t)data[0] << 8 | data[1];
    data += 2;
    size -= 2;
    if (file > size)
        file = size;
    gv_assert(gv_store_scan(data, file, data + file, size - file, on_found, &one) == GV_OK);
    gv_assert(one.bytes <= 4 * size);
    gv_assert(gv_store_scan(data, file, data + file, size - file, on_found, &other) == GV_OK);
    gv_assert(one.rows == other.rows && one.sum == other.sum);
    (void)gv_store_log_damaged(data + file, size - file);
    return 0;
}
