/* Servers of one admin: whose word is this host's own evidence, and how locks are told from host to
 * host (SPEC 9.8). */
#include <string.h>

#include "crypto/error.h"
#include "proto/limits.h"
#include "proto/mesh/state.h"

/* ---- who is an own host --------------------------------------------------------------------- */

static uint8_t (*trusted_place(struct gv_core *core, const uint8_t owner[GV_ID_LEN]))[GV_ID_LEN]
{
    for (size_t i = 0; i < core->trusted_count; i++)
        if (memcmp(core->trusted[i], owner, GV_ID_LEN) == 0)
            return &core->trusted[i];
    return NULL;
}

bool gv_own_is(const struct gv_core *core, const uint8_t owner[GV_ID_LEN])
{
    if (core->has_certificate && memcmp(owner, core->certificate.owner, GV_ID_LEN) == 0)
        return true;
    for (size_t i = 0; i < core->trusted_count; i++)
        if (memcmp(core->trusted[i], owner, GV_ID_LEN) == 0)
            return true;
    return false;
}

bool gv_own_link(const struct gv_core *core, const struct gv_link *link)
{
    return link->member && gv_own_is(core, link->session.remote.owner);
}

/* ---- what own hosts say --------------------------------------------------------------------- */

#define SIGNAL_LOCK_MIN   60u /* as long as a lock of this host's own (SPEC 12.2) */
#define SIGNAL_LOCK_COUNT 5u  /* as the local limit */
#define SIGNAL_POINTS     2u  /* no host signals for less */

void gv_own_evidence(const struct gv_core *core, struct gv_action_facts *facts,
                     const struct gv_subject *subject)
{
    const struct gv_case *row = gv_store_case(&core->store, subject);

    if (gv_own_locks_find(&core->own_locks, subject, core->now_ms))
        facts->locked_by_own = true;
    for (uint32_t i = 0; row && i < row->count; i++) {
        const struct gv_held *held = gv_case_at(row, i);
        const struct gv_statement *said = &held->statement;
        if (said->kind != GV_STATEMENT_SIGNAL || !gv_own_is(core, held->owner->tag) ||
            memcmp(held->author->id, core->identity.id, GV_ID_LEN) == 0)
            continue;
        if (facts->points < SIGNAL_POINTS)
            facts->points = SIGNAL_POINTS;
        if (core->now_min < said->last_min + GV_LATELY_S / 60)
            facts->failed_lately = true;
        if (said->count >= SIGNAL_LOCK_COUNT && core->now_min < said->last_min + SIGNAL_LOCK_MIN)
            facts->locked_by_own = true;
    }
}

static void note_lock(struct gv_core *core, const struct gv_own_lock *lock, uint64_t seconds)
{
    struct gv_effect *note = gv_effect_note(core->effects, GV_NOTE_OWN_LOCK);

    note->subject = lock->subject;
    note->number = (int64_t)seconds;
    memcpy(note->instance, lock->author, GV_ID_LEN);
}

static void take_out(struct gv_core *core, const uint8_t *author)
{
    struct gv_own_lock gone;
    size_t cursor = 0;

    while (gv_own_locks_take(&core->own_locks, &cursor, &gone, core->now_ms, author))
        note_lock(core, &gone, 0);
}

void gv_own_expire(struct gv_core *core)
{
    take_out(core, NULL);
}

void gv_own_forget(struct gv_core *core, const uint8_t instance[GV_ID_LEN])
{
    take_out(core, instance);
}

