/* The arguments of a bouncer's request, one a line: name=value; the first byte says which of the
 * two requests. Whatever they are: a query or a sentence; and what a query takes holds what was
 * asked for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "node/serve/bouncer_query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *lines; /* name=value, each with an end */
static size_t lines_len;

static const char *get(const void *context, const char *name)
{
    size_t len = strlen(name);

    gv_assert(context == &lines);
    for (const char *at = lines; at < lines + lines_len; at += strlen(at) + 1)
        if (strncmp(at, name, len) == 0 && at[len] == '=')
            return at + len + 1;
    return NULL;
}

static void use(const struct gv_bouncer_query *query, bool stream)
{
    static const struct gv_target targets[] = {
        {GV_FAMILY_IPV4, 32, {192, 0, 2, 1}},
        {GV_FAMILY_IPV4, 24, {192, 0, 2}},
        {GV_FAMILY_IPV4, 0, {0}},
        {GV_FAMILY_IPV6, 64, {0x20, 1, 0xd, 0xb8}},
        {GV_FAMILY_IPV6, 32, {0x20, 1, 0xd, 0xb8}},
    };

    gv_assert(!stream || (query->limit == UINT64_MAX && !query->around && !query->by_value));
    gv_assert(query->target.bits <= 64);
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
        for (unsigned scenario = 0; scenario <= GV_SCENARIO_COUNT; scenario++) {
            if (!gv_bouncer_query_takes(query, &targets[i], scenario))
                continue;
            gv_assert(scenario < GV_SCENARIO_COUNT && !query->nothing);
            gv_assert(!query->by_value || gv_target_equal(&targets[i], &query->target));
            gv_assert(!query->around || gv_target_holds(&targets[i], &query->target));
            gv_assert(!query->within || gv_target_holds(&query->target, &targets[i]));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gv_bouncer_query query;
    struct gv_text error = {""};
    bool stream = size > 0 && data[0] & 1;

    lines = calloc(1, size + 1);
    gv_assert(lines);
    lines_len = size;
    if (size > 1)
        memcpy(lines, data + 1, size - 1);
    for (size_t i = 0; i < size; i++)
        if (lines[i] == '\n')
            lines[i] = 0;
    if (gv_bouncer_query(&query, stream, get, &lines, &error) == GV_OK)
        use(&query, stream);
    else
        gv_assert(!stream && error.text[0]);
    free(lines);
    return 0;
}
