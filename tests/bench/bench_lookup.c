/* What a question to the memory costs at COUNT (1,000,000) subjects, asked in random order, half of
 * them held: the listing, which is what DNS, block lists and bouncers ask (SPEC 18.1); and the
 * core's own verdict and decision, which Dovecot and the HTTP API get, worked out anew from the
 * signals each time. Processor time; of the listing, where that is allowed, before all else that
 * the machine does, so that nobody takes its memory out of the caches. Signatures are left out
 * (tests/CMakeLists.txt). */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "crypto/error.h"
#include "first.h"
#include "node/serve/listing.h"
#include "proto/core.h"
#include "proto/trust/signal.h"
#include "proto/wire/record.h"

#define OWNERS_SIGNALS (32u * 23u) /* of an instance: 32 an hour */
#define ASKED          4000000u
#define TURNS          400u
#define NOW_MIN        29865600u

void __wrap_gv_sign(uint8_t signature[GV_SIGNATURE_LEN], const uint8_t *secret, const char *domain,
                    const uint8_t *network_id, const uint8_t *body, size_t len);
void __wrap_gv_sign(uint8_t signature[GV_SIGNATURE_LEN], const uint8_t *secret, const char *domain,
                    const uint8_t *network_id, const uint8_t *body, size_t len)
{
    (void)secret, (void)domain, (void)network_id, (void)body, (void)len;
    memset(signature, 7, GV_SIGNATURE_LEN);
}

static bool believe(void *context, const uint8_t key[GV_KEY_LEN],
                    const uint8_t signature[GV_SIGNATURE_LEN], const uint8_t *message, size_t len)
{
    (void)context, (void)key, (void)signature, (void)message, (void)len;
    return true;
}

static void need(int rc, const char *what)
{
    if (rc == GV_OK)
        return;
    fprintf(stderr, "bench_lookup: %s: %s\n", what, gv_strerror(rc));
    exit(1);
}

static double cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Number n is 11.0.0.0 + n, all of them public. */
static struct gv_subject subject_of(uint32_t n)
{
    return (struct gv_subject){
        .family = GV_FAMILY_IPV4,
        .bytes = {(uint8_t)(11 + (n >> 24)), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n}};
}

/* ---- a core that holds as many -------------------------------------------------------------- */

static struct gv_core *core;
static struct gv_effects effects;
static struct gv_descriptor descriptor;
static struct gv_identity registry;

static void load(uint8_t kind, const void *wire, size_t len)
{
    uint8_t record[512] = {kind}, id[GV_ID_LEN];
    struct gv_event event = {.kind = GV_EVENT_LOADED, .loaded = {.row = GV_ROW_RECORD}};

    memcpy(record + 1, wire, len);
    need(gv_record_id(id, record, len + 1), "record id");
    event.loaded.key = id;
    event.loaded.key_len = sizeof id;
    event.loaded.value = record;
    event.loaded.value_len = len + 1;
    need(gv_core_step(core, 1, &event, &effects), "a row");
    gv_effects_clear(&effects);
}

static void open_core(size_t count)
{
    const uint8_t secrets[3][GV_SECRET_LEN] = {{1}, {2}, {3}};
    struct gv_identity root, node;
    struct gv_descriptor *d = &descriptor;
    struct gv_buf wire;

    gv_identity_from_secret(&root, secrets[0]);
    gv_identity_from_secret(&registry, secrets[1]);
    gv_identity_from_secret(&node, secrets[2]);
    d->version = 1;
    d->activation_min = d->genesis_min = NOW_MIN - 100 * 1440;
    memcpy(d->root_key, root.sign_public, GV_KEY_LEN);
    snprintf(d->name, sizeof d->name, "bench");
    d->key_count = 1;
    memcpy(d->keys[0].key, registry.sign_public, GV_KEY_LEN);
    d->keys[0].from_min = d->genesis_min;
    d->keys[0].until_min = NOW_MIN + 1440 * 365;
    snprintf(d->registry_url, sizeof d->registry_url, "http://127.0.0.1:9");
    snprintf(d->terms, sizeof d->terms, "2026-11");
    gv_policy_default(&d->policy, false);
    gv_buf_init(&wire);
    need(gv_descriptor_issue(&wire, d, root.sign_secret), "descriptor");
    struct gv_core_options options = {.identity = &node,
                                      .descriptor = wire.data,
                                      .descriptor_len = wire.len,
                                      .seed = {4},
                                      .verifier = {.verify = believe},
                                      .statements_max = count + 1};
    gv_effects_init(&effects);
    need(gv_core_new(&core, &options, 1, NOW_MIN * 60000ULL), "core");
    gv_buf_free(&wire);
}

/* Two owners in two networks on each subject make it untrusted; `count` statements are half as many
 * subjects then. One is enough here: what is asked is the same table. */
