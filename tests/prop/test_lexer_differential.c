/* The fast lexers against a slow, obvious matcher: POSIX regular expressions, anchored at both
 * ends, written from SPEC 10.2 and 10.4 and not from the lexers. Over lines made from the words
 * that servers log, and over mutations of them, both must say the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <regex.h>

#include "../unit/helper_differential.h"
#include "../unit/helper_reason.h"
#include "crypto/error.h"
#include "node/ingest/parse.h"

/* What both matchers say of a text. */
struct said {
    bool any;
    enum gv_said what;
    enum gv_blame blame;
    unsigned kind;
    enum gv_end end;
    uint32_t attempts, good, all;
    struct gv_ip_address address;
    unsigned service;
    const char *account;
    size_t account_len;
    struct gv_span session;
};

/* ---- the reference ---- */

enum {
    CONNECT,
    DISCONNECT,
    NO_AUTH,
    DROP,
    CLIENT,
    FAILED,
    ABORTED,
    ODD,
    COUNTS,
    AUTH,
    LOGIN_OK,
    LOGIN_END,
    SESSION,
    PATTERNS
};

/* A client: a name without blank or colon, the address in the last brackets, perhaps a port. */
#define WHO "[^ :]+\\[([^][ ]+)\\](:[0-9]+)?"
static const char *const sources[PATTERNS] = {
    [CONNECT] = "^connect from " WHO "$",
    [DISCONNECT] = "^disconnect from " WHO "(( [a-z0-9_]+=[0-9]{1,9}(/[0-9]{1,9})?)*)$",
    [NO_AUTH] = "^disconnect from " WHO " ",
    [DROP] = "^([A-Za-z0-9]{1,32}: )?(lost connection|timeout) after AUTH from " WHO "$",
    [CLIENT] = "^[A-Za-z0-9]{1,32}: client=" WHO ", sasl_method=[^ ,]*, sasl_username=(.+)$",
    [FAILED] = "^warning: " WHO ": SASL [A-Za-z0-9_-]{1,20} authentication failed:( (.*))?$",
    [ABORTED] = "^warning: " WHO ": SASL [A-Za-z0-9_-]{1,20} authentication aborted$",
    [ODD] = "^warning: " WHO ": SASL .* authentication failed: ",
    [COUNTS] = "^ [a-z0-9_]+=",
    [AUTH] = "^ auth=([0-9]+)(/([0-9]+))?",
    [LOGIN_OK] = "^(Info: )?(Login|Logged in): user=<(.+)>(, method=([^>]*))?$",
    [SESSION] = "<([^<> ,]+)>$",
    [LOGIN_END] = "^(Info: )?(Disconnected(:| \\()|Aborted login(:| \\()|Login aborted: )",
};
static regex_t patterns[PATTERNS];

static int compile(void **state)
{
    for (int i = 0; i < PATTERNS; i++)
        assert_int_equal(regcomp(&patterns[i], sources[i], REG_EXTENDED), 0);
    return 0;
}

static int release(void **state)
{
    for (int i = 0; i < PATTERNS; i++)
        regfree(&patterns[i]);
    return 0;
}

static bool match(int pattern, const char *text, regmatch_t groups[8])
{
    return regexec(&patterns[pattern], text, 8, groups, 0) == 0;
}

static bool address_at(struct gv_ip_address *out, const char *text, const regmatch_t *group)
{
    return gv_ip_address_parse(out, text + group->rm_so, (size_t)(group->rm_eo - group->rm_so)) ==
           GV_OK;
}

static bool starts_with(const char *text, const char *word)
{
    return strncmp(text, word, strlen(word)) == 0;
}

