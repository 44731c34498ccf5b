#include "helper_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "crypto/error.h"
#include "helper_puppet.h"
#include "proto/limits.h"

/* ---- a network ------------------------------------------------------------------------------ */

static void key_pair(uint8_t public[GV_KEY_LEN], uint8_t secret[64], uint8_t what, unsigned number)
{
    uint8_t seed[32] = {what, (uint8_t)number, (uint8_t)(number >> 8), 77};

    gv_assert(crypto_sign_seed_keypair(public, secret, seed) == 0);
}

void network_publish(struct network *network)
{
    gv_buf_free(&network->wire);
    gv_assert(gv_descriptor_issue(&network->wire, &network->descriptor, network->root_secret) ==
              GV_OK);
}

void network_open(struct network *network, unsigned number, bool lab)
{
    struct gv_descriptor *d = &network->descriptor;

    memset(network, 0, sizeof *network);
    gv_assert(sodium_init() >= 0);
    key_pair(d->root_key, network->root_secret, 'r', number);
    key_pair(d->keys[0].key, network->registry_secret, 'k', number);
    d->version = 1;
    d->genesis_min = STAGE_MINUTE - 100 * STAGE_DAY;
    d->activation_min = d->keys[0].from_min = d->genesis_min;
    d->keys[0].until_min = UINT32_MAX;
    d->key_count = 1;
    d->lab = lab;
    memcpy(d->name, "stage", sizeof "stage");
    memcpy(d->registry_url, "https://registry.example:4728",
           sizeof "https://registry.example:4728");
    memcpy(d->terms, "2026-11", sizeof "2026-11");
    gv_policy_default(&d->policy, lab);
    network_publish(network);
}

void network_close(struct network *network)
{
    gv_buf_free(&network->wire);
}

void make_identity(struct gv_identity *out, unsigned number)
{
    uint8_t secret[GV_SECRET_LEN] = {'i', (uint8_t)number, (uint8_t)(number >> 8)};

    gv_identity_from_secret(out, secret);
}

struct gv_certificate make_facts(const struct network *network, const struct gv_identity *identity,
                                 unsigned number)
{
    struct gv_certificate facts = {.placement = number,
                                   .group = (uint64_t)GV_GROUP_IPV4 << 56 | number,
                                   .since_min = network->descriptor.genesis_min,
                                   .issued_min = STAGE_MINUTE - STAGE_DAY,
                                   .expires_min = STAGE_MINUTE + 89 * STAGE_DAY};

    memcpy(facts.key, identity->sign_public, GV_KEY_LEN);
    facts.owner[0] = (uint8_t)number;
    facts.owner[1] = (uint8_t)(number >> 8);
    facts.owner[15] = 0x0f;
    return facts;
}

void make_certificate(uint8_t wire[GV_CERTIFICATE_LEN], const struct network *network,
                      const struct gv_certificate *facts)
{
    struct gv_certificate copy = *facts;

    gv_certificate_issue(wire, &copy, network->registry_secret, network->descriptor.network_id);
}

struct gv_address make_address(unsigned number)
{
    /* 11.0.0.0/8 and on: public, and every number has a /16 of its own. */
    return (struct gv_address){.family = GV_FAMILY_IPV4,
                               .bytes = {(uint8_t)(11 + number / 256), (uint8_t)number, 7, 7},
                               .port = 4727};
}

struct gv_address private_address(uint8_t last)
{
    return (struct gv_address){.family = GV_FAMILY_IPV4, .bytes = {10, 0, 0, last}, .port = 4727};
}

/* ---- a host --------------------------------------------------------------------------------- */

void (*host_core_entered)(void), (*host_core_left)(void);

static void enter(void)
{
    if (host_core_entered)
        host_core_entered();
}

static void leave(void)
{
    if (host_core_left)
        host_core_left();
}

uint64_t host_unix_ms(const struct host *host)
{
    return (uint64_t)((int64_t)(STAGE_MINUTE * 60000ull + host->now_ms) + host->skew_ms);
}

