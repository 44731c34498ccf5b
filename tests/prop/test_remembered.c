/* What the reader remembers of the line before (its prefix, the minute of its stamp) and the words
 * that it looks for eight bytes at a time must make it faster and nothing else: over lines that
 * share much, each answer is that of somebody who remembers nothing, or looks byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <time.h>

#include "node/ingest/line.h"
#include "node/ingest/parse.h"
#include "node/ingest/words.h"

#define NOW_MS 1795268400000u /* 10:10 of Nov 21 in St John's, the minute of most stamps here */

static uint64_t seed = 88172645463325252u;

static uint32_t draw(uint32_t bound)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 32) % bound;
}

/* Mostly 0. */
static unsigned rare(uint32_t bound)
{
    return draw(16) ? 0 : draw(bound);
}

static void put_stamp(char out[64], uint32_t form)
{
    static const char *const zones[] = {"Z", "+00:00", "-0330", "+01:30", ""};
    static const char *const fractions[] = {"",    ".5",    ".123",      ".999999",
                                            ",25", ".1230", ".123456789"};
    char fraction[16];

    snprintf(fraction, sizeof fraction, "%s", fractions[draw(3) ? 2 : draw(7)]);
    for (char *c = fraction; *c; c++)
        if (*c >= '0' && *c <= '9' && draw(3) == 0)
            *c = (char)('0' + draw(10));
    unsigned second = draw(20) ? draw(60) : 60 + draw(2);
    if (form < 2)
        snprintf(out, 64, "Nov %2u %02u:%02u:%02u%s", 21 + rare(3), 10 + rare(2), 10 + rare(3),
                 second, form ? fraction : "");
    else
        snprintf(out, 64, "2026-11-2%u%c11:1%u:%02u%s%s", 1 + rare(3), form == 2 ? ' ' : 'T',
                 rare(3), second, fraction, zones[draw(3) ? 1 : draw(5)]);
}

/* A byte of it becomes another one, now and then. */
static void mutate(char *text, uint32_t within)
{
    static const char bytes[] = "0123456789 :[]./T+-Zabmx";
    size_t len = strlen(text);

    if (len > 0 && draw(4) == 0)
        text[draw(len < within ? (uint32_t)len : within)] = bytes[draw(sizeof bytes - 1)];
}

static void a_remembered_minute(void **state)
{
    struct gv_clock kept = {0};
    uint64_t same = 0, now = NOW_MS;

    setenv("TZ", "America/St_Johns", 1);
    tzset();
    for (int i = 0; i < 300000; i++) {
        struct gv_clock fresh = {0};
        struct gv_stamp stamp;
        uint64_t a = 0, b = 0;
        char text[80];
        if (i % 16 == 0)
            now = NOW_MS + 1000ull * draw(90) - 15000;
        put_stamp(text, draw(8) ? (uint32_t)(i / 64 % 4) : draw(4));
        mutate(text, 40);
        strcat(text, " ");
        if (!gv_stamp_find(&stamp, text, strlen(text)))
            continue;
        bool good = gv_clock_convert(&fresh, &a, &stamp, now);
        uint64_t minute = kept.minute_ms;
        if (good != gv_clock_convert(&kept, &b, &stamp, now) || (good && a != b))
            fail_msg("'%s': %llu, not %llu", text, (unsigned long long)b, (unsigned long long)a);
        same += good && kept.minute_ms == minute;
    }
    assert_true(same > 20000);
    setenv("TZ", "UTC", 1);
    tzset();
}

/* As long as each other, the one with a fraction and the other with a zone. */
static void a_zone_is_no_fraction(void **state)
{
    static const char *const texts[] = {"2026-11-21T10:10:17.0330 ", "2026-11-21T10:10:17-0330 ",
                                        "2026-11-21T10:10:17.0330 ", "2026-11-21T10:10:17+0330 "};
    struct gv_clock kept = {0};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct gv_clock fresh = {0};
        struct gv_stamp stamp;
        uint64_t a, b;
        assert_true(gv_stamp_find(&stamp, texts[i], strlen(texts[i])));
        assert_true(gv_clock_convert(&fresh, &a, &stamp, NOW_MS));
        assert_true(gv_clock_convert(&kept, &b, &stamp, NOW_MS));
        assert_int_equal(b, a);
    }
}

static bool equal(const struct gv_line *a, const struct gv_line *b)
{
    return a->stamp.text == b->stamp.text && a->stamp.len == b->stamp.len &&
           a->stamp.form == b->stamp.form && a->program == b->program && a->process == b->process &&
           a->tag == b->tag && a->tag_len == b->tag_len && a->sender == b->sender &&
           a->sender_len == b->sender_len && a->has_pid == b->has_pid && a->text == b->text &&
           a->text_len == b->text_len;
}

