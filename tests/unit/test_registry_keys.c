/* The registry's key is changed while it runs (SPEC 4.2): which key signs when, whose log it is,
 * who may renew early, and what the node does about it. The whole with running nodes:
 * tests/e2e/key_rotation.sh. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "helper_registry.h"
#include "node/base/keyfile.h"
#include "node/host/enroll.h"
#include "node/registry/commands.h"

static struct registry r;
static struct gv_identity next, alice, bob, carol;
static uint8_t wire[GV_CERTIFICATE_LEN];
static char word[32];

/* As `keys --rotate --lead 2h --overlap 1h` leaves it. */
static void rotate(void)
{
    uint8_t secret[GV_SECRET_LEN];
    struct gv_descriptor *d = &r.descriptor;
    char *path = gv_data_path(r.folder, GV_FILE_NEXT_KEY);

    assert_int_equal(gv_keyfile_create(secret, path, NULL), GV_OK);
    gv_identity_from_secret(&next, secret);
    free(path);
    d->version++;
    d->keys[0].until_min = REGISTRY_NOW + 180;
    memcpy(d->keys[1].key, next.sign_public, GV_KEY_LEN);
    d->keys[1].from_min = REGISTRY_NOW + 120;
    d->keys[1].until_min = REGISTRY_NOW + 2000000;
    d->key_count = 2;
    assert_int_equal(gv_write_descriptor(d, r.folder, r.root.sign_secret, NULL), GV_OK);
}

static int setup(void **state)
{
    registry_make(&r);
    r.settings.enroll_per_client_hour = 100;
    registry_start(&r);
    registry_identity(&alice, 1);
    registry_identity(&bob, 2);
    registry_identity(&carol, 3);
    return 0;
}

static int teardown(void **state)
{
    registry_remove(&r);
    return 0;
}

static void turn_clock(unsigned minutes)
{
    registry_clock_ms += minutes * 60000ULL;
}

/* registry_post checks the certificate against r.signer. */
static struct gv_certificate join(const struct gv_identity *who, const char *email)
{
    struct gv_certificate certificate;

    registry_join(&r, who, email, wire);
    assert_int_equal(gv_certificate_parse(&certificate, wire, sizeof wire), GV_OK);
    return certificate;
}

static unsigned renew(const struct gv_identity *who, const struct gv_certificate *held)
{
    struct gv_proof proof = {.kind = GV_PROOF_RENEW};

    memcpy(proof.certificate, held->id, GV_ID_LEN);
    return registry_post(&r, "/v1/renew", registry_signed(&r, who, &proof), word, wire);
}

static struct gv_log_head head(void)
{
    struct gv_fetch_result result;
    struct gv_log_head opened;

    registry_fetch(&r, &result, "/v1/log/head", NULL);
    assert_int_equal(result.status, 200);
    assert_int_equal(gv_log_head_open(&opened, NULL, &r.descriptor, result.body, result.len),
                     GV_OK);
    gv_fetch_result_free(&result);
    return opened;
}

static size_t entries(uint32_t signer)
{
    struct gv_fetch_result result;
    char path[64];

    snprintf(path, sizeof path, "/v1/log/entries?log=%08x&from=0", signer);
    registry_fetch(&r, &result, path, NULL);
    size_t count = result.len / GV_LOG_ENTRY_LEN;
    gv_fetch_result_free(&result);
    return count;
}

static void the_new_key_signs_from_its_minute_on(void **state)
{
    uint32_t old = gv_certificate_signer(r.signer.sign_public);

    struct gv_certificate first = join(&alice, "alice@example.org");
    assert_int_equal(head().signer, old);
    rotate();
    uint32_t fresh = gv_certificate_signer(next.sign_public);
    assert_int_equal(join(&bob, "bob@example.org").signer, old); /* not yet */
    assert_int_equal(renew(&alice, &first), 409);
    assert_string_equal(word, "early");
    turn_clock(119);
    assert_int_equal(head().signer, old);
    turn_clock(1);
    r.signer = next; /* what the answers below are checked with */
    assert_int_equal(join(&carol, "carol@example.org").signer, fresh);
    /* A log of its own, and the old one stays as it was. */
    struct gv_log_head of_next = head();
    assert_int_equal(of_next.signer, fresh);
    assert_int_equal(of_next.size, 1);
    assert_int_equal(entries(fresh), 1);
    assert_int_equal(entries(old), 2);
    /* Long before half life: the key was changed. But once only. */
    assert_int_equal(renew(&alice, &first), 200);
    struct gv_certificate second;
    assert_int_equal(gv_certificate_parse(&second, wire, sizeof wire), GV_OK);
    assert_int_equal(second.signer, fresh);
    assert_int_equal(second.since_min, first.since_min);
    assert_true(second.placement == first.placement);
    assert_int_equal(renew(&alice, &second), 409);
    assert_string_equal(word, "early");
}

