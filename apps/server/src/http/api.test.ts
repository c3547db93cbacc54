import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import { accessOf, mayCall, roleOf, roleOfJob } from '@understudy/contract/roles'
import type { JobKind } from '@understudy/domain/jobs/job'
import type { Finding } from '@understudy/domain/machines/machine'
import type { ItemId } from '@understudy/domain/recovery-plans/plan-ids'
import type { PlanRunId } from '@understudy/domain/recovery-plans/plan-run'
import type { SiteId } from '@understudy/domain/sites/site'
import { openEvidencePrinter } from '@understudy/drivers/evidence/open-evidence-printer'
import type { Engine } from '@understudy/engine/engine'
import { createEngine } from '@understudy/engine/engine'
import { defaultEngineConfig } from '@understudy/engine/engine-parts'
import type { Role, User, UserId } from '@understudy/engine/ports/access-stores'
import type { MachineSpec } from '@understudy/engine/ports/target-platform'
import { fakeWorld } from '@understudy/simulator/fake-platform'
import { memoryAccessStores } from '@understudy/simulator/memory-access-stores'
import { durableLog, memoryDurable } from '@understudy/simulator/memory-durable'
import { memoryLive } from '@understudy/simulator/memory-live'
import { memorySeedFolders } from '@understudy/simulator/memory-seed-folders'
import { memorySteps } from '@understudy/simulator/memory-steps'
import { memoryStores } from '@understudy/simulator/memory-stores'
import {
  sampleActivities,
  sampleGroup,
  sampleMachine,
  samplePlan,
  samplePlanRun,
} from '@understudy/simulator/sample-plans'
import {
  sampleDiscoveredMachine,
  sampleJob,
  samplePolicy,
  sampleProtection,
  sampleSite,
} from '@understudy/simulator/sample-rows'
import { seededRandom } from '@understudy/simulator/seeded-random'
import { virtualClock } from '@understudy/simulator/virtual-clock'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { callerFinder } from '../access/caller.ts'
import { offerSetupLink } from '../access/offer-setup-link.ts'
import { hashPassword, hashSecret } from '../access/secrets.ts'
import { sessionKeeper } from '../access/session-keeper.ts'
import { type AgentKeeper, createAgentKeeper } from '../agents/agent-keeper.ts'
import { createAgentLines } from '../agents/agent-lines.ts'
import { createReceivers, type Receivers } from '../agents/receivers.ts'
import { createWriteLines } from '../agents/write-lines.ts'
import { apiRouter } from '../api/router.ts'
import { createApp } from './app.ts'
import { openApiDocument } from './open-api.ts'
import { apiRoutes } from './route-table.ts'

const password = 'correct horse battery'
const stores = { ...memoryStores(), ...memoryAccessStores() }
const clock = virtualClock()
const world = fakeWorld(clock)
const byName = async ({ name }: { readonly name: string }) => world.site(name as SiteId).platform
const secretPlaces = () => ({ accountKey: 'https://storage.example' })
const platforms = { of: byName, preview: byName, secretPlaces, forget: async () => {} }
let ids = 0
const newId = (): string => {
  ids += 1
  return `00000000-0000-4000-8000-${String(ids).padStart(12, '0')}`
}
const printer = openEvidencePrinter()
let engine: Engine
let http: Server
let base = ''
let agents: AgentKeeper
let receivers: Receivers
let home: string

beforeAll(async () => {
  engine = createEngine({
    stores,
    durable: memoryDurable({ log: durableLog(), clock }),
    platforms,
    steps: memorySteps(clock),
    seeds: memorySeedFolders(),
    printer,
    live: memoryLive(),
    clock,
    sleep: clock.sleep,
    newId,
    config: { ...defaultEngineConfig, moverId: 'test' },
    log: () => {},
  })
  const session = sessionKeeper({ key: Buffer.alloc(32, 7), secure: false, sessionHours: 1 })
  const lab = {
    status: () =>
      Promise.resolve({
        available: false,
        reason: 'test',
        state: 'absent' as const,
        jobId: null,
        siteIds: [],
        pages: [],
        azure: { available: false, reason: 'test', whyNoMachines: null, siteId: null },
      }),
    create: () => Promise.resolve({ jobId: 'lab' }),
    addAzure: () => Promise.resolve({ siteId: 'azure' }),
    remove: () => Promise.resolve(),
  }
  const log = pino({ level: 'silent' })
  const live = memoryLive()
  home = await mkdtemp(join(tmpdir(), 'us-api-'))
  agents = createAgentKeeper({
    stores,
    live,
    clock,
    newId,
    log,
    version: '0.0.0',
    programFolder: join(home, 'programs'),
    config: {
      home,
      host: '127.0.0.1',
      publicUrl: null,
      agentHost: null,
      agentPort: 0,
      agentUrl: null,
      agentSilentSeconds: 60,
    },
  })
  receivers = createReceivers({
    stores,
    live,
    clock,
    newId,
    lines: createAgentLines(),
    writes: createWriteLines(),
  })
  const deps = {
    engine,
    stores,
    live,
    platforms,
    printer,
    clock,
    lab,
    agents,
    receivers,
    version: '0.0.0',
    newId,
    session,
  }
  const app = createApp({
    router: apiRouter(deps),
    callers: callerFinder(stores, clock, { secure: false, sessionHours: 1 }),
    stores,
    session,
    clock,
    newId,
    log,
    publicOrigin: null,
    openApi: await openApiDocument('0.0.0'),
    secure: false,
    trustProxy: 0,
    requestsPerMinute: 1_000_000,
    consoleFolder: '/nonexistent',
    health: () => Promise.resolve(null),
  })
  http = createServer(app)
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  base = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
})

afterAll(async () => {
  await agents.stop()
  await rm(home, { recursive: true, force: true })
  http.closeAllConnections()
  await new Promise((resolve) => http.close(resolve))
})

type Answer = { status: number; body: Record<string, unknown>; headers: Headers }

async function call(
  method: string,
  path: string,
  options: { body?: unknown; raw?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const body = options.raw ?? (options.body === undefined ? undefined : JSON.stringify(options.body))
  const response = await fetch(`${base}${path}`, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...options.headers },
    ...(body === undefined ? {} : { body }),
  })
  const text = await response.text()
  return {
    status: response.status,
    body: text.startsWith('{') ? JSON.parse(text) : { text },
    headers: response.headers,
  }
}

const tokens = new Map<Role, string>()

/** A bearer header of somebody with this role. */
async function headersOf(role: Role): Promise<Record<string, string>> {
  let secret = tokens.get(role)
  if (secret === undefined) {
    secret = `us_test-${role}-0123456789`
    const user: User = {
      id: newId() as UserId,
      name: `the ${role}`,
      email: null,
      role,
      passwordHash: await hashPassword(password),
      disabled: false,
      createdAt: clock.now(),
      signedInAt: null,
    }
    await stores.users.create(user)
    await stores.tokens.create({
      id: newId() as never,
      idHash: hashSecret(secret),
      name: role,
      role,
      userId: user.id,
      createdAt: clock.now(),
      expiresAt: null,
      lastUsedAt: null,
    })
    tokens.set(role, secret)
  }
  return { authorization: `Bearer ${secret}` }
}

const pathOf = (path: string): string => `/api/v1${path.replaceAll(/\{[^}]+\}/g, 'nothing-here')}`

const policy = {
  name: 'Gold',
  intervalSeconds: 5,
  lagTargetSeconds: 30,
  applicationConsistentEverySeconds: 0,
  retention: [{ everySeconds: 0, forSeconds: 3600 }],
  compress: true,
  encrypt: false,
  priority: 5,
  rateLimitBytesPerSecond: 0,
  commitTimeoutSeconds: 0,
  uncommittedAction: 'commit',
}

