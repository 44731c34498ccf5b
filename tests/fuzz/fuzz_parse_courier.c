/* Courier's lexer. The first byte chooses: the rest is a log of lines, or it is what a client may
 * choose (a user name, a method, an SMTP command, an identd's answer) inside a genuine line, which
 * must then be about the true client or about nobody, also where a buffer has cut it off. */
#include "lexer.h"

#define T     "Nov 22 02:38:26 vm "
#define REAL  ", ip=[::ffff:198.51.100.7], port=[4000]"
#define RELAY T "courieresmtpd: error,relay=::ffff:198.51.100.7,port=4000"
#define BAD   ",msg=\"535 Authentication failed.\",cmd: AUTH "

/* `cut` is courierlogger's buffer, without "INFO: "; esmtpd's own. */
static const struct fuzz_frame frames[] = {
    {T "imapd: LOGIN FAILED, user=", REAL, .cut = 505, .tells = ONE_AT_MOST},
    {T "pop3d-ssl: LOGIN FAILED, user=", REAL, .cut = 505, .tells = ONE_AT_MOST},
    {T "imapd: LOGIN FAILED, method=", REAL, .cut = 505, .tells = ONE_AT_MOST},
    {T "imapd: LOGIN FAILED, user=", ", ip=[::ffff:198.51.100.7]", .cut = 505,
     .tells = ONE_AT_MOST},
    {T "imapd: LOGIN, user=", REAL ", protocol=IMAP, starttls=1", .cut = 505, .tells = ONE_AT_MOST},
    {T "imapd: DISCONNECTED, user=", REAL ", headers=0, body=0, rcvd=0, sent=1, time=2", .cut = 505,
     .tells = NOTHING},
    {T "imapd: LOGIN: ip=[::ffff:198.51.100.7], command=", "", .cut = 505, .tells = NOTHING},
    {RELAY BAD, "", .cut = 1000, .tells = ONE_AT_MOST},
    {RELAY ",ident=\"", "\",msg=\"550 User unknown.\",cmd: RCPT TO:<x>", .cut = 1000,
     .refused = "\"", .tells = NOTHING},
    {RELAY ",msg=\"550 User unknown.\",cmd: MAIL FROM:<", ">", .cut = 1000, .tells = NOTHING},
};

/* The attempt of another client right behind is what its own line says. */
static void check_bystander(struct gv_reader *reader)
{
    static const char line[] =
        T "pop3d: LOGIN FAILED, user=alice, ip=[::ffff:203.0.113.9], port=[1]";
    struct gv_reading out[GV_READINGS_MAX];

    fuzz_must(gv_reader_line(reader, out, line, sizeof line - 1, NOW_MS) == 0);
    fuzz_must(gv_reader_flush(reader, out) == 1);
    fuzz_must(out[0].observation.kind == GV_KIND_UNSPECIFIED && !out[0].observation.success);
    fuzz_must(out[0].observation.attempts == 1 && out[0].observation.new_visit);
}

static const struct fuzz_lexer lexer = {
    .frames = frames,
    .frame_count = sizeof frames / sizeof *frames,
    .first = '0',
    .last = '9',
    .instead = '.',
    .stamp = sizeof T - 1,
    .behind = check_bystander,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_lexer(&lexer, data, size);
}
