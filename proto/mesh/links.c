/* Links: connections, from the first byte to the last (SPEC 5, 6). */
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/limits.h"
#include "proto/mesh/state.h"

#define AGENT "grapevine/" GV_VERSION

struct gv_link *gv_link_find(const struct gv_core *core, uint32_t id)
{
    for (size_t i = 0; i < core->link_count; i++)
        if (core->links[i]->id == id)
            return core->links[i];
    return NULL;
}

/* Until a stranger's HELLO has come, with which he says what he came for, he is given nothing. */
bool gv_link_is_peer(const struct gv_link *link)
{
    return link->member && !link->closing && !link->errand && (link->outbound || link->greeted);
}

struct gv_link *gv_link_of(const struct gv_core *core, const uint8_t instance[GV_ID_LEN])
{
    struct gv_link *found = NULL;

    for (size_t i = 0; i < core->link_count; i++) {
        struct gv_link *link = core->links[i];
        if (link->member && !link->closing && (!found || found->errand) &&
            memcmp(link->instance, instance, GV_ID_LEN) == 0)
            found = link;
    }
    return found;
}

static struct gv_link *link_new(struct gv_core *core, uint32_t id, bool outbound)
{
    struct gv_link *link;

    if (core->link_count == core->link_cap) {
        size_t cap = core->link_cap ? 2 * core->link_cap : 16;
        struct gv_link **grown = realloc(core->links, cap * sizeof *grown);
        if (!grown)
            return NULL;
        core->links = grown;
        core->link_cap = cap;
    }
    link = calloc(1, sizeof *link);
    if (!link)
        return NULL;
    link->id = id;
    link->outbound = outbound;
    link->opened_ms = link->heard_ms = link->sent_ms = core->now_ms;
    link->spent.minute_ms = core->now_ms;
    link->flush_ms = link->repair_ms = UINT64_MAX;
    link->goodbye = UINT32_MAX;
    link->version = 1;
    core->links[core->link_count++] = link;
    return link;
}

static void link_free(struct gv_core *core, struct gv_link *link)
{
    size_t at = 0;

    while (core->links[at] != link)
        at++;
    core->links[at] = core->links[--core->link_count];
    if (link->member) {
        gv_door_leave(core, link);
        gv_tree_lost(core, link);
    }
    gv_session_end(&link->session);
    gv_buf_free(&link->outbox);
    gv_buf_free(&link->locks_due);
    free(link);
}

/* ---- sending -------------------------------------------------------------------------------- */

static void send_wire(struct gv_core *core, struct gv_link *link)
{
    if (core->wire.len == 0 || core->wire.failed)
        return;
    gv_effect_send(core->effects, link->id, core->wire.data, core->wire.len);
    if (!link->session.open || link->outbox.len == 0)
        gv_account_handshake(core, link, true, core->wire.len);
    link->bytes_out += core->wire.len;
    core->bytes_out += core->wire.len;
    link->sent_ms = core->now_ms;
    gv_buf_clear(&core->wire);
}

static void flush(struct gv_core *core, struct gv_link *link)
{
    link->flush_ms = UINT64_MAX;
    if (link->outbox.len == 0)
        return;
    if (link->news_ms < core->now_ms)
        link->news_ms = core->now_ms;
    link->news_ms += GV_SPREAD_GAP_MS;
    gv_buf_clear(&core->wire);
    int rc = gv_session_seal(&link->session, &core->wire, link->outbox.data, link->outbox.len);
    if (rc == GV_OK) {
        gv_account_frame(core, link, link->outbox_cause, true, link->outbox.len);
        send_wire(core, link);
    }
    /* An outbox that grew for a burst is given back. */
    if (link->outbox.cap > 1024)
        gv_buf_free(&link->outbox);
    else
        gv_buf_clear(&link->outbox);
}

