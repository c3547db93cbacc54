// What people and the world do wrong: every answer says what it was and what to do about it, and nothing is lost.

import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, statfs, writeFile } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { MiB } from '@understudy/base/bytes'
import type { FailoverPreview } from '@understudy/contract/protection'
import type { KvmSettings, Site } from '@understudy/contract/site'
import { whileStandingStill } from '@understudy/drivers/kvm/lab/point-differences'
import { freePort } from '@understudy/simulator/free-port'
import { beforeAll, expect, test } from 'vitest'
import type { z } from 'zod'
import { type LabProduct, pidOf, until } from './lab-product.ts'
import type { ProtectedLab } from './protected-lab.ts'

const run = promisify(execFile)
export function badInputTests(lab: () => ProtectedLab): void {
  let product: LabProduct
  let id: string
  let machineId: string
  let siteA: Site
  let siteB: Site
  beforeAll(() => {
    ;({ product, id, machineId, siteA, siteB } = lab())
  })

  test('protecting a machine twice, an unknown one, or to its own site is refused with a way out', async () => {
    const policyId = (await product.protection(id)).policyId
    const tryProtect = (body: object) =>
      product.call('POST', '/protections', { machineId, targetSiteId: siteB.id, policyId, ...body })
    const twice = await tryProtect({})
    expect(twice).toMatchObject({ status: 409, body: { code: 'protection/exists' } })
    expect(twice.body.remedy).toMatch(/Open that protection/)
    const unknown = await tryProtect({ machineId: 'nobody' })
    expect(unknown).toMatchObject({ status: 404, body: { code: 'machine/not-found' } })
    expect(unknown.body.remedy).not.toBe('')
    const home = await tryProtect({ machineId, targetSiteId: siteA.id })
    expect(home).toMatchObject({ status: 422, body: { code: 'protection/same-site' } })
    expect((await product.items('/protections')).length).toBe(1)
  })

  const farSite = (address: object, secrets: object) => ({
    name: 'far',
    platform: 'kvm',
    settings: {
      adapter: 'qmp',
      hosts: [
        {
          name: 'far host',
          address: { kind: 'ssh', host: '127.0.0.1', user: userInfo().username, ...address },
          machinesFolder: '/tmp',
        },
      ],
      accelerator: 'tcg',
      networks: [],
    },
    secrets,
  })

  test('a host that does not listen, another host key, a wrong private key: three answers, and no site is kept', async () => {
    const keys = await mkdtemp(join(tmpdir(), 'us-keys-'))
    const port = await freePort()
    for (const name of ['host', 'client', 'stranger'])
      await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(keys, name)])
    const hostKeySha256 = fingerprintOf(await readFile(join(keys, 'host.pub'), 'utf8'))
    const privateKey = await readFile(join(keys, 'client'), 'utf8')
    const wanted = farSite({ port, hostKeySha256 }, { privateKey })
    const siteCount = (await product.items('/sites')).length
    for (const path of ['/sites/test-connection', '/sites']) {
      const closed = await product.call('POST', path, wanted)
      expect(closed, path).toMatchObject({ status: 503, body: { code: 'kvm/host-unreachable' } })
      expect(closed.body.remedy).toMatch(/address/)
    }
    const end = await startSshd(keys, port)
    try {
      const right = await product.call('POST', '/sites/test-connection', wanted)
      expect(right.status, JSON.stringify(right.body)).toBe(200)
      const otherKey = farSite({ port, hostKeySha256: `SHA256:${'A'.repeat(43)}` }, { privateKey })
      const changed = await product.call('POST', '/sites', otherKey)
      expect(changed).toMatchObject({ status: 422, body: { code: 'kvm/host-key-changed' } })
      expect(changed.body.remedy).not.toBe('')
      const stranger = await readFile(join(keys, 'stranger'), 'utf8')
      const refused = await product.call(
        'POST',
        '/sites',
        farSite({ port, hostKeySha256 }, { privateKey: stranger }),
      )
      expect(refused).toMatchObject({ status: 422, body: { code: 'kvm/ssh-login-refused' } })
      expect(refused.body.remedy).toMatch(/public key/)
    } finally {
      await end()
      await rm(keys, { recursive: true, force: true })
    }
    expect((await product.items('/sites')).length).toBe(siteCount)
  })

  test.each([
    [
      'a machines folder that is a file',
      { machinesFolder: import.meta.filename },
      'kvm/machines-folder-is-a-file',
    ],
    ['a machines folder that is not there', { machinesFolder: '/nothing/here' }, 'kvm/no-machines-folder'],
  ])('%s is told when the connection is tried', async (_, change, code) => {
    const { settings, ...site } = farSite({}, {})
    const hosts = [{ name: 'here', address: { kind: 'local' }, ...change }]
    const wanted = { ...site, settings: { ...settings, hosts } }
    const tried = await product.call('POST', '/sites/test-connection', wanted)
    expect(tried).toMatchObject({ status: 422, body: { code } })
    expect(tried.body.remedy).not.toBe('')
  })

  test('a network that has gone at the target blocks a failover before anything is switched off', async () => {
    const settings = siteB.settings as z.infer<typeof KvmSettings>
    const saveNetworks = (networks: typeof settings.networks) =>
      product.ask('PATCH', `/sites/${siteB.id}`, {
        site: { name: siteB.name, platform: 'kvm', settings: { ...settings, networks }, secrets: {} },
      })
    const source = await product.machineAt('a', 'lab-db')
    const pid = await pidOf(source)
    await saveNetworks(settings.networks.filter((network) => network.id !== 'prod'))
    try {
      const preview = await product.ask<z.infer<typeof FailoverPreview>>(
        'GET',
        `/protections/${id}/failover-preview?kind=planned`,
      )
      const blocker = preview.findings.find(({ level }) => level === 'blocker')
      expect(blocker?.message).toMatch(/prod/)
      expect(blocker?.remedy).not.toBe('')
      const { jobId } = await product.ask<{ jobId: string }>('POST', `/protections/${id}/failover`, {
        kind: 'planned',
      })
      const job = await product.waitForJob(jobId)
      expect(job.state).toBe('failed')
      expect(job.failure).toMatchObject({ kind: 'refusal', code: blocker?.code, remedy: blocker?.remedy })
      expect(await pidOf(source)).toBe(pid)
      expect(await product.machinesAt('b')).toEqual([])
    } finally {
      await saveNetworks(settings.networks)
    }
    await product.nextPoint(id)
    expect((await product.protection(id)).state).toBe('protected')
  })

  test('a full replica disk is an alert with a remedy; the points stay good, and with room again it goes on', async () => {
    const source = await product.machineAt('a', 'lab-db')
    const point = await product.nextPoint(id)
    const hash = await product.hashOf('b', point.id)
    // As large as what is in it, give or take a block.
    const { blocks, bfree, bsize } = await statfs(lab().replicaFolder)
    await lab().resizeReplicaDisk({ mebibytes: Math.ceil(((blocks - bfree) * bsize) / MiB) })
    expect((await statfs(lab().replicaFolder)).bavail * bsize).toBeLessThanOrEqual(MiB)

    const alert = await until('the full disk is an alert', 90, async () =>
      (await product.alerts(id)).find(({ message }) => message.includes('full')),
    )
    expect(alert).toMatchObject({ code: 'protection/outage' })
    expect(alert.remedy).toMatch(/Free space there/)
    const event = (await product.events(id)).find(({ message }) => message.includes('full'))
    expect(event).toBeDefined()
    expect(await product.hashOf('b', point.id)).toBe(hash)
    expect(await product.chainOf('b', 'newest')).toMatchObject({ ok: true, reason: null })

    await lab().resizeReplicaDisk({ mebibytes: lab().replicasMiB })
    // It would be tried again within a minute by itself; whoever has made room does not wait.
    await product.ask('POST', `/protections/${id}/replicate-now`)
    await product.nextPoint(id)
    await until('the alert is resolved', 30, async () =>
      (await product.alerts(id)).length === 0 ? true : null,
    )
    expect((await product.points(id)).map((each) => each.id)).toContain(point.id)
    await whileStandingStill(source, async () => {
      const newest = await product.nextPoint(id)
      expect(newest.cycle).toBe('delta')
      expect(await product.differencesTo(source, 'b', newest.id)).toEqual([])
    })
  })

  /** As `ssh-keyscan | ssh-keygen -lf -` prints it. */
  function fingerprintOf(publicKey: string): string {
    const key = Buffer.from(publicKey.split(' ')[1] ?? '', 'base64')
    return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`
  }

  /** A real one of our own on a loopback port, with nothing of the system's configuration. */
  async function startSshd(keys: string, port: number): Promise<() => Promise<void>> {
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
      'PidFile none',
    ]
    await writeFile(join(keys, 'config'), `${config.join('\n')}\n`)
    const sshd = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', join(keys, 'config')], { stdio: 'ignore' })
    const ended = new Promise<void>((resolve) => {
      sshd.once('exit', () => resolve())
      sshd.once('error', () => resolve())
    })
    await until('sshd listens', 10, async () => {
      const socket = net.connect(port, '127.0.0.1')
      const open = await new Promise<boolean>((resolve) => {
        socket.once('connect', () => resolve(true))
        socket.once('error', () => resolve(false))
      })
      socket.destroy()
      return open ? true : null
    })
    return async () => {
      sshd.kill('SIGTERM')
      await ended
    }
  }
}
