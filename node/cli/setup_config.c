/* The node's configuration file: what setup changes in it, shown before, and the daemon that then
 * reads it. Only the keys that were asked about are touched. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/base/config_edit.h"
#include "node/base/file.h"
#include "node/base/log.h"
#include "node/cli/run.h"
#include "node/cli/setup.h"

#define UNIT        "grapevine.service"
#define LOOK_AHEAD  64 /* lines within which an old line comes again in the new text */
#define ALLOW_WIDTH 70

/* ---- reading -------------------------------------------------------------------------------- */

static int load(struct gv_options *out, const char *path)
{
    struct gv_buf errors;

    gv_buf_init(&errors);
    int rc = gv_options_load(out, path, &errors);
    int code = rc == GV_OK ? 0 : gv_options_refused(rc, &errors, "grapevine setup");
    gv_buf_free(&errors);
    return code;
}

/* One that is not there yet is like an empty one. */
static int load_empty(struct gv_options *out)
{
    char path[] = "/tmp/grapevine.XXXXXX";
    int fd = mkstemp(path);

    if (fd < 0)
        return gv_cli_no_memory();
    int code = load(out, path);
    close(fd);
    unlink(path);
    return code;
}

static bool may_write(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');

    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + 1 : 1,
             slash ? path : ".");
    return access(folder, W_OK) == 0 && (access(path, W_OK) == 0 || errno == ENOENT);
}

int gv_setup_read_config(struct gv_setup *setup)
{
    static char real[PATH_MAX];
    struct gv_text error = {""};

    setup->path = setup->cli->config_path ? setup->cli->config_path : GV_OPTIONS_PATH;
    if (realpath(setup->path, real))
        setup->path = real; /* a link stays one */
    int rc = gv_file_read(&setup->text, setup->path, GV_CONFIG_FILE_MAX, &error);
    setup->exists = rc == GV_OK;
    if (rc != GV_OK && rc != GV_ERR_NOT_FOUND) {
        fprintf(stderr, "grapevine setup: %s\n", error.text);
        return EX_NOPERM;
    }
    if (!setup->answers.dry_run && !may_write(setup->path)) {
        fprintf(stderr, "grapevine setup: %s cannot be written: %s; run this as root\n",
                setup->path, strerror(errno));
        return EX_NOPERM;
    }
    rc = setup->exists ? load(&setup->options, setup->path) : load_empty(&setup->options);
    setup->loaded = rc == 0;
    gv_buf_append(&setup->next, setup->text.data, setup->text.len);
    return rc;
}

/* ---- what shall be -------------------------------------------------------------------------- */

int gv_setup_edit(struct gv_setup *setup, const char *section, const char *key, const char *value,
                  bool add)
{
    struct gv_buf out;

    gv_buf_init(&out);
    int rc = gv_config_edit(&out, (const char *)setup->next.data, setup->next.len, section, key,
                            value, add);
    if (rc != GV_OK) {
        char safe[256];
        gv_log_safe(safe, sizeof safe, value, strlen(value));
        fprintf(stderr, "grapevine setup: \"%s\" cannot stand in [%s] %s\n", safe, section, key);
        gv_buf_free(&out);
        return rc == GV_ERR_MEMORY ? EX_OSERR : EX_DATAERR;
    }
    gv_buf_free(&setup->next);
    setup->next = out;
    return 0;
}

static int plan_logs(struct gv_setup *setup)
{
    char list[GV_FOUND_LOGS_MAX * 512] = "";
    bool same = setup->log_count == setup->options.logs.count;

    for (size_t i = 0; i < setup->log_count; i++) {
        same = same && strcmp(setup->logs[i], setup->options.logs.items[i]) == 0;
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%.500s", i ? ", " : "",
                 setup->logs[i]);
    }
    return same || setup->log_count == 0 ? 0 : gv_setup_edit(setup, "log", "file", list, false);
}

/* In lines of their own, beside what the admin has written. */
static int plan_allow(struct gv_setup *setup)
{
    char line[ALLOW_WIDTH + GV_OWN_PREFIX_TEXT + 4] = "", one[GV_OWN_PREFIX_TEXT];
    int rc = 0;

    for (size_t i = 0; i < setup->own.count && rc == 0; i++) {
        if (gv_own_host_listed(&setup->own.hosts[i], &setup->options.allow))
            continue;
        gv_own_host_text(one, &setup->own.hosts[i]);
        snprintf(line + strlen(line), sizeof line - strlen(line), "%s%s", *line ? ", " : "", one);
        if (strlen(line) < ALLOW_WIDTH)
            continue;
        rc = gv_setup_edit(setup, "policy", "allow", line, true);
        *line = '\0';
    }
    return rc == 0 && *line ? gv_setup_edit(setup, "policy", "allow", line, true) : rc;
}

