/* Questions to a core: const, from memory. */
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/core.h"
#include "proto/mesh/state.h"

void gv_core_verdict(const struct gv_core *core, struct gv_verdict *out,
                     const struct gv_subject *subject)
{
    const struct gv_case *row = gv_store_case(&core->store, subject);
    struct gv_vote few[32], *votes = few;

    memset(out, 0, offsetof(struct gv_verdict, votes)); /* the rest is as vote_count says */
    out->until_min = GV_NEVER;
    if (!row)
        return;
    if (row->count > 32)
        votes = malloc(row->count * sizeof *votes);
    if (!votes) { /* the judgement of the last minute is as good an answer */
        out->state = row->state;
        out->weight = row->weight;
        return;
    }
    gv_store_judge(out, row, &core->descriptor.policy, core->descriptor.genesis_min, core->now_min,
                   votes);
    if (votes != few)
        free(votes);
}

struct gv_decision gv_core_decide(const struct gv_core *core, struct gv_verdict *verdict,
                                  struct gv_action_facts *facts, const struct gv_subject *subject)
{
    struct gv_verdict own_verdict;
    struct gv_action_facts own_facts;

    if (!verdict)
        verdict = &own_verdict;
    if (!facts)
        facts = &own_facts;
    memset(facts, 0, sizeof *facts);
    gv_core_verdict(core, verdict, subject);
    gv_history_facts(core->history, facts, subject, core->unix_ms);
    gv_own_evidence(core, facts, subject);
    gv_policy_look(&core->policy, subject, &facts->allow_listed, &facts->deny_listed);
    facts->refuse_on_consensus = core->settings.refuse_on_consensus;
    return gv_action_decide(facts, verdict, &core->descriptor.policy);
}

bool gv_core_is_denied(const struct gv_core *core, const struct gv_subject *subject)
{
    bool allowed, denied;

    gv_policy_look(&core->policy, subject, &allowed, &denied);
    return denied;
}

int gv_core_history(const struct gv_core *core, struct gv_history_summary *out,
                    const struct gv_subject *subject)
{
    return gv_history_summarise(core->history, out, subject, core->unix_ms);
}

bool gv_core_next_subject(const struct gv_core *core, size_t *cursor, struct gv_subject *out)
{
    const struct gv_case *row = gv_table_next(&core->store.cases, cursor);

    if (row)
        *out = row->subject;
    return row != NULL;
}

bool gv_core_next_local(const struct gv_core *core, size_t *cursor, struct gv_subject *out)
{
    return gv_history_next(core->history, cursor, out);
}

bool gv_core_next_listed(const struct gv_core *core, size_t *cursor, struct gv_prefix *out,
                         bool *deny)
{
    const struct gv_prefix_list *allows = &core->policy.admin_allow;
    const struct gv_prefix_list *denies = &core->policy.admin_deny;
    size_t at = (*cursor)++;

    if (at < allows->count) {
        *out = allows->entries[at];
        *deny = false;
        return true;
    }
    at -= allows->count;
    if (at >= denies->count)
        return false;
    *out = denies->entries[at];
    *deny = true;
    return true;
}

bool gv_core_is_silenced(const struct gv_core *core, const uint8_t owner[GV_ID_LEN])
{
    return gv_is_silenced(core, owner);
}

bool gv_core_next_trusted(const struct gv_core *core, size_t *cursor, uint8_t owner[GV_ID_LEN])
{
    if (*cursor >= core->trusted_count)
        return false;
    memcpy(owner, core->trusted[(*cursor)++], GV_ID_LEN);
    return true;
}

bool gv_core_own_lock(const struct gv_core *core, const struct gv_subject *subject,
                      uint32_t *seconds, uint8_t instance[GV_ID_LEN])
{
    const struct gv_own_lock *lock = gv_own_locks_find(&core->own_locks, subject, core->now_ms);

    if (!lock)
        return false;
    *seconds = (uint32_t)((lock->until_ms - core->now_ms) / 1000);
    memcpy(instance, lock->author, GV_ID_LEN);
    return true;
}

bool gv_core_next_own_lock(const struct gv_core *core, size_t *cursor, struct gv_subject *out)
{
    const struct gv_own_lock *lock;

    /* Of several authors' locks on a subject one stands for all. */
    do
        lock = gv_table_next(&core->own_locks.table, cursor);
    while (lock && gv_own_locks_find(&core->own_locks, &lock->subject, core->now_ms) != lock);
    if (lock)
        *out = lock->subject;
    return lock != NULL;
}

bool gv_core_next_peer(const struct gv_core *core, size_t *cursor, struct gv_peer_info *out)
{
    const struct gv_link *link;

    if (*cursor >= core->link_count)
        return false;
    link = core->links[(*cursor)++];
    memset(out, 0, sizeof *out);
    out->link = link->id;
    out->outbound = link->outbound;
    out->member = link->member;
    out->remote = link->remote;
    out->bytes_in = link->bytes_in;
    out->bytes_out = link->bytes_out;
    out->since_ms = link->opened_ms;
    if (link->member) {
        memcpy(out->instance, link->instance, GV_ID_LEN);
        memcpy(out->owner, link->session.remote.owner, GV_ID_LEN);
        out->group = link->session.remote.group;
        out->own = gv_own_link(core, link);
        out->since_ms = link->member_ms;
        out->clock_offset_ms = link->clock_offset_ms;
    }
    return true;
}

