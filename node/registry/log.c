#include "node/registry/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/base/file.h"
#include "node/base/log.h"

/* A file for each key: the first 4 bytes of it. */
#define GV_FILE_LOG_HEAD "log-%08x.head"
#define FORMER_HEAD      "log.head"
#define PAGE             4096
#define STALE_MIN        1440 /* a head is signed anew by then, though nothing was added */

void gv_logs_init(struct gv_logs *logs)
{
    memset(logs, 0, sizeof *logs);
}

void gv_logs_free(struct gv_logs *logs)
{
    for (size_t i = 0; i < GV_LOGS_MAX; i++) {
        if (!logs->items[i])
            continue;
        gv_merkle_free(&logs->items[i]->tree);
        gv_buf_free(&logs->items[i]->head_wire);
        free(logs->items[i]);
    }
    free(logs->folder);
}

static void forget_head(struct gv_log *log)
{
    memset(&log->head, 0, sizeof log->head);
    gv_buf_clear(&log->head_wire);
}

static int append(void *context, const uint8_t entry[GV_LOG_ENTRY_LEN])
{
    return gv_merkle_append(&((struct gv_log *)context)->tree, entry, GV_LOG_ENTRY_LEN);
}

/* As far as this process knows it. */
static int find_log(struct gv_logs *logs, struct gv_log **out, uint32_t signer)
{
    size_t i = 0;

    while (i < GV_LOGS_MAX && logs->items[i] && logs->items[i]->signer != signer)
        i++;
    if (i == GV_LOGS_MAX)
        return GV_ERR_FULL;
    if (!logs->items[i]) {
        struct gv_log *log = calloc(1, sizeof *log);
        if (!log)
            return GV_ERR_MEMORY;
        log->signer = signer;
        gv_merkle_init(&log->tree);
        gv_buf_init(&log->head_wire);
        logs->items[i] = log;
    }
    *out = logs->items[i];
    return GV_OK;
}

