/* libldns as the oracle (SPEC 18.2): it writes random questions and reads the answers, which must
 * be what RFC 1035, 2308, 5782, 6891 and 8020 say of a name that is read here by other means than
 * ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <ldns/ldns.h>
#include <pthread.h>
#include <uv.h>

#include "crypto/drbg.h"
#include "crypto/error.h"
#include "node/serve/dnsbl.h"

#define QUESTIONS 20000
#define SOCKETS   300

static struct gv_drbg drbg;

static unsigned below(unsigned bound)
{
    return (unsigned)gv_drbg_below(&drbg, bound);
}

/* ---- what is listed: half of all, the one zone's other than the other's
 * --------------------------- */

static bool is_listed(enum gv_dns_zone zone, const uint8_t *bytes, size_t len)
{
    unsigned sum = zone == GV_DNS_REFUSE;

    for (size_t i = 0; i < len; i++)
        sum += bytes[i];
    return sum % 2;
}

static bool listed(void *context, enum gv_dns_zone zone, const struct gv_subject *subject)
{
    (void)context;
    return is_listed(zone, subject->bytes, subject->family == GV_FAMILY_IPV4 ? 4 : 8);
}

static void reason(void *context, char out[GV_DNS_TEXT_MAX + 1], enum gv_dns_zone zone,
                   const struct gv_subject *subject)
{
    size_t len = subject->bytes[1] % (GV_DNS_TEXT_MAX + 1u);

    (void)context;
    (void)zone;
    memset(out, 'x', len);
    out[len] = 0;
}

/* ---- the question
 * ---------------------------------------------------------------------------------- */

struct asked {
    char name[600];
    const char *labels[130]; /* in front of the zone, in their order */
    char words[600];
    size_t count;
    bool inside; /* one of our zones */
    enum gv_dns_zone zone;
};

static const char *const zones[] = {"refuse.grapevine", "untrusted.grapevine"};

static void add_label(struct asked *a, size_t *used, const char *label)
{
    a->labels[a->count++] = strcpy(a->words + *used, label);
    *used += strlen(label) + 1;
}

static void add_address(struct asked *a, size_t *used)
{
    static const uint8_t points[][4] = {{127, 0, 0, 2}, {127, 0, 0, 1}, {192, 0, 2, 7}};
    uint8_t bytes[16] = {[10] = 0xff, 0xff};
    char label[8];

    for (size_t i = 12; i < 16; i++)
        bytes[i] = (uint8_t)below(256);
    if (below(4) == 0)
        memcpy(bytes + 12, points[below(3)], 4);
    bool six = below(2), mapped = below(4) == 0;
    for (size_t i = 0; six && !mapped && i < 16; i++)
        bytes[i] = (uint8_t)below(256);
    for (size_t i = 0; i < (six ? 32u : 4u); i++) {
        if (six)
            snprintf(label, sizeof label, "%x", bytes[15 - i / 2] >> (i % 2 ? 4 : 0) & 15);
        else
            snprintf(label, sizeof label, "%u", bytes[15 - i]);
        add_label(a, used, label);
    }
    if (below(8) == 0) { /* the beginning of an address only: the last parts are in front */
        size_t cut = 1 + below((unsigned)a->count);
        memmove(a->labels, a->labels + cut, (a->count - cut) * sizeof *a->labels);
        a->count -= cut;
    }
}

static void add_junk(struct asked *a, size_t *used)
{
    static const char *const words[] = {"www", "256", "07",  "00",   "-1",  "1e1",    "g", "a0",
                                        "1",   "f",   "255", "2551", "x-y", "_dmarc", "*"};
    size_t count = below(20) == 0 ? 33 + below(20) : 1 + below(6);

    while (count-- > 0)
        add_label(a, used, words[below(sizeof words / sizeof *words)]);
}

