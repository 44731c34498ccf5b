/* All limits of the protocol on one page, each with the sum that justifies it (SPEC 13). */
#ifndef GV_PROTO_LIMITS_H
#define GV_PROTO_LIMITS_H

#define GV_PROTOCOL_VERSION 2u
#define GV_VERSION_SHORT    2u /* from here on: short records, marks of four bytes */
#define GV_MINUTE_MS        60000u

/* Frames. 16 KiB of messages a frame: a descriptor (8 KiB) or 64 signals (64 * 130 bytes) fit, and
 * a link's buffers stay under 40 kB. */
#define GV_FRAME_PLAIN_MAX 16384u
#define GV_FRAME_MAX       (GV_FRAME_PLAIN_MAX + 16u)
/* Handshake frames: 32 + 48 + payload (152 + 64 + heads) + 16 = 320. */
#define GV_FRAME_HANDSHAKE_MAX 512u

/* Sessions. */
#define GV_REKEY_MESSAGES 224u      /* as BIP 324 */
#define GV_SESSION_MAX_MS 86400000u /* then closed and opened anew with fresh keys */
#define GV_HANDSHAKE_MS   10000u    /* a stranger gets this long */
/* Keepalive when nothing was sent: at 120 s five idle nodes spent 60 kB an hour each, half of it
 * pings. */
#define GV_PING_MS               240000u
#define GV_SILENCE_MS            600000u /* then it is dead: two pings and a half unanswered */
#define GV_LINKS_DEFAULT         64u
#define GV_STRANGERS_MAX         64u /* half-open incoming handshakes at a time */
#define GV_STRANGERS_PER_SOURCE  8u  /* of them from one address: several members behind a NAT */
#define GV_HANDSHAKES_PER_MINUTE 30u /* tried by one address */
#define GV_HANDSHAKES_PER_SECOND 64u /* tried by unknown addresses together: one costs 0.25 ms */
#define GV_HANDSHAKES_BURST_S    2u  /* and those of so many seconds at once */
#define GV_HANDSHAKES_BURST      (GV_HANDSHAKES_BURST_S * GV_HANDSHAKES_PER_SECOND)
/* A second: certificates that are not in the roster, of one network group, so that one network
 * cannot use up all 64. */
#define GV_PAPERS_PER_GROUP 8u
/* Connections whose first message is not there yet: it comes right behind the connection, or he
 * made no haste. */
#define GV_CALLERS_MAX 64u
#define GV_COOKIE_MS   120000u /* a cookie is good for 2 to 4 minutes */
/* Keys shared with members who proved themselves, or whom somebody named: about 6 MB. */
#define GV_PAIRS_MAX   65536u
#define GV_KNOWN_MS    86400000u /* an address that a member spoke from is known so long */
#define GV_KNOWN_SHARE 4u        /* one place of so many is for known addresses */
#define GV_BAN_MS      600000u   /* a source or instance that sent something invalid */
#define GV_BANS_MAX    256u

#define GV_CLOCK_OFF_MS 300000u /* half of what signals may be ahead: tell the admin */

/* Membership. */
#define GV_PEERS_WANTED   5u /* active view */
#define GV_PEERS_OUTBOUND 3u /* of them picked by ourselves, at least */
/* Members connected who can be dialled: a seed must not carry the whole mesh. */
#define GV_PEERS_MAX 8u
/* And so many more who can only dial out: where 60 % of a mesh are behind NAT, and want 5 peers
 * each, the others have 7.5 of them on average; 5 kB of pings an hour each. Where fewer connections
 * are allowed than GV_GUESTS_LINKS these share the places of the others. */
#define GV_GUESTS_MAX         16u
#define GV_GUESTS_LINKS       48u
#define GV_PEER_STAYS_MS      60000u  /* who joins here may stay so long before he makes room */
#define GV_DIAL_BUSY_FAILURES 8u      /* "no room" counts as so many failures: 4 minutes */
#define GV_FEELER_MS          900000u /* between two looks at somebody new: 2 kB each */
#define GV_FEELER_NEWS        4u      /* records: then the mesh is in two parts, or was */
#define GV_FEELER_ODDS        64u     /* fewer: one in so many, so that a quiet one heals too */
#define GV_PEER_BOOK_MAX      1024u   /* addresses */
#define GV_DIAL_FIRST_MS      2000u   /* back-off: 2 s, doubling, */
#define GV_DIAL_LAST_MS       600000u /* up to 10 min, for ever, +-25% jitter */
/* And of one that was reached before: so much at most, and as much again for each peer. Who has
 * lost all finds them within a minute of their being back; 2 peers and 5 dead addresses are 130
 * tries an hour, 25 kB. */
