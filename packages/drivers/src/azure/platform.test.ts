// A site in Azure as an operator registers it, against the emulator: what is wrong is said by name before anything is kept there.
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import {
  ContainerSASPermissions,
  generateBlobSASQueryParameters,
  StorageSharedKeyCredential,
} from '@azure/storage-blob'
import type { ReplicaId } from '@understudy/domain/protection/protection'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { makeIdentity } from './arm/double/double-line.ts'
import { EMULATOR_ACCOUNT, EMULATOR_KEY } from './emulator/start-azurite.ts'
import { type Emulator, startEmulator } from './emulator/start-emulator.ts'
import { openAzurePlatform } from './platform.ts'

let emulator: Emulator
let now = Date.parse('2026-01-01T12:00:00Z')
beforeAll(async () => {
  emulator = await startEmulator()
})
afterEach(() => {
  emulator.proxy.fault = null
})
afterAll(async () => {
  await emulator.stop()
})

const settingsOf = (container: string, more: Record<string, unknown> = {}) => ({
  account: EMULATOR_ACCOUNT,
  container,
  endpoint: `http://127.0.0.1:${emulator.proxy.port}/${EMULATOR_ACCOUNT}`,
  ...more,
})

const open = (
  settings: Record<string, unknown>,
  { isTrial = true, secrets = { accountKey: EMULATOR_KEY } as Record<string, string> } = {},
) => openAzurePlatform({ settings }, secrets, { clock: { now: () => now }, isTrial })

const check = async (...site: Parameters<typeof open>) => (await open(...site)).checkConnection()

const signature = (containerName: string, permissions: string, hours = 1): string =>
  generateBlobSASQueryParameters(
    {
      containerName,
      permissions: ContainerSASPermissions.parse(permissions),
      startsOn: new Date(Date.now() - 7_200_000),
      expiresOn: new Date(Date.now() + hours * 3_600_000),
    },
    new StorageSharedKeyCredential(EMULATOR_ACCOUNT, EMULATOR_KEY),
  ).toString()

test('a container that is not there is refused with the offer to make it, and made when somebody says so', async () => {
  await expect(check(settingsOf('fresh'))).rejects.toMatchObject({
    name: 'Refusal',
    code: 'azure/container-missing',
    remedy: expect.stringContaining('Make the container'),
  })
  const { summary } = await check(settingsOf('fresh', { makeContainer: true }))
  expect(summary).toContain('container fresh was made')
  expect((await check(settingsOf('fresh'))).summary).toContain('container fresh answers')
})

test('a container that was deleted later is never made anew: its site would look empty and whole', async () => {
  const settings = settingsOf('deleted', { makeContainer: true })
  await check(settings)
  const site = await open(settings, { isTrial: false })
  expect((await site.checkConnection()).summary).toContain('answers')
  await emulator.client(await emulator.makeContainer('deleted')).delete()
  for (const hours of [0, 2]) {
    now += hours * 3_600_000
    await expect(site.checkConnection()).rejects.toMatchObject({ code: 'azure/container-missing' })
  }
})

test('a signature that lacks rights is refused, and every one that is missing is named', async () => {
  await emulator.makeContainer('rights')
  const checkWith = (permissions: string) =>
    check(settingsOf('rights', { signIn: 'signature' }), {
      secrets: { signature: signature('rights', permissions) },
    })
  await expect(checkWith('rl')).rejects.toMatchObject({
    name: 'Refusal',
    code: 'azure/permission-missing',
    message: 'The sign-in may not create and write blobs, nor delete blobs in the container rights',
    remedy: expect.stringContaining('racwdl'),
  })
  await expect(checkWith('racwd')).rejects.toMatchObject({ message: expect.stringContaining('list blobs') })
  expect((await checkWith('racwdl')).summary).toMatch(
    /everything that replicas need is allowed; .*valid until 20/,
  )
})

test('a signature that may not make the container says who can', async () => {
  const site = await open(settingsOf('not-ours', { signIn: 'signature', makeContainer: true }), {
    secrets: { signature: signature('not-ours', 'racwdl') },
  })
  await expect(site.checkConnection()).rejects.toMatchObject({
    name: 'Refusal',
    code: 'azure/cannot-make-container',
    remedy: expect.stringContaining('portal'),
  })
})

