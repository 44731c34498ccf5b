/* Dovecot's login processes and its auth service, 2.3 and 2.4, from the words that they log
 * (login-common/client-common.c, auth/auth-request.c, auth/auth-policy.c). Fixed words come first;
 * the user name comes before the address in every line, and may hold a whole forged line. */
#include "node/ingest/parse.h"

#include <ctype.h>
#include <string.h>

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

    number = [0-9]{1,9};
*/

enum process { PROCESS_OTHER, PROCESS_LOGIN, PROCESS_AUTH, PROCESS_AUTH_24 };

static enum process lex_process(uint8_t *service, const char **at, const char *limit)
{
    const char *cur = *at;
    const char *mark = cur;

    if (cur == limit)
        return PROCESS_OTHER;
    /*!re2c
        "imap-login: " | "imap-urlauth-login: "  { *service = GV_SERVICE_IMAP; goto login; }
        "pop3-login: "                           { *service = GV_SERVICE_POP3; goto login; }
        "managesieve-login: "                    { *service = GV_SERVICE_SIEVE; goto login; }
        "submission-login: "                     { *service = GV_SERVICE_SUBMISSION; goto login; }
        "auth: " | "auth-worker: " | "auth-worker(" number "): "
                                                 { *at = cur; return PROCESS_AUTH; }
        "auth(" | "auth-worker("                 { return PROCESS_AUTH_24; }
        *                                        { return PROCESS_OTHER; }
    */
login:
    *at = cur;
    return PROCESS_LOGIN;
}

enum opening { OPENS_OTHER, OPENS_SUCCESS, OPENS_PROXY, OPENS_END };

/* Only a finished visit is read, and that a proxy passed somebody on. What else a login process says
 * ("Authenticate X failed", "proxy(X): Login failed") comes before the line that settles it, with the
 * client's own words in front. */
static enum opening lex_opening(const char **at, const char *limit)
{
    const char *cur = *at;
    const char *mark = cur;

    if (cur == limit)
        return OPENS_OTHER;
    /*!re2c
        "Info: "? ("Login" | "Logged in") ": user=<"   { *at = cur; return OPENS_SUCCESS; }
        "Info: "? "proxy("                             { *at = cur; return OPENS_PROXY; }
        "Info: "? ("Disconnected" | "Aborted login") (":" | " (")
                                                       { *at = cur - 1; return OPENS_END; }
        "Info: "? "Login aborted: "                    { *at = cur; return OPENS_END; }
        *                                              { return OPENS_OTHER; }
    */
}

/* A number of one to nine digits. */
static bool take_number(uint32_t *out, const char **at, const char *limit)
{
    const char *start = *at;

    *out = 0;
    while (*at < limit && **at >= '0' && **at <= '9' && *at - start < 10)
        *out = 10 * *out + (uint32_t)(*(*at)++ - '0');
    return *at > start && *at - start < 10;
}

/* ", 7 attempts", ", 1/7 successful auths", or ", 1 successful auths" of 2.3, which does not say of
 * how many: then auth_all stays 0. False when it is none of them. */
static bool take_tally(struct gv_parsed *out, const char *cur, const char *limit)
{
    static const char good[] = " successful auths";
    uint32_t first, all;

    if (limit - cur < 3 || cur[0] != ',' || cur[1] != ' ')
        return false;
    cur += 2;
    if (!take_number(&first, &cur, limit))
        return false;
    if (cur < limit && *cur == '/') {
        cur++;
        if (!take_number(&all, &cur, limit))
            return false;
        out->auth_good = first;
        out->auth_all = all > first ? all : first;
    } else if (gv_begins(cur, limit, good)) {
        out->auth_good = first;
    } else {
        out->auth_all = first;
    }
    return true;
}

enum group { GROUP_UNKNOWN, GROUP_NOTHING, GROUP_READ, GROUP_REMOTE, GROUP_ABORTED };

/* What stands in the parentheses that say why a visit ended: how, and what its last attempt was. *at
 * moves behind the words. */