#define GV_DIAL_LONELY_MS 45000u
/* Between two tries of a peer that was lost, if there are others enough: 11 kB an hour. */
#define GV_SEEK_MS     60000u
#define GV_SEEK_FOR_MS 86400000u /* a day: then feelers alone find it */
#define GV_DIAL_MS     15000u    /* a connection attempt gets this long */
/* An address record counts for 10 days and is made anew after 7: each goes to everybody, 400 bytes
 * in and out with headers; 10,000 nodes that made one a day cost each of them 167 kB an hour. */
#define GV_ADDRESS_LIFE_MIN  14400u
#define GV_ADDRESS_RENEW_MIN 10080u
#define GV_ADDRESS_WIRE_MAX  128u

/* Signals. */
#define GV_AHEAD_MIN 10u /* ahead of the clock by more: held back */
/* 125 instances at their (32 + 32) * 25, about 60 MB; those of no standing get half of it at
 * most. */
#define GV_STATEMENTS_MAX    200000u
#define GV_HISTORY_MAX       200000u
#define GV_DESCRIPTORS_MAX   8u /* in force, or waiting for their time; the root signs few */
#define GV_CERTIFICATES_MAX  200000u
#define GV_RETRACTS_PER_HOUR 32u /* of an instance, as signals */
/* A node that forgot its last number goes on a day ahead of the clock: nobody holds a signal
 * dated further ahead than GV_AHEAD_MIN, or older than a day. */
#define GV_SEQUENCE_LEAP_MS 86400000u
/* A head of the registry's log is passed on for 3 days: as long as halves of a mesh may be apart
 * and still compare. */
#define GV_LOG_HEAD_LIFE_MIN 4320u
/* Of one registry key: two show what a third would; so at most 8 * 73 * 2 of 120 bytes. */
#define GV_LOG_HEADS_PER_HOUR 2u
#define GV_REPLACED_PER_HOUR  4u  /* address records and fault proofs of an instance */
#define GV_DISPLACED_PER_HOUR 64u /* signals of an instance that push others out of its 32 */

/* Messages. */
#define GV_RECORDS_PER_MESSAGE 64u
/* Of a certificate's id, in a short record: of 10,000 certificates two share one once in 86
 * meshes. */
#define GV_PREFIX_LEN            4u
#define GV_PREFIX_TRIES          4u /* certificates that one may mean */
#define GV_MISMATCHES_PER_MINUTE 4u /* signatures that were looked at in vain, of a peer */
#define GV_IDS_PER_MESSAGE       256u
#define GV_MESSAGE_MAX           12288u /* RECORDS and RECONCILE are cut at this size */
#define GV_AGENT_MAX             32u
#define GV_LINK_QUEUE_MAX        (1u << 20) /* bytes waiting for a slow reader: then it is closed */

/* Spread and repair. */
#define GV_COALESCE_MS  5000u /* what is not urgent waits this long for company */
#define GV_SPREAD_TREES 8u    /* bits of a byte; with 8 nobody is inside many */
#define GV_FIRSTS       1u    /* a link is of use that brought one of the last so many */
#define GV_LOST_GRAFTS  2u    /* links that may take the place of one that ended */
#define GV_LINK_SPARED  4u    /* duplicates before a link that was grafted is pruned */
/* Between two frames of news on a link: a tree of seven floors stays under 4 s even in a storm. */
#define GV_SPREAD_GAP_MS 500u
#define GV_SPREAD_BURST  4u /* frames that may go without one */
/* In OFFER and GRAFT: 29 bits of the id, 3 of the tree. One in 2,700 is taken for another where
 * 200,000 are held; repair brings that one. */
