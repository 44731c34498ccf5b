/* Callers: connections from addresses that nobody knows, before their first message is there (SPEC
 * 5.4). Whether they may begin a handshake is decided then, by what they said; until then they cost
 * a place in a fixed table, and whoever is silent loses it to the next. */
#include <string.h>

#include "crypto/error.h"
#include "proto/limits.h"
#include "proto/mesh/state.h"

static struct gv_caller *find(struct gv_core *core, uint32_t id)
{
    for (size_t i = 0; i < core->caller_count; i++)
        if (core->callers[i].id == id)
            return &core->callers[i];
    return NULL;
}

static void forget(struct gv_core *core, struct gv_caller *caller)
{
    *caller = core->callers[--core->caller_count];
}

/* Nobody else has heard of him. */
static void drop(struct gv_core *core, struct gv_caller *caller)
{
    gv_effect_turn_away(core->effects, caller->id, NULL, 0);
    forget(core, caller);
}

void gv_caller_new(struct gv_core *core, uint32_t id, const struct gv_address *remote)
{
    if (core->caller_count == GV_CALLERS_MAX) {
        struct gv_caller *oldest = &core->callers[0];
        for (size_t i = 1; i < core->caller_count; i++)
            if (core->callers[i].number < oldest->number)
                oldest = &core->callers[i];
        drop(core, oldest);
    }
    struct gv_caller *caller = &core->callers[core->caller_count++];
    caller->id = id;
    caller->number = ++core->caller_number;
    caller->since_ms = core->now_ms;
    caller->remote = *remote;
    caller->len = 0;
    gv_account_call(core);
}

static void refuse(struct gv_core *core, const struct gv_caller *caller)
{
    struct gv_effect *note = gv_effect_note(core->effects, GV_NOTE_HANDSHAKE_FAILED);

    note->link = caller->id;
    note->address = caller->remote;
    note->error = GV_ERR_PROTOCOL;
    gv_effect_turn_away(core->effects, caller->id, NULL, 0);
}

/* There is no room for him as a stranger; as a member he may come again (SPEC 5.6). */
static void challenge(struct gv_core *core, const struct gv_caller *caller)
{
    uint8_t frame[2 + GV_CHALLENGE_LEN] = {0, GV_CHALLENGE_LEN};

    gv_door_cookie(core, frame + 2, &caller->remote, 0);
    memcpy(frame + 2 + GV_COOKIE_LEN, core->identity.session_public, GV_KEY_LEN);
    gv_account_challenge(core, caller->len, sizeof frame);
    gv_effect_turn_away(core->effects, caller->id, frame, sizeof frame);
}

static void answer(struct gv_core *core, const struct gv_caller *caller, size_t message_len,
                   const uint8_t *rest, size_t rest_len)
{
    const uint8_t *message = caller->frame + 2;
    bool proven = message_len == GV_KEY_LEN + GV_ADMISSION_LEN &&
                  gv_door_proves(core, &caller->remote, message, message + GV_KEY_LEN);

    if (gv_door_admit(core, &caller->remote, proven) != GV_OK) {
        challenge(core, caller);
        return;
    }
    gv_link_accept(core, caller->id, &caller->remote);
    gv_link_bytes(core, caller->id, caller->frame, caller->len);
    if (rest_len > 0)
        gv_link_bytes(core, caller->id, rest, rest_len);
}

bool gv_caller_bytes(struct gv_core *core, uint32_t id, const uint8_t *data, size_t len)
{
    struct gv_caller *caller = find(core, id), said;
    size_t used, message_len;

    if (!caller)
        return false;
    used = sizeof caller->frame - caller->len;
    used = used < len ? used : len;
    memcpy(caller->frame + caller->len, data, used);
    caller->len = (uint16_t)(caller->len + used);
    if (caller->len < 2)
        return true;
    message_len = (size_t)caller->frame[0] << 8 | caller->frame[1];
    bool whole = caller->len >= 2 + message_len;
    bool sense = message_len == GV_KEY_LEN || message_len == GV_KEY_LEN + GV_ADMISSION_LEN;
    if (sense && !whole)
        return true;
    said = *caller;
    forget(core, caller);
    if (sense)
        answer(core, &said, message_len, data + used, len - used);
    else
        refuse(core, &said);
    return true;
}

bool gv_caller_gone(struct gv_core *core, uint32_t id)
{
    struct gv_caller *caller = find(core, id);

    if (caller)
        forget(core, caller);
    return caller != NULL;
}

void gv_callers_tick(struct gv_core *core)
{
    for (size_t i = core->caller_count; i-- > 0;)
        if (core->stopping || core->now_ms - core->callers[i].since_ms >= GV_HANDSHAKE_MS)
            drop(core, &core->callers[i]);
}

uint64_t gv_callers_deadline(const struct gv_core *core)
{
    uint64_t due = UINT64_MAX;

    for (size_t i = 0; i < core->caller_count; i++)
        if (core->callers[i].since_ms + GV_HANDSHAKE_MS < due)
            due = core->callers[i].since_ms + GV_HANDSHAKE_MS;
    return due;
}
