// What an operator tells us about a KVM site, checked before anything is done with it.
import { Refusal } from '@understudy/base/errors'
import type { Fields } from './checked-fields.ts'
import { fieldsOf } from './checked-fields.ts'

export type KvmHostAddress =
  | { readonly kind: 'local' }
  | {
      readonly kind: 'ssh'
      readonly host: string
      readonly port: number
      readonly user: string
      /** `SHA256:` and 43 characters of base64, as `ssh-keygen -lf` prints it. The host is refused when it shows another key. */
      readonly hostKeySha256: string
    }

export type KvmHostSettings = {
  readonly name: string
  readonly address: KvmHostAddress
  /** Absolute. One folder per machine lies in it. Behind libvirt: what points need, and replicas' disks; QEMU's user must be able to enter. */
  readonly machinesFolder: string
  /** Only with the adapter libvirt, as seen on that host; qemu:///system when it is not given. See toLibvirtUri. */
  readonly libvirtUri?: string
}

export type KvmNetwork = {
  readonly id: string
  readonly name: string
  /** `user`: QEMU's own network, each machine alone behind forwarded ports. `bridge`: a bridge of the host. */
  readonly kind: 'user' | 'bridge'
  readonly isolated: boolean
  readonly bridge?: string
  /** Guest ports of services on a `user` network: a boot has answered when one of them does. None: the guest agent counts. */
  readonly probePorts: readonly number[]
}

export type Accelerator = 'tcg' | 'kvm'

export type KvmSettings = {
  readonly adapter: 'qmp' | 'libvirt'
  readonly hosts: readonly KvmHostSettings[]
  readonly accelerator: Accelerator
  /** A guest that has not run an instruction by then is taken for one that the accelerator cannot run. */
  readonly bootDeadlineSeconds: number
  readonly networks: readonly KvmNetwork[]
  /** Absolute. Where replicas of other sites are kept; the driver itself only passes it on. */
  readonly replicaFolder?: string
}

export type KvmSecrets = {
  /** PEM (OpenSSH or PKCS), without passphrase. Needed as soon as one host is reached by ssh. */
  readonly privateKey?: string
}

const CODE = 'kvm/settings'
// A unix socket's path ends at 107 bytes (unix(7)); the longest name we add is about 60 bytes long.
const LONGEST_FOLDER_BYTES = 80
/** Behind libvirt each machine has a folder in it, with sockets inside. */
const LONGEST_LIBVIRT_FOLDER_BYTES = 66

/** Throws Refusal `kvm/settings`, naming the field that is wrong. */
export function checkKvmSettings(settings: unknown): KvmSettings {
  const fields = fieldsOf(settings, 'settings', CODE)
  const adapter = fields.oneOf('adapter', ['qmp', 'libvirt'])
  const hosts = fields.list('hosts', readHost)
  const networks = fields.list('networks', readNetwork)
  if (hosts.length === 0) throw wrong('settings.hosts is empty', 'Name at least one host.')
  if (adapter === 'libvirt') hosts.forEach(refuseLongFolder)
  refuseDuplicates(
    hosts.map((host) => host.name),
    'host name',
  )
  refuseDuplicates(
    networks.map((network) => network.id),
    'network id',
  )
  const replicaFolder = fields.optionalText('replicaFolder')
  return {
    adapter,
    hosts,
    accelerator: fields.oneOf('accelerator', ['tcg', 'kvm']),
    bootDeadlineSeconds: fields.integer('bootDeadlineSeconds', 1, 3600),
    networks,
    ...(replicaFolder === undefined
      ? {}
      : { replicaFolder: absolute(replicaFolder, 'settings.replicaFolder') }),
  }
}

/** Throws Refusal `kvm/settings` when a host needs a key and there is none. Messages never contain the key. */
export function checkKvmSecrets(
  settings: KvmSettings,
  secrets: Readonly<Record<string, string>>,
): KvmSecrets {
  const privateKey = secrets.privateKey
  const sshHost = settings.hosts.find((host) => host.address.kind === 'ssh')
  if (sshHost !== undefined && (privateKey === undefined || !privateKey.includes('PRIVATE KEY')))
    throw wrong(
      `Host ${sshHost.name} is reached by ssh, but there is no private key in PEM form`,
      'Add the private key.',
    )
  return privateKey === undefined ? {} : { privateKey }
}

function readHost(fields: Fields): KvmHostSettings {
  const libvirtUri = fields.optionalText('libvirtUri')
  const machinesFolder = absolute(fields.text('machinesFolder'), `${fields.where}.machinesFolder`)
  if (Buffer.byteLength(machinesFolder) > LONGEST_FOLDER_BYTES)
    throw wrong(
      `${fields.where}.machinesFolder is longer than ${LONGEST_FOLDER_BYTES} bytes; sockets inside it could not be opened`,
      'Choose a shorter path.',
    )
  return {
    name: fields.text('name', /^[A-Za-z0-9][A-Za-z0-9._ -]{0,62}$/),
    address: readAddress(fields.object('address')),
    machinesFolder,
    ...(libvirtUri === undefined ? {} : { libvirtUri }),
  }
}

function refuseLongFolder({ name, machinesFolder }: KvmHostSettings): void {
  if (Buffer.byteLength(machinesFolder) <= LONGEST_LIBVIRT_FOLDER_BYTES) return
  throw wrong(
    `The machinesFolder of ${name} is longer than ${LONGEST_LIBVIRT_FOLDER_BYTES} bytes; sockets inside it could not be opened`,
    'Choose a shorter path.',
  )
}

function readAddress(fields: Fields): KvmHostAddress {
  if (fields.oneOf('kind', ['local', 'ssh']) === 'local') return { kind: 'local' }
  return {
    kind: 'ssh',
    host: fields.text('host'),
    port: fields.integer('port', 1, 65535),
    user: fields.text('user'),
    hostKeySha256: fields.text('hostKeySha256', /^SHA256:[A-Za-z0-9+/]{43}=?$/),
  }
}

function readNetwork(fields: Fields): KvmNetwork {
  const kind = fields.oneOf('kind', ['user', 'bridge'])
  const bridge = kind === 'bridge' ? fields.text('bridge', /^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$/) : undefined
  return {
    id: fields.text('id', /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/),
    name: fields.text('name'),
    kind,
    isolated: fields.flag('isolated'),
    ...(bridge === undefined ? {} : { bridge }),
    probePorts: fields.has('probePorts') ? readPorts(fields) : [],
  }
}

function readPorts(fields: Fields): readonly number[] {
  const ports = fields.raw('probePorts')
  if (!Array.isArray(ports))
    throw wrong(`${fields.where}.probePorts must be a list`, 'Give a list of port numbers.')
  return ports.map((port: unknown) => {
    if (typeof port !== 'number' || !Number.isInteger(port) || port < 1 || port > 65535)
      throw wrong(
        `${fields.where}.probePorts has "${String(port)}", which is no port`,
        'Use numbers from 1 to 65535.',
      )
    return port
  })
}

function absolute(path: string, where: string): string {
  if (!path.startsWith('/')) throw wrong(`${where} must be an absolute path`, 'Begin it with a slash.')
  return path.length > 1 ? path.replace(/\/+$/, '') : path
}

function refuseDuplicates(names: readonly string[], what: string): void {
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw wrong(`The ${what} "${twice}" is there twice`, `Give every ${what} once.`)
}

const wrong = (message: string, remedy: string): Refusal => new Refusal({ code: CODE, message, remedy })
