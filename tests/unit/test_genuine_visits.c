/* Genuine logs of Exim and Sendmail (tests/maillog/genuine-*.log: the real servers under real
 * attacks) against what was read out of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "helper_reader.h"

struct genuine {
    const char *name;
    uint64_t lines, faults, successes, attempts;
};

static const struct genuine exim = {"genuine-exim", 226, 2, 1, 94};
static const struct genuine exim_syslog = {"genuine-exim-syslog", 613, 2, 8, 93};
static const struct genuine sendmail = {"genuine-sendmail", 242, 2, 8, 91};

static FILE *open_file(const char *name, const char *suffix)
{
    char path[512];

    snprintf(path, sizeof path, "%s/tests/maillog/%s%s", GV_SOURCE_DIR, name, suffix);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    return f;
}

static void feed_log(struct fed *fed, const char *name)
{
    FILE *f = open_file(name, ".log");
    char line[9000];

    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        fed_line(fed, line);
    }
    fclose(f);
    fed_flush(fed);
}

static void compare(const struct genuine *g)
{
    struct fed fed;

    fed_open(&fed);
    feed_log(&fed, g->name);
    check_log(&fed, open_file(g->name, ".expected"));
    for (size_t i = 0; i < fed.count; i++) {
        char address[GV_IP_ADDRESS_TEXT];
        gv_ip_address_text(address, &fed.list[i].address);
        /* Every client of the runs is of these; 203.0.113.0/24 is what was forged. */
        assert_true(strncmp(address, "198.51.100.", 11) == 0 ||
                    strncmp(address, "2001:db8:51:", 12) == 0);
    }
    const struct gv_reader_counters *c = gv_reader_counters(fed.reader);
    assert_int_equal(c->lines, g->lines);
    assert_int_equal(c->faults, g->faults);
    assert_int_equal(c->successes, g->successes);
    assert_int_equal(c->attempts, g->attempts);
    fed_close(&fed);
}

static void exims_own_log(void **state)
{
    compare(&exim);
}

static void exim_by_syslog_with_every_log_selector(void **state)
{
    compare(&exim_syslog);
}

static void sendmails_log(void **state)
{
    compare(&sendmail);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exims_own_log),
        cmocka_unit_test(exim_by_syslog_with_every_log_selector),
        cmocka_unit_test(sendmails_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
