/* One question in, one answer out: what a resolver would see (SPEC 18.2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "node/serve/dns_message.h"

enum { A = 1, NS = 2, SOA = 6, TXT = 16, AAAA = 28, ANY = 255 };

/* 192.0.2.7 and 2001:db8:0:1::/64 are refused and untrusted, 198.51.100.9 untrusted alone. */
static bool listed(void *context, enum gv_dns_zone zone, const struct gv_subject *subject)
{
    const uint8_t refused[] = {192, 0, 2, 7}, untrusted[] = {198, 51, 100, 9};
    const uint8_t six[] = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 1};

    ++*(unsigned *)context;
    if (subject->family == GV_FAMILY_IPV6)
        return memcmp(subject->bytes, six, sizeof six) == 0;
    return memcmp(subject->bytes, refused, 4) == 0 ||
           (zone == GV_DNS_UNTRUSTED && memcmp(subject->bytes, untrusted, 4) == 0);
}

static void reason(void *context, char out[GV_DNS_TEXT_MAX + 1], enum gv_dns_zone zone,
                   const struct gv_subject *subject)
{
    (void)context;
    (void)subject;
    memset(out, zone == GV_DNS_REFUSE ? 'r' : 'u', GV_DNS_TEXT_MAX);
    out[GV_DNS_TEXT_MAX] = 0;
}

static unsigned lookups;
static const struct gv_dns_source source = {&lookups, listed, reason, 4711};

/* A query for `name`, as a resolver writes it; returns its length. */
static size_t ask(uint8_t out[GV_DNS_QUERY_MAX], const char *name, unsigned type)
{
    size_t at = 12;

    memset(out, 0, GV_DNS_QUERY_MAX);
    out[0] = 0xab;
    out[1] = 0xcd;
    out[2] = 1; /* RD */
    out[5] = 1;
    while (*name) {
        size_t n = strcspn(name, ".");
        out[at++] = (uint8_t)n;
        memcpy(out + at, name, n);
        at += n;
        name += n + (name[n] == '.');
    }
    at++;
    out[at++] = (uint8_t)(type >> 8);
    out[at++] = (uint8_t)type;
    out[at++] = 0;
    out[at++] = 1;
    return at;
}

#define NIBBLES_LISTED "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2."
#define NIBBLES_MAPPED ".0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0."

static const struct {
    const char *name;
    unsigned type;
    unsigned rcode, answers, authorities;
    int value; /* last byte of the first answer, which is an A; 0: not looked at */
} questions[] = {
    {"7.2.0.192.refuse.grapevine", A, 0, 1, 0, 3},
    {"7.2.0.192.untrusted.grapevine", A, 0, 1, 0, 2},
    {"7.2.0.192.ReFuSe.GRAPEvine", A, 0, 1, 0, 3},
    {"9.100.51.198.refuse.grapevine", A, 3, 0, 1, 0},
    {"9.100.51.198.untrusted.grapevine", A, 0, 1, 0, 2},
    {"7.2.0.192.refuse.grapevine", TXT, 0, 1, 0, 0},
    {"7.2.0.192.refuse.grapevine", ANY, 0, 2, 0, 0},
    {"7.2.0.192.refuse.grapevine", AAAA, 0, 0, 1, 0}, /* exists, but not so */
    {"7.2.0.192.refuse.grapevine", SOA, 0, 0, 1, 0},
    {"8.2.0.192.refuse.grapevine", A, 3, 0, 1, 0},
    {NIBBLES_LISTED "refuse.grapevine", A, 0, 1, 0, 3},
    {NIBBLES_LISTED "untrusted.grapevine", TXT, 0, 1, 0, 0},
    {"2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.refuse.grapevine", A, 3, 0, 1,
     0},
    /* RFC 5782 section 5, both families */
    {"2.0.0.127.refuse.grapevine", A, 0, 1, 0, 3},
    {"2.0.0.127.untrusted.grapevine", A, 0, 1, 0, 2},
    {"1.0.0.127.refuse.grapevine", A, 3, 0, 1, 0},
    {"2" NIBBLES_MAPPED "refuse.grapevine", A, 0, 1, 0, 3},
    {"1" NIBBLES_MAPPED "refuse.grapevine", A, 3, 0, 1, 0},
    /* the zones themselves */
    {"refuse.grapevine", SOA, 0, 1, 0, 0},
    {"refuse.grapevine", NS, 0, 1, 0, 0},
    {"refuse.grapevine", ANY, 0, 2, 0, 0},
    {"untrusted.grapevine", A, 0, 0, 1, 0},
    /* the beginnings of addresses exist, as RFC 8020 wants it */
    {"192.refuse.grapevine", A, 0, 0, 1, 0},
    {"2.0.192.refuse.grapevine", TXT, 0, 0, 1, 0},
    {"1.0.0.2.refuse.grapevine", A, 3, 0, 1, 0}, /* four numbers are an address */
    {"8.b.d.0.1.0.0.2.refuse.grapevine", A, 0, 0, 1, 0},
    /* no address at all */
    {"www.refuse.grapevine", A, 3, 0, 1, 0},
    {"256.2.0.192.refuse.grapevine", A, 3, 0, 1, 0},
    {"07.2.0.192.refuse.grapevine", A, 3, 0, 1, 0},
    {"7777.2.0.192.refuse.grapevine", A, 3, 0, 1, 0},
    {"5.7.2.0.192.refuse.grapevine", A, 3, 0, 1, 0},
    {"0." NIBBLES_LISTED "refuse.grapevine", A, 3, 0, 1, 0},
    {"g.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.refuse.grapevine", A, 3, 0, 1,
     0},
    /* not ours */
    {"7.2.0.192.example.org", A, 5, 0, 0, 0},
    {"grapevine", SOA, 5, 0, 0, 0},
    {"refuse.grapevines", A, 5, 0, 0, 0},
    {"refuse.grapevine.example", A, 5, 0, 0, 0},
    {"", NS, 5, 0, 0, 0},
};

