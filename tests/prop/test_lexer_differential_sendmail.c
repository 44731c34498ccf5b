/* Sendmail's lexer against a slow, obvious matcher, written from SPEC 10.2 and 10.4: POSIX regular
 * expressions that take the whole line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../unit/helper_differential.h"

/* ---- the reference ---- */

#define ID "^([A-Za-z0-9]{1,32}: )?"

enum {
    FAILURE,
    CODE64,
    SERVER,
    LOST,
    ATTACK,
    FROM,
    IDLE,
    MET,
    COMMAND,
    CLIENT,
    CUT,
    OPENING,
    USER,
    PATTERNS
};

static struct pattern patterns[PATTERNS] = {
    [FAILURE] = {ID "AUTH failure \\([A-Za-z0-9_-]{1,20}\\): (.*), relay=(.*)$", {0}},
    [CODE64] = {ID "AUTH (de|en)code64 error \\[.*, relay=(.*)$", {0}},
    [SERVER] = {"^AUTH=server, relay=([^,]*), authid=(.*), mech=", {0}},
    [LOST] = {ID "lost input channel from ([^ ]* ?\\[[^]]*\\]( \\(may be forged\\))?) to( .*)? "
                 "after auth$",
              {0}},
    [ATTACK] = {ID "(.*): possible SMTP attack: command=AUTH, count=([0-9]{1,9})$", {0}},
    [FROM] = {"^[A-Za-z0-9]{1,32}: from=(.*), relay=(.*)$", {0}},
    [IDLE] = {ID "(.*) did not issue MAIL/EXPN/VRFY/ETRN during connection to [^ ]+$", {0}},
    [MET] = {"^[A-Za-z0-9]{1,32}: connect from (.*)$", {0}},
    [COMMAND] = {"^[A-Za-z0-9]{1,32}: ([^]]*\\]( \\(may be forged\\))?): "
                 "([Vv][Rr][Ff][Yy]|[Ee][Xx][Pp][Nn]|[Ee][Tt][Rr][Nn]) (.+)$",
                 {0}},
    [CUT] = {"^([^][ ,]*[^][ ,:])( (\\[[^]]*)?)?$", {0}},
    [OPENING] = {"^([A-Za-z0-9]{1,32}): ", {0}},
    [CLIENT] = {"^(([^][ ,]*[^][ ,:]) )?\\[(IPv6:)?([^]]*)\\]( \\(may be forged\\))?$", {0}},
    [USER] = {"^(.*), user=(.*)$", {0}},
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

/* A name is of these characters, and of none that is not ASCII otherwise. */
static bool is_name(const char *text, const regmatch_t *group)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "!#$%&'*+-./^_`{|}~@:\\";

    for (regoff_t i = group->rm_so; i < group->rm_eo; i++)
        if ((unsigned char)text[i] < 0x80 && !strchr(allowed, text[i]))
            return false;
    return true;
}

static bool reference_client(struct gv_parsed *p, const char *text, const regmatch_t *group)
{
    struct gv_span span = group_span(text, group);
    char client[1200];
    regmatch_t g[GROUPS];

    snprintf(client, sizeof client, "%.*s", (int)span.len, span.at);
    if (span.len > 100)
        p->origin = (struct gv_span){span.at, 100};
    return pattern_match(&patterns[CLIENT], client, g) &&
           (g[2].rm_so < 0 || is_name(client, &g[2])) && group_address(&p->address, client, &g[4]);
}

/* The same, or the first 100 bytes of a longer one. */
static bool reference_relay(struct gv_parsed *p, const char *text, const regmatch_t *group)
{
    struct gv_span span = group_span(text, group);
    char client[1200];
    regmatch_t g[GROUPS];

    if (reference_client(p, text, group))
        return true;
    snprintf(client, sizeof client, "%.*s", (int)span.len, span.at);
    memset(&p->address, 0, sizeof p->address);
    p->said = GV_SAID_UNNAMED;
    p->origin = span;
    return span.len == 100 && pattern_match(&patterns[CUT], client, g) && is_name(client, &g[1]);
}

/* Of interest where other lines have only 100 bytes of the client. */
static bool reference_naming(struct gv_parsed *p, const char *text, const regmatch_t *group)
{
    p->said = GV_SAID_CLIENT;
    return group_span(text, group).len > 100 && reference_client(p, text, group);
}

