/* grapevine-registry backup: a complete copy of the data folder, of one moment, beside a running
 * registry. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/base/config_edit.h"
#include "node/base/db.h"
#include "node/base/file.h"
#include "node/registry/commands.h"
#include "node/registry/desk.h"
#include "node/registry/manifest.h"
#include "node/registry/registrar.h"
#include "node/registry/sql.h"

#define FILE_MAX (4 << 20) /* all authorities that a system trusts are 220 kB */

/* Beside the database and the configuration. */
static const char *const kept[] = {GV_FILE_ROOT_KEY,  GV_FILE_REGISTRY_KEY, GV_FILE_NEXT_KEY,
                                   GV_FILE_OWNER_KEY, GV_FILE_EMAIL_KEY,    GV_FILE_DESCRIPTOR,
                                   GV_FILE_TERMS};

/* Files that registry.conf names, and what one that lies outside the data folder is called in the
 * copy. */
static const struct {
    const char *section, *key, *name;
    size_t offset;
} named[] = {
    {"registry", "tls_certificate", "tls-certificate.pem",
     offsetof(struct gv_registry_settings, tls_certificate)},
    {"registry", "tls_key", "tls-key.pem", offsetof(struct gv_registry_settings, tls_key)},
    {"mail", "template", "mail-template.txt", offsetof(struct gv_registry_settings, mail_template)},
    {"mail", "leave_template", "mail-leave-template.txt",
     offsetof(struct gv_registry_settings, mail_leave_template)},
    {"mail", "ca_file", "mail-ca.pem", offsetof(struct gv_registry_settings, mail_ca_file)},
    {"mail", "password_file", "mail-password",
     offsetof(struct gv_registry_settings, mail_password_file)},
};

struct backup {
    struct gv_place place;
    const char *config; /* as given, or NULL: the one in the folder, if there is one */
    const char *out;
    struct gv_manifest manifest;
};

/* ---- single files --------------------------------------------------------------------------- */

int gv_copy_file(const char *source, const char *to, const char *name, struct gv_text *why)
{
    char *target = gv_data_path(to, name), *folder = target ? strdup(target) : NULL;
    struct gv_buf data;
    int rc = folder ? GV_OK : GV_ERR_MEMORY;

    gv_buf_init(&data);
    if (rc == GV_OK && strchr(name, '/')) {
        *strrchr(folder, '/') = '\0';
        rc = gv_file_folder(folder, 0700, why);
    }
    if (rc == GV_OK)
        rc = gv_file_read(&data, source, FILE_MAX, why);
    if (rc == GV_OK)
        rc =
            gv_file_write(target, data.data ? data.data : (const uint8_t *)"", data.len, 0600, why);
    if (data.data)
        gv_wipe(data.data, data.cap);
    gv_buf_free(&data);
    free(target);
    free(folder);
    return rc;
}

int gv_copy_database(const char *from, const char *to, struct gv_text *why)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *vacuum = NULL;
    char *target = gv_data_path(to, GV_FILE_DATABASE);
    mode_t mask = umask(077);
    int rc = GV_ERR_IO;

    if (!target || sqlite3_open_v2(from, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK) {
        gv_fail(why, rc, "%s: %s", from, db ? gv_db_said(db) : "out of memory");
        goto out;
    }
    sqlite3_busy_timeout(db, GV_DB_BUSY_MS);
    rc = gv_db_prepare(db, &vacuum, "VACUUM INTO ?1", why);
    if (rc == GV_OK)
        rc = gv_db_run(vacuum, "t", target);
    if (rc != GV_OK)
        gv_fail(why, rc, "%s: %s", target, gv_db_said(db));
out:
    umask(mask);
    sqlite3_finalize(vacuum);
    sqlite3_close(db);
    free(target);
    return rc;
}

/* ---- the parts ------------------------------------------------------------------------------ */

