// A server with ten thousand machines that exist in its answers only: the built console, the lists it asks for, and a
// measurement of every machine once a second. It is for measuring the browser, so it must cost little itself.
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { GiB, MiB } from '@understudy/base/bytes'
import { Session } from '@understudy/contract/access'
import { Machine } from '@understudy/contract/machine'
import { Overview } from '@understudy/contract/overview'
import { Protection, ProtectionAction } from '@understudy/contract/protection'
import { Site } from '@understudy/contract/site'
import type { Measurement } from '@understudy/contract/socket-shapes'
import { Server } from 'socket.io'

const consoleFolder = fileURLToPath(new URL('../../apps/console/dist', import.meta.url))
const typeOf: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
}
const lagTargetSeconds = 30
const startedAt = Date.now()

export type Estate = {
  readonly address: string
  /** From now on, or not any more: every machine is measured once a second. */
  setLive(live: boolean): void
  /** As after a cycle of each of these machines: their lists are to be read again. */
  hint(): void
  close(): Promise<void>
}

/** `count` machines at one site, each protected to the other. */
export async function openEstate(count: number): Promise<Estate> {
  const machines = Array.from({ length: count }, (_, index) => machineOf(index))
  const protections = (): Protection[] => machines.map((machine, index) => protectionOf(machine, index))
  checkShapes(machines, protections())
  const answers = answersOf(machines, protections)
  const http = createServer((request, response) => {
    void answer(request, response, answers).catch((error: unknown) => response.destroy(error as Error))
  })
  const io = new Server(http, { serveClient: false })
  io.on('connection', (socket) => {
    socket.on('watch', (rooms: readonly string[], granted?: (rooms: readonly string[]) => void) => {
      for (const room of rooms) void socket.join(room)
      granted?.(rooms)
    })
    socket.on('unwatch', (rooms: readonly string[]) => {
      for (const room of rooms) void socket.leave(room)
    })
  })
  let live = false
  let round = 0
  const timer = setInterval(() => {
    round += 1
    if (live) io.to('measurements').emit('measured', measure(count, round))
  }, 1000)
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  return {
    address: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    setLive(next) {
      live = next
    },
    hint() {
      for (let index = 0; index < 50; index += 1)
        io.to('topic:protections').emit('changed', {
          topic: 'protections',
          id: protectionId(index),
          sequence: index,
        })
    },
    async close() {
      clearInterval(timer)
      await io.close()
    },
  }
}

type Answers = Readonly<Record<string, (query: URLSearchParams) => unknown>>

function answersOf(machines: readonly Machine[], protections: () => readonly Protection[]): Answers {
  const empty = { items: [], next: null, total: 0 }
  const byHealth = { good: machines.length, 'at-risk': 0, bad: 0, off: 0 }
  return {
    '/setup': () => ({ needed: false, version: 'bench' }),
    '/session': () => session,
    '/sites': () => ({ items: sites, next: null, total: sites.length }),
    '/machines': (query) => pageOf(machines, query),
    // The times in it move on, as they do in a real estate.
    '/protections': (query) => pageOf(protections(), query),
    '/overview': () => ({ ...overview, counts: { ...overview.counts, byHealth } }),
    '/lab': () => ({
      available: false,
      reason: 'A bench',
      state: 'absent',
      jobId: null,
      siteIds: [],
      pages: [],
    }),
    '/alerts': () => empty,
    '/jobs': () => empty,
    '/events': () => empty,
    '/policies': () => empty,
  }
}

async function answer(request: IncomingMessage, response: ServerResponse, answers: Answers): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://estate')
  if (url.pathname.startsWith('/api/v1')) {
    const find = answers[url.pathname.slice('/api/v1'.length)]
    response.writeHead(find ? 200 : 404, { 'content-type': 'application/json' })
    response.end(JSON.stringify(find ? find(url.searchParams) : { code: 'bench/not-here' }))
    return
  }
  const name = path.extname(url.pathname) === '' ? '/index.html' : path.normalize(url.pathname)
  const body = await readFile(path.join(consoleFolder, name)).catch(() => null)
  response.writeHead(body ? 200 : 404, { 'content-type': typeOf[path.extname(name)] ?? 'text/plain' })
  response.end(body)
}

function pageOf<Row>(rows: readonly Row[], query: URLSearchParams) {
  const from = Number(query.get('cursor') ?? 0)
  const to = from + Number(query.get('limit') ?? 100)
  return { items: rows.slice(from, to), next: to < rows.length ? String(to) : null, total: rows.length }
}

const protectionId = (index: number): string => `protection-${index}`

function machineOf(index: number): Machine {
  return {
    id: `machine-${index}`,
    siteId: 'site-1',
    siteName: 'Harbour',
    name: `${['web', 'db', 'app', 'file', 'mail'][index % 5]}-${String(index).padStart(5, '0')}`,
    host: `host-${index % 40}`,
    power: index % 17 === 0 ? 'off' : 'running',
    hardware: {
      cpus: 2,
      memoryBytes: 2 * GiB,
      firmware: 'bios',
      disks: [{ key: 'vda', label: 'vda', bytes: 40 * GiB, format: 'qcow2', bus: 'virtio', boot: true }],
      adapters: [{ key: 'net0', macAddress: '52:54:00:00:00:01', networkId: 'lan', model: 'virtio' }],
    },
    guestAgent: true,
    present: true,
    seenAt: new Date(startedAt).toISOString(),
    simulated: false,
    protectionId: protectionId(index),
    runId: null,
  }
}