#define GV_MARK_LEN 4u
#define GV_RECENT   1024u /* records remembered until they are offered */
/* New records of one message beyond which they are old ones that one side had missed. */
#define GV_HAUL           8u
#define GV_HAUL_REPAIR_MS 10000u   /* to 20 s after one: was that all? */
#define GV_HAUL_OLD_MIN   2u       /* minutes: what is younger is news, however much of it comes */
#define GV_HAUL_FOR_MS    120000u  /* so long repair is worth as much as news, */
#define GV_HAUL_AGAIN_MS  3600000u /* and so seldom: what it costs comes out of one bucket */
/* Comparisons that a node begins after a haul even if it gave away all that it had, and bytes that
 * its answers in all of them, and in each, may cost then. Once an hour for what came and once for
 * what was only offered: less than the 40 kB that nothing else takes. */
#define GV_HAUL_TRIES    3u
#define GV_HAUL_BYTES    15000u
#define GV_HAUL_EACH     12000u
#define GV_HAUL_ANSWER   256u   /* as which the headers of one count, and what begins it again */
#define GV_ASKED         1024u  /* marks remembered of a haul: 16 kB */
#define GV_ASKED_MS      5000u  /* whoever was asked has answered by then, or will not */
#define GV_OFFER_AGE_MS  2000u  /* by then a tree has brought it everywhere */
#define GV_OFFER_MS      15000u /* between two offers: a frame each, 23 kB an hour */
#define GV_OFFER_BUSY_MS 20000u /* in a busy hour, when more of them go along with news */
#define GV_OFFER_BURST   4u     /* offers that may go without a pause */
/* Marks looked at, of a peer: as many as he is given records, so that a half of the mesh can be
 * offered in one minute. */
#define GV_OFFERED_PER_MINUTE GV_WANTS_PER_MINUTE
#define GV_OFFERED_LEAST      64u    /* as which a shorter offer counts: an answer has headers */
#define GV_REPAIR_MIN_MS      60000u /* with a random peer, every 60 to 300 s */
#define GV_REPAIR_MAX_MS      300000u
/* Comparisons in a row that nobody answers, for all whom a node has may be dry: then it looks for
 * somebody new. */
#define GV_REPAIR_UNANSWERED 2u
#define GV_REPAIR_SPLIT      16u   /* ranges that one that differs is split into */
#define GV_REPAIR_LIST       32u   /* a range of up to so many is sent as ids */
#define GV_REPAIR_PER_MINUTE 128u  /* reconcile messages answered on a link */
#define GV_ACKS_PER_MINUTE   2048u /* of own statements, a peer: 64 an hour in 24 h, and some */
/* Of what a peer said before, acknowledged again: 4 frames of 64, or what one says again who
 * lost the answer. */
#define GV_REPEATS_PER_MINUTE 256u
#define GV_WANTS_PER_MINUTE   8192u /* records given to a peer in a minute, asked for or not */

/* Servers of one admin (SPEC 9.8). */
#define GV_TRUSTED_MAX        64u       /* owners that the admin names */
#define GV_OWN_LINKS_MAX      16u       /* own hosts that are dialled beside the peers */
#define GV_FOLLOWERS_MAX      16u       /* of owners that this node does not trust itself */
#define GV_FOLLOWS_PER_MINUTE 4u        /* answered: each looks through the whole local history */
#define GV_LOCKS_PER_MESSAGE  256u      /* of at most 14 bytes: 3.6 kB */
#define GV_FLOW_TELL_MS       3600000u  /* 9.11: once an hour */
#define GV_FLOW_KEPT_MS       10800000u /* two may be lost */
#define GV_LOCKS_TELL_MS      1000u     /* one message a second at most: a head costs 100 bytes */
#define GV_LOCK_TOLD_MAX_S    3600u     /* as long as a lock holds */
#define GV_OWN_LOCKS_MAX      65536u    /* held, of all own hosts: about 6 MB */

/* Keepers. */
/* 0.2^7: at 20% malicious nodes one subject in 78,000 has none that is honest. */
#define GV_KEEPERS 7u
/* Told by a node that is busy: at 20% malicious nodes one case in 15,600 has no honest one of
 * six, in 78,000 of seven. */
