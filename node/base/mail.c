#include "node/base/mail.h"

#include <curl/curl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/base/fetch.h"
#include "node/base/file.h"
#include "proto/registry.h"

struct gv_mailer {
    uv_loop_t *loop;
    char *url, *name, *user, *ca_file;
    enum gv_starttls starttls;
    int64_t timeout_s;
    const char *folder; /* within the url; NULL: SMTP */
    char from[GV_EMAIL_MAX + 1];
    char password[256];
    unsigned under_way;
    bool freed;
    bool locked; /* the lock was made */
    uv_mutex_t lock;
    CURL *idle[GV_MAILS_MAX]; /* under the lock: each with its connection, if the server keeps it */
    size_t idle_count;
};

struct mail {
    uv_work_t work;
    struct gv_mailer *mailer;
    char to[GV_EMAIL_MAX + 1];
    struct gv_buf text; /* the whole message, CRLF */
    size_t sent;
    int error;
    struct gv_text why;
    gv_mail_done done;
    void *context;
};

/* ---- the mailer ----------------------------------------------------------------------------- */

bool gv_mail_url_fits(const char *url)
{
    static const char *const schemes[] = {"smtp://", "smtps://"};

    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        size_t len = strlen(schemes[i]);
        if (strncmp(url, schemes[i], len) == 0)
            return url[len] != '\0' && url[len] != '/' && url[len] != ':';
    }
    return strncmp(url, "file:/", 6) == 0;
}

bool gv_mail_url_is_local(const char *url)
{
    static const char *const hosts[] = {"127.0.0.1", "localhost", "[::1]"};

    for (size_t i = 0; strncmp(url, "smtp://", 7) == 0 && i < sizeof hosts / sizeof *hosts; i++) {
        size_t len = strlen(hosts[i]);
        if (strncmp(url + 7, hosts[i], len) == 0 && strchr(":/", url[7 + len]))
            return true;
    }
    return false;
}

static int read_password(struct gv_mailer *mailer, const char *path, struct gv_text *error)
{
    struct gv_buf text;

    if (!path)
        return GV_OK;
    gv_buf_init(&text);
    int rc = gv_file_read(&text, path, sizeof mailer->password - 1, error);
    if (rc == GV_OK) {
        memcpy(mailer->password, text.data ? text.data : (const uint8_t *)"", text.len);
        mailer->password[strcspn(mailer->password, "\r\n")] = '\0';
        gv_wipe(text.data, text.len);
    }
    gv_buf_free(&text);
    return rc;
}

static void mailer_release(struct gv_mailer *mailer)
{
    while (mailer->idle_count > 0)
        curl_easy_cleanup(mailer->idle[--mailer->idle_count]);
    if (mailer->locked)
        uv_mutex_destroy(&mailer->lock);
    gv_wipe(mailer->password, sizeof mailer->password);
    free(mailer->url);
    free(mailer->name);
    free(mailer->user);
    free(mailer->ca_file);
    free(mailer);
}

static bool copy(char **out, const char *text)
{
    *out = text ? strdup(text) : NULL;
    return !text || *out;
}

static int check(struct gv_mailer *mailer, const struct gv_mail_settings *settings,
                 struct gv_text *error)
{
    if (strncmp(mailer->url, "file:/", 6) == 0)
        mailer->folder = mailer->url + 5;
    else if (!gv_mail_url_fits(mailer->url))
        return gv_fail(error, GV_ERR_CONFIG,
                       "[mail] url: '%.100s' will not do, write smtp://HOST, smtps://HOST or "
                       "file:/FOLDER",
                       mailer->url);
    /* Only checked by it: plus tags of a sender are his own business. */
    if (gv_email_normalise(mailer->from, settings->from, strlen(settings->from)) != GV_OK)
        return gv_fail(error, GV_ERR_CONFIG, "[mail] from: '%.100s' is not an email address",
                       settings->from);
    snprintf(mailer->from, sizeof mailer->from, "%s", settings->from);
    int rc = mailer->folder ? gv_file_folder(mailer->folder, 0700, error) : GV_OK;
    return rc == GV_OK ? read_password(mailer, settings->password_file, error) : rc;
}

