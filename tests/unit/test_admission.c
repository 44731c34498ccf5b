/* A member whom nobody knows and who cannot be dialled, before a door that strangers besiege (SPEC
 * 5.6): he is told to come again, proves that he is one, and is let in. One core, and puppets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "crypto/error.h"
#include "helper_stage.h"
#include "proto/limits.h"

#define COOKIE      (2 + GV_KEY_LEN) /* where in the frame */
#define CERTIFICATE (COOKIE + GV_COOKIE_LEN)
#define PROOF       (CERTIFICATE + GV_CERTIFICATE_LEN)
#define FRAME       (PROOF + GV_PROOF_LEN)

/* So many strangers, each from elsewhere, begin a handshake and stay. */
static void besiege(void)
{
    for (unsigned i = 0; i < 200; i++) {
        struct gv_address address = make_address(1000 + i);
        host_call(&host, &address);
    }
}

/* He knocks as anybody does, and is told to come again. */
static struct gv_address challenged(struct puppet *who, unsigned number)
{
    struct gv_address home = make_address(number);

    who->error = GV_OK;
    assert_false(puppet_connect_from(who, &host, &home));
    assert_int_equal(who->error, GV_ERR_BUSY);
    assert_true(who->closed);
    return home;
}

/* ---- who is let in -------------------------------------------------------------------------- */

/* His certificate has never come here. */
static void a_new_member_is_let_in(void **state)
{
    besiege();
    struct gv_address home = challenged(&puppet, 700);
    assert_true(puppet_come_again(&puppet, &host, &home, 0));
    puppet_hello(&puppet);
    puppet_hand(&puppet, puppet_signal_on(&puppet, 1, STAGE_MINUTE));
    assert_int_equal(host_status(&host).statements, 1);
    assert_int_equal(host_status(&host).peers, 1);
}

/* Many, each once: the first whom strangers' handshakes would have kept out as well. */
static void many_are_let_in(void **state)
{
    besiege();
    for (unsigned i = 0; i < 5; i++) {
        static struct puppet one;
        puppet_make(&one, &network, 50 + i);
        struct gv_address home = challenged(&one, 700 + i);
        assert_true(puppet_come_again(&one, &host, &home, 0));
        puppet_free(&one);
    }
}

/* A member of the roster, at another address than his own, however many papers are shown meanwhile.
 */
static void a_member_of_the_roster_is_let_in(void **state)
{
    assert_true(puppet_join(&other, &host));
    puppet_hand(&other, certificate_record(&puppet));
    besiege();
    for (unsigned i = 0; i < 200; i++) { /* not signed by the registry */
        static struct puppet liar;
        puppet_make(&liar, &network, 300 + i);
        liar.certificate[GV_CERTIFICATE_LEN - 1] ^= 1;
        struct gv_address there = challenged(&liar, 1300 + i);
        assert_false(puppet_come_again(&liar, &host, &there, 0));
        puppet_free(&liar);
    }
    static struct puppet late;
    puppet_make(&late, &network, 600);
    struct gv_address there = challenged(&late, 701);
    assert_false(puppet_come_again(&late, &host, &there, 0)); /* papers have a budget, */
    struct gv_address home = challenged(&puppet, 700);
    assert_true(puppet_come_again(&puppet, &host, &home, 0)); /* and he needs none of it */
    host_run(&host, 1000);
    there = challenged(&late, 701);
    assert_true(
        puppet_come_again(&late, &host, &there, 0)); /* a second later it has filled again */
    puppet_free(&late);
}

/* One network that shows papers without end leaves the others theirs. */
static void one_network_does_not_use_up_the_budget(void **state)
{
    unsigned in = 0;

    besiege();
    for (unsigned i = 0; i < 100; i++) {
        static struct puppet one;
        puppet_make(&one, &network, 300 + i);
        struct gv_address there = make_address(1300);
        there.bytes[2] = (uint8_t)i;
        assert_false(puppet_connect_from(&one, &host, &there));
        if (i < 90)
            one.certificate[GV_CERTIFICATE_LEN - 1] ^= 1; /* not signed by the registry */
        in += puppet_come_again(&one, &host, &there, 0);
        puppet_free(&one);
    }
    assert_int_equal(in, 0);
    struct gv_address home = challenged(&puppet, 700);
    assert_true(puppet_come_again(&puppet, &host, &home, 0));
}

/* One real core dials another one. */
static void a_core_comes_again_by_itself(void **state)
{
    static struct host caller;
    static const char *seed = "11.2.7.7:4727";
    struct gv_settings settings = {.share = GV_SHARE_YES, .seeds = &seed, .seed_count = 1};
    struct host *const both[] = {&host, &caller};

    assert_int_equal(host_open(&caller, &network, 9, &settings), GV_OK);
    besiege();
    host_run(&caller, 1);
    assert_true(hosts_connect(&caller, &host));
    hosts_pump(both, 2);
    assert_int_equal(host_status(&caller).peers, 0);
    assert_true(hosts_connect(&caller, &host)); /* he wants to, at once */
    hosts_pump(both, 2);
    assert_int_equal(host_status(&caller).peers, 1);
    assert_int_equal(host_status(&host).peers, 1);
    assert_false(hosts_connect(&caller, &host));
    host_close(&caller);
}

/* ---- who is not ------------------------------------------------------------------------------ */

