/* Statements go out and come in by their short form where both ends know it (SPEC 8.7). */
#include <string.h>

#include "crypto/error.h"
#include "proto/limits.h"
#include "proto/mesh/state.h"
#include "proto/trust/short.h"

/* Of four bytes that name two certificates here, the other end may know one only. */
static bool is_clear(const struct gv_core *core, const uint8_t certificate[GV_ID_LEN])
{
    const struct gv_certificate_row *rows[2];

    return gv_roster_prefixed(&core->roster, rows, 2, certificate) == 1;
}

void gv_brief_put(const struct gv_core *core, const struct gv_link *link, struct gv_buf *message,
                  const struct gv_item *item)
{
    const struct gv_held *held = item->tree == GV_TREE_ROSTER ? NULL : item->row;
    uint8_t brief[GV_SHORT_MAX];
    size_t len = 0;

    if (held && link->version >= GV_VERSION_SHORT && is_clear(core, held->statement.certificate))
        len =
            gv_short_write(brief, &held->statement, item->record + 1, core->descriptor.genesis_min);
    if (len > 0)
        gv_message_record(message, brief, len);
    else
        gv_message_record(message, item->record, item->len);
}

/* Tries each certificate that it may mean: a signature is good under the right one alone. When none
 * is right, the sender may know one that is not known here, and nobody is to blame. */
static int try_each(struct gv_core *core, struct gv_link *link, const struct gv_short *brief,
                    enum gv_source_kind source)
{
    const struct gv_certificate_row *rows[GV_PREFIX_TRIES];
    uint8_t ids[GV_PREFIX_TRIES][GV_ID_LEN];
    size_t count = gv_roster_prefixed(&core->roster, rows, GV_PREFIX_TRIES, brief->prefix);
    int result = GV_ERR_NO_CERTIFICATE;

    for (size_t i = 0; i < count; i++) /* a row may go while the one before is tried */
        memcpy(ids[i], rows[i]->id, GV_ID_LEN);
    for (size_t i = 0; i < count && !link->closing; i++) {
        if (link->spent.mismatches >= GV_MISMATCHES_PER_MINUTE)
            return GV_ERR_NO_CERTIFICATE;
        gv_buf_clear(&core->whole);
        int rc = gv_short_record(&core->whole, brief, ids[i]);
        if (rc == GV_OK)
            rc = gv_admit(core, core->whole.data, core->whole.len, source, link->id);
        if (rc == GV_OK || rc == GV_ERR_DUPLICATE || rc == GV_ERR_MEMORY)
            return rc;
        if (rc != GV_ERR_SIGNATURE)
            result = rc;
        else
            link->spent.mismatches++;
    }
    return result;
}

int gv_brief_take(struct gv_core *core, struct gv_link *link, const uint8_t *data, size_t len,
                  enum gv_source_kind source)
{
    struct gv_short brief;

    if (link->version < GV_VERSION_SHORT)
        return GV_ERR_MALFORMED;
    if (!core->has_descriptor)
        return GV_ERR_STATE;
    int rc = gv_short_read(&brief, data, len, core->descriptor.genesis_min);
    return rc == GV_OK ? try_each(core, link, &brief, source) : rc;
}
