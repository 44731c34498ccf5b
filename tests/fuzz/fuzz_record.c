/* Records (SPEC 8) of every kind into a core: as they come, and made of the input and signed for
 * real by one of four members or by the registry, so that the fuzzer gets behind the signature
 * checks. Nothing may break it, and whatever it holds it must be able to give away again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/helper_puppet.h"
#include "input.h"
#include "crypto/error.h"
#include "proto/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MEMBERS 4

static struct network network;
static struct puppet members[MEMBERS];
static struct host host;

static uint32_t take_minute(struct input *in)
{
    uint8_t byte = take(in);

    switch (byte % 4) {
    case 0:
        return STAGE_MINUTE + byte / 4 - 32;
    case 1:
        return STAGE_MINUTE - byte * 8u;
    case 2:
        return STAGE_MINUTE - byte * 1440u;
    default:
        return byte == 255 ? UINT32_MAX : STAGE_MINUTE + byte * 1440u;
    }
}

static struct gv_buf make_statement(struct input *in, struct puppet *by)
{
    struct gv_subject subject = subject_of(take(in) % 8);
    uint32_t minute = take_minute(in);
    struct gv_statement s = take(in) % 3 ? puppet_signal(by, &subject, minute)
                                         : puppet_retraction(by, &subject, minute);

    s.sequence = take(in) % 64 + 1u; /* collisions are the point */
    return sign_statement(by, &s);
}

static struct gv_buf make_fault(struct input *in, struct puppet *by)
{
    struct gv_buf a = make_statement(in, by), b = make_statement(in, by), proof;
    uint8_t kind = GV_RECORD_FAULT;

    gv_buf_init(&proof);
    gv_buf_append(&proof, &kind, 1);
    (void)gv_fault_build(&proof, a.data + 1, a.len - 1, b.data + 1, b.len - 1);
    gv_buf_append(&proof, "", 1 - (proof.len > 1));
    gv_buf_free(&a);
    gv_buf_free(&b);
    return proof;
}

static struct gv_buf make_certificate_record(struct input *in, struct puppet *of)
{
    struct puppet copy = *of;

    copy.facts.issued_min = take_minute(in);
    copy.facts.expires_min = copy.facts.issued_min + take(in) * 1440u + 1;
    copy.facts.since_min = copy.facts.issued_min - take(in);
    copy.facts.owner[0] = take(in) % 4;
    if (copy.facts.since_min > copy.facts.issued_min ||
        copy.facts.issued_min >= copy.facts.expires_min)
        copy.facts = of->facts;
    gv_certificate_issue(copy.certificate, &copy.facts, network.registry_secret,
                         network.descriptor.network_id);
    return certificate_record(&copy);
}

static struct gv_buf make_descriptor_record(struct input *in)
{
    struct network changed = network;

    gv_buf_init(&changed.wire);
    changed.descriptor.version = take(in) % 8 + 1u;
    changed.descriptor.activation_min = take_minute(in);
    changed.descriptor.policy.signals_per_hour = take(in) % 32 + 1u;
    changed.descriptor.lab = take(in) % 2;
    if (gv_descriptor_issue(&changed.wire, &changed.descriptor, network.root_secret) != GV_OK)
        gv_buf_append(&changed.wire, network.wire.data, network.wire.len);
    struct gv_buf record = descriptor_record(&changed);
    gv_buf_free(&changed.wire);
    return record;
}

static struct gv_buf make_record(struct input *in)
{
    uint8_t what = take(in);
    struct puppet *by = &members[what / 8 % MEMBERS];
    struct gv_address address = {.family = GV_FAMILY_IPV4, .port = 25};

    switch (what % 8) {
    case 0:
    case 1:
    case 2:
        return make_statement(in, by);
    case 3:
        return make_fault(in, by);
    case 4:
        return make_certificate_record(in, by);
    case 5:
        address.bytes[0] = take(in);
        address.bytes[1] = 9;
        return address_record(by, &address, take_minute(in));
    case 6:
        return revocation_record(&network, take(in) % 8 ? by->identity.id : host.identity.id,
                                 take_minute(in));
    default:
        return make_descriptor_record(in);
    }
}

static void give_raw(struct input *in)
{
    size_t len = take(in);
    static const uint8_t nothing[1];

    len = len < in->left ? len : in->left;
    host_news(&host, len ? in->data : nothing, len);
    in->data += len;
    in->left -= len;
}

static void give_made(struct input *in)
{
    struct gv_buf record = make_record(in);
    uint8_t change = take(in);

    if (change % 8 == 1) /* one byte is changed after signing */
        record.data[change * 31u % record.len] ^= (uint8_t)(1 + take(in) % 255);
    else if (change % 8 == 2)
        record.len = change * 31u % (record.len + 1);
    if (record.len > 0)
        host_news(&host, record.data, record.len);
    gv_buf_free(&record);
}

static void check(void)
{
    struct gv_core_status status = host_status(&host);

    gv_assert(status.reported + status.untrusted <= status.subjects);
    gv_assert(status.subjects <= status.statements);
    gv_assert(!host.effects.failed);
    for (unsigned i = 0; i < 8; i++) {
        struct gv_subject subject = subject_of(i);
        struct gv_verdict verdict;
        gv_core_verdict(host.core, &verdict, &subject);
        gv_assert(verdict.state != GV_VERDICT_UNTRUSTED || verdict.groups >= 2);
    }
}

static void begin(void)
{
    network_open(&network, 1, true);
    for (unsigned i = 0; i < MEMBERS; i++)
        puppet_make(&members[i], &network, 10 + i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};

    if (size > 4096)
        return 0;
    begin();
    gv_assert(host_open(&host, &network, 1, NULL) == GV_OK);
    for (unsigned i = 0; i + 1 < MEMBERS; i++) { /* the last one is not known at first */
        struct gv_buf record = certificate_record(&members[i]);
        host_news(&host, record.data, record.len);
        gv_buf_free(&record);
    }
    while (in.left > 0) {
        uint8_t order = take(&in);
        if (order < 32)
            give_raw(&in);
        else if (order < 40)
            host_run(&host, take(&in) * 60000ull);
        else
            give_made(&in);
    }
    check();
    host_run(&host, 2 * 3600000);
    check();
    host_close(&host);
    for (unsigned i = 0; i < MEMBERS; i++)
        puppet_free(&members[i]);
    network_close(&network);
    return 0;
}
