/* Every finding of `grapevine doctor`, from a status that is well but for one thing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/cli/doctor.h"

#define NOW 1795000000 /* 2026-11-18T10:26:40Z */

static const char well[] =
    "{\"version\": \"0.1.0\", \"uptime_s\": 3600, \"network\": {\"name\": \"example\"},"
    " \"enrolled\": true, \"revoked\": false, \"certificate_expires\": \"2027-01-10T00:00:00Z\","
    " \"mesh\": {\"peers\": 5, \"peers_outbound\": 3, \"instances\": 40, \"clock_offset_ms\": 20},"
    " \"counters\": {\"connections_accepted\": 2}, \"store\": {\"ok\": true, \"error\": null},"
    " \"registry\": {\"trouble\": null, \"finding\": null, \"key_until\": "
    "\"2029-01-10T00:00:00Z\", \"log\": {\"trouble\": null, \"head\": "
    "\"2026-11-18T10:00:00Z\", \"size\": 9}}, \"logs\": [{\"path\": \"/var/log/mail.log\", "
    "\"state\":"
    " \"reading\", \"lines\": 5000, \"matched\": 40, \"failures\": 7}],"
    " \"enforcement\": {\"refused\": 2, \"dovecot\": {\"asked\": 9}, \"dnsbl\": {\"queries\": 4},"
    " \"bouncers\": {\"pulls\": 3}, \"nftables\": {\"state\": \"ok\", \"in_place\": 2}, "
    "\"hooks\": {\"exec\": {\"error\": null, \"waiting\": 0, \"lost\": 0}, \"webhook\": null}}}";

static char data[] = "/var/lib/grapevine", control[] = "/var/lib/grapevine/control.sock";
static const struct gv_doctor_host good_host = {.now_unix = NOW,
                                                .disk_free = 40ll << 30,
                                                .folder_mode = 0700,
                                                .key_mode = 0600,
                                                .clock_synchronised = 1};

static struct gv_options good_options(void)
{
    return (struct gv_options){.data = data,
                               .control_path = control,
                               .share = GV_SHARE_YES,
                               .advertise = {.count = 1},
                               .allow = {.count = 1},
                               .enforced = GV_ENFORCE_DOVECOT | GV_ENFORCE_DNSBL |
                                           GV_ENFORCE_BOUNCERS | GV_ENFORCE_NFTABLES};
}

/* How many findings are not ok; the first of those of `check` in *level and *found. */
static size_t judge(const struct gv_options *options, const struct gv_doctor_host *host,
                    const json_t *status, const char *check, char level[16], char found[512])
{
    json_t *findings = json_array(), *finding;
    int worst = gv_doctor_judge(findings, options, host, status), seen = GV_FINDING_OK;
    size_t i, wrong = 0;

    level[0] = found[0] = '\0';
    json_array_foreach(findings, i, finding)
    {
        const char *of = json_string_value(json_object_get(finding, "check"));
        const char *is = json_string_value(json_object_get(finding, "level"));
        int number = 0;
        while (strcmp(gv_finding_names[number], is) != 0)
            number++;
        seen = number > seen ? number : seen;
        /* What is wrong comes with what to do, and nothing else does. */
        assert_int_equal(json_is_string(json_object_get(finding, "advice")), number != 0);
        wrong += number != 0;
        if (number != 0 && strcmp(of, check) == 0 && !level[0]) {
            snprintf(level, 16, "%s", is);
            snprintf(found, 512, "%s", json_string_value(json_object_get(finding, "found")));
        }
    }
    assert_int_equal(worst, seen);
    json_decref(findings);
    return wrong;
}

static void a_well_node_has_no_findings(void **state)
{
    struct gv_options options = good_options();
    json_t *status = json_loads(well, 0, NULL);
    char level[16], found[512];

    assert_non_null(status);
    assert_int_equal(judge(&options, &good_host, status, "", level, found), 0);
    json_decref(status);
}

struct one {
    const char *patch; /* merged into the status, member by member */
    const char *check, *level, *found;
};

