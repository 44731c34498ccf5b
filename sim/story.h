/* A run to read: what happens, as lines of text. (SPEC 17.6) */
#ifndef GV_SIM_STORY_H
#define GV_SIM_STORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "proto/effect.h"

#define GV_STORY_LINE 200
#define GV_STORY_KEPT 20

struct gv_world;

struct gv_story {
    FILE *out;   /* NULL: the last lines are kept instead */
    size_t node; /* what concerns this one; SIZE_MAX: everything */
    uint64_t from_ms, to_ms;
    bool all; /* connections, bytes and rows, too */
    uint64_t lines;
    char kept[GV_STORY_KEPT][GV_STORY_LINE]; /* line n at n % GV_STORY_KEPT */
};

/* One line about this node (SIZE_MAX: about all), if anybody wants to hear it. */
void gv_story_say(const struct gv_world *world, size_t node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A core's effect, as it is carried out. */
void gv_story_effect(const struct gv_world *world, size_t node, const struct gv_effects *effects,
                     const struct gv_effect *effect);
/* Bytes that arrive, and from whom. */
void gv_story_arrived(const struct gv_world *world, size_t node, size_t from, size_t len);
/* Which member this instance is now; SIZE_MAX: none. */
size_t gv_story_member(const struct gv_world *world, const uint8_t instance[GV_ID_LEN]);

#endif
