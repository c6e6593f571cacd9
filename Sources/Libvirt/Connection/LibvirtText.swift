// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A string libvirt allocated for us, freed here.
func takeString(_ pointer: UnsafeMutablePointer<CChar>) -> String {
    defer { free(pointer) }
    return String(cString: pointer)
}