/* In any case of letters where Dovecot passes on what a passdb says. */
static void reference_reason(struct said *s, const char *reason)
{
    static const char *const backend[] = {"Connection lost to authentication server",
                                          "Can't connect to authentication server",
                                          "Authentication backend error",
                                          "Authentication request timed out",
                                          "generic failure",
                                          "no memory available",
                                          "remote authentication server unavailable",
                                          "another step is needed in authentication",
                                          "transient failure",
                                          "account disabled",
                                          "passphrase expired",
                                          "passphrase locked",
                                          "user disabled",
                                          "Login disabled for this user"};
    static const char *const backend_any_case[] = {
        "temporary authentication failure", "temporary internal failure", "password expired"};
    static const char *const mechanism[] = {
        "Invalid authentication mechanism", "no mechanism available",
        "mechanism too weak for this user", "encryption needed to use mechanism",
        "mechanism doesn't support requested feature"};

    s->kind = GV_KIND_UNSPECIFIED;
    for (size_t i = 0; i < sizeof backend / sizeof *backend; i++)
        if (starts_with(reason, backend[i]))
            s->blame = GV_BLAME_BACKEND;
    for (size_t i = 0; i < sizeof backend_any_case / sizeof *backend_any_case; i++)
        if (strncasecmp(reason, backend_any_case[i], strlen(backend_any_case[i])) == 0)
            s->blame = GV_BLAME_BACKEND;
    for (size_t i = 0; i < sizeof mechanism / sizeof *mechanism; i++)
        if (starts_with(reason, mechanism[i]))
            s->kind = GV_KIND_BAD_MECHANISM;
    if (starts_with(reason, GV_REFUSAL_TEXT) || starts_with(reason, "policy server refusal"))
        s->blame = GV_BLAME_POLICY;
    if (starts_with(reason, "Invalid base64 data in ") ||
        starts_with(reason, "bad protocol / cancel"))
        s->kind = GV_KIND_PROTOCOL;
    if (starts_with(reason, "user not found"))
        s->kind = GV_KIND_UNKNOWN_ACCOUNT;
}

static void reference_account(struct said *s, const char *text, size_t len)
{
    s->account = text;
    s->account_len = len;
    if (len == strlen("(unavailable)") && memcmp(text, "(unavailable)", len) == 0)
        s->account_len = 0;
}

static void reference_counts(struct said *s, const char *counts)
{
    regmatch_t g[8];

    for (; *counts; counts += 1 + strcspn(counts + 1, " "))
        if (match(AUTH, counts, g)) {
            s->good = (uint32_t)atol(counts + g[1].rm_so);
            s->all = g[3].rm_so >= 0 ? (uint32_t)atol(counts + g[3].rm_so) : s->good;
            if (s->all < s->good)
                s->all = s->good;
        }
}

static struct said reference_postfix(const char *text)
{
    struct said s = {.kind = GV_KIND_UNSPECIFIED}, none = {0};
    regmatch_t g[8];

    if (match(CONNECT, text, g)) {
        s.what = GV_SAID_CONNECT;
        s.any = address_at(&s.address, text, &g[1]);
    } else if (match(DISCONNECT, text, g)) {
        s.what = GV_SAID_DISCONNECT;
        s.any = address_at(&s.address, text, &g[1]);
        reference_counts(&s, text + g[3].rm_so);
    } else if (match(NO_AUTH, text, g) && !strstr(text + g[1].rm_eo, " auth=")) {
        s.what = GV_SAID_DISCONNECT; /* it cannot say anything about logins */
        s.any = address_at(&s.address, text, &g[1]);
    } else if (match(DROP, text, g)) {
        s.what = GV_SAID_DROP;
        s.kind = GV_KIND_ABORTED;
        s.any = address_at(&s.address, text, &g[3]);
    } else if (match(CLIENT, text, g)) {
        s.what = GV_SAID_SUCCESS;
        s.any = address_at(&s.address, text, &g[1]);
        const char *name = text + g[3].rm_so, *comma = strstr(name, ", ");
        reference_account(&s, name, comma ? (size_t)(comma - name) : strlen(name));
    } else if (match(FAILED, text, g)) {
        s.what = GV_SAID_FAILURE;
        s.attempts = 1;
        s.any = address_at(&s.address, text, &g[1]);
        const char *reason = g[4].rm_so < 0 ? "" : text + g[4].rm_so;
        reference_reason(&s, reason);
        const char *name = strstr(reason, ", sasl_username=");
        if (name)
            reference_account(&s, name + 16, strlen(name + 16));
    } else if (match(ABORTED, text, g) || match(ODD, text, g)) {
        s.what = GV_SAID_FAILURE;
        s.attempts = 1;
        s.kind = match(ABORTED, text, g) ? GV_KIND_ABORTED : GV_KIND_BAD_MECHANISM;
        s.any =
            (match(ABORTED, text, g) || match(ODD, text, g)) && address_at(&s.address, text, &g[1]);
    }
    return s.any ? s : none;
}

