#include "node/registry/place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/base/keyfile.h"
#include "node/registry/registrar.h"

char *gv_registry_database(const struct gv_registry_settings *settings)
{
    return settings->database && *settings->database
               ? strdup(settings->database)
               : gv_data_path(settings->data, GV_FILE_DATABASE);
}

static int read_config(struct gv_place *out, const char *config)
{
    struct gv_registry_settings settings;
    struct gv_buf errors;

    gv_buf_init(&errors);
    int rc = gv_registry_settings_load(&settings, config, &errors);
    fwrite(errors.data ? errors.data : (const uint8_t *)"", 1, errors.len, stderr);
    if (rc == GV_OK) {
        out->database = gv_registry_database(&settings);
        if (!out->folder) {
            out->folder = settings.data;
            settings.data = NULL; /* handed over */
        }
        gv_config_free(&gv_registry_table, &settings);
    }
    gv_buf_free(&errors);
    return rc == GV_ERR_MEMORY ? rc : rc == GV_OK ? GV_OK : GV_ERR_CONFIG;
}

int gv_place_find(struct gv_place *out, const char *folder, const char *config)
{
    int rc = GV_OK;

    *out = (struct gv_place){NULL, NULL};
    if (!folder) {
        rc = read_config(out, config);
    } else {
        char *path = gv_data_path(folder, GV_FILE_CONFIG);
        out->folder = strdup(folder);
        if (path && out->folder && access(path, F_OK) == 0)
            rc = read_config(out, path);
        if (rc == GV_OK && !out->database)
            out->database = gv_data_path(folder, GV_FILE_DATABASE);
        free(path);
    }
    if (rc == GV_OK && (!out->folder || !out->database))
        rc = GV_ERR_MEMORY;
    if (rc != GV_OK)
        gv_place_free(out);
    return rc;
}

void gv_place_free(struct gv_place *place)
{
    free(place->folder);
    free(place->database);
    *place = (struct gv_place){NULL, NULL};
}

int gv_place_open(struct gv_records **out, const struct gv_place *place, struct gv_text *why)
{
    uint8_t secret[GV_SECRET_LEN];
    char *key = gv_data_path(place->folder, GV_FILE_EMAIL_KEY);
    int rc = key ? gv_keyfile_read(secret, key, why) : GV_ERR_MEMORY;

    *out = NULL;
    if (rc == GV_OK)
        rc = gv_records_open(out, place->database, secret, why);
    gv_wipe(secret, sizeof secret);
    free(key);
    return rc;
}
