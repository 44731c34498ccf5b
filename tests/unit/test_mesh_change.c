/* What changes under a node's feet: registry keys that go, descriptors and certificates of other
 * times, its own words taken back, and a set that comes from disk in any order (SPEC 4, 8, 9.6). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "helper_puppet.h"
#include "proto/limits.h"

#define NOW  STAGE_MINUTE
#define DAY  STAGE_DAY
#define HOUR 3600000ull

static struct network network, fresh; /* fresh: its registry key is the network's second */
static struct host host;
static struct puppet puppet, other;

static void publish(uint32_t version)
{
    network.descriptor.version = version;
    network_publish(&network);
}

/* The network has two registry keys; puppet is certified by the first, other by the second. */
static int up(bool lab)
{
    network_open(&network, 1, lab);
    network_open(&fresh, 7, lab);
    network.descriptor.keys[1] = network.descriptor.keys[0];
    memcpy(network.descriptor.keys[1].key, fresh.descriptor.keys[0].key, GV_KEY_LEN);
    network.descriptor.key_count = 2;
    publish(1);
    puppet_make(&puppet, &network, 2);
    puppet_make(&other, &network, 3);
    gv_certificate_issue(other.certificate, &other.facts, fresh.registry_secret,
                         network.descriptor.network_id);
    memcpy(other.certificate_id, other.facts.id, GV_ID_LEN);
    return host_open(&host, &network, 1, NULL) == GV_OK ? 0 : -1;
}

static int stage_up(void **state)
{
    return up(false);
}

static int lab_up(void **state)
{
    return up(true);
}

static int stage_down(void **state)
{
    puppet_free(&puppet);
    puppet_free(&other);
    host_close(&host);
    network_close(&network);
    network_close(&fresh);
    return 0;
}

static int tell(struct gv_buf record)
{
    int rc = host_news(&host, record.data, record.len);

    gv_buf_free(&record);
    return rc;
}

static struct gv_buf own_certificate(const uint8_t wire[GV_CERTIFICATE_LEN])
{
    struct gv_buf record;

    gv_buf_init(&record);
    gv_buf_append(&record, &(uint8_t){GV_RECORD_CERTIFICATE}, 1);
    gv_buf_append(&record, wire, GV_CERTIFICATE_LEN);
    return record;
}

/* The host's own, under the second key and a minute newer. */
static struct gv_buf renewed_certificate(void)
{
    struct gv_certificate facts = make_facts(&network, &host.identity, 1);
    uint8_t wire[GV_CERTIFICATE_LEN];

    facts.issued_min++;
    gv_certificate_issue(wire, &facts, fresh.registry_secret, network.descriptor.network_id);
    return own_certificate(wire);
}

/* ---- a registry key that goes ---------------------------------------------------------------- */

static int drop_first_key(void)
{
    network.descriptor.keys[0] = network.descriptor.keys[1];
    network.descriptor.key_count = 1;
    publish(2);
    return tell(descriptor_record(&network));
}

