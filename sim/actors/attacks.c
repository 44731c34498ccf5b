/* The attacks of the table (SPEC 20.2). Ages are those of the certificates when the scored days
 * begin; 31 days is what patience costs at the tenure of 30. */
#include <string.h>

#include "sim/actors/plan.h"

#define PATIENT_DAYS 31u
#define GROUPS       50u

static void none(struct gv_campaign *out, const struct gv_scene *scene, uint32_t owners)
{
    (void)out, (void)scene, (void)owners;
}

static void flood(struct gv_campaign *out, const struct gv_scene *scene, uint32_t owners)
{
    (void)scene;
    out->owners = owners;
    out->groups = GROUPS;
    out->age_days = PATIENT_DAYS;
    out->lies = true;
}

static void echo(struct gv_campaign *out, const struct gv_scene *scene, uint32_t owners)
{
    flood(out, scene, owners);
    out->echoes = true;
}

static void burn(struct gv_campaign *out, const struct gv_scene *scene, uint32_t owners)
{
    flood(out, scene, owners);
    out->burnt = owners * 5 < 2000 ? owners * 5 : 2000;
}

static void frame(struct gv_campaign *out, const struct gv_scene *scene, uint32_t owners)
{
    (void)owners;
    out->footholds = scene->numbers.footholds;
}

static void frame_flood(struct gv_campaign *out, const struct gv_scene *scene, uint32_t owners)
{
    flood(out, scene, owners);
    out->footholds = scene->numbers.footholds;
}

static void badmouth(struct gv_campaign *out, const struct gv_scene *scene, uint32_t owners)
{
    flood(out, scene, owners);
    out->clients_only = true;
}

static void protect(struct gv_campaign *out, const struct gv_scene *scene, uint32_t owners)
{
    flood(out, scene, owners);
    out->lies = false;
    out->echoes = true; /* of everybody but its own: the best standing that praise can buy */
}

static void oscillate(struct gv_campaign *out, const struct gv_scene *scene, uint32_t owners)
{
    flood(out, scene, owners);
    out->on_days = 2;
    out->off_days = 5;
}

static void whitewash(struct gv_campaign *out, const struct gv_scene *scene, uint32_t owners)
{
    flood(out, scene, owners < 300 ? owners : 300);
    out->age_days = 0;
    out->renew_days = 5;
}

static void one_owner(struct gv_campaign *out, const struct gv_scene *scene, uint32_t owners)
{
    flood(out, scene, owners);
    out->owners = 1;
    out->instances = owners;
}

static void one_group(struct gv_campaign *out, const struct gv_scene *scene, uint32_t owners)
{
    flood(out, scene, owners);
    out->groups = 1;
}

static void registry_fresh(struct gv_campaign *out, const struct gv_scene *scene, uint32_t owners)
{
    flood(out, scene, owners);
    out->owners = 1000;
    out->age_days = 0;
}

static void registry_aged(struct gv_campaign *out, const struct gv_scene *scene, uint32_t owners)
{
    flood(out, scene, owners);
    out->owners = 1000;
    out->age_days = 30;
}

static void fill(struct gv_campaign *out, const struct gv_scene *scene, uint32_t owners)
{
    flood(out, scene, owners);
    out->lies = false;
    out->fills = true;
}

static void replay(struct gv_campaign *out, const struct gv_scene *scene, uint32_t owners)
{
    flood(out, scene, owners);
    out->back_min = 20 * 60;
    out->replays = true;
}

static void equivocate(struct gv_campaign *out, const struct gv_scene *scene, uint32_t owners)
{
    flood(out, scene, owners);
    out->equivocates = true;
}

static void keepers(struct gv_campaign *out, const struct gv_scene *scene, uint32_t owners)
{
    flood(out, scene, owners);
    out->echoes = true;
    out->suppresses = true;
    out->leaks = true;
}

static void spray(struct gv_campaign *out, const struct gv_scene *scene, uint32_t owners)
{
    (void)owners;
    out->spray = 4 * scene->nodes;
}

static void broken(struct gv_campaign *out, const struct gv_scene *scene, uint32_t owners)
{
    (void)scene, (void)owners;
    out->broken = 10;
}

static void unchecked(struct gv_campaign *out, const struct gv_scene *scene, uint32_t owners)
{
    (void)scene, (void)owners;
    out->broken = 10;
    out->unchecked = true;
}

const struct gv_attack gv_attacks[] = {
    {"none", "nobody lies", false, false, none},
    {"flood", "patient owners call every address of users an attacker", true, false, flood},
    {"echo", "they repeat honest signals first, then flood", true, false, echo},
    {"burn", "they report own machines truly first, five each, then flood", true, false, burn},
    {"framing", "real guesses from ten addresses that users share", false, false, frame},
    {"framing+flood", "both", true, false, frame_flood},
    {"bad-mouth", "they call the addresses of single households attackers", true, false, badmouth},
    {"protect", "they praise by echo, and keep silent about their own machines", true, false,
     protect},
    {"oscillate", "they flood for two days in seven", true, false, oscillate},
    {"whitewash", "they flood under new identities every five days", true, false, whitewash},
    {"one-owner", "one owner with as many instances floods", true, false, one_owner},
    {"one-group", "owners of one network flood", true, false, one_group},
    {"registry-fresh", "1,000 certificates at once flood", false, false, registry_fresh},
    {"registry-aged", "the same, 30 days old", false, false, registry_aged},
    {"fill", "they fill the votes on own machines, then take theirs back", true, false, fill},
    {"replay", "they date back by 20 hours, and send old signals of others again", true, false,
     replay},
    {"equivocate", "they flood, and contradict themselves under one number", true, false,
     equivocate},
    {"adaptive", "they search the campaign that does most harm to this very rule", true, true,
     flood},
    {"keepers", "as keepers they leak what is not published, suppress, and flood", true, false,
     keepers},
    {"spray", "four addresses per node, one guess at each of 20 nodes", false, false, spray},
    {"broken", "ten honest nodes' login backends fail for six hours", false, false, broken},
    {"broken-unchecked", "the same, and the nodes do not notice", false, false, unchecked},
};
const size_t gv_attack_count = sizeof gv_attacks / sizeof *gv_attacks;

const struct gv_attack *gv_attack_find(const char *name)
{
    for (size_t i = 0; i < gv_attack_count; i++)
        if (strcmp(gv_attacks[i].name, name) == 0)
            return &gv_attacks[i];
    return NULL;
}

uint32_t gv_attack_owners(uint32_t honest, uint32_t share_permille)
{
    return share_permille == 0
               ? 0
               : (share_permille * honest + (1000 - share_permille) / 2) / (1000 - share_permille);
}

void gv_attack_campaign(struct gv_campaign *out, const struct gv_attack *attack,
                        const struct gv_scene *scene, uint32_t share_permille)
{
    uint32_t owners = attack->shares ? gv_attack_owners(scene->nodes, share_permille) : 0;

    memset(out, 0, sizeof *out);
    out->instances = 1;
    out->on_days = 1;
    attack->campaign(out, scene, owners);
}
