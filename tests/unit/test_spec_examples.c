/* Every hex example of SPEC.md is what the code writes, and what the code writes is read back. The
 * inputs are those that SPEC.md names. Run with GV_PRINT=1 to print the blocks anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/certificate.h"
#include "crypto/error.h"
#include "proto/mesh/session.h"
#include "proto/mesh/set.h"
#include "proto/observation.h"
#include "proto/trust/short.h"
#include "proto/trust/signal.h"
#include "proto/merkle.h"
#include "proto/wire/log_head.h"
#include "proto/wire/messages.h"
#include "proto/wire/record.h"
#include "proto/wire/revocation.h"

#define MINUTE 29800000u /* 2026-08-29T10:40Z */

static struct gv_identity alice, registry, root;
static struct gv_descriptor descriptor;
static struct gv_certificate certificate;
static uint8_t certificate_wire[GV_CERTIFICATE_LEN];
static char *spec;

static void identity(struct gv_identity *out, uint8_t fill)
{
    uint8_t secret[GV_SECRET_LEN];

    memset(secret, fill, sizeof secret);
    gv_identity_from_secret(out, secret);
}

static char *read_spec(void)
{
    FILE *f = fopen(GV_SOURCE_DIR "/SPEC.md", "rb");
    char *text;
    long len;

    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    len = ftell(f);
    rewind(f);
    text = calloc(1, (size_t)len + 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, (size_t)len, f), (size_t)len);
    fclose(f);
    return text;
}

static int set_up(void **state)
{
    struct gv_buf wire;

    identity(&alice, 1);
    identity(&registry, 2);
    identity(&root, 3);
    descriptor.version = 1;
    descriptor.activation_min = descriptor.genesis_min = MINUTE - 200 * 1440;
    memcpy(descriptor.root_key, root.sign_public, GV_KEY_LEN);
    strcpy(descriptor.name, "example");
    descriptor.key_count = 1;
    memcpy(descriptor.keys[0].key, registry.sign_public, GV_KEY_LEN);
    descriptor.keys[0].from_min = descriptor.genesis_min;
    descriptor.keys[0].until_min = MINUTE + 2000 * 1440;
    strcpy(descriptor.registry_url, "https://registry.example.org");
    descriptor.seed_count = 1;
    strcpy(descriptor.seeds[0], "seed.example.org:4727");
    gv_policy_default(&descriptor.policy, false);
    strcpy(descriptor.terms, "2026-11");
    gv_buf_init(&wire);
    assert_int_equal(gv_descriptor_issue(&wire, &descriptor, root.sign_secret), GV_OK);
    gv_buf_free(&wire);
    memcpy(certificate.key, alice.sign_public, GV_KEY_LEN);
    memset(certificate.owner, 0xaa, GV_ID_LEN);
    certificate.placement = 0x0102030405060708;
    certificate.group = (uint64_t)GV_GROUP_AS << 56 | 64500;
    certificate.since_min = MINUTE - 100 * 1440;
    certificate.issued_min = MINUTE - 10 * 1440;
    certificate.expires_min = MINUTE + 80 * 1440;
    gv_certificate_issue(certificate_wire, &certificate, registry.sign_secret,
                         descriptor.network_id);
    spec = read_spec();
    return 0;
}

static int tear_down(void **state)
{
    free(spec);
    return 0;
}

/* The hex digits of the block "```hex NAME", without blanks. */
static char *block(const char *name)
{
    char head[80], *at, *end, *out;
    size_t n = 0;

    snprintf(head, sizeof head, "```hex %s\n", name);
    at = strstr(spec, head);
    if (!at)
        fail_msg("SPEC.md has no example '%s'", name);
    at += strlen(head);
    end = strstr(at, "```");
    assert_non_null(end);
    out = calloc(1, (size_t)(end - at) + 1);
    assert_non_null(out);
    for (; at < end; at++)
        if (*at != ' ' && *at != '\n')
            out[n++] = *at;
    return out;
}

