/* The queue of a hook, and which program may be run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "node/base/json.h"
#include "node/serve/hook_exec.h"
#include "node/serve/hook_queue.h"
#include "node/serve/listing.h"

static const uint8_t instance[GV_ID_LEN] = {0xab};

static bool push(struct gv_hook_queue *queue, uint8_t last_byte)
{
    const struct gv_change change = {
        .subject = {.family = GV_FAMILY_IPV4, .bytes = {192, 0, 2, last_byte}},
        .unix_ms = 1795000000000,
        .is = GV_LISTED_REFUSED | GV_LISTED_UNTRUSTED,
        .verdict = GV_VERDICT_UNTRUSTED,
        .action = GV_ACTION_REFUSE,
        .reason = GV_REASON_UNTRUSTED_AND_FAILED_HERE};

    return gv_hook_queue_push(queue, &change);
}

/* Parses what would be sent; the caller releases it. */
static json_t *body(const struct gv_hook_queue *queue, uint64_t *last, uint64_t *dropped,
                    size_t *count)
{
    json_t *json;
    char *text = gv_hook_queue_body(queue, last, dropped, count, instance, "0123456789abcdef");

    assert_non_null(text);
    assert_int_equal(gv_json_parse(&json, text, strlen(text), 1 << 20, NULL), GV_OK);
    free(text);
    return json;
}

static void a_change_is_told_in_full(void **state)
{
    struct gv_hook_queue queue;
    uint64_t last, dropped;
    size_t count;

    gv_hook_queue_init(&queue, 10);
    assert_null(gv_hook_queue_body(&queue, &last, &dropped, &count, instance, "x"));
    assert_true(push(&queue, 7));
    char *text = gv_hook_queue_body(&queue, &last, &dropped, &count, instance, "0123456789abcdef");
    assert_string_equal(
        text,
        "{\"version\":1,\"instance\":\"ab000000000000000000000000000000\",\"run\":"
        "\"0123456789abcdef\",\"dropped\":0,\"changes\":[{\"number\":1,\"time\":"
        "\"2026-11-18T11:06:40Z\",\"address\":\"192.0.2.7\",\"was\":{\"refused\":false,"
        "\"untrusted\":false},\"is\":{\"refused\":true,\"untrusted\":true},\"verdict\":"
        "\"untrusted\",\"action\":\"refuse\",\"why\":\"The mesh calls this address untrusted, "
        "and logins from it have failed here too.\"}]}");
    assert_int_equal(last, 1);
    assert_int_equal(count, 1);
    free(text);
    gv_hook_queue_done(&queue, last, dropped);
    assert_int_equal(queue.count, 0);
    gv_hook_queue_free(&queue);
}

/* Batches in order; what is dropped while one is under way is not taken off a second time. */
static void the_oldest_go_and_it_is_told(void **state)
{
    struct gv_hook_queue queue;
    uint64_t last, dropped;
    size_t count;

    gv_hook_queue_init(&queue, 150);
    for (int i = 0; i < 150; i++)
        assert_true(push(&queue, (uint8_t)i));
    json_decref(body(&queue, &last, &dropped, &count));
    assert_int_equal(count, GV_HOOK_BATCH_MAX);
    assert_int_equal(last, 100);
    for (int i = 0; i < 120; i++) /* while it is under way */
        assert_false(push(&queue, (uint8_t)i));
    assert_int_equal(queue.count, 150);
    gv_hook_queue_done(&queue, last, dropped);
    assert_int_equal(queue.count, 150); /* 121 to 270: none of it was in the batch */
    json_t *json = body(&queue, &last, &dropped, &count);
    assert_int_equal(dropped, 120);
    assert_int_equal(json_integer_value(json_object_get(json, "dropped")), 120);
    json_t *first = json_array_get(json_object_get(json, "changes"), 0);
    assert_int_equal(json_integer_value(json_object_get(first, "number")), 121);
    json_decref(json);
    assert_false(push(&queue, 1)); /* one more is dropped meanwhile */
    gv_hook_queue_done(&queue, last, dropped);
    assert_int_equal(queue.count, 51);
    assert_int_equal(queue.dropped, 1);
    gv_hook_queue_limit(&queue, 50);
    assert_int_equal(queue.count, 50);
    assert_int_equal(queue.dropped, 2);
    gv_hook_queue_free(&queue);
}

static void only_a_program_of_ones_own_is_run(void **state)
{
    char folder[] = "/tmp/gv-hook.XXXXXX", path[64], link[64];
    struct gv_text why;

    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/hook", folder);
    snprintf(link, sizeof link, "%s/link", folder);
    assert_int_equal(gv_hook_exec_check(path, &why), GV_ERR_NOT_FOUND);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(gv_hook_exec_check(path, &why), GV_ERR_FORBIDDEN); /* not executable */
    assert_int_equal(chmod(path, 0755), 0);
    assert_int_equal(gv_hook_exec_check(path, &why), GV_OK);
    assert_int_equal(gv_hook_exec_check(path + 1, &why), GV_ERR_FORBIDDEN);
    assert_int_equal(gv_hook_exec_check(folder, &why), GV_ERR_FORBIDDEN);
    assert_int_equal(symlink("hook", link), 0);
    assert_int_equal(gv_hook_exec_check(link, &why), GV_ERR_FORBIDDEN);
    const mode_t modes[] = {0775, 0757, 0777};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(chmod(path, modes[i]), 0);
        assert_int_equal(gv_hook_exec_check(path, &why), GV_ERR_FORBIDDEN);
        assert_non_null(strstr(why.text, "chmod go-w"));
        assert_int_equal(chmod(path, 0755), 0);
        assert_int_equal(chmod(folder, modes[i]), 0);
        assert_int_equal(gv_hook_exec_check(path, &why), GV_ERR_FORBIDDEN);
        assert_int_equal(chmod(folder, 0700), 0);
    }
    assert_int_equal(gv_hook_exec_check(path, &why), GV_OK);
    if (geteuid() == 0) {
        assert_int_equal(chown(path, 12345, 12345), 0);
        assert_int_equal(gv_hook_exec_check(path, &why), GV_ERR_FORBIDDEN);
        assert_int_equal(chown(path, 0, 0), 0);
        assert_int_equal(chown(folder, 12345, 12345), 0);
        assert_int_equal(gv_hook_exec_check(path, &why), GV_ERR_FORBIDDEN);
    }
    unlink(link);
    unlink(path);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_is_told_in_full),
        cmocka_unit_test(the_oldest_go_and_it_is_told),
        cmocka_unit_test(only_a_program_of_ones_own_is_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
