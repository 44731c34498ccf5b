/* Sending one plain mail without blocking the loop: by SMTP (libcurl), or into a folder where each
 * mail becomes one file, for tests and for those who send by other means. */
#ifndef GV_NODE_BASE_MAIL_H
#define GV_NODE_BASE_MAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "node/base/text.h"

#define GV_MAILS_MAX 64 /* under way at a time; more are refused with GV_ERR_BUSY */

struct gv_mailer;

/* Of smtp://. Required: and with a certificate that verifies. Try: where it is offered, and
 * unverified unless there is a ca_file. */
enum gv_starttls { GV_STARTTLS_REQUIRED, GV_STARTTLS_TRY, GV_STARTTLS_NO };

struct gv_mail_settings {
    const char *url;                  /* smtp://HOST[:PORT], smtps://HOST[:PORT], or file:/FOLDER */
    const char *name, *from;          /* who sends: for people, and the address */
    const char *user, *password_file; /* NULL: without authentication */
    const char *ca_file;              /* NULL or "": the system's */
    enum gv_starttls starttls;
    int64_t timeout_s;
};

/* smtp://HOST..., smtps://HOST... or file:/...? */
bool gv_mail_url_fits(const char *url);
/* smtp:// to this host itself? What is in the clear there is nobody else's to read. */
bool gv_mail_url_is_local(const char *url);

/* Checks the url's form and reads the password file; copies the settings. Returns GV_OK,
 * GV_ERR_CONFIG, GV_ERR_IO, GV_ERR_MEMORY. */
int gv_mailer_new(struct gv_mailer **out, uv_loop_t *loop, const struct gv_mail_settings *settings,
                  struct gv_text *error);
/* Mails under way end first; their callbacks still come. The memory goes with the last. */
void gv_mailer_free(struct gv_mailer *mailer);

/* GV_OK: the mail server (or the folder) has it. GV_ERR_FORBIDDEN: it refused this mail;
 * GV_ERR_IO: it could not be reached or is out of order, trying again may help. */
typedef void (*gv_mail_done)(void *context, int error, const char *why);

/* `to` is a normalised address, `subject` UTF-8 without control characters, `body` UTF-8, lines
 * that end in "\n". Everything is copied. Returns GV_OK, GV_ERR_BUSY, GV_ERR_MEMORY (no callback
 * then). */
int gv_mail_send(struct gv_mailer *mailer, const char *to, const char *subject, const char *body,
                 gv_mail_done done, void *context);

#endif
