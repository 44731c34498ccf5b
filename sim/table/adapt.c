#include "sim/table/adapt.h"

#include <inttypes.h>
#include <stdio.h>

uint64_t gv_adapt_harm(const struct gv_score *score)
{
    return score->refused + score->refused_shared + score->refused_locked + score->lockouts +
           score->lockouts_shared;
}

static void older(struct gv_campaign *c)
{
    c->age_days = 95;
}

static void fewer_networks(struct gv_campaign *c)
{
    c->groups = 8;
}

static void more_networks(struct gv_campaign *c)
{
    c->groups = 500;
}

static void few_voters(struct gv_campaign *c)
{
    c->voters = 6;
}

static void only_providers(struct gv_campaign *c)
{
    c->providers_only = true;
}

static void footholds(struct gv_campaign *c)
{
    c->footholds = 10;
}

static void many_footholds(struct gv_campaign *c)
{
    c->footholds = 30;
}

static void all_footholds(struct gv_campaign *c)
{
    c->footholds = 50;
}

static void by_turns(struct gv_campaign *c)
{
    c->on_days = 2;
    c->off_days = 1;
}

static void echoing(struct gv_campaign *c)
{
    c->echoes = true;
}

static void burning(struct gv_campaign *c)
{
    c->burnt = 300;
}

static void dated_back(struct gv_campaign *c)
{
    c->back_min = 120;
}

static void (*const changes[])(struct gv_campaign *) = {
    older,          fewer_networks, more_networks, few_voters, only_providers, footholds,
    many_footholds, all_footholds,  by_turns,      echoing,    burning,        dated_back};

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
    try(out, campaign, scene, rule);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        struct gv_campaign changed = *campaign;
        struct gv_score score;
        changes[i](&changed);
        try(&score, &changed, scene, rule);
        if (gv_adapt_harm(&score) <= gv_adapt_harm(out))
            continue;
        *out = score;
        *campaign = changed;
    }
}

void gv_adapt_text(char out[GV_ADAPT_TEXT], const struct gv_campaign *campaign)
{
    snprintf(out, GV_ADAPT_TEXT,
             "%" PRIu32 " owners of %" PRIu32 " days in %" PRIu32 " networks, %" PRIu32
             " voters%s%s%s, %" PRIu32 " footholds, %" PRIu32 " burnt",
             campaign->owners, campaign->age_days, campaign->groups, campaign->voters,
             campaign->off_days > 0 ? ", by turns" : "", campaign->echoes ? ", echoing" : "",
             campaign->back_min > 0 ? ", dated back" : "", campaign->footholds, campaign->burnt);
}
