/* Subjects and addresses: text in, text out, scopes (SPEC 2.1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "crypto/error.h"
#include "proto/ip_address.h"
#include "proto/observation.h"
#include "proto/subject.h"

static const char *subject_of(const char *text)
{
    static char out[GV_SUBJECT_TEXT];
    struct gv_subject s;

    if (gv_subject_parse(&s, text, strlen(text)) != GV_OK)
        return "malformed";
    gv_subject_text(out, &s);
    return out;
}

static void parses(void **state)
{
    static const struct {
        const char *text, *subject;
    } cases[] = {
        {"192.0.2.7", "192.0.2.7"},
        {"0.0.0.0", "0.0.0.0"},
        {"255.255.255.255", "255.255.255.255"},
        {"2001:db8::7", "2001:db8::/64"},
        {"2001:db8:0:1::", "2001:db8:0:1::/64"},
        {"2001:DB8:0:1::/64", "2001:db8:0:1::/64"},
        {"[2001:db8::7]", "2001:db8::/64"},
        {"[2001:db8::7]/64", "2001:db8::/64"},
        {"fe80::1%eth0", "fe80::/64"},
        {"::ffff:192.0.2.7", "192.0.2.7"},
        {"::ffff:c000:207", "192.0.2.7"},
        {"::FFFF:192.0.2.7", "192.0.2.7"},
        {"[::ffff:192.0.2.7]", "192.0.2.7"},
        {"::1", "::/64"},
        {"::", "::/64"},
        {"1:2:3:4:5:6:7:8", "1:2:3:4::/64"},
        {"1:2:3:4:5:6:1.2.3.4", "1:2:3:4::/64"},
        {"0:0:1:0:0:0:0:0", "0:0:1::/64"},
        {"1::2:3:4:5:6:7", "1:0:2:3::/64"},
        {"ffff:ffff:ffff:ffff::", "ffff:ffff:ffff:ffff::/64"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(subject_of(cases[i].text), cases[i].subject);
}

static void refuses(void **state)
{
    static const char *const cases[] = {
        "",
        "1",
        "1.2",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.4.",
        ".1.2.3.4",
        "1..2.3",
        "256.0.0.1",
        "1.2.3.999",
        "01.2.3.4",
        "1.2.3.04",
        "0x1.2.3.4",
        "1.2.3.4 ",
        " 1.2.3.4",
        "+1.2.3.4",
        "1.2.3.-4",
        "1.2.3.4/32",
        "1.2.3.4/64",
        "[1.2.3.4]",
        "1.2.3.4%eth0",
        "1.2.3.0000004",
        ":",
        ":::",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "1::2::3",
        "1:2:3:4:5:6:7::8",
        "12345::",
        "g::",
        "::1 ",
        "2001:db8::1%",
        "%eth0",
        "2001:db8::/48",
        "2001:db8::/065",
        "/64",
        "[]",
        "[2001:db8::1",
        "2001:db8::1]",
        "[[2001:db8::1]]",
        "[2001:db8::1]:25",
        "::ffff:1.2.3",
        "::ffff:1.2.3.256",
        "::1.2.3.4:5",
        "1.2.3.4::",
        "::ffff:192.0.2.7/64",
        "1:2:3:4:5:6:7:",
        ":1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:1.2.3.4",
        "localhost",
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(subject_of(cases[i]), "malformed");
    assert_string_equal("malformed", subject_of("1.2.3.4\n"));
    struct gv_subject s;
    assert_int_equal(gv_subject_parse(&s, "1.2.3.4\0", 8), GV_ERR_MALFORMED);
}

static void only_the_given_bytes_are_read(void **state)
{
    struct gv_subject s;
    char text[GV_SUBJECT_TEXT];

    assert_int_equal(gv_subject_parse(&s, "192.0.2.77", 9), GV_OK);
    gv_subject_text(text, &s);
    assert_string_equal(text, "192.0.2.7");
}

static void from_bytes(void **state)
{
    static const uint8_t v4[4] = {192, 0, 2, 7};
    static const uint8_t mapped[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 7};
    static const uint8_t v6[16] = {0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 0xff, 0xff, 0xff};
    struct gv_subject a, b, c;

    assert_int_equal(gv_subject_from_address(&a, v4, 4), GV_OK);
    assert_int_equal(gv_subject_from_address(&b, mapped, 16), GV_OK);
    assert_int_equal(gv_subject_from_address(&c, v6, 16), GV_OK);
    assert_true(gv_subject_equal(&a, &b));
    assert_false(gv_subject_equal(&a, &c));
    assert_memory_equal(&a, &b, sizeof a); /* the unused bytes too */
    assert_int_equal(c.family, GV_FAMILY_IPV6);
    assert_int_equal(gv_subject_from_address(&a, v6, 15), GV_ERR_MALFORMED);
    assert_int_equal(gv_subject_from_address(&a, v6, 0), GV_ERR_MALFORMED);
}

