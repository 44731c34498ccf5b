#include "proto/core.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "crypto/hash.h"
#include "crypto/wipe.h"
#include "proto/limits.h"
#include "proto/mesh/state.h"

struct gv_session_self gv_core_self(const struct gv_core *core)
{
    return (struct gv_session_self){.identity = &core->identity,
                                    .certificate = core->certificate_wire,
                                    .descriptor = &core->descriptor,
                                    .verifier = &core->verifier,
                                    .now_min = core->now_min};
}

uint64_t gv_core_after(const struct gv_core *core, uint64_t delay_ms)
{
    return core->now_ms > UINT64_MAX - delay_ms ? UINT64_MAX : core->now_ms + delay_ms;
}

/* ---- beginning and end ---------------------------------------------------------------------- */

static void set_clock(struct gv_core *core, uint64_t unix_ms)
{
    core->unix_ms = unix_ms;
    core->now_min = (uint32_t)(unix_ms / GV_MINUTE_MS);
}

static int configure(struct gv_core *core, const struct gv_settings *settings)
{
    int rc = gv_policy_configure(&core->policy, settings);

    if (rc != GV_OK)
        return rc;
    core->settings = *settings;
    core->settings.allow = core->policy.config_allow.entries; /* its own copies */
    core->settings.allow_count = core->policy.config_allow.count;
    core->settings.deny = core->policy.config_deny.entries;
    core->settings.deny_count = core->policy.config_deny.count;
    core->settings.seeds = NULL;
    core->settings.seed_count = 0;
    if (core->settings.max_links == 0)
        core->settings.max_links = GV_LINKS_DEFAULT;
    for (size_t i = 0; i < settings->seed_count; i++)
        gv_book_seed(core, settings->seeds[i]);
    return GV_OK;
}

static int reconfigure(struct gv_core *core, const struct gv_settings *settings)
{
    int rc = configure(core, settings);

    if (rc == GV_OK && settings->share != GV_SHARE_YES)
        gv_speak_withdraw(core);
    return rc;
}

static int admit_kind(struct gv_core *core, uint8_t kind, const uint8_t *wire, size_t len)
{
    struct gv_buf record;
    int rc = GV_ERR_MEMORY;

    gv_buf_init(&record);
    gv_buf_append(&record, &kind, 1);
    gv_buf_append(&record, wire, len);
    if (!record.failed)
        rc = gv_admit(core, record.data, record.len, GV_FROM_REGISTRY, 0);
    gv_buf_free(&record);
    return rc;
}

/* The key is the same at each start, and never leaves the host. */
static void hide_history(struct gv_core *core)
{
    uint8_t key[GV_HASH_LEN];

    gv_hmac(key, core->identity.store_key, GV_KEY_LEN, "grapevine history 1", NULL, 0);
    gv_history_hide_under(core->history, key);
    gv_wipe(key, sizeof key);
}

static int begin(struct gv_core *core, const struct gv_core_options *options)
{
    int rc;

    gv_drbg_init(&core->drbg, options->seed);
    gv_drbg_fill(&core->drbg, core->hash_key, sizeof core->hash_key);
    gv_set_init(&core->set, core->hash_key);
    if (core->common)
        core->set.shelf = &core->common->shelf;
    gv_roster_init(&core->roster, core->hash_key);
    gv_store_init(&core->store, core->hash_key,
                  options->statements_max ? options->statements_max : GV_STATEMENTS_MAX);
    gv_own_locks_init(&core->own_locks, core->hash_key, GV_OWN_LOCKS_MAX);
    core->history = gv_history_new(options->history_max ? options->history_max : GV_HISTORY_MAX,
                                   core->hash_key);
    if (!core->history)
        return GV_ERR_MEMORY;
    hide_history(core);
    rc = configure(core, &options->settings);
    if (rc == GV_OK && options->descriptor)
        rc = admit_kind(core, GV_RECORD_DESCRIPTOR, options->descriptor, options->descriptor_len);
    if (rc == GV_OK && options->descriptor && !core->has_descriptor)
        rc = GV_ERR_MEMORY; /* it is good, and there was no room to open it again */
    if (rc == GV_OK && options->known) {
        rc = gv_common_begin(core);
        core->began_known = rc == GV_OK;
        rc = rc == GV_ERR_NOT_FOUND ? GV_OK : rc;
    }
    if (rc == GV_OK && options->certificate)
        rc = admit_kind(core, GV_RECORD_CERTIFICATE, options->certificate, GV_CERTIFICATE_LEN);
    bool stored = rc == GV_ERR_DUPLICATE; /* with the roster */
    if (stored)
        rc = gv_take_known_certificate(core, options->certificate);
    core->certificate_stored = stored; /* next time it may be another that is given */
    /* One that has run out is as good as none: the node starts, and has to enrol again. */
    return rc == GV_ERR_EXPIRED || rc == GV_ERR_SIGNER ? GV_OK : rc;
}

