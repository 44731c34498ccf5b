/* The summary as it is printed (SPEC 10.6). */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "node/cli/observe_table.h"
#include "proto/trust/signal.h"

/* A slow attacker comes back over a day or more, and never twice within an hour on average. */
#define SLOW_VISITS  3u
#define SLOW_PACE_MS 3600000u
/* Fewer neighbours than this are a coincidence. */
#define CAMPAIGN_SUBJECTS 3u

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
    if (c->unnamed > 0)
        fprintf(page->out,
                "unnamed      %" PRIu64 " failed attempts of clients whom the log does not name "
                "(Sendmail with LogLevel 10 does)\n",
                c->unnamed);
    if (c->torn > 0)
        fprintf(page->out,
                "torn         %" PRIu64 " failures whose lines cannot be told from torn ones; they "
                "count nothing\n",
                c->torn);
    if (c->untold > 0)
        fprintf(page->out,
                "advice       with auth_verbose = yes in dovecot.conf Dovecot also tells "
                "of guesses before a login, and nobody can hide them in a name\n");
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

/* ---- Campaigns: several subjects of one /24 or /48 ------------------------------------------- */

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
    static const char *const day[] = {
        "one at an unknown account is enough, where nobody logs in from its network",
        "two within a day are enough, one at an unknown account", "three within a day are enough"};
    static const char *const week[] = {
        "one at an unknown account is enough, where nobody logs in from its network",
        "two within a week without a login are enough, one at an unknown account",
        "three within a week without a login are enough"};
    size_t i = row->signal_enough > 0 && row->signal_enough <= 3 ? row->signal_enough - 1u : 2;

    return row->signal_week ? week[i] : day[i];
}

static void print_signal(const struct page *page, const struct row *row)
{
    char subject[GV_SUBJECT_TEXT], kinds[96], span[32];

    gv_subject_text(subject, &row->subject);
    span_text(span, row->signal_minutes);
    fprintf(page->out,
            "  %-26s %s%" PRIu32 " failure%s in %s (%s), told as at least %" PRIu32 ": %s\n",
            subject, row->signal_week ? "at least " : "", row->signal_failures,
            row->signal_failures == 1 ? "" : "s", span,
            bit_names(kinds, row->signal_kinds, gv_kind_name),
            gv_signal_count_bucket(row->signal_failures), rule_text(row));
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
                "  not signalled: %zu that look like a user who mistypes, or a client with an old "
                "password\n",
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
    if (s->forgotten_networks > 0)
        fprintf(page->out,
                "  logins from %" PRIu64
                " networks were forgotten to save memory: who failed later "
                "at an unknown account may be of one of these\n",
                s->forgotten_networks);
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

    gv_summary_settle(summary);
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
