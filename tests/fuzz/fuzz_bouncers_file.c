/* bouncers.json in the data folder (SPEC 18.7): taken whole, or refused with a sentence; what is
 * taken has names that are names, each once, and is the same when it was written and read again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "crypto/error.h"
#include "node/base/file.h"
#include "node/serve/bouncer_keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[32], path[64];
static const uint8_t store_key[GV_HASH_LEN] = {3};

static void remove_all(void)
{
    unlink(path);
    rmdir(folder);
}

static void set_up(void)
{
    if (folder[0])
        return;
    gv_assert(sodium_init() >= 0);
    strcpy(folder, "/tmp/gv-fuzz.XXXXXX");
    gv_assert(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/bouncers.json", folder);
    atexit(remove_all);
}

static void check(const struct gv_bouncer_keys *keys)
{
    size_t count;
    const struct gv_bouncer *all = gv_bouncer_keys_all(keys, &count);

    gv_assert(count <= GV_BOUNCERS_MAX);
    for (size_t i = 0; i < count; i++) {
        gv_assert(gv_bouncer_name_check(all[i].name, NULL) == GV_OK);
        for (size_t j = 0; j < i; j++)
            gv_assert(strcmp(all[i].name, all[j].name) != 0);
    }
}

/* Adding one writes all; deleting it leaves what there was. */
static void write_again(struct gv_bouncer_keys *keys)
{
    static const char name[] = "fuzz.once-more_0";
    char key[GV_BOUNCER_KEY_TEXT];
    struct gv_bouncer_keys *again;
    struct gv_text error = {""};
    size_t before, after;

    gv_bouncer_keys_all(keys, &before);
    if (gv_bouncer_keys_add(keys, key, name, 1, &error) != GV_OK)
        return; /* full, or its name is there */
    gv_assert(gv_bouncer_keys_find(keys, key));
    gv_assert(gv_bouncer_keys_open(&again, folder, store_key, &error) == GV_OK);
    gv_bouncer_keys_all(again, &after);
    gv_assert(after == before + 1 && gv_bouncer_keys_find(again, key));
    check(again);
    gv_bouncer_keys_close(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gv_bouncer_keys *keys = NULL;
    struct gv_text error = {""};

    set_up();
    FILE *file = fopen(path, "w");
    gv_assert(file && fwrite(data, 1, size, file) == size);
    gv_assert(fclose(file) == 0 && chmod(path, 0600) == 0);
    if (gv_bouncer_keys_open(&keys, folder, store_key, &error) != GV_OK) {
        gv_assert(error.text[0]);
        return 0;
    }
    check(keys);
    write_again(keys);
    gv_bouncer_keys_close(keys);
    return 0;
}