static void remember_prefixes(bool mail)
{
    static const char *const hosts[] = {"mx1", "mx12", "a", "mail.example.org", "m:", "auth("};
    static const char *const tags[] = {"postfix/smtpd[12]",
                                       "dovecot",
                                       "postfix/smtpd[]",
                                       "postfix/submission/smtpd[123456789]",
                                       "/smtpd",
                                       "[1]",
                                       "postfix/smtpd[12a]",
                                       "postfix/cleanup[5]",
                                       "postfix/smtpd[1",
                                       "exim[1]",
                                       "sm-mta[1234567]",
                                       "imapd",
                                       "cyrus/imaps[33]",
                                       "auth-worker(3)",
                                       "postfix/qmgr[931]",
                                       "postfix/smtp[4194304]",
                                       "postfix/lmtp[1/smtpd",
                                       "postfix/a[/smtpd",
                                       "postfix/qmgr: b[1]",
                                       "postfix/a b[1]",
                                       "postfix/qmgr:[1]",
                                       "postfix/pipe[]",
                                       "postfix/local",
                                       "postfix/s/smtpd[77]",
                                       "postfix/tlsmgr[1][2]",
                                       "postfix/smtpd: [1234]",
                                       "postfix/verify[123456789]"};
    struct gv_line_prefix kept = {.mail = mail};
    uint64_t hits = 0, split = 0;

    for (int i = 0; i < 300000; i++) {
        struct gv_line_prefix fresh = {.mail = mail};
        struct gv_line a, b;
        char text[160], stamp[64];
        put_stamp(stamp, draw(8) ? 3 * (uint32_t)(i / 512 % 2) : draw(4));
        snprintf(text, sizeof text, "%s %s %s: text, as long as one mostly is", stamp,
                 hosts[draw(8) ? 0 : draw(6)], tags[draw(sizeof tags / sizeof *tags)]);
        mutate(text, draw(2) ? 80 : 20);
        /* Its own memory, so that a byte too far is seen. */
        size_t len = draw(10) ? strlen(text) : draw((uint32_t)strlen(text) + 1);
        char *line = malloc(len + 1);
        assert_non_null(line);
        memcpy(line, text, len);
        char *exact = realloc(line, len ? len : 1);
        assert_non_null(exact);
        bool held = kept.len > 0;
        bool good = gv_line_split(&a, &fresh, exact, len);
        if (good != gv_line_split(&b, &kept, exact, len) || (good && !equal(&a, &b)))
            fail_msg("'%.*s' is split otherwise behind another line", (int)len, exact);
        split += good;
        hits += good && held;
        free(exact);
    }
    assert_true(split > 100000 && hits > 50000);
}

static void a_remembered_prefix(void **state)
{
    remember_prefixes(true);
    remember_prefixes(false); /* what no counter needs is passed over sooner */
}

static void pids_of_any_length(void **state)
{
    struct gv_line_prefix kept = {0};
    char text[80], digits[24] = "";

    for (size_t n = 0; n < 20; n++) {
        struct gv_line line;
        snprintf(text, sizeof text, "Nov 21 10:10:17 mx1 postfix/smtpd[%s]: text", digits);
        bool good = gv_line_split(&line, &kept, text, strlen(text));
        assert_int_equal(good, n > 0);
        if (good)
            assert_true(line.has_pid && line.tag_len == strlen("postfix/smtpd"));
        digits[n] = (char)('0' + n % 10);
    }
}

static const char *slow_find(const char *at, const char *limit, const char *word, bool last)
{
    const char *found = NULL;

    for (size_t n = strlen(word); (size_t)(limit - at) >= n; at++)
        if (memcmp(at, word, n) == 0 && (last || !found))
            found = at;
    return found;
}

static void words_eight_bytes_at_a_time(void **state)
{
    static const char *const words[] = {", ", " auth=", ", rip=", ") [", "aaab", "ab", ": user=<"};

    for (int i = 0; i < 300000; i++) {
        const char *word = words[draw(7)];
        size_t len = draw(60), n = strlen(word);
        char *text = malloc(len ? len : 1);
        assert_non_null(text);
        for (size_t k = 0; k < len; k++)
            text[k] = draw(3) ? word[draw((uint32_t)n)] : (char)draw(256);
        for (uint32_t copies = draw(3); copies > 0 && len >= n; copies--)
            memcpy(text + draw((uint32_t)(len - n + 1)), word, n);
        assert_ptr_equal(gv_find(text, text + len, word), slow_find(text, text + len, word, false));
        assert_ptr_equal(gv_find_last(text, text + len, word),
                         slow_find(text, text + len, word, true));
        free(text);
    }
}

static void capitals_and_letters(void **state)
{
    char text[8];

    for (unsigned c = 0; c < 256; c++)
        for (size_t at = 0; at < sizeof text; at++) {
            memset(text, (int)(c * 7 + at), sizeof text);
            text[at] = (char)c;
            bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
            assert_int_equal(gv_no_alnums(gv_load8(text)) >> 8 * at & 0xff, alnum ? 0 : 0x80);
            gv_fold8(text);
            assert_int_equal((unsigned char)text[at], c >= 'A' && c <= 'Z' ? c + 32 : c);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_remembered_minute),         cmocka_unit_test(a_zone_is_no_fraction),
        cmocka_unit_test(a_remembered_prefix),         cmocka_unit_test(pids_of_any_length),
        cmocka_unit_test(words_eight_bytes_at_a_time), cmocka_unit_test(capitals_and_letters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
