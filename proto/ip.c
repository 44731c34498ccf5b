#include "proto/ip.h"

#include <string.h>

#include "crypto/error.h"
#include "proto/subject.h"

#define ZONE_MAX 32

/* A digit's value, or more than 9 for anything else and for the end of the text, if it has one. */
static inline unsigned digit_at(const char *at, const char *end)
{
    return !end || at < end ? (unsigned)(unsigned char)*at - '0' : 10u;
}

/* Unrolled: reading a log spends more time here than in any lexer. Eight bytes at a time, without a
 * branch for each digit, it is slower. Returns the end of the fourth number, or NULL. */
static inline const char *read_ip4(uint8_t out[4], const char *at, const char *end)
{
    for (int part = 0; part < 4; part++) {
        if (part > 0 && (at == end || *at++ != '.'))
            return NULL;
        unsigned value = digit_at(at, end), next = 10;
        if (value > 9)
            return NULL;
        if ((next = digit_at(++at, end)) <= 9) {
            if (value == 0)
                return NULL; /* inet_aton would read octal */
            value = 10 * value + next;
            if ((next = digit_at(++at, end)) <= 9) {
                value = 10 * value + next;
                at++;
            }
        }
        if (value > 255)
            return NULL;
        out[part] = (uint8_t)value;
    }
    return at;
}

bool gv_ip4_parse(uint8_t out[4], const char *text, size_t len)
{
    return len > 0 && read_ip4(out, text, text + len) == text + len;
}

const char *gv_ip4_read(uint8_t out[4], const char *text, const char *limit)
{
    /* No more than sixteen bytes are looked at. */
    return limit - text >= 16 ? read_ip4(out, text, NULL) : read_ip4(out, text, limit);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* One group of up to four hex digits. Returns the digits read, 0 for none or too many. */
static size_t parse_group(unsigned *out, const char *text, size_t len)
{
    size_t n = 0;

    *out = 0;
    while (n < len && hex_value(text[n]) >= 0) {
        if (n == 4)
            return 0;
        *out = *out << 4 | (unsigned)hex_value(text[n]);
        n++;
    }
    return n;
}

static bool parse_ipv6(uint8_t out[16], const char *text, size_t len)
{
    uint8_t bytes[16] = {0};
    size_t at = 0, filled = 0, gap = SIZE_MAX;

    if (len >= 2 && text[0] == ':' && text[1] == ':') {
        gap = 0;
        at = 2;
    }
    while (at < len) {
        unsigned group;
        size_t digits = parse_group(&group, text + at, len - at);
        if (digits > 0 && at + digits < len && text[at + digits] == '.') {
            /* A dotted tail takes the last four bytes. */
            if (filled > 12 || !gv_ip4_parse(bytes + filled, text + at, len - at))
                return false;
            filled += 4;
            at = len;
            break;
        }
        if (digits == 0 || filled > 14)
            return false;
        bytes[filled++] = (uint8_t)(group >> 8);
        bytes[filled++] = (uint8_t)group;
        at += digits;
        if (at == len)
            break;
        if (text[at++] != ':' || at == len)
            return false;
        if (text[at] == ':') {
            if (gap != SIZE_MAX)
                return false;
            gap = filled;
            at++;
        }
    }
    if (gap == SIZE_MAX ? filled != 16 : filled > 14)
        return false;
    memset(out, 0, 16);
    if (gap == SIZE_MAX) {
        memcpy(out, bytes, 16);
    } else {
        memcpy(out, bytes, gap);
        memcpy(out + 16 - (filled - gap), bytes + gap, filled - gap);
    }
    return true;
}

int gv_ip_parse(uint8_t *family, uint8_t bytes[16], const char *text, size_t len)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

    *family = GV_FAMILY_NONE;
    memset(bytes, 0, 16);
    if (gv_ip4_parse(bytes, text, len)) {
        *family = GV_FAMILY_IPV4;
        return GV_OK;
    }
    memset(bytes, 0, 16);
    if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    const char *zone = len ? memchr(text, '%', len) : NULL;
    if (zone) {
        size_t zone_len = len - (size_t)(zone - text) - 1;
        if (zone_len == 0 || zone_len > ZONE_MAX)
            return GV_ERR_MALFORMED;
        for (size_t i = 1; i <= zone_len; i++)
            if (zone[i] <= ' ' || zone[i] > '~' || zone[i] == '%' || zone[i] == ']')
                return GV_ERR_MALFORMED;
        len = (size_t)(zone - text);
    }
    if (!parse_ipv6(bytes, text, len)) {
        memset(bytes, 0, 16);
        return GV_ERR_MALFORMED;
    }
    *family = GV_FAMILY_IPV6;
    if (memcmp(bytes, mapped, sizeof mapped) == 0) {
        memmove(bytes, bytes + 12, 4);
        memset(bytes + 4, 0, 12);
        *family = GV_FAMILY_IPV4;
    }
    return GV_OK;
}

static size_t put_decimal(char *out, unsigned value)
{
    char digits[10];
    size_t n = 0, len = 0;

    do {
        digits[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    while (n)
        out[len++] = digits[--n];
    return len;
}

static size_t put_hex(char *out, unsigned value)
{
    size_t len = 0;

    for (int shift = 12; shift >= 0; shift -= 4) {
        unsigned digit = value >> shift & 0xf;
        if (digit || len || shift == 0)
            out[len++] = "0123456789abcdef"[digit];
    }
    return len;
}

/* RFC 5952: the longest run of two or more zero groups, the first of equals, becomes "::". */
static void longest_zeros(const uint8_t bytes[16], int *start, int *count)
{
    *start = -1;
    *count = 1;
    for (int i = 0; i < 8; i++) {
        int n = 0;
        while (i + n < 8 && bytes[2 * (i + n)] == 0 && bytes[2 * (i + n) + 1] == 0)
            n++;
        if (n > *count) {
            *start = i;
            *count = n;
        }
        i += n;
    }
}

static size_t ipv6_text(char *out, const uint8_t bytes[16])
{
    int start, count;
    size_t len = 0;

    longest_zeros(bytes, &start, &count);
    for (int i = 0; i < 8;) {
        if (i == start) {
            out[len++] = ':';
            out[len++] = ':';
            i += count;
            continue;
        }
        if (i > 0 && i != start + count)
            out[len++] = ':';
        len += put_hex(out + len, (unsigned)(bytes[2 * i] << 8 | bytes[2 * i + 1]));
        i++;
    }
    return len;
}

size_t gv_ip_text(char out[GV_IP_TEXT], uint8_t family, const uint8_t bytes[16])
{
    size_t len = 0;

    if (family == GV_FAMILY_IPV4) {
        for (int i = 0; i < 4; i++) {
            if (i > 0)
                out[len++] = '.';
            len += put_decimal(out + len, bytes[i]);
        }
    } else if (family == GV_FAMILY_IPV6) {
        len = ipv6_text(out, bytes);
    }
    out[len] = '\0';
    return len;
}
