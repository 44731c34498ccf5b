/* Short records (SPEC 8.7): what they stand for, who gets them, and what becomes of one whose four
 * bytes name no certificate here, another, or two. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "helper_stage.h"
#include "proto/limits.h"
#include "proto/observation.h"

#define NOW     STAGE_MINUTE
#define GENESIS (STAGE_MINUTE - 100 * STAGE_DAY)

static void open_stage(void)
{
    host_run(&host, 1);
    puppet.version = GV_PROTOCOL_VERSION;
    assert_true(puppet_join(&puppet, &host));
}

/* ---- the form -------------------------------------------------------------------------------- */

static struct gv_statement drawn(struct gv_drbg *drbg)
{
    static const uint64_t bits[] = {1, 7, 14, 21, 40, 62};
    struct gv_statement s = {.kind = GV_STATEMENT_SIGNAL,
                             .subject = subject_of((unsigned)gv_drbg_below(drbg, 1000))};

    gv_drbg_fill(drbg, s.certificate, sizeof s.certificate);
    s.last_min =
        GENESIS + (uint32_t)gv_drbg_below(drbg, 1ull << bits[gv_drbg_below(drbg, 5)]) % 2000000;
    s.sequence = s.last_min * 60000ull + gv_drbg_below(drbg, 1ull << bits[gv_drbg_below(drbg, 6)]);
    s.first_min = s.last_min;
    if (gv_drbg_below(drbg, 4) == 0) {
        s.kind = GV_STATEMENT_RETRACT;
        return s;
    }
    s.first_min -= (uint32_t)gv_drbg_below(drbg, 7 * 24 * 60);
    s.count = gv_signal_count_at((unsigned)gv_drbg_below(drbg, 16));
    s.services = (uint8_t)(1 + gv_drbg_below(drbg, GV_SERVICE_ALL));
    s.kinds = (uint8_t)(1 + gv_drbg_below(drbg, GV_KIND_ALL));
    return s;
}

static void assert_goes_round(const struct gv_statement *statement)
{
    struct gv_buf record = sign_statement(&puppet, statement), again;
    uint8_t brief[GV_SHORT_MAX];
    struct gv_short read;
    size_t len = short_of(brief, &network, &record);

    assert_in_range(len, 1, GV_SHORT_MAX);
    assert_true(len < record.len);
    assert_true(gv_short_is(brief[0]));
    assert_false(gv_short_is(record.data[0]));
    assert_int_equal(gv_short_read(&read, brief, len, GENESIS), GV_OK);
    gv_buf_init(&again);
    assert_int_equal(gv_short_record(&again, &read, statement->certificate), GV_OK);
    assert_int_equal(again.len, record.len);
    assert_memory_equal(again.data, record.data, record.len);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(gv_short_read(&read, brief, cut, GENESIS), GV_ERR_MALFORMED);
    gv_buf_free(&again);
    gv_buf_free(&record);
}

static void every_statement_comes_back_byte_for_byte(void **state)
{
    uint8_t seed[GV_SEED_LEN] = {7};
    struct gv_drbg drbg;

    gv_drbg_init(&drbg, seed);
    for (unsigned i = 0; i < 3000; i++) {
        struct gv_statement statement = drawn(&drbg);
        assert_goes_round(&statement);
    }
}

static void what_has_no_short_form_travels_whole(void **state)
{
    struct gv_subject subject = subject_of(1);
    struct gv_statement early = puppet_signal(&puppet, &subject, NOW), slow = early;
    uint8_t brief[GV_SHORT_MAX], signature[GV_SIGNATURE_LEN] = {0};

    assert_true(gv_short_write(brief, &early, signature, GENESIS) > 0);
    assert_int_equal(gv_short_write(brief, &early, signature, early.last_min + 1), 0);
    slow.sequence = slow.last_min * 60000ull - 1;
    assert_int_equal(gv_short_write(brief, &slow, signature, GENESIS), 0);
}