/* By the words in front of the number. */
static void reference_reason(struct gv_parsed *p, const char *reason)
{
    static const struct {
        const char *words;
        uint8_t blame, kind;
    } table[] = {
        {"generic failure (", GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED},
        {"no memory available (", GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED},
        {"transient failure (", GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED},
        {"overflowed buffer (", GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED},
        {"another step is needed in authentication (", GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED},
        {"remote authentication server unavailable (", GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED},
        {"SASL library is not initialized (", GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED},
        {"version mismatch with plug-in (", GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED},
        {"error when parsing configuration file (", GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED},
        {"account disabled (", GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED},
        {"passphrase expired, has to be reset (", GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED},
        {"passphrase locked (", GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED},
        {"authorization failure (", GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED},
        {"user exists, but no verifier for user (", GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED},
        {"One time use of a plaintext password will enable requested mechanism for user (",
         GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED},
        {"no mechanism available (", GV_BLAME_CLIENT, GV_KIND_BAD_MECHANISM},
        {"mechanism too weak for this user (", GV_BLAME_CLIENT, GV_KIND_BAD_MECHANISM},
        {"encryption needed to use mechanism (", GV_BLAME_CLIENT, GV_KIND_BAD_MECHANISM},
        {"mechanism doesn't support requested feature (", GV_BLAME_CLIENT, GV_KIND_BAD_MECHANISM},
        {"bad protocol / cancel (", GV_BLAME_CLIENT, GV_KIND_PROTOCOL},
        {"user not found (", GV_BLAME_CLIENT, GV_KIND_UNKNOWN_ACCOUNT},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strncmp(reason, table[i].words, strlen(table[i].words)) == 0) {
            p->blame = table[i].blame;
            p->kind = table[i].kind;
        }
}

static bool reference_failure(struct gv_parsed *p, const char *text, const regmatch_t *g)
{
    struct gv_span said = group_span(text, &g[2]);
    char words[1200];
    regmatch_t in[GROUPS];

    snprintf(words, sizeof words, "%.*s", (int)said.len, said.at);
    reference_reason(p, words);
    if (pattern_match(&patterns[USER], words, in))
        p->account = group_span(said.at, &in[2]);
    return reference_relay(p, text, &g[3]);
}

static bool reference(struct gv_parsed *p, const char *text)
{
    regmatch_t g[GROUPS];

    memset(p, 0, sizeof *p);
    p->said = GV_SAID_FAILURE;
    p->kind = GV_KIND_UNSPECIFIED;
    p->service = GV_SERVICE_SMTP;
    p->attempts = 1;
    if (pattern_match(&patterns[OPENING], text, g))
        p->session = group_span(text, &g[1]);
    if (pattern_match(&patterns[FAILURE], text, g))
        return reference_failure(p, text, g);
    if (pattern_match(&patterns[CODE64], text, g)) {
        p->kind = text[g[2].rm_so] == 'd' ? GV_KIND_PROTOCOL : GV_KIND_UNSPECIFIED;
        p->blame = text[g[2].rm_so] == 'd' ? GV_BLAME_CLIENT : GV_BLAME_BACKEND;
        return reference_relay(p, text, &g[3]);
    }
    if (pattern_match(&patterns[SERVER], text, g)) {
        p->said = GV_SAID_SUCCESS;
        p->account = group_span(text, &g[2]);
        return reference_client(p, text, &g[1]);
    }
    if (pattern_match(&patterns[LOST], text, g)) {
        const char *daemon = text + g[2].rm_eo;
        p->said = GV_SAID_DROP;
        p->kind = GV_KIND_ABORTED;
        if (strstr(daemon, "MSA") || strstr(daemon, "MSP") || strstr(daemon, "587") ||
            strstr(daemon, "465") || strstr(daemon, "submission"))
            p->service = GV_SERVICE_SUBMISSION;
        return reference_client(p, text, &g[2]);
    }
    if (pattern_match(&patterns[ATTACK], text, g)) {
        unsigned long all = strtoul(text + g[3].rm_so, NULL, 10);
        p->said = GV_SAID_COUNTS;
        p->kind = GV_KIND_ABORTED;
        p->auth_all = all > 0 ? (uint32_t)all - 1 : 0;
        return reference_client(p, text, &g[2]);
    }
    if (pattern_match(&patterns[FROM], text, g))
        return reference_naming(p, text, &g[2]);
    if (pattern_match(&patterns[IDLE], text, g))
        return reference_naming(p, text, &g[2]);
    if (pattern_match(&patterns[COMMAND], text, g))
        return !strstr(text + g[4].rm_so, "... ") && reference_naming(p, text, &g[1]);
    if (pattern_match(&patterns[MET], text, g)) {
        bool named = reference_naming(p, text, &g[1]);
        p->said = GV_SAID_MET;
        return named;
    }
    return false;
}

/* ---- both ---- */

static unsigned agreed_on_something, agreed_on[GV_SAID_QUOTE + 1];

static void compare(const char *text)
{
    struct gv_line line = {.text = text, .text_len = strlen(text), .tag = "sm-mta", .tag_len = 6};
    struct gv_parsed fast, slow;
    bool ours = gv_parse_sendmail(&fast, &line, false), theirs = reference(&slow, text);

    must_agree(text, ours ? &fast : NULL, theirs ? &slow : NULL);
    agreed_on_something += ours;
    if (ours)
        agreed_on[fast.said]++;
}

/* ---- lines ---- */

static const char *const ids[] = {"5AM2aQ5D024320: ", "NOQUEUE: ", "", "5AM2[2]: ", "x y: "};
#define LONG                                                                                       \
    "a-name-that-leaves-little-of-its-own-address.when-some-lines-have-only-a-hundred-bytes.ex.te"
