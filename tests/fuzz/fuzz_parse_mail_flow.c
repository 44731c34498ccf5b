/* The lexer and the counters of the mail flow. The first byte chooses: the rest is a log of lines,
 * or it is what somebody else may choose (a recipient, a sender, a reply, a header, a HELO) inside
 * a genuine line, which must then count what it counts with any other text. */
#include "lexer.h"
#include "node/ingest/mail_flow.h"

#define PREFIX "Nov 22 02:36:26 vm postfix/"
#define REST   ", relay=mx[203.0.113.9]:25, delay=1, delays=1/0/0/0, dsn=5.1.1, status="

static int64_t told[GV_MAIL_COUNT_MAX];

static void on_count(void *context, enum gv_mail_count which, int64_t delta, uint64_t ms)
{
    (void)context;
    (void)ms;
    told[which] += delta;
    fuzz_must(told[which] >= 0);
}

static void feed(void *reader, const char *line, size_t len)
{
    struct gv_reading ignored[GV_READINGS_MAX];

    fuzz_must(gv_reader_line(reader, ignored, line, len, NOW_MS) <= GV_READINGS_MAX);
}

struct frame {
    const char *before, *after;
    int which;   /* the one count that is then 1 */
    bool quoted; /* inside a quoted local part */
};

static const struct frame frames[] = {
    {PREFIX "smtp[1]: 4F2A91: to=<a@b>" REST "bounced (", ")", GV_MAIL_BOUNCED, false},
    {PREFIX "smtp[1]: 4F2A91: to=<\"", "\"@b>" REST "bounced (x)", GV_MAIL_BOUNCED, true},
    {PREFIX "local[1]: 4F2A91: to=<a@b>, orig_to=<\"", "\"@b>" REST "bounced (x)", GV_MAIL_BOUNCED,
     true},
    {PREFIX "smtp[1]: 4F2A91: to=<a@b>" REST "sent (", ")", GV_MAIL_DELIVERED, false},
    {PREFIX "qmgr[1]: 4F2A91: from=<\"", "\"@b>, status=expired, returned to sender",
     GV_MAIL_EXPIRED, true},
    {PREFIX "smtpd[1]: NOQUEUE: reject: RCPT from x[198.51.100.7]: 554 x; helo=<", ">",
     GV_MAIL_REJECTED, false},
    {PREFIX "cleanup[1]: 4F2A91: warning: header Subject: ", " from x[198.51.100.7];",
     GV_MAIL_REJECT_WARNINGS, false},
    {PREFIX "smtpd[1]: 4F2A91: client=x[198.51.100.7], sasl_method=PLAIN, sasl_username=", "",
     GV_MAIL_RECEIVED, false},
    {PREFIX "cleanup[1]: 4F2A91: message-id=<", ">", -1, false},
    {PREFIX "postscreen[1]: PREGREET 9 after 0 from [198.51.100.7]:9: ", "", -1, false},
};

static void feed_chosen(struct gv_reader *reader, struct gv_mail_flow *flow, unsigned where,
                        const char *text, size_t size)
{
    const struct frame *frame = &frames[where];
    size_t before = strlen(frame->before), after = strlen(frame->after), at = before;

    if (size > 2000)
        return;
    char *line = malloc(before + 2 * size + after);
    fuzz_must(line != NULL);
    memcpy(line, frame->before, before);
    for (size_t i = 0; i < size; i++) {
        /* As Postfix prints it. */
        if (frame->quoted && (text[i] == '"' || text[i] == '\\'))
            line[at++] = '\\';
        line[at++] = (unsigned char)text[i] < ' ' || text[i] == 0x7f ? '?' : text[i];
    }
    memcpy(line + at, frame->after, after);
    fuzz_lines(line, at + after, feed, reader);
    free(line);
    for (int i = 0; i < GV_MAIL_LOGINS; i++)
        fuzz_must(gv_mail_flow_count(flow, (enum gv_mail_count)i) == (i == frame->which));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gv_mail_flow_config config = {.key = 7, .on_count = on_count};
    struct gv_reader_config reader_config = {.key = "fuzz key 123456"};
    struct gv_mail_queue queue;

    if (size == 0)
        return 0;
    memset(told, 0, sizeof told);
    struct gv_mail_flow *flow = gv_mail_flow_new(&config);
    reader_config.flow = flow;
    struct gv_reader *reader = gv_reader_new(&reader_config);
    fuzz_must(flow && reader);
    if (data[0] >= '0' && data[0] <= '9')
        feed_chosen(reader, flow, (unsigned)(data[0] - '0'), (const char *)data + 1, size - 1);
    else
        fuzz_lines((const char *)data, size, feed, reader);
    for (int i = 0; i < GV_MAIL_COUNT_MAX; i++)
        fuzz_must(told[i] == (int64_t)gv_mail_flow_count(flow, (enum gv_mail_count)i));
    gv_mail_flow_queue(flow, &queue);
    fuzz_must(queue.messages <= GV_MAIL_MESSAGES);
    gv_reader_free(reader);
    gv_mail_flow_free(flow);
    return 0;
}
