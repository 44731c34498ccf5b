#include "proto/registry.h"

#include <string.h>

#include "crypto/error.h"
#include "proto/address.h"
#include "crypto/wipe.h"
#include "proto/buf.h"
#include "proto/wire/codec.h"

/* ---- owners --------------------------------------------------------------------------------- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* atext of RFC 5322, lower case. */
static bool atom_character(char c)
{
    return letter_or_digit(c) || (c && strchr("!#$%&'*+/=?^_`{|}~-", c));
}

static bool valid_local(const char *text, size_t len)
{
    if (len < 1 || len > GV_EMAIL_LOCAL_MAX || text[0] == '.' || text[len - 1] == '.')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!atom_character(text[i]) && (text[i] != '.' || text[i - 1] == '.'))
            return false;
    return true;
}

static bool valid_domain(const char *text, size_t len)
{
    size_t label = 0, labels = 0;
    bool digits = true;

    for (size_t i = 0; i <= len; i++) {
        if (i < len && text[i] != '.') {
            digits = digits && text[i] >= '0' && text[i] <= '9';
            if (!letter_or_digit(text[i]) && (text[i] != '-' || label == 0))
                return false;
            if (++label > 63)
                return false;
            continue;
        }
        if (label == 0 || text[i - 1] == '-')
            return false;
        labels++;
        /* The last label must not be a number: that would be an IP address. */
        if (i == len)
            return labels >= 2 && !digits;
        label = 0;
        digits = true;
    }
    return false;
}

int gv_email_normalise(char out[GV_EMAIL_MAX + 1], const char *text, size_t len)
{
    const char *at = len <= GV_EMAIL_MAX ? memchr(text, '@', len) : NULL;

    memset(out, 0, GV_EMAIL_MAX + 1);
    if (!at)
        return GV_ERR_MALFORMED;
    size_t local = (size_t)(at - text), domain = len - local - 1;
    char copy[GV_EMAIL_MAX + 1];
    for (size_t i = 0; i < len; i++)
        copy[i] = lower(text[i]);
    if (!valid_local(copy, local) || !valid_domain(copy + local + 1, domain))
        return GV_ERR_MALFORMED;
    const char *plus = memchr(copy, '+', local);
    size_t kept = plus ? (size_t)(plus - copy) : local;
    /* "+tag@..." would leave nothing, "a.+tag@..." no valid local part. */
    if (!valid_local(copy, kept))
        return GV_ERR_MALFORMED;
    memcpy(out, copy, kept);
    memcpy(out + kept, copy + local, 1 + domain);
    return GV_OK;
}

const char *gv_email_domain(const char *normalised)
{
    const char *at = strchr(normalised, '@');

    gv_assert(at);
    return at + 1;
}

void gv_owner_tag(uint8_t out[GV_ID_LEN], const uint8_t secret[GV_SECRET_LEN],
                  const char *normalised)
{
    uint8_t full[GV_HASH_LEN];

    gv_hmac(full, secret, GV_SECRET_LEN, "grapevine owner 1", (const uint8_t *)normalised,
            strlen(normalised));
    memcpy(out, full, GV_ID_LEN);
}

uint64_t gv_registry_group(const uint8_t address[16])
{
    struct gv_subject subject;
    struct gv_address client = {0};

    (void)gv_subject_from_address(&subject, address, 16);
    client.family = subject.family;
    memcpy(client.bytes, subject.bytes, sizeof subject.bytes);
    return gv_address_group(&client);
}

/* ---- proof of possession -------------------------------------------------------------------- */

static const char *proof_domain(enum gv_proof_kind kind)
{
    return kind == GV_PROOF_ENROLL    ? "grapevine enroll 1"
           : kind == GV_PROOF_CONFIRM ? "grapevine confirm 1"
           : kind == GV_PROOF_RENEW   ? "grapevine renew 1"
                                      : "grapevine leave 1";
}

static bool proof_fits(const struct gv_proof *proof)
{
    if (proof->kind == GV_PROOF_ENROLL)
        return proof->email && proof->terms && strlen(proof->email) <= GV_EMAIL_MAX &&
               strlen(proof->terms) <= GV_TERMS_MAX;
    return proof->kind != GV_PROOF_CONFIRM ||
           (proof->code && strlen(proof->code) <= GV_CODE_TEXT_MAX);
}