static void make_name(struct asked *a)
{
    static const char *const others[] = {"example.org",           "grapevine",
                                         "xrefuse.grapevine",     ".",
                                         "refuse.grapevine.test", "refuse.grapevines"};
    size_t used = 0, at = 0;

    memset(a, 0, sizeof *a);
    a->inside = below(8) != 0;
    a->zone = below(2) ? GV_DNS_REFUSE : GV_DNS_UNTRUSTED;
    switch (below(10)) {
    case 0:
        break; /* the zone itself */
    case 1:
        add_junk(a, &used);
        break;
    case 2:
        add_address(a, &used);
        add_junk(a, &used);
        break;
    default:
        add_address(a, &used);
    }
    const char *end = a->inside ? zones[a->zone] : others[below(6)];
    for (size_t i = 0; i < a->count; i++)
        at += (size_t)snprintf(a->name + at, sizeof a->name - at, "%s.", a->labels[i]);
    snprintf(a->name + at, sizeof a->name - at, "%s", strcmp(end, ".") == 0 && at > 0 ? "" : end);
    if (below(2))
        for (char *c = a->name; *c; c++)
            *c = *c >= 'a' && *c <= 'z' && below(2) ? (char)(*c - 32) : *c;
}

/* ---- what is to come of it
 * -------------------------------------------------------------------------- */

struct wanted {
    bool exists, address, listed, test;
    uint8_t bytes[16];
    size_t len; /* of the subject */
};

static bool all_octets(const struct asked *a)
{
    char text[64];
    uint8_t bytes[4];

    for (size_t i = 0; i < a->count; i++) {
        snprintf(text, sizeof text, "%.20s.0.0.0", a->labels[i]);
        if (strchr(a->labels[i], '.') || inet_pton(AF_INET, text, bytes) != 1)
            return false;
    }
    return a->count <= 4;
}

static bool all_nibbles(const struct asked *a)
{
    for (size_t i = 0; i < a->count; i++)
        if (strlen(a->labels[i]) != 1 || !strchr("0123456789abcdef", *a->labels[i]))
            return false;
    return a->count <= 32;
}

static void read_name(struct wanted *w, const struct asked *a)
{
    static const uint8_t mapped[12] = {[10] = 0xff, 0xff}, test[] = {127, 0, 0, 2};
    char text[64] = "";

    memset(w, 0, sizeof *w);
    w->exists = a->count == 0 || all_octets(a) || all_nibbles(a);
    w->len = 4;
    if (a->count == 4 && all_octets(a)) {
        snprintf(text, sizeof text, "%s.%s.%s.%s", a->labels[3], a->labels[2], a->labels[1],
                 a->labels[0]);
        assert_int_equal(inet_pton(AF_INET, text, w->bytes), 1);
    } else if (a->count == 32 && all_nibbles(a)) {
        for (size_t i = 0; i < 32; i++)
            snprintf(text + strlen(text), 3, "%s%s", i % 4 == 0 && i > 0 ? ":" : "",
                     a->labels[31 - i]);
        assert_int_equal(inet_pton(AF_INET6, text, w->bytes), 1);
        if (memcmp(w->bytes, mapped, 12) == 0)
            memmove(w->bytes, w->bytes + 12, 4);
        else
            w->len = 8;
    } else {
        return;
    }
    w->address = true;
    w->listed = is_listed(a->zone, w->bytes, w->len);
    if (w->len == 4 && memcmp(w->bytes, test, 3) == 0 && (w->bytes[3] == 1 || w->bytes[3] == 2)) {
        w->test = w->bytes[3] == 2;
        w->listed = w->test;
    }
}

/* ---- the answer
 * ------------------------------------------------------------------------------------- */

