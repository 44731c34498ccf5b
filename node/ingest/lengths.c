#include "node/ingest/lengths.h"

void gv_lengths_learn(struct gv_lengths *lengths, uint64_t who, size_t len)
{
    size_t place = (size_t)(who >> 32) % GV_LENGTHS;

    if (lengths->of[place].who != (uint32_t)who) {
        lengths->of[place].who = (uint32_t)who;
        lengths->of[place].longest = 0;
    }
    if (lengths->of[place].longest < len)
        lengths->of[place].longest = (uint32_t)len;
}

bool gv_lengths_trust(const struct gv_lengths *lengths, uint64_t who, size_t len)
{
    size_t place = (size_t)(who >> 32) % GV_LENGTHS;

    return len <= GV_LENGTH_SURE || (lengths->of[place].who == (uint32_t)who &&
                                     lengths->of[place].longest >= len + GV_LENGTH_MARGIN);
}