static void check(const char *name, const uint8_t *data, size_t len)
{
    char *hex = calloc(1, 2 * len + 1), *said;

    assert_non_null(hex);
    for (size_t i = 0; i < len; i++)
        snprintf(hex + 2 * i, 3, "%02x", data[i]);
    if (getenv("GV_PRINT")) {
        printf("```hex %s\n", name);
        for (size_t i = 0; i < 2 * len; i += 80)
            printf("%.80s\n", hex + i);
        printf("```\n");
    } else {
        said = block(name);
        assert_string_equal(said, hex);
        free(said);
    }
    free(hex);
}

static void ids_are_as_written(void **state)
{
    check("instance key", alice.sign_public, GV_KEY_LEN);
    check("session key", alice.session_public, GV_KEY_LEN);
    check("instance id", alice.id, GV_ID_LEN);
    check("network id", descriptor.network_id, GV_KEY_LEN);
    check("certificate id", certificate.id, GV_ID_LEN);
}

static void the_certificate_is_as_written(void **state)
{
    struct gv_certificate parsed;

    check("certificate", certificate_wire, sizeof certificate_wire);
    assert_int_equal(gv_certificate_parse(&parsed, certificate_wire, sizeof certificate_wire),
                     GV_OK);
}

static void the_descriptor_is_as_written(void **state)
{
    struct gv_descriptor again = descriptor, opened;
    struct gv_buf wire;

    gv_buf_init(&wire);
    assert_int_equal(gv_descriptor_issue(&wire, &again, root.sign_secret), GV_OK);
    check("descriptor", wire.data, wire.len);
    assert_int_equal(gv_descriptor_open(&opened, NULL, wire.data, wire.len), GV_OK);
    gv_buf_free(&wire);
}

static struct gv_statement example_signal(void)
{
    struct gv_statement signal = {.kind = GV_STATEMENT_SIGNAL,
                                  .sequence = 1788000000123,
                                  .subject = {GV_FAMILY_IPV4, {198, 51, 100, 7}},
                                  .first_min = MINUTE - 30,
                                  .last_min = MINUTE,
                                  .count = 20,
                                  .services = GV_SERVICE_SUBMISSION | GV_SERVICE_IMAP,
                                  .kinds = GV_KIND_UNKNOWN_ACCOUNT};

    memcpy(signal.certificate, certificate.id, GV_ID_LEN);
    return signal;
}

static void sign(struct gv_buf *record, const struct gv_statement *statement)
{
    uint8_t kind = (uint8_t)statement->kind;

    gv_buf_append(record, &kind, 1);
    assert_int_equal(gv_statement_sign(record, statement, alice.sign_secret, descriptor.network_id),
                     GV_OK);
}

static void signals_are_as_written(void **state)
{
    struct gv_statement signal = example_signal(), retract = example_signal();
    struct gv_buf record, whole;
    struct gv_short read;
    uint8_t id[GV_ID_LEN], brief[GV_SHORT_MAX];

    gv_buf_init(&record);
    sign(&record, &signal);
    check("signal record", record.data, record.len);
    assert_int_equal(gv_record_id(id, record.data, record.len), GV_OK);
    check("signal record id", id, sizeof id);
    size_t len = gv_short_write(brief, &signal, record.data + 1, descriptor.genesis_min);
    check("short record", brief, len);
    assert_int_equal(gv_short_read(&read, brief, len, descriptor.genesis_min), GV_OK);
    gv_buf_init(&whole);
    assert_int_equal(gv_short_record(&whole, &read, certificate.id), GV_OK);
    assert_int_equal(whole.len, record.len);
    assert_memory_equal(whole.data, record.data, record.len);
    gv_buf_free(&whole);
    gv_buf_clear(&record);
    signal.subject = (struct gv_subject){GV_FAMILY_IPV6, {0x20, 1, 0xd, 0xb8, 0, 0, 0, 1}};
    sign(&record, &signal);
    check("signal record IPv6", record.data, record.len);
    gv_buf_clear(&record);
    retract.kind = GV_STATEMENT_RETRACT;
    retract.sequence++;
    retract.first_min = retract.last_min;
    retract.count = 0;
    retract.services = retract.kinds = 0;
    sign(&record, &retract);
    check("retract record", record.data, record.len);
    gv_buf_free(&record);
}

