#include "node/logs.h"

#include <string.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/base/sealed.h"
#include "node/ingest/memory.h"

static void observe(const struct gv_logs *logs, const struct gv_observation *observation)
{
    struct gv_event event = {.kind = GV_EVENT_OBSERVATION, .observation = *observation};

    gv_surfaces_watch(logs->surfaces, observation);
    (void)gv_driver_read(logs->driver, &event); /* an old line is refused, and that is fine */
    gv_surfaces_about(logs->surfaces, &observation->subject);
}

void gv_logs_observe(void *context, const struct gv_observation *observation)
{
    const struct gv_logs *logs = context;

    observe(logs, observation);
    gv_driver_hurry(logs->driver);
}

/* Of a log that is followed: Dovecot may have reported it already. */
static void on_followed(void *context, const struct gv_observation *observation)
{
    struct gv_logs *logs = context;
    struct gv_observation rest = *observation;

    bool left = gv_surfaces_absorb(logs->surfaces, &rest);

    if (left)
        observe(logs, &rest);
    if (!left || rest.attempts != observation->attempts)
        gv_driver_hurry(logs->driver); /* read again it would not be known any more */
}

static void later(void *context, bool again)
{
    struct gv_logs *logs = context;

    gv_driver_later(logs->driver);
    if (!again)
        gv_driver_hurry(logs->driver);
}

/* What readers know of connections names the addresses of those that are open, and a position has
 * sums of whole lines. */
_Static_assert(GV_MEMORY_ROW != GV_CURSOR_MAX && sizeof(struct gv_position) != GV_CURSOR_MAX &&
                   GV_MEMORY_ROW > sizeof(struct gv_position) &&
                   GV_POSITION_OLD != sizeof(struct gv_position),
               "what is kept is told apart by its length");

static bool is_secret(size_t len)
{
    return len == GV_MEMORY_ROW || len == sizeof(struct gv_position);
}

static void keep(void *context, const char *name, const void *data, size_t len)
{
    struct gv_logs *logs = context;
    uint8_t sealed[GV_MEMORY_ROW + GV_SEALED_MORE];

    if (!is_secret(len)) {
        gv_driver_keep(logs->driver, name, data, len);
        return;
    }
    gv_seal(sealed, logs->store_key, data, len);
    gv_driver_keep(logs->driver, name, sealed, len + GV_SEALED_MORE);
}

static void count(void *context, unsigned which, int64_t delta, uint64_t unix_ms)
{
    struct gv_logs *logs = context;

    gv_driver_count(logs->driver, which, delta, unix_ms);
}

static bool kept(void *context, const char *name, void *data, size_t len)
{
    struct gv_logs *logs = context;

    uint8_t sealed[GV_MEMORY_ROW + GV_SEALED_MORE];

    /* Logs that are followed anew have left something that waits for its commit. */
    if (!is_secret(len))
        return gv_persist_latest(logs->persist, name, data, len) == GV_OK;
    if (gv_persist_latest(logs->persist, name, sealed, len + GV_SEALED_MORE) != GV_OK)
        return false;
    gv_unseal(data, logs->store_key, sealed, len + GV_SEALED_MORE);
    return true;
}

void gv_logs_account_key(const struct gv_logs *logs, uint8_t out[GV_ACCOUNT_KEY_LEN])
{
    uint8_t key[GV_HASH_LEN];

    gv_hmac(key, logs->store_key, GV_KEY_LEN, "grapevine accounts 1", NULL, 0);
    memcpy(out, key, GV_ACCOUNT_KEY_LEN);
    gv_wipe(key, sizeof key);
}

void gv_logs_keep(const struct gv_logs *logs)
{
    gv_follow_keep(logs->follow);
}

static void leave(struct gv_logs *logs)
{
    gv_logs_keep(logs);
    gv_follow_stop(logs->follow);
    logs->follow = NULL;
}

static void on_alert(void *context, const struct gv_alert *alert)
{
    struct gv_logs *logs = context;

    if (logs->api)
        gv_api_alerted(logs->api, alert);
    gv_surfaces_alert(logs->surfaces, alert);
}

