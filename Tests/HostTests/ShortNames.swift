// SPDX-License-Identifier: Apache-2.0

import LXCHypervisor

// The facade's types by their own names, as tests write them on every line.
typealias Configuration = LXCHypervisor.Configuration
typealias ConsoleLogPart = LXCHypervisor.ConsoleLogPart
typealias ConsoleLogPolicy = LXCHypervisor.ConsoleLogPolicy
typealias ConsoleLogPosition = LXCHypervisor.ConsoleLogPosition
typealias Container = LXCHypervisor.Container
typealias ContainerFiles = LXCHypervisor.ContainerFiles
typealias ContainerSpecification = LXCHypervisor.ContainerSpecification
typealias GuestIdentity = LXCHypervisor.GuestIdentity
typealias HostFacts = LXCHypervisor.HostFacts
typealias HostStatistics = LXCHypervisor.HostStatistics
typealias IDMapPolicy = LXCHypervisor.IDMapPolicy
typealias LeasePolicy = LXCHypervisor.LeasePolicy
typealias Leftover = LXCHypervisor.Leftover
typealias LibvirtMounter = LXCHypervisor.LibvirtMounter
typealias StoreLocation = LXCHypervisor.StoreLocation
typealias SystemVM = LXCHypervisor.SystemVM
typealias SystemVMSpecification = LXCHypervisor.SystemVMSpecification
typealias UnreachableStore = LXCHypervisor.UnreachableStore
typealias VifDrivers = LXCHypervisor.VifDrivers
