/* What a member may not say (SPEC 7), what it costs him, and the limits of links in number and in
 * time (SPEC 5.3 to 5.5, 9.4). */
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
#include "proto/wire/codec.h"

/* ---- shapes --------------------------------------------------------------------------------- */

#define ID "c410000102030405060708090a0b0c0d0e0f"

struct message_case {
    const char *name;
    const char *hex;
    bool good;
};

static const struct message_case message_cases[] = {
    {"ping", "920207", true},
    {"ping, largest number", "9202cfffffffffffffffff", true},
    {"ping without a number", "9102", false},
    {"ping with two", "93020707", false},
    {"ping, negative", "9202ff", false},
    {"ping, number as str", "9202a137", false},
    {"ping, number not shortest", "9202cc07", false},
    {"pong out of the blue", "920307", true},
    {"no message at all", "90", false},
    {"message 0", "920007", false},
    {"message 99", "926307", false},
    {"prune of all trees", "9209ccff", true},
    {"prune of none", "920900", true},
    {"prune of more trees than there are", "9209cd0100", false},
    {"prune without trees", "9109", false},
    {"offer", "920ac4080001020304050607", true},
    {"offer of nothing", "920ac400", false},
    {"offer of half a mark", "920ac4020001", false},
    {"offer, marks as str", "920aa83030303030303030", false},
    {"graft without marks", "930b01c400", true},
    {"graft with one", "930b01c4080001020304050607", true},
    {"graft with half a mark", "930b01c4020001", false},
    {"graft without trees", "920bc400", false},
    {"errand", "910c", true},
    {"errand with a number", "920c00", false},
    {"whisper of nothing", "920d90", true},
    {"whisper, not an array", "920dc40100", false},
    {"whisper of a record of one byte", "920d91c40101", false},
    {"ask", "920ec404c6336407", true},
    {"ask about IPv6", "920ec40820010db800000001", true},
    {"ask about five bytes", "920ec4050102030405", false},
    {"ask about nothing", "920ec400", false},
    {"ask, subject as number", "920e07", false},
    {"message 4294967298, which is 2 to 32 bits", "92cf000000010000000207", false},
    {"number as str", "92a13207", false},
    {"not an array", "02", false},
    {"nil", "c0", false},
    {"map", "810207", false},
    {"two messages", "920207920208", true},
    {"a message and half of one", "92020792", false},
    {"a count of 2^28", "dd0fffffff00", false},
    {"a count of 65535", "dcffff00", false},
    {"second HELLO", "940101cf0000019aa5b3c400a0", false},
    {"no records", "920490", true},
    {"records, not an array", "9204c40100", false},
    {"a record of one byte", "920491c40101", false},
    {"a record of no byte", "920491c400", false},
    {"a record of an unknown kind", "920491c4020800", false},
    {"a record of kind 0", "920491c4020000", false},
    {"a signal that ends in its signature", "920491c4020100", false},
    {"ack of one", "9205" ID, true},
    {"ack of nothing", "9205c400", false},
    {"ack of half an id", "9205c4080001020304050607", false},
    {"ack of an id and a byte", "9205c411000102030405060708090a0b0c0d0e0f10", false},
    {"ack as str", "9205b0000102030405060708090a0b0c0d0e0f", false},
    {"want of one", "9206" ID, true},
    {"want of nothing", "9206c400", false},
    {"reconcile: nothing left", "9407000090", true},
    {"reconcile: tree 2", "9407020090", false},
    {"reconcile: no ranges", "93070000", false},
    {"reconcile: skip everything", "940700009194ceffffffffc40000c400", true},
    {"reconcile: skip with bytes", "940700009194ceffffffffc40000" ID, false},
    {"reconcile: fingerprint", "940700009194ceffffffffc40001" ID, true},
    {"reconcile: fingerprint cut", "940700009194ceffffffffc40001c40f000102030405060708090a0b0c0d0e",
     false},
    {"reconcile: two fingerprints",
     "940700009194ceffffffffc40001c420000102030405060708090a0b0c0d0e0f"
     "000102030405060708090a0b0c0d0e0f",
     false},
    {"reconcile: ids", "940700009194ceffffffffc40002" ID, true},
    {"reconcile: half an id", "940700009194ceffffffffc40002c4080001020304050607", false},
    {"reconcile: mode 3", "940700009194ceffffffffc40003c400", false},
    {"reconcile: range of three", "940700009193ceffffffffc40000", false},
    {"reconcile: range of five", "940700009195ceffffffffc40000c40000", false},
    {"reconcile: high id of 17", "94070000919405c411000102030405060708090a0b0c0d0e0f1000c400",
     false},
    {"reconcile: ranges going back", "94070000929405c40000c4009404c40000c400", false},
    {"reconcile: ids going back", "94070000929405c4010200c4009405c4010100c400", false},
    {"reconcile: below low", "94070006919405c40000c400", false},
    {"reconcile: minute beyond 32 bits", "940700009194cf0000000100000000c40000c400", false},
    {"reconcile: low beyond 32 bits", "940700cf000000010000000090", false},
    {"reconcile: tree as bin", "9407c4000090", false},
    {"goodbye without a reason", "9108", false},
    {"follow", "921001", true},
    {"follow no more", "921000", true},
    {"follow 2", "921002", false},
    {"follow without a number", "9110", false},
    {"message 15", "920f01", false},
    {"message 18", "921201", false},
    {"no locks", "921190", true},
    {"a lock", "92119192c40401020304cd0e10", true},
    {"a lock of an IPv6 /64", "92119192c4082a000000000000013c", true},
    {"a lock for too long", "92119192c40401020304cd0e11", false},
    {"a lock without seconds", "92119191c40401020304", false},
    {"a lock with more", "92119193c404010203040000", false},
    {"a lock of five bytes", "92119192c40501020304053c", false},
    {"a lock of nothing", "92119192c4003c", false},
    {"locks, not an array", "921101", false},
};

