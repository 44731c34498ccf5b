/* Visits of Dovecot's, made up with their truth: however one ends, what is counted of it is what
 * failed in it, never more, and never against another address (SPEC 10.2, 10.3). Many are open at
 * once; the log is that of 2.3 or 2.4, with pids or without, perhaps with its equal lines folded,
 * perhaps with a second passdb that lets in whom the first does not know, perhaps silent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../unit/helper_differential.h"
#include "../unit/helper_reader.h"

#define VISITS       24
#define ATTEMPTS_MAX 8
#define LINES_MAX    (VISITS * (2 * ATTEMPTS_MAX + 6))
#define RUNS         160

/* What the last attempt of a visit comes to. */
enum last { FAILED, SOFT, ABORTED, RIGHT, STATE, FAULT, OTHER, SUCCESS };

static const struct ending {
    const char *words; /* in the parentheses; %s is where 2.4 has its tally; NULL: a login */
    enum last last;
    bool only_23, only_24;
} endings[] = {
    {"auth failed%s", FAILED, false, false},
    {"tried to use unsupported auth mechanism%s", SOFT, false, false},
    {"sent invalid base64 in response%s", SOFT, false, false},
    {"anonymous logins disabled%s", SOFT, false, false},
    {"tried to use disallowed plaintext auth", ABORTED, true, false},
    {"tried to use disallowed cleartext auth%s", ABORTED, false, true},
    {"disconnected while authenticating, waited 3 secs", ABORTED, true, false},
    {"auth aborted by client%s", ABORTED, false, true},
    {"client didn't finish SASL auth%s", ABORTED, false, true},
    {"internal failure, 1 successful auths", RIGHT, true, false},
    {"internal failure%s", RIGHT, false, true},
    {"login disabled%s", RIGHT, false, true},
    {"login disabled", RIGHT, true, false},
    {"connection limit reached%s", RIGHT, false, true},
    {"proxy dest connection failed%s", RIGHT, false, true},
    {"authorization failed%s", STATE, false, false},
    {"user disabled%s", STATE, false, false},
    {"password expired%s", STATE, false, false},
    {"auth service reported temporary failure%s", FAULT, false, false},
    {"auth process communication failure%s", FAULT, false, false},
    {"The process is shutting down so the login is aborted.", OTHER, false, true},
    {"client_limit and process_limit was hit and this login session was killed.", OTHER, false,
     true},
    {"client sent an invalid cert", OTHER, true, false},
    {"auth referral%s", OTHER, false, true},
    {"disconnected while finishing login, waited 3 secs", OTHER, true, false},
    {"something new%s", OTHER, false, false},
    {NULL, SUCCESS, false, false},
};

/* How the server of a run is set up. */
static struct {
    bool v24, pids, folds, several, alike, silent;
} server;

struct visit {
    char address[24], session[24];
    const struct ending *ending;
    unsigned failed, faults;
    unsigned hard, soft, successes, lines; /* as they were found */
};

struct line {
    unsigned second, number;
    char text[400];
};

static struct visit visits[VISITS];
static struct line lines[LINES_MAX];
static size_t count;

static void put(unsigned second, const char *process, const char *text)
{
    struct line *l = &lines[count];

    assert_true(count < LINES_MAX);
    l->second = second;
    l->number = (unsigned)count++;
    snprintf(l->text, sizeof l->text, "dovecot%s: %s%s", server.pids ? "[811]" : "", process, text);
}

/* What a passdb says of an attempt. */
static void answer(const struct visit *v, unsigned second, const char *name, const char *passdb,
                   const char *verdict, bool error)
{
    char text[300];

    if (server.silent)
        return;
    if (server.v24)
        snprintf(text, sizeof text, "auth(%s,%s,sasl:plain)<%s>: %s%s: %s", name, v->address,
                 v->session, error ? "Error: " : "", passdb, verdict);
    else
        snprintf(text, sizeof text, "auth: %s%s(%s,%s,<%s>): %s", error ? "Error: " : "", passdb,
                 name, v->address, v->session, verdict);
    put(second, "", text);
}

