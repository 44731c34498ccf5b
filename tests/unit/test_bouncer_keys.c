/* The file with the bouncers' keys: what is in it, who may read it, what is taken from it. */
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
#include "crypto/identity.h"
#include "node/base/file.h"
#include "node/serve/bouncer_keys.h"

static char folder[64], path[96];
static struct gv_text error;
static const uint8_t secret[GV_KEY_LEN] = {1}, other_secret[GV_KEY_LEN] = {2};

static int set_up(void **state)
{
    snprintf(folder, sizeof folder, "/tmp/gv-keys.XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/bouncers.json", folder);
    error.text[0] = 0;
    return 0;
}

static int tear_down(void **state)
{
    unlink(path);
    rmdir(folder);
    return 0;
}

static struct gv_bouncer_keys *open_keys(const uint8_t *with)
{
    struct gv_bouncer_keys *keys = NULL;

    if (gv_bouncer_keys_open(&keys, folder, with, &error) != GV_OK)
        fail_msg("%s", error.text);
    return keys;
}

static void a_key_is_not_in_the_file(void **state)
{
    char key[GV_BOUNCER_KEY_TEXT], second[GV_BOUNCER_KEY_TEXT];
    struct gv_bouncer_keys *keys = open_keys(secret);
    struct stat info;
    struct gv_buf text;

    assert_null(gv_bouncer_keys_find(keys, ""));
    assert_null(gv_bouncer_keys_find(keys, NULL));
    assert_int_not_equal(access(path, F_OK), 0); /* nothing is written before there is anything */
    assert_int_equal(gv_bouncer_keys_add(keys, key, "fw", 7000, &error), GV_OK);
    assert_int_equal(gv_bouncer_keys_add(keys, second, "web-1.example_x", 8000, &error), GV_OK);
    assert_int_equal(strlen(key), 64);
    assert_string_not_equal(key, second);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    gv_buf_init(&text);
    assert_int_equal(gv_file_read(&text, path, 65536, NULL), GV_OK);
    gv_buf_append(&text, "", 1);
    assert_null(strstr((char *)text.data, key));
    assert_non_null(strstr((char *)text.data, "web-1.example_x"));
    gv_buf_free(&text);
    gv_bouncer_keys_close(keys);

    keys = open_keys(secret);
    assert_string_equal(gv_bouncer_keys_find(keys, key)->name, "fw");
    assert_int_equal(gv_bouncer_keys_find(keys, key)->created_ms, 7000);
    assert_string_equal(gv_bouncer_keys_find(keys, second)->name, "web-1.example_x");
    key[0] = key[0] == 'a' ? 'b' : 'a';
    assert_null(gv_bouncer_keys_find(keys, key));
    gv_bouncer_keys_close(keys);
    keys = open_keys(other_secret); /* the file on another node */
    assert_null(gv_bouncer_keys_find(keys, second));
    gv_bouncer_keys_close(keys);
}

static void names(void **state)
{
    static const char *const wrong[] = {"", ".", "-x", "a b", "a/b", "\xc3\xa4", "a\n", "a\"b"};
    char key[GV_BOUNCER_KEY_TEXT], longest[GV_BOUNCER_NAME_MAX + 2];
    struct gv_bouncer_keys *keys = open_keys(secret);
    size_t count;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(gv_bouncer_keys_add(keys, key, wrong[i], 1, &error), GV_ERR_MALFORMED);
    memset(longest, 'a', sizeof longest);
    longest[GV_BOUNCER_NAME_MAX + 1] = 0;
    assert_int_equal(gv_bouncer_keys_add(keys, key, longest, 1, &error), GV_ERR_MALFORMED);
    longest[GV_BOUNCER_NAME_MAX] = 0;
    assert_int_equal(gv_bouncer_keys_add(keys, key, longest, 1, &error), GV_OK);
    assert_int_equal(gv_bouncer_keys_add(keys, key, longest, 1, &error), GV_ERR_DUPLICATE);
    (void)gv_bouncer_keys_all(keys, &count);
    assert_int_equal(count, 1);
    gv_bouncer_keys_close(keys);
}

