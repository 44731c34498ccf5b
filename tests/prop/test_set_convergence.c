/* What a node holds depends on what exists, never on the order, the number of times or the way in
 * which it came (SPEC 8.3, 9.1), and two nodes that differ are made equal by repair (SPEC 9.5).
 * Every run prints its seed; GV_SEED=n replays one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../unit/helper_puppet.h"
#include "crypto/error.h"
#include "proto/limits.h"

#define NOW      STAGE_MINUTE
#define HOSTS    3
#define AUTHORS  24
#define COURIERS 3
#define SUBJECTS 40
#define RECORDS  4096

static struct network network;
static struct puppet authors[AUTHORS];
static struct gv_buf records[RECORDS];
static size_t record_count;
static uint64_t seed;
static struct gv_drbg dice;

static uint32_t draw(uint32_t bound)
{
    return (uint32_t)gv_drbg_below(&dice, bound);
}

static void add(struct gv_buf record)
{
    assert_true(record_count < RECORDS);
    records[record_count++] = record;
}

static void begin(uint64_t run)
{
    uint8_t bytes[GV_SEED_LEN] = {0};
    uint64_t both[2] = {seed, run};

    memcpy(bytes, both, sizeof both);
    record_count = 0; /* a run that failed left some */
    gv_drbg_init(&dice, bytes);
    network_open(&network, 1, true);
    for (unsigned i = 0; i < AUTHORS; i++) {
        puppet_make(&authors[i], &network, 300 + i);
        if (i % 4 == 3) { /* a brother of the one before */
            memcpy(authors[i].facts.owner, authors[i - 1].facts.owner, GV_ID_LEN);
            puppet_certify(&authors[i]);
        }
    }
}

static void end(void)
{
    for (size_t i = 0; i < record_count; i++)
        gv_buf_free(&records[i]);
    record_count = 0;
    for (unsigned i = 0; i < AUTHORS; i++)
        puppet_free(&authors[i]);
    network_close(&network);
}

static void shuffle(size_t *order, size_t count)
{
    for (size_t i = 0; i < count; i++)
        order[i] = i;
    for (size_t i = count; i > 1; i--) {
        size_t j = draw((uint32_t)i), kept = order[i - 1];
        order[i - 1] = order[j];
        order[j] = kept;
    }
}

/* ---- what exists ---------------------------------------------------------------------------- */

static struct gv_statement random_statement(struct puppet *author, uint32_t spread_min)
{
    struct gv_subject subject = subject_of(draw(SUBJECTS));
    uint32_t minute = NOW - draw(spread_min);

    /* Sequence numbers in no order at all. */
    author->sequence = (uint64_t)draw(1u << 30) + 1;
    return draw(6) == 0 ? puppet_retraction(author, &subject, minute)
                        : puppet_signal(author, &subject, minute);
}

static void add_statements(struct puppet *author, uint32_t count, uint32_t spread_min)
{
    while (count-- > 0) {
        struct gv_statement s = random_statement(author, spread_min);
        add(sign_statement(author, &s));
    }
}

/* Two that contradict each other, and the proof: who gets both at a time when neither has a place
 * makes none himself, and hears it from others. */
static void add_fault(struct puppet *author)
{
    struct gv_statement a = random_statement(author, 600), b;

    do {
        b = random_statement(author, 600);
        b.sequence = a.sequence;
    } while (memcmp(&a.subject, &b.subject, sizeof a.subject) == 0);
    add(sign_statement(author, &a));
    add(sign_statement(author, &b));
    add(fault_record(&records[record_count - 2], &records[record_count - 1]));
}

static void add_roster_of(struct puppet *author)
{
    struct gv_address address = make_address(draw(200));

    add(certificate_record(author));
    if (draw(3) == 0) { /* renewed: another group, the same owner */
        author->facts.issued_min += 600;
        author->facts.expires_min += 600;
        author->facts.group += 7;
        puppet_certify(author);
        add(certificate_record(author));
    }
    for (uint32_t i = draw(3); i > 0; i--) {
        address.bytes[3] = (uint8_t)i;
        add(address_record(author, &address, NOW - draw(3)));
    }
}

