/* `grapevine import FILE...`: who logged in, from old logs. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "node/cli/command.h"
#include "node/ingest/import.h"

static int print_result(struct gv_cli *cli, const json_t *import)
{
    const json_t *damaged = json_object_get(import, "damaged");

    if (cli->json) {
        gv_cli_print_json(import);
    } else {
        printf("%lld logins of %lld lines in %lld files: clean history counts them from now on\n",
               (long long)gv_cli_number(import, "logins"),
               (long long)gv_cli_number(import, "lines"),
               (long long)gv_cli_number(import, "files"));
    }
    for (size_t i = 0; i < json_array_size(damaged); i++)
        fprintf(stderr, "grapevine import: %s: %s; what could be read was\n",
                gv_cli_text(json_array_get(damaged, i), "file"),
                gv_cli_text(json_array_get(damaged, i), "error"));
    return json_array_size(damaged) > 0 ? EX_DATAERR : EX_OK;
}

static int wait_for_it(struct gv_cli *cli)
{
    json_t *status;

    for (;;) {
        int rc = gv_cli_ask(cli, &status, "status", NULL);
        if (rc != 0)
            return rc;
        const json_t *import = json_object_get(status, "import");
        if (strcmp(gv_cli_text(import, "state"), "reading") != 0) {
            rc = print_result(cli, import);
            json_decref(status);
            return rc;
        }
        json_decref(status);
        usleep(100000);
    }
}

int gv_cli_import(struct gv_cli *cli, int argc, char **argv)
{
    const char *files[GV_IMPORT_FILES_MAX];
    char path[PATH_MAX];
    json_t *answer, *list = json_array();

    unsigned count = gv_cli_parse(
        cli,
        &(struct gv_cli_spec){
            .arguments = "FILE...",
            .doc =
                "Lets the daemon read old logs, plain or .gz, in the order of their time, or the "
                "journal (journal, or journal:FOLDER): who "
                "logged in from where during the last 30 days, so that clean history is known "
                "from the first day. Failures of the past count nothing. Reading a file twice "
                "changes nothing. The daemon's user must be able to read the files.",
            .least = 1,
            .most = GV_IMPORT_FILES_MAX},
        argc, argv, files);
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(files[i], "journal") == 0 || strncmp(files[i], "journal:", 8) == 0) {
            snprintf(path, sizeof path, "%s", files[i]);
        } else if (!realpath(files[i], path)) {
            fprintf(stderr, "grapevine import: %s: %s\n", files[i], strerror(errno));
            json_decref(list);
            return EX_NOINPUT;
        }
        json_array_append_new(list, json_string(path));
    }
    json_t *body = json_pack("{s:o}", "files", list);
    int rc = gv_cli_ask(cli, &answer, "import", body);
    json_decref(body);
    if (rc != 0)
        return rc;
    json_decref(answer);
    return wait_for_it(cli);
}