test('a signature for a container that is there is enough, also where it may be made', async () => {
  await emulator.makeContainer('there')
  const secrets = { signature: signature('there', 'racwdl') }
  const { summary } = await check(settingsOf('there', { signIn: 'signature', makeContainer: true }), {
    secrets,
  })
  expect(summary).toContain('container there answers, everything that replicas need is allowed')
})

test('a wrong key, an expired signature and a wrong clock are refused each in its own words', async () => {
  await emulator.makeContainer('words')
  const wrongKey = Buffer.alloc(64, 7).toString('base64')
  await expect(check(settingsOf('words'), { secrets: { accountKey: wrongKey } })).rejects.toMatchObject({
    name: 'Refusal',
    code: 'azure/sign-in-refused',
  })
  await expect(
    check(settingsOf('words', { signIn: 'signature' }), {
      secrets: { signature: signature('words', 'racwdl', -1) },
    }),
  ).rejects.toMatchObject({ name: 'Refusal', code: 'azure/signature-expired' })
  emulator.proxy.fault = () => ({ kind: 'answer', status: 403, name: 'RequestTimeTooSkewed' })
  await expect(check(settingsOf('words'))).rejects.toMatchObject({
    code: 'azure/clock-skew',
  })
})

test('where the storage gives no reason, a wrong key and a signature that has ended or not begun are told apart all the same', async () => {
  const { endpoint } = await emulator.makeContainer('uncorrected', 'azurite')
  const at = (more: Record<string, unknown>) => settingsOf('uncorrected', { endpoint, ...more })
  const accountKey = Buffer.alloc(64, 7).toString('base64')
  await expect(check(at({}), { secrets: { accountKey } })).rejects.toMatchObject({
    code: 'azure/sign-in-refused',
  })
  const signed = at({ signIn: 'signature' })
  for (const [from, until, message] of [
    ['2025-01-01', '2025-06-01', 'ended on 2025-06-01 00:00 UTC'],
    ['2026-02-01', '2026-06-01', 'is not valid before 2026-02-01 00:00 UTC'],
  ])
    await expect(
      check(signed, {
        secrets: { signature: `sp=racwdl&st=${from}&se=${until}&sr=c&sv=2024-11-04&sig=AAAA` },
      }),
    ).rejects.toMatchObject({
      name: 'Refusal',
      code: 'azure/signature-expired',
      message: expect.stringContaining(message ?? ''),
    })
})

test('a signature that ends soon says so while it still lets us in', async () => {
  await emulator.makeContainer('ending')
  const ends = async (hours: number) => {
    const secrets = { signature: signature('ending', 'racwdl', hours) }
    return (await check(settingsOf('ending', { signIn: 'signature' }), { secrets })).summary
  }
  const before = now
  now = Date.now()
  expect(await ends(2)).toMatch(/valid until \S+ \S+ UTC, less than a day from now/)
  expect(await ends(48)).toContain('less than a week from now')
  expect(await ends(24 * 30)).toMatch(/valid until \S+ \S+ UTC$/)
  const { signInEndsAt = 0 } = await open(settingsOf('ending', { signIn: 'signature' }), {
    secrets: { signature: signature('ending', 'racwdl', 2) },
  })
  expect(Math.abs(signInEndsAt - now - 7_200_000)).toBeLessThan(600_000)
  expect(await open(settingsOf('ending'))).not.toHaveProperty('signInEndsAt')
  now = before
})

const foreignList =
  '<EnumerationResults><Blobs><Blob><Name>heads/a.json</Name><Properties/></Blob></Blobs></EnumerationResults>'

