/* What happens in the world becomes events, effects become bytes; the rows are driver_store.c's. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/base/log.h"
#include "node/host/driver_internal.h"
#include "node/host/notes.h"

#define EFFECTS_KEEP_BYTES (64u << 10) /* a batch buffer above this is given back to the system */

/* ---- clocks --------------------------------------------------------------------------------- */

uint64_t gv_unix_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

uint64_t gv_driver_now(const struct gv_driver *driver)
{
    (void)driver;
    return now_ms();
}

/* ---- steps ---------------------------------------------------------------------------------- */

void gv_driver_break(struct gv_driver *driver, const char *why)
{
    if (driver->is_broken)
        return;
    driver->is_broken = true;
    gv_log(GV_LOG_ERROR, "%s", why);
    if (driver->broken)
        driver->broken(driver->context, why);
}

int gv_driver_step(struct gv_driver *driver, const struct gv_event *event)
{
    if (driver->is_broken)
        return GV_ERR_STATE;
    driver->stepped = true;
    int rc = gv_core_step(driver->core, now_ms(), event, &driver->pending);
    if (driver->pending.failed)
        gv_driver_break(
            driver, "out of memory: the node stops, because a row or a message is missing; give "
                    "it more memory, or lower [limits] in its configuration");
    return rc;
}

/* The core counts in its own steady time and is told when the wall clock was set. Slow slewing
 * adds up to a jump of a second too, in its time. */
static void tell_clock(struct gv_driver *driver, bool always)
{
    uint64_t unix_ms = gv_unix_ms();
    int64_t offset = (int64_t)unix_ms - (int64_t)now_ms();
    bool doubtful = !gv_driver_believes(driver, unix_ms);
    bool jumped = llabs(offset - driver->clock_offset) >= GV_CLOCK_JUMP_MS;
    struct gv_event event = {.kind = GV_EVENT_CLOCK,
                             .clock = {.unix_ms = unix_ms, .doubtful = doubtful}};

    if (!always && !jumped && doubtful == driver->told_doubtful)
        return;
    driver->told_doubtful = doubtful;
    if (!always && jumped)
        gv_log(GV_LOG_NOTICE, "the clock was set by %lld s",
               (long long)((offset - driver->clock_offset) / 1000));
    driver->clock_offset = offset;
    gv_driver_step(driver, &event);
}

int gv_driver_read(struct gv_driver *driver, const struct gv_event *event)
{
    tell_clock(driver, false);
    return gv_driver_step(driver, event);
}

int gv_driver_event(struct gv_driver *driver, const struct gv_event *event)
{
    size_t before = driver->pending.count;
    int rc = gv_driver_read(driver, event);

    if (driver->pending.count > before)
        gv_driver_hurry(driver);
    return rc;
}

void gv_driver_later(struct gv_driver *driver)
{
    driver->later = true;
}

void gv_driver_hurry(struct gv_driver *driver)
{
    driver->hold.now = true;
}

/* ---- effects -------------------------------------------------------------------------------- */

/* What stands in the log for a subject, NULL: its address (SPEC 15). */
static const char *unnamed(const struct gv_driver *driver, const struct gv_subject *subject)
{
    struct gv_history_summary history;

    if (subject->family == GV_FAMILY_NONE)
        return NULL;
    if (gv_subject_equal(subject, &driver->unnamed))
        return "an address that is erased";
    if (gv_core_history(driver->core, &history, subject) == GV_OK && history.last_success_ms != 0)
        return "an address from which somebody has logged in here";
    return NULL;
}

static void take_note(struct gv_driver *driver, const struct gv_effect *note, bool safe)
{
    if ((unsigned)note->note < GV_NOTE_COUNT)
        driver->status.notes[note->note]++;
    gv_notes_log(note, unnamed(driver, &note->subject));
    if (note->subject.family != GV_FAMILY_NONE && driver->about)
        driver->about(driver->context, &note->subject);
    switch (note->note) {
    case GV_NOTE_SIGNALLED:
    case GV_NOTE_PREVIEWED:
    case GV_NOTE_ACKNOWLEDGED:
    case GV_NOTE_RETRACTED:
        if (safe && driver->recorded)
            driver->recorded(driver->context, note->id);
        break;
    case GV_NOTE_CERTIFICATE:
    case GV_NOTE_DESCRIPTOR:
    case GV_NOTE_SELF_REVOKED:
        if (driver->noted)
            driver->noted(driver->context, note->note);
        break;
    default:
        break;
    }
}

