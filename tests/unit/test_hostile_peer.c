/* Strangers and members that break the rules of the handshake, the frames and the messages
 * (SPEC 5, 6, 7). One core, and puppets that do what no honest peer does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "crypto/error.h"
#include "helper_stage.h"
#include "proto/limits.h"
#include "proto/wire/codec.h"

#define DAY (int)STAGE_DAY

/* The core said why, and went: it never counted this one as a member. */
static void assert_refused(int error)
{
    assert_true(puppet.closed);
    assert_int_equal(host.notes[GV_NOTE_HANDSHAKE_FAILED], 1);
    assert_int_equal(host.last[GV_NOTE_HANDSHAKE_FAILED].error, error);
    assert_int_equal(host.notes[GV_NOTE_PEER_UP], 0);
    assert_int_equal(puppet.heard.len, 0);
    assert_int_equal(host_status(&host).peers, 0);
    assert_int_equal(host_status(&host).links, 0);
    assert_false(host_knows(&host, puppet.identity.id, NULL));
}

/* Cut off for something invalid: said so, banned for ten minutes, welcome again after them. */
static void assert_punished(const char *what)
{
    if (!puppet.closed || puppet.goodbye != GV_GOODBYE_INVALID ||
        host.notes[GV_NOTE_PEER_REFUSED] != 1)
        fail_msg("%s: closed %d, goodbye %d, refused %u", what, puppet.closed, (int)puppet.goodbye,
                 host.notes[GV_NOTE_PEER_REFUSED]);
    assert_memory_equal(host.last[GV_NOTE_PEER_REFUSED].instance, puppet.identity.id, GV_ID_LEN);
    assert_int_equal(host_status(&host).links, 0);
}

/* ---- who gets in ---------------------------------------------------------------------------- */

static void a_member_is_let_in_and_greeted(void **state)
{
    assert_true(puppet_join(&puppet, &host));
    assert_int_equal(puppet.count[GV_MESSAGE_HELLO], 1);
    assert_int_equal(host_status(&host).peers, 1);
    assert_int_equal(host.notes[GV_NOTE_PEER_UP], 1);
    assert_true(host_knows(&host, puppet.identity.id, NULL));
    host_run(&host, 60000);
    assert_false(puppet.closed);
}

struct certificate_case {
    const char *name;
    int issued, expires; /* minutes from now */
    int error;
};

static const struct certificate_case certificate_cases[] = {
    {"fresh", 0, 90 * DAY, GV_OK},
    {"ten minutes ahead", 10, 90 * DAY, GV_OK},
    {"eleven minutes ahead", 11, 90 * DAY, GV_ERR_EARLY},
    {"a year ahead", 365 * DAY, 400 * DAY, GV_ERR_EARLY},
    {"just ended", -90 * DAY, -1, GV_OK},
    {"near the end of its grace", -99 * DAY, -30 * DAY + 1, GV_OK},
    {"beyond its grace", -99 * DAY, -30 * DAY - 1, GV_ERR_EXPIRED},
    {"long gone", -99 * DAY, -98 * DAY, GV_ERR_EXPIRED},
    {"before the registry key was in force", -101 * DAY, 90 * DAY, GV_ERR_SIGNER},
};

static void certificates_count_in_their_time_only(void **state)
{
    for (size_t i = 0; i < sizeof certificate_cases / sizeof *certificate_cases; i++) {
        const struct certificate_case *c = &certificate_cases[i];
        stage_down(NULL);
        stage_up(NULL);
        puppet.facts.since_min = network.descriptor.genesis_min - 10 * STAGE_DAY;
        puppet.facts.issued_min = (uint32_t)((int)STAGE_MINUTE + c->issued);
        puppet.facts.expires_min = (uint32_t)((int)STAGE_MINUTE + c->expires);
        puppet_certify(&puppet);
        bool in = puppet_connect(&puppet, &host);
        if (in != (c->error == GV_OK))
            fail_msg("%s: %s", c->name, in ? "let in" : "refused");
        if (c->error != GV_OK)
            assert_refused(c->error);
    }
}