int gv_core_new(struct gv_core **out, const struct gv_core_options *options, uint64_t now_ms,
                uint64_t unix_ms)
{
    struct gv_core *core = calloc(1, sizeof *core);
    struct gv_effects ignored; /* what is given here is given again next time */
    int rc;

    *out = NULL;
    if (!core)
        return GV_ERR_MEMORY;
    gv_effects_init(&ignored);
    core->effects = &ignored;
    core->identity = *options->identity;
    core->verifier = options->verifier;
    core->now_ms = core->minute_ms = now_ms;
    gv_door_open(core);
    core->repair_ms = now_ms + GV_REPAIR_MIN_MS;
    gv_traffic_init(&core->traffic,
                    options->bytes_per_hour ? options->bytes_per_hour : GV_TRAFFIC_CAP, now_ms);
    core->public_only = options->public_only;
    core->clock_doubtful = options->clock_doubtful;
    core->common = options->common;
    core->feeler_ms = now_ms + GV_FEELER_MS;
    set_clock(core, unix_ms);
    rc = begin(core, options);
    core->effects = NULL;
    core->fresh_count = 0;
    if (rc == GV_OK && ignored.failed)
        rc = GV_ERR_MEMORY;
    gv_effects_free(&ignored);
    if (rc != GV_OK) {
        gv_core_free(core);
        return rc;
    }
    *out = core;
    return GV_OK;
}

void gv_core_free(struct gv_core *core)
{
    if (!core)
        return;
    for (size_t i = 0; i < core->link_count; i++) {
        gv_session_end(&core->links[i]->session);
        gv_buf_free(&core->links[i]->outbox);
        gv_buf_free(&core->links[i]->locks_due);
        free(core->links[i]);
    }
    free(core->links);
    gv_store_free(&core->store);
    gv_roster_free(&core->roster);
    gv_set_free(&core->set);
    gv_history_free(core->history);
    gv_own_locks_free(&core->own_locks);
    gv_policy_free(&core->policy);
    gv_book_free(&core->book);
    gv_door_forget_pairs(core);
    free(core->fresh);
    free(core->log_heads);
    free(core->errands);
    free(core->votes);
    gv_buf_free(&core->plain);
    gv_buf_free(&core->wire);
    gv_buf_free(&core->scratch);
    gv_buf_free(&core->whole);
    gv_drbg_wipe(&core->drbg);
    gv_identity_wipe(&core->identity);
    gv_wipe(core, sizeof *core);
    free(core);
}

bool gv_core_began_known(const struct gv_core *core)
{
    return core->began_known;
}

uint64_t gv_core_observed(const struct gv_core *core)
{
    return core->observed;
}

/* ---- events --------------------------------------------------------------------------------- */

static int refuse_row(struct gv_core *core, const struct gv_event *event, int error)
{
    struct gv_effect *note = gv_effect_note(core->effects, GV_NOTE_ROW_REFUSED);

    note->error = error;
    gv_effect_forget(core->effects, event->loaded.row, event->loaded.key, event->loaded.key_len);
    return error;
}

static uint64_t read_u64(const uint8_t *bytes)
{
    uint64_t value = 0;

    for (size_t i = 0; i < 8; i++)
        value = value << 8 | bytes[i];
    return value;
}