/* A stream with a hole in it would look like an offence of ours (a HELLO that never came). */
static void abandon(struct gv_core *core, struct gv_link *link)
{
    gv_effect_note(core->effects, GV_NOTE_MEMORY);
    gv_buf_free(&link->outbox);
    link->flush_ms = UINT64_MAX;
    link->closing = true;
    gv_effect_close(core->effects, link->id);
}

void gv_link_post(struct gv_core *core, struct gv_link *link, const struct gv_buf *message,
                  bool urgent)
{
    uint64_t due = urgent ? core->now_ms : gv_core_after(core, GV_COALESCE_MS);

    if (!link->member || link->closing)
        return;
    if (message->failed) {
        abandon(core, link);
        return;
    }
    gv_assert(message->len <= GV_FRAME_PLAIN_MAX);
    if (link->outbox.len + message->len > GV_FRAME_PLAIN_MAX)
        flush(core, link);
    enum gv_cause cause = gv_account_cause(core, link, message->data[1], true);
    if (link->outbox.len == 0)
        link->outbox_cause = cause;
    gv_account_message(core, link, cause, true, message->len);
    gv_buf_append(&link->outbox, message->data, message->len);
    if (link->outbox.failed) {
        abandon(core, link);
        return;
    }
    if (due < link->flush_ms)
        link->flush_ms = due;
}

void gv_link_stroll(struct gv_core *core, struct gv_link *link)
{
    uint64_t due = gv_core_after(core, GV_CALM_MS);

    if (due < link->flush_ms && link->outbox.len > 0)
        link->flush_ms = due;
}

void gv_link_hurry(struct gv_core *core, struct gv_link *link)
{
    const uint64_t burst = GV_SPREAD_BURST * (uint64_t)GV_SPREAD_GAP_MS;
    uint64_t due = link->news_ms > core->now_ms + burst ? link->news_ms - burst : core->now_ms;

    if (due < link->flush_ms && link->outbox.len > 0)
        link->flush_ms = due;
}

void gv_links_flush(struct gv_core *core)
{
    for (size_t i = 0; i < core->link_count; i++)
        if (core->links[i]->flush_ms <= core->now_ms) {
            gv_tree_board(core, core->links[i]);
            flush(core, core->links[i]);
        }
}

/* ---- ending --------------------------------------------------------------------------------- */

void gv_link_close(struct gv_core *core, struct gv_link *link, enum gv_goodbye reason)
{
    if (link->closing)
        return;
    if (link->member && link->goodbye == UINT32_MAX &&
        !(link->errand && reason == GV_GOODBYE_STOPPING)) { /* an errand that is done just ends */
        gv_buf_clear(&core->scratch);
        gv_message_goodbye(&core->scratch, reason);
        gv_link_post(core, link, &core->scratch, true);
        flush(core, link);
    }
    link->closing = true;
    gv_effect_close(core->effects, link->id);
}

void gv_link_send_away(struct gv_core *core, struct gv_link *link)
{
    gv_door_ban(core, link->instance);
    gv_link_close(core, link, GV_GOODBYE_BUSY);
}

void gv_link_punish(struct gv_core *core, struct gv_link *link, int error)
{
    struct gv_effect *note = gv_effect_note(core->effects, GV_NOTE_PEER_REFUSED);

    note->link = link->id;
    note->address = link->remote;
    note->error = error;
    memcpy(note->instance, link->instance, GV_ID_LEN);
    gv_door_ban(core, link->instance);
    gv_link_close(core, link, GV_GOODBYE_INVALID);
}

static void refuse_stranger(struct gv_core *core, struct gv_link *link, int error)
{
    struct gv_effect *note = gv_effect_note(core->effects, GV_NOTE_HANDSHAKE_FAILED);

    note->link = link->id;
    note->address = link->remote;
    note->error = error;
    gv_link_close(core, link, GV_GOODBYE_INVALID);
}

static uint32_t next_number(struct gv_core *core)
{
    if (++core->next_link >= GV_LINK_INCOMING)
        core->next_link = 1;
    return core->next_link;
}