static void a_fault_proof_is_as_written(void **state)
{
    struct gv_statement signal = example_signal();
    struct gv_buf a, b, proof;
    const uint8_t kind = GV_RECORD_FAULT;

    gv_buf_init(&a);
    gv_buf_init(&b);
    gv_buf_init(&proof);
    sign(&a, &signal);
    signal.count = 50;
    sign(&b, &signal);
    gv_buf_append(&proof, &kind, 1);
    assert_int_equal(gv_fault_build(&proof, b.data + 1, b.len - 1, a.data + 1, a.len - 1), GV_OK);
    check("fault record", proof.data, proof.len);
    gv_buf_free(&a);
    gv_buf_free(&b);
    gv_buf_free(&proof);
}

static void roster_records_are_as_written(void **state)
{
    struct gv_revocation revocation = {.revoked_min = MINUTE, .reason = GV_REVOKED_ABUSE};
    struct gv_address_record address = {.minute = MINUTE};
    struct gv_buf record;
    uint8_t kind = GV_RECORD_REVOCATION;

    gv_buf_init(&record);
    memcpy(revocation.instance, alice.id, GV_ID_LEN);
    gv_buf_append(&record, &kind, 1);
    assert_int_equal(
        gv_revocation_issue(&record, &revocation, registry.sign_secret, descriptor.network_id),
        GV_OK);
    check("revocation record", record.data, record.len);
    gv_buf_clear(&record);
    memcpy(address.instance, alice.id, GV_ID_LEN);
    assert_int_equal(gv_address_parse(&address.address, "203.0.113.5:4727", 16), GV_OK);
    kind = GV_RECORD_ADDRESS;
    gv_buf_append(&record, &kind, 1);
    assert_int_equal(
        gv_address_record_sign(&record, &address, alice.sign_secret, descriptor.network_id), GV_OK);
    check("address record", record.data, record.len);
    gv_buf_free(&record);
}

static void the_log_is_as_written(void **state)
{
    struct gv_log_head head = {.size = 1, .minute = MINUTE + 20};
    uint8_t entry[GV_LOG_ENTRY_LEN], kind = GV_RECORD_LOG_HEAD;
    struct gv_buf record;

    gv_log_entry(entry, &certificate);
    check("log entry", entry, sizeof entry);
    gv_merkle_leaf(head.root, entry, sizeof entry); /* of a tree of one */
    gv_buf_init(&record);
    gv_buf_append(&record, &kind, 1);
    assert_int_equal(gv_log_head_issue(&record, &head, registry.sign_secret, descriptor.network_id),
                     GV_OK);
    check("log head record", record.data, record.len);
    gv_buf_free(&record);
}

static void check_message(const char *name, struct gv_buf *message, enum gv_message_kind kind)
{
    static struct gv_message read;
    size_t used;

    check(name, message->data, message->len);
    assert_int_equal(gv_message_read(&read, &used, message->data, message->len), GV_OK);
    assert_int_equal(used, message->len);
    assert_int_equal(read.kind, kind);
    gv_buf_clear(message);
}

