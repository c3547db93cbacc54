// A server comes home to a computer of other hardware: started from the rescue image it has its disk written and finished, and restarts from it. The disk is
// given by the test and not by a replica. Oracles: records that each hold the digest of the one before, e2fsck, and the digest of a disk beside it that
// nobody may write to.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { GiB } from '@understudy/base/bytes'
import { serverProbePort, serverRootOffset } from '@understudy/drivers/kvm/lab/server-image'
import { freePort } from '@understudy/simulator/free-port'
import { bundleProgram } from '@understudy/toolchain/bundle-program'
import { buildRescueImage } from '@understudy/toolchain/rescue-image'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { until } from './lab-tests/lab-product.ts'
import { digestOf, inside, openOldIron, prepareCache, statusOf } from './lab-tests/old-iron.ts'

const run = promisify(execFile)
const agentEntry = fileURLToPath(new URL('../../agent/src/lab-tests/homecoming-agent.ts', import.meta.url))
const slowly = 1_800_000

let folder: string
let original: string
let records: number
let computer: ChildProcess | null = null
let told: Record<string, unknown>
let asked: Record<string, unknown>
let given: () => Promise<unknown>
let giver: ReturnType<typeof createServer>

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'us-homecoming-'))
  told = {}
  giver = createServer(async (request, response) => {
    if (request.method === 'GET') {
      asked = request.headers
      await given()
      createReadStream(original, { highWaterMark: 2 ** 20 }).pipe(response)
      return
    }
    let text = ''
    for await (const piece of request) text += piece
    told[request.url ?? ''] = JSON.parse(text)
    response.end('go on')
  })
  giver.listen(0, '127.0.0.1')
  await once(giver, 'listening')
  await runOldServer()
  await buildImage()
}, slowly)
afterAll(async () => {
  if (process.env.UNDERSTUDY_TEST_TALKS) console.log((await serial()).slice(-4000), told)
  await pullThePlug()
  giver.close()
  giver.closeAllConnections()
  await rm(folder, { recursive: true, force: true })
}, 60_000)

/** On AHCI, with a memory disk that knows nothing else; and what the first-boot step of a replica has left in it. */
async function runOldServer(): Promise<void> {
  const server = await openOldIron(folder, await prepareCache())
  try {
    // Nobody is there whom its agent could dial.
    await server.install('sleep 9999')
    server.start()
    await statusOf(server.address, 600)
    await inside(
      server.address,
      'echo "[Match]" >/etc/systemd/network/05-understudy-5254000a0b0c.network; systemctl disable understudy-agent',
    )
    await until('it has written records', 300, async () => {
      const { newest } = await statusOf(server.address, 60)
      return newest > 20 ? true : null
    })
    await inside(server.address, 'systemd-run --on-active=2 systemctl poweroff')
    await until('it is off', 300, async () => ((await server.serial()).includes('Power down') ? true : null))
  } finally {
    await server.close()
  }
  original = join(folder, 'disk.raw')
  records = await countRecords(original)
}

async function countRecords(disk: string): Promise<number> {
  const { stdout } = await run('debugfs', ['-R', 'cat /srv/records', `${disk}?offset=${serverRootOffset}`], {
    maxBuffer: 2 ** 26,
  })
  return stdout.trim().split('\n').length
}

async function buildImage(): Promise<void> {
  const agent = join(folder, 'homecoming.mjs')
  await bundleProgram({ entry: agentEntry, file: agent, format: 'esm' })
  const program = join(folder, 'understudy-agent')
  await writeFile(
    program,
    '#!/bin/sh\nexec /usr/local/lib/understudy/node /usr/local/lib/understudy/homecoming.mjs "$@"\n',
  )
  await buildRescueImage({
    file: join(folder, 'rescue.iso'),
    program: {
      [process.execPath]: 'usr/local/lib/understudy/node',
      [agent]: 'usr/local/lib/understudy/homecoming.mjs',
      [program]: 'usr/local/bin/understudy-agent',
    },
    // The computer of the test, as the other one sees it.
    settings: {
      server: `http://10.0.2.2:${(giver.address() as AddressInfo).port}`,
      fingerprint: 'sha256:00',
      token: 'once',
    },
  })
}

const home = (): string => join(folder, 'home.raw')
const bystander = (): string => join(folder, 'bystander.raw')
const serial = (): Promise<string> => readFile(join(folder, 'home.log'), 'latin1').catch(() => '')