static size_t from_hex(uint8_t *out, const char *hex)
{
    size_t len = strlen(hex) / 2;

    for (size_t i = 0; i < len; i++) {
        char two[3] = {hex[2 * i], hex[2 * i + 1], 0};
        out[i] = (uint8_t)strtoul(two, NULL, 16);
    }
    return len;
}

static void messages_have_one_shape(void **state)
{
    uint8_t plain[256];

    for (size_t i = 0; i < sizeof message_cases / sizeof *message_cases; i++) {
        const struct message_case *c = &message_cases[i];
        stage_down(NULL);
        stage_up(NULL);
        assert_true(puppet_join(&puppet, &host));
        puppet_say(&puppet, plain, from_hex(plain, c->hex));
        bool punished = puppet.closed && puppet.goodbye == GV_GOODBYE_INVALID &&
                        host.notes[GV_NOTE_PEER_REFUSED] == 1;
        if (punished == c->good || puppet.closed == c->good)
            fail_msg("%s: %s", c->name, puppet.closed ? "cut off" : "taken");
    }
}

static void counts_end_at_their_limits(void **state)
{
    static uint8_t ids[(GV_IDS_PER_MESSAGE + 1) * GV_ID_LEN];
    static struct gv_range ranges[GV_RANGES_MAX + 1];
    static struct gv_told_lock locks[GV_LOCKS_PER_MESSAGE + 1];

    for (size_t i = 0; i < sizeof locks / sizeof *locks; i++)
        locks[i].subject.family = GV_FAMILY_IPV4;
    for (int i = 0; i < 10; i++) {
        bool beyond = i % 2;
        uint32_t extra = beyond ? 1 : 0;
        struct gv_buf message;
        stage_down(NULL);
        stage_up(NULL);
        gv_buf_init(&message);
        if (i / 2 == 0)
            gv_message_ids(&message, GV_MESSAGE_ACK, ids, GV_IDS_PER_MESSAGE + extra);
        else if (i / 2 == 1)
            gv_message_ids(&message, GV_MESSAGE_WANT, ids, GV_IDS_PER_MESSAGE + extra);
        else if (i / 2 == 2)
            gv_message_reconcile(&message, GV_TREE_ROSTER, 0, ranges, GV_RANGES_MAX + extra);
        else if (i / 2 == 3)
            gv_message_locks(&message, locks, GV_LOCKS_PER_MESSAGE + extra);
        else {
            struct gv_buf record = certificate_record(&puppet);
            gv_message_records_start(&message, GV_RECORDS_PER_MESSAGE + extra);
            for (uint32_t n = 0; n < GV_RECORDS_PER_MESSAGE + extra; n++)
                gv_message_record(&message, record.data, record.len);
            gv_buf_free(&record);
        }
        assert_true(puppet_join(&puppet, &host));
        puppet_say_buf(&puppet, &message);
        if (puppet.closed != beyond)
            fail_msg("case %d: %s", i, puppet.closed ? "cut off" : "taken");
    }
}

