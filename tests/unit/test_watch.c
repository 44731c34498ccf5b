/* What would have been refused is counted, before it is switched on (SPEC 18.1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "crypto/error.h"
#include "helper_host.h"
#include "node/serve/watch.h"

static struct network network;
static struct host host;
static struct gv_watch *watch;

static int set_up(void **state)
{
    (void)state;
    network_open(&network, 1, true);
    assert_int_equal(host_open(&host, &network, 1, NULL), GV_OK);
    watch = gv_watch_new(host.core);
    return watch ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    gv_watch_free(watch);
    host_close(&host);
    network_close(&network);
    return 0;
}

static struct gv_observation of(const char *address, uint32_t attempts)
{
    struct gv_observation observation = {.unix_ms = host_unix_ms(&host),
                                         .account = attempts + 1,
                                         .attempts = attempts,
                                         .service = GV_SERVICE_IMAP,
                                         .kind = GV_KIND_WRONG_PASSWORD,
                                         .new_visit = true,
                                         .success = attempts == 0};

    assert_int_equal(gv_subject_parse(&observation.subject, address, strlen(address)), GV_OK);
    return observation;
}

static void observe(struct gv_observation observation)
{
    struct gv_event event = {.kind = GV_EVENT_OBSERVATION, .observation = observation};

    gv_watch_observe(watch, &observation);
    assert_int_equal(host_step(&host, &event), GV_OK);
}

static void expect(int failures, int logins, int addresses)
{
    json_t *json = gv_watch_json(watch);

    assert_int_equal(json_integer_value(json_object_get(json, "failures")), failures);
    assert_int_equal(json_integer_value(json_object_get(json, "logins")), logins);
    assert_int_equal(json_integer_value(json_object_get(json, "addresses")), addresses);
    json_decref(json);
}

static void only_what_comes_through_a_lock_counts(void **state)
{
    struct gv_observation other;

    for (int i = 0; i < 3; i++)
        observe(of("198.51.100.7", 1)); /* the third visit locks, and was not refused itself */
    expect(0, 0, 0);
    observe(of("198.51.100.7", 4));
    expect(4, 0, 1);
    observe(of("198.51.100.7", 0)); /* a login: what an admin wants to know of most */
    expect(4, 1, 1);
    observe(of("198.51.100.8", 5));
    observe(of("198.51.100.8", 1));
    expect(5, 1, 2);
    observe(of("198.51.100.9", 1));
    other = of("198.51.100.8", 1);
    other.refused = true; /* it was refused */
    observe(other);
    other = of("198.51.100.8", 0);
    other.past = true; /* an old log says nothing of now */
    observe(other);
    expect(5, 1, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_what_comes_through_a_lock_counts, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