describe('the set-up link', () => {
  test('makes exactly one owner, once, and signs in', async () => {
    const link = await offerSetupLink(stores.setup, clock, base)
    const token = new URL(link ?? '').searchParams.get('token')
    const wrong = await call('POST', '/api/v1/setup', { body: { token: 'guess', name: 'mallory', password } })
    expect(wrong.status).toBe(422)
    expect(wrong.body.code).toBe('setup/link-not-valid')
    const made = await call('POST', '/api/v1/setup', { body: { token, name: 'ada', password } })
    expect(made.status).toBe(201)
    expect(made.body).toMatchObject({ user: { name: 'ada', role: 'owner' } })
    expect(made.headers.get('set-cookie')).toMatch(/HttpOnly; SameSite=Strict/)
    const again = await call('POST', '/api/v1/setup', { body: { token, name: 'eve', password } })
    expect(again.status).toBe(422)
    expect(await offerSetupLink(stores.setup, clock, base)).toBeNull()
  })
})

describe('sessions', () => {
  const signIn = (name: string, secret: string) =>
    call('POST', '/api/v1/session', { body: { name, password: secret } })
  const cookieOf = (answer: Answer): string => (answer.headers.get('set-cookie') ?? '').split(';')[0] ?? ''

  test('a wrong password and an unknown name are refused in the same words', async () => {
    const wrong = await signIn('ada', 'not the password')
    const unknown = await signIn('nobody', 'not the password')
    expect(wrong.status).toBe(401)
    expect(unknown.body).toEqual(wrong.body)
  })

  test('a change by cookie needs the CSRF token and our own origin; reading does not', async () => {
    const signedIn = await signIn('ada', password)
    expect(signedIn.status).toBe(201)
    const cookie = cookieOf(signedIn)
    const csrf = String(signedIn.body.csrfToken)
    expect((await call('GET', '/api/v1/session', { headers: { cookie } })).status).toBe(200)
    const without = await call('POST', '/api/v1/policies', { headers: { cookie }, body: policy })
    expect(without.status).toBe(403)
    expect(without.body).toMatchObject({
      code: 'access/foreign-origin',
      title: 'Not asked by this console',
    })
    const low = await call('POST', '/api/v1/policies', { headers: await headersOf('reader'), body: policy })
    expect(low.body).toMatchObject({ code: 'access/role-too-low', title: 'Not allowed for your role' })
    const foreign = await call('POST', '/api/v1/policies', {
      headers: { cookie, 'x-csrf-token': csrf, origin: 'https://evil.example' },
      body: policy,
    })
    expect(foreign.status).toBe(403)
    const right = await call('POST', '/api/v1/policies', {
      headers: { cookie, 'x-csrf-token': csrf, origin: base },
      body: policy,
    })
    expect(right.status).toBe(201)
  })

  test('signing out, disabling and idling each end a session', async () => {
    const cookie = cookieOf(await signIn('ada', password))
    const csrf = String((await call('GET', '/api/v1/session', { headers: { cookie } })).body.csrfToken)
    expect(
      (await call('DELETE', '/api/v1/session', { headers: { cookie, 'x-csrf-token': csrf } })).status,
    ).toBe(200)
    expect((await call('GET', '/api/v1/session', { headers: { cookie } })).status).toBe(401)

    const owner = await headersOf('owner')
    const made = await call('POST', '/api/v1/users', {
      headers: owner,
      body: { name: 'bob', role: 'reader', password },
    })
    const bob = cookieOf(await signIn('bob', password))
    expect((await call('GET', '/api/v1/session', { headers: { cookie: bob } })).status).toBe(200)
    await call('PATCH', `/api/v1/users/${String(made.body.id)}`, { headers: owner, body: { disabled: true } })
    expect((await call('GET', '/api/v1/session', { headers: { cookie: bob } })).status).toBe(401)
    expect((await signIn('bob', password)).status).toBe(401)

    const idle = cookieOf(await signIn('ada', password))
    await clock.advance(61 * 60_000)
    expect((await call('GET', '/api/v1/session', { headers: { cookie: idle } })).status).toBe(401)
  })

  test('everybody can change their own password, with the old one, and is out everywhere else', async () => {
    const cookieOf = async () => {
      const answer = await call('POST', '/api/v1/session', { body: { name: 'eva', password } })
      const cookie = answer.headers.get('set-cookie')?.split(';')[0] ?? ''
      return { cookie, 'x-csrf-token': String(answer.body.csrfToken) }
    }
    const owner = await headersOf('owner')
    await call('POST', '/api/v1/users', { headers: owner, body: { name: 'eva', role: 'reader', password } })
    const [here, there] = [await cookieOf(), await cookieOf()]
    const change = (current: string) =>
      call('POST', '/api/v1/session/password', {
        headers: here,
        body: { current, password: 'an entirely new one' },
      })
    expect(await change('not the old one')).toMatchObject({ status: 422, body: { code: 'password/wrong' } })
    expect((await change(password)).status).toBe(200)
    expect((await call('GET', '/api/v1/session', { headers: here })).status).toBe(200)
    expect((await call('GET', '/api/v1/session', { headers: there })).status).toBe(401)
    const old = await call('POST', '/api/v1/session', { body: { name: 'eva', password } })
    expect(old.status).toBe(401)
  })
  test('the last owner can be neither disabled nor removed', async () => {
    const alone = { ...memoryAccessStores() }
    const only: User = {
      id: 'only' as UserId,
      name: 'only',
      email: null,
      role: 'owner',
      passwordHash: 'x',
      disabled: false,
      createdAt: 0,
      signedInAt: null,
    }
    await alone.users.create(only)
    await expect(alone.users.update(only.id, { disabled: true })).rejects.toMatchObject({
      code: 'user/last-owner',
    })
  })
})

describe('roles', () => {
  test('the OpenAPI document names every route of the contract with its role', async () => {
    const document = (await call('GET', '/api/openapi.json')).body as {
      openapi: string
      paths: Record<string, Record<string, Record<string, unknown>>>
    }
    expect(document.openapi).toMatch(/^3\.1/)
    const listed = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    )
    expect(listed.toSorted()).toEqual(apiRoutes.map((route) => `${route.method} ${route.path}`).toSorted())
    for (const route of apiRoutes)
      expect(document.paths[route.path]?.[route.method.toLowerCase()]?.['x-role']).toBe(accessOf(route.name))
  })

  test('every route refuses nobody and whoever has a lower role, before it looks at the body', async () => {
    const ranks: readonly Role[] = ['reader', 'operator', 'contributor', 'owner']
    const open = apiRoutes
      .filter((route) => accessOf(route.name) === 'anyone')
      .map((route) => route.name.join('.'))
    expect(open.toSorted()).toEqual(['session.signIn', 'setup.complete', 'setup.status'])
    for (const route of apiRoutes) {
      const wanted = accessOf(route.name)
      if (wanted === 'anyone') continue
      const raw = route.method === 'GET' ? {} : { raw: '{ not json' }
      const nobody = await call(route.method, pathOf(route.path), raw)
      expect([route.path, nobody.status, nobody.body.code]).toEqual([route.path, 401, 'access/signed-out'])
      if (wanted === 'display') continue
      for (const lower of ranks.slice(0, ranks.indexOf(wanted))) {
        const refused = await call(route.method, pathOf(route.path), {
          ...raw,
          headers: await headersOf(lower),
        })
        expect([route.path, lower, refused.status]).toEqual([route.path, lower, 403])
      }
    }
  })

  test('answering, cancelling or retrying a job of any kind takes the role that starting it takes', async () => {
    const { protections, lab } = roleOf
    expect(roleOfJob).toMatchObject({
      protect: protections.create,
      'end-protection': protections.end,
      'planned-failover': protections.failover,
      'unplanned-failover': protections.failover,
      'create-lab': lab.create,
    })
    const startedBy = new Map<string, unknown>(Object.entries(roleOf.protections))
    const acts = { answer: { questionId: 'question', value: 'yes' }, cancel: undefined, retry: undefined }
    for (const [kind, wanted] of Object.entries(roleOfJob)) {
      const route = kind.replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase())
      expect([kind, startedBy.get(route) ?? wanted]).toEqual([kind, wanted])
      const job = sampleJob({ kind: kind as JobKind, state: 'succeeded' })
      await stores.jobs.create(job)
      for (const role of ['operator', 'contributor', 'owner'] as const)
        for (const [act, body] of Object.entries(acts)) {
          const path = `/api/v1/jobs/${job.id}/${act}`
          const { status } = await call('POST', path, { headers: await headersOf(role), body })
          const allowed = mayCall(wanted, role)
          expect([kind, act, role, status === 403]).toEqual([kind, act, role, !allowed])
        }
    }
  })

  // `fetch` would tidy the path up before it leaves; an attacker does not.
  const callRaw = (method: string, path: string, headers: Record<string, string>, body?: unknown) =>
    new Promise<{ status: number; code: unknown }>((resolve, reject) => {
      const { hostname, port } = new URL(base)
      const type = { 'content-type': 'application/json' }
      const sent = request({ hostname, port, method, path, headers: { ...headers, ...type } }, (answer) => {
        let text = ''
        answer.on('data', (part) => {
          text += String(part)
        })
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, code: JSON.parse(text).code }))
      })
      sent.on('error', reject)
      sent.end(body === undefined ? undefined : JSON.stringify(body))
    })

  test('a path that means another route once it is tidied up is refused, not judged by the wrong role', async () => {
    const reader = await headersOf('reader')
    const operator = await headersOf('operator')
    const victim = (await stores.users.list()).find((user) => user.role === 'operator')
    const dots = ['..\\..\\..', '%2e%2e\\%2e%2e\\..', 'x\\..\\..\\..\\..']
    for (const up of dots) {
      const read = await callRaw('GET', `/api/v1/sites/${up}\\api\\v1\\users`, reader)
      expect([up, read.status, read.code]).toEqual([up, 400, 'api/bad-path'])
      const climb = `/api/v1/protections/p/recovery-points/${up}\\..\\..\\api\\v1\\users\\${victim?.id}`
      const raised = await callRaw('PATCH', climb, operator, { role: 'owner' })
      expect([up, raised.status, raised.code]).toEqual([up, 400, 'api/bad-path'])
    }
    const dotted = await callRaw('PATCH', '/api/v1/protections/p/recovery-points/%2e%2e', operator, {})
    expect([dotted.status, dotted.code]).toEqual([400, 'api/bad-path'])
    expect((await stores.users.list()).find((user) => user.id === victim?.id)?.role).toBe('operator')
  })

  test('a token that was revoked opens nothing', async () => {
    const owner = await headersOf('owner')
    const made = await call('POST', '/api/v1/tokens', {
      headers: owner,
      body: { name: 'ci', role: 'reader' },
    })
    const headers = { authorization: `Bearer ${String(made.body.secret)}` }
    expect((await call('GET', '/api/v1/sites', { headers })).status).toBe(200)
    await call('DELETE', `/api/v1/tokens/${String(made.body.id)}`, { headers: owner })
    expect((await call('GET', '/api/v1/sites', { headers })).status).toBe(401)
  })
})

describe('bad input', () => {
  const seed = Number(process.env.UNDERSTUDY_SEED ?? 20_260_101)
  const random = seededRandom(seed)
  const pick = <Item>(items: readonly Item[]): Item =>
    items[Math.floor(random.fraction() * items.length)] as Item
  const garbage = (depth = 0): unknown => {
    const leaf = pick<unknown>([
      null,
      true,
      -1,
      1e99,
      '',
      'x'.repeat(5000),
      '../../etc/passwd',
      "'; DROP TABLE",
      '\u0000',
      [],
      {},
    ])
    if (depth > 2) return leaf
    return pick<() => unknown>([
      () => leaf,
      () => [garbage(depth + 1)],
      () =>
        Object.fromEntries(
          ['id', 'name', 'platform', 'settings', 'point', 'kind', 'role', 'machineId', 'policyId'].map(
            (key) => [key, garbage(depth + 1)],
          ),
        ),
    ])()
  }

  test('garbage on any route is a problem with code and remedy, never a fault of ours', async () => {
    const owner = await headersOf('owner')
    for (const route of apiRoutes) {
      for (let round = 0; round < 6; round += 1) {
        const body = route.method === 'GET' ? {} : { body: garbage() }
        const query =
          route.method === 'GET' && round > 0
            ? `?limit=${String(pick(['-1', 'x', '1e9']))}&cursor=${'z'.repeat(50)}&state=nope&sort=nope`
            : ''
        const answer = await call(route.method, pathOf(route.path) + query, { ...body, headers: owner })
        const told = `seed ${seed}: ${route.method} ${route.path} ${JSON.stringify(body).slice(0, 300)} -> ${answer.status} ${JSON.stringify(answer.body).slice(0, 300)}`
        expect(answer.status, told).toBeLessThan(500)
        if (answer.status >= 400) {
          expect(answer.headers.get('content-type'), told).toMatch(/^application\/problem\+json/)
          expect(answer.body, told).toMatchObject({
            status: answer.status,
            code: expect.stringMatching(/^[a-z-]+\/[a-z-]+$/),
            remedy: expect.stringMatching(/\w/),
          })
        }
      }
    }
  })

  test.each([
    ['no JSON', { raw: '{"name":' }, 400, 'api/malformed-json'],
    ['too much', { raw: JSON.stringify({ name: 'x'.repeat(2_000_000) }) }, 413, 'api/body-too-large'],
    ['a missing field', { body: { name: 'Gold' } }, 400, 'api/invalid-input'],
  ])('a body with %s is refused and says so', async (_what, options, status, code) => {
    const answer = await call('POST', '/api/v1/policies', { ...options, headers: await headersOf('owner') })
    expect([answer.status, answer.body.code]).toEqual([status, code])
  })

  test('a field that does not fit is named', async () => {
    const answer = await call('POST', '/api/v1/policies', {
      headers: await headersOf('owner'),
      body: { ...policy, priority: 11 },
    })
    expect(answer.body).toMatchObject({ status: 400, fields: [{ path: 'priority' }] })
  })

  test('a field that no request has is refused by name: a slip in a field would else do what nobody asked for', async () => {
    const headers = await headersOf('owner')
    const body = { machineId: 'm', targetSiteId: 's', policyId: 'p', excludedDisk: ['swap'] }
    const answer = await call('POST', '/api/v1/protections', { headers, body })
    expect(answer).toMatchObject({ status: 400, body: { code: 'api/invalid-input' } })
    expect(JSON.stringify(answer.body)).toContain('excludedDisk')
    const query = await call('GET', '/api/v1/machines?sight=A', { headers })
    expect(query.status).toBe(400)
  })
  test('a NUL character is refused in a path and in a body', async () => {
    const headers = await headersOf('owner')
    expect((await call('GET', '/api/v1/protections/%00', { headers })).status).toBe(400)
    const named = { ...policy, name: 'a\0b' }
    expect((await call('POST', '/api/v1/policies', { headers, body: named })).status).toBe(400)
  })
  test('unknown routes and wrong methods say what there is', async () => {
    expect((await call('GET', '/api/v1/nonsense')).body.code).toBe('api/unknown-route')
    const wrong = await call('PUT', '/api/v1/sites', { headers: await headersOf('owner'), body: {} })
    expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'GET, POST'])
  })
})

