/* How an owner ends his registration himself (SPEC 14.4): from the machine, with the instance's
 * key; and without it, by a link in a mail. What is asked says nothing about whether an address is
 * known. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/base/json.h"
#include "node/base/log.h"
#include "node/registry/enrolment.h"
#include "node/registry/signed_request.h"
#include "node/registry/template.h"

#define ASKED_MAX 1000 /* forms that wait for their second, and mails under way */

/* ---- ending it ------------------------------------------------------------------------------ */

/* Signs and stores a revocation by the owner; GV_ERR_DUPLICATE: there is one. */
static int revoke_by_owner(struct gv_registrar *registrar, struct gv_buf *wire,
                           const uint8_t instance[GV_ID_LEN])
{
    struct gv_revocation revocation = {.revoked_min = gv_registrar_now_min(registrar),
                                       .reason = GV_REVOKED_BY_OWNER};

    memcpy(revocation.instance, instance, GV_ID_LEN);
    if (!gv_descriptor_key(&registrar->descriptor,
                           gv_certificate_signer(registrar->signer->sign_public),
                           revocation.revoked_min))
        return GV_ERR_SIGNER;
    int rc = gv_revocation_issue(wire, &revocation, registrar->signer->sign_secret,
                                 registrar->descriptor.network_id);
    return rc == GV_OK ? gv_records_revoke(registrar->records, &revocation, wire->data, wire->len)
                       : rc;
}

static int end_all(struct gv_registrar *registrar, const uint8_t owner[GV_ID_LEN], size_t *count)
{
    uint8_t(*ids)[GV_ID_LEN] = calloc(GV_INSTANCES_MAX, sizeof *ids);
    struct gv_buf wire;

    *count = 0;
    int rc = ids ? gv_records_of_owner(registrar->records, ids, GV_INSTANCES_MAX, count, owner)
                 : GV_ERR_MEMORY;
    for (size_t i = 0; rc == GV_OK && i < *count; i++) {
        gv_buf_init(&wire);
        rc = revoke_by_owner(registrar, &wire, ids[i]);
        if (rc == GV_ERR_DUPLICATE) /* in the meantime */
            rc = GV_OK;
        gv_buf_free(&wire);
    }
    free(ids);
    return rc == GV_OK ? gv_records_forget(registrar->records, owner) : rc;
}

/* ---- POST /v1/leave ------------------------------------------------------------------------- */

void gv_leave_handle(struct gv_registrar *registrar, struct gv_http_request *request)
{
    struct gv_signed_request asked;
    struct gv_instance held;
    struct gv_buf wire;
    int rc = GV_OK;

    gv_buf_init(&wire);
    gv_registrar_refresh(registrar);
    if (!gv_signed_request_open(&asked, registrar, request, GV_PROOF_LEAVE))
        goto out;
    rc = gv_records_instance(registrar->records, &held, asked.instance);
    if (rc == GV_OK)
        rc = revoke_by_owner(registrar, &wire, asked.instance);
    if (rc == GV_OK)
        gv_http_respond_json(
            request, 200,
            json_pack("{s:o}", "revocation", gv_json_new_base64(wire.data, wire.len)));
    else if (rc == GV_ERR_NOT_FOUND)
        gv_http_error(request, 404, "unknown", "no instance with this key is enrolled here");
    else if (rc == GV_ERR_DUPLICATE)
        gv_refuse_revoked(request);
    else
        gv_refuse_internal(request, rc);
out:
    gv_buf_free(&wire);
    gv_signed_request_close(&asked);
}

/* ---- by mail -------------------------------------------------------------------------------- */

static void on_mail(void *context, int error, const char *why)
{
    struct gv_registrar *registrar = context;

    if (error != GV_OK)
        gv_log_limited(GV_LOG_WARNING, "a link for leaving could not be mailed: %s", why);
    registrar->mails--;
    gv_registrar_release(registrar);
}

