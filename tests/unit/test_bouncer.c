/* CrowdSec's local API as bouncers see it: over real sockets, before a real core (SPEC 18.7). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/drbg.h"
#include "crypto/error.h"
#include "helper_bouncer.h"
#include "node/serve/bans.h"

/* ---- the bytes ------------------------------------------------------------------------------ */

static void what_is_answered_is_what_the_real_one_answers(void **state)
{
    assert_string_equal(asked("/v1/decisions/stream?startup=true"),
                        "{\"deleted\":null,\"new\":null}");
    assert_string_equal(asked("/v1/decisions"), "null");
    assert_string_equal(bouncer_type, "application/json");
    assert_int_equal(bouncer_ask("GET", "/health", NULL, NULL), 200);
    assert_string_equal(bouncer_body, "{\"status\":\"up\"}");
    assert_int_equal(bouncer_ask("POST", "/v1/usage-metrics", bouncer_key, "{\"x\":[1,2]}"), 201);
    assert_string_equal(bouncer_body, "");
    assert_int_equal(bouncer_ask("HEAD", "/v1/decisions", bouncer_key, NULL), 200);
    assert_string_equal(bouncer_body, "");
    assert_int_equal(bouncer_ask("HEAD", "/v1/decisions/stream", bouncer_key, NULL), 200);
    assert_string_equal(bouncer_body, "");
}

static void who_has_no_key_learns_nothing(void **state)
{
    static const char *const paths[] = {"/v1/decisions", "/v1/decisions/stream?startup=true"};
    char wrong[128], longer[1024];

    bouncer_lock("198.51.100.7");
    snprintf(wrong, sizeof wrong, "%s", bouncer_key);
    wrong[63] = wrong[63] == '0' ? '1' : '0';
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    const char *const keys[] = {NULL, "", wrong, longer, "0"};
    for (size_t i = 0; i < 2; i++)
        for (size_t k = 0; k < 5; k++) {
            assert_int_equal(bouncer_ask("GET", paths[i], keys[k], NULL), 403);
            assert_string_equal(bouncer_body, "{\"message\":\"access forbidden\"}");
        }
    assert_int_equal(bouncer_ask("HEAD", paths[0], wrong, NULL), 403);
    assert_int_equal(bouncer_ask("POST", "/v1/usage-metrics", wrong, "{}"), 403);
    assert_int_equal(bouncer_counter("forbidden"), 12);
}

static void what_is_not_there_and_what_is_not_done(void **state)
{
    assert_int_equal(bouncer_ask("GET", "/v1/alerts", bouncer_key, NULL), 404);
    assert_int_equal(bouncer_ask("GET", "/v1/decisions/7", bouncer_key, NULL), 404);
    assert_int_equal(bouncer_ask("GET", "/v1/decisions/", bouncer_key, NULL), 404);
    assert_int_equal(bouncer_ask("POST", "/v1/decisions", bouncer_key, "{}"), 405);
    assert_int_equal(bouncer_ask("DELETE", "/v1/decisions", bouncer_key, NULL), 405);
    assert_int_equal(bouncer_ask("PUT", "/v1/decisions/stream", bouncer_key, "{}"), 405);
    assert_int_equal(bouncer_ask("GET", "/v1/usage-metrics", bouncer_key, NULL), 405);
    assert_int_equal(bouncer_ask("POST", "/health", NULL, "{}"), 405);
}

static void an_entry_has_seven_members(void **state)
{
    bouncer_lock("198.51.100.7");
    const json_t *one = json_array_get(bouncer_new("startup=true"), 0);
    assert_non_null(one);
    assert_int_equal(json_object_size(one), 7);
    assert_true(json_integer_value(json_object_get(one, "id")) > 0);
    assert_string_equal(bouncer_text(one, "duration"), "1h0m0s"); /* a lock */
    assert_string_equal(bouncer_text(one, "origin"), "grapevine");
    assert_string_equal(bouncer_text(one, "scenario"), "grapevine/locked-here");
    assert_string_equal(bouncer_text(one, "scope"), "Ip");
    assert_string_equal(bouncer_text(one, "type"), "ban");
    assert_string_equal(bouncer_text(one, "value"), "198.51.100.7");
    /* The same in the other answer, which is a list. */
    const json_t *list = bouncer_list("ip=198.51.100.7");
    assert_int_equal(json_array_size(list), 1);
    assert_int_equal(json_object_size(json_array_get(list, 0)), 7);
}