static void hello_comes_first(void **state)
{
    static const char *const early[] = {"920207", "920490", "9205" ID, "9206" ID, "9407000090"};
    uint8_t plain[64];

    for (size_t i = 0; i < sizeof early / sizeof *early; i++) {
        stage_down(NULL);
        stage_up(NULL);
        assert_true(puppet_connect(&puppet, &host));
        puppet_say(&puppet, plain, from_hex(plain, early[i]));
        assert_true(puppet.closed);
        assert_int_equal(puppet.goodbye, GV_GOODBYE_INVALID);
    }
}

static void hello_has_one_shape(void **state)
{
    static const struct message_case cases[] = {
        {"plain", "940101cf0000019aa5b3c400a0", true},
        {"three fields", "930101cf0000019aa5b3c400", false},
        {"five fields", "950101cf0000019aa5b3c400a000", false},
        {"time beyond 63 bits", "940101cfffffffffffffffffa0", false},
        {"the latest time", "940101cf7fffffffffffffffa0", true},
        {"agent of 32",
         "94010100d920"
         "6161616161616161616161616161616161616161616161616161616161616161",
         true},
        {"agent of 33",
         "94010100d921"
         "616161616161616161616161616161616161616161616161616161616161616161",
         false},
        {"agent as bin", "94010100c40161", false},
        {"version beyond 32 bits", "9401cf000000010000000100a0", false},
    };
    uint8_t plain[64];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        stage_down(NULL);
        stage_up(NULL);
        assert_true(puppet_connect(&puppet, &host));
        puppet_say(&puppet, plain, from_hex(plain, cases[i].hex));
        if (puppet.closed == cases[i].good)
            fail_msg("%s: %s", cases[i].name, puppet.closed ? "cut off" : "taken");
    }
}

/* What follows the invalid one in the same frame is not looked at any more. */
static void nothing_after_an_invalid_message_counts(void **state)
{
    uint8_t plain[64];

    assert_true(puppet_join(&puppet, &host));
    puppet_say(&puppet, plain,
               from_hex(plain, "920207"
                               "926307"
                               "920208"));
    assert_int_equal(puppet.count[GV_MESSAGE_PONG], 1);
    assert_int_equal(puppet.pong, 7);
}

static void ping_is_answered_with_its_number(void **state)
{
    uint8_t plain[64];

    assert_true(puppet_join(&puppet, &host));
    puppet_say(&puppet, plain, from_hex(plain, "9202cffffffffffffffffe"));
    assert_true(puppet.pong == UINT64_MAX - 1);
}

/* ---- what it costs -------------------------------------------------------------------------- */

