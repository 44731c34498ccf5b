/* What a single member, or a crowd of strangers, may cost a node: places, bytes, rows, calls
 * (SPEC 5.4, 8.3 to 8.5, 9.4, 9.5). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "helper_stage.h"
#include "proto/limits.h"

#define NOW    STAGE_MINUTE
#define HOUR   3600000ull
#define MANY   3000u /* records */
#define PROOFS 1000u

static const struct gv_event timer = {.kind = GV_EVENT_TIMER};

static int tell(struct host *to, struct gv_buf record)
{
    int rc = host_news(to, record.data, record.len);

    gv_buf_free(&record);
    return rc;
}

static void reopen_with_seeds(size_t seeds, uint16_t max_links)
{
    static const char *const list[] = {"12.1.7.7:4727", "12.2.7.7:4727", "12.3.7.7:4727",
                                       "12.4.7.7:4727", "12.5.7.7:4727"};
    struct gv_settings settings = {
        .share = GV_SHARE_YES, .max_links = max_links, .seeds = list, .seed_count = seeds};

    host_close(&host);
    assert_int_equal(host_open(&host, &network, 1, &settings), GV_OK);
}

/* Of so many links, those that addresses nobody knows may have (SPEC 5.4). */
#define FOR_UNKNOWN(links) ((links)-GV_PEERS_WANTED - ((links)-GV_PEERS_WANTED) / GV_KNOWN_SHARE)

/* ---- places --------------------------------------------------------------------------------- */

/* A deadline in the past is a busy loop. */
static void assert_deadline_ahead(void)
{
    host_step(&host, &timer);
    assert_true(gv_core_deadline(host.core) > host.now_ms);
}

static void members_cannot_take_the_places_for_own_choice(void **state)
{
    static struct puppet guests[20];
    size_t let_in = 0;

    reopen_with_seeds(0, 16);
    for (unsigned i = 0; i < 20; i++) {
        puppet_make(&guests[i], &network, 100 + i);
        let_in += puppet_join(&guests[i], &host);
    }
    assert_int_equal(let_in, FOR_UNKNOWN(16));
    /* Somewhere to dial to becomes known only now. */
    for (unsigned i = 0; i < 3; i++) {
        struct gv_address address = make_address(400 + i);
        tell(&host, certificate_record(&guests[19 - i]));
        tell(&host, address_record(&guests[19 - i], &address, NOW));
    }
    assert_deadline_ahead();
    assert_int_equal(host.dial_count, GV_PEERS_OUTBOUND);
    assert_true(puppet_answer(&other, &host));
    assert_int_equal(host_status(&host).peers_outbound, 1);
    for (unsigned i = 0; i < 20; i++)
        puppet_free(&guests[i]);
}

static void half_open_strangers_cannot_either(void **state)
{
    size_t let_in = 0;

    reopen_with_seeds(0, 16);
    for (unsigned i = 0; i < 40; i++) {
        struct gv_address address = make_address(1000 + i);
        uint32_t link = host_call(&host, &address);
        let_in += !host_end_of(&host, link)->closed;
    }
    assert_int_equal(let_in, FOR_UNKNOWN(16));
    for (unsigned i = 0; i < GV_PEERS_WANTED; i++) {
        struct gv_address address = make_address(400 + i);
        struct puppet member;
        puppet_make(&member, &network, 100 + i);
        tell(&host, certificate_record(&member));
        tell(&host, address_record(&member, &address, NOW));
        puppet_free(&member);
    }
    assert_deadline_ahead();
    assert_int_equal(host.dial_count, GV_PEERS_WANTED);
}

/* Should the table be full all the same, the next tries wait. */
static void a_full_table_is_no_busy_loop(void **state)
{
    unsigned steps = 0;

    reopen_with_seeds(5, 2);
    while (host.now_ms < 20000 && steps < 1000) {
        uint64_t due = gv_core_deadline(host.core);
        if (due > host.now_ms)
            host.now_ms = due;
        host_step(&host, &timer);
        steps++;
    }
    assert_in_range(steps, 1, 200);
    host_run(&host, 60000);
    assert_in_range(host.notes[GV_NOTE_CONNECT_FAILED], 5, 10); /* 15 s each, two at a time */
}

