#include "proto/evidence.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/wire/record.h"

#define MINUTE_MS 60000u

/* It signs nothing and meets nobody: any key will do. */
static int new_judge(struct gv_core **out, const struct gv_record_bytes *descriptor,
                     uint32_t minute)
{
    static const uint8_t secret[GV_SECRET_LEN] = {1};
    struct gv_identity identity;
    struct gv_core_options options = {.identity = &identity,
                                      .descriptor = descriptor->bytes + 1,
                                      .descriptor_len = descriptor->len - 1,
                                      .history_max = 1};

    gv_identity_from_secret(&identity, secret);
    int rc = gv_core_new(out, &options, 1, (uint64_t)minute * MINUTE_MS);
    gv_identity_wipe(&identity);
    return rc;
}

static int take(struct gv_core *core, struct gv_effects *effects,
                const struct gv_record_bytes *record)
{
    struct gv_event event = {.kind = GV_EVENT_NEWS};

    event.news.record = record->bytes;
    event.news.len = record->len;
    gv_effects_clear(effects);
    int rc = gv_core_step(core, 1, &event, effects);
    return rc == GV_ERR_DUPLICATE ? GV_OK : rc;
}

int gv_evidence_judge(struct gv_verdict *out, struct gv_descriptor *descriptor, size_t *failed,
                      const struct gv_evidence *evidence)
{
    const struct gv_record_bytes *records = evidence->records;
    struct gv_effects effects;
    struct gv_core *core = NULL;

    *failed = 0;
    if (evidence->count > GV_EVIDENCE_RECORDS)
        return GV_ERR_FULL;
    for (size_t i = 0; i < evidence->count; i++)
        if (records[i].len < 2 || records[i].len > GV_RECORD_MAX)
            return GV_ERR_MALFORMED;
    if (evidence->count == 0 || records[0].bytes[0] != GV_RECORD_DESCRIPTOR)
        return GV_ERR_MALFORMED;
    gv_effects_init(&effects);
    int rc = new_judge(&core, &records[0], evidence->minute);
    for (size_t i = 1; rc == GV_OK && i < evidence->count; i++) {
        *failed = i;
        rc = take(core, &effects, &records[i]);
    }
    if (rc == GV_OK && !gv_core_descriptor(core))
        rc = GV_ERR_EARLY; /* it is not in force yet at that minute */
    if (rc == GV_OK) {
        gv_core_verdict(core, out, &evidence->subject);
        *descriptor = *gv_core_descriptor(core);
    }
    gv_core_free(core);
    gv_effects_free(&effects);
    return rc;
}

static bool same_vote(const struct gv_vote *a, const struct gv_vote *b)
{
    return memcmp(a->signal, b->signal, sizeof a->signal) == 0 &&
           memcmp(a->instance, b->instance, sizeof a->instance) == 0 &&
           memcmp(a->owner, b->owner, sizeof a->owner) == 0 && a->group == b->group &&
           a->sequence == b->sequence && a->time_min == b->time_min &&
           a->since_min == b->since_min && a->standing == b->standing;
}

bool gv_verdict_equal(const struct gv_verdict *a, const struct gv_verdict *b)
{
    if (a->state != b->state || a->published != b->published || a->weight != b->weight ||
        a->owners != b->owners || a->groups != b->groups || a->since_min != b->since_min ||
        a->until_min != b->until_min || a->vote_count != b->vote_count)
        return false;
    for (uint32_t i = 0; i < a->vote_count; i++)
        if (!same_vote(&a->votes[i], &b->votes[i]))
            return false;
    return true;
}
