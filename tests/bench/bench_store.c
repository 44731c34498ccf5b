/* What the store costs: signals persisted a second, against raw upserts with the same file settings
 * (one table, no MAC, 1,000 a transaction); and, as "fill FOLDER COUNT [HOURS]", the store of a
 * daemon that is to be started with so many signals, with key, certificate and descriptor beside
 * it. With HOURS each signal has a subject of its own, and the daemon has said 32 things itself in
 * each of so many hours, of which each was acknowledged by seven peers. JOURNAL: signals that have
 * left the set and are kept. WEEKS: in which a steady flow of mail was seen. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "crypto/certificate.h"
#include "crypto/error.h"
#include "node/base/db.h"
#include "node/base/file.h"
#include "node/host/driver.h"
#include "node/host/persist.h"
#include "proto/trust/signal.h"
#include "proto/wire/descriptor.h"
#include "proto/wire/record.h"

#define ROWS   40000u
#define BATCH  1000u
#define ROUNDS 7
#define HOURLY 32u /* of an instance, in a clock hour */
#define HOURS  23u

/* Of the processor, which counts in the comparison: nothing here waits, as nothing is synced but
 * the log's checkpoints, and a machine that does other things beside would be measured otherwise.
 * And of the wall, for which the limit is. */
static double seconds(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static void need(int rc, const struct gv_text *why)
{
    if (rc == GV_OK)
        return;
    fprintf(stderr, "bench_store: %s\n", why && why->text[0] ? why->text : gv_strerror(rc));
    exit(1);
}

static void remove_store(const char *path)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    char name[4096];

    for (size_t i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        unlink(name);
    }
}

/* ---- writing -------------------------------------------------------------------------------- */

/* A record as long as a signal, under an id that says nothing of the order. */
static void make_row(uint8_t id[GV_ID_LEN], uint8_t record[121], unsigned number)
{
    uint8_t seed[4] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8),
                       (uint8_t)number};

    gv_hash_id(id, "bench", seed, sizeof seed);
    memset(record, (uint8_t)number, 121);
    record[0] = GV_RECORD_SIGNAL;
}

static double ours(const char *path, double *wall)
{
    uint8_t id[GV_ID_LEN], record[121], key[GV_KEY_LEN] = {1};
    struct gv_persist *persist;
    struct gv_effects effects;
    struct gv_text why = {""};

    remove_store(path);
    need(gv_persist_open(&persist, path, key, &why), &why);
    gv_effects_init(&effects);
    double start = seconds(CLOCK_PROCESS_CPUTIME_ID), begun = seconds(CLOCK_MONOTONIC);
    for (unsigned i = 0; i < ROWS; i++) {
        make_row(id, record, i);
        gv_effect_persist(&effects, GV_ROW_RECORD, id, sizeof id, record, sizeof record);
        if ((i + 1) % BATCH != 0)
            continue;
        need(gv_persist_commit(persist, &effects, 1, &why), &why);
        gv_effects_clear(&effects);
    }
    double took = seconds(CLOCK_PROCESS_CPUTIME_ID) - start;
    *wall = ROWS / (seconds(CLOCK_MONOTONIC) - begun);
    gv_effects_free(&effects);
    gv_persist_close(persist);
    return ROWS / took;
}

static double raw(const char *path)
{
    static const char *const schema[] = {
        "CREATE TABLE record (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID"};
    uint8_t id[GV_ID_LEN], record[121];
    sqlite3 *db;
    sqlite3_stmt *put;
    struct gv_text why = {""};

    remove_store(path);
    need(gv_db_open(&db, path, schema, 1, &why), &why);
    need(gv_db_prepare(db, &put,
                       "INSERT INTO record VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = "
                       "excluded.value",
                       &why),
         &why);
    double start = seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (unsigned i = 0; i < ROWS; i++) {
        if (i % BATCH == 0)
            need(gv_db_exec(db, "BEGIN IMMEDIATE", &why), &why);
        make_row(id, record, i);
        need(gv_db_run(put, "bb", id, sizeof id, record, sizeof record), NULL);
        if ((i + 1) % BATCH == 0)
            need(gv_db_exec(db, "COMMIT", &why), &why);
    }
    double took = seconds(CLOCK_PROCESS_CPUTIME_ID) - start;
    sqlite3_finalize(put);
    gv_db_close(db);
    return ROWS / took;
}