/* The same link, over another connection. */
static void dial_again(struct gv_core *core, struct gv_link *link)
{
    uint32_t before = link->id;

    gv_session_end(&link->session);
    link->id = next_number(core);
    link->connected = link->closing = link->redial = false;
    link->opened_ms = core->now_ms;
    gv_book_moved(core, before, link->id);
    gv_effect_connect(core->effects, link->id, &link->remote, NULL, 0);
}

void gv_link_disconnected(struct gv_core *core, uint32_t id)
{
    struct gv_link *link = gv_link_find(core, id);

    if (!link) {
        gv_caller_gone(core, id);
        return;
    }
    if (link->redial && !core->stopping) {
        dial_again(core, link);
        return;
    }
    core->book.own_dirty = true;
    if (link->member) {
        struct gv_effect *note = gv_effect_note(core->effects, GV_NOTE_PEER_DOWN);
        note->link = id;
        note->address = link->remote;
        note->number = link->goodbye == UINT32_MAX ? -1 : (int64_t)link->goodbye;
        memcpy(note->instance, link->instance, GV_ID_LEN);
    } else if (link->outbound && !link->connected) {
        struct gv_effect *note = gv_effect_note(core->effects, GV_NOTE_CONNECT_FAILED);
        note->link = id;
        note->address = link->remote;
    }
    if (link->outbound)
        gv_book_ended(core, link);
    link_free(core, link);
    gv_book_lonely(core);
}

/* ---- beginning ------------------------------------------------------------------------------ */

uint32_t gv_link_dial(struct gv_core *core, const struct gv_address *address, const char *host)
{
    struct gv_link *link;

    if (core->link_count >= core->settings.max_links)
        return 0;
    link = link_new(core, next_number(core), true);
    if (!link)
        return 0;
    link->remote = *address;
    gv_effect_connect(core->effects, link->id, address, host, host ? strlen(host) : 0);
    return link->id;
}

static void come_up(struct gv_core *core, struct gv_link *link, const struct gv_address *remote)
{
    struct gv_session_self self = gv_core_self(core);
    int rc = GV_ERR_STATE;

    link->connected = true;
    link->remote = *remote;
    link->opened_ms = link->heard_ms = core->now_ms;
    gv_buf_clear(&core->wire);
    if (core->has_descriptor && core->has_certificate)
        rc = link->again ? gv_session_start_again(&link->session, &core->wire, &self, &core->drbg,
                                                  link->challenge)
                         : gv_session_start(&link->session, link->outbound, &core->wire, &self,
                                            &core->drbg);
    if (rc != GV_OK)
        refuse_stranger(core, link, rc);
    else
        send_wire(core, link);
}

struct gv_link *gv_link_accept(struct gv_core *core, uint32_t id, const struct gv_address *remote)
{
    struct gv_link *link = link_new(core, id, false);

    if (link)
        come_up(core, link, remote);
    else
        gv_effect_turn_away(core->effects, id, NULL, 0);
    return link;
}

void gv_link_connected(struct gv_core *core, uint32_t id, const struct gv_address *remote)
{
    struct gv_link *link = gv_link_find(core, id);

    if (link) {
        if (link->connected || link->closing)
            return;
        gv_account_connection(core, link);
        come_up(core, link, remote);
        return;
    }
    switch (id & GV_LINK_INCOMING ? gv_door_knock(core, remote) : GV_ERR_STATE) {
    case GV_OK:
        link = gv_link_accept(core, id, remote);
        if (link)
            gv_account_connection(core, link);
        break;
    case GV_ERR_NOT_FOUND:
        gv_caller_new(core, id, remote);
        break;
    default:
        gv_effect_turn_away(core->effects, id, NULL, 0);
    }
}

/* Two nodes that dialled each other keep the session that the smaller id began; a second one of
 * the same side means that the first is dead and nobody told us. Returns false if this one goes. */
