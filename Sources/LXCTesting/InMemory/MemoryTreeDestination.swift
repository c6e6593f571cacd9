// SPDX-License-Identifier: Apache-2.0

public import FileTree
import LXCCore
import Synchronization

/// A destination that keeps the tree copied to it in memory.
public final class MemoryTreeDestination: TreeDestination {
    /// Shown in errors.
    public let description: String

    private let finished = Mutex<MemoryTree?>(nil)

    /// An empty destination for one copy.
    public init(_ description: String = "memory") { self.description = description }

    /// The copied tree, once the copy is complete.
    public var tree: MemoryTree? { finished.withLock { $0 } }

    /// Starts the copy.
    ///
    /// - Throws: `LXCError` `alreadyExists` when there is a tree already.
    public func openForWriting(_ opening: TreeOpening) throws -> any TreeSink {
        guard tree == nil else { throw LXCError(.alreadyExists, "there is a tree in \(description) already") }
        return Writing(self, mustBeSafe: opening.options.requiresSafeRoot)
    }

    private final class Writing: TreeSink {
        private let destination: MemoryTreeDestination
        private let mustBeSafe: Bool
        private var order: [TreePath] = []
        private var nodes: [TreePath: MemoryTree.Node] = [:]
        private var current: TreePath?

        init(_ destination: MemoryTreeDestination, mustBeSafe: Bool) {
            self.destination = destination
            self.mustBeSafe = mustBeSafe
        }

        var losses: TreeLosses { TreeLosses() }
        var strategy: String { "write" }

        func begin(_ entry: TreeEntry, isNew: Bool) throws {
            var contents: [UInt8] = []
            if case .file(let size) = entry.kind { contents = [UInt8](repeating: 0, count: Int(size)) }
            if nodes.updateValue(MemoryTree.Node(entry, contents: contents), forKey: entry.path) == nil {
                order.append(entry.path)
            }
            current = entry.path
        }

        func write(_ piece: TreePiece) throws {
            guard let current, let size = nodes[current]?.contents.count,
                piece.offset <= size, piece.bytes.count <= size - Int(piece.offset)
            else { throw LXCError(.corrupt, "the contents of \(current?.description ?? "-") pass its size") }
            let range = Int(piece.offset)..<(Int(piece.offset) + piece.bytes.count)
            piece.bytes.withUnsafeBytes { nodes[current]?.contents.replaceSubrange(range, with: $0) }
        }

        func end() throws { current = nil }

        func finish() throws {
            var tree = MemoryTree(destination.description)
            tree.nodes = order.compactMap { nodes[$0] }
            if mustBeSafe { try tree.requireSafeRoot() }
            destination.finished.withLock { $0 = tree }
        }

        func abandon() { nodes = [:] }
    }
}

extension MemoryTree {
    /// Mount points of a container's start must be directories; paths that are only read may be links that stay inside.
    ///
    /// - Throws: ``LXCCore/LXCError`` `unsafe`.
    fileprivate func requireSafeRoot() throws {
        for name in ["dev", "proc", "sys", "run", "etc", "sbin"] {
            switch self[name]?.entry.kind {
            case nil, .directory: continue
            case .symbolicLink(let target) where ["etc", "sbin"].contains(name) && Self.staysInside(target): continue
            default:
                throw LXCError(
                    .unsafe, "\"\(name)\" of the root filesystem leads out of it, or is not a directory; refused")
            }
        }
    }

    private static func staysInside(_ target: [UInt8]) -> Bool { (try? TreePath(target)) != nil }
}
