/* The door under pressure (SPEC 5.4): strangers in masses, members that come and go to be served
 * anew, and budgets that a peer cannot ask out of (SPEC 9.5, 13). One core, and puppets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "crypto/error.h"
#include "helper_stage.h"
#include "proto/limits.h"

#define NOW STAGE_MINUTE

static void reopen(unsigned links)
{
    struct gv_settings settings = {.share = GV_SHARE_YES, .max_links = (uint16_t)links};

    host_close(&host);
    assert_int_equal(host_open(&host, &network, 1, &settings), GV_OK);
}

static bool knocks(unsigned number)
{
    struct gv_address address = make_address(number);

    return !host_end_of(&host, host_call(&host, &address))->closed;
}

/* So many strangers, each from elsewhere; how many were let begin. */
static unsigned press(unsigned from, unsigned count)
{
    unsigned let_in = 0;

    for (unsigned i = 0; i < count; i++)
        let_in += knocks(from + i);
    return let_in;
}

/* ---- strangers ------------------------------------------------------------------------------ */

static void strangers_leave_a_quarter_of_the_places(void **state)
{
    unsigned places = GV_LINKS_DEFAULT - GV_PEERS_WANTED;

    assert_int_equal(press(1000, 200), places - places / GV_KNOWN_SHARE);
}

/* A member that was here before comes back while the door is besieged. */
static void whoever_was_here_before_finds_a_place(void **state)
{
    assert_true(puppet_join(&puppet, &host));
    puppet_leave(&puppet);
    press(1000, 200);
    assert_false(puppet_join(&other, &host)); /* nobody knows this one's address */
    assert_true(puppet_join(&puppet, &host));
    host_run(&host, GV_HANDSHAKE_MS);
    assert_true(puppet_join(&other, &host));
}

/* So does one that the mesh has told about. */
static void whoever_is_in_the_address_book_finds_a_place(void **state)
{
    struct gv_address address = make_address((unsigned)other.facts.placement);

    assert_true(puppet_join(&puppet, &host));
    puppet_hand(&puppet, certificate_record(&other));
    puppet_hand(&puppet, address_record(&other, &address, NOW));
    press(1000, 200);
    assert_true(puppet_join(&other, &host));
}

/* After a day an address is anybody's again. */
static void an_address_is_known_for_a_day(void **state)
{
    assert_true(puppet_join(&puppet, &host));
    puppet_leave(&puppet);
    host_run(&host, GV_KNOWN_MS - 1000);
    press(1000, 200);
    assert_true(puppet_join(&puppet, &host));
    puppet_leave(&puppet);
    host_run(&host, GV_KNOWN_MS + 1000);
    press(1000, 200);
    assert_false(puppet_join(&puppet, &host));
}

/* A known address is not without limits either. */
static void a_known_address_has_its_limits(void **state)
{
    struct gv_address home = make_address((unsigned)puppet.facts.placement);
    unsigned let_in = 0;

    assert_true(puppet_join(&puppet, &host));
    for (unsigned i = 0; i < 20; i++) {
        uint32_t link = host_incoming(&host, &home, NULL);
        let_in += !host_end_of(&host, link)->closed;
    }
    assert_int_equal(let_in, GV_STRANGERS_PER_SOURCE);
}

/* Whoever says nothing keeps nobody out, and gives way to the next. */
static void silence_holds_no_place(void **state)
{
    unsigned closed = 0;
    uint32_t links[200];

    for (unsigned i = 0; i < 200; i++) {
        struct gv_address address = make_address(1000 + i);
        links[i] = host_incoming(&host, &address, NULL);
        host_bytes(&host, links[i], "\0", 1);
    }
    for (unsigned i = 0; i < 200; i++)
        closed += host_end_of(&host, links[i]) == NULL || host_end_of(&host, links[i])->closed;
    assert_int_equal(closed, 200 - GV_CALLERS_MAX);
    assert_int_equal(host_status(&host).links, 0);
    assert_true(puppet_join(&puppet, &host));
    host_run(&host, GV_HANDSHAKE_MS);
    for (unsigned i = 0; i < 200; i++)
        assert_true(host_end_of(&host, links[i]) == NULL || host_end_of(&host, links[i])->closed);
}

