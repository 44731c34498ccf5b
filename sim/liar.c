#include "sim/liar.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/limits.h"
#include "proto/mesh/session.h"
#include "proto/observation.h"
#include "proto/wire/messages.h"
#include "proto/wire/record.h"
#include "sim/net.h"

#define SESSIONS     4
#define HEARD        64     /* records kept for repeating */
#define PAUSE_MAX_MS 60000u /* between two lies */
#define FLOOD        40u    /* more than a quota */
#define OWN_SUBJECTS 0x100000u

struct talk {
    bool used;
    uint32_t link;
    struct gv_session session;
};

struct gv_liar {
    struct gv_drbg drbg;
    struct talk talks[SESSIONS];
    uint32_t next_link, next_subject;
    uint64_t sequence;
    struct gv_buf heard[HEARD];
    size_t heard_count;
    struct gv_message message; /* scratch: large */
};

static uint64_t dice(struct gv_liar *liar, uint64_t below)
{
    return gv_drbg_below(&liar->drbg, below);
}

/* ---- its sessions --------------------------------------------------------------------------- */

static struct gv_session_self self_of(struct gv_world *world, size_t node,
                                      struct gv_verifier *verifier)
{
    *verifier = gv_memo_verifier(&world->memo);
    return (struct gv_session_self){.identity = &world->nodes[node].identity,
                                    .certificate = world->nodes[node].certificate,
                                    .descriptor = &world->descriptor,
                                    .verifier = verifier,
                                    .now_min =
                                        (uint32_t)(gv_world_unix_ms(world, node) / GV_MINUTE_MS)};
}

static struct talk *talk_of(struct gv_liar *liar, uint32_t link)
{
    for (size_t i = 0; i < SESSIONS; i++)
        if (liar->talks[i].used && liar->talks[i].link == link)
            return &liar->talks[i];
    return NULL;
}

static void hang_up(struct talk *talk)
{
    if (!talk)
        return;
    gv_session_end(&talk->session);
    talk->used = false;
}

static void say(struct gv_world *world, size_t node, struct talk *talk, const void *plain,
                size_t len)
{
    struct gv_buf wire;

    gv_buf_init(&wire);
    if (gv_session_seal(&talk->session, &wire, plain, len) == GV_OK)
        gv_net_send(world, node, talk->link, wire.data, wire.len);
    gv_buf_free(&wire);
}

static void connected(struct gv_world *world, size_t node, uint32_t link)
{
    struct gv_liar *liar = world->nodes[node].liar;
    struct talk *talk = talk_of(liar, link);
    struct gv_verifier verifier;
    struct gv_session_self self = self_of(world, node, &verifier);
    struct gv_buf wire;

    if (!talk) { /* nobody is told its address; who dials it all the same is sent away */
        gv_net_close(world, node, link);
        return;
    }
    gv_buf_init(&wire);
    if (gv_session_start(&talk->session, true, &wire, &self, &liar->drbg) == GV_OK)
        gv_net_send(world, node, link, wire.data, wire.len);
    gv_buf_free(&wire);
}

static void listen_to(struct gv_liar *liar, const struct gv_buf *plain)
{
    size_t at = 0, used;

    while (at < plain->len &&
           gv_message_read(&liar->message, &used, plain->data + at, plain->len - at) == GV_OK) {
        at += used;
        if (liar->message.kind != GV_MESSAGE_RECORDS)
            continue;
        for (uint32_t i = 0; i < liar->message.record_count; i++) {
            struct gv_buf *kept = &liar->heard[liar->heard_count++ % HEARD];
            gv_buf_clear(kept);
            gv_buf_append(kept, liar->message.records[i].data, liar->message.records[i].len);
        }
    }
}

static void hear(struct gv_world *world, size_t node, const struct gv_event *event)
{
    struct gv_liar *liar = world->nodes[node].liar;
    struct talk *talk = talk_of(liar, event->bytes.link);
    struct gv_verifier verifier;
    struct gv_session_self self = self_of(world, node, &verifier);
    struct gv_buf wire, plain;
    int rc = GV_OK;

    if (!talk)
        return;
    gv_buf_init(&wire);
    gv_buf_init(&plain);
    rc = gv_session_take(&talk->session, event->bytes.data, event->bytes.len);
    while (rc == GV_OK) {
        bool was_open = talk->session.open;
        gv_buf_clear(&wire);
        rc = gv_session_work(&talk->session, &wire, &plain, &self);
        if (rc == GV_OK && wire.len > 0)
            gv_net_send(world, node, talk->link, wire.data, wire.len);
        if (rc == GV_OK && was_open)
            listen_to(liar, &plain);
        if (rc == GV_OK && !was_open && talk->session.open) {
            gv_buf_clear(&wire);
            gv_message_hello(&wire, 1, gv_world_unix_ms(world, node), "liar");
            say(world, node, talk, wire.data, wire.len);
        }
    }
    gv_buf_free(&wire);
    gv_buf_free(&plain);
    if (rc != GV_ERR_NOT_FOUND) {
        gv_net_close(world, node, talk->link);
        hang_up(talk);
    }
}

