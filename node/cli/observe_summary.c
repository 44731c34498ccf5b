#include "node/cli/observe_summary.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/trust/history.h"

/* 16384 subjects in sets of eight: 1 MB. Of a full set the least interesting is forgotten: the one
 * with the fewest attempts, the longest ago. Like local history it keeps who logs in before a flood
 * of strays, lest users be called attackers; but in half of its places, as this is a report on
 * attackers. */
#define SETS             2048
#define WAYS             8
#define LOGIN_WAYS       4
#define HISTORY_SUBJECTS 8192
#define DAY_MS           86400000u
/* A slow attacker comes back over a day or more, and never twice within an hour on average. */
#define SLOW_VISITS  3u
#define SLOW_PACE_MS 3600000u
#define MTAS         16u /* of enum gv_mta, with room */
/* Fewer neighbours than this are a coincidence. */
#define CAMPAIGN_SUBJECTS 3u

/* One cache line. */
struct row {
    struct gv_subject subject;
    uint8_t services, kinds, signal_kinds;
    bool shareable, signalled, repeats;
    uint32_t attempts; /* aborted ones are not in it; these two stay at the greatest number */
    uint32_t aborted;
    uint32_t visits;
    uint32_t successes;
    uint64_t seen_ms;
    union {
        struct { /* the first and the latest, while it has not failed; 0: none */
            uint64_t ms[2];
            uint32_t account[2];
        } login;
        struct {
            uint64_t first_ms, last_ms;            /* of the failures */
            uint32_t signal_count, signal_minutes; /* of the first signal */
        };
    };
};
_Static_assert(sizeof(struct row) == 64, "one cache line");

/* Readings wait here until there are so many, and are then entered together: the rows of all come
 * from memory at once, not one after another. */
#define WAITING 32
struct waiting {
    struct gv_reading reading;
    uint64_t hash;
    bool allowed;
};

/* The latest login from a network, where the local history does not know it: no address of it has
 * failed. A place that another takes is a login forgotten. */
#define NETWORKS 8192u
struct network {
    uint32_t tag; /* of the network's hash; 0: free */
    uint32_t login_s;
};

struct gv_summary {
    _Alignas(64) struct row table[SETS][WAYS];
    uint32_t tags[SETS][WAYS]; /* of the rows' hashes: one cache line finds the row */
    struct network networks[NETWORKS];
    struct gv_history *history;
    uint64_t key[2];
    bool lab;
    uint64_t forgotten, forgotten_logins; /* the latter among the former */
    uint64_t first_ms, last_ms;
    uint64_t by_mta[MTAS], by_service[8], by_kind[8];
    uint64_t signals, broken;
    struct waiting waiting[WAITING];
    size_t waiting_count;
};

struct gv_summary *gv_summary_new(bool lab)
{
    struct gv_summary *s = aligned_alloc(_Alignof(struct gv_summary), sizeof *s);

    if (!s)
        return NULL;
    memset(s, 0, sizeof *s);
    /* A secret key, so that nobody can aim addresses at one set. */
    randombytes_buf(s->key, sizeof s->key);
    s->lab = lab;
    s->history = gv_history_new(HISTORY_SUBJECTS, (const uint8_t *)s->key);
    if (!s->history) {
        free(s);
        return NULL;
    }
    return s;
}

void gv_summary_free(struct gv_summary *summary)
{
    if (summary)
        gv_history_free(summary->history);
    free(summary);
}

static bool has_failed(const struct row *row)
{
    return (row->attempts | row->aborted) > 0;
}

static bool only_logs_in(const struct row *row)
{
    return row->successes > 0 && !has_failed(row);
}

static uint64_t failures(const struct row *row)
{
    return (uint64_t)row->attempts + row->aborted;
}

/* Of one that only logs in: its next failure would be of clean history (SPEC 12.1). */
static bool clean(const struct row *row)
{
    const uint32_t *account = row->login.account;

    return row->login.ms[1] >= row->login.ms[0] + 7ull * DAY_MS ||
           (account[0] != 0 && account[1] != 0 && account[0] != account[1]);
}

