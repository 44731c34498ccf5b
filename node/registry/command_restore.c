/* grapevine-registry restore: a registry again, from what backup wrote. Certificates signed since are
 * missing in the copy of the log, which every node would take for a registry that cheats; so a new key
 * signs from now on, whose log begins empty (SPEC 14.7). */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/base/arguments.h"
#include "node/base/file.h"
#include "node/registry/commands.h"
#include "node/registry/desk.h"
#include "node/registry/registrar.h"
#include "node/registry/sql.h"

struct restore {
    const char *from, *folder, *root_key;
    bool same_key;
    size_t instances, emails;
};

enum { OPTION_SAME = 256, OPTION_ROOT };

static const struct argp_option options[] = {
    {"data", 'd', "DIR", 0, "Where the registry shall be: a folder that is no registry yet", 0},
    {"same-key", OPTION_SAME, NULL, 0,
     "Go on with the same registry key: right only if no certificate was signed since the backup", 0},
    {"root-key", OPTION_ROOT, "FILE", 0, "The root key, when it is kept elsewhere", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct restore *restore = state->input;

    switch (key) {
    case 'd':
        restore->folder = arg;
        return 0;
    case OPTION_SAME:
        restore->same_key = true;
        return 0;
    case OPTION_ROOT:
        restore->root_key = arg;
        return 0;
    case ARGP_KEY_ARG:
        if (restore->from)
            argp_error(state, "%s: one argument too many", arg);
        restore->from = arg;
        return 0;
    case ARGP_KEY_END:
        if (!restore->from || !restore->folder)
            argp_error(state, "FOLDER and --data DIR are needed");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    options,
    parse,
    "FOLDER",
    "Makes a registry again from the FOLDER that backup wrote, in a new folder, and gives it a new key, "
    "because certificates signed since the backup are missing in its log. Nothing is changed in FOLDER. "
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

/* Before anything is written: what is there, and what would be missing at the end. */
static int check(const struct restore *restore, struct gv_text *why)
{
    struct gv_descriptor *descriptor = calloc(1, sizeof *descriptor);
    struct gv_signers signers = {.count = 0};
    struct gv_identity root;
    struct gv_buf unused;
    char *path = gv_data_path(restore->from, GV_FILE_DESCRIPTOR);
    int rc = GV_ERR_MEMORY;

    gv_buf_init(&unused);
    memset(&root, 0, sizeof root);
    if (!descriptor || !path)
        goto out;
    rc = gv_descriptor_read(descriptor, &unused, path, why);
    if (rc == GV_OK)
        rc = gv_signers_read(&signers, restore->from, why);
    if (rc == GV_OK && !gv_signers_last(&signers, descriptor))
        rc = gv_fail(why, GV_ERR_SIGNER, "%s: does not name the key in %s", path,
                     GV_FILE_REGISTRY_KEY);
    if (rc == GV_OK && (!is_there(restore->from, GV_FILE_OWNER_KEY) ||
                        !is_there(restore->from, GV_FILE_EMAIL_KEY)))
        rc = gv_fail(why, GV_ERR_NOT_FOUND, "%s: %s or %s is missing", restore->from,
                     GV_FILE_OWNER_KEY, GV_FILE_EMAIL_KEY);
    if (rc == GV_OK && !restore->same_key &&
        gv_read_root(&root, descriptor, restore->from, restore->root_key, why) != GV_OK)
        rc = gv_fail(why, GV_ERR_NOT_FOUND,
                     "a new registry key needs the root key: --root-key FILE (or --same-key, if no "
                     "certificate was signed since the backup)");
    if (rc == GV_OK && is_there(restore->folder, GV_FILE_DESCRIPTOR))
        rc = gv_fail(why, GV_ERR_DUPLICATE, "%s: there is a registry already; move it away first",
                     restore->folder);
out:
    gv_identity_wipe(&root);
    gv_signers_wipe(&signers);
    gv_buf_free(&unused);
    free(descriptor);
    free(path);
    return rc;
}

/* The descriptor last: its being there means that all is. */
static int copy(const struct restore *restore, struct gv_text *why)
{
    char *database = gv_data_path(restore->from, GV_FILE_DATABASE);
    int rc = database ? gv_file_folder(restore->folder, 0700, why) : GV_ERR_MEMORY;

    if (rc == GV_OK && is_there(restore->folder, GV_FILE_DATABASE))
        rc = gv_fail(why, GV_ERR_DUPLICATE, "%s: there is a database already; move it away first",
                     restore->folder);
    if (rc == GV_OK && is_there(restore->from, GV_FILE_DATABASE))
        rc = gv_copy_database(database, restore->folder, why);
    for (const char *const *name = gv_backup_names; rc == GV_OK && *name; name++)
        if (strcmp(*name, GV_FILE_DESCRIPTOR) != 0)
            rc = gv_copy_file(restore->from, restore->folder, *name, why);
    if (rc == GV_OK)
        rc = gv_copy_file(restore->from, restore->folder, GV_FILE_DESCRIPTOR, why);
    free(database);
    return rc;
}

/* Root copied it, from where only root may read; it is the service's. */
static int give_away(const struct restore *restore, struct gv_text *why)
{
    struct stat owner;
    int rc = GV_OK;

    if (geteuid() != 0 || stat(restore->folder, &owner) != 0 || owner.st_uid == 0)
        return GV_OK;
    for (size_t i = 0; rc == GV_OK; i++) {
        const char *name = i == 0 ? GV_FILE_DATABASE : gv_backup_names[i - 1];
        char *path = name ? gv_data_path(restore->folder, name) : NULL;
        if (!name)
            break;
        if (!path)
            rc = GV_ERR_MEMORY;
        else if (lchown(path, owner.st_uid, owner.st_gid) != 0 && errno != ENOENT)
            rc = gv_fail(why, GV_ERR_IO, "%s: %s", path, strerror(errno));
        free(path);
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
    const struct gv_desk_options at = {.folder = restore->folder};
    int rc = gv_rotate_now(&at, restore->root_key, why);

    if (rc != GV_OK) {
        char *path = gv_data_path(restore->folder, GV_FILE_DESCRIPTOR);
        if (path)
            unlink(path);
        free(path);
    }
    return rc;
}

/* Every row is read and every address opened: what is damaged is said now, not to an owner. */
static int read_through(struct restore *restore, struct gv_text *why)
{
    struct gv_desk_options at = {.folder = restore->folder};
    struct gv_desk desk;
    int rc = gv_desk_open(&desk, &at, why);

    if (rc == GV_OK && gv_sql_is_server(desk.place.database))
        fprintf(stderr, "grapevine-registry: its database is PostgreSQL: this reads what is there "
                        "now; a dump of it is for pg_restore\n");
    if (rc == GV_OK && (rc = gv_records_each(desk.records, count_one, restore)) != GV_OK)
        gv_fail(why, rc, "%s: the database cannot be read through: %s", restore->folder,
                gv_strerror(rc));
    gv_desk_close(&desk);
    return rc;
}

int gv_command_restore(int argc, char **argv)
{
    struct restore restore = {0};
    struct gv_text why = {"out of memory"};

    gv_arguments(&argp, argc, argv, 0, &restore);
    int rc = check(&restore, &why);
    if (rc == GV_OK)
        rc = copy(&restore, &why);
    if (rc == GV_OK)
        rc = give_away(&restore, &why);
    if (rc == GV_OK && !restore.same_key)
        rc = rotate(&restore, &why);
    if (rc == GV_OK)
        rc = gv_become_owner(restore.folder, &why);
    if (rc == GV_OK)
        rc = read_through(&restore, &why);
    if (rc == GV_OK)
        printf("%s: %zu instance%s, %zu with an email address. Nodes that enrolled after the backup "
               "enrol again.\n",
               restore.folder, restore.instances, restore.instances == 1 ? "" : "s", restore.emails);
    return rc == GV_OK ? 0 : gv_complain(rc, &why);
}
