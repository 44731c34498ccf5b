#include "node/serve/dns_message.h"

#include <string.h>

#include "crypto/error.h"

#define HEADER_LEN 12
#define NAME_MAX   255
#define LABELS_MAX 128
#define UDP_MAX    1232 /* what we say we can take: no fragment on any path (DNS flag day 2020) */

enum {
    RCODE_OK = 0,
    RCODE_FORMAT = 1,
    RCODE_NO_NAME = 3,
    RCODE_NOT_IMPLEMENTED = 4,
    RCODE_REFUSED = 5,
    RCODE_BAD_VERSION = 16
};
enum { TYPE_A = 1, TYPE_NS = 2, TYPE_SOA = 6, TYPE_TXT = 16, TYPE_OPT = 41, TYPE_ANY = 255 };
enum { CLASS_IN = 1, CLASS_ANY = 255 };
enum {
    FLAG_ANSWER = 0x8000,
    FLAG_AUTHORITY = 0x0400,
    FLAG_RECURSE = 0x0100,
    FLAG_CHECKED = 0x0010,
    MASK_OPCODE = 0x7800
};

/* What the question's name is. */
enum place {
    PLACE_ELSEWHERE, /* in none of our zones */
    PLACE_APEX,
    PLACE_BETWEEN, /* the beginning of addresses: exists, holds nothing (RFC 8020) */
    PLACE_ADDRESS,
    PLACE_NOTHING /* in a zone, and no address */
};

static uint16_t get16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

/* ---- reading -------------------------------------------------------------------------------- */

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

static bool label_is(const uint8_t *label, const char *word)
{
    size_t len = strlen(word);

    if (label[0] != len)
        return false;
    for (size_t i = 0; i < len; i++)
        if (lower(label[1 + i]) != (uint8_t)word[i])
            return false;
    return true;
}

/* 0..255 without leading zeros, or -1. */
static int octet(const uint8_t *label)
{
    int value = 0;

    if (label[0] < 1 || label[0] > 3 || (label[0] > 1 && label[1] == '0'))
        return -1;
    for (size_t i = 1; i <= label[0]; i++) {
        if (label[i] < '0' || label[i] > '9')
            return -1;
        value = 10 * value + (label[i] - '0');
    }
    return value <= 255 ? value : -1;
}

