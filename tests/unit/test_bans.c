/* What bouncers are told and since when: the rules one by one, and all together against a model
 * that keeps what a client would hold (SPEC 18.7). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/drbg.h"
#include "crypto/error.h"
#include "node/serve/bans.h"

static const uint8_t key[16] = {5};
#define NOW  1000000u
#define HOUR 3600u

static struct gv_target target(const char *text)
{
    struct gv_prefix prefix;

    assert_int_equal(gv_prefix_parse(&prefix, text, strlen(text)), GV_OK);
    return gv_target_of_prefix(&prefix);
}

static void set(struct gv_bans *bans, const char *text, enum gv_ban_source source, uint32_t until)
{
    struct gv_target t = target(text);

    assert_int_equal(gv_bans_set(bans, &t, source, 2, until, NOW), GV_OK);
}

static void clear(struct gv_bans *bans, const char *text, enum gv_ban_source source, uint32_t now)
{
    struct gv_target t = target(text);

    gv_bans_clear(bans, &t, source, now);
}

/* The texts of what changed in (from, to], with blanks between. */
static const char *changed(struct gv_bans *bans, bool lifted, uint64_t from, uint64_t to)
{
    static char text[4096];
    struct gv_bans_walk walk;
    size_t len = 0;

    text[0] = 0;
    gv_bans_walk_begin(&walk, bans, lifted, from, to);
    for (const struct gv_ban *ban; (ban = gv_bans_walk_next(&walk)) != NULL;) {
        char one[GV_PREFIX_TEXT];
        gv_target_text(one, &ban->target);
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s", len ? " " : "", one);
    }
    gv_bans_walk_end(&walk);
    gv_bans_walk_end(&walk);
    return text;
}
#define NEW(from)    changed(bans, false, from, UINT64_MAX)
#define LIFTED(from) changed(bans, true, from, UINT64_MAX)

static void targets(void **state)
{
    static const struct {
        const char *wide, *narrow;
        bool holds;
    } cases[] = {
        {"0.0.0.0/0", "198.51.100.7", true},           {"198.51.100.0/24", "198.51.100.7", true},
        {"198.51.100.0/25", "198.51.100.128", false},  {"198.51.100.7", "198.51.100.7", true},
        {"198.51.100.7", "198.51.100.0/24", false},    {"198.51.96.0/19", "198.51.127.255", true},
        {"198.51.96.0/19", "198.51.128.0", false},     {"::/0", "198.51.100.7", false},
        {"2001:db8::/32", "2001:db8:1::/48", true},    {"2001:db8::/63", "2001:db8:0:1::/64", true},
        {"2001:db8::/64", "2001:db8:0:1::/64", false},
    };
    char text[GV_PREFIX_TEXT];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gv_target wide = target(cases[i].wide), narrow = target(cases[i].narrow);
        assert_int_equal(gv_target_holds(&wide, &narrow), cases[i].holds);
    }
    struct gv_target one = target("2001:db8::17");
    gv_target_text(text, &one);
    assert_string_equal(text, "2001:db8::/64");
    assert_false(gv_target_is_address(&one));
    one = target("198.51.100.7");
    assert_true(gv_target_is_address(&one));
}

static void small_ranges(void **state)
{
    struct gv_bans *bans = gv_bans_new(key, 1, 0);
    struct gv_target range = target("192.0.2.64/26"), one = target("192.0.2.127"), text_of;
    char text[GV_PREFIX_TEXT];

    assert_true(gv_target_is_small(&range));
    assert_int_equal(gv_target_size(&range), 64);
    text_of = gv_target_address(&range, 63);
    assert_true(gv_target_equal(&text_of, &one));
    text_of = target("192.0.0.0/23");
    assert_false(gv_target_is_small(&text_of));
    assert_false(gv_target_is_small(&one));
    text_of = target("2001:db8::/30");
    assert_false(gv_target_is_small(&text_of));
    assert_null(gv_bans_small_around(bans, &text_of));
    assert_null(gv_bans_small_around(bans, &one));
    set(bans, "192.0.2.0/24", GV_BAN_RANGE, NOW + HOUR);
    set(bans, "192.0.2.64/26", GV_BAN_RANGE, NOW + HOUR);
    set(bans, "192.0.2.127", GV_BAN_SUBJECT, NOW + HOUR);
    gv_target_text(text, &gv_bans_small_around(bans, &one)->target);
    assert_string_equal(text, "192.0.2.64/26");
    clear(bans, "192.0.2.64/26", GV_BAN_RANGE, NOW);
    gv_target_text(text, &gv_bans_small_around(bans, &one)->target);
    assert_string_equal(text, "192.0.2.0/24");
    gv_bans_free(bans);
}