function protectionOf(machine: Machine, index: number): Protection {
  const newest = new Date(Date.now() - (index % lagTargetSeconds) * 1000).toISOString()
  return {
    id: protectionId(index),
    name: machine.name,
    state: 'protected',
    stateNote: null,
    health: 'good',
    simulated: false,
    direction: 'forward',
    activeSiteId: 'site-1',
    source: { id: 'site-1', name: 'Harbour', platform: 'kvm', emulated: false },
    target: { id: 'site-2', name: 'Hillside', platform: 'kvm', emulated: false, runsMachines: true },
    machineId: machine.id,
    policyId: 'policy-1',
    group: null,
    policyName: 'Every 15 seconds',
    lagSeconds: index % lagTargetSeconds,
    lagTargetSeconds,
    intervalSeconds: 15,
    newestPoint: { id: `point-${index}`, instant: newest, consistency: 'crash' },
    newestApplicationPoint: null,
    pointCount: 400 + (index % 100),
    storedBytes: (20 + (index % 40)) * GiB,
    diskBytes: 40 * GiB,
    lastCycle: {
      kind: 'delta',
      startedAt: newest,
      endedAt: newest,
      readBytes: 4 * MiB,
      changedBytes: (index % 60) * MiB,
      storedBytes: 2 * MiB,
      pauseMilliseconds: 4,
      reason: null,
    },
    lastTestAt: index % 3 === 0 ? null : new Date(startedAt - (index % 90) * 86_400_000).toISOString(),
    lastTestPassed: index % 3 === 0 ? null : index % 50 !== 1,
    readiness: {
      level: 'proven',
      score: 100,
      parts: { test: 60, lag: 20, drift: 10, preflight: 10 },
      reasons: [],
    },
    pace: null,
    lastRecoverySeconds: 41,
    excludedDisks: [],
    adapters: [{ adapterKey: 'net0', failoverNetworkId: 'lan', testNetworkId: 'isolated' }],
    hardware: machine.hardware,
    test: null,
    failover: null,
    seed: null,
    busyJobId: null,
    actions: ProtectionAction.options.map((action) => ({
      action,
      allowed: action !== 'commit',
      reason: action === 'commit' ? 'There is no failover to commit' : null,
      remedy: action === 'commit' ? 'Fail over first.' : null,
    })),
    createdAt: new Date(startedAt).toISOString(),
  }
}

function measure(count: number, round: number): Measurement[] {
  const at = Date.now()
  return Array.from({ length: count }, (_, index) => ({
    protectionId: protectionId(index),
    at,
    phase: 'copying',
    doneBytes: round * 4096,
    totalBytes: 1_048_576,
    bytesPerSecond: 204_800,
    lagSeconds: (index + round) % lagTargetSeconds,
  }))
}

const session: Session = {
  user: {
    id: 'user-1',
    name: 'bench',
    role: 'owner',
    disabled: false,
    createdAt: new Date(startedAt).toISOString(),
    lastSeenAt: null,
  },
  expiresAt: new Date(startedAt + 86_400_000).toISOString(),
  csrfToken: 'bench',
}

const sites: readonly Site[] = []

const overview: Overview = {
  counts: { sites: 2, machines: 0, protections: 0, byHealth: { good: 0, 'at-risk': 0, bad: 0, off: 0 } },
  waiting: [],
  alerts: [],
  runningJobs: [],
  worstLag: Array.from({ length: 8 }, (_, index) => ({
    protectionId: protectionId(index),
    name: machineOf(index).name,
    lagSeconds: 20,
    lagTargetSeconds,
  })),
  sites: ['Harbour', 'Hillside'].map((name, index) => ({
    id: `site-${index + 1}`,
    name,
    platform: 'kvm',
    emulated: false,
    health: 'healthy',
    machines: 5000,
    replicas: 5000,
  })),
  links: [{ sourceSiteId: 'site-1', targetSiteId: 'site-2', protections: 10_000, health: 'good' }],
  storedBytes: 400 * GiB,
  neverTested: 12,
  readiness: {
    machines: { 'not-ready': 0, doubtful: 0, unproven: 12, proven: 9988 },
    plans: { 'not-ready': 0, doubtful: 0, unproven: 0, proven: 0 },
  },
  ifSiteDied: [
    {
      siteId: 'site-1',
      name: 'Harbour',
      machines: 10_000,
      recoverable: 10_000,
      unprotected: 0,
      worstLossSeconds: 30,
      expectedRecoverySeconds: 60,
      blockers: [],
    },
  ],
  serverTime: new Date(startedAt).toISOString(),
}

/** What the console is given must be what the real server would give it, or the measurement is of something else. */
function checkShapes(machines: readonly Machine[], protections: readonly Protection[]): void {
  Machine.parse(machines[0])
  Protection.parse(protections[0])
  Session.parse(session)
  Overview.parse(overview)
  Site.array().parse(sites)
}
