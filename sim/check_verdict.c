/* The verdict once more, by brute force from SPEC 11: what each core says is compared with it. */
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "sim/check.h"
#include "sim/plant.h"

uint32_t gv_check_standing(const struct gv_policy *policy, uint32_t genesis_min, uint32_t since_min,
                           uint32_t t)
{
    if (t < genesis_min || t < since_min)
        return 0;
    uint64_t old = t - genesis_min, age = t - since_min;
    uint64_t tenure = old / 2 < policy->tenure_min ? old / 2 : policy->tenure_min;
    uint64_t full = 3 * old / 4 < policy->full_min ? 3 * old / 4 : policy->full_min;
    if (age < tenure)
        return 0;
    if (full <= tenure)
        return 1000;
    uint64_t over = age - tenure < full - tenure ? age - tenure : full - tenure;
    return (uint32_t)(500 + 500 * over / (full - tenure));
}

static int compare_ids(const struct gv_known_record *a, const struct gv_known_record *b)
{
    return memcmp(a->said.id, b->said.id, GV_ID_LEN);
}

static bool is_same_owner(const struct gv_known_record *a, const struct gv_known_record *b)
{
    return memcmp(a->author->papers.owner, b->author->papers.owner, GV_ID_LEN) == 0;
}

static bool is_taken_back(const struct gv_known_record **all, size_t count,
                          const struct gv_known_record *signal)
{
    for (size_t i = 0; i < count; i++)
        if (all[i]->said.kind == 2 && all[i]->said.sequence > signal->said.sequence &&
            memcmp(all[i]->author->papers.key, signal->author->papers.key, GV_KEY_LEN) == 0)
            return true;
    return false;
}

/* vote(X, k): each owner's alive signal with the latest time, of equals the larger id. */
static size_t pick_votes(const struct gv_known_record **votes, const struct gv_known_record **all,
                         size_t count, uint32_t alive_min, uint32_t now_min)
{
    size_t found = 0;

    for (size_t i = 0; i < count; i++) {
        const struct gv_known_record *one = all[i];
        size_t at = 0;
        if (one->said.kind != 1 || one->standing == 0 || one->said.last_min > now_min ||
            now_min > (uint64_t)one->said.last_min + alive_min || is_taken_back(all, count, one))
            continue;
        while (at < found && !is_same_owner(votes[at], one))
            at++;
        if (at == found)
            votes[found++] = one;
        else if (one->said.last_min > votes[at]->said.last_min ||
                 (one->said.last_min == votes[at]->said.last_min &&
                  compare_ids(one, votes[at]) > 0))
            votes[at] = one;
    }
    return found;
}

static int compare_weight(const void *a, const void *b)
{
    const struct gv_known_record *x = *(const struct gv_known_record *const *)a;
    const struct gv_known_record *y = *(const struct gv_known_record *const *)b;

    if (x->standing != y->standing)
        return x->standing > y->standing ? -1 : 1;
    return compare_ids(x, y);
}

static void judge(struct gv_expected *out, const struct gv_policy *policy,
                  const struct gv_known_record **all, size_t count, uint32_t now_min)
{
    const struct gv_known_record **votes = malloc(count * sizeof *votes);
    gv_assert(votes);
    size_t owners = pick_votes(votes, all, count, policy->alive_min, now_min), groups = 0;

    memset(out, 0, sizeof *out);
    out->subject = all[0]->said.subject;
    qsort(votes, owners, sizeof *votes, compare_weight);
    for (size_t i = 0; i < owners; i++) {
        bool new_group = true;
        for (size_t j = 0; j < i; j++)
            new_group =
                new_group && votes[j]->author->papers.group != votes[i]->author->papers.group;
        if (!new_group)
            continue;
        groups++;
        out->weight += votes[i]->standing;
        if (out->vote_count < policy->votes_max && out->vote_count < GV_VOTES_MAX)
            memcpy(out->votes[out->vote_count++], votes[i]->said.id, GV_ID_LEN);
    }
    if (owners > 0)
        out->state = GV_VERDICT_REPORTED;
    if (owners >= 2 && groups >= 2 && out->weight >= policy->untrusted_weight)
        out->state = GV_VERDICT_UNTRUSTED;
    free(votes);
}

static int compare_subjects(const void *a, const void *b)
{
    const struct gv_known_record *x = *(const struct gv_known_record *const *)a;
    const struct gv_known_record *y = *(const struct gv_known_record *const *)b;

    return memcmp(&x->said.subject, &y->said.subject, sizeof x->said.subject);
}

void gv_check_expect(struct gv_checks *checks, uint32_t now_min)
{
    const struct gv_policy *policy = &checks->world->descriptor.policy;
    size_t from = 0;

    checks->expected =
        realloc(checks->expected, (checks->held_count + 1) * sizeof *checks->expected);
    gv_assert(checks->expected);
    checks->expected_count = 0;
    if (checks->held_count > 0)
        qsort(checks->held, checks->held_count, sizeof *checks->held, compare_subjects);
    while (from < checks->held_count) {
        size_t to = from + 1;
        while (to < checks->held_count &&
               compare_subjects(&checks->held[from], &checks->held[to]) == 0)
            to++;
        judge(&checks->expected[checks->expected_count++], policy, checks->held + from, to - from,
              now_min);
        from = to;
    }
}

static bool is_as_expected(const struct gv_expected *expected, const struct gv_verdict *verdict)
{
    if (verdict->state != expected->state || verdict->weight != expected->weight ||
        verdict->vote_count != expected->vote_count)
        return false;
    for (uint32_t i = 0; i < verdict->vote_count; i++)
        if (memcmp(verdict->votes[i].signal, expected->votes[i], GV_ID_LEN) != 0)
            return false;
    return true;
}

void gv_check_verdicts(struct gv_checks *checks, size_t node)
{
    const struct gv_core *core = checks->world->nodes[node].core;
    struct gv_core_status status;
    size_t untrusted = 0;

    gv_core_status(core, &status);
    if (status.subjects != checks->expected_count)
        gv_violation(checks, "speaks of another number of subjects than its records do", node,
                     status.subjects);
    gv_plant_enter(node);
    for (size_t i = 0; i < checks->expected_count; i++) {
        const struct gv_expected *expected = &checks->expected[i];
        struct gv_verdict verdict;
        gv_core_verdict(core, &verdict, &expected->subject);
        untrusted += verdict.state == GV_VERDICT_UNTRUSTED;
        if (!is_as_expected(expected, &verdict))
            gv_violation(checks, "says another verdict than its records give", node,
                         gv_world_subject_number(&expected->subject));
    }
    gv_plant_leave();
    /* What is remembered from the last judgement feeds one-strike: it must not go stale. */
    if (status.untrusted != untrusted)
        gv_violation(checks, "remembers another number of untrusted subjects", node, untrusted);
}
