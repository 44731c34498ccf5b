#include "node/registry/enrolment.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/base/json.h"
#include "node/base/log.h"
#include "node/registry/invitation.h"
#include "node/registry/signed_request.h"
#include "node/registry/template.h"

void gv_refuse_internal(struct gv_http_request *request, int error)
{
    if (error == GV_ERR_SIGNER)
        gv_log_limited(GV_LOG_ERROR, "no key of this registry is in force, so nothing can be "
                                     "issued: run grapevine-registry keys --rotate --lead 0s");
    else
        gv_log_limited(GV_LOG_ERROR, "the database does not do as asked: %s", gv_strerror(error));
    gv_http_add_header(request, "Retry-After", "60");
    gv_http_error(request, 503, "unavailable",
                  "the registry has a trouble of its own, try again in a minute");
}

/* ---- what is issued ------------------------------------------------------------------------- */

static uint64_t network_group(const struct gv_http_request *request)
{
    uint8_t address[16];

    gv_http_client_bytes(request, address);
    return gv_registry_group(address);
}

/* Signs `instance->certificate`, whose fields are set. GV_ERR_SIGNER: the descriptor in force does
 * not name our key for now, so nobody would accept the result. */
static int issue(struct gv_registrar *registrar, struct gv_instance *instance)
{
    const uint8_t *secret = registrar->signer->sign_secret;

    if (!gv_descriptor_key(&registrar->descriptor, gv_certificate_signer(secret + 32),
                           instance->certificate.issued_min)) {
        gv_log_limited(GV_LOG_ERROR, "the descriptor does not name our key for today; "
                                     "run: grapevine-registry descriptor");
        return GV_ERR_SIGNER;
    }
    gv_certificate_issue(instance->wire, &instance->certificate, secret,
                         registrar->descriptor.network_id);
    return GV_OK;
}

static void answer_certificate(struct gv_http_request *request, const struct gv_instance *instance)
{
    gv_http_respond_json(request, 200,
                         json_pack("{s:o,s:I}", "certificate",
                                   gv_json_new_base64(instance->wire, GV_CERTIFICATE_LEN),
                                   "expires_minute",
                                   (json_int_t)instance->certificate.expires_min));
}

void gv_refuse_revoked(struct gv_http_request *request)
{
    gv_http_error(request, 403, "revoked",
                  "this instance is revoked for good: to enrol again, stop the daemon, move its "
                  "key file away, start it, enrol anew");
}

/* ---- POST /v1/enroll ------------------------------------------------------------------------ */

struct enrolment { /* waits for the mail server */
    struct gv_registrar *registrar;
    struct gv_http_request *request; /* NULL: ended without us */
    uint8_t owner[GV_ID_LEN];
};

static void on_closed(void *context)
{
    ((struct enrolment *)context)->request = NULL;
}

static void answer_sent(struct gv_registrar *registrar, struct gv_http_request *request)
{
    gv_http_respond_json(request, 202,
                         json_pack("{s:s,s:I}", "status", "code-sent", "expires_in",
                                   (json_int_t)(registrar->settings->code_life_s / 60 * 60)));
}

static void refuse_mail(struct gv_http_request *request, int error)
{
    gv_http_add_header(request, "Retry-After", "60");
    if (error == GV_ERR_FORBIDDEN)
        gv_http_error(request, 502, "mail-refused",
                      "the mail server refuses to send to this address; check it for a typing "
                      "mistake, or use another one");
    else
        gv_http_error(request, 503, "mail",
                      "the code could not be mailed, try again in a minute; if it goes on, tell "
                      "who runs the registry");
}

static void on_mail(void *context, int error, const char *why)
{
    struct enrolment *enrolment = context;
    struct gv_registrar *registrar = enrolment->registrar;

    if (error != GV_OK) {
        gv_log_limited(GV_LOG_WARNING, "a code could not be mailed: %s", why);
        gv_rate_give_back(&registrar->by_email, enrolment->owner);
    }
    if (enrolment->request && error == GV_OK)
        answer_sent(registrar, enrolment->request);
    else if (enrolment->request)
        refuse_mail(enrolment->request, error);
    free(enrolment);
    registrar->mails--;
    gv_registrar_release(registrar);
}

void gv_link_hash(uint8_t out[GV_HASH_LEN], const struct gv_registrar *registrar,
                  const uint8_t token[GV_LINK_LEN])
{
    gv_hmac(out, registrar->owner_secret, GV_SECRET_LEN, "grapevine link 1", token, GV_LINK_LEN);
}

