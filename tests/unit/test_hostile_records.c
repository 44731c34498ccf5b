/* Signals and retractions that an honest node would not pass on, and those that it
 * could have (SPEC 8, 9.2): the first cost their sender the session, the second nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "crypto/error.h"
#include "helper_stage.h"
#include "proto/limits.h"
#include "proto/observation.h"

#define NOW STAGE_MINUTE

static void again(void)
{
    stage_again(network.descriptor.lab);
}

static size_t held(void)
{
    return host_status(&host).statements;
}

/* ---- the straight path ---------------------------------------------------------------------- */

static void a_good_signal_is_held_acknowledged_and_passed_on_once(void **state)
{
    struct gv_buf record = puppet_signal_on(&puppet, 1, NOW);
    struct gv_subject subject = subject_of(1);

    puppet_give(&puppet, &record);
    puppet_work(&other);
    assert_int_equal(held(), 1);
    assert_int_equal(puppet.count[GV_MESSAGE_ACK], 1);
    assert_int_equal(puppet.records[GV_RECORD_SIGNAL], 0);
    assert_int_equal(other.records[GV_RECORD_SIGNAL], 1);
    assert_true(puppet_heard_record(&other, &record));
    assert_int_equal(host.persisted[GV_ROW_RECORD], 4); /* and its own certificate, and theirs */
    assert_int_equal(host_verdict(&host, &subject), GV_VERDICT_REPORTED);
    puppet_give(&puppet, &record); /* again: acknowledged, and no more */
    puppet_give(&other, &record);  /* and by who only passes it on */
    puppet_work(&puppet);
    assert_int_equal(held(), 1);
    assert_int_equal(puppet.count[GV_MESSAGE_ACK], 2);
    assert_int_equal(other.count[GV_MESSAGE_ACK], 0);
    assert_int_equal(puppet.records[GV_RECORD_SIGNAL], 0);
    assert_int_equal(other.records[GV_RECORD_SIGNAL], 1);
    assert_int_equal(host.send_before_persist, 0);
    gv_buf_free(&record);
}

static void an_acknowledgement_counts_for_ones_own_words_only(void **state)
{
    struct gv_subject subject = subject_of(9);
    uint8_t ids[3 * GV_ID_LEN] = {0};
    struct gv_buf message, foreign = puppet_signal_on(&other, 5, NOW);

    puppet_give(&other, &foreign);
    puppet_work(&puppet);
    puppet_forget(&puppet);
    host_fails(&host, &subject);
    puppet_work(&puppet);
    assert_int_equal(puppet.records[GV_RECORD_SIGNAL], 1);
    memcpy(ids, host.last[GV_NOTE_SIGNALLED].id, GV_ID_LEN);
    record_id(ids + GV_ID_LEN, &foreign); /* and one of nobody */
    gv_buf_init(&message);
    gv_message_ids(&message, GV_MESSAGE_ACK, ids, 3);
    puppet_say_buf(&puppet, &message);
    assert_int_equal(host.notes[GV_NOTE_ACKNOWLEDGED], 1);
    assert_int_equal(host.persisted[GV_ROW_ACK], 1);
    assert_memory_equal(host.last[GV_NOTE_ACKNOWLEDGED].instance, puppet.identity.id, GV_ID_LEN);
    assert_false(puppet.closed);
    gv_buf_free(&foreign);
}

static void what_is_wanted_is_sent_and_what_is_unknown_is_not_missed(void **state)
{
    uint8_t ids[2 * GV_ID_LEN] = {7};
    struct gv_buf message, record = puppet_signal_on(&other, 5, NOW);

    puppet_give(&other, &record);
    puppet_work(&puppet);
    puppet_forget(&puppet);
    record_id(ids + GV_ID_LEN, &record);
    gv_buf_init(&message);
    gv_message_ids(&message, GV_MESSAGE_WANT, ids, 2);
    puppet_say_buf(&puppet, &message);
    assert_true(puppet_heard_record(&puppet, &record));
    assert_int_equal(puppet.records[GV_RECORD_SIGNAL], 1);
    gv_buf_free(&record);
}

/* ---- guilt ---------------------------------------------------------------------------------- */