static void a_registry_key_takes_what_it_signed_with_it(void **state)
{
    struct gv_subject both = subject_of(1), one = subject_of(2);

    assert_true(puppet_join(&puppet, &host));
    assert_true(puppet_join(&other, &host));
    puppet_hand(&puppet, puppet_signal_on(&puppet, 1, NOW));
    puppet_hand(&other, puppet_signal_on(&other, 1, NOW));
    puppet_hand(&puppet, puppet_signal_on(&puppet, 2, NOW));
    assert_int_equal(host_verdict(&host, &both), GV_VERDICT_UNTRUSTED);
    unsigned verdicts = host.notes[GV_NOTE_VERDICT];
    assert_int_equal(drop_first_key(), GV_OK);
    puppet_work(&puppet);
    puppet_work(&other);
    assert_true(puppet.closed);
    assert_int_equal(puppet.goodbye, GV_GOODBYE_REVOKED);
    assert_false(host_knows(&host, puppet.identity.id, NULL));
    assert_false(host_knows(&host, host.identity.id, NULL));
    assert_false(host_status(&host).has_certificate);
    /* What the other key signed stays. */
    assert_false(other.closed);
    assert_int_equal(host_status(&host).instances, 1);
    assert_int_equal(host_status(&host).statements, 1);
    assert_int_equal(host_verdict(&host, &both), GV_VERDICT_REPORTED);
    assert_int_equal(host_verdict(&host, &one), GV_VERDICT_UNKNOWN);
    assert_int_equal(host_status(&host).untrusted, 0);
    assert_int_equal(host.notes[GV_NOTE_VERDICT], verdicts + 2);
    /* Gone for good: neither by a record nor by a handshake. */
    puppet_hand(&other, certificate_record(&puppet));
    assert_false(host_knows(&host, puppet.identity.id, NULL));
    assert_false(other.closed);
    /* Until it has a new one the node is nobody; with it, it is back. */
    assert_int_equal(tell(renewed_certificate()), GV_OK);
    assert_true(host_status(&host).has_certificate);
    assert_false(puppet_connect(&puppet, &host));
    assert_int_equal(host.last[GV_NOTE_HANDSHAKE_FAILED].error, GV_ERR_SIGNER);
}

/* Nothing is left of many, however they lie in the tables. */
static void a_registry_key_takes_all_of_many(void **state)
{
    assert_true(puppet_join(&other, &host));
    for (unsigned i = 0; i < 200; i++) {
        struct puppet author;
        puppet_make(&author, &network, 100 + i);
        tell(certificate_record(&author));
        tell(puppet_signal_on(&author, 1 + i, NOW));
        tell(puppet_signal_on(&author, 2 + i, NOW));
        puppet_free(&author);
    }
    assert_int_equal(host_status(&host).statements, 400);
    assert_int_equal(drop_first_key(), GV_OK);
    assert_int_equal(host_status(&host).instances, 1);
    assert_int_equal(host_status(&host).statements, 0);
    assert_int_equal(host_status(&host).subjects, 0);
}

/* The way a key is changed: named beside the old one, certificates renewed under it, and only then
 * the old one goes. Nobody may notice. */
static void who_renewed_in_time_stays(void **state)
{
    struct gv_subject subject = subject_of(1);

    assert_int_equal(tell(renewed_certificate()), GV_OK);
    assert_int_equal(tell(certificate_record(&puppet)), GV_OK);
    puppet.facts.issued_min++;
    gv_certificate_issue(puppet.certificate, &puppet.facts, fresh.registry_secret,
                         network.descriptor.network_id);
    memcpy(puppet.certificate_id, puppet.facts.id, GV_ID_LEN);
    assert_true(puppet_join(&puppet, &host));
    puppet_hand(&puppet, puppet_signal_on(&puppet, 1, NOW));
    assert_int_equal(drop_first_key(), GV_OK);
    puppet_work(&puppet);
    assert_true(host_status(&host).has_certificate);
    assert_true(host_knows(&host, host.identity.id, NULL));
    assert_true(host_knows(&host, puppet.identity.id, NULL));
    assert_false(puppet.closed);
    assert_int_equal(host_verdict(&host, &subject), GV_VERDICT_REPORTED);
}

/* ---- of another time ------------------------------------------------------------------------- */

static void a_network_does_not_become_a_lab(void **state)
{
    assert_true(puppet_join(&puppet, &host));
    network.descriptor.lab = !network.descriptor.lab;
    publish(2);
    puppet_hand(&puppet, descriptor_record(&network));
    assert_int_equal(gv_core_descriptor(host.core)->version, 1);
    assert_false(puppet.closed);
    assert_int_equal(host.notes[GV_NOTE_PEER_REFUSED], 0);
    assert_int_equal(tell(descriptor_record(&network)), GV_ERR_FORBIDDEN);
    assert_int_equal(gv_core_descriptor(host.core)->version, 1);
}

