#include "helper_puppet.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/limits.h"
#include "proto/mesh/state.h"
#include "proto/mesh/set.h"
#include "proto/observation.h"
#include "proto/wire/codec.h"

#define PROLOGUE "grapevine 1"

/* ---- life ----------------------------------------------------------------------------------- */

void puppet_certify(struct puppet *puppet)
{
    make_certificate(puppet->certificate, puppet->network, &puppet->facts);
    struct gv_certificate parsed;
    gv_assert(gv_certificate_parse(&parsed, puppet->certificate, GV_CERTIFICATE_LEN) == GV_OK);
    memcpy(puppet->certificate_id, parsed.id, GV_ID_LEN);
}

void puppet_make(struct puppet *puppet, const struct network *network, unsigned number)
{
    uint8_t seed[GV_SEED_LEN] = {'p', (uint8_t)number, (uint8_t)(number >> 8)};

    memset(puppet, 0, sizeof *puppet);
    puppet->network = network;
    make_identity(&puppet->identity, number);
    puppet->facts = make_facts(network, &puppet->identity, number);
    puppet_certify(puppet);
    gv_drbg_init(&puppet->drbg, seed);
    puppet->sequence = STAGE_MINUTE * 60000ull;
    puppet->goodbye = PUPPET_NOBODY;
    puppet->version = 1;
}

void puppet_forget(struct puppet *puppet)
{
    gv_buf_clear(&puppet->heard);
    memset(puppet->count, 0, sizeof puppet->count);
    memset(puppet->records, 0, sizeof puppet->records);
    puppet->goodbye = PUPPET_NOBODY;
    puppet->pong = 0;
}

static void let_go(struct puppet *puppet)
{
    struct host_end *end = puppet->host ? host_end_of(puppet->host, puppet->link) : NULL;

    if (end && end->puppet == puppet)
        end->puppet = NULL;
    gv_session_end(&puppet->session);
    gv_buf_clear(&puppet->arrived);
    puppet->open = puppet->closed = false;
    puppet->error = GV_OK;
    puppet_forget(puppet);
}

void puppet_free(struct puppet *puppet)
{
    let_go(puppet);
    gv_buf_free(&puppet->arrived);
    gv_buf_free(&puppet->heard);
}

void puppet_leave(struct puppet *puppet)
{
    struct host *host = puppet->host;
    uint32_t link = puppet->link;
    bool closed = puppet->closed;

    let_go(puppet);
    if (host && !closed)
        host_disconnected(host, link);
    puppet->host = NULL;
}

/* ---- the session ---------------------------------------------------------------------------- */

static struct gv_session_self self_of(const struct puppet *puppet)
{
    /* Its own view of time: it accepts the core's certificate whenever the story plays. */
    return (struct gv_session_self){.identity = &puppet->identity,
                                    .certificate = puppet->certificate,
                                    .descriptor = &puppet->network->descriptor,
                                    .now_min = STAGE_MINUTE};
}

static void count_message(struct puppet *puppet, const struct gv_message *message)
{
    puppet->count[message->kind]++;
    if (message->kind == GV_MESSAGE_GOODBYE)
        puppet->goodbye = (uint32_t)message->number;
    if (message->kind == GV_MESSAGE_WHISPER)
        puppet->whispered += message->record_count;
    if (message->kind == GV_MESSAGE_PONG)
        puppet->pong = message->number;
    for (uint32_t i = 0; message->kind == GV_MESSAGE_RECORDS && i < message->record_count; i++)
        puppet->records[message->records[i].data[0] & GV_RECORD_DESCRIPTOR]++; /* short or whole */
}

static void hear(struct puppet *puppet, const struct gv_buf *plain)
{
    static struct gv_message message;
    size_t at = 0, used;

    while (at < plain->len) {
        /* The core under test must itself speak correctly. */
        gv_assert(gv_message_read(&message, &used, plain->data + at, plain->len - at) == GV_OK);
        count_message(puppet, &message);
        at += used;
    }
    gv_buf_append(&puppet->heard, plain->data, plain->len);
}

