#include "node/registry/registrar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/base/file.h"
#include "node/base/http_tls.h"
#include "node/base/keyfile.h"
#include "node/base/log.h"
#include "node/registry/place.h"
#include "node/registry/template.h"

/* Entries of the tables of limits: 16,384 of 24 bytes are 400 kB each. */
#define RATES 16384

#define PURGE_MS 60000

static uint64_t system_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint32_t gv_registrar_now_min(const struct gv_registrar *registrar)
{
    return (uint32_t)(registrar->unix_ms() / 60000);
}

char *gv_data_path(const char *folder, const char *name)
{
    size_t size = strlen(folder) + strlen(name) + 2;
    char *path = malloc(size);

    if (path)
        snprintf(path, size, "%s/%s", folder, name);
    return path;
}

/* ---- the descriptor ------------------------------------------------------------------------- */

int gv_descriptor_read(struct gv_descriptor *out, struct gv_buf *wire, const char *path,
                       struct gv_text *error)
{
    gv_buf_clear(wire);
    int rc = gv_file_read(wire, path, GV_DESCRIPTOR_MAX, error);
    if (rc != GV_OK)
        return rc;
    rc = gv_descriptor_open(out, NULL, wire->data ? wire->data : (const uint8_t *)"", wire->len);
    if (rc != GV_OK)
        gv_fail(error, rc, "%s: not a valid network descriptor: %s", path, gv_strerror(rc));
    return rc;
}

/* Which of our keys signs now. Where none is in force the one before stays, and what it would sign
 * is refused where it is signed. */
static void choose_signer(struct gv_registrar *registrar)
{
    const struct gv_identity *now =
        gv_signers_at(&registrar->signers, &registrar->descriptor, gv_registrar_now_min(registrar));
    uint32_t before = registrar->rules.signer;

    if (!now && !registrar->signer)
        now = gv_signers_last(&registrar->signers, &registrar->descriptor);
    if (!now)
        return;
    registrar->signer = now;
    registrar->rules.signer = gv_certificate_signer(now->sign_public);
    if (registrar->rules.signer == before)
        return;
    if (before)
        gv_log(GV_LOG_NOTICE,
               "certificates are signed with the key %08x from now on, not with %08x",
               registrar->rules.signer, before);
}

static int load_descriptor(struct gv_registrar *registrar, const char *path, struct gv_text *error)
{
    struct gv_descriptor *fresh = malloc(sizeof *fresh); /* 8 kB: not on the stack of a request */
    struct gv_signers signers = {.count = 0};
    struct gv_buf wire;
    int rc = GV_ERR_MEMORY;

    gv_buf_init(&wire);
    if (!fresh)
        goto out;
    rc = gv_descriptor_read(fresh, &wire, path, error);
    if (rc == GV_OK)
        rc = gv_signers_read(&signers, registrar->settings->data, error);
    if (rc != GV_OK)
        goto out;
    if (!gv_signers_last(&signers, fresh)) {
        rc = gv_fail(error, GV_ERR_SIGNER,
                     "%s: does not name this registry's key (" GV_FILE_REGISTRY_KEY "); "
                     "run: grapevine-registry descriptor",
                     path);
        goto out;
    }
    if (registrar->descriptor_wire.len > 0 &&
        (memcmp(fresh->network_id, registrar->descriptor.network_id, GV_KEY_LEN) != 0 ||
         fresh->version < registrar->descriptor.version)) {
        rc = gv_fail(error, GV_ERR_SUPERSEDED,
                     "%s: of another network or older than the one in use", path);
        goto out;
    }
    registrar->descriptor = *fresh;
    registrar->signers = signers;
    registrar->signer = NULL;
    choose_signer(registrar);
    registrar->rules.grace_min = fresh->policy.grace_min;
    gv_buf_free(&registrar->descriptor_wire);
    registrar->descriptor_wire = wire;
    gv_buf_init(&wire); /* handed over */
out:
    gv_signers_wipe(&signers);
    gv_buf_free(&wire);
    free(fresh);
    return rc;
}

void gv_registrar_refresh(struct gv_registrar *registrar)
{
    gv_tls_refresh();
    char *path = gv_data_path(registrar->settings->data, GV_FILE_DESCRIPTOR);
    struct stat now;
    struct gv_text why = {""};
    const struct stat *then = &registrar->descriptor_stat;

    if (path && stat(path, &now) == 0 &&
        (now.st_ino != then->st_ino || now.st_mtim.tv_sec != then->st_mtim.tv_sec ||
         now.st_mtim.tv_nsec != then->st_mtim.tv_nsec)) {
        registrar->descriptor_stat = now;
        if (load_descriptor(registrar, path, &why) == GV_OK)
            gv_log(GV_LOG_NOTICE, "%s: version %u is in use now", path,
                   registrar->descriptor.version);
        else
            gv_log(GV_LOG_ERROR, "%s; the one before stays in use", why.text);
    }
    choose_signer(registrar);
    free(path);
}

/* ---- start ---------------------------------------------------------------------------------- */

