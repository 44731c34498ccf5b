/* Bytes on a link, in every state of it (SPEC 5, 6, 7): arbitrary ones to a stranger's link and to
 * one that the core dialled, handshakes with arbitrary payloads and with changed frames, and after
 * the handshake arbitrary plaintext and messages built from the input, sealed for real. The puppet
 * at the other end decodes all that the core answers, so that is checked as well. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/helper_puppet.h"
#include "input.h"
#include "crypto/error.h"
#include "proto/limits.h"
#include "proto/wire/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct network network;
static struct host host;
static struct puppet puppet, other;

static const uint8_t *take_bytes(struct input *in, size_t *len)
{
    const uint8_t *at = in->data;

    *len = *len < in->left ? *len : in->left;
    in->data += *len;
    in->left -= *len;
    return at;
}

/* ---- before the handshake is done ------------------------------------------------------------ */

static void raw_stranger(struct input *in)
{
    struct gv_address address = make_address(50);

    puppet_knock(&puppet, &host, &address);
    while (in->left > 0 && !puppet.closed) {
        size_t len = take(in) + 1u;
        const uint8_t *bytes = take_bytes(in, &len);
        host_bytes(&host, puppet.link, bytes, len);
    }
}

/* The core has dialled: whatever comes is meant to be the second message. */
static void raw_answer(struct input *in)
{
    struct gv_event up = {.kind = GV_EVENT_CONNECTED};

    if (host.dial_count == 0)
        return;
    up.connected.link = host.dials[0].link;
    up.connected.remote = host.dials[0].address;
    host_step(&host, &up);
    host_bytes(&host, up.connected.link, in->data, in->left);
}

/* Any payload, truly encrypted. */
static void strange_payload(struct input *in)
{
    size_t len = 400;
    uint8_t mode = take(in);
    const uint8_t *bytes = take_bytes(in, &len);
    struct gv_buf payload;

    gv_buf_init(&payload);
    if (mode % 2) { /* ours, but for one byte */
        uint8_t signature[GV_SIGNATURE_LEN];
        gv_sign(signature, puppet.identity.sign_secret, "grapevine session 1",
                network.descriptor.network_id, puppet.identity.session_public, GV_KEY_LEN);
        gv_put_array(&payload, 2);
        gv_put_bin(&payload, puppet.certificate, GV_CERTIFICATE_LEN);
        gv_put_bin(&payload, signature, sizeof signature);
        if (len > 1)
            payload.data[bytes[0] % payload.len] ^= bytes[1];
    } else {
        gv_buf_append(&payload, bytes, len);
    }
    bool in_now = puppet_force(&puppet, &host, payload.data, payload.len);
    gv_assert(!in_now || (mode % 2 && (len < 2 || bytes[1] == 0)));
    gv_buf_free(&payload);
}

/* ---- after it -------------------------------------------------------------------------------- */

static void put_key(struct gv_buf *out, struct input *in)
{
    uint8_t pick = take(in);

    gv_put_u64(out, pick == 255 ? UINT32_MAX : STAGE_MINUTE - pick);
    gv_put_bin(out, "0123456789abcdef", take(in) % 17);
}

static void put_reconcile(struct gv_buf *out, struct input *in)
{
    uint32_t ranges = take(in) % 24;

    gv_put_array(out, 4);
    gv_put_u64(out, GV_MESSAGE_RECONCILE);
    gv_put_u64(out, take(in) % 2);
    gv_put_u64(out, take(in) ? STAGE_MINUTE - 1440 : 0);
    gv_put_array(out, ranges);
    for (uint32_t i = 0; i < ranges; i++) {
        size_t len = (take(in) % 4) * 16u;
        uint8_t mode = take(in) % 3;
        gv_put_array(out, 4);
        put_key(out, in);
        gv_put_u64(out, mode);
        len = mode == 0 ? 0 : mode == 1 ? 16 : len;
        uint8_t ids[48];
        memset(ids, take(in), sizeof ids);
        gv_put_bin(out, ids, len);
    }
}

