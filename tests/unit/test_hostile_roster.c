/* Certificates, address records, revocations and descriptors as records (SPEC 3.3, 4, 8, 8.5, 9.2):
 * what gets into the roster, what gets nobody into trouble, and what ends a session. */
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

#define NOW STAGE_MINUTE
#define DAY (int)STAGE_DAY

/* ---- certificates --------------------------------------------------------------------------- */

static void a_certificate_enters_the_roster_and_travels(void **state)
{
    struct gv_instance_info info;

    puppet_hand(&puppet, certificate_record(&third));
    assert_true(host_knows(&host, third.identity.id, &info));
    assert_memory_equal(info.owner, third.facts.owner, GV_ID_LEN);
    assert_int_equal(info.expires_min, third.facts.expires_min);
    assert_int_equal(info.revoked_min, GV_NEVER);
    puppet_forget(&other);
    host_run(&host, GV_COALESCE_MS);
    puppet_work(&other);
    puppet_work(&puppet);
    struct gv_buf record = certificate_record(&third);
    assert_true(puppet_heard_record(&other, &record));
    assert_false(puppet_heard_record(&puppet, &record));
    gv_buf_free(&record);
}

static void certificates_that_are_not_accepted(void **state)
{
    static const struct {
        const char *name;
        int issued, expires, flip; /* byte to change after signing; 0: none */
        bool taken, guilty;
    } cases[] = {
        {"good", -DAY, DAY, 0, true, false},
        {"early", 11, DAY, 0, false, false},
        {"in its grace", -90 * DAY, -29 * DAY, 0, true, false},
        {"beyond it, to read what it signed", -90 * DAY, -31 * DAY, 0, true, false},
        {"before the key was in force", -101 * DAY, DAY, 0, false, false},
        {"another signer", -DAY, DAY, 2, false, false},
        {"another key", -DAY, DAY, 6, false, true},
        {"another owner", -DAY, DAY, 40, false, true},
        {"another placement", -DAY, DAY, 60, false, true},
        {"another group", -DAY, DAY, 69, false, true},
        {"older than it is", -DAY, DAY, 73, false, true},
        {"lives longer", -DAY, DAY, 80, false, true},
        {"signature", -DAY, DAY, 100, false, true},
        {"reserved bytes", -DAY, DAY, 84, false, true},
        {"flags", -DAY, DAY, 1, false, true},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        stage_again(false);
        third.facts.since_min = network.descriptor.genesis_min - 10 * STAGE_DAY;
        third.facts.issued_min = (uint32_t)((int)NOW + cases[i].issued);
        third.facts.expires_min = (uint32_t)((int)NOW + cases[i].expires);
        puppet_certify(&third);
        if (cases[i].flip)
            third.certificate[cases[i].flip] ^= 1;
        puppet_hand(&puppet, certificate_record(&third));
        if (host_status(&host).instances != 3u + cases[i].taken)
            fail_msg("%s: %zu instances", cases[i].name, host_status(&host).instances);
        if (cases[i].guilty)
            assert_offence(cases[i].name);
        else
            assert_no_offence(cases[i].name);
        /* A session needs one that has not run out for longer than the grace. */
        bool session = cases[i].taken && cases[i].expires >= -30 * DAY;
        if (puppet_connect(&third, &host) != session)
            fail_msg("%s: session %d", cases[i].name, !session);
    }
}

/* The grace, and then as long as a fault of his may count: who proves it needs the key. */
static void a_certificate_leaves_when_nothing_needs_it(void **state)
{
    third.facts.expires_min = NOW + 10;
    puppet_certify(&third);
    puppet_hand(&puppet, certificate_record(&third));
    puppet_leave(&puppet);
    puppet_leave(&other);
    host_run(&host, ((30ull + 90) * 1440 + 8) * 60000);
    assert_true(host_knows(&host, third.identity.id, NULL));
    host_run(&host, 4 * 60000);
    assert_false(host_knows(&host, third.identity.id, NULL));
}

