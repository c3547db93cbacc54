// Domains without an operating system in a libvirtd of our own, for tests: their firmware idles at "no bootable device", and
// `qemu-io` inside QEMU writes where a guest would.
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { present } from '@understudy/base/invariant'
import type { DiskKey, MachineRef } from '@understudy/domain/machines/machine'
import { aliasOfKey } from '../device-alias.ts'
import { type KvmPlatform, openKvmPlatform } from '../platform.ts'
import type { KvmNetwork } from '../settings.ts'
import { type Domain, parseDomain } from './domain-xml.ts'
import { type PrivateLibvirtd, privateLibvirtd } from './private-libvirtd.ts'

const run = promisify(execFile)

export type TinyDomainDisk = {
  readonly bytes: number
  readonly format: 'raw' | 'qcow2'
  readonly bus?: 'virtio' | 'ide'
}

export type TinyDomains = {
  readonly libvirtd: PrivateLibvirtd
  open(more?: { uri?: string; networks?: readonly KvmNetwork[] }): KvmPlatform
  define(name: string, disks: readonly TinyDomainDisk[]): Promise<MachineRef>
  /** As libvirt says; `inactive`: how it will start next. */
  domain(ref: MachineRef, inactive?: 'inactive'): Promise<Domain>
  isOn(ref: MachineRef): Promise<boolean>
  writeToDisk(ref: MachineRef, key: DiskKey, offset: number, data: Buffer): Promise<void>
  readDiskNow(ref: MachineRef, key: DiskKey): Promise<Buffer>
  resizeDisk(ref: MachineRef, key: DiskKey, bytes: number): Promise<void>
  killQemu(ref: MachineRef): Promise<void>
  remove(ref: MachineRef): Promise<void>
  close(): Promise<void>
}

export async function tinyDomains(): Promise<TinyDomains> {
  const libvirtd = await privateLibvirtd()
  const { folder, virsh } = libvirtd
  await mkdir(join(folder, 'points'))
  const domain = async (ref: MachineRef, inactive?: 'inactive'): Promise<Domain> =>
    present(
      parseDomain(await virsh('dumpxml', ref, ...(inactive === undefined ? [] : ['--inactive']))),
      `libvirt knows ${ref}`,
    )
  const isOn = async (ref: MachineRef): Promise<boolean> => (await virsh('domstate', ref)) !== 'shut off'
  const diskOf = async (
    ref: MachineRef,
    key: DiskKey,
  ): Promise<{ target: string; file: string; id: string }> => {
    const { disks, ownedBy } = await domain(ref)
    const disk = disks.find((candidate) => candidate.key === key)
    const { target, file } = present(disk, `${ref} has disk ${key}`)
    return { target, file: present(file, `${key} is a file`), id: ownedBy === null ? key : aliasOfKey(key) }
  }

  return {
    libvirtd,
    domain,
    isOn,
    open: ({ uri = libvirtd.uri, networks = [] } = {}) => openPlatform(join(folder, 'points'), uri, networks),
    async define(name, disks) {
      // A uuid of its own: being off is proven by looking for it among all processes.
      const ref = randomUUID() as MachineRef
      const elements: string[] = []
      for (const [index, { bytes, format, bus = 'virtio' }] of disks.entries()) {
        const file = join(folder, `${ref}-${index}.img`)
        await run('qemu-img', ['create', '-q', '-f', format, file, String(bytes)])
        const target = `${bus === 'virtio' ? 'vd' : 'hd'}${String.fromCharCode(97 + index)}`
        elements.push(
          `<disk type='file' device='disk'><driver name='qemu' type='${format}' discard='unmap'/><source file='${file}'/><target dev='${target}' bus='${bus}'/></disk>`,
        )
      }
      const path = join(folder, `${ref}.xml`)
      await writeFile(
        path,
        `<domain type='qemu'><name>${name}</name><uuid>${ref}</uuid><memory unit='MiB'>64</memory><vcpu>1</vcpu>
         <os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features>
         <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>${elements.join('')}<memballoon model='none'/></devices></domain>`,
      )
      await virsh('define', path)
      return ref
    },
    async writeToDisk(ref, key, offset, data) {
      const { file, id } = await diskOf(ref, key)
      const content = join(folder, `content-${ref}`)
      await writeFile(content, data)
      const command = `write -q -s ${content} ${offset} ${data.length}`
      if (await isOn(ref)) {
        const device = `/machine/peripheral/${id}/virtio-backend`
        for (const line of [command, 'flush'])
          await virsh('qemu-monitor-command', ref, '--hmp', `qemu-io -d ${device} "${line}"`)
      } else await run('qemu-io', ['-f', await formatOf(file), '-c', command, '-c', 'flush', file])
      await rm(content)
    },
    async readDiskNow(ref, key) {
      const { file } = await diskOf(ref, key)
      const whole = join(folder, `whole-${ref}`)
      // Through the backing that an overlay names: what the guest would read.
      await run('qemu-img', ['convert', '-U', '-f', await formatOf(file), '-O', 'raw', file, whole])
      const content = await readFile(whole)
      await rm(whole)
      return content
    },
    async resizeDisk(ref, key, bytes) {
      await virsh('blockresize', ref, (await diskOf(ref, key)).target, `${bytes}B`)
    },
    async killQemu(ref) {
      const { stdout } = await run('pgrep', ['-f', '--', `[-]uuid ${ref}`])
      process.kill(Number(stdout.trim()), 'SIGKILL')
      for (let looks = 0; await isOn(ref); looks += 1)
        if (looks > 600) throw new Error(`libvirt still believes that ${ref} runs`)
    },
    async remove(ref) {
      if (await isOn(ref)) await virsh('destroy', ref)
      await virsh('undefine', ref)
    },
    close: () => libvirtd.close(),
  }
}

const openPlatform = (
  machinesFolder: string,
  libvirtUri: string,
  networks: readonly KvmNetwork[],
): KvmPlatform =>
  openKvmPlatform(
    {
      settings: {
        adapter: 'libvirt',
        accelerator: 'tcg',
        bootDeadlineSeconds: 60,
        networks,
        hosts: [{ name: 'here', address: { kind: 'local' }, machinesFolder, libvirtUri }],
      },
    },
    {},
    { clock: { now: () => Date.now() } },
  )

async function formatOf(file: string): Promise<string> {
  return (await readFile(file)).subarray(0, 3).toString('latin1') === 'QFI' ? 'qcow2' : 'raw'
}
