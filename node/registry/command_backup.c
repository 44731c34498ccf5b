/* grapevine-registry backup: a complete copy of the data folder, of one moment, beside a running
 * registry. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/base/db.h"
#include "node/base/file.h"
#include "node/registry/commands.h"
#include "node/registry/desk.h"
#include "node/registry/registrar.h"
#include "node/registry/sql.h"

const char *const gv_backup_names[] = {GV_FILE_ROOT_KEY,  GV_FILE_REGISTRY_KEY, GV_FILE_NEXT_KEY,
                                       GV_FILE_OWNER_KEY, GV_FILE_EMAIL_KEY,    GV_FILE_DESCRIPTOR,
                                       GV_FILE_TERMS,     GV_FILE_CONFIG,       NULL};

int gv_copy_file(const char *from, const char *to, const char *name, struct gv_text *why)
{
    char *source = gv_data_path(from, name), *target = gv_data_path(to, name);
    struct gv_buf data;
    int rc = GV_ERR_MEMORY;

    gv_buf_init(&data);
    if (source && target)
        rc = gv_file_read(&data, source, GV_TERMS_FILE_MAX, why);
    if (rc == GV_OK)
        rc = gv_file_write(target, data.data ? data.data : (const uint8_t *)"", data.len, 0600, why);
    else if (rc == GV_ERR_NOT_FOUND)
        rc = GV_OK; /* the root key is kept elsewhere, the terms are not written yet */
    if (data.data)
        gv_wipe(data.data, data.cap);
    gv_buf_free(&data);
    free(source);
    free(target);
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

static int copy_all(const struct gv_place *place, const char *out, struct gv_text *why)
{
    int rc = GV_OK;

    if (mkdir(out, 0700) != 0)
        return gv_fail(why, GV_ERR_DUPLICATE, "%s: cannot be made; name a folder that is not there",
                       out);
    for (const char *const *name = gv_backup_names; rc == GV_OK && *name; name++)
        rc = gv_copy_file(place->folder, out, *name, why);
    if (rc == GV_OK && !gv_sql_is_server(place->database))
        rc = gv_copy_database(place->database, out, why);
    return rc;
}

int gv_command_backup(int argc, char **argv)
{
    struct gv_desk_options given = {.needs = "where to? FOLDER is needed"};
    struct gv_text why = {"out of memory"};
    struct gv_desk desk = {0};

    gv_desk_arguments(&given, argc, argv, "FOLDER",
                      "Copies keys, descriptor, terms, configuration and the SQLite database into a "
                      "new folder, from which restore makes a registry again. It holds all secrets "
                      "of the registry. A PostgreSQL database is for pg_dump.");
    int rc = gv_place_find(&desk.place, given.folder, given.config);
    if (rc == GV_OK)
        rc = copy_all(&desk.place, given.word, &why);
    if (rc == GV_OK && gv_sql_is_server(desk.place.database))
        fprintf(stderr, "grapevine-registry: the database is PostgreSQL: dump it with pg_dump\n");
    if (rc == GV_OK)
        printf("%s holds all of the registry's secrets: keep it as you keep them\n", given.word);
    return gv_desk_end(&desk, rc, &why);
}