static void check_records(const ldns_pkt *answer, const struct asked *a, const struct wanted *w,
                          ldns_rr_type type)
{
    bool any = type == LDNS_RR_TYPE_ANY, apex = a->count == 0;
    bool address = w->listed && (any || type == LDNS_RR_TYPE_A);
    bool text = w->listed && (any || type == LDNS_RR_TYPE_TXT);
    bool soa = apex && (any || type == LDNS_RR_TYPE_SOA),
         ns = apex && (any || type == LDNS_RR_TYPE_NS);
    size_t wanted = (size_t)address + text + soa + ns;
    ldns_rdf *owner = ldns_dname_new_frm_str(a->name),
             *apex_name = ldns_dname_new_frm_str(zones[a->zone]);

    assert_int_equal(ldns_pkt_ancount(answer), wanted);
    assert_int_equal(ldns_pkt_nscount(answer), wanted == 0);
    for (size_t i = 0; i < wanted; i++) {
        ldns_rr *rr = ldns_rr_list_rr(ldns_pkt_answer(answer), i);
        const ldns_rdf *data = ldns_rr_rdf(rr, 0);
        assert_int_equal(ldns_dname_compare(ldns_rr_owner(rr), owner), 0);
        assert_int_equal(ldns_rr_get_class(rr), LDNS_RR_CLASS_IN);
        switch (ldns_rr_get_type(rr)) {
        case LDNS_RR_TYPE_A: {
            const uint8_t value[] = {127, 0, 0, a->zone == GV_DNS_REFUSE ? 3 : 2};
            assert_true(address);
            address = false;
            assert_int_equal(ldns_rr_ttl(rr), GV_DNS_TTL_S);
            assert_int_equal(ldns_rdf_size(data), 4);
            assert_memory_equal(ldns_rdf_data(data), value, 4);
            break;
        }
        case LDNS_RR_TYPE_TXT:
            assert_true(text);
            text = false;
            assert_int_equal(ldns_rr_rd_count(rr), 1);
            if (!w->test)
                assert_int_equal(ldns_rdf_size(data), 1 + w->bytes[1] % (GV_DNS_TEXT_MAX + 1u));
            break;
        case LDNS_RR_TYPE_SOA:
            assert_true(soa);
            soa = false;
            break;
        case LDNS_RR_TYPE_NS:
            assert_true(ns);
            ns = false;
            break;
        default:
            fail_msg("a record that nobody wants");
        }
    }
    if (wanted == 0) {
        ldns_rr *rr = ldns_rr_list_rr(ldns_pkt_authority(answer), 0);
        assert_int_equal(ldns_rr_get_type(rr), LDNS_RR_TYPE_SOA);
        assert_int_equal(ldns_dname_compare(ldns_rr_owner(rr), apex_name), 0);
        assert_int_equal(ldns_rr_ttl(rr), GV_DNS_NOT_TTL_S);
        assert_int_equal(ldns_rdf2native_int32(ldns_rr_rdf(rr, 6)), GV_DNS_NOT_TTL_S);
    }
    ldns_rdf_deep_free(owner);
    ldns_rdf_deep_free(apex_name);
}

struct question {
    struct asked name;
    ldns_pkt *packet;
    ldns_rr_type type;
    ldns_rr_class class;
    bool odd; /* more in it than a question has */
};

