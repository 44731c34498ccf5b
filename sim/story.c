#include "sim/story.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/wire/record.h"
#include "sim/world.h"

static struct gv_story *listener(const struct gv_world *world, size_t node)
{
    struct gv_story *story = world->options.story;

    if (!story || world->now_ms < story->from_ms || world->now_ms > story->to_ms ||
        (story->node != SIZE_MAX && node != SIZE_MAX && node != story->node))
        return NULL;
    return story;
}

void gv_story_say(const struct gv_world *world, size_t node, const char *format, ...)
{
    struct gv_story *story = listener(world, node);
    char what[GV_STORY_LINE - 64], who[32] = "all";
    va_list args;

    if (!story)
        return;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    if (node != SIZE_MAX)
        snprintf(who, sizeof who, "node %zu", node);
    char *line = story->kept[story->lines++ % GV_STORY_KEPT];
    snprintf(line, GV_STORY_LINE, "%10" PRIu64 ".%03u s  %-9s  %s", world->now_ms / 1000,
             (unsigned)(world->now_ms % 1000), who, what);
    if (story->out)
        fprintf(story->out, "%s\n", line);
}

size_t gv_story_member(const struct gv_world *world, const uint8_t instance[GV_ID_LEN])
{
    for (size_t i = 0; i < world->members; i++)
        if (memcmp(world->nodes[i].identity.id, instance, GV_ID_LEN) == 0)
            return i;
    return SIZE_MAX;
}

static void name_member(char out[GV_ADDRESS_TEXT + 32], const struct gv_world *world,
                        const struct gv_effect *note)
{
    size_t member = gv_story_member(world, note->instance);

    if (member == SIZE_MAX)
        gv_address_text(out, &note->address);
    else
        snprintf(out, 32, "%s %zu", world->nodes[member].liar ? "liar" : "node", member);
}

static void say_note(const struct gv_world *world, size_t node, const struct gv_effect *note)
{
    char subject[GV_SUBJECT_TEXT], member[GV_ADDRESS_TEXT + 32];

    gv_subject_text(subject, &note->subject);
    name_member(member, world, note);
    switch (note->note) {
    case GV_NOTE_PEER_UP:
        gv_story_say(world, node, "has a session with %s, %s", member,
                     note->number ? "which it dialled" : "who dialled it");
        break;
    case GV_NOTE_PEER_DOWN:
    case GV_NOTE_HANDSHAKE_FAILED:
    case GV_NOTE_CONNECT_FAILED:
        gv_story_say(world, node, "%s (%s)%s%s", gv_note_text(note->note), member,
                     note->error ? ": " : "", note->error ? gv_strerror(note->error) : "");
        break;
    case GV_NOTE_PEER_REFUSED:
    case GV_NOTE_FAULT:
        gv_story_say(world, node, "%s: %s%s%s", gv_note_text(note->note), member,
                     note->error ? ", " : "", note->error ? gv_strerror(note->error) : "");
        break;
    case GV_NOTE_VERDICT:
        gv_story_say(world, node, "%s is %s, was %s (weight %lld)", subject,
                     gv_verdict_state_name(note->to), gv_verdict_state_name(note->from),
                     (long long)note->number);
        break;
    case GV_NOTE_SIGNALLED:
    case GV_NOTE_RETRACTED:
    case GV_NOTE_SIGNAL_HELD:
    case GV_NOTE_LOCKED:
        gv_story_say(world, node, "%s: %s", gv_note_text(note->note), subject);
        break;
    case GV_NOTE_OBSERVED: /* the visit itself is told */
    case GV_NOTE_EVIDENCE:
        break;
    case GV_NOTE_ACKNOWLEDGED:
        if (world->options.story->all)
            gv_story_say(world, node, "%s by %s", gv_note_text(note->note), member);
        break;
    default:
        gv_story_say(world, node, "%s", gv_note_text(note->note));
        break;
    }
}

static void say_row(const struct gv_world *world, size_t node, const struct gv_effects *effects,
                    const struct gv_effect *effect)
{
    static const char *const kinds[] = {"?",       "signal",     "retraction",
                                        "fault",   "revocation", "certificate",
                                        "address", "descriptor", "log head"};
    static const char *const rows[] = {"?",      "record", "history", "list",
                                       "number", "peer",   "sent",    "acknowledgement"};
    const uint8_t *data = gv_effect_data(effects, effect);
    const char *kind = rows[effect->row < sizeof rows / sizeof *rows ? effect->row : 0];
    size_t record = effect->row == GV_ROW_RECORD && effect->data_len ? data[0] & 0x7f : 0;

    if (record > 0 && record < sizeof kinds / sizeof *kinds)
        kind = kinds[record];
    gv_story_say(world, node, "%s a row: %s, %zu bytes%s",
                 effect->kind == GV_EFFECT_PERSIST ? "writes" : "forgets", kind, effect->data_len,
                 record && data[0] & GV_RECORD_KEPT ? ", not public" : "");
}

void gv_story_effect(const struct gv_world *world, size_t node, const struct gv_effects *effects,
                     const struct gv_effect *effect)
{
    char address[GV_ADDRESS_TEXT];

    if (!listener(world, node))
        return;
    if (effect->kind == GV_EFFECT_NOTE) {
        say_note(world, node, effect);
        return;
    }
    if (!world->options.story->all)
        return;
    switch (effect->kind) {
    case GV_EFFECT_CONNECT:
        gv_address_text(address, &effect->address);
        gv_story_say(world, node, "dials %s", address);
        break;
    case GV_EFFECT_SEND:
        gv_story_say(world, node, "sends %zu bytes on link %08x", effect->data_len,
                     (unsigned)effect->link);
        break;
    case GV_EFFECT_CLOSE:
        gv_story_say(world, node, "closes link %08x", (unsigned)effect->link);
        break;
    default:
        say_row(world, node, effects, effect);
        break;
    }
}

void gv_story_arrived(const struct gv_world *world, size_t node, size_t from, size_t len)
{
    if (world->options.story && world->options.story->all)
        gv_story_say(world, node, "gets %zu bytes from node %zu", len, from);
}
