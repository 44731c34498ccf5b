/* Config files: what is read, and the exact line that each mistake gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "node/base/config.h"
#include "node/base/options.h"

struct settings {
    char *name, *required, *path;
    bool share;
    int64_t limit, life;
    int mode;
    struct gv_config_strings words;
    struct gv_config_addresses allow;
    struct gv_config_hosts seeds;
};

static const char *const modes[] = {"yes", "preview", "no", NULL};
#define AT(field) offsetof(struct settings, field)
static const struct gv_config_key keys[] = {
    {.section = "node",
     .key = "name",
     .type = GV_CONFIG_STRING,
     .offset = AT(name),
     .fallback = "",
     .max = 10,
     .doc = "A name."},
    {.section = "node",
     .key = "required",
     .type = GV_CONFIG_STRING,
     .offset = AT(required),
     .min = 1,
     .doc = "Must be there."},
    {.section = "node",
     .key = "path",
     .type = GV_CONFIG_PATH,
     .offset = AT(path),
     .fallback = "/var/lib/x",
     .doc = "A path."},
    {.section = "node",
     .key = "share",
     .type = GV_CONFIG_BOOL,
     .offset = AT(share),
     .fallback = "no",
     .doc = "A switch."},
    {.section = "limits",
     .key = "limit",
     .type = GV_CONFIG_INT,
     .offset = AT(limit),
     .fallback = "5",
     .min = 1,
     .max = 100,
     .doc = "A number."},
    {.section = "limits",
     .key = "life",
     .type = GV_CONFIG_DURATION,
     .offset = AT(life),
     .fallback = "30d",
     .min = 60,
     .max = 31536000,
     .doc = "A time."},
    {.section = "limits",
     .key = "mode",
     .type = GV_CONFIG_ENUM,
     .offset = AT(mode),
     .fallback = "preview",
     .choices = modes,
     .doc = "A choice."},
    {.section = "lists",
     .key = "words",
     .type = GV_CONFIG_STRINGS,
     .offset = AT(words),
     .fallback = "",
     .max = 3,
     .doc = "Words."},
    {.section = "lists",
     .key = "allow",
     .type = GV_CONFIG_ADDRESSES,
     .offset = AT(allow),
     .fallback = "127.0.0.0/8, ::1",
     .repeat = true,
     .doc = "Networks."},
    {.section = "lists",
     .key = "seeds",
     .type = GV_CONFIG_HOSTS,
     .offset = AT(seeds),
     .fallback = "",
     .doc = "Hosts."},
};
static const struct gv_config_table table = {
    .title = "x.conf", .keys = keys, .count = sizeof keys / sizeof *keys};

static int parse(struct settings *out, const char *text, struct gv_buf *errors)
{
    gv_buf_init(errors);
    int rc = gv_config_parse(&table, out, "x.conf", text, strlen(text), errors);
    gv_buf_append(errors, "", 1);
    return rc;
}

static void test_a_full_file(void **state)
{
    struct settings s;
    struct gv_buf errors;
    int rc = parse(&s,
                   "\xef\xbb\xbf; a comment\r\n[node]\r\nname = one ; and why\r\n"
                   "required = here\npath = data\nshare = yes\n\n"
                   "# another\n[limits]\nlimit=100\nlife = 2h\nmode = no\n"
                   "[lists]\nwords = a b,c\nallow = 10.0.0.0/8\nallow = 2001:db8::1\n"
                   "seeds = mx.example:25,\n    [::1]:4727\n  ; inside\n\t192.0.2.1:65535\n",
                   &errors);
    assert_string_equal((char *)errors.data, "");
    assert_int_equal(rc, GV_OK);
    assert_string_equal(s.name, "one");
    assert_string_equal(s.required, "here");
    assert_string_equal(s.path, "./data");
    assert_true(s.share);
    assert_int_equal(s.limit, 100);
    assert_int_equal(s.life, 7200);
    assert_int_equal(s.mode, 2);
    assert_int_equal(s.words.count, 3);
    assert_string_equal(s.words.items[2], "c");
    assert_int_equal(s.allow.count, 2);
    assert_int_equal(s.allow.items[0].prefix, 8);
    assert_int_equal(s.allow.items[1].prefix, 128);
    assert_int_equal(s.seeds.count, 3);
    assert_string_equal(s.seeds.items[1].host, "::1");
    assert_int_equal(s.seeds.items[2].port, 65535);
    gv_config_free(&table, &s);
    gv_config_free(&table, &s); /* harmless */
    gv_buf_free(&errors);
}