static void answers_what_a_list_must(void **state)
{
    uint8_t query[GV_DNS_QUERY_MAX], out[GV_DNS_ANSWER_MAX];

    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
        size_t len = ask(query, questions[i].name, questions[i].type);
        size_t n = gv_dns_answer(out, query, len, &source, true);
        if (n < len || (out[3] & 15) != questions[i].rcode || out[7] != questions[i].answers ||
            out[9] != questions[i].authorities)
            fail_msg("%s %u: rcode %d, %d answers, %d authorities", questions[i].name,
                     questions[i].type, out[3] & 15, out[7], out[9]);
        assert_int_equal(out[0], 0xab);
        assert_int_equal(out[1], 0xcd);
        assert_int_equal(out[2] & 0x80, 0x80);                               /* QR */
        assert_int_equal(out[2] & 0x04, questions[i].rcode == 5 ? 0 : 0x04); /* AA */
        assert_int_equal(out[2] & 0x01, 1);                                  /* RD comes back */
        assert_int_equal(out[3] & 0x80, 0);                                  /* RA */
        assert_memory_equal(out + 12, query + 12, len - 12);
        if (questions[i].value)
            assert_int_equal(out[n - 1], questions[i].value);
    }
}

static void not_listed_may_be_believed_for_ten_seconds(void **state)
{
    uint8_t query[GV_DNS_QUERY_MAX], out[GV_DNS_ANSWER_MAX];
    size_t len = ask(query, "8.2.0.192.refuse.grapevine", A);
    size_t n = gv_dns_answer(out, query, len, &source, true);

    /* the TTL and the last field of the SOA (RFC 2308), and its serial */
    assert_memory_equal(out + len + 6, "\0\0\0\x0a", 4);
    assert_memory_equal(out + n - 4, "\0\0\0\x0a", 4);
    assert_memory_equal(out + n - 20, "\0\0\x12\x67", 4);
    len = ask(query, "7.2.0.192.refuse.grapevine", A);
    n = gv_dns_answer(out, query, len, &source, true);
    assert_memory_equal(out + n - 10, "\0\0\0\x3c", 4);
}

static void strangers_are_refused(void **state)
{
    uint8_t query[GV_DNS_QUERY_MAX], out[GV_DNS_ANSWER_MAX];
    size_t len = ask(query, "7.2.0.192.refuse.grapevine", A);

    lookups = 0;
    assert_int_equal(gv_dns_answer(out, query, len, &source, false), len);
    assert_int_equal(out[3] & 15, 5);
    assert_int_equal(out[7], 0);
    assert_int_equal(lookups, 0);
}

static size_t with_opt(uint8_t *query, size_t len, unsigned version, unsigned options)
{
    const uint8_t opt[11] = {0, 0, 41, 0x10, 0, 0, (uint8_t)version, 0x80, 0, 0, (uint8_t)options};

    query[11]++;
    memcpy(query + len, opt, sizeof opt);
    memset(query + len + sizeof opt, 0, options);
    return len + sizeof opt + options;
}

static void edns(void **state)
{
    uint8_t query[GV_DNS_QUERY_MAX], out[GV_DNS_ANSWER_MAX];
    size_t len = ask(query, "7.2.0.192.refuse.grapevine", ANY);

    /* With a cookie that is not understood and left alone. The DO bit is repeated, as RFC 3225
     * says in section 3, and no other of the flags. */
    len = with_opt(query, len, 0, 12);
    size_t n = gv_dns_answer(out, query, len, &source, true);
    assert_int_equal(out[3] & 15, 0);
    assert_int_equal(out[7], 2);
    assert_int_equal(out[11], 1);
    assert_memory_equal(out + n - 11, "\0\0\x29\x04\xd0\0\0\x80\0\0\0", 11); /* 1232 bytes */
    query[len - 12 - 4] = 0x7f;
    query[len - 12 - 3] = 0xff;
    n = gv_dns_answer(out, query, len, &source, true);
    assert_memory_equal(out + n - 11, "\0\0\x29\x04\xd0\0\0\0\0\0\0", 11);

    len = with_opt(query, ask(query, "7.2.0.192.refuse.grapevine", A), 1, 0);
    n = gv_dns_answer(out, query, len, &source, true);
    assert_int_equal(out[3] & 15, 0); /* BADVERS is 16: its upper part stands in OPT */
    assert_memory_equal(out + n - 11, "\0\0\x29\x04\xd0\x01\0\x80\0\0\0", 11);
    assert_int_equal(out[7], 0);
}

