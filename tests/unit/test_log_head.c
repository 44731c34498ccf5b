/* The registry's log (SPEC 14.7): the tree as RFC 6962 has it, proofs that show what they say and
 * nothing else, heads, and two cores to whom a registry shows two faces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "crypto/error.h"
#include "helper_puppet.h"
#include "node/base/text.h"
#include "proto/limits.h"
#include "proto/merkle.h"
#include "proto/wire/log_head.h"

#define SIZES 70

static struct gv_merkle tree;
static struct network network, other_network;

/* The definition, word for word: MTH of RFC 6962, 2.1. */
static void definition(uint8_t out[GV_HASH_LEN], const uint8_t (*leaves)[GV_HASH_LEN], size_t n)
{
    uint8_t left[GV_HASH_LEN], right[GV_HASH_LEN];
    size_t k = 1;

    if (n == 1) {
        memcpy(out, leaves[0], GV_HASH_LEN);
        return;
    }
    while (k * 2 < n)
        k *= 2;
    definition(left, leaves, k);
    definition(right, leaves + k, n - k);
    gv_hash_tree(out, 1, left, GV_HASH_LEN, right, GV_HASH_LEN);
}

static void entry_of(uint8_t out[8], unsigned number)
{
    memset(out, 0, 8);
    memcpy(out, &number, sizeof number);
}

static void grow(unsigned size)
{
    uint8_t entry[8];

    while (tree.size < size) {
        entry_of(entry, (unsigned)tree.size);
        assert_int_equal(gv_merkle_append(&tree, entry, sizeof entry), GV_OK);
    }
}

/* The roots of eight entries that the implementations of Certificate Transparency are tested with
 * (google/certificate-transparency: MerkleTree tests). */
static void the_roots_are_those_of_rfc_6962(void **state)
{
    static const char *const inputs[] = {"",
                                         "00",
                                         "10",
                                         "2021",
                                         "3031",
                                         "40414243",
                                         "5051525354555657",
                                         "606162636465666768696a6b6c6d6e6f"};
    static const char *const roots[] = {
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    };
    uint8_t entry[16], wanted[GV_HASH_LEN], root[GV_HASH_LEN];

    for (size_t n = 0; n <= 8; n++) {
        gv_merkle_root(root, &tree, n);
        assert_int_equal(gv_unhex(wanted, sizeof wanted, roots[n]), GV_OK);
        assert_memory_equal(root, wanted, sizeof root);
        if (n == 8)
            break;
        size_t len = strlen(inputs[n]) / 2;
        assert_int_equal(gv_unhex(entry, len, inputs[n]), GV_OK);
        assert_int_equal(gv_merkle_append(&tree, entry, len), GV_OK);
    }
    for (size_t n = 0; n <= 8; n++) { /* of all earlier sizes, too */
        gv_merkle_root(root, &tree, n);
        gv_unhex(wanted, sizeof wanted, roots[n]);
        assert_memory_equal(root, wanted, sizeof root);
    }
}

static void every_size_has_the_root_of_the_definition(void **state)
{
    uint8_t leaves[SIZES][GV_HASH_LEN], entry[8], wanted[GV_HASH_LEN], root[GV_HASH_LEN];

    grow(SIZES);
    for (unsigned i = 0; i < SIZES; i++) {
        entry_of(entry, i);
        gv_merkle_leaf(leaves[i], entry, sizeof entry);
    }
    for (unsigned n = 1; n <= SIZES; n++) {
        definition(wanted, (const uint8_t(*)[GV_HASH_LEN])leaves, n);
        gv_merkle_root(root, &tree, n);
        assert_memory_equal(root, wanted, sizeof root);
    }
}

static void what_was_cut_off_may_grow_differently(void **state)
{
    uint8_t before[GV_HASH_LEN], after[GV_HASH_LEN], entry[8];

    for (unsigned cut = 1; cut < 33; cut++) {
        grow(33);
        gv_merkle_root(before, &tree, 33);
        gv_merkle_cut(&tree, cut);
        entry_of(entry, 1000);
        gv_merkle_append(&tree, entry, sizeof entry);
        gv_merkle_cut(&tree, cut);
        grow(33);
        gv_merkle_root(after, &tree, 33);
        assert_memory_equal(before, after, sizeof after);
    }
}

