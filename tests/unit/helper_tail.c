#include "helper_tail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/error.h"

void desk_line(void *context, const char *line, size_t len)
{
    struct desk *desk = context;
    size_t at = strlen(desk->got);

    if (len == SIZE_MAX) {
        strcat(desk->got, "<long>|");
        return;
    }
    assert_true(at + len + 2 < sizeof desk->got);
    for (size_t i = 0; i < len; i++)
        desk->got[at++] = line[i] ? line[i] : '0';
    desk->got[at++] = '|';
    desk->got[at] = '\0';
}

void desk_path(char out[128], const struct desk *desk, const char *name)
{
    snprintf(out, 128, "%s/%s", desk->folder, name);
}

void desk_write(struct desk *desk, const char *name, const char *mode, const char *text, size_t len)
{
    char path[128];

    desk_path(path, desk, name);
    FILE *f = fopen(path, mode);
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    fclose(f);
}

void desk_append(struct desk *desk, const char *name, const char *text)
{
    desk_write(desk, name, "a", text, strlen(text));
}

void desk_move(struct desk *desk, const char *from, const char *to)
{
    char old[128], new[128];

    desk_path(old, desk, from);
    desk_path(new, desk, to);
    assert_int_equal(rename(old, new), 0);
}

void desk_remove(struct desk *desk, const char *name)
{
    char path[128];

    desk_path(path, desk, name);
    assert_int_equal(unlink(path), 0);
}

void desk_follow(struct desk *desk, const struct gv_position *position, bool from_start)
{
    assert_int_equal(gv_tail_init(&desk->tail, desk->path, position, from_start), GV_OK);
    desk->open = true;
}

struct gv_position desk_leave(struct desk *desk)
{
    struct gv_position position = desk->tail.position;

    gv_tail_close(&desk->tail);
    desk->open = false;
    return position;
}

void desk_expect(struct desk *desk, const char *lines)
{
    for (int i = 0; i < 16; i++) {
        desk->now_ms += 250;
        usleep(4000); /* in a folder where names have just moved nothing is sure */
        while (gv_tail_poll(&desk->tail, desk->now_ms, desk_line, desk))
            ;
    }
    assert_string_equal(desk->got, lines);
    desk->got[0] = '\0';
}

int desk_open(void **state)
{
    struct desk *desk = calloc(1, sizeof *desk);

    strcpy(desk->folder, "/tmp/gv_tail_XXXXXX");
    assert_non_null(mkdtemp(desk->folder));
    snprintf(desk->path, sizeof desk->path, "%s/mail.log", desk->folder);
    *state = desk;
    return 0;
}

int desk_close(void **state)
{
    static const char *const names[] = {"mail.log", "mail.log.1", "mail.log.2", "mail.log.bak",
                                        "other"};
    struct desk *desk = *state;
    char path[128];

    if (desk->open)
        gv_tail_close(&desk->tail);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        desk_path(path, desk, names[i]);
        if (unlink(path) != 0)
            rmdir(path);
    }
    rmdir(desk->folder);
    free(desk);
    return 0;
}