int gv_mailer_new(struct gv_mailer **out, uv_loop_t *loop, const struct gv_mail_settings *settings,
                  struct gv_text *error)
{
    struct gv_mailer *mailer = calloc(1, sizeof *mailer);

    *out = NULL;
    if (!mailer)
        return gv_fail(error, GV_ERR_MEMORY, "out of memory");
    mailer->loop = loop;
    mailer->starttls = settings->starttls;
    mailer->timeout_s = settings->timeout_s;
    bool whole = copy(&mailer->url, settings->url) && copy(&mailer->name, settings->name) &&
                 copy(&mailer->user, settings->user) && copy(&mailer->ca_file, settings->ca_file);
    int rc =
        whole ? check(mailer, settings, error) : gv_fail(error, GV_ERR_MEMORY, "out of memory");
    gv_fetch_init();
    if (rc == GV_OK && uv_mutex_init(&mailer->lock) != 0)
        rc = gv_fail(error, GV_ERR_MEMORY, "out of memory");
    mailer->locked = rc == GV_OK;
    if (rc == GV_OK)
        *out = mailer;
    else
        mailer_release(mailer);
    return rc;
}

static void release(struct gv_mailer *mailer)
{
    if (mailer->freed && mailer->under_way == 0)
        mailer_release(mailer);
}

void gv_mailer_free(struct gv_mailer *mailer)
{
    if (!mailer)
        return;
    mailer->freed = true;
    release(mailer);
}

/* ---- the message ---------------------------------------------------------------------------- */

static void put(struct gv_buf *out, const char *text)
{
    gv_buf_append(out, text, strlen(text));
}

/* RFC 5322: every line ends in CRLF. */
static void put_lines(struct gv_buf *out, const char *text)
{
    while (*text) {
        size_t len = strcspn(text, "\n");
        gv_buf_append(out, text, len);
        put(out, "\r\n");
        text += len + (text[len] == '\n');
    }
}

static bool is_ascii(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text >= 0x80)
            return false;
    return true;
}

static void put_base64(struct gv_buf *out, const char *data, size_t len)
{
    char text[128];

    sodium_bin2base64(text, sizeof text, (const uint8_t *)data, len,
                      sodium_base64_VARIANT_ORIGINAL);
    put(out, text);
}

/* RFC 2047: words of 45 bytes at most, none of which ends within a character. */
static void put_subject(struct gv_buf *out, const char *subject)
{
    size_t left = strlen(subject);

    put(out, "Subject: ");
    if (is_ascii(subject)) {
        put(out, subject);
        left = 0;
    }
    while (left > 0) {
        size_t len = left < 45 ? left : 45;
        while (len > 1 && len < left && ((unsigned char)subject[len] & 0xc0) == 0x80)
            len--;
        put(out, "=?utf-8?B?");
        put_base64(out, subject, len);
        subject += len;
        left -= len;
        put(out, left > 0 ? "?=\r\n " : "?=");
    }
    put(out, "\r\n");
}

/* ASCII as it is; other text as base64, because not every server on the way takes 8 bits. */
static void put_body(struct gv_buf *out, const char *body)
{
    struct gv_buf lines;

    if (is_ascii(body)) {
        put(out, "Content-Type: text/plain; charset=us-ascii\r\n\r\n");
        put_lines(out, body);
        return;
    }
    put(out, "Content-Type: text/plain; charset=utf-8\r\n"
             "Content-Transfer-Encoding: base64\r\n\r\n");
    gv_buf_init(&lines);
    put_lines(&lines, body);
    for (size_t at = 0; at < lines.len; at += 57) {
        put_base64(out, (const char *)lines.data + at, lines.len - at < 57 ? lines.len - at : 57);
        put(out, "\r\n");
    }
    out->failed = out->failed || lines.failed;
    if (lines.data)
        gv_wipe(lines.data, lines.cap);
    gv_buf_free(&lines);
}

