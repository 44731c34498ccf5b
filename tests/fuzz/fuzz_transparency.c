/* The transparency log (SPEC 15.2) as somebody may have left it: each line is an entry that
 * follows, one that does not, or none. The counts add up, and what follows is found sound again:
 * with a newline of the input's own choosing behind it, and after one byte of it was changed,
 * broken or cut. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/transparency.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

/* An entry that is made of the input, as the writer would add it. */
static void add(const struct gv_transparency_chain *chain, const char *text, size_t len)
{
    struct gv_transparency_chain next = *chain, other = *chain;
    char line[GV_TRANSPARENCY_LINE], *json;
    const char *said;
    size_t said_len;
    json_t *entry = json_pack("{s:s%, s:i}", "reason", text, len, "v", 1);

    if (!entry) /* no UTF-8 */
        return;
    json = json_dumps(entry, JSON_COMPACT | JSON_ENSURE_ASCII);
    json_decref(entry);
    must(json != NULL);
    if (strlen(json) + GV_TRANSPARENCY_HASH + 2 <= sizeof line) {
        size_t n = gv_transparency_line(line, chain, json, strlen(json));
        must(n > 0 && n <= sizeof line && line[n - 1] == '\n');
        must(gv_transparency_take(&next, &said, &said_len, line, n - 1) == GV_TRANSPARENCY_SOUND);
        must(said_len == strlen(json) && memcmp(said, json, said_len) == 0);
        line[len % (n - 1)] ^= 1;
        must(gv_transparency_take(&other, &said, &said_len, line, n - 1) != GV_TRANSPARENCY_SOUND);
    }
    free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gv_transparency_chain chain;
    const char *text = (const char *)data;
    struct gv_text error;
    char reason[512];

    gv_transparency_begin(&chain);
    for (uint64_t lines = 1; size > 0; lines++) {
        const char *newline = memchr(text, '\n', size), *json = NULL;
        size_t len = newline ? (size_t)(newline - text) : size, json_len = 0;
        char *exact = malloc(len ? len : 1);
        must(exact != NULL);
        memcpy(exact, text, len);
        enum gv_transparency_said said = gv_transparency_take(&chain, &json, &json_len, exact, len);
        must(said == GV_TRANSPARENCY_CUT || (json >= exact && json + json_len <= exact + len));
        must(chain.lines == lines && strlen(chain.head) == GV_TRANSPARENCY_HASH);
        must(chain.entries <= lines && chain.broken <= lines && chain.cut <= lines);
        must((chain.broken > 0) == (chain.first_broken > 0));
        must((chain.cut > 0) == (chain.first_cut > 0));
        if (len < sizeof reason) {
            memcpy(reason, exact, len);
            reason[len] = '\0';
            if (gv_transparency_reason(reason, &error) == 0)
                must(!strpbrk(reason, "@\n\r\033"));
        }
        add(&chain, exact, len < 200 ? len : 200);
        free(exact);
        text += len + (newline != NULL);
        size -= len + (newline != NULL);
    }
    return 0;
}
