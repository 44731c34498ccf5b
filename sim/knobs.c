#include "sim/knobs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind {
    KIND_SEED,   /* uint64_t, any */
    KIND_WHOLE,  /* size_t */
    KIND_NUMBER, /* double */
    KIND_SWITCH, /* bool */
    KIND_PLANT   /* enum gv_plant */
};

struct row {
    struct gv_knob knob;
    enum kind kind;
    size_t offset;
    double least, most;
    bool basic;
};

#define AT(field) offsetof(struct gv_sim_options, field)
static const struct row rows[] = {
    {{"nodes", 'n', "N", "Nodes, each of its own owner and network (default 5, swarm 7)"},
     KIND_WHOLE,
     AT(nodes),
     2,
     10000,
     true},
    {{"hours", 'H', "H", "Simulated hours (default 1, swarm 2)"},
     KIND_NUMBER,
     AT(hours),
     0.02,
     24.0 * 60,
     true},
    {{"seed", 's', "S", "Seed: the same seed is the same run (default 1)"},
     KIND_SEED,
     AT(seed),
     0,
     0,
     true},
    {{"sightings", 'u', "U", "Attackers that a node sees per hour (default 4)"},
     KIND_NUMBER,
     AT(sightings),
     0.01,
     30,
     true},
    {{"attackers", 0, "A",
      "New attackers an hour that share these sightings (default: as many as their victims leave)"},
     KIND_NUMBER,
     AT(attackers),
     1,
     1e6,
     false},
    {{"attackers-most", 0, "A",
      "No more new attackers an hour than these: those with several victims have more instead"},
     KIND_NUMBER,
     AT(attackers_most),
     1,
     1e6,
     false},
    {{"plant", 0, "NAME", "Run with a planted bug, which must be found; list"},
     KIND_PLANT,
     AT(plant),
     0,
     0,
     false},
    {{"max-mb-per-hour", 0, "MB",
      "It is a violation if a node moves more, in and out (default: run none, swarm 1)"},
     KIND_NUMBER,
     AT(mb_per_hour),
     0.001,
     100000,
     false},
    {{"behind-nat", 0, "PCT", "Percent of the nodes that dial out and cannot be dialled"},
     KIND_WHOLE,
     AT(behind_nat),
     0,
     90,
     false},
    {{"offline", 0, "PCT", "Percent of the nodes that are down all the time, and in the roster"},
     KIND_WHOLE,
     AT(offline),
     0,
     90,
     false},
    {{"networks", 0, "N",
      "Latency by network: so many on a map, 1 to 3 ms within, up to 150 between (default: 5 to "
      "120 a pair)"},
     KIND_WHOLE,
     AT(networks),
     1,
     10000,
     false},
    {{"known", 0, NULL, "Everybody knows everybody from the start: a mesh that has lived for days"},
     KIND_SWITCH,
     AT(known),
     0,
     0,
     false},
    {{"public", 0, NULL, "No keepers: every word goes to everybody, for comparing"},
     KIND_SWITCH,
     AT(public_only),
     0,
     0,
     false},
    {{"real-crypto", 0, NULL, "Check each signature at each node anew"},
     KIND_SWITCH,
     AT(real_crypto),
     0,
     0,
     false},
};
#undef AT
#define COUNT (sizeof rows / sizeof *rows)

const struct gv_knob *gv_knob(size_t index)
{
    return index < COUNT ? &rows[index].knob : NULL;
}

size_t gv_knob_find(const char *name)
{
    for (size_t i = 0; i < COUNT; i++)
        if (strcmp(rows[i].knob.name, name) == 0)
            return i;
    return GV_KNOB_NONE;
}

bool gv_knob_is_basic(size_t index)
{
    return rows[index].basic;
}

static void *value_of(struct gv_sim_options *options, const struct row *row)
{
    return (char *)options + row->offset;
}

/* ---- from text ------------------------------------------------------------------------------- */

static bool read_whole(uint64_t *out, const char *text, uint64_t least, uint64_t most,
                       char why[GV_KNOB_WHY])
{
    char *end;

    errno = 0; /* a number that is too long comes out as the largest one */
    *out = strtoull(text, &end, 10);
    if (!errno && *text >= '0' && *text <= '9' && !*end && *out >= least && *out <= most)
        return true;
    snprintf(why, GV_KNOB_WHY, "must be a whole number from %" PRIu64 " to %" PRIu64, least, most);
    return false;
}

