/* Notices of alerts by mail, to the admin, through this host's own mail server or another
 * (SPEC 10.9). They hold sums alone, as alerts do. */
#ifndef GV_SERVE_ALERT_MAIL_H
#define GV_SERVE_ALERT_MAIL_H

#include <jansson.h>
#include <uv.h>

#include "node/base/options.h"
#include "node/base/statistics.h"

struct gv_alert_mail;

/* Options are borrowed for the call. Returns GV_OK, or with a sentence what gv_mailer_new says. */
int gv_alert_mail_start(struct gv_alert_mail **out, uv_loop_t *loop,
                        const struct gv_options *options, struct gv_text *error);
/* After a reload. What is wrong is logged, and then no mail is sent. NULL is allowed, also below.
 */
void gv_alert_mail_configure(struct gv_alert_mail *mail, const struct gv_options *options);
/* Mails under way still end, those that wait are given up; the loop must run for them. */
void gv_alert_mail_stop(struct gv_alert_mail *mail);

/* An alert began or ended. A letter that no server takes for now waits in memory, GV_ALERT_LETTERS
 * at most, the oldest going first, and is tried again for a day; one that is refused is not. What
 * became of it is logged. */
#define GV_ALERT_LETTERS 32
void gv_alert_mail_tell(struct gv_alert_mail *mail, const struct gv_alert *alert);

/* How long a letter waits after so many tries, 1 or more; 0: it is given up. */
uint64_t gv_alert_mail_wait_ms(unsigned tries);
/* Tries what waits at once, as after a reload. */
void gv_alert_mail_retry(struct gv_alert_mail *mail);
/* Letters that wait or are under way. */
size_t gv_alert_mail_waiting(const struct gv_alert_mail *mail);
/* {"waiting": 2, "error": why the last one was not taken, or null}; null: nobody asked for mail. A
 * new reference. */
json_t *gv_alert_mail_json(const struct gv_alert_mail *mail);

#endif