static int send_code(struct gv_registrar *registrar, const struct gv_batch_item *item)
{
    char link[GV_HOST_MAX + 64], token[2 * GV_LINK_LEN + 1], id[2 * GV_ID_LEN + 1], minutes[24];
    const struct gv_mail_words words = {.network = registrar->descriptor.name,
                                        .code = item->code,
                                        .minutes = minutes,
                                        .instance = id,
                                        .link = link};
    struct gv_text why = {"out of memory"};
    struct gv_buf mail;
    size_t body_at;
    struct enrolment *enrolment = calloc(1, sizeof *enrolment);

    if (!enrolment)
        return GV_ERR_MEMORY;
    gv_buf_init(&mail);
    enrolment->registrar = registrar;
    enrolment->request = item->request;
    memcpy(enrolment->owner, item->pending.owner, GV_ID_LEN);
    gv_hex(token, item->token, GV_LINK_LEN);
    gv_hex(id, item->id, GV_ID_LEN);
    snprintf(link, sizeof link, "%s" GV_LINK_PATH "%s", registrar->descriptor.registry_url, token);
    snprintf(minutes, sizeof minutes, "%lld", (long long)registrar->settings->code_life_s / 60);
    int rc = gv_template_fill(&mail, &body_at, registrar->settings->mail_template, &words, &why);
    if (rc != GV_OK) /* it was good at the start */
        gv_log_limited(GV_LOG_ERROR, "[mail] template: %s", why.text);
    else
        rc = gv_mail_send(registrar->mailer, item->pending.email, (const char *)mail.data,
                          (const char *)mail.data + body_at, on_mail, enrolment);
    if (mail.data)
        gv_wipe(mail.data, mail.cap);
    gv_buf_free(&mail);
    gv_wipe(link, sizeof link);
    if (rc != GV_OK) {
        free(enrolment);
        return rc;
    }
    registrar->mails++;
    gv_http_on_closed(item->request, on_closed, enrolment);
    return GV_OK;
}

/* Limits per address and per domain. They count requests, not registrations: what they answer
 * says nothing about whether an address is known here. */
static bool email_allowed(struct gv_registrar *registrar, struct gv_http_request *request,
                          const struct gv_pending *pending)
{
    uint32_t wait = 0;

    if (gv_rate_take(&registrar->by_email, pending->owner,
                     (uint32_t)registrar->settings->enroll_per_email_hour,
                     gv_registrar_now_min(registrar), &wait))
        return true;
    gv_refuse_rate(request, "rate-email", "this email address", wait);
    return false;
}

void gv_domain_tag(uint8_t out[GV_ID_LEN], const uint8_t secret[GV_SECRET_LEN], const char *name)
{
    uint8_t full[GV_HASH_LEN];

    gv_hmac(full, secret, GV_SECRET_LEN, "grapevine domain 1", (const uint8_t *)name, strlen(name));
    memcpy(out, full, GV_ID_LEN);
}

/* Within the transaction, so that all processes count together, and over a restart. GV_ERR_RATE:
 * answered. */
static int take_domain(struct gv_registrar *registrar, struct gv_http_request *request,
                       const char *email)
{
    const char *name = gv_email_domain(email);
    int64_t limit = registrar->settings->enroll_per_domain_day;
    struct gv_domain_day day;
    uint8_t tag[GV_ID_LEN];

    gv_domain_tag(tag, registrar->owner_secret, name);
    int rc = gv_records_domain_take(registrar->records, &day, name, tag,
                                    gv_registrar_now_min(registrar));
    if (rc != GV_OK)
        return rc;
    if (day.codes <= (day.allowed >= 0 ? day.allowed : limit))
        return GV_OK;
    gv_refuse_rate(request, "rate-domain", "this email domain", day.wait_min);
    return GV_ERR_RATE;
}

/* No code has gone out: who comes back when there is room, as he is told, has not asked too often.
 */
static void refuse_enrolment(struct gv_registrar *registrar, struct gv_http_request *request,
                             const uint8_t owner[GV_ID_LEN], int error)
{
    gv_rate_give_back(&registrar->by_email, owner);
    if (error == GV_ERR_FULL || error == GV_ERR_BUSY) {
        gv_http_add_header(request, "Retry-After", "300");
        gv_http_error(request, 503, "busy", "too many codes are out, try again in some minutes");
    } else {
        gv_refuse_internal(request, error);
    }
}

