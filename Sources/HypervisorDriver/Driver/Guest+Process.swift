// SPDX-License-Identifier: Apache-2.0

import LXCCore

extension Guest {
    /// The process id on this host of a container's process 1; `nil` if it is not running here.
    ///
    /// It is a child of the container's controller, whose process id is ``id``. Determined without consulting anything
    /// under the container's control.
    public var initProcess: Int32? {
        id.flatMap { try? GuestInit(childOf: $0, shown: "\(name)").number }
    }
}
