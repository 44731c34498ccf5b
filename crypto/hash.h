/* SHA-256 and HMAC-SHA256 as this project uses them (FIPS 180-4, RFC 2104, RFC 5869), always with
 * a domain so that a value made for one purpose never serves another (SPEC 2.2). */
#ifndef GV_CRYPTO_HASH_H
#define GV_CRYPTO_HASH_H

#include <stddef.h>
#include <stdint.h>

#define GV_HASH_LEN 32 /* SHA-256 */
#define GV_ID_LEN   16 /* instance, certificate, record and owner ids: the first 16 bytes of one */

/* out = SHA-256(domain || 0x00 || data). `domain` is a C string. */
void gv_hash(uint8_t out[GV_HASH_LEN], const char *domain, const uint8_t *data, size_t len);

/* out = the first 16 bytes of gv_hash. */
void gv_hash_id(uint8_t out[GV_ID_LEN], const char *domain, const uint8_t *data, size_t len);

/* out = SHA-256(prefix || a || b): the hashes of RFC 6962, section 2.1, whose domains are one byte.
 * `out` may be `a` or `b`; b may be NULL with length 0. */
void gv_hash_tree(uint8_t out[GV_HASH_LEN], uint8_t prefix, const uint8_t *a, size_t a_len,
                  const uint8_t *b, size_t b_len);

/* out = HMAC-SHA256(key, domain || 0x00 || data). */
void gv_hmac(uint8_t out[GV_HASH_LEN], const uint8_t *key, size_t key_len, const char *domain,
             const uint8_t *data, size_t len);

/* The same in pieces. A state that was begun may be copied: whoever makes thousands of MACs under
 * one key works it in once, a third of the cost of a short one. As secret as the key. */
struct gv_hmac_state {
    uint64_t opaque[26];
};
void gv_hmac_begin(struct gv_hmac_state *out, const uint8_t *key, size_t key_len,
                   const char *domain);
void gv_hmac_add(struct gv_hmac_state *state, const void *data, size_t len);
void gv_hmac_end(uint8_t out[GV_HASH_LEN], struct gv_hmac_state *state); /* and wipes it */

/* HKDF-SHA256 with two or three outputs as the Noise specification (section 4.3) defines it;
 * out3 may be NULL. */
void gv_hkdf(uint8_t out1[GV_HASH_LEN], uint8_t out2[GV_HASH_LEN], uint8_t out3[GV_HASH_LEN],
             const uint8_t chaining_key[GV_HASH_LEN], const uint8_t *input, size_t input_len);

/* RFC 5869 extract-and-expand. len <= 255 * 32. Returns GV_OK or GV_ERR_RANGE. */
int gv_hkdf_rfc5869(uint8_t *out, size_t len, const uint8_t *salt, size_t salt_len,
                    const uint8_t *input, size_t input_len, const uint8_t *info, size_t info_len);

/* SipHash-2-4 under a secret key: for hash tables that strangers fill. Not a message hash. */
uint64_t gv_siphash(const uint8_t key[16], const void *data, size_t len);

#endif