static enum group lex_group(struct gv_parsed *out, const char **at, const char *limit)
{
    const char *cur = *at;
    const char *mark = cur;
    enum group found = GROUP_READ;

    out->kind = GV_KIND_UNSPECIFIED;
    out->blame = GV_BLAME_BACKEND;
    if (cur == limit)
        return GROUP_UNKNOWN;
    /*!re2c
        "auth failed"                          { out->end = GV_END_FAILED; goto client; }
        "proxy dest auth failed" | "proxy dest authentication failure" (" to " [^,()\x00]*)?
                                               { found = GROUP_REMOTE; goto client; }
        "client didn't finish SASL auth" | "auth aborted by client" | "aborted authentication"
                                               { found = GROUP_ABORTED; goto client; }
        "disconnected while authenticating" | "tried to use disallowed " ("plain" | "clear") "text auth"
            { out->kind = GV_KIND_ABORTED; out->end = GV_END_LAST; goto client; }
        "tried to use unsupported auth mechanism" | "anonymous logins disabled"
            { out->kind = GV_KIND_BAD_MECHANISM; out->end = GV_END_FAILED; goto client; }
        "sent invalid base64 in response" | "credentials contain control characters"
            { out->kind = GV_KIND_PROTOCOL; out->end = GV_END_FAILED; goto client; }
        "auth process communication failure" | "auth service reported temporary failure"
                                               { out->end = GV_END_FAULT; goto done; }
        "internal failure" | "proxy dest" [^,()\x00]* | "login disabled" | "connection limit reached"
                                               { out->end = GV_END_RIGHT; goto done; }
        "authorization failed" | "user disabled" | "password expired"
                                               { out->end = GV_END_STATE; goto done; }
        "disconnected while finishing" | "cert required" | "client did" | "client sent"
            | "auth referral" | "The process is shutting down" | "client_limit"
                                               { out->end = GV_END_OTHER; goto done; }
        "no auth attempts" | "disconnected "   { return GROUP_NOTHING; }
        *   { return GROUP_UNKNOWN; }
    */
client:
    out->blame = GV_BLAME_CLIENT;
done:
    *at = cur;
    return found;
}

/* How many attempts the line itself says failed, and its last one. */
static void count_attempts(struct gv_parsed *out, enum group group, bool tally)
{
    uint32_t failed = gv_parsed_failed(out);

    if (group == GROUP_REMOTE) {
        /* This host let them in, and the one behind it did not. */
        failed = out->auth_all;
        out->end = tally ? GV_END_FAILED : GV_END_LAST;
    }
    if (group == GROUP_ABORTED) {
        /* Only the last was broken off; those before it were answered with a failure. */
        out->end = failed > 1 ? GV_END_FAILED : GV_END_LAST;
        out->kind = failed > 1 ? GV_KIND_UNSPECIFIED : GV_KIND_ABORTED;
        failed -= failed > 1;
    }
    if (out->end == GV_END_RIGHT && tally && out->auth_good == 0)
        out->end = GV_END_FAULT; /* nobody was let in */
    out->attempts = out->end == GV_END_FAILED && tally ? failed : out->end != GV_END_OTHER;
}

/* The first parentheses of a known meaning between `at` and `end`. Of others, too, the visit has
 * ended. */
static bool read_reason(struct gv_parsed *out, const char *at, const char *end)
{
    while ((at = memchr(at, '(', (size_t)(end - at)))) {
        const char *inside = at + 1;
        enum group group = lex_group(out, &inside, end);

        if (group == GROUP_NOTHING)
            return false;
        if (group != GROUP_UNKNOWN) {
            bool tally = take_tally(out, inside, end);
            count_attempts(out, group, tally);
            if (out->end == GV_END_FAILED && !tally && (inside == end || *inside != ')'))
                break; /* the words go on, and say another thing */
            return true;
        }
        at++;
    }
    out->kind = GV_KIND_UNSPECIFIED;
    out->blame = GV_BLAME_BACKEND;
    out->end = GV_END_OTHER;
    out->attempts = 0;
    return true;
}

