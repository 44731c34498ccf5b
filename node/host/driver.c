#include "node/host/driver.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/base/log.h"
#include "node/host/hold.h"
#include "node/host/notes.h"

#define EFFECTS_KEEP_BYTES (64u << 10) /* a batch buffer above this is given back to the system */
#define EXPIRE_EVERY_MS    3600000u
#define MEND_EVERY_MS      3600000u

struct gv_driver {
    uv_loop_t *loop;
    struct gv_core *core;
    struct gv_net *net;
    struct gv_persist *persist;
    void *context;
    void (*broken)(void *context, const char *why);
    void (*recorded)(void *context, const uint8_t id[GV_ID_LEN]);
    void (*noted)(void *context, enum gv_note note);
    void (*about)(void *context, const struct gv_subject *subject);
    void (*storing)(void *context);
    struct gv_effects pending; /* gathered in this turn, or since the last commit */
    struct gv_effects running; /* being carried out */
    struct gv_effects backlog; /* rows that the store would not take */
    struct gv_hold hold;       /* of pending */
    bool later;                /* `storing` has something to keep */
    bool flushing, is_broken;
    uint64_t own_dropped; /* rows left out of a full backlog */
    int64_t clock_offset; /* wall minus step clock, as last told to the core */
    uint64_t telemetry_ms, journal_ms, statistics_ms, next_expire;
    uint64_t mended_ms;    /* step clock; 0: never */
    bool numbers_known;    /* the store held the last sequence number */
    uv_timer_t timer, retry, stop_timer;
    uv_prepare_t prepare;
    uv_check_t check;
    int handles;
    bool freed;
    void (*stopped)(void *context);
    uint64_t stop_by; /* step clock */
    struct gv_driver_status status;
};

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

static void break_down(struct gv_driver *driver, const char *why)
{
    if (driver->is_broken)
        return;
    driver->is_broken = true;
    gv_log(GV_LOG_ERROR, "%s", why);
    if (driver->broken)
        driver->broken(driver->context, why);
}

static int step(struct gv_driver *driver, const struct gv_event *event)
{
    if (driver->is_broken)
        return GV_ERR_STATE;
    int rc = gv_core_step(driver->core, now_ms(), event, &driver->pending);
    if (driver->pending.failed)
        break_down(driver, "out of memory: the node stops, because a row or a message is missing; "
                           "give it more memory, or lower [limits] in its configuration");
    return rc;
}

/* The core counts in its own steady time and is told when the wall clock was set. Slow slewing
 * adds up to a jump of a second too, in its time. */
static void tell_clock(struct gv_driver *driver, bool always)
{
    uint64_t unix_ms = gv_unix_ms();
    int64_t offset = (int64_t)unix_ms - (int64_t)now_ms();
    struct gv_event event = {.kind = GV_EVENT_CLOCK, .clock = {.unix_ms = unix_ms}};

    if (!always && llabs(offset - driver->clock_offset) < GV_CLOCK_JUMP_MS)
        return;
    if (!always)
        gv_log(GV_LOG_NOTICE, "the clock was set by %lld s",
               (long long)((offset - driver->clock_offset) / 1000));
    driver->clock_offset = offset;
    step(driver, &event);
}

