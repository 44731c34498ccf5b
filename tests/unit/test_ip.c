/* Addresses as text and bytes: ip.h, address.h and the prefixes of settings.h, against the C
 * library's inet_pton and inet_ntop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/certificate.h"
#include "crypto/drbg.h"
#include "crypto/error.h"
#include "proto/address.h"
#include "proto/ip.h"
#include "proto/settings.h"

static struct gv_drbg dice;

static uint32_t draw(uint32_t bound)
{
    return (uint32_t)gv_drbg_below(&dice, bound);
}

static bool is_mapped(const uint8_t bytes[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    return memcmp(bytes, mapped, sizeof mapped) == 0;
}

/* What the C library makes of it, with a mapped address taken for the IPv4 that it is. */
static uint8_t oracle(uint8_t bytes[16], const char *text)
{
    memset(bytes, 0, 16);
    if (inet_pton(AF_INET, text, bytes) == 1)
        return GV_FAMILY_IPV4;
    if (inet_pton(AF_INET6, text, bytes) != 1)
        return GV_FAMILY_NONE;
    if (!is_mapped(bytes))
        return GV_FAMILY_IPV6;
    memmove(bytes, bytes + 12, 4);
    memset(bytes + 4, 0, 12);
    return GV_FAMILY_IPV4;
}

static void check_text(const char *text)
{
    uint8_t family, bytes[16], expected[16], wanted = oracle(expected, text);
    int rc = gv_ip_parse(&family, bytes, text, strlen(text));

    if ((rc == GV_OK) != (wanted != GV_FAMILY_NONE) || family != wanted)
        fail_msg("\"%s\": %d, family %u instead of %u", text, rc, family, wanted);
    if (wanted != GV_FAMILY_NONE)
        assert_memory_equal(bytes, expected, 16);
}

static void text_reads_as_the_c_library_reads_it(void **state)
{
    static const char *const texts[] = {"1.2.3.4",
                                        "255.255.255.255",
                                        "0.0.0.0",
                                        "256.1.1.1",
                                        "1.2.3",
                                        "1.2.3.4.5",
                                        "01.2.3.4",
                                        "1.2.3.4 ",
                                        " 1.2.3.4",
                                        "1..3.4",
                                        "1.2.3.",
                                        ".1.2.3",
                                        "1.2.3.0x4",
                                        "1.2.3.-4",
                                        "1.2.3.+4",
                                        "",
                                        ":",
                                        "::",
                                        ":::",
                                        "::1",
                                        "1::",
                                        "1::1",
                                        "1::1::1",
                                        "1:2:3:4:5:6:7:8",
                                        "1:2:3:4:5:6:7",
                                        "1:2:3:4:5:6:7:8:9",
                                        "1:2:3:4:5:6:7::",
                                        "::2:3:4:5:6:7:8",
                                        "::1:2:3:4:5:6:7:8",
                                        "1::2:3:4:5:6:7:8",
                                        "1:2:3:4:5:6:7:",
                                        ":1:2:3:4:5:6:7:8",
                                        "12345::",
                                        "g::",
                                        "::ffff:1.2.3.4",
                                        "::1.2.3.4",
                                        "::ffff:1.2.3",
                                        "::ffff:1.2.3.4.5",
                                        "1:2:3:4:5:6:1.2.3.4",
                                        "1:2:3:4:5:6:7:1.2.3.4",
                                        "1:2:3:4:5::1.2.3.4",
                                        "1:2:3:4:5:6::1.2.3.4",
                                        "::1.2.3.4:5",
                                        "1.2.3.4::",
                                        "::ffff:01.2.3.4",
                                        "::FFFF:1.2.3.4",
                                        "2001:DB8::A",
                                        "0:0:0:0:0:ffff:102:304",
                                        "::ffff:102:304",
                                        "fe80::1/64",
                                        "::1:",
                                        "::00001",
                                        "0000:0000::0000",
                                        "1:::2"};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        check_text(texts[i]);
}

static void random_text_reads_so_too(void **state)
{
    static const char alphabet[] = "0123456789abcfF::::....:.";

    for (unsigned i = 0; i < 200000; i++) {
        char text[48];
        size_t len = 1 + draw(sizeof text - 2);
        for (size_t c = 0; c < len; c++)
            text[c] = alphabet[draw(sizeof alphabet - 1)];
        text[len] = '\0';
        check_text(text);
    }
    /* And what nearly is an address. */
    for (unsigned i = 0; i < 100000; i++) {
        uint8_t bytes[16];
        char text[64];
        gv_drbg_fill(&dice, bytes, sizeof bytes);
        for (size_t b = 0; b < 16; b += 2)
            if (draw(2))
                bytes[b] = bytes[b + 1] = 0;
        assert_non_null(inet_ntop(draw(3) ? AF_INET6 : AF_INET, bytes, text, sizeof text));
        check_text(text);
        text[draw((uint32_t)strlen(text))] = alphabet[draw(sizeof alphabet - 1)];
        check_text(text);
    }
}