void puppet_work(struct puppet *puppet)
{
    struct gv_session_self self = self_of(puppet);
    struct gv_buf wire, plain;

    gv_buf_init(&wire);
    gv_buf_init(&plain);
    while (puppet->error == GV_OK && (puppet->session.handshake || puppet->session.open)) {
        gv_assert(gv_session_take(&puppet->session, puppet->arrived.data, puppet->arrived.len) ==
                  GV_OK);
        gv_buf_clear(&puppet->arrived);
        gv_buf_clear(&wire);
        int rc = gv_session_work(&puppet->session, &wire, &plain, &self);
        if (rc == GV_ERR_NOT_FOUND)
            break;
        puppet->open = puppet->session.open;
        hear(puppet, &plain);
        if (rc != GV_OK)
            puppet->error = rc;
        else if (wire.len > 0 && !puppet->closed)
            host_bytes(puppet->host, puppet->link, wire.data, wire.len);
    }
    gv_buf_free(&wire);
    gv_buf_free(&plain);
}

void puppet_knock(struct puppet *puppet, struct host *host, const struct gv_address *address)
{
    let_go(puppet);
    puppet->host = host;
    puppet->link = host_incoming(host, address, puppet);
}

static bool core_says_open(const struct puppet *puppet)
{
    struct gv_peer_info info;
    size_t cursor = 0;

    while (gv_core_next_peer(puppet->host->core, &cursor, &info))
        if (info.link == puppet->link)
            return info.member && !puppet->closed;
    return false;
}

/* spoil: a byte of the first frame that is changed; 0: none. */
static bool shake_hands(struct puppet *puppet, struct host *host, const struct gv_address *address,
                        const uint8_t *challenge, size_t spoil)
{
    struct gv_session_self self = self_of(puppet);
    struct gv_buf wire;

    puppet_knock(puppet, host, address);
    if (puppet->closed)
        return false;
    gv_buf_init(&wire);
    if (challenge)
        gv_assert(gv_session_start_again(&puppet->session, &wire, &self, &puppet->drbg,
                                         challenge) == GV_OK);
    else
        gv_assert(gv_session_start(&puppet->session, true, &wire, &self, &puppet->drbg) == GV_OK);
    if (spoil)
        wire.data[spoil] ^= 1;
    host_bytes(host, puppet->link, wire.data, wire.len);
    gv_buf_free(&wire);
    puppet_work(puppet);
    if (puppet->error == GV_ERR_BUSY)
        memcpy(puppet->challenge, puppet->session.challenge, GV_CHALLENGE_LEN);
    return puppet->open && core_says_open(puppet);
}

bool puppet_connect_from(struct puppet *puppet, struct host *host, const struct gv_address *address)
{
    return shake_hands(puppet, host, address, NULL, 0);
}

bool puppet_come_again(struct puppet *puppet, struct host *host, const struct gv_address *address,
                       size_t spoil)
{
    return shake_hands(puppet, host, address, puppet->challenge, spoil);
}

bool puppet_connect(struct puppet *puppet, struct host *host)
{
    struct gv_address address = make_address((unsigned)puppet->facts.placement);

    return puppet_connect_from(puppet, host, &address);
}

bool puppet_answer(struct puppet *puppet, struct host *host)
{
    struct gv_event up = {.kind = GV_EVENT_CONNECTED};
    struct gv_session_self self = self_of(puppet);
    struct gv_buf none;

    if (host->dial_count == 0)
        return false;
    let_go(puppet);
    up.connected.link = puppet->link = host->dials[0].link;
    up.connected.remote = host->dials[0].address;
    host->dials[0] = host->dials[--host->dial_count];
    puppet->host = host;
    gv_assert(host->end_count < HOST_ENDS);
    struct host_end *end = &host->ends[host->end_count++];
    memset(end, 0, sizeof *end);
    end->link = puppet->link;
    end->puppet = puppet;
    gv_buf_init(&none);
    gv_assert(gv_session_start(&puppet->session, false, &none, &self, &puppet->drbg) == GV_OK);
    gv_buf_free(&none);
    host_step(host, &up);
    puppet_work(puppet);
    return puppet->open && core_says_open(puppet);
}

bool puppet_join(struct puppet *puppet, struct host *host)
{
    if (!puppet_connect(puppet, host))
        return false;
    puppet_hello(puppet);
    return !puppet->closed;
}