/* ---- repair --------------------------------------------------------------------------------- */

/* `count` signals of instances 100 and on, 700 each, over the last 22 hours. */
static void fill(struct host *to, unsigned count)
{
    for (unsigned i = 0; i < count;) {
        struct puppet author;
        puppet_make(&author, &network, 100 + i / 700);
        tell(to, certificate_record(&author));
        for (unsigned n = 0; n < 700 && i < count; n++, i++) {
            struct gv_subject subject = subject_of(i + 1);
            struct gv_statement s = puppet_signal(&author, &subject, NOW - 60 * (n / 32));
            assert_int_equal(tell(to, sign_statement(&author, &s)), GV_OK);
        }
        puppet_free(&author);
    }
    assert_int_equal(host_status(to).statements, count);
}

/* host dials far. */
static void connect_second(int64_t skew_ms)
{
    uint8_t certificate[GV_CERTIFICATE_LEN];
    struct gv_identity identity = far.identity;
    uint64_t now_ms = host.now_ms;

    memcpy(certificate, far.certificate, sizeof certificate);
    host_close(&far);
    memset(&far, 0, sizeof far);
    far.skew_ms = skew_ms;
    far.now_ms = now_ms;
    assert_int_equal(host_open_with(&far, &network, &identity, certificate, NULL), GV_OK);
    host_step(&host, &timer);
    assert_true(hosts_connect(&host, &far));
}

static void who_joins_with_nothing_is_fed_quickly(void **state)
{
    struct host *const both[] = {&host, &far};

    reopen_with_seeds(1, 0);
    fill(&host, MANY);
    connect_second(0);
    hosts_run(both, 2, 20000);
    assert_int_equal(host_status(&far).statements, MANY);
}

static void who_takes_nothing_is_not_fed_for_ever(void **state)
{
    struct host *const both[] = {&host, &far};

    reopen_with_seeds(1, 0);
    fill(&host, MANY);
    connect_second(25 * (int64_t)HOUR);
    uint64_t before = host.bytes_out;
    hosts_run(both, 2, HOUR / 2);
    print_message("to a peer that takes nothing, in 30 minutes: %u bytes\n",
                  (unsigned)(host.bytes_out - before));
    assert_int_equal(host_status(&far).statements, 0);
    assert_int_equal(host_status(&far).peers, 1);
    /* 67 kB a push, at 1, 2, 4, ... 256, 300, 300 ... s, and with the ordinary repair every 3
     * minutes: 25 of them. */
    assert_true(host.bytes_out - before < 2500000);
}

/* Who asks for everything again and again gets so many records a minute. */
static void pushes_count_against_the_minutes_budget(void **state)
{
    fill(&host, 1000);
    assert_true(puppet_join(&puppet, &host));
    puppet_forget(&puppet);
    for (unsigned i = 0; i < 100; i++)
        puppet_ask(&puppet, GV_TREE_STATEMENTS);
    unsigned heard = puppet.records[GV_RECORD_SIGNAL];
    assert_in_range(heard, 1000, GV_WANTS_PER_MINUTE);
    host_run(&host, 61000);
    puppet_forget(&puppet);
    puppet_ask(&puppet, GV_TREE_STATEMENTS);
    assert_true(puppet.records[GV_RECORD_SIGNAL] > 0);
}

/* ---- what is replaced ----------------------------------------------------------------------- */

static int falling_ids(const void *left, const void *right)
{
    uint8_t a[GV_ID_LEN], b[GV_ID_LEN];

    record_id(a, left);
    record_id(b, right);
    return memcmp(b, a, GV_ID_LEN);
}

/* Of two proofs the smaller id stays: whoever contradicts himself a thousand times must not keep
 * the whole mesh busy with it. */