static void a_version_of_tomorrow_is_no_offence(void **state)
{
    struct gv_buf record = certificate_record(&other);

    assert_true(puppet_join(&puppet, &host));
    record.data[1] = 2;
    puppet_hand(&puppet, record);
    assert_false(puppet.closed);
    publish(2);
    record = descriptor_record(&network);
    record.data[1 + GV_SIGNATURE_LEN + 1] = 2;
    puppet_hand(&puppet, record);
    assert_false(puppet.closed);
    assert_int_equal(host.notes[GV_NOTE_PEER_REFUSED], 0);
    assert_int_equal(gv_core_descriptor(host.core)->version, 1);
    assert_false(host_knows(&host, other.identity.id, NULL));
}

/* ---- own words ------------------------------------------------------------------------------- */

static bool find_sent(struct gv_buf *record)
{
    for (size_t i = 0; i < host.effects.count; i++) {
        const struct gv_effect *effect = &host.effects.list[i];
        if (effect->kind != GV_EFFECT_PERSIST || effect->row != GV_ROW_SENT)
            continue;
        gv_buf_append(record, gv_effect_data(&host.effects, effect), effect->data_len);
        return true;
    }
    return false;
}

/* Failures until it makes a signal, or would. */
static bool speaks(struct gv_buf *record, const struct gv_subject *subject)
{
    for (unsigned i = 0; i < 20; i++) {
        struct gv_event event = {.kind = GV_EVENT_OBSERVATION};
        event.observation.subject = *subject;
        event.observation.unix_ms = host_unix_ms(&host);
        event.observation.account = 100 + i;
        event.observation.attempts = 1;
        event.observation.service = GV_SERVICE_SUBMISSION;
        event.observation.kind = GV_KIND_UNKNOWN_ACCOUNT;
        event.observation.new_visit = true;
        host_step(&host, &event);
        if (find_sent(record))
            return true;
    }
    return false;
}

static void a_stored_preview_can_not_be_sent(void **state)
{
    static const uint8_t zero[GV_SIGNATURE_LEN];
    struct gv_settings settings = {.share = GV_SHARE_PREVIEW};
    struct gv_subject subject = subject_of(1);
    struct gv_buf record;

    host_close(&host);
    assert_int_equal(host_open(&host, &network, 1, &settings), GV_OK);
    gv_buf_init(&record);
    assert_true(speaks(&record, &subject));
    assert_int_equal(host.notes[GV_NOTE_PREVIEWED], 1);
    assert_int_equal(record.data[0], 0x80 | GV_RECORD_SIGNAL);
    assert_memory_equal(record.data + 1, zero, sizeof zero);
    record.data[0] = GV_RECORD_SIGNAL;
    assert_int_equal(tell(record), GV_ERR_SIGNATURE);
    assert_int_equal(host_status(&host).statements, 0);
}

static size_t count_rows(enum gv_row row)
{
    size_t count = 0;

    for (size_t i = 0; i < host.effects.count; i++)
        count += host.effects.list[i].kind == GV_EFFECT_PERSIST && host.effects.list[i].row == row;
    return count;
}

/* Nobody said that he holds it when sharing went off, and yet somebody does: so it was sent, and
 * the record says so. */
static void what_comes_back_was_sent(void **state)
{
    struct gv_settings settings = {.share = GV_SHARE_NO};
    struct gv_event event = {.kind = GV_EVENT_COMMAND};
    struct gv_history_summary history;
    struct gv_subject own = subject_of(1);
    struct gv_buf record, shown;

    gv_buf_init(&record);
    gv_buf_init(&shown);
    assert_true(speaks(&record, &own));
    event.command.command = GV_COMMAND_CONFIGURE;
    event.command.settings = &settings;
    assert_int_equal(host_step(&host, &event), GV_OK);
    assert_true(find_sent(&shown));
    assert_int_equal(shown.data[0], 0x80 | GV_RECORD_SIGNAL);
    assert_int_equal(host_status(&host).statements, 0);
    assert_int_equal(gv_core_history(host.core, &history, &own), GV_OK);
    assert_int_equal(history.signalled_ms, 0); /* once sharing is on, the next failure signals */
    assert_true(puppet_join(&puppet, &host));
    gv_buf_clear(&shown);
    puppet_give(&puppet, &record);
    assert_true(find_sent(&shown));
    assert_int_equal(shown.len, record.len);
    assert_memory_equal(shown.data, record.data, record.len);
    assert_int_equal(count_rows(GV_ROW_ACK), 1);
    assert_int_equal(gv_core_history(host.core, &history, &own), GV_OK);
    assert_int_equal(history.signalled_ms / 60000, NOW); /* and not again within 12 hours */
    assert_int_equal(host_status(&host).statements, 1);
    assert_int_equal(host_step(&host, &event), GV_OK); /* it was heard */
    assert_int_equal(host_status(&host).statements, 1);
    gv_buf_free(&record);
    gv_buf_free(&shown);
}

