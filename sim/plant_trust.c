/* Planted bugs around the functions of proto/trust (see plant.h). */
#include <string.h>

#include "proto/trust/signal.h"
#include "proto/trust/store.h"
#include "proto/trust/verdict.h"
#include "sim/plant.h"

#define WEAK __attribute__((weak))

int __real_gv_statement_sign(struct gv_buf *out, const struct gv_statement *statement,
                             const uint8_t *sign_secret, const uint8_t *network_id) WEAK;
int __wrap_gv_statement_sign(struct gv_buf *out, const struct gv_statement *statement,
                             const uint8_t *sign_secret, const uint8_t *network_id);
struct gv_admission __real_gv_store_weigh(const struct gv_store *store,
                                          const struct gv_statement *statement,
                                          const struct gv_instance *author, uint32_t per_hour,
                                          uint32_t retracts_per_hour, bool weightless,
                                          bool kept) WEAK;
struct gv_admission __wrap_gv_store_weigh(const struct gv_store *store,
                                          const struct gv_statement *statement,
                                          const struct gv_instance *author, uint32_t per_hour,
                                          uint32_t retracts_per_hour, bool weightless, bool kept);
void __real_gv_verdict_judge(struct gv_verdict *out, const struct gv_policy *policy,
                             uint32_t genesis_min, uint32_t now_min, struct gv_vote *votes,
                             size_t count) WEAK;
void __wrap_gv_verdict_judge(struct gv_verdict *out, const struct gv_policy *policy,
                             uint32_t genesis_min, uint32_t now_min, struct gv_vote *votes,
                             size_t count);

#define NODES 10000 /* a world has no more */
static uint64_t said[NODES];

void gv_plant_started(size_t node)
{
    said[node] = 0;
}

void gv_plant_forget_numbers(void)
{
    memset(said, 0, sizeof said);
}

bool gv_plant_wraps_trust(void)
{
    return __real_gv_verdict_judge != NULL;
}

int __wrap_gv_statement_sign(struct gv_buf *out, const struct gv_statement *statement,
                             const uint8_t *sign_secret, const uint8_t *network_id)
{
    struct gv_statement same = *statement;

    if (gv_plant_is(GV_PLANT_REUSE_SEQUENCE))
        same.sequence = 1000000;
    if (gv_plant_is(GV_PLANT_NUMBER_TWICE))
        same.sequence = ++said[gv_plant_node()];
    return __real_gv_statement_sign(out, &same, sign_secret, network_id);
}

struct gv_admission __wrap_gv_store_weigh(const struct gv_store *store,
                                          const struct gv_statement *statement,
                                          const struct gv_instance *author, uint32_t per_hour,
                                          uint32_t retracts_per_hour, bool weightless, bool kept)
{
    uint32_t more = gv_plant_is(GV_PLANT_NO_QUOTA) ? 1000 : 1;

    return __real_gv_store_weigh(store, statement, author, per_hour * more,
                                 retracts_per_hour * more, weightless, kept);
}

void __wrap_gv_verdict_judge(struct gv_verdict *out, const struct gv_policy *policy,
                             uint32_t genesis_min, uint32_t now_min, struct gv_vote *votes,
                             size_t count)
{
    struct gv_vote two[2];

    if (gv_plant_is(GV_PLANT_ONE_IS_TWO) && count == 1) {
        two[0] = two[1] = votes[0];
        two[1].owner[0] ^= 1;
        two[1].group++;
        votes = two;
        count = 2;
    }
    if (gv_plant_is(GV_PLANT_VOTE_LOST) && count > 1) {
        votes++; /* the newest is first (trust/store.c) */
        count--;
    }
    if (gv_plant_is(GV_PLANT_JUDGE_LATE) && gv_plant_node() % 4 == 1)
        now_min -= 15;
    __real_gv_verdict_judge(out, policy, genesis_min, now_min, votes, count);
}
