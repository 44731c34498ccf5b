#include "sim/explain.h"

#include <inttypes.h>
#include <string.h>
#include <sysexits.h>

#include "proto/limits.h"
#include "sim/run.h"
#include "sim/story.h"

#define SUBJECTS_SHOWN 20

static bool is_there(const struct gv_sim_options *options, const char *what)
{
    size_t members = options->nodes + options->faults.liars;

    if (options->node < members)
        return true;
    fprintf(stderr, "grapevine-sim: %s %zu: there are %zu nodes, the first is 0\n", what,
            options->node, members);
    return false;
}

int gv_trace_run(const struct gv_sim_options *options)
{
    struct gv_story story = {.out = stdout,
                             .node = options->node,
                             .from_ms = (uint64_t)(options->from_s * 1000),
                             .to_ms =
                                 options->to_s > 0 ? (uint64_t)(options->to_s * 1000) : UINT64_MAX,
                             .all = options->all};
    struct gv_sim_watch watch = {.story = &story, .stop_ms = story.to_ms};
    struct gv_sim_result result;

    if (options->node != SIZE_MAX && !is_there(options, "--node"))
        return EX_USAGE;
    gv_sim_run_watched(&result, options, true, &watch);
    printf("%" PRIu64 " lines; violations: %" PRIu64 "\n", story.lines, result.violations);
    return result.violations > 0;
}

/* ---- one node at one moment ------------------------------------------------------------------ */

struct question {
    const struct gv_sim_options *options;
    struct gv_story story;
};

static void show_self(const struct gv_world *world, size_t index)
{
    const struct gv_sim_node *node = &world->nodes[index];
    char address[GV_ADDRESS_TEXT];

    gv_address_text(address, &node->address);
    printf("node %zu at %.3f s: %s%s%s\n", index, (double)world->now_ms / 1000,
           node->away   ? "away all the time"
           : node->liar ? "a liar"
           : node->core ? "up"
                        : "down",
           node->busy ? ", waiting for its disk" : "",
           gv_world_is_outcast(world, index) && !node->away ? ", not a member any more" : "");
    printf("  address              %s%s\n", address, node->outbound ? ", behind NAT" : "");
    printf("  instance             ");
    for (size_t i = 0; i < GV_ID_LEN; i++)
        printf("%02x", node->identity.id[i]);
    printf("\n  clock                off by %.3f s\n", (double)node->clock_skew_ms / 1000);
    if (node->core)
        printf("  life                 %u, since %.3f s\n", (unsigned)node->lives,
               (double)node->started_ms / 1000);
}

static void show_peers(const struct gv_world *world, const struct gv_core *core)
{
    struct gv_peer_info peer;
    size_t cursor = 0;

    while (gv_core_next_peer(core, &cursor, &peer)) {
        char who[32] = "a handshake";
        size_t member = peer.member ? gv_story_member(world, peer.instance) : SIZE_MAX;
        if (member != SIZE_MAX)
            snprintf(who, sizeof who, "node %zu", member);
        printf("    %s %-12s since %.3f s; bytes in %" PRIu64 ", out %" PRIu64 "\n",
               peer.outbound ? "dialled" : "peer   ", who, (double)peer.since_ms / 1000,
               peer.bytes_in, peer.bytes_out);
    }
}

static void show_status(const struct gv_core *core)
{
    struct gv_core_status status;

    gv_core_status(core, &status);
    printf("  peers                %zu, of them dialled %zu; links %zu\n", status.peers,
           status.peers_outbound, status.links);
    printf("  roster               %zu instances\n", status.instances);
    printf("  statements           %zu public, %zu kept as a keeper or of its own\n",
           status.statements, status.kept);
    printf("  own words            %zu on their way to keepers\n", status.errands);
    printf("  said                 %" PRIu64 "; taken from others %" PRIu64 ", refused %" PRIu64
           "\n",
           status.signals_made, status.signals_accepted, status.signals_refused);
    printf("  subjects             %zu untrusted, %zu reported\n", status.untrusted,
           status.reported);
}