static void messages_are_as_written(void **state)
{
    struct gv_statement signal = example_signal();
    struct gv_buf message, record;
    uint8_t ids[2 * GV_ID_LEN], fingerprint[GV_ID_LEN], marks[2 * GV_MARK_LEN];
    struct gv_range ranges[3] = {
        {.high = {.minute = MINUTE, .id = {0x80}}, .mode = GV_RANGE_FINGERPRINT},
        {.high = {.minute = MINUTE + 1}, .mode = GV_RANGE_SKIP},
        {.high = {.minute = UINT32_MAX}, .mode = GV_RANGE_IDS, .count = 2}};

    memset(ids, 0x11, GV_ID_LEN);
    memset(ids + GV_ID_LEN, 0x22, GV_ID_LEN);
    memset(fingerprint, 0x33, sizeof fingerprint);
    ranges[0].data = fingerprint;
    ranges[2].data = ids;
    gv_buf_init(&message);
    gv_buf_init(&record);
    gv_message_hello(&message, GV_PROTOCOL_VERSION, 1788000000123, "grapevine/0.1.0");
    check_message("HELLO", &message, GV_MESSAGE_HELLO);
    gv_message_ping(&message, GV_MESSAGE_PING, 300);
    check_message("PING", &message, GV_MESSAGE_PING);
    gv_message_ping(&message, GV_MESSAGE_PONG, 300);
    check_message("PONG", &message, GV_MESSAGE_PONG);
    sign(&record, &signal);
    gv_message_records_start(&message, 1);
    gv_message_record(&message, record.data, record.len);
    check_message("RECORDS", &message, GV_MESSAGE_RECORDS);
    gv_message_ids(&message, GV_MESSAGE_ACK, ids, 1);
    check_message("ACK", &message, GV_MESSAGE_ACK);
    gv_message_ids(&message, GV_MESSAGE_WANT, ids, 2);
    check_message("WANT", &message, GV_MESSAGE_WANT);
    gv_message_reconcile(&message, GV_TREE_STATEMENTS, MINUTE - 1430, ranges, 3);
    check_message("RECONCILE", &message, GV_MESSAGE_RECONCILE);
    gv_message_goodbye(&message, GV_GOODBYE_DUPLICATE);
    check_message("GOODBYE", &message, GV_MESSAGE_GOODBYE);
    gv_message_errand(&message);
    check_message("ERRAND", &message, GV_MESSAGE_ERRAND);
    gv_message_whisper_start(&message, 1);
    gv_message_record(&message, record.data, record.len);
    check_message("WHISPER", &message, GV_MESSAGE_WHISPER);
    gv_message_ask(&message, &signal.subject);
    check_message("ASK", &message, GV_MESSAGE_ASK);
    gv_message_prune(&message, 0x81);
    check_message("PRUNE", &message, GV_MESSAGE_PRUNE);
    gv_set_mark(marks, ids, 7);
    gv_set_mark(marks + GV_MARK_LEN, ids + GV_ID_LEN, 2);
    gv_message_offer(&message, marks, 2);
    check_message("OFFER", &message, GV_MESSAGE_OFFER);
    gv_message_graft(&message, 0x04, marks + GV_MARK_LEN, 1);
    check_message("GRAFT", &message, GV_MESSAGE_GRAFT);
    gv_message_follow(&message, true);
    check_message("FOLLOW", &message, GV_MESSAGE_FOLLOW);
    gv_message_locks(
        &message,
        (struct gv_told_lock[]){{{GV_FAMILY_IPV4, {198, 51, 100, 7}}, 3600},
                                {{GV_FAMILY_IPV6, {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 1}}, 0}},
        2);
    check_message("LOCKS", &message, GV_MESSAGE_LOCKS);
    gv_message_flow(&message,
                    &(struct gv_flow){.size = 3, .bounced = 9, .deferred = 4, .rejected = 5});
    check_message("FLOW", &message, GV_MESSAGE_FLOW);
    gv_buf_free(&message);
    gv_buf_free(&record);
}

