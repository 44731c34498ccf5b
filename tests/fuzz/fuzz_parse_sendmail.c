/* Sendmail's lexer. A first byte of a to z chooses what the rest is: what a client may choose (a
 * user name, a mechanism, a command, ...) inside a genuine line, which must then be about the true
 * client or about nobody. With any other first byte it is a log of lines. */
#include "lexer.h"

#define P   "Nov 22 02:36:26 mx sm-mta[24320]: "
#define ID  "5AM2aQ5D024320: "
#define C   "client.ex.test [198.51.100.7]"
#define BAD "authentication failure (-13) SASL(-13): authentication failure: checkpass failed"
/* Sendmail writes control characters as backslash and digits. A name of the DNS has none of the
 * characters that res_hnok() of libc refuses. */
#define DNS " ()[],;<>\""

/* What a client may choose, inside a genuine line of 198.51.100.7. */
static const struct fuzz_frame frames[] = {
    {P ID "AUTH failure (LOGIN): " BAD ", user=", ", relay=" C, .failure = true},
    {P ID "AUTH failure (PLAIN): " BAD ", user=", ", relay=[198.51.100.7] (may be forged)",
     .failure = true},
    {P ID "AUTH failure (X): bad protocol / cancel (-5) ", ", relay=" C, .failure = true},
    {P ID "AUTH failure (", "): " BAD ", user=x, relay=" C, .failure = true},
    {P ID "AUTH failure (PLAIN): " BAD ", user=x, relay=", " [198.51.100.7]", .refused = DNS,
     .failure = true},
    {P ID "AUTH decode64 error [-5 for \"", "\"], relay=" C, .failure = true},
    {P ID "AUTH encode64 error [-5 for \"", "\"], relay=" C, .failure = true},
    {P ID "AUTH encode64 error [-5 for \"", "\"]", .failure = true},
    {P "AUTH=server, relay=" C ", authid=", ", mech=PLAIN, bits=0", .tells = ANYTHING},
    {P "AUTH=server, relay=", " [198.51.100.7], authid=a, mech=PLAIN, bits=0", .refused = DNS},
    {P ID, " [198.51.100.7]: possible SMTP attack: command=AUTH, count=7", .refused = DNS,
     .failure = true},
    {P ID "lost input channel from ", " [198.51.100.7] to MTA after auth", .refused = DNS,
     .failure = true},
    {P ID "lost input channel from [198.51.100.7] to MTA after ", "", .failure = true},
    {P ID "[198.51.100.7]: ", "", .failure = true},
    {P ID "[198.51.100.7]: probable open proxy: command=", "", .failure = true},
    {P ID "<-- ", "", .failure = true},
    {P ID "SMTP AUTH command (", ") from " C " tempfailed (due to previous checks)",
     .failure = true},
    {P ID "from=<", ">, size=1, daemon=MTA, relay=" C, .failure = true},
    {P ID "ruleset=check_rcpt, arg1=<", ">, relay=" C ", reject=550 5.7.1 x", .failure = true},
    {P ID "invalid domain name (", ") from " C, .failure = true},
    {P ID "AUTH failure (LOGIN): " BAD ", user=x, relay=", " [198.51.100.7]", .refused = DNS,
     .failure = true},
    {P ID C ": VRFY ", "", .tells = NOTHING},
    {P "NOQUEUE: connect from ", " [198.51.100.7]", .refused = DNS, .tells = NOTHING},
};

static const struct fuzz_lexer lexer = {
    .frames = frames,
    .frame_count = sizeof frames / sizeof *frames,
    .first = 'a',
    .last = 'z',
    .instead = '?',
    .mta = GV_MTA_SENDMAIL,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_lexer(&lexer, data, size);
}
