/* Dovecot's auth service, 2.3 and 2.4, against a slow, obvious matcher: POSIX regular expressions
 * over the whole of an identity, written from SPEC 10.3 and 10.4. Over lines made from the words
 * that the service logs, names that forge them, and mutations, both must say the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../unit/helper_differential.h"
#include "crypto/error.h"

/* ---- the reference -------------------------------------------------------------------------- */

enum { PROCESS_23, PROCESS_24, WORKER, ID_23, ID_24, CLOSED, DISALLOWED, PATTERNS };

#define ADDRESS "([0-9A-Fa-f:.]+(%[^,]*)?)"
#define SESSION "<([^<> ,]+)>"
static struct pattern patterns[PATTERNS] = {
    [PROCESS_23] = {.source = "^(auth|auth-worker|auth-worker\\([0-9]{1,9}\\)): "},
    [PROCESS_24] = {.source = "^(auth|auth-worker)\\("},
    [WORKER] = {.source = "^(Info: |conn unix:[^ ]* \\(pid=[0-9]{1,9},uid=[0-9]{1,9}\\): "
                          "auth-worker<[0-9]{1,9}>: )"},
    /* NAME(USER,ADDR[,master][,<SESSION>]) */
    [ID_23] = {.source = "^([A-Za-z0-9_-]+)\\((.*)," ADDRESS "(,master)?(," SESSION ")?\\)$"},
    /* auth(USER,ADDR[,sasl:MECH][,master])[<...>]...[: request [N]][[: Info]: NAME] */
    [ID_24] = {.source = "^(auth|auth-worker)\\((.*)," ADDRESS
                         "(,sasl:[A-Za-z0-9_-]+)?(,master)?\\)(" SESSION
                         ")*(: request \\[[0-9]*\\])?((: Info)?: ([A-Za-z0-9_-]+))?$"},
    /* What may stand between a verdict and the end of the line. */
    [CLOSED] = {.source = "^( \\(for LDAP bind\\)| \\(SHA1 of given password: "
                          "[0-9a-f]{1,40}\\))?$"},
    [DISALLOWED] = {.source = "^: Username character disallowed by auth_username_chars: "
                              "0x[0-9A-Fa-f]* \\(username: .*\\)$"},
};

static int compile(void **state)
{
    patterns_compile(patterns, PATTERNS);
    return 0;
}

static int release(void **state)
{
    patterns_free(patterns, PATTERNS);
    return 0;
}

static bool begins(const char *text, const char *word)
{
    return strncmp(text, word, strlen(word)) == 0;
}

static const char *last_of(const char *text, const char *word)
{
    const char *last = NULL;

    for (const char *at = text; (at = strstr(at, word)); at++)
        last = at;
    return last;
}

static void take_user(struct gv_parsed *out, struct gv_span user)
{
    out->account = user;
    if (user.len == 1 && user.at[0] == '?')
        out->account.len = 0;
}

/* Whether [at, end) is an identity as a whole, and whose. */
static bool identity(struct gv_parsed *out, const char *at, const char *end)
{
    char copy[2048];
    regmatch_t g[GROUPS];
    size_t len = (size_t)(end - at);
    struct gv_parsed found = *out;

    assert_true(len < sizeof copy);
    memcpy(copy, at, len);
    copy[len] = '\0';
    found.session = found.origin = (struct gv_span){NULL, 0};
    if (pattern_match(&patterns[ID_23], copy, g) && group_address(&found.address, copy, &g[3])) {
        found.origin = group_span(at, &g[1]);
        take_user(&found, group_span(at, &g[2]));
        found.session = group_span(at, &g[7]);
        *out = found;
        return true;
    }
    if (pattern_match(&patterns[ID_24], copy, g) && group_address(&found.address, copy, &g[3])) {
        found.origin = group_span(at, &g[12]);
        take_user(&found, group_span(at, &g[2]));
        found.session = group_span(at, &g[8]); /* the last of them */
        *out = found;
        return true;
    }
    return false;
}

static const struct spoken {
    const char *words;
    unsigned kind;
    enum gv_blame blame;
    const char
        *behind; /* instead of the line's end, if the words stand there once; NULL: nothing */
} spoken[] = {
    {": Password mismatch", GV_KIND_WRONG_PASSWORD, GV_BLAME_CLIENT, " (given password: "},
    {": unknown user", GV_KIND_UNKNOWN_ACCOUNT, GV_BLAME_CLIENT, " (given password: "},
    {": pam_authenticate() failed: Authentication failure (Password mismatch?)",
     GV_KIND_WRONG_PASSWORD, GV_BLAME_CLIENT, " (given password: "},
    {": Authentication failure due to policy server refusal", GV_KIND_UNSPECIFIED, GV_BLAME_POLICY,
     ": "},
    {": pam_authenticate() failed: System error", GV_KIND_UNSPECIFIED, GV_BLAME_BACKEND, NULL},
    {": pam_authenticate() failed: Error in service module", GV_KIND_UNSPECIFIED, GV_BLAME_BACKEND,
     NULL},
    {": pam_authenticate() failed: Memory buffer error", GV_KIND_UNSPECIFIED, GV_BLAME_BACKEND,
     NULL},
};
#define SPOKEN (sizeof spoken / sizeof *spoken)

