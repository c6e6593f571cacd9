// SPDX-License-Identifier: Apache-2.0

import LXCCore

extension OperatingSystem {
    /// Removes the modelled parts from `<os>`.
    init(taking rest: inout XMLFragment) throws {
        self.init(kind: nil)
        try rest.read("type") { type in
            architecture = type.take("arch")
            machine = type.take("machine")
            kind = type.takeCase()
            return nil as Void?
        }
        initPath = try rest.readText("init")
        initArguments = try rest.readEach("initarg") { argument in
            let text = argument.takeText()
            return argument.whole(text)
        }
        initEnvironment = try rest.readEach("initenv") { variable in
            guard let name = variable.take("name") else { return nil }
            let value = variable.takeText()
            return variable.whole(EnvironmentVariable(name, value))
        }
        initDirectory = try rest.readText("initdir")
        initUser = try rest.readText("inituser")
        initGroup = try rest.readText("initgroup")
        kernel = try rest.readText("kernel")
        initialRAMDisk = try rest.readText("initrd")
        kernelCommandLine = try rest.readText("cmdline")
        bootDevices = try rest.readEach("boot") { boot in
            let device: BootDevice? = boot.takeCase("dev")
            return boot.whole(device)
        }
        rest.sort(Self.order)
    }

    /// Puts the model's values into `<os>`.
    func write(_ element: inout XMLFragment) throws {
        try element.write("type") { type in
            try type.set("arch", architecture, .word)
            try type.set("machine", machine, .word)
            if let kind { type.setText(kind.rawValue) }
        }
        try writeInit(&element)
        try element.writeText("kernel", kernel, .absoluteFilePath)
        try element.writeText("initrd", initialRAMDisk, .absoluteFilePath)
        try element.writeText("cmdline", kernelCommandLine)
        try element.writeEach("boot", bootDevices) { device in
            XMLFragment("boot", attributes: [XMLFragment.Attribute("dev", device.rawValue)])
        }
        element.sort(Self.order)
    }

    private func writeInit(_ element: inout XMLFragment) throws {
        guard (initUser == nil) == (initGroup == nil) else {
            throw FieldFault("has one of inituser and initgroup; libvirt takes both or none")
        }
        try element.writeText("init", initPath, .absoluteFilePath)
        try element.writeEach("initarg", initArguments) { argument in
            try TextRule.argument.check(argument)
            return XMLFragment("initarg", text: argument)
        }
        try element.writeEach("initenv", initEnvironment) { variable in
            var child = XMLFragment("initenv", text: variable.value)
            try child.set("name", variable.name, .environmentName)
            try TextRule.environmentValue.check(variable.value)
            return child
        }
        try element.writeText("initdir", initDirectory, .absoluteFilePath)
        try element.writeText("inituser", initUser, .accountName)
        try element.writeText("initgroup", initGroup, .accountName)
    }

    private static let order = [
        "type", "init", "initarg", "initenv", "initdir", "inituser", "initgroup", "loader", "nvram", "kernel",
        "initrd", "cmdline", "dtb", "boot", "bootmenu",
    ]
}