static unsigned head_status(const struct gv_identity *key)
{
    struct gv_fetch_result result;
    char path[64];

    snprintf(path, sizeof path, "/v1/log/head?log=%08x", gv_certificate_signer(key->sign_public));
    registry_fetch(&r, &result, path, NULL);
    gv_fetch_result_free(&result);
    return result.status;
}

/* Whoever asks for the log of a key that is only announced finds no trouble of the registry's. */
static void a_key_that_does_not_sign_yet_has_no_log(void **state)
{
    rotate();
    assert_int_equal(head_status(&next), 404);
    assert_int_equal(head_status(&r.signer), 200);
    turn_clock(59);
    assert_int_equal(head_status(&next), 404);
    turn_clock(61);
    assert_int_equal(head_status(&next), 200); /* empty, and signed */
}

static void a_restart_goes_on_with_the_right_key(void **state)
{
    rotate();
    registry_stop(&r);
    registry_start(&r);
    join(&alice, "alice@example.org"); /* by the old one, as registry_join checks */
    turn_clock(130);
    registry_stop(&r);
    registry_start(&r);
    r.signer = next;
    join(&bob, "bob@example.org");
    assert_int_equal(head().signer, gv_certificate_signer(next.sign_public));
}

/* A process of the registry that has the descriptor and not the key goes on with the old one until
 * that is over, and then signs nothing that nobody would accept. */
static void without_the_new_key_nothing_is_signed_after_the_overlap(void **state)
{
    struct gv_proof proof = {
        .kind = GV_PROOF_ENROLL, .email = "bob@example.org", .terms = "2026-11"};
    struct gv_proof confirm = {.kind = GV_PROOF_CONFIRM};
    char text[4096], code[16], *path = gv_data_path(r.folder, GV_FILE_NEXT_KEY);

    rotate();
    assert_int_equal(remove(path), 0);
    free(path);
    turn_clock(179);
    join(&alice, "alice@example.org");
    turn_clock(2);
    assert_int_equal(registry_post(&r, "/v1/enroll", registry_signed(&r, &bob, &proof), word, wire),
                     202);
    registry_mails(&r, text, sizeof text, code);
    confirm.code = code;
    assert_int_equal(
        registry_post(&r, "/v1/confirm", registry_signed(&r, &bob, &confirm), word, wire), 503);
}

/* Two keys at once are two logs to watch: for a change only. */
static void no_two_keys_are_signed_to_stay_beside_each_other(void **state)
{
    struct gv_descriptor *d = &r.descriptor;
    struct gv_text why = {""};

    rotate();
    uint32_t from = d->keys[1].from_min;
    d->keys[0].until_min = from + 2880;
    assert_int_equal(gv_write_descriptor(d, r.folder, r.root.sign_secret, &why), GV_OK);
    d->keys[0].until_min++;
    assert_int_equal(gv_write_descriptor(d, r.folder, r.root.sign_secret, &why), GV_ERR_FORBIDDEN);
    assert_non_null(strstr(why.text, "keys --rotate"));
    /* Named within one minute, it is the earlier in the list that has to end. */
    d->keys[1].from_min = d->keys[0].from_min;
    d->keys[0].until_min = d->keys[0].from_min + 60;
    assert_int_equal(gv_write_descriptor(d, r.folder, r.root.sign_secret, &why), GV_OK);
    d->keys[0].until_min = d->keys[1].until_min;
    assert_int_equal(gv_write_descriptor(d, r.folder, r.root.sign_secret, &why), GV_ERR_FORBIDDEN);
    /* One that is found in the place of the named ones takes over at once. */
    d->key_count = 1;
    d->keys[0].until_min = REGISTRY_NOW + 1000000;
    assert_int_equal(gv_set_registry_key(d, next.sign_public, REGISTRY_NOW), GV_OK);
    assert_int_equal(d->keys[0].until_min, REGISTRY_NOW + 1440);
    assert_int_equal(gv_write_descriptor(d, r.folder, r.root.sign_secret, &why), GV_OK);
}

static void name_key(const struct gv_identity *key, uint32_t from_min, uint32_t until_min)
{
    struct gv_registry_key *named = &r.descriptor.keys[r.descriptor.key_count++];

    memcpy(named->key, key->sign_public, GV_KEY_LEN);
    named->from_min = from_min;
    named->until_min = until_min;
}

static int run_rotation(void)
{
    char name[] = "keys", data[] = "--data", rotation[] = "--rotate";
    char *words[] = {name, data, r.folder, rotation, NULL};

    return gv_command_keys(4, words);
}

