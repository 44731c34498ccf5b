#include "node/registry/commands.h"

/* What `init` puts into terms.txt: a start for whoever runs a network, to be adapted. */
const char gv_default_terms[] =
    "Terms of taking part, version " GV_DEFAULT_TERMS_VERSION "\n"
    "\n"
    "1. You run the mail server that you enrol, or act for who does, and the\n"
    "   email address you give is yours.\n"
    "2. What your node sends to the other members: an instance id, addresses\n"
    "   from which logins failed, with coarse times and counts. Mail, account\n"
    "   names and the addresses of people who logged in never leave your host.\n"
    "3. What the registry keeps: your email address (encrypted), the version of\n"
    "   these terms that you accepted, your certificates and revocations. It\n"
    "   gives the address to nobody. You can have it erased by giving up your\n"
    "   instances.\n"
    "4. You report only what your own log shows. False reports, forged\n"
    "   identities and attempts to get others blocked end your membership.\n"
    "5. Verdicts are the members' opinion. What your server does with them is\n"
    "   your decision and your responsibility; there is no warranty.\n"
    "6. The list of members (addresses of mail servers) is known to all members.\n"
    "7. Purpose and legal basis: protection of mail accounts against attacks, a\n"
    "   legitimate interest (GDPR Art. 6(1)(f)). Say so in your privacy policy.\n";