static void in_the_order_of_the_last_change(void **state)
{
    struct gv_bans *bans = gv_bans_new(key, 70, 0);

    set(bans, "192.0.2.1", GV_BAN_SUBJECT, NOW + HOUR);
    set(bans, "192.0.2.2", GV_BAN_SUBJECT, NOW + HOUR);
    set(bans, "192.0.2.3", GV_BAN_SUBJECT, NOW + HOUR);
    assert_string_equal(NEW(0), "192.0.2.1 192.0.2.2 192.0.2.3");
    assert_string_equal(NEW(1), "192.0.2.2 192.0.2.3");
    assert_string_equal(changed(bans, false, 1, 2), "192.0.2.2");
    uint64_t then = gv_bans_change(bans);
    set(bans, "192.0.2.1", GV_BAN_SUBJECT, NOW + 2 * HOUR); /* the same reason again: no change */
    assert_int_equal(gv_bans_change(bans), then);
    clear(bans, "192.0.2.2", GV_BAN_SUBJECT, NOW + 5);
    assert_string_equal(LIFTED(then), "192.0.2.2");
    assert_string_equal(NEW(then), "");
    struct gv_target two = target("192.0.2.2");
    assert_int_equal(gv_bans_find(bans, &two)->until_s, NOW + 5);
    assert_int_equal(gv_bans_find(bans, &two)->id, 71);
    set(bans, "192.0.2.2", GV_BAN_SUBJECT, NOW + HOUR); /* back, as another ban */
    assert_int_equal(gv_bans_find(bans, &two)->id, 73);
    assert_string_equal(NEW(0), "192.0.2.1 192.0.2.3 192.0.2.2");
    assert_string_equal(LIFTED(0), "");
    assert_int_equal(gv_bans_count(bans), 3);
    clear(bans, "192.0.2.9", GV_BAN_SUBJECT, NOW); /* never was */
    assert_int_equal(gv_bans_lifted_count(bans), 0);
    gv_bans_free(bans);
    gv_bans_free(NULL);
}

static void lifted_with_the_last_reason(void **state)
{
    struct gv_bans *bans = gv_bans_new(key, 1, 0);
    struct gv_target t = target("2001:db8::/64");

    set(bans, "2001:db8::/64", GV_BAN_SUBJECT, NOW + HOUR);
    set(bans, "2001:db8::/64", GV_BAN_RANGE, NOW + 24 * HOUR); /* lasts longer now: a change */
    assert_int_equal(gv_bans_change(bans), 2);
    assert_int_equal(gv_bans_find(bans, &t)->until_s, NOW + 24 * HOUR);
    assert_int_equal(gv_bans_find(bans, &t)->again_s, NOW + HOUR);
    clear(bans, "2001:db8::/64", GV_BAN_SUBJECT, NOW);
    assert_string_equal(LIFTED(0), "");
    clear(bans, "2001:db8::/64", GV_BAN_SUBJECT, NOW);
    assert_string_equal(LIFTED(0), "");
    clear(bans, "2001:db8::/64", GV_BAN_RANGE, NOW);
    assert_string_equal(LIFTED(0), "2001:db8::/64");
    gv_bans_free(bans);
}

