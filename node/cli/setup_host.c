/* What of this host's other programs matters: who is never to be held back, and who could ask.
 * Their configuration is read and never written. */
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "node/base/log.h"
#include "node/cli/run.h"
#include "node/cli/setup.h"

/* ---- this host's own ------------------------------------------------------------------------ */

static void show_own(struct gv_setup *setup)
{
    char text[GV_OWN_PREFIX_TEXT], safe[256];

    for (size_t i = 0; i < setup->own.count; i++) {
        gv_own_host_text(text, &setup->own.hosts[i]);
        gv_setup_say(setup, "  %-28s %s%s\n", text, setup->own.hosts[i].source,
                     gv_own_host_listed(&setup->own.hosts[i], &setup->options.allow)
                         ? " (on the list already)"
                         : "");
    }
    for (size_t i = 0; i < setup->own.unclear_count; i++) {
        const struct gv_own_unclear *unclear = &setup->own.unclear[i];
        gv_log_safe(safe, sizeof safe, unclear->text, strlen(unclear->text));
        gv_setup_say(setup, "  %-28s %s: %s, so not offered; add it yourself if need be\n", safe,
                     unclear->source, unclear->why);
    }
    if (setup->own.left_out)
        gv_setup_say(setup, "  and %zu more\n", setup->own.left_out);
}

static int take_list(struct gv_setup *setup, const char *list)
{
    memset(&setup->own, 0, sizeof setup->own);
    gv_own_hosts_words(&setup->own, "--allow", list, strlen(list), false);
    if (setup->own.unclear_count == 0)
        return 0;
    fprintf(stderr,
            "grapevine setup: --allow: \"%s\" is %s; write addresses and networks such as "
            "192.0.2.0/24, found or no\n",
            setup->own.unclear[0].text, setup->own.unclear[0].why);
    return EX_USAGE;
}

int gv_setup_choose_own(struct gv_setup *setup)
{
    const char *wanted = setup->answers.allow;
    size_t fresh = 0;

    if (wanted && strcmp(wanted, "no") == 0)
        return 0;
    if (wanted && strcmp(wanted, "found") != 0)
        return take_list(setup, wanted);
    gv_own_hosts_find(&setup->own, "");
    if (setup->own.count + setup->own.unclear_count == 0)
        return 0;
    gv_setup_heading(setup, "Never held back, and never told to others");
    gv_setup_say(setup, "This host's own addresses, always. Its configuration knows of these:\n");
    show_own(setup);
    for (size_t i = 0; i < setup->own.count; i++)
        fresh += !gv_own_host_listed(&setup->own.hosts[i], &setup->options.allow);
    if (fresh > 0 && !wanted && !setup->answers.non_interactive &&
        !gv_setup_ask_yes(setup, "Put them on the allow list ([policy] allow)?", true))
        setup->own.count = 0;
    return 0;
}

/* ---- who could ask -------------------------------------------------------------------------- */

static unsigned find_hooks(void)
{
    return (gv_cli_has_program("doveconf") ? GV_HOOK_DOVECOT : 0u) |
           (gv_cli_has_program("postconf") ? GV_HOOK_DNS : 0u) |
           (gv_cli_has_program("nft") ? GV_HOOK_NFTABLES : 0u);
}

static int parse_hooks(unsigned *out, const char *list)
{
    char words[128], *state = NULL;

    snprintf(words, sizeof words, "%s", list);
    *out = 0;
    for (char *word = strtok_r(words, ", ", &state); word; word = strtok_r(NULL, ", ", &state)) {
        if (strcmp(word, "dovecot") == 0)
            *out |= GV_HOOK_DOVECOT;
        else if (strcmp(word, "dns") == 0)
            *out |= GV_HOOK_DNS;
        else if (strcmp(word, "nftables") == 0)
            *out |= GV_HOOK_NFTABLES;
        else if (strcmp(word, "no") != 0) {
            fprintf(stderr, "grapevine setup: --hooks takes dovecot, dns, nftables, found or no\n");
            return EX_USAGE;
        }
    }
    return 0;
}