/* ---- the same everywhere -------------------------------------------------------------------- */

static struct host hosts[HOSTS];

static int compare_infos(const void *a, const void *b)
{
    return memcmp(((const struct gv_instance_info *)a)->instance,
                  ((const struct gv_instance_info *)b)->instance, GV_ID_LEN);
}

static size_t roster_of(const struct host *host, struct gv_instance_info *out)
{
    size_t count = 0, cursor = 0;

    while (gv_core_next_instance(host->core, &cursor, &out[count]))
        count++;
    qsort(out, count, sizeof *out, compare_infos);
    return count;
}

static void assert_same_rosters(const struct host *a, const struct host *b)
{
    static struct gv_instance_info first[64], second[64];
    size_t count = roster_of(a, first);

    assert_int_equal(roster_of(b, second), count);
    for (size_t i = 0; i < count; i++) {
        assert_memory_equal(first[i].instance, second[i].instance, GV_ID_LEN);
        assert_memory_equal(first[i].owner, second[i].owner, GV_ID_LEN);
        assert_true(first[i].group == second[i].group);
        assert_int_equal(first[i].since_min, second[i].since_min);
        assert_int_equal(first[i].expires_min, second[i].expires_min);
        assert_int_equal(first[i].revoked_min, second[i].revoked_min);
        assert_int_equal(first[i].fault_min, second[i].fault_min);
        if (!gv_address_equal(&first[i].address, &second[i].address))
            fail_msg("address %d.%d.%d.%d:%d/%d %d.%d.%d.%d:%d/%d rev %u fault %u",
                     first[i].address.bytes[0], first[i].address.bytes[1],
                     first[i].address.bytes[2], first[i].address.bytes[3], first[i].address.port,
                     first[i].address.family, second[i].address.bytes[0],
                     second[i].address.bytes[1], second[i].address.bytes[2],
                     second[i].address.bytes[3], second[i].address.port, second[i].address.family,
                     first[i].revoked_min, first[i].fault_min);
    }
}

static void assert_same_verdicts(const struct host *a, const struct host *b)
{
    for (unsigned i = 0; i < SUBJECTS; i++) {
        struct gv_subject subject = subject_of(i);
        struct gv_verdict x, y;
        gv_core_verdict(a->core, &x, &subject);
        gv_core_verdict(b->core, &y, &subject);
        assert_int_equal(x.state, y.state);
        assert_int_equal(x.weight, y.weight);
        assert_int_equal(x.owners, y.owners);
        assert_int_equal(x.groups, y.groups);
        assert_int_equal(x.since_min, y.since_min);
        assert_int_equal(x.until_min, y.until_min);
        assert_int_equal(x.vote_count, y.vote_count);
        for (uint32_t v = 0; v < x.vote_count; v++)
            assert_memory_equal(x.votes[v].signal, y.votes[v].signal, GV_ID_LEN);
    }
}

static void assert_same(const struct host *a, const struct host *b)
{
    struct gv_core_status x = host_status(a), y = host_status(b);

    assert_int_equal(x.statements, y.statements);
    assert_memory_equal(x.set_fingerprint, y.set_fingerprint, GV_ID_LEN);
    assert_int_equal(x.reported, y.reported);
    assert_int_equal(x.untrusted, y.untrusted);
    assert_same_rosters(a, b);
    assert_same_verdicts(a, b);
}

/* ---- delivery ------------------------------------------------------------------------------- */

