/* Which of the programs that have more than one name a tag belongs to. Most tags are Postfix's, and
 * lose at their first or second byte. */
#include "node/ingest/line.h"

/* The end of the tag reads as NUL, and the lexer is not started at it (see parse_postfix.re). */
/*!re2c
    re2c:api = custom;
    re2c:api:style = free-form;
    re2c:define:YYCTYPE = "unsigned char";
    re2c:define:YYPEEK = "(cur < limit ? (unsigned char)*cur : 0)";
    re2c:define:YYSKIP = "++cur;";
    re2c:define:YYBACKUP = "mark = cur;";
    re2c:define:YYRESTORE = "cur = mark;";
    re2c:yyfill:enable = 0;
    re2c:flags:tags = 0;
*/

enum gv_program gv_program_of_mailbox(const char *tag, size_t len)
{
    const char *cur = tag;
    const char *limit = tag + len;
    const char *mark = cur;
    enum gv_program found;

    if (len == 0)
        return GV_PROGRAM_OTHER;
    /*!re2c
        /* The service's name in cyrus.conf behind syslog_prefix; without a prefix the usual ones. */
        "cyrus" [A-Za-z0-9_.-]{0,16} "/" [A-Za-z0-9_.-]{1,32}
            | "imap" | "imaps" | "pop3" | "pop3s" | "sieve" | "timsieved" | "nntp" | "nntps"
            | "nntpd"
                           { found = GV_PROGRAM_CYRUS; goto done; }
        "saslauthd"        { found = GV_PROGRAM_SASLAUTHD; goto done; }
        "imapd-ssl" | "pop3d-ssl" | "courieresmtpd" | "esmtpd" | "esmtpd-ssl" | "esmtpd-msa"
                           { found = GV_PROGRAM_COURIER; goto done; }
        "imapd" | "pop3d"  { found = GV_PROGRAM_MAILBOX; goto done; }
        *                  { return GV_PROGRAM_OTHER; }
    */
done:
    return cur == limit ? found : GV_PROGRAM_OTHER;
}
