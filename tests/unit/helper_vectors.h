/* Test vectors: JSON files whose byte strings are hex. Anything unexpected fails the test. */
#ifndef GV_TESTS_HELPER_VECTORS_H
#define GV_TESTS_HELPER_VECTORS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* NULL only if there is no such file; path is relative to the source tree. The caller decrefs. */
json_t *vectors_load(const char *path);

/* A member that must be there. */
const json_t *vectors_get(const json_t *object, const char *member);
const char *vectors_text(const json_t *object, const char *member);

/* The bytes of a hex member; returns how many. */
size_t vectors_bytes(uint8_t *out, size_t cap, const json_t *object, const char *member);
/* The same for a member that must have exactly len bytes. */
void vectors_exact(uint8_t *out, size_t len, const json_t *object, const char *member);

size_t vectors_from_hex(uint8_t *out, size_t cap, const char *hex);

/* Compares bytes with hex, length included; shows the text of both if they differ. */
void vectors_assert_hex(const uint8_t *data, size_t len, const char *hex);
/* The same against a hex member. */
void vectors_assert_member(const uint8_t *data, size_t len, const json_t *object,
                           const char *member);

#endif
