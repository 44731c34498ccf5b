#include "node/base/firewall_record.h"

#include <string.h>

#include "crypto/error.h"

static void put_u32(uint8_t *out, uint32_t value)
{
    out[0] = (uint8_t)(value >> 24);
    out[1] = (uint8_t)(value >> 16);
    out[2] = (uint8_t)(value >> 8);
    out[3] = (uint8_t)value;
}

static uint32_t get_u32(const uint8_t *in)
{
    return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

static bool has_prefix(enum gv_firewall_op op)
{
    return op == GV_FIREWALL_ADD || op == GV_FIREWALL_DROP || op == GV_FIREWALL_ALLOW;
}

void gv_firewall_record_write(uint8_t out[GV_FIREWALL_RECORD],
                              const struct gv_firewall_record *record)
{
    memset(out, 0, GV_FIREWALL_RECORD);
    out[0] = (uint8_t)record->op;
    put_u32(out + 4, record->number);
    if (has_prefix(record->op)) {
        out[1] = record->prefix.family;
        out[2] = record->prefix.bits;
        memcpy(out + 8, record->prefix.bytes, sizeof record->prefix.bytes);
    } else if (record->op == GV_FIREWALL_DONE) {
        out[1] = (uint8_t)record->result;
        put_u32(out + 8, record->in_place);
        put_u32(out + 12, record->not_taken);
    }
}

static bool is_zero(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

static bool masked(const struct gv_prefix *prefix)
{
    unsigned whole = prefix->bits / 8u, rest = prefix->bits % 8u;

    if (rest && prefix->bytes[whole] & (0xffu >> rest))
        return false;
    whole += rest > 0;
    return is_zero(prefix->bytes + whole, sizeof prefix->bytes - whole);
}

/* Both ends of a range are looked at; what lies between them is for the allow list, which comes
 * first in the kernel. */
bool gv_firewall_may_refuse(const struct gv_prefix *prefix)
{
    struct gv_subject first = {.family = prefix->family}, last;
    size_t len = prefix->family == GV_FAMILY_IPV4 ? 4 : 8;

    if (prefix->bits <
        (prefix->family == GV_FAMILY_IPV4 ? GV_FIREWALL_BITS_IPV4 : GV_FIREWALL_BITS_IPV6))
        return false;
    memcpy(first.bytes, prefix->bytes, len);
    last = first;
    for (size_t i = prefix->bits; i < 8 * len; i++)
        last.bytes[i / 8] |= (uint8_t)(0x80u >> i % 8);
    for (int i = 0; i < 2; i++) {
        enum gv_scope scope = gv_subject_scope(i ? &last : &first);
        if (scope == GV_SCOPE_LOOPBACK || scope == GV_SCOPE_LINK_LOCAL || scope == GV_SCOPE_SPECIAL)
            return false;
    }
    return true;
}

static int read_prefix(struct gv_firewall_record *out, const uint8_t *wire)
{
    struct gv_prefix *prefix = &out->prefix;
    bool allow = out->op == GV_FIREWALL_ALLOW, add = out->op == GV_FIREWALL_ADD;

    prefix->family = wire[1];
    prefix->bits = wire[2];
    memcpy(prefix->bytes, wire + 8, sizeof prefix->bytes);
    if (prefix->family == GV_FAMILY_IPV4
            ? prefix->bits > 32
            : prefix->family != GV_FAMILY_IPV6 || prefix->bits > (allow ? 128 : 64))
        return GV_ERR_MALFORMED;
    if (!masked(prefix))
        return GV_ERR_MALFORMED;
    if (add ? out->number < 1 || out->number > GV_FIREWALL_LEASE_S : out->number != 0)
        return GV_ERR_MALFORMED;
    return add && !gv_firewall_may_refuse(prefix) ? GV_ERR_RANGE : GV_OK;
}

int gv_firewall_record_read(struct gv_firewall_record *out, const uint8_t wire[GV_FIREWALL_RECORD])
{
    memset(out, 0, sizeof *out);
    out->op = wire[0];
    out->number = get_u32(wire + 4);
    if (wire[3] != 0)
        return GV_ERR_MALFORMED;
    if (has_prefix(out->op))
        return read_prefix(out, wire);
    switch (out->op) {
    case GV_FIREWALL_HELLO:
    case GV_FIREWALL_BEGIN:
    case GV_FIREWALL_COMMIT:
        if (!is_zero(wire + 1, 2) || !is_zero(wire + 8, 16) ||
            (out->op == GV_FIREWALL_BEGIN && out->number > GV_FIREWALL_LISTS_ONLY))
            return GV_ERR_MALFORMED;
        return GV_OK;
    case GV_FIREWALL_DONE:
        if (wire[1] >= GV_FIREWALL_RESULTS || wire[2] != 0 || !is_zero(wire + 16, 8))
            return GV_ERR_MALFORMED;
        out->result = wire[1];
        out->in_place = get_u32(wire + 8);
        out->not_taken = get_u32(wire + 12);
        return GV_OK;
    default:
        return GV_ERR_MALFORMED;
    }
}
