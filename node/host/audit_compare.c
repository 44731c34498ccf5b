/* What the log of certificates is compared with, and what is said of it (SPEC 14.7). */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "crypto/error.h"
#include "node/base/file.h"
#include "node/base/log.h"
#include "node/host/audit_state.h"

/* ---- what was found ------------------------------------------------------------------------- */

static void finding_path(char out[4096], const struct gv_audit *audit)
{
    snprintf(out, 4096, "%s/" GV_FILE_FINDING, audit->options.folder);
}

void gv_audit_found(struct gv_audit *audit, const char *format, ...)
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
    audit->status.finding_ms = gv_audit_now_ms(audit);
    finding_path(path, audit);
    if (gv_file_write(path, text, strlen(text), 0600, &why) != GV_OK)
        gv_log(GV_LOG_ERROR, "%s", why.text);
}

void gv_audit_recall(struct gv_audit *audit)
{
    char path[4096];
    struct stat held;
    struct gv_buf text;

    gv_buf_init(&text);
    finding_path(path, audit);
    int rc = stat(path, &held) == 0 ? GV_OK : errno == ENOENT ? GV_ERR_NOT_FOUND : GV_ERR_IO;
    if (rc == GV_ERR_NOT_FOUND) { /* one that cannot be read now was not removed */
        audit->status.finding[0] = '\0';
        audit->status.finding_ms = 0;
    } else if (rc == GV_OK && !audit->status.finding_ms &&
               gv_file_read(&text, path, sizeof audit->status.finding, NULL) == GV_OK) {
        gv_log_safe(audit->status.finding, sizeof audit->status.finding, (const char *)text.data,
                    text.len);
        audit->status.finding_ms = (uint64_t)held.st_mtim.tv_sec * 1000;
    }
    gv_buf_free(&text);
}

void gv_audit_hour_text(char out[32], uint32_t minute)
{
    time_t t = (time_t)minute * 60;
    struct tm tm;

    gmtime_r(&t, &tm);
    strftime(out, 32, "%Y-%m-%dT%H:%MZ", &tm);
}

/* ---- heads ---------------------------------------------------------------------------------- */

static struct gv_watched *watched_by(struct gv_audit *audit, uint32_t signer)
{
    for (size_t i = 0; i < GV_DESCRIPTOR_KEYS; i++)
        if (audit->watched[i].used && audit->watched[i].signer == signer)
            return &audit->watched[i];
    return NULL;
}

static bool belies(const struct gv_watched *watched, const struct gv_log_head *head)
{
    return watched && watched->mirror.has_head && head->size <= watched->mirror.head.size &&
           !gv_mirror_fits(&watched->mirror, head);
}

static void compare_heads(struct gv_audit *audit, const struct gv_core *core)
{
    struct gv_log_head head;
    const uint8_t *wire;
    size_t cursor = 0, len;
    bool contradicted;
    char hour[32];

    while (gv_core_next_log_head(core, &cursor, &head, &contradicted, &wire, &len)) {
        gv_audit_hour_text(hour, head.minute);
        if (contradicted)
            gv_audit_found(audit,
                           "it shows two faces: another head of its log contradicts the one of %s",
                           hour);
        else if (belies(watched_by(audit, head.signer), &head))
            gv_audit_found(audit,
                           "it shows two faces: the head of %s that others were given is not of "
                           "the log that was given here",
                           hour);
    }
}

/* ---- certificates --------------------------------------------------------------------------- */

/* Was it signed long enough before the last head of its key to be covered by that? */
static bool before_head(const struct gv_watched *watched, const struct gv_certificate *certificate)
{
    return watched->mirror.has_head &&
           (uint64_t)certificate->issued_min + GV_LOG_SLACK_MIN < watched->mirror.head.minute;
}

/* Every certificate that was issued before the hour of its key's head is in that log. */
static void compare_certificates(struct gv_audit *audit, const struct gv_core *core)
{
    struct gv_certificate certificate;
    char instance[2 * GV_ID_LEN + 1], owner[2 * GV_ID_LEN + 1];
    size_t cursor = 0;

    while (gv_core_next_certificate(core, &cursor, &certificate)) {
        struct gv_watched *watched = watched_by(audit, certificate.signer);
        if (!watched || !before_head(watched, &certificate) ||
            gv_mirror_has(&watched->mirror, certificate.id))
            continue;
        gv_hex(instance, certificate.instance, GV_ID_LEN);
        gv_hex(owner, certificate.owner, GV_ID_LEN);
        gv_audit_found(audit,
                       "it has signed a certificate outside its log, for instance %s of owner %s",
                       instance, owner);
    }
}

bool gv_audit_unlogged(struct gv_audit *audit, struct gv_watched *watched,
                       struct gv_certificate *out)
{
    const struct gv_core *core = audit->options.core(audit->options.context);
    uint32_t now = gv_audit_now_min(audit);
    size_t cursor = 0;

    while (core && gv_core_next_certificate(core, &cursor, out))
        if (out->signer == watched->signer && (uint64_t)out->issued_min + GV_AUDIT_STALE <= now &&
            !before_head(watched, out) && !gv_mirror_has(&watched->mirror, out->id))
            return true;
    return false;
}

void gv_audit_compare(struct gv_audit *audit)
{
    const struct gv_core *core = audit->options.core(audit->options.context);

    if (!core)
        return;
    compare_heads(audit, core);
    compare_certificates(audit, core);
}
