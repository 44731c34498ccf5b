#include "node/serve/alert_mail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/base/log.h"
#include "node/base/mail.h"
#include "node/base/rfc3339.h"

struct letter {
    struct gv_alert_mail *owner; /* NULL: it has stopped, and the letter is under way alone */
    struct letter *next;         /* a later one */
    uint64_t due_ms;             /* of the loop's clock; not while it is under way */
    unsigned tries;
    bool under_way;
    char subject[400], body[1000];
};

struct gv_alert_mail {
    uv_loop_t *loop;
    uv_timer_t timer;         /* for the first that is due */
    struct gv_mailer *mailer; /* NULL: nobody asked for mail */
    struct letter *letters;   /* the oldest first */
    char to[256];
    struct gv_text error; /* of the last letter; "": it was taken */
};

static int take_options(struct gv_alert_mail *mail, const struct gv_options *options,
                        struct gv_text *error)
{
    const char *to = options->alert_mail;

    gv_mailer_free(mail->mailer);
    mail->mailer = NULL;
    if (!to || !*to)
        return GV_OK;
    snprintf(mail->to, sizeof mail->to, "%s", to);
    return gv_mailer_new(
        &mail->mailer, mail->loop,
        &(struct gv_mail_settings){.url = options->alert_smtp,
                                   .name = "grapevine",
                                   .from = to,
                                   .starttls = gv_mail_url_is_local(options->alert_smtp)
                                                   ? GV_STARTTLS_NO
                                                   : GV_STARTTLS_REQUIRED,
                                   .timeout_s = options->hook_timeout_s},
        error);
}

int gv_alert_mail_start(struct gv_alert_mail **out, uv_loop_t *loop,
                        const struct gv_options *options, struct gv_text *error)
{
    struct gv_alert_mail *mail = calloc(1, sizeof *mail);

    *out = NULL;
    if (!mail)
        return gv_fail(error, GV_ERR_MEMORY, "out of memory");
    mail->loop = loop;
    int rc = take_options(mail, options, error);
    if (rc != GV_OK) {
        gv_mailer_free(mail->mailer);
        free(mail);
        return rc;
    }
    uv_timer_init(loop, &mail->timer);
    mail->timer.data = mail;
    uv_unref((uv_handle_t *)&mail->timer);
    *out = mail;
    return GV_OK;
}

void gv_alert_mail_configure(struct gv_alert_mail *mail, const struct gv_options *options)
{
    struct gv_text why = {""};

    if (!mail)
        return;
    if (take_options(mail, options, &why) != GV_OK)
        gv_log(GV_LOG_ERROR, "alerts are not mailed: %s", why.text);
    gv_alert_mail_retry(mail); /* perhaps it was this that was wrong */
}

/* ---- letters -------------------------------------------------------------------------------- */

#define MINUTE_MS 60000u

/* After 1, 5 and 15 minutes, and then once an hour for a day: an alert of yesterday is no news. */
uint64_t gv_alert_mail_wait_ms(unsigned tries)
{
    static const uint8_t first[] = {1, 5, 15};

    if (tries <= sizeof first)
        return (uint64_t)first[tries - 1] * MINUTE_MS;
    return tries < 27 ? (uint64_t)60 * MINUTE_MS : 0;
}

static void drop(struct letter *letter)
{
    struct gv_alert_mail *mail = letter->owner;

    for (struct letter **at = mail ? &mail->letters : NULL; at && *at; at = &(*at)->next)
        if (*at == letter) {
            *at = letter->next;
            break;
        }
    free(letter);
}

static void try_due(struct gv_alert_mail *mail);

static void on_timer(uv_timer_t *timer)
{
    try_due(timer->data);
}

static void arm(struct gv_alert_mail *mail)
{
    uint64_t now = uv_now(mail->loop), due = UINT64_MAX;

    for (const struct letter *l = mail->letters; l; l = l->next)
        if (!l->under_way && l->due_ms < due)
            due = l->due_ms;
    if (due == UINT64_MAX)
        uv_timer_stop(&mail->timer);
    else
        uv_timer_start(&mail->timer, on_timer, due > now ? due - now : 0, 0);
}

/* GV_ERR_FORBIDDEN: the server does not want this one, and would not the next time either. */
static void failed(struct letter *letter, int error, const char *why)
{
    uint64_t wait = error == GV_ERR_FORBIDDEN ? 0 : gv_alert_mail_wait_ms(++letter->tries);

    if (!*why)
        why = gv_strerror(error);
    if (letter->owner)
        gv_fail(&letter->owner->error, error, "%s", why);
    if (!letter->owner || wait == 0) {
        gv_log(GV_LOG_WARNING, "an alert could not be mailed, and is not tried again: %s", why);
        drop(letter);
        return;
    }
    gv_log(GV_LOG_WARNING, "an alert could not be mailed (%s); it is tried again in %u minutes",
           why, (unsigned)(wait / MINUTE_MS));
    letter->due_ms = uv_now(letter->owner->loop) + wait;
}

