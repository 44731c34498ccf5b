/* Small questions about bytes of a line, for all that take one apart. `limit` and `end` are behind
 * the last byte. */
#ifndef GV_INGEST_WORDS_H
#define GV_INGEST_WORDS_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline bool gv_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* --- Eight bytes at a time: the first is the lowest of the word, on every machine ------------- */

#define GV_EACH(byte) (0x0101010101010101u * (byte))

static inline uint64_t gv_load8(const char *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof word);
    return le64toh(word);
}

/* 0x80 in the first byte that is zero; those behind it may be wrong. 0: none is zero. */
static inline uint64_t gv_zeros(uint64_t word)
{
    return (word - GV_EACH(1u)) & ~word & GV_EACH(0x80u);
}

/* Not zero in every byte that is no digit, and zero in the others. */
static inline uint64_t gv_no_digits(uint64_t word)
{
    uint64_t value = word ^ GV_EACH('0');

    return (value & GV_EACH(0xf0u)) | (((value & GV_EACH(0x0fu)) + GV_EACH(6u)) & GV_EACH(0x10u));
}

/* 0x80 in every byte that is at least `least`, of bytes below 0x80. */
static inline uint64_t gv_from(uint64_t word, unsigned char least)
{
    return (word + GV_EACH(0x80u - least)) & GV_EACH(0x80u);
}

/* 0x80 in every byte that is neither a digit nor a letter of ASCII. */
static inline uint64_t gv_no_alnums(uint64_t word)
{
    uint64_t low = word & GV_EACH(0x7fu), small = low | GV_EACH(0x20u);
    uint64_t digits = gv_from(low, '0') & ~gv_from(low, '9' + 1);
    uint64_t letters = gv_from(low, 'A') & gv_from(small, 'a') & ~gv_from(small, 'z' + 1);

    return (~(digits | letters) | word) & GV_EACH(0x80u);
}

/* Capitals of ASCII become small. */
static inline void gv_fold8(char *at)
{
    uint64_t word, low;

    memcpy(&word, at, sizeof word);
    low = word & GV_EACH(0x7fu);
    word |= (gv_from(low, 'A') & ~gv_from(low, 'Z' + 1) & ~word) >> 2;
    memcpy(at, &word, sizeof word);
}

/* ---------------------------------------------------------------------------------------------- */

/* Of a mechanism's or a process's name. */
static inline bool gv_is_word_char(char c)
{
    return gv_is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_';
}

/* Always inlined, so that the length of a literal is a constant: these are asked of every line. */
#define GV_INLINE static inline __attribute__((always_inline))

/* Sixteen bytes at a time. */
typedef uint8_t gv_chunk __attribute__((vector_size(16)));

GV_INLINE gv_chunk gv_load_chunk(const char *at)
{
    gv_chunk chunk;

    memcpy(&chunk, at, sizeof chunk);
    return chunk;
}

GV_INLINE bool gv_begins(const char *at, const char *limit, const char *word)
{
    size_t n = strlen(word);

    return (size_t)(limit - at) >= n && memcmp(at, word, n) == 0;
}

GV_INLINE bool gv_ends(const char *at, const char *limit, const char *word)
{
    size_t n = strlen(word);

    return (size_t)(limit - at) >= n && memcmp(limit - n, word, n) == 0;
}

/* Steps over `word`. */
GV_INLINE bool gv_skip(const char **at, const char *limit, const char *word)
{
    if (!gv_begins(*at, limit, word))
        return false;
    *at += strlen(word);
    return true;
}

/* Cuts `word` off the end. */
GV_INLINE bool gv_cut(const char *start, const char **end, const char *word)
{
    if (!gv_ends(start, *end, word))
        return false;
    *end -= strlen(word);
    return true;
}

/* Which process wrote a line; not secret and not chosen by a client, so a fast mix will do. */
static inline uint64_t gv_mix_bytes(uint64_t h, const char *bytes, size_t len)
{
    uint64_t word;

    for (; len >= 8; bytes += 8, len -= 8) {
        memcpy(&word, bytes, 8);
        h = (h ^ word) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
    }
    word = len;
    for (size_t i = 0; i < len; i++)
        word = word << 8 | (uint8_t)bytes[i];
    h = (h ^ word) * 0xff51afd7ed558ccdu;
    return h ^ h >> 32;
}

#endif
