/* What the node keeps of the transparency log (SPEC 15.2): its last entry, over restarts; that an
 * end which is cut off, a log that is gone and one that is written anew are noticed, and stay
 * noticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "node/base/transparency.h"
#include "node/host/looks.h"
#include "helper_node.h"

static struct node node;
static char path[128];

static int setup(void **state)
{
    memset(&node, 0, sizeof node);
    node.enrolled = true;
    node_make(&node);
    assert_int_equal(node_start(&node), GV_OK);
    snprintf(path, sizeof path, "%s/" GV_TRANSPARENCY_FILE, node.folder);
    return 0;
}

static int teardown(void **state)
{
    node_stop(&node);
    node_remove(&node);
    return 0;
}

static void again(void)
{
    node_stop(&node);
    assert_int_equal(node_start(&node), GV_OK);
}

/* Returns the hash of the last. */
static const char *look_closer(unsigned times)
{
    static struct gv_transparency_chain chain;
    json_t *entry = json_pack("{s:s}", "reason", "a surge");
    struct gv_text error;

    for (; times > 0; times--)
        assert_int_equal(gv_transparency_append(node.folder, &chain, entry, &error), GV_OK);
    json_decref(entry);
    return chain.head;
}

static void write_file(const char *text, size_t len, const char *mode)
{
    FILE *out = fopen(path, mode);

    assert_non_null(out);
    assert_int_equal(fwrite(text, 1, len, out), len);
    assert_int_equal(fclose(out), 0);
}

static size_t read_file(char text[8192])
{
    FILE *in = fopen(path, "r");

    assert_non_null(in);
    size_t len = fread(text, 1, 8192, in);
    fclose(in);
    return len;
}

/* What the node says: how many there are, which entry was lost (0: none). */
static void says(uint64_t entries, uint64_t lost)
{
    json_t *json;

    assert_int_equal(node_get(&node, "transparency", &json), 200);
    const json_t *head = json_object_get(json, "head"), *gone = json_object_get(json, "lost");
    assert_int_equal(json_integer_value(json_object_get(json, "entries")), entries);
    assert_true(json_is_true(json_object_get(json, "read")));
    assert_int_equal(json_integer_value(json_object_get(head, "entry")), entries);
    assert_int_equal(json_integer_value(json_object_get(gone, "entry")), lost);
    assert_int_equal(json_is_object(gone), lost > 0);
    if (lost > 0)
        assert_int_equal(strncmp(json_string_value(json_object_get(gone, "noticed")), "20", 2), 0);
    json_decref(json);
}

static void test_the_last_entry_is_kept(void **state)
{
    json_t *json;

    says(0, 0);
    const char *head = look_closer(3);
    says(3, 0);
    again();
    assert_int_equal(node_get(&node, "transparency", &json), 200);
    assert_string_equal(json_string_value(json_object_get(json_object_get(json, "head"), "hash")),
                        head);
    json_decref(json);
    look_closer(1);
    says(4, 0);
    /* A copy in its place, as after a move of the folder. */
    char text[8192];
    size_t len = read_file(text);
    unlink(path);
    write_file(text, len, "w");
    says(4, 0);
    again();
    says(4, 0);
    /* An entry of which a part is there is none yet. */
    look_closer(1);
    len = read_file(text);
    assert_int_equal(truncate(path, (off_t)len - 20), 0);
    says(4, 0);
    write_file(text + len - 20, 20, "a");
    says(5, 0);
}

static void test_an_end_that_is_cut_off(void **state)
{
    char text[8192];

    look_closer(2);
    size_t two = read_file(text);
    look_closer(1);
    says(3, 0);
    assert_int_equal(truncate(path, (off_t)two), 0);
    says(2, 3);
    /* It stays noted, whatever comes, and the first loss is the one. */
    look_closer(4);
    says(6, 3);
    again();
    says(6, 3);
    unlink(path);
    says(0, 3);
}

static void test_a_log_that_goes_while_the_node_is_down(void **state)
{
    look_closer(3);
    says(3, 0);
    node_stop(&node);
    unlink(path);
    assert_int_equal(node_start(&node), GV_OK);
    says(0, 3);
}

static void test_a_log_that_is_written_anew(void **state)
{
    look_closer(3);
    says(3, 0);
    unlink(path);
    json_t *entry = json_pack("{s:s}", "reason", "another");
    struct gv_transparency_chain chain;
    struct gv_text error;
    for (int i = 0; i < 5; i++)
        assert_int_equal(gv_transparency_append(node.folder, &chain, entry, &error), GV_OK);
    json_decref(entry);
    says(5, 3);
}

/* The same length, the same file: only what is in it is another. */
static void test_a_log_that_is_overwritten(void **state)
{
    char text[8192];

    look_closer(3);
    says(3, 0);
    size_t len = read_file(text);
    unlink(path);
    struct gv_transparency_chain chain;
    struct gv_text error;
    json_t *entry = json_pack("{s:s}", "reason", "a purge");
    for (int i = 0; i < 3; i++)
        assert_int_equal(gv_transparency_append(node.folder, &chain, entry, &error), GV_OK);
    json_decref(entry);
    char other[8192];
    assert_int_equal(read_file(other), len);
    write_file(text, len, "w");
    says(3, 0);    /* as it was */
    usleep(20000); /* times of files have steps of some milliseconds */
    write_file(other, len, "w");
    says(3, 3);
}

/* A folder, a link, a device in its place: it is gone. */
static void test_what_is_no_file(void **state)
{
    look_closer(2);
    says(2, 0);
    unlink(path);
    assert_int_equal(symlink("/dev/zero", path), 0);
    says(0, 2);
}

/* A long log is read in slices: no turn of the loop reads it whole. */
static void test_a_long_log(void **state)
{
    struct gv_transparency_chain chain;
    const unsigned count = 3 * GV_LOOKS_SLICE / 400;
    char line[GV_TRANSPARENCY_LINE], json[400];
    const char *found;
    size_t len;
    FILE *out = fopen(path, "w");

    assert_non_null(out);
    gv_transparency_begin(&chain);
    for (unsigned i = 0; i < count; i++) {
        int n = snprintf(json, sizeof json, "{\"reason\":\"%0300u\",\"v\":1}", i);
        size_t all = gv_transparency_line(line, &chain, json, (size_t)n);
        assert_int_equal(fwrite(line, 1, all, out), all);
        assert_int_equal(gv_transparency_take(&chain, &found, &len, line, all - 1),
                         GV_TRANSPARENCY_SOUND);
    }
    fclose(out);
    struct gv_looks *looks;
    struct gv_looks_status status;
    unsigned slices = 1;
    uv_loop_t loop;
    uv_loop_init(&loop);
    assert_int_equal(gv_looks_new(&looks, &loop, gv_driver_persist(node.driver)), GV_OK);
    for (; !gv_looks_read(looks); slices++) {
        gv_looks_status(looks, &status);
        assert_false(status.read);
        assert_in_range(status.entries, 1, slices * GV_LOOKS_SLICE / 300);
    }
    gv_looks_status(looks, &status);
    assert_int_equal(status.entries, count);
    assert_int_equal(status.lost_ms, 0);
    assert_in_range(slices, 3, 5);
    assert_true(gv_looks_read(looks)); /* nothing new: nothing is read */
    gv_looks_free(looks);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(test_the_last_entry_is_kept),
        STORY(test_an_end_that_is_cut_off),
        STORY(test_a_log_that_goes_while_the_node_is_down),
        STORY(test_a_log_that_is_written_anew),
        STORY(test_a_log_that_is_overwritten),
        STORY(test_what_is_no_file),
        STORY(test_a_long_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