static void scopes(void **state)
{
    static const struct {
        const char *text;
        enum gv_scope scope;
    } cases[] = {
        {"8.8.8.8", GV_SCOPE_PUBLIC},
        {"9.255.255.255", GV_SCOPE_PUBLIC},
        {"10.0.0.0", GV_SCOPE_PRIVATE},
        {"10.255.255.255", GV_SCOPE_PRIVATE},
        {"11.0.0.0", GV_SCOPE_PUBLIC},
        {"100.63.255.255", GV_SCOPE_PUBLIC},
        {"100.64.0.0", GV_SCOPE_PRIVATE},
        {"100.127.255.255", GV_SCOPE_PRIVATE},
        {"100.128.0.0", GV_SCOPE_PUBLIC},
        {"127.0.0.1", GV_SCOPE_LOOPBACK},
        {"127.255.255.255", GV_SCOPE_LOOPBACK},
        {"169.254.1.1", GV_SCOPE_LINK_LOCAL},
        {"172.15.255.255", GV_SCOPE_PUBLIC},
        {"172.16.0.0", GV_SCOPE_PRIVATE},
        {"172.31.255.255", GV_SCOPE_PRIVATE},
        {"172.32.0.0", GV_SCOPE_PUBLIC},
        {"192.0.0.1", GV_SCOPE_SPECIAL},
        {"192.0.1.1", GV_SCOPE_PUBLIC},
        {"192.0.2.1", GV_SCOPE_DOCUMENTATION},
        {"192.168.0.1", GV_SCOPE_PRIVATE},
        {"192.169.0.1", GV_SCOPE_PUBLIC},
        {"198.17.255.255", GV_SCOPE_PUBLIC},
        {"198.18.0.0", GV_SCOPE_SPECIAL},
        {"198.19.255.255", GV_SCOPE_SPECIAL},
        {"198.20.0.0", GV_SCOPE_PUBLIC},
        {"198.51.100.1", GV_SCOPE_DOCUMENTATION},
        {"203.0.113.1", GV_SCOPE_DOCUMENTATION},
        {"0.1.2.3", GV_SCOPE_SPECIAL},
        {"223.255.255.255", GV_SCOPE_PUBLIC},
        {"224.0.0.1", GV_SCOPE_SPECIAL},
        {"240.0.0.1", GV_SCOPE_SPECIAL},
        {"255.255.255.255", GV_SCOPE_SPECIAL},
        {"::ffff:10.0.0.1", GV_SCOPE_PRIVATE},
        {"::1", GV_SCOPE_LOOPBACK},
        {"64:ff9b::1.2.3.4", GV_SCOPE_SPECIAL},
        {"64:ff9b:1::1", GV_SCOPE_SPECIAL},
        {"100::1", GV_SCOPE_SPECIAL},
        {"2001::1", GV_SCOPE_SPECIAL},
        {"2001:1ff::1", GV_SCOPE_SPECIAL},
        {"2001:200::1", GV_SCOPE_PUBLIC},
        {"2001:db7::1", GV_SCOPE_PUBLIC},
        {"2001:db8::1", GV_SCOPE_DOCUMENTATION},
        {"2001:db9::1", GV_SCOPE_PUBLIC},
        {"2002::1", GV_SCOPE_SPECIAL},
        {"2003::1", GV_SCOPE_PUBLIC},
        {"2620:4f:8000::1", GV_SCOPE_SPECIAL},
        {"2a01:4f8::1", GV_SCOPE_PUBLIC},
        {"3fff:fff::1", GV_SCOPE_DOCUMENTATION},
        {"3fff:1000::1", GV_SCOPE_PUBLIC},
        {"4000::1", GV_SCOPE_SPECIAL},
        {"fc00::1", GV_SCOPE_PRIVATE},
        {"fdff::1", GV_SCOPE_PRIVATE},
        {"fe80::1", GV_SCOPE_LINK_LOCAL},
        {"febf::1", GV_SCOPE_LINK_LOCAL},
        {"fec0::1", GV_SCOPE_SPECIAL},
        {"ff02::1", GV_SCOPE_SPECIAL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gv_subject s;
        assert_int_equal(gv_subject_parse(&s, cases[i].text, strlen(cases[i].text)), GV_OK);
        if (gv_subject_scope(&s) != cases[i].scope)
            fail_msg("%s is scope %d", cases[i].text, gv_subject_scope(&s));
        assert_int_equal(gv_subject_shareable(&s, false), cases[i].scope == GV_SCOPE_PUBLIC);
        assert_int_equal(gv_subject_shareable(&s, true),
                         cases[i].scope == GV_SCOPE_PUBLIC ||
                             cases[i].scope == GV_SCOPE_DOCUMENTATION);
    }
    struct gv_subject none = {0};
    assert_false(gv_subject_shareable(&none, true));
}

static void networks(void **state)
{
    struct gv_subject s, n, expected;

    gv_subject_parse(&s, "198.51.100.7", 12);
    gv_subject_parse(&expected, "198.51.100.0", 12);
    n = gv_subject_network(&s);
    assert_true(gv_subject_equal(&n, &expected));
    gv_subject_parse(&s, "2001:db8:1:2::3", 15);
    gv_subject_parse(&expected, "2001:db8:1::", 12);
    n = gv_subject_network(&s);
    assert_true(gv_subject_equal(&n, &expected));
}

static uint32_t next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* Property: our text is the C library's, for IPv6 too, and reads back as the same address. */
static void round_trip_against_the_c_library(void **state)
{
    uint32_t seed = 20261122;

    for (int i = 0; i < 200000; i++) {
        struct gv_ip_address a = {.family = i % 3 ? GV_FAMILY_IPV6 : GV_FAMILY_IPV4}, back;
        size_t len = a.family == GV_FAMILY_IPV6 ? 16 : 4;
        char text[GV_IP_ADDRESS_TEXT], theirs[INET6_ADDRSTRLEN];

        for (size_t j = 0; j < len; j++)
            a.bytes[j] = next(&seed) % 4 ? 0 : (uint8_t)next(&seed); /* many runs of zeros */
        a.bytes[0] |= 0x20; /* not among ::/96 and ::ffff:0:0/96, which it writes as dotted quads */
        size_t n = gv_ip_address_text(text, &a);
        assert_int_equal(n, strlen(text));
        assert_non_null(inet_ntop(len == 16 ? AF_INET6 : AF_INET, a.bytes, theirs, sizeof theirs));
        assert_string_equal(text, theirs);
        assert_int_equal(gv_ip_address_parse(&back, text, n), GV_OK);
        assert_true(gv_ip_address_equal(&a, &back));
    }
}

/* Property: whatever we accept, the C library accepts with the same bytes (zone ids aside). */
static void accepts_no_more_than_the_c_library(void **state)
{
    static const char alphabet[] = "0123456789abcdefABF::::....";
    uint32_t seed = 4727;
    unsigned accepted = 0;

    for (int i = 0; i < 2000000; i++) {
        char text[48];
        size_t len = 2 + next(&seed) % 20;
        struct gv_ip_address a;
        uint8_t theirs[16];

        for (size_t j = 0; j < len; j++)
            text[j] = alphabet[next(&seed) % (sizeof alphabet - 1)];
        text[len] = '\0';
        if (gv_ip_address_parse(&a, text, len) != GV_OK)
            continue;
        accepted++;
        if (strchr(text, ':')) {
            assert_int_equal(inet_pton(AF_INET6, text, theirs), 1);
            if (a.family == GV_FAMILY_IPV6)
                assert_memory_equal(a.bytes, theirs, 16);
            else
                assert_memory_equal(a.bytes, theirs + 12, 4);
        } else {
            assert_int_equal(inet_pton(AF_INET, text, theirs), 1);
            assert_memory_equal(a.bytes, theirs, 4);
        }
    }
    assert_true(accepted > 100);
}

static void names_of_services_and_kinds(void **state)
{
    assert_string_equal(gv_service_name(GV_SERVICE_SUBMISSION), "submission");
    assert_string_equal(gv_service_name(GV_SERVICE_SIEVE), "sieve");
    assert_string_equal(gv_service_name(GV_SERVICE_SMTP | GV_SERVICE_IMAP), "unknown");
    assert_string_equal(gv_service_name(0), "unknown");
    assert_string_equal(gv_kind_name(GV_KIND_BAD_MECHANISM), "bad-mechanism");
    assert_string_equal(gv_kind_name(GV_KIND_ALL), "unspecified");
    assert_string_equal(gv_kind_name(1u << 30), "unspecified");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses),
        cmocka_unit_test(refuses),
        cmocka_unit_test(only_the_given_bytes_are_read),
        cmocka_unit_test(from_bytes),
        cmocka_unit_test(scopes),
        cmocka_unit_test(networks),
        cmocka_unit_test(round_trip_against_the_c_library),
        cmocka_unit_test(accepts_no_more_than_the_c_library),
        cmocka_unit_test(names_of_services_and_kinds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