/* ---- changes -------------------------------------------------------------------------------- */

static void each_change_is_told_once(void **state)
{
    bouncer_lock("198.51.100.7");
    assert_true(bouncer_told("new", "startup=true", "198.51.100.7"));
    assert_string_equal(asked("/v1/decisions/stream?startup=false"),
                        "{\"deleted\":null,\"new\":null}");
    bouncer_lock("198.51.100.8");
    assert_string_equal(bouncer_values("new", ""), "198.51.100.8"); /* no startup: false */
    assert_string_equal(asked("/v1/decisions/stream"), "{\"deleted\":null,\"new\":null}");

    bouncer_command(GV_COMMAND_ALLOW, "198.51.100.7");
    assert_string_equal(bouncer_values("new", "startup=false"), "");
    const json_t *gone = json_array_get(json_object_get(bouncer_json, "deleted"), 0);
    assert_string_equal(bouncer_text(gone, "value"), "198.51.100.7");
    assert_string_equal(bouncer_text(gone, "duration"), "-1s");
    assert_string_equal(asked("/v1/decisions/stream"), "{\"deleted\":null,\"new\":null}");
    assert_string_equal(bouncer_values("new", "startup=true"), "198.51.100.8");

    bouncer_run(120); /* longer ago */
    bouncer_command(GV_COMMAND_ALLOW, "198.51.100.8");
    bouncer_run(75);
    gone = json_array_get(bouncer_stream("deleted", ""), 0);
    assert_string_equal(bouncer_text(gone, "duration"), "-1m15s");
}

static void asking_for_the_head_moves_nothing(void **state)
{
    (void)bouncer_new("startup=true");
    bouncer_lock("198.51.100.7");
    assert_int_equal(bouncer_ask("HEAD", "/v1/decisions/stream", bouncer_key, NULL), 200);
    assert_int_equal(bouncer_ask("GET", "/v1/decisions", bouncer_key, NULL), 200);
    assert_string_equal(bouncer_values("new", ""), "198.51.100.7");
}

static void each_key_and_each_address_has_heard_its_own(void **state)
{
    char first[GV_BOUNCER_KEY_TEXT], second[GV_BOUNCER_KEY_TEXT];

    snprintf(first, sizeof first, "%s", bouncer_key);
    (void)bouncer_new("startup=true");
    bouncer_lock("198.51.100.7");
    bouncer_add_key("second", second);
    assert_string_equal(bouncer_values("new", ""), "198.51.100.7");
    bouncer_from = "127.0.0.2"; /* the same key on another machine */
    assert_string_equal(bouncer_values("new", ""), "198.51.100.7");
    bouncer_from = NULL;
    snprintf(bouncer_key, sizeof bouncer_key, "%s", second);
    assert_string_equal(bouncer_values("new", ""), "198.51.100.7");
    assert_string_equal(bouncer_values("new", ""), "");
    snprintf(bouncer_key, sizeof bouncer_key, "%s", first);
    assert_string_equal(bouncer_values("new", ""), "");
    bouncer_from = "127.0.0.2";
    assert_string_equal(bouncer_values("new", ""), "");
}

#define MANY 30000

static void who_hangs_up_half_way_hears_it_again(void **state)
{
    (void)bouncer_new("startup=true");
    bouncer_fill(MANY);
    assert_true(bouncer_hang_up("/v1/decisions/stream?startup=false", 100000) >= 100000);
    assert_int_equal(json_array_size(bouncer_new("startup=false")), MANY);
    assert_int_equal(bouncer_counter("cut_short"), 1);
    assert_int_equal(json_array_size(bouncer_new("startup=false")), 0);
    /* A first answer, too: what comes next has all of it again. */
    assert_true(bouncer_hang_up("/v1/decisions/stream?startup=true", 100000) >= 100000);
    assert_int_equal(json_array_size(bouncer_new("startup=false")), 0); /* it knew all before */
    assert_int_equal(bouncer_counter("cut_short"), 2);
}