/* The first ": user=<", which is mostly where the first equals sign is. */
static const char *find_user(const char *at, const char *limit)
{
    const char *equals = memchr(at, '=', (size_t)(limit - at));

    if (!equals)
        return NULL;
    if (equals - at >= 6 && limit - equals >= 2 && memcmp(equals - 6, ": user=<", 8) == 0)
        return equals - 6;
    return gv_find(at, limit, ": user=<");
}

/* Dovecot logs so much of a name, with "..." at its end if that is not all. */
#define DOVECOT_NAME_MAX 80

/* Most names have no colon. */
static bool holds_beginning(const char *at, const char *limit)
{
    return memchr(at, ':', (size_t)(limit - at)) &&
           (gv_find(at, limit, "-login: ") || gv_holds_stamp(at, limit, false) ||
            gv_find(at, limit, ">1 - "));
}

/* The beginning of another line in the name of one that tells of `attempts`. Where the line was torn
 * off there, its end is the next one's, which somebody else may have written; but a client who ends
 * with such a name must not hide what he tried before. No name is as long as most lines' beginnings
 * are; and in what is left only the auth service's word for it is believed. */
static bool weigh_name(struct gv_parsed *out)
{
    const char *name = out->account.at, *end = name + out->account.len + 1; /* the bracket, too */

    if (!holds_beginning(name, end))
        return true;
    if (out->account.len > DOVECOT_NAME_MAX)
        return false;
    out->apart = out->account;
    if (gv_holds_line(name, end)) {
        out->torn = gv_parsed_failed(out) > 0 || out->attempts > 0;
        out->blame = GV_BLAME_BACKEND;
        out->end = GV_END_OTHER;
        out->attempts = out->auth_good = out->auth_all = 0;
    }
    return true;
}

/* Behind "Login: user=<", or as much of a proxy's line. */
static bool read_success(struct gv_parsed *out, const char *at, const char *limit)
{
    out->said = GV_SAID_SUCCESS;
    if (!gv_take_elements(out, at, limit) || out->account.len == 0 ||
        holds_beginning(out->account.at, out->account.at + out->account.len))
        return false;
    /* Anybody gets in that way, so it proves nothing, but the visit has ended. */
    if (gv_begins(out->account.at + out->account.len, limit, ">, method=ANONYMOUS,")) {
        out->said = GV_SAID_FAILURE;
        out->blame = GV_BLAME_BACKEND;
        out->end = GV_END_OTHER;
    }
    return true;
}

/* "proxy(NAME,HOST:PORT): Started proxying to ...: user=<NAME>, ..." (2.3, 2.4), "proxy(NAME): started
 * proxying to HOST:PORT: user=<NAME>, ..." (2.2): the host behind this one let NAME in. A name that
 * holds these words itself is not the one that stands in the elements. */
static bool read_proxy(struct gv_parsed *out, const char *name, const char *limit)
{
    const char *end = name, *at;

    while (end < limit && *end != ',' && *end != ')')
        end++;
    at = gv_find(end, limit, "): ");
    if (!at || end == name)
        return false;
    at += sizeof "): " - 1;
    const char *user = gv_find(at, limit, ": user=<");
    if (!user || (!gv_begins(at, limit, "Started proxying to ") &&
                  !gv_begins(at, limit, "started proxying to ")))
        return false;
    return read_success(out, user + sizeof ": user=<" - 1, limit) &&
           out->account.len == (size_t)(end - name) &&
           memcmp(out->account.at, name, out->account.len) == 0;
}

static bool parse_login(struct gv_parsed *out, const char *at, const char *limit, bool whole)
{
    enum opening opening = lex_opening(&at, limit);

    if (opening == OPENS_OTHER)
        return false;
    if (opening == OPENS_SUCCESS)
        return read_success(out, at, limit);
    if (opening == OPENS_PROXY)
        return read_proxy(out, at, limit);
    out->said = GV_SAID_FAILURE;
    const char *user = find_user(at, limit);
    /* With elements in another order the name could follow the address, and forge a later one. */
    if (!user || (memchr(at, '=', (size_t)(user - at)) &&
                  (gv_find(at, user, "rip=") || gv_find(at, user, "user=<"))))
        return false;
    /* Torn off within the reason, it would speak of whoever the next line is about. */
    if (memchr(at, '-', (size_t)(user - at)) && gv_find(at, user, "-login: "))
        return false;
    return read_reason(out, at, user) &&
           gv_take_elements(out, user + sizeof ": user=<" - 1, limit) &&
           (whole || weigh_name(out));
}

