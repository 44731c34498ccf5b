#include "proto/address.h"

#include <string.h>

#include "crypto/certificate.h"
#include "crypto/error.h"
#include "proto/ip.h"

static size_t width(const struct gv_address *address)
{
    switch (address->family) {
    case GV_FAMILY_IPV4:
        return 4;
    case GV_FAMILY_IPV6:
        return 16;
    default:
        return 0;
    }
}

static bool is_mapped(const uint8_t bytes[16])
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

    return memcmp(bytes, mapped, sizeof mapped) == 0;
}

/* One port after the last colon, decimal, 1..65535, no leading zero. */
static bool parse_port(uint16_t *out, const char *text, size_t len)
{
    uint32_t port = 0;

    if (len == 0 || len > 5 || text[0] == '0')
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        port = port * 10 + (uint32_t)(text[i] - '0');
    }
    if (port > UINT16_MAX)
        return false;
    *out = (uint16_t)port;
    return true;
}

int gv_address_parse(struct gv_address *out, const char *text, size_t len)
{
    size_t colon = len;

    memset(out, 0, sizeof *out);
    while (colon > 0 && text[colon - 1] != ':')
        colon--;
    if (colon < 2 || !parse_port(&out->port, text + colon, len - colon))
        goto malformed;
    /* An IPv6 address must stand in brackets, or its last group would read as the port. */
    if (memchr(text, ':', colon - 1) && text[0] != '[')
        goto malformed;
    if (gv_ip_parse(&out->family, out->bytes, text, colon - 1) == GV_OK)
        return GV_OK;
malformed:
    memset(out, 0, sizeof *out);
    return GV_ERR_MALFORMED;
}

void gv_address_text(char out[GV_ADDRESS_TEXT], const struct gv_address *address)
{
    char digits[5];
    size_t at = sizeof digits, len = 0;
    uint16_t port = address->port;

    if (width(address) == 0) {
        memcpy(out, "none", sizeof "none");
        return;
    }
    if (address->family == GV_FAMILY_IPV6)
        out[len++] = '[';
    len += gv_ip_text(out + len, address->family, address->bytes);
    if (address->family == GV_FAMILY_IPV6)
        out[len++] = ']';
    out[len++] = ':';
    do {
        digits[--at] = (char)('0' + port % 10);
        port = (uint16_t)(port / 10);
    } while (port);
    memcpy(out + len, digits + at, sizeof digits - at);
    out[len + sizeof digits - at] = '\0';
}

bool gv_address_equal(const struct gv_address *a, const struct gv_address *b)
{
    return a->family == b->family && a->port == b->port && memcmp(a->bytes, b->bytes, 16) == 0;
}

size_t gv_address_pack(uint8_t out[18], const struct gv_address *address)
{
    size_t len = width(address);

    if (len == 0)
        return 0;
    memcpy(out, address->bytes, len);
    out[len] = (uint8_t)(address->port >> 8);
    out[len + 1] = (uint8_t)address->port;
    return len + 2;
}

int gv_address_unpack(struct gv_address *out, const uint8_t *wire, size_t len)
{
    memset(out, 0, sizeof *out);
    if (len != 6 && len != 18)
        return GV_ERR_MALFORMED;
    out->family = len == 6 ? GV_FAMILY_IPV4 : GV_FAMILY_IPV6;
    memcpy(out->bytes, wire, len - 2);
    out->port = (uint16_t)(wire[len - 2] << 8 | wire[len - 1]);
    /* A mapped address would be a second name for an IPv4 address. */
    if (out->port == 0 || (len == 18 && is_mapped(out->bytes)))
        return GV_ERR_MALFORMED;
    return GV_OK;
}

struct gv_subject gv_address_subject(const struct gv_address *address)
{
    struct gv_subject subject = {0};

    (void)gv_subject_from_address(&subject, address->bytes, width(address));
    return subject;
}

uint64_t gv_address_group(const struct gv_address *address)
{
    const uint8_t *b = address->bytes;

    switch (address->family) {
    case GV_FAMILY_IPV4:
        return (uint64_t)GV_GROUP_IPV4 << 56 | (uint64_t)b[0] << 8 | b[1];
    case GV_FAMILY_IPV6:
        return (uint64_t)GV_GROUP_IPV6 << 56 | (uint64_t)b[0] << 24 | (uint64_t)b[1] << 16 |
               (uint64_t)b[2] << 8 | b[3];
    default:
        return 0;
    }
}