static void compose(struct mail *mail, const char *subject, const char *body)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    char head[1536], id[33];
    uint8_t random[16];
    struct tm tm;
    time_t now = time(NULL);

    randombytes_buf(random, sizeof random);
    gv_hex(id, random, sizeof random);
    gmtime_r(&now, &tm); /* strftime would follow the locale, which RFC 5322 does not */
    snprintf(head, sizeof head,
             "From: %.100s <%s>\nTo: <%s>\n"
             "Date: %s, %02d %s %d %02d:%02d:%02d +0000\nMessage-ID: <%s@%s>\n"
             "MIME-Version: 1.0\nAuto-Submitted: auto-generated\n",
             mail->mailer->name, mail->mailer->from, mail->to, days[tm.tm_wday], tm.tm_mday,
             months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec, id,
             strchr(mail->mailer->from, '@') + 1);
    put_lines(&mail->text, head);
    put_subject(&mail->text, subject);
    put_body(&mail->text, body);
}

/* ---- sending, in a thread of libuv's pool --------------------------------------------------- */

static void write_to_folder(struct mail *mail)
{
    char path[2048], id[17];
    uint8_t random[8];
    struct timespec now;

    /* Names sort by time, so that the newest mail is the last file. */
    clock_gettime(CLOCK_REALTIME, &now);
    randombytes_buf(random, sizeof random);
    gv_hex(id, random, sizeof random);
    snprintf(path, sizeof path, "%s/%lld%03ld-%s.eml", mail->mailer->folder, (long long)now.tv_sec,
             now.tv_nsec / 1000000, id);
    mail->error = gv_file_write(path, mail->text.data, mail->text.len, 0600, &mail->why);
}

static size_t read_mail(char *out, size_t size, size_t count, void *context)
{
    struct mail *mail = context;
    size_t len = mail->text.len - mail->sent;

    if (len > size * count)
        len = size * count;
    if (len)
        memcpy(out, mail->text.data + mail->sent, len);
    mail->sent += len;
    return len;
}

/* A connection that stands saves the next mail five answers of the server's, and TLS. */
static CURL *take_handle(struct gv_mailer *mailer, bool *kept)
{
    CURL *curl = NULL;

    uv_mutex_lock(&mailer->lock);
    if (mailer->idle_count > 0)
        curl = mailer->idle[--mailer->idle_count];
    uv_mutex_unlock(&mailer->lock);
    *kept = curl != NULL;
    return curl ? curl : curl_easy_init();
}

static void give_back(struct gv_mailer *mailer, CURL *curl, bool good)
{
    if (!curl)
        return;
    curl_easy_reset(curl); /* connections stay, options and what they point to do not */
    uv_mutex_lock(&mailer->lock);
    bool kept = good && mailer->idle_count < GV_MAILS_MAX;
    if (kept)
        mailer->idle[mailer->idle_count++] = curl;
    uv_mutex_unlock(&mailer->lock);
    if (!kept)
        curl_easy_cleanup(curl);
}

/* Where encryption is used if it is offered, whoever sits between could as well take the offer
 * away: a certificate that must be signed by somebody would only keep mails from servers that have
 * one of their own making, as Debian's have. Unless the admin names who must have signed it. */
static void set_login(CURL *curl, const struct gv_mailer *mailer)
{
    static const long levels[] = {CURLUSESSL_ALL, CURLUSESSL_TRY, CURLUSESSL_NONE};
    bool authority = mailer->ca_file && *mailer->ca_file;
    bool if_offered =
        mailer->starttls == GV_STARTTLS_TRY && strncmp(mailer->url, "smtp://", 7) == 0;

    curl_easy_setopt(curl, CURLOPT_USE_SSL, levels[mailer->starttls]);
    if (authority)
        curl_easy_setopt(curl, CURLOPT_CAINFO, mailer->ca_file);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, if_offered && !authority ? 0L : 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, if_offered && !authority ? 0L : 2L);
    if (!mailer->user)
        return;
    curl_easy_setopt(curl, CURLOPT_USERNAME, mailer->user);
    curl_easy_setopt(curl, CURLOPT_PASSWORD, mailer->password);
}

/* What the admin can do about it. */
static const char *advice(CURLcode code)
{
    if (code == CURLE_PEER_FAILED_VERIFICATION)
        return " (name the authority that signed it in [mail] ca_file)";
    if (code == CURLE_USE_SSL_FAILED)
        return " (the server offers no STARTTLS, and [mail] starttls requires it)";
    return "";
}