static void add_and_delete_to_the_brim(void **state)
{
    char key[GV_BOUNCER_KEY_TEXT], first[GV_BOUNCER_KEY_TEXT], name[32];
    struct gv_bouncer_keys *keys = open_keys(secret);

    for (int i = 0; i < GV_BOUNCERS_MAX; i++) {
        snprintf(name, sizeof name, "b%d", i);
        assert_int_equal(gv_bouncer_keys_add(keys, i == 0 ? first : key, name, 1, &error), GV_OK);
    }
    assert_int_equal(gv_bouncer_keys_add(keys, key, "more", 1, &error), GV_ERR_FULL);
    assert_int_equal(gv_bouncer_keys_delete(keys, "nobody", &error), GV_ERR_NOT_FOUND);
    uint64_t number = gv_bouncer_keys_find(keys, first)->number;
    assert_int_equal(gv_bouncer_keys_delete(keys, "b0", &error), GV_OK);
    assert_null(gv_bouncer_keys_find(keys, first));
    assert_null(gv_bouncer_keys_numbered(keys, number));
    assert_string_equal(gv_bouncer_keys_find(keys, key)->name, "b127");
    assert_int_equal(gv_bouncer_keys_add(keys, first, "b0", 1, &error), GV_OK);
    assert_int_not_equal(gv_bouncer_keys_find(keys, first)->number, number); /* knows nothing yet */
    for (int i = 0; i < GV_BOUNCERS_MAX; i++) {
        snprintf(name, sizeof name, "b%d", i);
        assert_int_equal(gv_bouncer_keys_delete(keys, name, &error), GV_OK);
    }
    assert_int_equal(gv_bouncer_keys_delete(keys, "b0", &error), GV_ERR_NOT_FOUND);
    gv_bouncer_keys_close(keys);
}

static void what_cannot_be_stored_is_not_in_force(void **state)
{
    char key[GV_BOUNCER_KEY_TEXT], kept[GV_BOUNCER_KEY_TEXT], away[96];
    struct gv_bouncer_keys *keys = open_keys(secret);

    assert_int_equal(gv_bouncer_keys_add(keys, kept, "kept", 1, &error), GV_OK);
    snprintf(away, sizeof away, "%s.away", folder);
    assert_int_equal(rename(folder, away), 0);
    assert_int_equal(gv_bouncer_keys_add(keys, key, "new", 1, &error), GV_ERR_IO);
    assert_string_equal(key, "");
    assert_int_equal(gv_bouncer_keys_delete(keys, "kept", &error), GV_ERR_IO);
    assert_string_equal(gv_bouncer_keys_find(keys, kept)->name, "kept");
    assert_int_equal(rename(away, folder), 0);
    assert_int_equal(gv_bouncer_keys_add(keys, key, "new", 1, &error), GV_OK);
    gv_bouncer_keys_close(keys);
}

static void a_file_that_is_not_ours_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "[]",
        "{}",
        "{\"bouncers\": 7}",
        "{\"bouncers\": [7]}",
        "{\"bouncers\": [{}]}",
        "{\"bouncers\": [{\"name\": \"a b\", \"hash\": \"00\", \"created_ms\": 1}]}",
        "{\"bouncers\": [{\"name\": \"a\", \"hash\": \"00\", \"created_ms\": 1}]}",
        "{\"bouncers\": [",
    };
    struct gv_bouncer_keys *keys;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(gv_file_write(path, wrong[i], strlen(wrong[i]), 0600, &error), GV_OK);
        assert_int_equal(gv_bouncer_keys_open(&keys, folder, secret, &error), GV_ERR_MALFORMED);
        assert_null(keys);
        assert_non_null(strstr(error.text, path));
    }
    assert_int_equal(gv_file_write(path, "{\"bouncers\": []}", 16, 0640, &error), GV_OK);
    assert_int_equal(gv_bouncer_keys_open(&keys, folder, secret, &error), GV_ERR_FORBIDDEN);
    assert_non_null(strstr(error.text, "chmod 600"));
    unlink(path);
    assert_int_equal(symlink("/dev/null", path), 0);
    assert_int_equal(gv_bouncer_keys_open(&keys, folder, secret, &error), GV_ERR_FORBIDDEN);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(a_key_is_not_in_the_file),           WITH(names),
        WITH(add_and_delete_to_the_brim),         WITH(what_cannot_be_stored_is_not_in_force),
        WITH(a_file_that_is_not_ours_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
