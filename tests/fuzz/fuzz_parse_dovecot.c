/* Dovecot's lexer. The first byte chooses: the rest is a log of lines, or it is what a client may
 * choose (a user name, a mechanism, a password) inside a genuine line, which must then be about the
 * true client or about nobody; what the auth service says about a forged address must not even
 * change the kind of that address's own attempt. */
#include "lexer.h"

#define PREFIX "Nov 22 02:36:26 vm dovecot: "
#define TAIL   ", method=PLAIN, rip=198.51.100.7, lip=192.0.2.25, session=<TQRlYtRg0aDGM2QH>"

static const struct fuzz_frame frames[] = {
    {PREFIX "imap-login: Disconnected: x (auth failed, 1 attempts in 2 secs): user=<", ">" TAIL,
     .most = 80},
    {PREFIX "pop3-login: Login aborted: x (auth failed, 1 attempts in 2 secs) (auth_failed): "
            "user=<",
     ">" TAIL, .most = 80},
    {PREFIX "imap-login: Login: user=<", ">" TAIL, .most = 80},
    {PREFIX "imap-login: Authenticate ",
     " failed: Unsupported authentication mechanism.: "
     "user=<>" TAIL,
     .most = 64},
    {PREFIX "auth: sql(", ",198.51.100.7): Password mismatch", .most = 64},
    {PREFIX "auth(", ",198.51.100.7,sasl:plain)<Gas4>: sql: unknown user", .most = 64},
    {PREFIX "auth: sql(x,198.51.100.7): Password mismatch (given password: ", ")", .most = 1024},
    {PREFIX "auth: login(?,198.51.100.7): Username character disallowed by "
            "auth_username_chars: 0x5d (username: ",
     ")", .most = 128},
    {PREFIX "auth-worker(", ",198.51.100.7,sasl:login)<7>: request [3]: sql: unknown user",
     .most = 64},
    {"Nov 22 02:36:26 auth(", ",198.51.100.7,sasl:plain)<Gas4>: Info: sql: Password mismatch",
     .most = 64},
};

/* An attempt of another client right behind: nothing is known about it. */
static void check_bystander(struct gv_reader *reader)
{
    static const char line[] =
        "Nov 22 02:36:27 vm postfix/smtpd[9]: warning: unknown[203.0.113.9]: SASL LOGIN "
        "authentication failed: (reason unavailable)";
    struct gv_reading out[GV_READINGS_MAX];

    fuzz_must(gv_reader_line(reader, out, line, sizeof line - 1, NOW_MS) == 1);
    fuzz_must(out[0].observation.kind == GV_KIND_UNSPECIFIED && !out[0].observation.refused);
}

static const struct fuzz_lexer lexer = {
    .frames = frames,
    .frame_count = sizeof frames / sizeof *frames,
    .first = '0',
    .last = '9',
    .instead = '?',
    .behind = check_bystander,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_lexer(&lexer, data, size);
}