int gv_driver_read(struct gv_driver *driver, const struct gv_event *event)
{
    tell_clock(driver, false);
    return step(driver, event);
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

/* ---- the store, when it fails --------------------------------------------------------------- */

static void flush(struct gv_driver *driver);

/* Moves the rows of `from` to the backlog. A full backlog still takes the node's own words, which
 * are few; of the rest the mesh has copies. */
static void to_backlog(struct gv_driver *driver, const struct gv_effects *from)
{
    for (size_t i = 0; i < from->count; i++) {
        const struct gv_effect *e = &from->list[i];
        bool full = driver->backlog.bytes.len + e->key_len + e->data_len > GV_BACKLOG_MAX;
        if (e->kind == GV_EFFECT_NOTE && e->note == GV_NOTE_PREVIEWED)
            memcpy(gv_effect_note(&driver->backlog, e->note)->id, e->id, sizeof e->id);
        if (!gv_effect_is_row(e))
            continue;
        if (full && !gv_effect_is_own_word(from, e)) {
            driver->own_dropped++;
            continue;
        }
        if (e->kind == GV_EFFECT_PERSIST)
            gv_effect_persist(&driver->backlog, e->row, gv_effect_key(from, e), e->key_len,
                              gv_effect_data(from, e), e->data_len);
        else
            gv_effect_forget(&driver->backlog, e->row, gv_effect_key(from, e), e->key_len);
    }
    if (driver->backlog.failed)
        break_down(driver, "out of memory while the store cannot be written: the node stops");
}

static int number_anew(struct gv_driver *driver, bool lost)
{
    struct gv_event event = {.kind = GV_EVENT_COMMAND,
                             .command = {.command = GV_COMMAND_NUMBER_ANEW, .lost = lost}};

    if (lost)
        event.command.ceiling = gv_persist_ceiling(driver->persist);
    return step(driver, &event);
}

/* Commits; a damaged file is mended first. Not over and over: a disk that spoils all that is
 * written to it would be filled with what is set aside. */
static int commit_or_mend(struct gv_driver *driver, const struct gv_effects *effects,
                          struct gv_text *error)
{
    int rc = gv_persist_commit(driver->persist, effects, gv_unix_ms(), error);

    if (rc != GV_ERR_MALFORMED || (driver->mended_ms && now_ms() - driver->mended_ms < MEND_EVERY_MS))
        return rc;
    gv_log(GV_LOG_WARNING, "%s", error->text);
    rc = gv_persist_mend(driver->persist, error);
    if (rc != GV_OK)
        return rc;
    driver->mended_ms = now_ms();
    number_anew(driver, false); /* its row is not among those that were saved */
    return gv_persist_commit(driver->persist, effects, gv_unix_ms(), error);
}

static void on_retry(uv_timer_t *timer)
{
    struct gv_driver *driver = timer->data;
    struct gv_text error;

    flush(driver); /* what waits goes with what is kept about it */
    if (commit_or_mend(driver, &driver->backlog, &error) != GV_OK) {
        driver->status.store_error = error;
        gv_log_limited(GV_LOG_ERROR, "still off the mesh: %s", error.text);
        return;
    }
    driver->status.turns++;
    gv_effects_free(&driver->backlog);
    uv_timer_stop(&driver->retry);
    driver->status.store_failing = false;
    driver->status.store_error.text[0] = 0;
    gv_log(GV_LOG_NOTICE, "the store can be written again: back on the mesh");
    if (driver->own_dropped > 0)
        gv_log(GV_LOG_WARNING, "%llu rows were dropped meanwhile; the mesh sends what it has again",
               (unsigned long long)driver->own_dropped);
    driver->own_dropped = 0;
    gv_net_set_online(driver->net, true);
}

static void store_failed(struct gv_driver *driver, const struct gv_text *error)
{
    driver->status.store_error = *error;
    if (driver->status.store_failing)
        return;
    driver->status.store_failing = true;
    gv_log(GV_LOG_ERROR,
           "%s. Until that is done this node is off the mesh and answers from memory; it tries "
           "again every %u s",
           error->text, GV_STORE_RETRY_MS / 1000);
    gv_net_set_online(driver->net, false);
    uv_timer_start(&driver->retry, on_retry, GV_STORE_RETRY_MS, GV_STORE_RETRY_MS);
}

/* ---- effects -------------------------------------------------------------------------------- */

static size_t count_rows(const struct gv_effects *effects)
{
    size_t rows = 0;

    for (size_t i = 0; i < effects->count; i++)
        rows += gv_effect_is_row(&effects->list[i]);
    return rows;
}

/* True when every row of the batch is safe. */
static bool commit(struct gv_driver *driver)
{
    struct gv_text error = {""};
    size_t rows = count_rows(&driver->running);

    if (rows == 0 && !gv_persist_dirty(driver->persist))
        return !driver->status.store_failing;
    if (!driver->status.store_failing) {
        if (commit_or_mend(driver, &driver->running, &error) == GV_OK) {
            driver->status.turns++;
            driver->status.rows += rows;
            return true;
        }
        store_failed(driver, &error);
    }
    to_backlog(driver, &driver->running);
    return false;
}

static void take_note(struct gv_driver *driver, const struct gv_effect *note, bool safe)
{
    if ((unsigned)note->note < GV_NOTE_COUNT)
        driver->status.notes[note->note]++;
    gv_notes_log(note);
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
            step(driver, &event);
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
static void flush(struct gv_driver *driver)
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
        bool safe = commit(driver);
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

    if (gv_hold_over(&driver->hold, &driver->pending, kept, now_ms()))
        flush(driver);
    else
        gv_net_flush(driver->net);
}

/* What is older than the admin wants it kept: at the start and once an hour. */
static void expire(struct gv_driver *driver)
{
    uint64_t unix_ms = gv_unix_ms();
    struct gv_text error;

    if (now_ms() < driver->next_expire || driver->status.store_failing)
        return;
    driver->next_expire = now_ms() + EXPIRE_EVERY_MS;
    if (gv_persist_expire(driver->persist, unix_ms - driver->telemetry_ms,
                          unix_ms - driver->journal_ms, &error) != GV_OK)
        gv_log(GV_LOG_WARNING, "old telemetry and signals could not be deleted: %s", error.text);
    int rc = gv_persist_expire_statistics(driver->persist, unix_ms, unix_ms - driver->statistics_ms);
    if (rc == GV_OK)
        rc = gv_persist_expire_marks(driver->persist, unix_ms);
    if (rc != GV_OK)
        gv_log(GV_LOG_WARNING, "old statistics could not be deleted: %s", gv_strerror(rc));
}

/* When the core wants to be woken. Set once a turn, after the last step of the turn. */
static void on_timer(uv_timer_t *timer)
{
    struct gv_driver *driver = timer->data;
    struct gv_event event = {.kind = GV_EVENT_TIMER};

    if (gv_core_deadline(driver->core) <= now_ms()) /* and not for what waits for its commit */
        gv_driver_event(driver, &event);
    expire(driver);
}

static void arm(struct gv_driver *driver)
{
    uint64_t deadline = gv_core_deadline(driver->core), now = now_ms();
    uint64_t commit = gv_hold_deadline(&driver->hold);

    deadline = commit < deadline ? commit : deadline;
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

/* After the poll. */
static void on_check(uv_check_t *check)
{
    end_turn(check->data);
}

int gv_driver_command(struct gv_driver *driver, const struct gv_event *event)
{
    int rc = gv_driver_event(driver, event);

    flush(driver);
    if (rc == GV_OK && driver->status.store_failing)
        return GV_ERR_IO;
    return rc;
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

static void on_connected(void *context, uint32_t link, const struct gv_address *remote)
{
    struct gv_driver *driver = context;
    struct gv_event event = {.kind = GV_EVENT_CONNECTED,
                             .connected = {.link = link, .remote = *remote}};

    gv_driver_event(context, &event);
    /* Whoever is not let in goes now and not at the end of the turn: a siege brings hundreds in one,
     * and each would hold a place that a member needs. Nothing was said to him yet. */
    const struct gv_effects *pending = &driver->pending;
    const struct gv_effect *last = pending->count ? &pending->list[pending->count - 1] : NULL;
    if (last && last->kind == GV_EFFECT_CLOSE && last->link == link)
        gv_net_close(driver->net, link);
}

static void on_disconnected(void *context, uint32_t link)
{
    struct gv_event event = {.kind = GV_EVENT_DISCONNECTED, .disconnected = {.link = link}};

    gv_driver_event(context, &event);
}

static void on_bytes(void *context, uint32_t link, const uint8_t *data, size_t len)
{
    struct gv_event event = {.kind = GV_EVENT_BYTES,
                             .bytes = {.link = link, .data = data, .len = len}};

    gv_driver_event(context, &event);
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

    if (step(driver, &event) != GV_OK)
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
    number_anew(driver, !fresh_key);
}

static int make_core(struct gv_driver *driver, const struct gv_core_options *wanted,
                     struct gv_text *error)
{
    struct gv_core_options options = *wanted;
    uint64_t unix_ms = gv_unix_ms(), now = now_ms();

    if (getrandom(options.seed, sizeof options.seed, 0) != (ssize_t)sizeof options.seed)
        return gv_fail(error, GV_ERR_IO, "the kernel gives no random bytes: %s", strerror(errno));
    driver->clock_offset = (int64_t)unix_ms - (int64_t)now;
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
    driver->timer.data = driver->retry.data = driver->stop_timer.data = driver;
    driver->prepare.data = driver->check.data = driver;
    driver->handles = 5;
}

int gv_driver_new(struct gv_driver **out, const struct gv_driver_options *options,
                  struct gv_text *error)
{
    struct gv_driver *driver = calloc(1, sizeof *driver);
    struct gv_net_options net = options->net;
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
    driver->journal_ms =
        options->journal_ms ? options->journal_ms : GV_JOURNAL_DAYS * 86400000ULL;
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
    tell_clock(driver, true);
    expire(driver);
    uv_prepare_start(&driver->prepare, on_prepare);
    uv_check_start(&driver->check, on_check);
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

/* What waits for the store gets a last chance. */
static void store_the_rest(struct gv_driver *driver)
{
    struct gv_text error = {""};

    flush(driver);
    if (driver->backlog.count == 0)
        return;
    int rc = commit_or_mend(driver, &driver->backlog, &error);
    if (rc == GV_OK)
        gv_log(GV_LOG_NOTICE, "what could not be stored before is stored now");
    else
        gv_log(GV_LOG_ERROR, "%zu rows could not be stored and are lost: %s",
               count_rows(&driver->backlog), error.text);
}

void gv_driver_free(struct gv_driver *driver)
{
    if (!driver || driver->freed)
        return;
    driver->freed = true;
    if (driver->net)
        store_the_rest(driver);
    gv_net_free(driver->net);
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