static void show_verdict(const struct gv_world *world, const struct gv_core *core,
                         const struct gv_subject *subject)
{
    char text[GV_SUBJECT_TEXT];
    struct gv_verdict verdict;
    const char *mark = "";

    gv_core_verdict(core, &verdict, subject);
    if (verdict.state == GV_VERDICT_UNKNOWN)
        return;
    gv_subject_text(text, subject);
    printf("    %-18s %s, weight %u of %u owners:", text, gv_verdict_state_name(verdict.state),
           (unsigned)verdict.weight, (unsigned)verdict.owners);
    for (uint32_t i = 0; i < verdict.vote_count; i++) {
        size_t member = gv_story_member(world, verdict.votes[i].instance);
        if (member == SIZE_MAX) /* it has another key by now */
            printf("%s one who is gone", mark);
        else
            printf("%s node %zu", mark, member);
        mark = ",";
    }
    printf("\n");
}

static void show_subjects(const struct gv_world *world, const struct gv_core *core)
{
    struct gv_subject subject;
    size_t cursor = 0, shown = 0;

    while (shown++ < SUBJECTS_SHOWN && gv_core_next_subject(core, &cursor, &subject))
        show_verdict(world, core, &subject);
}

static void show_traffic(const struct gv_world *world, size_t node)
{
    struct gv_traffic_sum sum;
    uint64_t most;

    gv_world_traffic(world, node, &sum, &most);
    for (int cause = 0; cause < GV_CAUSE_COUNT; cause++)
        if (sum.in[cause] + sum.out[cause] > 0)
            printf("  bytes, %-13s in %" PRIu64 ", out %" PRIu64 "\n",
                   gv_cause_name((enum gv_cause)cause), sum.in[cause], sum.out[cause]);
}

static void show_cuts(const struct gv_world *world, size_t node)
{
    size_t to = 0, from = 0;

    for (size_t other = 0; other < world->members; other++) {
        to += world->cut[node * world->members + other] > 0;
        from += world->cut[other * world->members + node] > 0;
    }
    if (to + from > 0)
        printf("  cut off              from %zu others, who cannot hear it: %zu\n", from, to);
}

static void answer(void *context, const struct gv_checks *checks, uint64_t end_ms)
{
    struct question *question = context;
    const struct gv_world *world = checks->world;
    const struct gv_story *story = &question->story;
    size_t node = question->options->node;
    uint64_t wanted_ms = (uint64_t)(question->options->to_s * 1000);

    if (world->now_ms < (wanted_ms < end_ms ? wanted_ms : end_ms))
        return;
    show_self(world, node);
    show_cuts(world, node);
    if (world->nodes[node].core) {
        show_status(world->nodes[node].core);
        show_subjects(world, world->nodes[node].core);
        show_peers(world, world->nodes[node].core);
    }
    show_traffic(world, node);
    printf("  before that:\n");
    for (uint64_t i = story->lines > GV_STORY_KEPT ? story->lines - GV_STORY_KEPT : 0;
         i < story->lines; i++)
        printf("  %s\n", story->kept[i % GV_STORY_KEPT]);
    question->options = NULL; /* told */
}

static void ask(void *context, const struct gv_checks *checks, uint64_t end_ms)
{
    const struct question *question = context;

    if (question->options)
        answer(context, checks, end_ms);
}

int gv_explain(const struct gv_sim_options *options)
{
    struct question question = {
        .options = options,
        .story = {.node = options->node, .to_ms = UINT64_MAX, .all = options->all}};
    struct gv_sim_watch watch = {.context = &question,
                                 .story = &question.story,
                                 .stop_ms = (uint64_t)(options->to_s * 1000),
                                 .look = ask};
    struct gv_sim_result result;

    if (!is_there(options, "explain"))
        return EX_USAGE;
    gv_sim_run_watched(&result, options, true, &watch);
    return 0;
}
