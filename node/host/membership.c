#include "node/host/membership.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "node/base/file.h"
#include "node/base/log.h"
#include "node/host/waiting.h"
#include "proto/wire/record.h"

/* A try and its retry are this far apart at most; without a word since then, it went well. */
#define TROUBLE_STALE_MS 120000u

/* A request of the admin's, while the registry has it. */
struct asking {
    gv_enroll_done done;
    void *context;
};

struct gv_membership {
    uv_loop_t *loop;
    char *folder, *registry_url, *registry_ca, *bind_address;
    bool pinned;        /* to network_id */
    bool configured_id; /* by the configuration */
    uint8_t network_id[GV_KEY_LEN];
    const struct gv_identity *identity;
    struct gv_enroll *enroll;
    struct gv_audit *audit; /* NULL before gv_membership_start */
    struct gv_driver *driver;
    struct gv_buf descriptor;
    bool has_certificate;
    uint8_t certificate[GV_CERTIFICATE_LEN];
    struct asking join, request, confirm, leave;
    struct gv_waiting
        *waiting; /* for the button behind the link; NULL before gv_membership_start */
    void (*network_known)(void *context);
    void *context;
    struct gv_membership_status status;
};

/* ---- files ---------------------------------------------------------------------------------- */

static void file_path(char out[4096], const struct gv_membership *membership, const char *name)
{
    snprintf(out, 4096, "%s/%s", membership->folder, name);
}

static void write_file(const struct gv_membership *membership, const char *name, const void *data,
                       size_t len)
{
    char path[4096];
    struct gv_text error = {""};

    file_path(path, membership, name);
    if (gv_file_write(path, data, len, 0600, &error) != GV_OK)
        gv_log(GV_LOG_ERROR, "%s; it is in use, and fetched again after a restart", error.text);
}

/* What is not what it should be is kept for the admin to see, out of the way: the registry has
 * another, and a node must not stay away for it. `unread`: why it could not even be read; then it
 * stays where it is. */
static void pass_over(const char *path, const struct gv_text *unread, const char *what,
                      const char *then)
{
    char aside[4096 + 64];

    gv_file_aside_name(aside, sizeof aside, path, "corrupt");
    if (unread)
        gv_log(GV_LOG_WARNING, "%s; %s", unread->text, then);
    else if (rename(path, aside) == 0)
        gv_log(GV_LOG_WARNING, "%s: %s; kept as %s; %s", path, what, aside, then);
    else
        gv_log(GV_LOG_WARNING, "%s: %s, and cannot be put aside: %s; %s", path, what,
               strerror(errno), then);
}

/* Opens the file's bytes. Another network than the one that is wanted is a mistake of the admin's.
 */
static int open_descriptor(struct gv_descriptor *out, struct gv_buf *wire,
                           const struct gv_membership *membership, const char *path,
                           struct gv_text *error)
{
    int rc = gv_file_read(wire, path, 64 + GV_DESCRIPTOR_MAX, error);

    if (rc != GV_OK)
        return rc;
    rc = gv_descriptor_open(out, NULL, wire->data, wire->len);
    if (rc == GV_OK && membership->pinned &&
        memcmp(out->network_id, membership->network_id, GV_KEY_LEN) != 0)
        rc = GV_ERR_NETWORK;
    if (rc != GV_OK)
        gv_fail(error, rc,
                "%s: not a usable network descriptor: %s; fetch it again from the registry", path,
                gv_strerror(rc));
    return rc;
}

/* Takes a descriptor unless a newer one is held. */
static void keep_newer(struct gv_membership *membership, const struct gv_descriptor *found,
                       struct gv_buf *wire)
{
    struct gv_descriptor held;

    membership->pinned = true;
    memcpy(membership->network_id, found->network_id, GV_KEY_LEN);
    bool newer = membership->descriptor.len == 0 ||
                 gv_descriptor_open(&held, NULL, membership->descriptor.data,
                                    membership->descriptor.len) != GV_OK ||
                 held.version < found->version;
    if (newer) {
        struct gv_buf old = membership->descriptor;
        membership->descriptor = *wire;
        *wire = old;
    }
}

/* The file that the configuration names must be there and good. */
static int read_descriptor_given(struct gv_membership *membership, const char *path,
                                 struct gv_text *error)
{
    struct gv_descriptor found;
    struct gv_buf wire;