static int plan_hooks(struct gv_setup *setup)
{
    int rc = 0;

    if (setup->hooks & GV_HOOK_DOVECOT && setup->options.http_listen.count == 0)
        rc = gv_setup_edit(setup, "http", "listen", "127.0.0.1:4729", false);
    if (rc == 0 && setup->hooks & GV_HOOK_DNS && setup->options.dnsbl_listen.count == 0)
        rc = gv_setup_edit(setup, "dnsbl", "listen", "127.0.0.1:4753", false);
    return rc;
}

int gv_setup_plan_config(struct gv_setup *setup)
{
    static const char *const shares[] = {"no", "preview", "yes"};
    int rc = plan_logs(setup);

    if (rc == 0 && setup->answers.share >= 0 && setup->answers.share != setup->options.share)
        rc = gv_setup_edit(setup, "share", "mode", shares[setup->answers.share], false);
    if (rc == 0 && setup->answers.advertise)
        rc = gv_setup_edit(setup, "node", "advertise", setup->answers.advertise, false);
    if (rc == 0)
        rc = plan_allow(setup);
    return rc == 0 ? plan_hooks(setup) : rc;
}

/* ---- showing it ----------------------------------------------------------------------------- */

struct text {
    const char *at, *end;
};

static size_t line_of(const struct text *text)
{
    const char *newline = memchr(text->at, '\n', (size_t)(text->end - text->at));

    return newline ? (size_t)(newline - text->at) : (size_t)(text->end - text->at);
}

static void skip_line(struct text *text)
{
    text->at += line_of(text);
    text->at += text->at < text->end;
}

static bool same_line(const struct text *a, const struct text *b)
{
    return a->at < a->end && b->at < b->end && line_of(a) == line_of(b) &&
           memcmp(a->at, b->at, line_of(a)) == 0;
}

static void show_line(struct gv_setup *setup, const char *sign, const struct text *text)
{
    char safe[1200];

    gv_log_safe(safe, sizeof safe, text->at, line_of(text));
    gv_setup_say(setup, "  %s %s\n", sign, safe);
}

/* Lines are added and replaced, never moved: what is not there soon is gone. */
static size_t show_difference(struct gv_setup *setup)
{
    struct text old = {(const char *)setup->text.data, NULL}, new = {NULL, NULL};
    size_t changes = 0;

    old.end = old.at ? old.at + setup->text.len : NULL;
    new.at = (const char *)setup->next.data;
    new.end = new.at ? new.at + setup->next.len : NULL;
    while (old.at < old.end || new.at < new.end) {
        struct text ahead = new;
        int steps = 0;

        if (same_line(&old, &new)) {
            skip_line(&old);
            skip_line(&new);
            continue;
        }
        changes++;
        while (old.at < old.end && ahead.at < ahead.end && !same_line(&old, &ahead) &&
               steps++ < LOOK_AHEAD)
            skip_line(&ahead);
        if (old.at < old.end && !same_line(&old, &ahead)) {
            show_line(setup, "-", &old);
            skip_line(&old);
        } else {
            show_line(setup, "+", &new);
            skip_line(&new);
        }
    }
    return changes;
}

int gv_setup_show_changes(struct gv_setup *setup)
{
    gv_setup_heading(setup, "What changes on this host");
    gv_setup_say(setup, "%s:\n", setup->path);
    if (show_difference(setup) == 0)
        gv_setup_say(setup, "  nothing: it says so already\n");
    if (setup->answers.dry_run) {
        gv_setup_say(setup, "\nNothing was changed.\n");
        return 0;
    }
    if (!setup->answers.non_interactive && !gv_setup_ask_yes(setup, "Go on?", true)) {
        gv_setup_say(setup, "Nothing was changed.\n");
        return 0;
    }
    return GV_SETUP_CHANGED;
}

/* ---- writing it ----------------------------------------------------------------------------- */

/* Beside the old one and read as the daemon will read it; then in its place, with the old one's
 * mode and owner. */
static int write_checked(struct gv_setup *setup)
{
    char fresh[PATH_MAX + 8];
    struct gv_text error = {""};
    struct gv_options options;
    struct stat st = {.st_mode = 0644};
    bool old = stat(setup->path, &st) == 0;

    snprintf(fresh, sizeof fresh, "%s.setup", setup->path);
    if (gv_file_write(fresh, setup->next.data, setup->next.len, st.st_mode & 0777, &error) !=
        GV_OK) {
        fprintf(stderr, "grapevine setup: %s\n", error.text);
        return EX_CANTCREAT;
    }
    int rc = load(&options, fresh);
    if (rc == 0)
        gv_options_free(&options);
    if (rc == 0 && old && chown(fresh, st.st_uid, st.st_gid) != 0 && geteuid() == 0)
        rc = EX_CANTCREAT;
    if (rc == 0 && rename(fresh, setup->path) != 0)
        rc = EX_CANTCREAT;
    if (rc == EX_CANTCREAT)
        fprintf(stderr, "grapevine setup: %s: %s\n", setup->path, strerror(errno));
    if (rc != 0)
        unlink(fresh);
    else
        gv_file_sync_folder(setup->path);
    return rc;
}

