// SPDX-License-Identifier: Apache-2.0

import LXCCore
public import LXCHypervisor

extension LXCHypervisor.ContainerSpecification {
    /// Gives the container the processors of a CloudStack service offering, and limits them as it says.
    ///
    /// Shares are processors × MHz. On control groups of version 2 they are scaled to the range 1 to 10000 by the total
    /// MHz of the host's processors, rounded up, and at least 2, the least that libvirt before 9.1 accepts. With a
    /// limit, the period is 10000 µs and the quota that percentage of it; if the quota would be less than libvirt's
    /// minimum of 1000 µs, it is 1000 and the period longer, up to 1000000.
    ///
    /// - Parameters:
    ///   - count: the processors.
    ///   - megahertz: the guaranteed speed of each, after overcommitment.
    ///   - limit: the share of a processor's time it may use, 0.4 for 40 %; nil limits nothing.
    ///   - hostCapacity: the total MHz of the host's processors, if its control groups are of version 2.
    /// - Throws: `LXCError` `invalidArgument` for numbers that are not positive.
    public mutating func setOffering(
        processors count: Int, megahertz: Int, limit: Double? = nil, hostCapacity: Int? = nil
    ) throws {
        guard count > 0, megahertz > 0, hostCapacity ?? 1 > 0,
            count.multipliedReportingOverflow(by: megahertz).overflow == false
        else { throw LXCError(.invalidArgument, "processors and MHz of an offering must be above zero") }
        let requested = count * megahertz
        var shares = requested
        if let hostCapacity {
            let (product, overflow) = requested.multipliedReportingOverflow(by: 10_000)
            shares = overflow ? 10_000 : min(10_000, product / hostCapacity + (product % hostCapacity == 0 ? 0 : 1))
        }
        cpus = count
        limits.cpuShares = UInt64(min(262_144, max(2, shares)))
        (limits.cpuPeriod, limits.cpuQuota) = try limit.map(Self.quota) ?? (nil, nil)
    }

    /// The accounting period, and a processor's share of it.
    private static func quota(_ limit: Double) throws -> (Duration?, Duration?) {
        guard limit > 0, limit.isFinite else {
            throw LXCError(.invalidArgument, "the processor limit of an offering must be above zero")
        }
        let quota = Int64(min(10_000 * limit, 17_592_186_044_415))
        return quota < 1000
            ? (.microseconds(Int64(min(1_000_000, 1000 / limit))), .microseconds(1000))
            : (.microseconds(10_000), .microseconds(quota))
    }
}
