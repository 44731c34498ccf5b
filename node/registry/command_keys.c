/* grapevine-registry keys: which keys sign certificates, from when until when, and their rotation
 * (SPEC 4.2): a new key is named beside the old one, both are good for a while, and the old one is
 * dropped once no certificate of it is in use. */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/base/arguments.h"
#include "node/base/config.h"
#include "node/base/file.h"
#include "node/base/json.h"
#include "node/base/keyfile.h"
#include "node/registry/commands.h"
#include "node/registry/desk.h"
#include "node/registry/registrar.h"

#define LEAD_S        86400 /* nodes ask for the descriptor every 6 hours */
#define KEY_S         (3 * 365 * 86400)
#define LEAD_DAYS_MAX 90

/* A node takes a descriptor only if its version is higher than that of the one it has, which may
 * have been signed since the backup, or by an earlier registry from the same backup: so many, and
 * one for each minute. */
#define VERSIONS_LOST 99

struct keys {
    struct gv_desk_options at;
    const char *root_key, *drop;
    bool rotate, force, json;
    bool restored; /* from a backup: what was signed since is not known here */
    int64_t lead_s, overlap_s;

    struct gv_desk desk;
    struct gv_descriptor descriptor;
    struct gv_signers signers;
    struct gv_identity root;           /* secret; of take_root */
    size_t in_use[GV_DESCRIPTOR_KEYS]; /* certificates of each that are accepted */
    uint32_t now;
    uint32_t from, until; /* of a rotation: the new key signs from, the others until then */
};

enum { OPTION_ROTATE = 256, OPTION_LEAD, OPTION_OVERLAP, OPTION_DROP, OPTION_FORCE };

static const struct argp_option options[] = {
    GV_DESK_OPTIONS,
    {"rotate", OPTION_ROTATE, NULL, 0, "Make a new key and sign a descriptor that names it", 0},
    {"lead", OPTION_LEAD, "DURATION", 0,
     "With --rotate: it signs from then on, when nodes know of it (1d; 0s: at once)", 0},
    {"overlap", OPTION_OVERLAP, "DURATION", 0,
     "With --rotate: for so long after that the old key is still good to sign (1d; at most 2d)", 0},
    {"drop", OPTION_DROP, "KEY", 0, "Name this key no more: its first 8 hex digits", 0},
    {"force", OPTION_FORCE, NULL, 0,
     "With --drop: also while certificates of it are in use, which end by it", 0},
    GV_ROOT_KEY_OPTION,
    {"json", 'j', NULL, 0, "As JSON", 0},
    {0}};

static void take_duration(int64_t *out, const char *name, const char *text, unsigned max_days,
                          struct argp_state *state)
{
    if (gv_config_duration_parse(out, text) != GV_OK || *out < 0 || *out > 86400LL * max_days)
        argp_error(state, "--%s %s: write 0s to %ud", name, text, max_days);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct keys *keys = state->input;

    switch (key) {
    case OPTION_ROTATE:
        keys->rotate = true;
        return 0;
    case OPTION_LEAD:
        take_duration(&keys->lead_s, "lead", arg, LEAD_DAYS_MAX, state);
        return 0;
    case OPTION_OVERLAP:
        take_duration(&keys->overlap_s, "overlap", arg, GV_OVERLAP_MAX_MIN / 1440, state);
        return 0;
    case OPTION_DROP:
        keys->drop = arg;
        return 0;
    case OPTION_FORCE:
        keys->force = true;
        return 0;
    case GV_OPTION_ROOT_KEY:
        keys->root_key = arg;
        return 0;
    case 'j':
        keys->json = true;
        return 0;
    case ARGP_KEY_END:
        if (keys->rotate && keys->drop)
            argp_error(state, "--rotate or --drop, not both at once");
        return gv_desk_parse(&keys->at, key, arg, state);
    default:
        return gv_desk_parse(&keys->at, key, arg, state);
    }
}

static const struct argp argp = {
    options,
    parse,
    NULL,
    "Shows the keys that certificates are signed with, and how many certificates of each are in "
    "use. "
    "With --rotate a new key follows the present one: nodes learn of it from a new descriptor, "
    "renew "
    "by themselves, and take certificates of both keys until the old one is dropped. A running "
    "registry changes over by itself.",
    NULL,
    NULL,
    NULL};

/* ---- what there is -------------------------------------------------------------------------- */

static int count_instance(void *context, const struct gv_instance *instance, const char *email)
{
    struct keys *keys = context;
    const struct gv_certificate *c = &instance->certificate;
    uint64_t end = (uint64_t)c->expires_min + keys->descriptor.policy.grace_min;

    (void)email;
    for (size_t i = 0; !instance->revoked && end >= keys->now && i < keys->descriptor.key_count;
         i++)
        if (gv_certificate_signer(keys->descriptor.keys[i].key) == c->signer)
            keys->in_use[i]++;
    return GV_OK;
}

