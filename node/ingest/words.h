/* Small questions about bytes of a line, for all that take one apart. `limit` and `end` are behind
 * the last byte. */
#ifndef GV_INGEST_WORDS_H
#define GV_INGEST_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static inline bool gv_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Of a mechanism's or a process's name. */
static inline bool gv_is_word_char(char c)
{
    return gv_is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_';
}

/* Always inlined, so that the length of a literal is a constant: these are asked of every line. */
#define GV_INLINE static inline __attribute__((always_inline))

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

/* Cuts `word` off the end. */
GV_INLINE bool gv_cut(const char *start, const char **end, const char *word)
{
    if (!gv_ends(start, *end, word))
        return false;
    *end -= strlen(word);
    return true;
}

#endif
