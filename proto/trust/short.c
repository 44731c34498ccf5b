#include "proto/trust/short.h"

#include <string.h>

#include "crypto/error.h"

#define FORM      0x40u /* in the first byte: no kind of record has this bit */
#define FORM_IPV6 0x20u
#define KIND_MASK 0x03u
#define MINUTE_MS ((uint64_t)GV_MINUTE_MS)

bool gv_short_is(uint8_t first)
{
    return first & FORM;
}

/* ---- numbers: seven bits a byte, the lowest first, the top bit says that more follow --------- */

static size_t put_number(uint8_t *out, uint64_t value)
{
    size_t len = 0;

    for (; value >= 0x80; value >>= 7)
        out[len++] = (uint8_t)(value | 0x80);
    out[len++] = (uint8_t)value;
    return len;
}

struct input {
    const uint8_t *at;
    size_t left;
    bool bad; /* and every read gives zero */
};

static const uint8_t *get_bytes(struct input *in, size_t len)
{
    static const uint8_t zeros[GV_SIGNATURE_LEN];
    const uint8_t *at = in->at;

    if (in->bad || in->left < len) {
        in->bad = true;
        return zeros;
    }
    in->at += len;
    in->left -= len;
    return at;
}

/* In its shortest form: one value has one encoding. */
static uint64_t get_number(struct input *in)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 63 && !in->bad; shift += 7) {
        uint8_t byte = *get_bytes(in, 1);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte & 0x80)
            continue;
        in->bad = in->bad || (byte == 0 && shift > 0);
        return value;
    }
    in->bad = true;
    return 0;
}

/* ---- writing -------------------------------------------------------------------------------- */

static size_t put_signal(uint8_t *out, const struct gv_statement *s)
{
    size_t len = put_number(out, s->last_min - s->first_min);
    unsigned packed = gv_signal_count_step(s->count) << 12 | (unsigned)s->services << 6 | s->kinds;

    out[len++] = (uint8_t)(packed >> 8);
    out[len++] = (uint8_t)packed;
    return len;
}

size_t gv_short_write(uint8_t *out, const struct gv_statement *statement,
                      const uint8_t signature[GV_SIGNATURE_LEN], uint32_t genesis_min)
{
    bool is_ipv6 = statement->subject.family == GV_FAMILY_IPV6;
    size_t subject_len = is_ipv6 ? 8 : 4, len = 0;
    uint64_t last_ms = statement->last_min * MINUTE_MS;

    if (statement->last_min < genesis_min || statement->sequence < last_ms)
        return 0;
    out[len++] = (uint8_t)(FORM | (is_ipv6 ? FORM_IPV6 : 0) | statement->kind);
    memcpy(out + len, statement->certificate, GV_PREFIX_LEN);
    len += GV_PREFIX_LEN;
    memcpy(out + len, statement->subject.bytes, subject_len);
    len += subject_len;
    len += put_number(out + len, statement->last_min - genesis_min);
    len += put_number(out + len, statement->sequence - last_ms);
    if (statement->kind == GV_STATEMENT_SIGNAL)
        len += put_signal(out + len, statement);
    memcpy(out + len, signature, GV_SIGNATURE_LEN);
    return len + GV_SIGNATURE_LEN;
}

/* ---- reading -------------------------------------------------------------------------------- */

static void get_signal(struct input *in, struct gv_statement *s)
{
    uint64_t span = get_number(in);
    const uint8_t *packed = get_bytes(in, 2);
    unsigned bits = (unsigned)packed[0] << 8 | packed[1];

    in->bad = in->bad || span > s->last_min;
    s->first_min = in->bad ? 0 : s->last_min - (uint32_t)span;
    s->count = gv_signal_count_at(bits >> 12);
    s->services = bits >> 6 & 0x3f;
    s->kinds = bits & 0x3f;
}

static void get_statement(struct input *in, struct gv_short *out, uint32_t genesis_min)
{
    struct gv_statement *s = &out->statement;
    uint8_t first = *get_bytes(in, 1);
    size_t subject_len = first & FORM_IPV6 ? 8 : 4;

    s->kind = (enum gv_statement_kind)(first & KIND_MASK);
    in->bad = in->bad || (first & ~FORM_IPV6) != (FORM | s->kind) ||
              (s->kind != GV_STATEMENT_SIGNAL && s->kind != GV_STATEMENT_RETRACT);
    memcpy(out->prefix, get_bytes(in, GV_PREFIX_LEN), GV_PREFIX_LEN);
    s->subject.family = first & FORM_IPV6 ? GV_FAMILY_IPV6 : GV_FAMILY_IPV4;
    memcpy(s->subject.bytes, get_bytes(in, subject_len), subject_len);
    uint64_t age = get_number(in), late = get_number(in);
    in->bad = in->bad || age > UINT32_MAX - genesis_min;
    if (in->bad)
        return;
    s->first_min = s->last_min = genesis_min + (uint32_t)age;
    s->sequence = s->last_min * MINUTE_MS + late; /* below 2^63 + 2^48 */
    if (s->kind == GV_STATEMENT_SIGNAL)
        get_signal(in, s);
}

int gv_short_read(struct gv_short *out, const uint8_t *data, size_t len, uint32_t genesis_min)
{
    struct input in = {.at = data, .left = len};

    memset(out, 0, sizeof *out);
    get_statement(&in, out, genesis_min);
    memcpy(out->signature, get_bytes(&in, GV_SIGNATURE_LEN), GV_SIGNATURE_LEN);
    return in.bad || in.left > 0 ? GV_ERR_MALFORMED : GV_OK;
}

int gv_short_record(struct gv_buf *out, const struct gv_short *brief,
                    const uint8_t certificate[GV_ID_LEN])
{
    struct gv_statement statement = brief->statement;
    const uint8_t kind = (uint8_t)statement.kind;

    memcpy(statement.certificate, certificate, GV_ID_LEN);
    gv_buf_append(out, &kind, 1);
    gv_buf_append(out, brief->signature, GV_SIGNATURE_LEN);
    gv_statement_body(out, &statement);
    return out->failed ? GV_ERR_MEMORY : GV_OK;
}
