#include "node/serve/bouncer_query.h"

#include <string.h>
#include <strings.h>

#include "crypto/error.h"

const char *const gv_bouncer_scenarios[GV_SCENARIO_COUNT] = {"grapevine/deny-list",
                                                             "grapevine/locked-here",
                                                             "grapevine/locked-by-own-server",
                                                             "grapevine/failed-here-again",
                                                             "grapevine/untrusted-and-failed-here",
                                                             "grapevine/untrusted"};

struct reader {
    const char *(*get)(const void *context, const char *name);
    const void *context;
    struct gv_text *error;
};

/* An empty argument says as little as none: some bouncers send all that they know. */
static const char *argument(const struct reader *reader, const char *name)
{
    const char *value = reader->get(reader->context, name);

    return value && *value ? value : NULL;
}

/* ---- lists of words, "a,b" ------------------------------------------------------------------ */

static bool next_word(const char **at, const char **word, size_t *len)
{
    if (!*at)
        return false;
    *word = *at;
    *len = strcspn(*at, ",");
    *at = (*at)[*len] ? *at + *len + 1 : NULL;
    return true;
}

static bool has_word(const char *list, const char *wanted)
{
    const char *word;
    size_t len;

    while (next_word(&list, &word, &len))
        if (strlen(wanted) == len && strncasecmp(word, wanted, len) == 0)
            return true;
    return false;
}

/* Whether one of the words is part of the text. An empty one would be part of every text. */
static bool any_within(const char *list, const char *text)
{
    const char *word;
    size_t len;

    while (next_word(&list, &word, &len))
        for (const char *at = text; len > 0 && strlen(at) >= len; at++)
            if (strncasecmp(at, word, len) == 0)
                return true;
    return false;
}

/* ---- arguments ------------------------------------------------------------------------------ */

static void read_scopes(struct gv_bouncer_query *out, const struct reader *reader)
{
    const char *list = argument(reader, "scopes");

    if (!list)
        list = argument(reader, "scope");
    out->addresses = !list || has_word(list, "ip");
    out->ranges = !list || has_word(list, "range");
}

static void read_scenarios(struct gv_bouncer_query *out, const struct reader *reader)
{
    const char *with = argument(reader, "scenarios_containing");
    const char *without = argument(reader, "scenarios_not_containing");

    for (unsigned i = 0; i < GV_SCENARIO_COUNT; i++)
        out->scenarios[i] = (!with || any_within(with, gv_bouncer_scenarios[i])) &&
                            !(without && any_within(without, gv_bouncer_scenarios[i]));
}

static int read_target(struct gv_bouncer_query *out, const struct reader *reader, const char *name,
                       const char *value)
{
    struct gv_prefix prefix;

    if (gv_prefix_parse(&prefix, value, strlen(value)) != GV_OK)
        return gv_fail(reader->error, GV_ERR_MALFORMED,
                       "%s: an address or a range is needed, such as 192.0.2.1 or 192.0.2.0/24",
                       name);
    out->target = gv_target_of_prefix(&prefix);
    return GV_OK;
}

static int read_place(struct gv_bouncer_query *out, const struct reader *reader)
{
    const char *ip = argument(reader, "ip"), *range = argument(reader, "range");
    const char *value = argument(reader, "value"), *contains = argument(reader, "contains");
    char text[GV_PREFIX_TEXT];
    int rc = GV_OK;

    if (value) {
        out->by_value = true;
        rc = read_target(out, reader, "value", value);
        gv_target_text(text, &out->target);
        /* Another writing of it, or a user's name: not what any ban is about. */
        out->nothing |= rc != GV_OK || strcasecmp(text, value) != 0;
        rc = GV_OK;
    }
    if ((value != NULL) + (ip != NULL) + (range != NULL) > 1)
        return gv_fail(reader->error, GV_ERR_MALFORMED, "give one of ip, range and value");
    if (ip || range) {
        rc = read_target(out, reader, ip ? "ip" : "range", ip ? ip : range);
        out->within = range && contains && strcasecmp(contains, "false") == 0;
        out->around = !out->within;
    }
    return rc;
}

static int read_number(uint64_t *out, const struct reader *reader, const char *name)
{
    const char *value = argument(reader, name);
    uint64_t number = 0;

    for (const char *at = value; at && *at; at++) {
        if (*at < '0' || *at > '9' || at - value >= 18)
            return gv_fail(reader->error, GV_ERR_MALFORMED, "%s: a number is needed", name);
        number = 10 * number + (uint64_t)(*at - '0');
    }
    if (value)
        *out = number;
    return GV_OK;
}

int gv_bouncer_query(struct gv_bouncer_query *out, bool stream,
                     const char *(*get)(const void *context, const char *name), const void *context,
                     struct gv_text *error)
{
    const struct reader reader = {get, context, error};
    const char *startup = argument(&reader, "startup");
    const char *origins = argument(&reader, "origins"), *type = argument(&reader, "type");

    memset(out, 0, sizeof *out);
    out->limit = UINT64_MAX;
    out->startup = startup && strcasecmp(startup, "true") == 0;
    out->nothing = origins && !has_word(origins, GV_BOUNCER_ORIGIN);
    read_scopes(out, &reader);
    read_scenarios(out, &reader);
    if (stream)
        return GV_OK;
    out->nothing |= type && strcasecmp(type, GV_BOUNCER_TYPE) != 0;
    int rc = read_place(out, &reader);
    if (rc == GV_OK)
        rc = read_number(&out->limit, &reader, "limit");
    if (rc == GV_OK)
        rc = read_number(&out->offset, &reader, "offset");
    return rc;
}

bool gv_bouncer_query_takes(const struct gv_bouncer_query *query, const struct gv_target *target,
                            unsigned scenario)
{
    if (query->nothing || !(gv_target_is_address(target) ? query->addresses : query->ranges) ||
        scenario >= GV_SCENARIO_COUNT || !query->scenarios[scenario])
        return false;
    if (query->by_value && !gv_target_equal(target, &query->target))
        return false;
    if (query->around && !gv_target_holds(target, &query->target))
        return false;
    return !query->within || gv_target_holds(&query->target, target);
}

/* Writes the digits and the unit, returns where they end. */
static char *put(char *out, uint64_t number, char unit)
{
    char digits[24];
    size_t n = 0;

    do
        digits[n++] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    while (n > 0)
        *out++ = digits[--n];
    *out++ = unit;
    return out;
}

void gv_bouncer_duration(char out[GV_BOUNCER_DURATION], int64_t seconds)
{
    uint64_t all = seconds < 0 ? 0 - (uint64_t)seconds : (uint64_t)seconds;

    if (seconds < 0)
        *out++ = '-';
    if (all >= 3600)
        out = put(out, all / 3600, 'h');
    if (all >= 60)
        out = put(out, all / 60 % 60, 'm');
    out = put(out, all % 60, 's');
    *out = 0;
}