bool gv_core_next_instance(const struct gv_core *core, size_t *cursor, struct gv_instance_info *out)
{
    const struct gv_instance *instance = gv_roster_next(&core->roster, GV_ROWS_INSTANCES, cursor);

    if (!instance)
        return false;
    memset(out, 0, sizeof *out);
    memcpy(out->instance, instance->id, GV_ID_LEN);
    memcpy(out->owner, instance->owner->tag, GV_ID_LEN);
    out->group = instance->group;
    out->since_min = instance->since_min;
    out->expires_min = instance->expires_min;
    out->revoked_min = instance->revoked_min;
    out->fault_min = instance->fault_min;
    out->address = instance->address;
    return true;
}

static int compare_offsets(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

/* The median, so that one liar among three changes nothing. */
int64_t gv_core_clock_offset(const struct gv_core *core)
{
    int64_t offsets[64];
    size_t count = 0;

    for (size_t i = 0; i < core->link_count && count < 64; i++)
        if (core->links[i]->member && core->links[i]->greeted)
            offsets[count++] = core->links[i]->clock_offset_ms;
    if (count == 0)
        return 0;
    qsort(offsets, count, sizeof *offsets, compare_offsets);
    return offsets[(count - 1) / 2];
}

static void count_links(const struct gv_core *core, struct gv_core_status *out)
{
    out->links = core->link_count;
    for (size_t i = 0; i < core->link_count; i++) {
        const struct gv_link *link = core->links[i];
        if (!link->member || link->closing || link->errand)
            continue;
        out->peers++;
        out->peers_outbound += link->outbound;
    }
}

void gv_core_status(const struct gv_core *core, struct gv_core_status *out)
{
    memset(out, 0, sizeof *out);
    out->has_descriptor = core->has_descriptor;
    out->has_certificate = core->has_certificate;
    out->self_revoked = core->self_revoked;
    memcpy(out->instance, core->identity.id, GV_ID_LEN);
    out->certificate_expires_min = core->certificate.expires_min;
    count_links(core, out);
    out->known_addresses = core->book.count;
    out->instances = gv_roster_count(&core->roster, GV_ROWS_INSTANCES);
    out->statements = core->set.trees[GV_TREE_STATEMENTS].count;
    out->kept = core->set.trees[GV_TREE_KEPT].count;
    out->errands = core->errand_count;
    out->subjects = core->store.cases.count;
    out->reported = core->store.by_state[GV_VERDICT_REPORTED];
    out->untrusted = core->store.by_state[GV_VERDICT_UNTRUSTED];
    out->own_locks = core->own_locks.table.count;
    for (size_t i = 0; i < core->link_count; i++)
        out->own_hosts += gv_own_link(core, core->links[i]) && !core->links[i]->closing;
    out->local_subjects = gv_history_count(core->history);
    out->bytes_in = core->bytes_in;
    out->bytes_out = core->bytes_out;
    out->signals_made = core->signals_made;
    out->signals_accepted = core->signals_accepted;
    out->signals_refused = core->signals_refused;
    out->records_duplicate = core->records_duplicate;
    out->last_repair_ms = core->last_repair_ms;
    gv_set_fingerprint(out->set_fingerprint, &core->set, GV_TREE_STATEMENTS, 0,
                       core->set.trees[GV_TREE_STATEMENTS].count);
    gv_set_fingerprint(out->kept_fingerprint, &core->set, GV_TREE_KEPT, 0, out->kept);
    gv_set_fingerprint(out->roster_fingerprint, &core->set, GV_TREE_ROSTER, 0,
                       gv_set_count(&core->set, GV_TREE_ROSTER));
    out->clock_offset_ms = gv_core_clock_offset(core);
}

const struct gv_traffic *gv_core_traffic(const struct gv_core *core)
{
    return &core->traffic;
}

const struct gv_descriptor *gv_core_descriptor(const struct gv_core *core)
{
    return core->has_descriptor ? &core->descriptor : NULL;
}

const struct gv_settings *gv_core_settings(const struct gv_core *core)
{
    return &core->settings;
}

/* Whoever has many servers is one peer among the others. */
static bool owner_before(const struct gv_core *core, size_t link)
{
    for (size_t i = 0; i < link; i++)
        if (gv_flow_counts(core, core->links[i]) &&
            memcmp(core->links[i]->session.remote.owner, core->links[link]->session.remote.owner,
                   GV_ID_LEN) == 0)
            return true;
    return false;
}

size_t gv_core_flows(const struct gv_core *core, struct gv_flow *mine, struct gv_flow *out,
                     size_t cap)
{
    size_t count = 0;

    *mine = core->flow;
    for (size_t i = 0; i < core->link_count && count < cap; i++)
        if (gv_flow_counts(core, core->links[i]) && !owner_before(core, i))
            out[count++] = core->links[i]->flow;
    return count;
}
