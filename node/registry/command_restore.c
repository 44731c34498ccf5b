/* grapevine-registry restore: a registry again, from what backup wrote. Certificates signed since
 * are missing in the copy of the log, which every node would take for a registry that cheats; so a
 * new key signs from now on, whose log begins empty (SPEC 14.7). */
#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/base/arguments.h"
#include "node/base/file.h"
#include "node/registry/commands.h"
#include "node/registry/desk.h"
#include "node/registry/manifest.h"
#include "node/registry/registrar.h"
#include "node/registry/sql.h"

struct restore {
    struct gv_root_options at; /* where it shall be, and the root key */
    const char *from;
    bool same_key;
    struct gv_manifest manifest;
    size_t instances, emails;
};

enum { OPTION_SAME = 256 };

static const struct argp_option options[] = {
    GV_ROOT_OPTIONS("Where the registry shall be: a folder that is no registry yet"),
    {"same-key", OPTION_SAME, NULL, 0,
     "Go on with the same registry key: right only if no certificate was signed since the backup",
     0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct restore *restore = state->input;

    switch (key) {
    case OPTION_SAME:
        restore->same_key = true;
        return 0;
    case ARGP_KEY_ARG:
        if (restore->from)
            argp_error(state, "%s: one argument too many", arg);
        restore->from = arg;
        return 0;
    case ARGP_KEY_END:
        if (!restore->from || !restore->at.folder)
            argp_error(state, "FOLDER and --data DIR are needed");
        return 0;
    default:
        return gv_root_parse(&restore->at, key, arg);
    }
}

static const struct argp argp = {options,
                                 parse,
                                 "FOLDER",
                                 "Makes a registry again from the FOLDER that backup wrote, in a "
                                 "new folder, and gives it a new key, "
                                 "because certificates signed since the backup are missing in its "
                                 "log. Nothing is changed in FOLDER. "
                                 "A PostgreSQL database is for pg_restore.",
                                 NULL,
                                 NULL,
                                 NULL};

/* Of the folder; malloc'd paths are freed by the caller. */
static bool is_there(const char *folder, const char *name)
{
    char *path = gv_data_path(folder, name);
    bool there = path && access(path, F_OK) == 0;

    free(path);
    return there;
}

/* Everything that backup wrote is there and is what it was; the root key may be kept elsewhere. */
static int check_files(struct restore *restore, struct gv_text *why)
{
    static const char *const needed[] = {GV_FILE_DESCRIPTOR, GV_FILE_REGISTRY_KEY,
                                         GV_FILE_OWNER_KEY, GV_FILE_EMAIL_KEY};
    struct gv_place place = {NULL, NULL};
    int rc = gv_manifest_read(&restore->manifest, restore->from, why);

    for (size_t i = 0; rc == GV_OK && i < sizeof needed / sizeof *needed; i++)
        if (!gv_manifest_find(&restore->manifest, needed[i]))
            rc = gv_fail(why, GV_ERR_NOT_FOUND, "%s: %s is missing", restore->from, needed[i]);
    if (rc == GV_OK)
        rc = gv_manifest_check(&restore->manifest, restore->from, GV_FILE_ROOT_KEY, why);
    if (rc == GV_OK)
        rc = gv_place_find(&place, restore->from, NULL);
    if (rc == GV_OK && !gv_sql_is_server(place.database) &&
        !gv_manifest_find(&restore->manifest, GV_FILE_DATABASE))
        rc = gv_fail(why, GV_ERR_NOT_FOUND, "%s: %s is missing", restore->from, GV_FILE_DATABASE);
    gv_place_free(&place);
    return rc;
}

/* Before anything is written: what is there, and what would be missing at the end. */
static int check(struct restore *restore, struct gv_text *why)
{
    struct gv_descriptor *descriptor = calloc(1, sizeof *descriptor);
    struct gv_signers signers = {.count = 0};
    struct gv_identity root;
    struct gv_buf unused;
    char *path = gv_data_path(restore->from, GV_FILE_DESCRIPTOR);
    int rc = descriptor && path ? check_files(restore, why) : GV_ERR_MEMORY;

    gv_buf_init(&unused);
    memset(&root, 0, sizeof root);
    if (rc == GV_OK)
        rc = gv_descriptor_read(descriptor, &unused, path, why);
    if (rc == GV_OK)
        rc = gv_signers_read(&signers, restore->from, why);
    if (rc == GV_OK && !gv_signers_last(&signers, descriptor))
        rc = gv_fail(why, GV_ERR_SIGNER, "%s: does not name the key in %s", path,
                     GV_FILE_REGISTRY_KEY);
    if (rc == GV_OK && !restore->same_key &&
        gv_read_root(&root, descriptor, restore->from, restore->at.root_key, why) != GV_OK)
        rc = gv_fail(why, GV_ERR_NOT_FOUND,
                     "a new registry key needs the root key: --root-key FILE (or --same-key, if no "
                     "certificate was signed since the backup)");
    if (rc == GV_OK && is_there(restore->at.folder, GV_FILE_DESCRIPTOR))
        rc = gv_fail(why, GV_ERR_DUPLICATE, "%s: there is a registry already; move it away first",
                     restore->at.folder);
    if (rc == GV_OK && is_there(restore->at.folder, GV_FILE_DATABASE))
        rc = gv_fail(why, GV_ERR_DUPLICATE, "%s: there is a database already; move it away first",
                     restore->at.folder);
    gv_identity_wipe(&root);
    gv_signers_wipe(&signers);
    gv_buf_free(&unused);
    free(descriptor);
    free(path);
    return rc;
}

static int copy_one(const struct restore *restore, const char *name, struct gv_text *why)
{
    char *source = gv_data_path(restore->from, name);
    int rc = GV_ERR_MEMORY;

    if (source && strcmp(name, GV_FILE_DATABASE) == 0)
        rc = gv_copy_database(source, restore->at.folder, why);
    else if (source)
        rc = gv_copy_file(source, restore->at.folder, name, why);
    if (rc == GV_ERR_NOT_FOUND && strcmp(name, GV_FILE_ROOT_KEY) == 0)
        rc = GV_OK;
    free(source);
    return rc;
}

/* The descriptor last: its being there means that all is. */
static int copy(const struct restore *restore, struct gv_text *why)
{
    int rc = gv_file_folder(restore->at.folder, 0700, why);

    for (size_t i = 0; rc == GV_OK && i < restore->manifest.count; i++)
        if (strcmp(restore->manifest.items[i].name, GV_FILE_DESCRIPTOR) != 0)
            rc = copy_one(restore, restore->manifest.items[i].name, why);
    return rc == GV_OK ? copy_one(restore, GV_FILE_DESCRIPTOR, why) : rc;
}

static int give_one(const struct restore *restore, const char *name, const struct stat *owner,
                    struct gv_text *why)
{
    char *path = gv_data_path(restore->at.folder, name);
    int rc = path ? GV_OK : GV_ERR_MEMORY;

    if (path && lchown(path, owner->st_uid, owner->st_gid) != 0 && errno != ENOENT)
        rc = gv_fail(why, GV_ERR_IO, "%s: %s", path, strerror(errno));
    free(path);
    return rc;
}

/* Root copied it, from where only root may read; it is the service's. */
static int give_away(const struct restore *restore, struct gv_text *why)
{
    char folder[GV_MANIFEST_NAME_MAX + 1];
    struct stat owner;
    int rc = GV_OK;

    if (geteuid() != 0 || stat(restore->at.folder, &owner) != 0 || owner.st_uid == 0)
        return GV_OK;
    for (size_t i = 0; rc == GV_OK && i < restore->manifest.count; i++) {
        const char *name = restore->manifest.items[i].name;
        rc = give_one(restore, name, &owner, why);
        snprintf(folder, sizeof folder, "%.*s", (int)strcspn(name, "/"), name);
        if (rc == GV_OK && strchr(name, '/'))
            rc = give_one(restore, folder, &owner, why);
    }
    return rc;
}

static int count_one(void *context, const struct gv_instance *instance, const char *email)
{
    struct restore *restore = context;

    (void)instance;
    restore->instances++;
    restore->emails += *email != '\0';
    return GV_OK;
}

/* Without a new key it must not start: it would sign with the old one, from an older log. */
static int rotate(const struct restore *restore, struct gv_text *why)
{
    const struct gv_desk_options at = {.folder = restore->at.folder};
    int rc = gv_rotate_now(&at, restore->at.root_key, why);

    if (rc != GV_OK) {
        char *path = gv_data_path(restore->at.folder, GV_FILE_DESCRIPTOR);
        if (path)
            unlink(path);
        free(path);
    }
    return rc;
}

/* Every row is read and every address opened: what is damaged is said now, not to an owner. */
static int read_through(struct restore *restore, struct gv_text *why)
{
    struct gv_desk_options at = {.folder = restore->at.folder};
    struct gv_desk desk;
    int rc = gv_desk_open(&desk, &at, why);

    if (rc == GV_OK && gv_sql_is_server(desk.place.database))
        fprintf(stderr, "grapevine-registry: its database is PostgreSQL: this reads what is there "
                        "now; a dump of it is for pg_restore\n");
    if (rc == GV_OK && (rc = gv_records_each(desk.records, count_one, restore)) != GV_OK)
        gv_fail(why, rc, "%s: the database cannot be read through: %s", restore->at.folder,
                gv_strerror(rc));
    gv_desk_close(&desk);
    return rc;
}

/* Between the copy and its new key nobody's Ctrl-C leaves a registry that would start with the old
 * one. */
static int copy_and_rotate(const struct restore *restore, struct gv_text *why)
{
    sigset_t late, before;

    sigemptyset(&late);
    sigaddset(&late, SIGHUP);
    sigaddset(&late, SIGINT);
    sigaddset(&late, SIGTERM);
    sigprocmask(SIG_BLOCK, &late, &before);
    int rc = copy(restore, why);
    if (rc == GV_OK)
        rc = give_away(restore, why);
    if (rc == GV_OK && !restore->same_key)
        rc = rotate(restore, why);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return rc;
}

int gv_command_restore(int argc, char **argv)
{
    static struct restore restore;
    struct gv_text why = {"out of memory"};

    gv_arguments(&argp, argc, argv, 0, &restore);
    int rc = check(&restore, &why);
    if (rc == GV_OK)
        rc = copy_and_rotate(&restore, &why);
    if (rc == GV_OK)
        rc = gv_become_owner(restore.at.folder, &why);
    if (rc == GV_OK)
        rc = read_through(&restore, &why);
    if (rc == GV_OK)
        printf(
            "%s: %zu instance%s, %zu with an email address. Nodes that enrolled after the backup "
            "enrol again.\n",
            restore.at.folder, restore.instances, restore.instances == 1 ? "" : "s",
            restore.emails);
    return rc == GV_OK ? 0 : rc == GV_ERR_CONFIG ? EX_CONFIG : gv_complain(rc, &why);
}
