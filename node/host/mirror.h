/* This node's copy of the registry's log of certificates (SPEC 14.7): a tree, the ids in it, and
 * two files. Only what a signed head covers is ever written; what does not fit its head after a
 * crash is forgotten and fetched again, so that a damaged disk accuses nobody. */
#ifndef GV_NODE_HOST_MIRROR_H
#define GV_NODE_HOST_MIRROR_H

#include <stdbool.h>
#include <stdint.h>

#include "node/base/text.h"
#include "proto/merkle.h"
#include "proto/wire/descriptor.h"
#include "proto/wire/log_head.h"

#define GV_MIRROR_FILE "registry-log-%08x" /* the first 4 bytes of the key whose log it is */
#define GV_MIRROR_NAME 24

struct gv_mirror {
    char *folder;              /* owned */
    char name[GV_MIRROR_NAME]; /* of its files */
    struct gv_merkle tree;
    struct gv_buf entries; /* those not written yet: tree.size - head.size of them */
    struct gv_buf ids;     /* of the certificates, sorted when `sorted` */
    bool sorted;
    bool has_head;
    struct gv_log_head
        head; /* the last that the tree was compared with and fits; its signer's log */
};

/* Reads the files of that name, if there are any; what does not fit is removed, and nothing was
 * seen yet. GV_OK; or GV_ERR_MEMORY, or GV_ERR_IO (too few files, a folder in its place, a disk
 * that fails): then the files stay as they are, and nothing is open. NULL for `error` is allowed.
 */
int gv_mirror_open(struct gv_mirror *mirror, const char *folder, const char *name,
                   const struct gv_descriptor *descriptor, struct gv_text *error);
void gv_mirror_close(struct gv_mirror *mirror);

/* What a version before 2026-11-23 stored, under names that did not tell the key, gets the name of
 * the key that has signed its head. Where the descriptor does not name that, or a copy of that name
 * is here, it is removed. Before the first is opened. GV_OK; or, as above, GV_ERR_MEMORY or
 * GV_ERR_IO, which leave it. */
int gv_mirror_adopt(const char *folder, const struct gv_descriptor *descriptor,
                    struct gv_text *error);

/* Begins anew. */
void gv_mirror_reset(struct gv_mirror *mirror);
/* Whole entries, in order. GV_OK, GV_ERR_MALFORMED, GV_ERR_FULL, GV_ERR_MEMORY. */
int gv_mirror_append(struct gv_mirror *mirror, const uint8_t *entries, size_t len);
/* Does the log as it is here have this root at this size? size <= tree.size. */
bool gv_mirror_fits(const struct gv_mirror *mirror, const struct gv_log_head *head);
/* Takes a head that fits and is not smaller than the one before as the last; stores what it covers.
 * What is beyond it stays and waits. */
int gv_mirror_settle(struct gv_mirror *mirror, const struct gv_log_head *head, const uint8_t *wire,
                     size_t len, struct gv_text *error);
/* Forgets what no head that fits has covered. */
void gv_mirror_back(struct gv_mirror *mirror);
bool gv_mirror_has(struct gv_mirror *mirror, const uint8_t certificate[GV_ID_LEN]);

#endif
