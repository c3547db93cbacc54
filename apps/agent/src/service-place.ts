// Where the agent lies once it is installed, and what it needs of the server for that.
import { access, readFile, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { isSea } from 'node:sea'
import { setTimeout as wait } from 'node:timers/promises'
import { Refusal } from '@understudy/base/errors'
import { type CommandEnd, runCommand } from '@understudy/drivers/linux/run-command'
import { defaultLinuxSettings } from '@understudy/drivers/linux/settings'
import { SERVICE_FOLDER } from './state-folder.ts'

export const SERVICE = 'understudy-agent.service'

export type ServicePlace = {
  /** The place of `/`; another one only in tests. */
  readonly root: string
  readonly tracefs: string
  /** This program, as one file; null: it runs from its sources. */
  readonly program: string | null
  /** Null where there is nothing like it. */
  readonly userId: number | null
  /** systemd has started this process, and starts it again. */
  readonly supervised: boolean
  systemctl(...words: readonly string[]): Promise<CommandEnd>
  now(): number
  pause(milliseconds: number): Promise<void>
}

export const ownServer = (): ServicePlace => ({
  root: '/',
  tracefs: defaultLinuxSettings.tracefs,
  program: isSea() ? process.execPath : null,
  userId: process.platform === 'linux' ? (process.getuid?.() ?? null) : null,
  // systemd.exec(5): of every process of a unit, and of nothing else.
  supervised: process.env.INVOCATION_ID !== undefined,
  systemctl: (...words) => runCommand('systemctl', words, { seconds: 120 }),
  now: () => Date.now(),
  pause: (milliseconds) => wait(milliseconds),
})

export const pathsOf = ({ root }: Pick<ServicePlace, 'root'>) => ({
  program: join(root, 'usr/local/bin/understudy-agent'),
  /** The one before, while the present one is on trial. The service asks it before each start. */
  former: join(root, 'usr/local/bin/understudy-agent.former'),
  /** One that is being fetched. */
  next: join(root, 'usr/local/bin/understudy-agent.next'),
  state: join(root, SERVICE_FOLDER),
  unit: join(root, 'etc/systemd/system', SERVICE),
})

/** Refuses (`agent/not-root`) where nothing can be changed. */
export function checkRoot({ userId }: ServicePlace, command: string): void {
  if (userId === 0) return
  throw new Refusal({
    code: 'agent/not-root',
    message:
      userId === null
        ? 'Only on Linux is the agent made a service by itself'
        : `Only root can ${command} the agent`,
    remedy:
      userId === null
        ? 'Enrol it, and have the system start it: understudy-agent enrol …, understudy-agent run.'
        : `Become root, and run it again: understudy-agent ${command} …`,
  })
}

/** As the programs that are given away are named. */
export const ownPlatform = (): string =>
  `${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`

/** Why another program cannot be put in the place of this one while it runs. Null: it can. */
export async function whyFixed(place: ServicePlace): Promise<string | null> {
  const { program, unit } = pathsOf(place)
  if (place.program === null) return 'It runs from its sources, and not from the program that is one file.'
  if (place.userId === null) return 'Only on Linux does an agent exchange its own program.'
  if (place.userId !== 0) return 'It does not run as root.'
  const here = await realpath(place.program).catch(() => null)
  if (!place.supervised || here === null || here !== (await realpath(program).catch(() => null)))
    return 'It does not run as the service that `understudy-agent install` makes, so nothing would start it again.'
  if (!(await readFile(unit, 'utf8').catch(() => '')).includes(BEFORE_START))
    return 'Its service is of an older installation. Run `understudy-agent install` again.'
  return null
}

/** What the service asks the former program before each start. */
export const BEFORE_START = 'before-start'

/** As sd_booted(3) finds it out: systemd has started this server. */
export const hasSystemd = ({ root }: ServicePlace): Promise<boolean> =>
  isThere(join(root, 'run/systemd/system'))

export const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )
