#include "node/host/audit.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "crypto/error.h"
#include "node/base/fetch.h"
#include "node/base/file.h"
#include "node/base/log.h"
#include "node/host/driver.h"
#include "node/host/mirror.h"

#define SLACK_MIN 10 /* the clocks of a registry's processes may differ by so much */

struct gv_audit {
    struct gv_audit_options options; /* its strings are copies */
    uv_timer_t timer;
    struct gv_fetch *fetch; /* under way, or NULL */
    struct gv_mirror mirror;
    struct gv_mirror former; /* of the key before: what it signed is in force still */
    bool open;               /* the mirrors: they need a descriptor */
    struct gv_log_head head; /* what this look is about */
    uint8_t wire[GV_LOG_HEAD_MAX];
    size_t wire_len;
    struct gv_audit_status status;
    bool freed;
};

static uint64_t now_ms(const struct gv_audit *audit)
{
    return audit->options.unix_ms ? audit->options.unix_ms() : gv_unix_ms();
}

/* ---- what was found ------------------------------------------------------------------------- */

static void finding_path(char out[4096], const struct gv_audit *audit)
{
    snprintf(out, 4096, "%s/" GV_FILE_FINDING, audit->options.folder);
}

/* The first stays: what follows from it says less. */
static void found(struct gv_audit *audit, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void found(struct gv_audit *audit, const char *format, ...)
{
    char path[4096], text[512];
    struct gv_text why = {""};
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    gv_log_limited(GV_LOG_ERROR,
                   "the registry is not to be trusted: %s; tell the other admins of this mesh",
                   text);
    if (audit->status.finding_ms)
        return;
    memcpy(audit->status.finding, text, sizeof text);
    audit->status.finding_ms = now_ms(audit);
    finding_path(path, audit);
    if (gv_file_write(path, text, strlen(text), 0600, &why) != GV_OK)
        gv_log(GV_LOG_ERROR, "%s", why.text);
}

/* From an earlier life; removed by the admin once he knows why. */
static void recall(struct gv_audit *audit)
{
    char path[4096];
    struct stat held;
    struct gv_buf text;

    gv_buf_init(&text);
    finding_path(path, audit);
    bool there = stat(path, &held) == 0 &&
                 gv_file_read(&text, path, sizeof audit->status.finding, NULL) == GV_OK;
    if (!there) {
        audit->status.finding[0] = '\0';
        audit->status.finding_ms = 0;
    } else if (!audit->status.finding_ms) {
        gv_log_safe(audit->status.finding, sizeof audit->status.finding, (const char *)text.data,
                    text.len);
        audit->status.finding_ms = (uint64_t)held.st_mtim.tv_sec * 1000;
    }
    gv_buf_free(&text);
}

static void hour_text(char out[32], uint32_t minute)
{
    time_t t = (time_t)minute * 60;
    struct tm tm;

    gmtime_r(&t, &tm);
    strftime(out, 32, "%Y-%m-%dT%H:%MZ", &tm);
}

/* ---- comparing ------------------------------------------------------------------------------ */

static bool belies(const struct gv_mirror *mirror, const struct gv_log_head *head)
{
    return mirror->has_head && head->signer == mirror->head.signer &&
           head->size <= mirror->head.size && !gv_mirror_fits(mirror, head);
}

/* What the mesh has, against what was fetched here. */
static void compare_heads(struct gv_audit *audit, const struct gv_core *core)
{
    struct gv_log_head head;
    const uint8_t *wire;
    size_t cursor = 0, len;
    bool contradicted;
    char hour[32];

    while (gv_core_next_log_head(core, &cursor, &head, &contradicted, &wire, &len)) {
        hour_text(hour, head.minute);
        if (contradicted)
            found(audit, "it shows two faces: another head of its log contradicts the one of %s",
                  hour);
        else if (belies(&audit->mirror, &head) || belies(&audit->former, &head))
            found(audit,
                  "it shows two faces: the head of %s that others were given is not of the log "
                  "that was given here",
                  hour);
    }
}

/* Every certificate of that key that was issued before the head's hour is in the log. */
static void compare_certificates(struct gv_audit *audit, struct gv_mirror *mirror,
                                 const struct gv_core *core)
{
    struct gv_certificate certificate;
    const struct gv_log_head *head = &mirror->head;
    char instance[2 * GV_ID_LEN + 1], owner[2 * GV_ID_LEN + 1];
    size_t cursor = 0;

    while (mirror->has_head && gv_core_next_certificate(core, &cursor, &certificate)) {
        if (certificate.signer != head->signer ||
            (uint64_t)certificate.issued_min + SLACK_MIN >= head->minute ||
            gv_mirror_has(mirror, certificate.id))
            continue;
        gv_hex(instance, certificate.instance, GV_ID_LEN);
        gv_hex(owner, certificate.owner, GV_ID_LEN);
        found(audit, "it has signed a certificate outside its log, for instance %s of owner %s",
              instance, owner);
    }
}

static void look_over(struct gv_audit *audit)
{
    const struct gv_core *core = audit->options.core(audit->options.context);

    if (!core)
        return;
    compare_heads(audit, core);
    compare_certificates(audit, &audit->mirror, core);
    compare_certificates(audit, &audit->former, core);
}

/* ---- one look ------------------------------------------------------------------------------- */

static void on_timer(uv_timer_t *timer)
{
    gv_audit_look(timer->data);
}

static void finish(struct gv_audit *audit, const char *trouble)
{
    audit->status.looking = false;
    snprintf(audit->status.trouble, sizeof audit->status.trouble, "%s", trouble ? trouble : "");
    if (!trouble)
        audit->status.looked_ms = now_ms(audit);
    if (!trouble)
        audit->status.trouble_ms = 0;
    else if (!audit->status.trouble_ms)
        audit->status.trouble_ms = now_ms(audit);
    look_over(audit);
    uv_timer_start(&audit->timer, on_timer,
                   1000ULL * (GV_AUDIT_S + randombytes_uniform(GV_AUDIT_S / 10)), 0);
}

/* A registry that does not show its log is said to its admins' faces: what is hidden is compared by
 * nobody. */
static void fail_look(struct gv_audit *audit, const char *why)
{
    gv_log_limited(GV_LOG_WARNING,
                   "the registry's log cannot be compared: %s; tried again in %u minutes", why,
                   GV_AUDIT_S / 60);
    finish(audit, why);
}

static void ask(struct gv_audit *audit, const char *path, size_t max, gv_fetch_done done)
{
    const char *base = audit->options.url(audit->options.context);
    char url[512];

    if (!base || (size_t)snprintf(url, sizeof url, "%s%s", base, path) >= sizeof url) {
        finish(audit, "no registry is known");
        return;
    }
    struct gv_fetch_request request = {.url = url,
                                       .bind_address = audit->options.bind_address,
                                       .ca_file = audit->options.ca_file,
                                       .connect_ms = 20000,
                                       .total_ms = 20000,
                                       .response_max = max};
    if (gv_fetch_start(&audit->fetch, audit->options.loop, &request, done, audit) != GV_OK)
        finish(audit, "out of memory");
}

static bool answered(struct gv_audit *audit, const struct gv_fetch_result *result)
{
    char why[sizeof audit->status.trouble];

    audit->fetch = NULL;
    if (result->error == GV_OK && result->status == 200)
        return true;
    if (result->error == GV_OK)
        snprintf(why, sizeof why, "the registry answers with HTTP status %u", result->status);
    else
        snprintf(why, sizeof why, "%.200s", result->text.text);
    fail_look(audit, why);
    return false;
}

/* The head is here, and the log up to it, or what the registry gave for that. */
static void settle(struct gv_audit *audit)
{
    struct gv_mirror *mirror = &audit->mirror;
    struct gv_text why = {""};
    char hour[32];

    hour_text(hour, audit->head.minute);
    if (mirror->has_head && gv_log_heads_contradict(&mirror->head, &audit->head)) {
        gv_mirror_back(mirror);
        found(audit, "its log of %s contradicts what it signed before: entries were %s", hour,
              audit->head.size < mirror->head.size ? "taken out" : "changed");
        finish(audit, NULL);
        return;
    }
    if (!gv_mirror_fits(mirror, &audit->head)) {
        gv_mirror_back(mirror);
        found(audit, "its log is not the one whose head it signed at %s", hour);
        finish(audit, NULL);
        return;
    }
    bool older = mirror->has_head && audit->head.minute < mirror->head.minute;
    int rc =
        older ? GV_OK : gv_mirror_settle(mirror, &audit->head, audit->wire, audit->wire_len, &why);
    if (rc != GV_OK)
        gv_log_limited(GV_LOG_WARNING, "the copy of the registry's log is not stored: %s",
                       why.text);
    finish(audit, rc == GV_OK ? NULL : why.text);
}

static void ask_entries(struct gv_audit *audit);

static void on_entries(void *context, struct gv_fetch_result *result)
{
    struct gv_audit *audit = context;

    if (!answered(audit, result))
        return;
    int rc = gv_mirror_append(&audit->mirror, result->body, result->len);
    if (rc != GV_OK || result->len == 0) {
        gv_mirror_back(&audit->mirror);
        fail_look(audit, rc == GV_ERR_FULL ? "the registry's log is too long to be copied here"
                         : rc == GV_OK     ? "the registry does not give the entries of its log"
                                           : gv_strerror(rc));
        return;
    }
    ask_entries(audit);
}

static void ask_entries(struct gv_audit *audit)
{
    char path[96];

    if (audit->mirror.tree.size >= audit->head.size) {
        settle(audit);
        return;
    }
    snprintf(path, sizeof path, "/v1/log/entries?log=%08x&from=%llu", audit->head.signer,
             (unsigned long long)audit->mirror.tree.size);
    ask(audit, path, (size_t)GV_LOG_PAGE * GV_LOG_ENTRY_LEN, on_entries);
}

static void on_head(void *context, struct gv_fetch_result *result)
{
    struct gv_audit *audit = context;

    if (!answered(audit, result))
        return;
    const struct gv_core *core = audit->options.core(audit->options.context);
    const struct gv_descriptor *descriptor = core ? gv_core_descriptor(core) : NULL;
    int rc = descriptor
                 ? gv_log_head_open(&audit->head, NULL, descriptor, result->body, result->len)
                 : GV_ERR_STATE;
    if (rc != GV_OK) {
        fail_look(audit, rc == GV_ERR_STATE ? "no network descriptor yet"
                                            : "the head of the registry's log is not valid");
        return;
    }
    memcpy(audit->wire, result->body, result->len);
    audit->wire_len = result->len;
    audit->options.head(audit->options.context, audit->wire, audit->wire_len);
    if (audit->mirror.has_head && audit->mirror.head.signer != audit->head.signer)
        gv_mirror_retire(&audit->mirror, &audit->former); /* another log */
    if ((uint64_t)audit->head.minute + GV_AUDIT_STALE < now_ms(audit) / 60000) {
        fail_look(audit, "the registry has signed no head of its log for more than a day");
        return;
    }
    ask_entries(audit);
}

static int open_mirrors(struct gv_audit *audit, const struct gv_descriptor *descriptor)
{
    const char *folder = audit->options.folder;
    int rc = gv_mirror_open(&audit->mirror, folder, GV_MIRROR_PRESENT, descriptor);

    if (rc != GV_OK) {
        gv_mirror_close(&audit->mirror);
        return rc;
    }
    rc = gv_mirror_open(&audit->former, folder, GV_MIRROR_FORMER, descriptor);
    if (rc != GV_OK) {
        gv_mirror_close(&audit->mirror);
        gv_mirror_close(&audit->former);
    }
    return rc;
}

void gv_audit_look(struct gv_audit *audit)
{
    const struct gv_core *core = audit->options.core(audit->options.context);
    const struct gv_descriptor *descriptor = core ? gv_core_descriptor(core) : NULL;

    if (audit->status.looking)
        return;
    uv_timer_stop(&audit->timer);
    audit->status.looking = true;
    recall(audit);
    if (!descriptor) {
        finish(audit, "no network descriptor yet");
        return;
    }
    if (!audit->open && open_mirrors(audit, descriptor) != GV_OK) {
        finish(audit, "out of memory");
        return;
    }
    audit->open = true;
    ask(audit, "/v1/log/head", GV_LOG_HEAD_MAX, on_head);
}

/* ---- life ----------------------------------------------------------------------------------- */

static void release(struct gv_audit *audit)
{
    free((void *)(uintptr_t)audit->options.folder);
    free((void *)(uintptr_t)audit->options.bind_address);
    free((void *)(uintptr_t)audit->options.ca_file);
    free(audit);
}

int gv_audit_new(struct gv_audit **out, const struct gv_audit_options *options)
{
    struct gv_audit *audit = calloc(1, sizeof *audit);

    *out = NULL;
    if (!audit)
        return GV_ERR_MEMORY;
    audit->options = *options;
    audit->options.folder = strdup(options->folder);
    audit->options.bind_address = options->bind_address ? strdup(options->bind_address) : NULL;
    audit->options.ca_file = options->ca_file ? strdup(options->ca_file) : NULL;
    if (!audit->options.folder || (options->bind_address && !audit->options.bind_address) ||
        (options->ca_file && !audit->options.ca_file)) {
        release(audit);
        return GV_ERR_MEMORY;
    }
    uv_timer_init(options->loop, &audit->timer);
    audit->timer.data = audit;
    uv_timer_start(&audit->timer, on_timer, 2000 + randombytes_uniform(4000), 0);
    recall(audit);
    *out = audit;
    return GV_OK;
}

static void on_closed(uv_handle_t *handle)
{
    release(handle->data);
}

void gv_audit_free(struct gv_audit *audit)
{
    if (!audit || audit->freed)
        return;
    audit->freed = true;
    gv_fetch_cancel(audit->fetch);
    if (audit->open) {
        gv_mirror_close(&audit->mirror);
        gv_mirror_close(&audit->former);
    }
    uv_close((uv_handle_t *)&audit->timer, on_closed);
}

void gv_audit_status(const struct gv_audit *audit, struct gv_audit_status *out)
{
    const struct gv_core *core = audit->options.core(audit->options.context);
    struct gv_log_head head;
    const uint8_t *wire;
    size_t cursor = 0, len;
    bool contradicted;

    *out = audit->status;
    out->has_head = audit->open && audit->mirror.has_head;
    out->size = out->has_head ? audit->mirror.head.size : 0;
    out->head_min = out->has_head ? audit->mirror.head.minute : 0;
    /* What came a moment ago is not looked over yet. */
    while (core && !out->finding_ms &&
           gv_core_next_log_head(core, &cursor, &head, &contradicted, &wire, &len))
        if (contradicted) {
            out->finding_ms = now_ms(audit);
            snprintf(out->finding, sizeof out->finding,
                     "it shows two faces: two heads of its log contradict each other");
        }
}