describe('what protecting would mean', () => {
  test('the disks that are left out take no space and stand in nobody’s way, and the room that is left is told', async () => {
    const headers = await headersOf('owner')
    const a = world.addSite('A')
    const b = world.addSite('B')
    await a.addMachine({ name: 'db', disks: [2 * MiB, 8 * MiB] })
    const bad = { level: 'blocker', code: 'disk/no-tracking', message: 'No', remedy: 'None', disk: 'disk1' }
    vi.spyOn(a.source, 'eligibility').mockResolvedValue({
      findings: [bad as Finding],
      shortestIntervalSeconds: 1,
      applicationConsistent: false,
    })
    vi.spyOn(b.replicas, 'freeBytes').mockResolvedValue(77 * MiB)
    const siteOf = async (name: string) =>
      (await engine.registerSite({ platform: 'simulated', settings: {}, secrets: {}, name }, { by: 'x' })).id
    const [siteA, siteB] = [await siteOf('A'), await siteOf('B')]
    const [db] = await stores.machines.list(siteA)
    const ask = async (excludedDisks: object) => {
      const body = { machineIds: [db?.id], targetSiteId: siteB, policyId: 'any', excludedDisks }
      return (await call('POST', '/api/v1/protections/preview', { headers, body })).body
    }
    expect(await ask({})).toMatchObject({
      diskBytes: 10 * MiB,
      freeBytes: 77 * MiB,
      findings: [{ code: 'disk/no-tracking', machineId: db?.id }],
    })
    expect(await ask({ [db?.id ?? '']: ['disk1'] })).toMatchObject({ diskBytes: 2 * MiB, findings: [] })
    const shown = await call('GET', `/api/v1/sites/${siteB}`, { headers })
    expect(shown.body).toMatchObject({ freeBytes: 77 * MiB, canBeSource: true })
  })

  test('what was chosen for the networks is what the target is asked about, and the size that it suggests is told', async () => {
    const headers = await headersOf('owner')
    const a = world.addSite('C')
    const b = world.addSite('D')
    await a.addMachine({ name: 'shop', disks: [2 * MiB, 8 * MiB] })
    const specs: MachineSpec[] = []
    Object.assign(b.target, { sizeFor: async () => ({ name: 'Large', why: 'it fits' }) })
    vi.spyOn(b.target, 'preflight').mockImplementation(async (spec) => {
      specs.push(spec)
      const full = { level: 'blocker', code: 'network/full', message: 'Full', remedy: 'None' } as const
      return spec.mode === 'test' ? [full, { ...full, code: 'azure/quota' }] : []
    })
    const siteOf = async (name: string) =>
      (await engine.registerSite({ platform: 'simulated', settings: {}, secrets: {}, name }, { by: 'x' })).id
    const [siteC, siteD] = [await siteOf('C'), await siteOf('D')]
    const [shop] = await stores.machines.list(siteC)
    const id = shop?.id ?? ''
    const body = {
      machineIds: [id],
      targetSiteId: siteD,
      policyId: 'any',
      excludedDisks: { [id]: ['disk1'] },
    }
    const chosen = { adapterKey: 'net0', failoverNetworkId: null, testNetworkId: 'lan' }
    const preview = await call('POST', '/api/v1/protections/preview', {
      headers,
      body: { ...body, adapters: { [id]: [chosen] } },
    })
    expect(preview.body).toMatchObject({
      suggestedAdapters: { [id]: [{ failoverNetworkId: 'lan', testNetworkId: 'isolated' }] },
      sizes: { [id]: { name: 'Large', why: 'it fits' } },
    })
    // What is wrong for both is said once, of the failover.
    const findings = preview.body.findings as { code: string; message: string }[]
    expect(findings.map(({ code }) => code)).toEqual(['failover/no-network', 'network/full'])
    expect(findings[1]?.message).toBe('In a test: Full')
    expect(specs.map(({ mode, networks, hardware }) => [mode, [...networks], hardware.disks.length])).toEqual(
      [
        ['failover', [], 1],
        ['test', [['net0', 'lan']], 1],
      ],
    )
  })
})

describe('Idempotency-Key', () => {
  test('the same request is done once and answered the same; another request with that key is refused', async () => {
    const headers = { ...(await headersOf('owner')), 'idempotency-key': 'once' }
    const body = { ...policy, name: 'Once' }
    const first = await call('POST', '/api/v1/policies', { headers, body })
    const second = await call('POST', '/api/v1/policies', { headers, body })
    expect(second.body).toEqual(first.body)
    expect(second.headers.get('idempotency-replayed')).toBe('true')
    const other = await call('POST', '/api/v1/policies', { headers, body: { ...body, name: 'Other' } })
    expect([other.status, other.body.code]).toEqual([422, 'api/idempotency-key-reused'])
    const all = await call('GET', '/api/v1/policies', { headers: await headersOf('owner') })
    const names = (all.body.items as { name: string }[]).map((row) => row.name)
    expect(names.filter((name) => name === 'Once')).toHaveLength(1)
  })

  test('the secret of a new token is not kept for a repetition: reading the database gives nobody a token', async () => {
    const headers = { ...(await headersOf('owner')), 'idempotency-key': 'new-token' }
    const body = { name: 'nightly', role: 'reader' }
    const first = await call('POST', '/api/v1/tokens', { headers, body })
    const second = await call('POST', '/api/v1/tokens', { headers, body })
    expect([first.status, second.status]).toEqual([201, 201])
    expect(second.headers.get('idempotency-replayed')).toBeNull()
    expect(second.body.secret).not.toBe(first.body.secret)
  })
})

describe('audit', () => {
  test('every change is in it with who, what and outcome, and no secret', async () => {
    const owner = await headersOf('owner')
    await call('POST', '/api/v1/users', {
      headers: owner,
      body: { name: 'carol', role: 'operator', password: 'a very secret word' },
    })
    await call('POST', '/api/v1/policies', { headers: await headersOf('reader'), body: policy })
    const entries = (await call('GET', '/api/v1/audit', { headers: owner })).body.items as {
      action: string
      who: string
      outcome: string
    }[]
    expect(entries.find((entry) => entry.action === 'users.create')).toMatchObject({
      who: 'the owner (owner)',
      outcome: 'accepted',
      subject: 'carol',
    })
    expect(JSON.stringify(entries)).not.toContain('a very secret word')
    expect(JSON.stringify(entries)).not.toContain(password)
  })

  test('a change that was refused for a low role is in it too', async () => {
    await call('POST', '/api/v1/policies', { headers: await headersOf('reader'), body: policy })
    const entries = (await call('GET', '/api/v1/audit', { headers: await headersOf('owner') })).body
      .items as {
      action: string
      who: string
      outcome: string
    }[]
    expect(
      entries.find((entry) => entry.action === 'policies.create' && entry.who.startsWith('the reader')),
    ).toMatchObject({ outcome: 'refused' })
  })
})

test('where the secrets of a changed site go is in the audit', async () => {
  world.addSite('audited')
  const site = { name: 'audited', platform: 'simulated', settings: {} }
  const owner = await headersOf('owner')
  const made = await call('POST', '/api/v1/sites', { headers: owner, body: site })
  const changed = await call('PATCH', `/api/v1/sites/${String(made.body.id)}`, {
    headers: owner,
    body: { site },
  })
  expect(changed.status).toBe(200)
  const { rows } = await stores.audit.list({}, { limit: 1, cursor: null })
  expect(rows).toMatchObject([
    { action: 'sites.update', facts: { secretsGoTo: { accountKey: 'https://storage.example' } } },
  ])
})

test('a receiver is shown with its site, used by operators only, and only for what they have typed', async () => {
  const site = sampleSite({ platform: 'physical' })
  await stores.sites.create(site, {})
  const server = sampleDiscoveredMachine({ name: 'db-1' })
  await stores.machines.replaceInventory(site.id, [server], clock.now())
  const machine = present(await stores.machines.findByRef(site.id, server.ref), 'its machine')
  const { token } = await agents.invite({ siteId: site.id, roles: ['receiver'], proxy: null, by: 'ada' })
  const facts = {
    hostName: 'r',
    system: 's',
    kernel: 'k',
    architecture: 'x64',
    processors: 1,
    memoryBytes: 1,
  }
  const verdict = await stores.agents.enrol(
    hashSecret(token),
    clock.now(),
    {
      id: newId() as never,
      name: 'rescue',
      publicKey: 'k',
      serverIdentity: newId(),
      hardware: null,
      version: '1',
      facts,
    },
    true,
  )
  if (verdict.kind !== 'enrolled') throw new Error('It is enrolled')
  const { id } = verdict.agent
  const ask = async (role: Role, path: string, body?: unknown) =>
    call(body === undefined ? 'GET' : 'POST', `/api/v1${path}`, { headers: await headersOf(role), body })
  expect((await ask('reader', `/receivers?siteId=${site.id}`)).body).toMatchObject({
    items: [{ agentId: id, name: 'rescue', disks: null, assignment: null }],
  })
  // It runs itself: nothing of it comes home.
  expect((await ask('reader', `/agents/${id}/servers`)).body).toEqual({ items: [] })
  const disk = { key: 'disk0', path: '/dev/sda', bytes: 2 ** 40, serial: null }
  const choice = { machineId: machine.id, disks: [disk], confirm: 'db-1' }
  expect((await ask('reader', `/agents/${id}/assign`, choice)).status).toBe(403)
  expect((await ask('operator', `/agents/${id}/assign`, { ...choice, confirm: 'web' })).body).toMatchObject({
    code: 'receiver/not-confirmed',
  })
  expect((await ask('operator', `/agents/${id}/assign`, choice)).body).toMatchObject({
    code: 'receiver/not-failed-over',
  })
  expect((await ask('operator', `/agents/${id}/take-back`, {})).status).toBe(200)
})

test('an agent says what stands still without it, and what it was refused for is accepted by contributors', async () => {
  const site = sampleSite()
  await stores.sites.create(site, {})
  const { invitation, token } = await agents.invite({
    siteId: site.id,
    roles: ['protected-server'],
    proxy: null,
    by: 'ada',
  })
  const known = { model: 'R740', firmwareId: 'f1', serials: ['s1'], disks: ['d1'] }
  const facts = { hostName: 'db', system: '', kernel: '', architecture: '', processors: 1, memoryBytes: 1 }
  const verdict = await stores.agents.enrol(hashSecret(token), clock.now(), {
    ...{ id: newId() as never, name: 'db', publicKey: 'k', serverIdentity: 'db-by-id', version: '1' },
    ...{ hardware: known, facts },
  })
  if (verdict.kind !== 'enrolled') throw new Error(invitation.id)
  const { agent } = verdict
  const parents = {
    ...{ machineId: 'm' as never, sourceSiteId: site.id, sourceRef: agent.serverIdentity as never },
    ...{ targetSiteId: 't' as never, policyId: 'p' as never },
  }
  await stores.protections.create(sampleProtection(parents, { name: 'its own' }))
  await stores.protections.create(
    sampleProtection(
      { ...parents, machineId: 'n' as never, sourceRef: 'another' as never },
      { name: 'not its' },
    ),
  )
  const as = async (role: Role, method: string, path: string, body?: unknown) =>
    call(method, `/api/v1/agents/${agent.id}${path}`, { headers: await headersOf(role), body })
  const standing = await as('reader', 'GET', '/protections')
  expect(standing.body.items).toEqual([{ id: expect.any(String), name: 'its own' }])

  const at = clock.now()
  const hardware = { ...known, model: 'R750', firmwareId: 'f2' }
  await stores.agents.setOtherHardware(agent.id, { hardware, hostName: 'db', why: 'another', at })
  const shown = (await as('reader', 'GET', '')).body
  expect(shown).toMatchObject({ model: 'R740', otherHardware: { model: 'R750', why: 'another' } })
  const accept = { at: new Date(at).toISOString() }
  expect((await as('operator', 'POST', '/accept-hardware', accept)).status).toBe(403)
  const stale = await as('contributor', 'POST', '/accept-hardware', { at: new Date(at - 1).toISOString() })
  expect(stale.body).toMatchObject({ code: 'agent/hardware-not-seen' })
  expect((await as('contributor', 'POST', '/accept-hardware', accept)).body).toMatchObject({
    model: 'R750',
    otherHardware: null,
  })
  const { rows } = await stores.audit.list({}, { limit: 1, cursor: null })
  expect(rows).toMatchObject([{ action: 'agents.acceptHardware', facts: { why: 'another' } }])
})

describe('the bandwidth between two sites', () => {
  test('is limited by contributors, said in words with what counts now, and removed', async () => {
    const [source, target] = [sampleSite(), sampleSite()]
    for (const site of [source, target]) await stores.sites.create(site, {})
    const calendar = {
      timeZone: 'UTC',
      rules: [{ weekdays: [1, 2, 3, 4, 5, 6, 7], fromMinute: 0, toMinute: 1440, megabitsPerSecond: 20 }],
      otherwiseMegabitsPerSecond: null,
    }
    const limit = { sourceSiteId: source.id, targetSiteId: target.id, calendar }
    const as = async (role: Role, method: string, path: string, body?: unknown) =>
      call(method, `/api/v1/bandwidth-limits${path}`, { headers: await headersOf(role), body })
    expect((await as('operator', 'POST', '', limit)).status).toBe(403)
    expect(await as('contributor', 'POST', '', limit)).toMatchObject({ status: 200 })
    const { body } = await as('reader', 'GET', '')
    expect(body.items).toEqual([
      {
        ...limit,
        sourceName: source.name,
        targetName: target.name,
        words: '20 Mbit/s every day from 00:00 to 24:00; otherwise no limit (UTC)',
        megabitsPerSecondNow: 20,
        changesAt: null,
      },
    ])
    const nowhere = { ...limit, calendar: { ...calendar, timeZone: 'Mars/Base' } }
    expect(await as('contributor', 'POST', '', nowhere)).toMatchObject({
      status: 422,
      body: { code: 'bandwidth/invalid' },
    })
    const pair = `/${source.id}/${target.id}`
    expect((await as('contributor', 'DELETE', pair)).status).toBe(200)
    expect(await as('contributor', 'DELETE', pair)).toMatchObject({
      status: 404,
      body: { code: 'bandwidth/not-found' },
    })
    expect((await as('reader', 'GET', '')).body.items).toEqual([])
  })
})