/* Whose an instance is, and in which group, must not depend on which certificate came first. */
static void the_newest_certificate_counts(void **state)
{
    for (uint32_t later = 0; later < 2; later++) {
        struct gv_buf a = certificate_record(&third), b;
        struct gv_instance_info forth, back;
        third.facts.owner[0]++;
        third.facts.group++;
        third.facts.issued_min += later;
        puppet_certify(&third);
        b = certificate_record(&third);
        puppet_give(&puppet, &a);
        puppet_give(&puppet, &b);
        assert_true(host_knows(&host, third.identity.id, &forth));
        if (later)
            assert_memory_equal(forth.owner, third.facts.owner, GV_ID_LEN);
        stage_again(false);
        puppet_give(&puppet, &b);
        puppet_give(&puppet, &a);
        assert_true(host_knows(&host, third.identity.id, &back));
        assert_memory_equal(forth.owner, back.owner, GV_ID_LEN);
        assert_true(forth.group == back.group);
        gv_buf_free(&a);
        gv_buf_free(&b);
        stage_again(false);
    }
}

/* A fault weighs on the owner of today as well: not only if his certificate was here before. */
static void a_fault_is_the_owners_whichever_came_first(void **state)
{
    struct gv_subject subject = subject_of(50);
    struct puppet brother;

    for (int order = 0; order < 2; order++) {
        struct gv_buf a, b, renewed;
        stage_again(true);
        puppet_make(&brother, &network, 8); /* of the owner that the renewed certificate names */
        a = puppet_signal_on(&third, 1, NOW);
        third.sequence--;
        b = puppet_signal_on(&third, 2, NOW);
        puppet_hand(&puppet, certificate_record(&third));
        memcpy(third.facts.owner, brother.facts.owner, GV_ID_LEN);
        third.facts.issued_min++;
        puppet_certify(&third);
        renewed = certificate_record(&third);
        if (order)
            puppet_give(&puppet, &renewed);
        puppet_hand(&puppet, fault_record(&a, &b));
        if (!order)
            puppet_give(&puppet, &renewed);
        puppet_hand(&puppet, certificate_record(&brother));
        puppet_hand(&puppet, puppet_signal_on(&brother, 50, NOW));
        puppet_hand(&puppet, puppet_signal_on(&other, 50, NOW));
        if (host_verdict(&host, &subject) != GV_VERDICT_REPORTED)
            fail_msg("order %d: the owner's word still counts", order);
        gv_buf_free(&a);
        gv_buf_free(&b);
        gv_buf_free(&renewed);
        puppet_free(&brother);
    }
}

/* ---- address records (8.5) ------------------------------------------------------------------- */

static struct gv_address address_of(struct puppet *who)
{
    struct gv_instance_info info = {0};

    assert_true(host_knows(&host, who->identity.id, &info));
    return info.address;
}

static void an_address_must_be_public_outside_a_lab(void **state)
{
    static const struct {
        const char *name;
        struct gv_address address;
        bool outside, lab;
    } cases[] = {
        {"public", {GV_FAMILY_IPV4, {45, 1, 2, 3}, 25}, true, true},
        {"public IPv6", {GV_FAMILY_IPV6, {0x2a, 1, 2, 3}, 25}, true, true},
        {"none", {GV_FAMILY_NONE, {0}, 0}, true, true},
        {"private", {GV_FAMILY_IPV4, {192, 168, 2, 3}, 25}, false, true},
        {"loopback", {GV_FAMILY_IPV4, {127, 0, 0, 1}, 25}, false, true},
        {"link-local", {GV_FAMILY_IPV4, {169, 254, 169, 254}, 80}, false, true},
        {"shared", {GV_FAMILY_IPV4, {100, 64, 0, 1}, 25}, false, true},
        {"documentation", {GV_FAMILY_IPV4, {192, 0, 2, 1}, 25}, false, true},
        {"IPv6 loopback", {GV_FAMILY_IPV6, {[15] = 1}, 25}, false, true},
        {"IPv6 unique local", {GV_FAMILY_IPV6, {0xfd, 1}, 25}, false, true},
        {"port 0", {GV_FAMILY_IPV4, {45, 1, 2, 3}, 0}, false, false},
        {"mapped", {GV_FAMILY_IPV6, {[10] = 0xff, [11] = 0xff, [12] = 10}, 25}, false, false},
    };

    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        bool lab = i % 2, good = lab ? cases[i / 2].lab : cases[i / 2].outside;
        stage_again(lab);
        puppet_hand(&puppet, address_record(&puppet, &cases[i / 2].address, NOW));
        if (good)
            assert_no_offence(cases[i / 2].name);
        else
            assert_offence(cases[i / 2].name);
        struct gv_address held = address_of(&puppet);
        assert_true(gv_address_equal(&held, &cases[i / 2].address) ==
                    (good || cases[i / 2].address.family == GV_FAMILY_NONE));
    }
}

