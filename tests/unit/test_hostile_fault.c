/* Who contradicts himself (SPEC 8.4): two statements under one number, the proof that is made of
 * them, what it costs, and proofs that prove nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "crypto/error.h"
#include "helper_stage.h"

#define NOW STAGE_MINUTE

static void again(void)
{
    stage_again(network.descriptor.lab);
}

static size_t held(void)
{
    return host_status(&host).statements;
}

static void assert_no_blame(const char *what, size_t statements)
{
    if (puppet.closed || held() != statements)
        fail_msg("%s: closed %d, %zu held", what, puppet.closed, held());
    assert_int_equal(host.notes[GV_NOTE_PEER_REFUSED], 0);
}

/* Two different statements under one number. */
static void contradict(struct gv_buf *a, struct gv_buf *b, bool retraction)
{
    *a = puppet_signal_on(&puppet, 1, NOW);
    puppet.sequence--;
    *b = retraction ? puppet_retraction_on(&puppet, 1, NOW - 3)
                    : puppet_signal_on(&puppet, 2, NOW - 3);
}

static void assert_dead(void)
{
    struct gv_instance_info info;

    assert_true(host_knows(&host, puppet.identity.id, &info));
    assert_int_equal(info.fault_min, NOW);
    assert_int_equal(host.notes[GV_NOTE_FAULT], 1);
}

static void who_contradicts_himself_is_exposed_and_dead(void **state)
{
    for (int i = 0; i < 4; i++) {
        struct gv_buf a, b, proof;
        again();
        contradict(&a, &b, i / 2);
        puppet_hand(&puppet, puppet_signal_on(&puppet, 7, NOW));
        proof = fault_record(&a, &b);
        puppet_forget(&other);
        puppet_give(&puppet, i % 2 ? &a : &b);
        assert_int_equal(held(), 2);
        puppet_give(&puppet, i % 2 ? &b : &a);
        puppet_work(&other);
        assert_dead();
        assert_int_equal(held(), 0);
        assert_true(puppet.closed);
        assert_true(puppet_heard_record(&other, &proof));
        /* No way back, neither for him nor for what he said. */
        assert_false(puppet_connect(&puppet, &host));
        assert_int_equal(host.last[GV_NOTE_HANDSHAKE_FAILED].error, GV_ERR_FAULT);
        puppet_hand(&other, puppet_signal_on(&puppet, 9, NOW));
        assert_int_equal(held(), 0);
        assert_false(other.closed);
        gv_buf_free(&a);
        gv_buf_free(&b);
        gv_buf_free(&proof);
    }
}

static void the_same_words_twice_are_no_contradiction(void **state)
{
    struct gv_buf a = puppet_signal_on(&puppet, 1, NOW);

    puppet_give(&puppet, &a);
    a.data[1 + 40] ^= 1; /* another signature, not even a good one */
    puppet_give(&puppet, &a);
    assert_no_blame("the same", 1);
    assert_int_equal(host.notes[GV_NOTE_FAULT], 0);
    gv_buf_free(&a);
}

static void a_proof_that_somebody_else_brings_works_too(void **state)
{
    struct gv_buf a, b;

    contradict(&a, &b, false);
    puppet_give(&puppet, &a);
    puppet_hand(&other, fault_record(&a, &b));
    assert_dead();
    assert_int_equal(held(), 0);
    assert_true(puppet.closed);
    assert_false(other.closed);
    gv_buf_free(&a);
    gv_buf_free(&b);
}

static void his_owner_weighs_nothing_for_ninety_days(void **state)
{
    struct puppet brother;
    struct gv_subject subject = subject_of(50);
    struct gv_buf a, b;

    puppet_make(&brother, &network, 8);
    memcpy(brother.facts.owner, puppet.facts.owner, GV_ID_LEN);
    puppet_certify(&brother);
    puppet_hand(&other, certificate_record(&brother));
    puppet_hand(&other, puppet_signal_on(&brother, 50, NOW));
    puppet_hand(&other, puppet_signal_on(&other, 50, NOW));
    assert_int_equal(host_verdict(&host, &subject), GV_VERDICT_UNTRUSTED);
    contradict(&a, &b, false);
    puppet_hand(&other, fault_record(&a, &b));
    assert_int_equal(host_verdict(&host, &subject), GV_VERDICT_REPORTED);
    assert_int_equal(held(), 2); /* the brother is not dead, only light */
    gv_buf_free(&a);
    gv_buf_free(&b);
    puppet_free(&brother);
}

static void proofs_that_prove_nothing(void **state)
{
    for (int i = 0; i < 7; i++) {
        struct gv_buf a, b, proof;
        bool guilty = true;
        again();
        contradict(&a, &b, false);
        proof = fault_record(&a, &b);
        switch (i) {
        case 0: /* both wires swapped: the order is part of the shape */
            memcpy(proof.data + 5, proof.data + 5 + proof.len / 2 - 2, 4);
            break;
        case 1: /* one signature is wrong */
            proof.data[10] ^= 1;
            break;
        case 2:
            proof.data[proof.len - 60] ^= 1;
            break;
        case 3: /* two authors that happen to use one number */
            gv_buf_free(&b);
            gv_buf_free(&proof);
            other.sequence = puppet.sequence - 1;
            b = puppet_signal_on(&other, 2, NOW);
            proof = fault_record(&a, &b);
            break;
        case 4: /* cut */
            proof.len--;
            break;
        case 5: /* far ahead: it would keep the owner out for ever */
            gv_buf_free(&a);
            gv_buf_free(&proof);
            puppet.sequence--;
            a = puppet_signal_on(&puppet, 1, NOW + 11);
            proof = fault_record(&a, &b);
            guilty = false;
            break;
        default: /* long forgiven */
            gv_buf_free(&a);
            gv_buf_free(&b);
            gv_buf_free(&proof);
            a = puppet_signal_on(&puppet, 1, NOW - 91 * STAGE_DAY);
            puppet.sequence--;
            b = puppet_signal_on(&puppet, 2, NOW - 91 * STAGE_DAY);
            proof = fault_record(&a, &b);
            guilty = false;
        }
        puppet_hand(&other, proof);
        if (host.notes[GV_NOTE_FAULT] != 0 || other.closed != guilty)
            fail_msg("proof %d: fault %u, closed %d", i, host.notes[GV_NOTE_FAULT], other.closed);
        gv_buf_free(&a);
        gv_buf_free(&b);
    }
}

int main(void)
{
#define STORY(name) cmocka_unit_test_setup_teardown(name, joined_up, stage_down)
#define LAB(name)   cmocka_unit_test_setup_teardown(name, joined_lab_up, stage_down)
    const struct CMUnitTest tests[] = {
        STORY(who_contradicts_himself_is_exposed_and_dead),
        STORY(the_same_words_twice_are_no_contradiction),
        STORY(a_proof_that_somebody_else_brings_works_too),
        LAB(his_owner_weighs_nothing_for_ninety_days),
        STORY(proofs_that_prove_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
