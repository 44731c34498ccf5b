#include "sim/actors/scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "sim/actors/dice.h"

#define START_MIN      29000000u /* some day of 2025 */
#define MEMBERS_STREAM 1u

void gv_scene_standard(struct gv_scene_numbers *out)
{
#define GV_SCENE_STANDARD(name, standard, most, text) out->name = standard;
    GV_SCENE_MAP(GV_SCENE_STANDARD)
#undef GV_SCENE_STANDARD
}

bool gv_scene_set(struct gv_scene_numbers *numbers, const char *name, uint64_t value)
{
#define GV_SCENE_SET(field, standard, most, text)                                                  \
    if (strcmp(name, #field) == 0) {                                                               \
        numbers->field = (uint32_t)(value <= (most) ? value : 0);                                  \
        return value <= (most);                                                                    \
    }
    GV_SCENE_MAP(GV_SCENE_SET)
#undef GV_SCENE_SET
    return false;
}

bool gv_scene_help(size_t index, char line[160])
{
    size_t at = 0;

#define GV_SCENE_HELP(field, standard, most, text)                                                 \
    if (at++ == index) {                                                                           \
        snprintf(line, 160, "%-22s %6d  %s (0 to %d)", #field, standard, text, most);              \
        return true;                                                                               \
    }
    GV_SCENE_MAP(GV_SCENE_HELP)
#undef GV_SCENE_HELP
    return false;
}

void gv_moments_add(struct gv_moments *moments, struct gv_moment moment)
{
    if (moments->count == moments->cap) {
        moments->cap = moments->cap ? 2 * moments->cap : 4096;
        moments->at = realloc(moments->at, moments->cap * sizeof *moments->at);
        gv_assert(moments->at);
    }
    moments->at[moments->count++] = moment;
}

/* Stable, in two passes of 16 bits each over the second; a comparing sort takes ten times longer.
 */
void gv_moments_sort(struct gv_moments *moments)
{
    struct gv_moment *spare = calloc(moments->count + 1, sizeof *spare);
    size_t *places = calloc(65537, sizeof *places);

    gv_assert(spare && places);
    for (unsigned shift = 0; shift <= 16; shift += 16) {
        memset(places, 0, 65537 * sizeof *places);
        for (size_t i = 0; i < moments->count; i++)
            places[(moments->at[i].at_s >> shift & 0xffff) + 1]++;
        for (size_t i = 1; i < 65537; i++)
            places[i] += places[i - 1];
        for (size_t i = 0; i < moments->count; i++)
            spare[places[moments->at[i].at_s >> shift & 0xffff]++] = moments->at[i];
        if (moments->count > 0)
            memcpy(moments->at, spare, moments->count * sizeof *spare);
    }
    free(places);
    free(spare);
}

void gv_moments_free(struct gv_moments *moments)
{
    free(moments->at);
    memset(moments, 0, sizeof *moments);
}

/* ---- addresses ------------------------------------------------------------------------------ */

static uint32_t append(struct gv_scene *scene, const struct gv_subject *subject,
                       enum gv_address_kind kind)
{
    if (scene->address_count == scene->address_cap) {
        scene->address_cap = scene->address_cap ? 2 * scene->address_cap : 4096;
        scene->addresses = realloc(scene->addresses, scene->address_cap * sizeof *scene->addresses);
        gv_assert(scene->addresses);
    }
    scene->addresses[scene->address_count] =
        (struct gv_address_row){.subject = *subject, .kind = (uint8_t)kind};
    return (uint32_t)scene->address_count++;
}

/* The n-th public network: 1.0.0.0/24 upwards, without what nobody may share; IPv6 below
 * 2a00::/12. */
static struct gv_subject network_of(uint32_t n, bool ipv6)
{
    struct gv_subject s = {.family = ipv6 ? GV_FAMILY_IPV6 : GV_FAMILY_IPV4};

    s.bytes[0] = ipv6 ? 0x2a : (uint8_t)(1 + (n >> 16) % 120);
    for (size_t i = 1; i < 3; i++)
        s.bytes[i] = (uint8_t)(n >> (16 - 8 * i));
    if (ipv6) {
        s.bytes[3] = (uint8_t)(n >> 24);
        s.bytes[4] = (uint8_t)(n >> 16);
    }
    return s;
}

uint32_t gv_scene_address(struct gv_scene *scene, enum gv_address_kind kind)
{
    struct gv_dice dice;
    uint32_t n = (uint32_t)scene->address_count;

    gv_dice_seed(&dice, scene->seed, 1000000u + n);
    bool ipv6 = gv_dice_percent(&dice, scene->numbers.ipv6_percent);
    struct gv_subject s;
    do {
        s = network_of(n, ipv6);
        s.bytes[ipv6 ? 7 : 3] = 7;
        n += 0x10000; /* 10.x, 100.64.x, ... : the next that is public */
    } while (gv_subject_scope(&s) != GV_SCOPE_PUBLIC);
    return append(scene, &s, kind);
}

uint32_t gv_scene_sibling(struct gv_scene *scene, uint32_t address, enum gv_address_kind kind,
                          uint32_t which)
{
    struct gv_subject s = scene->addresses[address].subject;

    s.bytes[s.family == GV_FAMILY_IPV6 ? 7 : 3] = (uint8_t)(8 + which);
    return append(scene, &s, kind);
}

uint32_t gv_scene_client(const struct gv_scene *scene, uint32_t client, uint32_t day)
{
    return scene->client_first[client] + (scene->client_moves[client] ? day : 0);
}

void gv_scene_make_clean(struct gv_scene *scene, uint32_t address, uint32_t node, uint32_t at_s)
{
    for (uint8_t back = 9; at_s < scene->end_s && back < 10; back = (uint8_t)(back - 8))
        gv_moments_add(&scene->moments, (struct gv_moment){.at_s = at_s,
                                                           .subject = address,
                                                           .account = 1,
                                                           .node = (uint16_t)node,
                                                           .kind = GV_MOMENT_QUIET,
                                                           .n = back});
}

/* ---- members -------------------------------------------------------------------------------- */

/* Networks of nodes are uneven: a few hosters have many of them (the product of two uniforms). */
static uint64_t draw_group(struct gv_dice *dice, uint32_t nodes)
{
    uint64_t groups = nodes < 600 ? (uint64_t)250 * nodes / 600 + 13 : (uint64_t)250 * nodes / 600;
    uint64_t first = gv_dice_below(dice, 65536), second = gv_dice_below(dice, 65536);

    return groups * first / 65536 * second / 65536;
}

static void draw_members(struct gv_scene *scene)
{
    struct gv_dice dice;
    uint32_t score_day = scene->score_s / GV_SCENE_DAY_S;

    gv_dice_seed(&dice, scene->seed, MEMBERS_STREAM);
    scene->members = calloc(scene->nodes, sizeof *scene->members);
    gv_assert(scene->members);
    scene->pretrusted = scene->nodes / 20 > 2 ? scene->nodes / 20 : 2;
    for (uint32_t i = 0; i < scene->nodes; i++) {
        struct gv_member *m = &scene->members[i];
        bool young = gv_dice_percent(&dice, scene->numbers.young_percent);
        uint32_t joined = gv_dice_below(&dice, 75 * GV_DAY_MIN);
        m->owner = i;
        m->group = draw_group(&dice, scene->nodes);
        /* 90 days before the scored ones; the young from 60 days before to 15 after their start. */
        m->since_min = scene->start_min + score_day * GV_DAY_MIN - 90 * GV_DAY_MIN;
        if (young)
            m->since_min += 30 * GV_DAY_MIN + joined;
        if (i < scene->pretrusted) {
            m->pretrusted = true;
            m->group = 3000 + i;
            m->since_min = scene->genesis_min;
        }
    }
}

void gv_scene_open(struct gv_scene *out, const struct gv_scene_numbers *numbers, uint32_t nodes,
                   uint32_t days, uint64_t seed)
{
    gv_assert(nodes >= 10 && nodes <= 10000 && days >= 3);
    memset(out, 0, sizeof *out);
    out->numbers = *numbers;
    out->seed = seed;
    out->nodes = nodes;
    out->days = days;
    out->scored_days = days / 3;
    out->end_s = days * GV_SCENE_DAY_S;
    out->score_s = (days - out->scored_days) * GV_SCENE_DAY_S;
    out->start_min = START_MIN;
    out->genesis_min = START_MIN + out->score_s / 60 - 120 * GV_DAY_MIN;
    draw_members(out);
    gv_scene_draw_users(out);
    gv_scene_draw_attackers(out);
    gv_moments_sort(&out->moments);
}

void gv_scene_close(struct gv_scene *scene)
{
    gv_moments_free(&scene->moments);
    free(scene->addresses);
    free(scene->members);
    free(scene->client_first);
    free(scene->client_moves);
    memset(scene, 0, sizeof *scene);
}
