/* Notices of alerts by mail (SPEC 10.9): one at the beginning and one at the end, to whom the
 * configuration says, switched at run time; mails under way end although it stops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/base/mail.h"
#include "node/serve/alert_mail.h"

static char folder[64], url[80];

static int set_up(void **state)
{
    strcpy(folder, "/tmp/gv-alert-mail.XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(url, sizeof url, "file:%s", folder);
    return 0;
}

/* Reads the mails in the order of their names, and removes them. */
static unsigned mails(char *out, size_t cap)
{
    struct dirent **list;
    unsigned count = 0;
    size_t len = 0;
    int n = scandir(folder, &list, NULL, alphasort);

    for (int i = 0; i < n; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", folder, list[i]->d_name);
        FILE *in = list[i]->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (in) {
            len += fread(out + len, 1, cap - 1 - len, in);
            fclose(in);
            unlink(path);
            count++;
        }
        free(list[i]);
    }
    free(list);
    out[len] = 0;
    return count;
}

static int tear_down(void **state)
{
    char unused[4096];

    (void)mails(unused, sizeof unused);
    return rmdir(folder);
}

static void test_begins_and_ends(void **state)
{
    struct gv_options options = {
        .alert_mail = "admin@example.org", .alert_smtp = url, .hook_timeout_s = 5};
    struct gv_alert alert = {.number = 1,
                             .series = GV_SERIES_OUTGOING,
                             .began_ms = 1795341400000,
                             .value = 412,
                             .usual = 31,
                             .limit = 62};
    char text[8192], wanted[160];
    struct gv_alert_mail *mail;
    struct gv_text error;
    uv_loop_t loop;

    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(gv_alert_mail_start(&mail, &loop, &options, &error), GV_OK);
    gv_alert_mail_tell(mail, &alert);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(mails(text, sizeof text), 1);
    gv_alert_text(wanted, sizeof wanted, &alert);
    assert_non_null(strstr(text, wanted));
    assert_non_null(strstr(text, "To: <admin@example.org>\r\n"));
    assert_non_null(strstr(text, "From: grapevine <admin@example.org>\r\n"));
    assert_non_null(strstr(text, "Auto-Submitted: auto-generated\r\n"));
    assert_non_null(strstr(text, "Ended: not yet"));
    alert.ended_ms = alert.began_ms + 900000;
    gv_alert_mail_tell(mail, &alert);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(mails(text, sizeof text), 1);
    assert_non_null(strstr(text, ": over: "));
    options.alert_mail = "";
    gv_alert_mail_configure(mail, &options);
    gv_alert_mail_tell(mail, &alert);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(mails(text, sizeof text), 0);
    options.alert_mail = "other@example.org";
    gv_alert_mail_configure(mail, &options);
    gv_alert_mail_tell(mail, &alert);
    gv_alert_mail_stop(mail); /* under way */
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(mails(text, sizeof text), 1);
    assert_non_null(strstr(text, "To: <other@example.org>\r\n"));
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void says(const struct gv_alert_mail *mail, json_int_t waiting, bool error)
{
    json_t *json = gv_alert_mail_json(mail);

    assert_int_equal(json_integer_value(json_object_get(json, "waiting")), waiting);
    assert_int_equal(json_is_string(json_object_get(json, "error")), error);
    json_decref(json);
}

/* SPEC 10.9: what no server takes waits, so many at most, and goes out when it can. */
static void test_a_letter_waits_for_its_server(void **state)
{
    struct gv_options options = {
        .alert_mail = "admin@example.org", .alert_smtp = "smtp://127.0.0.1:1", .hook_timeout_s = 5};
    struct gv_alert alert = {.number = 1, .series = GV_SERIES_BOUNCED, .began_ms = 1795341400000};
    struct gv_alert_mail *mail;
    static char text[1 << 17];
    struct gv_text error;
    uv_loop_t loop;

    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(gv_alert_mail_start(&mail, &loop, &options, &error), GV_OK);
    alert.value = 100;
    gv_alert_mail_tell(mail, &alert);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(gv_alert_mail_waiting(mail), 1);
    says(mail, 1, true);
    gv_alert_mail_retry(mail); /* in vain */
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(gv_alert_mail_waiting(mail), 1);
    for (uint32_t i = 1; i < GV_ALERT_LETTERS + 3; i++) {
        alert.value = 100 + i;
        gv_alert_mail_tell(mail, &alert);
        uv_run(&loop, UV_RUN_DEFAULT);
    }
    assert_int_equal(gv_alert_mail_waiting(mail), GV_ALERT_LETTERS);
    options.alert_smtp = url;
    gv_alert_mail_configure(mail, &options);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(gv_alert_mail_waiting(mail), 0);
    says(mail, 0, false);
    assert_int_equal(mails(text, sizeof text), GV_ALERT_LETTERS);
    assert_null(strstr(text, "bounces: 102 ")); /* the oldest were given up */
    assert_non_null(strstr(text, "bounces: 103 "));
    assert_non_null(strstr(text, "bounces: 134 "));
    options.alert_smtp = "smtp://127.0.0.1:1"; /* and it ends while one waits */
    gv_alert_mail_configure(mail, &options);
    gv_alert_mail_tell(mail, &alert);
    uv_run(&loop, UV_RUN_DEFAULT);
    gv_alert_mail_stop(mail);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void test_how_long_it_waits(void **state)
{
    uint64_t sum = 0, wait;
    unsigned tries = 1;

    assert_int_equal(gv_alert_mail_wait_ms(1), 60000);
    assert_int_equal(gv_alert_mail_wait_ms(2), 300000);
    for (; (wait = gv_alert_mail_wait_ms(tries)) != 0; tries++)
        sum += wait;
    assert_in_range(sum, 23 * 3600000u, 25 * 3600000u);
    assert_in_range(tries, 20, 30);
}

static void test_what_will_not_do(void **state)
{
    struct gv_options options = {
        .alert_mail = "two words@example.org", .alert_smtp = url, .hook_timeout_s = 5};
    struct gv_alert_mail *mail;
    struct gv_text error;
    uv_loop_t loop;

    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(gv_alert_mail_start(&mail, &loop, &options, &error), GV_ERR_CONFIG);
    options.alert_mail = "a@example.org\r\nBcc: b@example.org";
    assert_int_equal(gv_alert_mail_start(&mail, &loop, &options, &error), GV_ERR_CONFIG);
    options.alert_mail = "a@example.org";
    options.alert_smtp = "http://example.org";
    assert_int_equal(gv_alert_mail_start(&mail, &loop, &options, &error), GV_ERR_CONFIG);
    assert_int_equal(uv_loop_close(&loop), 0);
    assert_true(gv_mail_url_is_local("smtp://127.0.0.1") &&
                gv_mail_url_is_local("smtp://[::1]:25"));
    assert_false(gv_mail_url_is_local("smtp://127.0.0.1.example.org") ||
                 gv_mail_url_is_local("smtp://localhost@example.org"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_begins_and_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_letter_waits_for_its_server, set_up, tear_down),
        cmocka_unit_test(test_how_long_it_waits),
        cmocka_unit_test_setup_teardown(test_what_will_not_do, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
