// How a program of a step has ended, wherever it ran.
import type { Command } from '@understudy/domain/recovery-plans/step-action'
import type { StepFailure } from '@understudy/engine/ports/step-runner'
import { lastLine } from './kept-output.ts'
import { stepFailed } from './step-failures.ts'

export type ProgramEnd =
  | { readonly kind: 'exited'; readonly exitCode: number; readonly output: string }
  | { readonly kind: 'killed'; readonly signal: string; readonly output: string }
  | { readonly kind: 'timeout'; readonly output: string }

/** Its name alone: arguments may hold what nobody shall read. */
export const nameOf = ({ command }: Pick<Command, 'command'>): string => command

/** As it is kept. Pure. */
export const maskEnd = (end: ProgramEnd, mask: (text: string) => string): ProgramEnd => ({
  ...end,
  output: mask(end.output),
})

/** What is wrong with it, one line. Null: it has succeeded. Pure. */
export function complaintOf(command: string, end: ProgramEnd): string | null {
  const last = lastLine(end.output)
  const said = last === null ? '' : `: ${last}`
  switch (end.kind) {
    case 'exited':
      return end.exitCode === 0 ? null : `${command} ended with exit code ${end.exitCode}${said}`
    case 'killed':
      return `${command} was ended by ${end.signal}${said}`
    case 'timeout':
      return `${command} did not end in time and was ended${said}`
  }
}

/** Why a program cannot be started, from the code of the system's error. `where`: the computer it was to run on. Pure. */
export function cannotStart(
  command: string,
  code: string,
  where: 'the server' | 'the host' = 'the server',
): StepFailure {
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return stepFailed(
        'no-program',
        `There is no program ${command}, or its first line names an interpreter that is not there`,
        'Install it, or correct its path; only standard folders such as /usr/local/bin are searched.',
      )
    case 'EACCES':
    case 'EPERM':
      return stepFailed(
        'not-executable',
        `${command} may not be run`,
        where === 'the server'
          ? 'Make it executable (chmod +x) for the user that Understudy runs as.'
          : 'Make it executable (chmod +x) for the user that the site is reached as.',
      )
    case 'ENOEXEC':
      return stepFailed(
        'not-executable',
        `${command} is neither a program of this kind of computer nor a script with #! in its first line`,
        'Begin it with a line such as #!/bin/sh.',
      )
    case 'E2BIG':
      return stepFailed(
        'arguments-too-long',
        `${command} is given more than the system can hand to a program`,
        'Put long values into a file and give its path.',
      )
    default:
      return stepFailed(
        'not-started',
        `${command} cannot be started (${code})`,
        `Look at the computer that it was to run on, ${where}: memory, processes, file systems.`,
      )
  }
}

export const interrupted = (what: string, remedy: string): StepFailure =>
  stepFailed('interrupted', what, remedy)
