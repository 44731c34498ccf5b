/* Sequences of events of every kind, decoded from the input, into one core (SPEC 1.3): clocks that
 * jump, links that come and go, rows of the store, news, commands, observations. The shell's own
 * promises hold (a link is connected once, time goes forward); nothing else does. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/helper_puppet.h"
#include "input.h"
#include "crypto/error.h"
#include "proto/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LINKS 8

static struct network network;
static struct host host;
static struct puppet puppets[LINKS];

static uint64_t take_u64(struct input *in)
{
    uint64_t value = 0;

    for (int i = 0; i < 8; i++)
        value = value << 8 | take(in);
    return value;
}

static void clock_jumps(struct input *in)
{
    struct gv_event event = {.kind = GV_EVENT_CLOCK};
    uint64_t base = STAGE_MINUTE * 60000ull;

    switch (take(in) % 4) {
    case 0:
        event.clock.unix_ms = base + take(in) * 60000ull;
        break;
    case 1:
        event.clock.unix_ms = base - take(in) * 3600000ull;
        break;
    case 2:
        event.clock.unix_ms = base + take(in) * 86400000ull;
        break;
    default:
        event.clock.unix_ms = take_u64(in) >> 23; /* up to the year 2037, from 1970 */
    }
    host_step(&host, &event);
}

static void observe(struct input *in)
{
    struct gv_event event = {.kind = GV_EVENT_OBSERVATION};
    struct gv_observation *o = &event.observation;

    o->subject = subject_of(take(in) % 16);
    if (take(in) % 8 == 0)
        o->subject.bytes[0] = take(in); /* also private ones and the like */
    o->unix_ms = STAGE_MINUTE * 60000ull + host.now_ms - take(in) * 1000ull;
    o->account = take(in) % 4;
    o->password = take(in) % 4;
    o->success = take(in) % 4 == 0;
    o->attempts = o->success ? 0 : take(in) + 1u;
    o->service = (uint8_t)(1 << take(in) % 6);
    o->kind = (uint8_t)(o->success ? GV_KIND_UNSPECIFIED : 1 << take(in) % 6);
    o->new_visit = take(in) % 2;
    o->refused = take(in) % 8 == 0;
    host_step(&host, &event);
}

static void load_row(struct input *in)
{
    struct gv_event event = {.kind = GV_EVENT_LOADED};
    uint8_t row = take(in);
    size_t key_len = take(in) % 40, value_len = take(in);

    event.loaded.row = (enum gv_row)(row % 8);
    key_len = key_len < in->left ? key_len : in->left;
    event.loaded.key = in->data;
    event.loaded.key_len = key_len;
    in->data += key_len;
    in->left -= key_len;
    value_len = value_len < in->left ? value_len : in->left;
    event.loaded.value = in->data;
    event.loaded.value_len = value_len;
    in->data += value_len;
    in->left -= value_len;
    host_step(&host, &event);
}

static void command(struct input *in)
{
    struct gv_event event = {.kind = GV_EVENT_COMMAND};
    static const char *seed = "mail.example:4727";
    static const struct gv_prefix allow = {.family = GV_FAMILY_IPV4, .bits = 8, .bytes = {45}};
    struct gv_settings settings = {.share = (enum gv_share)(take(in) % 3), .seeds = &seed};

    event.command.command = (enum gv_command)(take(in) % (GV_COMMAND_DISCONNECT + 1));
    settings.max_links = (uint16_t)(8 + take(in));
    settings.seed_count = take(in) % 2;
    settings.allow = settings.deny = &allow;
    settings.allow_count = take(in) % 2;
    settings.deny_count = take(in) % 2;
    settings.refuse_on_consensus = take(in) % 2;
    if (take(in) % 2)
        settings.advertise = make_address(take(in));
    event.command.settings = &settings;
    event.command.subject = subject_of(take(in) % 16);
    memcpy(event.command.owner, puppets[take(in) % LINKS].facts.owner, GV_ID_LEN);
    event.command.prefix.family = take(in) % 2 ? GV_FAMILY_IPV4 : GV_FAMILY_IPV6;
    event.command.prefix.bits = take(in) % 33;
    if (event.command.command == GV_COMMAND_FLOW) /* the shell gives what is valid, or nothing */
        event.command.flow = (struct gv_flow){.size = take(in) % (GV_FLOW_SIZE_MAX + 1u),
                                              .bounced = take(in) % (GV_FLOW_PERCENT + 1u),
                                              .deferred = take(in) % (GV_FLOW_PERCENT + 1u),
                                              .rejected = take(in) % (GV_FLOW_PERCENT + 1u)};
    if (event.command.command == GV_COMMAND_NUMBER_ANEW) {
        event.command.lost = take(in) % 2;
        event.command.ceiling = event.command.lost ? take_u64(in) >> 20 : 0;
    }
    host_step(&host, &event);
}

static void give_record(struct input *in)
{
    struct puppet *by = &puppets[take(in) % LINKS];
    struct gv_subject subject = subject_of(take(in) % 16);
    uint32_t minute = STAGE_MINUTE + take(in) - 128;
    struct gv_address address = make_address(take(in));
    struct gv_statement s;
    struct gv_buf record;

    switch (take(in) % 6) {
    case 0:
        s = puppet_retraction(by, &subject, minute);
        record = sign_statement(by, &s);
        break;
    case 1:
        record = certificate_record(by);
        break;
    case 2:
        record = address_record(by, &address, minute);
        break;
    case 3:
        record = revocation_record(&network, by->identity.id, minute);
        break;
    default:
        if (take(in) % 8 == 0)
            by->sequence -= take(in) % 8;
        s = puppet_signal(by, &subject, minute);
        record = sign_statement(by, &s);
    }
    struct puppet *through = &puppets[take(in) % LINKS];
    if (through->host && through->open && !through->closed)
        puppet_give(through, &record);
    else
        host_news(&host, record.data, record.len);
    gv_buf_free(&record);
}

