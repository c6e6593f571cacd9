/// How an archive is fetched from a web server.
public struct DownloadOptions: Hashable, Sendable {
    /// Whether the archive may come from an address of this host or its own networks: loopback, link-local, private and
    /// whatever else is not reachable for everybody. Without it such addresses are refused where the connection is made,
    /// whatever name or redirect led there.
    public var allowsPrivateAddresses = false
    /// How often a download is retried after it failed without progress.
    public var retries = 5
    /// The first wait before a retry; each further wait is twice as long, up to a minute, and all are
    /// shortened at random by up to a half. A server that asks for a longer wait gets it, up to two minutes.
    public var retryDelay: Duration = .seconds(1)
    /// How long a download may take, all tries and the waits between them together: as long as CloudStack gives a
    /// template of 50 GiB, its largest. What has come until then is kept for the next registration.
    public var timeLimit: Duration = .seconds(12 * 3_600 + 2_700)
    /// How many redirects are followed.
    public var maximumRedirects = 10
    /// A file of certificates (PEM) of the authorities an https server is accepted from; nil for the host's.
    public var certificateAuthorities: String?
    /// How long a server may send nothing, or a connection take, in whole seconds.
    public var patience: Duration = .seconds(60)

    /// The defaults.
    public init() {}
}
