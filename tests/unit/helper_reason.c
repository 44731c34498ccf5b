#include "helper_reason.h"

#include <stdio.h>
#include <string.h>

#include "helper_differential.h"

static bool begins(const char *text, const char *word)
{
    return strncmp(text, word, strlen(word)) == 0;
}

/* The words in parentheses, and what they say of the last attempt and of those before it. */
static const struct reason_words {
    const char *words;
    enum gv_end end;
    enum gv_blame blame;
    unsigned kind; /* 0: the line says nothing */
    bool remote, aborted;
} reason_words[] = {
    {"(auth failed", GV_END_FAILED, GV_BLAME_CLIENT, GV_KIND_UNSPECIFIED, false, false},
    {"(proxy dest authentication failure", GV_END_FAILED, GV_BLAME_CLIENT, GV_KIND_UNSPECIFIED,
     true, false},
    {"(proxy dest auth failed", GV_END_FAILED, GV_BLAME_CLIENT, GV_KIND_UNSPECIFIED, true, false},
    {"(client didn't finish SASL auth", GV_END_LAST, GV_BLAME_CLIENT, GV_KIND_ABORTED, false, true},
    {"(auth aborted by client", GV_END_LAST, GV_BLAME_CLIENT, GV_KIND_ABORTED, false, true},
    {"(aborted authentication", GV_END_LAST, GV_BLAME_CLIENT, GV_KIND_ABORTED, false, true},
    {"(disconnected while authenticating", GV_END_LAST, GV_BLAME_CLIENT, GV_KIND_ABORTED, false,
     false},
    {"(tried to use disallowed plaintext auth", GV_END_LAST, GV_BLAME_CLIENT, GV_KIND_ABORTED,
     false, false},
    {"(tried to use disallowed cleartext auth", GV_END_LAST, GV_BLAME_CLIENT, GV_KIND_ABORTED,
     false, false},
    {"(tried to use unsupported auth mechanism", GV_END_FAILED, GV_BLAME_CLIENT,
     GV_KIND_BAD_MECHANISM, false, false},
    {"(anonymous logins disabled", GV_END_FAILED, GV_BLAME_CLIENT, GV_KIND_BAD_MECHANISM, false,
     false},
    {"(sent invalid base64 in response", GV_END_FAILED, GV_BLAME_CLIENT, GV_KIND_PROTOCOL, false,
     false},
    {"(credentials contain control characters", GV_END_FAILED, GV_BLAME_CLIENT, GV_KIND_PROTOCOL,
     false, false},
    {"(auth process communication failure", GV_END_FAULT, GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED,
     false, false},
    {"(auth service reported temporary failure", GV_END_FAULT, GV_BLAME_BACKEND,
     GV_KIND_UNSPECIFIED, false, false},
    {"(internal failure", GV_END_RIGHT, GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED, false, false},
    {"(login disabled", GV_END_RIGHT, GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED, false, false},
    {"(connection limit reached", GV_END_RIGHT, GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED, false,
     false},
    {"(proxy dest remote failure", GV_END_RIGHT, GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED, false,
     false},
    {"(authorization failed", GV_END_STATE, GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED, false, false},
    {"(user disabled", GV_END_STATE, GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED, false, false},
    {"(password expired", GV_END_STATE, GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED, false, false},
    {"(disconnected while finishing", GV_END_OTHER, GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED, false,
     false},
    {"(no auth attempts", GV_END_OTHER, GV_BLAME_CLIENT, 0, false, false},
    {"(disconnected ", GV_END_OTHER, GV_BLAME_CLIENT, 0, false, false},
    {"(cert required", GV_END_OTHER, GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED, false, false},
    {"(client did", GV_END_OTHER, GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED, false, false},
    {"(client sent", GV_END_OTHER, GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED, false, false},
    {"(auth referral", GV_END_OTHER, GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED, false, false},
    {"(The process is shutting down", GV_END_OTHER, GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED, false,
     false},
    {"(client_limit", GV_END_OTHER, GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED, false, false},
};

/* The words that stand there; of those that begin alike the first in the list is the longest. The
 * length of any "proxy dest ..." is up to the next bracket or comma. */
static const struct reason_words *words_at(const char *text, size_t *len)
{
    static const struct reason_words other_proxy = {
        "(proxy dest", GV_END_RIGHT, GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED, false, false};
    const struct reason_words *found = NULL;

    for (size_t i = 0; !found && i < sizeof reason_words / sizeof *reason_words; i++)
        if (begins(text, reason_words[i].words))
            found = &reason_words[i];
    *len = found ? strlen(found->words) : 0;
    if (!begins(text, other_proxy.words))
        return found;
    size_t all = 1 + strcspn(text + 1, "(),");
    bool to = found && found->remote && begins(found->words, "(proxy dest authentication") &&
              begins(text + *len, " to ");
    if (!found || (all > *len && !to))
        found = &other_proxy;
    *len = all;
    return found;
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Without the blanks and signs that sscanf takes before a number. */
static bool plain(const char *text)
{
    const char *slash = strchr(text, '/');

    return text[0] == ',' && text[1] == ' ' && digit(text[2]) &&
           (!slash || text + 2 + strspn(text + 2, "0123456789") != slash || digit(slash[1]));
}

/* ", 7", ", 1/7" or ", 1 successful auths": of how many attempts how many were right. */
static bool tally_at(struct reason *s, const char *text)
{
    unsigned good, all;
    int end = 0;

    if (sscanf(text, ", %9u/%9u%n", &good, &all, &end) == 2 && end > 0 && !digit(text[end]) &&
        plain(text)) {
        s->good = good;
        s->all = all < good ? good : all;
        return true;
    }
    if (sscanf(text, ", %9u%n", &all, &end) != 1 || digit(text[end]) || text[end] == '/' ||
        !plain(text))
        return false;
    if (strncmp(text + end, " successful auths", 17) == 0)
        s->good = all;
    else
        s->all = all;
    return true;
}

struct reason reason_of(const char *text)
{
    struct reason none = {0}, out = {0}, *s = &out;
    static const struct reason_words unknown = {
        "", GV_END_OTHER, GV_BLAME_BACKEND, GV_KIND_UNSPECIFIED, false, false};
    const struct reason_words *w = NULL;
    size_t len = 0;

    while (*text && !(w = words_at(text, &len)))
        text++;
    if (!w)
        w = &unknown;
    if (w->kind == 0)
        return none;
    bool tally = w != &unknown && tally_at(s, text + len);
    uint32_t failed = s->all > s->good ? s->all - s->good : 0;
    if (!w->remote && w->end == GV_END_FAILED && !tally && text[len] != ')')
        w = &unknown;
    s->kind = w->kind;
    s->blame = w->blame;
    s->end = w->end;
    s->attempts = w->end == GV_END_FAILED && tally ? failed : 1;
    if (w->remote) { /* who fails there was let in here */
        s->attempts = tally ? s->all : 1;
        s->end = tally ? GV_END_FAILED : GV_END_LAST;
    }
    if (w->aborted && failed > 1) { /* all but the last */
        s->end = GV_END_FAILED;
        s->kind = GV_KIND_UNSPECIFIED;
        s->attempts = failed - 1;
    }
    if (w->end == GV_END_RIGHT && tally && s->good == 0)
        s->end = GV_END_FAULT;
    if (w->end == GV_END_OTHER)
        s->attempts = 0;
    s->any = true;
    return out;
}

const char *reason_draw(void)
{
    return PICK(reason_words).words;
}
