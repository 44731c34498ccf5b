/* What cores hold together (SPEC 9.1): a roster and a set that stand on a base answer as those that
 * never did, whatever comes and goes; two that share one do not touch each other; and a mesh whose
 * cores share goes, to the last byte, the way of one whose cores do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/drbg.h"
#include "crypto/error.h"
#include "proto/mesh/common.h"
#include "sim/run.h"

#define PEOPLE 150
#define OWNERS 40

struct side {
    struct gv_roster roster;
    struct gv_set set;
    struct gv_shelf *shelf;
};

static struct gv_drbg dice;
static struct side plain, based; /* the same events; only the second has a base */
static struct gv_certificate papers[2 * PEOPLE];
static uint8_t gone[2 * PEOPLE];
static const uint8_t key_a[16] = {1}, key_b[16] = {2};

static uint64_t below(uint64_t limit)
{
    return gv_drbg_below(&dice, limit);
}

static void side_up(struct side *side, const uint8_t key[16])
{
    gv_set_init(&side->set, key);
    gv_roster_init(&side->roster, key);
    side->set.shelf = side->shelf;
}

static void side_down(struct side *side)
{
    gv_roster_free(&side->roster);
    gv_set_free(&side->set);
}

static struct gv_item *put(struct side *side, uint32_t minute, const uint8_t id[GV_ID_LEN],
                           uint8_t kind)
{
    uint8_t record[3] = {kind, id[0], id[1]};

    return gv_set_insert(&side->set, GV_TREE_ROSTER, minute, id, record, sizeof record);
}

static void enter(struct side *side, const struct gv_certificate *certificate)
{
    struct gv_item *item = put(side, certificate->issued_min, certificate->id, 5);

    assert_non_null(item);
    assert_int_equal(gv_roster_add(&side->roster, certificate, item), GV_OK);
}

/* An address record of him, in the place of the one before. */
static void move(struct side *side, const struct gv_certificate *of, uint32_t minute,
                 const uint8_t id[GV_ID_LEN])
{
    const struct gv_instance *known = gv_roster_instance(&side->roster, of->instance);
    struct gv_instance *own = known ? gv_roster_own(&side->roster, known) : NULL;

    if (!own)
        return;
    struct gv_item *item = put(side, minute, id, 6);
    assert_non_null(item);
    if (own->address_item)
        gv_set_remove(&side->set, own->address_item);
    own->address_item = item;
    own->address.port = (uint16_t)minute;
}

/* Somebody new, or the renewal of one before, perhaps under another owner. */
static void draw_papers(size_t i)
{
    struct gv_certificate *one = &papers[i];
    size_t of = i < PEOPLE ? i : (size_t)below(PEOPLE);
    uint64_t owner = i < PEOPLE || below(8) == 0 ? below(OWNERS) : papers[of].owner[0];

    memset(one, 0, sizeof *one);
    gv_drbg_fill(&dice, one->id, GV_ID_LEN);
    if (i % 16 == 1) /* two whose ids begin alike */
        memcpy(one->id, papers[i - 1].id, GV_PREFIX_LEN);
    if (i < PEOPLE)
        gv_drbg_fill(&dice, one->instance, GV_ID_LEN);
    else
        memcpy(one->instance, papers[of].instance, GV_ID_LEN);
    one->owner[0] = (uint8_t)owner;
    one->group = below(50);
    one->since_min = (uint32_t)(100 + below(100));
    one->issued_min = (uint32_t)(1000 + below(50)); /* many of one minute */
    one->expires_min = one->issued_min + 5000;
}

static void both_enter(size_t i)
{
    gone[i] = 0;
    enter(&plain, &papers[i]);
    enter(&based, &papers[i]);
}

static void both_move(size_t i)
{
    uint8_t id[GV_ID_LEN];
    uint32_t minute = (uint32_t)(1000 + below(60));

    gv_drbg_fill(&dice, id, sizeof id);
    move(&plain, &papers[i], minute, id);
    move(&based, &papers[i], minute, id);
}

static void drop(struct side *side, size_t i)
{
    const struct gv_certificate_row *row = gv_roster_certificate(&side->roster, papers[i].id);
    assert_non_null(row);
    struct gv_item *item = row->item;
    struct gv_instance *instance = gv_roster_drop(&side->roster, row);

    assert_non_null(instance);
    gv_set_remove(&side->set, item);
    if (instance->certificates == 0 && instance->address_item) {
        gv_set_remove(&side->set, instance->address_item);
        instance->address_item = NULL;
    }
    gv_roster_release(&side->roster, instance);
}

static void both_drop(size_t i)
{
    if (gone[i])
        return;
    gone[i] = 1;
    drop(&plain, i);
    drop(&based, i);
}

static void convict(struct side *side, const uint8_t id[GV_ID_LEN], uint32_t minute)
{
    const struct gv_instance *known = gv_roster_instance(&side->roster, id);

    if (known)
        gv_roster_own(&side->roster, known)->fault_min = minute;
    assert_int_equal(gv_roster_blame(&side->roster), GV_OK);
}

