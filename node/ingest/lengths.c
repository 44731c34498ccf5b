#include "node/ingest/lengths.h"

static size_t place_of(uint64_t who)
{
    return (size_t)(who >> 32) % GV_LENGTHS;
}

void gv_lengths_learn(struct gv_lengths *lengths, uint64_t who, size_t len, uint32_t day)
{
    size_t place = place_of(who);

    if (lengths->of[place].who != (uint32_t)who) {
        lengths->of[place].who = (uint32_t)who;
        lengths->of[place].day = day;
        lengths->of[place].longest = lengths->of[place].before = 0;
    } else if (day > lengths->of[place].day) {
        bool next = day == lengths->of[place].day + 1;
        lengths->of[place].before = next ? lengths->of[place].longest : 0;
        lengths->of[place].longest = 0;
        lengths->of[place].day = day;
    }
    if (lengths->of[place].longest < len)
        lengths->of[place].longest = (uint32_t)len;
}

bool gv_lengths_is_news(const struct gv_lengths *lengths, uint64_t who, size_t len, uint32_t day)
{
    size_t place = place_of(who);

    return len > GV_LENGTH_SURE &&
           (lengths->of[place].who != (uint32_t)who || day > lengths->of[place].day ||
            len > lengths->of[place].longest);
}

bool gv_lengths_trust(const struct gv_lengths *lengths, uint64_t who, size_t len, uint32_t day)
{
    size_t place = place_of(who);
    uint32_t longest = 0;

    if (len <= GV_LENGTH_SURE)
        return true;
    if (lengths->of[place].who != (uint32_t)who)
        return false;
    if (day <= lengths->of[place].day + 1)
        longest = lengths->of[place].longest;
    if (day <= lengths->of[place].day && lengths->of[place].before > longest)
        longest = lengths->of[place].before;
    return longest >= len + GV_LENGTH_MARGIN;
}
