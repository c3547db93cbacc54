// What every KVM host must have, whoever manages its machines.
import { Refusal } from '@understudy/base/errors'
import type { Host } from './host.ts'
import type { Accelerator } from './settings.ts'

/** Refuses a folder that is not there, and anything of that name that can hold no folders. */
export async function requireMachinesFolder(
  host: Host,
  remedy: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { name, machinesFolder } = host
  if ((await host.status(machinesFolder)) === null)
    throw new Refusal({
      code: 'kvm/no-machines-folder',
      message: `Host ${name} has no folder ${machinesFolder}`,
      remedy,
    })
  // Not by the parent's list: a link to a folder is one.
  if ((await host.run('test', ['-d', machinesFolder], { signal })).code === 0) return
  throw new Refusal({
    code: 'kvm/machines-folder-is-a-file',
    message: `${machinesFolder} on host ${name} is a file, not a folder`,
    remedy: 'Name the folder that holds the folders of the machines.',
  })
}

/** Without it every boot at this site would fail, and a failover is no moment to learn that. */
export async function requireAccelerator(host: Host, accelerator: Accelerator): Promise<void> {
  if (accelerator !== 'kvm' || (await host.status('/dev/kvm')) !== null) return
  throw new Refusal({
    code: 'kvm/no-kvm',
    message: `The site is to use KVM, but host ${host.name} has no /dev/kvm`,
    remedy:
      'Switch virtualisation on in the firmware of that host and load its kvm module, or choose the accelerator tcg, which is slower.',
  })
}