static int watch(struct gv_logs *logs, struct gv_text *error)
{
    if (logs->watch)
        return GV_OK;
    int rc =
        gv_flow_watch_start(&logs->watch, &(struct gv_flow_watch_options){.loop = logs->loop,
                                                                          .persist = logs->persist,
                                                                          .context = logs,
                                                                          .queue = gv_logs_queue,
                                                                          .alerted = on_alert});
    if (rc != GV_OK)
        return gv_fail(error, rc, "out of memory");
    if (logs->api)
        gv_api_set_watch(logs->api, logs->watch);
    return GV_OK;
}

int gv_logs_follow(struct gv_logs *logs, const struct gv_options *options, struct gv_text *error)
{
    struct gv_follow_options follow = {
        .loop = logs->loop,
        .paths = (const char *const *)options->logs.items,
        .path_count = options->logs.count,
        .syslog = &options->syslog,
        .from_start = options->from_start,
        .context = logs,
        .observation = on_followed,
        .later = later,
        .keep = keep,
        .kept = kept,
        .count = count,
    };

    leave(logs);
    gv_logs_account_key(logs, follow.account_key);
    int rc = gv_follow_start(&logs->follow, &follow, error);
    gv_wipe(follow.account_key, sizeof follow.account_key);
    return rc == GV_OK ? watch(logs, error) : rc;
}

void gv_logs_stop(struct gv_logs *logs)
{
    leave(logs);
    if (logs->api)
        gv_api_set_watch(logs->api, NULL);
    gv_flow_watch_stop(logs->watch);
    logs->watch = NULL;
    gv_import_stop(logs->import);
    logs->import = NULL;
}

bool gv_logs_same(const struct gv_options *a, const struct gv_options *b)
{
    if (a->logs.count != b->logs.count || a->syslog.mode != b->syslog.mode ||
        a->syslog.count != b->syslog.count ||
        (a->syslog.count > 0 &&
         memcmp(a->syslog.from, b->syslog.from, a->syslog.count * sizeof *a->syslog.from) != 0))
        return false;
    for (size_t i = 0; i < a->logs.count; i++)
        if (strcmp(a->logs.items[i], b->logs.items[i]) != 0)
            return false;
    return true;
}

/* ---- for the control socket ----------------------------------------------------------------- */

json_t *gv_logs_json(void *context)
{
    const struct gv_logs *logs = context;

    return gv_follow_json(logs->follow);
}

void gv_logs_erase(void *context, const struct gv_subject *subject)
{
    const struct gv_logs *logs = context;

    gv_follow_erase(logs->follow, subject);
}

json_t *gv_logs_mail_json(void *context)
{
    const struct gv_logs *logs = context;

    return gv_follow_mail_json(logs->follow);
}

bool gv_logs_queue(void *context, uint64_t *messages, uint64_t *oldest_ms)
{
    const struct gv_logs *logs = context;

    return gv_follow_queue(logs->follow, messages, oldest_ms);
}

int gv_logs_import(void *context, const char *const *paths, size_t count, struct gv_text *error)
{
    struct gv_logs *logs = context;
    struct gv_import *import;
    struct gv_import_options options = {.loop = logs->loop,
                                        .paths = paths,
                                        .path_count = count,
                                        .context = logs,
                                        .observation = gv_logs_observe};

    if (logs->import && !gv_import_done(logs->import))
        return gv_fail(error, GV_ERR_BUSY, "other logs are being imported; wait for them");
    gv_logs_account_key(logs, options.account_key);
    int rc = gv_import_start(&import, &options, error);
    gv_wipe(options.account_key, sizeof options.account_key);
    if (rc != GV_OK)
        return rc;
    gv_import_stop(logs->import);
    logs->import = import;
    return GV_OK;
}

json_t *gv_logs_import_json(void *context)
{
    const struct gv_logs *logs = context;

    return logs->import ? gv_import_json(logs->import) : NULL;
}
