/* How fast a core accepts signals that a peer sends: frames in, everything checked, held, judged.
 * Beside it, in the same run, the floor: libsodium verifying the same signatures and nothing else.
 *   bench_accept [--store FILE]: with it, every effect is carried out on a real store. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/host/persist.h"
#include "proto/core.h"
#include "proto/mesh/session.h"
#include "proto/observation.h"
#include "proto/trust/signal.h"
#include "proto/wire/messages.h"
#include "proto/wire/record.h"

#define AUTHORS 320
#define EACH    32 /* an hour's quota */
#define SIGNALS (AUTHORS * EACH)
#define ROUNDS  5
#define NOW_MIN 29800000u
#define NETWORK "grapevine signal 1"

struct author {
    struct gv_identity identity;
    uint8_t certificate[GV_CERTIFICATE_LEN];
    struct gv_certificate facts;
};

static struct author authors[AUTHORS];
static struct gv_buf records[SIGNALS];
static struct gv_descriptor descriptor;
static struct gv_buf descriptor_wire;
static struct gv_identity registry;

static void must(int rc, const char *what)
{
    if (rc == GV_OK)
        return;
    fprintf(stderr, "bench_accept: %s: %s\n", what, gv_strerror(rc));
    exit(1);
}

static double cpu_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void make_identity(struct gv_identity *out, uint32_t number)
{
    uint8_t secret[GV_SECRET_LEN] = {0};

    memcpy(secret, &number, sizeof number);
    gv_identity_from_secret(out, secret);
}

static void make_author(struct author *author, uint32_t number)
{
    make_identity(&author->identity, 100 + number);
    memcpy(author->facts.key, author->identity.sign_public, GV_KEY_LEN);
    memcpy(author->facts.owner, &number, sizeof number);
    author->facts.group = (uint64_t)GV_GROUP_AS << 56 | number;
    author->facts.since_min = descriptor.genesis_min;
    author->facts.issued_min = NOW_MIN - 1440;
    author->facts.expires_min = NOW_MIN + 80 * 1440;
    gv_certificate_issue(author->certificate, &author->facts, registry.sign_secret,
                         descriptor.network_id);
}

static void make_network(void)
{
    struct gv_identity root;

    make_identity(&root, 1);
    make_identity(&registry, 2);
    descriptor.version = 1;
    descriptor.genesis_min = descriptor.activation_min = NOW_MIN - 200 * 1440;
    memcpy(descriptor.root_key, root.sign_public, GV_KEY_LEN);
    strcpy(descriptor.name, "bench");
    descriptor.key_count = 1;
    memcpy(descriptor.keys[0].key, registry.sign_public, GV_KEY_LEN);
    descriptor.keys[0].from_min = descriptor.genesis_min;
    descriptor.keys[0].until_min = UINT32_MAX;
    strcpy(descriptor.registry_url, "https://registry.invalid");
    strcpy(descriptor.terms, "1");
    gv_policy_default(&descriptor.policy, false);
    must(gv_descriptor_issue(&descriptor_wire, &descriptor, root.sign_secret), "descriptor");
    for (uint32_t i = 0; i < AUTHORS; i++)
        make_author(&authors[i], i);
}

/* Four authors speak of each subject, as in a campaign. */
static void make_records(void)
{
    for (uint32_t i = 0; i < SIGNALS; i++) {
        const struct author *author = &authors[i % AUTHORS];
        struct gv_statement signal = {.kind = GV_STATEMENT_SIGNAL,
                                      .sequence = (uint64_t)NOW_MIN * 60000 + i,
                                      .first_min = NOW_MIN - 40,
                                      .last_min = NOW_MIN - 1,
                                      .count = 10,
                                      .services = GV_SERVICE_IMAP,
                                      .kinds = GV_KIND_WRONG_PASSWORD};
        uint32_t subject = 0x40000000u + i / 4;
        uint8_t kind = GV_RECORD_SIGNAL;
        signal.subject.family = GV_FAMILY_IPV4;
        for (int b = 0; b < 4; b++)
            signal.subject.bytes[b] = (uint8_t)(subject >> (24 - 8 * b));
        memcpy(signal.certificate, author->facts.id, GV_ID_LEN);
        gv_buf_append(&records[i], &kind, 1);
        must(gv_statement_sign(&records[i], &signal, author->identity.sign_secret,
                               descriptor.network_id),
             "sign");
    }
}