static void bench(const char *folder)
{
    double our[ROUNDS], wall[ROUNDS], peer[ROUNDS];
    char path[4096];

    snprintf(path, sizeof path, "%s/bench.db", folder);
    for (int i = 0; i < ROUNDS; i++) {
        our[i] = ours(path, &wall[i]);
        peer[i] = raw(path);
    }
    remove_store(path);
    qsort(our, ROUNDS, sizeof *our, compare);
    qsort(wall, ROUNDS, sizeof *wall, compare);
    qsort(peer, ROUNDS, sizeof *peer, compare);
    printf("%u rows, %u a transaction, %d rounds: ours %.0f to %.0f, raw SQLite %.0f to %.0f rows "
           "a CPU second\n",
           ROWS, BATCH, ROUNDS, our[0], our[ROUNDS - 1], peer[0], peer[ROUNDS - 1]);
    printf("of the wall: %.0f to %.0f, median %.0f signals a second\n", wall[0], wall[ROUNDS - 1],
           wall[ROUNDS / 2]);
    printf("store_write: ours %.0f, peer %.0f signals per CPU second, ratio %.2f\n",
           our[ROUNDS / 2], peer[ROUNDS / 2], our[ROUNDS / 2] / peer[ROUNDS / 2]);
}

/* ---- a store to be started with ------------------------------------------------------------- */

struct world {
    struct gv_identity root, registry, node;
    struct gv_descriptor descriptor;
    uint32_t now_min;
    uint8_t
        spread; /* bits of an instance's number that make its subjects others than the next one's */
};

static void identity_of(struct gv_identity *out, uint8_t role, unsigned number)
{
    uint8_t secret[GV_SECRET_LEN] = {role, (uint8_t)number, (uint8_t)(number >> 8)};

    gv_identity_from_secret(out, secret);
}

static void put_file(const char *folder, const char *name, const void *data, size_t len)
{
    char path[4096];
    struct gv_text why = {""};

    snprintf(path, sizeof path, "%s/%s", folder, name);
    need(gv_file_write(path, data, len, 0600, &why), &why);
}

static void make_network(struct world *world, const char *folder)
{
    struct gv_descriptor *d = &world->descriptor;
    struct gv_buf wire;

    d->version = 1;
    d->activation_min = d->genesis_min = world->now_min - 100 * 1440;
    memcpy(d->root_key, world->root.sign_public, GV_KEY_LEN);
    snprintf(d->name, sizeof d->name, "bench");
    d->lab = true;
    d->key_count = 1;
    memcpy(d->keys[0].key, world->registry.sign_public, GV_KEY_LEN);
    d->keys[0].from_min = world->now_min - 100 * 1440;
    d->keys[0].until_min = world->now_min + 1440 * 365;
    snprintf(d->registry_url, sizeof d->registry_url, "http://127.0.0.1:9");
    snprintf(d->terms, sizeof d->terms, "2026-11");
    gv_policy_default(&d->policy, true);
    gv_buf_init(&wire);
    need(gv_descriptor_issue(&wire, d, world->root.sign_secret), NULL);
    put_file(folder, "descriptor", wire.data, wire.len);
    gv_buf_free(&wire);
}

static void certify(const struct world *world, uint8_t wire[GV_CERTIFICATE_LEN],
                    const struct gv_identity *identity, unsigned number)
{
    struct gv_certificate c = {.placement = number,
                               .group = (uint64_t)GV_GROUP_IPV4 << 56 | number,
                               .since_min = world->now_min - 60 * 1440,
                               .issued_min = world->now_min - 1440,
                               .expires_min = world->now_min + 60 * 1440};

    memcpy(c.key, identity->sign_public, GV_KEY_LEN);
    memcpy(c.owner, identity->id, sizeof c.owner);
    gv_certificate_issue(wire, &c, world->registry.sign_secret, world->descriptor.network_id);
}