static void on_sent(void *context, int error, const char *why)
{
    struct letter *letter = context;
    struct gv_alert_mail *mail = letter->owner;

    letter->under_way = false;
    if (error == GV_OK && mail)
        mail->error.text[0] = '\0';
    if (error == GV_OK)
        drop(letter);
    else
        failed(letter, error, why);
    if (mail)
        arm(mail);
}

static void try_due(struct gv_alert_mail *mail)
{
    uint64_t now = uv_now(mail->loop);
    struct letter *next;

    for (struct letter *l = mail->letters; l; l = next) {
        next = l->next;
        if (l->under_way || l->due_ms > now)
            continue;
        if (!mail->mailer) { /* nobody wants them any more */
            drop(l);
            continue;
        }
        l->under_way = true;
        int rc = gv_mail_send(mail->mailer, mail->to, l->subject, l->body, on_sent, l);
        if (rc == GV_OK)
            continue;
        l->under_way = false;
        failed(l, rc, "");
    }
    arm(mail);
}

void gv_alert_mail_retry(struct gv_alert_mail *mail)
{
    for (struct letter *l = mail->letters; l; l = l->next)
        l->due_ms = 0;
    try_due(mail);
}

size_t gv_alert_mail_waiting(const struct gv_alert_mail *mail)
{
    size_t n = 0;

    for (const struct letter *l = mail->letters; l; l = l->next)
        n++;
    return n;
}

json_t *gv_alert_mail_json(const struct gv_alert_mail *mail)
{
    if (!mail || !mail->mailer)
        return json_null();
    return json_pack("{s:I, s:o}", "waiting", (json_int_t)gv_alert_mail_waiting(mail), "error",
                     mail->error.text[0] ? json_string(mail->error.text) : json_null());
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void gv_alert_mail_stop(struct gv_alert_mail *mail)
{
    struct letter *next;

    if (!mail)
        return;
    for (struct letter *l = mail->letters; l; l = next) {
        next = l->next;
        if (l->under_way)
            l->owner = NULL;
        else
            free(l);
    }
    gv_mailer_free(mail->mailer);
    uv_close((uv_handle_t *)&mail->timer, on_closed);
}

/* Room for one more; one that is under way is let alone. */
static struct letter *make_letter(struct gv_alert_mail *mail)
{
    struct letter *letter = calloc(1, sizeof *letter), **at = &mail->letters;

    if (!letter)
        return NULL;
    for (struct letter *l = mail->letters; l && gv_alert_mail_waiting(mail) >= GV_ALERT_LETTERS;) {
        struct letter *next = l->next;
        if (!l->under_way) {
            gv_log(GV_LOG_WARNING, "too many alerts wait to be mailed: the oldest is given up");
            drop(l);
        }
        l = next;
    }
    letter->owner = mail;
    while (*at)
        at = &(*at)->next;
    *at = letter;
    return letter;
}

void gv_alert_mail_tell(struct gv_alert_mail *mail, const struct gv_alert *alert)
{
    char text[160], host[128] = "this host", began[GV_RFC3339_TEXT], ended[GV_RFC3339_TEXT];
    struct letter *letter;

    if (!mail || !mail->mailer)
        return;
    if (!(letter = make_letter(mail))) {
        gv_log(GV_LOG_WARNING, "an alert could not be mailed: out of memory");
        return;
    }
    gv_alert_text(text, sizeof text, alert);
    (void)gethostname(host, sizeof host - 1);
    for (char *c = host; *c; c++)
        if (*c <= ' ' || *c > '~')
            *c = '?';
    gv_rfc3339(began, alert->began_ms);
    gv_rfc3339(ended, alert->ended_ms);
    snprintf(letter->subject, sizeof letter->subject, "%s: %s%s", host,
             alert->ended_ms ? "over: " : "", text);
    snprintf(letter->body, sizeof letter->body,
             "%s\n\nBegan: %s\nEnded: %s\n\nThis is about the totals of %s and names nobody. "
             "`grapevine alerts` and\n`grapevine stats` show more; `grapevine investigate` looks "
             "closer, for a reason.\n",
             text, began, alert->ended_ms ? ended : "not yet", host);
    try_due(mail);
}
