/* NULs before a line, as a writer that does not append leaves them behind a copytruncate: they are
 * passed over, however many, and nothing else becomes a line of its own (SPEC 10.5). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/ingest/splitter.h"
#include "node/ingest/tail.h"

static char got[4096]; /* lines, each with '|' behind it, NULs as '0' */

static void on_line(void *context, const char *line, size_t len)
{
    size_t at = strlen(got);

    (void)context;
    if (len == SIZE_MAX) {
        strcat(got, "<long>|");
        return;
    }
    assert_true(at + len + 2 < sizeof got);
    for (size_t i = 0; i < len; i++)
        got[at++] = line[i] ? line[i] : '0';
    strcpy(got + at, "|");
}

/* Gives the bytes in pieces; what was not given out yet is at the end of `got`. */
static void split(struct gv_splitter *s, const char *text, size_t len, size_t piece)
{
    const char *line;
    size_t n, space;
    enum gv_split found;

    while (len > 0) {
        char *into = gv_splitter_space(s, &space);
        n = len < piece ? len : piece;
        n = n < space ? n : space;
        memcpy(into, text, n);
        gv_splitter_filled(s, n);
        text += n;
        len -= n;
        while ((found = gv_splitter_next(s, &line, &n)) != GV_SPLIT_NONE)
            on_line(NULL, line, found == GV_SPLIT_LINE ? n : SIZE_MAX);
    }
}

static void nuls_before_a_line(void **state)
{
    static const size_t counts[] = {1, 7, 8, 8192, 8193, 65536, 65537, 3000000};
    static const size_t pieces[] = {1, 100, 65536};
    struct gv_splitter s;

    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        for (size_t p = counts[i] > 100000; p < 3; p++) {
            size_t len = 4 + counts[i] + 6;
            char *text = calloc(1, len);
            assert_non_null(text);
            memcpy(text, "one\n", 4);
            memcpy(text + 4 + counts[i], "two\nxy", 6);
            assert_true(gv_splitter_init(&s));
            got[0] = '\0';
            split(&s, text, len - 6, pieces[p]);
            assert_string_equal(got, "one|");
            assert_int_equal(s.taken, 4); /* a position is not among NULs */
            split(&s, text + len - 6, 6, pieces[p]);
            assert_string_equal(got, "one|two|");
            assert_int_equal(s.taken, len - 2);
            assert_int_equal(s.taken + s.pending + s.end - s.start, len);
            gv_splitter_free(&s);
            free(text);
        }
}

/* NULs in a line are the client's, perhaps: what is behind them is no line, also where the line was
 * too long or its beginning was not seen. */
static void nuls_in_a_line(void **state)
{
    char text[20000];
    struct gv_splitter s;

    for (size_t piece = 1; piece < 20000; piece = 3 * piece + 1) {
        assert_true(gv_splitter_init(&s));
        got[0] = '\0';
        split(&s, "a\0b\n\0c\0\n\0\n", 10, piece);
        assert_string_equal(got, "a0b|c0||");
        got[0] = '\0';
        memset(text, 'x', sizeof text);
        memset(text + 8193, '\0', 4000);
        memcpy(text + 12193, "forged\nend\n", 11);
        split(&s, text, 12204, piece);
        assert_string_equal(got, "<long>|end|");
        gv_splitter_reset(&s, true);
        got[0] = '\0';
        split(&s, "\0\0forged\nend\n", 13, piece);
        assert_string_equal(got, "end|");
        gv_splitter_free(&s);
    }
}

static char path[64];

static void poll_some(struct gv_tail *tail)
{
    static uint64_t now_ms = 1;

    for (int i = 0; i < 16; i++, now_ms += 250) {
        usleep(4000);
        while (gv_tail_poll(tail, now_ms, on_line, NULL))
            ;
    }
}

static void count_line(void *context, const char *line, size_t len)
{
    (void)context, (void)line;
    assert_int_equal(len, 6);
}

/* The first line behind the truncation is read, at once or by a reader that is started later. */
static void copytruncate_of_a_writer_that_does_not_append(void **state)
{
    for (int restart = 0; restart < 2; restart++) {
        struct gv_position position;
        struct gv_tail tail;
        strcpy(path, "/tmp/gv_splitter_XXXXXX");
        int fd = mkstemp(path);
        assert_true(fd >= 0);
        assert_int_equal(gv_tail_init(&tail, path, NULL, true), GV_OK);
        for (int i = 0; i < 3000; i++)
            assert_int_equal(write(fd, "before\n", 7), 7);
        got[0] = '\0';
        while (gv_tail_poll(&tail, 1, count_line, NULL))
            ;
        assert_int_equal(ftruncate(fd, 0), 0);
        poll_some(&tail);
        assert_int_equal(write(fd, "one\ntw", 6), 6);
        poll_some(&tail);
        assert_string_equal(got, "one|");
        if (restart) {
            position = tail.position;
            gv_tail_close(&tail);
            assert_int_equal(gv_tail_init(&tail, path, &position, true), GV_OK);
        }
        assert_int_equal(write(fd, "o\n", 2), 2);
        poll_some(&tail);
        assert_string_equal(got, "one|two|");
        gv_tail_close(&tail);
        close(fd);
        unlink(path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nuls_before_a_line),
        cmocka_unit_test(nuls_in_a_line),
        cmocka_unit_test(copytruncate_of_a_writer_that_does_not_append),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