/* glibc writes IPv4-compatible addresses (::/96) with dots, which RFC 5952 leaves open; we do not.
 */
static void text_is_written_as_the_c_library_writes_it(void **state)
{
    for (unsigned i = 0; i < 100000; i++) {
        uint8_t bytes[16], back[16], family;
        char text[GV_IP_TEXT], expected[64];
        gv_drbg_fill(&dice, bytes, sizeof bytes);
        for (size_t b = 0; b < 16; b += 2) {
            if (draw(2))
                bytes[b] = bytes[b + 1] = 0;
            else if (draw(3) == 0)
                bytes[b] = 0;
        }
        bool ipv4 = draw(4) == 0;
        if (!ipv4 && bytes[0] == 0)
            bytes[0] = 0x20;
        if (ipv4)
            memset(bytes + 4, 0, 12);
        size_t len = gv_ip_text(text, ipv4 ? GV_FAMILY_IPV4 : GV_FAMILY_IPV6, bytes);
        assert_non_null(inet_ntop(ipv4 ? AF_INET : AF_INET6, bytes, expected, sizeof expected));
        assert_string_equal(text, expected);
        assert_int_equal(len, strlen(expected));
        assert_int_equal(gv_ip_parse(&family, back, text, len), GV_OK);
        assert_memory_equal(bytes, back, 16);
    }
    char none[GV_IP_TEXT] = "x";
    assert_int_equal(gv_ip_text(none, GV_FAMILY_NONE, (const uint8_t[16]){0}), 0);
    assert_string_equal(none, "");
}

static void brackets_and_zones(void **state)
{
    static const struct {
        const char *text;
        bool good;
    } cases[] = {{"[::1]", true},
                 {"[1.2.3.4]", false},
                 {"[::1", false},
                 {"::1]", false},
                 {"[]", false},
                 {"[[::1]]", false},
                 {"fe80::1%eth0", true},
                 {"[fe80::1%eth0]", true},
                 {"fe80::1%", false},
                 {"fe80::1%a%b", false},
                 {"fe80::1%a b", false},
                 {"%eth0", false},
                 {"1.2.3.4%eth0", false},
                 {"[::ffff:1.2.3.4]", true},
                 {"fe80::1%0123456789012345678901234567890123456789", false}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t family, bytes[16];
        int rc = gv_ip_parse(&family, bytes, cases[i].text, strlen(cases[i].text));
        if ((rc == GV_OK) != cases[i].good)
            fail_msg("%s: %d", cases[i].text, rc);
        if (rc != GV_OK)
            assert_int_equal(family, GV_FAMILY_NONE);
    }
}

/* ---- transport addresses --------------------------------------------------------------------- */

static void addresses_go_round(void **state)
{
    for (unsigned i = 0; i < 20000; i++) {
        struct gv_address a = {0}, back;
        char text[GV_ADDRESS_TEXT];
        uint8_t wire[18];
        a.family = draw(2) ? GV_FAMILY_IPV4 : GV_FAMILY_IPV6;
        gv_drbg_fill(&dice, a.bytes, a.family == GV_FAMILY_IPV4 ? 4 : 16);
        a.port = (uint16_t)(1 + draw(65535));
        gv_address_text(text, &a);
        assert_int_equal(gv_address_parse(&back, text, strlen(text)), GV_OK);
        assert_true(gv_address_equal(&a, &back));
        size_t len = gv_address_pack(wire, &a);
        assert_int_equal(len, a.family == GV_FAMILY_IPV4 ? 6 : 18);
        assert_int_equal(gv_address_unpack(&back, wire, len), GV_OK);
        assert_true(gv_address_equal(&a, &back));
        for (size_t other = 0; other <= 18; other++)
            if (other != 6 && other != 18)
                assert_int_equal(gv_address_unpack(&back, wire, other), GV_ERR_MALFORMED);
    }
}

static void ports_and_hosts(void **state)
{
    static const struct {
        const char *text;
        bool good;
    } cases[] = {{"1.2.3.4:1", true},
                 {"1.2.3.4:65535", true},
                 {"1.2.3.4:65536", false},
                 {"1.2.3.4:0", false},
                 {"1.2.3.4:01", false},
                 {"1.2.3.4:", false},
                 {"1.2.3.4", false},
                 {":25", false},
                 {"", false},
                 {"[::1]:25", true},
                 {"::1:25", false},
                 {"[::1]", false},
                 {"[::1]25", false},
                 {"mail.example:25", false},
                 {"1.2.3.4:25 ", false},
                 {"1.2.3.4:+25", false},
                 {"1.2.3.4:100000", false},
                 {"[1.2.3.4]:25", false},
                 {"[::ffff:1.2.3.4]:25", true}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gv_address a;
        int rc = gv_address_parse(&a, cases[i].text, strlen(cases[i].text));
        if ((rc == GV_OK) != cases[i].good)
            fail_msg("%s: %d", cases[i].text, rc);
    }
}