/* ---- one ban for each address --------------------------------------------------------------- */

static void only_the_longest_and_gone_only_when_nothing_is_left(void **state)
{
    char address[GV_SUBJECT_TEXT];

    bouncer_configure(true, true); /* feed = consensus */
    (void)bouncer_new("startup=true");
    bouncer_mesh_says(3, address);
    bouncer_lock(address);
    const json_t *list = bouncer_new("");
    assert_int_equal(json_array_size(list), 1);
    const char *duration = bouncer_text(json_array_get(list, 0), "duration");
    assert_true(atoi(duration) >= 20 && strchr(duration, 'h')); /* not the hour of the lock */
    bouncer_run(3700);                                          /* the lock is over */
    assert_false(bouncer_told("deleted", "", address));
    assert_int_equal(json_array_size(bouncer_list("")), 1);
    bouncer_mesh_retracts(3);
    assert_true(bouncer_told("deleted", "", address));
    assert_string_equal(asked("/v1/decisions"), "null");
}

static void a_lock_alone_ends_with_its_hour(void **state)
{
    bouncer_lock("198.51.100.7");
    assert_true(bouncer_told("new", "startup=true", "198.51.100.7"));
    bouncer_run(3000);
    assert_string_equal(asked("/v1/decisions/stream"), "{\"deleted\":null,\"new\":null}");
    bouncer_run(700);
    assert_true(bouncer_told("deleted", "", "198.51.100.7"));
}

/* SPEC 12.2, failed here again: the lock is for an hour, what follows for six. */
static void guesses_at_several_accounts_outlast_the_lock(void **state)
{
    bouncer_guess("198.51.100.7");
    assert_true(bouncer_told("new", "startup=true", "198.51.100.7"));
    bouncer_run(3700);
    bouncer_settle();
    assert_false(bouncer_told("deleted", "", "198.51.100.7"));
    const json_t *one = json_array_get(bouncer_list(""), 0);
    assert_non_null(one);
    assert_in_range(atoi(bouncer_text(one, "duration")), 4, 5); /* hours are left */
    bouncer_run(5 * 3600);
    bouncer_settle();
    assert_true(bouncer_told("deleted", "", "198.51.100.7"));
    bouncer_guess("198.51.100.8");
    bouncer_run(3700);
    bouncer_stop();
    bouncer_start(0); /* who begins here begins with what it is refused for now */
    one = json_array_get(bouncer_new("startup=true"), 0);
    assert_string_equal(bouncer_text(one, "scenario"), "grapevine/failed-here-again");
}

static void what_lasts_longer_is_said_again_before_it_ends(void **state)
{
    bouncer_command(GV_COMMAND_DENY, "203.0.113.9");
    const json_t *one = json_array_get(bouncer_new("startup=true"), 0);
    assert_string_equal(bouncer_text(one, "duration"), "24h0m0s");
    assert_string_equal(bouncer_text(one, "scenario"), "grapevine/deny-list");
    for (int hour = 0; hour < 23; hour++)
        bouncer_run(3600);
    assert_string_equal(bouncer_values("new", ""), "");
    bouncer_run(3300); /* five minutes are left */
    bouncer_settle();
    one = json_array_get(bouncer_new(""), 0);
    assert_non_null(one);
    assert_string_equal(bouncer_text(one, "duration"), "24h0m0s");
    /* A firewall that passes over what it holds already hears it when that has just run out. */
    bouncer_run(200);
    bouncer_settle();
    assert_string_equal(bouncer_values("new", ""), "");
    bouncer_run(110);
    bouncer_settle();
    assert_string_equal(bouncer_values("new", ""), "203.0.113.9");
    assert_string_equal(bouncer_values("deleted", ""), "");
}