static void frame(struct puppet *puppet, const uint8_t *message, size_t len)
{
    uint8_t wire[2 + 1024] = {(uint8_t)(len >> 8), (uint8_t)len};

    gv_assert(len <= sizeof wire - 2);
    memcpy(wire + 2, message, len);
    host_bytes(puppet->host, puppet->link, wire, 2 + len);
}

bool puppet_force(struct puppet *puppet, struct host *host, const uint8_t *payload, size_t len)
{
    struct gv_address address = make_address((unsigned)puppet->facts.placement);
    uint8_t prologue[sizeof PROLOGUE + GV_KEY_LEN], ephemeral[GV_KEY_LEN], out[1024], in[1024];
    struct gv_noise_handshake noise;
    size_t out_len, in_len;

    puppet_knock(puppet, host, &address);
    if (puppet->closed)
        return false;
    memcpy(prologue, PROLOGUE, sizeof PROLOGUE);
    memcpy(prologue + sizeof PROLOGUE, puppet->network->descriptor.network_id, GV_KEY_LEN);
    gv_drbg_fill(&puppet->drbg, ephemeral, sizeof ephemeral);
    gv_noise_start(&noise, true, puppet->identity.session_secret, puppet->identity.session_public,
                   ephemeral, prologue, sizeof prologue);
    gv_assert(gv_noise_write(&noise, out, sizeof out, &out_len, NULL, 0) == GV_OK);
    frame(puppet, out, out_len);
    if (puppet->arrived.len > 2)
        gv_assert(gv_noise_read(&noise, in, sizeof in, &in_len, puppet->arrived.data + 2,
                                puppet->arrived.len - 2) == GV_OK);
    gv_buf_clear(&puppet->arrived);
    gv_assert(gv_noise_write(&noise, out, sizeof out, &out_len, payload, len) == GV_OK);
    frame(puppet, out, out_len);
    if (gv_noise_done(&noise)) {
        memset(&puppet->session, 0, sizeof puppet->session);
        gv_noise_split(&noise, &puppet->session.send, &puppet->session.receive);
        puppet->session.initiator = puppet->session.open = puppet->open = true;
    }
    gv_noise_wipe(&noise);
    if (!core_says_open(puppet))
        return false;
    puppet_work(puppet);
    return true;
}

/* ---- speaking ------------------------------------------------------------------------------- */

void puppet_bytes(struct puppet *puppet, const void *data, size_t len)
{
    host_bytes(puppet->host, puppet->link, data, len);
    puppet_work(puppet);
}

void puppet_say(struct puppet *puppet, const void *plain, size_t len)
{
    struct gv_buf wire;

    gv_buf_init(&wire);
    gv_assert(gv_session_seal(&puppet->session, &wire, plain, len) == GV_OK);
    puppet_bytes(puppet, wire.data, wire.len);
    gv_buf_free(&wire);
}

void puppet_say_buf(struct puppet *puppet, struct gv_buf *message)
{
    gv_assert(!message->failed);
    puppet_say(puppet, message->data, message->len);
    gv_buf_free(message);
}

void puppet_hello(struct puppet *puppet)
{
    struct gv_buf message;

    gv_buf_init(&message);
    gv_message_hello(&message, puppet->version, host_unix_ms(puppet->host), "puppet");
    puppet_say_buf(puppet, &message);
}

void puppet_give(struct puppet *puppet, const struct gv_buf *record)
{
    struct gv_buf message;

    gv_buf_init(&message);
    gv_message_records_start(&message, 1);
    gv_message_record(&message, record->data, record->len);
    puppet_say_buf(puppet, &message);
}

void puppet_ask(struct puppet *puppet, enum gv_tree tree)
{
    static const uint8_t nothing[GV_ID_LEN];
    struct gv_range all = {.high = {.minute = UINT32_MAX}, .mode = GV_RANGE_IDS, .data = nothing};
    struct gv_buf message;

    /* "Here is all I hold of everything: nothing." What the core has comes back. */
    gv_buf_init(&message);
    gv_message_reconcile(&message, tree, 0, &all, 1);
    puppet_say_buf(puppet, &message);
}

