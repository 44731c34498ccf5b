/* Who stays when there are more peers than places, and whom a node comes back to (SPEC 9.4). One
 * core, and puppets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "crypto/error.h"
#include "helper_puppet.h"
#include "proto/limits.h"

#define PUPPETS 40
#define FIRST   100 /* the number of the first puppet */

static struct network network;
static struct host host;
static struct puppet puppets[PUPPETS];

static void open_with(const char *const *seeds, size_t count)
{
    struct gv_settings settings = {
        .share = GV_SHARE_YES, .seeds = seeds, .seed_count = count, .max_links = 200};

    host_close(&host);
    assert_int_equal(host_open(&host, &network, 1, &settings), GV_OK);
}

static int stage_up(void **state)
{
    network_open(&network, 1, true);
    for (unsigned i = 0; i < PUPPETS; i++)
        puppet_make(&puppets[i], &network, FIRST + i);
    return host_open(&host, &network, 1, NULL) != GV_OK;
}

static int stage_down(void **state)
{
    for (unsigned i = 0; i < PUPPETS; i++)
        puppet_free(&puppets[i]);
    host_close(&host);
    network_close(&network);
    return 0;
}

/* They come one after the other; with an address record of theirs, if they can be dialled. */
static void come(unsigned from, unsigned count, bool can_be_dialled)
{
    for (unsigned i = from; i < from + count; i++) {
        struct gv_address address = make_address(FIRST + i);
        assert_true(puppet_join(&puppets[i], &host));
        if (can_be_dialled) {
            puppet_hand(&puppets[i], certificate_record(&puppets[i]));
            puppet_hand(&puppets[i], address_record(&puppets[i], &address, host_minute(&host)));
        }
        host_run(&host, 1000);
    }
}

static unsigned sent_on(unsigned from, unsigned count)
{
    unsigned gone = 0;

    for (unsigned i = from; i < from + count; i++) {
        puppet_work(&puppets[i]);
        if (puppets[i].closed)
            assert_int_equal(puppets[i].goodbye, GV_GOODBYE_BUSY);
        gone += puppets[i].closed;
    }
    return gone;
}

static void of_those_who_can_be_dialled_the_oldest_go(void **state)
{
    come(0, GV_PEERS_MAX + 2, true);
    host_run(&host, 2 * GV_MINUTE_MS);
    assert_int_equal(sent_on(0, 2), 2);
    assert_int_equal(sent_on(2, GV_PEERS_MAX), 0);
}

static void whoever_can_only_dial_has_places_of_his_own(void **state)
{
    come(0, GV_GUESTS_MAX, false);
    come(GV_GUESTS_MAX, GV_PEERS_MAX, true);
    host_run(&host, 2 * GV_MINUTE_MS);
    assert_int_equal(host_status(&host).peers, GV_GUESTS_MAX + GV_PEERS_MAX);
    /* Others of either kind take the places of their own. */
    come(GV_GUESTS_MAX + GV_PEERS_MAX, 2, true);
    host_run(&host, 2 * GV_MINUTE_MS);
    assert_int_equal(sent_on(0, GV_GUESTS_MAX), 0);
    assert_int_equal(sent_on(GV_GUESTS_MAX, 2), 2);
    come(GV_GUESTS_MAX + GV_PEERS_MAX + 2, 3, false);
    host_run(&host, 2 * GV_MINUTE_MS);
    assert_int_equal(sent_on(0, 3), 3);
    assert_int_equal(sent_on(3, GV_GUESTS_MAX - 3), 0);
    assert_int_equal(sent_on(GV_GUESTS_MAX + 2, GV_PEERS_MAX), 0);
}

/* ---- coming back ----------------------------------------------------------------------------- */

static void make_seeds(const char *seeds[], unsigned count)
{
    static char texts[PUPPETS][GV_ADDRESS_TEXT];

    for (unsigned i = 0; i < count; i++) {
        struct gv_address address = make_address(FIRST + i);
        gv_address_text(texts[i], &address);
        seeds[i] = texts[i];
    }
}

