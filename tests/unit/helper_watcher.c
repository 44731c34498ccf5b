#include "helper_watcher.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/error.h"

void watcher_make(struct watcher *w, struct registry *at, unsigned number)
{
    struct gv_core_options options = {.identity = &w->identity};

    memset(w, 0, sizeof *w);
    w->at = at;
    registry_identity(&w->identity, number);
    snprintf(w->folder, sizeof w->folder, "/tmp/gv-audit-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    options.descriptor = at->registrar->descriptor_wire.data;
    options.descriptor_len = at->registrar->descriptor_wire.len;
    options.settings.max_links = 16;
    assert_int_equal(gv_core_new(&w->core, &options, 0, registry_clock_ms), GV_OK);
    gv_effects_init(&w->effects);
}

static const char *url_of(void *context)
{
    return ((struct watcher *)context)->at->url;
}

static const struct gv_core *core_of(void *context)
{
    return ((struct watcher *)context)->core;
}

int watcher_tell(struct watcher *w, enum gv_record_kind kind, const uint8_t *wire, size_t len)
{
    uint8_t record[GV_RECORD_MAX] = {(uint8_t)kind};
    struct gv_event clock = {.kind = GV_EVENT_CLOCK, .clock = {.unix_ms = registry_clock_ms}};
    struct gv_event event = {.kind = GV_EVENT_NEWS, .news = {record, 1 + len}};

    memcpy(record + 1, wire, len);
    gv_effects_clear(&w->effects);
    gv_core_step(w->core, registry_clock_ms - 1700000000000ULL, &clock, &w->effects);
    int rc = gv_core_step(w->core, registry_clock_ms - 1700000000000ULL, &event, &w->effects);
    for (size_t i = 0; i < w->effects.count; i++)
        w->two_faces += w->effects.list[i].kind == GV_EFFECT_NOTE &&
                        w->effects.list[i].note == GV_NOTE_TWO_FACES;
    return rc;
}

static void on_head(void *context, const uint8_t *wire, size_t len)
{
    (void)watcher_tell(context, GV_RECORD_LOG_HEAD, wire, len);
}

struct gv_audit_status watcher_look(struct watcher *w)
{
    struct gv_audit_options options = {.loop = &w->at->loop,
                                       .folder = w->folder,
                                       .context = w,
                                       .url = url_of,
                                       .core = core_of,
                                       .head = on_head,
                                       .unix_ms = registry_clock,
                                       .copy_max = w->copy_max};
    struct gv_audit_status status;

    if (!w->audit)
        assert_int_equal(gv_audit_new(&w->audit, &options), GV_OK);
    gv_audit_look(w->audit);
    for (gv_audit_status(w->audit, &status); status.looking; gv_audit_status(w->audit, &status))
        uv_run(&w->at->loop, UV_RUN_ONCE);
    return status;
}

/* As if it had stopped and started again: only the folder stays. */
void watcher_restart(struct watcher *w)
{
    gv_audit_free(w->audit);
    w->audit = NULL;
    uv_run(&w->at->loop, UV_RUN_NOWAIT);
}

void watcher_free(struct watcher *w)
{
    char command[128];

    if (!w->core)
        return;
    watcher_restart(w);
    gv_core_free(w->core);
    gv_effects_free(&w->effects);
    snprintf(command, sizeof command, "rm -rf '%s'", w->folder);
    assert_int_equal(system(command), 0);
    memset(w, 0, sizeof *w);
}

void watcher_loosen(struct registry *at)
{
    at->settings.enroll_per_client_hour = at->settings.confirm_per_client_hour = 10000;
    at->settings.enroll_per_domain_day = at->settings.requests_per_client_minute = 10000;
}

void watcher_join(struct registry *at, unsigned number, uint8_t wire[GV_CERTIFICATE_LEN])
{
    struct gv_identity identity;
    char email[64];

    registry_identity(&identity, number);
    snprintf(email, sizeof email, "admin%u@example.org", number);
    registry_join(at, &identity, email, wire);
}

/* A perfect certificate that is in no log, which a peer hands on. */
void watcher_mint(struct watcher *w, const struct gv_identity *by, unsigned number,
                  uint32_t issued_min)
{
    uint8_t wire[GV_CERTIFICATE_LEN];
    struct gv_identity minted;
    struct gv_certificate certificate = {.since_min = issued_min - 1,
                                         .issued_min = issued_min,
                                         .expires_min = issued_min + 129600,
                                         .group = 4ULL << 56 | 0x7f00};

    registry_identity(&minted, number);
    memcpy(certificate.key, minted.sign_public, GV_KEY_LEN);
    gv_certificate_issue(wire, &certificate, by->sign_secret, w->at->descriptor.network_id);
    assert_int_equal(watcher_tell(w, GV_RECORD_CERTIFICATE, wire, sizeof wire), GV_OK);
}
