#include "proto/trust/signal.h"

#include <string.h>

#include "crypto/error.h"
#include "proto/observation.h"
#include "proto/wire/codec.h"

#define SIGNAL_DOMAIN  "grapevine signal 1"
#define RETRACT_DOMAIN "grapevine retract 1"
#define FAULT_KIND     3
#define SIGNAL_FIELDS  9
#define RETRACT_FIELDS 5
#define FAULT_FIELDS   3
#define SPAN_MAX_MIN   (7u * 24 * 60)
#define SEQUENCE_MAX   ((uint64_t)INT64_MAX)

static const uint32_t count_series[] = {
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, GV_SIGNAL_COUNT_MAX};

static unsigned step_below(uint64_t attempts)
{
    unsigned i = sizeof count_series / sizeof *count_series - 1;

    while (i > 0 && count_series[i] > attempts)
        i--;
    return i;
}

uint32_t gv_signal_count_bucket(uint64_t attempts)
{
    return count_series[step_below(attempts)];
}

unsigned gv_signal_count_step(uint32_t count)
{
    return step_below(count);
}

uint32_t gv_signal_count_at(unsigned step)
{
    return count_series[step % (sizeof count_series / sizeof *count_series)];
}

/* ---- validity ------------------------------------------------------------------------------- */

/* Documentation addresses pass: whether the network is a lab is for the caller to know. */
static int subject_check(const struct gv_subject *subject)
{
    static const uint8_t zero[4];

    if (subject->family != GV_FAMILY_IPV4 && subject->family != GV_FAMILY_IPV6)
        return GV_ERR_SUBJECT;
    if (subject->family == GV_FAMILY_IPV4 && memcmp(subject->bytes + 4, zero, sizeof zero) != 0)
        return GV_ERR_SUBJECT;
    return gv_subject_shareable(subject, true) ? GV_OK : GV_ERR_SUBJECT;
}

static int statement_check(const struct gv_statement *s)
{
    if (s->sequence == 0 || s->sequence > SEQUENCE_MAX)
        return GV_ERR_RANGE;
    if (s->kind == GV_STATEMENT_RETRACT) {
        if (s->first_min != s->last_min || s->count || s->services || s->kinds)
            return GV_ERR_RANGE;
    } else if (s->kind == GV_STATEMENT_SIGNAL) {
        if (s->first_min > s->last_min || s->last_min - s->first_min > SPAN_MAX_MIN)
            return GV_ERR_RANGE;
        if (s->count == 0 || s->count != gv_signal_count_bucket(s->count))
            return GV_ERR_RANGE;
        if (s->services == 0 || s->services > GV_SERVICE_ALL || s->kinds == 0 ||
            s->kinds > GV_KIND_ALL)
            return GV_ERR_RANGE;
    } else {
        return GV_ERR_RANGE;
    }
    return subject_check(&s->subject);
}

/* ---- statements ----------------------------------------------------------------------------- */

static size_t subject_len(const struct gv_subject *subject)
{
    return subject->family == GV_FAMILY_IPV4 ? 4 : 8;
}

void gv_statement_body(struct gv_buf *out, const struct gv_statement *s)
{
    gv_put_array(out, s->kind == GV_STATEMENT_SIGNAL ? SIGNAL_FIELDS : RETRACT_FIELDS);
    gv_put_u64(out, s->kind);
    gv_put_bin(out, s->certificate, sizeof s->certificate);
    gv_put_u64(out, s->sequence);
    gv_put_bin(out, s->subject.bytes, subject_len(&s->subject));
    gv_put_u64(out, s->first_min);
    if (s->kind == GV_STATEMENT_RETRACT)
        return;
    gv_put_u64(out, s->last_min);
    gv_put_u64(out, s->count);
    gv_put_u64(out, s->services);
    gv_put_u64(out, s->kinds);
}

static const char *domain_of(enum gv_statement_kind kind)
{
    return kind == GV_STATEMENT_RETRACT ? RETRACT_DOMAIN : SIGNAL_DOMAIN;
}

int gv_statement_sign(struct gv_buf *out, const struct gv_statement *statement,
                      const uint8_t sign_secret[64], const uint8_t network_id[GV_KEY_LEN])
{
    uint8_t signature[GV_SIGNATURE_LEN];
    struct gv_buf body;
    int rc = statement_check(statement);

    if (rc != GV_OK)
        return GV_ERR_RANGE;
    gv_buf_init(&body);
    gv_statement_body(&body, statement);
    if (body.failed) {
        rc = GV_ERR_MEMORY;
        goto out;
    }
    gv_sign(signature, sign_secret, domain_of(statement->kind), network_id, body.data, body.len);
    gv_buf_append(out, signature, sizeof signature);
    gv_buf_append(out, body.data, body.len);
    rc = out->failed ? GV_ERR_MEMORY : GV_OK;
out:
    gv_buf_free(&body);
    return rc;
}

static void get_subject(struct gv_reader *reader, struct gv_subject *out)
{
    size_t len = 0;
    const uint8_t *bytes = gv_get_bin(reader, &len, 4, 8);

    if (!bytes)
        return;
    if (len != 4 && len != 8) {
        reader->error = GV_ERR_MALFORMED;
        return;
    }
    out->family = len == 4 ? GV_FAMILY_IPV4 : GV_FAMILY_IPV6;
    memcpy(out->bytes, bytes, len);
}

