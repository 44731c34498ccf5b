/* Which attacks are tried on which rule. Ours goes through all of them at three shares; rivals
 * through those that tell them apart; the quick table has a few of both. */
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "sim/table/chart.h"

#define CELLS_MAX 1024u

struct line {
    const char *attack;
    uint32_t shares[3]; /* per mille; of attacks without a share the first, 0 */
    unsigned rivals;    /* bits: the shares that are tried on rivals too */
    bool quick, quick_rivals;
};
static const struct line lines[] = {
    {"none", {0}, 1, true, true},
    {"flood", {10, 100, 500}, 5, true, true},
    {"echo", {10, 500}, 2, false, false},
    {"burn", {10, 500}, 2, false, false},
    {"framing", {0}, 1, true, false},
    {"framing+flood", {500, 10}, 1, true, false},
    {"bad-mouth", {500}, 0, false, false},
    {"protect", {500}, 0, false, false},
    {"oscillate", {500}, 1, false, false},
    {"whitewash", {500}, 1, false, false},
    {"one-owner", {500}, 1, false, false},
    {"one-group", {500}, 1, false, false},
    {"registry-fresh", {0}, 1, true, false},
    {"registry-aged", {0}, 1, true, false},
    {"fill", {500}, 0, false, false},
    {"replay", {500}, 0, false, false},
    {"equivocate", {500}, 0, false, false},
    {"adaptive", {500}, 0, false, false},
    {"keepers", {100, 500}, 0, false, false},
    {"spray", {0}, 1, false, false},
    {"broken", {0}, 0, false, false},
    {"broken-unchecked", {0}, 1, false, false},
};

/* In the quick table. */
static const char *const quick_rules[] = {
    "grapevine", "grapevine-consensus", "local-log", "quorum-3-networks", "tenured-quorum",
    "beta",      "eigentrust",          "fides",     "crowdsec-like",     "oracle"};

static bool listed(const char *list, const char *name)
{
    size_t len = strlen(name);

    for (const char *at = list; at && *at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strncmp(at, name, len) == 0 && (at[len] == ',' || at[len] == '\0'))
            return true;
    return list == NULL;
}

static bool is_quick_rule(const char *name)
{
    for (size_t i = 0; i < sizeof quick_rules / sizeof *quick_rules; i++)
        if (strcmp(quick_rules[i], name) == 0)
            return true;
    return false;
}

static bool wanted(const struct gv_chart_options *o, const struct line *line,
                   const struct gv_rule *rule, size_t share)
{
    bool main_rule = strcmp(rule->name, "grapevine") == 0;
    bool consensus_only = rule->consensus && (strcmp(line->attack, "spray") == 0 ||
                                              (strcmp(line->attack, "flood") == 0 && share == 2));

    if (!listed(o->rules, rule->name) || !listed(o->attacks, line->attack))
        return false;
    if (share > 0 && line->shares[share] == 0)
        return false;
    if (o->rules && o->attacks)
        return true; /* named by the user: all of them */
    if (!o->quick)
        return main_rule || line->rivals >> share & 1 ||
               (rule->searched && strcmp(line->attack, "adaptive") == 0);
    if (!is_quick_rule(rule->name))
        return false;
    if (consensus_only)
        return true;
    if (main_rule)
        return line->quick && share != 1;
    return line->quick_rivals && share == 0;
}

void gv_chart_cells(struct gv_chart *table)
{
    table->cells = calloc(CELLS_MAX, sizeof *table->cells);
    gv_assert(table->cells);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        for (size_t share = 0; share < 3; share++)
            for (size_t r = 0; r < gv_rule_count; r++) {
                if (!wanted(table->options, &lines[i], &gv_rules[r], share))
                    continue;
                gv_assert(table->cell_count < CELLS_MAX);
                table->cells[table->cell_count++] =
                    (struct gv_cell){.attack = gv_attack_find(lines[i].attack),
                                     .rule = &gv_rules[r],
                                     .share_permille = lines[i].shares[share]};
            }
}