static void renewed_and_said_again(void **state)
{
    struct gv_bans *bans = gv_bans_new(key, 1, 0);
    struct gv_target t = target("192.0.2.1");

    set(bans, "192.0.2.1", GV_BAN_SUBJECT, NOW + HOUR);
    struct gv_ban *ban = gv_bans_find(bans, &t);
    gv_bans_renew(bans, ban, NOW + 2 * HOUR, NOW + 3000);
    assert_int_equal(ban->again_s, NOW + HOUR);
    assert_string_equal(NEW(1), "192.0.2.1");
    gv_bans_repeat(bans, ban, NOW + HOUR + 1);
    assert_int_equal(ban->again_s, 0);
    assert_string_equal(NEW(2), "192.0.2.1");
    gv_bans_renew(bans, ban, NOW + 3 * HOUR,
                  NOW + 2 * HOUR); /* it had ended: nothing to wait for */
    assert_int_equal(ban->again_s, 0);
    /* Several times it was said to end at: at the first, then now and then until the last. */
    gv_bans_renew(bans, ban, NOW + 4 * HOUR, NOW + 2 * HOUR);
    gv_bans_renew(bans, ban, NOW + 5 * HOUR, NOW + 2 * HOUR);
    assert_int_equal(ban->again_s, NOW + 3 * HOUR);
    gv_bans_repeat(bans, ban, NOW + 3 * HOUR + 1);
    assert_int_equal(ban->again_s, NOW + 3 * HOUR + 1 + GV_BANS_AGAIN_S);
    gv_bans_repeat(bans, ban, NOW + 4 * HOUR - 10);
    assert_int_equal(ban->again_s, NOW + 4 * HOUR);
    gv_bans_repeat(bans, ban, NOW + 4 * HOUR + 1);
    assert_int_equal(ban->again_s, 0);
    gv_bans_free(bans);
}

static uint32_t again(struct gv_bans *bans, const char *text)
{
    struct gv_target t = target(text);

    return gv_bans_find(bans, &t)->again_s;
}

/* What bouncers do with a range that goes must not take another ban along. */
static void others_are_said_again(void **state)
{
    struct gv_bans *bans = gv_bans_new(key, 1, 0);

    set(bans, "192.0.2.0/24", GV_BAN_RANGE, NOW + 2 * HOUR);
    set(bans, "192.0.2.0", GV_BAN_SUBJECT, NOW + HOUR);
    set(bans, "192.0.2.1", GV_BAN_SUBJECT, NOW + HOUR);
    set(bans, "192.0.3.0", GV_BAN_SUBJECT, NOW + HOUR);
    set(bans, "192.0.0.0/16", GV_BAN_RANGE, NOW + HOUR);
    set(bans, "2001:db8::/32", GV_BAN_RANGE, NOW + HOUR);
    set(bans, "2001:db8::/64", GV_BAN_SUBJECT, NOW + HOUR);
    uint64_t then = gv_bans_change(bans);
    clear(bans, "192.0.2.0/24", GV_BAN_RANGE, NOW);
    assert_string_equal(NEW(then), "192.0.2.0 192.0.2.1"); /* it lay in a small range */
    assert_int_equal(again(bans, "192.0.2.0"), NOW + 2 * HOUR);
    assert_int_equal(again(bans, "192.0.2.1"), NOW + 2 * HOUR);
    assert_int_equal(again(bans, "192.0.3.0"), 0);
    assert_int_equal(again(bans, "192.0.0.0/16"), NOW + 2 * HOUR); /* what held it */
    then = gv_bans_change(bans);
    clear(bans, "192.0.2.1", GV_BAN_SUBJECT, NOW);
    assert_string_equal(NEW(then), "");
    assert_int_equal(again(bans, "192.0.0.0/16"), NOW + HOUR); /* the sooner of the two */
    set(bans, "192.0.3.0/25", GV_BAN_RANGE, NOW + 24 * HOUR);  /* tells what was told alone */
    assert_int_equal(again(bans, "192.0.3.0/25"), NOW + HOUR);
    set(bans, "192.0.3.0/26", GV_BAN_RANGE, NOW + 24 * HOUR);
    assert_int_equal(again(bans, "192.0.3.0/26"), NOW + HOUR);
    then = gv_bans_change(bans);
    clear(bans, "2001:db8::/64", GV_BAN_SUBJECT, NOW);
    assert_string_equal(NEW(then), "2001:db8::/32");
    gv_bans_free(bans);
}