static bool verdict_says(struct gv_parsed *out, const struct spoken *v, bool closed,
                         const char *text)
{
    regmatch_t g[GROUPS];
    const char *last = last_of(text, v->words);

    if (!last)
        return false;
    const char *after = last + strlen(v->words), *password = strstr(text, " (given password: ");
    if (closed && (!pattern_match(&patterns[CLOSED], after, g) || (password && password < last)))
        return false;
    if (!closed && (!v->behind || !begins(after, v->behind) || strstr(text, v->words) != last))
        return false;
    out->kind = (uint8_t)v->kind;
    out->blame = (uint8_t)v->blame;
    return identity(out, text, last);
}

/* The first identity in front of any ": ". */
static bool fault_says(struct gv_parsed *out, const char *text)
{
    out->kind = GV_KIND_UNSPECIFIED;
    out->blame = GV_BLAME_BACKEND;
    for (const char *end = text; (end = strstr(end, ": ")); end++)
        if (end > text && identity(out, text, end))
            return true;
    return false;
}

/* The identity in front of the first ": Error: ", and no other behind it. */
static bool error_says(struct gv_parsed *out, const char *text)
{
    const char *error = strstr(text, ": Error: ");
    struct gv_parsed other;

    out->kind = GV_KIND_UNSPECIFIED;
    out->blame = GV_BLAME_BACKEND;
    if (!error || !identity(out, text, error))
        return false;
    other = *out;
    for (const char *end = error + 1; (end = strstr(end, ": ")); end++)
        if (identity(&other, text, end) && other.account.len != out->account.len)
            return false;
    return true;
}

static bool disallowed_says(struct gv_parsed *out, const char *text)
{
    regmatch_t g[GROUPS];
    const char *end = strstr(text, ": ");

    if (!end || !pattern_match(&patterns[DISALLOWED], end, g))
        return false;
    const char *name = strstr(end, " (username: ");
    if (strstr(name, "): ") || strstr(name, ")<"))
        return false;
    out->kind = GV_KIND_UNKNOWN_ACCOUNT;
    out->blame = GV_BLAME_CLIENT;
    return identity(out, text, end) && out->account.len == 0;
}

static const char *without_worker(const char *text)
{
    regmatch_t g[GROUPS];

    return pattern_match(&patterns[WORKER], text, g) ? text + g[0].rm_eo : text;
}

static bool slow(struct gv_parsed *out, const char *text)
{
    regmatch_t g[GROUPS];

    memset(out, 0, sizeof *out);
    out->said = GV_SAID_HINT;
    out->service = GV_SERVICE_UNKNOWN;
    if (pattern_match(&patterns[PROCESS_23], text, g))
        text += g[0].rm_eo;
    else if (!pattern_match(&patterns[PROCESS_24], text, g))
        return false;
    text = without_worker(without_worker(text));
    if (begins(text, "Error: ") && text[7] != '\0')
        return fault_says(out, without_worker(text + 7));
    const char *open = strchr(text, '('), *colon = strstr(text, ": ");
    if (open && begins(open, "(?,"))
        return disallowed_says(out, text) ||
               (colon == strstr(text, ": Error: ") && error_says(out, text));
    for (int closed = 1; closed >= 0; closed--)
        for (size_t i = 0; i < SPOKEN; i++)
            if (verdict_says(out, &spoken[i], closed == 1, text))
                return true;
    return error_says(out, text);
}

/* ---- both ----------------------------------------------------------------------------------- */

static unsigned said_something, said[4];

static void compare(const char *text)
{
    struct gv_line line = {.text = text, .text_len = strlen(text)};
    struct gv_parsed ours, theirs;

    if (!begins(text, "auth"))
        return;
    bool fast = gv_parse_dovecot(&ours, &line, false), reference = slow(&theirs, text);
    must_agree(text, fast ? &ours : NULL, reference ? &theirs : NULL);
    if (!fast)
        return;
    if (ours.origin.len != theirs.origin.len ||
        (ours.origin.len > 0 && ours.origin.at != theirs.origin.at))
        fail_msg("%s\n  fast: origin '%.*s'\n  slow: origin '%.*s'", text, (int)ours.origin.len,
                 ours.origin.at, (int)theirs.origin.len, theirs.origin.at);
    said_something++;
    said[ours.blame == GV_BLAME_CLIENT ? ours.kind == GV_KIND_UNKNOWN_ACCOUNT : 1u + ours.blame]++;
    /* A half line never explains anything. */
    assert_false(gv_parse_dovecot(&ours, &line, true));
}

/* ---- lines ---------------------------------------------------------------------------------- */

