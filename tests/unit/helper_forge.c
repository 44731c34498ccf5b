#include "helper_forge.h"

#include <string.h>

#include "proto/limits.h"
#include "proto/observation.h"
#include "proto/wire/codec.h"

static uint64_t below(struct forger *forger, uint64_t bound)
{
    return gv_drbg_below(&forger->drbg, bound);
}

static void put_records(struct gv_buf *out, struct gv_buf record)
{
    gv_message_records_start(out, 1);
    gv_message_record(out, record.data, record.len);
    gv_buf_free(&record);
}

static struct gv_subject any_subject(struct forger *forger)
{
    return subject_of((unsigned)below(forger, 1u << 24));
}

/* A genuine statement of the victim's, or of the sender's, that nobody has seen. */
static struct gv_statement statement_of(struct forger *forger, struct puppet *author,
                                        uint32_t minute)
{
    struct gv_subject subject = any_subject(forger);

    return puppet_signal(author, &subject, minute);
}

static struct gv_buf genuine(struct forger *forger, struct puppet *author, uint32_t minute)
{
    struct gv_statement statement = statement_of(forger, author, minute);

    return sign_statement(author, &statement);
}

static void flip(struct forger *forger, uint8_t *data, size_t len)
{
    data[below(forger, len)] ^= (uint8_t)(1u << below(forger, 8));
}

struct gv_buf forged_signal(struct forger *forger)
{
    struct gv_buf record = genuine(forger, forger->victim, forger->minute);

    flip(forger, record.data + 1, GV_SIGNATURE_LEN);
    return record;
}

/* ---- dropped -------------------------------------------------------------------------------- */

static void random_ids(struct forger *forger, struct gv_buf *out, enum gv_message_kind kind)
{
    uint8_t ids[GV_IDS_PER_MESSAGE * GV_ID_LEN];
    size_t count = 1 + below(forger, GV_IDS_PER_MESSAGE);

    gv_drbg_fill(&forger->drbg, ids, count * GV_ID_LEN);
    gv_message_ids(out, kind, ids, count);
}

static void random_marks(struct forger *forger, struct gv_buf *out)
{
    uint8_t marks[GV_IDS_PER_MESSAGE * GV_MARK_LEN];
    size_t count = 1 + below(forger, GV_IDS_PER_MESSAGE);

    gv_drbg_fill(&forger->drbg, marks, count * GV_MARK_LEN);
    gv_message_offer(out, marks, count);
}

static void random_graft(struct forger *forger, struct gv_buf *out)
{
    uint8_t marks[GV_IDS_PER_MESSAGE * GV_MARK_LEN];
    size_t count = below(forger, GV_IDS_PER_MESSAGE + 1);

    gv_drbg_fill(&forger->drbg, marks, count * GV_MARK_LEN);
    gv_message_graft(out, (uint8_t)below(forger, 256), marks, count);
}

/* A valid RECONCILE about things that do not exist. */
static void random_reconcile(struct forger *forger, struct gv_buf *out)
{
    uint8_t data[4][32 * GV_ID_LEN];
    struct gv_range ranges[4] = {0};
    uint32_t count = 1 + (uint32_t)below(forger, 4), minute = forger->minute - 1000;

    gv_drbg_fill(&forger->drbg, data, sizeof data);
    for (uint32_t i = 0; i < count; i++) {
        minute += 1 + (uint32_t)below(forger, 300);
        ranges[i].high.minute = i + 1 == count ? UINT32_MAX : minute;
        ranges[i].mode = (enum gv_range_mode)below(forger, 3);
        ranges[i].data = data[i];
        ranges[i].count = ranges[i].mode == GV_RANGE_IDS ? 1 + below(forger, 32) : 0;
    }
    gv_message_reconcile(out, below(forger, 2) ? GV_TREE_STATEMENTS : GV_TREE_ROSTER,
                         forger->minute - 1000, ranges, count);
}

