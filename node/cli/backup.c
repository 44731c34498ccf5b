/* `grapevine backup FILE` and `grapevine restore FILE`: on the data folder itself, so that they
 * need no daemon. A backup may be made while it runs. */
#include "node/base/backup.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "crypto/error.h"
#include "node/base/log.h"
#include "node/base/options.h"
#include "node/base/rfc3339.h"
#include "node/cli/command.h"

/* The data folder of the configuration; free it. */
static int find_folder(const struct gv_cli *cli, char **out)
{
    const char *path = cli->config_path ? cli->config_path : GV_OPTIONS_PATH;
    struct gv_options options;
    struct gv_buf errors;

    *out = NULL;
    gv_buf_init(&errors);
    int rc = gv_options_load(&options, path, &errors);
    int code = rc == GV_OK ? 0 : gv_options_refused(rc, &errors, "grapevine");
    gv_buf_free(&errors);
    if (code != 0)
        return code;
    *out = strdup(options.data);
    gv_options_free(&options);
    return *out ? 0 : gv_cli_no_memory();
}

static int refused(int error, const struct gv_text *why)
{
    char safe[2 * sizeof why->text];

    gv_log_safe(safe, sizeof safe, why->text, strlen(why->text));
    fprintf(stderr, "grapevine: %s\n", *safe ? safe : gv_strerror(error));
    switch (error) {
    case GV_ERR_NOT_FOUND:
        return EX_NOINPUT;
    case GV_ERR_DUPLICATE:
        return EX_CANTCREAT;
    case GV_ERR_RANGE:
        return EX_USAGE;
    case GV_ERR_FORBIDDEN:
        return EX_NOPERM;
    case GV_ERR_BUSY:
        return EX_TEMPFAIL;
    case GV_ERR_IO:
    case GV_ERR_SPACE:
        return EX_IOERR;
    case GV_ERR_MEMORY:
        return EX_OSERR;
    default:
        return EX_DATAERR;
    }
}

int gv_cli_backup(struct gv_cli *cli, int argc, char **argv)
{
    const char *file;
    char *folder;
    struct gv_text why = {""};

    gv_cli_parse(cli,
                 &(struct gv_cli_spec){
                     .arguments = "FILE",
                     .doc = "Writes what this node has stored to a new file (mode 0600) and "
                            "verifies it; the daemon may run. The key that signs is not in it: "
                            "copy the file \"key\" of the data folder too, if this very node is "
                            "to come back after its disk is lost. To be run as root or as the "
                            "daemon's user.",
                     .least = 1,
                     .most = 1},
                 argc, argv, &file);
    int rc = find_folder(cli, &folder);
    if (rc != 0)
        return rc;
    rc = gv_backup_make(folder, file, &why);
    free(folder);
    if (rc != GV_OK)
        return refused(rc, &why);
    if (cli->json) {
        json_t *json = json_pack("{s:b, s:s}", "ok", 1, "file", file);
        gv_cli_print_json(json);
        json_decref(json);
    } else {
        char safe[1024];
        gv_log_safe(safe, sizeof safe, file, strlen(file));
        printf("%s: written and verified\n", safe);
    }
    return 0;
}

static void print_report(const struct gv_cli *cli, const struct gv_backup_report *report)
{
    char id[2 * GV_ID_LEN + 1], made[GV_RFC3339_TEXT];

    gv_hex(id, report->instance, GV_ID_LEN);
    gv_rfc3339(made, report->made_ms);
    if (cli->json) {
        static const char *const logs[] = {"none", "kept", "back", "beside"};
        json_t *json = json_pack("{s:b, s:s, s:s, s:b, s:b, s:I, s:s, s:s}", "ok", 1, "instance",
                                 id, "made", made, "same_node", (int)report->same_node, "new_key",
                                 (int)report->new_key, "rows", (json_int_t)report->rows, "aside",
                                 report->aside, "transparency", logs[report->log]);
        gv_cli_print_json(json);
        json_decref(json);
        return;
    }
    printf("%zu rows of the backup of %s are in place.\n", report->rows, made);
    if (report->aside[0])
        printf("What was stored before is %s.\n", report->aside);
    if (report->log == GV_BACKUP_LOG_BACK)
        puts("The transparency log of the backup is back.");
    if (report->log == GV_BACKUP_LOG_BESIDE)
        printf("The transparency log that is here is another than that of the backup, which is now "
               "%s.\n",
               report->log_aside);
    if (report->same_node)
        printf("This node keeps its key, instance %s; it numbers its signals on a day ahead of the "
               "clock, so that no number is used twice.\n",
               id);
    else
        printf("The backup is of another node. This one %s, instance %s: enrol it with `grapevine "
               "enroll`.\n",
               report->new_key ? "has a new key of its own" : "keeps the key that it has", id);
}

int gv_cli_restore(struct gv_cli *cli, int argc, char **argv)
{
    const char *file;
    char *folder;
    struct gv_backup_report report;
    struct gv_text why = {""};

    gv_cli_parse(cli,
                 &(struct gv_cli_spec){
                     .arguments = "FILE",
                     .doc = "Verifies a backup and puts it in place of what is stored, which is "
                            "set aside. The daemon must be stopped. The key stays; where there is "
                            "none, on another machine, a new one is made: two machines with one "
                            "key would contradict each other. To be run as root or as the "
                            "daemon's user.",
                     .least = 1,
                     .most = 1},
                 argc, argv, &file);
    int rc = find_folder(cli, &folder);
    if (rc != 0)
        return rc;
    rc = gv_backup_restore(&report, folder, file, &why);
    free(folder);
    if (rc != GV_OK)
        return refused(rc, &why);
    print_report(cli, &report);
    return 0;
}