static void a_certificate_of_an_unknown_registry_is_refused(void **state)
{
    struct network fake;

    network_open(&fake, 9, false);
    memcpy(network.registry_secret, fake.registry_secret, sizeof network.registry_secret);
    puppet_certify(&puppet);
    assert_false(puppet_connect(&puppet, &host));
    assert_refused(GV_ERR_SIGNER);
    network_close(&fake);
}

/* The four bytes of the signer are right; the signature is not. */
static void a_forged_certificate_is_refused(void **state)
{
    puppet.certificate[150] ^= 1;
    assert_false(puppet_connect(&puppet, &host));
    assert_refused(GV_ERR_SIGNATURE);
}

static void a_node_of_another_network_cannot_finish_a_handshake(void **state)
{
    struct network elsewhere;

    network_open(&elsewhere, 9, false);
    puppet.network = &elsewhere;
    puppet_certify(&puppet);
    /* The prologue differs already: it cannot even read what the core answers. */
    assert_false(puppet_connect(&puppet, &host));
    assert_int_equal(puppet.error, GV_ERR_DECRYPT);
    assert_int_equal(puppet.heard.len, 0);
    host_run(&host, GV_HANDSHAKE_MS);
    assert_true(puppet.closed);
    network_close(&elsewhere);
}

/* It knows our network id, and its own registry is ours by key; the certificate is of the other. */
static void a_certificate_signed_for_another_network_is_refused(void **state)
{
    struct gv_certificate facts = puppet.facts;
    uint8_t elsewhere[GV_KEY_LEN] = {1};

    gv_certificate_issue(puppet.certificate, &facts, network.registry_secret, elsewhere);
    assert_false(puppet_connect(&puppet, &host));
    assert_refused(GV_ERR_SIGNATURE);
}

static void a_stolen_certificate_is_worth_nothing_without_its_key(void **state)
{
    memcpy(puppet.certificate, other.certificate, GV_CERTIFICATE_LEN);
    assert_false(puppet_connect(&puppet, &host));
    assert_refused(GV_ERR_SIGNATURE);
}

static void put_payload(struct gv_buf *out, const uint8_t *certificate, size_t certificate_len,
                        const struct gv_identity *signer, const uint8_t *session_key,
                        size_t signature_len)
{
    uint8_t signature[GV_SIGNATURE_LEN + 1] = {0};

    gv_sign(signature, signer->sign_secret, "grapevine session 1", network.descriptor.network_id,
            session_key, GV_KEY_LEN);
    gv_put_array(out, 2);
    gv_put_bin(out, certificate, certificate_len);
    gv_put_bin(out, signature, signature_len);
}

/* Seen in a session of the victim's, shown again in one of another X25519 key. */
static void a_replayed_binding_is_refused(void **state)
{
    struct gv_buf payload;

    gv_buf_init(&payload);
    put_payload(&payload, other.certificate, GV_CERTIFICATE_LEN, &other.identity,
                other.identity.session_public, GV_SIGNATURE_LEN);
    assert_false(puppet_force(&puppet, &host, payload.data, payload.len));
    assert_refused(GV_ERR_SIGNATURE);
    gv_buf_free(&payload);
}

static void put_good(struct gv_buf *out)
{
    put_payload(out, puppet.certificate, GV_CERTIFICATE_LEN, &puppet.identity,
                puppet.identity.session_public, GV_SIGNATURE_LEN);
}

