/* Clocks: what is dated ahead of ours, what outlives its certificate, a clock that is set, and rows
 * that a slow clock takes for early (SPEC 3.3, 8, 9.6, 11). */
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

#define NOW  STAGE_MINUTE
#define DAY  STAGE_DAY
#define HOUR 3600000ull

/* A host whose wall clock is off by so much, with or without a certificate of its own. */
static int open_host(int64_t skew_ms, const uint8_t *certificate,
                     const struct gv_settings *settings)
{
    struct gv_identity identity;

    host_close(&host);
    memset(&host, 0, sizeof host);
    make_identity(&identity, 1);
    host.skew_ms = skew_ms;
    return host_open_with(&host, &network, &identity, certificate, settings);
}

static void certify_host(uint8_t certificate[GV_CERTIFICATE_LEN], int issued, int expires)
{
    struct gv_certificate facts;
    struct gv_identity identity;

    make_identity(&identity, 1);
    facts = make_facts(&network, &identity, 1);
    facts.issued_min = (uint32_t)((int)NOW + issued);
    facts.expires_min = (uint32_t)((int)NOW + expires);
    make_certificate(certificate, &network, &facts);
}

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

static void set_clock(int64_t skew_ms)
{
    struct gv_event event = {.kind = GV_EVENT_CLOCK};

    host.skew_ms = skew_ms;
    event.clock.unix_ms = host_unix_ms(&host);
    host_step(&host, &event);
}

static void one_failure(const struct gv_subject *subject)
{
    struct gv_event event = {.kind = GV_EVENT_OBSERVATION};

    event.observation.subject = *subject;
    event.observation.unix_ms = host_unix_ms(&host);
    event.observation.account = 7;
    event.observation.password = 8;
    event.observation.attempts = 1;
    event.observation.service = GV_SERVICE_SUBMISSION;
    event.observation.kind = GV_KIND_WRONG_PASSWORD;
    event.observation.new_visit = true;
    host_step(&host, &event);
}

/* ---- dated ahead of our clock ---------------------------------------------------------------- */

/* Both know of the subject; it counts when the later of their minutes comes, 35 s after a whole
 * minute of the step clock. */
static void begins_to_count(unsigned first, unsigned second)
{
    struct gv_subject subject = subject_of(1), calm = subject_of(2);
    unsigned last = first > second ? first : second;
    uint8_t certificate[GV_CERTIFICATE_LEN];

    certify_host(certificate, -(int)DAY, 89 * (int)DAY);
    assert_int_equal(open_host(25000, certificate, NULL), GV_OK);
    assert_true(puppet_join(&puppet, &host));
    assert_true(puppet_join(&other, &host));
    puppet_hand(&puppet, puppet_signal_on(&puppet, 1, NOW + first));
    puppet_hand(&other, puppet_signal_on(&other, 1, NOW + second));
    host_run(&host, last * 60000 - 25000 - 1);
    assert_int_equal(host_status(&host).untrusted, 0);
    assert_int_equal(host_verdict(&host, &subject) == GV_VERDICT_UNTRUSTED, false);
    host_run(&host, 1);
    assert_int_equal(host_minute(&host), NOW + last);
    assert_int_equal(host_verdict(&host, &subject), GV_VERDICT_UNTRUSTED);
    assert_int_equal(host_status(&host).untrusted, 1);
    assert_int_equal(host.last[GV_NOTE_VERDICT].to, GV_VERDICT_UNTRUSTED);
    assert_int_equal(host.notes[GV_NOTE_VERDICT], first == second ? 1 : 2);
    /* One strike. */
    one_failure(&calm);
    assert_int_equal(host.notes[GV_NOTE_LOCKED], 0);
    one_failure(&subject);
    assert_int_equal(host.notes[GV_NOTE_LOCKED], 1);
}

static void what_is_dated_ahead_counts_at_its_minute(void **state)
{
    begins_to_count(1, 1);
    begins_to_count(5, 5);
    begins_to_count(9, 9);
    begins_to_count(0, 9);
    begins_to_count(7, 2);
}

/* ---- longer than its certificate ------------------------------------------------------------- */

/* puppet contradicted himself 45 days ago; his certificate ended 40 days ago. */
static void old_fault(struct gv_buf *certificate, struct gv_buf *proof)
{
    struct gv_buf a, b;

    puppet.facts.issued_min = NOW - 90 * DAY;
    puppet.facts.expires_min = NOW - 40 * DAY;
    puppet_certify(&puppet);
    a = puppet_signal_on(&puppet, 1, NOW - 45 * DAY);
    puppet.sequence--;
    b = puppet_signal_on(&puppet, 2, NOW - 45 * DAY);
    *certificate = certificate_record(&puppet);
    *proof = fault_record(&a, &b);
    gv_buf_free(&a);
    gv_buf_free(&b);
}

static void assert_at_fault(void)
{
    struct gv_instance_info info;

    assert_true(host_knows(&host, puppet.identity.id, &info));
    assert_int_equal(info.fault_min, NOW - 45 * DAY);
}

