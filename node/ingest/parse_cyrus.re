/* Cyrus' servers and saslauthd, from the words that they log (imap/{imapd,pop3d,nntpd,httpd}.c,
 * timsieved/parser.c; saslauthd-main.c). A server's line begins with fixed words and the client,
 * "NAME [ADDRESS]" or "[ADDRESS]"; what the client says comes behind it. NAME is whatever the C
 * library makes of somebody's DNS, so a line that could have its client in two places is refused. */
#include "node/ingest/parse.h"

#include <string.h>
#include <strings.h>

#include "crypto/error.h"
#include "node/ingest/words.h"

/* The end of the text reads as NUL, and no lexer is started at it (see parse_postfix.re). */
/*!re2c
    re2c:api = custom;
    re2c:api:style = free-form;
    re2c:define:YYCTYPE = "unsigned char";
    re2c:define:YYPEEK = "(cur < limit ? (unsigned char)*cur : 0)";
    re2c:define:YYSKIP = "++cur;";
    re2c:define:YYBACKUP = "mark = cur;";
    re2c:define:YYRESTORE = "cur = mark;";
    re2c:yyfill:enable = 0;
    re2c:flags:tags = 0;

    word = [^ \x00]+;
    atom = [^ ()\x00]+; /* a mechanism */
    number = "-"? [0-9]{1,9};
*/

enum opening { OPENS_OTHER, OPENS_FAILURE, OPENS_SUCCESS };

static enum opening lex_opening(const char **at, const char *limit)
{
    const char *cur = *at;
    const char *mark = cur;

    if (cur == limit)
        return OPENS_OTHER;
    /*!re2c
        "badlogin: "   { *at = cur; return OPENS_FAILURE; }
        "login: "      { *at = cur; return OPENS_SUCCESS; }
        *              { return OPENS_OTHER; }
    */
}

/* "[ADDRESS] " at `at`: what is behind it, or NULL. */
static const char *take_brackets(struct gv_ip_address *out, const char *at, const char *limit)
{
    const char *space = memchr(at, ' ', (size_t)(limit - at));

    if (!space || space - at < 3 || at[0] != '[' || space[-1] != ']' ||
        gv_ip_address_parse(out, at + 1, (size_t)(space - at) - 2) != GV_OK)
        return NULL;
    return space + 1;
}

static bool take_client(struct gv_ip_address *out, const char **at, const char *limit)
{
    const char *rest = take_brackets(out, *at, limit);

    if (!rest) {
        const char *space = memchr(*at, ' ', (size_t)(limit - *at));

        if (!space || space == *at || !(rest = take_brackets(out, space + 1, limit)))
            return false;
    }
    *at = rest;
    return true;
}

/* What may stand behind a client. */
static bool lex_after_client(const char *cur, const char *limit)
{
    const char *mark = cur;

    if (cur == limit)
        return false;
    /*!re2c
        word " (" | atom " [SASL(" | "plaintext " | "Basic " | "anonymous "   { return true; }
        *                                                                     { return false; }
    */
}

/* Whether another "[ADDRESS]" at or behind `at` could be the client, if what was taken for it is
 * only a name with blanks in it. A user's name may look like that, too; it is nobody's then. */
static bool second_client(const char *at, const char *limit, bool any)
{
    struct gv_ip_address other;

    for (at--; (at = gv_find(at, limit, " [")); at++) {
        const char *rest = take_brackets(&other, at + 1, limit);

        if (rest && (any || lex_after_client(rest, limit)))
            return true;
    }
    return false;
}

/* --- Why it failed ---------------------------------------------------------------------------- */

/* Cyrus SASL's error table (lib/common.c), alone or as "SASL(NUMBER): WORDS: MORE". True when it is
 * one of the table and, for `whole`, nothing follows. Where nobody set an error the server could
 * not decode what the client sent. */
