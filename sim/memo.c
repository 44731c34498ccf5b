#include "sim/memo.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "sim/account.h"
#include "sim/plant.h"

/* What was asked, to be compared byte by byte: a digest of it would take longer. */
struct entry {
    bool valid;
    size_t len;
    uint8_t asked[]; /* signature, key, message */
};

struct question {
    const uint8_t *key, *signature, *message;
    size_t message_len;
};

static bool is_question(const void *item, const void *question)
{
    const struct entry *entry = item;
    const struct question *q = question;
    const uint8_t *at = entry->asked;

    return entry->len == q->message_len && memcmp(at, q->signature, GV_SIGNATURE_LEN) == 0 &&
           memcmp(at + GV_SIGNATURE_LEN, q->key, GV_KEY_LEN) == 0 &&
           memcmp(at + GV_SIGNATURE_LEN + GV_KEY_LEN, q->message, q->message_len) == 0;
}

static bool look_up(struct gv_memo *memo, const struct question *q)
{
    uint64_t hash; /* of the signature's random half; what is forged on purpose may meet there */

    memcpy(&hash, q->signature, sizeof hash);
    struct entry *entry = gv_table_find(&memo->known, hash, is_question, q);
    if (entry)
        return entry->valid;
    memo->computed++;
    entry = malloc(sizeof *entry + GV_SIGNATURE_LEN + GV_KEY_LEN + q->message_len);
    gv_assert(entry);
    entry->len = q->message_len;
    memcpy(entry->asked, q->signature, GV_SIGNATURE_LEN);
    memcpy(entry->asked + GV_SIGNATURE_LEN, q->key, GV_KEY_LEN);
    memcpy(entry->asked + GV_SIGNATURE_LEN + GV_KEY_LEN, q->message, q->message_len);
    entry->valid =
        crypto_sign_verify_detached(q->signature, q->message, q->message_len, q->key) == 0;
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
    struct question question = {key, signature, message, message_len};
    bool valid = look_up(memo, &question);
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
