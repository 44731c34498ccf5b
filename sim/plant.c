#include "sim/plant.h"

#include <stdlib.h>
#include <string.h>

static enum gv_plant planted;
static bool in_core;
static size_t at_node;
static uint64_t counter; /* for what happens now and then: the same in every run of a seed */
static void *leaked;     /* a chain, so that only the cores' accounts see a leak */

void gv_plant_set(enum gv_plant plant)
{
    planted = plant;
    counter = 0;
    gv_plant_forget_numbers();
    while (leaked) {
        void *next = *(void **)leaked;
        free(leaked);
        leaked = next;
    }
}

enum gv_plant gv_plant_now(void)
{
    return planted;
}

static const char *const names[] = {
#define GV_PLANT_NAME(id, name, text, sentence) name,
    GV_PLANT_MAP(GV_PLANT_NAME)
#undef GV_PLANT_NAME
};
static const char *const texts[] = {
#define GV_PLANT_TEXT(id, name, text, sentence) text,
    GV_PLANT_MAP(GV_PLANT_TEXT)
#undef GV_PLANT_TEXT
};
static const char *const sentences[] = {
#define GV_PLANT_SENTENCE(id, name, text, sentence) sentence "\0", /* ends with an empty one */
    GV_PLANT_MAP(GV_PLANT_SENTENCE)
#undef GV_PLANT_SENTENCE
};

const char *gv_plant_name(enum gv_plant plant)
{
    return names[plant];
}

const char *gv_plant_what(enum gv_plant plant)
{
    return texts[plant];
}

const char *gv_plant_sentence(enum gv_plant plant, size_t index)
{
    const char *at = sentences[plant];

    while (index-- > 0 && *at)
        at += strlen(at) + 1;
    return *at ? at : NULL;
}

bool gv_plant_is_of_calm(enum gv_plant plant)
{
    return plant == GV_PLANT_UNSAID || plant == GV_PLANT_TELL_ALL || plant == GV_PLANT_MISCOUNT ||
           plant == GV_PLANT_OVER_AND_OVER;
}

bool gv_plant_is_of_halves(enum gv_plant plant)
{
    return plant == GV_PLANT_GIVE_UP;
}

bool gv_plant_is_of_losses(enum gv_plant plant)
{
    return plant == GV_PLANT_NO_CEILING;
}

enum gv_plant gv_plant_find(const char *name)
{
    size_t i = 0;

    while (i < GV_PLANT_COUNT && strcmp(names[i], name) != 0)
        i++;
    return (enum gv_plant)i;
}

void gv_plant_enter(size_t node)
{
    in_core = true;
    at_node = node;
}

void gv_plant_leave(void)
{
    in_core = false;
}

bool gv_plant_is(enum gv_plant plant)
{
    return in_core && planted == plant;
}

size_t gv_plant_node(void)
{
    return at_node;
}

static bool every(enum gv_plant plant, uint64_t times)
{
    return planted == plant && ++counter % times == 0;
}

/* ---- at the simulator's borders -------------------------------------------------------------- */

bool gv_plant_accepts_forged(void)
{
    if (planted == GV_PLANT_LEAK && in_core) {
        void **block = malloc(4096);
        if (block) {
            *block = leaked;
            leaked = block;
        }
    }
    return planted == GV_PLANT_ACCEPT_FORGED && in_core;
}

bool gv_plant_loses_row(const struct gv_effect *effect)
{
    return effect->kind == GV_EFFECT_PERSIST && effect->row == GV_ROW_RECORD &&
           every(GV_PLANT_LOSE_ROWS, 20);
}

bool gv_plant_skips_sync(void)
{
    return planted == GV_PLANT_SKIP_SYNC;
}

bool gv_plant_sends_first(void)
{
    return planted == GV_PLANT_SEND_FIRST;
}

bool gv_plant_sleeps_on(void)
{
    return every(GV_PLANT_SLEEP_ON, 500);
}

bool gv_plant_repeats(void)
{
    return every(GV_PLANT_REPEAT_BYTES, 200);
}

