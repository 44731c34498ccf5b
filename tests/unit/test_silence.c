/* `grapevine distrust TAG` (SPEC 11.5): an owner has no vote here, and here alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "helper_puppet.h"
#include "node/base/evidence.h"

#define NOW     STAGE_MINUTE
#define PUPPETS 3

static struct network network;
static struct host host, neighbour;
static struct puppet puppets[PUPPETS];
static struct gv_subject subject;

static void hear(struct gv_buf record)
{
    assert_int_equal(host_news(&host, record.data, record.len), GV_OK);
    assert_int_equal(host_news(&neighbour, record.data, record.len), GV_OK);
    gv_buf_free(&record);
}

static int stage_up(void **state)
{
    subject = subject_of(9);
    network_open(&network, 1, false);
    assert_int_equal(host_open(&host, &network, 1, NULL), GV_OK);
    assert_int_equal(host_open(&neighbour, &network, 20, NULL), GV_OK);
    for (unsigned i = 0; i < PUPPETS; i++) {
        puppet_make(&puppets[i], &network, 2 + i);
        hear(certificate_record(&puppets[i]));
    }
    return 0;
}

/* The same, where both have read their roster from their disks: their rows stand on a base, and are
 * copied before they change. */
static int stage_up_read(void **state)
{
    struct host *const both[] = {&host, &neighbour};

    stage_up(state);
    for (size_t i = 0; i < 2; i++) {
        struct gv_buf record = certificate_record(&puppets[0]);
        struct gv_event event = {.kind = GV_EVENT_LOADED};
        event.loaded.row = GV_ROW_RECORD;
        event.loaded.key = record.data; /* not looked at */
        event.loaded.value = record.data;
        event.loaded.value_len = record.len;
        (void)host_step(both[i], &event); /* it is known: the last row all the same */
        host_run(both[i], 1);
        gv_buf_free(&record);
    }
    return 0;
}

static int stage_down(void **state)
{
    for (unsigned i = 0; i < PUPPETS; i++)
        puppet_free(&puppets[i]);
    host_close(&host);
    host_close(&neighbour);
    network_close(&network);
    return 0;
}

static int command(enum gv_command what, const uint8_t owner[GV_ID_LEN])
{
    struct gv_event event = {.kind = GV_EVENT_COMMAND, .command = {.command = what}};

    memcpy(event.command.owner, owner, GV_ID_LEN);
    return host_step(&host, &event);
}

static int silence(unsigned puppet)
{
    return command(GV_COMMAND_SILENCE, puppets[puppet].facts.owner);
}

static uint32_t weight_at(const struct host *at)
{
    struct gv_verdict verdict;

    gv_core_verdict(at->core, &verdict, &subject);
    return verdict.weight;
}

static void an_owner_loses_his_vote_here_alone(void **state)
{
    for (unsigned i = 0; i < PUPPETS; i++)
        hear(puppet_signal_on(&puppets[i], 9, NOW));
    assert_int_equal(weight_at(&host), 3000);
    assert_int_equal(gv_core_unheard(host.core, &subject), 0);
    assert_int_equal(silence(0), GV_OK);
    assert_int_equal(gv_core_unheard(host.core, &subject), 1);
    assert_int_equal(gv_core_unheard(neighbour.core, &subject), 0);
    assert_true(gv_core_is_silenced(host.core, puppets[0].facts.owner));
    assert_int_equal(weight_at(&host), 2000);
    assert_int_equal(host_status(&host).untrusted, 1);
    assert_int_equal(silence(1), GV_OK);
    assert_int_equal(host_verdict(&host, &subject), GV_VERDICT_REPORTED);
    assert_int_equal(host_status(&host).untrusted, 0); /* judged at once */
    assert_int_equal(weight_at(&neighbour), 3000);
    assert_int_equal(command(GV_COMMAND_HEAR, puppets[0].facts.owner), GV_OK);
    assert_int_equal(host_verdict(&host, &subject), GV_VERDICT_UNTRUSTED);
    assert_int_equal(command(GV_COMMAND_HEAR, puppets[0].facts.owner), GV_ERR_NOT_FOUND);
    /* The sets are the same all the while. */
    assert_memory_equal(host_status(&host).set_fingerprint, host_status(&neighbour).set_fingerprint,
                        GV_ID_LEN);
}