static void a_thousand_proofs_against_one_are_not_passed_on(void **state)
{
    static struct gv_buf proofs[PROOFS];
    struct gv_subject one = subject_of(1), two = subject_of(2);

    assert_true(puppet_join(&other, &host));
    puppet_hand(&other, certificate_record(&puppet));
    for (unsigned i = 0; i < PROOFS; i++) {
        struct gv_statement s = puppet_signal(&puppet, &one, NOW);
        struct gv_buf a = sign_statement(&puppet, &s), b;
        s.subject = two;
        b = sign_statement(&puppet, &s);
        proofs[i] = fault_record(&a, &b);
        gv_buf_free(&a);
        gv_buf_free(&b);
    }
    qsort(proofs, PROOFS, sizeof *proofs, falling_ids);
    unsigned before = host.persisted[GV_ROW_RECORD];
    for (unsigned i = 0; i < PROOFS / 2; i++)
        puppet_give(&other, &proofs[i]);
    assert_int_equal(host.persisted[GV_ROW_RECORD] - before, 1 + GV_REPLACED_PER_HOUR);
    host_run(&host, HOUR);
    if (other.closed)
        assert_true(puppet_join(&other, &host));
    before = host.persisted[GV_ROW_RECORD];
    for (unsigned i = PROOFS / 2; i < PROOFS; i++)
        puppet_give(&other, &proofs[i]);
    assert_int_equal(host.persisted[GV_ROW_RECORD] - before, GV_REPLACED_PER_HOUR);
    assert_int_equal(host.notes[GV_NOTE_FAULT], 1);
    assert_int_equal(host.notes[GV_NOTE_PEER_REFUSED], 0);
    for (unsigned i = 0; i < PROOFS; i++)
        gv_buf_free(&proofs[i]);
}

static void who_moves_three_thousand_times_has_one_place(void **state)
{
    unsigned before;

    assert_true(puppet_join(&puppet, &host)); /* so he is not dialled */
    assert_true(puppet_join(&other, &host));
    before = host.persisted[GV_ROW_RECORD];
    for (unsigned i = 0; i < MANY; i++) {
        struct gv_address address = make_address(300 + i);
        puppet_hand(&other, address_record(&puppet, &address, NOW - MANY + i));
    }
    assert_int_equal(host.persisted[GV_ROW_RECORD] - before, 1 + GV_REPLACED_PER_HOUR);
    assert_int_equal(host.notes[GV_NOTE_PEER_REFUSED], 0);
    assert_int_equal(host_status(&host).known_addresses, 1);
}

/* ---- those that weigh nothing ---------------------------------------------------------------- */

static void open_with_room_for(size_t statements)
{
    struct gv_core_options options = {.identity = &host.identity,
                                      .descriptor = network.wire.data,
                                      .descriptor_len = network.wire.len,
                                      .certificate = host.certificate,
                                      .settings = {.share = GV_SHARE_YES},
                                      .statements_max = statements};

    gv_core_free(host.core);
    assert_int_equal(gv_core_new(&host.core, &options, host.now_ms, host_unix_ms(&host)), GV_OK);
}

static void signals(struct puppet *by, unsigned from, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct gv_subject subject = subject_of(from + i);
        struct gv_statement s = puppet_signal(by, &subject, host_minute(&host));
        puppet_hand(by, sign_statement(by, &s));
    }
}

static void newcomers_fill_half_of_the_store(void **state)
{
    host.now_ms = 1000;
    open_with_room_for(40);
    puppet.facts.since_min = NOW - STAGE_DAY; /* of 100: no standing yet */
    puppet_certify(&puppet);
    assert_true(puppet_join(&puppet, &host));
    assert_true(puppet_join(&other, &host));
    signals(&puppet, 1, 30);
    assert_int_equal(host_status(&host).statements, 20);
    assert_int_equal(host.notes[GV_NOTE_SET_FULL], 1);
    signals(&other, 101, 30);
    assert_int_equal(host_status(&host).statements, 40);
    assert_int_equal(host.notes[GV_NOTE_SET_FULL], 1);
    puppet_leave(&puppet);
    puppet_leave(&other);
    host_run(&host, HOUR);
    assert_true(puppet_join(&other, &host));
    signals(&other, 201, 5);
    assert_int_equal(host.notes[GV_NOTE_SET_FULL], 2);
    assert_int_equal(host_status(&host).statements, 40);
    assert_int_equal(host.notes[GV_NOTE_PEER_REFUSED], 0);
}

