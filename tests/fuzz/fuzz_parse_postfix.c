/* Postfix's lexer. The first byte chooses: the rest is a log of lines, or it is what a client may
 * choose (a user name, a mechanism, a host name, a HELO) inside a genuine line, which must then be
 * about the true client or about nobody. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "node/ingest/ingest.h"

#define NOW_MS 1795348800000u
#define PREFIX "Nov 22 02:36:26 vm postfix/smtpd[24320]: "

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
    struct gv_ip_address back;
    char text[GV_IP_ADDRESS_TEXT];

    must(o->subject.family == GV_FAMILY_IPV4 || o->subject.family == GV_FAMILY_IPV6);
    must(gv_ip_address_parse(&back, text, gv_ip_address_text(text, &r->address)) == 0);
    must(gv_ip_address_equal(&back, &r->address));
    must(o->success ? o->attempts == 0 : o->attempts > 0);
    must(strcmp(gv_service_name(o->service), "unknown") != 0);
    if (forgeable)
        must(r->address.family == GV_FAMILY_IPV4 && memcmp(r->address.bytes, client, 4) == 0);
}

static void feed(struct gv_reader *reader, const char *line, size_t len, int forgeable)
{
    struct gv_reading out[GV_READINGS_MAX];
    size_t n = gv_reader_line(reader, out, line, len, NOW_MS);

    must(n <= GV_READINGS_MAX);
    for (size_t i = 0; i < n; i++)
        check(&out[i], forgeable);
}

static void feed_log(struct gv_reader *reader, const char *text, size_t size)
{
    while (size > 0) {
        const char *newline = memchr(text, '\n', size);
        size_t len = newline ? (size_t)(newline - text) : size;
        char *exact = malloc(len ? len : 1); /* so that a read past the line is seen */
        must(exact != NULL);
        memcpy(exact, text, len);
        feed(reader, exact, len, 0);
        free(exact);
        text += len + (newline != NULL);
        size -= len + (newline != NULL);
    }
}

/* Control characters are '?' when Postfix logs them; a host name has no blank. */
static void feed_chosen(struct gv_reader *reader, unsigned where, const char *text, size_t size)
{
    static const char *const frames[][2] = {
        {PREFIX "warning: unknown[198.51.100.7]: SASL LOGIN authentication failed: (reason "
                "unavailable), sasl_username=",
         ""},
        {PREFIX "warning: unknown[198.51.100.7]: SASL ",
         " authentication failed: Invalid authentication mechanism"},
        {PREFIX "warning: ", "[198.51.100.7]: SASL LOGIN authentication failed: x"},
        {PREFIX "NOQUEUE: reject: RCPT from unknown[198.51.100.7]: 454 4.7.1 x; proto=ESMTP helo=<",
         ">"},
        {PREFIX "disconnect from ", "[198.51.100.7] ehlo=1 auth=0/1 quit=1 commands=2/3"},
        {PREFIX "4F2A91: client=", "[198.51.100.7], sasl_method=PLAIN, sasl_username=x"},
        {PREFIX "4F2A91: client=c[198.51.100.7], sasl_method=PLAIN, sasl_username=", ""},
        {PREFIX "lost connection after AUTH from ", "[198.51.100.7]"},
    };
    const char *const *frame = frames[where % (sizeof frames / sizeof *frames)];
    size_t before = strlen(frame[0]), after = strlen(frame[1]);
    int host = frame[1][0] == '[';

    if (size > 2000)
        return;
    char *line = malloc(before + size + after);
    must(line != NULL);
    memcpy(line, frame[0], before);
    memcpy(line + before, text, size);
    memcpy(line + before + size, frame[1], after);
    for (size_t i = before; i < before + size; i++)
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f || (host && line[i] == ' '))
            line[i] = '?';
    feed(reader, line, before + size + after, 1);
    free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gv_reading out[GV_READINGS_MAX];
    struct gv_reader *reader;

    if (size == 0 || !(reader = gv_reader_new(&config)))
        return 0;
    if (data[0] >= '0' && data[0] <= '9')
        feed_chosen(reader, (unsigned)(data[0] - '0'), (const char *)data + 1, size - 1);
    else
        feed_log(reader, (const char *)data, size);
    while (gv_reader_flush(reader, out) > 0)
        ;
    gv_reader_free(reader);
    return 0;
}
