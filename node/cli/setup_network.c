/* The network: which, what one agrees to, and the way in. Descriptor and terms are read by this
 * command itself, so that the daemon hears of a network only when the admin has agreed. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>

#include "crypto/error.h"
#include "node/base/fetch.h"
#include "node/base/file.h"
#include "node/base/log.h"
#include "node/cli/setup.h"

#define TERMS_MAX  (64u << 10)
#define CODE_TRIES 5

/* ---- which ---------------------------------------------------------------------------------- */

static int open_descriptor(struct gv_setup *setup, const char *from, const uint8_t *wire,
                           size_t len)
{
    int rc = gv_descriptor_open(&setup->descriptor, NULL, wire, len);
    char safe[512];

    gv_log_safe(safe, sizeof safe, from, strlen(from));
    setup->known = rc == GV_OK && gv_config_url_valid(setup->descriptor.registry_url);
    if (setup->known)
        return 0;
    fprintf(stderr, "grapevine setup: %s: not a usable network descriptor: %s\n", safe,
            rc == GV_OK ? "it names no registry that can be asked" : gv_strerror(rc));
    return EX_DATAERR;
}

static int read_file(struct gv_setup *setup, const char *path)
{
    struct gv_text error = {""};
    struct gv_buf wire;
    int code = EX_NOINPUT;

    gv_buf_init(&wire);
    if (gv_file_read(&wire, path, GV_DESCRIPTOR_MAX, &error) == GV_OK)
        code = open_descriptor(setup, path, wire.data, wire.len);
    else
        fprintf(stderr, "grapevine setup: %s\n", error.text);
    gv_buf_free(&wire);
    return code;
}

static int fetch(struct gv_setup *setup, struct gv_fetch_result *result, const char *base,
                 const char *path, size_t max)
{
    char url[GV_HOST_MAX + 32], safe[512];
    size_t len = strlen(base);

    while (len && base[len - 1] == '/')
        len--;
    snprintf(url, sizeof url, "%.*s%s", (int)len, base, path);
    struct gv_fetch_request request = {
        .url = url,
        .bind_address = setup->options.bind_text[0] ? setup->options.bind_text : NULL,
        .ca_file = setup->options.registry_ca && *setup->options.registry_ca
                       ? setup->options.registry_ca
                       : NULL,
        .total_ms = 20000,
        .response_max = max};
    int rc = gv_fetch_blocking(result, &request);
    if (rc == GV_OK && result->status == 200)
        return 0;
    gv_log_safe(safe, sizeof safe, result->text.text, strlen(result->text.text));
    if (rc == GV_OK)
        fprintf(stderr,
                "grapevine setup: %s: answered with status %u; is it the registry's "
                "address?\n",
                url, result->status);
    else
        fprintf(stderr,
                "grapevine setup: %s; is it the registry's address, and does this host reach it?\n",
                *safe ? safe : gv_strerror(rc)); /* it begins with the address */
    return EX_UNAVAILABLE;
}

static int ask_registry(struct gv_setup *setup, const char *address)
{
    struct gv_fetch_result result = {0};

    if (strlen(address) > GV_HOST_MAX || !gv_config_url_valid(address)) {
        fprintf(stderr, "grapevine setup: write the registry's address as https://HOST, or the "
                        "path of a descriptor file\n");
        return EX_USAGE;
    }
    int code = fetch(setup, &result, address, "/v1/network", GV_DESCRIPTOR_MAX);
    if (code == 0)
        code = open_descriptor(setup, address, result.body, result.len);
    gv_fetch_result_free(&result);
    return code;
}

static bool same_address(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b);

    while (a_len && a[a_len - 1] == '/')
        a_len--;
    while (b_len && b[b_len - 1] == '/')
        b_len--;
    return a_len == b_len && strncasecmp(a, b, a_len) == 0;
}

/* Is the network that was asked for the one that the node is in? Another address may be of the same
 * one: what counts is its id. */