static void carry_out(struct gv_driver *driver, const struct gv_effect *effect, bool safe)
{
    const struct gv_effects *from = &driver->running;

    switch (effect->kind) {
    case GV_EFFECT_PERSIST:
    case GV_EFFECT_FORGET:
        break; /* done by commit */
    case GV_EFFECT_CONNECT: {
        bool named = effect->address.family == GV_FAMILY_NONE;
        int rc = gv_net_connect(driver->net, effect->link, named ? NULL : &effect->address,
                                (const char *)gv_effect_data(from, effect), effect->data_len);
        if (rc != GV_OK) {
            struct gv_event event = {.kind = GV_EVENT_DISCONNECTED,
                                     .disconnected = {.link = effect->link}};
            gv_driver_step(driver, &event);
        }
        break;
    }
    case GV_EFFECT_SEND:
        /* Not safe: the links are being cut, and what they would have carried with them. */
        if (safe)
            gv_net_send(driver->net, effect->link, gv_effect_data(from, effect), effect->data_len);
        break;
    case GV_EFFECT_CLOSE:
        gv_net_close(driver->net, effect->link);
        break;
    case GV_EFFECT_TURN_AWAY: /* of one who called, it was done when it came */
        gv_net_turn_away(driver->net, effect->link, gv_effect_data(from, effect), effect->data_len);
        break;
    case GV_EFFECT_NOTE:
        take_note(driver, effect, safe);
        break;
    }
}

static void shrink(struct gv_effects *effects)
{
    if (effects->bytes.cap > EFFECTS_KEEP_BYTES ||
        effects->cap * sizeof *effects->list > EFFECTS_KEEP_BYTES)
        gv_effects_free(effects);
    else
        gv_effects_clear(effects);
}

/* What is carried out may cause further steps (a connection that cannot even be tried); their
 * effects make the next batch of the same flush. */
void gv_driver_flush(struct gv_driver *driver)
{
    if (driver->flushing || driver->is_broken)
        return;
    driver->flushing = true;
    gv_hold_clear(&driver->hold);
    if (driver->later && driver->storing)
        driver->storing(driver->context);
    driver->later = false;
    while ((driver->pending.count > 0 || gv_persist_dirty(driver->persist)) && !driver->is_broken) {
        struct gv_effects batch = driver->pending;
        driver->pending = driver->running;
        driver->running = batch;
        bool had_effects = driver->running.count > 0;
        bool safe = gv_driver_commit(driver);
        for (size_t i = 0; i < driver->running.count; i++)
            carry_out(driver, &driver->running.list[i], safe);
        shrink(&driver->running);
        if (!had_effects)
            break; /* only a position was kept, and it is stored or waits for the store */
    }
    gv_net_flush(driver->net);
    driver->flushing = false;
}

/* At the end of a turn: what may wait does. */
static void end_turn(struct gv_driver *driver)
{
    bool kept = driver->later || gv_persist_dirty(driver->persist);

    if (gv_hold_over(&driver->hold, &driver->pending, kept, now_ms()) &&
        gv_driver_waits_for_log(driver) == 0)
        gv_driver_flush(driver);
    else
        gv_net_flush(driver->net);
}

/* When the core wants to be woken. Set once a turn, after the last step of the turn. */
static void on_timer(uv_timer_t *timer)
{
    struct gv_driver *driver = timer->data;
    struct gv_event event = {.kind = GV_EVENT_TIMER};

    if (gv_core_deadline(driver->core) <= now_ms()) /* and not for what waits for its commit */
        gv_driver_event(driver, &event);
    gv_driver_expire(driver);
}