static size_t waiting_for(unsigned number)
{
    struct gv_address address = make_address(FIRST + number);
    size_t i = 0;

    while (i < host.dial_count && !gv_address_equal(&host.dials[i].address, &address))
        i++;
    return i;
}

static bool is_dialled(unsigned number)
{
    return waiting_for(number) < host.dial_count;
}

/* Whoever the host dials first answers. */
static void answer(unsigned number)
{
    size_t at = waiting_for(number);

    assert_true(at < host.dial_count);
    uint32_t link = host.dials[at].link;
    host.dials[at].link = host.dials[0].link;
    host.dials[at].address = host.dials[0].address;
    host.dials[0].link = link;
    host.dials[0].address = make_address(FIRST + number);
    assert_true(puppet_answer(&puppets[number], &host));
    puppet_hello(&puppets[number]);
}

static void say_goodbye(unsigned number, enum gv_goodbye reason)
{
    struct gv_buf message;

    gv_buf_init(&message);
    gv_message_goodbye(&message, reason);
    puppet_say_buf(&puppets[number], &message);
    puppet_leave(&puppets[number]);
}

/* After how many ms the host dials him; more than `most`: not within that. */
static uint64_t dialled_after(unsigned number, uint64_t most)
{
    uint64_t waited = 0;

    while (!is_dialled(number) && waited <= most) {
        host_run(&host, 250);
        waited += 250;
    }
    return waited;
}

static void whoever_has_no_peer_left_comes_back_to_a_busy_one(void **state)
{
    const char *seeds[2];

    make_seeds(seeds, 2);
    open_with(seeds, 2);
    host_run(&host, 100);
    answer(0);
    answer(1);
    host_run(&host, 2 * GV_MINUTE_MS);
    say_goodbye(0, GV_GOODBYE_BUSY);
    /* There is another one: what is busy is left in peace. */
    assert_true(dialled_after(0, 2 * GV_MINUTE_MS) > 2 * GV_MINUTE_MS);
    puppet_leave(&puppets[1]);
    assert_in_range(dialled_after(0, GV_MINUTE_MS), 1, GV_DIAL_FIRST_MS + 500);
}

static void pong(unsigned number)
{
    struct gv_buf message;

    gv_buf_init(&message);
    gv_message_ping(&message, GV_MESSAGE_PONG, 0);
    puppet_say_buf(&puppets[number], &message);
}

/* A cut that nobody is told of: what went silent is looked for like what broke off. */
static void a_peer_that_went_silent_is_looked_for(void **state)
{
    const char *seeds[GV_PEERS_WANTED];
    uint64_t silent_ms = 0;

    make_seeds(seeds, GV_PEERS_WANTED);
    open_with(seeds, GV_PEERS_WANTED);
    host_run(&host, 100);
    for (unsigned i = 0; i < GV_PEERS_WANTED; i++)
        answer(i);
    come(GV_PEERS_WANTED, GV_PEERS_WANTED, false); /* so that it has enough without him */
    while (!puppets[0].closed && silent_ms <= GV_SILENCE_MS) {
        host_run(&host, GV_MINUTE_MS);
        silent_ms += GV_MINUTE_MS;
        for (unsigned i = 1; i < 2 * GV_PEERS_WANTED; i++)
            pong(i);
    }
    assert_true(puppets[0].closed);
    puppet_leave(&puppets[0]);
    assert_in_range(dialled_after(0, 3 * GV_SEEK_MS), 1, 2 * GV_SEEK_MS);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, stage_up, stage_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(of_those_who_can_be_dialled_the_oldest_go),
        STORY(whoever_can_only_dial_has_places_of_his_own),
        STORY(whoever_has_no_peer_left_comes_back_to_a_busy_one),
        STORY(a_peer_that_went_silent_is_looked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
