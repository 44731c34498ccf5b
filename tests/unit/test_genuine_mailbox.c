/* The genuine logs of Cyrus and Courier (tests/maillog/genuine-NAME.log: real servers under real
 * attacks): what was read out of them (NAME.expected, checked by eye), and what the attacker's own
 * record says of each of its addresses (NAME.truth). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <jansson.h>

#include "helper_reader.h"

static const struct genuine {
    const char *name;
    uint64_t lines, faults;
    /* Addresses whose failures the log does not tell, or not so that they could be believed. */
    const char *silent[8];
} cyrus = {"cyrus",
           460,
           6,
           {/* their names are "[203.0.113.N]", too */
            "198.51.100.63", "198.51.100.132", "198.51.100.180",
            /* user names with a whole line in them */
            "198.51.100.41", "198.51.100.110",
            /* or a time stamp */
            "198.51.100.37", "198.51.100.106"}},
  courier = {"courier",
             792,
             6,
             {/* curl gave up before it tried */ "2001:db8:51:10::7",
              /* user names with a time stamp */
              "198.51.100.108", "198.51.100.179"}};

static FILE *open_file(const struct genuine *g, const char *suffix)
{
    char path[512];

    snprintf(path, sizeof path, "%s/tests/maillog/genuine-%s.%s", GV_SOURCE_DIR, g->name, suffix);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    return f;
}

static void feed_log(struct fed *fed, const struct genuine *g)
{
    FILE *f = open_file(g, "log");
    char line[4096];

    fed_open(fed);
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        fed_line(fed, line);
    }
    fclose(f);
    fed_flush(fed);
}

static void every_observation(void **state)
{
    const struct genuine *g = *state;
    struct fed fed;

    feed_log(&fed, g);
    check_log(&fed, open_file(g, "expected"));
    assert_int_equal(gv_reader_counters(fed.reader)->lines, g->lines);
    assert_int_equal(gv_reader_counters(fed.reader)->faults, g->faults);
    fed_close(&fed);
}

static bool is_silent(const struct genuine *g, const char *ip)
{
    for (size_t i = 0; i < 8 && g->silent[i]; i++)
        if (strcmp(g->silent[i], ip) == 0)
            return true;
    return false;
}

/* One address's failures and logins in the log. */
static void count(const struct fed *fed, const char *ip, json_int_t *failed, json_int_t *ok)
{
    char address[GV_IP_ADDRESS_TEXT];

    *failed = *ok = 0;
    for (size_t i = 0; i < fed->count; i++) {
        gv_ip_address_text(address, &fed->list[i].address);
        if (strcmp(address, ip) == 0) {
            *failed += fed->list[i].observation.attempts;
            *ok += fed->list[i].observation.success;
        }
    }
}

/* "failed" attempts must be there; "soft" ones (cancelled, garbled) may be; nothing else. */
static size_t compare(const struct genuine *g, const struct fed *fed, json_t *truth)
{
    const char *ip = json_string_value(json_object_get(truth, "ip"));
    json_int_t least = json_integer_value(json_object_get(truth, "failed"));
    json_int_t most = least + json_integer_value(json_object_get(truth, "soft"));
    json_int_t logins = json_integer_value(json_object_get(truth, "ok")), failed, ok;
    const char *scenario = json_string_value(json_object_get(truth, "scenario"));

    if (!ip) {
        ip = json_string_value(json_object_get(truth, "never"));
        assert_non_null(ip);
        least = most = logins = 0;
    }
    if (scenario && strncmp(scenario, "smtp ", 5) == 0)
        logins = 0; /* esmtpd does not log them */
    count(fed, ip, &failed, &ok);
    if (is_silent(g, ip))
        least = most = 0;
    if (failed < least || failed > most || ok != logins)
        fail_msg("%s: %s: %lld failed, not %lld to %lld; %lld logins, not %lld", g->name, ip,
                 (long long)failed, (long long)least, (long long)most, (long long)ok,
                 (long long)logins);
    return (size_t)(failed + ok);
}

static void every_address(void **state)
{
    const struct genuine *g = *state;
    struct fed fed;
    FILE *f = open_file(g, "truth");
    json_t *truth;
    size_t told = 0, addresses = 0;

    feed_log(&fed, g);
    while ((truth = json_loadf(f, JSON_DISABLE_EOF_CHECK, NULL))) {
        told += compare(g, &fed, truth);
        addresses++;
        json_decref(truth);
    }
    fclose(f);
    assert_true(addresses > 250);
    assert_int_equal(told, fed.count); /* and nobody else is named */
    fed_close(&fed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(every_observation, (void *)(uintptr_t)&cyrus),
        cmocka_unit_test_prestate(every_address, (void *)(uintptr_t)&cyrus),
        cmocka_unit_test_prestate(every_observation, (void *)(uintptr_t)&courier),
        cmocka_unit_test_prestate(every_address, (void *)(uintptr_t)&courier),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
