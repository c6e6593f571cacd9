// SPDX-License-Identifier: Apache-2.0

import LXCHypervisor

// usage: embedding ARCHIVE DIRECTORY. The directory holds `primary` and `secondary`.
let (archive, directory) = (CommandLine.arguments[1], CommandLine.arguments[2])
var configuration = LXCHypervisor.Configuration(primary: "\(directory)/primary", secondary: "\(directory)/secondary")
configuration.makesMissingPool = true
let key = TemplateKey(account: 1, id: 10)
try await LXCHypervisor.withHost(configuration) { host in
    try await host.registerTemplate(TemplateRegistration(key: key, name: "debian-12", source: archive))
    let template = try await host.installTemplate(key)

    var specification = LXCHypervisor.ContainerSpecification(name: try GuestName("web1"), template: template.id)
    specification.limits.memory = .mebibytes(256)
    let container = try await host.createContainer(specification)
    try await container.start()
    print(try await container.info(), try await container.statistics())
    try await container.stop(within: .seconds(10))
    try await container.delete()
}