static bool reference_group(struct said *s, const char *reason)
{
    struct reason r = reason_of(reason);

    s->kind = r.kind;
    s->blame = r.blame;
    s->end = r.end;
    s->attempts = r.attempts;
    s->good = r.good;
    s->all = r.all;
    return r.any;
}

/* What stands in "<...>" at the end of a text: one word. */
static struct gv_span reference_session(const char *text)
{
    regmatch_t g[8];
    struct gv_span none = {NULL, 0};

    if (!match(SESSION, text, g))
        return none;
    return (struct gv_span){text + g[1].rm_so, (size_t)(g[1].rm_eo - g[1].rm_so)};
}

/* Cuts ", rip=ADDRESS, lip=ADDRESS" and what follows off a text; false when its last is not one.
 * *session is where in the text it is. */
static bool cut_addresses(char *text, struct gv_ip_address *rip, struct gv_span *session)
{
    struct gv_ip_address lip;
    char *last = NULL, *next = text, *end;

    while ((next = strstr(next, ", rip=")))
        last = next++;
    if (!last)
        return false;
    char *address = last + 6;
    end = strchr(address, ',');
    if (!end || gv_ip_address_parse(rip, address, (size_t)(end - address)) != GV_OK ||
        !starts_with(end, ", lip="))
        return false;
    address = end + 6;
    end = address + strcspn(address, ",");
    if (gv_ip_address_parse(&lip, address, (size_t)(end - address)) != GV_OK)
        return false;
    char *bracket = strchr(end, '>');
    if (!bracket || bracket[1] != '\0')
        return false;
    *session = reference_session(end);
    *last = '\0';
    return session->len > 0 && session->at - end >= 11 &&
           strncmp(session->at - 11, ", session=<", 11) == 0;
}

/* NAME of "NAME>" or "NAME>, method=M" at the end of a text. */
static bool reference_name(struct said *s, const char *original, const char *cut, size_t start)
{
    size_t len = strlen(cut);
    const char *method = NULL, *next = cut + start;

    while ((next = strstr(next, ">, method=")))
        method = next++;
    if (method && strlen(method) <= 74 && !strchr(method + 1, '>'))
        len = (size_t)(method - cut);
    else if (len > start && cut[len - 1] == '>')
        len--;
    else
        return false;
    s->account = original + start;
    s->account_len = len - start;
    return true;
}

static struct said reference_login(const char *text)
{
    struct said s = {.kind = GV_KIND_UNSPECIFIED}, none = {0};
    regmatch_t g[8];
    char *copy = strdup(text), *user = strstr(copy, ": user=<");
    size_t start = user ? (size_t)(user - copy) + 8 : 0;