/* The newest counts, of equals the smallest id, whatever came first. */
static void the_newest_address_counts(void **state)
{
    struct gv_address one = make_address(1), two = make_address(2);
    struct gv_buf a = address_record(&puppet, &one, NOW - 5);
    struct gv_buf b = address_record(&puppet, &two, NOW - 4);
    uint8_t a_id[GV_ID_LEN], b_id[GV_ID_LEN];

    puppet_give(&puppet, &b);
    puppet_give(&puppet, &a);
    struct gv_address held = address_of(&puppet);
    assert_true(gv_address_equal(&held, &two));
    stage_again(false);
    puppet_give(&puppet, &a);
    puppet_give(&puppet, &b);
    held = address_of(&puppet);
    assert_true(gv_address_equal(&held, &two));
    gv_buf_free(&b);
    b = address_record(&puppet, &two, NOW - 5);
    record_id(a_id, &a);
    record_id(b_id, &b);
    struct gv_address *wins = memcmp(a_id, b_id, GV_ID_LEN) < 0 ? &one : &two;
    for (int order = 0; order < 2; order++) {
        stage_again(false);
        puppet_give(&puppet, order ? &a : &b);
        puppet_give(&puppet, order ? &b : &a);
        held = address_of(&puppet);
        assert_true(gv_address_equal(&held, wins));
    }
    assert_no_offence("older");
    gv_buf_free(&a);
    gv_buf_free(&b);
}

#define LIFE ((int)GV_ADDRESS_LIFE_MIN)

static void address_records_in_and_out_of_time(void **state)
{
    static const struct {
        int minute;
        bool held;
    } cases[] = {{0, true}, {10, true}, {11, false}, {-LIFE, true}, {-LIFE - 1, false}};
    struct gv_address one = make_address(1);

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        stage_again(false);
        puppet_hand(&puppet, address_record(&puppet, &one, (uint32_t)((int)NOW + cases[i].minute)));
        assert_no_offence("time");
        assert_int_equal(address_of(&puppet).family != GV_FAMILY_NONE, cases[i].held);
    }
    stage_again(false);
    puppet_hand(&puppet, address_record(&puppet, &one, NOW));
    puppet_leave(&puppet);
    host_run(&host, (LIFE - 1ull) * 60000);
    assert_int_equal(address_of(&puppet).family, GV_FAMILY_IPV4);
    host_run(&host, 3 * 60000);
    assert_int_equal(address_of(&puppet).family, GV_FAMILY_NONE);
}

static void addresses_forged_or_of_strangers(void **state)
{
    struct gv_address one = make_address(1);
    struct gv_buf record = address_record(&third, &one, NOW);

    puppet_give(&puppet, &record); /* nobody knows him yet */
    assert_no_offence("unknown");
    puppet_hand(&puppet, certificate_record(&third));
    record.data[5] ^= 1;
    puppet_give(&puppet, &record);
    assert_offence("forged");
    assert_int_equal(address_of(&third).family, GV_FAMILY_NONE);
    stage_again(false);
    for (size_t len = 2; len < record.len; len++) {
        struct gv_buf cut = record;
        cut.len = len;
        stage_again(false);
        puppet_give(&puppet, &cut);
        assert_offence("cut");
    }
    gv_buf_free(&record);
}