static void memory_is_bounded_and_says_what_it_forgot(void **state)
{
    struct gv_bans *bans = gv_bans_new(key, 1, 3);
    char text[32];

    for (int i = 1; i <= 5; i++) {
        snprintf(text, sizeof text, "192.0.2.%d", i);
        set(bans, text, GV_BAN_SUBJECT, i == 1 ? NOW + 1 : NOW + HOUR);
    }
    for (int i = 1; i <= 4; i++) {
        snprintf(text, sizeof text, "192.0.2.%d", i);
        clear(bans, text, GV_BAN_SUBJECT, NOW + 10);
    }
    /* The first could not be held any more: no harm. */
    assert_int_equal(gv_bans_lifted_count(bans), 3);
    assert_int_equal(gv_bans_forgotten(bans), 0);
    clear(bans, "192.0.2.5", GV_BAN_SUBJECT, NOW + 10);
    assert_int_equal(gv_bans_lifted_count(bans), 3);
    assert_int_equal(gv_bans_forgotten(bans), 7); /* the change that lifted the second */
    assert_string_equal(LIFTED(7), "192.0.2.3 192.0.2.4 192.0.2.5");

    gv_bans_prune(bans, NOW + HOUR - 1);
    assert_int_equal(gv_bans_lifted_count(bans), 3);
    gv_bans_prune(bans, NOW + HOUR + 9); /* over, but not for an hour */
    assert_int_equal(gv_bans_lifted_count(bans), 3);
    gv_bans_prune(bans, NOW + HOUR + 10);
    assert_int_equal(gv_bans_lifted_count(bans), 0);
    assert_int_equal(gv_bans_forgotten(bans), 7);
    struct gv_target three = target("192.0.2.3");
    assert_null(gv_bans_find(bans, &three));
    gv_bans_free(bans);
}

static void what_changes_under_a_walk_is_for_the_next(void **state)
{
    struct gv_bans *bans = gv_bans_new(key, 1, 0);
    struct gv_bans_walk walk;
    char text[GV_PREFIX_TEXT];
    struct gv_target t = target("192.0.2.2");

    set(bans, "192.0.2.1", GV_BAN_SUBJECT, NOW + HOUR);
    set(bans, "192.0.2.2", GV_BAN_SUBJECT, NOW + HOUR);
    set(bans, "192.0.2.3", GV_BAN_SUBJECT, NOW + HOUR);
    gv_bans_walk_begin(&walk, bans, false, 0, gv_bans_change(bans));
    gv_target_text(text, &gv_bans_walk_next(&walk)->target);
    assert_string_equal(text, "192.0.2.1");
    gv_bans_renew(bans, gv_bans_find(bans, &t), NOW + 2 * HOUR, NOW); /* where the walk is */
    set(bans, "192.0.2.4", GV_BAN_SUBJECT, NOW + HOUR);
    gv_target_text(text, &gv_bans_walk_next(&walk)->target);
    assert_string_equal(text, "192.0.2.3");
    assert_null(gv_bans_walk_next(&walk));
    assert_null(gv_bans_walk_next(&walk));
    /* Lifted and gone altogether, with a walk at it. */
    gv_bans_walk_end(&walk);
    gv_bans_walk_begin(&walk, bans, false, 0, gv_bans_change(bans));
    while (gv_bans_count(bans) > 0) {
        struct gv_target gone;
        size_t cursor = 0;
        struct gv_ban *ban;
        while ((ban = gv_bans_next(bans, &cursor)) != NULL && !ban->sources)
            continue;
        gone = ban->target;
        gv_bans_clear(bans, &gone, GV_BAN_SUBJECT, NOW);
    }
    assert_null(gv_bans_walk_next(&walk));
    gv_bans_free(bans); /* ends the walk */
    gv_bans_walk_end(&walk);
}

/* ---- all together --------------------------------------------------------------------------- */

#define ADDRESSES 40u
#define CLIENTS   4u

struct client {
    uint64_t knows;           /* UINT64_MAX: nothing yet */
    uint32_t held[ADDRESSES]; /* until when; 0: not */
};

static unsigned number_of(const struct gv_ban *ban)
{
    return ban->target.bytes[3];
}