static int load_self(struct gv_core *core, const uint8_t *value, size_t len)
{
    if (len != 8 && len != 16)
        return GV_ERR_MALFORMED;
    uint64_t sequence = read_u64(value), ahead = len == 16 ? read_u64(value + 8) : 0;
    if (sequence > INT64_MAX || ahead > GV_SEQUENCE_LEAP_MS)
        return GV_ERR_RANGE;
    if (sequence > core->sequence)
        core->sequence = sequence;
    core->sequence_ahead = ahead;
    return GV_OK;
}

#define LIST_TRUST   2 /* beside 0, allow, and 1, deny: key || owner tag */
#define LIST_SILENCE 3 /* likewise */

static int load_list(struct gv_core *core, const uint8_t *key, size_t len)
{
    struct gv_prefix prefix;

    if (len == 1 + GV_ID_LEN && key[0] == LIST_TRUST) {
        int rc = gv_own_trust(core, key + 1);
        return rc == GV_ERR_DUPLICATE ? GV_OK : rc;
    }
    if (len == 1 + GV_ID_LEN && key[0] == LIST_SILENCE) {
        int rc = gv_silence(core, key + 1);
        return rc == GV_ERR_DUPLICATE || rc == GV_ERR_FORBIDDEN ? GV_OK : rc;
    }
    if (len != 1 + sizeof prefix || key[0] > 1)
        return GV_ERR_MALFORMED;
    memcpy(&prefix, key + 1, sizeof prefix);
    if ((prefix.family != GV_FAMILY_IPV4 || prefix.bits > 32) &&
        (prefix.family != GV_FAMILY_IPV6 || prefix.bits > 128))
        return GV_ERR_MALFORMED;
    int rc = gv_policy_add(&core->policy, &prefix, key[0] == 1);
    return rc == GV_ERR_DUPLICATE ? GV_OK : rc;
}

static int load_peer(struct gv_core *core, const uint8_t *key, size_t len)
{
    struct gv_address address;
    int rc = gv_address_unpack(&address, key, len);

    if (rc == GV_OK)
        gv_book_learn(core, &address, NULL, true);
    return rc;
}

static int load_record(struct gv_core *core, const uint8_t *value, size_t len)
{
    uint8_t record[1 + GV_SIGNAL_WIRE_MAX];

    if (len < 2)
        return GV_ERR_MALFORMED;
    if (!(value[0] & GV_RECORD_KEPT))
        return gv_admit(core, value, len, GV_FROM_STORE, 0);
    if (len > sizeof record)
        return GV_ERR_MALFORMED;
    memcpy(record, value, len);
    record[0] &= (uint8_t)~GV_RECORD_KEPT;
    if (record[0] != GV_RECORD_SIGNAL && record[0] != GV_RECORD_RETRACT)
        return GV_ERR_MALFORMED;
    return gv_admit(core, record, len, GV_FROM_STORE_KEPT, 0);
}

static bool is_own_certificate(const struct gv_core *core, const uint8_t *record, size_t len)
{
    return core->has_certificate && len == 1 + GV_CERTIFICATE_LEN &&
           record[0] == GV_RECORD_CERTIFICATE &&
           memcmp(record + 1, core->certificate_wire, GV_CERTIFICATE_LEN) == 0;
}

/* What the shell gave at the start gets a row like any other: when another certificate is given
 * next time, what was said under this one still has to be read. */
static void store_certificate(struct gv_core *core)
{
    uint8_t record[1 + GV_CERTIFICATE_LEN] = {GV_RECORD_CERTIFICATE}, id[GV_ID_LEN];

    if (core->certificate_stored || !core->has_certificate)
        return;
    memcpy(record + 1, core->certificate_wire, GV_CERTIFICATE_LEN);
    if (gv_record_id(id, record, sizeof record) != GV_OK)
        return;
    gv_effect_persist(core->effects, GV_ROW_RECORD, id, GV_ID_LEN, record, sizeof record);
    core->certificate_stored = true;
}

/* Rows of before schema 4 name who logged in, and so does one that was taken out of a damaged file
 * after it had been deleted. */
