/* Exim's lexer. A first byte of a to z chooses what the rest is: what a client may choose (a HELO
 * name, a user name, a command, ...) inside a genuine line, which must then be about the true
 * client or about nobody. With any other first byte it is a log of lines. */
#include "lexer.h"

#define S    "2026-11-22 02:36:26 "
#define L    "Nov 22 02:36:26 mx exim[24320]: "
#define C    "[198.51.100.7]"
#define FAIL "login authenticator failed for "
#define BAD  ": 535 Incorrect authentication data"
#define NOT  " AUTH command used when not advertised"
#define M    "1xV26K-000039-0k <= "
/* Exim escapes control characters nearly everywhere; what it never lets through is a line's end. A
 * name of the DNS is checked by dns_check_names_pattern. */
#define DNS " ()"

/* What a client may choose, inside a genuine line of 198.51.100.7. */
static const struct fuzz_frame frames[] = {
    {S FAIL "(x) " C BAD " (set_id=", ")", .failure = true},
    {L FAIL C BAD " (set_id=", ")", .failure = true},
    {S FAIL "(", ") " C BAD " (set_id=alice)", .failure = true},
    {L S "[1] " FAIL "mx.test (", ") " C ":4711 I=[192.0.2.25]:25" BAD, .failure = true},
    {S FAIL "(x) " C " U=", BAD, .failure = true},
    {S FAIL, " " C BAD, .refused = DNS, .failure = true},
    {S FAIL, " (x) " C BAD, .refused = DNS, .failure = true},
    {S "SMTP protocol error in \"AUTH ", "\" H=(x) " C NOT, .failure = true},
    {S "SMTP protocol error in \"AUTH X\" H=(", ") " C NOT, .failure = true},
    {S "SMTP protocol error in \"AUTH X\" H=(x) " C " U=", NOT, .failure = true},
    {S "SMTP syntax error in \"AUTH ",
     "\" H=" C " invalid character in authentication mechanism name", .failure = true},
    {S "SMTP protocol error in \"AUTH X\" H=", " " C NOT, .refused = DNS, .failure = true},
    {S M "a@b H=(", ") " C " P=esmtp S=353", .failure = true},
    {S M "a@b H=(x) " C " U=", " P=esmtp S=353", .failure = true},
    {S M "\"", "\"@x H=(x) " C " P=esmtp S=353", .failure = true},
    {S M "a@b H=(x) " C " P=esmtp S=353 T=\"", "\"", .failure = true},
    {S M "a@b H=(x) " C " P=esmtpsa X=T DN=\"", "\" A=l:a S=3", .tells = ANYTHING},
    {S M "a@b H=", " " C " P=esmtp S=353", .refused = DNS, .failure = true},
    {S "no MAIL in SMTP connection from (", ") " C " D=0s C=EHLO", .failure = true},
    {S "H=(", ") " C " rejected EHLO: x", .failure = true},
    {S "ETRN ", " received from (x) " C, .failure = true},
    {S "rejected EHLO from " C ": syntactically invalid argument(s): ", "", .failure = true},
    {S "VRFY failed for ", " H=(x) " C, .failure = true},
    {S "H=(x) " C " F=<\"", "\"@x> rejected RCPT <a@b>: no", .failure = true},
};

static const struct fuzz_lexer lexer = {
    .frames = frames,
    .frame_count = sizeof frames / sizeof *frames,
    .first = 'a',
    .last = 'z',
    .instead = '?',
    .controls = true,
    .mta = GV_MTA_EXIM,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_lexer(&lexer, data, size);
}
