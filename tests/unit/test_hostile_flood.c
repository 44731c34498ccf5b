/* Floods, by members and by strangers (SPEC 9.9): they cost the news of others nothing, and whoever
 * goes on is sent away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "crypto/error.h"
#include "helper_puppet.h"
#include "proto/limits.h"
#include "proto/mesh/state.h"

#define NOW STAGE_MINUTE

static struct network network;
static struct host host;
static struct puppet flooder, sender, receiver;

static int stage_up(void **state)
{
    network_open(&network, 1, true);
    puppet_make(&flooder, &network, 2);
    puppet_make(&sender, &network, 3);
    puppet_make(&receiver, &network, 4);
    assert_int_equal(host_open(&host, &network, 1, NULL), GV_OK);
    assert_true(puppet_join(&flooder, &host));
    assert_true(puppet_join(&sender, &host));
    assert_true(puppet_join(&receiver, &host));
    host_run(&host, 2 * GV_EXCHANGE_MS);
    return 0;
}

static int stage_down(void **state)
{
    puppet_free(&flooder);
    puppet_free(&sender);
    puppet_free(&receiver);
    host_close(&host);
    network_close(&network);
    return 0;
}

static void assert_news_travel(unsigned number)
{
    struct gv_buf record = puppet_signal_on(&sender, number, NOW);

    puppet_forget(&receiver);
    puppet_give(&sender, &record);
    host_run(&host, 1000);
    puppet_work(&receiver);
    assert_true(puppet_heard_record(&receiver, &record));
    gv_buf_free(&record);
}

static uint64_t excess(void)
{
    const struct gv_traffic *traffic = gv_core_traffic(host.core);

    return traffic->total.in[GV_CAUSE_EXCESS] + traffic->total.out[GV_CAUSE_EXCESS];
}

/* Pings are the cheapest thing that a member may say. */
static void flood(uint64_t bytes)
{
    static uint8_t plain[GV_FRAME_PLAIN_MAX / 3 * 3];
    static const uint8_t ping[3] = {0x92, GV_MESSAGE_PING, 7};

    for (size_t at = 0; at < sizeof plain; at += sizeof ping)
        memcpy(plain + at, ping, sizeof ping);
    for (uint64_t sent = 0; sent < bytes && !flooder.closed; sent += sizeof plain)
        puppet_say(&flooder, plain, sizeof plain);
}

static void a_flood_keeps_no_news_waiting(void **state)
{
    uint64_t cap = gv_core_traffic(host.core)->cap;

    flood(3 * cap);
    assert_true(excess() > 2 * cap);
    assert_true(flooder.count[GV_MESSAGE_PONG] <= GV_PINGS_PER_MINUTE);
    assert_news_travel(1);
    /* What was charged is a share of a minute. */
    struct gv_traffic_sum sum;
    gv_traffic_recent(gv_core_traffic(host.core), &sum, GV_TRAFFIC_HOUR);
    assert_true(gv_traffic_under_cap(&sum) < cap / 10);
}

/* Own words that are held already, over and over: the answers must not cost what news are carried
 * by. */
static void who_repeats_himself_keeps_no_news_waiting(void **state)
{
    struct gv_buf message;

    gv_buf_init(&message);
    gv_message_records_start(&message, 32);
    for (unsigned i = 0; i < 32; i++) {
        struct gv_buf record = puppet_signal_on(&flooder, 100 + i, NOW);
        gv_message_record(&message, record.data, record.len);
        gv_buf_free(&record);
    }
    for (unsigned i = 0; i < 20 * 60 && !flooder.closed; i++) { /* 20 a second, for a minute */
        puppet_say(&flooder, message.data, message.len);
        host_run(&host, 50);
        puppet_work(&flooder);
        if (i == 20) /* some he is told again: an answer may be lost */
            assert_true(flooder.count[GV_MESSAGE_ACK] >= 8);
    }
    gv_buf_free(&message);
    assert_true(flooder.count[GV_MESSAGE_ACK] <= 2 * (2 + GV_REPEATS_PER_MINUTE / 32));
    assert_news_travel(6);
    host_run(&host, 60000);
    puppet_work(&flooder);
    assert_true(flooder.closed);
    assert_news_travel(7);
}