static void rename_history(struct gv_core *core, const uint8_t *key, size_t len)
{
    struct gv_subject old, hidden;

    if (len != sizeof old)
        return;
    memcpy(&old, key, sizeof old);
    if (old.family != GV_FAMILY_IPV4 && old.family != GV_FAMILY_IPV6)
        return;
    gv_history_key(core->history, &hidden, &old);
    if (gv_subject_equal(&old, &hidden))
        return;
    gv_persist_history(core, &old);
    gv_effect_forget(core->effects, GV_ROW_HISTORY, &old, sizeof old);
}

static int load_row(struct gv_core *core, const struct gv_event *event)
{
    const uint8_t *key = event->loaded.key, *value = event->loaded.value;
    size_t key_len = event->loaded.key_len, value_len = event->loaded.value_len;
    int rc;

    switch (event->loaded.row) {
    case GV_ROW_SELF:
        rc = load_self(core, value, value_len);
        break;
    case GV_ROW_RECORD:
        rc = load_record(core, value, value_len);
        if (rc == GV_ERR_DUPLICATE) {
            core->certificate_stored |= is_own_certificate(core, value, value_len);
            rc = GV_OK;
        }
        break;
    case GV_ROW_HISTORY:
        rc = gv_history_load(core->history, value, value_len);
        if (rc == GV_OK)
            rename_history(core, key, key_len);
        break;
    case GV_ROW_LIST:
        rc = load_list(core, key, key_len);
        break;
    case GV_ROW_PEER:
        rc = load_peer(core, key, key_len);
        break;
    case GV_ROW_SENT:
        gv_speak_unheard(core, key, key_len);
        return GV_OK;
    default:
        return GV_OK; /* telemetry is the shell's */
    }
    /* Nothing can be said against a record without a descriptor, or while the clock may be slow. */
    if (rc == GV_OK || rc == GV_ERR_MEMORY || rc == GV_ERR_STATE || rc == GV_ERR_EARLY)
        return rc;
    return refuse_row(core, event, rc);
}

static int take_news(struct gv_core *core, const uint8_t *record, size_t len)
{
    int rc = len < 2 ? GV_ERR_MALFORMED : gv_admit(core, record, len, GV_FROM_REGISTRY, 0);

    if (rc == GV_OK || rc == GV_ERR_DUPLICATE || rc == GV_ERR_SUPERSEDED)
        return rc == GV_OK ? GV_OK : GV_ERR_DUPLICATE;
    if (rc == GV_ERR_NO_CERTIFICATE) /* of somebody not met yet: the mesh brings both together */
        return GV_OK;
    gv_effect_note(core->effects, GV_NOTE_NEWS_REFUSED)->error = rc;
    return rc;
}

static int list_command(struct gv_core *core, enum gv_command command,
                        const struct gv_prefix *prefix)
{
    uint8_t key[1 + sizeof *prefix];
    bool deny = command == GV_COMMAND_DENY;
    int rc;

    memcpy(key + 1, prefix, sizeof *prefix);
    if (command == GV_COMMAND_ALLOW)
        gv_own_tell_range(core, prefix);
    rc = command == GV_COMMAND_UNLIST ? gv_policy_remove(&core->policy, prefix)
                                      : gv_policy_add(&core->policy, prefix, deny);
    if (rc != GV_OK)
        return rc;
    if (command == GV_COMMAND_UNLIST)
        gv_own_tell_range(core, prefix);
    for (uint8_t list = 0; list < 2; list++) {
        key[0] = list;
        if (command != GV_COMMAND_UNLIST && list == deny)
            gv_effect_persist(core->effects, GV_ROW_LIST, key, sizeof key, NULL, 0);
        else
            gv_effect_forget(core->effects, GV_ROW_LIST, key, sizeof key);
    }
    return GV_OK;
}

static int trust_command(struct gv_core *core, bool trust, const uint8_t owner[GV_ID_LEN])
{
    uint8_t key[1 + GV_ID_LEN] = {LIST_TRUST};
    int rc = trust ? gv_own_trust(core, owner) : gv_own_distrust(core, owner);

    if (rc != GV_OK)
        return rc;
    memcpy(key + 1, owner, GV_ID_LEN);
    if (trust)
        gv_effect_persist(core->effects, GV_ROW_LIST, key, sizeof key, NULL, 0);
    else
        gv_effect_forget(core->effects, GV_ROW_LIST, key, sizeof key);
    return GV_OK;
}

