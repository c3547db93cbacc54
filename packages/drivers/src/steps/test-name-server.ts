// Debian's BIND with zones of its own, for tests that change records and ask for them.
import { spawn } from 'node:child_process'
import { Resolver } from 'node:dns/promises'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { vi } from 'vitest'
import { ownProgram } from './test-servers.ts'

export type TestNameServer = {
  /** `host:port` */
  readonly address: string
  readonly resolver: Resolver
  stop(): Promise<void>
}

/**
 * Answers when this resolves. Each zone has `www` with 192.0.2.1 and 192.0.2.2, and `alias` that leads there.
 * @param zones what may be updated, as BIND's configuration says it, by name of zone
 */
export async function startNameServer(
  port: number,
  zones: Readonly<Record<string, string>>,
  keys: Readonly<Record<string, { readonly algorithm: string; readonly secret: string }>> = {},
): Promise<TestNameServer> {
  const folder = await mkdtemp(join(tmpdir(), 'us-named-'))
  const address = `127.0.0.1:${port}`
  const resolver = new Resolver()
  resolver.setServers([address])
  const config = [
    `options { directory "${folder}"; pid-file none; session-keyfile none; listen-on port ${port} { 127.0.0.1; };`,
    'listen-on-v6 { none; }; recursion no; dnssec-validation no; notify no; };',
    'controls { };',
    ...Object.entries(keys).map(
      ([name, { algorithm, secret }]) => `key "${name}" { algorithm ${algorithm}; secret "${secret}"; };`,
    ),
    ...Object.entries(zones).map(
      ([name, policy]) => `zone "${name}" { type primary; file "${name}.zone"; ${policy} };`,
    ),
  ]
  await writeFile(join(folder, 'named.conf'), config.join('\n'))
  for (const name of Object.keys(zones))
    await writeFile(
      join(folder, `${name}.zone`),
      `$TTL 60\n@ SOA ns hostmaster 1 60 60 3600 60\n@ NS ns\nns A 127.0.0.1\nwww A 192.0.2.1\nwww A 192.0.2.2\nalias CNAME www\n`,
    )
  const named = spawn(
    await ownProgram('named', folder),
    ['-f', '-n', '1', '-c', join(folder, 'named.conf')],
    {
      stdio: 'ignore',
    },
  )
  const stop = async (): Promise<void> => {
    named.kill('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  }
  try {
    const [zone] = Object.keys(zones)
    await vi.waitFor(() => resolver.resolve4(`www.${zone}`), { timeout: 30_000, interval: 50 })
  } catch (error) {
    await stop()
    throw error
  }
  return { address, resolver, stop }
}