/* Strangers that give way at once still cost a handshake each: 64 a second, 128 in one moment. */
static void strangers_begin_so_many_handshakes_a_second(void **state)
{
    unsigned let_in = 0;

    reopen(1000);
    for (unsigned i = 0; i < 3000; i++) {
        struct gv_address address = make_address(1000 + i);
        uint32_t link = host_call(&host, &address);
        let_in += !host_end_of(&host, link)->closed;
        host_disconnected(&host, link);
        host.now_ms += 1; /* 3 s in all */
    }
    assert_in_range(let_in, GV_HANDSHAKES_BURST + 3 * GV_HANDSHAKES_PER_SECOND - 2,
                    GV_HANDSHAKES_BURST + 3 * GV_HANDSHAKES_PER_SECOND + 2);
}

/* ---- members that come and go --------------------------------------------------------------- */

static unsigned visits(unsigned tries)
{
    unsigned in = 0;

    for (unsigned i = 0; i < tries; i++) {
        in += puppet_join(&puppet, &host);
        puppet_leave(&puppet);
    }
    return in;
}

/* The first is free, the others count like a stranger's: 30 a minute. */
static void a_member_cannot_make_us_shake_hands_all_day(void **state)
{
    assert_int_equal(visits(100), 1 + GV_HANDSHAKES_PER_MINUTE);
    host_run(&host, 61000);
    assert_int_equal(visits(1), 1);
}

/* Neither can one that is banned; the try that ended with the ban was an honest one. */
static void a_banned_member_cannot_either(void **state)
{
    unsigned before;

    assert_true(puppet_join(&puppet, &host));
    puppet_say(&puppet, "\x01", 1);
    assert_int_equal(puppet.goodbye, GV_GOODBYE_INVALID);
    before = host.notes[GV_NOTE_HANDSHAKE_FAILED];
    assert_int_equal(visits(100), 0);
    assert_int_equal(host.notes[GV_NOTE_HANDSHAKE_FAILED] - before, GV_HANDSHAKES_PER_MINUTE);
    host_run(&host, 120000); /* his last session is forgotten, the ban is not */
    before = host.notes[GV_NOTE_HANDSHAKE_FAILED];
    assert_int_equal(visits(100), 0);
    assert_int_equal(host.notes[GV_NOTE_HANDSHAKE_FAILED] - before, GV_HANDSHAKES_PER_MINUTE);
}

/* ---- budgets -------------------------------------------------------------------------------- */

static void hear_of_signals(unsigned count)
{
    puppet_forget(&puppet);
    assert_true(puppet_join(&other, &host));
    for (unsigned i = 0; i < count; i++)
        puppet_hand(&other, puppet_signal_on(&other, i + 1, NOW - 60 * (i / 32)));
    assert_int_equal(host_status(&host).statements, count);
}

/* A RECONCILE that every answer has something to say to. */
static void ask_often(unsigned times)
{
    static const uint8_t wrong[GV_ID_LEN];
    struct gv_range all = {
        .high = {.minute = UINT32_MAX}, .mode = GV_RANGE_FINGERPRINT, .data = wrong};

    for (unsigned i = 0; i < times; i++) {
        struct gv_buf message;
        gv_buf_init(&message);
        gv_message_reconcile(&message, GV_TREE_STATEMENTS, 0, &all, 1);
        puppet_say_buf(&puppet, &message);
    }
    host_run(&host, 0);
    puppet_work(&puppet);
}

static void so_many_repairs_are_answered_a_minute(void **state)
{
    hear_of_signals(10);
    puppet_leave(&other);
    assert_true(puppet_join(&puppet, &host));
    puppet_forget(&puppet);
    ask_often(500);
    assert_int_equal(puppet.count[GV_MESSAGE_RECONCILE], GV_REPAIR_PER_MINUTE);
    assert_false(puppet.closed);
    host_run(&host, 61000);
    puppet_work(&puppet); /* repair of the core's own accord */
    puppet_forget(&puppet);
    ask_often(1);
    assert_int_equal(puppet.count[GV_MESSAGE_RECONCILE], 1);
}

static void want_often(const uint8_t *ids, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        struct gv_buf message;
        gv_buf_init(&message);
        gv_message_ids(&message, GV_MESSAGE_WANT, ids, GV_IDS_PER_MESSAGE);
        puppet_say_buf(&puppet, &message);
    }
    host_run(&host, 0);
    puppet_work(&puppet);
}