static void assert_guilty(const char *what)
{
    if (!puppet.closed || puppet.goodbye != GV_GOODBYE_INVALID || held() != 0)
        fail_msg("%s: closed %d, %zu held", what, puppet.closed, held());
    assert_int_equal(host.notes[GV_NOTE_PEER_REFUSED], 1);
    puppet_work(&other);
    assert_int_equal(other.records[GV_RECORD_SIGNAL] + other.records[GV_RECORD_RETRACT], 0);
}

static void a_signal_cut_or_grown_anywhere_is_an_offence(void **state)
{
    struct gv_buf record = puppet_signal_on(&puppet, 1, NOW);
    size_t whole = record.len;

    gv_buf_append(&record, "", 1);
    for (size_t len = 2; len <= whole + 1; len++) {
        if (len == whole)
            continue;
        again();
        record.len = len;
        puppet_give(&puppet, &record);
        assert_guilty("cut");
    }
    gv_buf_free(&record);
}

static void a_signal_changed_in_any_byte_is_never_held(void **state)
{
    struct gv_buf record = puppet_signal_on(&puppet, 1, NOW);

    for (size_t at = 0; at < record.len; at++) {
        again();
        record.data[at] ^= 0x04;
        puppet_give(&puppet, &record);
        assert_int_equal(held(), 0);
        /* Only another certificate id makes it the word of somebody unknown, and another minute one
         * that is early or late: no offence. */
        record.data[at] ^= 0x04;
    }
    again();
    puppet_give(&puppet, &record);
    assert_int_equal(held(), 1);
    gv_buf_free(&record);
}

struct field_case {
    const char *name;
    uint64_t sequence;
    int first, last; /* minutes from now */
    uint32_t count;
    uint8_t services, kinds;
    bool good;
};

static const struct field_case field_cases[] = {
    {"plain", 5, 0, 0, 5, 4, 2, true},
    {"sequence 0", 0, 0, 0, 5, 4, 2, false},
    {"sequence 1", 1, 0, 0, 5, 4, 2, true},
    {"the last sequence", INT64_MAX, 0, 0, 5, 4, 2, true},
    {"beyond the last", (uint64_t)INT64_MAX + 1, 0, 0, 5, 4, 2, false},
    {"first after last", 5, 1, 0, 5, 4, 2, false},
    {"seven days", 5, -7 * 1440, 0, 5, 4, 2, true},
    {"more than seven days", 5, -7 * 1440 - 1, 0, 5, 4, 2, false},
    {"count 0", 5, 0, 0, 0, 4, 2, false},
    {"count 3", 5, 0, 0, 3, 4, 2, false},
    {"count 100000", 5, 0, 0, 100000, 4, 2, true},
    {"count 200000", 5, 0, 0, 200000, 4, 2, false},
    {"no service", 5, 0, 0, 5, 0, 2, false},
    {"all services", 5, 0, 0, 5, 63, 2, true},
    {"a seventh service", 5, 0, 0, 5, 64, 2, false},
    {"no kind", 5, 0, 0, 5, 4, 0, false},
    {"all kinds", 5, 0, 0, 5, 4, 63, true},
    {"a seventh kind", 5, 0, 0, 5, 4, 64, false},
};

static void fields_out_of_range_are_an_offence(void **state)
{
    static const uint8_t subject[4] = {45, 1, 2, 3};

    for (size_t i = 0; i < sizeof field_cases / sizeof *field_cases; i++) {
        const struct field_case *c = &field_cases[i];
        again();
        struct gv_statement s = {.kind = GV_STATEMENT_SIGNAL,
                                 .sequence = c->sequence,
                                 .first_min = (uint32_t)((int)NOW + c->first),
                                 .last_min = (uint32_t)((int)NOW + c->last),
                                 .count = c->count,
                                 .services = c->services,
                                 .kinds = c->kinds};
        memcpy(s.certificate, puppet.certificate_id, GV_ID_LEN);
        puppet_hand(&puppet, sign_raw(&puppet, &s, subject, sizeof subject));
        if (!c->good)
            assert_guilty(c->name);
        else if (puppet.closed || held() != 1)
            fail_msg("%s: refused", c->name);
    }
}