static bool lex_reason(struct gv_parsed *out, const char *cur, const char *limit, bool whole)
{
    const char *mark = cur;

    out->kind = GV_KIND_UNSPECIFIED;
    if (cur == limit)
        return false;
    /*!re2c
        sasl = "SASL(" number "): ";
        sasl? ("generic failure" | "no memory available"
            | "transient failure (e.g., weak key)" | "SASL library is not initialized"
            | "version mismatch with plug-in" | "remote authentication server unavailable"
            | "error when parsing configuration file")
        {
            out->blame = GV_BLAME_BACKEND;
            return !whole || cur == limit;
        }
        sasl? ("authorization failure" | "account disabled"
            | "passphrase expired, has to be reset" | "passphrase locked"
            | "One time use of a plaintext password will enable requested mechanism for user")
        {
            /* The password may well be right: the server's business, not a guess. */
            out->blame = GV_BLAME_BACKEND;
            return !whole || cur == limit;
        }
        sasl? ("no mechanism available" | "mechanism too weak for this user"
            | "encryption needed to use mechanism"
            | "mechanism doesn't support requested feature")
        {
            out->kind = GV_KIND_BAD_MECHANISM;
            return !whole || cur == limit;
        }
        sasl? ("bad protocol / cancel" | "invalid parameter supplied" | "overflowed buffer"
            | "integrity check failed" | "channel binding failure"
            | "can't request information until later in exchange" | "successful result"
            | "another step is needed in authentication" | "error base64 decoding string"
            | "expected string")
        {
            out->kind = GV_KIND_PROTOCOL;
            return !whole || cur == limit;
        }
        sasl? "user not found" | "SASL(" number "): authentication failure: bad userid authenticated"
        {
            out->kind = GV_KIND_UNKNOWN_ACCOUNT;
            return !whole || cur == limit;
        }
        sasl? ("authentication failure" | "user exists, but no verifier for user"
            | "user supplied passwords are not permitted")
        {
            return !whole || cur == limit;
        }
        *
        {
            return !whole;
        }
    */
}

/* The password was right, but the account may not do what it asked for. The name in these words
 * is the account's own. */
static bool not_allowed(const char *at, const char *limit)
{
    return gv_ends(at, limit, " is not allowed to proxy") ||
           gv_ends(at, limit, ": only admins may authenticate") ||
           (gv_find(at, limit, ": cross-realm login ") && gv_ends(at, limit, " denied")) ||
           (gv_find(at, limit, " is denied access to service '") && gv_ends(at, limit, "'"));
}

static void read_reason(struct gv_parsed *out, const char *at, const char *limit)
{
    if (not_allowed(at, limit))
        out->blame = GV_BLAME_BACKEND;
    else
        (void)lex_reason(out, at, limit, false);
}

/* --- What failed ------------------------------------------------------------------------------- */

enum form {
    FORM_OTHER,
    FORM_ANONYMOUS,
    FORM_APOP,
    FORM_NAMED,
    FORM_UNNAMED,
    FORM_PLAINTEXT,
    FORM_BASIC,
    FORM_WORD
};

/* Behind the client. */
static enum form lex_form(const char **at, const char *limit)
{
    const char *cur = *at;
    const char *mark = cur;
    enum form found;

    if (cur == limit)
        return FORM_OTHER;
    /*!re2c
        "anonymous login refused"   { return cur == limit ? FORM_ANONYMOUS : FORM_OTHER; }
        "APOP (<"                   { found = FORM_APOP; goto done; }
        word " ("                   { found = FORM_NAMED; goto done; }
        atom " [SASL("              { found = FORM_UNNAMED; goto done; }
        "plaintext "                { found = FORM_PLAINTEXT; goto done; }
        "Basic "                    { found = FORM_BASIC; goto done; }
        word " "                    { found = FORM_WORD; goto done; }
        *                           { return FORM_OTHER; }
    */
done:
    *at = cur;
    return found;
}

static void set_account(struct gv_parsed *out, const char *at, const char *end)
{
    out->account.at = at;
    out->account.len = (size_t)(end - at);
    if (out->account.len == 8 && memcmp(at, "-notset-", 8) == 0)
        out->account.len = 0;
}

/* "USER) [REASON]" or "USER) invalid user". USER is the client's, and REASON may repeat it: where
 * "]) [" stands twice nobody knows where it ends, and then neither says anything. */
static bool read_named(struct gv_parsed *out, const char *at, const char *limit)
{
    const char *found = gv_find(at, limit, ") [");

    if (found && limit[-1] == ']') {
        if (gv_find(found + 1, limit, ") ["))
            return true;
        set_account(out, at, found);
        read_reason(out, found + 3, limit - 1);
        return true;
    }
    if (!gv_ends(at, limit, ") invalid user"))
        return false;
    set_account(out, at, limit - (sizeof ") invalid user" - 1));
    out->kind = GV_KIND_UNKNOWN_ACCOUNT;
    return true;
}