/* ---- its lies ------------------------------------------------------------------------------- */

struct lie {
    const uint8_t *certificate; /* whose word it is said to be */
    uint64_t sequence;
    struct gv_subject subject;
    uint32_t minute, count;
};

/* Built by hand: gv_statement_sign would not sign some of them. */
static void build(struct gv_buf *record, const struct gv_world *world, size_t node,
                  const struct lie *lie)
{
    uint8_t head[1 + GV_SIGNATURE_LEN] = {GV_RECORD_SIGNAL};

    gv_buf_init(record);
    gv_buf_append(record, head, sizeof head);
    gv_put_array(record, 9);
    gv_put_u64(record, 1);
    gv_put_bin(record, lie->certificate, GV_ID_LEN);
    gv_put_u64(record, lie->sequence);
    gv_put_bin(record, lie->subject.bytes, 4);
    gv_put_u64(record, lie->minute);
    gv_put_u64(record, lie->minute);
    gv_put_u64(record, lie->count);
    gv_put_u64(record, GV_SERVICE_IMAP);
    gv_put_u64(record, GV_KIND_WRONG_PASSWORD);
    gv_assert(!record->failed);
    gv_sign(record->data + 1, world->nodes[node].identity.sign_secret, "grapevine signal 1",
            world->descriptor.network_id, record->data + sizeof head, record->len - sizeof head);
}

static void hand_over(struct gv_world *world, size_t node, struct talk *talk,
                      const struct gv_buf *record)
{
    struct gv_buf message;

    gv_buf_init(&message);
    gv_message_records_start(&message, 1);
    gv_message_record(&message, record->data, record->len);
    say(world, node, talk, message.data, message.len);
    gv_buf_free(&message);
}

static struct lie true_word(struct gv_world *world, size_t node)
{
    struct gv_liar *liar = world->nodes[node].liar;
    uint64_t unix_ms = gv_world_unix_ms(world, node);

    liar->sequence = liar->sequence >= unix_ms ? liar->sequence + 1 : unix_ms;
    return (struct lie){
        .certificate = world->nodes[node].facts.id,
        .sequence = liar->sequence,
        .subject = gv_world_subject(OWN_SUBJECTS * (uint32_t)(1 + node - world->options.nodes) +
                                    liar->next_subject++),
        .minute = (uint32_t)(unix_ms / GV_MINUTE_MS),
        .count = 5};
}

static void tell(struct gv_world *world, size_t node, struct talk *talk, const struct lie *lie)
{
    struct gv_buf record;

    build(&record, world, node, lie);
    hand_over(world, node, talk, &record);
    gv_buf_free(&record);
}

/* One thing to one, another under the same number to another. */
static void contradict(struct gv_world *world, size_t node, struct talk *talk)
{
    struct gv_liar *liar = world->nodes[node].liar;
    struct lie one = true_word(world, node), other = true_word(world, node);

    other.sequence = one.sequence;
    tell(world, node, talk, &one);
    for (size_t i = 0; i < SESSIONS; i++)
        if (liar->talks[i].used && liar->talks[i].session.open) {
            tell(world, node, &liar->talks[i], &other);
            return;
        }
}

static void repeat(struct gv_world *world, size_t node, struct talk *talk, bool changed)
{
    struct gv_liar *liar = world->nodes[node].liar;
    size_t held = liar->heard_count < HEARD ? liar->heard_count : HEARD;

    if (held == 0)
        return;
    struct gv_buf *record = &liar->heard[dice(liar, held)];
    if (changed && record->len > 8)
        record->data[1 + dice(liar, record->len - 1)] ^= 1;
    hand_over(world, node, talk, record);
    if (changed)
        gv_buf_clear(record); /* never to be told as if it were true */
}

enum {
    TRUE_WORD,
    FORGED,
    STALE,
    EARLY,
    PRIVATE,
    FLOODED,
    REPEATED,
    CHANGED,
    RUBBISH,
    UNKNOWN,
    LIES
};

