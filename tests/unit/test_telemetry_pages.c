/* However much is asked for, one answer holds the loop only for a page; `grapevine telemetry` asks
 * for one after the other (SPEC 15, 18.10). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "helper_node.h"
#include "node/host/persist.h"

#define ENTRIES 1234

static struct node node;

/* What was sent once; that it cannot be decoded makes no difference here. */
static void fill(void)
{
    struct gv_persist *persist;
    struct gv_effects effects;
    struct gv_text error;
    char path[128];

    snprintf(path, sizeof path, "%s/store.db", node.folder);
    assert_int_equal(gv_persist_open(&persist, path, node.identity.store_key, &error), GV_OK);
    gv_effects_init(&effects);
    for (uint32_t i = 0; i < ENTRIES; i++) {
        uint8_t key[GV_ID_LEN] = {0}, value[40] = {1};
        memcpy(key, &i, sizeof i);
        gv_effect_persist(&effects, GV_ROW_SENT, key, sizeof key, value, sizeof value);
    }
    assert_int_equal(gv_persist_commit(persist, &effects, gv_unix_ms() - 60000, &error), GV_OK);
    gv_effects_free(&effects);
    gv_persist_close(persist);
}

static int setup(void **state)
{
    memset(&node, 0, sizeof node);
    node_make(&node);
    fill();
    assert_int_equal(node_start(&node), GV_OK);
    return 0;
}

static int teardown(void **state)
{
    node_stop(&node);
    node_remove(&node);
    return 0;
}

/* Entries first to last, by their numbers, and the answer's `next` (0: none). */
static void expect(const json_t *json, json_int_t first, json_int_t last, json_int_t next)
{
    const json_t *list = json_object_get(json, "telemetry");
    size_t count = json_array_size(list);

    assert_int_equal(count, last - first + 1);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(json_integer_value(json_object_get(json_array_get(list, i), "number")),
                         first + (json_int_t)i);
    assert_int_equal(json_integer_value(json_object_get(json, "next")), next);
}

static void test_an_answer_is_a_page(void **state)
{
    static const struct {
        const char *path;
        json_int_t first, last, next;
    } cases[] = {
        {"telemetry?limit=10000", 735, 1234, 735},
        {"telemetry?limit=10000&before=735", 235, 734, 235},
        {"telemetry?limit=10000&before=235", 1, 234, 0},
        {"telemetry?limit=500", 735, 1234, 0},
        {"telemetry", 1135, 1234, 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *json;
        assert_int_equal(node_get(&node, cases[i].path, &json), 200);
        expect(json, cases[i].first, cases[i].last, cases[i].next);
        json_decref(json);
    }
}

static json_t *command(const char *arguments)
{
    char line[512];

    snprintf(line, sizeof line, "%s/node.conf", node.folder);
    FILE *conf = fopen(line, "w");
    assert_non_null(conf);
    fprintf(conf, "[node]\ndata = %s\ncontrol = %s\n", node.folder, node.socket);
    fclose(conf);
    snprintf(line, sizeof line, GV_BIN_DIR "/grapevine --config %s/node.conf telemetry --json %s",
             node.folder, arguments);
    FILE *in = popen(line, "r");
    assert_non_null(in);
    json_t *json = json_loadf(in, 0, NULL);
    assert_int_equal(pclose(in), 0);
    assert_non_null(json);
    return json;
}

static void test_the_command_asks_for_all_pages(void **state)
{
    json_t *json = command("--limit 10000");

    expect(json, 1, 1234, 0);
    json_decref(json);
    json = command("--limit 1100");
    expect(json, 135, 1234, 0);
    json_decref(json);
    json = command("");
    expect(json, 1135, 1234, 0);
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_an_answer_is_a_page, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_command_asks_for_all_pages, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
