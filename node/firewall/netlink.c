#include "node/firewall/netlink.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "crypto/error.h"

/* A list of elements is an attribute, whose length has 16 bits; one is 60 bytes at most. */
#define LIST_MAX     60000u
#define ELEMENT_MAX  64u
#define MESSAGE_ROOM 65536u
#define ANSWER_MAX   32768u

int gv_netlink_open(struct gv_netlink *nl, struct gv_text *error)
{
    const struct timeval patience = {.tv_sec = 10};

    nl->sequence = (uint32_t)time(NULL);
    nl->socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
    if (!nl->socket || mnl_socket_bind(nl->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
        int rc = errno == EPERM ? GV_ERR_FORBIDDEN : GV_ERR_IO;
        gv_fail(error, rc, "nf_tables cannot be reached: %s", strerror(errno));
        gv_netlink_close(nl);
        return rc;
    }
    (void)setsockopt(mnl_socket_get_fd(nl->socket), SOL_SOCKET, SO_RCVTIMEO, &patience,
                     sizeof patience);
    return GV_OK;
}

void gv_netlink_close(struct gv_netlink *nl)
{
    if (nl->socket)
        mnl_socket_close(nl->socket);
    nl->socket = NULL;
}

static struct nlmsghdr *put_header(void *at, uint16_t type, uint16_t flags, uint32_t sequence,
                                   uint8_t family, uint16_t resource)
{
    struct nlmsghdr *header = mnl_nlmsg_put_header(at);

    header->nlmsg_type = type;
    header->nlmsg_flags = NLM_F_REQUEST | flags;
    header->nlmsg_seq = sequence;
    struct nfgenmsg *nfgen = mnl_nlmsg_put_extra_header(header, sizeof *nfgen);
    *nfgen = (struct nfgenmsg){
        .nfgen_family = family, .version = NFNETLINK_V0, .res_id = htons(resource)};
    return header;
}

/* libmnl's own macros convert without a cast. */
#define EACH_UNTIL(attr, first, tail)                                                              \
    for ((attr) = (first); mnl_attr_ok(attr, (int)((const char *)(tail) - (const char *)(attr)));  \
         (attr) = mnl_attr_next(attr))
#define EACH(attr, header)                                                                         \
    EACH_UNTIL(attr, mnl_nlmsg_get_payload_offset(header, sizeof(struct nfgenmsg)),                \
               mnl_nlmsg_get_payload_tail(header))
#define EACH_NESTED(attr, nest)                                                                    \
    EACH_UNTIL(attr, mnl_attr_get_payload(nest),                                                   \
               (const char *)mnl_attr_get_payload(nest) + mnl_attr_get_payload_len(nest))

#define NFT(type) ((uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | (type)))

/* ---- questions ------------------------------------------------------------------------------ */

static int on_generation(const struct nlmsghdr *header, void *context)
{
    uint32_t *out = context;
    const struct nlattr *attr;

    EACH(attr, header)
    if (mnl_attr_get_type(attr) == NFTA_GEN_ID && mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
        *out = ntohl(mnl_attr_get_u32(attr));
    return MNL_CB_OK;
}

/* Sends one message and gives every answer to it to `each`. Returns 0, or an errno. */
static int ask(struct gv_netlink *nl, const struct nlmsghdr *question, mnl_cb_t each, void *context)
{
    char answer[ANSWER_MAX];
    unsigned port = mnl_socket_get_portid(nl->socket);
    uint32_t sequence = question->nlmsg_seq;
    int rc = MNL_CB_OK;

    if (mnl_socket_sendto(nl->socket, question, question->nlmsg_len) < 0)
        return errno;
    while (rc > MNL_CB_STOP) {
        ssize_t got = mnl_socket_recvfrom(nl->socket, answer, sizeof answer);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? errno : EIO;
        rc = mnl_cb_run(answer, (size_t)got, sequence, port, each, context);
        if (rc < 0 && (errno == ESRCH || errno == EPROTO))
            rc = MNL_CB_OK; /* the rest of an older answer */
    }
    return rc < 0 ? errno : 0;
}

uint32_t gv_netlink_generation(struct gv_netlink *nl)
{
    char message[256];
    uint32_t generation = 0;
    struct nlmsghdr *header =
        put_header(message, NFT(NFT_MSG_GETGEN), NLM_F_ACK, ++nl->sequence, NFPROTO_UNSPEC, 0);

    return ask(nl, header, on_generation, &generation) == 0 ? generation : 0;
}

/* ---- a dump --------------------------------------------------------------------------------- */

struct dump {
    gv_element_found found;
    void *context;
    int rc;
};

static bool read_key(struct gv_element *out, const struct nlattr *nest)
{
    const struct nlattr *attr;

    EACH_NESTED(attr, nest)
    {
        size_t len = mnl_attr_get_payload_len(attr);
        if (mnl_attr_get_type(attr) != NFTA_DATA_VALUE || (len != 4 && len != 16))
            continue;
        memcpy(out->key, mnl_attr_get_payload(attr), len);
        out->key_len = len;
    }
    return out->key_len > 0;
}

static bool read_element(struct gv_element *out, const struct nlattr *nest)
{
    const struct nlattr *attr;

    memset(out, 0, sizeof *out);
    EACH_NESTED(attr, nest)
    {
        switch (mnl_attr_get_type(attr)) {
        case NFTA_SET_ELEM_KEY:
            if (!read_key(out, attr))
                return false;
            break;
        case NFTA_SET_ELEM_FLAGS:
            if (mnl_attr_validate(attr, MNL_TYPE_U32) < 0)
                return false;
            out->interval_end = ntohl(mnl_attr_get_u32(attr)) & NFT_SET_ELEM_INTERVAL_END;
            break;
        case NFTA_SET_ELEM_EXPIRATION:
            if (mnl_attr_validate(attr, MNL_TYPE_U64) < 0)
                return false;
            out->left_ms = be64toh(mnl_attr_get_u64(attr));
            break;
        default:
            break;
        }
    }
    return out->key_len > 0;
}

static int on_elements(const struct nlmsghdr *header, void *context)
{
    struct dump *dump = context;
    const struct nlattr *attr, *each;
    struct gv_element element;

    EACH(attr, header)
    {
        if (mnl_attr_get_type(attr) != NFTA_SET_ELEM_LIST_ELEMENTS)
            continue;
        EACH_NESTED(each, attr)
        if (dump->rc == GV_OK && read_element(&element, each))
            dump->rc = dump->found(dump->context, &element);
    }
    return MNL_CB_OK; /* to the end, so that no rest of it is left in the socket */
}

int gv_netlink_each(struct gv_netlink *nl, const char *set, gv_element_found found, void *context)
{
    char message[512];
    struct dump dump = {.found = found, .context = context, .rc = GV_OK};
    struct nlmsghdr *header =
        put_header(message, NFT(NFT_MSG_GETSETELEM), NLM_F_DUMP, ++nl->sequence, NFPROTO_INET, 0);

    mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_TABLE, GV_NFT_TABLE);
    mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_SET, set);
    int error = ask(nl, header, on_elements, &dump);
    if (error != 0)
        return error == ENOENT ? GV_ERR_NOT_FOUND : GV_ERR_IO;
    return dump.rc;
}

