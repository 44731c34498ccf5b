/* The file `number` beside the store: a number that this key's statements have not passed yet. It
 * is raised a day at a time before one may pass it, so that a store that is lost, and lost again,
 * under whatever clock, never leads to a number that was used (SPEC 8.6). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/base/file.h"
#include "node/base/log.h"
#include "node/host/persist.h"
#include "node/host/persist_schema.h"

#define NUMBER_LEN 8
#define FILE_LEN   (NUMBER_LEN + GV_PERSIST_MAC)

static const char mac_name[] = "number";

static uint64_t get_number(const uint8_t bytes[NUMBER_LEN])
{
    uint64_t number = 0;

    for (size_t i = 0; i < NUMBER_LEN; i++)
        number = number << 8 | bytes[i];
    return number;
}

static void mac_of(const struct gv_persist *persist, uint8_t out[GV_PERSIST_MAC],
                   const uint8_t bytes[NUMBER_LEN])
{
    gv_persist_mac(persist, out, GV_STORE_CEILING, mac_name, sizeof mac_name - 1, bytes,
                   NUMBER_LEN);
}

int gv_persist_number_open(struct gv_persist *persist)
{
    const char *slash = strrchr(persist->path, '/');
    int folder = slash ? (int)(slash - persist->path) + 1 : 0;
    size_t size = (size_t)folder + sizeof "number";
    struct gv_buf bytes;
    uint8_t mac[GV_PERSIST_MAC];

    persist->number_path = malloc(size);
    if (!persist->number_path)
        return GV_ERR_MEMORY;
    snprintf(persist->number_path, size, "%.*snumber", folder, persist->path);
    gv_buf_init(&bytes);
    int rc = gv_file_read(&bytes, persist->number_path, FILE_LEN, NULL);
    persist->number_bad = rc != GV_ERR_NOT_FOUND;
    if (rc == GV_OK && bytes.len == FILE_LEN) {
        mac_of(persist, mac, bytes.data);
        if (gv_equal_secret(mac, bytes.data + NUMBER_LEN, sizeof mac)) {
            persist->ceiling = get_number(bytes.data);
            persist->number_bad = false;
        }
    }
    gv_buf_free(&bytes);
    return rc == GV_ERR_MEMORY ? rc : GV_OK;
}

uint64_t gv_persist_ceiling(const struct gv_persist *persist)
{
    if (persist->number_bad)
        gv_log(GV_LOG_WARNING,
               "%s: cannot be read, or was not written with this key: it is not "
               "believed, and is written anew",
               persist->number_path);
    return persist->ceiling;
}

int gv_persist_reserve(struct gv_persist *persist, const struct gv_effects *effects,
                       struct gv_text *error)
{
    uint64_t ceiling = gv_effects_ceiling(effects, persist->ceiling);
    uint8_t bytes[FILE_LEN];

    /* Also where somebody removed it: with it and the store gone a number might be used twice. */
    if (ceiling == persist->ceiling && (ceiling == 0 || access(persist->number_path, F_OK) == 0))
        return GV_OK;
    for (size_t i = 0; i < NUMBER_LEN; i++)
        bytes[i] = (uint8_t)(ceiling >> (56 - 8 * i));
    mac_of(persist, bytes + NUMBER_LEN, bytes);
    struct gv_text why = {""};
    int rc = gv_file_write(persist->number_path, bytes, sizeof bytes, 0600, &why);
    if (rc != GV_OK)
        return gv_fail(error, rc, "%s; see to it that this file can be written", why.text);
    persist->ceiling = ceiling;
    persist->number_bad = false;
    return GV_OK;
}
