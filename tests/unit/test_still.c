/* A log is spared its look only while nothing of it has changed, and never for long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "node/ingest/still.h"

static char folder[] = "/tmp/gv-still-XXXXXX", path[64], other[64];

static void write_to(const char *file, const char *text, const char *mode)
{
    FILE *f = fopen(file, mode);

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static int setup(void **state)
{
    (void)state;
    strcpy(folder + sizeof folder - 7, "XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/log", folder);
    snprintf(other, sizeof other, "%s/other", folder);
    write_to(path, "one\n", "w");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    unlink(other);
    return rmdir(folder);
}

/* A file's last change cannot be set back, so that it is old is put into what was noted. */
static void look_long_ago(struct gv_still *still, const char *file)
{
    assert_int_equal(stat(file, &still->was), 0);
    still->known = true;
    gv_still_looked(still, true);
}

static void what_does_not_change_is_spared_but_every_eighth(void **state)
{
    struct gv_still still = {0};

    (void)state;
    look_long_ago(&still, path);
    for (unsigned i = 0; i + 1 < GV_STILL_MAX; i++)
        assert_true(gv_still(&still, path));
    assert_false(gv_still(&still, path));
}

static void what_changed_lately_is_looked_at(void **state)
{
    struct gv_still still = {0};

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_false(gv_still(&still, path));
        gv_still_looked(&still, true);
    }
}

static void a_line_more_is_seen(void **state)
{
    struct gv_still still = {0};

    (void)state;
    look_long_ago(&still, path);
    write_to(path, "two\n", "a");
    assert_false(gv_still(&still, path));
}

static void the_same_length_again_is_seen(void **state)
{
    struct gv_still still = {0};

    (void)state;
    look_long_ago(&still, path);
    usleep(20000); /* a tick of the file system's clock */
    write_to(path, "two\n", "w");
    assert_false(gv_still(&still, path));
}

static void another_file_in_its_place_is_seen(void **state)
{
    struct gv_still still = {0};
    struct stat is;

    (void)state;
    look_long_ago(&still, path);
    write_to(other, "two\n", "w");
    struct timespec times[2] = {still.was.st_atim, still.was.st_mtim};
    assert_int_equal(utimensat(AT_FDCWD, other, times, 0), 0);
    assert_int_equal(rename(other, path), 0);
    assert_int_equal(stat(path, &is), 0);
    still.was.st_ctim = is.st_ctim; /* the number alone tells */
    assert_false(gv_still(&still, path));
}

static void a_file_that_is_gone_is_looked_for(void **state)
{
    struct gv_still still = {0};

    (void)state;
    look_long_ago(&still, path);
    unlink(path);
    assert_false(gv_still(&still, path));
    gv_still_looked(&still, true);
    assert_false(gv_still(&still, path));
}

static void what_waits_for_more_is_looked_at(void **state)
{
    struct gv_still still = {0};

    (void)state;
    look_long_ago(&still, path);
    gv_still_looked(&still, false);
    assert_false(gv_still(&still, path));
}

int main(void)
{
#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        EACH(what_does_not_change_is_spared_but_every_eighth),
        EACH(what_changed_lately_is_looked_at),
        EACH(a_line_more_is_seen),
        EACH(the_same_length_again_is_seen),
        EACH(another_file_in_its_place_is_seen),
        EACH(a_file_that_is_gone_is_looked_for),
        EACH(what_waits_for_more_is_looked_at),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