static int put_proof(struct gv_buf *out, const struct gv_proof *proof)
{
    if (!proof_fits(proof))
        return GV_ERR_RANGE;
    gv_put_array(out, proof->kind == GV_PROOF_ENROLL ? 5 : 4);
    gv_put_u64(out, proof->minute);
    gv_put_bin(out, proof->nonce, GV_PROOF_NONCE);
    gv_put_bin(out, proof->key, GV_KEY_LEN);
    if (proof->kind == GV_PROOF_ENROLL) {
        gv_put_str(out, proof->email, strlen(proof->email));
        gv_put_str(out, proof->terms, strlen(proof->terms));
    } else if (proof->kind == GV_PROOF_CONFIRM) {
        gv_put_str(out, proof->code, strlen(proof->code));
    } else {
        gv_put_bin(out, proof->certificate, GV_ID_LEN);
    }
    return out->failed ? GV_ERR_MEMORY : GV_OK;
}

int gv_proof_sign(uint8_t signature[GV_SIGNATURE_LEN], const struct gv_proof *proof,
                  const uint8_t sign_secret[64], const uint8_t network_id[GV_KEY_LEN])
{
    struct gv_buf body;

    gv_buf_init(&body);
    int rc = put_proof(&body, proof);
    if (rc == GV_OK)
        gv_sign(signature, sign_secret, proof_domain(proof->kind), network_id, body.data, body.len);
    gv_buf_free(&body);
    return rc;
}

int gv_proof_verify(const struct gv_verifier *verifier, const struct gv_proof *proof,
                    const uint8_t signature[GV_SIGNATURE_LEN], const uint8_t network_id[GV_KEY_LEN],
                    uint32_t now_min)
{
    struct gv_buf body;

    /* 64 bits, so that minutes near either end of the range do not wrap into the window. */
    if ((uint64_t)proof->minute + GV_PROOF_SKEW_MIN < now_min)
        return GV_ERR_EXPIRED;
    if ((uint64_t)proof->minute > (uint64_t)now_min + GV_PROOF_SKEW_MIN)
        return GV_ERR_EARLY;
    gv_buf_init(&body);
    int rc = put_proof(&body, proof);
    if (rc == GV_OK)
        rc = gv_verify(verifier, proof->key, proof_domain(proof->kind), network_id, body.data,
                       body.len, signature);
    gv_buf_free(&body);
    return rc;
}

/* ---- codes ---------------------------------------------------------------------------------- */