static int find_out(struct keys *keys, struct gv_text *why)
{
    struct gv_buf unused;
    char *path = NULL;
    int rc = gv_desk_open(&keys->desk, &keys->at, why);

    gv_buf_init(&unused);
    if (rc != GV_OK)
        goto out;
    keys->now = gv_now_min();
    rc = GV_ERR_MEMORY;
    path = gv_data_path(keys->desk.place.folder, GV_FILE_DESCRIPTOR);
    if (path)
        rc = gv_descriptor_read(&keys->descriptor, &unused, path, why);
    if (rc == GV_OK)
        rc = gv_signers_read(&keys->signers, keys->desk.place.folder, why);
    if (rc == GV_OK)
        rc = gv_desk_database(gv_records_each(keys->desk.records, count_instance, keys), why);
out:
    gv_buf_free(&unused);
    free(path);
    return rc;
}

static const char *role_of(const struct keys *keys, size_t i)
{
    const struct gv_registry_key *key = &keys->descriptor.keys[i];
    const struct gv_identity *now = gv_signers_at(&keys->signers, &keys->descriptor, keys->now);

    if (now && memcmp(now->sign_public, key->key, GV_KEY_LEN) == 0)
        return "signs";
    if (keys->now < key->from_min)
        return "follows";
    return "former";
}

static void minute_text(char out[32], uint32_t minute)
{
    time_t t = (time_t)minute * 60;
    struct tm tm;

    gmtime_r(&t, &tm);
    strftime(out, 32, "%Y-%m-%dT%H:%MZ", &tm);
}

static int show(const struct keys *keys)
{
    char from[32], until[32], hex[2 * GV_KEY_LEN + 1];
    json_t *list = json_array();

    for (size_t i = 0; i < keys->descriptor.key_count; i++) {
        const struct gv_registry_key *key = &keys->descriptor.keys[i];
        gv_hex(hex, key->key, GV_KEY_LEN);
        minute_text(from, key->from_min);
        minute_text(until, key->until_min);
        if (!keys->json)
            printf("%.8s  %-8s from %s  until %s  %zu certificate%s in use\n", hex,
                   role_of(keys, i), from, until, keys->in_use[i], keys->in_use[i] == 1 ? "" : "s");
        json_array_append_new(list,
                              json_pack("{s:s,s:s,s:I,s:I,s:I}", "key", hex, "role",
                                        role_of(keys, i), "from_minute", (json_int_t)key->from_min,
                                        "until_minute", (json_int_t)key->until_min, "certificates",
                                        (json_int_t)keys->in_use[i]));
    }
    int rc =
        !list || (keys->json && json_dumpf(list, stdout, JSON_INDENT(2)) != 0) ? GV_ERR_IO : GV_OK;
    if (keys->json)
        putchar('\n');
    struct gv_text what;
    if (gv_signers_end(&what, &keys->signers, &keys->descriptor, keys->now))
        fprintf(stderr, "grapevine-registry: %s\n", what.text);
    json_decref(list);
    return rc;
}

/* The root key may be root's own; what is made with it is the service's, who must be able to read
 * it. */
static int take_root(struct keys *keys, struct gv_text *why)
{
    const char *folder = keys->desk.place.folder;
    int rc = gv_read_root(&keys->root, &keys->descriptor, folder, keys->root_key, why);

    return rc == GV_OK ? gv_become_owner(folder, why) : rc;
}

static int sign(struct keys *keys, struct gv_text *why)
{
    keys->descriptor.version++;
    keys->descriptor.activation_min = keys->now;
    return gv_write_descriptor(&keys->descriptor, keys->desk.place.folder, keys->root.sign_secret,
                               why);
}

static void wipe(struct keys *keys)
{
    gv_signers_wipe(&keys->signers);
    gv_identity_wipe(&keys->root);
    free(keys);
}

/* ---- rotation ------------------------------------------------------------------------------- */

static void end_key(struct gv_registry_key *key, uint32_t until)
{
    if (key->until_min > until)
        key->until_min = until;
    if (key->until_min <= key->from_min) /* named and followed within a minute */
        key->until_min = key->from_min + 1;
}

/* The others end; NULL: a key that is not made yet. */
static void name_key(struct gv_descriptor *d, const struct keys *keys, const uint8_t *public_key)
{
    for (size_t i = 0; i < d->key_count; i++)
        end_key(&d->keys[i], keys->until);
    struct gv_registry_key *key = &d->keys[d->key_count++];
    memset(key, 0, sizeof *key);
    if (public_key)
        memcpy(key->key, public_key, GV_KEY_LEN);
    key->from_min = keys->from;
    key->until_min = keys->from + KEY_S / 60;
}

