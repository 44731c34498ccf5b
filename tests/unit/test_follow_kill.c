/* A reader that is killed at random moments, while a writer rotates: by renaming, by copying and
 * truncating, with compression of what is older. Every line, and every visit of three lines, must
 * count exactly once, because the position, what it led to and which visits are open are committed
 * together (SPEC 10.5). The reader is the real follower
 * on the real store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>
#include <zlib.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "node/base/log.h"
#include "node/host/hold.h"
#include "node/host/persist.h"
#include "node/ingest/follow.h"

#define LINES_MAX 40000u
#define STORY_MAX 1000u
#define RUN_MS    14000u

static const uint8_t store_key[GV_KEY_LEN] = {7};
static int began[2] = {-1, -1}; /* the first reader says here that it has a position */

/* ---- the reader ----------------------------------------------------------------------------- */

struct reader {
    uv_loop_t loop;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_timer_t end;
    struct gv_persist *persist;
    struct gv_effects effects;
    struct gv_hold hold;
    bool later;
    struct gv_follow *follow;
    uint32_t counts[LINES_MAX];
    uint64_t seen, wanted;
};

static uint32_t number_of(const uint8_t address[4])
{
    return (uint32_t)address[1] << 16 | (uint32_t)address[2] << 8 | address[3];
}

static void on_row(void *context, enum gv_row row, const uint8_t *key, size_t key_len,
                   const uint8_t *value, size_t value_len)
{
    struct reader *r = context;
    uint32_t n = number_of(key);

    if (row != GV_ROW_HISTORY || key_len != 4 || value_len != 4 || n >= LINES_MAX)
        abort();
    memcpy(&r->counts[n], value, 4);
    r->seen++;
}

static void on_observation(void *context, const struct gv_observation *o)
{
    struct reader *r = context;
    uint32_t n = number_of(o->subject.bytes);

    if (n >= LINES_MAX)
        abort();
    r->seen += r->counts[n]++ == 0;
    gv_effect_persist(&r->effects, GV_ROW_HISTORY, o->subject.bytes, 4,
                      (const uint8_t *)&r->counts[n], 4);
}

static void keep(void *context, const char *name, const void *data, size_t len)
{
    struct reader *r = context;

    if (gv_persist_keep(r->persist, name, data, len) != GV_OK)
        abort();
}

static bool kept(void *context, const char *name, void *data, size_t len)
{
    struct reader *r = context;

    return gv_persist_kept(r->persist, name, data, len) == GV_OK;
}

static void later(void *context, bool again)
{
    struct reader *r = context;

    r->later = true;
    r->hold.now |= !again;
}

/* As the driver does it: what turns led to, and the positions, in one transaction; but with seconds
 * of an eighth of their length, as few lives here last longer than a real one. */
static void commit(struct reader *r)
{
    struct gv_text error = {""};

    if (!gv_hold_over(&r->hold, &r->effects, r->later, 8 * uv_hrtime() / 1000000))
        return;
    gv_hold_clear(&r->hold);
    r->later = false;
    gv_follow_keep(r->follow);
    if (gv_persist_commit(r->persist, &r->effects, 1, &error) != GV_OK) {
        fprintf(stderr, "%s\n", error.text);
        abort();
    }
    gv_effects_clear(&r->effects);
    if (r->seen > 0 && began[1] >= 0) {
        close(began[1]);
        began[1] = -1;
    }
    if (r->wanted > 0 && r->seen == r->wanted)
        _exit(0);
}

static void on_prepare(uv_prepare_t *prepare)
{
    commit(prepare->data);
}

static void on_end(uv_timer_t *timer)
{
    (void)timer;
    _exit(3);
}