static void inclusion_is_proven_and_nothing_else(void **state)
{
    struct gv_merkle_proof proof;
    uint8_t root[GV_HASH_LEN], leaf[GV_HASH_LEN], entry[8];

    grow(SIZES);
    for (unsigned size = 1; size <= 40; size++) {
        gv_merkle_root(root, &tree, size);
        for (unsigned index = 0; index < size; index++) {
            entry_of(entry, index);
            gv_merkle_leaf(leaf, entry, sizeof entry);
            gv_merkle_inclusion(&proof, &tree, index, size);
            assert_true(gv_merkle_included(&proof, leaf, index, size, root));
            assert_false(gv_merkle_included(&proof, leaf, size, size, root));
            assert_false(gv_merkle_included(&proof, leaf, index, 0, root));
            if (size > 1)
                assert_false(gv_merkle_included(&proof, leaf, (index + 1) % size, size, root));
            leaf[0] ^= 1;
            assert_false(gv_merkle_included(&proof, leaf, index, size, root));
            leaf[0] ^= 1;
            for (size_t i = 0; i < proof.count; i++) {
                proof.hashes[i][31] ^= 0x80;
                assert_false(gv_merkle_included(&proof, leaf, index, size, root));
                proof.hashes[i][31] ^= 0x80;
            }
            proof.count++; /* one too many, and one too few */
            assert_false(gv_merkle_included(&proof, leaf, index, size, root));
            proof.count -= 2;
            if (size > 1)
                assert_false(gv_merkle_included(&proof, leaf, index, size, root));
        }
    }
}

static void consistency_is_proven_and_nothing_else(void **state)
{
    struct gv_merkle_proof proof;
    uint8_t one[GV_HASH_LEN], two[GV_HASH_LEN];

    grow(SIZES);
    for (unsigned second = 1; second <= 40; second++)
        for (unsigned first = 1; first <= second; first++) {
            gv_merkle_root(one, &tree, first);
            gv_merkle_root(two, &tree, second);
            gv_merkle_consistency(&proof, &tree, first, second);
            assert_true(gv_merkle_consistent(&proof, first, one, second, two));
            one[5] ^= 1;
            assert_false(gv_merkle_consistent(&proof, first, one, second, two));
            one[5] ^= 1;
            two[5] ^= 1;
            assert_false(gv_merkle_consistent(&proof, first, one, second, two));
            two[5] ^= 1;
            assert_false(gv_merkle_consistent(&proof, 0, one, second, two));
            assert_false(gv_merkle_consistent(&proof, second + 1, one, second, two));
            for (size_t i = 0; i < proof.count; i++) {
                proof.hashes[i][0] ^= 1;
                assert_false(gv_merkle_consistent(&proof, first, one, second, two));
                proof.hashes[i][0] ^= 1;
            }
        }
}

/* ---- heads ---------------------------------------------------------------------------------- */

#define HOUR STAGE_MINUTE

static struct gv_log_head head_of(uint64_t size, uint32_t minute, uint8_t face)
{
    struct gv_log_head head = {.size = size, .minute = minute};

    memset(head.root, face, sizeof head.root);
    head.root[1] = (uint8_t)size; /* honest: of one log, a root for each size */
    return head;
}

static struct gv_buf record_of(const struct network *by, const struct gv_log_head *head)
{
    struct gv_buf record;
    uint8_t kind = GV_RECORD_LOG_HEAD;

    gv_buf_init(&record);
    gv_buf_append(&record, &kind, 1);
    assert_int_equal(
        gv_log_head_issue(&record, head, by->registry_secret, network.descriptor.network_id),
        GV_OK);
    assert_true(record.len <= 1 + GV_LOG_HEAD_MAX);
    return record;
}

static int tell(struct host *host, const struct network *by, struct gv_log_head head)
{
    struct gv_buf record = record_of(by, &head);
    int rc = host_news(host, record.data, record.len);

    gv_buf_free(&record);
    return rc;
}

static size_t heads_held(const struct host *host, size_t *contradicted)
{
    struct gv_log_head head;
    const uint8_t *wire;
    size_t cursor = 0, count = 0, len;
    bool bad;

    *contradicted = 0;
    while (gv_core_next_log_head(host->core, &cursor, &head, &bad, &wire, &len)) {
        count++;
        *contradicted += bad;
    }
    return count;
}

static struct host alice, bob;

static int set_up(void **state)
{
    gv_merkle_init(&tree);
    network_open(&network, 1, true);
    network_open(&other_network, 2, true);
    static const char *const seeds[] = {"127.0.0.2:4727"};
    const struct gv_settings dials = {
        .share = GV_SHARE_YES, .max_links = 16, .seed_count = 1, .seeds = seeds};
    assert_int_equal(host_open(&alice, &network, 1, &dials), GV_OK);
    host_run(&alice, 1000);
    assert_int_equal(host_open(&bob, &network, 2, NULL), GV_OK);
    return 0;
}

static int tear_down(void **state)
{
    host_close(&alice);
    host_close(&bob);
    network_close(&network);
    network_close(&other_network);
    gv_merkle_free(&tree);
    return 0;
}

static void a_head_is_read_back_and_no_other(void **state)
{
    struct gv_log_head head = head_of(12345, HOUR, 7), read;
    struct gv_buf record = record_of(&network, &head);

    assert_int_equal(
        gv_log_head_open(&read, NULL, &network.descriptor, record.data + 1, record.len - 1), GV_OK);
    assert_int_equal(read.size, 12345);
    assert_int_equal(read.minute, HOUR);
    assert_memory_equal(read.root, head.root, sizeof head.root);
    for (size_t len = 0; len < record.len - 1; len++)
        assert_int_not_equal(
            gv_log_head_open(&read, NULL, &network.descriptor, record.data + 1, len), GV_OK);
    for (size_t at = 1; at < record.len; at++) {
        record.data[at] ^= 1;
        assert_int_not_equal(
            gv_log_head_open(&read, NULL, &network.descriptor, record.data + 1, record.len - 1),
            GV_OK);
        record.data[at] ^= 1;
    }
    network.descriptor.keys[0].from_min = HOUR + 59; /* the hour in which it came into force */
    assert_int_equal(
        gv_log_head_open(&read, NULL, &network.descriptor, record.data + 1, record.len - 1), GV_OK);
    network.descriptor.keys[0].from_min = HOUR + 60;
    assert_int_equal(
        gv_log_head_open(&read, NULL, &network.descriptor, record.data + 1, record.len - 1),
        GV_ERR_SIGNER);
    head.minute++; /* no whole hour */
    assert_int_equal(
        gv_log_head_issue(&record, &head, network.registry_secret, network.descriptor.network_id),
        GV_ERR_RANGE);
    gv_buf_free(&record);
}

static void what_contradicts(void **state)
{
    struct gv_log_head a = head_of(10, 600, 1), b = head_of(12, 660, 1);

    assert_false(gv_log_heads_contradict(&a, &b)); /* it has grown */
    assert_false(gv_log_heads_contradict(&a, &a));
    b = head_of(10, 660, 1);
    assert_false(gv_log_heads_contradict(&a, &b)); /* it has not */
    b = head_of(12, 600, 1);
    assert_true(gv_log_heads_contradict(&a, &b)); /* two of an hour */
    assert_true(gv_log_heads_contradict(&b, &a));
    b = head_of(10, 660, 2);
    assert_true(gv_log_heads_contradict(&a, &b)); /* one size, two roots */
    b = head_of(9, 660, 1);
    assert_true(gv_log_heads_contradict(&a, &b)); /* it has shrunk */
    assert_true(gv_log_heads_contradict(&b, &a));
    b.signer++;
    assert_false(gv_log_heads_contradict(&a, &b)); /* of another key */
}

/* Each node holds a face of its own, and neither sees anything wrong until they meet. */
static void a_registry_with_two_faces_is_caught_when_two_nodes_meet(void **state)
{
    struct host *hosts[] = {&alice, &bob};
    size_t contradicted;

    assert_int_equal(tell(&alice, &network, head_of(10, HOUR, 1)), GV_OK);
    assert_int_equal(tell(&bob, &network, head_of(10, HOUR, 2)), GV_OK);
    assert_int_equal(alice.notes[GV_NOTE_TWO_FACES] + bob.notes[GV_NOTE_TWO_FACES], 0);
    assert_true(hosts_connect(&alice, &bob));
    hosts_run(hosts, 2, 120000);
    assert_int_equal(heads_held(&alice, &contradicted), 2);
    assert_int_equal(contradicted, 2);
    assert_int_equal(heads_held(&bob, &contradicted), 2);
    assert_int_equal(contradicted, 2);
    assert_true(alice.notes[GV_NOTE_TWO_FACES] > 0);
    assert_true(bob.notes[GV_NOTE_TWO_FACES] > 0);
    assert_memory_equal(host_status(&alice).roster_fingerprint,
                        host_status(&bob).roster_fingerprint, GV_ID_LEN);
}