bool gv_is_decimal(const char *text)
{
    return ((*text >= '0' && *text <= '9') || *text == '.') &&
           text[strspn(text, "0123456789.eE+-")] == 0;
}

static bool read_number(double *out, const char *text, double least, double most,
                        char why[GV_KNOB_WHY])
{
    char *end;

    /* A decimal number: strtod takes hexadecimal ones, names and spaces, too. */
    *out = strtod(text, &end);
    if (gv_is_decimal(text) && !*end && *out >= least && *out <= most)
        return true;
    snprintf(why, GV_KNOB_WHY, "must be a number from %g to %g", least, most);
    return false;
}

static bool read_switch(bool *out, const char *text, char why[GV_KNOB_WHY])
{
    *out = strcmp(text, "yes") == 0;
    if (*out || strcmp(text, "no") == 0)
        return true;
    snprintf(why, GV_KNOB_WHY, "must be yes or no");
    return false;
}

static bool read_plant(enum gv_plant *out, const char *text, char why[GV_KNOB_WHY])
{
    *out = gv_plant_find(text);
    if (*out != GV_PLANT_COUNT)
        return true;
    *out = GV_PLANT_NONE;
    snprintf(why, GV_KNOB_WHY, "must be the name of a planted bug ('--plant list' tells them)");
    return false;
}

bool gv_knob_set(struct gv_sim_options *options, size_t index, const char *text,
                 char why[GV_KNOB_WHY])
{
    const struct row *row = &rows[index];
    void *value = value_of(options, row);
    uint64_t whole = 0;
    bool good;

    switch (row->kind) {
    case KIND_SEED:
        return read_whole(value, text, 0, UINT64_MAX, why);
    case KIND_WHOLE:
        good = read_whole(&whole, text, (uint64_t)row->least, (uint64_t)row->most, why);
        *(size_t *)value = (size_t)(good ? whole : 0);
        return good;
    case KIND_NUMBER:
        return read_number(value, text, row->least, row->most, why);
    case KIND_SWITCH:
        return read_switch(value, text, why);
    case KIND_PLANT:
        return read_plant(value, text, why);
    }
    return false;
}

/* ---- and back -------------------------------------------------------------------------------- */

/* As short as it can be and still be the same number when it is read. */
static void number_text(char out[GV_KNOB_TEXT], double value)
{
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(out, GV_KNOB_TEXT, "%.*g", digits, value);
        double again = strtod(out, NULL);
        if (!(again < value) && !(again > value))
            return;
    }
}

bool gv_knob_text(char out[GV_KNOB_TEXT], const struct gv_sim_options *options, size_t index)
{
    const struct row *row = &rows[index];
    struct gv_sim_options copy = *options;
    const void *value = value_of(&copy, row);

    switch (row->kind) {
    case KIND_SEED:
        snprintf(out, GV_KNOB_TEXT, "%" PRIu64, *(const uint64_t *)value);
        return true;
    case KIND_WHOLE:
        snprintf(out, GV_KNOB_TEXT, "%zu", *(const size_t *)value);
        return *(const size_t *)value > 0;
    case KIND_NUMBER:
        number_text(out, *(const double *)value);
        return *(const double *)value > 0;
    case KIND_SWITCH:
        snprintf(out, GV_KNOB_TEXT, "%s", *(const bool *)value ? "yes" : "no");
        return *(const bool *)value;
    case KIND_PLANT:
        snprintf(out, GV_KNOB_TEXT, "%s", gv_plant_name(*(const enum gv_plant *)value));
        return *(const enum gv_plant *)value != GV_PLANT_NONE;
    }
    return false;
}

void gv_knob_clear(struct gv_sim_options *options, size_t index)
{
    static const size_t sizes[] = {[KIND_SEED] = sizeof(uint64_t),
                                   [KIND_WHOLE] = sizeof(size_t),
                                   [KIND_NUMBER] = sizeof(double),
                                   [KIND_SWITCH] = sizeof(bool),
                                   [KIND_PLANT] = sizeof(enum gv_plant)};

    memset(value_of(options, &rows[index]), 0, sizes[rows[index].kind]);
}