static void read_for_ever(const char *folder, const char *path, uint64_t wanted)
{
    static struct reader r;
    struct gv_text error = {""};
    struct gv_follow_options options = {.loop = &r.loop,
                                        .paths = &path,
                                        .path_count = 1,
                                        .from_start = true,
                                        .context = &r,
                                        .observation = on_observation,
                                        .later = later,
                                        .keep = keep,
                                        .kept = kept};
    char store[128];
    size_t bad = 0;

    gv_log_open("reader", GV_LOG_ERROR);
    snprintf(store, sizeof store, "%s/store.db", folder);
    r.wanted = wanted;
    uv_loop_init(&r.loop);
    if (gv_persist_open(&r.persist, store, store_key, &error) != GV_OK ||
        gv_persist_load(r.persist, on_row, &r, &bad, &error) != GV_OK || bad != 0) {
        fprintf(stderr, "%s, %zu bad rows\n", error.text, bad);
        abort();
    }
    if (wanted > 0 && r.seen == wanted)
        _exit(0);
    uv_prepare_init(&r.loop, &r.prepare);
    r.prepare.data = &r;
    uv_prepare_start(&r.prepare, on_prepare);
    uv_timer_init(&r.loop, &r.end);
    uv_timer_start(&r.end, on_end, 30000, 0);
    if (gv_follow_start(&r.follow, &options, &error) != GV_OK)
        abort();
    uv_run(&r.loop, UV_RUN_DEFAULT);
    _exit(4);
}

static pid_t start_reader(const char *folder, const char *path, uint64_t wanted)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        read_for_ever(folder, path, wanted);
    if (began[1] >= 0)
        close(began[1]);
    began[1] = -1;
    return pid;
}

/* ---- the writer ----------------------------------------------------------------------------- */

struct writer {
    char folder[64], path[96];
    FILE *log;
    uint32_t lines, generation, packed;
    unsigned copies;
    struct event {
        uint32_t line; /* the next one then */
        const char *what;
        uint32_t generation;
    } story[STORY_MAX]; /* what happened, for where a line is lost */
    size_t events;
    struct visit {
        uint32_t n;
        unsigned lines; /* written of it; 0: none is open here */
        bool drop;
    } visits[4];
    bool calm; /* the last rotation is long ago: the reader follows the log itself by now */
    unsigned random;
};

static unsigned draw(struct writer *w, unsigned bound)
{
    w->random = w->random * 1103515245u + 12345u;
    return (w->random >> 16) % bound;
}

static void note(struct writer *w, const char *what, uint32_t generation)
{
    if (w->events < STORY_MAX)
        w->story[w->events++] = (struct event){w->lines, what, generation};
}

static void write_text(struct writer *w, uint32_t n, const char *format, ...)
{
    time_t now = time(NULL);
    struct tm tm;
    char stamp[32];
    va_list args;

    gmtime_r(&now, &tm);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
    fprintf(w->log, "%s.%06u+00:00 vm ", stamp, n % 1000000u);
    va_start(args, format);
    vfprintf(w->log, format, args);
    va_end(args);
    fputc('\n', w->log);
    /* Now and then a line is written in two goes. */
    if (draw(w, 4) > 0)
        fflush(w->log);
}

#define ADDRESS     "11.%u.%u.%u"
#define BYTES_OF(n) (n) >> 16 & 255, (n) >> 8 & 255, (n)&255

/* The next line of a visit to Postfix, whose one attempt counts once: where no line tells of it, by
 * the last, and only then. */
static void write_visit(struct writer *w, struct visit *v)
{
    unsigned pid = 1000 + v->n;

    switch (v->lines++) {
    case 0:
        write_text(w, v->n, "postfix/smtpd[%u]: connect from unknown[" ADDRESS "]", pid,
                   BYTES_OF(v->n));
        break;
    case 1:
        write_text(w, v->n,
                   v->drop ? "postfix/smtpd[%u]: lost connection after AUTH from unknown[" ADDRESS
                             "]"
                           : "postfix/smtpd[%u]: warning: unknown[" ADDRESS
                             "]: SASL LOGIN authentication failed: UGFzc3dvcmQ6",
                   pid, BYTES_OF(v->n));
        break;
    default:
        write_text(w, v->n,
                   "postfix/smtpd[%u]: disconnect from unknown[" ADDRESS
                   "] ehlo=1 auth=0/1 commands=1/2",
                   pid, BYTES_OF(v->n));
        v->lines = 0;
        break;
    }
}

