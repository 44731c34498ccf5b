/* What judging one subject costs, by the number of signals on it. Processor time. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "proto/trust/verdict.h"

#define SIGNALS_MAX 512
#define NOW         30000000u

static uint64_t random_state = 20261122;

static uint32_t below(uint32_t bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)((random_state >> 11) % bound);
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* One signal an owner, three owners a network, all tenured. */
static void fill(struct gv_vote *votes, size_t count)
{
    memset(votes, 0, count * sizeof *votes);
    for (size_t i = 0; i < count; i++) {
        struct gv_vote *v = &votes[i];
        uint32_t owner = (uint32_t)i + 1, id = below(UINT32_MAX);
        memcpy(v->signal, &id, sizeof id);
        memcpy(v->owner, &owner, sizeof owner);
        memcpy(v->instance, &owner, sizeof owner);
        v->group = i / 3;
        v->time_min = NOW - below(1440);
        v->since_min = v->time_min - 43200 - below(90000);
        v->revoked_min = v->fault_min = GV_NEVER;
    }
}

static void measure(size_t count)
{
    static struct gv_vote votes[SIGNALS_MAX], scratch[SIGNALS_MAX];
    struct gv_policy policy;
    struct gv_verdict verdict;
    uint64_t weight = 0;
    unsigned rounds = (unsigned)(2000000 / (count + 4));

    gv_policy_default(&policy, false);
    fill(votes, count);
    uint64_t start = now_ns();
    for (unsigned i = 0; i < rounds; i++) {
        memcpy(scratch, votes, count * sizeof *votes);
        gv_verdict_judge(&verdict, &policy, 1000000, NOW, scratch, count);
        weight += verdict.weight;
    }
    uint64_t spent = now_ns() - start;
    printf("judge of %3zu signals: %7llu ns, %5llu ns a signal (weight %llu)\n", count,
           (unsigned long long)(spent / rounds), (unsigned long long)(spent / rounds / count),
           (unsigned long long)(weight / rounds));
}

int main(void)
{
    static const size_t sizes[] = {1, 2, 4, 16, 64, 500};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        measure(sizes[i]);
    return 0;
}
