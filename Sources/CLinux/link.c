// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/in6.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

// MARK: Requests

/// One request under construction.
struct request {
    struct nlmsghdr header;
    union {
        struct ifinfomsg link;
        struct ifaddrmsg address;
    } body;
    char attributes[512];
    /// Whether an attribute did not fit: such a request is never sent.
    bool is_too_long;
};

static struct request link_request(uint16_t type, uint16_t flags, int index) {
    struct request request = {
        .header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)), .nlmsg_type = type,
                   .nlmsg_flags = NLM_F_REQUEST | flags},
        .body.link = {.ifi_family = AF_UNSPEC, .ifi_index = index},
    };
    return request;
}

static struct rtattr *put(struct request *request, uint16_t type, const void *data, size_t size) {
    size_t begin = NLMSG_ALIGN(request->header.nlmsg_len), room = offsetof(struct request, is_too_long) - begin;
    if (size > room || RTA_SPACE(size) > room) {
        request->is_too_long = true;
        return (struct rtattr *)request->attributes;
    }
    struct rtattr *attribute = (struct rtattr *)((char *)request + begin);
    attribute->rta_type = type;
    attribute->rta_len = RTA_LENGTH(size);
    if (size) memcpy(RTA_DATA(attribute), data, size);
    request->header.nlmsg_len = NLMSG_ALIGN(request->header.nlmsg_len) + RTA_ALIGN(attribute->rta_len);
    return attribute;
}

static void put_u32(struct request *request, uint16_t type, uint32_t value) {
    put(request, type, &value, sizeof value);
}

static void put_text(struct request *request, uint16_t type, const char *text) {
    put(request, type, text, strlen(text) + 1);
}

/// Begins an attribute that holds the ones put after it, until close_nest().
static struct rtattr *open_nest(struct request *request, uint16_t type) {
    return put(request, type | NLA_F_NESTED, NULL, 0);
}

static void close_nest(struct request *request, struct rtattr *nest) {
    nest->rta_len = (unsigned short)((char *)request + request->header.nlmsg_len - (char *)nest);
}

static int send_request(int socket, const struct request *request) {
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    ssize_t sent = sendto(socket, request, request->header.nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof kernel);
    return sent < 0 ? -1 : 0;
}

// MARK: Answers

/// Sees one message; true ends the reading of others.
typedef bool (*visitor)(const struct nlmsghdr *message, void *context);

/// How the reading of one datagram ended.
enum reading { ANSWERED, FAILED, UNFINISHED };

/// What answers one request.
struct answers {
    uint32_t sequence;
    visitor visit;
    void *context;
    bool is_seen, is_interrupted;
};

static enum reading fail(int error) {
    errno = error;
    return FAILED;
}

/// The result at the end of a list, which the kernel may put behind its header.
static enum reading end_of_list(const struct nlmsghdr *message, const struct answers *answers) {
    int result = 0;
    if (message->nlmsg_len >= NLMSG_LENGTH(sizeof result)) memcpy(&result, NLMSG_DATA(message), sizeof result);
    if (result < 0) return fail(-result);
    // The devices changed while they were listed: one may be missing.
    return answers->is_interrupted && !answers->is_seen ? fail(EINTR) : ANSWERED;
}

static enum reading read_message(const struct nlmsghdr *message, struct answers *answers) {
    // The answer to a request before this one that was given up is still to come on the same socket.
    if (message->nlmsg_seq != answers->sequence) return UNFINISHED;
    if (message->nlmsg_flags & NLM_F_DUMP_INTR) answers->is_interrupted = true;
    if (message->nlmsg_type == NLMSG_DONE) return end_of_list(message, answers);
    if (message->nlmsg_type == NLMSG_ERROR) {
        const struct nlmsgerr *answer = NLMSG_DATA(message);
        if (message->nlmsg_len < NLMSG_LENGTH(sizeof answer->error)) return fail(EBADMSG);
        return answer->error ? fail(-answer->error) : ANSWERED;
    }
    if (answers->visit && !answers->is_seen) answers->is_seen = answers->visit(message, answers->context);
    return UNFINISHED;
}