static void handshake_payloads_have_one_shape(void **state)
{
    uint8_t long_certificate[GV_CERTIFICATE_LEN + 1] = {0};
    struct gv_buf p;

    for (int i = 0; i < 10; i++) {
        stage_down(NULL);
        stage_up(NULL);
        memcpy(long_certificate, puppet.certificate, GV_CERTIFICATE_LEN);
        gv_buf_init(&p);
        int error = GV_ERR_MALFORMED;
        switch (i) {
        case 0: /* the control */
            put_good(&p);
            error = GV_OK;
            break;
        case 1: /* nothing at all: a peer without a certificate */
            break;
        case 2:
            put_good(&p);
            gv_buf_append(&p, "", 1);
            break;
        case 3:
            put_good(&p);
            p.len--;
            break;
        case 4:
            put_good(&p);
            p.data[0] = 0x93;
            gv_buf_append(&p, "", 1);
            break;
        case 5:
            put_payload(&p, puppet.certificate, GV_CERTIFICATE_LEN - 1, &puppet.identity,
                        puppet.identity.session_public, GV_SIGNATURE_LEN);
            break;
        case 6:
            put_payload(&p, long_certificate, sizeof long_certificate, &puppet.identity,
                        puppet.identity.session_public, GV_SIGNATURE_LEN);
            break;
        case 7:
            put_payload(&p, puppet.certificate, GV_CERTIFICATE_LEN, &puppet.identity,
                        puppet.identity.session_public, GV_SIGNATURE_LEN + 1);
            break;
        case 8: /* certificate of version 2 */
            puppet.certificate[0] = 2;
            put_good(&p);
            error = GV_ERR_VERSION;
            break;
        case 9: /* reserved bytes in use */
            puppet.certificate[85] = 1;
            put_good(&p);
            break;
        }
        bool in = puppet_force(&puppet, &host, p.data, p.len);
        if (in != (error == GV_OK))
            fail_msg("payload %d: %s", i, in ? "let in" : "refused");
        if (error != GV_OK)
            assert_refused(error);
        gv_buf_free(&p);
    }
}

/* SPEC 5.2: the initiator checks the responder's before it shows its own. */
static void a_core_that_dials_shows_nothing_to_an_impostor(void **state)
{
    const char *seed = "11.2.7.7:4727";
    struct gv_settings settings = {.share = GV_SHARE_YES, .seeds = &seed, .seed_count = 1};

    host_close(&host);
    assert_int_equal(host_open(&host, &network, 1, &settings), GV_OK);
    host_run(&host, 1);
    assert_int_equal(host.dial_count, 1);
    puppet.certificate[150] ^= 1;
    assert_false(puppet_answer(&puppet, &host));
    assert_refused(GV_ERR_SIGNATURE);
    assert_int_equal(host.bytes_out, 2 + GV_KEY_LEN); /* its ephemeral key */
}

/* ---- oneself, and twice --------------------------------------------------------------------- */

static void ones_own_id_at_the_other_end_is_told_and_closed(void **state)
{
    puppet_free(&puppet);
    puppet_make(&puppet, &network, 1);
    assert_false(puppet_connect(&puppet, &host));
    assert_true(puppet.closed);
    assert_int_equal(host.notes[GV_NOTE_SELF_ELSEWHERE], 1);
    assert_int_equal(host.notes[GV_NOTE_PEER_UP], 0);
    assert_int_equal(host.notes[GV_NOTE_HANDSHAKE_FAILED], 0);
    assert_int_equal(host_status(&host).peers, 0);
}

static void open_dialler(const char *const *seeds, size_t count)
{
    struct gv_settings settings = {.share = GV_SHARE_YES, .seeds = seeds, .seed_count = count};

    host_close(&host);
    assert_int_equal(host_open(&host, &network, 1, &settings), GV_OK);
    host_run(&host, 1);
}

static void a_connection_to_oneself_is_not_tried_again(void **state)
{
    const char *seed = "11.2.7.7:4727";

    open_dialler(&seed, 1);
    puppet_free(&puppet);
    puppet_make(&puppet, &network, 1);
    assert_false(puppet_answer(&puppet, &host));
    assert_int_equal(host.notes[GV_NOTE_SELF_ELSEWHERE], 1);
    host_run(&host, 3600000);
    assert_int_equal(host.dial_count, 0);
}