/* ---- who is told of at all ------------------------------------------------------------------ */

static void the_switch(void **state)
{
    bouncer_lock("198.51.100.7");
    assert_true(bouncer_told("new", "startup=true", "198.51.100.7"));
    bouncer_configure(false, false);
    assert_true(bouncer_told("deleted", "", "198.51.100.7"));
    assert_string_equal(asked("/v1/decisions"), "null");
    assert_int_equal(bouncer_counter("would_have_fed"), 1);
    assert_int_equal(bouncer_counter("fed"), 0);
    bouncer_lock("198.51.100.8");
    assert_string_equal(asked("/v1/decisions/stream"), "{\"deleted\":null,\"new\":null}");
    assert_int_equal(bouncer_counter("would_have_fed"), 2);
    bouncer_configure(true, false);
    assert_true(bouncer_told("new", "", "198.51.100.7"));
    assert_int_equal(bouncer_counter("fed"), 2);
    assert_int_equal(bouncer_counter("would_have_fed"), 0);
}

static void feed_decides_whether_the_mesh_alone_bans(void **state)
{
    char address[GV_SUBJECT_TEXT];

    bouncer_mesh_says(3, address);
    assert_string_equal(bouncer_values("new", "startup=true"), "");
    bouncer_configure(true, true);
    assert_string_equal(bouncer_values("new", ""), address);
    const json_t *one = json_array_get(bouncer_list(""), 0);
    assert_string_equal(bouncer_text(one, "scenario"), "grapevine/untrusted");
    bouncer_configure(true, false);
    assert_string_equal(bouncer_values("deleted", ""), address);
}

static void nobody_vetoed_or_allowed_is_told(void **state)
{
    char address[GV_SUBJECT_TEXT];

    bouncer_configure(true, true);
    bouncer_mesh_says(3, address);
    assert_string_equal(bouncer_values("new", "startup=true"), address);
    bouncer_logins(address); /* its users log in here: clean history */
    assert_string_equal(bouncer_values("deleted", ""), address);
    assert_string_equal(asked("/v1/decisions"), "null");

    bouncer_mesh_says(4, address);
    assert_string_equal(bouncer_values("new", ""), address);
    bouncer_command(GV_COMMAND_ALLOW, address);
    assert_string_equal(bouncer_values("deleted", ""), address);

    /* The longer prefix decides (SPEC 12.2): what is denied within an allowed range is denied. */
    bouncer_command(GV_COMMAND_ALLOW, "203.0.113.0/24");
    bouncer_command(GV_COMMAND_DENY, "203.0.113.9");
    bouncer_command(GV_COMMAND_DENY, "203.0.113.128/30");
    assert_string_equal(bouncer_values("new", ""), "203.0.113.9 203.0.113.128/30");
    bouncer_command(GV_COMMAND_ALLOW, "203.0.113.9");
    bouncer_command(GV_COMMAND_UNLIST, "203.0.113.128/30");
    assert_string_equal(bouncer_values("deleted", ""), "203.0.113.9 203.0.113.128/30");
    /* But a denied range round somebody who is allowed would shut him out. */
    bouncer_command(GV_COMMAND_ALLOW, "192.0.2.77");
    bouncer_command(GV_COMMAND_DENY, "192.0.2.0/25");
    assert_string_equal(bouncer_values("new", ""), "");
    bouncer_command(GV_COMMAND_UNLIST, "192.0.2.77");
    assert_string_equal(bouncer_values("new", ""), "192.0.2.0/25");
    bouncer_command(GV_COMMAND_ALLOW, "192.0.2.0/26");
    assert_string_equal(bouncer_values("deleted", ""), "192.0.2.0/25");
}

