/* What `status` and the API say of a log that is followed: each count by a line that makes it, and
 * the same members as openapi.json names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "node/ingest/follow.h"
#include "node/serve/openapi.h"

#define LONG                                                                                       \
    "a-name-that-leaves-little-of-its-own-address.when-some-lines-have-only-a-hundred-bytes.ex.te"
#define SM "2026-11-22T02:36:26Z mx sm-mta[24320]: 5AM2aQ5D024320: "
#define CUT                                                                                        \
    SM "AUTH failure (LOGIN): authentication failure (-13) x, user=x, relay=" LONG " [198.51\n"
#define NAMED   SM LONG " [198.51.100.7]: VRFY x\n"
#define DOVECOT "2026-11-22T02:36:26Z mx dovecot: imap-login: "
#define TAIL    ", method=PLAIN, rip=198.51.100.9, lip=192.0.2.1, session=<a>\n"

struct desk {
    char folder[32], path[64];
    uv_loop_t loop;
    uv_timer_t timer;
    struct gv_follow *follow;
    json_int_t wanted; /* lines */
    struct gv_position position;
    size_t position_len; /* what is stored of it */
    unsigned turns;
};

static void observed(void *context, const struct gv_observation *observation)
{
    assert_non_null(context);
    assert_non_null(observation);
}

static void later(void *context, bool again)
{
    assert_non_null(context);
    assert_true(again || !again);
}

static void keep(void *context, const char *name, const void *data, size_t len)
{
    struct desk *desk = context;

    assert_true(name && data && len > 0);
    if (strncmp(name, "log ", 4) != 0)
        return;
    assert_int_equal(len, sizeof desk->position);
    memcpy(&desk->position, data, len);
    desk->position_len = len;
}

static bool kept(void *context, const char *name, void *data, size_t len)
{
    const struct desk *desk = context;

    assert_true(name && data && len > 0);
    if (strncmp(name, "log ", 4) != 0 || len != desk->position_len)
        return false;
    memcpy(data, &desk->position, len);
    return true;
}

static json_int_t number(const struct desk *desk, const char *member)
{
    json_t *logs = gv_follow_json(desk->follow);
    const json_t *value = json_object_get(json_array_get(logs, 0), member);

    assert_int_equal(json_array_size(logs), 1);
    assert_true(json_is_integer(value));
    json_int_t is = json_integer_value(value);
    json_decref(logs);
    return is;
}

static void on_timer(uv_timer_t *timer)
{
    struct desk *desk = timer->data;

    assert_true(desk->turns++ < 3000); /* a minute */
    if (number(desk, "lines") >= desk->wanted)
        uv_stop(&desk->loop);
}

/* Writes the text behind the log's end, and returns when so many lines were read in all. */
static void write_lines(struct desk *desk, const char *text, json_int_t lines)
{
    FILE *file = fopen(desk->path, "a");

    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
    desk->wanted = lines;
    desk->turns = 0;
    uv_run(&desk->loop, UV_RUN_DEFAULT);
}

static void start(struct desk *desk)
{
    const char *path = desk->path;
    struct gv_text error = {""};
    struct gv_follow_options options = {.loop = &desk->loop,
                                        .paths = &path,
                                        .path_count = 1,
                                        .from_start = true,
                                        .context = desk,
                                        .observation = observed,
                                        .later = later,
                                        .keep = keep,
                                        .kept = kept};

    assert_int_equal(gv_follow_start(&desk->follow, &options, &error), GV_OK);
}

static int open_desk(void **state)
{
    static struct desk desk;

    memset(&desk, 0, sizeof desk);
    setenv("TZ", "UTC", 1);
    strcpy(desk.folder, "/tmp/gv-follow.XXXXXX");
    assert_non_null(mkdtemp(desk.folder));
    snprintf(desk.path, sizeof desk.path, "%s/log", desk.folder);
    assert_int_equal(uv_loop_init(&desk.loop), 0);
    assert_int_equal(uv_timer_init(&desk.loop, &desk.timer), 0);
    desk.timer.data = &desk;
    assert_int_equal(uv_timer_start(&desk.timer, on_timer, 20, 20), 0);
    start(&desk);
    *state = &desk;
    return 0;
}

static int close_desk(void **state)
{
    struct desk *desk = *state;

    uv_close((uv_handle_t *)&desk->timer, NULL);
    gv_follow_stop(desk->follow);
    uv_run(&desk->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&desk->loop), 0);
    (void)unlink(desk->path); /* not every test writes it */
    return rmdir(desk->folder);
}

