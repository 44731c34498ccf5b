#include "sim/rivals/shipped.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "crypto/hash.h"
#include "proto/limits.h"
#include "proto/trust/store.h"

/* What was last judged of a subject, as the core keeps it; a core judges anew whenever a case
 * changes or its minute comes. */
struct judged {
    struct gv_listing listing;
    uint32_t epoch, until_min, at_min;
};

struct shipped {
    const struct gv_ground *ground;
    struct gv_policy policy;
    bool consensus;
    struct gv_store store;
    struct gv_owner *owners;       /* owned; by owner */
    struct gv_instance *instances; /* owned; by member */
    struct gv_certificate_row *certificates;
    struct judged *judged; /* owned; by subject */
    struct gv_vote *votes; /* owned: scratch */
    size_t vote_cap;
    uint32_t epoch;
};

/* Ids are what hashes of keys are in the mesh: even, and drawn once. */
static void make_id(uint8_t id[GV_ID_LEN], uint64_t seed, uint64_t kind, uint64_t number)
{
    uint8_t key[16] = {'i', 'd'};
    uint64_t words[4] = {seed, kind, number, 0};

    for (size_t half = 0; half < 2; half++) {
        words[3] = half;
        uint64_t hash = gv_siphash(key, words, sizeof words);
        memcpy(id + 8 * half, &hash, 8);
    }
}

void *gv_shipped_open(const struct gv_rule *rule, const struct gv_ground *ground)
{
    struct shipped *s = calloc(1, sizeof *s);
    uint64_t seed = ground->scene->seed;
    const uint8_t key[16] = {'s', 'e', 't'};

    gv_assert(s);
    s->ground = ground;
    s->policy = ground->policy;
    s->consensus = rule->consensus;
    if (rule->standing_flat)
        s->policy.full_min = s->policy.tenure_min;
    s->epoch = 1;
    gv_store_init(&s->store, key, 4000000);
    s->owners = calloc(ground->owner_count, sizeof *s->owners);
    s->instances = calloc(ground->member_count, sizeof *s->instances);
    s->certificates = calloc(ground->member_count, sizeof *s->certificates);
    s->judged = calloc(ground->address_count + 1, sizeof *s->judged);
    gv_assert(s->owners && s->instances && s->certificates && s->judged);
    for (uint32_t i = 0; i < ground->owner_count; i++) {
        make_id(s->owners[i].tag, seed, 1, i);
        s->owners[i].fault_min = GV_NEVER;
    }
    for (uint32_t i = 0; i < ground->member_count; i++) {
        const struct gv_member *m = &ground->members[i];
        struct gv_instance *instance = &s->instances[i];
        make_id(instance->id, seed, 2, i);
        instance->owner = &s->owners[ground->owner_of[i]];
        instance->group = m->group;
        instance->since_min = m->since_min;
        instance->revoked_min = instance->fault_min = GV_NEVER;
        s->certificates[i] = (struct gv_certificate_row){.instance = instance,
                                                         .owner = instance->owner,
                                                         .group = m->group,
                                                         .since_min = m->since_min};
    }
    return s;
}

void gv_shipped_close(void *state)
{
    struct shipped *s = state;

    gv_store_free(&s->store);
    free(s->owners);
    free(s->instances);
    free(s->certificates);
    free(s->judged);
    free(s->votes);
    free(s);
}

/* Two statements under one number are the proof: the owner weighs nothing from now on. */
static void convict(struct shipped *s, struct gv_instance *instance, uint32_t first_min,
                    uint32_t second_min)
{
    uint32_t later = first_min > second_min ? first_min : second_min;

    instance->fault_min = later;
    struct gv_owner *owner = &s->owners[instance->owner - s->owners];
    if (owner->fault_min == GV_NEVER || later > owner->fault_min)
        owner->fault_min = later;
    s->epoch++;
}

/* As proto/mesh/admit_statement.c: a retraction takes what it cancels out of the set. */
static void take_back(struct shipped *s, const struct gv_statement *retract,
                      const struct gv_instance *author)
{
    struct gv_held *held;

    while ((held = gv_store_cancelled(&s->store, retract, author)))
        gv_store_drop(&s->store, held);
}

static bool is_same(const struct gv_statement *a, const struct gv_statement *b)
{
    return a->kind == b->kind && a->last_min == b->last_min &&
           gv_subject_equal(&a->subject, &b->subject);
}

