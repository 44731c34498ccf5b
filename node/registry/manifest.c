#include "node/registry/manifest.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/base/file.h"
#include "node/registry/registrar.h"

#define HEX 64

bool gv_manifest_name_fits(const char *name)
{
    const char *slash = strchr(name, '/');

    if (!*name || *name == '/' || strlen(name) > GV_MANIFEST_NAME_MAX || strstr(name, "..") ||
        name[strcspn(name, "\n\r\\")])
        return false;
    return !slash || (slash[1] && !strchr(slash + 1, '/'));
}

const struct gv_manifest_item *gv_manifest_find(const struct gv_manifest *manifest,
                                                const char *name)
{
    for (size_t i = 0; i < manifest->count; i++)
        if (strcmp(manifest->items[i].name, name) == 0)
            return &manifest->items[i];
    return NULL;
}

/* A database may be large: piece by piece. */
static int hash_file(uint8_t out[32], const char *folder, const char *name, struct gv_text *why)
{
    static uint8_t piece[65536]; /* wiped: keys pass through it */
    crypto_hash_sha256_state state;
    char *path = gv_data_path(folder, name);
    FILE *file = path ? fopen(path, "rbe") : NULL;
    size_t got;
    int rc = GV_OK;

    if (!file) {
        rc = gv_fail(why,
                     !path             ? GV_ERR_MEMORY
                     : errno == ENOENT ? GV_ERR_NOT_FOUND
                                       : GV_ERR_IO,
                     "%s/%s: %s", folder, name, strerror(errno));
        goto out;
    }
    crypto_hash_sha256_init(&state);
    while ((got = fread(piece, 1, sizeof piece, file)) > 0)
        crypto_hash_sha256_update(&state, piece, got);
    crypto_hash_sha256_final(&state, out);
    if (ferror(file))
        rc = gv_fail(why, GV_ERR_IO, "%s: cannot be read", path);
    gv_wipe(piece, sizeof piece);
out:
    if (file)
        fclose(file);
    free(path);
    return rc;
}

int gv_manifest_add(struct gv_manifest *manifest, const char *folder, const char *name,
                    struct gv_text *why)
{
    if (gv_manifest_find(manifest, name))
        return GV_OK;
    gv_assert(manifest->count < GV_MANIFEST_MAX && gv_manifest_name_fits(name));
    struct gv_manifest_item *item = &manifest->items[manifest->count];
    snprintf(item->name, sizeof item->name, "%s", name);
    int rc = hash_file(item->hash, folder, name, why);
    manifest->count += rc == GV_OK;
    return rc;
}

void gv_manifest_text(const struct gv_manifest *manifest, struct gv_buf *out)
{
    char line[HEX + GV_MANIFEST_NAME_MAX + 4];

    for (size_t i = 0; i < manifest->count; i++) {
        gv_hex(line, manifest->items[i].hash, 32);
        snprintf(line + HEX, sizeof line - HEX, "  %s\n", manifest->items[i].name);
        gv_buf_append(out, line, strlen(line));
    }
}

int gv_manifest_write(const struct gv_manifest *manifest, const char *folder, struct gv_text *why)
{
    char *path = gv_data_path(folder, GV_FILE_MANIFEST);
    struct gv_buf text;
    int rc = GV_ERR_MEMORY;

    gv_buf_init(&text);
    gv_manifest_text(manifest, &text);
    if (path && !text.failed)
        rc = gv_file_write(path, text.data, text.len, 0600, why);
    gv_buf_free(&text);
    free(path);
    return rc;
}

static bool read_line(struct gv_manifest_item *out, const char *line, size_t len)
{
    char hex[HEX + 1];

    if (len < HEX + 3 || len > HEX + 2 + GV_MANIFEST_NAME_MAX || memcmp(line + HEX, "  ", 2) != 0)
        return false;
    memcpy(hex, line, HEX);
    hex[HEX] = '\0';
    memcpy(out->name, line + HEX + 2, len - HEX - 2);
    out->name[len - HEX - 2] = '\0';
    return strlen(out->name) == len - HEX - 2 && gv_unhex(out->hash, 32, hex) == GV_OK &&
           gv_manifest_name_fits(out->name);
}

int gv_manifest_parse(struct gv_manifest *out, const char *text, size_t len)
{
    out->count = 0;
    while (len > 0) {
        const char *end = memchr(text, '\n', len);
        if (!end || out->count == GV_MANIFEST_MAX ||
            !read_line(&out->items[out->count], text, (size_t)(end - text)) ||
            gv_manifest_find(out, out->items[out->count].name))
            return GV_ERR_MALFORMED;
        out->count++;
        len -= (size_t)(end - text) + 1;
        text = end + 1;
    }
    return GV_OK;
}

int gv_manifest_read(struct gv_manifest *out, const char *folder, struct gv_text *why)
{
    char *path = gv_data_path(folder, GV_FILE_MANIFEST);
    struct gv_buf text;
    int rc = GV_ERR_MEMORY;

    gv_buf_init(&text);
    if (path)
        rc = gv_file_read(&text, path, GV_MANIFEST_MAX * sizeof out->items[0], why);
    if (rc == GV_ERR_NOT_FOUND)
        gv_fail(why, rc, "%s: is missing: this is no complete backup", path);
    if (rc == GV_OK && gv_manifest_parse(out, (const char *)text.data, text.len) != GV_OK)
        rc = gv_fail(why, GV_ERR_MALFORMED, "%s: is not what backup wrote", path);
    gv_buf_free(&text);
    free(path);
    return rc;
}

int gv_manifest_check(const struct gv_manifest *manifest, const char *folder, const char *optional,
                      struct gv_text *why)
{
    uint8_t hash[32];
    int rc = GV_OK;

    for (size_t i = 0; rc == GV_OK && i < manifest->count; i++) {
        const struct gv_manifest_item *item = &manifest->items[i];
        rc = hash_file(hash, folder, item->name, why);
        if (rc == GV_ERR_NOT_FOUND && strcmp(item->name, optional) == 0)
            rc = GV_OK;
        else if (rc == GV_ERR_NOT_FOUND)
            gv_fail(why, rc, "%s/%s: is missing in this backup", folder, item->name);
        else if (rc == GV_OK && memcmp(hash, item->hash, sizeof hash) != 0)
            rc = gv_fail(why, GV_ERR_MALFORMED,
                         "%s/%s: is not what backup wrote (damaged, cut, changed)", folder,
                         item->name);
    }
    return rc;
}
