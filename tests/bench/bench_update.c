/* What a new signal costs the verdict with COUNT (1,000,000) signals of the last 24 hours held. The
 * update is what a node does for one that has passed its signature, one signal after the other:
 * the store (quota, sequence number, retractions, holding it) and then the verdict (judging its
 * subject anew from all that is held on it, and keeping the verdict). In every second turn of a
 * thousand signals these two are timed alone, and in every turn what the end of a signal costs,
 * when its day is over. Parsing, the signature (bench_accept) and the tree are not in it; drawing
 * the signal is, some 100 ns.
 *
 * Signals a subject as the workload has them (SPEC 17.1): four in five have one, the others 2 and
 * more, Pareto with exponent 1.1, at most 64; and besides, 16 on each. Processor time. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/error.h"
#include "proto/limits.h"
#include "proto/trust/store.h"

#define AUTHORS   3000u
#define START     30000000u /* minutes */
#define TURNS     200u
#define UPDATES   1000u /* a turn */
#define MOST      64u
#define VOTES_MAX 4096u

static uint64_t random_state;

static uint32_t below(uint32_t bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)((random_state >> 11) % bound);
}

static double cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

struct world {
    struct gv_store store;
    struct gv_policy policy;
    struct gv_owner owners[AUTHORS];
    struct gv_instance instances[AUTHORS];
    struct gv_certificate_row certificates[AUTHORS];
    uint64_t sequences[AUTHORS];
    struct gv_held **held; /* a ring: the oldest goes first */
    size_t count, next;
    uint64_t said;          /* all in all: the clock, a day in `count` of them */
    uint32_t fixed;         /* signals on each subject; 0: as the workload has them */
    uint32_t subject, more; /* the subject that is drawn now, and how many it still gets */
};

static void open_world(struct world *w, size_t count, uint32_t fixed)
{
    static const uint8_t key[16] = {1, 2, 3};

    memset(w, 0, sizeof *w);
    random_state = 20261122;
    w->fixed = fixed;
    w->count = count;
    w->held = calloc(count, sizeof *w->held);
    gv_assert(w->held);
    gv_policy_default(&w->policy, false);
    gv_store_init(&w->store, key, count + 1);
    for (uint32_t i = 0; i < AUTHORS; i++) {
        struct gv_instance *author = &w->instances[i];
        for (size_t j = 0; j < GV_ID_LEN; j++)
            author->id[j] = w->owners[i].tag[j] = (uint8_t)below(256);
        w->owners[i].fault_min = author->revoked_min = author->fault_min = GV_NEVER;
        author->owner = &w->owners[i];
        w->sequences[i] = (uint64_t)START * 60000;
        w->certificates[i] = (struct gv_certificate_row){.instance = author,
                                                         .owner = author->owner,
                                                         .group = i / 3,
                                                         .since_min = START - 43200 - below(90000)};
    }
}

/* How many signals the next subject gets. Pareto by doubling: past 2 with 2^-1.1, and so on. */
static uint32_t draw_count(const struct world *w)
{
    uint32_t count = 1;

    if (w->fixed > 0)
        return w->fixed;
    if (below(5) > 0)
        return 1;
    while (count < MOST && below(1000) < 467)
        count *= 2;
    return 1 + count;
}

/* Signals on one subject come spread over others: so many wait at any time, and any of them is the
 * next. */
#define PENDING 65536u
static uint32_t pending[PENDING];

static uint32_t draw_subject(struct world *w)
{
    if (w->more == 0) {
        w->subject++;
        w->more = draw_count(w);
    }
    w->more--;
    return w->subject;
}

static uint32_t next_subject(struct world *w)
{
    uint32_t *place = &pending[below(PENDING)], subject = *place;

    *place = draw_subject(w);
    return subject;
}

static struct gv_subject subject_of(uint32_t n)
{
    uint32_t spread = n * 2654435761u;

    return (struct gv_subject){.family = GV_FAMILY_IPV4,
                               .bytes = {(uint8_t)(spread >> 24), (uint8_t)(spread >> 16),
                                         (uint8_t)(spread >> 8), (uint8_t)spread}};
}

/* Makes room for so many. */
static void let_go(struct world *w, size_t many)
{
    for (size_t i = 0; i < many; i++) {
        struct gv_held **oldest = &w->held[(w->next + i) % w->count];
        if (*oldest)
            gv_store_drop(&w->store, *oldest);
        *oldest = NULL;
    }
}