static int send_link(struct gv_registrar *registrar, const char *email, const char *link)
{
    char minutes[24];
    const struct gv_mail_words words = {
        .network = registrar->descriptor.name, .minutes = minutes, .link = link};
    struct gv_text why = {"out of memory"};
    struct gv_buf mail;
    size_t body_at;

    gv_buf_init(&mail);
    snprintf(minutes, sizeof minutes, "%lld", (long long)registrar->settings->code_life_s / 60);
    int rc =
        gv_template_fill(&mail, &body_at, registrar->settings->mail_leave_template, &words, &why);
    if (rc != GV_OK) /* it was good at the start */
        gv_log_limited(GV_LOG_ERROR, "[mail] leave_template: %s", why.text);
    else
        rc = gv_mail_send(registrar->mailer, email, (const char *)mail.data,
                          (const char *)mail.data + body_at, on_mail, registrar);
    registrar->mails += rc == GV_OK;
    if (mail.data)
        gv_wipe(mail.data, mail.cap);
    gv_buf_free(&mail);
    return rc;
}

static void leave_hash(uint8_t out[GV_HASH_LEN], const struct gv_registrar *registrar,
                       const uint8_t token[GV_LINK_LEN])
{
    gv_hmac(out, registrar->owner_secret, GV_SECRET_LEN, "grapevine leave link 1", token,
            GV_LINK_LEN);
}

/* The same writes whether the address is held or not: who asks something else meanwhile waits as
 * long. */
static int store_link(struct gv_registrar *registrar, bool *known, const uint8_t hash[GV_HASH_LEN],
                      const uint8_t owner[GV_ID_LEN])
{
    struct gv_records *records = registrar->records;
    uint32_t now = gv_registrar_now_min(registrar);
    int rc = gv_records_begin(records);

    if (rc != GV_OK)
        return rc;
    rc = gv_records_knows_owner(records, known, owner);
    if (rc == GV_OK)
        rc = gv_records_leaving_put(records, hash, owner,
                                    now + (uint32_t)(registrar->settings->code_life_s / 60), now);
    if (rc == GV_OK && !*known)
        rc = gv_records_leaving_drop(records, hash);
    return gv_records_finish(records, rc);
}

/* Stores a link and mails it, if the address is held. */
static int mail_link(struct gv_registrar *registrar, const char *email,
                     const uint8_t owner[GV_ID_LEN])
{
    char link[GV_HOST_MAX + 64], hex[2 * GV_LINK_LEN + 1];
    uint8_t token[GV_LINK_LEN], hash[GV_HASH_LEN];
    bool known = false;

    randombytes_buf(token, sizeof token);
    leave_hash(hash, registrar, token);
    int rc = store_link(registrar, &known, hash, owner);
    gv_hex(hex, token, sizeof token);
    snprintf(link, sizeof link, "%s" GV_LEAVE_PATH "/%s", registrar->descriptor.registry_url, hex);
    if (rc == GV_OK && known)
        rc = send_link(registrar, email, link);
    gv_wipe(link, sizeof link);
    gv_wipe(hex, sizeof hex);
    gv_wipe(token, sizeof token);
    return rc;
}

/* ---- asked for by a form --------------------------------------------------------------------- */

/* What is done about it begins after the answer has gone out, some time within a second: neither
 * the answer nor what comes after it takes longer for an address that is held. */
struct asked {
    uv_timer_t timer;
    struct gv_registrar *registrar;
    char email[GV_EMAIL_MAX + 1]; /* normalised */
    uint8_t owner[GV_ID_LEN];
};

static void on_asked_closed(uv_handle_t *handle)
{
    struct asked *asked = handle->data;
    struct gv_registrar *registrar = asked->registrar;

    gv_wipe(asked, sizeof *asked);
    free(asked);
    registrar->mails--;
    gv_registrar_release(registrar);
}

