/* The simulator's faults: they can be named, drawn and said again; each of them happens when it is
 * asked for; the seed is the run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/limits.h"
#include "sim/account.h"
#include "sim/run.h"
#include "sim/world.h"

/* ---- names and numbers ---------------------------------------------------------------------- */

static void faults_are_read_and_written(void **state)
{
    struct gv_faults faults = {0};
    char text[GV_FAULTS_TEXT];
    const char *where;

    gv_faults_text(text, &faults);
    assert_string_equal(text, "none");
    assert_false(gv_faults_any(&faults));
    assert_null(gv_faults_parse(&faults, "jitter=50,liars=2,loss=3", &where));
    assert_int_equal(faults.jitter, 50);
    assert_int_equal(faults.loss, 3);
    assert_int_equal(faults.liars, 2);
    gv_faults_text(text, &faults);
    assert_string_equal(text, "jitter=50,loss=3,liars=2");
    assert_true(gv_faults_any(&faults));
}

static void wrong_faults_are_refused(void **state)
{
    static const char *const wrong[] = {"rain=1",
                                        "jitter",
                                        "jitter=",
                                        "jitter=-1",
                                        "jitter=1x",
                                        "jitter=2001",
                                        "loss=1,jitter",
                                        "loss=1,,",
                                        "=1",
                                        "jitte=1",
                                        "jitter =1",
                                        "loss=1,loss=2",
                                        "loss=18446744073709551617"};

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct gv_faults faults = {0};
        const char *where;
        if (!gv_faults_parse(&faults, wrong[i], &where))
            fail_msg("'%s' was taken", wrong[i]);
    }
}

static void what_is_drawn_can_be_said_again(void **state)
{
    struct gv_faults drawn, said;
    char text[GV_FAULTS_TEXT];
    const char *where;
    size_t with_crashes = 0, with_partitions = 0, with_liars = 0, with_nothing_slow = 0;

    for (uint64_t seed = 0; seed < 200; seed++) {
        gv_faults_draw(&drawn, seed);
        gv_faults_text(text, &drawn);
        memset(&said, 0, sizeof said);
        assert_null(strcmp(text, "none") ? gv_faults_parse(&said, text, &where) : NULL);
        assert_memory_equal(&drawn, &said, sizeof drawn);
        with_crashes += drawn.crashes > 0;
        with_partitions += drawn.partitions > 0;
        with_liars += drawn.liars > 0;
        with_nothing_slow += drawn.slow_ms == 0;
    }
    /* About half of the runs have each. */
    assert_in_range(with_crashes, 60, 140);
    assert_in_range(with_partitions, 60, 140);
    assert_in_range(with_liars, 60, 140);
    assert_in_range(with_nothing_slow, 60, 140);
}

/* ---- they happen ---------------------------------------------------------------------------- */

static struct gv_sim_result run_with(const char *faults, uint64_t seed)
{
    struct gv_sim_options options = {
        .nodes = 5, .hours = 1.5, .seed = seed, .last_seed = seed, .sightings = 8};
    struct gv_sim_result result;
    const char *where;

    assert_null(gv_faults_parse(&options.faults, faults, &where));
    gv_sim_run(&result, &options, false);
    if (result.violations)
        fail_msg("%s, seed %u: violated", faults, (unsigned)seed);
    return result;
}

static void each_fault_happens(void **state)
{
    static const struct {
        const char *faults;
        size_t offset;
    } cases[] = {
#define COUNTED(name) offsetof(struct gv_weather_counts, name)
        {"jitter=300", COUNTED(delayed)},
        {"loss=10", COUNTED(lost)},
        {"split=50", COUNTED(split)},
        {"breaks=20", COUNTED(broken)},
        {"partitions=8,partition_s=600,partition_kinds=1", COUNTED(partitions)},
        {"partitions=8,partition_s=600,partition_kinds=15", COUNTED(stalled)},
        {"crashes=6,down_s=60", COUNTED(crashes)},
        {"crashes=20,down_s=10,power=100", COUNTED(power_cuts)},
        {"crashes=6,down_s=60,disks=100,keys=50", COUNTED(disks_lost)},
        {"crashes=6,down_s=60,disks=100", COUNTED(numbers_lost)},
        {"slow_ms=4000", COUNTED(slow_commits)},
        {"slow_ms=30000,crashes=30,down_s=5", COUNTED(void_commits)},
        {"jumps=6,jump_s=3600", COUNTED(jumps)},
        {"life=60", COUNTED(renewals)},
        {"life=60,registry=100", COUNTED(renewals_failed)},
        {"liars=2", COUNTED(lies)},
        {"revoke=2", COUNTED(revoked_honest)},
        {"revoke=2,liars=2", COUNTED(revoked)},
        {"grace=5", COUNTED(abandoned)},
        {"retract=6", COUNTED(retracted)},
        {"liars=2", COUNTED(cut_off_grave)},
        {"kill=60,kill_min=5", COUNTED(killed)},
        {"halves=20", COUNTED(partitions)},
        {"kbit=16", COUNTED(queued)},
#undef COUNTED
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gv_sim_result result = run_with(cases[i].faults, 3);
        uint64_t count;
        memcpy(&count, (const char *)&result.weather + cases[i].offset, sizeof count);
        if (count == 0)
            fail_msg("%s: never happened", cases[i].faults);
    }
}

