/* Exim's lexer. A first byte of a to z chooses what the rest is: what a client may choose (a HELO
 * name, a user name, a command, ...) inside a genuine line, which must then be about the true
 * client or about nobody. With any other first byte it is a log of lines. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "node/ingest/ingest.h"

#define NOW_MS 1795348800000u
#define S      "2026-11-22 02:36:26 "
#define L      "Nov 22 02:36:26 mx exim[24320]: "
#define C      "[198.51.100.7]"
#define FAIL   "login authenticator failed for "
#define BAD    ": 535 Incorrect authentication data"
#define NOT    " AUTH command used when not advertised"
#define M      "1xV26K-000039-0k <= "

static const struct gv_reader_config config = {.key = "fuzz key 123456"};
static const uint8_t client[4] = {198, 51, 100, 7};

/* What a client may choose, inside a genuine line of 198.51.100.7. */
static const struct frame {
    const char *before, *after;
    int word;  /* it is a name of the DNS: neither blanks nor parentheses */
    int login; /* the line tells of a login */
} frames[] = {
    {S FAIL "(x) " C BAD " (set_id=", ")", 0, 0},
    {L FAIL C BAD " (set_id=", ")", 0, 0},
    {S FAIL "(", ") " C BAD " (set_id=alice)", 0, 0},
    {L S "[1] " FAIL "mx.test (", ") " C ":4711 I=[192.0.2.25]:25" BAD, 0, 0},
    {S FAIL "(x) " C " U=", BAD, 0, 0},
    {S FAIL, " " C BAD, 1, 0},
    {S FAIL, " (x) " C BAD, 1, 0},
    {S "SMTP protocol error in \"AUTH ", "\" H=(x) " C NOT, 0, 0},
    {S "SMTP protocol error in \"AUTH X\" H=(", ") " C NOT, 0, 0},
    {S "SMTP protocol error in \"AUTH X\" H=(x) " C " U=", NOT, 0, 0},
    {S "SMTP syntax error in \"AUTH ",
     "\" H=" C " invalid character in authentication mechanism name", 0, 0},
    {S "SMTP protocol error in \"AUTH X\" H=", " " C NOT, 1, 0},
    {S M "a@b H=(", ") " C " P=esmtp S=353", 0, 0},
    {S M "a@b H=(x) " C " U=", " P=esmtp S=353", 0, 0},
    {S M "\"", "\"@x H=(x) " C " P=esmtp S=353", 0, 0},
    {S M "a@b H=(x) " C " P=esmtp S=353 T=\"", "\"", 0, 0},
    {S M "a@b H=(x) " C " P=esmtpsa X=T DN=\"", "\" A=l:a S=3", 0, 1},
    {S M "a@b H=", " " C " P=esmtp S=353", 1, 0},
    {S "no MAIL in SMTP connection from (", ") " C " D=0s C=EHLO", 0, 0},
    {S "H=(", ") " C " rejected EHLO: x", 0, 0},
    {S "ETRN ", " received from (x) " C, 0, 0},
    {S "rejected EHLO from " C ": syntactically invalid argument(s): ", "", 0, 0},
    {S "VRFY failed for ", " H=(x) " C, 0, 0},
    {S "H=(x) " C " F=<\"", "\"@x> rejected RCPT <a@b>: no", 0, 0},
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
    must(r->mta == GV_MTA_EXIM);
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

/* Exim escapes control characters nearly everywhere; what it never lets through is a line's end. A
 * name of the DNS is checked by dns_check_names_pattern. */
static int impossible(const struct frame *frame, char c)
{
    return c == '\n' || c == '\0' || (frame->word && (c == ' ' || c == '(' || c == ')'));
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
