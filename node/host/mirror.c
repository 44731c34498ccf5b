#include "node/host/mirror.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/base/file.h"
#include "node/base/log.h"

#define ENTRIES ""
#define HEAD    ".head"

static void path_of(char out[4096], const struct gv_mirror *mirror, const char *end)
{
    snprintf(out, 4096, "%s/%s%s", mirror->folder, mirror->name, end);
}

static void forget(struct gv_mirror *mirror)
{
    gv_merkle_free(&mirror->tree);
    gv_buf_free(&mirror->entries);
    gv_buf_free(&mirror->ids);
    mirror->sorted = true;
    mirror->has_head = false;
    memset(&mirror->head, 0, sizeof mirror->head);
}

void gv_mirror_reset(struct gv_mirror *mirror)
{
    char path[4096];

    forget(mirror);
    path_of(path, mirror, HEAD); /* first: without it the entries are not believed */
    (void)unlink(path);
    path_of(path, mirror, ENTRIES);
    (void)unlink(path);
}

int gv_mirror_append(struct gv_mirror *mirror, const uint8_t *entries, size_t len)
{
    int rc = GV_OK;

    if (len % GV_LOG_ENTRY_LEN != 0)
        return GV_ERR_MALFORMED;
    if (mirror->tree.size + len / GV_LOG_ENTRY_LEN > GV_LOG_COPY_MAX)
        return GV_ERR_FULL;
    for (; rc == GV_OK && len > 0; len -= GV_LOG_ENTRY_LEN, entries += GV_LOG_ENTRY_LEN) {
        gv_buf_append(&mirror->ids, gv_log_entry_certificate(entries), GV_ID_LEN);
        gv_buf_append(&mirror->entries, entries, GV_LOG_ENTRY_LEN);
        rc = mirror->ids.failed || mirror->entries.failed
                 ? GV_ERR_MEMORY
                 : gv_merkle_append(&mirror->tree, entries, GV_LOG_ENTRY_LEN);
        mirror->sorted = false;
    }
    if (rc != GV_OK) /* of tree, ids and entries one may be ahead */
        forget(mirror);
    return rc;
}

bool gv_mirror_fits(const struct gv_mirror *mirror, const struct gv_log_head *head)
{
    uint8_t root[GV_HASH_LEN];

    gv_assert(head->size <= mirror->tree.size);
    gv_merkle_root(root, &mirror->tree, head->size);
    return memcmp(root, head->root, GV_HASH_LEN) == 0;
}

/* ---- files ---------------------------------------------------------------------------------- */

/* The files may be as good as before: what was seen must stay seen. */
static bool may_be_good(int rc)
{
    return rc == GV_ERR_MEMORY || rc == GV_ERR_IO;
}

static int read_files(struct gv_mirror *mirror, const struct gv_descriptor *descriptor,
                      struct gv_text *error)
{
    char path[4096];
    struct gv_buf wire, entries;
    struct gv_log_head head;

    gv_buf_init(&wire);
    gv_buf_init(&entries);
    path_of(path, mirror, HEAD);
    int rc = gv_file_read(&wire, path, GV_LOG_HEAD_MAX, error);
    if (rc == GV_OK)
        rc = gv_log_head_open(&head, NULL, descriptor, wire.data, wire.len);
    path_of(path, mirror, ENTRIES);
    if (rc == GV_OK)
        rc = gv_file_read(&entries, path, (size_t)GV_LOG_COPY_MAX * GV_LOG_ENTRY_LEN, error);
    if (rc == GV_OK && entries.len < head.size * GV_LOG_ENTRY_LEN)
        rc = GV_ERR_MALFORMED;
    if (rc == GV_OK && head.size > 0)
        rc = gv_mirror_append(mirror, entries.data, (size_t)head.size * GV_LOG_ENTRY_LEN);
    if (rc == GV_OK && !gv_mirror_fits(mirror, &head))
        rc = GV_ERR_MALFORMED;
    if (rc == GV_OK) {
        gv_buf_free(&mirror->entries); /* they are written */
        mirror->head = head;
        mirror->has_head = true;
    }
    gv_buf_free(&entries);
    gv_buf_free(&wire);
    return rc;
}

int gv_mirror_open(struct gv_mirror *mirror, const char *folder, const char *name,
                   const struct gv_descriptor *descriptor, struct gv_text *error)
{
    struct gv_text why = {""};

    memset(mirror, 0, sizeof *mirror);
    snprintf(mirror->name, sizeof mirror->name, "%s", name);
    gv_merkle_init(&mirror->tree);
    gv_buf_init(&mirror->entries);
    gv_buf_init(&mirror->ids);
    mirror->folder = strdup(folder);
    if (!mirror->folder)
        return gv_fail(error, GV_ERR_MEMORY, "%s", gv_strerror(GV_ERR_MEMORY));
    int rc = read_files(mirror, descriptor, &why);
    if (rc == GV_OK)
        return GV_OK;
    if (may_be_good(rc)) {
        forget(mirror);
        return gv_fail(error, rc, "%s", *why.text ? why.text : gv_strerror(rc));
    }
    if (rc != GV_ERR_NOT_FOUND)
        gv_log(GV_LOG_NOTICE, "%s/%s is not used (%s): the registry's log is fetched anew", folder,
               name, gv_strerror(rc));
    gv_mirror_reset(mirror);
    return GV_OK;
}