/* ---- a transaction -------------------------------------------------------------------------- */

static void put_batch_mark(struct gv_batch *batch, uint16_t type)
{
    uint8_t *at = gv_buf_reserve(&batch->wire, MESSAGE_ROOM);

    if (!at)
        return;
    batch->wire.len +=
        put_header(at, type, 0, batch->sequence++, NFPROTO_UNSPEC, NFNL_SUBSYS_NFTABLES)->nlmsg_len;
}

void gv_batch_begin(struct gv_batch *batch, uint32_t sequence)
{
    memset(batch, 0, sizeof *batch);
    gv_buf_init(&batch->wire);
    batch->sequence = sequence;
    put_batch_mark(batch, NFNL_MSG_BATCH_BEGIN);
}

static void close_message(struct gv_batch *batch)
{
    if (!batch->open)
        return;
    mnl_attr_nest_end(batch->open, batch->elements);
    batch->wire.len += batch->open->nlmsg_len;
    batch->open = NULL;
}

static struct nlmsghdr *new_message(struct gv_batch *batch, uint16_t type, const char *set)
{
    uint16_t flags = type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0;
    uint8_t *at = gv_buf_reserve(&batch->wire, MESSAGE_ROOM);

    if (!at)
        return NULL;
    batch->at = batch->wire.len;
    struct nlmsghdr *header = put_header(at, NFT(type), flags, batch->sequence++, NFPROTO_INET, 0);
    mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_TABLE, GV_NFT_TABLE);
    mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_SET, set);
    return header;
}

