/* A node's configuration file (grapevine.conf): the table, and what no table can say (times, ids,
 * log sources, lists). It is either valid, and then the core's settings can be made of it, or has
 * at least one error line that names the file; no line holds a byte that a terminal would obey. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/base/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_lines(const struct gv_buf *errors, const char *path)
{
    static const char more[] = "... and more errors";
    size_t name = strlen(path);

    gv_assert(errors->len > 0 && errors->data[errors->len - 1] == '\n');
    for (size_t at = 0; at < errors->len;) {
        const uint8_t *line = errors->data + at;
        size_t len = (size_t)((uint8_t *)memchr(line, '\n', errors->len - at) - line);
        gv_assert((len > name && memcmp(line, path, name) == 0) ||
                  (len == sizeof more - 1 && memcmp(line, more, len) == 0 &&
                   at + len + 1 == errors->len));
        for (size_t i = 0; i < len; i++)
            gv_assert(line[i] >= 0x20 && line[i] != 0x7f);
        at += len + 1;
    }
}

static void use(const struct gv_options *options)
{
    struct gv_settings settings;
    struct gv_prefix *allow = NULL, own = {.family = GV_FAMILY_IPV4, .bits = 32, .bytes = {45}};

    gv_assert(gv_options_settings(&settings, &allow, options, &own, 1) == GV_OK);
    gv_assert(settings.allow_count == options->allow.count + 1);
    gv_assert(settings.seed_count == options->seeds.count && options->control_path);
    gv_assert(!gv_options_fixed_change(options, options));
    for (size_t i = 0; i < options->logs.count; i++) {
        struct gv_log_source source;
        gv_assert(gv_log_source_parse(&source, options->logs.items[i], NULL) == GV_OK);
    }
    (void)gv_options_advertise_in_vain(options, false);
    free(allow);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static char path[64];
    struct gv_options options;
    struct gv_buf errors;

    if (fd < 0) {
        fd = memfd_create("fuzz", MFD_CLOEXEC);
        gv_assert(fd >= 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    gv_assert(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
    gv_buf_init(&errors);
    int rc = gv_options_load(&options, path, &errors);
    if (rc == GV_OK) {
        gv_assert(errors.len == 0);
        use(&options);
        gv_options_free(&options);
    } else {
        check_lines(&errors, path);
    }
    gv_buf_free(&errors);
    return 0;
}