static bool less_interesting(const struct row *a, const struct row *b)
{
    if (only_logs_in(a) && clean(a) != clean(b))
        return clean(b);
    return failures(a) != failures(b) ? failures(a) < failures(b) : a->seen_ms < b->seen_ms;
}

/* A free row, or the one to forget. */
static struct row *least_interesting(struct row *set)
{
    struct row *least = NULL;
    int logins = 0;

    for (int i = 0; i < WAYS; i++) {
        if (set[i].subject.family == GV_FAMILY_NONE)
            return &set[i];
        logins += only_logs_in(&set[i]);
    }
    for (int i = 0; i < WAYS; i++)
        if (only_logs_in(&set[i]) == (logins >= LOGIN_WAYS) &&
            (!least || less_interesting(&set[i], least)))
            least = &set[i];
    return least;
}

static uint64_t hash(const struct gv_summary *s, const struct gv_subject *subject)
{
    uint64_t h;

    memcpy(&h, subject->bytes, sizeof h);
    h = (h ^ s->key[0]) * (s->key[1] | 1);
    h = (h ^ h >> 32 ^ subject->family) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 29;
}

/* A bit for each row of the set that is probably the one. */
static unsigned by_tag(const struct gv_summary *s, uint64_t h)
{
    unsigned found = 0;

    for (unsigned i = 0; i < WAYS; i++)
        found |= (unsigned)(s->tags[h % SETS][i] == (uint32_t)(h >> 32)) << i;
    return found;
}

static struct row *row_of(struct gv_summary *s, const struct gv_subject *subject, uint64_t h)
{
    struct row *set = s->table[h % SETS];

    for (unsigned found = by_tag(s, h); found; found &= found - 1)
        if (gv_subject_equal(&set[__builtin_ctz(found)].subject, subject))
            return &set[__builtin_ctz(found)];
    struct row *least = least_interesting(set);
    s->forgotten += least->subject.family != GV_FAMILY_NONE;
    s->forgotten_logins += only_logs_in(least);
    memset(least, 0, sizeof *least);
    s->tags[h % SETS][least - set] = (uint32_t)(h >> 32);
    least->subject = *subject;
    least->shareable = gv_subject_shareable(subject, s->lab);
    return least;
}

static size_t bit_index(unsigned bit)
{
    size_t i = 0;

    while (bit > 1 && i < 7) {
        bit >>= 1;
        i++;
    }
    return i;
}

static void add_attempts(uint32_t *sum, uint32_t attempts)
{
    *sum = attempts < UINT32_MAX - *sum ? *sum + attempts : UINT32_MAX;
}

static void add_failure(struct gv_summary *s, struct row *row, const struct gv_reading *r)
{
    const struct gv_observation *o = &r->observation;

    if (o->kind == GV_KIND_ABORTED)
        add_attempts(&row->aborted, o->attempts);
    else
        add_attempts(&row->attempts, o->attempts);
    row->visits += o->new_visit;
    row->services |= o->service;
    row->kinds |= o->kind;
    if (row->first_ms == 0 || o->unix_ms < row->first_ms)
        row->first_ms = o->unix_ms;
    if (o->unix_ms > row->last_ms)
        row->last_ms = o->unix_ms;
    s->by_mta[r->mta % MTAS] += o->attempts;
    s->by_service[bit_index(o->service)] += o->attempts;
    s->by_kind[bit_index(o->kind)] += o->attempts;
}

/* As local history keeps an account: 0 is "not known". */
static uint32_t fold(uint64_t account)
{
    uint32_t folded = (uint32_t)(account ^ account >> 32);

    return folded == 0 && account != 0 ? 1 : folded;
}

/* Most clients never fail, and the rule for signals is about those who do: local history hears of a
 * subject once it fails, after its first and latest login, which is what makes it clean. */
static struct network *network_of(struct gv_summary *s, struct gv_subject *network, uint32_t *tag)
{
    uint64_t h = hash(s, network);

    *tag = (uint32_t)(h >> 32) | 1;
    return &s->networks[h % NETWORKS];
}

