/* The genuine log (tests/maillog/genuine.log: real Postfix 3.7 and Dovecot 2.3 under real attacks)
 * against what was read out of it (genuine.expected; tests/e2e made the log). */
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

static FILE *open_file(const char *name)
{
    char path[512];

    snprintf(path, sizeof path, "%s/tests/maillog/%s", GV_SOURCE_DIR, name);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    return f;
}

static void feed_log(struct fed *fed)
{
    FILE *f = open_file("genuine.log");
    char line[4096];

    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        fed_line(fed, line);
    }
    fclose(f);
    fed_flush(fed);
}

static void every_observation_of_the_genuine_log(void **state)
{
    struct fed fed;

    fed_open(&fed);
    feed_log(&fed);
    check_log(&fed, open_file("genuine.expected"));
    assert_int_equal(gv_reader_counters(fed.reader)->lines, 399);
    assert_int_equal(gv_reader_counters(fed.reader)->faults, 3);
    fed_close(&fed);
}

/* The second run is in the log twice, in both time formats: the same observations come out. */
static void both_time_formats_say_the_same(void **state)
{
    struct fed fed;
    size_t first = 0, second = 0;

    fed_open(&fed);
    feed_log(&fed);
    while (first < fed.count && fed.list[first].line < 117)
        first++;
    second = first;
    while (second < fed.count && fed.list[second].line < 259)
        second++;
    assert_int_equal(fed.count - second, second - first);
    for (; second < fed.count; first++, second++) {
        struct gv_observation *a = &fed.list[first].observation;
        struct gv_observation *b = &fed.list[second].observation;
        assert_int_equal(fed.list[second].line - fed.list[first].line, 142);
        assert_int_equal(a->unix_ms / 1000, b->unix_ms / 1000);
        a->unix_ms = b->unix_ms = 0;
        assert_memory_equal(&a->subject, &b->subject, sizeof a->subject);
        assert_true(a->account == b->account && a->attempts == b->attempts && a->kind == b->kind &&
                    a->service == b->service && a->success == b->success &&
                    a->new_visit == b->new_visit && a->refused == b->refused);
    }
    fed_close(&fed);
}

/* The forged address, and every address that is no client, are nowhere. */
static void only_clients_are_named(void **state)
{
    struct fed fed;

    fed_open(&fed);
    feed_log(&fed);
    for (size_t i = 0; i < fed.count; i++) {
        char address[GV_IP_ADDRESS_TEXT];
        gv_ip_address_text(address, &fed.list[i].address);
        assert_true(strcmp(address, "198.51.100.7") == 0 || strcmp(address, "198.51.100.8") == 0 ||
                    strcmp(address, "2001:db8::7") == 0);
    }
    fed_close(&fed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_observation_of_the_genuine_log),
        cmocka_unit_test(both_time_formats_say_the_same),
        cmocka_unit_test(only_clients_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