static const char letters[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"; /* Crockford's base32 */

void gv_code_text(char out[GV_CODE_LEN + 2], const uint8_t random[GV_CODE_RANDOM])
{
    uint64_t bits = 0;
    size_t n = 0;

    for (size_t i = 0; i < GV_CODE_RANDOM; i++)
        bits = bits << 8 | random[i];
    for (size_t i = 0; i < GV_CODE_LEN; i++, bits >>= 5) {
        if (i == GV_CODE_LEN / 2)
            out[n++] = '-';
        out[n++] = letters[bits & 31];
    }
    out[n] = '\0';
}

/* The ten letters of a code as typed. false: it cannot be one. */
static bool read_code(char out[GV_CODE_LEN], const char *text)
{
    size_t n = 0;

    for (; *text; text++) {
        char c = lower(*text);
        if (c == '-' || c == ' ')
            continue;
        c = c == 'o' ? '0' : c == 'i' || c == 'l' ? '1' : c;
        c = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
        if (n == GV_CODE_LEN || !strchr(letters, c))
            return false;
        out[n++] = c;
    }
    return n == GV_CODE_LEN;
}

static int code_hash(uint8_t out[GV_HASH_LEN], const uint8_t secret[GV_SECRET_LEN],
                     const char *text, const uint8_t key[GV_KEY_LEN])
{
    uint8_t data[GV_CODE_LEN + GV_KEY_LEN];

    memset(data, 0, sizeof data);
    if (!read_code((char *)data, text))
        return GV_ERR_MALFORMED;
    memcpy(data + GV_CODE_LEN, key, GV_KEY_LEN);
    gv_hmac(out, secret, GV_SECRET_LEN, "grapevine code 1", data, sizeof data);
    gv_wipe(data, sizeof data);
    return GV_OK;
}

int gv_code_make(struct gv_code *out, const uint8_t secret[GV_SECRET_LEN], const char *text,
                 const uint8_t key[GV_KEY_LEN], uint32_t expires_min)
{
    memset(out, 0, sizeof *out);
    out->expires_min = expires_min;
    return code_hash(out->hash, secret, text, key);
}

int gv_code_check(struct gv_code *code, const uint8_t secret[GV_SECRET_LEN], const char *text,
                  const uint8_t key[GV_KEY_LEN], uint32_t now_min)
{
    uint8_t hash[GV_HASH_LEN] = {0};

    if (now_min >= code->expires_min)
        return GV_ERR_EXPIRED;
    if (code->tries >= GV_CODE_TRIES)
        return GV_ERR_RATE;
    /* What cannot be a code counts as a try too: a client that sends such is guessing or broken. */
    bool same = code_hash(hash, secret, text, key) == GV_OK &&
                gv_equal_secret(hash, code->hash, GV_HASH_LEN);
    if (!same)
        code->tries++;
    return same ? GV_OK : GV_ERR_FORBIDDEN;
}

/* ---- certificates --------------------------------------------------------------------------- */

void gv_registry_rules_default(struct gv_registry_rules *rules)
{
    struct gv_policy policy;

    gv_policy_default(&policy, false);
    rules->certificate_life_min = GV_CERTIFICATE_LIFE_MIN;
    rules->grace_min = policy.grace_min;
    rules->instances_per_owner = GV_INSTANCES_PER_OWNER;
    rules->signer = 0;
}

static void fill(struct gv_certificate *out, const struct gv_registry_rules *rules, uint64_t group,
                 uint32_t now_min, const struct gv_certificate *held)
{
    if (held) {
        memcpy(out->key, held->key, GV_KEY_LEN);
        memcpy(out->owner, held->owner, GV_ID_LEN);
        out->placement = held->placement;
        out->since_min = held->since_min;
        /* A clock that was set back must not make a certificate older than the one it follows. */
        if (now_min < held->issued_min)
            now_min = held->issued_min;
    } else {
        out->since_min = now_min;
    }
    out->group = group;
    out->issued_min = now_min;
    out->expires_min = now_min <= UINT32_MAX - rules->certificate_life_min
                           ? now_min + rules->certificate_life_min
                           : UINT32_MAX;
}

int gv_registry_admit(struct gv_certificate *out, const struct gv_registry_rules *rules,
                      const uint8_t key[GV_KEY_LEN], const uint8_t owner[GV_ID_LEN],
                      uint64_t placement, uint64_t group, uint32_t now_min,
                      const struct gv_certificate *held, bool revoked, uint32_t owner_count)
{
    memset(out, 0, sizeof *out);
    if (revoked)
        return GV_ERR_REVOKED;
    if (held && memcmp(held->owner, owner, GV_ID_LEN) != 0)
        return GV_ERR_DUPLICATE;
    if (!held && owner_count >= rules->instances_per_owner)
        return GV_ERR_FULL;
    memcpy(out->key, key, GV_KEY_LEN);
    memcpy(out->owner, owner, GV_ID_LEN);
    out->placement = placement;
    fill(out, rules, group, now_min, held);
    return GV_OK;
}

uint32_t gv_certificate_half_life(const struct gv_certificate *certificate)
{
    return certificate->issued_min + (certificate->expires_min - certificate->issued_min) / 2;
}

int gv_registry_renew(struct gv_certificate *out, const struct gv_registry_rules *rules,
                      uint64_t group, uint32_t now_min, const struct gv_certificate *held,
                      bool revoked)
{
    memset(out, 0, sizeof *out);
    if (revoked)
        return GV_ERR_REVOKED;
    bool former = rules->signer && held->signer != rules->signer;
    if (now_min < gv_certificate_half_life(held) && !former)
        return GV_ERR_EARLY;
    if (now_min > (uint64_t)held->expires_min + rules->grace_min)
        return GV_ERR_EXPIRED;
    fill(out, rules, group, now_min, held);
    return GV_OK;
}