static void ranges_are_ranges(void **state)
{
    bouncer_command(GV_COMMAND_DENY, "203.0.113.128/25");
    bouncer_command(GV_COMMAND_DENY, "2001:db8:0:1::/64");
    bouncer_command(GV_COMMAND_DENY, "2001:db8:7::/48");
    bouncer_command(GV_COMMAND_DENY, "2001:db8:9::5"); /* stands for its /64, as everywhere */
    bouncer_command(GV_COMMAND_DENY, "203.0.113.200");
    assert_int_equal(json_array_size(bouncer_new("startup=true")), 5);
    assert_int_equal(json_array_size(bouncer_new("startup=true&scopes=ip")), 1);
    assert_int_equal(json_array_size(bouncer_new("startup=true&scopes=Range")), 4);
    assert_int_equal(json_array_size(bouncer_new("startup=true&scopes=ip,range,country")), 5);
    assert_int_equal(json_array_size(bouncer_new("startup=true&scopes=country")), 0);

    assert_string_equal(bouncer_list_values("ip=203.0.113.201"), "203.0.113.128/25");
    assert_string_equal(bouncer_text(json_array_get(bouncer_json, 0), "scope"), "Range");
    assert_string_equal(bouncer_list_values("ip=203.0.113.200"), "203.0.113.200 203.0.113.128/25");
    assert_string_equal(bouncer_list_values("ip=203.0.113.200&limit=1"), "203.0.113.200");
    assert_string_equal(bouncer_list_values("ip=203.0.113.200&offset=1"), "203.0.113.128/25");
    assert_string_equal(bouncer_list_values("ip=203.0.113.127"), "");
    assert_string_equal(asked("/v1/decisions?ip=203.0.113.127"), "null");
    assert_string_equal(bouncer_list_values("ip=2001:db8:0:1:a:b:c:d"), "2001:db8:0:1::/64");
    assert_string_equal(bouncer_list_values("ip=2001:db8:7:ffff::1"), "2001:db8:7::/48");
    assert_string_equal(bouncer_list_values("ip=2001:db8:9::1"), "2001:db8:9::/64");
    assert_string_equal(bouncer_list_values("range=203.0.113.192/26"), "203.0.113.128/25");
    assert_string_equal(bouncer_list_values("range=203.0.113.0/24"), "");
    assert_string_equal(bouncer_list_values("range=203.0.113.192/26&contains=false"),
                        "203.0.113.200");
}

/* In nftables mode Debian's bouncer knows a range by its first address. */
static void a_range_that_goes_leaves_its_first_address_banned(void **state)
{
    bouncer_command(GV_COMMAND_DENY, "203.0.113.128");
    bouncer_command(GV_COMMAND_DENY, "203.0.113.128/25");
    (void)bouncer_new("startup=true");
    bouncer_command(GV_COMMAND_UNLIST, "203.0.113.128/25");
    assert_string_equal(bouncer_values("deleted", ""), "203.0.113.128/25");
    assert_string_equal(bouncer_last_values("new"), "203.0.113.128");
}

#define FIREWALL "crowdsec-firewall-bouncer/-"

static void debians_firewall_bouncer_gets_single_addresses(void **state)
{
    bouncer_agent = FIREWALL;
    bouncer_command(GV_COMMAND_DENY, "203.0.113.128/30");
    bouncer_command(GV_COMMAND_DENY, "192.0.0.0/16");
    bouncer_command(GV_COMMAND_DENY, "2001:db8:7::/48");
    assert_string_equal(bouncer_values("new", "startup=true"),
                        "203.0.113.128 203.0.113.129 203.0.113.130 203.0.113.131 192.0.0.0/16 "
                        "2001:db8:7::/48");
    assert_string_equal(
        bouncer_text(json_array_get(json_object_get(bouncer_json, "new"), 1), "scope"), "Ip");
    /* Who asks for ranges, and everybody else, gets ranges. */
    assert_int_equal(json_array_size(bouncer_new("startup=true&scopes=ip,range")), 3);
    assert_string_equal(bouncer_list_values("ip=203.0.113.129"), "203.0.113.128/30");

    /* An address of it on its own: nothing new, and lifted with the last that holds it. */
    bouncer_command(GV_COMMAND_DENY, "203.0.113.129");
    bouncer_command(GV_COMMAND_DENY, "203.0.113.128/31");
    (void)bouncer_new("");
    bouncer_command(GV_COMMAND_UNLIST, "203.0.113.128/30");
    assert_string_equal(bouncer_values("deleted", ""), "203.0.113.130 203.0.113.131");
    bouncer_command(GV_COMMAND_UNLIST, "203.0.113.128/31");
    assert_string_equal(bouncer_values("deleted", ""), "203.0.113.128");
    assert_string_equal(bouncer_last_values("new"), "203.0.113.129");
    bouncer_command(GV_COMMAND_DENY, "203.0.113.128/30");
    (void)bouncer_new("");
    bouncer_command(GV_COMMAND_UNLIST, "203.0.113.129");
    assert_string_equal(bouncer_values("deleted", ""), "");
    assert_int_equal(json_array_size(bouncer_new("startup=true")), 6);
    bouncer_command(GV_COMMAND_DENY, "203.0.113.0/24");
    assert_int_equal(json_array_size(bouncer_new("startup=true")), 256 + 2); /* each once */
}