static bool settle_duplicate(struct gv_core *core, struct gv_link *link)
{
    struct gv_link *other = gv_link_of(core, link->session.remote.instance);
    bool we_are_smaller = memcmp(core->identity.id, link->session.remote.instance, GV_ID_LEN) < 0;

    if (!other || other->errand || link->errand)
        return true;
    if (other->outbound != link->outbound && link->outbound != we_are_smaller)
        return false;
    gv_link_close(core, other, GV_GOODBYE_DUPLICATE);
    return true;
}

static bool check_member(struct gv_core *core, struct gv_link *link)
{
    const struct gv_certificate *remote = &link->session.remote;
    const struct gv_instance *instance = gv_roster_instance(&core->roster, remote->instance);

    if (memcmp(remote->instance, core->identity.id, GV_ID_LEN) == 0) {
        struct gv_effect *note = gv_effect_note(core->effects, GV_NOTE_SELF_ELSEWHERE);
        note->address = link->remote;
        gv_link_close(core, link, GV_GOODBYE_DUPLICATE);
        return false;
    }
    if (instance && (instance->revoked_min != GV_NEVER || instance->fault_min != GV_NEVER)) {
        refuse_stranger(core, link,
                        instance->revoked_min != GV_NEVER ? GV_ERR_REVOKED : GV_ERR_FAULT);
        return false;
    }
    if (gv_is_banned(core, remote->instance)) {
        refuse_stranger(core, link, GV_ERR_FORBIDDEN);
        return false;
    }
    return true;
}

static void admit_peer_certificate(struct gv_core *core, const struct gv_link *link)
{
    uint8_t record[1 + GV_CERTIFICATE_LEN] = {GV_RECORD_CERTIFICATE};

    memcpy(record + 1, link->session.remote_wire, GV_CERTIFICATE_LEN);
    gv_admit(core, record, sizeof record, GV_FROM_PEER, link->id);
}

static void become_member(struct gv_core *core, struct gv_link *link)
{
    memcpy(link->instance, link->session.remote.instance, GV_ID_LEN);
    if (link->outbound)
        gv_book_reached(core, link->id, link->instance);
    if (!check_member(core, link))
        return;
    gv_door_enter(core, link);
    if (!settle_duplicate(core, link)) {
        link->member = true; /* so that the goodbye can be said */
        gv_link_close(core, link, GV_GOODBYE_DUPLICATE);
        link->member = false;
        return;
    }
    link->member = true;
    link->member_ms = core->now_ms;
    link->offered = core->recent_next;
    admit_peer_certificate(core, link);
    gv_buf_clear(&core->scratch);
    gv_message_hello(&core->scratch, GV_PROTOCOL_VERSION, core->unix_ms, AGENT);
    if (link->errand)
        gv_message_errand(&core->scratch);
    gv_link_post(core, link, &core->scratch, true);
    if (link->errand)
        gv_errands_serve(core, link);
    if (link->feeler || core->deaf)
        gv_tree_leave(core, link);
    if (link->outbound && !link->errand)
        gv_repair_join(core, link);
    struct gv_effect *note = gv_effect_note(core->effects, GV_NOTE_PEER_UP);
    note->link = link->id;
    note->address = link->remote;
    note->number = link->outbound;
    memcpy(note->instance, link->instance, GV_ID_LEN);
}

/* ---- receiving ------------------------------------------------------------------------------ */

