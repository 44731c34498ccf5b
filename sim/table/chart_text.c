/* The table for people. */
#include <inttypes.h>
#include <string.h>

#include "sim/table/adapt.h"
#include "sim/table/cost.h"

static void put_share(char *out, size_t cap, int64_t per_10000)
{
    if (per_10000 < 0)
        snprintf(out, cap, "-");
    else
        snprintf(out, cap, "%.3f", (double)per_10000 / 10000);
}

/* "0.539 (0.531-0.545)"; one number where all seeds agree. */
static void shares(FILE *out, struct gv_spread s, int width)
{
    char median[16], least[16], most[16], text[64];

    put_share(median, sizeof median, s.median);
    put_share(least, sizeof least, s.least);
    put_share(most, sizeof most, s.most);
    if (strcmp(least, most) == 0)
        snprintf(text, sizeof text, "%s", median);
    else
        snprintf(text, sizeof text, "%s (%s-%s)", median, least + 1, most + 1);
    fprintf(out, " %-*s", width, text);
}

static void counts(FILE *out, struct gv_spread s, int width)
{
    char text[64];

    if (s.least == s.most)
        snprintf(text, sizeof text, "%" PRId64, s.median);
    else
        snprintf(text, sizeof text, "%" PRId64 " (%" PRId64 "-%" PRId64 ")", s.median, s.least,
                 s.most);
    fprintf(out, " %-*s", width, text);
}

/* What an attacker that searches came to with the seed in the middle, as its price is of that. */
static void found(FILE *out, const struct gv_chart *table, const struct gv_cell *cell)
{
    uint32_t bits = cell->scores[table->seeds / 2].found;
    size_t cursor = 0;
    const char *what, *before = "; found: ";

    while ((what = gv_adapt_found(bits, &cursor))) {
        fprintf(out, "%s%s", before, what);
        before = ", ";
    }
}

static void price(FILE *out, const struct gv_chart *table, const struct gv_cell *cell)
{
    struct gv_cost cost;

    gv_cost_of(&cost, table, cell);
    if (strcmp(cell->attack->name, "none") == 0)
        return;
    fprintf(out, " %u owners", cost.identities);
    if (cost.days > 0)
        fprintf(out, ", %u days", cost.days);
    if (cost.addresses > 0)
        fprintf(out, ", %u addresses", cost.addresses);
    if (cost.visits > 0)
        fprintf(out, ", %u visits", cost.visits);
    if (cost.messages > 0)
        fprintf(out, ", %" PRIu64 " messages", cost.messages);
    if (cost.refused == 0)
        return;
    fprintf(out, "; each refused login: %.2g owners, %.2g addresses, %.3g visits, %.3g messages",
            (double)cost.identities / (double)cost.refused,
            (double)cost.addresses / (double)cost.refused,
            (double)cost.visits / (double)cost.refused,
            (double)cost.messages / (double)cost.refused);
}

static void head(FILE *out, const struct gv_chart *table)
{
    const struct gv_chart_options *o = table->options;
    const struct gv_score *s = &table->base[0];

    fprintf(out,
            "%u honest nodes, %u days, the last %u scored, seeds %" PRIu64 " to %" PRIu64
            "%s\n%" PRIu64 " legitimate logins, %" PRIu64 " more from addresses that an attacker "
            "has or had, %" PRIu64 " attacking visits (seed %" PRIu64 ")\n"
            "Median over the seeds (least-most). through: guesses that got through, of those "
            "without mesh and memory;\nrefused: legitimate logins refused, not by a lock here; "
            "shared: those from addresses that an attacker has or had;\nlocked: refused by a "
            "lock of the host's own; lock-outs: users locked out by one typo. Both more than by "
            "the local log alone.\n",
            o->nodes, o->days, o->days / 3, o->seed, o->last_seed, o->changed, s->logins,
            s->logins_shared, s->visits, o->seed);
}

