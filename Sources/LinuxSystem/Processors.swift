// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// The processors of this host.
package enum Processors {
    /// How many the kernel runs.
    package static var online: Int { max(sysconf(CInt(_SC_NPROCESSORS_ONLN)), 1) }

    /// How many this process may run on: a control group or an affinity mask may leave it fewer than there are.
    package static var usable: Int {
        let count = Int(clinux_usable_processors())
        return count > 0 ? count : online
    }
}
