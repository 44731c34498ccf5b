/* `grapevine privacy notice` (SPEC 15.1): what an admin's own privacy policy says is what his
 * configuration does, and nothing that it does not. */
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
#include "node/base/options.h"
#include "node/cli/command.h"

/* The notice of a configuration, with each line's end a blank: free it. */
static char *notice_of(const char *configuration)
{
    char path[] = "/tmp/gv-notice.XXXXXX", *text = NULL;
    struct gv_options options;
    struct gv_buf errors;
    size_t len;
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(dprintf(fd, "[node]\ndata = /tmp\n%s", configuration),
                     strlen(configuration) + 19);
    close(fd);
    gv_buf_init(&errors);
    int rc = gv_options_load(&options, path, &errors);
    if (rc != GV_OK)
        fail_msg("%.*s", (int)errors.len, (const char *)errors.data);
    unlink(path);
    gv_buf_free(&errors);
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    gv_cli_print_notice(out, &options);
    assert_int_equal(fclose(out), 0);
    gv_options_free(&options);
    for (char *at = text; (at = strchr(at, '\n')); at++)
        *at = ' ';
    return text;
}

#define YES "[share]\nmode = yes\n"
#define NO  "[share]\nmode = no\n"

static void test_what_is_said_and_what_is_not(void **state)
{
    static const struct {
        const char *configuration, *said, *not_said;
    } cases[] = {
        /* Every notice. */
        {"", "Article 6(1)(f)", NULL},
        {"", "is no legal advice", NULL},
        {"", "Articles 15 to 18 and 21 GDPR", NULL},
        {"",
         "deleted 7 days after its last failed login, and 30 days after its last successful one",
         NULL},
        /* What is shared, with whom, how often. */
        {YES, "this server tells the other mail servers of the network: the address",
         "Nothing: this"},
        {YES, "Recipients are all members of the network", NULL},
        {YES, "at most every 12 hours, and at most 32 reports go out in an hour", NULL},
        {YES, "as a power of ten, and how many per cent of it bounced", NULL},
        {YES "share_statistics = no\n", "Our own servers", "power of ten"},
        {NO, "Nothing: this server receives such reports from others", "Recipients are all"},
        {NO "share_statistics = yes\n", "Nothing: this server", "power of ten"},
        {NO, "Nothing: this server", "is prepared for its administrator"},
        {"[share]\nmode = preview\n", "What it would tell is prepared for its administrator alone.",
         "Recipients are all"},
        {"", "is prepared for its administrator alone", "Recipients are all"}, /* the default */
        /* Retention, as it is set. */
        {YES "[limits]\ntelemetry = 5d\n",
         "record of each report about an address is kept here for 5 days", NULL},
        {"[limits]\njournal = 36h\n", "keeps it for 36 hours for its administrator", NULL},
        {"[limits]\nstatistics = 14d\n", "name nobody, are kept for 14 days", NULL},
        {"", "The log of this service, which names addresses", NULL},
        /* What becomes of the addresses here. */
        {"", "At present this server only watches", "are refused for a time"},
        {"[policy]\nenforce = nftables\n", "get fewer attempts here", "only watches"},
        {"[policy]\nenforce = nftables\nrefuse_on = consensus\n", "hold untrusted are refused here",
         "get fewer attempts"},
        /* Others who are told. */
        {"", "Your rights", "Besides."},
        {NO "[hooks]\nwebhook = https://hooks.example:8443/secret?key=1\n",
         "is told to hooks.example, as it happens.", "secret"},
        {"[hooks]\nwebhook = https://[2001:db8::1]/x\n", "is told to [2001:db8::1], as", "/x"},
        {"[hooks]\nexec = /opt/secret/tell\n",
         "is told to a program on this server, as it happens.", "/opt"},
        {"[hooks]\nexec = /opt/secret/tell\nwebhook = https://hooks.example/x\n",
         "is told to hooks.example and to a program on this server, as it happens.", "/opt"},
        {"[http]\nlisten = 127.0.0.1:4729\nclients = 198.51.100.0/24\n",
         "Hosts that the configuration of this server names may ask it", "as it happens"},
        {"[dnsbl]\nlisten = 127.0.0.1:4753\nclients = 198.51.100.9\n", "names may ask it",
         "198.51.100"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = notice_of(cases[i].configuration);
        if (!strstr(text, cases[i].said))
            fail_msg("%s\nlacks \"%s\":\n%s", cases[i].configuration, cases[i].said, text);
        if (cases[i].not_said && strstr(text, cases[i].not_said))
            fail_msg("%s\nsays \"%s\":\n%s", cases[i].configuration, cases[i].not_said, text);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_what_is_said_and_what_is_not)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