static void read_key(struct gv_identity *out, const char *name)
{
    uint8_t secret[GV_SECRET_LEN];
    char *path = gv_data_path(r.folder, name);

    assert_int_equal(gv_keyfile_read(secret, path, NULL), GV_OK);
    gv_identity_from_secret(out, secret);
    free(path);
}

/* The tools of the past let two keys stay beside each other for as long as they liked. Nothing
 * changes that any more, and it keeps nobody from signing: by the program's own clock, which this
 * one's times are made of. */
static void a_long_overlap_in_the_past_is_past(void **state)
{
    struct gv_descriptor *d = &r.descriptor;
    uint32_t now = gv_now_min(), days = 1440;
    struct gv_text why = {""};
    struct gv_identity held;
    struct gv_buf signed_one;
    char *path;

    rotate();
    d->activation_min = now;
    d->keys[0].from_min = now - 300 * days;
    d->keys[0].until_min = now - days;
    d->keys[1].from_min = now - 200 * days;
    d->keys[1].until_min = now + 500 * days;
    assert_int_equal(gv_write_descriptor(d, r.folder, r.root.sign_secret, &why), GV_OK);
    d->keys[0].until_min = now + 2 * days; /* what is left of it is no longer than it may be */
    assert_int_equal(gv_write_descriptor(d, r.folder, r.root.sign_secret, &why), GV_OK);
    d->keys[0].until_min++;
    assert_int_equal(gv_write_descriptor(d, r.folder, r.root.sign_secret, &why), GV_ERR_FORBIDDEN);
    /* A key that begins later would be beside the new one: refused, and no key is lost for it. */
    d->keys[0].until_min = now - days;
    d->keys[1].until_min = now + 30 * days;
    name_key(&carol, now + 30 * days, now + 900 * days);
    assert_int_equal(gv_write_descriptor(d, r.folder, r.root.sign_secret, &why), GV_OK);
    assert_int_not_equal(run_rotation(), 0);
    read_key(&held, GV_FILE_REGISTRY_KEY);
    assert_memory_equal(held.sign_public, r.signer.sign_public, GV_KEY_LEN);
    read_key(&held, GV_FILE_NEXT_KEY);
    assert_memory_equal(held.sign_public, next.sign_public, GV_KEY_LEN);
    /* Without it there is nothing against a rotation. */
    d->key_count = 2;
    assert_int_equal(gv_write_descriptor(d, r.folder, r.root.sign_secret, &why), GV_OK);
    assert_int_equal(run_rotation(), 0);
    read_key(&held, GV_FILE_REGISTRY_KEY);
    assert_memory_equal(held.sign_public, next.sign_public, GV_KEY_LEN);
    read_key(&held, GV_FILE_NEXT_KEY);
    path = gv_data_path(r.folder, GV_FILE_DESCRIPTOR);
    gv_buf_init(&signed_one);
    assert_int_equal(gv_descriptor_read(d, &signed_one, path, &why), GV_OK);
    gv_buf_free(&signed_one);
    free(path);
    assert_int_equal(d->key_count, 3);
    assert_memory_equal(d->keys[2].key, held.sign_public, GV_KEY_LEN);
    assert_true(d->keys[1].until_min <= d->keys[2].from_min + 2 * days);
}

static unsigned health(void)
{
    struct gv_fetch_result result;

    registry_fetch(&r, &result, "/v1/health", NULL);
    gv_fetch_result_free(&result);
    return result.status;
}

/* Nobody thinks of it after three years: it is said before, and a registry that can issue nothing
 * does not call itself well. */
static void the_end_of_the_last_key_is_announced(void **state)
{
    struct gv_text what;

    rotate();
    registry_stop(&r);
    registry_start(&r);
    const struct gv_descriptor *d = &r.registrar->descriptor;
    const struct gv_signers *signers = &r.registrar->signers;
    uint32_t end = d->keys[1].until_min;
    assert_false(gv_signers_end(&what, signers, d, d->keys[0].until_min - 1)); /* one follows */
    assert_false(gv_signers_end(&what, signers, d, end - 90 * 1440 - 1));
    assert_true(gv_signers_end(&what, signers, d, end - 90 * 1440));
    assert_non_null(strstr(what.text, "keys --rotate before that"));
    assert_true(gv_signers_end(&what, signers, d, end));
    assert_non_null(strstr(what.text, "nothing can be issued"));
    turn_clock(end - REGISTRY_NOW - 1);
    assert_int_equal(health(), 200);
    turn_clock(1);
    assert_int_equal(health(), 503);
}

/* ---- the node ------------------------------------------------------------------------------- */

