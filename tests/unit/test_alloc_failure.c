/* Fails each allocation of the cores in turn, through a story of two of them: new, handshake,
 * records, repair, expiry, free. Nothing may crash or leak (ASan watches); where no effect was lost
 * the core must still be usable; where one was, the shell stops the node and frees it.
 *
 * The linker wraps malloc, calloc, realloc and strdup of everything in this program that is ours
 * (tests/CMakeLists.txt); they only fail while a core is at work. */
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

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);

static bool at_work;
static size_t asked, fail_at, fail_for; /* allocations fail_at .. fail_at + fail_for - 1 fail */
static size_t failed;

static bool fails_now(void)
{
    if (!at_work)
        return false;
    asked++;
    if (fail_at == 0 || asked < fail_at || asked >= fail_at + fail_for)
        return false;
    failed++;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails_now() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails_now() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
    size_t len = strlen(text) + 1;
    char *copy = fails_now() ? NULL : __real_malloc(len);

    return copy ? memcpy(copy, text, len) : NULL;
}

static void entered(void)
{
    at_work = true;
}

static void left(void)
{
    at_work = false;
}

/* ---- the story ------------------------------------------------------------------------------ */

static const char *const seeds[] = {"11.99.7.7:4727", "mail.example:4727"};

static struct network network;
static struct host one, two;
static struct puppet stranger;
static struct host *const both[2] = {&one, &two};

static bool open_both(void)
{
    static const struct gv_prefix allow = {.family = GV_FAMILY_IPV4, .bits = 8, .bytes = {99}};
    struct gv_settings settings = {.share = GV_SHARE_YES,
                                   .seeds = seeds,
                                   .seed_count = 2,
                                   .allow = &allow,
                                   .allow_count = 1,
                                   .deny = &allow,
                                   .deny_count = 1};
    bool up;

    settings.advertise = make_address(1);
    up = host_open(&one, &network, 1, &settings) == GV_OK;
    memset(&settings, 0, sizeof settings);
    settings.share = GV_SHARE_YES;
    up = host_open(&two, &network, 2, &settings) == GV_OK && up;
    one.fragile = two.fragile = true;
    return up;
}

static bool reads_roster;

static bool alive(void)
{
    return !one.stopped && !two.stopped;
}

static bool connected(void)
{
    return alive() && host_status(&one).peers == 1 && host_status(&two).peers == 1;
}

/* Until they have found each other: back-off, and whatever the failure broke. */
static void reconnect(unsigned minutes)
{
    for (unsigned i = 0; i < 4 * minutes && alive() && !connected(); i++) {
        if (one.dial_count > 0)
            (void)hosts_connect(&one, &two);
        hosts_run(both, 2, 15000);
        /* Nobody answers at the other addresses. */
        while (alive() && !connected() && one.dial_count > 1)
            host_disconnected(&one, one.dials[0].link);
    }
}

static void give(struct host *host, struct gv_buf record)
{
    if (alive())
        (void)host_news(host, record.data, record.len);
    gv_buf_free(&record);
}

/* Both read from their disks who is who, the stranger among them: what they hear of them after that
 * changes rows of a base. */
static void load(struct host *host, struct gv_buf record)
{
    struct gv_event event = {.kind = GV_EVENT_LOADED};

    event.loaded.row = GV_ROW_RECORD;
    event.loaded.key = record.data; /* not looked at */
    event.loaded.value = record.data;
    event.loaded.value_len = record.len;
    if (alive())
        (void)host_step(host, &event);
    gv_buf_free(&record);
}

static void load_roster(void)
{
    struct gv_address address = make_address(76);

    for (size_t i = 0; reads_roster && i < 2; i++) {
        load(both[i], certificate_record(&stranger));
        load(both[i], address_record(&stranger, &address, STAGE_MINUTE - 10));
    }
}

/* An owner has no vote more where the command succeeded, and has it still where it did not. */
static void silence(struct host *host, const struct puppet *owner, const struct gv_subject *subject)
{
    struct gv_event event = {.kind = GV_EVENT_COMMAND, .command = {.command = GV_COMMAND_SILENCE}};
    struct gv_verdict verdict;

    if (!alive())
        return;
    gv_core_verdict(host->core, &verdict, subject);
    uint32_t before = verdict.weight;
    memcpy(event.command.owner, owner->facts.owner, GV_ID_LEN);
    int rc = host_step(host, &event);
    assert_int_equal(gv_core_is_silenced(host->core, owner->facts.owner), rc == GV_OK);
    gv_core_verdict(host->core, &verdict, subject);
    assert_int_equal(verdict.weight, rc == GV_OK ? 0 : before);
}