/* The same record 256 times in one message, and that message over and over. */
static void so_many_records_are_given_a_minute(void **state)
{
    static uint8_t ids[GV_IDS_PER_MESSAGE * GV_ID_LEN];
    struct gv_buf record;

    hear_of_signals(1);
    record = puppet_signal_on(&other, 2, NOW);
    puppet_give(&other, &record);
    for (unsigned i = 0; i < GV_IDS_PER_MESSAGE; i++)
        record_id(ids + i * GV_ID_LEN, &record);
    gv_buf_free(&record);
    puppet_leave(&other);
    assert_true(puppet_join(&puppet, &host));
    puppet_forget(&puppet);
    want_often(ids, 100);
    assert_int_equal(puppet.records[GV_RECORD_SIGNAL], GV_WANTS_PER_MINUTE);
    assert_false(puppet.closed);

    /* Coming anew does not make a new minute; a minute does. */
    puppet_leave(&puppet);
    assert_true(puppet_join(&puppet, &host));
    puppet_forget(&puppet);
    want_often(ids, 100);
    assert_int_equal(puppet.records[GV_RECORD_SIGNAL], 0);
    host_run(&host, 61000);
    puppet_forget(&puppet);
    want_often(ids, 1);
    assert_int_equal(puppet.records[GV_RECORD_SIGNAL], GV_IDS_PER_MESSAGE);
}

/* Nor does a second session that pushes out the first. */
static void a_second_session_goes_on_with_what_the_first_spent(void **state)
{
    static struct puppet again;

    hear_of_signals(10);
    puppet_make(&again, &network, 2);
    assert_true(puppet_join(&puppet, &host));
    ask_often(500);
    assert_true(puppet_join(&again, &host));
    puppet_leave(&puppet);
    puppet_free(&puppet);
    puppet = again;
    host_end_of(&host, puppet.link)->puppet = &puppet;
    puppet_forget(&puppet);
    ask_often(10);
    assert_int_equal(puppet.count[GV_MESSAGE_RECONCILE], 0);
}

/* Each acknowledgement is a row in the store: one that is said over and over stops counting. */
static void so_many_acknowledgements_are_taken_a_minute(void **state)
{
    static uint8_t ids[GV_IDS_PER_MESSAGE * GV_ID_LEN];
    struct gv_subject subject = subject_of(1);

    assert_true(puppet_join(&puppet, &host));
    host_fails(&host, &subject);
    assert_int_equal(host.notes[GV_NOTE_SIGNALLED], 1);
    for (unsigned i = 0; i < GV_IDS_PER_MESSAGE; i++)
        memcpy(ids + i * GV_ID_LEN, host.last[GV_NOTE_SIGNALLED].id, GV_ID_LEN);
    for (unsigned i = 0; i < 100; i++) {
        struct gv_buf message;
        gv_buf_init(&message);
        gv_message_ids(&message, GV_MESSAGE_ACK, ids, GV_IDS_PER_MESSAGE);
        puppet_say_buf(&puppet, &message);
    }
    assert_int_equal(host.persisted[GV_ROW_ACK], GV_ACKS_PER_MINUTE);
    assert_false(puppet.closed);
}

/* ---- making room ---------------------------------------------------------------------------- */

/* Nobody is sent on before his minute is over, however many press in. */
static void a_guest_stays_a_minute(void **state)
{
    static struct puppet guests[GV_GUESTS_MAX + 4];
    unsigned count = GV_GUESTS_MAX + 4, gone = 0;

    reopen(200);
    host_run(&host, 30000); /* so that the minute's work falls into the middle of their stay */
    for (unsigned i = 0; i < count; i++) {
        puppet_make(&guests[i], &network, 100 + i);
        assert_true(puppet_join(&guests[i], &host));
    }
    host_run(&host, GV_PEER_STAYS_MS - 1000);
    for (unsigned i = 0; i < count; i++)
        assert_false(guests[i].closed);
    host_run(&host, GV_MINUTE_MS + 1000);
    for (unsigned i = 0; i < count; i++) {
        gone += guests[i].closed;
        puppet_free(&guests[i]);
    }
    assert_int_equal(gone, 4);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, stage_up, stage_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(strangers_leave_a_quarter_of_the_places),
        STORY(whoever_was_here_before_finds_a_place),
        STORY(whoever_is_in_the_address_book_finds_a_place),
        STORY(an_address_is_known_for_a_day),
        STORY(a_known_address_has_its_limits),
        STORY(silence_holds_no_place),
        STORY(strangers_begin_so_many_handshakes_a_second),
        STORY(a_member_cannot_make_us_shake_hands_all_day),
        STORY(a_banned_member_cannot_either),
        STORY(so_many_repairs_are_answered_a_minute),
        STORY(so_many_records_are_given_a_minute),
        STORY(a_second_session_goes_on_with_what_the_first_spent),
        STORY(so_many_acknowledgements_are_taken_a_minute),
        STORY(a_guest_stays_a_minute),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