static void fill_core(uint32_t count)
{
    struct gv_identity author;
    struct gv_buf signal;
    uint8_t certificate_id[GV_ID_LEN] = {0};

    gv_buf_init(&signal);
    for (uint32_t n = 0; n < count; n++) {
        uint32_t at = n % OWNERS_SIGNALS, minute = NOW_MIN - 60 * (at / 32);
        if (at == 0) {
            uint8_t wire[GV_CERTIFICATE_LEN],
                secret[GV_SECRET_LEN] = {9, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
            gv_identity_from_secret(&author, secret);
            struct gv_certificate c = {.placement = n + 1,
                                       .group = (uint64_t)GV_GROUP_IPV4 << 56 | n / OWNERS_SIGNALS,
                                       .since_min = NOW_MIN - 90 * 1440,
                                       .issued_min = NOW_MIN - 1440,
                                       .expires_min = NOW_MIN + 60 * 1440};
            memcpy(c.key, author.sign_public, GV_KEY_LEN);
            memcpy(c.owner, author.id, sizeof c.owner);
            gv_certificate_issue(wire, &c, registry.sign_secret, descriptor.network_id);
            load(GV_RECORD_CERTIFICATE, wire, sizeof wire);
            memcpy(certificate_id, c.id, GV_ID_LEN);
        }
        struct gv_statement s = {.kind = GV_STATEMENT_SIGNAL,
                                 .sequence = (uint64_t)minute * 60000 + at,
                                 .subject = subject_of(n),
                                 .first_min = minute,
                                 .last_min = minute,
                                 .count = 5,
                                 .services = 4,
                                 .kinds = 2};
        memcpy(s.certificate, certificate_id, GV_ID_LEN);
        gv_buf_clear(&signal);
        need(gv_statement_sign(&signal, &s, author.sign_secret, descriptor.network_id), "signal");
        load(GV_RECORD_SIGNAL, signal.data, signal.len);
    }
    gv_buf_free(&signal);
}

/* ---- asking --------------------------------------------------------------------------------- */

static struct gv_subject *asked;
static struct gv_listing *listing;
static uint64_t sum; /* of the answers, so that none is left out */

static void ask_listing(const struct gv_subject *subject)
{
    sum += gv_listing_get(listing, subject);
}

static void ask_verdict(const struct gv_subject *subject)
{
    struct gv_verdict verdict;

    gv_core_verdict(core, &verdict, subject);
    sum += verdict.state;
}

static void ask_decision(const struct gv_subject *subject)
{
    sum += (uint64_t)gv_core_decide(core, NULL, NULL, subject).reason + 1;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* What a table in memory cannot go below: one read of a random line of as many bytes, in huge pages
 * as the listing is, each place known only from the one before. */
static double floor_ns(size_t bytes)
{
    size_t lines = bytes / 64;
    uint64_t state = 88172645463325252u, value = 0;
    char *memory = aligned_alloc((size_t)2 << 20, (bytes + ((size_t)2 << 20) - 1) >> 21 << 21);

    if (!memory)
        return 0;
    (void)madvise(memory, bytes, MADV_HUGEPAGE);
    memset(memory, 0, bytes);
    double start = cpu_ns();
    for (size_t i = 0; i < ASKED / 4; i++) {
        state = (state + value) * 6364136223846793005u + 1442695040888963407u;
        value = *(volatile uint64_t *)(void *)(memory + (state >> 20) % lines * 64);
    }
    double each = (cpu_ns() - start) / (ASKED / 4);
    sum += value + 1;
    free(memory);
    return each;
}

/* In short turns, so that a machine that does other things too has some without them: the median,
 * and the tenth of the fastest. */
static void measure(const char *what, uint32_t count, void (*ask)(const struct gv_subject *subject))
{
    static double each[TURNS];

    for (size_t turn = 0; turn < TURNS; turn++) {
        double start = cpu_ns();
        for (size_t i = 0; i < ASKED / TURNS; i++)
            ask(&asked[turn * (ASKED / TURNS) + i]);
        each[turn] = (cpu_ns() - start) / (ASKED / TURNS);
    }
    qsort(each, TURNS, sizeof *each, compare);
    printf("%s of %u: %.0f ns a question, a tenth of the turns %.0f or less\n", what, count,
           each[TURNS / 2], each[TURNS / 10]);
}

/* The same where a question cannot begin before the last one is answered. */
static double waiting_ns(void)
{
    static double each[TURNS];

    for (size_t turn = 0; turn < TURNS; turn++) {
        size_t asked_now = 0, at = turn * (ASKED / TURNS), end = at + ASKED / TURNS;
        double start = cpu_ns();
        for (; at < end; asked_now++)
            at += 1 + gv_listing_get(listing, &asked[at]) % 4; /* 0 or 1 of those there are */
        each[turn] = (cpu_ns() - start) / (double)asked_now;
        sum += asked_now;
    }
    qsort(each, TURNS, sizeof *each, compare);
    return each[TURNS / 2];
}

int main(int argc, char **argv)
{
    uint32_t count = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000;
    const uint8_t key[16] = {1, 2, 3};
    uint64_t random_state = 20261122;
    struct gv_core_status status;

    setvbuf(stdout, NULL, _IOLBF, 0);
    asked = calloc(ASKED, sizeof *asked);
    listing = gv_listing_new(key);
    if (!asked || !listing || count == 0 || count > 16000000)
        return 64;
    for (size_t i = 0; i < ASKED; i++) {
        random_state = random_state * 6364136223846793005u + 1442695040888963407u;
        asked[i] = subject_of((uint32_t)(random_state >> 33) % (2 * count));
    }
    for (uint32_t n = 0; n < count; n++) {
        struct gv_subject subject = subject_of(n);
        need(gv_listing_set(listing, &subject, GV_LISTED_REFUSED), "listing");
    }
    bool first = go_first(true);
    measure(first ? "before all else, listing" : "beside all else, listing", count, ask_listing);
    printf("the same, each asked when the one before is answered: %.0f ns\n", waiting_ns());
    printf("one random read of its %.0f MB: %.0f ns\n", (double)gv_listing_bytes(listing) / 1e6,
           floor_ns(gv_listing_bytes(listing)));
    (void)go_first(false);
    open_core(count);
    fill_core(count);
    gv_core_status(core, &status);
    if (status.subjects != count) {
        fprintf(stderr, "bench_lookup: %zu subjects in the set\n", status.subjects);
        return 70;
    }
    measure("verdict of a core", count, ask_verdict);
    measure("decision of a core", count, ask_decision);
    if (sum == 0)
        return 70;
    gv_core_free(core);
    gv_effects_free(&effects);
    gv_listing_free(listing);
    free(asked);
    return 0;
}
