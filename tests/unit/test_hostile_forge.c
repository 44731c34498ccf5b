/* Forged, replayed and truncated messages in masses through gv_core_step: members that forge and
 * strangers that talk nonsense, hour after hour, beside an honest one. Whoever must be cut off is,
 * nobody else is, nothing forged is held, and nothing grows.
 * GV_FORGE_MESSAGES: how many (20,000; tests/run.sh asks for 500,000 or 10,000,000). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/error.h"
#include "helper_forge.h"
#include "proto/limits.h"

#define ATTACKERS  240 /* fewer than the bans that are kept */
#define EACH       50  /* messages of a session; the last is the guilty one */
#define WITNESS    2
#define VICTIM     3
#define KNOWN_LIFE 100 /* rounds; 16 hours */

static struct network network;
static struct host host;
static struct puppet attackers[ATTACKERS], witness, victim;
static struct forger forger;
static struct {
    uint64_t messages, dropped, guilty, frames, strangers, genuine;
} sent;

static int stage_up(void **state)
{
    uint8_t seed[GV_SEED_LEN] = {"forge"};

    network_open(&network, 1, false);
    puppet_make(&witness, &network, WITNESS);
    puppet_make(&victim, &network, VICTIM);
    for (unsigned i = 0; i < ATTACKERS; i++)
        puppet_make(&attackers[i], &network, 10 + i);
    forger = (struct forger){.network = &network, .victim = &victim};
    gv_drbg_init(&forger.drbg, seed);
    return host_open(&host, &network, 1, NULL) == GV_OK ? 0 : -1;
}

static int stage_down(void **state)
{
    puppet_free(&witness);
    puppet_free(&victim);
    for (unsigned i = 0; i < ATTACKERS; i++)
        puppet_free(&attackers[i]);
    gv_buf_free(&forger.known);
    host_close(&host);
    network_close(&network);
    return 0;
}

/* ---- the honest one ------------------------------------------------------------------------- */

static void puppets_know_the_time(struct puppet *puppet)
{
    uint64_t unix_ms = host_unix_ms(&host);

    if (puppet->sequence < unix_ms)
        puppet->sequence = unix_ms;
}

/* What he says arrives and is acknowledged, whatever the others do. */
static void witness_speaks(unsigned round)
{
    if (!witness.open || witness.closed) {
        puppet_leave(&witness);
        assert_true(puppet_join(&witness, &host));
    }
    puppet_forget(&witness);
    puppets_know_the_time(&witness);
    puppet_hand(&witness, puppet_signal_on(&witness, 0x100000 + round, host_minute(&host)));
    assert_int_equal(witness.count[GV_MESSAGE_ACK], 1);
    sent.genuine++;
    if (round % KNOWN_LIFE != 0)
        return;
    puppets_know_the_time(&victim);
    puppet_hand(&witness, certificate_record(&victim));
    gv_buf_free(&forger.known);
    forger.known = puppet_signal_on(&victim, 0x200000 + round, host_minute(&host));
    puppet_give(&witness, &forger.known);
    sent.genuine++;
}

/* ---- the others ----------------------------------------------------------------------------- */

static void assert_stays(const struct puppet *attacker, const char *what)
{
    if (attacker->closed)
        fail_msg("%s cost its sender the session", what);
    sent.dropped++;
}

static void assert_cut_off(const struct puppet *attacker, const char *what)
{
    if (!attacker->closed || attacker->goodbye != GV_GOODBYE_INVALID)
        fail_msg("%s: closed %d, goodbye %d", what, attacker->closed, (int)attacker->goodbye);
}

static void spoil_frame(struct puppet *attacker)
{
    struct gv_buf plain, wire;
    const char *what = "a replayed frame";

    gv_buf_init(&plain);
    gv_buf_init(&wire);
    forge_dropped(&forger, &plain, FORGED_DROPPED_KINDS);
    gv_assert(gv_session_seal(&attacker->session, &wire, plain.data, plain.len) == GV_OK);
    if (gv_drbg_below(&forger.drbg, 5) == 0)
        puppet_bytes(attacker, wire.data, wire.len);
    else
        what = forge_frame(&forger, &wire);
    puppet_bytes(attacker, wire.data, wire.len);
    assert_cut_off(attacker, what);
    sent.frames++;
    gv_buf_free(&plain);
    gv_buf_free(&wire);
}

static void spoil_message(struct puppet *attacker)
{
    struct gv_buf plain;

    gv_buf_init(&plain);
    const char *what = forge_guilty(&forger, &plain, FORGED_GUILTY_KINDS);
    puppet_say(attacker, plain.data, plain.len);
    assert_cut_off(attacker, what);
    sent.guilty++;
    gv_buf_free(&plain);
}

static void attack(struct puppet *attacker)
{
    forger.self = attacker;
    forger.minute = host_minute(&host);
    puppets_know_the_time(attacker);
    assert_true(puppet_join(attacker, &host));
    for (unsigned i = 0; i + 1 < EACH; i++) {
        struct gv_buf plain;
        gv_buf_init(&plain);
        const char *what = forge_dropped(&forger, &plain, FORGED_DROPPED_KINDS);
        puppet_say(attacker, plain.data, plain.len);
        assert_stays(attacker, what);
        gv_buf_free(&plain);
    }
    if (gv_drbg_below(&forger.drbg, 4) == 0)
        spoil_frame(attacker);
    else
        spoil_message(attacker);
    sent.messages += EACH;
    puppet_leave(attacker);
    gv_buf_free(&attacker->heard); /* the memory that is counted is the core's */
    gv_buf_free(&attacker->arrived);
}