static int add(struct backup *backup, const char *source, const char *name, struct gv_text *why)
{
    const struct gv_manifest_item *there = gv_manifest_find(&backup->manifest, name);
    struct gv_manifest now = {.count = 0};
    int rc = gv_copy_file(source, backup->out, name, why);

    if (rc != GV_OK || !there)
        return rc == GV_OK ? gv_manifest_add(&backup->manifest, backup->out, name, why) : rc;
    /* One file for two settings, or two files of one name. */
    rc = gv_manifest_add(&now, backup->out, name, why);
    if (rc == GV_OK && memcmp(now.items[0].hash, there->hash, sizeof there->hash) != 0)
        rc = gv_fail(why, GV_ERR_DUPLICATE,
                     "%s: the copy has another file named %s; rename one of them", source, name);
    return rc;
}

static int add_kept(struct backup *backup, struct gv_text *why)
{
    int rc = GV_OK;

    for (size_t i = 0; rc == GV_OK && i < sizeof kept / sizeof *kept; i++) {
        char *path = gv_data_path(backup->place.folder, kept[i]);
        rc = path ? add(backup, path, kept[i], why) : GV_ERR_MEMORY;
        if (rc == GV_ERR_NOT_FOUND) /* the root key is kept elsewhere, no rotation, no terms yet */
            rc = GV_OK;
        free(path);
    }
    return rc;
}

/* A first look makes its tables, where nobody has been served yet: an empty file is no database. */
static int add_database(struct backup *backup, struct gv_text *why)
{
    struct gv_records *records = NULL;

    if (gv_sql_is_server(backup->place.database))
        return GV_OK;
    gv_desk_make_database(&backup->place);
    int rc = gv_place_open(&records, &backup->place, why);
    gv_records_close(records);
    if (rc == GV_OK)
        rc = gv_copy_database(backup->place.database, backup->out, why);
    return rc == GV_OK ? gv_manifest_add(&backup->manifest, backup->out, GV_FILE_DATABASE, why)
                       : rc;
}

/* Where the copy of it lies: as in the data folder, or else under a name of its own. */
static const char *name_in_copy(const char *folder, const char *path, const char *otherwise)
{
    size_t len = strlen(folder);

    while (len > 1 &&
           (folder[len - 1] == '/' || (folder[len - 1] == '.' && folder[len - 2] == '/')))
        len--;
    if (strncmp(path, folder, len) != 0 || path[len] != '/')
        return otherwise;
    path += len + strspn(path + len, "/");
    return gv_manifest_name_fits(path) ? path : otherwise;
}

/* Edits *text in place. */
static int edit(struct gv_buf *text, const char *section, const char *key, const char *value,
                struct gv_text *why)
{
    struct gv_buf out;

    gv_buf_init(&out);
    int rc = gv_config_edit(&out, (const char *)text->data, text->len, section, key, value, false);
    if (rc != GV_OK) {
        gv_buf_free(&out);
        return gv_fail(why, rc, "[%s] %s: \"%s\" cannot stand in a configuration", section, key,
                       value);
    }
    gv_buf_free(text);
    *text = out;
    return GV_OK;
}

/* The copy names nothing outside itself, so that it works wherever it is put. */
static int add_named(struct backup *backup, struct gv_buf *text,
                     const struct gv_registry_settings *settings, struct gv_text *why)
{
    int rc = edit(text, "registry", "data", ".", why);

    for (size_t i = 0; rc == GV_OK && i < sizeof named / sizeof *named; i++) {
        const char *path = *(char *const *)((const char *)settings + named[i].offset);
        if (!path || !*path)
            continue;
        const char *name = name_in_copy(backup->place.folder, path, named[i].name);
        rc = add(backup, path, name, why);
        if (rc == GV_OK)
            rc = edit(text, named[i].section, named[i].key, name, why);
    }
    return rc;
}