static void write_failure(struct writer *w)
{
    uint32_t n = w->lines++;

    write_text(w, n,
               "dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): "
               "user=<u>, method=PLAIN, rip=" ADDRESS ", lip=127.0.0.1, session=<s>",
               BYTES_OF(n));
}

static void write_line(struct writer *w)
{
    struct visit *v = &w->visits[draw(w, 4)];

    if (v->lines > 0) {
        write_visit(w, v);
    } else if (draw(w, 3) == 0) {
        *v = (struct visit){.n = w->lines++, .drop = draw(w, 2) == 0};
        write_visit(w, v);
    } else {
        write_failure(w);
    }
}

static void generation_path(char out[128], const struct writer *w, uint32_t n, const char *end)
{
    snprintf(out, 128, "%s-%05u%s", w->path, n, end);
}

/* As gzip(1) does it: the copy gets the time stamp of the original, which goes last. */
static void pack_oldest(struct writer *w)
{
    char from[128], to[128], block[4096];
    struct stat st;
    size_t n;

    generation_path(from, w, w->packed, "");
    generation_path(to, w, w->packed, ".gz");
    note(w, "packed", w->packed);
    w->packed++;
    FILE *in = fopen(from, "r");
    assert_non_null(in);
    gzFile out = gzopen(to, "w1");
    assert_non_null(out);
    assert_int_equal(fstat(fileno(in), &st), 0);
    while ((n = fread(block, 1, sizeof block, in)) > 0)
        assert_int_equal(gzwrite(out, block, (unsigned)n), (int)n);
    fclose(in);
    gzclose(out);
    struct timespec times[2] = {st.st_atim, st.st_mtim};
    assert_int_equal(utimensat(AT_FDCWD, to, times, 0), 0);
    assert_int_equal(unlink(from), 0);
}

static void rotate(struct writer *w)
{
    char to[128], command[300];

    fflush(w->log);
    generation_path(to, w, w->generation++, "");
    if (w->calm || draw(w, 3) == 0) {
        snprintf(command, sizeof command, "cp '%s' '%s'", w->path, to);
        assert_int_equal(system(command), 0);
        assert_int_equal(ftruncate(fileno(w->log), 0), 0);
        note(w, "copied", w->generation - 1);
        w->copies++;
    } else {
        assert_int_equal(rename(w->path, to), 0);
        note(w, "renamed", w->generation - 1);
        for (unsigned i = draw(w, 3); i > 0; i--)
            write_line(w); /* the writer has not been told yet */
        fclose(w->log);
        w->log = fopen(w->path, "a");
        assert_non_null(w->log);
    }
    for (int i = 0; i < 2; i++)
        write_line(w);
    fflush(w->log);
    if (w->packed + draw(w, 3) < w->generation)
        pack_oldest(w);
}

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void stop(pid_t pid)
{
    int status;

    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL); /* not by itself */
}

static void count_rows(void *context, enum gv_row row, const uint8_t *key, size_t key_len,
                       const uint8_t *value, size_t value_len)
{
    uint32_t *counts = context;

    assert_int_equal(row, GV_ROW_HISTORY);
    assert_int_equal(key_len, 4);
    assert_int_equal(value_len, 4);
    memcpy(&counts[number_of(key)], value, 4);
}