/* Two nodes dial each other at once: the session that the smaller id began stays, whichever was
 * done first (SPEC 5.3). `number` picks an id below or above the host's. */
static void meet_twice(unsigned number, bool inbound_first)
{
    const char *seed = "11.2.7.7:4727";
    struct puppet in, out;

    open_dialler(&seed, 1);
    puppet_make(&in, &network, number);
    puppet_make(&out, &network, number);
    bool host_smaller = memcmp(host.identity.id, in.identity.id, GV_ID_LEN) < 0;
    struct puppet *stays = host_smaller ? &out : &in, *goes = host_smaller ? &in : &out;
    if (inbound_first) {
        puppet_join(&in, &host);
        puppet_answer(&out, &host);
    } else {
        puppet_answer(&out, &host);
        puppet_join(&in, &host);
    }
    puppet_work(&in);
    puppet_work(&out);
    assert_false(stays->closed);
    assert_true(stays->open);
    assert_true(goes->closed);
    assert_int_equal(goes->goodbye, GV_GOODBYE_DUPLICATE);
    assert_int_equal(host_status(&host).peers, 1);
    assert_int_equal(host.notes[GV_NOTE_PEER_REFUSED], 0);
    puppet_free(&in);
    puppet_free(&out);
}

static void of_two_sessions_the_smaller_ids_stays(void **state)
{
    bool smaller = false, larger = false;

    for (unsigned number = 2; number < 40 && !(smaller && larger); number++) {
        struct gv_identity identity;
        make_identity(&identity, number);
        bool below = memcmp(identity.id, host.identity.id, GV_ID_LEN) < 0;
        if (below ? smaller : larger)
            continue;
        smaller = smaller || below;
        larger = larger || !below;
        meet_twice(number, true);
        meet_twice(number, false);
    }
    assert_true(smaller && larger);
}

static void of_two_that_the_same_side_began_the_newer_stays(void **state)
{
    struct puppet again;

    puppet_make(&again, &network, 2);
    assert_true(puppet_join(&puppet, &host));
    assert_true(puppet_join(&again, &host));
    puppet_work(&puppet);
    assert_true(puppet.closed);
    assert_int_equal(puppet.goodbye, GV_GOODBYE_DUPLICATE);
    assert_false(again.closed);
    assert_int_equal(host_status(&host).peers, 1);
    puppet_free(&again);
}

/* ---- frames --------------------------------------------------------------------------------- */

struct frame_case {
    const char *name;
    size_t declared, sent; /* length in the head; bytes that follow */
    bool ends;             /* at once */
};

static const struct frame_case handshake_frames[] = {
    {"empty", 0, 0, true},
    {"one byte", 1, 1, true},
    {"an ephemeral key cut short", 31, 31, true},
    {"the first message with a payload", 33, 33, true},
    {"512 bytes", 512, 512, true},
    {"513 bytes announced", 513, 0, true},
    {"65535 bytes announced", 65535, 0, true},
    {"half a frame", 32, 16, false},
    {"only half a head", 0, SIZE_MAX, false},
};

static void frames_of_a_stranger(void **state)
{
    uint8_t bytes[2 + 512];

    for (size_t i = 0; i < sizeof handshake_frames / sizeof *handshake_frames; i++) {
        const struct frame_case *c = &handshake_frames[i];
        struct gv_address address = make_address(50);
        stage_down(NULL);
        stage_up(NULL);
        memset(bytes, 9, sizeof bytes);
        bytes[0] = (uint8_t)(c->declared >> 8);
        bytes[1] = (uint8_t)c->declared;
        puppet_knock(&puppet, &host, &address);
        puppet_bytes(&puppet, bytes, c->sent == SIZE_MAX ? 1 : 2 + c->sent);
        if (puppet.closed != c->ends)
            fail_msg("%s: %s", c->name, puppet.closed ? "closed" : "not closed");
        assert_int_equal(host.bytes_out, 0);
        host_run(&host, GV_HANDSHAKE_MS);
        assert_true(puppet.closed);
        assert_int_equal(host_status(&host).links, 0);
    }
}

