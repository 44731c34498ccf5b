/* The keys that sign certificates: registry.key and, from a rotation on, the one that follows it,
 * registry-next.key (SPEC 4.2). Which of them signs is the descriptor's to say. */
#ifndef GV_NODE_REGISTRY_SIGNERS_H
#define GV_NODE_REGISTRY_SIGNERS_H

#include "crypto/identity.h"
#include "node/base/text.h"
#include "proto/wire/descriptor.h"

struct gv_signers {
    struct gv_identity items[2]; /* secret */
    size_t count;
};

/* Those of a folder; the second need not be there. Returns as gv_keyfile_read. */
int gv_signers_read(struct gv_signers *out, const char *folder, struct gv_text *why);
void gv_signers_wipe(struct gv_signers *signers);

/* Of those that the descriptor has in force at this minute, the one that came into force last;
 * NULL: none is. */
const struct gv_identity *gv_signers_at(const struct gv_signers *signers,
                                        const struct gv_descriptor *descriptor, uint32_t minute);
/* The one that the descriptor names with the latest beginning, in force or not yet; NULL: none. */
const struct gv_identity *gv_signers_last(const struct gv_signers *signers,
                                          const struct gv_descriptor *descriptor);
/* The one whose certificates name this signer; NULL: it is not here. */
const struct gv_identity *gv_signers_find(const struct gv_signers *signers, uint32_t signer);
/* What has to be done about the keys: says (and returns true) that none is in force, or that the
 * last one ends within GV_KEY_ENDS_MIN. */
#define GV_KEY_ENDS_MIN (90u * 1440)
bool gv_signers_end(struct gv_text *what, const struct gv_signers *signers,
                    const struct gv_descriptor *descriptor, uint32_t minute);
/* The same, of the keys and the descriptor of a folder, on stderr; nothing where they cannot be
 * read. */
void gv_signers_warn(const char *folder, uint32_t minute);
/* Where the descriptor names this key; SIZE_MAX: nowhere. */
size_t gv_signer_place(const struct gv_descriptor *descriptor, const uint8_t key[GV_KEY_LEN]);

#endif
