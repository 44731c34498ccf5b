/* `grapevine transparency`: the log of closer looks, whether it is whole, and the letter to whoever
 * was looked at. Needs no daemon. (SPEC 15.2) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "crypto/error.h"
#include "node/base/log.h"
#include "node/base/options.h"
#include "node/base/transparency.h"
#include "node/cli/command.h"

struct arguments {
    bool before;
    const char *head, *reason;
    uint64_t entry; /* 0: the last */
};

static const struct argp_option options[] = {
    {"head", 'e', "HASH", 0, "verify: an entry's hash that was noted down must still be there", 0},
    {"before", 'b', NULL, 0, "notice: ask leave for a look that is still to come", 0},
    {"reason", 'r', "TEXT", 0, "notice --before: why", 0},
    {"entry", 'n', "N", 0, "notice: of this entry (default: the last)", 0},
    {0},
};

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct arguments *a = state->input;
    char *end = value;

    switch (key) {
    case 'e':
        a->head = value;
        return 0;
    case 'b':
        a->before = true;
        return 0;
    case 'r':
        a->reason = value;
        return 0;
    case 'n':
        a->entry = strtoull(value, &end, 10);
        if (*value < '1' || *value > '9' || *end)
            argp_error(state, "--entry needs a number");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

struct reading {
    struct gv_cli *cli;
    const struct arguments *arguments;
    json_t *list;  /* for --json */
    json_t *found; /* the entry that a notice is about */
    bool head_seen;
    json_t *daemon; /* what the node keeps of it; NULL: it does not run */
    bool kept_seen; /* its last entry, as the node keeps it, is there */
    bool print;
};

/* One that cannot be read is shown as what it is. */
static json_t *entry_of(const struct gv_transparency_chain *chain, enum gv_transparency_said said,
                        const char *text, size_t len)
{
    json_t *json = text ? json_loadb(text, len, 0, NULL) : NULL;

    if (!json_is_object(json)) {
        json_decref(json);
        json = json_object();
    }
    json_object_set_new(json, "line", json_integer((json_int_t)chain->lines));
    json_object_set_new(json, "state",
                        json_string(said == GV_TRANSPARENCY_SOUND    ? "sound"
                                    : said == GV_TRANSPARENCY_BROKEN ? "broken"
                                                                     : "cut"));
    json_object_set_new(json, "hash", text ? json_string(chain->head) : json_null());
    return json;
}

static void print_entry(const json_t *json)
{
    const char *state = gv_cli_text(json, "state");

    if (strcmp(state, "cut") == 0) {
        printf("line %s: cut off while it was written; nothing was shown then\n",
               gv_cli_text(json, "line"));
        return;
    }
    printf("#%s  %s  %s by %s", gv_cli_text(json, "entry"), gv_cli_text(json, "at"),
           gv_cli_text(json, "view"), gv_cli_text(json, "user"));
    if (json_is_string(json_object_get(json, "sudo_user")))
        printf(" (sudo: %s)", gv_cli_text(json, "sudo_user"));
    if (json_is_string(json_object_get(json, "login")))
        printf(" (logged in: %s)", gv_cli_text(json, "login"));
    printf(", back to %s%s\n    %s%s\n", gv_cli_text(json, "since"),
           strcmp(gv_cli_text(json, "output"), "pipe") == 0 ? ", into a pipe or file" : "",
           gv_cli_text(json, "reason"),
           strcmp(state, "broken") == 0 ? "\n    NOT SOUND: it, or what was before it, was changed"
                                        : "");
}

static int take(void *context, const struct gv_transparency_chain *chain,
                enum gv_transparency_said said, const char *text, size_t len)
{
    struct reading *r = context;
    json_t *json = entry_of(chain, said, text, len);

    if (!json)
        return GV_ERR_MEMORY;
    if (r->arguments->head && strcmp(chain->head, r->arguments->head) == 0)
        r->head_seen = true;
    const json_t *kept = json_object_get(r->daemon, "head");
    if (kept && said != GV_TRANSPARENCY_CUT &&
        chain->entries == (uint64_t)gv_cli_number(kept, "entry") &&
        strcmp(chain->head, gv_cli_text(kept, "hash")) == 0)
        r->kept_seen = true;
    if (said == GV_TRANSPARENCY_SOUND &&
        (r->arguments->entry == 0 ||
         (uint64_t)gv_cli_number(json, "entry") == r->arguments->entry)) {
        json_decref(r->found);
        r->found = json_incref(json);
    }
    if (r->print && r->list)
        json_array_append(r->list, json);
    else if (r->print)
        print_entry(json);
    json_decref(json);
    return GV_OK;
}

static int read_log(struct reading *r, struct gv_transparency_chain *chain)
{
    const char *path = r->cli->config_path ? r->cli->config_path : GV_OPTIONS_PATH;
    struct gv_options o;
    struct gv_buf errors;
    struct gv_text error = {""};
    char safe[1024];

    gv_buf_init(&errors);
    int rc = gv_options_load(&o, path, &errors);
    int code = rc == GV_OK ? 0 : gv_options_refused(rc, &errors, "grapevine");
    gv_buf_free(&errors);
    if (code != 0)
        return code;
    rc = gv_transparency_read(o.data, chain, take, r, &error);
    gv_options_free(&o);
    if (rc == GV_OK)
        return 0;
    gv_log_safe(safe, sizeof safe, error.text, strlen(error.text));
    fprintf(stderr, "grapevine: %s\n", *safe ? safe : gv_strerror(rc));
    return rc == GV_ERR_FORBIDDEN ? EX_NOPERM : rc == GV_ERR_MEMORY ? EX_OSERR : EX_IOERR;
}

static int list(struct reading *r)
{
    struct gv_transparency_chain chain;

    r->print = true;
    int rc = read_log(r, &chain);
    if (rc != 0)
        return rc;
    if (r->list)
        gv_cli_print_json(r->list);
    else if (chain.lines == 0)
        puts("nobody has looked closer (grapevine investigate)");
    return 0;
}

/* The daemon's store keeps the last entry; without the daemon nothing is said of the end. */
static void ask_daemon(struct reading *r)
{
    bool quiet = r->cli->quiet;

    r->cli->quiet = true;
    (void)gv_cli_ask_expecting(r->cli, &r->daemon, "transparency", NULL, "not-found");
    r->cli->quiet = quiet;
}

struct verdict {
    bool sound;
    bool head_lost;     /* the hash that was asked for */
    bool end_lost;      /* what the node keeps as its last entry */
    const json_t *lost; /* what it has noticed before; NULL: nothing */
};

static int print_verdict_json(const struct reading *r, const struct gv_transparency_chain *chain,
                              const struct verdict *v)
{
    const json_t *kept = json_object_get(r->daemon, "head");
    json_t *json = json_pack(
        "{s:b, s:I, s:I, s:I, s:s, s:o, s:O?, s:o, s:O?}", "sound", v->sound, "entries",
        (json_int_t)chain->entries, "broken", (json_int_t)chain->broken, "cut",
        (json_int_t)chain->cut, "head", chain->head, "head_found",
        r->arguments->head ? json_boolean(!v->head_lost) : json_null(), "kept", kept, "kept_found",
        json_is_object(kept) ? json_boolean(!v->end_lost) : json_null(), "lost", v->lost);

    if (!json)
        return gv_cli_no_memory();
    gv_cli_print_json(json);
    json_decref(json);
    return v->sound ? 0 : EX_DATAERR;
}

static void print_verdict(const struct reading *r, const struct gv_transparency_chain *chain,
                          const struct verdict *v)
{
    const json_t *kept = json_object_get(r->daemon, "head");

    if (chain->broken > 0)
        printf("CHANGED: line %llu is not what was written, or something before it was\n",
               (unsigned long long)chain->first_broken);
    if (v->head_lost)
        puts("SHORTENED OR WRITTEN ANEW: the entry with that hash is not in it");
    if (v->end_lost)
        printf("SHORTENED OR WRITTEN ANEW: entry %s, which this node has seen, is not in it: %s\n",
               gv_cli_text(kept, "entry"), gv_cli_text(kept, "hash"));
    if (v->lost)
        printf("SHORTENED OR WRITTEN ANEW: entry %s, which this node had seen, was not in it any "
               "more on %s: %s\n",
               gv_cli_text(v->lost, "entry"), gv_cli_text(v->lost, "noticed"),
               gv_cli_text(v->lost, "hash"));
    if (chain->cut > 0)
        printf("line %llu was cut off while it was written; nothing was shown then\n",
               (unsigned long long)chain->first_cut);
    printf("%llu entries%s; the last one's hash: %s\n", (unsigned long long)chain->entries,
           v->sound ? ", each follows from the one before" : "", chain->head);
    if (v->sound && r->daemon)
        puts("None is missing at its end, as far as this node has seen them");
    else if (v->sound && !r->arguments->head)
        puts("The daemon does not answer: whether entries are missing at its end shows against a "
             "hash noted elsewhere, verify --head HASH");
}

static int verify(struct reading *r)
{
    struct gv_transparency_chain chain;

    ask_daemon(r);
    int rc = read_log(r, &chain);
    if (rc != 0)
        return rc;
    const json_t *lost = json_object_get(r->daemon, "lost");
    struct verdict v = {.head_lost = r->arguments->head && !r->head_seen,
                        .end_lost =
                            json_is_object(json_object_get(r->daemon, "head")) && !r->kept_seen,
                        .lost = json_is_object(lost) ? lost : NULL};
    v.sound = chain.broken == 0 && !v.head_lost && !v.end_lost && !v.lost;
    if (r->cli->json)
        return print_verdict_json(r, &chain, &v);
    print_verdict(r, &chain, &v);
    return v.sound ? 0 : EX_DATAERR;
}

/* ---- the letter ----------------------------------------------------------------------------- */

static const char *view_in_words(const char *view)
{
    return strcmp(view, "top-senders") == 0 ? "who sends how much mail, and when"
           : strcmp(view, "queue") == 0
               ? "whose mail waits in the queue, where it is to go and why it waits"
           : strcmp(view, "logins") == 0 ? "from how many networks each account logs in"
                                         : "which accounts that log in are named by one pattern";
}

/* Of what went elsewhere nobody here knows where it is now. */
static const char *what_became_of_it(const char *output)
{
    return strcmp(output, "terminal") == 0
               ? "What was shown was not stored."
               : "What we saw went into another program or a file,\nwhich may have kept it.";
}

static char *letter(const struct arguments *a, const char *account, const json_t *entry)
{
    char *text = NULL, safe[1024];
    size_t len;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        return NULL;
    if (a->before) {
        gv_log_safe(safe, sizeof safe, a->reason ? a->reason : "[say why]",
                    a->reason ? strlen(a->reason) : 9);
        fprintf(
            out,
            "Hello %s,\n\nwe run the mail server that your account is on. We watch its totals, not "
            "you. Something in\nthem is odd: %s.\n\nTo find out what, we would like to look at "
            "what "
            "the server's log says of your account: when it\nsent mail and how much, what of it "
            "waits, "
            "and how many networks it logged in from. We do not open\nmail. What we see is shown "
            "once "
            "and not stored; that we looked, when and why is kept in a log that\ncannot be changed "
            "unnoticed.\n\nMay we? Please answer this letter. You may also tell us what you know, "
            "or "
            "object.\n",
            account, safe);
    } else {
        fprintf(
            out,
            "Hello %s,\n\nwe run the mail server that your account is on. We watch its totals, not "
            "you. As something in\nthem was odd, we looked closer on %s, and your account was in "
            "what "
            "we saw.\n\nWhy:       %s\nWhat:      the server's log: %s\nBack to:   %s\nWho:       "
            "%s%s%s\n\nWe "
            "did not open mail. %s That we looked is entry %s of our\n"
            "transparency log, which cannot be changed unnoticed; its hash is\n%s\n\nYou may ask "
            "us what "
            "we saw, and object (Articles 15 and 21 GDPR).\n",
            account, gv_cli_text(entry, "at"), gv_cli_text(entry, "reason"),
            view_in_words(gv_cli_text(entry, "view")),
            json_is_string(json_object_get(entry, "since")) ? gv_cli_text(entry, "since")
                                                            : "its beginning",
            gv_cli_text(entry, "user"),
            json_is_string(json_object_get(entry, "sudo_user")) ? ", for " : "",
            json_is_string(json_object_get(entry, "sudo_user")) ? gv_cli_text(entry, "sudo_user")
                                                                : "",
            what_became_of_it(gv_cli_text(entry, "output")), gv_cli_text(entry, "entry"),
            gv_cli_text(entry, "hash"));
    }
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static int notice(struct reading *r, const char *account)
{
    const struct arguments *a = r->arguments;
    struct gv_transparency_chain chain;
    char safe[1024];
    int rc = a->before ? 0 : read_log(r, &chain);

    if (rc != 0)
        return rc;
    if (!a->before && !r->found) {
        fputs("grapevine: there is no such entry; --before asks leave for a look to come\n",
              stderr);
        return EX_DATAERR;
    }
    gv_log_safe(safe, sizeof safe, account, strlen(account));
    char *text = letter(a, safe, r->found);
    json_t *json =
        text && r->cli->json
            ? json_pack("{s:s, s:s, s:s}", "to", safe, "subject",
                        a->before ? "May we look closer?" : "We looked closer", "text", text)
            : NULL;
    if (text && r->cli->json && json)
        gv_cli_print_json(json);
    else if (text && !r->cli->json)
        fputs(text, stdout);
    else
        rc = gv_cli_no_memory();
    json_decref(json);
    free(text);
    return rc;
}

int gv_cli_transparency(struct gv_cli *cli, int argc, char **argv)
{
    struct arguments a = {.before = false};
    struct reading r = {.cli = cli, .arguments = &a};
    const char *words[2];
    int rc = EX_USAGE;

    unsigned n = gv_cli_parse(
        cli,
        &(struct gv_cli_spec){
            .options = options,
            .arguments = "list | verify | notice ACCOUNT",
            .doc =
                "list: who looked closer (grapevine investigate), when, at what and why. verify: "
                "whether that log was changed; status 65 if so. notice: the letter to an account's "
                "holder, after a look or, with --before, asking leave; the account's name is "
                "stored "
                "nowhere.",
            .parse = parse,
            .input = &a,
            .least = 1,
            .most = 2},
        argc, argv, words);
    if (cli->json)
        r.list = json_array();
    if (n == 1 && strcmp(words[0], "list") == 0)
        rc = list(&r);
    else if (n == 1 && strcmp(words[0], "verify") == 0)
        rc = verify(&r);
    else if (n == 2 && strcmp(words[0], "notice") == 0)
        rc = notice(&r, words[1]);
    else
        fputs("grapevine: say transparency list, transparency verify or transparency notice "
              "ACCOUNT\n",
              stderr);
    json_decref(r.list);
    json_decref(r.found);
    json_decref(r.daemon);
    return rc;
}