/* Whether ldns takes the name. */
static bool make_question(struct question *q)
{
    static const ldns_rr_type types[] = {
        LDNS_RR_TYPE_A,  LDNS_RR_TYPE_A,    LDNS_RR_TYPE_TXT, LDNS_RR_TYPE_ANY,  LDNS_RR_TYPE_SOA,
        LDNS_RR_TYPE_NS, LDNS_RR_TYPE_AAAA, LDNS_RR_TYPE_MX,  LDNS_RR_TYPE_AXFR, 0};
    static const ldns_rr_class classes[] = {LDNS_RR_CLASS_CH, LDNS_RR_CLASS_HS, LDNS_RR_CLASS_ANY,
                                            LDNS_RR_CLASS_NONE};
    static const uint16_t flags[] = {LDNS_RD, LDNS_CD, LDNS_AD, LDNS_RD | LDNS_CD | LDNS_AD, 0};
    ldns_rdf *name;

    make_name(&q->name);
    name = ldns_dname_new_frm_str(q->name.name);
    if (!name)
        return false;
    q->type = types[below(sizeof types / sizeof *types)];
    if (q->type == 0)
        q->type = (ldns_rr_type)(256 + below(65000));
    q->class = below(8) ? LDNS_RR_CLASS_IN : classes[below(4)];
    q->packet = ldns_pkt_query_new(name, q->type, q->class, flags[below(5)]);
    assert_non_null(q->packet);
    ldns_pkt_set_id(q->packet, (uint16_t)below(65536));
    if (below(2)) {
        ldns_pkt_set_edns_udp_size(q->packet, (uint16_t)(1 + below(65535)));
        ldns_pkt_set_edns_do(q->packet, below(2));
        if (below(8) == 0)
            ldns_pkt_set_edns_version(q->packet, (uint8_t)below(4));
    }
    if (below(16) == 0)
        ldns_pkt_set_opcode(q->packet, (ldns_pkt_opcode)below(6));
    q->odd = below(16) == 0;
    if (q->odd) {
        static const ldns_pkt_section places[] = {LDNS_SECTION_QUESTION, LDNS_SECTION_ANSWER,
                                                  LDNS_SECTION_AUTHORITY, LDNS_SECTION_ADDITIONAL};
        ldns_rr *more = NULL;
        ldns_pkt_section place = places[below(4)];
        if (place == LDNS_SECTION_QUESTION)
            ldns_rr_new_question_frm_str(&more, "2.0.0.127.refuse.grapevine. IN A", NULL, NULL);
        else
            ldns_rr_new_frm_str(&more, "a.refuse.grapevine. 60 IN A 192.0.2.1", 60, NULL, NULL);
        assert_non_null(more);
        assert_true(ldns_pkt_push_rr(q->packet, place, more));
    }
    return true;
}

static unsigned rcode_of(const struct question *q, const struct wanted *w, bool welcome)
{
    if (ldns_pkt_get_opcode(q->packet) != LDNS_PACKET_QUERY)
        return 4;
    if (q->odd)
        return 1;
    if (ldns_pkt_edns(q->packet) && ldns_pkt_edns_version(q->packet) > 0)
        return 16;
    if (!welcome || !q->name.inside ||
        (q->class != LDNS_RR_CLASS_IN && q->class != LDNS_RR_CLASS_ANY))
        return 5;
    return !w->exists || (w->address && !w->listed) ? 3 : 0;
}

static void check(const struct question *q, const uint8_t *asked, const uint8_t *wire, size_t len,
                  bool welcome)
{
    ldns_pkt *answer = NULL;
    struct wanted w;

    read_name(&w, &q->name);
    assert_int_equal(ldns_wire2pkt(&answer, wire, len), LDNS_STATUS_OK);
    unsigned rcode = rcode_of(q, &w, welcome);
    bool read = rcode != 1 && rcode != 4, ours = rcode == 0 || rcode == 3;
    assert_int_equal(
        ldns_pkt_get_rcode(answer) | (unsigned)ldns_pkt_edns_extended_rcode(answer) << 4, rcode);
    assert_true(ldns_pkt_qr(answer) && !ldns_pkt_tc(answer) && !ldns_pkt_ra(answer));
    assert_false(ldns_pkt_ad(answer));
    assert_int_equal(ldns_pkt_id(answer), ldns_pkt_id(q->packet));
    assert_int_equal(ldns_pkt_get_opcode(answer), ldns_pkt_get_opcode(q->packet));
    assert_int_equal(ldns_pkt_rd(answer), ldns_pkt_rd(q->packet));
    assert_int_equal(ldns_pkt_cd(answer), ldns_pkt_cd(q->packet));
    assert_int_equal(ldns_pkt_aa(answer), ours);
    assert_int_equal(ldns_pkt_qdcount(answer), read);
    if (read) { /* byte for byte, so in the case in which it came: resolvers rely on that */
        ldns_rdf *name = ldns_rr_owner(ldns_rr_list_rr(ldns_pkt_question(q->packet), 0));
        assert_memory_equal(wire + 12, asked + 12, ldns_rdf_size(name) + 4);
    }
    assert_int_equal(ldns_pkt_edns(answer), read && ldns_pkt_edns(q->packet));
    if (ldns_pkt_edns(answer)) {
        assert_int_equal(ldns_pkt_edns_version(answer), 0);
        assert_int_equal(ldns_pkt_edns_do(answer), ldns_pkt_edns_do(q->packet));
    }
    if (ours)
        check_records(answer, &q->name, &w, q->type);
    else
        assert_int_equal(ldns_pkt_ancount(answer) + ldns_pkt_nscount(answer), 0);
    ldns_pkt_free(answer);
}