/* A low-order key would make the shared secret known to everybody. */
static void a_low_order_key_ends_the_handshake(void **state)
{
    uint8_t bytes[2 + GV_KEY_LEN] = {0, GV_KEY_LEN};
    struct gv_address address = make_address(50);

    puppet_knock(&puppet, &host, &address);
    puppet_bytes(&puppet, bytes, sizeof bytes);
    assert_true(puppet.closed);
    assert_int_equal(host.bytes_out, 0);
}

static void frames_of_a_member(void **state)
{
    static const struct {
        const char *name;
        size_t declared, sent;
    } cases[] = {{"empty", 0, 0},
                 {"one byte", 1, 1},
                 {"no room for a tag", 15, 15},
                 {"a tag of garbage", 16, 16},
                 {"garbage", 600, 600},
                 {"one more than allowed", GV_FRAME_MAX + 1, 0},
                 {"the most that two bytes say", 65535, 0}};
    uint8_t bytes[2 + 600];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        stage_down(NULL);
        stage_up(NULL);
        memset(bytes, 9, sizeof bytes);
        bytes[0] = (uint8_t)(cases[i].declared >> 8);
        bytes[1] = (uint8_t)cases[i].declared;
        assert_true(puppet_join(&puppet, &host));
        puppet_bytes(&puppet, bytes, 2 + cases[i].sent);
        assert_punished(cases[i].name);
    }
}

/* SPEC 6: a transport message is one or more whole messages. */
static void a_frame_without_a_message_ends_the_session(void **state)
{
    assert_true(puppet_join(&puppet, &host));
    puppet_say(&puppet, "", 0);
    assert_punished("a frame that says nothing");
}

static void the_longest_frame_is_taken_whole(void **state)
{
    static uint8_t plain[GV_FRAME_PLAIN_MAX + 1];
    static const uint8_t ping[3] = {0x92, GV_MESSAGE_PING, 7};
    static const uint8_t last[4] = {0x92, GV_MESSAGE_PING, 0xcc, 0x80};
    struct gv_buf wire;

    for (size_t at = 0; at + sizeof ping < GV_FRAME_PLAIN_MAX; at += sizeof ping)
        memcpy(plain + at, ping, sizeof ping);
    memcpy(plain + GV_FRAME_PLAIN_MAX - sizeof last, last, sizeof last);
    assert_true(puppet_join(&puppet, &host));
    puppet_say(&puppet, plain, GV_FRAME_PLAIN_MAX);
    assert_false(puppet.closed);
    assert_int_equal(puppet.count[GV_MESSAGE_PONG], GV_PINGS_PER_MINUTE); /* and not one more */
    gv_buf_init(&wire);
    assert_int_equal(gv_session_seal(&puppet.session, &wire, plain, GV_FRAME_PLAIN_MAX + 1),
                     GV_ERR_STATE);
    gv_buf_free(&wire);
}

static void seal_ping(struct gv_buf *wire, uint64_t number)
{
    struct gv_buf plain;

    gv_buf_init(&plain);
    gv_buf_init(wire);
    gv_message_ping(&plain, GV_MESSAGE_PING, number);
    assert_int_equal(gv_session_seal(&puppet.session, wire, plain.data, plain.len), GV_OK);
    gv_buf_free(&plain);
}

static void a_replayed_frame_ends_the_session(void **state)
{
    struct gv_buf wire;

    assert_true(puppet_join(&puppet, &host));
    seal_ping(&wire, 1);
    puppet_bytes(&puppet, wire.data, wire.len);
    assert_int_equal(puppet.count[GV_MESSAGE_PONG], 1);
    assert_false(puppet.closed);
    puppet_bytes(&puppet, wire.data, wire.len);
    assert_punished("replayed");
    gv_buf_free(&wire);
}

