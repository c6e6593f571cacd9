// What an embedder needs beside the facade, so that one import serves.

@_exported public import FileTree
@_exported public import HypervisorDriver
@_exported public import LXCCore
@_exported public import LibvirtXML
@_exported public import LinuxSystem
@_exported public import NFSClient
@_exported public import PrimaryStore
@_exported public import StoreFiles
@_exported public import TarArchive
@_exported public import TemplateStore
@_exported public import VifDriver
