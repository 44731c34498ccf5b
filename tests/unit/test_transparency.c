/* The transparency log (SPEC 15.2): its chain over any lines, and what a look finds in a full
 * table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/base/transparency.h"
#include "node/cli/look.h"

#define ENTRIES 12

static uint64_t seed = 20261122;

static uint64_t draw(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

struct text_lines {
    char lines[ENTRIES][GV_TRANSPARENCY_LINE];
    size_t lens[ENTRIES]; /* without the newline */
};

static void write_chain(struct text_lines *out)
{
    struct gv_transparency_chain chain;
    const char *json;
    size_t json_len;

    gv_transparency_begin(&chain);
    for (unsigned i = 0; i < ENTRIES; i++) {
        char text[200];
        int n = snprintf(text, sizeof text, "{\"entry\":%u,\"reason\":\"r%llu\",\"v\":1}", i + 1,
                         (unsigned long long)draw(1000000));
        out->lens[i] = gv_transparency_line(out->lines[i], &chain, text, (size_t)n) - 1;
        assert_int_equal(out->lines[i][out->lens[i]], '\n');
        assert_int_equal(
            gv_transparency_take(&chain, &json, &json_len, out->lines[i], out->lens[i]),
            GV_TRANSPARENCY_SOUND);
        assert_int_equal(json_len, n);
        assert_memory_equal(json, text, json_len);
    }
    assert_int_equal(chain.entries, ENTRIES);
}

/* The entries in this order; -1 ends it. */
static struct gv_transparency_chain read_chain(const struct text_lines *lines, const int *order)
{
    struct gv_transparency_chain chain;
    const char *json;
    size_t json_len;

    gv_transparency_begin(&chain);
    for (; *order >= 0; order++)
        gv_transparency_take(&chain, &json, &json_len, lines->lines[*order], lines->lens[*order]);
    return chain;
}

/* Whatever single byte is changed, whichever entry is taken out, moved or doubled: it shows, but
 * for entries missing at the end. */
static void test_no_change_passes(void **state)
{
    static struct text_lines lines;
    int order[ENTRIES + 2];

    for (unsigned round = 0; round < 400; round++) {
        write_chain(&lines);
        for (int i = 0; i <= ENTRIES; i++)
            order[i] = i < ENTRIES ? i : -1;
        assert_int_equal(read_chain(&lines, order).broken, 0);
        size_t one = draw(ENTRIES), at = draw(lines.lens[one]);
        char was = lines.lines[one][at];
        lines.lines[one][at] = (char)(was ^ (char)(1 << draw(7)));
        struct gv_transparency_chain chain = read_chain(&lines, order);
        /* It is no entry any more, or one that does not fit; or, at the end, a cut one. */
        assert_true(chain.broken > 0 || (one == ENTRIES - 1 && chain.cut == 1));
        lines.lines[one][at] = was;
        size_t gone = draw(ENTRIES - 1);
        memmove(order + gone, order + gone + 1, (ENTRIES - gone) * sizeof *order);
        assert_true(read_chain(&lines, order).broken > 0);
        for (int i = 0; i <= ENTRIES; i++)
            order[i] = i < ENTRIES ? i : -1;
        size_t other = draw(ENTRIES);
        if (other != one) {
            order[one] = (int)other;
            order[other] = (int)one;
            assert_true(read_chain(&lines, order).broken > 0);
        }
    }
}

static void make_folder(char out[64])
{
    strcpy(out, "/tmp/gv-transparency.XXXXXX");
    assert_non_null(mkdtemp(out));
}

static int count_taken(void *context, const struct gv_transparency_chain *chain,
                       enum gv_transparency_said said, const char *json, size_t len)
{
    unsigned *counts = context;

    counts[said]++;
    return GV_OK;
}