/* As a firewall does: deletions first. An unknown or evicted client starts from nothing. */
static void pull(struct gv_bans *bans, struct client *client, uint32_t now)
{
    struct gv_bans_walk walk;
    uint64_t to = gv_bans_change(bans);
    const struct gv_ban *ban;

    if (client->knows == UINT64_MAX || client->knows < gv_bans_forgotten(bans)) {
        memset(client, 0, sizeof *client);
    }
    gv_bans_walk_begin(&walk, bans, true, client->knows, to);
    while ((ban = gv_bans_walk_next(&walk)) != NULL)
        client->held[number_of(ban)] = 0;
    gv_bans_walk_end(&walk);
    gv_bans_walk_begin(&walk, bans, false, client->knows, to);
    while ((ban = gv_bans_walk_next(&walk)) != NULL) {
        assert_true(ban->until_s > now);
        client->held[number_of(ban)] = ban->until_s;
    }
    gv_bans_walk_end(&walk);
    client->knows = to;
}

/* Whatever happens in whatever order: who has just asked holds what is banned and nothing else. */
static void who_asks_holds_what_is_banned(void **state)
{
    const uint8_t seed[GV_SEED_LEN] = {11};
    struct gv_bans *bans = gv_bans_new(key, 1, 6);
    struct client clients[CLIENTS];
    uint32_t ends[ADDRESSES] = {0}, now = NOW;
    unsigned full = 0;
    struct gv_drbg drbg;

    gv_drbg_init(&drbg, seed);
    for (unsigned i = 0; i < CLIENTS; i++)
        clients[i].knows = UINT64_MAX;
    for (int step = 0; step < 40000; step++) {
        unsigned number = (unsigned)gv_drbg_below(&drbg, ADDRESSES);
        struct gv_target t = {.family = GV_FAMILY_IPV4, .bits = 32, .bytes = {192, 0, 2}};
        t.bytes[3] = (uint8_t)number;
        struct gv_ban *ban = gv_bans_find(bans, &t);
        bool active = ban && ban->sources;
        now += (uint32_t)gv_drbg_below(&drbg, 20);
        for (unsigned i = 0; i < ADDRESSES; i++) { /* what ends by itself is lifted then */
            struct gv_target other = t;
            other.bytes[3] = (uint8_t)i;
            if (ends[i] && ends[i] <= now) {
                ends[i] = 0;
                gv_bans_clear(bans, &other, GV_BAN_SUBJECT, now);
            }
        }
        ban = gv_bans_find(bans, &t);
        active = ban && ban->sources;
        switch (gv_drbg_below(&drbg, 8)) {
        case 0:
        case 1:
            if (!active) {
                ends[number] = now + 60 + (uint32_t)gv_drbg_below(&drbg, 4000);
                assert_int_equal(gv_bans_set(bans, &t, GV_BAN_SUBJECT, 0, ends[number], now),
                                 GV_OK);
            }
            break;
        case 2:
            gv_bans_clear(bans, &t, GV_BAN_SUBJECT, now);
            ends[number] = 0;
            break;
        case 3:
            if (active) {
                ends[number] += 1000;
                gv_bans_renew(bans, ban, ends[number], now);
            }
            break;
        case 4:
            gv_bans_prune(bans, now);
            break;
        default: {
            struct client *client = &clients[gv_drbg_below(&drbg, CLIENTS)];
            full += client->knows != UINT64_MAX && client->knows < gv_bans_forgotten(bans);
            pull(bans, client, now);
            for (unsigned i = 0; i < ADDRESSES; i++) {
                uint32_t held = client->held[i] > now ? client->held[i] : 0;
                assert_int_equal(held, ends[i]);
            }
        }
        }
        size_t count = 0;
        for (unsigned i = 0; i < ADDRESSES; i++)
            count += ends[i] != 0;
        assert_int_equal(gv_bans_count(bans), count);
        assert_int_equal(gv_bans_of_length(bans, GV_FAMILY_IPV4, 32), count);
        assert_true(gv_bans_lifted_count(bans) <= 6);
    }
    assert_true(full > 0); /* it happened */
    gv_bans_free(bans);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets),
        cmocka_unit_test(in_the_order_of_the_last_change),
        cmocka_unit_test(lifted_with_the_last_reason),
        cmocka_unit_test(renewed_and_said_again),
        cmocka_unit_test(others_are_said_again),
        cmocka_unit_test(small_ranges),
        cmocka_unit_test(memory_is_bounded_and_says_what_it_forgot),
        cmocka_unit_test(what_changes_under_a_walk_is_for_the_next),
        cmocka_unit_test(who_asks_holds_what_is_banned),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
