#include "node/registry/desk.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/base/arguments.h"
#include "node/base/keyfile.h"
#include "node/registry/commands.h"
#include "node/registry/registrar.h"
#include "node/registry/sql.h"

error_t gv_desk_parse(struct gv_desk_options *out, int key, char *arg, struct argp_state *state)
{
    switch (key) {
    case 'd':
        out->folder = arg;
        return 0;
    case 'c':
        out->config = arg;
        return 0;
    case ARGP_KEY_ARG:
        if (out->word || !out->takes_word)
            argp_error(state, "%s: one argument too many", arg);
        out->word = arg;
        return 0;
    case ARGP_KEY_END:
        if (!out->folder == !out->config)
            argp_error(state, "--data or --config is needed");
        if (out->needs && !out->word)
            argp_error(state, "%s", out->needs);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

error_t gv_root_parse(struct gv_root_options *out, int key, char *arg)
{
    if (key != 'd' && key != GV_OPTION_ROOT_KEY)
        return ARGP_ERR_UNKNOWN;
    *(key == 'd' ? &out->folder : &out->root_key) = arg;
    return 0;
}

int gv_desk_database(int rc, struct gv_text *why)
{
    return rc == GV_OK ? GV_OK : gv_fail(why, rc, "the database: %s", gv_strerror(rc));
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    return gv_desk_parse(state->input, key, arg, state);
}

void gv_desk_arguments(struct gv_desk_options *out, int argc, char **argv, const char *word,
                       const char *doc)
{
    static const struct argp_option options[] = {GV_DESK_OPTIONS, {0}};
    const struct argp argp = {options, parse, word, doc, NULL, NULL, NULL};

    out->takes_word = word != NULL;
    gv_arguments(&argp, argc, argv, 0, out);
}

static int read_owner_secret(struct gv_desk *desk, struct gv_text *why)
{
    char *path = gv_data_path(desk->place.folder, GV_FILE_OWNER_KEY);
    int rc = path ? gv_keyfile_read(desk->owner_secret, path, why) : GV_ERR_MEMORY;

    free(path);
    return rc;
}

void gv_desk_make_database(const struct gv_place *place)
{
    struct stat folder;

    if (geteuid() != 0 || gv_sql_is_server(place->database) || stat(place->folder, &folder) != 0 ||
        folder.st_uid == 0)
        return;
    char *path = gv_data_path(place->folder, GV_FILE_DATABASE);
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
    if (fd >= 0 && fchown(fd, folder.st_uid, folder.st_gid) != 0)
        unlink(path); /* and whoever opens it makes it */
    if (fd >= 0)
        close(fd);
    free(path);
}

int gv_desk_open(struct gv_desk *desk, const struct gv_desk_options *given, struct gv_text *why)
{
    memset(desk, 0, sizeof *desk);
    int rc = gv_place_find(&desk->place, given->folder, given->config);
    if (rc == GV_OK)
        rc = read_owner_secret(desk, why);
    if (rc == GV_OK)
        gv_desk_make_database(&desk->place);
    if (rc == GV_OK)
        rc = gv_place_open(&desk->records, &desk->place, why);
    return rc;
}

void gv_desk_close(struct gv_desk *desk)
{
    gv_records_close(desk->records);
    desk->records = NULL;
    gv_place_free(&desk->place);
    gv_wipe(desk->owner_secret, sizeof desk->owner_secret);
}

int gv_desk_end(struct gv_desk *desk, int rc, const struct gv_text *why)
{
    gv_desk_close(desk);
    if (rc == GV_ERR_CONFIG) /* said already */
        return EX_CONFIG;
    return rc == GV_OK ? EX_OK : gv_complain(rc, why);
}