/* ---- revocations ---------------------------------------------------------------------------- */

static void a_revoked_peer_is_sent_away_and_stays_out(void **state)
{
    for (int by_news = 0; by_news < 2; by_news++) {
        struct gv_buf record, before, after;
        stage_again(false);
        record = revocation_record(&network, puppet.identity.id, NOW - 10);
        before = puppet_signal_on(&puppet, 1, NOW - 11);
        after = puppet_signal_on(&puppet, 2, NOW - 10);
        puppet_give(&puppet, &before);
        puppet_give(&puppet, &after);
        assert_int_equal(host_status(&host).statements, 2);
        if (by_news)
            assert_int_equal(host_news(&host, record.data, record.len), GV_OK);
        else
            puppet_give(&other, &record);
        puppet_work(&puppet);
        puppet_work(&other);
        assert_true(puppet.closed);
        assert_int_equal(puppet.goodbye, GV_GOODBYE_REVOKED);
        assert_int_equal(host_status(&host).statements, 1);
        assert_int_equal(puppet_heard_record(&other, &record), by_news); /* it travels at once */
        assert_false(puppet_connect(&puppet, &host));
        assert_int_equal(host.last[GV_NOTE_HANDSHAKE_FAILED].error, GV_ERR_REVOKED);
        puppet_give(&other, &after);
        assert_int_equal(host_status(&host).statements, 1);
        assert_false(other.closed);
        assert_int_equal(host.notes[GV_NOTE_PEER_REFUSED], 0);
        gv_buf_free(&record);
        gv_buf_free(&before);
        gv_buf_free(&after);
    }
}

static void revocations_that_are_none(void **state)
{
    struct network fake;
    struct gv_buf record;

    network_open(&fake, 9, false);
    /* By a registry that the descriptor does not name: perhaps a newer one does. */
    memcpy(fake.descriptor.network_id, network.descriptor.network_id, GV_KEY_LEN);
    puppet_hand(&puppet, revocation_record(&fake, other.identity.id, NOW));
    assert_no_offence("unknown registry");
    /* Ahead of time: not yet. */
    puppet_hand(&puppet, revocation_record(&network, other.identity.id, NOW + 11));
    assert_no_offence("early");
    /* Of somebody unknown. */
    puppet_hand(&puppet, revocation_record(&network, third.identity.id, NOW));
    assert_no_offence("of nobody");
    assert_false(other.closed);
    /* Forged. */
    record = revocation_record(&network, other.identity.id, NOW);
    for (size_t at = 1; at < record.len; at++) {
        stage_again(false);
        record.data[at] ^= 1;
        puppet_give(&puppet, &record);
        assert_false(other.closed);
        record.data[at] ^= 1;
    }
    stage_again(false);
    record.data[20] ^= 1;
    puppet_give(&puppet, &record);
    assert_offence("forged");
    assert_false(other.closed);
    gv_buf_free(&record);
    network_close(&fake);
}

static void the_earliest_revocation_counts(void **state)
{
    for (int order = 0; order < 2; order++) {
        struct gv_instance_info info;
        stage_again(false);
        puppet_hand(&puppet,
                    revocation_record(&network, other.identity.id, order ? NOW - 9 : NOW - 3));
        puppet_hand(&puppet,
                    revocation_record(&network, other.identity.id, order ? NOW - 3 : NOW - 9));
        assert_no_offence("twice");
        assert_true(host_knows(&host, other.identity.id, &info));
        assert_int_equal(info.revoked_min, NOW - 9);
    }
}