/* Several records at once, through one courier. */
static void deliver(struct puppet *courier, const size_t *order, size_t count)
{
    struct gv_buf message;

    gv_buf_init(&message);
    gv_message_records_start(&message, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        gv_message_record(&message, records[order[i]].data, records[order[i]].len);
    puppet_say_buf(courier, &message);
    puppet_forget(courier);
    if (courier->closed)
        fail_msg("seed %llu: a courier was blamed", (unsigned long long)seed);
}

static void deliver_round(struct puppet *couriers)
{
    static size_t order[RECORDS];

    shuffle(order, record_count);
    for (size_t at = 0; at < record_count;) {
        size_t count = 1 + draw(20);
        count = count < record_count - at ? count : record_count - at;
        deliver(&couriers[draw(COURIERS)], order + at, count);
        if (draw(4) > 0) /* sometimes the same again */
            at += count;
    }
}

static void make_history(void)
{
    for (unsigned i = 0; i < AUTHORS; i++) {
        add_roster_of(&authors[i]);
        /* Half of them speak more than an hour allows, none so much more that the limit on
         * displacing bites: what that refuses comes an hour later. */
        add_statements(&authors[i], draw(2) ? draw(60) : draw(10), draw(2) ? 50 : 23 * 60);
        if (i % 9 == 4)
            add_fault(&authors[i]);
        if (i % 7 == 2)
            add(revocation_record(&network, authors[i].identity.id, NOW - draw(600)));
        if (i % 14 == 2)
            add(revocation_record(&network, authors[i].identity.id, NOW - draw(600)));
    }
}

static void order_and_repetition_do_not_matter(void **state)
{
    static struct puppet couriers[HOSTS][COURIERS];

    for (uint64_t run = 0; run < 6; run++) {
        begin(run);
        make_history();
        for (unsigned h = 0; h < HOSTS; h++) {
            assert_int_equal(host_open(&hosts[h], &network, 1 + h, NULL), GV_OK);
            struct puppet as_author = {.network = &network};
            memcpy(as_author.certificate, hosts[h].certificate, GV_CERTIFICATE_LEN);
            add(certificate_record(&as_author));
        }
        for (unsigned h = 0; h < HOSTS; h++) {
            for (unsigned c = 0; c < COURIERS; c++) {
                puppet_make(&couriers[h][c], &network, 900 + c);
                assert_true(puppet_join(&couriers[h][c], &hosts[h]));
            }
            /* Twice more, as repair would: what was over a quota that a retraction freed, and what
             * came before its certificate. */
            for (int round = 0; round < 3; round++)
                deliver_round(couriers[h]);
        }
        for (unsigned h = 1; h < HOSTS; h++)
            assert_same(&hosts[0], &hosts[h]);
        if (run == 0) {
            struct gv_core_status status = host_status(&hosts[0]);
            print_message("%zu records; held: %zu statements on %zu subjects, %zu untrusted\n",
                          record_count, status.statements, status.subjects, status.untrusted);
            assert_true(status.statements > 100 && status.untrusted > 3);
        }
        for (unsigned h = 0; h < HOSTS; h++) {
            for (unsigned c = 0; c < COURIERS; c++)
                puppet_free(&couriers[h][c]);
            host_close(&hosts[h]);
        }
        end();
    }
}

/* ---- repair --------------------------------------------------------------------------------- */

static const char *const seed_address = "11.99.7.7:4727";

static void load(struct host *host, unsigned percent)
{
    static size_t order[RECORDS];

    shuffle(order, record_count);
    /* A roster, or there is nothing to say anything with. */
    for (size_t i = 0; i < record_count; i++)
        if (records[i].data[0] == GV_RECORD_CERTIFICATE)
            host_news(host, records[i].data, records[i].len);
    for (size_t i = 0; i < record_count; i++)
        if (draw(100) < percent)
            host_news(host, records[order[i]].data, records[order[i]].len);
}

static void connect_and_repair(uint64_t run, uint32_t size, unsigned percent_a, unsigned percent_b,
                               uint64_t limit_ms)
{
    struct gv_settings settings = {.share = GV_SHARE_YES, .seeds = &seed_address, .seed_count = 1};
    struct host *const pair[2] = {&hosts[0], &hosts[1]};
    uint64_t took = 0;

    begin(run);
    for (unsigned i = 0; i < AUTHORS; i++)
        add(certificate_record(&authors[i]));
    for (uint32_t i = 0; i < size; i++)
        add_statements(&authors[draw(AUTHORS)], 1, 23 * 60);
    assert_int_equal(host_open(pair[0], &network, 1, &settings), GV_OK);
    assert_int_equal(host_open(pair[1], &network, 2, NULL), GV_OK);
    load(pair[0], percent_a);
    load(pair[1], percent_b);
    host_run(pair[0], 10);
    host_run(pair[1], 10);
    assert_true(hosts_connect(pair[0], pair[1]));
    hosts_pump(pair, 2);
    while (took < limit_ms && memcmp(host_status(pair[0]).set_fingerprint,
                                     host_status(pair[1]).set_fingerprint, GV_ID_LEN) != 0) {
        hosts_run(pair, 2, 1000);
        took += 1000;
    }
    if (took >= limit_ms)
        fail_msg("seed %llu run %llu: %u records, %u%% and %u%%: %zu and %zu after %u s",
                 (unsigned long long)seed, (unsigned long long)run, size, percent_a, percent_b,
                 host_status(pair[0]).statements, host_status(pair[1]).statements,
                 (unsigned)(took / 1000));
    hosts_run(pair, 2, 10000); /* certificates wait a little for company */
    assert_same(pair[0], pair[1]);
    host_close(pair[0]);
    host_close(pair[1]);
    end();
}

static void two_that_differ_become_one(void **state)
{
    static const uint32_t sizes[] = {0, 1, 2, 31, 32, 33, 64, 65, 300, 513, 1025, 2000};
    static const unsigned percents[][2] = {{0, 100}, {100, 0}, {100, 99}, {50, 50}, {90, 90}};
    uint64_t run = 1000;

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t p = 0; p < sizeof percents / sizeof *percents; p++)
            if (sizes[i] < 1000 || (i + p) % 3 == 0)
                connect_and_repair(run++, sizes[i], percents[p][0], percents[p][1], 900000);
}