static void tell(void)
{
    struct gv_subject subject;
    struct gv_statement a, b;
    struct gv_address address = make_address(77);

    for (unsigned i = 0; i < 4 && alive(); i++) {
        subject = subject_of(i);
        host_fails(i % 2 ? &one : &two, &subject);
    }
    give(&one, certificate_record(&stranger));
    subject = subject_of(40);
    a = puppet_signal(&stranger, &subject, STAGE_MINUTE);
    give(&one, sign_statement(&stranger, &a));
    silence(&one, &stranger, &subject);
    give(&one, address_record(&stranger, &address, STAGE_MINUTE));
    subject = subject_of(41);
    b = puppet_signal(&stranger, &subject, STAGE_MINUTE);
    b.sequence = a.sequence;
    give(&two, certificate_record(&stranger));
    hosts_run(both, 2, 6000);
    give(&two, sign_statement(&stranger, &b)); /* a contradiction */
    hosts_run(both, 2, 1000);
    give(&two, revocation_record(&network, stranger.identity.id, STAGE_MINUTE));
    subject = subject_of(1);
    if (alive())
        (void)host_command(&one, GV_COMMAND_RETRACT, &subject);
    hosts_run(both, 2, 1000);
    network.descriptor.version = 2;
    network_publish(&network);
    give(&one, descriptor_record(&network));
    hosts_run(both, 2, 400000); /* repair too */
}

static void story(void)
{
    struct gv_subject subject = subject_of(500);

    network.descriptor.version = 1;
    network_publish(&network);
    if (!open_both())
        goto out;
    load_roster();
    host_run(&one, 10);
    host_run(&two, 10);
    reconnect(1);
    tell();
    /* Usable still? What is new goes from one to the other, and both hold the same in the end. */
    fail_at = 0;
    reconnect(20);
    if (!alive())
        goto out;
    assert_true(connected());
    assert_int_equal(one.notes[GV_NOTE_PEER_REFUSED] + two.notes[GV_NOTE_PEER_REFUSED], 0);
    host_fails(&one, &subject);
    hosts_run(both, 2, 700000);
    assert_int_not_equal(host_verdict(&two, &subject), GV_VERDICT_UNKNOWN);
    struct gv_core_status a = host_status(&one), b = host_status(&two);
    assert_int_equal(a.statements, b.statements);
    assert_memory_equal(a.set_fingerprint, b.set_fingerprint, GV_ID_LEN);
    hosts_run(both, 2, 60000);
out:
    host_close(&one);
    host_close(&two);
}

static int stage_up(void **state)
{
    network_open(&network, 1, true);
    puppet_make(&stranger, &network, 3);
    host_core_entered = entered;
    host_core_left = left;
    return 0;
}

static int stage_down(void **state)
{
    host_core_entered = host_core_left = NULL;
    puppet_free(&stranger);
    network_close(&network);
    return 0;
}

static void fail_each(size_t in_a_row, size_t step)
{
    size_t total, stopped = 0;

    asked = fail_at = 0;
    story();
    total = asked;
    for (size_t n = 1; n <= total; n += step) {
        asked = failed = 0;
        fail_at = n;
        fail_for = in_a_row;
        stranger.sequence = STAGE_MINUTE * 60000ull;
        story();
        stopped += one.stopped || two.stopped;
        fail_at = 0;
    }
    print_message("%zu allocations, %zu in a row failed, every %zu; %zu times the node stops\n",
                  total, in_a_row, step, stopped);
    assert_true(total > 100 && stopped < total / step / 2);
}

static void each_allocation_may_fail(void **state)
{
    fail_each(1, 1);
}

static void memory_may_be_gone_for_a_while(void **state)
{
    fail_each(40, 17);
}

static void each_may_fail_where_a_roster_was_read(void **state)
{
    reads_roster = true;
    fail_each(1, 1);
    fail_each(7, 11);
    reads_roster = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_allocation_may_fail, stage_up, stage_down),
        cmocka_unit_test_setup_teardown(each_may_fail_where_a_roster_was_read, stage_up,
                                        stage_down),
        cmocka_unit_test_setup_teardown(memory_may_be_gone_for_a_while, stage_up, stage_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