static void test_defaults(void **state)
{
    struct settings s;
    struct gv_buf errors;

    assert_int_equal(parse(&s, "[node]\nrequired = x\n", &errors), GV_OK);
    assert_null(s.name);
    assert_string_equal(s.path, "/var/lib/x");
    assert_int_equal(s.life, 30 * 86400);
    assert_int_equal(s.mode, 1);
    assert_int_equal(s.allow.count, 2);
    assert_int_equal(s.seeds.count, 0);
    gv_config_free(&table, &s);
    gv_buf_free(&errors);
    assert_int_equal(gv_config_defaults(&table, &s), GV_OK);
    assert_null(s.required);
    assert_int_equal(s.limit, 5);
    gv_config_free(&table, &s);
}

static void test_each_mistake_gets_its_line(void **state)
{
#define HEAD "[node]\nrequired = x\n"
    static const struct {
        const char *text, *line;
    } cases[] = {
        {"[node]\n", "x.conf:1: [node] required: is missing, it must be given\n"},
        {"", "x.conf:1: [node] required: is missing, it must be given\n"},
        {HEAD "shaer = yes\n", "x.conf:3: [node] shaer: no such key, did you mean 'share'?\n"},
        {HEAD "zzz = yes\n",
         "x.conf:3: [node] zzz: no such key, remove it (--help-config lists them all)\n"},
        {HEAD "mode = yes\n",
         "x.conf:3: [node] mode: not a key of this section, it belongs in [limits]\n"},
        {HEAD "seeds = a:1\n",
         "x.conf:3: [node] seeds: not a key of this section, it belongs in [lists]\n"},
        {HEAD "[limit]\nlimit = 1\n",
         "x.conf:3: [limit]: no such section, did you mean [limits]?\n"},
        {HEAD "[elsewhere]\nx = 1\ny = 2\n",
         "x.conf:3: [elsewhere]: no such section, remove it (--help-config lists them all)\n"},
        {"required = x\n" HEAD,
         "x.conf:1: [] required: stands before the first [section], move it\n"},
        {HEAD "required = y\n",
         "x.conf:3: [node] required: given twice, first on line 2; remove one\n"},
        {HEAD "share = true\n", "x.conf:3: [node] share: 'true' will not do, write yes or no\n"},
        {HEAD "share =\n", "x.conf:3: [node] share: '' will not do, write yes or no\n"},
        {HEAD "name = 12345678901\n",
         "x.conf:3: [node] name: is 11 bytes long, at most 10 are allowed\n"},
        {HEAD "path =\n", "x.conf:3: [node] path: is empty, give a value\n"},
        {HEAD "[limits]\nlimit = 101\n",
         "x.conf:4: [limits] limit: '101' will not do, write a whole number from 1 to 100\n"},
        {HEAD "[limits]\nlimit = 0x10\n",
         "x.conf:4: [limits] limit: '0x10' will not do, write a whole number from 1 to 100\n"},
        {HEAD "[limits]\nlimit = 99999999999999999999999\n",
         "x.conf:4: [limits] limit: '99999999999999999999999' will not do, write a whole number "
         "from 1 to 100\n"},
        {HEAD "[limits]\nlife = 10\n",
         "x.conf:4: [limits] life: '10' will not do, write a time with a unit (s, m, h, d, w) from "
         "1m to 365d\n"},
        {HEAD "[limits]\nmode = maybe\n",
         "x.conf:4: [limits] mode: 'maybe' will not do, write one of: yes, preview, no\n"},
        {HEAD "[lists]\nwords = a b c d\n",
         "x.conf:4: [lists] words: has 4 entries, give 0 to 3\n"},
        {HEAD "[lists]\nallow = 10.0.0.0/33\n",
         "x.conf:4: [lists] allow: '10.0.0.0/33' will not do, write addresses or networks, e.g. "
         "192.0.2.7 or 2001:db8::/32\n"},
        {HEAD "[lists]\nallow = 192.0.2.1/24\n",
         "x.conf:4: [lists] allow: '192.0.2.1/24' has bits beyond its prefix, write "
         "192.0.2.0/24\n"},
        {HEAD "[lists]\nallow = 2001:db8::1/64\n",
         "x.conf:4: [lists] allow: '2001:db8::1/64' has bits beyond its prefix, write "
         "2001:db8::/64\n"},
        {HEAD "[lists]\nseeds = a:1 b\n",
         "x.conf:4: [lists] seeds: 'b' will not do, write HOST:PORT, e.g. mail.example.org:4727 or "
         "[2001:db8::1]:4727\n"},
        {HEAD "nonsense\n", "x.conf:3: neither '[section]' nor 'key = value'\n"},
        {HEAD "[node\n", "x.conf:3: not a section, write '[section]'\n"},
        {HEAD "  name = x\n",
         "x.conf:3: [node] required: an indented line continues a list, and this is none; begin "
         "keys at the first column\n"},
        {HEAD "name = a\x1b[31mb\n", "x.conf:3: holds a control character, remove it\n"},
        {HEAD "share = \xff\n", "x.conf:3: [node] share: '\\xff' will not do, write yes or no\n"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct settings s;
        struct gv_buf errors;
        assert_int_equal(parse(&s, cases[i].text, &errors), GV_ERR_CONFIG);
        assert_string_equal((char *)errors.data, cases[i].line);
        gv_buf_free(&errors);
    }
}

static void test_all_mistakes_are_told_at_once(void **state)
{
    struct settings s;
    struct gv_buf errors;

    assert_int_equal(parse(&s, "[node]\nshare = x\nfoo = 1\nbar\n[limits]\nlimit = 0\n", &errors),
                     GV_ERR_CONFIG);
    size_t lines = 0;
    for (const char *at = (char *)errors.data; *at; at++)
        lines += *at == '\n';
    assert_int_equal(lines, 5); /* the fifth: required is missing */
    gv_buf_free(&errors);
}

/* A binary file by mistake: bounded output, no crash. */
static void test_garbage_and_long_lines(void **state)
{
    struct settings s;
    struct gv_buf errors;
    char text[20000];

    memset(text, 'x', sizeof text);
    memcpy(text, HEAD "name = ", sizeof HEAD + 6);
    text[sizeof text - 1] = '\n';
    gv_buf_init(&errors);
    assert_int_equal(gv_config_parse(&table, &s, "x.conf", text, sizeof text, &errors),
                     GV_ERR_CONFIG);
    gv_buf_append(&errors, "", 1);
    assert_string_equal((char *)errors.data,
                        "x.conf:3: longer than 4096 bytes, break it into indented lines\n");
    gv_buf_clear(&errors);
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)(i * 7919 >> 3);
    assert_int_equal(gv_config_parse(&table, &s, "x.conf", text, sizeof text, &errors),
                     GV_ERR_CONFIG);
    assert_true(errors.len < 20000);
    gv_buf_free(&errors);
}