static void say_locks(struct input *in, struct puppet *puppet)
{
    struct gv_told_lock locks[8];
    struct gv_buf message;
    uint32_t count = take(in) % 8;

    for (uint32_t i = 0; i < count; i++) {
        locks[i].subject = subject_of(take(in) % 16);
        locks[i].seconds = take(in) * 14u;
    }
    gv_buf_init(&message);
    gv_message_locks(&message, locks, count);
    puppet_say_buf(puppet, &message);
}

static void say_follow(struct input *in, struct puppet *puppet)
{
    struct gv_buf message;

    gv_buf_init(&message);
    gv_message_follow(&message, take(in) % 4);
    puppet_say_buf(puppet, &message);
}

static void link_event(struct input *in)
{
    struct puppet *p = &puppets[take(in) % LINKS];

    switch (take(in) % 8) {
    case 0:
        if (p->host)
            puppet_leave(p);
        (void)puppet_join(p, &host);
        break;
    case 1:
        if (p->host)
            puppet_leave(p);
        (void)puppet_answer(p, &host);
        if (p->open && !p->closed)
            puppet_hello(p);
        break;
    case 2:
        if (p->host)
            puppet_leave(p);
        break;
    case 3:
        if (p->host && !p->closed)
            host_bytes(&host, p->link, in->data, in->left < 40 ? in->left : 40);
        break;
    case 4: /* nobody there */
        if (host.dial_count > 0)
            host_disconnected(&host, host.dials[0].link);
        break;
    case 5:
        if (p->open && !p->closed)
            say_locks(in, p);
        break;
    case 6:
        if (p->open && !p->closed)
            say_follow(in, p);
        break;
    default:
        if (p->open && !p->closed)
            puppet_ask(p, (enum gv_tree)(take(in) % 2));
    }
}

/* What pages and commands go through: it ends, and a question about each finds it. */
static void list_all(void)
{
    uint8_t owner[GV_ID_LEN], instance[GV_ID_LEN];
    struct gv_history_summary summary;
    struct gv_flow mine, flows[LINKS];
    struct gv_subject subject;
    struct gv_prefix prefix;
    uint32_t seconds;
    bool deny;
    size_t cursor;

    for (cursor = 0; gv_core_next_subject(host.core, &cursor, &subject);)
        (void)gv_core_unheard(host.core, &subject);
    for (cursor = 0; gv_core_next_local(host.core, &cursor, &subject);)
        gv_assert(gv_core_history(host.core, &summary, &subject) == GV_OK);
    for (cursor = 0; gv_core_next_listed(host.core, &cursor, &prefix, &deny);)
        gv_assert(prefix.bits <= 128);
    for (cursor = 0; gv_core_next_trusted(host.core, &cursor, owner);)
        gv_assert(!gv_core_is_silenced(host.core, owner));
    for (cursor = 0; gv_core_next_own_lock(host.core, &cursor, &subject);)
        gv_assert(gv_core_own_lock(host.core, &subject, &seconds, instance) && seconds > 0);
    gv_assert(gv_core_flows(host.core, &mine, flows, LINKS) <= LINKS);
}

static void ask(void)
{
    struct gv_core_status status = host_status(&host);
    struct gv_peer_info peer;
    size_t cursor = 0, peers = 0;

    while (gv_core_next_peer(host.core, &cursor, &peer))
        peers += peer.member;
    gv_assert(peers >= status.peers);
    gv_assert(status.reported + status.untrusted <= status.subjects);
    gv_assert(status.own_locks <= 16 * LINKS && status.own_hosts <= peers);
    for (unsigned i = 0; i < 16; i++) {
        struct gv_subject subject = subject_of(i);
        struct gv_verdict verdict;
        struct gv_decision decision = gv_core_decide(host.core, &verdict, NULL, &subject);
        gv_assert(decision.action <= GV_ACTION_REFUSE);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *seed = "11.2.7.7:4727";
    struct gv_settings settings = {.share = GV_SHARE_YES, .seeds = &seed, .seed_count = 1};
    struct input in = {data, size};

    if (size > 2048)
        return 0;
    network_open(&network, 1, true);
    for (unsigned i = 0; i < LINKS; i++)
        puppet_make(&puppets[i], &network, 2 + i);
    gv_assert(host_open(&host, &network, 1, &settings) == GV_OK);
    memcpy(puppets[0].facts.owner, host.facts.owner, GV_ID_LEN); /* an own host */
    puppet_certify(&puppets[0]);
    while (in.left > 0) {
        switch (take(&in) % 8) {
        case 0:
            clock_jumps(&in);
            break;
        case 1:
            observe(&in);
            break;
        case 2:
            load_row(&in);
            break;
        case 3:
            command(&in);
            break;
        case 4:
            host_run(&host, take(&in) * 1000u * (1u + take(&in) % 60));
            break;
        case 5:
            link_event(&in);
            break;
        default:
            give_record(&in);
        }
        for (unsigned i = 0; i < LINKS; i++)
            puppet_work(&puppets[i]);
    }
    ask();
    host_run(&host, 120000);
    ask();
    list_all();
    for (unsigned i = 0; i < LINKS; i++)
        puppet_free(&puppets[i]);
    host_close(&host);
    network_close(&network);
    return 0;
}