/* Would the descriptor be signed? Asked before a key is renamed over another, which nothing brings
 * back. */
static int try_rotation(const struct keys *keys, size_t before, struct gv_text *why)
{
    struct gv_descriptor *trial = malloc(sizeof *trial);

    if (!trial)
        return GV_ERR_MEMORY;
    *trial = keys->descriptor;
    trial->activation_min = keys->now;
    if (before != SIZE_MAX)
        end_key(&trial->keys[before], keys->now + 1);
    name_key(trial, keys, NULL);
    int rc = gv_check_overlap(trial, NULL);
    free(trial);
    return rc == GV_OK ? rc
                       : gv_fail(why, rc,
                                 "two registry keys would sign beside each other for more than %u "
                                 "days: drop the one that is in the way (--drop), or take a "
                                 "shorter --lead",
                                 GV_OVERLAP_MAX_MIN / 1440);
}

static int take_over(const char *next, const char *path, struct gv_text *why)
{
    if (rename(next, path) != 0 || gv_file_sync_folder(path) != 0)
        return gv_fail(why, GV_ERR_IO, "%s: %s", path, strerror(errno));
    return GV_OK;
}

/* The key that followed the last time has taken over: it is the registry's key now. The one before
 * is gone, so it is in force no more: nobody could show its log grow. */
static int promote(struct keys *keys, const char *next, struct gv_text *why)
{
    const struct gv_identity *follower = &keys->signers.items[1];
    char *path = gv_data_path(keys->desk.place.folder, GV_FILE_REGISTRY_KEY);
    char from[32];
    int rc = path ? GV_OK : GV_ERR_MEMORY;

    size_t at = gv_signer_place(&keys->descriptor, follower->sign_public);
    if (rc == GV_OK && keys->descriptor.keys[at].from_min > keys->now) {
        minute_text(from, keys->descriptor.keys[at].from_min);
        rc = gv_fail(why, GV_ERR_DUPLICATE,
                     "a rotation is under way: its key signs from %s on; wait until then", from);
    }
    size_t before = gv_signer_place(&keys->descriptor, keys->signers.items[0].sign_public);
    if (rc == GV_OK)
        rc = try_rotation(keys, before, why);
    if (rc == GV_OK)
        rc = take_over(next, path, why);
    if (rc == GV_OK) {
        if (before != SIZE_MAX)
            end_key(&keys->descriptor.keys[before], keys->now + 1);
        keys->signers.items[0] = *follower;
        keys->signers.count = 1;
    }
    free(path);
    return rc;
}

/* The key of a rotation that was under way when the backup was made does not follow: an earlier
 * registry from the same backup may have signed with it, whose log nobody has here. */
static int forget_follower(struct keys *keys, struct gv_text *why)
{
    size_t at = keys->signers.count == 2
                    ? gv_signer_place(&keys->descriptor, keys->signers.items[1].sign_public)
                    : SIZE_MAX;
    char *next = gv_data_path(keys->desk.place.folder, GV_FILE_NEXT_KEY);
    int rc = next ? GV_OK : GV_ERR_MEMORY;

    if (at != SIZE_MAX && keys->descriptor.keys[at].from_min <= keys->now) {
        free(next);
        return rc; /* it has taken over */
    }
    if (next && unlink(next) != 0 && errno != ENOENT)
        rc = gv_fail(why, GV_ERR_IO, "%s: %s", next, strerror(errno));
    if (rc == GV_OK && at != SIZE_MAX)
        gv_drop_key(&keys->descriptor, at);
    if (rc == GV_OK)
        keys->signers.count = 1;
    free(next);
    return rc;
}

/* The log of the key before lacks what was signed since the backup: whoever signed another head of
 * it would contradict those that were given. So it is gone, and the new one stands alone. */
static int forget_before(const struct keys *keys, struct gv_text *why)
{
    const char *folder = keys->desk.place.folder;
    char *next = gv_data_path(folder, GV_FILE_NEXT_KEY);
    char *path = gv_data_path(folder, GV_FILE_REGISTRY_KEY);
    int rc = next && path ? take_over(next, path, why) : GV_ERR_MEMORY;

    free(next);
    free(path);
    return rc;
}

/* One that was made and then not named, because something came in between, is as good as new. */
static int make_follower(struct keys *keys, struct gv_text *why)
{
    uint8_t secret[GV_SECRET_LEN];
    char *next = gv_data_path(keys->desk.place.folder, GV_FILE_NEXT_KEY);
    bool fresh;
    int rc = next ? GV_OK : GV_ERR_MEMORY;

    if (rc == GV_OK && keys->signers.count == 2 &&
        gv_signer_place(&keys->descriptor, keys->signers.items[1].sign_public) != SIZE_MAX)
        rc = promote(keys, next, why);
    if (rc == GV_OK)
        rc = gv_keyfile_ensure(secret, &fresh, next, why);
    if (rc == GV_OK) {
        gv_identity_from_secret(&keys->signers.items[1], secret);
        keys->signers.count = 2;
    }
    gv_wipe(secret, sizeof secret);
    free(next);
    return rc;
}

