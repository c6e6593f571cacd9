// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <libvirt/libvirt-lxc.h>
#include <libvirt/libvirt-qemu.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stddef.h>

/// `VIR_DOMAIN_EVENT_CALLBACK` is a cast macro, which Swift does not import.
static inline int clibvirt_on_lifecycle(virConnectPtr connection, virConnectDomainEventCallback callback,
                                        void *opaque, virFreeCallback release) {
    return virConnectDomainEventRegisterAny(connection, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                                            VIR_DOMAIN_EVENT_CALLBACK(callback), opaque, release);
}
