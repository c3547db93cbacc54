// The hosts of a site, as its settings name them.
import { Refusal } from '@understudy/base/errors'
import type { Host } from './host.ts'
import { localHost } from './local-host.ts'
import type { KvmHostSettings, KvmSecrets, KvmSettings } from './settings.ts'
import { sshHost } from './ssh-host.ts'

/** Opens nothing yet: a host is connected to when it is first asked something. */
export const openHosts = (settings: KvmSettings, secrets: KvmSecrets): readonly Host[] =>
  settings.hosts.map((host) => openHost(host, secrets))

function openHost({ name, machinesFolder, address }: KvmHostSettings, secrets: KvmSecrets): Host {
  if (address.kind === 'local') return localHost({ name, machinesFolder })
  if (secrets.privateKey === undefined)
    throw new Refusal({
      code: 'kvm/settings',
      message: `Host ${name} is reached by ssh, but there is no private key`,
      remedy: 'Add the private key.',
    })
  return sshHost({ name, machinesFolder, address, privateKey: secrets.privateKey })
}