static void a_retraction_changes_the_verdict_once(void **state)
{
    struct gv_subject own = subject_of(1), theirs = subject_of(2);

    host_fails(&host, &own);
    assert_int_equal(host_verdict(&host, &own), GV_VERDICT_REPORTED);
    assert_int_equal(host.notes[GV_NOTE_VERDICT], 1);
    assert_int_equal(host_command(&host, GV_COMMAND_RETRACT, &own), GV_OK);
    assert_int_equal(host_verdict(&host, &own), GV_VERDICT_UNKNOWN);
    assert_int_equal(host.notes[GV_NOTE_VERDICT], 2);
    assert_true(puppet_join(&puppet, &host));
    puppet_hand(&puppet, puppet_signal_on(&puppet, 2, NOW));
    struct gv_statement s = puppet_retraction(&puppet, &theirs, NOW);
    puppet_hand(&puppet, sign_statement(&puppet, &s));
    assert_int_equal(host_verdict(&host, &theirs), GV_VERDICT_UNKNOWN);
    assert_int_equal(host.notes[GV_NOTE_VERDICT], 4);
}

/* ---- from disk, in any order ----------------------------------------------------------------- */

#define ROWS 600

static int load(const struct gv_buf *record)
{
    uint8_t id[GV_ID_LEN];
    struct gv_event event = {.kind = GV_EVENT_LOADED};

    record_id(id, record);
    event.loaded.row = GV_ROW_RECORD;
    event.loaded.key = id;
    event.loaded.key_len = sizeof id;
    event.loaded.value = record->data;
    event.loaded.value_len = record->len;
    return host_step(&host, &event);
}

/* A fixed shuffle. */
static void shuffle(struct gv_buf *records, size_t count)
{
    uint32_t x = 12345;

    for (size_t i = count - 1; i > 0; i--) {
        x = x * 1664525 + 1013904223;
        size_t at = (x >> 8) % (i + 1);
        struct gv_buf kept = records[i];
        records[i] = records[at];
        records[at] = kept;
    }
}

static void free_all(struct gv_buf *records, size_t count)
{
    for (size_t i = 0; i < count; i++)
        gv_buf_free(&records[i]);
}

/* Row i was said 2 * i minutes ago. */
static void make_rows(struct gv_buf *records)
{
    for (unsigned i = 0; i < ROWS; i++)
        records[i] = puppet_signal_on(&puppet, i + 1, NOW - 2 * i);
    shuffle(records, ROWS);
}

static void reopen(void)
{
    struct gv_buf certificate = certificate_record(&puppet);

    host_close(&host);
    assert_int_equal(host_open(&host, &network, 1, NULL), GV_OK);
    assert_int_equal(load(&certificate), GV_OK);
    gv_buf_free(&certificate);
}

/* Asks until everything has been told; how many signals that were. */
static unsigned told_by_repair(void)
{
    puppet_forget(&other);
    puppet_ask(&other, GV_TREE_STATEMENTS);
    return other.records[GV_RECORD_SIGNAL];
}