static int add_config(struct backup *backup, struct gv_text *why)
{
    struct gv_registry_settings settings;
    struct gv_buf text, errors;
    char *usual = gv_data_path(backup->place.folder, GV_FILE_CONFIG);
    char *target = gv_data_path(backup->out, GV_FILE_CONFIG);
    const char *path = backup->config ? backup->config : usual;
    int rc = usual && target ? GV_OK : GV_ERR_MEMORY;

    gv_buf_init(&text);
    gv_buf_init(&errors);
    if (rc != GV_OK || (!backup->config && access(path, F_OK) != 0))
        goto out;
    rc = gv_file_read(&text, path, GV_CONFIG_FILE_MAX, why);
    if (rc == GV_OK && (rc = gv_registry_settings_load(&settings, path, &errors)) == GV_OK) {
        rc = add_named(backup, &text, &settings, why);
        gv_config_free(&gv_registry_table, &settings);
    }
    if (rc == GV_OK)
        rc = gv_file_write(target, text.data, text.len, 0600, why);
    if (rc == GV_OK)
        rc = gv_manifest_add(&backup->manifest, backup->out, GV_FILE_CONFIG, why);
out:
    gv_buf_free(&errors);
    gv_buf_free(&text);
    free(usual);
    free(target);
    return rc;
}

/* Keys and descriptor of one moment: `keys --rotate` may have run meanwhile. */
static int check_unchanged(const struct backup *backup, struct gv_text *why)
{
    struct gv_manifest now = {.count = 0};
    bool same = true;
    int rc = GV_OK;

    for (size_t i = 0; rc == GV_OK && i < sizeof kept / sizeof *kept; i++) {
        rc = gv_manifest_add(&now, backup->place.folder, kept[i], why);
        if (rc == GV_ERR_NOT_FOUND)
            rc = GV_OK;
        const struct gv_manifest_item *is = gv_manifest_find(&now, kept[i]),
                                      *was = gv_manifest_find(&backup->manifest, kept[i]);
        same = same && (is ? was && memcmp(is->hash, was->hash, sizeof is->hash) == 0 : !was);
    }
    return rc == GV_OK && !same ? gv_fail(why, GV_ERR_BUSY,
                                          "the keys were changed meanwhile: %s is not complete, "
                                          "remove it and begin again",
                                          backup->out)
                                : rc;
}

static int copy_all(struct backup *backup, struct gv_text *why)
{
    if (mkdir(backup->out, 0700) != 0)
        return gv_fail(why, GV_ERR_DUPLICATE, "%s: cannot be made; name a folder that is not there",
                       backup->out);
    int rc = add_kept(backup, why);
    if (rc == GV_OK)
        rc = add_database(backup, why);
    if (rc == GV_OK)
        rc = add_config(backup, why);
    if (rc == GV_OK)
        rc = check_unchanged(backup, why);
    return rc == GV_OK ? gv_manifest_write(&backup->manifest, backup->out, why) : rc;
}

int gv_command_backup(int argc, char **argv)
{
    static struct backup backup;
    struct gv_desk_options given = {.needs = "where to? FOLDER is needed"};
    struct gv_text why = {"out of memory"};
    struct gv_desk desk = {0};

    gv_desk_arguments(
        &given, argc, argv, "FOLDER",
        "Copies keys, descriptor, terms, configuration with the files that it names, and "
        "the SQLite database into a new folder, from which restore makes a registry "
        "again. It holds all secrets of the registry. A PostgreSQL database is for "
        "pg_dump.");
    backup = (struct backup){.config = given.config, .out = given.word};
    int rc = gv_place_find(&backup.place, given.folder, given.config);
    bool server = rc == GV_OK && gv_sql_is_server(backup.place.database);
    if (rc == GV_OK)
        rc = copy_all(&backup, &why);
    if (rc == GV_OK && server)
        fprintf(stderr, "grapevine-registry: the database is PostgreSQL: dump it with pg_dump\n");
    if (rc == GV_OK)
        printf("%s holds all of the registry's secrets: keep it as you keep them\n", given.word);
    gv_place_free(&backup.place);
    return gv_desk_end(&desk, rc, &why);
}
