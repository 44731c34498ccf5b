#include "sim/table/ground.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"

#define LARGE_NETWORK 2000u /* members, from which on the descriptor asks for more weight */

/* Numbers what was seen, from 0, in the order of its first appearance. */
struct numbers {
    uint64_t *seen; /* owned */
    uint32_t count;
};

static uint32_t number_of(struct numbers *numbers, uint64_t value)
{
    for (uint32_t i = numbers->count; i-- > 0;)
        if (numbers->seen[i] == value)
            return i;
    numbers->seen[numbers->count] = value;
    return numbers->count++;
}

void gv_ground_open(struct gv_ground *out, const struct gv_scene *scene, const struct gv_plan *plan)
{
    uint32_t count = scene->nodes + plan->member_count;
    size_t addresses = scene->address_count + plan->address_count;
    struct gv_member *members = calloc(count, sizeof *members);
    struct gv_address_row *rows = calloc(addresses, sizeof *rows);
    uint32_t *owner_of = calloc(count, sizeof *owner_of);
    uint32_t *group_of = calloc(count, sizeof *group_of);
    struct numbers owners = {calloc(count, sizeof(uint64_t)), 0};
    struct numbers groups = {calloc(count, sizeof(uint64_t)), 0};

    gv_assert(members && rows && owner_of && group_of && owners.seen && groups.seen);
    memcpy(members, scene->members, scene->nodes * sizeof *members);
    memcpy(rows, scene->addresses, scene->address_count * sizeof *rows);
    if (plan->member_count > 0)
        memcpy(members + scene->nodes, plan->members, plan->member_count * sizeof *members);
    if (plan->address_count > 0)
        memcpy(rows + scene->address_count, plan->addresses, plan->address_count * sizeof *rows);
    for (uint32_t i = 0; i < count; i++) {
        owner_of[i] = number_of(&owners, members[i].owner);
        group_of[i] = number_of(&groups, members[i].group);
    }
    *out = (struct gv_ground){.scene = scene,
                              .addresses = rows,
                              .address_count = addresses,
                              .members = members,
                              .owner_of = owner_of,
                              .group_of = group_of,
                              .member_count = count,
                              .honest = scene->nodes,
                              .owner_count = owners.count,
                              .group_count = groups.count,
                              .genesis_min = scene->genesis_min,
                              .start_min = scene->start_min};
    gv_policy_default(&out->policy, false);
    if (scene->nodes > LARGE_NETWORK)
        out->policy.untrusted_weight = 3000;
    free(owners.seen);
    free(groups.seen);
}

void gv_ground_close(struct gv_ground *ground)
{
    free((void *)ground->members);
    free((void *)ground->addresses);
    free((void *)ground->owner_of);
    free((void *)ground->group_of);
    memset(ground, 0, sizeof *ground);
}