static void subjects_that_may_not_be_shared_are_an_offence(void **state)
{
    static const struct {
        const char *name;
        size_t len;
        uint8_t bytes[9];
        bool outside, lab; /* may be shared in a public network, in a lab */
    } cases[] = {
        {"public", 4, {45, 1, 2, 3}, true, true},
        {"public IPv6", 8, {0x2a, 1, 2, 3}, true, true},
        {"this host", 4, {0, 1, 2, 3}, false, false},
        {"private 10/8", 4, {10, 1, 2, 3}, false, false},
        {"private 172.16/12", 4, {172, 31, 2, 3}, false, false},
        {"next to it", 4, {172, 32, 2, 3}, true, true},
        {"private 192.168/16", 4, {192, 168, 2, 3}, false, false},
        {"shared 100.64/10", 4, {100, 127, 2, 3}, false, false},
        {"next to it", 4, {100, 128, 2, 3}, true, true},
        {"loopback", 4, {127, 0, 0, 1}, false, false},
        {"link-local", 4, {169, 254, 0, 1}, false, false},
        {"documentation 192.0.2", 4, {192, 0, 2, 1}, false, true},
        {"documentation 198.51.100", 4, {198, 51, 100, 1}, false, true},
        {"documentation 203.0.113", 4, {203, 0, 113, 1}, false, true},
        {"benchmarking", 4, {198, 19, 0, 1}, false, false},
        {"multicast", 4, {224, 0, 0, 1}, false, false},
        {"reserved", 4, {250, 0, 0, 1}, false, false},
        {"broadcast", 4, {255, 255, 255, 255}, false, false},
        {"IPv6 loopback", 8, {0}, false, false},
        {"IPv6 documentation", 8, {0x20, 0x01, 0x0d, 0xb8}, false, true},
        {"IPv6 documentation, new", 8, {0x3f, 0xff}, false, true},
        {"IPv6 link-local", 8, {0xfe, 0x80}, false, false},
        {"IPv6 unique local", 8, {0xfd, 1}, false, false},
        {"IPv6 multicast", 8, {0xff, 2}, false, false},
        {"translation 64:ff9b", 8, {0, 0x64, 0xff, 0x9b}, false, false},
        {"6to4", 8, {0x20, 0x02, 1, 2}, false, false},
        {"Teredo", 8, {0x20, 0x01, 0, 0, 1}, false, false},
        {"three bytes", 3, {45, 1, 2}, false, false},
        {"five bytes", 5, {45, 1, 2, 3, 4}, false, false},
        {"nine bytes", 9, {0x2a, 1}, false, false},
        {"no bytes", 0, {0}, false, false},
    };

    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        bool lab = i % 2, good = lab ? cases[i / 2].lab : cases[i / 2].outside;
        stage_again(lab);
        struct gv_subject any = subject_of(1);
        struct gv_statement s = puppet_signal(&puppet, &any, NOW);
        puppet_hand(&puppet, sign_raw(&puppet, &s, cases[i / 2].bytes, cases[i / 2].len));
        if (!good)
            assert_guilty(cases[i / 2].name);
        else if (puppet.closed || held() != 1)
            fail_msg("%s%s: refused", cases[i / 2].name, lab ? " in a lab" : "");
    }
}

static void words_put_into_anothers_mouth_are_an_offence(void **state)
{
    struct network elsewhere;

    for (int i = 0; i < 5; i++) {
        again();
        network_open(&elsewhere, 9, false);
        struct gv_subject subject = subject_of(1);
        struct gv_statement s = puppet_signal(&puppet, &subject, NOW);
        struct gv_buf record;
        switch (i) {
        case 0: /* signed by the puppet, said to be the other's */
            memcpy(s.certificate, other.certificate_id, GV_ID_LEN);
            record = sign_statement(&puppet, &s);
            break;
        case 1: /* made for another network */
            puppet.network = &elsewhere;
            record = sign_statement(&puppet, &s);
            puppet.network = &network;
            break;
        case 2: /* a retraction's body under a signal's kind */
            record = puppet_retraction_on(&puppet, 1, NOW);
            record.data[0] = GV_RECORD_SIGNAL;
            break;
        case 3:
            record = sign_statement(&puppet, &s);
            record.data[0] = GV_RECORD_RETRACT;
            break;
        default: /* signed by the victim, but as an address record */
            record = sign_statement(&puppet, &s);
            gv_sign(record.data + 1, puppet.identity.sign_secret, "grapevine address 1",
                    network.descriptor.network_id, record.data + 65, record.len - 65);
        }
        puppet_hand(&puppet, record);
        assert_guilty("forged");
        network_close(&elsewhere);
    }
}

/* ---- no guilt ------------------------------------------------------------------------------- */

