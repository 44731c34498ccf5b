#include "node/serve/why.h"

#include <stdio.h>
#include <string.h>

#include "node/serve/api_request.h"

static const char *plural(uint32_t n)
{
    return n == 1 ? "" : "s";
}

static void what_the_mesh_says(char *out, size_t cap, const struct gv_why *why)
{
    const struct gv_verdict *v = why->verdict;
    uint32_t hours = why->policy ? why->policy->alive_min / 60 : 24;
    uint32_t needed = why->policy ? why->policy->untrusted_weight : 0;

    if (!gv_subject_shareable(why->subject, why->lab)) {
        snprintf(out, cap, "Not a public address, so the mesh never speaks of it");
        return;
    }
    switch (v->state) {
    case GV_VERDICT_UNTRUSTED:
        snprintf(out, cap,
                 "Untrusted: %u owner%s in %u network%s reported it within %u h (weight %u, %u "
                 "needed)",
                 v->owners, plural(v->owners), v->groups, plural(v->groups), hours, v->weight,
                 needed);
        break;
    case GV_VERDICT_REPORTED:
        snprintf(out, cap,
                 "Reported: %u owner%s in %u network%s reported it within %u h (weight %u of the "
                 "%u needed)",
                 v->owners, plural(v->owners), v->groups, plural(v->groups), hours, v->weight,
                 needed);
        break;
    case GV_VERDICT_UNKNOWN:
        snprintf(out, cap,
                 why->policy ? "Unknown: nobody in the mesh reports it"
                             : "Unknown: this node is in no network yet");
        break;
    }
}

/* Who is not heard is not nobody. */
static void what_is_not_heard(char *out, size_t cap, const struct gv_why *why)
{
    if (why->unheard > 0)
        snprintf(out, cap, ", besides %u owner%s that you distrust", why->unheard,
                 plural(why->unheard));
}

static void what_failed_here(char *out, size_t cap, const struct gv_why *why)
{
    const struct gv_history_summary *h = why->history;
    uint32_t points = why->facts->points, day = h->failures_day;

    if (points > 0 && h->points == 0)
        snprintf(out, cap, "another server of yours, or of an owner you trust, reports it");
    else if (points > 0 && day > 0)
        snprintf(out, cap, "it failed here %u time%s in the last 24 h (%u point%s)", day,
                 plural(day), points, plural(points));
    else if (points > 0)
        snprintf(out, cap, "it has %u point%s here", points, plural(points));
    else if (h->last_failure_ms == 0 && day == 0)
        snprintf(out, cap, "it has not failed here");
    else if (h->last_success_ms >= h->last_failure_ms && h->last_success_ms != 0)
        snprintf(out, cap, "it has logged in since it last failed here");
    else
        snprintf(out, cap, "its failures here are too few or too old to count");
}

static void what_this_host_does(char *out, size_t cap, const struct gv_why *why)
{
    char failed[120], until[GV_RFC3339_TEXT];

    what_failed_here(failed, sizeof failed, why);
    switch (why->decision.reason) {
    case GV_REASON_NOTHING_KNOWN:
        if (why->facts->points > 0)
            snprintf(out, cap,
                     "this host treats it like any other although %s: two points would "
                     "change that",
                     failed);
        else
            snprintf(out, cap, "this host treats it like any other because %s", failed);
        break;
    case GV_REASON_DENY_LISTED:
        snprintf(out, cap, "this host refuses it because it is on its deny list");
        break;
    case GV_REASON_ALLOW_LISTED:
        snprintf(out, cap, "this host allows it because it is on its allow list");
        break;
    case GV_REASON_LOCKED_HERE:
        if (why->history->locked_until_ms) {
            gv_rfc3339(until, why->history->locked_until_ms);
            snprintf(out, cap, "this host has locked it until %s because %s", until, failed);
        } else {
            snprintf(out, cap, "this host has locked it because %s", failed);
        }
        break;
    case GV_REASON_CLEAN_HERE:
        snprintf(out, cap, "this host allows it because its own users log in from it");
        break;
    case GV_REASON_LOCKED_BY_OWN:
        snprintf(out, cap,
                 "this host refuses it because another server of yours, or of an owner you trust, "
                 "has locked it");
        break;
    case GV_REASON_UNTRUSTED_AND_FAILED_HERE:
        snprintf(out, cap, "this host refuses it because %s too", failed);
        break;
    case GV_REASON_FAILED_HERE_AGAIN:
        snprintf(out, cap,
                 "this host refuses it because %s, at several accounts, and nobody has logged in "
                 "here from its network",
                 failed);
        break;
    case GV_REASON_UNTRUSTED:
        if (why->facts->points >= 2 && (why->facts->known_here || why->facts->network_known_here))
            snprintf(out, cap,
                     "this host therefore gives it one wrong guess instead of five, and does not "
                     "refuse it, because somebody has logged in here from %s",
                     why->facts->known_here ? "it" : "the same network");
        else if (why->facts->points >= 2)
            snprintf(out, cap,
                     "this host therefore gives it one wrong guess instead of five, and does not "
                     "refuse it, because it has not failed here for 6 hours");
        else
            snprintf(out, cap, "this host therefore gives it one wrong guess instead of five; %s",
                     failed);
        break;
    case GV_REASON_FAILED_HERE:
        snprintf(out, cap, "this host gives it one wrong guess instead of five because %s", failed);
        break;
    case GV_REASON_CONSENSUS:
        snprintf(out, cap,
                 "this host refuses it at first contact because [policy] refuse_on is "
                 "consensus and the higher quorum is met");
        break;
    }
}

void gv_why_text(struct gv_text *out, const struct gv_why *why)
{
    char mesh[200], unheard[60] = "", host[240] = "";

    what_the_mesh_says(mesh, sizeof mesh, why);
    what_is_not_heard(unheard, sizeof unheard, why);
    what_this_host_does(host, sizeof host, why);
    snprintf(out->text, sizeof out->text, "%s%s; %s.", mesh, unheard, host);
}