static const char *const users[] = {"alice",
                                    "bob@example.org",
                                    "",
                                    "?",
                                    "a,203.0.113.9",
                                    "a,203.0.113.9,<s>): unknown user",
                                    "a): Password mismatch (x",
                                    "x,203.0.113.9)<7><s>: passwd-file: unknown user",
                                    "a,203.0.113.9): Error: x",
                                    "<b>",
                                    ",<s>",
                                    ",master",
                                    "a (given password: ",
                                    "caf\xc3\xa9 (",
                                    "a,::1,sasl:plain"};
static const char *const addresses[] = {"198.51.100.7",
                                        "2001:db8::7",
                                        "::ffff:198.51.100.7",
                                        "fe80::1%eth0",
                                        "198.51.100.256",
                                        "",
                                        "x"};
static const char *const sessions[] = {"",
                                       ",<TQRlYtRg0aDGM2QH>",
                                       ",<s>",
                                       ",master",
                                       ",<>",
                                       ",master,<s>",
                                       ",<s>,master",
                                       "<s>",
                                       ",<a b>",
                                       ",<a,b>",
                                       ",sasl:plain"};
static const char *const trails[] = {"",
                                     "<123>",
                                     "<123><TQRlYtRg0aDGM2QH>",
                                     "<s>",
                                     "<>",
                                     "<12>: request [7]",
                                     ": request [7]",
                                     ": request [x]",
                                     "<12><s>: request []"};
static const char *const mechanisms[] = {"",       ",sasl:plain",        ",sasl:cram-md5",
                                         ",sasl:", ",sasl:plain,master", ",master"};
static const char *const dbs[] = {"passwd-file", "sql", "pam", "x y", "", "ldap", "policy"};
static const char *const words[] = {
    "Password mismatch",
    "unknown user",
    "pam_authenticate() failed: Authentication failure (Password mismatch?)",
    "Authentication failure due to policy server refusal",
    "pam_authenticate() failed: System error",
    "pam_authenticate() failed: Error in service module",
    "Error: stat(/etc/dovecot/users) failed: Permission denied",
    "Username character disallowed by auth_username_chars: 0x2c (username: a)",
    ("Username character disallowed by auth_username_chars: 0x2c (username: a,1.2.3.4): unknown "
     "user)"),
    "Error: x(other,203.0.113.9): y",
    "unknown user: Password mismatch",
    "something else"};
static const char *const ends[] = {"",
                                   " (for LDAP bind)",
                                   " (SHA1 of given password: 0123456789abcdef)",
                                   " (SHA1 of given password: 0123456789ABCDEF)",
                                   " (given password: x)",
                                   " (given password: x): unknown user",
                                   " (given password: a,1.2.3.4): Password mismatch",
                                   ": too many",
                                   ": x: unknown user",
                                   " ",
                                   " (x)"};
static const char *const heads_23[] = {"auth: ", "auth-worker: ", "auth-worker(123): ",
                                       "auth-worker(x): ", "auth-worker(1234567890): "};
static const char *const levels[] = {
    "",
    "",
    "",
    "Info: ",
    "Error: ",
    "conn unix:auth-worker (pid=12,uid=0): auth-worker<7>: ",
    "conn unix:auth-worker (pid=12,uid=0): auth-worker<7>: Info: ",
    "Error: conn unix:auth-worker (pid=12,uid=0): auth-worker<7>: "};

static void make(char *out, size_t size)
{
    if (draw(2))
        snprintf(out, size, "%s%s%s(%s,%s%s): %s%s", PICK(heads_23), PICK(levels), PICK(dbs),
                 PICK(users), draw(3) ? addresses[draw(4)] : PICK(addresses),
                 draw(2) ? sessions[draw(3)] : PICK(sessions), PICK(words), PICK(ends));
    else
        snprintf(out, size, "%s(%s,%s%s)%s: %s%s%s%s%s", draw(3) ? "auth" : "auth-worker",
                 PICK(users), draw(3) ? addresses[draw(4)] : PICK(addresses), PICK(mechanisms),
                 draw(2) ? trails[draw(3)] : PICK(trails), draw(3) ? "" : "Info: ", PICK(dbs),
                 draw(8) ? ": " : "", PICK(words), PICK(ends));
}

static void auth_lexer(void **state)
{
    char text[1024];

    for (unsigned i = 0; i < 120000; i++) {
        make(text, sizeof text - 8);
        compare(text);
        mutate(text);
        compare(text);
    }
    print_message("%u lines say something: %u wrong password, %u unknown account, %u backend, %u "
                  "policy\n",
                  said_something, said[0], said[1], said[2], said[3]);
    /* A test that never matches would pass for ever. */
    for (size_t i = 0; i < 4; i++)
        assert_true(said[i] > 1000);
}

int main(void)
{
    draw_init();
    const struct CMUnitTest tests[] = {cmocka_unit_test(auth_lexer)};

    return cmocka_run_group_tests(tests, compile, release);
}