test.each([
  ['answers all with a page', 200, '<html>hello</html>'],
  ['answers all with a list of another kind', 200, '<EnumerationResults><Rows/></EnumerationResults>'],
  ['answers all with nothing', 200, ''],
  ['lists blobs that have no ETag', 200, foreignList],
  ['knows none of the addresses', 404, '<html>hello</html>'],
  ['wants a sign-in of its own', 401, '<html>hello</html>'],
])('a web server that is no storage and %s is told as that', async (_, status, body) => {
  const server = createServer((_from, to) =>
    to.writeHead(status, { 'content-type': 'application/xml' }).end(body),
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await expect(check(settingsOf('strange', { endpoint: `http://127.0.0.1:${port}` }))).rejects.toMatchObject({
    name: 'Refusal',
    code: 'azure/not-storage',
    remedy: expect.stringContaining('address of the blobs'),
  })
  server.closeAllConnections()
  server.close()
})

test('a proxy that does not answer is named, and so is a certificate that is not trusted', async () => {
  await expect(check(settingsOf('strange', { proxyUrl: 'http://127.0.0.1:9' }))).rejects.toMatchObject({
    name: 'Outage',
    code: 'azure/unreachable',
    message: expect.stringContaining('The proxy http://127.0.0.1:9 gave no answer (ECONNREFUSED)'),
  })
  const { key, certificate } = await makeIdentity(1)
  const server = createTlsServer({ key, cert: certificate }, (_, to) => to.end())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await expect(check(settingsOf('strange', { endpoint: `https://localhost:${port}` }))).rejects.toMatchObject(
    {
      name: 'Outage',
      code: 'azure/certificate-refused',
      remedy: expect.stringContaining('NODE_EXTRA_CA_CERTS'),
    },
  )
  server.closeAllConnections()
  server.close()
})

test('a firewall is told as one, not as rights that are missing', async () => {
  await emulator.makeContainer('walled')
  emulator.proxy.fault = () => ({ kind: 'answer', status: 403, name: 'AuthorizationFailure' })
  await expect(check(settingsOf('walled'))).rejects.toMatchObject({
    name: 'Refusal',
    code: 'azure/not-authorized',
    remedy: expect.stringContaining('firewall'),
  })
})

test('a key that is renewed elsewhere is an outage for what replicates, and a refusal for whoever asks how the site is', async () => {
  await emulator.makeContainer('renewed')
  const replica = 'r1' as ReplicaId
  const [used, tried] = [
    await open(settingsOf('renewed'), { isTrial: false }),
    await open(settingsOf('renewed')),
  ]
  await used.checkConnection()
  emulator.proxy.fault = () => ({ kind: 'answer', status: 403, name: 'AuthenticationFailed' })
  const words = { code: 'azure/sign-in-refused', remedy: expect.stringContaining('save the site') }
  await expect(used.replicas.exists(replica)).rejects.toMatchObject({ name: 'Outage', ...words })
  const asked = [
    () => used.checkConnection(),
    () => tried.checkConnection(),
    () => tried.replicas.exists(replica),
  ]
  for (const ask of asked) await expect(ask()).rejects.toMatchObject({ name: 'Refusal', ...words })
})

test('an account that asks for fewer requests is counted, for whoever wonders about the lag', async () => {
  await emulator.makeContainer('busy')
  const { replicas } = await open(settingsOf('busy'), { isTrial: false })
  expect(replicas.strain?.()).toMatchObject({ timesLastHour: 0, times: 0, lastAt: null })
  let answers = 0
  emulator.proxy.fault = () => {
    answers += 1
    return answers <= 2 ? { kind: 'answer', status: 503, name: 'ServerBusy' } : null
  }
  expect(await replicas.exists('r1' as ReplicaId)).toBe(false)
  expect(replicas.strain?.()).toMatchObject({ timesLastHour: 2, times: 2, lastAt: now })
})

test('everything goes through the proxy that the site names, signed in there with its own password', async () => {
  await emulator.makeContainer('proxied')
  const seen: (string | undefined)[] = []
  const proxy = createServer((from, to) => {
    seen.push(from.headers['proxy-authorization'])
    const { 'proxy-authorization': _, ...headers } = from.headers
    const onwards = request(from.url ?? '', { method: from.method, headers }, (answer) => {
      to.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(to)
    })
    onwards.on('error', () => to.destroy())
    from.pipe(onwards)
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  const { port } = proxy.address() as AddressInfo
  const site = await open(settingsOf('proxied', { proxyUrl: `http://mover@127.0.0.1:${port}` }), {
    secrets: { accountKey: EMULATOR_KEY, proxyPassword: 'pass' },
  })
  expect((await site.checkConnection()).summary).toContain('answers')
  expect(seen.length).toBeGreaterThan(5)
  expect(new Set(seen)).toEqual(new Set([`Basic ${Buffer.from('mover:pass').toString('base64')}`]))
  proxy.closeAllConnections()
  proxy.close()
})
