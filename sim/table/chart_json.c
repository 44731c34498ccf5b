/* The table for scripts: an array with one object a cell. */
#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <sysexits.h>

#include "sim/table/adapt.h"
#include "sim/table/cost.h"

static void set_number(json_t *object, const char *name, const char *suffix, int64_t value,
                       bool share)
{
    char key[64];

    snprintf(key, sizeof key, "%s%s", name, suffix);
    if (share)
        json_object_set_new(object, key,
                            value < 0 ? json_null() : json_real((double)value / 10000));
    else
        json_object_set_new(object, key, json_integer(value));
}

static void set_spread(json_t *object, const char *name, struct gv_spread spread, bool share)
{
    set_number(object, name, "", spread.median, share);
    set_number(object, name, "_min", spread.least, share);
    set_number(object, name, "_max", spread.most, share);
}

static json_t *pack_cost(const struct gv_chart *table, const struct gv_cell *cell)
{
    struct gv_cost cost;

    gv_cost_of(&cost, table, cell);
    json_t *object =
        json_pack("{s:I, s:I, s:I, s:I, s:I}", "identities", (json_int_t)cost.identities, "days",
                  (json_int_t)cost.days, "addresses", (json_int_t)cost.addresses, "visits",
                  (json_int_t)cost.visits, "messages", (json_int_t)cost.messages);
    double each = (double)cost.refused;
    json_object_set_new(
        object, "per_refused_login",
        cost.refused == 0
            ? json_null()
            : json_pack("{s:f, s:f, s:f, s:f, s:f}", "identities", cost.identities / each, "days",
                        cost.days / each, "addresses", cost.addresses / each, "visits",
                        cost.visits / each, "messages", (double)cost.messages / each));
    return object;
}

static json_t *pack_found(uint32_t found)
{
    json_t *list = json_array();
    size_t cursor = 0;
    const char *what;

    while ((what = gv_adapt_found(found, &cursor)))
        json_array_append_new(list, json_string(what));
    return list;
}

static json_t *pack_cell(const struct gv_chart *table, const struct gv_cell *cell)
{
    const struct gv_chart_options *o = table->options;
    const struct gv_score *s = &cell->scores[table->seeds / 2];
    json_t *object =
        json_pack("{s:s, s:s, s:f, s:I, s:I, s:I, s:[I,I], s:I, s:I}", "rule", cell->rule->name,
                  "attack", cell->attack->name, "hostile_share", cell->share_permille / 1000.0,
                  "nodes", (json_int_t)o->nodes, "days", (json_int_t)o->days, "scored_days",
                  (json_int_t)(o->days / 3), "seeds", (json_int_t)o->seed, (json_int_t)o->last_seed,
                  "logins", (json_int_t)s->logins, "logins_shared", (json_int_t)s->logins_shared);

    set_spread(object, "attempts_through", gv_chart_spread(table, cell, GV_FIGURE_THROUGH), true);
    set_spread(object, "spray_through", gv_chart_spread(table, cell, GV_FIGURE_SPRAY), true);
    set_spread(object, "own_through", gv_chart_spread(table, cell, GV_FIGURE_GUARDED), true);
    set_spread(object, "refused_legitimate", gv_chart_spread(table, cell, GV_FIGURE_REFUSED),
               false);
    set_spread(object, "refused_shared", gv_chart_spread(table, cell, GV_FIGURE_SHARED), false);
    set_spread(object, "refused_clean", gv_chart_spread(table, cell, GV_FIGURE_CLEAN), false);
    set_spread(object, "locked_extra", gv_chart_spread(table, cell, GV_FIGURE_LOCKED), false);
    set_spread(object, "lockouts_extra", gv_chart_spread(table, cell, GV_FIGURE_LOCKOUTS), false);
    json_object_set_new(object, "signals", json_integer((json_int_t)s->signals));
    json_object_set_new(object, "broken_signals", json_integer((json_int_t)s->broken_signals));
    json_object_set_new(object, "broken_alarms", json_integer((json_int_t)s->broken_alarms));
    json_object_set_new(object, "cost", pack_cost(table, cell));
    if (cell->attack->searches)
        json_object_set_new(object, "found", pack_found(s->found));
    return object;
}

int gv_chart_json(const struct gv_chart *table)
{
    const char *path = table->options->json_path;
    bool to_stdout = strcmp(path, "-") == 0;
    FILE *file = to_stdout ? stdout : fopen(path, "w");
    json_t *array = json_array();
    int rc = 0;

    for (size_t i = 0; i < table->cell_count; i++)
        json_array_append_new(array, pack_cell(table, &table->cells[i]));
    if (!file || json_dumpf(array, file, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) != 0 ||
        fputc('\n', file) < 0) {
        fprintf(stderr, "grapevine-sim: %s: %s\n", path,
                file ? "could not be written" : strerror(errno));
        rc = EX_CANTCREAT;
    }
    if (file && !to_stdout && fclose(file) != 0)
        rc = EX_CANTCREAT;
    json_decref(array);
    return rc;
}
