#include "node/serve/bouncer_keys.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "crypto/error.h"
#include "crypto/identity.h"
#include "crypto/wipe.h"
#include "node/base/file.h"
#include "node/base/json.h"

#define FILE_MAX 65536u /* GV_BOUNCERS_MAX of some 200 bytes */

struct gv_bouncer_keys {
    char path[4096];
    uint8_t secret[GV_HASH_LEN]; /* what hashes are keyed with */
    struct gv_bouncer bouncers[GV_BOUNCERS_MAX];
    size_t count;
    uint64_t next_number;
};

static void hash_key(const struct gv_bouncer_keys *keys, uint8_t out[GV_HASH_LEN], const char *key,
                     size_t len)
{
    gv_hmac(out, keys->secret, sizeof keys->secret, "grapevine bouncer 1", (const uint8_t *)key,
            len);
}

int gv_bouncer_name_check(const char *name, struct gv_text *error)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    static const char all[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t len = strlen(name);

    if (len < 1 || len > GV_BOUNCER_NAME_MAX || !strchr(plain, name[0]) || strspn(name, all) != len)
        return gv_fail(error, GV_ERR_MALFORMED,
                       "a bouncer's name has 1 to %d letters, digits and . _ - and begins with a "
                       "letter or a digit",
                       GV_BOUNCER_NAME_MAX);
    return GV_OK;
}

static struct gv_bouncer *named(struct gv_bouncer_keys *keys, const char *name)
{
    for (size_t i = 0; i < keys->count; i++)
        if (strcmp(keys->bouncers[i].name, name) == 0)
            return &keys->bouncers[i];
    return NULL;
}

/* ---- the file ------------------------------------------------------------------------------- */

static int read_one(struct gv_bouncer_keys *keys, const json_t *json, struct gv_text *error)
{
    struct gv_bouncer *bouncer = &keys->bouncers[keys->count];
    const char *name;
    int rc = gv_json_string(&name, json, "name", GV_BOUNCER_NAME_MAX, error);

    if (rc == GV_OK)
        rc = gv_bouncer_name_check(name, error);
    if (rc == GV_OK && named(keys, name))
        rc = gv_fail(error, GV_ERR_MALFORMED, "two bouncers of one name");
    if (rc == GV_OK)
        rc = gv_json_hex(bouncer->hash, sizeof bouncer->hash, json, "hash", error);
    if (rc == GV_OK)
        rc = gv_json_u64(&bouncer->created_ms, json, "created_ms", UINT64_MAX >> 1, error);
    if (rc != GV_OK)
        return rc;
    snprintf(bouncer->name, sizeof bouncer->name, "%s", name);
    bouncer->number = keys->next_number++;
    keys->count++;
    return GV_OK;
}

static int read_all(struct gv_bouncer_keys *keys, const struct gv_buf *text, struct gv_text *error)
{
    json_t *json = NULL;
    int rc = gv_json_parse(&json, text->data, text->len, FILE_MAX, error);
    const json_t *list = rc == GV_OK ? json_object_get(json, "bouncers") : NULL;

    if (rc == GV_OK && (!json_is_array(list) || json_array_size(list) > GV_BOUNCERS_MAX))
        rc = gv_fail(error, GV_ERR_MALFORMED, "\"bouncers\" is not a list of at most %d",
                     GV_BOUNCERS_MAX);
    for (size_t i = 0; rc == GV_OK && i < json_array_size(list); i++)
        rc = read_one(keys, json_array_get(list, i), error);
    json_decref(json);
    return rc == GV_OK || rc == GV_ERR_MEMORY ? rc : GV_ERR_MALFORMED;
}

/* Whoever can write it can give himself a key. */
static int check_rights(const char *path, struct gv_text *error)
{
    struct stat info;

    if (lstat(path, &info) != 0)
        return errno == ENOENT ? GV_ERR_NOT_FOUND
                               : gv_fail(error, GV_ERR_IO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode) || info.st_mode & (S_IRWXG | S_IRWXO))
        return gv_fail(error, GV_ERR_FORBIDDEN,
                       "%s: must be a file for its owner alone (mode %04o); run: chmod 600 %s",
                       path, (unsigned)(info.st_mode & 07777), path);
    return GV_OK;
}

static int load(struct gv_bouncer_keys *keys, struct gv_text *error)
{
    struct gv_text why = {""};
    struct gv_buf text;

    int rc = check_rights(keys->path, error);
    if (rc != GV_OK)
        return rc == GV_ERR_NOT_FOUND ? GV_OK : rc;
    gv_buf_init(&text);
    rc = gv_file_read(&text, keys->path, FILE_MAX, error);
    if (rc == GV_OK) {
        rc = read_all(keys, &text, &why);
        if (rc != GV_OK)
            gv_fail(error, rc,
                    "%s: not what was written there (%s); move it away, and add the bouncers anew "
                    "with `grapevine bouncers add`",
                    keys->path, why.text);
    }
    gv_buf_free(&text);
    return rc;
}

