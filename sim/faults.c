#include "sim/faults.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/drbg.h"

struct named {
    const char *name, *text;
    size_t offset;
    uint32_t most;
};

static const struct named all[] = {
#define GV_FAULT_NAMED(name, most, text) {#name, text, offsetof(struct gv_faults, name), most},
    GV_FAULT_MAP(GV_FAULT_NAMED)
#undef GV_FAULT_NAMED
};
#define COUNT (sizeof all / sizeof *all)

static uint32_t *value_of(struct gv_faults *faults, size_t index)
{
    return (uint32_t *)(void *)((char *)faults + all[index].offset);
}

/* From 1 to most, small ones as likely as large ones: uniform in the number of digits (base 2). */
static uint32_t draw(struct gv_drbg *drbg, uint32_t most)
{
    uint32_t bits = 0;

    while (bits < 31 && most >> (bits + 1))
        bits++;
    uint32_t high = 1u << gv_drbg_below(drbg, bits + 1);
    uint32_t value = high + (uint32_t)gv_drbg_below(drbg, high);
    return value > most ? most : value;
}

static bool coin(struct gv_drbg *drbg)
{
    return gv_drbg_below(drbg, 2) == 0;
}

void gv_faults_draw(struct gv_faults *out, uint64_t seed)
{
    uint8_t bytes[GV_SEED_LEN] = {'f', 'a', 'u', 'l', 't', 's'};
    struct gv_drbg drbg;

    for (size_t i = 0; i < 8; i++)
        bytes[8 + i] = (uint8_t)(seed >> (56 - 8 * i));
    gv_drbg_init(&drbg, bytes);
    memset(out, 0, sizeof *out);
    if (coin(&drbg))
        out->jitter = draw(&drbg, 1000);
    if (coin(&drbg))
        out->loss = draw(&drbg, 20);
    if (coin(&drbg))
        out->split = draw(&drbg, 100);
    if (coin(&drbg))
        out->breaks = draw(&drbg, 20);
    if (coin(&drbg)) {
        out->partitions = draw(&drbg, 8);
        out->partition_s = draw(&drbg, 3600);
        out->partition_kinds = 1 + (uint32_t)gv_drbg_below(&drbg, 15);
    }
    if (coin(&drbg)) {
        out->crashes = draw(&drbg, 6);
        out->down_s = draw(&drbg, 1800);
        out->power = coin(&drbg) ? draw(&drbg, 100) : 0;
        out->disks = coin(&drbg) ? draw(&drbg, 50) : 0;
        out->keys = out->disks && coin(&drbg) ? draw(&drbg, 100) : 0;
    }
    if (coin(&drbg))
        out->slow_ms = draw(&drbg, 4000);
    if (coin(&drbg))
        out->skew = draw(&drbg, 1800);
    if (coin(&drbg)) {
        out->jumps = draw(&drbg, 4);
        out->jump_s = draw(&drbg, 7200);
    }
    if (coin(&drbg)) {
        out->life = 240 + draw(&drbg, 240);
        out->registry = coin(&drbg) ? draw(&drbg, 100) : 0;
    }
    if (coin(&drbg))
        out->alive = 30 + draw(&drbg, 120);
    if (coin(&drbg))
        out->liars = draw(&drbg, 2);
    if (coin(&drbg))
        out->revoke = draw(&drbg, 2);
    if (coin(&drbg))
        out->grace = draw(&drbg, 30);
    if (coin(&drbg))
        out->retract = draw(&drbg, 4);
    gv_drbg_wipe(&drbg);
}

static size_t find(const char *name, size_t len)
{
    size_t i = 0;

    while (i < COUNT && (strlen(all[i].name) != len || memcmp(all[i].name, name, len) != 0))
        i++;
    return i;
}

const char *gv_faults_parse(struct gv_faults *faults, const char *text, const char **where)
{
    bool given[COUNT] = {false};

    while (*text) {
        size_t len = strcspn(text, "=,"), index = find(text, len);
        char *end;
        *where = text;
        if (index == COUNT)
            return "no fault has this name ('--faults help' lists them)";
        if (given[index])
            return "this fault is given twice";
        given[index] = true;
        if (text[len] != '=' || text[len + 1] < '0' || text[len + 1] > '9')
            return "must be NAME=NUMBER";
        unsigned long value = strtoul(text + len + 1, &end, 10);
        if (*end && *end != ',')
            return "must be NAME=NUMBER";
        if (value > all[index].most)
            return "the number is too large ('--faults help' lists the limits)";
        *value_of(faults, index) = (uint32_t)value;
        text = *end ? end + 1 : end;
    }
    return NULL;
}

void gv_faults_text(char out[GV_FAULTS_TEXT], const struct gv_faults *faults)
{
    struct gv_faults copy = *faults;
    size_t at = 0;

    for (size_t i = 0; i < COUNT; i++)
        if (*value_of(&copy, i) != 0)
            at += (size_t)snprintf(out + at, GV_FAULTS_TEXT - at, "%s%s=%" PRIu32, at ? "," : "",
                                   all[i].name, *value_of(&copy, i));
    if (at == 0)
        snprintf(out, GV_FAULTS_TEXT, "none");
}

uint32_t *gv_faults_at(struct gv_faults *faults, size_t index)
{
    return index < COUNT ? value_of(faults, index) : NULL;
}

bool gv_faults_any(const struct gv_faults *faults)
{
    struct gv_faults copy = *faults;

    for (size_t i = 0; i < COUNT; i++)
        if (*value_of(&copy, i) != 0)
            return true;
    return false;
}

const char *gv_faults_help(size_t line, char out[160])
{
    if (line >= COUNT)
        return NULL;
    snprintf(out, 160, "%-16s 0..%-7" PRIu32 " %s", all[line].name, all[line].most, all[line].text);
    return out;
}