describe('consistency groups', () => {
  const as = async (role: Role, method: string, path: string, body?: unknown) =>
    call(method, `/api/v1${path}`, {
      headers: await headersOf(role),
      ...(body === undefined ? {} : { body }),
    })

  /** Two machines of one site and policy, and one of another policy. */
  async function addThree() {
    const [source, target] = [sampleSite(), sampleSite()]
    for (const site of [source, target]) await stores.sites.create(site, {})
    const found = ['web', 'db', 'log'].map((name) => sampleDiscoveredMachine({ name }))
    await stores.machines.replaceInventory(source.id, found, clock.now())
    const [gold, tin] = [samplePolicy(), samplePolicy()]
    for (const one of [gold, tin]) await stores.policies.save(one)
    const made: string[] = []
    for (const { ref, name } of found) {
      const machine = await stores.machines.findByRef(source.id, ref)
      const parents = {
        machineId: present(machine?.id, 'it was found'),
        sourceRef: ref,
        sourceSiteId: source.id,
        targetSiteId: target.id,
        policyId: name === 'log' ? tin.id : gold.id,
      }
      const protection = sampleProtection(parents, { name, state: 'paused' })
      await stores.protections.create(protection)
      made.push(protection.id)
    }
    const [web = '', db = '', log = ''] = made
    return { web, db, log, tin }
  }

  test('are made, shown with their machines, changed as a whole and removed, with an entry in the audit for each', async () => {
    const { web, db, log, tin } = await addThree()
    const made = await as('contributor', 'POST', '/groups', { name: 'Shop', protectionIds: [web, db] })
    expect(made.status).toBe(201)
    const id = String(made.body.id)
    expect(made.body).toMatchObject({
      name: 'Shop',
      health: 'at-risk',
      newestWholeCut: null,
      lagSeconds: null,
    })
    expect(made.body.members).toEqual(
      ['web', 'db'].map((name) =>
        expect.objectContaining({ name, state: 'paused', covered: false, note: 'It is paused.' }),
      ),
    )
    const protection = await as('reader', 'GET', `/protections/${web}`)
    expect(protection.body.group).toEqual({ id, name: 'Shop' })
    const listed = await as('reader', 'GET', `/protections?groupId=${id}`)
    expect((listed.body.items as { id: string }[]).map((row) => row.id).sort()).toEqual([web, db].sort())

    const candidates = await as('reader', 'POST', '/groups/candidates', { groupId: id, chosen: [web, db] })
    const refused = (candidates.body.items as { protectionId: string; reason: string | null }[]).find(
      ({ protectionId }) => protectionId === log,
    )
    expect(refused?.reason).toContain('another policy')
    const adding = await as('contributor', 'POST', `/groups/${id}/members`, { protectionIds: [log] })
    expect(adding).toMatchObject({ status: 422, body: { code: 'group/other-policy' } })
    const change = { name: 'Shop 2', policyId: tin.id }
    expect((await as('contributor', 'PATCH', `/groups/${id}`, change)).body).toMatchObject({
      name: 'Shop 2',
      policyName: tin.name,
    })
    const added = await as('contributor', 'POST', `/groups/${id}/members`, { protectionIds: [log] })
    expect(added.body.members).toHaveLength(3)
    const alone = await as('contributor', 'PATCH', `/protections/${log}`, { policyId: tin.id })
    expect(alone.status).toBe(200)
    const left = await as('contributor', 'DELETE', `/groups/${id}/members/${db}`)
    expect(left.body.members).toHaveLength(2)
    const twice = await as('contributor', 'POST', '/groups', { name: 'shop 2' })
    expect(twice).toMatchObject({ status: 409, body: { code: 'group/name-taken' } })
    expect((await as('contributor', 'DELETE', `/groups/${id}`)).status).toBe(200)
    expect(await as('reader', 'GET', `/groups/${id}`)).toMatchObject({
      status: 404,
      body: { code: 'group/not-found' },
    })
    expect((await as('reader', 'GET', `/protections/${web}`)).body.group).toBeNull()
    const entries = (await as('owner', 'GET', '/audit')).body.items as { action: string }[]
    const actions = entries.map(({ action }) => action)
    for (const action of ['create', 'update', 'addMembers', 'removeMember', 'remove'])
      expect(actions).toContain(`groups.${action}`)
  })
})

describe('recovery plans', () => {
  let tested = { plan: '', run: '' }
  const step = (id: string, action: object) => ({
    id,
    name: id,
    needs: [],
    whenItFails: 'stop',
    kinds: ['test', 'planned', 'unplanned', 'fail-back'],
    directions: ['forward', 'reverse'],
    action,
  })
  const scriptAt = (where: object) => ({
    kind: 'script',
    where,
    command: '/bin/true',
    arguments: [],
    environment: {},
    timeoutSeconds: 60,
  })
  const manual = {
    kind: 'manual',
    instructions: 'Call the bank',
    assigneeRole: 'contributor',
    timeoutSeconds: 600,
    whenTimedOut: 'fail',
  }
  const planOf = (name: string, steps: readonly object[]) => ({
    name,
    priority: 5,
    targetRtoSeconds: null,
    parameters: [],
    groups: [{ id: 'g', name: 'All', start: 'in-order', before: steps, machines: [], after: [] }],
  })
  const as = async (role: Role, method: string, path: string, body?: unknown) =>
    call(method, `/api/v1${path}`, {
      headers: await headersOf(role),
      ...(body === undefined ? {} : { body }),
    })

  test('show the points of all their machines, and a dry run says which machine goes back how far', async () => {
    const made = await as('contributor', 'POST', '/plans', planOf('Line', []))
    const id = String(made.body.id)
    const empty = { machines: [], earliestCommon: null, latestProcessed: null }
    expect((await as('reader', 'GET', `/plans/${id}/time-line`)).body).toEqual(empty)
    for (const point of [{ kind: 'latest-processed' }, { kind: 'at', instant: '2026-03-01T14:05:09.120Z' }]) {
      const dry = await as('operator', 'POST', `/plans/${id}/dry-run`, { kind: 'test', point })
      expect(dry).toMatchObject({ status: 200, body: { points: [] } })
    }
    const wrong = { kind: 'test', point: { kind: 'at', instant: 'yesterday' } }
    expect((await as('operator', 'POST', `/plans/${id}/dry-run`, wrong)).status).toBe(400)
  })

  test('are saved version by version; the second of two who save is told, and can merge', async () => {
    const made = await as('contributor', 'POST', '/plans', planOf('Shop', [step('call', manual)]))
    expect(made.status).toBe(201)
    expect(made.body).toMatchObject({ version: 1, stepCount: 1 })
    const id = String(made.body.id)
    const plan = made.body.plan as ReturnType<typeof planOf> & { id: string }
    const save = (change: object, version = 1) =>
      as('contributor', 'PATCH', `/plans/${id}`, { plan: { ...plan, ...change }, version, comment: 'why' })
    expect((await save({ priority: 7 })).body).toMatchObject({ version: 2, priority: 7 })
    const second = await save({ targetRtoSeconds: 600 })
    expect(second).toMatchObject({ status: 409, body: { code: 'recovery-plan/edited-meanwhile' } })
    const merge = { plan: { ...plan, targetRtoSeconds: 600 }, version: 1 }
    const merged = await as('contributor', 'POST', `/plans/${id}/merge`, merge)
    expect(merged.body).toMatchObject({
      kind: 'merged',
      version: 2,
      plan: { priority: 7, targetRtoSeconds: 600 },
    })
    const diff = await as('reader', 'GET', `/plans/${id}/diff?from=1&to=2`)
    expect(diff.body.items).toEqual([{ at: { kind: 'plan' }, words: 'priority from 5 to 7' }])
    expect((await as('contributor', 'POST', `/plans/${id}/versions/1/restore`)).body).toMatchObject({
      version: 3,
      priority: 5,
    })
    const twice = await as('contributor', 'POST', '/plans', planOf('shop', []))
    expect(twice).toMatchObject({ status: 409, body: { code: 'recovery-plan/name-taken' } })
  })

  test('a change in Azure is added by owners only, and so is what its parameters begin with', async () => {
    const change = {
      kind: 'azure-dns',
      site: 'nowhere',
      resourceGroup: '',
      zone: '{{zone}}',
      zoneKind: 'public',
      recordName: 'www.{{zone}}',
      recordType: 'A',
      ttlSeconds: 60,
      values: [{ kind: 'address', address: '192.0.2.1' }],
      timeoutSeconds: 60,
    }
    const parameter = (zone: string) => ({
      parameters: [{ name: 'zone', type: 'text', description: '', default: zone, choices: [], asked: false }],
    })
    const plan = { ...planOf('Azure', [step('dns', change)]), ...parameter('example.com') }
    const refused = await as('contributor', 'POST', '/plans', plan)
    expect(refused).toMatchObject({ status: 403, body: { code: 'access/role-too-low' } })
    const made = await as('owner', 'POST', '/plans', plan)
    expect(made).toMatchObject({ status: 201 })
    const save = (more: object, version: number) => ({
      plan: { ...(made.body.plan as object), ...more },
      version,
    })
    const path = `/plans/${String(made.body.id)}`
    expect((await as('contributor', 'PATCH', path, save({ priority: 9 }, 1))).status).toBe(200)
    expect((await as('contributor', 'PATCH', path, save(parameter('example.net'), 2))).status).toBe(403)
  })

  test.each([
    ['the server', { kind: 'server' }, 'Scripts'],
    ['the host of a site', { kind: 'site', site: 'nowhere' }, 'Host scripts'],
  ])('a script on %s is added by owners only', async (_, where, name) => {
    const serverScript = scriptAt(where)
    const plan = planOf(name, [step('run', serverScript)])
    const refused = await as('contributor', 'POST', '/plans', plan)
    expect(refused).toMatchObject({ status: 403, body: { code: 'access/role-too-low' } })
    const made = await as('owner', 'POST', '/plans', plan)
    expect(made.status).toBe(201)
    const kept = { plan: { ...(made.body.plan as object), priority: 9 }, version: 1 }
    expect((await as('contributor', 'PATCH', `/plans/${String(made.body.id)}`, kept)).status).toBe(200)
    const changed = planOf(name, [step('run', { ...serverScript, command: '/bin/false' })])
    const change = { plan: { ...changed, id: made.body.id }, version: 2 }
    expect((await as('contributor', 'PATCH', `/plans/${String(made.body.id)}`, change)).status).toBe(403)
  })

  test('a display link shows the wall and nothing else, names no user, and ends when it is revoked or has expired', async () => {
    const link = { name: 'Operations room', layout: 'incident', cycleSeconds: 30, expiresInDays: 1 }
    const [made, brief] = [
      await as('owner', 'POST', '/display-links', link),
      await as('owner', 'POST', '/display-links', link),
    ]
    expect(made).toMatchObject({
      status: 201,
      body: { name: link.name, createdBy: expect.stringContaining('the owner') },
    })
    const secret = String(made.body.secret)
    expect(made.body.path).toBe(`/wall/incident?cycle=30#display=${secret}`)
    expect(JSON.stringify(await stores.displayLinks.list())).not.toContain(secret)
    const headers = { authorization: `Bearer ${secret}` }
    const steps = [step('tell', manual), step('hold', { kind: 'wait', seconds: 3000 })]
    const plan = await as('contributor', 'POST', '/plans', planOf('Walled', steps))
    const started = await as('operator', 'POST', `/plans/${String(plan.body.id)}/runs`, { kind: 'test' })
    const run = String(started.body.id)
    await as('contributor', 'POST', `/plan-runs/${run}/activities/tell/skip`)
    // As a script leaves it: its last line, and what it failed with.
    const failure = {
      kind: 'refusal',
      code: 'step/x',
      message: 'no hunter2 at 10.0.0.7',
      remedy: '',
    } as const
    const said = { state: 'running', attempt: 1, note: 'key=hunter2', output: 'hunter2', failure } as const
    const from = { state: 'pending', attempt: 0, run: ['running'] } as const
    expect(await stores.planRuns.moveActivity(run as PlanRunId, 'hold' as ItemId, from, said)).toBe(true)
    const shown = [
      await call('GET', '/api/v1/wall', { headers }),
      await call('GET', `/api/v1/wall/runs/${run}`, { headers }),
    ]
    expect(shown.map(({ status }) => status)).toEqual([200, 200])
    expect(shown[0]?.body).toMatchObject({
      runs: expect.arrayContaining([expect.objectContaining({ id: run })]),
    })
    const text = JSON.stringify(shown)
    for (const hidden of [
      'the owner',
      'the operator',
      'the contributor',
      'Call the bank',
      'hunter2',
      '10.0.',
      secret,
    ])
      expect(text).not.toContain(hidden)
    expect(shown[1]?.body).toMatchObject({
      activities: [{ name: 'tell', state: 'skipped' }, { name: 'hold' }],
    })
    for (const route of apiRoutes) {
      if (accessOf(route.name) === 'display') continue
      const raw = route.method === 'GET' ? {} : { raw: '{}' }
      const refused = await call(route.method, pathOf(route.path), { ...raw, headers })
      expect([route.path, refused.status, refused.body.code]).toEqual([
        route.path,
        403,
        'access/display-only',
      ])
    }
    const { items } = (await as('owner', 'GET', '/display-links')).body as {
      items: { id: string; lastUsedAt: string | null }[]
    }
    expect(items.filter(({ lastUsedAt }) => lastUsedAt !== null).map(({ id }) => id)).toEqual([made.body.id])
    expect((await as('owner', 'DELETE', `/display-links/${String(made.body.id)}`)).status).toBe(200)
    const ended = (detail: string) => ({ status: 401, body: { code: 'access/display-ended', detail } })
    expect(await call('GET', '/api/v1/wall', { headers })).toMatchObject(
      ended('This display link was revoked'),
    )
    const other = { authorization: `Bearer ${String(brief.body.secret)}` }
    expect((await call('GET', '/api/v1/wall', { headers: other })).status).toBe(200)
    await clock.advance(86_400_000)
    expect(await call('GET', '/api/v1/wall', { headers: other })).toMatchObject(
      ended('This display link has expired'),
    )
    const audit = (await as('owner', 'GET', '/audit?limit=500')).body.items as {
      action: string
      subject: string
    }[]
    expect(
      audit
        .filter(({ action, subject }) => action.startsWith('displayLinks.') && subject === link.name)
        .map(({ action, subject }) => [action, subject]),
    ).toEqual([
      ['displayLinks.remove', link.name],
      ['displayLinks.create', link.name],
      ['displayLinks.create', link.name],
    ])
  })

  test('ask at their run, and what a run has passed over asks alone on the overview', async () => {
    const plan = samplePlan([sampleGroup('all', { machines: [sampleMachine('one'), sampleMachine('two')] })])
    const run = samplePlanRun(plan, { state: 'running' })
    const question = { id: 'fence', text: 'Is it off?', answers: [] }
    const jobs = ['running', 'skipped'].map((state) => ({ state, job: sampleJob({ state: 'waiting' }) }))
    for (const { job } of jobs) await stores.jobs.create({ ...job, question })
    const activities = sampleActivities(run).map((each, index) => ({
      ...each,
      state: jobs[index]?.state === 'running' ? ('running' as const) : ('skipped' as const),
      jobId: jobs[index]?.job.id ?? null,
    }))
    await stores.planRuns.create(run, activities, {})
    const { body } = await as('reader', 'GET', '/overview')
    const asked = (body.waiting as { id: string }[]).map(({ id }) => id)
    expect(asked).not.toContain(jobs[0]?.job.id)
    expect(asked).toContain(jobs[1]?.job.id)
    await stores.planRuns.move(run.id, 'running', 'cancelling')
    await stores.planRuns.move(run.id, 'cancelling', 'cancelled', { endedAt: clock.now() })
  })

  test('run, and wait for somebody with the right role', async () => {
    await engine.start()
    const made = await as('contributor', 'POST', '/plans', planOf('Bank', [step('call', manual)]))
    const id = String(made.body.id)
    // Nothing to bring up is a blocker of its own.
    const started = await as('operator', 'POST', `/plans/${id}/runs`, { kind: 'test' })
    expect(started.status).toBe(201)
    const run = String(started.body.id)
    await clock.advance(1000)
    const waiting = await as('reader', 'GET', `/plan-runs/${run}`)
    expect(waiting.body).toMatchObject({
      state: 'running',
      waitingForPeople: 1,
      activities: [{ itemId: 'call', state: 'running', asks: { kind: 'manual', text: 'Call the bank' } }],
    })
    const answer = (role: Role) =>
      as(role, 'POST', `/plan-runs/${run}/activities/call/answer`, { value: 'done' })
    expect(await answer('operator')).toMatchObject({ status: 403, body: { code: 'access/role-too-low' } })
    expect((await answer('contributor')).status).toBe(200)
    await clock.advance(2000)
    expect((await as('reader', 'GET', `/plan-runs/${run}`)).body).toMatchObject({ state: 'succeeded' })
    expect((await as('reader', 'GET', `/plans/${id}`)).body).toMatchObject({ lastTest: { passed: true } })
    tested = { plan: id, run }
  })

  test('leave a report that opens, with the hash of its bundle, and say how far one may rely on them', async () => {
    await clock.advance(6000)
    const { plan, run } = tested
    const { body } = await as('reader', 'GET', `/plan-runs/${run}/evidence`)
    const [evidence] = body.items as { edition: number; sha256: string; bytes: number }[]
    expect(evidence).toMatchObject({ edition: 1 })
    expect((await as('reader', 'GET', `/plan-runs/${run}`)).body.evidence).toMatchObject({
      sha256: evidence?.sha256,
    })
    const open = async (file: string) =>
      fetch(`${base}/api/v1/plan-runs/${run}/evidence/1/${file}`, { headers: await headersOf('reader') })
    const html = await open('report.html')
    expect(html.headers.get('content-type')).toContain('text/html')
    expect(html.headers.get('content-security-policy')).toContain('sandbox')
    expect(await html.text()).toContain('Test of &quot;Bank&quot;')
    const pdf = await open('report.pdf')
    expect(pdf.headers.get('content-type')).toBe('application/pdf')
    expect((await pdf.text()).slice(0, 4)).toBe('%PDF')
    const zip = await open('bundle.zip')
    expect(zip.headers.get('content-disposition')).toMatch(/^attachment; filename="Bank-[-0-9]+-bundle.zip"$/)
    const bundle = Buffer.from(await zip.arrayBuffer())
    expect(createHash('sha256').update(bundle).digest('hex')).toBe(evidence?.sha256)
    expect(bundle).toHaveLength(evidence?.bytes ?? 0)
    expect((await open('run.json')).status).toBe(400)
    const absent = await as('reader', 'GET', `/plan-runs/${run}/evidence/9/report.html`)
    expect(absent).toMatchObject({ status: 404, body: { code: 'evidence/not-found' } })
    const { body: shown } = await as('reader', 'GET', `/plans/${plan}`)
    expect(shown.readiness).toMatchObject({ level: 'proven', parts: { test: 60 } })
    const { body: overview } = await as('reader', 'GET', '/overview')
    expect(overview.readiness).toMatchObject({ plans: { proven: 1 } })
  })

  test('an edit of a run that was overtaken is joined with how the run stands by now', async () => {
    const hold = { kind: 'wait', seconds: 3000 }
    const steps = [step('call', manual), step('hold', hold), step('last', hold)]
    const made = await as('contributor', 'POST', '/plans', planOf('Joined', steps))
    const started = await as('operator', 'POST', `/plans/${String(made.body.id)}/runs`, { kind: 'test' })
    const run = String(started.body.id)
    await vi.waitFor(async () => {
      await clock.advance(1000)
      const { activities } = (await as('reader', 'GET', `/plan-runs/${run}`)).body
      expect(activities).toMatchObject([{ state: 'running' }, {}, {}])
    })
    const base = started.body.plan as ReturnType<typeof planOf> & { id: string }
    const edited = (names: Record<string, string>) => ({
      ...base,
      groups: base.groups.map((group) => ({
        ...group,
        before: steps.map((each) => ({ ...each, name: names[each.id] ?? each.name })),
      })),
    })
    const edit = (plan: object, planRevision: number) =>
      as('contributor', 'PATCH', `/plan-runs/${run}`, { plan, planRevision })
    expect((await edit(edited({ hold: 'Hold on' }), 1)).body).toMatchObject({ planRevision: 2 })
    const mine = edited({ call: 'Call them', last: 'The last one' })
    expect((await edit(mine, 1)).body).toMatchObject({ code: 'plan-run/started' })
    const merged = await as('contributor', 'POST', `/plan-runs/${run}/merge`, { base, plan: mine })
    expect(merged.body).toMatchObject({
      kind: 'merged',
      planRevision: 2,
      givenUp: [{ at: { kind: 'item', id: 'call' } }],
    })
    expect((await edit(merged.body.plan as object, 2)).body).toMatchObject({
      plan: { groups: [{ before: [{ name: 'call' }, { name: 'Hold on' }, { name: 'The last one' }] }] },
    })
    await engine.stop()
  })

  test('have a schedule of tests, which contributors set, one change after the other', async () => {
    const { plan } = tested
    const path = `/plans/${plan}/test-settings`
    expect((await as('reader', 'GET', path)).body).toMatchObject({
      testEveryDays: 30,
      schedule: null,
      revision: 0,
    })
    const schedule = {
      enabled: true,
      days: { kind: 'week', weekdays: [6] },
      minuteOfDay: 180,
      timeZone: 'Europe/Berlin',
      windowMinutes: 60,
      keepMinutes: 0,
      giveUpMinutes: 240,
    }
    const save = (role: Role, change: object = {}, revision = 0) =>
      as(role, 'PATCH', path, { testEveryDays: 7, schedule: { ...schedule, ...change }, revision })
    expect((await save('operator')).status).toBe(403)
    const saved = await save('contributor')
    expect(saved.body).toMatchObject({
      revision: 1,
      words: 'every Saturday at 03:00 (Europe/Berlin)',
      nextAt: '2026-01-03T02:00:00.000Z',
    })
    expect(await save('contributor')).toMatchObject({
      status: 409,
      body: { code: 'test-schedule/edited-meanwhile' },
    })
    expect(await save('contributor', { timeZone: 'Mars' }, 1)).toMatchObject({
      status: 422,
      body: { code: 'test-schedule/invalid' },
    })
    expect((await as('reader', 'GET', `/plans/${plan}`)).body.nextTestAt).toBe('2026-01-03T02:00:00.000Z')
    expect((await as('reader', 'GET', `/plans/${plan}/scheduled-tests`)).body.items).toEqual([])
  })

  test('go out as YAML and come in again, and what is wrong with a text is told', async () => {
    const made = await as('contributor', 'POST', '/plans', planOf('Yaml', [step('call', manual)]))
    const { text } = (await as('reader', 'GET', `/plans/${String(made.body.id)}/document`)).body
    expect(text).toContain('name: Yaml')
    const renamed = String(text).replace('name: Yaml', 'name: Yaml again')
    const again = await as('contributor', 'POST', '/plans/import', { text: renamed })
    expect(again.status).toBe(201)
    expect((again.body.plan as { groups: unknown }).groups).toEqual(
      (made.body.plan as { groups: unknown }).groups,
    )
    const refusals: readonly (readonly [string, string])[] = [
      ['{', 'recovery-plan/document'],
      ['understudyPlan: 2\nname: x\ngroups: []', 'recovery-plan/document'],
      [
        'understudyPlan: 1\nname: x\ngroups:\n- {id: g, name: g, machines: [{id: m, protection: nobody}]}',
        'recovery-plan/unknown-machine',
      ],
    ]
    for (const [wrong, code] of refusals) {
      const refused = await as('contributor', 'POST', '/plans/import', { text: wrong })
      expect([wrong, refused.body.code]).toEqual([wrong, code])
      expect(refused.body.remedy).not.toBe('')
    }
    const schema = await call('GET', '/api/plan.schema.json')
    expect(schema.body).toMatchObject({ title: 'Understudy recovery plan' })
  })
})