static void who_was_cut_off_stays_out_for_ten_minutes(void **state)
{
    struct gv_address address = make_address(2);
    uint8_t plain[8];

    assert_true(puppet_join(&puppet, &host));
    puppet_say(&puppet, plain, from_hex(plain, "926307"));
    assert_true(puppet.closed);
    host_run(&host, 1000);
    assert_false(puppet_connect(&puppet, &host));
    assert_int_equal(host.last[GV_NOTE_HANDSHAKE_FAILED].error, GV_ERR_FORBIDDEN);
    assert_int_equal(puppet.heard.len, 0);
    /* The instance, not its address: a member behind the same NAT comes and goes. */
    assert_true(puppet_connect_from(&other, &host, &address));
    host_run(&host, GV_BAN_MS - 2000);
    assert_false(puppet_connect(&puppet, &host));
    host_run(&host, 2000);
    assert_true(puppet_join(&puppet, &host));
}

static void a_ban_holds_in_the_other_direction_too(void **state)
{
    const char *seed = "11.2.7.7:4727";
    struct gv_settings settings = {.share = GV_SHARE_YES, .seeds = &seed, .seed_count = 1};
    uint8_t plain[8];

    host_close(&host);
    assert_int_equal(host_open(&host, &network, 1, &settings), GV_OK);
    host_run(&host, 1);
    assert_true(puppet_answer(&puppet, &host));
    puppet_hello(&puppet);
    puppet_say(&puppet, plain, from_hex(plain, "926307"));
    assert_true(puppet.closed);
    host_run(&host, GV_BAN_MS - 1000);
    assert_int_equal(host.dial_count, 0);
    host_run(&host, 60000);
    assert_int_equal(host.dial_count, 1);
}

static void a_goodbye_is_no_offence(void **state)
{
    for (unsigned reason = 0; reason <= GV_GOODBYE_MAX; reason++) {
        struct gv_buf message;
        stage_down(NULL);
        stage_up(NULL);
        assert_true(puppet_join(&puppet, &host));
        gv_buf_init(&message);
        gv_message_goodbye(&message, (enum gv_goodbye)reason);
        puppet_say_buf(&puppet, &message);
        assert_true(puppet.closed);
        assert_int_equal(puppet.goodbye, PUPPET_NOBODY); /* no goodbye to a goodbye */
        assert_int_equal(host.notes[GV_NOTE_PEER_DOWN], 1);
        assert_int_equal(host.last[GV_NOTE_PEER_DOWN].number, reason);
        assert_int_equal(host.notes[GV_NOTE_PEER_REFUSED], 0);
        assert_true(puppet_join(&puppet, &host));
    }
}

static void a_node_that_stops_says_so(void **state)
{
    assert_true(puppet_join(&puppet, &host));
    assert_true(puppet_join(&other, &host));
    host_command(&host, GV_COMMAND_DISCONNECT, NULL);
    puppet_work(&puppet);
    puppet_work(&other);
    assert_int_equal(puppet.goodbye, GV_GOODBYE_STOPPING);
    assert_int_equal(other.goodbye, GV_GOODBYE_STOPPING);
    assert_int_equal(host_status(&host).links, 0);
}

/* ---- limits for strangers (5.4) -------------------------------------------------------------- */

static bool knocks(const struct gv_address *address)
{
    uint32_t link = host_call(&host, address);

    return !host_end_of(&host, link)->closed;
}

static void eight_half_open_from_one_address_and_no_more(void **state)
{
    struct gv_address address = make_address(60), elsewhere = make_address(61);

    for (unsigned i = 0; i < GV_STRANGERS_PER_SOURCE; i++) {
        address.port = (uint16_t)(1000 + i);
        assert_true(knocks(&address));
    }
    assert_false(knocks(&address));
    assert_true(knocks(&elsewhere));
    host_run(&host, GV_HANDSHAKE_MS);
    assert_int_equal(host_status(&host).links, 0);
    assert_true(knocks(&address));
}