/** On virtio: the old server has no driver for it in its memory disk. It ends where it would restart. */
function startComputer(port: number, more: readonly string[]): void {
  const hardware = [
    ...[
      '-machine',
      'q35',
      '-accel',
      'tcg,thread=multi',
      '-cpu',
      'qemu64',
      '-smp',
      '2',
      '-m',
      '2048',
      '-no-reboot',
    ],
    ...['-nodefaults', '-no-user-config', '-display', 'none'],
    ...['-chardev', `file,id=serial,path=${join(folder, 'home.log')}`, '-serial', 'chardev:serial'],
    ...[
      '-drive',
      `if=none,id=disk,format=raw,file=${home()}`,
      '-device',
      'virtio-blk-pci,drive=disk,addr=0x6,bootindex=0',
    ],
    ...['-netdev', `user,id=net,hostfwd=tcp:127.0.0.1:${port}-:${serverProbePort}`],
    ...['-device', 'e1000e,netdev=net,addr=0x5,romfile='],
    ...more,
  ]
  computer = spawn('qemu-system-x86_64', hardware, { stdio: ['ignore', 'ignore', 'inherit'] })
}

async function pullThePlug(): Promise<void> {
  const child = computer
  computer = null
  if (child === null || child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}

test(
  'started from the image, an empty disk is written and finished, and no other disk is touched',
  async () => {
    await writeFile(home(), '')
    await truncate(home(), GiB)
    // A file system that was not let go of: whoever mounts it, be it for reading only, writes to it.
    await run('cp', ['--sparse=always', original, bystander()])
    for (const spoil of ['ssv state 0', 'feature needs_recovery'])
      await run('debugfs', ['-w', '-R', spoil, `${bystander()}?offset=${serverRootOffset}`])
    const untouched = await digestOf(bystander())
    given = () =>
      until('its page says what it is', 300, async () =>
        /Disk:\s+\/dev\/sda/.test(await serial()) ? true : null,
      )
    const image = `if=none,id=image,format=raw,media=cdrom,readonly=on,file=${join(folder, 'rescue.iso')}`
    startComputer(await freePort(), [
      ...['-drive', image, '-device', 'ide-cd,drive=image,bus=ide.1,bootindex=1'],
      ...[
        '-drive',
        `if=none,id=other,format=raw,file=${bystander()}`,
        '-device',
        'ide-hd,drive=other,bus=ide.0',
      ],
    ])
    await until('it is finished', 900, async () => {
      if (told['/failed']) throw new Error(JSON.stringify(told['/failed']))
      return told['/finished'] ? true : null
    })
    const page = await serial()
    expect(page).toContain('UNDERSTUDY RESCUE SYSTEM')
    expect(page).toMatch(/Address:\s+\S+\s+UP\s+10\.0\.2\.15/)
    expect(page).toContain('Token:         given')
    expect(asked).toMatchObject({ asked: 'receive', token: 'once' })
    const changes = (told['/finished'] as readonly string[]).join('\n')
    expect(changes).toContain('was made for all hardware')
    expect(changes).toContain('extlinux is as it was')
    expect(changes).toContain('/etc/systemd/network/05-understudy-5254000a0b0c.network')
    await until('it wants to restart', 300, async () => (computer?.exitCode === 0 ? true : null))
    expect(await digestOf(bystander()), 'the disk beside it is as it was').toBe(untouched)
  },
  slowly,
)

test(
  'restarted from its disk, it is the server with all its records, on hardware that it has never seen',
  async () => {
    const port = await freePort()
    startComputer(port, [])
    const address = `http://127.0.0.1:${port}`
    const status = await statusOf(address, 600)
    expect(status.found).toEqual({ ok: true, newest: records })
    expect(await inside(address, 'ls /sys/block; ls /etc/systemd/network')).toMatch(
      /vda[\s\S]*\n10-lan\.network\n$/,
    )
    expect((await inside(address, 'systemctl is-system-running || true')).trim()).toMatch(
      /^(?:running|degraded|starting)$/,
    )
    await inside(address, 'sync; systemd-run --on-active=2 systemctl poweroff')
    await until('it is off', 300, async () => (computer?.exitCode === 0 ? true : null))
    await run('e2fsck', ['-f', '-n', `${home()}?offset=${serverRootOffset}`])
  },
  slowly,
)
