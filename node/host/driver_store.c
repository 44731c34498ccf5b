/* The rows of a turn on their way into the store: the commit before anything is said, what waits
 * when the store fails, and what is deleted when its time is up. */
#include <string.h>

#include "crypto/error.h"
#include "node/base/log.h"
#include "node/host/driver_internal.h"

#define MEND_EVERY_MS  3600000u
#define LOG_WAIT_MS    250
#define LOG_WAIT_BYTES (1u << 20)
#define LOG_WAIT_COUNT 8192u

static size_t count_rows(const struct gv_effects *effects)
{
    size_t rows = 0;

    for (size_t i = 0; i < effects->count; i++)
        rows += gv_effect_is_row(&effects->list[i]);
    return rows;
}

/* ---- when it fails -------------------------------------------------------------------------- */

/* Moves the rows of `from` to the backlog. A full backlog still takes the node's own words, which
 * are few; of the rest the mesh has copies. */
static void to_backlog(struct gv_driver *driver, const struct gv_effects *from)
{
    for (size_t i = 0; i < from->count; i++) {
        const struct gv_effect *e = &from->list[i];
        bool full = driver->backlog.bytes.len + e->key_len + e->data_len > GV_BACKLOG_MAX ||
                    driver->backlog.count >= GV_BACKLOG_MAX / sizeof *e;
        if (e->kind == GV_EFFECT_NOTE && e->note == GV_NOTE_PREVIEWED && !full)
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
        gv_driver_break(driver, "out of memory while the store cannot be written: the node stops");
}

int gv_driver_number_anew(struct gv_driver *driver, bool lost)
{
    struct gv_event event = {.kind = GV_EVENT_COMMAND,
                             .command = {.command = GV_COMMAND_NUMBER_ANEW, .lost = lost}};

    if (lost)
        event.command.ceiling = gv_persist_ceiling(driver->persist);
    return gv_driver_step(driver, &event);
}

/* Commits; a damaged file is mended first. Not over and over: a disk that spoils all that is
 * written to it would be filled with what is set aside. */
static int commit_or_mend(struct gv_driver *driver, const struct gv_effects *effects,
                          struct gv_text *error)
{
    int rc = gv_persist_commit(driver->persist, effects, gv_unix_ms(), error);

    if (rc != GV_ERR_MALFORMED ||
        (driver->mended_ms && gv_driver_now(driver) - driver->mended_ms < MEND_EVERY_MS))
        return rc;
    gv_log(GV_LOG_WARNING, "%s", error->text);
    rc = gv_persist_mend(driver->persist, error);
    if (rc != GV_OK)
        return rc;
    driver->mended_ms = gv_driver_now(driver);
    gv_driver_number_anew(driver, false); /* its row is not among those that were saved */
    return gv_persist_commit(driver->persist, effects, gv_unix_ms(), error);
}

static void on_retry(uv_timer_t *timer)
{
    struct gv_driver *driver = timer->data;
    struct gv_text error;

    gv_driver_flush(driver); /* what waits goes with what is kept about it */
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

void gv_driver_store_failed(struct gv_driver *driver, const struct gv_text *error)
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
    uv_timer_start(&driver->retry, on_retry, GV_STORE_FIRST_RETRY_MS, GV_STORE_RETRY_MS);
}

/* ---- a turn --------------------------------------------------------------------------------- */

bool gv_driver_commit(struct gv_driver *driver)
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
        gv_driver_store_failed(driver, &error);
    }
    to_backlog(driver, &driver->running);
    return false;
}

/* A commit meanwhile would be as safe, but then the log could not begin anew, and would grow. A
 * disk that takes long is no reason to be silent for longer, nor is much to be gathered for it. */
uint64_t gv_driver_waits_for_log(struct gv_driver *driver)
{
    int64_t ms = gv_persist_copying(driver->persist);

    if (ms < 0 || ms >= LOG_WAIT_MS || driver->pending.bytes.len > LOG_WAIT_BYTES ||
        driver->pending.count > LOG_WAIT_COUNT)
        return 0;
    return LOG_WAIT_MS - (uint64_t)ms;
}

void gv_driver_store_rest(struct gv_driver *driver)
{
    struct gv_text error = {""};

    if (driver->backlog.count == 0)
        return;
    gv_persist_patient(driver->persist);
    int rc = commit_or_mend(driver, &driver->backlog, &error);
    if (rc == GV_OK)
        gv_log(GV_LOG_NOTICE, "what could not be stored before is stored now");
    else
        gv_log(GV_LOG_ERROR, "%zu rows could not be stored and are lost: %s",
               count_rows(&driver->backlog), error.text);
}