    gv_buf_init(&wire);
    int rc = open_descriptor(&found, &wire, membership, path, error);
    if (rc == GV_OK)
        keep_newer(membership, &found, &wire);
    else if (rc == GV_ERR_NOT_FOUND)
        gv_fail(error, rc, "%s: no such file; correct [network] descriptor", path);
    gv_buf_free(&wire);
    return rc;
}

/* The node's own copy may be absent, and may be spoilt. */
static int read_descriptor_kept(struct gv_membership *membership, struct gv_text *error)
{
    struct gv_descriptor found;
    struct gv_buf wire;
    char path[4096];

    file_path(path, membership, "descriptor");
    gv_buf_init(&wire);
    int rc = open_descriptor(&found, &wire, membership, path, error);
    if (rc == GV_OK) {
        keep_newer(membership, &found, &wire);
    } else if (rc == GV_ERR_NOT_FOUND) {
        rc = GV_OK;
    } else if (rc != GV_ERR_NETWORK && rc != GV_ERR_MEMORY) {
        pass_over(path, rc == GV_ERR_IO ? error : NULL, "not a network descriptor",
                  "it is fetched again from the registry");
        rc = GV_OK;
    }
    gv_buf_free(&wire);
    return rc;
}

static int read_certificate(struct gv_membership *membership)
{
    char path[4096];
    struct gv_buf wire;
    struct gv_certificate certificate;
    struct gv_text why = {""};
    int rc;

    file_path(path, membership, "certificate");
    gv_buf_init(&wire);
    rc = gv_file_read(&wire, path, 4096, &why);
    if (rc == GV_ERR_NOT_FOUND) {
        rc = GV_OK;
        goto out;
    }
    if (rc == GV_OK)
        rc = gv_certificate_parse(&certificate, wire.data, wire.len);
    if (rc == GV_OK &&
        memcmp(certificate.key, membership->identity->sign_public, GV_KEY_LEN) != 0) {
        gv_log(GV_LOG_WARNING,
               "%s is for another key and is not used; enrol this one with `grapevine enroll`",
               path);
        goto out;
    }
    if (rc == GV_ERR_MEMORY)
        goto out;
    if (rc != GV_OK) {
        pass_over(path, rc == GV_ERR_IO ? &why : NULL, "not a certificate",
                  "enrol again with `grapevine enroll`");
        rc = GV_OK;
        goto out;
    }
    memcpy(membership->certificate, wire.data, GV_CERTIFICATE_LEN);
    membership->has_certificate = true;
out:
    gv_buf_free(&wire);
    return rc;
}

/* ---- life ----------------------------------------------------------------------------------- */

static char *copy(const char *text)
{
    return text && *text ? strdup(text) : NULL;
}

static int make_enroll(struct gv_membership *membership)
{
    struct gv_enroll_options options = {
        .loop = membership->loop,
        .registry_url = membership->registry_url,
        .bind_address = membership->bind_address,
        .ca_file = membership->registry_ca,
        .identity = membership->identity,
        .network_id = membership->pinned ? membership->network_id : NULL,
    };

    gv_enroll_free(membership->enroll);
    membership->enroll = NULL;
    int rc = gv_enroll_new(&membership->enroll, &options);
    if (rc == GV_OK && membership->descriptor.len > 0)
        rc = gv_enroll_set_descriptor(membership->enroll, membership->descriptor.data,
                                      membership->descriptor.len);
    return rc;
}

int gv_membership_new(struct gv_membership **out, const struct gv_membership_options *options,
                      struct gv_text *error)
{
    struct gv_membership *membership = calloc(1, sizeof *membership);
    int rc = GV_OK;

    if (!membership)
        return gv_fail(error, GV_ERR_MEMORY, "out of memory");
    membership->loop = options->loop;
    membership->identity = options->identity;
    membership->network_known = options->network_known;
    membership->context = options->context;
    membership->folder = strdup(options->folder);
    membership->registry_url = copy(options->registry_url);
    membership->bind_address = copy(options->bind_address);
    membership->registry_ca = copy(options->registry_ca);
    gv_buf_init(&membership->descriptor);
    if (options->network_id) {
        membership->pinned = membership->configured_id = true;
        memcpy(membership->network_id, options->network_id, GV_KEY_LEN);
    }
    if (!membership->folder)
        rc = gv_fail(error, GV_ERR_MEMORY, "out of memory");
    if (rc == GV_OK && options->descriptor_path && *options->descriptor_path)
        rc = read_descriptor_given(membership, options->descriptor_path, error);
    if (rc == GV_OK)
        rc = read_descriptor_kept(membership, error);
    if (rc == GV_OK && (rc = read_certificate(membership)) != GV_OK)
        gv_fail(error, rc, "out of memory");
    if (rc == GV_OK && (rc = make_enroll(membership)) != GV_OK)
        gv_fail(error, rc, "the registry's address or descriptor cannot be used: %s; see [network]",
                gv_strerror(rc));
    if (rc != GV_OK) {
        gv_membership_free(membership);
        return rc;
    }
    *out = membership;
    return GV_OK;
}

