import LXCHypervisor

var configuration = LXCHypervisor.Configuration(primary: "/srv/lxc/primary", secondary: "/srv/lxc/secondary")
configuration.makesMissingPool = true
let host = try await LXCHypervisor.open(configuration)