/// Reads answers up to the last: an acknowledgement, an error, or the end of a list.
static int receive(int socket, struct answers *answers) {
    // 32 KiB is the most the kernel puts into one datagram of a list.
    static _Thread_local char buffer[32768] __attribute__((aligned(NLMSG_ALIGNTO)));
    while (true) {
        struct sockaddr_nl sender = {0};
        struct iovec part = {.iov_base = buffer, .iov_len = sizeof buffer};
        struct msghdr datagram = {
            .msg_name = &sender, .msg_namelen = sizeof sender, .msg_iov = &part, .msg_iovlen = 1};
        ssize_t size = recvmsg(socket, &datagram, 0);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return -1;
        // Any process may send to the socket; the kernel's number is 0.
        if (datagram.msg_namelen != sizeof sender || sender.nl_pid != 0) continue;
        if (datagram.msg_flags & MSG_TRUNC) {
            errno = EMSGSIZE;
            return -1;
        }
        struct nlmsghdr *message = (struct nlmsghdr *)buffer;
        for (unsigned rest = (unsigned)size; NLMSG_OK(message, rest); message = NLMSG_NEXT(message, rest)) {
            enum reading reading = read_message(message, answers);
            if (reading != UNFINISHED) return reading == ANSWERED ? 0 : -1;
        }
    }
}