static int adopt(struct gv_mirror *former, const struct gv_descriptor *descriptor,
                 struct gv_text *error)
{
    static const char *const ends[] = {ENTRIES, HEAD}; /* without the last nothing is believed */
    struct gv_mirror named = {.folder = former->folder};
    char from[4096], to[4096];
    struct gv_buf wire;
    struct gv_log_head head;

    gv_buf_init(&wire);
    path_of(from, former, HEAD);
    int rc = gv_file_read(&wire, from, GV_LOG_HEAD_MAX, error);
    bool known =
        rc == GV_OK && gv_log_head_open(&head, NULL, descriptor, wire.data, wire.len) == GV_OK;
    gv_buf_free(&wire);
    if (may_be_good(rc))
        return rc;
    if (known) {
        snprintf(named.name, sizeof named.name, GV_MIRROR_FILE, head.signer);
        path_of(to, &named, HEAD);
        known = access(to, F_OK) != 0;
    }
    for (size_t i = 0; i < 2; i++) {
        path_of(from, former, ends[i]);
        path_of(to, &named, ends[i]);
        if (!known || rename(from, to) != 0)
            (void)unlink(from);
    }
    return GV_OK;
}

int gv_mirror_adopt(const char *folder, const struct gv_descriptor *descriptor,
                    struct gv_text *error)
{
    static const char *const names[] = {"registry-log", "registry-log-former"};
    int rc = GV_OK;

    for (size_t i = 0; rc == GV_OK && i < 2; i++) {
        struct gv_mirror former = {.folder = (char *)(uintptr_t)folder};
        snprintf(former.name, sizeof former.name, "%s", names[i]);
        rc = adopt(&former, descriptor, error);
    }
    return rc;
}

void gv_mirror_close(struct gv_mirror *mirror)
{
    forget(mirror);
    free(mirror->folder);
    mirror->folder = NULL;
}

/* At its place, so that a half-written try of before is overwritten. */
static int write_entries(const struct gv_mirror *mirror, const uint8_t *data, size_t len,
                         struct gv_text *error)
{
    char path[4096];
    off_t at = (off_t)(mirror->head.size * GV_LOG_ENTRY_LEN);

    path_of(path, mirror, ENTRIES);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool good = fd >= 0;
    while (good && len > 0) {
        ssize_t n = pwrite(fd, data, len, at);
        if (n < 0 && errno == EINTR)
            continue;
        good = n > 0;
        if (good) {
            data += n;
            len -= (size_t)n;
            at += n;
        }
    }
    good = good && ftruncate(fd, at) == 0 && fdatasync(fd) == 0;
    int why = errno;
    if (fd >= 0)
        close(fd);
    return good ? GV_OK : gv_fail(error, GV_ERR_IO, "%s: %s", path, strerror(why));
}

int gv_mirror_settle(struct gv_mirror *mirror, const struct gv_log_head *head, const uint8_t *wire,
                     size_t len, struct gv_text *error)
{
    char path[4096];
    size_t covered = (size_t)(head->size - mirror->head.size) * GV_LOG_ENTRY_LEN;
    int rc = GV_OK;

    gv_assert(head->size >= mirror->head.size && covered <= mirror->entries.len);
    if (covered > 0)
        rc = write_entries(mirror, mirror->entries.data, covered, error);
    path_of(path, mirror, HEAD);
    if (rc == GV_OK)
        rc = gv_file_write(path, wire, len, 0600, error);
    if (rc != GV_OK)
        return rc;
    if (covered > 0)
        gv_buf_consume(&mirror->entries, covered);
    mirror->head = *head;
    mirror->has_head = true;
    return GV_OK;
}

/* ---- ids ------------------------------------------------------------------------------------ */

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, GV_ID_LEN);
}

void gv_mirror_back(struct gv_mirror *mirror)
{
    if (mirror->tree.size == mirror->head.size)
        return;
    /* The ids are in no order to cut them by: those too many are taken out one by one. */
    for (size_t at = 0; at + GV_LOG_ENTRY_LEN <= mirror->entries.len; at += GV_LOG_ENTRY_LEN) {
        const uint8_t *id = gv_log_entry_certificate(mirror->entries.data + at);
        for (size_t i = mirror->ids.len; i > 0; i -= GV_ID_LEN) {
            uint8_t *held = mirror->ids.data + i - GV_ID_LEN;
            if (memcmp(held, id, GV_ID_LEN) != 0)
                continue;
            mirror->ids.len -= GV_ID_LEN;
            memmove(held, mirror->ids.data + mirror->ids.len, GV_ID_LEN);
            mirror->sorted = false;
            break;
        }
    }
    gv_buf_free(&mirror->entries);
    gv_merkle_cut(&mirror->tree, mirror->head.size);
}

bool gv_mirror_has(struct gv_mirror *mirror, const uint8_t certificate[GV_ID_LEN])
{
    size_t count = mirror->ids.len / GV_ID_LEN;

    if (count == 0)
        return false;
    if (!mirror->sorted)
        qsort(mirror->ids.data, count, GV_ID_LEN, compare);
    mirror->sorted = true;
    return bsearch(certificate, mirror->ids.data, count, GV_ID_LEN, compare) != NULL;
}