void gv_shipped_heard(void *state, const struct gv_word *said)
{
    struct shipped *s = state;
    struct gv_instance *author = &s->instances[said->member];
    const struct gv_certificate_row *certificate = &s->certificates[said->member];
    struct gv_statement statement = {.kind =
                                         said->retract ? GV_STATEMENT_RETRACT : GV_STATEMENT_SIGNAL,
                                     .sequence = said->sequence,
                                     .subject = s->ground->addresses[said->subject].subject,
                                     .first_min = said->at_min,
                                     .last_min = said->at_min,
                                     .count = gv_signal_count_bucket(said->count),
                                     .services = 8,
                                     .kinds = 4};
    uint8_t id[GV_ID_LEN];
    bool weightless =
        gv_standing(&s->policy, s->ground->genesis_min, certificate->since_min, said->at_min) == 0;
    struct gv_admission admission =
        gv_store_weigh(&s->store, &statement, author, s->policy.signals_per_hour,
                       GV_RETRACTS_PER_HOUR, weightless, false);

    if (author->fault_min != GV_NEVER)
        return; /* dead: nothing of it is taken any more */
    if (admission.contradicts && is_same(&admission.contradicts->statement, &statement))
        return; /* the very record that is held already */
    if (admission.error == GV_ERR_FAULT)
        convict(s, author, said->at_min, admission.contradicts->statement.last_min);
    if (admission.error != GV_OK)
        return;
    if (admission.displaced)
        gv_store_drop(&s->store, admission.displaced);
    if (said->retract)
        take_back(s, &statement, author);
    make_id(id, said->member, 3, said->sequence);
    gv_assert(gv_store_hold(&s->store, &statement, id, NULL, certificate, weightless, false));
    s->judged[said->subject].epoch = 0;
}

static void judge(struct shipped *s, struct judged *judged, const struct gv_case *row,
                  uint32_t now_min)
{
    struct gv_verdict verdict;

    if (row->count > s->vote_cap) {
        s->vote_cap = 2 * (size_t)row->count;
        s->votes = realloc(s->votes, s->vote_cap * sizeof *s->votes);
        gv_assert(s->votes);
    }
    gv_store_judge(&verdict, row, &s->policy, s->ground->genesis_min, now_min, s->votes);
    judged->listing = (struct gv_listing){verdict.state, verdict.weight, verdict.groups, false};
    judged->until_min = verdict.until_min;
    judged->at_min = now_min;
    judged->epoch = s->epoch;
}

void gv_shipped_ask(void *state, struct gv_listing *out, const struct gv_asked *asked)
{
    struct shipped *s = state;
    struct judged *judged = &s->judged[asked->subject];
    /* Until tells when the state changes; weight, which consensus looks at, may fall before. */
    bool stale = s->consensus && judged->listing.state == GV_VERDICT_UNTRUSTED &&
                 asked->now_min != judged->at_min;

    if (judged->epoch != s->epoch || asked->now_min >= judged->until_min || stale) {
        const struct gv_case *row =
            gv_store_case(&s->store, &s->ground->addresses[asked->subject].subject);
        memset(judged, 0, sizeof *judged);
        judged->epoch = s->epoch;
        judged->until_min = UINT32_MAX;
        if (row)
            judge(s, judged, row, asked->now_min);
    }
    *out = judged->listing;
}

static bool is_over(const struct gv_held *held, const struct shipped *s, uint32_t now_min)
{
    return (uint64_t)held->statement.last_min + s->policy.alive_min < now_min;
}

/* The set lets go of what is over (SPEC 9.1). */
void gv_shipped_day(void *state, uint32_t now_min)
{
    struct shipped *s = state;
    struct gv_held **over = malloc((s->store.count + 1) * sizeof *over);
    size_t cursor = 0, count = 0;
    const struct gv_case *row;

    gv_assert(over);
    while ((row = gv_table_next(&s->store.cases, &cursor)))
        for (uint32_t i = 0; i < row->count; i++)
            if (is_over(gv_case_at(row, i), s, now_min))
                over[count++] = gv_case_at(row, i);
    for (size_t i = 0; i < count; i++)
        gv_store_drop(&s->store, over[i]);
    free(over);
}

bool gv_shipped_may_say(void *state, uint32_t member, uint32_t at_min)
{
    const struct shipped *s = state;

    return gv_store_said(&s->store, &s->instances[member], at_min) < s->policy.signals_per_hour;
}