static void on_asked(uv_timer_t *timer)
{
    struct asked *asked = timer->data;

    gv_batch_flush(asked->registrar);
    int rc = mail_link(asked->registrar, asked->email, asked->owner);
    if (rc != GV_OK)
        gv_log_limited(GV_LOG_WARNING, "a link for leaving could not be mailed: %s",
                       gv_strerror(rc));
    uv_close((uv_handle_t *)timer, on_asked_closed);
}

static int mail_link_later(struct gv_registrar *registrar, const char *email,
                           const uint8_t owner[GV_ID_LEN])
{
    struct asked *asked = registrar->mails < ASKED_MAX ? calloc(1, sizeof *asked) : NULL;

    if (!asked)
        return registrar->mails < ASKED_MAX ? GV_ERR_MEMORY : GV_ERR_BUSY;
    asked->registrar = registrar;
    snprintf(asked->email, sizeof asked->email, "%s", email);
    memcpy(asked->owner, owner, GV_ID_LEN);
    uv_timer_init(registrar->loop, &asked->timer);
    asked->timer.data = asked;
    uv_timer_start(&asked->timer, on_asked, 1 + randombytes_uniform(1000), 0);
    registrar->mails++;
    return GV_OK;
}

/* The value of `email` in a form's body; false: none, or too long. */
static bool read_form(char out[GV_EMAIL_MAX + 1], const uint8_t *body, size_t len)
{
    static const char name[] = "email=";
    size_t n = 0;

    if (len < sizeof name - 1 || memcmp(body, name, sizeof name - 1) != 0)
        return false;
    for (size_t i = sizeof name - 1; i < len && body[i] != '&'; i++) {
        uint8_t byte = body[i];
        char digits[3] = "";
        if (byte == '%') {
            if (len - i < 3)
                return false;
            memcpy(digits, body + i + 1, 2);
            if (gv_unhex(&byte, 1, digits) != GV_OK)
                return false;
            i += 2;
        } else if (byte == '+') {
            byte = ' ';
        }
        if (n == GV_EMAIL_MAX || !byte)
            return false;
        out[n++] = (char)byte;
    }
    out[n] = '\0';
    return true;
}

/* ---- pages ---------------------------------------------------------------------------------- */

static void page(struct gv_http_request *request, unsigned status, const char *title,
                 const char *text)
{
    char html[2048];

    snprintf(html, sizeof html, "%s<title>%s</title>\n<h1>%s</h1>\n%s", gv_page_head, title, title,
             text);
    gv_page_answer(request, status, html);
}

static void show_form(struct gv_http_request *request)
{
    page(
        request, 200, "Leave this mesh",
        "<p>From the mail server itself, <code>grapevine leave</code> does it at once. Without it: "
        "give the email address that your servers are enrolled with. If it is known here, a mail "
        "comes with a link that ends it.</p>\n"
        "<form method=\"post\" action=\"" GV_LEAVE_PATH "\"><label>Email address "
        "<input type=\"email\" name=\"email\" required></label> "
        "<button type=\"submit\">Send me the link</button></form>\n");
}

static void ask_for_link(struct gv_registrar *registrar, struct gv_http_request *request)
{
    char typed[GV_EMAIL_MAX + 1], email[GV_EMAIL_MAX + 1];
    uint8_t owner[GV_ID_LEN];
    uint32_t wait = 0;
    size_t len;
    const uint8_t *body = gv_http_body(request, &len);

    if (!gv_client_allowed(registrar, request, &registrar->enroll_by_client,
                           registrar->settings->enroll_per_client_hour))
        return;
    if (!read_form(typed, body, len) || gv_email_normalise(email, typed, strlen(typed)) != GV_OK) {
        page(request, 400, "That is not an email address",
             "<p>Write it like name@example.org, as you did when you enrolled.</p>\n");
        return;
    }
    gv_owner_tag(owner, registrar->owner_secret, email);
    if (!gv_rate_take(&registrar->by_email, owner,
                      (uint32_t)registrar->settings->enroll_per_email_hour,
                      gv_registrar_now_min(registrar), &wait)) {
        gv_refuse_rate(request, "rate-email", "this email address", wait);
        return;
    }
    int rc = mail_link_later(registrar, email, owner);
    if (rc != GV_OK)
        gv_log_limited(GV_LOG_WARNING, "a link for leaving could not be mailed: %s",
                       gv_strerror(rc));
    gv_wipe(typed, sizeof typed);
    gv_wipe(email, sizeof email);
    page(request, 200, "A mail is on its way",
         "<p>If that address is known here. Open the link in it and press the button.</p>\n");
}

