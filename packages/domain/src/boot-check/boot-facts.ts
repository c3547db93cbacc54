// What a machine says of itself that decides whether it would boot on other hardware. Whoever can ask it delivers the same facts: a guest
// agent, an agent inside a physical server.

export type BootFacts = LinuxFacts | WindowsFacts

export type Firmware = 'bios' | 'uefi'

export type LinuxFacts = {
  readonly system: 'linux'
  readonly distribution: {
    /** As os-release has them: `debian`, and what it is like. */
    readonly id: string
    readonly like: readonly string[]
    readonly name: string
  }
  readonly firmware: Firmware
  readonly runningKernel: string
  /** From the newest to the oldest; the newest is the one that boots unless somebody has chosen. */
  readonly kernels: readonly KernelFacts[]
  /** Of the kernel that runs. */
  readonly commandLine: string
  /** Lines without comments; null: it could not be read. */
  readonly fstab: readonly string[] | null
  readonly crypttab: readonly string[]
  /** What mounts a name to an adapter by its hardware address: persistent rules of udev. */
  readonly namingRules: readonly string[]
  readonly interfaces: readonly InterfaceConfiguration[]
  /** Files of network configuration that were read. */
  readonly networkFiles: readonly string[]
  /** `\EFI\BOOT\BOOTX64.EFI`, which firmware starts that knows nothing of this machine yet. Null: not known, or BIOS. */
  readonly fallbackLoader: boolean | null
  /** Null: not known. */
  readonly sshServer: boolean | null
  readonly azureAgent: boolean | null
  readonly cloudInit: boolean | null
}

export type KernelFacts = {
  readonly version: string
  /** Null: not known. */
  readonly builtIn: readonly string[] | null
  /** There as modules, to be loaded once the root is mounted. Null: not known. */
  readonly available: readonly string[] | null
  readonly initramfs:
    | { readonly kind: 'read'; readonly drivers: readonly string[] }
    | { readonly kind: 'unread'; readonly reason: string }
}

/** What is written about an adapter. What is null does not limit to which one it applies. */
export type InterfaceConfiguration = {
  readonly writtenFor: 'netplan' | 'ifupdown' | 'networkmanager' | 'ifcfg' | 'networkd'
  readonly path: string
  /** May hold `*` and `?`. */
  readonly name: string | null
  readonly macAddress: string | null
  readonly driver: string | null
  readonly method: 'dhcp' | 'static' | 'unknown'
}

export type WindowsFacts = {
  readonly system: 'windows'
  readonly name: string
  readonly firmware: Firmware | null
  /** By the service of each driver: 0 boot, 1 system, 2 automatic, 3 on demand, 4 disabled. Absent: it is not installed. */
  readonly startTypes: Readonly<Record<string, number>>
  /** Null: not known. */
  readonly remoteDesktop: boolean | null
  readonly remoteDesktopFirewall: boolean | null
  readonly pendingRestart: readonly string[]
  /** 1: disks that are new come online. */
  readonly sanPolicy: number | null
  /** Adapters in use that have a fixed address. */
  readonly fixedAddresses: readonly string[]
  readonly serialConsole: boolean | null
  readonly azureAgent: boolean | null
}