static int read_key(uint8_t secret[GV_SECRET_LEN], const char *folder, const char *name,
                    struct gv_text *error)
{
    char *path = gv_data_path(folder, name);
    int rc = path ? gv_keyfile_read(secret, path, error) : GV_ERR_MEMORY;

    free(path);
    return rc;
}

static int open_data(struct gv_registrar *registrar, struct gv_text *error)
{
    const char *folder = registrar->settings->data;
    uint8_t secret[GV_SECRET_LEN];
    char *database = gv_registry_database(registrar->settings);
    char *descriptor = gv_data_path(folder, GV_FILE_DESCRIPTOR);
    int rc = GV_ERR_MEMORY;

    if (!database || !descriptor)
        goto out;
    rc = read_key(registrar->owner_secret, folder, GV_FILE_OWNER_KEY, error);
    if (rc == GV_OK)
        rc = read_key(secret, folder, GV_FILE_EMAIL_KEY, error);
    if (rc == GV_OK && stat(descriptor, &registrar->descriptor_stat) != 0)
        memset(&registrar->descriptor_stat, 0, sizeof registrar->descriptor_stat);
    if (rc == GV_OK)
        rc = load_descriptor(registrar, descriptor, error);
    if (rc == GV_OK)
        rc = gv_records_open(&registrar->records, database, secret, error);
    registrar->logs.folder = strdup(folder);
    if (rc == GV_OK)
        gv_logs_adopt(&registrar->logs, &registrar->descriptor);
    if (rc == GV_OK && (rc = gv_logs_backfill(registrar->records)) != GV_OK)
        gv_fail(error, rc, "the log of certificates cannot be read: %s", gv_strerror(rc));
out:
    gv_wipe(secret, sizeof secret);
    free(database);
    free(descriptor);
    return rc;
}

static int init_rates(struct gv_registrar *registrar)
{
    int rc = gv_rate_init(&registrar->by_client, RATES, 1);

    if (rc == GV_OK)
        rc = gv_rate_init(&registrar->enroll_by_client, RATES, 60);
    if (rc == GV_OK)
        rc = gv_rate_init(&registrar->confirm_by_client, RATES, 60);
    if (rc == GV_OK)
        rc = gv_rate_init(&registrar->by_email, RATES, 60);
    if (rc == GV_OK) /* longer than a proof is accepted, from the earliest to the latest minute */
        rc = gv_rate_init(&registrar->proofs, RATES, 2 * GV_PROOF_SKEW_MIN + 2);
    return rc;
}

static bool is_set(const char *text)
{
    return text && *text;
}

static int listen_all(struct gv_registrar *registrar, struct gv_text *error)
{
    const struct gv_registry_settings *settings = registrar->settings;
    struct gv_http_options options = {
        .routes = gv_registry_routes,
        .route_count = gv_registry_route_count,
        .context = registrar,
        .hosts = (const char *const *)settings->names.items,
        .host_count = settings->names.count,
        .trusted = settings->trusted_proxies.items,
        .trusted_count = settings->trusted_proxies.count,
        .tls = is_set(settings->tls_certificate),
        .body_max = 4096, /* the largest request is an enrolment, about 800 bytes */
        .connections_max = (unsigned)settings->connections,
        .connections_per_ip = (unsigned)settings->connections_per_client,
    };
    int rc = options.tls ? gv_tls_load(settings->tls_certificate, settings->tls_key, error) : GV_OK;

    for (size_t i = 0; rc == GV_OK && i < settings->listen.count && i < GV_LISTEN_MAX; i++) {
        options.host = settings->listen.items[i].host;
        options.port = settings->listen.items[i].port;
        rc = gv_http_start(&registrar->servers[i], registrar->loop, &options, error);
        registrar->server_count += rc == GV_OK;
    }
    return rc;
}

/* A mail that cannot be written is found before somebody waits for it. */
static int check_template(const char *path, const struct gv_mail_words *words,
                          struct gv_text *error)
{
    struct gv_buf mail;
    size_t body_at;

    gv_buf_init(&mail);
    int rc = gv_template_fill(&mail, &body_at, path, words, error);
    gv_buf_free(&mail);
    return rc == GV_ERR_MALFORMED ? GV_ERR_CONFIG : rc;
}

static int check_templates(const struct gv_registry_settings *settings, struct gv_text *error)
{
    /* A text each: which words were filled in is told by their place in memory. */
    static const struct gv_mail_words code = {"network", "code", "minutes", "instance", "link"},
                                      leave = {.network = "network",
                                               .minutes = "minutes",
                                               .link = "link"};
    int rc = check_template(settings->mail_template, &code, error);

    return rc == GV_OK ? check_template(settings->mail_leave_template, &leave, error) : rc;
}

/* ---- what has expired ----------------------------------------------------------------------- */

