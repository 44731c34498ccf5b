#include "helper_reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

void fed_open(struct fed *fed)
{
    static const struct gv_reader_config config = {.key = "0123456789abcde", .never_cut = true};

    setenv("TZ", "UTC", 1);
    tzset();
    memset(fed, 0, sizeof *fed);
    fed->now_ms = FED_NOW_MS;
    fed->reader = gv_reader_new(&config);
    assert_non_null(fed->reader);
}

void fed_close(struct fed *fed)
{
    gv_reader_free(fed->reader);
}

static void keep(struct fed *fed, const struct gv_reading *readings, size_t n)
{
    assert_true(n <= GV_READINGS_MAX);
    assert_true(fed->count + n <= FED_MAX);
    memcpy(fed->list + fed->count, readings, n * sizeof *readings);
    fed->count += n;
}

void fed_bytes(struct fed *fed, const char *line, size_t len)
{
    struct gv_reading readings[GV_READINGS_MAX];

    keep(fed, readings, gv_reader_line(fed->reader, readings, line, len, fed->now_ms));
}

void fed_line(struct fed *fed, const char *line)
{
    fed_bytes(fed, line, strlen(line));
}

void fed_flush(struct fed *fed)
{
    struct gv_reading readings[GV_READINGS_MAX];
    size_t n;

    while ((n = gv_reader_flush(fed->reader, readings)) > 0)
        keep(fed, readings, n);
}

void describe(char out[DESCRIBED_MAX], const struct gv_reading *reading)
{
    const struct gv_observation *o = &reading->observation;
    char address[GV_IP_ADDRESS_TEXT], what[48] = "success";

    gv_ip_address_text(address, &reading->address);
    if (!o->success)
        snprintf(what, sizeof what, "%s %u", gv_kind_name(o->kind), o->attempts);
    snprintf(out, DESCRIBED_MAX, "%llu %s %s %s %s%s%s", (unsigned long long)reading->line, address,
             gv_mta_name(reading->mta), gv_service_name(o->service), what,
             o->new_visit ? " visit" : "", o->refused ? " refused" : "");
}

const char *fed_take(struct fed *fed)
{
    static char text[FED_MAX * DESCRIBED_MAX];
    size_t at = 0;

    text[0] = '\0';
    for (size_t i = 0; i < fed->count; i++) {
        if (i > 0)
            at += (size_t)snprintf(text + at, sizeof text - at, "; ");
        describe(text + at, &fed->list[i]);
        at += strlen(text + at);
    }
    fed->count = 0;
    return text;
}

const char *alone(const char *line)
{
    static struct fed fed;

    fed_open(&fed);
    fed_line(&fed, line);
    fed_flush(&fed);
    fed_close(&fed);
    return fed_take(&fed);
}

void check_lines(const struct line_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *got = alone(cases[i].line);
        if (strcmp(got, cases[i].expected) != 0)
            fail_msg("%s\n  gave '%s'\n  not  '%s'", cases[i].line, got, cases[i].expected);
    }
}

struct gv_reader_counters check_story(const char *expected, const char *const *lines)
{
    struct fed fed;

    fed_open(&fed);
    while (*lines)
        fed_line(&fed, *lines++);
    fed_flush(&fed);
    struct gv_reader_counters counted = *gv_reader_counters(fed.reader);
    fed_close(&fed);
    const char *got = fed_take(&fed);
    if (strcmp(got, expected) != 0)
        fail_msg("gave '%s'\nnot  '%s'", got, expected);
    return counted;
}

void check_log(const struct fed *fed, FILE *expected)
{
    char line[256], got[DESCRIBED_MAX + 40], what[DESCRIBED_MAX], when[16];
    size_t i = 0;

    while (fgets(line, sizeof line, expected)) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '#' || line[0] == '\0')
            continue;
        assert_true(i < fed->count);
        time_t seconds = (time_t)(fed->list[i].observation.unix_ms / 1000);
        strftime(when, sizeof when, "%H:%M:%S", gmtime(&seconds));
        describe(what, &fed->list[i++]);
        snprintf(got, sizeof got, "%s %s", when, what);
        assert_string_equal(got, line);
    }
    fclose(expected);
    assert_int_equal(i, fed->count);
}