    if (user && (starts_with(text, "Login: user=<") || starts_with(text, "Logged in: user=<") ||
                 starts_with(text, "Info: Login: user=<") ||
                 starts_with(text, "Info: Logged in: user=<"))) {
        s.what = GV_SAID_SUCCESS;
        s.any = cut_addresses(copy + start - 1, &s.address, &s.session) &&
                reference_name(&s, text, copy, start) && s.account_len > 0;
        if (s.any && starts_with(s.account + s.account_len, ">, method=ANONYMOUS,")) {
            s.what = GV_SAID_FAILURE;
            s.end = GV_END_OTHER;
            s.blame = GV_BLAME_BACKEND;
        }
    } else if (user && match(LOGIN_END, text, g)) {
        s.what = GV_SAID_FAILURE;
        s.any = cut_addresses(copy + start - 1, &s.address, &s.session) &&
                reference_name(&s, text, copy, start);
        *user = '\0'; /* the reason alone */
        if (strstr(copy + g[0].rm_eo - 1, "rip=") || strstr(copy + g[0].rm_eo - 1, "user=<") ||
            !reference_group(&s, copy))
            s.any = false;
    }
    /* Torn off, with another line behind it. */
    const char *next =
        s.any ? strstr(text + (s.what == GV_SAID_SUCCESS ? start : 0), "-login: ") : NULL;
    if (next && (next < text + start || (strstr(next, ": user=<") &&
                                         strstr(next, ": user=<") < s.account + s.account_len)))
        s.any = false;
    if (s.session.len > 0)
        s.session.at = text + (s.session.at - copy);
    free(copy);
    return s.any ? s : none;
}

/* ---- both ---- */

static struct said fast(const char *text, bool postfix)
{
    struct said s = {0};
    struct gv_parsed p;
    struct gv_line line = {.text = text, .text_len = strlen(text)};

    s.any = postfix ? gv_parse_postfix(&p, &line, false) : gv_parse_dovecot(&p, &line, false);
    if (!s.any)
        return s;
    s.what = p.said;
    s.blame = p.blame;
    s.kind = p.kind;
    s.end = p.said == GV_SAID_FAILURE ? p.end : GV_END_FAILED;
    s.attempts = p.attempts;
    s.good = p.auth_good;
    s.all = p.auth_all;
    s.address = p.address;
    s.account = p.account.at;
    s.account_len = p.account.len;
    s.service = p.service;
    s.session = p.session;
    return s;
}

static bool agree(const struct said *a, const struct said *b)
{
    if (a->any != b->any || !a->any)
        return a->any == b->any;
    bool same = a->what == b->what && a->kind == b->kind && a->blame == b->blame &&
                a->end == b->end && a->good == b->good && a->all == b->all &&
                gv_ip_address_equal(&a->address, &b->address) && a->account_len == b->account_len &&
                (a->account_len == 0 || a->account == b->account) && a->service == b->service &&
                a->session.len == b->session.len &&
                (a->session.len == 0 || a->session.at == b->session.at);
    return same && (a->what != GV_SAID_FAILURE || a->attempts == b->attempts);
}

static unsigned agreed_on_something;

/* The login processes and what they are for. */
static const struct process {
    const char *name;
    unsigned service;
} processes[] = {{"imap-login: ", GV_SERVICE_IMAP},
                 {"imap-urlauth-login: ", GV_SERVICE_IMAP},
                 {"pop3-login: ", GV_SERVICE_POP3},
                 {"managesieve-login: ", GV_SERVICE_SIEVE},
                 {"submission-login: ", GV_SERVICE_SUBMISSION}};
#define PROCESSES (sizeof processes / sizeof *processes)
static unsigned agreed_on_process[PROCESSES];

/* What is no login process's says nothing here; the auth service has a test of its own. */
static struct said reference_dovecot(const char *text)
{
    struct said none = {0};

    for (size_t i = 0; i < PROCESSES; i++) {
        if (!starts_with(text, processes[i].name))
            continue;
        struct said s = reference_login(text + strlen(processes[i].name));
        s.service = s.any ? processes[i].service : 0;
        agreed_on_process[i] += s.any;
        return s;
    }
    return none;
}