uint32_t host_minute(const struct host *host)
{
    return (uint32_t)(host_unix_ms(host) / 60000);
}

int host_open_with(struct host *host, struct network *network, const struct gv_identity *identity,
                   const uint8_t *certificate, const struct gv_settings *settings)
{
    struct gv_core_options options = {.identity = identity,
                                      .descriptor = network->wire.data,
                                      .descriptor_len = network->wire.len,
                                      .certificate = certificate};

    host->network = network;
    host->identity = *identity;
    memcpy(options.seed, identity->id, GV_ID_LEN);
    if (settings)
        options.settings = *settings;
    else
        options.settings.share = GV_SHARE_YES;
    gv_effects_init(&host->effects);
    enter();
    int rc = gv_core_new(&host->core, &options, host->now_ms, host_unix_ms(host));
    leave();
    return rc;
}

int host_open(struct host *host, struct network *network, unsigned number,
              const struct gv_settings *settings)
{
    memset(host, 0, sizeof *host);
    make_identity(&host->identity, number);
    host->facts = make_facts(network, &host->identity, number);
    make_certificate(host->certificate, network, &host->facts);
    return host_open_with(host, network, &host->identity, host->certificate, settings);
}

void host_close(struct host *host)
{
    for (size_t i = 0; i < host->end_count; i++)
        gv_buf_free(&host->ends[i].wire);
    gv_core_free(host->core);
    gv_effects_free(&host->effects);
    host->core = NULL;
}

struct host_end *host_end_of(struct host *host, uint32_t link)
{
    for (size_t i = 0; i < host->end_count; i++)
        if (host->ends[i].link == link)
            return &host->ends[i];
    return NULL;
}

static struct host_end *add_end(struct host *host, uint32_t link)
{
    struct host_end *end;

    /* An end that is done with makes room: stories open more links than they hold. */
    for (size_t i = 0; host->end_count == HOST_ENDS && i < HOST_ENDS; i++)
        if (host->ends[i].closed && !host->ends[i].puppet) {
            gv_buf_free(&host->ends[i].wire);
            host->ends[i] = host->ends[--host->end_count];
        }
    gv_assert(host->end_count < HOST_ENDS);
    end = &host->ends[host->end_count++];
    memset(end, 0, sizeof *end);
    end->link = link;
    return end;
}

static void send_to_end(struct host *host, const struct gv_effect *effect)
{
    const uint8_t *data = gv_effect_data(&host->effects, effect);
    struct host_end *end = host_end_of(host, effect->link);

    host->bytes_out += effect->data_len;
    if (host->keep)
        gv_buf_append(host->keep, data, effect->data_len);
    if (!end || end->closed)
        return;
    if (end->puppet)
        gv_buf_append(&end->puppet->arrived, data, effect->data_len);
    else if (end->other)
        gv_buf_append(&end->wire, data, effect->data_len);
}

static void take_effect(struct host *host, const struct gv_effect *effect, uint32_t *closed,
                        size_t *closed_count)
{
    struct host_end *end = host_end_of(host, effect->link);

    switch (effect->kind) {
    case GV_EFFECT_PERSIST:
        host->persisted[effect->row]++;
        break;
    case GV_EFFECT_FORGET:
        host->forgotten[effect->row]++;
        break;
    case GV_EFFECT_CONNECT:
        if (host->dial_count < HOST_DIALS) {
            host->dials[host->dial_count].link = effect->link;
            host->dials[host->dial_count++].address = effect->address;
        }
        break;
    case GV_EFFECT_SEND:
        send_to_end(host, effect);
        break;
    case GV_EFFECT_TURN_AWAY:
        send_to_end(host, effect);
        /* fall through */
    case GV_EFFECT_CLOSE:
        if (end) {
            end->closed = true;
            if (end->puppet)
                end->puppet->closed = true;
        }
        for (size_t i = 0; i < host->dial_count; i++)
            if (host->dials[i].link == effect->link)
                host->dials[i] = host->dials[--host->dial_count];
        gv_assert(*closed_count < HOST_ENDS);
        closed[(*closed_count)++] = effect->link;
        break;
    case GV_EFFECT_NOTE:
        gv_assert(effect->note < HOST_NOTES);
        host->notes[effect->note]++;
        host->last[effect->note] = *effect;
        if (effect->subject.family != GV_FAMILY_NONE && host->noted_count < HOST_NOTED)
            host->noted[host->noted_count++] = effect->subject;
        break;
    }
}

