#include "sim/rivals/fides_model.h"

#include "sim/actors/dice.h"

static uint32_t bound(int64_t value)
{
    return value < 0 ? 0 : value > GV_FIDES_ONE ? GV_FIDES_ONE : (uint32_t)value;
}

void gv_fides_add(struct gv_fides_peer *peer, uint32_t satisfaction)
{
    if (peer->count == GV_FIDES_HISTORY) {
        peer->sum -= peer->sum / GV_FIDES_HISTORY;
        peer->squares -= peer->squares / GV_FIDES_HISTORY;
    } else {
        peer->count++;
    }
    peer->sum += satisfaction;
    peer->squares += (uint32_t)((uint64_t)satisfaction * satisfaction / GV_FIDES_ONE);
}

/* st = sh (cb - ib / 2) + (1 - sh) r, with cb the mean satisfaction, ib its standard deviation, sh
 * how full the history is. */
uint32_t gv_fides_trust(const struct gv_fides_peer *peer, uint32_t reputation)
{
    if (peer->count == 0)
        return reputation;
    int64_t competence = peer->sum / peer->count;
    int64_t variance =
        (int64_t)(peer->squares / peer->count) - competence * competence / GV_FIDES_ONE;
    int64_t integrity = variance > 0 ? (int64_t)gv_dice_root((uint64_t)variance * GV_FIDES_ONE) : 0;
    int64_t own = (competence - integrity / 2) * peer->count;
    int64_t others = (int64_t)reputation * (GV_FIDES_HISTORY - peer->count);

    return bound((own + others) / (int64_t)GV_FIDES_HISTORY);
}

void gv_fides_aggregate(struct gv_fides_word *out, const struct gv_fides_word *words, size_t count)
{
    int64_t scores = 0, trust = 0, confidence = 0;

    for (size_t i = 0; i < count; i++) {
        scores += (int64_t)words[i].score * words[i].trust;
        confidence += (int64_t)words[i].confidence * words[i].trust / GV_FIDES_ONE;
        trust += words[i].trust;
    }
    out->score = trust > 0 ? (int32_t)(scores / trust) : 0;
    out->confidence = count > 0 ? bound(confidence / (int64_t)count) : 0;
    out->trust = 0;
}

uint32_t gv_fides_distance(const struct gv_fides_word *word, const struct gv_fides_word *base)
{
    int64_t apart = (int64_t)base->score - word->score;

    if (apart < 0)
        apart = -apart;
    int64_t agreement = GV_FIDES_ONE - apart / 2 * word->confidence / GV_FIDES_ONE;
    return bound(agreement * base->confidence / GV_FIDES_ONE);
}