static void without_faults_nothing_happens(void **state)
{
    struct gv_weather_counts none = {0};
    struct gv_sim_result result = run_with("", 3);

    assert_memory_equal(&result.weather, &none, sizeof none);
    assert_true(result.published > 0 && result.delay_p99_s > 0);
}

/* Half of one minute is none. */
static void a_certificate_may_live_one_minute(void **state)
{
    struct gv_sim_options options = {.nodes = 3, .hours = 0.6, .seed = 11, .sightings = 4};
    struct gv_sim_result result;

    options.faults.life = 1;
    gv_sim_run(&result, &options, false);
    assert_true(result.weather.renewals > 100);
    assert_int_equal(result.violations, 0);
}

/* A crash during a slow commit can leave an own signal on the disk and lose the note of it. It is
 * said all the same, and spreads. About every second seed has such a commit. */
static void a_signal_that_is_on_disk_is_said_though_its_note_was_lost(void **state)
{
    struct gv_sim_options options = {.nodes = 6, .hours = 2, .sightings = 4};
    struct gv_sim_result result = {0};
    const char *where;

    assert_null(gv_faults_parse(&options.faults, "slow_ms=4000,crashes=6,power=100", &where));
    for (uint64_t seed = 1; seed <= 20 && result.weather.void_commits == 0; seed++) {
        options.seed = options.last_seed = seed;
        gv_sim_run(&result, &options, false);
        assert_true(result.published > 0);
        assert_int_equal(result.violations, 0);
    }
    assert_true(result.weather.void_commits > 0);
}

/* ---- the seed is the run --------------------------------------------------------------------- */

static void the_same_seed_is_the_same_run(void **state)
{
    struct gv_sim_options options = {
        .nodes = 5, .hours = 1, .seed = 9, .last_seed = 9, .sightings = 4};
    struct gv_sim_result first, again, other, computed;

    gv_faults_draw(&options.faults, 9);
    gv_sim_run(&first, &options, false);
    gv_sim_run(&again, &options, false);
    assert_string_equal(first.trace_hash, again.trace_hash);
    assert_memory_equal(&first.weather, &again.weather, sizeof first.weather);
    options.real_crypto = true; /* what is remembered is what would have been computed */
    gv_sim_run(&computed, &options, false);
    assert_string_equal(first.trace_hash, computed.trace_hash);
    assert_true(computed.verifications_computed > first.verifications_computed);
    options.seed = 10;
    gv_sim_run(&other, &options, false);
    assert_string_not_equal(first.trace_hash, other.trace_hash);
}

/* ---- the disk ------------------------------------------------------------------------------- */

static void put(struct gv_disk *disk, uint64_t now_ms, uint8_t key, uint8_t value)
{
    gv_disk_begin(disk, now_ms);
    gv_disk_put(disk, GV_ROW_LIST, &key, 1, &value, 1);
}

static int value_at(const struct gv_disk *disk, uint8_t key)
{
    const struct gv_disk_row *row = gv_disk_find(disk, GV_ROW_LIST, &key, 1);

    return row ? row->value[0] : -1;
}