static void test_an_absent_file(void **state)
{
    struct settings s;
    struct gv_buf errors;

    gv_buf_init(&errors);
    assert_int_equal(gv_config_load(&table, &s, "/nonexistent/x.conf", &errors), GV_ERR_IO);
    gv_buf_append(&errors, "", 1);
    assert_string_equal((char *)errors.data,
                        "/nonexistent/x.conf: No such file or directory; name another with "
                        "--config, or write it (--help-config shows what it may hold)\n");
    gv_buf_free(&errors);
}

/* What --help-config prints is itself a valid config, but for what must be given. */
static void test_the_documentation_is_a_config(void **state)
{
    char *text = NULL;
    size_t len = 0;
    struct settings s;
    struct gv_buf errors;
    FILE *out = open_memstream(&text, &len);

    gv_config_print(&table, out);
    fclose(out);
    for (char *at = text; (at = strstr(at, "\n;")); at++)
        if (at[2] != ' ')
            at[1] = '\n'; /* take the keys into use */
    char *required = strstr(text, "required =");
    assert_non_null(required);
    required[10] = 'x';
    gv_buf_init(&errors);
    int rc = gv_config_parse(&table, &s, "x.conf", text, len, &errors);
    gv_buf_append(&errors, "", 1);
    assert_string_equal((char *)errors.data, "");
    assert_int_equal(rc, GV_OK);
    gv_config_free(&table, &s);
    gv_buf_free(&errors);
    free(text);
}