static int check_wanted(struct gv_setup *setup)
{
    const struct gv_setup_answers *answers = &setup->answers;
    struct gv_descriptor *joined = malloc(sizeof *joined);
    char id[2 * GV_KEY_LEN + 1], safe[512], wanted[512];
    int rc = EX_USAGE;

    if (!joined)
        return gv_cli_no_memory();
    *joined = setup->descriptor;
    if ((!answers->registry && !answers->descriptor) ||
        (answers->registry && same_address(answers->registry, joined->registry_url))) {
        rc = 0;
        goto out;
    }
    int code = answers->descriptor ? read_file(setup, answers->descriptor)
                                   : ask_registry(setup, answers->registry);
    if (code == 0 && memcmp(setup->descriptor.network_id, joined->network_id, GV_KEY_LEN) == 0) {
        rc = 0;
        goto out;
    }
    gv_hex(id, joined->network_id, GV_KEY_LEN);
    gv_log_safe(safe, sizeof safe, joined->registry_url, strlen(joined->registry_url));
    const char *given = answers->descriptor ? answers->descriptor : answers->registry;
    gv_log_safe(wanted, sizeof wanted, given, strlen(given));
    fprintf(stderr,
            "grapevine setup: this node is in the network \"%s\" of %s (id %s); %s is %s. A node "
            "is in one "
            "network: another one takes another data folder ([node] data)\n",
            joined->name, safe, id, wanted,
            code == 0 ? "of another network" : "not known to be the same");
out:
    setup->descriptor = *joined;
    setup->known = true;
    free(joined);
    return rc;
}

/* The daemon is in one already. */
static int take_joined(struct gv_setup *setup)
{
    json_t *network;
    int rc = gv_cli_ask(setup->cli, &network, "network", NULL);

    if (rc != 0)
        return rc;
    const char *registry = json_string_value(json_object_get(network, "registry"));
    const char *terms = json_string_value(json_object_get(network, "terms"));
    struct gv_descriptor *d = &setup->descriptor;
    snprintf(d->name, sizeof d->name, "%.63s", gv_cli_text(network, "name"));
    snprintf(d->registry_url, sizeof d->registry_url, "%.255s", registry ? registry : "");
    snprintf(d->terms, sizeof d->terms, "%.31s", terms ? terms : "");
    d->lab = gv_cli_true(network, "lab");
    (void)gv_unhex(d->network_id, sizeof d->network_id, gv_cli_text(network, "id"));
    json_decref(network);
    setup->known = setup->joined = true;
    setup->enrolled = gv_cli_true(setup->status, "enrolled");
    gv_setup_say(setup, "This node is in the network \"%s\" already%s.\n", d->name,
                 setup->enrolled ? ", and enrolled" : "; it is not enrolled yet");
    return check_wanted(setup);
}

static int take_answer(struct gv_setup *setup, const char *answer)
{
    bool address = strncmp(answer, "http://", 7) == 0 || strncmp(answer, "https://", 8) == 0;

    return address ? ask_registry(setup, answer) : read_file(setup, answer);
}

static void show_network(struct gv_setup *setup)
{
    const struct gv_descriptor *d = &setup->descriptor;
    char id[2 * GV_KEY_LEN + 1], safe[1024];

    gv_hex(id, d->network_id, GV_KEY_LEN);
    gv_log_safe(safe, sizeof safe, d->registry_url, strlen(d->registry_url));
    gv_setup_say(setup, "  network   %s%s\n  id        %s\n  registry  %s\n", d->name,
                 d->lab ? " (a lab, for tests)" : "", id, safe);
}

int gv_setup_choose_network(struct gv_setup *setup)
{
    const char *given =
        setup->answers.descriptor ? setup->answers.descriptor : setup->answers.registry;
    const char *configured =
        setup->options.registry && *setup->options.registry ? setup->options.registry : NULL;
    char answer[PATH_MAX];
    int rc = 0;

    gv_setup_heading(setup, "The network");
    if (setup->status && json_is_object(gv_cli_member(setup->status, "network")))
        return take_joined(setup);
    if (!given && setup->answers.non_interactive && !(given = configured))
        return gv_setup_missing("--registry URL or --descriptor FILE");
    if (given)
        rc = setup->answers.descriptor ? read_file(setup, given) : ask_registry(setup, given);
    while (!given && !setup->known) {
        gv_setup_ask(setup, answer, sizeof answer,
                     "Which one do you join? The address of its registry (https://...), or a "
                     "descriptor file:",
                     configured);
        (void)take_answer(setup, answer); /* it says what is wrong, and is asked again */
    }
    if (rc == 0)
        show_network(setup);
    return rc;
}