static void put_records(struct gv_buf *out, struct input *in)
{
    uint32_t count = take(in) % 40;

    gv_message_records_start(out, count);
    for (uint32_t i = 0; i < count; i++) {
        struct gv_subject subject = subject_of(take(in));
        struct gv_statement s = puppet_signal(&puppet, &subject, STAGE_MINUTE - take(in));
        struct gv_buf record = sign_statement(&puppet, &s);
        gv_message_record(out, record.data, record.len);
        gv_buf_free(&record);
    }
}

static void put_trees(struct gv_buf *out, struct input *in)
{
    uint8_t marks[40 * GV_MARK_LEN];
    size_t count = take(in) % 40;
    uint8_t kind = take(in) % 3;

    memset(marks, take(in), sizeof marks);
    if (count == 39) {
        gv_message_errand(out);
        return;
    }
    if (count == 38) {
        struct gv_subject subject = subject_of(kind);
        gv_message_ask(out, &subject);
        return;
    }
    if (kind == 0)
        gv_message_prune(out, take(in));
    else if (kind == 1)
        gv_message_offer(out, marks, count + 1 > 40 ? 40 : count + 1);
    else
        gv_message_graft(out, take(in), marks, count);
}

static void say_something(struct input *in)
{
    struct gv_buf out;
    size_t len = take(in);

    gv_buf_init(&out);
    switch (len % 8) {
    case 0:
        put_reconcile(&out, in);
        break;
    case 1:
        put_records(&out, in);
        if (take(in) % 2 && out.len > 1)
            out.data[1] = GV_MESSAGE_WHISPER; /* the same shape */
        break;
    case 2:
        gv_message_ping(&out, GV_MESSAGE_PING, take(in));
        break;
    case 3:
        puppet_ask(&puppet, (enum gv_tree)(take(in) % 2));
        break;
    case 4:
        host_run(&host, take(in) * 1000u);
        break;
    case 5:
        put_trees(&out, in);
        break;
    default: {
        const uint8_t *bytes = take_bytes(in, &len);
        gv_buf_append(&out, bytes, len);
    }
    }
    if (out.len > 0 && out.len <= GV_FRAME_PLAIN_MAX && !puppet.closed)
        puppet_say(&puppet, out.data, out.len);
    puppet_work(&puppet);
    gv_buf_free(&out);
}

static void member(struct input *in, bool dialled)
{
    bool up = dialled ? puppet_answer(&puppet, &host) : puppet_connect(&puppet, &host);

    gv_assert(up);
    if (take(in) % 8)
        puppet_hello(&puppet);
    while (in->left > 0 && !puppet.closed)
        say_something(in);
    if (in->left > 0)
        host_bytes(&host, puppet.link, in->data, in->left);
}

/* The core works on as if nothing had been. */
static void still_serves(void)
{
    struct gv_subject subject = subject_of(999);

    gv_assert(puppet_join(&other, &host));
    host_fails(&host, &subject);
    puppet_work(&other);
    gv_assert(other.records[GV_RECORD_SIGNAL] > 0);
    gv_assert(host_verdict(&host, &subject) == GV_VERDICT_REPORTED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *seed = "11.2.7.7:4727";
    struct gv_settings settings = {.share = GV_SHARE_YES, .seeds = &seed, .seed_count = 1};
    struct input in = {data, size};

    network_open(&network, 1, true);
    puppet_make(&puppet, &network, 2);
    puppet_make(&other, &network, 3);
    gv_assert(host_open(&host, &network, 1, &settings) == GV_OK);
    host_run(&host, 1);
    switch (take(&in) % 5) {
    case 0:
        raw_stranger(&in);
        break;
    case 1:
        raw_answer(&in);
        break;
    case 2:
        strange_payload(&in);
        break;
    case 3:
        member(&in, true);
        break;
    default:
        member(&in, false);
    }
    still_serves();
    host_run(&host, 20000);
    puppet_free(&puppet);
    puppet_free(&other);
    host_close(&host);
    network_close(&network);
    return 0;
}
