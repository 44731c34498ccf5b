#include "helper_vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

json_t *vectors_load(const char *path)
{
    char full[4096];
    json_error_t error;

    snprintf(full, sizeof full, "%s/%s", GV_SOURCE_DIR, path);
    if (access(full, F_OK) != 0)
        return NULL;
    json_t *root = json_load_file(full, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        fail_msg("%s:%d: %s", full, error.line, error.text);
    return root;
}

const json_t *vectors_get(const json_t *object, const char *member)
{
    const json_t *found = json_object_get(object, member);

    if (!found)
        fail_msg("vector without \"%s\"", member);
    return found;
}

const char *vectors_text(const json_t *object, const char *member)
{
    const char *text = json_string_value(vectors_get(object, member));

    if (!text)
        fail_msg("\"%s\" is not a string", member);
    return text;
}

size_t vectors_from_hex(uint8_t *out, size_t cap, const char *hex)
{
    size_t len = 0;
    const char *end = NULL;

    if (sodium_hex2bin(out, cap, hex, strlen(hex), NULL, &len, &end) != 0 || *end != '\0')
        fail_msg("not hex, or over %zu bytes: %s", cap, hex);
    return len;
}

size_t vectors_bytes(uint8_t *out, size_t cap, const json_t *object, const char *member)
{
    return vectors_from_hex(out, cap, vectors_text(object, member));
}

void vectors_exact(uint8_t *out, size_t len, const json_t *object, const char *member)
{
    if (vectors_bytes(out, len, object, member) != len)
        fail_msg("\"%s\" does not have %zu bytes", member, len);
}

void vectors_assert_hex(const uint8_t *data, size_t len, const char *hex)
{
    char *text = malloc(2 * len + 1);

    assert_non_null(text);
    sodium_bin2hex(text, 2 * len + 1, data, len);
    assert_string_equal(text, hex);
    free(text);
}

void vectors_assert_member(const uint8_t *data, size_t len, const json_t *object,
                           const char *member)
{
    vectors_assert_hex(data, len, vectors_text(object, member));
}
