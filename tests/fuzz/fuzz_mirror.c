/* The registry's log as it comes to a node that copies it (SPEC 14.7): entries of any bytes in any
 * portions, and heads of any size and root. What is no whole number of entries is refused and
 * changes nothing; the tree is that of what was taken, whatever the portions; a head fits when its
 * root is that tree's, and never otherwise; and what no head covers is forgotten entirely. */
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "node/host/mirror.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

static struct gv_mirror empty(void)
{
    struct gv_mirror mirror;
    struct gv_descriptor none;

    memset(&none, 0, sizeof none);
    must(gv_mirror_open(&mirror, "/nonexistent", "log", &none, NULL) == GV_OK);
    must(mirror.tree.size == 0 && !mirror.has_head);
    return mirror;
}

static struct gv_log_head head_of(const struct gv_mirror *mirror)
{
    struct gv_log_head head;

    memset(&head, 0, sizeof head);
    head.size = mirror->tree.size;
    gv_merkle_root(head.root, &mirror->tree, head.size);
    return head;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gv_mirror piecewise, whole;
    const uint8_t *from = data;
    size_t left = size, taken = 0;
    uint8_t *all = malloc(size ? size : 1);

    must(all != NULL);
    piecewise = empty();
    whole = empty();
    while (left > 0) { /* a portion: how long it is to be, and so many bytes */
        size_t wanted = from[0] & 0x80 ? from[0] : (from[0] & 7) * (size_t)GV_LOG_ENTRY_LEN;
        size_t len = wanted < left - 1 ? wanted : left - 1;
        uint64_t before = piecewise.tree.size;
        int rc = gv_mirror_append(&piecewise, from + 1, len);
        must((rc == GV_OK) == (len % GV_LOG_ENTRY_LEN == 0));
        if (rc == GV_OK) {
            memcpy(all + taken, from + 1, len);
            taken += len;
        } else {
            must(piecewise.tree.size == before);
        }
        from += 1 + len;
        left -= 1 + len;
    }
    must(piecewise.tree.size == taken / GV_LOG_ENTRY_LEN);
    must(gv_mirror_append(&whole, all, taken) == GV_OK);
    struct gv_log_head head = head_of(&piecewise), other = head_of(&whole);
    must(memcmp(head.root, other.root, sizeof head.root) == 0);
    must(gv_mirror_fits(&whole, &head));
    head.root[size % sizeof head.root] ^= 1;
    must(!gv_mirror_fits(&whole, &head));
    for (size_t at = 0; at < taken; at += GV_LOG_ENTRY_LEN)
        must(gv_mirror_has(&whole, gv_log_entry_certificate(all + at)));
    gv_mirror_back(&whole); /* no head has covered any of it */
    must(whole.tree.size == 0 &&
         (taken == 0 || !gv_mirror_has(&whole, gv_log_entry_certificate(all))));
    gv_mirror_close(&piecewise);
    gv_mirror_close(&whole);
    free(all);
    return 0;
}
