/* Sendmail's lexer. A first byte of a to z chooses what the rest is: what a client may choose (a
 * user name, a mechanism, a command, ...) inside a genuine line, which must then be about the true
 * client or about nobody. With any other first byte it is a log of lines. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "node/ingest/ingest.h"

#define NOW_MS 1795348800000u
#define P      "Nov 22 02:36:26 mx sm-mta[24320]: "
#define ID     "5AM2aQ5D024320: "
#define C      "client.ex.test [198.51.100.7]"
#define BAD    "authentication failure (-13) SASL(-13): authentication failure: checkpass failed"

static const struct gv_reader_config config = {.key = "fuzz key 123456"};
static const uint8_t client[4] = {198, 51, 100, 7};

/* What a client may choose, inside a genuine line of 198.51.100.7. */
static const struct frame {
    const char *before, *after;
    int word;  /* it is a name of the DNS: neither blanks nor parentheses */
    int login; /* the line tells of a login */
} frames[] = {
    {P ID "AUTH failure (LOGIN): " BAD ", user=", ", relay=" C, 0, 0},
    {P ID "AUTH failure (PLAIN): " BAD ", user=", ", relay=[198.51.100.7] (may be forged)", 0, 0},
    {P ID "AUTH failure (X): bad protocol / cancel (-5) ", ", relay=" C, 0, 0},
    {P ID "AUTH failure (", "): " BAD ", user=x, relay=" C, 0, 0},
    {P ID "AUTH failure (PLAIN): " BAD ", user=x, relay=", " [198.51.100.7]", 1, 0},
    {P ID "AUTH decode64 error [-5 for \"", "\"], relay=" C, 0, 0},
    {P ID "AUTH encode64 error [-5 for \"", "\"], relay=" C, 0, 0},
    {P ID "AUTH encode64 error [-5 for \"", "\"]", 0, 0},
    {P "AUTH=server, relay=" C ", authid=", ", mech=PLAIN, bits=0", 0, 1},
    {P "AUTH=server, relay=", " [198.51.100.7], authid=a, mech=PLAIN, bits=0", 1, 1},
    {P ID, " [198.51.100.7]: possible SMTP attack: command=AUTH, count=7", 1, 0},
    {P ID "lost input channel from ", " [198.51.100.7] to MTA after auth", 1, 0},
    {P ID "lost input channel from [198.51.100.7] to MTA after ", "", 0, 0},
    {P ID "[198.51.100.7]: ", "", 0, 0},
    {P ID "[198.51.100.7]: probable open proxy: command=", "", 0, 0},
    {P ID "<-- ", "", 0, 0},
    {P ID "SMTP AUTH command (", ") from " C " tempfailed (due to previous checks)", 0, 0},
    {P ID "from=<", ">, size=1, daemon=MTA, relay=" C, 0, 0},
    {P ID "ruleset=check_rcpt, arg1=<", ">, relay=" C ", reject=550 5.7.1 x", 0, 0},
    {P ID "invalid domain name (", ") from " C, 0, 0},
};

static void must(int condition)
{
    if (!condition)
        abort();
}

static void check(const struct gv_reading *r, const struct frame *frame)
{
    const struct gv_observation *o = &r->observation;
    struct gv_ip_address back;
    char text[GV_IP_ADDRESS_TEXT];

    must(o->subject.family == GV_FAMILY_IPV4 || o->subject.family == GV_FAMILY_IPV6);
    must(gv_ip_address_parse(&back, text, gv_ip_address_text(text, &r->address)) == 0);
    must(gv_ip_address_equal(&back, &r->address));
    must(o->success ? o->attempts == 0 : o->attempts > 0);
    must(strcmp(gv_service_name(o->service), "unknown") != 0);
    if (!frame)
        return;
    must(r->address.family == GV_FAMILY_IPV4 && memcmp(r->address.bytes, client, 4) == 0);
    must(r->mta == GV_MTA_SENDMAIL);
    must(!o->success || frame->login);
}

static void feed(struct gv_reader *reader, const char *line, size_t len, const struct frame *frame)
{
    struct gv_reading out[GV_READINGS_MAX];
    size_t n = gv_reader_line(reader, out, line, len, NOW_MS);

    must(n <= GV_READINGS_MAX);
    for (size_t i = 0; i < n; i++)
        check(&out[i], frame);
}

static void feed_log(struct gv_reader *reader, const char *text, size_t size)
{
    while (size > 0) {
        const char *newline = memchr(text, '\n', size);
        size_t len = newline ? (size_t)(newline - text) : size;
        char *exact = malloc(len ? len : 1); /* so that a read past the line is seen */
        must(exact != NULL);
        memcpy(exact, text, len);
        feed(reader, exact, len, NULL);
        free(exact);
        text += len + (newline != NULL);
        size -= len + (newline != NULL);
    }
}

/* Sendmail writes control characters as backslash and digits. A name of the DNS has none of the
 * characters that res_hnok() of libc refuses. */
static int impossible(const struct frame *frame, char c)
{
    return (unsigned char)c < ' ' || c == 0x7f || (frame->word && strchr(" ()[],;<>\"", c));
}

static void feed_chosen(struct gv_reader *reader, unsigned where, const char *text, size_t size)
{
    const struct frame *frame = &frames[where % (sizeof frames / sizeof *frames)];
    size_t before = strlen(frame->before), after = strlen(frame->after);

    if (size > 2000)
        return;
    char *line = malloc(before + size + after);
    must(line != NULL);
    memcpy(line, frame->before, before);
    memcpy(line + before, text, size);
    memcpy(line + before + size, frame->after, after);
    for (size_t i = before; i < before + size; i++)
        if (impossible(frame, line[i]))
            line[i] = '?';
    feed(reader, line, before + size + after, frame);
    free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gv_reading out[GV_READINGS_MAX];
    struct gv_reader *reader;

    if (size == 0 || !(reader = gv_reader_new(&config)))
        return 0;
    if (data[0] >= 'a' && data[0] <= 'z')
        feed_chosen(reader, (unsigned)(data[0] - 'a'), (const char *)data + 1, size - 1);
    else
        feed_log(reader, (const char *)data, size);
    while (gv_reader_flush(reader, out) > 0)
        ;
    gv_reader_free(reader);
    return 0;
}
