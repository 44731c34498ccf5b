/* The short form of statements (SPEC 8.7): what is read is written again byte for byte, and the
 * whole record that it stands for, where that is valid, comes back from its own short form. */
#include <stdint.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/trust/short.h"

#define GENESIS 29512000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_whole(const struct gv_short *brief, const uint8_t *data, size_t size)
{
    uint8_t certificate[GV_ID_LEN] = {0}, out[GV_SHORT_MAX];
    struct gv_statement statement;
    struct gv_buf record;

    memcpy(certificate, brief->prefix, GV_PREFIX_LEN);
    gv_buf_init(&record);
    gv_assert(gv_short_record(&record, brief, certificate) == GV_OK);
    if (gv_statement_parse(&statement, record.data + 1, record.len - 1) == GV_OK) {
        gv_assert((uint8_t)statement.kind == record.data[0]);
        gv_assert(gv_short_write(out, &statement, record.data + 1, GENESIS) == size);
        gv_assert(memcmp(out, data, size) == 0);
    }
    gv_buf_free(&record);
}

/* A body that parses is the one that its author wrote, so what is built again is it, too. */
static void check_from_whole(const uint8_t *data, size_t size)
{
    uint8_t out[GV_SHORT_MAX];
    struct gv_statement statement;
    struct gv_short brief;
    struct gv_buf record;

    if (size < 2 || gv_statement_parse(&statement, data + 1, size - 1) != GV_OK ||
        (uint8_t)statement.kind != data[0])
        return;
    size_t len = gv_short_write(out, &statement, data + 1, GENESIS);
    if (len == 0)
        return;
    gv_assert(len <= GV_SHORT_MAX && len < size);
    gv_assert(gv_short_read(&brief, out, len, GENESIS) == GV_OK);
    gv_buf_init(&record);
    gv_assert(gv_short_record(&record, &brief, statement.certificate) == GV_OK);
    gv_assert(record.len == size && memcmp(record.data, data, size) == 0);
    gv_buf_free(&record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gv_short brief;

    if (size > 0 && gv_short_is(data[0]) && gv_short_read(&brief, data, size, GENESIS) == GV_OK)
        check_whole(&brief, data, size);
    check_from_whole(data, size);
    return 0;
}
