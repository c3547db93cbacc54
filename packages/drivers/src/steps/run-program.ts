// A program where the plan wants it: on our server, on the host of a site, or in a guest.
import type { Command } from '@understudy/domain/recovery-plans/step-action'
import type { StepOutcome, StepWork } from '@understudy/engine/ports/step-runner'
import { runInGuest } from './guest-script.ts'
import { runOnHost } from './host-script.ts'
import { complaintOf, type ProgramEnd } from './script-end.ts'
import { type ProgramWork, runOnServer } from './server-script.ts'
import { stepFailed } from './step-failures.ts'

type Places = Pick<StepWork, 'guestOf' | 'hostOf'>

/** Once for this folder. */
export async function runProgram(
  folder: string,
  { where }: Pick<Command, 'where'>,
  { guestOf, hostOf }: Places,
  work: ProgramWork,
): Promise<ProgramEnd> {
  switch (where.kind) {
    case 'server':
      return runOnServer(folder, work)
    case 'site': {
      const host = hostOf(where.site)
      if (host === null) throw noHostPrograms()
      return runOnHost(folder, host, work)
    }
    case 'guest': {
      const guest = guestOf(where.machine)
      if (guest === null) throw noGuestPrograms()
      return runInGuest(folder, guest, work)
    }
  }
}

const noHostPrograms = () =>
  stepFailed(
    'no-host-programs',
    'No program can be run at this kind of site',
    'Have the program run on the server or in a guest.',
  )

const noGuestPrograms = () =>
  stepFailed(
    'no-guest-programs',
    'No program can be run in this machine: it is not up, or its site has no way into its guests',
    'Let the step come after the machine, or run the program on the server.',
  )

export async function runScript(
  folder: string,
  command: Command,
  places: Places,
  work: ProgramWork,
): Promise<StepOutcome> {
  return outcomeOf(command.command, await runProgram(folder, command, places, work))
}

/** What becomes of the step. `name`: of the program, for people. */
export function outcomeOf(name: string, end: ProgramEnd): StepOutcome {
  const complaint = complaintOf(name, end)
  const output = end.output === '' ? null : end.output
  if (complaint === null) return { note: `${name} ended with exit code 0`, output }
  if (end.kind === 'timeout')
    throw stepFailed('timeout', complaint, 'See what it waits for, or give it more time.', { output })
  throw stepFailed('script-failed', complaint, 'Look at its output, mend the cause and try the step again.', {
    output,
  })
}