static void row(FILE *out, const struct gv_chart *table, const struct gv_cell *cell)
{
    bool spray = strcmp(cell->attack->name, "spray") == 0;

    fprintf(out, "  %-20s", cell->rule->name);
    shares(out, gv_chart_spread(table, cell, spray ? GV_FIGURE_SPRAY : GV_FIGURE_THROUGH), 20);
    counts(out, gv_chart_spread(table, cell, GV_FIGURE_REFUSED), 20);
    counts(out, gv_chart_spread(table, cell, GV_FIGURE_SHARED), 14);
    counts(out, gv_chart_spread(table, cell, GV_FIGURE_LOCKED), 12);
    counts(out, gv_chart_spread(table, cell, GV_FIGURE_LOCKOUTS), 16);
    if (gv_chart_spread(table, cell, GV_FIGURE_CLEAN).most > 0)
        fprintf(out, " CLEAN HISTORY REFUSED: %" PRId64,
                gv_chart_spread(table, cell, GV_FIGURE_CLEAN).most);
    price(out, table, cell);
    found(out, table, cell);
    fputc('\n', out);
}

/* The attack under which this figure is largest, and how large. */
static void say_worst(FILE *out, const struct gv_chart *table, const char *rule,
                      enum gv_figure figure)
{
    const struct gv_cell *worst = gv_chart_worst(table, rule, figure);
    char text[96] = "0";

    if (worst) {
        struct gv_spread s = gv_chart_spread(table, worst, figure);
        size_t used = (size_t)snprintf(text, sizeof text, "%" PRId64, s.median);
        if (s.least != s.most)
            used += (size_t)snprintf(text + used, sizeof text - used, " (%" PRId64 "-%" PRId64 ")",
                                     s.least, s.most);
        used += (size_t)snprintf(text + used, sizeof text - used, " %s", worst->attack->name);
        if (worst->share_permille > 0)
            snprintf(text + used, sizeof text - used, " %g%%", worst->share_permille / 10.0);
    }
    fprintf(out, " %-36s", text);
}

/* One line a rule: what it is good for, and the worst that is done to it. */
static void summary(FILE *out, const struct gv_chart *table)
{
    fprintf(out, "\nThe worst of each rule\n  %-20s %-20s %-36s %-36s\n", "rule",
            "through in peace", "refused most", "locked out most");
    for (size_t i = 0; i < gv_rule_count; i++) {
        const char *rule = gv_rules[i].name;
        const struct gv_cell *peace = gv_chart_find(table, rule, "none", 0);
        if (!peace)
            continue;
        fprintf(out, "  %-20s", rule);
        shares(out, gv_chart_spread(table, peace, GV_FIGURE_THROUGH), 20);
        say_worst(out, table, rule, GV_FIGURE_REFUSED);
        say_worst(out, table, rule, GV_FIGURE_LOCKOUTS);
        fputc('\n', out);
    }
}

void gv_chart_text(FILE *out, const struct gv_chart *table)
{
    const struct gv_cell *before = NULL;

    head(out, table);
    for (size_t i = 0; i < table->cell_count; i++) {
        const struct gv_cell *cell = &table->cells[i];
        if (!before || cell->attack != before->attack ||
            cell->share_permille != before->share_permille) {
            fprintf(out, "\n%s", cell->attack->name);
            if (cell->share_permille > 0)
                fprintf(out, ", %g%% of the owners hostile", cell->share_permille / 10.0);
            fprintf(out, ": %s\n  %-20s %-20s %-20s %-14s %-12s %-16s cost\n", cell->attack->what,
                    "rule",
                    strcmp(cell->attack->name, "spray") == 0 ? "through (spray)" : "through",
                    "refused", "shared", "locked", "lock-outs");
        }
        row(out, table, cell);
        before = cell;
    }
    summary(out, table);
    fprintf(out, "table hash %016" PRIx64 "\n", table->hash);
}
