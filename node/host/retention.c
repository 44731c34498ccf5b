/* Retention: what is older than the admin wants it kept is deleted, at the start and once an hour.
 * (SPEC 15) */
#include "node/host/retention.h"

#include "crypto/error.h"
#include "node/base/log.h"
#include "node/host/driver_internal.h"

#define EXPIRE_EVERY_MS 3600000u
#define LOG_AGAIN_MS    2000u /* the first time; then twice as long each time */
#define LOG_LATEST_MS   60000u
#define LOG_NAMES_MS    10000u /* at most so often for who has logged in: each time is a few syncs */
#define CLOCK_NAME      "clock"

uint64_t gv_driver_log_deadline(const struct gv_driver *driver)
{
    uint64_t left = gv_persist_log_left(driver->persist) ? driver->next_log : UINT64_MAX;
    uint64_t names = gv_persist_log_names(driver->persist) ? driver->next_names : UINT64_MAX;

    return left < names ? left : names;
}

/* Who read the file while something was erased has ended by now, perhaps; or somebody has logged in
 * whose failures before that stand in the log of writes under his address. */
static void empty_log_again(struct gv_driver *driver)
{
    uint64_t now = gv_driver_now(driver), again_ms = driver->log_again_ms;
    bool left = gv_persist_log_left(driver->persist);

    if (!left)
        driver->log_again_ms = 0;
    if (now < gv_driver_log_deadline(driver))
        return;
    driver->next_log = driver->next_names = now + LOG_AGAIN_MS; /* arm() waits for it */
    if (driver->status.store_failing || gv_persist_copying(driver->persist) >= 0)
        return; /* the loop would wait for the disk */
    if (gv_persist_empty_log(driver->persist, NULL) == GV_OK) {
        driver->log_again_ms = 0;
        driver->next_names = now + LOG_NAMES_MS;
        if (left)
            gv_log(GV_LOG_NOTICE, "what was deleted from the store has left the disk, too");
        return;
    }
    again_ms = again_ms == 0 ? LOG_AGAIN_MS : 2 * again_ms;
    driver->log_again_ms = again_ms < LOG_LATEST_MS ? again_ms : LOG_LATEST_MS;
    driver->next_log = driver->next_names = now + driver->log_again_ms;
}

bool gv_clock_believed(struct gv_clock_belief *belief, uint64_t unix_ms, uint64_t step_ms)
{
    uint64_t seen = belief->seen_ms, leap = unix_ms > seen ? unix_ms - seen : seen - unix_ms;

    if (seen == 0 || leap <= GV_CLOCK_LEAP_MS) {
        belief->doubted = false;
        return true;
    }
    if (!belief->doubted)
        belief->since_ms = step_ms;
    belief->doubted = true;
    return step_ms - belief->since_ms >= GV_CLOCK_BELIEVE_MS;
}

bool gv_driver_believes(struct gv_driver *driver, uint64_t unix_ms)
{
    bool before = driver->clock.doubted;
    bool believed = gv_clock_believed(&driver->clock, unix_ms, gv_driver_now(driver));

    if (!before && driver->clock.doubted)
        gv_log(GV_LOG_WARNING,
               "the clock stands %lld hours from where this node last saw it: for %u hours nothing "
               "is deleted for its age; if it is wrong, set it",
               (long long)((int64_t)(unix_ms - driver->clock.seen_ms) / 3600000),
               (unsigned)(GV_CLOCK_BELIEVE_MS / 3600000));
    return believed;
}

void gv_driver_load_clock(struct gv_driver *driver)
{
    uint8_t seen[8];

    if (gv_persist_kept(driver->persist, CLOCK_NAME, seen, sizeof seen) == GV_OK)
        for (size_t i = 0; i < sizeof seen; i++)
            driver->clock.seen_ms = driver->clock.seen_ms << 8 | seen[i];
}

static void store_clock(struct gv_driver *driver, uint64_t unix_ms)
{
    uint8_t seen[8];

    driver->clock.seen_ms = unix_ms;
    for (size_t i = 0; i < sizeof seen; i++)
        seen[i] = (uint8_t)(unix_ms >> 8 * (7 - i));
    (void)gv_persist_put(driver->persist, CLOCK_NAME, seen, sizeof seen);
}

static uint64_t ago(uint64_t unix_ms, uint64_t span_ms)
{
    return unix_ms > span_ms ? unix_ms - span_ms : 0;
}

/* What is left of a copy of the store is of no use to the node. */
static void expire_aside(struct gv_driver *driver, uint64_t unix_ms)
{
    struct gv_text error = {""};
    size_t count;

    if (gv_persist_aside(driver->persist, ago(unix_ms, GV_ASIDE_DAYS * 86400000ULL), &count,
                         &error) != GV_OK)
        gv_log(GV_LOG_WARNING, "old copies of the store could not be deleted: %s", error.text);
    else if (count > 0)
        gv_log(GV_LOG_NOTICE, "%zu files that were set aside %d days ago were deleted", count,
               GV_ASIDE_DAYS);
}

static void expire_rows(struct gv_driver *driver, uint64_t unix_ms)
{
    struct gv_text error = {""};

    if (gv_persist_expire(driver->persist, ago(unix_ms, driver->telemetry_ms),
                          ago(unix_ms, driver->journal_ms), &error) != GV_OK)
        gv_log(GV_LOG_WARNING, "old telemetry and signals could not be deleted: %s", error.text);
    int rc =
        gv_persist_expire_statistics(driver->persist, unix_ms, ago(unix_ms, driver->statistics_ms));
    if (rc == GV_OK)
        rc = gv_persist_expire_marks(driver->persist, unix_ms);
    if (rc != GV_OK)
        gv_log(GV_LOG_WARNING, "old statistics could not be deleted: %s", gv_strerror(rc));
}

void gv_driver_expire(struct gv_driver *driver)
{
    uint64_t unix_ms = gv_unix_ms();
    struct gv_text error = {""};

    empty_log_again(driver);
    if (!driver->status.store_failing && gv_persist_stay(driver->persist, &error) != GV_OK)
        gv_driver_store_failed(driver, &error);
    if (gv_driver_now(driver) < driver->next_expire)
        return;
    if (driver->status.store_failing) { /* for days, perhaps: that is no leap of the clock */
        if (gv_driver_believes(driver, unix_ms))
            driver->clock.seen_ms = unix_ms;
        return;
    }
    driver->next_expire = gv_driver_now(driver) + EXPIRE_EVERY_MS;
    if (gv_driver_believes(driver, unix_ms)) {
        expire_rows(driver, unix_ms);
        expire_aside(driver, unix_ms);
        store_clock(driver, unix_ms);
    }
    int rc = gv_persist_empty_log(driver->persist, &error);
    if (rc != GV_OK && rc != GV_ERR_BUSY) /* busy: empty_log_again */
        gv_log(GV_LOG_WARNING, "the store's log of writes could not be emptied: %s", error.text);
}