void gv_own_take_locks(struct gv_core *core, struct gv_link *link)
{
    bool changed, lab = core->descriptor.lab;

    if (!gv_own_link(core, link)) /* trusted until a moment ago, perhaps */
        return;
    for (uint32_t i = 0; i < core->message.lock_count && !link->closing; i++) {
        const struct gv_told_lock *told = &core->message.locks[i];
        struct gv_own_lock lock = {.subject = told->subject};
        if (!gv_subject_shareable(&lock.subject, lab)) {
            gv_link_punish(core, link, GV_ERR_SUBJECT);
            return;
        }
        memcpy(lock.author, link->instance, GV_ID_LEN);
        lock.until_ms = told->seconds ? gv_core_after(core, told->seconds * 1000ull) : 0;
        int rc = gv_own_locks_set(&core->own_locks, &changed, &lock, core->now_ms);
        if (rc == GV_ERR_MEMORY)
            gv_effect_note(core->effects, GV_NOTE_MEMORY);
        else if (rc == GV_OK && changed)
            note_lock(core, &lock, told->seconds);
    }
}

/* ---- telling -------------------------------------------------------------------------------- */

/* A signal of this node on it is public: whoever asks could know of it. */
static bool has_signalled(const struct gv_core *core, const struct gv_subject *subject)
{
    const struct gv_case *row = gv_store_case(&core->store, subject);

    for (uint32_t i = 0; row && i < row->count; i++) {
        const struct gv_held *held = gv_case_at(row, i);
        if (held->statement.kind == GV_STATEMENT_SIGNAL && !held->kept &&
            memcmp(held->author->id, core->identity.id, GV_ID_LEN) == 0)
            return true;
    }
    return false;
}

/* For how long this peer may be told that the subject is locked; 0: not locked, or not his
 * business. */
static uint32_t told_to(const struct gv_core *core, const struct gv_link *link,
                        const struct gv_subject *subject)
{
    uint32_t seconds = gv_history_told_lock(core->history, subject, core->unix_ms);
    bool allowed, denied;

    if (seconds == 0 || core->settings.share != GV_SHARE_YES)
        return 0;
    gv_policy_look(&core->policy, subject, &allowed, &denied);
    if (allowed || !(gv_own_link(core, link) || has_signalled(core, subject)))
        return 0;
    return seconds < GV_LOCK_TOLD_MAX_S ? seconds : GV_LOCK_TOLD_MAX_S;
}

static void queue(struct gv_core *core, struct gv_link *link, const struct gv_subject *subject)
{
    gv_buf_append(&link->locks_due, subject, sizeof *subject);
    if (link->locks_due.failed) { /* he asks again after the next session's beginning */
        gv_effect_note(core->effects, GV_NOTE_MEMORY);
        gv_buf_free(&link->locks_due);
    }
}

/* Those that may be told are queued before a lock is taken back, too: what is posted says how it
 * stands then. */
void gv_own_tell(struct gv_core *core, const struct gv_subject *subject)
{
    for (size_t i = 0; i < core->link_count; i++) {
        struct gv_link *link = core->links[i];
        if (link->follows && !link->closing && told_to(core, link, subject) > 0)
            queue(core, link, subject);
    }
}

void gv_own_tell_range(struct gv_core *core, const struct gv_prefix *prefix)
{
    struct gv_subject subject;
    size_t cursor = 0;

    while (gv_history_next(core->history, &cursor, &subject))
        if (gv_prefix_matches(prefix, &subject))
            gv_own_tell(core, &subject);
}

static size_t foreign_followers(const struct gv_core *core)
{
    size_t count = 0;

    for (size_t i = 0; i < core->link_count; i++)
        count += core->links[i]->follows && !gv_own_link(core, core->links[i]);
    return count;
}

/* All that stand now: with each beginning of a session, but so often in a minute, as he may come
 * and go. */
static void queue_all(struct gv_core *core, struct gv_link *link)
{
    struct gv_subject subject;
    size_t cursor = 0;

    if (!link->follow_due || link->spent.follows >= GV_FOLLOWS_PER_MINUTE)
        return;
    link->follow_due = false;
    link->spent.follows++;
    while (gv_history_next(core->history, &cursor, &subject))
        if (told_to(core, link, &subject) > 0)
            queue(core, link, &subject);
}

