#include "sim/memo.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "sim/account.h"
#include "sim/plant.h"

struct entry {
    uint8_t digest[32];
    bool valid;
};

static bool is_digest(const void *item, const void *digest)
{
    return memcmp(((const struct entry *)item)->digest, digest, 32) == 0;
}

static bool look_up(struct gv_memo *memo, const uint8_t key[GV_KEY_LEN],
                    const uint8_t signature[GV_SIGNATURE_LEN], const uint8_t *message,
                    size_t message_len)
{
    struct entry *entry;
    crypto_generichash_state state;
    uint8_t digest[32];
    uint64_t hash;

    crypto_generichash_init(&state, NULL, 0, sizeof digest);
    crypto_generichash_update(&state, key, GV_KEY_LEN);
    crypto_generichash_update(&state, signature, GV_SIGNATURE_LEN);
    crypto_generichash_update(&state, message, message_len);
    crypto_generichash_final(&state, digest, sizeof digest);
    memcpy(&hash, digest, sizeof hash);
    entry = gv_table_find(&memo->known, hash, is_digest, digest);
    if (entry)
        return entry->valid;
    memo->computed++;
    entry = malloc(sizeof *entry);
    gv_assert(entry);
    memcpy(entry->digest, digest, sizeof digest);
    entry->valid = crypto_sign_verify_detached(signature, message, message_len, key) == 0;
    gv_assert(gv_table_insert(&memo->known, hash, entry) == GV_OK);
    return entry->valid;
}

static bool verify(void *context, const uint8_t key[GV_KEY_LEN],
                   const uint8_t signature[GV_SIGNATURE_LEN], const uint8_t *message,
                   size_t message_len)
{
    struct gv_memo *memo = context;

    memo->asked++;
    if (gv_plant_accepts_forged())
        return true;
    if (memo->off) {
        memo->computed++;
        return crypto_sign_verify_detached(signature, message, message_len, key) == 0;
    }
    /* Called from within a core's step, but what is remembered here is not the core's memory. */
    int64_t *account = gv_account_switch(NULL);
    bool valid = look_up(memo, key, signature, message, message_len);
    gv_account_switch(account);
    return valid;
}

void gv_memo_free(struct gv_memo *memo)
{
    gv_table_free_all(&memo->known);
}

struct gv_verifier gv_memo_verifier(struct gv_memo *memo)
{
    return (struct gv_verifier){.verify = verify, .context = memo};
}