static void an_honest_registry_is_accused_of_nothing(void **state)
{
    struct host *hosts[] = {&alice, &bob};
    size_t contradicted;

    /* The log grows by one each hour; in one hour it does not. The two have heard different heads.
     */
    for (uint32_t hours = 0; hours < 6; hours++)
        assert_int_equal(
            tell(hours & 1 ? &alice : &bob, &network,
                 head_of(hours > 2 ? 9 + hours : 10 + hours, HOUR - 300 + 60 * hours, 1)),
            GV_OK);
    assert_true(hosts_connect(&alice, &bob));
    hosts_run(hosts, 2, 120000);
    assert_int_equal(heads_held(&alice, &contradicted), 6);
    assert_int_equal(contradicted, 0);
    assert_int_equal(heads_held(&bob, &contradicted), 6);
    assert_int_equal(alice.notes[GV_NOTE_TWO_FACES] + bob.notes[GV_NOTE_TWO_FACES], 0);
    /* One that has shrunk, though each hour has but one. */
    assert_int_equal(tell(&alice, &network, head_of(8, HOUR - 360, 1)), GV_OK);
    assert_int_equal(alice.notes[GV_NOTE_TWO_FACES], 0);
    assert_int_equal(tell(&alice, &network, head_of(99, HOUR - 420, 1)), GV_OK);
    assert_int_equal(alice.notes[GV_NOTE_TWO_FACES], 1);
}

static void two_of_an_hour_are_held_whatever_the_order(void **state)
{
    uint8_t faces[3] = {1, 2, 3};
    size_t contradicted;

    for (unsigned i = 0; i < 3; i++)
        tell(&alice, &network, head_of(10, HOUR, faces[i]));
    for (unsigned i = 0; i < 3; i++)
        tell(&bob, &network, head_of(10, HOUR, faces[2 - i]));
    assert_int_equal(heads_held(&alice, &contradicted), GV_LOG_HEADS_PER_HOUR);
    assert_int_equal(heads_held(&bob, &contradicted), GV_LOG_HEADS_PER_HOUR);
    struct gv_log_head one, two;
    const uint8_t *wire;
    size_t len;
    bool bad;
    unsigned equal = 0;
    for (size_t a = 0; gv_core_next_log_head(alice.core, &a, &one, &bad, &wire, &len);)
        for (size_t b = 0; gv_core_next_log_head(bob.core, &b, &two, &bad, &wire, &len);)
            equal += memcmp(one.root, two.root, GV_HASH_LEN) == 0;
    assert_int_equal(equal, 2);
}

static void heads_of_strangers_of_the_future_and_of_the_past_are_not_taken(void **state)
{
    size_t contradicted;

    assert_int_equal(tell(&alice, &other_network, head_of(1, HOUR, 1)), GV_ERR_SIGNER);
    assert_int_equal(tell(&alice, &network, head_of(1, HOUR + 60, 1)), GV_ERR_EARLY);
    assert_int_equal(tell(&alice, &network, head_of(1, HOUR - 4380, 1)), GV_ERR_EXPIRED);
    assert_int_equal(tell(&alice, &network, head_of(1, HOUR - 4320, 1)), GV_OK);
    assert_int_equal(heads_held(&alice, &contradicted), 1);
    host_run(&alice, 2 * GV_MINUTE_MS);
    assert_int_equal(heads_held(&alice, &contradicted), 0); /* three days are over */
}

static void heads_of_a_key_that_is_not_named_any_more_leave(void **state)
{
    struct gv_buf record;
    uint8_t kind = GV_RECORD_DESCRIPTOR;
    size_t contradicted;

    assert_int_equal(tell(&alice, &network, head_of(1, HOUR, 1)), GV_OK);
    memcpy(network.descriptor.keys[0].key, other_network.descriptor.keys[0].key, GV_KEY_LEN);
    network.descriptor.version++;
    network_publish(&network);
    gv_buf_init(&record);
    gv_buf_append(&record, &kind, 1);
    gv_buf_append(&record, network.wire.data, network.wire.len);
    assert_int_equal(host_news(&alice, record.data, record.len), GV_OK);
    assert_int_equal(heads_held(&alice, &contradicted), 0);
    gv_buf_free(&record);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(the_roots_are_those_of_rfc_6962),
        T(every_size_has_the_root_of_the_definition),
        T(what_was_cut_off_may_grow_differently),
        T(inclusion_is_proven_and_nothing_else),
        T(consistency_is_proven_and_nothing_else),
        T(a_head_is_read_back_and_no_other),
        T(what_contradicts),
        T(a_registry_with_two_faces_is_caught_when_two_nodes_meet),
        T(an_honest_registry_is_accused_of_nothing),
        T(two_of_an_hour_are_held_whatever_the_order),
        T(heads_of_strangers_of_the_future_and_of_the_past_are_not_taken),
        T(heads_of_a_key_that_is_not_named_any_more_leave),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