/* ---- the floor ------------------------------------------------------------------------------ */

static double verify_all(void)
{
    static uint8_t messages[SIGNALS][256];
    static size_t lens[SIGNALS];
    double start;

    for (size_t i = 0; i < SIGNALS; i++) {
        size_t domain = strlen(NETWORK) + 1, body = records[i].len - 65;
        memcpy(messages[i], NETWORK, domain);
        memcpy(messages[i] + domain, descriptor.network_id, GV_KEY_LEN);
        memcpy(messages[i] + domain + GV_KEY_LEN, records[i].data + 65, body);
        lens[i] = domain + GV_KEY_LEN + body;
    }
    start = cpu_s();
    for (size_t i = 0; i < SIGNALS; i++)
        if (crypto_sign_verify_detached(records[i].data + 1, messages[i], lens[i],
                                        authors[i % AUTHORS].identity.sign_public) != 0)
            must(GV_ERR_SIGNATURE, "verify");
    return cpu_s() - start;
}

/* ---- the core ------------------------------------------------------------------------------- */

struct rig {
    struct gv_core *core;
    struct gv_persist *store;
    struct gv_session peer;
    struct gv_effects effects;
    struct gv_buf wire, plain, message;
    struct gv_session_self self;
    struct gv_drbg drbg;
};

static void step(struct rig *rig, const struct gv_event *event)
{
    struct gv_text error = {0};

    gv_effects_clear(&rig->effects);
    must(gv_core_step(rig->core, 1000, event, &rig->effects), "step");
    if (rig->store)
        must(gv_persist_commit(rig->store, &rig->effects, (uint64_t)NOW_MIN * 60000, &error),
             "commit");
}

static void give(struct rig *rig, const uint8_t *data, size_t len)
{
    struct gv_event event = {.kind = GV_EVENT_BYTES};

    event.bytes.link = GV_LINK_INCOMING | 1;
    event.bytes.data = data;
    event.bytes.len = len;
    step(rig, &event);
}

/* The peer takes what the core sends until neither has anything to say to the handshake. */
static void listen_to_core(struct rig *rig)
{
    for (size_t i = 0; i < rig->effects.count; i++) {
        const struct gv_effect *effect = &rig->effects.list[i];
        if (effect->kind == GV_EFFECT_SEND)
            gv_session_take(&rig->peer, gv_effect_data(&rig->effects, effect), effect->data_len);
    }
    gv_buf_clear(&rig->wire);
    while (gv_session_work(&rig->peer, &rig->wire, &rig->plain, &rig->self) == GV_OK)
        if (rig->peer.open)
            break;
}

static void connect_peer(struct rig *rig)
{
    struct gv_event event = {.kind = GV_EVENT_CONNECTED};

    event.connected.link = GV_LINK_INCOMING | 1;
    must(gv_address_parse(&event.connected.remote, "64.0.0.1:5000", 13), "address");
    step(rig, &event);
    must(gv_session_start(&rig->peer, true, &rig->wire, &rig->self, &rig->drbg), "session");
    give(rig, rig->wire.data, rig->wire.len);
    listen_to_core(rig);
    if (!rig->peer.open)
        must(GV_ERR_STATE, "handshake");
    give(rig, rig->wire.data, rig->wire.len);
    gv_buf_clear(&rig->message);
    gv_message_hello(&rig->message, 1, (uint64_t)NOW_MIN * 60000, "bench");
    gv_buf_clear(&rig->wire);
    must(gv_session_seal(&rig->peer, &rig->wire, rig->message.data, rig->message.len), "seal");
    give(rig, rig->wire.data, rig->wire.len);
}