const char *forge_dropped(struct forger *forger, struct gv_buf *out, unsigned kind)
{
    struct gv_buf record;

    switch (kind < FORGED_DROPPED_KINDS ? kind : below(forger, FORGED_DROPPED_KINDS)) {
    case 0:
        gv_buf_init(&record);
        gv_buf_append(&record, forger->known.data, forger->known.len);
        put_records(out, record);
        return "a replayed record";
    case 1: /* the same words under a second signature make no second record */
        gv_buf_init(&record);
        gv_buf_append(&record, forger->known.data, forger->known.len);
        flip(forger, record.data + 1, GV_SIGNATURE_LEN);
        put_records(out, record);
        return "a replayed record with another signature";
    case 2: { /* 65: signature; 2: array head and kind; 2: head of the id */
        record = genuine(forger, forger->victim, forger->minute);
        flip(forger, record.data + 1 + GV_SIGNATURE_LEN + 4, GV_ID_LEN);
        put_records(out, record);
        return "a signal of an unknown certificate";
    }
    case 3:
        put_records(out, genuine(forger, forger->self, forger->minute - 1500));
        return "an expired signal";
    case 4:
        put_records(out, genuine(forger, forger->self, forger->minute + GV_AHEAD_MIN + 5));
        return "an early signal";
    case 5:
        random_ids(forger, out, GV_MESSAGE_WANT);
        return "a WANT of nothing";
    case 6:
        random_ids(forger, out, GV_MESSAGE_ACK);
        return "an ACK of nothing";
    case 7:
        gv_message_ping(out, GV_MESSAGE_PING, below(forger, UINT32_MAX));
        return "a PING";
    case 8:
        gv_message_prune(out, (uint8_t)below(forger, 256));
        random_graft(forger, out);
        return "a PRUNE and a GRAFT of nothing";
    case 10: {
        struct gv_subject subject = {.family = GV_FAMILY_IPV4};
        gv_drbg_fill(&forger->drbg, subject.bytes, 4);
        gv_message_ask(out, &subject);
        return "a question about anybody";
    }
    case 11:
        gv_message_whisper_start(out, 1);
        gv_message_record(out, forger->known.data, forger->known.len);
        return "a replayed record as a whisper";
    case 9:
        random_marks(forger, out);
        return "an OFFER of nothing";
    default:
        random_reconcile(forger, out);
        return "a RECONCILE about nothing";
    }
}

/* ---- guilty --------------------------------------------------------------------------------- */

/* Signed by the sender in the name of the victim, with the certificate of the victim. */
static struct gv_buf in_the_name_of(struct forger *forger, struct gv_statement *statement)
{
    struct puppet pretender = *forger->self;

    *statement = statement_of(forger, forger->victim, forger->minute);
    return sign_statement(&pretender, statement);
}

/* Signed by the sender in his own name, and out of range in one field. */
static struct gv_buf out_of_range(struct forger *forger)
{
    struct gv_statement s = statement_of(forger, forger->self, forger->minute);
    uint8_t subject[8];
    size_t len = 4;

    memcpy(subject, s.subject.bytes, sizeof subject);
    switch (below(forger, 6)) {
    case 0:
        s.count = 3;
        break;
    case 1:
        s.services = 0;
        break;
    case 2:
        s.kinds = 0;
        break;
    case 3:
        s.first_min = s.last_min + 1;
        break;
    case 4:
        memcpy(subject, "\x0a\x00\x00\x01", 4); /* private */
        break;
    default:
        len = 5;
        break;
    }
    return sign_raw(forger->self, &s, subject, len);
}

static struct gv_buf forged_fault(struct forger *forger)
{
    struct gv_statement one = statement_of(forger, forger->victim, forger->minute), two = one;
    two.subject = any_subject(forger);
    struct gv_buf a = sign_statement(forger->self, &one), b = sign_statement(forger->self, &two);
    struct gv_buf record = fault_record(&a, &b);

    gv_buf_free(&a);
    gv_buf_free(&b);
    return record;
}

static struct gv_buf forged_address(struct forger *forger)
{
    struct gv_address address = make_address(1 + (unsigned)below(forger, 200));
    struct puppet pretender = *forger->self;

    /* The victim's id, and a signature of the sender's. */
    memcpy(pretender.identity.id, forger->victim->identity.id, GV_ID_LEN);
    return address_record(&pretender, &address, forger->minute);
}

static struct gv_buf forged_revocation(struct forger *forger)
{
    struct gv_buf record =
        revocation_record(forger->network, forger->victim->identity.id, forger->minute);

    flip(forger, record.data + 1, GV_SIGNATURE_LEN);
    return record;
}

