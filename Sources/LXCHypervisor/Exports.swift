// SPDX-License-Identifier: Apache-2.0

// The types an embedder uses together with the facade, exported individually so that a single import suffices and adds
// no unneeded names. Everything else has its own product: driver authors import their driver family, readers of file
// trees import `FileTree`.

@_exported public import struct FileTree.TreeDigest
@_exported public import struct FileTree.TreeLimits
@_exported public import struct HypervisorDriver.CommandResult
@_exported public import struct HypervisorDriver.Guest
@_exported public import struct HypervisorDriver.GuestCommand
@_exported public import enum HypervisorDriver.GuestCommandFault
@_exported public import protocol HypervisorDriver.GuestConsole
@_exported public import struct HypervisorDriver.GuestEvent
@_exported public import struct HypervisorDriver.GuestLimits
@_exported public import protocol HypervisorDriver.GuestProcess
@_exported public import struct HypervisorDriver.GuestSignal
@_exported public import enum HypervisorDriver.GuestState
@_exported public import struct HypervisorDriver.GuestStatistics
@_exported public import protocol HypervisorDriver.HypervisorDriver
@_exported public import struct HypervisorDriver.LibvirtContainers
@_exported public import protocol HypervisorDriver.LibvirtDriver
@_exported public import struct HypervisorDriver.LibvirtMachines
@_exported public import class HypervisorDriver.PrivateLibvirtd
@_exported public import struct HypervisorDriver.TerminalSize
@_exported public import enum HypervisorDriver.TerminationStatus
@_exported public import struct LXCCore.ByteCount
@_exported public import struct LXCCore.CPUSet
@_exported public import struct LXCCore.GuestName
@_exported public import struct LXCCore.IDMap
@_exported public import struct LXCCore.Identifier
@_exported public import struct LXCCore.LXCError
@_exported public import struct LXCCore.Locator
@_exported public import typealias LXCCore.PoolID
@_exported public import typealias LXCCore.ProgressHandler
@_exported public import typealias LXCCore.TemplateID
@_exported public import struct LXCCore.TransferProgress
@_exported public import typealias LXCCore.VolumeID
@_exported public import struct LibvirtXML.ContainerMetadata
@_exported public import struct LibvirtXML.MACAddress
@_exported public import class LinuxSystem.ConfinedRoot
@_exported public import struct LinuxSystem.SystemCallError
@_exported public import struct NFSClient.NFSURL
@_exported public import struct PrimaryStore.NFSStore
@_exported public import protocol PrimaryStore.PrimaryStore
@_exported public import struct PrimaryStore.SharedMountPointStore
@_exported public import struct PrimaryStore.StoreCapacity
@_exported public import struct PrimaryStore.StoreContents
@_exported public import struct PrimaryStore.StoredImage
@_exported public import struct PrimaryStore.StoredTemplate
@_exported public import struct PrimaryStore.StoredVolume
@_exported public import struct PrimaryStore.VolumeLease
@_exported public import struct TemplateStore.Checksum
@_exported public import struct TemplateStore.DownloadOptions
@_exported public import struct TemplateStore.LocalSecondaryStorage
@_exported public import struct TemplateStore.NFSSecondaryStorage
@_exported public import struct TemplateStore.TemplateKey
@_exported public import struct TemplateStore.TemplateRegistration
@_exported public import protocol TemplateStore.TemplateStore
@_exported public import struct VifDriver.BridgeVifDriver
@_exported public import enum VifDriver.BroadcastDomain
@_exported public import struct VifDriver.DirectVifDriver
@_exported public import struct VifDriver.IPNetwork
@_exported public import struct VifDriver.NIC
@_exported public import struct VifDriver.NICSecurity
@_exported public import struct VifDriver.SecurityRule
@_exported public import enum VifDriver.TrafficType
@_exported public import protocol VifDriver.VifDriver