static void test_containment(void **state)
{
    struct gv_config_address network;
    static const uint8_t inside[4] = {10, 1, 255, 3}, outside[4] = {10, 2, 0, 1};
    static const uint8_t mapped[16] = {[10] = 0xff, 0xff, 10, 1, 0, 9};

    assert_int_equal(gv_config_address_parse(&network, "10.1.0.0/16"), GV_OK);
    assert_true(gv_config_address_contains(&network, inside, 4));
    assert_true(gv_config_address_contains(&network, mapped, 16));
    assert_false(gv_config_address_contains(&network, outside, 4));
    assert_int_equal(gv_config_address_parse(&network, "0.0.0.0/0"), GV_OK);
    assert_true(gv_config_address_contains(&network, outside, 4));
    assert_int_not_equal(gv_config_address_parse(&network, "10.1/16"), GV_OK);
    assert_int_not_equal(gv_config_address_parse(&network, "10.1.0.0/"), GV_OK);
    assert_int_not_equal(gv_config_address_parse(&network, "10.1.0.0/-1"), GV_OK);
}

static void test_the_address_of_a_registry(void **state)
{
    static const struct {
        const char *url;
        bool valid;
    } cases[] = {
        {"https://registry.example.org", true},
        {"https://registry.example.org/", true},
        {"http://127.0.0.1:8080", true},
        {"https://[2001:db8::1]", true},
        {"https://[2001:db8::1]:8443/", true},
        {"http://x y", false},
        {"http://x/path", false},
        {"http://x//", false},
        {"http://x?query", false},
        {"http://user@x", false},
        {"http://x:0", false},
        {"http://x:65536", false},
        {"http://x:", false},
        {"http://", false},
        {"https:///", false},
        {"ftp://x", false},
        {"x", false},
        {"", false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (gv_config_url_valid(cases[i].url) != cases[i].valid)
            fail_msg("%s", cases[i].url);
}

/* Writes a grapevine.conf, loads and checks it as the daemon does, and compares what is said
 * behind "FILE:". */
static void expect_options(const char *text, const char *said)
{
    char path[] = "/tmp/gv-config.XXXXXX";
    struct gv_options options;
    struct gv_buf errors;
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    gv_buf_init(&errors);
    int rc = gv_options_load(&options, path, &errors);
    if (rc == GV_OK) {
        rc = gv_options_check_host(&options, path, &errors);
        gv_options_free(&options);
    }
    unlink(path);
    gv_buf_append(&errors, "", 1);
    const char *line = (const char *)errors.data;
    if (*line)
        line += strlen(path) + 1;
    assert_string_equal(line, said);
    assert_int_equal(rc, *said ? GV_ERR_CONFIG : GV_OK);
    gv_buf_free(&errors);
}

#define NODE "[node]\ndata = /tmp/gv-none\n"
struct config_case {
    const char *text, *said; /* "": nothing is wrong */
};

static void test_surfaces_that_cannot_work(void **state)
{
    static const struct config_case cases[] = {
        {NODE "[policy]\nenforce = dovecot, dnsbl\n[http]\nlisten = 127.0.0.1:4729\n"
              "[dnsbl]\nlisten = 127.0.0.1:4753, [::1]:4753\nclients = 192.0.2.0/24\n",
         ""},
        {NODE "[policy]\nenforce = firewall\n",
         "4: [policy] enforce: \"firewall\" will not do here, write no, or some of dovecot, dnsbl, "
         "bouncers, nftables\n"},
        {NODE "[policy]\nenforce = no, dnsbl\n[dnsbl]\nlisten = 127.0.0.1:4753\n",
         "4: [policy] enforce: \"no\" will not do here, write no, or some of dovecot, dnsbl, "
         "bouncers, nftables\n"},
        {NODE "[policy]\nenforce = dovecot\n",
         "4: [policy] enforce: dovecot needs a place to ask; set [http] listen = 127.0.0.1:4729\n"},
        {NODE
         "[policy]\nenforce = bouncers, dovecot\nfeed = consensus\n[http]\nlisten = 127.0.0.1:1\n",
         ""},
        {NODE "[policy]\nenforce = bouncers\n",
         "4: [policy] enforce: bouncers need a place to ask; set [http] listen = 127.0.0.1:4729\n"},
        {NODE "[policy]\nfeed = all\n",
         "4: [policy] feed: 'all' will not do, write one of: refuse, consensus\n"},
        {NODE "[policy]\nenforce = dnsbl\n",
         "4: [policy] enforce: dnsbl needs a place to ask; set [dnsbl] listen = 127.0.0.1:4753\n"},
        {NODE "[policy]\nenforce = nftables\n[firewall]\nports = 587 993\naction = reject\n", ""},
        {NODE "[firewall]\nports = smtp\n",
         "4: [firewall] ports: \"smtp\" will not do, write port numbers, e.g. 587, 993\n"},
        {NODE "[firewall]\nports = 587, 993,\n 65536\n",
         "4: [firewall] ports: \"65536\" will not do, write port numbers, e.g. 587, 993\n"},
        {NODE "[firewall]\nports = 587, 993, 587\n",
         "4: [firewall] ports: 587 is named twice; remove one\n"},
        {NODE "[hooks]\nexec = on-change\n",
         "4: [hooks] exec: \"on-change\" is not an absolute path; write one, e.g. "
         "/usr/local/sbin/on-change\n"},
        {NODE "[hooks]\nwebhook = http://hooks.example.org/x\n",
         "4: [hooks] webhook: that will not do, write https://HOST/PATH; http "
         "only to 127.0.0.1, [::1] or localhost\n"},
        {NODE "[hooks]\nwebhook = http://127.0.0.1@hooks.example.org/x\n",
         "4: [hooks] webhook: that will not do, write https://HOST/PATH; http "
         "only to 127.0.0.1, [::1] or localhost\n"},
        {NODE "[hooks]\nwebhook = http://127.0.0.1:8080/x\n", ""},
        {NODE "[dnsbl]\nlisten = 0.0.0.0:53\n",
         "4: [dnsbl] listen: \"0.0.0.0\" is not an address of this host; write it as "
         "127.0.0.1:4753 or [::1]:4753\n"},
        {NODE "[http]\nlisten = localhost:4729\n",
         "4: [http] listen: \"localhost\" is not an address; write it as 127.0.0.1:4729 or "
         "[::1]:4729\n"},
        {NODE "[http]\nlisten = 0.0.0.0:4729\n", "4: [http] listen: \"0.0.0.0\" is open to other "
                                                 "hosts, but [http] clients lists none; list "
                                                 "them, or listen on 127.0.0.1\n"},
        {NODE "[http]\nlisten = [::1]:4729\n", ""},
        {NODE "[http]\nlisten = 192.0.2.1:4729\nclients = 192.0.2.0/24\nnames = mail.example.org\n",
         ""},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_options(cases[i].text, cases[i].said);
}

static void test_values_that_are_wrong_on_this_host(void **state)
{
    static const struct config_case cases[] = {
        {NODE "[log]\ntimezone = UTC\n", ""},
        {NODE "[log]\ntimezone = CET-1CEST,M3.5.0,M10.5.0/3\n", ""},
        {NODE "[log]\ntimezone = Europe/Berlyn\n",
         "4: [log] timezone: there is no zone \"Europe/Berlyn\" in /usr/share/zoneinfo; write one "
         "such as Europe/Berlin or UTC\n"},
        {NODE "[log]\ntimezone = ../../../etc/passwd\n",
         "4: [log] timezone: there is no zone \"../../../etc/passwd\" in /usr/share/zoneinfo; "
         "write one such as Europe/Berlin or UTC\n"},
        {NODE "[policy]\nallow = 192.0.2.1/24\n",
         "4: [policy] allow: '192.0.2.1/24' has bits beyond its prefix, write 192.0.2.0/24\n"},
        {NODE "[network]\nregistry = http://x y\n",
         "4: [network] registry: \"http://x y\" will not do, write https://HOST or "
         "https://HOST:PORT (or http://), without a path, e.g. https://registry.example.org\n"},
        {NODE "[network]\nregistry = https://x.test/path\n",
         "4: [network] registry: \"https://x.test/path\" will not do, write https://HOST or "
         "https://HOST:PORT (or http://), without a path, e.g. https://registry.example.org\n"},
        {NODE "control_group = nosuchgroup\n",
         "3: [node] control_group: there is no group \"nosuchgroup\"; make it with `groupadd "
         "--system nosuchgroup`, or write another\n"},
        {NODE "[network]\ndescriptor = /nonexistent\n",
         "4: [network] descriptor: /nonexistent: No such file or directory; write the path of a "
         "file that the daemon's user can read, or leave it empty\n"},
        {"[node]\ndata = /etc/passwd/x\n",
         "2: [node] data: /etc/passwd is not a folder, so nothing can be made in it; write e.g. "
         "/var/lib/grapevine\n"},
        {"[node]\ndata = /etc/passwd\n",
         "2: [node] data: /etc/passwd is not a folder; write one, e.g. /var/lib/grapevine\n"},
        {"[node]\ndata = /nonexistent/a/\n",
         "2: [node] data: /nonexistent: No such file or directory; make that folder first, or "
         "write another path\n"},
        {NODE "[policy]\nallow = 192.0.2.0/24, ::1\ndeny = 198.51.100.1\n    203.0.113.1, "
              "192.0.2.0/24\ndeny = 192.0.2.0/25\n",
         "6: [policy] deny: 192.0.2.0/24 is in [policy] allow too; remove it from one of the "
         "two\n"},
        {"[policy]\ndeny = 2001:db8::1\nallow = 2001:db8::1\n[node]\ndata = /tmp/gv-none\n",
         "2: [policy] deny: 2001:db8::1 is in [policy] allow too; remove it from one of the "
         "two\n"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_options(cases[i].text, cases[i].said);
}

static void test_what_is_advertised_in_vain(void **state)
{
    static const struct {
        const char *address;
        bool in_vain;
    } cases[] = {
        {"10.1.2.3", true},  {"127.0.0.1", true}, {"fd00::1", true},
        {"192.0.2.1", true}, {"8.8.8.8", false},  {"2a01:4f8::1", false},
    };
    struct gv_options options;

    memset(&options, 0, sizeof options);
    assert_false(gv_options_advertise_in_vain(&options, false)); /* nothing is advertised */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gv_config_address address;
        assert_int_equal(gv_config_address_parse(&address, cases[i].address), GV_OK);
        options.advertised.family = address.family;
        memcpy(options.advertised.bytes, address.bytes, 16);
        if (gv_options_advertise_in_vain(&options, false) != cases[i].in_vain)
            fail_msg("%s", cases[i].address);
        assert_false(gv_options_advertise_in_vain(&options, true)); /* a lab may be anywhere */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_full_file),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_each_mistake_gets_its_line),
        cmocka_unit_test(test_all_mistakes_are_told_at_once),
        cmocka_unit_test(test_garbage_and_long_lines),
        cmocka_unit_test(test_an_absent_file),
        cmocka_unit_test(test_the_documentation_is_a_config),
        cmocka_unit_test(test_containment),
        cmocka_unit_test(test_what_is_advertised_in_vain),
        cmocka_unit_test(test_the_address_of_a_registry),
        cmocka_unit_test(test_surfaces_that_cannot_work),
        cmocka_unit_test(test_values_that_are_wrong_on_this_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
