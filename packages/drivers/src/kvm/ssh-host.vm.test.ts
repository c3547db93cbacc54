import { execFile, spawn } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { KiB, MiB } from '@understudy/base/bytes'
import { copyExtents } from '@understudy/block/copy-extents'
import type { DiskKey, MachineRef } from '@understudy/domain/machines/machine'
import {
  endOf,
  hostProgram,
  hostProgramsContract,
} from '@understudy/simulator/contracts/host-programs-contract'
import { anywhere, newPlacing, testBoot, testRun } from '@understudy/simulator/contracts/platform-harness'
import { freePort } from '@understudy/simulator/free-port'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Host } from './host.ts'
import { hostPrograms } from './host-programs.ts'
import { libvirtDirectory } from './libvirt/libvirt-directory.ts'
import { libvirtHost } from './libvirt/libvirt-host.ts'
import { libvirtSource } from './libvirt/libvirt-source.ts'
import { libvirtTarget } from './libvirt/libvirt-target.ts'
import { privateLibvirtd } from './libvirt/private-libvirtd.ts'
import { localHost } from './local-host.ts'
import { machineDirectory } from './machine-directory.ts'
import { kvmSource } from './source.ts'
import { sshHost } from './ssh-host.ts'
import { kvmTarget } from './target.ts'
import { type TinyMachine, type TinySite, tinySite } from './tiny-machine.ts'

// A real sshd of our own on a loopback port: key only, nothing of the system's configuration.
const run = promisify(execFile)
let keys: string
let port: number
let hostKeySha256: string
let endSshd: () => Promise<void> = async () => undefined
let site: TinySite
let far: Host

beforeAll(async () => {
  site = await tinySite()
  keys = await mkdtemp(join(tmpdir(), 'us-keys-'))
  port = await freePort()
  for (const name of ['host', 'client', 'stranger'])
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(keys, name)])
  const hostKey = Buffer.from((await readFile(join(keys, 'host.pub'), 'utf8')).split(' ')[1] ?? '', 'base64')
  hostKeySha256 = `SHA256:${createHash('sha256').update(hostKey).digest('base64').replace(/=+$/, '')}`
  endSshd = await startSshd()
  far = await hostWith({})
})

afterAll(async () => {
  await far.close()
  await endSshd()
  await site.close()
  await rm(keys, { recursive: true, force: true })
})

const environment = { STAGE: "it's two\nlines" }
const pass = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds))