/* One member of the status is changed: exactly one finding comes of it, and names it. */
static const struct one daemon_troubles[] = {
    {"{\"mesh\": {\"clock_offset_ms\": -7000}}", "clock", "warning", "7 s ahead of"},
    {"{\"mesh\": {\"clock_offset_ms\": 400000}}", "clock", "failure", "400 s behind"},
    {"{\"store\": {\"ok\": false, \"error\": \"disk full\"}}", "store", "failure", "disk full"},
    {"{\"logs\": []}", "log", "failure", "no log is read"},
    {"{\"logs\": [{\"path\": \"/x\", \"state\": \"waiting for the file\"}]}", "log", "failure",
     "/x: waiting for the file"},
    {"{\"logs\": [{\"path\": \"/x\", \"state\": \"reading\", \"lines\": 0}]}", "log", "warning",
     "/x: no line"},
    {"{\"logs\": [{\"path\": \"/x\", \"state\": \"reading\", \"lines\": 1000, \"matched\": "
     "0}]}",
     "log", "warning", "none of 1000 lines"},
    {"{\"logs\": [{\"path\": \"/x\", \"state\": \"reading\", \"lines\": 9, \"matched\": 9, "
     "\"unnamed\": 3}]}",
     "log", "warning", "/x: 3 failed attempts of clients whom the log does not name"},
    {"{\"logs\": [{\"path\": \"/x\", \"state\": \"reading\", \"lines\": 9, \"matched\": 9, "
     "\"untold\": 5}]}",
     "log", "note", "/x: Dovecot's auth service tells of no failure"},
    {"{\"logs\": [{\"path\": \"/x\", \"state\": \"reading\", \"lines\": 9, \"matched\": 9, "
     "\"torn\": 2, \"untold\": 5}]}",
     "log", "warning", "/x: 2 failures count nothing: their lines cannot be told from torn ones"},
    {"{\"network\": null}", "certificate", "warning", "in no network"},
    {"{\"revoked\": true}", "certificate", "failure", "revoked"},
    {"{\"enrolled\": false}", "certificate", "warning", "not enrolled"},
    {"{\"certificate_state\": \"expired\", \"certificate_expires\": \"2026-11-18T09:00:00Z\"}",
     "certificate", "failure", "ended 2026-11-18T09:00:00Z, and is not accepted any more"},
    {"{\"certificate_state\": \"dropped\"}", "certificate", "failure", "is not accepted any more"},
    {"{\"certificate_state\": \"overdue\", \"certificate_expires\": \"2026-11-18T09:00:00Z\"}",
     "certificate", "warning", "ends 2026-11-18T09:00:00Z, and was not renewed"},
    {"{\"registry\": {\"trouble\": \"renewal: enrol again\", \"refused\": \"expired\", "
     "\"trouble_since\": \"2026-11-18T09:00:00Z\"}}",
     "registry", "warning",
     "it answers, and refuses since 2026-11-18T09:00:00Z: renewal: enrol again"},
    {"{\"registry\": {\"trouble\": \"revocations: HTTP status 503\", \"trouble_since\": "
     "\"2026-11-18T09:00:00Z\", \"retry\": \"2026-11-18T11:00:00Z\"}}",
     "registry", "warning",
     "not in reach since 2026-11-18T09:00:00Z: revocations: HTTP status 503; asked again "
     "2026-11-18T11"},
    {"{\"registry\": {\"log\": {\"trouble\": \"the registry answers with HTTP status 503\", "
     "\"trouble_since\": \"2026-11-18T10:10:00Z\"}}}",
     "registry", "warning", "cannot be compared since 2026-11-18T10:10:00Z: the registry answers"},
    /* Nothing new for more than a day: it hides something. */
    {"{\"registry\": {\"log\": {\"trouble\": \"the registry answers with HTTP status 503\", "
     "\"trouble_since\": \"2026-11-18T10:10:00Z\", \"head\": \"2026-11-17T08:00:00Z\"}}}",
     "registry", "failure", "cannot be compared"},
    {"{\"registry\": {\"log\": {\"trouble\": \"HTTP status 404\", \"trouble_since\": "
     "\"2026-11-17T08:00:00Z\", \"head\": null}}}",
     "registry", "failure", "cannot be compared"},
    /* The log of one key is new, and that of another has been withheld for more than a day. */
    {"{\"registry\": {\"log\": {\"trouble\": \"shows no log of its key\", \"trouble_since\": "
     "\"2026-11-17T08:00:00Z\", \"head\": \"2026-11-18T10:00:00Z\"}}}",
     "registry", "failure", "cannot be compared"},
    {"{\"registry\": {\"log\": {\"head\": null}}}", "registry", "note", "not looked at yet"},
    {"{\"registry\": {\"finding\": \"it shows two faces\", \"finding_since\": "
     "\"2026-11-18T10:00:00Z\"}}",
     "registry", "failure", "not to be trusted since 2026-11-18T10:00:00Z: it shows two faces"},
    {"{\"registry\": {\"key_until\": \"2027-01-10T00:00:00Z\"}}", "registry", "warning",
     "the last of its keys signs until 2027-01-10"},
    {"{\"registry\": {\"key_until\": \"2026-11-18T10:00:00Z\"}}", "registry", "failure",
     "the last of its keys ended 2026-11-18"},
    {"{\"mesh\": {\"peers\": 0, \"peers_outbound\": 0}}", "peers", "failure", "nobody"},
    {"{\"mesh\": {\"peers\": 0, \"peers_outbound\": 0, \"instances\": 1}}", "peers", "warning",
     "and knows of no other node"},
    {"{\"mesh\": {\"peers\": 1, \"peers_outbound\": 0}}", "peers", "warning", "one peer alone"},
    {"{\"mesh\": {\"peers\": 3}, \"counters\": {\"connections_accepted\": 0}}", "reachable",
     "warning", "nobody has connected"},
    {"{\"enforcement\": {\"dovecot\": {\"asked\": 0}}}", "enforcement", "warning", "Dovecot"},
    {"{\"enforcement\": {\"dnsbl\": {\"queries\": 0}}}", "enforcement", "warning", "by DNS"},
    {"{\"enforcement\": {\"bouncers\": {\"pulls\": 0}}}", "enforcement", "warning", "bouncers"},
    {"{\"enforcement\": {\"nftables\": {\"state\": \"absent\"}}}", "enforcement", "failure",
     "does not run"},
    {"{\"enforcement\": {\"nftables\": {\"state\": \"kernel\"}}}", "enforcement", "failure",
     "kernel"},
    {"{\"enforcement\": {\"nftables\": null}}", "enforcement", "failure", "does not run"},
    {"{\"enforcement\": {\"hooks\": {\"exec\": {\"error\": \"its exit status was 1\", "
     "\"waiting\": 3, \"lost\": 2}}}}",
     "hooks", "warning", "exec: its exit status was 1; 3 wait, 2 were lost"},
    {"{\"enforcement\": {\"hooks\": {\"exec\": null, \"webhook\": {\"error\": \"timed out\", "
     "\"waiting\": 1, \"lost\": 0}}}}",
     "hooks", "warning", "webhook: timed out; 1 wait"},
    {"{\"enforcement\": {\"hooks\": {\"alert_mail\": {\"error\": \"refused\", \"waiting\": "
     "4}}}}",
     "hooks", "warning", "alert_mail: refused; 4 wait"},
    {"{\"transparency\": {\"lost\": {\"entry\": 7, \"noticed\": \"2026-11-18T10:00:00Z\"}}}",
     "transparency", "failure", "entry 7 of the log of closer looks"},
    {"{\"uptime_s\": 30, \"enforcement\": {\"dnsbl\": {\"queries\": 0}}}", "enforcement", "note",
     "by DNS"},
};