/* Once a day: years after the last change nobody thinks of it. */
static void warn_of_keys(struct gv_registrar *registrar)
{
    uint32_t now = gv_registrar_now_min(registrar);
    struct gv_text what;
    struct gv_log *log;

    if (registrar->key_hint_min && now < registrar->key_hint_min + 1440)
        return;
    registrar->key_hint_min = now;
    if (gv_signers_end(&what, &registrar->signers, &registrar->descriptor, now))
        gv_log(GV_LOG_WARNING, "%s", what.text);
    if (gv_logs_get(&registrar->logs, &log, registrar->records, registrar->rules.signer) == GV_OK &&
        log->tree.size >= GV_LOG_COPY_MAX / 4 * 3)
        gv_log(GV_LOG_WARNING,
               "the log of this registry's key has %llu certificates, and nodes copy %u: run "
               "grapevine-registry keys --rotate, whose new key begins an empty one",
               (unsigned long long)log->tree.size, GV_LOG_COPY_MAX);
}

/* An address that was never confirmed must not stay until somebody else enrols. */
static void on_purge(uv_timer_t *timer)
{
    struct gv_registrar *registrar = timer->data;

    warn_of_keys(registrar);
    gv_batch_flush(registrar);
    int rc = gv_records_purge(registrar->records, gv_registrar_now_min(registrar));
    if (rc != GV_OK)
        gv_log_limited(GV_LOG_WARNING, "expired codes stay for now: %s", gv_strerror(rc));
}

static void start_purge(struct gv_registrar *registrar)
{
    uv_timer_init(registrar->loop, &registrar->purge);
    registrar->purge.data = registrar;
    uv_timer_start(&registrar->purge, on_purge, 0, PURGE_MS);
    uv_unref((uv_handle_t *)&registrar->purge);
    registrar->handles++;
}

static void on_purge_closed(uv_handle_t *handle)
{
    struct gv_registrar *registrar = handle->data;

    registrar->handles--;
    gv_registrar_release(registrar);
}

int gv_registrar_start(struct gv_registrar **out, uv_loop_t *loop,
                       const struct gv_registry_settings *settings, uint64_t (*unix_ms)(void),
                       struct gv_text *error)
{
    struct gv_registrar *registrar = calloc(1, sizeof *registrar);

    *out = NULL;
    if (!registrar)
        return gv_fail(error, GV_ERR_MEMORY, "out of memory");
    registrar->loop = loop;
    registrar->settings = settings;
    registrar->unix_ms = unix_ms ? unix_ms : system_ms;
    gv_buf_init(&registrar->descriptor_wire);
    gv_logs_init(&registrar->logs);
    gv_registry_rules_default(&registrar->rules);
    registrar->rules.certificate_life_min = (uint32_t)(settings->certificate_life_s / 60);
    registrar->rules.instances_per_owner = (uint32_t)settings->instances_per_owner;
    int rc = init_rates(registrar);
    if (rc == GV_OK)
        rc = open_data(registrar, error);
    if (rc == GV_OK)
        rc = check_templates(settings, error);
    if (rc == GV_OK)
        rc = gv_mailer_new(
            &registrar->mailer, loop,
            &(struct gv_mail_settings){.url = settings->mail_url,
                                       .name = "Grapevine registry",
                                       .from = settings->mail_from,
                                       .user = settings->mail_user,
                                       .password_file = settings->mail_password_file,
                                       .ca_file = settings->mail_ca_file,
                                       .starttls = (enum gv_starttls)settings->mail_starttls,
                                       .timeout_s = settings->mail_timeout_s},
            error);
    if (rc == GV_OK)
        rc = listen_all(registrar, error);
    if (rc == GV_OK) {
        gv_batch_init(registrar);
        start_purge(registrar);
        *out = registrar;
    } else {
        gv_registrar_stop(&registrar);
    }
    return rc;
}

uint16_t gv_registrar_port(const struct gv_registrar *registrar, size_t server)
{
    return server < registrar->server_count ? gv_http_port(registrar->servers[server]) : 0;
}

void gv_registrar_release(struct gv_registrar *registrar)
{
    if (!registrar->held || registrar->mails > 0 || registrar->handles > 0)
        return;
    *registrar->held = NULL;
    gv_mailer_free(registrar->mailer);
    gv_logs_free(&registrar->logs);
    gv_records_close(registrar->records);
    gv_rate_free(&registrar->by_client);
    gv_rate_free(&registrar->enroll_by_client);
    gv_rate_free(&registrar->confirm_by_client);
    gv_rate_free(&registrar->by_email);
    gv_rate_free(&registrar->proofs);
    gv_buf_free(&registrar->descriptor_wire);
    gv_tls_unload();
    gv_signers_wipe(&registrar->signers);
    gv_wipe(registrar->owner_secret, sizeof registrar->owner_secret);
    free(registrar);
}

void gv_registrar_stop(struct gv_registrar **held)
{
    struct gv_registrar *registrar = *held;

    if (!registrar || registrar->held)
        return;
    if (registrar->handles > 0) { /* it was started */
        gv_batch_close(registrar);
        uv_close((uv_handle_t *)&registrar->purge, on_purge_closed);
    }
    for (size_t i = 0; i < registrar->server_count; i++)
        gv_http_stop(registrar->servers[i]);
    registrar->held = held;
    gv_registrar_release(registrar);
}