static void a_fault_outlives_the_certificate(void **state)
{
    struct gv_buf certificate, proof;
    uint8_t own[GV_CERTIFICATE_LEN];

    old_fault(&certificate, &proof);
    assert_true(puppet_join(&other, &host));
    puppet_give(&other, &certificate);
    assert_false(puppet_connect(&puppet, &host));
    assert_int_equal(host.last[GV_NOTE_HANDSHAKE_FAILED].error, GV_ERR_EXPIRED);
    puppet_give(&other, &proof);
    assert_int_equal(host.notes[GV_NOTE_FAULT], 1);
    assert_int_equal(host.notes[GV_NOTE_PEER_REFUSED], 0);
    assert_at_fault();
    /* And after a restart, from the rows. */
    certify_host(own, -(int)DAY, 89 * (int)DAY);
    assert_int_equal(open_host(0, own, NULL), GV_OK);
    assert_int_equal(load(&certificate), GV_OK);
    assert_int_equal(load(&proof), GV_OK);
    assert_int_equal(host.forgotten[GV_ROW_RECORD], 0);
    host_run(&host, HOUR);
    assert_int_equal(host.forgotten[GV_ROW_RECORD], 0);
    assert_at_fault();
    gv_buf_free(&certificate);
    gv_buf_free(&proof);
}

/* ---- a clock that was wrong ------------------------------------------------------------------ */

struct looked_for {
    const uint8_t *instance;
    uint32_t minute; /* 0: none heard */
};

static void look_for_address(void *context, const uint8_t *record, size_t len)
{
    struct gv_address_record said;
    struct looked_for *wanted = context;

    if (record[0] == GV_RECORD_ADDRESS &&
        gv_address_record_parse(&said, record + 1, len - 1) == GV_OK &&
        memcmp(said.instance, wanted->instance, GV_ID_LEN) == 0)
        wanted->minute = said.minute;
}

static uint32_t address_minute(struct puppet *asking, const uint8_t instance[GV_ID_LEN])
{
    struct looked_for wanted = {.instance = instance};

    puppet_forget(asking);
    puppet_ask(asking, GV_TREE_ROSTER);
    puppet_each_record(asking, look_for_address, &wanted);
    return wanted.minute;
}

static void both_signal(unsigned subject, uint32_t minute)
{
    puppet_hand(&puppet, puppet_signal_on(&puppet, subject, minute));
    puppet_hand(&other, puppet_signal_on(&other, subject, minute));
}

static void a_clock_eighty_days_ahead_is_put_right(void **state)
{
    const int64_t ahead = 80 * 24 * (int64_t)HOUR;
    struct gv_settings settings = {.share = GV_SHARE_YES, .advertise = make_address(1)};
    struct gv_address at = make_address(2);
    struct gv_subject wrong = subject_of(1), right = subject_of(2);
    uint8_t own[GV_CERTIFICATE_LEN];

    certify_host(own, -(int)DAY, 89 * (int)DAY);
    assert_int_equal(open_host(ahead, own, &settings), GV_OK);
    assert_true(puppet_join(&puppet, &host));
    assert_true(puppet_join(&other, &host));
    host_run(&host, 1000);
    both_signal(1, NOW + 80 * DAY);
    puppet.sequence += 1000;
    puppet_hand(&puppet, address_record(&puppet, &at, NOW + 80 * DAY));
    assert_int_equal(address_minute(&other, host.identity.id), NOW + 80 * DAY);
    assert_int_equal(host_verdict(&host, &wrong), GV_VERDICT_UNTRUSTED);
    unsigned verdicts = host.notes[GV_NOTE_VERDICT];
    set_clock(0);
    assert_int_equal(host_status(&host).statements, 0);
    assert_int_equal(host_status(&host).untrusted, 0);
    assert_int_equal(host_verdict(&host, &wrong), GV_VERDICT_UNKNOWN);
    assert_in_range(host.notes[GV_NOTE_VERDICT], verdicts + 1, verdicts + 2);
    assert_int_equal(host.last[GV_NOTE_VERDICT].to, GV_VERDICT_UNKNOWN);
    assert_int_equal(address_minute(&other, host.identity.id), NOW);
    assert_int_equal(address_minute(&other, puppet.identity.id), 0);
    both_signal(2, NOW);
    puppet_hand(&puppet, address_record(&puppet, &at, NOW));
    assert_int_equal(host_verdict(&host, &right), GV_VERDICT_UNTRUSTED);
    assert_int_equal(host_status(&host).untrusted, 1);
    assert_int_equal(address_minute(&other, puppet.identity.id), NOW);
    assert_int_equal(host.notes[GV_NOTE_PEER_REFUSED], 0);
}