/* --- auth: why, not how often ---------------------------------------------------------------- */

enum tail { TAIL_OTHER, TAIL_CLOSED, TAIL_PASSWORD, TAIL_MESSAGE, TAIL_NONE };

/* What may follow the words of a failure. A password in plain is the client's own text. */
static enum tail lex_tail(const char *cur, const char *limit)
{
    const char *mark = cur;
    enum tail found;

    if (cur == limit)
        return TAIL_CLOSED;
    /*!re2c
        " (for LDAP bind)"                             { found = TAIL_CLOSED; goto done; }
        " (SHA1 of given password: " [0-9a-f]{1,40} ")"
                                                       { found = TAIL_CLOSED; goto done; }
        " (given password: "                           { return TAIL_PASSWORD; }
        ": "                                           { return TAIL_MESSAGE; }
        *                                              { return TAIL_OTHER; }
    */
done:
    return cur == limit ? found : TAIL_OTHER;
}

static const struct verdict_words {
    const char *words;
    uint8_t kind;
    uint8_t blame;
    enum tail open_tail; /* allowed beside TAIL_CLOSED, if the words stand there only once; NONE: none is */
} verdicts[] = {
#define PAM_FAULT(words)                                                                           \
    {": pam_authenticate() failed: " words, GV_KIND_UNSPECIFIED, GV_BLAME_BACKEND, TAIL_NONE}
    {": Password mismatch", GV_KIND_WRONG_PASSWORD, GV_BLAME_CLIENT, TAIL_PASSWORD},
    {": unknown user", GV_KIND_UNKNOWN_ACCOUNT, GV_BLAME_CLIENT, TAIL_PASSWORD},
    {": pam_authenticate() failed: Authentication failure (Password mismatch?)",
     GV_KIND_WRONG_PASSWORD, GV_BLAME_CLIENT, TAIL_PASSWORD},
    {": Authentication failure due to policy server refusal", GV_KIND_UNSPECIFIED, GV_BLAME_POLICY,
     TAIL_MESSAGE},
    /* Linux-PAM's words where a module could not ask whom it asks; Dovecot writes them as information. */
    PAM_FAULT("Authentication service cannot retrieve authentication info"),
    PAM_FAULT("System error"),
    PAM_FAULT("Error in service module"),
    PAM_FAULT("Memory buffer error"),
    PAM_FAULT("Failed to load module"),
    PAM_FAULT("Symbol not found"),
    PAM_FAULT("Module is unknown"),
    PAM_FAULT("Critical error - immediate abort"),
    PAM_FAULT("Insufficient credentials to access authentication data"),
};
#undef PAM_FAULT

static bool read_verdict(struct gv_parsed *out, const struct verdict_words *v, bool open,
                         const char *at, const char *limit)
{
    const char *found = gv_find_last(at, limit, v->words);

    if (!found)
        return false;
    enum tail tail = lex_tail(found + strlen(v->words), limit);
    /* A password in plain may end like a verdict, where the line is cut behind it. */
    if (open ? tail != v->open_tail || gv_find(at, limit, v->words) != found
             : tail != TAIL_CLOSED || gv_find(at, found, " (given password: "))
        return false;
    out->kind = v->kind;
    out->blame = v->blame;
    return gv_take_identity(out, at, found);
}

/* "plain(?,ADDR): ...": the login had no name yet, so no verdict is spoken here, and whatever looks
 * like one further on is the client's own text. */
static bool is_unnamed(const char *at, const char *limit)
{
    const char *open = memchr(at, '(', (size_t)(limit - at));

    return open && limit - open > 2 && open[1] == '?' && open[2] == ',';
}

