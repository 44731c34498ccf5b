#include "sim/agree.h"

#include <sodium.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "crypto/identity.h"
#include "proto/table.h"
#include "sim/account.h"

/* Weak: in a program that is linked without --wrap they do not exist, and nobody calls the wraps.
 */
int __real_crypto_scalarmult(unsigned char *q, const unsigned char *n, const unsigned char *p)
    __attribute__((weak));
int __real_crypto_scalarmult_base(unsigned char *q, const unsigned char *n) __attribute__((weak));
int __wrap_crypto_scalarmult(unsigned char *q, const unsigned char *n, const unsigned char *p);
int __wrap_crypto_scalarmult_base(unsigned char *q, const unsigned char *n);

#define KEPT_MAX 500000u /* keys of which the other end never asked: then all are forgotten */

struct pair { /* secret and public key; or two public keys, the smaller first */
    uint8_t keys[2][GV_KEY_LEN];
    uint8_t shared[GV_KEY_LEN];
};

static struct gv_table publics, agreed;
static bool remembers;

static uint64_t hash_of(const uint8_t *bytes)
{
    uint64_t hash;

    memcpy(&hash, bytes, sizeof hash);
    return hash;
}

static void forget(struct gv_table *table)
{
    struct pair *pair;
    size_t cursor = 0;

    while ((pair = gv_table_next(table, &cursor)))
        free(pair);
    gv_table_free(table);
}

void gv_agree_begin(bool remember)
{
    gv_agree_end();
    remembers = remember;
}

void gv_agree_end(void)
{
    forget(&publics);
    forget(&agreed);
    remembers = false;
}

static struct pair *add(struct gv_table *table, uint64_t hash, const struct pair *pair)
{
    struct pair *copy = malloc(sizeof *copy);

    gv_assert(copy);
    *copy = *pair;
    if (table->count >= KEPT_MAX)
        forget(table);
    gv_assert(gv_table_insert(table, hash, copy) == GV_OK);
    return copy;
}

static bool has_secret(const void *item, const void *secret)
{
    return memcmp(((const struct pair *)item)->keys[0], secret, GV_KEY_LEN) == 0;
}

static bool has_keys(const void *item, const void *keys)
{
    return memcmp(((const struct pair *)item)->keys, keys, sizeof((struct pair *)0)->keys) == 0;
}

static const struct pair *public_of(const uint8_t *secret)
{
    const struct pair *found = gv_table_find(&publics, hash_of(secret), has_secret, secret);
    struct pair made = {{{0}}, {0}};

    if (found)
        return found;
    memcpy(made.keys[0], secret, GV_KEY_LEN);
    __real_crypto_scalarmult_base(made.keys[1], secret);
    return add(&publics, hash_of(secret), &made);
}

/* The second to ask is the last. */
static int agree(uint8_t *out, const uint8_t *secret, const uint8_t *public)
{
    const uint8_t *mine = public_of(secret)->keys[1];
    struct pair pair = {{{0}}, {0}};
    bool first = memcmp(mine, public, GV_KEY_LEN) < 0;

    memcpy(pair.keys[0], first ? mine : public, GV_KEY_LEN);
    memcpy(pair.keys[1], first ? public : mine, GV_KEY_LEN);
    uint64_t hash = hash_of(pair.keys[0]) ^ hash_of(pair.keys[1]);
    struct pair *known = gv_table_find(&agreed, hash, has_keys, pair.keys);
    if (known) {
        memcpy(out, known->shared, GV_KEY_LEN);
        gv_table_remove(&agreed, hash, known);
        free(known);
        return 0;
    }
    int rc = __real_crypto_scalarmult(out, secret, public);
    if (rc == 0) {
        memcpy(pair.shared, out, GV_KEY_LEN);
        add(&agreed, hash, &pair);
    }
    return rc;
}

/* Called from within a core's step, but what is remembered here is not the core's memory. */
int __wrap_crypto_scalarmult(unsigned char *q, const unsigned char *n, const unsigned char *p)
{
    if (!remembers)
        return __real_crypto_scalarmult(q, n, p);
    int64_t *account = gv_account_switch(NULL);
    int rc = agree(q, n, p);
    gv_account_switch(account);
    return rc;
}

int __wrap_crypto_scalarmult_base(unsigned char *q, const unsigned char *n)
{
    if (!remembers)
        return __real_crypto_scalarmult_base(q, n);
    int64_t *account = gv_account_switch(NULL);
    memcpy(q, public_of(n)->keys[1], GV_KEY_LEN);
    gv_account_switch(account);
    return 0;
}
