/* A hole that a crash or a copytruncate left in a log reads as NULs. What stands behind it need not
 * belong to what stands before it, and may be a client's own text: a line with a NUL in it says
 * nothing, wherever the NUL is (SPEC 10.4). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "helper_reader.h"

static const char *const logs[] = {"genuine.log", "genuine-exim.log", "genuine-sendmail.log",
                                   "genuine-cyrus.log", "genuine-courier.log"};

/* How many observations a line leads to, by itself. */
static size_t gives(struct fed *fed, const char *line, size_t len)
{
    char *exact = malloc(len);

    assert_non_null(exact);
    memcpy(exact, line, len);
    fed->count = 0;
    fed_bytes(fed, exact, len);
    fed_flush(fed);
    free(exact);
    return fed->count;
}

static size_t holes_in(const char *name)
{
    char path[256], line[GV_LINE_MAX], holed[GV_LINE_MAX];
    struct fed fed;
    size_t lines = 0;

    snprintf(path, sizeof path, "%s/tests/maillog/%s", GV_SOURCE_DIR, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    fed_open(&fed);
    while (lines < 40 && fgets(line, sizeof line, file)) {
        size_t len = strcspn(line, "\n");

        if (len == 0 || gives(&fed, line, len) == 0)
            continue;
        lines++;
        for (size_t at = 0; at < len; at++) {
            memcpy(holed, line, len);
            holed[at] = '\0';
            if (gives(&fed, holed, len) > 0)
                fail_msg("%s: a NUL at %zu of: %s", name, at, line);
        }
        for (size_t before = 1; before < 5000; before = before * 3 + 1) {
            memset(holed, 0, before);
            memcpy(holed + before, line, len);
            assert_int_equal(gives(&fed, holed, before + len), 0);
        }
    }
    fed_close(&fed);
    fclose(file);
    return lines;
}

static void a_line_with_a_hole_says_nothing(void **state)
{
    for (size_t i = 0; i < sizeof logs / sizeof *logs; i++) {
        size_t lines = holes_in(logs[i]);

        print_message("%s: %zu lines\n", logs[i], lines);
        assert_true(lines >= 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_line_with_a_hole_says_nothing)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