/* pop3d: "CHALLENGE>) REASON"; the challenge is the server's own. */
static bool read_apop(struct gv_parsed *out, const char *at, const char *limit)
{
    const char *found = gv_find(at, limit, ">) ");

    if (!found)
        return false;
    read_reason(out, found + 3, limit);
    return true;
}

/* USER and one reason of the table, up to the end; or no USER. */
static bool read_bare(struct gv_parsed *out, const char *at, const char *limit)
{
    for (const char *reason = at; reason && reason < limit;) {
        const char *space = memchr(reason, ' ', (size_t)(limit - reason));

        out->blame = GV_BLAME_CLIENT;
        if (lex_reason(out, reason, limit, true)) {
            if (reason > at)
                set_account(out, at, reason - 1);
            return true;
        }
        reason = space ? space + 1 : NULL;
    }
    return false;
}

/* httpd, and Cyrus before 2.3: "USER REASON". */
static bool read_basic(struct gv_parsed *out, const char *at, const char *limit)
{
    const char *found = gv_find(at, limit, " SASL(");

    if (!found)
        return read_bare(out, at, limit);
    if (gv_find(found + 1, limit, " SASL("))
        return true;
    set_account(out, at, found);
    read_reason(out, found + 1, limit);
    return true;
}

static bool read_failure(struct gv_parsed *out, const char *at, const char *limit)
{
    switch (lex_form(&at, limit)) {
    case FORM_ANONYMOUS:
        out->kind = GV_KIND_BAD_MECHANISM;
        return true;
    case FORM_APOP:
        return read_apop(out, at, limit);
    case FORM_NAMED:
        return read_named(out, at, limit);
    case FORM_BASIC:
        return read_basic(out, at, limit);
    case FORM_UNNAMED: /* before 2.3: "[SASL(N): REASON]" */
        if (limit[-1] != ']')
            return false;
        read_reason(out, at - (sizeof "SASL(" - 1), limit - 1);
        return true;
    case FORM_PLAINTEXT: /* nntpd, and all before 2.3: "USER invalid user" */
        if (!gv_ends(at, limit, " invalid user"))
            return read_basic(out, at, limit);
        set_account(out, at, limit - (sizeof " invalid user" - 1));
        out->kind = GV_KIND_UNKNOWN_ACCOUNT;
        return out->account.len > 0;
    case FORM_WORD: /* timsieved: the reason and nothing else; pop3d before 2.3: the long one */
        if (!gv_begins(at, limit, "SASL("))
            return lex_reason(out, at, limit, true);
        read_reason(out, at, limit);
        return true;
    default:
        return false;
    }
}

/* "USER MECHANISM[+TLS] User logged in[ SESSIONID=<ID>]". Who is anonymous, or comes in where no
 * password is asked for, proves nothing; and the password of an anonymous client is the rest of its
 * line. */
static bool read_success(struct gv_parsed *out, const char *at, const char *limit)
{
    static const char words[] = " User logged in", session[] = " SESSIONID=<";
    const char *id = gv_find_last(at, limit, session);

    if (id && limit[-1] == '>' && !memchr(id + 1, ' ', (size_t)(limit - id - 1)))
        limit = id;
    if (!gv_ends(at, limit, words))
        return false;
    limit -= sizeof words - 1;
    const char *mechanism = memrchr(at, ' ', (size_t)(limit - at));
    if (!mechanism || mechanism == at || mechanism + 1 == limit)
        return false;
    set_account(out, at, mechanism);
    if (mechanism - at >= 9 && strncasecmp(at, "anonymous", 9) == 0 &&
        (mechanism - at == 9 || at[9] == ' '))
        return false;
    mechanism++;
    size_t n = (size_t)(limit - mechanism);
    return out->account.len > 0 && !(n >= 10 && memcmp(mechanism, "nopassword", 10) == 0) &&
           !(n >= 9 && strncasecmp(mechanism, "ANONYMOUS", 9) == 0);
}