async function startSshd(): Promise<() => Promise<void>> {
  await mkdir('/run/sshd', { recursive: true })
  await writeFile(join(keys, 'authorized'), await readFile(join(keys, 'client.pub')), { mode: 0o600 })
  const config = [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${join(keys, 'host')}`,
    `AuthorizedKeysFile ${join(keys, 'authorized')}`,
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'PermitRootLogin prohibit-password',
    'StrictModes no',
    'UsePAM no',
    'Subsystem sftp internal-sftp',
    // bash reads the account's .bashrc for every command that sshd gives it, which may take a second; not so in an inner shell.
    'SetEnv SHLVL=1',
    'PidFile none',
  ]
  await writeFile(join(keys, 'config'), `${config.join('\n')}\n`)
  const sshd = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', join(keys, 'config')], { stdio: 'ignore' })
  const ended = new Promise<void>((resolve, reject) => {
    sshd.once('exit', () => resolve())
    sshd.once('error', reject)
  })
  ended.catch(() => undefined)
  await waitForPort()
  return async () => {
    sshd.kill('SIGTERM')
    await ended
  }
}

async function waitForPort(): Promise<void> {
  const deadline = performance.now() + 10_000
  for (;;) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = net.connect(port, '127.0.0.1')
      socket.once('connect', () => resolve(true))
      socket.once('error', () => resolve(false))
      socket.once('connect', () => socket.destroy())
    })
    if (open) return
    if (performance.now() > deadline) throw new Error('sshd did not come up')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

async function hostWith(change: { key?: string; hostKeySha256?: string; port?: number }): Promise<Host> {
  return sshHost({
    name: 'far',
    machinesFolder: site.folder,
    address: {
      kind: 'ssh',
      host: '127.0.0.1',
      port: change.port ?? port,
      user: userInfo().username,
      hostKeySha256: change.hostKeySha256 ?? hostKeySha256,
    },
    privateKey: await readFile(join(keys, change.key ?? 'client'), 'utf8'),
  })
}

hostProgramsContract('kvm over ssh', async () => {
  const later = await hostWith({})
  return {
    programs: hostPrograms(far),
    reopen: async () => hostPrograms(later),
    pass,
    close: () => later.close(),
  }
})

describe('a program at the far end of ssh', () => {
  test('runs on when the connection ends, and its end is found over the next one', async () => {
    const host = await hostWith({})
    const id = randomUUID()
    await hostPrograms(host).begin(id, hostProgram('sh', ['-c', 'sleep 2; echo "$STAGE"'], { environment }))
    await host.close()
    const end = await endOf({ pass }, hostPrograms(far), id)
    expect(end).toMatchObject({ kind: 'ended', exitCode: 0, head: Buffer.from("it's two\nlines\n") })
  })
})

describe('an ssh host', () => {
  test('that shows another key than the pinned one is refused', async () => {
    const host = await hostWith({ hostKeySha256: `SHA256:${'A'.repeat(43)}` })
    await expect(host.list('/')).rejects.toMatchObject({ name: 'Refusal', code: 'kvm/host-key-changed' })
    await host.close()
  })

  test('that does not know the key refuses the login', async () => {
    const host = await hostWith({ key: 'stranger' })
    await expect(host.list('/')).rejects.toMatchObject({ name: 'Refusal', code: 'kvm/ssh-login-refused' })
    await host.close()
  })

  test('that is not there is an outage', async () => {
    const host = await hostWith({ port: await freePort() })
    await expect(host.list('/')).rejects.toMatchObject({ name: 'Outage', code: 'kvm/host-unreachable' })
    await host.close()
  })

  test('does to files, folders and processes what a local host does', async () => {
    const near = localHost({ name: 'near', machinesFolder: site.folder })
    const folder = join(site.folder, `files of 'mine' $HOME`)
    for (const host of [far, near]) {
      await host.makeFolder(folder)
      const path = join(folder, 'a b')
      expect(await host.readFile(path)).toBe(null)
      expect(await host.status(path)).toBe(null)
      expect(await host.list(join(folder, 'no'))).toEqual([])
      const content = Buffer.from([0, 255, 10, 39])
      await host.writeFile(path, content)
      expect(await host.readFile(path)).toEqual(content)
      await host.createSparseFile(join(folder, 'sparse'), MiB, [{ offset: 70_001, data: content }])
      await host.copyFile(path, join(folder, 'copy'))
      expect(await host.list(folder)).toEqual(
        ['a b', 'copy', 'sparse'].map((name) => ({ name, kind: 'file' })),
      )
      const sparse = await near.readFile(join(folder, 'sparse'))
      expect(sparse?.length).toBe(MiB)
      expect(sparse?.subarray(70_001, 70_005)).toEqual(content)
      expect(await host.status(path)).toEqual(await near.status(path))
      expect(Math.abs((await host.freeBytes(folder)) - (await near.freeBytes(folder)))).toBeLessThan(
        512 * MiB,
      )
      expect(await host.commandLineOf(process.pid)).toBe(await near.commandLineOf(process.pid))
      expect(await host.commandLineOf(2 ** 22 - 1)).toBe(null)
      expect(await host.run('sh', ['-c', 'cat; echo oops >&2; exit 3'], { input: 'hello' })).toEqual({
        code: 3,
        stdout: 'hello',
        stderr: 'oops\n',
      })
      await host.removeFile(path)
      await host.removeFile(path)
      await host.removeFolder(folder)
      expect(await host.status(folder)).toBe(null)
      await expect(host.connect(join(site.folder, 'nobody.sock'))).rejects.toMatchObject({
        code: 'kvm/socket-closed',
      })
    }
  })

  test('carries a whole replication cycle, power included', async () => {
    const machine: TinyMachine = await site.add('alpha', [
      { key: 'system', format: 'qcow2', bytes: 8 * MiB },
      { key: 'data', format: 'raw', bytes: 4 * MiB },
    ])
    const source = kvmSource({
      hosts: [far],
      directory: machineDirectory([far], ({ error }) => {
        throw error
      }),
      clock: { now: () => Date.now() },
      bootDeadlineSeconds: 30,
    })
    await source.start(machine.ref)
    expect(await source.powerState(machine.ref)).toBe('running')
    const replica = new Map<string, Buffer>()
    let since: string | null = null
    for (let cycle = 1; cycle <= 3; cycle++) {
      await machine.write('system', cycle * MiB, 64 * KiB, cycle)
      await machine.write('data', cycle * 64 * KiB, 4 * KiB, cycle)
      const result = await source.openPoint({
        machines: [{ ref: machine.ref, trackingId: 'p1', since, excludedDisks: [] }],
        consistency: 'crash',
      })
      if (result.kind !== 'opened') throw new Error(result.reason.message)
      for (const disk of result.point.machines[0]?.disks ?? []) {
        const content = replica.get(disk.key) ?? Buffer.alloc(disk.bytes)
        replica.set(disk.key, content)
        await copyExtents({
          from: disk.reader,
          to: {
            write: async (offset, data) => {
              data.copy(content, offset)
            },
            zero: async (offset, bytes) => {
              content.fill(0, offset, offset + bytes)
            },
          },
          extents: disk.changed(),
        })
        expect(content.equals(machine.model(disk.key)), `${disk.key} in cycle ${cycle}`).toBe(true)
      }
      since = result.point.machines[0]?.checkpoint ?? null
      await result.point.release(true)
    }
    await source.powerOff(machine.ref)
    expect(await source.powerState(machine.ref)).toBe('off')
    const ask = { excludedDisks: [], trackingId: 'p1', since }
    const stopped = await source.openStoppedDisks(machine.ref, ask)
    expect(await stopped.disks[0]?.reader.read(MiB, 4)).toEqual(Buffer.alloc(4, 1))
    await stopped.close()
  })

  test('runs a replica that reads its disks from here, also after the connection was lost', async () => {
    const host = await hostWith({})
    const directory = machineDirectory([host], ({ error }) => {
      throw error
    })
    const settings = { networks: [], accelerator: 'tcg' as const, bootDeadlineSeconds: 30 }
    const target = kvmTarget({ hosts: [host], directory, settings })
    const runId = testRun('far')
    const read = async (_: number, bytes: number) => Buffer.alloc(bytes, 0xc3)
    const reader = { bytes: 4 * MiB, read, close: async () => undefined }
    const hardware = { cpus: 1, memoryBytes: 64 * MiB, firmware: 'bios' as const, disks: [], adapters: [] }
    const disks = [{ key: 'vda' as DiskKey, bytes: reader.bytes, boot: true, reader }]
    const spec = {
      runId,
      name: 'far-replica',
      mode: 'failover' as const,
      hardware,
      disks,
      networks: new Map(),
      placing: newPlacing(),
    }
    try {
      const { ref } = await target.boot({ ...spec, trackingId: 'p1' })
      // The shell's parent is the process of sshd that carries our connection.
      await expect(host.run('sh', ['-c', 'kill -9 $PPID'])).rejects.toMatchObject({
        code: 'kvm/host-unreachable',
      })
      await target.hydrate(runId, () => undefined)
      await target.stop(runId)
      const machine = await directory.find(ref)
      const raw = join(machine.folder, 'vda.raw')
      await run('qemu-img', ['convert', '-O', 'raw', join(machine.folder, 'vda.qcow2'), raw])
      expect((await readFile(raw)).equals(Buffer.alloc(4 * MiB, 0xc3))).toBe(true)
      await target.destroy(runId, anywhere)
      expect(await host.status(machine.folder)).toBeNull()
    } finally {
      await target.destroy(runId, anywhere)
      await target.close()
      await host.close()
    }
  })
})

test.each(['here', 'far away'])(
  'a conversation with a command %s ends when its stream is destroyed',
  async (where) => {
    const host = where === 'here' ? localHost({ name: 'here', machinesFolder: site.folder }) : far
    const mark = join(site.folder, `ended ${where}`)
    const stream = await host.spawn('sh', ['-c', 'cat; touch "$1"', 'sh', mark])
    const answer = new Promise<string>((resolve) =>
      stream.once('data', (chunk: Buffer) => resolve(String(chunk))),
    )
    stream.write("it's\n")
    expect(await answer).toBe("it's\n")
    expect(await far.status(mark)).toBeNull()
    stream.on('error', () => undefined)
    stream.destroy()
    await expect.poll(() => far.status(mark), { timeout: 10_000 }).not.toBeNull()
  },
)

test('a libvirt at the far end gives a point that equals its disk, and runs a replica that becomes independent', async () => {
  const libvirtd = await privateLibvirtd()
  const host = libvirtHost(await hostWith({}), libvirtd.uri)
  try {
    const ref = randomUUID() as MachineRef
    const image = join(libvirtd.folder, 'a.qcow2')
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', image, '1M'])
    await run('qemu-io', ['-c', 'write -P 7 64k 8k', image])
    const xml = join(libvirtd.folder, 'a.xml')
    await writeFile(
      xml,
      `<domain type='qemu'><name>far</name><uuid>${ref}</uuid><memory unit='MiB'>64</memory>
       <os><type arch='x86_64'>hvm</type></os><devices><memballoon model='none'/><disk type='file' device='disk'>
       <driver name='qemu' type='qcow2'/><source file='${image}'/><target dev='vda' bus='virtio'/></disk></devices></domain>`,
    )
    await libvirtd.virsh('define', xml)
    await run('chmod', ['755', site.folder])
    const deps = { hosts: [host], directory: libvirtDirectory([host]), clock: { now: () => Date.now() } }
    const source = libvirtSource({ ...deps, bootDeadlineSeconds: 60 })
    await source.start(ref)
    const machines = [{ ref, trackingId: 'p1', since: null, excludedDisks: [] }]
    const result = await source.openPoint({ machines, consistency: 'crash' })
    if (result.kind !== 'opened') throw new Error(result.reason.message)
    const content = await result.point.machines[0]?.disks[0]?.reader.read(0, MiB)
    await result.point.release(true)
    const expected = Buffer.alloc(MiB)
    expected.fill(7, 64 * KiB, 72 * KiB)
    expect(content?.equals(expected)).toBe(true)
    expect((await source.powerOff(ref)).evidence).toContain('no process with this uuid')

    // And back: a replica there reads from here, over a socket that its QEMU's user must be able to use.
    const target = libvirtTarget({
      ...deps,
      settings: { networks: [], accelerator: 'tcg', bootDeadlineSeconds: 60 },
    })
    const { spec } = testBoot([expected], { runId: testRun('1'), network: 'us-unplugged' })
    const replica = await target.boot(spec)
    await target.hydrate(spec.runId, () => undefined)
    await target.stop(spec.runId)
    const overlay = join(host.folderOf(replica.ref), 'disk0.qcow2')
    const whole = join(site.folder, 'whole.raw')
    await run('qemu-img', ['convert', '-O', 'raw', overlay, whole])
    expect((await readFile(whole)).equals(expected)).toBe(true)
    await target.destroy(spec.runId, anywhere)
    expect(await host.status(host.folderOf(replica.ref))).toBeNull()
    await target.close()
  } finally {
    await host.close()
    await libvirtd.close()
  }
})
