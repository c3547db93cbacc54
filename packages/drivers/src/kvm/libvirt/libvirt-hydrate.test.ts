import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { testHost } from '../test-host.ts'
import { testMonitor } from '../test-monitor.ts'
import { tinyDefinition } from '../tiny-machine.ts'
import { parseDomain } from './domain-xml.ts'
import type { LibvirtHost } from './libvirt-host.ts'
import { hydrateDomain } from './libvirt-hydrate.ts'
import type { LibvirtRun } from './libvirt-site.ts'

/** A replica of two disks that libvirt has no backing of any more. */
async function withWholeReplica(
  active: boolean,
  work: (run: LibvirtRun, flushed: () => number) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'us-hydrate-'))
  const monitorPath = join(folder, 'qmp.sock')
  let flushed = 0
  const monitor = await testMonitor(monitorPath, {
    'human-monitor-command': () => {
      flushed += 1
      return ''
    },
  })
  const disks = ['vda', 'vdb'].map((key) => ({ key, format: 'qcow2' as const, bytes: 1024 * 1024 }))
  const definition = tinyDefinition('web', disks, 0)
  const domain = parseDomain(`<domain${active ? " id='7'" : ''}><uuid>${definition.ref}</uuid></domain>`)
  if (domain === null) throw new Error('it is a domain')
  const never = (): Promise<never> => Promise.reject(new Error('nothing is left to ask libvirt'))
  const host: LibvirtHost = Object.assign(testHost('one', folder), {
    uri: 'qemu:///system',
    handOver: async () => undefined,
    folderOf: () => folder,
    virsh: never,
  })
  const replica = { ref: definition.ref, name: 'web', host, folder, monitorPath, agentPath: null, definition }
  const end = { note: () => undefined, holds: () => false }
  try {
    await work({ host, domain, location: replica, replica, otherHosts: [], end }, () => flushed)
  } finally {
    monitor.close()
    await rm(folder, { recursive: true })
  }
}

test('a disk whose pull ended while nobody looked is flushed before it is called complete', async () => {
  await withWholeReplica(true, async (run, flushed) => {
    const told: number[] = []
    const onProgress = (): void => void told.push(flushed())
    await hydrateDomain(run, { onProgress, onIndependent: async () => undefined })
    expect(told).toEqual([2])
  })
})

test('a replica that is off was flushed by its QEMU: nobody is asked', async () => {
  await withWholeReplica(false, async (run, flushed) => {
    await hydrateDomain(run, { onProgress: () => undefined, onIndependent: async () => undefined })
    expect(flushed()).toBe(0)
  })
})
