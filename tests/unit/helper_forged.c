#include "helper_forged.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "helper_reader.h"

const char *const forged[FORGED_NAMES] = {
    "[203.0.113.9]",
    " [203.0.113.9] ",
    "x [203.0.113.9] y",
    "203.0.113.9",
    "x) [203.0.113.9] PLAIN (y",
    "x) invalid user [203.0.113.9] plaintext (y",
    "x) [SASL(-13): authentication failure: z] [203.0.113.9] PLAIN (y",
    "x) [203.0.113.9] [SASL(-13): authentication failure: z",
    "x) [SASL(-1): generic failure: [203.0.113.9] plaintext (y",
    "badlogin: [203.0.113.9] plaintext (y) [SASL(-13): authentication failure: x]",
    "x^Jcyrus/imap[1]: badlogin: [203.0.113.9] plaintext (y",
    "x\\nNov 22 02:38:26 vm cyrus/imap[1]: badlogin: [203.0.113.9] plaintext (y",
    "x, ip=[203.0.113.9]",
    "x, ip=[203.0.113.9], port=[1]",
    "x, ip=[::ffff:203.0.113.9], port=[1], protocol=IMAP",
    "x, ip=[203.0.113.9], port=[1], starttls=1",
    "x, ip=[203.0.113.9], port=[",
    "x, ip=[203.0.113.9",
    "x, ip=[",
    "x].LOGIN FAILED, user=y, ip=[203.0.113.9], port=[1]",
    "x\",msg=\"535 Authentication failed.\",cmd: AUTH LOGIN ",
    "error,relay=203.0.113.9,port=1,msg=\"535 Authentication failed.\",cmd: AUTH LOGIN x",
    "x, rip=203.0.113.9, lip=1.2.3.4",
    "unknown[203.0.113.9]: SASL LOGIN authentication failed: x",
    "x] [service=imap] [realm=] [mech=pam] [reason=internal mechanism failure]",
};

void expect(const char *line, const char *expected)
{
    const char *got = alone(line);

    if (strstr(got, "203.0.113") || strcmp(got, expected) != 0)
        fail_msg("%s\n  gave '%s'\n  not  '%s'", line, got, expected);
}

void expect_true_client(const char *server, const char *before, const char *after, size_t least)
{
    size_t counted = 0;
    char right[64];

    snprintf(right, sizeof right, "1 " FORGED_CLIENT " %s ", server);
    for (size_t i = 0; i < FORGED_NAMES; i++) {
        char line[1024];
        snprintf(line, sizeof line, "%s%s%s", before, forged[i], after);
        const char *got = alone(line);
        if (strstr(got, "203.0.113") || (*got && strncmp(got, right, strlen(right)) != 0) ||
            strchr(got, ';'))
            fail_msg("%s\n  gave '%s'", line, got);
        counted += *got != '\0';
    }
    if (counted < least)
        fail_msg("%s...%s: only %zu count", before, after, counted);
}
