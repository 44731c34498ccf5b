#include "node/base/json.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "node/base/log.h"

/* jansson itself stops at 2048 levels; a handler that walks a document wants far fewer. Braces
 * within strings do not count. */
static bool too_deep(const char *text, size_t len)
{
    unsigned depth = 0;
    bool quoted = false;

    for (size_t i = 0; i < len; i++) {
        if (quoted && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (!quoted && (text[i] == '{' || text[i] == '[')) {
            if (++depth > GV_JSON_DEPTH)
                return true;
        } else if (!quoted && (text[i] == '}' || text[i] == ']') && depth > 0)
            depth--;
    }
    return false;
}

int gv_json_parse(json_t **out, const void *data, size_t len, size_t max, struct gv_text *error)
{
    json_error_t why;
    char safe[2 * JSON_ERROR_TEXT_LENGTH];

    *out = NULL;
    if (len > max)
        return gv_fail(error, GV_ERR_RANGE, "the JSON text is longer than %zu bytes", max);
    if (len == 0)
        return gv_fail(error, GV_ERR_MALFORMED, "the JSON text is empty");
    if (too_deep(data, len))
        return gv_fail(error, GV_ERR_RANGE, "the JSON text is nested deeper than %d",
                       GV_JSON_DEPTH);
    *out = json_loadb(data, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    if (*out)
        return GV_OK;
    /* It quotes the text, which is a stranger's. */
    gv_log_safe(safe, sizeof safe, why.text, strlen(why.text));
    return gv_fail(error, GV_ERR_MALFORMED, "not JSON: line %d: %s", why.line, safe);
}

/* The member, or NULL with *rc and the sentence set. */
static const json_t *member(const json_t *object, const char *key, json_type type,
                            const char *wanted, int *rc, struct gv_text *error)
{
    const json_t *value = json_is_object(object) ? json_object_get(object, key) : NULL;

    *rc = GV_OK;
    if (!value || json_is_null(value))
        *rc = gv_fail(error, GV_ERR_NOT_FOUND, "\"%s\" is missing", key);
    else if (json_typeof(value) != type)
        *rc = gv_fail(error, GV_ERR_MALFORMED, "\"%s\" must be %s", key, wanted);
    return *rc == GV_OK ? value : NULL;
}

int gv_json_string(const char **out, const json_t *object, const char *key, size_t max,
                   struct gv_text *error)
{
    int rc;
    const json_t *value = member(object, key, JSON_STRING, "a string", &rc, error);

    if (!value)
        return rc;
    if (json_string_length(value) > max)
        return gv_fail(error, GV_ERR_RANGE, "\"%s\" is longer than %zu bytes", key, max);
    *out = json_string_value(value);
    return GV_OK;
}

int gv_json_u64(uint64_t *out, const json_t *object, const char *key, uint64_t max,
                struct gv_text *error)
{
    int rc;
    const json_t *value = member(object, key, JSON_INTEGER, "a whole number", &rc, error);

    if (!value)
        return rc;
    if (json_integer_value(value) < 0 || (uint64_t)json_integer_value(value) > max)
        return gv_fail(error, GV_ERR_RANGE, "\"%s\" must be from 0 to %llu", key,
                       (unsigned long long)max);
    *out = (uint64_t)json_integer_value(value);
    return GV_OK;
}

int gv_json_bool(bool *out, const json_t *object, const char *key, struct gv_text *error)
{
    const json_t *value = json_is_object(object) ? json_object_get(object, key) : NULL;

    if (!value || json_is_null(value))
        return gv_fail(error, GV_ERR_NOT_FOUND, "\"%s\" is missing", key);
    if (!json_is_boolean(value))
        return gv_fail(error, GV_ERR_MALFORMED, "\"%s\" must be true or false", key);
    *out = json_is_true(value);
    return GV_OK;
}

int gv_json_hex(uint8_t *out, size_t len, const json_t *object, const char *key,
                struct gv_text *error)
{
    const char *text = NULL;
    int rc = gv_json_string(&text, object, key, 2 * len, error);

    if (rc == GV_OK && gv_unhex(out, len, text) != GV_OK)
        rc = gv_fail(error, GV_ERR_MALFORMED, "\"%s\" must be %zu hex digits", key, 2 * len);
    return rc;
}

int gv_json_base64(uint8_t *out, size_t cap, size_t *out_len, const json_t *object, const char *key,
                   struct gv_text *error)
{
    const char *text = NULL;
    int rc = gv_json_string(&text, object, key, cap / 3 * 4 + 4, error);

    *out_len = 0;
    if (rc != GV_OK)
        return rc;
    rc = gv_unbase64(out, cap, out_len, text);
    if (rc == GV_ERR_SPACE)
        return gv_fail(error, GV_ERR_RANGE, "\"%s\" holds more than %zu bytes", key, cap);
    if (rc != GV_OK)
        return gv_fail(error, rc, "\"%s\" must be base64", key);
    return GV_OK;
}

json_t *gv_json_new_hex(const uint8_t *data, size_t len)
{
    char *text = malloc(2 * len + 1);
    json_t *out = NULL;

    if (text) {
        gv_hex(text, data, len);
        out = json_string(text);
    }
    free(text);
    return out;
}

json_t *gv_json_new_base64(const uint8_t *data, size_t len)
{
    char *text = gv_base64(data, len);
    json_t *out = text ? json_string(text) : NULL;

    free(text);
    return out;
}