/* A key of noise is answered, as every key is; what follows cannot be right. */
static void stranger(unsigned number)
{
    struct gv_address address = make_address(1000 + number);
    uint8_t bytes[2 + GV_FRAME_HANDSHAKE_MAX] = {0, GV_KEY_LEN};
    size_t len = 100 + gv_drbg_below(&forger.drbg, GV_FRAME_HANDSHAKE_MAX - 100);

    uint32_t link = host_incoming(&host, &address, NULL);
    assert_false(host_end_of(&host, link)->closed);
    gv_drbg_fill(&forger.drbg, bytes + 2, GV_KEY_LEN);
    host_bytes(&host, link, bytes, 2 + GV_KEY_LEN);
    bytes[0] = (uint8_t)(len >> 8);
    bytes[1] = (uint8_t)len;
    gv_drbg_fill(&forger.drbg, bytes + 2, len);
    host_bytes(&host, link, bytes, 2 + len);
    assert_true(host_end_of(&host, link)->closed);
    sent.strangers += 2;
    sent.messages += 2;
}

/* ---- the story ------------------------------------------------------------------------------ */

static size_t in_use_kb(void)
{
    return mallinfo2().uordblks / 1024;
}

/* Sanitizers allocate by themselves. */
#if defined(__SANITIZE_ADDRESS__)
#define MEMORY_IS_OURS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MEMORY_IS_OURS 0
#endif
#endif
#ifndef MEMORY_IS_OURS
#define MEMORY_IS_OURS 1
#endif

static uint64_t wanted(void)
{
    const char *text = getenv("GV_FORGE_MESSAGES");

    return text ? strtoull(text, NULL, 10) : 20000;
}

static void nothing_forged_is_held_and_nobody_honest_suffers(void **state)
{
    size_t before_kb = 0, after_kb;
    clock_t start = clock();
    unsigned round = 0;

    for (; sent.messages < wanted(); round++) {
        witness_speaks(round);
        if (round == 1)
            before_kb = in_use_kb();
        for (unsigned i = 0; i < ATTACKERS && sent.messages < wanted(); i++) {
            attack(&attackers[i]);
            stranger(i);
            host.now_ms += 40; /* strangers begin 64 handshakes a second */
        }
        host_run(&host, GV_BAN_MS + 1000); /* until they are let in again */
    }
    witness_speaks(round);
    puppet_forget(&witness);
    struct gv_core_status status = host_status(&host);
    assert_int_equal(status.signals_accepted, sent.genuine);
    assert_int_equal(status.links, 1);
    assert_int_equal(host.notes[GV_NOTE_PEER_REFUSED], sent.guilty + sent.frames);
    assert_int_equal(host.notes[GV_NOTE_FAULT], 0);
    assert_int_equal(host.send_before_persist, 0);
    after_kb = in_use_kb();
    if (MEMORY_IS_OURS && before_kb)
        assert_true(after_kb < before_kb + 2048); /* a day's statements, and nothing of forgers */
    print_message(
        "%llu messages in %.0f CPU s: %llu dropped, %llu messages and %llu frames cut "
        "their sender off, %llu of strangers; %llu genuine ones taken; %zu kB in use, then %zu\n",
        (unsigned long long)sent.messages, (double)(clock() - start) / CLOCKS_PER_SEC,
        (unsigned long long)sent.dropped, (unsigned long long)sent.guilty,
        (unsigned long long)sent.frames, (unsigned long long)sent.strangers,
        (unsigned long long)sent.genuine, before_kb, after_kb);
}

/* Every kind by itself, so that none hides behind another. */
static void every_forgery_is_what_it_says(void **state)
{
    witness_speaks(0);
    for (unsigned kind = 0; kind < FORGED_DROPPED_KINDS + FORGED_GUILTY_KINDS; kind++)
        for (unsigned n = 0; n < 20; n++) {
            struct puppet *attacker = &attackers[(kind * 20 + n) % ATTACKERS];
            bool guilty = kind >= FORGED_DROPPED_KINDS;
            struct gv_buf plain;
            forger.self = attacker;
            forger.minute = host_minute(&host);
            puppets_know_the_time(attacker);
            if (kind * 20 % ATTACKERS == 0 && n == 0)
                host_run(&host, GV_BAN_MS + 1000);
            host_run(&host, 100);
            assert_true(puppet_join(attacker, &host));
            gv_buf_init(&plain);
            const char *what = guilty ? forge_guilty(&forger, &plain, kind - FORGED_DROPPED_KINDS)
                                      : forge_dropped(&forger, &plain, kind);
            puppet_say(attacker, plain.data, plain.len);
            if (guilty)
                assert_cut_off(attacker, what);
            else
                assert_stays(attacker, what);
            gv_buf_free(&plain);
            puppet_leave(attacker);
        }
    assert_int_equal(host_status(&host).signals_accepted, sent.genuine);
    memset(&sent, 0, sizeof sent);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, stage_up, stage_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(every_forgery_is_what_it_says),
        STORY(nothing_forged_is_held_and_nobody_honest_suffers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
