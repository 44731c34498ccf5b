/* Admission: how a member whose address nobody knows shows a besieged node that he is one, before
 * it spends a handshake on him (SPEC 5.6). A stranger's try costs a MAC or two; what costs more has
 * budgets of its own. */
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "proto/limits.h"
#include "proto/mesh/state.h"

/* The key that is shared with a member, and how often he came with it in this minute. */
struct pair {
    uint8_t instance[GV_ID_LEN];
    uint8_t key[GV_HASH_LEN]; /* secret */
    uint64_t minute_ms;
    uint32_t tries;
};

/* ---- cookies --------------------------------------------------------------------------------- */

/* Nothing is kept of whom one was given: it is a MAC over his address and the present two minutes.
 */
void gv_door_cookie(const struct gv_core *core, uint8_t out[GV_COOKIE_LEN],
                    const struct gv_address *remote, uint64_t periods_ago)
{
    struct gv_subject subject = gv_address_subject(remote);
    uint64_t period = core->now_ms / GV_COOKIE_MS - periods_ago;
    struct gv_hmac_state state;
    uint8_t mac[GV_HASH_LEN];

    gv_hmac_begin(&state, core->hash_key, sizeof core->hash_key, "grapevine cookie 1");
    gv_hmac_add(&state, &period, sizeof period);
    gv_hmac_add(&state, &subject, sizeof subject);
    gv_hmac_end(mac, &state);
    memcpy(out, mac, GV_COOKIE_LEN);
}

static bool is_our_cookie(const struct gv_core *core, const struct gv_address *remote,
                          const uint8_t cookie[GV_COOKIE_LEN])
{
    uint8_t ours[GV_COOKIE_LEN];

    for (uint64_t ago = 0; ago < 2; ago++) {
        gv_door_cookie(core, ours, remote, ago);
        if (gv_equal_secret(ours, cookie, GV_COOKIE_LEN))
            return true;
    }
    return false;
}

/* ---- keys of pairs --------------------------------------------------------------------------- */

static bool is_pair(const void *item, const void *instance)
{
    return memcmp(((const struct pair *)item)->instance, instance, GV_ID_LEN) == 0;
}

void gv_door_forget_pairs(struct gv_core *core)
{
    struct pair *pair;
    size_t cursor = 0;

    while ((pair = gv_table_next(&core->pairs, &cursor)) != NULL) {
        gv_wipe(pair, sizeof *pair);
        free(pair);
    }
    gv_table_free(&core->pairs);
    memset(&core->pairs, 0, sizeof core->pairs);
}

/* The key shared with a member of the roster. It is worked out once: whoever besieges us with names
 * from the roster has soon spent what that can cost. NULL: not now. */
static struct pair *pair_of(struct gv_core *core, const struct gv_certificate *certificate)
{
    uint64_t hash = gv_siphash(core->hash_key, certificate->instance, GV_ID_LEN);
    struct pair *pair = gv_table_find(&core->pairs, hash, is_pair, certificate->instance);

    if (pair || !gv_bucket_take(core, &core->door_keys, GV_HANDSHAKES_PER_SECOND))
        return pair;
    if (core->pairs.count >= GV_PAIRS_MAX)
        gv_door_forget_pairs(core);
    pair = calloc(1, sizeof *pair);
    if (!pair)
        return NULL;
    memcpy(pair->instance, certificate->instance, GV_ID_LEN);
    if (gv_pair_key_check(pair->key, &core->identity, certificate->key) != GV_OK ||
        gv_table_insert(&core->pairs, hash, pair) != GV_OK) {
        gv_wipe(pair, sizeof *pair);
        free(pair);
        return NULL;
    }
    return pair;
}

/* ---- the proof ------------------------------------------------------------------------------- */

static bool is_right(const struct gv_core *core, const uint8_t pair_key[GV_HASH_LEN],
                     const uint8_t *ephemeral, const uint8_t *admission)
{
    const uint8_t *certificate = admission + GV_COOKIE_LEN;
    uint8_t proof[GV_PROOF_LEN];

    gv_session_proof(proof, pair_key, core->descriptor.network_id, admission, ephemeral,
                     certificate);
    return gv_equal_secret(proof, certificate + GV_CERTIFICATE_LEN, GV_PROOF_LEN);
}

/* One of the roster: a MAC, and so many tries a minute, whoever he lends his key to. */
/* An instance may be at fault or revoked without the certificate that it shows being here. */
static bool is_welcome(const struct gv_core *core, const uint8_t id[GV_ID_LEN])
{
    const struct gv_instance *instance = gv_roster_instance(&core->roster, id);

    return !gv_is_banned(core, id) &&
           (!instance || (instance->revoked_min == GV_NEVER && instance->fault_min == GV_NEVER));
}

static bool known_proves(struct gv_core *core, const struct gv_certificate *certificate,
                         const uint8_t *ephemeral, const uint8_t *admission)
{
    struct pair *pair;

    if (!is_welcome(core, certificate->instance))
        return false;
    pair = pair_of(core, certificate);
    if (!pair || !is_right(core, pair->key, ephemeral, admission))
        return false;
    if (core->now_ms - pair->minute_ms >= GV_MINUTE_MS) {
        pair->minute_ms = core->now_ms;
        pair->tries = 0;
    }
    return pair->tries++ < GV_HANDSHAKES_PER_MINUTE;
}

static bool take_papers(struct gv_core *core, const struct gv_address *remote)
{
    uint64_t group = gv_address_group(remote);
    uint64_t slot = gv_siphash(core->hash_key, &group, sizeof group) % GV_GROUP_BUCKETS;

    return gv_bucket_take(core, &core->door_groups[slot], GV_PAPERS_PER_GROUP) &&
           gv_bucket_take(core, &core->door_papers, GV_HANDSHAKES_PER_SECOND);
}

/* One whose certificate has not come here yet: it is checked as it stands. */
static bool new_proves(struct gv_core *core, const struct gv_address *remote,
                       const uint8_t *ephemeral, const uint8_t *admission)
{
    struct gv_certificate certificate;
    uint8_t key[GV_HASH_LEN];

    if (!take_papers(core, remote) ||
        gv_certificate_accept(&certificate, &core->descriptor, &core->verifier, core->now_min,
                              admission + GV_COOKIE_LEN, GV_CERTIFICATE_LEN) != GV_OK ||
        !is_welcome(core, certificate.instance) ||
        gv_pair_key_check(key, &core->identity, certificate.key) != GV_OK)
        return false;
    bool right = is_right(core, key, ephemeral, admission);
    gv_wipe(key, sizeof key);
    return right;
}

bool gv_door_proves(struct gv_core *core, const struct gv_address *remote,
                    const uint8_t ephemeral[GV_KEY_LEN], const uint8_t admission[GV_ADMISSION_LEN])
{
    struct gv_certificate certificate;

    if (!is_our_cookie(core, remote, admission) ||
        gv_certificate_parse(&certificate, admission + GV_COOKIE_LEN, GV_CERTIFICATE_LEN) != GV_OK)
        return false;
    return gv_roster_certificate(&core->roster, certificate.id)
               ? known_proves(core, &certificate, ephemeral, admission)
               : new_proves(core, remote, ephemeral, admission);
}