int host_step(struct host *host, const struct gv_event *event)
{
    uint32_t closed[HOST_ENDS];
    size_t closed_count = 0;
    bool sent = false;

    if (host->stopped)
        return GV_ERR_STATE;
    gv_effects_clear(&host->effects);
    enter();
    host->rc = gv_core_step(host->core, host->now_ms, event, &host->effects);
    leave();
    gv_assert(host->fragile || !host->effects.failed);
    if (host->effects.failed) {
        host->stopped = true;
        return host->rc;
    }
    for (size_t i = 0; i < host->effects.count; i++) {
        const struct gv_effect *effect = &host->effects.list[i];
        if (sent && effect->kind == GV_EFFECT_PERSIST)
            host->send_before_persist++;
        sent = sent || effect->kind == GV_EFFECT_SEND;
        take_effect(host, effect, closed, &closed_count);
    }
    int rc = host->rc;
    /* The shell's part: after CLOSE comes DISCONNECTED. */
    for (size_t i = 0; i < closed_count; i++) {
        struct gv_event gone = {.kind = GV_EVENT_DISCONNECTED, .disconnected.link = closed[i]};
        host_step(host, &gone);
    }
    host->rc = rc;
    return rc;
}

void host_run(struct host *host, uint64_t ms)
{
    static const struct gv_event timer = {.kind = GV_EVENT_TIMER};
    uint64_t until = host->now_ms + ms;
    unsigned still = 0;

    for (;;) {
        uint64_t due = host->stopped ? UINT64_MAX : gv_core_deadline(host->core);
        if (due > until)
            break;
        still = due > host->now_ms ? 0 : still + 1;
        gv_assert(still < 1000);
        if (due > host->now_ms)
            host->now_ms = due;
        host_step(host, &timer);
    }
    host->now_ms = until;
    host_step(host, &timer);
}

uint32_t host_incoming(struct host *host, const struct gv_address *remote, struct puppet *puppet)
{
    struct gv_event event = {.kind = GV_EVENT_CONNECTED};
    uint32_t link = GV_LINK_INCOMING | ++host->next_incoming;

    event.connected.link = link;
    event.connected.remote = *remote;
    add_end(host, link)->puppet = puppet;
    host_step(host, &event);
    return link;
}

uint32_t host_call(struct host *host, const struct gv_address *remote)
{
    uint8_t frame[2 + GV_KEY_LEN] = {0, GV_KEY_LEN, 9}; /* the base point: any point will do */
    uint32_t link = host_incoming(host, remote, NULL);

    if (!host_end_of(host, link)->closed)
        host_bytes(host, link, frame, sizeof frame);
    return link;
}

void host_bytes(struct host *host, uint32_t link, const void *data, size_t len)
{
    struct gv_event event = {.kind = GV_EVENT_BYTES};

    event.bytes.link = link;
    event.bytes.data = data;
    event.bytes.len = len;
    host_step(host, &event);
}

void host_disconnected(struct host *host, uint32_t link)
{
    struct gv_event event = {.kind = GV_EVENT_DISCONNECTED, .disconnected.link = link};
    struct host_end *end = host_end_of(host, link);

    if (end)
        end->closed = true;
    for (size_t i = 0; i < host->dial_count; i++)
        if (host->dials[i].link == link)
            host->dials[i] = host->dials[--host->dial_count];
    host_step(host, &event);
}

int host_news(struct host *host, const void *record, size_t len)
{
    struct gv_event event = {.kind = GV_EVENT_NEWS};

    event.news.record = record;
    event.news.len = len;
    return host_step(host, &event);
}