/* Of IPv6, the /64 counts as one. */
static void eight_half_open_from_one_ipv6_network(void **state)
{
    struct gv_address address = {
        .family = GV_FAMILY_IPV6, .bytes = {0x2a, 1, 2, 3, 4, 5, 6, 7}, .port = 1};

    for (unsigned i = 0; i < GV_STRANGERS_PER_SOURCE; i++) {
        address.bytes[15] = (uint8_t)i;
        assert_true(knocks(&address));
    }
    address.bytes[15] = 99;
    assert_false(knocks(&address));
    address.bytes[7] = 8;
    assert_true(knocks(&address));
}

static void sixty_four_half_open_in_all(void **state)
{
    struct gv_settings settings = {.share = GV_SHARE_YES, .max_links = 200};

    host_close(&host);
    assert_int_equal(host_open(&host, &network, 1, &settings), GV_OK);
    assert_true(puppet_join(&puppet, &host));
    for (unsigned i = 0; i < GV_STRANGERS_MAX; i++) {
        struct gv_address address = make_address(1000 + i);
        assert_true(knocks(&address));
    }
    struct gv_address late = make_address(2000);
    assert_false(knocks(&late));
    assert_false(puppet.closed); /* members are not strangers */
}

static void thirty_tries_a_minute_from_one_address(void **state)
{
    struct gv_address address = make_address(60);

    for (unsigned i = 0; i < GV_HANDSHAKES_PER_MINUTE; i++) {
        uint32_t link = host_incoming(&host, &address, NULL);
        assert_false(host_end_of(&host, link)->closed);
        host_disconnected(&host, link);
        host_run(&host, 100);
    }
    assert_false(knocks(&address));
    host_run(&host, 60000);
    assert_true(knocks(&address));
}

/* Several members behind one NAT are welcome, also while strangers hold all places of that address
 * but one. */
static void members_behind_one_nat_are_not_counted(void **state)
{
    static struct puppet members[24];
    struct gv_address nat = make_address(60);

    for (unsigned i = 0; i < 24; i++) {
        puppet_make(&members[i], &network, 100 + i);
        assert_true(puppet_connect_from(&members[i], &host, &nat));
        puppet_hello(&members[i]);
    }
    assert_int_equal(host_status(&host).peers, 24);
    for (unsigned i = 0; i < 6; i++)
        assert_true(knocks(&nat));
    for (unsigned i = 0; i < 24; i++)
        puppet_free(&members[i]);
}

/* The places for the peers that the node picks itself are not given away. */
static void connections_end_at_the_admins_limit(void **state)
{
    struct gv_settings settings = {.share = GV_SHARE_YES, .max_links = 16};

    host_close(&host);
    assert_int_equal(host_open(&host, &network, 1, &settings), GV_OK);
    unsigned places = 16 - GV_PEERS_WANTED, unknown = places - places / GV_KNOWN_SHARE;
    for (unsigned i = 0; i < unknown; i++) {
        struct gv_address address = make_address(1000 + i);
        assert_true(knocks(&address));
    }
    assert_false(puppet_connect(&puppet, &host));
}

static void a_core_without_a_certificate_lets_nobody_in(void **state)
{
    host_close(&host);
    memset(&host, 0, sizeof host);
    struct gv_identity identity;
    make_identity(&identity, 1);
    assert_int_equal(host_open_with(&host, &network, &identity, NULL, NULL), GV_OK);
    assert_false(puppet_connect(&puppet, &host));
    assert_int_equal(host.bytes_out, 0);
}

/* ---- time ----------------------------------------------------------------------------------- */

static void a_handshake_gets_ten_seconds(void **state)
{
    struct gv_address address = make_address(50);
    static const uint8_t head[2] = {0, 32};

    puppet_knock(&puppet, &host, &address);
    for (unsigned i = 0; i < 9; i++) { /* one byte a second does not win time */
        host_run(&host, 1000);
        host_bytes(&host, puppet.link, i < 2 ? &head[i] : (const uint8_t *)"x", 1);
    }
    host_run(&host, 999);
    assert_false(puppet.closed);
    host_run(&host, 1);
    assert_true(puppet.closed);
}