static void get_body(struct gv_reader *reader, struct gv_statement *s)
{
    uint64_t kind = gv_get_u64(reader, UINT8_MAX);

    if (reader->error != GV_OK)
        return;
    if (kind != GV_STATEMENT_SIGNAL && kind != GV_STATEMENT_RETRACT) {
        reader->error = GV_ERR_MALFORMED;
        return;
    }
    s->kind = (enum gv_statement_kind)kind;
    gv_get_bin_exact(reader, s->certificate, sizeof s->certificate);
    s->sequence = gv_get_u64(reader, UINT64_MAX);
    get_subject(reader, &s->subject);
    s->first_min = (uint32_t)gv_get_u64(reader, UINT32_MAX);
    s->last_min = s->first_min;
    if (s->kind == GV_STATEMENT_RETRACT)
        return;
    s->last_min = (uint32_t)gv_get_u64(reader, UINT32_MAX);
    s->count = (uint32_t)gv_get_u64(reader, UINT32_MAX);
    s->services = (uint8_t)gv_get_u64(reader, UINT8_MAX);
    s->kinds = (uint8_t)gv_get_u64(reader, UINT8_MAX);
}

int gv_statement_parse(struct gv_statement *out, const uint8_t *wire, size_t len)
{
    struct gv_statement s;
    struct gv_reader reader;

    if (len <= GV_SIGNATURE_LEN || len > GV_SIGNAL_WIRE_MAX)
        return GV_ERR_MALFORMED;
    memset(&s, 0, sizeof s);
    int rc = gv_reader_open(&reader, NULL, wire + GV_SIGNATURE_LEN, len - GV_SIGNATURE_LEN);
    if (rc == GV_OK) {
        get_body(&reader, &s);
        rc = gv_reader_done(&reader);
    }
    gv_reader_close(&reader);
    if (rc == GV_OK)
        rc = statement_check(&s);
    if (rc == GV_OK)
        *out = s;
    return rc;
}

int gv_statement_verify(const struct gv_verifier *verifier, const struct gv_statement *statement,
                        const uint8_t *wire, size_t len, const uint8_t key[GV_KEY_LEN],
                        const uint8_t network_id[GV_KEY_LEN])
{
    gv_assert(len > GV_SIGNATURE_LEN);
    int rc = gv_verify(verifier, key, domain_of(statement->kind), network_id,
                       wire + GV_SIGNATURE_LEN, len - GV_SIGNATURE_LEN, wire);

    return rc == GV_OK ? GV_OK : GV_ERR_SIGNATURE;
}

/* ---- fault proofs --------------------------------------------------------------------------- */

/* Order of two bodies as bytes; 0 when they are the same statement. The signatures are left out:
 * two signatures of one body are no contradiction. */
static int body_order(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    size_t shorter = a_len < b_len ? a_len : b_len;
    int order = memcmp(a + GV_SIGNATURE_LEN, b + GV_SIGNATURE_LEN, shorter - GV_SIGNATURE_LEN);

    if (order != 0)
        return order;
    return a_len < b_len ? -1 : a_len > b_len;
}

int gv_fault_build(struct gv_buf *out, const uint8_t *a, size_t a_len, const uint8_t *b,
                   size_t b_len)
{
    struct gv_statement first, second;
    int rc = gv_statement_parse(&first, a, a_len);

    if (rc == GV_OK)
        rc = gv_statement_parse(&second, b, b_len);
    if (rc != GV_OK)
        return rc == GV_ERR_MEMORY ? rc : GV_ERR_MALFORMED;
    int order = body_order(a, a_len, b, b_len);
    if (order == 0 || first.sequence != second.sequence)
        return GV_ERR_MALFORMED;
    gv_put_array(out, FAULT_FIELDS);
    gv_put_u64(out, FAULT_KIND);
    gv_put_bin(out, order < 0 ? a : b, order < 0 ? a_len : b_len);
    gv_put_bin(out, order < 0 ? b : a, order < 0 ? b_len : a_len);
    return out->failed ? GV_ERR_MEMORY : GV_OK;
}

/* gv_reader's bins borrow from the bytes that were opened, so they outlive the reader. */
static int fault_read(struct gv_fault *fault, const uint8_t *wire, size_t len)
{
    struct gv_reader reader;
    int rc = gv_reader_open(&reader, NULL, wire, len);

    if (rc == GV_OK) {
        if (gv_get_u64(&reader, UINT8_MAX) != FAULT_KIND && reader.error == GV_OK)
            reader.error = GV_ERR_MALFORMED;
        fault->a_wire =
            gv_get_bin(&reader, &fault->a_len, GV_SIGNATURE_LEN + 1, GV_SIGNAL_WIRE_MAX);
        fault->b_wire =
            gv_get_bin(&reader, &fault->b_len, GV_SIGNATURE_LEN + 1, GV_SIGNAL_WIRE_MAX);
        rc = gv_reader_done(&reader);
    }
    gv_reader_close(&reader);
    return rc;
}

int gv_fault_parse(struct gv_fault *out, const uint8_t *wire, size_t len)
{
    struct gv_fault fault;

    if (len == 0 || len > GV_FAULT_WIRE_MAX)
        return GV_ERR_MALFORMED;
    memset(&fault, 0, sizeof fault);
    int rc = fault_read(&fault, wire, len);
    if (rc == GV_OK)
        rc = gv_statement_parse(&fault.a, fault.a_wire, fault.a_len);
    if (rc == GV_OK)
        rc = gv_statement_parse(&fault.b, fault.b_wire, fault.b_len);
    if (rc != GV_OK)
        return rc == GV_ERR_MEMORY ? rc : GV_ERR_MALFORMED;
    if (fault.a.sequence != fault.b.sequence ||
        body_order(fault.a_wire, fault.a_len, fault.b_wire, fault.b_len) >= 0)
        return GV_ERR_MALFORMED;
    fault.later_min = fault.a.last_min > fault.b.last_min ? fault.a.last_min : fault.b.last_min;
    *out = fault;
    return GV_OK;
}