void gv_membership_free(struct gv_membership *membership)
{
    if (!membership)
        return;
    gv_audit_free(membership->audit);
    gv_waiting_free(membership->waiting);
    gv_enroll_free(membership->enroll);
    gv_buf_free(&membership->descriptor);
    free(membership->folder);
    free(membership->registry_url);
    free(membership->registry_ca);
    free(membership->bind_address);
    free(membership);
}

const uint8_t *gv_membership_descriptor(const struct gv_membership *membership, size_t *len)
{
    *len = membership->descriptor.len;
    return *len ? membership->descriptor.data : NULL;
}

const uint8_t *gv_membership_certificate(const struct gv_membership *membership)
{
    return membership->has_certificate ? membership->certificate : NULL;
}

bool gv_membership_has_registry(const struct gv_membership *membership)
{
    return membership->registry_url || membership->descriptor.len > 0;
}

/* ---- news for the core ---------------------------------------------------------------------- */

static void tell_core(struct gv_membership *membership, enum gv_record_kind kind,
                      const uint8_t *wire, size_t len)
{
    uint8_t record[GV_RECORD_MAX];
    struct gv_event event = {.kind = GV_EVENT_NEWS, .news = {record, 1 + len}};

    if (!membership->driver || len >= sizeof record)
        return;
    record[0] = (uint8_t)kind;
    memcpy(record + 1, wire, len);
    int rc = gv_driver_event(membership->driver, &event);
    if (rc != GV_OK && rc != GV_ERR_DUPLICATE && rc != GV_ERR_SUPERSEDED)
        gv_log_limited(GV_LOG_WARNING, "what the registry sent is not used: %s", gv_strerror(rc));
}

/* ---- the registry's log --------------------------------------------------------------------- */

static const char *registry_of(void *context)
{
    return gv_enroll_url(((struct gv_membership *)context)->enroll);
}

static const struct gv_core *core_of(void *context)
{
    return gv_driver_core(((struct gv_membership *)context)->driver);
}

static void on_head(void *context, const uint8_t *wire, size_t len)
{
    tell_core(context, GV_RECORD_LOG_HEAD, wire, len);
}

static void start_audit(struct gv_membership *membership)
{
    struct gv_audit_options options = {
        .loop = membership->loop,
        .folder = membership->folder,
        .bind_address = membership->bind_address,
        .ca_file = membership->registry_ca,
        .context = membership,
        .url = registry_of,
        .core = core_of,
        .head = on_head,
    };

    if (gv_audit_new(&membership->audit, &options) != GV_OK)
        gv_log(GV_LOG_ERROR, "the registry's log is not watched: out of memory");
}

void gv_membership_audit(const struct gv_membership *membership, struct gv_audit_status *out)
{
    memset(out, 0, sizeof *out);
    if (membership->audit)
        gv_audit_status(membership->audit, out);
}

/* ---- what keeps up by itself ---------------------------------------------------------------- */

static void went_well(struct gv_membership *membership)
{
    if (membership->status.trouble_ms)
        gv_log(GV_LOG_NOTICE, "the registry answers again");
    memset(&membership->status, 0, sizeof membership->status);
}

static void say_known(const struct gv_membership *membership)
{
    if (membership->driver && membership->network_known)
        membership->network_known(membership->context);
}

static void take_descriptor(struct gv_membership *membership, const uint8_t *wire, size_t len)
{
    struct gv_buf fresh;

    gv_buf_init(&fresh);
    gv_buf_append(&fresh, wire, len);
    if (fresh.failed) {
        gv_buf_free(&fresh);
        return;
    }
    gv_buf_free(&membership->descriptor);
    membership->descriptor = fresh;
    write_file(membership, "descriptor", fresh.data, fresh.len);
    went_well(membership);
    tell_core(membership, GV_RECORD_DESCRIPTOR, fresh.data, fresh.len);
    say_known(membership);
    if (membership->audit)
        gv_audit_look(membership->audit);
}