/* What that bouncer does in nftables mode: it deletes first, then adds what it does not hold, for
 * as long as was said, and does not take a new time for what it holds. */
#define HELD 16

static uint32_t seconds_of(const char *duration)
{
    uint32_t seconds = 0;

    for (char *end; *duration; duration = end + 1) {
        uint32_t n = (uint32_t)strtoul(duration, &end, 10);
        seconds += n * (*end == 'h' ? 3600 : *end == 'm' ? 60 : 1);
    }
    return seconds;
}

static void firewall_pulls(uint32_t until[HELD], char names[HELD][GV_SUBJECT_TEXT], uint32_t now)
{
    const json_t *gone = bouncer_stream("deleted", "");
    const json_t *come = json_object_get(bouncer_json, "new");

    for (unsigned i = 0; i < HELD; i++) {
        if (bouncer_has(gone, names[i]))
            until[i] = 0;
        for (size_t j = 0; j < json_array_size(come) && until[i] <= now; j++)
            if (strcmp(bouncer_text(json_array_get(come, j), "value"), names[i]) == 0)
                until[i] = now + seconds_of(bouncer_text(json_array_get(come, j), "duration"));
    }
}

/* Denied, locked and undone in whatever order, over ten days: its sets hold what is refused. */
static void its_sets_hold_what_is_refused(void **state)
{
    static const char *const prefixes[] = {
        "203.0.113.128/28", "203.0.113.128/30", "203.0.113.132/30",
        "203.0.113.128/31", "203.0.113.136/29", "203.0.113.128",
        "203.0.113.129",    "203.0.113.133",    "203.0.113.143"};
    enum { PREFIXES = sizeof prefixes / sizeof *prefixes };
    const uint8_t seed[GV_SEED_LEN] = {21};
    bool denied[PREFIXES] = {false};
    char names[HELD][GV_SUBJECT_TEXT];
    uint32_t until[HELD] = {0}, now = 1;
    struct gv_drbg drbg;

    gv_drbg_init(&drbg, seed);
    bouncer_agent = FIREWALL;
    for (unsigned i = 0; i < HELD; i++)
        snprintf(names[i], sizeof names[i], "203.0.113.%u", 128 + i);
    (void)bouncer_new("startup=true");
    for (int step = 0; step < 400; step++) {
        size_t which = (size_t)gv_drbg_below(&drbg, PREFIXES);
        switch (gv_drbg_below(&drbg, 4)) {
        case 0:
        case 1:
            denied[which] = !denied[which];
            bouncer_command(denied[which] ? GV_COMMAND_DENY : GV_COMMAND_UNLIST, prefixes[which]);
            break;
        case 2:
            bouncer_lock(names[gv_drbg_below(&drbg, HELD)]);
            break;
        default:
            break;
        }
        uint32_t pause = (uint32_t)gv_drbg_below(&drbg, step % 4 ? 200 : 8000);
        bouncer_run(pause);
        bouncer_settle();
        now += pause;
        firewall_pulls(until, names, now);
        for (unsigned i = 0; i < HELD; i++) {
            bool refused = bouncer_refused(names[i]);
            uint32_t late =
                until[i] ? GV_BANS_AGAIN_S : 0; /* between renewals; never when lifted */
            if (refused ? until[i] + late < now : until[i] > now)
                fail_msg("step %d: %s is %s", step, names[i], refused ? "not held" : "held");
        }
    }
}