static void one_value_has_one_form(void **state)
{
    struct gv_subject subject = subject_of(1);
    struct gv_statement statement = puppet_signal(&puppet, &subject, GENESIS + 5);
    uint8_t brief[GV_SHORT_MAX + 2], longer[GV_SHORT_MAX + 2], signature[GV_SIGNATURE_LEN] = {0};
    struct gv_short read;

    statement.first_min = statement.last_min;
    size_t len = gv_short_write(brief, &statement, signature, GENESIS);
    assert_int_equal(brief[9], 5); /* the age */
    memcpy(longer, brief, 9);
    longer[9] = 0x85; /* 5 in two bytes */
    longer[10] = 0;
    memcpy(longer + 11, brief + 10, len - 10);
    assert_int_equal(gv_short_read(&read, longer, len + 1, GENESIS), GV_ERR_MALFORMED);
    brief[len] = 0; /* something left over */
    assert_int_equal(gv_short_read(&read, brief, len + 1, GENESIS), GV_ERR_MALFORMED);
    for (unsigned form = 0; form < 256; form++) {
        brief[0] = (uint8_t)form;
        int rc = gv_short_read(&read, brief, len, GENESIS);
        assert_int_equal(rc, form == 0x41 ? GV_OK : GV_ERR_MALFORMED);
    }
}

/* ---- on a session ---------------------------------------------------------------------------- */

static void give_short(struct puppet *from, const struct gv_buf *record)
{
    uint8_t brief[GV_SHORT_MAX];
    size_t len = short_of(brief, &network, record);
    struct gv_buf message;

    assert_true(len > 0);
    gv_buf_init(&message);
    gv_message_records_start(&message, 1);
    gv_message_record(&message, brief, len);
    puppet_say_buf(from, &message);
}

static size_t held(void)
{
    return host_status(&host).statements;
}

static void who_speaks_it_gets_short_ones_and_nobody_else(void **state)
{
    struct gv_buf record = puppet_signal_on(&puppet, 1, NOW);
    struct puppet old;

    open_stage();
    other.version = GV_PROTOCOL_VERSION;
    puppet_make(&old, &network, 4);
    assert_true(puppet_join(&other, &host));
    assert_true(puppet_join(&old, &host));
    host_run(&host, 2 * GV_EXCHANGE_MS);
    puppet_work(&other);
    puppet_work(&old);
    puppet_forget(&other);
    puppet_forget(&old);
    give_short(&puppet, &record);
    assert_int_equal(held(), 1);
    assert_int_equal(puppet.count[GV_MESSAGE_ACK], 1); /* his own: held under its own id */
    host_run(&host, 1);
    puppet_work(&other);
    puppet_work(&old);
    assert_true(puppet_heard_record(&other, &record));
    assert_true(puppet_heard_record(&old, &record));
    size_t saved = record.len - short_of((uint8_t[GV_SHORT_MAX]){0}, &network, &record);
    assert_in_range(saved, 28, 34);
    assert_int_equal(old.heard.len, other.heard.len + saved);
    puppet_free(&old);
    gv_buf_free(&record);
}

static void from_who_does_not_speak_it_it_is_malformed(void **state)
{
    struct gv_buf record = puppet_signal_on(&puppet, 1, NOW);

    open_stage();
    assert_true(puppet_join(&other, &host));
    give_short(&other, &record);
    assert_int_equal(held(), 0);
    assert_true(other.closed);
    gv_buf_free(&record);
}

static void what_breaks_a_rule_is_no_better_short(void **state)
{
    struct gv_subject subject = subject_of(1);
    struct gv_statement statement = puppet_signal(&puppet, &subject, NOW);

    open_stage();
    statement.subject = (struct gv_subject){GV_FAMILY_IPV4, {10, 0, 0, 1}};
    struct gv_buf record = sign_raw(&puppet, &statement, statement.subject.bytes, 4);
    uint8_t brief[GV_SHORT_MAX];
    struct gv_buf message;
    size_t len = gv_short_write(brief, &statement, record.data + 1, GENESIS);
    gv_buf_init(&message);
    gv_message_records_start(&message, 1);
    gv_message_record(&message, brief, len);
    puppet_say_buf(&puppet, &message);
    assert_true(puppet.closed);
    assert_int_equal(puppet.goodbye, GV_GOODBYE_INVALID);
    gv_buf_free(&record);
}