/* ---- what one agrees to --------------------------------------------------------------------- */

static int show_terms(struct gv_setup *setup)
{
    struct gv_fetch_result result = {0};
    int rc = fetch(setup, &result, setup->descriptor.registry_url, "/v1/terms", TERMS_MAX);

    if (rc == 0) {
        gv_setup_heading(setup, "Terms");
        gv_cli_print_foreign(setup->out, (const char *)result.body);
    }
    gv_fetch_result_free(&result);
    return rc;
}

static void show_consequences(struct gv_setup *setup)
{
    const struct gv_descriptor *d = &setup->descriptor;
    json_t *network = json_pack("{s:s, s:b, s:s, s:s}", "name", d->name, "lab", (int)d->lab,
                                "registry", d->registry_url, "terms", d->terms);

    gv_setup_say(setup, "\n");
    gv_cli_print_consequences(setup->out, network);
    json_decref(network);
}

static void ask_share(struct gv_setup *setup)
{
    static const char *const words[] = {"no", "preview", "yes"};
    char answer[32];

    while (setup->answers.share < 0) {
        gv_setup_ask(setup, answer, sizeof answer,
                     "Send this host's signals: yes, preview (only show them here), or no?",
                     words[setup->options.share]);
        for (int i = 0; i < 3; i++)
            if (strcmp(answer, words[i]) == 0)
                setup->answers.share = i;
    }
}

static void show_notice(struct gv_setup *setup)
{
    struct gv_options shown = setup->options; /* borrowed: only read */

    if (setup->answers.share >= 0)
        shown.share = setup->answers.share;
    gv_setup_heading(setup, "For your own privacy policy (`grapevine privacy notice` prints it)");
    gv_cli_print_notice(setup->out, &shown);
}

static int ask_consent(struct gv_setup *setup)
{
    if (setup->answers.accept)
        return 0;
    if (setup->answers.non_interactive)
        return gv_setup_missing("--accept-terms");
    if (gv_setup_ask_yes(setup, "Do you accept the terms?", false))
        return 0;
    gv_setup_say(setup, "Nothing was changed.\n");
    return EX_USAGE;
}

int gv_setup_consent(struct gv_setup *setup)
{
    const char *given = setup->answers.email;

    if (setup->enrolled) {
        return 0;
    } else if (!setup->answers.code) {
        int rc = show_terms(setup);
        if (rc != 0)
            return rc;
        show_consequences(setup);
    }
    if (!setup->answers.non_interactive)
        ask_share(setup);
    show_notice(setup);
    int rc = setup->answers.code ? 0 : ask_consent(setup);
    if (rc != 0 || setup->answers.code)
        return rc;
    if (!given && setup->answers.non_interactive)
        return gv_setup_missing("--email ADDRESS");
    if (given)
        snprintf(setup->email, sizeof setup->email, "%s", given);
    while (!strchr(setup->email, '@')) {
        if (given) {
            fprintf(stderr, "grapevine setup: --email: that is no email address\n");
            return EX_USAGE;
        }
        gv_setup_ask(setup, setup->email, sizeof setup->email,
                     "Your email address, for the registry alone:", NULL);
    }
    return 0;
}

/* ---- in ------------------------------------------------------------------------------------- */

static int post(struct gv_setup *setup, const char *path, json_t *body)
{
    json_t *answer = NULL;

    if (!body)
        return gv_cli_no_memory();
    int rc = gv_cli_ask(setup->cli, &answer, path, body);
    json_decref(body);
    json_decref(answer);
    return rc;
}

static int join(struct gv_setup *setup)
{
    char id[2 * GV_KEY_LEN + 1];

    if (setup->joined)
        return 0;
    gv_hex(id, setup->descriptor.network_id, GV_KEY_LEN);
    return post(setup, "network",
                json_pack("{s:s, s:s}", "registry", setup->descriptor.registry_url, "id", id));
}