int host_command(struct host *host, enum gv_command command, const struct gv_subject *subject)
{
    struct gv_event event = {.kind = GV_EVENT_COMMAND};

    event.command.command = command;
    if (subject)
        event.command.subject = *subject;
    return host_step(host, &event);
}

void host_fails(struct host *host, const struct gv_subject *subject)
{
    for (unsigned i = 0; i < 3; i++) {
        struct gv_event event = {.kind = GV_EVENT_OBSERVATION};
        event.observation.subject = *subject;
        event.observation.unix_ms = host_unix_ms(host);
        event.observation.account = 100 + i;
        event.observation.attempts = 1;
        event.observation.service = GV_SERVICE_SUBMISSION;
        event.observation.kind = GV_KIND_UNKNOWN_ACCOUNT;
        event.observation.new_visit = true;
        host_step(host, &event);
    }
}

/* ---- questions ------------------------------------------------------------------------------ */

struct gv_core_status host_status(const struct host *host)
{
    struct gv_core_status status;

    gv_core_status(host->core, &status);
    return status;
}

enum gv_verdict_state host_verdict(const struct host *host, const struct gv_subject *subject)
{
    struct gv_verdict verdict;

    gv_core_verdict(host->core, &verdict, subject);
    return verdict.state;
}

bool host_knows(const struct host *host, const uint8_t instance[GV_ID_LEN],
                struct gv_instance_info *out)
{
    struct gv_instance_info info;
    size_t cursor = 0;

    while (gv_core_next_instance(host->core, &cursor, &info))
        if (memcmp(info.instance, instance, GV_ID_LEN) == 0) {
            if (out)
                *out = info;
            return true;
        }
    return false;
}

/* ---- hosts among themselves ------------------------------------------------------------------ */

bool hosts_connect(struct host *from, struct host *to)
{
    struct gv_event up = {.kind = GV_EVENT_CONNECTED};
    struct host_end *near, *far;

    if (from->dial_count == 0)
        return false;
    up.connected.link = from->dials[0].link;
    up.connected.remote = from->dials[0].address;
    from->dials[0] = from->dials[--from->dial_count];
    near = add_end(from, up.connected.link);
    far = add_end(to, GV_LINK_INCOMING | ++to->next_incoming);
    near->other = to;
    near->other_link = far->link;
    far->other = from;
    far->other_link = near->link;
    host_step(from, &up);
    up.connected.link = near->other_link;
    up.connected.remote = make_address(200);
    host_step(to, &up);
    return true;
}

static bool deliver(struct host *host, size_t at)
{
    struct gv_buf wire = host->ends[at].wire;
    struct host *other = host->ends[at].other;
    uint32_t link = host->ends[at].other_link;
    bool closed = host->ends[at].closed, moved = wire.len > 0;

    if (!other)
        return false;
    gv_buf_init(&host->ends[at].wire);
    if (wire.len > 0)
        host_bytes(other, link, wire.data, wire.len);
    gv_buf_free(&wire);
    if (closed) {
        struct host_end *far = host_end_of(other, link);
        if (far && !far->closed) {
            host_disconnected(other, link);
            moved = true;
        }
    }
    return moved;
}

void hosts_pump(struct host *const *hosts, size_t count)
{
    bool moved = true;

    for (unsigned round = 0; moved; round++) {
        gv_assert(round < 100000);
        moved = false;
        for (size_t h = 0; h < count; h++)
            for (size_t i = 0; i < hosts[h]->end_count; i++)
                moved = deliver(hosts[h], i) || moved;
    }
}

void hosts_run(struct host *const *hosts, size_t count, uint64_t ms)
{
    for (uint64_t passed = 0; passed < ms;) {
        uint64_t slice = ms - passed < 1000 ? ms - passed : 1000;
        for (size_t h = 0; h < count; h++)
            host_run(hosts[h], slice);
        hosts_pump(hosts, count);
        passed += slice;
    }
}
