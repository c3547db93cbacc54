// For tests only: many agents in one process, each with a key, a folder and a connection of its own. Reads the commands of the console, a line
// each, enrols one agent by each, says "enrolled", and keeps them connected until it is told to stop.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { openHoldGate } from '@understudy/drivers/linux/hold-gate'
import { enrol } from '../enrol.ts'
import { runAgent } from '../run.ts'
import { ownServer } from '../service-place.ts'
import { openStateFolder, type StateFolder } from '../state-folder.ts'

const AT_ONCE = 8

const home = await mkdtemp(join(tmpdir(), 'us-agents-'))
const stopping = new AbortController()
process.once('SIGTERM', () => stopping.abort(new DOMException('They stop', 'AbortError')))

const commands: string[] = []
for await (const line of createInterface({ input: process.stdin })) commands.push(line)

const folders: StateFolder[] = []
const waiting = commands.map((command, index) => ({ command, name: `server-${index}` }))
const enrolNext = async (): Promise<void> => {
  for (let next = waiting.shift(); next; next = waiting.shift()) {
    const folder = await openStateFolder(join(home, next.name))
    await enrol(folder, {
      ...optionsOf(next.command),
      name: next.name,
      proxy: null,
      identity: next.name,
      sysfs: null,
    })
    folders.push(folder)
  }
}
await Promise.all(Array.from({ length: AT_ONCE }, enrolNext))
process.stdout.write('enrolled\n')
const gate = openHoldGate()
const server = { openSource: async () => null, sysfs: null }
await Promise.all(
  folders.map((folder) =>
    runAgent({ folder, gate, server, place: ownServer(), log: () => {} }, stopping.signal),
  ),
)
await rm(home, { recursive: true, force: true })

function optionsOf(command: string) {
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    args: command.split(' ').slice(2),
    options: { server: text, token: text, fingerprint: text },
  })
  return { server: values.server ?? '', token: values.token ?? '', fingerprint: values.fingerprint ?? '' }
}
