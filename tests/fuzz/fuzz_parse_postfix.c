/* Postfix's lexer. The first byte chooses: the rest is a log of lines, or it is what a client may
 * choose (a user name, a mechanism, a host name, a HELO) inside a genuine line, which must then be
 * about the true client or about nobody. */
#include "lexer.h"

#define PREFIX "Nov 22 02:36:26 vm postfix/smtpd[24320]: "

/* Control characters are '?' when Postfix logs them; a host name has no blank. */
static const struct fuzz_frame frames[] = {
    {PREFIX "warning: unknown[198.51.100.7]: SASL LOGIN authentication failed: (reason "
            "unavailable), sasl_username=",
     "", .tells = ANYTHING},
    {PREFIX "warning: unknown[198.51.100.7]: SASL ",
     " authentication failed: Invalid authentication mechanism", .tells = ANYTHING},
    {PREFIX "warning: ", "[198.51.100.7]: SASL LOGIN authentication failed: x", .refused = " "},
    {PREFIX "NOQUEUE: reject: RCPT from unknown[198.51.100.7]: 454 4.7.1 x; proto=ESMTP helo=<",
     ">", .tells = ANYTHING},
    {PREFIX "disconnect from ", "[198.51.100.7] ehlo=1 auth=0/1 quit=1 commands=2/3",
     .refused = " "},
    {PREFIX "4F2A91: client=", "[198.51.100.7], sasl_method=PLAIN, sasl_username=x",
     .refused = " "},
    {PREFIX "4F2A91: client=c[198.51.100.7], sasl_method=PLAIN, sasl_username=", "",
     .tells = ANYTHING},
    {PREFIX "lost connection after AUTH from ", "[198.51.100.7]", .refused = " "},
};

static const struct fuzz_lexer lexer = {
    .frames = frames,
    .frame_count = sizeof frames / sizeof *frames,
    .first = '0',
    .last = '9',
    .instead = '?',
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_lexer(&lexer, data, size);
}