static void what_he_says_later_has_none_either(void **state)
{
    assert_int_equal(silence(0), GV_OK);
    assert_int_equal(silence(0), GV_ERR_DUPLICATE);
    hear(puppet_signal_on(&puppets[0], 9, NOW));
    assert_int_equal(host_verdict(&host, &subject), GV_VERDICT_UNKNOWN);
    assert_int_equal(host_verdict(&neighbour, &subject), GV_VERDICT_REPORTED);
}

static void it_is_kept_and_holds_for_whoever_comes_later(void **state)
{
    struct puppet late;
    uint8_t key[1 + GV_ID_LEN] = {3};
    struct gv_event event = {.kind = GV_EVENT_LOADED};

    assert_int_equal(silence(0), GV_OK);
    assert_int_equal(host.persisted[GV_ROW_LIST], 1);
    /* As after a restart: the row is loaded, the certificate comes after it. */
    puppet_make(&late, &network, 8);
    memcpy(key + 1, late.facts.owner, GV_ID_LEN);
    event.loaded.row = GV_ROW_LIST;
    event.loaded.key = key;
    event.loaded.key_len = sizeof key;
    assert_int_equal(host_step(&host, &event), GV_OK);
    hear(certificate_record(&late));
    hear(puppet_signal_on(&late, 9, NOW));
    assert_int_equal(host_verdict(&host, &subject), GV_VERDICT_UNKNOWN);
    event.loaded.key_len--;
    assert_int_equal(host_step(&host, &event), GV_ERR_MALFORMED);
    puppet_free(&late);
}

static void ones_own_owner_keeps_his_vote_and_nobody_is_both(void **state)
{
    const uint8_t *owner = puppets[0].facts.owner;

    assert_int_equal(command(GV_COMMAND_SILENCE, host.facts.owner), GV_ERR_FORBIDDEN);
    assert_int_equal(command(GV_COMMAND_TRUST, owner), GV_OK);
    assert_int_equal(silence(0), GV_OK);
    assert_int_equal(command(GV_COMMAND_DISTRUST, owner), GV_ERR_NOT_FOUND); /* trusted no more */
}

/* Evidence is of the mesh's verdict: whoever verifies it knows nothing of this admin's wishes. */
static void evidence_has_his_vote(void **state)
{
    struct gv_evidence_file file;
    struct gv_descriptor descriptor;
    struct gv_verdict verdict;
    struct gv_text why;
    json_t *json;

    for (unsigned i = 0; i < PUPPETS; i++)
        hear(puppet_signal_on(&puppets[i], 9, NOW));
    assert_int_equal(silence(0), GV_OK);
    assert_int_equal(gv_evidence_write(&json, host.core, &subject), GV_OK);
    char *text = json_dumps(json, 0);
    json_decref(json);
    assert_int_equal(gv_evidence_open(&file, text, strlen(text), &why), GV_OK);
    assert_int_equal(gv_evidence_verify(&verdict, &descriptor, &file, &why), GV_OK);
    assert_int_equal(verdict.weight, 3000);
    gv_evidence_close(&file);
    free(text);
}

int main(void)
{
#define STORY(name) cmocka_unit_test_setup_teardown(name, stage_up, stage_down)
#define READ(name)  cmocka_unit_test_setup_teardown(name, stage_up_read, stage_down)
    const struct CMUnitTest tests[] = {
        READ(an_owner_loses_his_vote_here_alone),
        READ(what_he_says_later_has_none_either),
        READ(it_is_kept_and_holds_for_whoever_comes_later),
        READ(evidence_has_his_vote),
        STORY(an_owner_loses_his_vote_here_alone),
        STORY(what_he_says_later_has_none_either),
        STORY(it_is_kept_and_holds_for_whoever_comes_later),
        STORY(ones_own_owner_keeps_his_vote_and_nobody_is_both),
        STORY(evidence_has_his_vote),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