/* Each stays within his share of the minute; together they empty the bucket, but not the reserve.
 */
static void many_who_come_and_go_keep_no_news_waiting(void **state)
{
    static const uint8_t ping[3] = {0x92, GV_MESSAGE_PING, 7};
    static uint8_t plain[12000];

    for (size_t at = 0; at < sizeof plain; at += sizeof ping)
        memcpy(plain + at, ping, sizeof ping);
    for (unsigned i = 0; i < 70; i++) {
        struct puppet guest;
        puppet_make(&guest, &network, 100 + i);
        assert_true(puppet_join(&guest, &host));
        puppet_say(&guest, plain, sizeof plain);
        host_run(&host, 100);
        puppet_work(&guest);
        assert_false(guest.closed);
        puppet_leave(&guest);
        puppet_free(&guest);
    }
    assert_true(gv_core_traffic(host.core)->tokens <= 0);
    assert_news_travel(4);
    host_run(&host, 60000); /* nor is the node deaf for what they did who are gone */
    assert_news_travel(5);
}

static void who_floods_is_sent_away_for_a_while(void **state)
{
    flood(gv_core_traffic(host.core)->cap / 10);
    host_run(&host, 60000);
    puppet_work(&flooder);
    assert_true(flooder.closed);
    assert_int_equal(flooder.goodbye, GV_GOODBYE_BUSY);
    assert_int_equal(host.notes[GV_NOTE_PEER_REFUSED], 0); /* it broke no rule */
    assert_false(puppet_join(&flooder, &host));
    assert_false(sender.closed);
    assert_news_travel(2);
    host_run(&host, GV_BAN_MS);
    assert_true(puppet_join(&flooder, &host));
}

/* Fills a frame with copies of a message and frees it. */
static void say_often(struct gv_buf *message)
{
    static uint8_t plain[GV_FRAME_PLAIN_MAX];
    size_t len = 0;

    for (; len + message->len <= sizeof plain; len += message->len)
        memcpy(plain + len, message->data, message->len);
    gv_buf_free(message);
    puppet_say(&flooder, plain, len);
}

/* Lists 32 records that nobody has, and says that the rest differs. */
static void compare_once(unsigned number)
{
    static uint8_t ids[32 * GV_ID_LEN];
    struct gv_range ranges[2] = {
        {.high = {.minute = 1}, .mode = GV_RANGE_IDS, .data = ids, .count = 32},
        {.high = {.minute = UINT32_MAX}, .mode = GV_RANGE_FINGERPRINT, .data = ids}};
    struct gv_buf message;

    for (unsigned i = 0; i < 32; i++)
        memcpy(ids + i * GV_ID_LEN, &(unsigned[2]){number, i}, sizeof(unsigned[2]));
    gv_buf_init(&message);
    gv_message_reconcile(&message, GV_TREE_STATEMENTS, 0, ranges, 2);
    say_often(&message);
}

static void join_all(void)
{
    for (size_t i = 0; i < host.core->link_count; i++)
        host.core->links[i]->joined = true;
}

/* Comparing sets is no licence to flood, whether he is answered or not; nor is what he makes us ask
 * for. */
static void who_compares_over_and_over_is_sent_away(void **state)
{
    uint64_t cap = gv_core_traffic(host.core)->cap, sent = 0;

    join_all();
    for (unsigned i = 0; i < 60 && !flooder.closed; i++) {
        compare_once(i);
        sent += GV_FRAME_PLAIN_MAX;
        host_run(&host, 1000);
        puppet_work(&flooder);
    }
    assert_true(flooder.count[GV_MESSAGE_WANT] > 0);
    assert_true(flooder.count[GV_MESSAGE_RECONCILE] <= 2 * GV_REPAIR_PER_MINUTE);
    host_run(&host, 60000);
    puppet_work(&flooder);
    assert_true(flooder.closed);
    assert_int_equal(flooder.goodbye, GV_GOODBYE_BUSY);
    assert_int_equal(host.notes[GV_NOTE_PEER_REFUSED], 0);
    assert_true(excess() > sent - cap / 6);
    assert_news_travel(8);
}