static void each_trouble_of_the_daemon_is_found(void **state)
{
    struct gv_options options = good_options();
    char level[16], found[512];

    for (size_t i = 0; i < sizeof daemon_troubles / sizeof *daemon_troubles; i++) {
        const struct one *one = &daemon_troubles[i];
        json_t *status = json_loads(well, 0, NULL), *patch = json_loads(one->patch, 0, NULL);
        assert_non_null(patch);
        assert_int_equal(json_object_update_recursive(status, patch), 0);
        size_t wrong = judge(&options, &good_host, status, one->check, level, found);
        if (wrong != 1 || strcmp(level, one->level) != 0 || !strstr(found, one->found))
            fail_msg("%s: %zu findings, %s: %s", one->patch, wrong, level, found);
        json_decref(status);
        json_decref(patch);
    }
}

/* Said twice, as it is two troubles: what does not work, and what comes of it. */
static void a_certificate_that_a_registry_out_of_reach_did_not_renew(void **state)
{
    struct gv_options options = good_options();
    json_t *status = json_loads(well, 0, NULL),
           *patch = json_loads("{\"certificate_expires\": \"2026-12-01T00:00:00Z\", \"registry\": "
                               "{\"trouble\": \"gone\"}}",
                               0, NULL);
    char level[16], found[512];

    assert_int_equal(json_object_update_recursive(status, patch), 0);
    assert_int_equal(judge(&options, &good_host, status, "certificate", level, found), 2);
    assert_string_equal(level, "warning");
    assert_non_null(strstr(found, "not renewed: gone"));
    assert_int_equal(judge(&options, &good_host, status, "registry", level, found), 2);
    assert_string_equal(level, "warning");
    json_decref(status);
    json_decref(patch);
}