void gv_batch_flush(struct gv_batch *batch, const char *set)
{
    close_message(batch);
    struct nlmsghdr *header = new_message(batch, NFT_MSG_DELSETELEM, set);
    if (header)
        batch->wire.len += header->nlmsg_len;
}

void gv_batch_element(struct gv_batch *batch, uint16_t type, const char *set, const uint8_t *key,
                      size_t key_len, uint32_t seconds, bool interval_end)
{
    if (batch->open && (batch->type != type || strcmp(batch->set, set) != 0 ||
                        batch->open->nlmsg_len > LIST_MAX - ELEMENT_MAX))
        close_message(batch);
    if (!batch->open) {
        batch->open = new_message(batch, type, set);
        if (!batch->open)
            return; /* wire.failed */
        batch->elements = mnl_attr_nest_start(batch->open, NFTA_SET_ELEM_LIST_ELEMENTS);
        batch->type = type;
        batch->set = set;
    }
    struct nlattr *element = mnl_attr_nest_start(batch->open, NFTA_LIST_ELEM);
    if (interval_end)
        mnl_attr_put_u32(batch->open, NFTA_SET_ELEM_FLAGS, htonl(NFT_SET_ELEM_INTERVAL_END));
    if (seconds > 0 && type == NFT_MSG_NEWSETELEM)
        mnl_attr_put_u64(batch->open, NFTA_SET_ELEM_TIMEOUT, htobe64((uint64_t)seconds * 1000));
    struct nlattr *data = mnl_attr_nest_start(batch->open, NFTA_SET_ELEM_KEY);
    mnl_attr_put(batch->open, NFTA_DATA_VALUE, key_len, key);
    mnl_attr_nest_end(batch->open, data);
    mnl_attr_nest_end(batch->open, element);
}

/* A batch is taken in one piece or not at all, so the socket must hold it whole. */
static int send_whole(struct gv_netlink *nl, const struct gv_buf *wire)
{
    int fd = mnl_socket_get_fd(nl->socket), room = (int)wire->len;
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

    if (wire->len > INT32_MAX / 4)
        return E2BIG;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
    return sendto(fd, wire->data, wire->len, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0
               ? errno
               : 0;
}

/* The kernel has answered before sendto returned: what is in the socket is all. The last message
 * asked for an acknowledgement, which comes after the commit. */
static int read_answers(struct gv_netlink *nl, uint32_t first, uint32_t acknowledged)
{
    char answer[ANSWER_MAX];
    int fd = mnl_socket_get_fd(nl->socket), result = ETIMEDOUT;

    for (;;) {
        ssize_t got = recv(fd, answer, sizeof answer, MSG_DONTWAIT);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return errno == EAGAIN ? result : errno;
        int left = (int)got;
        for (const struct nlmsghdr *at = (const void *)answer; mnl_nlmsg_ok(at, left);
             at = mnl_nlmsg_next(at, &left)) {
            if (at->nlmsg_type != NLMSG_ERROR || at->nlmsg_seq - first > acknowledged - first ||
                at->nlmsg_len < mnl_nlmsg_size(sizeof(struct nlmsgerr)))
                continue;
            const struct nlmsgerr *said = mnl_nlmsg_get_payload(at);
            if (said->error != 0 && (result == ETIMEDOUT || result == 0))
                result = -said->error;
            else if (said->error == 0 && result == ETIMEDOUT)
                result = 0;
        }
    }
}

int gv_batch_commit(struct gv_netlink *nl, struct gv_batch *batch, struct gv_text *error)
{
    uint32_t first = nl->sequence + 1;
    int rc = GV_OK;

    close_message(batch);
    if (!batch->wire.failed && batch->at > 0)
        ((struct nlmsghdr *)(void *)(batch->wire.data + batch->at))->nlmsg_flags |= NLM_F_ACK;
    uint32_t last = batch->sequence - 1;
    put_batch_mark(batch, NFNL_MSG_BATCH_END);
    nl->sequence = batch->sequence;
    if (batch->wire.failed) {
        rc = gv_fail(error, GV_ERR_MEMORY, "out of memory");
    } else if (batch->at > 0) {
        int why = send_whole(nl, &batch->wire);
        if (why == 0)
            why = read_answers(nl, first, last);
        if (why != 0)
            rc = gv_fail(error, GV_ERR_IO, "the kernel does not take the changes: %s",
                         strerror(why));
    }
    gv_buf_free(&batch->wire);
    return rc;
}