static void wait_for_failure(struct gv_summary *s, struct row *row, const struct gv_observation *o)
{
    struct gv_subject prefix = gv_subject_network(&o->subject);
    size_t slot = row->successes++ > 0;
    uint32_t tag;
    struct network *network = network_of(s, &prefix, &tag);

    *network = (struct network){tag, (uint32_t)(o->unix_ms / 1000)};
    row->login.ms[slot] = o->unix_ms;
    row->login.account[slot] = fold(o->account);
}

static void first_failure(struct gv_summary *s, struct row *row)
{
    struct gv_observation login = {.subject = gv_subject_network(&row->subject), .success = true};
    struct gv_history_result ignored;
    uint32_t tag;
    const struct network *network = network_of(s, &login.subject, &tag);

    /* Whoever logged in from the network stands in for all who did: 12.3 asks for no more. */
    if (network->tag == tag) {
        login.unix_ms = 1000ull * network->login_s;
        (void)gv_history_observe(s->history, &ignored, login.unix_ms, &login, GV_STRICT_NOT, false);
    }
    login.subject = row->subject;
    for (size_t i = 0; i < 2; i++) {
        if (row->login.ms[i] == 0)
            continue;
        login.unix_ms = row->login.ms[i];
        login.account = row->login.account[i];
        (void)gv_history_observe(s->history, &ignored, login.unix_ms, &login, GV_STRICT_NOT, false);
    }
    memset(&row->login, 0, sizeof row->login);
}

static void enter(struct gv_summary *summary, const struct waiting *w)
{
    const struct gv_observation *o = &w->reading.observation;
    struct gv_history_result result;
    struct row *row = row_of(summary, &o->subject, w->hash);

    if (summary->first_ms == 0 || o->unix_ms < summary->first_ms)
        summary->first_ms = o->unix_ms;
    if (o->unix_ms > summary->last_ms)
        summary->last_ms = o->unix_ms;
    row->seen_ms = o->unix_ms;
    if (w->allowed)
        row->shareable = false;
    if (o->success && !has_failed(row)) {
        wait_for_failure(summary, row, o);
        return;
    }
    row->successes += o->success;
    if (!o->success && !o->refused) {
        if (!has_failed(row))
            first_failure(summary, row);
        add_failure(summary, row, &w->reading);
    }
    if (w->allowed || gv_history_observe(summary->history, &result, summary->last_ms, o,
                                         GV_STRICT_NOT, row->shareable) != 0)
        return;
    summary->broken += result.broken_login;
    row->repeats |= result.repeats;
    if (!result.signal)
        return;
    summary->signals++;
    if (!row->signalled) {
        row->signalled = true;
        row->signal_count = result.statement.count;
        row->signal_kinds = result.statement.kinds;
        row->signal_minutes = result.statement.last_min - result.statement.first_min;
    }
}

static void enter_waiting(struct gv_summary *s)
{
    for (size_t i = 0; i < s->waiting_count; i++) {
        unsigned found = by_tag(s, s->waiting[i].hash);
        if (found)
            __builtin_prefetch(&s->table[s->waiting[i].hash % SETS][__builtin_ctz(found)]);
    }
    for (size_t i = 0; i < s->waiting_count; i++)
        enter(s, &s->waiting[i]);
    s->waiting_count = 0;
}

void gv_summary_add(struct gv_summary *summary, const struct gv_reading *reading, bool allowed)
{
    struct waiting *w = &summary->waiting[summary->waiting_count++];

    w->reading = *reading;
    w->allowed = allowed;
    w->hash = hash(summary, &reading->observation.subject);
    __builtin_prefetch(summary->tags[w->hash % SETS]);
    if (summary->waiting_count == WAITING)
        enter_waiting(summary);
}

/* --- The report --------------------------------------------------------------------------------
 */

struct page {
    FILE *out;
    unsigned top;
    bool colour;
};

static void heading(const struct page *page, const char *text)
{
    fprintf(page->out, page->colour ? "\n\033[1m%s\033[0m\n" : "\n%s\n", text);
}

static const char *time_text(char out[32], uint64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;

    if (ms == 0 || !gmtime_r(&seconds, &tm) || strftime(out, 32, "%Y-%m-%d %H:%MZ", &tm) == 0)
        return "-";
    return out;
}

