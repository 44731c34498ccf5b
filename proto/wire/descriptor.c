#include "proto/wire/descriptor.h"

#include <string.h>

#include "crypto/certificate.h"
#include "crypto/error.h"
#include "proto/wire/codec.h"

#define DOMAIN "grapevine descriptor 1"
#define FORMAT 1
#define FIELDS 12

/* ---- text fields ---------------------------------------------------------------------------- */

static bool lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool letter_or_digit(char c)
{
    return lower_or_digit(c) || (c >= 'A' && c <= 'Z');
}

static bool valid_name(const char *name)
{
    size_t len = strlen(name);

    if (len < 1 || len > GV_NETWORK_NAME_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        if (!lower_or_digit(name[i]) && name[i] != '-')
            return false;
    return true;
}

static bool valid_terms(const char *terms)
{
    size_t len = strlen(terms);

    if (len < 1 || len > GV_TERMS_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        if (!letter_or_digit(terms[i]) && terms[i] != '-' && terms[i] != '.')
            return false;
    return true;
}

/* 1..65535 in decimal, without leading zeros. */
static bool valid_port(const char *text)
{
    unsigned value = 0;

    if (text[0] < '1' || text[0] > '9' || strlen(text) > 5)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        value = value * 10 + (unsigned)(*text - '0');
    }
    return value <= 65535;
}

/* HOST or HOST:PORT; HOST is a name, an IPv4 address, or an IPv6 address in brackets. Whether the
 * name resolves is the dialler's business; here it only must not be able to surprise one. */
static bool valid_host(const char *text, bool port_required)
{
    bool bracket = text[0] == '[';
    size_t n = bracket ? 1 : 0, start = n;

    for (; text[n] && text[n] != ']'; n++) {
        bool fits =
            bracket ? (text[n] >= '0' && text[n] <= '9') || (text[n] >= 'a' && text[n] <= 'f') ||
                          (text[n] >= 'A' && text[n] <= 'F') || text[n] == ':' || text[n] == '.'
                    : letter_or_digit(text[n]) || text[n] == '-' || text[n] == '.';
        if (!fits)
            break;
    }
    if (n == start || (bracket && text[n++] != ']'))
        return false;
    if (text[n] == '\0')
        return !port_required;
    return text[n] == ':' && valid_port(text + n + 1);
}

static bool valid_url(const char *url)
{
    if (strncmp(url, "https://", 8) == 0)
        return valid_host(url + 8, false);
    return strncmp(url, "http://", 7) == 0 && valid_host(url + 7, false);
}

/* ---- policy --------------------------------------------------------------------------------- */

/* What a descriptor may set each parameter to: wide enough for any network that makes sense,
 * narrow enough that sums of weights and times stay far inside 32 bits. In wire order. */
static const struct {
    size_t offset;
    uint32_t min, max;
    uint32_t fallback, lab;
} policy_fields[GV_POLICY_FIELDS] = {
    {offsetof(struct gv_policy, tenure_min), 0, 525600, 43200, 0},
    {offsetof(struct gv_policy, full_min), 0, 1576800, 129600, 0},
    {offsetof(struct gv_policy, alive_min), 1, 43200, 1440, 1440},
    {offsetof(struct gv_policy, untrusted_weight), 1, 1000000, 2000, 2000},
    {offsetof(struct gv_policy, consensus_weight), 1, 1000000, 4000, 4000},
    {offsetof(struct gv_policy, consensus_groups), 1, 64, 4, 4},
    {offsetof(struct gv_policy, signals_per_hour), 1, 1000, 32, 32},
    {offsetof(struct gv_policy, votes_max), 1, 64, 16, 16},
    {offsetof(struct gv_policy, fault_min), 0, 1576800, 129600, 129600},
    {offsetof(struct gv_policy, grace_min), 0, 525600, 43200, 43200},
};

static uint32_t *policy_field(struct gv_policy *policy, size_t i)
{
    return (uint32_t *)(void *)((char *)policy + policy_fields[i].offset);
}

static uint32_t policy_value(const struct gv_policy *policy, size_t i)
{
    return *(const uint32_t *)(const void *)((const char *)policy + policy_fields[i].offset);
}

void gv_policy_default(struct gv_policy *policy, bool lab)
{
    for (size_t i = 0; i < GV_POLICY_FIELDS; i++)
        *policy_field(policy, i) = lab ? policy_fields[i].lab : policy_fields[i].fallback;
}

static bool valid_policy(const struct gv_policy *policy)
{
    for (size_t i = 0; i < GV_POLICY_FIELDS; i++) {
        uint32_t value = policy_value(policy, i);
        if (value < policy_fields[i].min || value > policy_fields[i].max)
            return false;
    }
    return policy->full_min >= policy->tenure_min &&
           policy->consensus_weight >= policy->untrusted_weight;
}

/* ---- the whole ------------------------------------------------------------------------------ */

static bool valid_keys(const struct gv_descriptor *descriptor)
{
    if (descriptor->key_count < 1 || descriptor->key_count > GV_DESCRIPTOR_KEYS)
        return false;
    for (size_t i = 0; i < descriptor->key_count; i++) {
        if (descriptor->keys[i].from_min >= descriptor->keys[i].until_min)
            return false;
        /* A certificate names its signer by four bytes only: they must name one key. */
        for (size_t j = 0; j < i; j++)
            if (gv_certificate_signer(descriptor->keys[i].key) ==
                gv_certificate_signer(descriptor->keys[j].key))
                return false;
    }
    return true;
}

static bool valid(const struct gv_descriptor *descriptor)
{
    if (descriptor->version == 0 || descriptor->seed_count > GV_DESCRIPTOR_SEEDS)
        return false;
    for (size_t i = 0; i < descriptor->seed_count; i++)
        if (strlen(descriptor->seeds[i]) > GV_HOST_MAX || !valid_host(descriptor->seeds[i], true))
            return false;
    return valid_name(descriptor->name) && valid_keys(descriptor) &&
           valid_url(descriptor->registry_url) && valid_policy(&descriptor->policy) &&
           valid_terms(descriptor->terms);
}

void gv_network_id(uint8_t out[GV_KEY_LEN], const uint8_t root_key[GV_KEY_LEN], const char *name,
                   uint32_t genesis_min)
{
    uint8_t data[GV_KEY_LEN + GV_NETWORK_NAME_MAX + 4];
    size_t len = strlen(name), at = GV_KEY_LEN;

    gv_assert(len <= GV_NETWORK_NAME_MAX);
    memcpy(data, root_key, GV_KEY_LEN);
    memcpy(data + at, name, len);
    at += len;
    for (int shift = 24; shift >= 0; shift -= 8)
        data[at++] = (uint8_t)(genesis_min >> shift);
    gv_hash(out, "grapevine network 1", data, at);
}

static void put_text(struct gv_buf *out, const char *text)
{
    gv_put_str(out, text, strlen(text));
}

static void put_body(struct gv_buf *out, const struct gv_descriptor *descriptor)
{
    gv_put_array(out, FIELDS);
    gv_put_u64(out, FORMAT);
    gv_put_u64(out, descriptor->version);
    gv_put_u64(out, descriptor->activation_min);
    gv_put_bin(out, descriptor->root_key, GV_KEY_LEN);
    put_text(out, descriptor->name);
    gv_put_u64(out, descriptor->genesis_min);
    gv_put_u64(out, descriptor->lab ? 1 : 0);
    gv_put_array(out, (uint32_t)descriptor->key_count);
    for (size_t i = 0; i < descriptor->key_count; i++) {
        gv_put_array(out, 3);
        gv_put_bin(out, descriptor->keys[i].key, GV_KEY_LEN);
        gv_put_u64(out, descriptor->keys[i].from_min);
        gv_put_u64(out, descriptor->keys[i].until_min);
    }
    put_text(out, descriptor->registry_url);
    gv_put_array(out, (uint32_t)descriptor->seed_count);
    for (size_t i = 0; i < descriptor->seed_count; i++)
        put_text(out, descriptor->seeds[i]);
    gv_put_array(out, GV_POLICY_FIELDS);
    for (size_t i = 0; i < GV_POLICY_FIELDS; i++)
        gv_put_u64(out, policy_value(&descriptor->policy, i));
    put_text(out, descriptor->terms);
}

int gv_descriptor_issue(struct gv_buf *out, struct gv_descriptor *descriptor,
                        const uint8_t root_secret[64])
{
    uint8_t signature[GV_SIGNATURE_LEN];
    struct gv_buf body;
    int rc = GV_ERR_RANGE;

    gv_buf_init(&body);
    if (!valid(descriptor))
        goto out;
    gv_network_id(descriptor->network_id, descriptor->root_key, descriptor->name,
                  descriptor->genesis_min);
    put_body(&body, descriptor);
    rc = GV_ERR_MEMORY;
    if (body.failed)
        goto out;
    rc = GV_ERR_RANGE;
    if (GV_SIGNATURE_LEN + body.len > GV_DESCRIPTOR_MAX)
        goto out;
    gv_sign(signature, root_secret, DOMAIN, descriptor->network_id, body.data, body.len);
    gv_buf_append(out, signature, sizeof signature);
    gv_buf_append(out, body.data, body.len);
    rc = out->failed ? GV_ERR_MEMORY : GV_OK;
out:
    gv_buf_free(&body);
    return rc;
}

/* A string without a zero byte inside, terminated: what `valid` then looks at is all of it. */
static void get_text(struct gv_reader *reader, char *out, size_t max)
{
    size_t len = 0;
    const char *text = gv_get_str(reader, &len, max);

    if (text && len && memchr(text, '\0', len))
        reader->error = GV_ERR_MALFORMED;
    if (reader->error != GV_OK || !text)
        len = 0;
    if (len)
        memcpy(out, text, len);
    out[len] = '\0';
}

static uint32_t get_u32(struct gv_reader *reader)
{
    return (uint32_t)gv_get_u64(reader, UINT32_MAX);
}

static void get_lists(struct gv_reader *reader, struct gv_descriptor *out)
{
    struct gv_array_mark mark, inner;

    out->key_count = gv_enter_array(reader, &mark, GV_DESCRIPTOR_KEYS);
    for (size_t i = 0; i < out->key_count; i++) {
        gv_enter_array(reader, &inner, 3);
        gv_get_bin_exact(reader, out->keys[i].key, GV_KEY_LEN);
        out->keys[i].from_min = get_u32(reader);
        out->keys[i].until_min = get_u32(reader);
        gv_leave_array(reader, &inner);
    }
    gv_leave_array(reader, &mark);
    get_text(reader, out->registry_url, GV_HOST_MAX);
    out->seed_count = gv_enter_array(reader, &mark, GV_DESCRIPTOR_SEEDS);
    for (size_t i = 0; i < out->seed_count; i++)
        get_text(reader, out->seeds[i], GV_HOST_MAX);
    gv_leave_array(reader, &mark);
    gv_enter_array(reader, &mark, GV_POLICY_FIELDS);
    for (size_t i = 0; i < GV_POLICY_FIELDS; i++)
        *policy_field(&out->policy, i) = get_u32(reader);
    gv_leave_array(reader, &mark);
}

static int parse(struct gv_descriptor *out, const uint8_t *body, size_t len)
{
    struct gv_reader reader;
    int rc = gv_reader_open(&reader, NULL, body, len);

    if (rc != GV_OK)
        goto out;
    uint32_t format = get_u32(&reader);
    rc = reader.error;
    if (rc != GV_OK)
        goto out;
    rc = GV_ERR_VERSION;
    if (format != FORMAT)
        goto out;
    out->version = get_u32(&reader);
    out->activation_min = get_u32(&reader);
    gv_get_bin_exact(&reader, out->root_key, GV_KEY_LEN);
    get_text(&reader, out->name, GV_NETWORK_NAME_MAX);
    out->genesis_min = get_u32(&reader);
    out->lab = gv_get_u64(&reader, 1) == 1;
    get_lists(&reader, out);
    get_text(&reader, out->terms, GV_TERMS_MAX);
    rc = gv_reader_done(&reader);
out:
    gv_reader_close(&reader);
    return rc;
}

int gv_descriptor_open(struct gv_descriptor *out, const struct gv_verifier *verifier,
                       const uint8_t *wire, size_t len)
{
    memset(out, 0, sizeof *out);
    if (len <= GV_SIGNATURE_LEN || len > GV_DESCRIPTOR_MAX)
        return GV_ERR_MALFORMED;
    const uint8_t *body = wire + GV_SIGNATURE_LEN;
    int rc = parse(out, body, len - GV_SIGNATURE_LEN);
    if (rc != GV_OK)
        return rc;
    if (!valid(out))
        return GV_ERR_RANGE;
    gv_network_id(out->network_id, out->root_key, out->name, out->genesis_min);
    return gv_verify(verifier, out->root_key, DOMAIN, out->network_id, body, len - GV_SIGNATURE_LEN,
                     wire);
}

const uint8_t *gv_descriptor_key(const struct gv_descriptor *descriptor, uint32_t signer,
                                 uint32_t issued_min)
{
    for (size_t i = 0; i < descriptor->key_count; i++) {
        const struct gv_registry_key *key = &descriptor->keys[i];
        if (gv_certificate_signer(key->key) == signer && issued_min >= key->from_min &&
            issued_min < key->until_min)
            return key->key;
    }
    return NULL;
}