static void random_questions(void **state)
{
    const struct gv_dns_source source = {NULL, listed, reason, 7};
    const uint8_t seed[GV_SEED_LEN] = {18, 2};
    unsigned answered = 0;

    (void)state;
    gv_drbg_init(&drbg, seed);
    for (unsigned i = 0; i < QUESTIONS; i++) {
        struct question q;
        uint8_t *wire = NULL, out[GV_DNS_ANSWER_MAX];
        size_t len = 0;
        if (!make_question(&q))
            continue;
        assert_int_equal(ldns_pkt2wire(&wire, q.packet, &len), LDNS_STATUS_OK);
        bool welcome = below(8) != 0;
        size_t answer = gv_dns_answer(out, wire, len, &source, welcome);
        assert_true(answer >= 12);
        check(&q, wire, out, answer, welcome);
        answered++;
        free(wire);
        ldns_pkt_free(q.packet);
    }
    assert_true(answered > QUESTIONS / 2);
}

/* ---- by UDP and by TCP, from the server itself
 * -------------------------------------------------------- */

static struct gv_dnsbl *dnsbl;
static uv_async_t stop;

static uint32_t serial(void *context)
{
    (void)context;
    return 7;
}

static void on_stop(uv_async_t *async)
{
    gv_dnsbl_stop(dnsbl);
    uv_close((uv_handle_t *)async, NULL);
}

static void *serve(void *loop)
{
    uv_run(loop, UV_RUN_DEFAULT);
    return NULL;
}

static void over_sockets(void **state)
{
    struct gv_address address = {.family = GV_FAMILY_IPV4, .bytes = {127, 0, 0, 1}};
    const uint8_t seed[GV_SEED_LEN] = {18, 3};
    struct gv_text error = {""};
    pthread_t thread;
    uv_loop_t loop;

    (void)state;
    gv_drbg_init(&drbg, seed);
    uv_loop_init(&loop);
    uv_async_init(&loop, &stop, on_stop);
    struct gv_dnsbl_options options = {.loop = &loop,
                                       .listen = &address,
                                       .listen_count = 1,
                                       .source = {.listed = listed, .reason = reason},
                                       .serial = serial};
    /* The port that UDP was given may be somebody's for TCP. */
    int rc = GV_ERR_IO;
    for (unsigned tries = 0; tries < 20 && rc != GV_OK; tries++)
        rc = gv_dnsbl_start(&dnsbl, &options, &error);
    assert_int_equal(rc, GV_OK);
    struct sockaddr_storage to = {0};
    *(struct sockaddr_in *)(void *)&to =
        (struct sockaddr_in){.sin_family = AF_INET,
                             .sin_port = htons(gv_dnsbl_port(dnsbl)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(pthread_create(&thread, NULL, serve, &loop), 0);
    for (unsigned i = 0; i < SOCKETS; i++) {
        struct question q;
        ldns_buffer *buffer = ldns_buffer_new(1024);
        struct timeval patience = {20, 0};
        uint8_t *answer = NULL;
        size_t len = 0;
        if (make_question(&q)) {
            assert_int_equal(ldns_pkt2buffer_wire(buffer, q.packet), LDNS_STATUS_OK);
            assert_int_equal((i % 2 ? ldns_tcp_send : ldns_udp_send)(
                                 &answer, buffer, &to, sizeof(struct sockaddr_in), patience, &len),
                             LDNS_STATUS_OK);
            check(&q, ldns_buffer_begin(buffer), answer, len, true);
            free(answer);
            ldns_pkt_free(q.packet);
        }
        ldns_buffer_free(buffer);
    }
    uv_async_send(&stop);
    pthread_join(thread, NULL);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_questions),
        cmocka_unit_test(over_sockets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
