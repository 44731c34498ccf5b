/* `grapevine doctor`: what is wrong here, and what to do about it. */
#include "node/cli/doctor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sysexits.h>
#include <time.h>

#include "crypto/error.h"
#include "node/cli/command.h"

/* ---- what the host shows -------------------------------------------------------------------- */

static void look_at_folder(struct gv_doctor_host *host, const char *folder)
{
    char path[4096];
    struct stat at, key;

    host->folder_mode = host->key_mode = host->key_foreign = GV_DOCTOR_UNKNOWN;
    if (stat(folder, &at) != 0)
        return;
    host->folder_mode = (int)(at.st_mode & 07777);
    snprintf(path, sizeof path, "%s/key", folder);
    if (stat(path, &key) != 0)
        return;
    host->key_mode = (int)(key.st_mode & 07777);
    host->key_foreign = key.st_uid != at.st_uid;
}

static void look_at_host(struct gv_doctor_host *host, const char *folder)
{
    struct timex clock = {.modes = 0};
    struct statvfs disk;
    int state = adjtimex(&clock);

    *host = (struct gv_doctor_host){.now_unix = time(NULL),
                                    .disk_free = GV_DOCTOR_UNKNOWN,
                                    .clock_synchronised = GV_DOCTOR_UNKNOWN};
    look_at_folder(host, folder);
    if (statvfs(folder, &disk) == 0)
        host->disk_free = (int64_t)((uint64_t)disk.f_bavail * disk.f_frsize);
    if (state >= 0)
        host->clock_synchronised = state != TIME_ERROR && !(clock.status & STA_UNSYNC);
}

static bool is_in(const json_t *list, const struct gv_own_host *host)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        struct gv_config_address one;
        struct gv_config_addresses as_list = {1, &one};
        if (text && gv_config_address_parse(&one, text) == GV_OK &&
            gv_own_host_listed(host, &as_list))
            return true;
    }
    return false;
}

/* Of what this host's configuration knows, what neither the node's configuration nor its admin's
 * command has allowed. */
static void find_unlisted(struct gv_cli *cli, struct gv_own_hosts *own,
                          const struct gv_options *options)
{
    json_t *lists = NULL;
    size_t kept = 0;

    if (gv_cli_ask(cli, &lists, "lists", NULL) != 0)
        lists = NULL;
    gv_own_hosts_find(own, "");
    for (size_t i = 0; i < own->count; i++)
        if (!gv_own_host_listed(&own->hosts[i], &options->allow) &&
            !is_in(json_object_get(lists, "allow"), &own->hosts[i]) &&
            !is_in(gv_cli_member(lists, "configured.allow"), &own->hosts[i]))
            own->hosts[kept++] = own->hosts[i];
    own->count = kept;
    json_decref(lists);
}

/* The first setting whose value is another in the daemon than in the file as it is now, and the
 * first that the daemon has read and that takes effect when it starts the next time. */
static void find_stale(struct gv_cli *cli, struct gv_doctor_host *host,
                       const struct gv_options *options, const char *path)
{
    json_t *running = NULL, *now = gv_options_json(options, NULL, path), *setting;
    size_t i;

    if (gv_cli_ask(cli, &running, "settings", NULL) != 0)
        running = NULL;
    const json_t *there = json_object_get(running, "settings");
    json_array_foreach(json_object_get(now, "settings"), i, setting)
    {
        const json_t *other = json_array_get(there, i);
        const json_t *was = json_object_get(other, "value");
        const json_t *is = json_object_get(setting, "value");
        if (!other || strcmp(gv_cli_text(other, "key"), gv_cli_text(setting, "key")) != 0)
            break; /* a daemon of another version */
        if (!host->stale[0] && !json_equal(was, is))
            snprintf(host->stale, sizeof host->stale, "[%s] %s", gv_cli_text(setting, "section"),
                     gv_cli_text(setting, "key"));
    }
    if (json_is_string(json_object_get(running, "restart")))
        snprintf(host->restart, sizeof host->restart, "%s", gv_cli_text(running, "restart"));
    json_decref(running);
    json_decref(now);
}

static void print_findings(const struct gv_cli *cli, const json_t *findings)
{
    size_t i;
    json_t *finding;

    json_array_foreach(findings, i, finding)
    {
        const char *level = gv_cli_text(finding, "level");
        gv_cli_print_word(cli, level);
        printf("%*s %-12s %s\n", (int)(7 - strlen(level)), "", gv_cli_text(finding, "check"),
               gv_cli_text(finding, "found"));
        if (json_is_string(gv_cli_member(finding, "advice")))
            printf("%20s -> %s\n", "", gv_cli_text(finding, "advice"));
    }
}

static int print_result(const struct gv_cli *cli, json_t *findings, int worst)
{
    if (worst < 0)
        return gv_cli_no_memory();
    if (cli->json) {
        json_t *all =
            json_pack("{s:s, s:O}", "worst", gv_finding_names[worst], "findings", findings);
        if (!all)
            return gv_cli_no_memory();
        gv_cli_print_json(all);
        json_decref(all);
    } else {
        print_findings(cli, findings);
    }
    return worst == GV_FINDING_FAILURE ? EXIT_FAILURE : 0;
}

int gv_cli_doctor(struct gv_cli *cli, int argc, char **argv)
{
    const struct gv_cli_spec spec = {
        .doc = "Looks whether this node can do its work, and says what to do where it cannot. The "
               "exit status is 1 when something fails; what is only a warning or a note is 0."};
    const char *path = cli->config_path ? cli->config_path : GV_OPTIONS_PATH;
    struct gv_doctor_host host;
    struct gv_options options;
    struct gv_buf errors;
    json_t *status = NULL;

    gv_cli_parse(cli, &spec, argc, argv, NULL);
    gv_buf_init(&errors);
    int rc = gv_options_load(&options, path, &errors);
    int code = rc == GV_OK ? 0 : gv_options_refused(rc, &errors, "grapevine");
    gv_buf_free(&errors);
    if (code != 0)
        return code; /* the lines say what to do */
    look_at_host(&host, options.data);
    code = gv_cli_ask(cli, &status, "status", NULL);
    struct gv_own_hosts *own = status ? calloc(1, sizeof *own) : NULL;
    if (own)
        find_unlisted(cli, own, &options);
    if (status)
        find_stale(cli, &host, &options, path);
    host.unlisted = own;
    json_t *findings = json_array();
    if (code == EX_NOPERM) /* said; a daemon that may not be asked is not judged */
        rc = code;
    else
        rc = print_result(cli, findings,
                          findings ? gv_doctor_judge(findings, &options, &host, status) : -1);
    free(own);
    json_decref(findings);
    json_decref(status);
    gv_options_free(&options);
    return rc;
}