static void work_messages(struct gv_core *core, struct gv_link *link)
{
    size_t at = 0, used;

    while (at < core->plain.len && !link->closing) {
        int rc =
            gv_message_read(&core->message, &used, core->plain.data + at, core->plain.len - at);
        if (rc == GV_ERR_MEMORY) {
            gv_effect_note(core->effects, GV_NOTE_MEMORY);
            return;
        }
        /* The first message is HELLO, and it comes once. */
        if (rc == GV_OK && !link->greeted && core->message.kind != GV_MESSAGE_HELLO &&
            core->message.kind != GV_MESSAGE_GOODBYE)
            rc = GV_ERR_PROTOCOL;
        if (rc != GV_OK) {
            gv_link_punish(core, link, rc);
            return;
        }
        enum gv_cause cause = gv_account_cause(core, link, core->plain.data[at + 1], false);
        if (at == 0)
            gv_account_frame(core, link, cause, false, core->plain.len);
        gv_account_message(core, link, cause, false, used);
        at += used;
        gv_spread_message(core, link);
    }
}

/* The other side is besieged, and takes members who prove themselves: once (SPEC 5.6). */
static void come_again(struct gv_core *core, struct gv_link *link)
{
    memcpy(link->challenge, link->session.challenge, sizeof link->challenge);
    link->again = link->redial = link->closing = true;
    gv_effect_close(core->effects, link->id);
}

/* Works off whole frames. Returns false when the link is at its end. */
static bool work_frame(struct gv_core *core, struct gv_link *link)
{
    struct gv_session_self self = gv_core_self(core);
    bool was_open = link->session.open;
    size_t before = link->session.in.len;
    int rc;

    gv_buf_clear(&core->wire);
    rc = gv_session_work(&link->session, &core->wire, &core->plain, &self);
    if (rc != GV_ERR_NOT_FOUND && !was_open)
        gv_account_handshake(core, link, false, before - link->session.in.len);
    if (rc == GV_ERR_NOT_FOUND)
        return false;
    send_wire(core, link);
    if (rc == GV_ERR_MEMORY) { /* our trouble, not the peer's fault */
        abandon(core, link);
        return false;
    }
    if (rc == GV_ERR_BUSY && !link->again) {
        come_again(core, link);
        return false;
    }
    if (rc != GV_OK) {
        if (link->member)
            gv_link_punish(core, link, rc);
        else
            refuse_stranger(core, link, rc);
        return false;
    }
    if (!was_open && link->session.open)
        become_member(core, link);
    else if (link->member)
        work_messages(core, link);
    return !link->closing;
}

void gv_link_bytes(struct gv_core *core, uint32_t id, const uint8_t *data, size_t len)
{
    struct gv_link *link = gv_link_find(core, id);

    if ((!link && gv_caller_bytes(core, id, data, len)) || !link || !link->connected ||
        link->closing)
        return;
    link->bytes_in += len;
    core->bytes_in += len;
    link->heard_ms = core->now_ms;
    if (gv_session_take(&link->session, data, len) != GV_OK) {
        gv_effect_note(core->effects, GV_NOTE_MEMORY);
        gv_link_close(core, link, GV_GOODBYE_BUSY);
        return;
    }
    while (work_frame(core, link)) {
    }
}

/* ---- time ----------------------------------------------------------------------------------- */

/* One who dialled us and whom nobody can dial: no address of his is known. Where connections are
 * few he shares the places of the others, or guests would hold all there are and never be sent on.
 */
static bool only_dials(const struct gv_core *core, const struct gv_link *link)
{
    const struct gv_instance *instance = gv_roster_instance(&core->roster, link->instance);

    return core->settings.max_links >= GV_GUESTS_LINKS && !link->outbound &&
           (!instance || instance->address.family == GV_FAMILY_NONE);
}

/* Sends on those of one kind that came longest ago, until there are `most`. */
static void make_room(struct gv_core *core, bool dialling, size_t most)
{
    for (;;) {
        struct gv_link *oldest = NULL;
        size_t members = 0;
        for (size_t i = 0; i < core->link_count; i++) {
            struct gv_link *link = core->links[i];
            if (!link->member || link->closing || link->errand || link->follows || link->followed ||
                only_dials(core, link) != dialling)
                continue;
            members++;
            if (!link->outbound && core->now_ms - link->member_ms >= GV_PEER_STAYS_MS &&
                (!oldest || link->member_ms < oldest->member_ms))
                oldest = link;
        }
        if (members <= most || !oldest)
            return;
        gv_link_close(core, oldest, GV_GOODBYE_BUSY);
    }
}

