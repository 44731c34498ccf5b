/* Cyrus' and saslauthd's fast lexers against a slow, obvious matcher, written from SPEC 10.2
 * and 10.4 and not from the lexers: it cuts a line into words and compares them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>
#include <regex.h>

#include "crypto/error.h"
#include "tests/unit/helper_said.h"

/* ---- the reference ---- */

enum { NUMBER, SESSION, LOGGED_IN, SASL_OPENING, PATTERNS };
static const char *const sources[PATTERNS] = {
    [NUMBER] = "^SASL\\(-?[0-9]{1,9}\\): ",
    [SESSION] = " SESSIONID=<[^ ]*>$",
    [LOGGED_IN] = "^(.+) ([^ ]+) User logged in$",
    [SASL_OPENING] = "^(do_auth)? *: auth failure: \\[user=",
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

static bool ends_with(const char *text, const char *words)
{
    size_t n = strlen(text), m = strlen(words);

    return n >= m && strcmp(text + n - m, words) == 0;
}

static const struct words {
    const char *words;
    enum gv_blame blame;
    unsigned kind;
} table[] = {
    {"generic failure", GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED},
    {"no memory available", GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED},
    {"transient failure (e.g., weak key)", GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED},
    {"SASL library is not initialized", GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED},
    {"version mismatch with plug-in", GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED},
    {"remote authentication server unavailable", GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED},
    {"error when parsing configuration file", GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED},
    {"authorization failure", GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED},
    {"account disabled", GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED},
    {"passphrase expired, has to be reset", GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED},
    {"passphrase locked", GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED},
    {"One time use of a plaintext password will enable requested mechanism for user",
     GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED},
    {"no mechanism available", GV_BLAME_CLIENT, GV_KIND_BAD_MECHANISM},
    {"mechanism too weak for this user", GV_BLAME_CLIENT, GV_KIND_BAD_MECHANISM},
    {"encryption needed to use mechanism", GV_BLAME_CLIENT, GV_KIND_BAD_MECHANISM},
    {"mechanism doesn't support requested feature", GV_BLAME_CLIENT, GV_KIND_BAD_MECHANISM},
    {"bad protocol / cancel", GV_BLAME_CLIENT, GV_KIND_PROTOCOL},
    {"invalid parameter supplied", GV_BLAME_CLIENT, GV_KIND_PROTOCOL},
    {"overflowed buffer", GV_BLAME_CLIENT, GV_KIND_PROTOCOL},
    {"integrity check failed", GV_BLAME_CLIENT, GV_KIND_PROTOCOL},
    {"channel binding failure", GV_BLAME_CLIENT, GV_KIND_PROTOCOL},
    {"can't request information until later in exchange", GV_BLAME_CLIENT, GV_KIND_PROTOCOL},
    {"successful result", GV_BLAME_CLIENT, GV_KIND_PROTOCOL},
    {"another step is needed in authentication", GV_BLAME_CLIENT, GV_KIND_PROTOCOL},
    {"error base64 decoding string", GV_BLAME_CLIENT, GV_KIND_PROTOCOL},
    {"expected string", GV_BLAME_CLIENT, GV_KIND_PROTOCOL},
    {"user not found", GV_BLAME_CLIENT, GV_KIND_UNKNOWN_ACCOUNT},
    {"authentication failure", GV_BLAME_CLIENT, GV_KIND_UNSPECIFIED},
    {"user exists, but no verifier for user", GV_BLAME_CLIENT, GV_KIND_UNSPECIFIED},
    {"user supplied passwords are not permitted", GV_BLAME_CLIENT, GV_KIND_UNSPECIFIED},
};
#define TABLE (sizeof table / sizeof *table)

/* The reason's first words; NULL when it is none of the table, or goes on behind `whole` words. */
static const struct words *reason_of(const char *text, bool whole)
{
    static const struct words bad_name = {"authentication failure: bad userid authenticated",
                                          GV_BLAME_CLIENT, GV_KIND_UNKNOWN_ACCOUNT};
    regmatch_t g[1];

    if (regexec(&patterns[NUMBER], text, 1, g, 0) == 0) {
        text += g[0].rm_eo;
        if (starts_with(text, bad_name.words))
            return whole && strlen(text) > strlen(bad_name.words) ? NULL : &bad_name;
    }
    for (size_t i = 0; i < TABLE; i++)
        if (starts_with(text, table[i].words))
            return whole && strlen(text) > strlen(table[i].words) ? NULL : &table[i];
    return NULL;
}

static bool apply(struct said *s, const char *reason, bool whole)
{
    const struct words *w = reason_of(reason, whole);
    const char *cross = strstr(reason, ": cross-realm login ");

    if (whole && !w)
        return false;
    if (w) {
        s->kind = w->kind;
        s->blame = w->blame;
    }
    if (!whole && (ends_with(reason, " is not allowed to proxy") ||
                   ends_with(reason, ": only admins may authenticate") ||
                   (cross && ends_with(reason, " denied")) ||
                   (strstr(reason, " is denied access to service '") && ends_with(reason, "'")))) {
        s->kind = GV_KIND_UNSPECIFIED;
        s->blame = GV_BLAME_BACKEND;
    }
    return true;
}

static void name(struct said *s, const char *text, const char *from, const char *copy, size_t len)
{
    s->account = text + (from - copy);
    s->account_len = len == 8 && strncmp(from, "-notset-", 8) == 0 ? 0 : len;
}

/* "[ADDRESS] " */
static bool is_client(const char *at, struct gv_ip_address *out)
{
    size_t n = strcspn(at, " ");

    return at[n] == ' ' && n > 2 && at[0] == '[' && at[n - 1] == ']' &&
           gv_ip_address_parse(out, at + 1, n - 2) == GV_OK;
}

static const char *behind_word(const char *at)
{
    at += strcspn(at, " ");
    return *at ? at + 1 : NULL;
}

/* "M [SASL(..." */
static bool is_unnamed(const char *at)
{
    size_t n = strcspn(at, " ");

    return n > 0 && strcspn(at, "()") > n && starts_with(at + n, " [SASL(");
}

/* Another word that could be the client's. */
static bool doubtful(const char *at, bool any)
{
    struct gv_ip_address other;

    for (; at; at = behind_word(at)) {
        const char *next;

        if (!is_client(at, &other))
            continue;
        if (any)
            return true;
        at = behind_word(at);
        next = behind_word(at);
        if (next && next - at > 1 && (*next == '(' || is_unnamed(at)))
            return true;
        if (starts_with(at, "plaintext ") || starts_with(at, "Basic ") ||
            starts_with(at, "anonymous "))
            return true;
        at--;
    }
    return false;
}

static bool reference_named(struct said *s, const char *text, char *copy, char *at)
{
    char *found = strstr(at, ") [");

    if (found && ends_with(at, "]")) {
        if (strstr(found + 1, ") ["))
            return true;
        name(s, text, at, copy, (size_t)(found - at));
        at[strlen(at) - 1] = '\0';
        return apply(s, found + 3, false);
    }
    if (!ends_with(at, ") invalid user"))
        return false;
    s->kind = GV_KIND_UNKNOWN_ACCOUNT;
    name(s, text, at, copy, strlen(at) - strlen(") invalid user"));
    return true;
}

static bool reference_failure(struct said *s, const char *text, char *copy, char *at)
{
    char *next = at + strcspn(at, " ");

    if (starts_with(at, "anonymous login refused")) {
        s->kind = GV_KIND_BAD_MECHANISM;
        return strcmp(at, "anonymous login refused") == 0;
    }
    if (starts_with(at, "APOP (<")) {
        char *found = strstr(at + 7, ">) ");
        return found && apply(s, found + 3, false);
    }
    if (next == at || *next == '\0')
        return false;
    next++;
    if (*next == '(')
        return reference_named(s, text, copy, next + 1);
    if (is_unnamed(at)) {
        bool closed = ends_with(next, "]");
        next[strlen(next) - 1] = '\0';
        return closed && apply(s, next + 1, false);
    }
    if (starts_with(at, "plaintext ") && ends_with(next, " invalid user")) {
        s->kind = GV_KIND_UNKNOWN_ACCOUNT;
        name(s, text, next, copy, strlen(next) - strlen(" invalid user"));
        return s->account_len > 0;
    }
    if (starts_with(at, "Basic ") || starts_with(at, "plaintext ")) {
        char *found = strstr(next, " SASL(");
        if (found && strstr(found + 1, " SASL("))
            return true;
        if (found) {
            name(s, text, next, copy, (size_t)(found - next));
            return apply(s, found + 1, false);
        }
        for (char *reason = next; reason; reason = (char *)behind_word(reason))
            if (apply(s, reason, true)) {
                if (reason > next)
                    name(s, text, next, copy, (size_t)(reason - 1 - next));
                return true;
            }
        return false;
    }
    return apply(s, next, !starts_with(next, "SASL("));
}

static bool reference_success(struct said *s, const char *text, char *copy, char *at)
{
    regmatch_t g[3];

    if (regexec(&patterns[SESSION], at, 1, g, 0) == 0)
        at[g[0].rm_so] = '\0';
    if (regexec(&patterns[LOGGED_IN], at, 3, g, 0) != 0)
        return false;
    size_t len = (size_t)g[1].rm_eo;
    name(s, text, at, copy, len);
    return s->account_len > 0 &&
           !(strncasecmp(at, "anonymous", 9) == 0 && (len == 9 || at[9] == ' ')) &&
           !starts_with(at + g[2].rm_so, "nopassword") &&
           strncasecmp(at + g[2].rm_so, "ANONYMOUS", 9) != 0;
}

static struct said reference_cyrus(const char *text)
{
    struct said s = {.kind = GV_KIND_UNSPECIFIED}, none = {0};
    char *copy = strdup(text), *at = copy;
    bool success = starts_with(text, "login: ");

    if (!success && !starts_with(text, "badlogin: "))
        goto out;
    at += success ? 7 : 10;
    bool named = !is_client(at, &s.address);
    if (named && (!(at = (char *)behind_word(at)) || !is_client(at, &s.address) ||
                  at - copy == (success ? 8 : 11)))
        goto out;
    at = (char *)behind_word(at);
    bool closed = ends_with(copy, "]") || ends_with(at, ") invalid user");
    if (doubtful(at, success || !closed))
        goto out;
    s.what = success ? GV_SAID_SUCCESS : GV_SAID_FAILURE;
    s.attempts = !success;
    s.any = success ? reference_success(&s, text, copy, at) : reference_failure(&s, text, copy, at);
out:
    free(copy);
    return s.any ? s : none;
}

/* The value up to the marker, which stands once from here on. */
static const char *up_to(const char *at, const char *marker)
{
    const char *found = at ? strstr(at, marker) : NULL;

    return found && !strstr(found + 1, marker) ? found : NULL;
}

static struct said reference_saslauthd(const char *text)
{
    static const char *const excuses[] = {"internal mechanism failure",
                                          "PAM start error",
                                          "[ALERT] ",
                                          "saslauthd internal error",
                                          "saslauthd principal name error",
                                          "krb5_verify_init_creds failed",
                                          "Username lookup failure",
                                          "Username shadow lookup failure",
                                          "Insufficient permission ",
                                          "setpwdb() internal failure",
                                          "(possible system error)",
                                          "PAM acct error",
                                          "Account expired",
                                          "Password expired"};
    struct said s = {.what = GV_SAID_HINT, .attempts = 1, .kind = GV_KIND_UNSPECIFIED}, none = {0};
    regmatch_t g[1];

    if (regexec(&patterns[SASL_OPENING], text, 1, g, 0) != 0 || !ends_with(text, "]"))
        return none;
    const char *user = text + g[0].rm_eo, *service, *realm, *mech, *reason;
    if (!(service = up_to(user, "] [service=")) || !(realm = up_to(service + 11, "] [realm=")) ||
        !(mech = up_to(realm + 9, "] [mech=")) || !(reason = up_to(mech + 8, "] [reason=")) ||
        service == user)
        return none;
    s.any = true;
    s.account = user;
    s.account_len = (size_t)(service - user);
    size_t n = (size_t)(realm - service - 11);
    service += 11;
    s.service = n == 4 && starts_with(service, "imap")    ? GV_SERVICE_IMAP
                : n == 4 && starts_with(service, "pop3")  ? GV_SERVICE_POP3
                : n == 3 && starts_with(service, "pop")   ? GV_SERVICE_POP3
                : n == 5 && starts_with(service, "sieve") ? GV_SERVICE_SIEVE
                : n == 4 && starts_with(service, "smtp")  ? GV_SERVICE_SMTP
                                                          : GV_SERVICE_UNKNOWN;
    reason += 10;
    for (size_t i = 0; i < sizeof excuses / sizeof *excuses; i++)
        if (starts_with(reason, excuses[i]))
            s.blame = GV_BLAME_BACKEND;
    if (starts_with(reason, "Invalid username") || starts_with(reason, "Invalid shadow username"))
        s.kind = GV_KIND_UNKNOWN_ACCOUNT;
    if (starts_with(reason, "Incorrect password"))
        s.kind = GV_KIND_WRONG_PASSWORD;
    return s;
}

/* ---- lines ---- */

static const char *const clients[] = {"[198.51.100.7]",
                                      "mail.ex.test [198.51.100.8]",
                                      "[2001:db8::7]",
                                      "x [fe80::1%eth0]",
                                      "[203.0.113.9] [1.2.3.4]",
                                      "x[203.0.113.9] [::ffff:1.2.3.4]",
                                      "x y [1.2.3.4]",
                                      "evil [203.0.113.9] plaintext (x) [1.2.3.4]",
                                      "[unix socket]",
                                      "[unknown]",
                                      "x[1.2.3.4]",
                                      " [1.2.3.4]",
                                      "[]",
                                      ""};
static const char *const names[] = {"alice",
                                    "",
                                    "-notset-",
                                    "anonymous",
                                    "anonymous x",
                                    "a b",
                                    "x) [SASL(-1): generic failure: y",
                                    "x [203.0.113.9] PLAIN (y",
                                    "x [203.0.113.9] y",
                                    "x) invalid user [203.0.113.9] plaintext (y",
                                    "SASL(-1): generic failure: ]",
                                    "x SASL(-1): generic failure",
                                    ") [",
                                    "caf\xc3\xa9 \x7f"};
static const char *const mechanisms[] = {
    "PLAIN", "plaintext", "CRAM-MD5",  "Basic",      "APOP",           "X[1.2.3.4]", "[1.2.3.4]",
    "",      "x y",       "anonymous", "nopassword", "nopassword+TLS", "PLAIN+TLS"};
static const char *const tails[] = {": checkpass failed",
                                    "",
                                    ": bad userid authenticated",
                                    ": user x is not allowed to proxy",
                                    ": cross-realm login x denied",
                                    ": only admins may authenticate",
                                    ": user 'x' is denied access to service 'y'",
                                    " x",
                                    "]"};

static void make_cyrus(char *out, size_t size)
{
    char reason[200];

    snprintf(reason, sizeof reason, "%s%s%s",
             draw(4)   ? "SASL(-13): "
             : draw(2) ? "SASL(0): "
                       : "",
             table[draw(draw(2) ? 3 : TABLE)].words, PICK(tails));
    switch (draw(12)) {
    case 7:
        snprintf(out, size, "badlogin: %s plaintext %s %s", PICK(clients), PICK(names),
                 draw(3) ? table[draw(TABLE)].words : reason);
        break;
    case 8:
        snprintf(out, size, "badlogin: %s %s [%s]", PICK(clients), PICK(mechanisms), reason);
        break;
    case 0:
        snprintf(out, size, "login: %s %s %s User logged in%s", PICK(clients), PICK(names),
                 PICK(mechanisms),
                 draw(3)   ? " SESSIONID=<mx-1-2>"
                 : draw(2) ? ""
                           : " SESSIONID=<a b>");
        break;
    case 1:
        snprintf(out, size, "badlogin: %s anonymous login refused%s", PICK(clients),
                 draw(4) ? "" : " x");
        break;
    case 2:
        snprintf(out, size, "badlogin: %s %s (%s) invalid user", PICK(clients), PICK(mechanisms),
                 PICK(names));
        break;
    case 3:
        snprintf(out, size, "badlogin: %s APOP (<1.2@mx>) %s", PICK(clients), reason);
        break;
    case 4:
        snprintf(out, size, "badlogin: %s Basic %s %s", PICK(clients), PICK(names), reason);
        break;
    case 5:
        snprintf(out, size, "badlogin: %s plaintext %s invalid user", PICK(clients), PICK(names));
        break;
    case 6:
        snprintf(out, size, "badlogin: %s %s %s", PICK(clients), PICK(mechanisms),
                 draw(3) ? table[draw(TABLE)].words : reason);
        break;
    default:
        snprintf(out, size, "badlogin: %s %s (%s) [%s]", PICK(clients), PICK(mechanisms),
                 PICK(names), reason);
    }
}

static const char *const services[] = {"imap", "pop",  "pop3", "sieve",
                                       "smtp", "http", "",     "x] [service=imap"};
static const char *const reasons[] = {"internal mechanism failure",
                                      "PAM start error",
                                      "PAM auth error",
                                      "PAM acct error",
                                      "[ALERT] No address given",
                                      "Invalid username",
                                      "Invalid shadow username",
                                      "Incorrect password",
                                      "Username lookup failure: x",
                                      "Username shadow lookup failure: x",
                                      "Insufficient permission to access",
                                      "saslauthd principal name error",
                                      "saslauthd internal error",
                                      "krb5_verify_init_creds failed",
                                      "setpwdb() internal failure (saslauthd)",
                                      "(possible system error)",
                                      "Account expired",
                                      "Password expired",
                                      "Unknown",
                                      "] [reason=Unknown",
                                      ""};
static const char *const users[] = {
    "alice",       "",        "x] [service=imap",
    "x] [realm=y", "a [b] c", "x] [mech=pam] [reason=internal mechanism failure"};

static void make_saslauthd(char *out, size_t size)
{
    snprintf(out, size, "%s: auth failure: [user=%s] [service=%s] [realm=%s] [mech=%s] [reason=%s]",
             draw(2)   ? "do_auth         "
             : draw(4) ? "                "
                       : "x ",
             PICK(users), PICK(services), draw(3) ? "" : PICK(users), draw(6) ? "pam" : PICK(users),
             PICK(reasons));
}

#define ROUNDS 60000

static void cyrus_lexer(void **state)
{
    char text[1024];

    differential_agreed = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        make_cyrus(text, sizeof text - 8);
        differential_compare(text, gv_parse_cyrus, reference_cyrus(text));
        mutate(text);
        differential_compare(text, gv_parse_cyrus, reference_cyrus(text));
    }
    assert_true(differential_agreed > ROUNDS / 10);
}

static void saslauthd_lexer(void **state)
{
    char text[1024];

    differential_agreed = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        make_saslauthd(text, sizeof text - 8);
        differential_compare(text, gv_parse_saslauthd, reference_saslauthd(text));
        mutate(text);
        differential_compare(text, gv_parse_saslauthd, reference_saslauthd(text));
    }
    assert_true(differential_agreed > ROUNDS / 10);
}

int main(void)
{
    draw_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cyrus_lexer),
        cmocka_unit_test(saslauthd_lexer),
    };

    return cmocka_run_group_tests(tests, compile, release);
}