static void add_record(struct gv_effects *effects, uint8_t kind, const void *wire, size_t len)
{
    uint8_t record[256] = {kind}, id[GV_ID_LEN];

    memcpy(record + 1, wire, len);
    need(gv_record_id(id, record, len + 1), NULL);
    gv_effect_persist(effects, GV_ROW_RECORD, id, sizeof id, record, len + 1);
}

/* Up to 32 an hour and instance, as the quota has it, on as many subjects. */
static void add_instance(const struct world *world, struct gv_effects *effects, unsigned number,
                         unsigned *left)
{
    uint8_t wire[GV_CERTIFICATE_LEN];
    struct gv_certificate parsed;
    struct gv_identity identity;
    struct gv_buf signal;

    identity_of(&identity, 4, number);
    certify(world, wire, &identity, number);
    need(gv_certificate_parse(&parsed, wire, sizeof wire), NULL);
    add_record(effects, GV_RECORD_CERTIFICATE, wire, sizeof wire);
    gv_buf_init(&signal);
    for (unsigned i = 0; i<HOURLY * HOURS && * left> 0; i++, --*left) {
        uint32_t minute = world->now_min - 60 * (i / HOURLY);
        struct gv_statement s = {.kind = GV_STATEMENT_SIGNAL,
                                 .sequence = (uint64_t)minute * 60000 + i,
                                 .subject = {.family = 4,
                                             .bytes = {45, (uint8_t)(i >> 8), (uint8_t)i,
                                                       (uint8_t)(number & world->spread)}},
                                 .first_min = minute,
                                 .last_min = minute,
                                 .count = 5,
                                 .services = 4,
                                 .kinds = 2};
        memcpy(s.certificate, parsed.id, GV_ID_LEN);
        gv_buf_clear(&signal);
        need(gv_statement_sign(&signal, &s, identity.sign_secret, world->descriptor.network_id),
             NULL);
        add_record(effects, GV_RECORD_SIGNAL, signal.data, signal.len);
    }
    gv_buf_free(&signal);
}

static void add_said(const struct world *world, struct gv_effects *effects,
                     const uint8_t certificate[GV_ID_LEN], uint32_t minute, unsigned number)
{
    struct gv_statement s = {
        .kind = GV_STATEMENT_SIGNAL,
        .sequence = (uint64_t)minute * 60000 + number,
        .subject = {.family = 4,
                    .bytes = {46, (uint8_t)(minute >> 8), (uint8_t)minute, (uint8_t)number}},
        .first_min = minute,
        .last_min = minute,
        .count = 5,
        .services = 4,
        .kinds = 2};
    uint8_t record[256] = {GV_RECORD_SIGNAL}, ack[2 * GV_ID_LEN] = {0};
    struct gv_buf wire;

    memcpy(s.certificate, certificate, GV_ID_LEN);
    gv_buf_init(&wire);
    need(gv_statement_sign(&wire, &s, world->node.sign_secret, world->descriptor.network_id), NULL);
    memcpy(record + 1, wire.data, wire.len);
    need(gv_record_id(ack, record, wire.len + 1), NULL);
    gv_effect_persist(effects, GV_ROW_SENT, ack, GV_ID_LEN, record, wire.len + 1);
    for (uint8_t peer = 1; peer <= 7; peer++) {
        memset(ack + GV_ID_LEN, peer, GV_ID_LEN);
        gv_effect_persist(effects, GV_ROW_ACK, ack, sizeof ack, NULL, 0);
    }
    gv_buf_free(&wire);
}

static void fill_said(const struct world *world, struct gv_persist *persist,
                      struct gv_effects *effects, const uint8_t wire[GV_CERTIFICATE_LEN],
                      unsigned hours)
{
    struct gv_certificate parsed;
    struct gv_text why = {""};

    need(gv_certificate_parse(&parsed, wire, GV_CERTIFICATE_LEN), NULL);
    for (unsigned hour = hours; hour > 0; hour--) {
        uint32_t minute = world->now_min - 60 * hour + 30;
        for (unsigned i = 0; i < HOURLY; i++)
            add_said(world, effects, parsed.id, minute, i);
        need(gv_persist_commit(persist, effects, minute * 60000ULL, &why), &why);
        gv_effects_clear(effects);
    }
}