/* In its grace, and the registry says that it renews it no more: that is for good. */
static void a_certificate_that_the_registry_renews_no_more(void **state)
{
    struct gv_options options = good_options();
    json_t *status = json_loads(well, 0, NULL),
           *patch = json_loads("{\"certificate_state\": \"overdue\", \"certificate_expires\": "
                               "\"2026-11-18T09:00:00Z\", \"registry\": {\"refused\": "
                               "\"expired\", \"trouble\": \"renewal: too old\"}}",
                               0, NULL);
    char level[16], found[512];

    assert_int_equal(json_object_update_recursive(status, patch), 0);
    assert_int_equal(judge(&options, &good_host, status, "certificate", level, found), 2);
    assert_string_equal(level, "failure");
    assert_int_equal(judge(&options, &good_host, status, "registry", level, found), 2);
    assert_string_equal(level, "warning");
    assert_non_null(strstr(found, "it answers, and refuses"));
    json_decref(status);
    json_decref(patch);
}

static void each_trouble_of_the_host_is_found(void **state)
{
    struct gv_options options = good_options();
    struct gv_doctor_host host = good_host;
    json_t *status = json_loads(well, 0, NULL);
    char level[16], found[512];

    host.disk_free = 100ll << 20;
    assert_int_equal(judge(&options, &host, status, "disk", level, found), 1);
    assert_string_equal(level, "warning");
    host.disk_free = 1 << 20;
    assert_int_equal(judge(&options, &host, status, "disk", level, found), 1);
    assert_string_equal(level, "failure");
    host.disk_free = GV_DOCTOR_UNKNOWN;
    assert_int_equal(judge(&options, &host, status, "disk", level, found), 1);
    assert_string_equal(level, "warning");
    host = good_host;
    host.key_mode = 0640;
    assert_int_equal(judge(&options, &host, status, "key", level, found), 1);
    assert_string_equal(level, "failure");
    host = good_host;
    host.key_foreign = 1;
    assert_int_equal(judge(&options, &host, status, "key", level, found), 1);
    assert_string_equal(level, "failure");
    host = good_host;
    host.folder_mode = 0755;
    assert_int_equal(judge(&options, &host, status, "key", level, found), 1);
    assert_string_equal(level, "warning");
    host = good_host;
    /* What could not be looked at is not called well. */
    host.folder_mode = host.key_mode = host.key_foreign = GV_DOCTOR_UNKNOWN;
    json_t *findings = json_array();
    gv_doctor_judge(findings, &options, &host, status);
    for (size_t i = 0; i < json_array_size(findings); i++)
        assert_string_not_equal(
            json_string_value(json_object_get(json_array_get(findings, i), "check")), "key");
    json_decref(findings);
    host = good_host;
    host.clock_synchronised = 0;
    assert_int_equal(judge(&options, &host, status, "clock", level, found), 1);
    assert_string_equal(level, "warning");
    host = good_host;
    snprintf(host.stale, sizeof host.stale, "[share] mode");
    assert_int_equal(judge(&options, &host, status, "daemon", level, found), 1);
    assert_string_equal(level, "warning");
    assert_non_null(strstr(found, "[share] mode"));
    host = good_host;
    snprintf(host.restart, sizeof host.restart, "[http] listen");
    assert_int_equal(judge(&options, &host, status, "daemon", level, found), 1);
    assert_string_equal(level, "warning");
    assert_non_null(strstr(found, "[http] listen"));
    host = good_host;
    host.clock_synchronised = 0;
    /* Nobody answers: the host is looked at all the same. */
    assert_int_equal(judge(&options, &host, NULL, "clock", level, found), 2);
    assert_string_equal(level, "warning");
    assert_int_equal(judge(&options, &good_host, NULL, "daemon", level, found), 1);
    assert_string_equal(level, "failure");
    assert_non_null(strstr(found, control));
    json_decref(status);
}

