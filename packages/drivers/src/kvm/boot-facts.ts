// What a guest says of itself that decides whether it would boot on other hardware: a program that only reads, run through its agent.
import { setTimeout as sleep } from 'node:timers/promises'
import { Outage, Refusal } from '@understudy/base/errors'
import type { BootFacts } from '@understudy/domain/boot-check/boot-facts'
import { LINUX_SCRIPT } from '@understudy/domain/boot-check/linux-script'
import { readLinuxReport } from '@understudy/domain/boot-check/read-linux-report'
import { readWindowsReport } from '@understudy/domain/boot-check/read-windows-report'
import { WINDOWS_SCRIPT } from '@understudy/domain/boot-check/windows-script'
import type { GuestProgram, GuestPrograms } from '@understudy/engine/ports/guest-programs'
import { guestPrograms, readGuestSystem } from './guest-programs.ts'
import type { MachineLocation } from './monitor.ts'

const LOOK_MILLISECONDS = 500
/** Listing an initial memory disk takes seconds, and minutes where the guest's processors are emulated. */
const LONGEST_MILLISECONDS = 200_000

/** `find` throws as MachineDirectory.find does. See SourcePlatform.bootFacts. */
export async function readBootFacts(
  find: (signal?: AbortSignal) => Promise<MachineLocation>,
  signal?: AbortSignal,
): Promise<BootFacts> {
  const system = await readGuestSystem(find, signal)
  const isWindows = system === 'mswindows'
  const output = await runToEnd(guestPrograms(find), isWindows ? windowsProgram : linuxProgram, signal)
  const facts = isWindows ? readWindowsReport(output) : readLinuxReport(output)
  if (facts !== null) return facts
  throw new Refusal({
    code: 'boot-check/not-understood',
    // Never what it printed: this is read by everybody, and only a whole report is known to hold no secret.
    message: `What the guest${system === '' ? '' : ` (${system})`} told of itself is not whole: it printed ${Buffer.byteLength(output)} bytes`,
    remedy: 'Look that its agent may run a shell in it, and read /etc and /boot.',
  })
}

const linuxProgram: GuestProgram = { command: '/bin/sh', arguments: ['-c', LINUX_SCRIPT], environment: {} }

const windowsProgram: GuestProgram = {
  command: 'powershell.exe',
  arguments: [
    '-NoProfile',
    '-NonInteractive',
    '-EncodedCommand',
    // It wants UTF-16: nothing of it is taken for quotes on the way.
    Buffer.from(WINDOWS_SCRIPT, 'utf16le').toString('base64'),
  ],
  environment: {},
}

async function runToEnd(
  programs: GuestPrograms,
  program: GuestProgram,
  signal: AbortSignal | undefined,
): Promise<string> {
  const deadline = Date.now() + LONGEST_MILLISECONDS
  const pid = await programs.start(program, signal)
  try {
    while (Date.now() < deadline) {
      await sleep(LOOK_MILLISECONDS, undefined, signal === undefined ? {} : { signal })
      const state = await lookAt(programs, pid, signal)
      if (state?.kind === 'ended') return state.output
      if (state?.kind === 'unknown') throw startedAnew()
    }
    throw tooLong()
  } catch (error) {
    await programs.end(pid)
    throw error
  }
}

/** Null: the agent does not answer just now. Another one may hold it, to freeze the file systems. */
async function lookAt(programs: GuestPrograms, pid: number, signal: AbortSignal | undefined) {
  try {
    return await programs.state(pid, signal)
  } catch (error) {
    if (error instanceof Outage) return null
    throw error
  }
}

const startedAnew = (): Outage =>
  new Outage({
    code: 'boot-check/started-anew',
    message: 'The guest or its agent was started anew while it was asked',
    remedy: 'Check again.',
  })

const tooLong = (): Outage =>
  new Outage({
    code: 'boot-check/too-long',
    message: `The guest did not tell of itself within ${LONGEST_MILLISECONDS / 1000} s`,
    remedy: 'Check again when it has less to do.',
  })