static void a_changed_frame_ends_the_session(void **state)
{
    struct gv_buf wire;

    for (size_t at = 2; at < 2 + 3 + GV_NOISE_TAG; at++) {
        stage_down(NULL);
        stage_up(NULL);
        assert_true(puppet_join(&puppet, &host));
        seal_ping(&wire, 1);
        wire.data[at] ^= 0x10;
        puppet_bytes(&puppet, wire.data, wire.len);
        assert_int_equal(puppet.count[GV_MESSAGE_PONG], 0);
        assert_punished("changed");
        gv_buf_free(&wire);
    }
}

static void a_lost_frame_ends_the_session(void **state)
{
    struct gv_buf wire;

    assert_true(puppet_join(&puppet, &host));
    seal_ping(&wire, 1);
    gv_buf_free(&wire); /* lost */
    seal_ping(&wire, 2);
    puppet_bytes(&puppet, wire.data, wire.len);
    assert_punished("out of order");
    gv_buf_free(&wire);
}

static void bytes_may_come_one_by_one(void **state)
{
    struct gv_buf wire;

    assert_true(puppet_join(&puppet, &host));
    seal_ping(&wire, 77);
    for (size_t i = 0; i < wire.len; i++)
        puppet_bytes(&puppet, wire.data + i, 1);
    assert_int_equal(puppet.pong, 77);
    gv_buf_free(&wire);
}

/* Both ciphers are rekeyed after every 224th message, and at no other time; a thousand pings cross
 * that four times in each direction. The puppet's session is the core's code, so what it does is
 * compared with Noise's own Rekey. */
static void a_session_is_rekeyed_and_lives_on(void **state)
{
    struct gv_noise_cipher key;
    struct gv_buf message;

    assert_true(puppet_join(&puppet, &host)); /* the HELLO is the first */
    for (uint64_t i = 2; i <= 1000; i++) {
        host_run(&host, 60000 / GV_PINGS_PER_MINUTE + 1); /* so that each is answered */
        key = puppet.session.send;
        gv_buf_init(&message);
        gv_message_ping(&message, GV_MESSAGE_PING, i);
        puppet_say_buf(&puppet, &message);
        assert_int_equal(puppet.pong, i);
        if (i % 224 == 0)
            gv_noise_rekey(&key);
        assert_memory_equal(puppet.session.send.key, key.key, GV_KEY_LEN);
    }
}

int main(void)
{
#define STORY(name) cmocka_unit_test_setup_teardown(name, stage_up, stage_down)
    const struct CMUnitTest tests[] = {
        STORY(a_member_is_let_in_and_greeted),
        STORY(certificates_count_in_their_time_only),
        STORY(a_certificate_of_an_unknown_registry_is_refused),
        STORY(a_forged_certificate_is_refused),
        STORY(a_node_of_another_network_cannot_finish_a_handshake),
        STORY(a_certificate_signed_for_another_network_is_refused),
        STORY(a_stolen_certificate_is_worth_nothing_without_its_key),
        STORY(a_replayed_binding_is_refused),
        STORY(handshake_payloads_have_one_shape),
        STORY(a_core_that_dials_shows_nothing_to_an_impostor),
        STORY(ones_own_id_at_the_other_end_is_told_and_closed),
        STORY(a_connection_to_oneself_is_not_tried_again),
        STORY(of_two_sessions_the_smaller_ids_stays),
        STORY(of_two_that_the_same_side_began_the_newer_stays),
        STORY(frames_of_a_stranger),
        STORY(a_low_order_key_ends_the_handshake),
        STORY(frames_of_a_member),
        STORY(a_frame_without_a_message_ends_the_session),
        STORY(the_longest_frame_is_taken_whole),
        STORY(a_replayed_frame_ends_the_session),
        STORY(a_changed_frame_ends_the_session),
        STORY(a_lost_frame_ends_the_session),
        STORY(bytes_may_come_one_by_one),
        STORY(a_session_is_rekeyed_and_lives_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