/* The row goes from the store in any case: what is not in memory any more may still lie there. */
static int forget_command(struct gv_core *core, const struct gv_subject *subject)
{
    bool held = gv_history_forget(core->history, subject);
    struct gv_subject hidden;

    gv_history_hidden_key(core->history, &hidden, subject);
    gv_effect_forget(core->effects, GV_ROW_HISTORY, &hidden, sizeof hidden);
    gv_effect_forget(core->effects, GV_ROW_HISTORY, subject, sizeof *subject);
    return held ? GV_OK : GV_ERR_NOT_FOUND;
}

static int silence_command(struct gv_core *core, bool silence, const uint8_t owner[GV_ID_LEN])
{
    uint8_t key[1 + GV_ID_LEN] = {LIST_SILENCE};
    int rc = silence ? gv_silence(core, owner) : gv_hear_again(core, owner);

    if (rc != GV_OK)
        return rc;
    memcpy(key + 1, owner, GV_ID_LEN);
    if (silence) {
        gv_effect_persist(core->effects, GV_ROW_LIST, key, sizeof key, NULL, 0);
        (void)trust_command(core, false, owner); /* nobody is both */
    } else {
        gv_effect_forget(core->effects, GV_ROW_LIST, key, sizeof key);
    }
    return GV_OK;
}

static int obey(struct gv_core *core, const struct gv_event *event)
{
    switch (event->command.command) {
    case GV_COMMAND_CONFIGURE:
        return reconfigure(core, event->command.settings);
    case GV_COMMAND_ALLOW:
    case GV_COMMAND_DENY:
    case GV_COMMAND_UNLIST:
        return list_command(core, event->command.command, &event->command.prefix);
    case GV_COMMAND_ASK:
        return gv_errand_ask(core, &event->command.subject);
    case GV_COMMAND_RETRACT:
        return gv_speak_retract(core, &event->command.subject);
    case GV_COMMAND_FORGET:
        return forget_command(core, &event->command.subject);
    case GV_COMMAND_TRUST:
    case GV_COMMAND_DISTRUST:
        return trust_command(core, event->command.command == GV_COMMAND_TRUST,
                             event->command.owner);
    case GV_COMMAND_SILENCE:
    case GV_COMMAND_HEAR:
        return silence_command(core, event->command.command == GV_COMMAND_SILENCE,
                               event->command.owner);
    case GV_COMMAND_NUMBER_ANEW:
        gv_speak_number_anew(core, event->command.lost, event->command.ceiling);
        return GV_OK;
    case GV_COMMAND_FLOW:
        if (event->command.flow.size != 0 && !gv_flow_valid(&event->command.flow))
            return GV_ERR_RANGE;
        core->flow = event->command.flow;
        return GV_OK;
    case GV_COMMAND_DISCONNECT:
        for (size_t i = 0; i < core->link_count; i++)
            gv_link_close(core, core->links[i], GV_GOODBYE_STOPPING);
        core->stopping = true;
        return GV_OK;
    }
    return GV_ERR_PROTOCOL;
}

/* A clock that went back leaves behind what was dated by the wrong one, and what it judged too
 * early: a vote that counted may lie ahead again. */
static void take_clock(struct gv_core *core, uint64_t unix_ms)
{
    uint32_t before = core->now_min;

    set_clock(core, unix_ms);
    core->minute_ms = core->now_ms;
    if (core->now_min + GV_AHEAD_MIN < before)
        gv_forget_ahead(core);
    else if (core->now_min < before)
        gv_rejudge_all(core);
}

static int take(struct gv_core *core, const struct gv_event *event)
{
    switch (event->kind) {
    case GV_EVENT_TIMER:
        return GV_OK;
    case GV_EVENT_CLOCK:
        core->clock_doubtful = event->clock.doubtful;
        take_clock(core, event->clock.unix_ms);
        return GV_OK;
    case GV_EVENT_CONNECTED:
        gv_link_connected(core, event->connected.link, &event->connected.remote);
        return GV_OK;
    case GV_EVENT_DISCONNECTED:
        gv_link_disconnected(core, event->disconnected.link);
        return GV_OK;
    case GV_EVENT_BYTES:
        gv_link_bytes(core, event->bytes.link, event->bytes.data, event->bytes.len);
        return GV_OK;
    case GV_EVENT_OBSERVATION:
        core->observed++;
        gv_speak_observation(core, &event->observation);
        return GV_OK;
    case GV_EVENT_LOADED:
        return load_row(core, event);
    case GV_EVENT_NEWS:
        return take_news(core, event->news.record, event->news.len);
    case GV_EVENT_COMMAND:
        core->observed++;
        return obey(core, event);
    }
    return GV_ERR_PROTOCOL;
}