/* Two guesses of one whose name cuts him off are nobody's, until a line names him. */
static void failures_of_nobody_are_counted_until_a_line_names_them(void **state)
{
    struct desk *desk = *state;

    write_lines(desk, CUT CUT, 2);
    assert_int_equal(number(desk, "unnamed"), 2);
    assert_int_equal(number(desk, "failures"), 0);
    write_lines(desk, NAMED CUT, 4);
    assert_int_equal(number(desk, "unnamed"), 1);
    assert_int_equal(number(desk, "failures"), 1);
    assert_int_equal(number(desk, "attempts"), 2);
}

static void each_count_is_of_its_lines(void **state)
{
    struct desk *desk = *state;
    char rubbish[9001];

    memset(rubbish, 'x', sizeof rubbish);
    rubbish[9000] = '\0';
    write_lines(desk, rubbish, 0);
    write_lines(desk,
                "\n" DOVECOT "Login: user=<alice>" TAIL DOVECOT
                "Disconnected (auth failed, 3 attempts in 4 secs): user=<bob>" TAIL
                "2026-11-22T02:36:26Z mx cron[1]: nothing\n",
                4);
    assert_int_equal(number(desk, "skipped"), 1);
    assert_int_equal(number(desk, "matched"), 2);
    assert_int_equal(number(desk, "failures"), 1);
    assert_int_equal(number(desk, "attempts"), 3);
    assert_int_equal(number(desk, "successes"), 1);
    assert_int_equal(number(desk, "unnamed"), 0);
    assert_int_equal(number(desk, "torn"), 0);
    assert_int_equal(number(desk, "untold"), 1);
    write_lines(desk,
                DOVECOT
                "Disconnected (auth failed, 9 attempts in 30 secs): user=<x 2026-11-22T02:36:"
                "26.5Z mx postfix/smtpd[1]: y>" TAIL,
                5);
    assert_int_equal(number(desk, "torn"), 1);
    assert_int_equal(number(desk, "untold"), 2);
    assert_int_equal(number(desk, "failures"), 1);
    assert_int_equal(number(desk, "rotations"), 0);
    assert_int_equal(number(desk, "refused"), 0);
    assert_true(number(desk, "offset") > 9000);
}

/* Until schema 4 a position had four numbers. It is gone on with; one of another length is none. */
static void a_position_of_an_older_version(void **state)
{
    struct desk *desk = *state;

    write_lines(desk, NAMED NAMED, 2);
    gv_follow_keep(desk->follow);
    assert_int_equal(desk->position_len, sizeof desk->position);
    for (json_int_t lines = 1; lines <= 4; lines += 3) {
        gv_follow_stop(desk->follow);
        desk->position_len = lines == 1 ? GV_POSITION_OLD : GV_POSITION_OLD - 1;
        start(desk);
        write_lines(desk, NAMED, lines); /* the new one; all four */
        assert_int_equal(number(desk, "lines"), lines);
    }
}

/* Neither more nor less than the description says, each an integer but for path and state. */
static void the_description_names_each_member(void **state)
{
    struct desk *desk = *state;
    json_t *file = json_loadb((const char *)gv_openapi, gv_openapi_len, 0, NULL);
    const json_t *schemas = json_object_get(json_object_get(file, "components"), "schemas");
    const json_t *status = json_object_get(json_object_get(schemas, "Status"), "properties");
    const json_t *items = json_object_get(json_object_get(status, "logs"), "items");
    json_t *logs = gv_follow_json(desk->follow);
    const json_t *required = json_object_get(items, "required");
    const char *name;
    json_t *value;
    size_t i;

    assert_int_equal(json_array_size(required), json_object_size(json_array_get(logs, 0)));
    json_array_foreach(required, i, value)
        assert_non_null(json_object_get(json_array_get(logs, 0), json_string_value(value)));
    json_object_foreach(json_array_get(logs, 0), name, value)
    {
        const json_t *type =
            json_object_get(json_object_get(json_object_get(items, "properties"), name), "type");
        if (!type)
            fail_msg("openapi.json does not say what '%s' is", name);
        assert_string_equal(json_string_value(type), json_is_string(value) ? "string" : "integer");
    }
    json_decref(logs);
    json_decref(file);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_desk, close_desk)
    const struct CMUnitTest tests[] = {
        TEST(failures_of_nobody_are_counted_until_a_line_names_them),
        TEST(each_count_is_of_its_lines),
        TEST(a_position_of_an_older_version),
        TEST(the_description_names_each_member),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