static struct gv_held *take(struct world *w, const struct gv_statement *s, uint32_t author,
                            const uint8_t id[GV_ID_LEN])
{
    struct gv_admission admission =
        gv_store_weigh(&w->store, s, &w->instances[author], w->policy.signals_per_hour,
                       GV_RETRACTS_PER_HOUR, false, false);

    if (admission.error == GV_ERR_RATE) /* the hour of this author is full */
        return NULL;
    gv_assert(admission.error == GV_OK && !admission.displaced);
    struct gv_held *held =
        gv_store_hold(&w->store, s, id, NULL, &w->certificates[author], false, false);
    gv_assert(held && held->subject->count <= VOTES_MAX);
    return held;
}

static uint32_t minute_of(const struct world *w)
{
    return START + (uint32_t)(w->said * 1440 / w->count);
}

/* One signal comes, up to five minutes old. */
static void hold_one(struct world *w, size_t i)
{
    struct gv_statement s = {.kind = GV_STATEMENT_SIGNAL, .count = 5, .services = 4, .kinds = 2};
    uint8_t id[GV_ID_LEN] = {0};
    uint32_t author = below(AUTHORS);

    s.sequence = ++w->sequences[author];
    s.subject = subject_of(next_subject(w));
    s.last_min = s.first_min = minute_of(w) - below(5);
    w->said++;
    memcpy(id, &random_state, sizeof random_state);
    w->held[(w->next + i) % w->count] = take(w, &s, author, id);
}

static void hold(struct world *w, size_t many)
{
    for (size_t i = 0; i < many; i++)
        hold_one(w, i);
}

static void judge_one(struct world *w, size_t i)
{
    static struct gv_vote votes[VOTES_MAX];
    struct gv_verdict verdict;
    const struct gv_held *held = w->held[(w->next + i) % w->count];

    if (!held)
        return;
    gv_store_judge(&verdict, held->subject, &w->policy, START - 200 * 1440, minute_of(w), votes);
    gv_store_settle(&w->store, held->subject, &verdict);
}

static void judge(struct world *w, size_t many)
{
    for (size_t i = 0; i < many; i++)
        judge_one(w, i);
}

/* As a node does it: one after the other, the verdict right after the store. */
static void update(struct world *w, size_t many)
{
    for (size_t i = 0; i < many; i++) {
        hold_one(w, i);
        judge_one(w, i);
    }
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static void measure(const char *what, uint32_t fixed, size_t count)
{
    static struct world w;
    static double whole[TURNS], parts[3][TURNS];

    open_world(&w, count, fixed);
    for (size_t i = 0; i < PENDING; i++)
        pending[i] = draw_subject(&w);
    for (size_t i = 0; i < count + count / 10; i++) {
        let_go(&w, 1);
        update(&w, 1);
        w.next = (w.next + 1) % w.count;
    }
    for (size_t turn = 0; turn < 2 * TURNS; turn++) {
        double begin = cpu_ns();
        let_go(&w, UPDATES);
        double gone = cpu_ns();
        if (turn % 2 == 0) {
            update(&w, UPDATES);
            whole[turn / 2] = (cpu_ns() - gone) / UPDATES;
            parts[0][turn / 2] = (gone - begin) / UPDATES;
        } else {
            hold(&w, UPDATES);
            double held = cpu_ns();
            judge(&w, UPDATES);
            parts[1][turn / 2] = (held - gone) / UPDATES;
            parts[2][turn / 2] = (cpu_ns() - held) / UPDATES;
        }
        w.next = (w.next + UPDATES) % w.count;
    }
    qsort(whole, TURNS, sizeof *whole, compare);
    for (size_t i = 0; i < 3; i++)
        qsort(parts[i], TURNS, sizeof *parts[i], compare);
    printf("%s: %zu signals on %zu subjects; a signal: update %.0f ns (a tenth of the turns at "
           "most %.0f); alone, a thousand in a row: store %.0f, verdict %.0f; its end %.0f\n",
           what, w.store.count, w.store.cases.count, whole[TURNS / 2], whole[TURNS / 10],
           parts[1][TURNS / 2], parts[2][TURNS / 2], parts[0][TURNS / 2]);
    gv_store_free(&w.store);
    free(w.held);
}

int main(int argc, char **argv)
{
    size_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;

    if (count < 1000 || count > 1400000) {
        fprintf(stderr, "bench_update: COUNT: 1000 to 1400000\n");
        return 64;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    measure("workload", 0, count);
    measure("16 on each", 16, count);
    return 0;
}
