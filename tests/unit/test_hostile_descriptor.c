/* Network descriptors as records (SPEC 4): higher versions, their time, and those that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "crypto/error.h"
#include "helper_stage.h"
#include "proto/limits.h"

#define NOW STAGE_MINUTE

static void publish(uint32_t version, uint32_t activation)
{
    network.descriptor.version = version;
    network.descriptor.activation_min = activation;
    network_publish(&network);
}

static uint32_t version_in_force(void)
{
    return gv_core_descriptor(host.core)->version;
}

static void a_higher_version_is_taken_and_spread(void **state)
{
    struct gv_buf record;

    network.descriptor.policy.untrusted_weight = 3000;
    publish(2, NOW - 5);
    record = descriptor_record(&network);
    puppet_give(&puppet, &record);
    host_run(&host, GV_COALESCE_MS);
    puppet_work(&other);
    assert_int_equal(version_in_force(), 2);
    assert_int_equal(gv_core_descriptor(host.core)->policy.untrusted_weight, 3000);
    assert_int_equal(host.notes[GV_NOTE_DESCRIPTOR], 1);
    assert_true(puppet_heard_record(&other, &record));
    /* The one before comes too late, and that is nobody's fault. */
    publish(1, NOW - 5);
    puppet_hand(&puppet, descriptor_record(&network));
    assert_no_offence("older");
    assert_int_equal(version_in_force(), 2);
    gv_buf_free(&record);
}

static void a_new_descriptor_waits_for_its_time(void **state)
{
    struct network fresh;

    network_open(&fresh, 7, false);
    memcpy(network.descriptor.keys[1].key, fresh.descriptor.keys[0].key, GV_KEY_LEN);
    network.descriptor.keys[1].from_min = NOW - 30 * STAGE_DAY;
    network.descriptor.keys[1].until_min = UINT32_MAX;
    network.descriptor.key_count = 2;
    publish(2, NOW + 60);
    puppet_hand(&puppet, descriptor_record(&network));
    assert_int_equal(version_in_force(), 1);
    /* Certificates of the new registry key count from then on, and blame nobody before. */
    gv_certificate_issue(third.certificate, &third.facts, fresh.registry_secret,
                         network.descriptor.network_id);
    puppet_hand(&puppet, certificate_record(&third));
    assert_no_offence("new key");
    assert_false(host_knows(&host, third.identity.id, NULL));
    host_run(&host, 3 * 60000);
    host_run(&host, 59 * 60000);
    assert_int_equal(version_in_force(), 2);
    assert_true(puppet_join(&puppet, &host));
    puppet_hand(&puppet, certificate_record(&third));
    assert_true(host_knows(&host, third.identity.id, NULL));
    network_close(&fresh);
}

static void descriptors_that_are_none(void **state)
{
    struct network fake;

    network_open(&fake, 9, false);
    fake.descriptor.version = 5;
    network_publish(&fake);
    puppet_hand(&puppet, descriptor_record(&fake));
    assert_offence("of another network");
    assert_int_equal(version_in_force(), 1);
    for (int i = 0; i < 3; i++) {
        struct gv_buf record;
        stage_again(false);
        publish(2, NOW);
        record = descriptor_record(&network);
        if (i == 0)
            record.data[9] ^= 1;
        else if (i == 1)
            record.data[record.len - 3] ^= 1;
        else
            record.len--;
        puppet_hand(&puppet, record);
        assert_offence("not as signed");
        assert_int_equal(version_in_force(), 1);
    }
    /* By the registry of this very network: only the root may. */
    stage_again(false);
    memcpy(network.root_secret, network.registry_secret, sizeof network.root_secret);
    publish(2, NOW);
    puppet_hand(&puppet, descriptor_record(&network));
    assert_offence("by the registry");
    network_close(&fake);
}

/* Version 3 must not throw out version 2, which is to be in force until then. */
static void a_later_version_does_not_cancel_the_one_before(void **state)
{
    publish(2, NOW + 10);
    puppet_hand(&puppet, descriptor_record(&network));
    publish(3, NOW + 1000);
    puppet_hand(&puppet, descriptor_record(&network));
    host_run(&host, 12 * 60000);
    assert_int_equal(version_in_force(), 2);
}

/* A node whose file holds the next descriptor already must still start. */
static void a_node_starts_with_a_descriptor_that_is_not_in_force_yet(void **state)
{
    host_close(&far);
    publish(2, NOW + 60);
    assert_int_equal(host_open(&far, &network, 4, NULL), GV_OK);
}

int main(void)
{
#define STORY(name) cmocka_unit_test_setup_teardown(name, joined_up, stage_down)
    const struct CMUnitTest tests[] = {
        STORY(a_higher_version_is_taken_and_spread),
        STORY(a_new_descriptor_waits_for_its_time),
        STORY(descriptors_that_are_none),
        STORY(a_later_version_does_not_cancel_the_one_before),
        STORY(a_node_starts_with_a_descriptor_that_is_not_in_force_yet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