void gv_plant_touches(uint8_t *data, size_t len)
{
    if (len > 0 && every(GV_PLANT_FLIP_BITS, 200))
        data[len / 2] ^= 4;
}

bool gv_plant_reads_no_number(void)
{
    return planted == GV_PLANT_NUMBER_BACK;
}

bool gv_plant_keeps_no_ceiling(void)
{
    return planted == GV_PLANT_NO_CEILING;
}

bool gv_plant_misfiles(const struct gv_effect *effect)
{
    return effect->kind == GV_EFFECT_PERSIST && effect->row == GV_ROW_RECORD &&
           every(GV_PLANT_MISFILE, 20);
}

bool gv_plant_revokes_another_minute(void)
{
    return planted == GV_PLANT_OTHER_MINUTE;
}

bool gv_plant_tells_all(void)
{
    return planted == GV_PLANT_TELL_ALL;
}

bool gv_plant_keeps_quiet(const struct gv_effect *effect, size_t node)
{
    return planted == GV_PLANT_UNSAID && effect->note == GV_NOTE_VERDICT && node % 4 == 1;
}

/* ---- around functions of proto/ --------------------------------------------------------------
 * Weak, because a program without the --wrap options has no __real_ ones; there the wraps are dead.
 */

#define WEAK __attribute__((weak))

struct gv_core;
struct gv_link;

bool __real_gv_subject_shareable(const struct gv_subject *subject, bool lab) WEAK;
bool __wrap_gv_subject_shareable(const struct gv_subject *subject, bool lab);
bool __real_gv_error_is_guilt(int error) WEAK;
bool __wrap_gv_error_is_guilt(int error);
void __real_gv_expire(struct gv_core *core) WEAK;
void __wrap_gv_expire(struct gv_core *core);
void __real_gv_spread_fresh(struct gv_core *core, const uint8_t *id, uint32_t from) WEAK;
void __wrap_gv_spread_fresh(struct gv_core *core, const uint8_t *id, uint32_t from);
void __real_gv_link_post(struct gv_core *core, struct gv_link *link, const struct gv_buf *message,
                         bool urgent) WEAK;
void __wrap_gv_link_post(struct gv_core *core, struct gv_link *link, const struct gv_buf *message,
                         bool urgent);

bool gv_plant_wraps(void)
{
    return __real_gv_expire != NULL && gv_plant_wraps_trust() && gv_plant_wraps_roster() &&
           gv_plant_wraps_rows() && gv_plant_wraps_mesh();
}

bool __wrap_gv_subject_shareable(const struct gv_subject *subject, bool lab)
{
    return gv_plant_is(GV_PLANT_ACCEPT_PRIVATE) || __real_gv_subject_shareable(subject, lab);
}

bool __wrap_gv_error_is_guilt(int error)
{
    return !gv_plant_is(GV_PLANT_NO_GUILT) && __real_gv_error_is_guilt(error);
}

void __wrap_gv_expire(struct gv_core *core)
{
    if (!gv_plant_is(GV_PLANT_NO_EXPIRY))
        __real_gv_expire(core);
}

void __wrap_gv_spread_fresh(struct gv_core *core, const uint8_t *id, uint32_t from)
{
    if (!gv_plant_is(GV_PLANT_NO_SPREAD))
        __real_gv_spread_fresh(core, id, from);
}

void __wrap_gv_link_post(struct gv_core *core, struct gv_link *link, const struct gv_buf *message,
                         bool urgent)
{
    /* The second byte of a message is its number (SPEC 7). */
    bool records = message->len > 1 && message->data[1] == 4;
    bool reconcile = message->len > 1 && message->data[1] == 7;

    if (gv_plant_is(GV_PLANT_NO_REPAIR) && reconcile)
        return;
    for (int i = 1; gv_plant_is(GV_PLANT_CHATTER) && records && i < 40; i++)
        __real_gv_link_post(core, link, message, urgent);
    __real_gv_link_post(core, link, message, urgent);
}
