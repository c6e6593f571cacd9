// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <stdint.h>
#include <sys/types.h>

// Network devices by rtnetlink(7). Every call takes a socket of clinux_link_open() and returns 0, or -1 with errno.

/// What the kernel says of a network device.
struct clinux_link {
    int index;
    char name[16];
    /// The kind of virtual device, such as `bridge`, `vlan`, `vxlan`, `veth`; empty for a physical one.
    char kind[16];
    unsigned char address[6];
    unsigned flags;
    uint32_t mtu;
    /// The index of the device it is a port or member of; 0 for none.
    uint32_t master;
    /// The index of the device it lies on, or of the other end of a cable, maybe in another namespace; 0 for none.
    uint32_t lower;
    /// The number of its group (`ip link show group`).
    uint32_t group;
    /// The VLAN's id or the VXLAN's network identifier.
    uint32_t id;
};

/// A socket for the devices of a network namespace, given by a descriptor of it; of the caller's own for -1. The
/// caller's thread stays where it is.
int clinux_link_open(int network_namespace);

/// Reads the device of a name: ENODEV when there is none.
int clinux_link_get(int socket, const char *name, struct clinux_link *link);

/// Finds a device of a kind by its six bytes of hardware address, or any for NULL, and by the device it lies on, the other
/// end of a cable too, or any for 0: ENODEV when there is none.
int clinux_link_find(int socket, const unsigned char *address, const char *kind, uint32_t lower,
                     struct clinux_link *link);

// Devices are made down and with their group in one step, so that whoever sees one sees whose it is.

/// Makes a bridge without forward delay.
int clinux_link_add_bridge(int socket, const char *name, uint32_t group);

/// Makes the device of a VLAN on another.
int clinux_link_add_vlan(int socket, const char *name, uint32_t group, uint32_t lower, uint16_t id);

/// Makes the device of a VXLAN that reaches its other ends by multicast, an address in network byte order.
int clinux_link_add_vxlan(int socket, const char *name, uint32_t group, uint32_t lower, uint32_t id, uint32_t multicast,
                          uint8_t ttl, uint16_t port);

int clinux_link_delete(int socket, int index);

int clinux_link_set_up(int socket, int index);
int clinux_link_set_master(int socket, int index, uint32_t master);
int clinux_link_set_address(int socket, int index, const unsigned char address[6]);
int clinux_link_set_mtu(int socket, int index, uint32_t mtu);
int clinux_link_set_name(int socket, int index, const char *name);

/// Has the kernel give the device no IPv6 address of its own accord.
int clinux_link_set_no_ipv6_address(int socket, int index);

/// Adds an IPv4 address in network byte order: EEXIST when the device has it.
int clinux_link_add_address(int socket, int index, uint32_t address, uint8_t prefix_length);

/// Whether the device has an IPv4 address: 1 or 0.
int clinux_link_has_address(int socket, int index);