static void both_convict(size_t i, uint32_t minute)
{
    convict(&plain, papers[i].instance, minute);
    convict(&based, papers[i].instance, minute);
}

/* ---- what both answer ------------------------------------------------------------------------ */

static void same_instance(const struct gv_instance *a, const struct gv_instance *b)
{
    assert_int_equal(a != NULL, b != NULL);
    if (!a)
        return;
    assert_memory_equal(a->newest, b->newest, GV_ID_LEN);
    assert_int_equal(a->owner != NULL, b->owner != NULL);
    assert_memory_equal(a->owner->tag, b->owner->tag, GV_ID_LEN);
    assert_int_equal(a->group, b->group);
    assert_int_equal(a->since_min, b->since_min);
    assert_int_equal(a->issued_min, b->issued_min);
    assert_int_equal(a->expires_min, b->expires_min);
    assert_int_equal(a->fault_min, b->fault_min);
    assert_int_equal(a->certificates, b->certificates);
    assert_int_equal(a->address.port, b->address.port);
    assert_int_equal(a->address_item != NULL, b->address_item != NULL);
}

static void same_row(const struct gv_certificate *of)
{
    const struct gv_certificate_row *a = gv_roster_certificate(&plain.roster, of->id);
    const struct gv_certificate_row *b = gv_roster_certificate(&based.roster, of->id);
    const struct gv_certificate_row *found[4];

    assert_int_equal(a != NULL, b != NULL);
    same_instance(gv_roster_instance(&plain.roster, of->instance),
                  gv_roster_instance(&based.roster, of->instance));
    assert_int_equal(gv_roster_prefixed(&plain.roster, found, 4, of->id),
                     gv_roster_prefixed(&based.roster, found, 4, of->id));
    if (!a)
        return;
    assert_int_equal(a->expires_min, b->expires_min);
    same_instance(gv_roster_author(&plain.roster, a), gv_roster_author(&based.roster, b));
    assert_int_equal(gv_roster_owner(&plain.roster, a->owner)->fault_min,
                     gv_roster_owner(&based.roster, b->owner)->fault_min);
}

/* How many rows a walk finds, and the sum of the first eight bytes of their ids. */
static size_t walk(const struct side *side, enum gv_rows kind, uint64_t *sum)
{
    size_t cursor = 0, count = 0;
    const void *row;

    *sum = 0;
    while ((row = gv_roster_next(&side->roster, kind, &cursor))) {
        uint64_t head;
        memcpy(&head, row, sizeof head);
        *sum += head;
        count++;
    }
    return count;
}

static void same_rows(void)
{
    for (int kind = 0; kind < GV_ROWS_KINDS; kind++) {
        uint64_t sums[2];
        size_t count = walk(&plain, (enum gv_rows)kind, &sums[0]);
        assert_int_equal(walk(&based, (enum gv_rows)kind, &sums[1]), count);
        assert_int_equal(gv_roster_count(&based.roster, (enum gv_rows)kind), count);
        assert_int_equal(sums[0], sums[1]);
    }
    for (size_t i = 0; i < 2 * PEOPLE; i++)
        same_row(&papers[i]);
}

static void same_range(void)
{
    size_t count = gv_set_count(&plain.set, GV_TREE_ROSTER);
    size_t from = (size_t)below(count + 1), to = from + (size_t)below(count - from + 1);
    uint8_t a[GV_ID_LEN], b[GV_ID_LEN];
    struct gv_key key = {.minute = (uint32_t)(990 + below(80))};

    gv_set_fingerprint(a, &plain.set, GV_TREE_ROSTER, from, to);
    gv_set_fingerprint(b, &based.set, GV_TREE_ROSTER, from, to);
    assert_memory_equal(a, b, GV_ID_LEN);
    gv_drbg_fill(&dice, key.id, 1);
    if (from < count && below(2))
        key = gv_set_at(&plain.set, GV_TREE_ROSTER, from)->key;
    assert_int_equal(gv_set_lower(&plain.set, GV_TREE_ROSTER, &key),
                     gv_set_lower(&based.set, GV_TREE_ROSTER, &key));
}

static void same_items(void)
{
    size_t count = gv_set_count(&plain.set, GV_TREE_ROSTER);

    assert_int_equal(gv_set_count(&based.set, GV_TREE_ROSTER), count);
    for (size_t i = 0; i < count; i++) {
        const struct gv_item *a = gv_set_at(&plain.set, GV_TREE_ROSTER, i);
        const struct gv_item *b = gv_set_at(&based.set, GV_TREE_ROSTER, i);
        uint8_t mark[GV_MARK_LEN];
        assert_memory_equal(&a->key, &b->key, sizeof a->key);
        assert_int_equal(a->len, b->len);
        assert_memory_equal(a->record, b->record, a->len);
        assert_ptr_equal(gv_set_find(&based.set, a->key.id), b);
        gv_set_mark(mark, a->key.id, 3);
        assert_non_null(gv_set_find_mark(&based.set, mark));
    }
    for (size_t i = 0; i < 2 * PEOPLE; i++)
        assert_int_equal(gv_set_find(&plain.set, papers[i].id) != NULL,
                         gv_set_find(&based.set, papers[i].id) != NULL);
}

