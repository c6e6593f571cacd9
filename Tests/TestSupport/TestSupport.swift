// SPDX-License-Identifier: Apache-2.0

// The servers are a product of their own, because the examples' tests and the benchmarks use them too.
@_exported public import _LXCTestServers