static void take_certificate(struct gv_membership *membership,
                             const uint8_t wire[GV_CERTIFICATE_LEN])
{
    memcpy(membership->certificate, wire, GV_CERTIFICATE_LEN);
    membership->has_certificate = true;
    write_file(membership, "certificate", wire, GV_CERTIFICATE_LEN);
    went_well(membership);
    tell_core(membership, GV_RECORD_CERTIFICATE, wire, GV_CERTIFICATE_LEN);
}

static void on_descriptor(void *context, const uint8_t *wire, size_t len)
{
    take_descriptor(context, wire, len);
}

static void on_certificate(void *context, const uint8_t wire[GV_CERTIFICATE_LEN])
{
    take_certificate(context, wire);
}

static void on_revocation(void *context, const uint8_t *wire, size_t len)
{
    went_well(context);
    tell_core(context, GV_RECORD_REVOCATION, wire, len);
}

static void on_trouble(void *context, const char *what, const struct gv_enroll_answer *answer,
                       uint32_t retry_s)
{
    struct gv_membership *membership = context;
    const char *why = answer->text.text[0] ? answer->text.text : gv_strerror(answer->error);

    snprintf(membership->status.trouble, sizeof membership->status.trouble, "%s: %.400s", what,
             why);
    snprintf(membership->status.refused, sizeof membership->status.refused, "%s", answer->word);
    if (!membership->status.trouble_ms)
        membership->status.trouble_ms = gv_unix_ms();
    membership->status.retry_ms = gv_unix_ms() + retry_s * 1000ULL;
    gv_log_limited(GV_LOG_WARNING,
                   "registry: %s: %s; tried again in %u s, the mesh works without it", what, why,
                   retry_s);
}

static void keep_up(struct gv_membership *membership)
{
    struct gv_enroll_keep keep = {
        .context = membership,
        .certificate = on_certificate,
        .descriptor = on_descriptor,
        .revocation = on_revocation,
        .trouble = on_trouble,
    };

    if (!gv_membership_has_registry(membership))
        return;
    int rc = gv_enroll_keep(membership->enroll, &keep, gv_membership_certificate(membership));
    if (rc != GV_OK)
        gv_log(GV_LOG_WARNING, "the registry is not followed: %s", gv_strerror(rc));
}

static int ask_without_code(void *context, gv_enroll_done done, void *done_context)
{
    return gv_membership_confirm(context, "", done, done_context);
}

void gv_membership_start(struct gv_membership *membership, struct gv_driver *driver)
{
    membership->driver = driver;
    start_audit(membership);
    if (gv_waiting_new(&membership->waiting, membership->loop, ask_without_code, membership) !=
        GV_OK)
        gv_log(GV_LOG_ERROR, "out of memory: hand the code in, the link in the mail is not enough");
    if (membership->descriptor.len > 0)
        say_known(membership);
    keep_up(membership);
}

/* ---- what the admin asks for ---------------------------------------------------------------- */

/* Hands the answer on. The request is over before the caller hears of it, so that it may ask
 * again at once. */
static void answer_to(struct asking *asking, const struct gv_enroll_answer *answer)
{
    struct asking who = *asking;

    memset(asking, 0, sizeof *asking);
    if (who.done)
        who.done(who.context, answer);
}

static void on_joined(void *context, const struct gv_enroll_answer *answer)
{
    struct gv_membership *membership = context;

    if (answer->error == GV_OK) {
        take_descriptor(membership, answer->wire, answer->wire_len);
        keep_up(membership);
    }
    answer_to(&membership->join, answer);
}

/* Whom to ask, and for which network; on failure all is as before. */
static int aim(struct gv_membership *membership, const char *registry_url,
               const uint8_t *network_id)
{
    char *url = copy(registry_url), *old = membership->registry_url;
    bool pinned = membership->pinned;

    if (registry_url && *registry_url && !url)
        return GV_ERR_MEMORY;
    if (url)
        membership->registry_url = url;
    if (network_id && !pinned) {
        memcpy(membership->network_id, network_id, GV_KEY_LEN);
        membership->pinned = true;
    }
    if (make_enroll(membership) == GV_OK) {
        if (url)
            free(old);
        return GV_OK;
    }
    membership->registry_url = old;
    membership->pinned = pinned;
    free(url);
    return make_enroll(membership) == GV_OK ? GV_ERR_RANGE : GV_ERR_MEMORY;
}