static void compare(const char *text, bool postfix)
{
    struct said ours = fast(text, postfix), theirs;

    if (!postfix && starts_with(text, "auth"))
        return;
    theirs = postfix ? reference_postfix(text) : reference_dovecot(text);
    if (!agree(&ours, &theirs))
        fail_msg(
            "%s\n  fast: %d %d kind %u attempts %u account %zu\n  slow: %d %d kind %u attempts "
            "%u account %zu",
            text, ours.any, ours.what, ours.kind, ours.attempts, ours.account_len, theirs.any,
            theirs.what, theirs.kind, theirs.attempts, theirs.account_len);
    agreed_on_something += ours.any;
}

/* ---- lines ---- */

static const char *const clients[] = {"unknown[198.51.100.7]",
                                      "mail.ex.test[198.51.100.8]:4000",
                                      "x[2001:db8::7]",
                                      "x[203.0.113.9][1.2.3.4]",
                                      "unknown[unknown]",
                                      "a:b[1.2.3.4]",
                                      "x[1.2.3.4]:",
                                      "[1.2.3.4]",
                                      "x[1.2.3.4",
                                      "x[::ffff:1.2.3.4]:25",
                                      "x[y].z[1.2.3.4]",
                                      "x[1.2.3.4]:25x",
                                      "x[1.2.3.4]:25[5.6.7.8]"};
static const char *const names[] = {"alice",
                                    "",
                                    "(unavailable)",
                                    "x]: SASL LOGIN authentication failed: unknown[203.0.113.9]: x",
                                    "x>, method=PLAIN, rip=203.0.113.9, lip=1.2.3.4",
                                    "a, sasl_username=b",
                                    "x (auth failed, 9 attempts",
                                    "x: user=<y",
                                    "x, rip=1.2.3.4, lip=1.2.3.4, session=<A>",
                                    ">",
                                    "x>, method=",
                                    "caf\xc3\xa9 <>\x7f"};
static const char *const reasons[] = {"(reason unavailable)",
                                      "Connection lost to authentication server",
                                      "generic failure",
                                      "UGFzc3dvcmQ6",
                                      "Invalid authentication mechanism: 'X'",
                                      "Invalid base64 data in initial response",
                                      "user not found",
                                      "Refused by grapevine",
                                      "TEMPORARY Authentication failure",
                                      "Password expired",
                                      ""};
static const char *const mechanisms[] = {"LOGIN",
                                         "PLAIN",
                                         "CRAM-MD5",
                                         "x y",
                                         "",
                                         "AAAAAAAAAAAAAAAAAAAAAAAAA",
                                         "X authentication failed: y",
                                         "\"LOGIN\"",
                                         "PLAIN authentication aborted"};
static const char *const counts[] = {" ehlo=1 auth=0/1 quit=1 commands=2/3",
                                     "",
                                     " auth=1 commands=1",
                                     " auth=3/2",
                                     " auth=x",
                                     " auth=1/1234567890",
                                     " ehlo=1  auth=0/1",
                                     " mail=1",
                                     " auth=0/1 auth=0/7"};
static const char *const openings[] = {"Disconnected: Connection closed ",
                                       "Disconnected ",
                                       "Aborted login ",
                                       "Login aborted: Logged out ",
                                       "Info: Disconnected: x ",
                                       "Disconnected: SSL_accept() failed: error (x) ",
                                       "Authenticate X failed: ",
                                       "Disconnected",
                                       "Disconnected: rip= "};
static const char *const tails[] = {", session=<TQRlYtRg0aDGM2QH>",
                                    "",
                                    ", TLS, session=<A>",
                                    ", mpid=4, secured, session=<BQRlYtRg0aDGM2QH>",
                                    ", TLS: Connection closed, session=<CQRlYtRg0aDGM2QH>",
                                    ", mpid=4, session=<D>",
                                    ", TLS: x>y",
                                    ", mpid=4, secured",
                                    ", rip=1",
                                    ">",
                                    ", session=<A>, x"};