static int run(int socket, struct request *request, visitor visit, void *context) {
    if (request->is_too_long) {
        errno = EMSGSIZE;
        return -1;
    }
    static _Atomic uint32_t last_sequence;
    request->header.nlmsg_seq = atomic_fetch_add(&last_sequence, 1) + 1;
    // A list ends with a message of its own. Its flag is two bits, one of which means another thing in other requests.
    if ((request->header.nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP) request->header.nlmsg_flags |= NLM_F_ACK;
    struct answers answers = {.sequence = request->header.nlmsg_seq, .visit = visit, .context = context};
    return send_request(socket, request) < 0 ? -1 : receive(socket, &answers);
}

/// How often a list is asked for that changes while it is read.
enum { LIST_ATTEMPTS = 10 };

static uint32_t u32(const struct rtattr *attribute) {
    uint32_t value = 0;
    if (RTA_PAYLOAD(attribute) >= sizeof value) memcpy(&value, RTA_DATA(attribute), sizeof value);
    return value;
}

static uint16_t u16(const struct rtattr *attribute) {
    uint16_t value = 0;
    if (RTA_PAYLOAD(attribute) >= sizeof value) memcpy(&value, RTA_DATA(attribute), sizeof value);
    return value;
}

static void copy_text(char *to, size_t room, const struct rtattr *attribute) {
    size_t size = RTA_PAYLOAD(attribute) < room - 1 ? RTA_PAYLOAD(attribute) : room - 1;
    memcpy(to, RTA_DATA(attribute), size);
    to[size] = 0;
}

static void read_kind_data(const struct rtattr *data, struct clinux_link *link) {
    int rest = (int)RTA_PAYLOAD(data);
    bool is_vlan = strcmp(link->kind, "vlan") == 0, is_vxlan = strcmp(link->kind, "vxlan") == 0;
    for (struct rtattr *item = RTA_DATA(data); RTA_OK(item, rest); item = RTA_NEXT(item, rest)) {
        if (is_vlan && item->rta_type == IFLA_VLAN_ID) link->id = u16(item);
        if (is_vxlan && item->rta_type == IFLA_VXLAN_ID) link->id = u32(item);
        if (is_vxlan && item->rta_type == IFLA_VXLAN_LINK) link->lower = u32(item);
    }
}

static void read_kind(const struct rtattr *info, struct clinux_link *link) {
    int rest = (int)RTA_PAYLOAD(info);
    // The kind comes before what it says.
    for (struct rtattr *item = RTA_DATA(info); RTA_OK(item, rest); item = RTA_NEXT(item, rest)) {
        if (item->rta_type == IFLA_INFO_KIND) copy_text(link->kind, sizeof link->kind, item);
        if (item->rta_type == IFLA_INFO_DATA) read_kind_data(item, link);
    }
}

static bool read_link(const struct nlmsghdr *message, struct clinux_link *link) {
    if (message->nlmsg_type != RTM_NEWLINK || message->nlmsg_len < NLMSG_LENGTH(sizeof(struct ifinfomsg))) return false;
    const struct ifinfomsg *body = NLMSG_DATA(message);
    *link = (struct clinux_link){.index = body->ifi_index, .flags = body->ifi_flags};
    int rest = (int)IFLA_PAYLOAD(message);
    for (struct rtattr *item = IFLA_RTA(body); RTA_OK(item, rest); item = RTA_NEXT(item, rest)) {
        switch (item->rta_type & NLA_TYPE_MASK) {
        case IFLA_IFNAME: copy_text(link->name, sizeof link->name, item); break;
        case IFLA_MTU: link->mtu = u32(item); break;
        case IFLA_MASTER: link->master = u32(item); break;
        case IFLA_LINK: link->lower = u32(item); break;
        case IFLA_GROUP: link->group = u32(item); break;
        case IFLA_LINKINFO: read_kind(item, link); break;
        case IFLA_ADDRESS:
            if (RTA_PAYLOAD(item) == sizeof link->address) memcpy(link->address, RTA_DATA(item), sizeof link->address);
            break;
        }
    }
    return true;
}

// MARK: Sockets

struct opening {
    int network_namespace, socket, error;
};

static int open_here(void) {
    int socket_ = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    // The kernel answers at once; the limit is for a kernel that does not.
    struct timeval limit = {.tv_sec = 10};
    if (socket_ >= 0) setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return socket_;
}

/// A thread of its own: where it stands ends with it, so no thread of the program can be left in a strange namespace.
static void *open_there(void *context) {
    struct opening *opening = context;
    if (setns(opening->network_namespace, CLONE_NEWNET) == 0) opening->socket = open_here();
    opening->error = errno;
    return NULL;
}

int clinux_link_open(int network_namespace) {
    if (network_namespace < 0) return open_here();
    struct opening opening = {.network_namespace = network_namespace, .socket = -1};
    pthread_t thread;
    int error = pthread_create(&thread, NULL, open_there, &opening);
    if (error == 0) pthread_join(thread, NULL);
    errno = error ? error : opening.error;
    return opening.socket;
}

// MARK: Reading

static bool take_link(const struct nlmsghdr *message, void *context) { return read_link(message, context); }

int clinux_link_get(int socket, const char *name, struct clinux_link *link) {
    *link = (struct clinux_link){0};
    struct request request = link_request(RTM_GETLINK, 0, 0);
    put_text(&request, IFLA_IFNAME, name);
    return run(socket, &request, take_link, link);
}

struct search {
    const unsigned char *address;
    const char *kind;
    uint32_t lower;
    struct clinux_link found;
};

static bool is_wanted(const struct nlmsghdr *message, void *context) {
    struct search *search = context;
    struct clinux_link link;
    if (!read_link(message, &link)) return false;
    if (search->address && memcmp(link.address, search->address, sizeof link.address) != 0) return false;
    if (strcmp(link.kind, search->kind) != 0 || (search->lower && link.lower != search->lower)) return false;
    search->found = link;
    return true;
}

int clinux_link_find(int socket, const unsigned char *address, const char *kind, uint32_t lower,
                     struct clinux_link *link) {
    *link = (struct clinux_link){0};
    for (int attempt = 1; true; attempt++) {
        struct search search = {.address = address, .kind = kind, .lower = lower};
        struct request request = link_request(RTM_GETLINK, NLM_F_DUMP, 0);
        if (run(socket, &request, is_wanted, &search) < 0) {
            if (errno == EINTR && attempt < LIST_ATTEMPTS) continue;
            return -1;
        }
        *link = search.found;
        if (link->index) return 0;
        errno = ENODEV;
        return -1;
    }
}

static bool is_on(const struct nlmsghdr *message, void *context) {
    const struct ifaddrmsg *body = NLMSG_DATA(message);
    unsigned *index = context;
    if (message->nlmsg_type != RTM_NEWADDR || message->nlmsg_len < NLMSG_LENGTH(sizeof *body)) return false;
    if (body->ifa_index != *index) return false;
    *index = 0;
    return true;
}

int clinux_link_has_address(int socket, int index) {
    for (int attempt = 1; true; attempt++) {
        struct request request = {
            .header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifaddrmsg)), .nlmsg_type = RTM_GETADDR,
                       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
            .body.address = {.ifa_family = AF_INET},
        };
        unsigned wanted = (unsigned)index;
        if (run(socket, &request, is_on, &wanted) == 0) return wanted == 0;
        if (errno != EINTR || attempt == LIST_ATTEMPTS) return -1;
    }
}

// MARK: Making

static struct request new_link(const char *name, uint32_t group, uint32_t lower) {
    struct request request = link_request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0);
    put_text(&request, IFLA_IFNAME, name);
    put_u32(&request, IFLA_GROUP, group);
    if (lower) put_u32(&request, IFLA_LINK, lower);
    return request;
}