static int nibble(const uint8_t *label)
{
    uint8_t c = lower(label[1]);

    if (label[0] != 1)
        return -1;
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* `labels` of an address, the last part first; count < 4 is the beginning of one. */
static enum place read_ipv4(struct gv_subject *out, const uint8_t *const *labels, size_t count)
{
    uint8_t bytes[4] = {0};

    for (size_t i = 0; i < count; i++) {
        int value = octet(labels[i]);
        if (value < 0)
            return PLACE_NOTHING;
        bytes[count - 1 - i] = (uint8_t)value;
    }
    if (count < 4)
        return PLACE_BETWEEN;
    gv_assert(gv_subject_from_address(out, bytes, sizeof bytes) == GV_OK);
    return PLACE_ADDRESS;
}

static enum place read_ipv6(struct gv_subject *out, const uint8_t *const *labels, size_t count)
{
    uint8_t bytes[16] = {0};

    for (size_t i = 0; i < count; i++) {
        int value = nibble(labels[i]);
        if (value < 0)
            return PLACE_NOTHING;
        size_t digit = count - 1 - i;
        bytes[digit / 2] |= (uint8_t)(digit % 2 ? value : value << 4);
    }
    if (count < 32)
        return PLACE_BETWEEN;
    gv_assert(gv_subject_from_address(out, bytes, sizeof bytes) == GV_OK);
    return PLACE_ADDRESS;
}

static enum place read_address(struct gv_subject *out, const uint8_t *const *labels, size_t count)
{
    enum place place = PLACE_NOTHING;

    if (count == 0)
        return PLACE_APEX;
    if (count <= 4)
        place = read_ipv4(out, labels, count);
    /* "1.2.refuse.grapevine" may be the beginning of either. */
    if (place == PLACE_NOTHING && count <= 32)
        place = read_ipv6(out, labels, count);
    return place;
}

/* False: not a question that can be read. */
static bool read_question(struct gv_dns_question *out, const uint8_t *query, size_t len)
{
    const uint8_t *labels[LABELS_MAX];
    size_t at = HEADER_LEN, count = 0;

    while (at < len && query[at] != 0) {
        /* A pointer or a label of another kind: nothing in a question points anywhere. */
        if (query[at] > 63 || at - HEADER_LEN + query[at] + 2u > NAME_MAX || count == LABELS_MAX)
            return false;
        labels[count++] = query + at;
        at += query[at] + 1u;
    }
    if (at + 5 > len)
        return false;
    out->type = get16(query + at + 1);
    out->class = get16(query + at + 3);
    out->end = at + 5;
    if (count < 2 || !label_is(labels[count - 1], "grapevine"))
        return true;
    if (label_is(labels[count - 2], "refuse"))
        out->zone = GV_DNS_REFUSE;
    else if (label_is(labels[count - 2], "untrusted"))
        out->zone = GV_DNS_UNTRUSTED;
    else
        return true;
    out->zone_at = (size_t)(labels[count - 2] - query);
    out->place = (uint8_t)read_address(&out->subject, labels, count - 2);
    return true;
}

/* One record of the additional section, which must be OPT (RFC 6891): it stands at the root. */
static bool read_additional(struct gv_dns_question *out, const uint8_t *query, size_t len)
{
    unsigned count = get16(query + 10);
    size_t at = out->end;

    if (count == 0)
        return at == len;
    if (count > 1 || at + 11 > len || query[at] != 0 || get16(query + at + 1) != TYPE_OPT)
        return false;
    out->opt = true;
    out->opt_version = query[at + 6];
    out->dnssec = query[at + 7] & 0x80;
    return at + 11 + get16(query + at + 9) == len;
}

void gv_dns_read(struct gv_dns_question *out, const uint8_t *query, size_t len)
{
    memset(out, 0, sizeof *out);
    /* An answer to an answer could go on for ever between two servers. */
    if (len < HEADER_LEN || get16(query + 2) & FLAG_ANSWER)
        out->state = GV_DNS_NO_QUESTION;
    else if (get16(query + 2) & MASK_OPCODE)
        out->state = GV_DNS_OTHER_OPERATION;
    else if (len > GV_DNS_QUERY_MAX || get16(query + 4) != 1 || get16(query + 6) != 0 ||
             get16(query + 8) != 0 || !read_question(out, query, len) ||
             !read_additional(out, query, len))
        out->state = GV_DNS_MALFORMED;
    out->about_address = out->state == GV_DNS_QUESTION && out->place == PLACE_ADDRESS;
}

/* ---- writing -------------------------------------------------------------------------------- */

struct writer {
    uint8_t *at, *end;
};

static void put(struct writer *w, const void *bytes, size_t len)
{
    gv_assert((size_t)(w->end - w->at) >= len); /* the limits of a name and of a reason see to it */
    memcpy(w->at, bytes, len);
    w->at += len;
}

static void put16(struct writer *w, unsigned value)
{
    uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};

    put(w, bytes, sizeof bytes);
}

static void put32(struct writer *w, uint32_t value)
{
    put16(w, value >> 16);
    put16(w, value & 0xffff);
}

/* The fixed part of a record; its name is at `name_at` of the message. */
static void put_record(struct writer *w, size_t name_at, unsigned type, uint32_t ttl, size_t len)
{
    put16(w, 0xc000u | (unsigned)name_at);
    put16(w, type);
    put16(w, CLASS_IN);
    put32(w, ttl);
    put16(w, (unsigned)len);
}

static const uint8_t server_name[] = "\x09localhost";
static const uint8_t contact_name[] = "\x06nobody\x07invalid";

static void put_soa(struct writer *w, const struct gv_dns_question *q, uint32_t serial)
{
    put_record(w, q->zone_at, TYPE_SOA, GV_DNS_NOT_TTL_S,
               sizeof server_name + sizeof contact_name + 20);
    put(w, server_name, sizeof server_name);
    put(w, contact_name, sizeof contact_name);
    put32(w, serial);
    put32(w, 600); /* refresh, retry, expire: nobody transfers this zone */
    put32(w, 60);
    put32(w, 86400);
    put32(w, GV_DNS_NOT_TTL_S);
}

static void put_ns(struct writer *w, const struct gv_dns_question *q)
{
    put_record(w, q->zone_at, TYPE_NS, GV_DNS_TTL_S, sizeof server_name);
    put(w, server_name, sizeof server_name);
}

static void put_address(struct writer *w, const struct gv_dns_question *q)
{
    const uint8_t value[4] = {127, 0, 0, q->zone == GV_DNS_REFUSE ? 3 : 2};

    put_record(w, HEADER_LEN, TYPE_A, GV_DNS_TTL_S, sizeof value);
    put(w, value, sizeof value);
}

static bool is_test(const struct gv_subject *subject, uint8_t last)
{
    const uint8_t point[8] = {127, 0, 0, last};

    return subject->family == GV_FAMILY_IPV4 && memcmp(subject->bytes, point, sizeof point) == 0;
}

