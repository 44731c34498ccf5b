#include "node/registry/signers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/base/keyfile.h"
#include "node/registry/registrar.h"

static int read_one(struct gv_signers *out, const char *folder, const char *name,
                    struct gv_text *why)
{
    uint8_t secret[GV_SECRET_LEN];
    char *path = gv_data_path(folder, name);
    int rc = path ? gv_keyfile_read(secret, path, why) : GV_ERR_MEMORY;

    if (rc == GV_OK)
        gv_identity_from_secret(&out->items[out->count++], secret);
    gv_wipe(secret, sizeof secret);
    free(path);
    return rc;
}

int gv_signers_read(struct gv_signers *out, const char *folder, struct gv_text *why)
{
    memset(out, 0, sizeof *out);
    int rc = read_one(out, folder, GV_FILE_REGISTRY_KEY, why);
    if (rc == GV_OK)
        rc = read_one(out, folder, GV_FILE_NEXT_KEY, why);
    if (rc == GV_ERR_NOT_FOUND && out->count == 1)
        rc = GV_OK;
    if (rc != GV_OK)
        gv_signers_wipe(out);
    return rc;
}

void gv_signers_wipe(struct gv_signers *signers)
{
    gv_wipe(signers, sizeof *signers);
}

size_t gv_signer_place(const struct gv_descriptor *descriptor, const uint8_t key[GV_KEY_LEN])
{
    for (size_t i = 0; i < descriptor->key_count; i++)
        if (memcmp(descriptor->keys[i].key, key, GV_KEY_LEN) == 0)
            return i;
    return SIZE_MAX;
}

const struct gv_identity *gv_signers_find(const struct gv_signers *signers, uint32_t signer)
{
    for (size_t i = 0; i < signers->count; i++)
        if (gv_certificate_signer(signers->items[i].sign_public) == signer)
            return &signers->items[i];
    return NULL;
}

static const struct gv_identity *last_of(const struct gv_signers *signers,
                                         const struct gv_descriptor *descriptor, bool in_force,
                                         uint32_t minute)
{
    const struct gv_registry_key *best = NULL;
    const struct gv_identity *last = NULL;

    for (size_t i = 0; i < signers->count; i++) {
        size_t at = gv_signer_place(descriptor, signers->items[i].sign_public);
        const struct gv_registry_key *named = at == SIZE_MAX ? NULL : &descriptor->keys[at];
        if (!named || (in_force && (minute < named->from_min || minute >= named->until_min)))
            continue;
        if (best && named->from_min < best->from_min)
            continue;
        best = named;
        last = &signers->items[i];
    }
    return last;
}

const struct gv_identity *gv_signers_at(const struct gv_signers *signers,
                                        const struct gv_descriptor *descriptor, uint32_t minute)
{
    return last_of(signers, descriptor, true, minute);
}

const struct gv_identity *gv_signers_last(const struct gv_signers *signers,
                                          const struct gv_descriptor *descriptor)
{
    return last_of(signers, descriptor, false, 0);
}

bool gv_signers_end(struct gv_text *what, const struct gv_signers *signers,
                    const struct gv_descriptor *descriptor, uint32_t minute)
{
    const struct gv_identity *last = gv_signers_last(signers, descriptor);
    char until[32];

    what->text[0] = '\0';
    if (!gv_signers_at(signers, descriptor, minute)) {
        gv_fail(what, 0,
                "no key of this registry is in force, so nothing can be issued: run "
                "grapevine-registry keys --rotate --lead 0s");
        return true;
    }
    uint32_t end = descriptor->keys[gv_signer_place(descriptor, last->sign_public)].until_min;
    if (end > minute + GV_KEY_ENDS_MIN)
        return false;
    time_t t = (time_t)end * 60;
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(until, sizeof until, "%Y-%m-%d", &tm);
    gv_fail(what, 0,
            "the key of this registry signs until %s, and none follows: run grapevine-registry "
            "keys --rotate before that",
            until);
    return true;
}

void gv_signers_warn(const char *folder, uint32_t minute)
{
    struct gv_descriptor *descriptor = calloc(1, sizeof *descriptor);
    char *path = gv_data_path(folder, GV_FILE_DESCRIPTOR);
    struct gv_signers signers = {.count = 0};
    struct gv_buf wire;
    struct gv_text what = {""};

    gv_buf_init(&wire);
    if (descriptor && path && gv_descriptor_read(descriptor, &wire, path, &what) == GV_OK &&
        gv_signers_read(&signers, folder, &what) == GV_OK &&
        gv_signers_end(&what, &signers, descriptor, minute))
        fprintf(stderr, "grapevine-registry: %s\n", what.text);
    gv_signers_wipe(&signers);
    gv_buf_free(&wire);
    free(path);
    free(descriptor);
}