static void assert_no_blame(const char *what, size_t statements)
{
    if (puppet.closed || held() != statements)
        fail_msg("%s: closed %d, %zu held", what, puppet.closed, held());
    assert_int_equal(host.notes[GV_NOTE_PEER_REFUSED], 0);
}

static void time_decides_without_blame(void **state)
{
    static const struct {
        int minute;
        bool held;
    } cases[] = {{0, true},     {10, true},     {11, false},    {600, false},
                 {-1440, true}, {-1441, false}, {-9999, false}, {40000, false}};

    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        uint32_t minute = (uint32_t)((int)NOW + cases[i / 2].minute);
        again();
        puppet_hand(&puppet, i % 2 ? puppet_retraction_on(&puppet, 1, minute)
                                   : puppet_signal_on(&puppet, 1, minute));
        assert_no_blame(i % 2 ? "retraction" : "signal", cases[i / 2].held);
    }
}

static void a_signal_that_is_early_is_taken_in_its_time(void **state)
{
    struct gv_buf record = puppet_signal_on(&puppet, 1, NOW + 15);

    puppet_give(&puppet, &record);
    assert_no_blame("early", 0);
    host_run(&host, 4 * 60000);
    puppet_give(&puppet, &record);
    assert_int_equal(held(), 0);
    host_run(&host, 60000);
    puppet_give(&puppet, &record);
    assert_int_equal(held(), 1);
    gv_buf_free(&record);
}

static void a_signal_leaves_after_a_day(void **state)
{
    static const unsigned quarter = 6 * 60;

    puppet_hand(&puppet, puppet_signal_on(&puppet, 1, NOW));
    puppet_leave(&puppet);
    for (unsigned i = 0; i < 4; i++)
        host_run(&host, quarter * 60000);
    assert_int_equal(held(), 1); /* 24 h after it: alive to the last */
    host_run(&host, 2 * 60000);
    assert_int_equal(held(), 0);
}

/* The roster is repaired with who sent it, within two seconds, and nobody is blamed. */
static void an_unknown_certificate_makes_the_roster_be_repaired(void **state)
{
    struct gv_buf record = puppet_signal_on(&third, 1, NOW);

    puppet_forget(&puppet);
    puppet_give(&puppet, &record);
    assert_no_blame("unknown certificate", 0);
    assert_int_equal(puppet.count[GV_MESSAGE_RECONCILE], 0);
    host_run(&host, 2000);
    puppet_work(&puppet);
    puppet_work(&other);
    assert_int_equal(puppet.count[GV_MESSAGE_RECONCILE], 1);
    assert_int_equal(other.count[GV_MESSAGE_RECONCILE], 0);
    puppet_hand(&puppet, certificate_record(&third));
    puppet_give(&puppet, &record);
    assert_no_blame("known now", 1);
    gv_buf_free(&record);
}

/* ---- the hour's quota (8.3) ------------------------------------------------------------------ */

static void assert_same_statements(void)
{
    struct gv_core_status a = host_status(&host), b = host_status(&far);

    assert_int_equal(a.statements, b.statements);
    assert_memory_equal(a.set_fingerprint, b.set_fingerprint, GV_ID_LEN);
}

static void the_thirty_two_smallest_of_an_hour_are_held_in_any_order(void **state)
{
    struct puppet twin;
    struct gv_buf records[40];

    puppet_make(&twin, &network, 3);
    assert_true(puppet_join(&twin, &far));
    for (unsigned i = 0; i < 40; i++)
        records[i] = puppet_signal_on(&other, i, NOW - i % 2);
    puppet_hand(&twin, certificate_record(&other));
    for (unsigned i = 0; i < 40; i++) {
        puppet_give(&other, &records[i]);
        puppet_give(&twin, &records[39 - i]);
    }
    /* Two minutes, but the stage begins with a clock hour: 20 each. */
    assert_int_equal(held(), 40);
    for (unsigned i = 0; i < 40; i++)
        gv_buf_free(&records[i]);
    again();
    puppet_free(&twin);
    puppet_make(&twin, &network, 3);
    assert_true(puppet_join(&twin, &far));
    for (unsigned i = 0; i < 40; i++)
        records[i] = puppet_signal_on(&other, i, NOW);
    for (unsigned i = 0; i < 40; i++) {
        puppet_give(&other, &records[i]);
        puppet_give(&twin, &records[39 - i]);
    }
    assert_int_equal(held(), 32);
    assert_same_statements();
    for (unsigned i = 0; i < 40; i++) {
        struct gv_subject subject = subject_of(i);
        assert_int_equal(host_verdict(&host, &subject),
                         i < 32 ? GV_VERDICT_REPORTED : GV_VERDICT_UNKNOWN);
        gv_buf_free(&records[i]);
    }
    assert_false(other.closed);
    assert_false(twin.closed);
    puppet_free(&twin);
}

