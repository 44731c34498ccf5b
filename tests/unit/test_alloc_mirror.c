/* Fails each allocation of a node's copy of the registry's log (node/host/mirror.h) in turn:
 * opened, grown, settled, taken back. Nothing may crash or leak (ASan watches), and what is in the
 * folder afterwards is a log that fits its head, or none: memory that was short accuses nobody.
 *
 * The linker wraps what allocates (tests/CMakeLists.txt); it only fails while the mirror is at
 * work. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "crypto/error.h"
#include "crypto/identity.h"
#include "node/host/mirror.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);

static bool at_work;
static size_t asked, fail_at, failed;

static bool fails_now(void)
{
    bool fails = at_work && ++asked == fail_at;

    failed += fails;
    return fails;
}

void *__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails_now() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails_now() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
    size_t len = strlen(text) + 1;
    char *copy = fails_now() ? NULL : __real_malloc(len);

    return copy ? memcpy(copy, text, len) : NULL;
}

/* ---- a log ---------------------------------------------------------------------------------- */

#define HOUR  29512020u
#define BEGIN 40 /* entries that were copied before */
#define GROWN 90
#define NAME  "registry-log-test"

static struct gv_identity signer;
static struct gv_descriptor descriptor;
static uint8_t entries[GROWN + 20][GV_LOG_ENTRY_LEN];
static char folder[64];

static void sign(struct gv_log_head *head, struct gv_buf *wire, uint64_t size, uint32_t minute)
{
    struct gv_merkle tree;

    gv_merkle_init(&tree);
    for (uint64_t i = 0; i < size; i++)
        assert_int_equal(gv_merkle_append(&tree, entries[i], GV_LOG_ENTRY_LEN), GV_OK);
    *head = (struct gv_log_head){.size = size, .minute = minute};
    gv_merkle_root(head->root, &tree, size);
    gv_merkle_free(&tree);
    gv_buf_clear(wire);
    assert_int_equal(gv_log_head_issue(wire, head, signer.sign_secret, descriptor.network_id),
                     GV_OK);
    assert_int_equal(gv_log_head_open(head, NULL, &descriptor, wire->data, wire->len), GV_OK);
}

static void make_log(void)
{
    uint8_t secret[GV_SECRET_LEN] = {7};

    gv_identity_from_secret(&signer, secret);
    descriptor.key_count = 1;
    descriptor.keys[0].from_min = HOUR - 60;
    descriptor.keys[0].until_min = HOUR + 1000000;
    memcpy(descriptor.keys[0].key, signer.sign_public, GV_KEY_LEN);
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
        struct gv_certificate certificate = {.signer = 1};
        memcpy(certificate.id, &i, sizeof i);
        gv_log_entry(entries[i], &certificate);
    }
    strcpy(folder, "/tmp/gv-mirror-XXXXXX");
    assert_non_null(mkdtemp(folder));
}

/* Goes as far as memory lets it; the first error ends it. */
static int grow(struct gv_mirror *mirror, const struct gv_log_head *head, const struct gv_buf *wire)
{
    struct gv_text why = {""};
    int rc = gv_mirror_append(mirror, entries[mirror->tree.size],
                              (GROWN + 20 - (size_t)mirror->tree.size) * GV_LOG_ENTRY_LEN);

    if (rc == GV_OK && gv_mirror_fits(mirror, head))
        rc = gv_mirror_settle(mirror, head, wire->data, wire->len, &why);
    if (rc == GV_OK && !gv_mirror_has(mirror, gv_log_entry_certificate(entries[GROWN - 1])))
        rc = GV_ERR_NOT_FOUND;
    gv_mirror_back(mirror);
    return rc;
}

static void each_allocation_may_fail(void **state)
{
    struct gv_mirror mirror;
    struct gv_log_head begin, grown;
    struct gv_buf begin_wire, grown_wire;
    char command[128];
    struct gv_text why = {""};
    size_t old = 0, new = 0;
    bool more = true;

    make_log();
    gv_buf_init(&begin_wire);
    gv_buf_init(&grown_wire);
    sign(&begin, &begin_wire, BEGIN, HOUR);
    sign(&grown, &grown_wire, GROWN, HOUR + 60);
    for (size_t n = 1; more; n++) {
        snprintf(command, sizeof command, "rm -f %s/*", folder);
        assert_int_equal(system(command), 0);
        assert_int_equal(gv_mirror_open(&mirror, folder, NAME, &descriptor, NULL), GV_OK);
        assert_int_equal(gv_mirror_append(&mirror, entries[0], BEGIN * GV_LOG_ENTRY_LEN), GV_OK);
        assert_int_equal(gv_mirror_settle(&mirror, &begin, begin_wire.data, begin_wire.len, &why),
                         GV_OK);
        gv_mirror_close(&mirror);

        asked = failed = 0;
        fail_at = n;
        at_work = true;
        int rc = gv_mirror_open(&mirror, folder, NAME, &descriptor, NULL);
        if (rc == GV_OK)
            rc = grow(&mirror, &grown, &grown_wire);
        gv_mirror_close(&mirror);
        at_work = false;
        more = failed > 0;
        if (!more)
            assert_int_equal(rc, GV_OK);

        assert_int_equal(gv_mirror_open(&mirror, folder, NAME, &descriptor, NULL), GV_OK);
        assert_true(mirror.has_head);
        old += mirror.head.minute == begin.minute;
        new += mirror.head.minute == grown.minute;
        assert_int_equal(mirror.tree.size, mirror.head.minute == begin.minute ? BEGIN : GROWN);
        assert_int_equal(grow(&mirror, &grown, &grown_wire), GV_OK);
        assert_int_equal(mirror.tree.size, GROWN);
        gv_mirror_close(&mirror);
    }
    assert_true(old > 0 && new > 0); /* the first went early, the last not at all */
    gv_buf_free(&begin_wire);
    gv_buf_free(&grown_wire);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_allocation_may_fail)};

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