static int write_config(struct gv_setup *setup)
{
    sigset_t all, before;

    if (setup->text.len == setup->next.len && setup->exists &&
        (setup->next.len == 0 || memcmp(setup->text.data, setup->next.data, setup->next.len) == 0))
        return 0;
    if (setup->next.failed)
        return gv_cli_no_memory();
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before); /* whole, or not at all */
    int rc = write_checked(setup);
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (rc == 0)
        gv_setup_say(setup, "Written: %s\n", setup->path);
    return rc;
}

/* ---- the daemon ----------------------------------------------------------------------------- */

json_t *gv_setup_status(struct gv_setup *setup)
{
    json_t *status = NULL;

    setup->cli->quiet = true;
    if (gv_cli_ask(setup->cli, &status, "status", NULL) != 0)
        status = NULL;
    setup->cli->quiet = false;
    return status;
}

static bool is_up(struct gv_setup *setup)
{
    json_t *status = gv_setup_status(setup);

    json_decref(status);
    return status != NULL;
}

/* The unit reads the usual file; a daemon with another is the admin's own to start. */
static bool has_unit(const struct gv_setup *setup)
{
    static const char *const argv[] = {"systemctl", "show", "--value", "-p",
                                       "LoadState", UNIT,   NULL};
    struct gv_buf said;

    if (strcmp(setup->path, GV_OPTIONS_PATH) != 0 || access("/run/systemd/system", F_OK) != 0)
        return false;
    gv_buf_init(&said);
    bool loaded =
        gv_cli_run(&said, 256, argv) == 0 && said.len >= 6 && memcmp(said.data, "loaded", 6) == 0;
    gv_buf_free(&said);
    return loaded;
}

static int by_systemd(struct gv_setup *setup, const char *verb)
{
    gv_setup_say(setup, "systemctl %s " UNIT "\n", verb);
    fflush(setup->out);
    if (gv_cli_run_shown((const char *const[]){"systemctl", verb, UNIT, NULL}) == 0 &&
        gv_setup_wait(setup, is_up))
        return 0;
    fprintf(stderr, "grapevine setup: it does not run; `journalctl -u grapevine -n 20` says why. "
                    "Then run `grapevine setup` again\n");
    return EX_UNAVAILABLE;
}

static int start_daemon(struct gv_setup *setup)
{
    char safe[PATH_MAX];

    if (has_unit(setup)) {
        (void)gv_cli_run_shown((const char *const[]){"systemctl", "--quiet", "enable", UNIT, NULL});
        return by_systemd(setup, "start");
    }
    gv_log_safe(safe, sizeof safe, setup->path, strlen(setup->path));
    gv_setup_say(setup,
                 "The daemon does not run. Start it, in another terminal or as a service "
                 "of your system:\n\n    grapevined --config %s\n\nWaiting for it ...\n",
                 safe);
    fflush(setup->out);
    if (gv_setup_wait(setup, is_up))
        return 0;
    fprintf(stderr,
            "grapevine setup: it was not there within %u s; run `grapevine setup` again "
            "when it is\n",
            setup->answers.wait_s);
    return EX_UNAVAILABLE;
}

/* Whether what was changed takes effect only at the next start. */
static bool needs_restart(struct gv_setup *setup)
{
    struct gv_options next;

    if (load(&next, setup->path) != 0)
        return false;
    bool needs = gv_options_fixed_change(&setup->options, &next) != NULL;
    gv_options_free(&next);
    return needs;
}

static int take_up(struct gv_setup *setup)
{
    json_t *answer, *body;

    if (!setup->status)
        return start_daemon(setup);
    if (needs_restart(setup)) {
        if (has_unit(setup))
            return by_systemd(setup, "restart");
        gv_setup_say(setup, "Restart grapevined when this is over: where it listens changes only "
                            "then.\n");
    }
    if (!(body = json_object()))
        return gv_cli_no_memory();
    int rc = gv_cli_ask(setup->cli, &answer, "reload", body);
    json_decref(body);
    if (rc == 0)
        json_decref(answer);
    return rc;
}

int gv_setup_apply(struct gv_setup *setup)
{
    int rc = write_config(setup);

    setup->applied = setup->applied || rc == 0;
    return rc == 0 ? take_up(setup) : rc;
}