static void check_refusal(const uint8_t *query, size_t len, unsigned rcode)
{
    uint8_t out[GV_DNS_ANSWER_MAX];

    assert_int_equal(gv_dns_answer(out, query, len, &source, true), 12);
    assert_int_equal(out[3] & 15, rcode);
    assert_memory_equal(out + 4, "\0\0\0\0\0\0\0\0", 8);
}

static void malformed_questions_are_told_so(void **state)
{
    uint8_t query[GV_DNS_QUERY_MAX], out[GV_DNS_ANSWER_MAX];
    size_t len = ask(query, "7.2.0.192.refuse.grapevine", A);

    for (size_t cut = 0; cut < 12; cut++)
        assert_int_equal(gv_dns_answer(out, query, cut, &source, true), 0);
    for (size_t cut = 12; cut < len; cut++)
        check_refusal(query, cut, 1);
    check_refusal(query, len + 1, 1); /* something behind it */
    query[5] = 2;
    check_refusal(query, len, 1);
    query[5] = 0;
    check_refusal(query, len, 1);
    query[5] = 1;
    query[7] = 1;
    check_refusal(query, len, 1);
    query[7] = 0;
    query[11] = 1; /* an additional record that is not there */
    check_refusal(query, len, 1);
    len = with_opt(query, ask(query, "7.2.0.192.refuse.grapevine", A), 0, 0);
    with_opt(query, len, 0, 0);
    check_refusal(query, len + 11, 1); /* two of them */

    len = ask(query, "7.2.0.192.refuse.grapevine", A);
    query[12] = 0xc0; /* a pointer, to itself */
    query[13] = 12;
    check_refusal(query, len, 1);
    len = ask(query, "7.2.0.192.refuse.grapevine", A);
    query[2] |= 5 << 3; /* UPDATE */
    check_refusal(query, len, 4);
    query[2] |= 0x80; /* an answer */
    assert_int_equal(gv_dns_answer(out, query, len, &source, true), 0);
}

static void longest_names_fit(void **state)
{
    uint8_t query[GV_DNS_QUERY_MAX], out[GV_DNS_ANSWER_MAX];
    char name[300] = "";

    /* 3 x 64 + 2 x 22 + "refuse.grapevine" and its root: 255 */
    for (int i = 0; i < 3; i++)
        strcat(name, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.");
    strcat(name, "yyyyyyyyyyyyyyyyyyyyy.zzzzzzzzzzzzzzzzzzzzz.");
    size_t before = strlen(name);
    strcat(name, "refuse.grapevine");
    size_t len = with_opt(query, ask(query, name, A), 0, 0);
    assert_true(gv_dns_answer(out, query, len, &source, true) <= GV_DNS_ANSWER_MAX);
    assert_int_equal(out[3] & 15, 3);
    memcpy(name + before, "yyyrefuse.grapevine", sizeof "yyyrefuse.grapevine");
    len = ask(query, name, A);
    check_refusal(query, len, 1); /* 256 and more: no name */
}

/* What is asked of the memory ahead is what is looked up then. */
static void what_a_question_is_about(void **state)
{
    static const struct {
        const char *name, *subject;
    } names[] = {
        {"7.2.0.192.refuse.grapevine", "192.0.2.7"}, {"7.2.0.192.UNTRUSTED.grapevine", "192.0.2.7"},
        {"2.0.192.refuse.grapevine", NULL},          {"refuse.grapevine", NULL},
        {"7.2.0.192.refuse.elsewhere", NULL},        {"x.2.0.192.refuse.grapevine", NULL},
    };
    uint8_t query[GV_DNS_QUERY_MAX];
    struct gv_dns_question q;
    struct gv_subject wanted;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t len = ask(query, names[i].name, A);
        gv_dns_read(&q, query, len);
        assert_int_equal(q.about_address, names[i].subject != NULL);
        if (!names[i].subject)
            continue;
        assert_int_equal(gv_subject_parse(&wanted, names[i].subject, strlen(names[i].subject)),
                         GV_OK);
        assert_true(gv_subject_equal(&q.subject, &wanted));
        for (size_t cut = 0; cut < len; cut++) {
            gv_dns_read(&q, query, cut);
            assert_false(q.about_address);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_what_a_list_must),
        cmocka_unit_test(not_listed_may_be_believed_for_ten_seconds),
        cmocka_unit_test(strangers_are_refused),
        cmocka_unit_test(edns),
        cmocka_unit_test(malformed_questions_are_told_so),
        cmocka_unit_test(longest_names_fit),
        cmocka_unit_test(what_a_question_is_about),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