static const char *bit_names(char out[96], unsigned bits, const char *(*name)(unsigned))
{
    size_t at = 0;

    out[0] = '\0';
    for (unsigned bit = 1; bit < 64; bit <<= 1)
        if (bits & bit)
            at += (size_t)snprintf(out + at, 96 - at, "%s%s", at ? "," : "", name(bit));
    return out;
}

static void print_row(const struct page *page, const struct row *row)
{
    char subject[GV_SUBJECT_TEXT], first[32], last[32], services[96], kinds[96];

    gv_subject_text(subject, &row->subject);
    fprintf(page->out, "  %-26s %8" PRIu64 " %7" PRIu32 "  %-17s  %-17s  %s; %s%s\n", subject,
            failures(row), row->visits, time_text(first, row->first_ms),
            time_text(last, row->last_ms), bit_names(services, row->services, gv_service_name),
            bit_names(kinds, row->kinds, gv_kind_name), row->shareable ? "" : "; not shareable");
}

static void print_columns(const struct page *page)
{
    fprintf(page->out, "  %-26s %8s %7s  %-17s  %-17s  %s\n", "subject", "attempts", "visits",
            "first", "last", "services; kinds");
}

static void print_head(const struct page *page, const struct gv_summary *s,
                       const struct gv_reader_counters *c)
{
    char first[32], last[32];

    fprintf(page->out,
            "lines        %" PRIu64 " read, %" PRIu64 " of interest, %" PRIu64 " skipped\n",
            c->lines, c->matched, c->skipped);
    fprintf(page->out, "period       %s to %s\n", time_text(first, s->first_ms),
            time_text(last, s->last_ms));
    fprintf(page->out, "attempts     %" PRIu64 " failed, in %" PRIu64 " observations\n",
            c->attempts, c->failures);
    fprintf(page->out,
            "logins       %" PRIu64 " successful; used for this host's own memory only\n",
            c->successes);
    if (c->refused + c->faults > 0)
        fprintf(page->out,
                "left out     %" PRIu64 " refused by this host, %" PRIu64
                " of the login backend's own making\n",
                c->refused, c->faults);
}

static void print_sources(const struct page *page, const struct gv_summary *s)
{
    heading(page, "Sources: failed attempts by server and by service");
    for (unsigned i = 1; i < MTAS; i++)
        if (s->by_mta[i])
            fprintf(page->out, "  %-16s %" PRIu64 "\n", gv_mta_name(i), s->by_mta[i]);
    for (unsigned i = 0; i < 6; i++)
        if (s->by_service[i])
            fprintf(page->out, "  %-16s %" PRIu64 "\n", gv_service_name(1u << i), s->by_service[i]);
    heading(page, "Kinds of failed attempts");
    for (unsigned i = 0; i < 6; i++)
        if (s->by_kind[i])
            fprintf(page->out, "  %-16s %" PRIu64 "\n", gv_kind_name(1u << i), s->by_kind[i]);
}

static int by_attempts(const void *a, const void *b)
{
    const struct row *x = *(struct row *const *)a, *y = *(struct row *const *)b;

    if (x->attempts != y->attempts)
        return x->attempts < y->attempts ? 1 : -1;
    if (x->aborted != y->aborted)
        return x->aborted < y->aborted ? 1 : -1;
    return memcmp(&x->subject, &y->subject, sizeof x->subject);
}

static bool slow(const struct row *row)
{
    uint64_t span = row->last_ms - row->first_ms;

    return row->successes == 0 && row->attempts > 0 && row->visits >= SLOW_VISITS &&
           span >= DAY_MS && span / (row->visits - 1) >= SLOW_PACE_MS;
}

static void print_list(const struct page *page, struct row **rows, size_t n, const char *title,
                       bool (*wanted)(const struct row *))
{
    size_t found = 0;

    for (size_t i = 0; i < n; i++) {
        if (wanted && !wanted(rows[i]))
            continue;
        if (found++ == 0) {
            heading(page, title);
            print_columns(page);
        }
        if (found <= page->top)
            print_row(page, rows[i]);
    }
    if (found > page->top)
        fprintf(page->out, "  and %zu more\n", found - page->top);
}

static bool attacks(const struct row *row)
{
    return row->attempts > 0;
}

/* --- Campaigns: several subjects of one /24 or /48 ----------------------------------------------
 */

