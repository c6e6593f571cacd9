// SPDX-License-Identifier: Apache-2.0

/// Options for fetching an archive from a web server.
public struct DownloadOptions: Hashable, Sendable {
    /// Whether the archive may come from an address of this host or its own networks: loopback, link-local, private and
    /// whatever else is not reachable for everybody. Without it such addresses are refused where the connection is made,
    /// whatever name or redirect led there.
    public var allowsPrivateAddresses = false
    /// The number of retries after failures without progress.
    public var retries = 5
    /// The first wait before a retry; each further wait is twice as long, up to a minute, and all are
    /// shortened at random by up to a half. A server that asks for a longer wait gets it, up to two minutes.
    public var retryDelay: Duration = .seconds(1)
    /// The total time limit of a download, including all tries and waits: the time CloudStack allows for a template of
    /// 50 GiB, its largest. The data received until then is kept for the next registration.
    public var timeLimit: Duration = .seconds(12 * 3_600 + 2_700)
    /// The maximum number of redirects to follow.
    public var maximumRedirects = 10
    /// A file of certificates (PEM) of the authorities an https server is accepted from; nil for the host's.
    public var certificateAuthorities: String?
    /// The time limit for a connection to open, and for a server that sends nothing, in whole seconds.
    public var patience: Duration = .seconds(60)

    /// The defaults.
    public init() {}
}