/* ---- calls ---------------------------------------------------------------------------------- */

enum ending { HANGS_UP, SAYS_INVALID, IS_REVOKED };

/* Dials in an hour to a peer whose every session ends so; 60 are as good as a thousand. */
static unsigned dials_in_an_hour(enum ending ending)
{
    unsigned dials = 0;

    reopen_with_seeds(1, 0);
    if (ending == IS_REVOKED) {
        tell(&host, certificate_record(&puppet));
        tell(&host, revocation_record(&network, puppet.identity.id, NOW));
    }
    while (host.now_ms < HOUR && dials < 60) {
        host_run(&host, 500);
        if (host.dial_count == 0)
            continue;
        dials++;
        assert_int_equal(puppet_answer(&puppet, &host), ending != IS_REVOKED);
        if (ending == SAYS_INVALID) {
            struct gv_buf message;
            puppet_hello(&puppet);
            gv_buf_init(&message);
            gv_message_goodbye(&message, GV_GOODBYE_INVALID);
            puppet_say_buf(&puppet, &message);
        }
        puppet_leave(&puppet);
    }
    return dials;
}

static void who_ends_every_session_is_dialled_ever_more_seldom(void **state)
{
    /* 2, 4, ... 512, 600, 600 ... s, a quarter less at worst. */
    assert_in_range(dials_in_an_hour(HANGS_UP), 5, 20);
    assert_in_range(dials_in_an_hour(SAYS_INVALID), 5, 9);
    assert_in_range(dials_in_an_hour(IS_REVOKED), 1, 2);
}

/* ---- a full address book --------------------------------------------------------------------- */

static void load_peer(const struct gv_address *address)
{
    uint8_t key[18];
    struct gv_event event = {.kind = GV_EVENT_LOADED};

    event.loaded.row = GV_ROW_PEER;
    event.loaded.key = key;
    event.loaded.key_len = gv_address_pack(key, address);
    assert_int_equal(host_step(&host, &event), GV_OK);
}

static void what_a_full_book_gives_up_leaves_the_store(void **state)
{
    for (unsigned i = 0; i < GV_PEER_BOOK_MAX; i++) {
        struct gv_address address = make_address(i);
        load_peer(&address);
    }
    assert_int_equal(host_status(&host).known_addresses, GV_PEER_BOOK_MAX);
    assert_int_equal(host.forgotten[GV_ROW_PEER], 0);
    struct gv_address late = make_address(5000);
    load_peer(&late);
    assert_int_equal(host_status(&host).known_addresses, GV_PEER_BOOK_MAX);
    assert_int_equal(host.forgotten[GV_ROW_PEER], 1);
}

int main(void)
{
#define STORY(name) cmocka_unit_test_setup_teardown(name, stage_up, stage_down)
    const struct CMUnitTest tests[] = {
        STORY(members_cannot_take_the_places_for_own_choice),
        STORY(half_open_strangers_cannot_either),
        STORY(a_full_table_is_no_busy_loop),
        STORY(who_joins_with_nothing_is_fed_quickly),
        STORY(who_takes_nothing_is_not_fed_for_ever),
        STORY(pushes_count_against_the_minutes_budget),
        STORY(a_thousand_proofs_against_one_are_not_passed_on),
        STORY(who_moves_three_thousand_times_has_one_place),
        STORY(newcomers_fill_half_of_the_store),
        STORY(who_ends_every_session_is_dialled_ever_more_seldom),
        STORY(what_a_full_book_gives_up_leaves_the_store),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