static int by_subject(const void *a, const void *b)
{
    const struct row *x = *(struct row *const *)a, *y = *(struct row *const *)b;

    return memcmp(&x->subject, &y->subject, sizeof x->subject);
}

struct campaign {
    struct gv_subject network;
    uint32_t subjects;
    uint64_t attempts;
    uint64_t first_ms, last_ms;
};

static int by_size(const void *a, const void *b)
{
    const struct campaign *x = a, *y = b;

    if (x->subjects != y->subjects)
        return x->subjects < y->subjects ? 1 : -1;
    return x->attempts < y->attempts ? 1 : x->attempts > y->attempts ? -1 : 0;
}

/* Rows in the order of their subjects; writes at most n campaigns, as each needs a subject. */
static size_t find_campaigns(struct campaign *out, struct row **rows, size_t n)
{
    size_t count = 0;

    for (size_t i = 0; i < n;) {
        struct campaign c = {.network = gv_subject_network(&rows[i]->subject),
                             .first_ms = UINT64_MAX};
        for (; i < n; i++) {
            struct gv_subject network = gv_subject_network(&rows[i]->subject);
            if (!gv_subject_equal(&network, &c.network))
                break;
            if (rows[i]->attempts == 0)
                continue;
            c.subjects++;
            c.attempts += rows[i]->attempts;
            if (rows[i]->first_ms < c.first_ms)
                c.first_ms = rows[i]->first_ms;
            if (rows[i]->last_ms > c.last_ms)
                c.last_ms = rows[i]->last_ms;
        }
        if (c.subjects >= CAMPAIGN_SUBJECTS)
            out[count++] = c;
    }
    qsort(out, count, sizeof *out, by_size);
    return count;
}

static void network_text(char out[GV_SUBJECT_TEXT + 4], const struct gv_subject *network)
{
    char text[GV_SUBJECT_TEXT];

    gv_subject_text(text, network);
    text[strcspn(text, "/")] = '\0';
    snprintf(out, GV_SUBJECT_TEXT + 4, "%s/%d", text, network->family == GV_FAMILY_IPV4 ? 24 : 48);
}

static void print_campaigns(const struct page *page, struct row *const *rows, size_t n)
{
    struct campaign *list = calloc(n, sizeof *list);
    struct row **sorted = malloc(n * sizeof(struct row *));
    size_t count = 0;

    if (list && sorted) {
        memcpy(sorted, rows, n * sizeof(struct row *));
        qsort(sorted, n, sizeof(struct row *), by_subject);
        count = find_campaigns(list, sorted, n);
    }
    if (count > 0) {
        heading(page, "Campaigns: three or more attacking subjects of one /24 or /48");
        fprintf(page->out, "  %-26s %8s %9s  %-17s  %s\n", "network", "subjects", "attempts",
                "first", "last");
    }
    for (size_t i = 0; i < count && i < page->top; i++) {
        char network[GV_SUBJECT_TEXT + 4], first[32], last[32];
        network_text(network, &list[i].network);
        fprintf(page->out, "  %-26s %8" PRIu32 " %9" PRIu64 "  %-17s  %s\n", network,
                list[i].subjects, list[i].attempts, time_text(first, list[i].first_ms),
                time_text(last, list[i].last_ms));
    }
    if (count > page->top)
        fprintf(page->out, "  and %zu more\n", count - page->top);
    free(sorted);
    free(list);
}

/* --- What would have been signalled
 * --------------------------------------------------------------- */

/* "12 min", "5 h", "3 days": how long it took until there was enough to say. */
static void span_text(char out[32], uint32_t minutes)
{
    if (minutes < 120)
        snprintf(out, 32, "%" PRIu32 " min", minutes);
    else if (minutes < 2880)
        snprintf(out, 32, "%" PRIu32 " h", minutes / 60);
    else
        snprintf(out, 32, "%" PRIu32 " days", minutes / 1440);
}

/* Which rule of SPEC 12.3 was met, at the first signal. */
static const char *rule_text(const struct row *row)
{
    bool slow_rule = row->signal_minutes > 1440;

    if (row->signal_count == 1)
        return "one at an unknown account, and nobody logs in from its network";
    if (row->signal_kinds & GV_KIND_UNKNOWN_ACCOUNT && row->signal_count < 3)
        return slow_rule ? "two within a week and no login, one at an unknown account"
                         : "two within a day, one at an unknown account";
    return slow_rule ? "three within a week and no login" : "three within a day";
}

