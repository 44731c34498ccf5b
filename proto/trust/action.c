#include "proto/trust/action.h"

/* One failed visit may be a slip; two, or one at an account that does not exist, are a pattern. */
#define POINTS_SUSPICIOUS 2
/* Twice suspicious: two visits at accounts that do not exist, or up to four at others. */
#define POINTS_PATTERN 4

static struct gv_decision decision(enum gv_action action, enum gv_reason reason)
{
    struct gv_decision d = {action, reason};

    return d;
}

/* Neither from the address nor from its network has anybody logged in here: the mesh's word, even
 * with evidence of one's own, refuses nobody else. Users share networks, and guesses from one of
 * their addresses are what an attacker can have for the price of a foothold (SPEC 20.5). */
static bool is_stranger(const struct gv_action_facts *facts)
{
    return !facts->known_here && !facts->network_known_here;
}

/* SPEC 12.2: who has failed here again and again, at several accounts and lately, is refused
 * whatever the mesh says. Four in five guessers visit one host only, and nobody else can speak of
 * them. A client with an old password or a misspelt name has one account. */
bool gv_action_has_failed_again(const struct gv_action_facts *facts)
{
    return facts->points >= POINTS_PATTERN && facts->many_accounts && facts->failed_lately &&
           is_stranger(facts);
}

/* SPEC 12.2, refuse_on = consensus: at first contact, under a higher quorum. */
static bool consensus_refuses(const struct gv_action_facts *facts, const struct gv_verdict *verdict,
                              const struct gv_policy *policy)
{
    return facts->refuse_on_consensus && is_stranger(facts) &&
           verdict->state == GV_VERDICT_UNTRUSTED && verdict->weight >= policy->consensus_weight &&
           verdict->groups >= policy->consensus_groups;
}

/* SPEC 12.2: the lines of the table, in its order; the first that holds decides. */
struct gv_decision gv_action_decide(const struct gv_action_facts *facts,
                                    const struct gv_verdict *verdict,
                                    const struct gv_policy *policy)
{
    bool untrusted = verdict->state == GV_VERDICT_UNTRUSTED;
    bool suspicious = facts->points >= POINTS_SUSPICIOUS;

    if (facts->deny_listed)
        return decision(GV_ACTION_REFUSE, GV_REASON_DENY_LISTED);
    if (facts->allow_listed)
        return decision(GV_ACTION_ALLOW, GV_REASON_ALLOW_LISTED);
    if (facts->locked_here)
        return decision(GV_ACTION_REFUSE, GV_REASON_LOCKED_HERE);
    if (facts->clean)
        return decision(GV_ACTION_ALLOW, GV_REASON_CLEAN_HERE);
    if (facts->locked_by_own)
        return decision(GV_ACTION_REFUSE, GV_REASON_LOCKED_BY_OWN);
    if (untrusted && suspicious && facts->failed_lately && is_stranger(facts))
        return decision(GV_ACTION_REFUSE, GV_REASON_UNTRUSTED_AND_FAILED_HERE);
    if (gv_action_has_failed_again(facts))
        return decision(GV_ACTION_REFUSE, GV_REASON_FAILED_HERE_AGAIN);
    if (consensus_refuses(facts, verdict, policy))
        return decision(GV_ACTION_REFUSE, GV_REASON_CONSENSUS);
    if (untrusted)
        return decision(GV_ACTION_ONE_STRIKE, GV_REASON_UNTRUSTED);
    if (suspicious)
        return decision(GV_ACTION_ONE_STRIKE, GV_REASON_FAILED_HERE);
    return decision(GV_ACTION_ALLOW, GV_REASON_NOTHING_KNOWN);
}

const char *gv_action_name(enum gv_action action)
{
    switch (action) {
    case GV_ACTION_ALLOW:
        return "allow";
    case GV_ACTION_ONE_STRIKE:
        return "one-strike";
    case GV_ACTION_REFUSE:
        return "refuse";
    }
    return "unknown";
}

const char *gv_reason_text(enum gv_reason reason)
{
    switch (reason) {
    case GV_REASON_NOTHING_KNOWN:
        return "Nothing is held against this address.";
    case GV_REASON_DENY_LISTED:
        return "This address is on this host's deny list.";
    case GV_REASON_ALLOW_LISTED:
        return "This address is on this host's allow list.";
    case GV_REASON_LOCKED_HERE:
        return "This host has locked this address for an hour after failed logins here.";
    case GV_REASON_CLEAN_HERE:
        return "Users log in to this host from this address, so the mesh's word changes nothing.";
    case GV_REASON_LOCKED_BY_OWN:
        return "Another server of this admin, or of an owner he trusts, has locked this address.";
    case GV_REASON_UNTRUSTED_AND_FAILED_HERE:
        return "The mesh calls this address untrusted, and logins from it have failed here too.";
    case GV_REASON_UNTRUSTED:
        return "The mesh calls this address untrusted, so one wrong password here locks it out.";
    case GV_REASON_FAILED_HERE:
        return "Logins from this address have failed here before, so one more locks it out.";
    case GV_REASON_CONSENSUS:
        return "Reporters in many networks call this address untrusted, and nobody has logged "
               "in from its network here.";
    case GV_REASON_FAILED_HERE_AGAIN:
        return "Several accounts were tried from this address, here and lately, and nobody logs in "
               "from its network.";
    }
    return "The reason is not known.";
}