/* ---- four bytes that name none, another, or two ---------------------------------------------- */

static void an_unknown_certificate_is_asked_for_and_the_record_is_not_lost(void **state)
{
    struct gv_buf record = puppet_signal_on(&other, 1, NOW), papers = certificate_record(&other);

    open_stage();
    host_run(&host, 2 * GV_EXCHANGE_MS);
    puppet_work(&puppet);
    puppet_forget(&puppet);
    give_short(&puppet, &record);
    assert_int_equal(held(), 0);
    assert_false(puppet.closed);
    host_run(&host, 2001);
    puppet_work(&puppet);
    assert_true(puppet.count[GV_MESSAGE_RECONCILE] >= 1); /* of the roster: here it is */
    puppet_give(&puppet, &papers);
    give_short(&puppet, &record);
    assert_int_equal(held(), 1);
    gv_buf_free(&record);
    gv_buf_free(&papers);
}

static void set_owner(struct puppet *who, uint32_t number)
{
    for (unsigned i = 0; i < 4; i++)
        who->facts.owner[4 + i] = (uint8_t)(number >> 8 * i);
}

struct beginning {
    uint32_t prefix, number;
};

static uint32_t prefix_at(const struct puppet *who, uint32_t number)
{
    uint8_t body[GV_CERTIFICATE_BODY], id[GV_ID_LEN];

    memcpy(body, who->certificate, sizeof body);
    for (unsigned i = 0; i < 4; i++)
        body[38 + 4 + i] = (uint8_t)(number >> 8 * i);
    gv_hash_id(id, "grapevine certificate id 1", body, sizeof body);
    return (uint32_t)id[0] << 24 | (uint32_t)id[1] << 16 | (uint32_t)id[2] << 8 | id[3];
}

static int compare_beginnings(const void *a, const void *b)
{
    const struct beginning *x = a, *y = b;

    return x->prefix < y->prefix ? -1 : x->prefix > y->prefix;
}

/* Gives the two puppets certificates that begin alike: a birthday among owners. */
static void make_alike(void)
{
    const uint32_t count = 1u << 17;
    struct beginning *table = malloc(count * sizeof *table), *found = NULL;
    struct beginning one = {0};

    assert_non_null(table);
    for (uint32_t i = 0; i < count; i++)
        table[i] = (struct beginning){prefix_at(&puppet, i), i};
    qsort(table, count, sizeof *table, compare_beginnings);
    for (; !found; one.number++) {
        one.prefix = prefix_at(&other, one.number);
        found = bsearch(&one, table, count, sizeof *table, compare_beginnings);
    }
    set_owner(&puppet, found->number);
    set_owner(&other, one.number - 1);
    puppet_certify(&puppet);
    puppet_certify(&other);
    assert_memory_equal(puppet.certificate_id, other.certificate_id, GV_PREFIX_LEN);
    assert_memory_not_equal(puppet.certificate_id, other.certificate_id, GV_ID_LEN);
    free(table);
}

static void another_certificate_that_begins_alike_is_not_mistaken(void **state)
{
    make_alike();
    struct gv_buf record = puppet_signal_on(&other, 1, NOW), papers = certificate_record(&other);

    open_stage(); /* it knows the puppet's, and not the other's */
    host_run(&host, 2 * GV_EXCHANGE_MS);
    puppet_work(&puppet);
    puppet_forget(&puppet);
    give_short(&puppet, &record);
    assert_int_equal(held(), 0);
    assert_false(puppet.closed); /* he may know better */
    host_run(&host, 2001);
    puppet_work(&puppet);
    assert_true(puppet.count[GV_MESSAGE_RECONCILE] >= 1);
    puppet_give(&puppet, &papers);
    give_short(&puppet, &record);
    assert_int_equal(held(), 1);
    gv_buf_free(&record);
    gv_buf_free(&papers);
}

