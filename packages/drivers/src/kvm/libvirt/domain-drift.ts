// See definition-drift.ts. Behind libvirt a machine that is off is what its persistent definition says; what was attached to
// the running one alone is forgotten with it, and a transient domain wholly.
import type { DiskKey } from '@understudy/domain/machines/machine'
import { disksNotDefined } from '../definition-drift.ts'
import { type DomainDisk, parseDomain } from './domain-xml.ts'
import type { LibvirtMachine } from './libvirt-directory.ts'
import { word } from './virsh-session.ts'

/** Refusal `source/disks-not-defined`, also for a transient domain that runs. Says nothing of one that is off. */
export async function refuseDomainDrift(
  { host, domain }: LibvirtMachine,
  excluded: readonly DiskKey[],
  signal?: AbortSignal,
): Promise<void> {
  if (!domain.active) return
  const ref = word(domain.ref)
  const { info, xml } = await host.virsh(
    async (session) => ({
      info: await session.ask(`dominfo ${ref}`),
      xml: await session.ask(`dumpxml ${ref} --inactive`),
    }),
    signal,
  )
  const lasting = /^Persistent:\s+no/m.test(info) ? [] : (parseDomain(xml)?.disks ?? [])
  const lost = domain.disks.find((disk) => !isExcluded(disk, excluded) && !isAmong(disk, lasting))
  if (lost === undefined) return
  throw disksNotDefined(
    domain.name,
    lost.key ?? lost.target,
    'is not in the definition that libvirt keeps of it',
    'the persistent definition (virsh edit, virsh attach-disk --config)',
  )
}

const isExcluded = ({ key }: DomainDisk, excluded: readonly DiskKey[]): boolean =>
  key !== null && excluded.includes(key)

const isAmong = (disk: DomainDisk, others: readonly DomainDisk[]): boolean =>
  others.some(({ target, file }) => target === disk.target && file === disk.file)
