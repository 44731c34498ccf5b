/* Dovecot's lexer. The first byte chooses: the rest is a log of lines, or it is what a client may
 * choose (a user name, a mechanism, a password) inside a genuine line, which must then be about the
 * true client or about nobody; what the auth service says about a forged address must not even
 * change the kind of that address's own attempt. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "node/ingest/ingest.h"

#define NOW_MS 1795348800000u
#define PREFIX "Nov 22 02:36:26 vm dovecot: "
#define TAIL   ", method=PLAIN, rip=198.51.100.7, lip=192.0.2.25, session=<TQRlYtRg0aDGM2QH>"

static const struct gv_reader_config config = {.key = "fuzz key 123456"};
static const uint8_t client[4] = {198, 51, 100, 7};

static void must(int condition)
{
    if (!condition)
        abort();
}

static void check(const struct gv_reading *r, int forgeable)
{
    const struct gv_observation *o = &r->observation;

    must(o->subject.family == GV_FAMILY_IPV4 || o->subject.family == GV_FAMILY_IPV6);
    must(o->success ? o->attempts == 0 : o->attempts > 0);
    must(strcmp(gv_service_name(o->service), "unknown") != 0);
    if (forgeable)
        must(r->address.family == GV_FAMILY_IPV4 && memcmp(r->address.bytes, client, 4) == 0);
}

static size_t feed(struct gv_reader *reader, const char *line, size_t len, int forgeable)
{
    struct gv_reading out[GV_READINGS_MAX];
    size_t n = gv_reader_line(reader, out, line, len, NOW_MS);

    must(n <= GV_READINGS_MAX);
    for (size_t i = 0; i < n; i++)
        check(&out[i], forgeable);
    return n;
}

static void feed_log(struct gv_reader *reader, const char *text, size_t size)
{
    while (size > 0) {
        const char *newline = memchr(text, '\n', size);
        size_t len = newline ? (size_t)(newline - text) : size;
        char *exact = malloc(len ? len : 1);
        must(exact != NULL);
        memcpy(exact, text, len);
        feed(reader, exact, len, 0);
        free(exact);
        text += len + (newline != NULL);
        size -= len + (newline != NULL);
    }
}

/* An attempt of another client right behind: nothing is known about it. */
static void check_bystander(struct gv_reader *reader)
{
    static const char line[] =
        "Nov 22 02:36:27 vm postfix/smtpd[9]: warning: unknown[203.0.113.9]: SASL LOGIN "
        "authentication failed: (reason unavailable)";
    struct gv_reading out[GV_READINGS_MAX];

    must(gv_reader_line(reader, out, line, sizeof line - 1, NOW_MS) == 1);
    must(out[0].observation.kind == GV_KIND_UNSPECIFIED && !out[0].observation.refused);
}

static void feed_chosen(struct gv_reader *reader, unsigned where, const char *text, size_t size)
{
    static const struct {
        const char *before, *after;
        size_t most; /* what Dovecot cuts it to */
    } frames[] = {
        {PREFIX "imap-login: Disconnected: x (auth failed, 1 attempts in 2 secs): user=<", ">" TAIL,
         80},
        {PREFIX "pop3-login: Login aborted: x (auth failed, 1 attempts in 2 secs) (auth_failed): "
                "user=<",
         ">" TAIL, 80},
        {PREFIX "imap-login: Login: user=<", ">" TAIL, 80},
        {PREFIX "imap-login: Authenticate ",
         " failed: Unsupported authentication mechanism.: "
         "user=<>" TAIL,
         64},
        {PREFIX "auth: sql(", ",198.51.100.7): Password mismatch", 64},
        {PREFIX "auth(", ",198.51.100.7,sasl:plain)<Gas4>: sql: unknown user", 64},
        {PREFIX "auth: sql(x,198.51.100.7): Password mismatch (given password: ", ")", 1024},
        {PREFIX "auth: login(?,198.51.100.7): Username character disallowed by "
                "auth_username_chars: 0x5d (username: ",
         ")", 128},
        {PREFIX "auth-worker(", ",198.51.100.7,sasl:login)<7>: request [3]: sql: unknown user", 64},
        {"Nov 22 02:36:26 auth(", ",198.51.100.7,sasl:plain)<Gas4>: Info: sql: Password mismatch",
         64},
    };
    size_t i = where % (sizeof frames / sizeof *frames);
    size_t before = strlen(frames[i].before), after = strlen(frames[i].after);

    if (size > frames[i].most)
        size = frames[i].most;
    char *line = malloc(before + size + after);
    must(line != NULL);
    memcpy(line, frames[i].before, before);
    memcpy(line + before, text, size);
    memcpy(line + before + size, frames[i].after, after);
    for (size_t j = before; j < before + size; j++)
        if ((unsigned char)line[j] < ' ' || line[j] == 0x7f)
            line[j] = '?';
    feed(reader, line, before + size + after, 1);
    free(line);
    check_bystander(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gv_reader *reader;

    if (size == 0 || !(reader = gv_reader_new(&config)))
        return 0;
    if (data[0] >= '0' && data[0] <= '9')
        feed_chosen(reader, (unsigned)(data[0] - '0'), (const char *)data + 1, size - 1);
    else
        feed_log(reader, (const char *)data, size);
    gv_reader_free(reader);
    return 0;
}