static void a_row_that_is_early_at_load_is_kept(void **state)
{
    struct gv_buf certificate = certificate_record(&puppet);
    struct gv_buf signal = puppet_signal_on(&puppet, 1, NOW);
    uint8_t own[GV_CERTIFICATE_LEN];

    certify_host(own, -(int)DAY, 89 * (int)DAY);
    assert_int_equal(open_host(-(int64_t)HOUR, own, NULL), GV_OK);
    assert_int_equal(load(&certificate), GV_OK);
    assert_int_equal(load(&signal), GV_ERR_EARLY);
    assert_int_equal(host.forgotten[GV_ROW_RECORD], 0);
    assert_int_equal(host.notes[GV_NOTE_ROW_REFUSED], 0);
    set_clock(0);
    assert_int_equal(load(&signal), GV_OK);
    assert_int_equal(host_status(&host).statements, 1);
    gv_buf_free(&certificate);
    gv_buf_free(&signal);
}

/* It was taken once: a slow clock at the next start does not let the revoked in again. */
static void a_revocation_that_is_early_at_load_is_obeyed(void **state)
{
    struct gv_buf certificate = certificate_record(&puppet);
    struct gv_buf stored = revocation_record(&network, puppet.identity.id, NOW);
    struct gv_buf told = revocation_record(&network, other.identity.id, NOW);
    uint8_t own[GV_CERTIFICATE_LEN];

    certify_host(own, -(int)DAY, 89 * (int)DAY);
    assert_int_equal(open_host(-(int64_t)HOUR, own, NULL), GV_OK);
    assert_int_equal(load(&certificate), GV_OK);
    assert_int_equal(load(&stored), GV_OK);
    assert_false(puppet_connect(&puppet, &host));
    /* The same that the registry tells is for later. */
    assert_int_equal(host_news(&host, told.data, told.len), GV_ERR_EARLY);
    assert_true(puppet_connect(&other, &host));
    gv_buf_free(&certificate);
    gv_buf_free(&stored);
    gv_buf_free(&told);
}

static void a_node_starts_without_a_certificate_that_ran_out(void **state)
{
    uint8_t own[GV_CERTIFICATE_LEN];

    certify_host(own, -90 * (int)DAY, -31 * (int)DAY);
    assert_int_equal(open_host(0, own, NULL), GV_OK);
    assert_false(host_status(&host).has_certificate);
    host_run(&host, HOUR);
    assert_false(puppet_connect(&puppet, &host));
    /* The renewed one is taken. */
    struct gv_buf record;
    certify_host(own, 0, 89 * (int)DAY);
    gv_buf_init(&record);
    gv_buf_append(&record, &(uint8_t){GV_RECORD_CERTIFICATE}, 1);
    gv_buf_append(&record, own, sizeof own);
    assert_int_equal(host_news(&host, record.data, record.len), GV_OK);
    assert_true(host_status(&host).has_certificate);
    assert_true(puppet_connect(&puppet, &host));
    gv_buf_free(&record);
}

/* ---- what was read --------------------------------------------------------------------------- */

static void read_one(struct gv_buf record)
{
    assert_int_equal(load(&record), GV_OK);
    gv_buf_free(&record);
}

static bool is_known(const struct puppet *whom, struct gv_instance_info *out)
{
    return host_knows(&host, whom->identity.id, out);
}

/* Rows that were read stand on a base, which is not looked through while nothing of it is due. */
static void what_was_read_runs_out_as_what_was_heard(void **state)
{
    struct gv_address there = make_address(5), elsewhere = make_address(6);
    struct gv_instance_info info;
    size_t instances = host_status(&host).instances;

    read_one(certificate_record(&puppet));
    read_one(certificate_record(&other));
    read_one(address_record(&puppet, &there, NOW));
    read_one(address_record(&other, &elsewhere, NOW + 5));
    host_run(&host, 1);
    assert_true(is_known(&puppet, &info) && gv_address_equal(&info.address, &there));
    set_clock((int64_t)GV_ADDRESS_LIFE_MIN * 60000 + 3 * 60000); /* the first of both is too old */
    host_run(&host, 60000);
    assert_true(is_known(&puppet, &info) && info.address.family == GV_FAMILY_NONE);
    assert_true(is_known(&other, &info) && gv_address_equal(&info.address, &elsewhere));
    host_run(&host, 5 * 60000);
    assert_true(is_known(&other, &info) && info.address.family == GV_FAMILY_NONE);
    set_clock(400 * (int64_t)DAY * 60000);
    host_run(&host, 3 * 60000); /* removing shifts the tables: a minute or two more */
    assert_false(is_known(&puppet, &info) || is_known(&other, &info));
    assert_true(host_status(&host).instances <= instances);
}

int main(void)
{
#define STORY(name) cmocka_unit_test_setup_teardown(name, stage_up, stage_down)
#define LAB(name)   cmocka_unit_test_setup_teardown(name, lab_up, stage_down)
    const struct CMUnitTest tests[] = {
        LAB(what_is_dated_ahead_counts_at_its_minute),
        STORY(a_fault_outlives_the_certificate),
        LAB(a_clock_eighty_days_ahead_is_put_right),
        STORY(a_row_that_is_early_at_load_is_kept),
        STORY(a_revocation_that_is_early_at_load_is_obeyed),
        STORY(a_node_starts_without_a_certificate_that_ran_out),
        STORY(what_was_read_runs_out_as_what_was_heard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
