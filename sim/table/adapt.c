#include "sim/table/adapt.h"

#include <string.h>

uint64_t gv_adapt_harm(const struct gv_score *score)
{
    return score->refused + score->refused_shared + score->refused_locked + score->lockouts +
           score->lockouts_shared;
}

static void older(struct gv_campaign *c, const struct gv_scene *scene)
{
    (void)scene;
    c->age_days = 95;
}

static void fewer_networks(struct gv_campaign *c, const struct gv_scene *scene)
{
    (void)scene;
    c->groups = 8;
}

static void more_networks(struct gv_campaign *c, const struct gv_scene *scene)
{
    (void)scene;
    c->groups = 500;
}

static void few_voters(struct gv_campaign *c, const struct gv_scene *scene)
{
    (void)scene;
    c->voters = 6;
}

static void only_providers(struct gv_campaign *c, const struct gv_scene *scene)
{
    (void)scene;
    c->providers_only = true;
}

static void footholds(struct gv_campaign *c, const struct gv_scene *scene)
{
    (void)scene;
    c->footholds = 10;
}

static void many_footholds(struct gv_campaign *c, const struct gv_scene *scene)
{
    (void)scene;
    c->footholds = 30;
}

static void all_footholds(struct gv_campaign *c, const struct gv_scene *scene)
{
    c->footholds = scene->numbers.providers;
}

/* Each guesses at this part of all nodes every day: a third is what the widest attackers of the
 * workload come to in their whole life. The pretrusted, whom it visits anyhow, are among them. */
static void guess_at(struct gv_campaign *c, const struct gv_scene *scene, uint32_t part)
{
    uint32_t nodes = scene->nodes / part;

    nodes = nodes > scene->pretrusted ? nodes - scene->pretrusted : 0;
    if (c->footholds > 0 && nodes > scene->numbers.foothold_nodes)
        c->foothold_nodes = nodes;
}

static void guess_at_a_sixth(struct gv_campaign *c, const struct gv_scene *scene)
{
    guess_at(c, scene, 6);
}

static void guess_at_a_third(struct gv_campaign *c, const struct gv_scene *scene)
{
    guess_at(c, scene, 3);
}

static void thrice_a_day(struct gv_campaign *c, const struct gv_scene *scene)
{
    (void)scene;
    if (c->footholds > 0)
        c->foothold_rounds = 3;
}

static void by_turns(struct gv_campaign *c, const struct gv_scene *scene)
{
    (void)scene;
    c->on_days = 2;
    c->off_days = 1;
}

static void echoing(struct gv_campaign *c, const struct gv_scene *scene)
{
    (void)scene;
    c->echoes = true;
}

static void burning(struct gv_campaign *c, const struct gv_scene *scene)
{
    (void)scene;
    c->burnt = 300;
}

static void dated_back(struct gv_campaign *c, const struct gv_scene *scene)
{
    (void)scene;
    c->back_min = 120;
}

enum of { AGE, NETWORKS, VOTERS, TARGETS, FOOTHOLDS, PACE, ROUNDS, TURNS, PRAISE, BURNT, DATES };

static const struct {
    void (*make)(struct gv_campaign *c, const struct gv_scene *scene);
    enum of of; /* a later change of the same takes the place of an earlier one */
    const char *what;
} changes[] = {
    {older, AGE, "95 days old"},
    {fewer_networks, NETWORKS, "8 networks"},
    {more_networks, NETWORKS, "500 networks"},
    {few_voters, VOTERS, "6 voters a target"},
    {only_providers, TARGETS, "providers only"},
    {footholds, FOOTHOLDS, "10 footholds"},
    {many_footholds, FOOTHOLDS, "30 footholds"},
    {all_footholds, FOOTHOLDS, "all footholds"},
    {guess_at_a_sixth, PACE, "a sixth of the nodes a day"},
    {guess_at_a_third, PACE, "a third of the nodes a day"},
    {thrice_a_day, ROUNDS, "each thrice"},
    {by_turns, TURNS, "by turns"},
    {echoing, PRAISE, "echoing"},
    {burning, BURNT, "300 burnt"},
    {dated_back, DATES, "dated back"},
};
#define CHANGES (sizeof changes / sizeof *changes)

static void try(struct gv_score *out, const struct gv_campaign *campaign,
                const struct gv_scene *scene, const struct gv_rule *rule)
{
    struct gv_plan plan;

    gv_plan_open(&plan, scene, campaign);
    gv_play(out, scene, &plan, rule);
    gv_plan_close(&plan);
}

void gv_adapt(struct gv_score *out, struct gv_campaign *campaign, const struct gv_scene *scene,
              const struct gv_rule *rule)
{
    uint32_t found = 0;

    try(out, campaign, scene, rule);
    for (size_t i = 0; i < CHANGES; i++) {
        struct gv_campaign changed = *campaign;
        struct gv_score score;
        changes[i].make(&changed, scene);
        if (memcmp(&changed, campaign, sizeof changed) == 0)
            continue;
        try(&score, &changed, scene, rule);
        if (gv_adapt_harm(&score) <= gv_adapt_harm(out))
            continue;
        *out = score;
        *campaign = changed;
        found |= 1u << i;
    }
    out->found = found;
}

static bool is_replaced(uint32_t found, size_t change)
{
    for (size_t i = change + 1; i < CHANGES; i++)
        if (found >> i & 1 && changes[i].of == changes[change].of)
            return true;
    return false;
}

const char *gv_adapt_found(uint32_t found, size_t *cursor)
{
    while (*cursor < CHANGES) {
        size_t i = (*cursor)++;
        if (found >> i & 1 && !is_replaced(found, i))
            return changes[i].what;
    }
    return NULL;
}
