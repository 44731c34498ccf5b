/* Cyrus' and saslauthd's lexers. The first byte chooses: the rest is a log of lines, or it is what
 * a client may choose (a user name, a mechanism, a realm) inside a genuine line, which must then be
 * about the true client or about nobody, and say nothing of the attempt of another. */
#include "lexer.h"

#define T      "Nov 22 02:38:26 vm "
#define C      "cyrus/imap[9]: badlogin: [198.51.100.7] "
#define DETAIL ") [SASL(-13): authentication failure: checkpass failed]"

/* `most` is what Cyrus cuts it to. */
static const struct fuzz_frame frames[] = {
    {T C "plaintext (", DETAIL, .most = 80, .tells = ONE_AT_MOST},
    {T C "plaintext (", ") invalid user", .most = 1024, .tells = ONE_AT_MOST},
    {T C, " (-notset-) [SASL(-4): no mechanism available: Couldn't find mech]", .most = 1024,
     .refused = " ", .tells = ONE_AT_MOST},
    {T "cyrus/pop3[9]: badlogin: c.test [198.51.100.7] PLAIN (", ") [authentication failure]",
     .most = 80, .tells = ONE_AT_MOST},
    {T C "PLAIN (x) [SASL(-13): authentication failure: cross-realm login ", " denied]", .most = 80,
     .tells = ONE_AT_MOST},
    {T "cyrus/sieve[9]: badlogin: [198.51.100.7] ", " no mechanism available", .most = 1024,
     .tells = ONE_AT_MOST},
    {T "cyrus/nntp[9]: badlogin: [198.51.100.7] plaintext ", " invalid user", .most = 1024,
     .tells = ONE_AT_MOST},
    {T "cyrus/http[9]: badlogin: [198.51.100.7] Basic ",
     " SASL(-13): authentication failure: checkpass failed", .most = 1024, .tells = ONE_AT_MOST},
    {T "saslauthd[9]: do_auth         : auth failure: [user=",
     "] [service=imap] [realm=] [mech=pam] [reason=PAM auth error]", .most = 256, .tells = NOTHING},
    {T "cyrus/imap[9]: login: [198.51.100.7] anonymous ", "", .most = 500, .tells = NOTHING},
};

/* The attempt of another client right behind is what its own line says. */
static void check_bystander(struct gv_reader *reader)
{
    static const char line[] = T "cyrus/imap[10]: badlogin: [203.0.113.9] plaintext (alice" DETAIL;
    struct gv_reading out[GV_READINGS_MAX];

    fuzz_must(gv_reader_line(reader, out, line, sizeof line - 1, NOW_MS) == 1);
    fuzz_must(out[0].observation.kind == GV_KIND_UNSPECIFIED && !out[0].observation.success);
    fuzz_must(out[0].observation.attempts == 1 && out[0].observation.new_visit);
}

static const struct fuzz_lexer lexer = {
    .frames = frames,
    .frame_count = sizeof frames / sizeof *frames,
    .first = '0',
    .last = '9',
    .instead = '?',
    .other_services = true, /* nntp, http */
    .behind = check_bystander,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_lexer(&lexer, data, size);
}