static void a_power_cut_takes_back_the_youngest_commits_that_were_not_synced(void **state)
{
    struct gv_disk disk = {0};
    uint8_t one = 1;

    put(&disk, 0, 1, 10);
    gv_disk_sync(&disk);
    put(&disk, 1, 1, 11);
    put(&disk, 2, 2, 20);
    gv_disk_begin(&disk, 3);
    gv_disk_remove(&disk, GV_ROW_LIST, &one, 1);
    assert_int_equal(value_at(&disk, 1), -1);
    assert_int_equal(gv_disk_unsafe(&disk, 3), 3);
    assert_int_equal(gv_disk_power_cut(&disk, 2), 2);
    assert_int_equal(value_at(&disk, 1), 11);
    assert_int_equal(value_at(&disk, 2), -1);
    assert_int_equal(gv_disk_unsafe(&disk, 3), 0);
    put(&disk, 4, 1, 12);
    assert_int_equal(gv_disk_unsafe(&disk, 4 + GV_DISK_WRITEBACK_MS), 0);
    put(&disk, 4 + GV_DISK_WRITEBACK_MS, 1, 13);
    assert_int_equal(gv_disk_power_cut(&disk, 9), 1);
    assert_int_equal(value_at(&disk, 1), 12);
    gv_disk_wipe(&disk);
}

/* ---- numbers after a loss -------------------------------------------------------------------- */

/* The row of the last number: how far the numbers are ahead of the clock; *number. */
static uint64_t numbers_of(const struct gv_world *world, uint64_t *number)
{
    static const uint8_t self = 1;
    const struct gv_disk_row *row = gv_disk_find(&world->nodes[0].disk, GV_ROW_SELF, &self, 1);
    uint64_t ahead = 0;

    assert_non_null(row);
    assert_int_equal(row->value_len, 16);
    *number = 0;
    for (size_t i = 0; i < 8; i++) {
        *number = *number << 8 | row->value[i];
        ahead = ahead << 8 | row->value[8 + i];
    }
    return ahead;
}

static void a_node_that_lost_its_number_goes_on_a_day_ahead(void **state)
{
    struct gv_world_options options = {
        .nodes = 1, .seed = 1, .latency_min_ms = 1, .latency_max_ms = 2, .age_min = 1440};
    struct gv_world *world = gv_world_new(&options);
    uint64_t first, lost, kept;

    assert_int_equal(numbers_of(world, &first), 0); /* a key that was made just now */
    assert_int_equal(first, gv_world_unix_ms(world, 0));
    gv_world_run(world, 60000);
    gv_world_crash(world, 0, true);
    gv_world_start(world, 0);
    assert_int_equal(numbers_of(world, &lost), GV_SEQUENCE_LEAP_MS);
    assert_int_equal(lost, gv_world_unix_ms(world, 0) + GV_SEQUENCE_LEAP_MS);
    gv_world_run(world, 120000);
    gv_world_crash(world, 0, false);
    gv_world_start(world, 0);
    assert_int_equal(numbers_of(world, &kept), GV_SEQUENCE_LEAP_MS);
    assert_int_equal(kept, lost);
    gv_world_crash(world, 0, true);
    gv_world_enroll_anew(world, 0); /* nobody has heard of this one yet */
    gv_world_start(world, 0);
    assert_int_equal(numbers_of(world, &first), 0);
    gv_world_free(world);
}

/* ---- what a core holds ----------------------------------------------------------------------- */

static void allocations_are_booked_on_the_open_account(void **state)
{
    int64_t one = 0, other = 0;

    assert_true(gv_account_counts());
    gv_account_switch(&one);
    void *volatile block = malloc(1000);
    assert_ptr_equal(gv_account_switch(&other), &one);
    void *volatile second = malloc(50);
    gv_account_switch(&one);
    assert_true(one >= 1000 && one < 1100 && other >= 50 && other < 100);
    free(block);
    assert_int_equal(one, 0);
    gv_account_switch(NULL);
    free(second);
    assert_true(other >= 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_are_read_and_written),
        cmocka_unit_test(wrong_faults_are_refused),
        cmocka_unit_test(what_is_drawn_can_be_said_again),
        cmocka_unit_test(each_fault_happens),
        cmocka_unit_test(without_faults_nothing_happens),
        cmocka_unit_test(a_certificate_may_live_one_minute),
        cmocka_unit_test(a_signal_that_is_on_disk_is_said_though_its_note_was_lost),
        cmocka_unit_test(the_same_seed_is_the_same_run),
        cmocka_unit_test(a_power_cut_takes_back_the_youngest_commits_that_were_not_synced),
        cmocka_unit_test(a_node_that_lost_its_number_goes_on_a_day_ahead),
        cmocka_unit_test(allocations_are_booked_on_the_open_account),
    };

    gv_assert(sodium_init() >= 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