void gv_own_followed(struct gv_core *core, struct gv_link *link)
{
    gv_buf_clear(&link->locks_due);
    link->follows = false;
    link->follow_due = core->message.number != 0 &&
                       (gv_own_link(core, link) || foreign_followers(core) < GV_FOLLOWERS_MAX);
    link->follows = link->follow_due;
    queue_all(core, link);
}

/* One message of what is due first. */
static void post_due(struct gv_core *core, struct gv_link *link)
{
    struct gv_told_lock told[GV_LOCKS_PER_MESSAGE];
    size_t count = link->locks_due.len / sizeof told->subject;

    if (count > GV_LOCKS_PER_MESSAGE)
        count = GV_LOCKS_PER_MESSAGE;
    for (size_t i = 0; i < count; i++) {
        memcpy(&told[i].subject, link->locks_due.data + i * sizeof told->subject,
               sizeof told->subject);
        told[i].seconds = told_to(core, link, &told[i].subject);
    }
    size_t used = count * sizeof told->subject;
    memmove(link->locks_due.data, link->locks_due.data + used, link->locks_due.len - used);
    link->locks_due.len -= used;
    if (link->locks_due.len == 0)
        gv_buf_free(&link->locks_due);
    link->locks_ms = gv_core_after(core, GV_LOCKS_TELL_MS);
    gv_buf_clear(&core->scratch);
    gv_message_locks(&core->scratch, told, (uint32_t)count);
    gv_link_post(core, link, &core->scratch, true);
}

void gv_own_tick(struct gv_core *core)
{
    for (size_t i = 0; i < core->link_count; i++) {
        struct gv_link *link = core->links[i];
        if (!link->closing)
            queue_all(core, link);
        if (link->locks_due.len > 0 && link->locks_ms <= core->now_ms && !link->closing)
            post_due(core, link);
    }
}

/* ---- following ------------------------------------------------------------------------------ */

static void follow(struct gv_core *core, struct gv_link *link, bool on)
{
    if (link->followed == on)
        return;
    link->followed = on;
    gv_buf_clear(&core->scratch);
    gv_message_follow(&core->scratch, on);
    gv_link_post(core, link, &core->scratch, true);
}

void gv_own_greeted(struct gv_core *core, struct gv_link *link)
{
    if (gv_own_link(core, link))
        follow(core, link, true);
}

/* After trust has changed: follows whom it should, and no others. */
static void follow_all(struct gv_core *core)
{
    for (size_t i = 0; i < core->link_count; i++) {
        struct gv_link *link = core->links[i];
        if (link->member && link->greeted && !link->closing)
            follow(core, link, gv_own_link(core, link));
    }
    core->book.own_dirty = true;
    core->book.own_seen = 0;
}

static void forget_owner(struct gv_core *core, const uint8_t owner[GV_ID_LEN])
{
    const struct gv_instance *instance;
    size_t cursor = 0;

    while ((instance = gv_roster_next(&core->roster, GV_ROWS_INSTANCES, &cursor)))
        if (memcmp(instance->owner->tag, owner, GV_ID_LEN) == 0 && !gv_own_is(core, owner))
            gv_own_forget(core, instance->id);
}

int gv_own_trust(struct gv_core *core, const uint8_t owner[GV_ID_LEN])
{
    if (gv_own_is(core, owner))
        return GV_ERR_DUPLICATE;
    if (core->trusted_count == GV_TRUSTED_MAX)
        return GV_ERR_FULL;
    memcpy(core->trusted[core->trusted_count++], owner, GV_ID_LEN);
    follow_all(core);
    return GV_OK;
}

int gv_own_distrust(struct gv_core *core, const uint8_t owner[GV_ID_LEN])
{
    uint8_t(*place)[GV_ID_LEN] = trusted_place(core, owner);

    if (!place)
        return GV_ERR_NOT_FOUND;
    memmove(place, core->trusted[--core->trusted_count], GV_ID_LEN);
    forget_owner(core, owner);
    follow_all(core);
    return GV_OK;
}