static void repair_is_quick_enough_for_a_join(void **state)
{
    connect_and_repair(2000, 2000, 100, 0, 30000);
    connect_and_repair(2001, 2000, 0, 100, 30000);
}

/* Who lacks nothing is told nothing: the bytes of a repair between equals. */
static void equals_say_little(void **state)
{
    struct gv_settings settings = {.share = GV_SHARE_YES, .seeds = &seed_address, .seed_count = 1};
    struct host *const pair[2] = {&hosts[0], &hosts[1]};

    begin(3000);
    for (unsigned i = 0; i < AUTHORS; i++) {
        add(certificate_record(&authors[i]));
        add_statements(&authors[i], 40, 20 * 60);
    }
    assert_int_equal(host_open(pair[0], &network, 1, &settings), GV_OK);
    assert_int_equal(host_open(pair[1], &network, 2, NULL), GV_OK);
    load(pair[0], 100);
    load(pair[0], 100);
    load(pair[1], 100);
    load(pair[1], 100);
    host_run(pair[0], 10);
    host_run(pair[1], 10);
    assert_true(hosts_connect(pair[0], pair[1]));
    hosts_run(pair, 2, 60000);
    pair[0]->bytes_out = pair[1]->bytes_out = 0;
    hosts_run(pair, 2, 3600000);
    print_message("an hour of repair between equals: %u bytes each\n",
                  (unsigned)(pair[0]->bytes_out + pair[1]->bytes_out) / 2);
    assert_true(pair[0]->bytes_out + pair[1]->bytes_out < 20000);
    assert_same(pair[0], pair[1]);
    host_close(pair[0]);
    host_close(pair[1]);
    end();
}

int main(void)
{
    const char *given = getenv("GV_SEED");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_and_repetition_do_not_matter),
        cmocka_unit_test(two_that_differ_become_one),
        cmocka_unit_test(repair_is_quick_enough_for_a_join),
        cmocka_unit_test(equals_say_little),
    };

    seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    printf("GV_SEED=%llu\n", (unsigned long long)seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