int clinux_link_add_bridge(int socket, const char *name, uint32_t group) {
    struct request request = new_link(name, group, 0);
    struct rtattr *info = open_nest(&request, IFLA_LINKINFO);
    put_text(&request, IFLA_INFO_KIND, "bridge");
    struct rtattr *data = open_nest(&request, IFLA_INFO_DATA);
    put_u32(&request, IFLA_BR_FORWARD_DELAY, 0);
    close_nest(&request, data);
    close_nest(&request, info);
    return run(socket, &request, NULL, NULL);
}

int clinux_link_add_vlan(int socket, const char *name, uint32_t group, uint32_t lower, uint16_t id) {
    struct request request = new_link(name, group, lower);
    struct rtattr *info = open_nest(&request, IFLA_LINKINFO);
    put_text(&request, IFLA_INFO_KIND, "vlan");
    struct rtattr *data = open_nest(&request, IFLA_INFO_DATA);
    put(&request, IFLA_VLAN_ID, &id, sizeof id);
    close_nest(&request, data);
    close_nest(&request, info);
    return run(socket, &request, NULL, NULL);
}

int clinux_link_add_vxlan(int socket, const char *name, uint32_t group, uint32_t lower, uint32_t id, uint32_t multicast,
                          uint8_t ttl, uint16_t port) {
    struct request request = new_link(name, group, 0);
    struct rtattr *info = open_nest(&request, IFLA_LINKINFO);
    put_text(&request, IFLA_INFO_KIND, "vxlan");
    struct rtattr *data = open_nest(&request, IFLA_INFO_DATA);
    put_u32(&request, IFLA_VXLAN_ID, id);
    put_u32(&request, IFLA_VXLAN_LINK, lower);
    put_u32(&request, IFLA_VXLAN_GROUP, multicast);
    put(&request, IFLA_VXLAN_TTL, &ttl, sizeof ttl);
    uint16_t network_port = htons(port);
    put(&request, IFLA_VXLAN_PORT, &network_port, sizeof network_port);
    close_nest(&request, data);
    close_nest(&request, info);
    return run(socket, &request, NULL, NULL);
}

int clinux_link_delete(int socket, int index) {
    struct request request = link_request(RTM_DELLINK, 0, index);
    return run(socket, &request, NULL, NULL);
}

// MARK: Changing

int clinux_link_set_up(int socket, int index) {
    struct request request = link_request(RTM_NEWLINK, 0, index);
    request.body.link.ifi_flags = request.body.link.ifi_change = IFF_UP;
    return run(socket, &request, NULL, NULL);
}

int clinux_link_set_master(int socket, int index, uint32_t master) {
    struct request request = link_request(RTM_NEWLINK, 0, index);
    put_u32(&request, IFLA_MASTER, master);
    return run(socket, &request, NULL, NULL);
}

int clinux_link_set_address(int socket, int index, const unsigned char address[6]) {
    struct request request = link_request(RTM_NEWLINK, 0, index);
    put(&request, IFLA_ADDRESS, address, 6);
    return run(socket, &request, NULL, NULL);
}

int clinux_link_set_mtu(int socket, int index, uint32_t mtu) {
    struct request request = link_request(RTM_NEWLINK, 0, index);
    put_u32(&request, IFLA_MTU, mtu);
    return run(socket, &request, NULL, NULL);
}

int clinux_link_set_name(int socket, int index, const char *name) {
    struct request request = link_request(RTM_NEWLINK, 0, index);
    put_text(&request, IFLA_IFNAME, name);
    return run(socket, &request, NULL, NULL);
}

int clinux_link_set_no_ipv6_address(int socket, int index) {
    struct request request = link_request(RTM_NEWLINK, 0, index);
    struct rtattr *families = open_nest(&request, IFLA_AF_SPEC);
    struct rtattr *ipv6 = open_nest(&request, AF_INET6);
    uint8_t mode = IN6_ADDR_GEN_MODE_NONE;
    put(&request, IFLA_INET6_ADDR_GEN_MODE, &mode, sizeof mode);
    close_nest(&request, ipv6);
    close_nest(&request, families);
    return run(socket, &request, NULL, NULL);
}

int clinux_link_add_address(int socket, int index, uint32_t address, uint8_t prefix_length) {
    struct request request = {
        .header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifaddrmsg)), .nlmsg_type = RTM_NEWADDR,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL},
        .body.address = {.ifa_family = AF_INET, .ifa_prefixlen = prefix_length, .ifa_index = (unsigned)index},
    };
    put(&request, IFA_LOCAL, &address, sizeof address);
    put(&request, IFA_ADDRESS, &address, sizeof address);
    return run(socket, &request, NULL, NULL);
}