/* ---- what can be asked for ------------------------------------------------------------------ */

static void filters(void **state)
{
    bouncer_lock("198.51.100.7");
    bouncer_lock("198.51.100.8");
    bouncer_command(GV_COMMAND_DENY, "203.0.113.9");
    static const struct {
        const char *query;
        size_t count;
    } cases[] = {
        {"", 3},
        {"origins=grapevine", 3},
        {"origins=CAPI,Grapevine", 3},
        {"origins=CAPI", 0},
        {"origins=", 3},
        {"scenarios_containing=locked", 2},
        {"scenarios_containing=LOCKED,deny", 3},
        {"scenarios_containing=ssh", 0},
        {"scenarios_not_containing=locked", 1},
        {"scenarios_not_containing=ssh,deny", 2},
        {"scenarios_containing=grapevine&scenarios_not_containing=locked", 1},
        {"scopes=ip", 3},
        {"scopes=range", 0},
        {"dedup=false&additional_pull=true&community_pull=false&nonsense=%ff", 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char query[256];
        assert_int_equal(json_array_size(bouncer_list(cases[i].query)), cases[i].count);
        snprintf(query, sizeof query, "startup=true&%s", cases[i].query);
        assert_int_equal(json_array_size(bouncer_new(query)), cases[i].count);
    }
    assert_string_equal(bouncer_list_values("value=198.51.100.8"), "198.51.100.8");
    assert_string_equal(bouncer_list_values("scope=ip&value=198.51.100.8"), "198.51.100.8");
    assert_string_equal(bouncer_list_values("scope=range&value=198.51.100.8"), "");
    assert_string_equal(bouncer_list_values("value=alice"), "");
    assert_int_equal(json_array_size(bouncer_list("type=ban")), 3);
    assert_string_equal(asked("/v1/decisions?type=captcha"), "null");
    assert_int_equal(json_array_size(bouncer_list("limit=2")), 2);
    assert_int_equal(json_array_size(bouncer_list("limit=2&offset=2")), 1);
    assert_string_equal(asked("/v1/decisions?offset=3"), "null");
    /* What is deleted goes through the same. */
    bouncer_command(GV_COMMAND_UNLIST, "203.0.113.9");
    assert_string_equal(bouncer_values("deleted", "scenarios_containing=locked"), "");
    static const char *const nonsense[] = {"ip=1.2.3",         "ip=a&value=b",
                                           "limit=x",          "offset=-1",
                                           "range=1.2.3.4/33", "limit=99999999999999999999"};
    for (size_t i = 0; i < 6; i++) {
        char path[128];
        snprintf(path, sizeof path, "/v1/decisions?%s", nonsense[i]);
        assert_int_equal(bouncer_ask("GET", path, bouncer_key, NULL), 400);
        assert_non_null(strstr(bouncer_body, "{\"message\":\""));
    }
}

/* ---- when nobody remembers ------------------------------------------------------------------ */

static void after_a_restart_what_was_lifted_is_still_told(void **state)
{
    bouncer_lock("198.51.100.7");
    bouncer_lock("198.51.100.8");
    assert_int_equal(json_array_size(bouncer_new("startup=true")), 2);
    bouncer_stop(); /* and meanwhile */
    bouncer_command(GV_COMMAND_ALLOW, "198.51.100.7");
    bouncer_start(0);
    assert_string_equal(bouncer_values("deleted", "startup=false"), "198.51.100.7");
    assert_string_equal(bouncer_last_values("new"), "198.51.100.8");
    assert_string_equal(asked("/v1/decisions/stream"), "{\"deleted\":null,\"new\":null}");
    assert_int_equal(bouncer_counter("full"), 1);
}

/* Who starts may hold what somebody before it was told, but nothing whose time is over. */
static void who_starts_is_told_what_was_lifted_before_its_time(void **state)
{
    bouncer_lock("198.51.100.7");
    bouncer_lock("198.51.100.8");
    bouncer_command(GV_COMMAND_ALLOW, "198.51.100.7");
    assert_string_equal(bouncer_values("deleted", "startup=true"), "198.51.100.7");
    assert_string_equal(bouncer_last_values("new"), "198.51.100.8");
    bouncer_run(3700); /* a lock is for an hour */
    bouncer_settle();
    assert_string_equal(asked("/v1/decisions/stream?startup=true"),
                        "{\"deleted\":null,\"new\":null}");
}

static void what_was_forgotten_is_still_told(void **state)
{
    char address[32];

    bouncer_stop();
    bouncer_start(4); /* lifted bans that are remembered */
    for (int i = 1; i <= 20; i++) {
        snprintf(address, sizeof address, "198.51.100.%d", i);
        bouncer_lock(address);
    }
    assert_int_equal(json_array_size(bouncer_new("startup=true")), 20);
    for (int i = 1; i <= 12; i++) {
        snprintf(address, sizeof address, "198.51.100.%d", i);
        bouncer_command(GV_COMMAND_ALLOW, address);
    }
    const json_t *gone = bouncer_stream("deleted", "startup=false");
    assert_int_equal(json_array_size(gone), 12);
    for (int i = 1; i <= 12; i++) {
        snprintf(address, sizeof address, "198.51.100.%d", i);
        assert_true(bouncer_has(gone, address));
    }
    assert_int_equal(json_array_size(json_object_get(bouncer_json, "new")), 8); /* everything */
    assert_string_equal(asked("/v1/decisions/stream"), "{\"deleted\":null,\"new\":null}");
}

/* ---- keys ----------------------------------------------------------------------------------- */

static void keys_come_and_go_while_it_runs(void **state)
{
    char key[GV_BOUNCER_KEY_TEXT], again[GV_BOUNCER_KEY_TEXT];

    bouncer_add_key("nginx", key);
    assert_int_equal(bouncer_ask("GET", "/v1/decisions", key, NULL), 200);
    bouncer_delete_key("nginx");
    assert_int_equal(bouncer_ask("GET", "/v1/decisions", key, NULL), 403);
    bouncer_add_key("nginx", again);
    assert_string_not_equal(key, again);
    assert_int_equal(bouncer_ask("GET", "/v1/decisions", key, NULL), 403);
    bouncer_stop();
    bouncer_start(0);
    assert_int_equal(bouncer_ask("GET", "/v1/decisions", again, NULL), 200);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, bouncer_set_up, bouncer_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(what_is_answered_is_what_the_real_one_answers),
        WITH(who_has_no_key_learns_nothing),
        WITH(what_is_not_there_and_what_is_not_done),
        WITH(an_entry_has_seven_members),
        WITH(each_change_is_told_once),
        WITH(asking_for_the_head_moves_nothing),
        WITH(each_key_and_each_address_has_heard_its_own),
        WITH(who_hangs_up_half_way_hears_it_again),
        WITH(only_the_longest_and_gone_only_when_nothing_is_left),
        WITH(a_lock_alone_ends_with_its_hour),
        WITH(guesses_at_several_accounts_outlast_the_lock),
        WITH(what_lasts_longer_is_said_again_before_it_ends),
        WITH(the_switch),
        WITH(feed_decides_whether_the_mesh_alone_bans),
        WITH(nobody_vetoed_or_allowed_is_told),
        WITH(ranges_are_ranges),
        WITH(a_range_that_goes_leaves_its_first_address_banned),
        WITH(debians_firewall_bouncer_gets_single_addresses),
        WITH(its_sets_hold_what_is_refused),
        WITH(filters),
        WITH(after_a_restart_what_was_lifted_is_still_told),
        WITH(who_starts_is_told_what_was_lifted_before_its_time),
        WITH(what_was_forgotten_is_still_told),
        WITH(keys_come_and_go_while_it_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