/* Every byte of it counts, the ephemeral key included. */
static void a_proof_is_whole_or_nothing(void **state)
{
    assert_true(puppet_join(&other, &host));
    puppet_hand(&other, certificate_record(&puppet));
    besiege();
    for (size_t at = 2; at < FRAME; at += 3) {
        struct gv_address home = challenged(&puppet, 700 + (unsigned)at);
        assert_false(puppet_come_again(&puppet, &host, &home, at));
        assert_int_equal(puppet.error, GV_ERR_BUSY); /* as one who brings nothing */
    }
    struct gv_address home = challenged(&puppet, 699);
    assert_true(puppet_come_again(&puppet, &host, &home, 0));
}

static void a_cookie_is_good_for_one_address_and_some_minutes(void **state)
{
    struct gv_address elsewhere = make_address(702);

    besiege();
    struct gv_address home = challenged(&puppet, 700);
    uint8_t first[GV_CHALLENGE_LEN];
    memcpy(first, puppet.challenge, sizeof first);
    assert_false(puppet_come_again(&puppet, &host, &elsewhere, 0));
    host_run(&host, GV_COOKIE_MS - 1000);
    besiege();
    memcpy(puppet.challenge, first, sizeof first);
    assert_true(puppet_come_again(&puppet, &host, &home, 0));
    puppet_leave(&puppet);

    /* His address is known now; another one's is not, and his cookie is too old. */
    home = challenged(&other, 703);
    memcpy(first, other.challenge, sizeof first);
    host_run(&host, 2 * GV_COOKIE_MS);
    besiege();
    memcpy(other.challenge, first, sizeof first);
    assert_false(puppet_come_again(&other, &host, &home, 0));
    assert_true(puppet_come_again(&other, &host, &home, 0)); /* with the new one */
}

/* Whoever lends his key to a crowd gets what one address gets. */
static void a_member_begins_so_many_a_minute(void **state)
{
    unsigned in = 0;

    assert_true(puppet_join(&other, &host));
    puppet_hand(&other, certificate_record(&puppet));
    for (unsigned i = 0; i < 100; i++) {
        besiege();
        struct gv_address home = challenged(&puppet, 700 + i);
        in += puppet_come_again(&puppet, &host, &home, 0);
        puppet_leave(&puppet);
    }
    assert_int_equal(in, GV_HANDSHAKES_PER_MINUTE);
}

/* Nor does a proof help one whom the node has sent away, or whom the registry has revoked. */
static void a_proof_does_not_help_the_guilty(void **state)
{
    assert_true(puppet_join(&puppet, &host));
    puppet_say(&puppet, "\x01", 1);
    assert_int_equal(puppet.goodbye, GV_GOODBYE_INVALID);
    assert_true(puppet_join(&other, &host));
    puppet_leave(&other);
    struct gv_buf revoked = revocation_record(&network, other.identity.id, STAGE_MINUTE);
    assert_int_equal(host_news(&host, revoked.data, revoked.len), GV_OK);
    gv_buf_free(&revoked);
    besiege();
    struct gv_address home = challenged(&puppet, 700);
    assert_false(puppet_come_again(&puppet, &host, &home, 0));
    home = challenged(&other, 701);
    assert_false(puppet_come_again(&other, &host, &home, 0));
    other.facts.issued_min++; /* nor with a later certificate, which has never come here */
    puppet_certify(&other);
    home = challenged(&other, 702);
    assert_false(puppet_come_again(&other, &host, &home, 0));
    assert_int_equal(other.error,
                     GV_ERR_BUSY); /* at the door, before a handshake is spent on him */
}

/* One that challenges for ever is not called for ever. */
static void a_second_challenge_is_a_refusal(void **state)
{
    static const char *seed = "11.2.7.7:4727";
    struct gv_settings settings = {.share = GV_SHARE_YES, .seeds = &seed, .seed_count = 1};
    uint8_t frame[2 + GV_CHALLENGE_LEN] = {0, GV_CHALLENGE_LEN, 9};

    memset(frame + 2 + GV_COOKIE_LEN, 9, GV_KEY_LEN);
    host_close(&host);
    assert_int_equal(host_open(&host, &network, 1, &settings), GV_OK);
    host_run(&host, 1);
    for (unsigned i = 0; i < 2; i++) {
        struct gv_event up = {.kind = GV_EVENT_CONNECTED};
        assert_int_equal(host.dial_count, 1);
        up.connected.link = host.dials[0].link;
        up.connected.remote = host.dials[0].address;
        host.dial_count = 0;
        host_step(&host, &up);
        host_bytes(&host, up.connected.link, frame, sizeof frame);
    }
    assert_int_equal(host.dial_count, 0);
    assert_int_equal(host.notes[GV_NOTE_HANDSHAKE_FAILED], 1);
    assert_int_equal(host.last[GV_NOTE_HANDSHAKE_FAILED].error, GV_ERR_BUSY);
    host_run(&host, 1000);
    assert_int_equal(host.dial_count, 0); /* 2 s and more, as after any failure */
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, stage_up, stage_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_new_member_is_let_in),
        STORY(many_are_let_in),
        STORY(a_member_of_the_roster_is_let_in),
        STORY(one_network_does_not_use_up_the_budget),
        STORY(a_core_comes_again_by_itself),
        STORY(a_proof_is_whole_or_nothing),
        STORY(a_cookie_is_good_for_one_address_and_some_minutes),
        STORY(a_member_begins_so_many_a_minute),
        STORY(a_proof_does_not_help_the_guilty),
        STORY(a_second_challenge_is_a_refusal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