static const char *const addresses[] = {"198.51.100.7",
                                        "2001:db8::7",
                                        "::ffff:198.51.100.7",
                                        "fe80::1%eth0",
                                        "198.51.100.256",
                                        "",
                                        "x"};

static void make_postfix(char *out, size_t size)
{
    switch (draw(6)) {
    case 0:
        snprintf(out, size, "connect from %s", PICK(clients));
        break;
    case 1:
        snprintf(out, size, "disconnect from %s%s", PICK(clients), PICK(counts));
        break;
    case 2:
        snprintf(out, size, "%s%s after AUTH from %s",
                 draw(2) ? "" : "NOQUEUE: ", draw(2) ? "timeout" : "lost connection",
                 PICK(clients));
        break;
    case 3:
        snprintf(out, size, "4F2A91: client=%s, sasl_method=%s, sasl_username=%s", PICK(clients),
                 PICK(mechanisms), PICK(names));
        break;
    case 4:
        snprintf(out, size, "warning: %s: SASL %s authentication aborted", PICK(clients),
                 PICK(mechanisms));
        break;
    default:
        snprintf(out, size, "warning: %s: SASL %s authentication failed: %s%s%s", PICK(clients),
                 PICK(mechanisms), PICK(reasons), draw(2) ? ", sasl_username=" : "", PICK(names));
    }
}

static void make_login(char *out, size_t size)
{
    char group[128];
    const char *process = processes[draw(PROCESSES)].name;
    const char *words = reason_draw();

    static const char *const tallies[] = {", %u attempts in 3 secs)",
                                          ", %u attempts in 3 secs) (auth_failed)",
                                          ", %u/%u successful auths in 3 secs)",
                                          ", %u/%u successful auths in 3 secs) (x, y)",
                                          ", %u successful auths)",
                                          ", %u",
                                          ",%u)",
                                          ", %u/x",
                                          ", %u1234567890)",
                                          ")",
                                          " to 192.0.2.1:143)",
                                          " to 192.0.2.1:143, %u/%u successful auths)",
                                          ", waited 3 secs)",
                                          "x)"};
    size_t at = (size_t)snprintf(group, sizeof group, "%s", words);

    snprintf(group + at, sizeof group - at, PICK(tallies), draw(5), draw(6));
    if (draw(5) == 0)
        snprintf(out, size, "%s%s: user=<%s>, method=%s, rip=%s, lip=%s%s", process,
                 draw(2) ? "Login" : "Info: Logged in", PICK(names),
                 draw(4) ? "PLAIN" : "ANONYMOUS", PICK(addresses), PICK(addresses), PICK(tails));
    else
        snprintf(out, size, "%s%s%s: user=<%s>%s%s, rip=%s, lip=%s%s", process, PICK(openings),
                 group, PICK(names), draw(4) ? ", method=" : "", draw(4) ? "PLAIN" : "",
                 PICK(addresses), draw(4) ? "192.0.2.25" : PICK(addresses), PICK(tails));
}

static void run(bool postfix, unsigned rounds)
{
    char text[1024];

    agreed_on_something = 0;
    for (unsigned i = 0; i < rounds; i++) {
        if (postfix)
            make_postfix(text, sizeof text - 8);
        else
            make_login(text, sizeof text - 8);
        compare(text, postfix);
        mutate(text);
        compare(text, postfix);
    }
    /* A test that never matches would pass for ever. */
    assert_true(agreed_on_something > rounds / 10);
}

static void postfix_lexer(void **state)
{
    run(true, 60000);
}

static void dovecot_lexer(void **state)
{
    run(false, 120000);
    for (size_t i = 0; i < PROCESSES; i++)
        assert_true(agreed_on_process[i] > 1000);
}

int main(void)
{
    draw_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(postfix_lexer),
        cmocka_unit_test(dovecot_lexer),
    };

    return cmocka_run_group_tests(tests, compile, release);
}
