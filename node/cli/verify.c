/* `grapevine verify FILE`: makes a verdict again from its evidence. Asks nobody. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "crypto/error.h"
#include "node/base/evidence.h"
#include "node/base/file.h"
#include "node/base/log.h"
#include "node/base/rfc3339.h"
#include "node/cli/command.h"

struct wanted {
    uint8_t network[GV_KEY_LEN];
    bool any; /* any network will do */
};

static error_t take(int key, char *arg, struct argp_state *state)
{
    struct wanted *wanted = state->input;

    if (key != 'n')
        return ARGP_ERR_UNKNOWN;
    wanted->any = false;
    if (gv_unhex(wanted->network, GV_KEY_LEN, arg) != GV_OK)
        argp_error(state,
                   "--network %s: must be a network's id, 64 hex digits (`grapevine "
                   "network` shows it)",
                   arg);
    return 0;
}

static void minute_text(char out[GV_RFC3339_TEXT], uint32_t minute)
{
    gv_rfc3339(out, 60000ull * minute);
}

static int say(const struct gv_cli *cli, const struct gv_evidence_file *file,
               const struct gv_verdict *verdict, const struct gv_descriptor *descriptor)
{
    char subject[GV_SUBJECT_TEXT], at[GV_RFC3339_TEXT], id[2 * GV_KEY_LEN + 1];

    gv_subject_text(subject, &file->evidence.subject);
    minute_text(at, file->evidence.minute);
    gv_hex(id, descriptor->network_id, GV_KEY_LEN);
    if (cli->json) {
        json_t *json = json_pack(
            "{s:b, s:s, s:s, s:I, s:I, s:I, s:s, s:s, s:s}", "confirmed", 1, "subject", subject,
            "verdict", gv_verdict_state_name(verdict->state), "weight", (json_int_t)verdict->weight,
            "records", (json_int_t)file->evidence.count, "left_out", (json_int_t)file->left_out,
            "time", at, "network", descriptor->name, "network_id", id);
        gv_cli_print_json(json);
        json_decref(json);
        return 0;
    }
    gv_cli_print_heading(cli, subject);
    gv_cli_print_pair("verdict", "%s (weight %u, %u needed), as the evidence says",
                      gv_verdict_state_name(verdict->state), verdict->weight,
                      descriptor->policy.untrusted_weight);
    gv_cli_print_pair("as of", "%s", at);
    gv_cli_print_pair("made of", "%zu signed records, %u votes", file->evidence.count,
                      verdict->vote_count);
    if (file->left_out > 0)
        gv_cli_print_pair("left out", "%u words of other reporters, for whom it had no room",
                          file->left_out);
    gv_cli_print_pair("network", "%s", descriptor->name);
    gv_cli_print_pair("", "%s", id);
    return 0;
}

/* path: NULL where `why` begins with it. */
static int refuse(const struct gv_cli *cli, const char *path, const struct gv_text *why)
{
    char safe[2 * sizeof why->text];

    gv_log_safe(safe, sizeof safe, why->text, strlen(why->text));
    if (cli->json) {
        json_t *json = json_pack("{s:b, s:s}", "confirmed", 0, "why", safe);
        gv_cli_print_json(json);
        json_decref(json);
    }
    fprintf(stderr, "grapevine: %s%s%s\n", path ? path : "", path ? ": " : "", safe);
    return 1;
}

static int verify(const struct gv_cli *cli, const char *path, const struct wanted *wanted,
                  const struct gv_buf *data)
{
    struct gv_evidence_file file;
    struct gv_verdict verdict;
    struct gv_descriptor *descriptor = malloc(sizeof *descriptor);
    struct gv_text why = {""};

    if (!descriptor)
        return gv_cli_no_memory();
    int rc = gv_evidence_open(&file, data->data, data->len, &why);
    if (rc == GV_OK) {
        rc = gv_evidence_verify(&verdict, descriptor, &file, &why);
        if (rc == GV_OK && !wanted->any &&
            memcmp(wanted->network, descriptor->network_id, GV_KEY_LEN) != 0)
            rc = gv_fail(&why, GV_ERR_NETWORK, "it is of another network: %s", descriptor->name);
        rc = rc == GV_OK ? say(cli, &file, &verdict, descriptor) : refuse(cli, path, &why);
        gv_evidence_close(&file);
    } else {
        rc = refuse(cli, path, &why);
    }
    free(descriptor);
    return rc;
}

int gv_cli_verify(struct gv_cli *cli, int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"network", 'n', "ID", 0, "It must be of this network, and of no other that somebody made",
         0},
        {0}};
    struct wanted wanted = {.any = true};
    struct gv_text why = {""};
    struct gv_buf data;
    const char *path;

    gv_cli_parse(cli,
                 &(struct gv_cli_spec){
                     .options = options,
                     .arguments = "FILE",
                     .doc = "Makes a verdict again from the evidence that `grapevine ip ADDR "
                            "--evidence FILE` wrote, on any machine, without asking anybody. Every "
                            "signature is checked. The exit status is 0 when the verdict is the "
                            "very same, 1 when it is not or a record is not valid. That nothing "
                            "was left out it cannot tell.",
                     .parse = take,
                     .input = &wanted,
                     .least = 1,
                     .most = 1},
                 argc, argv, &path);
    gv_buf_init(&data);
    int rc = gv_file_read(&data, path, GV_EVIDENCE_FILE_MAX, &why);
    if (rc == GV_OK) {
        rc = verify(cli, path, &wanted, &data);
    } else {
        (void)refuse(cli, NULL, &why);
        rc = EX_NOINPUT;
    }
    gv_buf_free(&data);
    return rc;
}