/* The code is on disk: now it may be mailed. */
static void on_stored(struct gv_registrar *registrar, struct gv_batch_item *item, int rc)
{
    if (rc == GV_OK)
        rc = send_code(registrar, item);
    if (rc != GV_OK)
        refuse_enrolment(registrar, item->request, item->pending.owner, rc);
}

static int store_code(struct gv_registrar *registrar, struct gv_http_request *request,
                      const uint8_t key[GV_KEY_LEN], const struct gv_pending *pending)
{
    int rc = gv_batch_enter(registrar);

    if (rc != GV_OK)
        return rc;
    rc = take_domain(registrar, request, pending->email);
    if (rc == GV_OK)
        rc = gv_records_put_pending(registrar->records, key, pending,
                                    gv_registrar_now_min(registrar));
    if (rc != GV_OK && rc != GV_ERR_FULL && rc != GV_ERR_RATE)
        gv_batch_spoil(registrar, rc);
    return rc;
}

static void start_enrolment(struct gv_registrar *registrar, struct gv_http_request *request,
                            const struct gv_signed_request *asked, struct gv_pending *pending)
{
    char code[GV_CODE_LEN + 2];
    uint8_t random[GV_CODE_RANDOM], token[GV_LINK_LEN];
    uint32_t now = gv_registrar_now_min(registrar);
    struct gv_batch_item *item = NULL;

    randombytes_buf(random, sizeof random);
    gv_code_text(code, random);
    randombytes_buf(token, sizeof token);
    gv_link_hash(pending->link, registrar, token);
    pending->accepted_min = now;
    snprintf(pending->terms, sizeof pending->terms, "%s", asked->proof.terms);
    int rc = gv_code_make(&pending->code, registrar->owner_secret, code, asked->proof.key,
                          now + (uint32_t)(registrar->settings->code_life_s / 60));
    if (rc == GV_OK)
        rc = store_code(registrar, request, asked->proof.key, pending);
    if (rc == GV_OK && !(item = gv_batch_wait(registrar, request, on_stored)))
        rc = GV_ERR_MEMORY;
    if (item) {
        item->pending = *pending;
        memcpy(item->id, asked->instance, GV_ID_LEN);
        memcpy(item->code, code, sizeof item->code);
        memcpy(item->token, token, sizeof item->token);
    }
    gv_wipe(code, sizeof code);
    gv_wipe(token, sizeof token);
    gv_wipe(random, sizeof random);
    if (rc != GV_OK && rc != GV_ERR_RATE) /* that is answered */
        refuse_enrolment(registrar, request, pending->owner, rc);
}

void gv_enroll_handle(struct gv_registrar *registrar, struct gv_http_request *request)
{
    struct gv_signed_request asked;
    struct gv_pending pending;
    const char *invitation = NULL;

    memset(&pending, 0, sizeof pending);
    gv_registrar_refresh(registrar);
    if (!gv_signed_request_open(&asked, registrar, request, GV_PROOF_ENROLL))
        goto out;
    if (gv_email_normalise(pending.email, asked.proof.email, strlen(asked.proof.email)) != GV_OK) {
        gv_http_error(
            request, 400, "email",
            "that is not an email address: write it like name@example.org, without quotes "
            "or blanks");
        goto out;
    }
    if (strcmp(asked.proof.terms, registrar->descriptor.terms) != 0) {
        gv_http_error(request, 409, "terms",
                      "the terms in force are version %s: read them at /v1/terms and accept that "
                      "version",
                      registrar->descriptor.terms);
        goto out;
    }
    gv_owner_tag(pending.owner, registrar->owner_secret, pending.email);
    (void)gv_json_string(&invitation, asked.json, "invitation", GV_INVITATION_TEXT_MAX, NULL);
    if (!gv_invitation_admits(registrar, request, invitation, pending.owner, asked.proof.key))
        goto out;
    if (email_allowed(registrar, request, &pending))
        start_enrolment(registrar, request, &asked, &pending);
out:
    gv_wipe(&pending, sizeof pending);
    gv_signed_request_close(&asked);
}

/* ---- POST /v1/confirm ----------------------------------------------------------------------- */

static void refuse_code(struct gv_http_request *request, int error, uint32_t left)
{
    if (error == GV_ERR_FORBIDDEN)
        gv_http_error(request, 403, "code",
                      "wrong code, %u more tries: enter it as it stands in the newest mail", left);
    else if (error == GV_ERR_RATE)
        gv_http_error(request, 429, "tries",
                      "this code was tried too often; ask for a new one: grapevine enroll");
    else
        gv_http_error(request, 410, "expired",
                      "no code is out for this key, or it has expired; ask for a new one: "
                      "grapevine enroll");
}