/* Most turns step no core, and set the timer for no other time than it is set for. */
static void arm(struct gv_driver *driver)
{
    uint64_t commit = gv_hold_deadline(&driver->hold), log = gv_driver_waits_for_log(driver);
    uint64_t now = now_ms(), deadline;

    if (driver->stepped)
        driver->core_due_ms = gv_core_deadline(driver->core);
    driver->stepped = false;
    deadline = driver->core_due_ms;

    if (commit != UINT64_MAX && log > 0)
        commit = now + log; /* or when on_copied comes */
    deadline = commit < deadline ? commit : deadline;
    if (gv_driver_log_deadline(driver) < deadline)
        deadline = gv_driver_log_deadline(driver);
    if (deadline == driver->armed_ms && uv_is_active((uv_handle_t *)&driver->timer))
        return;
    driver->armed_ms = deadline;
    /* libuv's clock stands still within a turn: a timer counts from its start. */
    uv_update_time(driver->loop);
    uv_timer_start(&driver->timer, on_timer, deadline > now ? deadline - now : 0, 0);
}

/* After the timers and before the poll. */
static void on_prepare(uv_prepare_t *prepare)
{
    struct gv_driver *driver = prepare->data;

    end_turn(driver);
    if (!driver->is_broken)
        arm(driver);
}

/* It has woken the loop, so the turn ends. */
static void on_copied(uv_async_t *copied)
{
    (void)copied;
}

static void wake(void *context)
{
    uv_async_send(&((struct gv_driver *)context)->copied);
}

/* After the poll. */
static void on_check(uv_check_t *check)
{
    end_turn(check->data);
}

int gv_driver_command(struct gv_driver *driver, const struct gv_event *event)
{
    int rc = gv_driver_event(driver, event);

    gv_driver_flush(driver);
    if (rc == GV_OK && driver->status.store_failing)
        return GV_ERR_IO;
    return rc;
}

void gv_driver_unname(struct gv_driver *driver, const struct gv_subject *subject)
{
    driver->unnamed = subject ? *subject : (struct gv_subject){0};
}

void gv_driver_keep(struct gv_driver *driver, const char *name, const void *data, size_t len)
{
    gv_persist_keep(driver->persist, name, data, len);
}

void gv_driver_retention(const struct gv_driver *driver, struct gv_driver_retention *out)
{
    *out = (struct gv_driver_retention){driver->telemetry_ms, driver->journal_ms,
                                        driver->statistics_ms};
}

void gv_driver_count(struct gv_driver *driver, unsigned count, int64_t delta, uint64_t unix_ms)
{
    (void)gv_persist_count(driver->persist, count, delta, unix_ms); /* memory short: one is lost */
}

/* ---- the net's callbacks -------------------------------------------------------------------- */

/* Whoever is turned away goes now and not at the end of the turn: a siege brings hundreds in one,
 * and each would hold a place that a member needs. Nothing that has to be safe first depends on it.
 * `before`: effects that were pending before this event. */
static void turn_away(struct gv_driver *driver, size_t before)
{
    const struct gv_effects *pending = &driver->pending;

    for (size_t i = before; i < pending->count; i++)
        if (pending->list[i].kind == GV_EFFECT_TURN_AWAY)
            gv_net_turn_away(driver->net, pending->list[i].link,
                             gv_effect_data(pending, &pending->list[i]), pending->list[i].data_len);
}

static void on_connected(void *context, uint32_t link, const struct gv_address *remote)
{
    struct gv_driver *driver = context;
    struct gv_event event = {.kind = GV_EVENT_CONNECTED,
                             .connected = {.link = link, .remote = *remote}};
    size_t before = driver->pending.count;

    gv_driver_event(context, &event);
    turn_away(driver, before);
}

static void on_disconnected(void *context, uint32_t link)
{
    struct gv_event event = {.kind = GV_EVENT_DISCONNECTED, .disconnected = {.link = link}};

    gv_driver_event(context, &event);
}