static void a_node_renews_when_its_key_was_followed(void **state)
{
    struct gv_certificate c = {.issued_min = 29000000, .expires_min = 29000000 + 129600};
    struct gv_descriptor d = {.key_count = 1};
    uint64_t half = 60ULL * (29000000 + 64800);

    d.keys[0].from_min = 28000000;
    memcpy(d.keys[0].key, alice.sign_public, GV_KEY_LEN);
    c.signer = gv_certificate_signer(alice.sign_public);
    assert_int_equal(gv_enroll_renewal_s(&c, &d), half); /* nothing follows */
    d.key_count = 2;
    d.keys[1].from_min = 29010000;
    memcpy(d.keys[1].key, bob.sign_public, GV_KEY_LEN);
    assert_int_equal(gv_enroll_renewal_s(&c, &d), 60ULL * 29010000);
    c.id[0] = 0x80; /* spread over a day */
    assert_int_equal(gv_enroll_renewal_s(&c, &d), 60ULL * 29010000 + 43200);
    d.keys[1].from_min = 29100000; /* after half life: half life it is */
    assert_int_equal(gv_enroll_renewal_s(&c, &d), half + 43200);
    c.signer = gv_certificate_signer(bob.sign_public);
    assert_int_equal(gv_enroll_renewal_s(&c, &d), half + 43200);
    /* Named within the minute of the one before: the later named is the one that follows. */
    d.keys[1].from_min = d.keys[0].from_min;
    assert_int_equal(gv_enroll_renewal_s(&c, &d), half + 43200);
    c.signer = gv_certificate_signer(alice.sign_public);
    assert_int_equal(gv_enroll_renewal_s(&c, &d), 60ULL * 28000000 + 43200);
    c.signer = gv_certificate_signer(carol.sign_public); /* dropped: at once */
    assert_int_equal(gv_enroll_renewal_s(&c, &d), 0);
}

static int answered, error, revocations;
static void on_answer(void *context, const struct gv_enroll_answer *answer)
{
    answered = 1;
    error = answer->error;
}

static void on_revocation(void *context, const uint8_t *record, size_t len)
{
    revocations++;
}

static void revoke_by(const struct gv_identity *who, const struct gv_identity *signer)
{
    struct gv_revocation revocation = {.revoked_min = REGISTRY_NOW};
    struct gv_buf record;

    gv_buf_init(&record);
    memcpy(revocation.instance, who->id, GV_ID_LEN);
    assert_int_equal(
        gv_revocation_issue(&record, &revocation, signer->sign_secret, r.descriptor.network_id),
        GV_OK);
    assert_int_equal(gv_records_revoke(r.registrar->records, &revocation, record.data, record.len),
                     GV_OK);
    gv_buf_free(&record);
}

/* The first in the list is signed by a key that no descriptor names any more: those that follow are
 * heard all the same. */
static void revocations_of_a_dropped_key_hide_no_others(void **state)
{
    struct gv_enroll *enroll;
    struct gv_enroll_options options = {
        .loop = &r.loop, .registry_url = r.url, .identity = &carol, .unix_ms = registry_clock};

    join(&alice, "alice@example.org");
    join(&bob, "bob@example.org");
    revoke_by(&alice, &r.signer);
    rotate();
    turn_clock(200);
    revoke_by(&bob, &next);
    r.descriptor.version++;
    gv_drop_key(&r.descriptor, 0);
    assert_int_equal(r.descriptor.key_count, 1);
    assert_int_equal(gv_write_descriptor(&r.descriptor, r.folder, r.root.sign_secret, NULL), GV_OK);
    assert_int_equal(gv_enroll_new(&enroll, &options), GV_OK);
    assert_int_equal(gv_enroll_fetch_descriptor(enroll, on_answer, NULL), GV_OK);
    registry_run(&r, &answered);
    assert_int_equal(error, GV_OK);
    answered = revocations = 0;
    assert_int_equal(gv_enroll_fetch_revocations(enroll, on_revocation, on_answer, NULL), GV_OK);
    registry_run(&r, &answered);
    assert_int_equal(error, GV_OK);
    assert_int_equal(revocations, 1);
    gv_enroll_free(enroll);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(the_new_key_signs_from_its_minute_on),
        T(a_key_that_does_not_sign_yet_has_no_log),
        T(a_restart_goes_on_with_the_right_key),
        T(without_the_new_key_nothing_is_signed_after_the_overlap),
        T(no_two_keys_are_signed_to_stay_beside_each_other),
        T(a_long_overlap_in_the_past_is_past),
        T(the_end_of_the_last_key_is_announced),
        T(a_node_renews_when_its_key_was_followed),
        T(revocations_of_a_dropped_key_hide_no_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