/* No code: the node asks whether somebody pressed the button behind the link. GV_OK, or answered.
 */
static int check_link(struct gv_registrar *registrar, struct gv_http_request *request,
                      const struct gv_pending *pending)
{
    if (pending->code.expires_min <= gv_registrar_now_min(registrar)) {
        refuse_code(request, GV_ERR_EXPIRED, 0);
        return GV_ERR_EXPIRED;
    }
    if (pending->approved)
        return GV_OK;
    gv_http_error(request, 409, "waiting",
                  "nobody has confirmed it yet: open the link in the mail, or enter its code");
    return GV_ERR_STATE;
}

/* GV_OK, or answered. A wrong try is on disk before it is answered. */
static int check_code(struct gv_registrar *registrar, struct gv_http_request *request,
                      const struct gv_signed_request *asked, struct gv_pending *pending)
{
    const uint8_t *key = asked->proof.key;
    int rc = gv_records_pending(registrar->records, pending, key);

    if (rc == GV_ERR_NOT_FOUND) {
        refuse_code(request, GV_ERR_EXPIRED, 0);
        return rc;
    }
    if (rc != GV_OK) {
        gv_refuse_internal(request, rc);
        return rc;
    }
    if (!*asked->proof.code)
        return check_link(registrar, request, pending);
    rc = gv_code_check(&pending->code, registrar->owner_secret, asked->proof.code, key,
                       gv_registrar_now_min(registrar));
    if (rc == GV_OK)
        return GV_OK;
    gv_batch_flush(registrar); /* a wrong try does not wait */
    int stored = rc == GV_ERR_FORBIDDEN
                     ? gv_records_set_tries(registrar->records, key, pending->code.tries)
                     : GV_OK;
    if (stored == GV_OK)
        refuse_code(request, rc, GV_CODE_TRIES - pending->code.tries);
    else
        gv_refuse_internal(request, stored);
    return rc;
}

static void refuse_admission(struct gv_http_request *request, int error)
{
    if (error == GV_ERR_REVOKED)
        gv_refuse_revoked(request);
    else if (error == GV_ERR_DUPLICATE)
        gv_http_error(request, 409, "key-taken",
                      "this key is enrolled with another email address; use that one, or a new "
                      "key");
    else if (error == GV_ERR_FULL)
        gv_http_error(request, 403, "limit",
                      "this email address has all its instances already; end one of them first "
                      "(grapevine leave), or ask who runs the registry for more");
    else
        gv_refuse_internal(request, error);
}

/* Now, and not before the newest head of the log, which covers all that was issued until then. */
static uint32_t issue_minute(const struct gv_registrar *registrar)
{
    uint32_t now = gv_registrar_now_min(registrar);
    uint32_t head = gv_logs_head_minute(&registrar->logs, registrar->rules.signer);

    return now > head ? now : head;
}

/* Within a transaction: what is read here is still so when it is written. */
static int admit_instance(struct gv_registrar *registrar, const struct gv_http_request *request,
                          const struct gv_signed_request *asked, const struct gv_pending *pending,
                          struct gv_instance *out)
{
    struct gv_registry_rules rules = registrar->rules;
    struct gv_admission known;
    uint64_t placement;
    int rc = gv_records_admission(registrar->records, &known, pending->owner, asked->instance);

    if (rc != GV_OK)
        return rc;
    if (known.allowed >= 0)
        rules.instances_per_owner = (uint32_t)known.allowed;
    memset(out, 0, sizeof *out);
    randombytes_buf(&placement, sizeof placement);
    rc = gv_registry_admit(&out->certificate, &rules, asked->proof.key, pending->owner, placement,
                           network_group(request), issue_minute(registrar),
                           known.known ? &known.held.certificate : NULL,
                           known.known && known.held.revoked, known.count);
    if (rc == GV_OK)
        rc = issue(registrar, out);
    if (rc != GV_OK)
        return rc;
    rc = gv_records_admit(registrar->records, out, pending);
    if (rc == GV_OK && registrar->settings->enrolment == GV_ENROLMENT_INVITED)
        rc = gv_records_bind_invitation(registrar->records, asked->proof.key, pending->owner);
    if (rc != GV_OK)
        gv_batch_spoil(registrar, rc);
    return rc == GV_OK ? GV_OK : GV_ERR_IO;
}

