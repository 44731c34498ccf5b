#include "proto/settings.h"

#include <string.h>

#include "crypto/error.h"
#include "proto/ip.h"

static bool parse_bits(unsigned *out, const char *text, size_t len)
{
    *out = 0;
    if (len == 0 || len > 3 || (len > 1 && text[0] == '0'))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        *out = *out * 10 + (unsigned)(text[i] - '0');
    }
    return *out <= 128;
}

static void mask(uint8_t bytes[16], unsigned bits)
{
    for (unsigned i = 0; i < 16; i++) {
        unsigned kept = bits > 8 * i ? bits - 8 * i : 0;
        if (kept < 8)
            bytes[i] &= (uint8_t)(0xff00u >> kept);
    }
}

int gv_prefix_parse(struct gv_prefix *out, const char *text, size_t len)
{
    const char *slash = len ? memchr(text, '/', len) : NULL;
    size_t address_len = slash ? (size_t)(slash - text) : len;
    unsigned bits = 0, limit;
    bool was_ipv6;

    memset(out, 0, sizeof *out);
    if (gv_ip_parse(&out->family, out->bytes, text, address_len) != GV_OK)
        goto malformed;
    was_ipv6 = memchr(text, ':', address_len) != NULL;
    limit = out->family == GV_FAMILY_IPV4 ? 32 : 128;
    if (!slash) {
        bits = limit;
    } else if (!parse_bits(&bits, slash + 1, len - address_len - 1)) {
        goto malformed;
    } else if (was_ipv6 && out->family == GV_FAMILY_IPV4) {
        if (bits < 96)
            goto malformed;
        bits -= 96;
    }
    if (bits > limit)
        goto malformed;
    uint8_t masked[16];
    memcpy(masked, out->bytes, sizeof masked);
    mask(masked, bits);
    if (memcmp(masked, out->bytes, sizeof masked) != 0)
        goto malformed;
    out->bits = (uint8_t)bits;
    return GV_OK;
malformed:
    memset(out, 0, sizeof *out);
    return GV_ERR_MALFORMED;
}

void gv_prefix_text(char out[GV_PREFIX_TEXT], const struct gv_prefix *prefix)
{
    size_t len = gv_ip_text(out, prefix->family, prefix->bytes);
    unsigned full = prefix->family == GV_FAMILY_IPV4 ? 32 : 128;

    if (prefix->bits == full)
        return;
    out[len++] = '/';
    if (prefix->bits >= 100)
        out[len++] = '1';
    if (prefix->bits >= 10)
        out[len++] = (char)('0' + prefix->bits / 10 % 10);
    out[len++] = (char)('0' + prefix->bits % 10);
    out[len] = '\0';
}

struct gv_prefix gv_prefix_of_subject(const struct gv_subject *subject)
{
    struct gv_prefix prefix = {.family = subject->family,
                               .bits = subject->family == GV_FAMILY_IPV4 ? 32 : 64};

    memcpy(prefix.bytes, subject->bytes, sizeof subject->bytes);
    return prefix;
}

bool gv_prefix_is_single(const struct gv_prefix *prefix)
{
    return prefix->bits >= (prefix->family == GV_FAMILY_IPV4 ? 32 : 64);
}

struct gv_subject gv_prefix_subject(const struct gv_prefix *prefix)
{
    struct gv_subject subject = {.family = prefix->family};

    memcpy(subject.bytes, prefix->bytes, prefix->family == GV_FAMILY_IPV4 ? 4 : 8);
    return subject;
}

bool gv_prefix_matches(const struct gv_prefix *prefix, const struct gv_subject *subject)
{
    unsigned width = subject->family == GV_FAMILY_IPV4 ? 32 : 64;
    unsigned bits = prefix->bits < width ? prefix->bits : width;

    if (prefix->family == GV_FAMILY_NONE || prefix->family != subject->family)
        return false;
    if (memcmp(prefix->bytes, subject->bytes, bits / 8) != 0)
        return false;
    if (bits % 8 == 0)
        return true;
    unsigned shift = 8 - bits % 8;
    return prefix->bytes[bits / 8] >> shift == subject->bytes[bits / 8] >> shift;
}
