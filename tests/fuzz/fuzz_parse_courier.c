/* Courier's lexer. The first byte chooses: the rest is a log of lines, or it is what a client may
 * choose (a user name, a method, an SMTP command, an identd's answer) inside a genuine line, which
 * must then be about the true client or about nobody, also where a buffer has cut it off. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "node/ingest/ingest.h"

#define NOW_MS 1795348800000u
#define T      "Nov 22 02:38:26 vm "
#define REAL   ", ip=[::ffff:198.51.100.7], port=[4000]"
#define RELAY  T "courieresmtpd: error,relay=::ffff:198.51.100.7,port=4000"
#define BAD    ",msg=\"535 Authentication failed.\",cmd: AUTH "

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
    must(strcmp(gv_mta_name(r->mta), "unknown") != 0);
    if (forgeable)
        must(r->address.family == GV_FAMILY_IPV4 && memcmp(r->address.bytes, client, 4) == 0);
}

static size_t feed(struct gv_reader *reader, const char *line, size_t len, int forgeable)
{
    struct gv_reading out[GV_READINGS_MAX];
    size_t n = gv_reader_line(reader, out, line, len, NOW_MS), more;

    must(n <= GV_READINGS_MAX);
    for (size_t i = 0; i < n; i++)
        check(&out[i], forgeable);
    while (forgeable && (more = gv_reader_flush(reader, out)) > 0) {
        for (size_t i = 0; i < more; i++)
            check(&out[i], forgeable);
        n += more;
    }
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

/* The attempt of another client right behind is what its own line says. */
static void check_bystander(struct gv_reader *reader)
{
    static const char line[] =
        T "pop3d: LOGIN FAILED, user=alice, ip=[::ffff:203.0.113.9], port=[1]";
    struct gv_reading out[GV_READINGS_MAX];

    must(gv_reader_line(reader, out, line, sizeof line - 1, NOW_MS) == 0);
    must(gv_reader_flush(reader, out) == 1);
    must(out[0].observation.kind == GV_KIND_UNSPECIFIED && !out[0].observation.success);
    must(out[0].observation.attempts == 1 && out[0].observation.new_visit);
}

static void feed_chosen(struct gv_reader *reader, unsigned where, const char *text, size_t size)
{
    static const struct {
        const char *before, *after;
        size_t cut; /* courierlogger's buffer, without "INFO: "; esmtpd's own */
        int quoted; /* a quote ends it */
    } frames[] = {
        {T "imapd: LOGIN FAILED, user=", REAL, 505, 0},
        {T "pop3d-ssl: LOGIN FAILED, user=", REAL, 505, 0},
        {T "imapd: LOGIN FAILED, method=", REAL, 505, 0},
        {T "imapd: LOGIN FAILED, user=", ", ip=[::ffff:198.51.100.7]", 505, 0},
        {T "imapd: LOGIN, user=", REAL ", protocol=IMAP, starttls=1", 505, 0},
        {T "imapd: DISCONNECTED, user=", REAL ", headers=0, body=0, rcvd=0, sent=1, time=2", 505,
         0},
        {T "imapd: LOGIN: ip=[::ffff:198.51.100.7], command=", "", 505, 0},
        {RELAY BAD, "", 1000, 0},
        {RELAY ",ident=\"", "\",msg=\"550 User unknown.\",cmd: RCPT TO:<x>", 1000, 1},
        {RELAY ",msg=\"550 User unknown.\",cmd: MAIL FROM:<", ">", 1000, 0},
    };
    size_t i = where % (sizeof frames / sizeof *frames);
    size_t before = strlen(frames[i].before), after = strlen(frames[i].after);
    size_t words =
        before - (size_t)(strstr(frames[i].before + sizeof T - 1, ": ") + 2 - frames[i].before);
    char *line = malloc(before + size + after);

    must(line != NULL);
    memcpy(line, frames[i].before, before);
    memcpy(line + before, text, size);
    memcpy(line + before + size, frames[i].after, after);
    for (size_t j = before; j < before + size; j++)
        if ((unsigned char)line[j] < ' ' || line[j] == 0x7f || (frames[i].quoted && line[j] == '"'))
            line[j] = '.';
    size_t len = before + size + after;
    if (len > before - words + frames[i].cut)
        len = before - words + frames[i].cut;
    size_t n = feed(reader, line, len, 1);
    must(i < 5 || i == 7 ? n <= 1 : n == 0);
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