/* ---- the tests ------------------------------------------------------------------------------- */

static int stage_up(void **state)
{
    uint8_t seed[GV_SEED_LEN] = {7};

    gv_drbg_init(&dice, seed);
    memset(gone, 1, sizeof gone);
    plain.shelf = NULL;
    based.shelf = calloc(1, sizeof *based.shelf);
    side_up(&plain, key_a);
    side_up(&based, key_b);
    for (size_t i = 0; i < 2 * PEOPLE; i++)
        draw_papers(i);
    for (size_t i = 0; i < PEOPLE + PEOPLE / 2; i++) {
        both_enter(i);
        if (i % 3 != 0)
            both_move(i);
    }
    both_convict(5, 77); /* he and his owner's other hosts are not fit */
    assert_int_equal(gv_base_freeze(&based.roster, &based.set), GV_OK);
    return 0;
}

static int stage_down(void **state)
{
    side_down(&plain);
    side_down(&based);
    assert_int_equal(based.shelf->records.count, 0); /* all were given back */
    gv_shelf_free(based.shelf);
    free(based.shelf);
    return 0;
}

static void what_is_frozen_answers_as_before(void **state)
{
    const struct gv_base *base = based.set.base;

    assert_in_range(base->rows[GV_ROWS_INSTANCES].count, PEOPLE / 2, PEOPLE - 2);
    same_rows();
    same_items();
    for (int i = 0; i < 500; i++)
        same_range();
}

static void what_comes_and_goes_changes_both_alike(void **state)
{
    for (int round = 0; round < 600; round++) {
        size_t i = (size_t)below(2 * PEOPLE);
        switch (below(4)) {
        case 0:
            both_drop(i);
            break;
        case 1:
            if (gone[i])
                both_enter(i);
            break;
        case 2:
            both_move(i);
            break;
        default:
            both_convict(i, below(3) ? GV_NEVER : (uint32_t)below(1000));
        }
        same_range();
        if (round % 20 == 0) {
            same_rows();
            same_items();
        }
    }
    for (size_t i = 0; i < 2 * PEOPLE; i++) /* until nothing of the base is left */
        both_drop(i);
    same_rows();
    same_items();
    assert_int_equal(gv_set_count(&based.set, GV_TREE_ROSTER), 0);
}

static void two_that_share_do_not_touch_each_other(void **state)
{
    static const uint8_t key_c[16] = {3};
    struct side other = {.shelf = based.shelf};

    side_up(&other, key_c);
    assert_true(gv_base_take(based.set.base, &other.roster, &other.set));
    for (int round = 0; round < 200; round++) { /* what is plain stays what `based` must be */
        const struct gv_item *item = gv_set_at(&other.set, GV_TREE_ROSTER, 0);
        const struct gv_certificate_row *row = gv_roster_certificate(&other.roster, item->key.id);
        if (row)
            gv_roster_own(&other.roster, gv_roster_author(&other.roster, row))->fault_min = 9;
        assert_int_equal(gv_roster_blame(&other.roster), GV_OK);
        gv_set_remove(&other.set, (struct gv_item *)(uintptr_t)item);
        if (round % 50 == 0)
            same_rows();
    }
    same_items();
    side_down(&other); /* and lets go of it */
    same_rows();
    same_items();
}

/* The same seed, with faults, restarts, revocations: each core alone, and all of them together. */
static void a_mesh_that_shares_goes_the_same_way(void **state)
{
    static const char *const faults[] = {
        "none", "crashes=4,down_s=120,disks=30,revoke=2,life=90,retract=3,loss=3",
        "kill=50,kill_min=3,jumps=2,jump_s=400"};

    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        struct gv_sim_options options = {
            .nodes = 12, .hours = i == 0 ? 0.4 : 1, .seed = 3 + i, .sightings = 8, .known = true};
        struct gv_sim_result apart, together;
        const char *where;
        if (i > 0)
            assert_null(gv_faults_parse(&options.faults, faults[i], &where));
        gv_sim_run(&together, &options, false);
        options.apart = true;
        gv_sim_run(&apart, &options, false);
        assert_string_equal(together.trace_hash, apart.trace_hash);
        assert_int_equal(together.violations, 0);
        assert_true(together.signals > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_frozen_answers_as_before, stage_up, stage_down),
        cmocka_unit_test_setup_teardown(what_comes_and_goes_changes_both_alike, stage_up,
                                        stage_down),
        cmocka_unit_test_setup_teardown(two_that_share_do_not_touch_each_other, stage_up,
                                        stage_down),
        cmocka_unit_test(a_mesh_that_shares_goes_the_same_way),
    };

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
