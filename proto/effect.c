#include "proto/effect.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/limits.h"

void gv_effects_init(struct gv_effects *effects)
{
    memset(effects, 0, sizeof *effects);
}

void gv_effects_clear(struct gv_effects *effects)
{
    effects->count = 0;
    effects->failed = false;
    gv_buf_clear(&effects->bytes);
}

void gv_effects_free(struct gv_effects *effects)
{
    if (!effects)
        return;
    free(effects->list);
    gv_buf_free(&effects->bytes);
    gv_effects_init(effects);
}

const uint8_t *gv_effect_key(const struct gv_effects *effects, const struct gv_effect *effect)
{
    return effects->bytes.data ? effects->bytes.data + effect->key_at : NULL;
}

const uint8_t *gv_effect_data(const struct gv_effects *effects, const struct gv_effect *effect)
{
    return effects->bytes.data ? effects->bytes.data + effect->data_at : NULL;
}

bool gv_effect_is_row(const struct gv_effect *effect)
{
    return effect->kind == GV_EFFECT_PERSIST || effect->kind == GV_EFFECT_FORGET;
}

bool gv_effect_is_preview(const struct gv_effects *effects, const struct gv_effect *effect)
{
    return effect->kind == GV_EFFECT_PERSIST && effect->row == GV_ROW_SENT &&
           effect->data_len > 0 && (*gv_effect_data(effects, effect) & GV_SENT_PREVIEW);
}

bool gv_effect_is_own_word(const struct gv_effects *effects, const struct gv_effect *effect)
{
    return gv_effect_is_row(effect) && !gv_effect_is_preview(effects, effect) &&
           (effect->row == GV_ROW_SELF || effect->row == GV_ROW_SENT || effect->row == GV_ROW_LIST);
}

/* The number in a row of one's own: its first 8 bytes. */
static uint64_t number_of(const struct gv_effects *effects, const struct gv_effect *effect)
{
    const uint8_t *data = gv_effect_data(effects, effect);
    uint64_t number = 0;

    if (effect->kind != GV_EFFECT_PERSIST || effect->row != GV_ROW_SELF || effect->data_len < 8)
        return 0;
    for (size_t i = 0; i < 8; i++)
        number = number << 8 | data[i];
    return number > INT64_MAX ? 0 : number; /* no store holds it, and no number comes of it */
}

uint64_t gv_effects_ceiling(const struct gv_effects *effects, uint64_t ceiling)
{
    uint64_t highest = 0;

    for (size_t i = 0; i < effects->count; i++) {
        uint64_t number = number_of(effects, &effects->list[i]);
        highest = number > highest ? number : highest;
    }
    if (highest <= ceiling)
        return ceiling;
    return highest > INT64_MAX - GV_SEQUENCE_LEAP_MS ? INT64_MAX : highest + GV_SEQUENCE_LEAP_MS;
}

const char *gv_note_text(enum gv_note note)
{
    switch (note) {
#define GV_NOTE_CASE(name, text)                                                                   \
    case name:                                                                                     \
        return text;
        GV_NOTE_MAP(GV_NOTE_CASE)
#undef GV_NOTE_CASE
    }
    return "unknown note";
}

static struct gv_effect *append(struct gv_effects *effects, enum gv_effect_kind kind)
{
    if (effects->count == effects->cap) {
        size_t cap = effects->cap ? 2 * effects->cap : 16;
        struct gv_effect *grown = realloc(effects->list, cap * sizeof *grown);
        if (!grown) {
            effects->failed = true;
            return NULL;
        }
        effects->list = grown;
        effects->cap = cap;
    }
    struct gv_effect *effect = &effects->list[effects->count];
    memset(effect, 0, sizeof *effect);
    effect->kind = kind;
    effects->count++;
    return effect;
}

static size_t append_bytes(struct gv_effects *effects, const void *data, size_t len)
{
    size_t at = effects->bytes.len;

    gv_buf_append(&effects->bytes, data, len);
    if (effects->bytes.failed)
        effects->failed = true;
    return at;
}

/* An effect whose bytes did not fit must not be seen half made. */
static void settle(struct gv_effects *effects)
{
    if (effects->failed && effects->count > 0)
        effects->count--;
}

static void append_row(struct gv_effects *effects, enum gv_effect_kind kind, enum gv_row row,
                       const void *key, size_t key_len, const void *value, size_t value_len)
{
    struct gv_effect *effect = append(effects, kind);

    if (!effect)
        return;
    effect->row = row;
    effect->key_at = append_bytes(effects, key, key_len);
    effect->key_len = key_len;
    effect->data_at = append_bytes(effects, value, value_len);
    effect->data_len = value_len;
    settle(effects);
}

void gv_effect_persist(struct gv_effects *effects, enum gv_row row, const void *key, size_t key_len,
                       const void *value, size_t value_len)
{
    append_row(effects, GV_EFFECT_PERSIST, row, key, key_len, value, value_len);
}

void gv_effect_forget(struct gv_effects *effects, enum gv_row row, const void *key, size_t key_len)
{
    append_row(effects, GV_EFFECT_FORGET, row, key, key_len, NULL, 0);
}

void gv_effect_connect(struct gv_effects *effects, uint32_t link, const struct gv_address *address,
                       const char *host, size_t host_len)
{
    struct gv_effect *effect = append(effects, GV_EFFECT_CONNECT);

    if (!effect)
        return;
    effect->link = link;
    if (address)
        effect->address = *address;
    effect->data_at = append_bytes(effects, host, host_len);
    effect->data_len = host_len;
    settle(effects);
}

static void append_frame(struct gv_effects *effects, enum gv_effect_kind kind, uint32_t link,
                         const void *data, size_t len)
{
    struct gv_effect *effect = append(effects, kind);

    if (!effect)
        return;
    effect->link = link;
    effect->data_at = append_bytes(effects, data, len);
    effect->data_len = len;
    settle(effects);
}

void gv_effect_send(struct gv_effects *effects, uint32_t link, const void *data, size_t len)
{
    append_frame(effects, GV_EFFECT_SEND, link, data, len);
}

void gv_effect_turn_away(struct gv_effects *effects, uint32_t link, const void *data, size_t len)
{
    append_frame(effects, GV_EFFECT_TURN_AWAY, link, data, len);
}

void gv_effect_close(struct gv_effects *effects, uint32_t link)
{
    struct gv_effect *effect = append(effects, GV_EFFECT_CLOSE);

    if (effect)
        effect->link = link;
}

struct gv_effect *gv_effect_note(struct gv_effects *effects, enum gv_note note)
{
    static struct gv_effect scratch; /* written to, never read: the failed flag is set */
    struct gv_effect *effect = append(effects, GV_EFFECT_NOTE);

    if (!effect)
        effect = &scratch;
    effect->note = note;
    return effect;
}