static void mischief(struct gv_world *world, size_t node, struct talk *talk)
{
    struct gv_liar *liar = world->nodes[node].liar;
    struct lie lie = true_word(world, node);
    uint8_t bytes[40];
    size_t victim = (size_t)dice(liar, world->options.nodes);

    world->counts.lies++;
    switch (dice(liar, LIES)) {
    case FORGED:
        lie.certificate = world->nodes[victim].facts.id;
        world->counts.grave_lies++;
        tell(world, node, talk, &lie);
        break;
    case STALE:
        lie.minute -= world->descriptor.policy.alive_min + 60;
        tell(world, node, talk, &lie);
        break;
    case EARLY:
        lie.minute += 30;
        tell(world, node, talk, &lie);
        break;
    case PRIVATE:
        world->counts.grave_lies++;
        lie.subject = (struct gv_subject){GV_FAMILY_IPV4, {10, 1, 2, (uint8_t)dice(liar, 256)}};
        tell(world, node, talk, &lie);
        break;
    case FLOODED:
        for (unsigned i = 0; i < FLOOD; i++) {
            lie = true_word(world, node);
            tell(world, node, talk, &lie);
        }
        break;
    case REPEATED:
    case CHANGED:
        repeat(world, node, talk, dice(liar, 2) == 0);
        break;
    case RUBBISH:
        gv_drbg_fill(&liar->drbg, bytes, sizeof bytes);
        say(world, node, talk, bytes, sizeof bytes);
        break;
    case UNKNOWN:
        gv_drbg_fill(&liar->drbg, bytes, sizeof bytes);
        lie.certificate = bytes;
        tell(world, node, talk, &lie);
        break;
    default:
        if (dice(liar, 20) == 0)
            contradict(world, node, talk);
        else
            tell(world, node, talk, &lie);
        break;
    }
}

/* ---- its life ------------------------------------------------------------------------------- */

static void plan(struct gv_world *world, size_t node)
{
    struct gv_sim_node *self = &world->nodes[node];

    self->wake_ms = world->now_ms + 1000 + dice(self->liar, PAUSE_MAX_MS);
    gv_world_queue(world, (struct gv_sim_event){.at_ms = self->wake_ms,
                                                .kind = GV_SIM_WAKE,
                                                .node = node,
                                                .generation = self->generation});
}

static void dial(struct gv_world *world, size_t node)
{
    struct gv_liar *liar = world->nodes[node].liar;
    size_t target = (size_t)dice(liar, world->options.nodes);

    for (size_t i = 0; i < SESSIONS; i++) {
        if (liar->talks[i].used)
            continue;
        liar->talks[i] = (struct talk){.used = true, .link = ++liar->next_link};
        gv_net_connect(world, node, liar->next_link, &world->nodes[target].address);
        return;
    }
}

static void act(struct gv_world *world, size_t node)
{
    struct gv_liar *liar = world->nodes[node].liar;
    struct talk *talk = &liar->talks[dice(liar, SESSIONS)];

    if (world->calm)
        return; /* a calm must be calm: what was said before has to be dealt with */
    dial(world, node);
    if (talk->used && talk->session.open)
        mischief(world, node, talk);
    plan(world, node);
}

struct gv_liar *gv_liar_new(struct gv_world *world, size_t node)
{
    struct gv_liar *liar = calloc(1, sizeof *liar);
    uint8_t seed[GV_SEED_LEN] = {'l', 'i', 'a', 'r', (uint8_t)node};

    gv_assert(liar);
    for (size_t i = 0; i < 8; i++)
        seed[8 + i] = (uint8_t)(world->options.seed >> (56 - 8 * i));
    gv_drbg_init(&liar->drbg, seed);
    world->nodes[node].liar = liar;
    plan(world, node);
    return liar;
}

void gv_liar_free(struct gv_liar *liar)
{
    if (!liar)
        return;
    for (size_t i = 0; i < SESSIONS; i++)
        hang_up(&liar->talks[i]);
    for (size_t i = 0; i < HEARD; i++)
        gv_buf_free(&liar->heard[i]);
    free(liar);
}

void gv_liar_event(struct gv_world *world, size_t node, const struct gv_event *event)
{
    switch (event->kind) {
    case GV_EVENT_CONNECTED:
        connected(world, node, event->connected.link);
        break;
    case GV_EVENT_DISCONNECTED:
        hang_up(talk_of(world->nodes[node].liar, event->disconnected.link));
        break;
    case GV_EVENT_BYTES:
        hear(world, node, event);
        break;
    case GV_EVENT_TIMER:
        act(world, node);
        break;
    default:
        break;
    }
}