void puppet_each_record(const struct puppet *puppet,
                        void (*each)(void *context, const uint8_t *record, size_t len),
                        void *context)
{
    static struct gv_message message;
    size_t used;

    for (size_t at = 0; at < puppet->heard.len; at += used) {
        gv_assert(gv_message_read(&message, &used, puppet->heard.data + at,
                                  puppet->heard.len - at) == GV_OK);
        for (uint32_t i = 0; message.kind == GV_MESSAGE_RECORDS && i < message.record_count; i++)
            each(context, message.records[i].data, message.records[i].len);
    }
}

size_t short_of(uint8_t out[GV_SHORT_MAX], const struct network *network,
                const struct gv_buf *record)
{
    struct gv_statement statement;

    if (gv_statement_parse(&statement, record->data + 1, record->len - 1) != GV_OK)
        return 0;
    return gv_short_write(out, &statement, record->data + 1, network->descriptor.genesis_min);
}

struct wanted {
    const struct gv_buf *record;
    uint8_t brief[GV_SHORT_MAX];
    size_t brief_len; /* 0: it travels whole */
    bool found;
};

static void compare_record(void *context, const uint8_t *record, size_t len)
{
    struct wanted *wanted = context;

    if (len == wanted->record->len && memcmp(record, wanted->record->data, len) == 0)
        wanted->found = true;
    if (len == wanted->brief_len && memcmp(record, wanted->brief, len) == 0)
        wanted->found = true;
}

bool puppet_heard_record(const struct puppet *puppet, const struct gv_buf *record)
{
    struct wanted wanted = {.record = record};

    wanted.brief_len = short_of(wanted.brief, puppet->network, record);
    puppet_each_record(puppet, compare_record, &wanted);
    return wanted.found;
}

/* ---- records -------------------------------------------------------------------------------- */

struct gv_subject subject_of(unsigned number)
{
    return (struct gv_subject){
        GV_FAMILY_IPV4, {45, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number}};
}

static void begin(struct gv_buf *record, enum gv_record_kind kind)
{
    uint8_t byte = (uint8_t)kind;

    gv_buf_init(record);
    gv_buf_append(record, &byte, 1);
}

struct gv_statement puppet_signal(struct puppet *puppet, const struct gv_subject *subject,
                                  uint32_t minute)
{
    struct gv_statement s = {.kind = GV_STATEMENT_SIGNAL,
                             .sequence = ++puppet->sequence,
                             .subject = *subject,
                             .first_min = minute,
                             .last_min = minute,
                             .count = 5,
                             .services = GV_SERVICE_SUBMISSION,
                             .kinds = GV_KIND_UNKNOWN_ACCOUNT};

    memcpy(s.certificate, puppet->certificate_id, GV_ID_LEN);
    return s;
}

struct gv_statement puppet_retraction(struct puppet *puppet, const struct gv_subject *subject,
                                      uint32_t minute)
{
    struct gv_statement s = {.kind = GV_STATEMENT_RETRACT,
                             .sequence = ++puppet->sequence,
                             .subject = *subject,
                             .first_min = minute,
                             .last_min = minute};

    memcpy(s.certificate, puppet->certificate_id, GV_ID_LEN);
    return s;
}

struct gv_buf sign_statement(const struct puppet *puppet, const struct gv_statement *statement)
{
    struct gv_buf record;

    begin(&record, statement->kind == GV_STATEMENT_SIGNAL ? GV_RECORD_SIGNAL : GV_RECORD_RETRACT);
    gv_assert(gv_statement_sign(&record, statement, puppet->identity.sign_secret,
                                puppet->network->descriptor.network_id) == GV_OK);
    return record;
}