/* Who brings as many bytes, all of which were lacking here, is welcome. */
static void who_brings_what_is_new_stays(void **state)
{
    uint64_t cap = gv_core_traffic(host.core)->cap, sent = 0;
    enum { AUTHORS = 30, EACH = 30 };

    join_all();
    for (unsigned i = 0; i < AUTHORS; i++) {
        struct gv_buf message;
        struct puppet author;
        puppet_make(&author, &network, 100 + i);
        puppet_hand(&flooder, certificate_record(&author));
        gv_buf_init(&message);
        gv_message_records_start(&message, EACH);
        for (unsigned j = 0; j < EACH; j++) {
            struct gv_buf record = puppet_signal_on(&author, 1000 * i + j, NOW);
            gv_message_record(&message, record.data, record.len);
            gv_buf_free(&record);
        }
        sent += message.len;
        puppet_say_buf(&flooder, &message);
        puppet_free(&author);
        host_run(&host, 1000);
    }
    assert_true(sent > (GV_FLOOD_SHARES + 1) * cap / 60);
    assert_int_equal(excess(), 0);
    host_run(&host, 60000);
    puppet_work(&flooder);
    assert_false(flooder.closed);
}

/* In an exchange that was begun here what he sends is charged an eighth at once, and what comes
 * twice takes nothing off again: it would erase what he flooded before. In one that he began all is
 * charged, and a duplicate comes down to an eighth. */
static void what_comes_twice_takes_nothing_off_that_was_not_charged(void **state)
{
    struct gv_link *link = host.core->links[0];

    link->spent.bytes = 1000;
    gv_account_asked(host.core, link);
    gv_account_record(host.core, link, 80, false);
    assert_int_equal(link->spent.bytes, 1000);
    link->asked_ms = 0;
    gv_account_record(host.core, link, 80, false);
    assert_int_equal(link->spent.bytes, 1000 - 70);
    gv_account_record(host.core, link, 80, true);
    assert_int_equal(link->spent.bytes, 1000 - 70 - 80 - 2 * GV_ID_LEN);
}

static void who_sends_a_little_stays(void **state)
{
    for (unsigned minute = 0; minute < 10; minute++) {
        flood(1); /* one frame, of just less than four shares of a minute */
        puppet_work(&flooder);
        host_run(&host, 30000);
        host_run(&host, 60000);
    }
    puppet_work(&flooder);
    assert_false(flooder.closed);
}

static void strangers_keep_no_news_waiting(void **state)
{
    struct puppet stranger;

    puppet_make(&stranger, &network, 5);
    for (unsigned i = 0; i < 4000; i++) {
        struct gv_address address = make_address(1000 + i);
        puppet_knock(&stranger, &host, &address);
        if (!stranger.closed)
            puppet_leave(&stranger);
        if (i % 100 == 99)
            host_run(&host, 1000);
    }
    assert_true(excess() > 100000);
    assert_news_travel(3);
    puppet_free(&stranger);
}

int main(void)
{
#define STORY(name) cmocka_unit_test_setup_teardown(name, stage_up, stage_down)
    const struct CMUnitTest tests[] = {
        STORY(a_flood_keeps_no_news_waiting),
        STORY(who_repeats_himself_keeps_no_news_waiting),
        STORY(many_who_come_and_go_keep_no_news_waiting),
        STORY(who_floods_is_sent_away_for_a_while),
        STORY(who_compares_over_and_over_is_sent_away),
        STORY(who_brings_what_is_new_stays),
        STORY(what_comes_twice_takes_nothing_off_that_was_not_charged),
        STORY(who_sends_a_little_stays),
        STORY(strangers_keep_no_news_waiting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