static const char *const clients[] = {"[198.51.100.7]",
                                      "client.ex.test [198.51.100.7]",
                                      "client.ex.test [198.51.100.7] (may be forged)",
                                      "IDENT:a@client.ex.test [IPv6:2001:db8::7]",
                                      "[IPv6:2001:db8:0:0:0:0:0:7]",
                                      "root@localhost",
                                      "x [203.0.113.9] [198.51.100.7]",
                                      "a,b [198.51.100.7]",
                                      "a: [198.51.100.7]",
                                      "<-- [198.51.100.7]",
                                      "caf\xc3\xa9 [198.51.100.7]",
                                      "[198.51.100.256]",
                                      LONG " [198.51.100.7]",
                                      LONG " [IPv6:2001:db8::7] (may be forged)",
                                      LONG ".longer.test [198.51.100.7]",
                                      LONG "] [198.51.100.7]",
                                      "[]"};
static const char *const mechanisms[] = {"LOGIN", "PLAIN", "CRAM-MD5",
                                         "x y",   "",      "AAAAAAAAAAAAAAAAAAAAAAAAA"};
static const char *const reasons[] = {
    "authentication failure (-13) SASL(-13): authentication failure: checkpass failed",
    "user not found (-20) SASL(-13): user not found: checkpass failed",
    "generic failure (-1) SASL(-1): generic failure: x",
    "no mechanism available (-4) x",
    "bad protocol / cancel (-5) x, relay=[203.0.113.9]",
    "transient failure (e.g., weak key) (-8) x",
    "account disabled (-21) x, user=y",
    "user not found",
    "encryption needed to use mechanism (-16)",
    ""};
static const char *const users[] = {"",
                                    ", user=alice",
                                    ", user=",
                                    ", user=x, relay=[203.0.113.9]",
                                    ", user=x, user=y",
                                    ", user=generic failure (-1)",
                                    ", user=x, mech=PLAIN, relay=e.test [203.0.113.9]"};
/* Sendmail's "%.100s" */
static const char *cut(const char *client)
{
    static char out[101];

    snprintf(out, sizeof out, "%s", client);
    return out;
}

static const char *const daemons[] = {"MTA", "MSA", "MSP-v4", "inet-587", "x to y", "submission"};

static const char *const commands[] = {"VRFY root",
                                       "expn x [rejected]",
                                       "ETRN #q",
                                       "VRFY x... User unknown",
                                       "VRFY " LONG " [203.0.113.9]: VRFY x",
                                       "VRFY",
                                       "NOOP x",
                                       "EXPN x: VRFY y"};

static void make(char *out, size_t size)
{
    switch (draw(11)) {
    case 0:
        snprintf(out, size, "%sAUTH %scode64 error [-5 for \"%s\"], relay=%s", PICK(ids),
                 draw(2) ? "de" : "en", PICK(users), cut(PICK(clients)));
        break;
    case 1:
        snprintf(out, size, "AUTH=server, relay=%s, authid=%s, mech=%s, bits=0", PICK(clients),
                 PICK(users), PICK(mechanisms));
        break;
    case 2:
        snprintf(out, size, "%slost input channel from %s to %s after auth", PICK(ids),
                 PICK(clients), PICK(daemons));
        break;
    case 3:
        snprintf(out, size, "%s%s: possible SMTP attack: command=AUTH, count=%u", PICK(ids),
                 PICK(clients), draw(12));
        break;
    case 4:
        snprintf(out, size, "%sfrom=<a%s@b>, size=0, class=0, nrcpts=0, relay=%s", PICK(ids),
                 PICK(users), PICK(clients));
        break;
    case 5:
        snprintf(out, size, "%s%s did not issue MAIL/EXPN/VRFY/ETRN during connection to %s",
                 PICK(ids), PICK(clients), PICK(daemons));
        break;
    case 6:
        snprintf(out, size, "%sconnect from %s", PICK(ids), PICK(clients));
        break;
    case 7:
        snprintf(out, size, "%s%s: %s", PICK(ids), PICK(clients), PICK(commands));
        break;
    default:
        snprintf(out, size, "%sAUTH failure (%s): %s%s, relay=%s", PICK(ids), PICK(mechanisms),
                 PICK(reasons), PICK(users), draw(4) ? cut(PICK(clients)) : PICK(clients));
    }
}

static void sendmail_lexer(void **state)
{
    char text[1024];
    unsigned rounds = 30000;

    agreed_on_something = 0;
    for (unsigned i = 0; i < rounds; i++) {
        make(text, sizeof text - 8);
        compare(text);
        mutate(text);
        compare(text);
    }
    /* A test that never matches would pass for ever. */
    assert_true(agreed_on_something > rounds / 10);
    assert_true(agreed_on[GV_SAID_UNNAMED] > rounds / 50);
    assert_true(agreed_on[GV_SAID_CLIENT] > rounds / 50);
    assert_true(agreed_on[GV_SAID_MET] > rounds / 200);
}

int main(void)
{
    draw_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sendmail_lexer),
    };

    return cmocka_run_group_tests(tests, compile, release);
}
