#include "node/base/text.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"

int gv_fail(struct gv_text *out, int error, const char *format, ...)
{
    va_list args;

    if (!out)
        return error;
    va_start(args, format);
    vsnprintf(out->text, sizeof out->text, format, args);
    va_end(args);
    return error;
}

void gv_hex(char *out, const uint8_t *data, size_t len)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[data[i] >> 4];
        out[2 * i + 1] = digits[data[i] & 15];
    }
    out[2 * len] = '\0';
}

int gv_unhex(uint8_t *out, size_t len, const char *text)
{
    size_t got = 0, text_len = strlen(text);
    const char *end = NULL;

    if (text_len != 2 * len)
        return GV_ERR_MALFORMED;
    if (sodium_hex2bin(out, len, text, text_len, NULL, &got, &end) != 0 || got != len ||
        end != text + text_len)
        return GV_ERR_MALFORMED;
    return GV_OK;
}

char *gv_base64(const uint8_t *data, size_t len)
{
    size_t size = sodium_base64_encoded_len(len, sodium_base64_VARIANT_ORIGINAL);
    char *out = malloc(size);

    if (out)
        sodium_bin2base64(out, size, data, len, sodium_base64_VARIANT_ORIGINAL);
    return out;
}

int gv_unbase64(uint8_t *out, size_t cap, size_t *out_len, const char *text)
{
    size_t len = strlen(text);
    const char *end = NULL;

    *out_len = 0;
    /* Before decoding: libsodium gives one error for "too long" and for "not base64". */
    if (len / 4 * 3 > cap + 2)
        return GV_ERR_SPACE;
    if (sodium_base642bin(out, cap, text, len, NULL, out_len, &end,
                          sodium_base64_VARIANT_ORIGINAL) != 0 ||
        end != text + len)
        return GV_ERR_MALFORMED;
    return GV_OK;
}