/* Newcomers are let in, and fed, and those who dialled us longest ago are sent on: they know others
 * by now. So seeds serve everybody and the load of spreading stays even. Whoever can only dial has
 * places of his own: in a mesh with many of them the others would leave him none. Own hosts are no
 * part of it, nor who follows (SPEC 9.8). */
void gv_links_make_room(struct gv_core *core)
{
    make_room(core, false, GV_PEERS_MAX);
    make_room(core, true, GV_GUESTS_MAX);
}

static uint64_t errand_end(const struct gv_link *link)
{
    uint64_t last = link->heard_ms > link->sent_ms ? link->heard_ms : link->sent_ms;

    return last + (link->outbound ? GV_ERRAND_IDLE_MS : GV_ERRAND_PATIENCE_MS);
}

static void tick_link(struct gv_core *core, struct gv_link *link)
{
    uint64_t age = core->now_ms - link->opened_ms;

    if (core->now_ms - link->spent.minute_ms >= GV_MINUTE_MS) {
        bool flooding = gv_account_is_flooding(core, link);
        link->spent = (struct gv_spent){
            .minute_ms = core->now_ms,
            .hauled = core->now_ms < core->traffic.shared_ms ? link->spent.hauled : 0};
        if (flooding) {
            gv_link_send_away(core, link);
            return;
        }
    }
    if (!link->member) {
        if (age >= (link->connected ? GV_HANDSHAKE_MS : GV_DIAL_MS))
            gv_link_close(core, link, GV_GOODBYE_STOPPING);
        return;
    }
    if (link->errand) {
        if (errand_end(link) <= core->now_ms)
            gv_link_close(core, link, GV_GOODBYE_STOPPING);
    } else if (age >= GV_SESSION_MAX_MS) {
        gv_link_close(core, link, GV_GOODBYE_RENEW);
    } else if (core->now_ms - link->heard_ms >= GV_SILENCE_MS) {
        link->silent = true;
        gv_link_close(core, link, GV_GOODBYE_STOPPING);
    } else if (core->now_ms - link->sent_ms >= GV_PING_MS) {
        link->sent_ms = core->now_ms; /* one ping, not one a step */
        gv_buf_clear(&core->scratch);
        gv_message_ping(&core->scratch, GV_MESSAGE_PING, core->now_ms / 1000);
        gv_link_post(core, link, &core->scratch, true);
    }
}

void gv_links_tick(struct gv_core *core)
{
    for (size_t i = 0; i < core->link_count; i++)
        if (!core->links[i]->closing)
            tick_link(core, core->links[i]);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t gv_links_deadline(const struct gv_core *core)
{
    uint64_t due = UINT64_MAX;

    for (size_t i = 0; i < core->link_count; i++) {
        const struct gv_link *link = core->links[i];
        if (link->closing)
            continue;
        due = earlier(due, link->flush_ms);
        due = earlier(due, link->repair_ms);
        if (!link->member) {
            due = earlier(due, link->opened_ms + (link->connected ? GV_HANDSHAKE_MS : GV_DIAL_MS));
            continue;
        }
        if (link->errand) {
            due = earlier(due, errand_end(link));
            continue;
        }
        if (link->locks_due.len > 0)
            due = earlier(due, link->locks_ms);
        if (link->follow_due)
            due = earlier(due, link->spent.minute_ms + GV_MINUTE_MS);
        due = earlier(due, gv_flow_deadline(core, link));
        due = earlier(due, link->opened_ms + GV_SESSION_MAX_MS);
        due = earlier(due, link->heard_ms + GV_SILENCE_MS);
        due = earlier(due, link->sent_ms + GV_PING_MS);
    }
    return due;
}