static void who_is_revoked_himself_falls_silent(void **state)
{
    struct gv_buf record = revocation_record(&network, host.identity.id, NOW);
    struct gv_subject subject = subject_of(1);

    puppet_give(&puppet, &record);
    assert_int_equal(host.notes[GV_NOTE_SELF_REVOKED], 1);
    assert_true(host_status(&host).self_revoked);
    puppet_work(&other);
    assert_true(puppet_heard_record(&other, &record)); /* he passes it on like any other */
    host_fails(&host, &subject);
    assert_int_equal(host.notes[GV_NOTE_SIGNALLED], 0);
    assert_true(host.notes[GV_NOTE_SIGNAL_HELD] > 0);
    assert_int_equal(host_status(&host).statements, 0);
    assert_false(puppet_connect(&third, &host));
    gv_buf_free(&record);
}

/* Which records are held must not depend on the order in which they came (8.3). */
static size_t roster_count(struct puppet *asking)
{
    size_t count = 0;

    puppet_forget(asking);
    puppet_ask(asking, GV_TREE_ROSTER);
    for (unsigned kind = GV_RECORD_FAULT; kind <= GV_RECORD_LOG_HEAD; kind++)
        count += asking->records[kind];
    return count;
}

static void a_revoked_instances_address_is_held_by_all_or_by_none(void **state)
{
    struct gv_address one = make_address(1);
    struct gv_buf address = address_record(&third, &one, NOW);
    struct gv_buf revocation = revocation_record(&network, third.identity.id, NOW);
    size_t counts[2];

    for (int order = 0; order < 2; order++) {
        stage_again(false);
        puppet_hand(&puppet, certificate_record(&third));
        puppet_give(&puppet, order ? &address : &revocation);
        puppet_give(&puppet, order ? &revocation : &address);
        assert_no_offence("revoked");
        counts[order] = roster_count(&puppet);
    }
    assert_int_equal(counts[0], counts[1]);
    gv_buf_free(&address);
    gv_buf_free(&revocation);
}

/* ---- what stays when the certificate has gone ------------------------------------------------ */

/* A proof lives for 90 days, a certificate perhaps for less: a node that learns of the fault only
 * then must not ask for the roster every two seconds. */
static void a_proof_without_its_certificate_makes_no_endless_repair(void **state)
{
    struct gv_buf a = puppet_signal_on(&third, 1, NOW), b;

    third.sequence--;
    b = puppet_signal_on(&third, 2, NOW);
    for (unsigned i = 0; i < 60; i++) {
        puppet_hand(&puppet, fault_record(&a, &b));
        host_run(&host, 1000);
        puppet_work(&puppet);
        assert_no_offence("unknown");
    }
    /* The puppet answers nothing, so each is a repair begun anew. */
    print_message("repairs begun in a minute: %u\n", puppet.count[GV_MESSAGE_RECONCILE]);
    assert_true(puppet.count[GV_MESSAGE_RECONCILE] <= 8);
    gv_buf_free(&a);
    gv_buf_free(&b);
}

int main(void)
{
#define STORY(name) cmocka_unit_test_setup_teardown(name, joined_up, stage_down)
    const struct CMUnitTest tests[] = {
        STORY(a_certificate_enters_the_roster_and_travels),
        STORY(certificates_that_are_not_accepted),
        STORY(a_certificate_leaves_when_nothing_needs_it),
        STORY(the_newest_certificate_counts),
        STORY(a_fault_is_the_owners_whichever_came_first),
        STORY(an_address_must_be_public_outside_a_lab),
        STORY(the_newest_address_counts),
        STORY(address_records_in_and_out_of_time),
        STORY(addresses_forged_or_of_strangers),
        STORY(a_revoked_peer_is_sent_away_and_stays_out),
        STORY(revocations_that_are_none),
        STORY(the_earliest_revocation_counts),
        STORY(who_is_revoked_himself_falls_silent),
        STORY(a_revoked_instances_address_is_held_by_all_or_by_none),
        STORY(a_proof_without_its_certificate_makes_no_endless_repair),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
