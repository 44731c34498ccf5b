#include "proto/subject.h"

#include <string.h>

#include "crypto/error.h"
#include "proto/ip_address.h"

int gv_subject_from_address(struct gv_subject *out, const uint8_t *address, size_t len)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    struct gv_subject s = {.family = GV_FAMILY_NONE};

    if (len == 16 && memcmp(address, mapped, sizeof mapped) == 0) {
        address += sizeof mapped;
        len = 4;
    }
    if (len != 4 && len != 16)
        return GV_ERR_MALFORMED;
    s.family = len == 4 ? GV_FAMILY_IPV4 : GV_FAMILY_IPV6;
    memcpy(s.bytes, address, len == 4 ? 4 : 8);
    *out = s;
    return GV_OK;
}

int gv_subject_parse(struct gv_subject *out, const char *text, size_t len)
{
    struct gv_ip_address a;
    bool prefix = false;

    if (len > 3 && memcmp(text + len - 3, "/64", 3) == 0) {
        prefix = true;
        len -= 3;
    }
    bool brackets = len >= 2 && text[0] == '[' && text[len - 1] == ']';
    if (brackets) {
        text++;
        len -= 2;
    }
    /* Brackets and /64 belong to IPv6 text; an IPv4-mapped address is IPv6 text of an IPv4, and a
     * /64 of it would be no subject. */
    if ((brackets || prefix) && !memchr(text, ':', len))
        return GV_ERR_MALFORMED;
    if (gv_ip_address_parse(&a, text, len) != GV_OK)
        return GV_ERR_MALFORMED;
    if (prefix && a.family != GV_FAMILY_IPV6)
        return GV_ERR_MALFORMED;
    *out = gv_ip_address_subject(&a);
    return GV_OK;
}

void gv_subject_text(char out[GV_SUBJECT_TEXT], const struct gv_subject *subject)
{
    struct gv_ip_address a = {.family = subject->family};
    char text[GV_IP_ADDRESS_TEXT];

    _Static_assert(sizeof "ffff:ffff:ffff:ffff::/64" <= GV_SUBJECT_TEXT, "the longest must fit");
    memcpy(a.bytes, subject->bytes, subject->family == GV_FAMILY_IPV4 ? 4 : 8);
    size_t n = gv_ip_address_text(text, &a);
    memcpy(out, text, n);
    if (subject->family == GV_FAMILY_IPV6) {
        memcpy(out + n, "/64", 3);
        n += 3;
    }
    out[n] = '\0';
}

struct scope_row {
    uint8_t bits;
    uint8_t scope;
    uint8_t prefix[8];
};

/* The IANA IPv4 Special-Purpose Address Registry, and multicast and class E. */
static const struct scope_row ipv4_rows[] = {
    {8, GV_SCOPE_SPECIAL, {0}},
    {8, GV_SCOPE_PRIVATE, {10}},
    {10, GV_SCOPE_PRIVATE, {100, 64}},
    {8, GV_SCOPE_LOOPBACK, {127}},
    {16, GV_SCOPE_LINK_LOCAL, {169, 254}},
    {12, GV_SCOPE_PRIVATE, {172, 16}},
    {24, GV_SCOPE_SPECIAL, {192, 0, 0}},
    {24, GV_SCOPE_DOCUMENTATION, {192, 0, 2}},
    {24, GV_SCOPE_SPECIAL, {192, 31, 196}}, /* AS112, RFC 7535 */
    {24, GV_SCOPE_SPECIAL, {192, 52, 193}}, /* AMT, RFC 7450 */
    {24, GV_SCOPE_SPECIAL, {192, 88, 99}},  /* 6to4 relays, deprecated */
    {16, GV_SCOPE_PRIVATE, {192, 168}},
    {24, GV_SCOPE_SPECIAL, {192, 175, 48}}, /* AS112, RFC 7534 */
    {15, GV_SCOPE_SPECIAL, {198, 18}},      /* benchmarking */
    {24, GV_SCOPE_DOCUMENTATION, {198, 51, 100}},
    {24, GV_SCOPE_DOCUMENTATION, {203, 0, 113}},
    {4, GV_SCOPE_SPECIAL, {224}},
    {4, GV_SCOPE_SPECIAL, {240}},
};

/* The IPv6 registry. Rows are tried in order: the documentation prefix before the /23 and the /16
 * round it. A subject holds 64 bits, so ::1 and :: are told apart nowhere: all of ::/64 is loopback
 * for our purpose, as no client ever comes from the rest of it. */
static const struct scope_row ipv6_rows[] = {
    {64, GV_SCOPE_LOOPBACK, {0}},
    {8, GV_SCOPE_SPECIAL, {0}},           /* with 64:ff9b::, translation */
    {64, GV_SCOPE_SPECIAL, {0x01, 0x00}}, /* discard only, RFC 6666 */
    {32, GV_SCOPE_DOCUMENTATION, {0x20, 0x01, 0x0d, 0xb8}},
    {20, GV_SCOPE_DOCUMENTATION, {0x3f, 0xff}},
    {23, GV_SCOPE_SPECIAL, {0x20, 0x01, 0x00}},             /* Teredo, ORCHID, benchmarking */
    {16, GV_SCOPE_SPECIAL, {0x20, 0x02}},                   /* 6to4 */
    {48, GV_SCOPE_SPECIAL, {0x26, 0x20, 0x00, 0x4f, 0x80}}, /* AS112 */
    {7, GV_SCOPE_PRIVATE, {0xfc}},
    {10, GV_SCOPE_LINK_LOCAL, {0xfe, 0x80}},
    {3, GV_SCOPE_PUBLIC, {0x20}}, /* 2000::/3, the only global unicast */
    {0, GV_SCOPE_SPECIAL, {0}},
};

static bool has_prefix(const uint8_t bytes[8], const struct scope_row *row)
{
    size_t whole = row->bits / 8;
    unsigned rest = row->bits % 8;

    /* Nearly all differ in the first byte: a call for each took longer than reading the record. */
    if (whole > 0 && (bytes[0] != row->prefix[0] || memcmp(bytes, row->prefix, whole) != 0))
        return false;
    return rest == 0 || (bytes[whole] ^ row->prefix[whole]) >> (8 - rest) == 0;
}

enum gv_scope gv_subject_scope(const struct gv_subject *subject)
{
    const struct scope_row *rows = ipv6_rows;
    size_t count = sizeof ipv6_rows / sizeof *ipv6_rows;

    if (subject->family == GV_FAMILY_IPV4) {
        rows = ipv4_rows;
        count = sizeof ipv4_rows / sizeof *ipv4_rows;
    } else if (subject->family != GV_FAMILY_IPV6) {
        return GV_SCOPE_SPECIAL;
    }
    for (size_t i = 0; i < count; i++)
        if (has_prefix(subject->bytes, &rows[i]))
            return (enum gv_scope)rows[i].scope;
    return GV_SCOPE_PUBLIC;
}

bool gv_subject_shareable(const struct gv_subject *subject, bool lab)
{
    enum gv_scope scope = gv_subject_scope(subject);

    return scope == GV_SCOPE_PUBLIC || (lab && scope == GV_SCOPE_DOCUMENTATION);
}

bool gv_subject_equal(const struct gv_subject *a, const struct gv_subject *b)
{
    return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

struct gv_subject gv_subject_network(const struct gv_subject *subject)
{
    struct gv_subject network = *subject;
    size_t kept = subject->family == GV_FAMILY_IPV4 ? 3 : 6;

    memset(network.bytes + kept, 0, sizeof network.bytes - kept);
    return network;
}