/* ---- prefixes ------------------------------------------------------------------------------- */

static bool slow_match(const struct gv_prefix *p, const struct gv_subject *s)
{
    unsigned width = s->family == GV_FAMILY_IPV4 ? 32 : 64;

    if (p->family != s->family)
        return false;
    for (unsigned bit = 0; bit < p->bits && bit < width; bit++)
        if ((p->bytes[bit / 8] ^ s->bytes[bit / 8]) >> (7 - bit % 8) & 1)
            return false;
    return true;
}

static void prefixes_go_round_and_match(void **state)
{
    unsigned hits = 0;

    for (unsigned i = 0; i < 50000; i++) {
        struct gv_prefix p = {0}, back;
        struct gv_subject s = {0};
        char text[GV_PREFIX_TEXT];
        p.family = draw(2) ? GV_FAMILY_IPV4 : GV_FAMILY_IPV6;
        unsigned width = p.family == GV_FAMILY_IPV4 ? 32 : 128;
        p.bits = (uint8_t)draw(width + 1);
        for (unsigned bit = 0; bit < p.bits; bit++)
            p.bytes[bit / 8] |= (uint8_t)(draw(2) << (7 - bit % 8));
        if (p.family == GV_FAMILY_IPV6 && is_mapped(p.bytes))
            continue;
        gv_prefix_text(text, &p);
        assert_int_equal(gv_prefix_parse(&back, text, strlen(text)), GV_OK);
        assert_memory_equal(&p, &back, sizeof p);
        s.family = draw(10) ? p.family : (uint8_t)(10 - p.family);
        memcpy(s.bytes, p.bytes, s.family == GV_FAMILY_IPV4 ? 4 : 8);
        for (unsigned flips = draw(3); flips > 0; flips--)
            s.bytes[draw(s.family == GV_FAMILY_IPV4 ? 4 : 8)] ^= (uint8_t)(1 << draw(8));
        assert_int_equal(gv_prefix_matches(&p, &s), slow_match(&p, &s));
        hits += slow_match(&p, &s);
    }
    assert_true(hits > 1000);
}

static void prefixes_as_text(void **state)
{
    static const struct {
        const char *text;
        const char *canonical; /* NULL: malformed */
    } cases[] = {{"1.2.3.4", "1.2.3.4"},
                 {"1.2.3.4/32", "1.2.3.4"},
                 {"1.2.3.0/24", "1.2.3.0/24"},
                 {"1.2.3.4/24", NULL}, /* host bits */
                 {"0.0.0.0/0", "0.0.0.0/0"},
                 {"1.2.3.4/33", NULL},
                 {"1.2.3.0/024", NULL},
                 {"1.2.3.0/", NULL},
                 {"1.2.3.0/-1", NULL},
                 {"1.2.3.0/8/8", NULL},
                 {"/8", NULL},
                 {"", NULL},
                 {"2001:db8::/32", "2001:db8::/32"},
                 {"2001:db8::1/32", NULL},
                 {"2001:db8::1", "2001:db8::1"},
                 {"2001:db8::/129", NULL},
                 {"::/0", "::/0"},
                 {"::ffff:1.2.3.4", "1.2.3.4"},
                 {"::ffff:1.2.3.0/120", "1.2.3.0/24"},
                 {"::ffff:0.0.0.0/96", "0.0.0.0/0"},
                 {"::ffff:0:0/95", NULL},
                 {"1.2.3.0/128", NULL}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gv_prefix p;
        char text[GV_PREFIX_TEXT];
        int rc = gv_prefix_parse(&p, cases[i].text, strlen(cases[i].text));
        if ((rc == GV_OK) != (cases[i].canonical != NULL))
            fail_msg("%s: %d", cases[i].text, rc);
        if (rc != GV_OK)
            continue;
        gv_prefix_text(text, &p);
        assert_string_equal(text, cases[i].canonical);
    }
}

int main(void)
{
    const char *given = getenv("GV_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    uint8_t bytes[GV_SEED_LEN] = {0};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_reads_as_the_c_library_reads_it),
        cmocka_unit_test(random_text_reads_so_too),
        cmocka_unit_test(text_is_written_as_the_c_library_writes_it),
        cmocka_unit_test(brackets_and_zones),
        cmocka_unit_test(addresses_go_round),
        cmocka_unit_test(ports_and_hosts),
        cmocka_unit_test(prefixes_go_round_and_match),
        cmocka_unit_test(prefixes_as_text),
    };

    printf("GV_SEED=%llu\n", (unsigned long long)seed);
    memcpy(bytes, &seed, sizeof seed);
    gv_drbg_init(&dice, bytes);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