/* Each run of lines that are lost, and what happened around it. */
static void print_lost(const struct writer *w, const uint32_t *counts)
{
    for (uint32_t first = 0, end; first < w->lines; first = end + 1) {
        for (end = first; end < w->lines && counts[end] == 0; end++)
            ;
        if (end == first)
            continue;
        print_message("lost: %u to %u\n", first, end - 1);
        for (size_t i = 0; i < w->events; i++)
            if (w->story[i].line + 600 > first && w->story[i].line < end + 600)
                print_message("  before line %u: %s %u\n", w->story[i].line, w->story[i].what,
                              w->story[i].generation);
    }
}

static void check(const struct writer *w)
{
    static uint32_t counts[LINES_MAX];
    struct gv_persist *persist;
    struct gv_text error = {""};
    char store[128];
    size_t bad = 0, lost = 0, repeated = 0;

    memset(counts, 0, sizeof counts);
    snprintf(store, sizeof store, "%s/store.db", w->folder);
    assert_int_equal(gv_persist_open(&persist, store, store_key, &error), GV_OK);
    assert_int_equal(gv_persist_load(persist, count_rows, counts, &bad, &error), GV_OK);
    gv_persist_close(persist);
    for (uint32_t i = 0; i < w->lines; i++) {
        lost += counts[i] == 0;
        repeated += counts[i] > 1;
    }
    print_message(
        "%u lines and visits, %u generations, %u of them copied, %u compressed: %zu lost, %zu "
        "repeated\n",
        w->lines, w->generation, w->copies, w->packed, lost, repeated);
    print_lost(w, counts);
    assert_int_equal(bad, 0);
    assert_int_equal(lost, 0);
    assert_int_equal(repeated, 0);
}

static void no_line_is_lost_or_repeated(void **state)
{
    struct writer w = {.random = (unsigned)getpid()};
    char command[128];
    unsigned kills = 0;
    int status;

    (void)state;
    strcpy(w.folder, "/tmp/gv-kill.XXXXXX");
    assert_non_null(mkdtemp(w.folder));
    snprintf(w.path, sizeof w.path, "%s/mail.log", w.folder);
    w.log = fopen(w.path, "a");
    assert_non_null(w.log);
    write_failure(&w);
    fflush(w.log);
    assert_int_equal(pipe(began), 0);
    pid_t reader = start_reader(w.folder, w.path, 0);
    /* Until it has one, what is rotated away is none of its log. */
    assert_int_equal(read(began[0], command, 1), 0);
    close(began[0]);
    uint64_t start = now_ms(), next_rotation = start + 300, next_kill = start + 500;
    while (now_ms() - start < RUN_MS && w.lines < LINES_MAX - 100) {
        usleep(1000);
        write_line(&w);
        if (now_ms() >= next_rotation) {
            rotate(&w);
            w.calm = draw(&w, 6) == 0;
            next_rotation = now_ms() + (w.calm ? 2000 : 30) + draw(&w, 400);
        }
        if (now_ms() < next_kill)
            continue;
        if (reader > 0) {
            stop(reader);
            note(&w, "killed", kills);
            kills++;
        }
        if (reader == 0)
            note(&w, "started", kills);
        reader = reader > 0 ? 0 : start_reader(w.folder, w.path, 0);
        next_kill = now_ms() + (reader == 0 ? draw(&w, 500) : w.calm ? 3000 : 20 + draw(&w, 1200));
    }
    for (size_t i = 0; i < 4; i++)
        while (w.visits[i].lines > 0)
            write_visit(&w, &w.visits[i]);
    fclose(w.log);
    if (reader > 0)
        stop(reader);
    reader = start_reader(w.folder, w.path, w.lines);
    assert_int_equal(waitpid(reader, &status, 0), reader);
    print_message("seed %d, %u kills, the last reader ended with %d\n", (int)getpid(), kills,
                  WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    check(&w);
    assert_true(kills >= 3);
    assert_true(w.packed >= 3);
    snprintf(command, sizeof command, "rm -rf '%s'", w.folder);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_line_is_lost_or_repeated)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