static int rotate(struct keys *keys, struct gv_text *why)
{
    struct gv_descriptor *d = &keys->descriptor;
    char text[32];
    int rc = take_root(keys, why); /* first: or a key would be made for nothing */

    keys->from = keys->now + (uint32_t)(keys->lead_s / 60);
    keys->until = keys->from + (uint32_t)(keys->overlap_s / 60);
    if (keys->until <=
        keys->now) /* what was signed within this minute stays good (its end is exclusive) */
        keys->until = keys->now + 1;
    gv_drop_old_keys(d, keys->now);
    if (rc == GV_OK && keys->restored) {
        d->version +=
            VERSIONS_LOST + (keys->now > d->activation_min ? keys->now - d->activation_min : 0);
        rc = forget_follower(keys, why);
    }
    if (rc == GV_OK && d->key_count == GV_DESCRIPTOR_KEYS)
        rc = gv_fail(why, GV_ERR_FULL, "the descriptor names %d keys: drop one first (--drop)",
                     GV_DESCRIPTOR_KEYS);
    if (rc == GV_OK)
        rc = make_follower(keys, why);
    if (rc != GV_OK)
        return rc;
    name_key(d, keys, keys->signers.items[1].sign_public);
    keys->in_use[d->key_count - 1] = 0;
    rc = sign(keys, why);
    if (rc == GV_OK && keys->restored)
        rc = forget_before(keys, why);
    minute_text(text, keys->from);
    if (rc == GV_OK && !keys->restored)
        printf("version %u of the descriptor names a key that signs from %s on. Other processes of "
               "this registry need " GV_FILE_NEXT_KEY " and " GV_FILE_DESCRIPTOR " before that.\n",
               d->version, text);
    return rc;
}

/* ---- the end of one ------------------------------------------------------------------------- */

static int drop(struct keys *keys, struct gv_text *why)
{
    struct gv_descriptor *d = &keys->descriptor;
    uint8_t wanted[4];
    size_t at = 0;

    if (gv_unhex(wanted, sizeof wanted, keys->drop) != GV_OK)
        return gv_fail(why, GV_ERR_RANGE, "--drop %s: write the first 8 hex digits of a key",
                       keys->drop);
    while (at < d->key_count && memcmp(d->keys[at].key, wanted, sizeof wanted) != 0)
        at++;
    if (at == d->key_count)
        return gv_fail(why, GV_ERR_NOT_FOUND, "--drop %s: the descriptor names no such key",
                       keys->drop);
    if (strcmp(role_of(keys, at), "former") != 0)
        return gv_fail(why, GV_ERR_FORBIDDEN,
                       "--drop %s: it %s; only a former key can be dropped (--rotate makes one)",
                       keys->drop, role_of(keys, at));
    if (keys->in_use[at] > 0 && !keys->force)
        return gv_fail(why, GV_ERR_BUSY,
                       "--drop %s: certificates of it that are in use: %zu; nodes renew by "
                       "themselves, --force drops it all the same",
                       keys->drop, keys->in_use[at]);
    gv_drop_key(d, at);
    int rc = take_root(keys, why);
    if (rc == GV_OK)
        rc = sign(keys, why);
    if (rc == GV_OK)
        printf("version %u of the descriptor does not name %s any more\n", d->version, keys->drop);
    return rc;
}

int gv_rotate_now(const struct gv_desk_options *at, const char *root_key, struct gv_text *why)
{
    struct keys *keys = calloc(1, sizeof *keys);

    if (!keys)
        return GV_ERR_MEMORY;
    keys->at = *at;
    keys->root_key = root_key;
    keys->restored = true;
    int rc = find_out(keys, why);
    if (rc == GV_OK)
        rc = rotate(keys, why);
    gv_desk_close(&keys->desk);
    wipe(keys);
    return rc;
}

int gv_command_keys(int argc, char **argv)
{
    struct keys *keys = calloc(1, sizeof *keys);
    struct gv_text why = {"out of memory"};

    if (!keys)
        return gv_complain(GV_ERR_MEMORY, &why);
    keys->lead_s = LEAD_S;
    keys->overlap_s = 60 * GV_OVERLAP_MIN;
    gv_arguments(&argp, argc, argv, 0, keys);
    int rc = find_out(keys, &why);
    if (rc == GV_OK)
        rc = keys->rotate ? rotate(keys, &why) : keys->drop ? drop(keys, &why) : show(keys);
    int code = gv_desk_end(&keys->desk, rc, &why);
    wipe(keys);
    return code;
}