static void a_set_loaded_in_any_order_is_in_order(void **state)
{
    static struct gv_buf records[ROWS];

    make_rows(records);
    reopen();
    for (size_t i = 0; i < ROWS; i++)
        assert_int_equal(load(&records[i]), GV_OK);
    assert_int_equal(host_status(&host).statements, ROWS);
    assert_int_equal(host.forgotten[GV_ROW_RECORD], 0);
    assert_true(puppet_join(&other, &host));
    /* All from a quarter of the way back on: those of the 300 latest minutes. */
    struct gv_range late = {
        .high = {.minute = UINT32_MAX}, .mode = GV_RANGE_IDS, .data = (const uint8_t *)""};
    struct gv_buf message;
    gv_buf_init(&message);
    gv_message_reconcile(&message, GV_TREE_STATEMENTS, NOW - 299, &late, 1);
    puppet_say_buf(&other, &message);
    assert_int_equal(other.records[GV_RECORD_SIGNAL], 150);
    puppet_leave(&other);
    /* They leave one after the other. */
    host_run(&host, 12 * HOUR);
    for (unsigned i = 0; i < 24; i++) {
        uint32_t oldest = host_minute(&host) - DAY;
        assert_int_equal(host_status(&host).statements, (NOW - oldest) / 2 + 1);
        host_run(&host, HOUR / 2);
    }
    host_run(&host, HOUR);
    assert_int_equal(host_status(&host).statements, 0);
    assert_int_equal(host.forgotten[GV_ROW_RECORD], ROWS);
    free_all(records, ROWS);
}

/* More than the hour's quota, and retractions between them: some rows go while others come. */
static void rows_that_go_while_loading_do_no_harm(void **state)
{
    static struct gv_buf records[ROWS + 10];

    make_rows(records);
    for (unsigned i = 0; i < 10; i++) {
        struct gv_subject subject = subject_of(20 * i + 1);
        struct gv_statement s = puppet_retraction(&puppet, &subject, NOW);
        records[ROWS + i] = sign_statement(&puppet, &s);
    }
    /* 60 in one hour, the later numbers first: half of them are pushed out again. */
    puppet.sequence += 100;
    struct gv_buf crowd[60];
    for (unsigned i = 0; i < 60; i++) {
        puppet.sequence -= i ? 2 : 0;
        crowd[i] = puppet_signal_on(&puppet, 1000 + i, NOW - DAY + 30 - i % 30);
    }
    reopen();
    for (size_t i = 0; i < ROWS; i++) {
        int rc = load(&records[i]);
        assert_true(rc == GV_OK || rc == GV_ERR_SUPERSEDED); /* retracted by an earlier row */
        if (i % 10 == 0)
            assert_int_equal(load(&crowd[i / 10]), GV_OK);
        if (i % 60 == 59)
            assert_int_equal(load(&records[ROWS + i / 60]), GV_OK);
    }
    size_t held = host_status(&host).statements;
    assert_true(puppet_join(&other, &host));
    assert_int_equal(told_by_repair(), 512); /* as many as one answer carries */
    assert_int_equal(held, ROWS - 10 + 32 + 10);
    assert_int_equal(host.forgotten[GV_ROW_RECORD], 10 + 60 - 32);
    puppet_leave(&other);
    host_run(&host, 25 * HOUR);
    assert_int_equal(host_status(&host).statements, 0);
    free_all(records, ROWS + 10);
    free_all(crowd, 60);
}

int main(void)
{
#define STORY(name) cmocka_unit_test_setup_teardown(name, stage_up, stage_down)
#define LAB(name)   cmocka_unit_test_setup_teardown(name, lab_up, stage_down)
    const struct CMUnitTest tests[] = {
        LAB(a_registry_key_takes_what_it_signed_with_it),
        STORY(a_registry_key_takes_all_of_many),
        LAB(who_renewed_in_time_stays),
        STORY(a_network_does_not_become_a_lab),
        STORY(a_version_of_tomorrow_is_no_offence),
        STORY(a_stored_preview_can_not_be_sent),
        STORY(what_comes_back_was_sent),
        LAB(a_retraction_changes_the_verdict_once),
        STORY(a_set_loaded_in_any_order_is_in_order),
        STORY(rows_that_go_while_loading_do_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