/* One whole handshake and the first frame, with the ephemeral keys that SPEC.md names. */
static void the_handshake_is_as_written(void **state)
{
    struct gv_session_self self = {.identity = &alice,
                                   .certificate = certificate_wire,
                                   .descriptor = &descriptor,
                                   .now_min = MINUTE};
    struct gv_session a, b;
    struct gv_buf wire, plain, hello;
    struct gv_drbg drbg_a, drbg_b, drbg_copy;
    uint8_t seed[GV_SEED_LEN] = {0}, ephemeral[GV_KEY_LEN];

    gv_buf_init(&wire);
    gv_buf_init(&plain);
    gv_buf_init(&hello);
    gv_drbg_init(&drbg_a, seed);
    seed[0] = 1;
    gv_drbg_init(&drbg_b, seed);
    drbg_copy = drbg_a;
    gv_drbg_fill(&drbg_copy, ephemeral, sizeof ephemeral);
    check("ephemeral secret of the initiator", ephemeral, sizeof ephemeral);
    drbg_copy = drbg_b;
    gv_drbg_fill(&drbg_copy, ephemeral, sizeof ephemeral);
    check("ephemeral secret of the responder", ephemeral, sizeof ephemeral);
    assert_int_equal(gv_session_start(&a, true, &wire, &self, &drbg_a), GV_OK);
    check("handshake frame 1", wire.data, wire.len);
    assert_int_equal(gv_session_start(&b, false, &plain, &self, &drbg_b), GV_OK);
    gv_session_take(&b, wire.data, wire.len);
    gv_buf_clear(&wire);
    assert_int_equal(gv_session_work(&b, &wire, &plain, &self), GV_OK);
    check("handshake frame 2", wire.data, wire.len);
    gv_session_take(&a, wire.data, wire.len);
    gv_buf_clear(&wire);
    assert_int_equal(gv_session_work(&a, &wire, &plain, &self), GV_OK);
    check("handshake frame 3", wire.data, wire.len);
    gv_session_take(&b, wire.data, wire.len);
    gv_buf_clear(&wire);
    assert_int_equal(gv_session_work(&b, &wire, &plain, &self), GV_OK);
    assert_true(a.open && b.open);
    gv_message_hello(&hello, GV_PROTOCOL_VERSION, 1788000000123, "grapevine/0.1.0");
    assert_int_equal(gv_session_seal(&a, &wire, hello.data, hello.len), GV_OK);
    check("transport frame", wire.data, wire.len);
    gv_session_take(&b, wire.data, wire.len);
    assert_int_equal(gv_session_work(&b, &wire, &plain, &self), GV_OK);
    assert_int_equal(plain.len, hello.len);
    assert_memory_equal(plain.data, hello.data, hello.len);
    gv_session_end(&a);
    gv_session_end(&b);

    /* The same initiator, told to come again. */
    uint8_t frame[2 + GV_CHALLENGE_LEN] = {0, GV_CHALLENGE_LEN};
    memset(frame + 2, 0x43, GV_COOKIE_LEN);
    memcpy(frame + 2 + GV_COOKIE_LEN, alice.session_public, GV_KEY_LEN);
    check("challenge frame", frame, sizeof frame);
    seed[0] = 0;
    gv_drbg_init(&drbg_a, seed);
    gv_buf_clear(&wire);
    assert_int_equal(gv_session_start_again(&a, &wire, &self, &drbg_a, frame + 2), GV_OK);
    check("admission frame", wire.data, wire.len);
    gv_session_end(&a);
    gv_buf_free(&wire);
    gv_buf_free(&plain);
    gv_buf_free(&hello);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_as_written),
        cmocka_unit_test(the_certificate_is_as_written),
        cmocka_unit_test(the_descriptor_is_as_written),
        cmocka_unit_test(signals_are_as_written),
        cmocka_unit_test(a_fault_proof_is_as_written),
        cmocka_unit_test(roster_records_are_as_written),
        cmocka_unit_test(the_log_is_as_written),
        cmocka_unit_test(messages_are_as_written),
        cmocka_unit_test(the_handshake_is_as_written),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