int gv_setup_choose_hooks(struct gv_setup *setup)
{
    static const struct {
        unsigned hook;
        const char *question;
    } questions[] = {
        {GV_HOOK_DOVECOT, "Dovecot is here. Shall this node answer it, on 127.0.0.1:4729?"},
        {GV_HOOK_DNS, "Postfix is here. Shall this node answer DNS lists, on 127.0.0.1:4753?"},
        {GV_HOOK_NFTABLES, "nftables is here. Show at the end how it is used?"},
    };

    if (setup->answers.hooks && strcmp(setup->answers.hooks, "found") != 0)
        return parse_hooks(&setup->hooks, setup->answers.hooks);
    unsigned found = find_hooks();
    if (setup->answers.hooks || setup->answers.non_interactive) {
        setup->hooks = found;
        return 0;
    }
    if (found) {
        gv_setup_heading(setup, "Who could ask this node");
        gv_setup_say(setup, "Answering changes nothing yet: it only watches until [policy] enforce "
                            "says otherwise.\n");
    }
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++)
        if (found & questions[i].hook && gv_setup_ask_yes(setup, questions[i].question, true))
            setup->hooks |= questions[i].hook;
    return 0;
}

/* ---- what they need ------------------------------------------------------------------------- */

/* "2.4.1-4 (7d8c0e5759)" */
static bool is_new_dovecot(void)
{
    struct gv_buf said;
    unsigned major = 0, minor = 0;

    gv_buf_init(&said);
    if (gv_cli_run(&said, 256, (const char *const[]){"dovecot", "--version", NULL}) == 0) {
        gv_buf_append(&said, "", 1);
        if (!said.failed && sscanf((const char *)said.data, "%3u.%3u", &major, &minor) != 2)
            major = 0;
    }
    gv_buf_free(&said);
    return major > 2 || (major == 2 && minor >= 4);
}

static int snippet(struct gv_setup *setup, const char *name, bool new_dovecot)
{
    char command[] = "snippet", word[16], option[] = "--dovecot=2.4";
    char *argv[] = {command, word, new_dovecot ? option : NULL, NULL};

    snprintf(word, sizeof word, "%s", name);
    gv_setup_heading(setup, name);
    fflush(setup->out);
    return gv_cli_snippet(setup->cli, new_dovecot ? 3 : 2, argv);
}

int gv_setup_show_hooks(struct gv_setup *setup)
{
    bool fresh = setup->hooks & GV_HOOK_DOVECOT && is_new_dovecot();
    json_t *commands = json_array();

    if (setup->hooks & GV_HOOK_DOVECOT)
        json_array_append_new(commands,
                              json_string(fresh ? "grapevine snippet dovecot --dovecot 2.4"
                                                : "grapevine snippet dovecot"));
    if (setup->hooks & GV_HOOK_DNS) {
        json_array_append_new(commands, json_string("grapevine snippet postfix"));
        json_array_append_new(commands, json_string("grapevine snippet unbound"));
    }
    if (setup->hooks & GV_HOOK_NFTABLES)
        json_array_append_new(commands, json_string("grapevine snippet nftables"));
    json_object_set(setup->result, "snippets", commands);
    if (json_array_size(commands) > 0) {
        gv_setup_heading(setup, "Let them ask, when you want it");
        gv_setup_say(setup, "Nothing of theirs was changed. These print what they need:\n");
        for (size_t i = 0; i < json_array_size(commands); i++)
            gv_setup_say(setup, "    %s\n", json_string_value(json_array_get(commands, i)));
    }
    bool show = json_array_size(commands) > 0 && !setup->answers.non_interactive &&
                gv_setup_ask_yes(setup, "Print them now?", false);
    json_decref(commands);
    if (show && setup->hooks & GV_HOOK_DOVECOT)
        (void)snippet(setup, "dovecot", fresh); /* what it cannot say it says */
    if (show && setup->hooks & GV_HOOK_DNS)
        (void)snippet(setup, "postfix", false);
    if (show && setup->hooks & GV_HOOK_NFTABLES)
        (void)snippet(setup, "nftables", false);
    return 0;
}
