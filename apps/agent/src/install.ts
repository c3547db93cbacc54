// `understudy-agent install`: from a file that somebody has just fetched to a service that is connected.
import { chmod, copyFile, mkdir, open, realpath, rename, rm, rmdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Outage, Refusal } from '@understudy/base/errors'
import { syncFolder } from '@understudy/drivers/wires/replace-file'
import { isAlive } from './is-alive.ts'
import { checkRoot, hasSystemd, isThere, pathsOf, SERVICE, type ServicePlace } from './service-place.ts'
import { serviceUnit } from './service-unit.ts'
import { type Identity, openStateFolder, type StateFolder } from './state-folder.ts'

export type Installation = {
  readonly place: ServicePlace
  /** Into this folder. Refuses what the server does not want. */
  enrol(folder: StateFolder): Promise<Identity>
  /** Of the control plane that it is to be an agent of; null: the one that it is enrolled at. */
  readonly fingerprint: string | null
  say(line: string): void
}

const CONNECTED_MILLISECONDS = 60_000
const LOOK_MILLISECONDS = 500

/**
 * Repeatable: what is enrolled stays so, and the program and its service are replaced by this one. Refuses what it cannot do, and an
 * enrolment that the server refuses, before anything has been changed.
 */
export async function install({ place, enrol, fingerprint, say }: Installation): Promise<void> {
  checkRoot(place, 'install')
  if (place.program === null) throw notOneFile()
  if (!(await hasSystemd(place))) throw noSystemd()
  const { program, former, state, unit } = pathsOf(place)
  const { folder, identity } = await enrolOnce(state, fingerprint, enrol)
  say(`Enrolled at ${identity.siteName} as ${identity.roles.join(', ')}.`)
  // A person's word ends the trial of another program: nothing is put back in place of this one.
  await rm(former, { force: true })
  await folder.saveUpgrade(null)
  if (!(await isSame(place.program, program)))
    await put(program, 0o755, (draft) => copyFile(place.program ?? '', draft))
  await put(unit, 0o644, (draft) => writeText(draft, serviceUnit))
  const startedAt = place.now()
  // A service that runs already takes the new program only when it is started again.
  for (const words of [['daemon-reload'], ['enable', SERVICE], ['restart', SERVICE]])
    await order(place, words)
  say(`Installed as ${SERVICE}: ${program}, what it keeps is in ${state}.`)
  await waitUntilConnected(place, folder, startedAt)
  say(`Connected to ${identity.server}.`)
}

/** What is enrolled at that control plane already needs no token any more, which is dead by then. */
async function enrolOnce(
  state: string,
  fingerprint: string | null,
  enrol: Installation['enrol'],
): Promise<{ readonly folder: StateFolder; readonly identity: Identity }> {
  const wasThere = await isThere(state)
  if (!wasThere) await mkdir(dirname(state), { recursive: true })
  const folder = await openStateFolder(state)
  const before = await folder.identity()
  const isThatOne = fingerprint === null || before?.fingerprint === fingerprint.trim().toLowerCase()
  if (before !== null && before.agentId !== null && isThatOne) return { folder, identity: before }
  try {
    return { folder, identity: await enrol(folder) }
  } catch (error) {
    // After an Outage the server may have the key already: with the same one the same command works again.
    if (!wasThere && error instanceof Refusal) await rm(state, { recursive: true })
    else if (!wasThere) await rmdir(state).catch(() => {})
    throw error
  }
}

const isSame = async (one: string, other: string): Promise<boolean> =>
  (await isThere(other)) && (await realpath(one)) === (await realpath(other))

/** Whole or not at all: what runs keeps the file that it was started from. */
async function put(path: string, mode: number, make: (draft: string) => Promise<void>): Promise<void> {
  const draft = `${path}.new`
  await mkdir(dirname(path), { recursive: true })
  try {
    await make(draft)
    await chmod(draft, mode)
    const file = await open(draft, 'r')
    await file.sync().finally(() => file.close())
    await rename(draft, path)
    await syncFolder(dirname(path))
  } finally {
    await rm(draft, { force: true })
  }
}

async function writeText(path: string, text: string): Promise<void> {
  const file = await open(path, 'w')
  await file.writeFile(text).finally(() => file.close())
}

async function order(place: ServicePlace, words: readonly string[]): Promise<void> {
  const { code, output } = await place.systemctl(...words)
  if (code === 0) return
  const asked = `systemctl ${words.join(' ')}`
  throw new Outage({
    code: 'agent/service-failed',
    message: `"${asked}" ended with ${code ?? 'its time over'}: ${output.trim() || 'it says nothing'}`,
    remedy: 'Mend that, and run the same command again: it goes on from here.',
  })
}

async function waitUntilConnected(
  place: ServicePlace,
  folder: StateFolder,
  startedAt: number,
): Promise<void> {
  let note: string | null = null
  while (place.now() < startedAt + CONNECTED_MILLISECONDS) {
    const standing = await folder.standing()
    if (standing !== null && standing.since >= startedAt) {
      if (standing.connected && isAlive(standing.pid)) return
      note = standing.note?.replace(/\.$/, '') ?? null
    }
    const { output } = await place.systemctl('is-active', SERVICE)
    if (output.trim() === 'failed') throw hasEnded(note)
    await place.pause(LOOK_MILLISECONDS)
  }
  throw new Outage({
    code: 'agent/not-connected-yet',
    message: `The service runs, and is not connected after ${CONNECTED_MILLISECONDS / 1000} s: ${note ?? 'it says nothing'}`,
    remedy: 'It goes on trying. `understudy-agent status` says how it stands.',
  })
}

const hasEnded = (note: string | null): Refusal =>
  new Refusal({
    code: 'agent/service-ended',
    message: `The service has ended: ${note ?? `see journalctl -u ${SERVICE}`}`,
    remedy: 'If it was revoked: understudy-agent uninstall, then a fresh command from the console.',
  })

const notOneFile = (): Refusal =>
  new Refusal({
    code: 'agent/not-one-file',
    message: 'This agent runs from its sources; only the program that is one file can be installed',
    remedy: 'Build it with `npm run build:agent`, and install apps/agent/dist/understudy-agent-….',
  })

const noSystemd = (): Refusal =>
  new Refusal({
    code: 'agent/no-systemd',
    message: 'This server was not started by systemd, so the agent cannot be made a service of it',
    remedy:
      'Enrol it by hand with the same options, `understudy-agent enrol …`, and have the server run `understudy-agent run` as root at its start.',
  })