static void on_bytes(void *context, uint32_t link, const uint8_t *data, size_t len)
{
    struct gv_driver *driver = context;
    struct gv_event event = {.kind = GV_EVENT_BYTES,
                             .bytes = {.link = link, .data = data, .len = len}};
    size_t before = driver->pending.count;

    gv_driver_event(context, &event);
    turn_away(driver, before);
}

/* ---- life ----------------------------------------------------------------------------------- */

static void on_row(void *context, enum gv_row row, const uint8_t *key, size_t key_len,
                   const uint8_t *value, size_t value_len)
{
    struct gv_driver *driver = context;
    struct gv_event event = {
        .kind = GV_EVENT_LOADED,
        .loaded = {
            .row = row, .key = key, .key_len = key_len, .value = value, .value_len = value_len}};

    if (gv_driver_step(driver, &event) != GV_OK)
        driver->status.rows_bad++;
    else if (row == GV_ROW_SELF)
        driver->numbers_known = true;
}

static int load(struct gv_driver *driver, struct gv_text *error)
{
    size_t bad = 0;

    int rc = gv_persist_load(driver->persist, on_row, driver, &bad, error);
    driver->status.rows_bad += bad;
    if (bad > 0)
        gv_log(GV_LOG_WARNING,
               "%zu rows of the store were changed by something else than this node, or with "
               "another key, and are left out",
               bad);
    return rc;
}

/* A store that does not know the last sequence number, although the key is old: lost, mended,
 * restored, or never used. */
static void continue_numbers(struct gv_driver *driver, bool fresh_key)
{
    if (driver->numbers_known)
        return;
    if (!fresh_key)
        gv_log(GV_LOG_NOTICE, "the store does not hold the number of the last signal that this key "
                              "has signed: numbers go on a day ahead of the clock, so that none is "
                              "ever used twice");
    gv_driver_number_anew(driver, !fresh_key);
}

static int make_core(struct gv_driver *driver, const struct gv_core_options *wanted,
                     struct gv_text *error)
{
    struct gv_core_options options = *wanted;
    uint64_t unix_ms = gv_unix_ms(), now = now_ms();

    if (getrandom(options.seed, sizeof options.seed, 0) != (ssize_t)sizeof options.seed)
        return gv_fail(error, GV_ERR_IO, "the kernel gives no random bytes: %s", strerror(errno));
    driver->clock_offset = (int64_t)unix_ms - (int64_t)now;
    gv_driver_load_clock(driver);
    options.clock_doubtful = driver->told_doubtful = !gv_driver_believes(driver, unix_ms);
    int rc = gv_core_new(&driver->core, &options, now, unix_ms);
    gv_wipe(options.seed, sizeof options.seed);
    if (rc != GV_OK)
        return gv_fail(error, rc, "the node cannot start: %s", gv_strerror(rc));
    return GV_OK;
}

static void add_handles(struct gv_driver *driver)
{
    uv_timer_init(driver->loop, &driver->timer);
    uv_timer_init(driver->loop, &driver->retry);
    uv_timer_init(driver->loop, &driver->stop_timer);
    uv_prepare_init(driver->loop, &driver->prepare);
    uv_check_init(driver->loop, &driver->check);
    uv_async_init(driver->loop, &driver->copied, on_copied);
    driver->timer.data = driver->retry.data = driver->stop_timer.data = driver;
    driver->prepare.data = driver->check.data = driver->copied.data = driver;
    driver->handles = 6;
}

int gv_driver_new(struct gv_driver **out, const struct gv_driver_options *options,
                  struct gv_text *error)
{
    struct gv_driver *driver = calloc(1, sizeof *driver);
    struct gv_net_options net = options->net;
    struct gv_text full;
    int rc;

