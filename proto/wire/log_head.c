#include "proto/wire/log_head.h"

#include <string.h>

#include "crypto/error.h"
#include "proto/wire/by_registry.h"
#include "proto/wire/record.h"

void gv_log_entry(uint8_t out[GV_LOG_ENTRY_LEN], const struct gv_certificate *certificate)
{
    out[0] = 1;
    memcpy(out + 1, certificate->key, GV_KEY_LEN);
    memcpy(out + 1 + GV_KEY_LEN, certificate->owner, GV_ID_LEN);
    memcpy(out + 1 + GV_KEY_LEN + GV_ID_LEN, certificate->id, GV_ID_LEN);
}

const uint8_t *gv_log_entry_certificate(const uint8_t entry[GV_LOG_ENTRY_LEN])
{
    return entry + 1 + GV_KEY_LEN + GV_ID_LEN;
}

static bool fits(const struct gv_log_head *head)
{
    return head->minute % GV_LOG_HEAD_HOUR == 0 && head->size <= GV_LOG_SIZE_MAX;
}

int gv_log_head_issue(struct gv_buf *out, const struct gv_log_head *head,
                      const uint8_t registry_secret[64], const uint8_t network_id[GV_KEY_LEN])
{
    struct gv_buf body;

    if (!fits(head))
        return GV_ERR_RANGE;
    gv_buf_init(&body);
    gv_put_array(&body, 4);
    gv_put_u64(&body, GV_RECORD_LOG_HEAD);
    gv_put_u64(&body, head->size);
    gv_put_u64(&body, head->minute);
    gv_put_bin(&body, head->root, GV_HASH_LEN);
    int rc = gv_by_registry_issue(out, &body, GV_LOG_HEAD_DOMAIN, registry_secret, network_id);
    gv_buf_free(&body);
    return rc;
}

static const struct gv_registry_key *key_of(const struct gv_descriptor *descriptor, uint32_t signer)
{
    for (size_t i = 0; i < descriptor->key_count; i++)
        if (gv_certificate_signer(descriptor->keys[i].key) == signer)
            return &descriptor->keys[i];
    return NULL;
}

static uint32_t closing(const struct gv_registry_key *key)
{
    uint64_t minute = (uint64_t)key->until_min + GV_LOG_SLACK_MIN + GV_LOG_HEAD_HOUR - 1;

    minute -= minute % GV_LOG_HEAD_HOUR;
    return minute > UINT32_MAX ? UINT32_MAX : (uint32_t)minute;
}

uint32_t gv_log_head_closing(const struct gv_descriptor *descriptor, uint32_t signer)
{
    const struct gv_registry_key *key = key_of(descriptor, signer);

    return key ? closing(key) : 0;
}

const uint8_t *gv_log_head_key(const struct gv_descriptor *descriptor,
                               const struct gv_log_head *head)
{
    const struct gv_registry_key *key = key_of(descriptor, head->signer);
    bool begun = key && (uint64_t)head->minute + GV_LOG_HEAD_HOUR - 1 >= key->from_min;

    return begun && head->minute <= closing(key) ? key->key : NULL;
}

static void read_body(void *out, struct gv_reader *reader)
{
    struct gv_log_head *head = out;

    if (gv_get_u64(reader, GV_RECORD_LOG_HEAD) != GV_RECORD_LOG_HEAD)
        reader->error = GV_ERR_MALFORMED;
    head->size = gv_get_u64(reader, GV_LOG_SIZE_MAX);
    head->minute = (uint32_t)gv_get_u64(reader, UINT32_MAX);
    gv_get_bin_exact(reader, head->root, GV_HASH_LEN);
}

int gv_log_head_open(struct gv_log_head *out, const struct gv_verifier *verifier,
                     const struct gv_descriptor *descriptor, const uint8_t *wire, size_t len)
{
    memset(out, 0, sizeof *out);
    int rc = gv_by_registry_parse(&out->signer, wire, len, GV_LOG_HEAD_MAX, read_body, out);
    if (rc != GV_OK)
        return rc;
    if (!fits(out))
        return GV_ERR_MALFORMED;
    return gv_by_registry_verify(verifier, gv_log_head_key(descriptor, out), GV_LOG_HEAD_DOMAIN,
                                 descriptor->network_id, wire, len);
}

bool gv_log_heads_contradict(const struct gv_log_head *a, const struct gv_log_head *b)
{
    bool same = a->size == b->size && memcmp(a->root, b->root, GV_HASH_LEN) == 0;

    if (a->signer != b->signer || same)
        return false;
    return a->minute == b->minute || a->size == b->size ||
           (a->minute < b->minute) == (a->size > b->size);
}