/* The certificate is on disk, and in the log: now it may be given out. */
static void on_issued(struct gv_registrar *registrar, struct gv_batch_item *item, int rc)
{
    (void)registrar;
    if (rc == GV_OK)
        answer_certificate(item->request, &item->instance);
    else
        gv_refuse_internal(item->request, rc);
}

static int answer_later(struct gv_registrar *registrar, struct gv_http_request *request,
                        const struct gv_instance *instance)
{
    struct gv_batch_item *item = gv_batch_wait(registrar, request, on_issued);

    if (!item)
        return GV_ERR_MEMORY;
    item->instance = *instance;
    return GV_OK;
}

void gv_confirm_handle(struct gv_registrar *registrar, struct gv_http_request *request)
{
    struct gv_signed_request asked;
    struct gv_pending pending;
    struct gv_instance instance;

    memset(&pending, 0, sizeof pending);
    gv_registrar_refresh(registrar);
    if (!gv_signed_request_open(&asked, registrar, request, GV_PROOF_CONFIRM))
        goto out;
    /* Asking without a code guesses nothing. */
    if (*asked.proof.code && !gv_client_allowed(registrar, request, &registrar->confirm_by_client,
                                                registrar->settings->confirm_per_client_hour))
        goto out;
    if (check_code(registrar, request, &asked, &pending) != GV_OK)
        goto out;
    int rc = gv_batch_enter(registrar);
    if (rc == GV_OK)
        rc = admit_instance(registrar, request, &asked, &pending, &instance);
    if (rc == GV_OK)
        rc = answer_later(registrar, request, &instance);
    if (rc != GV_OK)
        refuse_admission(request, rc);
out:
    gv_wipe(&pending, sizeof pending);
    gv_signed_request_close(&asked);
}

/* ---- POST /v1/renew ------------------------------------------------------------------------- */

static void refuse_renewal(struct gv_http_request *request, int error)
{
    if (error == GV_ERR_NOT_FOUND)
        gv_http_error(request, 404, "unknown",
                      "no instance with this key is enrolled here: grapevine enroll");
    else if (error == GV_ERR_REVOKED)
        gv_refuse_revoked(request);
    else if (error == GV_ERR_EARLY)
        gv_http_error(request, 409, "early",
                      "a certificate is renewed from half of its life on, not before");
    else if (error == GV_ERR_EXPIRED)
        gv_http_error(request, 410, "expired",
                      "the certificate ended too long ago; enrol again: grapevine enroll");
    else
        gv_refuse_internal(request, error);
}

static int renew_instance(struct gv_registrar *registrar, const struct gv_http_request *request,
                          const struct gv_signed_request *asked, struct gv_instance *instance)
{
    struct gv_certificate fresh;
    int rc = gv_records_instance(registrar->records, instance, asked->instance);

    if (rc != GV_OK)
        return rc;
    rc = gv_registry_renew(&fresh, &registrar->rules, network_group(request),
                           issue_minute(registrar), &instance->certificate, instance->revoked);
    /* He holds an older one: our last answer was lost on its way. It is given once more, or he
     * would have to wait for the half life of a certificate that he never saw. */
    if (rc == GV_ERR_EARLY &&
        memcmp(asked->proof.certificate, instance->certificate.id, GV_ID_LEN) != 0)
        return GV_OK;
    if (rc != GV_OK)
        return rc;
    instance->certificate = fresh;
    rc = issue(registrar, instance);
    if (rc != GV_OK)
        return rc;
    rc = gv_records_renew(registrar->records, instance);
    if (rc != GV_OK)
        gv_batch_spoil(registrar, rc);
    return rc == GV_OK ? GV_OK : GV_ERR_IO;
}

void gv_renew_handle(struct gv_registrar *registrar, struct gv_http_request *request)
{
    struct gv_signed_request asked;
    struct gv_instance instance;

    gv_registrar_refresh(registrar);
    if (gv_signed_request_open(&asked, registrar, request, GV_PROOF_RENEW)) {
        int rc = gv_batch_enter(registrar);
        if (rc == GV_OK)
            rc = renew_instance(registrar, request, &asked, &instance);
        if (rc == GV_OK)
            rc = answer_later(registrar, request, &instance);
        if (rc != GV_OK)
            refuse_renewal(request, rc);
    }
    gv_signed_request_close(&asked);
}