static struct gv_buf forged_certificate(struct forger *forger)
{
    struct gv_buf record = certificate_record(forger->self);

    record.data[1 + GV_CERTIFICATE_BODY + below(forger, 64)] ^= 1;
    /* Otherwise it is the one that is held. The owner's tag stands in bytes 49 to 64 or so: any
     * byte of the key or the owner makes another body that still parses. */
    record.data[1 + 8 + below(forger, 32)] ^= 1;
    return record;
}

static struct gv_buf cut_short(struct forger *forger)
{
    struct gv_buf record = genuine(forger, forger->victim, forger->minute);

    record.len = 1 + below(forger, record.len - 1);
    return record;
}

static const char *guilty_record(struct forger *forger, struct gv_buf *out, unsigned kind)
{
    struct gv_statement statement;
    struct gv_buf record;

    switch (kind) {
    case 0:
        put_records(out, forged_signal(forger));
        return "a forged signature";
    case 1:
        put_records(out, in_the_name_of(forger, &statement));
        return "a signature of somebody else";
    case 2:
        put_records(out, out_of_range(forger));
        return "a signed signal out of range";
    case 3:
        put_records(out, cut_short(forger));
        return "a record cut short";
    case 4:
        record = genuine(forger, forger->victim, forger->minute);
        record.data[0] = (uint8_t)(below(forger, 2) ? 0 : 8 + below(forger, 248));
        put_records(out, record);
        return "a record of an unknown kind";
    case 5:
        put_records(out, forged_fault(forger));
        return "a forged proof of a fault";
    case 6:
        put_records(out, forged_address(forger));
        return "an address said by somebody else";
    case 7:
        put_records(out, forged_revocation(forger));
        return "a forged revocation";
    default:
        put_records(out, forged_certificate(forger));
        return "a forged certificate";
    }
}

const char *forge_guilty(struct forger *forger, struct gv_buf *out, unsigned kind)
{
    size_t start = out->len;

    if (kind >= FORGED_GUILTY_KINDS)
        kind = (unsigned)below(forger, FORGED_GUILTY_KINDS);
    switch (kind) {
    case 9: /* a whole message, and not all of it; the first two bytes stay, so that it is of a kind
             * that has something to lose */
        put_records(out, genuine(forger, forger->victim, forger->minute));
        out->len = start + 2 + below(forger, out->len - start - 2);
        return "a message cut short";
    case 10:
        gv_message_ping(out, GV_MESSAGE_PING, 1);
        gv_buf_append(out, "\xc1", 1); /* msgpack has no such byte */
        return "a message with a byte left over";
    case 11:
        gv_message_ping(out, GV_MESSAGE_PING, 1);
        out->data[start + 1] =
            (uint8_t)(below(forger, 2) ? 0 : GV_MESSAGE_LAST + 1 + below(forger, 100));
        return "a message of an unknown number";
    case 12:
        gv_message_hello(out, GV_PROTOCOL_VERSION, (uint64_t)forger->minute * 60000, "again");
        return "a second HELLO";
    case 13:
        random_ids(forger, out, GV_MESSAGE_WANT);
        out->data[start] ^= 0x01; /* another count of fields */
        return "a message of another shape";
    case 14: {
        uint8_t noise[64];
        gv_drbg_fill(&forger->drbg, noise, sizeof noise);
        noise[0] |= 0xc0; /* never the head of a message */
        noise[0] &= 0xdf;
        gv_buf_append(out, noise, 1 + below(forger, sizeof noise));
        return "noise";
    }
    default:
        return guilty_record(forger, out, kind);
    }
}

/* ---- frames --------------------------------------------------------------------------------- */

const char *forge_frame(struct forger *forger, struct gv_buf *wire)
{
    switch (below(forger, 4)) {
    case 0:
        flip(forger, wire->data + 2, wire->len - 2);
        return "a frame with a bit flipped";
    case 1:
        wire->data[0] = 0xff;
        return "a frame that says it is too long";
    case 2:
        wire->data[0] = wire->data[1] = 0;
        return "an empty frame";
    default:
        wire->data[0] = 0;
        wire->data[1] = (uint8_t)(17 + below(forger, wire->len > 40 ? 20 : 1));
        return "a frame that says it is shorter";
    }
}