int gv_membership_join(struct gv_membership *membership, const char *registry_url,
                       const uint8_t *network_id, gv_enroll_done done, void *context)
{
    int rc = GV_OK;

    if (membership->join.done)
        return GV_ERR_BUSY;
    if (membership->descriptor.len > 0)
        return GV_ERR_STATE;
    membership->pinned = membership->configured_id; /* what an earlier try asked for is over */
    if (network_id && membership->pinned &&
        memcmp(network_id, membership->network_id, GV_KEY_LEN) != 0)
        return GV_ERR_NETWORK;
    if ((registry_url && *registry_url) || network_id)
        rc = aim(membership, registry_url, network_id);
    if (rc != GV_OK)
        return rc;
    if (!membership->registry_url)
        return GV_ERR_STATE;
    membership->join = (struct asking){done, context};
    rc = gv_enroll_fetch_descriptor(membership->enroll, on_joined, membership);
    if (rc != GV_OK)
        membership->join = (struct asking){NULL, NULL};
    return rc;
}

int gv_membership_terms(struct gv_membership *membership, gv_enroll_done done, void *context)
{
    return gv_enroll_fetch_terms(membership->enroll, done, context);
}

static void on_requested(void *context, const struct gv_enroll_answer *answer)
{
    struct gv_membership *membership = context;

    if (answer->error == GV_OK && membership->waiting)
        gv_waiting_start(membership->waiting, answer->expires_s);
    answer_to(&membership->request, answer);
}

int gv_membership_request(struct gv_membership *membership, const char *email, const char *terms,
                          const char *invitation, gv_enroll_done done, void *context)
{
    if (membership->request.done)
        return GV_ERR_BUSY;
    membership->request = (struct asking){done, context};
    int rc =
        gv_enroll_request(membership->enroll, email, terms, invitation, on_requested, membership);
    if (rc != GV_OK)
        membership->request = (struct asking){NULL, NULL};
    return rc;
}

static void on_confirmed(void *context, const struct gv_enroll_answer *answer)
{
    struct gv_membership *membership = context;

    if (answer->error == GV_OK && answer->wire_len == GV_CERTIFICATE_LEN) {
        take_certificate(membership, answer->wire);
        keep_up(membership);
        if (membership->waiting)
            gv_waiting_stop(membership->waiting);
    }
    answer_to(&membership->confirm, answer);
}

int gv_membership_confirm(struct gv_membership *membership, const char *code, gv_enroll_done done,
                          void *context)
{
    if (membership->confirm.done)
        return GV_ERR_BUSY;
    membership->confirm = (struct asking){done, context};
    int rc = gv_enroll_confirm(membership->enroll, code, on_confirmed, membership);
    if (rc != GV_OK)
        membership->confirm = (struct asking){NULL, NULL};
    return rc;
}

/* The mesh hears of it from this node, which then is no member any more. */
static void forget_certificate(struct gv_membership *membership, const uint8_t *revocation,
                               size_t len)
{
    char path[4096];

    if (revocation)
        tell_core(membership, GV_RECORD_REVOCATION, revocation, len);
    file_path(path, membership, "certificate");
    if (remove(path) != 0 && errno != ENOENT)
        gv_log(GV_LOG_WARNING, "%s: %s", path, strerror(errno));
    membership->has_certificate = false;
    keep_up(membership);
    gv_log(GV_LOG_NOTICE, "this instance has left the network, for good");
}

static void on_left(void *context, const struct gv_enroll_answer *answer)
{
    struct gv_membership *membership = context;
    struct gv_enroll_answer fine = {.error = GV_OK, .status = answer->status};

    /* Revoked already: the answer to an earlier try was lost. */
    bool left = answer->error == GV_OK || strcmp(answer->word, "revoked") == 0;
    if (left)
        forget_certificate(membership, answer->wire, answer->wire_len);
    answer_to(&membership->leave, left ? &fine : answer);
}

int gv_membership_leave(struct gv_membership *membership, gv_enroll_done done, void *context)
{
    if (membership->leave.done)
        return GV_ERR_BUSY;
    if (!membership->has_certificate)
        return GV_ERR_NO_CERTIFICATE;
    membership->leave = (struct asking){done, context};
    int rc = gv_enroll_leave(membership->enroll, membership->certificate, on_left, membership);
    if (rc != GV_OK)
        membership->leave = (struct asking){NULL, NULL};
    return rc;
}

void gv_membership_status(const struct gv_membership *membership, struct gv_membership_status *out)
{
    *out = membership->status;
    /* Another failure would have been heard of by now. */
    if (out->retry_ms && gv_unix_ms() > out->retry_ms + TROUBLE_STALE_MS)
        memset(out, 0, sizeof *out);
}
