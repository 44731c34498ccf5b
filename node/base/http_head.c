/* The head of a request, byte by byte: what libmicrohttpd reads in one way and somebody before us
 * might read in another is refused. */
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "node/base/http_internal.h"

#define ARGUMENTS_MAX 32u

char gv_http_bad_uri;

struct gv_http_connection *gv_http_connection_of(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info ? info->socket_context : NULL;
}

/* ---- answers past libmicrohttpd -------------------------------------------------------------- */

/* It can say nothing more then. Over TLS the bytes would not be understood. */
static void cut_off(struct gv_http_server *server, int fd, const char *answer)
{
    server->counters.refused++;
    if (!server->options.tls)
        (void)send(fd, answer, strlen(answer), MSG_NOSIGNAL | MSG_DONTWAIT);
    shutdown(fd, SHUT_RDWR);
}

/* Each argument takes a record of libmicrohttpd's memory for a connection, beside the head itself.
 * When that is used up while it reads them it neither answers nor closes: so this is done here,
 * before. */
static void refuse_target(struct gv_http_server *server,
                          const struct gv_http_connection *connection)
{
    static const char answer[] =
        "HTTP/1.1 414 URI Too Long\r\nContent-Type: application/json\r\nContent-Length: 78\r\n"
        "Connection: close\r\n\r\n"
        "{\"error\":\"too-long\",\"message\":\"the path is too long, or of over 32 arguments\"}";

    if (connection)
        cut_off(server, connection->fd, answer);
}

static bool is_length(const char *value, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (value[i] < '0' || value[i] > '9')
            return false;
    return len > 0 && len <= 15;
}

/* libmicrohttpd itself answers a Content-Length that is no number, and writes the head of that
 * answer twice. It says so in its log first, though not of which connection: of those whose head is
 * being read, it is the one that has such a header. */
void gv_http_refuse_lengths(struct gv_http_server *server)
{
    static const char answer[] =
        "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 69\r\n"
        "Connection: close\r\n\r\n"
        "{\"error\":\"bad-request\",\"message\":\"the Content-Length is not a number\"}";
    struct gv_http_connection *connection;

    LIST_FOREACH(connection, &server->connections, list)
    {
        const char *value = NULL;
        size_t len = 0;
        if (!connection->in_head ||
            MHD_lookup_connection_value_n(connection->mhd, MHD_HEADER_KIND, "Content-Length", 14,
                                          &value, &len) != MHD_YES ||
            (value && is_length(value, len)))
            continue;
        connection->in_head = false;
        cut_off(server, connection->fd, answer);
    }
}

/* ---- the first line -------------------------------------------------------------------------- */

/* "http://name:port/path" (RFC 9112, section 3.2.2), as a client sends it that takes this server
 * for a proxy: bytes before the name. */
static size_t scheme_length(const char *uri)
{
    return strncasecmp(uri, "http://", 7) == 0 ? 7 : strncasecmp(uri, "https://", 8) == 0 ? 8 : 0;
}

/* The raw target, before decoding. A zero byte would cut the decoded path short behind our back,
 * and a raw control character has no business there. */
void *gv_http_check_uri(void *context, const char *uri, struct MHD_Connection *mhd)
{
    struct gv_http_server *server = context;
    struct gv_http_connection *connection = gv_http_connection_of(mhd);
    unsigned arguments = 0;

    if (!uri)
        return &gv_http_bad_uri;
    size_t scheme = scheme_length(uri), name = strcspn(uri + scheme, "/?");
    if (connection) {
        connection->in_head = true;
        connection->version = uri + strlen(uri) + 1;
        connection->scheme = scheme;
    }
    if (scheme > 0 && (name == 0 || memchr(uri + scheme, '%', name)))
        return &gv_http_bad_uri; /* decoded it might end elsewhere */
    for (const char *at = uri; *at; at++) {
        arguments += *at == '&';
        if (*at <= 0x20 || *at >= 0x7f || (at[0] == '%' && at[1] == '0' && at[2] == '0'))
            return &gv_http_bad_uri;
    }
    if (arguments >= ARGUMENTS_MAX ||
        (arguments > 0 && strlen(uri) > server->options.head_max / 2)) {
        refuse_target(server, connection);
        return &gv_http_bad_uri;
    }
    return NULL;
}