/* GV_ERR_NOT_FOUND: no such link, used, too old. */
static int find(struct gv_registrar *registrar, const struct gv_http_request *request,
                uint8_t owner[GV_ID_LEN])
{
    const char *path = gv_http_path(request);
    size_t prefix = strlen(GV_LEAVE_PATH "/");
    uint8_t token[GV_LINK_LEN], hash[GV_HASH_LEN];

    if (strlen(path) != prefix + 2 * GV_LINK_LEN ||
        gv_unhex(token, sizeof token, path + prefix) != GV_OK)
        return GV_ERR_NOT_FOUND;
    leave_hash(hash, registrar, token);
    return gv_records_leaving(registrar->records, owner, hash, gv_registrar_now_min(registrar));
}

static void show_gone(struct gv_http_request *request)
{
    page(request, 404, "This link is not good any more",
         "<p>It was used, or is too old. <a href=\"" GV_LEAVE_PATH "\">Ask for another</a>.</p>\n");
}

void gv_leave_show(struct gv_registrar *registrar, struct gv_http_request *request)
{
    uint8_t owner[GV_ID_LEN], ids[10][GV_ID_LEN];
    char id[2 * GV_ID_LEN + 1], text[1600];
    size_t count = 0, used = 0;

    if (strcmp(gv_http_path(request), GV_LEAVE_PATH) == 0) {
        show_form(request);
        return;
    }
    int rc = find(registrar, request, owner);
    if (rc == GV_OK)
        rc = gv_records_of_owner(registrar->records, ids, sizeof ids / sizeof *ids, &count, owner);
    if (rc == GV_ERR_NOT_FOUND) {
        show_gone(request);
        return;
    }
    if (rc != GV_OK) {
        gv_refuse_internal(request, rc);
        return;
    }
    used = (size_t)snprintf(text, sizeof text,
                            "<p>These instances of yours are then revoked for good, and your email "
                            "address is erased:</p>\n<ul>\n");
    for (size_t i = 0; i < count; i++) {
        gv_hex(id, ids[i], GV_ID_LEN);
        used += (size_t)snprintf(text + used, sizeof text - used, "<li><code>%s</code>\n", id);
    }
    snprintf(
        text + used, sizeof text - used,
        "%s</ul>\n<form method=\"post\"><button type=\"submit\">End my registration</button>"
        "</form>\n<p>If you did not ask for this, close this page. Then nothing happens.</p>\n",
        count == sizeof ids / sizeof *ids ? "<li>and all others\n" : "");
    page(request, 200, "Leave this mesh?", text);
}

void gv_leave_post(struct gv_registrar *registrar, struct gv_http_request *request)
{
    uint8_t owner[GV_ID_LEN];
    char text[256];
    size_t count = 0;

    if (strcmp(gv_http_path(request), GV_LEAVE_PATH) == 0) {
        ask_for_link(registrar, request);
        return;
    }
    gv_registrar_refresh(registrar);
    int rc = find(registrar, request, owner);
    if (rc == GV_OK)
        rc = end_all(registrar, owner, &count);
    if (rc == GV_ERR_NOT_FOUND) {
        show_gone(request);
    } else if (rc != GV_OK) {
        gv_refuse_internal(request, rc);
    } else {
        snprintf(text, sizeof text,
                 "<p>%zu instance%s revoked, and your email address is erased here.</p>\n", count,
                 count == 1 ? " is" : "s are");
        page(request, 200, "You have left", text);
    }
}