/* ---- time ----------------------------------------------------------------------------------- */

/* Told once an hour while it lasts: a wrong clock makes our signals worthless and others' look
 * early or late. */
static void check_clock(struct gv_core *core)
{
    int64_t offset = gv_core_clock_offset(core), off = offset < 0 ? -offset : offset;

    if (off < (int64_t)GV_CLOCK_OFF_MS)
        return;
    if (core->clock_noted_ms != 0 && core->now_ms - core->clock_noted_ms < 60 * GV_MINUTE_MS)
        return;
    core->clock_noted_ms = core->now_ms;
    gv_effect_note(core->effects, GV_NOTE_CLOCK_OFF)->number = offset;
}

static void minute(struct gv_core *core)
{
    /* At the turn of the wall clock's minute: that is when signals begin and cease to count. */
    core->minute_ms = gv_core_after(core, GV_MINUTE_MS - core->unix_ms % GV_MINUTE_MS);
    gv_expire(core);
    gv_links_make_room(core);
    gv_account_minute(core);
    core->book.own_dirty = true; /* whoever was banned may be dialled again */
    check_clock(core);
}

static void tick(struct gv_core *core)
{
    if (core->minute_ms <= core->now_ms)
        minute(core);
    gv_speak_address(core);
    gv_links_tick(core);
    gv_callers_tick(core);
    gv_repair_tick(core);
    gv_own_tick(core);
    gv_flow_tick(core);
    gv_keep_tick(core);
    gv_tree_tick(core);
    if (!core->stopping) {
        gv_errands_tick(core);
        gv_book_tick(core);
        gv_book_feel(core);
        gv_book_seek(core);
    }
}

int gv_core_step(struct gv_core *core, uint64_t now_ms, const struct gv_event *event,
                 struct gv_effects *effects)
{
    int rc;

    gv_assert(now_ms >= core->now_ms);
    set_clock(core, core->unix_ms + (now_ms - core->now_ms));
    core->now_ms = now_ms;
    core->effects = effects;
    core->step++;
    gv_traffic_tick(&core->traffic, now_ms);
    core->busy = gv_traffic_is_busy(&core->traffic);
    bool loaded = core->set.loading && event->kind != GV_EVENT_LOADED;
    gv_set_loading(&core->set, event->kind == GV_EVENT_LOADED);
    if (loaded) {
        gv_common_settle(core);
        gv_rejudge_all(core);
        gv_keep_look_all(core);
        if (core->settings.share != GV_SHARE_YES)
            gv_speak_withdraw(core);
        gv_errands_resume(core);
    }
    if (event->kind != GV_EVENT_LOADED)
        store_certificate(core);
    rc = take(core, event);
    if (event->kind != GV_EVENT_LOADED)
        tick(core);
    gv_spread_flush(core);
    gv_links_flush(core);
    core->effects = NULL;
    return rc;
}

uint64_t gv_core_deadline(const struct gv_core *core)
{
    uint64_t due = core->minute_ms, other;

    other = gv_links_deadline(core);
    due = other < due ? other : due;
    other = gv_callers_deadline(core);
    due = other < due ? other : due;
    other = core->repair_ms;
    due = other < due ? other : due;
    other = core->stopping ? UINT64_MAX : core->feeler_ms;
    due = other < due ? other : due;
    other = gv_keep_deadline(core);
    due = other < due ? other : due;
    other = core->stopping ? UINT64_MAX : gv_errands_deadline(core);
    due = other < due ? other : due;
    other = gv_tree_deadline(core);
    due = other < due ? other : due;
    other = core->stopping ? UINT64_MAX : gv_book_deadline(core);
    return other < due ? other : due;
}
