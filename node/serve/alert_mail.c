#include "node/serve/alert_mail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/base/log.h"
#include "node/base/mail.h"
#include "node/base/rfc3339.h"

struct gv_alert_mail {
    uv_loop_t *loop;
    struct gv_mailer *mailer; /* NULL: nobody asked for mail */
    char to[256];
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
    if (rc == GV_OK)
        *out = mail;
    else
        gv_alert_mail_stop(mail);
    return rc;
}

void gv_alert_mail_configure(struct gv_alert_mail *mail, const struct gv_options *options)
{
    struct gv_text why = {""};

    if (mail && take_options(mail, options, &why) != GV_OK)
        gv_log(GV_LOG_ERROR, "alerts are not mailed: %s", why.text);
}

void gv_alert_mail_stop(struct gv_alert_mail *mail)
{
    if (mail)
        gv_mailer_free(mail->mailer);
    free(mail);
}

/* What could not be handed over is said, and not tried again: `grapevine alerts` has it. */
static void on_sent(void *context, int error, const char *why)
{
    (void)context;
    if (error != GV_OK)
        gv_log(GV_LOG_WARNING, "an alert could not be mailed: %s", *why ? why : gv_strerror(error));
}

void gv_alert_mail_tell(struct gv_alert_mail *mail, const struct gv_alert *alert)
{
    char text[160], host[128] = "this host", subject[400], body[1000], began[GV_RFC3339_TEXT],
                    ended[GV_RFC3339_TEXT];

    if (!mail || !mail->mailer)
        return;
    gv_alert_text(text, sizeof text, alert);
    (void)gethostname(host, sizeof host - 1);
    for (char *c = host; *c; c++)
        if (*c <= ' ' || *c > '~')
            *c = '?';
    gv_rfc3339(began, alert->began_ms);
    gv_rfc3339(ended, alert->ended_ms);
    snprintf(subject, sizeof subject, "%s: %s%s", host, alert->ended_ms ? "over: " : "", text);
    snprintf(body, sizeof body,
             "%s\n\nBegan: %s\nEnded: %s\n\nThis is about the totals of %s and names nobody. "
             "`grapevine alerts` and\n`grapevine stats` show more; `grapevine investigate` looks "
             "closer, for a reason.\n",
             text, began, alert->ended_ms ? ended : "not yet", host);
    int rc = gv_mail_send(mail->mailer, mail->to, subject, body, on_sent, NULL);
    if (rc != GV_OK)
        gv_log(GV_LOG_WARNING, "an alert could not be mailed: %s", gv_strerror(rc));
}
