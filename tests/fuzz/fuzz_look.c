/* What a look reads (SPEC 15.2): lines of a mail log and of `postqueue -j`. First byte: which view;
 * then lines. Each look takes 12 MB and wipes them: few a second. */
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "node/cli/look.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(enum gv_look_view view, const char *text, const char *end)
{
    static const uint8_t key[16] = {1};
    const struct gv_tally_entry *top[8];
    struct gv_look *found = gv_look_new(view, key, 0);
    size_t len;

    if (!found)
        abort();
    for (; text < end; text += len + 1) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        len = (size_t)((newline ? newline : end) - text);
        if (view == GV_LOOK_QUEUE)
            gv_look_queued(found, text, len);
        else
            gv_look_line(found, text, len, 1795341400000);
    }
    for (unsigned i = 0; i < GV_LOOK_TABLES; i++) {
        const struct gv_tally *tally = gv_look_tally(found, i);
        size_t n = gv_tally_top(tally, top, 8);
        gv_assert(gv_tally_size(tally) <= GV_TALLY_MAX && n <= 8);
        for (size_t j = 0; j < n; j++)
            gv_assert(top[j]->name_len <= GV_TALLY_NAME &&
                      (j == 0 || top[j]->weight <= top[j - 1]->weight));
    }
    gv_look_free(found);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data + 1, *end = (const char *)data + size;

    if (size == 0)
        return 0;
    look(data[0] % 5 % GV_LOOK_VIEWS, text, end);
    return 0;
}