static void put_text(struct writer *w, const struct gv_dns_question *q,
                     const struct gv_dns_source *source)
{
    char text[GV_DNS_TEXT_MAX + 1] = "";
    uint8_t len;

    if (is_test(&q->subject, 2))
        memcpy(text, "This is a test entry.", sizeof "This is a test entry.");
    else
        source->reason(source->context, text, q->zone, &q->subject);
    len = (uint8_t)strnlen(text, GV_DNS_TEXT_MAX);
    put_record(w, HEADER_LEN, TYPE_TXT, GV_DNS_TTL_S, len + 1u);
    put(w, &len, 1);
    put(w, text, len);
}

/* ---- answering ------------------------------------------------------------------------------ */

/* RFC 5782 section 5: 127.0.0.2 is always listed, 127.0.0.1 never. */
static bool is_listed(const struct gv_dns_question *q, const struct gv_dns_source *source)
{
    if (is_test(&q->subject, 2))
        return true;
    return !is_test(&q->subject, 1) && source->listed(source->context, q->zone, &q->subject);
}

struct counts {
    unsigned rcode, answers, authorities;
};

static void put_answers(struct writer *w, struct counts *n, const struct gv_dns_question *q,
                        const struct gv_dns_source *source)
{
    bool any = q->type == TYPE_ANY, listed = q->place == PLACE_ADDRESS && is_listed(q, source);

    if (listed && (any || q->type == TYPE_A)) {
        put_address(w, q);
        n->answers++;
    }
    if (listed && (any || q->type == TYPE_TXT)) {
        put_text(w, q, source);
        n->answers++;
    }
    if (q->place == PLACE_APEX && (any || q->type == TYPE_SOA)) {
        put_soa(w, q, source->serial);
        n->answers++;
    }
    if (q->place == PLACE_APEX && (any || q->type == TYPE_NS)) {
        put_ns(w, q);
        n->answers++;
    }
    if (q->place == PLACE_NOTHING || (q->place == PLACE_ADDRESS && !listed))
        n->rcode = RCODE_NO_NAME;
    if (n->answers == 0) { /* how long "no" may be believed (RFC 2308) */
        put_soa(w, q, source->serial);
        n->authorities++;
    }
}

static void put_opt(struct writer *w, unsigned rcode, bool dnssec)
{
    const uint8_t root = 0;

    put(w, &root, 1);
    put16(w, TYPE_OPT);
    put16(w, UDP_MAX);
    put32(w, (uint32_t)(rcode >> 4) << 24 | (dnssec ? 0x8000u : 0u));
    put16(w, 0);
}

static size_t finish(uint8_t *out, struct writer *w, const uint8_t *query, struct counts n,
                     const struct gv_dns_question *q, bool ours)
{
    bool question = q->state == GV_DNS_QUESTION, opt = question && q->opt;
    unsigned keep = FLAG_RECURSE | FLAG_CHECKED | MASK_OPCODE;
    unsigned flags = (get16(query + 2) & keep) | FLAG_ANSWER | (ours ? FLAG_AUTHORITY : 0u);
    struct writer header = {out, out + HEADER_LEN};

    if (opt)
        put_opt(w, n.rcode, q->dnssec);
    put(&header, query, 2);
    put16(&header, flags | (n.rcode & 15));
    put16(&header, question);
    put16(&header, n.answers);
    put16(&header, n.authorities);
    put16(&header, opt);
    return (size_t)(w->at - out);
}

size_t gv_dns_write(uint8_t out[GV_DNS_ANSWER_MAX], const uint8_t *query,
                    const struct gv_dns_question *q, const struct gv_dns_source *source,
                    bool welcome)
{
    struct writer w = {out + HEADER_LEN, out + GV_DNS_ANSWER_MAX};
    struct counts n = {RCODE_OK, 0, 0};
    bool ours = false;

    if (q->state == GV_DNS_NO_QUESTION)
        return 0;
    if (q->state != GV_DNS_QUESTION) {
        n.rcode = q->state == GV_DNS_MALFORMED ? RCODE_FORMAT : RCODE_NOT_IMPLEMENTED;
        return finish(out, &w, query, n, q, false);
    }
    put(&w, query + HEADER_LEN, q->end - HEADER_LEN);
    if (q->opt && q->opt_version > 0) {
        n.rcode = RCODE_BAD_VERSION;
    } else if (!welcome || q->place == PLACE_ELSEWHERE ||
               (q->class != CLASS_IN && q->class != CLASS_ANY)) {
        n.rcode = RCODE_REFUSED;
    } else {
        ours = true;
        put_answers(&w, &n, q, source);
    }
    return finish(out, &w, query, n, q, ours);
}

size_t gv_dns_answer(uint8_t out[GV_DNS_ANSWER_MAX], const uint8_t *query, size_t len,
                     const struct gv_dns_source *source, bool welcome)
{
    struct gv_dns_question question;

    gv_dns_read(&question, query, len);
    return gv_dns_write(out, query, &question, source, welcome);
}