static int save(const struct gv_bouncer_keys *keys, struct gv_text *error)
{
    json_t *list = json_array();

    for (size_t i = 0; i < keys->count; i++) {
        const struct gv_bouncer *one = &keys->bouncers[i];
        json_array_append_new(list, json_pack("{s:s, s:o, s:I}", "name", one->name, "hash",
                                              gv_json_new_hex(one->hash, sizeof one->hash),
                                              "created_ms", (json_int_t)one->created_ms));
    }
    bool whole = list && json_array_size(list) == keys->count;
    json_t *json = json_pack("{s:o}", "bouncers", list);
    char *text = whole && json ? json_dumps(json, JSON_INDENT(1)) : NULL;
    int rc = text ? gv_file_write(keys->path, text, strlen(text), 0600, error)
                  : gv_fail(error, GV_ERR_MEMORY, "out of memory");
    free(text);
    json_decref(json);
    return rc;
}

/* ---- life ----------------------------------------------------------------------------------- */

int gv_bouncer_keys_open(struct gv_bouncer_keys **out, const char *folder, const uint8_t *store_key,
                         struct gv_text *error)
{
    struct gv_bouncer_keys *keys = calloc(1, sizeof *keys);

    *out = NULL;
    if (!keys)
        return gv_fail(error, GV_ERR_MEMORY, "out of memory");
    snprintf(keys->path, sizeof keys->path, "%s/bouncers.json", folder);
    gv_hmac(keys->secret, store_key, GV_KEY_LEN, "grapevine bouncer keys 1", NULL, 0);
    keys->next_number = 1;
    int rc = load(keys, error);
    if (rc != GV_OK) {
        gv_bouncer_keys_close(keys);
        return rc;
    }
    *out = keys;
    return GV_OK;
}

void gv_bouncer_keys_close(struct gv_bouncer_keys *keys)
{
    if (!keys)
        return;
    gv_wipe(keys->secret, sizeof keys->secret);
    free(keys);
}

int gv_bouncer_keys_add(struct gv_bouncer_keys *keys, char key[GV_BOUNCER_KEY_TEXT],
                        const char *name, uint64_t unix_ms, struct gv_text *error)
{
    struct gv_bouncer *bouncer = &keys->bouncers[keys->count];
    uint8_t secret[GV_SECRET_LEN];

    int rc = gv_bouncer_name_check(name, error);
    if (rc != GV_OK)
        return rc;
    if (named(keys, name))
        return gv_fail(error, GV_ERR_DUPLICATE,
                       "there is a bouncer \"%s\"; its key is not shown again: delete it first, or "
                       "give this one another name",
                       name);
    if (keys->count == GV_BOUNCERS_MAX)
        return gv_fail(error, GV_ERR_FULL, "there are %d bouncers, and no more are possible",
                       GV_BOUNCERS_MAX);
    randombytes_buf(secret, sizeof secret);
    gv_hex(key, secret, sizeof secret);
    gv_wipe(secret, sizeof secret);
    memset(bouncer, 0, sizeof *bouncer);
    snprintf(bouncer->name, sizeof bouncer->name, "%s", name);
    hash_key(keys, bouncer->hash, key, strlen(key));
    bouncer->created_ms = unix_ms;
    bouncer->number = keys->next_number++;
    keys->count++;
    rc = save(keys, error);
    if (rc != GV_OK) {
        keys->count--;
        gv_wipe(key, GV_BOUNCER_KEY_TEXT);
    }
    return rc;
}

int gv_bouncer_keys_delete(struct gv_bouncer_keys *keys, const char *name, struct gv_text *error)
{
    struct gv_bouncer *found = named(keys, name);

    if (!found)
        return gv_fail(error, GV_ERR_NOT_FOUND,
                       "there is no bouncer of that name; `grapevine bouncers list` shows them");
    struct gv_bouncer gone = *found, *last = &keys->bouncers[keys->count - 1];
    *found = *last;
    keys->count--;
    int rc = save(keys, error);
    if (rc != GV_OK) {
        keys->count++;
        *last = *found;
        *found = gone;
    }
    return rc;
}

/* ---- questions ------------------------------------------------------------------------------ */

struct gv_bouncer *gv_bouncer_keys_find(struct gv_bouncer_keys *keys, const char *key)
{
    struct gv_bouncer *found = NULL;
    uint8_t hash[GV_HASH_LEN];
    size_t len = key ? strlen(key) : 0;

    if (len == 0 || len > GV_BOUNCER_KEY_SENT_MAX)
        return NULL;
    hash_key(keys, hash, key, len);
    for (size_t i = 0; i < keys->count; i++)
        if (gv_equal_secret(hash, keys->bouncers[i].hash, sizeof hash))
            found = &keys->bouncers[i];
    gv_wipe(hash, sizeof hash);
    return found;
}

struct gv_bouncer *gv_bouncer_keys_numbered(struct gv_bouncer_keys *keys, uint64_t number)
{
    for (size_t i = 0; i < keys->count; i++)
        if (keys->bouncers[i].number == number)
            return &keys->bouncers[i];
    return NULL;
}

const struct gv_bouncer *gv_bouncer_keys_all(const struct gv_bouncer_keys *keys, size_t *count)
{
    *count = keys->count;
    return keys->bouncers;
}