static int hand_in(struct gv_setup *setup, const char *code)
{
    int rc = post(setup, "confirm", json_pack("{s:s}", "code", code));

    setup->enrolled = rc == 0;
    if (rc == 0)
        gv_setup_say(setup, "This node is enrolled.\n");
    return rc;
}

/* Whoever presses the button behind the mail's link needs no code: the node comes for its
 * certificate by itself. */
static bool is_enrolled(struct gv_setup *setup)
{
    json_t *status = gv_setup_status(setup);

    setup->enrolled = gv_cli_true(status, "enrolled");
    json_decref(status);
    return setup->enrolled;
}

static int ask_for_code(struct gv_setup *setup)
{
    char code[64];
    int rc = EX_TEMPFAIL;

    for (int i = 0; i < CODE_TRIES && rc != 0; i++) {
        gv_setup_ask(setup, code, sizeof code,
                     "The code from the mail (empty: you used its link, or it comes later):", "");
        if (*code) {
            rc = hand_in(setup, code);
        } else if (gv_setup_wait(setup, is_enrolled)) {
            gv_setup_say(setup, "This node is enrolled.\n");
            rc = 0;
        } else {
            gv_setup_say(setup, "Not yet. Hand it in with `grapevine confirm CODE`, or run this "
                                "again.\n");
            return EX_TEMPFAIL;
        }
    }
    return rc;
}

/* A network may admit the invited only; that shows when it is asked. */
static int ask_code_by_mail(struct gv_setup *setup)
{
    char invitation[64] = "";
    json_t *answer = NULL;

    if (setup->answers.invitation)
        snprintf(invitation, sizeof invitation, "%s", setup->answers.invitation);
    for (;;) {
        json_t *body = json_pack("{s:s, s:s, s:s}", "email", setup->email, "terms",
                                 setup->descriptor.terms, "invitation", invitation);
        if (!body)
            return gv_cli_no_memory();
        int rc = gv_cli_ask_expecting(setup->cli, &answer, "enroll", body,
                                      *invitation ? NULL : "invitation");
        json_decref(body);
        json_decref(answer);
        if (rc != -1)
            return rc;
        if (setup->answers.non_interactive)
            return gv_setup_missing("--invitation CODE (this network admits the invited only)");
        gv_setup_ask(setup, invitation, sizeof invitation,
                     "This network admits the invited only. Your invitation:", NULL);
    }
}

int gv_setup_enroll(struct gv_setup *setup)
{
    char safe[512];

    if (setup->enrolled)
        return 0;
    gv_setup_heading(setup, "Enrolment");
    int rc = join(setup);
    if (rc == 0 && setup->answers.code)
        return hand_in(setup, setup->answers.code);
    if (rc == 0)
        rc = ask_code_by_mail(setup);
    if (rc != 0)
        return rc;
    gv_log_safe(safe, sizeof safe, setup->email, strlen(setup->email));
    gv_setup_say(setup, "A code is on its way to %s.\n", safe);
    if (!setup->answers.non_interactive)
        return ask_for_code(setup);
    gv_setup_say(setup, "Hand it in with `grapevine confirm CODE`, or run this again with --code "
                        "CODE.\n");
    return 0;
}

/* ---- the first peers ------------------------------------------------------------------------ */

static bool has_peers(struct gv_setup *setup)
{
    json_t *status = gv_setup_status(setup);
    int64_t peers = gv_cli_number(status, "mesh.peers");

    if (status)
        json_object_set_new(setup->result, "peers", json_integer(peers));
    json_decref(status);
    return peers > 0;
}

int gv_setup_first_peers(struct gv_setup *setup)
{
    char command[] = "peers", *argv[] = {command, NULL};

    if (!setup->enrolled)
        return 0;
    gv_setup_heading(setup, "The first peers");
    fflush(setup->out);
    if (!gv_setup_wait(setup, has_peers)) {
        gv_setup_say(setup, "Nobody yet. A network's first node is alone for a while; otherwise "
                            "`grapevine doctor` says what may be wrong.\n");
        return 0;
    }
    return setup->cli->json ? 0 : gv_cli_peers(setup->cli, 1, argv);
}