static void retractions_have_a_quota_of_their_own(void **state)
{
    for (unsigned i = 0; i < 40; i++) {
        puppet_hand(&puppet, puppet_signal_on(&puppet, i, NOW));
        puppet_hand(&puppet, puppet_retraction_on(&puppet, 100 + i, NOW));
    }
    assert_no_blame("over both quotas", 64);
}

/* Pushing others out costs everybody a message: 64 times an hour, and no more. */
static void displacing_has_its_limit(void **state)
{
    uint64_t top = puppet.sequence + 1000;

    for (unsigned i = 0; i < 32 + GV_DISPLACED_PER_HOUR + 20; i++) {
        puppet.sequence = top - 2 * i;
        puppet_hand(&puppet, puppet_signal_on(&puppet, i, NOW));
    }
    assert_no_blame("displacing", 32);
    for (unsigned i = 0; i < 32 + GV_DISPLACED_PER_HOUR + 20; i++) {
        struct gv_subject subject = subject_of(i);
        bool held_now = i >= GV_DISPLACED_PER_HOUR && i < 32 + GV_DISPLACED_PER_HOUR;
        assert_int_equal(host_verdict(&host, &subject) == GV_VERDICT_REPORTED, held_now);
    }
    assert_int_equal(host_status(&host).signals_refused, 20);
}

/* ---- retractions ---------------------------------------------------------------------------- */

static void a_retraction_works_before_and_after_the_signal(void **state)
{
    struct puppet twin;
    struct gv_buf signal, retraction, later, foreign;

    puppet_make(&twin, &network, 2);
    assert_true(puppet_join(&twin, &far));
    signal = puppet_signal_on(&puppet, 1, NOW);
    retraction = puppet_retraction_on(&puppet, 1, NOW);
    later = puppet_signal_on(&puppet, 1, NOW);
    foreign = puppet_signal_on(&other, 1, NOW);
    struct gv_buf *forth[] = {&signal, &retraction, &foreign, &later};
    struct gv_buf *back[] = {&later, &foreign, &retraction, &signal};
    puppet_hand(&twin, certificate_record(&other));
    for (unsigned i = 0; i < 4; i++) {
        puppet_give(&puppet, forth[i]);
        puppet_give(&twin, back[i]);
    }
    assert_no_blame("retraction", 3); /* all but the one taken back */
    assert_same_statements();
    puppet_ask(&puppet, GV_TREE_STATEMENTS);
    assert_false(puppet_heard_record(&puppet, &signal));
    assert_true(puppet_heard_record(&puppet, &later));
    assert_true(puppet_heard_record(&puppet, &foreign));
    puppet_free(&twin);
    gv_buf_free(&signal);
    gv_buf_free(&retraction);
    gv_buf_free(&later);
    gv_buf_free(&foreign);
}

int main(void)
{
#define STORY(name) cmocka_unit_test_setup_teardown(name, joined_up, stage_down)
    const struct CMUnitTest tests[] = {
        STORY(a_good_signal_is_held_acknowledged_and_passed_on_once),
        STORY(an_acknowledgement_counts_for_ones_own_words_only),
        STORY(what_is_wanted_is_sent_and_what_is_unknown_is_not_missed),
        STORY(a_signal_cut_or_grown_anywhere_is_an_offence),
        STORY(a_signal_changed_in_any_byte_is_never_held),
        STORY(fields_out_of_range_are_an_offence),
        STORY(subjects_that_may_not_be_shared_are_an_offence),
        STORY(words_put_into_anothers_mouth_are_an_offence),
        STORY(time_decides_without_blame),
        STORY(a_signal_that_is_early_is_taken_in_its_time),
        STORY(a_signal_leaves_after_a_day),
        STORY(an_unknown_certificate_makes_the_roster_be_repaired),
        STORY(the_thirty_two_smallest_of_an_hour_are_held_in_any_order),
        STORY(retractions_have_a_quota_of_their_own),
        STORY(displacing_has_its_limit),
        STORY(a_retraction_works_before_and_after_the_signal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