static void seal_records(struct rig *rig, const struct gv_buf *list, size_t count)
{
    gv_buf_clear(&rig->message);
    gv_message_records_start(&rig->message, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        gv_message_record(&rig->message, list[i].data, list[i].len);
    must(gv_session_seal(&rig->peer, &rig->wire, rig->message.data, rig->message.len), "seal");
}

static void introduce_authors(struct rig *rig)
{
    for (size_t i = 1; i < AUTHORS; i++) {
        struct gv_buf record = {0};
        uint8_t kind = GV_RECORD_CERTIFICATE;
        gv_buf_append(&record, &kind, 1);
        gv_buf_append(&record, authors[i].certificate, GV_CERTIFICATE_LEN);
        gv_buf_clear(&rig->wire);
        seal_records(rig, &record, 1);
        give(rig, rig->wire.data, rig->wire.len);
        gv_buf_free(&record);
    }
}

static void rig_start(struct rig *rig, const char *store_path)
{
    static struct gv_identity own;
    static struct author self;
    struct gv_core_options options = {.identity = &own,
                                      .descriptor = descriptor_wire.data,
                                      .descriptor_len = descriptor_wire.len};
    struct gv_text error = {0};

    memset(rig, 0, sizeof *rig);
    make_author(&self, AUTHORS + 1);
    own = self.identity;
    options.certificate = self.certificate;
    if (store_path) {
        unlink(store_path);
        must(gv_persist_open(&rig->store, store_path, own.store_key, &error), "store");
    }
    must(gv_core_new(&rig->core, &options, 1000, (uint64_t)NOW_MIN * 60000), "core");
    rig->self = (struct gv_session_self){.identity = &authors[0].identity,
                                         .certificate = authors[0].certificate,
                                         .descriptor = &descriptor,
                                         .now_min = NOW_MIN};
    gv_drbg_init(&rig->drbg, options.seed);
    connect_peer(rig);
    introduce_authors(rig);
}

static void rig_end(struct rig *rig)
{
    gv_core_free(rig->core);
    gv_persist_close(rig->store);
    gv_session_end(&rig->peer);
    gv_effects_free(&rig->effects);
    gv_buf_free(&rig->wire);
    gv_buf_free(&rig->plain);
    gv_buf_free(&rig->message);
}

static double accept_all(const char *store_path)
{
    struct gv_core_status status;
    struct rig rig;
    struct gv_buf frames;
    double start, spent;
    size_t at = 0;

    rig_start(&rig, store_path);
    /* Sealed beforehand: what the sender spends is not ours. */
    gv_buf_clear(&rig.wire);
    for (size_t i = 0; i < SIGNALS; i += 64)
        seal_records(&rig, &records[i], 64);
    frames = rig.wire;
    gv_buf_init(&rig.wire);
    start = cpu_s();
    while (at < frames.len) { /* as a socket gives them: 64 KiB at a time */
        size_t part = frames.len - at < 65536 ? frames.len - at : 65536;
        give(&rig, frames.data + at, part);
        at += part;
    }
    spent = cpu_s() - start;
    gv_core_status(rig.core, &status);
    if (status.statements != SIGNALS) {
        fprintf(stderr, "bench_accept: %zu of %d signals held\n", status.statements, SIGNALS);
        exit(1);
    }
    gv_buf_free(&frames);
    rig_end(&rig);
    return spent;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
    const char *store = argc == 3 && strcmp(argv[1], "--store") == 0 ? argv[2] : NULL;
    double raw[ROUNDS], ours[ROUNDS];
    struct rusage usage;

    if (sodium_init() < 0 || (argc != 1 && !store)) {
        fprintf(stderr, "usage: bench_accept [--store FILE]\n");
        return 64;
    }
    make_network();
    make_records();
    for (int round = 0; round < ROUNDS; round++) {
        raw[round] = verify_all();
        ours[round] = accept_all(store);
    }
    qsort(raw, ROUNDS, sizeof *raw, compare);
    qsort(ours, ROUNDS, sizeof *ours, compare);
    getrusage(RUSAGE_SELF, &usage);
    printf("%d signals, %d rounds: libsodium %.3f CPU s, accepting %.3f CPU s (medians), %ld MB\n",
           SIGNALS, ROUNDS, raw[ROUNDS / 2], ours[ROUNDS / 2], usage.ru_maxrss / 1024);
    printf("%s: ours %.0f, peer %.0f signals per CPU second, ratio %.2f\n",
           store ? "accept_stored" : "accept", SIGNALS / ours[ROUNDS / 2],
           SIGNALS / raw[ROUNDS / 2], raw[ROUNDS / 2] / ours[ROUNDS / 2]);
    return 0;
}
