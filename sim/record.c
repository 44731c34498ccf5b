#include "sim/record.h"

#include <sodium.h>
#include <string.h>

#define SIGNED_MAX 512

/* msgpack, as far as records need it; after the first surprise everything is wrong. */
struct reader {
    const uint8_t *at, *end;
    bool wrong;
};

static uint64_t take(struct reader *reader, size_t bytes)
{
    uint64_t value = 0;

    if (reader->wrong || (size_t)(reader->end - reader->at) < bytes) {
        reader->wrong = true;
        return 0;
    }
    while (bytes-- > 0)
        value = value << 8 | *reader->at++;
    return value;
}

static uint64_t number(struct reader *reader)
{
    uint64_t head = take(reader, 1);

    if (head < 0x80)
        return head;
    if (head < 0xcc || head > 0xcf)
        reader->wrong = true;
    return reader->wrong ? 0 : take(reader, (size_t)1 << (head - 0xcc));
}

static void array(struct reader *reader, uint64_t count)
{
    if (take(reader, 1) != (0x90 | count))
        reader->wrong = true;
}

static const uint8_t *bytes(struct reader *reader, size_t *len)
{
    uint64_t head = take(reader, 1);
    const uint8_t *at;

    *len = 0;
    if (head != 0xc4 && head != 0xc5)
        reader->wrong = true;
    *len = (size_t)take(reader, head == 0xc5 ? 2 : 1);
    at = reader->at;
    if (reader->wrong || (size_t)(reader->end - reader->at) < *len) {
        reader->wrong = true;
        *len = 0;
        return at;
    }
    reader->at += *len;
    return at;
}

static void exactly(struct reader *reader, void *out, size_t len)
{
    size_t have;
    const uint8_t *at = bytes(reader, &have);

    if (have != len)
        reader->wrong = true;
    if (!reader->wrong)
        memcpy(out, at, len);
}

static void record_id(uint8_t out[GV_ID_LEN], uint8_t kind, const uint8_t *body, size_t len)
{
    uint8_t signed_part[1 + SIGNED_MAX];

    signed_part[0] = kind;
    memcpy(signed_part + 1, body, len);
    gv_hash_id(out, "grapevine record 1", signed_part, 1 + len);
}

bool gv_said_read(struct gv_said *out, const uint8_t *record, size_t len)
{
    struct reader reader = {record + 1 + GV_SIGNATURE_LEN, record + len, false};
    size_t subject_len = 0;
    const uint8_t *subject;

    memset(out, 0, sizeof *out);
    if (len <= 1 + GV_SIGNATURE_LEN || len > SIGNED_MAX || record[0] < 1 || record[0] > 2)
        return false;
    out->kind = record[0];
    record_id(out->id, record[0], reader.at, (size_t)(reader.end - reader.at));
    array(&reader, out->kind == 1 ? 9 : 5);
    if (number(&reader) != out->kind)
        return false;
    exactly(&reader, out->certificate, GV_ID_LEN);
    out->sequence = number(&reader);
    subject = bytes(&reader, &subject_len);
    if (reader.wrong || (subject_len != 4 && subject_len != 8))
        return false;
    out->subject.family = subject_len == 4 ? GV_FAMILY_IPV4 : GV_FAMILY_IPV6;
    memcpy(out->subject.bytes, subject, subject_len);
    uint64_t first = number(&reader), last = out->kind == 1 ? number(&reader) : first;
    for (int i = 0; out->kind == 1 && i < 3; i++)
        number(&reader); /* count, services, kinds */
    out->last_min = (uint32_t)last;
    return !reader.wrong && reader.at == reader.end && last <= UINT32_MAX && first <= last;
}

bool gv_fault_read(const uint8_t *record, size_t len, const uint8_t *wires[2], size_t lens[2])
{
    struct reader reader = {record + 1, record + len, false};

    if (len < 2 || record[0] != 3)
        return false;
    array(&reader, 3);
    if (number(&reader) != 3)
        return false;
    wires[0] = bytes(&reader, &lens[0]);
    wires[1] = bytes(&reader, &lens[1]);
    return !reader.wrong && reader.at == reader.end;
}

bool gv_struck_read(struct gv_struck *out, const uint8_t *record, size_t len,
                    const uint8_t key[GV_KEY_LEN])
{
    const size_t head = 1 + GV_SIGNATURE_LEN, signer = 4;
    struct reader reader = {record + head + signer, record + len, false};

    memset(out, 0, sizeof *out);
    if (len <= head + signer || len > 97 || record[0] != 4 ||
        memcmp(record + head, key, signer) != 0)
        return false;
    record_id(out->id, 4, record + head, len - head);
    out->signature = record + 1;
    out->body = reader.at;
    out->body_len = len - head - signer;
    array(&reader, 4);
    if (number(&reader) != 4)
        return false;
    exactly(&reader, out->instance, GV_ID_LEN);
    uint64_t minute = number(&reader), reason = number(&reader);
    out->minute = (uint32_t)minute;
    return !reader.wrong && reader.at == reader.end && minute <= UINT32_MAX && reason <= 3;
}

static uint64_t whole(const uint8_t *at, size_t len)
{
    uint64_t value = 0;

    while (len-- > 0)
        value = value << 8 | *at++;
    return value;
}

bool gv_papers_read(struct gv_papers *out, const uint8_t *wire, size_t len)
{
    if (len != 152 || wire[0] != 1 || wire[1] != 0)
        return false;
    gv_hash_id(out->id, "grapevine certificate id 1", wire, 88);
    memcpy(out->key, wire + 6, GV_KEY_LEN);
    gv_hash_id(out->instance, "grapevine instance 1", out->key, GV_KEY_LEN);
    memcpy(out->owner, wire + 38, GV_ID_LEN);
    out->group = whole(wire + 62, 8);
    out->since_min = (uint32_t)whole(wire + 70, 4);
    out->issued_min = (uint32_t)whole(wire + 74, 4);
    out->expires_min = (uint32_t)whole(wire + 78, 4);
    return true;
}

bool gv_record_signed(const uint8_t key[GV_KEY_LEN], const char *domain,
                      const uint8_t network_id[GV_KEY_LEN], const uint8_t *body, size_t len,
                      const uint8_t *signature)
{
    uint8_t message[64 + GV_KEY_LEN + SIGNED_MAX];
    size_t domain_len = strlen(domain) + 1;

    if (len > SIGNED_MAX || domain_len > 64)
        return false;
    memcpy(message, domain, domain_len);
    memcpy(message + domain_len, network_id, GV_KEY_LEN);
    memcpy(message + domain_len + GV_KEY_LEN, body, len);
    return crypto_sign_verify_detached(signature, message, domain_len + GV_KEY_LEN + len, key) == 0;
}