static void tell_end(const struct visit *v, unsigned second)
{
    char tally[80] = "", words[160], text[340];
    unsigned all = v->failed + v->faults + (v->ending->last != FAILED);
    /* 2.3 has it in these two alone. */
    bool has = server.v24 || strstr(v->ending->words, "auth failed") ||
               strstr(v->ending->words, "authorization failed");

    if (has && v->ending->last == RIGHT)
        snprintf(tally, sizeof tally, ", 1/%u successful auths in 4 secs", all);
    else if (has)
        snprintf(tally, sizeof tally, ", %u attempts in 4 secs", all);
    const char *mark = strstr(v->ending->words, "%s");
    snprintf(words, sizeof words, "%.*s%s",
             (int)(mark ? (size_t)(mark - v->ending->words) : strlen(v->ending->words)),
             v->ending->words, mark ? tally : "");
    snprintf(text, sizeof text,
             "%s (%s)%s: user=<off>, method=PLAIN, rip=%s, lip=192.0.2.25, session=<%s>",
             server.v24 ? "Login aborted: Connection closed" : "Disconnected: Connection closed",
             words, server.v24 ? " (reason)" : "", v->address, v->session);
    put(second, "imap-login: ", text);
}

static void tell_login(const struct visit *v, unsigned second)
{
    char text[340];

    snprintf(text, sizeof text,
             "%s: user=<off>, method=PLAIN, rip=%s, lip=192.0.2.25, mpid=7, session=<%s>",
             server.v24 ? "Logged in" : "Login", v->address, v->session);
    put(second, "imap-login: ", text);
}

static void make_visit(struct visit *v, unsigned number)
{
    static const char *const names[] = {"alice", "bob", "x>, method=PLAIN, rip=203.0.113.9", "off"};
    unsigned second = draw(900);

    *v = (struct visit){0};
    snprintf(v->address, sizeof v->address, "198.51.%u.%u", 100 + number / 8, number % 8);
    snprintf(v->session, sizeof v->session, "s%uDwCGM2Q%u", number, draw(1000));
    do
        v->ending = &endings[draw(sizeof endings / sizeof *endings)];
    while (server.v24 ? v->ending->only_23 : v->ending->only_24);
    v->failed = draw(4) == 0 ? 0 : 1 + draw(ATTEMPTS_MAX - 1);
    if (v->ending->last == FAILED && v->failed == 0)
        v->failed = 1;
    for (unsigned i = 0; i < v->failed; i++) {
        const char *name = PICK(names);
        bool unknown = strcmp(name, "off") != 0 && draw(2);

        if (server.several)
            answer(v, second, name, server.alike ? "sql" : "pam", "unknown user", false);
        answer(v, second, name, "sql", unknown ? "unknown user" : "Password mismatch", false);
        second += 2 + draw(3); /* auth_failure_delay */
    }
    /* The backend breaks; these are nobody's. */
    if ((v->ending->last == FAULT || v->ending->last == SUCCESS) && draw(3) == 0)
        for (v->faults = draw(3); v->faults > 0 && second < 1000;) {
            for (unsigned i = 0; i < v->faults; i++, second += 2)
                answer(v, second, "off", "sql", "Password query failed: x", true);
            break;
        }
    bool asked = v->ending->last == RIGHT || v->ending->last == STATE || v->ending->last == SUCCESS;
    if (server.several && asked)
        answer(v, second, "off", server.alike ? "sql" : "pam", "unknown user", false);
    if (v->ending->last == SUCCESS)
        tell_login(v, second);
    else
        tell_end(v, second + (asked ? 0 : draw(3)));
}

static int by_time(const void *a, const void *b)
{
    const struct line *x = a, *y = b;

    if (x->second != y->second)
        return x->second < y->second ? -1 : 1;
    return x->number < y->number ? -1 : 1;
}