    if (!driver)
        return gv_fail(error, GV_ERR_MEMORY, "out of memory");
    driver->loop = options->loop;
    driver->persist = options->persist;
    driver->context = options->context;
    driver->broken = options->broken;
    driver->recorded = options->recorded;
    driver->noted = options->noted;
    driver->about = options->about;
    driver->storing = options->storing;
    driver->telemetry_ms =
        options->telemetry_ms ? options->telemetry_ms : GV_TELEMETRY_DAYS * 86400000ULL;
    driver->journal_ms = options->journal_ms ? options->journal_ms : GV_JOURNAL_DAYS * 86400000ULL;
    driver->statistics_ms =
        options->statistics_ms ? options->statistics_ms : GV_STATISTICS_DAYS * 86400000ULL;
    driver->status.started_ms = now_ms();
    add_handles(driver);
    rc = make_core(driver, &options->core, error);
    if (rc == GV_OK)
        rc = load(driver, error);
    if (rc == GV_OK)
        continue_numbers(driver, options->fresh_key);
    if (rc == GV_OK && driver->is_broken)
        rc = gv_fail(error, GV_ERR_MEMORY, "out of memory while the store was loaded");
    if (rc == GV_OK) {
        net.loop = options->loop;
        net.callbacks = (struct gv_net_callbacks){driver, on_connected, on_disconnected, on_bytes};
        rc = gv_net_new(&driver->net, &net, error);
    }
    if (rc != GV_OK) {
        driver->is_broken = true;
        gv_driver_free(driver);
        return rc;
    }
    if (gv_persist_reading(driver->persist, &full))
        gv_driver_store_failed(driver, &full);
    tell_clock(driver, true);
    gv_driver_expire(driver);
    uv_prepare_start(&driver->prepare, on_prepare);
    uv_check_start(&driver->check, on_check);
    gv_persist_apart(driver->persist, wake, driver);
    *out = driver;
    return GV_OK;
}

static void on_stop_tick(uv_timer_t *timer)
{
    struct gv_driver *driver = timer->data;

    if (now_ms() < driver->stop_by && gv_net_links(driver->net) > 0)
        return;
    uv_timer_stop(timer);
    driver->stopped(driver->context);
}

void gv_driver_stop(struct gv_driver *driver, void (*stopped)(void *context))
{
    struct gv_event event = {.kind = GV_EVENT_COMMAND,
                             .command = {.command = GV_COMMAND_DISCONNECT}};

    driver->stopped = stopped;
    driver->stop_by = now_ms() + GV_STOP_MS;
    gv_driver_command(driver, &event);
    uv_timer_start(&driver->stop_timer, on_stop_tick, 0, 20);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct gv_driver *driver = handle->data;

    if (--driver->handles > 0)
        return;
    gv_core_free(driver->core);
    gv_effects_free(&driver->pending);
    gv_effects_free(&driver->running);
    gv_effects_free(&driver->backlog);
    free(driver);
}

void gv_driver_free(struct gv_driver *driver)
{
    if (!driver || driver->freed)
        return;
    driver->freed = true;
    if (driver->net) {
        gv_driver_flush(driver);
        gv_driver_store_rest(driver);
    }
    gv_net_free(driver->net);
    gv_persist_apart(driver->persist, NULL, NULL);
    uv_close((uv_handle_t *)&driver->copied, on_handle_closed);
    uv_close((uv_handle_t *)&driver->timer, on_handle_closed);
    uv_close((uv_handle_t *)&driver->retry, on_handle_closed);
    uv_close((uv_handle_t *)&driver->stop_timer, on_handle_closed);
    uv_close((uv_handle_t *)&driver->prepare, on_handle_closed);
    uv_close((uv_handle_t *)&driver->check, on_handle_closed);
}

/* ---- questions ------------------------------------------------------------------------------ */

const struct gv_core *gv_driver_core(const struct gv_driver *driver)
{
    return driver->core;
}

struct gv_persist *gv_driver_persist(const struct gv_driver *driver)
{
    return driver->persist;
}

void gv_driver_status(const struct gv_driver *driver, struct gv_driver_status *out)
{
    *out = driver->status;
    out->backlog = driver->backlog.bytes.len;
    out->port = gv_net_port(driver->net);
    out->net = gv_net_counters(driver->net);
}

void gv_driver_set_incoming_max(struct gv_driver *driver, unsigned incoming_max)
{
    gv_net_set_incoming_max(driver->net, incoming_max);
}
