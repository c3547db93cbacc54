// What no system would start, told in our words before anybody tries.
import type { Command } from '@understudy/domain/recovery-plans/step-action'
import { stepFailed } from './step-failures.ts'

export function checkProgram({
  command,
  arguments: given,
  environment,
}: Pick<Command, 'command' | 'arguments' | 'environment'>): void {
  const texts = [command, ...given, ...Object.entries(environment).flat()]
  if (texts.some((text) => text.includes('\0')))
    throw stepFailed(
      'bad-argument',
      'A NUL byte stands in the program, its arguments or its environment',
      'Remove it from the value of the parameter.',
    )
  if (command.trim() === '' || (command.includes('/') && !command.startsWith('/')))
    throw stepFailed(
      'no-program',
      `"${command}" is no path of a program`,
      'Give the whole path, or only the name of a program in a standard folder.',
    )
}