static void explain(struct mail *mail, CURL *curl, CURLcode code, const char *detail)
{
    long reply = 0;

    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply);
    if (code == CURLE_OK)
        return;
    /* A 5xx reply is the server's last word on this mail (RFC 5321, section 4.2.1). */
    mail->error = gv_fail(&mail->why, reply >= 500 && reply < 600 ? GV_ERR_FORBIDDEN : GV_ERR_IO,
                          "%.200s%s", *detail ? detail : curl_easy_strerror(code), advice(code));
}

static void send_over(struct mail *mail, CURL *curl)
{
    const struct gv_mailer *mailer = mail->mailer;
    char detail[CURL_ERROR_SIZE] = "", from[GV_EMAIL_MAX + 3], to[GV_EMAIL_MAX + 3];

    snprintf(from, sizeof from, "<%s>", mailer->from);
    snprintf(to, sizeof to, "<%s>", mail->to);
    struct curl_slist *recipients = curl_slist_append(NULL, to);
    mail->sent = 0;
    mail->error = GV_OK;
    if (!curl || !recipients) {
        mail->error = gv_fail(&mail->why, GV_ERR_IO, "out of memory");
        goto out;
    }
    curl_easy_setopt(curl, CURLOPT_URL, mailer->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)mailer->timeout_s);
    /* It does not hold for the answer to QUIT, which may be waited for two minutes. */
    curl_easy_setopt(curl, CURLOPT_SERVER_RESPONSE_TIMEOUT, (long)mailer->timeout_s);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
    curl_easy_setopt(curl, CURLOPT_MAIL_FROM, from);
    curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, recipients);
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, read_mail);
    curl_easy_setopt(curl, CURLOPT_READDATA, mail);
    curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)mail->text.len);
    set_login(curl, mail->mailer);
    explain(mail, curl, curl_easy_perform(curl), detail);
out:
    curl_slist_free_all(recipients);
}

/* A server may hang up on a connection that was kept, at the very moment it is used again: then
 * once more, on a new one. */
static void send_by_smtp(struct mail *mail)
{
    bool kept;
    CURL *curl = take_handle(mail->mailer, &kept);

    send_over(mail, curl);
    give_back(mail->mailer, curl, mail->error == GV_OK);
    if (!kept || mail->error != GV_ERR_IO)
        return;
    curl = curl_easy_init();
    send_over(mail, curl);
    give_back(mail->mailer, curl, mail->error == GV_OK);
}

static void in_thread(uv_work_t *work)
{
    struct mail *mail = work->data;

    if (mail->mailer->folder)
        write_to_folder(mail);
    else
        send_by_smtp(mail);
}

static void mail_free(struct mail *mail)
{
    if (!mail)
        return;
    gv_wipe(mail->text.data, mail->text.len); /* it holds the code */
    gv_buf_free(&mail->text);
    free(mail);
}

static void in_loop(uv_work_t *work, int status)
{
    struct mail *mail = work->data;
    struct gv_mailer *mailer = mail->mailer;

    mail->done(mail->context, status == 0 ? mail->error : GV_ERR_IO, mail->why.text);
    mail_free(mail);
    mailer->under_way--; /* only now: `done` may have freed the mailer */
    release(mailer);
}

int gv_mail_send(struct gv_mailer *mailer, const char *to, const char *subject, const char *body,
                 gv_mail_done done, void *context)
{
    int rc = GV_ERR_MEMORY;
    struct mail *mail = NULL;

    if (mailer->under_way >= GV_MAILS_MAX)
        return GV_ERR_BUSY;
    mail = calloc(1, sizeof *mail);
    if (!mail)
        goto out;
    gv_buf_init(&mail->text);
    mail->work.data = mail;
    mail->mailer = mailer;
    mail->done = done;
    mail->context = context;
    snprintf(mail->to, sizeof mail->to, "%s", to);
    compose(mail, subject, body);
    if (mail->text.failed || uv_queue_work(mailer->loop, &mail->work, in_thread, in_loop) != 0)
        goto out;
    mailer->under_way++;
    mail = NULL; /* handed over */
    rc = GV_OK;
out:
    mail_free(mail);
    return rc;
}