/* Cut anywhere, the next entry follows, and no whole entry is lost or called changed. */
static void test_cut_anywhere(void **state)
{
    char folder[64], path[128], text[4096];
    json_t *entry = json_pack("{s:s, s:s}", "reason", "}\",\"v\":1}", "view", "names");
    struct gv_transparency_chain chain;
    struct gv_text error;

    make_folder(folder);
    snprintf(path, sizeof path, "%s/%s", folder, GV_TRANSPARENCY_FILE);
    for (int i = 0; i < 2; i++)
        assert_int_equal(gv_transparency_append(folder, &chain, entry, &error), GV_OK);
    FILE *in = fopen(path, "r");
    size_t len = fread(text, 1, sizeof text, in);
    fclose(in);
    size_t first = (size_t)((char *)memchr(text, '\n', len) - text) + 1;
    for (size_t cut = 0; cut <= len; cut++) {
        unsigned counts[3] = {0};
        FILE *out = fopen(path, "w");
        assert_int_equal(fwrite(text, 1, cut, out), cut);
        fclose(out);
        assert_int_equal(gv_transparency_append(folder, &chain, entry, &error), GV_OK);
        assert_int_equal(gv_transparency_read(folder, &chain, count_taken, counts, &error), GV_OK);
        size_t whole = 1u + (cut + 1 >= first) + (cut + 1 >= len);
        bool between = cut == 0 || cut + 1 == first || cut == first || cut + 1 >= len;
        assert_int_equal(counts[GV_TRANSPARENCY_SOUND], whole);
        assert_int_equal(counts[GV_TRANSPARENCY_BROKEN], 0);
        assert_int_equal(counts[GV_TRANSPARENCY_CUT], between ? 0 : 1);
    }
    json_decref(entry);
    unlink(path);
    rmdir(folder);
}

static void test_reasons(void **state)
{
    static const struct {
        const char *text;
        int rc;
    } cases[] = {{"hundreds of bounces since noon", GV_OK},
                 {"", GV_ERR_RANGE},
                 {"  ", GV_ERR_RANGE},
                 {"ok", GV_ERR_RANGE},
                 {"because of bob@example.org", GV_ERR_RANGE},
                 {"two\nlines of it", GV_ERR_RANGE},
                 {"\x1b[2Jescape", GV_ERR_RANGE},
                 {"not \xff text", GV_ERR_RANGE},
                 {"zu viele Rückläufer", GV_OK}};
    char longest[GV_TRANSPARENCY_REASON + 2];
    struct gv_text error;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(gv_transparency_reason(cases[i].text, &error), cases[i].rc);
    memset(longest, 'x', sizeof longest);
    longest[GV_TRANSPARENCY_REASON + 1] = 0;
    assert_int_equal(gv_transparency_reason(longest, &error), GV_ERR_RANGE);
    longest[GV_TRANSPARENCY_REASON] = 0;
    assert_int_equal(gv_transparency_reason(longest, &error), GV_OK);
}

static void test_patterns(void **state)
{
    static const struct {
        const char *name, *pattern;
    } cases[] = {{"bob17@x.example", "bob#@x.example"},
                 {"a1b22c@x1.example", "a#b#c@x1.example"},
                 {"bob@x2.example", ""},
                 {"007", "#"},
                 {"Promo9", "promo#"}};
    char out[GV_TALLY_NAME];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n = gv_look_pattern(out, cases[i].name, strlen(cases[i].name));
        assert_int_equal(n, strlen(cases[i].pattern));
        assert_memory_equal(out, cases[i].pattern, n);
    }
}

/* Whatever else comes, the heavy ones stay, and are short by no more than is said. */
static void test_heavy_names_stay(void **state)
{
    static const uint8_t key[16] = {7};
    struct gv_tally *tally = gv_tally_new(key);
    const struct gv_tally_entry *top[5];
    char name[32];

    assert_non_null(tally);
    for (unsigned i = 0; i < 200000; i++) {
        bool heavy = i % 50 == 0;
        int n = heavy ? snprintf(name, sizeof name, "heavy%u", i / 50 % 4)
                      : snprintf(name, sizeof name, "light%u", i);
        struct gv_tally_entry *entry = gv_tally_at(tally, name, (size_t)n);
        gv_tally_count(entry, 1000 + i);
        entry->weight = entry->count;
    }
    assert_true(gv_tally_size(tally) <= GV_TALLY_MAX);
    assert_true(gv_tally_forgotten(tally) > 150000);
    assert_int_equal(gv_tally_top(tally, top, 5), 5);
    for (unsigned i = 0; i < 4; i++) {
        assert_memory_equal(top[i]->name, "heavy", 5);
        assert_true(top[i]->count <= 1000);
        assert_true(top[i]->count + gv_tally_lost(tally) >= 1000);
    }
    assert_memory_equal(top[4]->name, "light", 5);
    gv_tally_free(tally);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_change_passes), cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_reasons),          cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_heavy_names_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