static void print_signal(const struct page *page, const struct row *row)
{
    char subject[GV_SUBJECT_TEXT], kinds[96], span[32];

    gv_subject_text(subject, &row->subject);
    span_text(span, row->signal_minutes);
    fprintf(page->out, "  %-26s at least %" PRIu32 " failure%s in %s (%s): %s\n", subject,
            row->signal_count, row->signal_count == 1 ? "" : "s", span,
            bit_names(kinds, row->signal_kinds, gv_kind_name), rule_text(row));
}

struct unsignalled {
    size_t unshared, own, few, steady, aborted;
};

/* Why the others that attacked would not have been signalled. */
static void print_unsignalled(const struct page *page, const struct unsignalled *u)
{
    if (u->few > 0)
        fprintf(page->out, "  not signalled: %zu with too few failures within a day or a week\n",
                u->few);
    if (u->steady > 0)
        fprintf(page->out,
                "  not signalled: %zu that look like one mail client with an old password\n",
                u->steady);
    if (u->aborted > 0)
        fprintf(page->out, "  not signalled: %zu that only broke off, which never signals\n",
                u->aborted);
    if (u->own > 0)
        fprintf(page->out, "  not signalled: %zu from which somebody also logs in\n", u->own);
    if (u->unshared > 0)
        fprintf(page->out, "  never shared: %zu that are private, special or allow-listed\n",
                u->unshared);
}

static void print_signals(const struct page *page, const struct gv_summary *s, struct row **rows,
                          size_t n)
{
    struct unsignalled u = {0};
    size_t found = 0;

    heading(page, "What would have been signalled, and why");
    for (size_t i = 0; i < n; i++) {
        if (rows[i]->signalled) {
            if (found++ < page->top)
                print_signal(page, rows[i]);
        } else if (attacks(rows[i])) {
            if (!rows[i]->shareable)
                u.unshared++;
            else if (rows[i]->successes > 0)
                u.own++;
            else if (rows[i]->repeats)
                u.steady++;
            else
                u.few++;
        } else if (rows[i]->aborted > 0) {
            u.aborted++;
        }
    }
    if (found > page->top)
        fprintf(page->out, "  and %zu more\n", found - page->top);
    fprintf(page->out, "  %" PRIu64 " signals about %zu subjects%s\n", s->signals, found,
            s->forgotten ? " still remembered" : "");
    print_unsignalled(page, &u);
    if (s->forgotten_logins > 0)
        fprintf(page->out,
                "  logins of %" PRIu64 " subjects were forgotten to save memory: "
                "who failed later may be one of these users\n",
                s->forgotten_logins);
    if (s->broken > 0)
        fprintf(page->out,
                "  the login backend looked broken at times: nothing was signalled then\n");
}

void gv_summary_print(struct gv_summary *summary, FILE *out,
                      const struct gv_reader_counters *counters, unsigned top, bool colour)
{
    struct page page = {out, top, colour};
    struct row **rows = calloc(SETS * WAYS, sizeof(struct row *));
    size_t n = 0;

    enter_waiting(summary);
    print_head(&page, summary, counters);
    if (!rows)
        return;
    for (size_t i = 0; i < SETS; i++)
        for (size_t j = 0; j < WAYS; j++)
            if (has_failed(&summary->table[i][j]))
                rows[n++] = &summary->table[i][j];
    if (n > 0) {
        qsort(rows, n, sizeof(struct row *), by_attempts);
        print_sources(&page, summary);
        print_list(&page, rows, n, "Top subjects", NULL);
        print_list(&page, rows, n, "Slow attackers: at least three visits, a day or more, no login",
                   slow);
        print_campaigns(&page, rows, n);
        print_signals(&page, summary, rows, n);
    }
    if (summary->forgotten > 0)
        fprintf(out, "\n%" PRIu64 " subjects of little interest were forgotten to save memory\n",
                summary->forgotten);
    free(rows);
}
