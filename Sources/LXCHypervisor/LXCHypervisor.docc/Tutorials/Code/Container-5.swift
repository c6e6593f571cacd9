import LXCHypervisor

var configuration = LXCHypervisor.Configuration(primary: "/srv/lxc/primary", secondary: "/srv/lxc/secondary")
configuration.makesMissingPool = true
let host = try await LXCHypervisor.open(configuration)

let key = TemplateKey(account: 1, id: 10)
_ = try await host.registerTemplate(
    TemplateRegistration(key: key, name: "debian-12", source: "debian-12.tar.gz"))
let template = try await host.installTemplate(key)

var specification = LXCHypervisor.ContainerSpecification(name: try GuestName("web1"), template: template.id)
specification.limits.memory = .mebibytes(256)
let container = try await host.createContainer(specification)
try await container.start()

let command = GuestCommand(["/bin/cat", "/etc/os-release"])
let result = try await container.run(command, timeout: .seconds(10))
print(String(decoding: result.output, as: UTF8.self))

try await container.stop(within: .seconds(10))
try await container.delete()
await host.close()