/* Signals that have left the set, just now. */
static void fill_journal(const struct world *world, struct gv_persist *persist,
                         struct gv_effects *effects, unsigned count)
{
    struct gv_text why = {""};
    struct gv_effects gone;

    gv_effects_init(&gone);
    for (unsigned number = 20000; count > 0; number++) {
        add_instance(world, effects, number, &count);
        for (size_t i = 1; i < effects->count; i++) /* the first is the certificate */
            gv_effect_forget(&gone, GV_ROW_RECORD, gv_effect_key(effects, &effects->list[i]),
                             GV_ID_LEN);
        need(gv_persist_commit(persist, effects, gv_unix_ms(), &why), &why);
        need(gv_persist_commit(persist, &gone, gv_unix_ms(), &why), &why);
        gv_effects_clear(effects);
        gv_effects_clear(&gone);
    }
    gv_effects_free(&gone);
}

/* So many weeks in which this node looked, and two messages a minute went out to others. */
static void fill_flow(const struct world *world, struct gv_persist *persist,
                      struct gv_effects *effects, unsigned weeks)
{
    struct gv_statistics one = {.watched = 1};
    struct gv_text why = {""};

    one.counts[GV_STATISTICS_OUTGOING] = 2;
    one.peaks[GV_SERIES_OUTGOING] = 10;
    for (uint64_t minute = world->now_min - weeks * 7 * 1440; minute < world->now_min; minute++) {
        need(gv_persist_statistics(persist, minute, &one), NULL);
        if (minute % 1000 == 0 || minute + 1 == world->now_min)
            need(gv_persist_commit(persist, effects, minute * 60000, &why), &why);
    }
}

static void fill(const char *folder, unsigned count, unsigned hours, unsigned journal,
                 unsigned weeks)
{
    struct world world = {.now_min = (uint32_t)(time(NULL) / 60), .spread = hours ? 255 : 63};
    uint8_t certificate[GV_CERTIFICATE_LEN], secret[GV_SECRET_LEN] = {3};
    char hex[2 * GV_SECRET_LEN + 2], path[4096];
    struct gv_persist *persist;
    struct gv_effects effects;
    struct gv_text why = {""};

    identity_of(&world.root, 1, 0);
    identity_of(&world.registry, 2, 0);
    gv_identity_from_secret(&world.node, secret);
    make_network(&world, folder);
    gv_hex(hex, secret, sizeof secret);
    strcat(hex, "\n");
    put_file(folder, "key", hex, strlen(hex));
    certify(&world, certificate, &world.node, 60000);
    put_file(folder, "certificate", certificate, sizeof certificate);
    snprintf(path, sizeof path, "%s/store.db", folder);
    need(gv_persist_open(&persist, path, world.node.store_key, &why), &why);
    gv_effects_init(&effects);
    for (unsigned number = 1; count > 0; number++) {
        add_instance(&world, &effects, number, &count);
        need(gv_persist_commit(persist, &effects, 1, &why), &why);
        gv_effects_clear(&effects);
    }
    fill_said(&world, persist, &effects, certificate, hours);
    fill_journal(&world, persist, &effects, journal);
    fill_flow(&world, persist, &effects, weeks);
    gv_effects_free(&effects);
    gv_persist_close(persist);
}

int main(int argc, char **argv)
{
    if (argc >= 4 && argc <= 7 && strcmp(argv[1], "fill") == 0)
        fill(argv[2], (unsigned)strtoul(argv[3], NULL, 10),
             argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 0,
             argc > 5 ? (unsigned)strtoul(argv[5], NULL, 10) : 0,
             argc > 6 ? (unsigned)strtoul(argv[6], NULL, 10) : 0);
    else if (argc == 3 && strcmp(argv[1], "write") == 0)
        bench(argv[2]);
    else {
        fprintf(stderr,
                "usage: bench_store write FOLDER | fill FOLDER COUNT [HOURS [JOURNAL [WEEKS]]]\n");
        return 64;
    }
    return 0;
}