int gv_logs_get(struct gv_logs *logs, struct gv_log **out, struct gv_records *records,
                uint32_t signer)
{
    struct gv_log *log = NULL;
    uint64_t before;
    int rc = find_log(logs, &log, signer);

    *out = log;
    while (rc == GV_OK) {
        before = log->tree.size;
        rc = gv_records_log_each(records, signer, before, PAGE, append, log);
        if (log->tree.size != before + PAGE)
            break;
    }
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

/* Into a log that is up to date. */
static int read_head(struct gv_log *log, struct gv_records *records,
                     const struct gv_descriptor *descriptor)
{
    struct gv_log_head head;
    int rc = gv_records_log_head(records, log->signer, &log->head_wire);

    memset(&log->head, 0, sizeof log->head);
    if (rc != GV_OK)
        return rc;
    rc = gv_log_head_open(&head, NULL, descriptor, log->head_wire.data, log->head_wire.len);
    if (rc == GV_OK)
        log->head = head;
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

static bool guard_path(char out[4096], const struct gv_logs *logs, const struct gv_log *log)
{
    return logs->folder &&
           (size_t)snprintf(out, 4096, "%s/" GV_FILE_LOG_HEAD, logs->folder, log->signer) < 4096;
}

/* The head that was given last, from the file beside the keys. */
static bool guard_holds(const struct gv_logs *logs, const struct gv_log *log,
                        const struct gv_descriptor *descriptor)
{
    char path[4096];
    struct gv_buf wire;
    struct gv_log_head head;

    gv_buf_init(&wire);
    bool known = guard_path(path, logs, log) &&
                 gv_file_read(&wire, path, GV_LOG_HEAD_MAX, NULL) == GV_OK &&
                 gv_log_head_open(&head, NULL, descriptor, wire.data, wire.len) == GV_OK &&
                 head.signer == log->signer;
    gv_buf_free(&wire);
    return !known || holds(log, &head);
}

void gv_logs_adopt(const struct gv_logs *logs, const struct gv_descriptor *descriptor)
{
    char from[4096], to[4096];
    struct gv_buf wire;
    struct gv_log_head head;

    if (!logs->folder ||
        (size_t)snprintf(from, sizeof from, "%s/" FORMER_HEAD, logs->folder) >= sizeof from)
        return;
    gv_buf_init(&wire);
    int rc = gv_file_read(&wire, from, GV_LOG_HEAD_MAX, NULL);
    if (rc == GV_OK)
        rc = gv_log_head_open(&head, NULL, descriptor, wire.data, wire.len);
    gv_buf_free(&wire);
    struct gv_log of = {.signer = rc == GV_OK ? head.signer : 0};
    bool unique = rc == GV_OK && guard_path(to, logs, &of) && access(to, F_OK) != 0;
    if (rc != GV_ERR_NOT_FOUND && (!unique || rename(from, to) != 0))
        (void)unlink(from);
}

static void write_guard(const struct gv_logs *logs, struct gv_log *log)
{
    char path[4096];
    struct gv_text why = {""};

    if (log->guarded_min == log->head.minute || !guard_path(path, logs, log))
        return;
    if (gv_file_write(path, log->head_wire.data, log->head_wire.len, 0600, &why) == GV_OK)
        log->guarded_min = log->head.minute;
    else
        gv_log_limited(GV_LOG_WARNING, "%s", why.text);
}

/* The hour that the next head is of: this one, and never one after the key's last. */
static uint32_t due(const struct gv_descriptor *descriptor, uint32_t signer, uint32_t now_min)
{
    uint32_t closing = gv_log_head_closing(descriptor, signer);

    return closing < now_min ? closing : hour_of(now_min);
}

/* Within a transaction. */
static int sign_next(struct gv_logs *logs, struct gv_log *log, struct gv_records *records,
                     const struct gv_descriptor *descriptor, const struct gv_identity *signer,
                     uint32_t now_min)
{
    struct gv_log_head next = {.signer = log->signer,
                               .minute = due(descriptor, log->signer, now_min)};
    int rc = gv_logs_get(logs, &log, records, next.signer);

    if (rc != GV_OK)
        return rc;
    rc = read_head(log, records, descriptor);
    if (rc != GV_OK && rc != GV_ERR_NOT_FOUND)
        return rc;
    if ((rc == GV_OK && !holds(log, &log->head)) || !guard_holds(logs, log, descriptor)) {
        gv_log_limited(
            GV_LOG_ERROR,
            "the log of certificates is not the one whose head was signed (an old backup?): "
            "no head is signed any more; make a new registry key, see SPEC 14.7");
        return GV_ERR_STATE;
    }
    bool closes = next.minute == gv_log_head_closing(descriptor, next.signer);
    if (rc == GV_OK &&
        (log->head.minute >= next.minute || /* another process was faster */
         (log->head.size == log->tree.size && now_min - log->head.minute < STALE_MIN && !closes)))
        return GV_OK;
    if (!gv_log_head_key(descriptor, &next))
        return GV_ERR_SIGNER;
    next.size = log->tree.size;
    gv_merkle_root(next.root, &log->tree, next.size);
    gv_buf_clear(&log->head_wire);
    rc = gv_log_head_issue(&log->head_wire, &next, signer->sign_secret, descriptor->network_id);
    if (rc == GV_OK)
        rc = gv_records_log_put_head(records, &next, log->head_wire.data, log->head_wire.len);
    if (rc == GV_OK)
        log->head = next;
    return rc;
}

int gv_logs_sign(struct gv_logs *logs, const struct gv_log **out, struct gv_records *records,
                 const struct gv_descriptor *descriptor, const struct gv_identity *signer,
                 uint32_t now_min)
{
    struct gv_log *log;
    int rc = find_log(logs, &log, gv_certificate_signer(signer->sign_public));

    if (rc != GV_OK)
        return rc;
    *out = log;
    if (log->head_wire.len > 0 &&
        (log->head.minute >= due(descriptor, log->signer, now_min) || log->looked_min == now_min))
        return GV_OK;
    log->looked_min = now_min;
    rc = gv_records_begin(records);
    if (rc == GV_OK)
        rc = gv_records_finish(records, sign_next(logs, log, records, descriptor, signer, now_min));
    if (rc == GV_OK)
        write_guard(logs, log);
    else
        forget_head(log); /* what was not committed was not signed */
    return rc;
}

int gv_logs_last(struct gv_logs *logs, const struct gv_log **out, struct gv_records *records,
                 const struct gv_descriptor *descriptor, uint32_t signer)
{
    struct gv_log *log;
    int rc = gv_logs_get(logs, &log, records, signer);

    if (rc != GV_OK)
        return rc;
    *out = log;
    rc = read_head(log, records, descriptor);
    return rc == GV_ERR_NOT_FOUND && log->tree.size > 0 ? GV_ERR_BUSY : rc;
}

uint32_t gv_logs_head_minute(const struct gv_logs *logs, uint32_t signer)
{
    for (size_t i = 0; i < GV_LOGS_MAX && logs->items[i]; i++)
        if (logs->items[i]->signer == signer)
            return logs->items[i]->head.minute;
    return 0;
}