/* ---- headers --------------------------------------------------------------------------------- */

static bool token(const char *name, size_t len)
{
    static const char others[] = "!#$%&'*+-.^_`|~";

    for (size_t i = 0; i < len; i++) {
        char c = name[i];
        bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
                    (c >= '0' && c <= '9') || (c && strchr(others, c));
        if (!fits)
            return false;
    }
    return len > 0;
}

/* libmicrohttpd before 1.0 puts two zero bytes in the place of a line's end, in its buffer, and
 * lends us pointers into that. So whoever sent a zero byte, which hides the rest of a line, ended a
 * line with less than CR LF or folded one into the next is found out: the next does not begin where
 * it should. Later versions leave the line feed where it was, and refuse all that by themselves
 * when they are told to be strict (gv_http_strictness). */
static bool marks_lines(void)
{
    return strncmp(MHD_get_version(), "0.", 2) == 0;
}

int gv_http_strictness(void)
{
    return marks_lines() ? 0 : 1;
}

static const char *line_after(const char *text, size_t len)
{
    return text[len] == '\0' && text[len + 1] == '\0' ? text + len + 2 : NULL;
}

/* Eight bytes at a time, and byte by byte where one of them may be one. */
static bool has_control(const char *value, size_t len)
{
    const uint64_t ones = 0x0101010101010101u, tops = 0x80 * ones;
    size_t i = 0;

    while (i < len) {
        uint64_t word;
        if (len - i >= sizeof word) {
            memcpy(&word, value + i, sizeof word);
            uint64_t rubout = word ^ 0x7f * ones;
            if (((word - 0x20 * ones) & ~word & tops) == 0 &&
                ((rubout - ones) & ~rubout & tops) == 0) {
                i += sizeof word;
                continue;
            }
        }
        if (((uint8_t)value[i] < 0x20 && value[i] != '\t') || value[i] == 0x7f)
            return true;
        i++;
    }
    return false;
}

static enum MHD_Result look_at_header(void *context, enum MHD_ValueKind kind, const char *name,
                                      size_t name_len, const char *value, size_t value_len)
{
    struct gv_http_head *head = context;

    (void)kind;
    if (!value || (head->marked && (name != head->at || value < name + name_len))) {
        head->malformed = true;
        return MHD_NO;
    }
    head->at = head->marked ? line_after(value, value_len) : value;
    /* A name with a blank before the colon is read differently by different servers, and so is a
     * value with a control character in it (RFC 9110, section 5.5). */
    head->malformed |= !head->at || !token(name, name_len);
    head->malformed |= has_control(value, value_len);
    /* Their lengths tell most names apart already. */
    if (name_len == 14 && strcasecmp(name, "content-length") == 0) {
        head->lengths++;
        head->length = 0;
        head->malformed |= !is_length(value, value_len);
        for (size_t i = 0; i < value_len && !head->malformed; i++)
            head->length = head->length * 10 + (uint64_t)(value[i] - '0');
    }
    head->encodings += name_len == 17 && strcasecmp(name, "transfer-encoding") == 0;
    head->hosts += name_len == 4 && strcasecmp(name, "host") == 0;
    if (name_len == 15 && strcasecmp(name, "x-forwarded-for") == 0) {
        head->forwards++;
        head->forward = value;
        head->forward_len = value_len;
    }
    return MHD_YES;
}

void gv_http_read_head(struct gv_http_head *out, struct MHD_Connection *mhd, const char *url,
                       const char *method, const char *version)
{
    struct gv_http_connection *connection = gv_http_connection_of(mhd);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);

    bool marked = marks_lines();
    *out = (struct gv_http_head){.marked = marked,
                                 .at = marked ? line_after(version, strlen(version)) : version};
    out->malformed = !out->at || (marked && (method + strlen(method) + 1 != url ||
                                             (connection && connection->version != version)));
    if (connection)
        connection->in_head = false;
    if (out->malformed)
        return;
    MHD_get_connection_values_n(mhd, MHD_HEADER_KIND, look_at_header, out);
    /* Then comes one empty line, and that was the head. */
    if (!out->malformed && marked && (!info || out->at + 2 != method + info->header_size))
        out->malformed = true;
}