static void of_two_that_begin_alike_the_right_one_is_found(void **state)
{
    make_alike();
    struct gv_buf first = puppet_signal_on(&puppet, 1, NOW);
    struct gv_buf second = puppet_signal_on(&other, 2, NOW);

    open_stage();
    other.version = GV_PROTOCOL_VERSION;
    assert_true(puppet_join(&other, &host));
    host_run(&host, 2 * GV_EXCHANGE_MS);
    puppet_work(&puppet);
    puppet_forget(&puppet);
    give_short(&other, &first);
    give_short(&other, &second);
    assert_int_equal(held(), 2);
    assert_int_equal(other.count[GV_MESSAGE_ACK], 1); /* of his own alone */
    host_run(&host, 1);
    puppet_work(&puppet);
    assert_int_equal(puppet.records[GV_RECORD_SIGNAL], 2);
    assert_true(puppet_heard_record(&puppet, &second));
    gv_buf_free(&first);
    gv_buf_free(&second);
}

static void look_for_short(void *context, const uint8_t *record, size_t len)
{
    (void)len;
    *(unsigned *)context += gv_short_is(record[0]);
}

static void what_begins_like_another_is_sent_whole(void **state)
{
    make_alike();
    struct gv_buf record = puppet_signal_on(&other, 1, NOW);
    unsigned brief = 0;

    open_stage();
    other.version = GV_PROTOCOL_VERSION;
    assert_true(puppet_join(&other, &host));
    host_run(&host, 2 * GV_EXCHANGE_MS);
    puppet_forget(&puppet);
    give_short(&other, &record);
    host_run(&host, 1);
    puppet_work(&puppet);
    assert_true(puppet_heard_record(&puppet, &record));
    puppet_each_record(&puppet, look_for_short, &brief);
    assert_int_equal(brief, 0);
    gv_buf_free(&record);
}

/* Who makes them up costs four verifications a minute, and what he says afterwards waits for
 * repair. */
static void forgeries_are_looked_at_so_often_a_minute(void **state)
{
    open_stage();
    host_run(&host, 2 * GV_EXCHANGE_MS + 60000);
    puppet.sequence = (NOW + 1) * 60000ull;
    for (unsigned i = 1; i <= 2 * GV_MISMATCHES_PER_MINUTE; i++) {
        struct gv_buf record = puppet_signal_on(&puppet, i, NOW + 1);
        record.data[1] ^= 1;
        give_short(&puppet, &record);
        gv_buf_free(&record);
    }
    struct gv_buf good = puppet_signal_on(&puppet, 100, NOW + 1);
    give_short(&puppet, &good);
    assert_int_equal(held(), 0);
    assert_false(puppet.closed);
    puppet_give(&puppet, &good); /* whole */
    assert_int_equal(held(), 1);
    gv_buf_free(&good);
    host_run(&host, 60001);
    good = puppet_signal_on(&puppet, 101, NOW + 1);
    give_short(&puppet, &good);
    assert_int_equal(held(), 2);
    gv_buf_free(&good);
}

int main(void)
{
#define STORY(name) cmocka_unit_test_setup_teardown(name, lab_up, stage_down)
    const struct CMUnitTest tests[] = {
        STORY(every_statement_comes_back_byte_for_byte),
        STORY(what_has_no_short_form_travels_whole),
        STORY(one_value_has_one_form),
        STORY(who_speaks_it_gets_short_ones_and_nobody_else),
        STORY(from_who_does_not_speak_it_it_is_malformed),
        STORY(what_breaks_a_rule_is_no_better_short),
        STORY(an_unknown_certificate_is_asked_for_and_the_record_is_not_lost),
        STORY(another_certificate_that_begins_alike_is_not_mistaken),
        STORY(of_two_that_begin_alike_the_right_one_is_found),
        STORY(what_begins_like_another_is_sent_whole),
        STORY(forgeries_are_looked_at_so_often_a_minute),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
