// SPDX-License-Identifier: Apache-2.0

// A process that installs a template and never comes to its end, for tests that kill it.
//
//     StoreWriter DIRECTORY|URL TEMPLATE        writes a line when part of it is unpacked
import FileTree
import Foundation
import LXCCore
import LXCTesting
import NFSClient
import PrimaryStore

let (place, template) = (CommandLine.arguments[1], try TemplateID(parsing: CommandLine.arguments[2]))
let store: any PrimaryStore =
    if place.hasPrefix("nfs://") { try await NFSStore(NFSURL(parsing: place)) } else {
        try await SharedMountPointStore(path: place)
    }
var tree = MemoryTree.smallRoot(user: geteuid(), group: getegid())
tree.beforeEntry = { index in
    guard index == 5 else { return }
    print("begun")
    fflush(nil)
    while true { sleep(60) }
}
_ = try await store.installTemplate(template, from: tree)
