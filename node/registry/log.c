#include "node/registry/log.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "node/base/file.h"
#include "node/base/log.h"

#define PAGE      4096
#define STALE_MIN 1440 /* a head is signed anew by then, though nothing was added */

void gv_logs_init(struct gv_logs *logs)
{
    memset(logs, 0, sizeof *logs);
    gv_buf_init(&logs->head_wire);
}

void gv_logs_free(struct gv_logs *logs)
{
    for (size_t i = 0; i < GV_LOGS_MAX; i++) {
        if (logs->items[i])
            gv_merkle_free(&logs->items[i]->tree);
        free(logs->items[i]);
    }
    gv_buf_free(&logs->head_wire);
    free(logs->guard_path);
}

void gv_logs_forget_head(struct gv_logs *logs)
{
    memset(&logs->head, 0, sizeof logs->head);
    gv_buf_clear(&logs->head_wire);
    logs->looked_min = logs->guarded_min = 0;
}

static int append(void *context, const uint8_t entry[GV_LOG_ENTRY_LEN])
{
    return gv_merkle_append(&((struct gv_log *)context)->tree, entry, GV_LOG_ENTRY_LEN);
}

int gv_logs_get(struct gv_logs *logs, const struct gv_log **out, struct gv_records *records,
                uint32_t signer)
{
    struct gv_log *log = NULL;
    uint64_t before;
    size_t i = 0;

    while (i < GV_LOGS_MAX && logs->items[i] && logs->items[i]->signer != signer)
        i++;
    if (i == GV_LOGS_MAX)
        return GV_ERR_FULL;
    if (!logs->items[i]) {
        log = calloc(1, sizeof *log);
        if (!log)
            return GV_ERR_MEMORY;
        log->signer = signer;
        gv_merkle_init(&log->tree);
        logs->items[i] = log;
    }
    log = logs->items[i];
    *out = log;
    int rc;
    do {
        before = log->tree.size;
        rc = gv_records_log_each(records, signer, before, PAGE, append, log);
    } while (rc == GV_OK && log->tree.size == before + PAGE);
    return rc;
}

/* ---- before there was a log ------------------------------------------------------------------ */

static int backfill(void *context, const struct gv_instance *instance, const char *email)
{
    (void)email;
    return gv_records_log_append(context, &instance->certificate);
}

int gv_logs_backfill(struct gv_records *records)
{
    bool empty = true;
    int rc = gv_records_begin(records);

    if (rc != GV_OK)
        return rc;
    rc = gv_records_log_empty(records, &empty);
    if (rc == GV_OK && empty)
        rc = gv_records_each(records, backfill, records);
    return gv_records_finish(records, rc);
}

/* ---- heads ---------------------------------------------------------------------------------- */

static uint32_t hour_of(uint32_t minute)
{
    return minute - minute % GV_LOG_HEAD_HOUR;
}

static int read_head(struct gv_logs *logs, struct gv_records *records,
                     const struct gv_descriptor *descriptor, uint32_t signer)
{
    struct gv_log_head head;
    int rc = gv_records_log_head(records, signer, &logs->head_wire);

    memset(&logs->head, 0, sizeof logs->head);
    if (rc != GV_OK)
        return rc;
    rc = gv_log_head_open(&head, NULL, descriptor, logs->head_wire.data, logs->head_wire.len);
    if (rc == GV_OK)
        logs->head = head;
    return rc;
}

/* What was signed must still be so: the log of a database that was set back, or changed by hand,
 * would accuse this registry everywhere. */
static bool holds(const struct gv_log *log, const struct gv_log_head *head)
{
    uint8_t root[GV_HASH_LEN];

    if (head->size > log->tree.size)
        return false;
    gv_merkle_root(root, &log->tree, head->size);
    return memcmp(root, head->root, GV_HASH_LEN) == 0;
}

/* The head that was given last, from the file beside the keys. */
static bool guard_holds(const struct gv_logs *logs, const struct gv_log *log,
                        const struct gv_descriptor *descriptor)
{
    struct gv_buf wire;
    struct gv_log_head head;

    gv_buf_init(&wire);
    bool known = logs->guard_path &&
                 gv_file_read(&wire, logs->guard_path, GV_LOG_HEAD_MAX, NULL) == GV_OK &&
                 gv_log_head_open(&head, NULL, descriptor, wire.data, wire.len) == GV_OK &&
                 head.signer == log->signer;
    gv_buf_free(&wire);
    return !known || holds(log, &head);
}

static void write_guard(struct gv_logs *logs)
{
    struct gv_text why = {""};

    if (!logs->guard_path || logs->guarded_min == logs->head.minute)
        return;
    if (gv_file_write(logs->guard_path, logs->head_wire.data, logs->head_wire.len, 0600, &why) ==
        GV_OK)
        logs->guarded_min = logs->head.minute;
    else
        gv_log_limited(GV_LOG_WARNING, "%s", why.text);
}

/* Within a transaction. */
static int sign_next(struct gv_logs *logs, struct gv_records *records,
                     const struct gv_descriptor *descriptor, const struct gv_identity *signer,
                     uint32_t now_min)
{
    const struct gv_log *log;
    struct gv_log_head next = {.signer = gv_certificate_signer(signer->sign_public),
                               .minute = hour_of(now_min)};
    int rc = gv_logs_get(logs, &log, records, next.signer);

    if (rc != GV_OK)
        return rc;
    rc = read_head(logs, records, descriptor, next.signer);
    if (rc != GV_OK && rc != GV_ERR_NOT_FOUND)
        return rc;
    if ((rc == GV_OK && !holds(log, &logs->head)) || !guard_holds(logs, log, descriptor)) {
        gv_log_limited(
            GV_LOG_ERROR,
            "the log of certificates is not the one whose head was signed (an old backup?): "
            "no head is signed any more; make a new registry key, see SPEC 14.7");
        return GV_ERR_STATE;
    }
    if (rc == GV_OK &&
        (logs->head.minute >= next.minute || /* another process was faster */
         (logs->head.size == log->tree.size && now_min - logs->head.minute < STALE_MIN)))
        return GV_OK;
    if (!gv_log_head_key(descriptor, &next))
        return GV_ERR_SIGNER;
    next.size = log->tree.size;
    gv_merkle_root(next.root, &log->tree, next.size);
    gv_buf_clear(&logs->head_wire);
    rc = gv_log_head_issue(&logs->head_wire, &next, signer->sign_secret, descriptor->network_id);
    if (rc == GV_OK)
        rc = gv_records_log_put_head(records, &next, logs->head_wire.data, logs->head_wire.len);
    if (rc == GV_OK)
        logs->head = next;
    return rc;
}

int gv_logs_sign(struct gv_logs *logs, struct gv_records *records,
                 const struct gv_descriptor *descriptor, const struct gv_identity *signer,
                 uint32_t now_min)
{
    if (logs->head_wire.len > 0 &&
        (logs->head.minute >= hour_of(now_min) || logs->looked_min == now_min))
        return GV_OK;
    logs->looked_min = now_min;
    int rc = gv_records_begin(records);
    if (rc == GV_OK)
        rc = gv_records_finish(records, sign_next(logs, records, descriptor, signer, now_min));
    if (rc == GV_OK)
        write_guard(logs);
    if (rc != GV_OK) { /* what was not committed was not signed */
        memset(&logs->head, 0, sizeof logs->head);
        gv_buf_clear(&logs->head_wire);
    }
    return rc;
}