/* A name that cannot be an account here: "plain(?,ADDR): Username character disallowed by ...: 0x2c
 * (username: NAME)". Where every character is allowed, a name can be made to look like this; then the
 * real identity follows it, and nothing is said. */
static bool read_disallowed(struct gv_parsed *out, const char *at, const char *limit)
{
    static const char words[] = ": Username character disallowed by auth_username_chars: 0x";
    static const char name[] = " (username: ";
    const char *found = gv_find(at, limit, ": ");

    if (!found || gv_find(found, limit, words) != found || limit[-1] != ')')
        return false;
    const char *after = found + sizeof words - 1;
    while (after < limit && isxdigit((unsigned char)*after))
        after++;
    if (gv_find(after, limit, name) != after || gv_find(after, limit, "): ") ||
        gv_find(after, limit, ")<"))
        return false;
    out->kind = GV_KIND_UNKNOWN_ACCOUNT;
    return gv_take_identity(out, at, found) && out->account.len == 0;
}

/* "Error: sql(USER,ADDR): ..." or "auth(...)<...>: Error: ...". It only ever excuses a failure, so
 * the first identity that can be read will do. */
static bool read_fault(struct gv_parsed *out, const char *at, const char *limit)
{
    const char *end;

    out->blame = GV_BLAME_BACKEND;
    for (end = at; (end = gv_find(end, limit, ": ")); end++)
        if (end > at && gv_take_identity(out, at, end))
            return true;
    return false;
}

/* "auth(USER,ADDR)<...>: Error: ...", in which a name must not excuse its owner: with another
 * identity behind it nothing is said. */
static bool read_error(struct gv_parsed *out, const char *at, const char *limit)
{
    static const char words[] = ": Error: ";
    const char *error = gv_find(at, limit, words);
    struct gv_parsed other = *out;

    out->kind = GV_KIND_UNSPECIFIED;
    out->blame = GV_BLAME_BACKEND;
    if (!error || !gv_take_identity(out, at, error))
        return false;
    for (const char *end = error + 1; (end = gv_find(end, limit, ": ")); end++)
        if (gv_take_identity(&other, at, end) && other.account.len != out->account.len)
            return false;
    return true;
}

static const char *skip_worker(const char *cur, const char *limit)
{
    const char *mark = cur;
    const char *start = cur;

    if (cur == limit)
        return start;
    /*!re2c
        "Info: "                                       { return cur; }
        "conn unix:" [^ \x00]* " (pid=" number ",uid=" number "): auth-worker<" number ">: "
                                                       { return cur; }
        *                                              { return start; }
    */
}

static bool parse_auth(struct gv_parsed *out, const char *at, const char *limit)
{
    at = skip_worker(skip_worker(at, limit), limit); /* the level, and which worker */
    out->said = GV_SAID_HINT;
    out->attempts = 1;
    if ((size_t)(limit - at) > 7 && memcmp(at, "Error: ", 7) == 0)
        return read_fault(out, skip_worker(at + 7, limit), limit);
    if (is_unnamed(at, limit))
        return read_disallowed(out, at, limit) ||
               (gv_find(at, limit, ": ") == gv_find(at, limit, ": Error: ") &&
                read_error(out, at, limit));
    for (int open = 0; open <= 1; open++)
        for (size_t i = 0; i < sizeof verdicts / sizeof *verdicts; i++)
            if (read_verdict(out, &verdicts[i], open == 1, at, limit))
                return true;
    return read_error(out, at, limit);
}

bool gv_parse_dovecot(struct gv_parsed *out, const struct gv_line *line, bool half)
{
    const char *at = line->text;
    const char *limit = at + line->text_len;
    uint8_t service = GV_SERVICE_UNKNOWN;
    enum process process = lex_process(&service, &at, limit);

    if (process == PROCESS_OTHER)
        return false;
    *out = (struct gv_parsed){.kind = GV_KIND_UNSPECIFIED};
    out->service = service;
    if (process == PROCESS_LOGIN)
        return parse_login(out, at, limit, line->whole);
    return !half && parse_auth(out, at, limit);
}
