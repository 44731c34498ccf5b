/* Whoever serves actions (DNS lists, firewalls, bouncers) decides a subject anew when a note names
 * it. So in random stories: whatever an event changes of a subject's verdict, its weight, its votes
 * or the action, a note of the same step names the subject, or the event was about it. (What time
 * alone changes is found by going through all of them; SPEC 18.1.) GV_SEED=N replays a run,
 * GV_CASES=N makes it longer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "helper_puppet.h"

#define PUPPETS  9
#define SUBJECTS 6
#define STEPS    60
#define APART    1000 /* so that none is another's neighbour: cleannet is for the sweep to see */

static uint64_t random_state;
static unsigned case_count, last_kind;
static struct network network;
static struct host host;
static struct puppet puppets[PUPPETS]; /* 0, 1: own hosts; 2: as old as they come, and so on */

static uint32_t below(uint32_t bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)((random_state >> 11) % bound);
}

struct view {
    struct gv_decision decision;
    struct gv_verdict verdict;
};

static void look(struct view views[SUBJECTS])
{
    memset(views, 0, SUBJECTS * sizeof *views);
    for (unsigned i = 0; i < SUBJECTS; i++) {
        struct gv_subject of = subject_of(APART * i);
        views[i].decision = gv_core_decide(host.core, &views[i].verdict, NULL, &of);
    }
}

static bool same(const struct view *a, const struct view *b)
{
    if (a->decision.action != b->decision.action || a->decision.reason != b->decision.reason ||
        a->verdict.state != b->verdict.state || a->verdict.weight != b->verdict.weight ||
        a->verdict.owners != b->verdict.owners || a->verdict.vote_count != b->verdict.vote_count)
        return false;
    for (uint32_t i = 0; i < a->verdict.vote_count; i++)
        if (memcmp(a->verdict.votes[i].signal, b->verdict.votes[i].signal, GV_ID_LEN) != 0)
            return false;
    return true;
}

static bool is_noted(const struct gv_subject *of)
{
    for (size_t i = 0; i < host.noted_count; i++)
        if (gv_subject_equal(&host.noted[i], of))
            return true;
    return false;
}

/* ---- what may happen: returns the subject that is told of anyway, or SUBJECTS ---------------- */

static unsigned observe(unsigned number, bool success)
{
    struct gv_event event = {.kind = GV_EVENT_OBSERVATION};

    event.observation =
        (struct gv_observation){.subject = subject_of(APART * number),
                                .unix_ms = host_unix_ms(&host),
                                .account = 1 + below(3),
                                .attempts = success ? 0 : 1 + below(3),
                                .service = GV_SERVICE_IMAP,
                                .kind = success ? GV_KIND_UNSPECIFIED : GV_KIND_WRONG_PASSWORD,
                                .success = success,
                                .new_visit = true};
    host_step(&host, &event);
    return number;
}

static void say_lock(struct puppet *puppet, unsigned number)
{
    struct gv_told_lock lock = {subject_of(APART * number),
                                below(4) ? 1 + below(below(2) ? 40 : 3600) : 0};
    struct gv_buf message;

    gv_buf_init(&message);
    gv_message_locks(&message, &lock, 1);
    puppet_say_buf(puppet, &message);
}

static void contradict(struct puppet *puppet, unsigned number)
{
    struct gv_subject of = subject_of(APART * number);
    struct gv_statement a = puppet_signal(puppet, &of, host_minute(&host)), b = a;

    b.count = a.count == 5 ? 10 : 5;
    puppet_hand(puppet, sign_statement(puppet, &a));
    host.noted_count = 0;
    puppet_hand(puppet, sign_statement(puppet, &b));
}

static void revoke(const struct puppet *puppet)
{
    struct gv_buf record =
        revocation_record(&network, puppet->identity.id, host_minute(&host) - 60);

    host_news(&host, record.data, record.len);
    gv_buf_free(&record);
}

static unsigned something(void)
{
    struct puppet *puppet = &puppets[below(PUPPETS)];
    unsigned number = below(SUBJECTS), ago = below(4) ? below(50) : below(1400);

    last_kind = below(30);
    switch (last_kind) {
    case 0:
        return observe(number, true);
    case 1:
    case 2:
    case 3:
    case 4:
        return observe(number, false);
    case 5:
    case 6:
    case 7:
        say_lock(&puppets[below(3)], number); /* two of these are own hosts */
        break;
    case 8:
    case 9:
        puppet_hand(puppet, puppet_retraction_on(puppet, APART * number, host_minute(&host)));
        break;
    case 10:
        if (below(3) == 0)
            contradict(&puppets[below(3)], number);
        break;
    case 11:
        if (below(8) == 0)
            revoke(puppet);
        break;
    default:
        puppet_hand(puppet, puppet_signal_on(puppet, APART * number, host_minute(&host) - ago));
    }
    return SUBJECTS;
}

static void story(void)
{
    static struct view before[SUBJECTS], after[SUBJECTS];
    struct gv_settings settings = {
        .share = GV_SHARE_YES, .refuse_on_consensus = true, .max_links = 64};

    assert_int_equal(host_open(&host, &network, 1, &settings), GV_OK);
    for (unsigned i = 0; i < PUPPETS; i++) {
        puppet_make(&puppets[i], &network, 10 + i);
        if (i < 2)
            memcpy(puppets[i].facts.owner, host.facts.owner, GV_ID_LEN);
        puppets[i].facts.since_min += below(40) * STAGE_DAY;
        puppet_certify(&puppets[i]);
        assert_true(puppet_join(&puppets[i], &host));
    }
    for (unsigned step = 0; step < STEPS; step++) {
        host_run(&host, below(below(3) ? 2000 : below(3) ? 60000 : 1800000));
        for (unsigned i = 0; i < PUPPETS; i++)
            puppet_work(&puppets[i]);
        host_step(&host, &(struct gv_event){.kind = GV_EVENT_TIMER}); /* so that it is its time */
        look(before);
        host.noted_count = 0;
        unsigned about = something();
        look(after);
        for (unsigned i = 0; i < SUBJECTS; i++) {
            struct gv_subject of = subject_of(APART * i);
            if (i == about || same(&before[i], &after[i]) || is_noted(&of))
                continue;
            fail_msg("step %u, kind %u: subject %u: reason %d to %d, weight %u to %u, and no note",
                     step, last_kind, i, before[i].decision.reason, after[i].decision.reason,
                     before[i].verdict.weight, after[i].verdict.weight);
        }
    }
    for (unsigned i = 0; i < PUPPETS; i++)
        puppet_free(&puppets[i]);
    host_close(&host);
}

static void every_change_is_noted(void **state)
{
    (void)state;
    network_open(&network, 1, false);
    for (unsigned i = 0; i < case_count; i++)
        story();
    network_close(&network);
}

int main(void)
{
    const char *seed = getenv("GV_SEED"), *cases = getenv("GV_CASES");
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_change_is_noted)};

    random_state = seed ? strtoull(seed, NULL, 10) : 20261122;
    case_count = cases ? (unsigned)strtoul(cases, NULL, 10) : 100;
    printf("GV_SEED=%llu GV_CASES=%u\n", (unsigned long long)random_state, case_count);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