static void what_is_switched_off_is_only_noted(void **state)
{
    struct gv_options options = good_options();
    json_t *status = json_loads(well, 0, NULL);
    char level[16], found[512];

    options.enforced = 0;
    assert_int_equal(judge(&options, &good_host, status, "enforcement", level, found), 1);
    assert_string_equal(level, "note");
    assert_non_null(strstr(found, "would refuse 2"));
    options = good_options();
    options.share = GV_SHARE_PREVIEW;
    assert_int_equal(judge(&options, &good_host, status, "share", level, found), 1);
    assert_string_equal(level, "note");
    options.share = GV_SHARE_NO;
    assert_int_equal(judge(&options, &good_host, status, "share", level, found), 1);
    options = good_options();
    options.advertise.count = options.allow.count = 0;
    assert_int_equal(judge(&options, &good_host, status, "reachable", level, found), 2);
    assert_string_equal(level, "note");
    json_decref(status);
}

/* Whom this host's own configuration trusts, and a verdict could hit all the same. */
static void its_own_that_are_on_no_list_are_named(void **state)
{
    static struct gv_own_hosts own;
    struct gv_doctor_host host = good_host;
    struct gv_options options = good_options();
    json_t *status = json_loads(well, 0, NULL);
    char level[16], found[512], list[4096] = "";

    host.unlisted = &own;
    assert_int_equal(judge(&options, &host, status, "allow list", level, found), 0);
    gv_own_hosts_words(&own, "mynetworks of Postfix", "192.0.2.0/24 198.51.100.7", 25, false);
    assert_int_equal(judge(&options, &host, status, "allow list", level, found), 1);
    assert_string_equal(level, "warning");
    assert_non_null(strstr(found, "192.0.2.0/24 (mynetworks of Postfix), 198.51.100.7 (myn"));
    for (int i = 0; i < 200; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "10.0.%d.1 ", i);
    gv_own_hosts_words(&own, "mynetworks of Postfix", list, strlen(list), false);
    assert_int_equal(judge(&options, &host, status, "allow list", level, found), 1);
    assert_string_equal(found + strlen(found) - 5, ", ...");
    json_decref(status);
}

/* A daemon of another version, or no daemon at all, answers what it likes. */
static void a_strange_status_is_survived(void **state)
{
    static const char *const strange[] = {"{}", "[]", "{\"logs\": 7, \"mesh\": []}",
                                          "{\"logs\": [1, null, \"x\"]}",
                                          "{\"store\": {\"error\": \"\\u001b[31m\"}}"};
    struct gv_options options = good_options();
    char level[16], found[512];

    for (size_t i = 0; i < sizeof strange / sizeof *strange; i++) {
        json_t *status = json_loads(strange[i], 0, NULL);
        assert_non_null(status);
        assert_true(judge(&options, &good_host, status, "store", level, found) > 0);
        assert_null(strchr(found, 0x1b));
        json_decref(status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_well_node_has_no_findings),
        cmocka_unit_test(each_trouble_of_the_daemon_is_found),
        cmocka_unit_test(a_certificate_that_a_registry_out_of_reach_did_not_renew),
        cmocka_unit_test(a_certificate_that_the_registry_renews_no_more),
        cmocka_unit_test(each_trouble_of_the_host_is_found),
        cmocka_unit_test(what_is_switched_off_is_only_noted),
        cmocka_unit_test(its_own_that_are_on_no_list_are_named),
        cmocka_unit_test(a_strange_status_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
