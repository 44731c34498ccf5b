/* What a node's own files of its network may be at its start: good, absent, spoilt, of another
 * network (SPEC 9.7). Spoilt ones are put aside, and the node goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <glob.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/error.h"
#include "helper_host.h"
#include "node/base/file.h"
#include "node/host/membership.h"

static struct {
    uv_loop_t loop;
    char folder[32];
    struct network network, another;
    struct gv_identity identity;
    uint8_t certificate[GV_CERTIFICATE_LEN];
} s;

static const char *in_folder(const char *name)
{
    static char path[64];

    snprintf(path, sizeof path, "%s/%s", s.folder, name);
    return path;
}

static void put(const char *name, const void *data, size_t len)
{
    assert_int_equal(gv_file_write(in_folder(name), data, len, 0600, NULL), GV_OK);
}

static int set_up(void **state)
{
    strcpy(s.folder, "/tmp/gv-member.XXXXXX");
    assert_non_null(mkdtemp(s.folder));
    assert_int_equal(uv_loop_init(&s.loop), 0);
    network_open(&s.network, 1, true);
    network_open(&s.another, 2, true);
    make_identity(&s.identity, 1);
    struct gv_certificate facts = make_facts(&s.network, &s.identity, 1);
    make_certificate(s.certificate, &s.network, &facts);
    put("descriptor", s.network.wire.data, s.network.wire.len);
    put("certificate", s.certificate, sizeof s.certificate);
    return 0;
}

static size_t kept_aside(const char *name)
{
    char pattern[96];
    glob_t found;

    snprintf(pattern, sizeof pattern, "%s/%s.corrupt-*", s.folder, name);
    size_t n = glob(pattern, 0, NULL, &found) == 0 ? found.gl_pathc : 0;
    globfree(&found);
    return n;
}

static int tear_down(void **state)
{
    char pattern[64];
    glob_t found;

    snprintf(pattern, sizeof pattern, "%s/*", s.folder);
    if (glob(pattern, 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++)
            unlink(found.gl_pathv[i]);
    globfree(&found);
    assert_int_equal(rmdir(s.folder), 0);
    network_close(&s.network);
    network_close(&s.another);
    uv_run(&s.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&s.loop), 0);
    return 0;
}

/* Starts with the files as they are: the answer, and what it has. */
static int start(const uint8_t *pin, bool *descriptor, bool *certificate, struct gv_text *why)
{
    struct gv_membership *membership = NULL;
    size_t len;
    int rc = gv_membership_new(
        &membership,
        &(struct gv_membership_options){
            .loop = &s.loop, .folder = s.folder, .network_id = pin, .identity = &s.identity},
        why);

    if (rc == GV_OK) {
        *descriptor = gv_membership_descriptor(membership, &len) != NULL;
        *certificate = gv_membership_certificate(membership) != NULL;
    }
    gv_membership_free(membership);
    uv_run(&s.loop, UV_RUN_DEFAULT);
    return rc;
}

static void starts_with(bool descriptor, bool certificate)
{
    bool has_descriptor = false, has_certificate = false;
    struct gv_text why = {""};

    assert_int_equal(start(NULL, &has_descriptor, &has_certificate, &why), GV_OK);
    assert_int_equal(has_descriptor, descriptor);
    assert_int_equal(has_certificate, certificate);
}

static void good_files_are_taken_and_stay(void **state)
{
    starts_with(true, true);
    starts_with(true, true);
    assert_int_equal(kept_aside("descriptor") + kept_aside("certificate"), 0);
}

static void absent_files_are_no_fault(void **state)
{
    unlink(in_folder("descriptor"));
    unlink(in_folder("certificate"));
    starts_with(false, false);
    assert_int_equal(kept_aside("descriptor") + kept_aside("certificate"), 0);
}

static void spoilt_files_are_put_aside(void **state)
{
    static char book[GV_DESCRIPTOR_MAX + 100];
    const struct {
        const void *data;
        size_t len;
    } garbage[] = {{"", 0},
                   {"garbage\n", 8},
                   {book, sizeof book},
                   {s.network.wire.data, s.network.wire.len - 1}};

    for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++) {
        put("descriptor", garbage[i].data, garbage[i].len);
        starts_with(false, true);
        assert_int_equal(access(in_folder("descriptor"), F_OK), -1);
        assert_int_equal(kept_aside("descriptor"), i + 1);
    }
    put("descriptor", s.network.wire.data, s.network.wire.len);
    for (size_t i = 0; i < 3; i++) {
        put("certificate", garbage[i].data, garbage[i].len);
        starts_with(true, false);
        assert_int_equal(kept_aside("certificate"), i + 1);
    }
    /* A bit that changed: the signature does not verify. */
    s.network.wire.data[s.network.wire.len / 2] ^= 1;
    put("descriptor", s.network.wire.data, s.network.wire.len);
    starts_with(false, false);
    assert_int_equal(kept_aside("descriptor"), 5);
}

static void what_cannot_be_read_stays_where_it_is(void **state)
{
    unlink(in_folder("descriptor"));
    unlink(in_folder("certificate"));
    assert_int_equal(mkfifo(in_folder("descriptor"), 0600), 0);
    assert_int_equal(mkfifo(in_folder("certificate"), 0600), 0);
    starts_with(false, false);
    assert_int_equal(access(in_folder("descriptor"), F_OK), 0);
    assert_int_equal(access(in_folder("certificate"), F_OK), 0);
}

/* The admin has said which network it is: he must say what is right. */
static void another_network_than_the_one_that_is_named_ends_the_start(void **state)
{
    bool descriptor, certificate;
    struct gv_text why = {""};

    put("descriptor", s.another.wire.data, s.another.wire.len);
    assert_int_equal(start(s.network.descriptor.network_id, &descriptor, &certificate, &why),
                     GV_ERR_NETWORK);
    assert_non_null(strstr(why.text, "/descriptor: not a usable network descriptor"));
    assert_int_equal(kept_aside("descriptor"), 0);
}

int main(void)
{
#define FRESH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        FRESH(good_files_are_taken_and_stay),
        FRESH(absent_files_are_no_fault),
        FRESH(spoilt_files_are_put_aside),
        FRESH(what_cannot_be_read_stays_where_it_is),
        FRESH(another_network_than_the_one_that_is_named_ends_the_start),
    };

    gv_assert(sodium_init() >= 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