/* Equal lines that follow each other become one that says how often it came again. */
static void write_log(struct fed *fed)
{
    qsort(lines, count, sizeof *lines, by_time);
    for (size_t i = 0, next; i < count; i = next) {
        char text[500], stamp[32];

        snprintf(stamp, sizeof stamp, "Nov 22 06:%02u:%02u vm ", lines[i].second / 60,
                 lines[i].second % 60);
        snprintf(text, sizeof text, "%s%s", stamp, lines[i].text);
        fed_line(fed, text);
        for (next = i + 1; server.folds && next < count; next++)
            if (strcmp(lines[next].text, lines[i].text) != 0)
                break;
        const char *said = strstr(lines[i].text, ": ") + 2;
        snprintf(text, sizeof text, "%s%.*smessage repeated %zu times: [ %s]", stamp,
                 (int)(said - lines[i].text), lines[i].text, next - i - 1, said);
        if (next - i > 1)
            fed_line(fed, text);
    }
}

static struct visit *visit_of(const struct gv_reading *r)
{
    char address[GV_IP_ADDRESS_TEXT];

    gv_ip_address_text(address, &r->address);
    for (size_t i = 0; i < VISITS; i++)
        if (strcmp(visits[i].address, address) == 0)
            return &visits[i];
    fail_msg("%s was never there", address);
    return NULL;
}

static void take(const struct gv_reading *r)
{
    const unsigned hard = GV_KIND_UNSPECIFIED | GV_KIND_UNKNOWN_ACCOUNT | GV_KIND_WRONG_PASSWORD;
    struct visit *v = visit_of(r);

    assert_true(r->observation.new_visit == (v->lines++ == 0));
    if (r->observation.success)
        v->successes++;
    else
        *(r->observation.kind & hard ? &v->hard : &v->soft) += r->observation.attempts;
}

/* What must come out where the auth service speaks. */
static void check_told(const struct visit *v)
{
    /* Behind several passdbs the last that was told of may be of the attempt that was right. */
    unsigned doubt = server.several && v->failed > 0;

    if (v->hard > v->failed || v->hard + doubt < v->failed)
        fail_msg("%s (%s): %u failed, not %u", v->address,
                 v->ending->words ? v->ending->words : "login", v->hard, v->failed);
    /* One that was broken off is told of where it was the only one, or by 2.3. */
    bool soft = v->ending->last == SOFT || v->ending->last == ABORTED;
    assert_true(v->soft <= soft);
    assert_true(v->ending->last != SOFT || v->soft == 1);
    assert_int_equal(v->successes, v->ending->last == SUCCESS);
}

/* Where it is silent the tally alone tells, and never too many. */
static void check_silent(const struct visit *v)
{
    bool soft = v->ending->last == SOFT || v->ending->last == ABORTED;

    assert_true(v->hard + v->soft <= v->failed + soft);
    if (v->ending->last == FAILED || (v->ending->last == RIGHT && server.v24))
        assert_int_equal(v->hard, v->failed);
    if (v->ending->last == SOFT && server.v24)
        assert_int_equal(v->soft, v->failed + 1);
    if (v->ending->last == STATE && v->failed < 4)
        assert_int_equal(v->hard, 0);
    if (v->ending->last == FAULT || v->ending->last == OTHER || v->ending->last == SUCCESS)
        assert_int_equal(v->hard + v->soft, 0);
    assert_int_equal(v->successes, v->ending->last == SUCCESS);
}

static void what_counts_is_what_failed(void **state)
{
    static struct fed fed;
    unsigned failed = 0, found = 0;

    for (unsigned run = 0; run < RUNS; run++) {
        server.v24 = draw(2);
        server.pids = draw(2);
        server.folds = draw(2);
        server.several = draw(4) == 0;
        server.alike = !server.folds && draw(2); /* folded, nobody could say (SPEC 10.3) */
        server.silent = draw(6) == 0;
        count = 0;
        for (unsigned i = 0; i < VISITS; i++)
            make_visit(&visits[i], i);
        fed_open(&fed);
        write_log(&fed);
        fed_flush(&fed);
        fed_close(&fed);
        for (size_t i = 0; i < fed.count; i++)
            take(&fed.list[i]);
        for (unsigned i = 0; i < VISITS; i++) {
            (server.silent ? check_silent : check_told)(&visits[i]);
            failed += server.silent ? 0 : visits[i].failed;
            found += server.silent ? 0 : visits[i].hard;
        }
    }
    /* What is in doubt is little. */
    assert_true(failed > 20 * RUNS && found > failed - failed / 20);
}

int main(void)
{
    draw_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_counts_is_what_failed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