struct gv_buf sign_raw(const struct puppet *puppet, const struct gv_statement *s,
                       const uint8_t *subject, size_t subject_len)
{
    bool signal = s->kind == GV_STATEMENT_SIGNAL;
    uint8_t signature[GV_SIGNATURE_LEN];
    struct gv_buf record, body;

    gv_buf_init(&body);
    gv_put_array(&body, signal ? 9 : 5);
    gv_put_u64(&body, s->kind);
    gv_put_bin(&body, s->certificate, GV_ID_LEN);
    gv_put_u64(&body, s->sequence);
    gv_put_bin(&body, subject, subject_len);
    gv_put_u64(&body, s->first_min);
    if (signal) {
        gv_put_u64(&body, s->last_min);
        gv_put_u64(&body, s->count);
        gv_put_u64(&body, s->services);
        gv_put_u64(&body, s->kinds);
    }
    begin(&record, signal ? GV_RECORD_SIGNAL : GV_RECORD_RETRACT);
    gv_sign(signature, puppet->identity.sign_secret,
            signal ? "grapevine signal 1" : "grapevine retract 1",
            puppet->network->descriptor.network_id, body.data, body.len);
    gv_buf_append(&record, signature, sizeof signature);
    gv_buf_append(&record, body.data, body.len);
    gv_buf_free(&body);
    return record;
}

struct gv_buf certificate_record(const struct puppet *puppet)
{
    struct gv_buf record;

    begin(&record, GV_RECORD_CERTIFICATE);
    gv_buf_append(&record, puppet->certificate, GV_CERTIFICATE_LEN);
    return record;
}

struct gv_buf address_record(const struct puppet *puppet, const struct gv_address *address,
                             uint32_t minute)
{
    struct gv_address_record said = {.minute = minute, .address = *address};
    struct gv_buf record;

    memcpy(said.instance, puppet->identity.id, GV_ID_LEN);
    begin(&record, GV_RECORD_ADDRESS);
    gv_assert(gv_address_record_sign(&record, &said, puppet->identity.sign_secret,
                                     puppet->network->descriptor.network_id) == GV_OK);
    return record;
}

struct gv_buf revocation_record(const struct network *network, const uint8_t instance[GV_ID_LEN],
                                uint32_t minute)
{
    struct gv_revocation revocation = {.revoked_min = minute, .reason = GV_REVOKED_ABUSE};
    struct gv_buf record;

    memcpy(revocation.instance, instance, GV_ID_LEN);
    begin(&record, GV_RECORD_REVOCATION);
    gv_assert(gv_revocation_issue(&record, &revocation, network->registry_secret,
                                  network->descriptor.network_id) == GV_OK);
    return record;
}

struct gv_buf descriptor_record(const struct network *network)
{
    struct gv_buf record;

    begin(&record, GV_RECORD_DESCRIPTOR);
    gv_buf_append(&record, network->wire.data, network->wire.len);
    return record;
}

struct gv_buf fault_record(const struct gv_buf *a, const struct gv_buf *b)
{
    struct gv_buf record;

    begin(&record, GV_RECORD_FAULT);
    gv_assert(gv_fault_build(&record, a->data + 1, a->len - 1, b->data + 1, b->len - 1) == GV_OK);
    return record;
}

void record_id(uint8_t out[GV_ID_LEN], const struct gv_buf *record)
{
    gv_assert(gv_record_id(out, record->data, record->len) == GV_OK);
}

unsigned record_tree(const struct gv_buf *record)
{
    struct gv_statement statement;

    gv_assert(gv_statement_parse(&statement, record->data + 1, record->len - 1) == GV_OK);
    return gv_tree_of_subject(&statement.subject);
}

void record_mark(uint8_t out[GV_MARK_LEN], const struct gv_buf *record)
{
    uint8_t id[GV_ID_LEN];

    record_id(id, record);
    gv_set_mark(out, id, record_tree(record));
}

void puppet_hand(struct puppet *puppet, struct gv_buf record)
{
    puppet_give(puppet, &record);
    gv_buf_free(&record);
}

struct gv_buf puppet_signal_on(struct puppet *puppet, unsigned number, uint32_t minute)
{
    struct gv_subject subject = subject_of(number);
    struct gv_statement statement = puppet_signal(puppet, &subject, minute);

    return sign_statement(puppet, &statement);
}

struct gv_buf puppet_retraction_on(struct puppet *puppet, unsigned number, uint32_t minute)
{
    struct gv_subject subject = subject_of(number);
    struct gv_statement statement = puppet_retraction(puppet, &subject, minute);

    return sign_statement(puppet, &statement);
}