bool gv_parse_cyrus(struct gv_parsed *out, const struct gv_line *line, bool half)
{
    const char *at = line->text;
    const char *limit = at + line->text_len;
    enum opening opening = lex_opening(&at, limit);

    /* Only the whole line shows that there is no second client in it. */
    if (opening == OPENS_OTHER || half)
        return false;
    memset(out, 0, sizeof *out);
    out->kind = GV_KIND_UNSPECIFIED;
    if (!take_client(&out->address, &at, limit))
        return false;
    /* Only a name in parentheses may hold addresses; what stands there without is one word. */
    bool closed = limit[-1] == ']' || gv_ends(at, limit, ") invalid user");
    if (second_client(at, limit, opening == OPENS_SUCCESS || !closed))
        return false;
    if (opening == OPENS_SUCCESS) {
        out->said = GV_SAID_SUCCESS;
        return read_success(out, at, limit);
    }
    out->said = GV_SAID_FAILURE;
    out->attempts = 1;
    return read_failure(out, at, limit);
}

/* --- saslauthd --------------------------------------------------------------------------------- */

static const char *lex_sasl_opening(const char *cur, const char *limit)
{
    const char *mark = cur;

    if (cur == limit)
        return NULL;
    /*!re2c
        "do_auth"? " "* ": auth failure: [user="   { return cur; }
        *                                          { return NULL; }
    */
}

/* What saslauthd's mechanisms answer (auth_*.c). */
static void lex_sasl_reason(struct gv_parsed *out, const char *cur, const char *limit)
{
    const char *mark = cur;

    out->kind = GV_KIND_UNSPECIFIED;
    if (cur == limit)
        return;
    /*!re2c
        "internal mechanism failure" | "PAM start error" | "[ALERT] " | "saslauthd internal error"
            | "saslauthd principal name error" | "krb5_verify_init_creds failed"
            | "Username lookup failure" | "Username shadow lookup failure"
            | "Insufficient permission " | "setpwdb() internal failure" | "(possible system error)"
        {
            out->blame = GV_BLAME_BACKEND;
            return;
        }
        "PAM acct error" | "Account expired" | "Password expired"
        {
            out->blame = GV_BLAME_BACKEND; /* the password was right */
            return;
        }
        "Invalid username" | "Invalid shadow username"
        {
            out->kind = GV_KIND_UNKNOWN_ACCOUNT;
            return;
        }
        "Incorrect password"
        {
            out->kind = GV_KIND_WRONG_PASSWORD;
            return;
        }
        *
        {
            return;
        }
    */
}

/* Takes "NAME=VALUE" where `name` is in [at, limit) exactly once, and moves *at behind it; *value
 * is what is in front of it. */
static bool cut_at(struct gv_span *before, const char **at, const char *limit, const char *name)
{
    const char *found = gv_find(*at, limit, name);

    if (!found || gv_find(found + 1, limit, name))
        return false;
    before->at = *at;
    before->len = (size_t)(found - *at);
    *at = found + strlen(name);
    return true;
}

static uint8_t service_of(const struct gv_span *name)
{
    static const struct {
        const char *name;
        uint8_t service;
    } services[] = {{"imap", GV_SERVICE_IMAP},   {"pop", GV_SERVICE_POP3},
                    {"pop3", GV_SERVICE_POP3},   {"sieve", GV_SERVICE_SIEVE},
                    {"smtp", GV_SERVICE_SMTP}};

    for (size_t i = 0; i < sizeof services / sizeof *services; i++)
        if (name->len == strlen(services[i].name) &&
            memcmp(name->at, services[i].name, name->len) == 0)
            return services[i].service;
    return GV_SERVICE_UNKNOWN;
}

/* "USER] [service=S] [realm=R] [mech=M] [reason=REASON]". USER and R are the client's: with one of
 * these words in them the line says nothing, as it could excuse somebody else's attempt. */
bool gv_parse_saslauthd(struct gv_parsed *out, const struct gv_line *line, bool half)
{
    const char *limit = line->text + line->text_len;
    const char *at = lex_sasl_opening(line->text, limit);
    struct gv_span service, mechanism;

    if (!at || half || limit[-1] != ']')
        return false;
    memset(out, 0, sizeof *out);
    out->said = GV_SAID_HINT;
    out->attempts = 1;
    if (!cut_at(&out->account, &at, limit, "] [service=") ||
        !cut_at(&service, &at, limit, "] [realm=") ||
        !cut_at(&out->origin, &at, limit, "] [mech=") ||
        !cut_at(&mechanism, &at, limit, "] [reason="))
        return false;
    out->service = service_of(&service);
    lex_sasl_reason(out, at, limit - 1);
    return out->account.len > 0;
}