static void a_silent_peer_is_pinged_and_given_up_in_time(void **state)
{
    assert_true(puppet_join(&puppet, &host));
    puppet_forget(&puppet);
    host_run(&host, GV_SILENCE_MS - 1000);
    puppet_work(&puppet);
    assert_false(puppet.closed);
    assert_true(puppet.count[GV_MESSAGE_PING] + puppet.count[GV_MESSAGE_RECONCILE] >= 1);
    host_run(&host, 1000);
    assert_true(puppet.closed);
    assert_int_equal(host.notes[GV_NOTE_PEER_REFUSED], 0);
    assert_true(puppet_join(&puppet, &host)); /* it was no offence */
}

static void stay_for(uint64_t minutes)
{
    for (uint64_t i = 0; i < minutes; i += 4) {
        struct gv_buf message;
        host_run(&host, 4 * 60000);
        puppet_work(&puppet);
        if (puppet.closed)
            return;
        gv_buf_init(&message);
        gv_message_ping(&message, GV_MESSAGE_PONG, 0);
        puppet_say_buf(&puppet, &message);
    }
}

static void a_session_lasts_a_day(void **state)
{
    assert_true(puppet_join(&puppet, &host));
    stay_for(24 * 60 - 4);
    assert_false(puppet.closed);
    stay_for(4);
    assert_true(puppet.closed);
    assert_int_equal(puppet.goodbye, GV_GOODBYE_RENEW);
    assert_true(puppet_join(&puppet, &host));
}

/* Nobody is given up: back-off doubles from 2 s to 10 minutes and stays there. */
static void a_dead_seed_is_dialled_for_ever(void **state)
{
    const char *seed = "11.2.7.7:4727";
    struct gv_settings settings = {.share = GV_SHARE_YES, .seeds = &seed, .seed_count = 1};
    uint64_t last = 0;
    unsigned tries = 0;

    host_close(&host);
    assert_int_equal(host_open(&host, &network, 1, &settings), GV_OK);
    while (host.now_ms < 48 * 3600000ull) {
        host_run(&host, 500);
        if (host.dial_count == 0)
            continue;
        uint64_t gap = host.now_ms - last;
        uint64_t wanted = tries < 10 ? (uint64_t)GV_DIAL_FIRST_MS << tries >> 1 : GV_DIAL_LAST_MS;
        if (tries > 0 && (gap + 500 < wanted - wanted / 4 || gap > wanted + wanted / 4 + 1000))
            fail_msg("try %u came after %u ms", tries, (unsigned)gap);
        tries++;
        last = host.now_ms;
        host_disconnected(&host, host.dials[0].link);
    }
    assert_true(tries > 200);
}

int main(void)
{
#define STORY(name) cmocka_unit_test_setup_teardown(name, stage_up, stage_down)
    const struct CMUnitTest tests[] = {
        STORY(messages_have_one_shape),
        STORY(counts_end_at_their_limits),
        STORY(hello_comes_first),
        STORY(hello_has_one_shape),
        STORY(nothing_after_an_invalid_message_counts),
        STORY(ping_is_answered_with_its_number),
        STORY(who_was_cut_off_stays_out_for_ten_minutes),
        STORY(a_ban_holds_in_the_other_direction_too),
        STORY(a_goodbye_is_no_offence),
        STORY(a_node_that_stops_says_so),
        STORY(eight_half_open_from_one_address_and_no_more),
        STORY(eight_half_open_from_one_ipv6_network),
        STORY(sixty_four_half_open_in_all),
        STORY(thirty_tries_a_minute_from_one_address),
        STORY(members_behind_one_nat_are_not_counted),
        STORY(connections_end_at_the_admins_limit),
        STORY(a_core_without_a_certificate_lets_nobody_in),
        STORY(a_handshake_gets_ten_seconds),
        STORY(a_silent_peer_is_pinged_and_given_up_in_time),
        STORY(a_session_lasts_a_day),
        STORY(a_dead_seed_is_dialled_for_ever),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
