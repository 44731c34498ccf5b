/* attack-table --keep: a table that was stopped goes on where it was, and ends as if it had not
 * been; what is kept is read; and what belongs to another table is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

#include "sim/table/chart.h"

#define RUNS (1 + 2 * 2) /* of a seed: the base, and two rules under two attacks */
#define HEAD 8

static struct gv_chart_options options;
static char dir[64], path[128];

static int set_up(void **state)
{
    (void)state;
    options = (struct gv_chart_options){.nodes = 20,
                                        .days = 3,
                                        .seed = 7,
                                        .last_seed = 8,
                                        .jobs = 1,
                                        .rules = "grapevine,quorum-2",
                                        .attacks = "none,framing",
                                        .keep_path = dir};
    gv_scene_standard(&options.numbers);
    strcpy(dir, "/tmp/gv-keep-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/seed-7", dir);
    return 0;
}

static int tear_down(void **state)
{
    char other[128];

    (void)state;
    snprintf(other, sizeof other, "%s/seed-8", dir);
    unlink(path);
    unlink(other);
    return rmdir(dir);
}

/* The table's hash, and its exit status. */
static uint64_t table(int *rc)
{
    struct gv_chart chart;

    *rc = gv_chart_open(&chart, &options);
    uint64_t hash = chart.hash;
    gv_chart_close(&chart);
    return hash;
}

static uint64_t sound(void)
{
    int rc;
    uint64_t hash = table(&rc);

    assert_int_equal(rc, 0);
    return hash;
}

static long length(void)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return (long)st.st_size;
}

static void test_it_goes_on_where_it_was(void **state)
{
    const long whole = HEAD + RUNS * (long)sizeof(struct gv_score);
    const long cuts[] = {0,
                         3,
                         HEAD,
                         HEAD + 1,
                         HEAD + (long)sizeof(struct gv_score),
                         HEAD + 2 * (long)sizeof(struct gv_score) + 5,
                         whole - 1,
                         whole};

    options.keep_path = NULL;
    uint64_t expected = sound();
    options.keep_path = dir;
    assert_true(sound() == expected);
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        assert_int_equal(length(), whole);
        assert_int_equal(truncate(path, cuts[i]), 0);
        options.jobs = 1 + i % 2;
        assert_true(sound() == expected);
    }
}

/* Otherwise the test above would pass without a word being read. */
static void test_what_is_kept_is_not_run_again(void **state)
{
    uint64_t expected = sound();
    FILE *file = fopen(path, "r+b");
    struct gv_score score;

    assert_non_null(file);
    assert_int_equal(fseek(file, HEAD + 2 * (long)sizeof score, SEEK_SET), 0);
    assert_int_equal(fread(&score, sizeof score, 1, file), 1);
    score.refused += 1000;
    assert_int_equal(fseek(file, HEAD + 2 * (long)sizeof score, SEEK_SET), 0);
    assert_int_equal(fwrite(&score, sizeof score, 1, file), 1);
    fclose(file);
    assert_true(sound() != expected);
}

static void test_another_table_is_refused(void **state)
{
    int rc;
    uint64_t expected = sound();
    long before = length();

    options.numbers.providers++;
    table(&rc);
    assert_int_equal(rc, EX_DATAERR);
    options.numbers.providers--;
    options.attacks = "none,spray";
    table(&rc);
    assert_int_equal(rc, EX_DATAERR);
    options.attacks = "none,framing";
    options.days = 4;
    table(&rc);
    assert_int_equal(rc, EX_DATAERR);
    options.days = 3;
    assert_int_equal(length(), before);
    assert_true(sound() == expected);
    options.keep_path = "/proc/none";
    table(&rc);
    assert_int_equal(rc, EX_CANTCREAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_it_goes_on_where_it_was, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_kept_is_not_run_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_another_table_is_refused, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