#define GV_KEEPERS_BUSY   6u
#define GV_KEEPERS_RANKED 14u /* with those that stand in */
#define GV_KEEPER_ACKS    5u  /* while fewer hold it, they do */
#define GV_KIN_MAX        8u  /* other instances of one's owner: the registry allows 5 */
/* A rank waits for the one before: a session, a tree, and some. */
#define GV_SHOUT_STEP_MS 1500u
#define GV_LATER_MS      120000u /* votes beyond those that a verdict takes wait for company */
#define GV_LATER_STEP_MS 15000u  /* and go from node to node with less haste */
#define GV_CALM_MS       1000u   /* so long, at each */
/* Of the cap, by the pace of the last 10 to 20 minutes: what changes no verdict that most act on
 * waits above. */
#define GV_BUSY_PERCENT       25u
#define GV_PENDING_MAX        1024u /* cases that wait for their turn; more go at once */
#define GV_ERRANDS_MAX        2048u /* own words under way: 64 an hour for 24 hours, and some */
#define GV_ERRAND_ACKS        (GV_KEEPERS_RANKED + GV_KIN_MAX)
#define GV_ERRAND_LINKS       32u     /* of our connections, at a time */
#define GV_ERRAND_FIRST_MS    3000u   /* for two round trips of the slowest */
#define GV_ERRAND_LAST_MS     600000u /* between two tries, trebled up to here */
#define GV_ERRAND_ROOM_MS     500u    /* until there is room again */
#define GV_ERRAND_RESUME_MS   30000u  /* after a restart, not all at once */
#define GV_ERRAND_IDLE_MS     5000u   /* then the session ends; and at whom it came to, */
#define GV_ERRAND_PATIENCE_MS 60000u  /* after so long */
#define GV_QUESTIONS_MAX      8u      /* of the admin's, at a time */
#define GV_ASKED_KEEPERS      3u      /* each tells that somebody is interested */
#define GV_QUESTION_MS        10000u  /* for a session, or somebody who is down */
#define GV_PINGS_PER_MINUTE   4u      /* answered, of a peer, who needs one in four minutes */
#define GV_ASKS_PER_MINUTE    30u     /* answered, of a peer */
#define GV_ASKED_MAX          32u     /* records in the answer */

/* Traffic. The promise is 1 MB an hour (SPEC 13.2). */
#define GV_TRAFFIC_CAP 1000000u /* bytes an hour, in and out with headers */
/* Sixtieths of the cap that a peer may send in a minute, unasked, before it is sent away. */
#define GV_FLOOD_SHARES 4u
/* In a comparison that we began, and of records that came of one, a byte of so many counts: 500 kB
 * a minute, half of a mesh. */
#define GV_ASKED_PART            8u
#define GV_TRAFFIC_CAP_MAX       1000000000u /* a bucket's sums stay far from overflow */
#define GV_TRAFFIC_DEPTH_PERCENT 20u         /* of the cap: what may be moved at once */
#define GV_TRAFFIC_FLOW_PERCENT  70u         /* of the cap: what flows in */
#define GV_RESERVE_DEPTH_PERCENT 4u /* the same, for news alone while others emptied the bucket */
#define GV_RESERVE_FLOW_PERCENT  2u /* What is left of the cap is for what never waits */
/* What a full bucket lets by is saved, of the cap, for what follows a haul: 6 hours of halves at
 * 1,000 nodes are 65 kB in and as much out on average, and three times that at some. Taken only
 * while the last hour had less than GV_SAVED_UNTIL_PERCENT, by one peer no more than a third of it
 * and what he brought; and then the bucket is closed once the hour had what bucket and flow are. */
#define GV_SAVED_PERCENT       30u
#define GV_SAVED_UNTIL_PERCENT 75u
#define GV_SAVED_EACH_PERCENT  10u
#define GV_SEGMENT             1400u
#define GV_SEGMENT_HEADERS     66u     /* IPv4 40, time stamps 12 of them, half a bare ACK */
#define GV_CONNECTION_HEADERS  200u    /* each way: SYN, ACK, FIN, ACK of 52 to 60 bytes */
#define GV_JOIN_MS             600000u /* a new session's first repair is a join so long at most */
/* Records that come so soon after a RECONCILE or WANT were asked for. */
#define GV_EXCHANGE_MS 10000u

#endif
